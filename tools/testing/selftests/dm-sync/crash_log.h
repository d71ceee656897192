/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log of a dm-log-writes device.
 *
 * A super block in the first sector, then entries: a header in a sector of its
 * own, followed by the data of a write; a mark's text stands behind the header
 * in the same sector. A write with FUA is logged when it completed, any other
 * when a flush completed that was sent after it had completed. So every prefix
 * of the log is a state in which a power cut may leave the device, namely the
 * one in which nothing survived that was not promised. When flushes overlap it may lag
 * behind that: what was promised by the one that ended first may be logged with the other
 * (see flushes_settle() in crash_load.c).
 */
#ifndef CRASH_LOG_H
#define CRASH_LOG_H

#include <fcntl.h>
#include "crash.h"

#define LOG_MAGIC	0x6a736677736872ull
#define LOG_FLUSH	1u
#define LOG_FUA		2u
#define LOG_DISCARD	4u
#define LOG_MARK	8u
#define LOG_METADATA	16u

struct log_super_disk {
	uint64_t magic, version, nr_entries;
	uint32_t sectorsize;
} __attribute__((packed));

struct log_entry_disk {
	uint64_t sector, nr_sectors, flags, data_len;
} __attribute__((packed));

/* sector and sectors of 512 bytes, whatever the unit of the log */
struct log_entry {
	uint64_t sector, sectors;
	uint64_t data;			/* where in the log, bytes */
	uint32_t flags;
	char *mark;
};

struct log {
	int fd;
	uint32_t unit;
	size_t nr;
	struct log_entry *entry;
};

static inline uint64_t log_read_entry(struct log *log, uint64_t at, struct log_entry *e)
{
	struct log_entry_disk *d = must_alloc(log->unit);
	unsigned int scale = log->unit / SECTOR;

	pread_all(log->fd, d, log->unit, at, "the log");
	*e = (struct log_entry) {
		.sector = d->sector * scale,
		.sectors = d->nr_sectors * scale,
		.data = at + log->unit,
		.flags = d->flags,
	};
	at += log->unit;
	if (d->flags & LOG_MARK) {
		if (d->data_len > log->unit - sizeof(*d))
			die("a mark in the log is too long");
		e->mark = strndup((char *)(d + 1), d->data_len);
		e->sectors = 0;
	} else if (!(d->flags & LOG_DISCARD)) {
		at += d->nr_sectors * log->unit;
	}
	free(d);
	return at;
}

static inline void log_open(struct log *log, const char *path)
{
	struct log_super_disk *s = must_alloc(4096);
	uint64_t at;
	size_t i;

	log->fd = open(path, O_RDONLY);
	if (log->fd < 0)
		die("%s: %s", path, strerror(errno));
	pread_all(log->fd, s, SECTOR, 0, "the log");
	if (s->magic != LOG_MAGIC)
		die("%s is not a log of dm-log-writes", path);
	log->unit = s->sectorsize ? s->sectorsize : SECTOR;
	log->nr = s->nr_entries;
	log->entry = calloc(log->nr + 1, sizeof(*log->entry));
	if (!log->entry)
		die("out of memory");
	at = log->unit;
	for (i = 0; i < log->nr; i++)
		at = log_read_entry(log, at, &log->entry[i]);
	free(s);
}

/* The data of a write; the caller frees it. */
static inline void *log_data(struct log *log, const struct log_entry *e)
{
	void *data = must_alloc(e->sectors * SECTOR);

	if (!(e->flags & LOG_DISCARD))
		pread_all(log->fd, data, e->sectors * SECTOR, e->data, "the log");
	return data;
}

#endif
