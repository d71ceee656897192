// SPDX-License-Identifier: GPL-2.0-only
/* From netlink attributes to struct dms_pair. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/genetlink.h>

#include "pair.h"

#define ATTR_HDR	NLA_ALIGN(sizeof(struct nlattr))

static void keep_unknown(struct dms_pair *pair, uint16_t type, const void *data,
			 size_t len)
{
	struct dms_unknown *u;

	if (pair->unknown_count == DMS_UNKNOWN_MAX)
		return;
	u = &pair->unknown[pair->unknown_count++];
	u->type = type;
	u->len = len;
	memcpy(u->data, data, len < DMS_UNKNOWN_BYTES ? len : DMS_UNKNOWN_BYTES);
}

static bool decode_number(struct dms_pair *pair, unsigned int type,
			  const void *data, size_t len)
{
	uint32_t v32;

	switch (spec_attrs_pair[type].type) {
	case SPEC_U32:
		if (len != sizeof(v32))
			return false;
		memcpy(&v32, data, sizeof(v32));
		pair->value[type] = v32;
		return true;
	case SPEC_U64:
		if (len != sizeof(uint64_t))
			return false;
		memcpy(&pair->value[type], data, sizeof(uint64_t));
		return true;
	default:
		return false;
	}
}

static void decode_attr(struct dms_pair *pair, unsigned int type,
			const void *data, size_t len)
{
	if (type > DM_SYNC_A_PAIR_MAX || spec_attrs_pair[type].type == SPEC_NONE) {
		keep_unknown(pair, type, data, len);
		return;
	}
	switch (type) {
	case DM_SYNC_A_PAIR_PAD:
		return;
	case DM_SYNC_A_PAIR_NAME:
		if (!len || !memchr(data, 0, len) || len > sizeof(pair->name))
			return;
		memcpy(pair->name, data, len);
		break;
	case DM_SYNC_A_PAIR_IMAGE:
		if (!len || !memchr(data, 0, len) || len > sizeof(pair->image))
			return;
		memcpy(pair->image, data, len);
		break;
	case DM_SYNC_A_PAIR_UUID:
		if (len != sizeof(pair->uuid))
			return;
		memcpy(pair->uuid, data, len);
		break;
	default:
		if (!decode_number(pair, type, data, len))
			return;
	}
	pair->has[type] = true;
}

int dms_decode(const struct nlmsghdr *nlh, struct dms_pair *pair)
{
	const char *at = (const char *)nlh + NLMSG_HDRLEN + GENL_HDRLEN;
	long rest = (long)nlh->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;
	struct nlattr attr;

	memset(pair, 0, sizeof(*pair));
	while (rest >= (long)sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.nla_len < ATTR_HDR || attr.nla_len > rest)
			return -EBADMSG;
		decode_attr(pair, attr.nla_type & NLA_TYPE_MASK, at + ATTR_HDR,
			    attr.nla_len - ATTR_HDR);
		at += NLA_ALIGN(attr.nla_len);
		rest -= NLA_ALIGN(attr.nla_len);
	}
	return rest > 0 ? -EBADMSG : 0;
}

void dms_uuid_text(const uint8_t *u, char *text)
{
	snprintf(text, DMS_UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7],
		 u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

bool dms_running(const struct dms_pair *pair)
{
	switch (GET(pair, PROGRESS_STATUS)) {
	case DM_SYNC_PROGRESS_STATUS_UNKNOWN:
	case DM_SYNC_PROGRESS_STATUS_COMPLETED:
	case DM_SYNC_PROGRESS_STATUS_DORMANT:
	case DM_SYNC_PROGRESS_STATUS_REQUIRES_FRACTURE:
	case DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC:
	case DM_SYNC_PROGRESS_STATUS_REQUIRES_ACTIVATE:
		return false;
	default:
		return true;
	}
}

enum dms_health dms_health(const struct dms_pair *pair)
{
	if (!HAS(pair, COPY_STATE) ||
	    GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_UNKNOWN)
		return DMS_UNKNOWN;
	switch (GET(pair, COPY_STATE)) {
	case DM_SYNC_COPY_STATE_SYNCHRONIZED:
		return GET(pair, REASON) == DM_SYNC_REASON_STORE_LOW ? DMS_DEGRADED : DMS_HEALTHY;
	case DM_SYNC_COPY_STATE_SKEWED:
		/* To be written to is what a copy of one instant is for; a mirror's is lost. */
		if (!is_point_in_time(pair))
			return DMS_CRITICAL;
		return GET(pair, REASON) == DM_SYNC_REASON_STORE_LOW ? DMS_DEGRADED : DMS_HEALTHY;
	case DM_SYNC_COPY_STATE_BROKEN:
	case DM_SYNC_COPY_STATE_ABORTED:
	case DM_SYNC_COPY_STATE_FAILEDOVER:
		return DMS_CRITICAL;
	default:
		return DMS_DEGRADED;
	}
}

const char *dms_health_text(enum dms_health health)
{
	static const char * const text[] = {
		"healthy", "degraded", "critical", "unknown"
	};

	return text[health];
}
