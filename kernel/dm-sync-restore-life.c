// SPDX-License-Identifier: GPL-2.0-only
/*
 * A restore's beginning, its end, and taking it up again.
 *
 * On the disk a restore is three things: the map; the record of the image, whose
 * ProgressStatus is Restoring; and the superblock, which names the image. It goes on as
 * long as record and superblock both say so:
 *
 *	begin	map, then record, then superblock: with the last it has begun. A power cut
 *		before leaves a record that the superblock does not confirm: nothing was
 *		restored yet, and the image is what it was.
 *	end	record, then superblock: with the first it has ended, however it did. What
 *		the superblock says of it is not believed without the record.
 *
 * The map is formatted anew, both homes of each block, before the record is written; at
 * that time no restore goes on, so nobody believes what is there. An old map is never
 * taken for a new one's.
 *
 * The beginning. Which chunks differ is found out while hosts go on: it is asked of the
 * view chunk by chunk, and what is saved meanwhile is marked by the committer
 * (dm_sync_restore_saved()). Then the gate is closed, when no host write is half way; what
 * was marked last becomes durable; record and superblock are written under the same
 * commit_lock under which hosts are redirected; and the gate opens. Hosts wait for three
 * small writes. Reads that are on their way to the source end as reads from before.
 *
 * From that hold of commit_lock on nothing is marked any more. What is saved later is saved
 * for a host write that needs no restoring and goes to the source, and a mark would have
 * the image put over it. Nothing is missed: who saves is in the gate, and nobody is.
 *
 * The end. Complete, when the map is empty and that is durable: the image is Synchronized,
 * as the source was it at the beginning. Its own writes, if it had any, are part of what
 * the source has now; they stay where they are, and are not counted as changes any more, but
 * as part of the point in time, which is that of the restore (writes_merged). So what is written
 * later cannot be told from them by its slot, and Reset, which frees all own slots, would lead to
 * neither point in time: it is refused until the image is taken anew.
 * Or broken off, by Abort or because chunks could not be restored or the image was lost:
 * then the source holds the image's content in part and what it had before in the rest,
 * and hosts meet it so from that moment on. The image is Broken, "restore incomplete", and
 * is kept: nothing was taken from it, so it may be restored from again. What hosts write
 * after that is lost by a repetition where the chunks differ, as by any restore.
 *
 * What the host may find strange. Two things are refused without force. A door that somebody has
 * for himself, a file system or another device, has memory of the source that nobody can take
 * back. And, with on_full:drop, when the store has less room than what the source loses by the
 * restore would take, images are going to be given up for it, as for any other write; which is
 * foreseen here, and logged if it is wanted all the same. Whoever reads the door through the page
 * cache otherwise is served: what was dirty is written first, by what freezes file systems, unless
 * writes are held for an image that is Suspended; and what was read is dropped as soon as hosts
 * meet something else, at the beginning and when it breaks off. A page that is mapped, or is
 * being read at that moment, may stay what it was.
 *
 * A map that is damaged, or cannot be read, cannot say which chunks hosts have written
 * since; to take all of them for marked would undo acknowledged writes. It breaks off, by the
 * record; a superblock that says "clean" says less before that, for a record that is cut is
 * no damage then (break_off()).
 *
 * Locks: s->restore is set and cleared with commit_lock held, cleared with r->apply as
 * well, and read under RCU. The structure outlives the restore, as the worker may be
 * waiting for the committer, who is ending it, and he uses it last of all; it is freed before
 * the next one begins, when both have let go of it (dm_sync_restore_rest()), or with the store.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "dm-sync-freeze.h"
#include "dm-sync-image.h"

#define DM_MSG_PREFIX "sync"

#define LOOK_CHUNKS	1024u	/* at a time, without giving way */
#define LOOK_MS		20u
#define LOOKS		250u

/* Of the restore that goes on; commit_lock held. */
static struct dm_sync_restore *current_restore(struct dm_sync_store *s)
{
	return rcu_dereference_protected(s->restore, lockdep_is_held(&s->commit_lock));
}

/*----------------------------------------------------------------
 * Memory
 *--------------------------------------------------------------*/

static void free_restore(struct dm_sync_restore *r)
{
	unsigned int i;

	dm_sync_map_destroy(r->map);
	for (i = 0; i < DM_SYNC_RESTORE_PAGES; i++)
		if (r->page[i])
			__free_page(r->page[i]);
	kfree(r);
}

/**
 * dm_sync_restore_free - free the store's last restore, if there was one
 * @s: the store; no restore goes on, or nobody uses the store any more
 *
 * Context: may sleep; not the worker.
 */
void dm_sync_restore_free(struct dm_sync_store *s)
{
	struct dm_sync_restore *r = s->restore_memory;

	if (!r)
		return;
	RCU_INIT_POINTER(s->restore, NULL);
	s->restore_memory = NULL;
	cancel_delayed_work_sync(&r->work);
	synchronize_rcu();
	free_restore(r);
}

static struct dm_sync_restore *alloc_restore(struct dm_sync_image *image)
{
	struct dm_sync_restore *r = kzalloc(sizeof(*r), GFP_NOIO);
	struct dm_sync_store *s = image->store;
	unsigned int i;

	if (!r)
		return NULL;
	dm_sync_restore_work_init(r);
	r->store = s;
	r->image = image;
	r->map = dm_sync_map_create(&s->meta, DM_SYNC_BLOCK_RESTORE_MAP, DM_SYNC_RESTORE_BLOCK,
				    s->super.epoch, s->layout.nr_chunks);
	for (i = 0; r->map && i < DM_SYNC_RESTORE_PAGES; i++) {
		r->page[i] = alloc_page(GFP_NOIO);
		if (!r->page[i])
			break;
	}
	if (r->map && i == DM_SYNC_RESTORE_PAGES)
		return r;
	free_restore(r);
	return NULL;
}

/*----------------------------------------------------------------
 * Beginning
 *--------------------------------------------------------------*/

/**
 * dm_sync_restore_saved - a chunk was saved
 * @s: the store
 * @chunk: it differs from the source soon
 *
 * Context: commit_lock held.
 */
void dm_sync_restore_saved(struct dm_sync_store *s, u64 chunk)
{
	if (unlikely(s->restore_marks))
		dm_sync_map_set(s->restore_marks, chunk);
}

/* It begins, or goes on, with what the map says now; hosts do not meet it yet. */
static void set_total(struct dm_sync_restore *r)
{
	r->total = dm_sync_map_count(r->map);
	r->started = dm_sync_now();
}

static void set_marks(struct dm_sync_store *s, struct dm_sync_map *map)
{
	mutex_lock(&s->commit_lock);
	s->restore_marks = map;
	mutex_unlock(&s->commit_lock);
}

/* What the image does not find in the source.  Returns false when it has no view. */
static bool mark(struct dm_sync_restore *r, u64 chunk, u64 end)
{
	const struct dm_sync_view_image *view;
	u32 slot;

	rcu_read_lock();
	view = rcu_dereference(r->image->view);
	for (; view && chunk < end; chunk++)
		if (dm_sync_view_find(view, chunk, &slot) != DM_SYNC_FOUND_SOURCE)
			dm_sync_map_set(r->map, chunk);
	rcu_read_unlock();
	return view;
}

/* Hosts go on. */
static int prepare(struct dm_sync_restore *r, const char **why)
{
	u64 chunk, nr = r->store->layout.nr_chunks;
	int error;

	*why = "the store could not be written";
	error = dm_sync_map_format(r->map, false);
	if (error)
		return error;
	set_marks(r->store, r->map);
	for (chunk = 0; chunk < nr; chunk += LOOK_CHUNKS) {
		if (!READ_ONCE(r->store->live)) {	/* a suspend waits for us */
			*why = "the device is suspended";
			return -EBUSY;
		}
		if (!mark(r, chunk, min(chunk + LOOK_CHUNKS, nr))) {
			*why = "the image was lost meanwhile";
			return -EIO;
		}
		cond_resched();
	}
	return dm_sync_map_commit(r->map, false, NULL, NULL);
}

/*
 * It cannot be told whether the superblock says so now. It is written again, and so is the
 * record, with the state that it had: what is published says Restoring by now. One of the two
 * is enough. If neither can be written both are owed, and a crash before that may take
 * up what had not begun.
 */
static void take_back(struct dm_sync_store *s, struct dm_sync_image *image,
		      const struct dm_sync_step *from)
{
	int error, super;

	s->super.restoring = 0;
	error = dm_sync_store_write_record(s, image, from);
	super = dm_sync_store_write_super(s);
	if (super)
		dm_sync_store_failed(s, super);
	if (super && error)
		DMERR("%s: that a restore has not begun cannot be written: %d. The store must not be used if the machine stops before it is",
		      s->name, super);
}

/* The gate is closed, commit_lock held. */
static int establish(struct dm_sync_restore *r, struct dm_sync_image_change *c)
{
	struct dm_sync_image *image = r->image;
	struct dm_sync_store *s = r->store;
	int error;

	c->why = "the image was lost meanwhile";
	if (image->lost)
		return -EIO;
	c->why = "the store could not be written";
	error = dm_sync_map_commit(r->map, false, NULL, NULL);
	if (!error)
		error = dm_sync_store_write_record(s, image, &c->during);
	if (error)
		return error;
	s->super.restoring = image->nr + 1;
	error = dm_sync_store_write_super(s);
	if (error) {
		take_back(s, image, &c->from);
		return error;
	}
	set_total(r);
	r->on = true;
	s->restore_memory = r;
	rcu_assign_pointer(s->restore, r);
	s->restore_marks = NULL;
	return 0;
}

static int stand_still(struct dm_sync_restore *r, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = r->store;
	struct bio_list parked;
	int error = dm_sync_gate_close(&s->gate, DM_SYNC_IMAGE_DRAIN);

	if (error) {
		c->why = "writes to the source did not end in time";
	} else {
		mutex_lock(&s->commit_lock);
		error = establish(r, c);
		mutex_unlock(&s->commit_lock);
	}
	dm_sync_gate_open(&s->gate, &parked);
	dm_sync_cow_restart(s, &parked);
	return error;
}

static struct block_device *door_of(struct dm_sync_store *s)
{
	return dm_disk(s->md)->part0;
}

/* What is dirty in the door's cache belongs to what was before. */
static int redirect(struct dm_sync_restore *r, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = r->store;
	struct dm_sync_freeze *f = NULL;
	int error;

	if (!READ_ONCE(s->holding))
		f = dm_sync_image_freeze(s, c->force, &c->why);
	if (IS_ERR(f))
		return PTR_ERR(f);
	error = stand_still(r, c);
	if (!error)
		invalidate_bdev(door_of(s));
	if (f)
		dm_sync_thaw(f);
	return error;
}

/* How many of these chunks differ, and have to be saved before the source is changed. */
static u64 unsaved(struct dm_sync_image *image, u64 chunk, u64 end)
{
	const struct dm_sync_view_image *view;
	u64 nr = 0;
	u32 slot;

	rcu_read_lock();
	view = rcu_dereference(image->view);
	for (; view && chunk < end; chunk++)
		nr += !dm_sync_view_protected(&image->store->view, chunk) &&
		      dm_sync_view_find(view, chunk, &slot) != DM_SYNC_FOUND_SOURCE;
	rcu_read_unlock();
	return nr;
}

/* Is there less room than it needs?  As things are; hosts write meanwhile. */
static bool is_tight(struct dm_sync_image *image, bool warn)
{
	struct dm_sync_store *s = image->store;
	u64 chunk, nr = s->layout.nr_chunks, needed = 0, room;

	for (chunk = 0; chunk < nr && READ_ONCE(s->live); chunk += LOOK_CHUNKS) {
		needed += unsaved(image, chunk, min(chunk + LOOK_CHUNKS, nr));
		cond_resched();
	}
	room = READ_ONCE(s->layout.nr_slots) - READ_ONCE(s->slots.used);
	if (needed <= room)
		return false;
	if (warn)
		DMWARN("%s: to restore from %s the store needs room for %llu chunks, and has %llu",
		       s->name, image->name, needed, room);
	return true;
}

/**
 * dm_sync_restore_may - is there a reason not to restore that force overrides?
 * @image: from which
 * @why: out: a constant sentence when there is
 *
 * Context: the conductor; may sleep.
 * Return: 0; -EBUSY when somebody has the source door for himself; -ENOSPC when images are going
 * to be given up for the restore.
 */
int dm_sync_restore_may(struct dm_sync_image *image, const char **why)
{
	if (READ_ONCE(door_of(image->store)->bd_holder)) {
		*why = "the source door is mounted, or another device is on it: unmount it, or use force";
		return -EBUSY;
	}
	/* With on_full:hold writes wait first, and that is told. */
	if (READ_ONCE(image->store->on_full) == DM_SYNC_ON_FULL_DROP && is_tight(image, false)) {
		*why = "the store has too little room: images would be given up for this; delete images, enlarge the store, or use force";
		return -ENOSPC;
	}
	return 0;
}

/**
 * dm_sync_restore_rest - wait until the worker of a restore that is over does nothing more
 * @s: the store; no restore goes on
 * @why: out: a constant sentence when it still does
 *
 * It lets go of who waited for it; if it waits for space itself that takes long. Who ends a
 * restore, the committer mostly, starts the worker for that last of all, and holds commit_lock
 * until then.
 *
 * Context: the conductor, without commit_lock; may sleep.
 * Return: 0, and it begins nothing more; or -EBUSY.
 */
int dm_sync_restore_rest(struct dm_sync_store *s, const char **why)
{
	struct dm_sync_restore *r = s->restore_memory;
	unsigned int looks;

	mutex_lock(&s->commit_lock);
	mutex_unlock(&s->commit_lock);
	for (looks = 0; r && work_busy(&r->work.work); looks++) {
		if (looks == LOOKS) {
			*why = "the last restore has not come to rest yet";
			return -EBUSY;
		}
		msleep(LOOK_MS);
	}
	return 0;
}

/**
 * dm_sync_restore_begin - restore the source from an image
 * @image: the image, its door held; no restore goes on
 * @c: the operation: the state before, and the one that its record is to say; with force
 *	also when the file system on the door cannot be frozen; out: a constant sentence
 *	when it failed
 *
 * Context: the conductor; may sleep.
 * Return: 0 and hosts see the image; or a negative errno: nothing has changed.
 */
int dm_sync_restore_begin(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_restore *r;
	int error = dm_sync_restore_rest(s, &c->why);

	if (error)
		return error;
	dm_sync_restore_free(s);
	c->why = "not enough memory";
	r = alloc_restore(image);
	if (!r)
		return -ENOMEM;
	error = prepare(r, &c->why);
	if (!error && c->force)
		is_tight(image, true);
	if (!error)
		error = redirect(r, c);
	set_marks(s, NULL);
	if (error) {
		free_restore(r);
		return error;
	}
	c->why = NULL;
	DMINFO("%s: the source is being restored from %s: %llu of %llu chunks", s->name,
	       image->name, dm_sync_map_count(r->map), s->layout.nr_chunks);
	queue_delayed_work(s->restore_wq, &r->work, 0);
	return 0;
}

/*----------------------------------------------------------------
 * The end
 *--------------------------------------------------------------*/

/**
 * dm_sync_restore_is_from - is the source being restored from this image?
 * @s: the store
 * @image: an image of it; NULL: from any
 *
 * Context: any.
 */
bool dm_sync_restore_is_from(struct dm_sync_store *s, const struct dm_sync_image *image)
{
	const struct dm_sync_restore *r;
	bool is;

	rcu_read_lock();
	r = rcu_dereference(s->restore);
	is = r && (!image || r->image == image);
	rcu_read_unlock();
	return is;
}

/**
 * dm_sync_restore_left - how many chunks are still to come
 * @image: from this image
 *
 * Context: any but an interrupt.
 */
u64 dm_sync_restore_left(struct dm_sync_image *image)
{
	struct dm_sync_restore *r;
	u64 left;

	rcu_read_lock();
	r = rcu_dereference(image->store->restore);
	left = r && r->image == image ? dm_sync_map_count(r->map) : 0;
	rcu_read_unlock();
	return left;
}

/**
 * dm_sync_restore_info - how far a restore is, and how fast
 * @image: from this image; nothing is told when none goes on from it
 * @info: out: @total and @done in bytes of whole chunks, those among them that hosts
 *	waited for; @rate and @limited_by are of the background alone
 *
 * What is copied and not cleared yet is not done: that it is could not be relied upon.
 *
 * Context: any but an interrupt, interrupts off.
 */
void dm_sync_restore_info(struct dm_sync_image *image, struct dm_sync_info *info)
{
	unsigned int shift = image->store->chunk_shift + SECTOR_SHIFT;
	struct dm_sync_restore *r;

	rcu_read_lock();
	r = rcu_dereference(image->store->restore);
	if (r && r->image == image) {
		info->total = r->total << shift;
		info->done = (r->total - min(dm_sync_map_count(r->map), r->total)) << shift;
		info->copy_started = r->started;
		spin_lock(&r->lock);
		info->rate = dm_sync_pace_rate(&r->pace, ktime_get_ns());
		info->limited_by = r->pace.limited_by;
		spin_unlock(&r->lock);
	}
	rcu_read_unlock();
}

/**
 * dm_sync_restore_off - it is over: hosts meet the source alone
 * @s: the store; the image's record does not say Restoring any more, durably or, if that
 *	cannot be had, as an image that is lost
 *
 * When it returns the worker writes to the source no more, and whoever read a slot for it
 * has counted himself in the image's own_writes.
 *
 * Context: commit_lock held; sleeps for I/O.
 */
void dm_sync_restore_off(struct dm_sync_store *s)
{
	struct dm_sync_restore *r = current_restore(s);
	int error;

	if (!r)
		return;
	s->super.restoring = 0;
	error = dm_sync_store_write_super(s);
	if (error) {
		DMERR("%s: the superblock of the store cannot be written: %d", s->name, error);
		dm_sync_store_failed(s, s->failed ?: error);
	}
	mutex_lock(&r->apply);
	spin_lock_irq(&r->lock);
	r->on = false;
	spin_unlock_irq(&r->lock);
	rcu_assign_pointer(s->restore, NULL);
	mutex_unlock(&r->apply);
	synchronize_rcu();
	mod_delayed_work(s->restore_wq, &r->work, 0);	/* lets go of who waits */
}

static void set_incomplete(struct dm_sync_image *image, bool incomplete)
{
	spin_lock_irq(&image->pair.lock);
	image->pair.facts.restore_incomplete = incomplete;
	spin_unlock_irq(&image->pair.lock);
}

/**
 * dm_sync_restore_abort - it breaks off, and the image stays
 * @image: from which the source is being restored
 * @after: the state that its record is to say, which the caller publishes
 *
 * Context: the conductor; may sleep.
 * Return: 0; or a negative errno: it goes on.
 */
int dm_sync_restore_abort(struct dm_sync_image *image, const struct dm_sync_step *after)
{
	bool was = image->pair.facts.restore_incomplete;
	struct dm_sync_store *s = image->store;
	int error;

	mutex_lock(&s->commit_lock);
	set_incomplete(image, true);
	error = image->lost ? -EIO : dm_sync_store_write_record(s, image, after);
	if (error)
		set_incomplete(image, was || image->lost);
	else
		dm_sync_restore_off(s);
	mutex_unlock(&s->commit_lock);
	if (!error)
		invalidate_bdev(door_of(s));	/* hosts meet what was not restored again */
	return error;
}

static bool event_step(struct dm_sync_image *image, enum dm_sync_event ev,
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

static void set_facts(struct dm_sync_image *image, bool written,
		      const struct dm_sync_facts *facts)
{
	spin_lock_irq(&image->pair.lock);
	image->written = written;
	image->pair.facts = *facts;
	spin_unlock_irq(&image->pair.lock);
}

/* What is true of the image when the source has become it.  commit_lock held. */
static struct dm_sync_facts restored_facts(struct dm_sync_image *image)
{
	const struct dm_sync_view_image *view =
		rcu_dereference_protected(image->view,
					  lockdep_is_held(&image->store->commit_lock));
	struct dm_sync_facts facts = image->pair.facts;

	facts.restore_incomplete = facts.was_synced = false;
	facts.writes_merged = view->own.nr;
	return facts;
}

/* The map is empty.  commit_lock held. */
static int complete_it(struct dm_sync_image *image, const struct dm_sync_step *to)
{
	struct dm_sync_facts was = image->pair.facts, facts;
	struct dm_sync_store *s = image->store;
	bool written = image->written;
	int error;

	if (image->lost)
		return -EIO;
	facts = restored_facts(image);
	image->point = written ? dm_sync_now() : 0;
	set_facts(image, false, &facts);
	error = dm_sync_store_write_record(s, image, to);
	if (error) {
		set_facts(image, written, &was);
	} else {
		spin_lock_irq(&image->pair.lock);
		image->pair.sync_time = image->point ?: image->pair.sync_time;
		spin_unlock_irq(&image->pair.lock);
		dm_sync_restore_off(s);
	}
	image->point = 0;
	return error;
}

/*
 * Was that said of this restore?  A suspend may have kept the news of an earlier one. And is it
 * still true?  Hosts have gone on, and a chunk that could not be restored may have been, for one
 * of them: what is being cleared has to be flushed and durable before it is not *left.
 */
static bool is_told(struct dm_sync_image *image, u64 *left)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_restore *r;
	bool told;

	mutex_lock(&s->commit_lock);
	r = current_restore(s);
	told = r && r->image == image && r->told;
	if (told) {
		spin_lock_irq(&r->lock);	/* settle() clears under it */
		told = !r->settling;
		*left = dm_sync_map_count(r->map);
		spin_unlock_irq(&r->lock);
	}
	mutex_unlock(&s->commit_lock);
	return told;
}

/**
 * dm_sync_restore_finish - the worker has done all it can
 * @image: from which the source is being restored, or was
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_restore_finish(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_step to;
	u64 left;
	int error;

	if (!is_told(image, &left))
		return;		/* or not yet: the worker asks again */
	if (!event_step(image, left ? DM_SYNC_EV_SOURCE_COPY_ERROR : DM_SYNC_EV_COPY_DONE, &to))
		return;
	if (left) {
		DMERR("%s: %llu chunks could not be restored from %s", s->name, left,
		      image->name);
		error = dm_sync_restore_abort(image, &to);
	} else {
		mutex_lock(&s->commit_lock);
		error = complete_it(image, &to);
		mutex_unlock(&s->commit_lock);
	}
	if (error)
		return;		/* the worker asks again */
	dm_sync_publish(&image->pair, &to,
			left ? DM_SYNC_EVENT_CAUSE_ERROR : DM_SYNC_EVENT_CAUSE_COMPLETED,
			left ? 0 : DM_SYNC_OPERATION_RESTORE,
			left ? DM_SYNC_REASON_RESTORE_INCOMPLETE : DM_SYNC_REASON_NONE);
}

/*----------------------------------------------------------------
 * Over a suspend, and over a crash
 *--------------------------------------------------------------*/

/**
 * dm_sync_restore_pause - hold the background, or let it go on
 * @s: the store
 * @pause: a suspend begins; writes that wait are served as before
 *
 * Context: presuspend, its undoing, or resume; may sleep.
 */
void dm_sync_restore_pause(struct dm_sync_store *s, bool pause)
{
	struct dm_sync_restore *r;

	mutex_lock(&s->commit_lock);
	r = current_restore(s);
	if (r) {
		WRITE_ONCE(r->paused, pause);
		if (!pause)
			mod_delayed_work(s->restore_wq, &r->work, 0);
	}
	mutex_unlock(&s->commit_lock);
}

/**
 * dm_sync_restore_flush - wait until the worker rests
 * @s: the store; paused, and no host I/O
 *
 * Context: postsuspend, while blocks may still be written; may sleep.
 */
void dm_sync_restore_flush(struct dm_sync_store *s)
{
	if (s->restore_memory) {
		flush_delayed_work(&s->restore_memory->work);
		cancel_delayed_work_sync(&s->restore_memory->work);
	}
}

/*
 * What a store that was shut down in order has damaged, a load after a crash takes for torn,
 * and believes what was there before. So the first block of the map is made one that
 * nobody believes, as if of another store's life, before the superblock stops saying "clean".
 */
static int spoil_map(struct dm_sync_store *s)
{
	struct dm_sync_map *map = dm_sync_map_create(&s->meta, DM_SYNC_BLOCK_RESTORE_MAP,
						     DM_SYNC_RESTORE_BLOCK, ~s->super.epoch, 1);
	int error = map ? dm_sync_map_format(map, false) : -ENOMEM;

	dm_sync_map_destroy(map);
	return error;
}

/* Record blocks may be torn from now on.  The superblock still says that it goes on. */
static int prepare_break(struct dm_sync_store *s, bool readable)
{
	int error = 0;

	if (!(s->super.flags & DM_SYNC_STORE_CLEAN))
		return 0;
	if (readable)
		error = spoil_map(s);
	if (error)
		return error;
	s->super.flags &= ~DM_SYNC_STORE_CLEAN;
	return dm_sync_store_write_super(s);
}

/*
 * It had begun, and what is left to do is not known. A power cut at any time before the record
 * is durable repeats this.
 */
static int break_off(struct dm_sync_image *image, bool readable)
{
	struct dm_sync_pair *p = &image->pair;
	struct dm_sync_step to;
	int error = prepare_break(image->store, readable);

	if (error)
		return error;
	DMERR("%s: the map of the restore is damaged: the source is half restored", p->name);
	event_step(image, DM_SYNC_EV_SOURCE_COPY_ERROR, &to);
	set_incomplete(image, true);
	spin_lock_irq(&p->lock);
	p->state.copy_state = to.copy_state;
	p->state.progress = to.progress;
	p->state.requested = to.requested;
	p->reason = DM_SYNC_REASON_RESTORE_INCOMPLETE;
	p->reason_time = dm_sync_now();
	spin_unlock_irq(&p->lock);
	image->store->super.restoring = 0;
	return dm_sync_store_write_record(image->store, image, NULL);
}

static struct dm_sync_image *restoring_image(struct dm_sync_store *s)
{
	u32 nr = s->super.restoring;
	struct dm_sync_image *image = nr && nr <= DM_SYNC_MAX_IMAGES ? s->image[nr - 1] : NULL;

	if (!image || image->lost || !rcu_access_pointer(image->view) ||
	    image->pair.state.progress != DM_SYNC_PROGRESS_STATUS_RESTORING)
		return NULL;
	return image;
}

/**
 * dm_sync_restore_load - take a restore up again
 * @s: the store, its images loaded; the superblock is written later in any case
 * @why: out: a sentence, on errors
 *
 * Context: preresume, commit_lock held; may sleep for I/O.
 * Return: 0, also when none goes on; or a negative errno.
 */
int dm_sync_restore_load(struct dm_sync_store *s, const char **why)
{
	struct dm_sync_image *image = restoring_image(s);
	struct dm_sync_restore *r;
	u64 lost;
	int error;

	if (!image) {
		s->super.restoring = 0;
		return 0;
	}
	*why = "not enough memory for the restore that goes on";
	r = alloc_restore(image);
	if (!r)
		return -ENOMEM;
	error = dm_sync_map_load(r->map, s->super.flags & DM_SYNC_STORE_CLEAN, &lost);
	if (error || lost) {
		free_restore(r);
		*why = "the store cannot be written";
		return error == -ENOMEM ? error : break_off(image, !error);
	}
	/* What was torn is written again before the superblock may say "clean". */
	*why = "the store cannot be written";
	error = dm_sync_map_commit(r->map, false, NULL, NULL);
	if (error) {
		free_restore(r);
		return error;
	}
	DMINFO("%s: restoring the source from %s goes on: %llu chunks", s->name, image->name,
	       dm_sync_map_count(r->map));
	set_total(r);
	r->on = r->paused = true;
	s->restore_memory = r;
	rcu_assign_pointer(s->restore, r);
	return 0;
}
