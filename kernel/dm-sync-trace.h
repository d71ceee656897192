/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: what the module decides and what it makes durable, in the order
 * in which it does so. The ordering rules can be checked on this trace together
 * with the block layer's.
 *
 *	dm_sync_map		a host bio, and where it goes
 *	dm_sync_mark		an extent that became hot
 *	dm_sync_commit		metadata blocks that are durable now
 *	dm_sync_copy_start, dm_sync_copy_end	a range copy
 *	dm_sync_pace		the pause before the next copy, and because of what
 *	dm_sync_state		a change of state
 *
 * Of stores, whose images are pairs each:
 *
 *	dm_sync_cow		a host write of the source, and what becomes of it
 *	dm_sync_save		chunks that are saved, or an own write, or that it failed
 *	dm_sync_batch		slots that are durable now, with the block that tells of them
 *	dm_sync_image		host I/O of an image, or a part of it, and where it goes
 *	dm_sync_give_up		an image that is lost; the record says so if error is 0
 *
 * "pair" is the pair's id as in netlink and sysfs, "door" the source door's number.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dm_sync

#if !defined(DM_SYNC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DM_SYNC_TRACE_H

#include <linux/tracepoint.h>

#include "dm-sync.h"
#include "dm-sync-pair.h"

/* decision of dm_sync_map */
#define DM_SYNC_TRACE_SOURCE	0	/* to the source only */
#define DM_SYNC_TRACE_BOTH	1	/* to both sides */
#define DM_SYNC_TRACE_HOLD	2	/* not yet: held, or its mark is not durable */
#define DM_SYNC_TRACE_RESTORE	3	/* first the region is restored, or the replica serves it */

/* kind of dm_sync_commit */
#define DM_SYNC_TRACE_ACTIVITY	0
#define DM_SYNC_TRACE_MAP	1
#define DM_SYNC_TRACE_SUPER	2

/*
 * Numbers, because programs that read a trace cannot resolve the names of an
 * enumeration; dm-sync-trace.c asserts that they are those of enum req_op and others.
 */
#define dm_sync_trace_op(op)				\
	__print_symbolic(op,				\
		{ 0, "read" },		{ 1, "write" },	\
		{ 2, "flush" },		{ 3, "discard" },	\
		{ 5, "secure-erase" },	{ 9, "write-zeroes" })

#define dm_sync_trace_decision(decision)		\
	__print_symbolic(decision,			\
		{ DM_SYNC_TRACE_SOURCE,	"source-only" },\
		{ DM_SYNC_TRACE_BOTH,	"both" },	\
		{ DM_SYNC_TRACE_HOLD,	"hold" },	\
		{ DM_SYNC_TRACE_RESTORE, "restore" })

/* decision of dm_sync_cow */
#define DM_SYNC_TRACE_PASS	0	/* to the source: nothing needs to be saved */
#define DM_SYNC_TRACE_SAVE	1	/* first that is saved */
#define DM_SYNC_TRACE_WAIT	2	/* an image that is Suspended holds it */
#define DM_SYNC_TRACE_DEMAND	3	/* first its chunks are restored */

/* place of dm_sync_image; 0 to 3 are enum dm_sync_found */
#define DM_SYNC_TRACE_FIRST	4	/* a first write: an own slot is to be made */

#define dm_sync_trace_cow(decision)			\
	__print_symbolic(decision,			\
		{ DM_SYNC_TRACE_PASS,	"pass" },	\
		{ DM_SYNC_TRACE_SAVE,	"save" },	\
		{ DM_SYNC_TRACE_WAIT,	"hold" },	\
		{ DM_SYNC_TRACE_DEMAND,	"restore" })

#define dm_sync_trace_place(place)			\
	__print_symbolic(place,				\
		{ 0, "source" },	{ 1, "slot" },	\
		{ 2, "own" },		{ 3, "bad" },	\
		{ DM_SYNC_TRACE_FIRST,	"first" })

#define dm_sync_trace_kind(kind)			\
	__print_symbolic(kind,				\
		{ DM_SYNC_TRACE_ACTIVITY, "activity" },	\
		{ DM_SYNC_TRACE_MAP,	"map" },	\
		{ DM_SYNC_TRACE_SUPER,	"super" })

/* Numbers of the class: the uapi header's enumerations, which never change. */
#define dm_sync_trace_copy_state(state)			\
	__print_symbolic(state,				\
		{ 2, "Initialized" }, { 3, "Unsynchronized" },	\
		{ 4, "Synchronized" }, { 5, "Broken" },	\
		{ 6, "Fractured" }, { 7, "Split" },	\
		{ 8, "Inactive" }, { 9, "Suspended" },	\
		{ 10, "Failedover" }, { 11, "Prepared" },	\
		{ 12, "Aborted" }, { 13, "Skewed" },	\
		{ 14, "Mixed" }, { 15, "Not Applicable" })

#define dm_sync_trace_progress(progress)		\
	__print_symbolic(progress,			\
		{ 0, "Unknown" }, { 2, "Completed" }, { 3, "Dormant" },	\
		{ 4, "Initializing" }, { 5, "Preparing" },	\
		{ 6, "Synchronizing" }, { 7, "Resyncing" },	\
		{ 8, "Restoring" }, { 9, "Fracturing" },	\
		{ 10, "Splitting" }, { 11, "Failing over" },	\
		{ 12, "Failing back" }, { 13, "Detaching" },	\
		{ 14, "Aborting" }, { 15, "Mixed" },	\
		{ 16, "Suspending" }, { 17, "Requires fracture" },	\
		{ 18, "Requires resync" }, { 19, "Requires activate" },	\
		{ 20, "Pending" })

#define dm_sync_trace_limited_by(limit)			\
	__print_symbolic(limit,				\
		{ 0, "nothing" }, { 1, "host" }, { 2, "cap" },	\
		{ 3, "source" }, { 4, "replica" })

#define dm_sync_trace_cause(cause)			\
	__print_symbolic(cause,				\
		{ 0, "created" }, { 1, "operation" }, { 2, "completed" },	\
		{ 3, "error" }, { 4, "recovery" }, { 5, "crash" },	\
		{ 6, "setting" }, { 7, "deleted" },	\
		{ 8, "host" }, { 9, "space" })

TRACE_EVENT(dm_sync_map,
	TP_PROTO(u32 pair, const struct bio *bio, unsigned int decision),
	TP_ARGS(pair, bio, decision),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u32, op)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(unsigned int, decision)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->op = (__force u32)bio_op(bio);
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(bio);
		__entry->decision = decision;
	),
	TP_printk("pair=%u op=%s sector=%llu sectors=%u decision=%s",
		  __entry->pair, dm_sync_trace_op(__entry->op),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  dm_sync_trace_decision(__entry->decision))
);

TRACE_EVENT(dm_sync_mark,
	TP_PROTO(u32 pair, u32 extent),
	TP_ARGS(pair, extent),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u32, extent)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->extent = extent;
	),
	TP_printk("pair=%u extent=%u", __entry->pair, __entry->extent)
);

TRACE_EVENT(dm_sync_commit,
	TP_PROTO(u32 pair, unsigned int kind, unsigned int blocks, int error),
	TP_ARGS(pair, kind, blocks, error),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(unsigned int, kind)
		__field(unsigned int, blocks)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->kind = kind;
		__entry->blocks = blocks;
		__entry->error = error;
	),
	TP_printk("pair=%u kind=%s blocks=%u error=%d", __entry->pair,
		  dm_sync_trace_kind(__entry->kind), __entry->blocks,
		  __entry->error)
);

TRACE_EVENT(dm_sync_copy_start,
	TP_PROTO(u32 pair, const struct dm_sync_copy *job, bool restore),
	TP_ARGS(pair, job, restore),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(bool, restore)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->restore = restore;
		__entry->sector = job->to_sector;
		__entry->sectors = job->sectors;
	),
	TP_printk("pair=%u to=%s sector=%llu sectors=%u", __entry->pair,
		  __entry->restore ? "source" : "replica",
		  (unsigned long long)__entry->sector, __entry->sectors)
);

TRACE_EVENT(dm_sync_copy_end,
	TP_PROTO(u32 pair, const struct dm_sync_copy *job, bool restore),
	TP_ARGS(pair, job, restore),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(bool, restore)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(unsigned int, read)
		__field(unsigned int, written)
		__field(int, read_error)
		__field(int, write_error)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->restore = restore;
		__entry->sector = job->to_sector;
		__entry->sectors = job->sectors;
		__entry->read = job->read_bytes;
		__entry->written = job->written_bytes;
		__entry->read_error = blk_status_to_errno(job->read_error);
		__entry->write_error = blk_status_to_errno(job->write_error);
	),
	TP_printk("pair=%u to=%s sector=%llu sectors=%u read=%u written=%u errors=%d,%d",
		  __entry->pair, __entry->restore ? "source" : "replica",
		  (unsigned long long)__entry->sector, __entry->sectors,
		  __entry->read, __entry->written, __entry->read_error,
		  __entry->write_error)
);

TRACE_EVENT(dm_sync_pace,
	TP_PROTO(u32 pair, u64 delay_ns, unsigned int limited_by),
	TP_ARGS(pair, delay_ns, limited_by),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u64, delay_ns)
		__field(unsigned int, limited_by)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->delay_ns = delay_ns;
		__entry->limited_by = limited_by;
	),
	TP_printk("pair=%u delay_ns=%llu limited_by=%s", __entry->pair,
		  __entry->delay_ns,
		  dm_sync_trace_limited_by(__entry->limited_by))
);

TRACE_EVENT(dm_sync_state,
	TP_PROTO(u32 pair, const struct dm_sync_event_record *event),
	TP_ARGS(pair, event),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u64, seq)
		__field(unsigned int, old_copy_state)
		__field(unsigned int, new_copy_state)
		__field(unsigned int, old_progress)
		__field(unsigned int, new_progress)
		__field(unsigned int, cause)
		__field(unsigned int, operation)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->seq = event->seq;
		__entry->old_copy_state = event->old_copy_state;
		__entry->new_copy_state = event->new_copy_state;
		__entry->old_progress = event->old_progress;
		__entry->new_progress = event->new_progress;
		__entry->cause = event->cause;
		__entry->operation = event->operation;
	),
	TP_printk("pair=%u seq=%llu state=%s->%s progress=%s->%s cause=%s operation=%u",
		  __entry->pair, __entry->seq,
		  dm_sync_trace_copy_state(__entry->old_copy_state),
		  dm_sync_trace_copy_state(__entry->new_copy_state),
		  dm_sync_trace_progress(__entry->old_progress),
		  dm_sync_trace_progress(__entry->new_progress),
		  dm_sync_trace_cause(__entry->cause), __entry->operation)
);

TRACE_EVENT(dm_sync_cow,
	TP_PROTO(dev_t door, const struct bio *bio, unsigned int decision),
	TP_ARGS(door, bio, decision),
	TP_STRUCT__entry(
		__field(dev_t, door)
		__field(u32, op)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(unsigned int, decision)
	),
	TP_fast_assign(
		__entry->door = door;
		__entry->op = (__force u32)bio_op(bio);
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(bio);
		__entry->decision = decision;
	),
	TP_printk("door=%u:%u op=%s sector=%llu sectors=%u decision=%s",
		  MAJOR(__entry->door), MINOR(__entry->door),
		  dm_sync_trace_op(__entry->op), (unsigned long long)__entry->sector,
		  __entry->sectors, dm_sync_trace_cow(__entry->decision))
);

TRACE_EVENT(dm_sync_save,
	TP_PROTO(dev_t door, u64 chunk, u32 nr, bool own, int error),
	TP_ARGS(door, chunk, nr, own, error),
	TP_STRUCT__entry(
		__field(dev_t, door)
		__field(u64, chunk)
		__field(u32, nr)
		__field(bool, own)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->door = door;
		__entry->chunk = chunk;
		__entry->nr = nr;
		__entry->own = own;
		__entry->error = error;
	),
	TP_printk("door=%u:%u chunk=%llu nr=%u of=%s error=%d",
		  MAJOR(__entry->door), MINOR(__entry->door), __entry->chunk,
		  __entry->nr, __entry->own ? "image" : "source", __entry->error)
);

TRACE_EVENT(dm_sync_batch,
	TP_PROTO(dev_t door, u64 number, u32 first, u32 nr, int error),
	TP_ARGS(door, number, first, nr, error),
	TP_STRUCT__entry(
		__field(dev_t, door)
		__field(u64, number)
		__field(u32, first)
		__field(u32, nr)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->door = door;
		__entry->number = number;
		__entry->first = first;
		__entry->nr = nr;
		__entry->error = error;
	),
	TP_printk("door=%u:%u batch=%llu slot=%u nr=%u error=%d",
		  MAJOR(__entry->door), MINOR(__entry->door), __entry->number,
		  __entry->first, __entry->nr, __entry->error)
);

TRACE_EVENT(dm_sync_image,
	TP_PROTO(u32 pair, const struct bio *bio, unsigned int place),
	TP_ARGS(pair, bio, place),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u32, op)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(unsigned int, place)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->op = (__force u32)bio_op(bio);
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->sectors = bio_sectors(bio);
		__entry->place = place;
	),
	TP_printk("pair=%u op=%s sector=%llu sectors=%u place=%s",
		  __entry->pair, dm_sync_trace_op(__entry->op),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  dm_sync_trace_place(__entry->place))
);

TRACE_EVENT(dm_sync_give_up,
	TP_PROTO(u32 pair, u32 reason, int error),
	TP_ARGS(pair, reason, error),
	TP_STRUCT__entry(
		__field(u32, pair)
		__field(u32, reason)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->pair = pair;
		__entry->reason = reason;
		__entry->error = error;
	),
	TP_printk("pair=%u reason=%u error=%d", __entry->pair, __entry->reason,
		  __entry->error)
);

#endif /* DM_SYNC_TRACE_H */

/* found by -I$(src), see Kbuild */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE dm-sync-trace
#include <trace/define_trace.h>
