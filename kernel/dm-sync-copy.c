// SPDX-License-Identifier: GPL-2.0-only
/*
 * The range copy: read a range of one device, write it to another.
 *
 * A job goes through stages; each begins in a work item, issues its bios and
 * returns, and the completion of the last bio queues the work item again:
 *
 *	pages -> (pages from the reserve) -> read -> write -> done()
 *
 * Nothing waits for I/O here, and completions do nothing but note the outcome.
 * The job belongs to this file from dm_sync_copy_start() to done(); its fields
 * need no lock, because only one stage runs at a time, and the counter
 * @pending orders completions before the stage that follows them.
 *
 * Memory.  A copy may be what the system waits for to free memory, so it must
 * get its pages without the allocator's help.  A job first tries to allocate
 * all it needs without waiting.  If that fails it gives back what it got and
 * goes to the one reserve of the module, which holds what the largest job
 * needs.  The jobs there are served by an ordered queue, so at most one of
 * them waits for memory, ever.  What it does not find in the reserve is held
 * by jobs that have all they need, whose I/O is in flight and which, when it
 * ends, refill the reserve before anything else.  They run on other queues
 * than the one that waits.  So the wait ends after finitely many completions;
 * and as every job frees into the reserve first, it is full again soon.
 * (This counts on devices below to complete I/O without a range copy of their
 * own.  For a pair on top of a pair, jobs of the upper one can hold the reserve
 * that the lower one needs; that matters only while the allocator has nothing
 * at all, and ends when it has.)
 *
 * Bios come from a set with its own reserve, one at a time, each submitted
 * before the next is asked for, from a worker, where submission is not
 * deferred: so each completes by itself and the wait for it ends.
 */
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "dm-sync.h"

#define COPY_BYTES	(DM_SYNC_COPY_SECTORS << SECTOR_SHIFT)
#define COPY_PAGES	DIV_ROUND_UP(COPY_BYTES, PAGE_SIZE)

/* The unit of comparison, unless the devices have larger blocks. */
#define COMPARE_BYTES	4096u

/* Bios that can be had when there is no memory at all; one would do. */
#define COPY_BIOS	8

/*
 * Neither REQ_SYNC nor REQ_IDLE: no thread sleeps on these writes, and without
 * the flags schedulers and writeback throttling let host I/O go first.  Reads
 * count as synchronous by themselves.  No REQ_RAHEAD either, which a driver
 * may drop.
 */
#define COPY_READ	REQ_OP_READ
#define COPY_WRITE	REQ_OP_WRITE

enum copy_stage {
	COPY_STAGE_PAGES,	/* needs pages, may not wait for them */
	COPY_STAGE_RESERVE,	/* needs pages, on the ordered queue */
	COPY_STAGE_READ,	/* reads are in flight or over */
	COPY_STAGE_WRITE,	/* writes are in flight or over */
};

static struct workqueue_struct *copy_reserve_wq;
static struct bio_set copy_bios;
static mempool_t copy_pages;	/* single pages: one whole job, with compare */
static mempool_t copy_arrays;	/* arrays of pointers to as many */

/* Only the job's end or next stage may touch it after this. */
static void copy_put(struct dm_sync_copy *job)
{
	if (atomic_dec_and_test(&job->pending))
		queue_work(job->wq, &job->work);
}

/*----------------------------------------------------------------
 * Pages
 *--------------------------------------------------------------*/

static unsigned int copy_wants(const struct dm_sync_copy *job)
{
	unsigned int nr = DIV_ROUND_UP(job->sectors << SECTOR_SHIFT, PAGE_SIZE);

	return job->compare ? 2 * nr : nr;
}

/* The pages go to the reserve while it is not full, whoever they came from. */
static void copy_free_pages(struct dm_sync_copy *job)
{
	while (job->nr_pages)
		mempool_free(job->pages[--job->nr_pages], &copy_pages);
	mempool_free(job->pages, &copy_arrays);
	job->pages = NULL;
}

static struct page *copy_alloc_page(bool reserve)
{
	if (reserve)
		return mempool_alloc(&copy_pages, GFP_NOIO);
	return alloc_page(GFP_NOWAIT | __GFP_NOWARN);
}

/* Without @reserve all or nothing, at once; with it all, whatever it takes. */
static bool copy_alloc_pages(struct dm_sync_copy *job, bool reserve)
{
	unsigned int wants = copy_wants(job);
	struct page *page;

	job->nr_pages = 0;
	if (reserve)
		job->pages = mempool_alloc(&copy_arrays, GFP_NOIO);
	else
		job->pages = kmalloc(2 * COPY_PAGES * sizeof(*job->pages),
				     GFP_NOWAIT | __GFP_NOWARN);
	if (!job->pages)
		return false;

	while (job->nr_pages < wants) {
		page = copy_alloc_page(reserve);
		if (!page) {
			copy_free_pages(job);
			return false;
		}
		job->pages[job->nr_pages++] = page;
	}
	return true;
}

/*----------------------------------------------------------------
 * I/O
 *--------------------------------------------------------------*/

/* Issue @bytes of the job from @offset on, to or from its @pages. */
static void copy_submit(struct dm_sync_copy *job, struct block_device *bdev,
			blk_opf_t opf, struct page **pages, unsigned int offset,
			unsigned int bytes, bio_end_io_t *end_io)
{
	/* With @compare the one that is written is read, too. */
	sector_t start = bdev == job->to ? job->to_sector : job->from_sector;

	while (bytes) {
		unsigned int nr = DIV_ROUND_UP(offset_in_page(offset) + bytes, PAGE_SIZE);
		struct bio *bio = bio_alloc_bioset(bdev, min_t(unsigned int, nr, BIO_MAX_VECS),
						   opf, GFP_NOIO, &copy_bios);

		bio->bi_iter.bi_sector = start + (offset >> SECTOR_SHIFT);
		bio->bi_private = job;
		bio->bi_end_io = end_io;
		while (bytes) {
			unsigned int in = offset_in_page(offset);
			unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - in);

			if (bio_add_page(bio, pages[offset / PAGE_SIZE], len, in) < len)
				break;
			offset += len;
			bytes -= len;
		}
		atomic_inc(&job->pending);
		submit_bio(bio);
	}
}

/* With several bios a side, the last one decides on the time. */
static void copy_read_end(struct bio *bio)
{
	struct dm_sync_copy *job = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(job->read_error, bio->bi_status);
	job->read_ns = ktime_get_ns() - job->began;
	bio_put(bio);
	copy_put(job);
}

static void copy_compare_end(struct bio *bio)
{
	struct dm_sync_copy *job = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(job->blind, true);
	job->write_ns = ktime_get_ns() - job->began;
	bio_put(bio);
	copy_put(job);
}

static void copy_write_end(struct bio *bio)
{
	struct dm_sync_copy *job = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(job->write_error, bio->bi_status);
	bio_put(bio);
	if (atomic_dec_and_test(&job->pending)) {
		job->write_ns += ktime_get_ns() - job->began;
		queue_work(job->wq, &job->work);
	}
}

/*
 * The job holds one count itself while it issues, so that completions do not
 * start the next stage too early.
 */
static void copy_begin(struct dm_sync_copy *job, enum copy_stage stage)
{
	WRITE_ONCE(job->stage, stage);
	job->began = ktime_get_ns();
	atomic_set(&job->pending, 1);
}

static void copy_read(struct dm_sync_copy *job)
{
	unsigned int bytes = job->sectors << SECTOR_SHIFT;

	copy_begin(job, COPY_STAGE_READ);
	copy_submit(job, job->from, COPY_READ, job->pages, 0, bytes, copy_read_end);
	if (job->compare)
		copy_submit(job, job->to, COPY_READ, job->pages + job->nr_pages / 2, 0,
			    bytes, copy_compare_end);
	copy_put(job);
}

static bool copy_differs(const struct dm_sync_copy *job, unsigned int offset,
			 unsigned int bytes)
{
	struct page **from = job->pages, **to = job->pages + job->nr_pages / 2;

	while (bytes) {
		unsigned int nr = offset / PAGE_SIZE, in = offset_in_page(offset);
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - in);

		if (memcmp(page_address(from[nr]) + in, page_address(to[nr]) + in, len))
			return true;
		offset += len;
		bytes -= len;
	}
	return false;
}

static void copy_write_run(struct dm_sync_copy *job, unsigned int offset, unsigned int bytes)
{
	if (!bytes)
		return;
	job->written_bytes += bytes;
	copy_submit(job, job->to, job->fua ? COPY_WRITE | REQ_FUA : COPY_WRITE, job->pages,
		    offset, bytes, copy_write_end);
}

/* Write every run of adjacent blocks that differ. */
static void copy_write_differing(struct dm_sync_copy *job)
{
	unsigned int end = job->sectors << SECTOR_SHIFT;
	unsigned int block = max3(COMPARE_BYTES, bdev_logical_block_size(job->from),
				  bdev_logical_block_size(job->to));
	unsigned int offset, len, run = 0;

	for (offset = 0; offset < end; offset += len) {
		len = min(block, end - offset);
		if (copy_differs(job, offset, len)) {
			run += len;
			continue;
		}
		copy_write_run(job, offset - run, run);
		run = 0;
	}
	copy_write_run(job, end - run, run);
}

static void copy_write(struct dm_sync_copy *job)
{
	job->read_bytes = job->sectors << SECTOR_SHIFT;

	copy_begin(job, COPY_STAGE_WRITE);
	if (job->compare && !job->blind)
		copy_write_differing(job);
	else
		copy_write_run(job, 0, job->read_bytes);
	job->skipped_bytes = job->read_bytes - job->written_bytes;
	copy_put(job);
}

static void copy_done(struct dm_sync_copy *job)
{
	copy_free_pages(job);
	WRITE_ONCE(job->stage, COPY_STAGE_PAGES);
	if (job->write_error) {
		job->written_bytes = 0;
		job->skipped_bytes = 0;
	}
	job->done(job);
}

/*----------------------------------------------------------------
 * Stages
 *--------------------------------------------------------------*/

/*
 * The job may run again, elsewhere, or be gone, once it was queued or its last
 * count was put: every path ends with that.
 */
static void copy_work(struct work_struct *work)
{
	struct dm_sync_copy *job = container_of(work, struct dm_sync_copy, work);

	switch (job->stage) {
	case COPY_STAGE_PAGES:
		if (!copy_alloc_pages(job, false)) {
			job->stage = COPY_STAGE_RESERVE;
			queue_work(copy_reserve_wq, &job->work);
			break;
		}
		copy_read(job);
		break;
	case COPY_STAGE_RESERVE:
		copy_alloc_pages(job, true);
		copy_read(job);
		break;
	case COPY_STAGE_READ:
		if (job->read_error) {
			copy_done(job);
			break;
		}
		if (job->was_read)
			job->was_read(job);
		copy_write(job);
		break;
	case COPY_STAGE_WRITE:
		copy_done(job);
		break;
	}
}

/**
 * dm_sync_copy_start() - copy a range
 * @job: what to copy, up to and including @done; the rest is set here
 * @wq: where the job's stages and @done run; WQ_MEM_RECLAIM, and nothing on it
 *	may wait for a copy
 *
 * The caller holds the range (dm_sync_range_lock()) from before this call until
 * @done, or at least until @was_read, and keeps the devices open.  What is read and
 * written is the range exactly; a tail shorter than a page or a block is fine.
 *
 * @done finds the outcome in the job: @read_error when @from could not be read
 * (nothing was written then), @write_error when @to may hold anything in the
 * range, else all is as in @from: on @to, though durable only after a flush or
 * with @fua.  @read_bytes counts @from only, and is the sum of @written_bytes
 * and @skipped_bytes when there was no error.  The read of @to that @compare
 * asks for counts in @write_ns.  @done may free the job or start it again.
 *
 * Context: any; nothing is issued in the caller's context.
 */
void dm_sync_copy_start(struct dm_sync_copy *job, struct workqueue_struct *wq)
{
	job->read_error = BLK_STS_OK;
	job->write_error = BLK_STS_OK;
	job->read_bytes = 0;
	job->written_bytes = 0;
	job->skipped_bytes = 0;
	job->read_ns = 0;
	job->write_ns = 0;

	job->wq = wq;
	job->blind = false;
	job->pages = NULL;
	job->nr_pages = 0;
	job->stage = COPY_STAGE_PAGES;
	INIT_WORK(&job->work, copy_work);

	if (WARN_ON_ONCE(!job->sectors || job->sectors > DM_SYNC_COPY_SECTORS)) {
		job->read_error = BLK_STS_IOERR;
		job->stage = COPY_STAGE_READ;
	}
	queue_work(wq, &job->work);
}

/**
 * dm_sync_copy_waits_for() - which device has a copy's I/O at the moment
 * @job: the job, which was started once; it may be over
 *
 * Context: any; an answer for those who look at what takes seconds.
 * Return: the device, or NULL when it is neither reading nor writing.
 */
struct block_device *dm_sync_copy_waits_for(const struct dm_sync_copy *job)
{
	switch (READ_ONCE(job->stage)) {
	case COPY_STAGE_READ:
		return job->from;
	case COPY_STAGE_WRITE:
		return job->to;
	}
	return NULL;
}

/**
 * dm_sync_copy_module_init() - set up what all copies share
 *
 * Context: may sleep.
 * Return: 0, or a negative errno.
 */
int dm_sync_copy_module_init(void)
{
	int r;

	r = bioset_init(&copy_bios, COPY_BIOS, 0, BIOSET_NEED_BVECS);
	if (r)
		return r;
	r = mempool_init_page_pool(&copy_pages, 2 * COPY_PAGES, 0);
	if (r)
		goto out_bios;
	r = mempool_init_kmalloc_pool(&copy_arrays, 1,
				      2 * COPY_PAGES * sizeof(struct page *));
	if (r)
		goto out_pages;

	copy_reserve_wq = alloc_ordered_workqueue("dm-sync-reserve", WQ_MEM_RECLAIM);
	if (copy_reserve_wq)
		return 0;

	r = -ENOMEM;
	mempool_exit(&copy_arrays);
out_pages:
	mempool_exit(&copy_pages);
out_bios:
	bioset_exit(&copy_bios);
	return r;
}

/**
 * dm_sync_copy_module_exit() - undo dm_sync_copy_module_init()
 *
 * No copy is under way.
 *
 * Context: may sleep.
 */
void dm_sync_copy_module_exit(void)
{
	destroy_workqueue(copy_reserve_wq);
	mempool_exit(&copy_arrays);
	mempool_exit(&copy_pages);
	bioset_exit(&copy_bios);
}
