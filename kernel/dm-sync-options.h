/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a table line says beside its devices.  The table of options is in
 * dm-sync-options.c; which of them a personality takes is in there too.
 */
#ifndef DM_SYNC_OPTIONS_H
#define DM_SYNC_OPTIONS_H

#include <linux/bits.h>
#include <linux/types.h>

#include "dm-sync-pair.h"

struct dm_arg_set;
struct dm_sync_personality;
struct dm_target;

/* One bit each: who takes an option. */
#define DM_SYNC_FOR_MIRROR	BIT(0)
#define DM_SYNC_FOR_SNAPSHOT	BIT(1)
#define DM_SYNC_FOR_CLONE	BIT(2)

#define DM_SYNC_HOLD_LIMIT	3600u	/* largest hold_max, seconds */
#define DM_SYNC_HOLD_MAX	30u	/* its default */

/**
 * struct dm_sync_config - what the table line says
 * @sync_type: what the engine of mirrors and clones is to be; the personality's
 * @delta: a device's path, or NULL; the constructor's word, later the device's name
 */
struct dm_sync_config {
	u32 region_sectors;
	u8 sync_type;
	u8 copy_type, methodology, priority, stop_at, recovery, hold, on_source_error;
	u8 on_full;
	const char *delta;
	u32 hold_max;
	u64 rate;
	bool assume_in_sync, format, have_uuid;
	u8 uuid[16];
};

int dm_sync_options_parse(struct dm_target *ti, const struct dm_sync_personality *kind,
			  struct dm_arg_set *as, struct dm_sync_config *c);
void dm_sync_options_emit(const struct dm_sync_personality *kind,
			  const struct dm_sync_config *c,
			  char *result, unsigned int maxlen, unsigned int *size);
int dm_sync_options_setting(const struct dm_sync_personality *kind, const char *key,
			    const char *value, enum dm_sync_setting *setting,
			    u64 *number, const char **why);
bool dm_sync_options_stop_at(const char *name, u8 *copy_state);

#endif /* DM_SYNC_OPTIONS_H */
