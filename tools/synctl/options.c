// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options, and the parser of the command line. An option means the same
 * with every verb and takes a value with all of them or with none, so it may
 * stand before the verb as well as after it.
 */

#include <stdlib.h>
#include <string.h>

#include "synctl.h"

const struct option_def options[OPT_COUNT_OF] = {
	[OPT_HELP] = { "help", 'h', NULL, "show help and exit" },
	[OPT_VERSION] = { "version", 'V', NULL, "show versions and exit" },
	[OPT_JSON] = { "json", 'j', NULL, "print JSON" },
	[OPT_NO_HEADINGS] = { "no-headings", 'H', NULL, "leave out the headings" },
	[OPT_BYTES] = { "bytes", 'b', NULL, "print exact numbers of bytes" },
	[OPT_ASCII] = { "ascii", 0, NULL, "draw with ASCII characters only" },
	[OPT_QUIET] = { "quiet", 'q', NULL, "print errors only" },
	[OPT_VERBOSE] = { "verbose", 'v', NULL, "say what was done" },
	[OPT_DRY_RUN] = { "dry-run", 'n', NULL, "show what would be sent, send nothing" },
	[OPT_YES] = { "yes", 'y', NULL, "answer the safety question with yes" },
	[OPT_FORCE] = { "force", 0, NULL, "do it though data may be lost" },
	[OPT_WAIT] = { "wait", 'W', "[COND]", "wait until done, or until COND holds" },
	[OPT_TIMEOUT] = { "timeout", 0, "TIME", "wait no longer than TIME" },
	[OPT_NAME] = { "name", 'N', "NAME", "name of the pair" },
	[OPT_META] = { "meta", 0, "DEV", "device that keeps the state" },
	[OPT_CHUNK] = { "chunk", 0, "SIZE", "what is saved at once, a power of two" },
	[OPT_ON_FULL] = { "on-full", 0, "HOW", "a store that is full: drop images or hold writes" },
	[OPT_DELTA] = { "delta", 0, "DEV", "of snap-and-clone: where old data goes first" },
	[OPT_UNASSOC] = { "unassoc", 0, NULL, "dissolve the pair when the copy is complete" },
	[OPT_REGION] = { "region", 0, "SIZE", "size of a region, a power of two" },
	[OPT_PRIORITY] = { "priority", 0, "LEVEL", "of the copy against host I/O: low, same, high, none" },
	[OPT_RATE] = { "rate", 0, "RATE", "cap of the copy a second, 0 for none" },
	[OPT_METHODOLOGY] = { "methodology", 0, "METHOD", "how it is copied; see `synctl help mirror` and `clone`" },
	[OPT_ASSUME_IN_SYNC] = { "assume-in-sync", 0, NULL, "the replica is equal already" },
	[OPT_STOP_AT] = { "stop-at", 0, "STATE", "synchronized, initialized, prepared or inactive" },
	[OPT_RECOVERY] = { "recovery", 0, "HOW", "after a fault: auto or manual" },
	[OPT_HOLD] = { "hold", 0, "HOW", "Suspended: queue or track writes" },
	[OPT_HOLD_MAX] = { "hold-max", 0, "TIME", "longest time writes are held" },
	[OPT_UUID] = { "uuid", 0, "UUID", "UUID of the pair" },
	[OPT_FORMAT] = { "format", 0, NULL, "format the metadata device, delta or store whatever it holds" },
	[OPT_FOR] = { "for", 0, "COND", "a CopyState, or FIELD OP VALUE" },
	[OPT_ANY] = { "any", 0, NULL, "one pair is enough" },
	[OPT_FAIL_ON] = { "fail-on", 0, "STATES", "give up in one of these CopyStates" },
	[OPT_STABLE] = { "stable", 0, "TIME", "the condition must hold that long" },
	[OPT_INTERVAL] = { "interval", 'i', "TIME", "time between two readings" },
	[OPT_ONCE] = { "once", 0, NULL, "print once and end" },
	[OPT_NOW] = { "now", 0, NULL, "print what exists and end" },
	[OPT_COUNT] = { "count", 0, "N", "end after N events" },
	[OPT_SINCE] = { "since", 0, "SEQ", "only events after number SEQ" },
	[OPT_PROGRESS] = { "progress", 0, NULL, "also how copies get on" },
	[OPT_DOT] = { "dot", 0, NULL, "as a graph for dot(1)" },
	[OPT_CHECK] = { "check", 0, NULL, "one line and exit code for monitoring" },
	[OPT_UNHEALTHY] = { "unhealthy", 'x', NULL, "only pairs that are not healthy" },
	[OPT_ALL] = { "all", 0, NULL, "every field the kernel sent" },
	[OPT_NUL] = { "null", '0', NULL, "end each name with NUL" },
	[OPT_BAR_WIDTH] = { "bar-width", 0, "N", "width of a bar" },
};

const uint64_t global_options = OPT(HELP) | OPT(VERSION) | OPT(JSON) |
	OPT(NO_HEADINGS) | OPT(BYTES) | OPT(ASCII) | OPT(QUIET) | OPT(VERBOSE);

static int find_long(const char *name, size_t len)
{
	int i;

	for (i = 0; i < OPT_COUNT_OF; i++)
		if (strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
			return i;
	return -1;
}

static int find_letter(char letter)
{
	int i;

	for (i = 0; i < OPT_COUNT_OF; i++)
		if (options[i].letter == letter)
			return i;
	return -1;
}

static bool needs_value(int id)
{
	return options[id].value && options[id].value[0] != '[';
}

/* "--name", "--name=value", "--name value"; moves *@at over the value. */
static int parse_long(struct args *args, char **argv, int argc, int *at)
{
	const char *name = argv[*at] + 2;
	const char *equal = strchr(name, '=');
	int id = find_long(name, equal ? (size_t)(equal - name) : strlen(name));

	if (id < 0)
		return usage(args, "there is no option --%s", name);
	if (equal && !options[id].value)
		return usage(args, "--%s takes no value", options[id].name);
	if (!equal && needs_value(id)) {
		if (*at + 1 >= argc)
			return usage(args, "--%s needs a value (%s)", name,
				     options[id].value);
		args->value[id] = argv[++*at];
		return EXIT_OK;
	}
	args->value[id] = equal ? equal + 1 : "";
	return EXIT_OK;
}

/* "-ab", "-Nvalue", "-N value", "-W=value" */
static int parse_short(struct args *args, char **argv, int argc, int *at)
{
	const char *p;
	int id;

	for (p = argv[*at] + 1; *p; p++) {
		id = find_letter(*p);
		if (id < 0)
			return usage(args, "there is no option -%c", *p);
		args->value[id] = "";
		if (!options[id].value)
			continue;
		if (!needs_value(id)) {
			if (p[1] != '=')
				continue;
			args->value[id] = p + 2;
			return EXIT_OK;
		}
		if (p[1])
			args->value[id] = p + 1;
		else if (*at + 1 < argc)
			args->value[id] = argv[++*at];
		else
			return usage(args, "-%c needs a value (%s)", *p, options[id].value);
		return EXIT_OK;
	}
	return EXIT_OK;
}

static int check_command(const struct args *args)
{
	const struct command *c = args->command;
	int i;

	for (i = 0; i < OPT_COUNT_OF; i++)
		if (args->value[i] && !((c->options | global_options) >> i & 1))
			return usage(args, "`%s` takes no option --%s", c->name,
				     options[i].name);
	if (given(args, OPT_HELP))
		return EXIT_OK;
	if (args->count < c->min)
		return usage(args, "`%s` needs %s", c->name, c->words);
	if (args->count > c->max)
		return usage(args, "`%s` takes no further word: %s", c->name,
			     args->words[c->max]);
	return EXIT_OK;
}

/* Letters to change, to add or to leave out to make one word of another */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32], i, j;

	if (strlen(b) >= 31)
		return 99;
	for (j = 0; j <= strlen(b); j++)
		row[j] = j;
	for (i = 1; a[i - 1]; i++) {
		unsigned int corner = row[0];

		row[0] = i;
		for (j = 1; b[j - 1]; j++) {
			unsigned int best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[strlen(b)];
}

static int no_command(const struct args *args, const char *verb)
{
	const struct command *c;

	for (c = commands; c->name; c++)
		if (c->group != GROUP_HIDDEN && distance(verb, c->name) <= 2)
			return usage(args, "there is no command %s; perhaps %s?", verb, c->name);
	return usage(args, "there is no command %s", verb);
}

int options_parse(int argc, char **argv, struct args *args)
{
	bool only_words = false;
	const char *verb = NULL;
	int err = EXIT_OK;
	int i;

	memset(args, 0, sizeof(*args));
	args->words = calloc(argc + 1, sizeof(*args->words));
	if (!args->words)
		return usage(args, "out of memory");
	for (i = 1; i < argc && !err; i++) {
		const char *a = argv[i];

		if (!only_words && !strcmp(a, "--"))
			only_words = true;
		else if (!only_words && a[0] == '-' && a[1] == '-')
			err = parse_long(args, argv, argc, &i);
		else if (!only_words && a[0] == '-' && a[1])
			err = parse_short(args, argv, argc, &i);
		else if (!verb)
			verb = a;
		else
			args->words[args->count++] = a;
	}
	args->json = given(args, OPT_JSON);
	if (err)
		return err;
	args->command = command_find(verb ? verb : "status");
	if (!args->command)
		return no_command(args, verb);
	return check_command(args);
}
