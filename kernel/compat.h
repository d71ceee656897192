/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels lack, so that everything else is written for the newest.
 *
 * A shim is keyed by the macro that came with what it stands for, never by a
 * version: distributions and stable trees carry things back.  Nothing here is
 * needed, or wanted, when the module is built inside a current tree.
 *
 * The plain C parts are also compiled on the host, where this file is empty.
 */
#ifndef DM_SYNC_COMPAT_H
#define DM_SYNC_COMPAT_H

#ifdef __KERNEL__

#include <linux/blkdev.h>
#include <linux/device-mapper.h>

/* Modes in which a device is opened got a type of their own in 6.5. */
#ifndef BLK_OPEN_READ
typedef fmode_t blk_mode_t;
#define BLK_OPEN_READ	FMODE_READ
#define BLK_OPEN_WRITE	FMODE_WRITE
#endif

/*
 * Ask for pages that do not change while they are written, from io_hints.
 * Until the flag joined the queue limits in 6.11 it was the target's, where
 * dm core looks at it when the table is complete, which is after io_hints.
 */
static inline void dm_sync_want_stable_writes(struct dm_target *ti,
					      struct queue_limits *limits)
{
#ifdef BLK_FEAT_STABLE_WRITES
	limits->features |= BLK_FEAT_STABLE_WRITES;
#else
	ti->needs_stable_writes = true;
#endif
}

/* Renamed in 6.8, with the mode of opening that keeps writers away. */
#ifndef BLK_OPEN_RESTRICT_WRITES
#define bdev_freeze	freeze_bdev
#define bdev_thaw	thaw_bdev
#endif

#endif /* __KERNEL__ */
#endif /* DM_SYNC_COMPAT_H */
