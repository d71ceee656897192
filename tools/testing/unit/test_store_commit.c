// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real store on the host: committer, records, segments, format, load and recovery run
 * over a device in memory (store-disk.h) that has a cache or not, fails writes, and loses
 * power at any write with any part of what is in flight.
 *
 * The test plays the host, the images' operations and the conductor. It keeps every image
 * in full and compares each chunk after each step, and after each power cut and load: what
 * was promised is there, what was not is as before or as it would have become.
 *
 * It also counts: a batch is its data and one block of 4 KiB; no flush with FUA, one
 * without; two for own writes.
 */
#include "unit.h"
#define KERNEL_DEVICE "store-disk.h"
#include "kernel.h"
#include "../../../kernel/dm-sync-block.c"
#include "../../../kernel/dm-sync-store-super.c"
#include "../../../kernel/dm-sync-store-load.c"
#define flush commit_flush
#define chunk_bytes commit_chunk_bytes
#undef DM_MSG_PREFIX
#include "../../../kernel/dm-sync-commit-store.c"
#undef DM_MSG_PREFIX
#include "../../../kernel/dm-sync-commit-space.c"
#undef DM_MSG_PREFIX
#include "../../../kernel/dm-sync-store-health.c"
#define let_go patience_let_go
#undef DM_MSG_PREFIX
#include "../../../kernel/dm-sync-patience.c"
#undef let_go

#define CHUNKS		48u		/* of the source */
#define CHUNK_SECTORS	16u		/* two pages */
#define CHUNK_PAGES	2u
#define IMAGES		6u
#define SAVES		3u		/* host writes at once */
#define RUN		5u		/* chunks of one */
#define UNREADABLE	(~0u)

int shim_fail_in;

struct model_image {
	bool live;			/* has a point in time, and is not lost */
	bool maybe_not;			/* may be gone after a power cut */
	u32 base[CHUNKS], now[CHUNKS];
};

static struct {
	u32 source[CHUNKS];
	struct model_image image[IMAGES];
	struct model_image coming;	/* whose record is being written */
	int coming_nr;
	int own_image, own_chunk;	/* an own write that may arrive */
	u32 own_value;
} model;

static struct dm_sync_store store;
static struct dm_sync_config config;
static struct block_device *disk;
static u64 rng;
static unsigned int seed;
static unsigned long steps, cuts, saved, given_up, failures, holds, owns, requeued, refused,
		     yielded, let_through;
static bool broken, damaged, space_hold, space_low, out_of_reach;
static unsigned int told;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 20) % n;
}

__attribute__((format(printf, 2, 3)))
static void check(bool good, const char *fmt, ...)
{
	va_list ap;

	if (good || broken)
		return;
	broken = true;
	printf("# seed %u step %lu: ", seed, steps);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static u32 new_value(void)
{
	static u32 counter;

	return ++counter;
}

static void fill(u8 *page, u32 value, u32 nr)
{
	for (u32 i = 0; i < 4096; i += 8) {
		*(u32 *)(page + i) = value;
		*(u32 *)(page + i + 4) = value * 31 + nr * 8 + i;
	}
}

/*----------------------------------------------------------------
 * What the store calls
 *--------------------------------------------------------------*/

struct dm_sync_ranges *dm_sync_ranges_create(unsigned int shift)
{
	(void)shift;
	return kzalloc(8, 0);
}

void dm_sync_ranges_destroy(struct dm_sync_ranges *t)
{
	kfree(t);
}

static struct dm_sync_image *image_make(unsigned int nr)
{
	struct dm_sync_image *image = kzalloc(sizeof(*image), 0);

	image->store = &store;
	image->nr = nr;
	image->name[0] = 'a' + nr;
	store.image[nr] = image;
	return image;
}

struct dm_sync_image *dm_sync_image_load(struct dm_sync_store *s, unsigned int nr,
					 const struct dm_sync_image_record *r)
{
	struct dm_sync_image *image = image_make(nr);

	(void)s;
	check(nr < IMAGES, "image %u", nr);
	image->generation = r->generation;
	image->own_id = r->own_id;
	image->lost = r->flags & DM_SYNC_IMAGE_LOST;
	image->written = r->flags & DM_SYNC_IMAGE_WRITTEN;
	return image;
}

void dm_sync_image_record(struct dm_sync_image *image, const struct dm_sync_step *step,
			  struct dm_sync_image_record *r)
{
	(void)step;
	r->uuid[0] = 1 + image->nr;
	r->name[0] = image->name[0];
	r->generation = image->generation;
	r->own_id = image->own_id;
	r->flags = (image->lost ? DM_SYNC_IMAGE_LOST : 0) |
		   (image->written ? DM_SYNC_IMAGE_WRITTEN : 0);
}

int dm_sync_image_written(struct dm_sync_image *image)
{
	int r;

	check(store.commit_lock.held, "no lock");
	if (image->written)
		return 0;
	image->written = true;
	r = dm_sync_store_write_record(&store, image, NULL);
	image->written = !r;
	return r;
}

static void view_delete(struct dm_sync_image *image)
{
	struct dm_sync_view_image *view = image->view;

	image->view = NULL;
	if (!view)
		return;
	dm_sync_view_delete_begin(&store.view, view);
	while (!dm_sync_view_delete_step(&store.view, 1, dm_sync_store_free_slot, &store))
		continue;
	dm_sync_view_free(view);
}

int dm_sync_image_give_up(struct dm_sync_store *s, struct dm_sync_image *image, u32 reason)
{
	bool off = disk->off;
	int r;

	check(s->commit_lock.held, "no lock");
	check(reason != DM_SYNC_REASON_METADATA_LOST || damaged, "the load finds damage");
	image->lost = true;
	image->generation = image->own_id = 0;
	r = dm_sync_store_write_record(s, image, NULL);
	view_delete(image);
	given_up++;
	/* What was given up because the power was off is there when it is back. */
	model.image[image->nr].maybe_not |= !off;
	if (!disk->off)
		model.image[image->nr].live = false;
	return r;
}

/* Those that are lost in memory alone. */
void dm_sync_images_lose(struct dm_sync_store *s, u32 reason)
{
	check(reason == DM_SYNC_REASON_STORE_FAILED, "reason %u", reason);
	for (unsigned int i = 0; i < IMAGES; i++)
		if (s->image[i] && s->image[i]->view)
			s->image[i]->lost = true;
}

void dm_sync_images_tell_lost(struct dm_sync_store *s)
{
	(void)s;
}

/* The source is not being restored here. */
void dm_sync_restore_free(struct dm_sync_store *s)
{
	(void)s;
}

int dm_sync_restore_load(struct dm_sync_store *s, const char **why)
{
	(void)s, (void)why;
	return 0;
}

void dm_sync_restore_saved(struct dm_sync_store *s, u64 chunk)
{
	(void)s, (void)chunk;
}

bool dm_sync_restore_is_from(struct dm_sync_store *s, const struct dm_sync_image *image)
{
	(void)s, (void)image;
	return false;
}

bool dm_sync_images_reclaim(struct dm_sync_store *s)
{
	(void)s;
	return false;
}

void dm_sync_images_space(struct dm_sync_store *s, enum dm_sync_space what)
{
	(void)s;
	if (what == DM_SYNC_SPACE_HOLD || what == DM_SYNC_SPACE_GO) {
		check(space_hold == (what == DM_SYNC_SPACE_GO), "told twice");
		space_hold = what == DM_SYNC_SPACE_HOLD;
	} else {
		check(space_low == (what == DM_SYNC_SPACE_ENOUGH), "told twice");
		space_low = what == DM_SYNC_SPACE_LOW;
	}
}

void dm_sync_images_reach(struct dm_sync_store *s, bool answers)
{
	check(s->commit_lock.held, "no lock");
	check(out_of_reach == answers, "told twice");
	out_of_reach = !answers;
	told++;
}

static bool work_one(struct work_struct *w)
{
	if (!w->queued)
		return false;
	w->queued = false;
	w->fn(w);
	return true;
}

static void work(void)
{
	while (work_one(&store.commit_work) || work_one(&store.suspect_work) ||
	       work_one(&store.hung_work))
		continue;
}

static void timer(struct delayed_work *w)
{
	if (!w->armed)
		return;
	w->armed = false;
	w->fn(&w->work);
	work();
}

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

static void destroy_images(void)
{
	for (unsigned int i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		kfree(store.image[i]);
		store.image[i] = NULL;
	}
}

static int start(void)
{
	const char *why = "";
	int r;

	memset(&store, 0, sizeof(store));
	space_hold = space_low = out_of_reach = false;
	dm_sync_store_commit_init(&store);
	dm_sync_meta_init(&store.meta);
	store.bdev = store.meta.bdev = disk;
	store.sectors = CHUNKS * CHUNK_SECTORS;
	store.chunk_shift = 4;
	store.config = &config;
	store.fua = !disk->has_cache || seed & 2;
	mutex_lock(&store.commit_lock);
	r = dm_sync_store_load(&store, &config, &why);
	if (!r)
		dm_sync_store_arm(&store, &why);
	mutex_unlock(&store.commit_lock);
	check(!r || disk->off || disk->fail_nr, "load: %d, %s", r, why);
	config.format = false;
	return disk->off || (!r && !store.armed) ? -EIO : r;
}

static void stop(bool clean)
{
	mutex_lock(&store.commit_lock);
	if (clean)
		dm_sync_store_disarm(&store);
	store.armed = false;
	mutex_unlock(&store.commit_lock);
	destroy_images();
	dm_sync_store_unload(&store);
}

/*----------------------------------------------------------------
 * Checks
 *--------------------------------------------------------------*/

static u32 read_slot(u32 slot)
{
	u8 page[4096], *at = disk->now + dm_sync_store_slot_sector(&store.layout, slot) * 512;
	u32 value = *(u32 *)at;

	check(dm_sync_slots_in_use(&store.slots, slot), "slot %u is free and is read", slot);
	for (u32 i = 0; i < CHUNK_PAGES; i++) {
		fill(page, value, i);
		check(!memcmp(page, at + i * 4096, 4096), "slot %u is torn", slot);
	}
	return value;
}

static u32 look(struct dm_sync_view_image *view, u32 chunk, bool own)
{
	u32 slot;

	switch (own ? dm_sync_view_find(view, chunk, &slot) :
		      dm_sync_view_find_saved(view, chunk, &slot)) {
	case DM_SYNC_FOUND_SOURCE:
		return model.source[chunk];
	case DM_SYNC_FOUND_BAD:
		return UNREADABLE;
	default:
		return read_slot(slot);
	}
}

static void check_image(unsigned int nr)
{
	struct dm_sync_view_image *view = store.image[nr]->view;
	struct model_image *m = &model.image[nr];

	check(store.image[nr]->written || !view->own.nr, "image %u has own writes unknown to it",
	      nr);
	for (u32 c = 0; c < CHUNKS && !broken; c++) {
		u32 base = look(view, c, false), now = look(view, c, true);

		if (model.own_image == (int)nr && model.own_chunk == (int)c &&
		    now == model.own_value)
			m->now[c] = now;
		check(base == m->base[c], "image %u chunk %u: %u, not %u", nr, c, base,
		      m->base[c]);
		check(now == m->now[c], "image %u chunk %u now: %u, not %u", nr, c, now,
		      m->now[c]);
	}
}

/* Which images there are after a load, of those that there may be. */
static void adopt(void)
{
	for (unsigned int i = 0; i < IMAGES; i++) {
		bool there = store.image[i] && store.image[i]->view;
		struct model_image *m = &model.image[i];

		if (there && !m->live && model.coming_nr == (int)i)
			*m = model.coming;
		if (!there && m->maybe_not)
			m->live = false;
		m->maybe_not = false;
	}
	model.coming_nr = -1;
}

static void check_all(void)
{
	u32 used = 0;

	for (unsigned int i = 0; i < IMAGES && !broken; i++) {
		bool there = store.image[i] && store.image[i]->view;

		check(there == model.image[i].live, "image %u is there: %d", i, there);
		if (there && !broken)
			check_image(i);
		if (there)
			used += store.image[i]->view->saved.nr + store.image[i]->view->own.nr;
		model.image[i].maybe_not = false;
	}
	model.own_image = -1;
	model.coming_nr = -1;
	check(used == store.slots.used, "%u slots are in use, not %u", store.slots.used, used);
	check(!store.commit_lock.held, "a lock is held");
}

/*----------------------------------------------------------------
 * What happens
 *--------------------------------------------------------------*/

struct write {
	struct dm_sync_save save;
	u8 *data;
	struct page *pages[RUN * CHUNK_PAGES];
	unsigned long bad[1];
	bool under_way, orphan;
	struct list_head wait;
	int error;
};

static struct write writes[SAVES];

static void prepare(struct write *w, u32 chunk, u32 nr, struct dm_sync_image *own, u32 value)
{
	memset(w, 0, sizeof(*w));
	w->data = aligned_alloc(4096, nr * CHUNK_PAGES * 4096);
	w->save.chunk = chunk;
	w->save.nr = nr;
	w->save.own = own;
	w->save.yields = !own && chunk % 2;	/* a restore's does not */
	w->save.bad = w->bad;
	w->save.pages = w->pages;
	for (u32 i = 0; i < nr * CHUNK_PAGES; i++) {
		u32 v = own ? value : model.source[chunk + i / CHUNK_PAGES];

		w->pages[i] = (struct page *)(w->data + i * 4096);
		fill((u8 *)w->pages[i], v, i % CHUNK_PAGES);
		if (v == UNREADABLE)
			__set_bit(i / CHUNK_PAGES, w->bad);
	}
	w->under_way = true;
}

static void write_over(struct write *w, int error)
{
	check(w->under_way, "ended twice");
	free(w->data);
	w->under_way = false;
	w->error = error;
}

/* The host's write may be issued: nothing of what it changes is needed but from the store. */
static void source_done(struct dm_sync_save *save, int error)
{
	struct write *w = container_of(save, struct write, save);

	if (error == -ECANCELED) {
		w->orphan = true;
		w->under_way = false;
		let_through++;
		return;
	}
	check(store.commit_lock.held, "no lock");
	if (error == -EBUSY) {
		list_add_tail(&w->wait, &store.waiters);
		atomic_inc(&store.nr_waiting);
		dm_sync_store_kick(&store);
		yielded++;
		return;
	}
	write_over(w, error);
	check(!error || error == -EAGAIN, "a save failed: %d", error);
	requeued += error == -EAGAIN;
	if (error || disk->off)
		return;
	saved += save->nr;
	for (u32 i = 0; i < save->nr; i++)
		model.source[save->chunk + i] = new_value();
}

/* Of a write that went on: nobody uses the pages any more. */
void dm_sync_cow_return(struct dm_sync_store *s, struct dm_sync_save *save)
{
	struct write *w = container_of(save, struct write, save);

	(void)s;
	check(w->orphan, "it was not let go of");
	w->orphan = false;
	free(w->data);
}

/* They begin anew; the real ones look again which chunks are left, as the committer does. */
void dm_sync_cow_wake(struct dm_sync_store *s)
{
	struct write *w, *next;
	LIST_HEAD(waiters);

	list_splice_init(&s->waiters, &waiters);
	list_for_each_entry_safe(w, next, &waiters, wait) {
		dm_sync_store_save(s, &w->save);
		atomic_dec(&s->nr_waiting);
	}
}

/* What waits is gone with the machine. */
static void forget_waiters(void)
{
	struct write *w, *next;

	list_for_each_entry_safe(w, next, &store.waiters, wait)
		write_over(w, -EAGAIN);
	INIT_LIST_HEAD(&store.waiters);
	atomic_set(&store.nr_waiting, 0);
}

static void host_writes(void)
{
	u32 nr = 1 + rnd(SAVES), part = CHUNKS / SAVES;

	for (u32 n = 0; n < nr && !disk->off; n++) {
		u32 chunk = n * part + rnd(part - RUN), end = chunk + 1 + rnd(RUN), first;

		/* Chunks that are protected are written, the others saved first. */
		while (chunk < end && dm_sync_view_protected(&store.view, chunk))
			model.source[chunk++] = new_value();
		for (first = chunk; chunk < end; chunk++)
			if (dm_sync_view_protected(&store.view, chunk))
				break;
		if (first == chunk || writes[n].under_way || writes[n].orphan)
			continue;
		prepare(&writes[n], first, chunk - first, NULL, 0);
		writes[n].save.done = source_done;
		dm_sync_store_save(&store, &writes[n].save);
		if (rnd(2))
			work();
	}
	work();
}

static bool any_under_way(void)
{
	for (u32 n = 0; n < SAVES; n++)
		if (writes[n].under_way)
			return true;
	return false;
}

static int pick(void)
{
	unsigned int i, at = rnd(IMAGES);

	for (i = 0; i < IMAGES; i++, at = (at + 1) % IMAGES)
		if (model.image[at].live)
			return at;
	return -1;
}

/* Writes that wait for space keep a point in time from being taken. */
static void create(void)
{
	unsigned int nr = rnd(IMAGES);
	struct dm_sync_view_image *view;
	struct dm_sync_image *image;
	int r;

	if (model.image[nr].live || any_under_way())
		return;
	mutex_lock(&store.commit_lock);
	r = dm_sync_store_prepare_ids(&store);
	if (r)
		goto out;
	view = dm_sync_view_alloc(&store.view, dm_sync_store_take_generation(&store),
				  dm_sync_store_take_own(&store));
	image = store.image[nr] ?: image_make(nr);
	model.coming_nr = nr;
	model.coming.live = true;
	memcpy(model.coming.base, model.source, sizeof(model.source));
	memcpy(model.coming.now, model.source, sizeof(model.source));
	image->lost = image->written = false;
	image->generation = view->generation;
	image->own_id = view->own_id;
	r = dm_sync_store_write_record(&store, image, NULL);
	refused += r && !disk->off;
	if (r) {
		dm_sync_view_free(view);
		image->generation = image->own_id = 0;
		/* It must not come to be believed, unless the power is gone. */
		if (!disk->off)
			model.coming_nr = -1;
		goto out;
	}
	dm_sync_view_add(&store.view, view);
	image->view = view;
	model.image[nr] = model.coming;
out:
	mutex_unlock(&store.commit_lock);
}

static void delete(void)
{
	struct dm_sync_image *image;
	int nr = pick();

	if (nr < 0)
		return;
	image = store.image[nr];
	mutex_lock(&store.commit_lock);
	model.image[nr].maybe_not = true;
	if (!dm_sync_store_erase_record(&store, image)) {
		model.image[nr].live = false;
		view_delete(image);
		image->generation = 0;
	} else if (!disk->off) {
		model.image[nr].maybe_not = store.image_owed;
	}
	/* What the newest batch filled is the first that is looked at. */
	if (rnd(2))
		store.slots.cursor = store.slots.newest;
	mutex_unlock(&store.commit_lock);
	dm_sync_store_kick(&store);
	work();
}

static struct write own;

static void own_done(struct dm_sync_save *save, int error)
{
	struct write *w = container_of(save, struct write, save);

	check(store.commit_lock.held, "no lock");
	write_over(w, error);
	if (!error && !disk->off)
		model.image[save->own->nr].now[save->chunk] = model.own_value;
	owns += !error;
}

static void own_write(void)
{
	u32 slot, chunk = rnd(CHUNKS);
	int nr = pick();

	if (nr < 0 || dm_sync_view_find(store.image[nr]->view, chunk, &slot) == DM_SYNC_FOUND_OWN)
		return;
	model.own_image = nr;
	model.own_chunk = chunk;
	model.own_value = new_value();
	prepare(&own, chunk, 1, store.image[nr], model.own_value);
	own.save.done = own_done;
	dm_sync_store_save(&store, &own.save);
	work();
	check(!own.under_way, "an own write waits");
	if (own.error && !disk->off)
		model.own_image = -1;
}

static void source_rots(void)
{
	u32 c = rnd(CHUNKS);

	if (any_under_way())
		return;
	for (unsigned int i = 0; i < IMAGES; i++) {
		struct dm_sync_image *image = store.image[i];
		u32 slot;

		if (!model.image[i].live)
			continue;
		if (dm_sync_view_find_saved(image->view, c, &slot) == DM_SYNC_FOUND_SOURCE)
			model.image[i].base[c] = UNREADABLE;
		if (dm_sync_view_find(image->view, c, &slot) == DM_SYNC_FOUND_SOURCE)
			model.image[i].now[c] = UNREADABLE;
	}
	model.source[c] = UNREADABLE;
}

/* Nothing may wait when the host's I/O has to end. */
static void let_go(bool requeue)
{
	holds += store.full;
	dm_sync_store_let_go(&store, true, requeue);
	work();
	check(!any_under_way(), "a write waits in a suspend");
	dm_sync_store_let_go(&store, false, false);
	work();
}

static void restart(bool clean)
{
	if (clean)
		let_go(rnd(2));
	if (!disk->off)
		stop(clean);
	if (disk->off || !start() || disk->off)
		return;
	/* A write failed: the device stayed suspended, and is resumed again. */
	disk->fail_nr = 0;
	stop(false);
	start();
}

static void fail_some(void)
{
	disk->fail_at = disk->writes + 1 + rnd(4);
	disk->fail_nr = rnd(4) ? 1 : 1 + rnd(12);
	failures++;
}

/* Until everything that is owed is written, a power cut may show what is lost. */
static void repair(void)
{
	disk->fail_nr = 0;
	timer(&store.probe_work);
	check(disk->off || !store.failed, "the probe does not help");
}

static void step(void)
{
	u32 what = rnd(100);

	if (what < 45)
		host_writes();
	else if (what < 60)
		create();
	else if (what < 66)
		delete();
	else if (what < 80)
		own_write();
	else if (what < 82)
		source_rots();
	else if (what < 86)
		timer(&store.full_work);
	else if (what < 90)
		let_go(rnd(2));
	else if (what < 93)
		restart(true);
	else if (what < 94)
		config.on_full = !config.on_full;
	else
		host_writes();
}

static void cut_recover(void)
{
	int tries = 0;

	cuts++;
	do {
		/* What waited is gone with the machine, as are the images' structures. */
		mutex_lock(&store.commit_lock);
		dm_sync_saves_end(&store, false, -EAGAIN);
		dm_sync_saves_end(&store, true, -EIO);
		forget_waiters();
		mutex_unlock(&store.commit_lock);
		stop(false);
		disk_power_on(disk);
		disk->cut_at = tries++ || rnd(3) ? 0 : disk->writes + 1 + rnd(3);
	} while (start());
	disk->cut_at = 0;
	adopt();
}

static void play_step(void)
{
	bool fails = !rnd(12);

	disk->cut_at = rnd(4) ? 0 : disk->writes + 1 + rnd(6);
	if (fails) {
		disk->cut_at = 0;
		fail_some();
	}
	step();
	disk->cut_at = 0;
	if (fails && !disk->off)
		repair();
	if (disk->off)
		cut_recover();
	check_all();
	steps++;
}

static bool play(unsigned int with_seed, unsigned int length)
{
	u32 slots;

	seed = with_seed;
	rng = 88172645463325252ull ^ ((u64)seed << 24) ^ seed;
	slots = 40 + rnd(300);
	steps = 0;
	broken = false;
	memset(&model, 0, sizeof(model));
	memset(&config, 0, sizeof(config));
	model.coming_nr = model.own_image = -1;
	config.region_sectors = CHUNK_SECTORS;
	config.hold_max = 5;
	disk = disk_create(dm_sync_store_min_sectors(CHUNK_SECTORS, CHUNKS * CHUNK_SECTORS) +
			   (slots - 1) * CHUNK_SECTORS, rnd);
	disk->has_cache = seed & 1;
	disk->cut_at = rnd(4) ? 0 : 1 + rnd(30);
	if (start())
		cut_recover();
	disk->cut_at = 0;
	for (unsigned int i = 0; i < length && !broken; i++)
		play_step();
	if (!broken)
		let_go(true);
	mutex_lock(&store.commit_lock);
	dm_sync_saves_end(&store, false, -EAGAIN);
	forget_waiters();
	mutex_unlock(&store.commit_lock);
	stop(false);
	disk_destroy(disk);
	return !broken;
}

/*----------------------------------------------------------------
 * What it costs
 *--------------------------------------------------------------*/

static void cost(bool has_cache, bool fua)
{
	unsigned long w, f, r;
	u64 sectors;

	seed = fua ? 2 : 1;
	rng = 1;
	broken = false;
	memset(&model, 0, sizeof(model));
	model.coming_nr = model.own_image = -1;
	memset(&config, 0, sizeof(config));
	disk = disk_create(dm_sync_store_min_sectors(CHUNK_SECTORS, CHUNKS * CHUNK_SECTORS) +
			   600 * CHUNK_SECTORS, rnd);
	disk->has_cache = has_cache;
	start();
	do
		create();
	while (pick() < 0);
	w = disk->writes, f = disk->flushes, r = disk->reads, sectors = disk->sectors_written;
	for (u32 n = 0; n < SAVES; n++) {
		prepare(&writes[n], n * 8, RUN, NULL, 0);
		writes[n].save.done = source_done;
		dm_sync_store_save(&store, &writes[n].save);
	}
	work();
	/* BIO_MAX_VECS is 16 pages here */
	eq(disk->writes - w, 1 + 2, "15 chunks: two bios of data and one block");
	eq(disk->sectors_written - sectors, 15 * CHUNK_SECTORS + 8, "and nothing else");
	eq(disk->flushes - f, fua ? 0 : 1, "flushes");
	w = disk->writes, owns = 0;
	own_write();
	eq(disk->writes - w, 3, "the first own write of an image: record, data and block");
	w = disk->writes, f = disk->flushes;
	while (owns < 2)
		own_write();
	eq(disk->writes - w, 2, "those after it: data and block");
	eq(disk->flushes - f, fua ? 0 : 2, "flushes");
	eq(disk->reads - r, 1, "the block was read once, when it was first needed");
	stop(true);
	disk_destroy(disk);
}

static int reload(u32 index)
{
	store.cached = DM_SYNC_NO_BLOCK;
	return load_block(&store, index);
}

/* Damage takes the images, not the store; and not the source. */
static void damage(void)
{
	const u32 block = 2;

	disk->now[(dm_sync_store_slot_block(&store.layout, 0) * block) * 4096 + 100] ^= 1;
	disk->now[(dm_sync_store_slot_block(&store.layout, 0) * block + 1) * 4096 + 100] ^= 1;
}

/* Two records that are whole, each of a name that an image can have, but of the same. */
static void name_twice(void)
{
	struct dm_sync_image *image[2] = { store.image[0], store.image[1] };

	check(image[0] && image[1], "there are not two images");
	mutex_lock(&store.commit_lock);
	image[1]->name[0] = image[0]->name[0];
	check(!dm_sync_store_write_record(&store, image[1], NULL), "the record");
	mutex_unlock(&store.commit_lock);
}

/* A blank store, and nothing known of it. */
static void new_disk(void)
{
	seed = 2;
	rng = 7;
	broken = false;
	memset(&model, 0, sizeof(model));
	model.coming_nr = model.own_image = -1;
	disk = disk_create(dm_sync_store_min_sectors(CHUNK_SECTORS, CHUNKS * CHUNK_SECTORS) +
			   600 * CHUNK_SECTORS, rnd);
}

static void test_damage(void)
{
	new_disk();
	start();
	for (int i = 0; i < 40; i++)
		create();
	host_writes();
	stop(true);
	damage();
	damaged = true;
	given_up = 0;
	ok(!start() && given_up && !store.slots.used && !store.view.nr_images,
	   "damaged slot blocks: the images are given up");
	damaged = false;
	check_all();
	create();
	host_writes();
	stop(true);
	given_up = 0;
	ok(!start() && !given_up, "and the store is as good as new");
	check_all();
	ok(!broken, "with what it has since");
	name_twice();
	stop(true);
	broken = true;			/* do not complain of the refusals */
	ok(start() == -EUCLEAN, "two images of one name are refused");
	stop(false);
	memset(disk->now, 0x11, 4096);
	memset(disk->now + 4096, 0x11, 4096);
	memset(&store, 0, sizeof(store));
	ok(start() == -EEXIST, "what is not ours is refused");
	stop(false);
	disk_destroy(disk);
}

/* Of a slot block that is not cached memory knows one bit. The rest is on the disk. */
static void test_reread(void)
{
	static u8 old[4096], new[4096];
	u8 *homes;

	new_disk();
	start();
	homes = disk->now + dm_sync_store_slot_block(&store.layout, 1) * 2ul * 4096;
	memcpy(old, homes + 4096, 4096);
	ok(!reload(1) && store.slot_block.seq == 2 && store.slot_block.home, "as it was formatted");
	ok(!dm_sync_store_rewrite(&store) && !dm_sync_store_block(&store, 1).home, "the other home");
	ok(!dm_sync_store_rewrite(&store) && dm_sync_store_block(&store, 1).home, "and this one");
	memcpy(new, homes + 4096, 4096);
	ok(!reload(0) && store.slot_block.seq == 2, "another block has another number");
	ok(!reload(1) && store.slot_block.seq == 4, "which is read with the block");
	memcpy(homes + 4096, old, 4096);
	eq(reload(1), -EUCLEAN, "the newest write was lost: an older copy is there");
	eq(store.cached, DM_SYNC_NO_BLOCK, "which is not used");
	memcpy(homes + 4096, new, 4096);
	homes[100] ^= 1;
	ok(!reload(1) && store.slot_block.seq == 4, "the other home need not be right");
	homes[4096 + 100] ^= 1;
	eq(reload(1), -EUCLEAN, "this one has to be");
	homes[100] ^= 1;
	eq(reload(1), -EUCLEAN, "nobody takes the other for it");
	homes[4096 + 100] ^= 1;
	disk->mute = true;
	eq(reload(1), -EIO, "what cannot be read is an error");
	disk->mute = false;
	ok(!reload(1) && !dm_sync_store_rewrite(&store), "it is written again");
	stop(true);
	given_up = 0;
	ok(!start() && !given_up && store.cached == 1 && store.slot_block.seq == 5,
	   "and is the newest at the next start");
	stop(true);
	disk_destroy(disk);
}

/* With one image, and a deadline that is not met soon. */
static void new_store(void)
{
	new_disk();
	config.hold_max = 5;
	start();
	store.hold_max = 5;
	do
		create();
	while (!model.image[0].live);
}

/* Shut down in order; then one home of a block rots that the newest batch is not of. */
static void rot_after_clean_end(void)
{
	u64 at;

	new_store();
	prepare(&writes[0], 0, 3, NULL, 0);
	writes[0].save.done = source_done;
	dm_sync_store_save(&store, &writes[0].save);
	work();
	mutex_lock(&store.commit_lock);
	check(!reload(1) && !dm_sync_store_rewrite(&store), "the newest batch");
	at = dm_sync_store_slot_block(&store.layout, 0) * 2ull +
	     dm_sync_store_block(&store, 0).home;
	mutex_unlock(&store.commit_lock);
	stop(true);
	disk->now[at * 4096 + 100] ^= 1;
	disk->medium[at * 4096 + 100] ^= 1;
}

/* The load that finds damage can be cut anywhere: the next one finds it as well. */
static void test_damage_is_remembered(void)
{
	unsigned long cut;
	bool lost = true, off;

	damaged = true;
	for (cut = 1; cut < 200; cut++) {
		rot_after_clean_end();
		for (u32 i = 0; i < cut; i++)
			rnd(2);
		disk->cut_at = disk->writes + (cut + 3) / 4;
		off = start();
		while (disk->off) {
			stop(false);
			disk_power_on(disk);
			start();
		}
		lost &= store.image[0]->lost && !store.image[0]->view && !store.slots.used;
		stop(true);
		disk_destroy(disk);
		if (!off)
			break;
	}
	damaged = false;
	ok(lost && cut > 8, "damage is found again after a power cut, at any of %lu", cut);
}

static void hang(void)
{
	disk->hang = NULL;
	jiffies += config.hold_max * HZ - 1;
	store.patience.fn(&store.patience);
	ok(!let_through && !store.hung, "a store may be slow");
	jiffies += 2;
	store.patience.fn(&store.patience);
	ok(let_through == 2 && store.hung, "but not for ever: writes are let go of");
	ok(store.image[0]->lost && writes[0].orphan && !writes[0].under_way,
	   "the image is lost, the pages are not");
	eq(store.saves.next == &store.saves, 0, "a save of a restore goes on waiting");
}

/* Two host writes and one of a restore meet a device that does not answer. */
static void test_hang(void)
{
	new_store();
	let_through = given_up = 0;
	for (u32 n = 0; n < SAVES; n++) {
		prepare(&writes[n], n * 8 + n % 2, 3, NULL, 0);
		writes[n].save.yields = n != 1;
		writes[n].save.done = source_done;
		dm_sync_store_save(&store, &writes[n].save);
	}
	disk->hang = hang;
	work();
	ok(!store.hung && !writes[0].orphan && !writes[2].orphan && !writes[1].under_way,
	   "when it answers all is given back");
	ok(given_up && !store.image[0]->view && store.failed, "and the images are given up");
	check_all();
	timer(&store.probe_work);
	ok(!store.failed, "durably, when it can be written");
	stop(true);
	start();
	ok(store.image[0]->lost && !store.image[0]->view, "so they are at the next start");
	check_all();
	create();
	host_writes();
	check_all();
	ok(!broken, "and the store is as good as new");
	stop(true);
	disk_destroy(disk);
}

/* The image is lost; when it is loaded again it still is. */
static void stays_lost(const char *what)
{
	ok(given_up && !store.image[0]->view, "%s: the image is given up", what);
	disk->fail_nr = 0;
	stop(true);
	start();
	ok(store.super.segments && store.image[0]->lost && !store.image[0]->view,
	   "and its record says so after an orderly end");
	check_all();
	ok(!broken, "and the store is as good as new");
	stop(true);
	disk_destroy(disk);
}

/* What is owed is tried again when the store is taken out of use, not only by the probe. */
static void test_removal_before_the_probe(void)
{
	new_store();
	given_up = 0;
	disk->fail_at = disk->writes + 1;
	disk->fail_nr = 1000;
	prepare(&writes[0], 0, 1, NULL, 0);
	writes[0].save.done = source_done;
	dm_sync_store_save(&store, &writes[0].save);
	work();
	ok(store.failed && store.image_owed, "neither save nor record can be written");
	stays_lost("a removal before the probe");
}

static void hang_once(void)
{
	disk->hang = NULL;
	jiffies += config.hold_max * HZ + 1;
	store.patience.fn(&store.patience);
}

/* Who suspends waits for commit_lock, and has it before the committer looks again. */
static void test_removal_after_a_hang(void)
{
	new_store();
	let_through = given_up = 0;
	prepare(&writes[0], 0, 1, NULL, 0);
	writes[0].save.yields = true;
	writes[0].save.done = source_done;
	dm_sync_store_save(&store, &writes[0].save);
	disk->hang = hang_once;
	store.commit_work.queued = false;
	dm_sync_patience_begin(&store);
	mutex_lock(&store.commit_lock);
	dm_sync_patience_away(&store, false);
	commit_once(&store);
	ok(store.hung && let_through == 1 && !given_up, "the source has gone on");
	ok(store.commit_work.queued, "the committer is told");
	dm_sync_store_disarm(&store);
	ok(!store.hung && !writes[0].orphan, "all is given back");
	mutex_unlock(&store.commit_lock);
	work();
	stays_lost("a removal after a hang");
}

/* An error is not the end; a device that does not answer is, until it does. */
static void test_reach(void)
{
	new_disk();
	start();
	do
		create();
	while (pick() < 0);
	told = 0;
	dm_sync_store_suspect(&store, false);
	dm_sync_store_suspect(&store, true);
	work();
	ok(!told && !store.ailing, "a store that answers is well");
	disk->mute = true;
	dm_sync_store_suspect(&store, false);
	work();
	ok(!told, "and is not asked again at once");
	jiffies += ASK_AGAIN + 1;
	timer(&store.probe_work);
	ok(told == 1 && out_of_reach, "one that does not answer is out of reach");
	jiffies += ASK_AGAIN + 1;
	dm_sync_store_suspect(&store, true);
	work();
	timer(&store.probe_work);
	ok(told == 1 && store.probe_work.armed, "and stays so, and is asked");
	disk->mute = false;
	timer(&store.probe_work);
	ok(told == 2 && !out_of_reach && !store.probe_work.armed, "until it answers");
	check_all();
	host_writes();
	check_all();
	ok(!broken, "with all that it had");
	stop(true);
	told = 0;
	dm_sync_store_suspect(&store, true);
	work();
	ok(!told, "a store that is not in use is not asked");
	disk_destroy(disk);
}

int main(int argc, char **argv)
{
	unsigned int first = 1, nr = 80, length = 300, s;
	bool good = true;

	if (argc > 1) {
		first = atoi(argv[1]);
		nr = 1;
	}
	if (argc > 2)
		nr = atoi(argv[2]);
	plan(0);
	cost(false, true);
	cost(true, true);
	cost(true, false);
	test_damage();
	test_reread();
	test_damage_is_remembered();
	test_reach();
	test_hang();
	test_removal_before_the_probe();
	test_removal_after_a_hang();
	for (s = first; s < first + nr; s++)
		good &= play(s, length);
	ok(good, "%u runs of %u steps: all images are right", nr, length);
	printf("# %lu cuts, %lu chunks saved, %lu own, %lu given up, %lu failures, %lu held, %lu yielded\n",
	       cuts, saved, owns, given_up, failures, holds, yielded);
	if (nr > 20)
		ok(cuts > 500 && given_up > 50 && failures > 50 && holds && owns && requeued &&
		   refused && yielded, "nothing was left out");
	eq(warnings, 0, "no warning was raised");
	return done();
}
