/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the state machine share among themselves, and nobody else includes: short
 * names for the class's numbers, sets of them, and the kinds of pair.
 */
#ifndef DM_SYNC_STATE_PRIVATE_H
#define DM_SYNC_STATE_PRIVATE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif
#include <linux/errno.h>

#include "dm-sync-state.h"

#define CS(name)	DM_SYNC_COPY_STATE_##name
#define PS(name)	DM_SYNC_PROGRESS_STATUS_##name
#define OP(name)	DM_SYNC_OPERATION_##name
#define METHOD(name)	DM_SYNC_COPY_METHODOLOGY_##name
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

/* sets of ProgressStatus values */
#define P(n)	(1u << PS(n))

/* an operation is in flight: nothing else is admitted until it has ended */
#define IN_FLIGHT	(P(FRACTURING) | P(SPLITTING) | P(FAILING_OVER) | P(FAILING_BACK) | \
			 P(DETACHING) | P(ABORTING) | P(SUSPENDING))

#define OPERATIONS	(OP(RESET_REPLICA) + 1)

/* The tables have a column for each. KINDS itself stands for what is none of them. */
enum kind { MIRROR, SNAPSHOT, CLONE, KINDS };

static inline bool in_set(u32 set, unsigned int value)
{
	return value < 32 && (set >> value & 1);
}

static inline enum kind kind_of_type(u8 sync_type)
{
	return sync_type == DM_SYNC_SYNC_TYPE_MIRROR ? MIRROR :
	       sync_type == DM_SYNC_SYNC_TYPE_SNAPSHOT ? SNAPSHOT :
	       sync_type == DM_SYNC_SYNC_TYPE_CLONE ? CLONE : KINDS;
}

/* The kind of a pair whose CopyType belongs to its SyncType. */
static inline enum kind kind_of(const struct dm_sync_state *s)
{
	static const u32 copy_types[KINDS] = {
		[MIRROR] = 1u << DM_SYNC_COPY_TYPE_ASYNC | 1u << DM_SYNC_COPY_TYPE_SYNC,
		[SNAPSHOT] = 1u << DM_SYNC_COPY_TYPE_UNSYNC_ASSOC,
		[CLONE] = 1u << DM_SYNC_COPY_TYPE_UNSYNC_ASSOC |
			  1u << DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC,
	};
	enum kind kind = kind_of_type(s->sync_type);

	return kind != KINDS && in_set(copy_types[kind], s->copy_type) ? kind : KINDS;
}

/* A clone whose association ends by itself when the copy is complete. */
static inline bool temporary(const struct dm_sync_state *s)
{
	return kind_of(s) == CLONE && s->copy_type == DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC;
}

/* How a copy that goes on is called: as before, or by whether the first one ever ended. */
static inline u8 copying(const struct dm_sync_facts *f)
{
	if (f->before_pending == PS(SYNCHRONIZING) || f->before_pending == PS(RESYNCING))
		return f->before_pending;
	return f->ever_synced ? PS(RESYNCING) : PS(SYNCHRONIZING);
}

u32 dm_sync_progress_with(const struct dm_sync_state *s, u8 copy_state);

#endif /* DM_SYNC_STATE_PRIVATE_H */
