/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pair from the inside: for dm-sync-pair.c and the engines that have pairs.
 * Interfaces include dm-sync-pair.h instead.
 *
 * struct dm_sync_pair is what all pairs have, whatever moves their data: a
 * name, a state that is published, a history, a directory in sysfs.  An engine
 * has it as a member, tells it of every change (dm_sync_publish()), and answers
 * what depends on the engine through struct dm_sync_pair_ops.
 */
#ifndef DM_SYNC_PAIR_PRIV_H
#define DM_SYNC_PAIR_PRIV_H

#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>

#include "dm-sync-pair.h"

struct dm_table;
struct mapped_device;

/**
 * struct dm_sync_pair_ops - what an engine does for a pair of its own
 * @release: the last reference is gone: free the pair, after a grace period,
 *	for readers under RCU may still look at its reference count. May sleep; no
 *	lock held.
 * @facts: the facts as they are now, with those that are computed. Called with
 *	pair->lock held; must not sleep, and takes no lock that I/O, suspend or a
 *	dead device can hold (rule P).
 * @info: fill in what the engine knows: of the class's fields @percent,
 *	@rpo_objective and @rpo_measured, and all of ours but those of the identity,
 *	the reason, what is allowed and the door. The rest is there already; @f is
 *	what @facts gave. Called with pair->lock held, under the same terms.
 * @table: the table whose waiters hear of a change (dm_table_event()); NULL when
 *	none is live. May sleep; the event lock is held, pair->lock is not.
 * @operate: as dm_sync_pair_operate(). May sleep; no lock held.
 * @set: make one setting, as dm_sync_pair_set(), which tells listeners of it. May
 *	sleep; no lock held. -EOPNOTSUPP and a sentence for what it does not have.
 *
 * All are required.
 */
struct dm_sync_pair_ops {
	void (*release)(struct dm_sync_pair *pair);
	void (*facts)(struct dm_sync_pair *pair, struct dm_sync_facts *f);
	void (*info)(struct dm_sync_pair *pair, const struct dm_sync_facts *f,
		     struct dm_sync_info *info);
	struct dm_table *(*table)(struct dm_sync_pair *pair);
	int (*operate)(struct dm_sync_pair *pair, u32 operation, u32 flags,
		       const char **why);
	int (*set)(struct dm_sync_pair *pair, enum dm_sync_setting setting, u64 value,
		   const char **why);
};

/**
 * struct dm_sync_pair - one association source <-> replica, as all see it
 *
 * What is published is protected by @lock, a spinlock that is never held over
 * anything that can wait (rule P).  Who changes the state, and that no change
 * meets another half way, is the engine's business.
 */
struct dm_sync_pair {
	const struct dm_sync_pair_ops *ops;
	struct kref ref;
	struct rcu_head rcu;
	struct mapped_device *md;	/* the source door; other pairs may have the same */
	u32 id;				/* 0: not yet registered */
	bool gone;			/* detached or destroyed: not to be found any more */

	char name[DM_SYNC_NAME_LEN];
	u8 uuid[16];
	dev_t door, meta_dev, source_dev, replica_dev;

	/* published; @lock, taken with interrupts off */
	spinlock_t lock;
	struct dm_sync_state state;
	struct dm_sync_facts facts;	/* those that are stored; see @ops->facts */
	bool live;			/* operations are possible */
	u8 door_access;			/* of hosts to the replica; read without @lock too */
	u32 reason;
	u64 reason_time, sync_time;
	u32 generation;
	u64 event_seq;
	struct dm_sync_event_record history[DM_SYNC_HISTORY];
	u32 history_next;

	struct kobject *kobj;		/* the directory in sysfs; event lock */
};

static inline u64 dm_sync_now(void)
{
	return ktime_get_real_ns();
}

void dm_sync_pair_module_exit(void);
void dm_sync_pair_init(struct dm_sync_pair *p, const struct dm_sync_pair_ops *ops);
void dm_sync_pair_register(struct dm_sync_pair *p, struct kobject *parent,
			   const char *directory);
void dm_sync_pair_unregister(struct dm_sync_pair *p);
void dm_sync_pair_update_door(struct dm_sync_pair *p);
void dm_sync_publish(struct dm_sync_pair *p, const struct dm_sync_step *to,
		     u32 cause, u32 operation, u32 reason);
void dm_sync_publish_progress(struct dm_sync_pair *p);

#endif /* DM_SYNC_PAIR_PRIV_H */
