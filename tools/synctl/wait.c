// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting. Events say when to look again; the truth is always read from a
 * dump, so a lost event costs a second at most and never the answer.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bar.h"
#include "json.h"
#include "select.h"
#include "wait.h"

#define LOOK_MS		1000
#define GATHER_MS	100
#define SETTLE_SECONDS	1.0

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_NEVER };

/*
 * @whole: of a clone that ends by itself: it was complete when it was last heard of
 * @since: when the condition began to hold, 0 while it does not
 */
struct waiter {
	struct args *args;
	const struct wait_for *wait;
	struct dms_list *list;
	bool *gone;
	bool *whole;
	double *since;
	double *idle;
	bool tty;
};

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static bool is_synchronized(const struct cond *cond)
{
	return cond->kind == COND_FIELD && cond->field->attr == DM_SYNC_A_PAIR_COPY_STATE &&
		cond->op == COND_EQ && cond->value == DM_SYNC_COPY_STATE_SYNCHRONIZED;
}

/*
 * What "Synchronized" asks for is that the copy is there. Of a copy of one instant, a restore
 * does not change the CopyState: it is Synchronized while its source is not yet what it is to
 * become, and who waits waits for that. One that hosts wrote to through its door is Skewed when
 * it is complete, and never Synchronized again.
 */
static bool synchronized_holds(const struct dms_pair *pair)
{
	if (GET(pair, COPY_STATE) == DM_SYNC_COPY_STATE_SYNCHRONIZED)
		return GET(pair, PROGRESS_STATUS) != DM_SYNC_PROGRESS_STATUS_RESTORING;
	return is_point_in_time(pair) && GET(pair, COPY_STATE) == DM_SYNC_COPY_STATE_SKEWED &&
		GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_COMPLETED;
}

/* A clone that ends by itself does so when it is complete, and is gone at once. */
static bool reached(const struct waiter *w, unsigned int i)
{
	const struct cond *cond = &w->wait->cond;

	if (w->gone[i] && (is_synchronized(cond) || w->wait->complete))
		return w->whole[i];
	if (!w->gone[i] && is_synchronized(cond))
		return synchronized_holds(&w->list->pairs[i]);
	return cond_holds(cond, w->gone[i] ? NULL : &w->list->pairs[i]);
}

static enum verdict judge(struct waiter *w, unsigned int i, double now)
{
	const struct dms_pair *pair = w->gone[i] ? NULL : &w->list->pairs[i];

	if (reached(w, i)) {
		if (!w->since[i])
			w->since[i] = now;
		return now - w->since[i] >= w->wait->stable ? VERDICT_YES : VERDICT_NO;
	}
	w->since[i] = 0;
	if (!pair)
		return VERDICT_NEVER;
	if (GET(pair, COPY_STATE) < 32 && w->wait->fail_on >> GET(pair, COPY_STATE) & 1)
		return VERDICT_NEVER;
	if (!w->wait->settle || dms_running(pair)) {
		w->idle[i] = 0;
		return VERDICT_NO;
	}
	if (!w->idle[i])
		w->idle[i] = now;
	return now - w->idle[i] >= SETTLE_SECONDS ? VERDICT_NEVER : VERDICT_NO;
}

/*
 * Whether a clone that ends by itself was complete before it was gone: its CopyState is
 * Synchronized then, and Not Applicable in its last events; of one that was removed it stays
 * what it was.
 */
static void note_whole(struct waiter *w, unsigned int i, const struct dms_pair *pair)
{
	uint64_t state = GET(pair, COPY_STATE);

	if (HAS(pair, COPY_STATE) && state != DM_SYNC_COPY_STATE_NOT_APPLICABLE)
		w->whole[i] = state == DM_SYNC_COPY_STATE_SYNCHRONIZED &&
			GET(pair, COPY_TYPE) == DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC;
}

static void note_event(struct waiter *w, const struct dms_event *event)
{
	unsigned int i;

	for (i = 0; i < w->list->count; i++)
		if (GET(&w->list->pairs[i], ID) == GET(&event->pair, ID))
			note_whole(w, i, &event->pair);
}

/* What is there already, without waiting for more */
static void take_events(struct waiter *w)
{
	struct dms_event event;

	while (dms_next(w->args->client, 0, &event) == 1)
		note_event(w, &event);
}

static int refresh(struct waiter *w)
{
	struct dms_list all;
	unsigned int i, j;
	bool gone = false;
	int err = dms_dump(w->args->client, &all);

	if (err)
		return err;
	select_names(&all);
	for (i = 0; i < w->list->count; i++) {
		w->gone[i] = true;
		for (j = 0; j < all.count; j++) {
			if (GET(&all.pairs[j], ID) != GET(&w->list->pairs[i], ID))
				continue;
			w->list->pairs[i] = all.pairs[j];
			w->gone[i] = false;
			note_whole(w, i, &all.pairs[j]);
		}
		gone = gone || w->gone[i];
	}
	dms_list_free(&all);
	/* What was said of it before it went has arrived before the dump began. */
	if (gone)
		take_events(w);
	return 0;
}

static int report_never(struct waiter *w, unsigned int i)
{
	const struct dms_pair *pair = &w->list->pairs[i];
	struct failure f = { .args = w->args, .code = EXIT_OTHER_STATE,
			     .object = pair->name };

	if (w->gone[i])
		return fail(&f, "the pair is gone");
	if (GET(pair, REASON))
		f.status = spec_text(&spec_reason, GET(pair, REASON));
	return fail(&f, "the pair is %s (%s), not what was waited for",
		    spec_text(&spec_copy_state, GET(pair, COPY_STATE)),
		    spec_text(&spec_progress_status, GET(pair, PROGRESS_STATUS)));
}

static void draw(struct waiter *w)
{
	char line[2048];
	unsigned int i;

	if (!w->tty)
		return;
	for (i = 0; i < w->list->count; i++)
		if (!w->gone[i] && dms_running(&w->list->pairs[i]))
			break;
	if (i == w->list->count)
		return;
	bar_line(w->args, &w->list->pairs[i], 12, terminal_columns(2, NULL) - 1,
		 line, sizeof(line));
	fprintf(stderr, "\r\033[K%s", line);
}

/* -1 to go on, else an exit code */
static int evaluate(struct waiter *w)
{
	double now = seconds_now();
	unsigned int yes = 0;
	unsigned int never = 0;
	int last = -1;
	unsigned int i;

	for (i = 0; i < w->list->count; i++) {
		enum verdict v = judge(w, i, now);

		yes += v == VERDICT_YES;
		if (v == VERDICT_NEVER) {
			never++;
			last = i;
		}
	}
	if (yes == w->list->count || (w->wait->any && yes))
		return EXIT_OK;
	if (never && (!w->wait->any || never == w->list->count))
		return report_never(w, last);
	return -1;
}

/* Sleep until an event came, but look again in a second whatever happens. */
static int pause_for_event(struct waiter *w, double left)
{
	struct dms_event event;
	int ms = left >= 0 && left * 1000 < LOOK_MS ? (int)(left * 1000) + 1 : LOOK_MS;
	int n;

	if (w->wait->stable && ms > GATHER_MS)
		ms = GATHER_MS;
	n = dms_next(w->args->client, ms, &event);
	if (n == 1) {
		struct timespec gather = { 0, GATHER_MS * 1000000L };

		note_event(w, &event);
		nanosleep(&gather, NULL);
		take_events(w);
	}
	return n == -ENOBUFS ? 0 : n;
}

/* Which of the pairs it was that one waited for in vain. */
static int report_timeout(struct waiter *w)
{
	struct failure f = { .args = w->args, .code = EXIT_TIMEOUT };
	const struct dms_pair *pair;
	unsigned int i, waiting = 0, last = 0;

	for (i = 0; i < w->list->count; i++) {
		if (w->since[i])
			continue;
		waiting++;
		last = i;
	}
	if (!waiting || w->gone[last])
		return fail(&f, "the time is over (%g s)", w->wait->timeout);
	pair = &w->list->pairs[last];
	f.object = pair->name;
	return fail(&f, "the time is over (%g s): %s, %s%s", w->wait->timeout,
		    spec_text(&spec_copy_state, GET(pair, COPY_STATE)),
		    spec_text(&spec_progress_status, GET(pair, PROGRESS_STATUS)),
		    waiting > 1 ? "; others too" : "");
}

static int loop(struct waiter *w)
{
	double end = seconds_now() + w->wait->timeout;
	struct failure f = { .args = w->args, .code = EXIT_INCOMPLETE };
	double left = -1;
	int code;
	int n;

	for (;;) {
		n = refresh(w);
		if (n)
			return fail_kernel(w->args, NULL, "read the pairs", n);
		draw(w);
		code = evaluate(w);
		if (code >= 0)
			return code;
		if (w->wait->timeout >= 0) {
			left = end - seconds_now();
			if (left <= 0)
				return report_timeout(w);
		}
		n = pause_for_event(w, left);
		if (n == -EINTR)
			return EXIT_INTERRUPTED;
		if (n == -ENODATA)
			return fail(&f, "the recording ends before that");
		if (n < 0)
			return fail_kernel(w->args, NULL, "listen to events", n);
	}
}

int wait_run(struct args *args, struct dms_list *list, const struct wait_for *wait)
{
	struct waiter w = { .args = args, .wait = wait, .list = list };
	int code = EXIT_REFUSED;

	w.tty = isatty(2) && !args->json && !given(args, OPT_QUIET);
	w.gone = calloc(list->count + 1, sizeof(*w.gone));
	w.whole = calloc(list->count + 1, sizeof(*w.whole));
	w.since = calloc(list->count + 1, sizeof(*w.since));
	w.idle = calloc(list->count + 1, sizeof(*w.idle));
	if (w.gone && w.whole && w.since && w.idle)
		code = loop(&w);
	if (w.tty)
		fprintf(stderr, "\r\033[K");
	free(w.gone);
	free(w.whole);
	free(w.since);
	free(w.idle);
	return code;
}

/* Who waits for a pair in one of these waits for ever, unless somebody acts. */
#define BAD_STATES	(1u << DM_SYNC_COPY_STATE_BROKEN | 1u << DM_SYNC_COPY_STATE_ABORTED)

int wait_after(struct args *args, struct dms_list *list, uint32_t goal)
{
	struct wait_for wait = { .timeout = -1, .settle = true };

	if (goal == DM_SYNC_COPY_STATE_NOT_APPLICABLE) {
		wait.cond.kind = COND_GONE;
		wait.settle = false;
		/* Of a new clone: it is to end by itself, and does not when its copy fails. */
		wait.complete = !args->command->operation;
		wait.fail_on = wait.complete ? BAD_STATES : 0;
	} else if (goal) {
		wait.cond.field = field_find("copy_state");
		wait.cond.value = goal;
	} else {
		wait.cond.kind = COND_SETTLED;
	}
	if (args->value[OPT_WAIT][0] && !cond_parse(args->value[OPT_WAIT], &wait.cond))
		return usage(args, "--wait: no such condition: %s", args->value[OPT_WAIT]);
	if (!option_seconds(args, OPT_TIMEOUT, &wait.timeout))
		return EXIT_USAGE;
	return wait_run(args, list, &wait);
}

static int parse_states(struct args *args, uint32_t *states)
{
	char *copy = strdup(args->value[OPT_FAIL_ON]);
	char *save = NULL;
	char *word;
	uint32_t state;
	int code = EXIT_OK;

	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (spec_parse(&spec_copy_state, word, &state) && state < 32)
			*states |= 1u << state;
		else if (!spec_same(word, "none"))
			code = usage(args, "--fail-on: no such CopyState: %s", word);
	}
	free(copy);
	return code;
}

/* Waiting for Synchronized in Broken is waiting for ever, unless asked for. */
static uint32_t default_fail_on(const struct cond *cond)
{
	return is_synchronized(cond) ? BAD_STATES : 0;
}

int cmd_wait(struct args *args)
{
	const char *text = given(args, OPT_FOR) ? args->value[OPT_FOR] : "Synchronized";
	struct wait_for wait = { .timeout = -1, .any = given(args, OPT_ANY) };
	struct dms_list list;
	int code;
	int err;

	if (!cond_parse(text, &wait.cond))
		return usage(args, "--for: not a condition: %s (write a CopyState, "
			     "`settled`, `gone` or FIELD OP VALUE)", text);
	if (!option_seconds(args, OPT_TIMEOUT, &wait.timeout) ||
	    !option_seconds(args, OPT_STABLE, &wait.stable))
		return EXIT_USAGE;
	wait.fail_on = default_fail_on(&wait.cond);
	if (given(args, OPT_FAIL_ON)) {
		wait.fail_on = 0;
		code = parse_states(args, &wait.fail_on);
		if (code)
			return code;
	}
	if (!dms_loaded(args->client))
		return fail_absent(args);
	err = dms_subscribe(args->client, true);
	if (err)
		return fail_kernel(args, NULL, "listen to events", err);
	code = select_pairs(args, &list);
	if (code)
		return code;
	code = wait_run(args, &list, &wait);
	if (args->json)
		json_document(args, "synctl.wait", &list, false);
	dms_list_free(&list);
	return code;
}
