// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations do to an image.  All of it on the store's conductor.
 *
 * Each follows the same line: its door is held, its record is written, durably, with
 * the state that the operation ends in; then memory follows, and the state is
 * published. A power cut before the record leaves the image as it was, one after it
 * the image as it was to become; there is no state in between on the disk, so nothing
 * has to be taken up again.
 *
 *	point	Activate, Resync: see dm-sync-image-point.c. Then the old view goes.
 *	drop	Deactivate, Prepare: the record has no generation any more; then the
 *		view goes. Hosts write without saving for it from that moment on.
 *	delete	Return, Dissolve, Detach: the record is erased, or says that it is all
 *		that is left; then the view goes, and the pair.
 *	reset	the record has a new own id; then the own writes go.
 *	suspend	the record; then writes that would have to be saved are held
 *		(dm-sync-image-events.c), while the door is read only.
 *	resume	the record; then they go on.
 *	restore	see dm-sync-restore-life.c: it only begins here, and the state stays what
 *		it is meanwhile. Abort ends it, with a source that is half restored.
 *
 * The door. Its I/O is counted before it looks at door_hold. So once that is set and
 * the count has been 0, no I/O of the door looks at the view, or is on its way to a
 * slot of it, and the slots may be freed. That wait has a deadline (rule Q); then the
 * operation is refused. Only deleting may be forced: the image is declared lost, so
 * that a read that ends later fails, and is not told what has been put into its slot
 * meanwhile; writes on their way to own slots are waited for in any case, as they
 * could write into what belongs to another image by then.
 *
 * While the door is held its I/O waits and does not fail: what comes after a Resync
 * finds the new image.
 *
 * A view is deleted in steps, with commit_lock held for a few leaves at a time, so that
 * host writes are saved in between. Whoever needs the space at once may end the
 * deletion (dm_sync_images_reclaim()); the memory is always freed by who began it, a
 * grace period later.
 *
 * The committer may give the image up at any time in which commit_lock is free. So
 * what needs the image to be there asks under the lock (keep_image()); all others make
 * it good, or end it, whether it was lost or not. The news of the loss comes
 * afterwards, looks again, and finds nothing to tell if it was made good.
 */
#include <linux/sched.h>

#include "dm-sync-image.h"

#define DM_MSG_PREFIX "sync"

#define STEP_LEAVES	16u

/*----------------------------------------------------------------
 * The door, the view
 *--------------------------------------------------------------*/

/* Hold the I/O of its doors, and wait for what is under way. */
static int door_close(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	WRITE_ONCE(image->door_hold, true);
	smp_mb();	/* pairs with the count of a door's I/O: one sees the other */
	if (wait_event_timeout(image->door_idle, !atomic_read(&image->door_users) &&
			       !atomic_read(&image->own_writes), DM_SYNC_IMAGE_DRAIN))
		return 0;
	c->why = "I/O of the image's doors did not end in time";
	return -ETIMEDOUT;
}

/* It goes on, with what the state admits now. */
static void door_open(struct dm_sync_image *image)
{
	smp_store_release(&image->door_hold, false);
	dm_sync_image_door_kick(image);
}

/**
 * dm_sync_image_end_view - an image's view is one no more
 * @s: the store
 * @view: in its list, of an image whose record does not know it any more; or NULL
 *
 * To be done before commit_lock is dropped under which the record was written: there is
 * no live view without an image that could be given up for it.
 *
 * Context: the conductor; commit_lock held. dm_sync_image_forget_view() is due then.
 */
void dm_sync_image_end_view(struct dm_sync_store *s, struct dm_sync_view_image *view)
{
	/* Nobody else begins a deletion and leaves it, so none is under way. */
	if (view)
		WARN_ON_ONCE(dm_sync_view_delete_begin(&s->view, view));
}

/* From now on nobody finds the view through the image; commit_lock held. */
static struct dm_sync_view_image *take_view(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_view_image *view =
		rcu_dereference_protected(image->view, lockdep_is_held(&s->commit_lock));

	RCU_INIT_POINTER(image->view, NULL);
	dm_sync_image_end_view(s, view);
	return view;
}

/**
 * dm_sync_image_forget_view - delete a view
 * @s: the store
 * @view: what dm_sync_image_end_view() was called for; or NULL
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_image_forget_view(struct dm_sync_store *s, struct dm_sync_view_image *view)
{
	if (!view)
		return;
	mutex_lock(&s->commit_lock);
	while (s->view.dying == view &&
	       !dm_sync_view_delete_step(&s->view, STEP_LEAVES, dm_sync_store_free_slot, s)) {
		mutex_unlock(&s->commit_lock);
		cond_resched();
		mutex_lock(&s->commit_lock);
	}
	mutex_unlock(&s->commit_lock);
	dm_sync_store_kick(s);
	synchronize_rcu();
	dm_sync_view_free(view);
}

static void completed(struct dm_sync_image *image, const struct dm_sync_image_change *c)
{
	if (memcmp(&c->during, &c->after, sizeof(c->after)))
		dm_sync_publish(&image->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED,
				c->operation, DM_SYNC_REASON_NONE);
}

/* Is the image still there?  commit_lock held. */
static int keep_image(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	if (!image->lost)
		return 0;
	c->why = "the image was lost meanwhile";
	return -EIO;
}

static int write_record(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r = dm_sync_store_write_record(image->store, image, &c->after);

	if (r)
		c->why = "the store could not be written";
	return r;
}

/*----------------------------------------------------------------
 * Operations.  An error: nothing has changed, but that the door is held.
 *--------------------------------------------------------------*/

static int op_point(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_view_image *old;
	int r = dm_sync_image_take_point(image, &c->after, c->force, &old, &c->why);

	if (r)
		return r;
	completed(image, c);
	door_open(image);
	dm_sync_image_forget_view(image->store, old);
	return 0;
}

/* Write a record without a point in time; commit_lock held. */
static int drop_point(struct dm_sync_image *image, struct dm_sync_image_change *c,
		      struct dm_sync_view_image **view)
{
	int r = dm_sync_image_record_point(image, 0, 0, &c->after);

	if (r) {
		c->why = "the store could not be written";
		return r;
	}
	*view = take_view(image);
	dm_sync_image_set_lost(image, false);	/* it has nothing to lose any more */
	return 0;
}

static int op_drop(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_view_image *view;
	int r;

	mutex_lock(&s->commit_lock);
	r = drop_point(image, c, &view);
	mutex_unlock(&s->commit_lock);
	if (r)
		return r;
	dm_sync_image_hold_off(image);
	completed(image, c);
	door_open(image);
	dm_sync_image_forget_view(s, view);
	return 0;
}

/* The record is erased, or says that nothing else is left.  commit_lock held. */
static int end_record(struct dm_sync_image *image, struct dm_sync_image_change *c,
		      struct dm_sync_view_image **view)
{
	int r;

	if (c->operation == DM_SYNC_OPERATION_DISSOLVE) {
		image->dissolved = true;
		r = drop_point(image, c, view);
		image->dissolved = !r;
		return r;
	}
	r = dm_sync_store_erase_record(image->store, image);
	if (r)
		c->why = "the store could not be written";
	else
		*view = take_view(image);
	return r;
}

/*
 * The door has not come to rest: I/O that ends late must not be believed, and none
 * begins any more. Whoever found an own slot before has counted himself when the grace
 * period ends.
 */
static void lose_door(struct dm_sync_image *image)
{
	mutex_lock(&image->store->commit_lock);
	WRITE_ONCE(image->lost, true);
	mutex_unlock(&image->store->commit_lock);
	synchronize_rcu();
	wait_event(image->door_idle, !atomic_read(&image->own_writes));
}

static int op_delete(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_view_image *view = NULL;
	int r;

	if (c->busy)
		lose_door(image);
	mutex_lock(&s->commit_lock);
	r = end_record(image, c, &view);
	if (c->busy)	/* refused now, it is there again, unless it was really lost */
		dm_sync_image_set_lost(image, !r || !rcu_access_pointer(image->view));
	if (!r) {
		s->image[image->nr] = NULL;
		s->nr_images--;
	}
	mutex_unlock(&s->commit_lock);
	if (r)
		return r;
	dm_sync_image_hold_off(image);
	dm_sync_publish(&image->pair, &c->after, DM_SYNC_EVENT_CAUSE_DELETED, c->operation,
			DM_SYNC_REASON_OPERATOR);
	dm_sync_pair_unregister(&image->pair);
	dm_sync_image_events_stop(image);
	door_open(image);		/* what waited there finds that the pair is gone */
	dm_sync_image_forget_view(s, view);
	dm_sync_pair_put(&image->pair);	/* s->image[]'s */
	return 0;
}

/* A new own id; commit_lock held. */
static int drop_own_writes(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_view_image *view;
	u32 own_id = image->own_id;
	int r = keep_image(image, c) ?: dm_sync_store_prepare_ids(s);

	if (r)
		return r;
	image->own_id = dm_sync_store_take_own(s);
	image->written = false;
	r = write_record(image, c);
	if (r) {
		image->own_id = own_id;
		image->written = true;
		return r;
	}
	view = rcu_dereference_protected(image->view, lockdep_is_held(&s->commit_lock));
	dm_sync_view_reset(view, image->own_id, dm_sync_store_free_slot, s);
	return 0;
}

static int op_reset(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = image->store;
	int r;

	mutex_lock(&s->commit_lock);
	r = drop_own_writes(image, c);
	mutex_unlock(&s->commit_lock);
	if (r)
		return r;
	dm_sync_store_kick(s);
	completed(image, c);
	door_open(image);
	return 0;
}

static void set_suspended(struct dm_sync_image *image, bool by_full, bool released, bool was)
{
	spin_lock_irq(&image->pair.lock);
	image->by_full = by_full;
	image->hold_released = released;
	image->pair.facts.was_synced = was;
	spin_unlock_irq(&image->pair.lock);
}

/* Write the record of a state in which the image is kept. */
static int change_record(struct dm_sync_image *image, struct dm_sync_image_change *c,
			 bool was_synced)
{
	bool by_full = image->by_full, released = image->hold_released;
	bool was = image->pair.facts.was_synced;
	int r;

	mutex_lock(&image->store->commit_lock);
	set_suspended(image, false, false, was_synced);
	r = keep_image(image, c) ?: write_record(image, c);
	if (r)
		set_suspended(image, by_full, released, was);
	mutex_unlock(&image->store->commit_lock);
	return r;
}

static int op_suspend(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r = change_record(image, c, true);

	if (r)
		return r;
	dm_sync_image_hold_on(image);
	completed(image, c);
	door_open(image);
	return 0;
}

static int op_resume(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r = change_record(image, c, false);

	if (r)
		return r;
	dm_sync_image_hold_off(image);
	completed(image, c);
	return 0;
}

static int op_restore(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r = dm_sync_restore_begin(image, c);

	if (!r)
		door_open(image);
	return r;
}

static int op_abort(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r = dm_sync_restore_abort(image, &c->after);

	if (r)
		c->why = "the store could not be written";
	else
		dm_sync_publish(&image->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED,
				c->operation, DM_SYNC_REASON_RESTORE_INCOMPLETE);
	return r;
}

/*----------------------------------------------------------------
 * Which there are, and doing one
 *--------------------------------------------------------------*/

static int (*const handlers[])(struct dm_sync_image *image, struct dm_sync_image_change *c) = {
	[DM_SYNC_OPERATION_ABORT] = op_abort,
	[DM_SYNC_OPERATION_ACTIVATE] = op_point,
	[DM_SYNC_OPERATION_DEACTIVATE] = op_drop,
	[DM_SYNC_OPERATION_DETACH] = op_delete,
	[DM_SYNC_OPERATION_DISSOLVE] = op_delete,
	[DM_SYNC_OPERATION_RESYNC] = op_point,
	[DM_SYNC_OPERATION_RESTORE] = op_restore,
	[DM_SYNC_OPERATION_RESUME] = op_resume,
	[DM_SYNC_OPERATION_RETURN_TO_RESOURCE_POOL] = op_delete,
	[DM_SYNC_OPERATION_SUSPEND] = op_suspend,
	[DM_SYNC_OPERATION_UNPREPARE] = op_drop,
	[DM_SYNC_OPERATION_PREPARE] = op_drop,
	[DM_SYNC_OPERATION_RESET_REPLICA] = op_reset,
};

/**
 * dm_sync_image_operations - which operations there are
 *
 * Return: bitmap of enum dm_sync_operation.
 */
u32 dm_sync_image_operations(void)
{
	unsigned int op;
	u32 set = 0;

	for (op = 0; op < ARRAY_SIZE(handlers); op++)
		set |= handlers[op] ? BIT(op) : 0;
	return set;
}

/*
 * No other point in time and no second restore: what the source is to be has to stay one
 * image. The state of that image itself forbids more. Older ones stay with it.
 */
static bool restore_forbids(struct dm_sync_image *image, u32 operation)
{
	const struct dm_sync_view_image *view;
	struct dm_sync_restore *r;
	bool older = false;

	if (!dm_sync_restore_is_from(image->store, NULL))
		return false;
	if (handlers[operation] == op_point || handlers[operation] == op_restore)
		return true;
	if (handlers[operation] != op_delete && handlers[operation] != op_drop)
		return false;
	rcu_read_lock();
	r = rcu_dereference(image->store->restore);
	view = r ? rcu_dereference(r->image->view) : NULL;
	older = view && READ_ONCE(image->generation) &&
		READ_ONCE(image->generation) <= view->generation;
	rcu_read_unlock();
	return older;
}

/**
 * dm_sync_image_may - is there a reason against it that the state does not know?
 * @image: the image
 * @operation: enum dm_sync_operation, admitted by the state
 * @force: the caller insists
 * @why: out: a constant sentence when there is
 *
 * Context: the conductor; may sleep.
 * Return: 0; -EOPNOTSUPP, -EBUSY, -ENOSPC.
 */
int dm_sync_image_may(struct dm_sync_image *image, u32 operation, bool force,
		      const char **why)
{
	if (!(dm_sync_image_operations() & BIT(operation))) {
		*why = "an image has no such operation";
		return -EOPNOTSUPP;
	}
	if (restore_forbids(image, operation)) {
		*why = "the source is being restored";
		return -EBUSY;
	}
	if (handlers[operation] == op_delete && !force && dm_sync_image_is_open(image)) {
		*why = "a replica door of the image is in use";
		return -EBUSY;
	}
	/* Writes in the gate wait for space; the gate would wait for them in vain. */
	if ((handlers[operation] == op_point || handlers[operation] == op_restore) &&
	    READ_ONCE(image->store->full)) {
		*why = "the store is full, and writes to the source wait for space";
		return -EBUSY;
	}
	if (handlers[operation] == op_restore && !force)
		return dm_sync_restore_may(image, why);
	return 0;
}

/* It could not be done: all is as it was. */
static void take_back(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	dm_sync_publish(&image->pair, &c->from, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
			c->reason);
	if (image->door_hold)
		door_open(image);
}

/**
 * dm_sync_image_run - carry an operation out
 * @image: the image
 * @c: the operation, admitted; @c->from, @c->during and @c->after
 *
 * The door rests before it is known that something goes on: the state that says so
 * may admit no I/O, which is to wait and not to fail.
 *
 * Context: the conductor; may sleep. The caller has a reference of his own.
 * Return: 0; or a negative errno, with a sentence in @c: the image is what it was, and
 * that is published again.
 */
int dm_sync_image_run(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	int r;

	if (handlers[c->operation] != op_resume && handlers[c->operation] != op_abort) {
		c->busy = door_close(image, c);
		if (c->busy && !(c->force && handlers[c->operation] == op_delete)) {
			door_open(image);
			return c->busy;
		}
	}
	c->reason = image->pair.reason;
	dm_sync_publish(&image->pair, &c->during, DM_SYNC_EVENT_CAUSE_OPERATION, c->operation,
			DM_SYNC_REASON_NONE);
	r = handlers[c->operation](image, c);
	if (r)
		take_back(image, c);
	return r;
}
