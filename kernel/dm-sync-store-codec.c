// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store of a snapshot as bytes.
 *
 * The superblock and the image table are dual-home blocks like those of a mirror.
 * Then come segments, each 64 slot blocks followed by the slots that they tell
 * of. Entry i of slot block j is about slot 252 * j + i, and a slot's place on
 * the device follows from its number, so that no pointer is stored: a store that
 * grew has more slots and nothing moved.
 *
 * A batch writes the data of its slots and the one slot block they belong to, at
 * the same time. It is complete when all of that is durable; only then does
 * anything that depended on it go on, and only then does the next batch begin.
 * So after a crash there is at most one batch of which a part may be missing, and
 * it is the one with the highest number of all. What it can have left behind:
 *
 *  - its copy of the block is not valid. That home is the only one in the store
 *    that is not, since every earlier write of a slot block was complete. The
 *    other home is the truth, and all batches that can be seen are complete;
 *  - its copy was not written at all. Then the highest number that can be seen is
 *    of the batch before, which is complete;
 *  - its copy is whole and its data may not be. Then all homes are valid, its
 *    number is the highest, and the checksums of its entries tell. If one does
 *    not match, the block's other home is the truth.
 *
 * Hence two homes that are not valid, or one in a store that says it is clean,
 * is damage and not the trace of a crash.
 *
 * Telling the second case from the third needs the data of the batch before to be
 * still what it was. So slots that the newest batch filled are not handed out
 * again before another batch is complete, although their image was deleted
 * meanwhile (dm-sync-slots.c).
 *
 * What was found torn, or was not believed, has to be replaced by the next write of
 * any slot block, as a batch that fills no slot: otherwise a second crash would
 * leave two torn homes, or a copy whose number is not the highest any more and
 * that would be believed. Documentation/proofs/store.rst has the whole argument.
 *
 * Nothing here has state, locks or I/O.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#endif
#include <linux/errno.h>

#include "dm-sync-store-codec.h"

#define HOMES_SECTORS	(2u * DM_SYNC_BLOCK_SECTORS)
#define HEAD_SECTORS	(DM_SYNC_SEGMENT_BLOCKS * HOMES_SECTORS)	/* 512 KiB */
#define MAX_SECTORS	((u64)HOMES_SECTORS << 32)	/* the number of a block is 32 bits */

/*----------------------------------------------------------------
 * Where everything lies
 *--------------------------------------------------------------*/

static bool chunk_size_ok(u32 sectors)
{
	return sectors >= DM_SYNC_MIN_CHUNK && sectors <= DM_SYNC_MAX_CHUNK &&
	       !(sectors & (sectors - 1));
}

static int layout_start(struct dm_sync_store_layout *l, u32 chunk_sectors, u64 source_sectors)
{
	u64 align;

	memset(l, 0, sizeof(*l));
	if (!chunk_size_ok(chunk_sectors) || !source_sectors)
		return -EINVAL;
	l->nr_chunks = div_u64(source_sectors - 1, chunk_sectors) + 1;
	if (l->nr_chunks > DM_SYNC_MAX_CHUNKS)
		return -EFBIG;
	l->chunk_sectors = chunk_sectors;
	l->source_sectors = source_sectors;
	l->restore_blocks = div_u64(l->nr_chunks + DM_SYNC_MAP_BITS - 1, DM_SYNC_MAP_BITS);
	align = max(HEAD_SECTORS, chunk_sectors);
	l->first_segment = (u64)(DM_SYNC_RESTORE_BLOCK + l->restore_blocks) * HOMES_SECTORS;
	l->first_segment = (l->first_segment + align - 1) & ~(align - 1);
	l->head_sectors = align;
	l->segment_sectors = align + (u64)DM_SYNC_SEGMENT_SLOTS * chunk_sectors;
	return 0;
}

/**
 * dm_sync_store_layout - where everything lies in a store
 * @l: out
 * @chunk_sectors: size of a chunk, a power of two from DM_SYNC_MIN_CHUNK to
 *	DM_SYNC_MAX_CHUNK
 * @source_sectors: size of the source, not 0
 * @store_sectors: size of the store; what is beyond 32 TiB is not used
 *
 * Context: any.
 * Return: 0; -EINVAL when a size cannot be; -EFBIG when the source has more
 * chunks than can be told apart; -ENOSPC when the store has no room for one slot.
 * @l is then set as far as it does not depend on the size of the store.
 */
int dm_sync_store_layout(struct dm_sync_store_layout *l, u32 chunk_sectors,
			 u64 source_sectors, u64 store_sectors)
{
	u64 usable = min(store_sectors, MAX_SECTORS), full, rest, slots;
	int r;

	r = layout_start(l, chunk_sectors, source_sectors);
	if (r)
		return r;
	l->store_sectors = store_sectors;
	if (usable < l->first_segment + l->head_sectors + chunk_sectors)
		return -ENOSPC;
	usable -= l->first_segment;
	full = div64_u64(usable, l->segment_sectors);
	rest = usable - full * l->segment_sectors;
	slots = full * DM_SYNC_SEGMENT_SLOTS;
	if (rest > l->head_sectors)
		slots += div_u64(rest - l->head_sectors, chunk_sectors);
	l->nr_slots = min_t(u64, slots, DM_SYNC_MAX_SLOTS);
	l->nr_segments = (l->nr_slots - 1) / DM_SYNC_SEGMENT_SLOTS + 1;
	return 0;
}

/**
 * dm_sync_store_min_sectors - the smallest store for a source
 * @chunk_sectors: as for dm_sync_store_layout()
 * @source_sectors: size of the source
 *
 * Context: any.
 * Return: sectors with which there is one slot; 0 when there can be no store.
 */
u64 dm_sync_store_min_sectors(u32 chunk_sectors, u64 source_sectors)
{
	struct dm_sync_store_layout l;

	if (layout_start(&l, chunk_sectors, source_sectors))
		return 0;
	return l.first_segment + l.head_sectors + chunk_sectors;
}

static u64 segment_sector(const struct dm_sync_store_layout *l, u32 segment)
{
	return l->first_segment + segment * l->segment_sectors;
}

/**
 * dm_sync_store_slot_block - number of a slot block on the device
 * @l: the layout
 * @index: of the slot block, from 0
 *
 * Context: any.
 * Return: the number n with which its homes are the 4 KiB units 2n and 2n + 1.
 */
u32 dm_sync_store_slot_block(const struct dm_sync_store_layout *l, u32 index)
{
	u64 sector = segment_sector(l, index / DM_SYNC_SEGMENT_BLOCKS);

	return div_u64(sector, HOMES_SECTORS) + index % DM_SYNC_SEGMENT_BLOCKS;
}

/**
 * dm_sync_store_slot_sector - where a slot's data lies
 * @l: the layout
 * @slot: below nr_slots
 *
 * Context: any.
 */
u64 dm_sync_store_slot_sector(const struct dm_sync_store_layout *l, u32 slot)
{
	return segment_sector(l, slot / DM_SYNC_SEGMENT_SLOTS) + l->head_sectors +
	       (u64)(slot % DM_SYNC_SEGMENT_SLOTS) * l->chunk_sectors;
}

/**
 * dm_sync_store_block_slots - how many slots a slot block tells of
 * @l: the layout
 * @index: of the slot block
 *
 * Context: any.
 * Return: 252, less for the last one, 0 behind it.
 */
u32 dm_sync_store_block_slots(const struct dm_sync_store_layout *l, u32 index)
{
	u64 first = (u64)index * DM_SYNC_BLOCK_SLOTS_NR;

	return first >= l->nr_slots ? 0 : min_t(u64, l->nr_slots - first, DM_SYNC_BLOCK_SLOTS_NR);
}

/**
 * dm_sync_store_chunk_sectors - how long a chunk is
 * @l: the layout
 * @chunk: below nr_chunks
 *
 * Context: any.
 * Return: chunk_sectors, or less for the last chunk of the source.
 */
u32 dm_sync_store_chunk_sectors(const struct dm_sync_store_layout *l, u64 chunk)
{
	return min_t(u64, l->chunk_sectors, l->source_sectors - chunk * l->chunk_sectors);
}

/*----------------------------------------------------------------
 * The superblock
 *--------------------------------------------------------------*/

struct store_super_disk {
	struct dm_sync_block_disk header;
	__le32 version;
	__le32 features;
	__le32 flags;
	__le32 chunk_sectors;
	__le64 source_sectors;
	__le64 store_sectors;
	__le32 segments;
	__le32 next_generation;
	__le32 next_own;
	__le32 restoring;
	__le64 epoch;
	__le64 batch;
	__le64 established;
} __attribute__((packed));

_Static_assert(sizeof(struct store_super_disk) == 136, "part of the format");

/**
 * dm_sync_store_super_encode - write the payload of a superblock
 * @block: 4096 bytes, overwritten; has to be sealed
 * @s: what it is to say
 *
 * Context: any.
 */
void dm_sync_store_super_encode(void *block, const struct dm_sync_store_super *s)
{
	struct store_super_disk *d = block;

	memset(block, 0, DM_SYNC_BLOCK_SIZE);
	d->version = cpu_to_le32(DM_SYNC_STORE_VERSION);
	d->features = cpu_to_le32(DM_SYNC_STORE_FEATURES);
	d->flags = cpu_to_le32(s->flags);
	d->chunk_sectors = cpu_to_le32(s->chunk_sectors);
	d->source_sectors = cpu_to_le64(s->source_sectors);
	d->store_sectors = cpu_to_le64(s->store_sectors);
	d->segments = cpu_to_le32(s->segments);
	d->next_generation = cpu_to_le32(s->next_generation);
	d->next_own = cpu_to_le32(s->next_own);
	d->restoring = cpu_to_le32(s->restoring);
	d->epoch = cpu_to_le64(s->epoch);
	d->batch = cpu_to_le64(s->batch);
	d->established = cpu_to_le64(s->established);
}

static bool super_geometry_ok(const struct dm_sync_store_super *s)
{
	struct dm_sync_store_layout l;

	return !dm_sync_store_layout(&l, s->chunk_sectors, s->source_sectors, s->store_sectors) &&
	       s->segments <= l.nr_segments;
}

/**
 * dm_sync_store_super_decode - read the payload of a superblock
 * @block: 4096 bytes, valid
 * @s: out: what it says
 *
 * Context: any.
 * Return: NULL, or a sentence on why it must not be believed.
 */
const char *dm_sync_store_super_decode(const void *block, struct dm_sync_store_super *s)
{
	const struct store_super_disk *d = block;

	s->flags = le32_to_cpu(d->flags);
	s->chunk_sectors = le32_to_cpu(d->chunk_sectors);
	s->source_sectors = le64_to_cpu(d->source_sectors);
	s->store_sectors = le64_to_cpu(d->store_sectors);
	s->segments = le32_to_cpu(d->segments);
	s->next_generation = le32_to_cpu(d->next_generation);
	s->next_own = le32_to_cpu(d->next_own);
	s->restoring = le32_to_cpu(d->restoring);
	s->epoch = le64_to_cpu(d->epoch);
	s->batch = le64_to_cpu(d->batch);
	s->established = le64_to_cpu(d->established);

	if (le32_to_cpu(d->version) != DM_SYNC_STORE_VERSION)
		return "the store was written by another version of dm-sync";
	if (le32_to_cpu(d->features) & ~DM_SYNC_STORE_FEATURES)
		return "the store uses features this module does not know";
	if (!super_geometry_ok(s))
		return "the store describes an impossible geometry";
	if (!s->next_generation || !s->next_own || s->restoring > DM_SYNC_MAX_IMAGES)
		return "the store holds an impossible state";
	return NULL;
}

/*----------------------------------------------------------------
 * The image table
 *--------------------------------------------------------------*/

struct image_disk {
	__u8 uuid[16];
	__u8 name[DM_SYNC_IMAGE_NAME];
	__le32 generation;
	__le32 own_id;
	__le64 established;
	__le64 sync_time;
	__le64 reason_time;
	__le32 reason;
	__le32 flags;
	__u8 sync_type, copy_type, methodology, priority;
	__u8 copy_state, progress, requested, reserved0;
	__le32 changes;
	__u8 reserved1[60];
} __attribute__((packed));

_Static_assert(sizeof(struct image_disk) == 192, "part of the format");
_Static_assert(sizeof(struct image_disk) * DM_SYNC_IMAGES_PER_BLOCK == DM_SYNC_BLOCK_PAYLOAD,
	       "the records fill the payload");

static struct image_disk *record_at(void *block, unsigned int place)
{
	return (struct image_disk *)((u8 *)block + DM_SYNC_BLOCK_HEADER) + place;
}

static bool name_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '+' || c == '-';
}

/**
 * dm_sync_image_name_ok - is this a name for an image?
 * @name: NUL-terminated
 *
 * It becomes the name of a directory, and stands behind an @.
 *
 * Context: any.
 */
bool dm_sync_image_name_ok(const char *name)
{
	size_t len = 0;

	while (len < DM_SYNC_IMAGE_NAME && name_char_ok(name[len]))
		len++;
	return len && len < DM_SYNC_IMAGE_NAME && !name[len] && strcmp(name, ".") &&
	       strcmp(name, "..");
}

/**
 * dm_sync_image_encode - write the record of an image
 * @block: 4096 bytes, of which this record is overwritten
 * @place: of the record in the block, below DM_SYNC_IMAGES_PER_BLOCK
 * @r: what it is to say; its uuid is not all zero, its name one that an image can have
 *
 * Context: any.
 */
void dm_sync_image_encode(void *block, unsigned int place,
			  const struct dm_sync_image_record *r)
{
	struct image_disk *d = record_at(block, place);
	unsigned int i;

	memset(d, 0, sizeof(*d));
	memcpy(d->uuid, r->uuid, sizeof(d->uuid));
	for (i = 0; i < DM_SYNC_IMAGE_NAME - 1 && r->name[i]; i++)
		d->name[i] = r->name[i];
	d->generation = cpu_to_le32(r->generation);
	d->own_id = cpu_to_le32(r->own_id);
	d->established = cpu_to_le64(r->established);
	d->sync_time = cpu_to_le64(r->sync_time);
	d->reason_time = cpu_to_le64(r->reason_time);
	d->reason = cpu_to_le32(r->reason);
	d->flags = cpu_to_le32(r->flags);
	d->sync_type = r->sync_type;
	d->copy_type = r->copy_type;
	d->methodology = r->methodology;
	d->priority = r->priority;
	d->copy_state = r->copy_state;
	d->progress = r->progress;
	d->requested = r->requested;
	d->changes = cpu_to_le32(r->changes);
}

/**
 * dm_sync_image_erase - make a record free
 * @block: 4096 bytes, of which this record is overwritten
 * @place: of the record in the block
 *
 * Context: any.
 */
void dm_sync_image_erase(void *block, unsigned int place)
{
	memset(record_at(block, place), 0, sizeof(struct image_disk));
}

/**
 * dm_sync_image_decode - read the record of an image
 * @block: 4096 bytes, valid
 * @place: of the record in the block
 * @r: out: what it says, all zero when it is free
 *
 * A block may be whole, and still say what no dm-sync has written.
 *
 * Context: any.
 * Return: 0; -ENOENT when it is free; -EUCLEAN when it cannot be.
 */
int dm_sync_image_decode(const void *block, unsigned int place,
			 struct dm_sync_image_record *r)
{
	const struct image_disk *d = record_at((void *)block, place);
	static const u8 none[16];

	memset(r, 0, sizeof(*r));
	if (!memcmp(d->uuid, none, sizeof(none)))
		return -ENOENT;
	memcpy(r->uuid, d->uuid, sizeof(r->uuid));
	memcpy(r->name, d->name, sizeof(r->name) - 1);
	r->generation = le32_to_cpu(d->generation);
	r->own_id = le32_to_cpu(d->own_id);
	r->established = le64_to_cpu(d->established);
	r->sync_time = le64_to_cpu(d->sync_time);
	r->reason_time = le64_to_cpu(d->reason_time);
	r->reason = le32_to_cpu(d->reason);
	r->flags = le32_to_cpu(d->flags);
	r->sync_type = d->sync_type;
	r->copy_type = d->copy_type;
	r->methodology = d->methodology;
	r->priority = d->priority;
	r->copy_state = d->copy_state;
	r->progress = d->progress;
	r->requested = d->requested;
	r->changes = le32_to_cpu(d->changes);
	if (d->name[DM_SYNC_IMAGE_NAME - 1] || !dm_sync_image_name_ok(r->name) ||
	    !r->generation != !r->own_id)
		return -EUCLEAN;
	return 0;
}

/*----------------------------------------------------------------
 * Slot blocks
 *--------------------------------------------------------------*/

#define CHUNK_BITS	48
#define ENTRY_FLAGS	(DM_SYNC_ENTRY_VALID | DM_SYNC_ENTRY_OWN | DM_SYNC_ENTRY_BAD)

struct entry_disk {
	__le64 chunk_flags;
	__le32 generation;
	__le32 crc;
} __attribute__((packed));

_Static_assert(sizeof(struct entry_disk) * DM_SYNC_BLOCK_SLOTS_NR == DM_SYNC_BLOCK_PAYLOAD,
	       "the entries fill the payload");

static struct entry_disk *entry_at(void *block, unsigned int place)
{
	return (struct entry_disk *)((u8 *)block + DM_SYNC_BLOCK_HEADER) + place;
}

/**
 * dm_sync_entry_encode - write an entry
 * @block: 4096 bytes, of which this entry is overwritten
 * @place: of the entry in the block, below DM_SYNC_BLOCK_SLOTS_NR
 * @e: what it is to say
 *
 * Context: any.
 */
void dm_sync_entry_encode(void *block, unsigned int place, const struct dm_sync_entry *e)
{
	struct entry_disk *d = entry_at(block, place);

	d->chunk_flags = cpu_to_le64(e->chunk | (u64)e->flags << CHUNK_BITS);
	d->generation = cpu_to_le32(e->generation);
	d->crc = cpu_to_le32(e->crc);
}

/**
 * dm_sync_entry_decode - read an entry
 * @block: 4096 bytes, valid
 * @place: of the entry in the block
 * @nr_chunks: of the source
 * @e: out: what it says; its flags are 0 when the slot was never used
 *
 * Context: any.
 * Return: 0, or -EUCLEAN when it says what cannot be.
 */
int dm_sync_entry_decode(const void *block, unsigned int place, u64 nr_chunks,
			 struct dm_sync_entry *e)
{
	const struct entry_disk *d = entry_at((void *)block, place);
	u64 w = le64_to_cpu(d->chunk_flags);

	e->chunk = w & ((1ull << CHUNK_BITS) - 1);
	e->flags = w >> CHUNK_BITS;
	e->generation = le32_to_cpu(d->generation);
	e->crc = le32_to_cpu(d->crc);
	if (!e->flags)
		return e->chunk || e->generation || e->crc ? -EUCLEAN : 0;
	if (e->flags & ~ENTRY_FLAGS || !(e->flags & DM_SYNC_ENTRY_VALID) ||
	    e->flags == ENTRY_FLAGS || !e->generation || e->chunk >= nr_chunks)
		return -EUCLEAN;
	return 0;
}

struct slot_batch_disk {
	__le16 first;
	__le16 nr;
	__le32 reserved;
	__le64 number;
} __attribute__((packed));

_Static_assert(sizeof(struct slot_batch_disk) ==
	       sizeof(((struct dm_sync_block_disk *)NULL)->reserved1), "it fills the place");

/**
 * dm_sync_slot_batch_encode - name the batch that writes a slot block
 * @block: 4096 bytes, of which the reserved bytes of the header are overwritten;
 *	has to be sealed after that
 * @b: the batch
 *
 * Context: any.
 */
void dm_sync_slot_batch_encode(void *block, const struct dm_sync_slot_batch *b)
{
	struct dm_sync_block_disk *header = block;
	struct slot_batch_disk *d = (void *)header->reserved1;

	d->first = cpu_to_le16(b->first);
	d->nr = cpu_to_le16(b->nr);
	d->reserved = 0;
	d->number = cpu_to_le64(b->number);
}

/**
 * dm_sync_slot_batch_decode - which batch wrote this copy of a slot block
 * @block: 4096 bytes, valid
 * @b: out: the batch
 *
 * Context: any.
 * Return: 0, or -EUCLEAN when it says what cannot be.
 */
int dm_sync_slot_batch_decode(const void *block, struct dm_sync_slot_batch *b)
{
	const struct dm_sync_block_disk *header = block;
	const struct slot_batch_disk *d = (const void *)header->reserved1;

	b->first = le16_to_cpu(d->first);
	b->nr = le16_to_cpu(d->nr);
	b->number = le64_to_cpu(d->number);
	if (d->reserved || b->first + b->nr > (int)DM_SYNC_BLOCK_SLOTS_NR ||
	    (!b->number && (b->first || b->nr)))
		return -EUCLEAN;
	return 0;
}

static int judge_batches(struct dm_sync_slot_homes *h, const void *a, const void *b)
{
	int home = h->homes.home;

	if (!h->homes.check[0] && dm_sync_slot_batch_decode(a, &h->batch[0]))
		return -EUCLEAN;
	if (!h->homes.check[1] && dm_sync_slot_batch_decode(b, &h->batch[1]))
		return -EUCLEAN;
	if (h->torn || (!h->batch[0].number && !h->batch[1].number))
		return 0;
	/* the newer copy is of a later batch */
	return h->batch[home].number > h->batch[!home].number ? 0 : -EUCLEAN;
}

/**
 * dm_sync_slot_homes_judge - check both homes of a slot block
 * @h: out: what was found, also on errors
 * @a: content of home 0, ignored when it could not be read
 * @error_a: 0, or why it could not be read
 * @b: content of home 1
 * @error_b: 0, or why it could not be read
 * @uuid: of the store
 * @id: what the block should be
 * @clean: the superblock says so
 *
 * The block is of a segment that was formatted, so there is a valid copy. A home
 * that cannot be read may hold the newest one and is not taken for torn; nor is
 * an intact block of anything else, which no write of this one leaves behind.
 *
 * Context: any.
 * Return: 0; -EIO when a home cannot be read; -EUCLEAN when the block is damaged.
 */
int dm_sync_slot_homes_judge(struct dm_sync_slot_homes *h, const void *a, int error_a,
			     const void *b, int error_b, const u8 *uuid,
			     const struct dm_sync_block_id *id, bool clean)
{
	memset(h, 0, sizeof(*h));
	dm_sync_block_judge(&h->homes, a, error_a, b, error_b, uuid, id, clean);
	if (error_a || error_b)
		return -EIO;
	if (h->homes.home == DM_SYNC_HOME_NONE ||
	    h->homes.check[0] == -ESTALE || h->homes.check[1] == -ESTALE)
		return -EUCLEAN;
	h->torn = h->homes.check[0] || h->homes.check[1];
	return judge_batches(h, a, b);
}

/*----------------------------------------------------------------
 * All slot blocks together
 *--------------------------------------------------------------*/

/**
 * dm_sync_slot_scan_begin - before the first slot block is read
 * @s: to be set up
 * @super: what the superblock says
 *
 * Context: any.
 */
void dm_sync_slot_scan_begin(struct dm_sync_slot_scan *s, const struct dm_sync_store_super *super)
{
	memset(s, 0, sizeof(*s));
	s->clean = super->flags & DM_SYNC_STORE_CLEAN;
	s->expected = super->batch;
	s->newest_block = DM_SYNC_NO_BLOCK;
	s->torn_block = DM_SYNC_NO_BLOCK;
	s->bad_block = DM_SYNC_NO_BLOCK;
}

static int damaged(struct dm_sync_slot_scan *s, u32 index, int error)
{
	s->bad_block = index;
	return error;
}

/**
 * dm_sync_slot_scan_add - take note of a slot block
 * @s: the scan
 * @index: of the block; each is added once, in any order
 * @judged: what dm_sync_slot_homes_judge() returned for it
 * @h: its homes
 * @newest: out: it holds the newest batch of all so far. Keep both its homes until
 *	dm_sync_slot_scan_end(), in place of those kept before, whose newest copy
 *	is the truth now. Otherwise this one's newest copy is.
 *
 * Context: any.
 * Return: 0; or -EIO or -EUCLEAN, with @s->bad_block set: what the slots hold is
 * not known any more.
 */
int dm_sync_slot_scan_add(struct dm_sync_slot_scan *s, u32 index, int judged,
			  const struct dm_sync_slot_homes *h, bool *newest)
{
	u64 number;

	*newest = false;
	if (judged)
		return damaged(s, index, judged);
	if (h->torn) {
		if (s->torn_block != DM_SYNC_NO_BLOCK)
			return damaged(s, index, -EUCLEAN);
		s->torn_block = index;
	}
	number = h->batch[h->homes.home].number;
	if (number && number == s->newest)	/* no two blocks are of one batch */
		return damaged(s, index, -EUCLEAN);
	if (number > s->newest) {
		s->newest = number;
		s->newest_block = index;
		s->newest_homes = *h;
		*newest = true;
	}
	return 0;
}

/**
 * dm_sync_slot_scan_suspects - can data of the newest batch be missing
 * @s: a scan to which all slot blocks were added
 *
 * Not if the store was shut down in order, nor if there is the trace of a later
 * write, nor if the superblock knows the batch, as it only names complete ones.
 *
 * Context: any.
 * Return: true when the data of its entries has to be held against their checksums
 * (those of which dm_sync_entry_has_crc() says that they have one).
 */
bool dm_sync_slot_scan_suspects(const struct dm_sync_slot_scan *s)
{
	const struct dm_sync_slot_homes *h = &s->newest_homes;

	return !s->clean && s->torn_block == DM_SYNC_NO_BLOCK && s->newest > s->expected &&
	       h->batch[h->homes.home].nr;
}

/**
 * dm_sync_slot_scan_end - which copy of the newest block is the truth
 * @s: a scan to which all slot blocks were added
 * @arrived: of a suspected batch: no data that could be read contradicts its
 *	checksum. Data that cannot be read does not: it may be that of a batch that
 *	was complete, and then the source holds something newer.
 * @home: out: the home of the newest block to believe, when there is one
 * @rewrite: out: the block that has to be written before any other slot block, with
 *	the next number and no new slots; or DM_SYNC_NO_BLOCK
 *
 * The next number is @s->newest + 1. Next write goes, as ever, to the home that
 * does not hold the copy that is believed, with a sequence number above both.
 *
 * Context: any.
 * Return: 0, or -EUCLEAN when a batch is missing that was complete; @s->bad_block
 * is then not known.
 */
int dm_sync_slot_scan_end(struct dm_sync_slot_scan *s, bool arrived, int *home, u32 *rewrite)
{
	*home = s->newest_homes.homes.home;
	*rewrite = s->torn_block;
	if (s->clean ? s->newest != s->expected : s->newest < s->expected)
		return -EUCLEAN;
	if (dm_sync_slot_scan_suspects(s) && !arrived) {
		*home = !*home;
		*rewrite = s->newest_block;
	}
	return 0;
}
