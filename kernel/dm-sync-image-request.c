// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asking for an operation on an image, or for a new image.
 *
 * A request is a work item of the store's conductor; the order of that queue is the
 * order of arrival, among the images of a store, too.  The state machine judges twice,
 * as for a mirror (dm-sync-request.c): in the caller's context, so that what is refused
 * costs the conductor nothing, and when the conductor has come to it.  What the state does
 * not know (dm_sync_image_may()) is looked for on the conductor alone, for a dry run, too:
 * the source door, its table and the image that the source is being restored from are
 * there as long as it is busy, but not for a caller who has no more than a reference to
 * the pair; and an own index is freed by the conductor.  That there is
 * nothing to do is believed only if the conductor has told of all that has happened: an
 * own write is acknowledged before the image is shown as written to, and who asks for a
 * reset then wants that write undone.
 *
 * Unlike a mirror's, what is asked of an image is over soon, so the caller waits until
 * it is done, and is told how it went.  It may be killed meanwhile; the request is
 * carried out all the same.
 *
 * Requests are queued with the lock held under which "live" is ended: pair.lock, or the
 * store's io_lock for what has no pair yet.  The suspend that ended it then flushes the
 * conductor, so none is left behind, and with it goes the last reference that a
 * request has: a store never comes to its end on its own conductor.
 */
#include <linux/sched/mm.h>
#include <linux/uuid.h>

#include "dm-sync-image.h"

#define DM_MSG_PREFIX "sync"

/**
 * struct image_request - asked for; counted by the caller and by the conductor
 * @work: on the conductor
 * @ref: the two of them
 * @store: where
 * @image: which, counted; of a create: the one that was made, or NULL
 * @operation: enum dm_sync_operation
 * @force: the caller insists
 * @dry: only whether it would be refused
 * @stop_at: enum dm_sync_copy_state, of a create
 * @name: of the image to be made
 * @result: valid when @done is complete
 * @why: likewise: a constant sentence or NULL
 * @done: it was carried out, or refused
 */
struct image_request {
	struct work_struct work;
	struct kref ref;
	struct dm_sync_store *store;
	struct dm_sync_image *image;
	u32 operation;
	bool force, dry;
	u32 stop_at;
	char name[DM_SYNC_IMAGE_NAME];
	int result;
	const char *why;
	struct completion done;
};

static const int admit_errno[] = {
	[DM_SYNC_ADMIT_OK] = 0,
	[DM_SYNC_ADMIT_NOOP] = 0,
	[DM_SYNC_ADMIT_FORCE] = -EPERM,
	[DM_SYNC_ADMIT_REFUSED] = -EPERM,
	[DM_SYNC_ADMIT_BUSY] = -EBUSY,
	[DM_SYNC_ADMIT_UNSUPPORTED] = -EOPNOTSUPP,
	[DM_SYNC_ADMIT_INVALID] = -EINVAL,
};

static const char suspended[] = "the device is suspended";

/*----------------------------------------------------------------
 * Requests
 *--------------------------------------------------------------*/

static void request_free(struct kref *ref)
{
	struct image_request *req = container_of(ref, struct image_request, ref);

	if (req->image)
		dm_sync_pair_put(&req->image->pair);
	dm_sync_store_put(req->store);
	kfree(req);
}

static struct image_request *request_alloc(struct dm_sync_store *s, work_func_t fn)
{
	struct image_request *req = kzalloc(sizeof(*req), GFP_KERNEL);

	if (!req)
		return NULL;
	kref_init(&req->ref);
	init_completion(&req->done);
	INIT_WORK(&req->work, fn);
	dm_sync_store_get(s);
	req->store = s;
	return req;
}

/* With the lock held that protects @live. */
static void request_queue(struct image_request *req, bool live)
{
	if (live) {
		kref_get(&req->ref);
		queue_work(req->store->conductor, &req->work);
		return;
	}
	req->result = -EBUSY;
	req->why = suspended;
	complete(&req->done);
}

static void request_done(struct image_request *req, int result)
{
	req->result = result;
	complete(&req->done);
	kref_put(&req->ref, request_free);
}

/* The outcome; the caller's reference is still there. */
static int request_wait(struct image_request *req, const char **why)
{
	if (wait_for_completion_killable(&req->done))
		return -EINTR;
	if (req->why)
		*why = req->why;
	return req->result;
}

/*----------------------------------------------------------------
 * Operations
 *--------------------------------------------------------------*/

static enum dm_sync_admit judge(struct dm_sync_image *image, u32 operation, bool force,
				const char **why)
{
	struct dm_sync_pair *p = &image->pair;
	enum dm_sync_admit verdict = DM_SYNC_ADMIT_BUSY;
	struct dm_sync_facts f;

	*why = NULL;
	spin_lock_irq(&p->lock);
	if (p->gone) {
		*why = "the image has been deleted";
	} else if (!p->live) {
		*why = suspended;
	} else {
		dm_sync_image_facts(image, &f);
		verdict = dm_sync_admit(&p->state, &f, operation, force, why);
	}
	spin_unlock_irq(&p->lock);
	return verdict;
}

/* Where it leads; false if there is no way from here. */
static bool change_begin(struct dm_sync_image *image, struct dm_sync_image_change *c)
{
	struct dm_sync_pair *p = &image->pair;
	struct dm_sync_facts f;
	bool is;

	spin_lock_irq(&p->lock);
	dm_sync_image_facts(image, &f);
	c->from = dm_sync_image_step(image);
	is = dm_sync_transition(&p->state, &f, c->operation, &c->during, &c->after);
	spin_unlock_irq(&p->lock);
	return is;
}

static int carry_out(struct image_request *req)
{
	struct dm_sync_image_change c = { .operation = req->operation, .force = req->force };
	struct dm_sync_image *image = req->image;
	enum dm_sync_admit verdict = judge(image, c.operation, c.force, &req->why);
	int r;

	if (verdict != DM_SYNC_ADMIT_OK)
		return admit_errno[verdict];
	r = dm_sync_image_may(image, c.operation, c.force, &req->why);
	if (r || req->dry)
		return r;
	if (!change_begin(image, &c))
		return -EOPNOTSUPP;
	r = dm_sync_image_run(image, &c);
	req->why = c.why;
	return r;
}

static void do_operation(struct work_struct *work)
{
	struct image_request *req = container_of(work, struct image_request, work);
	unsigned int noio = memalloc_noio_save();

	request_done(req, carry_out(req));
	memalloc_noio_restore(noio);
}

/**
 * dm_sync_image_operate - have an operation carried out on an image
 * @pair: the image's
 * @operation: enum dm_sync_operation
 * @flags: DM_SYNC_OP_FORCE, DM_SYNC_OP_DRY_RUN
 * @why: out: a constant sentence when refused
 *
 * For dm_sync_pair_operate(), which tells the rest.
 *
 * Context: may sleep; no lock held.
 * Return: 0 or a negative errno: beside the state machine's -EBUSY when a door is in use,
 * -ETIMEDOUT when host I/O did not end in time, -EIO and others when it failed; nothing
 * has changed then.
 */
int dm_sync_image_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			  const char **why)
{
	struct dm_sync_image *image = to_image(pair);
	bool force = flags & DM_SYNC_OP_FORCE;
	bool due = dm_sync_image_events_due(image);
	enum dm_sync_admit verdict = judge(image, operation, force, why);
	struct image_request *req;
	int r = admit_errno[verdict];

	if (verdict != DM_SYNC_ADMIT_OK && !(verdict == DM_SYNC_ADMIT_NOOP && due))
		return r;
	req = request_alloc(image->store, do_operation);
	if (!req)
		return -ENOMEM;
	dm_sync_pair_get(pair);
	req->image = image;
	req->operation = operation;
	req->force = force;
	req->dry = flags & DM_SYNC_OP_DRY_RUN;

	spin_lock_irq(&pair->lock);
	request_queue(req, pair->live);
	spin_unlock_irq(&pair->lock);
	r = request_wait(req, why);
	kref_put(&req->ref, request_free);
	return r;
}

/*----------------------------------------------------------------
 * New images
 *--------------------------------------------------------------*/

/* Nobody else changes s->image[] while the conductor is busy with this. */
static bool name_in_use(struct dm_sync_store *s, const char *name)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		if (s->image[i] && !strcmp(s->image[i]->name, name))
			return true;
	return false;
}

/* One that was never used, so that what was dissolved is remembered; else one of those. */
static int free_record(struct dm_sync_store *s)
{
	struct dm_sync_image_record r;
	int nr, any = -1;

	mutex_lock(&s->commit_lock);
	for (nr = 0; nr < DM_SYNC_MAX_IMAGES; nr++) {
		if (s->image[nr])
			continue;
		any = any < 0 ? nr : any;
		if (dm_sync_image_decode(s->image_buf[nr / DM_SYNC_IMAGES_PER_BLOCK],
					 nr % DM_SYNC_IMAGES_PER_BLOCK, &r) == -ENOENT)
			break;
	}
	mutex_unlock(&s->commit_lock);
	return nr < DM_SYNC_MAX_IMAGES ? nr : any;
}

static void set_step(struct dm_sync_image *image, const struct dm_sync_step *step)
{
	spin_lock_irq(&image->pair.lock);
	image->pair.state.copy_state = step->copy_state;
	image->pair.state.progress = step->progress;
	image->pair.state.requested = step->requested;
	spin_unlock_irq(&image->pair.lock);
}

/* An image without a point in time. */
static int write_new_record(struct dm_sync_image *image, const struct dm_sync_step *after)
{
	struct dm_sync_store *s = image->store;
	int r;

	mutex_lock(&s->commit_lock);
	r = dm_sync_store_write_record(s, image, after);
	if (!r) {
		s->image[image->nr] = image;
		s->nr_images++;
	}
	mutex_unlock(&s->commit_lock);
	return r;
}

static int make_durable(struct dm_sync_image *image, const struct dm_sync_step *after,
			bool force, const char **why)
{
	struct dm_sync_view_image *old;
	int r;

	if (after->copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED)
		return dm_sync_image_take_point(image, after, force, &old, why);
	r = write_new_record(image, after);
	if (r)
		*why = "the store could not be written";
	return r;
}

/* Everything that may refuse it; conductor, or as a first opinion. */
static int may_create(struct dm_sync_store *s, u32 stop_at, const char **why)
{
	struct dm_sync_state types = {
		.sync_type = DM_SYNC_SYNC_TYPE_SNAPSHOT,
		.copy_type = DM_SYNC_COPY_TYPE_UNSYNC_ASSOC,
	};
	struct dm_sync_step first, after;

	if (dm_sync_create_step(&types, stop_at, false, &first, &after)) {
		*why = "this creation cannot stop at that state";
		return -EINVAL;
	}
	if (dm_sync_restore_is_from(s, NULL) &&
	    after.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED) {
		*why = "the source is being restored";
		return -EBUSY;
	}
	if (READ_ONCE(s->full) && after.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED) {
		*why = "the store is full, and writes to the source wait for space";
		return -EBUSY;
	}
	return 0;
}

static int create(struct image_request *req)
{
	struct dm_sync_store *s = req->store;
	struct dm_sync_step first, after;
	struct dm_sync_image *image;
	int r, nr;

	if (name_in_use(s, req->name)) {
		req->why = "there is an image of this name already";
		return -EEXIST;
	}
	r = may_create(s, req->stop_at, &req->why);
	if (r)
		return r;
	nr = free_record(s);
	if (nr < 0) {
		req->why = "the store has as many images as it can have";
		return -ENOSPC;
	}
	image = dm_sync_image_alloc(s, nr, req->name);
	if (!image)
		return -ENOMEM;
	generate_random_uuid(image->pair.uuid);
	image->established = dm_sync_now();
	dm_sync_create_step(&image->pair.state, req->stop_at, false, &first, &after);
	set_step(image, &first);
	r = make_durable(image, &after, req->force, &req->why);
	if (r) {
		dm_sync_pair_put(&image->pair);
		return r;
	}
	set_step(image, &after);
	dm_sync_pair_get(&image->pair);
	req->image = image;
	dm_sync_image_register(image);
	return 0;
}

static void do_create(struct work_struct *work)
{
	struct image_request *req = container_of(work, struct image_request, work);
	unsigned int noio = memalloc_noio_save();

	request_done(req, create(req));
	memalloc_noio_restore(noio);
}

/* What can be said without the conductor. */
static int first_opinion(struct dm_sync_store *s, const char *name, u32 stop_at,
			 const char **why)
{
	struct dm_sync_image *other;

	if (!dm_sync_image_name_ok(name)) {
		*why = "an image's name is 1 to 63 letters, digits, and any of . _ + -";
		return -EINVAL;
	}
	other = dm_sync_image_find(s, name);
	if (other) {
		dm_sync_pair_put(&other->pair);
		*why = "there is an image of this name already";
		return -EEXIST;
	}
	return may_create(s, stop_at, why);
}

/**
 * dm_sync_image_create - a new image of a store's source
 * @s: the store
 * @name: of the image: 1 to 63 letters, digits and . _ + -
 * @stop_at: enum dm_sync_copy_state to stop at; 0: Synchronized, with the point in time
 *	of this moment
 * @flags: DM_SYNC_OP_FORCE: also when a file system on the source door cannot be
 *	frozen; DM_SYNC_OP_DRY_RUN
 * @created: out: the image, counted, when there is one now
 * @why: out: a constant sentence when refused
 *
 * Context: may sleep; no lock held.
 * Return: 0; -EINVAL, -EEXIST, -ENOSPC (too many images), -EBUSY, -ETIMEDOUT, -ENOMEM, or
 * the error of a device, and there is no new image; -EINTR when killed while waiting
 * (there may be one).
 */
int dm_sync_image_create(struct dm_sync_store *s, const char *name, u32 stop_at, u32 flags,
			 struct dm_sync_image **created, const char **why)
{
	struct image_request *req;
	int r = first_opinion(s, name, stop_at, why);

	*created = NULL;
	if (r || (flags & DM_SYNC_OP_DRY_RUN))
		return r;
	req = request_alloc(s, do_create);
	if (!req)
		return -ENOMEM;
	strscpy(req->name, name, sizeof(req->name));
	req->stop_at = stop_at;
	req->force = flags & DM_SYNC_OP_FORCE;

	spin_lock_irq(&s->io_lock);
	request_queue(req, s->live);
	spin_unlock_irq(&s->io_lock);
	r = request_wait(req, why);
	if (!r) {
		*created = req->image;
		dm_sync_pair_get(&req->image->pair);
	}
	kref_put(&req->ref, request_free);
	return r;
}
