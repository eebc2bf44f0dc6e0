/* Copyright The wsproxy Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/* What the three programs of the benchmark share: time, sockets, the page of
 * counters that the harness maps, and the parser of frame headers. */
#ifndef WSPROXY_BENCH_H
#define WSPROXY_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	/* Bytes of the one buffer that a process reads into, whichever the socket. */
	BUFFER = 256 << 10,
	/* Events that one epoll_wait returns. */
	BATCH = 256,
	/* Buckets of the latencies: 32 to an octave, so at most 3 % too long. */
	SUB_BITS = 5,
	BUCKETS = 64 << SUB_BITS,
};

/* The page of counters. The harness reads it while we write, hence one word each
 * and one writer. The order is that of type Counters in counters.go. */
struct counters {
	uint64_t open;     /* connections that are open now */
	uint64_t cycles;   /* connections that were opened and closed as they should */
	uint64_t failed;   /* handshakes that were not answered 101 */
	uint64_t lost;     /* connections that ended without being asked to */
	uint64_t wrong;    /* messages that are not the ones that were expected */
	uint64_t messages; /* data messages received */
	uint64_t received; /* bytes received after the handshake */
	uint64_t sent;     /* bytes sent after the handshake */
	uint64_t pings;    /* pings answered */
	uint64_t latency[BUCKETS]; /* nanoseconds from when a message was due to its echo */
};

static struct counters *counters;

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
	int error = errno;
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void *allocate(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		die("allocate %zu bytes", size);
	return p;
}

static inline void map_counters(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *counters) < 0)
		die("%s", path);
	counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		die("map %s", path);
	close(fd);
}

/* observe puts a latency into its bucket: exact below 2^SUB_BITS, then
 * 2^SUB_BITS buckets to an octave. */
static inline void observe(uint64_t ns)
{
	unsigned bucket = (unsigned)ns;
	if (ns >= 1u << SUB_BITS) {
		unsigned octave = 63 - (unsigned)__builtin_clzll(ns) - SUB_BITS;
		bucket = (octave << SUB_BITS) + (unsigned)(ns >> octave);
	}
	counters->latency[bucket]++;
}

static inline struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		errno = EINVAL;
		die("address %s", host);
	}
	return a;
}

static inline void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof value) < 0)
		die("setsockopt %d", option);
}

static inline int listen_on(const char *host, const char *port)
{
	struct sockaddr_in a = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* So that every worker has a queue of its own. */
	set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
		die("listen on %s:%s", host, port);
	return fd;
}

static inline void watch(int epoll, int op, int fd, uint32_t events, void *data)
{
	struct epoll_event e = {.events = events, .data.ptr = data};
	if (epoll_ctl(epoll, op, fd, &e) < 0)
		die("epoll_ctl");
}

/* Opcodes of RFC 6455 section 5.2. */
enum { BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* frame is where a stream of frames stands. */
struct frame {
	uint8_t head[14];
	uint8_t have;   /* bytes of the header */
	uint8_t ready;  /* whether the header is complete */
	uint8_t opcode; /* of this frame */
	uint8_t fin;
	uint8_t key[4];
	uint64_t length; /* of the payload */
	uint64_t at;     /* bytes of the payload that were seen */
};

/* frame_head takes bytes of a header and returns how many it took; ready says
 * whether it is complete. */
static inline size_t frame_head(struct frame *f, const uint8_t *p, size_t n)
{
	size_t took = 0;
	for (;;) {
		size_t need = 2;
		if (f->have >= 2) {
			uint8_t length = f->head[1] & 127;
			need += (f->head[1] & 128 ? 4 : 0) + (length == 127 ? 8 : length == 126 ? 2 : 0);
		}
		if (f->have >= 2 && f->have == need)
			break;
		if (took == n)
			return took;
		f->head[f->have++] = p[took++];
	}
	f->opcode = f->head[0] & 15;
	f->fin = f->head[0] >> 7;
	f->length = f->head[1] & 127;
	size_t at = 2, wide = f->length == 127 ? 8 : f->length == 126 ? 2 : 0;
	if (wide) {
		f->length = 0;
		while (wide--)
			f->length = f->length << 8 | f->head[at++];
	}
	memset(f->key, 0, sizeof f->key);
	if (f->head[1] & 128)
		memcpy(f->key, f->head + at, sizeof f->key);
	f->at = 0;
	f->ready = 1;
	return took;
}

/* frame_payload returns how many of n bytes belong to the payload. */
static inline size_t frame_payload(const struct frame *f, size_t n)
{
	uint64_t left = f->length - f->at;
	return n < left ? n : (size_t)left;
}

/* frame_next begins with the next header. */
static inline void frame_next(struct frame *f)
{
	f->have = 0;
	f->ready = 0;
}

/* put_head writes a header and returns its size. A masked one has the key zero,
 * under which a payload is what it was: masking is allowed to cost the two ends
 * nothing, for it is not they who are measured. */
static inline size_t put_head(uint8_t *p, uint8_t first, uint64_t length, int masked)
{
	size_t n = 2;
	uint8_t mask = masked ? 128 : 0;
	p[0] = first;
	if (length < 126) {
		p[1] = mask | (uint8_t)length;
	} else if (length < 1 << 16) {
		p[1] = mask | 126;
		p[2] = (uint8_t)(length >> 8);
		p[3] = (uint8_t)length;
		n = 4;
	} else {
		p[1] = mask | 127;
		for (int i = 0; i < 8; i++)
			p[2 + i] = (uint8_t)(length >> (56 - 8 * i));
		n = 10;
	}
	if (masked) {
		memset(p + n, 0, 4);
		n += 4;
	}
	return n;
}

/* pattern is a buffer full of whole equal frames, for those who flood. */
struct pattern {
	uint8_t *bytes;
	size_t size;
	uint64_t payload;
};

static inline void fill(struct pattern *p, uint64_t payload, int masked)
{
	uint8_t head[14];
	size_t one = put_head(head, 0x80 | BINARY, payload, masked) + (size_t)payload;
	size_t frames = one < BUFFER ? BUFFER / one : 1;
	if (p->bytes && p->payload == payload)
		return;
	free(p->bytes);
	p->payload = payload;
	p->size = frames * one;
	p->bytes = allocate(p->size);
	for (size_t i = 0; i < frames; i++)
		put_head(p->bytes + i * one, 0x80 | BINARY, payload, masked);
}

#endif
