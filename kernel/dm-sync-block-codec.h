/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata block as bytes: sealing and checking, and what the region maps
 * and the activity table put into it, without I/O.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_BLOCK_CODEC_H
#define DM_SYNC_BLOCK_CODEC_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

#define DM_SYNC_BLOCK_SIZE	4096u
#define DM_SYNC_BLOCK_SECTORS	8u
#define DM_SYNC_BLOCK_HEADER	64u
#define DM_SYNC_BLOCK_PAYLOAD	(DM_SYNC_BLOCK_SIZE - DM_SYNC_BLOCK_HEADER)

#define DM_SYNC_BLOCK_MAGIC	0x636e5953u	/* "SYnc" */

enum dm_sync_block_type {
	DM_SYNC_BLOCK_SUPER = 1,
	DM_SYNC_BLOCK_ACTIVITY = 2,
	DM_SYNC_BLOCK_SOURCE_MAP = 3,
	DM_SYNC_BLOCK_REPLICA_MAP = 4,
	DM_SYNC_BLOCK_STORE = 5,
	DM_SYNC_BLOCK_IMAGES = 6,
	DM_SYNC_BLOCK_SLOTS = 7,
	DM_SYNC_BLOCK_RESTORE_MAP = 8,
	DM_SYNC_BLOCK_UNCOPIED_MAP = 9,
	DM_SYNC_BLOCK_DELTA = 10,
	DM_SYNC_BLOCK_DELTA_SLOTS = 11,
};

/*
 * Header of every block on disk, 64 bytes. The crc covers all that follows it.
 * Slot blocks name in reserved1 the batch that wrote them (dm-sync-store-codec.h);
 * it is 0 in all others.
 */
struct dm_sync_block_disk {
	__le32 magic;
	__le32 crc;
	__le64 seq;
	__le64 epoch;
	__u8 uuid[16];
	__le16 type;
	__le16 reserved0;
	__le32 index;
	__u8 reserved1[16];
} __attribute__((packed));

struct dm_sync_block_id {
	u64 epoch;
	u16 type;
	u32 index;
};

void dm_sync_block_seal(void *block, const u8 *uuid,
			const struct dm_sync_block_id *id, u64 seq);
int dm_sync_block_check(const void *block, const u8 *uuid,
			const struct dm_sync_block_id *id, u64 *seq);
bool dm_sync_block_is_zero(const void *block);

#define DM_SYNC_HOME_NONE	(-1)
int dm_sync_block_choose(int check_a, u64 seq_a, int check_b, u64 seq_b,
			 bool clean);

/**
 * struct dm_sync_homes - what reading both homes of a block has shown
 * @check: of each home, as dm_sync_block_check(), or -EIO
 * @seq: of each home, as dm_sync_block_check()
 * @home: the home to believe, or DM_SYNC_HOME_NONE
 * @last_seq: the highest sequence number of any copy of this block, of
 *	whatever epoch; 0 when there is none
 * @last_home: the home that holds it
 */
struct dm_sync_homes {
	int check[2];
	u64 seq[2];
	int home;
	u64 last_seq;
	u8 last_home;
};

void dm_sync_block_judge(struct dm_sync_homes *h, const void *a, int error_a,
			 const void *b, int error_b, const u8 *uuid,
			 const struct dm_sync_block_id *id, bool clean);
bool dm_sync_block_is_older(const void *block, const u8 *uuid,
			    const struct dm_sync_block_id *id);

/* bits of a region map in one block, and slots of the activity table */
#define DM_SYNC_MAP_BITS	(DM_SYNC_BLOCK_PAYLOAD * 8u)		/* 32256 */
#define DM_SYNC_ACTIVITY_SLOTS	(DM_SYNC_BLOCK_PAYLOAD / 8u)		/* 504 */
#define DM_SYNC_ACTIVITY_BLOCKS	8u

/* One slot of the activity table on disk: 0 is empty, else extent + 1. */
struct dm_sync_slot_disk {
	__le32 extent;
	__le32 flags;
} __attribute__((packed));

u32 dm_sync_bits_weight(const void *block);
void dm_sync_bits_fill(void *block, u32 first, u32 last, bool value);
bool dm_sync_bits_or(void *block, const void *from);

void dm_sync_slots_encode(void *block, const u32 *slots);
int dm_sync_slots_decode(const void *block, u32 nr_extents, u32 *slots);
int dm_sync_slots_recover(const void *a, int error_a, const void *b, int error_b,
			  const u8 *uuid, const struct dm_sync_block_id *id,
			  u32 nr_extents, u32 *slots, struct dm_sync_homes *h);

#endif /* DM_SYNC_BLOCK_CODEC_H */
