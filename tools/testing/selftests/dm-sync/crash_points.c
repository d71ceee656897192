// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash_points - what a power cut at any point of a log would have left
 *
 *	crash_points --log LOG --work DEVICE --source A:LEN --replica A --meta A:LEN
 *		[--seconds S] [--seed X] [--points N] [--between PERCENT]
 *		[--options TEXT] [--only N[.T]] [--metadata] [--lose-activity] [--verbose]
 *
 * LOG is that of a dm-log-writes device with the source, the replica and the
 * metadata of a pair as slices, given here in sectors. At each point of it the
 * prefix of the log is written to DEVICE, the pair is made on the same slices of
 * it, and its recovery runs to its end. Then
 *
 *   L1	every sector of the source is stamped, and not older than the marks say
 *	that were logged before that point; unless a restore was under way,
 *	recovery has not changed a byte of it;
 *   L3	the sides are equal wherever the metadata, which is read here by other code
 *	than the module's, does not say that they differ; everywhere, if the pair
 *	is Synchronized;
 *   and a pair that was removed in good order comes back as it was (asked after
 *	all writes of metadata and some others).
 *
 * Points are all entries with FLUSH or FUA; each write of metadata once more,
 * torn after some of its sectors (N.T: entry N with only T sectors of it); and
 * a percentage of the others. When time is short (--seconds) a part is drawn
 * by chance; the number of points tried is printed.
 *
 * --metadata takes the points at writes of metadata alone, each torn in all ways.
 * --lose-activity forgets every write of the activity table, as a disk would that
 * lies about FUA: the checks must find that out.
 *
 * Marks: "s:lba,len,seq:..." and "r:..." acknowledge writes through the source and
 * the replica door (crash_load); "p:WORD" a step of the script:
 *   begin	source and replica are stamped, no pair yet: points begin here
 *   created	the pair exists: from now on it must come up
 *   equal	no writes are under way, both sides are as the source was acknowledged
 *   resync	the replica's own writes are about to be given up
 *   restore	the source's are, in favour of the replica's
 *   restored	that is complete
 *   broken	the replica fails now: from here on it may come up Broken
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "crash_dm.h"
#include "crash_log.h"
#include "crash_meta.h"

#define PAIR		"dmst-cp-pair"
#define FINDINGS	5u

struct slice {
	uint64_t start, len;
	const char *name;
	char dev[32];
};

/* What a sector may hold. */
struct due {
	uint64_t source, replica;	/* acknowledged: not older than this */
	uint64_t dead_from, dead_to;	/* given up by a restore: never again */
};

static struct {
	const char *work, *options;
	struct slice source, replica, meta;
	uint64_t seed, points;
	double seconds;
	unsigned int between;
	bool verbose, lose_activity, metadata_only;
	long only;
	int only_torn;

	struct log log;
	int fd;
	uint64_t sectors;		/* of the whole device */
	char *image, *after;		/* before and after the recovery */
	struct due *due;
	bool begun, created, replica_due, restoring;
	uint64_t newest, restore_seq;	/* acknowledged: so far, before the restore */
	const char *phase;
	unsigned int tried, failed, refused, candidates;
	double begin;
	unsigned int ended_as[16];
} o = {
	.source.name = "dmst-cp-source", .replica.name = "dmst-cp-replica",
	.meta.name = "dmst-cp-meta", .options = "", .seconds = 1e9, .seed = 1,
	.points = UINT64_MAX, .between = 10, .only = -1, .only_torn = -1, .phase = "-",
};

struct point {
	size_t entry;
	int torn;			/* sectors of the entry that arrived, or -1: all */
	bool failed;
};

static bool is_metadata(const struct log_entry *e)
{
	return e->sectors && e->sector >= o.meta.start &&
	       e->sector < o.meta.start + o.meta.len;
}

static void finding(struct point *p, const char *format, ...)
{
	va_list args;

	printf("# point %zu", p->entry);
	if (p->torn >= 0)
		printf(".%d", p->torn);
	printf(" (after %s): ", o.phase);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	p->failed = true;
}

/*----------------------------------------------------------------
 * Marks
 *--------------------------------------------------------------*/

static void acknowledge(char door, const char *text)
{
	unsigned long long lba, seq;
	unsigned int len, i;
	int used;

	while (sscanf(text, ":%llx,%x,%llx%n", &lba, &len, &seq, &used) == 3) {
		text += used;
		for (i = 0; i < len && lba + i < o.source.len; i++) {
			struct due *d = &o.due[lba + i];

			if (door == 'r' || o.restoring)
				d->replica = seq;
			if (door == 's')
				d->source = seq;
			if (seq > o.newest)
				o.newest = seq;
		}
	}
}

/* Everything is stamped: from now on that is the least that is due. */
static void phase_begin(void)
{
	uint64_t i;

	for (i = 0; i < o.source.len; i++)
		if (stamp_check(o.image + (o.source.start + i) * SECTOR, i, &o.due[i].source))
			die("sector %llu is not stamped at the beginning",
			    (unsigned long long)i);
	o.begun = true;
}

/* The sides are equal: what the source has, the replica has. */
static void phase_equal(void)
{
	uint64_t i;

	for (i = 0; i < o.source.len; i++)
		o.due[i].replica = o.due[i].source;
	o.replica_due = true;
}

/* From now on a sector may hold either; what the script wants is the replica's. */
static void phase_restore(void)
{
	uint64_t i;

	for (i = 0; i < o.source.len; i++)
		if (o.due[i].source > o.due[i].replica)
			o.due[i].source = o.due[i].replica;
	o.restoring = true;
	o.restore_seq = o.newest;
	o.replica_due = false;
}

static void bury(struct due *d, uint64_t upto)
{
	if (d->replica > upto)
		return;
	d->source = d->replica;
	d->dead_from = d->replica + 1;
	d->dead_to = upto;
}

static void phase_restored(void)
{
	uint64_t i;

	for (i = 0; i < o.source.len; i++)
		bury(&o.due[i], o.restore_seq);
	o.restoring = false;
}

static void read_mark(const char *mark)
{
	if (mark[0] != 'p') {
		acknowledge(mark[0], mark + 1);
		return;
	}
	o.phase = mark + 2;
	if (!strcmp(o.phase, "begin"))
		phase_begin();
	else if (!strcmp(o.phase, "created"))
		o.created = true;
	else if (!strcmp(o.phase, "equal"))
		phase_equal();
	else if (!strcmp(o.phase, "resync"))
		o.replica_due = false;
	else if (!strcmp(o.phase, "restored"))
		phase_restored();
	else if (!strcmp(o.phase, "restore"))
		phase_restore();
}

/*----------------------------------------------------------------
 * Checks
 *--------------------------------------------------------------*/

static char *at(char *image, const struct slice *s, uint64_t sector)
{
	return image + (s->start + sector) * SECTOR;
}

/* In a restore that broke off the host reads marked regions from the replica. */
static const struct slice *read_by_host(const struct meta_super *m, const void *map, uint64_t i)
{
	return m->flags & SUPER_RESTORING && meta_marked(map, i / m->region_sectors) ?
	       &o.replica : &o.source;
}

static void check_stamps(struct point *p, const struct meta_super *m, bool replica, bool restored)
{
	const void *map = meta_map(at(o.after, &o.meta, 0), m, META_SOURCE, 0);
	unsigned int bad = 0;
	uint64_t i, seq;

	for (i = 0; i < o.source.len && bad < FINDINGS; i++) {
		const struct slice *s = replica ? &o.replica : read_by_host(m, map, i);
		enum stamp_fault fault = stamp_check(at(o.after, s, i), i, &seq);
		struct due d = o.due[i];

		if (restored)
			bury(&d, o.restore_seq);
		if (!fault && seq >= (replica ? d.replica : d.source) &&
		    !(seq >= d.dead_from && seq <= d.dead_to && !replica))
			continue;
		bad++;
		finding(p, "L1: %s sector %llu is %s: has %llx, due %llx, given up %llx to %llx",
			s->name, (unsigned long long)i,
			fault ? stamp_fault_name(fault) : "not what was acknowledged",
			(unsigned long long)seq,
			(unsigned long long)(replica ? d.replica : d.source),
			(unsigned long long)d.dead_from, (unsigned long long)d.dead_to);
	}
}

static void check_unchanged(struct point *p, const struct slice *s)
{
	uint64_t i;

	for (i = 0; i < o.source.len; i++)
		if (memcmp(at(o.image, s, i), at(o.after, s, i), SECTOR)) {
			finding(p, "recovery has written to %s sector %llu", s->name,
				(unsigned long long)i);
			return;
		}
}

static bool region_equal(const struct meta_super *m, uint64_t region)
{
	uint64_t start = region * m->region_sectors, len = m->region_sectors;

	if (start + len > m->sectors)
		len = m->sectors - start;
	return !memcmp(at(o.after, &o.source, start), at(o.after, &o.replica, start),
		       len * SECTOR);
}

static void check_sides(struct point *p, const struct meta_super *m)
{
	const char *meta = at(o.after, &o.meta, 0);
	const void *source = NULL, *replica = NULL;
	bool synced = m->copy_state == 4;
	unsigned int bad = 0;
	uint64_t r;

	for (r = 0; r < meta_regions(m) && bad < FINDINGS; r++) {
		bool marked;

		if (!(r % META_BITS)) {
			source = meta_map(meta, m, META_SOURCE, r / META_BITS);
			replica = meta_map(meta, m, META_REPLICA, r / META_BITS);
		}
		marked = meta_marked(source, r) || meta_marked(replica, r);
		if (marked && synced)
			finding(p, "region %llu is marked in a Synchronized pair",
				(unsigned long long)r), bad++;
		else if (!marked && !region_equal(m, r))
			finding(p, "L3: region %llu differs and is not marked, pair is %s",
				(unsigned long long)r, meta_state_name(m->copy_state)), bad++;
	}
}

/*----------------------------------------------------------------
 * One point
 *--------------------------------------------------------------*/

static int make_pair(void)
{
	char args[512];

	snprintf(args, sizeof(args), "mirror %s %s %s %s", o.source.dev, o.replica.dev,
		 o.meta.dev, o.options);
	return dm_create(PAIR, o.source.len, "sync", args);
}

/* Waits until nothing is under way; the CopyState is left in @state. */
static bool wait_settled(struct point *p, char *state, size_t size)
{
	char line[1024], copy[32], progress[32];
	double end = seconds_now() + 30;

	do {
		if (dm_status(PAIR, line, sizeof(line)) ||
		    sscanf(line, "mirror %*s %31s %31s", copy, progress) != 2) {
			finding(p, "no status: %s", line);
			return false;
		}
		snprintf(state, size, "%s", copy);
		if (strcmp(copy, "Unsynchronized") && strcmp(progress, "Restoring"))
			return true;
		usleep(2000);
	} while (seconds_now() < end);
	finding(p, "recovery does not end: %s", line);
	return false;
}

static void sync_work(bool write)
{
	const uint64_t step = 1 << 20;
	uint64_t i, bytes = o.sectors * SECTOR;

	for (i = 0; i < bytes; i += step) {
		uint64_t n = bytes - i < step ? bytes - i : step;

		if (write)
			pwrite_all(o.fd, o.image + i, n, i, o.work);
		else
			pread_all(o.fd, o.after + i, n, i, o.work);
	}
}

/* Up, recovered, down in good order. */
static bool recover(struct point *p, char *state, size_t size)
{
	bool settled;
	int r = make_pair();

	if (r && !o.created) {
		o.refused++;
		return false;
	}
	if (r) {
		finding(p, "the pair does not come up: %s", strerror(-r));
		return false;
	}
	settled = wait_settled(p, state, size);
	r = dm_remove(PAIR);
	if (r)
		die("cannot remove the pair: %s", strerror(-r));
	return settled;
}

/* Nothing has happened since: so it must come back as it was. */
static void check_return(struct point *p, const char *before)
{
	char state[32];

	if (!recover(p, state, sizeof(state)) || !strcmp(state, before))
		return;
	finding(p, "it was removed %s, and came back %s", before, state);
}

static void check_result(struct point *p, bool restoring, const char *state)
{
	const struct meta_super *m;

	sync_work(false);
	m = meta_super_of(at(o.after, &o.meta, 0));
	if (!m || !(m->flags & SUPER_CLEAN)) {
		finding(p, "no clean superblock after recovery and removal");
		return;
	}
	if (m->flags & SUPER_LOST || (m->copy_state == 5 && !restoring && !o.restoring))
		finding(p, "the pair is %s, flags %x, reason %u", state, m->flags, m->reason);
	o.ended_as[m->copy_state & 15]++;
	if (!restoring)
		check_unchanged(p, &o.source);
	check_stamps(p, m, false, restoring && m->copy_state == 4);
	check_sides(p, m);
	if (o.replica_due && (m->copy_state == 6 || m->copy_state == 7)) {
		check_unchanged(p, &o.replica);
		check_stamps(p, m, true, false);
	}
}

static void try_point(struct point *p)
{
	const struct meta_super *m = meta_super_of(at(o.image, &o.meta, 0));
	bool restoring = m && m->flags & SUPER_RESTORING;
	char state[32] = "";

	o.tried++;
	if (o.verbose)
		printf("# try %zu.%d %s %s\n", p->entry, p->torn, o.phase,
		       m ? meta_state_name(m->copy_state) : "-");
	sync_work(true);
	if (!recover(p, state, sizeof(state)))
		goto out;
	check_result(p, restoring, state);
	if (is_metadata(&o.log.entry[p->entry]) || !(p->entry % 4))
		check_return(p, state);
out:
	if (p->failed)
		o.failed++;
}

/*----------------------------------------------------------------
 * All points
 *--------------------------------------------------------------*/

static void apply(const struct log_entry *e, unsigned int sectors)
{
	char *data = log_data(&o.log, e);

	if (e->sector + e->sectors > o.sectors)
		die("the log reaches behind %s", o.work);
	if (o.lose_activity && o.created && is_metadata(e) &&
	    ((struct meta_header *)data)->type == META_ACTIVITY)
		sectors = 0;
	memcpy(o.image + e->sector * SECTOR, data, (uint64_t)sectors * SECTOR);
	free(data);
}

static unsigned int weight(const struct log_entry *e)
{
	if (is_metadata(e))
		return 100;
	if (o.metadata_only)
		return 0;
	return e->flags & (LOG_FLUSH | LOG_FUA) ? 100 : o.between;
}

/* Is this point to be tried, with the time that is left for those to come? */
static bool drawn(const struct log_entry *e, size_t left, uint64_t *state)
{
	double spent = seconds_now() - o.begin, each = o.tried ? spent / o.tried : 0.1;
	double room = (o.seconds - spent) / each, part = left ? room / left : 1;

	if (o.tried >= o.points)
		return false;
	if (is_metadata(e) && part > 0.05)	/* rare, and where the rules are */
		part = 1;
	if (chance(state) % 10000 >= weight(e) * 100)
		return false;
	return chance(state) % 10000 < part * 10000;
}

static void visit(size_t i, int torn)
{
	struct point p = { .entry = i, .torn = torn };

	if (o.only < 0 || ((size_t)o.only == i && torn == o.only_torn))
		try_point(&p);
}

/*
 * One write of metadata, cut in the middle: @torn sectors are new. An even
 * number stands for a cut that also spoilt the sector it met.
 */
static void torn_point(size_t i, unsigned int torn)
{
	const struct log_entry *e = &o.log.entry[i];
	char *data = at(o.image, &(struct slice){ .start = e->sector }, 0);
	char *old = must_alloc(e->sectors * SECTOR);

	memcpy(old, data, e->sectors * SECTOR);
	apply(e, torn);
	if (!(torn & 1))
		memset(data + torn * SECTOR + SECTOR / 2, 0xa5, SECTOR / 2);
	visit(i, torn);
	memcpy(data, old, e->sectors * SECTOR);
	free(old);
}

static void torn_points(size_t i, uint64_t *state)
{
	const struct log_entry *e = &o.log.entry[i];
	unsigned int torn;

	if (!o.metadata_only && o.only < 0) {
		torn_point(i, 1 + chance(state) % (e->sectors - 1));
		return;
	}
	for (torn = 1; torn < e->sectors; torn++)
		torn_point(i, torn);
}

static void walk(void)
{
	uint64_t state = o.seed;
	size_t i, left = o.log.nr;

	for (i = 0; i < o.log.nr; i++, left--) {
		const struct log_entry *e = &o.log.entry[i];

		if (e->mark) {
			read_mark(e->mark);
			continue;
		}
		if (o.begun && is_metadata(e) && (o.only >= 0 || drawn(e, left, &state)))
			torn_points(i, &state);
		if (e->sectors)
			apply(e, e->sectors);
		if (!o.begun)
			continue;
		o.candidates++;
		if (o.only >= 0 || drawn(e, left, &state))
			visit(i, -1);
	}
}

static void slice_parse(struct slice *s, const char *text, uint64_t len)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon = 0;
	s->start = number(text);
	s->len = colon ? number(colon + 1) : len;
}

static void make_slice(struct slice *s)
{
	struct dm_ioctl *io = dm_prepare(s->name);
	char dev[32], args[64];

	dm_devno(o.work, dev, sizeof(dev));
	snprintf(args, sizeof(args), "%s %llu", dev, (unsigned long long)s->start);
	if (dm_create(s->name, s->len, "linear", args) || dm_request(DM_DEV_STATUS, io))
		die("cannot make %s", s->name);
	snprintf(s->dev, sizeof(s->dev), "%u:%u", major(io->dev), minor(io->dev));
	free(io);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "log", 1, NULL, 'l' }, { "work", 1, NULL, 'w' }, { "source", 1, NULL, 's' },
		{ "replica", 1, NULL, 'r' }, { "meta", 1, NULL, 'm' }, { "seconds", 1, NULL, 't' },
		{ "seed", 1, NULL, 'x' }, { "points", 1, NULL, 'p' }, { "between", 1, NULL, 'b' },
		{ "options", 1, NULL, 'o' }, { "only", 1, NULL, 'n' }, { "verbose", 0, NULL, 'v' },
		{ "lose-activity", 0, NULL, 'a' }, { "metadata", 0, NULL, 'M' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': log_open(&o.log, optarg); break;
		case 'w': o.work = optarg; break;
		case 's': slice_parse(&o.source, optarg, 0); break;
		case 'r': slice_parse(&o.replica, optarg, o.source.len); break;
		case 'm': slice_parse(&o.meta, optarg, 0); break;
		case 't': o.seconds = strtod(optarg, NULL); break;
		case 'x': o.seed = number(optarg); break;
		case 'p': o.points = number(optarg); break;
		case 'b': o.between = number(optarg); break;
		case 'o': o.options = optarg; break;
		case 'v': o.verbose = true; break;
		case 'M': o.metadata_only = true; break;
		case 'a': o.lose_activity = true; break;
		case 'n':
			if (sscanf(optarg, "%ld.%d", &o.only, &o.only_torn) < 1)
				die("not a point: %s", optarg);
			break;
		default: die("see the head of crash_points.c");
		}
	}
	if (!o.log.entry || !o.work || !o.source.len || !o.replica.len || !o.meta.len)
		die("--log, --work, --source, --replica and --meta are needed");
}

static void prepare(void)
{
	o.sectors = o.meta.start + o.meta.len;
	o.image = must_alloc(o.sectors * SECTOR);
	o.after = must_alloc(o.sectors * SECTOR);
	o.due = must_alloc(o.source.len * sizeof(*o.due));
	o.fd = open(o.work, O_RDWR | O_DIRECT);
	if (o.fd < 0)
		die("%s: %s", o.work, strerror(errno));
	make_slice(&o.source);
	make_slice(&o.replica);
	make_slice(&o.meta);
	o.begin = seconds_now();
}

int main(int argc, char **argv)
{
	unsigned int i;

	parse(argc, argv);
	prepare();
	walk();
	dm_remove(o.source.name);
	dm_remove(o.replica.name);
	dm_remove(o.meta.name);
	printf("# %zu entries, %u points tried of %u and their torn ones, in %.1f s (%.0f ms each)\n",
	       o.log.nr, o.tried, o.candidates, seconds_now() - o.begin,
	       o.tried ? (seconds_now() - o.begin) * 1000 / o.tried : 0);
	printf("# ended");
	for (i = 0; i < 16; i++)
		if (o.ended_as[i])
			printf(" %s %u", meta_state_name(i), o.ended_as[i]);
	printf(", refused before creation was complete %u, FAILED %u\n", o.refused, o.failed);
	return o.failed || !o.tried ? 1 : 0;
}
