/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Enough of a kernel and of a store to run a restore on the host, one thread of control.
 * test_restore.c plays devices, map, committer, conductor and hosts.
 *
 * Whoever else there is goes on in others_go_on(), which is called wherever a device is
 * waited for. Locks only tell who holds them.
 */
#ifndef RESTORE_SHIM_H
#define RESTORE_SHIM_H

#include <limits.h>

#include "range-shim.h"
#include "store-shim.h"

#define DM_SYNC_STORE_H		/* what is needed of these follows */
#define DM_SYNC_COMMIT_STORE_H
#define DM_SYNC_IMAGE_H
#define DM_SYNC_FREEZE_H

#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"

void others_go_on(void);

typedef unsigned int blk_opf_t, gfp_t;
typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
struct mutex { bool held; };
struct completion { bool done; };
struct work_struct { void (*fn)(struct work_struct *work); };
struct delayed_work { struct work_struct work; bool pending, running; };
struct workqueue_struct { int unused; };

#define __rcu
#define DMERR(...)			((void)0)
#define DMERR_LIMIT(...)		((void)0)
#define DMWARN(...)			((void)0)
#define DMINFO(...)			((void)0)
#define lockdep_is_held(l)		((l)->held)
#define rcu_read_lock()			((void)0)
#define rcu_read_unlock()		((void)0)
#define synchronize_rcu()		((void)0)
#define rcu_dereference(p)		(p)
#define rcu_access_pointer(p)		(p)
#define rcu_dereference_protected(p, c)	((void)WARN_ON_ONCE(!(c)), (p))
#define rcu_assign_pointer(p, v)	((p) = (v))
#define RCU_INIT_POINTER(p, v)		((p) = (v))
#define spin_lock_irq(l)		((void)WARN_ON_ONCE(pthread_mutex_trylock(l)))
#define spin_unlock_irq(l)		pthread_mutex_unlock(l)
#define spin_lock			spin_lock_irq
#define spin_unlock			spin_unlock_irq
#define mutex_init(m)			((m)->held = false)
#define mutex_lock(m)			((void)WARN_ON_ONCE((m)->held), (m)->held = true)
#define mutex_unlock(m)			((m)->held = false)
#define init_completion(c)		((c)->done = false)
#define complete(c)			((c)->done = true)
#define wait_for_completion(c)		((void)WARN_ON_ONCE(!(c)->done))
#define atomic_inc(a)			((a)->counter++)
#define atomic_dec_and_test(a)		(!--(a)->counter)
#define atomic64_add(v, a)		((a)->counter += (v))
#define wake_up(q)			((void)(q))
#define list_splice_init(from, to) \
	do { \
		while (!list_empty(from)) \
			list_move_tail((from)->next, to); \
	} while (0)
#define list_for_each_entry(pos, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define DECLARE_BITMAP(name, n)		unsigned long name[((n) + 63) / 64]
#define bitmap_zero(map, n)		memset(map, 0, ((n) + 63) / 64 * 8)
#define __set_bit(n, map)		((map)[(n) / 64] |= 1ul << (n) % 64)

/* The time passes when somebody looks. */
static u64 shim_now = 1000 * (u64)NSEC_PER_SEC;

#define HZ				1000
#define jiffies				((unsigned long)(shim_now / 1000000))
#define jiffies_to_nsecs(j)		((u64)(j) * 1000000)
#define nsecs_to_jiffies(n)		((n) / 1000000)
static inline u64 ktime_get_ns(void)
{
	return shim_now += 1000;
}

#define dm_sync_now()			ktime_get_ns()
#define msleep(ms)			(shim_now += (u64)(ms) * 1000000, others_go_on())

#define INIT_DELAYED_WORK(w, f)		((w)->work.fn = (f))
#define to_delayed_work(w)		container_of(w, struct delayed_work, work)
#define queue_delayed_work(wq, w, d)	((void)(wq), (void)(d), (w)->pending = true)
#define mod_delayed_work		queue_delayed_work
#define cancel_delayed_work_sync(w)	((w)->pending = false)
#define flush_delayed_work(w)		((void)(w))
#define work_busy(w)			(to_delayed_work(w)->pending || to_delayed_work(w)->running)

/* Bios and memory */
#define PAGE_SIZE			4096u
#define offset_in_page(n)		((n) % PAGE_SIZE)
#define page_address(p)			((void *)(p)->data)
#define alloc_page(gfp)			((struct page *)calloc(1, sizeof(struct page)))
#define __free_page(p)			free(p)
#define REQ_OP_READ			0u
#define REQ_OP_WRITE			1u
#define DM_MAPIO_REMAPPED		1
#define DM_MAPIO_KILL			4
#define bio_sectors(b)			((b)->bi_iter.bi_size >> SECTOR_SHIFT)
#define bio_set_dev(b, dev)		((b)->bi_bdev = (dev))
#define bio_uninit(b)			((void)(b))
#define dm_accept_partial_bio(b, n)	((b)->bi_iter.bi_size = (n) << SECTOR_SHIFT)

struct page { u8 data[PAGE_SIZE]; };
struct block_device { void *bd_holder; };
struct bio_vec { struct page *page; unsigned int len; };
struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	struct { sector_t bi_sector; unsigned int bi_size; } bi_iter;
	struct bio_vec *vecs;
	unsigned int nr;
};
struct bio_list { int unused; };
struct gendisk { struct block_device *part0; };

static inline void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
			    unsigned int max, blk_opf_t opf)
{
	*bio = (struct bio) { .bi_bdev = bdev, .bi_opf = opf, .vecs = vecs };
}

static inline void __bio_add_page(struct bio *bio, struct page *page, unsigned int len,
				  unsigned int in)
{
	if (WARN_ON_ONCE(in))
		return;			/* chunks are pages here */
	bio->vecs[bio->nr++] = (struct bio_vec) { page, len };
	bio->bi_iter.bi_size += len;
}

int submit_bio_wait(struct bio *bio);
int blkdev_issue_flush(struct block_device *bdev);
struct gendisk *dm_disk(void *md);
#define invalidate_bdev(b)		((void)(b))
#define IS_ERR(p)			((void)(p), false)
#define PTR_ERR(p)			0

/* What restore needs of the rest of dm-sync */
#define DM_SYNC_COW_SECTORS		2048u
#define DM_SYNC_MIN_CHUNK		8u
#define DM_SYNC_MAX_IMAGES		4u
#define DM_SYNC_STORE_CLEAN		1u
#define DM_SYNC_IMAGE_DRAIN		1
#define DM_SYNC_BLOCK_RESTORE_MAP	8
#define DM_SYNC_RESTORE_BLOCK		13u

enum dm_sync_event { DM_SYNC_EV_SOURCE_COPY_ERROR, DM_SYNC_EV_COPY_DONE };
enum { DM_SYNC_PROGRESS_STATUS_COMPLETED = 2, DM_SYNC_PROGRESS_STATUS_RESTORING = 8 };
enum { DM_SYNC_REASON_NONE, DM_SYNC_REASON_RESTORE_INCOMPLETE };
enum { DM_SYNC_EVENT_CAUSE_ERROR, DM_SYNC_EVENT_CAUSE_COMPLETED };
enum { DM_SYNC_OPERATION_RESTORE = 15 };
enum { DM_SYNC_ON_FULL_DROP };
enum dm_sync_found {
	DM_SYNC_FOUND_SOURCE,
	DM_SYNC_FOUND_SLOT,
	DM_SYNC_FOUND_OWN,
	DM_SYNC_FOUND_BAD,
};

struct dm_sync_step { u32 copy_state, progress, requested; };
struct dm_sync_facts { bool restore_incomplete, was_synced, writes_merged; };
struct dm_sync_state { u32 copy_state, progress, requested; };
struct dm_sync_view_image { u32 generation; struct { u32 nr; } own; };
struct dm_sync_store_layout { u64 nr_chunks; u32 nr_slots; };
struct dm_sync_config { u8 priority; };
struct dm_sync_freeze { int unused; };

struct dm_sync_info {
	u64 total, done, rate, copy_started;
	u32 limited_by;
};

#include "dm-sync-restore.h"

struct dm_sync_pair {
	spinlock_t lock;
	const char *name;
	struct dm_sync_state state;
	struct dm_sync_facts facts;
	u64 sync_time, reason_time;
	u32 reason;
};

struct dm_sync_image {
	struct dm_sync_pair pair;
	struct dm_sync_store *store;
	unsigned int nr;
	const char *name;
	struct dm_sync_view_image *view;
	bool lost, written;
	u64 point;
	atomic_t own_writes;
	int door_idle;
};

struct dm_sync_image_change {
	bool force;
	struct dm_sync_step from, during;
	const char *why;
};

struct dm_sync_save {
	u64 chunk;
	u32 nr;
	unsigned long *bad;
	struct page **pages;
	void (*done)(struct dm_sync_save *save, int error);
};

struct dm_sync_store {
	struct mutex commit_lock;
	const char *name;
	void *md;
	struct block_device *source, *bdev;
	struct dm_sync_config *config;
	bool live, holding;
	sector_t sectors;
	unsigned int chunk_shift;
	struct dm_sync_store_layout layout;
	int meta;
	bool gate;
	struct { u32 flags, restoring; u64 epoch; } super;
	struct { u32 used; } slots;
	struct dm_sync_view_image view;
	struct dm_sync_image *image[DM_SYNC_MAX_IMAGES];
	int failed;
	struct dm_sync_restore *restore, *restore_memory;
	struct dm_sync_map *restore_marks;
	struct workqueue_struct *restore_wq;
	void *ranges;
	u64 rate;
	u8 on_full;
	atomic64_t read_bytes;
};

/* What follows ends in test_restore.c. */
struct dm_sync_map *dm_sync_map_create(void *meta, u16 type, u32 first, u64 epoch, u64 nr);
void dm_sync_map_destroy(struct dm_sync_map *map);
int dm_sync_map_format(struct dm_sync_map *map, bool full);
int dm_sync_map_load(struct dm_sync_map *map, bool clean, u64 *lost);
bool dm_sync_map_test(struct dm_sync_map *map, u64 chunk);
bool dm_sync_map_set(struct dm_sync_map *map, u64 chunk);
void dm_sync_map_set_range(struct dm_sync_map *map, u64 first, u64 last);
void dm_sync_map_clear(struct dm_sync_map *map, u64 chunk);
u64 dm_sync_map_next_before(struct dm_sync_map *map, u64 from, u64 limit);
u64 dm_sync_map_next(struct dm_sync_map *map, u64 from);
u64 dm_sync_map_count(struct dm_sync_map *map);
int dm_sync_map_commit(struct dm_sync_map *map, bool clears, int (*flush)(void *context),
		       void *context);
bool dm_sync_view_protected(const struct dm_sync_view_image *view, u64 chunk);
enum dm_sync_found dm_sync_view_find(const struct dm_sync_view_image *view, u64 chunk,
				     u32 *slot);
sector_t dm_sync_store_slot_sector(const struct dm_sync_store_layout *l, u32 slot);
void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save);
int dm_sync_store_write_record(struct dm_sync_store *s, struct dm_sync_image *image,
			       const struct dm_sync_step *step);
int dm_sync_store_write_super(struct dm_sync_store *s);
void dm_sync_store_failed(struct dm_sync_store *s, int error);
void dm_sync_space_fail(struct dm_sync_store *s, int error);
void dm_sync_image_restore_over(struct dm_sync_image *image);
void dm_sync_cow_restart(struct dm_sync_store *s, struct bio_list *bios);

#define dm_sync_range_lock(t, r)	((void)(t), others_go_on(), (r)->start <= (r)->last)
#define dm_sync_range_unlock(t, r)	((void)(t), (void)(r))
#define dm_sync_gate_close(g, t)	(*(g) = true, 0)
#define dm_sync_gate_open(g, parked)	((void)(parked), *(g) = false)
#define dm_sync_image_freeze(s, f, why)	NULL
#define dm_sync_thaw(f)			((void)(f))
#define dm_sync_image_facts(i, f)	((void)(f))
#define dm_sync_publish(p, to, cause, op, why) ((void)(to), (p)->reason_time = 0)

static inline bool dm_sync_event_step(const struct dm_sync_state *state,
				      const struct dm_sync_facts *f, enum dm_sync_event ev, bool a,
				      bool b, struct dm_sync_step *to)
{
	*to = (struct dm_sync_step) { .progress = DM_SYNC_PROGRESS_STATUS_COMPLETED };
	return true;
}

#include "dm-sync-restore.c"
#undef DM_MSG_PREFIX
#include "dm-sync-restore-life.c"

#endif
