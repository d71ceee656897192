// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate: counts host writes in flight, drains them, holds new ones back.
 *
 * Three things need to know that no host write is half way:
 *
 *   - a Fracture, which cuts at any point but may open the replica door only
 *     when the last write on its way to the replica has ended (drain: new
 *     writes go on meanwhile, in the other generation);
 *   - a Split, a Restore's beginning and a dm suspend, which want one instant
 *     without any write in flight (close, then open);
 *   - a Suspend, which is a gate that stays closed: held writes are the parked
 *     ones, and Resume opens it.
 *
 * The counters are per-cpu references, so a write costs two per-cpu
 * additions.  Only a write that finds its generation dying looks at the lock.
 *
 * No wait here is without a deadline (rule Q): a write that is stuck on a dead
 * device makes drain and close fail with -ETIMEDOUT and leaves the gate open,
 * as it was.
 */
#include <linux/sched.h>
#include <linux/timekeeping.h>

#include "dm-sync-gate.h"

/* percpu_ref has no context pointer: one release function for each generation. */
static void gate_drained_0(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct dm_sync_gate, ref[0])->drained);
}

static void gate_drained_1(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct dm_sync_gate, ref[1])->drained);
}

/**
 * dm_sync_gate_init - an open gate
 * @gate: the gate
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int dm_sync_gate_init(struct dm_sync_gate *gate)
{
	int r;

	gate->stuck = -1;
	mutex_init(&gate->turn);
	spin_lock_init(&gate->lock);
	bio_list_init(&gate->parked);
	init_completion(&gate->drained);
	r = percpu_ref_init(&gate->ref[0], gate_drained_0,
			    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	if (r)
		return r;
	r = percpu_ref_init(&gate->ref[1], gate_drained_1,
			    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	if (r)
		percpu_ref_exit(&gate->ref[0]);
	return r;
}

/**
 * dm_sync_gate_exit - undo dm_sync_gate_init(); nothing may be in flight
 * @gate: the gate
 */
void dm_sync_gate_exit(struct dm_sync_gate *gate)
{
	percpu_ref_exit(&gate->ref[0]);
	percpu_ref_exit(&gate->ref[1]);
}

/**
 * dm_sync_gate_enter - count a host write, or park it
 * @gate: the gate
 * @bio: the write
 * @gen: out: generation to be given to dm_sync_gate_leave()
 *
 * Context: any.
 * Return: true when counted, false when @bio was parked and is not the
 * caller's any more.
 */
bool dm_sync_gate_enter(struct dm_sync_gate *gate, struct bio *bio, u8 *gen)
{
	unsigned long flags;

	for (;;) {
		int g = READ_ONCE(gate->gen);

		if (percpu_ref_tryget_live(&gate->ref[g])) {
			/*
			 * Counted in a generation that was drained and revived
			 * since we looked?  The next drain would not wait for us.
			 * Pairs with the barrier in percpu_ref_kill().
			 */
			smp_mb();
			if (likely(READ_ONCE(gate->gen) == g)) {
				*gen = g;
				return true;
			}
			percpu_ref_put(&gate->ref[g]);
			continue;
		}
		spin_lock_irqsave(&gate->lock, flags);
		if (gate->closed) {
			bio_list_add(&gate->parked, bio);
			gate->nr_parked++;
			spin_unlock_irqrestore(&gate->lock, flags);
			return false;
		}
		spin_unlock_irqrestore(&gate->lock, flags);
		cpu_relax();	/* the generation is just being changed */
	}
}

/**
 * dm_sync_gate_leave - a counted write is over
 * @gate: the gate
 * @gen: what dm_sync_gate_enter() gave
 *
 * Context: any.
 */
void dm_sync_gate_leave(struct dm_sync_gate *gate, u8 gen)
{
	percpu_ref_put(&gate->ref[gen]);
}

/* Wait for generation @g, which takes no new writes, and make it usable again. */
static int gate_wait(struct dm_sync_gate *gate, int g, unsigned long timeout)
{
	bool drained;

	reinit_completion(&gate->drained);
	percpu_ref_kill(&gate->ref[g]);
	drained = wait_for_completion_timeout(&gate->drained, timeout);
	percpu_ref_resurrect(&gate->ref[g]);
	return drained ? 0 : -ETIMEDOUT;
}

/* What an earlier drain did not see the end of. */
static int gate_wait_stuck(struct dm_sync_gate *gate, unsigned long timeout)
{
	int r;

	if (gate->stuck < 0)
		return 0;
	r = gate_wait(gate, gate->stuck, timeout);
	if (!r)
		gate->stuck = -1;
	return r;
}

/**
 * dm_sync_gate_drain - wait for the writes now in flight; new ones pass
 * @gate: the gate, open
 * @timeout: jiffies
 *
 * Context: may sleep.
 * Return: 0, or -ETIMEDOUT.
 */
int dm_sync_gate_drain(struct dm_sync_gate *gate, unsigned long timeout)
{
	int old, r = 0;

	mutex_lock(&gate->turn);
	if (gate->closed)
		goto out;		/* nothing is in flight */
	r = gate_wait_stuck(gate, timeout);
	if (r)
		goto out;
	old = gate->gen;
	WRITE_ONCE(gate->gen, !old);
	r = gate_wait(gate, old, timeout);
	if (r)
		gate->stuck = old;
out:
	mutex_unlock(&gate->turn);
	return r;
}

/**
 * dm_sync_gate_close - park new writes and wait for those in flight
 * @gate: the gate
 * @timeout: jiffies
 *
 * The switch of the counters to atomic mode takes an RCU grace period; it is
 * done before the first write is parked, so the host's pause is the drain alone.
 *
 * Context: may sleep.
 * Return: 0 with the gate closed, or -ETIMEDOUT; the caller then opens it.
 */
int dm_sync_gate_close(struct dm_sync_gate *gate, unsigned long timeout)
{
	bool drained = true;
	int g;

	mutex_lock(&gate->turn);
	if (gate->closed)
		goto out;
	drained = !gate_wait_stuck(gate, timeout);
	if (!drained)
		goto out;
	g = gate->gen;
	percpu_ref_switch_to_atomic_sync(&gate->ref[g]);
	spin_lock_irq(&gate->lock);
	gate->closed = true;
	gate->closed_at = ktime_get_ns();
	spin_unlock_irq(&gate->lock);
	reinit_completion(&gate->drained);
	percpu_ref_kill(&gate->ref[g]);
	drained = wait_for_completion_timeout(&gate->drained, timeout);
out:
	mutex_unlock(&gate->turn);
	return drained ? 0 : -ETIMEDOUT;
}

/**
 * dm_sync_gate_open - let writes pass again
 * @gate: the gate, closed (or half closed, after -ETIMEDOUT)
 * @parked: out: the held writes, to be started by the caller in this order
 *
 * Context: may sleep.
 */
void dm_sync_gate_open(struct dm_sync_gate *gate, struct bio_list *parked)
{
	bio_list_init(parked);
	mutex_lock(&gate->turn);
	if (!gate->closed)
		goto out;
	percpu_ref_resurrect(&gate->ref[gate->gen]);
	percpu_ref_switch_to_percpu(&gate->ref[gate->gen]);
	spin_lock_irq(&gate->lock);
	gate->closed = false;
	bio_list_merge(parked, &gate->parked);
	bio_list_init(&gate->parked);
	gate->nr_parked = 0;
	spin_unlock_irq(&gate->lock);
out:
	mutex_unlock(&gate->turn);
}

/**
 * dm_sync_gate_parked - how many writes are held
 * @gate: the gate
 *
 * Context: any.
 */
unsigned int dm_sync_gate_parked(struct dm_sync_gate *gate)
{
	return READ_ONCE(gate->nr_parked);
}
