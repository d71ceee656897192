// SPDX-License-Identifier: GPL-2.0-only
/* What is on a device and who uses it. */

#include <blkid/blkid.h>
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

#define BLANK_BYTES	4096

/* Documentation/on-disk-format.rst: the first block has two homes in the first 8 KiB. */
#define SUPER_MAGIC	"SYnc"
#define SUPER_TYPE_AT	40
#define SUPER_OF_PAIR	1
#define SUPER_OF_STORE	5
#define HEADER_OF_DELTA	10
#define SUPER_CHUNK_AT	76	/* of a pair the region */

bool probe_content(const char *path, char *text, size_t size)
{
	const char *type = NULL, *label = NULL, *table = NULL;
	blkid_probe pr = blkid_new_probe_from_filename(path);

	if (!pr)
		return false;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL);
	blkid_probe_enable_partitions(pr, 1);
	if (!blkid_do_safeprobe(pr)) {
		blkid_probe_lookup_value(pr, "TYPE", &type, NULL);
		blkid_probe_lookup_value(pr, "LABEL", &label, NULL);
		blkid_probe_lookup_value(pr, "PTTYPE", &table, NULL);
	}
	if (type && label)
		snprintf(text, size, "%s \"%s\"", type, label);
	else if (type)
		snprintf(text, size, "%s", type);
	else if (table)
		snprintf(text, size, "a %s partition table", table);
	blkid_free_probe(pr);
	return type || table;
}

/* Mount points have blanks as \040; good enough to be shown as they are. */
static bool is_mounted(struct devno dev, char *where, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[4096];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned int major, minor;
		char point[1024];

		if (sscanf(line, "%*u %*u %u:%u %*s %1023s", &major, &minor, point) == 3 &&
		    major == dev.major && minor == dev.minor) {
			snprintf(where, size, "%s", point);
			found = true;
		}
	}
	fclose(f);
	return found;
}

static bool is_swap(struct devno dev, char *where, size_t size)
{
	FILE *f = fopen("/proc/swaps", "r");
	char line[1024];
	char path[512];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		struct devno swap;

		if (sscanf(line, "%511s", path) == 1 && path[0] == '/' &&
		    device_number(path, &swap) && swap.major == dev.major &&
		    swap.minor == dev.minor)
			found = true;
	}
	fclose(f);
	if (found)
		snprintf(where, size, "swap");
	return found;
}

static bool in_use(struct devno dev, char *where, size_t size)
{
	return is_mounted(dev, where, size) || is_swap(dev, where, size);
}

bool probe_mount(struct devno dev, char *where, size_t size)
{
	struct dirent *entry;
	bool found = in_use(dev, where, size);
	char path[512];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", dev.major, dev.minor);
	dir = opendir(path);
	if (!dir)
		return found;
	while (!found && (entry = readdir(dir))) {
		struct devno part;
		char attr[300];
		char text[32];

		snprintf(attr, sizeof(attr), "%s/partition", entry->d_name);
		if (entry->d_name[0] == '.' || !device_attr(dev, attr, text, sizeof(text)))
			continue;
		snprintf(attr, sizeof(attr), "%s/dev", entry->d_name);
		if (device_attr(dev, attr, text, sizeof(text)) && device_number(text, &part))
			found = in_use(part, where, size);
	}
	closedir(dir);
	return found;
}

bool probe_blank(const char *path)
{
	static const char zero[BLANK_BYTES];
	char block[BLANK_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool blank;

	if (fd < 0)
		return false;
	blank = read(fd, block, sizeof(block)) == (ssize_t)sizeof(block) &&
		!memcmp(block, zero, sizeof(zero));
	close(fd);
	return blank;
}

/* One of the two homes of a first block of this type, in @block; NULL when there is none */
static const unsigned char *find_super(const char *path, unsigned char *block, int type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const unsigned char *found = NULL;
	unsigned int i;

	if (fd < 0)
		return NULL;
	if (pread(fd, block, 2 * BLANK_BYTES, 0) == 2 * BLANK_BYTES)
		for (i = 0; i < 2 && !found; i++)
			if (!memcmp(block + i * BLANK_BYTES, SUPER_MAGIC, 4) &&
			    block[i * BLANK_BYTES + SUPER_TYPE_AT] == type)
				found = block + i * BLANK_BYTES;
	close(fd);
	return found;
}

bool probe_pair(const char *path)
{
	unsigned char block[2 * BLANK_BYTES];

	return find_super(path, block, SUPER_OF_PAIR);
}

bool probe_delta(const char *path)
{
	unsigned char block[2 * BLANK_BYTES];

	return find_super(path, block, HEADER_OF_DELTA);
}

static uint64_t region_of(const char *path, int type)
{
	unsigned char block[2 * BLANK_BYTES];
	const unsigned char *super = find_super(path, block, type);
	uint32_t sectors;

	if (!super)
		return 0;
	memcpy(&sectors, super + SUPER_CHUNK_AT, sizeof(sectors));
	return le32toh(sectors) * 512ULL;
}

uint64_t probe_chunk(const char *path)
{
	return region_of(path, SUPER_OF_STORE);
}

uint64_t probe_region(const char *path)
{
	return region_of(path, SUPER_OF_PAIR);
}
