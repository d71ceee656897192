// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the device of a store gone?  (E3, E4)
 *
 * When the store cannot save what a host write of the source changes, images are lost
 * (dm-sync-commit-space.c). Here is the rest: I/O of an image's own host met an error in the
 * store. That host is told so by its bio. What it means for the image is another question.
 * A sector that is bad is bad in this image, like a chunk that the source could not give, and
 * all the rest can be read as ever. A device that does not answer any more takes the whole
 * image with it, for the time being: Broken, Dormant. No old data was lost by that, so the
 * image is what it was as soon as the device answers again.
 *
 * So an error makes the store suspect, and the store is asked: its superblock is read, and,
 * when it was a write that failed, written. If it answers, nothing has happened. If not,
 * it is ailing: images that are in use are told (dm-sync-image-events.c), and it is asked again
 * by the same timer that writes what a failed store owes. The source is not concerned.
 *
 * Broken in this way is written nowhere: there is nothing to write it to, and whoever loads
 * the store has asked it by that. A record may have it from a change that was written at
 * that time; the load takes it back, as the load is an answer.
 *
 * Locks: an error is noted by any context with two atomic bits and a work item; asking is done
 * with commit_lock held and while the store is armed, so the device is there. From one question
 * to the next it takes two seconds: a host may read a bad sector for ever. Errors
 * after postsuspend are those of doors that have devices of their own; nobody asks then.
 *
 * A power cut leaves nothing behind: the superblock is written as it is.
 */
#include <linux/jiffies.h>

#include "dm-sync-store.h"

#define DM_MSG_PREFIX "sync"

#define ASK_AGAIN	(2 * HZ)

enum { SUSPECT_READ, SUSPECT_WRITE };

/* Both homes at once; one of them is enough, as the other may have a bad sector. */
static int ask_read(struct dm_sync_store *s)
{
	dm_sync_stretch_read(&s->meta, s->stretch, 0, 1);
	return s->stretch->error[0] && s->stretch->error[1] ? s->stretch->error[0] : 0;
}

/* It is suspect: commit_lock held, armed. */
static void judge(struct dm_sync_store *s)
{
	bool wrote = test_and_clear_bit(SUSPECT_WRITE, &s->suspect);
	int r;

	clear_bit(SUSPECT_READ, &s->suspect);
	r = ask_read(s);
	if (!r && wrote)
		r = dm_sync_store_write_super(s);
	s->answered = jiffies | 1;
	if (!r)
		return;
	DMERR("%s: the store does not answer: %d. Its images are out of reach", s->name, r);
	s->ailing = r;
	dm_sync_images_reach(s, false);
	dm_sync_store_probe_soon(s);
}

static void do_suspect(struct work_struct *work)
{
	struct dm_sync_store *s = container_of(work, struct dm_sync_store, suspect_work);

	mutex_lock(&s->commit_lock);
	if (s->armed && !s->ailing) {
		if (s->answered && time_before(jiffies, s->answered + ASK_AGAIN))
			dm_sync_store_probe_soon(s);
		else
			judge(s);
	}
	mutex_unlock(&s->commit_lock);
}

/**
 * dm_sync_store_suspect - I/O of an image met an error in the store
 * @s: the store; whoever asks keeps it
 * @write: it was a write
 *
 * Context: any.
 */
void dm_sync_store_suspect(struct dm_sync_store *s, bool write)
{
	set_bit(write ? SUSPECT_WRITE : SUSPECT_READ, &s->suspect);
	queue_work(s->io_wq, &s->suspect_work);
}

/**
 * dm_sync_store_ask - does a store answer that did not, or is suspect?
 * @s: the store
 *
 * If it did not and does now, its images are what they were.
 *
 * Context: commit_lock held; armed; waits for I/O.
 * Return: 0, also when nothing is known against it; or a negative errno.
 */
int dm_sync_store_ask(struct dm_sync_store *s)
{
	int r;

	if (!s->ailing) {
		if (s->suspect)
			judge(s);
		return s->ailing;
	}
	r = ask_read(s) ?: dm_sync_store_write_super(s);
	if (r)
		return r;
	s->ailing = 0;
	DMINFO("%s: the store answers again", s->name);
	dm_sync_images_reach(s, true);
	return 0;
}

/**
 * dm_sync_store_check - does the store answer?
 * @s: the store
 *
 * To be asked before hosts are made to wait for it.
 *
 * Context: commit_lock held; armed; waits for I/O.
 * Return: 0 or a negative errno.
 */
int dm_sync_store_check(struct dm_sync_store *s)
{
	return ask_read(s);
}

/**
 * dm_sync_store_health_stop - nobody asks any more
 * @s: the store, not armed
 *
 * Context: may sleep; commit_lock not held.
 */
void dm_sync_store_health_stop(struct dm_sync_store *s)
{
	cancel_work_sync(&s->suspect_work);
}

/**
 * dm_sync_store_health_init - a store that nothing is known against
 * @s: the store
 *
 * Context: construction.
 */
void dm_sync_store_health_init(struct dm_sync_store *s)
{
	INIT_WORK(&s->suspect_work, do_suspect);
}
