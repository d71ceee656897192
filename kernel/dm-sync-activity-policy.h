/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which slots of the activity table to reuse, and when to start a commit.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_ACTIVITY_POLICY_H
#define DM_SYNC_ACTIVITY_POLICY_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif
#include "dm-sync-block-codec.h"

#define DM_SYNC_CLOCK_WORTH	32u
#define DM_SYNC_GATHER		8u
#define DM_SYNC_LINGER_WORTH	8u

/**
 * struct dm_sync_clock - a clock hand in each block of the table
 * @nr_blocks: of the table
 * @cur: the block being refilled
 * @passed: slots of it that the hand passed since it became the current one
 * @hand: where each block's search goes on
 */
struct dm_sync_clock {
	unsigned int nr_blocks, cur, passed;
	u16 hand[DM_SYNC_ACTIVITY_BLOCKS];
};

/**
 * struct dm_sync_clock_ops - what the policy asks of the table
 * @usable: the slot is free or its extent could be evicted now
 * @take: make the slot free; with @chance an extent used since the hand last
 *	came by is spared once. True when the slot is free now.
 */
struct dm_sync_clock_ops {
	bool (*usable)(void *context, unsigned int slot);
	bool (*take)(void *context, unsigned int slot, bool chance);
};

void dm_sync_clock_init(struct dm_sync_clock *clock, unsigned int nr_blocks);
unsigned int dm_sync_clock_pick(struct dm_sync_clock *clock,
				const struct dm_sync_clock_ops *ops, void *context,
				u16 *slots, unsigned int need, bool any);
bool dm_sync_gather_ready(unsigned int waiting, int outstanding);
bool dm_sync_gather_full(unsigned int waiting, unsigned int peak);
unsigned int dm_sync_gather_peak(unsigned int peak, unsigned int group, bool lingered);

#endif /* DM_SYNC_ACTIVITY_POLICY_H */
