/* SPDX-License-Identifier: GPL-2.0-only */
/* What is the matter with a pair, and the long form of a pair. */
#ifndef SYNCTL_ADVICE_H
#define SYNCTL_ADVICE_H

#include "synctl.h"

/* "NAME: status ... / action ..." for a pair that needs someone; else nothing */
void advice_print(const struct dms_pair *pair);

/* All fields of the class with their codes, the legs, the copy, what is allowed */
void show_pair(struct args *args, const struct dms_pair *pair);

#endif /* SYNCTL_ADVICE_H */
