/* Copyright The wsproxy Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/* The clients, all in one thread, so that they cost as little as clients can.
 *
 *	load COUNTERS
 *
 * Commands come on stdin, one a line, and each is answered with "ok" or with
 * "error" and why:
 *
 *	open HOST PORT PATH COUNT PARALLEL HEAD RCVBUF
 *	             opens COUNT more connections, at most PARALLEL at a time, with
 *	             heads of at least HEAD bytes and a receive buffer of RCVBUF (0:
 *	             the kernel's); answered when all are open
 *	talk SIZE    keeps one message under way on every connection
 *	say SIZE     one message on every connection at once; answered when all are back
 *	rate SIZE N  N messages a second in all, taking turns, whatever comes back
 *	flood SIZE   sends frames on every connection as fast as they are taken
 *	go           one message on every connection, which nobody answers
 *	stall        stops to read
 *	churn HOST PORT PATH PARALLEL
 *	             opens and closes connections, PARALLEL at a time
 *	quiet        ends talk, rate and churn; answered when nothing is under way
 *	close        closes all with a close frame; answered when all are gone
 *	reset        closes the sockets
 *
 * A message carries when it was due, its connection and its number, and its echo
 * is compared with them.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <signal.h>
#include <sys/timerfd.h>

enum state { FREE, CONNECTING, SHAKING, OPEN, CLOSING };
enum { HEADS = 16 << 10, STAMP = 16 };

struct stamp {
	uint64_t due;
	uint32_t conn, number;
};

struct conn {
	int fd;
	uint32_t index;
	uint8_t state;
	uint8_t churning;
	uint8_t stalled;
	uint32_t sent, received; /* messages */
	struct frame in;
	uint8_t stamp[STAMP];
	size_t offset;    /* of a flood in the pattern */
	uint8_t *pending; /* what the socket did not take, or the part of an answer that has come */
	size_t at, end;
	struct conn *next_dead;
};

enum { MAX = 20000 };
static struct conn *conns[MAX];
static uint32_t used;
static uint32_t idle[MAX]; /* free places of conns */
static uint32_t idles;

static int epoll, timer;
static uint8_t input[BUFFER];
static uint8_t *message; /* a frame of message_size bytes, the stamp at message_head */
static size_t message_head, message_size, payload_size;
static struct pattern pattern;

static struct sockaddr_in target;
static char request[HEADS];
static size_t request_size;
static int rcvbuf;

static uint32_t to_open, opening, parallel; /* what open and churn still want */
static uint64_t outstanding;                /* messages that are not back */
static int talking, flooding, churning;
static uint32_t churned; /* connections of churn that there are */
static uint64_t rate, rate_began, rate_sent;
static uint32_t turn;

/* What the command under way waits for, if one is under way. */
static enum { NOTHING, OPENED, BACK, GONE } waiting;
static int under_way;
static char answer[128]; /* why it failed */
static struct conn *dead; /* to be freed when this batch of events is done */

static void fail(const char *why)
{
	if (!*answer)
		snprintf(answer, sizeof answer, "error %s", why);
}

static void connect_next(int churns);

static void drop(struct conn *c, int asked)
{
	if (c->state == FREE)
		return;
	if (c->state == CONNECTING || c->state == SHAKING) {
		opening--;
		counters->failed++;
		fail("a handshake failed");
	} else {
		counters->open--;
		outstanding -= c->sent - c->received;
		if (asked)
			counters->cycles++;
		else {
			counters->lost++;
			fail("a connection was lost");
		}
	}
	close(c->fd);
	free(c->pending);
	conns[c->index] = NULL;
	idle[idles++] = c->index;
	/* Events of this batch may still speak of it. */
	c->state = FREE;
	c->next_dead = dead;
	dead = c;
	churned -= c->churning;
	if (c->churning && churning)
		connect_next(1);
}

static void bury(void)
{
	while (dead) {
		struct conn *c = dead;
		dead = c->next_dead;
		free(c);
	}
}

static void connect_next(int churns)
{
	uint32_t index = idles ? idle[--idles] : used++;
	struct conn *c = allocate(sizeof *c);
	if (index >= MAX)
		die("too many connections");
	conns[index] = c;
	c->index = index;
	c->churning = (uint8_t)churns;
	churned += c->churning;
	c->state = CONNECTING;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	set(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (rcvbuf)
		set(c->fd, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	opening++;
	if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
		die("connect");
	watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void open_more(void)
{
	while (to_open && opening < parallel) {
		to_open--;
		connect_next(0);
	}
}

/* deliver writes bytes and keeps what is left. False: the connection is gone. */
static int deliver(struct conn *c, const uint8_t *p, size_t n)
{
	ssize_t wrote = 0;
	if (!c->pending) {
		wrote = write(c->fd, p, n);
		if (wrote < 0 && errno != EAGAIN) {
			drop(c, 0);
			return 0;
		}
		if (wrote < 0)
			wrote = 0;
		counters->sent += (uint64_t)wrote;
		if ((size_t)wrote == n)
			return 1;
	}
	size_t left = n - (size_t)wrote, kept = c->end - c->at;
	uint8_t *all = allocate(kept + left);
	if (c->pending)
		memcpy(all, c->pending + c->at, kept);
	memcpy(all + kept, p + wrote, left);
	free(c->pending);
	c->pending = all;
	c->at = 0;
	c->end = kept + left;
	watch(epoll, EPOLL_CTL_MOD, c->fd, (c->stalled ? 0 : EPOLLIN) | EPOLLOUT, c);
	return 1;
}

/* say sends the next message of a connection, which was due at a time. */
static int say(struct conn *c, uint64_t due)
{
	struct stamp stamp = {due, c->index, c->sent};
	memcpy(message + message_head, &stamp, sizeof stamp);
	c->sent++;
	outstanding++;
	return deliver(c, message, message_size);
}

static void prepare(size_t size)
{
	payload_size = size < STAMP ? STAMP : size;
	free(message);
	message = allocate(payload_size + 14);
	message_head = put_head(message, 0x80 | BINARY, payload_size, 1);
	message_size = message_head + payload_size;
}

static void send_close(struct conn *c)
{
	uint8_t frame[8] = {0x80 | CLOSE, 128 | 2, 0, 0, 0, 0, 1000 >> 8, 1000 & 255};
	c->state = CLOSING;
	deliver(c, frame, sizeof frame);
}

/* heard is called at the end of a data message. False: the connection is gone. */
static int heard(struct conn *c)
{
	struct stamp stamp;
	counters->messages++;
	if (!c->sent || c->sent == c->received)
		return 1; /* Somebody floods us. */
	memcpy(&stamp, c->stamp, sizeof stamp);
	if (c->in.length != payload_size || stamp.conn != c->index || stamp.number != c->received)
		counters->wrong++;
	c->received++;
	outstanding--;
	uint64_t now = now_ns();
	observe(now - stamp.due);
	return !talking || c->state != OPEN || say(c, now);
}

/* receive takes n bytes of the server. */
static void receive(struct conn *c, const uint8_t *p, size_t n)
{
	struct frame *f = &c->in;
	counters->received += n;
	while (n) {
		if (!f->ready) {
			size_t took = frame_head(f, p, n);
			p += took, n -= took;
			if (!f->ready)
				return;
		}
		size_t part = frame_payload(f, n);
		/* The stamp, or the payload of a ping as far as it goes. */
		if (f->at < STAMP)
			memcpy(c->stamp + f->at, p, part < STAMP - f->at ? part : STAMP - f->at);
		f->at += part;
		p += part, n -= part;
		if (f->at < f->length)
			return;
		if (f->opcode == CLOSE && c->state == OPEN) {
			drop(c, 0); /* We have not asked for it. */
			return;
		}
		/* A flood has no room for a pong between two of its writes. */
		if (f->opcode == PING && !flooding) {
			uint8_t pong[6 + STAMP];
			size_t size = f->length < STAMP ? (size_t)f->length : STAMP;
			size_t head = put_head(pong, 0x80 | PONG, size, 1);
			memcpy(pong + head, c->stamp, size);
			counters->pings++;
			if (!deliver(c, pong, head + size))
				return;
		}
		if (f->opcode < CLOSE && f->fin && !heard(c))
			return;
		frame_next(f);
	}
}

/* shaken takes the answer to a handshake and what follows it. */
static void shaken(struct conn *c, size_t n)
{
	char *head = (char *)input, *end = memmem(head, n, "\r\n\r\n", 4);
	if (!end && n < HEADS) {
		c->pending = allocate(n);
		memcpy(c->pending, input, n);
		c->end = n;
		return;
	}
	if (!end || strncmp(head, "HTTP/1.1 101 ", 13) || !memmem(head, (size_t)(end - head), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) {
		fprintf(stderr, "answer to the handshake: %.*s\n", (int)(end ? end - head : 200), head);
		drop(c, 0);
		return;
	}
	c->state = OPEN;
	opening--;
	counters->open++;
	size_t at = (size_t)(end + 4 - head);
	if (c->churning)
		send_close(c);
	if (c->state != FREE)
		receive(c, input + at, n - at);
	open_more();
}

static void readable(struct conn *c)
{
	size_t had = 0;
	if (c->state == SHAKING && c->pending) {
		had = c->end;
		memcpy(input, c->pending, had);
		free(c->pending);
		c->pending = NULL;
		c->end = 0;
	}
	ssize_t n = read(c->fd, input + had, sizeof input - had);
	if (n < 0 && errno == EAGAIN && !had)
		return;
	if (n <= 0)
		drop(c, n == 0 && c->state == CLOSING);
	else if (c->state == SHAKING)
		shaken(c, had + (size_t)n);
	else
		receive(c, input, (size_t)n);
}

static void writable(struct conn *c)
{
	if (c->state == CONNECTING) {
		c->state = SHAKING;
		if (write(c->fd, request, request_size) != (ssize_t)request_size) {
			drop(c, 0);
			return;
		}
		watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
		return;
	}
	const uint8_t *p = c->pending ? c->pending + c->at : pattern.bytes + c->offset;
	ssize_t n = write(c->fd, p, c->pending ? c->end - c->at : pattern.size - c->offset);
	if (n < 0) {
		if (errno != EAGAIN)
			drop(c, 0);
		return;
	}
	counters->sent += (uint64_t)n;
	if (!c->pending) {
		c->offset = (c->offset + (size_t)n) % pattern.size;
		return;
	}
	c->at += (size_t)n;
	if (c->at < c->end)
		return;
	free(c->pending);
	c->pending = NULL;
	c->at = c->end = 0;
	watch(epoll, EPOLL_CTL_MOD, c->fd, (c->stalled ? 0 : EPOLLIN) | (flooding ? EPOLLOUT : 0), c);
}

/* tick sends what is due at the rate that was asked for. */
static void tick(void)
{
	uint64_t fired, now = now_ns();
	if (read(timer, &fired, sizeof fired) < 0)
		return;
	if (!rate || !used)
		return;
	for (uint64_t due; (due = rate_began + rate_sent * 1000000000 / rate) <= now; rate_sent++) {
		struct conn *c = NULL;
		for (uint32_t tries = 0; tries < used && (!c || c->state != OPEN); tries++)
			c = conns[turn++ % used];
		if (!c || c->state != OPEN || !say(c, due))
			return;
	}
}

static void set_rate(uint64_t per_second)
{
	struct itimerspec t = {0};
	rate = per_second;
	rate_sent = 0;
	rate_began = now_ns();
	if (rate) {
		uint64_t every = 1000000000 / rate;
		t.it_interval.tv_sec = (time_t)(every / 1000000000);
		t.it_interval.tv_nsec = (long)(every % 1000000000);
		t.it_value = t.it_interval;
	}
	timerfd_settime(timer, 0, &t, NULL);
}

static void set_target(const char *host, const char *port, const char *path, size_t head)
{
	target = address(host, port);
	/* What a browser sends, more or less. */
	int n = snprintf(request, sizeof request,
		"GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
		"Upgrade: websocket\r\nOrigin: http://%s:%s\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n"
		"Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", path, host, port, host, port);
	const char cookie[] = "Cookie: session=";
	if (head > (size_t)n + sizeof cookie + 3 && head < sizeof request) {
		size_t pad = head - (size_t)n - (sizeof cookie - 1) - 4;
		memcpy(request + n, cookie, sizeof cookie - 1);
		n += (int)sizeof cookie - 1;
		memset(request + n, 'x', pad);
		n += (int)pad;
		memcpy(request + n, "\r\n", 2);
		n += 2;
	}
	memcpy(request + n, "\r\n", 2);
	request_size = (size_t)n + 2;
}

/* each calls a function for every open connection. */
static void each(void (*f)(struct conn *))
{
	for (uint32_t i = 0; i < used; i++)
		if (conns[i] && conns[i]->state == OPEN)
			f(conns[i]);
}

static void say_now(struct conn *c) { say(c, now_ns()); }
static void flood(struct conn *c) { watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT, c); }

/* start sends a message to which no echo belongs. */
static void start(struct conn *c) { deliver(c, message, message_size); }

static void stall(struct conn *c)
{
	c->stalled = 1;
	watch(epoll, EPOLL_CTL_MOD, c->fd, c->pending ? EPOLLOUT : 0, c);
}

static void reset(struct conn *c) { drop(c, 1); }

static void obey(char *line)
{
	char host[64], port[16], path[256];
	size_t a, b, d;
	*answer = 0;
	waiting = NOTHING;
	if (sscanf(line, "open %63s %15s %255s %u %u %zu %d", host, port, path, &to_open, &parallel, &d, &rcvbuf) == 7) {
		set_target(host, port, path, d);
		waiting = OPENED;
		open_more();
	} else if (sscanf(line, "churn %63s %15s %255s %u", host, port, path, &parallel) == 4) {
		set_target(host, port, path, 0);
		churning = 1;
		for (uint32_t i = 0; i < parallel; i++)
			connect_next(1);
	} else if (sscanf(line, "talk %zu", &a) == 1) {
		prepare(a);
		talking = 1;
		each(say_now);
	} else if (sscanf(line, "say %zu", &a) == 1) {
		prepare(a);
		waiting = BACK;
		each(say_now);
	} else if (sscanf(line, "rate %zu %zu", &a, &b) == 2) {
		prepare(a);
		set_rate(b);
	} else if (sscanf(line, "flood %zu", &a) == 1) {
		fill(&pattern, a, 1);
		flooding = 1;
		each(flood);
	} else if (!strcmp(line, "go")) {
		prepare(STAMP);
		each(start);
	} else if (!strcmp(line, "stall")) {
		each(stall);
	} else if (!strcmp(line, "quiet")) {
		talking = churning = 0;
		set_rate(0);
		waiting = BACK;
	} else if (!strcmp(line, "close")) {
		waiting = GONE;
		each(send_close);
	} else if (!strcmp(line, "reset")) {
		flooding = 0;
		each(reset);
	} else {
		fail("this is no command");
	}
	under_way = 1;
}

/* finish answers the command under way if it is over. */
static void finish(void)
{
	if (!under_way)
		return;
	if (!*answer) {
		if (waiting == OPENED && (to_open || opening))
			return;
		if (waiting == BACK && (outstanding || churned))
			return;
		if (waiting == GONE && counters->open)
			return;
	}
	under_way = 0;
	waiting = NOTHING;
	printf("%s\n", *answer ? answer : "ok");
	fflush(stdout);
}

static void command(void)
{
	static char line[1024];
	static size_t have;
	ssize_t n = read(0, line + have, sizeof line - 1 - have);
	if (n == 0)
		exit(0);
	if (n < 0)
		die("stdin");
	have += (size_t)n;
	line[have] = 0;
	char *end = strchr(line, '\n');
	if (!end)
		return;
	*end = 0;
	have = 0; /* The next command comes after the answer to this one. */
	obey(line);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: load COUNTERS\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	map_counters(argv[1]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	static int in, ticks; /* Their addresses tell them from connections. */
	watch(epoll, EPOLL_CTL_ADD, 0, EPOLLIN, &in);
	watch(epoll, EPOLL_CTL_ADD, timer, EPOLLIN, &ticks);
	for (;;) {
		struct epoll_event events[BATCH];
		int n = epoll_wait(epoll, events, BATCH, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			void *who = events[i].data.ptr;
			if (who == &in)
				command();
			else if (who == &ticks)
				tick();
			else if (((struct conn *)who)->state == FREE)
				continue;
			else if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
				readable(who);
			else
				writable(who);
		}
		bury();
		finish();
	}
}
