// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a pair.
 *
 * Three tables hold the rules and everything else reads them: the admission matrix (operation x
 * CopyState), the transitions (operation x CopyState -> while it runs, after), and the pairs of
 * CopyState and ProgressStatus that may be seen at all. They are laid out as the specification
 * lays them out, so that one can be held against the other. The matrix is complete for a mirror;
 * operations of it that are not built yet are masked in one place (dm_sync_op_built()).
 *
 * Two rules run through the events. An error never leads to a deliberate state, nor to a copy
 * over data that an operator chose to keep: only an operation already accepted ends where it was
 * going, and only where that end promises nothing about the replica. And what is not known
 * counts as the worse.
 */
#ifdef __KERNEL__
#include <linux/types.h>
#endif
#include <linux/errno.h>

#include "dm-sync-state.h"

#define CS(name)	DM_SYNC_COPY_STATE_##name
#define PS(name)	DM_SYNC_PROGRESS_STATUS_##name
#define OP(name)	DM_SYNC_OPERATION_##name
#define NONE		DM_SYNC_COPY_STATE_NOT_APPLICABLE

/* sets of CopyStates, by the abbreviations of the specification's columns */
#define In	(1u << CS(INITIALIZED))
#define Pr	(1u << CS(PREPARED))
#define Un	(1u << CS(UNSYNCHRONIZED))
#define Sy	(1u << CS(SYNCHRONIZED))
#define Br	(1u << CS(BROKEN))
#define Fr	(1u << CS(FRACTURED))
#define Sp	(1u << CS(SPLIT))
#define Ia	(1u << CS(INACTIVE))
#define Su	(1u << CS(SUSPENDED))
#define Fo	(1u << CS(FAILEDOVER))
#define Ab	(1u << CS(ABORTED))
#define Sk	(1u << CS(SKEWED))
#define ANY	(In | Pr | Un | Sy | Br | Fr | Sp | Ia | Su | Fo | Ab | Sk)

#define OPERATIONS	(OP(RESET_REPLICA) + 1)

static bool in_set(u32 set, unsigned int value)
{
	return value < 32 && (set >> value & 1);
}

/* -- which combinations exist ---------------------------------------------------------------- */

#define P(n)	(1u << PS(n))
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

/* of those, what a mirror cannot show: they belong to the copies of a point in time */
static const u32 not_a_mirrors[CS(NOT_APPLICABLE) + 1] = {
	[CS(SYNCHRONIZED)] = P(RESTORING) | P(ABORTING),
	[CS(SUSPENDED)] = P(ABORTING),
	[CS(SKEWED)] = P(COMPLETED) | P(RESYNCING),
};

/* an operation is in flight: nothing else is admitted until it has ended */
static const u32 in_flight = P(FRACTURING) | P(SPLITTING) | P(FAILING_OVER) | P(FAILING_BACK) |
			     P(DETACHING) | P(ABORTING) | P(SUSPENDING);

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
#define M(n)	(1u << DM_SYNC_COPY_METHODOLOGY_##n)
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

static bool copy_type_fits(const struct dm_sync_state *s)
{
	switch (s->sync_type) {
	case DM_SYNC_SYNC_TYPE_MIRROR:
		return s->copy_type == DM_SYNC_COPY_TYPE_SYNC ||
		       s->copy_type == DM_SYNC_COPY_TYPE_ASYNC;
	case DM_SYNC_SYNC_TYPE_SNAPSHOT:
		return s->copy_type == DM_SYNC_COPY_TYPE_UNSYNC_ASSOC;
	case DM_SYNC_SYNC_TYPE_CLONE:
		return s->copy_type == DM_SYNC_COPY_TYPE_UNSYNC_ASSOC ||
		       s->copy_type == DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC;
	}
	return false;
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
	if (!copy_type_fits(s))
		*why = "CopyType does not belong to SyncType";
	else if (s->copy_state == CS(MIXED) || s->progress == PS(MIXED))
		*why = "a pair cannot be Mixed";
	else if (!dm_sync_pair_legal(s->copy_state, s->progress))
		*why = "this ProgressStatus does not go with this CopyState";
	else if (s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR &&
		 in_set(not_a_mirrors[s->copy_state], s->progress))
		*why = "this ProgressStatus with this CopyState is not a mirror's";
	else if (s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR &&
		 s->copy_type == DM_SYNC_COPY_TYPE_SYNC && s->copy_state == CS(SYNCHRONIZED) &&
		 s->progress == PS(PENDING))
		*why = "a synchronous mirror has no backlog to be Pending";
	else if (s->requested != NONE && !in_set(requestable, s->requested))
		*why = "RequestedCopyState is one that nobody can request";
	else if (s->requested != NONE && s->requested == s->copy_state)
		*why = "RequestedCopyState equals CopyState";
	else if (dm_sync_derive_sync_state(s) == DM_SYNC_SYNC_STATE_SYNCHRONIZED &&
		 !dm_sync_derive_maintained(s))
		*why = "SyncState is Synchronized and SyncMaintained is false";
	return !*why;
}

/* -- admission ------------------------------------------------------------------------------- */

static const u8 columns[] = {
	CS(INITIALIZED), CS(PREPARED), CS(UNSYNCHRONIZED), CS(SYNCHRONIZED), CS(BROKEN),
	CS(FRACTURED), CS(SPLIT), CS(INACTIVE), CS(SUSPENDED), CS(FAILEDOVER), CS(ABORTED),
	CS(SKEWED),
};

#define COLUMNS		((unsigned int)(sizeof(columns) / sizeof(columns[0])))
#define CELL		4

/*
 * y allowed, F only with force, n success without change, - refused, N not supported; behind it
 * the footnote that may change the answer (footnote(); P marks our own additions to the class).
 * An empty row is an operation on groups.
 */
#define N12	"N   N   N   N   N   N   N   N   N   N   N   N   "
static const char mirror_matrix[OPERATIONS][COLUMNS * CELL + 1] = {
/*			   In  Pr  Un  Sy  Br  Fr  Sp  Ia  Su  Fo  Ab  Sk */
[OP(ABORT)]		= "-   -   y   -   -   -   -   -   -   -   n   -   ",
[OP(ACTIVATE)]		= "yP  y   n   n   -   -   -   y   -   -   -   -   ",
[OP(DEACTIVATE)]	= "nP  -   y   y   yP  yP  yP  n   yP  -   -   yP  ",
[OP(DETACH)]		= "y   y   F   y   F1  y2  y   y2  y2  y3  F   y   ",
[OP(DISSOLVE)]		= "-   -   F   y   F1  y2  y   y2  y2  -   F   y   ",
[OP(FAILOVER)]		= "-   -   F   y   y4  y4  y   y4  y4  n   -   F   ",
[OP(FAILBACK)]		= "-   -   -   -   -   -   -   -   -   y   -   -   ",
[OP(FRACTURE)]		= "-   -   y   y   -   n   -5  -   y   -   -   -   ",
[OP(RESYNC)]		= "-   -   n   n   y   y   y   -   -   -   y   y   ",
[OP(RESTORE)]		= "-   -   -   n   y6  y4  y   -   -   -   -   y   ",
[OP(RESUME)]		= "-   -   -   -   -   -   -   -   y   -   -   -   ",
[OP(RESET_TO_SYNC)]	= "y   y   y   y   y   y   y   y   y7  -   y   y   ",
[OP(RESET_TO_ASYNC)]	= "y   y   y   y   y   y   y   y   y7  -   y   y   ",
[OP(REVERSE_ROLES)]	= "-   -   -   y   -   y   y   -   y7  y   -   -   ",
[OP(SPLIT)]		= "-   -   -   y   -   -   n   -   y8  -   -   -   ",
[OP(SUSPEND)]		= "-   -   y   y   -   -   -   -   n   -   -   -   ",
[OP(UNPREPARE)]		= "y   n   -   -   y   y   y   y   -   -   y   y   ",
[OP(PREPARE)]		= "y   n   -   -   y   y   y   y   -   -   y   y   ",
[OP(RETURN_TO_RESOURCE_POOL)] = N12,
[OP(RESET_TO_ADAPTIVE)]	= N12,
[OP(RESET_TO_ACTIVE)]	= N12,
[OP(RESET_REPLICA)]	= N12,
};
#undef N12

/* why the plain cells of a column refuse */
static const char *const refusals[CS(NOT_APPLICABLE) + 1] = {
	[CS(INITIALIZED)] = "nothing has been copied yet: the pair is Initialized",
	[CS(PREPARED)] = "the pair is Prepared and must be activated first",
	[CS(UNSYNCHRONIZED)] = "the replica is not complete: the pair is Unsynchronized",
	[CS(SYNCHRONIZED)] = "the pair is Synchronized",
	[CS(BROKEN)] = "the pair is Broken: resync, restore or prepare it first",
	[CS(FRACTURED)] = "the pair is Fractured: resync or restore it first",
	[CS(SPLIT)] = "the pair is Split: resync or restore it first",
	[CS(INACTIVE)] = "the pair is Inactive: activate it first",
	[CS(SUSPENDED)] = "the pair is Suspended: resume it first",
	[CS(FAILEDOVER)] = "the replica serves the host: the pair is Failedover",
	[CS(ABORTED)] = "the copy was aborted: resync or prepare the pair first",
	[CS(SKEWED)] = "the replica was modified: resync or restore the pair first",
	[CS(NOT_APPLICABLE)] = "the pair has ended",
};

/**
 * dm_sync_op_built() - is an operation of the class on mirrors part of this version
 * @op: enum dm_sync_operation
 *
 * Return: false for operations that the matrix has and the module has not.
 */
bool dm_sync_op_built(unsigned int op)
{
	return op != OP(FAILOVER) && op != OP(FAILBACK) && op != OP(REVERSE_ROLES) &&
	       op != OP(RESET_TO_ASYNC);
}

/**
 * dm_sync_matrix_cell() - a cell of the admission matrix, before footnotes, gating and mask
 * @sync_type: enum dm_sync_sync_type
 * @op: enum dm_sync_operation
 * @copy_state: enum dm_sync_copy_state
 * @note: set to the footnote's digit, 'P', or ' '; may be NULL
 *
 * Return: 'y', 'F', 'n', '-' or 'N' as the matrix has them; ' ' where it has no such cell.
 */
char dm_sync_matrix_cell(u8 sync_type, unsigned int op, u8 copy_state, char *note)
{
	unsigned int column = 0;

	if (note)
		*note = ' ';
	while (column < COLUMNS && columns[column] != copy_state)
		column++;
	if (sync_type != DM_SYNC_SYNC_TYPE_MIRROR || op >= OPERATIONS || column == COLUMNS ||
	    !mirror_matrix[op][0])
		return ' ';
	if (note)
		*note = mirror_matrix[op][column * CELL + 1];
	return mirror_matrix[op][column * CELL];
}

static enum dm_sync_admit say(enum dm_sync_admit verdict, const char **why, const char *sentence)
{
	*why = sentence;
	return verdict;
}

/* What no state of this pair could ever admit. */
static enum dm_sync_admit admit_ever(const struct dm_sync_state *s, unsigned int op,
				     const char **why)
{
	if (op < OP(ABORT) || op >= OPERATIONS)
		return say(DM_SYNC_ADMIT_INVALID, why, "there is no such operation");
	if (s->sync_type == DM_SYNC_SYNC_TYPE_SNAPSHOT || s->sync_type == DM_SYNC_SYNC_TYPE_CLONE)
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why, "this version has mirrors only");
	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR || !copy_type_fits(s))
		return say(DM_SYNC_ADMIT_INVALID, why, "there is no such type of pair");
	if (!mirror_matrix[op][0])
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why, "the operation is one for groups");
	if (mirror_matrix[op][0] == 'N')
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why, "a mirror has no such operation");
	if (!dm_sync_op_built(op))
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why,
			   "this version does not support the operation");
	if (s->copy_type != DM_SYNC_COPY_TYPE_SYNC)
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why,
			   "this version has synchronous mirrors only");
	return DM_SYNC_ADMIT_OK;
}

/* What an operation in flight leaves open; *decided says that the matrix is not asked any more. */
static enum dm_sync_admit admit_in_flight(const struct dm_sync_state *s, unsigned int op,
					  bool *decided, const char **why)
{
	*decided = true;
	if (in_set(in_flight, s->progress))
		return say(DM_SYNC_ADMIT_BUSY, why, "another operation is in flight");
	if (s->progress == PS(INITIALIZING))
		return say(DM_SYNC_ADMIT_BUSY, why, "the pair is being created");
	if (s->progress == PS(PREPARING)) {
		if (op == OP(ABORT))
			return DM_SYNC_ADMIT_OK;
		return say(DM_SYNC_ADMIT_BUSY, why, "the pair is being prepared");
	}
	if (s->progress == PS(RESTORING)) {
		if (op == OP(ABORT))
			return say(DM_SYNC_ADMIT_FORCE, why,
				   "aborting a restore leaves the source half restored");
		return say(DM_SYNC_ADMIT_BUSY, why, "the source is being restored");
	}
	*decided = false;
	return DM_SYNC_ADMIT_OK;
}

/* The step that is owed ("Requires ...") forbids these whatever the matrix says. */
static bool owed_forbids(const struct dm_sync_state *s, unsigned int op, const char **why)
{
#define O(n)	(1u << OP(n))
	static const u32 until_fracture = O(RESYNC) | O(RESTORE) | O(REVERSE_ROLES) | O(SUSPEND) |
					  O(FAILOVER) | O(DEACTIVATE);
	static const u32 until_resync = O(ACTIVATE) | O(FRACTURE) | O(RESUME) | O(REVERSE_ROLES) |
					O(SPLIT) | O(SUSPEND);
#undef O

	if (s->progress == PS(REQUIRES_FRACTURE) && in_set(until_fracture, op)) {
		*why = "the restored pair must be fractured or split first";
		return true;
	}
	if (s->progress == PS(REQUIRES_RESYNC) &&
	    (in_set(until_resync, op) ||
	     (op == OP(RESTORE) && in_set(Fr | Sp | Ab, s->copy_state)))) {
		*why = "the pair must be resynced first";
		return true;
	}
	return false;
}

static enum dm_sync_admit footnote(char note, const struct dm_sync_facts *f, const char **why)
{
	switch (note) {
	case '1':
		if (!f->was_synced || f->restore_incomplete)
			return say(DM_SYNC_ADMIT_FORCE, why,
				   "the pair was not Synchronized when it broke");
		break;
	case '2':
		if (!f->ever_synced)
			return say(DM_SYNC_ADMIT_FORCE, why,
				   "the replica was never complete");
		break;
	case '4':
		if (!f->replica_consistent)
			return say(DM_SYNC_ADMIT_FORCE, why,
				   "the replica is not known to be consistent");
		break;
	case '6':
		if (!f->source_ok)
			return say(DM_SYNC_ADMIT_REFUSED, why, "the source does not answer");
		if (!f->replica_consistent && !f->restore_incomplete)
			return say(DM_SYNC_ADMIT_REFUSED, why,
				   "the replica is not known to be consistent");
		break;
	case '7':
		if (f->held_writes)
			return say(DM_SYNC_ADMIT_BUSY, why, "writes are being held");
		break;
	case '8':
		if (!f->was_synced)
			return say(DM_SYNC_ADMIT_REFUSED, why,
				   "the pair was not Synchronized when it was suspended");
		break;
	}
	return DM_SYNC_ADMIT_OK;
}

/* What takes the half restored source for the truth, or makes it so later. */
static bool trusts_half_restored(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				 unsigned int op)
{
	return f->restore_incomplete && s->copy_state == CS(BROKEN) &&
	       (op == OP(RESYNC) || op == OP(DEACTIVATE) || op == OP(PREPARE) ||
		op == OP(UNPREPARE));
}

static enum dm_sync_admit admit_cell(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				     unsigned int op, const char **why)
{
	enum dm_sync_admit verdict;
	char note, cell = dm_sync_matrix_cell(s->sync_type, op, s->copy_state, &note);

	switch (cell) {
	case 'n':
		return DM_SYNC_ADMIT_NOOP;
	case 'F':
		if (note == '1')
			return footnote(note, f, why);
		return say(DM_SYNC_ADMIT_FORCE, why, "the replica would be left inconsistent");
	case 'y':
		break;
	default:
		return say(DM_SYNC_ADMIT_REFUSED, why,
			   note == '5' ? "the pair is Split: a consistent cut stays one" :
			   refusals[s->copy_state]);
	}
	if (op == OP(RESET_TO_SYNC))	/* of a synchronous mirror, held writes or not */
		return DM_SYNC_ADMIT_NOOP;
	if (trusts_half_restored(s, f, op))
		return say(DM_SYNC_ADMIT_FORCE, why, "the source is half restored");
	verdict = footnote(note, f, why);
	if (verdict == DM_SYNC_ADMIT_OK && op == OP(FAILOVER) &&
	    s->progress == PS(REQUIRES_RESYNC))
		return say(DM_SYNC_ADMIT_FORCE, why, "the pair must be resynced first");
	return verdict;
}

/**
 * dm_sync_admit() - is an operation admitted now
 * @s: the pair's state
 * @f: the facts that the footnotes of the matrix depend on
 * @op: enum dm_sync_operation; any number may be asked about
 * @force: perform it even though the replica may become inconsistent
 * @why: set to a sentence for the user, shorter than 80 characters, where the answer is neither
 *	OK nor NOOP; else to NULL
 *
 * The order is from the lasting to the passing: what this pair can never do, what runs at the
 * moment, what is owed first, then the matrix with its footnotes.
 *
 * Return: enum dm_sync_admit; only OK leads on to dm_sync_transition().
 */
enum dm_sync_admit dm_sync_admit(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				 unsigned int op, bool force, const char **why)
{
	struct dm_sync_facts known = *f;
	enum dm_sync_admit verdict;
	bool decided;

	*why = NULL;
	verdict = admit_ever(s, op, why);
	if (verdict != DM_SYNC_ADMIT_OK)
		return verdict;
	if (s->copy_state > CS(NOT_APPLICABLE) || !refusals[s->copy_state])
		return say(DM_SYNC_ADMIT_INVALID, why, "the pair is in no state of a pair");
	if (s->progress == PS(UNKNOWN)) {
		known.replica_consistent = false;
		known.was_synced = false;
	}
	verdict = admit_in_flight(s, op, &decided, why);
	if (!decided)
		verdict = owed_forbids(s, op, why) ? DM_SYNC_ADMIT_REFUSED :
			  admit_cell(s, &known, op, why);
	if (verdict == DM_SYNC_ADMIT_FORCE && force)
		return say(DM_SYNC_ADMIT_OK, why, NULL);
	return verdict;
}

/**
 * dm_sync_allowed_ops() - all operations that would be admitted now
 * @s: the pair's state
 * @f: the facts
 * @with_force: set to those that are admitted with force only
 *
 * Return: bitmap of operation numbers that are admitted without force, no-ops among them.
 */
u32 dm_sync_allowed_ops(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			u32 *with_force)
{
	enum dm_sync_admit verdict;
	const char *why;
	u32 allowed = 0;
	unsigned int op;

	*with_force = 0;
	for (op = OP(ABORT); op < OPERATIONS; op++) {
		verdict = dm_sync_admit(s, f, op, false, &why);
		if (verdict == DM_SYNC_ADMIT_OK || verdict == DM_SYNC_ADMIT_NOOP)
			allowed |= 1u << op;
		else if (verdict == DM_SYNC_ADMIT_FORCE)
			*with_force |= 1u << op;
	}
	return allowed;
}

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
};

#define KEEP	0	/* the value it has */

struct transition {
	u8 op;
	u32 from;
	enum when when;
	u8 requested;			/* while it runs */
	u8 during_copy, during_progress;
	u8 after_copy, after_progress, after_requested;
};

/*
 * Where `during` is a CopyState of its own, data moves and the row's end is reached when it has
 * all moved; where it is KEEP the operation ends or redirects a flow, and the state changes at
 * the cut.
 */
#define KEPT(ps)	KEEP, PS(ps)
#define TO(cs, ps)	CS(cs), PS(ps)
static const struct transition transitions[] = {
{ OP(ACTIVATE), In | Pr, ALWAYS, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, SYNCHRONIZING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(ACTIVATE), Ia, SYNCED, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(ACTIVATE), Ia, ALWAYS, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, SYNCHRONIZING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(DEACTIVATE), Un | Sy | Sk | Fr | Sp | Su | Br, ALWAYS, CS(INACTIVE), KEPT(SUSPENDING),
	TO(INACTIVE, DORMANT), NONE },
{ OP(SUSPEND), Sy | Un, ALWAYS, CS(SUSPENDED), KEPT(SUSPENDING), TO(SUSPENDED, DORMANT), NONE },
{ OP(RESUME), Su, CLEAN, NONE, TO(SYNCHRONIZED, COMPLETED), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESUME), Su, SYNCED, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESUME), Su, ALWAYS, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, SYNCHRONIZING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(FRACTURE), Sy | Un | Su, ALWAYS, CS(FRACTURED), KEPT(FRACTURING),
	TO(FRACTURED, COMPLETED), NONE },
{ OP(SPLIT), Sy | Su, ALWAYS, CS(SPLIT), KEPT(SPLITTING), TO(SPLIT, COMPLETED), NONE },
{ OP(RESYNC), Fr | Sp | Br | Ab | Sk, ALWAYS, CS(SYNCHRONIZED), TO(UNSYNCHRONIZED, RESYNCING),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESTORE), Fr | Sp | Sk | Br, ALWAYS, CS(SYNCHRONIZED), KEPT(RESTORING),
	TO(SYNCHRONIZED, REQUIRES_FRACTURE), NONE },
{ OP(FAILOVER), Sy | Su | Sp | Fr | Ia | Br | Un | Sk, ALWAYS, CS(FAILEDOVER),
	KEPT(FAILING_OVER), TO(FAILEDOVER, COMPLETED), NONE },
{ OP(FAILBACK), Fo, ALWAYS, CS(SYNCHRONIZED), KEPT(FAILING_BACK),
	TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(REVERSE_ROLES), Sy, ALWAYS, NONE, KEPT(FAILING_OVER), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(REVERSE_ROLES), Fr | Sp, ALWAYS, NONE, KEPT(FAILING_OVER), KEPT(REQUIRES_RESYNC), NONE },
{ OP(REVERSE_ROLES), Su, ALWAYS, NONE, KEPT(FAILING_OVER), TO(SUSPENDED, DORMANT), NONE },
{ OP(REVERSE_ROLES), Fo, REACHABLE, CS(FRACTURED), KEPT(FAILING_OVER),
	TO(FRACTURED, REQUIRES_RESYNC), NONE },
{ OP(REVERSE_ROLES), Fo, ALWAYS, CS(FRACTURED), KEPT(FAILING_OVER),
	TO(BROKEN, REQUIRES_RESYNC), CS(SYNCHRONIZED) },
{ OP(RESET_TO_SYNC), Sy, BACKLOG, NONE, KEPT(SYNCHRONIZING), TO(SYNCHRONIZED, COMPLETED), NONE },
{ OP(RESET_TO_SYNC), ANY & ~Fo, ALWAYS, KEEP, KEEP, KEEP, KEEP, KEEP, KEEP },
{ OP(RESET_TO_ASYNC), ANY & ~Fo, ALWAYS, KEEP, KEEP, KEEP, KEEP, KEEP, KEEP },
{ OP(ABORT), ANY, RESTORING, CS(ABORTED), KEPT(ABORTING), TO(BROKEN, DORMANT),
	CS(SYNCHRONIZED) },
{ OP(ABORT), ANY, PREPARING, CS(ABORTED), KEPT(ABORTING), TO(ABORTED, REQUIRES_RESYNC), NONE },
{ OP(ABORT), Un, ALWAYS, CS(ABORTED), KEPT(ABORTING), TO(ABORTED, REQUIRES_RESYNC), NONE },
{ OP(PREPARE), In | Ia | Fr | Sp | Br | Ab | Sk, ALWAYS, CS(PREPARED), KEPT(PREPARING),
	TO(PREPARED, REQUIRES_ACTIVATE), NONE },
{ OP(UNPREPARE), In | Ia | Fr | Sp | Br | Ab | Sk, ALWAYS, CS(PREPARED), KEPT(PREPARING),
	TO(PREPARED, REQUIRES_ACTIVATE), NONE },
{ OP(DETACH), ANY, ALWAYS, NONE, KEPT(DETACHING), TO(NOT_APPLICABLE, COMPLETED), NONE },
{ OP(DISSOLVE), ANY & ~(In | Pr | Fo), ALWAYS, NONE, KEPT(DETACHING),
	TO(NOT_APPLICABLE, COMPLETED), NONE },
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
 * @after: what to publish when it has succeeded; where data moves, when it all has moved
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

	while (t < end && !(t->op == op && in_set(t->from, s->copy_state) && holds(t->when, s, f)))
		t++;
	if (t == end || s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
		return false;
	*during = step_from(s, t->during_copy, t->during_progress, t->requested);
	*after = step_from(s, t->after_copy, t->after_progress, t->after_requested);
	/* Initialized, Inactive, Aborted have no Aborting: there Preparing stays to the end */
	if (!dm_sync_pair_legal(during->copy_state, during->progress))
		during->progress = s->progress;
	return true;
}

/**
 * dm_sync_create_step() - the states a new pair goes through
 * @s: the new pair; only the types are looked at
 * @stop_at: CopyState to stop at: Initialized, Prepared, Inactive; Synchronized or 0 = go on
 * @assume_in_sync: the replica is taken to be equal already
 * @first: what to publish while the metadata is being formatted
 * @after: what to publish then. If that is Unsynchronized, the copy starts, and
 *	DM_SYNC_EV_COPY_DONE leads on.
 *
 * Return: 0; -EINVAL for a state that creation cannot stop at, and for one that declares all
 * regions different while @assume_in_sync declares them equal; -EOPNOTSUPP for a type that
 * this version does not have.
 */
int dm_sync_create_step(const struct dm_sync_state *s, unsigned int stop_at, bool assume_in_sync,
			struct dm_sync_step *first, struct dm_sync_step *after)
{
	if (!copy_type_fits(s))
		return -EINVAL;
	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR || s->copy_type != DM_SYNC_COPY_TYPE_SYNC)
		return -EOPNOTSUPP;

	switch (stop_at) {
	case 0:
	case CS(SYNCHRONIZED):
		stop_at = CS(SYNCHRONIZED);
		*after = assume_in_sync ? step(TO(SYNCHRONIZED, COMPLETED), NONE) :
			 step(TO(UNSYNCHRONIZED, SYNCHRONIZING), CS(SYNCHRONIZED));
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
	if (assume_in_sync && (stop_at == CS(INITIALIZED) || stop_at == CS(PREPARED)))
		return -EINVAL;
	*first = step(TO(INITIALIZED, INITIALIZING), (u8)stop_at);
	return 0;
}

/* -- events ---------------------------------------------------------------------------------- */

/* How a copy that goes on is called: as before, or by whether the first one ever ended. */
static u8 copying(const struct dm_sync_facts *f)
{
	if (f->before_pending == PS(SYNCHRONIZING) || f->before_pending == PS(RESYNCING))
		return f->before_pending;
	return f->ever_synced ? PS(RESYNCING) : PS(SYNCHRONIZING);
}

/* The state with this CopyState in which no operation is in flight. */
static struct dm_sync_step settled(u8 copy_state, const struct dm_sync_facts *f)
{
	switch (copy_state) {
	case CS(UNSYNCHRONIZED):
		return step(copy_state, copying(f), CS(SYNCHRONIZED));
	case CS(SYNCHRONIZED):
		return step(copy_state, f->fracture_owed ? PS(REQUIRES_FRACTURE) : PS(COMPLETED),
			    NONE);
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
		return step(copy_state, PS(REQUIRES_RESYNC), CS(SYNCHRONIZED));
	}
	return step(copy_state, PS(COMPLETED), NONE);
}

/* Is the event one that concerns this state: does something flow, or is the source in use. */
static bool error_concerns(const struct dm_sync_state *s, enum dm_sync_event ev)
{
	static const u32 touches_replica = P(RESTORING) | P(FRACTURING) | P(SPLITTING) |
					   P(FAILING_BACK) | P(ABORTING);
	u32 from = Un | Sy;

	if (ev == DM_SYNC_EV_SOURCE_COPY_ERROR)
		return s->copy_state == CS(UNSYNCHRONIZED) ||
		       in_set(P(RESTORING) | P(FAILING_BACK), s->progress);
	if (ev == DM_SYNC_EV_SOURCE_WRITE_ERROR)
		from |= Fr | Ia | Su | Ab;
	return in_set(from, s->copy_state) || in_set(touches_replica, s->progress);
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
		*after = settled(CS(FRACTURED), f);
		return true;
	case PS(FAILING_BACK):
		*after = step(TO(FAILEDOVER, COMPLETED), CS(SYNCHRONIZED));
		return true;
	case PS(ABORTING):
		*after = settled(s->copy_state == CS(UNSYNCHRONIZED) ? CS(ABORTED) : CS(BROKEN), f);
		return true;
	case PS(SUSPENDING):
		if (s->requested == CS(INACTIVE)) {
			*after = settled(CS(INACTIVE), f);
			return true;
		}
		break;
	}
	*after = settled(CS(BROKEN), f);
	if (in_set(in_flight, s->progress) && s->requested != NONE)
		after->requested = s->requested;
	return true;
}

/* Only a fault that has cleared by itself is left by itself, and never over a half done restore. */
static bool returned_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			  bool recovery_auto, struct dm_sync_step *after)
{
	if (s->copy_state != CS(BROKEN) || s->progress != PS(DORMANT) || f->restore_incomplete)
		return false;
	*after = recovery_auto ? step(TO(UNSYNCHRONIZED, RESYNCING), CS(SYNCHRONIZED)) :
		 settled(CS(SUSPENDED), f);
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

	if (s->progress == PS(RESTORING)) {
		*after = step(TO(SYNCHRONIZED, REQUIRES_FRACTURE), NONE);
		return true;
	}
	if (!in_set(Un | Sy, s->copy_state) || !in_set(copies, s->progress))
		return false;
	*after = settled(CS(SYNCHRONIZED), f);
	return true;
}

/* Split and Suspend can give up: everything is as if they had not been asked for. */
static bool timeout_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			 struct dm_sync_step *after)
{
	if (s->progress != PS(SPLITTING) &&
	    !(s->progress == PS(SUSPENDING) && s->requested == CS(SUSPENDED)))
		return false;
	*after = settled(s->copy_state, f);
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
	if (in_set(in_flight, s->progress) || !in_set(Un | Sy | Ia | Su | Fo, s->copy_state))
		return false;
	*after = settled(CS(SKEWED), f);
	return true;
}

/*
 * The state found in metadata, after a crash or not, and what it is taken up as. A cut that was
 * logged is found as the state after it; one found in flight was not made, and the old state
 * holds. Copy and restore go on. A restore that was being aborted left the source half restored.
 */
static struct dm_sync_step recovered(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				     bool marked)
{
	struct dm_sync_step next = step(s->copy_state, s->progress, s->requested);
	u32 unfinished = in_flight | P(PREPARING) | P(PENDING);

	if (s->copy_state == CS(INITIALIZED) &&
	    in_set(P(INITIALIZING) | P(PREPARING), s->progress)) {
		next = settled(in_set(Pr | Ia, s->requested) ? s->requested : CS(INITIALIZED), f);
		if (s->requested == CS(SYNCHRONIZED))
			next = step(TO(UNSYNCHRONIZED, SYNCHRONIZING), CS(SYNCHRONIZED));
	} else if (s->progress == PS(ABORTING) && s->copy_state != CS(UNSYNCHRONIZED)) {
		next = settled(CS(BROKEN), f);
	} else if (in_set(unfinished, s->progress)) {
		next = settled(s->copy_state, f);
	}
	if (next.copy_state == CS(SYNCHRONIZED) && marked)
		next = step(TO(UNSYNCHRONIZED, RESYNCING), CS(SYNCHRONIZED));
	return next;
}

/**
 * dm_sync_event_step() - what an event makes of a mirror's state
 * @s: the pair's state
 * @f: the facts as they are before the event
 * @ev: enum dm_sync_event
 * @recovery_auto: the pair's recovery setting is auto, not manual
 * @regions_marked: some region is marked as changed or as in flight (crash recovery)
 * @after: always set: the new state, or the present one where nothing changes
 *
 * A pair that was suspended when the machine went down comes up Suspended; that it tracks instead
 * of holding writes then is the caller's. So is setting restore_incomplete where an error or a
 * crash ends a Restore in Broken.
 *
 * Return: true if the event changes the state.
 */
bool dm_sync_event_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			enum dm_sync_event ev, bool recovery_auto, bool regions_marked,
			struct dm_sync_step *after)
{
	*after = step(s->copy_state, s->progress, s->requested);
	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
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
		return after->copy_state != s->copy_state || after->progress != s->progress ||
		       after->requested != s->requested;
	case DM_SYNC_EV_STALLED:
	case DM_SYNC_EV_UNSTALLED:
		return stall_step(s, f, ev == DM_SYNC_EV_STALLED, after);
	case DM_SYNC_EV_REPLICA_SKEWED:
		return skewed_step(s, f, after);
	}
	return false;
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
	if (!copy_type_fits(s))
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
	bool mirror = s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR;
	bool snapshot = s->sync_type == DM_SYNC_SYNC_TYPE_SNAPSHOT;
	bool clone = s->sync_type == DM_SYNC_SYNC_TYPE_CLONE;

	switch (s->copy_state) {
	case CS(INITIALIZED):
		return DM_SYNC_SYNC_STATE_INITIALIZED;
	case CS(PREPARED):
		return DM_SYNC_SYNC_STATE_PREPARED;
	case CS(UNSYNCHRONIZED):
		return clone && s->copy_type == DM_SYNC_COPY_TYPE_UNSYNC_ASSOC ?
		       DM_SYNC_SYNC_STATE_COPY_IN_PROGRESS : DM_SYNC_SYNC_STATE_RESYNC_IN_PROGRESS;
	case CS(SYNCHRONIZED):
		return mirror ? DM_SYNC_SYNC_STATE_SYNCHRONIZED :
		       snapshot ? DM_SYNC_SYNC_STATE_IDLE : DM_SYNC_SYNC_STATE_FROZEN;
	case CS(SKEWED):
		return mirror ? DM_SYNC_SYNC_STATE_FRACTURED :
		       snapshot ? DM_SYNC_SYNC_STATE_IDLE : DM_SYNC_SYNC_STATE_FROZEN;
	case CS(BROKEN):
		return DM_SYNC_SYNC_STATE_BROKEN;
	case CS(FRACTURED):
	case CS(SPLIT):
		return mirror ? DM_SYNC_SYNC_STATE_FRACTURED :
		       clone ? DM_SYNC_SYNC_STATE_FROZEN : -1;
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
	    !copy_type_fits(s))
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
 * dm_sync_derive_maintained() - SyncMaintained
 * @s: the pair's state, of any type
 *
 * Return: true for a mirror whose replica follows.
 */
bool dm_sync_derive_maintained(const struct dm_sync_state *s)
{
	return s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR && s->copy_state == CS(SYNCHRONIZED);
}

/* Whether there is a percentage to speak of, beside the maps being there. */
static bool percent_known(const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	if (s->progress == PS(RESTORING) || s->progress == PS(FAILING_BACK))
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
	bool restoring = s->progress == PS(RESTORING) || s->progress == PS(FAILING_BACK);
	int percent = 0;

	if (!percent_known(s, f))
		return -1;
	if (s->copy_state == CS(SYNCHRONIZED) && !restoring)
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
	if (percent == 100 && (restoring || s->copy_state == CS(UNSYNCHRONIZED)))
		return 99;
	return percent;
}

/**
 * dm_sync_derive_methodology() - CopyMethodology, as it is at the moment
 * @s: the pair's state; its methodology is the configured one
 * @f: the facts
 *
 * The first copy of a mirror is a full one whatever was configured, and so is one without maps. A
 * copy driven by the maps is never reported as full: it is the configured one if that is a
 * partial one, else Incremental.
 *
 * Return: enum dm_sync_copy_methodology.
 */
int dm_sync_derive_methodology(const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	u8 configured = s->methodology;
	u8 copy = s->progress;

	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
		return configured;
	if (configured == DM_SYNC_COPY_METHODOLOGY_NOT_SPECIFIED ||
	    configured == DM_SYNC_COPY_METHODOLOGY_IMPLEMENTATION_DECIDES)
		configured = DM_SYNC_COPY_METHODOLOGY_FULL_COPY;
	if (s->copy_state == CS(UNSYNCHRONIZED) && copy != PS(SYNCHRONIZING) &&
	    copy != PS(RESYNCING))
		copy = copying(f);
	if (copy != PS(SYNCHRONIZING) && copy != PS(RESYNCING) && copy != PS(RESTORING) &&
	    copy != PS(FAILING_BACK))
		return configured;
	if (s->copy_state == CS(SYNCHRONIZED))	/* the backlog of an asynchronous mirror */
		return configured;
	if (copy == PS(SYNCHRONIZING) || f->maps_lost)
		return DM_SYNC_COPY_METHODOLOGY_FULL_COPY;
	return configured == DM_SYNC_COPY_METHODOLOGY_FULL_COPY ?
	       DM_SYNC_COPY_METHODOLOGY_INCREMENTAL : configured;
}

/* -- what the doors do ----------------------------------------------------------------------- */

/**
 * dm_sync_door() - what hosts may do through the replica door of a mirror
 * @s: the pair's state
 * @f: the facts
 *
 * Readable means usable: a complete image of some moment. While data moves in either direction it
 * is none, and of a following replica none is promised.
 *
 * Return: enum dm_sync_door_access.
 */
enum dm_sync_door_access dm_sync_door(const struct dm_sync_state *s,
				      const struct dm_sync_facts *f)
{
	static const u32 moving = P(PREPARING) | P(RESTORING) | P(FAILING_BACK) | P(ABORTING) |
				  P(UNKNOWN);

	if (s->sync_type != DM_SYNC_SYNC_TYPE_MIRROR || in_set(moving, s->progress))
		return DM_SYNC_DOOR_ACCESS_NONE;
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

/**
 * dm_sync_flow() - where host writes to the source door of a mirror go
 * @s: the pair's state
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
 * dm_sync_holds_writes() - does the state hold host writes, unless hold:track has it track them
 * @s: the pair's state
 *
 * Return: true while the pair is Suspended, until the operation that ends it has ended.
 */
bool dm_sync_holds_writes(const struct dm_sync_state *s)
{
	return s->copy_state == CS(SUSPENDED);
}

/**
 * dm_sync_tracks_source() - is every host write to the source one that the replica misses
 * @s: the pair's state
 *
 * Return: true where host writes reach the source alone and must be in the source-changed map
 * before they are issued (rules M, M-degraded). Where the map is full anyway it costs nothing.
 */
bool dm_sync_tracks_source(const struct dm_sync_state *s)
{
	return s->sync_type == DM_SYNC_SYNC_TYPE_MIRROR && in_set(ANY & ~Fo, s->copy_state) &&
	       dm_sync_flow(s) == DM_SYNC_FLOW_NONE;
}
