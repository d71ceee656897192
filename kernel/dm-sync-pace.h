/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast the background copy may go.
 *
 * Plain arithmetic on nanoseconds that the caller passes in: no clock, no
 * lock, no timer.  Compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_PACE_H
#define DM_SYNC_PACE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

#define DM_SYNC_PACE_SLOTS	8u	/* of the measured rate */

/**
 * struct dm_sync_pace - the pace of one pair's background copy
 * @priority: enum dm_sync_copy_priority
 * @limited_by: enum dm_sync_limited_by: why the copy is not faster
 * @from_replica: the copy reads the replica (Restore); set by the caller
 * @host_busy: what the last call was told of the host
 * @in_flight: jobs started and not done
 * @rate: cap in bytes per second, 0 for none
 * @cap_next: until when the cap's budget is spent
 * @host_since: when the host became busy
 * @host_next: until when the copy leaves the devices to the host
 * @run_since: since when at least one job is in flight
 * @limit_time: when a job was last told to wait
 * @work_since: since when there is something to copy; 0 when there is not
 * @last_done: when a job last completed
 * @read_ns: average time of reading 1 MiB
 * @write_ns: average time of writing 1 MiB
 * @measure_since: since when the copy runs that the slots measure
 * @slot: number of the newest slot
 * @slot_bytes: bytes completed in each of the last slots
 *
 * The caller serialises all calls for one struct.  All but the first three
 * fields are private to dm-sync-pace.c.
 */
struct dm_sync_pace {
	u8 priority, limited_by;
	bool from_replica;

	bool host_busy;
	unsigned int in_flight;
	u64 rate;
	u64 cap_next;
	u64 host_since, host_next, run_since;
	u64 limit_time, work_since, last_done;
	u64 read_ns, write_ns;
	u64 measure_since, slot;
	u64 slot_bytes[DM_SYNC_PACE_SLOTS];
};

void dm_sync_pace_init(struct dm_sync_pace *p, u8 priority, u64 rate);
void dm_sync_pace_set_priority(struct dm_sync_pace *p, u64 now, u8 priority);
void dm_sync_pace_set_rate(struct dm_sync_pace *p, u64 now, u64 rate);

bool dm_sync_pace_host(struct dm_sync_pace *p, u64 now, unsigned int inflight,
		       u64 last_io_ns);
u64 dm_sync_pace_delay(struct dm_sync_pace *p, u64 now, bool host_busy,
		       unsigned int bytes);
unsigned int dm_sync_pace_depth(const struct dm_sync_pace *p, bool host_busy);
unsigned int dm_sync_pace_job_bytes(const struct dm_sync_pace *p, bool host_busy);
void dm_sync_pace_started(struct dm_sync_pace *p, u64 now, unsigned int bytes);
void dm_sync_pace_done(struct dm_sync_pace *p, u64 now, unsigned int bytes,
		       u64 read_ns, u64 write_ns);
void dm_sync_pace_idle(struct dm_sync_pace *p);

u64 dm_sync_pace_rate(const struct dm_sync_pace *p, u64 now);
bool dm_sync_pace_stalled(const struct dm_sync_pace *p, u64 now);

#endif /* DM_SYNC_PACE_H */
