// SPDX-License-Identifier: GPL-2.0-only
/*
 * watch: a screen of bars on a terminal, elsewhere a line for each change and
 * each interval. Events say that there is something to see, at most four times
 * a second; what is drawn is always a fresh dump.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "fields.h"
#include "format.h"
#include "json.h"
#include "report.h"
#include "select.h"

#define FRAME_MS	250
#define NAME_MAX_CELLS	24

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int name_cells(const struct dms_list *list)
{
	int cells = 4;
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		int n = strlen(list->pairs[i].name);

		if (n > cells)
			cells = n;
	}
	return cells < NAME_MAX_CELLS ? cells : NAME_MAX_CELLS;
}

static void head(struct args *args, const struct dms_list *list, char *text, size_t size)
{
	unsigned int copying = 0, critical = 0;
	char now[64];
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		copying += copy_runs(&list->pairs[i]);
		critical += dms_health(&list->pairs[i]) == DMS_CRITICAL;
	}
	format_time(dms_now(args->client), 0, now, sizeof(now));
	snprintf(text, size, "synctl watch   %u pairs   %u copying   %u critical   %s",
		 list->count, copying, critical, now);
}

/* Home, each line cleared to its end, the rest cleared: no flicker */
static void draw_screen(struct args *args, const struct dms_list *list)
{
	char line[2048];
	unsigned int i;
	int rows;
	int columns = terminal_columns(1, &rows);
	int cells = name_cells(list);

	head(args, list, line, sizeof(line));
	printf("\033[H%.*s\033[K\n", columns, line);
	for (i = 0; i < list->count && (int)i < rows - 2; i++) {
		bar_line(args, &list->pairs[i], cells, columns, line, sizeof(line));
		printf("%s\033[K\n", line);
	}
	printf("\033[J");
	fflush(stdout);
}

static void draw_plain(struct args *args, const struct dms_list *list, int columns)
{
	char line[2048];
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		bar_line(args, &list->pairs[i], name_cells(list), columns, line, sizeof(line));
		printf("%s\n", line);
	}
	fflush(stdout);
}

static bool changed(const struct dms_list *a, const struct dms_list *b)
{
	unsigned int i;

	if (a->count != b->count)
		return true;
	for (i = 0; i < a->count; i++)
		if (GET(&a->pairs[i], COPY_STATE) != GET(&b->pairs[i], COPY_STATE) ||
		    GET(&a->pairs[i], PROGRESS_STATUS) != GET(&b->pairs[i], PROGRESS_STATUS) ||
		    GET(&a->pairs[i], ID) != GET(&b->pairs[i], ID))
			return true;
	return false;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Wait for an event or the interval, then let a frame's time pass. */
static int pause_frame(struct args *args, double interval)
{
	struct timespec frame = { 0, FRAME_MS * 1000000L };
	struct dms_event event;
	int n = dms_next(args->client, interval * 1000, &event);

	if (n < 0 && n != -ENOBUFS)
		return n;
	if (n) {
		nanosleep(&frame, NULL);
		while (!stop && dms_next(args->client, 0, &event) == 1)
			;
	}
	return 0;
}

static int loop(struct args *args, double interval, bool screen)
{
	struct dms_list before = { 0 };
	struct dms_list list = { 0 };
	double shown = 0;
	int code = EXIT_OK;
	int err = 0;

	while (!stop && !err && !code) {
		code = select_pairs(args, &list);
		if (code)
			break;
		if (screen) {
			draw_screen(args, &list);
		} else if (!shown || changed(&before, &list) ||
			   seconds_now() - shown >= interval) {
			shown = seconds_now();
			if (args->json)
				json_document(args, "synctl.watch", &list, true);
			else
				draw_plain(args, &list, 0);
		}
		dms_list_free(&before);
		before = list;
		memset(&list, 0, sizeof(list));
		err = pause_frame(args, interval);
	}
	dms_list_free(&before);
	if (err && err != -EINTR && err != -ENODATA)
		return fail_kernel(args, NULL, "follow the pairs", err);
	return stop ? 128 + stop : code;
}

static int watch_once(struct args *args)
{
	struct dms_list list;
	int code = select_pairs(args, &list);

	if (code)
		return code;
	if (args->json)
		json_document(args, "synctl.watch", &list, true);
	else
		draw_plain(args, &list, terminal_columns(1, NULL));
	dms_list_free(&list);
	return EXIT_OK;
}

int cmd_watch(struct args *args)
{
	bool screen = isatty(1) && !args->json;
	double interval = screen ? 1 : 5;
	int code;
	int err;

	if (!option_seconds(args, OPT_INTERVAL, &interval))
		return EXIT_USAGE;
	if (!dms_loaded(args->client))
		return fail_absent(args);
	if (given(args, OPT_ONCE))
		return watch_once(args);
	err = dms_subscribe(args->client, true);
	if (err)
		return fail_kernel(args, NULL, "listen to events", err);
	catch_signals();
	if (screen)
		printf("\033[?1049h\033[?25l");
	code = loop(args, interval, screen);
	if (screen) {
		printf("\033[?25h\033[?1049l");
		fflush(stdout);
	}
	return code;
}
