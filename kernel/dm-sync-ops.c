// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conductor: every change of a mirror's state happens here.
 *
 * Operations, failures, the end of a copy and timers are work items of one
 * ordered queue; so a change never meets another half way and needs no lock
 * against it.  A caller waits until its operation is accepted or refused; what
 * the operation does goes on by itself.
 *
 * Each change follows the same line: the new state is made durable when a
 * crash must find it, then the flow of host writes is turned, then the state is
 * published.  The order of the first two depends on which side a crash between
 * them should fall:
 *
 *	cutting (Fracture, Deactivate, ...): durable first, so that no write is
 *	acknowledged that the replica missed while the disk says "in sync"
 *	(M-degraded).  Both sides are still equal if the crash comes in between.
 *
 *	starting a copy (Resync, Activate): the merged maps, then "the replica is
 *	not usable", then the first byte of the copy: the replica's old image is
 *	given up on disk before it is damaged.
 *
 *	Restore: the same, with host writes paused, for from that instant on the
 *	replica is the truth of marked regions, and after a crash too.
 *
 * While a restore runs or has broken off (m->redirect), the source map says
 * "the replica is right here" and what the replica misses is kept in the
 * replica map: "the source is right here".  The two are brought together when
 * the restore is complete.
 *
 * Metadata that cannot be written is the one failure that does not cut the flow.
 * The disk may come back with what it said last, "Synchronized" perhaps, and
 * would be believed; so the replica goes on to get every write, without marks,
 * and what the disk says stays true but for writes under way in a crash.  The
 * pair is Broken all the same, for it is not protected against that, nor
 * against the replica's failing now.
 *
 * Documentation/proofs/state.rst goes through the crash points one by one.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

#define DRAIN_TIMEOUT	(DM_SYNC_DRAIN_SECONDS * HZ)
#define PROBE_FIRST	2u	/* seconds; doubles */
#define PROBE_LAST	30u

/* An operation asked for; counted by the caller and by the conductor. */
struct dm_sync_request {
	struct list_head list;
	struct kref ref;
	u32 operation;
	bool force;
	int result;
	const char *why;
	struct completion accepted;
};

/* An operation being carried out. */
struct change {
	u32 operation;
	bool force;
	struct dm_sync_step from, during, after;
};

/*----------------------------------------------------------------
 * Small steps
 *--------------------------------------------------------------*/

static struct dm_sync_step state_step(const struct dm_sync_state *s)
{
	return (struct dm_sync_step) { s->copy_state, s->progress, s->requested };
}

static int persist(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	int r = dm_sync_super_write(m, step);

	if (r)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	return r;
}

static void completed(struct dm_sync_mirror *m, const struct change *c)
{
	dm_sync_publish(&m->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
			DM_SYNC_REASON_NONE);
}

/* The operation could not be carried out: everything is as it was. */
static void take_back(struct dm_sync_mirror *m, const struct change *c)
{
	dm_sync_publish(&m->pair, &c->from, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
			m->pair.reason);
}

/* What is known of the replica when the pair leaves the state @from. */
static void facts_leave(struct dm_sync_mirror *m, u8 from)
{
	spin_lock_irq(&m->pair.lock);
	if (from == DM_SYNC_COPY_STATE_SYNCHRONIZED) {
		m->pair.facts.was_synced = true;
		m->pair.facts.replica_consistent = true;
		m->synced_until = dm_sync_now();
	} else if (from == DM_SYNC_COPY_STATE_UNSYNCHRONIZED) {
		m->pair.facts.was_synced = false;
		m->pair.facts.replica_consistent = false;
	}
	spin_unlock_irq(&m->pair.lock);
}

/*
 * What a restore left owing is settled: the operator has chosen.  A failure
 * chooses nothing, and neither does the recovery from it.
 */
static void forgive_fracture(struct dm_sync_mirror *m)
{
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.fracture_owed = false;
	spin_unlock_irq(&m->pair.lock);
}

/**
 * dm_sync_gate_release - open the gate and start what it held
 * @m: the mirror
 *
 * Context: may sleep.
 */
void dm_sync_gate_release(struct dm_sync_mirror *m)
{
	struct bio_list parked;

	dm_sync_gate_open(&m->gate, &parked);
	dm_sync_io_restart(m, &parked);
}

/*
 * The flow is cut and no write is on its way to the replica: settle what the
 * replica is owed.  A flush that failed once is not asked again: a later one
 * may succeed and still have lost the data.
 */
static void settle(struct dm_sync_mirror *m, bool try_flush)
{
	if (m->settled)
		return;
	if (!try_flush || READ_ONCE(m->flush_failed) || dm_sync_flush_sides(m, true))
		dm_sync_mark_unflushed(m);
	/* Release: pairs with commit_barrier(). */
	smp_store_release(&m->settled, true);
}

/* Stop copy and replication; new writes go to the source and are tracked. */
static int cut_flow(struct dm_sync_mirror *m)
{
	int r;

	/* First of all: a replica that does not answer gets no more writes. */
	WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
	r = dm_sync_resync_stop(m);
	if (!r && !m->gate.closed)
		r = dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT);
	if (r) {
		dm_sync_break(m, DM_SYNC_REASON_REPLICA_WRITE_ERROR);
		return r;
	}
	settle(m, true);
	return 0;
}

/* No host I/O through the replica door any more; the state already forbids it. */
static int close_door(struct dm_sync_mirror *m)
{
	return wait_event_timeout(m->door_idle, !atomic_read(&m->door_users),
				  DRAIN_TIMEOUT) ? 0 : -ETIMEDOUT;
}

static void start_flow(struct dm_sync_mirror *m, enum dm_sync_flow flow)
{
	WRITE_ONCE(m->settled, false);
	WRITE_ONCE(m->flow, flow);
}

/*
 * The metadata device failed earlier: is it writable now?  Nothing that is
 * there is believed; the table of active extents starts anew.
 */
static int revive_metadata(struct dm_sync_mirror *m)
{
	int r;

	if (!m->meta_failed)
		return 0;
	r = dm_sync_super_write(m, NULL);
	if (r)
		return r;
	r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);
	if (!r)
		r = dm_sync_commit_maps(m, false);
	if (!r) {
		m->super.activity_epoch++;
		r = dm_sync_super_write(m, NULL);
	}
	if (!r) {
		/* No write is in flight: what was still to be reported is over. */
		flush_work(&m->commit_work);
		dm_sync_activity_reset(m->activity, m->super.activity_epoch);
		clear_bit(DM_SYNC_REASON_METADATA_FAILED, &m->broken);
	}
	m->meta_failed = r;
	dm_sync_gate_release(m);
	return r;
}

/*----------------------------------------------------------------
 * Starting copies
 *--------------------------------------------------------------*/

static void forget_replica(struct dm_sync_mirror *m, bool whole)
{
	if (whole || m->pair.facts.maps_lost)
		dm_sync_map_set_all(m->source_map);
	else
		dm_sync_map_or(m->source_map, m->replica_map);
	dm_sync_map_clear_all(m->replica_map);

	spin_lock_irq(&m->pair.lock);
	m->pair.facts.replica_consistent = false;
	m->pair.facts.was_synced = false;
	m->pair.facts.maps_lost = false;
	m->pair.facts.restore_incomplete = false;
	if (whole)
		m->pair.facts.ever_synced = false;
	spin_unlock_irq(&m->pair.lock);
}

/*
 * The source is declared right everywhere, in the middle of a restore.  The
 * disk must know before the maps change their meaning, and before a read or a
 * write acts on it.
 */
static int end_restore(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	int r;

	if (!m->redirect)
		return 0;
	m->super.restoring = false;
	r = dm_sync_super_write(m, step);
	if (r) {
		m->super.restoring = true;
		return r;
	}
	WRITE_ONCE(m->redirect, false);
	return 0;
}

/* What differs, in one map; then the replica's image is given up, on disk too. */
static int merge_maps(struct dm_sync_mirror *m, const struct dm_sync_step *step, bool whole)
{
	int r;

	forget_replica(m, whole);
	r = dm_sync_commit_maps(m, false);
	if (!r)
		r = dm_sync_super_write(m, step);
	if (r)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	return r;
}

/*
 * Forward instead of a restore that broke off.  The maps change their meaning,
 * so no write may be half way that looked at them before.
 */
static int begin_instead(struct dm_sync_mirror *m, const struct dm_sync_step *step, bool whole)
{
	int r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);

	if (!r)
		r = end_restore(m, step);
	if (r) {
		dm_sync_gate_release(m);
		return r;
	}
	r = merge_maps(m, step, whole);
	if (!r)
		start_flow(m, DM_SYNC_FLOW_FORWARD);
	dm_sync_gate_release(m);
	if (!r)
		dm_sync_resync_start(m);
	return 0;
}

/* From a cut flow to a running copy, source to replica. */
static int begin_forward(struct dm_sync_mirror *m, const struct dm_sync_step *step,
			 bool whole)
{
	int r = close_door(m);

	if (r)
		return r;
	r = revive_metadata(m);
	if (r)
		return r;
	if (m->redirect)
		return begin_instead(m, step, whole);
	r = merge_maps(m, step, whole);
	if (r)
		return 0;
	start_flow(m, DM_SYNC_FLOW_FORWARD);
	r = dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT);
	if (r) {
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
		return 0;
	}
	dm_sync_resync_start(m);
	return 0;
}

static int op_resync(struct dm_sync_mirror *m, struct change *c)
{
	forgive_fracture(m);
	return begin_forward(m, &c->during, false);
}

static int op_activate(struct dm_sync_mirror *m, struct change *c)
{
	bool whole = c->from.copy_state != DM_SYNC_COPY_STATE_INACTIVE ||
		     !m->pair.facts.ever_synced;

	forgive_fracture(m);
	return begin_forward(m, &c->during, whole);
}

static int op_restore(struct dm_sync_mirror *m, struct change *c)
{
	int r = close_door(m);

	if (!r)
		r = revive_metadata(m);
	if (r)
		return r;
	r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);
	if (r) {
		dm_sync_gate_release(m);
		return r;
	}
	/* Once begun, the two maps have other meanings: see the head comment. */
	if (!m->redirect) {
		if (m->pair.facts.maps_lost)
			dm_sync_map_set_all(m->source_map);
		dm_sync_map_or(m->source_map, m->replica_map);
		dm_sync_map_clear_all(m->replica_map);
	}
	m->pair.facts.maps_lost = false;
	m->super.restoring = true;
	r = dm_sync_commit_maps(m, true);
	if (!r)
		r = dm_sync_super_write(m, &c->during);
	if (r) {
		m->super.restoring = m->redirect;
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		dm_sync_gate_release(m);
		return r;
	}
	WRITE_ONCE(m->redirect, true);
	start_flow(m, DM_SYNC_FLOW_RESTORE);
	dm_sync_gate_release(m);
	dm_sync_resync_start(m);
	return 0;
}

static int op_resume(struct dm_sync_mirror *m, struct change *c)
{
	bool held = m->gate.closed;
	int r;

	cancel_delayed_work(&m->hold_work);
	m->hold_released = false;
	r = dm_sync_commit_maps(m, false);
	if (!r)
		r = dm_sync_super_write(m, &c->during);
	if (r) {
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		dm_sync_gate_release(m);
		return 0;
	}
	start_flow(m, DM_SYNC_FLOW_FORWARD);
	if (held)
		dm_sync_gate_release(m);
	else if (dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT))
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	dm_sync_resync_start(m);
	return 0;
}

/*----------------------------------------------------------------
 * Cutting
 *--------------------------------------------------------------*/

/* Durable first, then the cut; a Suspended pair's held writes go to the source. */
static int op_fracture(struct dm_sync_mirror *m, struct change *c)
{
	int r;

	cancel_delayed_work(&m->hold_work);
	facts_leave(m, c->from.copy_state);
	forgive_fracture(m);
	m->hold_released = false;
	r = persist(m, &c->after);
	if (!r)
		r = cut_flow(m);
	if (!r)
		completed(m, c);
	dm_sync_gate_release(m);
	return 0;
}

/* Pause, drain, flush.  On success the gate is closed and both sides are equal. */
static int quiesce(struct dm_sync_mirror *m, struct change *c)
{
	int r = 0;

	if (!m->gate.closed)
		r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);
	if (!r && READ_ONCE(m->flow) == DM_SYNC_FLOW_FORWARD) {
		r = dm_sync_flush_sides(m, true);
		if (r)
			dm_sync_break_flush(m, r == -ENXIO ?
					    DM_SYNC_REASON_REPLICA_FLUSH_ERROR :
					    DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	}
	if (!r && READ_ONCE(m->broken))
		r = -EIO;
	if (!r)
		return 0;
	take_back(m, c);
	dm_sync_gate_release(m);
	dm_sync_ops_restart(m);
	return r;
}

/* A piece that comes late would write to a replica that is cut by then. */
static int stop_copy(struct dm_sync_mirror *m, struct change *c)
{
	int r = dm_sync_resync_stop(m);

	if (r) {
		take_back(m, c);
		dm_sync_ops_restart(m);
	}
	return r;
}

static int op_split(struct dm_sync_mirror *m, struct change *c)
{
	int r;

	cancel_delayed_work(&m->hold_work);
	r = quiesce(m, c);
	if (r)
		return 0;
	facts_leave(m, c->from.copy_state);
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.fracture_owed = false;
	if (c->from.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED)
		m->pair.sync_time = dm_sync_now();
	m->hold_released = false;
	spin_unlock_irq(&m->pair.lock);
	r = persist(m, &c->after);
	if (!r) {
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
		WRITE_ONCE(m->settled, true);
		completed(m, c);
	}
	dm_sync_gate_release(m);
	return 0;
}

static void arm_hold(struct dm_sync_mirror *m)
{
	queue_delayed_work(m->conductor, &m->hold_work, m->hold_max * HZ);
}

static int op_suspend(struct dm_sync_mirror *m, struct change *c)
{
	int r;

	r = stop_copy(m, c) ?: quiesce(m, c);
	if (r)
		return 0;
	facts_leave(m, c->from.copy_state);
	m->hold_released = m->hold;
	r = persist(m, &c->after);
	if (!r) {
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
		WRITE_ONCE(m->settled, true);
		completed(m, c);
	}
	if (r || m->hold_released)
		dm_sync_gate_release(m);
	else
		arm_hold(m);
	return 0;
}

static int op_abort(struct dm_sync_mirror *m, struct change *c)
{
	bool restoring = m->redirect;

	if (cut_flow(m))
		return 0;
	facts_leave(m, DM_SYNC_COPY_STATE_UNSYNCHRONIZED);
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.restore_incomplete = restoring;
	m->pair.facts.replica_consistent = restoring;
	spin_unlock_irq(&m->pair.lock);
	if (dm_sync_commit_maps(m, true))
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	else if (!persist(m, &c->after))
		dm_sync_publish(&m->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
				restoring ? DM_SYNC_REASON_RESTORE_INCOMPLETE :
					    DM_SYNC_REASON_OPERATOR);
	return 0;
}

static int op_prepare(struct dm_sync_mirror *m, struct change *c)
{
	int r = close_door(m);

	if (!r)
		r = revive_metadata(m);
	if (!r)
		r = end_restore(m, &c->from);
	if (r)
		return r;
	forgive_fracture(m);
	forget_replica(m, true);
	r = dm_sync_commit_maps(m, false);
	if (r)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	else if (!persist(m, &c->after))
		completed(m, c);
	return 0;
}

/*
 * The end of the pair.  The superblock becomes a tombstone: the same table
 * line must not find a blank device later and start to overwrite a volume that
 * has become independent.
 */
static int op_detach(struct dm_sync_mirror *m, struct change *c)
{
	struct dm_sync_step gone = {
		DM_SYNC_COPY_STATE_NOT_APPLICABLE,
		DM_SYNC_PROGRESS_STATUS_COMPLETED,
		DM_SYNC_COPY_STATE_NOT_APPLICABLE,
	};
	int r;

	cancel_delayed_work(&m->hold_work);
	cancel_delayed_work(&m->probe_work);
	r = stop_copy(m, c) ?: quiesce(m, c);
	if (r)
		return 0;
	m->super.detached = true;
	m->super.dissolved = c->operation == DM_SYNC_OPERATION_DISSOLVE;
	if (dm_sync_super_write(m, &gone) && !c->force) {
		m->super.detached = m->super.dissolved = false;
		take_back(m, c);
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		dm_sync_gate_release(m);
		dm_sync_ops_restart(m);
		return 0;
	}
	WRITE_ONCE(m->redirect, false);
	WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
	WRITE_ONCE(m->settled, true);
	WRITE_ONCE(m->passthrough, true);
	dm_sync_gate_release(m);
	dm_sync_publish(&m->pair, &gone, DM_SYNC_EVENT_CAUSE_DELETED, c->operation,
			DM_SYNC_REASON_OPERATOR);
	dm_sync_pair_unregister(&m->pair);
	return 0;
}

static int (*const handlers[])(struct dm_sync_mirror *m, struct change *c) = {
	[DM_SYNC_OPERATION_ABORT] = op_abort,
	[DM_SYNC_OPERATION_ACTIVATE] = op_activate,
	[DM_SYNC_OPERATION_DEACTIVATE] = op_fracture,
	[DM_SYNC_OPERATION_DETACH] = op_detach,
	[DM_SYNC_OPERATION_DISSOLVE] = op_detach,
	[DM_SYNC_OPERATION_FRACTURE] = op_fracture,
	[DM_SYNC_OPERATION_RESYNC] = op_resync,
	[DM_SYNC_OPERATION_RESTORE] = op_restore,
	[DM_SYNC_OPERATION_RESUME] = op_resume,
	[DM_SYNC_OPERATION_SPLIT] = op_split,
	[DM_SYNC_OPERATION_SUSPEND] = op_suspend,
	[DM_SYNC_OPERATION_UNPREPARE] = op_prepare,
	[DM_SYNC_OPERATION_PREPARE] = op_prepare,
};

/*----------------------------------------------------------------
 * Requests
 *--------------------------------------------------------------*/

static const int admit_errno[] = {
	[DM_SYNC_ADMIT_OK] = 0,
	[DM_SYNC_ADMIT_NOOP] = 0,
	[DM_SYNC_ADMIT_FORCE] = -EPERM,
	[DM_SYNC_ADMIT_REFUSED] = -EPERM,
	[DM_SYNC_ADMIT_BUSY] = -EBUSY,
	[DM_SYNC_ADMIT_UNSUPPORTED] = -EOPNOTSUPP,
	[DM_SYNC_ADMIT_INVALID] = -EINVAL,
};

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
	if (m->loaded && !m->redirect && dm_sync_map_count(m->replica_map))
		f->replica_consistent = false;
	f->source_ok = true;	/* tried is known */
	f->held_writes = dm_sync_gate_parked(&m->gate);
	f->nothing_marked = m->loaded && !dm_sync_map_count(m->source_map) &&
			    !dm_sync_map_count(m->replica_map);
}

static enum dm_sync_admit judge(struct dm_sync_mirror *m, u32 operation, bool force,
				const char **why)
{
	enum dm_sync_admit verdict = DM_SYNC_ADMIT_BUSY;
	struct dm_sync_facts f;

	*why = NULL;
	spin_lock_irq(&m->pair.lock);
	if (!m->pair.live || m->pair.gone) {
		*why = m->pair.gone ? "the pair has been detached" :
				 "the device is suspended";
	} else {
		dm_sync_facts_now(m, &f);
		verdict = dm_sync_admit(&m->pair.state, &f, operation, force, why);
		if (verdict == DM_SYNC_ADMIT_OK &&
		    (operation >= ARRAY_SIZE(handlers) || !handlers[operation]))
			verdict = DM_SYNC_ADMIT_UNSUPPORTED;
	}
	spin_unlock_irq(&m->pair.lock);
	return verdict;
}

static void request_free(struct kref *ref)
{
	kfree(container_of(ref, struct dm_sync_request, ref));
}

static void carry_out(struct dm_sync_mirror *m, struct dm_sync_request *req)
{
	struct change c = { .operation = req->operation, .force = req->force };
	enum dm_sync_admit verdict = judge(m, req->operation, req->force, &req->why);
	struct dm_sync_facts f;
	int r;

	spin_lock_irq(&m->pair.lock);
	dm_sync_facts_now(m, &f);
	c.from = state_step(&m->pair.state);
	if (verdict == DM_SYNC_ADMIT_OK &&
	    !dm_sync_transition(&m->pair.state, &f, req->operation, &c.during, &c.after))
		verdict = DM_SYNC_ADMIT_UNSUPPORTED;
	spin_unlock_irq(&m->pair.lock);

	req->result = admit_errno[verdict];
	if (verdict == DM_SYNC_ADMIT_OK)
		dm_sync_publish(&m->pair, &c.during, DM_SYNC_EVENT_CAUSE_OPERATION,
				req->operation, DM_SYNC_REASON_NONE);
	/* Who asked for a restore must not read the old source any more. */
	if (verdict != DM_SYNC_ADMIT_OK || req->operation != DM_SYNC_OPERATION_RESTORE)
		complete(&req->accepted);
	if (verdict != DM_SYNC_ADMIT_OK)
		return;
	r = handlers[req->operation](m, &c);
	if (r)
		take_back(m, &c);
	if (req->operation == DM_SYNC_OPERATION_RESTORE) {
		req->result = r;
		req->why = r ? "the restore could not be begun" : NULL;
		complete(&req->accepted);
	}
}

static void do_requests(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, request_work);
	struct dm_sync_request *req;

	for (;;) {
		spin_lock_irq(&m->pair.lock);
		req = list_first_entry_or_null(&m->requests, struct dm_sync_request, list);
		if (req)
			list_del_init(&req->list);
		spin_unlock_irq(&m->pair.lock);
		if (!req)
			return;
		carry_out(m, req);
		kref_put(&req->ref, request_free);
	}
}

/**
 * dm_sync_mirror_operate - ask the conductor for an operation
 * @pair: the mirror's
 * @operation: enum dm_sync_operation
 * @flags: DM_SYNC_OP_FORCE, DM_SYNC_OP_DRY_RUN
 * @why: out: a constant sentence when refused
 *
 * For dm_sync_pair_operate(), which tells the rest.
 *
 * Context: may sleep; no lock held.
 * Return: 0 or a negative errno.
 */
int dm_sync_mirror_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			   const char **why)
{
	struct dm_sync_mirror *m = to_mirror(pair);
	bool force = flags & DM_SYNC_OP_FORCE;
	enum dm_sync_admit verdict = judge(m, operation, force, why);
	struct dm_sync_request *req;
	int r = admit_errno[verdict];

	if (verdict != DM_SYNC_ADMIT_OK || (flags & DM_SYNC_OP_DRY_RUN))
		return r;
	req = kzalloc(sizeof(*req), GFP_KERNEL);
	if (!req)
		return -ENOMEM;
	kref_init(&req->ref);
	kref_get(&req->ref);
	init_completion(&req->accepted);
	req->operation = operation;
	req->force = force;

	spin_lock_irq(&pair->lock);
	if (pair->live) {
		list_add_tail(&req->list, &m->requests);
		queue_work(m->conductor, &m->request_work);
	} else {
		*why = "the device is suspended";
		req->result = -EBUSY;
		complete(&req->accepted);
		kref_put(&req->ref, request_free);
	}
	spin_unlock_irq(&pair->lock);

	r = wait_for_completion_killable(&req->accepted);
	if (r) {
		r = -EINTR;
	} else {
		r = req->result;
		if (req->why)
			*why = req->why;
	}
	kref_put(&req->ref, request_free);
	return r;
}

/*----------------------------------------------------------------
 * Events
 *--------------------------------------------------------------*/

static bool next_step(struct dm_sync_mirror *m, enum dm_sync_event ev,
		      struct dm_sync_step *to)
{
	struct dm_sync_facts f;
	bool changed;

	spin_lock_irq(&m->pair.lock);
	dm_sync_facts_now(m, &f);
	changed = dm_sync_event_step(&m->pair.state, &f, ev,
				     m->recovery == 0,
				     m->loaded && dm_sync_map_count(m->source_map), to);
	spin_unlock_irq(&m->pair.lock);
	return changed;
}

/*
 * The restore is complete, and durably so: what is left in the replica map has
 * one meaning again, "the replica differs here", and goes forward next.
 */
static void restore_done(struct dm_sync_mirror *m, struct dm_sync_step *to)
{
	m->super.restoring = false;
	if (dm_sync_map_count(m->replica_map))
		*to = (struct dm_sync_step) {
			DM_SYNC_COPY_STATE_UNSYNCHRONIZED,
			DM_SYNC_PROGRESS_STATUS_RESYNCING,
			DM_SYNC_COPY_STATE_SYNCHRONIZED,
		};
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.restore_incomplete = false;
	m->pair.facts.fracture_owed = true;
	spin_unlock_irq(&m->pair.lock);
}

/* All that was copied is on both sides, and the disk says so. */
static int make_copy_durable(struct dm_sync_mirror *m)
{
	int r = dm_sync_flush_sides(m, true);

	if (r) {
		dm_sync_break_flush(m, r == -ENXIO ? DM_SYNC_REASON_REPLICA_FLUSH_ERROR :
						     DM_SYNC_REASON_SOURCE_WRITE_ERROR);
		return r;
	}
	r = dm_sync_commit_maps(m, true);
	if (r && !READ_ONCE(m->broken))
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	return r ?: READ_ONCE(m->broken) ? -EIO : 0;
}

static void facts_synced(struct dm_sync_mirror *m)
{
	spin_lock_irq(&m->pair.lock);
	m->pair.sync_time = dm_sync_now();
	m->pair.facts.ever_synced = true;
	m->pair.facts.replica_consistent = true;
	spin_unlock_irq(&m->pair.lock);
}

static void do_copied(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, copied_work);
	bool restore = m->redirect;
	struct dm_sync_step to;

	if (READ_ONCE(m->flow) == DM_SYNC_FLOW_NONE || READ_ONCE(m->broken) ||
	    !next_step(m, DM_SYNC_EV_COPY_DONE, &to))
		return;
	if (dm_sync_map_count(m->source_map)) {
		dm_sync_resync_start(m);
		return;
	}
	if (make_copy_durable(m))
		return;
	if (restore)
		restore_done(m, &to);
	if (to.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED)
		facts_synced(m);
	if (persist(m, &to)) {
		m->super.restoring = restore;
		return;
	}
	WRITE_ONCE(m->redirect, false);
	if (restore) {
		/* Before a read could think that the replica has them. */
		dm_sync_map_or(m->source_map, m->replica_map);
		dm_sync_map_clear_all(m->replica_map);
		start_flow(m, DM_SYNC_FLOW_FORWARD);
	}
	dm_sync_publish(&m->pair, &to, DM_SYNC_EVENT_CAUSE_COMPLETED, 0, DM_SYNC_REASON_NONE);
	if (to.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED)
		dm_sync_resync_start(m);
}

static void do_stall(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, stall_work);
	bool stalled = READ_ONCE(m->resync.stalled);
	struct dm_sync_step to;
	u8 before = m->pair.state.progress;

	if (!next_step(m, stalled ? DM_SYNC_EV_STALLED : DM_SYNC_EV_UNSTALLED, &to))
		return;
	if (stalled)
		m->pair.facts.before_pending = before;
	dm_sync_publish(&m->pair, &to, DM_SYNC_EVENT_CAUSE_COMPLETED, 0, m->pair.reason);
}

/* Held long enough: from now on writes go to the source and are tracked. */
static void do_hold(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(to_delayed_work(work),
					      struct dm_sync_mirror, hold_work);
	struct dm_sync_step same = state_step(&m->pair.state);

	if (m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED || !m->gate.closed)
		return;
	m->hold_released = true;
	persist(m, &same);
	dm_sync_gate_release(m);
	dm_sync_publish(&m->pair, &same, DM_SYNC_EVENT_CAUSE_COMPLETED, 0,
			m->hold ? DM_SYNC_REASON_OPERATOR : DM_SYNC_REASON_HOLD_EXPIRED);
}

/*----------------------------------------------------------------
 * Failures
 *--------------------------------------------------------------*/

/**
 * dm_sync_break - something failed: cut the flow now, tell the conductor
 * @m: the mirror
 * @reason: enum dm_sync_reason
 *
 * Context: any.
 */
void dm_sync_break(struct dm_sync_mirror *m, u32 reason)
{
	if (READ_ONCE(m->passthrough))
		return;
	set_bit(reason, &m->broken);
	/*
	 * Without metadata "the replica is stale" could not be made durable: so
	 * it had better not become stale (see the head of this file).
	 */
	if (reason != DM_SYNC_REASON_METADATA_FAILED)
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
	queue_work(m->conductor, &m->break_work);
}

/**
 * dm_sync_break_flush - the same, when it was a flush that failed
 * @m: the mirror
 * @reason: enum dm_sync_reason
 *
 * A later flush may succeed and still have lost what this one should have
 * saved; so none is asked.
 *
 * Context: any.
 */
void dm_sync_break_flush(struct dm_sync_mirror *m, u32 reason)
{
	WRITE_ONCE(m->flush_failed, true);
	dm_sync_break(m, reason);
}

static enum dm_sync_event event_of(u32 reason)
{
	switch (reason) {
	case DM_SYNC_REASON_METADATA_FAILED:
	case DM_SYNC_REASON_METADATA_LOST:
		return DM_SYNC_EV_MAPS_LOST;
	case DM_SYNC_REASON_SOURCE_READ_ERROR:
		return DM_SYNC_EV_SOURCE_COPY_ERROR;
	case DM_SYNC_REASON_SOURCE_WRITE_ERROR:
		return DM_SYNC_EV_SOURCE_WRITE_ERROR;
	default:
		return DM_SYNC_EV_REPLICA_ERROR;
	}
}

static u32 worst_of(unsigned long reasons)
{
	if (test_bit(DM_SYNC_REASON_METADATA_FAILED, &reasons))
		return DM_SYNC_REASON_METADATA_FAILED;
	return __ffs(reasons);
}

static void arm_probe(struct dm_sync_mirror *m, unsigned int seconds)
{
	m->probe_delay = seconds;
	queue_delayed_work(m->conductor, &m->probe_work, seconds * HZ);
}

static void enter_broken(struct dm_sync_mirror *m, u32 reason)
{
	u8 from = m->pair.state.copy_state;
	struct dm_sync_step to;

	if (reason == DM_SYNC_REASON_METADATA_FAILED) {
		m->meta_failed = true;
		m->pair.facts.maps_lost = true;
		dm_sync_activity_fail(m->activity, -EIO);
	}
	if (!next_step(m, event_of(reason), &to))
		return;
	facts_leave(m, from);
	/* It may go on changing. */
	if (reason == DM_SYNC_REASON_METADATA_FAILED)
		m->pair.facts.replica_consistent = false;
	if (m->redirect)
		m->pair.facts.restore_incomplete = true;
	spin_lock_irq(&m->pair.lock);
	m->pair.reason = reason;
	m->pair.reason_time = dm_sync_now();
	spin_unlock_irq(&m->pair.lock);
	if (dm_sync_super_write(m, &to) && !m->meta_failed) {
		set_bit(DM_SYNC_REASON_METADATA_FAILED, &m->broken);
		queue_work(m->conductor, &m->break_work);
	}
	dm_sync_publish(&m->pair, &to, DM_SYNC_EVENT_CAUSE_ERROR, 0, reason);
}

/*
 * Durable, published, acknowledged; only then look what the replica may have
 * lost.  A crash in between finds the extents still marked active.
 */
static void do_break(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, break_work);
	unsigned long reasons = xchg(&m->broken, 0);
	const unsigned long metadata = BIT(DM_SYNC_REASON_METADATA_FAILED);
	bool drained, owed = !m->settled;

	if (reasons & ~metadata)
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
	if (reasons)
		enter_broken(m, worst_of(reasons));
	dm_sync_io_ack(m);
	if (!reasons)
		return;
	dm_sync_resync_stop(m);
	/* What was held has nothing to wait for any more. */
	if (reasons == metadata) {
		if (m->gate.closed && m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED)
			dm_sync_gate_release(m);
		arm_probe(m, PROBE_FIRST);
		return;
	}
	m->source_lost = owed && m->flush_failed &&
			 test_bit(DM_SYNC_REASON_SOURCE_WRITE_ERROR, &reasons);
	/*
	 * Writes that wait to be marked need room in the activity table, which
	 * nobody can make while the replica is owed a flush that it refuses.
	 */
	if (reasons & (BIT(DM_SYNC_REASON_REPLICA_WRITE_ERROR) |
		       BIT(DM_SYNC_REASON_REPLICA_FLUSH_ERROR))) {
		settle(m, false);
		dm_sync_commit_kick(m);
	}
	drained = m->gate.closed || !dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT);
	if (owed && m->settled)
		dm_sync_mark_unflushed(m);	/* what ended meanwhile */
	settle(m, drained);
	WRITE_ONCE(m->flush_failed, false);
	dm_sync_commit_kick(m);
	if (m->gate.closed && m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED)
		dm_sync_gate_release(m);
	arm_probe(m, PROBE_FIRST);
}

static bool replica_is_to_blame(u32 reason)
{
	return reason == DM_SYNC_REASON_REPLICA_WRITE_ERROR ||
	       reason == DM_SYNC_REASON_REPLICA_READ_ERROR ||
	       reason == DM_SYNC_REASON_REPLICA_FLUSH_ERROR;
}

static void returned(struct dm_sync_mirror *m, const struct dm_sync_step *to)
{
	if (to->copy_state == DM_SYNC_COPY_STATE_SUSPENDED) {
		m->hold_released = true;
		if (!persist(m, to))
			dm_sync_publish(&m->pair, to, DM_SYNC_EVENT_CAUSE_RECOVERY, 0,
					DM_SYNC_REASON_REPLICA_RETURNED);
		return;
	}
	dm_sync_publish(&m->pair, to, DM_SYNC_EVENT_CAUSE_RECOVERY, 0,
			DM_SYNC_REASON_REPLICA_RETURNED);
	if (begin_forward(m, to, false))
		dm_sync_break(m, DM_SYNC_REASON_REPLICA_WRITE_ERROR);
}

/*
 * Broken: has the fault gone?  Metadata that could not be written must still
 * learn that it is not to be trusted.
 */
static void do_probe(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(to_delayed_work(work),
					      struct dm_sync_mirror, probe_work);
	struct dm_sync_step to;

	if (m->pair.state.copy_state != DM_SYNC_COPY_STATE_BROKEN ||
	    m->pair.state.progress != DM_SYNC_PROGRESS_STATUS_DORMANT) {
		if (m->meta_failed && revive_metadata(m))
			arm_probe(m, min(2 * m->probe_delay, PROBE_LAST));
		return;
	}
	if (!replica_is_to_blame(m->pair.reason))
		return;
	if (!dm_sync_resync_probe(m) &&
	    next_step(m, DM_SYNC_EV_REPLICA_RETURNED, &to)) {
		returned(m, &to);
		return;
	}
	arm_probe(m, min(2 * m->probe_delay, PROBE_LAST));
}

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

/**
 * dm_sync_ops_restart - take up what an attempt to stop had ended
 * @m: the mirror; its flow is what it was
 *
 * Context: the conductor, or while it is idle; may sleep.
 */
void dm_sync_ops_restart(struct dm_sync_mirror *m)
{
	enum dm_sync_flow flow = READ_ONCE(m->flow);

	if (m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED && !m->hold_released) {
		if (dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT))
			dm_sync_gate_release(m);
		arm_hold(m);
	}
	if ((flow == DM_SYNC_FLOW_RESTORE &&
	     m->pair.state.progress == DM_SYNC_PROGRESS_STATUS_RESTORING) ||
	    (flow == DM_SYNC_FLOW_FORWARD &&
	     m->pair.state.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED))
		dm_sync_resync_start(m);
	if (m->pair.state.copy_state == DM_SYNC_COPY_STATE_BROKEN)
		arm_probe(m, PROBE_FIRST);
}

/**
 * dm_sync_enter_state - turn flow, gate and copy to what the state says
 * @m: the mirror, just activated, no host I/O yet
 *
 * Context: resume, the conductor idle; may sleep.
 */
void dm_sync_enter_state(struct dm_sync_mirror *m)
{
	enum dm_sync_flow flow = dm_sync_flow(&m->pair.state);

	if (m->meta_failed) {		/* and in memory only: it goes on as it was */
		dm_sync_ops_restart(m);
		return;
	}
	WRITE_ONCE(m->redirect, m->super.restoring);
	WRITE_ONCE(m->settled, flow == DM_SYNC_FLOW_NONE);
	WRITE_ONCE(m->flow, flow);
	dm_sync_ops_restart(m);
}

/**
 * dm_sync_ops_stop - no more changes: timers off, queues empty
 * @m: the mirror, not live any more, no host I/O
 *
 * Context: postsuspend; may sleep.
 */
void dm_sync_ops_stop(struct dm_sync_mirror *m)
{
	cancel_delayed_work_sync(&m->hold_work);
	cancel_delayed_work_sync(&m->probe_work);
	cancel_work_sync(&m->resync.demand_work);
	flush_workqueue(m->conductor);
	dm_sync_resync_stop(m);
	flush_workqueue(m->io_wq);
	flush_workqueue(m->conductor);
	cancel_delayed_work_sync(&m->hold_work);
	cancel_delayed_work_sync(&m->probe_work);
}

/**
 * dm_sync_ops_init - set up the conductor's work
 * @m: the mirror
 */
void dm_sync_ops_init(struct dm_sync_mirror *m)
{
	INIT_LIST_HEAD(&m->requests);
	INIT_WORK(&m->request_work, do_requests);
	INIT_WORK(&m->break_work, do_break);
	INIT_WORK(&m->copied_work, do_copied);
	INIT_WORK(&m->stall_work, do_stall);
	INIT_DELAYED_WORK(&m->hold_work, do_hold);
	INIT_DELAYED_WORK(&m->probe_work, do_probe);
}
