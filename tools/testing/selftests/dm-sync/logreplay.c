// SPDX-License-Identifier: GPL-2.0-only
/*
 * logreplay - read a log of dm-log-writes, and write a prefix of it to a device
 *
 *	logreplay list LOG
 *	logreplay find LOG --from N --mark TEXT | --flush
 *	logreplay replay LOG DEVICE [--from N] --to M
 *
 * list: one line an entry: number, F(lush) U(FUA) D(iscard) M(ark), sector,
 * sectors, or the mark's text. find: the number behind the next mark with this
 * text (or any, with ""), or behind the next entry with FLUSH or FUA, so that
 * "replay --to" it is the state at that instant; exit 1 when there is none.
 * replay: entries N to M - 1, in order. Discards are written as zeroes.
 */
#include <getopt.h>
#include "crash_log.h"

static int list(struct log *log)
{
	size_t i;

	for (i = 0; i < log->nr; i++) {
		const struct log_entry *e = &log->entry[i];

		printf("%zu %s%s%s%s ", i, e->flags & LOG_FLUSH ? "F" : "",
		       e->flags & LOG_FUA ? "U" : "", e->flags & LOG_DISCARD ? "D" : "",
		       e->flags & LOG_MARK ? "M" : "-");
		if (e->mark)
			printf("%s\n", e->mark);
		else
			printf("%llu %llu\n", (unsigned long long)e->sector,
			       (unsigned long long)e->sectors);
	}
	return 0;
}

static int find(struct log *log, size_t from, const char *mark, bool flush)
{
	size_t i;

	for (i = from; i < log->nr; i++) {
		const struct log_entry *e = &log->entry[i];

		if ((flush && e->flags & (LOG_FLUSH | LOG_FUA)) ||
		    (mark && e->mark && (!*mark || !strcmp(mark, e->mark)))) {
			printf("%zu\n", i + 1);
			return 0;
		}
	}
	return 1;
}

static int replay(struct log *log, const char *path, size_t from, size_t to)
{
	int fd = open(path, O_WRONLY);
	size_t i;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	for (i = from; i < to && i < log->nr; i++) {
		const struct log_entry *e = &log->entry[i];
		void *data = log_data(log, e);

		pwrite_all(fd, data, e->sectors * SECTOR, e->sector * SECTOR, path);
		free(data);
	}
	if (fsync(fd))
		die("%s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' },
		{ "mark", required_argument, NULL, 'm' }, { "flush", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	size_t from = 0, to = SIZE_MAX;
	const char *mark = NULL;
	bool flush = false;
	struct log log;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			from = number(optarg);
		else if (c == 't')
			to = number(optarg);
		else if (c == 'm')
			mark = optarg;
		else if (c == 'l')
			flush = true;
		else
			die("see the head of logreplay.c");
	}
	if (argc - optind < 2)
		die("usage: logreplay list|find|replay LOG ...");
	log_open(&log, argv[optind + 1]);
	if (!strcmp(argv[optind], "list"))
		return list(&log);
	if (!strcmp(argv[optind], "find"))
		return find(&log, from, mark, flush);
	if (!strcmp(argv[optind], "replay") && argc - optind == 3)
		return replay(&log, argv[optind + 2], from, to);
	die("usage: logreplay list|find|replay LOG ...");
}
