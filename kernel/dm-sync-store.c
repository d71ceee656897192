// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshot stores: contexts and their life.
 *
 * A context is a store device and the door that uses it. It lives as long as a table
 * instance, an image's pair or a reader holds it, and is shared by all table instances
 * of the door that name the device (rule L): what was read once is kept over a suspend
 * and a reload, for the disk cannot know more than we do.
 *
 *	attach		constructor: found or made; nothing is read
 *	activate	preresume. The first time everything is read
 *			(dm-sync-store-load.c); later the device may have grown. Then the
 *			superblock: not clean, ids ahead. From here on blocks are written.
 *	resume		images are visible, what waited is committed
 *	presuspend	nothing waits any more: for space, for a Suspended image, for a
 *			point in time
 *	postsuspend	no host I/O on the source. Nothing is written from here on, and
 *			the superblock says so: clean, and which batch was the last
 *	detach		destructor: the last one takes the images out of sight
 *
 * Between postsuspend and activate s->armed is false. Images stay readable through their
 * doors, as reading needs no metadata; so do own writes to slots that an image has
 * already. First writes wait, in the committer's list, until the store is activated, or
 * fail when it goes.
 *
 * Locks: the registry lock for the list of contexts and their tables; commit_lock for all
 * that is loaded; the four stations exclude each other, being device-mapper's.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "dm-sync-store.h"

#define DM_MSG_PREFIX "sync"

#define COMMIT_BIOS	4

static LIST_HEAD(stores);	/* registry lock */

/*----------------------------------------------------------------
 * Making and freeing
 *--------------------------------------------------------------*/

static void free_queues(struct dm_sync_store *s)
{
	if (s->io_wq)
		destroy_workqueue(s->io_wq);
	if (s->conductor)
		destroy_workqueue(s->conductor);
	if (s->restore_wq)
		destroy_workqueue(s->restore_wq);
	dm_sync_patience_stop(s);
}

static void free_pools(struct dm_sync_store *s)
{
	free_queues(s);
	dm_sync_cow_exit(s);
	dm_sync_gate_exit(&s->gate);
	bioset_exit(&s->commit_bs);
	dm_sync_meta_exit(&s->meta);
}

static void store_release(struct kref *ref)
{
	struct dm_sync_store *s = container_of(ref, struct dm_sync_store, ref);

	/* Whoever may still look an image's view up came before the last reference went. */
	synchronize_rcu();
	free_pools(s);
	dm_sync_store_unload(s);
	kfree(s);
}

/**
 * dm_sync_store_get - another user
 * @s: the store, counted
 *
 * Context: any.
 */
void dm_sync_store_get(struct dm_sync_store *s)
{
	kref_get(&s->ref);
}

/**
 * dm_sync_store_put - one user less
 * @s: the store; gone with the last one
 *
 * Context: may sleep; not from one of the store's queues.
 */
void dm_sync_store_put(struct dm_sync_store *s)
{
	kref_put(&s->ref, store_release);
}

static int init_pools(struct dm_sync_store *s)
{
	int r;

	s->io_wq = alloc_workqueue("dm_sync_store", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	s->conductor = alloc_ordered_workqueue("dm_sync", WQ_MEM_RECLAIM);
	s->restore_wq = alloc_ordered_workqueue("dm_sync_restore", WQ_MEM_RECLAIM);
	if (!s->io_wq || !s->conductor || !s->restore_wq) {
		free_queues(s);
		return -ENOMEM;
	}
	r = dm_sync_gate_init(&s->gate);
	if (r) {
		free_queues(s);
		return r;
	}
	r = dm_sync_meta_init(&s->meta);
	if (!r)
		r = bioset_init(&s->commit_bs, COMMIT_BIOS, 0, BIOSET_NEED_BVECS);
	if (!r)
		r = dm_sync_cow_init(s);
	if (r)
		free_pools(s);
	return r;
}

static struct dm_sync_store *store_alloc(void)
{
	struct dm_sync_store *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	kref_init(&s->ref);
	INIT_LIST_HEAD(&s->visible);
	dm_sync_store_commit_init(s);
	if (init_pools(s)) {
		kfree(s);
		return NULL;
	}
	return s;
}

/*----------------------------------------------------------------
 * Contexts
 *--------------------------------------------------------------*/

static void store_retire(struct dm_sync_claim *claim)
{
	struct dm_sync_store *s = container_of(claim, struct dm_sync_store, claim);

	dm_sync_images_unregister(s);
}

static struct dm_sync_store *context_find(struct mapped_device *md, dev_t store)
{
	struct dm_sync_store *s;

	list_for_each_entry(s, &stores, list)
		if (s->md == md && s->store_dev == store)
			return s;
	return NULL;
}

static struct dm_sync_store *context_make(struct dm_target *ti, dev_t source, dev_t store,
					  const struct dm_sync_config *c)
{
	struct dm_sync_store *s;
	unsigned int noio;

	/* Reclaim could need a store that is just being resumed. */
	noio = memalloc_noio_save();
	s = store_alloc();
	memalloc_noio_restore(noio);
	if (!s)
		return NULL;
	s->md = dm_table_get_md(ti->table);
	s->door = disk_devt(dm_disk(s->md));
	s->source_dev = source;
	s->store_dev = store;
	s->sectors = ti->len;
	s->chunk_shift = __ffs(c->region_sectors);
	s->claim.md = s->md;
	s->claim.source = &s->source_dev;
	s->claim.replica = &s->store_dev;
	s->claim.store = true;
	s->claim.retire = store_retire;
	dm_sync_claim_add(&s->claim);
	list_add_tail(&s->list, &stores);
	return s;
}

static struct dm_sync_store *attach(struct dm_target *ti, dev_t source, dev_t store,
				    const struct dm_sync_config *c)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	const char *why = dm_sync_claim_conflict(md, source, store, 0, 0, true);
	struct dm_sync_store *s;

	if (why) {
		ti->error = (char *)why;
		return ERR_PTR(-EBUSY);
	}
	s = context_find(md, store);
	if (!s) {
		s = context_make(ti, source, store, c);
		if (s)
			return s;
		ti->error = "Cannot allocate the store";
		return ERR_PTR(-ENOMEM);
	}
	if (s->sectors != ti->len || 1u << s->chunk_shift != c->region_sectors) {
		/* Here, and not at resume, where it would take the live table's place. */
		ti->error = "Size and chunk size of a store cannot be changed by a reload";
		return ERR_PTR(-EINVAL);
	}
	dm_sync_store_get(s);
	return s;
}

/**
 * dm_sync_store_attach - the context for a table instance
 * @ti: the instance, being constructed
 * @source: device
 * @bdev: the store's device
 * @c: what the table line says
 *
 * Reads and writes nothing on any device (rule L).
 *
 * Context: constructor; may sleep.
 * Return: a counted context, or an error with ti->error set.
 */
struct dm_sync_store *dm_sync_store_attach(struct dm_target *ti, struct block_device *source,
					   struct block_device *bdev,
					   const struct dm_sync_config *c)
{
	struct dm_sync_store *s;

	mutex_lock(&dm_sync_registry_lock);
	s = attach(ti, source->bd_dev, bdev->bd_dev, c);
	if (!IS_ERR(s))
		s->tables++;
	mutex_unlock(&dm_sync_registry_lock);
	return s;
}

/**
 * dm_sync_store_detach - a table instance goes
 * @s: its context
 *
 * With the last one the images go out of sight. Their doors have devices of their own
 * and go on reading; first writes fail.
 *
 * Context: destructor; may sleep.
 */
void dm_sync_store_detach(struct dm_sync_store *s)
{
	bool last;

	mutex_lock(&dm_sync_registry_lock);
	last = !--s->tables;
	if (last) {
		list_del(&s->list);
		dm_sync_claim_del(&s->claim);
		WRITE_ONCE(s->gone, true);
	}
	mutex_unlock(&dm_sync_registry_lock);
	if (last) {
		dm_sync_store_kick(s);
		dm_sync_images_unregister(s);
		dm_sync_store_stop_timers(s);
		flush_workqueue(s->conductor);
		flush_workqueue(s->io_wq);
	}
	dm_sync_store_put(s);
}

/**
 * dm_sync_store_find_door - the store behind a source door
 * @door: device number
 *
 * Of several it is the one that is active, or will be: the youngest.
 *
 * Context: may sleep; takes the registry lock.
 * Return: a counted store, or NULL.
 */
struct dm_sync_store *dm_sync_store_find_door(dev_t door)
{
	struct dm_sync_store *s, *found = NULL;

	mutex_lock(&dm_sync_registry_lock);
	list_for_each_entry(s, &stores, list)
		if (s->door == door && (!found || !found->ti))
			found = s;
	if (found)
		dm_sync_store_get(found);
	mutex_unlock(&dm_sync_registry_lock);
	return found;
}

/*----------------------------------------------------------------
 * The four stations
 *--------------------------------------------------------------*/

/* What a load that failed has left. */
static void forget_load(struct dm_sync_store *s)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++)
		if (s->image[i])
			RCU_INIT_POINTER(s->image[i]->view, NULL);
	dm_sync_images_unregister(s);
	dm_sync_store_unload(s);
}

static int load_once(struct dm_sync_store *s, const struct dm_sync_config *c,
		     const char **why)
{
	int r;

	if (s->loaded) {
		if (c->format)
			DMWARN("%s: format is ignored, as the store is in use: remove the device first",
			       s->name);
		return dm_sync_store_grow(s, why);
	}
	r = dm_sync_store_load(s, c, why);
	s->loaded = !r;
	return r;
}

/**
 * dm_sync_store_activate - load the store, or take it up again
 * @s: the store
 * @ti: the table instance that becomes live
 * @source: its device
 * @bdev: the store's device
 * @c: what its table line says
 *
 * Context: preresume; may sleep; no host I/O on the source.
 * Return: 0 or a negative errno, with the reason logged; the device then stays
 * suspended, and nothing was changed but for a format that was under way.
 */
int dm_sync_store_activate(struct dm_sync_store *s, struct dm_target *ti,
			   struct block_device *source, struct block_device *bdev,
			   struct dm_sync_config *c)
{
	const char *why = "not enough memory";
	int r;

	dm_copy_name_and_uuid(s->md, s->name, NULL);
	mutex_lock(&s->commit_lock);
	s->ti = ti;
	s->source = source;
	s->source_dev = source->bd_dev;
	s->bdev = s->meta.bdev = bdev;
	s->fua = bdev_fua(bdev) || !bdev_write_cache(bdev);
	r = load_once(s, c, &why);
	if (!r)
		r = dm_sync_store_arm(s, &why);
	if (!r)
		s->config = c;
	mutex_unlock(&s->commit_lock);
	if (r) {
		DMERR("%s: cannot activate: %s", s->name, why);
		if (!s->loaded)
			forget_load(s);
		s->ti = NULL;
		return r;
	}
	c->format = false;		/* once */
	return 0;
}

/**
 * dm_sync_store_resume - let it run
 * @s: the store, activated
 *
 * Context: resume; may sleep; host I/O comes when it returns.
 */
void dm_sync_store_resume(struct dm_sync_store *s)
{
	dm_sync_claim_retire(&s->claim);
	dm_sync_store_let_go(s, false, false);	/* and kicks: own writes may have waited */
	dm_sync_store_start_timers(s);
	dm_sync_images_register(s);
	dm_sync_restore_pause(s, false);
}

/**
 * dm_sync_store_presuspend - stop what would keep host I/O from ending
 * @s: the store
 *
 * Context: presuspend; host I/O still comes; may sleep.
 */
void dm_sync_store_presuspend(struct dm_sync_store *s)
{
	dm_sync_restore_pause(s, true);
	/* First, since the conductor may be waiting for writes that wait for space. */
	dm_sync_store_let_go(s, true, dm_noflush_suspending(s->ti));
	dm_sync_images_stop(s);
	/* Again, since the conductor may have come to begin a restore. */
	dm_sync_restore_pause(s, true);
}

/**
 * dm_sync_store_presuspend_undo - the suspend does not come after all
 * @s: the store
 *
 * Context: presuspend_undo; host I/O goes on; may sleep.
 */
void dm_sync_store_presuspend_undo(struct dm_sync_store *s)
{
	dm_sync_store_let_go(s, false, false);
	dm_sync_images_restart(s);
	dm_sync_restore_pause(s, false);
}

/**
 * dm_sync_store_postsuspend - no host I/O on the source any more: a clean end
 * @s: the store
 *
 * Context: postsuspend; may sleep.
 */
void dm_sync_store_postsuspend(struct dm_sync_store *s)
{
	if (s->loaded) {
		flush_workqueue(s->conductor);
		dm_sync_restore_flush(s);
		mutex_lock(&s->commit_lock);
		dm_sync_store_disarm(s);
		mutex_unlock(&s->commit_lock);
		dm_sync_store_stop_timers(s);
	}
	s->ti = NULL;
}

/**
 * dm_sync_store_forget_config - a table instance with this configuration goes
 * @s: the store
 * @c: its configuration
 *
 * Context: destructor.
 */
void dm_sync_store_forget_config(struct dm_sync_store *s, struct dm_sync_config *c)
{
	mutex_lock(&s->commit_lock);
	if (s->config == c)
		s->config = NULL;
	mutex_unlock(&s->commit_lock);
}
