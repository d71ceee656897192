// SPDX-License-Identifier: GPL-2.0-only
/*
 * dmsio - I/O that can be told from any other
 *
 * Every 512-byte sector that this program writes says what it is: its own
 * number, the sequence number of the write and a checksum over all of it. So a
 * checker can tell a sector that is stale (older than what was acknowledged)
 * from one that is too new, lies in the wrong place, or is torn or garbage.
 *
 * A write takes the next sequence number while it holds its range of sectors
 * against the other threads, so of two writes to a sector the later has the
 * larger number (not with --overlap, where nobody knows the order).  Numbers
 * start at the time in microseconds: a later run's are larger.
 *
 * Lines of the file of acknowledgements, all numbers decimal:
 *	A <sector> <sectors> <seq> <upto>	write <seq> is acknowledged; writes
 *						above <upto> were issued later
 *	Z <sector> <sectors> <seq>		write <seq> makes zeroes of these
 *						sectors, and is about to be issued
 * With --ack they appear when a flush or FUA made the write durable, with --log
 * as soon as it is complete.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR		512u
#define MAGIC		0x3174736d79736d64ull	/* "dmsymst1" */
#define CHUNK		(1u << 20)
#define SLACK		8192u			/* room to move a buffer's start */
#define THREADS_MAX	256u
#define FINDINGS	10u
#define MMAP_BYTES	4096u

/* What a sector holds; little-endian machines only read their own. */
struct stamp {
	uint64_t magic;
	uint64_t sector;
	uint64_t seq;
	uint32_t pad;
	uint32_t crc;			/* crc32c of the sector with 0 here */
	uint64_t data[60];
};

_Static_assert(sizeof(struct stamp) == SECTOR, "a stamp fills a sector");

struct options {
	uint64_t first, sectors;	/* the part of the device in use */
	uint64_t seq;
	uint64_t seed;
	uint64_t ops;			/* 0: no limit */
	double seconds;			/* 0: no limit */
	uint64_t max_seq;		/* 0: no limit */
	unsigned int threads;
	unsigned int max_bytes, bytes;
	unsigned int flush_every;
	unsigned int hot, discard, zero;	/* percent */
	unsigned int pause_us;
	const char *ack, *log;
	bool fua, overlap, allow_zero, instant, keep_going;
};

static struct options opt = {
	.threads = 4,
	.max_bytes = 64 << 10,
	.seed = 1,
};

static const char *device_name;
static int device = -1;
static unsigned int lbs = SECTOR;	/* logical block size */
static atomic_bool stop;

/*----------------------------------------------------------------
 * Small things
 *--------------------------------------------------------------*/

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *text, ...)
{
	va_list args;

	fputs("dmsio: ", stderr);
	va_start(args, text);
	vfprintf(stderr, text, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static uint32_t crc_table[8][256];

static void crc_init(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		crc_table[0][i] = c;
	}
	for (unsigned int i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			crc_table[t][i] = crc_table[t - 1][i] >> 8 ^
					  crc_table[0][crc_table[t - 1][i] & 255];
}

/* Of whole words only: what is summed here is a stamp or a block. */
static uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint64_t *word = data;

	for (; bytes >= 8; bytes -= 8) {
		uint64_t x = *word++ ^ crc;

		crc = crc_table[7][x & 255] ^ crc_table[6][x >> 8 & 255] ^
		      crc_table[5][x >> 16 & 255] ^ crc_table[4][x >> 24 & 255] ^
		      crc_table[3][x >> 32 & 255] ^ crc_table[2][x >> 40 & 255] ^
		      crc_table[1][x >> 48 & 255] ^ crc_table[0][x >> 56];
	}
	return crc;
}

/* xorshift64*: good enough to choose places. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t *state, uint64_t limit)
{
	return limit ? random_next(state) % limit : 0;
}

static bool percent(uint64_t *state, unsigned int p)
{
	return p && below(state, 100) < p;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t time_as_seq(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void *buffer(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, 4096, bytes))
		die("no memory");
	return p;
}

static void on_signal(int number)
{
	(void)number;
	atomic_store(&stop, true);
}

/*----------------------------------------------------------------
 * Stamps
 *--------------------------------------------------------------*/

static uint32_t stamp_crc(struct stamp *s)
{
	uint32_t kept = s->crc, crc;

	s->crc = 0;
	crc = ~crc32c(~0u, s, SECTOR);
	s->crc = kept;
	return crc;
}

static void stamp_make(struct stamp *s, uint64_t sector, uint64_t seq)
{
	uint64_t x = seq * 0x9e3779b97f4a7c15ull ^ sector;

	s->magic = MAGIC;
	s->sector = sector;
	s->seq = seq;
	s->pad = 0;
	for (unsigned int i = 0; i < 60; i++)
		s->data[i] = x += 0x9e3779b97f4a7c15ull;
	s->crc = stamp_crc(s);
}

static void stamp_range(void *to, uint64_t sector, uint64_t sectors, uint64_t seq)
{
	struct stamp *s = to;

	while (sectors--)
		stamp_make(s++, sector++, seq);
}

enum kind { STAMPED, ZERO, MISPLACED, GARBAGE };

static bool is_zero(const struct stamp *s)
{
	const uint64_t *word = (const uint64_t *)s;

	for (unsigned int i = 0; i < SECTOR / 8; i++)
		if (word[i])
			return false;
	return true;
}

static enum kind stamp_kind(struct stamp *s, uint64_t sector)
{
	if (s->magic != MAGIC)
		return is_zero(s) ? ZERO : GARBAGE;
	if (stamp_crc(s) != s->crc)
		return GARBAGE;
	return s->sector == sector ? STAMPED : MISPLACED;
}

static const char *stamp_text(struct stamp *s, uint64_t sector, char *text, size_t size)
{
	switch (stamp_kind(s, sector)) {
	case STAMPED:
		snprintf(text, size, "seq %llu", (unsigned long long)s->seq);
		break;
	case ZERO:
		snprintf(text, size, "zeroes");
		break;
	case MISPLACED:
		snprintf(text, size, "sector %llu seq %llu (misplaced)",
			 (unsigned long long)s->sector, (unsigned long long)s->seq);
		break;
	case GARBAGE:
		snprintf(text, size, "%s", s->magic == MAGIC ? "a torn stamp" : "garbage");
		break;
	}
	return text;
}

/*----------------------------------------------------------------
 * Devices
 *--------------------------------------------------------------*/

static uint64_t device_sectors(int fd, const char *name)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st))
		die("%s: %m", name);
	if (S_ISREG(st.st_mode))
		return st.st_size / SECTOR;
	if (!S_ISBLK(st.st_mode))
		die("%s is neither a block device nor a file", name);
	if (ioctl(fd, BLKGETSIZE64, &bytes))
		die("%s: %m", name);
	return bytes / SECTOR;
}

static int device_open(const char *name, int flags)
{
	struct stat st;
	int fd, size;

	/* Never make a file of a device that is not there. */
	if (stat(name, &st))
		die("%s: %m", name);
	if (S_ISREG(st.st_mode))
		flags &= ~O_DIRECT;	/* not every file system has it */
	fd = open(name, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s: %m", name);
	if (S_ISBLK(st.st_mode) && !ioctl(fd, BLKSSZGET, &size) && size > (int)lbs)
		lbs = size;
	return fd;
}

static void open_main(const char *name, int flags)
{
	uint64_t all;

	device_name = name;
	device = device_open(name, flags);
	all = device_sectors(device, name);
	if (opt.first >= all)
		die("%s has %llu sectors only", name, (unsigned long long)all);
	if (!opt.sectors || opt.sectors > all - opt.first)
		opt.sectors = all - opt.first;
	if (opt.first * SECTOR % lbs || opt.sectors * SECTOR % lbs)
		die("%s: --sectors must be multiples of %u bytes", name, lbs);
}

static int read_full(int fd, void *to, size_t bytes, uint64_t at)
{
	while (bytes) {
		ssize_t r = pread(fd, to, bytes, at);

		if (r <= 0)
			return r ? errno : EIO;
		to = (char *)to + r;
		bytes -= r;
		at += r;
	}
	return 0;
}

/*----------------------------------------------------------------
 * The file of acknowledgements
 *--------------------------------------------------------------*/

struct done {
	uint64_t sector, sectors, seq;
};

/* @lock covers all; the lines of one flush are written together. */
static struct {
	pthread_mutex_t lock;
	FILE *ack, *log;
	struct done *list;		/* complete, not known to be durable */
	size_t count, room;
} acks = { .lock = PTHREAD_MUTEX_INITIALIZER };

static FILE *ack_file(const char *name)
{
	FILE *f;

	if (!name)
		return NULL;
	f = strcmp(name, "-") ? fopen(name, "ae") : stdout;
	if (!f)
		die("%s: %m", name);
	return f;
}

static void ack_line(FILE *f, const struct done *d, uint64_t upto)
{
	if (f)
		fprintf(f, "A %llu %llu %llu %llu\n", (unsigned long long)d->sector,
			(unsigned long long)d->sectors, (unsigned long long)d->seq,
			(unsigned long long)upto);
}

static void ack_zero(const struct done *d)
{
	FILE *files[] = { acks.ack, acks.log };

	pthread_mutex_lock(&acks.lock);
	for (int i = 0; i < 2; i++) {
		if (!files[i])
			continue;
		fprintf(files[i], "Z %llu %llu %llu\n", (unsigned long long)d->sector,
			(unsigned long long)d->sectors, (unsigned long long)d->seq);
		fflush(files[i]);
	}
	pthread_mutex_unlock(&acks.lock);
}

/* A write is complete; @durable when it was FUA. @upto: the newest number then. */
static void ack_complete(const struct done *d, bool durable, uint64_t upto)
{
	pthread_mutex_lock(&acks.lock);
	ack_line(acks.log, d, upto);
	if (durable && acks.ack) {
		ack_line(acks.ack, d, upto);
		fflush(acks.ack);
	} else if (acks.ack) {
		if (acks.count == acks.room) {
			acks.room = acks.room ? 2 * acks.room : 1024;
			acks.list = realloc(acks.list, acks.room * sizeof(*acks.list));
			if (!acks.list)
				die("no memory");
		}
		acks.list[acks.count++] = *d;
	}
	pthread_mutex_unlock(&acks.lock);
}

/* Flush; what was complete before it is durable after it. */
static int ack_flush(_Atomic uint64_t *newest)
{
	struct done *list;
	size_t count;
	int error;

	pthread_mutex_lock(&acks.lock);
	list = acks.list;
	count = acks.count;
	acks.list = NULL;
	acks.count = acks.room = 0;
	pthread_mutex_unlock(&acks.lock);

	error = fdatasync(device) ? errno : 0;
	if (!error && acks.ack && count) {
		pthread_mutex_lock(&acks.lock);
		for (size_t i = 0; i < count; i++)
			ack_line(acks.ack, &list[i], atomic_load(newest));
		fflush(acks.ack);
		pthread_mutex_unlock(&acks.lock);
	}
	if (acks.log)			/* for who looks whether there is something */
		fflush(acks.log);
	free(list);
	return error;
}

/*----------------------------------------------------------------
 * Writers
 *--------------------------------------------------------------*/

struct worker {
	pthread_t thread;
	uint64_t random;
	struct done doing;		/* its range, under ranges_lock */
	char *buffer;
	uint64_t *seen;			/* readers only */
};

static struct worker workers[THREADS_MAX];
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t seq_newest, ops_begun;
static _Atomic uint64_t n_ops, n_bytes, n_flushes, n_discards, n_zeroes, n_errors;
static _Atomic uint64_t longest_us;
static double deadline;

static bool overlaps(const struct worker *me, const struct done *d)
{
	for (unsigned int i = 0; i < opt.threads; i++) {
		const struct done *o = &workers[i].doing;

		if (&workers[i] != me && o->sectors && o->sector < d->sector + d->sectors &&
		    d->sector < o->sector + o->sectors)
			return true;
	}
	return false;
}

/* Sizes of all magnitudes equally often; any start. */
static void choose(struct worker *w, struct done *d)
{
	uint64_t step = lbs / SECTOR, blocks = opt.sectors / step, n, limit;

	if (opt.bytes) {
		n = opt.bytes / lbs;
		limit = blocks / n;
	} else {
		unsigned int bits = 0;

		while (lbs << (bits + 1) <= opt.max_bytes)
			bits++;
		n = 1 + below(&w->random, 1ull << below(&w->random, bits + 1));
		if (n > blocks)
			n = blocks;
		limit = blocks - n + 1;
	}
	if (percent(&w->random, opt.hot))
		limit = (limit + 9) / 10;
	d->sector = below(&w->random, limit);
	if (opt.bytes)
		d->sector *= n;
	d->sector = opt.first + d->sector * step;
	d->sectors = n * step;
}

/* A range that nobody writes now, and the number of the write to it. */
static void take(struct worker *w)
{
	struct done d;

	for (;;) {
		choose(w, &d);
		pthread_mutex_lock(&ranges_lock);
		if (opt.overlap || !overlaps(w, &d))
			break;
		pthread_mutex_unlock(&ranges_lock);
	}
	d.seq = atomic_fetch_add(&seq_newest, 1) + 1;
	w->doing = d;
	pthread_mutex_unlock(&ranges_lock);
}

static void give(struct worker *w)
{
	pthread_mutex_lock(&ranges_lock);
	w->doing.sectors = 0;
	pthread_mutex_unlock(&ranges_lock);
}

/* Up to three pieces with odd starts in memory, so that bios get odd vectors. */
static int write_stamped(struct worker *w)
{
	size_t bytes = w->doing.sectors * SECTOR, at = 0, n = 0;
	char *from = w->buffer + SECTOR * below(&w->random, SLACK / SECTOR);
	struct iovec iov[3];
	ssize_t r;

	stamp_range(from, w->doing.sector, w->doing.sectors, w->doing.seq);
	while (at < bytes) {
		size_t left = (bytes - at) / lbs;
		size_t piece = n == 2 ? left : 1 + below(&w->random, left);

		iov[n].iov_base = from + at;
		iov[n].iov_len = piece * lbs;
		at += iov[n++].iov_len;
	}
	r = pwritev2(device, iov, n, w->doing.sector * SECTOR, opt.fua ? RWF_DSYNC : 0);
	if (r < 0)
		return errno;
	return (size_t)r == bytes ? 0 : EIO;
}

static int write_zeroes(struct worker *w, bool discard)
{
	uint64_t range[2] = { w->doing.sector * SECTOR, w->doing.sectors * SECTOR };

	ack_zero(&w->doing);
	atomic_fetch_add(discard ? &n_discards : &n_zeroes, 1);
	if (discard && !ioctl(device, BLKDISCARD, range))
		return 0;
	if (discard && errno != EOPNOTSUPP)
		return errno;
	return ioctl(device, BLKZEROOUT, range) ? errno : 0;
}

static void complain(const char *what, const struct done *d, int error)
{
	atomic_fetch_add(&n_errors, 1);
	if (opt.keep_going)
		return;
	if (d)
		printf("%s: %s of %llu+%llu: %s\n", device_name, what,
		       (unsigned long long)d->sector, (unsigned long long)d->sectors,
		       strerror(error));
	else
		printf("%s: %s: %s\n", device_name, what, strerror(error));
	atomic_store(&stop, true);
}

/* A write or flush that began at @begin is over. */
static void note_time(double begin)
{
	uint64_t took = (now() - begin) * 1e6, old = atomic_load(&longest_us);

	while (old < took && !atomic_compare_exchange_weak(&longest_us, &old, took))
		;
}

static void write_one(struct worker *w, uint64_t number)
{
	bool zero, discard, durable;
	double begin;
	int error;

	take(w);
	discard = percent(&w->random, opt.discard);
	zero = !discard && percent(&w->random, opt.zero);
	durable = opt.fua && !discard && !zero;
	begin = now();
	error = discard || zero ? write_zeroes(w, discard) : write_stamped(w);
	note_time(begin);
	if (error) {
		complain("write", &w->doing, error);
	} else {
		atomic_fetch_add(&n_bytes, w->doing.sectors * SECTOR);
		ack_complete(&w->doing, durable, atomic_load(&seq_newest));
	}
	give(w);
	atomic_fetch_add(&n_ops, 1);
	if (opt.flush_every && number % opt.flush_every == 0) {
		atomic_fetch_add(&n_flushes, 1);
		begin = now();
		error = ack_flush(&seq_newest);
		note_time(begin);
		if (error)
			complain("flush", NULL, error);
	}
}

static bool time_is_up(void)
{
	return atomic_load(&stop) || (deadline && now() > deadline);
}

static void *writer(void *arg)
{
	struct worker *w = arg;
	uint64_t number;

	while (!time_is_up()) {
		number = atomic_fetch_add(&ops_begun, 1) + 1;
		if (opt.ops && number > opt.ops)
			break;
		write_one(w, number);
		if (opt.pause_us)
			usleep(opt.pause_us);
	}
	return NULL;
}

static void run_workers(void *(*body)(void *), size_t bytes)
{
	deadline = opt.seconds ? now() + opt.seconds : 0;
	for (unsigned int i = 0; i < opt.threads; i++) {
		workers[i].random = (opt.seed * 1000003 + i) * 0x9e3779b97f4a7c15ull | 1;
		workers[i].buffer = bytes ? buffer(bytes + SLACK) : NULL;
		if (pthread_create(&workers[i].thread, NULL, body, &workers[i]))
			die("cannot make a thread");
	}
	for (unsigned int i = 0; i < opt.threads; i++)
		pthread_join(workers[i].thread, NULL);
}

static int do_write(char **name)
{
	if (opt.overlap && (opt.ack || opt.log))
		die("with --overlap nobody knows what to acknowledge");
	open_main(name[0], O_RDWR | O_DIRECT);
	if (opt.bytes % lbs || (opt.bytes && opt.bytes > opt.sectors * SECTOR))
		die("--bytes does not fit the device");
	if (opt.max_bytes < lbs)
		opt.max_bytes = lbs;
	atomic_store(&seq_newest, opt.seq ? opt.seq - 1 : time_as_seq());
	acks.ack = ack_file(opt.ack);
	acks.log = ack_file(opt.log);
	run_workers(writer, opt.bytes ? opt.bytes : opt.max_bytes);
	if (acks.log && fflush(acks.log))
		die("%s: %m", opt.log);
	printf("wrote ops=%llu bytes=%llu flushes=%llu discards=%llu zeroes=%llu errors=%llu last=%llu longest_us=%llu\n",
	       (unsigned long long)n_ops, (unsigned long long)n_bytes,
	       (unsigned long long)n_flushes, (unsigned long long)n_discards,
	       (unsigned long long)n_zeroes, (unsigned long long)n_errors,
	       (unsigned long long)seq_newest, (unsigned long long)longest_us);
	return n_errors && !opt.keep_going;
}

static int do_fill(char **name)
{
	uint64_t at, n, seq = opt.seq ? opt.seq : time_as_seq();
	char *data = buffer(CHUNK);

	open_main(name[0], O_RDWR | O_DIRECT);
	for (at = 0; at < opt.sectors; at += n) {
		n = opt.sectors - at < CHUNK / SECTOR ? opt.sectors - at : CHUNK / SECTOR;
		stamp_range(data, opt.first + at, n, seq);
		if (pwrite(device, data, n * SECTOR, (opt.first + at) * SECTOR) !=
		    (ssize_t)(n * SECTOR))
			die("%s: write of %llu: %m", device_name,
			    (unsigned long long)(opt.first + at));
	}
	if (opt.flush_every && fdatasync(device))
		die("%s: flush: %m", device_name);
	printf("filled %llu sectors seq=%llu\n", (unsigned long long)opt.sectors,
	       (unsigned long long)seq);
	free(data);
	return 0;
}

/*----------------------------------------------------------------
 * Findings
 *--------------------------------------------------------------*/

static _Atomic uint64_t found;

static void __attribute__((format(printf, 2, 3)))
finding(uint64_t sector, const char *text, ...)
{
	va_list args;

	if (atomic_fetch_add(&found, 1) >= FINDINGS)
		return;
	flockfile(stdout);
	printf("sector %llu: ", (unsigned long long)sector);
	va_start(args, text);
	vprintf(text, args);
	va_end(args);
	putchar('\n');
	funlockfile(stdout);
}

static int findings_end(const char *what, uint64_t sectors)
{
	if (!found) {
		printf("%s: %llu sectors good\n", what, (unsigned long long)sectors);
		return 0;
	}
	printf("%s: %llu of %llu sectors bad\n", what, (unsigned long long)found,
	       (unsigned long long)sectors);
	return 1;
}

/*----------------------------------------------------------------
 * Readers: what was seen once is never followed by something older
 *--------------------------------------------------------------*/

static _Atomic uint64_t *seen_newest;

/*
 * A virtual disk may show a sector of which a write under way has put down half.
 * What is wrong stays wrong; that does not.
 */
static bool written_meanwhile(uint64_t at)
{
	_Alignas(4096) char block[4096];
	uint64_t step = lbs / SECTOR, start = at - at % step;
	const struct timespec moment = { .tv_nsec = 2000000 };

	for (int tries = 0; tries < 5; tries++) {
		nanosleep(&moment, NULL);
		if (!read_full(device, block, lbs, start * SECTOR) &&
		    stamp_kind((struct stamp *)block + (at - start), at) == STAMPED)
			return true;
	}
	return false;
}

static void read_check(struct worker *w, struct stamp *s, const struct done *d)
{
	for (uint64_t i = 0; i < d->sectors; i++, s++) {
		uint64_t at = d->sector + i;
		_Atomic uint64_t *newest = &seen_newest[at - opt.first];
		uint64_t old;
		enum kind kind = stamp_kind(s, at);
		char text[96];

		if (kind == ZERO || (kind == GARBAGE && written_meanwhile(at)))
			continue;
		if (kind != STAMPED) {
			finding(at, "read %s", stamp_text(s, at, text, sizeof(text)));
			continue;
		}
		if (!opt.overlap && s->seq < w->seen[i])
			finding(at, "read seq %llu after seq %llu was seen",
				(unsigned long long)s->seq, (unsigned long long)w->seen[i]);
		if (opt.max_seq && s->seq > opt.max_seq)
			finding(at, "too new: seq %llu, the last is %llu",
				(unsigned long long)s->seq, (unsigned long long)opt.max_seq);
		old = atomic_load(newest);
		while (old < s->seq && !atomic_compare_exchange_weak(newest, &old, s->seq))
			;
	}
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	struct done d;

	w->seen = calloc(opt.max_bytes / SECTOR, sizeof(*w->seen));
	if (!w->seen)
		die("no memory");
	while (!time_is_up() && (!opt.ops || atomic_fetch_add(&ops_begun, 1) < opt.ops)) {
		int error;

		choose(w, &d);
		for (uint64_t i = 0; i < d.sectors; i++)
			w->seen[i] = atomic_load(&seen_newest[d.sector + i - opt.first]);
		error = read_full(device, w->buffer, d.sectors * SECTOR, d.sector * SECTOR);
		if (error)
			complain("read", &d, error);
		else
			read_check(w, (struct stamp *)w->buffer, &d);
		atomic_fetch_add(&n_ops, 1);
		if (opt.pause_us)
			usleep(opt.pause_us);
	}
	free(w->seen);
	return NULL;
}

static int do_read(char **name)
{
	open_main(name[0], O_RDONLY | O_DIRECT);
	seen_newest = calloc(opt.sectors, sizeof(*seen_newest));
	if (!seen_newest)
		die("no memory");
	if (opt.bytes)
		opt.max_bytes = opt.bytes;
	run_workers(reader, opt.max_bytes);
	printf("read ops=%llu errors=%llu\n", (unsigned long long)n_ops,
	       (unsigned long long)n_errors);
	if (n_errors && !opt.keep_going)
		return 1;
	return findings_end("read", opt.sectors);
}

/*----------------------------------------------------------------
 * verify
 *--------------------------------------------------------------*/

static uint64_t *required, *zeroed;	/* per sector: the oldest number that will do */

static uint64_t *per_sector(void)
{
	uint64_t *p = calloc(opt.sectors, sizeof(*p));

	if (!p)
		die("no memory");
	return p;
}

static void raise_range(uint64_t *of, uint64_t sector, uint64_t sectors, uint64_t seq)
{
	for (; sectors--; sector++)
		if (sector >= opt.first && sector < opt.first + opt.sectors &&
		    of[sector - opt.first] < seq)
			of[sector - opt.first] = seq;
}

/* With @newest, acknowledgements count of writes only that came before it. */
static void ack_read(const char *name, uint64_t newest)
{
	FILE *f = strcmp(name, "-") ? fopen(name, "re") : stdin;
	unsigned long long sector, sectors, seq, upto;
	char line[256];

	if (!f)
		die("%s: %m", name);
	while (fgets(line, sizeof(line), f)) {
		int n;

		if (!strchr(line, '\n'))
			break;	/* cut off in the middle: not acknowledged */
		n = sscanf(line, "A %llu %llu %llu %llu", &sector, &sectors, &seq, &upto);
		if (n == 4 && (!newest || upto < newest))
			raise_range(required, sector, sectors, seq);
		else if (sscanf(line, "Z %llu %llu %llu", &sector, &sectors, &seq) == 3)
			raise_range(zeroed, sector, sectors, seq);
	}
	if (f != stdin)
		fclose(f);
}

static void verify_sector(struct stamp *s, uint64_t sector)
{
	uint64_t need = required ? required[sector - opt.first] : 0;
	uint64_t zero = zeroed ? zeroed[sector - opt.first] : 0;
	char text[96];

	switch (stamp_kind(s, sector)) {
	case STAMPED:
		if (s->seq < need)
			finding(sector, "stale: seq %llu, acknowledged was %llu",
				(unsigned long long)s->seq, (unsigned long long)need);
		else if (opt.max_seq && s->seq > opt.max_seq)
			finding(sector, "too new: seq %llu, the last is %llu",
				(unsigned long long)s->seq, (unsigned long long)opt.max_seq);
		return;
	case ZERO:
		if (opt.allow_zero && !need)
			return;
		if (zero && zero >= need)
			return;
		finding(sector, need ? "zeroes, acknowledged was %llu" :
			"zeroes where a stamp should be", (unsigned long long)need);
		return;
	default:
		finding(sector, "%s", stamp_text(s, sector, text, sizeof(text)));
	}
}

static void newest_sector(struct stamp *s, uint64_t sector)
{
	if (stamp_kind(s, sector) == STAMPED && s->seq > seq_newest)
		seq_newest = s->seq;
}

static void each_sector(void (*visit)(struct stamp *s, uint64_t sector))
{
	char *data = buffer(CHUNK);
	uint64_t at, n, i;
	int error;

	for (at = 0; at < opt.sectors; at += n) {
		n = opt.sectors - at < CHUNK / SECTOR ? opt.sectors - at : CHUNK / SECTOR;
		error = read_full(device, data, n * SECTOR, (opt.first + at) * SECTOR);
		if (error)
			die("%s: read of %llu: %s", device_name,
			    (unsigned long long)(opt.first + at), strerror(error));
		for (i = 0; i < n; i++)
			visit((struct stamp *)data + i, opt.first + at + i);
	}
	free(data);
}

static int do_verify(char **name)
{
	open_main(name[0], O_RDONLY | O_DIRECT);
	if (opt.instant) {
		if (!opt.ack)
			die("--instant needs --ack with the file of --log");
		each_sector(newest_sector);
	}
	if (opt.ack) {
		required = per_sector();
		zeroed = per_sector();
		ack_read(opt.ack, opt.instant ? seq_newest : 0);
	}
	each_sector(verify_sector);
	return findings_end("verify", opt.sectors);
}

/*----------------------------------------------------------------
 * compare, sum
 *--------------------------------------------------------------*/

static void compare_sectors(struct stamp *a, struct stamp *b, uint64_t first, uint64_t n)
{
	char ta[96], tb[96];

	if (!memcmp(a, b, n * SECTOR))
		return;
	for (uint64_t i = 0; i < n; i++, a++, b++)
		if (memcmp(a, b, SECTOR))
			finding(first + i, "the first has %s, the second %s",
				stamp_text(a, first + i, ta, sizeof(ta)),
				stamp_text(b, first + i, tb, sizeof(tb)));
}

static int do_compare(char **name)
{
	int other = device_open(name[1], O_RDONLY | O_DIRECT);
	uint64_t all = device_sectors(other, name[1]), at, n;
	char *a = buffer(CHUNK), *b = buffer(CHUNK);

	if (!opt.sectors && all > opt.first)
		opt.sectors = all - opt.first;
	open_main(name[0], O_RDONLY | O_DIRECT);
	if (opt.first + opt.sectors > all)
		opt.sectors = all - opt.first;
	for (at = 0; at < opt.sectors; at += n) {
		n = opt.sectors - at < CHUNK / SECTOR ? opt.sectors - at : CHUNK / SECTOR;
		if (read_full(device, a, n * SECTOR, (opt.first + at) * SECTOR) ||
		    read_full(other, b, n * SECTOR, (opt.first + at) * SECTOR))
			die("cannot read at %llu", (unsigned long long)(opt.first + at));
		compare_sectors((struct stamp *)a, (struct stamp *)b, opt.first + at, n);
	}
	free(a);
	free(b);
	close(other);
	return findings_end("compare", opt.sectors);
}

static uint32_t sum;

static void sum_sector(struct stamp *s, uint64_t sector)
{
	(void)sector;
	sum = crc32c(sum, s, SECTOR);
}

static int do_sum(char **name)
{
	open_main(name[0], O_RDONLY | O_DIRECT);
	sum = ~0u;
	each_sector(sum_sector);
	printf("%08x %llu\n", ~sum, (unsigned long long)opt.sectors);
	return 0;
}

/*----------------------------------------------------------------
 * mmap: pages that change while they are written
 *--------------------------------------------------------------*/

static char *mapping;

static void *mapper(void *arg)
{
	struct worker *w = arg;
	uint64_t pages = opt.sectors * SECTOR / MMAP_BYTES, per = MMAP_BYTES / SECTOR;
	unsigned int me = w - workers;

	while (!time_is_up()) {
		uint64_t page = below(&w->random, pages), at = page * per;
		uint64_t seq = atomic_fetch_add(&seq_newest, 1) + 1;

		/* One thread pushes pages out, the others keep changing them. */
		if (me == 0) {
			if (msync(mapping, opt.sectors * SECTOR, MS_SYNC))
				complain("msync", NULL, errno);
			atomic_fetch_add(&n_flushes, 1);
			continue;
		}
		stamp_range(mapping + page * MMAP_BYTES, opt.first + at, per, seq);
		if (atomic_fetch_add(&n_ops, 1) % 64 == 0 && opt.pause_us)
			usleep(opt.pause_us);
	}
	return NULL;
}

static int do_mmap(char **name)
{
	open_main(name[0], O_RDWR);
	if (opt.first * SECTOR % MMAP_BYTES)
		die("--sectors must begin at a page");
	mapping = mmap(NULL, opt.sectors * SECTOR, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		       opt.first * SECTOR);
	if (mapping == MAP_FAILED)
		die("%s: mmap: %m", device_name);
	atomic_store(&seq_newest, opt.seq ? opt.seq : time_as_seq());
	run_workers(mapper, 0);
	if (msync(mapping, opt.sectors * SECTOR, MS_SYNC) || fsync(device))
		complain("msync", NULL, errno);
	printf("mapped ops=%llu flushes=%llu errors=%llu\n", (unsigned long long)n_ops,
	       (unsigned long long)n_flushes, (unsigned long long)n_errors);
	return n_errors && !opt.keep_going;
}

/*----------------------------------------------------------------
 * Command line
 *--------------------------------------------------------------*/

static const struct command {
	const char *name;
	int devices;
	int (*run)(char **name);
	const char *help;
} commands[] = {
	{ "fill", 1, do_fill, "write every sector once, in order" },
	{ "write", 1, do_write, "concurrent direct writers" },
	{ "read", 1, do_read, "concurrent direct readers that check what they see" },
	{ "verify", 1, do_verify, "check every sector" },
	{ "compare", 2, do_compare, "compare two devices byte by byte" },
	{ "sum", 1, do_sum, "print a checksum of the device" },
	{ "mmap", 1, do_mmap, "change pages of a mapping while they are written" },
};

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: dmsio COMMAND DEVICE... [OPTION...]\n", stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("options, numbers with k, M, G:\n"
	      "  --sectors A:LEN   this part of the device only\n"
	      "  --seq N           (first) sequence number\n"
	      "  --threads N --seconds S --ops N --seed X --pause US\n"
	      "  --max-bytes B     largest write (sizes of all magnitudes), or\n"
	      "  --bytes B         this size, aligned to it\n"
	      "  --hot P           P percent of the writes go to the first tenth\n"
	      "  --discard P --zero P   percent of the writes\n"
	      "  --flush-every K   flush after each K-th write (fill: at its end)\n"
	      "  --fua             every write is durable when complete\n"
	      "  --overlap         threads may write the same sectors at once\n"
	      "  --keep-going      count errors, do not stop\n"
	      "  --ack FILE        what is durable, \"-\" for standard output (verify: what must be there)\n"
	      "  --log FILE        what is complete\n"
	      "  --max-seq N       for verify and read\n"
	      "  --allow-zero      for verify\n"
	      "  --instant         verify: is this an image of one instant? (--ack with the --log file)\n"
	      "exit status 1: something is wrong with the data\n", stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	static const char units[] = "kMGT";
	const char *unit;
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text)
		die("not a number: %s", text);
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			die("not a number: %s", text);
		n <<= 10 * (unit - units + 1);
	}
	return n;
}

static void parse_sectors(char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		die("--sectors A:LEN");
	*colon = '\0';
	opt.first = number(text);
	opt.sectors = number(colon + 1);
}

static bool parse_flag(const char *word)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "--fua", &opt.fua }, { "--overlap", &opt.overlap },
		{ "--allow-zero", &opt.allow_zero }, { "--instant", &opt.instant },
		{ "--keep-going", &opt.keep_going },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(word, flags[i].name))
			return *flags[i].flag = true;
	return false;
}

static bool parse_number(const char *word, const char *value)
{
	const struct {
		const char *name;
		uint64_t *wide;
		unsigned int *narrow;
	} numbers[] = {
		{ "--seq", &opt.seq, NULL }, { "--seed", &opt.seed, NULL },
		{ "--ops", &opt.ops, NULL }, { "--max-seq", &opt.max_seq, NULL },
		{ "--threads", NULL, &opt.threads }, { "--max-bytes", NULL, &opt.max_bytes },
		{ "--bytes", NULL, &opt.bytes }, { "--flush-every", NULL, &opt.flush_every },
		{ "--hot", NULL, &opt.hot }, { "--discard", NULL, &opt.discard },
		{ "--zero", NULL, &opt.zero }, { "--pause", NULL, &opt.pause_us },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(word, numbers[i].name))
			continue;
		if (numbers[i].wide)
			*numbers[i].wide = number(value);
		else
			*numbers[i].narrow = number(value);
		return true;
	}
	return false;
}

static void parse_value(const char *word, char *value)
{
	if (!value)
		die("%s needs a value", word);
	if (!strcmp(word, "--sectors"))
		parse_sectors(value);
	else if (!strcmp(word, "--seconds"))
		opt.seconds = strtod(value, NULL);
	else if (!strcmp(word, "--ack"))
		opt.ack = value;
	else if (!strcmp(word, "--log"))
		opt.log = value;
	else if (!parse_number(word, value))
		usage();
}

int main(int argc, char **argv)
{
	const struct command *c = commands;
	struct sigaction action = { .sa_handler = on_signal };
	char *names[2];
	int n = 0, i;

	if (argc < 2)
		usage();
	while (strcmp(argv[1], c->name))
		if (++c == commands + sizeof(commands) / sizeof(commands[0]))
			usage();
	for (i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2)) {
			if (n == c->devices)
				usage();
			names[n++] = argv[i];
		} else if (!parse_flag(argv[i])) {
			parse_value(argv[i], argv[i + 1]);
			i++;
		}
	}
	if (n != c->devices || !opt.threads || opt.threads > THREADS_MAX)
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	crc_init();
	return c->run(names);
}
