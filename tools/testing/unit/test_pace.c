// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of the background copy, on simulated devices and simulated time: how much moves, in
 * which share of the time, and how soon a change is felt.
 */
#include "dm-sync-pace.h"
#include "unit.h"
#include "../../../include/uapi/linux/dm-sync.h"

#define LOW	DM_SYNC_COPY_PRIORITY_LOW
#define SAME	DM_SYNC_COPY_PRIORITY_SAME
#define HIGH	DM_SYNC_COPY_PRIORITY_HIGH
#define NONE	DM_SYNC_COPY_PRIORITY_NOT_MANAGED

#define MS	1000000ull
#define SEC	1000000000ull
#define KIB	1024ull
#define MIB	(1024ull * 1024)
#define START	(1000 * SEC)		/* the clock does not begin at 0 */
#define JOBS	8

/* A device serves one request after the other, at a fixed speed. */
struct dev {
	u64 speed;			/* bytes/s */
	u64 free_at, worked;
};

struct job {
	bool used;
	unsigned int bytes;
	u64 started, read_end, write_end;
};

struct sim {
	struct dm_sync_pace pace;
	struct dev from, to;
	struct job job[JOBS];
	u64 now;
	u64 late;			/* timers fire so much later than asked */
	bool host;			/* I/O in flight all the time */
	u64 host_end;

	unsigned int in_flight, jobs, waits, seen[8];
	u64 moved, busy_since, busy_time, last_done, max_gap;
};

static void sim_init(struct sim *s, u8 priority, u64 rate, u64 from, u64 to)
{
	*s = (struct sim) {
		.from.speed = from, .to.speed = to, .now = START, .last_done = START,
	};
	dm_sync_pace_init(&s->pace, priority, rate);
}

static u64 serve(struct dev *d, u64 at, unsigned int bytes)
{
	u64 took = bytes * SEC / d->speed;

	d->worked += took;
	d->free_at = max(d->free_at, at) + took;
	return d->free_at;
}

static void job_start(struct sim *s, unsigned int bytes)
{
	struct job *j = s->job;

	while (j->used)
		j++;
	*j = (struct job) { .used = true, .bytes = bytes, .started = s->now };
	j->read_end = serve(&s->from, s->now, bytes);
	j->write_end = serve(&s->to, j->read_end, bytes);
	if (!s->in_flight++)
		s->busy_since = s->now;
	dm_sync_pace_started(&s->pace, s->now, bytes);
}

static void job_end(struct sim *s, struct job *j)
{
	j->used = false;
	s->jobs++;
	s->moved += j->bytes;
	s->max_gap = max(s->max_gap, s->now - s->last_done);
	s->last_done = s->now;
	if (!--s->in_flight)
		s->busy_time += s->now - s->busy_since;
	dm_sync_pace_done(&s->pace, s->now, j->bytes, j->read_end - j->started,
			  j->write_end - j->read_end);
}

/* What the caller in the kernel does: start what may start, then sleep. */
static u64 pump(struct sim *s)
{
	if (s->host)
		s->host_end = s->now;
	for (;;) {
		bool busy = dm_sync_pace_host(&s->pace, s->now, s->host, s->host_end);
		unsigned int bytes = dm_sync_pace_job_bytes(&s->pace, busy);
		u64 delay;

		if (s->in_flight >= dm_sync_pace_depth(&s->pace, busy))
			return 0;
		delay = dm_sync_pace_delay(&s->pace, s->now, busy, bytes);
		s->seen[s->pace.limited_by]++;
		if (delay) {
			s->waits++;
			return s->now + delay + s->late;
		}
		job_start(s, bytes);
	}
}

static void run(struct sim *s, u64 duration)
{
	u64 end = s->now + duration;

	for (;;) {
		u64 next = pump(s);

		if (!next || next > end)
			next = end;
		for (unsigned int i = 0; i < JOBS; i++)
			if (s->job[i].used)
				next = min(next, s->job[i].write_end);
		s->now = next;
		for (unsigned int i = 0; i < JOBS; i++)
			if (s->job[i].used && s->job[i].write_end <= next)
				job_end(s, &s->job[i]);
		if (next >= end)
			return;
	}
}

static double share(const struct sim *s)
{
	return (double)s->busy_time / (s->now - START);
}

static bool within(u64 got, u64 want, double tolerance)
{
	bool good = got >= want * (1 - tolerance) && got <= want * (1 + tolerance);

	if (!good)
		printf("# got %llu, want %llu\n", (unsigned long long)got,
		       (unsigned long long)want);
	return good;
}

static void test_full_speed(void)
{
	static const u64 speed[][2] = {
		{ 20 * MIB, 20 * MIB }, { 100 * MIB, 50 * MIB }, { 50 * MIB, 100 * MIB },
		{ 3000 * MIB, 2000 * MIB },
	};
	struct sim s;

	for (unsigned int i = 0; i < ARRAY_SIZE(speed); i++) {
		u64 slower = min(speed[i][0], speed[i][1]);

		for (u8 priority = NONE; priority <= HIGH; priority++) {
			sim_init(&s, priority, 0, speed[i][0], speed[i][1]);
			s.host = priority == NONE || priority == HIGH;
			run(&s, 10 * SEC);
			expect(s.moved >= slower * 10 * 95 / 100, "speed %u priority %u: moved %llu",
			       i, priority, (unsigned long long)s.moved);
			expect(s.waits == 0, "waited %u times", s.waits);
			expect(within(dm_sync_pace_rate(&s.pace, s.now), slower, 0.05), "rate");
			if (speed[i][0] != speed[i][1])
				expect(s.pace.limited_by == (speed[i][0] == slower ?
							     DM_SYNC_LIMITED_BY_SOURCE :
							     DM_SYNC_LIMITED_BY_REPLICA),
				       "limited by %u", s.pace.limited_by);
		}
	}
	point("idle host, or high or no priority: 95 %% of the slower device, and it is named");

	sim_init(&s, LOW, 0, 100 * MIB, 50 * MIB);
	s.pace.from_replica = true;
	run(&s, SEC);
	eq(s.pace.limited_by, DM_SYNC_LIMITED_BY_SOURCE, "a restore writes the source");
}

static void test_cap(void)
{
	static const u64 rate[] = { 40 * KIB, 100000, MIB, 10000000, 64 * MIB, 1000000000 };
	struct sim s;

	for (unsigned int i = 0; i < ARRAY_SIZE(rate); i++)
		for (u64 late = 0; late <= 10 * MS; late += 5 * MS) {
			sim_init(&s, LOW, rate[i], 2000 * MIB, 2000 * MIB);
			s.late = late;
			run(&s, 10 * SEC);
			expect(within(s.moved, rate[i] * 10, 0.02), "rate %llu, timers %llu ns late",
			       (unsigned long long)rate[i], (unsigned long long)late);
			expect(within(dm_sync_pace_rate(&s.pace, s.now), rate[i], 0.06),
			       "measured");
			expect(s.pace.limited_by == DM_SYNC_LIMITED_BY_CAP, "limited by %u",
			       s.pace.limited_by);
		}
	point("a cap holds within 2 %% over 10 s, also with late timers");

	sim_init(&s, HIGH, 100 * MIB, 20 * MIB, 20 * MIB);
	run(&s, 10 * SEC);
	ok(s.moved >= 190 * MIB && s.pace.limited_by != DM_SYNC_LIMITED_BY_CAP,
	   "a cap above the devices' speed does nothing");
}

static u64 moved_in(struct sim *s, u64 duration)
{
	u64 before = s->moved;

	run(s, duration);
	return s->moved - before;
}

static void test_cap_change(void)
{
	struct sim s;
	u64 moved;

	sim_init(&s, LOW, 50 * MIB, 1000 * MIB, 1000 * MIB);
	run(&s, 5 * SEC);
	dm_sync_pace_set_rate(&s.pace, s.now, MIB);
	moved = moved_in(&s, 2 * SEC);
	ok(moved >= 2 * MIB * 9 / 10 && moved <= 2 * MIB + MIB,
	   "50 MiB/s to 1: felt within one job");

	dm_sync_pace_set_rate(&s.pace, s.now, 50 * MIB);
	moved = moved_in(&s, SEC);
	ok(within(moved, 50 * MIB, 0.03), "and back to 50 at once");

	dm_sync_pace_set_rate(&s.pace, s.now, 0);
	ok(moved_in(&s, SEC) >= 950 * MIB, "no cap: full speed at once");

	dm_sync_pace_set_rate(&s.pace, s.now, 10 * MIB);
	ok(moved_in(&s, SEC) <= 10 * MIB + 4 * MIB, "a cap from full speed: only what was in flight more");

	/* a job that would take a minute is not waited for once the cap is gone */
	dm_sync_pace_set_rate(&s.pace, s.now, 100);
	run(&s, 100 * MS);
	dm_sync_pace_set_rate(&s.pace, s.now, 100 * MIB);
	ok(moved_in(&s, SEC) >= 95 * MIB, "from 100 B/s to 100 MiB/s: no wait is left over");
}

static void test_low(void)
{
	/* how fast a loaded device still is: 256 KiB in 0.1 ms to 40 ms */
	static const u64 speed[] = { 5000 * MIB, 500 * MIB, 50 * MIB, 25 * MIB / 2 };
	struct sim s;

	for (unsigned int i = 0; i < ARRAY_SIZE(speed); i++)
		for (u64 late = 0; late <= 10 * MS; late += 5 * MS) {
			sim_init(&s, LOW, 0, speed[i], speed[i]);
			s.host = true;
			s.late = late;
			run(&s, 60 * SEC);
			expect(share(&s) >= 0.0495 && share(&s) <= 0.06,
			       "speed %llu late %llu: %.2f %% of the time",
			       (unsigned long long)speed[i], (unsigned long long)late,
			       share(&s) * 100);
			expect(s.max_gap <= SEC, "gap %llu", (unsigned long long)s.max_gap);
			expect(s.pace.limited_by == DM_SYNC_LIMITED_BY_HOST, "limited by %u",
			       s.pace.limited_by);
			expect(s.seen[DM_SYNC_LIMITED_BY_HOST] * 100 > s.jobs * 95, "seen");
		}
	point("low, host always busy: 5 %% of the time, whatever the device and the timers");

	/* slow ones: 256 KiB in 0.1 to 10 s */
	for (u64 bytes = 5 * MIB; bytes >= 50 * KIB; bytes /= 2) {
		u64 job = 256 * KIB * SEC / bytes * 2;

		sim_init(&s, LOW, 0, bytes, bytes);
		s.host = true;
		s.late = 5 * MS;
		run(&s, 100 * SEC);
		expect(share(&s) >= 0.05, "%llu B/s: %.2f %%", (unsigned long long)bytes,
		       share(&s) * 100);
		expect(s.max_gap <= max(SEC, 2 * job + 40 * MS), "%llu B/s: gap %llu",
		       (unsigned long long)bytes, (unsigned long long)s.max_gap);
	}
	point("low on a slow device: a job every second, or half of the time");
}

static void test_same(void)
{
	static const u64 speed[] = { 5000 * MIB, 500 * MIB, 50 * MIB, 5 * MIB, MIB / 2 };
	struct sim s;

	for (unsigned int i = 0; i < ARRAY_SIZE(speed); i++)
		for (u64 late = 0; late <= 10 * MS; late += 5 * MS) {
			sim_init(&s, SAME, 0, speed[i], speed[i]);
			s.host = true;
			s.late = late;
			run(&s, 60 * SEC);
			expect(share(&s) >= 0.4 && share(&s) <= 0.6,
			       "speed %llu late %llu: %.1f %%", (unsigned long long)speed[i],
			       (unsigned long long)late, share(&s) * 100);
		}
	point("same, host always busy: 40 to 60 %% of the time");
}

static void test_changes(void)
{
	struct sim s;
	u64 moved;

	sim_init(&s, LOW, 0, 100 * MIB, 100 * MIB);
	run(&s, 5 * SEC);
	s.host = true;
	moved = moved_in(&s, 5 * SEC);
	ok(moved <= 5 * 100 * MIB * 8 / 100 + 4 * MIB, "a host that begins slows the copy to its floor");
	ok(moved >= 5 * 100 * MIB * 2 / 100, "but does not stop it");

	s.host = false;
	ok(moved_in(&s, SEC) >= 90 * MIB, "a host that ends leaves it the devices at once");

	sim_init(&s, LOW, 0, MIB, MIB);
	s.host = true;
	run(&s, 10 * SEC);
	while (s.in_flight)
		run(&s, MS);
	pump(&s);
	s.host = false;
	run(&s, 45 * MS);
	ok(s.in_flight == 4, "also in the middle of a long wait");

	s.host = true;
	run(&s, 10 * SEC);
	while (s.in_flight)
		run(&s, MS);
	dm_sync_pace_set_priority(&s.pace, s.now, SAME);
	pump(&s);
	ok(s.in_flight == 1, "low to same in the middle of a wait: no wait is left");
	while (s.in_flight)
		run(&s, MS);
	dm_sync_pace_set_priority(&s.pace, s.now, HIGH);
	pump(&s);
	ok(s.in_flight == 4, "to high in the middle of a wait: no wait is left");

	dm_sync_pace_set_priority(&s.pace, s.now, SAME);
	run(&s, 10 * SEC);
	s.busy_time = 0;
	s.moved = 0;
	run(&s, 20 * SEC);
	ok(within(s.busy_time, 10 * SEC, 0.2), "to same: half of the time from there on");
}

static void test_cap_and_floor(void)
{
	struct sim s;

	/* the floor alone would be 5 % of 100 MiB/s in jobs that read, then write */
	sim_init(&s, LOW, 100000, 100 * MIB, 100 * MIB);
	s.host = true;
	run(&s, 20 * SEC);
	ok(within(s.moved, 2000000, 0.02), "a cap below the floor wins");
	eq(s.pace.limited_by, DM_SYNC_LIMITED_BY_CAP, "and is the reason");

	sim_init(&s, LOW, 80 * MIB, 100 * MIB, 100 * MIB);
	s.host = true;
	run(&s, 20 * SEC);
	ok(share(&s) >= 0.0495 && share(&s) < 0.06, "a cap above the floor changes nothing");
	eq(s.pace.limited_by, DM_SYNC_LIMITED_BY_HOST, "the host is the reason");
}

static void test_host(void)
{
	struct dm_sync_pace p;

	dm_sync_pace_init(&p, LOW, 0);
	ok(!dm_sync_pace_host(&p, START, 0, 0), "a host that never did I/O is not busy");
	ok(dm_sync_pace_host(&p, START, 1, 0), "one with I/O in flight is");
	ok(dm_sync_pace_host(&p, START, 0, START - 19 * MS), "one that ended 19 ms ago is");
	ok(!dm_sync_pace_host(&p, START, 0, START - 20 * MS), "20 ms ago: is not");

	eq(dm_sync_pace_depth(&p, false), 4, "idle: four jobs");
	eq(dm_sync_pace_depth(&p, true), 1, "busy: one");
	eq(dm_sync_pace_job_bytes(&p, false), MIB, "idle: 1 MiB");
	eq(dm_sync_pace_job_bytes(&p, true), 256 * KIB, "busy: 256 KiB");
	dm_sync_pace_set_priority(&p, START, HIGH);
	eq(dm_sync_pace_depth(&p, true), 4, "busy, high: four jobs");
	eq(dm_sync_pace_job_bytes(&p, true), MIB, "busy, high: 1 MiB");

	dm_sync_pace_set_rate(&p, START, MIB);
	eq(dm_sync_pace_job_bytes(&p, false), 64 * KIB, "1 MiB/s: a tenth of a second or less");
	dm_sync_pace_set_rate(&p, START, 1);
	eq(dm_sync_pace_job_bytes(&p, false), 4096, "1 B/s: the smallest");
	dm_sync_pace_set_rate(&p, START, U64_MAX);
	eq(dm_sync_pace_job_bytes(&p, false), MIB, "an absurd cap: none");
	eq(dm_sync_pace_delay(&p, START + SEC, true, MIB), 0, "and no wait");
}

static void test_stalled(void)
{
	struct sim s;

	sim_init(&s, LOW, 0, 100 * MIB, 100 * MIB);
	ok(!dm_sync_pace_stalled(&s.pace, s.now + 100 * SEC), "no work: not stalled");
	eq(s.pace.limited_by, DM_SYNC_LIMITED_BY_NOTHING, "nothing to do");
	run(&s, SEC);
	ok(!dm_sync_pace_stalled(&s.pace, s.now), "running: not stalled");
	ok(dm_sync_pace_stalled(&s.pace, s.last_done + SEC), "nothing completed for 1 s: stalled");
	dm_sync_pace_idle(&s.pace);
	ok(!dm_sync_pace_stalled(&s.pace, s.now + 100 * SEC), "work is over: not stalled");
	eq(s.pace.limited_by, DM_SYNC_LIMITED_BY_NOTHING, "nothing to do");

	sim_init(&s, LOW, 0, 10 * MIB, 10 * MIB);
	s.host = true;
	s.late = 5 * MS;
	for (int i = 0; i < 1000; i++) {
		run(&s, 50 * MS);
		expect(!dm_sync_pace_stalled(&s.pace, s.now), "at %d", i);
	}
	point("at the floor of low: not stalled");

	dm_sync_pace_set_rate(&s.pace, s.now, 100);
	run(&s, 5 * SEC);
	ok(dm_sync_pace_stalled(&s.pace, s.now), "a cap of 100 B/s: stalled");
}

static void test_rate(void)
{
	struct dm_sync_pace p;
	u64 now = START;

	dm_sync_pace_init(&p, LOW, 0);
	eq(dm_sync_pace_rate(&p, now), 0, "no rate before the first job");
	for (int i = 0; i < 20; i++) {
		dm_sync_pace_started(&p, now, MIB);
		now += 100 * MS;
		dm_sync_pace_done(&p, now, MIB, 50 * MS, 50 * MS);
		expect(within(dm_sync_pace_rate(&p, now), 10 * MIB, 0.01), "job %d", i);
	}
	point("the rate is right from the first job on");
	ok(within(dm_sync_pace_rate(&p, now + 2 * SEC), 5 * MIB, 0.1), "a pause counts");
	eq(dm_sync_pace_rate(&p, now + 5 * SEC), 0, "after 4 s nothing is left");

	now += 100 * SEC;
	dm_sync_pace_started(&p, now, MIB);
	now += 10 * MS;
	dm_sync_pace_done(&p, now, MIB, 5 * MS, 5 * MS);
	ok(within(dm_sync_pace_rate(&p, now), 100 * MIB, 0.01), "a new copy is measured anew");
	dm_sync_pace_started(&p, now, MIB);
	dm_sync_pace_done(&p, now, 0, 5 * MS, 5 * MS);
	ok(within(dm_sync_pace_rate(&p, now), 100 * MIB, 0.01), "a failed job does not count");
}

int main(void)
{
	plan(0);
	test_host();
	test_full_speed();
	test_cap();
	test_cap_change();
	test_low();
	test_same();
	test_changes();
	test_cap_and_floor();
	test_stalled();
	test_rate();
	return done();
}
