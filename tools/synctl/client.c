// SPDX-License-Identifier: GPL-2.0-only
/* The client of the family "dm-sync"; see client.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "client.h"
#include "replay.h"

/* What is asked of an image is done when the answer comes, and may wait for hosts. */
#define TIMEOUT_MS	120000
#define DUMP_TRIES	3

struct dms_client {
	struct nl_sock *sk;
	struct nl_sock *events;
	struct shim_family family;
	struct replay *replay;
	struct dms_error error;
	/* Events of a datagram that were not handed out yet */
	struct dms_event *queue;
	unsigned int queued;
	unsigned int taken;
};

static FILE *record;

static void record_tap(const void *buf, size_t len)
{
	fwrite(buf, 1, len, record);
	fflush(record);
}

static void start_record(void)
{
	const char *path = getenv("SYNCTL_RECORD");

	if (!path || record)
		return;
	record = fopen(path, "ab");
	if (record)
		shim_tap = record_tap;
}

int dms_open(struct dms_client **client)
{
	struct dms_client *c = calloc(1, sizeof(*c));
	const char *replay = getenv("SYNCTL_REPLAY");
	struct shim_reply reply = { 0 };
	int err;

	if (!c)
		return -ENOMEM;
	*client = c;
	c->family.name = DM_SYNC_FAMILY_NAME;
	if (replay)
		return replay_open(replay, &c->replay);
	start_record();
	err = shim_open(&c->sk, 1 << 20, false);
	if (err)
		return err;
	err = shim_resolve(c->sk, &c->family, &reply);
	c->error.kernel = reply.error;
	return err == -ENOENT ? 0 : err;
}

void dms_close(struct dms_client *c)
{
	if (!c)
		return;
	if (c->sk)
		nl_socket_free(c->sk);
	if (c->events)
		nl_socket_free(c->events);
	if (c->replay)
		replay_close(c->replay);
	free(c->queue);
	free(c);
}

bool dms_loaded(const struct dms_client *c)
{
	return c->replay || c->family.id;
}

const struct dms_error *dms_error(const struct dms_client *c)
{
	return &c->error;
}

int dms_absence(void)
{
	struct stat mine, first;

	if (access("/sys/module/dm_sync", F_OK))
		return 'm';
	/* Only root may look at the first process; else this stays a guess. */
	if (stat("/proc/self/ns/net", &mine) || stat("/proc/1/ns/net", &first))
		return '?';
	return mine.st_ino == first.st_ino ? '?' : 'n';
}

uint64_t dms_now(const struct dms_client *c)
{
	struct timespec ts;

	if (c->replay)
		return replay_now(c->replay);
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void dms_request_add(struct dms_request *request, uint16_t type, uint64_t value)
{
	if (request->count == DMS_REQUEST_ATTRS)
		return;
	request->attrs[request->count].type = type;
	request->attrs[request->count].value = value;
	request->attrs[request->count].text = NULL;
	request->count++;
}

void dms_request_add_text(struct dms_request *request, uint16_t type, const char *text)
{
	if (request->count == DMS_REQUEST_ATTRS)
		return;
	request->attrs[request->count].type = type;
	request->attrs[request->count].value = 0;
	request->attrs[request->count].text = text;
	request->count++;
}

static struct nl_msg *build(struct dms_client *c, const struct dms_request *request)
{
	struct nl_msg *msg = nlmsg_alloc();
	unsigned int i;
	int err = 0;

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, c->family.id, 0,
				 request->dump ? NLM_F_DUMP : 0, request->cmd,
				 DM_SYNC_FAMILY_VERSION))
		goto fail;
	for (i = 0; i < request->count && !err; i++) {
		uint16_t type = request->attrs[i].type;

		if (spec_attrs_pair[type].type == SPEC_STRING)
			err = nla_put_string(msg, type, request->attrs[i].text);
		else if (spec_attrs_pair[type].type == SPEC_U64)
			err = nla_put_u64(msg, type, request->attrs[i].value);
		else
			err = nla_put_u32(msg, type, request->attrs[i].value);
	}
	if (!err)
		return msg;
fail:
	nlmsg_free(msg);
	return NULL;
}

/* Give the attribute that the kernel points at its name. */
static void name_attr(struct dms_client *c, const struct nl_msg *msg)
{
	const struct shim_error *e = &c->error.kernel;
	unsigned int type = 0;

	c->error.attr = NULL;
	c->error.attr_missing = false;
	if (e->missing) {
		type = e->missing;
		c->error.attr_missing = true;
	} else if (e->offset && msg) {
		type = shim_attr_at(nlmsg_hdr((struct nl_msg *)msg), e->offset);
	}
	if (type && type <= DM_SYNC_A_PAIR_MAX)
		c->error.attr = &spec_attrs_pair[type];
}

static int replay_call(struct dms_client *c, const struct dms_request *request,
		       shim_fn fn, void *arg, struct shim_reply *reply)
{
	if (request->cmd == DM_SYNC_CMD_INFO_GET)
		return replay_info(c->replay, fn, arg);
	if (request->dump)
		return replay_dump(c->replay, request->cmd, fn, arg, reply);
	return replay_ack(c->replay, reply);
}

static int call(struct dms_client *c, const struct dms_request *request,
		shim_fn fn, void *arg, struct shim_reply *reply)
{
	struct nl_msg *msg;
	int err;

	memset(reply, 0, sizeof(*reply));
	memset(&c->error, 0, sizeof(c->error));
	if (!dms_loaded(c))
		return -DMS_ENOFAMILY;
	msg = build(c, request);
	if (!msg)
		return -ENOMEM;
	err = c->replay ? replay_call(c, request, fn, arg, reply) :
		shim_exchange(c->sk, msg, TIMEOUT_MS, fn, arg, reply);
	c->error.kernel = reply->error;
	name_attr(c, msg);
	nlmsg_free(msg);
	return err;
}

static int info_message(const struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[DM_SYNC_A_INFO_MAX + 1];
	struct dms_info *info = arg;

	if (genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, DM_SYNC_A_INFO_MAX, NULL) < 0)
		return -EBADMSG;
	if (tb[DM_SYNC_A_INFO_VERSION])
		nla_strlcpy(info->version, tb[DM_SYNC_A_INFO_VERSION],
			    sizeof(info->version));
	if (tb[DM_SYNC_A_INFO_ABI])
		info->abi = nla_get_u32(tb[DM_SYNC_A_INFO_ABI]);
	if (tb[DM_SYNC_A_INFO_EVENT_SEQ])
		info->event_seq = nla_get_u64(tb[DM_SYNC_A_INFO_EVENT_SEQ]);
	if (tb[DM_SYNC_A_INFO_PAIRS])
		info->pairs = nla_get_u32(tb[DM_SYNC_A_INFO_PAIRS]);
	if (tb[DM_SYNC_A_INFO_FEATURES])
		info->features = nla_get_u32(tb[DM_SYNC_A_INFO_FEATURES]);
	return 0;
}

int dms_info(struct dms_client *c, struct dms_info *info)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_INFO_GET };
	struct shim_reply reply;

	memset(info, 0, sizeof(*info));
	return call(c, &request, info_message, info, &reply);
}

static int list_message(const struct nlmsghdr *nlh, void *arg)
{
	struct dms_list *list = arg;
	struct dms_pair *more;

	if (!(list->count & (list->count - 1))) {
		more = realloc(list->pairs,
			       (list->count ? 2 * list->count : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->pairs = more;
	}
	return dms_decode(nlh, &list->pairs[list->count++]);
}

static int by_id(const void *a, const void *b)
{
	uint64_t ia = GET((const struct dms_pair *)a, ID);
	uint64_t ib = GET((const struct dms_pair *)b, ID);

	return (ia > ib) - (ia < ib);
}

void dms_list_free(struct dms_list *list)
{
	free(list->pairs);
	memset(list, 0, sizeof(*list));
}

int dms_dump(struct dms_client *c, struct dms_list *list)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_PAIR_GET, .dump = true };
	struct shim_reply reply;
	int tries;
	int err;

	memset(list, 0, sizeof(*list));
	for (tries = 0; tries < DUMP_TRIES; tries++) {
		dms_list_free(list);
		err = call(c, &request, list_message, list, &reply);
		if (err) {
			dms_list_free(list);
			return err;
		}
		list->consistent = !reply.interrupted;
		if (list->consistent)
			break;
	}
	if (list->count)
		qsort(list->pairs, list->count, sizeof(*list->pairs), by_id);
	return 0;
}

static int pair_message(const struct nlmsghdr *nlh, void *arg)
{
	return dms_decode(nlh, arg);
}

int dms_get(struct dms_client *c, uint32_t id, struct dms_pair *pair)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_PAIR_GET };
	struct shim_reply reply;

	dms_request_add(&request, DM_SYNC_A_PAIR_ID, id);
	return call(c, &request, pair_message, pair, &reply);
}

int dms_send(struct dms_client *c, const struct dms_request *request,
	     struct dms_pair *pair)
{
	struct dms_pair scratch;
	struct shim_reply reply;

	if (!pair)
		pair = &scratch;
	memset(pair, 0, sizeof(*pair));
	return call(c, request, pair_message, pair, &reply);
}

int dms_history(struct dms_client *c, uint32_t id, uint64_t since,
		struct dms_list *list)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_HISTORY_GET, .dump = true };
	struct shim_reply reply;
	int err;

	memset(list, 0, sizeof(*list));
	dms_request_add(&request, DM_SYNC_A_PAIR_ID, id);
	if (since)
		dms_request_add(&request, DM_SYNC_A_PAIR_EVENT_SEQ, since);
	err = call(c, &request, list_message, list, &reply);
	list->consistent = !reply.interrupted;
	if (err)
		dms_list_free(list);
	return err;
}

int dms_subscribe(struct dms_client *c, bool progress)
{
	const char *size = getenv("SYNCTL_RCVBUF");
	int err;

	if (c->replay)
		return 0;
	if (!c->family.id)
		return -DMS_ENOFAMILY;
	err = shim_open(&c->events, size ? atoi(size) : SHIM_EVENT_RCVBUF, true);
	if (err)
		return err;
	errno = 0;
	if (nl_socket_add_membership(c->events, c->family.monitor) < 0 ||
	    (progress && nl_socket_add_membership(c->events, c->family.progress) < 0))
		return errno ? -errno : -EIO;
	return 0;
}

static int event_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct genlmsghdr *genl = nlmsg_data(nlh);
	struct dms_client *c = arg;
	struct dms_event *more;
	struct dms_event *e;

	if (genl->cmd < DM_SYNC_CMD_PAIR_CREATE_NTF ||
	    genl->cmd > DM_SYNC_CMD_PAIR_PROGRESS_NTF)
		return 0;
	more = realloc(c->queue, (c->queued + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->queue = more;
	e = &c->queue[c->queued];
	e->kind = DMS_EVENT_CREATE + (genl->cmd - DM_SYNC_CMD_PAIR_CREATE_NTF);
	if (!dms_decode(nlh, &e->pair))
		c->queued++;
	return 0;
}

int dms_next(struct dms_client *c, int timeout_ms, struct dms_event *event)
{
	struct shim_reply reply = { 0 };
	int n;

	while (c->taken == c->queued) {
		c->taken = 0;
		c->queued = 0;
		if (c->replay) {
			n = replay_event(c->replay, event_message, c);
			if (n <= 0)
				return n ? n : -ENODATA;
			continue;
		}
		n = shim_wait(c->events, timeout_ms);
		if (n > 0)
			n = shim_receive(c->events, 0, event_message, c, &reply);
		if (n <= 0)
			return n;
	}
	*event = c->queue[c->taken++];
	return 1;
}
