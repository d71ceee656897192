// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "dm-sync".
 *
 * Reading needs no privilege, changing needs CAP_SYS_ADMIN. The core checks
 * every attribute against the policies generated from the specification before
 * anything here runs, so what remains is: which pair, may it, and in which
 * words to say no.
 *
 * Locks: none of its own. Every request works on a struct dm_sync_info copied
 * under the pair's spinlock and holds no more than a counted reference, so
 * that no listener, however slow, and no dead device can stop another
 * (rule P). The family runs its commands in parallel for the same reason: the
 * lock that generic netlink would take instead is shared by all families.
 *
 * A property that is NULL is an attribute that is absent.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "dm-sync.h"
#include "dm-sync-pair.h"
#include "dm-sync-nl-gen.h"

#define DM_SYNC_ABI		1
#define DM_SYNC_FEATURES	(DM_SYNC_FEATURE_MIRROR | DM_SYNC_FEATURE_SNAPSHOT | \
				 DM_SYNC_FEATURE_CLONE)

enum dm_sync_nl_group {
	DM_SYNC_NL_MONITOR,
	DM_SYNC_NL_PROGRESS,
};

static struct genl_family dm_sync_family;

/*----------------------------------------------------------------
 * A pair as attributes
 *--------------------------------------------------------------*/

enum dm_sync_nl_kind {
	NL_BOOL,	/* bool, sent as u32 */
	NL_U8,		/* u8, sent as u32 */
	NL_U32,
	NL_U64,
	NL_INT,		/* int, sent as u32; absent when negative */
	NL_TIME,	/* u64; absent when 0 */
	NL_DEV,		/* dev_t, sent as two u32, major first; absent when 0 */
};

struct dm_sync_nl_field {
	u8 attr;
	u8 kind;
	u16 offset;
};

#define FIELD(a, k, member) \
	{ DM_SYNC_A_PAIR_##a, NL_##k, offsetof(struct dm_sync_info, member) }

static const struct dm_sync_nl_field dm_sync_nl_fields[] = {
	FIELD(ID,			U32,	id),
	FIELD(GENERATION,		U32,	generation),
	FIELD(DOOR_MAJOR,		DEV,	door),
	FIELD(SOURCE_MAJOR,		DEV,	source),
	FIELD(REPLICA_MAJOR,		DEV,	replica),
	FIELD(META_MAJOR,		DEV,	meta),
	FIELD(SYNC_TIME,		TIME,	sync_time),
	FIELD(SYNC_MAINTAINED,		BOOL,	sync_maintained),
	FIELD(COPY_STATE,		U8,	copy_state),
	FIELD(REQUESTED_COPY_STATE,	U8,	requested),
	FIELD(SYNC_TYPE,		U8,	sync_type),
	FIELD(SYNC_MODE,		U8,	sync_mode),
	FIELD(PROGRESS_STATUS,		U8,	progress),
	FIELD(PERCENT_SYNCED,		INT,	percent),
	FIELD(COPY_TYPE,		U8,	copy_type),
	FIELD(REPLICA_TYPE,		U8,	replica_type),
	FIELD(SYNC_STATE,		INT,	sync_state),
	FIELD(COPY_PRIORITY,		U8,	priority),
	FIELD(COPY_METHODOLOGY,		U8,	methodology),
	FIELD(RPO_OBJECTIVE,		INT,	rpo_objective),
	FIELD(REASON,			U32,	reason),
	FIELD(REASON_TIME,		TIME,	reason_time),
	FIELD(ALLOWED_OPS,		U32,	allowed),
	FIELD(ALLOWED_OPS_FORCE,	U32,	allowed_force),
	FIELD(DOOR_ACCESS,		U8,	door_access),
	FIELD(SIZE_BYTES,		U64,	size),
	FIELD(REGION_BYTES,		U64,	region_size),
	FIELD(REGIONS,			U64,	regions),
	FIELD(SOURCE_CHANGED,		U64,	source_changed),
	FIELD(REPLICA_CHANGED,		U64,	replica_changed),
	FIELD(TOTAL_BYTES,		U64,	total),
	FIELD(DONE_BYTES,		U64,	done),
	FIELD(RATE_BYTES,		U64,	rate),
	FIELD(LIMIT_BYTES,		U64,	limit),
	FIELD(LIMITED_BY,		U8,	limited_by),
	FIELD(READ_BYTES,		U64,	read_bytes),
	FIELD(WRITTEN_BYTES,		U64,	written_bytes),
	FIELD(SKIPPED_BYTES,		U64,	skipped_bytes),
	FIELD(HOST_READS,		U64,	host_reads),
	FIELD(HOST_WRITES,		U64,	host_writes),
	FIELD(READS_FROM_REPLICA,	U64,	reads_from_replica),
	FIELD(SOURCE_ERRORS,		U64,	source_errors),
	FIELD(REPLICA_ERRORS,		U64,	replica_errors),
	FIELD(METADATA_WRITES,		U64,	metadata_writes),
	FIELD(ACTIVITY_HITS,		U64,	activity_hits),
	FIELD(ACTIVITY_MISSES,		U64,	activity_misses),
	FIELD(HELD,			U32,	held),
	FIELD(HOLD_MAX,			U32,	hold_max),
	FIELD(RECOVERY,			U8,	recovery),
	FIELD(HOLD,			U8,	hold),
	FIELD(STARTED,			TIME,	copy_started),
};

/* Those that only images have. */
static const struct dm_sync_nl_field dm_sync_nl_image_fields[] = {
	FIELD(SAVED_BYTES,		U64,	saved),
	FIELD(ALONE_BYTES,		U64,	alone),
	FIELD(PAUSE_NS,			U64,	pause_ns),
	FIELD(FILL_RATE_BYTES,		U64,	fill_rate),
	FIELD(FULL_SECONDS,		INT,	full_seconds),
};

/* Those of images, and of clones with a delta. */
static const struct dm_sync_nl_field dm_sync_nl_store_fields[] = {
	FIELD(STORE_BYTES,		U64,	store_size),
	FIELD(STORE_FREE_BYTES,		U64,	store_free),
	FIELD(SLOTS,			U32,	slots),
};

#undef FIELD

/*
 * Enough for a pair with everything an event adds. Every attribute is counted
 * as a padded u64, the three that are larger with their size.
 */
#define DM_SYNC_NL_SIZE							\
	(DM_SYNC_A_PAIR_MAX * (NLA_HDRLEN + nla_total_size(sizeof(u64)))\
	 + nla_total_size(16) + nla_total_size(DM_SYNC_NAME_LEN)	\
	 + nla_total_size(DM_SYNC_IMAGE_NAME_LEN))

static int dm_sync_nl_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, DM_SYNC_A_PAIR_PAD);
}

static int dm_sync_nl_put_dev(struct sk_buff *skb, int attr, dev_t dev)
{
	if (!dev)
		return 0;
	return nla_put_u32(skb, attr, MAJOR(dev)) ?:
	       nla_put_u32(skb, attr + 1, MINOR(dev));
}

static int dm_sync_nl_put_field(struct sk_buff *skb,
				const struct dm_sync_nl_field *f,
				const struct dm_sync_info *info)
{
	const void *p = (const char *)info + f->offset;

	switch (f->kind) {
	case NL_BOOL:
		return nla_put_u32(skb, f->attr, *(const bool *)p);
	case NL_U8:
		return nla_put_u32(skb, f->attr, *(const u8 *)p);
	case NL_U32:
		return nla_put_u32(skb, f->attr, *(const u32 *)p);
	case NL_U64:
		return dm_sync_nl_put_u64(skb, f->attr, *(const u64 *)p);
	case NL_INT:
		return *(const int *)p < 0 ? 0 :
			nla_put_u32(skb, f->attr, *(const int *)p);
	case NL_TIME:
		return *(const u64 *)p == 0 ? 0 :
			dm_sync_nl_put_u64(skb, f->attr, *(const u64 *)p);
	case NL_DEV:
		return dm_sync_nl_put_dev(skb, f->attr, *(const dev_t *)p);
	}
	return -EINVAL;
}

/* What an event adds to a pair, and what a record of the history consists of. */
static u64 dm_sync_nl_changed(const struct dm_sync_event_record *event)
{
	u64 changed = 0;

	if (event->old_copy_state != event->new_copy_state)
		changed |= BIT_ULL(DM_SYNC_A_PAIR_COPY_STATE);
	if (event->old_progress != event->new_progress)
		changed |= BIT_ULL(DM_SYNC_A_PAIR_PROGRESS_STATUS);
	if (event->old_requested != event->new_requested)
		changed |= BIT_ULL(DM_SYNC_A_PAIR_REQUESTED_COPY_STATE);
	return changed;
}

static int dm_sync_nl_put_event(struct sk_buff *skb,
				const struct dm_sync_event_record *event)
{
	if (nla_put_u32(skb, DM_SYNC_A_PAIR_CAUSE, event->cause) ||
	    dm_sync_nl_put_u64(skb, DM_SYNC_A_PAIR_TIME, event->time) ||
	    dm_sync_nl_put_u64(skb, DM_SYNC_A_PAIR_CHANGED,
			       dm_sync_nl_changed(event)))
		return -EMSGSIZE;
	if (event->operation &&
	    nla_put_u32(skb, DM_SYNC_A_PAIR_OPERATION, event->operation))
		return -EMSGSIZE;
	return 0;
}

static int dm_sync_nl_put_identity(struct sk_buff *skb,
				   const struct dm_sync_info *info, u64 seq)
{
	if (nla_put(skb, DM_SYNC_A_PAIR_UUID, sizeof(info->uuid), info->uuid) ||
	    nla_put_string(skb, DM_SYNC_A_PAIR_NAME, info->name) ||
	    dm_sync_nl_put_u64(skb, DM_SYNC_A_PAIR_EVENT_SEQ, seq))
		return -EMSGSIZE;
	return 0;
}

static int dm_sync_nl_put_image(struct sk_buff *skb, const struct dm_sync_info *info)
{
	unsigned int i;
	int r;

	if (!info->image[0])
		return 0;
	r = nla_put_string(skb, DM_SYNC_A_PAIR_IMAGE, info->image);
	for (i = 0; !r && i < ARRAY_SIZE(dm_sync_nl_image_fields); i++)
		r = dm_sync_nl_put_field(skb, &dm_sync_nl_image_fields[i], info);
	return r;
}

/*
 * All of a pair; of the event as well when there is one, whose number then is
 * the message's: the pair may have moved on since.
 */
static int dm_sync_nl_put_pair(struct sk_buff *skb,
			       const struct dm_sync_info *info,
			       const struct dm_sync_event_record *event)
{
	unsigned int i;
	int r;

	r = dm_sync_nl_put_identity(skb, info,
				    event ? event->seq : info->event_seq);
	for (i = 0; !r && i < ARRAY_SIZE(dm_sync_nl_fields); i++)
		r = dm_sync_nl_put_field(skb, &dm_sync_nl_fields[i], info);
	if (!r && info->rpo_objective >= 0)
		r = nla_put_u32(skb, DM_SYNC_A_PAIR_RPO_MEASURED,
				info->rpo_measured);
	for (i = 0; !r && info->slots && i < ARRAY_SIZE(dm_sync_nl_store_fields); i++)
		r = dm_sync_nl_put_field(skb, &dm_sync_nl_store_fields[i], info);
	if (!r)
		r = dm_sync_nl_put_image(skb, info);
	if (!r && event)
		r = dm_sync_nl_put_event(skb, event);
	return r;
}

/*----------------------------------------------------------------
 * Requests
 *--------------------------------------------------------------*/

/*
 * NL_SET_ERR_MSG() takes a literal only; reasons come from the state table as
 * pointers. They are constants of this module, which outlives the answer: the
 * core sends it before it lets go of the family.
 */
static void dm_sync_nl_explain(struct netlink_ext_ack *extack,
			       const struct nlattr *attr, const char *why)
{
	if (!extack || !why)
		return;
	extack->_msg = why;
	extack->bad_attr = attr;
}

static int dm_sync_nl_may_change(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(info->extack, "this needs CAP_SYS_ADMIN");
	return -EACCES;
}

static noinline_for_stack struct dm_sync_pair *
dm_sync_nl_find_name(const struct nlattr *name)
{
	struct dm_sync_info info;
	struct dm_sync_pair *pair;
	u32 id = 0;

	while ((pair = dm_sync_pair_next(&id))) {
		dm_sync_pair_info(pair, &info);
		if (!nla_strcmp(name, info.name))
			return pair;
		dm_sync_pair_put(pair);
		id++;
	}
	return NULL;
}

/* 0, which is no door, for numbers that do not fit. */
static dev_t dm_sync_nl_door(struct nlattr **attrs)
{
	u32 major = nla_get_u32(attrs[DM_SYNC_A_PAIR_DOOR_MAJOR]);
	u32 minor = nla_get_u32(attrs[DM_SYNC_A_PAIR_DOOR_MINOR]);

	if (major >= BIT(32 - MINORBITS) || minor >= BIT(MINORBITS))
		return 0;
	return MKDEV(major, minor);
}

static bool dm_sync_nl_half_door(struct nlattr **attrs, struct netlink_ext_ack *extack)
{
	if (!attrs[DM_SYNC_A_PAIR_DOOR_MAJOR] == !attrs[DM_SYNC_A_PAIR_DOOR_MINOR])
		return false;
	NL_SET_ERR_MSG(extack, "a door needs both its major and its minor number");
	return true;
}

/* The first attribute given that does not mean this pair, or NULL. */
static noinline_for_stack const struct nlattr *
dm_sync_nl_mismatch(struct dm_sync_pair *pair, struct nlattr **attrs)
{
	struct dm_sync_info info;
	const struct nlattr *a;

	dm_sync_pair_info(pair, &info);
	a = attrs[DM_SYNC_A_PAIR_ID];
	if (a && nla_get_u32(a) != info.id)
		return a;
	a = attrs[DM_SYNC_A_PAIR_UUID];
	if (a && memcmp(nla_data(a), info.uuid, sizeof(info.uuid)))
		return a;
	a = attrs[DM_SYNC_A_PAIR_NAME];
	if (a && nla_strcmp(a, info.name))
		return a;
	a = attrs[DM_SYNC_A_PAIR_DOOR_MAJOR];
	if (a && dm_sync_nl_door(attrs) != info.door)
		return a;
	return NULL;
}

/* By the first way to name a pair that the request has; it is left in *by. */
static struct dm_sync_pair *dm_sync_nl_lookup(struct nlattr **attrs,
					      const struct nlattr **by)
{
	dev_t door;

	*by = attrs[DM_SYNC_A_PAIR_ID];
	if (*by)
		return dm_sync_pair_find(nla_get_u32(*by));
	*by = attrs[DM_SYNC_A_PAIR_UUID];
	if (*by)
		return dm_sync_pair_find_uuid(nla_data(*by));
	/* Before the door, which several images may have. */
	*by = attrs[DM_SYNC_A_PAIR_NAME];
	if (*by)
		return dm_sync_nl_find_name(*by);
	*by = attrs[DM_SYNC_A_PAIR_DOOR_MAJOR];
	if (!*by)
		return NULL;
	door = dm_sync_nl_door(attrs);
	return door ? dm_sync_pair_find_door(door) : NULL;
}

/*
 * Find the pair that a request is about. Any of id, uuid, door and name will
 * do; when there are several, all must mean the same pair, so that a program
 * can say "number 7, if it still is this uuid".
 */
static struct dm_sync_pair *dm_sync_nl_find(struct nlattr **attrs,
					    struct netlink_ext_ack *extack)
{
	const struct nlattr *a;
	struct dm_sync_pair *pair;

	if (dm_sync_nl_half_door(attrs, extack))
		return ERR_PTR(-EINVAL);
	pair = dm_sync_nl_lookup(attrs, &a);
	if (!a) {
		NL_SET_ERR_MSG(extack, "which pair? give its id, uuid, name or door");
		return ERR_PTR(-EINVAL);
	}
	if (!pair) {
		NL_SET_ERR_MSG_ATTR(extack, a, "there is no such pair");
		return ERR_PTR(-ENOENT);
	}
	a = dm_sync_nl_mismatch(pair, attrs);
	if (a) {
		dm_sync_pair_put(pair);
		NL_SET_ERR_MSG_ATTR(extack, a, "this is not the same pair");
		return ERR_PTR(-ENOENT);
	}
	return pair;
}

/* Answer with the pair as it is now; takes over the reply. */
static int dm_sync_nl_reply(struct sk_buff *reply, struct genl_info *info,
			    struct dm_sync_pair *pair)
{
	struct dm_sync_info now;
	void *hdr;

	dm_sync_pair_info(pair, &now);
	hdr = genlmsg_put_reply(reply, info, &dm_sync_family, 0,
				info->genlhdr->cmd);
	if (!hdr || dm_sync_nl_put_pair(reply, &now, NULL)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int dm_sync_nl_info_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *hdr;

	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &dm_sync_family, 0,
				DM_SYNC_CMD_INFO_GET);
	if (!hdr ||
	    nla_put_string(reply, DM_SYNC_A_INFO_VERSION, DM_SYNC_VERSION) ||
	    nla_put_u32(reply, DM_SYNC_A_INFO_ABI, DM_SYNC_ABI) ||
	    nla_put_u64_64bit(reply, DM_SYNC_A_INFO_EVENT_SEQ,
			      dm_sync_event_seq(), DM_SYNC_A_INFO_PAD) ||
	    nla_put_u32(reply, DM_SYNC_A_INFO_PAIRS, dm_sync_pair_count()) ||
	    nla_put_u32(reply, DM_SYNC_A_INFO_FEATURES, DM_SYNC_FEATURES)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int dm_sync_nl_pair_get(struct sk_buff *skb, struct genl_info *info)
{
	struct dm_sync_pair *pair;
	struct sk_buff *reply;
	int r = -ENOMEM;

	pair = dm_sync_nl_find(info->attrs, info->extack);
	if (IS_ERR(pair))
		return PTR_ERR(pair);
	reply = genlmsg_new(DM_SYNC_NL_SIZE, GFP_KERNEL);
	if (reply)
		r = dm_sync_nl_reply(reply, info, pair);
	dm_sync_pair_put(pair);
	return r;
}

/*
 * The reply is allocated first: an operation that was accepted must not be
 * answered with "out of memory".
 */
static int dm_sync_nl_pair_op(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *op = info->attrs[DM_SYNC_A_PAIR_OPERATION];
	const struct nlattr *flags = info->attrs[DM_SYNC_A_PAIR_FLAGS];
	const char *why = NULL;
	struct dm_sync_pair *pair;
	struct sk_buff *reply;
	int r;

	r = dm_sync_nl_may_change(skb, info);
	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, DM_SYNC_A_PAIR_OPERATION)) {
		NL_SET_ERR_MSG(info->extack, "which operation?");
		return -EINVAL;
	}
	pair = dm_sync_nl_find(info->attrs, info->extack);
	if (IS_ERR(pair))
		return PTR_ERR(pair);

	r = -ENOMEM;
	reply = genlmsg_new(DM_SYNC_NL_SIZE, GFP_KERNEL);
	if (!reply)
		goto out;
	r = dm_sync_pair_operate(pair, nla_get_u32(op),
				 flags ? nla_get_u32(flags) : 0, &why);
	/* with success this is a remark that travels on the acknowledgement */
	dm_sync_nl_explain(info->extack, r ? op : NULL, why);
	if (r)
		nlmsg_free(reply);
	else
		r = dm_sync_nl_reply(reply, info, pair);
out:
	dm_sync_pair_put(pair);
	return r;
}

struct dm_sync_nl_setting {
	u8 attr, setting;
};

static const struct dm_sync_nl_setting dm_sync_nl_settings[] = {
	{ DM_SYNC_A_PAIR_COPY_PRIORITY,	DM_SYNC_SETTING_PRIORITY },
	{ DM_SYNC_A_PAIR_LIMIT_BYTES,	DM_SYNC_SETTING_LIMIT },
	{ DM_SYNC_A_PAIR_HOLD_MAX,	DM_SYNC_SETTING_HOLD_MAX },
	{ DM_SYNC_A_PAIR_HOLD,		DM_SYNC_SETTING_HOLD },
	{ DM_SYNC_A_PAIR_RECOVERY,	DM_SYNC_SETTING_RECOVERY },
};

static u64 dm_sync_nl_number(const struct nlattr *a)
{
	return nla_len(a) == sizeof(u64) ? nla_get_u64(a) : nla_get_u32(a);
}

/*
 * The policy has checked all ranges before the first setting is made, so that a
 * request is hardly ever carried out in part.
 */
static int dm_sync_nl_set_all(struct dm_sync_pair *pair, struct genl_info *info)
{
	const struct nlattr *flags = info->attrs[DM_SYNC_A_PAIR_FLAGS];
	bool dry_run = flags && (nla_get_u32(flags) & DM_SYNC_OP_DRY_RUN);
	unsigned int i, given = 0;
	int r;

	for (i = 0; i < ARRAY_SIZE(dm_sync_nl_settings); i++) {
		const struct dm_sync_nl_setting *s = &dm_sync_nl_settings[i];
		const struct nlattr *a = info->attrs[s->attr];
		const char *why = NULL;

		if (!a)
			continue;
		given++;
		if (dry_run)
			continue;
		r = dm_sync_pair_set(pair, s->setting, dm_sync_nl_number(a), &why);
		if (r) {
			dm_sync_nl_explain(info->extack, a, why);
			return r;
		}
	}
	if (!given) {
		NL_SET_ERR_MSG(info->extack, "there is nothing to set");
		return -EINVAL;
	}
	return 0;
}

static int dm_sync_nl_pair_set(struct sk_buff *skb, struct genl_info *info)
{
	struct dm_sync_pair *pair;
	struct sk_buff *reply;
	int r;

	r = dm_sync_nl_may_change(skb, info);
	if (r)
		return r;
	pair = dm_sync_nl_find(info->attrs, info->extack);
	if (IS_ERR(pair))
		return PTR_ERR(pair);

	r = -ENOMEM;
	reply = genlmsg_new(DM_SYNC_NL_SIZE, GFP_KERNEL);
	if (!reply)
		goto out;
	r = dm_sync_nl_set_all(pair, info);
	if (r)
		nlmsg_free(reply);
	else
		r = dm_sync_nl_reply(reply, info, pair);
out:
	dm_sync_pair_put(pair);
	return r;
}

/* A new image of the door that is named; with dry-run there is none, and no pair. */
static int dm_sync_nl_create(struct genl_info *info, struct dm_sync_pair **pair)
{
	const struct nlattr *major = info->attrs[DM_SYNC_A_PAIR_DOOR_MAJOR];
	const struct nlattr *name = info->attrs[DM_SYNC_A_PAIR_NAME];
	const struct nlattr *stop = info->attrs[DM_SYNC_A_PAIR_STOP_AT];
	const struct nlattr *flags = info->attrs[DM_SYNC_A_PAIR_FLAGS];
	const struct nlattr *image = info->attrs[DM_SYNC_A_PAIR_IMAGE];
	dev_t door = major ? dm_sync_nl_door(info->attrs) : 0;
	const char *why = NULL;
	int r = -ENODEV;

	if (major && !door)
		why = "there is no such door";
	else
		r = dm_sync_pair_create_image(door, name ? nla_data(name) : NULL,
					      nla_data(image), stop ? nla_get_u32(stop) : 0,
					      flags ? nla_get_u32(flags) : 0, pair, &why);
	if (r)
		dm_sync_nl_explain(info->extack, r == -ENODEV ? (major ?: name) : image, why);
	return r;
}

static int dm_sync_nl_image_create(struct sk_buff *skb, struct genl_info *info)
{
	struct dm_sync_pair *pair = NULL;
	struct sk_buff *reply;
	int r;

	r = dm_sync_nl_may_change(skb, info);
	if (r)
		return r;
	if (GENL_REQ_ATTR_CHECK(info, DM_SYNC_A_PAIR_IMAGE)) {
		NL_SET_ERR_MSG(info->extack, "an image needs a name");
		return -EINVAL;
	}
	if (dm_sync_nl_half_door(info->attrs, info->extack))
		return -EINVAL;
	if (!info->attrs[DM_SYNC_A_PAIR_NAME] && !info->attrs[DM_SYNC_A_PAIR_DOOR_MAJOR]) {
		NL_SET_ERR_MSG(info->extack, "an image of what? give the name or number of the door");
		return -EINVAL;
	}
	reply = genlmsg_new(DM_SYNC_NL_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	r = dm_sync_nl_create(info, &pair);
	if (r || !pair) {
		nlmsg_free(reply);
		return r;
	}
	r = dm_sync_nl_reply(reply, info, pair);
	dm_sync_pair_put(pair);
	return r;
}

/*----------------------------------------------------------------
 * Dumps
 *--------------------------------------------------------------*/

/*
 * A dump of all pairs keeps nothing but the id where it goes on: nothing is
 * shown twice, a pair that goes away meanwhile skips no other, and whoever
 * stops reading holds nothing.
 */
struct dm_sync_nl_pairs {
	u32 next;
};

static int dm_sync_nl_pairs_start(struct netlink_callback *cb)
{
	if (nlmsg_attrlen(cb->nlh, GENL_HDRLEN)) {
		NL_SET_ERR_MSG(cb->extack, "a dump is of all pairs and takes no attributes");
		return -EINVAL;
	}
	return 0;
}

static int dm_sync_nl_pairs_one(struct sk_buff *skb, struct netlink_callback *cb,
				const struct dm_sync_info *info)
{
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &dm_sync_family, NLM_F_MULTI, DM_SYNC_CMD_PAIR_GET);
	if (!hdr)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, hdr);
	if (dm_sync_nl_put_pair(skb, info, NULL)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int dm_sync_nl_pairs_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dm_sync_nl_pairs *at = (struct dm_sync_nl_pairs *)cb->ctx;
	struct dm_sync_info info;
	struct dm_sync_pair *pair;

	/* 0 would mean that nobody looks whether the list changed */
	cb->seq = dm_sync_pair_list_generation() ?: 1;
	while ((pair = dm_sync_pair_next(&at->next))) {
		dm_sync_pair_info(pair, &info);
		dm_sync_pair_put(pair);
		if (dm_sync_nl_pairs_one(skb, cb, &info))
			return skb->len ?: -EMSGSIZE;
		at->next++;
	}
	return skb->len;
}

/* A dump of a history works on a copy made when it began. */
struct dm_sync_nl_history {
	struct dm_sync_info info;
	unsigned int nr, at;
	struct dm_sync_event_record records[DM_SYNC_HISTORY];
};

static struct dm_sync_nl_history **dm_sync_nl_history(struct netlink_callback *cb)
{
	return (struct dm_sync_nl_history **)cb->ctx;
}

/*
 * The core has parsed these attributes already, but where it keeps them differs
 * between kernels; parsing the few bytes again works on all.
 */
static int dm_sync_nl_history_start(struct netlink_callback *cb)
{
	struct nlattr *attrs[DM_SYNC_HISTORY_GET_MAXATTR + 1];
	struct dm_sync_nl_history *h;
	struct dm_sync_pair *pair;
	const struct nlattr *since;
	int r;

	r = genlmsg_parse(cb->nlh, &dm_sync_family, attrs,
			  DM_SYNC_HISTORY_GET_MAXATTR,
			  dm_sync_history_get_nl_policy, cb->extack);
	if (r)
		return r;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h)
		return -ENOMEM;
	pair = dm_sync_nl_find(attrs, cb->extack);
	if (IS_ERR(pair)) {
		kfree(h);
		return PTR_ERR(pair);
	}
	dm_sync_pair_info(pair, &h->info);
	since = attrs[DM_SYNC_A_PAIR_EVENT_SEQ];
	h->nr = dm_sync_pair_history(pair, since ? nla_get_u64(since) : 0,
				     h->records, ARRAY_SIZE(h->records));
	dm_sync_pair_put(pair);
	*dm_sync_nl_history(cb) = h;
	return 0;
}

static int dm_sync_nl_history_done(struct netlink_callback *cb)
{
	kfree(*dm_sync_nl_history(cb));
	return 0;
}

/* A record names the pair, the states it changed to, and why. */
static int dm_sync_nl_put_record(struct sk_buff *skb,
				 const struct dm_sync_info *info,
				 const struct dm_sync_event_record *event)
{
	if (nla_put_u32(skb, DM_SYNC_A_PAIR_ID, info->id) ||
	    dm_sync_nl_put_identity(skb, info, event->seq) ||
	    nla_put_u32(skb, DM_SYNC_A_PAIR_COPY_STATE, event->new_copy_state) ||
	    nla_put_u32(skb, DM_SYNC_A_PAIR_PROGRESS_STATUS, event->new_progress) ||
	    nla_put_u32(skb, DM_SYNC_A_PAIR_REQUESTED_COPY_STATE,
			event->new_requested) ||
	    nla_put_u32(skb, DM_SYNC_A_PAIR_REASON, event->reason))
		return -EMSGSIZE;
	return dm_sync_nl_put_event(skb, event);
}

static int dm_sync_nl_history_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dm_sync_nl_history *h = *dm_sync_nl_history(cb);
	void *hdr;

	while (h->at < h->nr) {
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &dm_sync_family,
				  NLM_F_MULTI, DM_SYNC_CMD_HISTORY_GET);
		if (!hdr)
			return skb->len ?: -EMSGSIZE;
		if (dm_sync_nl_put_record(skb, &h->info, &h->records[h->at])) {
			genlmsg_cancel(skb, hdr);
			return skb->len ?: -EMSGSIZE;
		}
		genlmsg_end(skb, hdr);
		h->at++;
	}
	return skb->len;
}

/*----------------------------------------------------------------
 * Notifications
 *--------------------------------------------------------------*/

static void dm_sync_nl_send(enum dm_sync_nl_group group, u8 cmd,
			    const struct dm_sync_info *info,
			    const struct dm_sync_event_record *event)
{
	struct sk_buff *skb;
	void *hdr;

	if (!genl_has_listeners(&dm_sync_family, &init_net, group))
		return;
	/*
	 * Whoever changes the state may be what a host write waits for. When
	 * there is no memory the listener sees the gap in the numbers.
	 */
	skb = genlmsg_new(DM_SYNC_NL_SIZE, GFP_NOIO);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &dm_sync_family, 0, cmd);
	if (!hdr || dm_sync_nl_put_pair(skb, info, event)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	genlmsg_multicast(&dm_sync_family, skb, 0, group, GFP_NOIO);
}

/**
 * dm_sync_netlink_event - tell listeners of group "monitor" of a state change
 * @cmd: DM_SYNC_CMD_PAIR_CREATE_NTF, _CHANGE_NTF or _DELETE_NTF
 * @info: the pair as it is after the change
 * @event: the change; its number becomes the message's
 *
 * Call once for every number taken, in the order of the numbers: a listener
 * takes a gap for a loss. Process context, may sleep; hold no spinlock and
 * nothing that a host write needs. Does nothing when nobody listens.
 */
void dm_sync_netlink_event(u8 cmd, const struct dm_sync_info *info,
			   const struct dm_sync_event_record *event)
{
	dm_sync_nl_send(DM_SYNC_NL_MONITOR, cmd, info, event);
}

/**
 * dm_sync_netlink_progress - tell listeners of group "progress" how far a copy is
 * @info: the pair as it is; the message repeats the number of its newest event
 *
 * The caller sees to it that this is not called more than four times a second
 * for a pair. Process context, may sleep.
 */
void dm_sync_netlink_progress(const struct dm_sync_info *info)
{
	dm_sync_nl_send(DM_SYNC_NL_PROGRESS, DM_SYNC_CMD_PAIR_PROGRESS_NTF,
			info, NULL);
}

/*----------------------------------------------------------------
 * The family
 *--------------------------------------------------------------*/

/* No .validate anywhere: everything is checked strictly. */
static const struct genl_ops dm_sync_nl_ops[] = {
	{
		.cmd		= DM_SYNC_CMD_INFO_GET,
		.policy		= dm_sync_info_get_nl_policy,
		.maxattr	= DM_SYNC_INFO_GET_MAXATTR,
		.doit		= dm_sync_nl_info_get,
	}, {
		.cmd		= DM_SYNC_CMD_PAIR_GET,
		.policy		= dm_sync_pair_get_nl_policy,
		.maxattr	= DM_SYNC_PAIR_GET_MAXATTR,
		.doit		= dm_sync_nl_pair_get,
		.start		= dm_sync_nl_pairs_start,
		.dumpit		= dm_sync_nl_pairs_dump,
	}, {
		.cmd		= DM_SYNC_CMD_PAIR_OP,
		.policy		= dm_sync_pair_op_nl_policy,
		.maxattr	= DM_SYNC_PAIR_OP_MAXATTR,
		.doit		= dm_sync_nl_pair_op,
	}, {
		.cmd		= DM_SYNC_CMD_PAIR_SET,
		.policy		= dm_sync_pair_set_nl_policy,
		.maxattr	= DM_SYNC_PAIR_SET_MAXATTR,
		.doit		= dm_sync_nl_pair_set,
	}, {
		.cmd		= DM_SYNC_CMD_HISTORY_GET,
		.policy		= dm_sync_history_get_nl_policy,
		.maxattr	= DM_SYNC_HISTORY_GET_MAXATTR,
		.start		= dm_sync_nl_history_start,
		.dumpit		= dm_sync_nl_history_dump,
		.done		= dm_sync_nl_history_done,
	}, {
		.cmd		= DM_SYNC_CMD_IMAGE_CREATE,
		.policy		= dm_sync_image_create_nl_policy,
		.maxattr	= DM_SYNC_IMAGE_CREATE_MAXATTR,
		.doit		= dm_sync_nl_image_create,
	},
};

static const struct genl_multicast_group dm_sync_nl_groups[] = {
	[DM_SYNC_NL_MONITOR]	= { .name = DM_SYNC_MCGRP_MONITOR },
	[DM_SYNC_NL_PROGRESS]	= { .name = DM_SYNC_MCGRP_PROGRESS },
};

/*
 * No MODULE_ALIAS_GENL_FAMILY: with it any user's lookup of the name would load
 * the module. Making a pair loads it, which takes root.
 */
static struct genl_family dm_sync_family __ro_after_init = {
	.name		= DM_SYNC_FAMILY_NAME,
	.version	= DM_SYNC_FAMILY_VERSION,
	.netnsok	= false,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= dm_sync_nl_ops,
	.n_ops		= ARRAY_SIZE(dm_sync_nl_ops),
	.resv_start_op	= DM_SYNC_CMD_INFO_GET,
	.mcgrps		= dm_sync_nl_groups,
	.n_mcgrps	= ARRAY_SIZE(dm_sync_nl_groups),
};

/**
 * dm_sync_netlink_init - make the family known
 *
 * Call before the first pair can be made.
 *
 * Return: 0 or a negative errno.
 */
int __init dm_sync_netlink_init(void)
{
	return genl_register_family(&dm_sync_family);
}

/**
 * dm_sync_netlink_exit - take the family away
 *
 * Call when no pair is left. Waits for requests that run.
 */
void dm_sync_netlink_exit(void)
{
	genl_unregister_family(&dm_sync_family);
}
