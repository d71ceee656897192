/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DM_SYNC_GATE_H
#define DM_SYNC_GATE_H

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/spinlock.h>

/**
 * struct dm_sync_gate - what every host write and flush passes
 * @ref: two generations of "writes in flight"; only one takes new ones
 * @gen: which
 * @turn: drain, close and open exclude one another
 * @stuck: a generation whose drain timed out, or -1
 * @drained: completed when the generation being drained is empty
 * @lock: protects @closed, @parked, @nr_parked; taken with interrupts off
 * @closed: new writes are parked
 * @closed_at: since when, monotonic nanoseconds
 * @parked: those writes, in the order of arrival
 */
struct dm_sync_gate {
	struct percpu_ref ref[2];
	int gen, stuck;
	struct mutex turn;
	struct completion drained;

	spinlock_t lock;
	bool closed;
	u64 closed_at;
	struct bio_list parked;
	unsigned int nr_parked;
};

int dm_sync_gate_init(struct dm_sync_gate *gate);
void dm_sync_gate_exit(struct dm_sync_gate *gate);
bool dm_sync_gate_enter(struct dm_sync_gate *gate, struct bio *bio, u8 *gen);
void dm_sync_gate_leave(struct dm_sync_gate *gate, u8 gen);
int dm_sync_gate_drain(struct dm_sync_gate *gate, unsigned long timeout);
int dm_sync_gate_close(struct dm_sync_gate *gate, unsigned long timeout);
void dm_sync_gate_open(struct dm_sync_gate *gate, struct bio_list *parked);
unsigned int dm_sync_gate_parked(struct dm_sync_gate *gate);

#endif
