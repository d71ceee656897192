// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of a table line: one table for all personalities.
 *
 *	<#opts> <opt>...	each a bare word or key:value
 *
 * A row tells how an option is read, where it is kept, how it is printed, and
 * whether "set" may change it later.  It names the personalities that take it;
 * the same key may have several rows, with other words for other personalities.
 * A row's sentence is what a wrong value is refused with.
 *
 * No locks, no devices: everything here works on its arguments.
 */
#include <linux/device-mapper.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "dm-sync-target.h"

#define DM_MSG_PREFIX "sync"

#define OPTIONS_MAX		16u
#define NO_SETTING		(-1)

/* One word of an option's value and the number it stands for. */
struct word {
	const char *name;
	u8 value;
};

static const struct word copy_types[] = {
	{ "sync", DM_SYNC_COPY_TYPE_SYNC }, { }
};

static const struct word methodologies[] = {
	{ "full", DM_SYNC_COPY_METHODOLOGY_FULL_COPY },
	{ "incremental", DM_SYNC_COPY_METHODOLOGY_INCREMENTAL },
	{ "differential", DM_SYNC_COPY_METHODOLOGY_DIFFERENTIAL }, { }
};

static const struct word clone_types[] = {
	{ "assoc", DM_SYNC_COPY_TYPE_UNSYNC_ASSOC },
	{ "unassoc", DM_SYNC_COPY_TYPE_UNSYNC_UNASSOC }, { }
};

static const struct word clone_methodologies[] = {
	{ "copy_on_write", DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE },
	{ "copy_on_access", DM_SYNC_COPY_METHODOLOGY_COPY_ON_ACCESS },
	{ "full", DM_SYNC_COPY_METHODOLOGY_FULL_COPY },
	{ "snap_and_clone", DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE }, { }
};

static const struct word priorities[] = {
	{ "low", DM_SYNC_COPY_PRIORITY_LOW },
	{ "same", DM_SYNC_COPY_PRIORITY_SAME },
	{ "high", DM_SYNC_COPY_PRIORITY_HIGH },
	{ "none", DM_SYNC_COPY_PRIORITY_NOT_MANAGED }, { }
};

static const struct word stops[] = {
	{ "synchronized", 0 },
	{ "initialized", DM_SYNC_COPY_STATE_INITIALIZED },
	{ "prepared", DM_SYNC_COPY_STATE_PREPARED },
	{ "inactive", DM_SYNC_COPY_STATE_INACTIVE }, { }
};

static const struct word recoveries[] = { { "auto", 0 }, { "manual", 1 }, { } };
static const struct word holds[] = { { "queue", 0 }, { "track", 1 }, { } };
static const struct word source_errors[] = { { "error", 0 }, { } };

static const struct word fulls[] = {
	{ "drop", DM_SYNC_ON_FULL_DROP },
	{ "hold", DM_SYNC_ON_FULL_HOLD }, { }
};

enum option_kind {
	OPTION_FLAG,		/* bool: a bare word */
	OPTION_WORD,		/* u8: one of a few words */
	OPTION_NUMBER,		/* u64 */
	OPTION_SECONDS,		/* u32, 1 to DM_SYNC_HOLD_LIMIT */
	OPTION_UUID,		/* u8[16] */
	OPTION_DEVICE,		/* const char *: a path; there or not */
};

/**
 * struct option - one row
 * @key: its name
 * @kind: enum option_kind
 * @shown: printed in the table line
 * @setting: enum dm_sync_setting, or NO_SETTING
 * @personalities: DM_SYNC_FOR_ bits of those that take it
 * @offset: of the member of struct dm_sync_config
 * @words: with OPTION_WORD: those that are taken
 * @error: what a wrong value is refused with
 */
struct option {
	const char *key;
	u8 kind;
	bool shown;
	s8 setting;
	u32 personalities;
	size_t offset;
	const struct word *words;
	char *error;
};

#define FOR_COPIES	(DM_SYNC_FOR_MIRROR | DM_SYNC_FOR_CLONE)
#define FOR_ALL		(FOR_COPIES | DM_SYNC_FOR_SNAPSHOT)

#define ROW(k, type, member, who)					\
	.key = k, .kind = OPTION_##type, .personalities = who,		\
	.offset = offsetof(struct dm_sync_config, member)

/* In the order in which the table line shows them. */
static const struct option options[] = {
	{ ROW("copy_type", WORD, copy_type, DM_SYNC_FOR_MIRROR),
	  .words = copy_types, .shown = true, .setting = NO_SETTING,
	  .error = "copy_type is sync (async is not built yet)" },
	{ ROW("methodology", WORD, methodology, DM_SYNC_FOR_MIRROR),
	  .words = methodologies, .shown = true, .setting = NO_SETTING,
	  .error = "methodology is full, incremental or differential" },
	{ ROW("copy_type", WORD, copy_type, DM_SYNC_FOR_CLONE),
	  .words = clone_types, .shown = true, .setting = NO_SETTING,
	  .error = "copy_type is assoc or unassoc" },
	{ ROW("methodology", WORD, methodology, DM_SYNC_FOR_CLONE),
	  .words = clone_methodologies, .shown = true, .setting = NO_SETTING,
	  .error = "methodology is copy_on_write, copy_on_access, full or snap_and_clone" },
	{ ROW("delta", DEVICE, delta, DM_SYNC_FOR_CLONE),
	  .shown = true, .setting = NO_SETTING,
	  .error = "delta is the path of a device" },
	{ ROW("priority", WORD, priority, FOR_ALL),
	  .words = priorities, .shown = true, .setting = DM_SYNC_SETTING_PRIORITY,
	  .error = "priority is low, same, high or none" },
	{ ROW("stop_at", WORD, stop_at, FOR_COPIES),
	  .words = stops, .shown = true, .setting = NO_SETTING,
	  .error = "stop_at is synchronized, initialized, prepared or inactive" },
	{ ROW("recovery", WORD, recovery, FOR_COPIES),
	  .words = recoveries, .shown = true, .setting = DM_SYNC_SETTING_RECOVERY,
	  .error = "recovery is auto or manual" },
	{ ROW("hold", WORD, hold, FOR_COPIES),
	  .words = holds, .shown = true, .setting = DM_SYNC_SETTING_HOLD,
	  .error = "hold is queue or track" },
	{ ROW("rate", NUMBER, rate, FOR_ALL),
	  .shown = true, .setting = DM_SYNC_SETTING_LIMIT,
	  .error = "rate is a number of bytes per second" },
	{ ROW("hold_max", SECONDS, hold_max, FOR_ALL),
	  .shown = true, .setting = DM_SYNC_SETTING_HOLD_MAX,
	  .error = "hold_max is 1 to 3600 seconds" },
	{ ROW("uuid", UUID, uuid, FOR_ALL),
	  .shown = true, .setting = NO_SETTING,
	  .error = "uuid has the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" },
	{ ROW("on_full", WORD, on_full, DM_SYNC_FOR_SNAPSHOT),
	  .words = fulls, .shown = true, .setting = DM_SYNC_SETTING_ON_FULL,
	  .error = "on_full is drop or hold" },
	{ ROW("on_source_error", WORD, on_source_error, DM_SYNC_FOR_MIRROR),
	  .words = source_errors, .setting = NO_SETTING,
	  .error = "on_source_error is error (failover is not built yet)" },
	{ ROW("assume_in_sync", FLAG, assume_in_sync, DM_SYNC_FOR_MIRROR),
	  .shown = true, .setting = NO_SETTING },
	/* Not shown: once it was done it must not be done again. */
	{ ROW("format", FLAG, format, FOR_ALL),
	  .setting = NO_SETTING },
};

#undef ROW
#undef FOR_COPIES
#undef FOR_ALL

static const struct word *word_find(const struct word *words, const char *name)
{
	for (; words->name; words++)
		if (!strcasecmp(words->name, name))
			return words;
	return NULL;
}

static const char *word_name(const struct word *words, u8 value)
{
	for (; words->name; words++)
		if (words->value == value)
			return words->name;
	return "?";
}

/* A key with a value is another option than the bare word. */
static const struct option *option_find(const char *key, bool valued, u32 personalities)
{
	const struct option *o;

	for (o = options; o < options + ARRAY_SIZE(options); o++)
		if ((o->personalities & personalities) &&
		    (o->kind != OPTION_FLAG) == valued && !strcasecmp(o->key, key))
			return o;
	return NULL;
}

/*----------------------------------------------------------------
 * Reading
 *--------------------------------------------------------------*/

static int take_word(const struct option *o, const char *value, u8 *field)
{
	const struct word *word = word_find(o->words, value);

	if (!word)
		return -EINVAL;
	*field = word->value;
	return 0;
}

static int take_seconds(const char *value, u32 *field)
{
	int r = kstrtou32(value, 10, field);

	return r ?: !*field || *field > DM_SYNC_HOLD_LIMIT ? -EINVAL : 0;
}

static int take_value(const struct option *o, const char *value, struct dm_sync_config *c)
{
	void *field = (char *)c + o->offset;

	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_WORD:
		return take_word(o, value, field);
	case OPTION_NUMBER:
		return kstrtou64(value, 10, field);
	case OPTION_SECONDS:
		return take_seconds(value, field);
	case OPTION_UUID:
		c->have_uuid = true;
		return uuid_parse(value, field);
	case OPTION_DEVICE:
		*(const char **)field = value;
		return *value ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int take_option(struct dm_target *ti, const struct dm_sync_personality *kind,
		       const char *key, const char *value, struct dm_sync_config *c)
{
	const struct option *o = option_find(key, value, kind->options);
	int r;

	if (o) {
		r = take_value(o, value, c);
		if (r)
			ti->error = o->error;
		return r;
	}
	ti->error = "Unknown option";
	if (option_find(key, value, ~0)) {
		ti->error = "The option is one of another kind of pair";
		DMERR("%s is not an option of a %s", key, kind->name);
	} else {
		DMERR("%s is no option, or not in this form", key);
	}
	return -EINVAL;
}

static int parse_option(struct dm_target *ti, const struct dm_sync_personality *kind,
			char *option, struct dm_sync_config *c)
{
	char *colon = strchr(option, ':');
	int r;

	if (!colon)
		return take_option(ti, kind, option, NULL, c);
	*colon = '\0';
	r = take_option(ti, kind, option, colon + 1, c);
	*colon = ':';
	return r;
}

/**
 * dm_sync_options_parse - read the options of a table line
 * @ti: the instance, being constructed
 * @kind: its personality
 * @as: the words that are left
 * @c: in: the personality's defaults; out: what the options change
 *
 * Context: constructor.
 * Return: 0, or a negative errno with ti->error set; an option that is not known, or
 * one of another personality, is named in the log.
 */
int dm_sync_options_parse(struct dm_target *ti, const struct dm_sync_personality *kind,
			  struct dm_arg_set *as, struct dm_sync_config *c)
{
	static const struct dm_arg args[] = {
		{ 0, OPTIONS_MAX, "Invalid number of options" },
	};
	unsigned int n;
	int r;

	if (!as->argc)
		return 0;
	r = dm_read_arg_group(args, as, &n, &ti->error);
	if (r)
		return r;
	while (n--) {
		r = parse_option(ti, kind, (char *)dm_shift_arg(as), c);
		if (r)
			return r;
	}
	if (as->argc) {
		ti->error = "More words than the number of options says";
		return -EINVAL;
	}
	return 0;
}

/*----------------------------------------------------------------
 * Printing
 *--------------------------------------------------------------*/

static bool is_shown(const struct option *o, const struct dm_sync_personality *kind,
		     const struct dm_sync_config *c)
{
	if (!o->shown || !(o->personalities & kind->options))
		return false;
	if (o->kind == OPTION_FLAG)
		return *((const bool *)((const char *)c + o->offset));
	if (o->kind == OPTION_DEVICE)
		return *(const char *const *)((const char *)c + o->offset);
	return o->kind != OPTION_UUID || c->have_uuid;
}

static void emit_option(const struct option *o, const struct dm_sync_config *c,
			char *result, unsigned int maxlen, unsigned int *size)
{
	const void *field = (const char *)c + o->offset;
	unsigned int sz = *size;

	DMEMIT(" %s", o->key);
	switch (o->kind) {
	case OPTION_FLAG:
		break;
	case OPTION_WORD:
		DMEMIT(":%s", word_name(o->words, *(const u8 *)field));
		break;
	case OPTION_NUMBER:
		DMEMIT(":%llu", *(const u64 *)field);
		break;
	case OPTION_SECONDS:
		DMEMIT(":%u", *(const u32 *)field);
		break;
	case OPTION_UUID:
		DMEMIT(":%pU", field);
		break;
	case OPTION_DEVICE:
		DMEMIT(":%s", *(const char *const *)field);
		break;
	}
	*size = sz;
}

/**
 * dm_sync_options_emit - the options as dm_sync_options_parse() takes them back
 * @kind: the personality
 * @c: their values
 * @result: the table line so far
 * @maxlen: room in @result
 * @size: in, out: how much of it is used
 *
 * Context: any.
 */
void dm_sync_options_emit(const struct dm_sync_personality *kind,
			  const struct dm_sync_config *c,
			  char *result, unsigned int maxlen, unsigned int *size)
{
	unsigned int i, n = 0, sz = *size;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		n += is_shown(&options[i], kind, c);
	DMEMIT(" %u", n);
	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (is_shown(&options[i], kind, c))
			emit_option(&options[i], c, result, maxlen, &sz);
	*size = sz;
}

/*----------------------------------------------------------------
 * The message "set"
 *--------------------------------------------------------------*/

/**
 * dm_sync_options_setting - which setting, and to what
 * @kind: the personality
 * @key: the option's
 * @value: as in a table line
 * @setting: out
 * @number: out: for dm_sync_pair_set(), which checks its range
 * @why: out: a constant sentence for the case that the value is refused
 *
 * Context: any.
 * Return: 0 or -EINVAL.
 */
int dm_sync_options_setting(const struct dm_sync_personality *kind, const char *key,
			    const char *value, enum dm_sync_setting *setting,
			    u64 *number, const char **why)
{
	const struct option *o = option_find(key, true, kind->options);
	u8 word;

	if (!o || o->setting == NO_SETTING) {
		*why = kind->settings;
		return -EINVAL;
	}
	*why = "the value is not one of those allowed";
	*setting = o->setting;
	if (o->kind == OPTION_WORD) {
		if (take_word(o, value, &word))
			return -EINVAL;
		*number = word;
		return 0;
	}
	if (kstrtou64(value, 10, number))
		return -EINVAL;
	return o->kind == OPTION_SECONDS && *number > U32_MAX ? -EINVAL : 0;
}

/**
 * dm_sync_options_stop_at - where a creation is to stop
 * @name: as in a table line
 * @copy_state: out: enum dm_sync_copy_state; 0: go on to the end
 *
 * Context: any.
 * Return: false when there is no such name.
 */
bool dm_sync_options_stop_at(const char *name, u8 *copy_state)
{
	const struct word *word = word_find(stops, name);

	if (word)
		*copy_state = word->value;
	return word;
}
