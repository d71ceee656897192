/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each image of a store sees: the law of generations, in memory.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_VIEW_H
#define DM_SYNC_VIEW_H

#include "dm-sync-index.h"
#include "dm-sync-store-codec.h"

/**
 * struct dm_sync_view_image - an image that has a point in time
 * @older, @newer: its neighbours, also those being deleted; NULL at the ends
 * @generation: of its point in time
 * @own_id: what its own writes are marked with; the writer's
 * @dying: it is being deleted
 * @alone: slots that would be free if it were deleted now
 * @saved: its index: entries that it uses and no older image has one of its own for
 * @own: its own writes
 */
struct dm_sync_view_image {
	struct dm_sync_view_image *older, *newer;
	u32 generation, own_id;
	bool dying;
	u64 alone;
	struct dm_sync_index saved, own;
};

/**
 * struct dm_sync_view - the live images of a store, ordered by generation
 * @nr_chunks: of the source
 * @oldest, @newest: the ends of the list, also when they are being deleted
 * @nr_images: images in the list
 * @dying: the image being deleted, or NULL
 * @leaf: the next leaf of its that is to be merged
 * @loaded: from now on images are only added at the newest end
 * @load: what dm_sync_view_load_begin() needs; NULL at all other times
 */
struct dm_sync_view {
	u64 nr_chunks;
	struct dm_sync_view_image *oldest, *newest;
	u32 nr_images;
	struct dm_sync_view_image *dying;
	u64 leaf;
	bool loaded;
	struct dm_sync_view_load *load;
};

enum dm_sync_found {
	DM_SYNC_FOUND_SOURCE,	/* in the source */
	DM_SYNC_FOUND_SLOT,	/* in a slot, as it was saved */
	DM_SYNC_FOUND_OWN,	/* in a slot, as the image's host wrote it */
	DM_SYNC_FOUND_BAD,	/* nowhere: the source could not be read */
};

typedef void (*dm_sync_slot_fn)(void *context, u32 slot);

void dm_sync_view_init(struct dm_sync_view *v, u64 nr_chunks);
void dm_sync_view_exit(struct dm_sync_view *v);

struct dm_sync_view_image *dm_sync_view_alloc(struct dm_sync_view *v, u32 generation, u32 own_id);
void dm_sync_view_free(struct dm_sync_view_image *image);
int dm_sync_view_add(struct dm_sync_view *v, struct dm_sync_view_image *image);
u32 dm_sync_view_generation(const struct dm_sync_view *v);

int dm_sync_view_load_begin(struct dm_sync_view *v, u32 next_generation, u32 next_own,
			    u32 nr_slots);
int dm_sync_view_load(struct dm_sync_view *v, u32 slot, const struct dm_sync_entry *e);
void dm_sync_view_load_end(struct dm_sync_view *v, dm_sync_slot_fn take, void *context);

bool dm_sync_view_protected(const struct dm_sync_view *v, u64 chunk);
enum dm_sync_found dm_sync_view_find_saved(const struct dm_sync_view_image *image, u64 chunk,
					   u32 *slot);
enum dm_sync_found dm_sync_view_find(const struct dm_sync_view_image *image, u64 chunk,
				     u32 *slot);

int dm_sync_view_reserve(struct dm_sync_view *v, u64 chunk);
int dm_sync_view_save(struct dm_sync_view *v, u32 generation, u64 chunk, u32 slot, bool bad);
int dm_sync_view_reserve_own(struct dm_sync_view_image *image, u64 chunk);
int dm_sync_view_write(struct dm_sync_view_image *image, u64 chunk, u32 slot);

void dm_sync_view_reset(struct dm_sync_view_image *image, u32 own_id, dm_sync_slot_fn free,
			void *context);
int dm_sync_view_delete_begin(struct dm_sync_view *v, struct dm_sync_view_image *image);
bool dm_sync_view_delete_step(struct dm_sync_view *v, u64 nr_leaves, dm_sync_slot_fn free,
			      void *context);

#endif /* DM_SYNC_VIEW_H */
