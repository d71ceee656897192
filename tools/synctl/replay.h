/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recorded traffic in place of a kernel. The file is a row of netlink messages
 * as they came. A dump is answered with the next run of pair-get messages, or
 * the last one again; events are the notifications between two dumps; a
 * request that changes something takes the next NLMSG_ERROR.
 */
#ifndef SYNCTL_REPLAY_H
#define SYNCTL_REPLAY_H

#include "shim.h"

struct replay;

int replay_open(const char *path, struct replay **replay);
void replay_close(struct replay *replay);
int replay_info(struct replay *replay, shim_fn fn, void *arg);
int replay_dump(struct replay *replay, uint8_t cmd, shim_fn fn, void *arg,
		struct shim_reply *reply);
int replay_ack(struct replay *replay, struct shim_reply *reply);
/* 1 for an event, 0 at the end, -ENOBUFS where the recorded program dumped again */
int replay_event(struct replay *replay, shim_fn fn, void *arg);
uint64_t replay_now(const struct replay *replay);

#endif /* SYNCTL_REPLAY_H */
