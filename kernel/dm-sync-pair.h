/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What interfaces (netlink, sysfs, dm status) may ask of a pair.
 *
 * Nothing here takes a lock that I/O, suspend or a dead device can hold
 * (rule P): dm_sync_pair_info() copies what was published, under a spinlock.
 */
#ifndef DM_SYNC_PAIR_H
#define DM_SYNC_PAIR_H

#include <linux/types.h>
#include <uapi/linux/dm-sync.h>

#include "dm-sync-state.h"

struct dm_sync_pair;

#define DM_SYNC_IMAGE_NAME_LEN	64	/* with the end, as the next one */
#define DM_SYNC_NAME_LEN	(128 + DM_SYNC_IMAGE_NAME_LEN)	/* DOOR or DOOR@IMAGE */
#define DM_SYNC_HISTORY		64
#define DM_SYNC_NULL		(-1)

/**
 * struct dm_sync_info - everything that can be reported of a pair, one instant
 *
 * Fields that the class allows to be NULL are signed and hold DM_SYNC_NULL
 * (sync_time: 0). Times are nanoseconds since 1970, sizes bytes.
 */
struct dm_sync_info {
	u32 id;
	u8 uuid[16];
	char name[DM_SYNC_NAME_LEN];
	u64 event_seq;
	u32 generation;
	dev_t door, source, replica, meta;	/* meta 0: state is kept in memory */

	/* the class's fourteen */
	u64 sync_time;
	bool sync_maintained;
	u8 copy_state, requested, sync_type, sync_mode, progress;
	int percent;
	u8 copy_type, replica_type;
	int sync_state;
	u8 priority, methodology;
	int rpo_objective;
	u32 rpo_measured;

	/* ours */
	u32 reason;
	u64 reason_time;
	u32 allowed, allowed_force;
	u8 door_access;
	u64 size, region_size, regions, source_changed, replica_changed;
	u64 total, done, rate, limit;
	u64 copy_started;
	u8 limited_by;
	u64 read_bytes, written_bytes, skipped_bytes;
	u64 host_reads, host_writes, reads_from_replica;
	u64 source_errors, replica_errors;
	u64 metadata_writes, activity_hits, activity_misses;
	u32 held, hold_max;
	u8 hold, recovery;

	/* of an image only, which the first tells; the store's are those of all its images */
	char image[DM_SYNC_IMAGE_NAME_LEN];
	u64 saved, alone, fill_rate, pause_ns;
	int full_seconds;

	/* of the store of an image or the delta of a clone; 0 slots: there is none */
	u64 store_size, store_free;
	u32 slots;
};

/**
 * struct dm_sync_event_record - one state change, as kept in the history
 */
struct dm_sync_event_record {
	u64 seq;
	u64 time;
	u32 cause;
	u32 operation;		/* 0: none */
	u32 reason;
	u32 requester;		/* pid, 0: the kernel */
	u8 old_copy_state, new_copy_state;
	u8 old_progress, new_progress;
	u8 old_requested, new_requested;
};

/* references; a lookup returns a counted one or NULL */
struct dm_sync_pair *dm_sync_pair_find(u32 id);
struct dm_sync_pair *dm_sync_pair_find_uuid(const u8 *uuid);
struct dm_sync_pair *dm_sync_pair_find_door(dev_t door);
struct dm_sync_pair *dm_sync_pair_next(u32 *id);	/* first with an id >= *id */
void dm_sync_pair_get(struct dm_sync_pair *pair);
void dm_sync_pair_put(struct dm_sync_pair *pair);
u32 dm_sync_pair_list_generation(void);
u64 dm_sync_event_seq(void);
u32 dm_sync_pair_count(void);

void dm_sync_pair_info(struct dm_sync_pair *pair, struct dm_sync_info *info);
unsigned int dm_sync_pair_history(struct dm_sync_pair *pair, u64 since,
				  struct dm_sync_event_record *records,
				  unsigned int max);

#define DM_SYNC_OP_FORCE	1u
#define DM_SYNC_OP_DRY_RUN	2u

int dm_sync_pair_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			 const char **why);
int dm_sync_pair_create_image(dev_t door, const char *name, const char *image, u32 stop_at,
			      u32 flags, struct dm_sync_pair **pair, const char **why);

/**
 * enum dm_sync_setting - what may be set while a pair is in use
 * @DM_SYNC_SETTING_PRIORITY: enum dm_sync_copy_priority
 * @DM_SYNC_SETTING_LIMIT: cap of the background copy, bytes per second, 0 for none
 * @DM_SYNC_SETTING_HOLD: enum dm_sync_hold
 * @DM_SYNC_SETTING_HOLD_MAX: how long writes are held at most, seconds
 * @DM_SYNC_SETTING_RECOVERY: enum dm_sync_recovery
 * @DM_SYNC_SETTING_ON_FULL: enum dm_sync_on_full; of a store, as are all of an image
 */
enum dm_sync_setting {
	DM_SYNC_SETTING_PRIORITY,
	DM_SYNC_SETTING_LIMIT,
	DM_SYNC_SETTING_HOLD,
	DM_SYNC_SETTING_HOLD_MAX,
	DM_SYNC_SETTING_RECOVERY,
	DM_SYNC_SETTING_ON_FULL,
};

int dm_sync_pair_set(struct dm_sync_pair *pair, enum dm_sync_setting setting, u64 value,
		     const char **why);

#endif /* DM_SYNC_PAIR_H */
