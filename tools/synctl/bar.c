// SPDX-License-Identifier: GPL-2.0-only
/* One line of `watch` and of `wait` on a terminal. */

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bar.h"
#include "fields.h"
#include "format.h"

#define BAR_MAX		200
/* Cells that a line takes beside its bar and its name */
#define LINE_REST	62

bool ascii_only(const struct args *args)
{
	return given(args, OPT_ASCII) || strcmp(nl_langinfo(CODESET), "UTF-8");
}

int terminal_columns(int fd, int *rows)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_col) {
		if (rows)
			*rows = 24;
		return 80;
	}
	if (rows)
		*rows = ws.ws_row;
	return ws.ws_col;
}

/* Cells are filled by eighths where the terminal can draw them. */
void bar_text(const struct dms_pair *pair, int width, bool ascii, char *text, size_t size)
{
	static const char * const part[] = {
		"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"
	};
	int eighths = bar_parts(pair, ascii ? width : width * 8);
	int full = ascii ? eighths : eighths / 8;
	size_t at = 0;
	int i;

	text[0] = 0;
	for (i = 0; i < width && at < size; i++) {
		const char *cell = ascii ? "." : "\u00b7";

		if (eighths < 0)
			cell = "-";
		else if (i < full)
			cell = ascii ? "#" : "\u2588";
		else if (!ascii && i == full && eighths % 8)
			cell = part[eighths % 8];
		at += snprintf(text + at, size - at, "%s", cell);
	}
}

/* What stands right of the bar: how much, how fast, how long, or why not */
static void tail_text(struct args *args, const struct dms_pair *pair, char *text, size_t size)
{
	char done[32], total[32], rate[32], eta[64];
	const char *why_not;
	int64_t seconds;

	if (!copy_runs(pair)) {
		snprintf(text, size, "%s",
			 GET(pair, REASON) && dms_health(pair) == DMS_CRITICAL ?
			 spec_text(&spec_reason, GET(pair, REASON)) :
			 spec_text(&spec_progress_status, GET(pair, PROGRESS_STATUS)));
		return;
	}
	format_short(GET(pair, DONE_BYTES), done, sizeof(done));
	format_short(GET(pair, TOTAL_BYTES), total, sizeof(total));
	format_short(GET(pair, RATE_BYTES), rate, sizeof(rate));
	seconds = eta_seconds(pair, dms_now(args->client), &why_not);
	if (seconds >= 0)
		format_duration(seconds, eta, sizeof(eta));
	else
		snprintf(eta, sizeof(eta), "%s",
			 strcmp(why_not, "just started") ? why_not : "");
	snprintf(text, size, "%5s/%-5s %6s/s  %s", done, total, rate, eta);
}

void bar_line(struct args *args, const struct dms_pair *pair, int name_width,
	      int columns, char *text, size_t size)
{
	char bar[4 * BAR_MAX + 1] = "";
	char percent[8] = "  -";
	char tail[256];
	int width = columns - name_width - LINE_REST;

	if (given(args, OPT_BAR_WIDTH))
		width = atoi(args->value[OPT_BAR_WIDTH]);
	if (width > BAR_MAX)
		width = BAR_MAX;
	if (columns && width < 8)
		width = 8;
	if (columns)
		bar_text(pair, width, ascii_only(args), bar, sizeof(bar));
	if (HAS(pair, PERCENT_SYNCED))
		snprintf(percent, sizeof(percent), "%3u%%",
			 (unsigned int)GET(pair, PERCENT_SYNCED));
	tail_text(args, pair, tail, sizeof(tail));
	snprintf(text, size, "%-*.*s  %-14s %s%s%-4s %s", name_width, name_width, pair->name,
		 spec_text(&spec_copy_state, GET(pair, COPY_STATE)),
		 bar, columns ? " " : "", percent, tail);
}
