// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restoring a source, in random histories.
 *
 * Wherever the restore waits for a device, hosts go on to read and write, the operator may
 * abort, and the power may go. The chunks are pages, and what one holds is a number that
 * nothing else has. Whatever fails: hosts find what they were told is written, and else the
 * image; what the source was before comes to light nowhere as long as the restore goes on,
 * and for those that are not restored when it ends; and all who wait are answered.
 */
#include "restore-shim.h"
#include "unit.h"

#define CHUNKS		600u
#define SECTORS		(CHUNKS * 8 - 3u)
#define SLOTS		(4 * CHUNKS)
#define SEGMENT		97u		/* slots */
#define HEAD		5u		/* of a segment, in slots */
#define STORE_PAGES	(SLOTS + (SLOTS / SEGMENT + 1) * HEAD)
#define FIRST_PAGE	5000u		/* sector */
#define MAP_BLOCK	64u		/* bits */
#define MAP_GROUP	2u		/* blocks */
#define HOSTS		12u

int shim_fail_in;

typedef u32 stamp_t;

struct dm_sync_map {
	u64 nr, epoch;
	bool mem[CHUNKS], disk[CHUNKS];
};

struct host {
	struct dm_sync_demand demand;
	bool busy;
};

static struct dm_sync_store store;
static struct dm_sync_image image;
static struct dm_sync_view_image image_view = { .generation = 1 };
static struct block_device source_dev, store_dev;
static struct dm_sync_config config;
static struct workqueue_struct wq;
static struct host hosts[HOSTS];

static stamp_t now_there[CHUNKS], durable[CHUNKS];	/* the source, and when the power goes */
static stamp_t store_data[STORE_PAGES];		/* 0 in the segments' heads */
static stamp_t point_of_newest[CHUNKS], wanted[CHUNKS], before[CHUNKS], expected[CHUNKS];
static enum dm_sync_found where[CHUNKS];
static u32 slot_of[CHUNKS], next_slot;
static bool protected[CHUNKS], owned[CHUNKS], was_marked[CHUNKS], bad_page[STORE_PAGES];
static stamp_t next_stamp;
static bool begun, told, quiet, aborted, bad_chunks, map_dies;
static unsigned int fail_flush, fail_map, fail_super, fail_record, fail_write, abort_in;
static unsigned int waited, refused, released, overtaken, failures, map_lost;
static char events[400];
static unsigned long long seed;

static u32 rnd(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

/* Where a slot is: segments lie one after the other, each with a head before its slots. */
static u32 page_of(u32 slot)
{
	return slot + (slot / SEGMENT + 1) * HEAD;
}

/* The n-th from now on fails, and none after it. */
static bool fails(unsigned int *in)
{
	if (!*in || --*in)
		return false;
	failures++;
	return true;
}

static void event(const char *text)
{
	strncat(events, text, sizeof(events) - strlen(events) - 1);
	strncat(events, " ", sizeof(events) - strlen(events) - 1);
}

/*----------------------------------------------------------------
 * The map
 *--------------------------------------------------------------*/

struct dm_sync_map *dm_sync_map_create(void *meta, u16 type, u32 first, u64 epoch, u64 nr)
{
	struct dm_sync_map *map = calloc(1, sizeof(*map));

	map->nr = nr;
	map->epoch = epoch;
	return map;
}

void dm_sync_map_destroy(struct dm_sync_map *map)
{
	free(map);
}

int dm_sync_map_format(struct dm_sync_map *map, bool full)
{
	event(map->epoch == store.super.epoch ? "format" : "spoil");
	others_go_on();
	memset(map->mem, full, sizeof(map->mem));
	memset(map->disk, full, sizeof(map->disk));
	return 0;
}

int dm_sync_map_load(struct dm_sync_map *map, bool clean, u64 *lost)
{
	*lost = map_lost;
	return 0;
}

bool dm_sync_map_test(struct dm_sync_map *map, u64 chunk)
{
	return map->mem[chunk];
}

bool dm_sync_map_set(struct dm_sync_map *map, u64 chunk)
{
	map->mem[chunk] = true;
	return true;
}

void dm_sync_map_set_range(struct dm_sync_map *map, u64 first, u64 last)
{
	for (; first <= last; first++)
		map->mem[first] = true;
}

void dm_sync_map_clear(struct dm_sync_map *map, u64 chunk)
{
	map->mem[chunk] = false;
}

u64 dm_sync_map_next_before(struct dm_sync_map *map, u64 from, u64 limit)
{
	limit = min(limit, map->nr);
	while (from < limit && !map->mem[from])
		from++;
	return min(from, limit);
}

u64 dm_sync_map_next(struct dm_sync_map *map, u64 from)
{
	return dm_sync_map_next_before(map, from, map->nr);
}

u64 dm_sync_map_count(struct dm_sync_map *map)
{
	u64 nr = 0;

	for (u64 i = 0; i < map->nr; i++)
		nr += map->mem[i];
	return nr;
}

static bool block_wants(const struct dm_sync_map *map, u64 first, bool clears, bool *gone)
{
	bool wants = false;

	for (u64 i = first; i < min(first + MAP_BLOCK, map->nr); i++) {
		wants |= map->mem[i] && !map->disk[i];
		wants |= clears && map->disk[i] && !map->mem[i];
		*gone |= map->disk[i] && !map->mem[i];
	}
	return wants;
}

/* Some blocks at a time, as it is done, so that some may be written and others not. */
int dm_sync_map_commit(struct dm_sync_map *map, bool clears, int (*flush)(void *context),
		       void *context)
{
	u64 group = MAP_BLOCK * MAP_GROUP, from, i;
	bool copy[CHUNKS], gone, wants, bad;
	int r;

	for (from = 0; from < map->nr; from += group) {
		gone = wants = false;
		for (i = from; i < min(from + group, map->nr); i += MAP_BLOCK)
			wants |= block_wants(map, i, clears, &gone);
		if (!wants)
			continue;
		memcpy(copy, map->mem, sizeof(copy));
		r = gone && flush ? flush(context) : 0;
		if (r)
			return r;
		others_go_on();
		bad = fails(&fail_map);
		if (bad && map_dies)
			fail_map = 1;
		for (i = from; i < min(from + group, map->nr) && !(bad && rnd(100) == 0); i++)
			map->disk[i] = copy[i] || map->mem[i];
		others_go_on();
		if (bad)
			return -EIO;
	}
	return 0;
}

static bool is_marked(u64 chunk)
{
	return store.restore && store.restore->map->mem[chunk];
}

/*----------------------------------------------------------------
 * The devices
 *--------------------------------------------------------------*/

static int page_io(struct bio *bio, u64 at, struct page *page)
{
	stamp_t *data = page_address(page);

	if (bio->bi_bdev == &store_dev) {
		*data = store_data[at];
		return bad_page[at] ? -EIO : 0;
	}
	if (bio->bi_opf == REQ_OP_READ) {
		*data = now_there[at];
		return 0;
	}
	expect(!owned[at], "seed %llu: the image is put over a host's write to %llu", seed, at);
	expect(store.restore, "seed %llu: %llu is restored after the end", seed, at);
	if (fails(&fail_write))
		return -EIO;
	now_there[at] = *data;
	return 0;
}

int submit_bio_wait(struct bio *bio)
{
	u64 at = bio->bi_bdev == &store_dev ? (bio->bi_iter.bi_sector - FIRST_PAGE) / 8 :
					      bio->bi_iter.bi_sector / 8;
	int r = 0, error;

	others_go_on();
	expect(bio->bi_bdev != &store_dev || bio->bi_iter.bi_size == bio->nr * PAGE_SIZE,
	       "a slot is read in part");
	for (unsigned int i = 0; i < bio->nr; i++) {
		error = page_io(bio, at + i, bio->vecs[i].page);
		r = r ?: error;
	}
	others_go_on();
	return r;
}

/* The end was told, and the conductor comes while the last chunk is being cleared. */
static bool conductor_is_early;
static unsigned int early;

static void early_conductor(void)
{
	struct dm_sync_restore *r = store.restore;

	if (!conductor_is_early || !r || !r->settling || dm_sync_map_count(r->map))
		return;
	early++;
	r->told = true;
	dm_sync_restore_finish(&image);
	expect(store.restore == r, "it is not complete before it is flushed");
}

int blkdev_issue_flush(struct block_device *bdev)
{
	others_go_on();
	early_conductor();
	if (fails(&fail_flush))
		return -EIO;
	memcpy(durable, now_there, sizeof(durable));
	return 0;
}

struct gendisk *dm_disk(void *md)
{
	static struct block_device door;
	static struct gendisk disk = { &door };

	return &disk;
}

/*----------------------------------------------------------------
 * Images and their store
 *--------------------------------------------------------------*/

bool dm_sync_view_protected(const struct dm_sync_view_image *view, u64 chunk)
{
	return protected[chunk];
}

enum dm_sync_found dm_sync_view_find(const struct dm_sync_view_image *view, u64 chunk, u32 *slot)
{
	*slot = slot_of[chunk];
	return where[chunk];
}

sector_t dm_sync_store_slot_sector(const struct dm_sync_store_layout *l, u32 slot)
{
	return FIRST_PAGE + page_of(slot) * 8;
}

/* For the newest image, and with it for all that have the chunk in the source. */
static void save_chunk(u64 chunk, stamp_t stamp)
{
	if (protected[chunk])
		return;
	expect(stamp == point_of_newest[chunk], "seed %llu: %llu is saved too late", seed, chunk);
	protected[chunk] = true;
	if (where[chunk] == DM_SYNC_FOUND_SOURCE) {
		where[chunk] = DM_SYNC_FOUND_SLOT;
		slot_of[chunk] = next_slot++;
		store_data[page_of(slot_of[chunk])] = stamp;
	}
	dm_sync_restore_saved(&store, chunk);
}

void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save)
{
	others_go_on();
	for (u32 i = 0; i < save->nr; i++)
		save_chunk(save->chunk + i, *(stamp_t *)page_address(save->pages[i]));
	save->done(save, 0);
}

int dm_sync_store_write_record(struct dm_sync_store *s, struct dm_sync_image *im,
			       const struct dm_sync_step *step)
{
	char text[40];

	snprintf(text, sizeof(text), "record:%u%s", step ? step->progress : im->pair.state.progress,
		 im->pair.facts.restore_incomplete ? "!" : "");
	event(text);
	return fails(&fail_record) ? -EIO : 0;
}

int dm_sync_store_write_super(struct dm_sync_store *s)
{
	char text[40];

	snprintf(text, sizeof(text), "super:%u%s", s->super.restoring,
		 s->super.flags & DM_SYNC_STORE_CLEAN ? "c" : "");
	event(text);
	return fails(&fail_super) ? -EIO : 0;
}

void dm_sync_store_failed(struct dm_sync_store *s, int error)
{
	event("failed");
	s->failed = error;
}

/* What was not restored is what it is on the source when the restore is over. */
static void end_by(int (*how)(void))
{
	bool marked[CHUNKS], was = store.restore;

	for (u64 i = 0; i < CHUNKS; i++)
		marked[i] = is_marked(i);
	how();
	for (u64 i = 0; i < CHUNKS && was && !store.restore; i++)
		if (marked[i])
			expected[i] = now_there[i];
}

static int give_up(void)
{
	image.lost = true;
	dm_sync_restore_off(&store);
	return 0;
}

void dm_sync_space_fail(struct dm_sync_store *s, int error)
{
	s->failed = error;
	end_by(give_up);
}

void dm_sync_image_restore_over(struct dm_sync_image *im)
{
	told = true;
}

static int finish(void)
{
	dm_sync_restore_finish(&image);
	return 0;
}

static int operator_aborts(void)
{
	static const struct dm_sync_step after;

	aborted = true;
	return dm_sync_restore_abort(&image, &after);
}

/*----------------------------------------------------------------
 * Hosts
 *--------------------------------------------------------------*/

static void issue(u64 first, u64 last)
{
	for (u64 i = first; i <= last; i++) {
		expect(!is_marked(i), "seed %llu: a write to %llu, which is marked", seed, i);
		save_chunk(i, now_there[i]);
		owned[i] = begun;
		now_there[i] = expected[i] = ++next_stamp;
	}
}

static void answered(struct dm_sync_demand *d, int error)
{
	struct host *h = container_of(d, struct host, demand);
	struct dm_sync_restore *r = store.restore;

	h->busy = false;
	if (error) {
		refused++;
		expect(failures || bad_chunks, "seed %llu: a write fails: %d", seed, error);
		return;
	}
	released++;
	for (u64 i = d->first; i <= d->last && r; i++)
		expect(!r->map->disk[i] && !in_runs(r, i, i),
		       "seed %llu: a write to %llu is let go too early", seed, i);
	issue(d->first, d->last);
}

static void host_write(struct host *h)
{
	u64 first = rnd(CHUNKS), last = min(first + (rnd(4) ? rnd(3) : rnd(100)), CHUNKS - 1ull);

	if (h->busy || store.gate)
		return;
	h->demand = (struct dm_sync_demand) { .first = first, .last = last, .done = answered };
	if (dm_sync_restore_needs(&store, first, last)) {
		waited++;
		h->busy = true;
		if (dm_sync_restore_demand(&store, &h->demand))
			return;
		h->busy = false;
	}
	if (begun)
		overtaken++;
	issue(first, last);
}

/* Across chunks, and cut to what lies in one piece. */
static void host_read(void)
{
	struct bio bio = { .bi_bdev = &source_dev };
	struct dm_sync_image *counted = NULL;
	u64 chunk = rnd(CHUNKS), sector = chunk * 8 + rnd(3), end;
	stamp_t got;

	end = min(sector + 1 + rnd(60), SECTORS);
	bio.bi_iter.bi_sector = sector;
	bio.bi_iter.bi_size = (end - sector) << SECTOR_SHIFT;
	if (dm_sync_restore_read(&store, &bio, &counted) == DM_MAPIO_KILL) {
		expect(where[chunk] == DM_SYNC_FOUND_BAD, "seed %llu: a read fails", seed);
		return;
	}
	end = sector + bio_sectors(&bio);
	for (; chunk * 8 < end; chunk++, bio.bi_iter.bi_sector += 8) {
		got = bio.bi_bdev == &source_dev ? now_there[chunk] :
		      store_data[(bio.bi_iter.bi_sector - FIRST_PAGE) / 8];
		expect(got == expected[chunk] ||
		       (where[chunk] == DM_SYNC_FOUND_BAD && !owned[chunk]),
		       "seed %llu: chunk %llu reads %u, not %u", seed, chunk, got, expected[chunk]);
	}
	if (counted)
		dm_sync_restore_read_end(counted);
	expect(!image.own_writes.counter, "a read is counted");
}

/* What would be found if the power went now. */
static void power_cut(void)
{
	const struct dm_sync_map *map = store.restore ? store.restore->map : NULL;

	bool lost = false, old = false;
	u64 i;

	for (i = 0; i < CHUNKS && map && !lost && !old; i++) {
		if (where[i] == DM_SYNC_FOUND_BAD)
			continue;
		lost = (map->disk[i] ? wanted[i] : now_there[i]) != expected[i];
		old = !map->disk[i] && was_marked[i] && durable[i] == before[i];
	}
	expect(!lost, "seed %llu: a power cut loses a write to %llu", seed, i - 1);
	expect(!old, "seed %llu: a power cut brings back what %llu was", seed, i - 1);
}

static bool locks_are_free(void)
{
	return !store.commit_lock.held && !(store.restore && store.restore->apply.held);
}

void others_go_on(void)
{
	if (quiet)
		return;
	quiet = true;
	for (u32 i = rnd(3); i; i--)
		host_write(&hosts[rnd(HOSTS)]);
	for (u32 i = rnd(4); i; i--)
		host_read();
	power_cut();
	if (abort_in && !--abort_in) {
		if (begun && store.restore && locks_are_free())
			end_by(operator_aborts);
		else
			abort_in = 1;
	}
	quiet = false;
}

/* The gate has opened: from now on hosts see the image. */
void dm_sync_cow_restart(struct dm_sync_store *s, struct bio_list *bios)
{
	if (s->restore) {
		begun = true;
		for (u64 i = 0; i < CHUNKS; i++) {
			before[i] = now_there[i];
			was_marked[i] = is_marked(i);
			expected[i] = wanted[i];
		}
	}
	for (u32 i = 0; i < 20; i++)
		others_go_on();
}

/*----------------------------------------------------------------
 * Histories
 *--------------------------------------------------------------*/

/* An image that has some of its chunks in slots, mostly side by side, and a newer one. */
static void make_source(bool bad)
{
	bad_chunks = bad;
	next_slot = 0;
	for (u64 i = 0; i < CHUNKS; i++) {
		protected[i] = rnd(3) == 0;
		where[i] = protected[i] || rnd(3) ? DM_SYNC_FOUND_SLOT : DM_SYNC_FOUND_SOURCE;
		if (bad && rnd(60) == 0)
			where[i] = DM_SYNC_FOUND_BAD;
		point_of_newest[i] = now_there[i] = ++next_stamp;
		if (protected[i])
			now_there[i] = ++next_stamp;
		wanted[i] = now_there[i];
		if (where[i] == DM_SYNC_FOUND_SLOT) {
			next_slot += rnd(40) == 0;
			slot_of[i] = next_slot++;
			bad_page[page_of(slot_of[i])] = bad && rnd(60) == 0;
			wanted[i] = store_data[page_of(slot_of[i])] = ++next_stamp;
		}
		expected[i] = durable[i] = now_there[i];
	}
}

static void make_store(void)
{
	memset(hosts, 0, sizeof(hosts));
	memset(owned, 0, sizeof(owned));
	memset(bad_page, 0, sizeof(bad_page));
	fail_flush = fail_map = fail_super = fail_record = fail_write = abort_in = 0;
	begun = told = aborted = false;
	failures = 0;
	events[0] = 0;
	image = (struct dm_sync_image) { .store = &store, .nr = 2, .view = &image_view };
	spin_lock_init(&image.pair.lock);
	store = (struct dm_sync_store) {
		.source = &source_dev, .bdev = &store_dev, .config = &config, .live = true,
		.sectors = SECTORS, .chunk_shift = 3, .layout = { CHUNKS, SLOTS },
		.super = { .epoch = 77 }, .image = { [2] = &image }, .restore_wq = &wq,
	};
}

static bool somebody_waits(void)
{
	for (u32 i = 0; i < HOSTS; i++)
		if (hosts[i].busy)
			return true;
	return false;
}

static void run_worker(struct dm_sync_restore *r)
{
	r->work.pending = false;
	r->work.running = true;
	r->work.work.fn(&r->work.work);
	r->work.running = false;
}

/* Until all has come to rest. */
static void run(void)
{
	struct dm_sync_restore *r = store.restore_memory;
	unsigned int rounds = 0;

	while ((store.restore || r->work.pending || somebody_waits()) && rounds++ < 1000) {
		if (rounds < 5)
			others_go_on();
		if (r->work.pending)
			run_worker(r);
		if (told && store.restore) {
			told = false;
			end_by(finish);
		}
		shim_now += NSEC_PER_SEC;
	}
	expect(rounds < 1000, "seed %llu: it does not end", seed);
}

static void check_end(void)
{
	for (u64 i = 0; i < CHUNKS; i++)
		expect(now_there[i] == expected[i] || where[i] == DM_SYNC_FOUND_BAD,
		       "seed %llu: chunk %llu is %u in the end, not %u", seed, i, now_there[i],
		       expected[i]);
	expect(!somebody_waits(), "seed %llu: a write was forgotten", seed);
	expect(!store.restore_marks && !store.super.restoring, "the end is known");
}

static int begin(void)
{
	struct dm_sync_image_change c = {
		.from = { .progress = DM_SYNC_PROGRESS_STATUS_COMPLETED },
		.during = { .progress = DM_SYNC_PROGRESS_STATUS_RESTORING },
	};
	int r = dm_sync_restore_begin(&image, &c);

	expect(!r == !c.why, "who refuses says why");
	return r;
}

struct trouble {
	const char *name;
	bool flush, map, write, bad, abort, dies;
};

static void history(const struct trouble *t, u32 nr)
{
	seed = nr * 2654435761ull + 1;
	make_store();
	make_source(t->bad);
	if (begin()) {
		expect(false, "it does not begin");
		return;
	}
	fail_flush = t->flush ? 1 + rnd(20) : 0;
	fail_map = t->map ? 1 + rnd(20) : 0;
	map_dies = t->dies;
	fail_write = t->write ? 1 + rnd(300) : 0;
	abort_in = t->abort ? 1 + rnd(60) : 0;
	run();
	check_end();
	if (!failures && !t->bad && !aborted)
		expect(!image.pair.facts.restore_incomplete, "seed %u: it is not complete", nr);
	if (!t->dies)
		expect(!image.lost && !store.failed, "seed %u: an image is given up", nr);
	else if (failures && !t->flush && !aborted)
		expect(image.lost && store.failed, "seed %u: the map cannot be written", nr);
	dm_sync_restore_free(&store);
}

static void test_histories(void)
{
	static const struct trouble troubles[] = {
		{ .name = "nothing fails" },
		{ .name = "a flush of the source fails", .flush = true },
		{ .name = "a write of the map fails", .map = true },
		{ .name = "the map cannot be written any more", .map = true, .dies = true },
		{ .name = "a write of the source fails", .write = true },
		{ .name = "chunks are bad", .bad = true },
		{ .name = "the operator aborts", .abort = true },
		{ .name = "bad chunks, a flush and a write fail", true, false, true, true, false, false },
		{ .name = "all of it", true, true, true, true, true, true },
	};

	for (u32 i = 0; i < ARRAY_SIZE(troubles); i++) {
		waited = refused = released = overtaken = 0;
		for (u32 nr = 0; nr < 60; nr++)
			history(&troubles[i], nr + 1000 * i);
		expect(waited > 100 && released > 100 && overtaken > 100, "hosts write");
		if (troubles[i].flush && !troubles[i].map)
			expect(refused, "writes fail with their chunks");
		point("restores while hosts go on: %s", troubles[i].name);
	}
}

/*----------------------------------------------------------------
 * What the disk says
 *--------------------------------------------------------------*/

static void says(const char *what)
{
	ok(!strcmp(events, what), "on the disk: %s", what);
	if (strcmp(events, what))
		printf("# it is: %s\n", events);
}

static void test_records(void)
{
	quiet = true;
	make_store();
	make_source(false);
	eq(begin(), 0, "a restore begins");
	says("format record:8 super:3 ");
	events[0] = 0;
	run();
	says("record:2 super:0 ");
	dm_sync_restore_free(&store);

	make_store();
	make_source(false);
	image.pair.state.progress = DM_SYNC_PROGRESS_STATUS_RESTORING;	/* is published */
	fail_super = 1;
	eq(begin(), -EIO, "it cannot begin");
	says("format record:8 super:3 record:2 super:0 ");
	ok(!store.restore && !store.restore_marks && !store.failed, "and has not");

	make_store();
	store.live = false;
	eq(begin(), -EBUSY, "nor while a suspend waits for it");
	ok(!store.restore && !store.restore_marks, "and has not");
	quiet = false;
}

/* The image's own writes are part of what the source is then, and of what the image was. */
static void test_own_writes(void)
{
	quiet = true;
	for (u32 nr = 0; nr < 3; nr++) {
		make_store();
		make_source(false);
		image_view.own.nr = nr;
		image.written = nr == 2;
		image.pair.sync_time = 1;
		begin();
		run();
		ok(!image.written && image.pair.facts.writes_merged == !!nr,
		   "with %u own slots, %swritten", nr, nr == 2 ? "" : "not ");
		ok((image.pair.sync_time != 1) == (nr == 2), "its point in time");
		dm_sync_restore_free(&store);
	}
	image_view.own.nr = 0;

	make_store();
	make_source(false);
	image_view.own.nr = 1;
	image.written = true;
	begin();
	fail_record = 1;
	run_worker(store.restore_memory);
	while (!told)
		run_worker(store.restore_memory);
	finish();
	ok(store.restore && image.written && !image.pair.facts.writes_merged,
	   "not while the record cannot be written");
	image_view.own.nr = 0;
	run();
	dm_sync_restore_free(&store);
	quiet = false;
}

static void test_load(void)
{
	const char *why;

	quiet = true;
	make_store();
	make_source(false);
	image.pair.state.progress = DM_SYNC_PROGRESS_STATUS_RESTORING;
	store.super.restoring = image.nr + 1;
	store.super.flags = DM_SYNC_STORE_CLEAN;
	map_lost = 1;
	store.commit_lock.held = true;
	eq(dm_sync_restore_load(&store, &why), 0, "a map that is damaged is no reason not to load");
	says("spoil super:3 record:2! ");
	ok(!store.restore && !store.super.restoring, "and the restore is over");

	store.super.restoring = image.nr + 1;
	image.pair.state.progress = DM_SYNC_PROGRESS_STATUS_RESTORING;
	events[0] = 0;
	eq(dm_sync_restore_load(&store, &why), 0, "after a crash");
	says("record:2! ");
	map_lost = 0;
	store.commit_lock.held = false;
	quiet = false;
}

static void test_early_end(void)
{
	quiet = true;
	conductor_is_early = true;
	make_store();
	make_source(false);
	begin();
	run();
	ok(early && !store.restore && !image.pair.facts.restore_incomplete,
	   "it ends when what was cleared last is durable");
	point("a conductor that comes too early");
	conductor_is_early = false;
	dm_sync_restore_free(&store);
	quiet = false;
}

static void test_rest(void)
{
	const char *why = NULL;

	quiet = true;
	make_store();
	eq(dm_sync_restore_rest(&store, &why), 0, "there was no restore");
	make_source(false);
	begin();
	run();
	eq(dm_sync_restore_rest(&store, &why), 0, "its worker rests");
	store.restore_memory->work.running = true;
	eq(dm_sync_restore_rest(&store, &why), -EBUSY, "or does not");
	ok(why, "which is said");
	store.restore_memory->work.running = false;
	dm_sync_restore_free(&store);
	quiet = false;
}

/* What a restore says of itself while it runs, paced so that it takes a while. */
static void test_info(void)
{
	struct dm_sync_info info = {}, before;
	unsigned int rounds = 0, between = 0, fast = 0;
	bool good = true;
	u64 total;

	quiet = true;
	make_store();
	make_source(false);
	store.rate = 256 * 1024;
	begin();
	total = dm_sync_restore_left(&image) << (store.chunk_shift + SECTOR_SHIFT);
	dm_sync_restore_info(&image, &info);
	ok(total && info.total == total && !info.done && info.copy_started,
	   "a restore has all before it");
	for (; store.restore && rounds++ < 10000; shim_now += NSEC_PER_SEC / 20) {
		run_worker(store.restore_memory);
		before = info;
		dm_sync_restore_info(&image, &info);
		good &= info.total == total && info.done >= before.done && info.done +
			(dm_sync_restore_left(&image) << (store.chunk_shift + SECTOR_SHIFT)) ==
			total;
		between += info.done && info.done < total;
		fast += rounds > 60 && info.rate > 2 * store.rate;
		if (told) {
			ok(info.done == total, "all is done when the end is told");
			told = false;
			end_by(finish);
		}
	}
	ok(good && between > 3, "it comes closer, seen on the way %u times", between);
	ok(between && info.rate && !fast, "about as fast as it may");
	info = (struct dm_sync_info){};
	dm_sync_restore_info(&image, &info);
	ok(!info.total && !info.done && !info.rate, "one that is over says nothing");
	dm_sync_restore_free(&store);
	store.rate = 0;
	quiet = false;
}

int main(void)
{
	plan(0);
	test_histories();
	test_records();
	test_own_writes();
	test_load();
	test_early_end();
	test_rest();
	test_info();
	return done();
}
