// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices are in use by which mapped device.
 *
 * Two doors must never write to the same device: not two pairs, and not a pair and
 * a store. Each context, of whatever personality, claims its devices when the first
 * table that names them is constructed and gives them back when the last one goes.
 * Contexts of one door are left alone, since a table that is loaded to take another's
 * place usually names the same devices; only one of them is ever active.
 *
 * To look for a conflict and to claim is one step, under the lock that also protects
 * each personality's list of contexts. Numbers are read where their owner keeps them;
 * he changes them at preresume, without the lock: who meets that moment sees the old
 * one or the new, as if he had come a little earlier or later.
 */
#include "dm-sync-claim.h"

DEFINE_MUTEX(dm_sync_registry_lock);
static LIST_HEAD(claims);

static const char *source_used = "The source is already used by another pair";
static const char *replica_used = "The replica is already used by another pair";
static const char *store_used = "The store is already used by another pair";
static const char *meta_used = "The metadata device is already used by another pair";
static const char *delta_used = "The delta device is already used by another pair";

static bool has(const struct dm_sync_claim *c, dev_t dev)
{
	return dev && (*c->source == dev || *c->replica == dev || (c->meta && *c->meta == dev) ||
		       (c->delta && *c->delta == dev));
}

/* Would these devices be written by two doors? */
static const char *conflict(const struct dm_sync_claim *c, dev_t source, dev_t replica,
			    dev_t meta, dev_t delta, bool store)
{
	const char *used = store ? store_used : replica_used;

	if (*c->replica == replica)
		return used;
	if (has(c, source))
		return source_used;
	if (has(c, replica))
		return used;
	if (has(c, meta))
		return meta_used;
	return has(c, delta) ? delta_used : NULL;
}

/**
 * dm_sync_claim_conflict - are these devices another door's
 * @md: the door that wants them
 * @source: device
 * @replica: device; that of the store, where there is one
 * @meta: device or 0
 * @delta: device or 0
 * @store: @replica is a store
 *
 * Context: dm_sync_registry_lock held.
 * Return: NULL, or a sentence for ti->error.
 */
const char *dm_sync_claim_conflict(struct mapped_device *md, dev_t source, dev_t replica,
				   dev_t meta, dev_t delta, bool store)
{
	struct dm_sync_claim *c;
	const char *why;

	list_for_each_entry(c, &claims, list) {
		if (c->md == md)
			continue;
		why = conflict(c, source, replica, meta, delta, store);
		if (why)
			return why;
	}
	return NULL;
}

/**
 * dm_sync_claim_add - claim the devices of a new context
 * @claim: the context's, complete; dm_sync_claim_conflict() found nothing
 *
 * Context: dm_sync_registry_lock held, since then.
 */
void dm_sync_claim_add(struct dm_sync_claim *claim)
{
	list_add_tail(&claim->list, &claims);
}

/**
 * dm_sync_claim_del - give them back
 * @claim: the context's; its last table goes
 *
 * Context: dm_sync_registry_lock held.
 */
void dm_sync_claim_del(struct dm_sync_claim *claim)
{
	list_del(&claim->list);
}

/**
 * dm_sync_claim_retire - take out of sight what a door was before
 * @successor: the context that is to be registered
 *
 * A reload with other devices, another geometry or another personality made a new
 * context; the old one stays until its table goes, which is after that.
 *
 * Context: may sleep; takes dm_sync_registry_lock.
 */
void dm_sync_claim_retire(struct dm_sync_claim *successor)
{
	struct dm_sync_claim *c;

	mutex_lock(&dm_sync_registry_lock);
	list_for_each_entry(c, &claims, list)
		if (c != successor && c->md == successor->md)
			c->retire(c);
	mutex_unlock(&dm_sync_registry_lock);
}
