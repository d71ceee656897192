// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes of the replica's host that the disk does not know of yet.
 *
 * Which they may be is argued in dm-sync-clone-owe.h.  They are counted when they are
 * about to be issued, U(r) seen clear: @covers, as are the writes of whole regions when
 * they are over.  A flush through the door that finds as many on disk goes to the
 * replica; any other waits for a commit, which reads the count before it makes images,
 * and whose flush of the replica is the host's as well.
 *
 * While the source door is suspended the metadata says "clean" and stays so: then
 * none goes.  Suspending says "stopped" before its last commit; who looks at U after
 * that commit made its image finds that.
 *
 * When the replica fails a flush, what is owed is lost: it is copied again.  And what
 * the replica had in its cache is, whoever asked for that flush.  Hosts learn of it as of
 * any disk that loses its cache: losses are counted, I/O that promises something notes the
 * count when it comes, and fails when there was a loss since, or one that nobody was told
 * of.  That are flushes and, with a count of their own, writes with FUA: of a flush that
 * comes with data device-mapper forgets the error.
 *
 * Locking: claim_lock makes "U(r) is set, so T(r) is set" one step against the end of
 * a copy, which clears U(r).  What clears U(r) without, a write of whole regions, has
 * claimed them all.  Around it may be any lock; within it are those of the maps.
 */
#include "dm-sync-clone-owe.h"
#include "dm-sync-mirror.h"

/**
 * dm_sync_clone_claim - take regions for a write of the replica's host
 * @m: the clone, whose U speaks of the replica and which preserves its image
 * @first: first region
 * @last: last region
 *
 * Context: any.
 * Return: mask of what was found.
 */
u8 dm_sync_clone_claim(struct dm_sync_mirror *m, u64 first, u64 last)
{
	unsigned long flags;
	u8 found = 0;

	for (; first <= last; first++) {
		spin_lock_irqsave(&m->clone.claim_lock, flags);
		found |= dm_sync_clone_claim_one(m->uncopied_map, m->replica_map, first);
		spin_unlock_irqrestore(&m->clone.claim_lock, flags);
	}
	return found;
}

/**
 * dm_sync_clone_arrived - regions were copied
 * @m: the clone
 * @first: first region
 * @last: last region
 *
 * Context: any; holding the range.
 */
void dm_sync_clone_arrived(struct dm_sync_mirror *m, u64 first, u64 last)
{
	unsigned long flags;

	for (; first <= last; first++) {
		spin_lock_irqsave(&m->clone.claim_lock, flags);
		dm_sync_map_clear(m->uncopied_map, first);
		spin_unlock_irqrestore(&m->clone.claim_lock, flags);
	}
}

/**
 * dm_sync_clone_owe - there is something that the disk does not know of
 * @m: the clone
 *
 * Context: any.
 */
void dm_sync_clone_owe(struct dm_sync_mirror *m)
{
	/* Pairs with the acquire in commit_uncopied(): counted is cleared. */
	atomic_inc_return_release(&m->clone.covers);
}

/**
 * dm_sync_clone_owe_write - a write is about to be issued that the disk does not know of
 * @m: the clone
 * @first: its first region; all were claimed and seen copied
 * @last: its last region
 *
 * Counted twice: before it looks, so that who marks them again either is seen or counts
 * it among what is lost; and after, so that who commits has them cleared.
 *
 * Context: any.
 * Return: false when a region is marked again: it must not be issued.
 */
bool dm_sync_clone_owe_write(struct dm_sync_mirror *m, u64 first, u64 last)
{
	dm_sync_clone_owe(m);
	smp_mb();	/* pairs with the one in dm_sync_clone_forfeit() */
	if (dm_sync_clone_uncopied(m, first, last))
		return false;
	dm_sync_clone_owe(m);
	return true;
}

/**
 * dm_sync_clone_owes - does a flush of the replica door have to wait for a commit?
 * @m: the clone
 *
 * Context: any.
 */
bool dm_sync_clone_owes(struct dm_sync_mirror *m)
{
	return atomic_read(&m->clone.covers) != READ_ONCE(m->clone.covers_durable);
}

/**
 * dm_sync_clone_lose - what hosts wrote to the replica may be lost
 * @m: the clone: a flush of ours failed there
 *
 * Context: any.
 */
void dm_sync_clone_lose(struct dm_sync_mirror *m)
{
	atomic_inc(&m->clone.losses);
}

/**
 * dm_sync_clone_forfeit - what is owed is lost
 * @m: the clone, its marks set again
 *
 * Context: the conductor; uncopied_lock held.
 */
void dm_sync_clone_forfeit(struct dm_sync_mirror *m)
{
	smp_mb();	/* the marks come first; pairs with dm_sync_clone_owe_write() */
	if (dm_sync_clone_owes(m))
		dm_sync_clone_lose(m);
}

/**
 * dm_sync_clone_tell - must I/O of the replica door fail for a loss?
 * @m: the clone
 * @told: how many losses I/O of its kind has told of
 * @since: how many there were when it came
 *
 * Context: any; the I/O has ended well.
 * Return: true for all that were under way when something was lost, and once after it.
 */
bool dm_sync_clone_tell(struct dm_sync_mirror *m, int *told, int since)
{
	int losses = atomic_read(&m->clone.losses);

	if (likely(losses == since && losses == READ_ONCE(*told)))
		return false;
	WRITE_ONCE(*told, losses);
	return true;
}

/**
 * dm_sync_clone_forgive - a new image begins: what was lost was not of it
 * @m: the clone, its door closed
 *
 * Context: the conductor.
 */
void dm_sync_clone_forgive(struct dm_sync_mirror *m)
{
	m->clone.told = m->clone.told_fua = atomic_read(&m->clone.losses);
}
