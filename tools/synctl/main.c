// SPDX-License-Identifier: GPL-2.0-only
/* synctl: look at and operate replica pairs of dm-sync. */

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "synctl.h"

/* Help, and what has no need of the kernel, must work where there is none. */
static bool needs_client(const struct command *c)
{
	return c->group != GROUP_HELP && c->group != GROUP_HIDDEN;
}

static bool verb_given(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static int run(struct args *args)
{
	int err;
	int code;

	if (!needs_client(args->command))
		return args->command->run(args);
	err = dms_open(&args->client);
	if (err) {
		struct failure f = { .args = args, .err = -err };

		f.code = exit_of_errno(-err);
		code = fail(&f, "cannot open a netlink socket: %s", strerror(-err));
	} else {
		code = args->command->run(args);
	}
	dms_close(args->client);
	return code;
}

int main(int argc, char **argv)
{
	struct args args;
	int code;

	setlocale(LC_ALL, "");
	code = options_parse(argc, argv, &args);
	if (!code && given(&args, OPT_VERSION))
		code = cmd_version(&args);
	else if (!code && given(&args, OPT_HELP)) {
		if (!verb_given(argc, argv, args.command->name))
			args.command = command_find("help");
		code = cmd_help(&args);
	} else if (!code) {
		code = run(&args);
	}
	free(args.words);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "synctl: cannot write: %s\n", strerror(errno));
		code = code ? code : EXIT_IO;
	}
	return code;
}
