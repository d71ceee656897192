// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash_load - stamped writes whose acknowledgement is on record
 *
 *	crash_load fill DEVICE
 *	crash_load touch DEVICE --stride S [--area A:L]
 *	crash_load write DEVICE [option]...
 *	  --threads N (3)    --seconds S (2) or --batches N
 *	  --area A:L         sectors to write in (all)
 *	  --batch N (8)      up to so many writes, then a flush
 *	  --fua PERCENT (20) of the batches are single writes with FUA
 *	  --max SECTORS (160) of a write
 *	  --discard PERCENT (0) of the batches are single discards
 *	  --seed X
 *	  --door LETTER (s)  who writes: the low byte of every sequence number
 *	  --mark NAME:DOOR   acknowledge by a mark "DOOR:lba:len:seq,..." in the log of
 *			     the dm-log-writes device NAME
 *	  --ack DEVICE       acknowledge in this disk: 64 bits a sector, the sequence
 *			     number that must not be lost any more
 *	crash_load check DEVICE --ack DEVICE
 *	crash_load compare DEVICE DEVICE [--meta DEVICE] [--own LETTER]
 *
 * touch: one write of 4 KiB in every S sectors.
 *
 * A thread owns the stripes that it writes to until they are acknowledged, so
 * the sequence numbers of one sector grow in the order of its writes. An
 * acknowledgement is recorded after the flush returned and before anything is
 * written there again; so at every instant the record is a lower bound. In a log it
 * waits for the flushes of other threads, too: see flushes_settle(). A discard is
 * announced before it is issued, by a mark "zDOOR:lba,len": from then on these sectors
 * may be zeroes, until a write there is acknowledged.
 *
 * check: every sector of DEVICE is stamped and not older than acknowledged.
 * compare: both are equal, but for the regions that the metadata of the pair (not
 * active now) has marked, and for the sectors of the first that LETTER wrote.
 * Exit 1, with the first findings, when not.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/uio.h>

#include "crash_dm.h"
#include "crash_meta.h"

#define STRIPE		64u		/* sectors; one sector of the record */
#define BATCH_MAX	12u
#define PIECE		2048u		/* sectors, for reading */
#define FINDINGS	10u
#define META_BYTES	(1u << 20)	/* enough for any pair of the tests */
#define THREADS		64u

struct write {
	uint64_t lba, seq;
	unsigned int sectors;
};

static struct {
	const char *path, *mark, *ack, *meta_path;
	char *meta;
	char door, own;
	int fd, fd_fua, ack_fd;
	uint64_t size, start, length, seed, batches, stride;
	unsigned int threads, batch, fua, max, discard;
	double end;
	pthread_mutex_t lock;
	uint8_t *claimed;		/* stripes */
	uint64_t *acked;
	uint64_t last_seq, done_batches, writes;
	unsigned int flushes[THREADS + 1];	/* of each owner; odd: one is under way */
	pthread_cond_t flushed;
} o = {
	.threads = 3, .batch = 8, .fua = 20, .max = 160, .end = 2,
	.lock = PTHREAD_MUTEX_INITIALIZER, .flushed = PTHREAD_COND_INITIALIZER,
	.door = 's', .seed = 1,
};

static uint64_t device_sectors(int fd, const char *path)
{
	uint64_t bytes = 0;

	if (ioctl(fd, BLKGETSIZE64, &bytes))
		die("%s: %s", path, strerror(errno));
	return bytes / SECTOR;
}

static int open_device(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/*----------------------------------------------------------------
 * Claims and sequence numbers
 *--------------------------------------------------------------*/

static uint64_t next_seq(void)
{
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = ((t.tv_sec * 1000000000ull + t.tv_nsec) & ~0xffull) | (uint8_t)o.door;
	pthread_mutex_lock(&o.lock);
	now = now > o.last_seq ? now : o.last_seq + 0x100;
	o.last_seq = now;
	pthread_mutex_unlock(&o.lock);
	return now;
}

/* Claims the stripes of a range, unless somebody else has one of them. */
static bool claim(const struct write *w, uint8_t owner)
{
	uint64_t s, first = w->lba / STRIPE, last = (w->lba + w->sectors - 1) / STRIPE;
	bool free = true;

	pthread_mutex_lock(&o.lock);
	for (s = first; s <= last; s++)
		free &= !o.claimed[s] || o.claimed[s] == owner;
	for (s = first; free && s <= last; s++)
		o.claimed[s] = owner;
	pthread_mutex_unlock(&o.lock);
	return free;
}

static void unclaim(uint8_t owner)
{
	uint64_t s;

	pthread_mutex_lock(&o.lock);
	for (s = 0; s <= o.size / STRIPE; s++)
		if (o.claimed[s] == owner)
			o.claimed[s] = 0;
	pthread_mutex_unlock(&o.lock);
}

/*----------------------------------------------------------------
 * Flushes
 *--------------------------------------------------------------*/

/* One of @owner begins, or has ended. */
static void flush_turn(uint8_t owner)
{
	pthread_mutex_lock(&o.lock);
	o.flushes[owner]++;
	pthread_cond_broadcast(&o.flushed);
	pthread_mutex_unlock(&o.lock);
}

/*
 * Of two flushes at once dm-log-writes gives all that is to be durable to the one that
 * came first, and logs it when that one ends. The other may have ended before: then the
 * device has kept its word and the log lags behind. So nothing is acknowledged in it
 * before all flushes have ended that were under way when our own did. That leaves those
 * of other processes and of the pair itself, which are few. A pair that promised too early
 * is found out where no other flush was under way, and by crash_order.
 */
static void flushes_settle(void)
{
	unsigned int i, seen[THREADS + 1];

	pthread_mutex_lock(&o.lock);
	memcpy(seen, o.flushes, sizeof(seen));
	for (i = 0; i <= THREADS; i++)
		while (seen[i] & 1 && o.flushes[i] == seen[i])
			pthread_cond_wait(&o.flushed, &o.lock);
	pthread_mutex_unlock(&o.lock);
}

/*----------------------------------------------------------------
 * Acknowledgement
 *--------------------------------------------------------------*/

static void ack_by_mark(const struct write *w, unsigned int nr)
{
	char text[512];
	int at = snprintf(text, sizeof(text), "mark %c", o.door);

	for (; nr--; w++)
		at += snprintf(text + at, sizeof(text) - at, ":%llx,%x,%llx",
			       (unsigned long long)w->lba, w->sectors,
			       (unsigned long long)w->seq);
	if (dm_message(o.mark, text))
		die("no mark in %s: %s", o.mark, strerror(errno));
}

static void ack_by_record(const struct write *w, unsigned int nr)
{
	uint64_t s, i, last;

	for (; nr--; w++) {
		for (i = 0; i < w->sectors; i++)
			o.acked[w->lba + i] = w->seq;
		last = (w->lba + w->sectors - 1) / STRIPE;
		for (s = w->lba / STRIPE; s <= last; s++)
			pwrite_all(o.ack_fd, o.acked + s * STRIPE, SECTOR, s * SECTOR, o.ack);
	}
}

static void acknowledge(const struct write *w, unsigned int nr)
{
	if (o.mark) {
		flushes_settle();
		ack_by_mark(w, nr);
	}
	if (o.ack)
		ack_by_record(w, nr);
}

/*----------------------------------------------------------------
 * Writing
 *--------------------------------------------------------------*/

static bool draw_write(struct write *w, uint64_t *state, uint8_t owner)
{
	unsigned int tries;

	for (tries = 0; tries < 20; tries++) {
		w->sectors = chance(state) % 4 ? 1 + chance(state) % 16 :
			     1 + chance(state) % o.max;
		w->lba = o.start + chance(state) % (o.length - w->sectors);
		if (chance(state) % 2)		/* file systems write pages */
			w->lba &= ~7ull, w->sectors = (w->sectors + 7) & ~7u;
		if (w->lba < o.start || w->lba + w->sectors > o.start + o.length)
			continue;
		if (claim(w, owner))
			return true;
	}
	return false;
}

static void write_one(struct write *w, char *buf, bool fua)
{
	struct iovec io = { buf, w->sectors * SECTOR };
	unsigned int i;

	w->seq = next_seq();
	for (i = 0; i < w->sectors; i++)
		stamp(buf + i * SECTOR, w->lba + i, w->seq);
	if (pwritev2(o.fd, &io, 1, w->lba * SECTOR, fua ? RWF_DSYNC : 0) != (ssize_t)io.iov_len)
		die("%s: write at sector %llu: %s", o.path, (unsigned long long)w->lba,
		    strerror(errno));
}

static void discard_one(struct write *w)
{
	uint64_t range[2] = { w->lba * SECTOR, w->sectors * SECTOR };
	char text[96];

	snprintf(text, sizeof(text), "mark z%c:%llx,%x", o.door, (unsigned long long)w->lba,
		 w->sectors);
	if (o.mark && dm_message(o.mark, text))
		die("no mark in %s: %s", o.mark, strerror(errno));
	w->seq = 0;
	if (ioctl(o.fd, BLKDISCARD, range))
		die("%s: discard at sector %llu: %s", o.path, (unsigned long long)w->lba,
		    strerror(errno));
}

/* A write with FUA has a flush behind it, as O_DSYNC asks for. */
static void write_through(struct write *w, char *buf, uint8_t owner)
{
	flush_turn(owner);
	write_one(w, buf, true);
	flush_turn(owner);
}

static void flush(uint8_t owner)
{
	flush_turn(owner);
	if (fdatasync(o.fd))
		die("%s: flush: %s", o.path, strerror(errno));
	flush_turn(owner);
}

static void one_batch(uint64_t *state, char *buf, uint8_t owner)
{
	bool discard = chance(state) % 100 < o.discard;
	bool fua = chance(state) % 100 < o.fua;
	unsigned int i, nr = 0, want = fua || discard ? 1 : 1 + chance(state) % o.batch;
	struct write w[BATCH_MAX];

	for (i = 0; i < want; i++) {
		if (!draw_write(&w[nr], state, owner))
			continue;
		if (discard)
			discard_one(&w[nr++]);
		else if (fua)
			write_through(&w[nr++], buf, owner);
		else
			write_one(&w[nr++], buf, false);
	}
	if (nr && (discard || !fua))
		flush(owner);
	if (nr)
		acknowledge(w, nr);
	unclaim(owner);
	__atomic_fetch_add(&o.writes, nr, __ATOMIC_RELAXED);
}

static void *writer(void *arg)
{
	uint8_t owner = (uintptr_t)arg;
	uint64_t state = o.seed * 1000 + owner;
	char *buf = must_alloc((o.max + 8) * SECTOR);

	while (seconds_now() < o.end &&
	       (!o.batches || __atomic_fetch_add(&o.done_batches, 1, __ATOMIC_RELAXED) < o.batches))
		one_batch(&state, buf, owner);
	free(buf);
	return NULL;
}

static int write_all(void)
{
	pthread_t thread[THREADS];
	unsigned int i;

	if (o.threads > THREADS || o.batch > BATCH_MAX || o.length <= o.max)
		die("too many threads, too large a batch, or too small an area");
	o.end += seconds_now();
	for (i = 0; i < o.threads; i++)
		if (pthread_create(&thread[i], NULL, writer, (void *)(uintptr_t)(i + 1)))
			die("no thread");
	for (i = 0; i < o.threads; i++)
		pthread_join(thread[i], NULL);
	printf("# %s: %llu writes acknowledged\n", o.path, (unsigned long long)o.writes);
	return 0;
}

static int fill(void)
{
	char *buf = must_alloc(PIECE * SECTOR);
	uint64_t lba, seq = next_seq();
	unsigned int i, nr;

	for (lba = 0; lba < o.size; lba += nr) {
		nr = o.size - lba < PIECE ? o.size - lba : PIECE;
		for (i = 0; i < nr; i++)
			stamp(buf + i * SECTOR, lba + i, seq);
		pwrite_all(o.fd, buf, nr * SECTOR, lba * SECTOR, o.path);
	}
	if (fsync(o.fd))
		die("%s: flush: %s", o.path, strerror(errno));
	return 0;
}

static int touch(void)
{
	struct write w = { .sectors = 8 };
	char *buf = must_alloc(w.sectors * SECTOR);

	if (!o.stride)
		die("--stride is needed");
	for (w.lba = o.start; w.lba + w.sectors <= o.start + o.length; w.lba += o.stride)
		write_one(&w, buf, false);
	return 0;
}

/*----------------------------------------------------------------
 * Checking
 *--------------------------------------------------------------*/

static int check(void)
{
	char *buf = must_alloc(PIECE * SECTOR);
	unsigned int i, nr, bad = 0, lost = 0;
	uint64_t lba, seq, newest = 0;
	enum stamp_fault fault;

	for (lba = 0; lba < o.size; lba += nr) {
		nr = o.size - lba < PIECE ? o.size - lba : PIECE;
		pread_all(o.fd, buf, nr * SECTOR, lba * SECTOR, o.path);
		for (i = 0; i < nr; i++) {
			fault = stamp_check(buf + i * SECTOR, lba + i, &seq);
			newest = seq > newest ? seq : newest;
			if (!fault && seq >= o.acked[lba + i])
				continue;
			lost += !fault;
			if (bad++ < FINDINGS)
				printf("# sector %llu is %s: has %llu, acknowledged %llu\n",
				       (unsigned long long)(lba + i),
				       fault ? stamp_fault_name(fault) : "older than acknowledged",
				       (unsigned long long)seq,
				       (unsigned long long)o.acked[lba + i]);
		}
	}
	printf("# %s: %u sectors bad, %u of them older than acknowledged\n", o.path, bad, lost);
	return bad ? 1 : 0;
}

static void read_meta(void)
{
	uint64_t bytes;
	int fd;

	if (!o.meta_path)
		return;
	fd = open_device(o.meta_path, O_RDONLY);
	bytes = device_sectors(fd, o.meta_path) * SECTOR;
	o.meta = must_alloc(META_BYTES);
	pread_all(fd, o.meta, bytes < META_BYTES ? bytes : META_BYTES, 0, o.meta_path);
	close(fd);
	if (!meta_super_of(o.meta))
		die("%s holds no superblock", o.meta_path);
}

/* Does the metadata say that the sides may differ in this sector? */
static bool known_to_differ(uint64_t lba)
{
	const struct meta_super *s;
	uint64_t region;

	if (!o.meta)
		return false;
	s = meta_super_of(o.meta);
	region = lba / s->region_sectors;
	return meta_marked(meta_map(o.meta, s, META_SOURCE, region / META_BITS), region) ||
	       meta_marked(meta_map(o.meta, s, META_REPLICA, region / META_BITS), region);
}

static void compare_piece(const char *a, const char *b, uint64_t lba, unsigned int nr,
			  unsigned int *bad, unsigned int *known)
{
	uint64_t sa, sb;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!memcmp(a + i * SECTOR, b + i * SECTOR, SECTOR))
			continue;
		if (known_to_differ(lba + i) ||
		    (!stamp_check(a + i * SECTOR, lba + i, &sa) && (char)sa == o.own)) {
			++*known;
			continue;
		}
		stamp_check(b + i * SECTOR, lba + i, &sb);
		if ((*bad)++ < FINDINGS)
			printf("# sector %llu differs: %llu and %llu\n",
			       (unsigned long long)(lba + i), (unsigned long long)sa,
			       (unsigned long long)sb);
	}
}

static int compare(const char *other)
{
	char *a = must_alloc(PIECE * SECTOR), *b = must_alloc(PIECE * SECTOR);
	int fd = open_device(other, O_RDONLY);
	unsigned int nr, bad = 0, known = 0;
	uint64_t lba;

	read_meta();
	for (lba = 0; lba < o.size; lba += nr) {
		nr = o.size - lba < PIECE ? o.size - lba : PIECE;
		pread_all(o.fd, a, nr * SECTOR, lba * SECTOR, o.path);
		pread_all(fd, b, nr * SECTOR, lba * SECTOR, other);
		if (memcmp(a, b, nr * SECTOR))
			compare_piece(a, b, lba, nr, &bad, &known);
	}
	printf("# %s and %s differ in %u sectors, and in %u that are marked\n", o.path, other,
	       bad, known);
	return bad ? 1 : 0;
}

static void open_record(void)
{
	uint64_t bytes = (o.size / STRIPE + 1) * SECTOR;

	o.acked = must_alloc(bytes);
	if (!o.ack)
		return;
	o.ack_fd = open_device(o.ack, O_RDWR);
	pread_all(o.ack_fd, o.acked, bytes, 0, o.ack);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' }, { "seconds", required_argument, NULL, 's' },
		{ "batches", required_argument, NULL, 'n' }, { "area", required_argument, NULL, 'a' },
		{ "batch", required_argument, NULL, 'b' }, { "fua", required_argument, NULL, 'f' },
		{ "max", required_argument, NULL, 'm' }, { "seed", required_argument, NULL, 'x' },
		{ "mark", required_argument, NULL, 'k' }, { "ack", required_argument, NULL, 'c' },
		{ "own", required_argument, NULL, 'o' }, { "door", required_argument, NULL, 'D' },
		{ "discard", required_argument, NULL, 'd' },
		{ "meta", required_argument, NULL, 'M' }, { "stride", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	char *colon;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		colon = optarg ? strchr(optarg, ':') : NULL;
		switch (c) {
		case 't': o.threads = number(optarg); break;
		case 's': o.end = strtod(optarg, NULL); break;
		case 'n': o.batches = number(optarg); o.end = 3600; break;
		case 'b': o.batch = number(optarg); break;
		case 'f': o.fua = number(optarg); break;
		case 'm': o.max = number(optarg); break;
		case 'd': o.discard = number(optarg); break;
		case 'D': o.door = *optarg; break;
		case 'o': o.own = *optarg; break;
		case 'x': o.seed = number(optarg); break;
		case 'c': o.ack = optarg; break;
		case 'S': o.stride = number(optarg); break;
		case 'M': o.meta_path = optarg; break;
		case 'a':
		case 'k':
			if (!colon)
				die("a colon is missing: %s", optarg);
			*colon++ = 0;
			if (c == 'a') {
				o.start = number(optarg);
				o.length = number(colon);
			} else {
				o.mark = optarg;
				o.door = *colon;
			}
			break;
		default: die("see the head of crash_load.c");
		}
	}
}

int main(int argc, char **argv)
{
	bool write;

	parse(argc, argv);
	if (argc - optind < 2)
		die("usage: crash_load fill|touch|write|check|compare DEVICE ...");
	o.path = argv[optind + 1];
	write = strcmp(argv[optind], "check") && strcmp(argv[optind], "compare");
	o.fd = open_device(o.path, write ? O_RDWR : O_RDONLY);
	o.size = device_sectors(o.fd, o.path);
	if (!o.length)
		o.length = o.size - o.start;
	if (o.start + o.length > o.size)
		die("the area ends behind the device");
	o.claimed = must_alloc(o.size / STRIPE + 1);
	open_record();
	if (!strcmp(argv[optind], "fill"))
		return fill();
	if (!strcmp(argv[optind], "touch"))
		return touch();
	if (!strcmp(argv[optind], "write"))
		return write_all();
	if (!strcmp(argv[optind], "check"))
		return check();
	if (!strcmp(argv[optind], "compare") && argc - optind == 3)
		return compare(argv[optind + 2]);
	die("usage: crash_load fill|touch|write|check|compare DEVICE ...");
}
