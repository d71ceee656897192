// SPDX-License-Identifier: GPL-2.0-only
/*
 * The region map: a persistent bitmap, one bit a region.
 *
 * The bits live where they are written from, in the payload of the blocks
 * themselves. A bit that is set in memory promises nothing until it is durable;
 * a bit that is cleared in memory may stay set on disk for as long as one likes.
 * So setting is what callers wait for (rule M-degraded), and clearing goes along
 * lazily, but never before both sides were flushed (rule C).
 *
 * Each block has four flags. SET and CLEAR say that memory has bits set, or
 * cleared, that no image was made of. When a commit copies the image of a block
 * they turn into SET_WRITE and CLEAR_WRITE, which end with the write: gone if it
 * succeeded, back into SET and CLEAR if not. A bit set while the image is on its
 * way raises SET again, and the next commit writes it. Hence a bit is durable
 * when it is set and its block has neither SET nor SET_WRITE.
 *
 * A commit makes its images first, then calls the barrier, adds what was set
 * meanwhile, then writes. A bit that is clear in an image was cleared before the
 * barrier began, so the data that made it clear was complete by then and the
 * barrier's flush covers it. A bit cleared later is set in the image.
 *
 * A map may keep what the disk has beside what memory has (dm_sync_map_keep_disk()).
 * Then it can tell of each region whether its clear is durable, and can take back
 * those that are not: what a flush failed to save is marked again. A block is kept
 * from its first clear to the commit after which no clear is pending: without one,
 * memory has all that the disk has. So the memory that it takes is that of what a
 * copy touches between two commits. Clears come in any context; when there is no
 * page for the block, nobody knows what the disk has of it while clears are pending:
 * then who asks waits for a commit, and who takes clears back reads the disk.
 *
 * A write that failed may have reached the disk all the same (dm-sync-block.c).
 * That is harmless: its image was right when it was made, bits set since are
 * not yet called durable, and the barrier was before it.
 *
 * Locking: map->lock orders all changes; it is taken with interrupts off and
 * held over one block at most. Tests and searches take no lock, questions about the
 * disk only where clears are pending. load(), format()
 * and commit() are called by one task at a time, the pair's committer.
 */
#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-sync.h"

#define MAP_GROUP	8u		/* images written together: 32 KiB a map */

enum {
	MAP_SET		= 1 << 0,
	MAP_CLEAR	= 1 << 1,
	MAP_SET_WRITE	= 1 << 2,
	MAP_CLEAR_WRITE	= 1 << 3,
};

/**
 * struct map_block - one block of the map
 * @b: where it lives
 * @buf: the block, 4 KiB; bits behind the header; changed under map->lock
 * @disk: the same as the disk has it, or more bits; NULL: nobody knows if clears are
 *	pending, else as @buf; read and changed under map->lock
 * @flags: MAP_*; changed under map->lock by one store, read without
 */
struct map_block {
	struct dm_sync_block b;
	void *buf, *disk;
	u8 flags;
};

/**
 * struct dm_sync_map - the map
 * @meta: where it is kept
 * @nr_regions: bits in use
 * @nr_blocks: of @block
 * @keeps_disk: blocks with clears keep what the disk has
 * @lock: protects bits, flags and the counts; interrupts off; innermost
 * @nr_set: bits set; changed under @lock
 * @sets: blocks with MAP_SET; changed under @lock
 * @clears: blocks with MAP_CLEAR; changed under @lock
 * @image: what is being written; the committer's
 * @block: the blocks
 */
struct dm_sync_map {
	struct dm_sync_meta *meta;
	u64 nr_regions;
	u32 nr_blocks;
	bool keeps_disk;
	spinlock_t lock;
	u64 nr_set;
	u32 sets, clears;
	void *image[MAP_GROUP];
	struct map_block *block;
};

static u32 block_of(u64 region, u32 *bit)
{
	return div_u64_rem(region, DM_SYNC_MAP_BITS, bit);
}

static u32 block_bits(struct dm_sync_map *map, u32 i)
{
	return min_t(u64, DM_SYNC_MAP_BITS,
		     map->nr_regions - (u64)i * DM_SYNC_MAP_BITS);
}

static void *block_map(struct map_block *mb)
{
	return mb->buf + DM_SYNC_BLOCK_HEADER;
}

/* map->lock is held */
static void __set_flags(struct dm_sync_map *map, struct map_block *mb, u8 flags)
{
	u8 old = mb->flags;

	map->sets += !!(flags & MAP_SET) - !!(old & MAP_SET);
	map->clears += !!(flags & MAP_CLEAR) - !!(old & MAP_CLEAR);
	WRITE_ONCE(mb->flags, flags);
}

/*----------------------------------------------------------------
 * What the disk has.  map->lock is held.
 *--------------------------------------------------------------*/

/* Before marks are cleared: as long as none is, memory has all that the disk has. */
static void __keep_disk(struct dm_sync_map *map, struct map_block *mb)
{
	if (!map->keeps_disk || mb->disk || mb->flags & (MAP_CLEAR | MAP_CLEAR_WRITE))
		return;
	mb->disk = kmalloc(DM_SYNC_BLOCK_SIZE, GFP_NOWAIT | __GFP_NOWARN);
	if (mb->disk)
		memcpy(mb->disk, mb->buf, DM_SYNC_BLOCK_SIZE);
}

static void __disk_has(struct map_block *mb, const void *image)
{
	if (mb->disk)
		memcpy(mb->disk, image, DM_SYNC_BLOCK_SIZE);
}

/* When no clear is pending any more. */
static void __forget_disk(struct map_block *mb)
{
	if (mb->flags & (MAP_CLEAR | MAP_CLEAR_WRITE))
		return;
	kfree(mb->disk);
	mb->disk = NULL;
}

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

/**
 * dm_sync_map_nr_blocks - dual-home blocks that a map takes
 * @nr_regions: of the map
 */
u32 dm_sync_map_nr_blocks(u64 nr_regions)
{
	return div_u64(nr_regions + DM_SYNC_MAP_BITS - 1, DM_SYNC_MAP_BITS);
}

static bool map_alloc(struct dm_sync_map *map)
{
	u32 i;

	for (i = 0; i < MAP_GROUP; i++) {
		map->image[i] = kmalloc(DM_SYNC_BLOCK_SIZE, GFP_KERNEL | __GFP_NOWARN);
		if (!map->image[i])
			return false;
	}
	map->block = kvcalloc(map->nr_blocks, sizeof(*map->block),
			      GFP_KERNEL | __GFP_NOWARN);
	if (!map->block)
		return false;
	for (i = 0; i < map->nr_blocks; i++) {
		map->block[i].buf = kzalloc(DM_SYNC_BLOCK_SIZE,
					    GFP_KERNEL | __GFP_NOWARN);
		if (!map->block[i].buf)
			return false;
		cond_resched();
	}
	return true;
}

/**
 * dm_sync_map_create - make a map in memory, all clear
 * @meta: where it is kept
 * @type: DM_SYNC_BLOCK_SOURCE_MAP, DM_SYNC_BLOCK_REPLICA_MAP or DM_SYNC_BLOCK_UNCOPIED_MAP
 * @first_nr: its first block on the device
 * @epoch: that its blocks carry
 * @nr_regions: bits, at least 1
 *
 * Nothing is read or written; dm_sync_map_load() or dm_sync_map_format() comes
 * next.
 *
 * Context: process; may sleep.
 * Return: the map, or NULL when there is no memory.
 */
struct dm_sync_map *dm_sync_map_create(struct dm_sync_meta *meta, u16 type,
				       u32 first_nr, u64 epoch, u64 nr_regions)
{
	struct dm_sync_map *map;
	u32 i;

	map = kzalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return NULL;
	map->meta = meta;
	map->nr_regions = nr_regions;
	map->nr_blocks = dm_sync_map_nr_blocks(nr_regions);
	spin_lock_init(&map->lock);
	if (!map_alloc(map)) {
		dm_sync_map_destroy(map);
		return NULL;
	}
	for (i = 0; i < map->nr_blocks; i++)
		map->block[i].b = (struct dm_sync_block) {
			.id = { .epoch = epoch, .type = type, .index = i },
			.nr = first_nr + i,
			.home = 1,
		};
	return map;
}

/**
 * dm_sync_map_keep_disk - from now on the map knows what the disk has
 * @map: the map, just created
 *
 * Context: process.
 */
void dm_sync_map_keep_disk(struct dm_sync_map *map)
{
	map->keeps_disk = true;
}

/**
 * dm_sync_map_destroy - free a map
 * @map: the map, or NULL; nobody uses it any more
 *
 * Context: process.
 */
void dm_sync_map_destroy(struct dm_sync_map *map)
{
	u32 i;

	if (!map)
		return;
	for (i = 0; map->block && i < map->nr_blocks; i++) {
		kfree(map->block[i].buf);
		kfree(map->block[i].disk);
	}
	kvfree(map->block);
	for (i = 0; i < MAP_GROUP; i++)
		kfree(map->image[i]);
	kfree(map);
}

/*----------------------------------------------------------------
 * Format and load
 *--------------------------------------------------------------*/

/* What is on disk is what is in memory now. Nobody else uses the map yet. */
static void settle(struct dm_sync_map *map)
{
	unsigned long irq;
	u32 i;

	spin_lock_irqsave(&map->lock, irq);
	for (i = 0; i < map->nr_blocks; i++) {
		__set_flags(map, &map->block[i], 0);
		__forget_disk(&map->block[i]);
	}
	spin_unlock_irqrestore(&map->lock, irq);
}

/**
 * dm_sync_map_format - write a fresh map, both homes of every block
 * @map: the map
 * @full: all bits set, or all clear
 *
 * Context: process, before anybody else uses the map; sleeps for I/O.
 * Return: 0 when it is durable, or a negative errno.
 */
int dm_sync_map_format(struct dm_sync_map *map, bool full)
{
	struct dm_sync_stretch *s;
	u32 first, i, nr;
	int r = 0;

	s = dm_sync_stretch_create(map->nr_blocks);
	if (!s)
		return -ENOMEM;
	if (full)
		dm_sync_map_set_all(map);
	else
		dm_sync_map_clear_all(map);
	for (first = 0; first < map->nr_blocks && !r; first += nr) {
		nr = min(s->nr / 2, map->nr_blocks - first);
		for (i = 0; i < nr; i++) {
			memcpy(s->buf[2 * i], map->block[first + i].buf,
			       DM_SYNC_BLOCK_SIZE);
			dm_sync_stretch_seal(map->meta, s, i,
					     &map->block[first + i].b);
		}
		r = dm_sync_stretch_write(map->meta, s, map->block[first].b.nr, nr);
		cond_resched();
	}
	if (!r)
		settle(map);
	dm_sync_stretch_destroy(s);
	return r;
}

/* A home that cannot be read may be the newest: not taken for a torn write. */
static bool take_up(struct dm_sync_map *map, u32 i, struct dm_sync_stretch *s,
		    unsigned int at, bool clean)
{
	struct map_block *mb = &map->block[i];
	struct dm_sync_homes h;
	bool readable = !s->error[2 * at] && !s->error[2 * at + 1];
	u32 bits = block_bits(map, i);
	unsigned long irq;

	dm_sync_block_judge(&h, s->buf[2 * at], s->error[2 * at],
			    s->buf[2 * at + 1], s->error[2 * at + 1],
			    map->meta->uuid, &mb->b.id, clean || !readable);
	mb->b.seq = h.last_seq;
	mb->b.home = h.last_home;
	if (h.home == DM_SYNC_HOME_NONE)
		return false;

	spin_lock_irqsave(&map->lock, irq);
	map->nr_set -= dm_sync_bits_weight(mb->buf);
	memcpy(mb->buf, s->buf[2 * at + h.home], DM_SYNC_BLOCK_SIZE);
	if (bits < DM_SYNC_MAP_BITS)
		dm_sync_bits_fill(mb->buf, bits, DM_SYNC_MAP_BITS - 1, false);
	map->nr_set += dm_sync_bits_weight(mb->buf);
	/* A torn home is written anew, or a clean end would find it damaged. */
	__set_flags(map, mb, h.check[0] || h.check[1] ? MAP_SET : 0);
	spin_unlock_irqrestore(&map->lock, irq);
	return true;
}

/**
 * dm_sync_map_load - read a map back
 * @map: the map
 * @clean: no write was in flight when it was last used
 * @lost: out: regions that had to be taken for changed, because the block that
 *	held them was damaged
 *
 * What is lost is set in memory and not yet durable. It has to be committed
 * before the superblock stops saying "clean": a later load that is told of a
 * crash would take the damaged home for a torn write.
 *
 * Context: process, before anybody else uses the map; sleeps for I/O.
 * Return: 0, also when something was lost; -EIO when nothing at all could be
 * read; -ENODATA without a device; -ENOMEM.
 */
int dm_sync_map_load(struct dm_sync_map *map, bool clean, u64 *lost)
{
	struct dm_sync_stretch *s;
	bool read = false;
	u32 first, i, nr;
	u64 start;

	*lost = 0;
	if (!map->meta->bdev)
		return -ENODATA;
	s = dm_sync_stretch_create(map->nr_blocks);
	if (!s)
		return -ENOMEM;
	for (first = 0; first < map->nr_blocks; first += nr) {
		nr = min(s->nr / 2, map->nr_blocks - first);
		dm_sync_stretch_read(map->meta, s, map->block[first].b.nr, nr);
		for (i = 0; i < nr; i++) {
			read |= !s->error[2 * i] || !s->error[2 * i + 1];
			if (take_up(map, first + i, s, i, clean))
				continue;
			start = (u64)(first + i) * DM_SYNC_MAP_BITS;
			*lost += block_bits(map, first + i);
			dm_sync_map_set_range(map, start, start +
					      block_bits(map, first + i) - 1);
		}
		cond_resched();
	}
	dm_sync_stretch_destroy(s);
	return read ? 0 : -EIO;
}

/*----------------------------------------------------------------
 * Bits
 *--------------------------------------------------------------*/

/**
 * dm_sync_map_test - is a region marked
 * @map: the map
 * @region: below nr_regions
 *
 * Context: any; no lock.
 */
bool dm_sync_map_test(struct dm_sync_map *map, u64 region)
{
	u32 bit, i = block_of(region, &bit);

	return test_bit_le(bit, block_map(&map->block[i]));
}

/**
 * dm_sync_map_set - mark a region
 * @map: the map
 * @region: below nr_regions
 *
 * The mark need not be durable when this returns, whatever it returns: see
 * dm_sync_map_is_durable().
 *
 * Context: any.
 * Return: true when it was not marked before.
 */
bool dm_sync_map_set(struct dm_sync_map *map, u64 region)
{
	u32 bit, i = block_of(region, &bit);
	struct map_block *mb = &map->block[i];
	unsigned long irq;
	bool new;

	if (test_bit_le(bit, block_map(mb))) {
		/* Whoever sees the bit sees the flag: pairs with smp_wmb() below. */
		smp_rmb();
		return false;
	}
	spin_lock_irqsave(&map->lock, irq);
	new = !test_bit_le(bit, block_map(mb));
	if (new) {
		__set_flags(map, mb, mb->flags | MAP_SET);
		/* Pairs with smp_rmb() above and in dm_sync_map_is_durable(). */
		smp_wmb();
		__set_bit_le(bit, block_map(mb));
		map->nr_set++;
	}
	spin_unlock_irqrestore(&map->lock, irq);
	return new;
}

/* map->lock is held; returns how many marks are left of @before */
static u32 __clear(struct dm_sync_map *map, struct map_block *mb, u32 from, u32 to, u32 before)
{
	u8 flags = mb->flags;
	u32 after;

	__keep_disk(map, mb);
	__set_flags(map, mb, flags | MAP_CLEAR);
	smp_wmb();	/* as in dm_sync_map_clear() */
	dm_sync_bits_fill(mb->buf, from, to, false);
	after = dm_sync_bits_weight(mb->buf);
	if (before == after) {
		__set_flags(map, mb, flags);
		__forget_disk(mb);
	}
	return after;
}

static void fill(struct dm_sync_map *map, u64 first, u64 last, bool value)
{
	u32 from, to, before, after, i = block_of(first, &from);
	u32 end = block_of(last, &to);
	struct map_block *mb;
	unsigned long irq;

	for (; i <= end; i++, from = 0) {
		mb = &map->block[i];
		spin_lock_irqsave(&map->lock, irq);
		before = dm_sync_bits_weight(mb->buf);
		if (value) {
			/* raised first, as in dm_sync_map_set() */
			u8 flags = mb->flags;

			__set_flags(map, mb, flags | MAP_SET);
			smp_wmb();
			dm_sync_bits_fill(mb->buf, from,
					  i < end ? DM_SYNC_MAP_BITS - 1 : to, true);
			after = dm_sync_bits_weight(mb->buf);
			if (before == after)
				__set_flags(map, mb, flags);
		} else {
			after = before ? __clear(map, mb, from, i < end ? DM_SYNC_MAP_BITS - 1 : to,
						 before) : 0;
		}
		map->nr_set += (s64)after - before;
		spin_unlock_irqrestore(&map->lock, irq);
	}
}

/**
 * dm_sync_map_set_range - mark regions
 * @map: the map
 * @first: first region
 * @last: last region, inclusive; clamped to the map
 *
 * Context: any; a microsecond or two with interrupts off per 32256 regions.
 */
void dm_sync_map_set_range(struct dm_sync_map *map, u64 first, u64 last)
{
	last = min(last, map->nr_regions - 1);
	if (first <= last)
		fill(map, first, last, true);
}

/**
 * dm_sync_map_set_all - mark every region
 * @map: the map
 *
 * Context: any.
 */
void dm_sync_map_set_all(struct dm_sync_map *map)
{
	fill(map, 0, map->nr_regions - 1, true);
}

/**
 * dm_sync_map_clear - unmark a region, lazily
 * @map: the map
 * @region: below nr_regions
 *
 * What makes the mark unnecessary is complete, if not yet durable, and the
 * caller keeps other writers of the region out.
 *
 * Context: any.
 */
void dm_sync_map_clear(struct dm_sync_map *map, u64 region)
{
	u32 bit, i = block_of(region, &bit);
	struct map_block *mb = &map->block[i];
	unsigned long irq;

	spin_lock_irqsave(&map->lock, irq);
	if (test_bit_le(bit, block_map(mb))) {
		__keep_disk(map, mb);
		__set_flags(map, mb, mb->flags | MAP_CLEAR);
		/* Whoever sees it clear sees the flag: see dm_sync_map_clears_durable(). */
		smp_wmb();
		__clear_bit_le(bit, block_map(mb));
		map->nr_set--;
	}
	spin_unlock_irqrestore(&map->lock, irq);
}

/**
 * dm_sync_map_clear_range - unmark regions, lazily
 * @map: the map
 * @first: first region
 * @last: last region, inclusive; clamped to the map
 *
 * Context: any; as dm_sync_map_set_range().
 */
void dm_sync_map_clear_range(struct dm_sync_map *map, u64 first, u64 last)
{
	last = min(last, map->nr_regions - 1);
	if (first <= last)
		fill(map, first, last, false);
}

/**
 * dm_sync_map_clear_all - unmark every region, lazily
 * @map: the map
 *
 * Context: any.
 */
void dm_sync_map_clear_all(struct dm_sync_map *map)
{
	fill(map, 0, map->nr_regions - 1, false);
}

/**
 * dm_sync_map_or - mark every region that another map marks
 * @into: the map that is changed
 * @from: the other, of the same size
 *
 * Context: any; marks set in @from meanwhile may be missed.
 */
void dm_sync_map_or(struct dm_sync_map *into, struct dm_sync_map *from)
{
	struct map_block *mb;
	unsigned long irq;
	u32 i, before;
	u8 flags;

	if (WARN_ON_ONCE(into->nr_regions != from->nr_regions))
		return;
	for (i = 0; i < into->nr_blocks; i++) {
		mb = &into->block[i];
		spin_lock_irqsave(&into->lock, irq);
		before = dm_sync_bits_weight(mb->buf);
		flags = mb->flags;
		__set_flags(into, mb, flags | MAP_SET);
		smp_wmb();	/* as in dm_sync_map_set() */
		if (!dm_sync_bits_or(mb->buf, from->block[i].buf))
			__set_flags(into, mb, flags);
		into->nr_set += dm_sync_bits_weight(mb->buf) - before;
		spin_unlock_irqrestore(&into->lock, irq);
	}
}

/**
 * dm_sync_map_next_before - find a marked region, not farther than needed
 * @map: the map
 * @from: where to start
 * @limit: where to stop, exclusive
 *
 * Context: any; no lock. Looks at no more than the blocks of @from to @limit: for callers
 * who cannot be interrupted.
 * Return: the first marked region at or after @from, at most @limit and nr_regions,
 * which mean that there is none.
 */
u64 dm_sync_map_next_before(struct dm_sync_map *map, u64 from, u64 limit)
{
	u32 bit, size, i;
	u64 first;

	limit = min(limit, map->nr_regions);
	if (from >= limit)
		return limit;
	for (i = block_of(from, &bit); ; i++, bit = 0) {
		first = (u64)i * DM_SYNC_MAP_BITS;
		if (first >= limit)
			return limit;
		size = min_t(u64, DM_SYNC_MAP_BITS, limit - first);
		bit = find_next_bit_le(block_map(&map->block[i]), size, bit);
		if (bit < size)
			return first + bit;
	}
}

/**
 * dm_sync_map_next - find a marked region
 * @map: the map
 * @from: where to start
 *
 * Context: any; no lock.
 * Return: the first marked region at or after @from, or nr_regions.
 */
u64 dm_sync_map_next(struct dm_sync_map *map, u64 from)
{
	return dm_sync_map_next_before(map, from, map->nr_regions);
}

/**
 * dm_sync_map_next_clear - find a region that is not marked
 * @map: the map
 * @from: where to start
 * @limit: where to stop, exclusive
 *
 * Context: any; no lock.
 * Return: the first region at or after @from that is not marked, at most @limit
 * and nr_regions, which mean that there is none.
 */
u64 dm_sync_map_next_clear(struct dm_sync_map *map, u64 from, u64 limit)
{
	u32 bit, size, i;

	limit = min(limit, map->nr_regions);
	if (from >= limit)
		return limit;
	for (i = block_of(from, &bit); i < map->nr_blocks; i++, bit = 0) {
		if ((u64)i * DM_SYNC_MAP_BITS >= limit)
			break;
		size = block_bits(map, i);
		bit = find_next_zero_bit_le(block_map(&map->block[i]), size, bit);
		if (bit < size)
			return min(limit, (u64)i * DM_SYNC_MAP_BITS + bit);
	}
	return limit;
}

/**
 * dm_sync_map_count - number of marked regions
 * @map: the map
 *
 * Context: any.
 */
u64 dm_sync_map_count(struct dm_sync_map *map)
{
	unsigned long irq;
	u64 n;

	spin_lock_irqsave(&map->lock, irq);
	n = map->nr_set;
	spin_unlock_irqrestore(&map->lock, irq);
	return n;
}

/*----------------------------------------------------------------
 * Durability
 *--------------------------------------------------------------*/

/* Has the disk no mark from bit @from to @size, of a block with clears? */
static bool disk_is_clear(struct dm_sync_map *map, struct map_block *mb, u32 from, u32 size)
{
	unsigned long irq;
	bool clear;

	spin_lock_irqsave(&map->lock, irq);
	if (!(mb->flags & (MAP_CLEAR | MAP_CLEAR_WRITE)))
		clear = true;
	else	/* A mark set meanwhile may be in an image that is on its way. */
		clear = mb->disk && !(mb->flags & (MAP_SET | MAP_SET_WRITE)) &&
			find_next_bit_le(mb->disk + DM_SYNC_BLOCK_HEADER, size, from) >= size;
	spin_unlock_irqrestore(&map->lock, irq);
	return clear;
}

/**
 * dm_sync_map_clears_durable - does the disk know that these are not marked
 * @map: the map
 * @first: first region
 * @last: last region
 *
 * Where a mark names the side that is right, one that is forgotten in memory
 * only is dangerous: see the head of dm-sync-ops.c.
 *
 * May say no although it does, while another mark of the same block was forgotten;
 * of a map that keeps what the disk has, only while another one is being set.
 *
 * Context: any. The caller has seen that they are not marked.
 */
bool dm_sync_map_clears_durable(struct dm_sync_map *map, u64 first, u64 last)
{
	u32 from, to, i = block_of(first, &from);
	u32 end = block_of(min(last, map->nr_regions - 1), &to);

	smp_rmb();	/* pairs with smp_wmb() in dm_sync_map_clear() */
	for (; i <= end; i++, from = 0)
		if (READ_ONCE(map->block[i].flags) & (MAP_CLEAR | MAP_CLEAR_WRITE) &&
		    !disk_is_clear(map, &map->block[i], from, i < end ? DM_SYNC_MAP_BITS : to + 1))
			return false;
	return true;
}

/**
 * dm_sync_map_look - what memory and disk say of a region, at one moment
 * @map: the map, which keeps what the disk has
 * @region: below nr_regions
 *
 * Context: any.
 * Return: enum dm_sync_map_look; no image is made of the region's block meanwhile.
 */
enum dm_sync_map_look dm_sync_map_look(struct dm_sync_map *map, u64 region)
{
	u32 bit, i = block_of(region, &bit);
	struct map_block *mb = &map->block[i];
	bool marked, sets, clears, disk;
	unsigned long irq;

	spin_lock_irqsave(&map->lock, irq);
	marked = test_bit_le(bit, block_map(mb));
	sets = mb->flags & (MAP_SET | MAP_SET_WRITE);
	clears = mb->flags & (MAP_CLEAR | MAP_CLEAR_WRITE);
	disk = !mb->disk || test_bit_le(bit, mb->disk + DM_SYNC_BLOCK_HEADER);
	spin_unlock_irqrestore(&map->lock, irq);
	if (marked)
		return sets ? DM_SYNC_MAP_MARKING : DM_SYNC_MAP_MARKED;
	if (!clears)
		return DM_SYNC_MAP_CLEAR;
	/* A mark set meanwhile may be in an image that is on its way. */
	if (sets || !mb->disk)
		return DM_SYNC_MAP_UNSURE;
	return disk ? DM_SYNC_MAP_CLEARING : DM_SYNC_MAP_CLEAR;
}

/* What the disk has of a block of which that is not known, in a page. */
static void *read_disk(struct dm_sync_map *map, struct map_block *mb)
{
	struct dm_sync_stretch *s;
	struct dm_sync_homes h;
	void *disk = NULL;

	if (!map->meta->bdev)
		return NULL;
	s = dm_sync_stretch_create(1);
	if (!s)
		return NULL;
	dm_sync_stretch_read(map->meta, s, mb->b.nr, 1);
	dm_sync_block_judge(&h, s->buf[0], s->error[0], s->buf[1], s->error[1],
			    map->meta->uuid, &mb->b.id, false);
	/* A home that cannot be read may be the newest. */
	if (h.home != DM_SYNC_HOME_NONE && !s->error[0] && !s->error[1])
		disk = kmalloc(DM_SYNC_BLOCK_SIZE, GFP_NOIO | __GFP_NOWARN);
	if (disk)
		memcpy(disk, s->buf[h.home], DM_SYNC_BLOCK_SIZE);
	dm_sync_stretch_destroy(s);
	return disk;
}

static int revert_block(struct dm_sync_map *map, struct map_block *mb)
{
	unsigned long irq;
	void *disk = NULL;
	u32 before;

	/* Nobody but a commit, or we, lets go of one while clears are pending. */
	if (!READ_ONCE(mb->disk)) {
		disk = read_disk(map, mb);
		if (!disk)
			return -EIO;
	}
	spin_lock_irqsave(&map->lock, irq);
	before = dm_sync_bits_weight(mb->buf);
	/*
	 * Set as well: a write that failed may have taken them from the disk.  CLEAR stays
	 * until a commit: who saw a region not marked must not take that for durable.
	 */
	__set_flags(map, mb, mb->flags | MAP_SET);
	smp_wmb();	/* as in dm_sync_map_set() */
	if (!mb->disk)
		mb->disk = disk;
	dm_sync_bits_or(mb->buf, mb->disk);
	map->nr_set += dm_sync_bits_weight(mb->buf) - before;
	spin_unlock_irqrestore(&map->lock, irq);
	return 0;
}

/**
 * dm_sync_map_revert_clears - mark again what the disk does not know as not marked
 * @map: the map, which keeps what the disk has
 *
 * For when what made the marks unnecessary may not be true: a flush failed.
 *
 * Context: process; no commit under way; nobody has taken such a clear for durable.
 * Return: 0; -EIO when of a block nobody knows, nor can read, what the disk has.
 */
int dm_sync_map_revert_clears(struct dm_sync_map *map)
{
	int r = 0;
	u32 i;

	for (i = 0; i < map->nr_blocks; i++)
		if (READ_ONCE(map->block[i].flags) & MAP_CLEAR)
			r = revert_block(map, &map->block[i]) ?: r;
	return r;
}

/**
 * dm_sync_map_is_durable - are the marks of these regions durable
 * @map: the map
 * @first: first region
 * @last: last region, inclusive
 *
 * May say no although they are, while another mark of the same block is not.
 *
 * Context: any; no lock. The marks were seen, or set, by the caller.
 * Return: true when every mark of the range that the caller has seen is on disk.
 */
bool dm_sync_map_is_durable(struct dm_sync_map *map, u64 first, u64 last)
{
	u32 bit, i, end = block_of(min(last, map->nr_regions - 1), &bit);

	smp_rmb();	/* pairs with smp_wmb() in dm_sync_map_set() */
	for (i = block_of(first, &bit); i <= end; i++)
		if (READ_ONCE(map->block[i].flags) & (MAP_SET | MAP_SET_WRITE))
			return false;
	return true;
}

/**
 * dm_sync_map_needs_commit - does the disk not know all that memory knows
 * @map: the map
 *
 * Context: any; no lock.
 * Return: true when a mark was set or cleared that no commit has taken up.
 * dm_sync_map_commit() without @clears may leave it so.
 */
bool dm_sync_map_needs_commit(struct dm_sync_map *map)
{
	return READ_ONCE(map->sets) || READ_ONCE(map->clears);
}

/* Copy images of the next blocks to be written; returns how many. */
static unsigned int make_images(struct dm_sync_map *map, u32 *at, u8 wanted,
				struct map_block **group, bool *clears)
{
	struct map_block *mb;
	unsigned long irq;
	unsigned int nr = 0;
	u8 flags;

	for (*clears = false; *at < map->nr_blocks && nr < MAP_GROUP; ++*at) {
		mb = &map->block[*at];
		if (!(READ_ONCE(mb->flags) & wanted))
			continue;
		spin_lock_irqsave(&map->lock, irq);
		memcpy(map->image[nr], mb->buf, DM_SYNC_BLOCK_SIZE);
		flags = mb->flags;
		__set_flags(map, mb, (flags & MAP_SET ? MAP_SET_WRITE : 0) |
				     (flags & MAP_CLEAR ? MAP_CLEAR_WRITE : 0));
		spin_unlock_irqrestore(&map->lock, irq);
		*clears |= flags & MAP_CLEAR;
		group[nr++] = mb;
	}
	return nr;
}

/*
 * Marks set while the flush ran go along. Among them may be the very ones that
 * the flush was for: its user may find that it cannot flush any more, set them
 * again, and say that nothing is owed.
 */
static void renew_images(struct dm_sync_map *map, struct map_block **group,
			 unsigned int nr)
{
	struct map_block *mb;
	unsigned long irq;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		mb = group[i];
		spin_lock_irqsave(&map->lock, irq);
		dm_sync_bits_or(map->image[i], mb->buf);
		if (mb->flags & MAP_SET)
			__set_flags(map, mb, (mb->flags & ~MAP_SET) | MAP_SET_WRITE);
		spin_unlock_irqrestore(&map->lock, irq);
	}
}

static void images_written(struct dm_sync_map *map, struct map_block **group,
			   unsigned int nr, bool issued)
{
	struct map_block *mb;
	unsigned long irq;
	unsigned int i;
	u8 flags;

	for (i = 0; i < nr; i++) {
		mb = group[i];
		spin_lock_irqsave(&map->lock, irq);
		flags = mb->flags & (MAP_SET | MAP_CLEAR);
		if (!issued || mb->b.status)
			flags |= (mb->flags & MAP_SET_WRITE ? MAP_SET : 0) |
				 (mb->flags & MAP_CLEAR_WRITE ? MAP_CLEAR : 0);
		else
			__disk_has(mb, map->image[i]);
		__set_flags(map, mb, flags);
		__forget_disk(mb);
		spin_unlock_irqrestore(&map->lock, irq);
	}
}

/**
 * dm_sync_map_commit - make marks durable, and forget marks that are not needed
 * @map: the map
 * @clears: write blocks that have only lost marks, too
 * @flush: called before images without a mark that the disk still has are
 *	written; flushes what made the mark unnecessary. NULL: nothing to flush
 * @context: for @flush
 *
 * Takes up what was set when it came by; what is set meanwhile needs another
 * commit. When it fails, all that was not written is pending as before.
 *
 * Context: the committer, one at a time; sleeps for I/O.
 * Return: 0, or the errno of @flush or of a write.
 */
int dm_sync_map_commit(struct dm_sync_map *map, bool clears,
		       int (*flush)(void *context), void *context)
{
	struct map_block *group[MAP_GROUP];
	u8 wanted = MAP_SET | (clears ? MAP_CLEAR : 0);
	struct dm_sync_batch batch;
	unsigned int i, nr;
	bool gone;
	u32 at = 0;
	int r;

	while ((nr = make_images(map, &at, wanted, group, &gone))) {
		r = gone && flush ? flush(context) : 0;
		if (r) {
			images_written(map, group, nr, false);
			return r;
		}
		if (gone && flush)
			renew_images(map, group, nr);
		dm_sync_batch_init(&batch, map->meta);
		for (i = 0; i < nr; i++)
			dm_sync_batch_write(&batch, &group[i]->b, map->image[i]);
		r = dm_sync_batch_wait(&batch);
		images_written(map, group, nr, true);
		if (r)
			return r;
	}
	return 0;
}
