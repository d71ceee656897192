/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state machine of a pair: which operation is admitted, what it leads to, what the other
 * fields are when the stored ones are these.
 *
 * Everything here is a pure function of its arguments: no lock, no memory, no kernel call, any
 * context. It is compiled into the module, into the unit tests and into synctl (`states`). The
 * caller holds the lock that makes the state it passes one state, and publishes what it gets.
 */
#ifndef DM_SYNC_STATE_H
#define DM_SYNC_STATE_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stdbool.h>
#include <stddef.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#endif

#include "../include/uapi/linux/dm-sync.h"

/**
 * struct dm_sync_state - the stored part of a pair's state; the values are the class's numbers
 * @sync_type: enum dm_sync_sync_type, fixed for the life of the pair
 * @copy_type: enum dm_sync_copy_type; SyncMode follows from it (dm_sync_derive_mode())
 * @methodology: the configured enum dm_sync_copy_methodology
 * @priority: enum dm_sync_copy_priority
 * @copy_state: the condition of the relationship that is true now
 * @progress: what is being done now, or the step that is owed
 * @requested: the CopyState aimed at while it is another one, else Not Applicable (15)
 */
struct dm_sync_state {
	u8 sync_type, copy_type, methodology, priority;
	u8 copy_state, progress, requested;
};

/**
 * struct dm_sync_facts - what admission and transitions depend on beside the state
 * @replica_consistent: the replica's last image is known consistent: it was Synchronized or
 *	Split and has not been written since. Of a clone: the replica holds all of the image, with
 *	what hosts wrote to it: set when a copy is done, cleared when the next one begins
 * @ever_synced: the pair reached Synchronized since the last full copy began
 * @was_synced: the present Broken, Suspended, ... state was entered from Synchronized
 * @source_ok: the source answers, or was replaced
 * @held_writes: host writes are being held
 * @restore_incomplete: a Restore stopped midway, so the source is part old and part restored
 * @maps_lost: the maps of changes are not to be trusted: all regions count as changed. Of a
 *	snapshot or clone also: the image is lost (DM_SYNC_EV_STORE_FULL)
 * @nothing_marked: no region is marked in either map (only then Resume is immediate)
 * @fracture_owed: a Restore completed and neither Fracture nor Split followed, so that a state
 *	which returns to Synchronized returns to "Requires fracture" (mirrors)
 * @replica_written: hosts wrote to the replica of a snapshot or clone since its image began, that
 *	is since Activate or Resync was accepted, or since Reset Replica or Restore was done: there
 *	it is cleared, and nowhere else. Also true of writes that changed no state (in a copy, in
 *	Fractured and Split), and where verify found a mismatch
 * @writes_merged: hosts' writes to the image of a snapshot became part of its point in time, when a
 *	Restore brought the source to both; they cannot be taken back, nor later ones alone
 * @before_pending: the ProgressStatus that Pending covers, so that it can return; 0 = not known,
 *	then @ever_synced decides between Synchronizing and Resyncing
 *
 * False and 0 are the safe side of every one of them but @restore_incomplete, @maps_lost,
 * @held_writes, @replica_written and @writes_merged.
 */
struct dm_sync_facts {
	bool replica_consistent;
	bool ever_synced;
	bool was_synced;
	bool source_ok;
	bool held_writes;
	bool restore_incomplete;
	bool maps_lost;
	bool nothing_marked;
	bool fracture_owed;
	bool replica_written;
	bool writes_merged;
	u8 before_pending;
};

/**
 * enum dm_sync_admit - what becomes of a request
 * @DM_SYNC_ADMIT_OK: do it
 * @DM_SYNC_ADMIT_NOOP: its end state holds already: success, nothing changes
 * @DM_SYNC_ADMIT_FORCE: only with force
 * @DM_SYNC_ADMIT_REFUSED: the CopyState or an owed step forbids it (-EPERM)
 * @DM_SYNC_ADMIT_BUSY: another operation is in flight or writes are held (-EBUSY)
 * @DM_SYNC_ADMIT_UNSUPPORTED: never valid for this pair, or not in this version (-EOPNOTSUPP)
 * @DM_SYNC_ADMIT_INVALID: no such operation, or the state is none (-EINVAL)
 */
enum dm_sync_admit {
	DM_SYNC_ADMIT_OK,
	DM_SYNC_ADMIT_NOOP,
	DM_SYNC_ADMIT_FORCE,
	DM_SYNC_ADMIT_REFUSED,
	DM_SYNC_ADMIT_BUSY,
	DM_SYNC_ADMIT_UNSUPPORTED,
	DM_SYNC_ADMIT_INVALID,
};

/**
 * struct dm_sync_step - the three fields that a transition sets together
 * @copy_state: CopyState
 * @progress: ProgressStatus
 * @requested: RequestedCopyState
 */
struct dm_sync_step {
	u8 copy_state, progress, requested;
};

/**
 * enum dm_sync_event - what happens to a pair without having been asked for (E1 to E19)
 * @DM_SYNC_EV_REPLICA_ERROR: a write, flush or read of the replica or store failed, or it
 *	disappeared, and no old data was lost by it (else DM_SYNC_EV_STORE_FULL)
 * @DM_SYNC_EV_REPLICA_RETURNED: the fault of a pair that is Broken *because of its replica* has
 *	gone; not to be raised when the source failed
 * @DM_SYNC_EV_SOURCE_COPY_ERROR: the source failed under a copy
 * @DM_SYNC_EV_SOURCE_WRITE_ERROR: the source failed a host write
 * @DM_SYNC_EV_MAPS_LOST: the maps cannot be read or written, the data plane is intact
 * @DM_SYNC_EV_STATE_UNKNOWN: the stored state itself cannot be read
 * @DM_SYNC_EV_COPY_DONE: the copy, restore or drain that ran has nothing left to do
 * @DM_SYNC_EV_DRAIN_TIMEOUT: in-flight writes did not drain in time for Split or Suspend
 * @DM_SYNC_EV_CRASH_RECOVERY: the state was loaded from metadata; it steps to the one to activate
 * @DM_SYNC_EV_STALLED: no progress for a second though work is queued
 * @DM_SYNC_EV_UNSTALLED: progress again after that
 * @DM_SYNC_EV_REPLICA_SKEWED: the replica was written behind our back, or verify found a mismatch
 * @DM_SYNC_EV_REPLICA_TOO_SMALL: the source has grown beyond the replica
 * @DM_SYNC_EV_REPLICA_WRITTEN: hosts wrote to the image of a snapshot or clone through its door;
 *	to be raised before the first such write is acknowledged
 * @DM_SYNC_EV_STORE_FULL: old data could not be saved before a host write changed the source, for
 *	want of space or because the write of it failed: the image is lost. To be raised, in Broken
 *	too, before that write is issued (rule S-invalid)
 * @DM_SYNC_EV_STORE_HOLD: the store of a snapshot is full, and on_full:hold has writes wait
 * @DM_SYNC_EV_STORE_SPACE: there is space again for a snapshot that STORE_HOLD suspended; not to be
 *	raised for one that was suspended by request
 *
 * The end of the maximum hold time is none of these: the pair stays Suspended and tracks.
 */
enum dm_sync_event {
	DM_SYNC_EV_REPLICA_ERROR,
	DM_SYNC_EV_REPLICA_RETURNED,
	DM_SYNC_EV_SOURCE_COPY_ERROR,
	DM_SYNC_EV_SOURCE_WRITE_ERROR,
	DM_SYNC_EV_MAPS_LOST,
	DM_SYNC_EV_STATE_UNKNOWN,
	DM_SYNC_EV_COPY_DONE,
	DM_SYNC_EV_DRAIN_TIMEOUT,
	DM_SYNC_EV_CRASH_RECOVERY,
	DM_SYNC_EV_STALLED,
	DM_SYNC_EV_UNSTALLED,
	DM_SYNC_EV_REPLICA_SKEWED,
	DM_SYNC_EV_REPLICA_TOO_SMALL,
	DM_SYNC_EV_REPLICA_WRITTEN,
	DM_SYNC_EV_STORE_FULL,
	DM_SYNC_EV_STORE_HOLD,
	DM_SYNC_EV_STORE_SPACE,
};

/**
 * enum dm_sync_flow - where a host write goes
 * @DM_SYNC_FLOW_NONE: to the source alone, and is tracked
 * @DM_SYNC_FLOW_FORWARD: to source and replica (where the replica has the region)
 * @DM_SYNC_FLOW_RESTORE: to both, after the region came back from the replica
 */
enum dm_sync_flow {
	DM_SYNC_FLOW_NONE,
	DM_SYNC_FLOW_FORWARD,
	DM_SYNC_FLOW_RESTORE,
};

/**
 * enum dm_sync_time - what becomes of SyncTime
 * @DM_SYNC_TIME_KEEP: it stays
 * @DM_SYNC_TIME_NULL: there is none any more
 * @DM_SYNC_TIME_NOW: it is the instant of the change
 * @DM_SYNC_TIME_POINT: it is the point in time that was taken when the copy was accepted
 */
enum dm_sync_time {
	DM_SYNC_TIME_KEEP,
	DM_SYNC_TIME_NULL,
	DM_SYNC_TIME_NOW,
	DM_SYNC_TIME_POINT,
};

enum dm_sync_admit dm_sync_admit(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				 unsigned int op, bool force, const char **why);
bool dm_sync_transition(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			unsigned int op, struct dm_sync_step *during, struct dm_sync_step *after);
bool dm_sync_event_step(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			enum dm_sync_event ev, bool recovery_auto, bool regions_marked,
			struct dm_sync_step *after);
int dm_sync_create_step(const struct dm_sync_state *s, unsigned int stop_at, bool assume_in_sync,
			struct dm_sync_step *first, struct dm_sync_step *after);

u32 dm_sync_allowed_ops(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			u32 *with_force);
char dm_sync_matrix_cell(u8 sync_type, unsigned int op, u8 copy_state, char *note);
bool dm_sync_op_built(unsigned int op);

int dm_sync_derive_mode(const struct dm_sync_state *s);
int dm_sync_derive_sync_state(const struct dm_sync_state *s);
bool dm_sync_derive_maintained(const struct dm_sync_state *s);
int dm_sync_derive_percent(const struct dm_sync_state *s, const struct dm_sync_facts *f, u64 total,
			   u64 remaining);
int dm_sync_derive_methodology(const struct dm_sync_state *s, const struct dm_sync_facts *f);
int dm_sync_derive_replica_type(const struct dm_sync_state *s);
enum dm_sync_time dm_sync_sync_time(const struct dm_sync_state *s, const struct dm_sync_facts *f,
				    const struct dm_sync_step *to);
bool dm_sync_auto_detach(const struct dm_sync_state *s);

bool dm_sync_pair_legal(u8 copy_state, u8 progress);
bool dm_sync_type_legal(u8 sync_type, u8 copy_type, u8 methodology);
bool dm_sync_invariants(const struct dm_sync_state *s, const char **why);

enum dm_sync_door_access dm_sync_door(const struct dm_sync_state *s,
				      const struct dm_sync_facts *f);
bool dm_sync_door_holds(const struct dm_sync_state *s);
enum dm_sync_flow dm_sync_flow(const struct dm_sync_state *s);
bool dm_sync_preserves(const struct dm_sync_state *s);
bool dm_sync_holds_writes(const struct dm_sync_state *s);
bool dm_sync_tracks_source(const struct dm_sync_state *s);

#endif /* DM_SYNC_STATE_H */
