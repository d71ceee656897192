// SPDX-License-Identifier: GPL-2.0-only
/*
 * The activity table: which extents may be written now (rule M).
 *
 * A write to an extent is issued to either side only while the extent is HOT,
 * and an extent is HOT only while it stands in a slot of the table on disk. So
 * after a crash the table names every extent on which the sides may differ.
 * Writing to a HOT extent costs one compare-and-exchange and no metadata I/O.
 *
 * A write to a cold extent waits for the committer. It takes all waiters at
 * once, assigns slots, writes the blocks they live in (usually one), and
 * releases them. There is no write that removes an entry: a victim merely becomes
 * cold in memory, and its entry goes when the slot's block is next written. An
 * entry that stays behind costs a needless resync of one extent, nothing else.
 *
 * A victim may go when no write of it is in flight, when both sides were flushed
 * after its last write ended (flush-clean), and when what its regions owe to the
 * maps is durable (the user says so). It goes by exchanging exactly HOT for
 * cold: a write that got in since it was looked at changed the count, or left
 * USED behind, and the exchange fails.
 *
 * Flush-clean: a flush of both sides has a number. flush_begin() draws it before
 * the flushes are issued, put() stores the latest number drawn after the write
 * has ended. A write that stored less than k ended before flush k began and is
 * covered by it; one that ended later stores k or more.
 *
 * A block write that fails leaves its victims cold and marks nothing. Should its
 * image have reached the disk all the same, it holds every extent that is HOT:
 * the victims are not, and nothing becomes HOT in that block until a later write
 * of it has succeeded.
 *
 * Locking: a->lock protects the list of waiters; interrupts off, innermost. The
 * slots, the clock and the blocks are the committer's: commit(), load(), format(),
 * reset() exclude one another by the caller. get(), put() and touch() take no
 * lock and may run in interrupts.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/timer.h>

#include "dm-sync.h"
#include "dm-sync-activity-policy.h"

#define DM_MSG_PREFIX	"sync"

/* state of an extent */
#define HOT		0x80000000u	/* it stands in the table on disk */
#define USED		0x40000000u	/* a write came by since the hand did */
#define FRESH		0x20000000u	/* released by a commit, no write ended since */
#define COUNT		0x1fffffffu	/* writes in flight */

#define NO_SLOT		0xffffu
#define SLOT_WANTED	0xfffeu		/* will get one in this commit */
#define SLOT_TAKEN	U32_MAX		/* a slot between its old and its new extent */

/* The longest a commit waits to be joined, in case a write never ends. */
#define GATHER_JIFFIES	(HZ / 10 + 1)

/* The moment that the host gets to send its next writes: one to two ticks. */
#define LINGER_JIFFIES	2

/**
 * struct extent - what memory knows of an extent
 * @state: flags and count
 * @slot: where it stands, or is to stand; the committer's
 * @epoch: flush number after its last replicated write, or copy
 */
struct extent {
	atomic_t state;
	u16 slot;
	unsigned long epoch;
};

/**
 * struct dm_sync_activity - the table
 * @meta: where it is kept
 * @ops: what the user lets it ask
 * @context: for @ops
 * @nr_extents: of the pair
 * @nr_blocks: of the table
 * @evicts: there are more extents than slots
 * @extents: one each
 * @slots: extent + 1, 0 or SLOT_TAKEN; the committer's
 * @picked: the slots that a commit fills; the committer's
 * @blocks: of the table; the committer's
 * @image: their buffers; the committer's
 * @clock: whom to evict next; the committer's
 * @lock: protects @waiters, @nr_waiting, @since, @error; interrupts off
 * @waiters: writes to be released by the next commit
 * @nr_waiting: their number; read without lock
 * @since: when the first of them came, jiffies
 * @error: not 0: the metadata is dead, every waiter fails
 * @peak: how many waited or were under way at once lately; @lock
 * @ripe: when all but the host's next writes were there, jiffies | 1; 0: not yet
 * @starved: waiters are left over for which there was no slot; no commit makes
 *	sense before something changed
 * @fresh: extents with FRESH
 * @flush: latest flush number drawn
 * @flushed: flushes up to and including this number have succeeded
 * @timer: the way out when a write that a commit waits for never ends
 * @hits: writes that found their extent HOT
 * @misses: writes that had to wait
 */
struct dm_sync_activity {
	struct dm_sync_meta *meta;
	const struct dm_sync_activity_ops *ops;
	void *context;
	u32 nr_extents, nr_blocks;
	bool evicts;
	struct extent *extents;
	u32 *slots;
	u16 *picked;
	struct dm_sync_block *blocks;
	void *image[DM_SYNC_ACTIVITY_BLOCKS];
	struct dm_sync_clock clock;

	spinlock_t lock;
	struct list_head waiters;
	unsigned int nr_waiting;
	unsigned long since;
	int error;
	unsigned int peak;
	unsigned long ripe;

	bool starved;
	atomic_t fresh;
	atomic_long_t flush;
	unsigned long flushed;
	struct timer_list timer;
	unsigned long __percpu *hits;
	atomic64_t misses;
};

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

/**
 * dm_sync_activity_nr_blocks - dual-home blocks that the table takes
 * @nr_extents: of the pair, at least 1
 *
 * Return: enough for every extent, at most DM_SYNC_ACTIVITY_BLOCKS.
 */
u32 dm_sync_activity_nr_blocks(u32 nr_extents)
{
	return min_t(u64, DM_SYNC_ACTIVITY_BLOCKS,
		     DIV_ROUND_UP_ULL(nr_extents, DM_SYNC_ACTIVITY_SLOTS));
}

/* A waiter has waited long enough; kick() makes the committer look. */
static void activity_timeout(struct timer_list *timer)
{
	struct dm_sync_activity *a = container_of(timer, struct dm_sync_activity, timer);

	WRITE_ONCE(a->starved, false);
	if (READ_ONCE(a->nr_waiting)) {
		mod_timer(timer, jiffies + GATHER_JIFFIES);
		a->ops->kick(a->context);
	}
}

static u32 nr_slots(const struct dm_sync_activity *a)
{
	return a->nr_blocks * DM_SYNC_ACTIVITY_SLOTS;
}

static bool activity_alloc(struct dm_sync_activity *a)
{
	u32 i;

	a->hits = alloc_percpu(unsigned long);
	a->extents = kvcalloc(a->nr_extents, sizeof(*a->extents),
			      GFP_KERNEL | __GFP_NOWARN);
	a->slots = kvcalloc(nr_slots(a), sizeof(*a->slots), GFP_KERNEL);
	a->picked = kvcalloc(nr_slots(a), sizeof(*a->picked), GFP_KERNEL);
	a->blocks = kcalloc(a->nr_blocks, sizeof(*a->blocks), GFP_KERNEL);
	if (!a->hits || !a->extents || !a->slots || !a->picked || !a->blocks)
		return false;
	for (i = 0; i < a->nr_blocks; i++) {
		a->image[i] = kmalloc(DM_SYNC_BLOCK_SIZE, GFP_KERNEL);
		if (!a->image[i])
			return false;
	}
	return true;
}

/**
 * dm_sync_activity_create - make a table in memory, nothing HOT
 * @meta: where it is kept
 * @first_nr: its first block on the device
 * @nr_extents: of the pair, at least 1
 * @ops: what it may ask
 * @context: for @ops
 *
 * Nothing is read or written; dm_sync_activity_format(), or _load() and _reset(),
 * come next.
 *
 * Context: process; may sleep.
 * Return: the table, or NULL when there is no memory.
 */
struct dm_sync_activity *
dm_sync_activity_create(struct dm_sync_meta *meta, u32 first_nr, u32 nr_extents,
			const struct dm_sync_activity_ops *ops, void *context)
{
	struct dm_sync_activity *a;
	u32 i;

	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return NULL;
	a->meta = meta;
	a->ops = ops;
	a->context = context;
	a->nr_extents = nr_extents;
	a->nr_blocks = dm_sync_activity_nr_blocks(nr_extents);
	a->evicts = nr_extents > nr_slots(a);
	spin_lock_init(&a->lock);
	INIT_LIST_HEAD(&a->waiters);
	timer_setup(&a->timer, activity_timeout, 0);
	atomic_long_set(&a->flush, 1);
	a->flushed = 1;
	if (!activity_alloc(a)) {
		dm_sync_activity_destroy(a);
		return NULL;
	}
	dm_sync_clock_init(&a->clock, a->nr_blocks);
	for (i = 0; i < nr_extents; i++)
		a->extents[i].slot = NO_SLOT;
	for (i = 0; i < a->nr_blocks; i++)
		a->blocks[i] = (struct dm_sync_block) {
			.id = { .type = DM_SYNC_BLOCK_ACTIVITY, .index = i },
			.nr = first_nr + i,
			.home = 1,
		};
	return a;
}

/**
 * dm_sync_activity_destroy - free a table
 * @a: the table, or NULL; no write is in flight and none waits
 *
 * Context: process.
 */
void dm_sync_activity_destroy(struct dm_sync_activity *a)
{
	u32 i;

	if (!a)
		return;
	WARN_ON_ONCE(!list_empty(&a->waiters));
	timer_shutdown_sync(&a->timer);
	for (i = 0; i < a->nr_blocks; i++)
		kfree(a->image[i]);
	kfree(a->blocks);
	kvfree(a->picked);
	kvfree(a->slots);
	kvfree(a->extents);
	free_percpu(a->hits);
	kfree(a);
}

static int load_block(struct dm_sync_activity *a, u32 i, struct dm_sync_stretch *s,
		      void (*hot)(void *context, u32 extent), void *context)
{
	struct dm_sync_block *b = &a->blocks[i];
	u32 *slots = a->slots + i * DM_SYNC_ACTIVITY_SLOTS;
	struct dm_sync_homes h;
	unsigned int n;
	int r;

	dm_sync_stretch_read(a->meta, s, b->nr, 1);
	r = dm_sync_slots_recover(s->buf[0], s->error[0], s->buf[1], s->error[1],
				  a->meta->uuid, &b->id, a->nr_extents, slots, &h);
	b->seq = h.last_seq;
	b->home = h.last_home;
	for (n = 0; n < DM_SYNC_ACTIVITY_SLOTS; n++)
		if (slots[n])
			hot(context, slots[n] - 1);
	memset(slots, 0, DM_SYNC_ACTIVITY_SLOTS * sizeof(*slots));
	return r;
}

/**
 * dm_sync_activity_load - name the extents that a crash left marked
 * @a: the table; it stays empty in memory
 * @epoch: the one that was in use
 * @hot: called for each extent; one may come twice
 * @context: for @hot
 *
 * The entries on disk are overwritten by commits from now on: what @hot was told
 * must be durable elsewhere before the next one.
 *
 * Context: process, before anybody else uses the table; sleeps for I/O.
 * Return: 0; -EUCLEAN when a block is lost or names what cannot be, so that every
 * extent must be taken for marked; -ENODATA without a device; -ENOMEM.
 */
int dm_sync_activity_load(struct dm_sync_activity *a, u64 epoch,
			  void (*hot)(void *context, u32 extent), void *context)
{
	struct dm_sync_stretch *s;
	int r = 0;
	u32 i;

	if (!a->meta->bdev)
		return -ENODATA;
	s = dm_sync_stretch_create(1);
	if (!s)
		return -ENOMEM;
	for (i = 0; i < a->nr_blocks; i++) {
		a->blocks[i].id.epoch = epoch;
		if (load_block(a, i, s, hot, context)) {
			DMWARN("activity block %u is lost or holds nonsense", i);
			r = -EUCLEAN;
		}
	}
	dm_sync_stretch_destroy(s);
	return r;
}

/* Nothing is HOT, nothing stands in a slot. Writes in flight stay counted. */
static void forget(struct dm_sync_activity *a, u64 epoch)
{
	struct extent *e;
	u32 i;

	for (i = 0; i < a->nr_extents; i++) {
		e = &a->extents[i];
		WARN_ON_ONCE(atomic_read(&e->state) & COUNT);
		if (atomic_fetch_and(COUNT, &e->state) & FRESH)
			atomic_dec(&a->fresh);
		e->slot = NO_SLOT;
	}
	memset(a->slots, 0, nr_slots(a) * sizeof(*a->slots));
	dm_sync_clock_init(&a->clock, a->nr_blocks);
	for (i = 0; i < a->nr_blocks; i++)
		a->blocks[i].id.epoch = epoch;
	WRITE_ONCE(a->starved, false);
}

/**
 * dm_sync_activity_format - write an empty table, both homes of every block
 * @a: the table
 * @epoch: that it carries
 *
 * Context: process, while no write is in flight or waits; sleeps for I/O.
 * Return: 0 when it is durable, or a negative errno.
 */
int dm_sync_activity_format(struct dm_sync_activity *a, u64 epoch)
{
	struct dm_sync_stretch *s;
	u32 i;
	int r = 0;

	s = dm_sync_stretch_create(1);
	if (!s)
		return -ENOMEM;
	forget(a, epoch);
	for (i = 0; i < a->nr_blocks && !r; i++) {
		memset(s->buf[0], 0, DM_SYNC_BLOCK_SIZE);
		dm_sync_stretch_seal(a->meta, s, 0, &a->blocks[i]);
		r = dm_sync_stretch_write(a->meta, s, a->blocks[i].nr, 1);
	}
	dm_sync_stretch_destroy(s);
	return r;
}

/**
 * dm_sync_activity_reset - start a new epoch with an empty table
 * @a: the table; no write is in flight
 * @epoch: higher than any that was ever used with this uuid
 *
 * The blocks of the old epoch are void from the moment the superblock names the
 * new one. The caller makes that durable before the next commit, and only when
 * what the old ones said is settled: recorded in the maps, or flushed. Also ends
 * the state that dm_sync_activity_fail() entered.
 *
 * Context: process; the committer is idle.
 */
void dm_sync_activity_reset(struct dm_sync_activity *a, u64 epoch)
{
	forget(a, epoch);
	spin_lock_irq(&a->lock);
	a->error = 0;
	spin_unlock_irq(&a->lock);
}

/*----------------------------------------------------------------
 * The hot path
 *--------------------------------------------------------------*/

static bool get(struct extent *e, u32 used)
{
	int old = atomic_read(&e->state);

	do {
		if (!((u32)old & HOT))
			return false;
	} while (!atomic_try_cmpxchg(&e->state, &old, (int)(((u32)old + 1) | used)));
	/* Fully ordered: the write that follows is issued after the mark was seen. */
	return true;
}

/**
 * dm_sync_activity_get - may this extent be written now
 * @a: the table
 * @extent: below nr_extents
 *
 * Context: any; no lock.
 * Return: true when it is HOT; the write is then counted, and
 * dm_sync_activity_put() ends it. False: queue it.
 */
bool dm_sync_activity_get(struct dm_sync_activity *a, u32 extent)
{
	if (!get(&a->extents[extent], USED))
		return false;
	this_cpu_inc(*a->hits);
	return true;
}

/* Flush numbers only grow, also when two writes of an extent end together. */
static void stamp(struct dm_sync_activity *a, struct extent *e)
{
	unsigned long now, old = READ_ONCE(e->epoch);

	/*
	 * The write has ended; its end is read before the number. Pairs with the
	 * atomic in dm_sync_activity_flush_begin(), which comes before the flushes
	 * are issued: either the number is the new one, or the write ended first.
	 */
	smp_rmb();
	now = atomic_long_read(&a->flush);
	while ((long)(now - old) > 0 && !try_cmpxchg(&e->epoch, &old, now))
		;
}

/* The group is ripe but small: has the host had its moment to send more? */
static bool lingered(struct dm_sync_activity *a)
{
	unsigned long ripe = cmpxchg(&a->ripe, 0, jiffies | 1);

	if (ripe)
		return time_after_eq(jiffies, ripe + LINGER_JIFFIES);
	mod_timer(&a->timer, jiffies + LINGER_JIFFIES + 1);
	return false;
}

static bool gathered(struct dm_sync_activity *a)
{
	unsigned int waiting = READ_ONCE(a->nr_waiting);

	if (!a->ops->kick || READ_ONCE(a->error))
		return waiting;
	if (!waiting)
		return false;
	if (time_after_eq(jiffies, READ_ONCE(a->since) + GATHER_JIFFIES))
		return true;
	if (!dm_sync_gather_ready(waiting, atomic_read(&a->fresh)))
		return false;
	return dm_sync_gather_full(waiting, READ_ONCE(a->peak)) || lingered(a);
}

/* A write that a commit released has ended: is it the one others wait for? */
static bool one_came_back(struct dm_sync_activity *a, struct extent *e)
{
	if (!((u32)atomic_fetch_andnot(FRESH, &e->state) & FRESH))
		return false;
	/*
	 * Fully ordered against the waiters' number: pairs with the barrier in
	 * dm_sync_activity_queue(). One of the two sees the other.
	 */
	atomic_dec_return(&a->fresh);
	return !READ_ONCE(a->starved) && gathered(a);
}

/**
 * dm_sync_activity_put - a counted write has ended
 * @a: the table
 * @extent: which it was to
 * @replicated: it may have changed either side, and was meant for both; false
 *	when the maps record what it leaves behind
 *
 * Context: any; no lock.
 * Return: true when the committer must be kicked.
 */
bool dm_sync_activity_put(struct dm_sync_activity *a, u32 extent, bool replicated)
{
	struct extent *e = &a->extents[extent];
	bool kick = false;
	u32 state;

	if (replicated)
		stamp(a, e);
	/* Fully ordered: whoever sees the count drop sees the stamp. */
	state = atomic_dec_return(&e->state);
	WARN_ON_ONCE((state & COUNT) == COUNT);
	if (state & FRESH)
		kick = one_came_back(a, e);
	/* Pairs with the barrier in find_slots(): it sees 0, or this sees it starve. */
	if (!(state & COUNT) && READ_ONCE(a->starved)) {
		WRITE_ONCE(a->starved, false);
		kick = true;
	}
	return kick;
}

/**
 * dm_sync_activity_touch - the background copy wrote to this extent
 * @a: the table
 * @extent: below nr_extents; need not be HOT
 *
 * To be called when the copy's writes have ended and before the regions' marks
 * are cleared: until the next flush the extent counts as not flushed.
 *
 * Context: any; no lock.
 */
void dm_sync_activity_touch(struct dm_sync_activity *a, u32 extent)
{
	stamp(a, &a->extents[extent]);
}

/**
 * dm_sync_activity_queue - wait for an extent to be marked
 * @a: the table
 * @w: extent and fn are set; the table's until fn is called
 *
 * Context: any; fn is never called from here.
 * Return: true when the committer must be kicked.
 */
bool dm_sync_activity_queue(struct dm_sync_activity *a, struct dm_sync_waiter *w)
{
	unsigned int now;
	unsigned long irq;
	bool first;

	spin_lock_irqsave(&a->lock, irq);
	first = list_empty(&a->waiters);
	list_add_tail(&w->list, &a->waiters);
	if (first)
		WRITE_ONCE(a->since, jiffies);
	WRITE_ONCE(a->nr_waiting, a->nr_waiting + 1);
	now = a->nr_waiting + max(atomic_read(&a->fresh), 0);
	if (now > a->peak)
		WRITE_ONCE(a->peak, now);
	spin_unlock_irqrestore(&a->lock, irq);

	if (first && a->ops->kick)
		mod_timer(&a->timer, jiffies + GATHER_JIFFIES);
	/* The number before @fresh and @starved: pairs with the atomics in put(). */
	smp_mb();
	if (READ_ONCE(a->starved)) {
		/* It may be for an extent that is HOT by now. */
		WRITE_ONCE(a->starved, false);
		return true;
	}
	return gathered(a);
}

/*----------------------------------------------------------------
 * Flushes
 *--------------------------------------------------------------*/

/**
 * dm_sync_activity_flush_begin - a flush of both sides is about to be issued
 * @a: the table
 *
 * Context: any.
 * Return: its number, for dm_sync_activity_flush_end().
 */
unsigned long dm_sync_activity_flush_begin(struct dm_sync_activity *a)
{
	/* Fully ordered before the flushes: pairs with smp_rmb() in stamp(). */
	return atomic_long_inc_return(&a->flush);
}

/**
 * dm_sync_activity_flush_end - both sides were flushed
 * @a: the table
 * @flush: what dm_sync_activity_flush_begin() returned; both flushes were
 *	issued after it and both succeeded
 *
 * Not called for a flush that failed on either side.
 *
 * Context: any.
 */
void dm_sync_activity_flush_end(struct dm_sync_activity *a, unsigned long flush)
{
	unsigned long old = READ_ONCE(a->flushed);

	while ((long)(flush - old) > 0 && !try_cmpxchg(&a->flushed, &old, flush))
		;
	/* There may be victims now. Whoever flushed kicks if waiters are left. */
	WRITE_ONCE(a->starved, false);
}

/* Reads the count before the stamp, as put() writes them the other way round. */
static bool flush_clean(struct dm_sync_activity *a, struct extent *e)
{
	if (atomic_read_acquire(&e->state) & COUNT)
		return false;
	return (long)(READ_ONCE(e->epoch) - READ_ONCE(a->flushed)) < 0;
}

/**
 * dm_sync_activity_for_each_unflushed - name the extents a lost cache may concern
 * @a: the table
 * @fn: called for each extent with a write in flight, or with a replicated
 *	write or copy that ended after the last successful flush began
 * @context: for @fn
 *
 * An extent that is cold but was touched is named too: the copy does not need
 * its extent to be HOT.
 *
 * Context: process; no lock. Writes that begin meanwhile may be missed.
 */
void dm_sync_activity_for_each_unflushed(struct dm_sync_activity *a,
					 void (*fn)(void *context, u32 extent),
					 void *context)
{
	u32 i;

	for (i = 0; i < a->nr_extents; i++) {
		if (!flush_clean(a, &a->extents[i]))
			fn(context, i);
		if (!(i % 4096))
			cond_resched();
	}
}

/*----------------------------------------------------------------
 * Commit
 *--------------------------------------------------------------*/

static struct extent *slot_extent(struct dm_sync_activity *a, unsigned int slot)
{
	return &a->extents[a->slots[slot] - 1];
}

static bool may_go(struct dm_sync_activity *a, unsigned int slot)
{
	return a->evicts && flush_clean(a, slot_extent(a, slot)) &&
	       a->ops->evictable(a->context, a->slots[slot] - 1);
}

static bool slot_usable(void *context, unsigned int slot)
{
	struct dm_sync_activity *a = context;

	if (a->slots[slot] == SLOT_TAKEN)
		return false;
	return !a->slots[slot] || may_go(a, slot);
}

static bool slot_take(void *context, unsigned int slot, bool chance)
{
	struct dm_sync_activity *a = context;
	struct extent *e;
	int old;

	if (!slot_usable(context, slot))
		return false;
	if (a->slots[slot]) {
		e = slot_extent(a, slot);
		old = atomic_fetch_andnot(USED, &e->state);
		if (chance && ((u32)old & USED))
			return false;
		/*
		 * Asked again, because a write may have come and gone before USED
		 * was cleared. One that comes from here on makes the exchange fail.
		 */
		if (!may_go(a, slot) ||
		    atomic_cmpxchg(&e->state, (int)HOT, 0) != (int)HOT)
			return false;
		e->slot = NO_SLOT;
	}
	a->slots[slot] = SLOT_TAKEN;
	return true;
}

static const struct dm_sync_clock_ops clock_ops = {
	.usable = slot_usable,
	.take = slot_take,
};

/* Up to @need free slots, into the image of the round. */
static unsigned int find_slots(struct dm_sync_activity *a, u16 *slots,
			       unsigned int need)
{
	unsigned int got;

	got = dm_sync_clock_pick(&a->clock, &clock_ops, a, slots, need, !a->evicts);
	if (got == need)
		return got;
	if (a->ops->barrier)
		(a->ops->barrier)(a->context);	/* barrier() is a macro, too */
	/*
	 * From here on whoever ends a write of an idle extent kicks: pairs with
	 * the atomic in dm_sync_activity_put().
	 */
	WRITE_ONCE(a->starved, true);
	smp_mb();
	got += dm_sync_clock_pick(&a->clock, &clock_ops, a, slots + got, need - got, true);
	if (got == need)
		WRITE_ONCE(a->starved, false);
	return got;
}

/**
 * struct round - what one commit deals with
 * @ready: waiters whose extent is HOT and that are counted
 * @cold: waiters whose extent is to be marked
 * @nr_cold: different extents among them
 * @slots: the slots they get, in the order of @cold
 */
struct round {
	struct list_head ready, cold;
	unsigned int nr_cold;
	u16 *slots;
};

static void release(struct list_head *list, int error)
{
	struct dm_sync_waiter *w;

	while (!list_empty(list)) {
		w = list_first_entry(list, struct dm_sync_waiter, list);
		list_del_init(&w->list);
		w->fn(w, error);
	}
}

static int take_waiters(struct dm_sync_activity *a, struct list_head *list)
{
	int error;

	spin_lock_irq(&a->lock);
	list_splice_init(&a->waiters, list);
	WRITE_ONCE(a->peak, dm_sync_gather_peak(a->peak, a->nr_waiting,
						READ_ONCE(a->ripe) &&
						!dm_sync_gather_full(a->nr_waiting, a->peak)));
	WRITE_ONCE(a->ripe, 0);
	WRITE_ONCE(a->nr_waiting, 0);
	error = a->error;
	spin_unlock_irq(&a->lock);
	return error;
}

/* To the head again: they came first. */
static void give_back(struct dm_sync_activity *a, struct list_head *list,
		      unsigned int nr)
{
	spin_lock_irq(&a->lock);
	list_splice_init(list, &a->waiters);
	WRITE_ONCE(a->nr_waiting, a->nr_waiting + nr);
	WRITE_ONCE(a->since, jiffies);
	spin_unlock_irq(&a->lock);
	if (a->ops->kick)
		mod_timer(&a->timer, jiffies + GATHER_JIFFIES);
}

static void sort_waiters(struct dm_sync_activity *a, struct list_head *all,
			 struct round *round)
{
	struct dm_sync_waiter *w, *next;
	struct extent *e;
	unsigned int misses = 0;

	list_for_each_entry_safe(w, next, all, list) {
		e = &a->extents[w->extent];
		misses++;
		if (get(e, 0)) {
			list_move_tail(&w->list, &round->ready);
			continue;
		}
		if (e->slot == NO_SLOT && round->nr_cold < nr_slots(a)) {
			e->slot = SLOT_WANTED;
			round->nr_cold++;
		}
		list_move_tail(&w->list, &round->cold);
	}
	atomic64_add(misses, &a->misses);
}

/* Waiters without a slot go back to the queue, the others' slots are filled. */
static void assign(struct dm_sync_activity *a, struct round *round, unsigned int got)
{
	struct dm_sync_waiter *w, *next;
	unsigned int used = 0, back = 0;
	LIST_HEAD(left);
	struct extent *e;

	list_for_each_entry_safe(w, next, &round->cold, list) {
		e = &a->extents[w->extent];
		if (e->slot == SLOT_WANTED) {
			e->slot = used < got ? round->slots[used] : NO_SLOT;
			if (used < got)
				a->slots[round->slots[used++]] = w->extent + 1;
		}
		if (e->slot == NO_SLOT) {
			list_move_tail(&w->list, &left);
			back++;
		}
	}
	if (back) {
		atomic64_sub(back, &a->misses);		/* they will be counted again */
		give_back(a, &left, back);
	}
}

static int write_blocks(struct dm_sync_activity *a, struct round *round,
			unsigned int got)
{
	unsigned long dirty = 0;
	struct dm_sync_batch batch;
	unsigned int i;

	for (i = 0; i < got; i++)
		dirty |= 1ul << (round->slots[i] / DM_SYNC_ACTIVITY_SLOTS);
	dm_sync_batch_init(&batch, a->meta);
	for (i = 0; i < a->nr_blocks; i++) {
		if (!(dirty & (1ul << i)))
			continue;
		dm_sync_slots_encode(a->image[i], a->slots + i * DM_SYNC_ACTIVITY_SLOTS);
		dm_sync_batch_write(&batch, &a->blocks[i], a->image[i]);
	}
	return dm_sync_batch_wait(&batch);
}

/* The marks are durable: the extents become HOT with their writes counted. */
static void mark_hot(struct dm_sync_activity *a, struct round *round)
{
	struct dm_sync_waiter *w;
	struct extent *e;

	list_for_each_entry(w, &round->cold, list) {
		e = &a->extents[w->extent];
		if (get(e, 0))
			continue;
		atomic_inc(&a->fresh);
		/* Pairs with get(): HOT is seen after the block was written. */
		atomic_set_release(&e->state, (int)(HOT | FRESH | 1));
	}
}

/*
 * Writes that came during the commit may be for an extent that is HOT by now.
 * They need no block write, so they are not left to wait for company.
 */
static void admit_hot(struct dm_sync_activity *a, struct round *round)
{
	struct dm_sync_waiter *w, *next;
	unsigned int nr = 0;

	spin_lock_irq(&a->lock);
	list_for_each_entry_safe(w, next, &a->waiters, list) {
		if (!get(&a->extents[w->extent], 0))
			continue;
		list_move_tail(&w->list, &round->ready);
		nr++;
	}
	WRITE_ONCE(a->nr_waiting, a->nr_waiting - nr);
	spin_unlock_irq(&a->lock);
	atomic64_add(nr, &a->misses);
}

/* Nothing is known of the new copies: the slots are free, the extents cold. */
static void undo(struct dm_sync_activity *a, struct round *round, unsigned int got)
{
	unsigned int i;

	for (i = 0; i < got; i++) {
		slot_extent(a, round->slots[i])->slot = NO_SLOT;
		a->slots[round->slots[i]] = 0;
	}
}

/* A write of the last commit did not come back in time: wait for it no longer. */
static void forget_fresh(struct dm_sync_activity *a)
{
	unsigned int i;

	for (i = 0; i < nr_slots(a); i++)
		if (a->slots[i] &&
		    ((u32)atomic_fetch_andnot(FRESH, &slot_extent(a, i)->state) & FRESH))
			atomic_dec(&a->fresh);
}

static int commit_round(struct dm_sync_activity *a, struct list_head *all,
			struct round *round)
{
	unsigned int got = 0;
	int r = 0;

	sort_waiters(a, all, round);
	if (round->nr_cold)
		got = find_slots(a, round->slots, round->nr_cold);
	assign(a, round, got);
	if (got)
		r = write_blocks(a, round, got);
	if (r)
		undo(a, round, got);
	else
		mark_hot(a, round);
	admit_hot(a, round);
	release(&round->ready, 0);
	release(&round->cold, r);
	return r;
}

/**
 * dm_sync_activity_commit - mark what waits, and release it
 * @a: the table
 *
 * Takes every write that waits now, and admits those that came meanwhile and
 * whose extent it has marked. Those for which no slot can be made free,
 * although @barrier was called, go on waiting. When a block cannot be written,
 * the writes that depended on it are released with the error.
 *
 * Context: the committer, one at a time; sleeps for I/O.
 * Return: 0, or the errno of the write.
 */
int dm_sync_activity_commit(struct dm_sync_activity *a)
{
	struct round round = { .slots = a->picked };
	LIST_HEAD(all);
	int r;

	if (a->ops->kick && READ_ONCE(a->nr_waiting) &&
	    time_after_eq(jiffies, READ_ONCE(a->since) + GATHER_JIFFIES))
		forget_fresh(a);
	INIT_LIST_HEAD(&round.ready);
	INIT_LIST_HEAD(&round.cold);
	r = take_waiters(a, &all);
	if (!r)
		return commit_round(a, &all, &round);
	release(&all, r);
	return r;
}

/**
 * dm_sync_activity_wants_commit - would a commit do something now
 * @a: the table
 *
 * Context: any.
 */
bool dm_sync_activity_wants_commit(struct dm_sync_activity *a)
{
	/* Pairs with the atomics in put(), as in dm_sync_activity_queue(). */
	smp_mb();
	return (!READ_ONCE(a->starved) || READ_ONCE(a->error)) && gathered(a);
}

/**
 * dm_sync_activity_fail - no metadata can be written any more
 * @a: the table
 * @error: negative errno
 *
 * Every write that waits, and until dm_sync_activity_reset() every one that
 * comes, is released with @error. Extents that are HOT stay so: they are marked
 * on disk.
 *
 * Context: process; may sleep. Calls the waiters' fn.
 */
void dm_sync_activity_fail(struct dm_sync_activity *a, int error)
{
	LIST_HEAD(all);

	spin_lock_irq(&a->lock);
	WRITE_ONCE(a->error, error);
	spin_unlock_irq(&a->lock);
	take_waiters(a, &all);
	release(&all, error);
}

/**
 * dm_sync_activity_stats - writes by how they were admitted
 * @a: the table
 * @hits: out: those that found their extent HOT
 * @misses: out: those that had to wait
 *
 * Context: any; no lock.
 */
void dm_sync_activity_stats(struct dm_sync_activity *a, u64 *hits, u64 *misses)
{
	int cpu;

	*hits = 0;
	for_each_possible_cpu(cpu)
		*hits += *per_cpu_ptr(a->hits, cpu);
	*misses = atomic64_read(&a->misses);
}
