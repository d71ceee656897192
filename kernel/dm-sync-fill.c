// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast a store fills, and when it will be full.
 *
 * What is measured is what was taken in the last five minutes, whatever was freed meanwhile:
 * images are deleted by somebody who then knows better, and a rate that is negative at times
 * foretells nothing. Two counters do it, one for a window of that length which goes on now, one
 * for the window before. What of the latter still counts goes down evenly as the present one
 * gets on: as if all had been taken at one speed there. So the number never jumps, a burst is
 * forgotten after ten minutes at most, and a store that rests is said to be full never.
 *
 * Before a first window is over, what was taken is held against the time since it began, and
 * against a second at least.
 *
 * No locks: the caller has one for all of it. Time is any clock that does not go back, in ms.
 */
#ifdef __KERNEL__
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#else
#include <limits.h>
#define div64_u64(a, b)		((a) / (b))
#endif

#include "dm-sync-fill.h"

#define WINDOW	DM_SYNC_FILL_WINDOW_MS
#define AT_LEAST 1000u

/* Windows that are over by now. */
static void turn(struct dm_sync_fill *f, u64 ms)
{
	u64 passed = ms > f->begin ? ms - f->begin : 0;

	if (passed < WINDOW)
		return;
	f->before = passed < 2 * WINDOW ? f->now : 0;
	f->now = 0;
	f->whole = true;
	f->begin = passed < 2 * WINDOW ? f->begin + WINDOW : ms;
}

/**
 * dm_sync_fill_add - slots were taken
 * @f: what is known
 * @ms: now
 * @slots: how many
 *
 * Context: any, with the caller's lock.
 */
void dm_sync_fill_add(struct dm_sync_fill *f, u64 ms, u32 slots)
{
	if (!f->counting) {
		f->counting = true;
		f->begin = ms;
	}
	turn(f, ms);
	f->now += slots;
}

/* How many were taken in the time that *@period says. */
static u64 lately(const struct dm_sync_fill *known, u64 ms, u64 *period)
{
	struct dm_sync_fill f = *known;
	u64 passed;

	*period = WINDOW;
	if (!f.counting)
		return 0;
	turn(&f, ms);
	passed = ms > f.begin ? ms - f.begin : 0;
	if (f.whole)
		return f.now + div64_u64(f.before * (WINDOW - passed), WINDOW);
	*period = passed > AT_LEAST ? passed : AT_LEAST;
	return f.now;
}

/**
 * dm_sync_fill_rate - how fast it fills
 * @f: what is known
 * @ms: now
 * @shift: log2 of the bytes in a slot
 *
 * Context: any, with the caller's lock.
 * Return: bytes per second.
 */
u64 dm_sync_fill_rate(const struct dm_sync_fill *f, u64 ms, unsigned int shift)
{
	u64 period, nr = lately(f, ms, &period);

	return div64_u64((nr << shift) * 1000, period);
}

/**
 * dm_sync_fill_seconds - how long it takes until it is full, at that speed
 * @f: what is known
 * @ms: now
 * @left: slots that are free
 *
 * Context: any, with the caller's lock.
 * Return: seconds, rounded down, INT_MAX for more; -1 when it does not fill.
 */
int dm_sync_fill_seconds(const struct dm_sync_fill *f, u64 ms, u32 left)
{
	u64 period, nr = lately(f, ms, &period), seconds;

	if (!nr)
		return -1;
	seconds = div64_u64(left * period, nr * 1000);
	return seconds < INT_MAX ? (int)seconds : INT_MAX;
}
