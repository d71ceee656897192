// SPDX-License-Identifier: GPL-2.0-only
/* Recorded traffic in place of a kernel; see replay.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/genetlink.h>

#include "pair.h"
#include "replay.h"

struct replay {
	char *data;
	size_t size;
	size_t at;
	size_t last_dump;
	uint64_t now;
};

static const struct nlmsghdr *message_at(const struct replay *r, size_t at)
{
	const struct nlmsghdr *nlh = (const void *)(r->data + at);

	if (at + sizeof(*nlh) > r->size || nlh->nlmsg_len < sizeof(*nlh) ||
	    nlh->nlmsg_len > r->size - at)
		return NULL;
	return nlh;
}

static size_t after(const struct nlmsghdr *nlh)
{
	return NLMSG_ALIGN(nlh->nlmsg_len);
}

/* The command of a message of the family, 0 for anything else */
static uint8_t command(const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type <= GENL_ID_CTRL || nlh->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN))
		return 0;
	return ((const struct genlmsghdr *)NLMSG_DATA(nlh))->cmd;
}

static bool is_event(const struct nlmsghdr *nlh)
{
	return command(nlh) >= DM_SYNC_CMD_PAIR_CREATE_NTF;
}

static int load(struct replay *r, FILE *f)
{
	size_t room = 0;
	size_t n;

	for (;;) {
		if (r->size == room) {
			char *more = realloc(r->data, room += 65536);

			if (!more)
				return -ENOMEM;
			r->data = more;
		}
		n = fread(r->data + r->size, 1, room - r->size, f);
		if (!n)
			return ferror(f) ? -EIO : 0;
		r->size += n;
	}
}

/* The clock of the recording stands where its newest event was. */
static void find_now(struct replay *r)
{
	const struct nlmsghdr *nlh;
	struct dms_pair pair;
	size_t at;

	for (at = 0; (nlh = message_at(r, at)); at += after(nlh)) {
		if (!command(nlh) || command(nlh) == DM_SYNC_CMD_INFO_GET ||
		    dms_decode(nlh, &pair))
			continue;
		if (HAS(&pair, TIME) && GET(&pair, TIME) > r->now)
			r->now = GET(&pair, TIME);
	}
}

int replay_open(const char *path, struct replay **replay)
{
	struct replay *r = calloc(1, sizeof(*r));
	FILE *f = fopen(path, "rb");
	int err;

	if (!r || !f) {
		err = r ? -errno : -ENOMEM;
		free(r);
		if (f)
			fclose(f);
		return err;
	}
	err = load(r, f);
	fclose(f);
	if (err) {
		replay_close(r);
		return err;
	}
	find_now(r);
	*replay = r;
	return 0;
}

void replay_close(struct replay *r)
{
	free(r->data);
	free(r);
}

int replay_info(struct replay *r, shim_fn fn, void *arg)
{
	const struct nlmsghdr *nlh, *found = NULL;
	size_t at;

	/* The next one, or else the last one before. */
	for (at = 0; (nlh = message_at(r, at)); at += after(nlh)) {
		if (command(nlh) != DM_SYNC_CMD_INFO_GET)
			continue;
		found = nlh;
		if (at >= r->at)
			break;
	}
	return found ? fn(found, arg) : -ENOENT;
}

static bool starts_dump(const struct nlmsghdr *nlh, uint8_t cmd)
{
	return command(nlh) == cmd || nlh->nlmsg_type == NLMSG_DONE;
}

int replay_dump(struct replay *r, uint8_t cmd, shim_fn fn, void *arg,
		struct shim_reply *reply)
{
	const struct nlmsghdr *nlh;
	size_t at = r->at;
	int err;

	memset(reply, 0, sizeof(*reply));
	while ((nlh = message_at(r, at)) && !starts_dump(nlh, cmd))
		at += after(nlh);
	if (!nlh)
		at = r->last_dump;
	r->last_dump = at;
	for (; (nlh = message_at(r, at)) && starts_dump(nlh, cmd); at += after(nlh)) {
		err = shim_parse(nlh, nlh->nlmsg_len, 0, fn, arg, reply);
		if (err)
			return err;
		if (reply->ended) {
			at += after(nlh);
			break;
		}
	}
	r->at = at;
	return -reply->error.err;
}

int replay_ack(struct replay *r, struct shim_reply *reply)
{
	const struct nlmsghdr *nlh;
	size_t at;

	memset(reply, 0, sizeof(*reply));
	for (at = r->at; (nlh = message_at(r, at)); at += after(nlh)) {
		if (nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		r->at = at + after(nlh);
		shim_parse(nlh, nlh->nlmsg_len, 0, NULL, NULL, reply);
		break;
	}
	return -reply->error.err;
}

int replay_event(struct replay *r, shim_fn fn, void *arg)
{
	const struct nlmsghdr *nlh;

	while ((nlh = message_at(r, r->at)) && !starts_dump(nlh, DM_SYNC_CMD_PAIR_GET)) {
		r->at += after(nlh);
		if (is_event(nlh)) {
			int err = fn(nlh, arg);

			return err ? err : 1;
		}
	}
	return nlh ? -ENOBUFS : 0;
}

uint64_t replay_now(const struct replay *r)
{
	return r->now;
}
