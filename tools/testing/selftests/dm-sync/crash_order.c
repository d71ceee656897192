// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash_order - the ordering rules, asserted on a trace
 *
 *	crash_order --log LOG --trace FILE --pair MAJ,MIN --source MAJ,MIN
 *		--replica MAJ,MIN --meta MAJ,MIN --meta-start SECTOR
 *
 * FILE has the events block_bio_queue and block_bio_complete of the four devices,
 * with trace_clock "counter": one order over all processors. A bio is queued
 * before its driver sees it, and completes before its submitter does; so "B is
 * queued after A completed" in the trace is what the rules speak of. LOG, of the
 * dm-log-writes device under source, replica and metadata, has what the metadata
 * said: the n-th write of a sector in the trace is the n-th in the log.
 *
 *  M		a write to either side is queued only while its extents stand in the
 *		activity table that is durable, or (background copy) its regions are
 *		marked in the durable map, or (replica door) in the replica's
 *  M, out	an extent leaves the durable table only after a flush of both sides
 *		that was queued after the last write there completed
 *  C		a mark leaves the durable map only after a flush of both sides that was
 *		queued after the copy's last write there completed (a host's write there
 *		has its extent, for which M stands)
 *  M-degraded	a write that failed on the replica completes for the host only after
 *		"Broken" is durable
 *  M-flush	a host's flush completes after a flush of each side that was queued
 *		after it
 *
 * A write that lies within one of the host's that is under way is the host's: the copy
 * writes whole regions, which are larger. Of flushes that overlap the trace does not say
 * which completed; the one that was queued last is taken, which accuses nobody wrongly.
 *
 * Prints how often each rule was put to the test. Exit 1 when one was broken.
 */
#include <getopt.h>
#include "crash_log.h"
#include "crash_meta.h"

#define FINDINGS	20u		/* of each rule */
#define OPEN		1024u		/* flushes or writes that may be under way */
#define BLOCK_SECTORS	8u
#define UNITS		512u		/* 4 KiB of metadata that are looked at */

enum { PAIR, SOURCE, REPLICA, META, DEVICES };
static const char *const names[] = { "pair", "source", "replica", "metadata" };

/* The last completed write, and flushes, of a side: numbers of events. */
struct side {
	uint64_t flush_queued[OPEN];	/* those that are open, in order */
	unsigned int flushes_open;
	uint64_t flushed_from;		/* the last flush that has completed was queued then */
	uint64_t *extent_done;
	uint32_t *extent_open;
};

struct range {
	uint64_t sector, sectors;
};

static struct {
	uint32_t dev[DEVICES][2];
	uint64_t meta_start;
	struct log log;
	FILE *trace;

	uint64_t now;			/* number of the event */
	size_t queued[UNITS], completed[UNITS];	/* writes of each unit so far */
	struct meta_super super;
	uint8_t *hot;			/* extents: 1 + block that names it */
	uint8_t *marked[2];		/* regions: in the durable source, replica map */
	uint64_t *copied;		/* regions: when the copy's last write completed */
	uint64_t regions, extents;
	struct side side[DEVICES];
	struct range missed[4096], host[OPEN];	/* host: its writes that are under way */
	unsigned int nr_missed, nr_host;
	uint64_t host_flush;		/* queued then, the oldest that is open */
	uint64_t tested[5], broken[5];
} o;

enum { RULE_M, RULE_M_OUT, RULE_C, RULE_M_DEGRADED, RULE_M_FLUSH };
static const char *const rules[] = { "M", "M, out", "C", "M-degraded", "M-flush" };

static void __attribute__((format(printf, 2, 3)))
broken(unsigned int rule, const char *format, ...)
{
	va_list args;

	if (o.broken[rule]++ >= FINDINGS)
		return;
	printf("# rule %s, event %llu: ", rules[rule], (unsigned long long)o.now);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/*----------------------------------------------------------------
 * Metadata
 *--------------------------------------------------------------*/

/* The block in the n-th write of this unit, or NULL. The caller frees it. */
static void *content(unsigned int unit, size_t n)
{
	uint64_t sector = o.meta_start + unit * BLOCK_SECTORS;
	char *block = must_alloc(META_BLOCK);
	size_t i;

	for (i = 0; i < o.log.nr; i++) {
		const struct log_entry *e = &o.log.entry[i];

		if (e->sector > sector || e->sector + e->sectors < sector + BLOCK_SECTORS || n--)
			continue;
		pread_all(o.log.fd, block, META_BLOCK,
			  e->data + (sector - e->sector) * SECTOR, "the log");
		return block;
	}
	die("write %zu of metadata unit %u is not in the log", n, unit);
}

static void geometry(const struct meta_super *s)
{
	unsigned int i;

	if (o.regions)
		return;
	o.regions = meta_regions(s);
	o.extents = ceil_div(s->sectors, s->extent_sectors);
	o.hot = must_alloc(o.extents);
	o.marked[0] = must_alloc(o.regions);
	o.marked[1] = must_alloc(o.regions);
	o.copied = must_alloc(o.regions * 8);
	for (i = 0; i < DEVICES; i++) {
		o.side[i].extent_done = must_alloc(o.extents * 8);
		o.side[i].extent_open = must_alloc(o.extents * 4);
	}
}

static bool flushed_since(uint64_t when)
{
	return o.side[SOURCE].flushed_from > when && o.side[REPLICA].flushed_from > when;
}

static bool names_extent(const struct meta_slot *slot, uint64_t extent)
{
	unsigned int i;

	for (i = 0; i < META_SLOTS; i++)
		if (slot[i].extent == extent + 1)
			return true;
	return false;
}

/* A new image of a block of the table is on its way: may those go that it lacks? */
static void table_queued(const struct meta_header *h)
{
	const struct meta_slot *slot = (const void *)(h + 1);
	uint64_t e;

	for (e = 0; e < o.extents; e++) {
		const struct side *s = &o.side[SOURCE], *r = &o.side[REPLICA];
		uint64_t last;

		if (o.hot[e] != h->index + 1 || names_extent(slot, e))
			continue;
		o.tested[RULE_M_OUT]++;
		last = s->extent_done[e];
		if (last < r->extent_done[e])
			last = r->extent_done[e];
		if (s->extent_open[e] || r->extent_open[e])
			broken(RULE_M_OUT, "extent %llu leaves the table with a write in flight",
			       (unsigned long long)e);
		else if (!flushed_since(last))
			broken(RULE_M_OUT, "extent %llu leaves the table, not flushed since %llu",
			       (unsigned long long)e, (unsigned long long)last);
	}
}

static void table_durable(const struct meta_header *h)
{
	const struct meta_slot *slot = (const void *)(h + 1);
	uint64_t e;

	for (e = 0; e < o.extents; e++)
		if (o.hot[e] == h->index + 1)
			o.hot[e] = 0;
	if (h->epoch != o.super.activity_epoch)
		return;
	for (e = 0; e < META_SLOTS; e++)
		if (slot[e].extent && slot[e].extent <= o.extents)
			o.hot[slot[e].extent - 1] = h->index + 1;
}

static void map_queued(const struct meta_header *h)
{
	uint64_t r, first = (uint64_t)h->index * META_BITS;

	if (h->type != META_SOURCE)
		return;
	for (r = first; r < o.regions && r < first + META_BITS; r++) {
		if (!o.marked[0][r] || meta_bit(h, r - first))
			continue;
		o.tested[RULE_C]++;
		if (!flushed_since(o.copied[r]))
			broken(RULE_C, "region %llu is unmarked, not flushed since %llu",
			       (unsigned long long)r, (unsigned long long)o.copied[r]);
	}
}

static void map_durable(const struct meta_header *h)
{
	uint64_t r, first = (uint64_t)h->index * META_BITS;

	for (r = first; r < o.regions && r < first + META_BITS; r++)
		o.marked[h->type == META_REPLICA][r] = meta_bit(h, r - first);
}

static void super_durable(const struct meta_super *s)
{
	geometry(s);
	if (s->activity_epoch != o.super.activity_epoch)
		memset(o.hot, 0, o.extents);
	if (s->copy_state == 5)
		o.nr_missed = 0;
	o.super = *s;
}

static void block_event(unsigned int unit, bool complete)
{
	struct meta_header *h = content(unit, complete ? o.completed[unit]++ : o.queued[unit]++);

	if (!meta_valid(h))
		broken(RULE_M, "metadata unit %u is not a valid block", unit);
	else if (h->type == META_SUPER && complete)
		super_durable((void *)h);
	else if (h->type == META_ACTIVITY && o.regions)
		(complete ? table_durable : table_queued)(h);
	else if ((h->type == META_SOURCE || h->type == META_REPLICA) && o.regions)
		(complete ? map_durable : map_queued)(h);
	free(h);
}

static void meta_event(bool complete, uint64_t sector, uint64_t sectors)
{
	uint64_t unit = sector / BLOCK_SECTORS;

	for (; sectors >= BLOCK_SECTORS; sectors -= BLOCK_SECTORS, unit++) {
		if (unit >= UNITS)
			die("more metadata than expected");
		block_event(unit, complete);
	}
}

/*----------------------------------------------------------------
 * Sides
 *--------------------------------------------------------------*/

static bool all_marked(const uint8_t *map, uint64_t first, uint64_t last)
{
	for (; first <= last; first++)
		if (!map[first])
			return false;
	return true;
}

static void side_queued(int dev, uint64_t sector, uint64_t sectors)
{
	uint64_t e = sector / o.super.extent_sectors, end = sector + sectors - 1, at;
	uint64_t first = sector / o.super.region_sectors, last = end / o.super.region_sectors;
	bool named = true, copy;

	for (at = e; at <= end / o.super.extent_sectors; at++) {
		o.side[dev].extent_open[at]++;
		named &= o.hot[at] != 0;
	}
	copy = all_marked(o.marked[0], first, last) &&
	       (dev == REPLICA || o.super.flags & SUPER_RESTORING);
	o.tested[RULE_M]++;
	if (!named && !copy && !(dev == REPLICA && all_marked(o.marked[1], first, last)))
		broken(RULE_M, "%s sectors %llu + %llu are written, extent %llu is not marked",
		       names[dev], (unsigned long long)sector, (unsigned long long)sectors,
		       (unsigned long long)e);
}

static bool is_hosts(uint64_t sector, uint64_t sectors)
{
	const struct range *w = o.host, *end = o.host + o.nr_host;

	while (w < end && (sector < w->sector || sector + sectors > w->sector + w->sectors))
		w++;
	return w < end;
}

static void side_completed(int dev, uint64_t sector, uint64_t sectors, int error)
{
	uint64_t end = sector + sectors - 1, at;

	for (at = sector / o.super.extent_sectors; at <= end / o.super.extent_sectors; at++) {
		o.side[dev].extent_open[at]--;
		o.side[dev].extent_done[at] = o.now;
	}
	for (at = sector / o.super.region_sectors; at <= end / o.super.region_sectors; at++)
		if (o.marked[0][at] && !is_hosts(sector, sectors))
			o.copied[at] = o.now;
	if (error && dev == REPLICA && o.super.copy_state != 5) {
		if (o.nr_missed == sizeof(o.missed) / sizeof(*o.missed))
			die("too many failed writes");
		o.missed[o.nr_missed++] = (struct range){ sector, sectors };
	}
}

static void side_flush(int dev, bool complete)
{
	struct side *s = &o.side[dev];

	if (!complete) {
		if (s->flushes_open == OPEN)
			die("too many flushes");
		s->flush_queued[s->flushes_open++] = o.now;
	} else if (s->flushes_open && s->flush_queued[--s->flushes_open] > s->flushed_from) {
		s->flushed_from = s->flush_queued[s->flushes_open];
	}
}

/*----------------------------------------------------------------
 * The host
 *--------------------------------------------------------------*/

static void host_flush(bool complete)
{
	static unsigned int open;

	if (!complete) {
		if (!open++)
			o.host_flush = o.now;
		return;
	}
	open--;
	if (o.super.copy_state != 3 && o.super.copy_state != 4)
		return;
	o.tested[RULE_M_FLUSH]++;
	if (!flushed_since(o.host_flush))
		broken(RULE_M_FLUSH, "a flush completes, the sides were flushed %llu and %llu",
		       (unsigned long long)o.side[SOURCE].flushed_from,
		       (unsigned long long)o.side[REPLICA].flushed_from);
}

static void host_completed(uint64_t sector, uint64_t sectors)
{
	unsigned int i;

	for (i = 0; i < o.nr_missed; i++)
		if (sector < o.missed[i].sector + o.missed[i].sectors &&
		    o.missed[i].sector < sector + sectors)
			broken(RULE_M_DEGRADED, "the write of %llu + %llu completes, missed by the replica, and the superblock says %s",
			       (unsigned long long)sector, (unsigned long long)sectors,
			       meta_state_name(o.super.copy_state));
}

static void host_write(bool complete, uint64_t sector, uint64_t sectors)
{
	unsigned int i;

	if (!complete) {
		if (o.nr_host == OPEN)
			die("too many writes");
		o.host[o.nr_host++] = (struct range){ sector, sectors };
		return;
	}
	for (i = 0; i < o.nr_host; i++)
		if (o.host[i].sector == sector && o.host[i].sectors == sectors)
			break;
	if (i < o.nr_host)
		o.host[i] = o.host[--o.nr_host];
	host_completed(sector, sectors);
}

/*----------------------------------------------------------------
 * The trace
 *--------------------------------------------------------------*/

static void event(int dev, bool complete, const char *rwbs, uint64_t sector,
		  uint64_t sectors, int error)
{
	o.now++;
	if (!strchr(rwbs, 'W'))
		return;
	if (dev == META) {
		meta_event(complete, sector, sectors);
	} else if (!o.regions) {
		return;				/* no pair yet */
	} else if (!sectors && dev == PAIR) {
		host_flush(complete);
	} else if (!sectors) {
		side_flush(dev, complete);
	} else if (dev == PAIR) {
		host_write(complete, sector, sectors);
	} else if (complete) {
		side_completed(dev, sector, sectors, error);
	} else {
		side_queued(dev, sector, sectors);
	}
	if (complete && error && dev == REPLICA && sectors)
		o.tested[RULE_M_DEGRADED]++;
}

static void read_line(const char *line)
{
	const char *at = strstr(line, "block_bio_");
	unsigned int major, minor, d;
	unsigned long long sector, sectors;
	char kind[16], rwbs[16];
	int error = 0, used;

	if (strstr(line, "LOST"))
		die("the trace is not complete: %s", line);
	if (!at || sscanf(at, "block_bio_%15[a-z]: %u,%u %15s %llu + %llu%n", kind, &major, &minor,
			  rwbs, &sector, &sectors, &used) != 6)
		return;
	sscanf(at + used, " [%d]", &error);
	for (d = 0; d < DEVICES; d++)
		if (major == o.dev[d][0] && minor == o.dev[d][1])
			event(d, kind[0] == 'c', rwbs, sector, sectors, error);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "log", 1, NULL, 'l' }, { "trace", 1, NULL, 't' }, { "pair", 1, NULL, PAIR },
		{ "source", 1, NULL, SOURCE }, { "replica", 1, NULL, REPLICA },
		{ "meta", 1, NULL, META }, { "meta-start", 1, NULL, 's' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l') {
			log_open(&o.log, optarg);
		} else if (c == 't') {
			o.trace = fopen(optarg, "r");
		} else if (c == 's') {
			o.meta_start = number(optarg);
		} else if (c >= DEVICES ||
			   sscanf(optarg, "%u%*[,:]%u", &o.dev[c][0], &o.dev[c][1]) != 2) {
			die("see the head of crash_order.c");
		}
	}
	if (!o.trace || !o.log.entry)
		die("--log and --trace are needed");
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	uint64_t broken = 0;
	unsigned int i;

	parse(argc, argv);
	while (getline(&line, &size, o.trace) > 0)
		read_line(line);
	printf("# %llu events; put to the test:", (unsigned long long)o.now);
	for (i = 0; i < 5; i++)
		printf(" %s: %llu%s", rules[i], (unsigned long long)o.tested[i], i < 4 ? "," : "");
	for (i = 0; i < 5; i++)
		broken += o.broken[i];
	printf("; broken: %llu\n", (unsigned long long)broken);
	for (i = 0; i < 5; i++)
		printf("tested %u %llu\n", i, (unsigned long long)o.tested[i]);
	return broken ? 1 : 0;
}
