// SPDX-License-Identifier: GPL-2.0-only
/*
 * The activity table: admission, eviction, what it costs, what a crash leaves.
 *
 * dm-sync-activity.c and dm-sync-block.c run here over a device in memory
 * (kernel.h). A small host issues writes at a given queue depth; the ends of
 * writes, flushes and commits come in an order drawn by the test. Rule M is
 * audited at cuts of the power: every extent with a write that is in flight, or
 * ended since the last flush began, is named by what is on disk.
 */
#include "unit.h"
#include "kernel.h"
#include "../../../kernel/dm-sync-block.c"
#include "../../../kernel/dm-sync-activity.c"

#define MAX_DEPTH	64u

static const u8 ours[16] = "the pair's uuid", theirs[16] = "another's uuid.";

/*----------------------------------------------------------------
 * The host
 *--------------------------------------------------------------*/

struct host;

struct host_write {
	struct dm_sync_waiter w;
	struct host *host;
	enum { IDLE, WAITING, RUNNING } state;
	unsigned long began;		/* host time it was admitted */
};

struct host {
	struct dm_sync_meta meta;
	struct dm_sync_activity *a;
	struct host_write write[MAX_DEPTH];
	unsigned int depth;
	u32 nr_extents;
	unsigned long *ended;		/* host time of the last end, per extent; 0: clean */
	u16 *running;			/* writes in flight, per extent */
	unsigned long time, issued, failed, kicks, flushes;
	int flush_error;
	bool kicked, pinned;
	unsigned int intrude;		/* a write slips in at that look at a victim */
	bool stay;			/* and does not end */
	u32 intruded;
};

static void admitted(struct dm_sync_waiter *w, int error)
{
	struct host_write *hw = container_of(w, struct host_write, w);

	hw->state = error ? IDLE : RUNNING;
	hw->host->failed += !!error;
	if (!error)
		hw->host->running[w->extent]++;
}

static void host_issue(struct host *h, unsigned int i, u32 extent)
{
	struct host_write *hw = &h->write[i];

	hw->w.extent = extent;
	hw->w.fn = admitted;
	hw->host = h;
	h->issued++;
	if (dm_sync_activity_get(h->a, extent)) {
		admitted(&hw->w, 0);
		return;
	}
	hw->state = WAITING;
	h->kicked |= dm_sync_activity_queue(h->a, &hw->w);
}

static void host_end(struct host *h, unsigned int i)
{
	struct host_write *hw = &h->write[i];

	hw->state = IDLE;
	h->ended[hw->w.extent] = ++h->time;
	h->running[hw->w.extent]--;
	h->kicked |= dm_sync_activity_put(h->a, hw->w.extent, true);
}

static void host_flush(struct host *h)
{
	unsigned long n = dm_sync_activity_flush_begin(h->a), began = h->time;

	h->flushes++;
	for (u32 e = 0; e < h->nr_extents; e++)
		if (h->ended[e] <= began)
			h->ended[e] = 0;
	dm_sync_activity_flush_end(h->a, n);
}

static bool host_evictable(void *context, u32 extent)
{
	struct host *h = context;

	if (h->intrude && !--h->intrude && dm_sync_activity_get(h->a, extent)) {
		h->intruded = extent;
		if (!h->stay)
			dm_sync_activity_put(h->a, extent, true);
	}
	return !h->pinned || extent % 2;
}

static int host_barrier(void *context)
{
	struct host *h = context;

	if (h->flush_error)
		return h->flush_error;
	host_flush(h);
	return 0;
}

static void host_kick(void *context)
{
	struct host *h = context;

	h->kicks++;
	h->kicked = true;
}

static const struct dm_sync_activity_ops gathering = {
	.evictable = host_evictable, .barrier = host_barrier, .kick = host_kick,
};

static const struct dm_sync_activity_ops eager = {
	.evictable = host_evictable, .barrier = host_barrier,
};

/* As the pair's committer does it: until nothing is left that can be done. */
static void host_commit(struct host *h)
{
	h->kicked = false;
	while (dm_sync_activity_wants_commit(h->a))
		dm_sync_activity_commit(h->a);
}

static void host_start(struct host *h, u32 nr_extents, unsigned int depth,
		       const struct dm_sync_activity_ops *ops)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->meta.uuid, ours, 16);
	h->meta.bdev = disk_create(DISK_UNITS);
	h->nr_extents = nr_extents;
	h->depth = depth;
	h->ended = calloc(nr_extents, sizeof(*h->ended));
	h->running = calloc(nr_extents, sizeof(*h->running));
	h->a = dm_sync_activity_create(&h->meta, 1, nr_extents, ops, h);
	dm_sync_activity_format(h->a, 1);
}

static void host_stop(struct host *h)
{
	h->a->waiters.next = h->a->waiters.prev = &h->a->waiters;
	dm_sync_activity_destroy(h->a);
	disk_destroy(h->meta.bdev);
	free(h->ended);
	free(h->running);
}

/*----------------------------------------------------------------
 * Admission
 *--------------------------------------------------------------*/

static void test_admission(void)
{
	struct host h;
	unsigned long before;
	u64 hits, misses;

	host_start(&h, 4000, 8, &eager);
	before = h.meta.bdev->writes;
	host_issue(&h, 0, 17);
	host_issue(&h, 1, 17);
	host_issue(&h, 2, 90);
	ok(h.write[0].state == WAITING && h.kicked, "a cold write waits, and asks for a commit");
	host_commit(&h);
	ok(h.write[0].state == RUNNING && h.write[1].state == RUNNING &&
	   h.write[2].state == RUNNING, "one commit admits all");
	eq(h.meta.bdev->writes - before, 1, "with one block write");
	host_issue(&h, 3, 17);
	ok(h.write[3].state == RUNNING, "a write to a hot extent goes at once");
	eq(h.meta.bdev->writes - before, 1, "without metadata");
	for (int i = 0; i < 4; i++)
		host_end(&h, i);
	dm_sync_activity_stats(h.a, &hits, &misses);
	ok(hits == 1 && misses == 3, "hits and misses are told apart");
	for (u32 e = 0; e < 4000; e++) {
		host_issue(&h, 0, e);
		host_commit(&h);
		expect(h.write[0].state == RUNNING, "extent %u", e);
		host_end(&h, 0);
	}
	expect(!h.flushes, "no flush was needed");
	for (u32 e = 0; e < 4000; e++)
		expect((u32)atomic_read(&h.a->extents[e].state) & HOT, "extent %u", e);
	point("a table with a slot for every extent never evicts");
	host_stop(&h);
}

/* Comes while the block is being written: a barrier is where a test gets in. */
static int late_write(void *context)
{
	struct host *h = context;

	if (h->write[1].state == IDLE)
		host_issue(h, 1, h->write[0].w.extent);
	return host_barrier(context);
}

static void test_latecomer(void)
{
	static const struct dm_sync_activity_ops late = {
		.evictable = host_evictable, .barrier = late_write, .kick = host_kick,
	};
	struct host h;

	host_start(&h, 10000, 8, &late);
	for (u32 e = 0; e < 4032; e++) {
		host_issue(&h, 0, e);
		host_commit(&h);
		host_end(&h, 0);
	}
	host_issue(&h, 0, 5000);
	host_commit(&h);
	ok(h.write[0].state == RUNNING && h.write[1].state == RUNNING,
	   "who comes during the commit that marks its extent goes along");
	eq(h.a->nr_waiting, 0, "and waits no more");
	host_end(&h, 0);
	host_end(&h, 1);
	host_stop(&h);
}

static void test_failure(void)
{
	struct host h;

	host_start(&h, 100, 8, &eager);
	h.meta.bdev->fail_at = h.meta.bdev->writes + 1;
	host_issue(&h, 0, 1);
	eq(dm_sync_activity_commit(h.a), -EIO, "a block write that fails is reported");
	ok(h.failed == 1 && !dm_sync_activity_get(h.a, 1), "its writes fail, nothing is marked");
	host_issue(&h, 0, 1);
	host_commit(&h);
	ok(h.write[0].state == RUNNING, "the next commit may succeed");
	host_issue(&h, 1, 2);
	dm_sync_activity_fail(h.a, -EROFS);
	ok(h.failed == 2, "failing releases what waits");
	host_issue(&h, 1, 3);
	ok(h.kicked && dm_sync_activity_wants_commit(h.a), "what comes later asks for a commit");
	eq(dm_sync_activity_commit(h.a), -EROFS, "which fails");
	eq(h.failed, 3, "and releases it, too");
	ok(dm_sync_activity_get(h.a, 1), "what is marked stays writable");
	dm_sync_activity_put(h.a, 1, true);
	host_end(&h, 0);
	dm_sync_activity_reset(h.a, 2);
	ok(!dm_sync_activity_get(h.a, 1), "a new epoch forgets it");
	host_issue(&h, 1, 3);
	host_commit(&h);
	ok(h.write[1].state == RUNNING, "and writes again");
	host_end(&h, 1);
	host_stop(&h);
}

/*----------------------------------------------------------------
 * Flushes and eviction
 *--------------------------------------------------------------*/

static u32 named[3];

static void name_extent(void *context, u32 extent)
{
	(void)context;
	if (extent < 3)
		named[extent]++;
}

static u32 unflushed(struct host *h)
{
	memset(named, 0, sizeof(named));
	dm_sync_activity_for_each_unflushed(h->a, name_extent, NULL);
	return named[0] | named[1] << 1 | named[2] << 2;
}

static void test_flush(void)
{
	unsigned long n, m;
	struct host h;

	host_start(&h, 100, 8, &eager);
	eq(unflushed(&h), 0, "nothing is owed at first");
	host_issue(&h, 0, 0);
	host_issue(&h, 1, 1);
	host_commit(&h);
	eq(unflushed(&h), 3, "writes in flight are");
	host_end(&h, 0);
	n = dm_sync_activity_flush_begin(h.a);
	host_end(&h, 1);
	dm_sync_activity_touch(h.a, 2);
	eq(unflushed(&h), 7, "a flush that has not ended covers nothing");
	dm_sync_activity_flush_end(h.a, n);
	eq(unflushed(&h), 6, "one that has covers what ended before it began");
	n = dm_sync_activity_flush_begin(h.a);
	m = dm_sync_activity_flush_begin(h.a);
	dm_sync_activity_flush_end(h.a, m);
	dm_sync_activity_flush_end(h.a, n);
	eq(unflushed(&h), 0, "flushes may end in any order");
	host_issue(&h, 0, 0);
	h.write[0].state = IDLE;
	dm_sync_activity_put(h.a, 0, false);
	eq(unflushed(&h), 0, "a write that was not replicated owes no flush");
	host_stop(&h);
}

/* Fill the table, each write ended and not flushed. */
static void fill_table(struct host *h)
{
	for (u32 e = 0; e < 4032; e++) {
		host_issue(h, 0, e);
		host_commit(h);
		if (h->write[0].state == RUNNING)
			host_end(h, 0);
	}
}

static void test_eviction(void)
{
	struct host h;
	u32 hot = 0;

	host_start(&h, 10000, 8, &eager);
	fill_table(&h);
	eq(h.flushes, 0, "the first 4032 extents need no victim");
	host_issue(&h, 0, 5000);
	host_commit(&h);
	ok(h.write[0].state == RUNNING && h.flushes == 1, "the next needs a flush");
	for (u32 e = 0; e < 10000; e++)
		hot += !!((u32)atomic_read(&h.a->extents[e].state) & HOT);
	eq(hot, 4032, "and one victim");
	for (u32 e = 6000; e < 6400; e++) {
		host_issue(&h, 1, e);
		host_commit(&h);
		host_end(&h, 1);
	}
	eq(h.flushes, 1, "the flush serves the whole table");
	ok(dm_sync_activity_get(h.a, 5000), "what is in flight was not evicted");
	dm_sync_activity_put(h.a, 5000, true);
	host_end(&h, 0);
	host_stop(&h);
}

/* The eviction of a victim races with a write to it. */
static void test_intruder(void)
{
	struct host h;

	for (unsigned int at = 1; at <= 3; at++)
		for (int stay = 0; stay < 2; stay++) {
			host_start(&h, 10000, 8, &eager);
			fill_table(&h);
			host_flush(&h);
			h.intrude = at;
			h.stay = stay;
			host_issue(&h, 0, 5000);
			host_commit(&h);
			expect(h.write[0].state == RUNNING, "look %u: another victim is found", at);
			expect(!h.intrude, "look %u: there was an intruder", at);
			expect((u32)atomic_read(&h.a->extents[h.intruded].state) & HOT,
			       "look %u: what was just written, or is, is not evicted", at);
			host_end(&h, 0);
			host_stop(&h);
		}
	point("a write that slips in while its extent is looked at keeps it marked");
}

static void test_second_chance(void)
{
	struct host h;

	host_start(&h, 10000, 8, &eager);
	fill_table(&h);
	host_flush(&h);
	for (u32 e = 0; e < 100; e++) {
		host_issue(&h, 0, e);
		expect(h.write[0].state == RUNNING, "%u is hot", e);
		host_end(&h, 0);
	}
	host_flush(&h);
	for (u32 e = 5000; e < 5300; e++) {
		host_issue(&h, 0, e);
		host_commit(&h);
		host_end(&h, 0);
	}
	for (u32 e = 0; e < 100; e++)
		expect((u32)atomic_read(&h.a->extents[e].state) & HOT, "%u was used lately", e);
	point("extents in use are spared");
	host_stop(&h);
}

static void test_starvation(void)
{
	struct host h;

	host_start(&h, 10000, 8, &gathering);
	fill_table(&h);
	h.flush_error = -EIO;
	host_issue(&h, 0, 5000);
	host_commit(&h);
	eq(h.write[0].state, WAITING, "without a flush there is no victim");
	ok(!dm_sync_activity_wants_commit(h.a), "and no point in trying on");
	ok(h.a->timer.armed, "but for the time when something may have changed");
	h.a->timer.fn(&h.a->timer);
	ok(h.kicks && dm_sync_activity_wants_commit(h.a), "the timer kicks");
	host_issue(&h, 1, 0);
	ok(h.write[1].state == RUNNING, "hot extents are served all the while");
	h.kicked = false;
	host_commit(&h);
	host_end(&h, 1);
	ok(h.kicked, "a write that ends kicks, too");
	h.flush_error = 0;
	h.pinned = true;
	host_commit(&h);
	ok(h.write[0].state == RUNNING, "with a flush it goes on");
	ok((u32)atomic_read(&h.a->extents[0].state) & HOT,
	   "at the cost of one that owes the maps nothing");
	host_end(&h, 0);
	host_stop(&h);
}

static void test_gather(void)
{
	struct host h;

	ok(!dm_sync_gather_ready(0, 0), "nothing waits: no commit");
	ok(dm_sync_gather_ready(1, 0), "nothing outstanding: at once");
	ok(!dm_sync_gather_ready(23, 3) && dm_sync_gather_ready(24, 3), "an eighth outstanding");
	ok(dm_sync_gather_full(1, 7), "few writes at once: none is waited for");
	ok(!dm_sync_gather_full(27, 32) && dm_sync_gather_full(28, 32), "many: for most of them");
	eq(dm_sync_gather_peak(32, 30, false), 30, "a group a little smaller");
	eq(dm_sync_gather_peak(32, 3, true), 16, "in vain: half as many are expected next");
	eq(dm_sync_gather_peak(2, 1, true), 1, "down to one");

	host_start(&h, 10000, 8, &gathering);
	host_issue(&h, 0, 1);
	host_commit(&h);
	h.kicked = false;
	host_issue(&h, 1, 2);
	ok(!h.kicked && !dm_sync_activity_wants_commit(h.a), "a commit waits to be joined");
	host_end(&h, 0);
	ok(h.kicked && dm_sync_activity_wants_commit(h.a), "until the other write is back");
	host_commit(&h);
	eq(h.write[1].state, RUNNING, "then it goes on");
	host_issue(&h, 2, 3);
	ok(h.a->timer.armed, "a write that never comes back");
	jiffies = h.a->timer.expires;
	h.kicked = false;
	h.a->timer.fn(&h.a->timer);
	ok(h.kicked && dm_sync_activity_wants_commit(h.a), "is waited for so long and no longer");
	host_commit(&h);
	eq(h.write[2].state, RUNNING, "the commit is made");
	host_issue(&h, 3, 4);
	host_end(&h, 2);
	ok(dm_sync_activity_wants_commit(h.a), "and the lost one is not waited for again");
	host_commit(&h);
	host_end(&h, 1);
	host_end(&h, 3);
	eq(atomic_read(&h.a->fresh), 0, "the account is settled");
	host_stop(&h);
}

/*----------------------------------------------------------------
 * The price of cold writes
 *--------------------------------------------------------------*/

static u32 any_extent(u32 n)
{
	return ((u32)rand() << 12 ^ (u32)rand()) % n;
}

/*
 * Writes end at random; a commit takes as long as @slow of them; whatever comes
 * meanwhile is taken by the next. The worst order there is: the committer looks
 * after every single event.
 */
static double price(u32 nr_extents, unsigned int depth, unsigned int slow,
		    unsigned long writes, const struct dm_sync_activity_ops *ops,
		    unsigned long *flushes)
{
	unsigned int i, committing = 0;
	unsigned long before;
	struct host h;
	double cost;

	srand(1);
	host_start(&h, nr_extents, depth, ops);
	before = h.meta.bdev->writes;
	for (unsigned long turn = 0; h.issued < writes; turn++) {
		i = rand() % depth;
		if (h.write[i].state == RUNNING)
			host_end(&h, i);
		if (h.write[i].state == IDLE)
			host_issue(&h, i, any_extent(nr_extents));
		if (committing)
			committing--;
		if (!committing && dm_sync_activity_wants_commit(h.a)) {
			dm_sync_activity_commit(h.a);
			committing = slow;
		}
	}
	cost = (double)(h.meta.bdev->writes - before) / h.issued;
	*flushes = h.flushes;
	for (i = 0; i < depth; i++)
		if (h.write[i].state == RUNNING)
			host_end(&h, i);
	host_stop(&h);
	return cost;
}

static void test_price(void)
{
	static const unsigned int slow[] = { 1, 16, 64, 256 };
	unsigned long flushes;
	double cost;

	for (int i = 0; i < 4; i++) {
		cost = price(65536, 32, slow[i], 20000, &gathering, &flushes);
		ok(cost <= 0.04, "32 writes at once over 65536 extents, commits lasting %u: "
		   "%.4f metadata writes each, %lu flushes", slow[i], cost, flushes);
		ok(flushes < 20, "and few flushes");
	}
	cost = price(65536, 32, 16, 20000, &eager, &flushes);
	printf("# without gathering: %.4f\n", cost);
	cost = price(65536, 1, 1, 3000, &gathering, &flushes);
	ok(cost <= 1, "one at a time: %.4f", cost);
	cost = price(4000, 32, 16, 20000, &gathering, &flushes);
	ok(cost < 0.02 && !flushes, "a working set that fits: %.4f", cost);
}

/*----------------------------------------------------------------
 * Recovery of one block from every combination of homes
 *--------------------------------------------------------------*/

enum kind { MISSING, OLDER, OLD, NEW, GARBAGE, FOREIGN, LAST_EPOCH, NEXT_EPOCH, SWAPPED,
	    UNREADABLE, NONSENSE, KINDS };

/* Content of the valid ones: extent = number. Returns the number when valid. */
static u64 make_home(u8 *home, enum kind kind, int *error)
{
	static const u64 seq[KINDS] = { [OLDER] = 8, [OLD] = 9, [NEW] = 10, [LAST_EPOCH] = 70,
					[NEXT_EPOCH] = 80, [SWAPPED] = 90, [NONSENSE] = 11 };
	struct dm_sync_block_id id = { .epoch = 5, .type = DM_SYNC_BLOCK_ACTIVITY, .index = 2 };
	u32 slots[DM_SYNC_ACTIVITY_SLOTS] = { 0 };

	slots[seq[kind] % 7] = seq[kind] + 1;
	if (kind == NONSENSE)
		slots[400] = 100001;
	dm_sync_slots_encode(home, slots);
	id.epoch += (kind == NEXT_EPOCH) - (kind == LAST_EPOCH);
	id.index += kind == SWAPPED;
	dm_sync_block_seal(home, kind == FOREIGN ? theirs : ours, &id, seq[kind] ? seq[kind] : 1);
	if (kind == MISSING)
		memset(home, 0, 4096);
	if (kind == GARBAGE)
		home[4000] ^= 1;
	*error = kind == UNREADABLE ? -EIO : 0;
	return kind == OLDER || kind == OLD || kind == NEW || kind == NONSENSE ? seq[kind] : 0;
}

static void test_recover(void)
{
	static const struct dm_sync_block_id id = { .epoch = 5, .type = DM_SYNC_BLOCK_ACTIVITY,
						    .index = 2 };
	_Alignas(8) static u8 home[2][4096];
	u32 slots[DM_SYNC_ACTIVITY_SLOTS];
	struct dm_sync_homes h;
	int error[2], r;

	for (enum kind a = 0; a < KINDS; a++) {
		for (enum kind b = 0; b < KINDS; b++) {
			u64 sa = make_home(home[0], a, &error[0]);
			u64 sb = make_home(home[1], b, &error[1]), best = max(sa, sb);
			bool both = sa && sa == sb;
			bool lost = error[0] || error[1] || both || best == 11;

			if (!best && a != LAST_EPOCH && b != LAST_EPOCH)
				lost = true;
			r = dm_sync_slots_recover(home[0], error[0], home[1], error[1], ours,
						  &id, 100000, slots, &h);
			expect(r == (lost ? -EUCLEAN : 0), "%d/%d: %d", a, b, r);
			for (u32 i = 0; i < DM_SYNC_ACTIVITY_SLOTS; i++)
				expect(slots[i] == (best && !both && i == best % 7 ? best + 1 : 0),
				       "%d/%d: slot %u is %u", a, b, i, slots[i]);
			if (best && !both)
				expect(h.last_home == (sb > sa) && h.last_seq >= best,
				       "%d/%d: what is newest is not written over", a, b);
		}
		point("recover: state %d of home 0 with every state of home 1", a);
	}
}

/*----------------------------------------------------------------
 * Rule M at every power cut
 *--------------------------------------------------------------*/

static u8 *found;

static void note_found(void *context, u32 extent)
{
	(void)context;
	found[extent] = 1;
}

static void run_until_cut(struct host *h, unsigned int turns)
{
	for (unsigned int t = 0; t < turns && !h->meta.bdev->cut; t++) {
		unsigned int i = rand() % h->depth;

		jiffies++;
		if (h->write[i].state == RUNNING && rand() % 2)
			host_end(h, i);
		if (h->write[i].state == IDLE)
			host_issue(h, i, rand() % 4 ? any_extent(h->nr_extents) :
						      rand() % 50);
		if (!(rand() % 97))
			host_flush(h);
		h->flush_error = rand() % 5 ? 0 : -EIO;
		if (h->kicked || !(rand() % 16))
			host_commit(h);
	}
}

static bool audit(struct host *h, u64 epoch)
{
	struct block_device *after = disk_after_cut(h->meta.bdev);
	struct dm_sync_meta meta = h->meta;
	struct dm_sync_activity *a;
	bool good = true;
	int r;

	found = calloc(h->nr_extents, 1);
	meta.bdev = after;
	a = dm_sync_activity_create(&meta, 1, h->nr_extents, &eager, h);
	r = dm_sync_activity_load(a, epoch, note_found, NULL);
	good &= expect(!r, "load: %d", r);
	for (u32 e = 0; e < h->nr_extents; e++)
		good &= expect(found[e] || (!h->ended[e] && !h->running[e]),
			       "extent %u was written and is not named", e);
	dm_sync_activity_destroy(a);
	disk_destroy(after);
	free(found);
	return good;
}

static bool crash(unsigned int seed, unsigned int cut)
{
	struct host h;
	bool good;

	srand(seed);
	host_start(&h, 6000, 24, seed % 2 ? &gathering : &eager);
	run_until_cut(&h, 600 + rand() % 900);
	if (seed % 3 == 2) {		/* a new epoch over blocks of the old one */
		for (unsigned int i = 0; i < h.depth; i++)
			if (h.write[i].state == RUNNING)
				host_end(&h, i);
		host_flush(&h);
		dm_sync_activity_fail(h.a, -EIO);
		dm_sync_activity_reset(h.a, 2);
	}
	if (seed % 5 == 4) {
		h.meta.bdev->fail_at = h.meta.bdev->writes + 1 + rand() % cut;
		h.meta.bdev->effect = rand() % 3;
	}
	h.meta.bdev->cut_at = h.meta.bdev->writes + cut;
	h.meta.bdev->cut_mask = rand();
	run_until_cut(&h, 4000);
	good = audit(&h, seed % 3 == 2 ? 2 : 1);
	for (unsigned int i = 0; i < h.depth; i++)
		if (h.write[i].state == RUNNING)
			host_end(&h, i);
	host_stop(&h);
	return good;
}

static void test_crashes(void)
{
	unsigned int seed = 0;

	for (unsigned int cut = 1; cut <= 40; cut++)
		for (int i = 0; i < 6; i++, seed++)
			if (!crash(seed, cut))
				printf("# cut %u seed %u\n", cut, seed);
	point("power cut at each of 40 writes: every extent that may differ is named");
	ok(jiffies, "time went by");
}

int main(void)
{
	plan(0);
	eq(dm_sync_activity_nr_blocks(1), 1, "one extent takes a block");
	eq(dm_sync_activity_nr_blocks(505), 2, "505 take two");
	eq(dm_sync_activity_nr_blocks(65536), 8, "and eight are the most");
	test_admission();
	test_latecomer();
	test_failure();
	test_flush();
	test_eviction();
	test_intruder();
	test_second_chance();
	test_starvation();
	test_gather();
	test_price();
	test_recover();
	test_crashes();
	eq(warnings, 0, "no warning was raised");
	return done();
}
