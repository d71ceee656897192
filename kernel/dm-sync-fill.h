/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast a store fills, and when it will be full.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_FILL_H
#define DM_SYNC_FILL_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

#define DM_SYNC_FILL_WINDOW_MS	300000u

/**
 * struct dm_sync_fill - what was taken lately
 * @begin: of the present window, ms; nothing was counted yet while @counting is false
 * @now: slots taken in this window
 * @before: in the one before
 * @counting: something was taken once
 * @whole: there was a window before this one
 */
struct dm_sync_fill {
	u64 begin;
	u64 now, before;
	bool counting, whole;
};

void dm_sync_fill_add(struct dm_sync_fill *f, u64 ms, u32 slots);
u64 dm_sync_fill_rate(const struct dm_sync_fill *f, u64 ms, unsigned int shift);
int dm_sync_fill_seconds(const struct dm_sync_fill *f, u64 ms, u32 left);

#endif /* DM_SYNC_FILL_H */
