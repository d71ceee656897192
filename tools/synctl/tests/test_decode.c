// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder, and the names and numbers of every enumeration. The table is
 * typed in from the page of the class MSFT_Synchronized, not generated, so
 * that a slip in the specification is seen.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/genetlink.h>

#include "../../../kernel/dm-sync-names.h"
#include "../format.h"
#include "../pair.h"
#include "tap.h"

static const struct {
	const struct spec_enum *e;
	const char *(*kernel_name)(unsigned int value);
	const char *codes;
} class[] = {
	{ &spec_copy_state, dm_sync_copy_state_name,
	  "2=Initialized 3=Unsynchronized 4=Synchronized 5=Broken 6=Fractured 7=Split "
	  "8=Inactive 9=Suspended 10=Failedover 11=Prepared 12=Aborted 13=Skewed 14=Mixed "
	  "15=Not_Applicable" },
	{ &spec_progress_status, dm_sync_progress_status_name,
	  "0=Unknown 2=Completed 3=Dormant 4=Initializing 5=Preparing 6=Synchronizing "
	  "7=Resyncing 8=Restoring 9=Fracturing 10=Splitting 11=Failing_over 12=Failing_back "
	  "13=Detaching 14=Aborting 15=Mixed 16=Suspending 17=Requires_fracture "
	  "18=Requires_resync 19=Requires_activate 20=Pending" },
	{ &spec_sync_state, dm_sync_sync_state_name,
	  "2=Initialized 3=PrepareInProgress 4=Prepared 5=ResyncInProgress 6=Synchronized "
	  "7=Fracture_In_Progress 8=QuiesceInProgress 9=Quiesced 10=Restore_In_Progress "
	  "11=Idle 12=Broken 13=Fractured 14=Frozen 15=Copy_In_Progress" },
	{ &spec_sync_type, dm_sync_sync_type_name, "6=Mirror 7=Snapshot 8=Clone" },
	{ &spec_sync_mode, dm_sync_sync_mode_name, "0=Unknown 2=Synchronous 3=Asynchronous" },
	{ &spec_copy_type, dm_sync_copy_type_name,
	  "2=Async 3=Sync 4=UnSyncAssoc 5=UnSyncUnAssoc" },
	{ &spec_replica_type, dm_sync_replica_type_name,
	  "0=Not_Specified 2=Full_Copy 3=Before_Delta 4=After_Delta 5=Log" },
	{ &spec_copy_methodology, dm_sync_copy_methodology_name,
	  "0=Not_Specified 1=Other 2=Implementation_decides 3=Full_Copy 4=Incremental_Copy "
	  "5=Differential_Copy 6=Copy_On_Write 7=Copy_On_Access 8=Delta_Update "
	  "9=Snap_And_Clone" },
	{ &spec_copy_priority, dm_sync_copy_priority_name,
	  "0=Not_Managed 1=Low 2=Same 3=High" },
	{ &spec_operation, dm_sync_operation_name,
	  "2=abort 3=activate-consistency 4=activate 5=add-sync-pair 6=deactivate-consistency "
	  "7=deactivate 8=detach 9=dissolve 10=failover 11=failback 12=fracture "
	  "13=remove-sync-pair 14=resync 15=restore 16=resume 17=reset-to-sync "
	  "18=reset-to-async 19=return-to-resource-pool 20=reverse 21=split 22=suspend "
	  "23=unprepare 24=prepare 25=reset-to-adaptive 26=reset-to-active 27=reset-replica" },
};

/* Every code from 0 to 40 must be as the list has it, or be reserved. */
static bool codes_match(unsigned int i, const char *(*name)(unsigned int))
{
	const char *reserved = class[i].e->is_class ? "Microsoft Reserved" : "reserved";
	const char *want[41];
	char *copy = strdup(class[i].codes);
	char *save = NULL;
	char *word, *p;
	unsigned int code;
	bool ok = true;

	for (code = 0; code <= 40; code++)
		want[code] = reserved;
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		p = strchr(word, '=');
		for (char *c = p; *c; c++)
			if (*c == '_')
				*c = ' ';
		want[atoi(word)] = p + 1;
	}
	for (code = 0; code <= 40; code++) {
		const char *have = name ? name(code) : spec_text(class[i].e, code);

		if (strcmp(have, want[code])) {
			printf("# %s %u: %s, not %s\n", class[i].e->name, code, have, want[code]);
			ok = false;
		}
	}
	free(copy);
	return ok;
}

static void names(void)
{
	char what[128];
	unsigned int i;
	uint32_t value;

	for (i = 0; i < sizeof(class) / sizeof(class[0]); i++) {
		snprintf(what, sizeof(what), "%s: every code and name is the class's",
			 class[i].e->name);
		tap(codes_match(i, NULL), what);
		snprintf(what, sizeof(what), "%s: and the kernel's table says the same",
			 class[i].e->name);
		tap(codes_match(i, class[i].kernel_name), what);
	}
	tap(!strcmp(spec_text(&spec_copy_state, 0x8000), "Vendor Specific") &&
	    !strcmp(spec_text(&spec_copy_state, 0x7fff), "Microsoft Reserved") &&
	    !strcmp(dm_sync_copy_state_name(0x8000), "Vendor Specific"),
	    "codes that are not listed have the name of their range");
	tap(spec_parse(&spec_progress_status, "FailingOver", &value) && value == 11 &&
	    spec_parse(&spec_progress_status, "failing-over", &value) && value == 11 &&
	    spec_parse(&spec_progress_status, "Failing over", &value) && value == 11 &&
	    spec_parse(&spec_progress_status, "11", &value) && value == 11 &&
	    spec_parse(&spec_progress_status, "0x8001", &value) && value == 0x8001 &&
	    !spec_parse(&spec_progress_status, "failing", &value),
	    "names are read in any spelling, and numbers");
}

static char buffer[8192] __attribute__((aligned(8)));

static struct nlmsghdr *start(void)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buffer;

	memset(buffer, 0, sizeof(buffer));
	nlh->nlmsg_type = 0x1d;
	nlh->nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	return nlh;
}

static void add(struct nlmsghdr *nlh, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr a = { .nla_type = type, .nla_len = NLA_HDRLEN + len };

	memcpy((char *)nlh + nlh->nlmsg_len, &a, sizeof(a));
	memcpy((char *)nlh + nlh->nlmsg_len + NLA_HDRLEN, data, len);
	nlh->nlmsg_len += NLA_ALIGN(a.nla_len);
}

static void decoding(void)
{
	struct nlmsghdr *nlh = start();
	struct dms_pair pair;
	uint64_t large = UINT64_MAX;
	uint32_t zero = 0;
	char long_one[60] = "";
	unsigned int i;

	add(nlh, DM_SYNC_A_PAIR_PERCENT_SYNCED, &zero, 4);
	add(nlh, DM_SYNC_A_PAIR_HOST_READS, &large, 8);
	add(nlh, DM_SYNC_A_PAIR_SYNC_TIME, &zero, 4);
	add(nlh, DM_SYNC_A_PAIR_UUID, &large, 8);
	add(nlh, DM_SYNC_A_PAIR_NAME, "abc", 3);
	add(nlh, DM_SYNC_A_PAIR_PAD, "", 0);
	add(nlh, 4000 | NLA_F_NESTED, "\1\2\3", 3);
	tap(!dms_decode(nlh, &pair), "a message is read");
	tap(HAS(&pair, PERCENT_SYNCED) && GET(&pair, PERCENT_SYNCED) == 0 &&
	    !HAS(&pair, SYNC_STATE), "0 and NULL are not the same");
	tap(GET(&pair, HOST_READS) == UINT64_MAX, "64 bits are kept");
	tap(!HAS(&pair, SYNC_TIME) && !HAS(&pair, UUID), "attributes of a wrong size are not read");
	tap(!HAS(&pair, NAME) && !pair.name[0], "nor a name without an end");
	tap(pair.unknown_count == 1 && pair.unknown[0].type == 4000 &&
	    pair.unknown[0].len == 3 && !memcmp(pair.unknown[0].data, "\1\2\3", 3),
	    "an unknown attribute is kept as it came");

	nlh = start();
	for (i = 0; i < 100; i++)
		add(nlh, 200 + i, long_one, sizeof(long_one));
	tap(!dms_decode(nlh, &pair) && pair.unknown_count == DMS_UNKNOWN_MAX,
	    "many and long unknown ones do no harm");

	nlh = start();
	add(nlh, DM_SYNC_A_PAIR_ID, &zero, 4);
	((struct nlattr *)(buffer + NLMSG_LENGTH(GENL_HDRLEN)))->nla_len = 100;
	tap(dms_decode(nlh, &pair) == -EBADMSG, "an attribute longer than its message is refused");
	nlh = start();
	nlh->nlmsg_len = NLMSG_HDRLEN;
	tap(!dms_decode(nlh, &pair) && !HAS(&pair, ID), "a message without attributes is empty");
}

static void garbage(void)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buffer;
	struct dms_pair pair;
	int n;

	srand(2);
	for (n = 0; n < 20000; n++) {
		size_t i;

		for (i = 0; i < 256; i++)
			buffer[i] = rand() % (n & 1 ? 256 : 16);
		nlh->nlmsg_len = rand() % 256;
		dms_decode(nlh, &pair);
	}
	tap(true, "20000 messages of garbage are decoded without harm");
}

static bool formats(uint64_t bytes, const char *want)
{
	char text[64];

	format_bytes(bytes, false, text, sizeof(text));
	if (strcmp(text, want))
		printf("# %s, not %s\n", text, want);
	return !strcmp(text, want);
}

static void figures(void)
{
	struct dms_pair pair = { 0 };
	const char *why;
	char text[64];

	tap(formats(0, "0 B") && formats(1023, "1023 B") && formats(1024, "1.0 KiB") &&
	    formats(10 * 1024 - 1, "9.9 KiB") && formats(1048575, "1023 KiB") &&
	    formats(UINT64_MAX, "16 EiB"), "sizes are rounded down");
	format_time(1795343467000000000ULL, 3, text, sizeof(text));
	tap(!strcmp(text, "2026-11-22T10:31:07.000Z"), "times are RFC 3339 in UTC");

	HAS(&pair, PERCENT_SYNCED) = true;
	GET(&pair, PERCENT_SYNCED) = 100;
	GET(&pair, COPY_STATE) = DM_SYNC_COPY_STATE_UNSYNCHRONIZED;
	tap(bar_parts(&pair, 50) == 49, "a bar is full only when Synchronized");
	GET(&pair, COPY_STATE) = DM_SYNC_COPY_STATE_SYNCHRONIZED;
	tap(bar_parts(&pair, 50) == 50, "and then it is");
	HAS(&pair, PERCENT_SYNCED) = false;
	tap(bar_parts(&pair, 50) == -1, "no bar for NULL");

	tap(eta_seconds(&pair, 0, &why) < 0 && why, "no estimate where nothing is copied");
	GET(&pair, PROGRESS_STATUS) = DM_SYNC_PROGRESS_STATUS_RESYNCING;
	HAS(&pair, TOTAL_BYTES) = HAS(&pair, DONE_BYTES) = true;
	GET(&pair, TOTAL_BYTES) = 1000;
	GET(&pair, DONE_BYTES) = 400;
	tap(eta_seconds(&pair, 0, &why) < 0 && !strcmp(why, "stalled"), "none without a rate");
	GET(&pair, RATE_BYTES) = 100;
	tap(eta_seconds(&pair, 0, &why) == 6 && !why, "an estimate from work, done and rate");
	GET(&pair, TOTAL_BYTES) = UINT64_MAX;
	tap(eta_seconds(&pair, 0, &why) < 0 && why, "none beyond 99 days");
	HAS(&pair, STARTED) = true;
	GET(&pair, STARTED) = 1000000000ULL;
	tap(eta_seconds(&pair, 3000000000ULL, &why) < 0 && !strcmp(why, "just started"),
	    "none in the first seconds");
}

int main(void)
{
	names();
	decoding();
	garbage();
	figures();
	return tap_failed;
}
