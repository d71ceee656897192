// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mirrors: contexts, what they report of themselves, settings.
 *
 * A context lives as long as a table instance or a reader holds it.  Contexts
 * with metadata are keyed by the metadata device, so two table instances of
 * one mapped device share one (rule L); contexts without are keyed by their
 * mapped device.
 */
#include <linux/sched/mm.h>

#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

static LIST_HEAD(contexts);		/* and their tables count: dm_sync_registry_lock */

struct workqueue_struct *dm_sync_demand_wq;

static const struct dm_sync_pair_ops mirror_ops;

/*----------------------------------------------------------------
 * Making and freeing
 *--------------------------------------------------------------*/

static void mirror_free_queues(struct dm_sync_mirror *m)
{
	if (m->io_wq)
		destroy_workqueue(m->io_wq);
	if (m->conductor)
		destroy_workqueue(m->conductor);
}

static void mirror_release(struct dm_sync_pair *pair)
{
	struct dm_sync_mirror *m = to_mirror(pair);

	cancel_work_sync(&m->clone.work);
	cancel_work_sync(&m->clone.flush_work);
	mirror_free_queues(m);
	dm_sync_mirror_unload(m);
	dm_sync_resync_free(m);
	dm_sync_gate_exit(&m->gate);
	bioset_exit(&m->bs);
	dm_sync_meta_exit(&m->meta);
	free_percpu(m->counts);
	kfree_rcu(m, pair.rcu);
}

/* Queues, pools and counters that every pair needs, active or not. */
static int mirror_init_pools(struct dm_sync_mirror *m)
{
	int r = -ENOMEM;

	m->counts = alloc_percpu(struct dm_sync_counts);
	m->io_wq = alloc_workqueue("dm_sync_io", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	m->conductor = alloc_ordered_workqueue("dm_sync", WQ_MEM_RECLAIM);
	if (!m->counts || !m->io_wq || !m->conductor)
		goto bad_queues;
	r = bioset_init(&m->bs, BIO_POOL_SIZE, 0, BIOSET_NEED_RESCUER);
	if (r)
		goto bad_queues;
	r = dm_sync_meta_init(&m->meta);
	if (r)
		goto bad_meta;
	r = dm_sync_gate_init(&m->gate);
	if (r)
		goto bad_gate;
	r = dm_sync_resync_alloc(m);
	if (r)
		goto bad_resync;
	return 0;

bad_resync:
	dm_sync_resync_free(m);
	dm_sync_gate_exit(&m->gate);
bad_gate:
	dm_sync_meta_exit(&m->meta);
bad_meta:
	bioset_exit(&m->bs);
bad_queues:
	mirror_free_queues(m);
	free_percpu(m->counts);
	return r;
}

static struct dm_sync_mirror *mirror_alloc(void)
{
	struct dm_sync_mirror *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	if (mirror_init_pools(m)) {
		kfree(m);
		return NULL;
	}
	dm_sync_pair_init(&m->pair, &mirror_ops);
	init_waitqueue_head(&m->door_idle);
	bio_list_init(&m->door_marks);
	bio_list_init(&m->door_committing);
	dm_sync_io_init(m);
	dm_sync_commit_init(m);
	dm_sync_ops_init(m);
	dm_sync_resync_init(m);
	dm_sync_clone_init(m);
	return m;
}

/*----------------------------------------------------------------
 * Contexts
 *--------------------------------------------------------------*/

static bool context_matches(struct dm_sync_mirror *m, struct dm_target *ti,
			    dev_t source, dev_t replica, dev_t meta,
			    const struct dm_sync_config *c)
{
	if (meta)
		return m->pair.meta_dev == meta;
	return !m->pair.meta_dev && m->pair.source_dev == source &&
	       m->pair.replica_dev == replica && m->sectors == ti->len &&
	       1u << m->region_shift == c->region_sectors;
}

static dev_t number_of(const struct block_device *bdev)
{
	return bdev ? bdev->bd_dev : 0;
}

static struct dm_sync_mirror *context_find(struct dm_target *ti,
					   const struct dm_sync_devices *dev,
					   const struct dm_sync_config *c)
{
	dev_t source = dev->source->bd_dev, replica = dev->replica->bd_dev;
	struct mapped_device *md = dm_table_get_md(ti->table);
	dev_t meta = number_of(dev->meta);
	const char *conflict = dm_sync_claim_conflict(md, source, replica, meta,
						      number_of(dev->delta), false);
	struct dm_sync_mirror *m, *found = NULL;

	if (conflict) {
		ti->error = (char *)conflict;
		return ERR_PTR(-EBUSY);
	}
	list_for_each_entry(m, &contexts, list)
		if (m->pair.md == md && context_matches(m, ti, source, replica, meta, c))
			found = m;
	return found;
}

static void mirror_retire(struct dm_sync_claim *claim)
{
	struct dm_sync_mirror *m = container_of(claim, struct dm_sync_mirror, claim);

	if (m->pair.id)
		dm_sync_pair_unregister(&m->pair);
}

static void claim_devices(struct dm_sync_mirror *m)
{
	m->claim.md = m->pair.md;
	m->claim.source = &m->pair.source_dev;
	m->claim.replica = &m->pair.replica_dev;
	m->claim.meta = &m->pair.meta_dev;
	m->claim.delta = &m->delta_dev;
	m->claim.retire = mirror_retire;
	dm_sync_claim_add(&m->claim);
}

/**
 * dm_sync_mirror_attach - the context for a table instance
 * @ti: the instance, being constructed
 * @dev: its devices
 * @c: what the table line says
 *
 * Reads and writes nothing on any device (rule L).
 *
 * Context: constructor; may sleep.
 * Return: a counted context, or an error with ti->error set.
 */
struct dm_sync_mirror *dm_sync_mirror_attach(struct dm_target *ti,
					     const struct dm_sync_devices *dev,
					     const struct dm_sync_config *c)
{
	struct dm_sync_mirror *m;
	unsigned int noio;

	mutex_lock(&dm_sync_registry_lock);
	m = context_find(ti, dev, c);
	if (IS_ERR(m))
		goto out;
	if (!m) {
		/* Reclaim could need a pair that is just being resumed. */
		noio = memalloc_noio_save();
		m = mirror_alloc();
		memalloc_noio_restore(noio);
		if (!m) {
			ti->error = "Cannot allocate the pair";
			m = ERR_PTR(-ENOMEM);
			goto out;
		}
		m->pair.md = dm_table_get_md(ti->table);
		m->pair.door = disk_devt(dm_disk(m->pair.md));
		m->pair.meta_dev = number_of(dev->meta);
		m->pair.source_dev = dev->source->bd_dev;
		m->pair.replica_dev = dev->replica->bd_dev;
		m->delta_dev = number_of(dev->delta);
		m->is_clone = c->sync_type == DM_SYNC_SYNC_TYPE_CLONE;
		m->sectors = ti->len;
		m->region_shift = __ffs(c->region_sectors);
		claim_devices(m);
		list_add_tail(&m->list, &contexts);
	} else if (m->is_clone != (c->sync_type == DM_SYNC_SYNC_TYPE_CLONE)) {
		ti->error = "A mirror cannot become a clone by a reload, nor a clone a mirror";
		m = ERR_PTR(-EINVAL);
		goto out;
	} else if (m->delta_dev != number_of(dev->delta)) {
		ti->error = "The delta device of a pair in use cannot be changed by a reload";
		m = ERR_PTR(-EINVAL);
		goto out;
	} else if (m->loaded && (m->sectors != ti->len ||
				 m->super.region_sectors != c->region_sectors)) {
		/* Here, and not at resume, where it would take the live table's place. */
		ti->error = "Size and region size of a pair with metadata cannot be changed by a reload";
		m = ERR_PTR(-EINVAL);
		goto out;
	} else {
		dm_sync_pair_get(&m->pair);
	}
	m->tables++;
out:
	mutex_unlock(&dm_sync_registry_lock);
	return m;
}

/**
 * dm_sync_mirror_detach - a table instance goes
 * @m: its context
 *
 * The last one takes the pair out of sight.
 *
 * Context: destructor; may sleep.
 */
void dm_sync_mirror_detach(struct dm_sync_mirror *m)
{
	bool last;

	mutex_lock(&dm_sync_registry_lock);
	last = !--m->tables;
	if (last) {
		dm_sync_claim_del(&m->claim);
		list_del(&m->list);
	}
	mutex_unlock(&dm_sync_registry_lock);
	if (last) {
		dm_sync_pair_unregister(&m->pair);
		/*
		 * The door refuses new I/O, and what waits in there for a
		 * mark fails; what is under way uses our devices.
		 */
		if (m->loaded)
			dm_sync_commit_kick(m);
		dm_sync_clone_gone(m);
		wait_event_timeout(m->door_idle, !atomic_read(&m->door_users),
				   DM_SYNC_DRAIN_SECONDS * HZ);
		dm_sync_resync_wait(m);
		flush_workqueue(m->io_wq);
		flush_workqueue(m->conductor);
		cancel_delayed_work_sync(&m->probe_work);
		cancel_delayed_work_sync(&m->hold_work);
		flush_workqueue(m->conductor);
	}
	dm_sync_pair_put(&m->pair);
}

/**
 * dm_sync_mirror_register - make an activated mirror visible, if it is not yet
 * @m: the mirror
 *
 * Context: resume; may sleep.
 */
void dm_sync_mirror_register(struct dm_sync_mirror *m)
{
	struct kobject *disk = &disk_to_dev(dm_disk(m->pair.md))->kobj;

	if (m->pair.id || m->pair.gone || m->passthrough)
		return;
	dm_sync_claim_retire(&m->claim);
	dm_sync_pair_register(&m->pair, disk, "dm-sync");
}

/**
 * dm_sync_mirror_identify - the pair's uuid, made or found
 * @m: the mirror
 * @uuid: 16 bytes
 *
 * Context: preresume.
 */
void dm_sync_mirror_identify(struct dm_sync_mirror *m, const u8 *uuid)
{
	memcpy(m->meta.uuid, uuid, 16);
	memcpy(m->pair.uuid, uuid, 16);
}

/*----------------------------------------------------------------
 * What it reports of itself.  All of this under pair->lock.
 *--------------------------------------------------------------*/

/* What is still to be copied; when a pair was cut off, what a resync would copy. */
static u64 marked_regions(struct dm_sync_mirror *m)
{
	u8 state = m->pair.state.copy_state;
	bool cut = state == DM_SYNC_COPY_STATE_FRACTURED || state == DM_SYNC_COPY_STATE_SPLIT;

	if (m->is_clone && (!cut || m->redirect))
		return dm_sync_map_count(m->uncopied_map);
	return min(dm_sync_map_count(m->source_map) + dm_sync_map_count(m->replica_map),
		   m->nr_regions);
}

/* Of the class's fields, those that take more than the state. */
static void info_class(struct dm_sync_mirror *m, const struct dm_sync_facts *f,
		       struct dm_sync_info *info)
{
	u64 now = dm_sync_now();

	info->percent = dm_sync_derive_percent(&m->pair.state, f, m->nr_regions,
					       m->loaded ? marked_regions(m) : m->nr_regions);
	info->rpo_objective = m->is_clone ? DM_SYNC_NULL : 0;
	info->rpo_measured = 0;
	if (!info->sync_maintained && !m->is_clone) {
		u64 since = m->synced_until ?: m->super.established;

		info->rpo_measured = min_t(u64, div_u64(now > since ? now - since : 0,
							NSEC_PER_SEC), U16_MAX);
	}
}

static void info_sizes(struct dm_sync_mirror *m, struct dm_sync_info *info)
{
	info->size = (u64)m->sectors << SECTOR_SHIFT;
	info->region_size = 1ULL << (m->region_shift + SECTOR_SHIFT);
	info->regions = m->nr_regions;
}

static void info_settings(struct dm_sync_mirror *m, struct dm_sync_info *info)
{
	info->hold_max = m->hold_max;
	info->hold = m->hold;
	info->recovery = m->recovery;
}

static void info_copy(struct dm_sync_mirror *m, struct dm_sync_info *info)
{
	struct dm_sync_resync *rs = &m->resync;

	spin_lock(&rs->lock);
	info->total = rs->total;
	info->done = rs->done;
	info->copy_started = rs->started;
	info->rate = rs->running ? dm_sync_pace_rate(&rs->pace, ktime_get_ns()) : 0;
	info->limit = rs->pace.rate;
	info->limited_by = rs->running ? rs->pace.limited_by : DM_SYNC_LIMITED_BY_NOTHING;
	info->read_bytes = rs->read_bytes;
	info->written_bytes = rs->written_bytes;
	info->skipped_bytes = rs->skipped_bytes;
	spin_unlock(&rs->lock);
}

static void info_delta(struct dm_sync_mirror *m, struct dm_sync_info *info)
{
	struct dm_sync_delta *d = m->delta;

	if (!d)
		return;
	info->slots = d->nr_slots;
	info->store_size = (u64)d->sectors << SECTOR_SHIFT;
	info->store_free = (u64)(d->nr_slots - READ_ONCE(d->nr_used)) <<
			   (m->region_shift + SECTOR_SHIFT);
}

static void info_counters(struct dm_sync_mirror *m, struct dm_sync_info *info)
{
	dm_sync_io_inflight(m, &info->host_reads, &info->host_writes);
	info->reads_from_replica = atomic64_read(&m->reads_from_replica);
	info->source_errors = atomic64_read(&m->source_errors);
	info->replica_errors = atomic64_read(&m->replica_errors);
	info->metadata_writes = atomic64_read(&m->meta.writes);
	info->held = m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED ?
		     dm_sync_gate_parked(&m->gate) + READ_ONCE(m->clone.nr_held) : 0;
	if (!m->loaded)
		return;
	info_delta(m, info);
	info->source_changed = dm_sync_map_count(m->source_map);
	info->replica_changed = dm_sync_map_count(m->replica_map);
	dm_sync_activity_stats(m->activity, &info->activity_hits, &info->activity_misses);
}

static void mirror_info(struct dm_sync_pair *pair, const struct dm_sync_facts *f,
			struct dm_sync_info *info)
{
	struct dm_sync_mirror *m = to_mirror(pair);

	info_class(m, f, info);
	info_sizes(m, info);
	info_settings(m, info);
	info_copy(m, info);
	info_counters(m, info);
}

/**
 * dm_sync_facts_now - the facts, with those that are computed
 * @m: the mirror
 * @f: out
 *
 * Context: m->pair.lock held.
 */
void dm_sync_facts_now(struct dm_sync_mirror *m, struct dm_sync_facts *f)
{
	*f = m->pair.facts;
	/* What hosts wrote through the replica door is in the replica map. */
	if (m->loaded && !m->is_clone && !m->redirect && dm_sync_map_count(m->replica_map))
		f->replica_consistent = false;
	f->replica_written = m->loaded && m->is_clone && dm_sync_map_count(m->replica_map);
	f->source_ok = true;	/* tried is known */
	f->held_writes = dm_sync_gate_parked(&m->gate);
	f->nothing_marked = m->loaded && !dm_sync_map_count(m->source_map) &&
			    !dm_sync_map_count(m->replica_map) &&
			    !dm_sync_map_count(m->copy_map);
}

static void mirror_facts(struct dm_sync_pair *pair, struct dm_sync_facts *f)
{
	dm_sync_facts_now(to_mirror(pair), f);
}

static struct dm_table *mirror_table(struct dm_sync_pair *pair)
{
	struct dm_target *ti = to_mirror(pair)->ti;

	return ti ? ti->table : NULL;
}

/*----------------------------------------------------------------
 * Settings
 *--------------------------------------------------------------*/

/* Takes effect at the next piece. */
static int set_priority(struct dm_sync_mirror *m, u64 priority, const char **why)
{
	if (priority > DM_SYNC_COPY_PRIORITY_HIGH) {
		*why = "copy priority is none, low, same or high (0 to 3)";
		return -EINVAL;
	}
	spin_lock_irq(&m->pair.lock);
	m->pair.state.priority = priority;
	spin_unlock_irq(&m->pair.lock);
	spin_lock_irq(&m->resync.lock);
	dm_sync_pace_set_priority(&m->resync.pace, ktime_get_ns(), priority);
	spin_unlock_irq(&m->resync.lock);
	return 0;
}

static int set_limit(struct dm_sync_mirror *m, u64 bytes_per_second)
{
	spin_lock_irq(&m->resync.lock);
	dm_sync_pace_set_rate(&m->resync.pace, ktime_get_ns(), bytes_per_second);
	spin_unlock_irq(&m->resync.lock);
	return 0;
}

/* Writes are being held; under pair->lock. */
static bool holds_now(struct dm_sync_mirror *m)
{
	return m->pair.live && m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED &&
	       !m->hold_released;
}

/* Held they are from the next Suspend on; to let them pass takes effect at once. */
static int set_hold(struct dm_sync_mirror *m, u64 hold, const char **why)
{
	if (hold > DM_SYNC_HOLD_TRACK) {
		*why = "hold is queue (0) or track (1)";
		return -EINVAL;
	}
	spin_lock_irq(&m->pair.lock);
	m->hold = hold;
	if (hold && holds_now(m))
		mod_delayed_work(m->conductor, &m->hold_work, 0);
	spin_unlock_irq(&m->pair.lock);
	return 0;
}

/* For writes that are held already, it counts from now. */
static int set_hold_max(struct dm_sync_mirror *m, u64 seconds, const char **why)
{
	if (!seconds || seconds > DM_SYNC_HOLD_LIMIT) {
		*why = "hold_max is 1 to 3600 seconds";
		return -EINVAL;
	}
	spin_lock_irq(&m->pair.lock);
	m->hold_max = seconds;
	if (holds_now(m))
		mod_delayed_work(m->conductor, &m->hold_work, seconds * HZ);
	spin_unlock_irq(&m->pair.lock);
	return 0;
}

/* What follows when a failed replica returns. */
static int set_recovery(struct dm_sync_mirror *m, u64 recovery, const char **why)
{
	if (recovery > DM_SYNC_RECOVERY_MANUAL) {
		*why = "recovery is auto (0) or manual (1)";
		return -EINVAL;
	}
	spin_lock_irq(&m->pair.lock);
	m->recovery = recovery;
	spin_unlock_irq(&m->pair.lock);
	return 0;
}

static int set_one(struct dm_sync_mirror *m, enum dm_sync_setting setting, u64 value,
		   const char **why)
{
	switch (setting) {
	case DM_SYNC_SETTING_PRIORITY:
		return set_priority(m, value, why);
	case DM_SYNC_SETTING_LIMIT:
		return set_limit(m, value);
	case DM_SYNC_SETTING_HOLD:
		return set_hold(m, value, why);
	case DM_SYNC_SETTING_HOLD_MAX:
		return set_hold_max(m, value, why);
	case DM_SYNC_SETTING_RECOVERY:
		return set_recovery(m, value, why);
	default:
		*why = "a mirror has no such setting";
		return -EOPNOTSUPP;
	}
}

static int mirror_set(struct dm_sync_pair *pair, enum dm_sync_setting setting, u64 value,
		      const char **why)
{
	struct dm_sync_mirror *m = to_mirror(pair);
	int r = set_one(m, setting, value, why);

	if (!r)
		dm_sync_resync_kick(m);
	return r;
}

static const struct dm_sync_pair_ops mirror_ops = {
	.release = mirror_release,
	.facts = mirror_facts,
	.info = mirror_info,
	.table = mirror_table,
	.operate = dm_sync_mirror_operate,
	.set = mirror_set,
};

/*----------------------------------------------------------------
 * Module
 *--------------------------------------------------------------*/

int dm_sync_mirror_module_init(void)
{
	dm_sync_demand_wq = alloc_workqueue("dm_sync_demand",
					    WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return dm_sync_demand_wq ? 0 : -ENOMEM;
}

void dm_sync_mirror_module_exit(void)
{
	destroy_workqueue(dm_sync_demand_wq);
}
