// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host I/O of a store that has to wait.
 *
 * What cannot be done in map, because it waits for a range, for memory or for I/O, is
 * cut into steps. A step does what can be done at once, hands itself to whom it waits
 * for, and returns; whoever ends the wait, often an interrupt, queues the next step.
 * One work item runs all steps of a store, one after the other. So a step never meets
 * another step, and may touch what belongs to the work item without a lock.
 *
 * Memory. Saving a chunk needs pages for it, and may be what the system waits for to
 * get memory. So no step waits in the allocator: a job gets what the allocator gives
 * at once, as long as all jobs together have no more than 32 MiB; or else the reserve,
 * which has room for the largest job and which one job can have at a time; or else it
 * waits in a list, and is tried again whenever a job gave its memory back. That ends:
 *
 *  - if a job waits, the reserve is in use. (When it comes back, the work item, which
 *    took it back, goes on to the list, in the same run.)
 *  - the job that has it already holds all it needs but I/O and the committer. It asks
 *    for memory last: its ranges it had before, and it will want no second lot before
 *    it gave the first one back. The committer has reserves of its own.
 *
 * Who waits for space in the store (on_full:hold) gives his memory back. Other stores have
 * other reserves, so a store may lie on a device that another one is behind.
 *
 * A store that does not answer may have memory of a job for ever. The job is let go of
 * without it (dm-sync-patience.c) and the reserve, if it was that, is allocated anew by who
 * needs it next, or is that memory when it comes back. Until then nothing has to be saved. But
 * who waits since before that does not know, and if the allocator gives nothing even then, nobody
 * has memory to give back: the work item comes again a little later.
 *
 * The bio that reads into the pages is allocated together with them.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-sync-jobs.h"

#define AGAIN_MS	10u

/*----------------------------------------------------------------
 * Memory
 *--------------------------------------------------------------*/

static void pages_free(struct dm_sync_pages *p)
{
	if (!p)
		return;
	while (p->nr)
		__free_page(p->page[--p->nr]);
	kfree(p->vecs);
	kfree(p);
}

static struct dm_sync_pages *pages_alloc(unsigned int bytes, gfp_t gfp)
{
	unsigned int nr = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct dm_sync_pages *p = kmalloc(struct_size(p, page, nr), gfp);

	if (!p)
		return NULL;
	p->nr = 0;
	p->vecs = kmalloc_array(nr, sizeof(*p->vecs), gfp);
	if (!p->vecs)
		goto bad;
	while (p->nr < nr) {
		p->page[p->nr] = alloc_page(gfp);
		if (!p->page[p->nr])
			goto bad;
		p->nr++;
	}
	return p;

bad:
	pages_free(p);
	return NULL;
}

/**
 * dm_sync_job_write - write into the memory of a job
 * @job: the job
 * @offset: where, in bytes
 * @from: what, or NULL for zeroes
 * @bytes: how much, within the memory
 *
 * Context: any.
 */
void dm_sync_job_write(struct dm_sync_job *job, unsigned int offset, const void *from,
		       unsigned int bytes)
{
	while (bytes) {
		struct page *page = job->pages->page[offset / PAGE_SIZE];
		unsigned int in = offset_in_page(offset);
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - in);

		if (from) {
			memcpy(page_address(page) + in, from, len);
			from += len;
		} else {
			memset(page_address(page) + in, 0, len);
		}
		offset += len;
		bytes -= len;
	}
}

static void read_end_io(struct bio *bio)
{
	struct dm_sync_job *job = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	job->read(job, status);
}

/**
 * dm_sync_job_read - read into the memory of a job
 * @job: the job; no other read of it is in flight
 * @bdev: from which device
 * @sector: from where
 * @offset: where to, in bytes
 * @bytes: how much, within the memory, at least a sector
 * @read: called when it is over; any context
 *
 * Context: a step of the job; waits for no I/O.
 */
void dm_sync_job_read(struct dm_sync_job *job, struct block_device *bdev, sector_t sector,
		      unsigned int offset, unsigned int bytes,
		      void (*read)(struct dm_sync_job *job, blk_status_t status))
{
	struct dm_sync_pages *p = job->pages;

	job->read = read;
	bio_init(&p->bio, bdev, p->vecs, p->nr, REQ_OP_READ);
	p->bio.bi_iter.bi_sector = sector;
	p->bio.bi_end_io = read_end_io;
	p->bio.bi_private = job;
	while (bytes) {
		unsigned int in = offset_in_page(offset);
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - in);

		__bio_add_page(&p->bio, p->page[offset / PAGE_SIZE], len, in);
		offset += len;
		bytes -= len;
	}
	submit_bio(&p->bio);
}

/*----------------------------------------------------------------
 * Jobs
 *--------------------------------------------------------------*/

/**
 * dm_sync_job_queue - have the next step of a job done
 * @jobs: its store's
 * @job: the job; it waits for nothing else
 * @run: the step
 *
 * The step may be done, and the job be gone, before this returns.
 *
 * Context: any.
 */
void dm_sync_job_queue(struct dm_sync_jobs *jobs, struct dm_sync_job *job,
		       void (*run)(struct dm_sync_job *job))
{
	unsigned long flags;

	job->run = run;
	/* Within the lock: a job that has ended may have been the last that kept us. */
	spin_lock_irqsave(&jobs->lock, flags);
	list_add_tail(&job->list, &jobs->ready);
	queue_work(jobs->wq, &jobs->work);
	spin_unlock_irqrestore(&jobs->lock, flags);
}

/**
 * dm_sync_job_want_pages - ask for memory, and have the next step done with it
 * @jobs: the job's store's
 * @job: the job; has none, and holds already whatever else it will wait for
 * @bytes: how much, at most DM_SYNC_JOB_BYTES
 * @run: the step: job->pages is set when it is done
 *
 * Context: a step of the job.
 */
void dm_sync_job_want_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job,
			    unsigned int bytes, void (*run)(struct dm_sync_job *job))
{
	job->run = run;
	job->bytes = bytes;
	list_add_tail(&job->list, &jobs->waiting);
}

/**
 * dm_sync_job_free_pages - give memory back
 * @jobs: the job's store's
 * @job: the job; does nothing when it has none
 *
 * Context: a step of the job: after it, those that wait are tried again.
 */
void dm_sync_job_free_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job)
{
	if (!job->pages)
		return;
	if (job->pages == jobs->reserve) {
		jobs->reserve_used = false;
	} else {
		jobs->used -= job->bytes;
		pages_free(job->pages);
	}
	job->pages = NULL;
}

/**
 * dm_sync_job_leave_pages - a job goes on without its memory, which is still in use
 * @jobs: the job's store's
 * @job: the job; has memory, for which dm_sync_jobs_take_back() is called some time
 *
 * It counts as given back, so that others are not kept waiting.
 *
 * Context: a step of the job.
 */
void dm_sync_job_leave_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job)
{
	if (job->pages == jobs->reserve) {
		jobs->reserve = NULL;
		jobs->reserve_used = false;
	} else {
		jobs->used -= job->bytes;
	}
	job->pages = NULL;
}

/**
 * dm_sync_jobs_take_back - memory that a job had left is not in use any more
 * @jobs: of the job
 * @pages: the memory
 *
 * Context: a step of some job.
 */
void dm_sync_jobs_take_back(struct dm_sync_jobs *jobs, struct dm_sync_pages *pages)
{
	if (!jobs->reserve && (size_t)pages->nr * PAGE_SIZE >= DM_SYNC_JOB_BYTES)
		jobs->reserve = pages;
	else
		pages_free(pages);
}

/* Memory for the first that waits, from the allocator or the reserve. */
static bool give_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job)
{
	if (jobs->used + job->bytes <= DM_SYNC_JOBS_BYTES) {
		job->pages = pages_alloc(job->bytes, GFP_NOWAIT | __GFP_NOWARN);
		if (job->pages) {
			jobs->used += job->bytes;
			return true;
		}
	}
	if (!jobs->reserve)
		jobs->reserve = pages_alloc(DM_SYNC_JOB_BYTES, GFP_NOWAIT | __GFP_NOWARN);
	if (jobs->reserve_used || !jobs->reserve)
		return false;
	jobs->reserve_used = true;
	job->pages = jobs->reserve;
	return true;
}

static struct dm_sync_job *next_ready(struct dm_sync_jobs *jobs)
{
	struct dm_sync_job *job;

	spin_lock_irq(&jobs->lock);
	job = list_first_entry_or_null(&jobs->ready, struct dm_sync_job, list);
	if (job)
		list_del(&job->list);
	spin_unlock_irq(&jobs->lock);
	return job;
}

static struct dm_sync_job *next_with_pages(struct dm_sync_jobs *jobs)
{
	struct dm_sync_job *job = list_first_entry_or_null(&jobs->waiting,
							   struct dm_sync_job, list);

	if (!job || !give_pages(jobs, job))
		return NULL;
	list_del(&job->list);
	return job;
}

/* Some wait, and not for the reserve: nobody wakes them. */
static bool nobody_gives(struct dm_sync_jobs *jobs)
{
	return !list_empty(&jobs->waiting) && !jobs->reserve;
}

static void do_jobs(struct work_struct *work)
{
	struct dm_sync_jobs *jobs = container_of(work, struct dm_sync_jobs, work);
	struct dm_sync_job *job;
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (;;) {
		job = next_ready(jobs);
		if (!job)
			job = next_with_pages(jobs);
		if (!job)
			break;
		job->run(job);
		cond_resched();
	}
	blk_finish_plug(&plug);
	if (unlikely(nobody_gives(jobs))) {
		msleep(AGAIN_MS);
		queue_work(jobs->wq, &jobs->work);
	}
}

/**
 * dm_sync_jobs_init - no jobs yet
 * @jobs: to be set up
 * @wq: where steps are run: WQ_MEM_RECLAIM; nothing on it may keep them from it
 *
 * Context: process; may sleep.
 * Return: 0 or -ENOMEM, and then dm_sync_jobs_exit() does no harm.
 */
int dm_sync_jobs_init(struct dm_sync_jobs *jobs, struct workqueue_struct *wq)
{
	spin_lock_init(&jobs->lock);
	INIT_LIST_HEAD(&jobs->ready);
	INIT_LIST_HEAD(&jobs->waiting);
	INIT_WORK(&jobs->work, do_jobs);
	jobs->wq = wq;
	jobs->used = 0;
	jobs->reserve_used = false;
	jobs->reserve = pages_alloc(DM_SYNC_JOB_BYTES, GFP_KERNEL);
	return jobs->reserve ? 0 : -ENOMEM;
}

/**
 * dm_sync_jobs_exit - undo dm_sync_jobs_init()
 * @jobs: none is left, and the queue they ran on is gone; or all zero
 *
 * Context: process.
 */
void dm_sync_jobs_exit(struct dm_sync_jobs *jobs)
{
	pages_free(jobs->reserve);
	jobs->reserve = NULL;
}
