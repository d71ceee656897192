/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the netlink specification says, as tables. gen-spec.c holds the tables,
 * spec.c looks things up in them; everything that shows or reads the name of a
 * field or of a value goes through here, so a new attribute needs a new line in
 * the specification and nothing else.
 */
#ifndef SYNCTL_SPEC_H
#define SYNCTL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../include/uapi/linux/dm-sync.h"

enum spec_type {
	SPEC_NONE,
	SPEC_PAD,
	SPEC_U32,
	SPEC_U64,
	SPEC_STRING,
	SPEC_BINARY,
};

/* @name as in the specification, @text as shown to people and programs */
struct spec_value {
	uint32_t value;
	const char *name;
	const char *text;
};

/* @is_class: an enumeration of the class MSFT_Synchronized, with its ranges */
struct spec_enum {
	const char *name;
	bool is_class;
	unsigned int count;
	const struct spec_value *values;
};

struct spec_attr {
	const char *name;
	enum spec_type type;
	const struct spec_enum *values;
	uint32_t min;
	uint32_t max;
};

struct spec_cmd {
	const char *name;
	const struct spec_attr *attrs;
	unsigned int maxattr;
};

/**
 * spec_text() - how a value is spelled
 * @e: the enumeration
 * @value: the value
 *
 * Return: a constant string, never NULL; a value that is not listed has the
 * name of its range.
 */
const char *spec_text(const struct spec_enum *e, uint32_t value);

/**
 * spec_parse() - read a value of an enumeration
 * @e: the enumeration
 * @text: a name in any case, with spaces, '-', '_' or nothing between the
 *	words, or a number
 * @value: where the value goes
 *
 * Return: false when @text is neither.
 */
bool spec_parse(const struct spec_enum *e, const char *text, uint32_t *value);

/**
 * spec_find() - the enumeration of a field
 * @name: name of an enumeration or of an attribute that has one, spelled in any way
 *
 * Return: the enumeration or NULL.
 */
const struct spec_enum *spec_find(const char *name);

/**
 * spec_same() - compare two spellings of a name
 * @a: one
 * @b: the other
 *
 * Return: true when they differ only in case, spaces, '-' and '_'.
 */
bool spec_same(const char *a, const char *b);

#endif /* SYNCTL_SPEC_H */
