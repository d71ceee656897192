// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a pair: where operations, creation and events lead.
 *
 * Two rules run through the events. An error never leads to a deliberate state, nor to a copy
 * over data that an operator chose to keep: only an operation already accepted ends where it was
 * going, and only where that end promises nothing about the replica. And what is not known
 * counts as the worse.
 *
 * A snapshot or clone that is Synchronized and whose replica was written to is Skewed. That is one
 * place (settled()), so it holds for the copy that ends, for the Suspend that is taken back and
 * for the state found after a crash alike.
 */
#include "dm-sync-state-private.h"

/* -- transitions ----------------------------------------------------------------------------- */

/* which of several rows of one operation applies; the first that holds is taken */
enum when {
	ALWAYS,
	SYNCED,		/* the first copy was completed once */
	CLEAN,		/* nothing is left to be copied */
	BACKLOG,	/* asynchronous, and something is left to be copied */
	PREPARING,	/* Prepare is running */
	RESTORING,	/* Restore is running */
	REACHABLE,	/* the source answers */
	WRITTEN,	/* hosts wrote to the replica */
};

#define KEEP	0	/* the value it has */

struct transition {
	u8 op;
	u32 from[KINDS];		/* of a mirror, a snapshot, a clone */
	enum when when;
	u8 requested;			/* while it runs */
	u8 during_copy, during_progress;
	u8 after_copy, after_progress, after_requested;
};

/*
 * Where `during` is a CopyState of its own, data moves and the row's end is reached when it has
 * all moved; where it is KEEP the operation ends or redirects a flow, and the state changes at
 * the cut. The sets of states that a row starts from are a mirror's, a snapshot's, a clone's.
 */
#define KEPT(ps)	KEEP, PS(ps)
#define TO(cs, ps)	CS(cs), PS(ps)
static const struct transition transitions[] = {
{ OP(ACTIVATE), { Ia, 0, 0 }, SYNCED, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(ACTIVATE), { In | Pr | Ia, In | Pr | Ia, In | Pr | Ia }, ALWAYS, CS(SYNCHRONIZED),
	TO(UNSYNCHRONIZED, SYNCHRONIZING), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(DEACTIVATE), { Un | Sy | Sk | Fr | Sp | Su | Br, Sy | Sk | Su | Br,
	Un | Sy | Sk | Fr | Sp | Su | Br }, ALWAYS, CS(INACTIVE), KEPT(SUSPENDING),
	TO(INACTIVE, DORMANT), NONE },
{ OP(SUSPEND), { Sy | Un, Sy | Sk, Un }, ALWAYS, CS(SUSPENDED), KEPT(SUSPENDING),
	TO(SUSPENDED, DORMANT), NONE },
{ OP(RESUME), { Su, 0, 0 }, CLEAN, NONE, TO(SYNCHRONIZED, COMPLETED),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESUME), { 0, Su, 0 }, WRITTEN, NONE, TO(SKEWED, COMPLETED), TO(SKEWED, COMPLETED), NONE },
{ OP(RESUME), { 0, Su, 0 }, ALWAYS, NONE, TO(SYNCHRONIZED, COMPLETED),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESUME), { Su, 0, Su }, SYNCED, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESUME), { Su, 0, Su }, ALWAYS, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, SYNCHRONIZING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(FRACTURE), { Sy | Un | Su, 0, Sy | Sk }, ALWAYS, CS(FRACTURED), KEPT(FRACTURING),
	TO(FRACTURED, COMPLETED), NONE },
{ OP(SPLIT), { Sy | Su, 0, Sy | Sk }, ALWAYS, CS(SPLIT), KEPT(SPLITTING),
	TO(SPLIT, COMPLETED), NONE },
{ OP(RESYNC), { Fr | Sp | Br | Ab | Sk, Sy | Sk | Br, Sy | Sk | Fr | Sp | Br | Ab }, ALWAYS,
	CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESTORE), { Fr | Sp | Sk | Br, 0, 0 }, ALWAYS, CS(SYNCHRONIZED), KEPT(RESTORING),
	TO(SYNCHRONIZED, REQUIRES_FRACTURE), NONE },
{ OP(RESTORE), { 0, Sy | Sk | Br, Sy | Sk | Fr | Sp | Br }, ALWAYS, CS(SYNCHRONIZED),
	KEPT(RESTORING), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESET_REPLICA), { 0, Sk, 0 }, ALWAYS, CS(SYNCHRONIZED), KEPT(RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(FAILOVER), { Sy | Su | Sp | Fr | Ia | Br | Un | Sk, 0, 0 }, ALWAYS, CS(FAILEDOVER),
	KEPT(FAILING_OVER), TO(FAILEDOVER, COMPLETED), NONE },
{ OP(FAILBACK), { Fo, 0, 0 }, ALWAYS, CS(SYNCHRONIZED), KEPT(FAILING_BACK),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(REVERSE_ROLES), { Sy, 0, 0 }, ALWAYS, NONE, KEPT(FAILING_OVER),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(REVERSE_ROLES), { Fr | Sp, 0, 0 }, ALWAYS, NONE, KEPT(FAILING_OVER),
	KEPT(REQUIRES_RESYNC), NONE },
{ OP(REVERSE_ROLES), { Su, 0, 0 }, ALWAYS, NONE, KEPT(FAILING_OVER),
	TO(SUSPENDED, DORMANT), NONE },
{ OP(REVERSE_ROLES), { Fo, 0, 0 }, REACHABLE, CS(FRACTURED), KEPT(FAILING_OVER),
	TO(FRACTURED, REQUIRES_RESYNC), NONE },
{ OP(REVERSE_ROLES), { Fo, 0, 0 }, ALWAYS, CS(FRACTURED), KEPT(FAILING_OVER),
	TO(BROKEN, REQUIRES_RESYNC), CS(SYNCHRONIZED) },
{ OP(RESET_TO_SYNC), { Sy, 0, 0 }, BACKLOG, NONE, KEPT(SYNCHRONIZING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESET_TO_SYNC), { ANY & ~Fo, 0, 0 }, ALWAYS, KEEP, KEEP, KEEP, KEEP, KEEP, KEEP },
{ OP(RESET_TO_ASYNC), { ANY & ~Fo, 0, 0 }, ALWAYS, KEEP, KEEP, KEEP, KEEP, KEEP, KEEP },
{ OP(ABORT), { ANY, Sy | Sk | Br, Sy | Sk | Fr | Sp | Br }, RESTORING, CS(ABORTED),
	KEPT(ABORTING), TO(BROKEN, DORMANT), CS(SYNCHRONIZED) },
{ OP(ABORT), { ANY, 0, ANY & ~Fo }, PREPARING, CS(ABORTED), KEPT(ABORTING),
	TO(ABORTED, REQUIRES_RESYNC), NONE },
{ OP(ABORT), { Un, 0, Un | Su }, ALWAYS, CS(ABORTED), KEPT(ABORTING),
	TO(ABORTED, REQUIRES_RESYNC), NONE },
{ OP(PREPARE), { In | Ia | Fr | Sp | Br | Ab | Sk, In | Ia | Br,
	In | Ia | Fr | Sp | Br | Ab | Sk }, ALWAYS, CS(PREPARED), KEPT(PREPARING),
	TO(PREPARED, REQUIRES_ACTIVATE), NONE },
{ OP(DETACH), { ANY, In | Pr | Ia | Br, ANY & ~Fo }, ALWAYS, NONE, KEPT(DETACHING),
	TO(NOT_APPLICABLE, COMPLETED), NONE },
{ OP(DISSOLVE), { ANY & ~(In | Pr | Fo), In | Pr | Sy | Sk | Su | Ia | Br, ANY & ~Fo }, ALWAYS,
	NONE, KEPT(DETACHING), TO(NOT_APPLICABLE, COMPLETED), NONE },
{ OP(RETURN_TO_RESOURCE_POOL), { 0, In | Pr | Sy | Sk | Su | Ia | Br, 0 }, ALWAYS, NONE,
	KEPT(DETACHING), TO(NOT_APPLICABLE, COMPLETED), NONE },
};

static bool holds(enum when when, const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	switch (when) {
	case ALWAYS:
		return true;
	case SYNCED:
		return f->ever_synced;
	case CLEAN:
		return f->nothing_marked && !f->maps_lost;
	case BACKLOG:
		return s->copy_type == DM_SYNC_COPY_TYPE_ASYNC && !f->nothing_marked;
	case PREPARING:
		return s->progress == PS(PREPARING);
	case RESTORING:
		return s->progress == PS(RESTORING);
	case REACHABLE:
		return f->source_ok;
	case WRITTEN:
		return f->replica_written;
	}
	return false;
}

static struct dm_sync_step step(u8 copy_state, u8 progress, u8 requested)
{
	struct dm_sync_step next = { copy_state, progress, requested };

	if (next.requested == next.copy_state)
		next.requested = NONE;
	return next;
}

/* A step relative to the present state; ProgressStatus 0 stands in no row, so it can mean KEEP. */
static struct dm_sync_step step_from(const struct dm_sync_state *s, u8 copy_state, u8 progress,
				     u8 requested)
{
	return step(copy_state ? copy_state : s->copy_state, progress ? progress : s->progress,
		    requested ? requested : s->requested);
}

/**
 * dm_sync_transition() - what an admitted operation leads to
 * @s: the pair's state
 * @f: the facts
 * @op: enum dm_sync_operation
 * @during: what to publish when the operation is accepted
 * @after: what to publish when it has succeeded. Where data moves that is told by
 *	DM_SYNC_EV_COPY_DONE when it all has moved, which knows what has happened meanwhile.
 *
 * Where @during equals @after the operation is complete at once. Neither is more than a state:
 * setting maps full, forgetting them, and letting held writes go are the caller's.
 *
 * Return: false if the operation has no transition from here (refused, or a no-op).
 */
bool dm_sync_transition(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			unsigned int op, struct dm_sync_step *during, struct dm_sync_step *after)
{
	const struct transition *t = transitions;
	const struct transition *end = t + sizeof(transitions) / sizeof(transitions[0]);
	enum kind kind = kind_of(s);

	if (kind == KINDS)
		return false;
	if (op == OP(UNPREPARE))	/* an older name of it */
		op = OP(PREPARE);
	while (t < end && !(t->op == op && in_set(t->from[kind], s->copy_state) &&
			    holds(t->when, s, f)))
		t++;
	if (t == end)
		return false;
	*during = step_from(s, t->during_copy, t->during_progress, t->requested);
	*after = step_from(s, t->after_copy, t->after_progress, t->after_requested);
	/* Initialized, Inactive, Aborted have no Aborting: there Preparing stays to the end */
	if (!dm_sync_pair_legal(during->copy_state, during->progress))
		during->progress = s->progress;
	return true;
}

/* Where creation leads when it is not to stop anywhere. */
static struct dm_sync_step created(enum kind kind, bool assume_in_sync)
{
	if (kind == SNAPSHOT || assume_in_sync)
		return step(TO(SYNCHRONIZED, COMPLETED), NONE);
	return step(TO(UNSYNCHRONIZED, SYNCHRONIZING), CS(SYNCHRONIZED));
}

/**
 * dm_sync_create_step() - the states a new pair goes through
 * @s: the new pair; only the types are looked at
 * @stop_at: CopyState to stop at: Initialized, Prepared, Inactive; Synchronized or 0 = go on
 * @assume_in_sync: the replica is taken to be equal already; mirrors only
 * @first: what to publish while the metadata is being formatted
 * @after: what to publish then. If that is Unsynchronized, the copy starts, and
 *	DM_SYNC_EV_COPY_DONE leads on; before that, or before a snapshot is Synchronized, its point
 *	in time is taken.
 *
 * Return: 0; -EINVAL for a state that creation cannot stop at, for @assume_in_sync with one that
 * declares all regions different, and for the copy of a moment that is assumed to be one; and
 * -EOPNOTSUPP for a type that this version does not have.
 */
int dm_sync_create_step(const struct dm_sync_state *s, unsigned int stop_at, bool assume_in_sync,
			struct dm_sync_step *first, struct dm_sync_step *after)
{
	enum kind kind = kind_of(s);

	if (kind == KINDS)
		return -EINVAL;
	if (s->copy_type == DM_SYNC_COPY_TYPE_ASYNC)
		return -EOPNOTSUPP;

	switch (stop_at) {
	case 0:
	case CS(SYNCHRONIZED):
		stop_at = CS(SYNCHRONIZED);
		*after = created(kind, assume_in_sync);
		break;
	case CS(INITIALIZED):
		*after = step(TO(INITIALIZED, COMPLETED), NONE);
		break;
	case CS(PREPARED):
		*after = step(TO(PREPARED, REQUIRES_ACTIVATE), NONE);
		break;
	case CS(INACTIVE):
		*after = step(TO(INACTIVE, DORMANT), NONE);
		break;
	default:
		return -EINVAL;
	}
	if (assume_in_sync &&
	    (kind != MIRROR || stop_at == CS(INITIALIZED) || stop_at == CS(PREPARED)))
		return -EINVAL;
	*first = step(TO(INITIALIZED, INITIALIZING), (u8)stop_at);
	return 0;
}

/* -- events ---------------------------------------------------------------------------------- */

/* The state with this CopyState in which no operation is in flight. */
static struct dm_sync_step settled(const struct dm_sync_state *s, u8 copy_state,
				   const struct dm_sync_facts *f)
{
	bool mirror = kind_of(s) == MIRROR;

	if (!mirror && copy_state == CS(SYNCHRONIZED) && f->replica_written && !temporary(s))
		copy_state = CS(SKEWED);
	switch (copy_state) {
	case CS(UNSYNCHRONIZED):
		return step(copy_state, copying(f), CS(SYNCHRONIZED));
	case CS(SYNCHRONIZED):
		return step(copy_state, mirror && f->fracture_owed ? PS(REQUIRES_FRACTURE) :
			    PS(COMPLETED), NONE);
	case CS(BROKEN):
		return step(copy_state, f->maps_lost ? PS(REQUIRES_RESYNC) : PS(DORMANT),
			    CS(SYNCHRONIZED));
	case CS(INACTIVE):
	case CS(SUSPENDED):
		return step(copy_state, PS(DORMANT), NONE);
	case CS(PREPARED):
		return step(copy_state, PS(REQUIRES_ACTIVATE), NONE);
	case CS(ABORTED):
		return step(copy_state, PS(REQUIRES_RESYNC), NONE);
	case CS(SKEWED):
		if (mirror)
			return step(copy_state, PS(REQUIRES_RESYNC), CS(SYNCHRONIZED));
		break;
	}
	return step(copy_state, PS(COMPLETED), NONE);
}

/* The states that an error of a side, or of the store, concerns: what flows, or is in use. */
struct concern {
	u32 from[KINDS];
	u32 whenever;	/* ... and these ProgressStatus values in any state */
};

#define USES_REPLICA	(P(RESTORING) | P(FRACTURING) | P(SPLITTING) | P(FAILING_BACK) | \
			 P(ABORTING))
static const struct concern concerns[] = {
	[DM_SYNC_EV_REPLICA_ERROR] = { { Un | Sy, Un | Sy | Sk, Un | Sy | Sk }, USES_REPLICA },
	[DM_SYNC_EV_SOURCE_COPY_ERROR] = { { Un, 0, Un }, P(RESTORING) | P(FAILING_BACK) },
	[DM_SYNC_EV_SOURCE_WRITE_ERROR] = { { Un | Sy | Fr | Ia | Su | Ab, Un | Ia | Su,
					      Un | Fr | Ia | Su | Ab }, USES_REPLICA },
	[DM_SYNC_EV_STORE_FULL] = { { 0, Un | Sy | Sk | Su | Br, Un | Su | Br }, 0 },
};

static bool error_concerns(const struct dm_sync_state *s, enum dm_sync_event ev)
{
	return in_set(concerns[ev].from[kind_of(s)], s->copy_state) ||
	       in_set(concerns[ev].whenever, s->progress);
}

/*
 * An error of a side. Fracture, Deactivate and Abort stop the flow and promise nothing about the
 * replica, so they end as accepted; Split and Suspend promise, so they break, and what they aimed
 * at stays requested; a half done Restore stays to be restored.
 */
static bool error_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
		       enum dm_sync_event ev, struct dm_sync_step *after)
{
	if (!error_concerns(s, ev))
		return false;
	switch (s->progress) {
	case PS(PREPARING):
	case PS(DETACHING):
		return false;
	case PS(FRACTURING):
		*after = settled(s, CS(FRACTURED), f);
		return true;
	case PS(FAILING_BACK):
		*after = step(TO(FAILEDOVER, COMPLETED), CS(SYNCHRONIZED));
		return true;
	case PS(ABORTING):
		*after = settled(s, in_set(Un | Su, s->copy_state) ? CS(ABORTED) : CS(BROKEN), f);
		return true;
	case PS(SUSPENDING):
		if (s->requested == CS(INACTIVE)) {
			*after = settled(s, CS(INACTIVE), f);
			return true;
		}
		break;
	}
	*after = settled(s, CS(BROKEN), f);
	if (in_set(IN_FLIGHT, s->progress) && s->requested != NONE)
		after->requested = s->requested;
	return true;
}

/* Old data could not be saved before a host write: the image is lost, unless it was going to be. */
static bool full_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
		      struct dm_sync_step *after)
{
	if (s->copy_state == CS(BROKEN) &&
	    in_set(P(REQUIRES_RESYNC) | P(UNKNOWN), s->progress))
		return false;
	if (!error_step(s, f, DM_SYNC_EV_STORE_FULL, after))
		return false;
	if (after->copy_state == CS(BROKEN))
		after->progress = PS(REQUIRES_RESYNC);
	return true;
}

/*
 * Only a fault that has cleared by itself is left by itself, and never over a half done restore. A
 * snapshot has nothing to copy: either its image is what it was, or there is none to return to.
 */
static bool returned_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			  bool recovery_auto, struct dm_sync_step *after)
{
	bool snapshot = kind_of(s) == SNAPSHOT;

	if (s->copy_state != CS(BROKEN) || s->progress != PS(DORMANT) || f->restore_incomplete ||
	    (snapshot && !f->was_synced))
		return false;
	*after = !recovery_auto ? settled(s, CS(SUSPENDED), f) :
		 snapshot ? settled(s, CS(SYNCHRONIZED), f) :
		 step(TO(UNSYNCHRONIZED, RESYNCING), CS(SYNCHRONIZED));
	return true;
}

/* A snapshot whose store is full, and that is to hold writes and not to lose its image. */
static bool store_step(const struct dm_sync_state *s, const struct dm_sync_facts *f, bool full,
		       struct dm_sync_step *after)
{
	if (full ? !in_set(Sy | Sk, s->copy_state) || s->progress != PS(COMPLETED) :
		   s->copy_state != CS(SUSPENDED) || s->progress != PS(DORMANT))
		return false;
	*after = settled(s, full ? CS(SUSPENDED) : CS(SYNCHRONIZED), f);
	return true;
}

/* Everything must be copied anew, or the state itself is lost: both from anywhere, both Broken. */
static bool lost_step(const struct dm_sync_state *s, u8 progress, struct dm_sync_step *after)
{
	if (s->copy_state == CS(NOT_APPLICABLE) || s->progress == PS(DETACHING))
		return false;
	if (s->copy_state == CS(BROKEN) &&
	    (s->progress == PS(UNKNOWN) || s->progress == progress))
		return false;
	*after = step(CS(BROKEN), progress, CS(SYNCHRONIZED));
	return true;
}

static bool done_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
		      struct dm_sync_step *after)
{
	static const u32 copies = P(SYNCHRONIZING) | P(RESYNCING) | P(PENDING);
	bool mirror = kind_of(s) == MIRROR;

	if (s->progress == PS(RESTORING)) {	/* the source equals the replica, written or not */
		*after = step(CS(SYNCHRONIZED), mirror ? PS(REQUIRES_FRACTURE) : PS(COMPLETED),
			      NONE);
		return true;
	}
	if (!in_set(copies, s->progress))
		return false;
	if (s->copy_state == CS(SKEWED))	/* Reset Replica: what was written is gone */
		*after = step(TO(SYNCHRONIZED, COMPLETED), NONE);
	else if (in_set(Un | Sy, s->copy_state))
		*after = settled(s, CS(SYNCHRONIZED), f);
	else
		return false;
	return true;
}

/* Split and Suspend can give up: everything is as if they had not been asked for. */
static bool timeout_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			 struct dm_sync_step *after)
{
	if (s->progress != PS(SPLITTING) &&
	    !(s->progress == PS(SUSPENDING) && s->requested == CS(SUSPENDED)))
		return false;
	*after = settled(s, s->copy_state, f);
	return true;
}

/* Pending covers Synchronizing and Resyncing, and the backlog of an asynchronous mirror. */
static bool stall_step(const struct dm_sync_state *s, const struct dm_sync_facts *f, bool stalled,
		       struct dm_sync_step *after)
{
	bool backlog = s->copy_state == CS(SYNCHRONIZED) &&
		       s->copy_type == DM_SYNC_COPY_TYPE_ASYNC;
	u32 covers = backlog ? P(COMPLETED) : P(SYNCHRONIZING) | P(RESYNCING);

	if (!backlog && s->copy_state != CS(UNSYNCHRONIZED))
		return false;
	if (!in_set(stalled ? covers : P(PENDING), s->progress))
		return false;
	*after = step(s->copy_state, stalled ? PS(PENDING) : backlog ? PS(COMPLETED) : copying(f),
		      s->requested);
	return true;
}

/* The side that was written behind our back is the replica; a resync or restore has to decide. */
static bool skewed_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			struct dm_sync_step *after)
{
	if (in_set(IN_FLIGHT, s->progress) || !in_set(Un | Sy | Ia | Su | Fo, s->copy_state))
		return false;
	*after = settled(s, CS(SKEWED), f);
	return true;
}

/*
 * An image that was written to is a modified one: legitimate, and nothing is owed. Where something
 * is in flight, or copies, its end looks at what was written (settled()).
 */
static bool written_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			 struct dm_sync_step *after)
{
	if (s->copy_state != CS(SYNCHRONIZED) || s->progress != PS(COMPLETED) || temporary(s))
		return false;
	*after = settled(s, CS(SKEWED), f);
	return true;
}

/*
 * The state found in metadata, after a crash or not, and what it is taken up as. A cut that was
 * logged is found as the state after it; one found in flight was not made, and the old state
 * holds. Copy, restore and the taking of a point in time go on. A restore that was being aborted
 * left the source half restored.
 */
static struct dm_sync_step recovered(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				     bool marked)
{
	struct dm_sync_step next = step(s->copy_state, s->progress, s->requested);
	u32 unfinished = IN_FLIGHT | P(PREPARING) | P(PENDING);
	bool mirror = kind_of(s) == MIRROR;

	if (s->copy_state == CS(INITIALIZED) &&
	    in_set(P(INITIALIZING) | P(PREPARING), s->progress)) {
		next = settled(s, in_set(Pr | Ia, s->requested) ? s->requested : CS(INITIALIZED),
			       f);
		if (s->requested == CS(SYNCHRONIZED))
			next = step(TO(UNSYNCHRONIZED, SYNCHRONIZING), CS(SYNCHRONIZED));
	} else if (s->progress == PS(ABORTING) && !in_set(Un | Su, s->copy_state)) {
		next = settled(s, CS(BROKEN), f);
	} else if (in_set(unfinished, s->progress) ||
		   (!mirror && s->copy_state == CS(SYNCHRONIZED) && s->progress == PS(COMPLETED))) {
		next = settled(s, s->copy_state, f);
	}
	if (mirror && next.copy_state == CS(SYNCHRONIZED) && marked)
		next = step(TO(UNSYNCHRONIZED, RESYNCING), CS(SYNCHRONIZED));
	return next;
}

static bool same_step(const struct dm_sync_step *a, const struct dm_sync_state *b)
{
	return a->copy_state == b->copy_state && a->progress == b->progress &&
	       a->requested == b->requested;
}

/* Which kinds an event is one of; the others do not hear of it. */
static bool hears(enum kind kind, enum dm_sync_event ev)
{
#define K(kind)	(1u << (kind))
	static const u8 deaf[] = {
		[DM_SYNC_EV_STALLED] = K(SNAPSHOT),
		[DM_SYNC_EV_UNSTALLED] = K(SNAPSHOT),
		[DM_SYNC_EV_REPLICA_SKEWED] = K(SNAPSHOT),
		[DM_SYNC_EV_REPLICA_TOO_SMALL] = K(SNAPSHOT),
		[DM_SYNC_EV_REPLICA_WRITTEN] = K(MIRROR),
		[DM_SYNC_EV_STORE_FULL] = K(MIRROR),
		[DM_SYNC_EV_STORE_HOLD] = K(MIRROR) | K(CLONE),
		[DM_SYNC_EV_STORE_SPACE] = K(MIRROR) | K(CLONE),
	};
#undef K

	return kind != KINDS && ev < sizeof(deaf) && !in_set(deaf[ev], kind);
}

/**
 * dm_sync_event_step() - what an event makes of a pair's state
 * @s: the pair's state
 * @f: the facts as they are before the event
 * @ev: enum dm_sync_event; one that does not belong to this type of pair changes nothing
 * @recovery_auto: the pair's recovery setting is auto, not manual
 * @regions_marked: some region is marked as changed or as in flight (crash recovery of a mirror)
 * @after: always set: the new state, or the present one where nothing changes
 *
 * A pair that was suspended when the machine went down comes up Suspended; that it tracks instead
 * of holding writes then, or preserves, is the caller's. So is setting restore_incomplete where an
 * error or a crash ends a Restore in Broken, and maps_lost where the end is Broken and a resync is
 * owed (5/18).
 *
 * Return: true if the event changes the state.
 */
bool dm_sync_event_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			enum dm_sync_event ev, bool recovery_auto, bool regions_marked,
			struct dm_sync_step *after)
{
	*after = step(s->copy_state, s->progress, s->requested);
	if (!hears(kind_of(s), ev))
		return false;

	switch (ev) {
	case DM_SYNC_EV_REPLICA_ERROR:
	case DM_SYNC_EV_SOURCE_COPY_ERROR:
	case DM_SYNC_EV_SOURCE_WRITE_ERROR:
		return error_step(s, f, ev, after);
	case DM_SYNC_EV_REPLICA_RETURNED:
		return returned_step(s, f, recovery_auto, after);
	case DM_SYNC_EV_MAPS_LOST:
	case DM_SYNC_EV_REPLICA_TOO_SMALL:
		return lost_step(s, PS(REQUIRES_RESYNC), after);
	case DM_SYNC_EV_STATE_UNKNOWN:
		return lost_step(s, PS(UNKNOWN), after);
	case DM_SYNC_EV_COPY_DONE:
		return done_step(s, f, after);
	case DM_SYNC_EV_DRAIN_TIMEOUT:
		return timeout_step(s, f, after);
	case DM_SYNC_EV_CRASH_RECOVERY:
		*after = recovered(s, f, regions_marked);
		return !same_step(after, s);
	case DM_SYNC_EV_STALLED:
	case DM_SYNC_EV_UNSTALLED:
		return stall_step(s, f, ev == DM_SYNC_EV_STALLED, after);
	case DM_SYNC_EV_REPLICA_SKEWED:
		return kind_of(s) == MIRROR ? skewed_step(s, f, after) : written_step(s, f, after);
	case DM_SYNC_EV_REPLICA_WRITTEN:
		return written_step(s, f, after);
	case DM_SYNC_EV_STORE_FULL:
		return full_step(s, f, after);
	case DM_SYNC_EV_STORE_HOLD:
		return store_step(s, f, true, after);
	case DM_SYNC_EV_STORE_SPACE:
		return recovery_auto && store_step(s, f, false, after);
	}
	return false;
}
