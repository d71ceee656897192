/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A block device with a write cache, and more of a kernel than kernel.h has, for a store.
 *
 * Writes are in flight until somebody waits for something. What has ended is in the
 * device's cache, and on the medium when it carried FUA, when a flush followed, or at once
 * if the device has no cache. When the power goes, at a write of the test's choice, any
 * sectors of any write that is not on the medium arrive, and all that comes later fails.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#define PAGE_SIZE		4096ul
typedef u8 blk_status_t;
typedef u32 blk_opf_t;
typedef unsigned int gfp_t;
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
#define BIO_MAX_VECS		16u	/* fewer than there are, so that a batch takes several */

struct bio_set { int unused; };
struct bvec_iter { sector_t bi_sector; };
struct bio_vec { int unused; };
struct bio_list { struct bio *head, *tail; };
struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	struct bvec_iter bi_iter;
	void *bi_private;
	void (*bi_end_io)(struct bio *bio);
	blk_status_t bi_status;
	unsigned int nr, max;
	u8 *buf[64];
	struct bio *next;
};

/* One sector that is written, and not yet on the medium. */
struct loose {
	struct loose *next;
	u64 sector;
	u8 data[512];
};

struct block_device {
	u64 sectors;
	u8 *now, *medium;		/* what a read sees, what is safe */
	struct bio *flying, **flying_end;
	struct loose *cache, **cache_end;
	bool has_cache;
	unsigned long reads, writes, flushes;
	u64 sectors_written;
	unsigned long fail_at, fail_nr;	/* these writes fail, and leave anything */
	unsigned long cut_at;		/* at this write the power goes */
	bool off;
	bool mute;			/* it does not answer: all I/O fails, and does nothing */
	u32 (*rnd)(u32 n);
	void (*hang)(void);		/* called when somebody waits for it */
};

static inline void loose_write(struct block_device *d, const struct bio *bio, bool some)
{
	for (unsigned int i = 0; i < bio->nr * 8; i++) {
		u64 sector = bio->bi_iter.bi_sector + i;
		const u8 *from = bio->buf[i / 8] + i % 8 * 512;
		struct loose *l;

		if (some && d->rnd(2))
			continue;
		memcpy(d->now + sector * 512, from, 512);
		l = malloc(sizeof(*l));
		l->next = NULL;
		l->sector = sector;
		memcpy(l->data, from, 512);
		*d->cache_end = l;
		d->cache_end = &l->next;
	}
}

/* Everything, or with @some any part of it. */
static inline void disk_destage(struct block_device *d, bool some)
{
	unsigned int how = some ? d->rnd(4) : 0;
	struct loose *l;

	while ((l = d->cache)) {
		d->cache = l->next;
		if (!some || how == 1 || (how > 1 && d->rnd(2)))
			memcpy(d->medium + l->sector * 512, l->data, 512);
		free(l);
	}
	d->cache_end = &d->cache;
}

/* What the cache has of these sectors is overtaken. */
static inline void fua_write(struct block_device *d, const struct bio *bio)
{
	u64 first = bio->bi_iter.bi_sector, end = first + bio->nr * 8;
	struct loose **p = &d->cache, *l;

	while ((l = *p)) {
		if (l->sector < first || l->sector >= end) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		free(l);
	}
	d->cache_end = p;
	for (unsigned int i = 0; i < bio->nr; i++) {
		memcpy(d->now + first * 512 + i * 4096, bio->buf[i], 4096);
		memcpy(d->medium + first * 512 + i * 4096, bio->buf[i], 4096);
	}
}

static inline void disk_power_off(struct block_device *d)
{
	struct bio *bio;

	for (bio = d->flying; bio; bio = bio->next)
		loose_write(d, bio, d->rnd(3) > 0);
	disk_destage(d, true);
	d->off = true;
}

static inline void disk_end(struct block_device *d, struct bio *bio)
{
	bool fails = bio->bi_status;

	if (d->mute) {
		bio->bi_status = BLK_STS_IOERR;
	} else if (!d->off) {
		if (!fails && (bio->bi_opf & REQ_FUA))
			fua_write(d, bio);
		else
			loose_write(d, bio, fails);
		if (!d->has_cache)
			disk_destage(d, false);
	} else {
		bio->bi_status = BLK_STS_IOERR;
	}
	bio->bi_end_io(bio);
}

/* All that is in flight ends, in any order. */
static inline void disk_settle(struct block_device *d)
{
	struct bio *bio;

	if (d->flying && d->hang)
		d->hang();
	while ((bio = d->flying)) {
		if (bio->next && d->rnd(2)) {
			d->flying = bio->next;
			bio->next = d->flying->next;
			d->flying->next = bio;
			bio = d->flying;
		}
		d->flying = bio->next;
		disk_end(d, bio);
	}
	d->flying_end = &d->flying;
}

static struct block_device *disk_in_use;

static inline void submit_bio(struct bio *bio)
{
	struct block_device *d = bio->bi_bdev;

	d->writes++;
	d->sectors_written += bio->nr * 8;
	if (d->writes >= d->fail_at && d->writes < d->fail_at + d->fail_nr)
		bio->bi_status = BLK_STS_IOERR;
	bio->next = NULL;
	*d->flying_end = bio;
	d->flying_end = &bio->next;
	if (d->cut_at && d->writes == d->cut_at && !d->off)
		disk_power_off(d);
}

static inline void bio_ended(struct bio *bio)
{
	(void)bio;
}

static inline int submit_bio_wait(struct bio *bio)
{
	struct block_device *d = bio->bi_bdev;

	disk_settle(d);
	if (bio->bi_opf & REQ_OP_WRITE) {
		bio->bi_end_io = bio_ended;
		submit_bio(bio);
		disk_settle(d);
		return blk_status_to_errno(bio->bi_status);
	}
	d->reads++;
	if (d->off || d->mute || bio->bi_iter.bi_sector + bio->nr * 8 > d->sectors)
		return -EIO;
	for (unsigned int i = 0; i < bio->nr; i++)
		memcpy(bio->buf[i], d->now + bio->bi_iter.bi_sector * 512 + i * 4096, 4096);
	return 0;
}

static inline int blkdev_issue_flush(struct block_device *d)
{
	disk_settle(d);
	d->flushes++;
	if (d->off || d->mute)
		return -EIO;
	disk_destage(d, false);
	return 0;
}

#define bioset_init(bs, pool, pad, flags) ((void)(bs), 0)
#define bioset_exit(bs)		((void)(bs))
#define virt_to_page(p)		((struct page *)(p))
#define page_address(page)	((void *)(page))
#define offset_in_page(p)	((unsigned long)(p) & (PAGE_SIZE - 1))
#define bdev_nr_bytes(b)	((b)->sectors * 512)
#define bdev_nr_sectors(b)	((b)->sectors)

static inline struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr,
					   blk_opf_t opf, int gfp, struct bio_set *bs)
{
	struct bio *bio = calloc(1, sizeof(*bio));

	(void)gfp, (void)bs;
	bio->bi_bdev = bdev;
	bio->bi_opf = opf;
	bio->max = nr;
	return bio;
}
#define bio_put(bio)		free(bio)

static inline unsigned int bio_add_page(struct bio *bio, struct page *page, u32 len, u32 offset)
{
	if (bio->nr == bio->max || len != PAGE_SIZE || offset)
		return 0;
	bio->buf[bio->nr++] = (u8 *)page;
	return len;
}
#define __bio_add_page(bio, page, len, offset)	((void)bio_add_page(bio, page, len, offset))

#define init_completion(c)	((void)(c))
#define complete(c)		((void)(c))
#define wait_for_completion_io(c) disk_settle(disk_in_use)

static inline struct block_device *disk_create(u64 sectors, u32 (*rnd)(u32 n))
{
	struct block_device *d = calloc(1, sizeof(*d));

	d->sectors = sectors;
	d->now = calloc(sectors, 512);
	d->medium = calloc(sectors, 512);
	d->flying_end = &d->flying;
	d->cache_end = &d->cache;
	d->rnd = rnd;
	disk_in_use = d;
	return d;
}

static inline void disk_destroy(struct block_device *d)
{
	disk_destage(d, false);
	free(d->now);
	free(d->medium);
	free(d);
}

/* The power is back: what is there is what is on the medium. */
static inline void disk_power_on(struct block_device *d)
{
	disk_destage(d, false);
	memcpy(d->now, d->medium, d->sectors * 512);
	d->off = false;
	d->cut_at = 0;
}

/* The rest of the kernel that a store names. */
struct mutex { int held; };
#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_init(m)		((m)->held = 0)
#define mutex_lock(m)		WARN_ON_ONCE((m)->held++)
#define mutex_unlock(m)		WARN_ON_ONCE(--(m)->held)

struct delayed_work {
	struct work_struct work;
	void (*fn)(struct work_struct *work);
	bool armed;
};
#define INIT_WORK(w, f)		((w)->fn = (f))
#define INIT_DELAYED_WORK(w, f)	((w)->fn = (f))
#define to_delayed_work(w)	container_of(w, struct delayed_work, work)
#define queue_work(wq, w)	((w)->queued = true)
#define cancel_work_sync(w)	((w)->queued = false)
#define flush_work(w)		((void)(w))
#define queue_delayed_work(wq, w, t) ((void)(t), (w)->armed = true)
#define mod_delayed_work	queue_delayed_work
#define cancel_delayed_work(w)	((w)->armed = false)
#define cancel_delayed_work_sync cancel_delayed_work
#define msleep(ms)		((void)(ms))

#define __rcu
#define rcu_access_pointer(p)	(p)
#define rcu_assign_pointer(p, v) ((p) = (v))
#define RCU_INIT_POINTER(p, v)	((p) = (v))
#define rcu_dereference_protected(p, c) ((void)(c), (p))
#define lockdep_is_held(m)	(!WARN_ON_ONCE((m)->held != 1))
struct rcu_head { int unused; };
struct kref { int unused; };
struct percpu_ref { int unused; };
typedef struct { int unused; } wait_queue_head_t;

#define BITS_PER_LONG		64
#define DECLARE_BITMAP(name, bits) unsigned long name[DIV_ROUND_UP(bits, BITS_PER_LONG)]
#define test_bit(nr, map)	((map)[(nr) / 64] >> ((nr) % 64) & 1)
#define set_bit(nr, word)	(*(word) |= 1ul << (nr))
#define clear_bit(nr, word)	(*(word) &= ~(1ul << (nr)))
#define test_and_clear_bit(nr, word) \
	(*(word) >> (nr) & 1 ? (clear_bit(nr, word), true) : false)
#define time_before(a, b)	((long)((a) - (b)) < 0)
#define __set_bit(nr, map)	((map)[(nr) / 64] |= 1ul << ((nr) % 64))
#define for_each_set_bit(i, map, size) \
	for ((i) = 0; (i) < (size); (i)++) \
		if (test_bit(i, map))
#define list_entry		container_of
#define list_del		list_del_init
#define U16_MAX			UINT16_MAX
#define ilog2(n)		(31 - __builtin_clz(n))
#define ktime_get_real_ns()	1ull
#define ktime_get_ns()		1ull

/* Nobody looks. */
#define DM_SYNC_TRACE_H
#define trace_dm_sync_save(door, chunk, nr, own, error)	((void)0)
#define trace_dm_sync_batch(door, number, first, nr, error)	((void)0)

#define NSEC_PER_MSEC		1000000u
#define get_random_u64()	0x123456789abcdefull
#define generate_random_uuid(u)	memset(u, 0x5c, 16)
#define DMERR(...)		((void)0)
#define DMINFO(...)		((void)0)
#define __GFP_ZERO		0

#endif /* STORE_DISK_H */
