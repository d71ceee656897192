// SPDX-License-Identifier: GPL-2.0-only
/*
 * The range lock: one writer at a time over any sector.
 *
 * Whoever writes to both sides, or copies from one to the other, holds the
 * range it touches from before its first I/O is issued until the last has
 * completed.  Two writes that overlap are therefore never in flight together,
 * so both sides see them in one order; and a copy never carries data that a
 * write in flight is about to replace.  Documentation/proofs/copy.rst has the
 * whole argument.
 *
 * The space of sectors is cut into units of 1 << bucket_shift, which hash to a
 * fixed number of buckets.  A range lies in one unit, so everything that can
 * overlap it is in its bucket, under one lock.  A bucket has the tree of the
 * ranges held and the list of those that wait, in the order of arrival.
 *
 * A range waits if it overlaps one that is held or one that waits already.
 * The second half makes it fair: nothing overtakes what it overlaps, so ranges
 * that overlap are held in the order in which they were asked for, and none
 * starves.  Because a holder never asks for a second range, there is no cycle
 * to wait in.
 *
 * Locking: dm_sync_bucket.lock protects the tree, the list, and the fields of
 * the ranges on them.  It is taken with interrupts off, as ranges are released
 * by completions, and is dropped before any callback.
 */
#ifdef __KERNEL__
#include <linux/hash.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-sync.h"
#else
#include "range-shim.h"
#endif

/*
 * Enough that the few hundred ranges a busy pair holds rarely share a bucket;
 * 16 KiB a pair.
 */
#define BUCKET_BITS	8
#define NR_BUCKETS	(1u << BUCKET_BITS)

struct dm_sync_bucket {
	spinlock_t lock;
	struct rb_root_cached held;
	struct list_head waiting;
} ____cacheline_aligned_in_smp;

struct dm_sync_ranges {
	unsigned int shift;
	struct dm_sync_bucket bucket[NR_BUCKETS];
};

#define RANGE_START(r)	((r)->start)
#define RANGE_LAST(r)	((r)->last)

INTERVAL_TREE_DEFINE(struct dm_sync_range, node, sector_t, subtree_last,
		     RANGE_START, RANGE_LAST, static inline, range_tree)

/**
 * dm_sync_ranges_create() - make an empty range table
 * @bucket_shift: log2 of the unit, in sectors, that no range may straddle
 *
 * Context: may sleep.
 * Return: the table, or NULL when there is no memory.
 */
struct dm_sync_ranges *dm_sync_ranges_create(unsigned int bucket_shift)
{
	struct dm_sync_ranges *t = kvzalloc(sizeof(*t), GFP_KERNEL);
	unsigned int i;

	if (!t)
		return NULL;

	t->shift = bucket_shift;
	for (i = 0; i < NR_BUCKETS; i++) {
		spin_lock_init(&t->bucket[i].lock);
		t->bucket[i].held = RB_ROOT_CACHED;
		INIT_LIST_HEAD(&t->bucket[i].waiting);
	}
	return t;
}

/**
 * dm_sync_ranges_destroy() - free a range table
 * @t: the table, or NULL; nothing is held or waits in it
 *
 * Context: may sleep.
 */
void dm_sync_ranges_destroy(struct dm_sync_ranges *t)
{
	unsigned int i;

	for (i = 0; t && i < NR_BUCKETS; i++)
		WARN_ON_ONCE(!RB_EMPTY_ROOT(&t->bucket[i].held.rb_root) ||
			     !list_empty(&t->bucket[i].waiting));
	kvfree(t);
}

static struct dm_sync_bucket *bucket_of(struct dm_sync_ranges *t,
					const struct dm_sync_range *r)
{
	WARN_ON_ONCE(r->start >> t->shift != r->last >> t->shift);
	return &t->bucket[hash_64(r->start >> t->shift, BUCKET_BITS)];
}

static bool overlap(const struct dm_sync_range *a, const struct dm_sync_range *b)
{
	return a->start <= b->last && b->start <= a->last;
}

/* Must @r wait?  Looks at the waiters before @end, the list's head for all. */
static bool __must_wait(struct dm_sync_bucket *b, struct dm_sync_range *r,
			struct list_head *end)
{
	struct list_head *pos;

	if (range_tree_iter_first(&b->held, r->start, r->last))
		return true;

	for (pos = b->waiting.next; pos != end; pos = pos->next)
		if (overlap(list_entry(pos, struct dm_sync_range, wait), r))
			return true;
	return false;
}

/**
 * dm_sync_range_lock() - hold a range, now or later
 * @t: the table
 * @r: the range: @start, @last and @granted are set, and stay until unlock
 *
 * When the range cannot be held at once it is queued, and @r->granted() is
 * called as soon as it is held, from whoever released what stood in the way.
 * Nothing sleeps here.  The caller must not hold another range of any table
 * that a holder of this one may wait for.
 *
 * Context: any; takes a spinlock with interrupts off.
 * Return: true when the range is held on return (granted() is not called),
 * false when granted() will tell; it may have been called already by then.
 */
bool dm_sync_range_lock(struct dm_sync_ranges *t, struct dm_sync_range *r)
{
	struct dm_sync_bucket *b = bucket_of(t, r);
	unsigned long flags;
	bool wait;

	spin_lock_irqsave(&b->lock, flags);
	wait = __must_wait(b, r, &b->waiting);
	if (wait)
		list_add_tail(&r->wait, &b->waiting);
	else
		range_tree_insert(r, &b->held);
	spin_unlock_irqrestore(&b->lock, flags);

	return !wait;
}

/*
 * Move every waiter that can be held now that @gone is not to @granted.
 *
 * Only what overlaps @gone can have become free: for any other waiter neither
 * the ranges held that it overlaps nor the earlier waiters have become fewer,
 * as a waiter granted here is held afterwards.
 */
static void __grant(struct dm_sync_bucket *b, const struct dm_sync_range *gone,
		    struct list_head *granted)
{
	struct dm_sync_range *r, *next;

	list_for_each_entry_safe(r, next, &b->waiting, wait) {
		if (!overlap(r, gone) || __must_wait(b, r, &r->wait))
			continue;
		range_tree_insert(r, &b->held);
		list_move_tail(&r->wait, granted);
	}
}

/**
 * dm_sync_range_unlock() - give a range back
 * @t: the table
 * @r: the range, held; it may be freed or used again when this returns
 *
 * Calls granted() of every range that this sets free, in the order in which
 * they were asked for.  A granted() that issues I/O may complete it and release
 * its range from in here, so it should hand the work to a queue where that
 * could go deep.
 *
 * Context: any; takes a spinlock with interrupts off.
 */
void dm_sync_range_unlock(struct dm_sync_ranges *t, struct dm_sync_range *r)
{
	struct dm_sync_bucket *b = bucket_of(t, r);
	struct dm_sync_range *next;
	unsigned long flags;
	LIST_HEAD(granted);

	spin_lock_irqsave(&b->lock, flags);
	range_tree_remove(r, &b->held);
	if (!list_empty(&b->waiting))
		__grant(b, r, &granted);
	spin_unlock_irqrestore(&b->lock, flags);

	list_for_each_entry_safe(r, next, &granted, wait)
		r->granted(r);
}
