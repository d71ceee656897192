// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast the background copy may go: a cap, a priority, and a floor.
 *
 * Both limits are kept the same way, as a moment: until when what was allowed
 * has been used up.  A job moves the moment on by its cost, and may start when
 * the moment is not too far ahead; a moment in the past is moved up to the
 * present first, less a small credit, so that time in which nothing was wanted
 * cannot be saved up for a burst.  Because the moment advances by what a job
 * cost and not from when it really started, a caller whose timer is late
 * catches up, and the long-run share is exact.
 *
 * Cap: a job of n bytes costs n / rate seconds.
 *
 * Host: while the host is busy, a job that took d costs 20 d with priority low
 * and 2 d with same, that is, the copy gets 5 % or half of the time.  With low
 * the cost is at most DM_SYNC_PACE_PERIOD, so however slow the loaded device,
 * a job starts about every second; but never less than 2 d, so that low is
 * never the greedier of the two.  With high, and with none, host I/O costs the
 * copy nothing.
 *
 * The cap stands above the floor: it is an order of the operator's.
 *
 * The caller serialises all calls for one struct.
 */
#ifdef __KERNEL__
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#endif

#include "dm-sync-pace.h"
#include "../include/uapi/linux/dm-sync.h"

#define PACE_SEC		1000000000ull
#define PACE_MSEC		1000000ull

/*
 * The host counts as busy this long after its last I/O.  Longer than a thread
 * thinks, or a disk seeks, between two dependent I/Os, so that a copy does not
 * jump into every gap; shorter than a person notices, so that an idle device
 * is used at once.
 */
#define DM_SYNC_PACE_LINGER	(20 * PACE_MSEC)

/* While the host is what a job waits for, look again this often if it still is. */
#define DM_SYNC_PACE_POLL	DM_SYNC_PACE_LINGER

/* How much of lost time a late caller may make up. */
#define DM_SYNC_PACE_CREDIT	(20 * PACE_MSEC)

/* Longest cycle of job and wait with priority low; the rest to 1 s is for timers. */
#define DM_SYNC_PACE_PERIOD	(900 * PACE_MSEC)

/* What the cap lets through at once after a pause. */
#define DM_SYNC_PACE_BURST	(100 * PACE_MSEC)

/* Shares: a job that took d occupies so many d of a busy host's time. */
#define DM_SYNC_PACE_COST_LOW	20
#define DM_SYNC_PACE_COST_SAME	2

#define DM_SYNC_PACE_SLOT	(500 * PACE_MSEC)
#define DM_SYNC_PACE_STALL	PACE_SEC

#define DM_SYNC_PACE_JOB	(1024u * 1024)
#define DM_SYNC_PACE_JOB_YIELD	(256u * 1024)
#define DM_SYNC_PACE_JOB_MIN	4096u

/*
 * A job reads, then writes: two keep both sides busy, two more cover the
 * moments between completion and the next start.
 */
#define DM_SYNC_PACE_DEPTH	4u

/**
 * dm_sync_pace_init() - begin with no history
 * @p: the pace
 * @priority: enum dm_sync_copy_priority
 * @rate: cap in bytes per second, 0 for none
 */
void dm_sync_pace_init(struct dm_sync_pace *p, u8 priority, u64 rate)
{
	memset(p, 0, sizeof(*p));
	p->priority = priority;
	p->rate = rate;
}

/**
 * dm_sync_pace_set_priority() - change the priority
 * @p: the pace
 * @now: in ns
 * @priority: enum dm_sync_copy_priority
 *
 * A wait that the old priority imposed is forgotten; a caller that sleeps on a
 * delay asks again.
 */
void dm_sync_pace_set_priority(struct dm_sync_pace *p, u64 now, u8 priority)
{
	if (priority == p->priority)
		return;
	p->priority = priority;
	p->host_next = min(p->host_next, now);
}

/**
 * dm_sync_pace_set_rate() - change the cap
 * @p: the pace
 * @now: in ns
 * @rate: bytes per second, 0 for no cap
 *
 * Holds from the next job on: that one waits at the new rate, whatever was
 * owed or saved at the old.  A caller that sleeps on a delay asks again.
 */
void dm_sync_pace_set_rate(struct dm_sync_pace *p, u64 now, u64 rate)
{
	if (rate == p->rate)
		return;
	p->rate = rate;
	p->cap_next = now + DM_SYNC_PACE_BURST;
}

static void note_host(struct dm_sync_pace *p, u64 now, bool busy)
{
	if (busy && !p->host_busy)
		p->host_since = now;
	p->host_busy = busy;
}

/**
 * dm_sync_pace_host() - is the host busy?
 * @p: the pace
 * @now: in ns
 * @inflight: host I/Os in flight
 * @last_io_ns: when the last one ended, 0 for never
 *
 * Return: true when host I/O is in flight or ended a moment ago.
 */
bool dm_sync_pace_host(struct dm_sync_pace *p, u64 now, unsigned int inflight,
		       u64 last_io_ns)
{
	bool busy = inflight ||
		    (last_io_ns && now < last_io_ns + DM_SYNC_PACE_LINGER);

	note_host(p, now, busy);
	return busy;
}

static bool yields(const struct dm_sync_pace *p, bool host_busy)
{
	return host_busy && (p->priority == DM_SYNC_COPY_PRIORITY_LOW ||
			     p->priority == DM_SYNC_COPY_PRIORITY_SAME);
}

static u64 cap_cost(const struct dm_sync_pace *p, unsigned int bytes)
{
	return div64_u64(bytes * PACE_SEC, p->rate);
}

/*
 * When the cap allows a job: when the budget is overdrawn by no more than the
 * burst after it, or by the job itself, where that is more.
 */
static u64 cap_due(const struct dm_sync_pace *p, unsigned int bytes)
{
	u64 cost, spare = DM_SYNC_PACE_CREDIT;

	if (!p->rate)
		return 0;
	cost = cap_cost(p, bytes);
	if (cost + spare < DM_SYNC_PACE_BURST)
		spare = DM_SYNC_PACE_BURST - cost;
	return p->cap_next - min(p->cap_next, spare);
}

/* What stands in the way when nobody does: the slower device. */
static u8 bottleneck(const struct dm_sync_pace *p)
{
	bool reading = p->read_ns >= p->write_ns;

	return reading != p->from_replica ? DM_SYNC_LIMITED_BY_SOURCE :
					    DM_SYNC_LIMITED_BY_REPLICA;
}

/*
 * Between two waits there is a job that need not wait; the reason is still the
 * one that makes the others wait.
 */
static bool still_limited(const struct dm_sync_pace *p, u64 now, bool host_busy)
{
	if (now >= p->limit_time + PACE_SEC)
		return false;
	return (p->limited_by == DM_SYNC_LIMITED_BY_CAP && p->rate) ||
	       (p->limited_by == DM_SYNC_LIMITED_BY_HOST && yields(p, host_busy));
}

/**
 * dm_sync_pace_delay() - may a job start?
 * @p: the pace
 * @now: in ns
 * @host_busy: what dm_sync_pace_host() said just now
 * @bytes: size of the job
 *
 * Sets @p->limited_by.  The answer holds until the priority or the cap is
 * changed; then ask again.  A wait for the host is returned in short pieces,
 * so that a host that falls idle is noticed.
 *
 * Return: 0 to start now, else after how many ns to ask again.
 */
u64 dm_sync_pace_delay(struct dm_sync_pace *p, u64 now, bool host_busy,
		       unsigned int bytes)
{
	u64 cap, host, due;

	note_host(p, now, host_busy);
	if (!p->work_since)
		p->work_since = now;

	cap = cap_due(p, bytes);
	host = yields(p, host_busy) ? p->host_next : 0;
	due = max(cap, host);
	if (due <= now) {
		if (!still_limited(p, now, host_busy))
			p->limited_by = bottleneck(p);
		return 0;
	}

	p->limit_time = now;
	if (cap >= host) {
		p->limited_by = DM_SYNC_LIMITED_BY_CAP;
		return due - now;
	}
	p->limited_by = DM_SYNC_LIMITED_BY_HOST;
	return min(due - now, DM_SYNC_PACE_POLL);
}

/**
 * dm_sync_pace_depth() - how many jobs may be in flight at once
 * @p: the pace
 * @host_busy: what dm_sync_pace_host() said just now
 *
 * Return: 1 while the copy yields to the host, so that a host I/O never finds
 * more than one job before it; else what keeps both devices busy.
 */
unsigned int dm_sync_pace_depth(const struct dm_sync_pace *p, bool host_busy)
{
	return yields(p, host_busy) ? 1 : DM_SYNC_PACE_DEPTH;
}

/**
 * dm_sync_pace_job_bytes() - the best size of a job
 * @p: the pace
 * @host_busy: what dm_sync_pace_host() said just now
 *
 * Smaller while the copy yields, and no larger than what the cap lets through
 * in a tenth of a second, so that neither comes in lumps.  The caller may
 * round it up to the smallest piece that it can copy.
 *
 * Return: bytes, a power of two from 4 KiB to 1 MiB.
 */
unsigned int dm_sync_pace_job_bytes(const struct dm_sync_pace *p, bool host_busy)
{
	unsigned int bytes = yields(p, host_busy) ? DM_SYNC_PACE_JOB_YIELD :
						    DM_SYNC_PACE_JOB;

	while (p->rate && bytes > DM_SYNC_PACE_JOB_MIN &&
	       cap_cost(p, bytes) > DM_SYNC_PACE_BURST)
		bytes /= 2;
	return bytes;
}

/* Make the newest slot the one of @now, and empty those passed over. */
static void advance(struct dm_sync_pace *p, u64 now)
{
	u64 slot = div64_u64(now, DM_SYNC_PACE_SLOT);

	if (slot >= p->slot + DM_SYNC_PACE_SLOTS) {
		memset(p->slot_bytes, 0, sizeof(p->slot_bytes));
		p->slot = slot;
	}
	while (p->slot < slot)
		p->slot_bytes[++p->slot % DM_SYNC_PACE_SLOTS] = 0;
}

static u64 slots_sum(const struct dm_sync_pace *p)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < DM_SYNC_PACE_SLOTS; i++)
		sum += p->slot_bytes[i];
	return sum;
}

/**
 * dm_sync_pace_started() - a job starts
 * @p: the pace
 * @now: in ns
 * @bytes: its size
 */
void dm_sync_pace_started(struct dm_sync_pace *p, u64 now, unsigned int bytes)
{
	advance(p, now);
	if (!p->work_since)
		p->work_since = now;
	if (!p->in_flight) {
		p->run_since = now;
		if (!slots_sum(p))
			p->measure_since = now;
	}
	p->in_flight++;
	if (p->rate)
		p->cap_next = max(p->cap_next, now) + cap_cost(p, bytes);
}

/*
 * Charge a run of the copy, one job while it yields, to the host's budget.
 * What ran before the host became busy is free.
 */
static void charge_host(struct dm_sync_pace *p, u64 now)
{
	u64 since = max(p->run_since, p->host_since);
	u64 took = now - since, cost = took * DM_SYNC_PACE_COST_SAME;

	if (p->priority == DM_SYNC_COPY_PRIORITY_LOW)
		cost = max(cost, min(took * DM_SYNC_PACE_COST_LOW,
				     DM_SYNC_PACE_PERIOD));

	since -= min(since, DM_SYNC_PACE_CREDIT);
	p->host_next = max(p->host_next, since) + cost;
}

/* A new sample counts an eighth, the first one wholly. */
static void average(u64 *avg, u64 ns, unsigned int bytes)
{
	u64 sample = div64_u64(min(ns, 1000 * PACE_SEC) << 20, bytes);

	*avg = *avg ? *avg - *avg / 8 + sample / 8 : sample;
}

/**
 * dm_sync_pace_done() - a job is over
 * @p: the pace
 * @now: in ns
 * @bytes: how much it moved, or found equal; 0 when it failed
 * @read_ns: time spent on the side it reads
 * @write_ns: time spent on the side it writes
 */
void dm_sync_pace_done(struct dm_sync_pace *p, u64 now, unsigned int bytes,
		       u64 read_ns, u64 write_ns)
{
	advance(p, now);
	p->slot_bytes[p->slot % DM_SYNC_PACE_SLOTS] += bytes;
	p->last_done = now;
	if (bytes) {
		average(&p->read_ns, read_ns, bytes);
		average(&p->write_ns, write_ns, bytes);
	}
	if (p->in_flight)
		p->in_flight--;
	if (!p->in_flight && yields(p, p->host_busy))
		charge_host(p, now);
}

/**
 * dm_sync_pace_idle() - there is nothing to copy, and no job in flight
 * @p: the pace
 */
void dm_sync_pace_idle(struct dm_sync_pace *p)
{
	p->work_since = 0;
	p->limited_by = DM_SYNC_LIMITED_BY_NOTHING;
}

/**
 * dm_sync_pace_rate() - the measured speed
 * @p: the pace
 * @now: in ns
 *
 * Return: bytes per second over the last 4 s, or since the copy began.
 */
u64 dm_sync_pace_rate(const struct dm_sync_pace *p, u64 now)
{
	u64 slot = div64_u64(now, DM_SYNC_PACE_SLOT);
	u64 first = slot - min_t(u64, slot, DM_SYNC_PACE_SLOTS - 1);
	u64 since = max(p->measure_since, first * DM_SYNC_PACE_SLOT);
	u64 bytes = 0, s, us;

	/* slots after the newest hold older ones, and are empty in truth */
	for (s = first; s <= min(slot, p->slot); s++)
		bytes += p->slot_bytes[s % DM_SYNC_PACE_SLOTS];

	/* microseconds: bytes times nanoseconds in a second would overflow */
	us = now > since ? div64_u64(now - since, 1000) : 0;
	return us ? div64_u64(bytes * 1000000, us) : 0;
}

/**
 * dm_sync_pace_stalled() - does the copy stand still?
 * @p: the pace
 * @now: in ns
 *
 * Return: true when there is work and none of it was completed for a second.
 */
bool dm_sync_pace_stalled(const struct dm_sync_pace *p, u64 now)
{
	return p->work_since &&
	       now >= max(p->work_since, p->last_done) + DM_SYNC_PACE_STALL;
}
