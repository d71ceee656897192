/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Enough of a kernel to run the metadata primitives on the host, one thread of
 * control, with a block device that can be cut at any write.
 *
 * A test includes this, then the .c files themselves; the headers that they
 * name resolve to empty ones (see the Makefile).
 *
 * The device applies a write when it is submitted. At the write number cut_at
 * the power goes: that write and those of the same batch that follow end torn
 * at sectors of the test's choice, all later ones never happen.
 */
#ifndef UNIT_KERNEL_H
#define UNIT_KERNEL_H

#include <stdio.h>
#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"

/* compiler */
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define smp_mb()		((void)0)
#define smp_rmb()		((void)0)
#define smp_wmb()		((void)0)
#define cond_resched()		((void)0)
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define __percpu
#define DIV_ROUND_UP_ULL(n, d)	DIV_ROUND_UP((unsigned long long)(n), d)
#define SZ_4K			4096
#define ATOMIC_INIT(n)		{ n }

static int warnings;
#define WARN_ON_ONCE(x) __extension__ ({ bool warn_ = (x); warnings += warn_; warn_; })
#define DMWARN(...)		((void)0)

static inline u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
	*rem = n % d;
	return n / d;
}

/* atomics: one thread */
typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter; } atomic64_t;

#define ATOMIC_OPS(prefix, type, inner) \
static inline inner prefix##_read(const type *a) { return a->counter; } \
static inline void prefix##_set(type *a, inner v) { a->counter = v; } \
static inline void prefix##_inc(type *a) { a->counter++; } \
static inline void prefix##_dec(type *a) { a->counter--; } \
static inline void prefix##_add(inner v, type *a) { a->counter += v; } \
static inline void prefix##_sub(inner v, type *a) { a->counter -= v; } \
static inline inner prefix##_inc_return(type *a) { return ++a->counter; } \
static inline inner prefix##_dec_return(type *a) { return --a->counter; } \
static inline bool prefix##_dec_and_test(type *a) { return !--a->counter; }
ATOMIC_OPS(atomic, atomic_t, int)
ATOMIC_OPS(atomic_long, atomic_long_t, long)
ATOMIC_OPS(atomic64, atomic64_t, s64)
#define atomic_read_acquire	atomic_read
#define atomic_set_release	atomic_set

static inline int atomic_fetch_and(int v, atomic_t *a)
{
	int old = a->counter;

	a->counter &= v;
	return old;
}

static inline int atomic_fetch_andnot(int v, atomic_t *a)
{
	return atomic_fetch_and(~v, a);
}

static inline int atomic_cmpxchg(atomic_t *a, int old, int new)
{
	int was = a->counter;

	if (was == old)
		a->counter = new;
	return was;
}

static inline bool atomic_try_cmpxchg(atomic_t *a, int *old, int new)
{
	int was = *old;

	*old = atomic_cmpxchg(a, was, new);
	return *old == was;
}

#define cmpxchg(p, old, new) __extension__ ({ \
	__typeof__(*(p)) was_ = *(p); \
	if (was_ == (old)) \
		*(p) = (new); \
	was_; })

#define try_cmpxchg(p, old, new) __extension__ ({ \
	bool same_ = *(p) == *(old); \
	if (same_) *(p) = (new); else *(old) = *(p); \
	same_; })

/* locks: that they are not taken twice */
typedef struct { int held; } spinlock_t;
#define spin_lock_init(l)	((l)->held = 0)
#define spin_lock_irq(l)	WARN_ON_ONCE((l)->held++)
#define spin_unlock_irq(l)	WARN_ON_ONCE(--(l)->held)
#define spin_lock_irqsave(l, f)	((void)((f) = 0), spin_lock_irq(l))
#define spin_unlock_irqrestore(l, f) ((void)(f), spin_unlock_irq(l))

struct completion { int unused; };
struct rb_node { int unused; };
struct work_struct { void (*fn)(struct work_struct *work); bool queued; };
struct kobject;
struct workqueue_struct;
struct page;

/* memory: buffers of a block are aligned as kmalloc() aligns them */
#define GFP_KERNEL		0
#define GFP_NOIO		0
#define GFP_ATOMIC		0
#define __GFP_NOWARN		0
#define __GFP_NORETRY		0
#define GFP_NOWAIT		1
static bool no_memory;			/* for who cannot wait */
static inline void *kzalloc(size_t size, int gfp)
{
	void *p;

	if (gfp & GFP_NOWAIT && no_memory)
		return NULL;
	p = aligned_alloc(4096, (size + 4095) & ~4095ul);
	memset(p, 0, (size + 4095) & ~4095ul);
	return p;
}
#define kmalloc			kzalloc
#define kcalloc(n, size, gfp)	kzalloc((size_t)(n) * (size), gfp)
#define kvcalloc		kcalloc
#define kfree(p)		free((void *)(p))
#define kvfree			kfree
#define alloc_percpu(type)	((type *)kzalloc(sizeof(type), 0))
#define free_percpu		kfree
#define this_cpu_inc(x)		((x)++)
#define per_cpu_ptr(p, cpu)	(p)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < 1; (cpu)++)

/* time */
#define HZ			100
static unsigned long jiffies;
#define time_after_eq(a, b)	((long)((a) - (b)) >= 0)
struct timer_list { void (*fn)(struct timer_list *t); unsigned long expires; bool armed; };
#define timer_setup(t, f, flags)	((t)->fn = (f))
static inline void mod_timer(struct timer_list *t, unsigned long when)
{
	t->expires = when;
	t->armed = true;
}
#define timer_shutdown_sync(t)	((t)->armed = false)
#define timer_pending(t)	((t)->armed)

/* lists */
struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name)		struct list_head name = { &name, &name }
#define INIT_LIST_HEAD(l)	((l)->next = (l)->prev = (l))
#define list_empty(l)		((l)->next == (l))
static inline void list_add_tail(struct list_head *n, struct list_head *head)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static inline void list_del_init(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	INIT_LIST_HEAD(n);
}

static inline void list_move_tail(struct list_head *n, struct list_head *head)
{
	list_del_init(n);
	list_add_tail(n, head);
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list->prev->next = head->next;
	head->next->prev = list->prev;
	list->next->prev = head;
	head->next = list->next;
	INIT_LIST_HEAD(list);
}
#define list_first_entry(head, type, member) container_of((head)->next, type, member)
#define list_for_each_entry(p, head, member) \
	for (p = list_first_entry(head, __typeof__(*p), member); &p->member != (head); \
	     p = list_first_entry(&p->member, __typeof__(*p), member))
#define list_for_each_entry_safe(p, n, head, member) \
	for (p = list_first_entry(head, __typeof__(*p), member), \
	     n = list_first_entry(&p->member, __typeof__(*p), member); &p->member != (head); \
	     p = n, n = list_first_entry(&n->member, __typeof__(*p), member))

static inline u32 find_bit(const void *map, u32 size, u32 from, int value)
{
	while (from < size && test_bit_le(from, map) != value)
		from++;
	return from;
}
#define find_next_bit_le(map, size, from)	find_bit(map, size, from, 1)
#define find_next_zero_bit_le(map, size, from)	find_bit(map, size, from, 0)

/* the block device; a test may have one of its own */
#ifdef KERNEL_DEVICE
#include KERNEL_DEVICE
#else
#define DISK_UNITS	64u
typedef u8 blk_status_t;
typedef u32 blk_opf_t;
#define BLK_STS_OK		0
#define BLK_STS_IOERR		10
#define blk_status_to_errno(s)	((s) ? -EIO : 0)
#define REQ_OP_READ		0u
#define REQ_OP_WRITE		1u
#define REQ_FUA			2u
#define REQ_SYNC		4u
#define REQ_META		8u
#define REQ_PRIO		16u
#define BIOSET_NEED_BVECS	0

enum fail_effect { FAIL_NOTHING, FAIL_ALL, FAIL_GARBAGE };

struct block_device {
	u8 data[DISK_UNITS * 4096];
	bool bad[DISK_UNITS];		/* units that cannot be read */
	unsigned int units;		/* size of the device */
	unsigned long reads, writes;	/* bios */
	unsigned long units_written;
	bool without_fua;		/* a write came without FUA */
	unsigned long fail_at;		/* this write fails, with this effect */
	enum fail_effect effect;
	unsigned long cut_at;		/* at this write the power goes */
	u8 cut_mask;			/* sectors of it that arrive */
	bool cut, batch_over;
};

struct bio_set { int unused; };
struct bvec_iter { sector_t bi_sector; };
struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	struct bvec_iter bi_iter;
	void *bi_private;
	void (*bi_end_io)(struct bio *bio);
	blk_status_t bi_status;
	unsigned int nr;
	void *buf[64];
};

static struct block_device *disk_in_use;

static inline int bioset_init(struct bio_set *bs, int pool, int pad, int flags)
{
	(void)bs, (void)pool, (void)pad, (void)flags;
	return 0;
}
#define bioset_exit(bs)		((void)(bs))
#define virt_to_page(p)		((struct page *)(p))
#define offset_in_page(p)	0
#define bdev_nr_bytes(b)	((u64)(b)->units * 4096)

static inline struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr,
					   blk_opf_t opf, int gfp, struct bio_set *bs)
{
	struct bio *bio = calloc(1, sizeof(*bio));

	(void)nr, (void)gfp, (void)bs;
	bio->bi_bdev = bdev;
	bio->bi_opf = opf;
	return bio;
}
#define bio_put(bio)		free(bio)

static inline void __bio_add_page(struct bio *bio, struct page *page, u32 len, u32 offset)
{
	(void)len, (void)offset;
	bio->buf[bio->nr++] = page;
}

static inline void disk_write_torn(struct block_device *d, u64 unit, const u8 *buf, u8 mask)
{
	for (int s = 0; s < 8; s++)
		if (mask >> s & 1)
			memcpy(d->data + unit * 4096 + s * 512, buf + s * 512, 512);
}

static inline blk_status_t disk_write(struct block_device *d, u64 unit, struct bio *bio)
{
	d->writes++;
	d->units_written += bio->nr;
	if (!(bio->bi_opf & REQ_FUA))
		d->without_fua = true;
	if (d->cut_at && d->writes == d->cut_at) {
		d->cut = true;
		d->batch_over = false;
	}
	for (unsigned int i = 0; i < bio->nr; i++) {
		if (d->cut && !d->batch_over)
			disk_write_torn(d, unit + i, bio->buf[i],
					d->writes == d->cut_at ? d->cut_mask : rand());
		else if (d->cut)
			continue;
		else if (d->fail_at && d->writes == d->fail_at && d->effect == FAIL_GARBAGE)
			disk_write_torn(d, unit + i, bio->buf[i], 0x5a);
		else if (!d->fail_at || d->writes != d->fail_at || d->effect == FAIL_ALL)
			disk_write_torn(d, unit + i, bio->buf[i], 0xff);
	}
	return d->cut || (d->fail_at && d->writes == d->fail_at) ? BLK_STS_IOERR : BLK_STS_OK;
}

static inline blk_status_t disk_io(struct bio *bio)
{
	struct block_device *d = bio->bi_bdev;
	u64 unit = bio->bi_iter.bi_sector / 8;
	blk_status_t status = BLK_STS_OK;

	if (unit + bio->nr > d->units)
		return BLK_STS_IOERR;
	if (bio->bi_opf & REQ_OP_WRITE)
		return disk_write(d, unit, bio);
	d->reads++;
	for (unsigned int i = 0; i < bio->nr; i++) {
		if (d->bad[unit + i])
			status = BLK_STS_IOERR;
		memcpy(bio->buf[i], d->data + (unit + i) * 4096, 4096);
	}
	return status;
}

static inline void submit_bio(struct bio *bio)
{
	disk_in_use = bio->bi_bdev;
	bio->bi_status = disk_io(bio);
	bio->bi_end_io(bio);
}

static inline int submit_bio_wait(struct bio *bio)
{
	blk_status_t status = disk_io(bio);

	if (bio->bi_bdev->cut)
		bio->bi_bdev->batch_over = true;
	return blk_status_to_errno(status);
}

/* A new batch begins: what was in flight together when the power went is over. */
static inline void init_completion(struct completion *c)
{
	(void)c;
	if (disk_in_use && disk_in_use->cut)
		disk_in_use->batch_over = true;
}
#define complete(c)			((void)(c))
#define wait_for_completion_io(c)	WARN_ON_ONCE(true)	/* all ends at once here */

static inline struct block_device *disk_create(unsigned int units)
{
	struct block_device *d = calloc(1, sizeof(*d));

	d->units = units;
	disk_in_use = d;
	return d;
}

static inline void disk_destroy(struct block_device *d)
{
	if (disk_in_use == d)
		disk_in_use = NULL;
	free(d);
}

/* What a machine finds when the power is back. */
static inline struct block_device *disk_after_cut(const struct block_device *d)
{
	struct block_device *n = disk_create(d->units);

	memcpy(n->data, d->data, sizeof(n->data));
	memcpy(n->bad, d->bad, sizeof(n->bad));
	return n;
}
#endif /* KERNEL_DEVICE */

#include "dm-sync.h"

#endif
