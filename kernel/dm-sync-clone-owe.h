/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * May a host write to the replica before the disk knows of it?  What the maps say.
 *
 * What must never be: U(r) clear on disk, T(r) not set there, and the write issued.
 * A commit makes its image of U first, then T durable, then flushes the replica, then
 * writes the image.  So a write may go while U(r) is set on disk, if T(r) was set in
 * memory before U(r) was cleared there: an image without U(r) is then made after T(r)
 * was set, and T(r) is durable before it.  A power cut before finds U(r) set: the region is
 * the image's again, and nobody has flushed that write.
 *
 * T(r) is therefore set either while U(r) is set, as one step with that look, or where
 * U(r) is clear on disk; and then the write waits until T(r) is durable, too.  It is
 * never set where U(r) is clear in memory only.  Hence, where that is so and T(r)
 * is set, it was set first.
 *
 * Plain C without kernel calls.
 */
#ifndef DM_SYNC_CLONE_OWE_H
#define DM_SYNC_CLONE_OWE_H

#include "dm-sync.h"

/* What was found of the regions of a write; together they are a mask. */
enum {
	DM_SYNC_CLONE_UNCOPIED	= 1 << 0,	/* to be copied, and now marked in T */
	DM_SYNC_CLONE_OWED	= 1 << 1,	/* copied, U clear in memory only, T set first */
	DM_SYNC_CLONE_OWN	= 1 << 2,	/* U clear on disk */
	DM_SYNC_CLONE_UNSETTLED	= 1 << 3,	/* a commit must succeed first */
};

/**
 * dm_sync_clone_claim_one - take a region for a write of the replica's host
 * @uncopied: the map U
 * @written: the map T
 * @region: the region
 *
 * A mark in U that is not durable may be missing on disk, so it protects nothing.
 *
 * Context: any; no mark of @uncopied is cleared meanwhile but by one who has claimed.
 * Return: what was found.
 */
static inline u8 dm_sync_clone_claim_one(struct dm_sync_map *uncopied,
					 struct dm_sync_map *written, u64 region)
{
	switch (dm_sync_map_look(uncopied, region)) {
	case DM_SYNC_MAP_MARKED:
		dm_sync_map_set(written, region);
		return DM_SYNC_CLONE_UNCOPIED;
	case DM_SYNC_MAP_MARKING:
		dm_sync_map_set(written, region);
		return DM_SYNC_CLONE_UNCOPIED | DM_SYNC_CLONE_UNSETTLED;
	case DM_SYNC_MAP_CLEARING:
		return dm_sync_map_test(written, region) ? DM_SYNC_CLONE_OWED :
							   DM_SYNC_CLONE_UNSETTLED;
	case DM_SYNC_MAP_UNSURE:
		return DM_SYNC_CLONE_UNSETTLED;
	case DM_SYNC_MAP_CLEAR:
		break;
	}
	return DM_SYNC_CLONE_OWN;
}

#endif /* DM_SYNC_CLONE_OWE_H */
