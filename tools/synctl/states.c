// SPDX-License-Identifier: GPL-2.0-only
/*
 * states: the state machine, from the very file that the kernel module checks
 * requests with.
 */

#include <string.h>

#include "../../kernel/dm-sync-state.h"
#include "synctl.h"

/* The states of a mirror, in the order of the specification's columns */
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

/* A synchronous mirror in one state, with nothing special about it */
static struct dm_sync_state mirror_in(uint8_t copy_state)
{
	struct dm_sync_state s = {
		.sync_type = DM_SYNC_SYNC_TYPE_MIRROR,
		.copy_type = DM_SYNC_COPY_TYPE_SYNC,
		.methodology = DM_SYNC_COPY_METHODOLOGY_FULL_COPY,
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

static const char *cell(unsigned int op, uint8_t copy_state)
{
	struct dm_sync_state s = mirror_in(copy_state);
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

static void print_legend(void)
{
	unsigned int i;

	printf("\nA mirror that was in sync, and whose replica was not written to.\n"
	       "  yes    allowed\n"
	       "  force  allowed with --force\n"
	       "  =      holds already: success, and nothing changes\n"
	       "  -      refused in this state\n"
	       "  n/a    not supported\n\n");
	for (i = 0; i < COLUMNS; i++)
		printf("  %s  %s\n", columns[i].abbreviation,
		       spec_text(&spec_copy_state, columns[i].state));
}

static void print_table(void)
{
	unsigned int i, op;

	printf("%-12s", "");
	for (i = 0; i < COLUMNS; i++)
		printf(" %-5s", columns[i].abbreviation);
	printf("\n");
	for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_PREPARE; op++) {
		/* Those of groups and of modes have no verb here. */
		if (!command_find(spec_text(&spec_operation, op)))
			continue;
		printf("%-12s", spec_text(&spec_operation, op));
		for (i = 0; i < COLUMNS; i++)
			printf(i + 1 < COLUMNS ? " %-5s" : " %s", cell(op, columns[i].state));
		printf("\n");
	}
}

static void print_edge(unsigned int op, uint8_t from)
{
	struct dm_sync_step during, after;
	struct dm_sync_state s = mirror_in(from);
	const char *how = cell(op, from);

	if (strcmp(how, "yes") && strcmp(how, "force"))
		return;
	if (!dm_sync_transition(&s, &usual, op, &during, &after))
		return;
	printf("\t\"%s\" -> \"%s\" [label=\"%s%s\"]\n", spec_text(&spec_copy_state, from),
	       spec_text(&spec_copy_state, after.copy_state),
	       spec_text(&spec_operation, op), strcmp(how, "force") ? "" : " --force");
}

static void print_dot(void)
{
	unsigned int i, op;

	printf("digraph \"dm-sync mirror\" {\n\tnode [shape=box, style=rounded]\n");
	for (i = 0; i < COLUMNS; i++)
		for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_PREPARE; op++)
			if (op != DM_SYNC_OPERATION_UNPREPARE)
				print_edge(op, columns[i].state);
	printf("\t\"%s\" -> \"%s\" [label=\"(copy ends)\", style=dashed]\n",
	       spec_text(&spec_copy_state, DM_SYNC_COPY_STATE_UNSYNCHRONIZED),
	       spec_text(&spec_copy_state, DM_SYNC_COPY_STATE_SYNCHRONIZED));
	printf("}\n");
}

int cmd_states(struct args *args)
{
	if (given(args, OPT_DOT)) {
		print_dot();
		return EXIT_OK;
	}
	print_table();
	if (!given(args, OPT_NO_HEADINGS))
		print_legend();
	return EXIT_OK;
}
