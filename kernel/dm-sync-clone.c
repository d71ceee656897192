// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clones: what the conductor does with a copy of one moment.
 *
 * A clone has three maps.
 *
 *	U	uncopied: the replica does not own this region of the image yet
 *	S	the source was written since the point in time
 *	T	the replica was written since, through its door
 *
 * Where U(r) is set neither side was written since: S(r) and T(r) are clear, for
 * whoever writes waits until U(r) is clear on disk (dm-sync-clone-io.c).
 *
 * The point in time of a refresh is one write of the superblock.  Under a closed
 * gate, with the replica door held, U |= S | T is made durable; then the superblock
 * says "copying, the replica is not complete"; then S and T are cleared, durably;
 * then the gate opens.  U of a pair whose replica is complete means nothing, so a
 * crash before the superblock leaves the old image and U is cleared when it is
 * taken up.  After it the new image holds, and marks of S and T that are still
 * there stand where U is set too and are cleared likewise.
 *
 * A restore begins in the same way, "restoring" being what gives U its meaning:
 * the source does not have this region back yet.  Reads of it are served by the
 * replica, writes wait until it is back, are then tracked in S and do not go to the
 * replica, which stays the image.  T is kept until the source equals it.
 *
 * After a crash (E12) the extents of the activity table tell where the source may
 * have been written: S is marked there, but where U is set, for there no write was
 * issued.  A region whose copy was not yet durable has U set on disk and is copied
 * again, from a source that no write has changed: its write waits for that clear.
 * The same for T: a write through the replica door is issued only when the disk
 * has U clear and T set, so no copy goes over it and no refresh forgets it.
 *
 * An image that cannot be kept is given up on disk before the write that it stood
 * in the way of is issued (rule S-invalid): Broken, everything to be copied anew.
 * Metadata that cannot be written ends the protection as well; what the disk said
 * last cannot be taken back then, and a crash before it is writable again may take
 * up an image that was not preserved.  Reason and event say so while it lasts.
 */
#include "dm-sync-ops.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * What is found, what flows
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_point - the point in time is now
 * @m: the clone, no write of the source in flight
 *
 * It becomes SyncTime when the copy is complete.
 *
 * Context: preresume, or the conductor.
 */
void dm_sync_clone_point(struct dm_sync_mirror *m)
{
	m->synced_until = dm_sync_now();
}

static void clear_where(struct dm_sync_map *map, struct dm_sync_map *where, u64 nr)
{
	u64 r;

	if (!dm_sync_map_count(map))
		return;
	for (r = dm_sync_map_next(map, 0); r < nr; r = dm_sync_map_next(map, r + 1))
		if (dm_sync_map_test(where, r))
			dm_sync_map_clear(map, r);
}

/**
 * dm_sync_clone_loaded - the maps were read: what do they mean?
 * @m: the clone; the activity table was not looked at yet
 *
 * Context: preresume.
 */
void dm_sync_clone_loaded(struct dm_sync_mirror *m)
{
	if (m->pair.facts.maps_lost)
		return;
	if (m->pair.facts.replica_consistent && !m->super.restoring) {
		dm_sync_map_clear_all(m->uncopied_map);
		return;
	}
	clear_where(m->source_map, m->uncopied_map, m->nr_regions);
	if (!m->super.restoring)
		clear_where(m->replica_map, m->uncopied_map, m->nr_regions);
}

/**
 * dm_sync_clone_mark_active - writes may have been under way when it ended
 * @m: the clone
 * @first: first region of an extent
 * @end: the one after its last
 *
 * Context: preresume.
 */
void dm_sync_clone_mark_active(struct dm_sync_mirror *m, u64 first, u64 end)
{
	for (; first < end; first++)
		if (!dm_sync_map_test(m->uncopied_map, first))
			dm_sync_map_set(m->source_map, first);
}

/**
 * dm_sync_clone_turn - let the doors do what the published state says
 * @m: the clone
 *
 * What the state gives up is durable already, where it can be.
 *
 * Context: the conductor, or while it is idle; may sleep.
 */
void dm_sync_clone_turn(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;
	bool holding = m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED &&
		       !m->hold_released;

	WRITE_ONCE(cl->preserving, m->redirect || dm_sync_preserves(&m->pair.state));
	WRITE_ONCE(cl->holding, holding);
	if (!cl->preserving)
		WRITE_ONCE(cl->image_lost, false);
	dm_sync_clone_release(m, !holding, !cl->preserving);
}

/**
 * dm_sync_clone_restart - take up what the state says, or what was stopped
 * @m: the clone
 *
 * Context: the conductor, or while it is idle; may sleep.
 */
void dm_sync_clone_restart(struct dm_sync_mirror *m)
{
	u8 state = m->pair.state.copy_state;

	dm_sync_clone_turn(m);
	if (state == DM_SYNC_COPY_STATE_SUSPENDED && !m->hold_released)
		dm_sync_arm_hold(m);
	if (state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED ||
	    m->pair.state.progress == DM_SYNC_PROGRESS_STATUS_RESTORING)
		dm_sync_resync_start(m);
	if (state == DM_SYNC_COPY_STATE_BROKEN)
		dm_sync_arm_probe(m, PROBE_FIRST);
}

/*----------------------------------------------------------------
 * Events
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_event - what a failure is to a clone
 * @m: the clone
 * @ev: what it is to any pair
 *
 * Context: the conductor.
 */
enum dm_sync_event dm_sync_clone_event(struct dm_sync_mirror *m, enum dm_sync_event ev)
{
	if (!READ_ONCE(m->clone.image_lost) || ev == DM_SYNC_EV_MAPS_LOST)
		return ev;
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.maps_lost = true;
	spin_unlock_irq(&m->pair.lock);
	return DM_SYNC_EV_STORE_FULL;
}

/* SyncTime goes into the superblock with the state that it belongs to. */
static int persist_timed(struct dm_sync_mirror *m, const struct dm_sync_step *to)
{
	struct dm_sync_facts f;

	spin_lock_irq(&m->pair.lock);
	dm_sync_facts_now(m, &f);
	switch (dm_sync_sync_time(&m->pair.state, &f, to)) {
	case DM_SYNC_TIME_KEEP:
		break;
	case DM_SYNC_TIME_NULL:
		m->pair.sync_time = 0;
		break;
	case DM_SYNC_TIME_NOW:
		m->pair.sync_time = dm_sync_now();
		break;
	case DM_SYNC_TIME_POINT:
		m->pair.sync_time = m->synced_until;
		break;
	}
	spin_unlock_irq(&m->pair.lock);
	return dm_sync_persist(m, to);
}

/* A temporary clone ends by itself, as if Detach had been asked for. */
static void detach_if_temporary(struct dm_sync_mirror *m)
{
	struct dm_sync_change c = { .operation = DM_SYNC_OPERATION_DETACH };
	struct dm_sync_facts f;
	bool due;

	if (!m->pair.id || !dm_sync_auto_detach(&m->pair.state))
		return;
	spin_lock_irq(&m->pair.lock);
	dm_sync_facts_now(m, &f);
	c.from = dm_sync_state_step(&m->pair.state);
	due = m->pair.live && dm_sync_transition(&m->pair.state, &f, c.operation,
						 &c.during, &c.after);
	spin_unlock_irq(&m->pair.lock);
	if (!due)
		return;
	dm_sync_publish(&m->pair, &c.during, DM_SYNC_EVENT_CAUSE_COMPLETED, c.operation,
			DM_SYNC_REASON_NONE);
	dm_sync_op_detach(m, &c);
}

/* The source equals the replica, written or not; a crash before this finds it Skewed. */
static void finish_restore(struct dm_sync_mirror *m)
{
	WRITE_ONCE(m->redirect, false);
	dm_sync_map_clear_all(m->replica_map);
	if (dm_sync_commit_maps(m, true) && !READ_ONCE(m->broken))
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
}

/**
 * dm_sync_clone_copied - the copy, or the restore, has nothing left to do
 * @m: the clone
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_clone_copied(struct dm_sync_mirror *m)
{
	bool restore = m->redirect;
	struct dm_sync_step to;
	int r;

	if (m->passthrough || READ_ONCE(m->broken))
		return;
	detach_if_temporary(m);
	if (!dm_sync_next_step(m, DM_SYNC_EV_COPY_DONE, &to))
		return;
	if (dm_sync_map_count(m->uncopied_map)) {
		dm_sync_resync_start(m);
		return;
	}
	r = dm_sync_commit_maps(m, true);
	if (r) {
		if (!READ_ONCE(m->broken))
			dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		return;
	}
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.ever_synced = m->pair.facts.replica_consistent = true;
	m->pair.facts.was_synced = true;
	if (restore)
		m->pair.facts.restore_incomplete = false;
	spin_unlock_irq(&m->pair.lock);
	if (restore)
		m->super.restoring = false;
	if (persist_timed(m, &to)) {
		m->super.restoring = restore;
		return;
	}
	if (restore)
		finish_restore(m);
	dm_sync_publish(&m->pair, &to, DM_SYNC_EVENT_CAUSE_COMPLETED, 0, DM_SYNC_REASON_NONE);
	dm_sync_clone_turn(m);
	dm_sync_clone_written(m);
	detach_if_temporary(m);
}

/**
 * dm_sync_clone_written - the replica may have been written: is it Skewed by that?
 * @m: the clone
 *
 * The marks are durable, so a crash finds it as well.
 *
 * Context: any that may sleep.
 */
void dm_sync_clone_written(struct dm_sync_mirror *m)
{
	if (READ_ONCE(m->pair.state.copy_state) == DM_SYNC_COPY_STATE_SYNCHRONIZED &&
	    dm_sync_map_count(m->replica_map))
		queue_work(m->conductor, &m->clone.written_work);
}

static void do_written(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.written_work);
	struct dm_sync_step to;

	if (m->passthrough || !m->loaded ||
	    !dm_sync_next_step(m, DM_SYNC_EV_REPLICA_WRITTEN, &to))
		return;
	/* What is on disk is taken up as the same: see recovered() in the state machine. */
	dm_sync_publish(&m->pair, &to, DM_SYNC_EVENT_CAUSE_COMPLETED, 0, DM_SYNC_REASON_NONE);
}

/*----------------------------------------------------------------
 * Operations that take a moment
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_before - an operation is about to be published
 * @m: the clone
 * @operation: enum dm_sync_operation
 *
 * The new state may open the replica door before there is anything behind it.
 *
 * Context: the conductor.
 */
void dm_sync_clone_before(struct dm_sync_mirror *m, u32 operation)
{
	if (operation != DM_SYNC_OPERATION_ACTIVATE && operation != DM_SYNC_OPERATION_RESYNC &&
	    operation != DM_SYNC_OPERATION_RESTORE)
		return;
	spin_lock_irq(&m->io_lock);
	WRITE_ONCE(m->clone.door_holding, true);
	spin_unlock_irq(&m->io_lock);
	smp_mb();	/* pairs with the one in door_enter() */
}

/* Both doors hold their I/O and none is under way. */
static int close_doors(struct dm_sync_mirror *m)
{
	int r = dm_sync_close_door(m);

	if (!r)
		r = dm_sync_revive_metadata(m);
	if (!r)
		r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);
	return r;
}

static void open_doors(struct dm_sync_mirror *m)
{
	dm_sync_clone_turn(m);
	dm_sync_gate_release(m);
	dm_sync_clone_unpark(m);
}

/* The superblock turns from one image to the other: see the head. */
static int turn_image(struct dm_sync_mirror *m, const struct dm_sync_step *step, bool whole)
{
	int r;

	if (whole)
		dm_sync_map_set_all(m->uncopied_map);
	dm_sync_map_or(m->uncopied_map, m->source_map);
	dm_sync_map_or(m->uncopied_map, m->replica_map);
	r = dm_sync_commit_maps(m, false);
	if (r)
		return r;
	dm_sync_clone_point(m);
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.replica_consistent = m->pair.facts.was_synced = false;
	m->pair.facts.maps_lost = m->pair.facts.restore_incomplete = false;
	if (whole)
		m->pair.facts.ever_synced = false;
	spin_unlock_irq(&m->pair.lock);
	m->super.restoring = false;
	r = dm_sync_super_write(m, step);
	if (r)
		return r;
	WRITE_ONCE(m->redirect, false);
	dm_sync_map_clear_all(m->source_map);
	dm_sync_map_clear_all(m->replica_map);
	return dm_sync_commit_maps(m, true);
}

static int new_point(struct dm_sync_mirror *m, const struct dm_sync_step *step, bool whole)
{
	int r = close_doors(m);

	if (r) {
		open_doors(m);
		return r;
	}
	r = turn_image(m, step, whole);
	if (r && !READ_ONCE(m->broken))
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	open_doors(m);
	if (!r)
		dm_sync_resync_start(m);
	return 0;
}

static int clone_resync(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return new_point(m, &c->during, m->pair.facts.maps_lost);
}

static int clone_activate(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return new_point(m, &c->during, true);
}

static int begin_restore(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	int r;

	if (m->redirect)	/* it goes on where it broke off */
		return dm_sync_super_write(m, step);
	dm_sync_map_or(m->uncopied_map, m->source_map);
	dm_sync_map_or(m->uncopied_map, m->replica_map);
	r = dm_sync_commit_maps(m, false);
	if (r)
		return r;
	m->super.restoring = true;
	r = dm_sync_super_write(m, step);
	if (r) {
		m->super.restoring = false;
		return r;
	}
	WRITE_ONCE(m->redirect, true);
	dm_sync_map_clear_all(m->source_map);
	return dm_sync_commit_maps(m, true);
}

static int clone_restore(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = close_doors(m);

	if (!r) {
		r = begin_restore(m, &c->during);
		if (r && !READ_ONCE(m->broken))
			dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		if (r && !m->redirect)
			dm_sync_map_clear_all(m->uncopied_map);
	}
	open_doors(m);
	if (!r)
		dm_sync_resync_start(m);
	return m->redirect ? 0 : r;
}

/*----------------------------------------------------------------
 * Operations that end something
 *--------------------------------------------------------------*/

/* Durable, published, and only then no more protected. */
static int end_as(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	if (!persist_timed(m, &c->after))
		dm_sync_completed(m, c);
	dm_sync_clone_turn(m);
	return 0;
}

static int clone_fracture(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return end_as(m, c);
}

/* What hosts wrote to the replica is part of the image that is cut. */
static int clone_split(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	if (dm_sync_flush_sides(m, true)) {
		dm_sync_take_back(m, c);
		dm_sync_break(m, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
		return 0;
	}
	return end_as(m, c);
}

static int clone_deactivate(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	cancel_delayed_work(&m->hold_work);
	if (dm_sync_stop_copy(m, c))
		return 0;
	m->hold_released = false;
	return end_as(m, c);
}

static int clone_suspend(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	if (dm_sync_stop_copy(m, c))
		return 0;
	m->hold_released = m->hold;
	end_as(m, c);
	if (!m->hold_released)
		dm_sync_arm_hold(m);
	return 0;
}

static int clone_resume(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	cancel_delayed_work(&m->hold_work);
	m->hold_released = false;
	if (!dm_sync_persist(m, &c->during))
		dm_sync_resync_start(m);
	dm_sync_clone_turn(m);
	return 0;
}

static int clone_abort(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	bool restoring = m->redirect;

	cancel_delayed_work(&m->hold_work);
	if (dm_sync_stop_copy(m, c))
		return 0;
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.restore_incomplete = restoring;
	if (!restoring)
		m->pair.facts.replica_consistent = false;
	spin_unlock_irq(&m->pair.lock);
	m->hold_released = false;
	if (!persist_timed(m, &c->after))
		dm_sync_publish(&m->pair, &c->after, DM_SYNC_EVENT_CAUSE_COMPLETED, c->operation,
				restoring ? DM_SYNC_REASON_RESTORE_INCOMPLETE :
					    DM_SYNC_REASON_OPERATOR);
	dm_sync_clone_turn(m);
	return 0;
}

static int clone_prepare(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = close_doors(m);

	if (r) {
		dm_sync_gate_release(m);
		return r;
	}
	spin_lock_irq(&m->pair.lock);
	m->pair.facts.replica_consistent = m->pair.facts.ever_synced = false;
	m->pair.facts.maps_lost = m->pair.facts.restore_incomplete = false;
	spin_unlock_irq(&m->pair.lock);
	m->super.restoring = false;
	r = persist_timed(m, &c->after);
	if (!r) {
		WRITE_ONCE(m->redirect, false);
		dm_sync_completed(m, c);
		dm_sync_map_set_all(m->uncopied_map);
		dm_sync_map_clear_all(m->source_map);
		dm_sync_map_clear_all(m->replica_map);
	}
	dm_sync_clone_turn(m);
	dm_sync_gate_release(m);
	return 0;
}

static int clone_detach(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	/* Held writes are in flight to the gate: they go first. */
	WRITE_ONCE(m->clone.holding, false);
	dm_sync_clone_release(m, true, false);
	return dm_sync_op_detach(m, c);
}

static int (*const handlers[])(struct dm_sync_mirror *m, struct dm_sync_change *c) = {
	[DM_SYNC_OPERATION_ABORT] = clone_abort,
	[DM_SYNC_OPERATION_ACTIVATE] = clone_activate,
	[DM_SYNC_OPERATION_DEACTIVATE] = clone_deactivate,
	[DM_SYNC_OPERATION_DETACH] = clone_detach,
	[DM_SYNC_OPERATION_DISSOLVE] = clone_detach,
	[DM_SYNC_OPERATION_FRACTURE] = clone_fracture,
	[DM_SYNC_OPERATION_RESYNC] = clone_resync,
	[DM_SYNC_OPERATION_RESTORE] = clone_restore,
	[DM_SYNC_OPERATION_RESUME] = clone_resume,
	[DM_SYNC_OPERATION_SPLIT] = clone_split,
	[DM_SYNC_OPERATION_SUSPEND] = clone_suspend,
	[DM_SYNC_OPERATION_UNPREPARE] = clone_prepare,
	[DM_SYNC_OPERATION_PREPARE] = clone_prepare,
};

/**
 * dm_sync_clone_run - carry an operation out
 * @m: the clone
 * @c: the operation, admitted, its first state published
 *
 * Context: the conductor; may sleep.
 * Return: 0, or a negative errno: it was not begun and has to be taken back.
 */
int dm_sync_clone_run(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return handlers[c->operation](m, c);
}

/**
 * dm_sync_clone_ops_init - set up the conductor's work for a clone
 * @m: the mirror or clone
 */
void dm_sync_clone_ops_init(struct dm_sync_mirror *m)
{
	INIT_WORK(&m->clone.written_work, do_written);
}
