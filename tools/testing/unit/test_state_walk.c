// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random walks: from every creation, admitted operations, their ends and events in any order, with
 * a caller that keeps the facts as dm-sync-state.h asks it to. Nothing unsound is ever seen, what
 * may be read through the replica door is an image, SyncTime is there when an image is; and each
 * kind gets to see every pair of CopyState and ProgressStatus that it is said to show.
 */
#include "state_table.h"

static unsigned long long seed = 88172645463325252ULL;

static unsigned int chance(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed >> 33) % n;
}

struct walk {
	char kind;
	struct dm_sync_state s;
	struct dm_sync_facts f;
	struct dm_sync_step cut;	/* where the operation in flight ends */
	bool in_flight;
	bool timed;			/* SyncTime is not NULL */
	bool ended;
};

static bool seen[128][16][21];

static void check_state(const struct walk *w)
{
	const struct dm_sync_state *s = &w->s;
	enum dm_sync_door_access door = dm_sync_door(s, &w->f);
	const char *why;

	expect(dm_sync_invariants(s, &why) && sound(s), "%c: %d/%d/%d: %s", w->kind,
	       s->copy_state, s->progress, s->requested, why ? why : "unsound");
	seen[(int)w->kind][s->copy_state][s->progress] = true;
	if (w->kind == 'M')
		return;
	/* a Broken pair shows none, but for a Restore that is repeated from it */
	if (door)
		expect(!w->f.maps_lost && !listed("2, 11, 12, 15", s->copy_state) &&
		       (s->copy_state != 5 || s->progress == 8),
		       "%c: %d/%d: the door is open, and there is no image", w->kind,
		       s->copy_state, s->progress);
	if (listed("4, 13, 6, 7", s->copy_state))
		expect(w->timed, "%c: %d/%d without SyncTime", w->kind, s->copy_state, s->progress);
	if (s->progress != 13 && (listed("2, 11", s->copy_state) ||
				  (w->kind == 'S' && s->copy_state == 8)))
		expect(!w->timed, "%c: %d/%d with SyncTime", w->kind, s->copy_state, s->progress);
	if (s->copy_state == 4 && s->progress == 2 && w->kind != '5')
		expect(!w->f.replica_written, "%c: written, and not Skewed", w->kind);
}

/* A new state, and the facts that follow from it. */
static void enter(struct walk *w, const struct dm_sync_step *to)
{
	enum dm_sync_time time = dm_sync_sync_time(&w->s, &w->f, to);
	bool done = to->copy_state == 4 &&
		    (w->s.progress == 8 || (w->s.progress == 7 && w->s.copy_state == 13));
	u8 from = w->s.copy_state;

	if (time != DM_SYNC_TIME_KEEP)
		w->timed = time != DM_SYNC_TIME_NULL;
	if (listed("8, 14", w->s.progress) && to->copy_state == 5 && listed("3, 18", to->progress))
		w->f.restore_incomplete = true;
	if (done)
		w->f.restore_incomplete = w->f.replica_written = false;
	if (from == 3 && (to->copy_state == 4 || to->copy_state == 13))
		w->f.ever_synced = w->f.replica_consistent = true;
	if (to->copy_state != from)
		w->f.was_synced = from == 3 ? false : from == 4 || from == 13 || w->f.was_synced;
	if (to->copy_state == 5 && to->progress == 18)
		w->f.maps_lost = true;
	if (listed("8, 11", to->copy_state))
		w->f.maps_lost = w->f.restore_incomplete = false;
	if (to->copy_state == 11 || (w->kind == 'S' && to->copy_state == 8))
		w->f.replica_consistent = w->f.replica_written = w->f.was_synced = false;
	w->s.copy_state = to->copy_state;
	w->s.progress = to->progress;
	w->s.requested = to->requested;
	w->ended = to->copy_state == 15;
	check_state(w);
}

/* An operation is accepted: what a new image forgets. */
static void accepted(struct walk *w, unsigned int op)
{
	if (op == 4)
		w->f.ever_synced = false;
	if (op == 4 || op == 14) {
		w->f.replica_written = w->f.replica_consistent = false;
		w->f.maps_lost = w->f.restore_incomplete = false;
	}
}

static void operate(struct walk *w)
{
	struct dm_sync_step during;
	unsigned int op = 2 + chance(26);
	const char *why;

	/* what ends the walk, less often */
	if (listed("8, 9, 19", (int)op) && chance(8))
		return;
	if (dm_sync_admit(&w->s, &w->f, op, chance(2), &why) != DM_SYNC_ADMIT_OK)
		return;
	if (!expect(dm_sync_transition(&w->s, &w->f, op, &during, &w->cut),
		    "%c: op %u from %d/%d leads nowhere", w->kind, op, w->s.copy_state,
		    w->s.progress))
		return;
	accepted(w, op);
	enter(w, &during);
	w->in_flight = listed("5, 9, 10, 13, 14, 16", w->s.progress);
}

/* Which events a caller would raise now; the walk raises no others. */
static bool plausible(const struct walk *w, enum dm_sync_event ev)
{
	switch (ev) {
	case DM_SYNC_EV_REPLICA_WRITTEN:
		return dm_sync_door(&w->s, &w->f) == DM_SYNC_DOOR_ACCESS_READ_WRITE;
	case DM_SYNC_EV_MAPS_LOST:
	case DM_SYNC_EV_STATE_UNKNOWN:
	case DM_SYNC_EV_REPLICA_TOO_SMALL:
		return !chance(8);
	case DM_SYNC_EV_STORE_FULL:
		return dm_sync_preserves(&w->s);
	default:
		return true;
	}
}

static void happen(struct walk *w)
{
	enum dm_sync_event ev = (enum dm_sync_event)chance(DM_SYNC_EV_STORE_SPACE + 1);
	bool written = ev == DM_SYNC_EV_REPLICA_WRITTEN;
	struct dm_sync_step after;

	if (w->kind == 'M' && ev > DM_SYNC_EV_REPLICA_TOO_SMALL)
		return;
	if (!plausible(w, ev))
		return;
	if (dm_sync_event_step(&w->s, &w->f, ev, chance(2), chance(2), &after)) {
		w->f.replica_written |= written;
		w->in_flight = w->in_flight && after.progress == w->s.progress;
		enter(w, &after);
	}
	/* a mismatch that verify found counts as written */
	w->f.replica_written |= written ||
				(ev == DM_SYNC_EV_REPLICA_SKEWED && w->s.copy_state == 13);
}

static void end_of_operation(struct walk *w)
{
	struct dm_sync_step cut = w->cut;

	w->in_flight = false;
	enter(w, &cut);
}

/* A complete temporary clone: nobody asks, and it is done as if somebody had. */
static void detach(struct walk *w)
{
	struct dm_sync_step during;
	const char *why;

	expect(dm_sync_admit(&w->s, &w->f, 8, false, &why) == DM_SYNC_ADMIT_OK &&
	       dm_sync_transition(&w->s, &w->f, 8, &during, &w->cut) && w->cut.copy_state == 15,
	       "%c: %d/%d cannot be detached", w->kind, w->s.copy_state, w->s.progress);
	enter(w, &during);
	w->in_flight = true;
}

static void walk(char kind, unsigned int stop_at)
{
	struct walk w = { .kind = kind, .s = pair_of(kind, 2, 4, 15) };
	struct dm_sync_step first, after;

	w.f.source_ok = true;
	if (!expect(!dm_sync_create_step(&w.s, stop_at, false, &first, &after), "creation"))
		return;
	w.s.requested = first.requested;
	check_state(&w);
	if (!chance(4))
		dm_sync_event_step(&w.s, &w.f, DM_SYNC_EV_CRASH_RECOVERY, true, true, &after);
	enter(&w, &after);
	for (int i = 0; i < 80 && !w.ended; i++) {
		w.f.source_ok = chance(8);
		w.f.held_writes = w.s.copy_state == 9 && chance(2);
		w.f.nothing_marked = chance(2);
		if (w.in_flight && chance(2))
			end_of_operation(&w);
		else if (dm_sync_auto_detach(&w.s) && chance(2))
			detach(&w);
		else if (chance(3))
			operate(&w);
		else
			happen(&w);
	}
}

static void test_walks(char kind)
{
	static const unsigned int stops[] = { 0, 2, 8, 11 };

	for (int i = 0; i < 20000; i++)
		walk(kind, stops[i % 4]);
	point("walks of kind %c", kind);
	if (kind == 'M')
		return;
	for (int i = 0; i < 16 * 21; i++) {
		int copy_state = i / 21, progress = i % 21;
		bool was;

		/* nobody looks at a state that cannot be read before the pair is Broken */
		if (copy_state == 2 && progress == 0)
			continue;
		was = seen[(int)kind][copy_state][progress];
		expect(was == is_shown(kind, copy_state, progress), "%c: %d/%d has%s been seen",
		       kind, copy_state, progress, was ? "" : " not");
	}
	point("each pair of CopyState and ProgressStatus of kind %c has been reached", kind);
}

int main(void)
{
	plan(0);
	for (const char *kind = "MS45"; *kind; kind++)
		test_walks(*kind);
	return done();
}
