/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of a mirror's conductor share: requests hand operations to
 * ops, events are what happens without having been asked for.  All of it is
 * called by work items of the conductor, one at a time.
 */
#ifndef DM_SYNC_OPS_H
#define DM_SYNC_OPS_H

#include "dm-sync-mirror.h"

#define DRAIN_TIMEOUT	(DM_SYNC_DRAIN_SECONDS * HZ)
#define PROBE_FIRST	2u	/* seconds; doubles */
#define PROBE_LAST	30u

/**
 * struct dm_sync_change - an operation being carried out
 * @operation: enum dm_sync_operation
 * @force: the caller insists
 * @fracture_owed: what a restore left owing before, which an operation taken back owes again
 * @from: the state before
 * @during: while it runs; published already
 * @after: when it is complete
 */
struct dm_sync_change {
	u32 operation;
	bool force, fracture_owed;
	struct dm_sync_step from, during, after;
};

static inline struct dm_sync_step dm_sync_state_step(const struct dm_sync_state *s)
{
	return (struct dm_sync_step) { s->copy_state, s->progress, s->requested };
}

/* dm-sync-ops.c */
bool dm_sync_ops_has(u32 operation);
int dm_sync_ops_run(struct dm_sync_mirror *m, struct dm_sync_change *c);
int dm_sync_persist(struct dm_sync_mirror *m, const struct dm_sync_step *step);
void dm_sync_take_back(struct dm_sync_mirror *m, const struct dm_sync_change *c);
void dm_sync_facts_leave(struct dm_sync_mirror *m, u8 from);
void dm_sync_settle(struct dm_sync_mirror *m, bool try_flush);
void dm_sync_start_flow(struct dm_sync_mirror *m, enum dm_sync_flow flow);
int dm_sync_revive_metadata(struct dm_sync_mirror *m);
void dm_sync_completed(struct dm_sync_mirror *m, const struct dm_sync_change *c);
int dm_sync_close_door(struct dm_sync_mirror *m);
int dm_sync_stop_copy(struct dm_sync_mirror *m, struct dm_sync_change *c);
void dm_sync_arm_hold(struct dm_sync_mirror *m);
int dm_sync_op_detach(struct dm_sync_mirror *m, struct dm_sync_change *c);
int dm_sync_begin_forward(struct dm_sync_mirror *m, const struct dm_sync_step *step,
			  bool whole);

/* dm-sync-request.c */
void dm_sync_requests_init(struct dm_sync_mirror *m);

/* dm-sync-events.c */
void dm_sync_arm_probe(struct dm_sync_mirror *m, unsigned int seconds);
bool dm_sync_next_step(struct dm_sync_mirror *m, enum dm_sync_event ev,
		       struct dm_sync_step *to);
void dm_sync_events_init(struct dm_sync_mirror *m);

/* dm-sync-clone.c */
int dm_sync_clone_run(struct dm_sync_mirror *m, struct dm_sync_change *c);

#endif /* DM_SYNC_OPS_H */
