// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store that does not answer does not hold the source.  (Rule Q)
 *
 * A host write waits for what it changes to be saved. If the store's device neither does that
 * nor fails, the committer waits for it, and the write with it. Here is what ends that: after
 * hold_max without a step of the committer, or data of a batch that arrived, host writes go on
 * unsaved, and all images are lost. A device that is only slow shows one or the other in that time.
 * "The source never stops because of its images" stands above the images.
 *
 * What happens then, in this order:
 *
 *	lost	images, in memory. I/O of their doors that ends later fails (rule S-read: an
 *		image read of the source that is under way is told so), and none begins.
 *	hung	from now on nothing needs to be saved; writes pass the look.
 *	let go	saves of host writes are done, with -ECANCELED. Save and pages are the
 *		committer's from now on, who may have bios in flight with them: the write
 *		goes on without (s->orphans).
 *
 * When the device has answered after all, whatever it says, the committer comes to its next
 * step and finds out; it is kicked, as the step that took so long may have been its last. The
 * end of a suspend finds out, too, if it has commit_lock before that. Who does gives all images
 * up as those of a store that failed: their records say LOST, the view forgets them. Then "hung"
 * is not needed any more, as there is no image; and the orphans are freed, as nothing is in
 * flight. If it never answers, they stay.
 *
 * What rule S-invalid asks for, the record before the write, cannot be had from a device that
 * does not answer. A power cut while it is hung leaves records of images that look whole, and
 * a source that has gone on. That is logged when it begins. It is no other than with a store that
 * fails so that not even the record can be written.
 *
 * What waits longer all the same: a point in time or a restore that meets a device which stopped
 * answering a moment ago, with the gate closed (the store is asked before that); writes to
 * what a restore has not brought back, whose data is in the store and nowhere else; and writes
 * to what an image read has found part in the source, part in the store, while it reads both.
 * A suspend of the source door waits for the device.
 *
 * Locks: all here is under save_lock, with interrupts off, and waits for nothing; it runs in a
 * timer, so that no queue whose workers the device has can keep it from that. The committer says
 * when it is under way, and when it does a step; and where it waits for the device, or for
 * commit_lock, which may be held by somebody who does: it is away then, and does not go through
 * s->saves, although it may have some of them in its batch. Only while it is away saves are taken
 * from the list. The timer is set when it begins, and looks again when that was not long ago.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/timer.h>

#include "dm-sync-store.h"

#define DM_MSG_PREFIX "sync"

#define LOOK_AGAIN	HZ

static unsigned long patience(const struct dm_sync_store *s)
{
	return (READ_ONCE(s->hold_max) ?: DM_SYNC_HOLD_MAX) * HZ;
}

/* Does a host's write wait? */
static bool anyone_waits(struct dm_sync_store *s)
{
	struct dm_sync_save *save;

	list_for_each_entry(save, &s->saves, list)
		if (save->yields)
			return true;
	return !list_empty(&s->waiters);
}

static void let_go(struct dm_sync_store *s)
{
	struct dm_sync_save *save, *next;

	dm_sync_images_lose(s, DM_SYNC_REASON_STORE_FAILED);
	smp_mb();	/* whoever finds a write let through finds the images lost */
	WRITE_ONCE(s->hung, true);
	list_for_each_entry_safe(save, next, &s->saves, list) {
		if (!save->yields)
			continue;
		list_move_tail(&save->list, &s->orphans);
		save->done(save, -ECANCELED);
	}
	queue_work(s->conductor, &s->hung_work);
	DMERR("%s: the store does not answer. Its images are lost, the source goes on; they must not be used if the machine stops before it answers",
	      s->name);
}

static void do_patience(struct timer_list *timer)
{
	struct dm_sync_store *s = container_of(timer, struct dm_sync_store, patience);
	unsigned long flags, end;
	bool gone = false;

	spin_lock_irqsave(&s->save_lock, flags);
	end = s->beat + patience(s);
	if (s->committing && !s->hung) {
		if (time_before(jiffies, end))
			mod_timer(timer, end);
		else if (!s->away || !anyone_waits(s))
			mod_timer(timer, jiffies + LOOK_AGAIN);
		else
			gone = true;
	}
	if (gone)
		let_go(s);
	spin_unlock_irqrestore(&s->save_lock, flags);
	if (!gone)
		return;
	dm_sync_cow_wake(s);
	dm_sync_store_kick(s);
}

static void do_hung(struct work_struct *work)
{
	dm_sync_images_tell_lost(container_of(work, struct dm_sync_store, hung_work));
}

/**
 * dm_sync_patience_begin - the committer is about to do a step, and waits for commit_lock
 * @s: the store
 *
 * Context: the committer, without commit_lock. dm_sync_patience_away() tells that it has it.
 */
void dm_sync_patience_begin(struct dm_sync_store *s)
{
	spin_lock_irq(&s->save_lock);
	s->beat = jiffies;
	s->committing = s->away = true;
	if (!timer_pending(&s->patience))
		mod_timer(&s->patience, jiffies + patience(s));
	spin_unlock_irq(&s->save_lock);
}

/**
 * dm_sync_patience_away - the committer waits for the device, or does not any more
 * @s: the store
 * @away: it does, and goes through no list until it says otherwise
 *
 * Context: who has commit_lock. If that is another one the committer waits for him, and is away
 * before and after.
 * Return: what it was before.
 */
bool dm_sync_patience_away(struct dm_sync_store *s, bool away)
{
	bool was;

	spin_lock_irq(&s->save_lock);
	was = s->away;
	s->away = away;
	spin_unlock_irq(&s->save_lock);
	return was;
}

/**
 * dm_sync_patience_end - the committer has nothing to do
 * @s: the store
 *
 * Context: the committer, without commit_lock.
 */
void dm_sync_patience_end(struct dm_sync_store *s)
{
	spin_lock_irq(&s->save_lock);
	s->committing = false;
	spin_unlock_irq(&s->save_lock);
}

/**
 * dm_sync_patience_over - was the store too slow in the last step?
 * @s: the store
 *
 * Context: commit_lock held, and no batch under way; then all images are to be given up, and
 * dm_sync_patience_mend() is due (dm_sync_space_late()).
 */
bool dm_sync_patience_over(struct dm_sync_store *s)
{
	return READ_ONCE(s->hung);
}

/**
 * dm_sync_patience_mend - no image is left that would have to be saved for
 * @s: the store
 *
 * Context: commit_lock held, no batch under way.
 */
void dm_sync_patience_mend(struct dm_sync_store *s)
{
	struct dm_sync_save *save, *next;
	LIST_HEAD(orphans);

	spin_lock_irq(&s->save_lock);
	list_splice_init(&s->orphans, &orphans);
	WRITE_ONCE(s->hung, false);
	spin_unlock_irq(&s->save_lock);
	list_for_each_entry_safe(save, next, &orphans, list)
		dm_sync_cow_return(s, save);
}

/**
 * dm_sync_patience_stop - the committer does no more steps
 * @s: the store, its queues are gone
 *
 * Context: may sleep.
 */
void dm_sync_patience_stop(struct dm_sync_store *s)
{
	timer_shutdown_sync(&s->patience);
}

/**
 * dm_sync_patience_init - nobody has waited yet
 * @s: the store
 *
 * Context: construction.
 */
void dm_sync_patience_init(struct dm_sync_store *s)
{
	timer_setup(&s->patience, do_patience, 0);
	INIT_LIST_HEAD(&s->orphans);
	INIT_WORK(&s->hung_work, do_hung);
}
