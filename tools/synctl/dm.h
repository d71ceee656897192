/* SPDX-License-Identifier: GPL-2.0-only */
/* Creating and removing device-mapper devices, by libdevmapper. */
#ifndef SYNCTL_DM_H
#define SYNCTL_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"

#define DM_PARAMS_MAX	1024
#define DM_TEXT_MAX	160

/**
 * struct dm_device - a device with one target
 * @name: its name
 * @uuid: its uuid, or empty
 * @sectors: length
 * @target: "sync" or "sync-replica"
 * @params: the rest of the table line
 * @low_priority: links by filesystem UUID should rather point elsewhere
 */
struct dm_device {
	char name[128];
	char uuid[200];
	uint64_t sectors;
	const char *target;
	char params[DM_PARAMS_MAX];
	bool low_priority;
};

/**
 * dm_create() - create a device, load its table, resume it
 * @dev: what
 * @devno: its number
 *
 * When a step fails, what was done is undone.
 * Return: 0 or a negative errno; dm_reason() has the words for it.
 */
int dm_create(const struct dm_device *dev, struct devno *devno);

/* Give a device without a uuid one. */
int dm_set_uuid(const char *name, const char *uuid);

/* Send a device a message. Return: 0 or a negative errno; dm_reason() may have words for it. */
int dm_message(const char *name, const char *text);

/* Remove a device, trying for a while if udev has it open. */
int dm_remove(const char *name);

/**
 * dm_table() - target and parameters of a device with one target
 * @name: the device
 * @target: 32 bytes
 * @params: DM_PARAMS_MAX bytes
 */
bool dm_table(const char *name, char *target, char *params);

/* The same of its status line. */
bool dm_status(const char *name, char *target, char *status);

/* Call @fn for each device-mapper device there is. */
int dm_each(void (*fn)(const char *name, void *arg), void *arg);

/**
 * dm_reason() - why the last call failed
 *
 * The kernel writes the sentence of a refused table line to its log, which is
 * the only place it can be had from.
 * Return: that sentence, or an empty string.
 */
const char *dm_reason(void);

#endif /* SYNCTL_DM_H */
