// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host I/O of a snapshot's source and of its images, in random histories.
 *
 * Here are the devices, which carry out bios sector by sector in any order and at any time; the
 * committer, whose batches end some time after they began, and who gives images up when the
 * store is full; the conductor, who takes points in time, deletes images and resets them, and
 * holds writes; and hosts. What each image must show is known: the source at its point in time,
 * with what was written to it since. In the end everything must have come to rest.
 */
#include "store-io-shim.h"
#include "unit.h"

#define CHUNK		16u				/* sectors */
#define SECTORS		(2 * DM_SYNC_COW_SECTORS + 100u)	/* a short chunk at the end */
#define CHUNKS		DIV_ROUND_UP(SECTORS, CHUNK)
#define SLOTS		400u
#define IMAGES		4u
#define HOSTS		48u
#define LONGEST		700u
#define BAD_FIRST	1000u			/* sectors that cannot be read */
#define BAD_LAST	1003u

int shim_fail_in;

/* A sector's content is a number. */
typedef u64 stamp_t;

struct host_io {
	struct bio bio;
	u64 per_io[96];
	u8 *buf;
	bool busy;
	struct shown *image;		/* NULL: the source */
	sector_t start;
	unsigned int sectors;
	stamp_t stamp;
	u64 began;
};

struct shown {
	struct dm_sync_image image;
	struct dm_sync_image_door door;
	bool there, deleting, resetting;
	stamp_t stamp[SECTORS], point[SECTORS];
	u64 touched[SECTORS];		/* when a write of it was under way last */
	u16 writing[SECTORS];
	bool unknown[SECTORS];
};

static struct dm_sync_store store;
static struct block_device source_dev = { .bd_dev = 1 }, store_dev = { .bd_dev = 2 };
static struct workqueue_struct wq;
static struct dm_target ti;
static struct host_io hosts[HOSTS];
static struct shown shown[IMAGES];
static stamp_t expected[SECTORS];
static bool source_busy[SECTORS];
static struct bio *flight[1024];
static unsigned int nr_flight;
static LIST_HEAD(saves);
static u32 free_slots[SLOTS], nr_free, next_generation, next_own;
static u64 now;
static stamp_t next_stamp;
static bool no_memory, deny, away;
static unsigned int reads_checked, requeued, splits, given_up, bad_saved, own_saves, yielded;
static unsigned int read_beyond_end;
static unsigned long long seed;

static u32 rnd(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

/*----------------------------------------------------------------
 * Memory and bios
 *--------------------------------------------------------------*/

struct page *alloc_page(gfp_t gfp)
{
	struct page *page;

	if (gfp != GFP_KERNEL && (no_memory || !rnd(60)))
		return NULL;
	page = malloc(sizeof(*page));
	memset(page, 0xa5, sizeof(*page));
	return page;
}

void *dm_per_bio_data(struct bio *bio, size_t size)
{
	if (size > sizeof(hosts[0].per_io))
		abort();
	return container_of(bio, struct host_io, bio)->per_io;
}

struct bio *dm_bio_from_per_bio_data(void *data, size_t size)
{
	(void)size;
	return &container_of(data, struct host_io, per_io)->bio;
}

void dm_accept_partial_bio(struct bio *bio, unsigned int sectors)
{
	struct host_io *h = container_of(bio, struct host_io, bio);

	expect(sectors && sectors <= h->sectors, "accept %u of %u", sectors, h->sectors);
	h->sectors = sectors;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
}

struct bio *bio_split(struct bio *bio, unsigned int sectors, gfp_t gfp, struct bio_set *bs)
{
	struct bio *part = malloc(sizeof(*part));

	expect(sectors && sectors < bio_sectors(bio), "split %u", sectors);
	*part = *bio;
	part->parent = NULL;
	part->remaining = 1;
	part->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	bio->bi_iter.bi_size -= sectors << SECTOR_SHIFT;
	bio->bi_iter.bi_sector += sectors;
	if (bio->buf)
		bio->buf += sectors << SECTOR_SHIFT;
	splits++;
	return part;
}

void bio_chain(struct bio *bio, struct bio *parent)
{
	bio->parent = parent;
	parent->remaining++;
}

void submit_bio(struct bio *bio)
{
	if (nr_flight == ARRAY_SIZE(flight))
		abort();
	bio->begun = rnd(1000);
	bio->applied = 0;
	bio->slow = rnd(6) ? 0 : rnd(200);
	flight[nr_flight++] = bio;
}

blk_status_t errno_to_blk_status(int error)
{
	return !error ? BLK_STS_OK : error == -ENOSPC ? BLK_STS_NOSPC : BLK_STS_IOERR;
}

/*----------------------------------------------------------------
 * Devices
 *--------------------------------------------------------------*/

static u8 *bio_at(struct bio *bio, unsigned int offset)
{
	unsigned int i;

	if (bio->buf)
		return bio->buf + offset;
	for (i = 0; offset >= bio->vecs[i].bv_len; i++)
		offset -= bio->vecs[i].bv_len;
	return bio->vecs[i].bv_addr + offset;
}

static void apply_sector(struct bio *bio, unsigned int i)
{
	sector_t sector = bio->bi_iter.bi_sector + i;
	u8 *disk = bio->bi_bdev->data + (sector << SECTOR_SHIFT);

	if (bio_op(bio) == REQ_OP_WRITE)
		memcpy(disk, bio_at(bio, i << SECTOR_SHIFT), SECTOR_SIZE);
	else if (op_is_write(bio_op(bio)))
		memset(disk, 0, SECTOR_SIZE);
	else if (bio->bi_bdev == &source_dev && sector >= BAD_FIRST && sector <= BAD_LAST)
		bio->bi_status = BLK_STS_IOERR;
	else
		memcpy(bio_at(bio, i << SECTOR_SHIFT), disk, SECTOR_SIZE);
}

/* Some more sectors of some bio; the last one ends it. */
static bool device_step(void)
{
	unsigned int at = nr_flight ? rnd(nr_flight) : 0, n, i;
	struct bio *bio = flight[at];

	if (!nr_flight)
		return false;
	if (bio->slow) {
		bio->slow--;
		return true;
	}
	n = bio_sectors(bio);
	for (i = rnd(2 * n + 2); i && bio->applied < n; i--, bio->applied++)
		apply_sector(bio, (bio->begun + bio->applied) % n);
	if (bio->applied < n)
		return true;
	flight[at] = flight[--nr_flight];
	bio_endio(bio);
	return true;
}

/*----------------------------------------------------------------
 * Hosts
 *--------------------------------------------------------------*/

static stamp_t stamp_at(const u8 *data, unsigned int i)
{
	stamp_t stamp, end;

	memcpy(&stamp, data + (i << SECTOR_SHIFT), sizeof(stamp));
	memcpy(&end, data + (i << SECTOR_SHIFT) + SECTOR_SIZE - sizeof(end), sizeof(end));
	return stamp == end ? stamp : ~0ull;
}

static bool meets_bad_chunk(const struct host_io *h)
{
	return h->start / CHUNK <= BAD_LAST / CHUNK &&
	       (h->start + h->sectors - 1) / CHUNK >= BAD_FIRST / CHUNK;
}

static void image_read_over(struct host_io *h)
{
	struct shown *x = h->image;
	unsigned int i;

	if (h->bio.bi_status) {
		expect(x->image.lost || x->image.pair.gone || store.gone || meets_bad_chunk(h),
		       "seed %llu: a read of %llu fails", seed, h->start);
		return;
	}
	for (i = 0; i < h->sectors; i++) {
		sector_t s = h->start + i;

		if (x->writing[s] || x->touched[s] >= h->began || x->unknown[s])
			continue;
		reads_checked++;
		expect(stamp_at(h->buf, i) == x->stamp[s], "image %td sector %llu: %llu not %llu",
		       x - shown, s, stamp_at(h->buf, i), x->stamp[s]);
	}
}

static void image_write_over(struct host_io *h)
{
	struct shown *x = h->image;
	sector_t s;

	expect(!h->bio.bi_status || x->image.lost || x->image.pair.gone || meets_bad_chunk(h) ||
	       h->bio.bi_status == BLK_STS_NOSPC, "a write of %llu fails", h->start);
	for (s = h->start; s < h->start + h->sectors; s++) {
		x->writing[s]--;
		x->touched[s] = now;
		x->unknown[s] |= !!h->bio.bi_status;
		x->stamp[s] = h->stamp;
	}
}

static void source_write_over(struct host_io *h)
{
	bool again = h->bio.bi_status == BLK_STS_DM_REQUEUE;
	sector_t s;

	requeued += again;
	expect(!h->bio.bi_status || again, "a write of the source fails");
	for (s = h->start; s < h->start + h->sectors; s++) {
		source_busy[s] = false;
		if (!again)
			expected[s] = h->stamp;
		expect(stamp_at(source_dev.data, s) == expected[s], "source sector %llu", s);
	}
}

static void host_over(struct host_io *h)
{
	if (h->image && op_is_write(bio_op(&h->bio)))
		image_write_over(h);
	else if (h->image)
		image_read_over(h);
	else
		source_write_over(h);
	free(h->buf);
	h->busy = false;
}

void bio_endio(struct bio *bio)
{
	struct bio *parent = bio->parent;
	struct host_io *h = container_of(bio, struct host_io, bio);

	if (--bio->remaining)
		return;
	if (parent) {
		if (bio->bi_status)
			parent->bi_status = bio->bi_status;
		free(bio);
		bio_endio(parent);
	} else if (bio->bi_end_io) {
		bio->bi_end_io(bio);
	} else if (h->image) {
		dm_sync_image_end_io(bio, &bio->bi_status);
		host_over(h);
	} else {
		dm_sync_cow_end_io(&store, bio, &bio->bi_status);
		host_over(h);
	}
}

static struct host_io *host_prepare(struct shown *x, blk_opf_t op, sector_t start,
				    unsigned int sectors)
{
	struct host_io *h;
	unsigned int i;

	for (h = hosts; h < hosts + HOSTS && h->busy; h++)
		;
	if (h == hosts + HOSTS)
		return NULL;
	memset(h, 0, sizeof(*h));
	memset(h->per_io, 0xa5, sizeof(h->per_io));
	h->busy = true;
	h->image = x;
	h->start = start;
	h->sectors = sectors;
	h->began = now;
	h->stamp = op == REQ_OP_WRITE ? next_stamp++ : 0;
	h->buf = malloc(sectors << SECTOR_SHIFT);
	for (i = 0; i < sectors; i++) {
		memset(h->buf + (i << SECTOR_SHIFT), 0x5a, SECTOR_SIZE);
		memcpy(h->buf + (i << SECTOR_SHIFT), &h->stamp, sizeof(h->stamp));
		memcpy(h->buf + ((i + 1) << SECTOR_SHIFT) - 8, &h->stamp, sizeof(h->stamp));
	}
	h->bio = (struct bio) { .bi_opf = op, .buf = h->buf, .remaining = 1 };
	h->bio.bi_iter.bi_sector = start;
	h->bio.bi_iter.bi_size = sectors << SECTOR_SHIFT;
	return h;
}

static void host_go(struct host_io *h)
{
	int r;

	if (h->image)
		r = dm_sync_image_map(&h->image->door, &ti, &h->bio);
	else
		r = dm_sync_cow_map(&store, &ti, &h->bio);
	if (r == DM_MAPIO_REMAPPED) {
		submit_bio(&h->bio);
	} else if (r == DM_MAPIO_KILL) {
		h->bio.bi_status = BLK_STS_IOERR;
		host_over(h);
	}
}

static blk_opf_t some_write(void)
{
	return rnd(6) ? REQ_OP_WRITE : rnd(2) ? REQ_OP_DISCARD : REQ_OP_WRITE_ZEROES;
}

/* Mostly within a few chunks, so that they meet each other. */
static void some_range(sector_t *start, unsigned int *sectors)
{
	bool near = rnd(4);

	*start = near ? 960 + rnd(160) : rnd(SECTORS);
	*sectors = 1 + rnd(rnd(3) ? 40 : LONGEST);
	if (!rnd(4)) {
		*start = *start / CHUNK * CHUNK;
		*sectors = CHUNK;
	}
	*sectors = min_t(u64, *sectors, SECTORS - *start);
}

/* A sane host has no two writes of a sector under way. */
static void source_write(void)
{
	blk_opf_t op = some_write();
	unsigned int sectors;
	struct host_io *h;
	sector_t start, s;

	some_range(&start, &sectors);
	if (op == REQ_OP_DISCARD && !rnd(4))
		sectors = min_t(u64, SECTORS - start, 3000);
	else	/* device-mapper cuts all else where the target says */
		sectors = min_t(u64, sectors, DM_SYNC_COW_SECTORS - start % DM_SYNC_COW_SECTORS);
	for (s = start; s < start + sectors; s++)
		if (source_busy[s])
			return;
	h = host_prepare(NULL, op, start, sectors);
	if (!h)
		return;
	/* What is cut off is not ours: mark it when that is known. */
	now++;
	if (store.view.newest)
		sectors = min_t(u64, sectors, DM_SYNC_COW_SECTORS - start % DM_SYNC_COW_SECTORS);
	for (s = start; s < start + sectors; s++)
		source_busy[s] = true;
	host_go(h);
}

static struct shown *some_image(void)
{
	struct shown *x = &shown[rnd(IMAGES)];

	return x->there ? x : NULL;
}

static void image_io(bool write)
{
	struct shown *x = some_image();
	unsigned int sectors;
	struct host_io *h;
	sector_t start, s;

	if (!x)
		return;
	some_range(&start, &sectors);
	if (write)	/* so that it is known beforehand how much is accepted */
		sectors = min_t(u64, sectors, CHUNK - start % CHUNK);
	for (s = start; write && s < start + sectors; s++)
		if (x->writing[s])
			return;
	now++;
	h = host_prepare(x, write ? some_write() : REQ_OP_READ, start, sectors);
	if (!h)
		return;
	for (s = start; write && s < start + sectors; s++)
		x->writing[s]++;
	host_go(h);
}

/*----------------------------------------------------------------
 * Gate, hold
 *--------------------------------------------------------------*/

bool dm_sync_gate_enter(struct dm_sync_gate *gate, struct bio *bio, u8 *gen)
{
	*gen = 0;
	if (gate->closed)
		bio_list_add(&gate->parked, bio);
	else
		gate->inside++;
	return !gate->closed;
}

void dm_sync_gate_leave(struct dm_sync_gate *gate, u8 gen)
{
	expect(gate->inside, "the gate is left too often");
	gate->inside--;
}

bool dm_sync_images_hold(struct dm_sync_store *s, struct bio *bio)
{
	if (s->holding)
		bio_list_add(&s->held, bio);
	return s->holding;
}

static void set_hold(bool hold)
{
	struct bio_list held = store.held;

	store.holding = hold;
	if (hold)
		return;
	bio_list_init(&store.held);
	dm_sync_cow_restart(&store, &held);
}

/*----------------------------------------------------------------
 * The committer
 *--------------------------------------------------------------*/

static struct { struct dm_sync_save *save; u32 i, slot; } batch[256];
static unsigned int nr_batch;
static bool committing;

void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save)
{
	save->saved = 0;
	list_add_tail(&save->list, &saves);
}

static struct shown *shown_of(struct dm_sync_image *image)
{
	return container_of(image, struct shown, image);
}

static bool settled(struct dm_sync_save *save, u32 i)
{
	if (!save->own)
		return dm_sync_view_protected(&store.view, save->chunk + i);
	return dm_sync_index_get(&save->own->view->own, save->chunk + i);
}

static void free_slot(void *context, u32 slot)
{
	(void)context;
	if (nr_free == SLOTS)
		abort();
	free_slots[nr_free++] = slot;
}

static void forget(struct dm_sync_view_image *view)
{
	if (dm_sync_view_delete_begin(&store.view, view))
		abort();
	while (!dm_sync_view_delete_step(&store.view, 1, free_slot, NULL))
		;
	dm_sync_view_free(view);
}

static void give_up(void)
{
	struct shown *x, *oldest = NULL;
	struct dm_sync_view_image *view;

	for (x = shown; x < shown + IMAGES; x++)
		if (x->image.view && (!oldest || x->image.view->generation <
						 oldest->image.view->generation))
			oldest = x;
	if (!oldest)
		return;
	given_up++;
	view = oldest->image.view;
	oldest->image.lost = true;
	oldest->image.view = NULL;
	while (atomic_read(&oldest->image.own_writes))
		if (!expect(device_step(), "writes to own slots wait for the committer"))
			abort();
	forget(view);
}

static void end_save(struct dm_sync_save *save, int error)
{
	list_del(&save->list);
	save->done(save, error);
}

static u8 *chunk_byte(struct dm_sync_save *save, u32 i, unsigned int offset)
{
	size_t at = (size_t)i * CHUNK * SECTOR_SIZE + offset;

	return save->pages[at / PAGE_SIZE]->data + at % PAGE_SIZE;
}

static bool collect_one(struct dm_sync_save *save, u32 i)
{
	unsigned int offset;

	if (!nr_free)
		return false;
	batch[nr_batch].save = save;
	batch[nr_batch].i = i;
	batch[nr_batch].slot = free_slots[--nr_free];
	for (offset = 0; offset < CHUNK * SECTOR_SIZE; offset += SECTOR_SIZE)
		memcpy(store_dev.data + (dm_sync_store_slot_sector(&store.layout,
				batch[nr_batch].slot) << SECTOR_SHIFT) + offset,
		       chunk_byte(save, i, offset), SECTOR_SIZE);
	nr_batch++;
	return true;
}

/* Returns false when there is nothing to do. */
static bool commit_begin(void)
{
	struct dm_sync_save *save = list_first_entry_or_null(&saves, struct dm_sync_save, list);

	expect(atomic_read(&store.nr_waiting) || list_empty(&store.waiters), "waiters are counted");
	if (!list_empty(&store.waiters) && (!save || !rnd(6))) {
		dm_sync_cow_wake(&store);
		return true;
	}
	if (!save)
		return false;
	expect(!save->own || !save->yields, "an own write does not yield");
	if (save->yields && !rnd(8)) {
		yielded++;
		end_save(save, -EBUSY);
		return true;
	}
	if (save->own && !save->own->view) {
		end_save(save, -EIO);
		return true;
	}
	if (!save->own && deny && rnd(2)) {
		end_save(save, -EAGAIN);
		return true;
	}
	nr_batch = 0;
	for (; save->saved < save->nr; save->saved++)
		if (!settled(save, save->saved) && !collect_one(save, save->saved))
			break;
	committing = nr_batch;
	if (save->saved < save->nr && !nr_batch) {
		if (save->own)
			end_save(save, -ENOSPC);
		else
			give_up();
	} else if (!nr_batch) {
		end_save(save, 0);
	}
	return true;
}

static void commit_end(void)
{
	struct dm_sync_save *save = batch[0].save;
	unsigned int i;
	bool bad;

	for (i = 0; i < nr_batch; i++) {
		bad = test_bit(batch[i].i, save->bad);
		bad_saved += bad;
		own_saves += !!save->own;
		if (save->own)
			expect(!dm_sync_view_write(save->own->view, save->chunk + batch[i].i,
						   batch[i].slot), "own write");
		else
			expect(!dm_sync_view_save(&store.view,
						  dm_sync_view_generation(&store.view),
						  save->chunk + batch[i].i, batch[i].slot, bad),
			       "save");
	}
	committing = false;
	if (save->saved == save->nr)
		end_save(save, 0);
}

bool dm_sync_patience_away(struct dm_sync_store *s, bool now_away)
{
	bool was = away;

	(void)s;
	away = now_away;
	return was;
}

int dm_sync_image_written(struct dm_sync_image *image)
{
	expect(away, "the committer does I/O and is not away");
	if (image->lost || !image->view)
		return -EIO;
	image->written = true;
	return 0;
}

/*----------------------------------------------------------------
 * The conductor
 *--------------------------------------------------------------*/

static struct shown *taking;

/* The point in time, when the last write has left the gate. */
static void take_point(void)
{
	struct shown *x = taking;
	struct bio_list parked;
	sector_t s;

	if (store.gate.inside || committing)
		return;
	memset(x, 0, sizeof(*x));
	x->image.pair.door_access = DM_SYNC_DOOR_ACCESS_READ_WRITE;
	x->image.store = &store;
	x->image.ranges = dm_sync_ranges_create(11);
	x->image.view = dm_sync_view_alloc(&store.view, next_generation++, next_own++);
	x->door = (struct dm_sync_image_door) { &x->image, &source_dev, &store_dev };
	for (s = 0; s < SECTORS; s++) {
		x->stamp[s] = x->point[s] = stamp_at(source_dev.data, s);
		expect(x->stamp[s] == expected[s], "source sector %llu at a point in time", s);
	}
	if (dm_sync_view_add(&store.view, x->image.view))
		abort();
	x->there = true;
	taking = NULL;
	store.gate.closed = false;
	parked = store.gate.parked;
	bio_list_init(&store.gate.parked);
	dm_sync_cow_restart(&store, &parked);
}

/* The second half of a deletion: its door has come to rest. */
static void delete_end(struct shown *x)
{
	if (committing || atomic_read(&x->image.door_users))
		return;
	x->image.pair.gone = true;
	if (x->image.view)
		forget(x->image.view);
	x->image.view = NULL;
	x->image.door_hold = false;
	dm_sync_image_door_kick(&x->image);
	dm_sync_ranges_destroy(x->image.ranges);
	x->there = x->deleting = false;
}

static void reset_end(struct shown *x)
{
	if (committing || atomic_read(&x->image.door_users))
		return;
	if (x->image.view)
		dm_sync_view_reset(x->image.view, next_own++, free_slot, NULL);
	memcpy(x->stamp, x->point, sizeof(x->stamp));
	memset(x->unknown, 0, sizeof(x->unknown));
	x->resetting = x->image.door_hold = false;
	dm_sync_image_door_kick(&x->image);
}

static void conduct(void)
{
	struct shown *x = &shown[rnd(IMAGES)];

	if (taking)
		take_point();
	else if (!x->there && !rnd(3)) {
		taking = x;
		store.gate.closed = true;
	} else if (x->there && x->deleting) {
		delete_end(x);
	} else if (x->there && x->resetting) {
		reset_end(x);
	} else if (x->there && !rnd(20)) {
		x->deleting = x->image.door_hold = true;
	} else if (x->there && !rnd(20)) {
		x->resetting = x->image.door_hold = true;
	} else if (!rnd(4)) {
		set_hold(!store.holding);
	}
}

/*----------------------------------------------------------------
 * Histories
 *--------------------------------------------------------------*/

static bool jobs_step(void)
{
	static bool running;

	if (!store.jobs.work.pending || running)
		return false;
	running = true;
	store.jobs.work.pending = false;
	store.jobs.work.fn(&store.jobs.work);
	running = false;
	return true;
}

static bool commit_step(void)
{
	if (!committing)
		return commit_begin();
	commit_end();
	return true;
}

void others_go_on(void)
{
	static bool nested;
	unsigned int i;

	if (nested || !rnd(2))
		return;
	nested = true;
	for (i = rnd(100); i; i--) {
		if (rnd(4))
			device_step();
		else if (rnd(2))
			commit_step();
		else
			jobs_step();
	}
	nested = false;
}

static void step(void)
{
	switch (rnd(12)) {
	case 0:
		source_write();
		break;
	case 1:
		image_io(false);
		break;
	case 2:
		if (rnd(2))
			image_io(true);
		break;
	case 3:
		if (!rnd(8))
			conduct();
		break;
	case 4:
		if (!rnd(50))
			no_memory = rnd(2);
		if (!rnd(50))
			deny = !rnd(4);
		break;
	case 5:
	case 6:
		jobs_step();
		break;
	case 7:
		commit_step();
		break;
	default:
		device_step();
	}
}

/* Everything that is under way ends, though there is no memory. */
static void come_to_rest(void)
{
	unsigned int patience = 1000000;
	struct shown *x;
	bool more;

	no_memory = true;
	set_hold(false);
	do {
		more = jobs_step();
		more |= device_step();
		more |= commit_step();
		if (taking) {
			take_point();
			more = true;
		}
		for (x = shown; x < shown + IMAGES; x++) {
			if (!x->deleting && !x->resetting)
				continue;
			if (x->deleting)
				delete_end(x);
			else
				reset_end(x);
			more = true;
		}
	} while (more && expect(--patience, "it never comes to rest"));
}

static void check_rest(void)
{
	struct host_io *h;
	struct shown *x;

	for (h = hosts; h < hosts + HOSTS; h++)
		expect(!h->busy, "host I/O at %llu never ends", h->start);
	expect(!store.gate.inside, "%u writes are in the gate", store.gate.inside);
	expect(!store.jobs.used && !store.jobs.reserve_used, "memory is in use");
	for (x = shown; x < shown + IMAGES; x++)
		expect(!x->there || (!atomic_read(&x->image.door_users) &&
				     !atomic_read(&x->image.own_writes)), "a door is in use");
	dm_sync_ranges_destroy(store.ranges);		/* aborts when it is in use */
	store.ranges = dm_sync_ranges_create(11);
}

static void read_all(void)
{
	struct shown *x;
	struct host_io *h;
	sector_t s;

	for (x = shown; x < shown + IMAGES; x++) {
		for (s = 0; x->there && s < SECTORS; s += h->sectors) {
			now++;
			h = host_prepare(x, REQ_OP_READ, s, min_t(u64, 64, SECTORS - s));
			host_go(h);
			come_to_rest();
		}
	}
}

/* The source door goes while its images are read; who takes the store up knows nothing of that. */
static void read_beyond(void)
{
	struct shown *x;
	struct host_io *h;

	for (x = shown; x < shown + IMAGES; x++) {
		if (!x->there)
			continue;
		now++;
		h = host_prepare(x, REQ_OP_READ, rnd(SECTORS - 8), 8);
		host_go(h);
		store.gone = true;
		come_to_rest();
		expect(h->bio.bi_status, "a read is believed that nobody looked after");
		store.gone = false;
		read_beyond_end++;
	}
}

static void begin(void)
{
	u32 i, slots;

	memset(&store, 0, sizeof(store));
	memset(shown, 0, sizeof(shown));
	memset(source_dev.data, 0, SECTORS * SECTOR_SIZE);
	memset(expected, 0, sizeof(expected));
	store.source = &source_dev;
	store.source_dev = source_dev.bd_dev;
	store.sectors = SECTORS;
	store.chunk_shift = 4;
	store.layout = (struct dm_sync_store_layout) { .chunk_sectors = CHUNK,
		.source_sectors = SECTORS, .nr_chunks = CHUNKS, .nr_slots = SLOTS };
	store.io_wq = &wq;
	store.ranges = dm_sync_ranges_create(11);
	spin_lock_init(&store.io_lock);
	spin_lock_init(&store.save_lock);
	INIT_LIST_HEAD(&store.waiters);
	dm_sync_cow_init(&store);
	dm_sync_view_init(&store.view, CHUNKS);
	if (dm_sync_view_load_begin(&store.view, 1, 1, SLOTS))
		abort();
	dm_sync_view_load_end(&store.view, NULL, NULL);
	next_generation = next_own = 1;
	next_stamp = 1;
	slots = 60 + rnd(SLOTS - 60);
	for (i = 0, nr_free = 0; i < slots; i++)
		free_slot(NULL, i);
	no_memory = deny = false;
}

static void end(void)
{
	struct shown *x;

	for (x = shown; x < shown + IMAGES; x++)
		if (x->there)
			dm_sync_ranges_destroy(x->image.ranges);
	dm_sync_view_exit(&store.view);
	dm_sync_ranges_destroy(store.ranges);
	dm_sync_cow_exit(&store);
}

static unsigned int runs_of_job;

static void with_pages(struct dm_sync_job *job)
{
	runs_of_job++;
	dm_sync_job_free_pages(&store.jobs, job);
}

static void want_pages(struct dm_sync_job *job)
{
	dm_sync_job_want_pages(&store.jobs, job, DM_SYNC_JOB_BYTES, with_pages);
}

/* A store that hangs has the reserve, and for a while there is no other memory. */
static void test_no_reserve(void)
{
	struct dm_sync_job job = { .bytes = 0 };
	struct dm_sync_pages *left;

	begin();
	left = store.jobs.reserve;
	store.jobs.reserve = NULL;
	no_memory = true;
	dm_sync_job_queue(&store.jobs, &job, want_pages);
	for (int i = 0; i < 5; i++)
		ok(jobs_step() && !runs_of_job, "who waits for memory is not forgotten");
	no_memory = false;
	for (int i = 0; i < 10000 && jobs_step(); i++)
		continue;
	ok(runs_of_job == 1 && !store.jobs.work.pending, "and has it when there is some");
	dm_sync_jobs_take_back(&store.jobs, left);
	end();
}

int main(int argc, char **argv)
{
	unsigned long long first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, run;
	unsigned int i, runs = argc > 1 ? 1 : 150;

	plan(0);
	source_dev.data = calloc(SECTORS, SECTOR_SIZE);
	store_dev.data = calloc(SLOTS * CHUNK, SECTOR_SIZE);
	for (run = first; run < first + runs && !unit_row_failures; run++) {
		seed = run;
		begin();
		for (i = 0; i < 6000 && !unit_row_failures; i++)
			step();
		come_to_rest();
		check_rest();
		read_all();
		read_beyond();
		end();
		if (unit_row_failures)
			printf("# history %llu\n", run);
	}
	test_no_reserve();
	point("images show what they have to, and everything comes to rest");
	printf("# %u sectors read, %u splits, %u requeued, %u yielded, %u images given up, %u bad, %u own\n",
	       reads_checked, splits, requeued, yielded, given_up, bad_saved, own_saves);
	ok(splits && requeued && yielded && given_up && bad_saved && own_saves && read_beyond_end,
	   "all of it happened");
	free(source_dev.data);
	free(store_dev.data);
	return done();
}
