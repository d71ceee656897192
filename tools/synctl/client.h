/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client of the family "dm-sync": connect, ask, operate, listen. It prints
 * nothing and knows nothing of commands or options, so other programs can be
 * built on it. All functions return 0 (or what they say) or a negative errno;
 * dms_error() has what the kernel said about it.
 *
 * With SYNCTL_REPLAY=FILE in the environment the answers come from a file of
 * recorded netlink messages, and with SYNCTL_RECORD=FILE every datagram that
 * arrives is appended to a file. SYNCTL_RCVBUF is the size of the receive buffer
 * for events, in bytes.
 */
#ifndef SYNCTL_CLIENT_H
#define SYNCTL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "pair.h"
#include "shim.h"

/* The family is not there: no module, or another network namespace. */
#define DMS_ENOFAMILY	ENOPKG

struct dms_client;

struct dms_info {
	char version[64];
	uint32_t abi;
	uint64_t event_seq;
	uint32_t pairs;
	uint32_t features;
};

struct dms_list {
	struct dms_pair *pairs;
	unsigned int count;
	bool consistent;
};

/*
 * A request is a command and numbers; pairs are addressed by their id. Names, of what
 * has no id yet, are not copied.
 */
#define DMS_REQUEST_ATTRS	8
struct dms_request {
	uint8_t cmd;
	bool dump;
	unsigned int count;
	struct {
		uint16_t type;
		uint64_t value;
		const char *text;
	} attrs[DMS_REQUEST_ATTRS];
};

struct dms_error {
	struct shim_error kernel;
	/* The attribute at fault, NULL when the kernel named none */
	const struct spec_attr *attr;
	bool attr_missing;
};

enum dms_event_kind {
	DMS_EVENT_CREATE,
	DMS_EVENT_CHANGE,
	DMS_EVENT_DELETE,
	DMS_EVENT_PROGRESS,
};

struct dms_event {
	enum dms_event_kind kind;
	struct dms_pair pair;
};

/**
 * dms_open() - connect
 * @client: where the handle goes
 *
 * Return: 0 also when the family is not there; dms_loaded() tells.
 */
int dms_open(struct dms_client **client);
void dms_close(struct dms_client *client);
bool dms_loaded(const struct dms_client *client);

/**
 * dms_absence() - why the family is not there
 *
 * The wire says "no such object" for all of it, so look around.
 * Return: 'm' the module is not loaded, 'n' this is another network namespace,
 * '?' the module is loaded and the family missing all the same.
 */
int dms_absence(void);

const struct dms_error *dms_error(const struct dms_client *client);

int dms_info(struct dms_client *client, struct dms_info *info);

/**
 * dms_dump() - all pairs
 * @client: the connection
 * @list: filled; ordered by id; to be given to dms_list_free()
 *
 * A dump that the kernel marks as interrupted is repeated up to three times,
 * after which @list->consistent is false.
 */
int dms_dump(struct dms_client *client, struct dms_list *list);
void dms_list_free(struct dms_list *list);
int dms_get(struct dms_client *client, uint32_t id, struct dms_pair *pair);

/**
 * dms_request_add() - put a number into a request
 * @request: the request
 * @type: attribute of the set "pair"
 * @value: its value
 */
void dms_request_add(struct dms_request *request, uint16_t type, uint64_t value);

/* The same for a name. @text must stay until the request was sent. */
void dms_request_add_text(struct dms_request *request, uint16_t type, const char *text);

/**
 * dms_send() - send a request that changes something
 * @client: the connection
 * @request: pair-op, pair-set or image-create
 * @pair: the pair as it is after acceptance, or NULL
 */
int dms_send(struct dms_client *client, const struct dms_request *request,
	     struct dms_pair *pair);

/* Events that the kernel remembers of pair @id, newer than @since */
int dms_history(struct dms_client *client, uint32_t id, uint64_t since,
		struct dms_list *list);

/**
 * dms_subscribe() - listen to events
 * @client: the connection
 * @progress: also how copies get on
 *
 * Subscribe before the dump: then nothing falls between them.
 */
int dms_subscribe(struct dms_client *client, bool progress);

/**
 * dms_next() - the next event
 * @client: the connection
 * @timeout_ms: longest wait, negative for ever
 * @event: filled
 *
 * Return: 1 for an event, 0 after the time, -ENOBUFS when events were lost and
 * a dump is needed, -EINTR after a signal, -ENODATA when a replay has ended.
 */
int dms_next(struct dms_client *client, int timeout_ms, struct dms_event *event);

/* Now, in nanoseconds since 1970; in a replay the time of the recording */
uint64_t dms_now(const struct dms_client *client);

#endif /* SYNCTL_CLIENT_H */
