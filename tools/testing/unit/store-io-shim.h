/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Enough of a kernel and of a store to run the host I/O of sources and images on the host,
 * one thread of control. test_store_io.c plays devices, committer and conductor.
 */
#ifndef STORE_IO_SHIM_H
#define STORE_IO_SHIM_H

#include <stdlib.h>

#define DM_SYNC_STORE_H		/* what is needed of it follows */

#include "range-shim.h"
#include "store-shim.h"

#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"

typedef unsigned int blk_opf_t, gfp_t;
typedef u8 blk_status_t;
typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;

#define spin_lock_irq(l)	pthread_mutex_lock(l)
#define spin_unlock_irq(l)	pthread_mutex_unlock(l)
#define atomic_inc(a)		((a)->counter++)
#define atomic_dec(a)		((a)->counter--)
#define atomic_read(a)		((a)->counter)
#define atomic_dec_and_test(a)	(!--(a)->counter)
#define atomic64_add(v, a)	((a)->counter += (v))
#define atomic64_inc(a)		((a)->counter++)
#define smp_mb__after_atomic()	((void)0)
#define rcu_read_lock()		((void)0)
#define rcu_read_unlock()	((void)0)
#define rcu_dereference(p)	(p)
#define __rcu
#define list_splice_init(from, to) \
	do { \
		while (!list_empty(from)) \
			list_move_tail((from)->next, to); \
	} while (0)
#define list_first_entry_or_null(head, type, member) \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))
#define struct_size(p, member, n) (sizeof(*(p)) + (n) * sizeof((p)->member[0]))
#define DECLARE_BITMAP(name, n)	unsigned long name[((n) + 63) / 64]
#define bitmap_zero(map, n)	memset(map, 0, ((n) + 63) / 64 * 8)
#define __set_bit(n, map)	((map)[(n) / 64] |= 1ul << (n) % 64)
#define test_bit(n, map)	((map)[(n) / 64] >> (n) % 64 & 1)
#define IS_ERR_OR_NULL(p)	(!(p))
#define static_assert(x)	_Static_assert(x, #x)

#define PAGE_SIZE		4096u
#define offset_in_page(n)	((n) % PAGE_SIZE)
#define GFP_NOWAIT		1
#define BIO_POOL_SIZE		2

struct page {
	u8 data[PAGE_SIZE];
};

#define page_address(p)		((void *)(p)->data)
struct page *alloc_page(gfp_t gfp);
#define __free_page(p)		free(p)
#define kmalloc(size, gfp)	malloc(size)
#define kmalloc_array(n, size, gfp) malloc((n) * (size))

/* Bios: either vectors, or one flat buffer that shrinks from its beginning. */
#define BLK_STS_OK		0
#define BLK_STS_IOERR		1
#define BLK_STS_NOSPC		2
#define BLK_STS_RESOURCE	3
#define BLK_STS_DM_REQUEUE	4

#define REQ_OP_READ		0u
#define REQ_OP_WRITE		1u
#define REQ_OP_DISCARD		3u
#define REQ_OP_WRITE_ZEROES	9u
#define REQ_OP_MASK		0xffu
#define REQ_PREFLUSH		0x100u
#define REQ_POLLED		0x200u

struct block_device {
	unsigned int bd_dev;
	u8 *data;
};

struct bio_vec {
	u8 *bv_addr;
	unsigned int bv_len;
};

struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
	bool end;
};

struct bio {
	blk_opf_t bi_opf;
	blk_status_t bi_status;
	struct bvec_iter bi_iter;
	struct block_device *bi_bdev;
	void *bi_private;
	void (*bi_end_io)(struct bio *bio);
	struct bio_vec *vecs;
	unsigned int nr_vecs;
	u8 *buf;
	struct bio *parent;
	int remaining;
	unsigned int begun, applied, slow;	/* the device's */
};

typedef void bio_end_io_t(struct bio *bio);
struct bio_list { struct bio *bio[256]; unsigned int nr; };
struct bio_set { int unused; };
struct blk_plug { int unused; };
struct workqueue_struct { int unused; };
struct work_struct { void (*fn)(struct work_struct *work); bool pending; };
struct dm_target { int unused; };

#define INIT_WORK(w, f)		((w)->fn = (f))
#define msleep(ms)		((void)(ms))
#define queue_work(wq, w)	((void)(wq), (w)->pending = true)
#define blk_start_plug(p)	((void)(p))
#define blk_finish_plug(p)	((void)(p))
#define bioset_init(bs, size, pad, flags) 0
#define bioset_exit(bs)		((void)0)
#define bio_uninit(b)		((void)0)
#define bio_list_init(l)	((l)->nr = 0)
#define bio_op(b)		((b)->bi_opf & REQ_OP_MASK)
#define op_is_write(op)		((op) & 1)
#define bio_sectors(b)		((b)->bi_iter.bi_size >> SECTOR_SHIFT)
#define bio_set_dev(b, dev)	((b)->bi_bdev = (dev))
#define dm_target_offset(ti, s)	((void)(ti), (s))
#define bio_for_each_segment(bv, b, iter) \
	for ((iter).end = false, (bv).bv_addr = (b)->buf, (bv).bv_len = (b)->bi_iter.bi_size; \
	     !(iter).end; (iter).end = true)
#define bvec_kmap_local(bv)	((void *)(bv)->bv_addr)
#define kunmap_local(p)		((void)(p))

static inline void bio_list_add(struct bio_list *l, struct bio *bio)
{
	if (l->nr == ARRAY_SIZE(l->bio))
		abort();
	l->bio[l->nr++] = bio;
}

static inline struct bio *bio_list_pop(struct bio_list *l)
{
	struct bio *bio = l->nr ? l->bio[0] : NULL;

	if (bio)
		memmove(l->bio, l->bio + 1, --l->nr * sizeof(bio));
	return bio;
}

static inline void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
			    unsigned int max, blk_opf_t opf)
{
	*bio = (struct bio) { .bi_opf = opf, .bi_bdev = bdev, .vecs = vecs, .remaining = 1 };
}

static inline void __bio_add_page(struct bio *bio, struct page *page, unsigned int len,
				  unsigned int in)
{
	bio->vecs[bio->nr_vecs++] = (struct bio_vec) { page->data + in, len };
	bio->bi_iter.bi_size += len;
}

/* What follows ends in test_store_io.c. */
#define DM_MAPIO_SUBMITTED	0
#define DM_MAPIO_REMAPPED	1
#define DM_MAPIO_KILL		2
#define DM_ENDIO_DONE		0

void submit_bio(struct bio *bio);
#define submit_bio_noacct	submit_bio
#define dm_submit_bio_remap(bio, clone) submit_bio(bio)
void bio_endio(struct bio *bio);
struct bio *bio_split(struct bio *bio, unsigned int sectors, gfp_t gfp, struct bio_set *bs);
void bio_chain(struct bio *bio, struct bio *parent);
void dm_accept_partial_bio(struct bio *bio, unsigned int sectors);
void *dm_per_bio_data(struct bio *bio, size_t size);
struct bio *dm_bio_from_per_bio_data(void *data, size_t size);

#include "dm-sync-jobs.h"
#include "dm-sync-view.h"

#define DM_SYNC_COW_SECTORS	2048u

enum { DM_SYNC_DOOR_ACCESS_NONE, DM_SYNC_DOOR_ACCESS_READ_ONLY, DM_SYNC_DOOR_ACCESS_READ_WRITE };

struct dm_sync_gate {
	bool closed;
	unsigned int inside;
	struct bio_list parked;
};

struct dm_sync_save {
	struct list_head list;
	u64 chunk;
	u32 nr;
	unsigned long *bad;
	struct dm_sync_image *own;
	bool yields;
	struct page **pages;
	void (*done)(struct dm_sync_save *save, int error);
	u32 saved;
};

struct dm_sync_image {
	struct { u8 door_access; bool gone; } pair;
	struct dm_sync_store *store;
	struct dm_sync_view_image *view;
	bool lost, written;
	atomic_t door_users, own_writes;
	int door_idle;
	bool door_hold;
	struct bio_list parked;
	struct dm_sync_ranges *ranges;
	atomic64_t source_errors, store_errors;
};

struct dm_sync_image_door {
	struct dm_sync_image *image;
	struct block_device *source, *store;
};

struct dm_sync_store {
	struct block_device *source;
	unsigned int source_dev;
	sector_t sectors;
	unsigned int chunk_shift;
	struct dm_sync_store_layout layout;
	struct dm_sync_view view;
	bool full, gone;
	struct workqueue_struct *io_wq;
	struct dm_sync_gate gate;
	struct dm_sync_ranges *ranges;
	struct dm_sync_jobs jobs;
	struct bio_set parts;
	spinlock_t io_lock;
	bool holding;
	struct bio_list held;
	spinlock_t save_lock;
	struct list_head waiters;
	atomic_t nr_waiting;
	bool hung;
	void *restore;			/* none goes on */
	atomic64_t read_bytes;
};

#define wake_up(q)		((void)(q))
#define rcu_access_pointer(p)	(p)

struct dm_sync_demand {
	u64 first, last;
	void (*done)(struct dm_sync_demand *demand, int error);
};

#define dm_sync_restore_needs(s, first, last)	false
#define dm_sync_restore_demand(s, demand)	false
#define dm_sync_restore_read(s, bio, counted)	DM_MAPIO_KILL
#define dm_sync_restore_read_end(image)		((void)(image))

bool dm_sync_gate_enter(struct dm_sync_gate *gate, struct bio *bio, u8 *gen);
void dm_sync_gate_leave(struct dm_sync_gate *gate, u8 gen);
bool dm_sync_images_hold(struct dm_sync_store *s, struct bio *bio);
int dm_sync_image_written(struct dm_sync_image *image);
bool dm_sync_patience_away(struct dm_sync_store *s, bool away);
void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save);
#define dm_sync_store_kick(s)	((void)(s))
blk_status_t errno_to_blk_status(int error);

/* Nobody looks. */
#define DM_SYNC_TRACE_H
#define trace_dm_sync_cow(door, bio, decision)	((void)0)
#define trace_dm_sync_image(pair, bio, place)	((void)0)

/* A read in parts, one of which the source cannot give, has the store asked in vain. */
#define dm_sync_store_suspect(s, write)	((void)(s), (void)(write))

/* Other CPUs go on at places where it matters. */
void others_go_on(void);
#define dm_sync_range_lock(t, r) (others_go_on(), dm_sync_range_lock(t, r))

#include "dm-sync-jobs.c"
#define chunk_bytes	cow_chunk_bytes
#define io_of		cow_io_of
#define bio_of		cow_bio_of
#define job_io		cow_job_io
#include "dm-sync-cow.c"
#undef DM_MSG_PREFIX
#undef chunk_bytes
#undef io_of
#undef bio_of
#undef job_io
#include "dm-sync-image-io.c"

#endif
