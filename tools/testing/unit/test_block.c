// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata block: what a reader makes of every combination of two homes.
 *
 * dm-sync-block.c runs here over a device in memory (kernel.h) that tears, loses
 * and fails writes; the rule that is tested is one sentence: what the last
 * successful write made durable is found again, or the next image, never a
 * mixture and never less.
 */
#include "unit.h"
#include "kernel.h"
#include "../../../kernel/dm-sync-block.c"

static const u8 ours[16] = "the pair's uuid", theirs[16] = "another's uuid.";
static const struct dm_sync_block_id id = { .epoch = 7, .type = 3, .index = 5 };

static void fill_image(void *buf, u32 content, const u8 *uuid,
		       const struct dm_sync_block_id *what, u64 seq)
{
	u32 *p = buf;

	for (int i = 0; i < 1024; i++)
		p[i] = content * 2654435761u + i;
	dm_sync_block_seal(buf, uuid, what, seq);
}

static u32 content_of(const void *buf)
{
	return ((const u32 *)buf)[1023];
}

/*----------------------------------------------------------------
 * Codec
 *--------------------------------------------------------------*/

static void test_seal(void)
{
	_Alignas(8) u8 buf[4096], zero[4096] = { 0 };
	struct dm_sync_block_id other;
	u64 seq;

	fill_image(buf, 1, ours, &id, 42);
	eq(dm_sync_block_check(buf, ours, &id, &seq), 0, "a sealed block is valid");
	eq(seq, 42, "its sequence number is read back");
	eq(dm_sync_block_check(buf, theirs, &id, &seq), -ESTALE, "another pair's is not ours");
	other = id, other.epoch++;
	eq(dm_sync_block_check(buf, ours, &other, &seq), -ESTALE, "nor is another epoch's");
	ok(dm_sync_block_is_older(buf, ours, &other), "which is told to be an earlier one");
	other.epoch = 6;
	ok(!dm_sync_block_is_older(buf, ours, &other), "a later one is not");
	other = id, other.type++;
	eq(dm_sync_block_check(buf, ours, &other, &seq), -ESTALE, "nor another type's");
	ok(!dm_sync_block_is_older(buf, ours, &other), "and that is not an earlier epoch");
	other = id, other.index++;
	eq(dm_sync_block_check(buf, ours, &other, &seq), -ESTALE, "nor another index's");
	eq(dm_sync_block_check(zero, ours, &id, &seq), -ENODATA, "zeroes: never written");
	zero[4095] = 1;
	eq(dm_sync_block_check(zero, ours, &id, &seq), -EUCLEAN, "all but zeroes: damaged");
	ok(!dm_sync_block_is_zero(zero), "one byte makes it not zero");
	for (int i = 0; i < 4096; i += 13) {
		buf[i] ^= 1 << i % 8;
		expect(dm_sync_block_check(buf, ours, &id, &seq) == -EUCLEAN, "flip in %d", i);
		buf[i] ^= 1 << i % 8;
	}
	point("one bit wrong anywhere is found");
	dm_sync_block_seal(buf, ours, &id, 0);
	eq(dm_sync_block_check(buf, ours, &id, &seq), -EUCLEAN, "number 0 is no copy");
}

static void test_choose(void)
{
	static const int checks[] = { 0, -ENODATA, -EUCLEAN, -ESTALE, -EIO };
	static const u64 seqs[] = { 1, 2, 1ull << 40 };

	for (int a = 0; a < 5; a++)
	for (int b = 0; b < 5; b++)
	for (int i = 0; i < 3; i++)
	for (int j = 0; j < 3; j++)
	for (int clean = 0; clean < 2; clean++) {
		int want = DM_SYNC_HOME_NONE, got;

		if (!checks[a] && !checks[b])
			want = i == j ? DM_SYNC_HOME_NONE : j > i;
		else if (!clean && !checks[a])
			want = 0;
		else if (!clean && !checks[b])
			want = 1;
		got = dm_sync_block_choose(checks[a], seqs[i], checks[b], seqs[j], clean);
		expect(got == want, "%d/%llu %d/%llu clean %d: %d, not %d", checks[a], seqs[i],
		       checks[b], seqs[j], clean, got, want);
	}
	point("choose: every pair of checks, order of numbers, clean or not");
}

/*----------------------------------------------------------------
 * Every state of one home against every state of the other
 *--------------------------------------------------------------*/

enum kind { MISSING, OLDER, OLD, NEW, GARBAGE, FOREIGN, EPOCH, SWAPPED, UNREADABLE, KINDS };

/* Content number of a valid home is its sequence number. */
static u64 make_home(struct block_device *d, u64 unit, enum kind kind)
{
	static const u64 seq[KINDS] = { [OLDER] = 8, [OLD] = 9, [NEW] = 10,
					[FOREIGN] = 99, [EPOCH] = 98, [SWAPPED] = 97 };
	struct dm_sync_block_id what = id;
	u8 *home = d->data + unit * 4096;

	what.epoch -= kind == EPOCH;
	what.index += kind == SWAPPED;
	fill_image(home, seq[kind], kind == FOREIGN ? theirs : ours, &what, seq[kind]);
	if (kind == MISSING)
		memset(home, 0, 4096);
	if (kind == GARBAGE)
		memset(home + 1024, 0xa5, 512);
	d->bad[unit] = kind == UNREADABLE;
	return kind == OLDER || kind == OLD || kind == NEW ? seq[kind] : 0;
}

static int expected(enum kind a, u64 seq_a, enum kind b, u64 seq_b, bool clean, u64 *seq)
{
	bool both = seq_a && seq_b && seq_a != seq_b;

	*seq = max(seq_a, seq_b);
	if (both || (!clean && !(seq_a && seq_b) && *seq))
		return 0;
	if (a == MISSING && b == MISSING)
		return -ENODATA;
	return a == UNREADABLE || b == UNREADABLE ? -EIO : -EUCLEAN;
}

static void test_kinds(void)
{
	_Alignas(4096) static u8 buf[4096];
	struct dm_sync_meta meta = { .bdev = disk_create(16) };

	memcpy(meta.uuid, ours, 16);
	for (enum kind a = 0; a < KINDS; a++) {
		for (enum kind b = 0; b < KINDS; b++)
		for (int clean = 0; clean < 2; clean++) {
			struct dm_sync_block blk = { .id = id, .nr = 3 };
			u64 seq_a = make_home(meta.bdev, 6, a), want_seq;
			u64 seq_b = make_home(meta.bdev, 7, b);
			int want = expected(a, seq_a, b, seq_b, clean, &want_seq);
			int got = dm_sync_block_read(&meta, &blk, buf, clean);

			expect(got == want, "%d/%d clean %d: %d, not %d", a, b, clean, got, want);
			if (got)
				continue;
			expect(content_of(buf) == (u32)(want_seq * 2654435761u + 1023),
			       "%d/%d: content", a, b);
			expect(blk.home == (seq_b > seq_a), "%d/%d: home", a, b);
			expect(blk.seq >= want_seq, "%d/%d: the numbers go on", a, b);
		}
		point("homes: state %d against every other, clean or not", a);
	}
	disk_destroy(meta.bdev);
}

/* The newest copy torn in every way over what its home held before. */
static void test_torn(void)
{
	_Alignas(4096) static u8 buf[4096], new[4096], before[4096];
	static const enum kind under[] = { MISSING, OLDER, GARBAGE, FOREIGN, EPOCH };
	struct dm_sync_meta meta = { .bdev = disk_create(16) };
	u8 *home = meta.bdev->data + 7 * 4096;

	memcpy(meta.uuid, ours, 16);
	fill_image(new, 10, ours, &id, 10);
	for (int u = 0; u < 5; u++) {
		for (int mask = 0; mask < 256; mask++) {
			struct dm_sync_block blk = { .id = id, .nr = 3 };
			bool whole;
			int r;

			make_home(meta.bdev, 6, OLD);
			make_home(meta.bdev, 7, under[u]);
			memcpy(before, home, 4096);
			disk_write_torn(meta.bdev, 7, new, mask);
			whole = !memcmp(home, new, 4096);
			r = dm_sync_block_read(&meta, &blk, buf, false);
			expect(!r && blk.home == whole, "under %d mask %02x", u, mask);
			expect(content_of(buf) == (whole ? 10 : 9) * 2654435761u + 1023,
			       "under %d mask %02x: content", u, mask);
			r = dm_sync_block_read(&meta, &blk, buf, true);
			expect(whole || (!mask && under[u] == OLDER) ? !r : r == -EUCLEAN,
			       "under %d mask %02x, clean: %d", u, mask, r);
		}
		point("torn: each of 256 sector patterns over state %d", under[u]);
	}
	disk_destroy(meta.bdev);
}

/*----------------------------------------------------------------
 * Writing
 *--------------------------------------------------------------*/

static int write_content(struct dm_sync_meta *meta, struct dm_sync_block *b, u32 content)
{
	_Alignas(4096) static u8 buf[4096];

	fill_image(buf, content, ours, &id, 1);
	return dm_sync_block_write(meta, b, buf);
}

static u32 read_content(struct dm_sync_meta *meta, bool clean)
{
	_Alignas(4096) static u8 buf[4096];
	struct dm_sync_block b = { .id = id, .nr = 3 };

	if (dm_sync_block_read(meta, &b, buf, clean))
		return 0;
	return (content_of(buf) - 1023) * 244002641u;	/* inverse of the factor */
}

/* Cut the power at each of eight writes, the last one torn in every way. */
static void test_cuts(void)
{
	struct dm_sync_meta meta = { 0 };

	memcpy(meta.uuid, ours, 16);
	for (int cut = 1; cut <= 8; cut++) {
		for (int mask = 0; mask < 256; mask++) {
			struct dm_sync_block b = { .id = id, .nr = 3, .home = 1 };
			struct block_device *after;
			u32 acked = 0, found;

			meta.bdev = disk_create(16);
			meta.bdev->cut_at = cut;
			meta.bdev->cut_mask = mask;
			for (u32 c = 1; c <= 10; c++)
				if (!write_content(&meta, &b, c))
					acked = c;
			after = disk_after_cut(meta.bdev);
			disk_destroy(meta.bdev);
			meta.bdev = after;
			found = read_content(&meta, false);
			expect(found == acked || found == acked + 1,
			       "cut %d mask %02x: %u, acknowledged %u", cut, mask, found, acked);
			disk_destroy(after);
		}
		point("power cut at write %d, torn in 256 ways: nothing acknowledged is lost", cut);
	}
}

/* The same for a block that was read back, from either home, and written on. */
static void test_cuts_after_read(void)
{
	_Alignas(4096) static u8 buf[4096];

	for (int newest = 0; newest < 2; newest++)
		for (int mask = 0; mask < 256; mask++) {
			struct dm_sync_meta meta = { .bdev = disk_create(16) };
			struct dm_sync_block b = { .id = id, .nr = 3, .home = 1 };
			u32 c, found;

			memcpy(meta.uuid, ours, 16);
			for (c = 1; c <= 3u + newest; c++)
				write_content(&meta, &b, c);
			memset(&b, 0, sizeof(b));
			b.id = id;
			b.nr = 3;
			expect(!dm_sync_block_read(&meta, &b, buf, true), "read");
			meta.bdev->cut_at = meta.bdev->writes + 1;
			meta.bdev->cut_mask = mask;
			write_content(&meta, &b, c);
			found = read_content(&meta, false);
			expect(found == c - (mask != 255), "newest %d mask %02x: %u", newest, mask,
			       found);
			disk_destroy(meta.bdev);
		}
	point("a block that was read back is not written over its newest copy");
}

static void test_failures(void)
{
	for (enum fail_effect effect = FAIL_NOTHING; effect <= FAIL_GARBAGE; effect++) {
		struct dm_sync_block b = { .id = id, .nr = 3, .home = 1 };
		struct dm_sync_meta meta = { .bdev = disk_create(16) };

		memcpy(meta.uuid, ours, 16);
		write_content(&meta, &b, 1);
		write_content(&meta, &b, 2);
		meta.bdev->fail_at = 3;
		meta.bdev->effect = effect;
		expect(write_content(&meta, &b, 3) == -EIO, "the error is returned");
		expect(b.seq == 2 && b.home == 1, "memory does not advance");
		expect(read_content(&meta, false) == (effect == FAIL_ALL ? 3 : 2),
		       "what was durable, or the new one");
		expect(!write_content(&meta, &b, 4), "the next write succeeds");
		expect(b.seq == 3 && b.home == 0, "it went to the same home");
		expect(read_content(&meta, true) == 4, "both homes are sound again");
		point("a failed write (effect %d) is harmless", effect);
		disk_destroy(meta.bdev);
	}
}

static void test_batch(void)
{
	_Alignas(4096) static u8 buf[4][4096];
	struct dm_sync_meta meta = { .bdev = disk_create(16) };
	struct dm_sync_block b[4] = { 0 };
	struct dm_sync_batch batch;

	dm_sync_meta_init(&meta);
	memcpy(meta.uuid, ours, 16);
	for (int i = 0; i < 4; i++) {
		b[i].id = id;
		b[i].id.index = i;
		b[i].nr = i;
		expect(!dm_sync_block_format(&meta, &b[i], buf[i]), "format %d", i);
		expect(b[i].seq == 2 && b[i].home == 1, "both homes of %d", i);
		expect(!dm_sync_block_read(&meta, &b[i], buf[i], true), "read %d, clean", i);
	}
	point("format writes both homes");
	meta.bdev->fail_at = meta.bdev->writes + 2;
	dm_sync_batch_init(&batch, &meta);
	for (int i = 0; i < 4; i++)
		dm_sync_batch_write(&batch, &b[i], buf[i]);
	eq(dm_sync_batch_wait(&batch), -EIO, "a batch with one failure fails");
	for (int i = 0; i < 4; i++) {
		expect(!!b[i].status == (i == 1), "status of %d", i);
		expect(b[i].seq == (i == 1 ? 2 : 3), "number of %d", i);
	}
	point("only what was written has advanced");
	eq(atomic64_read(&meta.writes), 12, "every block write is counted");
	ok(!meta.bdev->without_fua, "every write carries FUA");
	disk_destroy(meta.bdev);

	meta.bdev = NULL;
	eq(dm_sync_block_write(&meta, &b[0], buf[0]), 0, "without a device writing succeeds");
	eq(dm_sync_block_read(&meta, &b[0], buf[0], false), -ENODATA, "and reading finds nothing");
}

static void test_blank(void)
{
	struct dm_sync_meta meta = { .bdev = disk_create(DISK_UNITS) };
	int error;

	ok(dm_sync_meta_is_blank(&meta, 4, &error) && !error, "zeroes are blank");
	meta.bdev->data[31 * 4096 + 4095] = 1;
	ok(!dm_sync_meta_is_blank(&meta, 4, &error) && !error, "128 KiB are looked at");
	meta.bdev->data[31 * 4096 + 4095] = 0;
	meta.bdev->data[40 * 4096] = 1;
	ok(dm_sync_meta_is_blank(&meta, 4, &error) && !error, "what is not used may hold data");
	ok(!dm_sync_meta_is_blank(&meta, 21, &error) && !error, "what would be used may not");
	ok(!dm_sync_meta_is_blank(&meta, 1000, &error) && !error, "the device may be too small");
	meta.bdev->data[40 * 4096] = 0;
	meta.bdev->bad[3] = true;
	ok(!dm_sync_meta_is_blank(&meta, 4, &error) && error == -EIO, "unreadable is not blank");
	meta.bdev->bad[3] = false;
	meta.bdev->units = 2;
	ok(dm_sync_meta_is_blank(&meta, 4, &error) && !error, "a tiny device is no error");
	disk_destroy(meta.bdev);
}

int main(void)
{
	plan(0);
	test_seal();
	test_choose();
	test_kinds();
	test_torn();
	test_cuts();
	test_cuts_after_read();
	test_failures();
	test_batch();
	test_blank();
	eq(warnings, 0, "no warning was raised");
	return done();
}
