/* Copyright The wsproxy Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/* Sec-WebSocket-Accept of RFC 6455 section 4.2.2: base64 of the SHA-1 (FIPS
 * 180-4) of the key and a constant. The backend needs it because proxies that
 * are clients of their own check it. */
#ifndef WSPROXY_BENCH_SHA1_H
#define WSPROXY_BENCH_SHA1_H

#include <stdint.h>
#include <string.h>

static inline uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static inline void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k;
		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		uint32_t t = rotate(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotate(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* accept_of writes 28 characters and a zero for a key of 24 characters. */
static inline void accept_of(const char key[24], char accept[29])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t text[128] = {0}, sum[21] = {0};
	const size_t n = 24 + 36; /* The padding needs 9 bytes more than the first block has. */
	memcpy(text, key, 24);
	memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
	text[n] = 0x80;
	text[126] = (uint8_t)(n * 8 >> 8);
	text[127] = (uint8_t)(n * 8);
	sha1_block(h, text);
	sha1_block(h, text + 64);
	for (int i = 0; i < 20; i++)
		sum[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
	for (int i = 0; i < 7; i++) {
		uint32_t v = (uint32_t)sum[3 * i] << 16 | (uint32_t)sum[3 * i + 1] << 8 | sum[3 * i + 2];
		for (int j = 0; j < 4; j++)
			accept[4 * i + j] = digits[v >> (18 - 6 * j) & 63];
	}
	accept[27] = '=';
	accept[28] = 0;
}

#endif
