// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a pair: which operation is admitted.
 *
 * The rules are tables, laid out as the specification lays them out, so that one can be held
 * against the other: here the admission matrices (operation x CopyState, one for each kind of
 * pair), in dm-sync-state-steps.c the transitions and what events do, in dm-sync-state-derive.c
 * the pairs of CopyState and ProgressStatus that may be seen and what follows from them. The
 * matrices are complete; operations of a mirror that are not built yet are masked in one place
 * (dm_sync_op_built()).
 */
#include "dm-sync-state-private.h"

static const u8 columns[] = {
	CS(INITIALIZED), CS(PREPARED), CS(UNSYNCHRONIZED), CS(SYNCHRONIZED), CS(BROKEN),
	CS(FRACTURED), CS(SPLIT), CS(INACTIVE), CS(SUSPENDED), CS(FAILEDOVER), CS(ABORTED),
	CS(SKEWED),
};

#define COLUMNS		((unsigned int)(sizeof(columns) / sizeof(columns[0])))
#define CELL		4

/*
 * y allowed, F only with force, n success without change, - refused, N not supported, . the pair
 * is never in this state between operations; behind it the footnote that may change the answer
 * (footnote(); P marks our own additions to the class). A row that is missing is an operation on
 * groups.
 */
#define N12	"N   N   N   N   N   N   N   N   N   N   N   N   "
static const char *const matrix[KINDS][OPERATIONS] = {
[MIRROR] = {
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
},
[SNAPSHOT] = {
/*			   In  Pr  Un  Sy  Br  Fr  Sp  Ia  Su  Fo  Ab  Sk */
[OP(ABORT)]		= "-   -   .   -   -   .   .   -   -   .   .   -   ",
[OP(ACTIVATE)]		= "y   y   .   n   -   .   .   y   -   .   .   n   ",
[OP(DEACTIVATE)]	= "n   -   .   y   y   .   .   n   y   .   .   y   ",
[OP(DETACH)]		= "y   y   .   N   F   .   .   y   N   .   .   N   ",
[OP(DISSOLVE)]		= "y   y   .   y   y   .   .   y   y   .   .   y   ",
[OP(RESYNC)]		= "-   -   .   y   y   .   .   -   -   .   .   y   ",
[OP(RESTORE)]		= "-   -   .   y   -   .   .   -   -   .   .   y   ",
[OP(RESUME)]		= "-   -   .   -   -   .   .   -   y   .   .   -   ",
[OP(RETURN_TO_RESOURCE_POOL)] = "y   y   .   y   y   .   .   y   y   .   .   y   ",
[OP(SUSPEND)]		= "-   -   .   yP  -   .   .   -   n   .   .   yP  ",
[OP(UNPREPARE)]		= "y   n   .   -   y   .   .   y   -   .   .   -   ",
[OP(PREPARE)]		= "y   n   .   -   y   .   .   y   -   .   .   -   ",
[OP(RESET_REPLICA)]	= "-   -   .   n   -   .   .   -   -   .   .   y   ",
[OP(FAILOVER)]		= N12,
[OP(FAILBACK)]		= N12,
[OP(FRACTURE)]		= N12,
[OP(RESET_TO_SYNC)]	= N12,
[OP(RESET_TO_ASYNC)]	= N12,
[OP(REVERSE_ROLES)]	= N12,
[OP(SPLIT)]		= N12,
[OP(RESET_TO_ADAPTIVE)]	= N12,
[OP(RESET_TO_ACTIVE)]	= N12,
},
[CLONE] = {
/*			   In  Pr  Un  Sy  Br  Fr  Sp  Ia  Su  Fo  Ab  Sk */
[OP(ABORT)]		= "-   -   y   -   -   -   -   -   yP  .   n   -   ",
[OP(ACTIVATE)]		= "y   y   n   n   -   -   -   y   -   .   -   -   ",
[OP(DEACTIVATE)]	= "n   -   y   y   y   y   y   n   y   .   -   y   ",
[OP(DETACH)]		= "y   y   F   y   F   y   y   yi  F   .   F   y   ",
[OP(DISSOLVE)]		= "y   y   F   y   F   y   y   yi  F   .   F   y   ",
[OP(FRACTURE)]		= "-   -   -   y   -   n   n   -   -   .   -   y   ",
[OP(RESYNC)]		= "-   -   n   y   y   y   y   -   -   .   y   y   ",
[OP(RESTORE)]		= "-   -   -   y   -   y   y   -   -   .   -   y   ",
[OP(RESUME)]		= "-   -   -   -   -   -   -   -   y   .   -   -   ",
[OP(SPLIT)]		= "-   -   -   y   -   n   n   -   -   .   -   y   ",
[OP(SUSPEND)]		= "-   -   y   n   -   -   -   -   n   .   -   -   ",
[OP(UNPREPARE)]		= "y   n   -   -   y   y   y   y   -   .   y   y   ",
[OP(PREPARE)]		= "y   n   -   -   y   y   y   y   -   .   y   y   ",
[OP(FAILOVER)]		= N12,
[OP(FAILBACK)]		= N12,
[OP(RESET_TO_SYNC)]	= N12,
[OP(RESET_TO_ASYNC)]	= N12,
[OP(RETURN_TO_RESOURCE_POOL)] = N12,
[OP(REVERSE_ROLES)]	= N12,
[OP(RESET_TO_ADAPTIVE)]	= N12,
[OP(RESET_TO_ACTIVE)]	= N12,
[OP(RESET_REPLICA)]	= N12,
},
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

static const char *refusal(const struct dm_sync_state *s, char note)
{
	if (note == '5')
		return "the pair is Split: a consistent cut stays one";
	if (kind_of(s) != MIRROR && s->copy_state == CS(BROKEN))
		return "the pair is Broken: resync or prepare it first";
	if (kind_of(s) != MIRROR && s->copy_state == CS(SKEWED))
		return "the pair is Skewed: its replica was written to";
	return refusals[s->copy_state];
}

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
 * @note: set to the footnote's digit, 'P', 'i' (only if incomplete), or ' '; may be NULL
 *
 * Return: 'y', 'F', 'n', '-' or 'N' as the matrix has them; ' ' where it has no such cell.
 */
char dm_sync_matrix_cell(u8 sync_type, unsigned int op, u8 copy_state, char *note)
{
	enum kind kind = kind_of_type(sync_type);
	unsigned int column = 0;
	const char *cell;

	if (note)
		*note = ' ';
	while (column < COLUMNS && columns[column] != copy_state)
		column++;
	if (kind == KINDS || op >= OPERATIONS || column == COLUMNS || !matrix[kind][op])
		return ' ';
	cell = matrix[kind][op] + column * CELL;
	if (*cell == '.')
		return ' ';
	if (note)
		*note = cell[1];
	return *cell;
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
	static const char *const no_such[KINDS] = {
		[MIRROR] = "a mirror has no such operation",
		[SNAPSHOT] = "a snapshot has no such operation",
		[CLONE] = "a clone has no such operation",
	};
	enum kind kind = kind_of(s);

	if (op < OP(ABORT) || op >= OPERATIONS)
		return say(DM_SYNC_ADMIT_INVALID, why, "there is no such operation");
	if (kind == KINDS)
		return say(DM_SYNC_ADMIT_INVALID, why, "there is no such type of pair");
	if (!matrix[kind][op])
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why, "the operation is one for groups");
	if (matrix[kind][op][0] == 'N')
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why, no_such[kind]);
	if (!dm_sync_op_built(op))
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why,
			   "this version does not support the operation");
	if (s->copy_type == DM_SYNC_COPY_TYPE_ASYNC)
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why,
			   "this version has synchronous mirrors only");
	return DM_SYNC_ADMIT_OK;
}

/* What runs as an operation although it moves data: nothing gets in between, not even Abort. */
static const char *momentary(const struct dm_sync_state *s)
{
	if (kind_of(s) != SNAPSHOT)
		return NULL;
	if (s->copy_state == CS(UNSYNCHRONIZED))
		return "the point in time is being taken";
	if (s->copy_state == CS(SKEWED) && s->progress == PS(RESYNCING))
		return "the replica is being reset";
	return s->progress == PS(PREPARING) ? "the pair is being prepared" : NULL;
}

/* What an operation in flight leaves open; *decided says that the matrix is not asked any more. */
static enum dm_sync_admit admit_in_flight(const struct dm_sync_state *s, unsigned int op,
					  bool *decided, const char **why)
{
	*decided = true;
	if (in_set(IN_FLIGHT, s->progress))
		return say(DM_SYNC_ADMIT_BUSY, why, "another operation is in flight");
	if (s->progress == PS(INITIALIZING))
		return say(DM_SYNC_ADMIT_BUSY, why, "the pair is being created");
	if (momentary(s))
		return say(DM_SYNC_ADMIT_BUSY, why, momentary(s));
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
	if (dm_sync_auto_detach(s) && op != OP(DETACH) && op != OP(DISSOLVE))
		return say(DM_SYNC_ADMIT_BUSY, why, "the clone is complete and being detached");
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
	case 'i':
		if (!f->replica_consistent)
			return say(DM_SYNC_ADMIT_FORCE, why, "the replica is not complete");
		break;
	}
	return DM_SYNC_ADMIT_OK;
}

/* What takes the half restored source for the truth, or gives up what could complete it. */
static bool trusts_half_restored(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				 unsigned int op)
{
#define O(n)	(1u << OP(n))
	static const u32 trusting = O(RESYNC) | O(DEACTIVATE) | O(PREPARE) | O(UNPREPARE) |
				    O(DISSOLVE) | O(RETURN_TO_RESOURCE_POOL);
#undef O

	return f->restore_incomplete && s->copy_state == CS(BROKEN) && in_set(trusting, op);
}

/*
 * The exception to the column Broken of snapshots and clones: a Restore that stopped midway may
 * be repeated as long as the image is there.
 */
static bool repeats_restore(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			    unsigned int op)
{
	return op == OP(RESTORE) && kind_of(s) != MIRROR && !temporary(s) &&
	       s->copy_state == CS(BROKEN) && s->progress == PS(DORMANT) &&
	       f->restore_incomplete && !f->maps_lost;
}

static enum dm_sync_admit admit_cell(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				     unsigned int op, const char **why)
{
	enum dm_sync_admit verdict;
	char note, cell = dm_sync_matrix_cell(s->sync_type, op, s->copy_state, &note);

	if (repeats_restore(s, f, op))
		return f->source_ok ? DM_SYNC_ADMIT_OK :
		       say(DM_SYNC_ADMIT_REFUSED, why, "the source does not answer");
	switch (cell) {
	case 'n':
		return DM_SYNC_ADMIT_NOOP;
	case 'F':
		if (note == '1')
			return footnote(note, f, why);
		return say(DM_SYNC_ADMIT_FORCE, why, "the replica would be left inconsistent");
	case 'N':	/* here, while other states have it: Detach of a snapshot */
		return say(DM_SYNC_ADMIT_UNSUPPORTED, why,
			   "an image cannot live without its source: dissolve or delete it");
	case 'y':
		break;
	default:
		return say(DM_SYNC_ADMIT_REFUSED, why, refusal(s, note));
	}
	if (op == OP(RESET_TO_SYNC))	/* of a synchronous mirror, held writes or not */
		return DM_SYNC_ADMIT_NOOP;
	if (trusts_half_restored(s, f, op))
		return say(DM_SYNC_ADMIT_FORCE, why, "the source is half restored");
	/* Reset leads to SyncTime, and what the image was then it is with those writes. */
	if (op == OP(RESET_REPLICA) && f->writes_merged)
		return say(DM_SYNC_ADMIT_REFUSED, why,
			   "writes to it are part of what the source was restored to: resync it");
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
	if (s->copy_state > CS(NOT_APPLICABLE) || !refusals[s->copy_state] ||
	    !dm_sync_progress_with(s, s->copy_state))
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

