// SPDX-License-Identifier: GPL-2.0-only
/* What libnl 3.7 leaves out; shim.h says what that is. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "shim.h"

#define SHIM_TIMEOUT_MS	5000

void (*shim_tap)(const void *buf, size_t len);

/*
 * The value limits of a policy. They are nested, 64 bits wide, and the text
 * "integer out of range" is of no use without them.
 */
static void parse_policy(struct nlattr *nest, struct shim_error *error)
{
	struct nlattr *tb[NL_POLICY_TYPE_ATTR_MAX + 1];

	if (nla_parse_nested(tb, NL_POLICY_TYPE_ATTR_MAX, nest, NULL) < 0)
		return;
	if (!tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_U] || !tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_U])
		return;
	if (nla_len(tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]) < 8 ||
	    nla_len(tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_U]) < 8)
		return;
	error->min = nla_get_u64(tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]);
	error->max = nla_get_u64(tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_U]);
	error->has_range = true;
}

static void parse_extack(struct nlattr *head, int len, struct shim_error *error)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];

	if (len <= 0 || nla_parse(tb, NLMSGERR_ATTR_MAX, head, len, NULL) < 0)
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		nla_strlcpy(error->text, tb[NLMSGERR_ATTR_MSG], sizeof(error->text));
	if (tb[NLMSGERR_ATTR_OFFS] && nla_len(tb[NLMSGERR_ATTR_OFFS]) >= 4)
		error->offset = nla_get_u32(tb[NLMSGERR_ATTR_OFFS]);
	if (tb[NLMSGERR_ATTR_MISS_TYPE] && nla_len(tb[NLMSGERR_ATTR_MISS_TYPE]) >= 4)
		error->missing = nla_get_u32(tb[NLMSGERR_ATTR_MISS_TYPE]);
	if (tb[NLMSGERR_ATTR_POLICY])
		parse_policy(tb[NLMSGERR_ATTR_POLICY], error);
}

/*
 * After the fixed part of an NLMSG_ERROR comes the request, whole or, capped,
 * its header alone, and after that the attributes of the extended ACK. The
 * length in the inner header is that of the whole request in both cases.
 */
static int parse_error(const struct nlmsghdr *nlh, struct shim_reply *reply)
{
	const struct nlmsgerr *e = nlmsg_data(nlh);
	size_t len = nlmsg_datalen(nlh);
	size_t skip = sizeof(*e);
	uint32_t inner;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return -EBADMSG;
	reply->ended = true;
	reply->error.err = -e->error;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;
	inner = e->msg.nlmsg_len;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		if (inner < NLMSG_HDRLEN || inner > len)
			return 0;
		skip += NLMSG_ALIGN(inner) - NLMSG_HDRLEN;
	}
	if (skip < len)
		parse_extack((struct nlattr *)((char *)nlmsg_data(nlh) + skip),
			     len - skip, &reply->error);
	return 0;
}

/* The end of a dump carries its result, and an extended ACK after it. */
static int parse_done(const struct nlmsghdr *nlh, struct shim_reply *reply)
{
	int len = nlmsg_datalen(nlh);
	int err;

	reply->ended = true;
	if (len < (int)sizeof(err))
		return 0;
	memcpy(&err, nlmsg_data(nlh), sizeof(err));
	if (err < 0)
		reply->error.err = -err;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		parse_extack((struct nlattr *)((char *)nlmsg_data(nlh) + NLMSG_ALIGN(sizeof(err))),
			     len - (int)NLMSG_ALIGN(sizeof(err)), &reply->error);
	return 0;
}

int shim_parse(const void *buf, size_t size, uint32_t seq, shim_fn fn, void *arg,
	       struct shim_reply *reply)
{
	const struct nlmsghdr *nlh = buf;
	int len = size;
	int err;

	for (; nlmsg_ok(nlh, len); nlh = nlmsg_next((struct nlmsghdr *)nlh, &len)) {
		if (seq && nlh->nlmsg_seq != seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			reply->interrupted = true;
		switch (nlh->nlmsg_type) {
		case NLMSG_NOOP:
			err = 0;
			break;
		case NLMSG_ERROR:
			err = parse_error(nlh, reply);
			break;
		case NLMSG_DONE:
			err = parse_done(nlh, reply);
			break;
		case NLMSG_OVERRUN:
			err = -ENOBUFS;
			break;
		default:
			err = fn ? fn(nlh, arg) : 0;
		}
		if (err)
			return err;
	}
	return len > 0 ? -EBADMSG : 0;
}

static void set_buffer(int fd, int size)
{
	/* Beyond net.core.rmem_max only the forced form, which needs root. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int shim_open(struct nl_sock **sk, int rcvbuf, bool events)
{
	int one = 1;
	int err;
	int fd;

	*sk = nl_socket_alloc();
	if (!*sk)
		return -ENOMEM;
	if (events)
		nl_socket_disable_seq_check(*sk);
	errno = 0;
	if (nl_connect(*sk, NETLINK_GENERIC) < 0) {
		err = errno ? -errno : -EPROTONOSUPPORT;
		nl_socket_free(*sk);
		*sk = NULL;
		return err;
	}
	fd = nl_socket_get_fd(*sk);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (rcvbuf)
		set_buffer(fd, rcvbuf);
	nl_socket_enable_msg_peek(*sk);
	nl_socket_set_nonblocking(*sk);
	return 0;
}

int shim_wait(struct nl_sock *sk, int timeout_ms)
{
	struct pollfd p = { .fd = nl_socket_get_fd(sk), .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	return n < 0 ? -errno : n;
}

int shim_receive(struct nl_sock *sk, uint32_t seq, shim_fn fn, void *arg,
		 struct shim_reply *reply)
{
	struct sockaddr_nl from = { 0 };
	unsigned char *buf = NULL;
	int err;
	int n;

	errno = 0;
	n = nl_recv(sk, &from, &buf, NULL);
	if (n < 0) {
		/* The library says "out of memory" for an overrun; errno knows. */
		if (errno == ENOBUFS)
			return -ENOBUFS;
		if (n == -NLE_AGAIN || errno == EAGAIN)
			return 0;
		return errno ? -errno : -EIO;
	}
	if (n == 0)
		return 0;
	err = 0;
	if (from.nl_pid == 0) {
		if (shim_tap)
			shim_tap(buf, n);
		err = shim_parse(buf, n, seq, fn, arg, reply);
	}
	free(buf);
	return err ? err : 1;
}

int shim_exchange(struct nl_sock *sk, struct nl_msg *msg, int timeout_ms,
		  shim_fn fn, void *arg, struct shim_reply *reply)
{
	uint32_t seq;
	int n;

	memset(reply, 0, sizeof(*reply));
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK;
	nl_complete_msg(sk, msg);
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	errno = 0;
	n = nl_send(sk, msg);
	if (n < 0)
		return errno ? -errno : -EIO;
	while (!reply->ended) {
		n = shim_wait(sk, timeout_ms);
		if (n == 0)
			n = -ETIMEDOUT;
		if (n > 0)
			n = shim_receive(sk, seq, fn, arg, reply);
		if (n < 0) {
			reply->error.err = -n;
			return n;
		}
	}
	return -reply->error.err;
}

static int family_group(struct nlattr *nest, struct shim_family *family)
{
	struct nlattr *tb[CTRL_ATTR_MCAST_GRP_MAX + 1];
	const char *name;

	if (nla_parse_nested(tb, CTRL_ATTR_MCAST_GRP_MAX, nest, NULL) < 0)
		return -EBADMSG;
	if (!tb[CTRL_ATTR_MCAST_GRP_NAME] || !tb[CTRL_ATTR_MCAST_GRP_ID])
		return 0;
	name = nla_get_string(tb[CTRL_ATTR_MCAST_GRP_NAME]);
	if (!strcmp(name, "monitor"))
		family->monitor = nla_get_u32(tb[CTRL_ATTR_MCAST_GRP_ID]);
	else if (!strcmp(name, "progress"))
		family->progress = nla_get_u32(tb[CTRL_ATTR_MCAST_GRP_ID]);
	return 0;
}

static int family_message(const struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[CTRL_ATTR_MAX + 1];
	struct shim_family *family = arg;
	struct nlattr *group;
	int rem;

	if (genlmsg_parse((struct nlmsghdr *)nlh, 0, tb, CTRL_ATTR_MAX, NULL) < 0)
		return -EBADMSG;
	if (tb[CTRL_ATTR_FAMILY_ID])
		family->id = nla_get_u16(tb[CTRL_ATTR_FAMILY_ID]);
	if (!tb[CTRL_ATTR_MCAST_GROUPS])
		return 0;
	nla_for_each_nested(group, tb[CTRL_ATTR_MCAST_GROUPS], rem)
		if (family_group(group, family))
			return -EBADMSG;
	return 0;
}

int shim_resolve(struct nl_sock *sk, struct shim_family *family,
		 struct shim_reply *reply)
{
	struct nl_msg *msg = nlmsg_alloc();
	int err = -ENOMEM;

	if (!msg)
		return err;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0, 0,
			CTRL_CMD_GETFAMILY, 1) &&
	    !nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, family->name))
		err = shim_exchange(sk, msg, SHIM_TIMEOUT_MS, family_message, family, reply);
	nlmsg_free(msg);
	return err;
}

unsigned int shim_attr_at(const struct nlmsghdr *nlh, uint32_t offset)
{
	struct nlattr *attr;
	int rem;

	nlmsg_for_each_attr(attr, (struct nlmsghdr *)nlh, GENL_HDRLEN, rem)
		if ((uint32_t)((char *)attr - (const char *)nlh) == offset)
			return nla_type(attr);
	return 0;
}
