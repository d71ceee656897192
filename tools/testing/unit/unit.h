/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tiny TAP writer for tests of pure code on the host.
 *
 * One translation unit per test program, so everything is static here.
 *
 *	int main(void)
 *	{
 *		plan(2);		// or plan(0): the count is printed at the end
 *		ok(p != NULL, "the block is found");
 *		eq(sum(1, 2), 3, "1 + 2");
 *		return done();
 *	}
 *
 * A table of thousands of cells would drown its reader in lines: check each cell with expect(),
 * which says something only when it fails, and close the row with point(), which writes one
 * TAP line for everything expected since the last one.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int unit_planned, unit_run, unit_failed;
static int unit_row_checks, unit_row_failures;

/* Announce how many points follow; 0 when the number is only known at the end. */
static inline void plan(int points)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	unit_planned = points;
	printf("TAP version 13\n");
	if (points)
		printf("1..%d\n", points);
}

static inline void unit_line(bool good, const char *fmt, va_list ap)
{
	unit_run++;
	if (!good)
		unit_failed++;
	printf("%sok %d - ", good ? "" : "not ", unit_run);
	vprintf(fmt, ap);
	putchar('\n');
}

/* One point. Returns the condition, so that a test can stop where going on makes no sense. */
__attribute__((format(printf, 2, 3), unused))
static bool unit_ok(bool good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	unit_line(good, fmt, ap);
	va_end(ap);
	return good;
}

#define ok(cond, ...) \
	(unit_ok(cond, __VA_ARGS__) || \
	 (printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #cond), false))

/* One point: two integers are equal. */
#define eq(got, want, ...) __extension__ ({ \
	long long unit_got = (long long)(got), unit_want = (long long)(want); \
	bool unit_same = unit_ok(unit_got == unit_want, __VA_ARGS__); \
	if (!unit_same) \
		printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #got, \
		       unit_got, unit_want); \
	unit_same; })

/* A check inside a row: silent when it holds, a comment naming the cell when it does not. */
__attribute__((format(printf, 2, 3), unused))
static bool expect(bool good, const char *fmt, ...)
{
	va_list ap;

	unit_row_checks++;
	if (good)
		return true;
	unit_row_failures++;
	printf("# failed: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return false;
}

/* Close a row of expect(): one point. A row in which nothing was checked is a failure. */
__attribute__((format(printf, 1, 2), unused))
static bool point(const char *fmt, ...)
{
	bool good = unit_row_checks && !unit_row_failures;
	va_list ap;

	va_start(ap, fmt);
	unit_line(good, fmt, ap);
	va_end(ap);
	printf("# %d checks, %d failed\n", unit_row_checks, unit_row_failures);
	unit_row_checks = 0;
	unit_row_failures = 0;
	return good;
}

/* The end: prints the plan if it was open, and returns main()'s exit status. */
static inline int done(void)
{
	if (!unit_planned)
		printf("1..%d\n", unit_run);
	else if (unit_planned != unit_run)
		printf("# planned %d points, ran %d\n", unit_planned, unit_run);
	return unit_failed || !unit_run || (unit_planned && unit_planned != unit_run);
}

#endif
