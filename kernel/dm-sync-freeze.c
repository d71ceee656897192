// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system stands still for the instant in which its image is taken.
 *
 * An image of a mounted file system is one that was cut off by a power failure,
 * unless the file system is asked to stand still: then all that it had in memory
 * is on the device, and its log is empty.  device-mapper asks so in a suspend; here
 * it is asked in the same words, for the disk of the source door.
 *
 * Freezing writes, through the source door, and nobody can tell for how long.  It
 * has no deadline and cannot be called off.  So it is done by a work item of a
 * queue of its own, and whoever wants it waits for that item no longer than it
 * likes (rule Q).  A freeze that comes too late is undone by the item itself.  The
 * conductor, which asks, thus never waits for host I/O without an end, and as it
 * waits for a completion and not for a work, a file system that flushes queues of
 * its own meanwhile is not told that a queue for reclaim waits for one that is not.
 *
 * The file system must be able to write while it is being frozen and thawed: the
 * gate is closed after the one and opened before the other.
 *
 * Locking: the outcome is decided once, under f->lock: by the item (FROZEN,
 * FAILED) or by the waiter who gives up (LATE).  The object belongs to both; the
 * mapped device is held until the last of them lets go, so that its disk exists.
 */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kref.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "dm-sync-freeze.h"

enum freeze_outcome {
	FREEZE_PENDING,
	FREEZE_DONE,
	FREEZE_FAILED,
	FREEZE_LATE,
};

struct dm_sync_freeze {
	struct kref ref;
	struct work_struct work, thaw;
	struct completion done;
	struct mapped_device *md;
	spinlock_t lock;
	enum freeze_outcome outcome;	/* @lock */
	int error;
};

/* Not for reclaim: what it runs is the file system's. */
static struct workqueue_struct *freeze_wq;

static struct block_device *disk_of(struct dm_sync_freeze *f)
{
	return dm_disk(f->md)->part0;
}

static void freeze_free(struct kref *ref)
{
	struct dm_sync_freeze *f = container_of(ref, struct dm_sync_freeze, ref);

	dm_put(f->md);
	kfree(f);
}

static void do_freeze(struct work_struct *work)
{
	struct dm_sync_freeze *f = container_of(work, struct dm_sync_freeze, work);
	int r = bdev_freeze(disk_of(f));
	bool late;

	spin_lock(&f->lock);
	late = f->outcome == FREEZE_LATE;
	if (!late) {
		f->outcome = r ? FREEZE_FAILED : FREEZE_DONE;
		f->error = r;
	}
	spin_unlock(&f->lock);
	if (late && !r)
		bdev_thaw(disk_of(f));
	complete(&f->done);
	kref_put(&f->ref, freeze_free);
}

static void do_thaw(struct work_struct *work)
{
	struct dm_sync_freeze *f = container_of(work, struct dm_sync_freeze, thaw);

	bdev_thaw(disk_of(f));
	kref_put(&f->ref, freeze_free);
}

static struct dm_sync_freeze *freeze_begin(struct mapped_device *md)
{
	struct dm_sync_freeze *f = kzalloc(sizeof(*f), GFP_NOIO);
	int r;

	if (!f)
		return ERR_PTR(-ENOMEM);
	r = dm_hold(md);
	if (r) {
		kfree(f);
		return ERR_PTR(r);
	}
	f->md = md;
	kref_init(&f->ref);
	kref_get(&f->ref);
	spin_lock_init(&f->lock);
	init_completion(&f->done);
	INIT_WORK(&f->work, do_freeze);
	INIT_WORK(&f->thaw, do_thaw);
	queue_work(freeze_wq, &f->work);
	return f;
}

/**
 * dm_sync_freeze - have the file system on a device stand still
 * @md: the device; without a file system its cached writes are written
 * @timeout: jiffies
 *
 * Context: may sleep; no lock held that host I/O needs, and the gate open.
 * Return: for dm_sync_thaw(); or an error, and nothing is frozen: -ETIMEDOUT, or the
 * file system's.
 */
struct dm_sync_freeze *dm_sync_freeze(struct mapped_device *md, unsigned long timeout)
{
	struct dm_sync_freeze *f = freeze_begin(md);
	int r;

	if (IS_ERR(f))
		return f;
	wait_for_completion_timeout(&f->done, timeout);
	spin_lock(&f->lock);
	if (f->outcome == FREEZE_PENDING) {
		f->outcome = FREEZE_LATE;
		f->error = -ETIMEDOUT;
	}
	r = f->error;
	spin_unlock(&f->lock);
	if (!r)
		return f;
	kref_put(&f->ref, freeze_free);
	return ERR_PTR(r);
}

/**
 * dm_sync_thaw - let it go on
 * @f: what dm_sync_freeze() gave; not to be used any more
 *
 * Begins it and does not wait: what a file system writes when it goes on is its own
 * business.
 *
 * Context: any; the gate open.
 */
void dm_sync_thaw(struct dm_sync_freeze *f)
{
	queue_work(freeze_wq, &f->thaw);
}

/**
 * dm_sync_freeze_module_init - before the first store
 *
 * Return: 0 or -ENOMEM.
 */
int dm_sync_freeze_module_init(void)
{
	freeze_wq = alloc_workqueue("dm_sync_freeze", WQ_UNBOUND, 0);
	return freeze_wq ? 0 : -ENOMEM;
}

/**
 * dm_sync_freeze_module_exit - after the last store
 *
 * Waits for what was begun.
 */
void dm_sync_freeze_module_exit(void)
{
	destroy_workqueue(freeze_wq);
}
