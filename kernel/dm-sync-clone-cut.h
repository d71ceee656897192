/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes through a clone's replica door: which of them are of whole regions, and where
 * a long one is cut so that each part is either that or within one region.
 *
 * Plain C without kernel calls; shifts and lengths are in sectors.
 */
#ifndef DM_SYNC_CLONE_CUT_H
#define DM_SYNC_CLONE_CUT_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/**
 * dm_sync_clone_cut - how much of a write is taken on at once
 * @sector: where it starts
 * @sectors: its length, at least 1
 * @region: shift of the regions
 * @extent: shift of the extents, at least @region: no range straddles one
 *
 * Return: a length, at least 1 and at most @sectors: whole regions within one extent,
 * or what is within one region.
 */
static inline u64 dm_sync_clone_cut(u64 sector, u64 sectors, unsigned int region,
				    unsigned int extent)
{
	u64 size = 1ULL << region, in = sector & (size - 1);
	u64 room = size - in, left;

	if (!in && sectors > size) {
		room = sectors & ~(size - 1);
		left = (1ULL << extent) - (sector & ((1ULL << extent) - 1));
		if (room > left)
			room = left;
	}
	return sectors < room ? sectors : room;
}

/**
 * dm_sync_clone_whole - are these whole regions
 * @sector: first sector
 * @last: last sector
 * @region: shift of the regions
 * @end: size of the pair, whose last region may be shorter
 */
static inline bool dm_sync_clone_whole(u64 sector, u64 last, unsigned int region, u64 end)
{
	u64 mask = (1ULL << region) - 1;

	return !(sector & mask) && (!((last + 1) & mask) || last + 1 == end);
}

#endif /* DM_SYNC_CLONE_CUT_H */
