// SPDX-License-Identifier: GPL-2.0-only
/*
 * The point in time: what the source holds at one instant becomes an image.
 *
 * The image is what is on the source when no host write is half way. Nothing is
 * copied: from then on the content of each chunk is saved before it is changed
 * (rule S), which begins when the view has the image. In this order, with what a
 * power cut leaves if it comes after the line and before the next:
 *
 *	answer		the store is asked, by a read: one that does not answer is not
 *			to be found out about when the gate is closed
 *	numbers		a generation and an own id that no image had, from those that
 *			the superblock has been ahead of for long. They are wasted.
 *	memory		the image's index; nothing later may fail for want of it
 *	flush		the source, while hosts go on: so that little is left for the
 *			flush that they wait for
 *	freeze		the file system on the door, if there is one (dm-sync-freeze.c).
 *			It has written all it had, and writes no more
 *	close		the gate: new writes wait, those in flight end; what waits to be
 *			saved for them is saved. The source stands still
 *	flush		what hosts wrote and were told of is on the source, not in its
 *			cache. Without that a power cut later on would take from the
 *			image what was in it
 *	record		durable: the image exists. A power cut before leaves it as it
 *			was; one after, an image with no chunk saved. That is the source
 *			as it is, and it has not changed since the last line
 *	view		the image is live, under the same hold of commit_lock; from here
 *			on no chunk is changed that was not saved, as writes look at the
 *			view after they have entered the gate
 *	open		the gate; held writes go on. Between "close" and this hosts have
 *			waited, which is measured (pause_ns)
 *	thaw		the file system goes on
 *
 * The new point replaces an old one in the same record, by the same write: there is
 * one or the other, and never none. The old view is deleted afterwards; by the law of
 * generations its entries were free the moment the record was durable.
 *
 * All of this begins when the worker of a restore that has broken off rests. It saves what
 * the source has without being in the gate; and its range keeps hosts from a chunk only
 * until that is protected, which happens without it when newer images are deleted. So
 * what it read might be older than the point, and its save come after it.
 *
 * Waits, and what ends them (rule Q): the freeze and the gate have deadlines, after
 * which all is undone and the operation refused. Writes that are held for an image
 * that is Suspended are out of the gate; but a freeze would wait for them, so it is
 * not tried then. Flush and record end when the devices say so, as any I/O does.
 * commit_lock is taken with the gate closed, but for a batch, a record or a few
 * leaves of a deletion it is free: no holder of it waits for a host write.
 *
 * A suspend of the source door waits in its presuspend until the conductor, which
 * runs this, is idle; device-mapper blocks I/O only after that, so the freeze never
 * waits for a device that waits for it. A reload is a suspend; the end of the module
 * comes after the last device.
 */
#include <linux/blkdev.h>

#include "dm-sync-freeze.h"
#include "dm-sync-image.h"

/* What a record says of a point in time; to be put back when it could not be written. */
struct point {
	u32 generation, own_id;
	bool written, by_full, hold_released;
	struct dm_sync_facts facts;
};

static struct point point_of(const struct dm_sync_image *image)
{
	return (struct point) {
		image->generation, image->own_id, image->written,
		image->by_full, image->hold_released, image->pair.facts,
	};
}

static void set_point(struct dm_sync_image *image, const struct point *p)
{
	spin_lock_irq(&image->pair.lock);
	image->generation = p->generation;
	image->own_id = p->own_id;
	image->written = p->written;
	image->by_full = p->by_full;
	image->hold_released = p->hold_released;
	image->pair.facts = p->facts;
	spin_unlock_irq(&image->pair.lock);
}

/**
 * dm_sync_image_set_lost - an image is lost, or is not
 * @image: the image
 * @lost: as far as the caller knows
 *
 * A store that does not answer loses all images that have a view, and commit_lock does not keep
 * it from that; nor can it have met a view that is new.
 *
 * Context: commit_lock held, interrupts on.
 */
void dm_sync_image_set_lost(struct dm_sync_image *image, bool lost)
{
	struct dm_sync_store *s = image->store;

	spin_lock_irq(&s->save_lock);
	if (!lost && s->hung && rcu_access_pointer(image->view)) {
		image->lost_reason = DM_SYNC_REASON_STORE_FAILED;
		lost = true;
	}
	WRITE_ONCE(image->lost, lost);
	spin_unlock_irq(&s->save_lock);
}

/**
 * dm_sync_image_record_point - make a new point in time durable, or that there is none
 * @image: the image
 * @generation: of the point, or 0
 * @own_id: likewise
 * @step: the state to come
 *
 * What was true of the old point, or of its loss, is forgotten with it. While the record is
 * written all images may be lost, by a store that does not answer (dm-sync-patience.c). That is
 * not taken back when the write fails: the source goes on unsaved since.
 *
 * Context: the conductor; commit_lock held; waits for I/O.
 * Return: 0, and dm_sync_image_set_lost() is due when the view is what the record says; or a
 * negative errno: the image is what it was.
 */
int dm_sync_image_record_point(struct dm_sync_image *image, u32 generation, u32 own_id,
			       const struct dm_sync_step *step)
{
	bool lost = READ_ONCE(image->lost);
	struct point old = point_of(image), new = {
		.generation = generation, .own_id = own_id, .facts = image->pair.facts,
	};
	int r;

	new.facts.was_synced = new.facts.restore_incomplete = false;
	new.facts.writes_merged = false;
	new.facts.ever_synced |= generation != 0;
	set_point(image, &new);
	WRITE_ONCE(image->lost, false);
	image->point = generation ? dm_sync_now() : 0;
	r = dm_sync_store_write_record(image->store, image, step);
	if (r) {
		set_point(image, &old);
		dm_sync_image_set_lost(image, lost);
	} else {
		spin_lock_irq(&image->pair.lock);
		image->pair.sync_time = image->point;
		spin_unlock_irq(&image->pair.lock);
	}
	image->point = 0;
	return r;
}

/*
 * Record and view.  commit_lock held, the gate closed, the source flushed.  Leaves the
 * old view, which has ended, in @view; the image may have lost it a moment ago.
 */
static int establish(struct dm_sync_image *image, struct dm_sync_view_image **view,
		     const struct dm_sync_step *step)
{
	struct dm_sync_view_image *new = *view;
	struct dm_sync_store *s = image->store;
	int r;

	/* Writes go unsaved since it did not answer, until the committer has come by. */
	if (READ_ONCE(s->hung))
		return -EIO;
	r = dm_sync_image_record_point(image, new->generation, new->own_id, step);
	if (r)
		return r;
	WARN_ON_ONCE(dm_sync_view_add(&s->view, new));
	*view = rcu_dereference_protected(image->view, lockdep_is_held(&s->commit_lock));
	rcu_assign_pointer(image->view, new);
	dm_sync_image_end_view(s, *view);
	if (!s->image[image->nr]) {
		s->image[image->nr] = image;
		s->nr_images++;
	}
	dm_sync_image_set_lost(image, false);
	return 0;
}

/* The part that hosts wait for. */
static int stand_still(struct dm_sync_image *image, struct dm_sync_view_image **view,
		       const struct dm_sync_step *step, const char **why)
{
	struct dm_sync_store *s = image->store;
	struct bio_list parked;
	int r = dm_sync_gate_close(&s->gate, DM_SYNC_IMAGE_DRAIN);

	if (r) {
		*why = "writes to the source did not end in time";
		goto out;
	}
	r = blkdev_issue_flush(s->source);
	if (r) {
		*why = "the source could not be flushed";
		goto out;
	}
	mutex_lock(&s->commit_lock);
	r = establish(image, view, step);
	mutex_unlock(&s->commit_lock);
	if (r)
		*why = "the store could not be written";
out:
	if (!r)
		WRITE_ONCE(image->pause_ns, ktime_get_ns() - s->gate.closed_at);
	dm_sync_gate_open(&s->gate, &parked);
	dm_sync_cow_restart(s, &parked);
	return r;
}

/**
 * dm_sync_image_freeze - have the file system on the source door stand still
 * @s: the store
 * @force: go on when it cannot be
 * @why: out: a constant sentence when it could not
 *
 * Without a file system what is dirty in the door's page cache is written.
 *
 * Context: the conductor; the gate open; may sleep.
 * Return: for dm_sync_thaw(); NULL when nothing was frozen, and that is all right; an error.
 */
struct dm_sync_freeze *dm_sync_image_freeze(struct dm_sync_store *s, bool force,
					    const char **why)
{
	struct dm_sync_freeze *f = ERR_PTR(-EBUSY);

	*why = "writes are held for a suspended image: a file system cannot be frozen";
	if (!READ_ONCE(s->holding)) {
		f = dm_sync_freeze(s->md, DM_SYNC_IMAGE_DRAIN);
		*why = "the file system could not be frozen in 30 seconds (force goes on without)";
	}
	return IS_ERR(f) && force ? NULL : f;
}

static struct dm_sync_view_image *new_view(struct dm_sync_store *s)
{
	u32 generation = 0, own = 0;
	struct dm_sync_view_image *view;
	int r;

	mutex_lock(&s->commit_lock);
	r = dm_sync_store_check(s) ?: dm_sync_store_prepare_ids(s);
	if (!r) {
		generation = dm_sync_store_take_generation(s);
		own = dm_sync_store_take_own(s);
	}
	mutex_unlock(&s->commit_lock);
	if (r)
		return ERR_PTR(r);
	view = dm_sync_view_alloc(&s->view, generation, own);
	return view ?: ERR_PTR(-ENOMEM);
}

/**
 * dm_sync_image_take_point - the source as it is now becomes the image
 * @image: the image, its door held or not there; may have a point in time already
 * @step: the state that its record is to say; the caller publishes it
 * @force: also when the file system on the door cannot be frozen
 * @old: out: the view it had, ended, or NULL; the caller's to delete
 *	(dm_sync_image_forget_view())
 * @why: out: a constant sentence when it failed
 *
 * Context: the conductor; may sleep.
 * Return: 0, or a negative errno: all is as it was.
 */
int dm_sync_image_take_point(struct dm_sync_image *image, const struct dm_sync_step *step,
			     bool force, struct dm_sync_view_image **old, const char **why)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_view_image *view;
	struct dm_sync_freeze *f;
	int r = dm_sync_restore_rest(s, why);

	if (r)
		return r;
	view = new_view(s);
	if (IS_ERR(view)) {
		*why = PTR_ERR(view) == -ENOMEM ? "not enough memory" :
						  "the store could not be written";
		return PTR_ERR(view);
	}
	blkdev_issue_flush(s->source);		/* if it fails, the next one tells */
	f = dm_sync_image_freeze(s, force, why);
	if (IS_ERR(f)) {
		dm_sync_view_free(view);
		return PTR_ERR(f);
	}
	*why = NULL;
	r = stand_still(image, &view, step, why);
	if (f)
		dm_sync_thaw(f);
	if (r)
		dm_sync_view_free(view);
	else
		*old = view;
	return r;
}
