/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata of a pair, read by somebody who is not the module.
 *
 * Written from the description of the format and not from the module's code,
 * so that a mistake in one of them shows.
 *
 * A block is 4 KiB and has two homes, at the 4 KiB units 2n and 2n+1. Block 0
 * is the superblock, then come the activity table, the source map and the
 * replica map.
 */
#ifndef CRASH_META_H
#define CRASH_META_H

#include "crash.h"

#define META_BLOCK	4096u
#define META_HEADER	64u
#define META_MAGIC	0x636e5953u
#define META_BITS	((META_BLOCK - META_HEADER) * 8u)
#define META_SLOTS	((META_BLOCK - META_HEADER) / 8u)
#define META_TABLE_MAX	8u

enum { META_SUPER = 1, META_ACTIVITY = 2, META_SOURCE = 3, META_REPLICA = 4 };

#define SUPER_CLEAN	(1u << 0)
#define SUPER_RESTORING	(1u << 3)
#define SUPER_LOST	(1u << 8)

struct meta_header {
	uint32_t magic, crc;
	uint64_t seq, epoch;
	uint8_t uuid[16];
	uint16_t type, reserved0;
	uint32_t index;
	uint8_t reserved1[16];
} __attribute__((packed));

struct meta_super {
	struct meta_header header;
	uint32_t version, incompat, flags, region_sectors, extent_sectors, generation;
	uint64_t sectors, map_epoch, activity_epoch;
	uint64_t established, sync_time, synced_until, reason_time;
	uint32_t reason;
	uint8_t sync_type, copy_type, methodology, priority;
	uint8_t copy_state, progress, requested, reserved;
} __attribute__((packed));

struct meta_slot {
	uint32_t extent, flags;
} __attribute__((packed));

static inline uint32_t crc32c_update(uint32_t crc, const void *data, size_t bytes)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t i, k, c;

	if (!table[1])
		for (i = 0; i < 256; i++) {
			for (c = i, k = 0; k < 8; k++)
				c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
			table[i] = c;
		}
	while (bytes--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

static inline bool meta_valid(const void *block)
{
	const struct meta_header *h = block;

	return h->magic == META_MAGIC && h->seq &&
	       h->crc == ~crc32c_update(~0u, (const char *)block + 8, META_BLOCK - 8);
}

/* The newest valid copy of block @nr that is of this type and index, or NULL. */
static inline const void *meta_newest(const void *meta, uint32_t nr, uint16_t type,
				      uint32_t index, uint64_t epoch)
{
	const struct meta_header *best = NULL;
	unsigned int home;

	for (home = 0; home < 2; home++) {
		const struct meta_header *h = (const void *)((const char *)meta +
				(2ull * nr + home) * META_BLOCK);

		if (!meta_valid(h) || h->type != type || h->index != index ||
		    h->epoch != epoch)
			continue;
		if (!best || h->seq > best->seq)
			best = h;
	}
	return best;
}

static inline const struct meta_super *meta_super_of(const void *meta)
{
	return meta_newest(meta, 0, META_SUPER, 0, 0);
}

static inline uint64_t ceil_div(uint64_t n, uint64_t d)
{
	return (n + d - 1) / d;
}

static inline uint64_t meta_regions(const struct meta_super *s)
{
	return ceil_div(s->sectors, s->region_sectors);
}

static inline uint32_t meta_table_blocks(const struct meta_super *s)
{
	uint64_t n = ceil_div(ceil_div(s->sectors, s->extent_sectors), META_SLOTS);

	return n < META_TABLE_MAX ? n : META_TABLE_MAX;
}

static inline uint32_t meta_map_blocks(const struct meta_super *s)
{
	return ceil_div(meta_regions(s), META_BITS);
}

static inline bool meta_bit(const void *block, uint32_t bit)
{
	return ((const uint8_t *)block)[META_HEADER + bit / 8] >> bit % 8 & 1;
}

/* Block @i of a map as it is to be believed, or NULL. */
static inline const void *meta_map(const void *meta, const struct meta_super *s,
				   uint16_t type, uint32_t i)
{
	uint32_t nr = 1 + meta_table_blocks(s) + i +
		      (type == META_REPLICA ? meta_map_blocks(s) : 0);

	return meta_newest(meta, nr, type, i, s->map_epoch);
}

/* Is the region marked in its block? One that is not there marks everything. */
static inline bool meta_marked(const void *block, uint64_t region)
{
	return !block || meta_bit(block, region % META_BITS);
}

static inline const char *meta_state_name(uint8_t copy_state)
{
	static const char *const names[] = {
		[2] = "Initialized", [3] = "Unsynchronized", [4] = "Synchronized",
		[5] = "Broken", [6] = "Fractured", [7] = "Split", [8] = "Inactive",
		[9] = "Suspended", [10] = "Failedover", [11] = "Prepared",
		[12] = "Aborted", [13] = "Skewed", [14] = "Mixed", [15] = "Not Applicable",
	};

	return copy_state < 16 && names[copy_state] ? names[copy_state] : "?";
}

#endif
