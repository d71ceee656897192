// SPDX-License-Identifier: GPL-2.0-only
/* Block devices as sysfs shows them. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "device.h"

bool device_attr(struct devno dev, const char *attr, char *text, size_t size)
{
	char path[400];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", dev.major, dev.minor, attr);
	f = fopen(path, "r");
	if (!f)
		return false;
	ok = fgets(text, size, f);
	fclose(f);
	if (ok)
		text[strcspn(text, "\n")] = 0;
	return ok;
}

bool device_dm_name(struct devno dev, char *name, size_t size)
{
	return device_attr(dev, "dm/name", name, size) && name[0];
}

static bool uevent_name(struct devno dev, char *name, size_t size)
{
	char path[128];
	char line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", dev.major, dev.minor);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "DEVNAME=", 8)) {
			snprintf(name, size, "%s", line + 8);
			found = true;
		}
	}
	fclose(f);
	return found;
}

bool device_path(struct devno dev, char *path, size_t size)
{
	char name[256];

	if (device_dm_name(dev, name, sizeof(name)))
		snprintf(path, size, "/dev/mapper/%s", name);
	else if (uevent_name(dev, name, sizeof(name)))
		snprintf(path, size, "/dev/%s", name);
	else {
		snprintf(path, size, "%u:%u", dev.major, dev.minor);
		return false;
	}
	return true;
}

bool device_number(const char *path, struct devno *dev)
{
	struct stat st;
	char rest;

	if (sscanf(path, "%u:%u%c", &dev->major, &dev->minor, &rest) == 2)
		return true;
	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	dev->major = major(st.st_rdev);
	dev->minor = minor(st.st_rdev);
	return true;
}

uint64_t device_bytes(struct devno dev)
{
	char text[32];

	if (!device_attr(dev, "size", text, sizeof(text)))
		return 0;
	return strtoull(text, NULL, 10) * 512;
}

unsigned int device_block(struct devno dev)
{
	char text[32];

	/* A partition has no queue of its own; its disk is one level up. */
	if (!device_attr(dev, "queue/logical_block_size", text, sizeof(text)) &&
	    !device_attr(dev, "../queue/logical_block_size", text, sizeof(text)))
		return 512;
	return strtoul(text, NULL, 10);
}

bool device_holder(struct devno dev, char *name, size_t size)
{
	struct dirent *entry;
	bool found = false;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", dev.major, dev.minor);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, size, "%s", entry->d_name);
		found = true;
	}
	closedir(dir);
	return found;
}
