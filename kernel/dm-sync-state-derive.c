// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a pair: which states there are, and what follows from one.
 *
 * CopyState, ProgressStatus and RequestedCopyState are stored; SyncState, SyncMaintained,
 * PercentSynced, SyncMode, ReplicaType, CopyMethodology, what the doors do and what a write has
 * to wait for are derived here and nowhere else, so that no two readers can disagree.
 */
#include "dm-sync-state-private.h"

/* -- which combinations exist ---------------------------------------------------------------- */

#define ENDING	P(DETACHING)

static const u32 legal_progress[CS(NOT_APPLICABLE) + 1] = {
	[CS(INITIALIZED)] = P(INITIALIZING) | P(COMPLETED) | P(PREPARING) | ENDING | P(UNKNOWN),
	[CS(UNSYNCHRONIZED)] = P(SYNCHRONIZING) | P(RESYNCING) | P(PENDING) | P(FRACTURING) |
			       P(FAILING_OVER) | ENDING | P(ABORTING) | P(SUSPENDING),
	[CS(SYNCHRONIZED)] = P(COMPLETED) | P(REQUIRES_FRACTURE) | P(PENDING) | P(SYNCHRONIZING) |
			     P(RESTORING) | P(FRACTURING) | P(SPLITTING) | P(FAILING_OVER) |
			     ENDING | P(ABORTING) | P(SUSPENDING),
	[CS(BROKEN)] = P(DORMANT) | P(REQUIRES_RESYNC) | P(UNKNOWN) | P(PREPARING) | P(RESTORING) |
		       P(FAILING_OVER) | ENDING | P(ABORTING) | P(SUSPENDING),
	[CS(FRACTURED)] = P(COMPLETED) | P(REQUIRES_RESYNC) | P(PREPARING) | P(RESTORING) |
			  P(FAILING_OVER) | ENDING | P(ABORTING) | P(SUSPENDING),
	[CS(SPLIT)] = P(COMPLETED) | P(REQUIRES_RESYNC) | P(PREPARING) | P(RESTORING) |
		      P(FAILING_OVER) | ENDING | P(ABORTING) | P(SUSPENDING),
	[CS(INACTIVE)] = P(DORMANT) | P(PREPARING) | P(FAILING_OVER) | ENDING,
	[CS(SUSPENDED)] = P(DORMANT) | P(FRACTURING) | P(SPLITTING) | P(FAILING_OVER) | ENDING |
			  P(ABORTING) | P(SUSPENDING),
	[CS(FAILEDOVER)] = P(COMPLETED) | P(FAILING_OVER) | P(FAILING_BACK) | ENDING,
	[CS(PREPARED)] = P(REQUIRES_ACTIVATE) | ENDING,
	[CS(ABORTED)] = P(REQUIRES_RESYNC) | P(PREPARING) | ENDING,
	[CS(SKEWED)] = P(COMPLETED) | P(REQUIRES_RESYNC) | P(PREPARING) | P(RESYNCING) |
		       P(RESTORING) | P(FRACTURING) | P(SPLITTING) | P(FAILING_OVER) | ENDING |
		       P(ABORTING) | P(SUSPENDING),
	/* a group row: Mixed, or whatever all members have in common; 1 does not exist */
	[CS(MIXED)] = ((1u << (PS(PENDING) + 1)) - 1) & ~(1u << 1),
	[CS(NOT_APPLICABLE)] = P(COMPLETED),
};

/*
 * Of those, what a kind of pair does not show. The instant in which a snapshot's point in time is
 * taken lets nothing in; a snapshot has no copy to abort and cannot be cut from its source.
 */
static const u32 never[KINDS][CS(NOT_APPLICABLE) + 1] = {
	[MIRROR] = {
		[CS(SYNCHRONIZED)] = P(RESTORING) | P(ABORTING),
		[CS(SUSPENDED)] = P(ABORTING),
		[CS(SKEWED)] = P(COMPLETED) | P(RESYNCING),
	},
	[SNAPSHOT] = {
		[CS(UNSYNCHRONIZED)] = ~(P(SYNCHRONIZING) | P(RESYNCING)),
		[CS(SYNCHRONIZED)] = P(FRACTURING) | P(SPLITTING),
		[CS(FRACTURED)] = ~0u,
		[CS(SPLIT)] = ~0u,
		[CS(SUSPENDED)] = P(FRACTURING) | P(SPLITTING) | P(ABORTING),
		[CS(ABORTED)] = ~0u,
		[CS(SKEWED)] = P(PREPARING) | P(FRACTURING) | P(SPLITTING),
	},
	[CLONE] = {
		[CS(UNSYNCHRONIZED)] = P(FRACTURING),
		[CS(FRACTURED)] = P(REQUIRES_RESYNC),
		[CS(SPLIT)] = P(REQUIRES_RESYNC),
		[CS(SUSPENDED)] = P(FRACTURING) | P(SPLITTING),
		[CS(SKEWED)] = P(RESYNCING),
	},
};

/* What the copies of a point in time never show: no failover, no backlog, no fracture owed. */
static u32 never_of_a_moment(const struct dm_sync_state *s, u8 copy_state)
{
	static const u32 cut_or_kept = Fr | Sp | Sk;
	u32 set = P(FAILING_OVER) | P(FAILING_BACK) | P(REQUIRES_FRACTURE);

	switch (copy_state) {
	case CS(FAILEDOVER):
		return ~0u;
	case CS(SYNCHRONIZED):
		set |= P(PENDING) | P(SYNCHRONIZING);
		if (temporary(s))
			set = ~(P(COMPLETED) | P(DETACHING));
		break;
	case CS(BROKEN):
		if (temporary(s))
			set |= P(RESTORING);
		break;
	case CS(SKEWED):
		set |= P(REQUIRES_RESYNC);
		break;
	}
	return temporary(s) && in_set(cut_or_kept, copy_state) ? ~0u : set;
}

/*
 * The ProgressStatus values that a pair of this type shows with a CopyState; none where it is
 * never in that CopyState, or has no type.
 */
u32 dm_sync_progress_with(const struct dm_sync_state *s, u8 copy_state)
{
	enum kind kind = kind_of(s);
	u32 set;

	if (kind == KINDS || copy_state > CS(NOT_APPLICABLE) || copy_state == CS(MIXED))
		return 0;
	set = legal_progress[copy_state] & ~never[kind][copy_state];
	if (kind != MIRROR)
		set &= ~never_of_a_moment(s, copy_state);
	else if (s->copy_type == DM_SYNC_COPY_TYPE_SYNC && copy_state == CS(SYNCHRONIZED))
		set &= ~P(PENDING);	/* no backlog */
	return set;
}

/**
 * dm_sync_pair_legal() - may this CopyState be seen with this ProgressStatus at all
 * @copy_state: enum dm_sync_copy_state
 * @progress: enum dm_sync_progress_status
 *
 * Return: true if the specification's table of allowed pairs has it (for some type of pair).
 */
bool dm_sync_pair_legal(u8 copy_state, u8 progress)
{
	return copy_state <= CS(NOT_APPLICABLE) && in_set(legal_progress[copy_state], progress);
}

/**
 * dm_sync_type_legal() - do these three make a kind of pair that exists
 * @sync_type: enum dm_sync_sync_type
 * @copy_type: enum dm_sync_copy_type
 * @methodology: enum dm_sync_copy_methodology, as it is in use ("implementation decides" is
 *	legal in a request only)
 *
 * Return: true for the combinations of the specification; all others refuse creation.
 */
bool dm_sync_type_legal(u8 sync_type, u8 copy_type, u8 methodology)
{
#define M(n)	(1u << METHOD(n))
	u32 methods = 0;

	if (sync_type == DM_SYNC_SYNC_TYPE_MIRROR && copy_type == DM_SYNC_COPY_TYPE_SYNC)
		methods = M(FULL_COPY) | M(INCREMENTAL) | M(DIFFERENTIAL);
	else if (sync_type == DM_SYNC_SYNC_TYPE_MIRROR && copy_type == DM_SYNC_COPY_TYPE_ASYNC)
		methods = M(FULL_COPY) | M(INCREMENTAL) | M(DIFFERENTIAL) | M(DELTA_UPDATE);
	else if (sync_type == DM_SYNC_SYNC_TYPE_SNAPSHOT &&
		 copy_type == DM_SYNC_COPY_TYPE_UNSYNC_ASSOC)
		methods = M(COPY_ON_WRITE) | M(COPY_ON_ACCESS) | M(OTHER);
	else if (sync_type == DM_SYNC_SYNC_TYPE_CLONE &&
		 (copy_type == DM_SYNC_COPY_TYPE_UNSYNC_ASSOC ||
		  copy_type == DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC))
		methods = M(FULL_COPY) | M(COPY_ON_WRITE) | M(COPY_ON_ACCESS) | M(SNAP_AND_CLONE);
	return in_set(methods, methodology);
#undef M
}

/**
 * dm_sync_invariants() - what must hold of every state of a pair that anybody can see
 * @s: the state
 * @why: set to a sentence when one does not hold
 *
 * Return: true if all hold.
 */
bool dm_sync_invariants(const struct dm_sync_state *s, const char **why)
{
	static const u32 requestable = ANY & ~(Br | Sk);

	*why = NULL;
	if (kind_of(s) == KINDS)
		*why = "CopyType does not belong to SyncType";
	else if (s->copy_state == CS(MIXED) || s->progress == PS(MIXED))
		*why = "a pair cannot be Mixed";
	else if (!dm_sync_pair_legal(s->copy_state, s->progress))
		*why = "this ProgressStatus does not go with this CopyState";
	else if (!in_set(dm_sync_progress_with(s, s->copy_state), s->progress))
		*why = "this type of pair is never in this state";
	else if (s->requested != NONE && !in_set(requestable, s->requested))
		*why = "RequestedCopyState is one that nobody can request";
	else if (s->requested != NONE && s->requested == s->copy_state)
		*why = "RequestedCopyState equals CopyState";
	else if (dm_sync_derive_sync_state(s) == DM_SYNC_SYNC_STATE_SYNCHRONIZED &&
		 !dm_sync_derive_maintained(s))
		*why = "SyncState is Synchronized and SyncMaintained is false";
	return !*why;
}

/* -- what follows from the state ------------------------------------------------------------- */

/**
 * dm_sync_derive_mode() - SyncMode
 * @s: the pair's state
 *
 * Return: enum dm_sync_sync_mode, Unknown for a type that is none.
 */
int dm_sync_derive_mode(const struct dm_sync_state *s)
{
	if (kind_of(s) == KINDS)
		return DM_SYNC_SYNC_MODE_UNKNOWN;
	if (s->copy_type == DM_SYNC_COPY_TYPE_ASYNC ||
	    (s->sync_type == DM_SYNC_SYNC_TYPE_CLONE &&
	     s->methodology == DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE))
		return DM_SYNC_SYNC_MODE_ASYNCHRONOUS;
	return DM_SYNC_SYNC_MODE_SYNCHRONOUS;
}

/* Rows 9 to 17 of the table, where ProgressStatus decides nothing any more. */
static int sync_state_of_copy_state(const struct dm_sync_state *s)
{
	enum kind kind = kind_of(s);
	bool mirror = kind == MIRROR;

	switch (s->copy_state) {
	case CS(INITIALIZED):
		return DM_SYNC_SYNC_STATE_INITIALIZED;
	case CS(PREPARED):
		return DM_SYNC_SYNC_STATE_PREPARED;
	case CS(UNSYNCHRONIZED):
		return kind == CLONE && !temporary(s) ?
		       DM_SYNC_SYNC_STATE_COPY_IN_PROGRESS : DM_SYNC_SYNC_STATE_RESYNC_IN_PROGRESS;
	case CS(SYNCHRONIZED):
		return mirror ? DM_SYNC_SYNC_STATE_SYNCHRONIZED :
		       kind == SNAPSHOT ? DM_SYNC_SYNC_STATE_IDLE : DM_SYNC_SYNC_STATE_FROZEN;
	case CS(SKEWED):
		return mirror ? DM_SYNC_SYNC_STATE_FRACTURED :
		       kind == SNAPSHOT ? DM_SYNC_SYNC_STATE_IDLE : DM_SYNC_SYNC_STATE_FROZEN;
	case CS(BROKEN):
		return DM_SYNC_SYNC_STATE_BROKEN;
	case CS(FRACTURED):
	case CS(SPLIT):
		return mirror ? DM_SYNC_SYNC_STATE_FRACTURED :
		       kind == CLONE ? DM_SYNC_SYNC_STATE_FROZEN : -1;
	case CS(FAILEDOVER):
		return mirror ? DM_SYNC_SYNC_STATE_FRACTURED : -1;
	case CS(INACTIVE):
	case CS(SUSPENDED):
	case CS(ABORTED):
		return DM_SYNC_SYNC_STATE_QUIESCED;
	}
	return -1;
}

/**
 * dm_sync_derive_sync_state() - SyncState
 * @s: the pair's state, of any type
 *
 * Return: enum dm_sync_sync_state, or -1 for NULL.
 */
int dm_sync_derive_sync_state(const struct dm_sync_state *s)
{
	if (s->copy_state == CS(NOT_APPLICABLE) || s->copy_state == CS(MIXED) ||
	    kind_of(s) == KINDS)
		return -1;
	switch (s->progress) {
	case PS(INITIALIZING):
		return DM_SYNC_SYNC_STATE_INITIALIZED;
	case PS(PREPARING):
		return DM_SYNC_SYNC_STATE_PREPARE_IN_PROGRESS;
	case PS(RESTORING):
	case PS(FAILING_BACK):
		return DM_SYNC_SYNC_STATE_RESTORE_IN_PROGRESS;
	case PS(FRACTURING):
	case PS(SPLITTING):
		return s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR ?
		       DM_SYNC_SYNC_STATE_FRACTURE_IN_PROGRESS :
		       DM_SYNC_SYNC_STATE_QUIESCE_IN_PROGRESS;
	case PS(FAILING_OVER):
	case PS(ABORTING):
	case PS(SUSPENDING):
		return DM_SYNC_SYNC_STATE_QUIESCE_IN_PROGRESS;
	}
	return sync_state_of_copy_state(s);
}

/**
 * dm_sync_derive_replica_type() - ReplicaType, constant for the life of the pair
 * @s: the pair's state, of any type
 *
 * A full image that will exist counts as one from creation on. A snapshot is the delta that its
 * source has moved away from; only where new data is redirected (methodology Other) is it the
 * source that is kept as a delta.
 *
 * Return: enum dm_sync_replica_type, Not Specified for a type that is none.
 */
int dm_sync_derive_replica_type(const struct dm_sync_state *s)
{
	switch (kind_of(s)) {
	case MIRROR:
	case CLONE:
		return DM_SYNC_REPLICA_TYPE_FULL_COPY;
	case SNAPSHOT:
		return s->methodology == METHOD(OTHER) ? DM_SYNC_REPLICA_TYPE_BEFORE_DELTA :
		       DM_SYNC_REPLICA_TYPE_AFTER_DELTA;
	case KINDS:
		break;
	}
	return DM_SYNC_REPLICA_TYPE_NOT_SPECIFIED;
}

/**
 * dm_sync_derive_maintained() - SyncMaintained
 * @s: the pair's state, of any type
 *
 * Return: true for a mirror whose replica follows.
 */
bool dm_sync_derive_maintained(const struct dm_sync_state *s)
{
	return s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR && s->copy_state == CS(SYNCHRONIZED);
}

/* Data moves although the CopyState does not say so: Restore, Failback, Reset Replica. */
static bool moving(const struct dm_sync_state *s)
{
	return s->progress == PS(RESTORING) || s->progress == PS(FAILING_BACK) ||
	       (s->copy_state == CS(SKEWED) && s->progress == PS(RESYNCING));
}

/* Whether there is a percentage to speak of, beside the maps being there. */
static bool percent_known(const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	if (moving(s))
		return true;
	if (s->progress == PS(UNKNOWN) || s->progress == PS(INITIALIZING))
		return false;
	switch (s->copy_state) {
	case CS(SYNCHRONIZED):
		return true;
	case CS(BROKEN):
		return !f->maps_lost && s->progress != PS(REQUIRES_RESYNC);
	case CS(INACTIVE):
		return s->sync_type != DM_SYNC_SYNC_TYPE_SNAPSHOT && !f->maps_lost;
	case CS(SKEWED):
	case CS(FAILEDOVER):
	case CS(MIXED):
	case CS(NOT_APPLICABLE):
		return false;
	}
	return !f->maps_lost;
}

/**
 * dm_sync_derive_percent() - PercentSynced
 * @s: the pair's state
 * @f: the facts
 * @total: what this pass has to reach in all, in any unit
 * @remaining: what of it is not there yet, in the same unit; more than @total counts as @total
 *
 * Rounded down, so that 100 means that nothing remains; while data moves it stays below 100 until
 * the CopyState says so; beyond 2^56 units the last bits are dropped, to the low side. Found by
 * multiplication: a division of 64 bits is a call in 32-bit kernels.
 *
 * Return: 0 to 100, or -1 for NULL.
 */
int dm_sync_derive_percent(const struct dm_sync_state *s, const struct dm_sync_facts *f, u64 total,
			   u64 remaining)
{
	int percent = 0;

	if (!percent_known(s, f))
		return -1;
	if (s->copy_state == CS(SYNCHRONIZED) && !moving(s))
		return 100;
	if (remaining > total)
		remaining = total;
	while (total >> 56) {
		total >>= 1;
		remaining = (remaining >> 1) + (remaining & 1);
	}
	if (remaining > total)
		remaining = total;
	while (percent < 100 && (u64)(percent + 1) * total <= 100 * (total - remaining))
		percent++;
	if (percent == 100 && (moving(s) || s->copy_state == CS(UNSYNCHRONIZED)))
		return 99;
	return percent;
}

/* The configured methodology; a request's "implementation decides" is decided here. */
static u8 configured(const struct dm_sync_state *s)
{
	if (s->methodology != METHOD(NOT_SPECIFIED) &&
	    s->methodology != METHOD(IMPLEMENTATION_DECIDES))
		return s->methodology;
	return kind_of(s) == MIRROR ? METHOD(FULL_COPY) : METHOD(COPY_ON_WRITE);
}

/**
 * dm_sync_derive_methodology() - CopyMethodology, as it is at the moment
 * @s: the pair's state; its methodology is the configured one
 * @f: the facts
 *
 * The first copy of a mirror is a full one whatever was configured, and so is one without maps. A
 * copy driven by the maps is never reported as full: it is the configured one if that is a
 * partial one, else Incremental. A snapshot or clone shows what it was created with all its life,
 * in a refresh too: the partial methodologies are not among those of its type.
 *
 * Return: enum dm_sync_copy_methodology.
 */
int dm_sync_derive_methodology(const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	u8 method = configured(s);
	u8 copy = s->progress;

	if (kind_of(s) != MIRROR)
		return method;
	if (s->copy_state == CS(UNSYNCHRONIZED) && copy != PS(SYNCHRONIZING) &&
	    copy != PS(RESYNCING))
		copy = copying(f);
	if (copy != PS(SYNCHRONIZING) && copy != PS(RESYNCING) && copy != PS(RESTORING) &&
	    copy != PS(FAILING_BACK))
		return method;
	if (s->copy_state == CS(SYNCHRONIZED))	/* the backlog of an asynchronous mirror */
		return method;
	if (copy == PS(SYNCHRONIZING) || f->maps_lost)
		return METHOD(FULL_COPY);
	return method == METHOD(FULL_COPY) ? METHOD(INCREMENTAL) : method;
}

/**
 * dm_sync_sync_time() - what a change of state does to SyncTime
 * @s: the state before it
 * @f: the facts before it
 * @to: the state after it
 *
 * A mirror's is when it last entered Synchronized, or the cut of a Split. That of a snapshot or
 * clone is its point in time and not the end of the copy, whatever the copy went through; a
 * source that was restored from a replica written to equals it since the restore; an image that
 * is gone has none.
 *
 * Return: enum dm_sync_time.
 */
enum dm_sync_time dm_sync_sync_time(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				    const struct dm_sync_step *to)
{
	bool was = s->copy_state == CS(SYNCHRONIZED), is = to->copy_state == CS(SYNCHRONIZED);

	switch (kind_of(s)) {
	case MIRROR:
		return (is && !was) || (was && to->copy_state == CS(SPLIT)) ?
		       DM_SYNC_TIME_NOW : DM_SYNC_TIME_KEEP;
	case SNAPSHOT:
		if (to->copy_state == CS(INACTIVE))
			return DM_SYNC_TIME_NULL;
		break;
	case CLONE:
		break;
	case KINDS:
		return DM_SYNC_TIME_KEEP;
	}
	if (to->copy_state == CS(PREPARED) || to->copy_state == CS(INITIALIZED))
		return DM_SYNC_TIME_NULL;
	if (s->progress == PS(RESTORING) && is)
		return f->replica_written ? DM_SYNC_TIME_NOW : DM_SYNC_TIME_KEEP;
	if (in_set(In | Un, s->copy_state) && in_set(Sy | Sk, to->copy_state))
		return DM_SYNC_TIME_POINT;
	return DM_SYNC_TIME_KEEP;
}

/**
 * dm_sync_auto_detach() - is the pair to be detached now, without anybody asking
 * @s: the pair's state
 *
 * A temporary clone (CopyType 5) ends when its copy is complete. The caller then carries out
 * Detach as if it had been asked for; after a crash in between it is true again.
 *
 * Return: true for a temporary clone that is Synchronized and in which nothing runs.
 */
bool dm_sync_auto_detach(const struct dm_sync_state *s)
{
	return temporary(s) && s->copy_state == CS(SYNCHRONIZED) && s->progress == PS(COMPLETED);
}

/* -- what the doors do ----------------------------------------------------------------------- */

static enum dm_sync_door_access mirror_door(const struct dm_sync_state *s,
					    const struct dm_sync_facts *f)
{
	switch (s->copy_state) {
	case CS(FRACTURED):
	case CS(SPLIT):
	case CS(SKEWED):
	case CS(FAILEDOVER):
		return DM_SYNC_DOOR_ACCESS_READ_WRITE;
	case CS(INACTIVE):
		return DM_SYNC_DOOR_ACCESS_READ_ONLY;
	case CS(SUSPENDED):
	case CS(BROKEN):
		return f->replica_consistent ? DM_SYNC_DOOR_ACCESS_READ_ONLY :
		       DM_SYNC_DOOR_ACCESS_NONE;
	}
	return DM_SYNC_DOOR_ACCESS_NONE;
}

/* Whether the image can be used before all of it is in the replica: what is not is the source's. */
static bool usable_at_once(const struct dm_sync_state *s)
{
	return configured(s) == METHOD(COPY_ON_WRITE) || configured(s) == METHOD(COPY_ON_ACCESS);
}

static enum dm_sync_door_access image_door(const struct dm_sync_state *s,
					   const struct dm_sync_facts *f)
{
	bool clone = kind_of(s) == CLONE;

	switch (s->copy_state) {
	case CS(UNSYNCHRONIZED):
		return clone && usable_at_once(s) ? DM_SYNC_DOOR_ACCESS_READ_WRITE :
		       DM_SYNC_DOOR_ACCESS_NONE;
	case CS(SYNCHRONIZED):
	case CS(SKEWED):
	case CS(FRACTURED):
	case CS(SPLIT):
		return DM_SYNC_DOOR_ACCESS_READ_WRITE;
	case CS(SUSPENDED):
		return !clone || usable_at_once(s) ? DM_SYNC_DOOR_ACCESS_READ_ONLY :
		       DM_SYNC_DOOR_ACCESS_NONE;
	case CS(INACTIVE):
		return clone && f->replica_consistent ? DM_SYNC_DOOR_ACCESS_READ_ONLY :
		       DM_SYNC_DOOR_ACCESS_NONE;
	}
	return DM_SYNC_DOOR_ACCESS_NONE;
}

/**
 * dm_sync_door() - what hosts may do through the replica door
 * @s: the pair's state
 * @f: the facts
 *
 * Readable means usable: a complete image of some moment. While data moves in either direction a
 * mirror's replica is none, and of a following one none is promised. The image of a snapshot or
 * clone is the same whether all of it has been copied or not, and stays so in a restore, which
 * only reads it: then it must not change. Where dm_sync_door_holds() the answer is for those who
 * ask, and I/O waits for the next state.
 *
 * Return: enum dm_sync_door_access.
 */
enum dm_sync_door_access dm_sync_door(const struct dm_sync_state *s,
				      const struct dm_sync_facts *f)
{
	static const u32 closed = P(PREPARING) | P(FAILING_BACK) | P(ABORTING) | P(UNKNOWN);
	enum kind kind = kind_of(s);

	if (kind == KINDS || in_set(closed, s->progress) || dm_sync_door_holds(s))
		return DM_SYNC_DOOR_ACCESS_NONE;
	if (s->progress == PS(RESTORING))
		return kind == MIRROR ? DM_SYNC_DOOR_ACCESS_NONE : DM_SYNC_DOOR_ACCESS_READ_ONLY;
	return kind == MIRROR ? mirror_door(s, f) : image_door(s, f);
}

/**
 * dm_sync_door_holds() - does I/O to the replica door wait for the next state
 * @s: the pair's state
 *
 * Return: true while a snapshot's image is being exchanged (Activate, Resync, Reset Replica): what
 * is asked meanwhile is neither the old image's nor in error.
 */
bool dm_sync_door_holds(const struct dm_sync_state *s)
{
	return kind_of(s) == SNAPSHOT &&
	       (s->copy_state == CS(UNSYNCHRONIZED) ||
		(s->copy_state == CS(SKEWED) && s->progress == PS(RESYNCING)));
}

/**
 * dm_sync_flow() - where host writes to the source door of a mirror go
 * @s: the pair's state; of a snapshot or clone they always go to the source alone
 *
 * An operation that stops the flow stops it at its end, when the state changes.
 *
 * Return: enum dm_sync_flow.
 */
enum dm_sync_flow dm_sync_flow(const struct dm_sync_state *s)
{
	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
		return DM_SYNC_FLOW_NONE;
	if (s->progress == PS(RESTORING))
		return DM_SYNC_FLOW_RESTORE;
	return in_set(Un | Sy, s->copy_state) ? DM_SYNC_FLOW_FORWARD : DM_SYNC_FLOW_NONE;
}

/**
 * dm_sync_preserves() - must old data be saved before a host write to the source changes it
 * @s: the pair's state
 *
 * The protection of the point in time (rules S, SC). It lasts to the end of the operation that
 * ends it. A Broken pair keeps it until a write finds that it cannot be kept
 * (DM_SYNC_EV_STORE_FULL), so that the image survives what did not touch it.
 *
 * Return: true where a region that the replica does not own yet must be preserved before it is
 * written. Where it owns all of them that costs nothing.
 */
bool dm_sync_preserves(const struct dm_sync_state *s)
{
	static const u32 protecting[KINDS] = {
		[SNAPSHOT] = Un | Sy | Sk | Su,
		[CLONE] = Un | Su,
	};
	static const u32 image_lost = P(REQUIRES_RESYNC) | P(UNKNOWN);
	enum kind kind = kind_of(s);

	if (kind == KINDS || kind == MIRROR)
		return false;
	return in_set(protecting[kind], s->copy_state) ||
	       (s->copy_state == CS(BROKEN) && !in_set(image_lost, s->progress));
}

/**
 * dm_sync_holds_writes() - does the state hold host writes, unless hold:track has it track them
 * @s: the pair's state
 *
 * Of a mirror all of them, of a snapshot or clone those that would need preserving
 * (dm_sync_preserves()) and no others.
 *
 * Return: true while the pair is Suspended, until the operation that ends it has ended.
 */
bool dm_sync_holds_writes(const struct dm_sync_state *s)
{
	return s->copy_state == CS(SUSPENDED);
}

/**
 * dm_sync_tracks_source() - must a host write to the source be in the source-changed map first
 * @s: the pair's state
 *
 * Of a mirror where host writes reach the source alone (rules M, M-degraded). Of a clone from its
 * point in time to its end, so that a refresh copies only what changed; not where the next copy is
 * of everything. A snapshot has no such map.
 *
 * Return: true where the write must be marked before it is issued. Where the map is full anyway it
 * costs nothing.
 */
bool dm_sync_tracks_source(const struct dm_sync_state *s)
{
	switch (kind_of(s)) {
	case MIRROR:
		return in_set(ANY & ~Fo, s->copy_state) && dm_sync_flow(s) == DM_SYNC_FLOW_NONE;
	case CLONE:
		return in_set(Un | Sy | Br | Fr | Sp | Su | Ab | Sk, s->copy_state);
	case SNAPSHOT:
	case KINDS:
		break;
	}
	return false;
}
