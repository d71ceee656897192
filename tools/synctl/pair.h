/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pair as the kernel told it: one 64-bit value per attribute, and whether it
 * was there at all, because an absent attribute is the class's NULL. What this
 * tool does not know yet is kept as it came.
 */
#ifndef SYNCTL_PAIR_H
#define SYNCTL_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "gen-spec.h"

#define DMS_UNKNOWN_MAX		16
#define DMS_UNKNOWN_BYTES	32
#define DMS_NAME_MAX		192	/* DOOR@IMAGE */
#define DMS_IMAGE_MAX		64
#define DMS_UUID_TEXT		37

/* @len: as sent; @data holds the first DMS_UNKNOWN_BYTES of it at most */
struct dms_unknown {
	uint16_t type;
	uint16_t len;
	uint8_t data[DMS_UNKNOWN_BYTES];
};

struct dms_pair {
	bool has[DM_SYNC_A_PAIR_MAX + 1];
	uint64_t value[DM_SYNC_A_PAIR_MAX + 1];
	char name[DMS_NAME_MAX];
	char image[DMS_IMAGE_MAX];
	uint8_t uuid[16];
	unsigned int unknown_count;
	struct dms_unknown unknown[DMS_UNKNOWN_MAX];
};

/* Short names for the attributes of a pair: HAS(p, COPY_STATE), GET(p, ID) */
#define HAS(pair, attr)	((pair)->has[DM_SYNC_A_PAIR_##attr])
#define GET(pair, attr)	((pair)->value[DM_SYNC_A_PAIR_##attr])

/**
 * dms_decode() - read a message about a pair
 * @nlh: a generic netlink message whose attributes are of the set "pair"
 * @pair: filled
 *
 * Attributes of a wrong size are left out like absent ones; unknown ones are
 * kept as they came.
 * Return: 0, or -EBADMSG when the message is cut short.
 */
int dms_decode(const struct nlmsghdr *nlh, struct dms_pair *pair);

/**
 * dms_uuid_text() - print a UUID
 * @uuid: 16 bytes
 * @text: at least DMS_UUID_TEXT bytes
 */
void dms_uuid_text(const uint8_t *uuid, char *text);

/**
 * dms_running() - whether something is going on in a pair
 * @pair: the pair
 *
 * Return: false when it has settled: nothing moves until someone asks.
 */
bool dms_running(const struct dms_pair *pair);

/* Whether it is a copy of one instant, which does not follow its source */
static inline bool is_point_in_time(const struct dms_pair *pair)
{
	return GET(pair, SYNC_TYPE) == DM_SYNC_SYNC_TYPE_SNAPSHOT ||
		GET(pair, SYNC_TYPE) == DM_SYNC_SYNC_TYPE_CLONE;
}

static inline bool is_clone_pair(const struct dms_pair *pair)
{
	return GET(pair, SYNC_TYPE) == DM_SYNC_SYNC_TYPE_CLONE;
}

/* Whether it is a clone that has a delta: what is said of a store is the delta's. */
static inline bool has_delta(const struct dms_pair *pair)
{
	return !HAS(pair, IMAGE) && HAS(pair, SLOTS) && HAS(pair, STORE_FREE_BYTES);
}

/*
 * Whether an image has a content to lose. One that is Broken has lost it, but for one
 * whose restore broke off.
 */
static inline bool image_holds(const struct dms_pair *pair)
{
	return HAS(pair, IMAGE) && HAS(pair, SYNC_TIME) &&
		(GET(pair, COPY_STATE) != DM_SYNC_COPY_STATE_BROKEN ||
		 GET(pair, REASON) == DM_SYNC_REASON_RESTORE_INCOMPLETE);
}

enum dms_health { DMS_HEALTHY, DMS_DEGRADED, DMS_CRITICAL, DMS_UNKNOWN };

/**
 * dms_health() - one word for the state of a pair
 * @pair: the pair
 *
 * Return: critical when someone has to act, degraded while there is no second
 * copy but nothing is wrong.
 */
enum dms_health dms_health(const struct dms_pair *pair);
const char *dms_health_text(enum dms_health health);

#endif /* SYNCTL_PAIR_H */
