/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of an image share among themselves; others include dm-sync-store.h.
 */
#ifndef DM_SYNC_IMAGE_H
#define DM_SYNC_IMAGE_H

#include "dm-sync-store.h"

#define DM_SYNC_IMAGE_DRAIN	(30 * HZ)	/* no wait for host I/O is longer */

/**
 * struct dm_sync_image_change - an operation being carried out
 * @operation: enum dm_sync_operation
 * @force: the caller insists
 * @from: the state before
 * @during: while it runs
 * @after: when it is complete
 * @busy: 0, or the error of a door that has not come to rest, with @force
 * @reason: enum dm_sync_reason of the state before
 * @why: out: a constant sentence, when it could not be carried out
 */
struct dm_sync_image_change {
	u32 operation;
	bool force;
	struct dm_sync_step from, during, after;
	int busy;
	u32 reason;
	const char *why;
};

/* Of what is published; pair.lock held, or by the conductor. */
static inline struct dm_sync_step dm_sync_image_step(const struct dm_sync_image *image)
{
	const struct dm_sync_state *s = &image->pair.state;

	return (struct dm_sync_step) { s->copy_state, s->progress, s->requested };
}

/* dm-sync-image.c */
struct dm_sync_image *dm_sync_image_of(struct dm_sync_pair *pair);
bool dm_sync_image_is_open(struct dm_sync_image *image);

/* dm-sync-image-point.c: the point in time.  On the conductor. */
int dm_sync_image_record_point(struct dm_sync_image *image, u32 generation, u32 own_id,
			       const struct dm_sync_step *step);
void dm_sync_image_set_lost(struct dm_sync_image *image, bool lost);
int dm_sync_image_take_point(struct dm_sync_image *image, const struct dm_sync_step *step,
			     bool force, struct dm_sync_view_image **old, const char **why);

struct dm_sync_freeze *dm_sync_image_freeze(struct dm_sync_store *s, bool force,
					    const char **why);

/* dm-sync-image-ops.c: what operations do.  On the conductor. */
u32 dm_sync_image_operations(void);
int dm_sync_image_may(struct dm_sync_image *image, u32 operation, bool force,
		      const char **why);
int dm_sync_image_run(struct dm_sync_image *image, struct dm_sync_image_change *c);
void dm_sync_image_end_view(struct dm_sync_store *s, struct dm_sync_view_image *view);
void dm_sync_image_forget_view(struct dm_sync_store *s, struct dm_sync_view_image *view);

/* dm-sync-image-events.c */
void dm_sync_image_events_init(struct dm_sync_image *image);
void dm_sync_image_events_kick(struct dm_sync_image *image);
bool dm_sync_image_events_due(struct dm_sync_image *image);
void dm_sync_image_events_stop(struct dm_sync_image *image);
void dm_sync_image_restore_over(struct dm_sync_image *image);
void dm_sync_image_hold_on(struct dm_sync_image *image);
void dm_sync_image_hold_off(struct dm_sync_image *image);
void dm_sync_images_let_go(struct dm_sync_store *s);
void dm_sync_images_hold_max_changed(struct dm_sync_store *s);

#endif /* DM_SYNC_IMAGE_H */
