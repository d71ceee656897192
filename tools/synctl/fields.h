/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fields of a pair under the names that people and programs use: the
 * fourteen of the class first, in the class's order, then our own. Text, JSON,
 * conditions, events and `decode` all read this one table.
 */
#ifndef SYNCTL_FIELDS_H
#define SYNCTL_FIELDS_H

#include "pair.h"

enum field_kind {
	FIELD_ENUM,
	FIELD_NUMBER,
	FIELD_BYTES,
	FIELD_TIME,
	FIELD_BOOL,
	FIELD_RPO,
	FIELD_OPS,
};

/* @key: in JSON, conditions and events; @label: in `show`; @is_class: one of the fourteen */
struct field {
	const char *key;
	const char *label;
	uint16_t attr;
	enum field_kind kind;
	bool is_class;
};

extern const struct field fields[];
extern const unsigned int field_count;

#define CLASS_FIELDS	14

/* Name in any spelling, the class's own ("CopyState") among them; NULL for none. */
const struct field *field_find(const char *name);

/**
 * field_text() - a field of a pair in words
 * @field: which
 * @pair: of what
 * @text: where it goes; "-" when the field is NULL
 * @size: of @text
 */
void field_text(const struct field *field, const struct dms_pair *pair,
		char *text, size_t size);

/* Whether a field differs between two readings of a pair. */
bool field_differs(const struct field *field, const struct dms_pair *a,
		   const struct dms_pair *b);

/* "abort, fracture": the operations of a bitmap; "-" for none */
void ops_text(uint64_t bitmap, const char *separator, char *text, size_t size);

#endif /* SYNCTL_FIELDS_H */
