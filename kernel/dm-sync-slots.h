/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which slots of a store are in use.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_SLOTS_H
#define DM_SYNC_SLOTS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include "store-shim.h"
#endif

/**
 * struct dm_sync_slots - which slots are in use
 * @nr: slots there are
 * @used: of which in use; slots that are held back count as free
 * @nr_blocks: slot blocks there are
 * @nr_empty: blocks of which no slot is in use or held back
 * @cursor: slot at which the search goes on
 * @newest: first slot that the newest batch filled
 * @newest_nr: how many it filled
 * @back: which of these were freed since and are held back; bit i is @newest + i
 * @back_nr: how many
 * @fill: of each block, slots in use or held back
 * @map: of each 64 blocks, 32 bytes for each: bit i is its slot i, in use or held back;
 *	NULL: all are
 * @spare: the bits that were given back last, or NULL
 */
struct dm_sync_slots {
	u32 nr, used;
	u32 nr_blocks, nr_empty;
	u32 cursor;
	u32 newest, newest_nr;
	u8 back[32];
	u32 back_nr;
	u8 *fill;
	u8 **map;
	u8 *spare;
};

int dm_sync_slots_init(struct dm_sync_slots *s, u32 nr);
void dm_sync_slots_exit(struct dm_sync_slots *s);
int dm_sync_slots_grow(struct dm_sync_slots *s, u32 nr);
bool dm_sync_slots_take(struct dm_sync_slots *s, u32 slot);
u32 dm_sync_slots_alloc(struct dm_sync_slots *s, u32 want, u32 *first);
void dm_sync_slots_skip(struct dm_sync_slots *s, u32 slot);
void dm_sync_slots_free(struct dm_sync_slots *s, u32 slot);
void dm_sync_slots_complete(struct dm_sync_slots *s, u32 first, u32 nr);
bool dm_sync_slots_in_use(const struct dm_sync_slots *s, u32 slot);

static inline u32 dm_sync_slots_nr_free(const struct dm_sync_slots *s)
{
	return s->nr - s->used;
}

/* Slots that dm_sync_slots_alloc() could give now. */
static inline u32 dm_sync_slots_nr_ready(const struct dm_sync_slots *s)
{
	return s->nr - s->used - s->back_nr;
}

#endif /* DM_SYNC_SLOTS_H */
