/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store of a snapshot as bytes: where everything lies, what stands in the
 * blocks, and which copy of a slot block to believe after a crash.
 *
 * Plain C, compiled into the module and into the unit tests.
 */
#ifndef DM_SYNC_STORE_CODEC_H
#define DM_SYNC_STORE_CODEC_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif
#include "dm-sync-block-codec.h"

#define DM_SYNC_STORE_VERSION		1u
#define DM_SYNC_STORE_FEATURES		0u	/* that a reader must know */

#define DM_SYNC_IMAGE_BLOCKS		12u
#define DM_SYNC_IMAGES_PER_BLOCK	21u
#define DM_SYNC_MAX_IMAGES		(DM_SYNC_IMAGE_BLOCKS * DM_SYNC_IMAGES_PER_BLOCK)
#define DM_SYNC_IMAGE_NAME		64u
#define DM_SYNC_RESTORE_BLOCK		(1u + DM_SYNC_IMAGE_BLOCKS)

#define DM_SYNC_BLOCK_SLOTS_NR		252u	/* slots in a slot block */
#define DM_SYNC_SEGMENT_BLOCKS		64u	/* slot blocks in a segment */
#define DM_SYNC_SEGMENT_SLOTS		(DM_SYNC_SEGMENT_BLOCKS * DM_SYNC_BLOCK_SLOTS_NR)

#define DM_SYNC_MIN_CHUNK		8u	/* sectors */
#define DM_SYNC_MAX_CHUNK		2097152u
#define DM_SYNC_MAX_CHUNKS		(1ull << 32)
#define DM_SYNC_MAX_SLOTS		0x7ffffffeu	/* slot + 1 leaves bit 31 free */

/**
 * struct dm_sync_store_layout - where everything lies in a store
 * @chunk_sectors: size of a chunk and of a data slot, a power of two
 * @source_sectors: size of the source
 * @store_sectors: size of the device
 * @nr_chunks: of the source; the last one may be short
 * @restore_blocks: blocks of the restore map
 * @first_segment: sector at which segment 0 begins
 * @head_sectors: of a segment's slot blocks, with padding
 * @segment_sectors: of a whole segment
 * @nr_segments: segments that have at least one data slot
 * @nr_slots: data slots in all of them
 */
struct dm_sync_store_layout {
	u32 chunk_sectors;
	u64 source_sectors, store_sectors;
	u64 nr_chunks;
	u32 restore_blocks;
	u64 first_segment;
	u32 head_sectors;
	u64 segment_sectors;
	u32 nr_segments, nr_slots;
};

int dm_sync_store_layout(struct dm_sync_store_layout *l, u32 chunk_sectors,
			 u64 source_sectors, u64 store_sectors);
u64 dm_sync_store_min_sectors(u32 chunk_sectors, u64 source_sectors);
u32 dm_sync_store_slot_block(const struct dm_sync_store_layout *l, u32 index);
u64 dm_sync_store_slot_sector(const struct dm_sync_store_layout *l, u32 slot);
u32 dm_sync_store_block_slots(const struct dm_sync_store_layout *l, u32 index);
u32 dm_sync_store_chunk_sectors(const struct dm_sync_store_layout *l, u64 chunk);

/* A slot lies in this slot block, at this place in it, in this segment. */
static inline u32 dm_sync_slot_to_block(u32 slot)
{
	return slot / DM_SYNC_BLOCK_SLOTS_NR;
}

static inline u32 dm_sync_slot_to_place(u32 slot)
{
	return slot % DM_SYNC_BLOCK_SLOTS_NR;
}

static inline u32 dm_sync_slot_to_segment(u32 slot)
{
	return slot / DM_SYNC_SEGMENT_SLOTS;
}

/*----------------------------------------------------------------
 * Superblock and image records
 *--------------------------------------------------------------*/

enum dm_sync_store_flags {
	DM_SYNC_STORE_CLEAN	= 1 << 0,	/* shut down in order */
};

/**
 * struct dm_sync_store_super - what the superblock of a store says
 * @flags: enum dm_sync_store_flags; unknown ones are kept
 * @chunk_sectors: size of a chunk
 * @source_sectors: size of the source
 * @store_sectors: size of the store when it was last used
 * @segments: how many were formatted, from the first on
 * @next_generation: lowest that no image ever had, from 1
 * @next_own: lowest own id that none ever had, from 1
 * @restoring: number of the image that the source is being restored from, plus
 *	one; 0 when none is
 * @epoch: of all other blocks
 * @batch: number of the newest batch that was complete when this was written; U64_MAX while
 *	the images are given up because of damage
 * @established: when the store was made, nanoseconds since 1970
 */
struct dm_sync_store_super {
	u32 flags;
	u32 chunk_sectors;
	u64 source_sectors, store_sectors;
	u32 segments;
	u32 next_generation, next_own;
	u32 restoring;
	u64 epoch;
	u64 batch;
	u64 established;
};

void dm_sync_store_super_encode(void *block, const struct dm_sync_store_super *s);
const char *dm_sync_store_super_decode(const void *block, struct dm_sync_store_super *s);

enum dm_sync_image_flags {
	DM_SYNC_IMAGE_WRITTEN		= 1 << 0, /* has own writes: not its point in time */
	DM_SYNC_IMAGE_LOST		= 1 << 1, /* was dropped: its content is not to be had */
	DM_SYNC_IMAGE_INCOMPLETE	= 1 << 2, /* a restore from it did not end */
	DM_SYNC_IMAGE_EVER_SYNCED	= 1 << 3, /* had a point in time at least once */
	DM_SYNC_IMAGE_WAS_SYNCED	= 1 << 4, /* the present state came from Synchronized */
	DM_SYNC_IMAGE_HOLD_RELEASED	= 1 << 5, /* Suspended, and writes are no longer held */
	DM_SYNC_IMAGE_DISSOLVED		= 1 << 6, /* only the record of it is left */
	DM_SYNC_IMAGE_MERGED		= 1 << 7, /* own writes belong to its point in time */
};

/**
 * struct dm_sync_image_record - an image as its record says
 * @uuid: of the pair; all zero: the record is free
 * @name: NUL-terminated; dm_sync_image_name_ok()
 * @generation: of its point in time; 0: it has none
 * @own_id: what its own writes are marked with; 0 when @generation is
 * @established, @sync_time, @reason_time: nanoseconds since 1970, 0 is never
 * @reason: enum dm_sync_reason
 * @flags: enum dm_sync_image_flags
 * @sync_type, @copy_type, @methodology, @priority: as in struct dm_sync_state
 * @copy_state, @progress, @requested: as in struct dm_sync_state
 * @changes: counts the changes of state
 */
struct dm_sync_image_record {
	u8 uuid[16];
	char name[DM_SYNC_IMAGE_NAME];
	u32 generation, own_id;
	u64 established, sync_time, reason_time;
	u32 reason, flags;
	u8 sync_type, copy_type, methodology, priority;
	u8 copy_state, progress, requested;
	u32 changes;
};

bool dm_sync_image_name_ok(const char *name);
void dm_sync_image_encode(void *block, unsigned int place,
			  const struct dm_sync_image_record *r);
void dm_sync_image_erase(void *block, unsigned int place);
int dm_sync_image_decode(const void *block, unsigned int place,
			 struct dm_sync_image_record *r);

/*----------------------------------------------------------------
 * Slot blocks
 *--------------------------------------------------------------*/

enum dm_sync_entry_flags {
	DM_SYNC_ENTRY_VALID	= 1 << 0,
	DM_SYNC_ENTRY_OWN	= 1 << 1,	/* written through the image's door */
	DM_SYNC_ENTRY_BAD	= 1 << 2,	/* the source could not be read: no data */
};

/**
 * struct dm_sync_entry - what a slot holds
 * @chunk: of the source
 * @flags: enum dm_sync_entry_flags; 0: the slot was never used
 * @generation: of the newest image when the chunk was saved; with OWN the
 *	image's own id
 * @crc: CRC-32C of the whole slot, computed as that of a block; 0 with OWN or BAD
 */
struct dm_sync_entry {
	u64 chunk;
	u16 flags;
	u32 generation;
	u32 crc;
};

void dm_sync_entry_encode(void *block, unsigned int place, const struct dm_sync_entry *e);
int dm_sync_entry_decode(const void *block, unsigned int place, u64 nr_chunks,
			 struct dm_sync_entry *e);

/* Only such data can be held against a checksum. */
static inline bool dm_sync_entry_has_crc(const struct dm_sync_entry *e)
{
	return (e->flags & (DM_SYNC_ENTRY_VALID | DM_SYNC_ENTRY_OWN | DM_SYNC_ENTRY_BAD)) ==
	       DM_SYNC_ENTRY_VALID;
}

/**
 * struct dm_sync_slot_batch - the batch that wrote a copy of a slot block
 * @number: serial over the whole store, from 1; 0: the copy was formatted
 * @first: place of the first slot it filled
 * @nr: how many; 0 when it rewrote the block and filled none
 */
struct dm_sync_slot_batch {
	u64 number;
	u16 first, nr;
};

void dm_sync_slot_batch_encode(void *block, const struct dm_sync_slot_batch *b);
int dm_sync_slot_batch_decode(const void *block, struct dm_sync_slot_batch *b);

/**
 * struct dm_sync_slot_homes - both homes of a slot block
 * @homes: what their headers say; @homes.home is the newest copy
 * @batch: of each home that is valid, else 0
 * @torn: one home is not valid, as a write that was cut leaves it
 */
struct dm_sync_slot_homes {
	struct dm_sync_homes homes;
	struct dm_sync_slot_batch batch[2];
	bool torn;
};

int dm_sync_slot_homes_judge(struct dm_sync_slot_homes *h, const void *a, int error_a,
			     const void *b, int error_b, const u8 *uuid,
			     const struct dm_sync_block_id *id, bool clean);

#define DM_SYNC_NO_BLOCK	(~0u)

/**
 * struct dm_sync_slot_scan - what reading all slot blocks has shown so far
 * @clean: the superblock says so
 * @expected: the superblock's @batch
 * @newest: number of the newest batch seen
 * @newest_block: the block whose newest copy it wrote, or DM_SYNC_NO_BLOCK
 * @newest_homes: its homes
 * @torn_block: the block with a home that is not valid, or DM_SYNC_NO_BLOCK
 * @bad_block: the block that is damaged, or DM_SYNC_NO_BLOCK
 */
struct dm_sync_slot_scan {
	bool clean;
	u64 expected;
	u64 newest;
	u32 newest_block;
	struct dm_sync_slot_homes newest_homes;
	u32 torn_block;
	u32 bad_block;
};

void dm_sync_slot_scan_begin(struct dm_sync_slot_scan *s, const struct dm_sync_store_super *super);
int dm_sync_slot_scan_add(struct dm_sync_slot_scan *s, u32 index, int judged,
			  const struct dm_sync_slot_homes *h, bool *newest);
bool dm_sync_slot_scan_suspects(const struct dm_sync_slot_scan *s);
int dm_sync_slot_scan_end(struct dm_sync_slot_scan *s, bool arrived, int *home, u32 *rewrite);

#endif /* DM_SYNC_STORE_CODEC_H */
