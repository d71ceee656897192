/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines for run.sh, which numbers them: "ok - what" or "not ok - what". */
#ifndef SYNCTL_TESTS_TAP_H
#define SYNCTL_TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_failed;

static inline bool tap(bool ok, const char *what)
{
	printf("%s - %s\n", ok ? "ok" : "not ok", what);
	tap_failed |= !ok;
	return ok;
}

static inline void tap_skip(const char *what, const char *why)
{
	printf("ok - %s # SKIP %s\n", what, why);
}

#endif /* SYNCTL_TESTS_TAP_H */
