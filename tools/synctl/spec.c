// SPDX-License-Identifier: GPL-2.0-only
/* Look-ups in the tables that are generated from the netlink specification. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gen-spec.h"

static bool is_gap(char c)
{
	return c == ' ' || c == '-' || c == '_';
}

bool spec_same(const char *a, const char *b)
{
	for (;;) {
		while (is_gap(*a))
			a++;
		while (is_gap(*b))
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

const char *spec_text(const struct spec_enum *e, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < e->count; i++)
		if (e->values[i].value == value)
			return e->values[i].text;
	if (!e->is_class)
		return "reserved";
	return value < 0x8000 ? "Microsoft Reserved" : "Vendor Specific";
}

bool spec_parse(const struct spec_enum *e, const char *text, uint32_t *value)
{
	unsigned long number;
	unsigned int i;
	char *end;

	for (i = 0; i < e->count; i++) {
		if (spec_same(text, e->values[i].name) ||
		    spec_same(text, e->values[i].text)) {
			*value = e->values[i].value;
			return true;
		}
	}
	if (!isdigit((unsigned char)*text))
		return false;
	number = strtoul(text, &end, 0);
	if (*end || number > UINT32_MAX)
		return false;
	*value = number;
	return true;
}

const struct spec_enum *spec_find(const char *name)
{
	unsigned int i;

	for (i = 0; spec_enums[i]; i++)
		if (spec_same(name, spec_enums[i]->name))
			return spec_enums[i];
	for (i = 1; i <= DM_SYNC_A_PAIR_MAX; i++)
		if (spec_attrs_pair[i].values && spec_same(name, spec_attrs_pair[i].name))
			return spec_attrs_pair[i].values;
	return NULL;
}
