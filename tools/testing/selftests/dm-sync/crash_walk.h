/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A walk through a log of dm-log-writes: at each point of it that is drawn, what a
 * power cut would have left.
 *
 * The log is that of a device of which some slices are known: the source, one with
 * records (a store, or the metadata of a pair), and the delta if there is one. Points are
 *
 *	every entry, when it has arrived: a write with FUA, a flush with what it made
 *	durable, or one of the writes before it, for a flush may have been half way
 *	N.T	entry N, a record, of which only T sectors have arrived; with an even T the
 *		next one is spoilt, if it is a block of metadata
 *	N.aT	the same of a write of data that ahead() knows a later entry for which was
 *		in flight at the same time: that one has arrived already
 *
 * Which are tried is drawn by chance, as many as there is time for; entries without
 * FUA and flush count --between percent of the others. The first one after each step of
 * the script is always tried, unless time is short.
 *
 * A control takes something away that has to be there. The checks must find that out:
 *
 *	lose:TYPE	blocks of metadata of this type never arrive, as on a disk that lies
 *			about FUA; with 0 the data in a delta does not
 *	late		what is_late() knows arrives only after the next entry that
 *			is_trigger() knows, which is turning round the order that the rules ask for
 *	lie		the source ignores FLUSH and FUA: its last 32 writes are in a cache
 *
 * Who includes this defines the functions declared below.
 */
#ifndef CRASH_WALK_H
#define CRASH_WALK_H

#include "crash_dm.h"
#include "crash_log.h"
#include "crash_meta.h"

#define HELD_MAX	4096u
#define CACHE		32u		/* writes, of a source that lies */

struct slice {
	uint64_t start, len;
	const char *name;
	char dev[32];
};

struct point {
	size_t entry;
	int torn;			/* sectors of the entry that arrived, or -1: all */
	bool ahead, failed;
};

enum control { HONEST, LOSE, LATE, LIE };

static struct walk {
	const char *work;
	struct slice source, records, delta;
	uint64_t seed;
	double seconds;
	unsigned int between;
	bool verbose, stop;
	char only[32];
	enum control control;
	uint16_t lose;

	struct log log;
	int fd;				/* of the work device */
	uint64_t sectors;
	char *image;			/* of the whole device, at this point */
	bool begun, created, stepped;
	const char *phase;
	size_t held[HELD_MAX], nr_held;
	uint64_t chance;
	double begin, left;		/* weight of the points to come */
	unsigned int tried, failed, candidates;
} walk = {
	.source.name = "dmst-cw-source", .records.name = "dmst-cw-records",
	.delta.name = "dmst-cw-delta", .seed = 1, .seconds = 1e9, .between = 10, .phase = "-",
};

static void read_mark(const char *mark);
static void try_point(struct point *p);
static size_t ahead(size_t i);		/* 0: none */
static bool is_late(const struct log_entry *e);
static bool is_trigger(const struct log_entry *e);

static bool within(const struct slice *s, const struct log_entry *e)
{
	return e->sectors && e->sector >= s->start && e->sector < s->start + s->len;
}

static bool is_record(const struct log_entry *e)
{
	return within(&walk.records, e) || within(&walk.delta, e);
}

static void __attribute__((format(printf, 2, 3)))
finding(struct point *p, const char *format, ...)
{
	va_list args;

	printf("# point %zu", p->entry);
	if (p->torn >= 0)
		printf(".%s%d", p->ahead ? "a" : "", p->torn);
	printf(" (after %s): ", walk.phase);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	p->failed = true;
}

/*----------------------------------------------------------------
 * Entries arrive
 *--------------------------------------------------------------*/

static void put(const struct log_entry *e, uint64_t sectors)
{
	char *data = log_data(&walk.log, e);

	if (e->sector + e->sectors > walk.sectors)
		die("the log reaches behind %s", walk.work);
	memcpy(walk.image + e->sector * SECTOR, data, sectors * SECTOR);
	free(data);
}

static bool is_lost(const struct log_entry *e)
{
	struct meta_header *h;
	bool lost;

	if (!is_record(e) || e->sectors < META_BLOCK / SECTOR)
		return false;
	h = log_data(&walk.log, e);
	if (h->magic == META_MAGIC)
		lost = h->type == walk.lose;
	else
		lost = !walk.lose && within(&walk.delta, e);
	free(h);
	return lost;
}

static void release(size_t upto)
{
	size_t i, nr = walk.nr_held > upto ? walk.nr_held - upto : 0;

	for (i = 0; i < nr; i++)
		put(&walk.log.entry[walk.held[i]], walk.log.entry[walk.held[i]].sectors);
	memmove(walk.held, walk.held + nr, (walk.nr_held - nr) * sizeof(*walk.held));
	walk.nr_held -= nr;
}

static void hold(size_t i)
{
	if (walk.nr_held == HELD_MAX)
		release(HELD_MAX - 1);
	walk.held[walk.nr_held++] = i;
}

static void apply(size_t i)
{
	const struct log_entry *e = &walk.log.entry[i];

	if (walk.created && walk.control == LOSE && is_lost(e))
		return;
	if (walk.created && walk.control == LATE && is_late(e)) {
		hold(i);
	} else if (walk.created && walk.control == LIE && within(&walk.source, e)) {
		hold(i);
		release(CACHE);
	} else {
		put(e, e->sectors);
	}
}

/*----------------------------------------------------------------
 * Points
 *--------------------------------------------------------------*/

static unsigned int weight(const struct log_entry *e)
{
	if (!e->sectors && !(e->flags & LOG_FLUSH))
		return 0;
	return is_record(e) || e->flags & (LOG_FLUSH | LOG_FUA) ? 100 : walk.between;
}

static unsigned int torn_weight(const struct log_entry *e)
{
	return is_record(e) && e->sectors > 1 && walk.control == HONEST ? 60 : 0;
}

/* Is this point to be tried, with the time that is left for those to come? */
static bool drawn(unsigned int weight)
{
	double spent = seconds_now() - walk.begin, each = walk.tried ? spent / walk.tried : 0.3;
	double room = (walk.seconds - spent) / each * 100, part = room / (walk.left + 1);

	walk.left -= weight;
	if (part > 1)
		part = 1;
	return chance(&walk.chance) % 1000000 < part * weight * 10000;
}

static void visit(struct point p, bool draw)
{
	char name[32];

	snprintf(name, sizeof(name), p.torn < 0 ? "%zu" : "%zu.%s%d", p.entry,
		 p.ahead ? "a" : "", p.torn);
	if (*walk.only ? strcmp(name, walk.only) : !draw)
		return;
	walk.tried++;
	if (walk.verbose)
		printf("# try %s %s\n", name, walk.phase);
	try_point(&p);
	walk.failed += p.failed;
}

static char *at_entry(const struct log_entry *e)
{
	return walk.image + e->sector * SECTOR;
}

/* Entry @i when only @torn sectors of it have arrived. */
static void torn_point(size_t i, unsigned int torn, bool draw)
{
	const struct log_entry *e = &walk.log.entry[i];
	char *old = must_alloc(e->sectors * SECTOR);
	struct meta_header *h = log_data(&walk.log, e);

	memcpy(old, at_entry(e), e->sectors * SECTOR);
	memcpy(at_entry(e), h, torn * SECTOR);
	if (!(torn & 1) && h->magic == META_MAGIC)
		memset(at_entry(e) + torn * SECTOR + SECTOR / 2, 0xa5, SECTOR / 2);
	visit((struct point){ .entry = i, .torn = torn }, draw);
	memcpy(at_entry(e), old, e->sectors * SECTOR);
	free(old);
	free(h);
}

/* The same, and another one that was under way at that time is there. */
static void ahead_point(size_t i, unsigned int torn, bool draw)
{
	const struct log_entry *e = &walk.log.entry[i], *other;
	char *old, *old_other;
	size_t nr = ahead(i);

	if (!nr)
		return;
	other = &walk.log.entry[nr];
	old = must_alloc(e->sectors * SECTOR);
	old_other = must_alloc(other->sectors * SECTOR);
	memcpy(old, at_entry(e), e->sectors * SECTOR);
	memcpy(old_other, at_entry(other), other->sectors * SECTOR);
	put(other, other->sectors);
	put(e, torn);
	visit((struct point){ .entry = i, .torn = torn, .ahead = true }, draw);
	memcpy(at_entry(e), old, e->sectors * SECTOR);
	memcpy(at_entry(other), old_other, other->sectors * SECTOR);
	free(old);
	free(old_other);
}

static void before_entry(size_t i)
{
	const struct log_entry *e = &walk.log.entry[i];
	unsigned int torn, weight = torn_weight(e);

	if (!weight)
		return;
	if (*walk.only) {
		for (torn = 0; torn < e->sectors; torn++) {
			torn_point(i, torn, false);
			ahead_point(i, torn, false);
		}
		return;
	}
	if (!drawn(weight))
		return;
	torn = chance(&walk.chance) % e->sectors;
	if (chance(&walk.chance) % 2 && ahead(i))
		ahead_point(i, torn, true);
	else
		torn_point(i, torn, true);
}

/* Is this the first point since a step of the script, and are we not late? */
static bool first_of_step(size_t i)
{
	double spent = seconds_now() - walk.begin;

	if (!walk.stepped || walk.control != HONEST ||
	    spent > walk.seconds * ((double)i / walk.log.nr + 0.2))
		return false;
	walk.stepped = false;
	return true;
}

static void after_entry(size_t i)
{
	const struct log_entry *e = &walk.log.entry[i];
	bool draw = drawn(weight(e));

	if (weight(e) == 100)
		draw |= first_of_step(i);

	/* A control that turns the order round shows where it has done so. */
	if (walk.control == LATE)
		draw = walk.nr_held && is_trigger(e) && (draw || chance(&walk.chance) % 4 == 0);
	visit((struct point){ .entry = i, .torn = -1 }, draw);
	if (walk.control == LATE && is_trigger(e))
		release(0);
}

static bool is_over(void)
{
	return (walk.stop && walk.failed) || seconds_now() - walk.begin > 1.5 * walk.seconds;
}

static void walk_log(void)
{
	size_t i;

	for (i = 0; i < walk.log.nr; i++)
		walk.left += weight(&walk.log.entry[i]) + torn_weight(&walk.log.entry[i]);
	for (i = 0; i < walk.log.nr && !is_over(); i++) {
		const struct log_entry *e = &walk.log.entry[i];

		if (e->mark) {
			if (walk.control == LATE && e->mark[0] == 'p')
				release(0);
			walk.stepped |= e->mark[0] == 'p';
			read_mark(e->mark);
			continue;
		}
		if (!walk.begun) {
			walk.left -= weight(e) + torn_weight(e);
		} else {
			walk.candidates++;
			before_entry(i);
		}
		if (e->sectors)
			apply(i);
		if (walk.begun)
			after_entry(i);
	}
}

/*----------------------------------------------------------------
 * The beginning
 *--------------------------------------------------------------*/

static void slice_parse(struct slice *s, char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		die("a slice is START:LENGTH, not %s", text);
	*colon = 0;
	s->start = number(text);
	s->len = number(colon + 1);
	if (s->start + s->len > walk.sectors)
		walk.sectors = s->start + s->len;
}

static void control_parse(const char *text)
{
	if (!strncmp(text, "lose:", 5)) {
		walk.control = LOSE;
		walk.lose = number(text + 5);
	} else if (!strcmp(text, "late")) {
		walk.control = LATE;
	} else if (!strcmp(text, "lie")) {
		walk.control = LIE;
	} else {
		die("not a control: %s", text);
	}
}

static void slice_make(struct slice *s)
{
	struct dm_ioctl *io = dm_prepare(s->name);
	char dev[32], args[64];

	dm_devno(walk.work, dev, sizeof(dev));
	snprintf(args, sizeof(args), "%s %llu", dev, (unsigned long long)s->start);
	if (dm_create(s->name, s->len, "linear", args) || dm_request(DM_DEV_STATUS, io))
		die("cannot make %s", s->name);
	snprintf(s->dev, sizeof(s->dev), "%u:%u", major(io->dev), minor(io->dev));
	free(io);
}

static void walk_prepare(void)
{
	walk.image = must_alloc(walk.sectors * SECTOR);
	walk.fd = open(walk.work, O_RDWR | O_DIRECT);
	if (walk.fd < 0)
		die("%s: %s", walk.work, strerror(errno));
	walk.chance = walk.seed;
	walk.begin = seconds_now();
}

/* The work device is made what @image says, or the other way round. */
static void walk_transfer(char *image, bool write)
{
	const uint64_t step = 1 << 20, bytes = walk.sectors * SECTOR;
	uint64_t i;

	for (i = 0; i < bytes; i += step) {
		uint64_t n = bytes - i < step ? bytes - i : step;

		if (write)
			pwrite_all(walk.fd, image + i, n, i, walk.work);
		else
			pread_all(walk.fd, image + i, n, i, walk.work);
	}
}

#endif
