// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which slots of the activity table to reuse, and when to start a commit.
 *
 * One metadata write carries every changed slot of one block, so the price of a
 * group of cold writes is the number of blocks its victims live in. The victims
 * are therefore taken from one block, the current one, until its hand has gone
 * round; then the next block becomes the current one. Each block keeps its hand,
 * so a slot that is passed over at the end of a round is the first of the next.
 *
 * Called by the one committer only; no locks, no state but the clock's.
 */
#ifdef __KERNEL__
#include <linux/minmax.h>
#include <linux/string.h>
#endif

#include "dm-sync-activity-policy.h"

/**
 * dm_sync_clock_init - start at the first slot of the first block
 * @clock: to be set up
 * @nr_blocks: of the table, 1 to DM_SYNC_ACTIVITY_BLOCKS
 */
void dm_sync_clock_init(struct dm_sync_clock *clock, unsigned int nr_blocks)
{
	memset(clock, 0, sizeof(*clock));
	clock->nr_blocks = nr_blocks;
}

static unsigned int slot_at(struct dm_sync_clock *clock, unsigned int block,
			    unsigned int step)
{
	return block * DM_SYNC_ACTIVITY_SLOTS +
	       (clock->hand[block] + step) % DM_SYNC_ACTIVITY_SLOTS;
}

static bool worth_it(struct dm_sync_clock *clock,
		     const struct dm_sync_clock_ops *ops, void *context,
		     unsigned int block, unsigned int enough)
{
	unsigned int i, found = 0;

	for (i = 0; i < DM_SYNC_ACTIVITY_SLOTS && found < enough; i++)
		if (ops->usable(context, slot_at(clock, block, i)))
			found++;
	return found >= enough;
}

/* First round: spare what was used lately; second: only what cannot go stays. */
static unsigned int sweep(struct dm_sync_clock *clock,
			  const struct dm_sync_clock_ops *ops, void *context,
			  unsigned int block, u16 *slots, unsigned int need)
{
	unsigned int i, slot, got = 0;

	if (clock->cur != block) {
		clock->cur = block;
		clock->passed = 0;
	}
	for (i = 0; i < 2 * DM_SYNC_ACTIVITY_SLOTS && got < need; i++) {
		slot = slot_at(clock, block, i);
		if (ops->take(context, slot, i < DM_SYNC_ACTIVITY_SLOTS))
			slots[got++] = slot;
	}
	clock->hand[block] = (clock->hand[block] + i) % DM_SYNC_ACTIVITY_SLOTS;
	clock->passed += i;
	return got;
}

/**
 * dm_sync_clock_pick - make slots free, in as few blocks as possible
 * @clock: the hands
 * @ops: how to look at a slot and how to free it
 * @context: for @ops
 * @slots: out: the slots that are free now
 * @need: how many are wanted
 * @any: take what there is; otherwise blocks that could give neither all that
 *	is wanted nor DM_SYNC_CLOCK_WORTH slots are left alone, because the
 *	caller can make more slots usable at the price of a flush
 *
 * Context: the committer.
 * Return: how many slots were put into @slots, at most @need.
 */
unsigned int dm_sync_clock_pick(struct dm_sync_clock *clock,
				const struct dm_sync_clock_ops *ops, void *context,
				u16 *slots, unsigned int need, bool any)
{
	unsigned int i, block, want, start = clock->cur, got = 0;

	/* do not come back to slots of this very round: they were just filled */
	if (clock->passed + min(need, DM_SYNC_ACTIVITY_SLOTS) > DM_SYNC_ACTIVITY_SLOTS)
		start = (start + 1) % clock->nr_blocks;
	if (start == clock->cur && clock->passed >= DM_SYNC_ACTIVITY_SLOTS)
		clock->passed = 0;

	for (i = 0; i < clock->nr_blocks && got < need; i++) {
		block = (start + i) % clock->nr_blocks;
		want = min(need - got, DM_SYNC_ACTIVITY_SLOTS);
		if (!any && !worth_it(clock, ops, context, block,
				      min(want, DM_SYNC_CLOCK_WORTH)))
			continue;
		got += sweep(clock, ops, context, block, slots + got, want);
	}
	return got;
}

/**
 * dm_sync_gather_ready - is it time for a commit
 * @waiting: writes that wait for one
 * @outstanding: extents that the last commit released and whose write has not
 *	ended yet
 *
 * The first of a group of writes that comes back would start a commit of its own
 * and keep the others waiting for it: two groups of half the size, and twice the
 * metadata writes, for the same number of writes a second. So a commit waits
 * until most of the last group is back. It waits for nothing but the ends of
 * writes that are under way.
 *
 * Context: any.
 */
bool dm_sync_gather_ready(unsigned int waiting, int outstanding)
{
	return waiting && (outstanding <= 0 ||
			   (u64)outstanding * DM_SYNC_GATHER <= waiting);
}

/**
 * dm_sync_gather_full - is the group as large as lately
 * @waiting: writes that wait for a commit
 * @peak: writes that lately waited or were under way at once
 *
 * A host that sends its writes in bulk sends the next ones some time after the
 * last ones ended; a commit made in between splits the group in two that never
 * meet again. So once the last group is back, its successors are given a moment,
 * unless they are few anyway.
 *
 * Context: any.
 */
bool dm_sync_gather_full(unsigned int waiting, unsigned int peak)
{
	return peak < DM_SYNC_LINGER_WORTH || (u64)waiting * 8 >= (u64)peak * 7;
}

/**
 * dm_sync_gather_peak - how large a group is expected next
 * @peak: how large one was expected
 * @group: how large it was
 * @lingered: the commit waited for more in vain: expect much less
 *
 * Context: any.
 */
unsigned int dm_sync_gather_peak(unsigned int peak, unsigned int group, bool lingered)
{
	return max(group, peak - (lingered ? peak / 2 : peak / 8));
}
