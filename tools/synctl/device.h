/* SPDX-License-Identifier: GPL-2.0-only */
/* Block devices as sysfs shows them: the kernel tells numbers, people know paths. */
#ifndef SYNCTL_DEVICE_H
#define SYNCTL_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_PATH_MAX	300

struct devno {
	unsigned int major;
	unsigned int minor;
};

/**
 * device_dm_name() - the name of a device-mapper device
 * @dev: the device
 * @name: where the name goes
 * @size: of @name
 *
 * Return: false when it is not one, or is gone.
 */
bool device_dm_name(struct devno dev, char *name, size_t size);

/**
 * device_path() - a path of a device, /dev/mapper/NAME for device-mapper's
 * @dev: the device
 * @path: where it goes
 * @size: of @path
 *
 * Return: false, and "MAJ:MIN" in @path, when sysfs does not know the device.
 */
bool device_path(struct devno dev, char *path, size_t size);

/* The number of a path, of "MAJ:MIN" or of "/dev/..." ; false when it is no block device. */
bool device_number(const char *path, struct devno *dev);

/* Size in bytes; 0 when not known. */
uint64_t device_bytes(struct devno dev);

/* Largest of the logical block sizes, 512 when not known. */
unsigned int device_block(struct devno dev);

/* First device that holds this one ("dm-3", "md0"); false for none. */
bool device_holder(struct devno dev, char *name, size_t size);

/* Directory of a device in sysfs for other attributes; false when it is not there. */
bool device_attr(struct devno dev, const char *attr, char *text, size_t size);

#endif /* SYNCTL_DEVICE_H */
