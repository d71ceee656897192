/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host I/O of a store that has to wait: its next step, and memory for saving.
 */
#ifndef DM_SYNC_JOBS_H
#define DM_SYNC_JOBS_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define DM_SYNC_JOB_BYTES	(1u << 20)	/* the most that one job may ask for */
#define DM_SYNC_JOBS_BYTES	(32u << 20)	/* the most that all have at once */
#define DM_SYNC_JOB_NOTES	24u		/* u64 that go with a job's memory */

/**
 * struct dm_sync_pages - memory of a job, and a bio that fills it
 * @nr: how many pages there are
 * @bio: reads into them, with @nr vectors @vecs
 * @notes: the user's, to live as long as the pages
 * @page: the pages
 */
struct dm_sync_pages {
	unsigned int nr;
	struct bio bio;
	struct bio_vec *vecs;
	u64 notes[DM_SYNC_JOB_NOTES];
	struct page *page[];
};

/**
 * struct dm_sync_job - a host bio that has to wait
 * @list: the store's, while it does
 * @run: its next step; called in process context, one job at a time
 * @bytes: memory it asks for
 * @pages: memory it has, or NULL
 * @read: called when a read into its memory is over; any context
 */
struct dm_sync_job {
	struct list_head list;
	void (*run)(struct dm_sync_job *job);
	void (*read)(struct dm_sync_job *job, blk_status_t status);
	unsigned int bytes;
	struct dm_sync_pages *pages;
};

/**
 * struct dm_sync_jobs - all of a store's
 * @lock: protects @ready; taken with interrupts off
 * @ready: jobs whose next step can be done
 * @waiting: jobs that wait for memory, in order; the work item's, as all below
 * @used: bytes that jobs have, without the reserve's
 * @reserve: memory for one job of any size, while no job has it
 * @reserve_used: a job has it
 */
struct dm_sync_jobs {
	spinlock_t lock;
	struct list_head ready;
	struct list_head waiting;
	unsigned int used;
	struct dm_sync_pages *reserve;
	bool reserve_used;
	struct workqueue_struct *wq;
	struct work_struct work;
};

int dm_sync_jobs_init(struct dm_sync_jobs *jobs, struct workqueue_struct *wq);
void dm_sync_jobs_exit(struct dm_sync_jobs *jobs);
void dm_sync_job_queue(struct dm_sync_jobs *jobs, struct dm_sync_job *job,
		       void (*run)(struct dm_sync_job *job));
void dm_sync_job_want_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job,
			    unsigned int bytes, void (*run)(struct dm_sync_job *job));
void dm_sync_job_free_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job);
void dm_sync_job_leave_pages(struct dm_sync_jobs *jobs, struct dm_sync_job *job);
void dm_sync_jobs_take_back(struct dm_sync_jobs *jobs, struct dm_sync_pages *pages);

void dm_sync_job_read(struct dm_sync_job *job, struct block_device *bdev, sector_t sector,
		      unsigned int offset, unsigned int bytes,
		      void (*read)(struct dm_sync_job *job, blk_status_t status));
void dm_sync_job_write(struct dm_sync_job *job, unsigned int offset, const void *from,
		       unsigned int bytes);

#endif /* DM_SYNC_JOBS_H */
