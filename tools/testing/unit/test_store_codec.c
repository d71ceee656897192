// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store as bytes: layout, every field at its place, and what is believed of slot blocks
 * in each state that their homes can be in.
 */
#include <stdlib.h>

#include "dm-sync-store-codec.h"
#include "unit.h"

#define SEGMENT	(64ull * 252)

static const u8 ours[16] = "the store's uuid", theirs[16] = "another's uuid.";

/*----------------------------------------------------------------
 * Layout
 *--------------------------------------------------------------*/

static void check_layout(u32 chunk, u64 source, u64 store)
{
	struct dm_sync_store_layout l;
	u64 end, sector, before = 0;
	u32 slot, next;

	expect(!dm_sync_store_layout(&l, chunk, source, store), "layout");
	end = (u64)(13 + l.restore_blocks) * 16;
	expect(l.nr_chunks * chunk >= source && (l.nr_chunks - 1) * chunk < source, "chunks");
	expect((u64)l.restore_blocks * 32256 >= l.nr_chunks, "restore map");
	expect(l.first_segment >= end && l.first_segment % 1024 == 0 &&
	       l.first_segment % chunk == 0, "the first segment is at %llu", l.first_segment);
	expect(l.first_segment - end < max(chunk, 1024u), "and no later than it must");
	expect(l.nr_segments == (l.nr_slots + SEGMENT - 1) / SEGMENT, "segments");
	/* first and last slot of each segment, and of the store */
	for (slot = 0; slot < l.nr_slots; slot = next) {
		u64 head = (u64)dm_sync_store_slot_block(&l, slot / 252) * 16;

		sector = dm_sync_store_slot_sector(&l, slot);
		expect(sector % chunk == 0, "slot %u is aligned", slot);
		expect(slot % SEGMENT || (head >= before && head >= end &&
					  sector >= head + 64 * 16 &&
					  sector - head - 64 * 16 < max(chunk, 1024u)),
		       "slot %u at %llu, its segment at %llu", slot, sector, head);
		expect(!before || slot % SEGMENT == 0 || sector == before, "slot %u", slot);
		expect(dm_sync_store_slot_block(&l, slot / 252) ==
		       dm_sync_store_slot_block(&l, slot / SEGMENT * 64) + slot % SEGMENT / 252,
		       "block of slot %u", slot);
		before = sector + chunk;
		expect(before <= store, "slot %u ends at %llu", slot, before);
		next = slot + 1;
		if (l.nr_slots > 100000 && next % SEGMENT > 300 &&
		    next % SEGMENT < SEGMENT - 1 && next < l.nr_slots - 1) {
			next += min(SEGMENT - 1 - next % SEGMENT, (u64)l.nr_slots - 1 - next);
			before += (u64)(next - slot - 1) * chunk;
		}
	}
	expect(store - before < chunk + max(chunk, 1024u), "space for %llu is not used",
	       (store - before) / chunk);
	expect(dm_sync_store_block_slots(&l, (l.nr_slots - 1) / 252) == (l.nr_slots - 1) % 252 + 1,
	       "slots of the last block");
	expect(!dm_sync_store_block_slots(&l, (l.nr_slots - 1) / 252 + 1), "and behind it");
}

static void test_layout(void)
{
	static const u32 chunks[] = { 8, 16, 128, 1024, 2048, 65536 };
	struct dm_sync_store_layout l;
	u64 least, source;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		u64 segment = max(chunks[i], 1024u) + SEGMENT * chunks[i];

		source = 1000003ull * chunks[i] + 5;
		least = dm_sync_store_min_sectors(chunks[i], source);
		expect(dm_sync_store_layout(&l, chunks[i], source, least - 1) == -ENOSPC,
		       "one sector too few");
		check_layout(chunks[i], source, least);
		check_layout(chunks[i], source, least + 777 * chunks[i] + 3);
		check_layout(chunks[i], source, least + segment - 2 * chunks[i]);
		check_layout(chunks[i], source, least + segment - chunks[i]);
		check_layout(chunks[i], source, least + segment - 1);
		check_layout(chunks[i], source, least + segment);
		check_layout(chunks[i], source, least + 9 * segment + 4000 * chunks[i]);
		point("layout: chunks of %u sectors", chunks[i]);
	}
	eq(dm_sync_store_layout(&l, 128, 1ull << 31, 1ull << 31), 0, "1 TiB, 64 KiB:");
	eq(l.nr_chunks, 1 << 24, "16 Mi chunks");
	eq(l.restore_blocks, 521, "521 blocks of restore map");
	eq(l.first_segment, 9 * 1024, "segments from 4.5 MiB on");
	eq(l.head_sectors, 1024, "512 KiB of slot blocks each");
	eq(dm_sync_store_slot_block(&l, 64), 9 * 64 + 64 + SEGMENT * 8, "the second segment");
	eq(dm_sync_store_chunk_sectors(&l, 0), 128, "a whole chunk");
	eq(dm_sync_store_layout(&l, 128, 129, 1 << 20), 0, "a small source");
	eq(dm_sync_store_chunk_sectors(&l, 1), 1, "its last chunk is short");
	eq(dm_sync_store_layout(&l, 12, 1000, 1 << 20), -EINVAL, "12 is no power of two");
	eq(dm_sync_store_layout(&l, 4, 1000, 1 << 20), -EINVAL, "too small");
	eq(dm_sync_store_layout(&l, 1 << 22, 1000, 1 << 20), -EINVAL, "too large");
	eq(dm_sync_store_layout(&l, 8, 0, 1 << 20), -EINVAL, "no source");
	eq(dm_sync_store_layout(&l, 8, 8ull << 33, 1 << 20), -EFBIG, "too many chunks");
	eq(dm_sync_store_min_sectors(12, 1000), 0, "no smallest store either");
	eq(dm_sync_store_layout(&l, 8, 1 << 20, ~0ull), 0, "an endless store");
	ok(l.nr_slots <= DM_SYNC_MAX_SLOTS && l.nr_slots > 2000000000, "%u slots", l.nr_slots);
	ok(dm_sync_store_slot_sector(&l, l.nr_slots - 1) < 1ull << 36, "in the first 32 TiB");
}

/*----------------------------------------------------------------
 * Fields
 *--------------------------------------------------------------*/

static u64 field(const u8 *block, unsigned int offset, unsigned int size)
{
	u64 value = 0;

	while (size--)
		value = value << 8 | block[offset + size];
	return value;
}

static bool zeroes(const u8 *block, unsigned int from, unsigned int to)
{
	while (from < to && !block[from])
		from++;
	return from == to;
}

static void test_super(void)
{
	struct dm_sync_store_super s = {
		.flags = 1, .chunk_sectors = 128, .source_sectors = 1000000,
		.store_sectors = 3000000, .segments = 1, .next_generation = 0xa1b2c3d4,
		.next_own = 0x11223344, .restoring = 252, .epoch = 0x0102030405060708,
		.batch = 0x1112131415161718, .established = 0x2122232425262728,
	}, t = { };
	_Alignas(8) static u8 b[4096];

	memset(b, 0xff, sizeof(b));
	dm_sync_store_super_encode(b, &s);
	ok(field(b, 64, 4) == 1 && field(b, 68, 4) == 0 && field(b, 72, 4) == 1 &&
	   field(b, 76, 4) == 128 && field(b, 80, 8) == 1000000 && field(b, 88, 8) == 3000000 &&
	   field(b, 96, 4) == 1 && field(b, 100, 4) == 0xa1b2c3d4 &&
	   field(b, 104, 4) == 0x11223344 && field(b, 108, 4) == 252 &&
	   field(b, 112, 8) == s.epoch && field(b, 120, 8) == s.batch &&
	   field(b, 128, 8) == s.established && zeroes(b, 136, 4096), "superblock: each field");
	ok(!dm_sync_store_super_decode(b, &t) && !memcmp(&s, &t, sizeof(s)), "and back");
#define REFUSED(offset, value, why) do { \
		u8 old = b[offset]; \
		b[offset] = value; \
		ok(dm_sync_store_super_decode(b, &t), "refused: " why); \
		b[offset] = old; \
	} while (0)
	REFUSED(64, 2, "another version");
	REFUSED(69, 1, "an unknown feature");
	REFUSED(76, 0, "no chunk size");
	REFUSED(76, 129, "no power of two");
	REFUSED(96, 9, "more segments than fit");
	REFUSED(108, 253, "an image that cannot be");
	b[73] = 4;
	ok(!dm_sync_store_super_decode(b, &t) && t.flags == 0x401, "an unknown flag is kept");
	s.store_sectors = 1000;
	dm_sync_store_super_encode(b, &s);
	ok(dm_sync_store_super_decode(b, &t), "refused: a store without space");
	s.store_sectors = 3000000;
	s.next_generation = 0;
	dm_sync_store_super_encode(b, &s);
	ok(dm_sync_store_super_decode(b, &t), "refused: generation 0");
	s.next_generation = 1;
	s.next_own = 0;
	dm_sync_store_super_encode(b, &s);
	ok(dm_sync_store_super_decode(b, &t), "refused: own id 0");
}

static void test_names(void)
{
	static const char all[] = "azAZ09._+-";
	char name[66] = "";
	int c, good = 0;

	ok(dm_sync_image_name_ok(all) && dm_sync_image_name_ok("...") &&
	   dm_sync_image_name_ok(".a") && dm_sync_image_name_ok("-"), "names");
	ok(!dm_sync_image_name_ok("") && !dm_sync_image_name_ok(".") &&
	   !dm_sync_image_name_ok(".."), "no names");
	for (c = 1; c < 256; c++) {
		name[0] = 'x';
		name[1] = c;
		good += dm_sync_image_name_ok(name);
	}
	eq(good, 26 + 26 + 10 + 4, "letters, digits, and four more");
	memset(name, 'n', 63);
	ok(dm_sync_image_name_ok(name), "63 of them");
	name[63] = 'n';
	ok(!dm_sync_image_name_ok(name), "64 are too many");
	name[64] = 'n';
	ok(!dm_sync_image_name_ok(name), "and 65");
}

static void test_record(void)
{
	struct dm_sync_image_record r = {
		.uuid = "0123456789abcde", .name = "before_the-upgrade+1.0", .generation = 0x01020304,
		.own_id = 0x05060708, .established = 0x1112131415161718,
		.sync_time = 0x2122232425262728, .reason_time = 0x3132333435363738,
		.reason = 0x41424344, .flags = 0x51525354, .sync_type = 1, .copy_type = 2,
		.methodology = 3, .priority = 4, .copy_state = 5, .progress = 6, .requested = 7,
		.changes = 0x61626364,
	}, t, other = r;
	_Alignas(8) static u8 b[4096];
	const u8 *p = b + 64 + 20 * 192;

	memset(&t, 0x77, sizeof(t));
	memset(b, 0xff, sizeof(b));
	dm_sync_image_encode(b, 20, &r);
	ok(!memcmp(p, r.uuid, 16) && !memcmp(p + 16, r.name, 64) &&
	   field(p, 80, 4) == r.generation && field(p, 84, 4) == r.own_id &&
	   field(p, 88, 8) == r.established && field(p, 96, 8) == r.sync_time &&
	   field(p, 104, 8) == r.reason_time && field(p, 112, 4) == r.reason &&
	   field(p, 116, 4) == r.flags && field(p, 120, 8) == 0x0007060504030201 &&
	   field(p, 128, 4) == r.changes && zeroes(p, 132, 192), "record: each field");
	ok(p + 192 == b + 4096 && p[-1] == 0xff, "the last one ends the block");
	eq(dm_sync_image_decode(b, 20, &t), 0, "and back");
	ok(!memcmp(&t, &r, sizeof(r)), "the same");
	memset(other.name, 'x', sizeof(other.name));
	dm_sync_image_encode(b, 0, &other);
	ok(!dm_sync_image_decode(b, 0, &t) && !t.name[63] && t.name[62] == 'x', "a name ends");
	ok(!dm_sync_image_decode(b, 20, &t), "its neighbours are left alone");
	dm_sync_image_erase(b, 20);
	eq(dm_sync_image_decode(b, 20, &t), -ENOENT, "a free one");
	ok(!t.generation, "says nothing");
	b[64 + 79] = 'x';
	eq(dm_sync_image_decode(b, 0, &t), -EUCLEAN, "a name without end");
	b[64 + 79] = 0;
	eq(dm_sync_image_decode(b, 0, &t), 0, "with its end");
	b[64 + 16 + 5] = '/';
	eq(dm_sync_image_decode(b, 0, &t), -EUCLEAN, "a name that no directory can have");
	memset(b + 64 + 16, 0, 64);
	eq(dm_sync_image_decode(b, 0, &t), -EUCLEAN, "no name");
	other.own_id = 0;
	dm_sync_image_encode(b, 0, &other);
	eq(dm_sync_image_decode(b, 0, &t), -EUCLEAN, "a generation without own id");
	other.generation = 0;
	dm_sync_image_encode(b, 0, &other);
	eq(dm_sync_image_decode(b, 0, &t), 0, "neither");
}

static int entry_result(u64 chunk, u16 flags, u32 generation)
{
	struct dm_sync_entry e = { chunk, flags, generation, 0x33445566 };
	_Alignas(8) static u8 b[4096];

	if (!flags)
		e.crc = 0;
	dm_sync_entry_encode(b, 251, &e);
	return dm_sync_entry_decode(b, 251, 1000, &e);
}

static void test_entry(void)
{
	struct dm_sync_entry e = { 0x123456789abc, DM_SYNC_ENTRY_VALID, 0x11223344, 0x55667788 }, t;
	struct dm_sync_slot_batch a = { 0x0102030405060708, 7, 245 }, c;
	static const struct dm_sync_block_id id = { 5, DM_SYNC_BLOCK_SLOTS, 3 },
		map = { 5, DM_SYNC_BLOCK_RESTORE_MAP, 3 };
	_Alignas(8) static u8 b[4096];
	u64 seq;

	dm_sync_entry_encode(b, 2, &e);
	ok(field(b, 96, 6) == e.chunk && field(b, 102, 2) == 1 &&
	   field(b, 104, 4) == e.generation && field(b, 108, 4) == e.crc, "entry: each field");
	eq(dm_sync_entry_decode(b, 2, 1ull << 48, &t), 0, "and back");
	ok(t.chunk == e.chunk && t.flags == e.flags && t.generation == e.generation &&
	   t.crc == e.crc, "the same");
	eq(dm_sync_entry_decode(b, 3, 1000, &t), 0, "one that was never used");
	ok(!t.flags, "says so");
	eq(entry_result(999, 1, 1), 0, "the last chunk");
	eq(entry_result(1000, 1, 1), -EUCLEAN, "no such chunk");
	eq(entry_result(9, 1, 0), -EUCLEAN, "no generation");
	eq(entry_result(9, 9, 1), -EUCLEAN, "an unknown flag");
	eq(entry_result(9, 2, 1), -EUCLEAN, "not valid, but something");
	eq(entry_result(9, 0, 0), -EUCLEAN, "unused, but something");
	eq(entry_result(9, 3, 1), 0, "an own write");
	eq(entry_result(9, 5, 1), 0, "a bad chunk");
	eq(entry_result(9, 7, 1), -EUCLEAN, "but not both");
	for (t.flags = 0; t.flags < 8; t.flags++)
		expect(dm_sync_entry_has_crc(&t) == (t.flags == 1), "flags %u", t.flags);
	point("only data that was saved has a checksum");

	dm_sync_slot_batch_encode(b, &a);
	dm_sync_block_seal(b, ours, &id, 9);
	ok(field(b, 48, 2) == 7 && field(b, 50, 2) == 245 && !field(b, 52, 4) &&
	   field(b, 56, 8) == a.number, "batch: sealed in the header");
	ok(!dm_sync_block_check(b, ours, &id, &seq) && seq == 9, "under its checksum");
	b[60] ^= 1;
	eq(dm_sync_block_check(b, ours, &id, &seq), -EUCLEAN, "really");
	b[60] ^= 1;
	ok(!dm_sync_slot_batch_decode(b, &c) && c.number == a.number && c.first == 7 &&
	   c.nr == 245, "and back");
	a.nr = 246;
	dm_sync_slot_batch_encode(b, &a);
	eq(dm_sync_slot_batch_decode(b, &c), -EUCLEAN, "more slots than a block has");
	a = (struct dm_sync_slot_batch) { 0, 0, 1 };
	dm_sync_slot_batch_encode(b, &a);
	eq(dm_sync_slot_batch_decode(b, &c), -EUCLEAN, "formatted, with slots");
	b[48] = 0x55;
	dm_sync_block_seal(b, ours, &map, 9);
	ok(zeroes(b, 48, 64), "other blocks have nothing there");
}

/*----------------------------------------------------------------
 * One slot block
 *--------------------------------------------------------------*/

enum kind { FORMATTED, OLD, NEW, NEWER, GARBAGE, ZERO, FOREIGN, LAST_EPOCH, UNREADABLE, NONSENSE,
	    KINDS };

static const u64 kind_batch[KINDS] = { [OLD] = 20, [NEW] = 21, [NEWER] = 30, [GARBAGE] = 40,
				       [FOREIGN] = 50, [LAST_EPOCH] = 60, [NONSENSE] = 70 };

static void make_home(u8 *home, enum kind kind, int *error)
{
	static const u64 seq[KINDS] = { 1, 8, 9, 11, 12, 12, 12, 12, 12, 12 };
	struct dm_sync_block_id id = { 5, DM_SYNC_BLOCK_SLOTS, 2 };
	struct dm_sync_slot_batch batch = { kind_batch[kind], kind ? 3 : 0, kind ? 4 : 0 };

	if (kind == NONSENSE)
		batch.nr = 300;
	memset(home, 0, 4096);
	dm_sync_slot_batch_encode(home, &batch);
	id.epoch -= kind == LAST_EPOCH;
	dm_sync_block_seal(home, kind == FOREIGN ? theirs : ours, &id, seq[kind]);
	if (kind == GARBAGE)
		home[4000] ^= 1;
	if (kind == ZERO)
		memset(home, 0, 4096);
	*error = kind == UNREADABLE ? -EIO : 0;
}

static void judge(enum kind a, enum kind b, bool clean)
{
	static const struct dm_sync_block_id id = { 5, DM_SYNC_BLOCK_SLOTS, 2 };
	_Alignas(8) static u8 home[2][4096];
	bool good_a = a <= NEWER, good_b = b <= NEWER, torn_a = a == GARBAGE || a == ZERO;
	bool torn_b = b == GARBAGE || b == ZERO;
	struct dm_sync_slot_homes h;
	int error[2], r, want = 0, choice = good_b && (!good_a || b > a);

	make_home(home[0], a, &error[0]);
	make_home(home[1], b, &error[1]);
	if (a == UNREADABLE || b == UNREADABLE)
		want = -EIO;
	else if (!(good_a && good_b && a != b) &&
		 !(!clean && ((good_a && torn_b) || (torn_a && good_b))))
		want = -EUCLEAN;
	r = dm_sync_slot_homes_judge(&h, home[0], error[0], home[1], error[1], ours, &id, clean);
	expect(r == want, "%u/%u %s: %d, not %d", a, b, clean ? "clean" : "", r, want);
	if (r)
		return;
	expect(h.homes.home == choice, "%u/%u: home %d", a, b, h.homes.home);
	expect(h.torn == (torn_a || torn_b), "%u/%u: torn", a, b);
	expect(h.batch[choice].number == kind_batch[choice ? b : a], "%u/%u: batch %llu", a, b,
	       h.batch[choice].number);
}

static void test_judge(void)
{
	static const struct dm_sync_block_id id = { 5, DM_SYNC_BLOCK_SLOTS, 2 };
	struct dm_sync_slot_batch batch = { 22, 0, 1 };
	_Alignas(8) static u8 home[2][4096];
	struct dm_sync_slot_homes h;
	int error;

	for (enum kind a = 0; a < KINDS; a++) {
		for (enum kind b = 0; b < KINDS; b++) {
			judge(a, b, false);
			judge(a, b, true);
		}
		point("slot block: state %d of home 0 with every state of home 1", a);
	}
	make_home(home[0], NEW, &error);
	dm_sync_slot_batch_encode(home[1], &batch);
	dm_sync_block_seal(home[1], ours, &id, 8);
	eq(dm_sync_slot_homes_judge(&h, home[0], 0, home[1], 0, ours, &id, false), -EUCLEAN,
	   "the older copy is of a later batch");
}

/*----------------------------------------------------------------
 * All slot blocks
 *--------------------------------------------------------------*/

/* Batch numbers of the newest and the other copy; with "torn" the other one is not valid. */
struct seen {
	u64 newest, other;
	bool torn;
};

#define BOTH(newest, other)	{ newest, other, false }
#define ONE(newest)		{ newest, 0, true }

struct scanned {
	int error;
	u32 bad, newest_block, rewrite;
	u64 batch;		/* of the copy that is believed in the newest block */
	bool suspects;
};

static struct scanned scan(bool clean, u64 expected, bool arrived, const struct seen *seen, u32 nr)
{
	struct dm_sync_store_super super = { .flags = clean, .batch = expected };
	struct scanned r = { .bad = DM_SYNC_NO_BLOCK };
	struct dm_sync_slot_scan s;
	int home;
	bool newest;

	dm_sync_slot_scan_begin(&s, &super);
	for (u32 i = 0; i < nr && !r.error; i++) {
		struct dm_sync_slot_homes h = { .homes.home = i % 2, .torn = seen[i].torn };

		h.batch[i % 2] = (struct dm_sync_slot_batch) { seen[i].newest, 0, 5 };
		if (!seen[i].torn)
			h.batch[!(i % 2)].number = seen[i].other;
		r.error = dm_sync_slot_scan_add(&s, i, 0, &h, &newest);
	}
	r.suspects = dm_sync_slot_scan_suspects(&s);
	if (!r.error)
		r.error = dm_sync_slot_scan_end(&s, arrived, &home, &r.rewrite);
	r.bad = s.bad_block;
	r.newest_block = s.newest_block;
	if (!r.error && r.newest_block != DM_SYNC_NO_BLOCK)
		r.batch = s.newest_homes.batch[home].number;
	return r;
}

static void test_scan(void)
{
	static const struct seen fresh[3], used[3] = { BOTH(4, 1), BOTH(7, 6), BOTH(5, 0) };
	static const struct seen torn[3] = { BOTH(4, 1), BOTH(7, 6), ONE(5) };
	static const struct seen torn_newest[2] = { ONE(7), BOTH(5, 0) };
	static const struct seen two[3] = { ONE(4), BOTH(7, 6), ONE(5) };
	static const struct seen twice[2] = { BOTH(7, 1), BOTH(7, 6) };
	struct dm_sync_slot_scan s;
	struct dm_sync_store_super super = { };
	struct dm_sync_slot_homes h = { };
	struct scanned r;
	bool newest;

	r = scan(false, 0, true, fresh, 3);
	ok(!r.error && r.newest_block == DM_SYNC_NO_BLOCK && !r.suspects &&
	   r.rewrite == DM_SYNC_NO_BLOCK, "a fresh store");
	r = scan(true, 7, false, used, 3);
	ok(!r.error && !r.suspects && r.newest_block == 1 && r.batch == 7 &&
	   r.rewrite == DM_SYNC_NO_BLOCK, "clean: the newest copies are right");
	r = scan(true, 8, true, used, 3);
	eq(r.error, -EUCLEAN, "clean: the newest batch is missing");
	r = scan(true, 6, true, used, 3);
	eq(r.error, -EUCLEAN, "clean: there is one too many");
	r = scan(false, 0, true, used, 3);
	ok(!r.error && r.suspects && r.batch == 7 && r.rewrite == DM_SYNC_NO_BLOCK,
	   "crash: the newest batch is looked at, and is complete");
	r = scan(false, 6, false, used, 3);
	ok(!r.error && r.suspects && r.batch == 6 && r.rewrite == 1,
	   "crash: it is not, and the other home is the truth");
	r = scan(false, 7, false, used, 3);
	ok(!r.error && !r.suspects && r.batch == 7, "it is not looked at if it was complete");
	r = scan(false, 8, true, used, 3);
	eq(r.error, -EUCLEAN, "a batch that was complete is missing");
	r = scan(false, 0, false, torn, 3);
	ok(!r.error && !r.suspects && r.batch == 7 && r.rewrite == 2,
	   "a torn home: the write was of a later batch");
	r = scan(false, 0, false, torn_newest, 2);
	ok(!r.error && !r.suspects && r.batch == 7 && r.rewrite == 0, "also beside the newest");
	r = scan(false, 0, true, two, 3);
	ok(r.error == -EUCLEAN && r.bad == 2, "two torn homes are damage");
	r = scan(false, 0, true, twice, 2);
	ok(r.error == -EUCLEAN && r.bad == 1, "two blocks of one batch, too");
	dm_sync_slot_scan_begin(&s, &super);
	eq(dm_sync_slot_scan_add(&s, 77, -EIO, &h, &newest), -EIO, "a block that is lost");
	ok(s.bad_block == 77 && !newest, "is named");
}

int main(void)
{
	plan(0);
	test_layout();
	test_super();
	test_names();
	test_record();
	test_entry();
	test_judge();
	test_scan();
	return done();
}
