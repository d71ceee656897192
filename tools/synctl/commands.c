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

#define SNAPSHOT	(OPT(CHUNK) | OPT(ON_FULL) | OPT(PRIORITY) | OPT(RATE) | \
			 OPT(HOLD_MAX) | OPT(UUID) | OPT(FORMAT) | OPT(STOP_AT) | OPT(FORCE))
#define CLONE		((MIRROR & ~OPT(ASSUME_IN_SYNC)) | OPT(UNASSOC) | OPT(DELTA))

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
	OPERATION("deactivate", DEACTIVATE, "stop copying; writes go on and are tracked",
		  "An image, or a clone, is given up by this. What an image holds is lost, and\n"
		  "`activate` copies all of a clone anew; so this asks.", 0),
	OPERATION("suspend", SUSPEND, "stop the flow and HOLD writes to the source",
		  "Programs that write hang until `resume`, or until --hold-max has passed.\n"
		  "Of an image or clone only writes are held that would first have to be saved.\n"
		  "With `set PAIR hold=track` writes go on and are tracked instead.", OPT(HOLD_MAX)),
	OPERATION("resume", RESUME, "end a suspend", NULL, 0),
	OPERATION("fracture", FRACTURE, "cut the replica off at once", NULL, 0),
	OPERATION("split", SPLIT, "cut the replica off at a consistent instant", NULL, 0),
	OPERATION("resync", RESYNC, "copy what differs, source to replica",
		  "What was written to the replica is lost. An image is taken anew, of now;\n"
		  "what it was is lost, so this asks.", 0),
	{ "reset", GROUP_CONTROL, "VOL@IMAGE...", "undo what was written to an image",
	  "The image is again what it was at its point in time.", "synctl reset vol@monday",
	  OPERATING, 1, MANY, DM_SYNC_OPERATION_RESET_REPLICA, cmd_operation },
	OPERATION("restore", RESTORE, "copy what differs, replica to SOURCE",
		  "Overwrites the source: says what is on it, and asks. Of an image likewise.", 0),
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
	  "hold: queue, track; hold-max: a time; recovery: auto, manual.\n"
	  "Of a store, as VOL or VOL@IMAGE, with effect on all its images: copy-priority and\n"
	  "rate (of a restore), hold-max, and as VOL on-full: drop, hold.",
	  "synctl set db0 rate=100M priority=same", SENDING, 1, MANY, 0, cmd_set },

	{ "mirror", GROUP_LIFE, "SOURCE REPLICA", "create a mirror",
	  "The pair's device is /dev/mapper/NAME; use that in place of the source. A pair\n"
	  "that --meta remembers is taken up where it stood.",
	  "synctl mirror /dev/sdb1 /dev/sdc1 -N db0 --meta /dev/sdd1 -W",
	  MIRROR | WAITING | SENDING, 2, 2, 0, cmd_mirror },
	{ "snapshot", GROUP_LIFE, "[SOURCE STORE] VOL@IMAGE", "take an image of the source",
	  "VOL is the device through which the source is used, /dev/mapper/VOL. Where there is\n"
	  "none, SOURCE and STORE say what it is made of; with VOL instead of VOL@IMAGE it is\n"
	  "made and no image is taken. Images that the store holds are there again then.\n"
	  "An image keeps what the source held at one instant, for which writes pause: of a\n"
	  "mounted file system too. It is mounted after `synctl door VOL@IMAGE`, deleted by\n"
	  "`synctl remove VOL@IMAGE`. --chunk, --uuid and --format are of a new store. It does\n"
	  "not keep --on-full, --hold-max, --priority and --rate: they are given whenever VOL is\n"
	  "made, and changed by `synctl set VOL`.",
	  "synctl snapshot /dev/sdb1 /dev/sdc1 vol@monday", SNAPSHOT | SENDING, 1, 3, 0,
	  cmd_snapshot },
	{ "clone", GROUP_LIFE, "SOURCE REPLICA", "make a full copy, of one instant",
	  "The pair's device is /dev/mapper/NAME; use that in place of the source. The copy is\n"
	  "of the instant of the command. METHOD: copy-on-write (the default: can be used at\n"
	  "once, through its door), copy-on-access (what is read is copied too), full (can be\n"
	  "used when complete), snap-and-clone (the same, and a slow replica does not delay\n"
	  "writes: what they overwrite goes to the device of --delta first).\n"
	  "A delta needs room for what hosts write while the copy runs, counted in whole regions\n"
	  "and each region once. When it is full, writes wait for the replica, as with\n"
	  "copy-on-write. It is blank at first, and given again whenever the clone is set up.",
	  "synctl clone /dev/sdb1 /dev/sdc1 -N test --meta /dev/sdd1 -W",
	  CLONE | WAITING | SENDING, 2, 2, 0, cmd_clone },
	{ "door", GROUP_LIFE, "PAIR [NAME]", "create the door to a replica or image",
	  "It is /dev/mapper/PAIR-replica, of an image /dev/mapper/VOL@IMAGE. It admits\n"
	  "nothing, reads, or reads and writes, as the CopyState says.",
	  "synctl door db0", SENDING, 1, 2, 0, cmd_door },
	{ "remove", GROUP_LIFE, "PAIR...", "take down a pair's devices; delete an image",
	  "Of a pair, or of VOL, only the devices go: the data and all images stay.\n"
	  "VOL@IMAGE, which has to be named in full, deletes this image. That asks first.",
	  "synctl remove db0", OPT(FORCE) | SENDING, 1, MANY, 0, cmd_remove },

	{ "help", GROUP_HELP, "[COMMAND]", "this, or all about one command",
	  "`synctl help exit-codes` lists the exit codes.", "synctl help resync",
	  0, 0, 1, 0, cmd_help },
	{ "states", GROUP_HELP, "[mirror|snapshot|clone]",
	  "which operation is allowed in which state", NULL,
	  "synctl states snapshot --dot | dot -Tsvg", OPT(DOT), 0, 1, 0, cmd_states },
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

const char *command_verb(unsigned int operation)
{
	const struct command *c;

	for (c = commands; c->name; c++)
		if (operation && c->operation == operation)
			return c->name;
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
