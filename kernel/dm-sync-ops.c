// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conductor: every change of a mirror's state happens here.
 *
 * Operations, failures, the end of a copy and timers are work items of one
 * ordered queue; so a change never meets another half way and needs no lock
 * against it.  Here is what operations do; who asks for them is dm-sync-request.c,
 * all else that happens dm-sync-events.c.
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
#include "dm-sync-ops.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * Small steps
 *--------------------------------------------------------------*/

/**
 * dm_sync_persist - make a state durable, or break
 * @m: the mirror
 * @step: the state to come
 *
 * Context: the conductor.
 * Return: 0 or a negative errno.
 */
int dm_sync_persist(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	int r = dm_sync_super_write(m, step);

	if (r)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	return r;
}

/**
 * dm_sync_completed - the operation is complete
 * @m: the mirror
 * @c: the operation; what must be durable is
 *
 * Context: the conductor.
 */
void dm_sync_completed(struct dm_sync_mirror *m, const struct dm_sync_change *c)
{
	dm_sync_publish(&m->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
			DM_SYNC_REASON_NONE);
}

/**
 * dm_sync_take_back - the operation could not be carried out: all is as it was
 * @m: the mirror
 * @c: the operation
 *
 * Context: the conductor.
 */
void dm_sync_take_back(struct dm_sync_mirror *m, const struct dm_sync_change *c)
{
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.fracture_owed = c->fracture_owed;
	spin_unlock_irq(&m->pair.lock);
	dm_sync_publish(&m->pair, &c->from, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
			m->pair.reason);
}

/**
 * dm_sync_facts_leave - what is known of the replica when a state is left
 * @m: the mirror
 * @from: CopyState that is left
 *
 * Context: the conductor.
 */
void dm_sync_facts_leave(struct dm_sync_mirror *m, u8 from)
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

/**
 * dm_sync_settle - settle what the replica is owed
 * @m: the mirror, its flow cut and no write on its way to the replica
 * @try_flush: the replica may be asked for a flush
 *
 * A flush that failed once is not asked again: a later one may succeed and
 * still have lost the data.
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_settle(struct dm_sync_mirror *m, bool try_flush)
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
	dm_sync_settle(m, true);
	return 0;
}

/**
 * dm_sync_close_door - no host I/O through the replica door any more
 * @m: the mirror; its published state, or door_holding, keeps new I/O out
 *
 * Context: the conductor; may sleep.
 * Return: 0 or -ETIMEDOUT.
 */
int dm_sync_close_door(struct dm_sync_mirror *m)
{
	return wait_event_timeout(m->door_idle, !atomic_read(&m->door_users),
				  DRAIN_TIMEOUT) ? 0 : -ETIMEDOUT;
}

/**
 * dm_sync_start_flow - from now on host writes reach the replica as well
 * @m: the mirror; what must be durable first, is
 * @flow: direction
 *
 * Context: the conductor.
 */
void dm_sync_start_flow(struct dm_sync_mirror *m, enum dm_sync_flow flow)
{
	WRITE_ONCE(m->settled, false);
	WRITE_ONCE(m->flow, flow);
}

/**
 * dm_sync_revive_metadata - the metadata device failed earlier: is it writable now?
 * @m: the mirror
 *
 * Nothing that is there is believed; the table of active extents starts anew.
 *
 * Context: the conductor; may sleep.
 * Return: 0, also when it had not failed, or a negative errno.
 */
int dm_sync_revive_metadata(struct dm_sync_mirror *m)
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
		dm_sync_start_flow(m, DM_SYNC_FLOW_FORWARD);
	dm_sync_gate_release(m);
	if (!r)
		dm_sync_resync_start(m);
	return 0;
}

/**
 * dm_sync_begin_forward - from a cut flow to a running copy, source to replica
 * @m: the mirror
 * @step: the state of the copy
 * @whole: copy everything
 *
 * Context: the conductor; may sleep.
 * Return: 0, also when the pair broke on the way, or a negative errno: nothing
 * was begun.
 */
int dm_sync_begin_forward(struct dm_sync_mirror *m, const struct dm_sync_step *step,
			  bool whole)
{
	int r = dm_sync_close_door(m);

	if (r)
		return r;
	r = dm_sync_revive_metadata(m);
	if (r)
		return r;
	if (m->redirect)
		return begin_instead(m, step, whole);
	r = merge_maps(m, step, whole);
	if (r)
		return 0;
	dm_sync_start_flow(m, DM_SYNC_FLOW_FORWARD);
	r = dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT);
	if (r) {
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
		return 0;
	}
	dm_sync_resync_start(m);
	return 0;
}

static int op_resync(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	forgive_fracture(m);
	return dm_sync_begin_forward(m, &c->during, false);
}

static int op_activate(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	bool whole = c->from.copy_state != DM_SYNC_COPY_STATE_INACTIVE ||
		     !m->pair.facts.ever_synced;

	forgive_fracture(m);
	return dm_sync_begin_forward(m, &c->during, whole);
}

static int op_restore(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = dm_sync_close_door(m);

	if (!r)
		r = dm_sync_revive_metadata(m);
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
	dm_sync_start_flow(m, DM_SYNC_FLOW_RESTORE);
	dm_sync_gate_release(m);
	dm_sync_resync_start(m);
	return 0;
}

static int op_resume(struct dm_sync_mirror *m, struct dm_sync_change *c)
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
	dm_sync_start_flow(m, DM_SYNC_FLOW_FORWARD);
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
static int op_fracture(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r;

	cancel_delayed_work(&m->hold_work);
	dm_sync_facts_leave(m, c->from.copy_state);
	forgive_fracture(m);
	m->hold_released = false;
	r = dm_sync_persist(m, &c->after);
	if (!r)
		r = cut_flow(m);
	if (!r)
		dm_sync_completed(m, c);
	dm_sync_gate_release(m);
	return 0;
}

/* Pause, drain, flush.  On success the gate is closed and both sides are equal. */
static int quiesce(struct dm_sync_mirror *m, struct dm_sync_change *c)
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
	dm_sync_take_back(m, c);
	dm_sync_gate_release(m);
	dm_sync_ops_restart(m);
	return r;
}

/**
 * dm_sync_stop_copy - end the background copy, or take the operation back
 * @m: the mirror
 * @c: the operation
 *
 * A piece that comes late would write to a replica that is cut by then.
 *
 * Context: the conductor; may sleep.
 * Return: 0 or a negative errno.
 */
int dm_sync_stop_copy(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = dm_sync_resync_stop(m);

	if (r) {
		dm_sync_take_back(m, c);
		dm_sync_ops_restart(m);
	}
	return r;
}

static int op_split(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r;

	cancel_delayed_work(&m->hold_work);
	r = quiesce(m, c);
	if (r)
		return 0;
	dm_sync_facts_leave(m, c->from.copy_state);
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.fracture_owed = false;
	if (c->from.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED)
		m->pair.sync_time = dm_sync_now();
	m->hold_released = false;
	spin_unlock_irq(&m->pair.lock);
	r = dm_sync_persist(m, &c->after);
	if (!r) {
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
		WRITE_ONCE(m->settled, true);
		dm_sync_completed(m, c);
	}
	dm_sync_gate_release(m);
	return 0;
}

/**
 * dm_sync_arm_hold - writes are held from now on: but not for ever
 * @m: the mirror
 *
 * Context: the conductor, or while it is idle.
 */
void dm_sync_arm_hold(struct dm_sync_mirror *m)
{
	queue_delayed_work(m->conductor, &m->hold_work, m->hold_max * HZ);
}

static int op_suspend(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r;

	r = dm_sync_stop_copy(m, c) ?: quiesce(m, c);
	if (r)
		return 0;
	dm_sync_facts_leave(m, c->from.copy_state);
	m->hold_released = m->hold;
	r = dm_sync_persist(m, &c->after);
	if (!r) {
		WRITE_ONCE(m->flow, DM_SYNC_FLOW_NONE);
		WRITE_ONCE(m->settled, true);
		dm_sync_completed(m, c);
	}
	if (r || m->hold_released)
		dm_sync_gate_release(m);
	else
		dm_sync_arm_hold(m);
	return 0;
}

static int op_abort(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	bool restoring = m->redirect;

	if (cut_flow(m))
		return 0;
	dm_sync_facts_leave(m, DM_SYNC_COPY_STATE_UNSYNCHRONIZED);
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.restore_incomplete = restoring;
	m->pair.facts.replica_consistent = restoring;
	spin_unlock_irq(&m->pair.lock);
	if (dm_sync_commit_maps(m, true))
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	else if (!dm_sync_persist(m, &c->after))
		dm_sync_publish(&m->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
				restoring ? DM_SYNC_REASON_RESTORE_INCOMPLETE :
					    DM_SYNC_REASON_OPERATOR);
	return 0;
}

static int op_prepare(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = dm_sync_close_door(m);

	if (!r)
		r = dm_sync_revive_metadata(m);
	if (!r)
		r = end_restore(m, &c->from);
	if (r)
		return r;
	forgive_fracture(m);
	forget_replica(m, true);
	r = dm_sync_commit_maps(m, false);
	if (r)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	else if (!dm_sync_persist(m, &c->after))
		dm_sync_completed(m, c);
	return 0;
}

/**
 * dm_sync_op_detach - the end of the pair
 * @m: the mirror
 * @c: Detach or Dissolve
 *
 * The superblock becomes a tombstone: the same table line must not find a blank
 * device later and start to overwrite a volume that has become independent.
 *
 * Context: the conductor; may sleep.
 * Return: 0.
 */
int dm_sync_op_detach(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	struct dm_sync_step gone = {
		DM_SYNC_COPY_STATE_NOT_APPLICABLE,
		DM_SYNC_PROGRESS_STATUS_COMPLETED,
		DM_SYNC_COPY_STATE_NOT_APPLICABLE,
	};
	int r;

	cancel_delayed_work(&m->hold_work);
	cancel_delayed_work(&m->probe_work);
	r = dm_sync_stop_copy(m, c) ?: quiesce(m, c);
	if (r)
		return 0;
	m->super.detached = true;
	m->super.dissolved = c->operation == DM_SYNC_OPERATION_DISSOLVE;
	if (dm_sync_super_write(m, &gone) && !c->force) {
		m->super.detached = m->super.dissolved = false;
		dm_sync_take_back(m, c);
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

static int (*const handlers[])(struct dm_sync_mirror *m, struct dm_sync_change *c) = {
	[DM_SYNC_OPERATION_ABORT] = op_abort,
	[DM_SYNC_OPERATION_ACTIVATE] = op_activate,
	[DM_SYNC_OPERATION_DEACTIVATE] = op_fracture,
	[DM_SYNC_OPERATION_DETACH] = dm_sync_op_detach,
	[DM_SYNC_OPERATION_DISSOLVE] = dm_sync_op_detach,
	[DM_SYNC_OPERATION_FRACTURE] = op_fracture,
	[DM_SYNC_OPERATION_RESYNC] = op_resync,
	[DM_SYNC_OPERATION_RESTORE] = op_restore,
	[DM_SYNC_OPERATION_RESUME] = op_resume,
	[DM_SYNC_OPERATION_SPLIT] = op_split,
	[DM_SYNC_OPERATION_SUSPEND] = op_suspend,
	[DM_SYNC_OPERATION_UNPREPARE] = op_prepare,
	[DM_SYNC_OPERATION_PREPARE] = op_prepare,
};

/**
 * dm_sync_ops_has - is this an operation of a mirror?
 * @operation: enum dm_sync_operation
 */
bool dm_sync_ops_has(u32 operation)
{
	return operation < ARRAY_SIZE(handlers) && handlers[operation];
}

/**
 * dm_sync_ops_run - carry an operation out
 * @m: the mirror
 * @c: the operation, admitted, its first state published
 *
 * Context: the conductor; may sleep.
 * Return: 0, or a negative errno: it was not begun and has to be taken back.
 */
int dm_sync_ops_run(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return m->is_clone ? dm_sync_clone_run(m, c) : handlers[c->operation](m, c);
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

	if (m->is_clone) {
		dm_sync_clone_restart(m);
		return;
	}
	if (m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED && !m->hold_released) {
		if (dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT))
			dm_sync_gate_release(m);
		dm_sync_arm_hold(m);
	}
	if ((flow == DM_SYNC_FLOW_RESTORE &&
	     m->pair.state.progress == DM_SYNC_PROGRESS_STATUS_RESTORING) ||
	    (flow == DM_SYNC_FLOW_FORWARD &&
	     m->pair.state.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED))
		dm_sync_resync_start(m);
	if (m->pair.state.copy_state == DM_SYNC_COPY_STATE_BROKEN)
		dm_sync_arm_probe(m, PROBE_FIRST);
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
	dm_sync_clone_stop(m);
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
	dm_sync_requests_init(m);
	dm_sync_events_init(m);
}
