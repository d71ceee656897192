// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store in small, against a model that keeps every image in full.
 *
 * The disk is bytes: superblock, image table, slot blocks with both homes, data of the
 * slots. The engine below drives the real codec, index, slots and view over it, in the
 * simplest way that keeps their rules: it is what the real one has to be like. Writes,
 * images, deletions in steps, own writes, resets, refreshes, failing batches and growing
 * come in random order. The power goes in the middle of any write: of a batch its block
 * and any of its data arrive, or not, or torn. After each step
 *
 *  - every chunk of every image is what the model says,
 *  - the slots in use are those that the law of generations names when it is applied to
 *    the entries on disk as it is written, without any index,
 *  - and so is what each image holds alone.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "dm-sync-slots.h"
#include "dm-sync-view.h"
#include "unit.h"

#define CHUNKS		64u		/* that are used; the source has more between them */
#define SPREAD		40u
#define IMAGES		8u
#define TABLE		2u		/* blocks of the image table that are used */
#define BLOCKS		3u
#define MAX_SLOTS	(BLOCKS * DM_SYNC_BLOCK_SLOTS_NR)
#define CHUNK_SECTORS	8u
#define PENDING		2u
#define UNREADABLE	(~0ull)		/* content of a chunk that the source cannot read */

int shim_fail_in;

static const u8 uuid[16] = "this very store";

/* What lies in a slot: a value, and something that shows that it is whole. */
struct data {
	u64 value, mark;
};

struct disk {
	_Alignas(8) u8 super[2][4096];
	_Alignas(8) u8 table[TABLE][2][4096];
	_Alignas(8) u8 slots[BLOCKS][2][4096];
	struct data data[MAX_SLOTS];
};

/* A block as the engine knows it. */
struct block {
	_Alignas(8) u8 buf[4096];
	struct dm_sync_block_id id;
	u64 seq;
	int home;
	u8 (*homes)[4096];
};

struct image {
	u64 base[CHUNKS], now[CHUNKS];	/* point in time, and with its own writes */
	bool written[CHUNKS];		/* by the source's host since the point in time */
};

struct model {
	u64 source[CHUNKS];
	struct image image[IMAGES];
	struct dm_sync_image_record record[IMAGES];
};

struct engine {
	struct dm_sync_store_super super;
	struct dm_sync_store_layout layout;
	struct block super_block, table[TABLE], slots[BLOCKS];
	struct dm_sync_image_record record[IMAGES];
	struct dm_sync_view_image *image[IMAGES];
	struct dm_sync_view view;
	struct dm_sync_slots free;
	u64 batch;
	u32 pending[PENDING];		/* slots + 1 for own writes whose data is written */
	struct dm_sync_view_image *graveyard[64];
	unsigned int nr_graves;
};

static struct disk disk;
static struct engine e;
static struct model model, after;	/* @after: if what is being written arrives */
static bool in_doubt;			/* which of the two it is */
static bool chunk_in_doubt;
static unsigned int doubt_image, doubt_chunk;
static u64 doubt_value;

static u64 rng;
static unsigned int seed;
static unsigned long steps, crashes, batches, dropped, torn, held_back, waits, unread, failures;
static int fuse;			/* writes until the power goes; 0: it does not */
static jmp_buf power_cut;
static bool broken;

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

/*----------------------------------------------------------------
 * The disk
 *--------------------------------------------------------------*/

static struct data data_of(u64 value)
{
	return (struct data) { value, value * 0x9e3779b97f4a7c15ull + 1 };
}

static u32 crc_of(u64 value)
{
	struct data d = data_of(value);

	return ~crc32c(~0u, &d, sizeof(d));
}

/* How much of a write arrives when the power goes. */
static void spill(void *to, const void *from, unsigned int size, unsigned int sector)
{
	unsigned int how = rnd(4), i;

	if (how == 0)
		return;
	if (how == 1)
		memcpy(to, from, size);
	for (i = 0; how > 1 && i < size; i += sector)
		if (rnd(2))
			memcpy((u8 *)to + i, (const u8 *)from + i, sector);
}

static bool power_goes(void)
{
	return fuse && !--fuse;
}

static void cut(void)
{
	crashes++;
	longjmp(power_cut, 1);
}

static void seal(struct block *b)
{
	dm_sync_block_seal(b->buf, uuid, &b->id, b->seq + 1);
}

static void write_block(struct block *b)
{
	seal(b);
	if (power_goes()) {
		spill(b->homes[!b->home], b->buf, 4096, 512);
		cut();
	}
	memcpy(b->homes[!b->home], b->buf, 4096);
	b->home = !b->home;
	b->seq++;
}

static void write_data(u32 slot, u64 value)
{
	struct data d = data_of(value);

	if (power_goes()) {
		spill(&disk.data[slot], &d, sizeof(d), 8);
		cut();
	}
	disk.data[slot] = d;
}

static void format_block(struct block *b)
{
	for (int home = 0; home < 2; home++) {
		dm_sync_block_seal(b->buf, uuid, &b->id, home + 1);
		memcpy(b->homes[home], b->buf, 4096);
	}
	b->seq = 2;
	b->home = 1;
}

/*----------------------------------------------------------------
 * The engine: batches
 *--------------------------------------------------------------*/

struct item {
	unsigned int chunk;
	u64 value;
	struct dm_sync_entry entry;
};

/* Fills slots of one block. @data: write the data with it. @fail: an error, not a crash. */
static void run_batch(u32 first, struct item *item, u32 nr, bool data, bool fail)
{
	u32 place = dm_sync_slot_to_place(first), i;
	struct block *b = &e.slots[dm_sync_slot_to_block(first)];
	struct dm_sync_slot_batch head = { e.batch, nr ? place : 0, nr };
	static struct block old;
	bool crash = power_goes();

	old = *b;
	for (i = 0; i < nr; i++)
		dm_sync_entry_encode(b->buf, place + i, &item[i].entry);
	dm_sync_slot_batch_encode(b->buf, &head);
	seal(b);
	for (i = 0; data && i < nr; i++) {
		struct data d = data_of(item[i].value);

		if (item[i].entry.flags & DM_SYNC_ENTRY_BAD)
			continue;
		if (crash || fail)
			spill(&disk.data[first + i], &d, sizeof(d), 8);
		else
			disk.data[first + i] = d;
	}
	if (crash || fail)
		spill(b->homes[!b->home], b->buf, 4096, 512);
	if (crash)
		cut();
	e.batch++;
	if (fail) {
		*b = old;
		return;
	}
	memcpy(b->homes[!b->home], b->buf, 4096);
	b->home = !b->home;
	b->seq++;
	batches++;
	dm_sync_slots_complete(&e.free, first, nr);
}

/* A block is written that fills no slot; what is held back is free after that. */
static void rewrite(u32 block)
{
	run_batch(block * DM_SYNC_BLOCK_SLOTS_NR, NULL, 0, false, false);
}

static u32 alloc_run(u32 want, u32 *first)
{
	u32 nr = dm_sync_slots_alloc(&e.free, want, first);

	if (!nr && dm_sync_slots_nr_free(&e.free)) {
		check(!dm_sync_slots_nr_ready(&e.free), "free slots are not given");
		waits++;
		rewrite(rnd(BLOCKS));
		nr = dm_sync_slots_alloc(&e.free, want, first);
		check(nr, "nothing is held back and yet there is none");
	}
	return nr;
}

static void slot_free(void *context, u32 slot)
{
	(void)context;
	dm_sync_slots_free(&e.free, slot);
	held_back += slot - e.free.newest < e.free.newest_nr;
}

static u64 chunk_nr(unsigned int chunk)
{
	return (u64)chunk * SPREAD;
}

/* Saves as many as there is space for. Returns how many. */
static u32 save(const unsigned int *chunk, u32 nr)
{
	u32 generation = dm_sync_view_generation(&e.view), first, i, got;
	struct item item[16];
	bool fail;

	got = alloc_run(nr, &first);
	for (i = 0; i < got; i++) {
		u64 value = model.source[chunk[i]];
		bool bad = value == UNREADABLE;

		item[i] = (struct item) { chunk[i], value, {
			chunk_nr(chunk[i]), DM_SYNC_ENTRY_VALID | (bad ? DM_SYNC_ENTRY_BAD : 0),
			generation, bad ? 0 : crc_of(value) } };
		check(!dm_sync_view_reserve(&e.view, chunk_nr(chunk[i])), "memory");
	}
	if (!got)
		return 0;
	fail = !rnd(16);
	run_batch(first, item, got, true, fail);
	if (fail) {
		/* the failed copy goes first; its slots are free */
		failures++;
		rewrite(dm_sync_slot_to_block(first));
		for (i = 0; i < got; i++)
			slot_free(NULL, first + i);
		return 0;
	}
	for (i = 0; i < got; i++)
		check(!dm_sync_view_save(&e.view, generation, item[i].entry.chunk, first + i,
					 item[i].entry.flags & DM_SYNC_ENTRY_BAD), "save");
	return got;
}

/*----------------------------------------------------------------
 * The engine: records
 *--------------------------------------------------------------*/

static void write_super(void)
{
	dm_sync_store_super_encode(e.super_block.buf, &e.super);
	write_block(&e.super_block);
}

static void put_record(unsigned int i)
{
	struct block *b = &e.table[i % TABLE];
	unsigned int place = i / TABLE * 5;

	if (e.record[i].uuid[0])
		dm_sync_image_encode(b->buf, place, &e.record[i]);
	else
		dm_sync_image_erase(b->buf, place);
}

/* @after is what holds if it arrives. */
static void write_record(unsigned int i)
{
	e.record[i] = after.record[i];
	put_record(i);
	in_doubt = true;
	write_block(&e.table[i % TABLE]);
	in_doubt = false;
	model = after;
}

static u32 new_generation(void)
{
	e.super.next_generation++;
	write_super();
	return e.super.next_generation - 1;
}

static u32 new_own_id(void)
{
	e.super.next_own++;
	write_super();
	return e.super.next_own - 1;
}

static void image_begins(struct model *m, unsigned int i, u32 generation, u32 own_id)
{
	struct dm_sync_image_record *r = &m->record[i];

	memset(r, 0, sizeof(*r));
	r->uuid[0] = 1 + i;
	r->name[0] = 'a' + i;
	r->generation = generation;
	r->own_id = own_id;
	memcpy(m->image[i].base, m->source, sizeof(m->source));
	memcpy(m->image[i].now, m->source, sizeof(m->source));
	memset(m->image[i].written, 0, sizeof(m->image[i].written));
}

static void add_image(unsigned int i)
{
	e.image[i] = dm_sync_view_alloc(&e.view, e.record[i].generation, e.record[i].own_id);
	check(!dm_sync_view_add(&e.view, e.image[i]), "add");
}

static void bury(struct dm_sync_view_image *image)
{
	/* a late reader may still look; then all go at once */
	e.graveyard[e.nr_graves++] = image;
	if (e.nr_graves < ARRAY_SIZE(e.graveyard))
		return;
	while (e.nr_graves)
		dm_sync_view_free(e.graveyard[--e.nr_graves]);
}

static void delete_step(void)
{
	struct dm_sync_view_image *image = e.view.dying;

	if (dm_sync_view_delete_step(&e.view, 1 + rnd(3), slot_free, NULL))
		bury(image);
}

/*----------------------------------------------------------------
 * The engine: load
 *--------------------------------------------------------------*/

static void load_plain(struct block *b, bool clean)
{
	struct dm_sync_homes h;

	dm_sync_block_judge(&h, b->homes[0], 0, b->homes[1], 0, uuid, &b->id, clean);
	check(h.home != DM_SYNC_HOME_NONE, "type %u is lost", b->id.type);
	b->home = h.home != DM_SYNC_HOME_NONE ? h.home : 0;
	b->seq = h.last_seq;
	memcpy(b->buf, b->homes[b->home], 4096);
}

static void load_images(void)
{
	for (unsigned int i = 0; i < IMAGES; i++) {
		int r = dm_sync_image_decode(e.table[i % TABLE].buf, i / TABLE * 5, &e.record[i]);

		check(!r || r == -ENOENT, "record %u: %d", i, r);
		if (e.record[i].generation)
			add_image(i);
	}
}

static void believe(u32 index, const struct dm_sync_slot_homes *h, int home)
{
	struct block *b = &e.slots[index];
	struct dm_sync_entry entry;

	memcpy(b->buf, b->homes[home], 4096);
	b->home = home;
	b->seq = h->homes.last_seq;
	for (u32 i = 0; i < dm_sync_store_block_slots(&e.layout, index); i++) {
		check(!dm_sync_entry_decode(b->buf, i, e.layout.nr_chunks, &entry), "entry");
		check(!dm_sync_view_load(&e.view, index * DM_SYNC_BLOCK_SLOTS_NR + i, &entry),
		      "block %u entry %u is refused", index, i);
	}
}

static bool arrived(u32 index, const struct dm_sync_slot_homes *h)
{
	const struct dm_sync_slot_batch *batch = &h->batch[h->homes.home];
	const u8 *buf = e.slots[index].homes[h->homes.home];
	struct dm_sync_entry entry;
	u32 i, slot;

	for (i = batch->first; i < batch->first + (u32)batch->nr; i++) {
		slot = index * DM_SYNC_BLOCK_SLOTS_NR + i;
		dm_sync_entry_decode(buf, i, e.layout.nr_chunks, &entry);
		if (dm_sync_entry_has_crc(&entry) &&
		    ~crc32c(~0u, &disk.data[slot], sizeof(struct data)) != entry.crc)
			return false;
	}
	return true;
}

static void slot_take(void *context, u32 slot)
{
	(void)context;
	check(dm_sync_slots_take(&e.free, slot), "slot %u is in use twice", slot);
}

/* Returns the block to rewrite. */
static u32 load_slots(void)
{
	struct dm_sync_slot_homes h, kept;
	struct dm_sync_slot_scan scan;
	u32 rewrite_block, kept_index = DM_SYNC_NO_BLOCK, i;
	int home, r;
	bool newest, good;

	dm_sync_slot_scan_begin(&scan, &e.super);
	for (i = 0; i < BLOCKS; i++) {
		r = dm_sync_slot_homes_judge(&h, disk.slots[i][0], 0, disk.slots[i][1], 0, uuid,
					     &e.slots[i].id, scan.clean);
		r = dm_sync_slot_scan_add(&scan, i, r, &h, &newest);
		check(!r, "block %u is damaged: %d", i, r);
		if (newest && kept_index != DM_SYNC_NO_BLOCK)
			believe(kept_index, &kept, kept.homes.home);
		if (newest) {
			kept = h;
			kept_index = i;
		} else {
			believe(i, &h, h.homes.home);
		}
	}
	good = !dm_sync_slot_scan_suspects(&scan) || arrived(kept_index, &kept);
	check(!dm_sync_slot_scan_end(&scan, good, &home, &rewrite_block), "a batch is missing");
	dropped += !good;
	torn += scan.torn_block != DM_SYNC_NO_BLOCK;
	if (kept_index != DM_SYNC_NO_BLOCK)
		believe(kept_index, &kept, home);
	e.batch = scan.newest + 1;
	dm_sync_view_load_end(&e.view, slot_take, NULL);
	if (kept_index != DM_SYNC_NO_BLOCK)
		dm_sync_slots_complete(&e.free, kept_index * DM_SYNC_BLOCK_SLOTS_NR +
				       kept.batch[home].first, kept.batch[home].nr);
	return rewrite_block;
}

static void forget(void)
{
	dm_sync_view_exit(&e.view);
	dm_sync_slots_exit(&e.free);
	while (e.nr_graves)
		dm_sync_view_free(e.graveyard[--e.nr_graves]);
}

static bool is_whole(const struct block *b)
{
	u64 seq;

	return !dm_sync_block_check(b->homes[0], uuid, &b->id, &seq) &&
	       !dm_sync_block_check(b->homes[1], uuid, &b->id, &seq);
}

/* Everything that memory knows, where it lives. */
static void blank(void)
{
	memset(&e, 0, sizeof(e));
	e.super_block.id.type = DM_SYNC_BLOCK_STORE;
	e.super_block.homes = disk.super;
	for (u32 i = 0; i < TABLE; i++) {
		e.table[i].id = (struct dm_sync_block_id) { 7, DM_SYNC_BLOCK_IMAGES, i };
		e.table[i].homes = disk.table[i];
	}
	for (u32 i = 0; i < BLOCKS; i++) {
		e.slots[i].id = (struct dm_sync_block_id) { 7, DM_SYNC_BLOCK_SLOTS, i };
		e.slots[i].homes = disk.slots[i];
	}
}

/*
 * Before anything else: what a cut write left of a block must be replaced. As long as it is
 * there, the next write of that home may be cut as well and make the first one whole.
 */
static void mend(u32 slot_block)
{
	if (!is_whole(&e.super_block))
		write_super();
	for (u32 i = 0; i < TABLE; i++)
		if (!is_whole(&e.table[i]))
			write_block(&e.table[i]);
	if (slot_block != DM_SYNC_NO_BLOCK)
		rewrite(slot_block);
}

static void load(void)
{
	const char *why;
	bool clean;
	u32 block;

	blank();
	load_plain(&e.super_block, false);
	why = dm_sync_store_super_decode(e.super_block.buf, &e.super);
	check(!why, "superblock: %s", why ? why : "");
	check(!dm_sync_store_layout(&e.layout, CHUNK_SECTORS, e.super.source_sectors,
				    e.super.store_sectors), "layout");
	clean = e.super.flags & DM_SYNC_STORE_CLEAN;
	dm_sync_view_init(&e.view, e.layout.nr_chunks);
	dm_sync_slots_init(&e.free, e.layout.nr_slots);
	for (u32 i = 0; i < TABLE; i++)
		load_plain(&e.table[i], clean);
	load_images();
	check(!dm_sync_view_load_begin(&e.view, e.super.next_generation, e.super.next_own,
				       e.layout.nr_slots), "load");
	if (broken)
		return;
	block = load_slots();
	if (in_doubt && !memcmp(e.record, after.record, sizeof(e.record)))
		model = after;
	check(!memcmp(e.record, model.record, sizeof(e.record)), "the records are others");
	mend(block);
	in_doubt = false;
	if (clean) {
		e.super.flags = 0;
		write_super();
	}
}

static u64 store_sectors(u32 nr_slots)
{
	return dm_sync_store_min_sectors(CHUNK_SECTORS, (u64)CHUNKS * SPREAD * CHUNK_SECTORS) +
	       (nr_slots - 1) * CHUNK_SECTORS;
}

static void format(u32 nr_slots)
{
	memset(&disk, 0x5a, sizeof(disk));
	blank();
	e.super = (struct dm_sync_store_super) {
		.chunk_sectors = CHUNK_SECTORS,
		.source_sectors = (u64)CHUNKS * SPREAD * CHUNK_SECTORS,
		.store_sectors = store_sectors(nr_slots), .segments = 1,
		.next_generation = 1, .next_own = 1, .epoch = 7,
	};
	dm_sync_store_super_encode(e.super_block.buf, &e.super);
	format_block(&e.super_block);
	for (u32 i = 0; i < TABLE; i++)
		format_block(&e.table[i]);
	for (u32 i = 0; i < BLOCKS; i++)
		format_block(&e.slots[i]);
}

/*----------------------------------------------------------------
 * Checks
 *--------------------------------------------------------------*/

static u64 look(struct dm_sync_view_image *image, unsigned int c, bool own)
{
	enum dm_sync_found found;
	u32 slot;

	found = own ? dm_sync_view_find(image, chunk_nr(c), &slot) :
		      dm_sync_view_find_saved(image, chunk_nr(c), &slot);
	switch (found) {
	case DM_SYNC_FOUND_SOURCE:
		return model.source[c];
	case DM_SYNC_FOUND_BAD:
		return UNREADABLE;
	default:
		check(dm_sync_slots_in_use(&e.free, slot), "slot %u is free and is read", slot);
		check(disk.data[slot].mark == data_of(disk.data[slot].value).mark,
		      "slot %u is torn", slot);
		return disk.data[slot].value;
	}
}

static void check_image(unsigned int i)
{
	struct image *m = &model.image[i];

	for (unsigned int c = 0; c < CHUNKS; c++) {
		u64 base = look(e.image[i], c, false), now = look(e.image[i], c, true);

		if (chunk_in_doubt && doubt_image == i && doubt_chunk == c && now == doubt_value)
			m->now[c] = now;
		check(base == m->base[c], "image %u chunk %u at its time: %llu, not %llu", i, c,
		      base, m->base[c]);
		check(now == m->now[c], "image %u chunk %u: %llu, not %llu", i, c, now, m->now[c]);
		unread += now == UNREADABLE;
	}
}

static void check_content(void)
{
	struct dm_sync_view_image *newest = e.view.newest;
	u32 slot;

	for (unsigned int i = 0; i < IMAGES && !broken; i++)
		if (model.record[i].generation)
			check_image(i);
	chunk_in_doubt = false;
	if (newest && newest->dying)
		newest = newest->older;
	for (unsigned int c = 0; c < CHUNKS; c++)
		check(dm_sync_view_protected(&e.view, chunk_nr(c)) ==
		      (!newest || dm_sync_view_find_saved(newest, chunk_nr(c), &slot) !=
		       DM_SYNC_FOUND_SOURCE), "chunk %u is protected or not", c);
}

static struct dm_sync_entry entries[MAX_SLOTS];
static u16 by_chunk[CHUNKS][MAX_SLOTS], nr_by_chunk[CHUNKS];

/* [G1] to the letter, over all entries on disk, for all images but one. */
static unsigned int apply_law(unsigned int without, u8 *used)
{
	unsigned int nr = 0;

	memset(used, 0, MAX_SLOTS);
	for (unsigned int i = 0; i < IMAGES; i++) {
		const struct dm_sync_image_record *r = &model.record[i];

		if (!r->generation || i == without)
			continue;
		for (unsigned int c = 0; c < CHUNKS; c++) {
			int first = -1;

			for (unsigned int k = 0; k < nr_by_chunk[c]; k++) {
				u32 slot = by_chunk[c][k];

				if (entries[slot].flags & DM_SYNC_ENTRY_OWN) {
					used[slot] |= entries[slot].generation == r->own_id;
					continue;
				}
				if (entries[slot].generation >= r->generation &&
				    (first < 0 || entries[slot].generation <
				     entries[first].generation))
					first = slot;
			}
			if (first >= 0)
				used[first] = 1;
		}
	}
	for (u32 slot = 0; slot < MAX_SLOTS; slot++)
		nr += used[slot];
	return nr;
}

static void check_space(void)
{
	static u8 used[MAX_SLOTS], less[MAX_SLOTS];
	unsigned int nr, pending = 0;

	memset(nr_by_chunk, 0, sizeof(nr_by_chunk));
	for (u32 slot = 0; slot < e.layout.nr_slots; slot++) {
		dm_sync_entry_decode(e.slots[dm_sync_slot_to_block(slot)].buf,
				     dm_sync_slot_to_place(slot), e.layout.nr_chunks,
				     &entries[slot]);
		if (entries[slot].flags) {
			unsigned int c = entries[slot].chunk / SPREAD;

			by_chunk[c][nr_by_chunk[c]++] = slot;
		}
	}
	nr = apply_law(IMAGES, used);
	for (u32 i = 0; i < PENDING; i++) {
		pending += !!e.pending[i];
		check(!e.pending[i] || !used[e.pending[i] - 1], "a pending slot is in use");
	}
	check(e.free.used == nr + pending, "%u slots are in use, not %u + %u", e.free.used, nr,
	      pending);
	for (u32 slot = 0; slot < e.layout.nr_slots; slot++)
		check(!used[slot] || dm_sync_slots_in_use(&e.free, slot), "slot %u", slot);
	for (unsigned int i = 0; i < IMAGES; i++)
		if (model.record[i].generation)
			check(e.image[i]->alone == nr - apply_law(i, less),
			      "image %u holds %llu alone, not %u", i, e.image[i]->alone,
			      nr - apply_law(i, less));
}

/*----------------------------------------------------------------
 * What happens
 *--------------------------------------------------------------*/

static int pick_image(void)
{
	unsigned int i, at = rnd(IMAGES);

	for (i = 0; i < IMAGES; i++, at = (at + 1) % IMAGES)
		if (model.record[at].generation)
			return at;
	return -1;
}

static u64 new_value(void)
{
	static u64 counter;

	return ++counter;
}

static void source_written(unsigned int c)
{
	for (unsigned int i = 0; i < IMAGES; i++)
		model.image[i].written[c] = true;
	model.source[c] = new_value();
}

static void host_write(void)
{
	unsigned int chunk[16], want[16], nr = 1 + rnd(12), wanting = 0, i, first = rnd(CHUNKS);
	bool stream = rnd(2);

	for (i = 0; i < nr; i++) {
		chunk[i] = stream ? (first + i) % CHUNKS : (first + i * 5) % CHUNKS;
		if (!dm_sync_view_protected(&e.view, chunk_nr(chunk[i])))
			want[wanting++] = chunk[i];
	}
	if (wanting)
		save(want, wanting);
	for (i = 0; i < nr; i++)
		if (dm_sync_view_protected(&e.view, chunk_nr(chunk[i])))
			source_written(chunk[i]);
}

/*
 * A sector of the source rots: the images that look there lose it, too. Of what was not
 * written since, some was saved all the same, by a batch whose writes never came.
 */
static void source_rots(void)
{
	unsigned int c = rnd(CHUNKS);
	u32 slot;

	model.source[c] = UNREADABLE;
	for (unsigned int i = 0; i < IMAGES; i++) {
		struct image *m = &model.image[i];

		if (!model.record[i].generation || m->written[c] ||
		    dm_sync_view_find_saved(e.image[i], chunk_nr(c), &slot) != DM_SYNC_FOUND_SOURCE)
			continue;
		if (m->now[c] == m->base[c])
			m->now[c] = UNREADABLE;
		m->base[c] = UNREADABLE;
	}
}

static void create(void)
{
	unsigned int i = rnd(IMAGES);
	u32 generation, own_id;

	if (model.record[i].generation)
		return;
	generation = new_generation();
	own_id = new_own_id();
	after = model;
	image_begins(&after, i, generation, own_id);
	write_record(i);
	add_image(i);
}

static void delete(int i)
{
	if (i < 0 || e.view.dying)
		return;
	after = model;
	memset(&after.record[i], 0, sizeof(after.record[i]));
	write_record(i);
	check(!dm_sync_view_delete_begin(&e.view, e.image[i]), "delete");
	e.image[i] = NULL;
	if (rnd(2))
		delete_step();
}

/* A new point in time in one record: the old generation goes, another comes. */
static void refresh(void)
{
	struct dm_sync_view_image *old;
	u32 generation, own_id;
	int i = pick_image();

	if (i < 0 || e.view.dying)
		return;
	generation = new_generation();
	own_id = new_own_id();
	after = model;
	image_begins(&after, i, generation, own_id);
	write_record(i);
	old = e.image[i];
	add_image(i);
	check(!dm_sync_view_delete_begin(&e.view, old), "refresh");
}

static void reset(void)
{
	int i = pick_image();
	u32 own_id;

	if (i < 0)
		return;
	own_id = new_own_id();
	after = model;
	after.record[i].own_id = own_id;
	memcpy(after.image[i].now, after.image[i].base, sizeof(after.image[i].now));
	write_record(i);
	dm_sync_view_reset(e.image[i], own_id, slot_free, NULL);
}

static void own_in_place(unsigned int i, unsigned int c, u32 slot)
{
	struct data d;

	doubt_image = i;
	doubt_chunk = c;
	doubt_value = new_value();
	d = data_of(doubt_value);
	chunk_in_doubt = true;
	if (power_goes()) {
		if (rnd(2))
			disk.data[slot] = d;
		cut();
	}
	chunk_in_doubt = false;
	disk.data[slot] = d;
	model.image[i].now[c] = doubt_value;
}

/* The data goes into a slot that is free, and may lie there for a while. */
static void own_prepare(void)
{
	u32 slot, at = rnd(PENDING);

	if (e.pending[at] || !alloc_run(1, &slot))
		return;
	e.pending[at] = slot + 1;
	write_data(slot, new_value());
}

static void own_write(void)
{
	unsigned int c = rnd(CHUNKS), at = rnd(PENDING);
	int i = pick_image();
	struct item item;
	u32 slot;

	if (i < 0)
		return;
	if (dm_sync_view_find(e.image[i], chunk_nr(c), &slot) == DM_SYNC_FOUND_OWN) {
		own_in_place(i, c, slot);
		return;
	}
	if (!e.pending[at])
		return;
	slot = e.pending[at] - 1;
	item = (struct item) { c, disk.data[slot].value, {
		chunk_nr(c), DM_SYNC_ENTRY_VALID | DM_SYNC_ENTRY_OWN, e.record[i].own_id, 0 } };
	doubt_image = i;
	doubt_chunk = c;
	doubt_value = item.value;
	chunk_in_doubt = true;
	run_batch(slot, &item, 1, false, false);
	chunk_in_doubt = false;
	e.pending[at] = 0;
	check(!dm_sync_view_reserve_own(e.image[i], chunk_nr(c)), "memory");
	check(!dm_sync_view_write(e.image[i], chunk_nr(c), slot), "own write");
	model.image[i].now[c] = item.value;
}

static void give_up(void)
{
	u32 at = rnd(PENDING);

	if (e.pending[at])
		slot_free(NULL, e.pending[at] - 1);
	e.pending[at] = 0;
}

static void shut_down(void)
{
	e.super.flags = DM_SYNC_STORE_CLEAN;
	e.super.batch = e.batch - 1;
	write_super();
	forget();
	load();
}

static void grow(void)
{
	u32 nr = e.layout.nr_slots + rnd(100);

	if (nr > MAX_SLOTS)
		return;
	e.super.store_sectors = store_sectors(nr);
	e.super.batch = e.batch - 1;
	write_super();
	dm_sync_store_layout(&e.layout, CHUNK_SECTORS, e.super.source_sectors,
			     e.super.store_sectors);
	check(e.layout.nr_slots == nr, "layout: %u slots, not %u", e.layout.nr_slots, nr);
	check(!dm_sync_slots_grow(&e.free, nr), "grow");
}

/*
 * What was saved last loses its image at once and is looked for first when space is needed;
 * then the power goes.
 */
static void reuse(void)
{
	int newest = -1;

	host_write();
	for (unsigned int i = 0; i < IMAGES; i++)
		if (model.record[i].generation && (newest < 0 || model.record[i].generation >
						   model.record[newest].generation))
			newest = i;
	delete(newest);
	while (e.view.dying)
		delete_step();
	e.free.cursor = e.free.newest;
	if (rnd(2))
		fuse = 1;
	host_write();
}

static void step(void)
{
	u32 what = rnd(100);

	if (e.view.dying && !rnd(3))
		delete_step();
	if (what < 45)
		host_write();
	else if (what < 55)
		create();
	else if (what < 63)
		delete(pick_image());
	else if (what < 66)
		refresh();
	else if (what < 69)
		reset();
	else if (what < 77)
		own_prepare();
	else if (what < 87)
		own_write();
	else if (what < 89)
		give_up();
	else if (what < 90)
		source_rots();
	else if (what < 91)
		grow();
	else if (what < 92 && !e.view.dying)
		shut_down();
	else if (what < 95)
		reuse();
}

static void check_all(void)
{
	check_content();
	if (!e.view.dying)
		check_space();
}

/* Powers up, and again when the power goes meanwhile, and then goes on. */
static void run(unsigned long until)
{
	while (steps < until && !broken) {
		fuse = rnd(4) ? 0 : 1 + rnd(3);
		step();
		steps++;
		fuse = 0;
		check_all();
	}
}

static void delete_all(void)
{
	struct dm_sync_image_record none = { };

	for (unsigned int at = 0; at < PENDING; at++) {
		if (e.pending[at])
			slot_free(NULL, e.pending[at] - 1);
		e.pending[at] = 0;
	}
	for (unsigned int i = 0; i < IMAGES; i++) {
		while (e.view.dying)
			delete_step();
		if (!e.record[i].generation)
			continue;
		e.record[i] = none;
		model.record[i] = none;
		put_record(i);
		write_block(&e.table[i % TABLE]);
		dm_sync_view_delete_begin(&e.view, e.image[i]);
	}
	while (e.view.dying)
		delete_step();
	check(!e.free.used, "%u slots are left", e.free.used);
	forget();
	load();
	check(!e.free.used, "%u slots are left after a load", e.free.used);
}

static bool play(unsigned int with_seed, unsigned int length)
{
	volatile unsigned long until;

	seed = with_seed;
	rng = 88172645463325252ull ^ ((u64)seed << 24) ^ seed;
	steps = 0;
	broken = false;
	in_doubt = false;
	chunk_in_doubt = false;
	fuse = 0;
	memset(&model, 0, sizeof(model));
	until = length;
	format(seed % 2 ? 40 + rnd(60) : 100 + rnd(200));
	if (setjmp(power_cut))
		forget();
	if (!broken) {
		fuse = rnd(8) ? 0 : 1;
		load();
		fuse = 0;
		if (!broken)
			check_all();
		run(until);
	}
	fuse = 0;
	if (!broken)
		delete_all();
	forget();
	return !broken;
}

int main(int argc, char **argv)
{
	unsigned int first = 1, nr = 60, length = 500, s;
	bool good = true;

	if (argc > 1) {
		first = atoi(argv[1]);
		nr = 1;
	}
	if (argc > 2)
		nr = atoi(argv[2]);
	plan(0);
	for (s = first; s < first + nr; s++)
		good &= play(s, length);
	ok(good, "%u runs of %u steps: all images, slots and counts are right", nr, length);
	printf("# %lu crashes, %lu batches, %lu failed, %lu dropped, %lu torn, %lu slots held back\n",
	       crashes, batches, failures, dropped, torn, held_back);
	if (nr > 20) {
		ok(crashes > 1000 && dropped > 100 && torn > 100, "the power went often enough");
		ok(failures && held_back && waits && unread, "nothing was left out");
	}
	return done();
}
