/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What libnl 3.7 leaves out. It opens the socket, builds messages and reads
 * datagrams of any size; the answers are read here, because the library
 *
 *   does not know extended ACKs: neither their text nor the attribute at fault;
 *   takes a dump that failed half way (the error is in NLMSG_DONE) for success;
 *   folds most errno values into "unspecific failure";
 *   calls a lost event "out of memory", and loses them early, having asked for
 *   a receive buffer of 32 KiB.
 */
#ifndef SYNCTL_SHIM_H
#define SYNCTL_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>

#define SHIM_TEXT_MAX		256
#define SHIM_EVENT_RCVBUF	(4 << 20)

/**
 * struct shim_error - everything the kernel said about a request
 * @err: errno, positive; 0 on success
 * @text: text of the extended ACK, or empty; a remark when @err is 0
 * @offset: of the attribute at fault in the request, or 0
 * @missing: number of the attribute that is missing, or 0
 * @has_range: @min and @max say what the policy admits
 * @min: smallest legal value
 * @max: largest legal value
 */
struct shim_error {
	int err;
	char text[SHIM_TEXT_MAX];
	uint32_t offset;
	uint32_t missing;
	bool has_range;
	uint64_t min;
	uint64_t max;
};

/**
 * struct shim_reply - how an exchange stands
 * @ended: the ACK, the error or the end of the dump was seen
 * @interrupted: the dump changed under the kernel's hands and may be incomplete
 * @error: of the exchange
 */
struct shim_reply {
	bool ended;
	bool interrupted;
	struct shim_error error;
};

/* Called for each message that carries data. Not 0 ends the parsing. */
typedef int (*shim_fn)(const struct nlmsghdr *nlh, void *arg);

/**
 * shim_parse() - read one datagram
 * @buf: the datagram
 * @len: its length
 * @seq: sequence number of the request, 0 for any
 * @fn: gets the messages with data
 * @arg: handed to @fn
 * @reply: updated
 *
 * Context: touches nothing but its arguments, so crafted datagrams test it.
 * Return: 0, or what @fn returned, or -EBADMSG for a datagram cut short.
 */
int shim_parse(const void *buf, size_t len, uint32_t seq, shim_fn fn, void *arg,
	       struct shim_reply *reply);

/**
 * shim_open() - a generic netlink socket
 * @sk: where it goes
 * @rcvbuf: size of the receive buffer in bytes, 0 for a plain one
 * @events: it will listen to multicast groups
 *
 * Extended and capped ACKs are on; it does not block.
 * Return: 0 or a negative errno.
 */
int shim_open(struct nl_sock **sk, int rcvbuf, bool events);

/**
 * shim_wait() - wait until a socket can be read
 * @sk: the socket
 * @timeout_ms: longest wait, negative for ever
 *
 * Return: 1 when there is something, 0 after the time, -EINTR after a signal.
 */
int shim_wait(struct nl_sock *sk, int timeout_ms);

/**
 * shim_receive() - read what has come and hand it on
 * @sk: the socket
 * @seq: sequence number of the request, 0 for any
 * @fn: gets the messages with data
 * @arg: handed to @fn
 * @reply: updated
 *
 * Return: 1 after a datagram, 0 when there is none, -ENOBUFS when messages were
 * lost, or another negative errno.
 */
int shim_receive(struct nl_sock *sk, uint32_t seq, shim_fn fn, void *arg,
		 struct shim_reply *reply);

/**
 * shim_exchange() - send a request and read the answer to its end
 * @sk: the socket
 * @msg: the request; NLM_F_ACK is added
 * @timeout_ms: longest wait for each datagram
 * @fn: gets the messages with data
 * @arg: handed to @fn
 * @reply: how it went
 *
 * Return: 0 or a negative errno, the raw one of the kernel.
 */
int shim_exchange(struct nl_sock *sk, struct nl_msg *msg, int timeout_ms,
		  shim_fn fn, void *arg, struct shim_reply *reply);

struct shim_family {
	const char *name;
	uint16_t id;
	uint32_t monitor;
	uint32_t progress;
};

/**
 * shim_resolve() - ask the controller for a family
 * @sk: the socket
 * @family: name in, number and groups "monitor" and "progress" out
 * @reply: how it went
 *
 * Return: 0, -ENOENT when there is no such family here, or another errno.
 */
int shim_resolve(struct nl_sock *sk, struct shim_family *family,
		 struct shim_reply *reply);

/**
 * shim_attr_at() - which attribute of a request lies at an offset
 * @nlh: the request
 * @offset: from its start
 *
 * Return: number of the attribute, 0 when there is none.
 */
unsigned int shim_attr_at(const struct nlmsghdr *nlh, uint32_t offset);

/* Each datagram that arrives is also given to this, for recording. */
extern void (*shim_tap)(const void *buf, size_t len);

#endif /* SYNCTL_SHIM_H */
