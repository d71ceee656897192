/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system stands still for the instant in which its image is taken.
 */
#ifndef DM_SYNC_FREEZE_H
#define DM_SYNC_FREEZE_H

struct dm_sync_freeze;
struct mapped_device;

int dm_sync_freeze_module_init(void);
void dm_sync_freeze_module_exit(void);
struct dm_sync_freeze *dm_sync_freeze(struct mapped_device *md, unsigned long timeout);
void dm_sync_thaw(struct dm_sync_freeze *f);

#endif /* DM_SYNC_FREEZE_H */
