// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which slots of a store are in use.
 *
 * This is known in memory alone: after a start it follows from the entries and
 * from the images that there are (dm-sync-view.c). Freeing a slot writes nothing.
 *
 * A batch fills adjacent slots of one slot block, so that it is one stretch of
 * data and one block of 4 KiB. Search goes on where the last batch ended: a stream
 * of batches is a stream on the device, and one block takes many of them. At the
 * end of a block, or where a slot is in use, the next block that is free as a
 * whole comes first; holes are filled only when there is none left. As blocks are
 * gone through in order, space that was never used is entered in order, too.
 *
 * After a crash the data of the newest batch is held against its checksums, to
 * tell whether it was complete (dm-sync-store-codec.c). So it must still be there.
 * A slot of the newest batch that is freed is therefore held back: it is handed out
 * after the next batch is complete. If nothing else is left, a batch that fills no
 * slot does it.
 *
 * Memory: a byte for each slot block, which says how many of its slots are in use, and
 * bits of the slots, 2 KiB for a group of 64 blocks. A group of which every slot is in
 * use needs no bits, and has none: a store that is full of what is in use takes next to
 * nothing, and only what is neither full nor to be filled in order takes a bit a slot.
 * Groups have their bits from the beginning, so to take a slot never needs memory; to
 * free the first one of a full group does. As that must not fail, the bits that were
 * given back last are kept: so a batch that failed gives its slots back in any case. If
 * there is neither memory, nor a reserve of the kernel's, nor these, the slot goes on to
 * count as used, like one that a block that cannot be read has, until the store is
 * loaded again. That wastes space and harms nobody: nothing on disk says "free".
 *
 * The store's committer changes all this; counts may be read by anyone. No locks.
 */
#ifdef __KERNEL__
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#endif
#include <linux/errno.h>

#include "dm-sync-slots.h"
#include "dm-sync-store-codec.h"

#define BLOCK_SLOTS	DM_SYNC_BLOCK_SLOTS_NR
#define BLOCK_BYTES	32u
#define GROUP_BLOCKS	DM_SYNC_SEGMENT_BLOCKS
#define GROUP_SLOTS	(GROUP_BLOCKS * BLOCK_SLOTS)
#define GROUP_BYTES	(GROUP_BLOCKS * BLOCK_BYTES)

static u32 block_slots(const struct dm_sync_slots *s, u32 block)
{
	return min(s->nr - block * BLOCK_SLOTS, BLOCK_SLOTS);
}

static u32 nr_groups(u32 nr_blocks)
{
	return nr_blocks / GROUP_BLOCKS + !!(nr_blocks % GROUP_BLOCKS);
}

/* The bits of a block whose group has some. */
static u8 *block_map(const struct dm_sync_slots *s, u32 block)
{
	return s->map[block / GROUP_BLOCKS] + block % GROUP_BLOCKS * BLOCK_BYTES;
}

static bool test_slot(const struct dm_sync_slots *s, u32 slot)
{
	u32 block = slot / BLOCK_SLOTS;

	return !s->map[block / GROUP_BLOCKS] ||
	       test_bit_le(slot % BLOCK_SLOTS, block_map(s, block));
}

/* A block is full now: if its whole group is, that needs no bits. */
static void drop_map(struct dm_sync_slots *s, u32 group)
{
	u32 block = group * GROUP_BLOCKS, end = min(block + GROUP_BLOCKS, s->nr_blocks);

	for (; block < end; block++)
		if (s->fill[block] < block_slots(s, block))
			return;
	kfree(s->spare);
	s->spare = s->map[group];
	s->map[group] = NULL;
}

/*
 * A slot of the group is to be freed. Host writes may be waiting, perhaps the very ones
 * that would free memory: so no waiting without end, rather the reserves.
 */
static bool need_map(struct dm_sync_slots *s, u32 group)
{
	u8 *map;

	if (s->map[group])
		return true;
	map = kzalloc(GROUP_BYTES, GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (!map)
		map = kzalloc(GROUP_BYTES, GFP_ATOMIC | __GFP_NOWARN);
	if (!map) {
		map = s->spare;
		s->spare = NULL;
	}
	if (!map)
		return false;
	memset(map, 0xff, GROUP_BYTES);
	s->map[group] = map;
	return true;
}

static void set_slot(struct dm_sync_slots *s, u32 slot)
{
	u32 block = slot / BLOCK_SLOTS;

	__set_bit_le(slot % BLOCK_SLOTS, block_map(s, block));
	s->nr_empty -= !s->fill[block]++;
	if (s->fill[block] == block_slots(s, block))
		drop_map(s, block / GROUP_BLOCKS);
}

/* The slot was counted as free already; see above for when it cannot be. */
static void clear_slot(struct dm_sync_slots *s, u32 slot)
{
	u32 block = slot / BLOCK_SLOTS;

	if (!need_map(s, block / GROUP_BLOCKS)) {
		WRITE_ONCE(s->used, s->used + 1);
		return;
	}
	__clear_bit_le(slot % BLOCK_SLOTS, block_map(s, block));
	s->nr_empty += !--s->fill[block];
}

/**
 * dm_sync_slots_init - all slots are free
 * @s: to be set up
 * @nr: slots there are; more may come
 *
 * Context: process; may sleep, does no I/O.
 * Return: 0, or -ENOMEM.
 */
int dm_sync_slots_init(struct dm_sync_slots *s, u32 nr)
{
	memset(s, 0, sizeof(*s));
	return dm_sync_slots_grow(s, nr);
}

/**
 * dm_sync_slots_exit - free the memory
 * @s: what dm_sync_slots_init() set up, if it failed as well
 *
 * Context: process.
 */
void dm_sync_slots_exit(struct dm_sync_slots *s)
{
	u32 group;

	for (group = 0; s->map && group < nr_groups(s->nr_blocks); group++)
		kfree(s->map[group]);
	kfree(s->spare);
	kvfree(s->fill);
	kvfree(s->map);
	s->fill = NULL;
	s->map = NULL;
	s->spare = NULL;
}

/* Bits for those of the groups that have none, from @group on; all of them or none. */
static int add_maps(u8 **map, u32 group, u32 end)
{
	u32 i;

	for (i = group; i < end; i++) {
		map[i] = kzalloc(GROUP_BYTES, GFP_NOIO);
		if (map[i])
			continue;
		while (i > group)
			kfree(map[--i]);
		return -ENOMEM;
	}
	return 0;
}

/* The last group has bits, and its slots from @s->nr on come to be. */
static void open_group(struct dm_sync_slots *s)
{
	u32 slot, end = (s->nr / GROUP_SLOTS + 1) * GROUP_SLOTS;

	for (slot = s->nr; slot < end; slot++)
		__clear_bit_le(slot % BLOCK_SLOTS, block_map(s, slot / BLOCK_SLOTS));
}

/**
 * dm_sync_slots_grow - there are more slots now
 * @s: the slots
 * @nr: how many there are; nothing happens unless it is more
 *
 * Context: the committer; may sleep, does no I/O.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int dm_sync_slots_grow(struct dm_sync_slots *s, u32 nr)
{
	u32 nr_blocks = nr / BLOCK_SLOTS + !!(nr % BLOCK_SLOTS);
	u32 groups = nr_groups(s->nr_blocks);
	u8 *fill, **map;

	if (nr <= s->nr)
		return 0;
	if (s->nr % GROUP_SLOTS && !need_map(s, s->nr / GROUP_SLOTS))
		return -ENOMEM;
	fill = kvcalloc(nr_blocks, 1, GFP_NOIO);
	map = kvcalloc(nr_groups(nr_blocks), sizeof(*map), GFP_NOIO);
	if (!fill || !map || add_maps(map, groups, nr_groups(nr_blocks))) {
		kvfree(fill);
		kvfree(map);
		return -ENOMEM;
	}
	if (s->nr % GROUP_SLOTS)
		open_group(s);
	if (s->nr_blocks) {
		memcpy(fill, s->fill, s->nr_blocks);
		memcpy(map, s->map, groups * sizeof(*map));
	}
	kvfree(s->fill);
	kvfree(s->map);
	s->fill = fill;
	s->map = map;
	s->nr_empty += nr_blocks - s->nr_blocks;
	s->nr_blocks = nr_blocks;
	WRITE_ONCE(s->nr, nr);
	return 0;
}

/**
 * dm_sync_slots_in_use - is this slot in use
 * @s: the slots
 * @slot: below nr
 *
 * Context: the committer.
 * Return: false also when it is held back.
 */
bool dm_sync_slots_in_use(const struct dm_sync_slots *s, u32 slot)
{
	u32 i = slot - s->newest;

	return test_slot(s, slot) && !(i < s->newest_nr && test_bit_le(i, s->back));
}

/**
 * dm_sync_slots_take - a slot is in use, as was found when the store was loaded
 * @s: the slots
 * @slot: the slot, of whatever number
 *
 * Context: the committer, before the first dm_sync_slots_alloc().
 * Return: false when there is no such slot or it is in use already.
 */
bool dm_sync_slots_take(struct dm_sync_slots *s, u32 slot)
{
	if (slot >= s->nr || test_slot(s, slot))
		return false;
	set_slot(s, slot);
	WRITE_ONCE(s->used, s->used + 1);
	return true;
}

/* Free slots from @slot to the next one in use or the block's end, @want at most. */
static u32 run_length(const struct dm_sync_slots *s, u32 slot, u32 want)
{
	u32 block = slot / BLOCK_SLOTS, n = 0;
	u32 end = block * BLOCK_SLOTS + block_slots(s, block);

	while (n < want && slot + n < end && !test_slot(s, slot + n))
		n++;
	return n;
}

/* Blocks from the cursor's on, in a circle: the first that is free, or has a hole. */
static u32 find_block(const struct dm_sync_slots *s, u32 from, bool empty)
{
	u32 i, block = from;

	for (i = 0; i < s->nr_blocks; i++) {
		if (block >= s->nr_blocks)
			block = 0;
		if (empty ? !s->fill[block] : s->fill[block] < block_slots(s, block))
			return block;
		block++;
	}
	return s->nr_blocks;
}

/* The longest run from @slot to the end of its block, or the first that is enough. */
static u32 best_run(const struct dm_sync_slots *s, u32 slot, u32 want, u32 *first)
{
	u32 block = slot / BLOCK_SLOTS, n, best = 0;
	u32 end = block * BLOCK_SLOTS + block_slots(s, block);

	for (; slot < end && best < want; slot += n + 1) {
		n = run_length(s, slot, want);
		if (n <= best)
			continue;
		best = n;
		*first = slot;
	}
	return best;
}

static u32 find_run(const struct dm_sync_slots *s, u32 want, u32 *first)
{
	u32 block = s->cursor / BLOCK_SLOTS, n;

	if (s->cursor % BLOCK_SLOTS && s->cursor < s->nr) {
		n = run_length(s, s->cursor, want);
		*first = s->cursor;
		if (n && (n == want ||
			  s->cursor + n == block * BLOCK_SLOTS + block_slots(s, block)))
			return n;
	}
	if (s->nr_empty) {
		*first = find_block(s, block, true) * BLOCK_SLOTS;
		return run_length(s, *first, want);
	}
	if (s->cursor < s->nr) {
		n = best_run(s, s->cursor, want, first);
		if (n)
			return n;
	}
	block = find_block(s, block + 1, false);
	return block == s->nr_blocks ? 0 : best_run(s, block * BLOCK_SLOTS, want, first);
}

/**
 * dm_sync_slots_alloc - take adjacent slots of one slot block
 * @s: the slots
 * @want: how many, at least 1
 * @first: out: the first of them
 *
 * Context: the committer.
 * Return: how many were taken, at most @want. 0 when there is none; if
 * dm_sync_slots_nr_free() is not 0 then, all that is free is held back, and a batch
 * that fills no slot releases it.
 */
u32 dm_sync_slots_alloc(struct dm_sync_slots *s, u32 want, u32 *first)
{
	u32 i, n = find_run(s, want, first);

	for (i = 0; i < n; i++)
		set_slot(s, *first + i);
	WRITE_ONCE(s->used, s->used + n);
	if (n)
		s->cursor = *first + n;
	return n;
}

static void hold_back(struct dm_sync_slots *s, u32 i)
{
	__set_bit_le(i, s->back);
	s->back_nr++;
}

/**
 * dm_sync_slots_free - a slot is not needed any more
 * @s: the slots
 * @slot: in use
 *
 * Context: the committer.
 */
void dm_sync_slots_free(struct dm_sync_slots *s, u32 slot)
{
	u32 i = slot - s->newest;

	WRITE_ONCE(s->used, s->used - 1);
	if (i < s->newest_nr)
		hold_back(s, i);
	else
		clear_slot(s, slot);
}

/**
 * dm_sync_slots_skip - look for slots in other blocks first
 * @s: the slots
 * @slot: one of the block that is left alone until all others were looked at
 *
 * For a block that cannot be read just now.
 *
 * Context: the committer.
 */
void dm_sync_slots_skip(struct dm_sync_slots *s, u32 slot)
{
	u32 block = slot / BLOCK_SLOTS + 1;

	s->cursor = block < s->nr_blocks ? block * BLOCK_SLOTS : 0;
}

/**
 * dm_sync_slots_complete - a batch is complete and is the newest one now
 * @s: the slots
 * @first: first slot it filled
 * @nr: how many, in one slot block; 0 when it filled none
 *
 * What was held back for the batch before can be handed out; what is free already
 * of this one is held back. When a store is loaded this is called with the newest
 * batch that was found, after dm_sync_slots_take() for all slots in use.
 *
 * Context: the committer.
 */
void dm_sync_slots_complete(struct dm_sync_slots *s, u32 first, u32 nr)
{
	u32 i;

	for (i = 0; i < s->newest_nr && s->back_nr; i++) {
		if (!test_bit_le(i, s->back))
			continue;
		clear_slot(s, s->newest + i);
		s->back_nr--;
	}
	memset(s->back, 0, sizeof(s->back));
	s->newest = first;
	s->newest_nr = first < s->nr ? min(nr, s->nr - first) : 0;
	for (i = 0; i < s->newest_nr; i++) {
		if (test_slot(s, first + i))
			continue;
		set_slot(s, first + i);
		hold_back(s, i);
	}
}
