/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which devices are in use by which mapped device.
 */
#ifndef DM_SYNC_CLAIM_H
#define DM_SYNC_CLAIM_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct mapped_device;

/**
 * struct dm_sync_claim - the devices of a context, a mirror or a store
 * @list: of all claims
 * @md: the source door; its contexts may share devices, or take them over
 * @source, @replica, @meta, @delta: where the context keeps their numbers, which may change
 *	while it lives; 0 is none
 * @store: the replica is a store
 * @retire: a successor with the same source door is about to be registered: take the
 *	context's pairs out of sight. Called with dm_sync_registry_lock held.
 */
struct dm_sync_claim {
	struct list_head list;
	struct mapped_device *md;
	const dev_t *source, *replica, *meta, *delta;
	bool store;
	void (*retire)(struct dm_sync_claim *claim);
};

/* Protects the lists of contexts, their tables counts, and claims. */
extern struct mutex dm_sync_registry_lock;

const char *dm_sync_claim_conflict(struct mapped_device *md, dev_t source, dev_t replica,
				   dev_t meta, dev_t delta, bool store);
void dm_sync_claim_add(struct dm_sync_claim *claim);
void dm_sync_claim_del(struct dm_sync_claim *claim);
void dm_sync_claim_retire(struct dm_sync_claim *successor);

#endif /* DM_SYNC_CLAIM_H */
