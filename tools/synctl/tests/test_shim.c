// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shim, gap by gap: against the family controller "nlctrl" of the kernel
 * that runs, and where no kernel can be made to answer so, against crafted
 * datagrams.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "../shim.h"
#include "tap.h"

static char buffer[4096] __attribute__((aligned(8)));

static struct nlmsghdr *start(size_t at, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(buffer + at);

	memset(buffer + at, 0, sizeof(buffer) - at);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	nlh->nlmsg_len = NLMSG_HDRLEN;
	return nlh;
}

static void add(struct nlmsghdr *nlh, const void *data, size_t len)
{
	memcpy((char *)nlh + nlh->nlmsg_len, data, len);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len + len);
}

static void add_attr(struct nlmsghdr *nlh, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = { .nla_type = type, .nla_len = NLA_HDRLEN + len };

	add(nlh, &a, sizeof(a));
	add(nlh, data, len);
}

static int parse(size_t len, struct shim_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	return shim_parse(buffer, len, 0, NULL, NULL, reply);
}

static void crafted_done(void)
{
	struct shim_reply reply;
	struct nlmsghdr *nlh;
	int err = -EIO;

	nlh = start(0, NLMSG_DONE, NLM_F_MULTI);
	add(nlh, &err, sizeof(err));
	parse(nlh->nlmsg_len, &reply);
	tap(reply.ended && reply.error.err == EIO, "the error in NLMSG_DONE is seen");

	nlh = start(0, NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS);
	add(nlh, &err, sizeof(err));
	add_attr(nlh, NLMSGERR_ATTR_MSG, "half way", 9);
	parse(nlh->nlmsg_len, &reply);
	tap(!strcmp(reply.error.text, "half way"), "and the text after it");

	nlh = start(0, NLMSG_DONE, NLM_F_MULTI);
	parse(nlh->nlmsg_len, &reply);
	tap(reply.ended && !reply.error.err, "NLMSG_DONE without a result is success");

	err = 0;
	nlh = start(0, NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR);
	add(nlh, &err, sizeof(err));
	parse(nlh->nlmsg_len, &reply);
	tap(reply.interrupted, "an interrupted dump is seen");
}

static struct nlmsghdr *error_message(int err, bool capped, uint32_t request_len)
{
	struct nlmsgerr e = { .error = err, .msg = { .nlmsg_len = request_len } };
	struct nlmsghdr *nlh = start(0, NLMSG_ERROR, NLM_F_ACK_TLVS |
				     (capped ? NLM_F_CAPPED : 0));
	char payload[64] = "";

	add(nlh, &e, sizeof(e));
	if (!capped && request_len <= sizeof(payload))
		add(nlh, payload, NLMSG_ALIGN(request_len) - NLMSG_HDRLEN);
	return nlh;
}

static void crafted_error(void)
{
	struct shim_reply reply;
	struct nlmsghdr *nlh;
	uint32_t number = 28;

	nlh = error_message(-EBUSY, true, 40);
	add_attr(nlh, NLMSGERR_ATTR_MSG, "busy", 5);
	add_attr(nlh, NLMSGERR_ATTR_OFFS, &number, sizeof(number));
	parse(nlh->nlmsg_len, &reply);
	tap(reply.error.err == EBUSY && !strcmp(reply.error.text, "busy") &&
	    reply.error.offset == 28, "a capped error: errno, text and offset");

	nlh = error_message(-ENOSPC, false, 40);
	add_attr(nlh, NLMSGERR_ATTR_MSG, "full", 5);
	parse(nlh->nlmsg_len, &reply);
	tap(reply.error.err == ENOSPC && !strcmp(reply.error.text, "full"),
	    "an uncapped error: the text after the request");

	nlh = error_message(0, true, 40);
	add_attr(nlh, NLMSGERR_ATTR_MSG, "by the way", 11);
	parse(nlh->nlmsg_len, &reply);
	tap(reply.ended && !reply.error.err && !strcmp(reply.error.text, "by the way"),
	    "a remark on success");

	number = 7;
	nlh = error_message(-EINVAL, true, 40);
	add_attr(nlh, NLMSGERR_ATTR_MISS_TYPE, &number, sizeof(number));
	parse(nlh->nlmsg_len, &reply);
	tap(reply.error.missing == 7, "the number of a missing attribute");

	nlh = error_message(-EINVAL, false, 4000);
	parse(nlh->nlmsg_len, &reply);
	tap(reply.error.err == EINVAL && !reply.error.text[0],
	    "a request longer than the datagram is not followed");
}

static void crafted_short(void)
{
	struct shim_reply reply;
	struct nlmsghdr *nlh = start(0, NLMSG_ERROR, 0);
	int n;

	tap(parse(nlh->nlmsg_len, &reply) == -EBADMSG, "an error without a body is refused");
	nlh = start(0, 0x20, 0);
	nlh->nlmsg_len = 4000;
	tap(parse(100, &reply) == -EBADMSG, "a message longer than the datagram is refused");
	nlh = start(0, NLMSG_OVERRUN, 0);
	tap(parse(nlh->nlmsg_len, &reply) == -ENOBUFS, "an overrun is a loss");

	/* Garbage of every length must neither be taken nor crash. */
	srand(1);
	for (n = 0; n < 20000; n++) {
		size_t len = rand() % 256;
		size_t i;

		for (i = 0; i < len; i++)
			buffer[i] = rand();
		if (n & 1 && len >= NLMSG_HDRLEN) {
			nlh = (struct nlmsghdr *)buffer;
			nlh->nlmsg_len = rand() % (len + 8);
			nlh->nlmsg_type = rand() % 5;
			nlh->nlmsg_flags = NLM_F_ACK_TLVS;
		}
		parse(len, &reply);
	}
	tap(true, "20000 datagrams of garbage");
}

static struct nl_sock *sk;

static int ask(int cmd, bool dump, const char *name, struct shim_reply *reply)
{
	struct nl_msg *msg = nlmsg_alloc();
	int err;

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0,
		    dump ? NLM_F_DUMP : 0, cmd, 1);
	if (name)
		nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, name);
	err = shim_exchange(sk, msg, 2000, NULL, NULL, reply);
	nlmsg_free(msg);
	return err;
}

static void kernel_errors(void)
{
	struct shim_family family = { .name = "nlctrl" };
	struct shim_reply reply;

	tap(!shim_resolve(sk, &family, &reply) && family.id == GENL_ID_CTRL,
	    "kernel: a family is found");
	family.name = "no-such-family";
	tap(shim_resolve(sk, &family, &reply) == -ENOENT,
	    "kernel: an unknown family is ENOENT, not something folded");
	tap(ask(99, false, NULL, &reply) == -EOPNOTSUPP,
	    "kernel: an unknown command is EOPNOTSUPP");
	tap(ask(CTRL_CMD_GETFAMILY, false, NULL, &reply) == -EINVAL,
	    "kernel: a request without a family is EINVAL");
	tap(ask(CTRL_CMD_GETFAMILY, true, NULL, &reply) == 0 && reply.ended,
	    "kernel: a dump ends");
	ask(CTRL_CMD_GETFAMILY, false, "a-name-that-is-longer-than-a-family's-may-be", &reply);
	tap(reply.error.err == ERANGE || reply.error.err == EINVAL,
	    "kernel: a name too long is refused");
	tap(reply.error.text[0], "kernel: with a text");
	tap(reply.error.offset == NLMSG_HDRLEN + GENL_HDRLEN,
	    "kernel: and the offset of the attribute");
}

/* GETPOLICY of a family that is not there fails in the dump's first call. */
static void kernel_dump_error(void)
{
	struct shim_reply reply;
	int err = ask(CTRL_CMD_GETPOLICY, true, "no-such-family", &reply);

	tap(err == -ENOENT, "kernel: a dump that cannot start is an error");
	tap(shim_wait(sk, 100) == 0, "kernel: nothing is left over after it");
}

static void kernel_buffers(void)
{
	socklen_t len = sizeof(int);
	struct nl_sock *events;
	int size = 0;

	if (shim_open(&events, SHIM_EVENT_RCVBUF, true)) {
		tap(false, "an event socket opens");
		return;
	}
	getsockopt(nl_socket_get_fd(events), SOL_SOCKET, SO_RCVBUF, &size, &len);
	tap(size > 200000, "the receive buffer is larger than libnl's 32 KiB");
	if (geteuid() == 0)
		tap(size >= SHIM_EVENT_RCVBUF, "and beyond rmem_max for root");
	else
		tap_skip("and beyond rmem_max for root", "not root");
	tap(shim_wait(events, 10) == 0, "waiting ends after its time");
	nl_socket_free(events);
}

/* Dumps pile up in a small buffer until the kernel has to drop what it sends. */
static void kernel_overrun(void)
{
	struct shim_reply reply = { 0 };
	struct nl_sock *slow;
	int size = 1;
	int n, i, lost = 0;

	if (shim_open(&slow, 0, true))
		return;
	setsockopt(nl_socket_get_fd(slow), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (i = 0; i < 200; i++) {
		struct nl_msg *msg = nlmsg_alloc();

		genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0, NLM_F_ACK, 99, 1);
		nl_complete_msg(slow, msg);
		nl_send(slow, msg);
		nlmsg_free(msg);
	}
	do {
		n = shim_receive(slow, 0, NULL, NULL, &reply);
		lost |= n == -ENOBUFS;
	} while (n > 0 || n == -ENOBUFS);
	tap(lost, "kernel: an overrun is ENOBUFS, not \"out of memory\"");
	nl_socket_free(slow);
}

int main(void)
{
	crafted_done();
	crafted_error();
	crafted_short();
	if (shim_open(&sk, 1 << 20, false)) {
		tap(false, "a generic netlink socket opens");
		return 1;
	}
	kernel_errors();
	kernel_dump_error();
	kernel_buffers();
	kernel_overrun();
	nl_socket_free(sk);
	return tap_failed;
}
