/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON documents; Documentation/synctl-status.schema.json says what is in them. */
#ifndef SYNCTL_JSON_H
#define SYNCTL_JSON_H

#include <json-c/json.h>

#include "fields.h"
#include "synctl.h"

/* One pair; @now for its estimate. The caller owns the object. */
struct json_object *json_pair(const struct dms_pair *pair, uint64_t now);

/* A field's value in JSON's own types; NULL is null. */
struct json_object *json_field(const struct field *field, const struct dms_pair *pair);

/* {"name":..., "major":1, "minor":0} */
struct json_object *json_schema(const char *name);
struct json_object *json_time(uint64_t ns);

/**
 * json_document() - print a document with pairs
 * @args: the command line; its client is asked for the versions
 * @name: of the schema, "synctl.status" or the like
 * @list: the pairs, or NULL when there is nobody to ask
 * @one_line: for streams
 */
void json_document(struct args *args, const char *name, const struct dms_list *list,
		   bool one_line);

/* Print an object on a line of its own, and free it. */
void json_line(struct json_object *object);

#endif /* SYNCTL_JSON_H */
