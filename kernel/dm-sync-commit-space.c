// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store's committer: space, what happens without it, and without the device.
 *
 * Where slots come from, in this order: those of formatted segments that are free;
 * those that are only held back for the newest batch, which another batch releases; the
 * next segment of the device, which is formatted a little ahead of need. After that the
 * store is full, and somebody has to give way:
 *
 *	an own write of an image	fails, and only it
 *	on_full:drop			the oldest image is given up; again until there is
 *					a slot or no image that needs one. One that the
 *					source is being restored from goes last
 *	on_full:hold			the source's writes wait for space, as long as
 *					hold_max says, and then it is as drop
 *
 * An image that is being deleted comes first: the deletion is finished on the spot, which
 * takes no I/O. Whoever frees slots later on kicks the committer, and what waits is tried
 * again. Host writes do not wait here, but give back their chunks' ranges and their memory
 * meanwhile (s->waiters): images can be read, from the source, which still has what they need. A
 * suspend ends a wait, for device-mapper waits for those writes: with noflush
 * they go back to it and come again at resume, so that a store can be grown while it is
 * full; without, it is as drop.
 *
 * A store that could not be written is probed, every two seconds at first and every
 * thirty at last: it owes the records of images that were given up, perhaps a slot block
 * (s->rewrite), and until that is durable no point in time is taken.
 *
 * All of this is the committer's, with commit_lock held. The two timers only set flags
 * or try writes under that lock.
 */
#include <linux/slab.h>

#include "dm-sync-commit-store.h"

#define DM_MSG_PREFIX "sync"

#define PROBE_FIRST	2u	/* seconds; doubles */
#define PROBE_LAST	30u

/* A new segment is formatted when fewer slots than this can be had at once. */
#define AHEAD_SLOTS	(DM_SYNC_SEGMENT_SLOTS / 8)

#define LOW_PERCENT	10u
#define ENOUGH_PERCENT	15u

/*----------------------------------------------------------------
 * Slots
 *--------------------------------------------------------------*/

/**
 * dm_sync_space_take - slots for a batch
 * @s: the store
 * @want: how many, at least 1
 * @first: out: the first of them
 *
 * Context: commit_lock held; sleeps for I/O when a segment has to be formatted.
 * Return: how many, at most @want; 0 when the store is full; -ENOMEM when it is not, but
 * a segment cannot be made usable just now; -EIO when there would be some but for a write
 * that failed.
 */
int dm_sync_space_take(struct dm_sync_store *s, u32 want, u32 *first)
{
	u32 got;
	int r;

	if (dm_sync_slots_nr_ready(&s->slots) < AHEAD_SLOTS)
		dm_sync_store_format_segment(s);	/* in vain: it is tried again */
	for (;;) {
		got = dm_sync_slots_alloc(&s->slots, want, first);
		if (got)
			return got;
		if (dm_sync_slots_nr_free(&s->slots)) {
			r = dm_sync_store_rewrite(s);
			if (r)
				return r;
			continue;
		}
		r = dm_sync_store_format_segment(s);
		if (r == -ENOMEM)
			return r;
		if (r && r != -ENOSPC)
			DMERR("%s: the store has space left that cannot be used: %d", s->name, r);
		if (r)
			return 0;
	}
}

/**
 * dm_sync_space_watch - after slots were taken, or some may have been freed
 * @s: the store; no save waits for space
 *
 * Context: commit_lock held.
 */
void dm_sync_space_watch(struct dm_sync_store *s)
{
	u64 nr = s->layout.nr_slots, left = nr - s->slots.used;

	if (s->full) {
		s->full = false;
		cancel_delayed_work(&s->full_work);
		dm_sync_images_space(s, DM_SYNC_SPACE_GO);
	}
	s->hold_over = false;
	if (!s->low && left * 100 < nr * LOW_PERCENT) {
		s->low = true;
		DMWARN("%s: %llu of %llu slots of the store are free", s->name, left, nr);
		dm_sync_images_space(s, DM_SYNC_SPACE_LOW);
	} else if (s->low && left * 100 > nr * ENOUGH_PERCENT) {
		s->low = false;
		dm_sync_images_space(s, DM_SYNC_SPACE_ENOUGH);
	}
}

/*----------------------------------------------------------------
 * Full
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_failed - the store owes what could not be written
 * @s: the store
 * @error: why, a negative errno
 *
 * It is probed from now on, until it is durable.
 *
 * Context: commit_lock held.
 */
void dm_sync_store_failed(struct dm_sync_store *s, int error)
{
	s->failed = error;
	dm_sync_store_probe_soon(s);
}

/**
 * dm_sync_store_probe_soon - have the store asked, and again until it answers
 * @s: the store, failed or ailing
 *
 * Context: commit_lock held.
 */
void dm_sync_store_probe_soon(struct dm_sync_store *s)
{
	s->probe_seconds = PROBE_FIRST;
	queue_delayed_work(s->io_wq, &s->probe_work, PROBE_FIRST * HZ);
}

/* The record first, which is durable when this returns; then nobody needs its chunks. */
static void give_up(struct dm_sync_store *s, struct dm_sync_image *image, u32 reason)
{
	bool away = dm_sync_patience_away(s, true);
	int r = dm_sync_image_give_up(s, image, reason);

	dm_sync_patience_away(s, away);
	if (r)
		DMERR("%s: image %s is lost, but that could not be written: %d. It must not be used if the machine stops before it is",
		      s->name, image->name, r);
}

static struct dm_sync_view_image *view_of(struct dm_sync_store *s, unsigned int nr)
{
	if (!s->image[nr])
		return NULL;
	return rcu_dereference_protected(s->image[nr]->view, lockdep_is_held(&s->commit_lock));
}

/* One that the source is being restored from is the last to go. */
static struct dm_sync_image *oldest_image(struct dm_sync_store *s)
{
	struct dm_sync_view_image *view, *oldest = NULL;
	struct dm_sync_image *last = NULL;
	unsigned int i, found = 0;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		view = view_of(s, i);
		if (!view)
			continue;
		if (dm_sync_restore_is_from(s, s->image[i])) {
			last = s->image[i];
			continue;
		}
		if (oldest && oldest->generation < view->generation)
			continue;
		oldest = view;
		found = i;
	}
	return oldest ? s->image[found] : last;
}

/* Images were given up, so nothing needs to be saved. */
static void expect_none(struct dm_sync_store *s)
{
	if (WARN_ON_ONCE(dm_sync_view_generation(&s->view)))
		dm_sync_saves_end(s, false, -EIO);
}

static void drop_oldest(struct dm_sync_store *s)
{
	struct dm_sync_image *image = oldest_image(s);

	if (!image) {
		expect_none(s);
		return;
	}
	DMERR("%s: the store is full: its oldest image %s is given up", s->name, image->name);
	give_up(s, image, DM_SYNC_REASON_STORE_FULL);
}

static void hold(struct dm_sync_store *s)
{
	u32 seconds = READ_ONCE(s->hold_max);

	s->full_used = s->slots.used;
	s->full_slots = s->layout.nr_slots;
	s->full_images = s->view.nr_images;
	dm_sync_saves_yield(s);
	if (s->full)
		return;
	s->full = true;
	DMWARN("%s: the store is full: writes that need space wait up to %u seconds", s->name,
	       seconds);
	queue_delayed_work(s->io_wq, &s->full_work, seconds * HZ);
	dm_sync_images_space(s, DM_SYNC_SPACE_HOLD);
}

/* The live table's; while writes wait there is one. */
static bool may_hold(struct dm_sync_store *s)
{
	return s->config && READ_ONCE(s->config->on_full) == DM_SYNC_ON_FULL_HOLD &&
	       !s->hold_over && !s->let_go;
}

/**
 * dm_sync_space_wait - do writes have to go on waiting for space?
 * @s: the store
 *
 * If there are any, and something has changed since they began, they are to try again: slots were
 * freed, images have gone and need nothing, the store has grown, or nobody is to wait.
 *
 * Context: commit_lock held.
 * Return: true when some wait, or have been told to try and will kick.
 */
bool dm_sync_space_wait(struct dm_sync_store *s)
{
	bool any;

	any = atomic_read(&s->nr_waiting);
	if (any && (!s->full || !may_hold(s) || s->view.dying || s->slots.used < s->full_used ||
		    s->layout.nr_slots > s->full_slots || s->view.nr_images != s->full_images))
		dm_sync_cow_wake(s);
	return any;
}

/**
 * dm_sync_space_full - the chunks that come next cannot be had a slot for
 * @s: the store
 * @own: they are own writes
 *
 * Context: commit_lock held; sleeps for I/O.
 * Return: true when something changed and the next batch can be tried; false when what
 * waits has to wait for a kick.
 */
bool dm_sync_space_full(struct dm_sync_store *s, bool own)
{
	dm_sync_saves_end(s, true, -ENOSPC);
	if (own)
		return true;
	if (s->let_go && s->requeue) {
		dm_sync_saves_end(s, false, -EAGAIN);
		return true;
	}
	if (dm_sync_images_reclaim(s))
		return true;
	if (may_hold(s)) {
		hold(s);
		return false;
	}
	drop_oldest(s);
	return true;
}

static void do_full(struct work_struct *work)
{
	struct dm_sync_store *s = container_of(to_delayed_work(work), struct dm_sync_store,
					       full_work);

	mutex_lock(&s->commit_lock);
	s->hold_over = s->full;
	mutex_unlock(&s->commit_lock);
	dm_sync_store_kick(s);
}

/**
 * dm_sync_store_hold_max_changed - hold_max or on_full was set
 * @s: the store; for writes that wait already, hold_max counts from now
 *
 * Context: may sleep; takes commit_lock.
 */
void dm_sync_store_hold_max_changed(struct dm_sync_store *s)
{
	mutex_lock(&s->commit_lock);
	if (s->full && !s->hold_over)
		mod_delayed_work(s->io_wq, &s->full_work, READ_ONCE(s->hold_max) * HZ);
	mutex_unlock(&s->commit_lock);
	dm_sync_store_kick(s);
}

/**
 * dm_sync_store_let_go - nothing may wait for space from now on, or may again
 * @s: the store
 * @let_go: a suspend begins
 * @requeue: it is one without flush: what waits goes back to device-mapper
 *
 * What waits now is ended by the committer soon, and who had yielded comes once more and
 * does not wait then. This does not wait for it: as long as hosts write, the committer
 * need not come to an end.
 *
 * Context: may sleep; takes commit_lock.
 */
void dm_sync_store_let_go(struct dm_sync_store *s, bool let_go, bool requeue)
{
	mutex_lock(&s->commit_lock);
	s->let_go = let_go;
	s->requeue = requeue;
	mutex_unlock(&s->commit_lock);
	dm_sync_store_kick(s);
}

/*----------------------------------------------------------------
 * The store cannot be written
 *--------------------------------------------------------------*/

/**
 * dm_sync_space_fail - nothing can be saved any more: the images are lost
 * @s: the store
 * @error: why, a negative errno
 *
 * Context: commit_lock held; sleeps for I/O.
 */
void dm_sync_space_fail(struct dm_sync_store *s, int error)
{
	unsigned int i;

	DMERR("%s: the store failed: %d. Its images are given up, the source goes on", s->name,
	      error);
	dm_sync_store_failed(s, error);
	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		if (view_of(s, i))
			give_up(s, s->image[i], DM_SYNC_REASON_STORE_FAILED);
	expect_none(s);
}

/**
 * dm_sync_space_late - if the store has answered, but too late: its images are lost
 * @s: the store; no batch is under way
 *
 * Host writes went on without it (dm-sync-patience.c).
 *
 * Context: commit_lock held; sleeps for I/O.
 */
void dm_sync_space_late(struct dm_sync_store *s)
{
	if (likely(!dm_sync_patience_over(s)))
		return;
	dm_sync_space_fail(s, -ETIMEDOUT);
	dm_sync_patience_mend(s);
}

/**
 * dm_sync_store_revive - write what a failed store owes
 * @s: the store
 *
 * Context: commit_lock held; sleeps for I/O.
 * Return: 0 when it can be used; or a negative errno.
 */
int dm_sync_store_revive(struct dm_sync_store *s)
{
	int r;

	if (!s->failed)
		return 0;
	r = dm_sync_store_write_owed(s);
	if (!r && s->rewrite != DM_SYNC_NO_BLOCK)
		r = dm_sync_store_rewrite(s);
	if (!r)
		r = dm_sync_store_write_super(s);	/* perhaps nothing was owed */
	if (r)
		return r;
	s->failed = 0;
	DMINFO("%s: the store can be written again", s->name);
	return 0;
}

static void do_probe(struct work_struct *work)
{
	struct dm_sync_store *s = container_of(to_delayed_work(work), struct dm_sync_store,
					       probe_work);

	mutex_lock(&s->commit_lock);
	if (s->armed && (dm_sync_store_revive(s) ?: dm_sync_store_ask(s))) {
		s->probe_seconds = min(2 * s->probe_seconds, PROBE_LAST);
		queue_delayed_work(s->io_wq, &s->probe_work, s->probe_seconds * HZ);
	}
	mutex_unlock(&s->commit_lock);
}

/**
 * dm_sync_store_stop_timers - no probe and no end of a wait any more
 * @s: the store, nothing is committed any more
 *
 * Context: may sleep; commit_lock not held.
 */
void dm_sync_store_stop_timers(struct dm_sync_store *s)
{
	dm_sync_store_health_stop(s);
	cancel_delayed_work_sync(&s->full_work);
	cancel_delayed_work_sync(&s->probe_work);
}

/**
 * dm_sync_store_start_timers - a store that had failed is probed again
 * @s: the store, activated
 *
 * Context: may sleep; takes commit_lock.
 */
void dm_sync_store_start_timers(struct dm_sync_store *s)
{
	mutex_lock(&s->commit_lock);
	if (s->failed || s->ailing)
		dm_sync_store_probe_soon(s);
	mutex_unlock(&s->commit_lock);
}

/**
 * dm_sync_space_init - set up the timers
 * @s: the store
 *
 * Context: construction.
 */
void dm_sync_space_init(struct dm_sync_store *s)
{
	INIT_DELAYED_WORK(&s->full_work, do_full);
	INIT_DELAYED_WORK(&s->probe_work, do_probe);
	dm_sync_store_health_init(s);
}
