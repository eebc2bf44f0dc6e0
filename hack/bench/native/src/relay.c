/* Copyright The wsproxy Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/* The floor: a relay that copies bytes between two sockets and knows nothing
 * about them. Nothing that relays through sockets can do with much less.
 *
 *	relay copy|splice HOST PORT UPSTREAM-HOST UPSTREAM-PORT WORKERS
 *
 * Every worker is a thread with a listener, an epoll descriptor and one buffer
 * of its own. A message costs epoll_wait (shared by all that are ready), read
 * and write. Where a socket takes less than was read, the rest is kept, and its
 * peer is not read from until that is gone. In splice mode bytes go through a
 * pipe instead and are not copied to this process; a pipe is held by a direction
 * only while something is in it.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <signal.h>

/* Bytes that are read at once: enough that bulk traffic is cheap, little enough
 * that a reader who has stalled holds no more. */
enum { CHUNK = 64 << 10, PIPES = 64 };

/* end is one of the two sockets of a connection. */
struct end {
	struct end *peer;
	uint8_t *pending;  /* what this socket did not take; of a dead connection, the next dead one */
	int fd;
	int pipe[2];       /* holds what this socket did not take; -1: none */
	uint32_t events;
	uint32_t held;     /* bytes in the pipe or in pending */
	uint32_t at;       /* of pending that are written */
	uint8_t connecting, ended, dead, first;
};

struct worker {
	pthread_t thread;
	int epoll, listener;
	struct end *dead; /* connections to free when this batch of events is done */
	int pipes[PIPES][2];
	int idle;
	uint8_t buffer[CHUNK];
};

static int splicing;
static struct sockaddr_in upstream;

static void want(struct worker *w, struct end *e, uint32_t events)
{
	if (e->events == events)
		return;
	e->events = events;
	watch(w->epoll, EPOLL_CTL_MOD, e->fd, events, e);
}

/* update asks for what an end can do now: to be read while its peer holds
 * nothing, to be written while it holds something itself. */
static void update(struct worker *w, struct end *e)
{
	uint32_t events = 0;
	if (!e->ended && !e->peer->held && !e->peer->connecting)
		events |= EPOLLIN;
	if (e->held || e->connecting)
		events |= EPOLLOUT;
	want(w, e, events);
}

static void take_pipe(struct worker *w, struct end *e)
{
	if (w->idle) {
		w->idle--;
		e->pipe[0] = w->pipes[w->idle][0];
		e->pipe[1] = w->pipes[w->idle][1];
		return;
	}
	if (pipe2(e->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		die("pipe");
	(void)fcntl(e->pipe[1], F_SETPIPE_SZ, CHUNK * 4); /* It works with less. */
}

static void give_pipe(struct worker *w, struct end *e)
{
	if (e->pipe[0] < 0)
		return;
	if (!e->held && w->idle < PIPES) {
		w->pipes[w->idle][0] = e->pipe[0];
		w->pipes[w->idle][1] = e->pipe[1];
		w->idle++;
	} else {
		close(e->pipe[0]);
		close(e->pipe[1]);
	}
	e->pipe[0] = -1;
}

static void drop(struct worker *w, struct end *e)
{
	struct end *both = e->first ? e : e->peer;
	if (both->dead)
		return;
	for (int i = 0; i < 2; i++) {
		both[i].dead = 1;
		close(both[i].fd);
		free(both[i].pending);
		give_pipe(w, &both[i]);
	}
	both->pending = (uint8_t *)w->dead;
	w->dead = both;
}

/* over ends what can be ended after the peer of an end was read to its end. */
static void over(struct worker *w, struct end *to)
{
	if (to->held)
		return; /* That comes first. */
	if (to->ended) {
		drop(w, to);
		return;
	}
	shutdown(to->fd, SHUT_WR);
	update(w, to->peer);
}

/* ended is called when an end has nothing more to say, or is broken. */
static void ended(struct worker *w, struct end *from, ssize_t n)
{
	if (n < 0) {
		if (errno != EAGAIN)
			drop(w, from);
		return;
	}
	from->ended = 1;
	update(w, from);
	over(w, from->peer);
}

static void copy(struct worker *w, struct end *from)
{
	struct end *to = from->peer;
	ssize_t n = read(from->fd, w->buffer, CHUNK);
	if (n <= 0) {
		ended(w, from, n);
		return;
	}
	ssize_t wrote = write(to->fd, w->buffer, (size_t)n);
	if (wrote == n)
		return;
	if (wrote < 0) {
		if (errno != EAGAIN) {
			drop(w, from);
			return;
		}
		wrote = 0;
	}
	to->held = (uint32_t)(n - wrote);
	to->at = 0;
	to->pending = allocate(to->held);
	memcpy(to->pending, w->buffer + wrote, to->held);
	update(w, from);
	update(w, to);
}

/* flush moves what is in the pipe of an end. */
static void flush(struct worker *w, struct end *to)
{
	ssize_t n = splice(to->pipe[0], NULL, to->fd, NULL, to->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0 && errno != EAGAIN) {
		drop(w, to);
		return;
	}
	if (n > 0)
		to->held -= (uint32_t)n;
	if (!to->held)
		give_pipe(w, to);
}

static void move(struct worker *w, struct end *from)
{
	struct end *to = from->peer;
	take_pipe(w, to);
	ssize_t n = splice(from->fd, NULL, to->pipe[1], NULL, CHUNK * 4, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0) {
		give_pipe(w, to);
		ended(w, from, n);
		return;
	}
	to->held = (uint32_t)n;
	flush(w, to);
	if (to->dead || !to->held)
		return;
	update(w, from);
	update(w, to);
}

static void writable(struct worker *w, struct end *to)
{
	if (to->connecting) {
		int error = 0;
		socklen_t size = sizeof error;
		getsockopt(to->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error) {
			drop(w, to);
			return;
		}
		to->connecting = 0;
	} else if (splicing) {
		flush(w, to);
	} else {
		ssize_t n = write(to->fd, to->pending + to->at, to->held);
		if (n < 0) {
			if (errno != EAGAIN)
				drop(w, to);
			return;
		}
		to->at += (uint32_t)n;
		to->held -= (uint32_t)n;
		if (!to->held) {
			free(to->pending);
			to->pending = NULL;
		}
	}
	if (to->dead)
		return;
	update(w, to);
	update(w, to->peer);
	if (!to->held && to->peer->ended)
		over(w, to);
}

static void take(struct worker *w)
{
	for (;;) {
		int fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED)
				die("accept");
			return;
		}
		int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (up < 0)
			die("socket");
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		set(up, IPPROTO_TCP, TCP_NODELAY, 1);
		if (connect(up, (struct sockaddr *)&upstream, sizeof upstream) < 0 && errno != EINPROGRESS) {
			close(fd);
			close(up);
			continue;
		}
		struct end *both = allocate(2 * sizeof *both);
		both[0] = (struct end){.peer = &both[1], .fd = fd, .pipe = {-1, -1}, .first = 1};
		both[1] = (struct end){.peer = &both[0], .fd = up, .pipe = {-1, -1}, .connecting = 1, .events = EPOLLOUT};
		watch(w->epoll, EPOLL_CTL_ADD, fd, 0, &both[0]);
		watch(w->epoll, EPOLL_CTL_ADD, up, EPOLLOUT, &both[1]);
	}
}

static void handle(struct worker *w, struct end *e, uint32_t events)
{
	if (e->dead)
		return;
	if (events & EPOLLOUT && e->events & EPOLLOUT)
		writable(w, e);
	else if (e->events & EPOLLIN)
		splicing ? move(w, e) : copy(w, e);
	else
		drop(w, e); /* It is broken, and nothing else would tell. */
}

static void *work(void *worker)
{
	struct worker *w = worker;
	for (;;) {
		struct epoll_event events[BATCH];
		int n = epoll_wait(w->epoll, events, BATCH, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				handle(w, events[i].data.ptr, events[i].events);
			else
				take(w);
		}
		while (w->dead) {
			struct end *both = w->dead;
			w->dead = (struct end *)both->pending;
			free(both);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int workers = argc == 7 ? atoi(argv[6]) : 0;
	if (workers < 1 || (strcmp(argv[1], "copy") && strcmp(argv[1], "splice"))) {
		fprintf(stderr, "usage: relay copy|splice HOST PORT UPSTREAM-HOST UPSTREAM-PORT WORKERS\n");
		return 2;
	}
	splicing = !strcmp(argv[1], "splice");
	upstream = address(argv[4], argv[5]);
	/* Writing to a socket that was reset is an error like any other. */
	signal(SIGPIPE, SIG_IGN);
	struct worker *all = allocate((size_t)workers * sizeof *all);
	for (int i = 0; i < workers; i++) {
		struct worker *w = &all[i];
		w->listener = listen_on(argv[2], argv[3]);
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		watch(w->epoll, EPOLL_CTL_ADD, w->listener, EPOLLIN, NULL);
	}
	for (int i = 1; i < workers; i++)
		if (pthread_create(&all[i].thread, NULL, work, &all[i]))
			die("thread");
	work(&all[0]);
	return 0;
}
