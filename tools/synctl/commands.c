// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of commands. The parser, the help, `dump-commands` and with it the
 * check of the manual page read this and nothing else.
 */

#include <string.h>

#include "synctl.h"

#define MANY	0xffff
#define WAITING	(OPT(WAIT) | OPT(TIMEOUT))
#define SENDING	(OPT(DRY_RUN) | OPT(YES))
#define OPERATING	(WAITING | SENDING | OPT(FORCE))
#define MIRROR	(OPT(NAME) | OPT(META) | OPT(REGION) | OPT(PRIORITY) | OPT(RATE) | \
		 OPT(METHODOLOGY) | OPT(ASSUME_IN_SYNC) | OPT(STOP_AT) | \
		 OPT(RECOVERY) | OPT(HOLD) | OPT(HOLD_MAX) | OPT(UUID) | OPT(FORMAT))

#define OPERATION(name, number, summary, detail, more) \
	{ name, GROUP_CONTROL, "PAIR...", summary, detail, "synctl " name " db0 -W", \
	  OPERATING | (more), 1, MANY, DM_SYNC_OPERATION_##number, cmd_operation }

const struct command commands[] = {
	{ "status", GROUP_OBSERVE, "[PAIR...]", "a table of the pairs (the default)",
	  "Below the table stands what needs someone's attention. With --check one\n"
	  "line for monitoring and exit code 0 healthy, 1 warning, 2 critical, 3 unknown.",
	  "synctl status 'db*'", OPT(CHECK) | OPT(UNHEALTHY), 0, MANY, 0, cmd_status },
	{ "show", GROUP_OBSERVE, "PAIR...", "every field of a pair, names and codes",
	  NULL, "synctl show db0", OPT(ALL), 1, MANY, 0, cmd_show },
	{ "list", GROUP_OBSERVE, "[PAIR...]", "names only, one a line",
	  NULL, "synctl list -0", OPT(NUL), 0, MANY, 0, cmd_list },
	{ "watch", GROUP_OBSERVE, "[PAIR...]", "live bars; plain lines when not a terminal",
	  NULL, "synctl watch -i 2", OPT(INTERVAL) | OPT(ONCE) | OPT(BAR_WIDTH), 0, MANY, 0,
	  cmd_watch },
	{ "events", GROUP_OBSERVE, "[PAIR...]", "what exists, then each change as it happens",
	  "Events that were lost are named, and what they changed is found and printed.",
	  "synctl events --count 1", OPT(NOW) | OPT(COUNT) | OPT(SINCE) | OPT(PROGRESS),
	  0, MANY, 0, cmd_events },
	{ "wait", GROUP_OBSERVE, "PAIR...", "block until a condition holds (Synchronized)",
	  "COND is a CopyState, `settled`, `gone`, or FIELD OP VALUE with = != < <= > >=.\n"
	  "Exit code 8 when --timeout passed, 9 when the pair went elsewhere.",
	  "synctl wait db0 --for 'percent_synced>=50' --timeout 1h",
	  OPT(FOR) | OPT(TIMEOUT) | OPT(ANY) | OPT(FAIL_ON) | OPT(STABLE), 1, MANY, 0, cmd_wait },
	{ "history", GROUP_OBSERVE, "PAIR...", "the last changes that the kernel remembers",
	  NULL, "synctl history db0", OPT(SINCE), 1, MANY, 0, cmd_history },

	OPERATION("activate", ACTIVATE, "start to copy and to follow", NULL, 0),
	OPERATION("deactivate", DEACTIVATE, "stop copying; writes go on and are tracked", NULL, 0),
	OPERATION("suspend", SUSPEND, "stop the flow and HOLD writes to the source",
		  "Programs that write hang until `resume`, or until --hold-max has passed.\n"
		  "With `set PAIR hold=track` writes go on and are tracked instead.", OPT(HOLD_MAX)),
	OPERATION("resume", RESUME, "end a suspend", NULL, 0),
	OPERATION("fracture", FRACTURE, "cut the replica off at once", NULL, 0),
	OPERATION("split", SPLIT, "cut the replica off at a consistent instant", NULL, 0),
	OPERATION("resync", RESYNC, "copy what differs, source to replica",
		  "What was written to the replica is lost.", 0),
	OPERATION("restore", RESTORE, "copy what differs, replica to SOURCE",
		  "Overwrites the source: says what is on it, and asks.", 0),
	OPERATION("abort", ABORT, "stop a copy that runs; the replica stays incomplete", NULL, 0),
	OPERATION("prepare", PREPARE, "set up again and wait for activate", NULL, 0),
	OPERATION("unprepare", UNPREPARE, "an old name of prepare", NULL, 0),
	OPERATION("detach", DETACH, "end the pair; both sides become independent",
		  "The device stays as a door to the source until it is removed.", 0),
	OPERATION("dissolve", DISSOLVE, "end the pair and leave a record of it", NULL, 0),
	OPERATION("failover", FAILOVER, "let the replica serve the host", NULL, 0),
	OPERATION("failback", FAILBACK, "undo a failover", NULL, 0),
	OPERATION("reverse", REVERSE_ROLES, "exchange source and replica", NULL, 0),
	{ "set", GROUP_CONTROL, "PAIR... KEY=VALUE...", "change settings while it runs",
	  "copy-priority (or priority): low, same, high, none; rate: bytes a second;\n"
	  "hold: queue, track; hold-max: a time; recovery: auto, manual.",
	  "synctl set db0 rate=100M priority=same", SENDING, 1, MANY, 0, cmd_set },

	{ "mirror", GROUP_LIFE, "SOURCE REPLICA", "create a mirror",
	  "The pair's device is /dev/mapper/NAME; use that in place of the source. A pair\n"
	  "that --meta remembers is taken up where it stood.",
	  "synctl mirror /dev/sdb1 /dev/sdc1 -N db0 --meta /dev/sdd1 -W",
	  MIRROR | WAITING | SENDING, 2, 2, 0, cmd_mirror },
	{ "door", GROUP_LIFE, "PAIR [NAME]", "create the replica's door (PAIR-replica)",
	  "The door admits nothing, reads, or reads and writes, as the CopyState says.",
	  "synctl door db0", SENDING, 1, 2, 0, cmd_door },
	{ "remove", GROUP_LIFE, "PAIR...", "take down the devices of a pair; data stays",
	  NULL, "synctl remove db0", SENDING, 1, MANY, 0, cmd_remove },

	{ "help", GROUP_HELP, "[COMMAND]", "this, or all about one command",
	  "`synctl help exit-codes` lists the exit codes.", "synctl help resync",
	  0, 0, 1, 0, cmd_help },
	{ "states", GROUP_HELP, "", "which operation is allowed in which state",
	  NULL, "synctl states --dot | dot -Tsvg", OPT(DOT), 0, 0, 0, cmd_states },
	{ "schema", GROUP_HELP, "[status]", "the JSON schema of --json", NULL,
	  "synctl schema status", 0, 0, 1, 0, cmd_schema },
	{ "decode", GROUP_HELP, "FIELD VALUE", "name of a code, or code of a name",
	  NULL, "synctl decode ProgressStatus 17", 0, 2, 2, 0, cmd_decode },
	{ "dump-commands", GROUP_HIDDEN, "", "this table as JSON", NULL, NULL,
	  0, 0, 0, 0, cmd_dump_commands },
	{ NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL }
};

const struct command *command_find(const char *name)
{
	const struct command *c;

	for (c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

uint32_t command_operations(void)
{
	const struct command *c;
	uint32_t bits = 0;

	for (c = commands; c->name; c++)
		if (c->operation)
			bits |= 1u << c->operation;
	return bits;
}
