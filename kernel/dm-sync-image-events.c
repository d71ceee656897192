// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to images without having been asked for: one is given up, one is
 * written to, the store runs full, writes were held long enough.
 *
 * Most of it is found out by the committer, who holds commit_lock and waits for nobody.
 * What must be durable he makes durable at once, here; what follows for the image's
 * state he leaves in image->events, and the conductor publishes it between operations.
 * A bit that finds the store suspended stays until it is resumed. So a reader may see
 * an image as Synchronized a moment longer than it is; its door does not: that looks at
 * image->lost.
 *
 * Giving an image up (rule S-invalid) is the record first, which says LOST and has no
 * generation; then the view forgets it, and only then may a write go on that this
 * image needed saving for: writes look at the view. If the record cannot be written
 * the view forgets it all the same, as the source must not stop; the store owes the
 * record then (dm-sync-store-super.c).
 *
 * Nobody waits for the doors of an image that is given up, for what goes on there may
 * wait for the very write that needs the space. A read under way may end with what was
 * put into its slot meanwhile; it finds image->lost set then, and fails. Writes to own
 * slots, which would go astray in the same way, are on their way to the store's device
 * and wait for nothing else; they are waited for.
 *
 * Holding. A Suspended image has writes that would have to be saved wait, at the place
 * where they would begin to be: out of the gate, with no range held, so neither a point
 * in time nor an image's read waits for them. hold_max ends it (rule Q), counted by the
 * conductor, and so does a suspend of the source door; they are saved then, and the
 * image stays what it was. That is one list for all images: one copy serves all, so
 * one image that wants it held has it held.
 *
 * Writes that wait for space are not these: they are in the gate, and the committer's
 * to end (dm-sync-commit-space.c). Their images are shown as Suspended for that time.
 */
#include <linux/blkdev.h>
#include <linux/sched/mm.h>

#include "dm-sync-image.h"
#include "dm-sync-names.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

enum image_event {
	EVENT_LOST,
	EVENT_WRITTEN,
	EVENT_RESTORED,
	EVENT_GONE,
	EVENT_BACK,
	EVENT_SPACE,		/* the first of them all: EVENT_SPACE + enum dm_sync_space */
};

/* One that takes another back, before the conductor has come to either. */
static const enum dm_sync_space opposite[] = {
	[DM_SYNC_SPACE_LOW] = DM_SYNC_SPACE_ENOUGH,
	[DM_SYNC_SPACE_ENOUGH] = DM_SYNC_SPACE_LOW,
	[DM_SYNC_SPACE_HOLD] = DM_SYNC_SPACE_GO,
	[DM_SYNC_SPACE_GO] = DM_SYNC_SPACE_HOLD,
};

/**
 * dm_sync_image_events_kick - let the conductor look at what has happened
 * @image: the image
 *
 * Context: any; the image in s->image[] and commit_lock held, or the conductor, or
 * the conductor idle.
 */
void dm_sync_image_events_kick(struct dm_sync_image *image)
{
	if (READ_ONCE(image->events))
		queue_work(image->store->conductor, &image->event_work);
}

/**
 * dm_sync_image_events_due - does the conductor still have to tell what has happened?
 * @image: the image
 *
 * If not, what had happened before this is in the published state when it is looked at
 * afterwards; if so, it is when the conductor has come to what is queued now.
 *
 * Context: any.
 */
bool dm_sync_image_events_due(struct dm_sync_image *image)
{
	if (READ_ONCE(image->events))
		return true;
	smp_rmb();	/* a bit is cleared by who is at it: see pending() */
	return work_busy(&image->event_work);
}

static void happened(struct dm_sync_image *image, unsigned int event)
{
	set_bit(event, &image->events);
	dm_sync_image_events_kick(image);
}

/*----------------------------------------------------------------
 * Giving an image up
 *--------------------------------------------------------------*/

static enum dm_sync_event loss_of(u32 reason)
{
	return reason == DM_SYNC_REASON_METADATA_LOST ? DM_SYNC_EV_MAPS_LOST :
							DM_SYNC_EV_STORE_FULL;
}

static bool next_step(struct dm_sync_image *image, enum dm_sync_event ev,
		      struct dm_sync_step *to)
{
	struct dm_sync_facts f;
	bool changed;

	spin_lock_irq(&image->pair.lock);
	dm_sync_image_facts(image, &f);
	changed = dm_sync_event_step(&image->pair.state, &f, ev, true, false, to);
	spin_unlock_irq(&image->pair.lock);
	return changed;
}

/*
 * The state of an image that is lost. Where something is in flight that would end it anyway, or
 * its creation has not come to an end, the event changes nothing, as that decides; but it may
 * never be done, or fail. What is on the disk has to be a state that something leads out of.
 */
static void lost_state(struct dm_sync_image *image, u32 reason, struct dm_sync_step *to)
{
	if (!next_step(image, loss_of(reason), to) &&
	    to->copy_state != DM_SYNC_COPY_STATE_BROKEN)
		*to = (struct dm_sync_step) {
			DM_SYNC_COPY_STATE_BROKEN, DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC,
			DM_SYNC_COPY_STATE_SYNCHRONIZED,
		};
}

/* Go on with the deletion that is under way until it has ended; commit_lock held. */
static void finish_deletion(struct dm_sync_store *s)
{
	while (s->view.dying &&
	       !dm_sync_view_delete_step(&s->view, U64_MAX, dm_sync_store_free_slot, s))
		cond_resched();
}

/**
 * dm_sync_images_reclaim - finish a deletion that is under way
 * @s: the store
 *
 * Whoever began it frees the memory.
 *
 * Context: commit_lock held; may sleep.
 * Return: true when slots became free by it.
 */
bool dm_sync_images_reclaim(struct dm_sync_store *s)
{
	u32 used = s->slots.used;

	finish_deletion(s);
	return s->slots.used < used;
}

/* The record does not know the view any more.  commit_lock held. */
static void give_up_view(struct dm_sync_store *s, struct dm_sync_image *image)
{
	struct dm_sync_view_image *view =
		rcu_dereference_protected(image->view, lockdep_is_held(&s->commit_lock));

	RCU_INIT_POINTER(image->view, NULL);
	if (!view || !s->view.loaded)
		return;		/* the load gives up its whole view */
	synchronize_rcu();	/* whoever found an own slot has counted himself */
	wait_event(image->door_idle, !atomic_read(&image->own_writes));
	finish_deletion(s);
	WARN_ON_ONCE(dm_sync_view_delete_begin(&s->view, view));
	finish_deletion(s);
	synchronize_rcu();
	dm_sync_view_free(view);
}

/*
 * What is being loaded is in nobody's sight, and no operation is under way that would set the
 * state once more. All others are told of, at the latest when the store is resumed: one that is
 * being made just now, too, whose creation publishes a state that is not true any more.
 */
static void lost_unseen(struct dm_sync_image *image, const struct dm_sync_step *to)
{
	struct dm_sync_pair *p = &image->pair;

	spin_lock_irq(&p->lock);
	p->state.copy_state = to->copy_state;
	p->state.progress = to->progress;
	p->state.requested = to->requested;
	p->reason = image->lost_reason;
	p->reason_time = dm_sync_now();
	dm_sync_pair_update_door(p);
	spin_unlock_irq(&p->lock);
}

/**
 * dm_sync_image_give_up - an image is lost
 * @s: the store
 * @image: in s->image[]; may have no view
 * @reason: enum dm_sync_reason
 *
 * See the head of this file.
 *
 * Context: commit_lock held; waits for I/O, and for no one who needs the lock.
 * Return: 0; or the error of its record, which is owed then. Its slots are free in
 * either case.
 */
int dm_sync_image_give_up(struct dm_sync_store *s, struct dm_sync_image *image, u32 reason)
{
	struct dm_sync_step to;
	bool restoring;
	int r;

	/* Also when it only seems lost, as it is being deleted by force. */
	if (image->lost && !rcu_access_pointer(image->view))
		return 0;
	lost_state(image, reason, &to);		/* with the facts of before */
	restoring = dm_sync_restore_is_from(s, image);
	if (restoring) {
		spin_lock_irq(&image->pair.lock);
		image->pair.facts.restore_incomplete = true;
		spin_unlock_irq(&image->pair.lock);
	}
	image->lost_reason = reason;
	image->generation = image->own_id = 0;
	smp_store_mb(image->lost, true);
	r = dm_sync_store_write_record(s, image, &to);
	trace_dm_sync_give_up(image->pair.id, reason, r);
	if (r)
		DMERR("%s: the image is lost (%s), and not even that can be written: %d",
		      image->pair.name, dm_sync_reason_name(reason), r);
	if (restoring) {
		DMERR("%s: the source is half restored", image->pair.name);
		dm_sync_restore_off(s);
	}
	give_up_view(s, image);
	image->written = false;
	if (!s->loaded)
		lost_unseen(image, &to);
	else
		happened(image, EVENT_LOST);
	return r;
}

/**
 * dm_sync_image_written - an image is going to have its first own write
 * @image: the image
 *
 * "Written" is durable when it returns; so after a crash, too, nobody takes the image
 * for what it was at its point in time. The state in the record may be the one before:
 * the two together are read as Skewed. Others see it no sooner: a write to a slot that was the
 * image's own already goes without asking when it does (dm-sync-image-io.c), and may be
 * durable before a record that is on its way.
 *
 * Context: commit_lock held; waits for I/O the first time.
 * Return: 0 and the write may become durable, or a negative errno.
 */
int dm_sync_image_written(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;
	int r;

	if (s->image[image->nr] != image || image->lost)
		return -EIO;
	if (image->written)
		return 0;
	image->first_write = true;
	r = dm_sync_store_write_record(s, image, NULL);
	image->first_write = false;
	if (r)
		return r;
	smp_store_release(&image->written, true);
	happened(image, EVENT_WRITTEN);
	return 0;
}

/**
 * dm_sync_images_space - the committer has something to say of the space
 * @s: the store
 * @what: what
 *
 * Context: commit_lock held; does not sleep.
 */
void dm_sync_images_space(struct dm_sync_store *s, enum dm_sync_space what)
{
	struct dm_sync_image *image;
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		image = s->image[i];
		if (!image)
			continue;
		clear_bit(EVENT_SPACE + opposite[what], &image->events);
		happened(image, EVENT_SPACE + what);
	}
}

/**
 * dm_sync_images_reach - the store's device does not answer any more, or does again
 * @s: the store
 * @answers: it does
 *
 * Context: commit_lock held; does not sleep.
 */
void dm_sync_images_reach(struct dm_sync_store *s, bool answers)
{
	struct dm_sync_image *image;
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		image = s->image[i];
		if (!image)
			continue;
		clear_bit(answers ? EVENT_GONE : EVENT_BACK, &image->events);
		happened(image, answers ? EVENT_BACK : EVENT_GONE);
	}
}

/**
 * dm_sync_images_lose - all images are lost, in memory
 * @s: the store; whoever has commit_lock may wait for its device
 * @reason: enum dm_sync_reason
 *
 * The one way to lose an image without commit_lock, for who cannot wait for it. What is
 * durable, and the view, follow by dm_sync_image_give_up().
 *
 * Context: any.
 */
void dm_sync_images_lose(struct dm_sync_store *s, u32 reason)
{
	struct dm_sync_image *image;
	unsigned int i;

	rcu_read_lock();	/* an image that is going stays as long as this */
	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		image = READ_ONCE(s->image[i]);
		if (!image || image->lost || !rcu_access_pointer(image->view))
			continue;
		image->lost_reason = reason;
		WRITE_ONCE(image->lost, true);
	}
	rcu_read_unlock();
}

/**
 * dm_sync_images_tell_lost - images were lost behind the committer's back
 * @s: the store
 *
 * Context: the conductor.
 */
void dm_sync_images_tell_lost(struct dm_sync_store *s)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		if (s->image[i] && READ_ONCE(s->image[i]->lost))
			happened(s->image[i], EVENT_LOST);
}

/**
 * dm_sync_image_restore_over - the source is restored from this image as far as can be
 * @image: the image
 *
 * Context: commit_lock held; does not sleep.
 */
void dm_sync_image_restore_over(struct dm_sync_image *image)
{
	happened(image, EVENT_RESTORED);
}

/*----------------------------------------------------------------
 * Telling.  On the conductor.
 *--------------------------------------------------------------*/

/*
 * With the image went the restore from it: what hosts have read of it through the page cache is
 * not what they find in the source. Not when it is given up: dropping pages may wait for a
 * writer of the door, and he for the committer.
 */
static void drop_pages(struct dm_sync_image *image)
{
	if (image->pair.facts.restore_incomplete)
		invalidate_bdev(dm_disk(image->store->md)->part0);
}

static void tell_lost(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	if (READ_ONCE(image->lost))
		drop_pages(image);
	/* It may have been made good, or ended, since. */
	if (!READ_ONCE(image->lost) || !next_step(image, loss_of(image->lost_reason), &to))
		return;
	dm_sync_image_hold_off(image);
	dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_ERROR, 0, image->lost_reason);
}

static void tell_written(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	/* What was written may be gone since. */
	if (READ_ONCE(image->written) && next_step(image, DM_SYNC_EV_REPLICA_WRITTEN, &to))
		dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_HOST, 0,
				DM_SYNC_REASON_NONE);
}

/*
 * The store does not answer. One that the source is restored from is left alone: what cannot
 * be restored ends that (dm-sync-restore-life.c).
 */
static void tell_gone(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	if (READ_ONCE(image->lost) || dm_sync_restore_is_from(image->store, image) ||
	    !next_step(image, DM_SYNC_EV_REPLICA_ERROR, &to))
		return;
	spin_lock_irq(&image->pair.lock);
	image->pair.facts.was_synced = true;
	spin_unlock_irq(&image->pair.lock);
	dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_ERROR, 0,
			DM_SYNC_REASON_REPLICA_READ_ERROR);
}

/* It answers: whoever was Broken for that, and for nothing else, is what it was. */
static void tell_back(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	if (READ_ONCE(image->lost) || !next_step(image, DM_SYNC_EV_REPLICA_RETURNED, &to))
		return;
	spin_lock_irq(&image->pair.lock);
	image->pair.facts.was_synced = false;
	spin_unlock_irq(&image->pair.lock);
	dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_RECOVERY, 0,
			DM_SYNC_REASON_REPLICA_RETURNED);
}

/* The record is for whoever comes after a crash; the state itself needs none. */
static void note(struct dm_sync_image *image, const struct dm_sync_step *step)
{
	struct dm_sync_store *s = image->store;

	mutex_lock(&s->commit_lock);
	if (!image->lost && dm_sync_store_write_record(s, image, step))
		DMWARN_LIMIT("%s: the image's record cannot be written", image->pair.name);
	mutex_unlock(&s->commit_lock);
}

static void tell_hold(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	if (!next_step(image, DM_SYNC_EV_STORE_HOLD, &to))
		return;
	spin_lock_irq(&image->pair.lock);
	image->pair.facts.was_synced = true;
	image->by_full = true;
	spin_unlock_irq(&image->pair.lock);
	note(image, &to);
	dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_SPACE, 0,
			DM_SYNC_REASON_STORE_FULL);
}

static void tell_go(struct dm_sync_image *image)
{
	struct dm_sync_step to;

	if (!image->by_full || !next_step(image, DM_SYNC_EV_STORE_SPACE, &to))
		return;
	image->by_full = false;
	note(image, &to);
	dm_sync_publish(&image->pair, &to, DM_SYNC_EVENT_CAUSE_SPACE, 0, DM_SYNC_REASON_NONE);
}

/* No change of state; the reason of one that is not well stays. */
static void tell_mark(struct dm_sync_image *image, bool low)
{
	struct dm_sync_step same = dm_sync_image_step(image);
	u32 reason = image->pair.reason;

	if (low && reason == DM_SYNC_REASON_NONE)
		reason = DM_SYNC_REASON_STORE_LOW;
	else if (!low && reason == DM_SYNC_REASON_STORE_LOW)
		reason = DM_SYNC_REASON_NONE;
	dm_sync_publish(&image->pair, &same, DM_SYNC_EVENT_CAUSE_SPACE, 0, reason);
}

static bool pending(struct dm_sync_image *image, unsigned int event)
{
	return test_and_clear_bit(event, &image->events);
}

static void do_events(struct work_struct *work)
{
	struct dm_sync_image *image = container_of(work, struct dm_sync_image, event_work);
	unsigned int noio;

	/* Suspended: resume looks again.  (live: dm_sync_images_stop() flushes us.) */
	if (!READ_ONCE(image->store->live) || !image->pair.id || image->pair.gone)
		return;
	noio = memalloc_noio_save();
	if (pending(image, EVENT_LOST))
		tell_lost(image);
	if (pending(image, EVENT_WRITTEN))
		tell_written(image);
	if (pending(image, EVENT_RESTORED))
		dm_sync_restore_finish(image);
	if (pending(image, EVENT_GONE))
		tell_gone(image);
	if (pending(image, EVENT_BACK))
		tell_back(image);
	if (pending(image, EVENT_SPACE + DM_SYNC_SPACE_HOLD))
		tell_hold(image);
	if (pending(image, EVENT_SPACE + DM_SYNC_SPACE_GO))
		tell_go(image);
	if (pending(image, EVENT_SPACE + DM_SYNC_SPACE_LOW))
		tell_mark(image, true);
	if (pending(image, EVENT_SPACE + DM_SYNC_SPACE_ENOUGH))
		tell_mark(image, false);
	memalloc_noio_restore(noio);
}

/*----------------------------------------------------------------
 * Holding
 *--------------------------------------------------------------*/

/**
 * dm_sync_images_hold - hold a host write, if that is wanted
 * @s: the store
 * @bio: the write; would have to be saved first
 *
 * Context: any.
 * Return: true when it is held, and not the caller's any more.
 */
bool dm_sync_images_hold(struct dm_sync_store *s, struct bio *bio)
{
	unsigned long flags;
	bool taken;

	spin_lock_irqsave(&s->io_lock, flags);
	taken = s->holding;
	if (taken) {
		bio_list_add(&s->held, bio);
		s->nr_held++;
	}
	spin_unlock_irqrestore(&s->io_lock, flags);
	return taken;
}

/* Hold as the images want it now; let go of what nobody wants to be held. */
static void set_holding(struct dm_sync_store *s)
{
	struct bio_list bios;
	bool holding = false;
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		holding |= s->image[i] && s->image[i]->holds;
	bio_list_init(&bios);
	spin_lock_irq(&s->io_lock);
	WRITE_ONCE(s->holding, holding);
	if (!holding) {
		bio_list_merge(&bios, &s->held);
		bio_list_init(&s->held);
		s->nr_held = 0;
	}
	spin_unlock_irq(&s->io_lock);
	if (!bio_list_empty(&bios))
		dm_sync_cow_restart(s, &bios);
}

/**
 * dm_sync_image_hold_on - writes are held for this image from now on
 * @image: the image, about to be Suspended
 *
 * Context: the conductor.
 */
void dm_sync_image_hold_on(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;

	WRITE_ONCE(image->holds, true);
	set_holding(s);
	mod_delayed_work(s->conductor, &image->hold_work, READ_ONCE(s->hold_max) * HZ);
}

/**
 * dm_sync_image_hold_off - and not any more
 * @image: the image, whether they were or not
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_image_hold_off(struct dm_sync_image *image)
{
	if (!image->holds)
		return;
	WRITE_ONCE(image->holds, false);
	cancel_delayed_work(&image->hold_work);
	set_holding(image->store);
}

/* Held long enough. */
static void do_hold(struct work_struct *work)
{
	struct dm_sync_image *image = container_of(to_delayed_work(work),
						   struct dm_sync_image, hold_work);
	struct dm_sync_step same = dm_sync_image_step(image);
	unsigned int noio;

	if (!image->holds || !READ_ONCE(image->store->live))
		return;
	noio = memalloc_noio_save();
	image->hold_released = true;
	dm_sync_image_hold_off(image);
	note(image, NULL);
	dm_sync_publish(&image->pair, &same, DM_SYNC_EVENT_CAUSE_COMPLETED, 0,
			DM_SYNC_REASON_HOLD_EXPIRED);
	memalloc_noio_restore(noio);
}

/**
 * dm_sync_images_let_go - nothing is held any more, whoever wanted it
 * @s: the store, not live
 *
 * Context: the conductor idle; may sleep.
 */
void dm_sync_images_let_go(struct dm_sync_store *s)
{
	struct dm_sync_image *image;
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		image = s->image[i];
		if (!image || !image->holds)
			continue;
		cancel_delayed_work_sync(&image->hold_work);
		WRITE_ONCE(image->holds, false);
		image->hold_released = true;
	}
	set_holding(s);
}

/**
 * dm_sync_images_hold_max_changed - what is held is held that long from now
 * @s: the store
 *
 * Context: may sleep.
 */
void dm_sync_images_hold_max_changed(struct dm_sync_store *s)
{
	struct dm_sync_image *image;
	struct dm_sync_pair *p;
	u32 id = 0;

	while ((p = dm_sync_pair_next(&id))) {
		image = dm_sync_image_of(p);
		/* A timer that is set with the lock held is cancelled by who ends the image. */
		spin_lock_irq(&p->lock);
		if (image && image->store == s && p->live && !p->gone && READ_ONCE(image->holds))
			mod_delayed_work(s->conductor, &image->hold_work,
					 READ_ONCE(s->hold_max) * HZ);
		spin_unlock_irq(&p->lock);
		dm_sync_pair_put(p);
		id++;
	}
}

/*----------------------------------------------------------------
 * Beginning and end
 *--------------------------------------------------------------*/

/**
 * dm_sync_image_events_init - nothing has happened to a new image
 * @image: the image
 */
void dm_sync_image_events_init(struct dm_sync_image *image)
{
	INIT_WORK(&image->event_work, do_events);
	INIT_DELAYED_WORK(&image->hold_work, do_hold);
}

/**
 * dm_sync_image_events_stop - nothing happens to it any more
 * @image: the image, out of s->image[] or its store idle; the pair is gone
 *
 * Context: the conductor, or it is idle; may sleep.
 */
void dm_sync_image_events_stop(struct dm_sync_image *image)
{
	cancel_work_sync(&image->event_work);
	cancel_delayed_work_sync(&image->hold_work);
}
