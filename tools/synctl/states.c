// SPDX-License-Identifier: GPL-2.0-only
/*
 * states: the state machine, from the very file that the kernel module checks
 * requests with.
 */

#include <string.h>

#include "../../kernel/dm-sync-state.h"
#include "synctl.h"

/* The CopyStates of a pair, in the order of the specification's columns */
static const struct {
	uint8_t state;
	const char *abbreviation;
} columns[] = {
	{ DM_SYNC_COPY_STATE_INITIALIZED, "In" }, { DM_SYNC_COPY_STATE_PREPARED, "Pr" },
	{ DM_SYNC_COPY_STATE_UNSYNCHRONIZED, "Un" }, { DM_SYNC_COPY_STATE_SYNCHRONIZED, "Sy" },
	{ DM_SYNC_COPY_STATE_BROKEN, "Br" }, { DM_SYNC_COPY_STATE_FRACTURED, "Fr" },
	{ DM_SYNC_COPY_STATE_SPLIT, "Sp" }, { DM_SYNC_COPY_STATE_INACTIVE, "Ia" },
	{ DM_SYNC_COPY_STATE_SUSPENDED, "Su" }, { DM_SYNC_COPY_STATE_FAILEDOVER, "Fo" },
	{ DM_SYNC_COPY_STATE_ABORTED, "Ab" }, { DM_SYNC_COPY_STATE_SKEWED, "Sk" },
};

#define COLUMNS	(sizeof(columns) / sizeof(columns[0]))

/* What there is a table of */
static const struct type {
	const char *name;
	uint8_t sync_type, copy_type, methodology;
	const char *legend;
} types[] = {
	{ "mirror", DM_SYNC_SYNC_TYPE_MIRROR, DM_SYNC_COPY_TYPE_SYNC,
	  DM_SYNC_COPY_METHODOLOGY_FULL_COPY,
	  "A mirror that was in sync, and whose replica was not written to." },
	{ "snapshot", DM_SYNC_SYNC_TYPE_SNAPSHOT, DM_SYNC_COPY_TYPE_UNSYNC_ASSOC,
	  DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE,
	  "A snapshot. While it is restored, `abort --force` is all that is allowed." },
	{ "clone", DM_SYNC_SYNC_TYPE_CLONE, DM_SYNC_COPY_TYPE_UNSYNC_ASSOC,
	  DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE,
	  "A clone that is kept (assoc), and that was complete before it was Inactive.\n"
	  "While it is restored, `abort --force` is all that is allowed." },
};

#define TYPES	(sizeof(types) / sizeof(types[0]))

/* A pair in one state, with nothing special about it */
static struct dm_sync_state pair_in(const struct type *type, uint8_t copy_state)
{
	struct dm_sync_state s = {
		.sync_type = type->sync_type,
		.copy_type = type->copy_type,
		.methodology = type->methodology,
		.priority = DM_SYNC_COPY_PRIORITY_LOW,
		.copy_state = copy_state,
		.requested = DM_SYNC_COPY_STATE_NOT_APPLICABLE,
		.progress = DM_SYNC_PROGRESS_STATUS_COMPLETED,
	};

	switch (copy_state) {
	case DM_SYNC_COPY_STATE_UNSYNCHRONIZED:
		s.progress = DM_SYNC_PROGRESS_STATUS_SYNCHRONIZING;
		s.requested = DM_SYNC_COPY_STATE_SYNCHRONIZED;
		break;
	case DM_SYNC_COPY_STATE_BROKEN:
		s.requested = DM_SYNC_COPY_STATE_SYNCHRONIZED;
		/* fall through */
	case DM_SYNC_COPY_STATE_INACTIVE:
	case DM_SYNC_COPY_STATE_SUSPENDED:
		s.progress = DM_SYNC_PROGRESS_STATUS_DORMANT;
		break;
	case DM_SYNC_COPY_STATE_PREPARED:
		s.progress = DM_SYNC_PROGRESS_STATUS_REQUIRES_ACTIVATE;
		break;
	case DM_SYNC_COPY_STATE_ABORTED:
		s.progress = DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC;
		break;
	case DM_SYNC_COPY_STATE_SKEWED:
		if (type->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
			break;
		s.progress = DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC;
		s.requested = DM_SYNC_COPY_STATE_SYNCHRONIZED;
		break;
	default:
		break;
	}
	return s;
}

static const struct dm_sync_facts usual = {
	.replica_consistent = true,
	.ever_synced = true,
	.was_synced = true,
	.source_ok = true,
};

/* Is this type of pair ever in a state, other than in passing */
static bool has_state(const struct type *type, uint8_t copy_state)
{
	return dm_sync_matrix_cell(type->sync_type, DM_SYNC_OPERATION_ACTIVATE, copy_state,
				   NULL) != ' ';
}

/* Has this type of pair an operation, in some state */
static bool has_operation(const struct type *type, unsigned int op)
{
	unsigned int i;
	char c;

	for (i = 0; i < COLUMNS; i++) {
		c = dm_sync_matrix_cell(type->sync_type, op, columns[i].state, NULL);
		if (c != ' ' && c != 'N')
			return true;
	}
	return false;
}

static const char *cell(const struct type *type, unsigned int op, uint8_t copy_state)
{
	struct dm_sync_state s = pair_in(type, copy_state);
	const char *why = NULL;

	switch (dm_sync_admit(&s, &usual, op, false, &why)) {
	case DM_SYNC_ADMIT_OK:
		return "yes";
	case DM_SYNC_ADMIT_NOOP:
		return "=";
	case DM_SYNC_ADMIT_FORCE:
		return "force";
	case DM_SYNC_ADMIT_UNSUPPORTED:
		return "n/a";
	default:
		return "-";
	}
}

static void print_legend(const struct type *type)
{
	unsigned int i;

	printf("\n%s\n"
	       "  yes    allowed\n"
	       "  force  allowed with --force\n"
	       "  =      holds already: success, and nothing changes\n"
	       "  -      refused in this state\n"
	       "  n/a    not supported\n\n", type->legend);
	for (i = 0; i < COLUMNS; i++)
		if (has_state(type, columns[i].state))
			printf("  %s  %s\n", columns[i].abbreviation,
			       spec_text(&spec_copy_state, columns[i].state));
}

static void print_row(const struct type *type, unsigned int op)
{
	unsigned int i, last = 0;

	for (i = 0; i < COLUMNS; i++)
		if (has_state(type, columns[i].state))
			last = i;
	printf("%-12s", command_verb(op));
	for (i = 0; i <= last; i++)
		if (has_state(type, columns[i].state))
			printf(i < last ? " %-5s" : " %s", cell(type, op, columns[i].state));
	printf("\n");
}

static void print_table(const struct type *type)
{
	unsigned int i, op;

	printf("%-12s", "");
	for (i = 0; i < COLUMNS; i++)
		if (has_state(type, columns[i].state))
			printf(" %-5s", columns[i].abbreviation);
	printf("\n");
	for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_RESET_REPLICA; op++)
		if (command_verb(op) && has_operation(type, op))
			print_row(type, op);
}

static void print_edge(const struct type *type, unsigned int op, uint8_t from)
{
	struct dm_sync_step during, after;
	struct dm_sync_state s = pair_in(type, from);
	const char *how = cell(type, op, from);

	if (strcmp(how, "yes") && strcmp(how, "force"))
		return;
	if (!dm_sync_transition(&s, &usual, op, &during, &after))
		return;
	printf("\t\"%s\" -> \"%s\" [label=\"%s%s\"]\n", spec_text(&spec_copy_state, from),
	       spec_text(&spec_copy_state, after.copy_state),
	       command_verb(op) ? command_verb(op) : spec_text(&spec_operation, op),
	       strcmp(how, "force") ? "" : " --force");
}

static void print_dashed(uint8_t from, uint8_t to, const char *label)
{
	printf("\t\"%s\" -> \"%s\" [label=\"(%s)\", style=dashed]\n",
	       spec_text(&spec_copy_state, from), spec_text(&spec_copy_state, to), label);
}

static void print_dot(const struct type *type)
{
	unsigned int i, op;

	printf("digraph \"dm-sync %s\" {\n\tnode [shape=box, style=rounded]\n", type->name);
	for (i = 0; i < COLUMNS; i++)
		for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_RESET_REPLICA; op++)
			if (op != DM_SYNC_OPERATION_UNPREPARE)
				print_edge(type, op, columns[i].state);
	if (type->sync_type != DM_SYNC_SYNC_TYPE_SNAPSHOT)
		print_dashed(DM_SYNC_COPY_STATE_UNSYNCHRONIZED, DM_SYNC_COPY_STATE_SYNCHRONIZED,
			     "copy ends");
	if (type->sync_type != DM_SYNC_SYNC_TYPE_MIRROR)
		print_dashed(DM_SYNC_COPY_STATE_SYNCHRONIZED, DM_SYNC_COPY_STATE_SKEWED,
			     "replica is written to");
	printf("}\n");
}

int cmd_states(struct args *args)
{
	const struct type *type = types;

	if (args->count)
		while (type < types + TYPES && strcmp(type->name, args->words[0]))
			type++;
	if (type == types + TYPES)
		return usage(args, "there are states of a mirror, a snapshot and a clone, not of '%s'",
			     args->words[0]);
	if (given(args, OPT_DOT)) {
		print_dot(type);
		return EXIT_OK;
	}
	print_table(type);
	if (!given(args, OPT_NO_HEADINGS))
		print_legend(type);
	return EXIT_OK;
}
