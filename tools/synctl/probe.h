/* SPDX-License-Identifier: GPL-2.0-only */
/* What is on a device and who uses it, asked before it is overwritten. */
#ifndef SYNCTL_PROBE_H
#define SYNCTL_PROBE_H

#include "device.h"

/* "ext4 filesystem \"home\""; false when there is nothing that blkid knows. */
bool probe_content(const char *path, char *text, size_t size);

/**
 * probe_mount() - where a device or one of its partitions is mounted
 * @dev: the device
 * @where: the mount point, or "swap"
 * @size: of @where
 *
 * Return: false when it is not in use that way.
 */
bool probe_mount(struct devno dev, char *where, size_t size);

/* Whether the first 4 KiB are zero; a device that cannot be read is not blank. */
bool probe_blank(const char *path);

/* Whether the metadata device knows a pair, which is then taken up where it stood. */
bool probe_pair(const char *path);

/* Whether a device holds the delta of a pair, be it this one's or another's. */
bool probe_delta(const char *path);

/* The size of a chunk of a store in bytes; 0 when it is none, or not to be read. */
uint64_t probe_chunk(const char *path);

/* The same of a region of the pair that a metadata device knows */
uint64_t probe_region(const char *path);

#endif /* SYNCTL_PROBE_H */
