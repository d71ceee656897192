// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where writes through a clone's replica door are cut, against a model that goes sector
 * by sector.
 */
#include "unit.h"
#include "dm-sync-clone-cut.h"

#define REGION	3u
#define EXTENT	6u
#define END	(5 * 64 + 13u)	/* the last region has 5 sectors */

/* Every sector of the region of @sector is written by [first, last]. */
static bool covered(unsigned int sector, unsigned int first, unsigned int last)
{
	unsigned int start = sector & ~7u, end = start + 8 < END ? start + 8 : END;

	return start >= first && end - 1 <= last;
}

static void check_whole(unsigned int first, unsigned int last)
{
	bool all = true;

	for (unsigned int s = first; s <= last; s++)
		all &= covered(s, first, last);
	expect(dm_sync_clone_whole(first, last, REGION, END) == all, "%u to %u", first, last);
}

static void check_cut(unsigned int first, unsigned int sectors)
{
	unsigned int n = dm_sync_clone_cut(first, sectors, REGION, EXTENT), last = first + n - 1;

	expect(n >= 1 && n <= sectors, "%u+%u: %u", first, sectors, n);
	expect(first >> EXTENT == last >> EXTENT, "%u+%u: one extent", first, n);
	expect(first >> REGION == last >> REGION ||
	       dm_sync_clone_whole(first, last, REGION, END), "%u+%u: whole, or within one",
	       first, n);
	/* No part is smaller than it must be. */
	if (n < sectors)
		expect(!((first + n) & 7), "%u+%u is cut at a region", first, n);
	if (n < sectors && !(first & 7) && first >> EXTENT == (last + 8) >> EXTENT)
		expect(sectors - n < 8, "%u+%u of %u: as many regions as there are", first, n,
		       sectors);
}

int main(void)
{
	for (unsigned int first = 0; first < END; first++)
		for (unsigned int last = first; last < END; last++)
			check_whole(first, last);
	point("whole regions, the short last one among them");
	for (unsigned int first = 0; first < END; first++)
		for (unsigned int sectors = 1; first + sectors <= END; sectors++)
			check_cut(first, sectors);
	point("each part is of whole regions or within one, in one extent, and no smaller");
	eq(dm_sync_clone_cut(0, 1ULL << 40, 7, 20), 1 << 20, "a terabyte: an extent");
	eq(dm_sync_clone_cut(5, 1ULL << 40, 7, 20), 123, "from within a region: to its end");
	eq(dm_sync_clone_cut(128, 200, 7, 20), 128, "a region and a part of one: the region");
	return done();
}
