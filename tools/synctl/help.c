// SPDX-License-Identifier: GPL-2.0-only
/* help, version, schema, decode and dump-commands: they ask no kernel. */

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "gen-schema.h"
#include "synctl.h"

static const char * const headings[] = {
	[GROUP_OBSERVE] = "Observe",
	[GROUP_CONTROL] = "Control (needs CAP_SYS_ADMIN)",
	[GROUP_LIFE] = "Create and remove",
	[GROUP_HELP] = "Help",
};

static const struct {
	int code;
	const char *text;
} exit_codes[] = {
	{ 0, "done; for wait, the condition held" },
	{ 1, "the kernel or a device refused for a reason not below" },
	{ 2, "wrong command line, or not confirmed; nothing was sent" },
	{ 3, "no such pair or device" },
	{ 4, "not permitted" },
	{ 5, "the state does not allow it, or it is in use" },
	{ 6, "dm-sync is not loaded, or cannot be reached from here" },
	{ 7, "I/O error" },
	{ 8, "--timeout passed" },
	{ 9, "waiting: the pair went into another state than asked for" },
	{ 10, "some of several pairs failed; each is reported" },
	{ 11, "no complete or consistent answer" },
	{ 130, "interrupted" },
};

static void print_option(enum option_id id)
{
	const struct option_def *o = &options[id];
	char left[64];
	const char *value = o->value ? o->value : "";
	bool optional = value[0] == '[';

	snprintf(left, sizeof(left), "%c%c%c --%s%s%s%s%s",
		 o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ',' : ' ',
		 o->name, optional ? "[=" : o->value ? " " : "",
		 optional ? value + 1 : value, "", "");
	printf("  %-26s %s\n", left, o->help);
}

static void print_options(uint64_t bits)
{
	int i;

	for (i = 0; i < OPT_COUNT_OF; i++)
		if (bits >> i & 1)
			print_option(i);
}

static void print_overview(void)
{
	const struct command *c;
	int group;

	printf("usage: synctl [OPTION...] [COMMAND] [PAIR...] [OPTION...]\n");
	for (group = GROUP_OBSERVE; group <= GROUP_HELP; group++) {
		printf("%s\n", headings[group]);
		for (c = commands; c->name; c++)
			if ((int)c->group == group)
				printf("  %-10s %s\n", c->name, c->summary);
	}
	printf("PAIR: a name, 'a glob*', /dev/mapper/NAME, a leg's path, MAJ:MIN, id:N, uuid:U, all\n"
	       "`synctl help COMMAND` tells more, `man synctl` all.\n");
}

static void print_command(const struct command *c)
{
	printf("usage: synctl %s%s%s%s\n\n%s\n", c->name, c->words[0] ? " " : "", c->words,
	       c->options ? " [OPTION...]" : "", c->summary);
	if (c->detail)
		printf("%s\n", c->detail);
	if (c->options) {
		printf("\nOptions\n");
		print_options(c->options);
	}
	printf("\nOptions of all commands\n");
	print_options(global_options);
	if (c->example)
		printf("\nExample\n  %s\n", c->example);
	printf("\nSee synctl(8); `synctl help exit-codes`.\n");
}

static void print_exit_codes(void)
{
	size_t i;

	for (i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++)
		printf("%4d  %s\n", exit_codes[i].code, exit_codes[i].text);
}

int cmd_help(struct args *args)
{
	const struct command *c;

	if (args->command && strcmp(args->command->name, "help")) {
		/* `synctl --help` has no verb but the default one */
		print_command(args->command);
		return EXIT_OK;
	}
	if (!args->count) {
		print_overview();
		return EXIT_OK;
	}
	if (!strcmp(args->words[0], "exit-codes")) {
		print_exit_codes();
		return EXIT_OK;
	}
	c = command_find(args->words[0]);
	if (!c)
		return usage(args, "there is no command %s", args->words[0]);
	print_command(c);
	return EXIT_OK;
}

int cmd_version(struct args *args)
{
	struct dms_client *client = NULL;
	struct dms_info info;
	struct utsname u;

	(void)args;
	printf("synctl %s\n", SYNCTL_VERSION);
	if (!dms_open(&client) && dms_loaded(client) && !dms_info(client, &info))
		printf("dm-sync %s, ABI %u\n", info.version, info.abi);
	else
		printf("dm-sync is not loaded\n");
	dms_close(client);
	if (!uname(&u))
		printf("%s %s\n", u.sysname, u.release);
	return EXIT_OK;
}

int cmd_schema(struct args *args)
{
	if (args->count && strcmp(args->words[0], "status"))
		return usage(args, "there is one schema: status");
	fputs(synctl_schema_status, stdout);
	return EXIT_OK;
}

int cmd_decode(struct args *args)
{
	const struct spec_enum *e = spec_find(args->words[0]);
	const char *text = args->words[1];
	uint32_t value;

	if (!e)
		return usage(args, "there is no field %s with names for its values",
			     args->words[0]);
	if (!spec_parse(e, text, &value))
		return usage(args, "%s has no value %s", args->words[0], text);
	if (e->is_class && value >= 0x8000)
		printf("%s (0x%x)\n", spec_text(e, value), value);
	else
		printf("%s (%u)\n", spec_text(e, value), value);
	return EXIT_OK;
}

static struct json_object *dump_options(uint64_t bits)
{
	struct json_object *list = json_object_new_array();
	char letter[2] = "";
	int i;

	for (i = 0; i < OPT_COUNT_OF; i++) {
		struct json_object *o;

		if (!(bits >> i & 1))
			continue;
		o = json_object_new_object();
		letter[0] = options[i].letter;
		json_object_object_add(o, "name", json_object_new_string(options[i].name));
		json_object_object_add(o, "letter",
				       letter[0] ? json_object_new_string(letter) : NULL);
		json_object_object_add(o, "value", options[i].value ?
				       json_object_new_string(options[i].value) : NULL);
		json_object_object_add(o, "help", json_object_new_string(options[i].help));
		json_object_array_add(list, o);
	}
	return list;
}

int cmd_dump_commands(struct args *args)
{
	struct json_object *top = json_object_new_object();
	struct json_object *list = json_object_new_array();
	const struct command *c;

	(void)args;
	for (c = commands; c->name; c++) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "name", json_object_new_string(c->name));
		json_object_object_add(o, "words", json_object_new_string(c->words));
		json_object_object_add(o, "summary", json_object_new_string(c->summary));
		json_object_object_add(o, "hidden",
				       json_object_new_boolean(c->group == GROUP_HIDDEN));
		json_object_object_add(o, "options", dump_options(c->options));
		json_object_array_add(list, o);
	}
	json_object_object_add(top, "global_options", dump_options(global_options));
	json_object_object_add(top, "commands", list);
	printf("%s\n", json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	return EXIT_OK;
}
