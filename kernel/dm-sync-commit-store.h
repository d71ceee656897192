/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two halves of a store's committer share: batches, and the space for them.
 * All with commit_lock held.
 */
#ifndef DM_SYNC_COMMIT_STORE_H
#define DM_SYNC_COMMIT_STORE_H

#include "dm-sync-store.h"

/* dm-sync-commit-store.c */
void dm_sync_save_end(struct dm_sync_store *s, struct dm_sync_save *save, int error);
void dm_sync_saves_yield(struct dm_sync_store *s);
void dm_sync_saves_end(struct dm_sync_store *s, bool own, int error);

/* dm-sync-commit-space.c */
int dm_sync_space_take(struct dm_sync_store *s, u32 want, u32 *first);
bool dm_sync_space_wait(struct dm_sync_store *s);
bool dm_sync_space_full(struct dm_sync_store *s, bool own);
void dm_sync_space_watch(struct dm_sync_store *s);
void dm_sync_space_fail(struct dm_sync_store *s, int error);
void dm_sync_space_late(struct dm_sync_store *s);
void dm_sync_space_init(struct dm_sync_store *s);

#endif /* DM_SYNC_COMMIT_STORE_H */
