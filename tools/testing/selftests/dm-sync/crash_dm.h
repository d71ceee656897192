/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few requests to device-mapper that the crash tests send by the hundred;
 * starting dmsetup for each would take most of their time.
 */
#ifndef CRASH_DM_H
#define CRASH_DM_H

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "crash.h"

#define DM_BUFFER	16384u

static inline int dm_request(unsigned long request, struct dm_ioctl *io)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("/dev/mapper/control: %s", strerror(errno));
	return ioctl(fd, request, io) ? -errno : 0;
}

static inline struct dm_ioctl *dm_prepare(const char *name)
{
	struct dm_ioctl *io = must_alloc(DM_BUFFER);

	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = DM_BUFFER;
	io->data_start = sizeof(*io);
	snprintf(io->name, sizeof(io->name), "%s", name);
	return io;
}

static inline int dm_simple(unsigned long request, const char *name, uint32_t flags)
{
	struct dm_ioctl *io = dm_prepare(name);
	int r;

	io->flags = flags;
	r = dm_request(request, io);
	free(io);
	return r;
}

static inline int dm_load(const char *name, uint64_t sectors, const char *type,
			  const char *args)
{
	struct dm_ioctl *io = dm_prepare(name);
	struct dm_target_spec *spec = (void *)(io + 1);
	int r;

	io->target_count = 1;
	spec->length = sectors;
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", type);
	memcpy(spec + 1, args, strlen(args) + 1);
	spec->next = sizeof(*spec) + strlen(args) + 1;
	r = dm_request(DM_TABLE_LOAD, io);
	free(io);
	return r;
}

static inline int dm_remove(const char *name)
{
	unsigned int tries;
	int r;

	for (tries = 0; tries < 200; tries++) {
		r = dm_simple(DM_DEV_REMOVE, name, 0);
		if (r != -EBUSY)
			break;
		usleep(10000);
	}
	return r;
}

/* Create, load, resume: 0, or what failed; nothing is left behind then. */
static inline int dm_create(const char *name, uint64_t sectors, const char *type,
			    const char *args)
{
	int r = dm_simple(DM_DEV_CREATE, name, 0);

	if (r)
		return r;
	r = dm_load(name, sectors, type, args);
	if (!r)
		r = dm_simple(DM_DEV_SUSPEND, name, 0);
	if (r)
		dm_remove(name);
	return r;
}

/* The status line of the only target. */
static inline int dm_status(const char *name, char *line, size_t size)
{
	struct dm_ioctl *io = dm_prepare(name);
	int r = dm_request(DM_TABLE_STATUS, io);

	line[0] = 0;
	if (!r && io->target_count)
		snprintf(line, size, "%s", (char *)io + io->data_start +
			 sizeof(struct dm_target_spec));
	free(io);
	return r;
}

static inline int dm_message(const char *name, const char *text)
{
	struct dm_ioctl *io = dm_prepare(name);
	struct dm_target_msg *msg = (void *)(io + 1);
	int r;

	memcpy(msg + 1, text, strlen(text) + 1);
	r = dm_request(DM_TARGET_MSG, io);
	free(io);
	return r;
}

static inline void dm_devno(const char *path, char *text, size_t size)
{
	struct stat s;

	if (stat(path, &s) || !S_ISBLK(s.st_mode))
		die("%s is not a block device", path);
	snprintf(text, size, "%u:%u", major(s.st_rdev), minor(s.st_rdev));
}

#endif
