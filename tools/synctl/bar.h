/* SPDX-License-Identifier: GPL-2.0-only */
/* One line of `watch` and of `wait` on a terminal. */
#ifndef SYNCTL_BAR_H
#define SYNCTL_BAR_H

#include "synctl.h"

/* A bar of @width cells; @text takes up to 4 bytes a cell. */
void bar_text(const struct dms_pair *pair, int width, bool ascii, char *text, size_t size);

/**
 * bar_line() - a pair on one line
 * @args: --ascii, --bytes, --bar-width
 * @pair: the pair
 * @name_width: cells for the name
 * @columns: width of the terminal; 0 for no bar
 * @text: where the line goes
 * @size: of @text
 */
void bar_line(struct args *args, const struct dms_pair *pair, int name_width,
	      int columns, char *text, size_t size);

/* Columns of the terminal on @fd; 80 when it does not tell. */
int terminal_columns(int fd, int *rows);

/* May block characters be drawn: no --ascii, and a UTF-8 locale. */
bool ascii_only(const struct args *args);

#endif /* SYNCTL_BAR_H */
