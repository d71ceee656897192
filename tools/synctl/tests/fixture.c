// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes recorded traffic, as SYNCTL_REPLAY takes it, for one of the scenes:
 *
 *   status    five pairs, one from a newer kernel
 *   events    a stream with a gap, healed by a second dump
 *   refused   an operation that the kernel refuses, with extended ACK
 *   broken    a dump that fails half way
 *   unstable  a dump that is interrupted each time
 *   empty     no pairs
 *   history   four remembered events of one pair
 *   images    five images in three stores, one being restored,
 *             beside a mirror
 *   clones    clones that hosts wrote to, that are broken, cut, and one that ends
 *             by itself, which it does; beside a mirror
 *   removed   a clone that would have ended by itself, and is removed before
 *   deltas    a clone that is copied with half of its delta used, one that is
 *             complete, one without a delta, and an image
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "../gen-spec.h"

#define FAMILY	0x1d
#define GIB	(1ULL << 30)
#define MIB	(1ULL << 20)
#define START	1795343467000000000ULL
#define SECOND	1000000000ULL
#define A(name)	DM_SYNC_A_PAIR_##name

static char message[4096] __attribute__((aligned(8)));
static struct nlmsghdr *nlh = (struct nlmsghdr *)message;

static void put(uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *a = (struct nlattr *)(message + NLMSG_ALIGN(nlh->nlmsg_len));

	memset(a, 0, NLA_HDRLEN + NLA_ALIGN(len));
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memcpy((char *)a + NLA_HDRLEN, data, len);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static void u32(uint16_t type, uint32_t value)
{
	put(type, &value, sizeof(value));
}

static void u64(uint16_t type, uint64_t value)
{
	put(type, &value, sizeof(value));
}

static void begin(uint8_t cmd, uint16_t flags)
{
	struct genlmsghdr genl = { .cmd = cmd, .version = 1 };

	memset(message, 0, sizeof(message));
	nlh->nlmsg_type = FAMILY;
	nlh->nlmsg_flags = flags;
	nlh->nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	memcpy(message + NLMSG_HDRLEN, &genl, sizeof(genl));
}

static void end(void)
{
	fwrite(message, 1, NLMSG_ALIGN(nlh->nlmsg_len), stdout);
}

static void info(uint64_t seq)
{
	begin(DM_SYNC_CMD_INFO_GET, 0);
	put(DM_SYNC_A_INFO_VERSION, "0.1.0", 6);
	u32(DM_SYNC_A_INFO_ABI, 1);
	u64(DM_SYNC_A_INFO_EVENT_SEQ, seq);
	u32(DM_SYNC_A_INFO_PAIRS, 5);
	u32(DM_SYNC_A_INFO_FEATURES, 1);
	end();
}

static void done(int err, const char *text)
{
	memset(message, 0, sizeof(message));
	nlh->nlmsg_type = NLMSG_DONE;
	nlh->nlmsg_flags = NLM_F_MULTI | (text ? NLM_F_ACK_TLVS : 0);
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(err));
	memcpy(message + NLMSG_HDRLEN, &err, sizeof(err));
	if (text)
		put(NLMSGERR_ATTR_MSG, text, strlen(text) + 1);
	end();
}

static void error(int err, const char *text, uint32_t offset)
{
	struct nlmsgerr e = { .error = err, .msg = { .nlmsg_len = 200 } };

	memset(message, 0, sizeof(message));
	nlh->nlmsg_type = NLMSG_ERROR;
	nlh->nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(e));
	memcpy(message + NLMSG_HDRLEN, &e, sizeof(e));
	put(NLMSGERR_ATTR_MSG, text, strlen(text) + 1);
	u32(NLMSGERR_ATTR_OFFS, offset);
	end();
}

static void device(uint16_t major, uint32_t minor)
{
	u32(major, 4000);
	u32(major + 1, minor);
}

/* The head that all pairs have; sparse major numbers, so that no host has them */
static void pair(uint8_t cmd, uint32_t id, const char *name, uint64_t seq)
{
	uint8_t uuid[16] = { 0x6f, 0x1f, 0x2c, 0x0e, 0x6c, 0x1c, 0x4c, 0x0a,
			     0x9a, 0x3e, 0x0d, 0x8f, 0x5c, 0x1a, 0x77, id };

	begin(cmd, NLM_F_MULTI);
	u32(A(ID), id);
	put(A(UUID), uuid, sizeof(uuid));
	put(A(NAME), name, strlen(name) + 1);
	u64(A(EVENT_SEQ), seq);
	u32(A(GENERATION), seq - 90);
	device(A(DOOR_MAJOR), id * 10);
	device(A(SOURCE_MAJOR), id * 10 + 1);
	device(A(REPLICA_MAJOR), id * 10 + 2);
	u64(A(TIME), START + seq * SECOND);
	u32(A(SYNC_TYPE), DM_SYNC_SYNC_TYPE_MIRROR);
	u32(A(SYNC_MODE), DM_SYNC_SYNC_MODE_SYNCHRONOUS);
	u32(A(COPY_TYPE), DM_SYNC_COPY_TYPE_SYNC);
	u32(A(REPLICA_TYPE), DM_SYNC_REPLICA_TYPE_FULL_COPY);
	u32(A(COPY_PRIORITY), DM_SYNC_COPY_PRIORITY_LOW);
	u32(A(COPY_METHODOLOGY), DM_SYNC_COPY_METHODOLOGY_FULL_COPY);
	u32(A(RPO_OBJECTIVE), 0);
	u32(A(RPO_MEASURED), id == 2 ? 0 : 7);
	u64(A(SIZE_BYTES), 973 * GIB);
	u64(A(REGION_BYTES), 65536);
	u64(A(REGIONS), 973 * GIB / 65536);
	u32(A(RECOVERY), DM_SYNC_RECOVERY_AUTO);
	u32(A(HOLD), DM_SYNC_HOLD_QUEUE);
	u32(A(HOLD_MAX), 30);
}

static void state(uint32_t copy, uint32_t requested, uint32_t progress, uint32_t sync,
		  uint32_t maintained)
{
	u32(A(COPY_STATE), copy);
	u32(A(REQUESTED_COPY_STATE), requested);
	u32(A(PROGRESS_STATUS), progress);
	u32(A(SYNC_STATE), sync);
	u32(A(SYNC_MAINTAINED), maintained);
}

static void counters(uint64_t source, uint64_t replica, uint32_t reason)
{
	u64(A(SOURCE_CHANGED), source);
	u64(A(REPLICA_CHANGED), replica);
	u64(A(SOURCE_ERRORS), 0);
	u64(A(REPLICA_ERRORS), reason ? 3 : 0);
	u32(A(REASON), reason);
	if (reason)
		u64(A(REASON_TIME), START);
}

static void copying(uint8_t cmd, uint64_t seq, uint32_t percent)
{
	pair(cmd, 1, "db0", seq);
	device(A(META_MAJOR), 13);
	state(3, 4, 6, 5, 0);
	counters(9000000, 0, 0);
	u32(A(PERCENT_SYNCED), percent);
	u64(A(TOTAL_BYTES), 973 * GIB);
	u64(A(DONE_BYTES), 973 * GIB / 100 * percent);
	u64(A(RATE_BYTES), 318 * MIB);
	u64(A(LIMIT_BYTES), 400 * MIB);
	u32(A(LIMITED_BY), DM_SYNC_LIMITED_BY_SOURCE);
	u64(A(STARTED), START - 1000 * SECOND);
	u32(A(ALLOWED_OPS), 1 << 2 | 1 << 4 | 1 << 7 | 1 << 12 | 1 << 14 | 1 << 22);
	u32(A(ALLOWED_OPS_FORCE), 1 << 8 | 1 << 9);
	u32(A(DOOR_ACCESS), DM_SYNC_DOOR_ACCESS_NONE);
}

static void synchronized(uint8_t cmd, uint32_t id, const char *name, uint64_t seq)
{
	pair(cmd, id, name, seq);
	state(4, 15, 2, 6, 1);
	counters(0, 0, 0);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SYNC_TIME), START + 123456789);
	u64(A(HOST_WRITES), 9007199254740993ULL);
	u64(A(HOST_READS), UINT64_MAX);
	u32(A(ALLOWED_OPS), 1 << 4 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 21 | 1 << 22);
	u32(A(DOOR_ACCESS), DM_SYNC_DOOR_ACCESS_READ_ONLY);
}

static void broken(uint8_t cmd, uint32_t id, const char *name, uint64_t seq)
{
	pair(cmd, id, name, seq);
	state(5, 4, 3, 12, 0);
	counters(1234, 0, DM_SYNC_REASON_REPLICA_WRITE_ERROR);
	u32(A(PERCENT_SYNCED), 87);
	u64(A(SYNC_TIME), START);
	u32(A(ALLOWED_OPS), 1 << 7 | 1 << 8 | 1 << 14 | 1 << 24);
}

static void split(uint64_t seq)
{
	pair(DM_SYNC_CMD_PAIR_GET, 4, "cut", seq);
	state(7, 15, 2, 13, 0);
	counters(20, 3, 0);
	u32(A(PERCENT_SYNCED), 99);
	u64(A(SYNC_TIME), START - 60 * SECOND);
	u32(A(ALLOWED_OPS), 1 << 7 | 1 << 8 | 1 << 14 | 1 << 15 | 1 << 21);
	u32(A(DOOR_ACCESS), DM_SYNC_DOOR_ACCESS_READ_WRITE);
}

/* Codes and attributes that this version does not know, and hardly anything else */
static void from_the_future(void)
{
	begin(DM_SYNC_CMD_PAIR_GET, NLM_F_MULTI);
	u32(A(ID), 5);
	put(A(NAME), "future", 7);
	u32(A(COPY_STATE), 16);
	u32(A(PROGRESS_STATUS), 21);
	u32(A(SYNC_TYPE), 0x8001);
	u32(90, 2);
	put(91, "\xde\xad\xbe\xef\x00", 5);
	/* Of a wrong size: not to be read */
	put(A(PERCENT_SYNCED), "\x63", 1);
}

static void scene_status(void)
{
	info(100);
	copying(DM_SYNC_CMD_PAIR_GET, 100, 42);
	end();
	synchronized(DM_SYNC_CMD_PAIR_GET, 2, "mail", 98);
	end();
	broken(DM_SYNC_CMD_PAIR_GET, 3, "home", 99);
	end();
	split(97);
	end();
	from_the_future();
	end();
	done(0, NULL);
	error(0, "the replica is read-only now", 0);
}

static void scene_events(void)
{
	info(100);
	copying(DM_SYNC_CMD_PAIR_GET, 100, 42);
	end();
	synchronized(DM_SYNC_CMD_PAIR_GET, 2, "mail", 98);
	end();
	split(97);
	end();
	done(0, NULL);
	/* This one is in the dump already. */
	copying(DM_SYNC_CMD_PAIR_CHANGE_NTF, 100, 42);
	end();
	copying(DM_SYNC_CMD_PAIR_PROGRESS_NTF, 100, 43);
	end();
	synchronized(DM_SYNC_CMD_PAIR_CHANGE_NTF, 1, "db0", 101);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_COMPLETED);
	end();
	/* 102 to 104 never came: mail broke, cut was removed, new was made. */
	synchronized(DM_SYNC_CMD_PAIR_CHANGE_NTF, 1, "db0", 105);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_SETTING);
	u64(A(LIMIT_BYTES), MIB);
	end();
	synchronized(DM_SYNC_CMD_PAIR_GET, 1, "db0", 105);
	u64(A(LIMIT_BYTES), MIB);
	end();
	broken(DM_SYNC_CMD_PAIR_GET, 2, "mail", 103);
	end();
	synchronized(DM_SYNC_CMD_PAIR_GET, 6, "new", 104);
	end();
	done(0, NULL);
	pair(DM_SYNC_CMD_PAIR_CHANGE_NTF, 2, "mail", 106);
	state(3, 4, 7, 5, 0);
	counters(1234, 0, DM_SYNC_REASON_OPERATOR);
	u32(A(PERCENT_SYNCED), 87);
	u64(A(SYNC_TIME), START);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_OPERATION);
	u32(A(OPERATION), DM_SYNC_OPERATION_RESYNC);
	end();
	pair(DM_SYNC_CMD_PAIR_DELETE_NTF, 6, "new", 107);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_DELETED);
	end();
}

static void scene_refused(void)
{
	info(100);
	broken(DM_SYNC_CMD_PAIR_GET, 3, "home", 99);
	end();
	done(0, NULL);
	error(-EPERM, "a Broken pair cannot be fractured; resync it first",
	      NLMSG_HDRLEN + GENL_HDRLEN + 8);
}

static void scene_broken(void)
{
	info(100);
	copying(DM_SYNC_CMD_PAIR_GET, 100, 42);
	end();
	done(-EIO, "the rest cannot be read");
}

static void scene_unstable(void)
{
	info(100);
	copying(DM_SYNC_CMD_PAIR_GET, 100, 42);
	nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	end();
	done(0, NULL);
}

static void scene_history(void)
{
	info(104);
	synchronized(DM_SYNC_CMD_PAIR_GET, 2, "mail", 104);
	end();
	done(0, NULL);
	pair(DM_SYNC_CMD_HISTORY_GET, 2, "mail", 91);
	state(3, 4, 6, 5, 0);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_CREATED);
	end();
	synchronized(DM_SYNC_CMD_HISTORY_GET, 2, "mail", 95);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_COMPLETED);
	end();
	broken(DM_SYNC_CMD_HISTORY_GET, 2, "mail", 103);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_ERROR);
	end();
	synchronized(DM_SYNC_CMD_HISTORY_GET, 2, "mail", 104);
	u32(A(CAUSE), DM_SYNC_EVENT_CAUSE_RECOVERY);
	end();
	done(0, NULL);
}

/* What an image has beside the rest; of a mirror's head it changes what is its own */
static void image(uint32_t id, uint32_t door, const char *vol, const char *name, uint64_t free)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%s", vol, name);
	pair(DM_SYNC_CMD_PAIR_GET, id, full, 90 + id);
	device(A(DOOR_MAJOR), door);
	device(A(SOURCE_MAJOR), door + 1);
	device(A(REPLICA_MAJOR), door + 2);
	u32(A(SYNC_TYPE), DM_SYNC_SYNC_TYPE_SNAPSHOT);
	u32(A(COPY_TYPE), DM_SYNC_COPY_TYPE_UNSYNC_ASSOC);
	u32(A(REPLICA_TYPE), DM_SYNC_REPLICA_TYPE_AFTER_DELTA);
	u32(A(COPY_PRIORITY), DM_SYNC_COPY_PRIORITY_NOT_MANAGED);
	u32(A(COPY_METHODOLOGY), DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE);
	u64(A(SIZE_BYTES), 100 * GIB);
	u64(A(REGIONS), 100 * GIB / 65536);
	put(A(IMAGE), name, strlen(name) + 1);
	u64(A(STORE_BYTES), 10 * GIB);
	u64(A(STORE_FREE_BYTES), free);
	u32(A(SLOTS), 10 * GIB / 65536 - 1000);
	u32(A(DOOR_ACCESS), DM_SYNC_DOOR_ACCESS_READ_WRITE);
}

static void scene_images(void)
{
	info(100);
	image(1, 10, "vol", "monday", 7 * GIB);
	state(4, 15, 2, 11, 0);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SYNC_TIME), START - 86400 * SECOND);
	u64(A(SAVED_BYTES), 2 * GIB);
	u64(A(FILL_RATE_BYTES), 3 << 20);
	u32(A(FULL_SECONDS), 7 * 1024 / 3);
	u64(A(ALONE_BYTES), GIB / 2);
	u64(A(PAUSE_NS), 812499);
	u32(A(REASON), DM_SYNC_REASON_NONE);
	u32(A(ALLOWED_OPS), 1 << 4 | 1 << 7 | 1 << 9 | 1 << 14 | 1 << 15 | 1 << 19 |
	    1 << 22 | 1 << 27);
	end();
	image(2, 10, "vol", "tuesday", 7 * GIB);
	state(13, 15, 2, 11, 0);
	u64(A(SYNC_TIME), START);
	u64(A(SAVED_BYTES), 0);
	u64(A(ALONE_BYTES), 3 * MIB);
	u64(A(PAUSE_NS), 1000);
	u32(A(REASON), DM_SYNC_REASON_STORE_LOW);
	u64(A(REASON_TIME), START);
	u32(A(ALLOWED_OPS), 1 << 7 | 1 << 14 | 1 << 19 | 1u << 27);
	end();
	image(4, 50, "db", "old", GIB);
	state(4, 15, 8, 10, 0);
	u64(A(SYNC_TIME), START);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SAVED_BYTES), GIB);
	u64(A(ALONE_BYTES), GIB);
	u64(A(PAUSE_NS), 1000);
	u32(A(REASON), DM_SYNC_REASON_NONE);
	u64(A(TOTAL_BYTES), GIB);
	u64(A(DONE_BYTES), GIB / 4);
	u64(A(RATE_BYTES), 64 * MIB);
	u64(A(STARTED), START - 1000 * SECOND);
	u32(A(ALLOWED_OPS), 0);
	u32(A(ALLOWED_OPS_FORCE), 1 << 2);
	end();
	image(5, 50, "db", "older", GIB);
	state(5, 4, 3, 12, 0);
	u64(A(SYNC_TIME), START - 3600 * SECOND);
	u64(A(SAVED_BYTES), MIB);
	u64(A(ALONE_BYTES), MIB);
	u64(A(PAUSE_NS), 1000);
	u32(A(REASON), DM_SYNC_REASON_RESTORE_INCOMPLETE);
	u64(A(REASON_TIME), START);
	u32(A(ALLOWED_OPS), 1 << 14 | 1 << 15);
	end();
	image(3, 30, "web", "v1", 0);
	state(5, 4, 18, 12, 0);
	u64(A(SYNC_TIME), START);
	u64(A(SAVED_BYTES), 0);
	u64(A(ALONE_BYTES), 0);
	u32(A(REASON), DM_SYNC_REASON_STORE_FULL);
	u64(A(REASON_TIME), START);
	u32(A(ALLOWED_OPS), 1 << 7 | 1 << 14 | 1 << 19);
	end();
	synchronized(DM_SYNC_CMD_PAIR_GET, 9, "mail", 98);
	end();
	done(0, NULL);
	error(-EPERM, "an image cannot be fractured", NLMSG_HDRLEN + GENL_HDRLEN + 8);
}

static void clone_of(uint8_t cmd, uint32_t id, const char *name, uint32_t methodology,
		     uint32_t copy_type)
{
	pair(cmd, id, name, 90 + id);
	device(A(META_MAJOR), id * 10 + 3);
	u32(A(SYNC_TYPE), DM_SYNC_SYNC_TYPE_CLONE);
	u32(A(SYNC_MODE), DM_SYNC_SYNC_MODE_ASYNCHRONOUS);
	u32(A(COPY_TYPE), copy_type);
	u32(A(COPY_METHODOLOGY), methodology);
	u64(A(SIZE_BYTES), 100 * GIB);
	u64(A(REGIONS), 100 * GIB / 65536);
	counters(40, 0, 0);
}

static void clone(uint32_t id, const char *name, uint32_t methodology)
{
	clone_of(DM_SYNC_CMD_PAIR_GET, id, name, methodology, DM_SYNC_COPY_TYPE_UNSYNC_ASSOC);
}

static void clone_copying(void)
{
	state(3, 4, 6, 5, 0);
	u32(A(PERCENT_SYNCED), 25);
	u64(A(TOTAL_BYTES), 100 * GIB);
	u64(A(DONE_BYTES), 25 * GIB);
	u64(A(RATE_BYTES), 64 * MIB);
	u64(A(STARTED), START - 1000 * SECOND);
	u32(A(ALLOWED_OPS), 1 << 2 | 1 << 6);
	u32(A(DOOR_ACCESS), DM_SYNC_DOOR_ACCESS_NONE);
}

static void has_delta(uint64_t free)
{
	u64(A(STORE_BYTES), 4 * GIB + MIB);
	u64(A(STORE_FREE_BYTES), free);
	u32(A(SLOTS), 4 * GIB / 65536);
}

static void scene_deltas(void)
{
	info(100);
	clone(1, "slow", DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE);
	clone_copying();
	has_delta(2 * GIB);
	end();
	clone(2, "whole", DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE);
	state(4, 15, 2, 11, 0);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SYNC_TIME), START);
	has_delta(4 * GIB);
	end();
	clone(3, "plain", DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE);
	clone_copying();
	end();
	image(4, 50, "vol", "monday", 7 * GIB);
	state(4, 15, 2, 11, 0);
	u64(A(SYNC_TIME), START);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SAVED_BYTES), GIB);
	u64(A(ALONE_BYTES), GIB);
	u32(A(REASON), DM_SYNC_REASON_NONE);
	end();
	done(0, NULL);
}

static void written(uint8_t cmd)
{
	clone_of(cmd, 1, "written", DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE,
		 DM_SYNC_COPY_TYPE_UNSYNC_ASSOC);
	state(13, 15, 2, 11, 0);
	u32(A(PERCENT_SYNCED), 100);
	u64(A(SYNC_TIME), START);
	end();
}

static void broken_clone(uint32_t id, const char *name, uint32_t progress, uint32_t reason,
			 uint32_t more)
{
	clone(id, name, DM_SYNC_COPY_METHODOLOGY_FULL_COPY);
	state(5, 4, progress, 12, 0);
	u32(A(REASON), reason);
	u64(A(REASON_TIME), START);
	u32(A(PERCENT_SYNCED), 87);
	u32(A(ALLOWED_OPS), 1 << 7 | 1 << 14 | 1 << 24 | more);
	end();
}

static void single(uint8_t cmd, uint32_t copy, uint32_t requested, uint32_t progress)
{
	clone_of(cmd, 2, "single", DM_SYNC_COPY_METHODOLOGY_FULL_COPY,
		 DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC);
	if (progress == 6)
		clone_copying();
	else
		state(copy, requested, progress, 14, 0);
	end();
}

static void all_clones(void)
{
	written(DM_SYNC_CMD_PAIR_GET);
	single(DM_SYNC_CMD_PAIR_GET, 3, 4, 6);
	broken_clone(3, "rests", 3, DM_SYNC_REASON_REPLICA_WRITE_ERROR, 0);
	broken_clone(4, "lost", 18, DM_SYNC_REASON_REPLICA_WRITE_ERROR, 0);
	broken_clone(5, "unread", 3, DM_SYNC_REASON_SOURCE_READ_ERROR, 0);
	broken_clone(6, "back", 3, DM_SYNC_REASON_REPLICA_READ_ERROR, 1 << 15);
	clone(7, "slow", DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE);
	clone_copying();
	end();
	pair(DM_SYNC_CMD_PAIR_GET, 8, "mirror", 98);
	state(13, 4, 18, 12, 0);
	end();
	done(0, NULL);
}

static void scene_clones(void)
{
	info(100);
	all_clones();	/* the pairs are chosen by this one */
	all_clones();	/* and this is looked at first */
	error(0, "", 0);
	single(DM_SYNC_CMD_PAIR_CHANGE_NTF, 4, 15, 2);
	single(DM_SYNC_CMD_PAIR_CHANGE_NTF, 4, 15, 13);
	single(DM_SYNC_CMD_PAIR_CHANGE_NTF, 15, 15, 2);
	single(DM_SYNC_CMD_PAIR_DELETE_NTF, 15, 15, 2);
	written(DM_SYNC_CMD_PAIR_GET);
	done(0, NULL);
}

static void scene_removed(void)
{
	info(100);
	single(DM_SYNC_CMD_PAIR_GET, 3, 4, 6);
	done(0, NULL);
	single(DM_SYNC_CMD_PAIR_GET, 3, 4, 6);
	done(0, NULL);
	single(DM_SYNC_CMD_PAIR_DELETE_NTF, 3, 4, 6);
	written(DM_SYNC_CMD_PAIR_GET);
	done(0, NULL);
}

static void scene_empty(void)
{
	info(0);
	done(0, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(void);
	} scenes[] = {
		{ "status", scene_status }, { "events", scene_events },
		{ "refused", scene_refused }, { "broken", scene_broken },
		{ "unstable", scene_unstable }, { "empty", scene_empty },
		{ "history", scene_history },
		{ "images", scene_images }, { "deltas", scene_deltas },
		{ "clones", scene_clones }, { "removed", scene_removed },
	};
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (strcmp(argv[1], scenes[i].name))
			continue;
		scenes[i].write();
		return fflush(stdout) ? 1 : 0;
	}
	fprintf(stderr, "usage: fixture SCENE > FILE\n");
	return 2;
}
