// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash_images - what a power cut at any point of a log would have left of images
 *
 *	crash_images snapshot|clone --log LOG --work DEVICE --source A:LEN
 *		--replica A:LEN [--meta A:LEN] [--delta A:LEN] --unit SECTORS --refs DIR
 *		[--options "N OPTION..."] [--seconds S] [--seed X] [--between PERCENT]
 *		[--only N[.T|.aT]] [--control lose:TYPE|late|lie] [--stop] [--verbose]
 *
 * LOG is that of a dm-log-writes device with the source and the store of a snapshot, or
 * source, replica, metadata and delta of a clone, as slices. At each point of it
 * (crash_walk.h) the prefix of the log is written to DEVICE and the set made on the same
 * slices of it; "@" in an option is the device of the delta.
 * Then, by crash_model.h,
 *
 *	every image that was promised is there, and none that was deleted; one that was
 *	given up is Broken, and none other unless it may be
 *	every image that is there, read through its door, is its point in time and its own
 *	acknowledged writes; so is the replica of a clone, at once through the door and in
 *	the end on the device (with a delta the door is shut while it is copied)
 *	the source, read through its door at once and on the device in the end, has what was
 *	acknowledged; a restore that was under way is complete; without one, recovery has
 *	not changed a byte of it
 *
 * At some of the points a clone that has its image is refreshed in the end: the source is
 * written, "resync", and when that is over source and replica are equal. So whatever
 * hosts have written to the replica was still known to be theirs.
 *
 * At some of the points the set is used then: the source is written, at once, and the
 * images must not have changed; that is a second power cut, at that moment, whose
 * remains are checked in the same way; and after an orderly end it comes back as it was.
 *
 * --stop ends at the first point that fails. Exit 1 when one did or none was tried.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "crash_model.h"
#include "crash_walk.h"

#define SET		"dmst-ci-set"
#define DOOR		"dmst-ci-door"
#define USE_WRITES	24u
#define USE_SECTORS	8u
#define SLOT_BLOCK	7u
#define SLOT_HEAD	1024u		/* of a segment, for chunks up to 512 KiB */
#define SLOTS		252u

static struct {
	bool clone, temporary, shut;	/* its door, until it is complete */
	struct slice replica;
	uint32_t unit;
	const char *options;
	char *after, *read;
	char before[64];		/* states of all images at the end */
	unsigned int refused, used, again, refreshed, restored, dropped, gone;
} o = { .replica.name = "dmst-cw-replica", .options = "" };

static char *at(char *image, const struct slice *s)
{
	return image + s->start * SECTOR;
}

static void read_mark(const char *mark)
{
	static char phase[64];

	if (mark[0] == 'z') {
		model_discard(mark + 1);
	} else if (mark[0] == 'p' && mark[1] == ':') {
		snprintf(phase, sizeof(phase), "%.*s", (int)strcspn(mark + 2, "0123456789"),
			 mark + 2);
		walk.phase = phase;
		model_mark(mark + 2, at(walk.image, &walk.source));
		walk.begun |= !strncmp(mark, "p:begin", 7);
		walk.created |= !strncmp(mark, "p:created", 9);
	} else {
		model_acknowledge(mark[0], mark + 1);
	}
}

/*----------------------------------------------------------------
 * What the walk asks for
 *--------------------------------------------------------------*/

/* The first segment of a store, which is all that these stores have. */
static uint64_t segment_start(void)
{
	uint64_t chunks = ceil_div(walk.source.len, o.unit);
	uint64_t units = 16 * (13 + ceil_div(chunks, META_BITS));

	return walk.records.start + ceil_div(units, SLOT_HEAD) * SLOT_HEAD;
}

static bool is_slot_data(const struct log_entry *e)
{
	return !o.clone && within(&walk.records, e) && e->sector >= segment_start() + SLOT_HEAD;
}

static bool is_late(const struct log_entry *e)
{
	if (walk.delta.len)
		return within(&walk.delta, e);
	if (o.clone)
		return within(&o.replica, e);
	return within(&walk.records, e) && e->sector >= segment_start();
}

static bool is_trigger(const struct log_entry *e)
{
	return within(o.clone && !walk.delta.len ? &walk.records : &walk.source, e);
}

/* Has the slot block @h been written by the batch that filled the slot of @e, with data? */
static bool tells_of(const struct meta_header *h, const struct log_entry *e)
{
	uint64_t first = h->index * SLOTS + (h->reserved1[0] | h->reserved1[1] << 8);
	uint64_t nr = h->reserved1[2] | h->reserved1[3] << 8;
	uint64_t slot = (e->sector - segment_start() - SLOT_HEAD) / o.unit;
	const uint8_t *entry = (const uint8_t *)(h + 1) + slot % SLOTS * 16;

	return h->magic == META_MAGIC && h->type == SLOT_BLOCK && slot >= first &&
	       slot < first + nr && !(entry[6] & 2);
}

static size_t ahead(size_t i)
{
	const struct log_entry *e = &walk.log.entry[i], *later;
	size_t at, result = 0;

	if (!is_slot_data(e))
		return 0;
	for (at = i + 1; at < walk.log.nr && at < i + 32 && !result; at++) {
		struct meta_header *h;

		later = &walk.log.entry[at];
		if (within(&walk.source, later))
			break;
		if (!within(&walk.records, later) || is_slot_data(later) || later->sectors != 8)
			continue;
		h = log_data(&walk.log, later);
		if (tells_of(h, e))
			result = at;
		free(h);
	}
	return result;
}

/*----------------------------------------------------------------
 * The set
 *--------------------------------------------------------------*/

/* The delta's device in place of "@". */
static const char *options(void)
{
	const char *here = strchr(o.options, '@');
	static char text[256];

	if (!here)
		return o.options;
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(here - o.options), o.options,
		 walk.delta.dev, here + 1);
	return text;
}

static int make_set(void)
{
	char args[512];

	if (o.clone)
		snprintf(args, sizeof(args), "clone %s %s %s %u %s", walk.source.dev,
			 o.replica.dev, walk.records.dev, o.unit, options());
	else
		snprintf(args, sizeof(args), "snapshot %s %s - %u %s", walk.source.dev,
			 walk.records.dev, o.unit, o.options);
	return dm_create(SET, walk.source.len, "sync", args);
}

static unsigned int minor_of(const char *name)
{
	struct dm_ioctl *io = dm_prepare(name);
	unsigned int nr;

	if (dm_request(DM_DEV_STATUS, io))
		die("%s has gone", name);
	nr = minor(io->dev);
	free(io);
	return nr;
}

/* A field of the set, or of an image; "" if there is none. */
static void field(char letter, const char *name, char *text, size_t size)
{
	char path[128], image[16] = "";
	FILE *f;

	*text = 0;
	if (letter)
		snprintf(image, sizeof(image), "images/%c/", letter);
	snprintf(path, sizeof(path), "/sys/block/dm-%u/dm-sync/%s%s", minor_of(SET), image, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(text, size, f))
		*text = 0;
	text[strcspn(text, "\n")] = 0;
	fclose(f);
}

/* Reads all of a device into o.read: 0 or an error. */
static int read_device(const char *name)
{
	uint64_t bytes = model.sectors * SECTOR, done = 0;
	char path[32];
	ssize_t got;
	int fd, r = 0;

	snprintf(path, sizeof(path), "/dev/dm-%u", minor_of(name));
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return errno;
	while (done < bytes && !r) {
		got = pread(fd, o.read + done, bytes - done, done);
		if (got > 0)
			done += got;
		else
			r = got ? errno : EIO;
	}
	close(fd);
	return r;
}

/* Through a door of its own. */
static int read_image(char letter)
{
	char args[48];
	int r;

	snprintf(args, sizeof(args), "/dev/dm-%u %c", minor_of(SET), letter);
	if (o.clone)
		args[strlen(args) - 2] = 0;
	r = -dm_create(DOOR, walk.source.len, "sync-replica", args);
	if (r)
		return r;
	r = read_device(DOOR);
	if (dm_remove(DOOR))
		die("cannot remove the door of %c", letter);
	return r;
}

/*----------------------------------------------------------------
 * Snapshots
 *--------------------------------------------------------------*/

static bool is_restoring(void)
{
	char text[64], letter;

	if (o.clone) {
		field(0, "progress_status", text, sizeof(text));
		return !strcmp(text, "Restoring");
	}
	for (letter = 'a'; letter <= 'z'; letter++) {
		if (!model.image[letter - 'a'].taken)
			continue;
		field(letter, "progress_status", text, sizeof(text));
		if (!strcmp(text, "Restoring"))
			return true;
	}
	return false;
}

/* Is an image there as it has to be? Returns whether it has content. */
static bool check_presence(struct point *p, struct thing *t, const char *state)
{
	bool there = *state, broken = !strcmp(state, "Broken");
	bool kept = !strcmp(state, "Synchronized") || !strcmp(state, "Skewed");

	switch (t->presence) {
	case ABSENT:
		if (there)
			finding(p, "%c is there, %s", t->letter, state);
		break;
	case ASKED:
	case ENDING:
		if (there && !kept && !(broken && model.may_drop))
			finding(p, "%c may be there or not, and is %s", t->letter, state);
		break;
	case THERE:
		if (!kept && !(broken && model.may_drop))
			finding(p, "%c was promised, and is %s", t->letter, there ? state : "gone");
		break;
	case DROPPED:
		if (!broken)
			finding(p, "%c was given up, and is %s", t->letter, there ? state : "gone");
		o.dropped++;
		break;
	case VOID:
		break;
	}
	o.gone += t->presence == ABSENT && !there;
	return kept && t->presence != ABSENT && t->presence != DROPPED;
}

static void check_image(struct point *p, struct thing *t)
{
	char state[64], why[400];
	int r;

	if (!t->taken)
		return;
	field(t->letter, "copy_state", state, sizeof(state));
	snprintf(o.before + strlen(o.before), sizeof(o.before) - strlen(o.before), "%.2s ",
		 *state ? state : "-");
	if (!check_presence(p, t, state))
		return;
	r = read_image(t->letter);
	if (r)
		finding(p, "%c cannot be read: %s", t->letter, strerror(r));
	else if (!legal(t, o.read, why))
		finding(p, "image %c: %s", t->letter, why);
}

static void check_images(struct point *p)
{
	unsigned int i;

	*o.before = 0;
	for (i = 0; i < 26; i++)
		check_image(p, &model.image[i]);
}

/*----------------------------------------------------------------
 * Clones
 *--------------------------------------------------------------*/

static bool detached(void)
{
	char line[512];

	return !dm_status(SET, line, sizeof(line)) && strstr(line, "passthrough");
}

/* Does the replica hold the image when all is over? */
static bool replica_kept(const char *state)
{
	static const char *const kept[] = {
		"Synchronized", "Skewed", "Fractured", "Split", "passthrough",
	};
	unsigned int i;

	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (!strcmp(state, kept[i]))
			return true;
	return false;
}

static void clone_state(char *state, size_t size)
{
	if (detached())
		snprintf(state, size, "passthrough");
	else
		field(0, "copy_state", state, size);
}

/* The replica, while it may still be copied. */
static void check_replica(struct point *p)
{
	struct thing *t = thing_of('r');
	char state[64], why[400];
	int r;

	clone_state(state, sizeof(state));
	snprintf(o.before, sizeof(o.before), "%s", state);
	if (t->presence == VOID && !t->has_next)
		return;
	if (t->presence == DROPPED && strcmp(state, "Broken"))
		finding(p, "the image was given up, and the clone is %s", state);
	if (!strcmp(state, "Broken") && !model.may_drop)
		finding(p, "the clone is Broken");
	if (!strcmp(state, "passthrough") || t->presence == VOID ||
	    (!replica_kept(state) && (o.shut || strcmp(state, "Unsynchronized"))))
		return;
	r = read_image('r');
	if (r) {
		/* A temporary one may have ended by itself meanwhile. */
		clone_state(state, sizeof(state));
		if (!strcmp(state, "passthrough"))
			return;
	}
	if (r)
		finding(p, "the replica of a clone that is %s cannot be read: %s", state,
			strerror(r));
	else if (!legal(t, o.read, why))
		finding(p, "replica, %s: %s", state, why);
}

/*----------------------------------------------------------------
 * Both
 *--------------------------------------------------------------*/

static void check_all(struct point *p)
{
	if (o.clone)
		check_replica(p);
	else
		check_images(p);
}

static bool busy(void)
{
	char state[64], progress[64];

	if (!o.clone)
		return is_restoring();
	if (detached())
		return false;
	field(0, "copy_state", state, sizeof(state));
	field(0, "progress_status", progress, sizeof(progress));
	return !strcmp(state, "Unsynchronized") || (o.temporary && replica_kept(state)) ||
	       (strlen(progress) > 3 && !strcmp(progress + strlen(progress) - 3, "ing"));
}

static bool wait_settled(struct point *p)
{
	double end = seconds_now() + 60;
	char line[512];

	while (busy()) {
		if (seconds_now() > end) {
			dm_status(SET, line, sizeof(line));
			finding(p, "recovery does not end: %s", line);
			return false;
		}
		usleep(3000);
	}
	return true;
}

static void check_source_door(struct point *p)
{
	char why[400];
	int r = read_device(SET);

	if (r)
		finding(p, "the source door cannot be read: %s", strerror(r));
	else if (!legal(&model.source, o.read, why))
		finding(p, "source, through its door: %s", why);
}

/* Is there room for what use() needs? */
static bool has_room(void)
{
	unsigned int used, slots;
	char line[512];

	if (o.clone)
		return true;
	return !dm_status(SET, line, sizeof(line)) &&
	       sscanf(line, "snapshot %*s %u/%u", &used, &slots) == 2 &&
	       slots - used > USE_WRITES * (USE_SECTORS / o.unit + 2);
}

/* Writes of a host, all over the source. */
static void write_source(struct point *p)
{
	char *buf = must_alloc(USE_SECTORS * SECTOR), path[32];
	struct timespec t;
	uint64_t seq, lba;
	unsigned int i, k;
	int fd;

	snprintf(path, sizeof(path), "/dev/dm-%u", minor_of(SET));
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	for (i = 0; i < USE_WRITES; i++) {
		clock_gettime(CLOCK_REALTIME, &t);
		seq = ((t.tv_sec * 1000000000ull + t.tv_nsec) & ~0xffull) | 's';
		lba = chance(&walk.chance) % (model.sectors - USE_SECTORS);
		for (k = 0; k < USE_SECTORS; k++)
			stamp(buf + k * SECTOR, lba + k, seq);
		if (pwrite(fd, buf, USE_SECTORS * SECTOR, lba * SECTOR) !=
		    (ssize_t)(USE_SECTORS * SECTOR))
			finding(p, "the source cannot be written: %s", strerror(errno));
	}
	if (fdatasync(fd))
		finding(p, "the source cannot be flushed: %s", strerror(errno));
	close(fd);
	free(buf);
}

static void use(struct point *p)
{
	write_source(p);
	o.used++;
	check_all(p);
}

static bool take_up(struct point *p)
{
	int r = make_set();

	if (r && walk.created)
		finding(p, "the set does not come up: %s", strerror(-r));
	else if (r)
		o.refused++;
	return !r;
}

static void take_down(void)
{
	int r = dm_remove(SET);

	if (r)
		die("cannot remove the set: %s", strerror(-r));
}

/* What is on the devices after all. */
static void check_devices(struct point *p, const char *before, bool unchanged)
{
	char *source = at(o.after, &walk.source), why[400];
	struct thing *r = thing_of('r');

	walk_transfer(o.after, false);
	if (!legal(&model.source, source, why))
		finding(p, "source: %s", why);
	if (unchanged && memcmp(source, at((char *)before, &walk.source), walk.source.len * SECTOR))
		finding(p, "recovery has written to the source");
	if (o.clone && replica_kept(o.before) && r->presence != VOID &&
	    !legal(r, at(o.after, &o.replica), why))
		finding(p, "replica, at last, %s: %s", o.before, why);
}

/* Nothing has happened since: it must come back as it was. */
static void check_return(struct point *p)
{
	char was[sizeof(o.before)];

	snprintf(was, sizeof(was), "%s", o.before);
	if (!take_up(p))
		return;
	check_all(p);
	take_down();
	if (strcmp(was, o.before))
		finding(p, "it was removed as %s and came back as %s", was, o.before);
}

/* Where two slices of an image differ; -1: nowhere. */
static int64_t first_difference(char *image, const struct slice *a, const struct slice *b)
{
	uint64_t i;

	for (i = 0; i < model.sectors; i++)
		if (memcmp(at(image, a) + i * SECTOR, at(image, b) + i * SECTOR, SECTOR))
			return i;
	return -1;
}

/* A new point in time: what differs is known, whoever wrote it and before whatever cut. */
static void check_refresh(struct point *p)
{
	int64_t lba;
	int r;

	if (!take_up(p))
		return;
	o.refreshed++;
	write_source(p);
	r = wait_settled(p) ? dm_message(SET, "resync") : -ETIME;
	if (r)
		finding(p, "%s, and a resync is refused: %s", o.before, strerror(-r));
	else
		wait_settled(p);
	take_down();
	if (p->failed)
		return;
	walk_transfer(o.after, false);
	lba = first_difference(o.after, &walk.source, &o.replica);
	if (lba >= 0)
		finding(p, "replica, refreshed, from %s: sector %lld is not the source's",
			o.before, (long long)lba);
}

/* At a part of the points, and at all where this is what must be found. */
static bool must_refresh(unsigned int draw)
{
	bool control = walk.control == LOSE && walk.lose == META_REPLICA;

	return (control || draw == 1) && o.clone && !o.temporary &&
	       replica_kept(o.before) && strcmp(o.before, "passthrough");
}

/* @image is on the work device; @cut: filled with what a second cut leaves. */
static bool verify(struct point *p, const char *image, char *cut)
{
	bool restoring, using;

	if (!take_up(p))
		return false;
	check_source_door(p);
	restoring = is_restoring();
	o.restored += restoring;
	if (restoring && !model.restoring)
		finding(p, "a restore goes on that was not asked for, or was complete");
	check_all(p);
	using = cut && has_room();
	if (using)
		use(p);
	if (o.clone && !strcmp(o.before, "Suspended"))
		dm_message(SET, "resume");
	if (!wait_settled(p)) {
		take_down();
		return false;
	}
	if (restoring || o.clone)
		check_all(p);
	if (cut)
		walk_transfer(cut, false);
	take_down();
	/* A restore may have ended before it was looked at. */
	check_devices(p, image, !restoring && !model.restoring && !using);
	return true;
}

static void try_point(struct point *p)
{
	static char *cut;
	unsigned int draw = chance(&walk.chance) % 4;
	bool use = draw == 0 && walk.created;

	if (!cut)
		cut = must_alloc(walk.sectors * SECTOR);
	walk_transfer(walk.image, true);
	if (!verify(p, walk.image, use ? cut : NULL) || p->failed)
		return;
	if (!use) {
		if (must_refresh(draw))
			check_refresh(p);
		return;
	}
	check_return(p);
	if (p->failed)
		return;
	o.again++;
	walk_transfer(cut, true);
	verify(p, cut, NULL);
}

/*----------------------------------------------------------------
 * Command line
 *--------------------------------------------------------------*/

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "log", 1, NULL, 'l' }, { "work", 1, NULL, 'w' }, { "source", 1, NULL, 's' },
		{ "replica", 1, NULL, 'r' }, { "meta", 1, NULL, 'm' }, { "delta", 1, NULL, 'd' },
		{ "unit", 1, NULL, 'u' },
		{ "refs", 1, NULL, 'f' }, { "options", 1, NULL, 'o' }, { "seconds", 1, NULL, 't' },
		{ "seed", 1, NULL, 'x' }, { "between", 1, NULL, 'b' }, { "only", 1, NULL, 'n' },
		{ "control", 1, NULL, 'c' }, { "stop", 0, NULL, 'S' }, { "verbose", 0, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': log_open(&walk.log, optarg); break;
		case 'w': walk.work = optarg; break;
		case 's': slice_parse(&walk.source, optarg); break;
		case 'r': slice_parse(&o.replica, optarg); break;
		case 'm': slice_parse(&walk.records, optarg); break;
		case 'd': slice_parse(&walk.delta, optarg); break;
		case 'u': o.unit = number(optarg); break;
		case 'f': model.refs = optarg; break;
		case 'o': o.options = optarg; break;
		case 't': walk.seconds = strtod(optarg, NULL); break;
		case 'x': walk.seed = number(optarg); break;
		case 'b': walk.between = number(optarg); break;
		case 'n': snprintf(walk.only, sizeof(walk.only), "%s", optarg); break;
		case 'c': control_parse(optarg); break;
		case 'S': walk.stop = true; break;
		case 'v': walk.verbose = true; break;
		default: die("see the head of crash_images.c");
		}
	}
	if (argc - optind != 1 || !walk.log.entry || !walk.work || !walk.source.len ||
	    !o.replica.len || !o.unit || !model.refs)
		die("see the head of crash_images.c");
	o.clone = !strcmp(argv[optind], "clone");
	o.temporary = strstr(o.options, "unassoc");
	o.shut = strstr(o.options, "snap_and_clone");
	if (!o.clone)
		walk.records.start = o.replica.start, walk.records.len = o.replica.len;
	if (!walk.records.len)
		die("--meta is needed");
}

int main(int argc, char **argv)
{
	double took;

	parse(argc, argv);
	walk_prepare();
	model_init(walk.source.len, model.refs);
	o.after = must_alloc(walk.sectors * SECTOR);
	o.read = must_alloc(model.sectors * SECTOR);
	slice_make(&walk.source);
	slice_make(&walk.records);
	if (o.clone)
		slice_make(&o.replica);
	if (walk.delta.len)
		slice_make(&walk.delta);
	walk_log();
	dm_remove(walk.source.name);
	dm_remove(walk.records.name);
	if (o.clone)
		dm_remove(o.replica.name);
	if (walk.delta.len)
		dm_remove(walk.delta.name);
	took = seconds_now() - walk.begin;
	printf("# %zu entries, %u points tried of %u and their torn ones, in %.1f s (%.0f ms each)\n",
	       walk.log.nr, walk.tried, walk.candidates, took,
	       walk.tried ? took * 1000 / walk.tried : 0);
	printf("# used %u, cut again %u, refreshed %u, restores taken up %u, dropped %u, deleted %u, refused before creation was complete %u, FAILED %u\n",
	       o.used, o.again, o.refreshed, o.restored, o.dropped, o.gone, o.refused, walk.failed);
	return walk.failed || !walk.tried ? 1 : 0;
}
