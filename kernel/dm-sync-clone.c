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
 * Where U(r) is set neither side was written since: S(r) is clear, for who writes to
 * the source waits until U(r) is clear on disk, and T(r) says at most that a write
 * to the replica waits for its copy (dm-sync-clone-io.c).
 *
 * The point in time of a refresh is one write of the superblock.  Under a closed
 * gate, with the replica door held, U |= S | T is made durable; then the superblock
 * says "copying, the replica is not complete"; then S and T are cleared, durably;
 * then the gate opens.  U of a pair whose replica is complete means nothing, so a
 * crash before the superblock leaves the old image and U is cleared when it is
 * taken up.  After it the new image holds, and marks of S and T that are still
 * there stand where U is set too and are cleared likewise.
 *
 * Where U means something, because the pair is Broken in the middle of a copy, or
 * of a restore, the superblock gives that image up first.  Otherwise a crash
 * between U and the superblock would find the old image with regions to be copied
 * that the source has changed since; or, in a restore, the replica's data to be
 * shown for regions that the host has written.
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
 * The same for T: where a write through the replica door was issued and the disk has
 * U clear, it has T set, so no copy goes over it and no refresh forgets it.  Where it still has
 * U set, nobody has flushed that write (dm-sync-clone-owe.c).
 *
 * With a delta (dm-sync-clone-delta.c) writes are issued where U is set, too, if the
 * region is in there: S may be marked where it is, and is believed after a crash.
 *
 * An image that cannot be kept is given up on disk before the write that it stood
 * in the way of is issued (rule S-invalid): Broken, everything to be copied anew.
 * Metadata that cannot be written ends the protection as well; what the disk said
 * last cannot be taken back then, and a crash before it is writable again may take
 * up an image that was not preserved.  Reason and event say so while it lasts.
 */
#include <linux/err.h>

#include "dm-sync-freeze.h"
#include "dm-sync-ops.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * What is found, what flows
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_point - the point in time is now
 * @m: the clone, no write of the source in flight
 *
 * It becomes SyncTime when the copy is complete.  What hosts wrote before is on the
 * source then, and not in its cache: what the image takes from there must be the
 * same after a power cut.
 *
 * Context: preresume, or the conductor; may sleep.
 * Return: 0, or a negative errno: the source could not be flushed.
 */
int dm_sync_clone_point(struct dm_sync_mirror *m)
{
	int r = dm_sync_flush_sides(m, false);

	if (!r)
		m->synced_until = dm_sync_now();
	return r;
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

/* What is in the delta may have been written though it is uncopied. */
static void clear_source(struct dm_sync_mirror *m)
{
	struct dm_sync_map *map = m->source_map;
	u64 r;

	for (r = dm_sync_map_next(map, 0); r < m->nr_regions; r = dm_sync_map_next(map, r + 1))
		if (dm_sync_clone_uncopied(m, r, r))
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
	clear_source(m);
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
		if (!dm_sync_clone_uncopied(m, first, first))
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
	WRITE_ONCE(cl->on_access, !m->redirect &&
		   m->pair.state.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED &&
		   m->pair.state.methodology == DM_SYNC_COPY_METHODOLOGY_COPY_ON_ACCESS);
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
	dm_sync_clone_commit(m, true);
}

/*
 * With a delta a region may be copied twice at once, and one of these may come late.
 * Hosts are to write to the replica when no copy does any more.  The end of a piece of
 * the background asks again by itself.
 */
static bool all_over(struct dm_sync_mirror *m)
{
	if (!m->delta)
		return true;
	WRITE_ONCE(m->clone.completing, true);
	smp_mb();	/* either we see the last of them over, or it sees that we asked */
	if (atomic_read(&m->clone.busy))
		return false;
	WRITE_ONCE(m->clone.completing, false);
	if (!READ_ONCE(m->resync.busy))
		return true;
	if (!READ_ONCE(m->resync.running))
		dm_sync_resync_start(m);
	return false;
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

	WRITE_ONCE(m->clone.completing, false);
	if (m->passthrough || READ_ONCE(m->broken))
		return;
	detach_if_temporary(m);
	if (!dm_sync_next_step(m, DM_SYNC_EV_COPY_DONE, &to))
		return;
	if (dm_sync_map_count(m->uncopied_map)) {
		if (!READ_ONCE(m->resync.running))
			dm_sync_resync_start(m);
		return;
	}
	if (!all_over(m) || dm_sync_clone_commit(m, true))
		return;
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

/* I/O of the replica door waits from here on; what is under way is not over yet. */
static void hold_door(struct dm_sync_mirror *m)
{
	spin_lock_irq(&m->io_lock);
	WRITE_ONCE(m->clone.door_holding, true);
	spin_unlock_irq(&m->io_lock);
	smp_mb();	/* pairs with the one in door_enter() */
}

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
	if (operation == DM_SYNC_OPERATION_ACTIVATE || operation == DM_SYNC_OPERATION_RESYNC ||
	    operation == DM_SYNC_OPERATION_RESTORE)
		hold_door(m);
}

/* Both doors hold their I/O and none is under way, and no copy is. */
static int close_doors(struct dm_sync_mirror *m)
{
	int r = dm_sync_close_door(m);

	if (!r)
		r = dm_sync_revive_metadata(m);
	if (!r)
		r = dm_sync_gate_close(&m->gate, DRAIN_TIMEOUT);
	return r ?: dm_sync_clone_quiet(m);
}

static void open_doors(struct dm_sync_mirror *m)
{
	dm_sync_clone_turn(m);
	dm_sync_gate_release(m);
	dm_sync_clone_unpark(m);
}

/*
 * The image that is being protected, or a restore that broke off, ends here, on disk
 * first: what U means is about to change, and with it what the source shows.
 */
static int give_up_image(struct dm_sync_mirror *m)
{
	static const struct dm_sync_step lost = {
		DM_SYNC_COPY_STATE_BROKEN,
		DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC,
		DM_SYNC_COPY_STATE_SYNCHRONIZED,
	};
	struct dm_sync_facts old = m->pair.facts;
	int r;

	spin_lock_irq(&m->pair.lock);
	m->pair.facts.maps_lost = true;
	m->pair.facts.replica_consistent = m->pair.facts.restore_incomplete = false;
	spin_unlock_irq(&m->pair.lock);
	m->super.restoring = false;
	r = dm_sync_persist(m, &lost);
	if (!r) {
		WRITE_ONCE(m->redirect, false);
		return 0;
	}
	spin_lock_irq(&m->pair.lock);
	m->pair.facts = old;
	spin_unlock_irq(&m->pair.lock);
	m->super.restoring = m->redirect;
	return r;
}

/* The superblock turns from one image to the other: see the head. */
static int turn_super(struct dm_sync_mirror *m, const struct dm_sync_step *step, bool whole)
{
	struct dm_sync_facts old = m->pair.facts;
	int r;

	spin_lock_irq(&m->pair.lock);
	m->pair.facts.replica_consistent = m->pair.facts.was_synced = false;
	m->pair.facts.maps_lost = m->pair.facts.restore_incomplete = false;
	if (whole)
		m->pair.facts.ever_synced = false;
	spin_unlock_irq(&m->pair.lock);
	m->super.delta_epoch += !!m->delta;
	r = dm_sync_persist(m, step);
	if (!r) {
		if (m->delta)
			dm_sync_delta_begin(m->delta, m->super.delta_epoch);
		return 0;
	}
	m->super.delta_epoch -= !!m->delta;
	spin_lock_irq(&m->pair.lock);
	m->pair.facts = old;
	spin_unlock_irq(&m->pair.lock);
	return r;
}

static int turn_image(struct dm_sync_mirror *m, struct dm_sync_change *c, bool whole)
{
	int r = 0;

	if (m->redirect || (c->from.copy_state == DM_SYNC_COPY_STATE_BROKEN &&
			    !m->pair.facts.maps_lost && !m->pair.facts.replica_consistent))
		r = give_up_image(m);
	if (r)
		return r;
	/* What failed has broken the pair by the time that we return: then it is lost. */
	WRITE_ONCE(m->clone.image_lost, !m->pair.facts.replica_consistent);
	if (whole) {
		dm_sync_map_set_all(m->uncopied_map);
		/* What a flush did not save will be copied. */
		WRITE_ONCE(m->clone.unflushed, false);
	}
	dm_sync_map_or(m->uncopied_map, m->source_map);
	dm_sync_map_or(m->uncopied_map, m->replica_map);
	r = dm_sync_clone_commit(m, false);
	if (!r)
		r = turn_super(m, &c->during, whole);
	if (r) {
		if (m->pair.facts.replica_consistent)
			dm_sync_map_clear_all(m->uncopied_map);
		return r;
	}
	WRITE_ONCE(m->clone.image_lost, false);
	dm_sync_clone_forgive(m);
	dm_sync_map_clear_all(m->source_map);
	dm_sync_map_clear_all(m->replica_map);
	dm_sync_clone_commit(m, true);	/* the new image holds; if it fails, it breaks */
	return 0;
}

/* NULL: nothing was frozen, and that is all right. */
static struct dm_sync_freeze *freeze(struct dm_sync_mirror *m, bool force)
{
	struct dm_sync_freeze *f = dm_sync_freeze(m->pair.md, DRAIN_TIMEOUT);

	return IS_ERR(f) && force ? NULL : f;
}

/* The part that hosts wait for. */
static int stand_still(struct dm_sync_mirror *m, struct dm_sync_change *c, bool whole)
{
	u64 old = m->synced_until;
	int r = close_doors(m);

	if (!r)
		r = dm_sync_clone_point(m);
	if (!r) {
		r = turn_image(m, c, whole);
		if (r)
			m->synced_until = old;
	}
	open_doors(m);
	return r;
}

/*
 * A file system on the source door stands still meanwhile, as for an image of a
 * store (dm-sync-image-point.c has the argument): frozen before the gate is closed,
 * thawed when it is open.  Before the freeze the source is flushed, so that little is
 * left for the flush that hosts wait for.
 */
static int new_point(struct dm_sync_mirror *m, struct dm_sync_change *c, bool whole)
{
	struct dm_sync_freeze *f;
	int r;

	dm_sync_flush_sides(m, false);
	f = freeze(m, c->force);
	if (IS_ERR(f)) {
		dm_sync_clone_unpark(m);
		return PTR_ERR(f);
	}
	r = stand_still(m, c, whole);
	if (f)
		dm_sync_thaw(f);
	if (!r)
		dm_sync_resync_start(m);
	return r;
}

static int clone_resync(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return new_point(m, c, m->pair.facts.maps_lost);
}

static int clone_activate(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	return new_point(m, c, true);
}

static int begin_restore(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	int r;

	if (m->redirect)	/* it goes on where it broke off */
		return dm_sync_persist(m, step);
	dm_sync_map_or(m->uncopied_map, m->source_map);
	dm_sync_map_or(m->uncopied_map, m->replica_map);
	r = dm_sync_clone_commit(m, false);
	if (r)
		return r;
	m->super.restoring = true;
	r = dm_sync_persist(m, step);
	if (r) {
		m->super.restoring = false;
		return r;
	}
	WRITE_ONCE(m->redirect, true);
	dm_sync_map_clear_all(m->source_map);
	return dm_sync_clone_commit(m, true);
}

static int clone_restore(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	int r = close_doors(m);

	/* What the source is to show must be the same after a power cut. */
	if (!r)
		r = dm_sync_flush_sides(m, true);
	if (!r) {
		r = begin_restore(m, &c->during);
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

/*
 * The state is published.  If the image is given up with it, nobody is to wait for a
 * copy any more: not even for one that stands at a replica which does not answer.
 */
static int turned(struct dm_sync_mirror *m)
{
	dm_sync_clone_turn(m);
	if (!m->clone.preserving)
		dm_sync_clone_abandon(m);
	return 0;
}

/* Durable, published, and only then no more protected. */
static int end_as(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	if (!persist_timed(m, &c->after))
		dm_sync_completed(m, c);
	return turned(m);
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
	/* Writes to what was copied pass: so the disk must know what was. */
	dm_sync_clone_commit(m, true);
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
	return turned(m);
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
	if (r) {
		m->super.restoring = m->redirect;
	} else {
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

/*
 * From here on nobody keeps a host's writes from what a copy reads, or a copy from
 * what a host writes: a replica that is not whole is left by both first.
 */
static int leave_replica(struct dm_sync_mirror *m)
{
	if (m->redirect || (!dm_sync_map_count(m->uncopied_map) && !atomic_read(&m->clone.busy)))
		return 0;
	hold_door(m);
	WRITE_ONCE(m->clone.on_access, false);
	return dm_sync_close_door(m) ?: dm_sync_clone_quiet(m);
}

static int clone_detach(struct dm_sync_mirror *m, struct dm_sync_change *c)
{
	bool restoring = m->redirect;

	/* Held writes are in flight to the gate: they go first. */
	WRITE_ONCE(m->clone.holding, false);
	dm_sync_clone_release(m, true, false);
	if (leave_replica(m)) {
		dm_sync_take_back(m, c);
		dm_sync_clone_restart(m);
	} else {
		dm_sync_op_detach(m, c);
	}
	/* What a restore left to be done was not the replica's: that is whole. */
	if (restoring && m->passthrough)
		dm_sync_map_clear_all(m->uncopied_map);
	dm_sync_clone_unpark(m);
	return 0;
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
