// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints themselves; see dm-sync-trace.h.
 */
#include <linux/blk_types.h>
#include <linux/build_bug.h>
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "dm-sync-trace.h"
#include "dm-sync-view.h"

static_assert((__force u32)REQ_OP_READ == 0);
static_assert((__force u32)REQ_OP_WRITE == 1);
static_assert((__force u32)REQ_OP_FLUSH == 2);
static_assert((__force u32)REQ_OP_DISCARD == 3);
static_assert((__force u32)REQ_OP_SECURE_ERASE == 5);
static_assert((__force u32)REQ_OP_WRITE_ZEROES == 9);
static_assert(DM_SYNC_FOUND_SOURCE == 0 && DM_SYNC_FOUND_SLOT == 1);
static_assert(DM_SYNC_FOUND_OWN == 2 && DM_SYNC_FOUND_BAD == 3);
