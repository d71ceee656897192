// SPDX-License-Identifier: GPL-2.0-only
/*
 * events and history: a stream that heals.
 *
 * Subscribe, ask for the number of the newest event, dump. Whatever happens
 * from then on has a greater number and is in the socket's queue. An event
 * whose number a pair's dump reached already is in that dump. A number that is
 * left out, or an overrun, means a loss: say which numbers, dump again, and
 * print exactly what differs from what was printed before.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "select.h"

struct stream {
	struct args *args;
	struct dms_list known;
	uint64_t seq;
	uint64_t start;
	uint64_t left;
};

static bool wanted(struct args *args, const struct dms_pair *pair)
{
	unsigned int i;

	for (i = 0; i < args->count; i++)
		if (select_matches(pair, args->words[i]) ||
		    select_means_store(pair, args->words[i]))
			return true;
	return !args->count;
}

static struct dms_pair *find(struct dms_list *list, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (GET(&list->pairs[i], ID) == id)
			return &list->pairs[i];
	return NULL;
}

static void forget(struct dms_list *list, struct dms_pair *pair)
{
	unsigned int i = pair - list->pairs;

	memmove(pair, pair + 1, (--list->count - i) * sizeof(*pair));
}

static bool learn(struct dms_list *list, const struct dms_pair *pair)
{
	struct dms_pair *more = realloc(list->pairs, (list->count + 1) * sizeof(*more));

	if (!more)
		return false;
	list->pairs = more;
	list->pairs[list->count++] = *pair;
	return true;
}

/* The number of the newest event, then the pairs: in this order nothing is missed. */
static int look(struct stream *s, struct dms_list *list)
{
	struct dms_info info;
	int err = dms_info(s->args->client, &info);

	if (err && err != -ENOENT)
		return err;
	err = dms_dump(s->args->client, list);
	if (err)
		return err;
	select_names(list);
	s->start = info.event_seq;
	if (info.event_seq > s->seq)
		s->seq = info.event_seq;
	return 0;
}

static int begin(struct stream *s)
{
	unsigned int i, count = 0;
	int err = look(s, &s->known);

	if (err)
		return err;
	for (i = 0; i < s->known.count; i++) {
		if (!wanted(s->args, &s->known.pairs[i]))
			continue;
		report_event(s->args, "exists", NULL, &s->known.pairs[i]);
		count++;
	}
	report_ready(s->args, s->seq, count);
	return 0;
}

/* After a loss: what is there now that was not known, gone, or different */
static int heal(struct stream *s, uint64_t from, uint64_t to)
{
	struct dms_list now;
	unsigned int i;
	int err;

	if (to < from) {
		struct dms_info info;

		err = dms_info(s->args->client, &info);
		if (err)
			return err;
		to = info.event_seq;
	}
	if (to >= from)
		report_lost(s->args, from, to);
	err = look(s, &now);
	if (err)
		return err;
	for (i = 0; i < s->known.count; i++) {
		struct dms_pair *old = &s->known.pairs[i];

		if (!wanted(s->args, old) || find(&now, GET(old, ID)))
			continue;
		/* Noticed now; when it happened nobody told. */
		GET(old, EVENT_SEQ) = s->seq;
		HAS(old, TIME) = false;
		report_event(s->args, "gone", NULL, old);
	}
	for (i = 0; i < now.count; i++) {
		const struct dms_pair *old = find(&s->known, GET(&now.pairs[i], ID));

		if (wanted(s->args, &now.pairs[i]) &&
		    (!old || report_differs(old, &now.pairs[i])))
			report_event(s->args, "exists", old, &now.pairs[i]);
	}
	dms_list_free(&s->known);
	s->known = now;
	return 0;
}

static void apply(struct stream *s, const struct dms_event *event)
{
	static const char * const words[] = { "create", "change", "delete", "progress" };
	uint64_t seq = GET(&event->pair, EVENT_SEQ);
	struct dms_pair *old = find(&s->known, GET(&event->pair, ID));
	bool counts = event->kind != DMS_EVENT_PROGRESS || given(s->args, OPT_PROGRESS);

	if (event->kind != DMS_EVENT_PROGRESS &&
	    (old ? seq <= GET(old, EVENT_SEQ) : seq <= s->start))
		return;
	if (counts && wanted(s->args, &event->pair)) {
		report_event(s->args, words[event->kind],
			     event->kind == DMS_EVENT_CREATE ? NULL : old, &event->pair);
		if (s->left)
			s->left--;
	}
	if (event->kind == DMS_EVENT_DELETE) {
		if (old)
			forget(&s->known, old);
	} else if (old) {
		*old = event->pair;
	} else if (event->kind != DMS_EVENT_PROGRESS) {
		learn(&s->known, &event->pair);
	}
}

static int take(struct stream *s, struct dms_event *event)
{
	uint64_t seq = GET(&event->pair, EVENT_SEQ);
	uint64_t expected = s->seq + 1;
	int err = 0;

	select_name(&event->pair);
	if (event->kind != DMS_EVENT_PROGRESS) {
		if (seq > expected)
			err = heal(s, expected, seq - 1);
		if (seq > s->seq)
			s->seq = seq;
	}
	if (!err)
		apply(s, event);
	return err;
}

/* --since: what the kernel remembers, oldest first, over all pairs */
static int by_seq(const void *a, const void *b)
{
	uint64_t sa = GET((const struct dms_pair *)a, EVENT_SEQ);
	uint64_t sb = GET((const struct dms_pair *)b, EVENT_SEQ);

	return (sa > sb) - (sa < sb);
}

static int report_past(struct args *args, const struct dms_list *pairs, uint64_t since)
{
	struct dms_list all = { 0 };
	struct dms_list one;
	unsigned int i, j;
	int err = 0;

	for (i = 0; i < pairs->count && !err; i++) {
		err = dms_history(args->client, GET(&pairs->pairs[i], ID), since, &one);
		if (err)
			break;
		for (j = 0; j < one.count; j++)
			if (!learn(&all, &one.pairs[j]))
				err = -ENOMEM;
		dms_list_free(&one);
	}
	if (all.count)
		qsort(all.pairs, all.count, sizeof(*all.pairs), by_seq);
	for (i = 0; i < all.count; i++) {
		const struct dms_pair *old = NULL;

		select_name(&all.pairs[i]);
		for (j = 0; j < i; j++)
			if (GET(&all.pairs[j], ID) == GET(&all.pairs[i], ID))
				old = &all.pairs[j];
		report_event(args, GET(&all.pairs[i], CAUSE) == DM_SYNC_EVENT_CAUSE_CREATED ?
			     "create" : "change", old, &all.pairs[i]);
	}
	dms_list_free(&all);
	return err;
}

static int run(struct stream *s)
{
	struct dms_event event;
	bool counted = s->left > 0;
	int n = begin(s);

	if (n)
		return n;
	if (given(s->args, OPT_SINCE)) {
		n = report_past(s->args, &s->known,
				strtoull(s->args->value[OPT_SINCE], NULL, 10));
		if (n)
			return n;
	}
	if (given(s->args, OPT_NOW))
		return 0;
	do {
		n = dms_next(s->args->client, -1, &event);
		if (n == 1)
			n = take(s, &event);
		else if (n == -ENOBUFS)
			n = heal(s, s->seq + 1, 0);
	} while (n >= 0 && !(counted && !s->left));
	return n;
}

int cmd_events(struct args *args)
{
	struct stream s = { .args = args };
	int err;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	if (given(args, OPT_COUNT)) {
		s.left = strtoull(args->value[OPT_COUNT], NULL, 10);
		if (!s.left)
			return usage(args, "--count: not a number above 0: %s",
				     args->value[OPT_COUNT]);
	}
	err = dms_subscribe(args->client, given(args, OPT_PROGRESS));
	if (!err)
		err = run(&s);
	dms_list_free(&s.known);
	if (err == -EINTR)
		return EXIT_INTERRUPTED;
	if (err && err != -ENODATA)
		return fail_kernel(args, NULL, "follow the events", err);
	return EXIT_OK;
}

int cmd_history(struct args *args)
{
	uint64_t since = given(args, OPT_SINCE) ?
		strtoull(args->value[OPT_SINCE], NULL, 10) : 0;
	struct dms_list list;
	int code;
	int err;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	code = select_pairs(args, &list);
	if (code)
		return code;
	err = report_past(args, &list, since);
	dms_list_free(&list);
	if (err)
		return fail_kernel(args, NULL, "read the history", err);
	return EXIT_OK;
}
