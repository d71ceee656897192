// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs: the registry, what is published, settings.
 *
 * A context lives as long as a table instance or a reader holds it.  Contexts
 * with metadata are keyed by the metadata device, so two table instances of
 * one mapped device share one (rule L); contexts without are keyed by their
 * mapped device.
 *
 * Readers find pairs by id in an xarray, under RCU, and take a reference.
 * They see what was published under p->lock and nothing that is being done.
 */
#include <linux/sched/mm.h>
#include <linux/uuid.h>
#include <linux/xarray.h>

#include "dm-sync-mirror.h"
#include "dm-sync-names.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

static DEFINE_MUTEX(registry_lock);	/* protects contexts and their tables count */
static LIST_HEAD(contexts);
static DEFINE_XARRAY_ALLOC1(pairs);
static u32 next_id;		/* an id is not used again soon */
static atomic64_t event_seq;	/* event_lock, for writing */

/*
 * Taken over number, publication and sending of an event, so that listeners
 * meet the numbers in order and without a gap.  Nobody who only reads takes it.
 */
static DEFINE_MUTEX(event_lock);

static atomic_t list_generation = ATOMIC_INIT(1);
static atomic_t nr_pairs;

struct workqueue_struct *dm_sync_demand_wq;

/*----------------------------------------------------------------
 * Contexts
 *--------------------------------------------------------------*/

static void pair_free_queues(struct dm_sync_pair *p)
{
	if (p->io_wq)
		destroy_workqueue(p->io_wq);
	if (p->conductor)
		destroy_workqueue(p->conductor);
}

static void pair_release(struct kref *ref)
{
	struct dm_sync_pair *p = container_of(ref, struct dm_sync_pair, ref);

	pair_free_queues(p);
	dm_sync_pair_unload(p);
	dm_sync_resync_free(p);
	dm_sync_gate_exit(&p->gate);
	bioset_exit(&p->bs);
	dm_sync_meta_exit(&p->meta);
	free_percpu(p->counts);
	kfree_rcu(p, rcu);
}

/* Queues, pools and counters that every pair needs, active or not. */
static int pair_init_pools(struct dm_sync_pair *p)
{
	int r = -ENOMEM;

	p->counts = alloc_percpu(struct dm_sync_counts);
	p->io_wq = alloc_workqueue("dm_sync_io", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	p->conductor = alloc_ordered_workqueue("dm_sync", WQ_MEM_RECLAIM);
	if (!p->counts || !p->io_wq || !p->conductor)
		goto bad_queues;
	r = bioset_init(&p->bs, BIO_POOL_SIZE, 0, BIOSET_NEED_RESCUER);
	if (r)
		goto bad_queues;
	r = dm_sync_meta_init(&p->meta);
	if (r)
		goto bad_meta;
	r = dm_sync_gate_init(&p->gate);
	if (r)
		goto bad_gate;
	r = dm_sync_resync_alloc(p);
	if (r)
		goto bad_resync;
	return 0;

bad_resync:
	dm_sync_resync_free(p);
	dm_sync_gate_exit(&p->gate);
bad_gate:
	dm_sync_meta_exit(&p->meta);
bad_meta:
	bioset_exit(&p->bs);
bad_queues:
	pair_free_queues(p);
	free_percpu(p->counts);
	return r;
}

static struct dm_sync_pair *pair_alloc(void)
{
	struct dm_sync_pair *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	if (pair_init_pools(p)) {
		kfree(p);
		return NULL;
	}
	kref_init(&p->ref);
	spin_lock_init(&p->lock);
	init_waitqueue_head(&p->door_idle);
	bio_list_init(&p->door_marks);
	bio_list_init(&p->door_committing);
	dm_sync_io_init(p);
	dm_sync_commit_init(p);
	dm_sync_ops_init(p);
	dm_sync_resync_init(p);
	return p;
}

/* Would these devices be written by two pairs? */
static const char *device_conflict(struct dm_sync_pair *p, dev_t source,
				   dev_t replica, dev_t meta)
{
	if (p->replica_dev == replica)
		return "The replica is already used by another pair";
	if (p->source_dev == source || p->replica_dev == source || p->meta_dev == source)
		return "The source is already used by another pair";
	if (p->source_dev == replica || p->meta_dev == replica)
		return "The replica is already used by another pair";
	if (meta && (p->source_dev == meta || p->replica_dev == meta ||
		     p->meta_dev == meta))
		return "The metadata device is already used by another pair";
	return NULL;
}

static bool context_matches(struct dm_sync_pair *p, struct dm_target *ti,
			    dev_t source, dev_t replica, dev_t meta,
			    const struct dm_sync_config *c)
{
	if (meta)
		return p->meta_dev == meta;
	return !p->meta_dev && p->source_dev == source &&
	       p->replica_dev == replica && p->sectors == ti->len &&
	       1u << p->region_shift == c->region_sectors;
}

static struct dm_sync_pair *context_find(struct dm_target *ti, dev_t source,
					 dev_t replica, dev_t meta,
					 const struct dm_sync_config *c)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct dm_sync_pair *p, *found = NULL;
	const char *conflict;

	list_for_each_entry(p, &contexts, list) {
		if (p->md == md) {
			if (context_matches(p, ti, source, replica, meta, c))
				found = p;
			continue;
		}
		conflict = device_conflict(p, source, replica, meta);
		if (conflict) {
			ti->error = (char *)conflict;
			return ERR_PTR(-EBUSY);
		}
	}
	return found;
}

/**
 * dm_sync_pair_attach - the context for a table instance
 * @ti: the instance, being constructed
 * @source: device
 * @replica: device
 * @meta: device or NULL
 * @c: what the table line says
 *
 * Reads and writes nothing on any device (rule L).
 *
 * Context: constructor; may sleep.
 * Return: a counted context, or an error with ti->error set.
 */
struct dm_sync_pair *dm_sync_pair_attach(struct dm_target *ti,
					 struct block_device *source,
					 struct block_device *replica,
					 struct block_device *meta,
					 const struct dm_sync_config *c)
{
	dev_t meta_dev = meta ? meta->bd_dev : 0;
	struct dm_sync_pair *p;
	unsigned int noio;

	mutex_lock(&registry_lock);
	p = context_find(ti, source->bd_dev, replica->bd_dev, meta_dev, c);
	if (IS_ERR(p))
		goto out;
	if (!p) {
		/* Reclaim could need a pair that is just being resumed. */
		noio = memalloc_noio_save();
		p = pair_alloc();
		memalloc_noio_restore(noio);
		if (!p) {
			ti->error = "Cannot allocate the pair";
			p = ERR_PTR(-ENOMEM);
			goto out;
		}
		p->md = dm_table_get_md(ti->table);
		p->door = disk_devt(dm_disk(p->md));
		p->meta_dev = meta_dev;
		p->source_dev = source->bd_dev;
		p->replica_dev = replica->bd_dev;
		p->sectors = ti->len;
		p->region_shift = __ffs(c->region_sectors);
		list_add_tail(&p->list, &contexts);
	} else if (p->loaded && (p->sectors != ti->len ||
				 p->super.region_sectors != c->region_sectors)) {
		/* Here, and not at resume, where it would take the live table's place. */
		ti->error = "Size and region size of a pair with metadata cannot be changed by a reload";
		p = ERR_PTR(-EINVAL);
		goto out;
	} else {
		kref_get(&p->ref);
	}
	p->tables++;
out:
	mutex_unlock(&registry_lock);
	return p;
}

/**
 * dm_sync_pair_detach - a table instance goes
 * @p: its context
 *
 * The last one takes the pair out of sight.
 *
 * Context: destructor; may sleep.
 */
void dm_sync_pair_detach(struct dm_sync_pair *p)
{
	bool last;

	mutex_lock(&registry_lock);
	last = !--p->tables;
	if (last)
		list_del(&p->list);
	mutex_unlock(&registry_lock);
	if (last) {
		dm_sync_pair_unregister(p);
		/*
		 * The door refuses new I/O, and what waits in there for a
		 * mark fails; what is under way uses our devices.
		 */
		if (p->loaded)
			dm_sync_commit_kick(p);
		wait_event_timeout(p->door_idle, !atomic_read(&p->door_users),
				   DM_SYNC_DRAIN_SECONDS * HZ);
		dm_sync_resync_wait(p);
		flush_workqueue(p->io_wq);
		flush_workqueue(p->conductor);
		cancel_delayed_work_sync(&p->probe_work);
		cancel_delayed_work_sync(&p->hold_work);
		flush_workqueue(p->conductor);
	}
	dm_sync_pair_put(p);
}

/**
 * dm_sync_pair_get - take another reference
 * @pair: the pair, counted already
 */
void dm_sync_pair_get(struct dm_sync_pair *pair)
{
	kref_get(&pair->ref);
}

/**
 * dm_sync_pair_put - drop a reference
 * @pair: the pair
 *
 * Context: may sleep.
 */
void dm_sync_pair_put(struct dm_sync_pair *pair)
{
	kref_put(&pair->ref, pair_release);
}

/*----------------------------------------------------------------
 * Registry
 *--------------------------------------------------------------*/

static void notify(struct dm_sync_pair *p, u8 cmd, const struct dm_sync_event_record *e)
{
	struct dm_sync_info *info = kmalloc(sizeof(*info), GFP_NOIO);

	if (!info)
		return;		/* the gap in the numbers tells the listener */
	dm_sync_pair_info(p, info);
	info->event_seq = e->seq;
	dm_sync_netlink_event(cmd, info, e);
	kfree(info);
}

/* An event that is not a change of state: creation, removal. */
static void announce(struct dm_sync_pair *p, u8 cmd, u32 cause)
{
	struct dm_sync_event_record e = {
		.time = dm_sync_now(),
		.cause = cause,
	};

	mutex_lock(&event_lock);
	spin_lock_irq(&p->lock);
	e.seq = atomic64_inc_return(&event_seq);
	e.old_copy_state = e.new_copy_state = p->state.copy_state;
	e.old_progress = e.new_progress = p->state.progress;
	e.old_requested = e.new_requested = p->state.requested;
	e.reason = p->reason;
	p->event_seq = e.seq;
	p->history[p->history_next++ % DM_SYNC_HISTORY] = e;
	spin_unlock_irq(&p->lock);
	notify(p, cmd, &e);
	mutex_unlock(&event_lock);
}

/* A reload with other devices or another geometry made a new pair: retire the old. */
static void retire_predecessors(struct dm_sync_pair *p)
{
	struct dm_sync_pair *other;

	mutex_lock(&registry_lock);
	list_for_each_entry(other, &contexts, list)
		if (other != p && other->md == p->md && other->id)
			dm_sync_pair_unregister(other);
	mutex_unlock(&registry_lock);
}

/**
 * dm_sync_pair_register - make an activated pair visible, if it is not yet
 * @p: the pair
 *
 * Context: resume; may sleep.
 */
void dm_sync_pair_register(struct dm_sync_pair *p)
{
	struct kobject *parent = &disk_to_dev(dm_disk(p->md))->kobj;
	u32 id;

	if (p->id || p->gone || p->passthrough)
		return;
	retire_predecessors(p);
	if (xa_alloc_cyclic(&pairs, &id, NULL, XA_LIMIT(1, INT_MAX), &next_id,
			    GFP_KERNEL) < 0) {
		DMERR("%s: no number is left for this pair", p->name);
		return;
	}
	p->id = id;
	xa_store(&pairs, id, p, GFP_KERNEL);	/* in its reserved place: cannot fail */
	atomic_inc(&nr_pairs);
	atomic_inc(&list_generation);
	if (dm_sync_sysfs_add(p, parent, &p->kobj))
		DMWARN("%s: no sysfs directory", p->name);
	announce(p, DM_SYNC_CMD_PAIR_CREATE_NTF, DM_SYNC_EVENT_CAUSE_CREATED);
}

/**
 * dm_sync_pair_unregister - take a pair out of sight; its last event is sent
 * @p: the pair
 *
 * Context: may sleep; not from a sysfs method.
 */
void dm_sync_pair_unregister(struct dm_sync_pair *p)
{
	struct kobject *kobj;

	spin_lock_irq(&p->lock);
	if (p->gone || !p->id) {
		p->gone = true;
		spin_unlock_irq(&p->lock);
		return;
	}
	p->gone = true;
	spin_unlock_irq(&p->lock);

	xa_erase(&pairs, p->id);
	atomic_dec(&nr_pairs);
	atomic_inc(&list_generation);
	announce(p, DM_SYNC_CMD_PAIR_DELETE_NTF, DM_SYNC_EVENT_CAUSE_DELETED);
	mutex_lock(&event_lock);
	kobj = p->kobj;
	p->kobj = NULL;
	mutex_unlock(&event_lock);
	if (kobj)
		dm_sync_sysfs_remove(kobj);
}

/**
 * dm_sync_pair_next - the first pair with an id of at least *@id
 * @id: in: where to start; out: the id found
 *
 * Context: any that may take RCU.
 * Return: a counted pair or NULL.
 */
struct dm_sync_pair *dm_sync_pair_next(u32 *id)
{
	struct dm_sync_pair *p;
	unsigned long index = *id;

	rcu_read_lock();
	p = xa_find(&pairs, &index, INT_MAX, XA_PRESENT);
	while (p && !kref_get_unless_zero(&p->ref)) {
		index++;
		p = xa_find(&pairs, &index, INT_MAX, XA_PRESENT);
	}
	rcu_read_unlock();
	*id = index;
	return p;
}

/**
 * dm_sync_pair_find - the pair with this id
 * @id: id
 *
 * Return: a counted pair or NULL.
 */
struct dm_sync_pair *dm_sync_pair_find(u32 id)
{
	struct dm_sync_pair *p;

	rcu_read_lock();
	p = xa_load(&pairs, id);
	if (p && !kref_get_unless_zero(&p->ref))
		p = NULL;
	rcu_read_unlock();
	return p;
}

/**
 * dm_sync_pair_find_uuid - the pair with this uuid
 * @uuid: 16 bytes
 *
 * Return: a counted pair or NULL.
 */
struct dm_sync_pair *dm_sync_pair_find_uuid(const u8 *uuid)
{
	struct dm_sync_pair *p;
	u32 id = 0;

	while ((p = dm_sync_pair_next(&id))) {
		if (!memcmp(p->meta.uuid, uuid, 16))
			return p;
		dm_sync_pair_put(p);
		id++;
	}
	return NULL;
}

/**
 * dm_sync_pair_find_door - the pair with this source door
 * @door: device number
 *
 * Return: a counted pair or NULL.
 */
struct dm_sync_pair *dm_sync_pair_find_door(dev_t door)
{
	struct dm_sync_pair *p;
	u32 id = 0;

	while ((p = dm_sync_pair_next(&id))) {
		if (p->door == door)
			return p;
		dm_sync_pair_put(p);
		id++;
	}
	return NULL;
}

u32 dm_sync_pair_list_generation(void)
{
	return atomic_read(&list_generation);
}

u64 dm_sync_event_seq(void)
{
	return atomic64_read(&event_seq);
}

u32 dm_sync_pair_count(void)
{
	return atomic_read(&nr_pairs);
}

/*----------------------------------------------------------------
 * What is published
 *--------------------------------------------------------------*/

static u64 marked_regions(struct dm_sync_pair *p)
{
	return min(dm_sync_map_count(p->source_map) + dm_sync_map_count(p->replica_map),
		   p->nr_regions);
}

/* The class's fourteen fields. */
static void info_fields(struct dm_sync_pair *p, struct dm_sync_info *info)
{
	struct dm_sync_facts f;
	u64 now = dm_sync_now();

	dm_sync_facts_now(p, &f);
	info->sync_time = p->sync_time;
	info->sync_maintained = dm_sync_derive_maintained(&p->state);
	info->copy_state = p->state.copy_state;
	info->requested = p->state.requested;
	info->sync_type = p->state.sync_type;
	info->sync_mode = dm_sync_derive_mode(&p->state);
	info->progress = p->state.progress;
	info->percent = dm_sync_derive_percent(&p->state, &f, p->nr_regions,
					       p->loaded ? marked_regions(p) : p->nr_regions);
	info->copy_type = p->state.copy_type;
	info->replica_type = DM_SYNC_REPLICA_TYPE_FULL_COPY;
	info->sync_state = dm_sync_derive_sync_state(&p->state);
	info->priority = p->state.priority;
	info->methodology = dm_sync_derive_methodology(&p->state, &f);
	info->rpo_objective = 0;
	info->rpo_measured = 0;
	if (!info->sync_maintained) {
		u64 since = p->synced_until ?: p->super.established;

		info->rpo_measured = min_t(u64, div_u64(now > since ? now - since : 0,
							NSEC_PER_SEC), U16_MAX);
	}
	info->allowed = dm_sync_allowed_ops(&p->state, &f, &info->allowed_force);
}

static void info_copy(struct dm_sync_pair *p, struct dm_sync_info *info)
{
	struct dm_sync_resync *rs = &p->resync;

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

static void info_counters(struct dm_sync_pair *p, struct dm_sync_info *info)
{
	dm_sync_io_inflight(p, &info->host_reads, &info->host_writes);
	info->reads_from_replica = atomic64_read(&p->reads_from_replica);
	info->source_errors = atomic64_read(&p->source_errors);
	info->replica_errors = atomic64_read(&p->replica_errors);
	info->metadata_writes = atomic64_read(&p->meta.writes);
	info->held = p->state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED ?
		     dm_sync_gate_parked(&p->gate) : 0;
	if (!p->loaded)
		return;
	info->source_changed = dm_sync_map_count(p->source_map);
	info->replica_changed = dm_sync_map_count(p->replica_map);
	dm_sync_activity_stats(p->activity, &info->activity_hits, &info->activity_misses);
}

/**
 * dm_sync_pair_info - everything about a pair, at one instant
 * @pair: the pair
 * @info: out
 *
 * Context: any but an interrupt; takes only spinlocks (rule P).
 */
void dm_sync_pair_info(struct dm_sync_pair *pair, struct dm_sync_info *info)
{
	struct dm_sync_pair *p = pair;

	memset(info, 0, sizeof(*info));
	spin_lock_irq(&p->lock);
	info->id = p->id;
	memcpy(info->uuid, p->meta.uuid, 16);
	strscpy(info->name, p->name, sizeof(info->name));
	info->event_seq = p->event_seq;
	info->generation = p->generation;
	info->door = p->door;
	info->source = p->source_dev;
	info->replica = p->replica_dev;
	info->meta = p->meta_dev;
	info->reason = p->reason;
	info->reason_time = p->reason_time;
	info->door_access = p->door_access;
	info->size = (u64)p->sectors << SECTOR_SHIFT;
	info->region_size = 1ULL << (p->region_shift + SECTOR_SHIFT);
	info->regions = p->nr_regions;
	info->hold_max = p->hold_max;
	info->hold = p->hold;
	info->recovery = p->recovery;
	info_fields(p, info);
	info_copy(p, info);
	info_counters(p, info);
	spin_unlock_irq(&p->lock);
}

/**
 * dm_sync_pair_history - the last changes of state, oldest first
 * @pair: the pair
 * @since: only events with a higher number
 * @records: out
 * @max: room in @records
 *
 * Context: any but an interrupt.
 * Return: how many were written.
 */
unsigned int dm_sync_pair_history(struct dm_sync_pair *pair, u64 since,
				  struct dm_sync_event_record *records,
				  unsigned int max)
{
	u32 first, i;
	unsigned int n = 0;

	spin_lock_irq(&pair->lock);
	first = pair->history_next > DM_SYNC_HISTORY ?
		pair->history_next - DM_SYNC_HISTORY : 0;
	for (i = first; i < pair->history_next && n < max; i++)
		if (pair->history[i % DM_SYNC_HISTORY].seq > since)
			records[n++] = pair->history[i % DM_SYNC_HISTORY];
	spin_unlock_irq(&pair->lock);
	return n;
}

static void log_change(struct dm_sync_pair *p, const struct dm_sync_event_record *e)
{
	const char *state = dm_sync_copy_state_name(e->new_copy_state);
	const char *progress = dm_sync_progress_status_name(e->new_progress);

	if (e->cause == DM_SYNC_EVENT_CAUSE_ERROR)
		DMERR("%s: %s, %s: %s", p->name, state, progress,
		      dm_sync_reason_name(e->reason));
	else if (e->old_copy_state != e->new_copy_state)
		DMINFO("%s: %s, %s", p->name, state, progress);
}

/**
 * dm_sync_publish - a new state: readers see it, listeners hear of it
 * @p: the pair
 * @to: the state; what must be durable already is
 * @cause: enum dm_sync_event_cause
 * @operation: enum dm_sync_operation or 0
 * @reason: enum dm_sync_reason
 *
 * Context: the conductor, or activation; may sleep.
 */
void dm_sync_publish(struct dm_sync_pair *p, const struct dm_sync_step *to,
		     u32 cause, u32 operation, u32 reason)
{
	struct dm_sync_event_record e = {
		.time = dm_sync_now(),
		.cause = cause, .operation = operation, .reason = reason,
		.new_copy_state = to->copy_state,
		.new_progress = to->progress,
		.new_requested = to->requested,
	};
	struct dm_sync_facts f;
	const char *why;
	bool visible;

	mutex_lock(&event_lock);
	spin_lock_irq(&p->lock);
	e.old_copy_state = p->state.copy_state;
	e.old_progress = p->state.progress;
	e.old_requested = p->state.requested;
	if (p->reason != reason) {
		p->reason = reason;
		p->reason_time = e.time;
	}
	p->state.copy_state = to->copy_state;
	p->state.progress = to->progress;
	p->state.requested = to->requested;
	p->generation++;
	dm_sync_facts_now(p, &f);
	WRITE_ONCE(p->door_access, dm_sync_door(&p->state, &f));
	visible = p->id && !p->gone;
	if (visible) {
		e.seq = atomic64_inc_return(&event_seq);
		p->event_seq = e.seq;
		p->history[p->history_next++ % DM_SYNC_HISTORY] = e;
	}
	spin_unlock_irq(&p->lock);

	if (!p->gone && !dm_sync_invariants(&p->state, &why))
		DMERR("%s: state out of bounds: %s", p->name, why);
	trace_dm_sync_state(p->id, &e);
	log_change(p, &e);
	if (p->ti)
		dm_table_event(p->ti->table);
	if (visible) {
		notify(p, DM_SYNC_CMD_PAIR_CHANGE_NTF, &e);
		if (p->kobj)
			dm_sync_sysfs_notify(p->kobj);
	}
	mutex_unlock(&event_lock);
}

/**
 * dm_sync_publish_progress - tell listeners how far the copy is
 * @p: the pair
 *
 * Context: process; allocates without I/O.
 */
void dm_sync_publish_progress(struct dm_sync_pair *p)
{
	struct dm_sync_info *info = kmalloc(sizeof(*info), GFP_NOIO);

	if (!info)
		return;
	dm_sync_pair_info(p, info);
	dm_sync_netlink_progress(info);
	kfree(info);
}

/*----------------------------------------------------------------
 * Settings
 *--------------------------------------------------------------*/

static void setting_changed(struct dm_sync_pair *p)
{
	dm_sync_resync_kick(p);
	if (p->id && !p->gone)
		announce(p, DM_SYNC_CMD_PAIR_CHANGE_NTF, DM_SYNC_EVENT_CAUSE_SETTING);
}

/**
 * dm_sync_pair_set_priority - background copy against host I/O
 * @pair: the pair
 * @priority: enum dm_sync_copy_priority
 * @why: out: a constant sentence when refused
 *
 * Context: may sleep.  Takes effect at the next piece.
 * Return: 0 or -EINVAL.
 */
int dm_sync_pair_set_priority(struct dm_sync_pair *pair, u32 priority, const char **why)
{
	if (priority > DM_SYNC_COPY_PRIORITY_HIGH) {
		*why = "copy priority is none, low, same or high (0 to 3)";
		return -EINVAL;
	}
	spin_lock_irq(&pair->lock);
	pair->state.priority = priority;
	spin_unlock_irq(&pair->lock);
	spin_lock_irq(&pair->resync.lock);
	dm_sync_pace_set_priority(&pair->resync.pace, ktime_get_ns(), priority);
	spin_unlock_irq(&pair->resync.lock);
	setting_changed(pair);
	return 0;
}

/**
 * dm_sync_pair_set_limit - the cap of the background copy
 * @pair: the pair
 * @bytes_per_second: 0 for none
 *
 * Context: may sleep.
 * Return: 0.
 */
int dm_sync_pair_set_limit(struct dm_sync_pair *pair, u64 bytes_per_second)
{
	spin_lock_irq(&pair->resync.lock);
	dm_sync_pace_set_rate(&pair->resync.pace, ktime_get_ns(), bytes_per_second);
	spin_unlock_irq(&pair->resync.lock);
	setting_changed(pair);
	return 0;
}

/* Writes are being held; under p->lock. */
static bool holds_now(struct dm_sync_pair *p)
{
	return p->live && p->state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED &&
	       !p->hold_released;
}

/**
 * dm_sync_pair_set_hold - what Suspended does with host writes
 * @pair: the pair
 * @hold: 0 hold them, from the next Suspend on; 1 let them pass and track them,
 *	also those that are held now
 * @why: out: a constant sentence when refused
 *
 * Return: 0 or -EINVAL.
 */
int dm_sync_pair_set_hold(struct dm_sync_pair *pair, u32 hold, const char **why)
{
	if (hold > 1) {
		*why = "hold is queue (0) or track (1)";
		return -EINVAL;
	}
	spin_lock_irq(&pair->lock);
	pair->hold = hold;
	if (hold && holds_now(pair))
		mod_delayed_work(pair->conductor, &pair->hold_work, 0);
	spin_unlock_irq(&pair->lock);
	setting_changed(pair);
	return 0;
}

/**
 * dm_sync_pair_set_hold_max - how long writes are held at most
 * @pair: the pair
 * @seconds: 1 to DM_SYNC_HOLD_LIMIT; for writes that are held already, from now
 * @why: out: a constant sentence when refused
 *
 * Return: 0 or -EINVAL.
 */
int dm_sync_pair_set_hold_max(struct dm_sync_pair *pair, u32 seconds, const char **why)
{
	if (!seconds || seconds > DM_SYNC_HOLD_LIMIT) {
		*why = "hold_max is 1 to 3600 seconds";
		return -EINVAL;
	}
	spin_lock_irq(&pair->lock);
	pair->hold_max = seconds;
	if (holds_now(pair))
		mod_delayed_work(pair->conductor, &pair->hold_work, seconds * HZ);
	spin_unlock_irq(&pair->lock);
	setting_changed(pair);
	return 0;
}

/**
 * dm_sync_pair_set_recovery - what follows when a failed replica returns
 * @pair: the pair
 * @recovery: 0 automatic, 1 manual
 * @why: out: a constant sentence when refused
 *
 * Return: 0 or -EINVAL.
 */
int dm_sync_pair_set_recovery(struct dm_sync_pair *pair, u32 recovery, const char **why)
{
	if (recovery > 1) {
		*why = "recovery is auto (0) or manual (1)";
		return -EINVAL;
	}
	spin_lock_irq(&pair->lock);
	pair->recovery = recovery;
	spin_unlock_irq(&pair->lock);
	setting_changed(pair);
	return 0;
}

/*----------------------------------------------------------------
 * Module
 *--------------------------------------------------------------*/

int dm_sync_pair_module_init(void)
{
	dm_sync_demand_wq = alloc_workqueue("dm_sync_demand",
					    WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return dm_sync_demand_wq ? 0 : -ENOMEM;
}

void dm_sync_pair_module_exit(void)
{
	destroy_workqueue(dm_sync_demand_wq);
	xa_destroy(&pairs);
}
