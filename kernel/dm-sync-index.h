/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table chunk -> 32 bits that is read without a lock.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_INDEX_H
#define DM_SYNC_INDEX_H

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/types.h>
#else
#include "store-shim.h"
#endif

#define DM_SYNC_LEAF_SHIFT	10
#define DM_SYNC_LEAF_CHUNKS	(1u << DM_SYNC_LEAF_SHIFT)
#define DM_SYNC_LEAF_SHARED	1ul	/* in a pointer to a leaf: another index frees it */

/* A value is a slot plus one, with this bit when the slot has no data. 0: no entry. */
#define DM_SYNC_INDEX_BAD	(1u << 31)

/**
 * struct dm_sync_index - the table
 * @nr_chunks: chunks it can tell apart
 * @nr: entries that are not 0; the writer's
 * @top: pointers to leaves, with DM_SYNC_LEAF_SHARED in bit 0; NULL until needed
 */
struct dm_sync_index {
	u64 nr_chunks;
	u64 nr;
	unsigned long *top;
};

void dm_sync_index_init(struct dm_sync_index *index, u64 nr_chunks);
int dm_sync_index_prepare(struct dm_sync_index *index);
int dm_sync_index_reserve(struct dm_sync_index *index, u64 chunk);
int dm_sync_index_set(struct dm_sync_index *index, u64 chunk, u32 value);
u64 dm_sync_index_next(const struct dm_sync_index *index, u64 from);
void dm_sync_index_clear(struct dm_sync_index *index);
void dm_sync_index_destroy(struct dm_sync_index *index);

u64 dm_sync_index_nr_leaves(const struct dm_sync_index *index);
bool dm_sync_index_has_leaf(const struct dm_sync_index *index, u64 leaf);
void dm_sync_index_share(struct dm_sync_index *index, struct dm_sync_index *from, u64 leaf);

static inline u32 *dm_sync_index_leaf(const struct dm_sync_index *index, u64 leaf)
{
	unsigned long *top = READ_ONCE(index->top);

	if (!top)
		return NULL;
	return (u32 *)(READ_ONCE(top[leaf]) & ~DM_SYNC_LEAF_SHARED);
}

/**
 * dm_sync_index_get - look a chunk up
 * @index: the table; it and its leaves are kept by RCU, or by the writer's being
 *	the caller
 * @chunk: below nr_chunks
 *
 * Takes no lock. A chunk whose entry is being set is seen with it or without.
 *
 * Context: any.
 * Return: its value, 0 when it has none.
 */
static inline u32 dm_sync_index_get(const struct dm_sync_index *index, u64 chunk)
{
	const u32 *leaf = dm_sync_index_leaf(index, chunk >> DM_SYNC_LEAF_SHIFT);

	return leaf ? READ_ONCE(leaf[chunk & (DM_SYNC_LEAF_CHUNKS - 1)]) : 0;
}

#endif /* DM_SYNC_INDEX_H */
