/* SPDX-License-Identifier: GPL-2.0-only */
/* What all parts of the tool share: exit codes, the parsed command line, errors. */
#ifndef SYNCTL_H
#define SYNCTL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client.h"

#define SYNCTL_VERSION	"0.1.0"

enum exit_code {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_DENIED = 4,
	EXIT_STATE = 5,
	EXIT_NO_MODULE = 6,
	EXIT_IO = 7,
	EXIT_TIMEOUT = 8,
	EXIT_OTHER_STATE = 9,
	EXIT_SOME_FAILED = 10,
	EXIT_INCOMPLETE = 11,
	EXIT_INTERRUPTED = 130,
};

/* Every option there is; options.c has the spelling. */
enum option_id {
	OPT_HELP, OPT_VERSION, OPT_JSON, OPT_NO_HEADINGS, OPT_BYTES, OPT_ASCII,
	OPT_QUIET, OPT_VERBOSE, OPT_DRY_RUN, OPT_YES, OPT_FORCE, OPT_WAIT,
	OPT_TIMEOUT, OPT_NAME, OPT_META, OPT_REGION, OPT_PRIORITY, OPT_RATE,
	OPT_METHODOLOGY, OPT_ASSUME_IN_SYNC, OPT_STOP_AT, OPT_RECOVERY, OPT_HOLD,
	OPT_HOLD_MAX, OPT_UUID, OPT_FORMAT, OPT_FOR, OPT_ANY, OPT_FAIL_ON,
	OPT_STABLE, OPT_INTERVAL, OPT_ONCE, OPT_NOW, OPT_COUNT, OPT_SINCE,
	OPT_PROGRESS, OPT_DOT, OPT_CHECK, OPT_UNHEALTHY, OPT_ALL, OPT_NUL,
	OPT_BAR_WIDTH, OPT_CHUNK, OPT_ON_FULL, OPT_UNASSOC, OPT_DELTA,
	OPT_COUNT_OF
};

#define OPT(id)	(1ULL << OPT_##id)

struct command;

/* The parsed command line. @value is "" for an option given without one. */
struct args {
	const struct command *command;
	const char *value[OPT_COUNT_OF];
	const char **words;
	unsigned int count;
	struct dms_client *client;
	bool json;
};

static inline bool given(const struct args *args, enum option_id id)
{
	return args->value[id] != NULL;
}

enum command_group { GROUP_OBSERVE, GROUP_CONTROL, GROUP_LIFE, GROUP_HELP, GROUP_HIDDEN };

/**
 * struct command - one verb
 * @name: the verb
 * @group: heading it stands under in the help
 * @words: its arguments, as in a usage line
 * @summary: one line
 * @detail: what else there is to say, or NULL
 * @example: a command line that shows it, or NULL
 * @options: bits of the options it takes beside the global ones
 * @min: least number of words
 * @max: greatest number of words
 * @operation: number of the operation it starts, or 0
 * @run: does it; returns an exit code
 */
struct command {
	const char *name;
	enum command_group group;
	const char *words;
	const char *summary;
	const char *detail;
	const char *example;
	uint64_t options;
	unsigned int min;
	unsigned int max;
	unsigned int operation;
	int (*run)(struct args *args);
};

extern const struct command commands[];
const struct command *command_find(const char *name);

/* The verb of an operation, or NULL: not all of them have one. */
const char *command_verb(unsigned int operation);

/* The operations that have a verb, as a bitmap like allowed-ops. */
uint32_t command_operations(void);

struct option_def {
	const char *name;
	char letter;
	/* NULL: takes no value; "[...]": may have one after '=' */
	const char *value;
	const char *help;
};

extern const struct option_def options[OPT_COUNT_OF];
extern const uint64_t global_options;

/**
 * options_parse() - read the command line
 * @argc: as main() has it
 * @argv: as main() has it
 * @args: filled
 *
 * Return: EXIT_OK or, the complaint being printed, EXIT_USAGE.
 */
int options_parse(int argc, char **argv, struct args *args);

/* Numbers on the command line; false after a complaint. */
bool parse_size(const char *text, uint64_t *bytes);
bool parse_seconds(const char *text, double *seconds);
bool option_seconds(const struct args *args, enum option_id id, double *seconds);

/* How long writes are held: whole seconds. The option must be given. */
bool parse_hold(const char *text, uint64_t *seconds);
bool option_hold(const struct args *args, uint64_t *seconds);

/* -- errors ------------------------------------------------------------- */

/**
 * struct failure - an error as people should see it
 * @args: the command line, for its form
 * @code: exit code
 * @err: errno, or 0
 * @object: the pair or device concerned, or NULL
 * @status: what is the case, or NULL
 * @action: what to do about it, or NULL
 */
struct failure {
	const struct args *args;
	int code;
	int err;
	const char *object;
	const char *status;
	const char *action;
};

/* Print an error of our own finding; returns @f->code */
int fail(const struct failure *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Print what the kernel answered to a request; returns the exit code for it */
int fail_kernel(const struct args *args, const struct dms_pair *pair,
		const char *what, int err);

/* The family is missing: say why; returns EXIT_NO_MODULE */
int fail_absent(const struct args *args);

/* A remark of the kernel on a request that succeeded */
void note_kernel(const struct args *args, const char *object);

int exit_of_errno(int err);
int usage(const struct args *args, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* -- the commands that have a file of their own ------------------------- */

int cmd_status(struct args *args);
int cmd_show(struct args *args);
int cmd_list(struct args *args);
int cmd_watch(struct args *args);
int cmd_events(struct args *args);
int cmd_history(struct args *args);
int cmd_wait(struct args *args);
int cmd_operation(struct args *args);
int cmd_set(struct args *args);
int cmd_mirror(struct args *args);
int cmd_clone(struct args *args);
int cmd_snapshot(struct args *args);
int cmd_door(struct args *args);
int cmd_remove(struct args *args);
int cmd_states(struct args *args);
int cmd_help(struct args *args);
int cmd_schema(struct args *args);
int cmd_decode(struct args *args);
int cmd_dump_commands(struct args *args);
int cmd_version(struct args *args);

#endif /* SYNCTL_H */
