// SPDX-License-Identifier: GPL-2.0-only
/* Sizes and times as people write them. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "synctl.h"

#define HOLD_LIMIT	3600	/* the kernel counts in seconds, and takes no more */

/* 64K, 64KiB, 1.5M are powers of 1024; 64kB, 1MB of 1000 as dd(1) has it. */
bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgtpe";
	const char *unit;
	double number;
	double factor = 1;
	int power = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	number = strtod(text, &end);
	if (*end == 's' && !end[1]) {
		*bytes = number * 512;
		return true;
	}
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit) {
		power = unit - units + 1;
		end++;
	}
	if (!strcmp(end, "B") && power)
		while (power--)
			factor *= 1000;
	else if (!*end || !strcmp(end, "iB") || (!strcmp(end, "B") && !power))
		while (power-- > 0)
			factor *= 1024;
	else
		return false;
	/* Plain integers are exact; beyond 2^53 a double is not. */
	if (factor == 1) {
		*bytes = strtoull(text, NULL, 10);
		return true;
	}
	if (number * factor >= 18446744073709551615.0)
		return false;
	*bytes = number * factor;
	return true;
}

bool parse_seconds(const char *text, double *seconds)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = {
		{ "", 1 }, { "s", 1 }, { "ms", 0.001 }, { "m", 60 },
		{ "min", 60 }, { "h", 3600 }, { "d", 86400 },
	};
	char *end;
	size_t i;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return false;
	*seconds = strtod(text, &end);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(end, units[i].unit)) {
			*seconds *= units[i].factor;
			return true;
		}
	}
	return false;
}

bool option_seconds(const struct args *args, enum option_id id, double *seconds)
{
	if (!given(args, id))
		return true;
	if (parse_seconds(args->value[id], seconds))
		return true;
	usage(args, "--%s: not a time: %s (write 30, 30s, 5m, 2h)",
	      options[id].name, args->value[id]);
	return false;
}

bool parse_hold(const char *text, uint64_t *seconds)
{
	double value;

	if (!parse_seconds(text, &value) || value < 1 || value > HOLD_LIMIT)
		return false;
	*seconds = value;
	return *seconds == value;
}

bool option_hold(const struct args *args, uint64_t *seconds)
{
	const char *text = args->value[OPT_HOLD_MAX];

	if (parse_hold(text, seconds))
		return true;
	usage(args, "--%s: not whole seconds, 1s to 1h: %s", options[OPT_HOLD_MAX].name, text);
	return false;
}
