// SPDX-License-Identifier: GPL-2.0-only
/*
 * Images as pairs: made from a record, found, shown, settled, let go.
 *
 * What is done to an image is in dm-sync-image-ops.c, who asks for it in
 * dm-sync-image-request.c, and what happens by itself in dm-sync-image-events.c.
 *
 * Who may do what with which lock, outermost first:
 *
 *	conductor	one at a time, all changes of an image's published state;
 *			s->image[] and all that an image keeps for itself
 *	commit_lock	taken by the conductor where it writes a record or changes the
 *			view; held by the committer while it does. So what both of them
 *			change (view, generation, lost, written) is theirs under it
 *	event lock	of the pairs: taken by publishing, never with commit_lock held:
 *			listeners are told by the conductor alone
 *	io_lock, pair.lock	spinlocks, innermost; all that readers need (rule P)
 *
 * The committer may find the store full while the conductor waits for writes that
 * the committer has to save; so it never waits for the conductor. It gives an image
 * up by itself, durably, and leaves the telling to a work item of the conductor's.
 *
 * References: s->image[] is one, a reader or door has others; an image has one of its
 * store. What it needs of the store to be looked at is there as long as the store's
 * structure is; its view goes with the store's, after the image was told to forget it.
 *
 * Lives: dm_sync_images_register() is for each resume, dm_sync_images_stop() for each
 * presuspend. In between operations are admitted. The flag is changed under pair.lock
 * (and s->live under io_lock), where a request is queued, too; so when stop() has
 * flushed the conductor, no request is left and none comes (rule L). Deleting, which
 * moves no data, is never left half done by that: it ends on the conductor.
 */
#include "dm-sync-image.h"

#define DM_MSG_PREFIX "sync"

static DEFINE_MUTEX(visible_lock);
static LIST_HEAD(visible);		/* stores that can be found */

static const struct dm_sync_pair_ops image_ops;

/*----------------------------------------------------------------
 * Making and freeing
 *--------------------------------------------------------------*/

static void image_release(struct dm_sync_pair *pair)
{
	struct dm_sync_image *image = to_image(pair);

	dm_sync_ranges_destroy(image->ranges);
	dm_sync_store_put(image->store);
	kfree_rcu(image, pair.rcu);
}

static void image_identify(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;
	struct dm_sync_pair *p = &image->pair;

	p->md = s->md;
	p->door = s->door;
	p->source_dev = s->source_dev;
	p->replica_dev = p->meta_dev = s->store_dev;
	/* device-mapper's names are shorter than the room for them here */
	snprintf(p->name, sizeof(p->name), "%.127s@%s", s->name, image->name);
}

/**
 * dm_sync_image_alloc - an image that nobody knows yet
 * @s: the store; the image takes a reference
 * @nr: number of its record
 * @name: without the door's
 *
 * Its state is all zero but for what an image always is.
 *
 * Context: may sleep, does no I/O.
 * Return: the image, with the one reference there is, or NULL when there is no memory.
 */
struct dm_sync_image *dm_sync_image_alloc(struct dm_sync_store *s, unsigned int nr,
					  const char *name)
{
	struct dm_sync_image *image = kzalloc(sizeof(*image), GFP_NOIO);

	if (!image)
		return NULL;
	image->ranges = dm_sync_ranges_create(ilog2(max(DM_SYNC_COW_SECTORS,
							1u << s->chunk_shift)));
	if (!image->ranges) {
		kfree(image);
		return NULL;
	}
	dm_sync_pair_init(&image->pair, &image_ops);
	dm_sync_store_get(s);
	image->store = s;
	image->nr = nr;
	strscpy(image->name, name, sizeof(image->name));
	image->pair.state.sync_type = DM_SYNC_SYNC_TYPE_SNAPSHOT;
	image->pair.state.copy_type = DM_SYNC_COPY_TYPE_UNSYNC_ASSOC;
	image->pair.state.methodology = DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE;
	image->pair.state.priority = DM_SYNC_COPY_PRIORITY_NOT_MANAGED;
	init_waitqueue_head(&image->door_idle);
	INIT_LIST_HEAD(&image->doors);
	image_identify(image);
	dm_sync_image_events_init(image);
	return image;
}

/**
 * dm_sync_image_destroy - the store lets go of an image
 * @image: out of sight, or never seen
 *
 * Doors and readers may have it a while longer; they find no view any more, and
 * nothing happens to it.
 *
 * Context: the conductor, or it is idle and there is no host I/O; may sleep.
 */
void dm_sync_image_destroy(struct dm_sync_image *image)
{
	struct dm_sync_store *s = image->store;

	mutex_lock(&s->commit_lock);
	RCU_INIT_POINTER(image->view, NULL);
	if (s->image[image->nr] == image) {
		s->image[image->nr] = NULL;
		s->nr_images--;
	}
	mutex_unlock(&s->commit_lock);
	dm_sync_image_events_stop(image);
	dm_sync_pair_put(&image->pair);
}

/*----------------------------------------------------------------
 * Records
 *--------------------------------------------------------------*/

static u32 record_flags(const struct dm_sync_image *image)
{
	const struct dm_sync_facts *f = &image->pair.facts;

	return (image->written || image->first_write ? DM_SYNC_IMAGE_WRITTEN : 0) |
	       (image->lost ? DM_SYNC_IMAGE_LOST : 0) |
	       (f->restore_incomplete ? DM_SYNC_IMAGE_INCOMPLETE : 0) |
	       (f->ever_synced ? DM_SYNC_IMAGE_EVER_SYNCED : 0) |
	       (f->was_synced ? DM_SYNC_IMAGE_WAS_SYNCED : 0) |
	       (image->hold_released ? DM_SYNC_IMAGE_HOLD_RELEASED : 0) |
	       (f->writes_merged ? DM_SYNC_IMAGE_MERGED : 0) |
	       (image->dissolved ? DM_SYNC_IMAGE_DISSOLVED : 0);
}

/* With a state to come goes the reason for it, and not that of the one before. */
static void record_reason(struct dm_sync_image *image, bool coming,
			  struct dm_sync_image_record *r)
{
	if (!coming) {
		r->reason = image->pair.reason;
		r->reason_time = image->pair.reason_time;
		return;
	}
	r->reason = image->lost ? image->lost_reason :
		    image->pair.facts.restore_incomplete ? DM_SYNC_REASON_RESTORE_INCOMPLETE :
		    image->by_full ? DM_SYNC_REASON_STORE_FULL : DM_SYNC_REASON_NONE;
	r->reason_time = r->reason ? dm_sync_now() : 0;
}

/**
 * dm_sync_image_record - what an image's record is to say
 * @image: the image
 * @step: the state to come; NULL: the one that is published
 * @r: out
 *
 * Context: commit_lock held.
 */
void dm_sync_image_record(struct dm_sync_image *image, const struct dm_sync_step *step,
			  struct dm_sync_image_record *r)
{
	struct dm_sync_pair *p = &image->pair;
	struct dm_sync_step now;

	memcpy(r->uuid, p->uuid, sizeof(r->uuid));
	strscpy(r->name, image->name, sizeof(r->name));
	r->generation = image->generation;
	r->own_id = image->own_id;
	r->established = image->established;
	r->changes = ++image->changes;
	spin_lock_irq(&p->lock);
	now = dm_sync_image_step(image);
	record_reason(image, step, r);
	r->flags = record_flags(image);
	/* The time of an image that was lost, or dissolved, is kept for information. */
	if (image->generation || image->lost || image->dissolved)
		r->sync_time = image->point ?: p->sync_time;
	r->sync_type = p->state.sync_type;
	r->copy_type = p->state.copy_type;
	r->methodology = p->state.methodology;
	r->priority = p->state.priority;
	spin_unlock_irq(&p->lock);
	step = step ?: &now;
	r->copy_state = step->copy_state;
	r->progress = step->progress;
	r->requested = step->requested;
}

static void set_step(struct dm_sync_image *image, const struct dm_sync_step *step)
{
	image->pair.state.copy_state = step->copy_state;
	image->pair.state.progress = step->progress;
	image->pair.state.requested = step->requested;
}

static void apply_event(struct dm_sync_image *image, enum dm_sync_event ev)
{
	struct dm_sync_facts f;
	struct dm_sync_step to;

	dm_sync_image_facts(image, &f);
	if (dm_sync_event_step(&image->pair.state, &f, ev, true, false, &to))
		set_step(image, &to);
}

/* A state with a point in time has a generation, and none of the others has one. */
static bool record_makes_sense(struct dm_sync_image *image)
{
	const char *why;

	if (!dm_sync_invariants(&image->pair.state, &why))
		return false;
	switch (image->pair.state.copy_state) {
	case DM_SYNC_COPY_STATE_SYNCHRONIZED:
	case DM_SYNC_COPY_STATE_SKEWED:
	case DM_SYNC_COPY_STATE_SUSPENDED:
		return image->generation && !image->lost;
	case DM_SYNC_COPY_STATE_BROKEN:
		return image->generation || image->lost;
	case DM_SYNC_COPY_STATE_INITIALIZED:
	case DM_SYNC_COPY_STATE_PREPARED:
	case DM_SYNC_COPY_STATE_INACTIVE:
		return !image->generation;
	}
	return false;
}

/* A restore that the superblock does not know of had not begun. */
static void recover_restore(struct dm_sync_image *image)
{
	struct dm_sync_state *state = &image->pair.state;

	if (state->progress != DM_SYNC_PROGRESS_STATUS_RESTORING ||
	    image->store->super.restoring == image->nr + 1)
		return;
	state->progress = DM_SYNC_PROGRESS_STATUS_COMPLETED;
	state->requested = DM_SYNC_COPY_STATE_NOT_APPLICABLE;
	if (state->copy_state != DM_SYNC_COPY_STATE_BROKEN)
		return;
	state->progress = DM_SYNC_PROGRESS_STATUS_DORMANT;
	state->requested = DM_SYNC_COPY_STATE_SYNCHRONIZED;
}

/* That it can be loaded is the answer that a store which was out of reach owed (E4). */
static void recover_reach(struct dm_sync_image *image)
{
	if (image->lost || image->pair.state.copy_state != DM_SYNC_COPY_STATE_BROKEN)
		return;
	apply_event(image, DM_SYNC_EV_REPLICA_RETURNED);
	if (image->pair.state.copy_state == DM_SYNC_COPY_STATE_BROKEN)
		return;
	image->pair.facts.was_synced = false;
	image->pair.reason = DM_SYNC_REASON_REPLICA_RETURNED;
	image->pair.reason_time = dm_sync_now();
}

/* What a crash, or a shutdown, leaves of the state. Held writes were never acknowledged. */
static void recover_state(struct dm_sync_image *image)
{
	if (!record_makes_sense(image)) {
		DMERR("%s: the image's record holds an impossible state", image->pair.name);
		image->lost_reason = DM_SYNC_REASON_METADATA_LOST;
		image->pair.reason = image->lost_reason;
		image->pair.reason_time = dm_sync_now();
		/* Outright: nothing is in flight, whatever it says, and DM_SYNC_EV_* spare that. */
		set_step(image, &(struct dm_sync_step) {
			DM_SYNC_COPY_STATE_BROKEN, DM_SYNC_PROGRESS_STATUS_UNKNOWN,
			DM_SYNC_COPY_STATE_SYNCHRONIZED,
		});
		return;
	}
	recover_restore(image);
	apply_event(image, DM_SYNC_EV_CRASH_RECOVERY);
	recover_reach(image);
	image->hold_released = image->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED;
	image->by_full = image->hold_released &&
			 image->pair.reason == DM_SYNC_REASON_STORE_FULL;
	if (!image->by_full)
		return;
	/* Nobody waits now; whether there is space is found out by who needs it. */
	apply_event(image, DM_SYNC_EV_STORE_SPACE);
	image->by_full = image->hold_released = false;
	image->pair.reason = DM_SYNC_REASON_NONE;
}

/**
 * dm_sync_image_load - the pair of a record that was read
 * @s: the store
 * @nr: number of the record
 * @r: the record, not one of a pair that was dissolved
 *
 * It is in s->image[] then, and has no view yet: see dm-sync-store.h.
 *
 * Context: preresume; may sleep, does no I/O.
 * Return: the image, or NULL when there is no memory.
 */
struct dm_sync_image *dm_sync_image_load(struct dm_sync_store *s, unsigned int nr,
					 const struct dm_sync_image_record *r)
{
	struct dm_sync_image *image = dm_sync_image_alloc(s, nr, r->name);
	struct dm_sync_pair *p;

	if (!image)
		return NULL;
	p = &image->pair;
	memcpy(p->uuid, r->uuid, sizeof(p->uuid));
	image->generation = r->generation;
	image->own_id = r->own_id;
	image->established = r->established;
	image->changes = r->changes;
	image->lost = r->flags & DM_SYNC_IMAGE_LOST;
	image->written = r->flags & DM_SYNC_IMAGE_WRITTEN;
	p->facts.restore_incomplete = r->flags & DM_SYNC_IMAGE_INCOMPLETE;
	p->facts.ever_synced = r->flags & DM_SYNC_IMAGE_EVER_SYNCED;
	p->facts.was_synced = r->flags & DM_SYNC_IMAGE_WAS_SYNCED;
	p->facts.writes_merged = r->flags & DM_SYNC_IMAGE_MERGED;
	p->generation = r->changes;
	p->sync_time = r->sync_time;
	p->reason = image->lost_reason = r->reason;
	p->reason_time = r->reason_time;
	p->state.sync_type = r->sync_type;
	p->state.copy_type = r->copy_type;
	p->state.methodology = r->methodology;
	p->state.priority = r->priority;
	p->state.copy_state = r->copy_state;
	p->state.progress = r->progress;
	p->state.requested = r->requested;
	recover_state(image);
	s->image[nr] = image;
	s->nr_images++;
	return image;
}

/*----------------------------------------------------------------
 * What it reports of itself.  All of this under pair->lock.
 *--------------------------------------------------------------*/

/**
 * dm_sync_image_facts - the facts, with those that are computed
 * @image: the image
 * @f: out
 *
 * Context: pair.lock held, or nobody knows the image yet.
 */
void dm_sync_image_facts(struct dm_sync_image *image, struct dm_sync_facts *f)
{
	*f = image->pair.facts;
	f->source_ok = true;		/* tried is known */
	f->nothing_marked = true;
	f->held_writes = READ_ONCE(image->store->nr_held);
	f->maps_lost = READ_ONCE(image->lost);
	f->replica_written = READ_ONCE(image->written);
	f->replica_consistent = rcu_access_pointer(image->view);
}

static void image_facts(struct dm_sync_pair *pair, struct dm_sync_facts *f)
{
	dm_sync_image_facts(to_image(pair), f);
}

/*
 * What was saved after the point in time of this image is in its own index and in
 * those of the newer ones; a chunk that is in several was changed in the time of each.
 */
static void info_view(struct dm_sync_image *image, struct dm_sync_info *info)
{
	unsigned int shift = image->store->chunk_shift + SECTOR_SHIFT;
	const struct dm_sync_view_image *v, *newer;
	u64 changed = 0;

	rcu_read_lock();
	v = rcu_dereference(image->view);
	if (v) {
		info->replica_changed = READ_ONCE(v->own.nr);
		info->saved = READ_ONCE(v->saved.nr) << shift;
		info->alone = READ_ONCE(v->alone) << shift;
		for (newer = v; newer; newer = READ_ONCE(newer->newer))
			changed += READ_ONCE(newer->saved.nr);
		info->source_changed = min(changed, info->regions);
	}
	rcu_read_unlock();
}

static void info_store(struct dm_sync_store *s, struct dm_sync_info *info)
{
	unsigned int shift = s->chunk_shift + SECTOR_SHIFT;
	u32 slots = READ_ONCE(s->layout.nr_slots), left;
	u64 ms = div_u64(ktime_get_ns(), NSEC_PER_MSEC);

	info->size = (u64)s->sectors << SECTOR_SHIFT;
	info->region_size = 1ULL << shift;
	info->regions = s->layout.nr_chunks;
	info->slots = slots;
	info->store_size = READ_ONCE(s->layout.store_sectors) << SECTOR_SHIFT;
	left = slots - min(READ_ONCE(s->slots.used), slots);
	info->store_free = (u64)left << shift;
	spin_lock(&s->fill_lock);
	info->fill_rate = dm_sync_fill_rate(&s->fill, ms, shift);
	info->full_seconds = dm_sync_fill_seconds(&s->fill, ms, left);
	spin_unlock(&s->fill_lock);
	info->read_bytes = atomic64_read(&s->read_bytes);
	info->written_bytes = atomic64_read(&s->saved_bytes);
	info->metadata_writes = atomic64_read(&s->meta.writes);
	info->hold_max = READ_ONCE(s->hold_max);
	info->limit = READ_ONCE(s->rate);
}

static void image_info(struct dm_sync_pair *pair, const struct dm_sync_facts *f,
		       struct dm_sync_info *info)
{
	struct dm_sync_image *image = to_image(pair);

	strscpy(info->image, image->name, sizeof(info->image));
	info->pause_ns = image->pause_ns;
	info->rpo_objective = DM_SYNC_NULL;
	info->percent = dm_sync_derive_percent(&pair->state, f, image->store->layout.nr_chunks,
					       dm_sync_restore_left(image));
	info->allowed &= dm_sync_image_operations();
	info->allowed_force &= dm_sync_image_operations();
	info->source_errors = atomic64_read(&image->source_errors);
	info->replica_errors = atomic64_read(&image->store_errors);
	info_store(image->store, info);
	info_view(image, info);
	dm_sync_restore_info(image, info);
	if (pair->state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED)
		info->held = READ_ONCE(image->store->nr_held);
	info->hold = image->hold_released ? DM_SYNC_HOLD_TRACK : DM_SYNC_HOLD_QUEUE;
}

static struct dm_table *image_table(struct dm_sync_pair *pair)
{
	struct dm_target *ti = READ_ONCE(to_image(pair)->store->ti);

	return ti ? ti->table : NULL;
}

/*----------------------------------------------------------------
 * Settings: those of the store, whichever image they are made through
 *--------------------------------------------------------------*/

static const char *set_nonsense(enum dm_sync_setting setting, u64 value)
{
	switch (setting) {
	case DM_SYNC_SETTING_PRIORITY:
		return value > DM_SYNC_COPY_PRIORITY_HIGH ?
		       "copy priority is none, low, same or high (0 to 3)" : NULL;
	case DM_SYNC_SETTING_HOLD_MAX:
		return !value || value > DM_SYNC_HOLD_LIMIT ?
		       "hold_max is 1 to 3600 seconds" : NULL;
	case DM_SYNC_SETTING_ON_FULL:
		return value > DM_SYNC_ON_FULL_HOLD ? "on_full is drop (0) or hold (1)" : NULL;
	default:
		return NULL;
	}
}

static void set_one(struct dm_sync_store *s, struct dm_sync_config *c,
		    enum dm_sync_setting setting, u64 value)
{
	switch (setting) {
	case DM_SYNC_SETTING_PRIORITY:
		c->priority = value;
		break;
	case DM_SYNC_SETTING_LIMIT:
		c->rate = s->rate = value;
		break;
	case DM_SYNC_SETTING_HOLD_MAX:
		WRITE_ONCE(c->hold_max, value);
		WRITE_ONCE(s->hold_max, value);
		break;
	case DM_SYNC_SETTING_ON_FULL:
		WRITE_ONCE(c->on_full, value);
		WRITE_ONCE(s->on_full, value);
		break;
	default:
		break;
	}
}

/**
 * dm_sync_images_set - change a setting of a store
 * @s: the store
 * @setting: which
 * @value: its new value
 * @why: out: a constant sentence when refused
 *
 * What is held already is held by the new hold_max, counted from now, and a store
 * that is full does by the new on_full.
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EOPNOTSUPP, or -EBUSY while no table is live.
 */
int dm_sync_images_set(struct dm_sync_store *s, enum dm_sync_setting setting, u64 value,
		       const char **why)
{
	const char *nonsense = set_nonsense(setting, value);
	bool live;

	if (setting == DM_SYNC_SETTING_HOLD || setting == DM_SYNC_SETTING_RECOVERY) {
		*why = "an image has no such setting";
		return -EOPNOTSUPP;
	}
	if (nonsense) {
		*why = nonsense;
		return -EINVAL;
	}
	/* Under the lock that ends the time in which the live table's is there. */
	spin_lock_irq(&s->io_lock);
	live = s->live;
	if (live)
		set_one(s, s->config, setting, value);
	spin_unlock_irq(&s->io_lock);
	if (!live) {
		*why = "the device is suspended";
		return -EBUSY;
	}
	if (setting == DM_SYNC_SETTING_HOLD_MAX || setting == DM_SYNC_SETTING_ON_FULL) {
		dm_sync_store_hold_max_changed(s);
		dm_sync_images_hold_max_changed(s);
	}
	return 0;
}

static int image_set(struct dm_sync_pair *pair, enum dm_sync_setting setting, u64 value,
		     const char **why)
{
	return dm_sync_images_set(to_image(pair)->store, setting, value, why);
}

static const struct dm_sync_pair_ops image_ops = {
	.release = image_release,
	.facts = image_facts,
	.info = image_info,
	.table = image_table,
	.operate = dm_sync_image_operate,
	.set = image_set,
};

/*----------------------------------------------------------------
 * Finding
 *--------------------------------------------------------------*/

/**
 * dm_sync_image_find - an image by its name
 * @s: the store
 * @name: without the door's
 *
 * Looks at what is visible; waits for nothing (rule P).
 *
 * Context: process.
 * Return: a counted image, or NULL.
 */
struct dm_sync_image *dm_sync_image_find(struct dm_sync_store *s, const char *name)
{
	struct dm_sync_pair *p;
	u32 id = 0;

	while ((p = dm_sync_pair_next(&id))) {
		if (p->ops == &image_ops && to_image(p)->store == s &&
		    !strcmp(to_image(p)->name, name))
			return to_image(p);
		dm_sync_pair_put(p);
		id++;
	}
	return NULL;
}

/**
 * dm_sync_image_of - the image that a pair is
 * @pair: any pair
 *
 * Context: any.
 * Return: the image, or NULL when it is a pair of another kind.
 */
struct dm_sync_image *dm_sync_image_of(struct dm_sync_pair *pair)
{
	return pair->ops == &image_ops ? to_image(pair) : NULL;
}

static struct dm_sync_store *store_find(dev_t door, const char *name)
{
	struct dm_sync_store *s, *found = NULL;

	mutex_lock(&visible_lock);
	list_for_each_entry(s, &visible, visible) {
		if ((door && s->door != door) || (name && strcmp(s->name, name)))
			continue;
		found = s;
		dm_sync_store_get(s);
		break;
	}
	mutex_unlock(&visible_lock);
	return found;
}

/**
 * dm_sync_pair_create_image - take a new image of a source
 * @door: number of the source door, or 0
 * @name: name of the source door, or NULL; when both are given both must fit
 * @image: name of the image
 * @stop_at: enum dm_sync_copy_state to stop at; 0: Synchronized
 * @flags: DM_SYNC_OP_FORCE, DM_SYNC_OP_DRY_RUN
 * @pair: out: the new pair, counted; NULL with DM_SYNC_OP_DRY_RUN
 * @why: out: a constant sentence when refused
 *
 * Context: may sleep; no lock held.
 * Return: 0; -ENODEV when that is no source door of a store; and as
 * dm_sync_image_create().
 */
int dm_sync_pair_create_image(dev_t door, const char *name, const char *image, u32 stop_at,
			      u32 flags, struct dm_sync_pair **pair, const char **why)
{
	struct dm_sync_store *s = store_find(door, name);
	struct dm_sync_image *created = NULL;
	int r;

	*pair = NULL;
	if (!s) {
		*why = "this is not the source door of a snapshot store";
		return -ENODEV;
	}
	r = dm_sync_image_create(s, image, stop_at, flags, &created, why);
	if (created)
		*pair = &created->pair;
	dm_sync_store_put(s);
	return r;
}

/*----------------------------------------------------------------
 * Doors
 *--------------------------------------------------------------*/

/**
 * dm_sync_image_door_add - a replica door refers to an image
 * @image: the image, counted by the door
 * @door: the caller's, until dm_sync_image_door_remove()
 * @md: its device
 *
 * Context: constructor.
 */
void dm_sync_image_door_add(struct dm_sync_image *image, struct dm_sync_image_door *door,
			    struct mapped_device *md)
{
	door->md = md;
	spin_lock_irq(&image->pair.lock);
	list_add_tail(&door->list, &image->doors);
	spin_unlock_irq(&image->pair.lock);
}

/**
 * dm_sync_image_door_remove - and not any more
 * @image: the image
 * @door: as it was added
 *
 * Context: destructor.
 */
void dm_sync_image_door_remove(struct dm_sync_image *image, struct dm_sync_image_door *door)
{
	spin_lock_irq(&image->pair.lock);
	list_del(&door->list);
	spin_unlock_irq(&image->pair.lock);
}

/**
 * dm_sync_image_is_open - has somebody one of its doors open?
 * @image: the image
 *
 * Context: any but an interrupt.
 */
bool dm_sync_image_is_open(struct dm_sync_image *image)
{
	struct dm_sync_image_door *door;
	bool open = false;

	spin_lock_irq(&image->pair.lock);
	list_for_each_entry(door, &image->doors, list)
		open |= disk_openers(dm_disk(door->md)) > 0;
	spin_unlock_irq(&image->pair.lock);
	return open;
}

/*----------------------------------------------------------------
 * In sight, and out of it
 *--------------------------------------------------------------*/

/**
 * dm_sync_image_register - an image is visible, and operations are possible
 * @image: the image, in s->image[] and in its state
 *
 * A suspend that begins just now either finds it there, or is found here.
 *
 * Context: the conductor, or resume; may sleep.
 */
void dm_sync_image_register(struct dm_sync_image *image)
{
	struct dm_sync_pair *p = &image->pair;
	struct dm_sync_store *s = image->store;

	spin_lock_irq(&s->io_lock);
	spin_lock(&p->lock);
	image_identify(image);
	dm_sync_pair_update_door(p);
	p->live = s->live;
	spin_unlock(&p->lock);
	spin_unlock_irq(&s->io_lock);
	if (!p->id && !p->gone && s->images_dir)
		dm_sync_pair_register(p, s->images_dir, image->name);
	dm_sync_image_events_kick(image);
}

static void store_appear(struct dm_sync_store *s)
{
	struct kobject *disk = &disk_to_dev(dm_disk(s->md))->kobj;

	if (s->images_dir)
		return;
	s->dir = kobject_create_and_add("dm-sync", disk);
	if (s->dir)
		s->images_dir = kobject_create_and_add("images", s->dir);
	if (!s->images_dir) {
		DMWARN("%s: no sysfs directory, so no image can be seen", s->name);
		kobject_put(s->dir);
		s->dir = NULL;
		return;
	}
	mutex_lock(&visible_lock);
	list_add_tail(&s->visible, &visible);
	mutex_unlock(&visible_lock);
}

static void store_vanish(struct dm_sync_store *s)
{
	if (!s->images_dir)
		return;
	mutex_lock(&visible_lock);
	list_del_init(&s->visible);
	mutex_unlock(&visible_lock);
	kobject_put(s->images_dir);
	kobject_put(s->dir);
	s->images_dir = s->dir = NULL;
}

/*
 * Live first, then the images: one that is made or deleted meanwhile is either still in
 * s->image[], which changes with commit_lock held, or has seen that the store is live.
 */
static void set_live(struct dm_sync_store *s, bool live)
{
	unsigned int i;

	spin_lock_irq(&s->io_lock);
	s->live = live;
	if (live) {
		s->hold_max = s->config->hold_max;
		s->rate = s->config->rate;
		s->on_full = s->config->on_full;
	}
	spin_unlock_irq(&s->io_lock);
	mutex_lock(&s->commit_lock);
	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		if (!s->image[i])
			continue;
		spin_lock_irq(&s->image[i]->pair.lock);
		s->image[i]->pair.live = live;
		spin_unlock_irq(&s->image[i]->pair.lock);
		if (live)
			dm_sync_image_events_kick(s->image[i]);
	}
	mutex_unlock(&s->commit_lock);
}

/**
 * dm_sync_images_register - a store's images are visible and operations possible
 * @s: the store, loaded; its config is the live table's
 *
 * Context: resume, each time; the conductor idle; may sleep.
 */
void dm_sync_images_register(struct dm_sync_store *s)
{
	unsigned int i;

	store_appear(s);
	/* Nothing else changes s->image[] as long as the store is not live. */
	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		if (s->image[i])
			dm_sync_image_register(s->image[i]);
	set_live(s, true);
}

/**
 * dm_sync_images_stop - no more operations; nothing holds host I/O back
 * @s: the store
 *
 * Writes that are held for an image that is Suspended are let go, and saved, as if
 * hold_max had passed: a suspend waits for host I/O, and must not wait that long.
 *
 * Context: presuspend; host I/O still comes; may sleep.
 */
void dm_sync_images_stop(struct dm_sync_store *s)
{
	set_live(s, false);
	flush_workqueue(s->conductor);
	dm_sync_images_let_go(s);
}

/**
 * dm_sync_images_restart - the suspend does not come after all
 * @s: the store
 *
 * What was let go stays let go.
 *
 * Context: presuspend_undo; may sleep.
 */
void dm_sync_images_restart(struct dm_sync_store *s)
{
	set_live(s, true);
}

/**
 * dm_sync_images_unregister - out of sight, for ever
 * @s: the store, not live
 *
 * Each pair's last event is sent. The references that s->image[] are, are put.
 *
 * Context: the last detach, or a successor's registration; no host I/O; may sleep.
 */
void dm_sync_images_unregister(struct dm_sync_store *s)
{
	struct dm_sync_image *image;
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		image = s->image[i];
		if (!image)
			continue;
		dm_sync_pair_unregister(&image->pair);
		dm_sync_image_destroy(image);
	}
	store_vanish(s);
}
