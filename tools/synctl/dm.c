// SPDX-License-Identifier: GPL-2.0-only
/* Creating and removing device-mapper devices; see dm.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libdevmapper.h>

#include "dm.h"

static char reason[2 * DM_TEXT_MAX];

/* The library would print to stderr; errors are told in our own form. */
static void quiet_log(int level, const char *file, int line, int err,
		      const char *fmt, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)err;
	(void)fmt;
}

static int open_kmsg(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/*
 * "device-mapper: table: 253:0: sync: the replica is too small (-EINVAL)", or
 * "device-mapper: sync: db0: cannot activate: the metadata device ...". What
 * the core adds to either says nothing more. The first kind is a constant
 * sentence; the number or word that belongs to it is in a line of its own just
 * before, "device-mapper: sync: a pair of 16 regions needs ...".
 */
static void keep_reason(char *record, const char *name)
{
	char *text = strchr(record, ';');
	size_t len = strlen(name);
	char before[DM_TEXT_MAX] = "";
	char *end;

	if (!text || strncmp(++text, "device-mapper: ", 15))
		return;
	text[strcspn(text, "\n")] = 0;
	if (!strncmp(text + 15, "table: ", 7))
		snprintf(before, sizeof(before), "%.150s", reason);
	text = strstr(text + 15, "sync");
	text = text ? strstr(text, ": ") : NULL;
	if (!text || strstr(text, "rror adding target to table") ||
	    strstr(text, "preresume failed"))
		return;
	text += 2;
	if (!strncmp(text, name, len) && !strncmp(text + len, ": ", 2))
		text += len + 2;
	snprintf(reason, sizeof(reason), "%.150s", text);
	end = strrchr(reason, '(');
	if (end && end > reason && !strncmp(end, "(-", 2))
		end[-1] = 0;
	if (before[0])
		snprintf(reason + strlen(reason), sizeof(reason) - strlen(reason), ": %s", before);
}

static void read_kmsg(int fd, const char *name)
{
	char record[8192];
	ssize_t n;

	if (fd < 0)
		return;
	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n <= 0 && errno != EPIPE)
			break;
		if (n <= 0)
			continue;
		record[n] = 0;
		keep_reason(record, name);
	}
	close(fd);
}

static struct dm_task *task_new(int type, const char *name)
{
	struct dm_task *t;

	dm_log_with_errno_init(quiet_log);
	t = dm_task_create(type);
	if (t && !dm_task_set_name(t, name)) {
		dm_task_destroy(t);
		t = NULL;
	}
	return t;
}

/* No task: for others than root the library could not open its device. */
static int no_task(void)
{
	return geteuid() ? -EACCES : -ENOMEM;
}

static int task_errno(struct dm_task *t)
{
	int err = dm_task_get_errno(t);

	return err ? -err : -EIO;
}

/* Run a task, wait for udev when @cookie is wanted, free it. */
static int task_run(struct dm_task *t, bool cookie, uint16_t flags)
{
	uint32_t number = 0;
	int err = 0;

	if (!t)
		return no_task();
	if (cookie && !dm_task_set_cookie(t, &number, flags))
		err = -EIO;
	if (!err && !dm_task_run(t))
		err = task_errno(t);
	if (cookie)
		dm_udev_wait(number);
	dm_task_destroy(t);
	return err;
}

static int create_empty(const struct dm_device *dev, struct devno *devno)
{
	struct dm_task *t = task_new(DM_DEVICE_CREATE, dev->name);
	struct dm_info info;
	int err = 0;

	if (!t)
		return no_task();
	if (dev->uuid[0] && !dm_task_set_uuid(t, dev->uuid))
		err = -EINVAL;
	else if (!dm_task_run(t))
		err = task_errno(t);
	else if (!dm_task_get_info(t, &info))
		err = -EIO;
	if (!err) {
		devno->major = info.major;
		devno->minor = info.minor;
	}
	dm_task_destroy(t);
	return err;
}

static int load(const struct dm_device *dev)
{
	struct dm_task *t = task_new(DM_DEVICE_RELOAD, dev->name);

	if (t && !dm_task_add_target(t, 0, dev->sectors, dev->target, dev->params)) {
		dm_task_destroy(t);
		return -ENOMEM;
	}
	return task_run(t, false, 0);
}

static int resume(const struct dm_device *dev)
{
	struct dm_task *t = task_new(DM_DEVICE_RESUME, dev->name);

	if (t)
		dm_task_set_add_node(t, DM_ADD_NODE_ON_RESUME);
	return task_run(t, true, dev->low_priority ? DM_UDEV_LOW_PRIORITY_FLAG : 0);
}

int dm_create(const struct dm_device *dev, struct devno *devno)
{
	int kmsg;
	int err;

	reason[0] = 0;
	err = create_empty(dev, devno);
	if (err)
		return err;
	kmsg = open_kmsg();
	err = load(dev);
	if (!err)
		err = resume(dev);
	if (err) {
		read_kmsg(kmsg, dev->name);
		dm_remove(dev->name);
		return err;
	}
	if (kmsg >= 0)
		close(kmsg);
	return 0;
}

int dm_set_uuid(const char *name, const char *uuid)
{
	struct dm_task *t = task_new(DM_DEVICE_RENAME, name);

	if (t && !dm_task_set_newuuid(t, uuid)) {
		dm_task_destroy(t);
		return -EINVAL;
	}
	return task_run(t, true, 0);
}

int dm_message(const char *name, const char *text)
{
	struct dm_task *t = task_new(DM_DEVICE_TARGET_MSG, name);
	int kmsg = open_kmsg();
	int err;

	reason[0] = 0;
	if (t && (!dm_task_set_sector(t, 0) || !dm_task_set_message(t, text))) {
		dm_task_destroy(t);
		t = NULL;
	}
	err = task_run(t, false, 0);
	if (err)
		read_kmsg(kmsg, name);
	else if (kmsg >= 0)
		close(kmsg);
	return err;
}

int dm_remove(const char *name)
{
	struct dm_task *t = task_new(DM_DEVICE_REMOVE, name);

	if (t)
		dm_task_retry_remove(t);
	return task_run(t, true, 0);
}

static bool one_target(int type_of_task, const char *name, char *target, char *params)
{
	struct dm_task *t = task_new(type_of_task, name);
	uint64_t start, length;
	char *type = NULL, *rest = NULL;
	bool ok = false;

	if (t && dm_task_run(t)) {
		dm_get_next_target(t, NULL, &start, &length, &type, &rest);
		if (type && rest) {
			snprintf(target, 32, "%s", type);
			snprintf(params, DM_PARAMS_MAX, "%s", rest);
			ok = true;
		}
	}
	if (t)
		dm_task_destroy(t);
	return ok;
}

bool dm_table(const char *name, char *target, char *params)
{
	return one_target(DM_DEVICE_TABLE, name, target, params);
}

bool dm_status(const char *name, char *target, char *status)
{
	return one_target(DM_DEVICE_STATUS, name, target, status);
}

int dm_each(void (*fn)(const char *name, void *arg), void *arg)
{
	struct dm_task *t;
	struct dm_names *names;
	uint32_t next = 0;

	dm_log_with_errno_init(quiet_log);
	t = dm_task_create(DM_DEVICE_LIST);
	if (!t || !dm_task_run(t)) {
		int err = t ? task_errno(t) : no_task();

		if (t)
			dm_task_destroy(t);
		return err;
	}
	names = dm_task_get_names(t);
	if (names && names->dev) {
		do {
			names = (struct dm_names *)((char *)names + next);
			fn(names->name, arg);
			next = names->next;
		} while (next);
	}
	dm_task_destroy(t);
	return 0;
}

const char *dm_reason(void)
{
	return reason;
}
