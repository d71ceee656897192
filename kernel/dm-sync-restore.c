// SPDX-License-Identifier: GPL-2.0-only
/*
 * The source becomes what an image is, while hosts go on.
 *
 * A map says which chunks are still to come. When it begins (dm-sync-restore-life.c)
 * these are all that the image does not find in the source, and from that instant on
 * hosts see the image:
 *
 *	read	of a marked chunk: the image's slot. Of any other: the source.
 *	write	that touches a marked chunk: waits until it is marked no more, and goes to
 *		the source then, as ever.
 *	work	takes marked chunks from the map, those that writes wait for first, and
 *		restores them.
 *
 * A chunk is restored in this order:
 *
 *	save	with its range held: what the source has is saved for the images that need
 *		it, as before any write (rule S); image reads of the source end before that
 *		(rule S-read). It is protected from then on, for no new image comes while the
 *		source is restored, nor before the worker rests (dm_sync_restore_rest());
 *		so the range need not be held while it is written.
 *	copy	the slot is read and written to the source
 *	flush	the source
 *	clear	the bit, in memory and then on the disk, many at a time
 *	issue	the writes that waited
 *
 * A power cut
 *	- before the clear is durable: the bit is set when it is loaded, and the chunk is
 *	  restored again. Nothing is lost by that: no host has written it, as that waits
 *	  for the clear, and the image has what it had.
 *	- after it: the chunk is the source's. The flush came before, so the image's
 *	  content is there, and whatever a host wrote since is a host's write.
 *
 * Writes of whole chunks wait for the copy as all others do. If the bit were cleared
 * without one, a power cut before the write has reached the disk would uncover what the
 * source held before the restore: neither what the host saw last nor what it wrote.
 *
 * Reads of a chunk go to the slot until its bit is cleared, so while it is being copied,
 * too; when it is clear the source has the same. They are counted in the image's
 * own_writes under the same rcu_read_lock() under which the slot was found: like those
 * they wait for nothing but the store's device, and a slot of the image is not freed
 * before they are over.
 *
 * Between clearing in memory and on the disk, a host's write must still wait, although
 * the bit is clear. So the worker clears with r->lock held and says which chunks it is
 * about (r->runs, r->settling); who asks, asks under that lock.
 *
 * A chunk that cannot be restored, because its slot cannot be read, or is BAD, or the
 * source cannot be written or flushed, stays marked. Reads of it go to the slot, and fail
 * if that cannot be read; writes to it are tried, and fail as long as it cannot be
 * restored. When all others are there, the restore has broken off: see
 * dm-sync-restore-life.c.
 *
 * A clear that fails is one for all that is copied by then and not yet clear, whoever asked
 * for it: it is marked again, nobody who waited for it is let go, and the worker copies
 * nothing more before it has dealt with that. If he copied the rest of a piece and later
 * cleared the whole of it, hosts would write what he is going to write over. When it is the
 * map's write that fails, a torn home is left; but the restore is over by that, so nobody
 * will look.
 *
 * Who waits for whom. The worker holds r->apply over the copy, flush and clear, and waits
 * for devices then. Without it, it waits for a range and the committer, who waits for
 * neither. It has a queue and memory of its own. A save that waits for space
 * (on_full:hold) has the restore wait, and the writes that need it, no longer than
 * hold_max. Host writes wait in the gate; nobody closes it meanwhile but a suspend's
 * device-mapper, which waits for them while the worker goes on serving them.
 */
#include <linux/completion.h>
#include <linux/sched.h>

#include "dm-sync-commit-store.h"
#include "dm-sync-image.h"

#define DM_MSG_PREFIX "sync"

#define LOOK_AGAIN	HZ	/* the end was told of, and has not come */

/*----------------------------------------------------------------
 * What hosts meet
 *--------------------------------------------------------------*/

static bool in_slot(enum dm_sync_found found)
{
	return found == DM_SYNC_FOUND_SLOT || found == DM_SYNC_FOUND_OWN;
}

/*
 * How many marked chunks, from one that is in @slot, up to @last, lie in adjacent slots. Sectors
 * tell that, not numbers: between some two numbers lies the head of the next segment.
 */
static u64 slot_run(struct dm_sync_restore *r, const struct dm_sync_view_image *view,
		    u64 chunk, u64 last, u32 slot)
{
	const struct dm_sync_store_layout *l = &r->store->layout;
	sector_t first = dm_sync_store_slot_sector(l, slot);
	u64 nr = 1;
	u32 next;

	while (chunk + nr <= last && dm_sync_map_test(r->map, chunk + nr) &&
	       in_slot(dm_sync_view_find(view, chunk + nr, &next)) &&
	       dm_sync_store_slot_sector(l, next) == first + (nr << r->store->chunk_shift))
		nr++;
	return nr;
}

/* Under RCU.  Returns how many chunks lie where the bio was aimed at; 0: nowhere. */
static u64 aim(struct dm_sync_restore *r, struct bio *bio, u64 chunk, u64 last,
	       struct dm_sync_image **counted)
{
	const struct dm_sync_view_image *view = rcu_dereference(r->image->view);
	struct dm_sync_store *s = r->store;
	enum dm_sync_found found;
	sector_t offset;
	u32 slot;

	if (!view)
		return last + 1 - chunk;	/* the image is lost, and the restore with it */
	if (!dm_sync_map_test(r->map, chunk))
		return max(dm_sync_map_next_before(r->map, chunk, last + 1) - chunk, 1);
	found = dm_sync_view_find(view, chunk, &slot);
	if (found == DM_SYNC_FOUND_SOURCE)
		return 1;
	if (!in_slot(found))
		return 0;
	*counted = r->image;
	atomic_inc(&r->image->own_writes);
	offset = bio->bi_iter.bi_sector - (chunk << s->chunk_shift);
	bio_set_dev(bio, s->bdev);
	bio->bi_iter.bi_sector = dm_sync_store_slot_sector(&s->layout, slot) + offset;
	return slot_run(r, view, chunk, last, slot);
}

/**
 * dm_sync_restore_read - a host reads the source, which may be being restored
 * @s: the store
 * @bio: the read, aimed at the source
 * @counted: NULL; out: for dm_sync_restore_read_end(), unless it stays NULL
 *
 * Context: map; waits for nothing.
 * Return: DM_MAPIO_REMAPPED or DM_MAPIO_KILL.
 */
int dm_sync_restore_read(struct dm_sync_store *s, struct bio *bio,
			 struct dm_sync_image **counted)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct dm_sync_restore *r;
	unsigned int fit;
	u64 chunk, last, nr = 0;

	chunk = sector >> s->chunk_shift;
	last = (sector + max(bio_sectors(bio), 1u) - 1) >> s->chunk_shift;
	rcu_read_lock();
	r = rcu_dereference(s->restore);
	if (!r || !bio_sectors(bio)) {
		rcu_read_unlock();
		return DM_MAPIO_REMAPPED;
	}
	WRITE_ONCE(r->last_io, jiffies);
	nr = aim(r, bio, chunk, last, counted);
	rcu_read_unlock();
	if (!nr)
		return DM_MAPIO_KILL;
	fit = min_t(u64, ((chunk + min(nr, last + 1 - chunk)) << s->chunk_shift) - sector,
		    bio_sectors(bio));
	if (fit < bio_sectors(bio))
		dm_accept_partial_bio(bio, fit);
	return DM_MAPIO_REMAPPED;
}

/**
 * dm_sync_restore_read_end - such a read is over
 * @counted: as dm_sync_restore_read() said
 *
 * Context: any.
 */
void dm_sync_restore_read_end(struct dm_sync_image *counted)
{
	/* It may be deleted as soon as that is 0, and is freed a grace period later. */
	rcu_read_lock();
	if (atomic_dec_and_test(&counted->own_writes))
		wake_up(&counted->door_idle);
	rcu_read_unlock();
}

/* r->lock is held. */
static bool in_runs(struct dm_sync_restore *r, u64 first, u64 last)
{
	unsigned int i;

	for (i = 0; i < r->nr_runs; i++)
		if (r->runs[i].first <= last && first < r->runs[i].first + r->runs[i].nr)
			return true;
	return false;
}

/**
 * dm_sync_restore_needs - does a write have to wait for chunks to be restored?
 * @s: the store
 * @first: first chunk
 * @last: last chunk
 *
 * With the gate entered. If not, it does not have to from now on.
 *
 * Context: any.
 */
bool dm_sync_restore_needs(struct dm_sync_store *s, u64 first, u64 last)
{
	struct dm_sync_restore *r;
	unsigned long flags;
	bool needs = false;

	rcu_read_lock();
	r = rcu_dereference(s->restore);
	if (r) {
		WRITE_ONCE(r->last_io, jiffies);
		spin_lock_irqsave(&r->lock, flags);
		needs = r->on && (dm_sync_map_next_before(r->map, first, last + 1) <= last ||
				  (r->settling && in_runs(r, first, last)));
		spin_unlock_irqrestore(&r->lock, flags);
	}
	rcu_read_unlock();
	return needs;
}

/**
 * dm_sync_restore_demand - have a write wait for its chunks
 * @s: the store
 * @demand: which; its @done is called
 *
 * Context: any.
 * Return: false when the restore has just ended: @done is not called.
 */
bool dm_sync_restore_demand(struct dm_sync_store *s, struct dm_sync_demand *demand)
{
	struct dm_sync_restore *r;
	unsigned long flags;
	bool on = false;

	rcu_read_lock();
	r = rcu_dereference(s->restore);
	if (r) {
		spin_lock_irqsave(&r->lock, flags);
		on = r->on;
		if (on) {
			demand->error = 0;
			list_add_tail(&demand->list, &r->demands);
			mod_delayed_work(s->restore_wq, &r->work, 0);
		}
		spin_unlock_irqrestore(&r->lock, flags);
	}
	rcu_read_unlock();
	return on;
}

/*----------------------------------------------------------------
 * The worker: I/O
 *--------------------------------------------------------------*/

static unsigned int chunk_bytes(const struct dm_sync_store *s)
{
	return 1u << (s->chunk_shift + SECTOR_SHIFT);
}

/* Into or out of its pages, from @offset on. */
static int do_io(struct dm_sync_restore *r, struct block_device *bdev, blk_opf_t opf,
		 sector_t sector, unsigned int offset, unsigned int bytes)
{
	struct bio *bio = &r->bio;
	int error;

	bio_init(bio, bdev, r->vecs, DM_SYNC_RESTORE_PAGES, opf);
	bio->bi_iter.bi_sector = sector;
	while (bytes) {
		unsigned int in = offset_in_page(offset);
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - in);

		__bio_add_page(bio, r->page[offset / PAGE_SIZE], len, in);
		offset += len;
		bytes -= len;
	}
	error = submit_bio_wait(bio);
	bio_uninit(bio);
	return error;
}

/* What of @nr chunks from @chunk on there is of the source. */
static unsigned int source_bytes(struct dm_sync_store *s, u64 chunk, u32 nr)
{
	sector_t sector = chunk << s->chunk_shift;

	return min_t(u64, (u64)nr * chunk_bytes(s), (s->sectors - sector) << SECTOR_SHIFT);
}

static void zero(struct dm_sync_restore *r, unsigned int offset, unsigned int end)
{
	unsigned int in, len;

	for (; offset < end; offset += len) {
		in = offset_in_page(offset);
		len = min_t(unsigned int, end - offset, PAGE_SIZE - in);
		memset(page_address(r->page[offset / PAGE_SIZE]) + in, 0, len);
	}
}

/*----------------------------------------------------------------
 * The worker: saving what the source has
 *--------------------------------------------------------------*/

/**
 * struct saving - one save of the worker's
 * @save: it
 * @done: when it is over
 * @error: how it went
 * @bad: which chunks the source could not give
 */
struct saving {
	struct dm_sync_save save;
	struct completion done;
	int error;
	DECLARE_BITMAP(bad, DM_SYNC_COW_SECTORS / DM_SYNC_MIN_CHUNK);
};

static void saved(struct dm_sync_save *save, int error)
{
	struct saving *w = container_of(save, struct saving, save);

	w->error = error;
	complete(&w->done);
}

static void read_source(struct dm_sync_restore *r, struct saving *w)
{
	struct dm_sync_store *s = r->store;
	u64 chunk = w->save.chunk;
	u32 i, nr = w->save.nr;

	bitmap_zero(w->bad, DM_SYNC_COW_SECTORS / DM_SYNC_MIN_CHUNK);
	zero(r, source_bytes(s, chunk, nr), nr * chunk_bytes(s));
	atomic64_add(source_bytes(s, chunk, nr), &s->read_bytes);
	if (!do_io(r, s->source, REQ_OP_READ, chunk << s->chunk_shift, 0,
		   source_bytes(s, chunk, nr)))
		return;
	for (i = 0; i < nr; i++) {
		if (!do_io(r, s->source, REQ_OP_READ, (chunk + i) << s->chunk_shift,
			   i * chunk_bytes(s), source_bytes(s, chunk + i, 1)))
			continue;
		zero(r, i * chunk_bytes(s), (i + 1) * chunk_bytes(s));
		__set_bit(i, w->bad);
	}
}

/* The first run of chunks that are not protected; none: w->save.nr is 0. */
static void next_save(struct dm_sync_store *s, struct saving *w, u64 chunk, u64 last)
{
	rcu_read_lock();
	while (chunk <= last && dm_sync_view_protected(&s->view, chunk))
		chunk++;
	w->save.chunk = chunk;
	while (chunk <= last && !dm_sync_view_protected(&s->view, chunk))
		chunk++;
	rcu_read_unlock();
	w->save.nr = chunk - w->save.chunk;
}

struct waiting {
	struct dm_sync_range range;
	struct completion granted;
};

static void range_granted(struct dm_sync_range *range)
{
	complete(&container_of(range, struct waiting, range)->granted);
}

/* Rule S, for the worker's own writes.  Returns 0 or -EAGAIN. */
static int protect(struct dm_sync_restore *r, u64 chunk, u64 last)
{
	struct dm_sync_store *s = r->store;
	struct waiting w = { .range = {
		.start = chunk << s->chunk_shift,
		.last = ((last + 1) << s->chunk_shift) - 1,
		.granted = range_granted,
	} };
	struct saving save = { .save = {
		.bad = save.bad, .pages = r->page, .done = saved,
	} };

	init_completion(&w.granted);
	if (!dm_sync_range_lock(s->ranges, &w.range))
		wait_for_completion(&w.granted);
	for (;;) {
		next_save(s, &save, chunk, last);
		if (!save.save.nr)
			break;
		read_source(r, &save);
		init_completion(&save.done);
		dm_sync_store_save(s, &save.save);
		wait_for_completion(&save.done);
		if (save.error)
			break;
		chunk = save.save.chunk + save.save.nr;
	}
	dm_sync_range_unlock(s->ranges, &w.range);
	return save.error;
}

/*----------------------------------------------------------------
 * The worker: copying.  r->apply is held, and the restore is on.
 *--------------------------------------------------------------*/

static int flush_source(void *context)
{
	struct dm_sync_restore *r = context;

	r->unflushed = blkdev_issue_flush(r->store->source);
	return r->unflushed;
}

/* One failure of the store is no reason to give images up. A flush that failed is final. */
static int commit(struct dm_sync_restore *r)
{
	int error;

	r->unflushed = 0;
	error = dm_sync_map_commit(r->map, true, flush_source, r);
	if (error && !r->unflushed)
		error = dm_sync_map_commit(r->map, true, flush_source, r);
	return error;
}

/*
 * Flush, clear, durable. When that fails the bits are set again: nothing has changed, as
 * writes wait. Then r->unsettled has the worker stop copying and see settle_now().
 */
static void settle(struct dm_sync_restore *r)
{
	unsigned int i;
	u64 chunk;
	int error;

	spin_lock_irq(&r->lock);
	r->settling = true;
	for (i = 0; i < r->nr_runs; i++)
		for (chunk = r->runs[i].first; chunk < r->runs[i].first + r->runs[i].nr; chunk++)
			dm_sync_map_clear(r->map, chunk);
	spin_unlock_irq(&r->lock);
	error = commit(r);
	spin_lock_irq(&r->lock);
	for (i = 0; error && i < r->nr_runs; i++)
		dm_sync_map_set_range(r->map, r->runs[i].first,
				      r->runs[i].first + r->runs[i].nr - 1);
	r->nr_runs = 0;
	r->settling = false;
	spin_unlock_irq(&r->lock);
	r->unsettled = error;
	if (error)
		DMERR_LIMIT("%s: %s: %d", r->store->name, r->unflushed ?
			    "the source cannot be flushed after chunks were restored" :
			    "what was restored cannot be noted", error);
}

/*
 * The source has these now. If those before them cannot be noted, these are not, either:
 * they stay marked, and are copied again.
 */
static int add_run(struct dm_sync_restore *r, u64 chunk, u32 nr)
{
	if (r->nr_runs == DM_SYNC_RESTORE_RUNS)
		settle(r);
	if (r->unsettled)
		return r->unsettled;
	spin_lock_irq(&r->lock);
	r->runs[r->nr_runs].first = chunk;
	r->runs[r->nr_runs++].nr = nr;
	spin_unlock_irq(&r->lock);
	return 0;
}

/* Slots are whole, also that of a chunk in which the source ends. */
static int copy_slots(struct dm_sync_restore *r, u64 chunk, u32 slot, u32 nr)
{
	struct dm_sync_store *s = r->store;
	int error;

	error = do_io(r, s->bdev, REQ_OP_READ, dm_sync_store_slot_sector(&s->layout, slot), 0,
		      nr * chunk_bytes(s));
	return error ?: do_io(r, s->source, REQ_OP_WRITE, chunk << s->chunk_shift, 0,
			      source_bytes(s, chunk, nr));
}

static int failed(struct dm_sync_restore *r, u64 chunk, int error)
{
	DMERR_LIMIT("%s: chunk %llu cannot be restored: %d", r->store->name, chunk, error);
	return error;
}

/* One by one, to find the one that it is. */
static int copy_each(struct dm_sync_restore *r, u64 chunk, u32 slot, u32 nr)
{
	int error, first = 0;
	u32 i;

	for (i = 0; i < nr && !r->unsettled; i++) {
		error = copy_slots(r, chunk + i, slot + i, 1);
		if (error)
			failed(r, chunk + i, error);
		else
			error = add_run(r, chunk + i, 1);
		first = first ?: error;
	}
	return first;
}

/* From @chunk on, as far as it lies in one piece: *nr chunks. */
static int copy_some(struct dm_sync_restore *r, u64 chunk, u64 last, u32 *nr)
{
	const struct dm_sync_view_image *view;
	enum dm_sync_found found;
	u32 slot;
	int error;

	*nr = 1;
	rcu_read_lock();
	view = rcu_dereference(r->image->view);
	found = view ? dm_sync_view_find(view, chunk, &slot) : DM_SYNC_FOUND_BAD;
	if (in_slot(found))
		*nr = slot_run(r, view, chunk, last, slot);
	rcu_read_unlock();
	if (found == DM_SYNC_FOUND_SOURCE)
		return add_run(r, chunk, 1);
	if (found == DM_SYNC_FOUND_BAD)
		return failed(r, chunk, -EIO);
	error = copy_slots(r, chunk, slot, *nr);
	return error ? copy_each(r, chunk, slot, *nr) : add_run(r, chunk, *nr);
}

/* Marked chunks that are not copied yet, side by side in one unit of the range table. */
static int restore_run(struct dm_sync_restore *r, u64 chunk, u64 last)
{
	int error, first;
	u32 nr;

	first = protect(r, chunk, last);
	if (first)
		return first;
	mutex_lock(&r->apply);
	for (; r->on && !r->unsettled && chunk <= last; chunk += nr) {
		error = copy_some(r, chunk, last, &nr);
		first = first ?: error;
	}
	mutex_unlock(&r->apply);
	return first ?: r->unsettled;
}

/*----------------------------------------------------------------
 * The worker: what next
 *--------------------------------------------------------------*/

/* The first run from @chunk on that is marked and not copied; false: none up to @last. */
static bool next_run(struct dm_sync_restore *r, u64 *chunk, u64 *last)
{
	u64 end;

	for (;; ++*chunk) {
		*chunk = dm_sync_map_next_before(r->map, *chunk, *last + 1);
		if (*chunk > *last)
			return false;
		if (!in_runs(r, *chunk, *chunk))	/* only the worker changes them */
			break;
	}
	end = *chunk + 1;
	while (end <= *last && dm_sync_map_test(r->map, end) && !in_runs(r, end, end))
		end++;
	*last = end - 1;
	return true;
}

/* The last chunk of the range table's unit that @chunk is in. */
static u64 unit_end(struct dm_sync_store *s, u64 chunk)
{
	return chunk | ((DM_SYNC_COW_SECTORS >> s->chunk_shift) - 1);
}

static int serve(struct dm_sync_restore *r, struct dm_sync_demand *d)
{
	u64 chunk = d->first, last;
	int error = 0;

	while (!error && chunk <= d->last) {
		last = min(d->last, unit_end(r->store, chunk));
		if (next_run(r, &chunk, &last))
			error = restore_run(r, chunk, last);
		chunk = last + 1;
	}
	return error;
}

/*
 * A store whose map cannot be written has failed as one has whose slots cannot: its images
 * are given up, this one too, and hosts go on. A source that cannot be flushed is another
 * matter, and no image's fault: what was copied since the last time could not be restored,
 * as if it could not be written, and is marked still.
 *
 * Returns the error that there was since the last time.
 */
static int settle_now(struct dm_sync_restore *r)
{
	struct dm_sync_store *s = r->store;
	int error;

	mutex_lock(&r->apply);
	if (r->on && !r->unsettled)
		settle(r);
	error = r->unsettled;
	r->unsettled = 0;
	mutex_unlock(&r->apply);
	if (!error || r->unflushed)
		return error;
	mutex_lock(&s->commit_lock);
	if (r->on)
		dm_sync_space_fail(s, error);
	mutex_unlock(&s->commit_lock);
	return error;
}

/*
 * What a write that waited is told.  @error: settle_now()'s, which is its own when its chunks
 * are marked. When they are, whatever it is that was forgotten, it is not let go, but waits
 * again: returns false.
 */
static bool is_over(struct dm_sync_restore *r, struct dm_sync_demand *d, int error)
{
	bool over = true;

	spin_lock_irq(&r->lock);
	list_del(&d->list);
	if (!r->on) {
		if (d->error != -EAGAIN)
			d->error = 0;
	} else if (!d->error &&
		   dm_sync_map_next_before(r->map, d->first, d->last + 1) <= d->last) {
		d->error = error;
		over = error;
		if (!over)
			list_add_tail(&d->list, &r->demands);
	}
	spin_unlock_irq(&r->lock);
	return over;
}

static void release(struct dm_sync_restore *r, struct list_head *demands, int error)
{
	struct dm_sync_demand *d, *next;

	list_for_each_entry_safe(d, next, demands, list)
		if (is_over(r, d, error))
			d->done(d, d->error);
}

/* Returns false when nobody waits. */
static bool serve_all(struct dm_sync_restore *r)
{
	struct dm_sync_demand *d;
	LIST_HEAD(demands);
	int error;

	spin_lock_irq(&r->lock);
	list_splice_init(&r->demands, &demands);
	spin_unlock_irq(&r->lock);
	if (list_empty(&demands))
		return false;
	list_for_each_entry(d, &demands, list)
		d->error = READ_ONCE(r->on) ? serve(r, d) : 0;
	error = settle_now(r);
	release(r, &demands, error);
	return true;
}

/* r->lock is held. */
static void set_pace(struct dm_sync_restore *r, u64 now)
{
	struct dm_sync_store *s = r->store;
	u8 priority = READ_ONCE(s->config->priority);
	u64 rate = READ_ONCE(s->rate);

	if (r->pace.priority != priority)
		dm_sync_pace_set_priority(&r->pace, now, priority);
	if (r->pace.rate != rate)
		dm_sync_pace_set_rate(&r->pace, now, rate);
}

/* The size of the next piece; @busy: out: hosts are. */
static unsigned int pace_bytes(struct dm_sync_restore *r, u64 now, bool *busy)
{
	u64 since = jiffies_to_nsecs(jiffies - READ_ONCE(r->last_io));
	unsigned int bytes;

	spin_lock_irq(&r->lock);
	set_pace(r, now);
	*busy = dm_sync_pace_host(&r->pace, now, 0, since < now ? now - since : 0);
	bytes = min(dm_sync_pace_job_bytes(&r->pace, *busy), 1u << 20);
	spin_unlock_irq(&r->lock);
	return bytes;
}

/* Returns 0 when a piece of this size begins now, or when to ask again, in ns. */
static u64 pace_begin(struct dm_sync_restore *r, u64 now, bool busy, unsigned int bytes)
{
	u64 delay;

	spin_lock_irq(&r->lock);
	delay = dm_sync_pace_delay(&r->pace, now, busy, bytes);
	if (!delay)
		dm_sync_pace_started(&r->pace, now, bytes);
	spin_unlock_irq(&r->lock);
	return delay;
}

/* It took as long on either side, as far as we know. */
static void pace_end(struct dm_sync_restore *r, u64 began, unsigned int bytes)
{
	u64 now = ktime_get_ns();

	spin_lock_irq(&r->lock);
	dm_sync_pace_done(&r->pace, now, bytes, (now - began) / 2, (now - began) / 2);
	spin_unlock_irq(&r->lock);
}

/* Returns how long to wait before it goes on, in jiffies. */
static unsigned long background(struct dm_sync_restore *r)
{
	u64 chunk = r->cursor, last, now = ktime_get_ns(), delay;
	unsigned int bytes, shift = r->store->chunk_shift;
	bool busy;

	bytes = pace_bytes(r, now, &busy);
	last = r->store->layout.nr_chunks - 1;
	chunk = dm_sync_map_next(r->map, chunk);
	if (chunk <= last) {
		last = min(last, chunk + max(bytes >> (shift + SECTOR_SHIFT), 1u) - 1);
		last = min(last, unit_end(r->store, chunk));
	}
	if (!next_run(r, &chunk, &last)) {
		r->cursor = chunk;	/* those before it are copied, or failed */
		return chunk < r->store->layout.nr_chunks ? 0 : ULONG_MAX;
	}
	bytes = (last + 1 - chunk) << (shift + SECTOR_SHIFT);
	delay = pace_begin(r, now, busy, bytes);
	if (delay)
		return max(1UL, nsecs_to_jiffies(min_t(u64, delay, NSEC_PER_SEC)));
	if (restore_run(r, chunk, last) != -EAGAIN)
		r->cursor = last + 1;
	pace_end(r, now, bytes);
	return 0;
}

/* All that could be restored is there, and that is durable: the conductor ends it. */
static void tell_end(struct dm_sync_restore *r)
{
	struct dm_sync_store *s = r->store;

	mutex_lock(&s->commit_lock);
	if (r->on) {
		r->told = true;
		dm_sync_image_restore_over(r->image);
	}
	mutex_unlock(&s->commit_lock);
	queue_delayed_work(s->restore_wq, &r->work, LOOK_AGAIN);
}

static void do_restore(struct work_struct *work)
{
	struct dm_sync_restore *r = container_of(to_delayed_work(work), struct dm_sync_restore,
						 work);
	unsigned long delay = 0;

	while (!delay) {
		cond_resched();
		if (serve_all(r))
			continue;
		if (!READ_ONCE(r->on))
			return;
		delay = READ_ONCE(r->paused) ? ULONG_MAX : background(r);
		if (r->unsettled)
			settle_now(r);
	}
	if (r->nr_runs)
		settle_now(r);
	if (READ_ONCE(r->paused) || !READ_ONCE(r->on))
		return;
	if (delay == ULONG_MAX)
		tell_end(r);
	else
		queue_delayed_work(r->store->restore_wq, &r->work, delay);
}

/**
 * dm_sync_restore_work_init - set up the worker
 * @r: a new restore
 *
 * Context: process.
 */
void dm_sync_restore_work_init(struct dm_sync_restore *r)
{
	spin_lock_init(&r->lock);
	mutex_init(&r->apply);
	INIT_LIST_HEAD(&r->demands);
	INIT_DELAYED_WORK(&r->work, do_restore);
	dm_sync_pace_init(&r->pace, 0, 0);
	r->pace.from_replica = true;
	r->last_io = jiffies;
}
