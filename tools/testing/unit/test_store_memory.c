// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a store of 1 TiB in chunks of 64 KiB keeps in memory: index, slots and homes of the
 * slot blocks, counted as the kernel rounds each piece. All else does not grow with what is
 * saved: buffers and reserves, to which the budget leaves 1 MiB here.
 */
#include "dm-sync-slots.h"
#include "dm-sync-store-codec.h"
#include "dm-sync-view.h"
#include "unit.h"

#define CHUNKS	(1u << 24)
#define SECTORS	((u64)CHUNKS * 128)
#define MIB	(1ull << 20)
#define BUDGET	(66 * MIB)
#define REST	(1 * MIB)

int shim_fail_in;

static struct dm_sync_store_layout layout;
static struct dm_sync_view view;
static struct dm_sync_slots slots;
static u32 segments;

static size_t homes_bytes(void)
{
	return shim_size(layout.nr_segments * sizeof(u64));
}

static void tell(const char *what, u32 nr)
{
	size_t all = shim_bytes + homes_bytes();

	printf("# %s: %zu bytes", what, all);
	if (nr)
		printf(", %.4f for each chunk", (double)all / nr);
	printf("\n");
}

/* As the store does it: a segment when there is no slot left, slots in order. */
static void save_to(u32 from, u32 end)
{
	u32 first, got, i;

	while (from < end) {
		got = dm_sync_slots_alloc(&slots, min(end - from, 16u), &first);
		if (!got) {
			u32 nr = min_t(u64, (u64)++segments * DM_SYNC_SEGMENT_SLOTS,
				       layout.nr_slots);

			expect(nr > slots.nr && !dm_sync_slots_grow(&slots, nr), "no segment");
			continue;
		}
		for (i = 0; i < got; i++)
			expect(!dm_sync_view_save(&view, dm_sync_view_generation(&view), from + i,
						  first + i, false), "save %u", from + i);
		dm_sync_slots_complete(&slots, first, got);
		from += got;
	}
}

static void begin(void)
{
	struct dm_sync_view_image *image;

	eq(dm_sync_store_layout(&layout, 128, SECTORS, SECTORS + SECTORS / 64), 0, "a store");
	ok(layout.nr_slots >= CHUNKS, "in which all has room");
	dm_sync_view_init(&view, layout.nr_chunks);
	eq(dm_sync_slots_init(&slots, 0), 0, "no slots");
	image = dm_sync_view_alloc(&view, 1, 1);
	eq(dm_sync_view_add(&view, image), 0, "an image");
	tell("nothing is saved", 0);
	ok(shim_bytes + homes_bytes() <= MIB / 4, "that is next to nothing");
}

static void fill(void)
{
	size_t before;

	save_to(0, CHUNKS / 4);
	point("a quarter is saved");
	tell("a quarter", CHUNKS / 4);
	before = shim_bytes;
	save_to(CHUNKS / 4, CHUNKS / 2);
	point("and a half");
	printf("# of which the second quarter: %.4f for each\n",
	       (double)(shim_bytes - before) / (CHUNKS / 4));
	save_to(CHUNKS / 2, CHUNKS);
	point("every chunk is saved");
	tell("every chunk", CHUNKS);
	ok(shim_bytes + homes_bytes() <= BUDGET - REST, "within the budget");
}

/* The worst there is: of each group a slot is free, so none can do without bits. */
static void pierce(void)
{
	size_t before = shim_bytes;
	u32 slot;

	for (slot = 0; slot < slots.nr; slot += DM_SYNC_SEGMENT_SLOTS)
		dm_sync_slots_free(&slots, slot);
	tell("every chunk, and a slot of each group is free", CHUNKS);
	ok(shim_bytes - before > MIB && shim_bytes - before <= segments * 2048,
	   "a bit more a slot, no more");
}

int main(void)
{
	plan(0);
	begin();
	fill();
	pierce();
	dm_sync_slots_exit(&slots);
	dm_sync_view_exit(&view);
	eq(shim_bytes, 0, "all of it is given back");
	return done();
}
