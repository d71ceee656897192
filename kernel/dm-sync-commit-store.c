// SPDX-License-Identifier: GPL-2.0-only
/*
 * The committer of a store: saves become durable.
 *
 * One work item, which holds commit_lock for one batch at a time. A batch takes the
 * chunks that wait, in the order in which they came, as many as there are adjacent free
 * slots in one slot block, and is
 *
 *	the data of those slots, in as few bios as the device takes, and
 *	the slot block that tells of them, 4 KiB,
 *
 * all in flight at the same time. With FUA it is durable when all has ended; without,
 * one flush follows. The next batch begins when this one is durable, and takes what has
 * come meanwhile: no timer, and the more load, the fewer blocks for each chunk.
 *
 * What is durable when, and what a power cut leaves, between any two lines below:
 *
 *  - before the batch is issued: nothing of it is on the disk. The slots are taken in
 *    memory only.
 *  - while it is in flight: anything of it. No host write depends on it yet: @done of
 *    its saves was not called, so the source still holds what they hold. It is the
 *    highest batch number there is, and the only incomplete one; the load believes it if
 *    its checksums match, which does no harm, or takes the block's other home.
 *  - when all of it is durable: memory follows. The view first, then the saves are
 *    @done. A host who reads an image between the two finds the slot, whose data is
 *    there.
 *
 * An own write's data changes in place later on, so it has no checksum: the data is made
 * durable first, in slots that no entry names, then the block. Before both comes the
 * image's record, once: it says "written" (E11). A power cut after that leaves an image
 * that is Skewed and may have no own write; the other way round it would leave one that
 * shows what was never acknowledged, and calls itself as of its point in time. The load
 * cannot tell that afterwards: an image from which the source was restored, own writes and
 * all, has own entries and is not written, either.
 *
 * A batch that failed may be on the disk whole, in part, or later. Its number must not
 * be followed by another one while that is so: a later batch would make the load take it
 * for complete. So the block is put back as it was, and written again to the same home
 * as a batch that fills no slot (s->rewrite), before any other batch. Then the same
 * chunks are tried once more in other slots. If that fails too, or the block cannot be
 * written again, nothing can be saved any more, and every image is given up.
 *
 * An image is given up by its record (rule S-invalid), and then the view forgets it; its
 * chunks need no saving and the saves that wait are done, in the order S-invalid asks
 * for. Only if not even the record can be written does the source go on without: that is
 * logged, and the record is tried again with every probe until it is durable, and once more
 * when the store is taken out of use.
 *
 * Locks and memory: commit_lock is held all the time but between batches, save_lock only
 * to look at the list. @done is called with commit_lock held and starts what waited. The
 * pages are the savers'; bios come from a pool, and each is submitted before the next is
 * taken; two pages for the block are the store's. An index may want a leaf, which is
 * asked for before the batch is issued; if there is none for half a minute, that counts as
 * a failure.
 *
 * Waits: for the device, which ends them by its own timeouts, as it does for all other
 * I/O, but host writes do not wait longer than hold_max for it (dm-sync-patience.c); for
 * space see dm-sync-commit-space.c.
 */
#include <linux/crc32c.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-sync-commit-store.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

#define BATCH_CHUNKS	DM_SYNC_BLOCK_SLOTS_NR
#define STARVED_MAX	3000u	/* times 10 ms */
#define TRIES		3u

/**
 * struct batch - what is in flight
 * @store: where
 * @first: first slot
 * @nr: how many; chunk i of it is store->items[i]
 * @pending: bios of data in flight, plus one
 * @done: when there is none
 * @status: of the data
 */
struct batch {
	struct dm_sync_store *store;
	u32 first, nr;
	atomic_t pending;
	struct completion done;
	blk_status_t status;
};

/*----------------------------------------------------------------
 * Which saves, and how far they are
 *--------------------------------------------------------------*/

static struct dm_sync_save *next_save(struct dm_sync_store *s, struct dm_sync_save *after)
{
	struct list_head *next;

	spin_lock_irq(&s->save_lock);
	next = after ? after->list.next : s->saves.next;
	spin_unlock_irq(&s->save_lock);
	return next == &s->saves ? NULL : list_entry(next, struct dm_sync_save, list);
}

/**
 * dm_sync_save_end - a save is over
 * @s: the store
 * @save: waiting
 * @error: as for its @done
 *
 * Context: commit_lock held.
 */
void dm_sync_save_end(struct dm_sync_store *s, struct dm_sync_save *save, int error)
{
	spin_lock_irq(&s->save_lock);
	list_del(&save->list);
	spin_unlock_irq(&s->save_lock);
	trace_dm_sync_save(s->door, save->chunk, save->nr, save->own, error);
	save->done(save, error);
}

/**
 * dm_sync_saves_yield - give those back that can wait elsewhere
 * @s: the store
 *
 * Context: commit_lock held.
 */
void dm_sync_saves_yield(struct dm_sync_store *s)
{
	struct dm_sync_save *save = next_save(s, NULL), *next;

	for (; save; save = next) {
		next = next_save(s, save);
		if (save->yields)
			dm_sync_save_end(s, save, -EBUSY);
	}
}

/**
 * dm_sync_saves_end - all saves of a kind are over
 * @s: the store
 * @own: own writes; else those of the source
 * @error: as for their @done
 *
 * Context: commit_lock held.
 */
void dm_sync_saves_end(struct dm_sync_store *s, bool own, int error)
{
	struct dm_sync_save *save = next_save(s, NULL), *next;

	for (; save; save = next) {
		next = next_save(s, save);
		if (!save->own == !own)
			dm_sync_save_end(s, save, error);
	}
}

static struct dm_sync_view_image *own_view(struct dm_sync_store *s, struct dm_sync_save *save)
{
	return rcu_dereference_protected(save->own->view, lockdep_is_held(&s->commit_lock));
}

/* Its image is lost, or is being deleted by force: then what it has in a slot is no use. */
static bool own_is_late(struct dm_sync_store *s, struct dm_sync_save *save)
{
	return save->own && (save->own->lost || !own_view(s, save));
}

/* Saved, or not needed any more. The view knows, so nothing else has to. */
static bool settled(struct dm_sync_store *s, struct dm_sync_save *save, u32 i)
{
	if (save->own)
		return dm_sync_index_get(&own_view(s, save)->own, save->chunk + i);
	return dm_sync_view_protected(&s->view, save->chunk + i);
}

/* The saves that have nothing left to wait for, up to the first that has. */
static void end_settled(struct dm_sync_store *s)
{
	struct dm_sync_save *save;

	while ((save = next_save(s, NULL))) {
		if (own_is_late(s, save)) {
			dm_sync_save_end(s, save, -EIO);
			continue;
		}
		while (save->saved < save->nr && settled(s, save, save->saved))
			save->saved++;
		if (save->saved < save->nr)
			return;
		dm_sync_save_end(s, save, 0);
	}
}

static int reserve(struct dm_sync_store *s, struct dm_sync_save *save, u32 i)
{
	if (save->own)
		return dm_sync_view_reserve_own(own_view(s, save), save->chunk + i);
	return dm_sync_view_reserve(&s->view, save->chunk + i);
}

/*
 * Chunks of the first saves that are of one kind, as many as one block can tell of.
 * Returns 0 when there is no memory for the first one.
 */
static u32 collect(struct dm_sync_store *s, bool own)
{
	struct dm_sync_save *save = next_save(s, NULL);
	u32 n = 0, i;

	for (; save && !save->own == !own; save = next_save(s, save)) {
		if (own_is_late(s, save))
			break;
		for (i = save->saved; i < save->nr; i++) {
			if (settled(s, save, i))
				continue;
			if (n == BATCH_CHUNKS || reserve(s, save, i))
				return n;
			s->items[n++] = (struct dm_sync_commit_item) { save, i };
		}
	}
	return n;
}

/*----------------------------------------------------------------
 * The data
 *--------------------------------------------------------------*/

static unsigned int chunk_bytes(const struct dm_sync_store *s)
{
	return s->layout.chunk_sectors << SECTOR_SHIFT;
}

static bool is_bad(const struct dm_sync_commit_item *item)
{
	return item->save->bad && test_bit(item->i, item->save->bad);
}

/* The piece of a chunk's data from @offset on that lies in one page. */
static struct page *data_page(struct dm_sync_store *s, const struct dm_sync_commit_item *item,
			      unsigned int offset, unsigned int *in, unsigned int *len)
{
	size_t at = (size_t)item->i * chunk_bytes(s) + offset;

	*in = offset_in_page(at);
	*len = min_t(unsigned int, PAGE_SIZE - *in, chunk_bytes(s) - offset);
	return item->save->pages[at / PAGE_SIZE];
}

static u32 data_crc(struct dm_sync_store *s, const struct dm_sync_commit_item *item)
{
	unsigned int offset, in, len;
	struct page *page;
	u32 crc = ~0u;

	for (offset = 0; offset < chunk_bytes(s); offset += len) {
		page = data_page(s, item, offset, &in, &len);
		crc = crc32c(crc, page_address(page) + in, len);
	}
	return ~crc;
}

static void data_put(struct batch *b)
{
	if (atomic_dec_and_test(&b->pending))
		complete(&b->done);
}

static void data_endio(struct bio *bio)
{
	struct batch *b = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(b->status, bio->bi_status);
	WRITE_ONCE(b->store->beat, jiffies);	/* it lives: see dm-sync-patience.c */
	bio_put(bio);
	data_put(b);
}

/* From @offset on, as far as one bio takes it. Returns how far. */
static u64 fill_bio(struct batch *b, struct bio *bio, u64 offset, u64 end)
{
	struct dm_sync_store *s = b->store;
	unsigned int in, len;
	struct page *page;

	while (offset < end) {
		page = data_page(s, &s->items[offset / chunk_bytes(s)],
				 offset % chunk_bytes(s), &in, &len);
		if (bio_add_page(bio, page, len, in) < len)
			break;
		offset += len;
	}
	return offset;
}

/* Adjacent slots that all have data. */
static void issue_run(struct batch *b, u32 from, u32 to)
{
	u64 offset = (u64)from * chunk_bytes(b->store), end = (u64)to * chunk_bytes(b->store);
	unsigned int piece = min_t(unsigned int, PAGE_SIZE, chunk_bytes(b->store));
	struct dm_sync_store *s = b->store;
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC;
	sector_t sector = dm_sync_store_slot_sector(&s->layout, b->first);
	struct bio *bio;

	if (s->fua)
		opf |= REQ_FUA;
	while (offset < end) {
		bio = bio_alloc_bioset(s->bdev, min_t(u64, (end - offset) / piece, BIO_MAX_VECS),
				       opf, GFP_NOIO, &s->commit_bs);
		bio->bi_iter.bi_sector = sector + (offset >> SECTOR_SHIFT);
		bio->bi_private = b;
		bio->bi_end_io = data_endio;
		offset = fill_bio(b, bio, offset, end);
		atomic_inc(&b->pending);
		submit_bio(bio);
	}
}

static void issue_data(struct batch *b)
{
	struct dm_sync_commit_item *items = b->store->items;
	u32 from = 0, to;

	init_completion(&b->done);
	atomic_set(&b->pending, 1);
	b->status = BLK_STS_OK;
	for (; from < b->nr; from = to) {
		to = from + 1;
		if (is_bad(&items[from]))
			continue;
		while (to < b->nr && !is_bad(&items[to]))
			to++;
		issue_run(b, from, to);
	}
}

static int wait_data(struct batch *b)
{
	if (!atomic_dec_and_test(&b->pending))
		wait_for_completion_io(&b->done);
	return blk_status_to_errno(b->status);
}

static int flush(struct dm_sync_store *s)
{
	return s->fua ? 0 : blkdev_issue_flush(s->bdev);
}

/*----------------------------------------------------------------
 * The slot block
 *--------------------------------------------------------------*/

/* What the disk says, unless it is here. There is no batch, so the block's old copy is. */
static int load_block(struct dm_sync_store *s, u32 index)
{
	int r;

	if (s->cached == index)
		return 0;
	s->cached = DM_SYNC_NO_BLOCK;
	s->slot_block = dm_sync_store_block(s, index);
	r = dm_sync_block_reread(&s->meta, &s->slot_block, s->slot_buf, s->slot_old);
	if (!r)
		s->cached = index;
	return r;
}

static void encode_entry(struct dm_sync_store *s, u32 slot, const struct dm_sync_commit_item *item)
{
	struct dm_sync_save *save = item->save;
	struct dm_sync_entry e = {
		.chunk = save->chunk + item->i,
		.flags = DM_SYNC_ENTRY_VALID,
	};

	if (save->own) {
		e.flags |= DM_SYNC_ENTRY_OWN;
		e.generation = own_view(s, save)->own_id;
	} else {
		e.generation = dm_sync_view_generation(&s->view);
	}
	if (is_bad(item))
		e.flags |= DM_SYNC_ENTRY_BAD;
	else if (!save->own)
		e.crc = data_crc(s, item);
	dm_sync_entry_encode(s->slot_buf, dm_sync_slot_to_place(slot), &e);
}

/*
 * The block that is cached, as batch @b, with its data at the same time if there is any.
 * When this fails the block is as it was before, and has to be written again.
 */
static int write_block(struct dm_sync_store *s, struct batch *b, bool data)
{
	struct dm_sync_slot_batch name = {
		.number = ++s->batch,
		.first = b->nr ? dm_sync_slot_to_place(b->first) : 0,
		.nr = b->nr,
	};
	struct dm_sync_batch writes;
	int r, error = 0;

	dm_sync_slot_batch_encode(s->slot_buf, &name);
	dm_sync_batch_init(&writes, &s->meta);
	writes.plain = !s->fua;
	if (data)
		issue_data(b);
	dm_sync_batch_write(&writes, &s->slot_block, s->slot_buf);
	if (data)
		error = wait_data(b);
	r = dm_sync_batch_drain(&writes);
	r = dm_sync_batch_end(&writes, error ?: r ?: flush(s));
	trace_dm_sync_batch(s->door, s->batch, b->first, b->nr, r);
	if (r) {
		memcpy(s->slot_buf, s->slot_old, DM_SYNC_BLOCK_SIZE);
		s->rewrite = s->cached;
		return r;
	}
	dm_sync_store_set_home(s, s->cached, s->slot_block.home);
	s->super.batch = s->batch;
	s->rewrite = DM_SYNC_NO_BLOCK;
	dm_sync_slots_complete(&s->slots, b->first, b->nr);
	return 0;
}

/**
 * dm_sync_store_rewrite - a batch that fills no slot
 * @s: the store
 *
 * Of the block that has to be written before any other, if there is one. It also makes
 * what the newest batch holds back free.
 *
 * Context: commit_lock held; sleeps for I/O.
 * Return: 0, or a negative errno; then it still has to be done.
 */
int dm_sync_store_rewrite(struct dm_sync_store *s)
{
	struct batch b = { .store = s };
	int r = 0;

	if (s->rewrite != DM_SYNC_NO_BLOCK)
		r = load_block(s, s->rewrite);
	else if (s->cached == DM_SYNC_NO_BLOCK)
		r = load_block(s, 0);
	if (r)
		return r;
	memcpy(s->slot_old, s->slot_buf, DM_SYNC_BLOCK_SIZE);
	return write_block(s, &b, false);
}

/*----------------------------------------------------------------
 * A batch
 *--------------------------------------------------------------*/

/* The records of all images that own writes are of say so. */
static int tell_written(struct dm_sync_store *s, struct batch *b)
{
	int r = 0;
	u32 i;

	for (i = 0; i < b->nr && !r; i++)
		r = dm_sync_image_written(s->items[i].save->own);
	return r;
}

/* Own writes: the data has to be durable before an entry names it. */
static int write_own_data(struct dm_sync_store *s, struct batch *b)
{
	int r = tell_written(s, b);

	if (r)
		return r;
	issue_data(b);
	r = wait_data(b);
	return r ?: flush(s);
}

static int fill_slots(struct dm_sync_store *s, struct batch *b, bool own)
{
	u32 i;
	int r = 0;

	if (s->rewrite != DM_SYNC_NO_BLOCK)
		r = dm_sync_store_rewrite(s);
	if (!r)
		r = load_block(s, dm_sync_slot_to_block(b->first));
	if (!r && own)
		r = write_own_data(s, b);
	if (r)
		return r;
	memcpy(s->slot_old, s->slot_buf, DM_SYNC_BLOCK_SIZE);
	for (i = 0; i < b->nr; i++)
		encode_entry(s, b->first + i, &s->items[i]);
	return write_block(s, b, !own);
}

static void free_slots(struct dm_sync_store *s, u32 first, u32 nr)
{
	while (nr--)
		dm_sync_slots_free(&s->slots, first + nr);
}

/* It is durable: readers find it, and nobody saves it again. */
static void show(struct dm_sync_store *s, struct batch *b)
{
	u32 generation = dm_sync_view_generation(&s->view), i;
	struct dm_sync_save *save;
	u64 chunk;
	int r;

	for (i = 0; i < b->nr; i++) {
		save = s->items[i].save;
		chunk = save->chunk + s->items[i].i;
		if (save->own)
			r = dm_sync_view_write(own_view(s, save), chunk, b->first + i);
		else
			r = dm_sync_view_save(&s->view, generation, chunk, b->first + i,
					      is_bad(&s->items[i]));
		if (!save->own)
			dm_sync_restore_saved(s, chunk);
		/* Nothing came between, and the memory was reserved. */
		if (WARN_ON_ONCE(r))
			free_slots(s, b->first + i, 1);
	}
	spin_lock_irq(&s->fill_lock);
	dm_sync_fill_add(&s->fill, div_u64(ktime_get_ns(), NSEC_PER_MSEC), b->nr);
	spin_unlock_irq(&s->fill_lock);
	atomic64_add((u64)b->nr * chunk_bytes(s), &s->saved_bytes);
	atomic64_inc(&s->commits);
}

/*
 * Slots for the next try. Those of the failed one are kept until others were found, as
 * they lie perhaps on a bad spot; if they are the last ones, a second try with them is
 * better than a store that counts as full.
 */
static int take_slots(struct dm_sync_store *s, struct batch *b, struct batch *failed, u32 n)
{
	int r = dm_sync_space_take(s, n, &b->first);

	free_slots(s, failed->first, failed->nr);
	if (!r && failed->nr)
		r = dm_sync_space_take(s, n, &b->first);
	failed->nr = 0;
	b->nr = max(r, 0);
	return min(r, 0);
}

/*
 * Returns how many of the @n chunks collected were saved; 0 when there is no space; or
 * a negative errno when they cannot be.
 */
static int try_batch(struct dm_sync_store *s, u32 n, bool own)
{
	struct batch b = { .store = s }, failed = { .store = s };
	u32 tries = 0;
	int r;

	do {
		r = take_slots(s, &b, &failed, n);
		if (r || !b.nr)
			return r;
		r = fill_slots(s, &b, own);
		if (!r) {
			show(s, &b);
			return b.nr;
		}
		DMERR("%s: a batch of %u chunks cannot be written to the store: %d", s->name,
		      b.nr, r);
		failed = b;
		if (s->rewrite != DM_SYNC_NO_BLOCK && dm_sync_store_rewrite(s))
			break;
		/* Not read, so no entry can be added without losing others: another block. */
		if (s->cached == DM_SYNC_NO_BLOCK)
			dm_sync_slots_skip(&s->slots, b.first);
	} while (++tries < TRIES);
	free_slots(s, failed.first, failed.nr);
	return r;
}

static int run_batch(struct dm_sync_store *s, u32 n, bool own)
{
	int r;

	dm_sync_patience_away(s, true);
	r = try_batch(s, n, own);
	dm_sync_patience_away(s, false);
	return r;
}

/* Nothing can be saved. Whoever needed it cannot have it. */
static void give_up_chunks(struct dm_sync_store *s, bool own, int error)
{
	bool dead = s->rewrite != DM_SYNC_NO_BLOCK;

	if (own)
		dm_sync_saves_end(s, true, error);
	if (own && !dead)
		dm_sync_store_suspect(s, true);
	if (!own || dead)
		dm_sync_space_fail(s, error);
}

/* Returns what is to be done next: true to go on, false to wait for a kick. */
static bool commit_some(struct dm_sync_store *s, struct dm_sync_save *save)
{
	bool own = save->own;
	u32 n = collect(s, own);
	int r;

	if (!n) {
		if (s->starved++ < STARVED_MAX)
			return true;
		r = -ENOMEM;
	} else {
		r = run_batch(s, n, own);
	}
	s->starved = 0;
	if (!r)
		return dm_sync_space_full(s, own);
	if (r < 0)
		give_up_chunks(s, own, r);
	else
		dm_sync_space_watch(s);
	return true;
}

static bool commit_once(struct dm_sync_store *s)
{
	struct dm_sync_save *save;
	bool wait;

	if (!s->armed) {
		/* The disk says "clean" and stays so; own writes wait, or come too late. */
		if (READ_ONCE(s->gone))
			dm_sync_saves_end(s, true, -ENODEV);
		return false;
	}
	dm_sync_space_late(s);
	end_settled(s);
	wait = dm_sync_space_wait(s);
	save = next_save(s, NULL);
	if (save)
		return commit_some(s, save);
	if (!wait)
		dm_sync_space_watch(s);
	return false;
}

static void do_commit(struct work_struct *work)
{
	struct dm_sync_store *s = container_of(work, struct dm_sync_store, commit_work);
	bool more;

	do {
		dm_sync_patience_begin(s);
		mutex_lock(&s->commit_lock);
		dm_sync_patience_away(s, false);
		more = commit_once(s);
		mutex_unlock(&s->commit_lock);
		if (more && s->starved)
			msleep(10);
		cond_resched();
	} while (more);
	dm_sync_patience_end(s);
}

/*----------------------------------------------------------------
 * For the others
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_save - have chunks saved
 * @s: the store
 * @save: what; the caller's again when its @done is called
 *
 * Context: any.
 */
void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save)
{
	unsigned long flags;
	bool needless;

	save->saved = 0;
	spin_lock_irqsave(&s->save_lock, flags);
	needless = s->hung && save->yields;
	if (!needless)
		list_add_tail(&save->list, &s->saves);
	spin_unlock_irqrestore(&s->save_lock, flags);
	if (needless)
		save->done(save, 0);
	else
		dm_sync_store_kick(s);
}

/**
 * dm_sync_store_kick - there may be something for the committer to do
 * @s: the store
 *
 * After slots were freed, images were deleted or the store was grown: saves that wait for
 * space are looked at again.
 *
 * Context: any.
 */
void dm_sync_store_kick(struct dm_sync_store *s)
{
	queue_work(s->io_wq, &s->commit_work);
}

/**
 * dm_sync_store_free_slot - a slot is not needed any more
 * @store: struct dm_sync_store
 * @slot: which
 *
 * For dm_sync_view_delete_step() and dm_sync_view_reset(), which call it often: kick the
 * committer once afterwards.
 *
 * Context: commit_lock held.
 */
void dm_sync_store_free_slot(void *store, u32 slot)
{
	struct dm_sync_store *s = store;

	dm_sync_slots_free(&s->slots, slot);
}

/**
 * dm_sync_store_commit_init - set up the committer
 * @s: the store
 *
 * Context: construction.
 */
void dm_sync_store_commit_init(struct dm_sync_store *s)
{
	mutex_init(&s->commit_lock);
	spin_lock_init(&s->save_lock);
	spin_lock_init(&s->fill_lock);
	INIT_LIST_HEAD(&s->saves);
	INIT_LIST_HEAD(&s->waiters);
	dm_sync_patience_init(s);
	INIT_WORK(&s->commit_work, do_commit);
	dm_sync_space_init(s);
}
