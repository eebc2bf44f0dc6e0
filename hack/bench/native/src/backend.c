/* Copyright The wsproxy Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/* The backend behind every proxy: a WebSocket server in one thread, light enough
 * that it is never the limit.
 *
 *	backend HOST PORT COUNTERS
 *
 * The path of a handshake says what it does with a connection:
 *
 *	/source/SIZE  waits for a message, then sends frames of SIZE bytes for ever
 *	/sink         counts what comes
 *	anything else echoes messages
 *
 * It answers pings and close frames. Bytes are echoed as they come, frame by
 * frame, so nothing is held for a connection but what its socket did not take.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "sha1.h"

#include <signal.h>

enum mode { HANDSHAKE, ECHO, SINK, SOURCE };

struct conn {
	int fd;
	uint8_t mode;
	uint8_t sourcing; /* whether the message that starts the source has come */
	uint8_t closing;  /* whether the socket is to be closed when all is written */
	uint32_t events;
	struct frame in;
	size_t offset;         /* of a source in the pattern */
	struct pattern *frames; /* of a source */
	uint8_t *pending;      /* what the socket did not take, or a part of a handshake */
	size_t at, end;
};

static int epoll;
static uint8_t input[BUFFER], output[BUFFER + 64];
static struct pattern patterns[8];

static void drop(struct conn *c)
{
	if (c->mode != HANDSHAKE)
		counters->open--;
	close(c->fd);
	free(c->pending);
	free(c);
}

static void want(struct conn *c, uint32_t events)
{
	if (c->events == events)
		return;
	c->events = events;
	watch(epoll, EPOLL_CTL_MOD, c->fd, events, c);
}

/* deliver writes bytes and keeps what is left. False: the connection is gone. */
static int deliver(struct conn *c, const uint8_t *p, size_t n)
{
	ssize_t wrote = n ? write(c->fd, p, n) : 0;
	if (wrote < 0 && errno != EAGAIN) {
		drop(c);
		return 0;
	}
	if (wrote < 0)
		wrote = 0;
	counters->sent += (uint64_t)wrote;
	if ((size_t)wrote < n) {
		c->at = 0;
		c->end = n - (size_t)wrote;
		c->pending = allocate(c->end);
		memcpy(c->pending, p + wrote, c->end);
		want(c, EPOLLOUT);
	} else if (c->closing) {
		drop(c);
		return 0;
	}
	return 1;
}

static struct pattern *pattern_of(uint64_t size)
{
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		if (patterns[i].bytes && patterns[i].payload != size)
			continue;
		fill(&patterns[i], size, 0);
		return &patterns[i];
	}
	return NULL; /* So many sizes are never asked for. */
}

/* source writes once, as much as the socket takes. */
static void source(struct conn *c)
{
	ssize_t n = write(c->fd, c->frames->bytes + c->offset, c->frames->size - c->offset);
	if (n < 0) {
		if (errno != EAGAIN)
			drop(c);
		return;
	}
	counters->sent += (uint64_t)n;
	c->offset = (c->offset + (size_t)n) % c->frames->size;
}

/* unmask copies n bytes of a payload that begin at c->in.at. */
static void unmask(const struct frame *f, uint8_t *to, const uint8_t *from, size_t n)
{
	static const uint8_t none[4];
	if (!memcmp(f->key, none, 4)) {
		memcpy(to, from, n);
		return;
	}
	uint8_t key[8];
	uint64_t wide, word;
	for (size_t i = 0; i < 8; i++)
		key[i] = f->key[(f->at + i) & 3];
	memcpy(&wide, key, 8);
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, from + i, 8);
		word ^= wide;
		memcpy(to + i, &word, 8);
	}
	for (; i < n; i++)
		to[i] = from[i] ^ key[i & 7];
}

/* answers says whether the current frame is sent back in one way or another. A
 * source has no room for that between two of its writes. */
static int answers(const struct conn *c)
{
	int control = c->in.opcode == PING || c->in.opcode == CLOSE;
	return c->mode == ECHO ? control || c->in.opcode < CLOSE : c->mode == SINK && control;
}

static void count(struct conn *c)
{
	const struct frame *f = &c->in;
	counters->messages += f->opcode < CLOSE && f->fin;
	counters->pings += f->opcode == PING;
	c->sourcing |= f->opcode < CLOSE && c->mode == SOURCE;
}

/* receive turns n bytes of the client into what is to be written, and returns
 * how much that is: never more than came, for our headers are shorter. */
static size_t receive(struct conn *c, const uint8_t *p, size_t n)
{
	size_t out = 0;
	struct frame *f = &c->in;
	counters->received += n;
	while (n && !c->closing) {
		if (!f->ready) {
			size_t took = frame_head(f, p, n);
			p += took, n -= took;
			if (!f->ready)
				break;
			count(c);
			if (answers(c))
				out += put_head(output + out, f->opcode == PING ? 0x80 | PONG : f->head[0], f->length, 0);
		}
		size_t part = frame_payload(f, n);
		if (answers(c)) {
			unmask(f, output + out, p, part);
			out += part;
		}
		f->at += part;
		p += part, n -= part;
		if (f->at == f->length) {
			c->closing = f->opcode == CLOSE;
			frame_next(f);
		}
	}
	return out;
}

/* value returns the value of a header field of a head that ends in a zero. */
static const char *value(const char *head, const char *name)
{
	size_t n = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (!strncasecmp(line, name, n) && line[n] == ':')
			return line + n + 1 + strspn(line + n + 1, " \t");
	}
	return NULL;
}

/* shake answers a handshake. It returns the bytes of the head, or 0 when it is
 * not complete, or -1 when it is none. */
static ssize_t shake(struct conn *c, char *head, size_t n)
{
	char *end = memmem(head, n, "\r\n\r\n", 4);
	if (!end)
		return 0;
	end[2] = 0; /* The last line still ends in CRLF. */
	const char *path = strchr(head, ' '), *key = value(head, "Sec-WebSocket-Key");
	char accept[29], answer[256];
	if (!path || !key || strcspn(key, "\r") != 24)
		return -1;
	accept_of(key, accept);
	int size = snprintf(answer, sizeof answer,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	if (write(c->fd, answer, (size_t)size) != size)
		return -1;
	c->mode = ECHO;
	if (!strncmp(path + 1, "/sink", 5))
		c->mode = SINK;
	if (!strncmp(path + 1, "/source/", 8)) {
		c->mode = SOURCE;
		c->frames = pattern_of(strtoull(path + 9, NULL, 10));
	}
	counters->open++;
	return end + 4 - head;
}

static void readable(struct conn *c)
{
	size_t had = 0;
	if (c->mode == HANDSHAKE && c->pending) {
		had = c->end;
		memcpy(input, c->pending, had);
		free(c->pending);
		c->pending = NULL;
	}
	ssize_t n = read(c->fd, input + had, sizeof input - had);
	if (n < 0 && errno == EAGAIN && !had)
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	size_t size = had + (size_t)n, at = 0;
	if (c->mode == HANDSHAKE) {
		ssize_t head = shake(c, (char *)input, size);
		if (head < 0 || (!head && size > sizeof input / 2)) {
			counters->failed++;
			drop(c);
			return;
		}
		if (!head) {
			c->pending = allocate(size);
			memcpy(c->pending, input, size);
			c->end = size;
			return;
		}
		at = (size_t)head;
	}
	if (!deliver(c, output, receive(c, input + at, size - at)))
		return;
	if (c->sourcing && !c->closing && !c->pending)
		want(c, EPOLLIN | EPOLLOUT);
}

static void writable(struct conn *c)
{
	if (!c->pending) {
		source(c);
		return;
	}
	ssize_t n = write(c->fd, c->pending + c->at, c->end - c->at);
	if (n < 0) {
		if (errno != EAGAIN)
			drop(c);
		return;
	}
	counters->sent += (uint64_t)n;
	c->at += (size_t)n;
	if (c->at < c->end)
		return;
	free(c->pending);
	c->pending = NULL;
	if (c->closing)
		drop(c);
	else
		want(c, c->sourcing ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void take(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED)
				die("accept");
			return;
		}
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		struct conn *c = allocate(sizeof *c);
		c->fd = fd;
		c->events = EPOLLIN;
		watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: backend HOST PORT COUNTERS\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	map_counters(argv[3]);
	int listener = listen_on(argv[1], argv[2]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event events[BATCH];
		int n = epoll_wait(epoll, events, BATCH, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (!c)
				take(listener);
			else if (events[i].events & (EPOLLHUP | EPOLLERR) && c->pending && c->mode != HANDSHAKE)
				drop(c); /* There is nobody to write to. */
			/* Reading comes first, lest a source misses the end. */
			else if (events[i].events & EPOLLOUT && !(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
				writable(c);
			else
				readable(c);
		}
	}
}
