// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs: the registry, what is published, who is asked.
 *
 * Here is what all pairs have in common; what moves their data is an engine
 * that has the pair as a member and is reached through its ops only.
 *
 * Readers find pairs by id in an xarray, under RCU, and take a reference.
 * They see what was published under p->lock and nothing that is being done.
 */
#include <linux/xarray.h>

#include "dm-sync.h"
#include "dm-sync-names.h"
#include "dm-sync-pair-priv.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

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

/*----------------------------------------------------------------
 * References
 *--------------------------------------------------------------*/

/**
 * dm_sync_pair_init - make the common part of a new pair
 * @p: the pair, all zero
 * @ops: its engine's
 *
 * The caller has the one reference there is.
 */
void dm_sync_pair_init(struct dm_sync_pair *p, const struct dm_sync_pair_ops *ops)
{
	p->ops = ops;
	kref_init(&p->ref);
	spin_lock_init(&p->lock);
}

static void pair_release(struct kref *ref)
{
	struct dm_sync_pair *p = container_of(ref, struct dm_sync_pair, ref);

	p->ops->release(p);
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

/**
 * dm_sync_pair_register - make an activated pair visible
 * @p: the pair, not registered before
 * @parent: where its directory in sysfs goes: an object that was added
 * @directory: the name of that directory
 *
 * Context: resume; may sleep.
 */
void dm_sync_pair_register(struct dm_sync_pair *p, struct kobject *parent,
			   const char *directory)
{
	u32 id;

	if (xa_alloc_cyclic(&pairs, &id, NULL, XA_LIMIT(1, INT_MAX), &next_id,
			    GFP_KERNEL) < 0) {
		DMERR("%s: no number is left for this pair", p->name);
		return;
	}
	p->id = id;
	xa_store(&pairs, id, p, GFP_KERNEL);	/* in its reserved place: cannot fail */
	atomic_inc(&nr_pairs);
	atomic_inc(&list_generation);
	if (dm_sync_sysfs_add(p, parent, directory, &p->kobj))
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
		if (!memcmp(p->uuid, uuid, 16))
			return p;
		dm_sync_pair_put(p);
		id++;
	}
	return NULL;
}

/**
 * dm_sync_pair_find_door - the first pair with this source door
 * @door: device number
 *
 * Of several it is the one with the lowest id.
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

/* Which pair, and what was published last. */
static void info_identity(struct dm_sync_pair *p, struct dm_sync_info *info)
{
	info->id = p->id;
	memcpy(info->uuid, p->uuid, 16);
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
}

/* The class's fourteen fields, but for those that the engine alone can tell. */
static void info_fields(struct dm_sync_pair *p, const struct dm_sync_facts *f,
			struct dm_sync_info *info)
{
	info->sync_time = p->sync_time;
	info->sync_maintained = dm_sync_derive_maintained(&p->state);
	info->copy_state = p->state.copy_state;
	info->requested = p->state.requested;
	info->sync_type = p->state.sync_type;
	info->sync_mode = dm_sync_derive_mode(&p->state);
	info->progress = p->state.progress;
	info->copy_type = p->state.copy_type;
	info->replica_type = dm_sync_derive_replica_type(&p->state);
	info->sync_state = dm_sync_derive_sync_state(&p->state);
	info->priority = p->state.priority;
	info->methodology = dm_sync_derive_methodology(&p->state, f);
	info->allowed = dm_sync_allowed_ops(&p->state, f, &info->allowed_force);
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
	struct dm_sync_facts f;

	memset(info, 0, sizeof(*info));
	spin_lock_irq(&pair->lock);
	pair->ops->facts(pair, &f);
	info_identity(pair, info);
	info_fields(pair, &f, info);
	pair->ops->info(pair, &f, info);
	spin_unlock_irq(&pair->lock);
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
 * dm_sync_pair_update_door - what hosts may do with the replica now
 * @p: the pair
 *
 * Context: p->lock held.
 */
void dm_sync_pair_update_door(struct dm_sync_pair *p)
{
	struct dm_sync_facts f;

	p->ops->facts(p, &f);
	WRITE_ONCE(p->door_access, dm_sync_door(&p->state, &f));
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
	struct dm_table *table;
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
	dm_sync_pair_update_door(p);
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
	table = p->ops->table(p);
	if (table)
		dm_table_event(table);
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
 * What is asked of the engine
 *--------------------------------------------------------------*/

/**
 * dm_sync_pair_operate - ask for an operation
 * @pair: the pair
 * @operation: enum dm_sync_operation
 * @flags: DM_SYNC_OP_FORCE, DM_SYNC_OP_DRY_RUN
 * @why: out: a constant sentence when refused
 *
 * Returns when the operation is accepted or refused; semantics as specified
 * for ModifyReplicaSynchronization.
 *
 * Context: may sleep; no lock held.
 * Return: 0 accepted or nothing to do; -EOPNOTSUPP, -EBUSY, -EPERM, -EINVAL;
 * -EINTR when killed while waiting (it may still be carried out).
 */
int dm_sync_pair_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			 const char **why)
{
	return pair->ops->operate(pair, operation, flags, why);
}

/**
 * dm_sync_pair_set - change a setting
 * @pair: the pair
 * @setting: which
 * @value: its new value
 * @why: out: a constant sentence when refused; else left alone
 *
 * Context: may sleep; no lock held.
 * Return: 0, -EINVAL or -EOPNOTSUPP.
 */
int dm_sync_pair_set(struct dm_sync_pair *pair, enum dm_sync_setting setting, u64 value,
		     const char **why)
{
	int r = pair->ops->set(pair, setting, value, why);

	if (!r && pair->id && !pair->gone)
		announce(pair, DM_SYNC_CMD_PAIR_CHANGE_NTF, DM_SYNC_EVENT_CAUSE_SETTING);
	return r;
}

/*----------------------------------------------------------------
 * Module
 *--------------------------------------------------------------*/

void dm_sync_pair_module_exit(void)
{
	xa_destroy(&pairs);
}
