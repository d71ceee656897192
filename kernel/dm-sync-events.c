// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a mirror without having been asked for: a copy is complete or
 * stalled, writes were held long enough, something fails, the fault goes.
 *
 * All of it but dm_sync_break() runs on the conductor, so between operations
 * and never beside one; the order of durable, turned and published is that of
 * dm-sync-ops.c.
 */
#include "dm-sync-ops.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * The copy and timers
 *--------------------------------------------------------------*/

/**
 * dm_sync_next_step - what an event leads to
 * @m: the mirror
 * @ev: the event
 * @to: out
 *
 * Context: the conductor.
 * Return: true when it changes the state.
 */
bool dm_sync_next_step(struct dm_sync_mirror *m, enum dm_sync_event ev,
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

	if (m->is_clone) {
		dm_sync_clone_copied(m);
		return;
	}
	if (READ_ONCE(m->flow) == DM_SYNC_FLOW_NONE || READ_ONCE(m->broken) ||
	    !dm_sync_next_step(m, DM_SYNC_EV_COPY_DONE, &to))
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
	if (dm_sync_persist(m, &to)) {
		m->super.restoring = restore;
		return;
	}
	WRITE_ONCE(m->redirect, false);
	if (restore) {
		/* Before a read could think that the replica has them. */
		dm_sync_map_or(m->source_map, m->replica_map);
		dm_sync_map_clear_all(m->replica_map);
		dm_sync_start_flow(m, DM_SYNC_FLOW_FORWARD);
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

	if (!dm_sync_next_step(m, stalled ? DM_SYNC_EV_STALLED : DM_SYNC_EV_UNSTALLED, &to))
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
	struct dm_sync_step same = dm_sync_state_step(&m->pair.state);

	if (m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED ||
	    (m->is_clone ? m->hold_released : !m->gate.closed))
		return;
	m->hold_released = true;
	dm_sync_persist(m, &same);
	if (m->is_clone)
		dm_sync_clone_turn(m);
	else
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
	 * it had better not become stale (see the head of dm-sync-ops.c).
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

/**
 * dm_sync_arm_probe - look later whether the fault has gone
 * @m: the mirror
 * @seconds: from now
 *
 * Context: the conductor, or while it is idle.
 */
void dm_sync_arm_probe(struct dm_sync_mirror *m, unsigned int seconds)
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
	if (!dm_sync_next_step(m, m->is_clone ? dm_sync_clone_event(m, event_of(reason)) :
						event_of(reason), &to))
		return;
	if (!m->is_clone)
		dm_sync_facts_leave(m, from);
	/* It may go on changing. */
	if (reason == DM_SYNC_REASON_METADATA_FAILED && !m->is_clone)
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
	if (reasons && m->is_clone)
		dm_sync_clone_turn(m);
	dm_sync_io_ack(m);
	if (!reasons)
		return;
	if (m->is_clone && !m->clone.preserving)
		dm_sync_clone_abandon(m);
	dm_sync_resync_stop(m);
	if (m->is_clone)
		dm_sync_clone_revert(m);
	/* What was held has nothing to wait for any more. */
	if (reasons == metadata) {
		if (m->gate.closed && m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED)
			dm_sync_gate_release(m);
		dm_sync_arm_probe(m, PROBE_FIRST);
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
		dm_sync_settle(m, false);
		dm_sync_commit_kick(m);
	}
	/* Nothing is owed to a clone's; and its writes may wait for the next break. */
	drained = m->is_clone || m->gate.closed ||
		  !dm_sync_gate_drain(&m->gate, DRAIN_TIMEOUT);
	if (owed && m->settled)
		dm_sync_mark_unflushed(m);	/* what ended meanwhile */
	dm_sync_settle(m, drained);
	WRITE_ONCE(m->flush_failed, false);
	dm_sync_commit_kick(m);
	if (m->gate.closed && m->pair.state.copy_state != DM_SYNC_COPY_STATE_SUSPENDED)
		dm_sync_gate_release(m);
	dm_sync_arm_probe(m, PROBE_FIRST);
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
		if (!dm_sync_persist(m, to))
			dm_sync_publish(&m->pair, to, DM_SYNC_EVENT_CAUSE_RECOVERY, 0,
					DM_SYNC_REASON_REPLICA_RETURNED);
		return;
	}
	dm_sync_publish(&m->pair, to, DM_SYNC_EVENT_CAUSE_RECOVERY, 0,
			DM_SYNC_REASON_REPLICA_RETURNED);
	if (m->is_clone) {
		if (!dm_sync_persist(m, to))
			dm_sync_resync_start(m);
		return;
	}
	if (dm_sync_begin_forward(m, to, false))
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
		if (m->meta_failed && dm_sync_revive_metadata(m))
			dm_sync_arm_probe(m, min(2 * m->probe_delay, PROBE_LAST));
		return;
	}
	if (!replica_is_to_blame(m->pair.reason))
		return;
	if (!dm_sync_resync_probe(m) &&
	    dm_sync_next_step(m, DM_SYNC_EV_REPLICA_RETURNED, &to)) {
		returned(m, &to);
		return;
	}
	dm_sync_arm_probe(m, min(2 * m->probe_delay, PROBE_LAST));
}

/**
 * dm_sync_events_init - set up the work that nobody asks for
 * @m: the mirror
 */
void dm_sync_events_init(struct dm_sync_mirror *m)
{
	INIT_WORK(&m->break_work, do_break);
	INIT_WORK(&m->copied_work, do_copied);
	INIT_WORK(&m->stall_work, do_stall);
	INIT_DELAYED_WORK(&m->hold_work, do_hold);
	INIT_DELAYED_WORK(&m->probe_work, do_probe);
}
