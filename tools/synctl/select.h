/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pairs the words of a command line mean. */
#ifndef SYNCTL_SELECT_H
#define SYNCTL_SELECT_H

#include "device.h"
#include "synctl.h"

enum pair_device { DEV_DOOR, DEV_SOURCE, DEV_REPLICA, DEV_META };

/* One of the devices of a pair; false when the pair has none of that kind. */
bool pair_device(const struct dms_pair *pair, enum pair_device which, struct devno *dev);

/* The name of the source door of an image: what stands before the last @ */
void select_store(const struct dms_pair *pair, char *name, size_t size);

/* Whether a word means the store that an image is in, by name or by device */
bool select_means_store(const struct dms_pair *pair, const char *word);

/**
 * select_matches() - whether a selector means a pair
 * @pair: the pair
 * @word: a name, a glob, /dev/..., MAJ:MIN, id:N, uuid:U or "all"
 *
 * An image shares its devices with others: it is not meant by any of them, but by its
 * name and by a door that bears this name.
 */
bool select_matches(const struct dms_pair *pair, const char *word);

/**
 * select_pairs() - dump, and keep what the command line means
 * @args: its words; none means all
 * @list: filled, to be given to dms_list_free()
 *
 * A word that means no pair is an error.
 * Return: an exit code; the complaint is printed.
 */
int select_pairs(struct args *args, struct dms_list *list);

/* The same for one word, without asking the kernel again */
int select_filter(struct args *args, const char *word, const struct dms_list *all,
		  struct dms_list *out);

/* Give pairs the names of their doors, which a rename may have changed. */
void select_names(struct dms_list *list);
void select_name(struct dms_pair *pair);

#endif /* SYNCTL_SELECT_H */
