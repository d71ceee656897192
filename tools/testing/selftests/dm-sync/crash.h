/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the crash tests have in common: stamped sectors, and little helpers.
 *
 * Every sector that a test writes says where it belongs and when it was
 * written; the rest of it is a function of both. So a checker tells a stale
 * sector from a misplaced one, a torn one and one that nobody wrote.
 *
 * The time of a write is its sequence number: nanoseconds of the clock, made
 * unique in a process. So writers in several processes and machines, one after
 * another, need no counter in common.
 */
#ifndef CRASH_H
#define CRASH_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTOR		512u
#define STAMP_MAGIC	0x64656d6d61747353ull
#define STAMP_WORDS	(SECTOR / 8)

static inline void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# error: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static inline void *must_alloc(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, 4096, bytes ? bytes : 4096))
		die("out of memory");
	memset(p, 0, bytes);
	return p;
}

static inline uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (end == text || *end)
		die("not a number: %s", text);
	return n;
}

static inline double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void pread_all(int fd, void *buf, size_t bytes, uint64_t offset,
			     const char *what)
{
	while (bytes) {
		ssize_t got = pread(fd, buf, bytes, offset);

		if (got <= 0)
			die("reading %s at %llu: %s", what,
			    (unsigned long long)offset, got ? strerror(errno) : "end");
		buf = (char *)buf + got;
		bytes -= got;
		offset += got;
	}
}

static inline void pwrite_all(int fd, const void *buf, size_t bytes, uint64_t offset,
			      const char *what)
{
	while (bytes) {
		ssize_t done = pwrite(fd, buf, bytes, offset);

		if (done <= 0)
			die("writing %s at %llu: %s", what,
			    (unsigned long long)offset, done ? strerror(errno) : "end");
		buf = (const char *)buf + done;
		bytes -= done;
		offset += done;
	}
}

/* A small generator of our own: its numbers are the same everywhere. */
static inline uint64_t chance(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline void stamp(void *sector, uint64_t lba, uint64_t seq)
{
	uint64_t *w = sector, mix = (lba + 1) * 0x9e3779b97f4a7c15ull ^ seq;
	unsigned int i;

	w[0] = STAMP_MAGIC;
	w[1] = lba;
	w[2] = seq;
	for (i = 3; i < STAMP_WORDS; i++)
		w[i] = mix + i;
}

enum stamp_fault { STAMP_OK, STAMP_NONE, STAMP_MISPLACED, STAMP_TORN };

static inline enum stamp_fault stamp_check(const void *sector, uint64_t lba, uint64_t *seq)
{
	const uint64_t *w = sector;
	uint64_t mix = (w[1] + 1) * 0x9e3779b97f4a7c15ull ^ w[2];
	unsigned int i;

	*seq = w[2];
	if (w[0] != STAMP_MAGIC)
		return STAMP_NONE;
	for (i = 3; i < STAMP_WORDS; i++)
		if (w[i] != mix + i)
			return STAMP_TORN;
	return w[1] == lba ? STAMP_OK : STAMP_MISPLACED;
}

static inline const char *stamp_fault_name(enum stamp_fault f)
{
	static const char *const names[] = { "intact", "never written", "misplaced", "torn" };

	return names[f];
}

#endif
