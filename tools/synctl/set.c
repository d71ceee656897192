// SPDX-License-Identifier: GPL-2.0-only
/*
 * set: settings of pairs, and of stores.
 *
 * A setting of a pair is one netlink request with all of them. The settings of a store are
 * those of all its images, whichever of them is named; VOL alone means it, too, and may
 * have no image yet. That has no netlink name, so it is told by messages to its device, one
 * for each setting.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ask.h"
#include "dm.h"
#include "select.h"

#define MESSAGES_MAX	16

static const char * const priorities[] = { "none", "low", "same", "high" };
static const char * const fulls[] = { "drop", "hold" };

/* @attr: of a pair, or 0; @message: of a store, or NULL */
static const struct {
	const char *key;
	uint16_t attr;
	char kind;
	const char *message;
} settings[] = {
	{ "copy-priority", DM_SYNC_A_PAIR_COPY_PRIORITY, 'e', "priority" },
	{ "priority", DM_SYNC_A_PAIR_COPY_PRIORITY, 'e', "priority" },
	{ "rate", DM_SYNC_A_PAIR_LIMIT_BYTES, 'b', "rate" },
	{ "hold", DM_SYNC_A_PAIR_HOLD, 'e', NULL },
	{ "hold-max", DM_SYNC_A_PAIR_HOLD_MAX, 't', "hold_max" },
	{ "recovery", DM_SYNC_A_PAIR_RECOVERY, 'e', NULL },
	{ "on-full", 0, 'f', "on_full" },
};

/**
 * struct wanted - what the command line asks for
 * @request: of a pair, its id missing
 * @messages: of a store
 * @nr_messages: of these
 * @not_of_stores: key that only pairs have, or NULL
 * @not_of_pairs: key that only stores have, or NULL
 */
struct wanted {
	struct dms_request request;
	char messages[MESSAGES_MAX][64];
	unsigned int nr_messages;
	const char *not_of_stores, *not_of_pairs;
};

static bool enum_value(unsigned int i, const char *text, uint64_t *value)
{
	const struct spec_enum *e = spec_attrs_pair[settings[i].attr].values;
	uint32_t code;

	if (spec_same(text, "none") && e == &spec_copy_priority)
		text = "not managed";
	if (!spec_parse(e, text, &code))
		return false;
	*value = code;
	return true;
}

static bool setting_value(unsigned int i, const char *text, uint64_t *value)
{
	switch (settings[i].kind) {
	case 'e':
		return enum_value(i, text, value);
	case 'f':
		*value = spec_same(text, fulls[1]);
		return *value || spec_same(text, fulls[0]);
	case 'b':
		return parse_size(text, value);
	default:
		return parse_hold(text, value);
	}
}

static void add_message(struct wanted *w, unsigned int i, uint64_t value)
{
	char *text = w->messages[w->nr_messages];
	size_t size = sizeof(w->messages[0]);

	if (settings[i].kind == 'e')
		snprintf(text, size, "set %s %s", settings[i].message, priorities[value & 3]);
	else if (settings[i].kind == 'f')
		snprintf(text, size, "set %s %s", settings[i].message, fulls[value]);
	else
		snprintf(text, size, "set %s %" PRIu64, settings[i].message, value);
	w->nr_messages++;
}

static int add_setting(struct args *args, const char *word, struct wanted *w)
{
	const char *equal = strchr(word, '=');
	char key[32];
	uint64_t value;
	unsigned int i;

	snprintf(key, sizeof(key), "%.*s", (int)(equal - word), word);
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!spec_same(key, settings[i].key))
			continue;
		if (!setting_value(i, equal + 1, &value))
			return usage(args, "set: not a value for %s: %s%s", key, equal + 1,
				     settings[i].kind == 't' ? " (whole seconds, 1s to 1h)" : "");
		if (settings[i].attr)
			dms_request_add(&w->request, settings[i].attr, value);
		else
			w->not_of_pairs = settings[i].key;
		if (!settings[i].message)
			w->not_of_stores = settings[i].key;
		else if (w->nr_messages == MESSAGES_MAX)
			return usage(args, "set: too many settings");
		else
			add_message(w, i, value);
		return EXIT_OK;
	}
	return usage(args, "set: there is no setting %s (there are copy-priority, rate, "
		     "hold, hold-max, recovery, on-full)", key);
}

/* The words with '=' are settings, the others are pairs. */
static int split_words(struct args *args, struct wanted *w)
{
	unsigned int i, pairs = 0, count = args->count;
	int code;

	for (i = 0; i < count; i++) {
		if (!strchr(args->words[i], '=')) {
			args->words[pairs++] = args->words[i];
			continue;
		}
		code = add_setting(args, args->words[i], w);
		if (code)
			return code;
	}
	args->count = pairs;
	if (pairs == count || !pairs)
		return usage(args, "`set` needs a pair and at least one KEY=VALUE");
	return EXIT_OK;
}

/* -- stores ------------------------------------------------------------- */

/* Is @word the door of a store, and no pair's name?  @name: 128 bytes, the device's */
static bool means_store(const struct dms_list *all, const char *word, char *name)
{
	char target[32], params[DM_PARAMS_MAX];
	unsigned int i;

	for (i = 0; i < all->count; i++)
		if (select_matches(&all->pairs[i], word))
			return false;
	for (i = 0; i < all->count; i++) {
		if (!select_means_store(&all->pairs[i], word))
			continue;
		select_store(&all->pairs[i], name, 128);
		return true;
	}
	/* It has no image. */
	snprintf(name, 128, "%s", strncmp(word, "/dev/mapper/", 12) ? word : word + 12);
	return strcmp(word, "all") && dm_table(name, target, params) &&
		!strcmp(target, "sync") && !strncmp(params, "snapshot ", 9);
}

static int set_store(struct args *args, const char *name, const struct wanted *w)
{
	struct failure f = { .args = args, .object = name };
	unsigned int i;
	int err;

	if (w->not_of_stores)
		return usage(args, "set: %s has no setting %s, as it is a store", name,
			     w->not_of_stores);
	for (i = 0; i < w->nr_messages; i++) {
		if (given(args, OPT_DRY_RUN)) {
			printf("dmsetup message %s 0 %s\n", name, w->messages[i]);
			continue;
		}
		err = dm_message(name, w->messages[i]);
		if (err) {
			f.err = -err;
			f.code = err == -EPERM ? EXIT_DENIED : exit_of_errno(-err);
			return fail(&f, "cannot %s: %s", w->messages[i],
				    dm_reason()[0] ? dm_reason() : strerror(-err));
		}
	}
	if (given(args, OPT_VERBOSE) && !given(args, OPT_DRY_RUN))
		printf("%s: %s accepted\n", name, args->command->name);
	return EXIT_OK;
}

/* -- pairs -------------------------------------------------------------- */

static int set_pair(struct args *args, const struct dms_pair *pair, const struct wanted *w)
{
	struct dms_request request = w->request;

	if (w->not_of_pairs)
		return usage(args, "set: %s is a setting of a store: name VOL, not %s",
			     w->not_of_pairs, pair->name);
	dms_request_add(&request, DM_SYNC_A_PAIR_ID, GET(pair, ID));
	return send_one(args, pair, &request);
}

/* Stores are set as they are found, pairs are gathered: two words may mean one. */
static int set_all(struct args *args, const struct dms_list *all, const struct wanted *w)
{
	unsigned int i, tried = 0, failed = 0;
	struct dms_list list = { 0 };
	int code, last = EXIT_OK;
	char name[128];

	for (i = 0; i < args->count; i++) {
		bool store = means_store(all, args->words[i], name);

		code = store ? set_store(args, name, w) :
			       select_filter(args, args->words[i], all, &list);
		if (code && !store) {
			dms_list_free(&list);
			return code;
		}
		tried += store;
		failed += !!code;
		last = code ? code : last;
	}
	for (i = 0; i < list.count; i++) {
		code = set_pair(args, &list.pairs[i], w);
		failed += !!code;
		last = code ? code : last;
	}
	code = sum_up(tried + list.count, failed, last);
	dms_list_free(&list);
	return code;
}

int cmd_set(struct args *args)
{
	struct wanted w = { .request.cmd = DM_SYNC_CMD_PAIR_SET };
	struct dms_list all;
	int code = split_words(args, &w);
	int err;

	if (code)
		return code;
	if (!dms_loaded(args->client))
		return fail_absent(args);
	err = dms_dump(args->client, &all);
	if (err)
		return fail_kernel(args, NULL, "list the pairs", err);
	select_names(&all);
	code = set_all(args, &all, &w);
	dms_list_free(&all);
	return code;
}
