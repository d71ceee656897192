// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata block: 4 KiB with two homes on the device.
 *
 * Block nr has its homes at the 4 KiB units 2*nr and 2*nr+1. A write goes to
 * the home that does not hold the newest valid copy, with the next sequence
 * number, as one FUA bio, or as a plain one that the user flushes; only when it
 * has succeeded does memory take it for the newest. So at every instant one home
 * holds, untouched, what the last successful write made durable:
 *
 *  - a write that was torn or lost leaves a home that is not valid, or is older,
 *    and the reader takes the other one;
 *  - a write that failed leaves a home with anything in it, perhaps the new copy
 *    itself. Memory does not advance, so the next write goes to the same home
 *    with the same number and replaces it, and the newest copy known to be
 *    durable is not touched. A user must therefore only ever write images that
 *    would be right if they took effect although the write reported an error.
 *
 * There are no locks: at most one write of a block is in flight because only the
 * pair's committer writes (its commit_lock), and what one block's copies say
 * never depends on another block.
 *
 * dm_io() is not used: its prototype differs between kernels that are otherwise
 * the same, and it costs more than a bio of one's own.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-sync.h"

#define WRITE_FLAGS	(REQ_OP_WRITE | REQ_FUA | REQ_SYNC | REQ_META | REQ_PRIO)
#define READ_FLAGS	(REQ_OP_READ | REQ_SYNC | REQ_META | REQ_PRIO)
#define BLANK_UNITS	32u		/* 128 KiB: where other formats keep their marks */

static sector_t unit_sector(u64 unit)
{
	return unit * DM_SYNC_BLOCK_SECTORS;
}

static void add_buffer(struct bio *bio, void *buf)
{
	__bio_add_page(bio, virt_to_page(buf), DM_SYNC_BLOCK_SIZE,
		       offset_in_page(buf));
}

/**
 * dm_sync_meta_init - make a metadata context usable
 * @meta: its bdev and uuid may be set before or after
 *
 * Context: process; may sleep.
 * Return: 0, or -ENOMEM.
 */
int dm_sync_meta_init(struct dm_sync_meta *meta)
{
	atomic64_set(&meta->writes, 0);
	return bioset_init(&meta->bs, 4, 0, BIOSET_NEED_BVECS);
}

/**
 * dm_sync_meta_exit - give back what dm_sync_meta_init() took
 * @meta: the context; nothing of it is in flight
 *
 * Context: process.
 */
void dm_sync_meta_exit(struct dm_sync_meta *meta)
{
	bioset_exit(&meta->bs);
}

/* One bio over adjacent units, waited for. */
static int units_io(struct dm_sync_meta *meta, blk_opf_t opf, u64 unit,
		    void **buf, unsigned int nr)
{
	struct bio *bio;
	unsigned int i;
	int r;

	bio = bio_alloc_bioset(meta->bdev, nr, opf, GFP_NOIO, &meta->bs);
	bio->bi_iter.bi_sector = unit_sector(unit);
	for (i = 0; i < nr; i++)
		add_buffer(bio, buf[i]);
	r = submit_bio_wait(bio);
	bio_put(bio);
	return r;
}

/* Adjacent units in one bio; when that fails one by one, to tell which. */
static void units_read(struct dm_sync_meta *meta, u64 unit, void **buf,
		       int *error, unsigned int nr)
{
	unsigned int i;

	memset(error, 0, nr * sizeof(*error));
	if (!units_io(meta, READ_FLAGS, unit, buf, nr))
		return;
	for (i = 0; i < nr; i++)
		error[i] = units_io(meta, READ_FLAGS, unit + i, buf + i, 1);
}

/*----------------------------------------------------------------
 * Stretches: many adjacent blocks, both homes, in one bio
 *--------------------------------------------------------------*/

/**
 * dm_sync_stretch_create - buffers to load or format adjacent blocks
 * @nr_blocks: blocks there are; no more buffers than they need are taken
 *
 * Context: process; may sleep. Makes do with fewer buffers when memory is
 * short.
 * Return: the stretch, or NULL when there is not even memory for one block.
 */
struct dm_sync_stretch *dm_sync_stretch_create(u32 nr_blocks)
{
	unsigned int want = min_t(u32, nr_blocks, DM_SYNC_STRETCH_UNITS / 2) * 2;
	struct dm_sync_stretch *s;

	s = kzalloc(sizeof(*s), GFP_NOIO);
	if (!s)
		return NULL;
	while (s->nr < want) {
		s->buf[s->nr] = kmalloc(DM_SYNC_BLOCK_SIZE,
					s->nr < 2 ? GFP_NOIO :
					GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
		if (!s->buf[s->nr])
			break;
		s->nr++;
	}
	if (s->nr & 1)
		kfree(s->buf[--s->nr]);
	if (s->nr)
		return s;
	kfree(s);
	return NULL;
}

/**
 * dm_sync_stretch_destroy - give the buffers back
 * @s: the stretch, or NULL
 *
 * Context: process.
 */
void dm_sync_stretch_destroy(struct dm_sync_stretch *s)
{
	if (!s)
		return;
	while (s->nr)
		kfree(s->buf[--s->nr]);
	kfree(s);
}

/**
 * dm_sync_stretch_read - read both homes of adjacent blocks
 * @meta: the metadata device, there must be one
 * @s: buffers and errors; block i lands in buf[2 * i] and buf[2 * i + 1]
 * @first_nr: first block
 * @nr_blocks: how many, at most s->nr / 2
 *
 * Context: process; sleeps for I/O.
 */
void dm_sync_stretch_read(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  u32 first_nr, u32 nr_blocks)
{
	dm_sync_stretch_read_units(meta, s, 2ull * first_nr, 2 * nr_blocks);
}

/**
 * dm_sync_stretch_read_units - read adjacent 4 KiB units, whatever they hold
 * @meta: the device, there must be one
 * @s: buffers and errors; unit @first + i lands in buf[i]
 * @first: first unit
 * @nr: how many, at most s->nr
 *
 * Context: process; sleeps for I/O.
 */
void dm_sync_stretch_read_units(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
				u64 first, u32 nr)
{
	units_read(meta, first, s->buf, s->error, nr);
}

/**
 * dm_sync_stretch_seal - make both first copies of a block ready to be written
 * @meta: whose uuid is sealed in
 * @s: buf[2 * at] holds the payload
 * @at: place of the block in the stretch
 * @b: the block; sequence numbers start anew
 *
 * Context: process.
 */
void dm_sync_stretch_seal(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  unsigned int at, struct dm_sync_block *b)
{
	memcpy(s->buf[2 * at + 1], s->buf[2 * at], DM_SYNC_BLOCK_SIZE);
	dm_sync_block_seal(s->buf[2 * at], meta->uuid, &b->id, 1);
	dm_sync_block_seal(s->buf[2 * at + 1], meta->uuid, &b->id, 2);
	b->seq = 2;
	b->home = 1;
}

/**
 * dm_sync_stretch_write - write both homes of adjacent blocks
 * @meta: the metadata device; without one nothing is done
 * @s: sealed copies, as dm_sync_stretch_seal() left them
 * @first_nr: first block
 * @nr_blocks: how many, at most s->nr / 2
 *
 * For formatting only: both homes are in flight at once.
 *
 * Context: process; sleeps for I/O.
 * Return: 0 when all is durable, or a negative errno.
 */
int dm_sync_stretch_write(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  u32 first_nr, u32 nr_blocks)
{
	if (!meta->bdev)
		return 0;
	atomic64_add(2 * nr_blocks, &meta->writes);
	return units_io(meta, WRITE_FLAGS, 2ull * first_nr, s->buf,
			2 * nr_blocks);
}

/**
 * dm_sync_meta_is_blank - has nothing ever been written here
 * @meta: the metadata device
 * @nr_blocks: dual-home blocks that a pair would use
 * @error: out: 0, or why it could not be told
 *
 * Looks at all that would be used, and at the first 128 KiB in any case, as far
 * as the device reaches.
 *
 * Context: process; sleeps for I/O.
 * Return: true when all is zero; true without a device; false on error.
 */
bool dm_sync_meta_is_blank(struct dm_sync_meta *meta, u32 nr_blocks, int *error)
{
	struct dm_sync_stretch *s;
	u64 unit, units;
	unsigned int i, nr;
	bool blank = true;

	*error = 0;
	if (!meta->bdev)
		return true;
	s = dm_sync_stretch_create(DM_SYNC_STRETCH_UNITS / 2);
	if (!s) {
		*error = -ENOMEM;
		return false;
	}
	units = min_t(u64, max_t(u64, 2ull * nr_blocks, BLANK_UNITS),
		      bdev_nr_bytes(meta->bdev) / DM_SYNC_BLOCK_SIZE);
	for (unit = 0; unit < units && blank; unit += nr) {
		nr = min_t(u64, s->nr, units - unit);
		*error = units_io(meta, READ_FLAGS, unit, s->buf, nr);
		blank = !*error;
		for (i = 0; i < nr && blank; i++)
			blank = dm_sync_block_is_zero(s->buf[i]);
		cond_resched();
	}
	dm_sync_stretch_destroy(s);
	return blank;
}

/*----------------------------------------------------------------
 * One block
 *--------------------------------------------------------------*/

static int judgement(const struct dm_sync_homes *h)
{
	if (h->home != DM_SYNC_HOME_NONE)
		return 0;
	if (h->check[0] == -ENODATA && h->check[1] == -ENODATA)
		return -ENODATA;
	if (h->check[0] == -EIO || h->check[1] == -EIO)
		return -EIO;
	return -EUCLEAN;
}

/**
 * dm_sync_block_read - read the newest valid copy of a block
 * @meta: the metadata device
 * @b: its id and nr are set; seq and home are learned
 * @buf: 4096 bytes, aligned to 4096, filled on success
 * @clean: no write was in flight when the block was last used; then a home
 *	that is not valid means damage, and the other is not believed either
 *
 * Context: process; sleeps for I/O.
 * Return: 0; -ENODATA when neither home was ever written, or there is no device;
 * -EUCLEAN when no copy can be believed; -EIO when that is so and a home could
 * not be read; -ENOMEM.
 */
int dm_sync_block_read(struct dm_sync_meta *meta, struct dm_sync_block *b,
		       void *buf, bool clean)
{
	struct dm_sync_homes h;
	struct dm_sync_stretch *s;

	b->seq = 0;
	b->home = 1;
	if (!meta->bdev)
		return -ENODATA;
	s = dm_sync_stretch_create(1);
	if (!s)
		return -ENOMEM;
	dm_sync_stretch_read(meta, s, b->nr, 1);
	dm_sync_block_judge(&h, s->buf[0], s->error[0], s->buf[1], s->error[1],
			    meta->uuid, &b->id, clean);
	b->seq = h.last_seq;
	b->home = h.last_home;
	if (h.home != DM_SYNC_HOME_NONE)
		memcpy(buf, s->buf[h.home], DM_SYNC_BLOCK_SIZE);
	dm_sync_stretch_destroy(s);
	return judgement(&h);
}

/**
 * dm_sync_block_reread - read the copy in the home that memory knows to be the newest
 * @meta: the metadata device, there must be one
 * @b: the block; it was read or written before, and the last write of it succeeded; id,
 *	nr and home are set, seq is learned
 * @buf: 4096 bytes, aligned to 4096; holds anything on errors
 * @other: likewise, for the other home; holds anything after that
 *
 * The other home has the copy before it, which tells when the device has lost the write
 * of the newest one: what is in its home then is older. If the other home is damaged or
 * cannot be read, that cannot be told, and the home is believed. One read for both.
 *
 * Needs no memory but a bio, which has a reserve.
 *
 * Context: process; sleeps for I/O.
 * Return: 0; -EIO; -EUCLEAN when what is there is not that copy.
 */
int dm_sync_block_reread(struct dm_sync_meta *meta, struct dm_sync_block *b,
			 void *buf, void *other)
{
	void *bufs[2] = { b->home ? other : buf, b->home ? buf : other };
	int error[2];
	u64 seq, before;

	units_read(meta, 2ull * b->nr, bufs, error, 2);
	if (error[b->home])
		return -EIO;
	if (dm_sync_block_check(buf, meta->uuid, &b->id, &seq))
		return -EUCLEAN;
	if (!error[!b->home] && !dm_sync_block_check(other, meta->uuid, &b->id, &before) &&
	    before >= seq)
		return -EUCLEAN;
	b->seq = seq;
	return 0;
}

/**
 * dm_sync_batch_init - start a batch of block writes
 * @batch: on the caller's stack
 * @meta: where to
 *
 * Context: process.
 */
void dm_sync_batch_init(struct dm_sync_batch *batch, struct dm_sync_meta *meta)
{
	batch->meta = meta;
	batch->blocks = NULL;
	batch->plain = false;
	atomic_set(&batch->pending, 1);		/* dm_sync_batch_drain()'s own */
	init_completion(&batch->done);
}

static void batch_endio(struct bio *bio)
{
	struct dm_sync_block *b = bio->bi_private;
	struct dm_sync_batch *batch = b->batch;

	b->status = bio->bi_status;
	bio_put(bio);
	if (atomic_dec_and_test(&batch->pending))
		complete(&batch->done);
}

/**
 * dm_sync_batch_write - add a block write to a batch and issue it
 * @batch: initialised
 * @b: the block; no write of it is in flight
 * @buf: 4096 bytes, aligned to 4096, payload complete; sealed here, and to be
 *	left alone until dm_sync_batch_wait() has returned
 *
 * Context: process; may sleep for memory, not for I/O.
 */
void dm_sync_batch_write(struct dm_sync_batch *batch, struct dm_sync_block *b,
			 void *buf)
{
	blk_opf_t opf = batch->plain ? WRITE_FLAGS & ~REQ_FUA : WRITE_FLAGS;
	struct dm_sync_meta *meta = batch->meta;
	struct bio *bio;

	b->batch = batch;
	b->status = BLK_STS_OK;
	b->next = batch->blocks;
	batch->blocks = b;
	if (!meta->bdev)
		return;

	dm_sync_block_seal(buf, meta->uuid, &b->id, b->seq + 1);
	bio = bio_alloc_bioset(meta->bdev, 1, opf, GFP_NOIO, &meta->bs);
	bio->bi_iter.bi_sector = unit_sector(2ull * b->nr + !b->home);
	bio->bi_private = b;
	bio->bi_end_io = batch_endio;
	add_buffer(bio, buf);
	atomic_inc(&batch->pending);
	atomic64_inc(&meta->writes);
	submit_bio(bio);
}

/**
 * dm_sync_batch_drain - wait until every write of a batch has ended
 * @batch: dm_sync_batch_end() follows
 *
 * Context: process; sleeps for I/O.
 * Return: 0, or the errno of a write that failed.
 */
int dm_sync_batch_drain(struct dm_sync_batch *batch)
{
	struct dm_sync_block *b;
	int r = 0;

	if (!atomic_dec_and_test(&batch->pending))
		wait_for_completion_io(&batch->done);
	for (b = batch->blocks; b; b = b->next)
		if (b->status)
			r = blk_status_to_errno(b->status);
	return r;
}

/**
 * dm_sync_batch_end - take what a batch wrote for the newest copies, or do not
 * @batch: drained; not to be used again before dm_sync_batch_init()
 * @error: 0 when each write that succeeded is durable, and right by itself
 *
 * Without @error, each block whose write succeeded is advanced: its new copy is
 * the newest. The others stay as they were; their status says what happened.
 *
 * Context: process.
 * Return: @error, or the errno of a write that failed.
 */
int dm_sync_batch_end(struct dm_sync_batch *batch, int error)
{
	struct dm_sync_block *b, *next;
	int r = error;

	for (b = batch->blocks; b; b = next) {
		next = b->next;
		b->next = NULL;
		b->batch = NULL;
		if (b->status && !r)
			r = blk_status_to_errno(b->status);
		if (b->status || error)
			continue;
		b->seq++;
		b->home = !b->home;
	}
	batch->blocks = NULL;
	return r;
}

/**
 * dm_sync_batch_wait - wait until all of a batch is durable
 * @batch: not to be used again before dm_sync_batch_init()
 *
 * Context: process; sleeps for I/O.
 * Return: as dm_sync_batch_end(): 0 when all is durable, or the errno of a write
 * that failed.
 */
int dm_sync_batch_wait(struct dm_sync_batch *batch)
{
	dm_sync_batch_drain(batch);
	return dm_sync_batch_end(batch, 0);
}

/**
 * dm_sync_block_write - write one block and wait for it
 * @meta: where to; without a device only the sequence number advances
 * @b: the block; no write of it is in flight
 * @buf: as for dm_sync_batch_write()
 *
 * Context: process; sleeps for I/O.
 * Return: 0 when the new copy is durable, or a negative errno.
 */
int dm_sync_block_write(struct dm_sync_meta *meta, struct dm_sync_block *b,
			void *buf)
{
	struct dm_sync_batch batch;

	dm_sync_batch_init(&batch, meta);
	dm_sync_batch_write(&batch, b, buf);
	return dm_sync_batch_wait(&batch);
}

/**
 * dm_sync_block_format - write both homes of a block, with numbers 1 and 2
 * @meta: where to
 * @b: its id and nr are set
 * @buf: as for dm_sync_batch_write(); written twice
 *
 * From then on a home that is not valid after a clean shutdown is known to be
 * damaged. Copies that an earlier life left there must differ in uuid or epoch,
 * or a crash between the two writes would bring them back.
 *
 * Context: process; sleeps for I/O.
 * Return: 0 when both copies are durable, or a negative errno.
 */
int dm_sync_block_format(struct dm_sync_meta *meta, struct dm_sync_block *b,
			 void *buf)
{
	int r;

	b->seq = 0;
	b->home = 1;
	r = dm_sync_block_write(meta, b, buf);
	return r ? r : dm_sync_block_write(meta, b, buf);
}
