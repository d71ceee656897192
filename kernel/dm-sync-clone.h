/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a clone has beside what it shares with a mirror: copies that somebody
 * waits for, and a replica door that is open while the copy runs.
 */
#ifndef DM_SYNC_CLONE_H
#define DM_SYNC_CLONE_H

#include "dm-sync.h"
#include "dm-sync-state.h"

#define DM_SYNC_CLONE_JOBS	16u	/* demanded copies in flight at once */
#define DM_SYNC_CLONE_TOUCHED	64u	/* ranges that were read and are to be copied */

struct dm_sync_mirror;

/**
 * struct dm_sync_clone_job - one demanded copy
 * @first, @last: its regions; at most 1 MiB and in one extent
 * @slot: of the delta, of a save: where the first goes
 * @pass: the clone's when it began
 * @is_save: it is a copy to the delta
 * @busy: in use
 * @copying: it has its range, and I/O of it may be under way
 * @over: it ended while its range was being taken away
 * @range_is: DM_SYNC_CLONE_RANGE_
 */
struct dm_sync_clone_job {
	struct dm_sync_mirror *mirror;
	struct dm_sync_copy copy;
	struct dm_sync_range range;
	struct work_struct start;
	u64 first, last;
	u32 slot, pass;
	bool is_save, busy, copying, over;
	u8 range_is;
};

/* Whose the range is of what may be given up while it is under way. */
enum {
	DM_SYNC_CLONE_RANGE_HELD,	/* its own, or it waits for it, or has none */
	DM_SYNC_CLONE_RANGE_GOING,	/* it is just being taken away */
	DM_SYNC_CLONE_RANGE_GONE,
};

/* A range of sectors that a host read. */
struct dm_sync_clone_touch {
	sector_t first, last;
};

/**
 * struct dm_sync_clone - what only clones have
 * @work: takes on all that waits, in rounds; on the demand queue
 * @flush_work: takes on @flushes; likewise
 * @table_work: writes the table of the delta, for @work, which waits for @table_done
 * @written_work: tells the conductor that hosts wrote to the replica
 * @demand: host writes of the source whose regions must be copied first
 * @doors: I/O of the replica door, likewise
 * @flushes: of the replica door, which have to wait for a commit
 * @held: writes as in @demand, while the pair is Suspended and holds them
 * @lost: writes whose regions could not be copied: until the image is given up
 * @parked: I/O of the replica door while a point in time is taken
 * @reads: reads of the replica door that are the source's and have their range
 * @read_work: sends them on
 * @idle: woken when a job is over
 * @nr_held: of @held; read without the lock
 * @busy: jobs in flight, and a write of the delta's table
 * @ended: jobs that were
 * @error: reason why a job of this round failed, or 0
 * @silent: the replica did not answer in this round, or is not to be asked any more
 * @round_pass: @pass when the round began
 * @uncopied_lock: one commit of U at a time; the mirror's commit_lock may be taken within
 * @barriers: flushes before a commit of U that were begun; uncopied_lock
 * @flushed: the number of the last that succeeded for the replica
 * @commits: of U, with what was cleared, that succeeded
 * @nr_touched: of @touched
 * @touched: what copy_on_access is to copy though nobody waits for it
 * @covering: writes of whole regions through the replica door that are under way
 * @covers: two for each of them when it is over, and for each write that was issued while
 *	the disk did not know that its region was copied
 * @covers_durable: how many of @covers the disk knows of
 * @covered: how many of @covering are over
 * @losses: times that hosts' writes to the replica may have been lost by a flush that failed
 * @told, @told_fua: of how many they know, by a flush, or a write with FUA, that failed
 * @claim_lock: see dm-sync-clone-owe.c
 * @pass: a job of an earlier one clears nothing
 * @unflushed: what was copied may be lost by a flush that failed: nothing of it may
 *	be called copied on disk before it is marked again
 * @preserving: what U marks must be copied before it is written (rule SC)
 * @holding: such writes are held instead
 * @on_access: what is read is copied
 * @door_holding: no I/O of the replica door may begin
 * @stopped: the metadata must not be written: nothing is copied on demand
 * @image_lost: a write waits that can only go on without the image
 * @completing: all is copied, but copies of the same are under way still
 *
 * The lists, @touched among them, are protected by the mirror's io_lock, as are the
 * changes of @door_holding and @pass.  The flags are changed by the conductor, or while it is idle,
 * but for @image_lost, which the round sets.
 */
struct dm_sync_clone {
	struct work_struct work, flush_work, table_work, written_work, read_work;
	struct completion table_done;
	struct bio_list demand, doors, flushes, held, lost, parked, reads;
	wait_queue_head_t idle;
	atomic_t busy, ended, covers, covered, losses;
	int covers_durable, told, told_fua;
	struct mutex uncopied_lock;
	spinlock_t claim_lock;
	struct list_head covering;
	u32 error, nr_held, pass, round_pass, barriers, flushed, commits, nr_touched;
	struct dm_sync_clone_touch touched[DM_SYNC_CLONE_TOUCHED];
	bool silent, unflushed, preserving, holding, on_access, door_holding, stopped, image_lost;
	bool completing;
	struct dm_sync_clone_job job[DM_SYNC_CLONE_JOBS];
};

/* dm-sync-clone.c */
int dm_sync_clone_point(struct dm_sync_mirror *m);
void dm_sync_clone_loaded(struct dm_sync_mirror *m);
void dm_sync_clone_before(struct dm_sync_mirror *m, u32 operation);
void dm_sync_clone_mark_active(struct dm_sync_mirror *m, u64 first, u64 end);
void dm_sync_clone_turn(struct dm_sync_mirror *m);
void dm_sync_clone_restart(struct dm_sync_mirror *m);
void dm_sync_clone_copied(struct dm_sync_mirror *m);
enum dm_sync_event dm_sync_clone_event(struct dm_sync_mirror *m, enum dm_sync_event ev);
void dm_sync_clone_written(struct dm_sync_mirror *m);
void dm_sync_clone_ops_init(struct dm_sync_mirror *m);

/* dm-sync-clone-copy.c */
bool dm_sync_clone_copy_due(struct dm_sync_mirror *m);
void dm_sync_clone_copy_begin(struct dm_sync_mirror *m, sector_t sector, sector_t last_sector);
u32 dm_sync_clone_save_begin(struct dm_sync_mirror *m, u64 first, u32 nr);
bool dm_sync_clone_copy_wait(struct dm_sync_mirror *m);
void dm_sync_clone_new_pass(struct dm_sync_mirror *m);
void dm_sync_clone_abandon(struct dm_sync_mirror *m);
int dm_sync_clone_quiet(struct dm_sync_mirror *m);
void dm_sync_clone_copy_init(struct dm_sync_mirror *m);
void dm_sync_clone_leave(struct dm_sync_mirror *m);

/* dm-sync-clone-io.c */
void dm_sync_clone_init(struct dm_sync_mirror *m);
bool dm_sync_clone_must_wait(struct dm_sync_mirror *m, u64 first, u64 last);
bool dm_sync_clone_uncopied(struct dm_sync_mirror *m, u64 first, u64 last);
void dm_sync_clone_demand(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_demand_flush(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_touched(struct dm_sync_mirror *m, sector_t first, sector_t last);
void dm_sync_clone_covered(struct dm_sync_mirror *m, sector_t first, sector_t last);
void dm_sync_clone_demand_door(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_read_ready(struct dm_sync_mirror *m, struct bio *bio);
bool dm_sync_clone_park(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_unpark(struct dm_sync_mirror *m);
int dm_sync_clone_barrier(struct dm_sync_mirror *m);
int dm_sync_clone_commit(struct dm_sync_mirror *m, bool clears);
void dm_sync_clone_unflushed(struct dm_sync_mirror *m, bool source);
void dm_sync_clone_revert(struct dm_sync_mirror *m);
int dm_sync_clone_probe(struct dm_sync_mirror *m);
void dm_sync_clone_release(struct dm_sync_mirror *m, bool held, bool lost);
void dm_sync_clone_stop(struct dm_sync_mirror *m);
void dm_sync_clone_resume(struct dm_sync_mirror *m);
void dm_sync_clone_gone(struct dm_sync_mirror *m);

/* dm-sync-clone-owe.c */
u8 dm_sync_clone_claim(struct dm_sync_mirror *m, u64 first, u64 last);
void dm_sync_clone_arrived(struct dm_sync_mirror *m, u64 first, u64 last);
void dm_sync_clone_owe(struct dm_sync_mirror *m);
bool dm_sync_clone_owe_write(struct dm_sync_mirror *m, u64 first, u64 last);
bool dm_sync_clone_owes(struct dm_sync_mirror *m);
void dm_sync_clone_forfeit(struct dm_sync_mirror *m);
void dm_sync_clone_lose(struct dm_sync_mirror *m);
bool dm_sync_clone_tell(struct dm_sync_mirror *m, int *told, int since);
void dm_sync_clone_forgive(struct dm_sync_mirror *m);

/* dm-sync-clone-delta.c */
u64 dm_sync_clone_span(struct dm_sync_mirror *m, u64 first, u64 last);
bool dm_sync_clone_needs_save(struct dm_sync_mirror *m, u64 region);
u32 dm_sync_clone_save(struct dm_sync_mirror *m, struct bio_list *sources);
void dm_sync_clone_delta_init(struct dm_sync_mirror *m);
int dm_sync_clone_delta_settle(struct dm_sync_mirror *m);
void dm_sync_clone_delta_tidy(struct dm_sync_mirror *m);
void dm_sync_clone_delta_use(struct dm_sync_mirror *m);
int dm_sync_clone_delta_open(struct dm_sync_mirror *m, bool format, const char **why);
int dm_sync_clone_delta_format(struct dm_sync_mirror *m);
int dm_sync_clone_delta_load(struct dm_sync_mirror *m, bool *lost);
bool dm_sync_clone_delta_wanted(void *mirror, u64 region);

/* What a write of the replica door waits for in a round; see dm_sync_clone_door_claim(). */
enum dm_sync_clone_wait {
	DM_SYNC_CLONE_WAIT_MARK,	/* its copy, and then for its mark to be durable */
	DM_SYNC_CLONE_WAIT_COPY,	/* its copy */
	DM_SYNC_CLONE_WAIT_COMMIT,	/* a commit; then it begins anew */
};

/* dm-sync-replica.c */
enum dm_sync_clone_wait dm_sync_clone_door_claim(struct dm_sync_mirror *m, struct bio *bio);
enum dm_sync_clone_wait dm_sync_clone_door_waits(struct bio *bio);
void dm_sync_clone_door_write(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_door_range(struct bio *bio, sector_t *sector, sector_t *last, bool *write);
void dm_sync_clone_door_read(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_door_go(struct dm_sync_mirror *m, struct bio *bio, int error);
void dm_sync_clone_door_source(struct dm_sync_mirror *m, struct bio *bio);
void dm_sync_clone_door_abandon(struct dm_sync_mirror *m);
void dm_sync_clone_door_again(struct dm_sync_mirror *m, struct bio *bio);

#endif /* DM_SYNC_CLONE_H */
