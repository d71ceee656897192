// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata block as bytes.
 *
 * A block has two homes. A rewrite goes to the home that does not hold the
 * newest valid copy, with the next sequence number; so whatever a torn or lost
 * write leaves behind, the other home still holds what was durable before it.
 * A copy is valid when its checksum holds and it says that it is the block
 * which was looked for: same pair, type, index and epoch.
 *
 * Nothing here has state, locks or I/O: the functions are exact over bytes and
 * are tested on the host against every torn combination of two homes.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#endif
#include <linux/errno.h>

#include "dm-sync-block-codec.h"

/* The crc covers everything that follows the field itself. */
#define CRC_START	8u

_Static_assert(sizeof(struct dm_sync_block_disk) == DM_SYNC_BLOCK_HEADER,
	       "the header is part of the format");
_Static_assert(sizeof(struct dm_sync_slot_disk) * DM_SYNC_ACTIVITY_SLOTS ==
	       DM_SYNC_BLOCK_PAYLOAD, "the slots fill the payload");

static u32 block_crc(const void *block)
{
	return ~crc32c(~0u, (const u8 *)block + CRC_START,
		       DM_SYNC_BLOCK_SIZE - CRC_START);
}

/**
 * dm_sync_block_seal - write the header of a block and its checksum
 * @block: 4096 bytes; the payload behind the 64 bytes of header is complete
 * @uuid: of the pair, 16 bytes
 * @id: what the block is
 * @seq: sequence number of this copy, at least 1
 *
 * The reserved bytes become 0, except those of a slot block: the caller has
 * named the batch there, as dm_sync_slot_batch_encode() does.
 *
 * Context: any.
 */
void dm_sync_block_seal(void *block, const u8 *uuid,
			const struct dm_sync_block_id *id, u64 seq)
{
	struct dm_sync_block_disk *d = block;

	memset(d, 0, offsetof(struct dm_sync_block_disk, reserved1));
	if (id->type != DM_SYNC_BLOCK_SLOTS)
		memset(d->reserved1, 0, sizeof(d->reserved1));
	d->magic = cpu_to_le32(DM_SYNC_BLOCK_MAGIC);
	d->seq = cpu_to_le64(seq);
	d->epoch = cpu_to_le64(id->epoch);
	memcpy(d->uuid, uuid, sizeof(d->uuid));
	d->type = cpu_to_le16(id->type);
	d->index = cpu_to_le32(id->index);
	d->crc = cpu_to_le32(block_crc(block));
}

/**
 * dm_sync_block_is_zero - is this block all zero
 * @block: 4096 bytes, aligned to 8
 *
 * Context: any.
 * Return: true when no byte is set: nothing was ever written there.
 */
bool dm_sync_block_is_zero(const void *block)
{
	const u64 *p = block;
	unsigned int i;

	for (i = 0; i < DM_SYNC_BLOCK_SIZE / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

/**
 * dm_sync_block_check - is this a valid copy of the block that is looked for
 * @block: 4096 bytes, aligned to 8
 * @uuid: of the pair, 16 bytes
 * @id: what the block should be
 * @seq: out: the copy's sequence number, set on 0 and -ESTALE, else 0
 *
 * Context: any.
 * Return: 0 when it is; -ENODATA when all is zero, never written; -EUCLEAN
 * when it is damaged or not ours at all; -ESTALE when it is an intact block of
 * another pair, type, index or epoch.
 */
int dm_sync_block_check(const void *block, const u8 *uuid,
			const struct dm_sync_block_id *id, u64 *seq)
{
	const struct dm_sync_block_disk *d = block;

	*seq = 0;
	if (dm_sync_block_is_zero(block))
		return -ENODATA;
	if (le32_to_cpu(d->magic) != DM_SYNC_BLOCK_MAGIC ||
	    le32_to_cpu(d->crc) != block_crc(block) || !d->seq)
		return -EUCLEAN;
	*seq = le64_to_cpu(d->seq);
	if (memcmp(d->uuid, uuid, sizeof(d->uuid)) ||
	    le64_to_cpu(d->epoch) != id->epoch ||
	    le16_to_cpu(d->type) != id->type ||
	    le32_to_cpu(d->index) != id->index)
		return -ESTALE;
	return 0;
}

/**
 * dm_sync_block_choose - which home to believe
 * @check_a: what dm_sync_block_check() said of home 0, or -EIO
 * @seq_a: its sequence number
 * @check_b: the same of home 1
 * @seq_b: its sequence number
 * @clean: no write was in flight when the block was last used
 *
 * After a crash a home that is not valid is taken for a torn write: nothing
 * that depended on it was acknowledged, so the other home is the truth. After
 * a clean shutdown there is no such excuse: the home was damaged, it may have
 * held the newest copy, and the block is lost.
 *
 * Context: any.
 * Return: 0 or 1, or DM_SYNC_HOME_NONE. Two valid copies with one sequence
 * number cannot come about, and neither is believed.
 */
int dm_sync_block_choose(int check_a, u64 seq_a, int check_b, u64 seq_b,
			 bool clean)
{
	if (clean && (check_a || check_b))
		return DM_SYNC_HOME_NONE;
	if (check_a && check_b)
		return DM_SYNC_HOME_NONE;
	if (check_a)
		return 1;
	if (check_b)
		return 0;
	if (seq_a == seq_b)
		return DM_SYNC_HOME_NONE;
	return seq_b > seq_a;
}

/**
 * dm_sync_block_is_older - is this the same block, of an earlier epoch
 * @block: 4096 bytes that dm_sync_block_check() called -ESTALE
 * @uuid: of the pair
 * @id: what the block should be
 *
 * Context: any.
 * Return: true when nothing but the epoch differs and it is a lower one.
 */
bool dm_sync_block_is_older(const void *block, const u8 *uuid,
			    const struct dm_sync_block_id *id)
{
	const struct dm_sync_block_disk *d = block;
	struct dm_sync_block_id then = *id;
	u64 seq;

	then.epoch = le64_to_cpu(d->epoch);
	return then.epoch < id->epoch &&
	       !dm_sync_block_check(block, uuid, &then, &seq);
}

static bool is_copy(const struct dm_sync_homes *h, int home, const void *block,
		    const u8 *uuid, const struct dm_sync_block_id *id)
{
	return !h->check[home] ||
	       (h->check[home] == -ESTALE &&
		dm_sync_block_is_older(block, uuid, id));
}

/**
 * dm_sync_block_judge - check both homes of a block and choose
 * @h: out: what was found
 * @a: content of home 0, ignored when it could not be read
 * @error_a: 0, or why it could not be read
 * @b: content of home 1
 * @error_b: 0, or why it could not be read
 * @uuid: of the pair
 * @id: what the block should be
 * @clean: as for dm_sync_block_choose()
 *
 * Context: any.
 */
void dm_sync_block_judge(struct dm_sync_homes *h, const void *a, int error_a,
			 const void *b, int error_b, const u8 *uuid,
			 const struct dm_sync_block_id *id, bool clean)
{
	memset(h, 0, sizeof(*h));
	h->check[0] = error_a ? -EIO : dm_sync_block_check(a, uuid, id, &h->seq[0]);
	h->check[1] = error_b ? -EIO : dm_sync_block_check(b, uuid, id, &h->seq[1]);
	h->home = dm_sync_block_choose(h->check[0], h->seq[0],
				       h->check[1], h->seq[1], clean);

	h->last_home = 1;
	if (is_copy(h, 1, b, uuid, id))
		h->last_seq = h->seq[1];
	if (is_copy(h, 0, a, uuid, id) && h->seq[0] > h->last_seq) {
		h->last_seq = h->seq[0];
		h->last_home = 0;
	}
	/*
	 * A copy of this epoch counts before any of an older one, whatever the
	 * sequence numbers say: the next write must not go where it lives.
	 */
	if (h->home != DM_SYNC_HOME_NONE) {
		h->last_home = h->home;
		if (h->last_seq < h->seq[h->home])
			h->last_seq = h->seq[h->home];
	}
}

/*----------------------------------------------------------------
 * Payload of a map block: bit i is bit i % 8 of byte i / 8
 *--------------------------------------------------------------*/

static u8 *payload(void *block)
{
	return (u8 *)block + DM_SYNC_BLOCK_HEADER;
}

static const u8 *payload_const(const void *block)
{
	return (const u8 *)block + DM_SYNC_BLOCK_HEADER;
}

/* Parallel sums; the order of bytes does not matter for a count. */
static u32 weight64(u64 w)
{
	w -= (w >> 1) & 0x5555555555555555ull;
	w = (w & 0x3333333333333333ull) + ((w >> 2) & 0x3333333333333333ull);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (w * 0x0101010101010101ull) >> 56;
}

/**
 * dm_sync_bits_weight - number of bits set in a map block
 * @block: 4096 bytes, aligned to 8
 *
 * Context: any.
 */
u32 dm_sync_bits_weight(const void *block)
{
	const u64 *p = (const u64 *)payload_const(block);
	unsigned int i;
	u32 weight = 0;

	for (i = 0; i < DM_SYNC_BLOCK_PAYLOAD / sizeof(*p); i++)
		weight += weight64(p[i]);
	return weight;
}

/**
 * dm_sync_bits_fill - set or clear a run of bits in a map block
 * @block: 4096 bytes
 * @first: first bit
 * @last: last bit, inclusive, at least @first and below DM_SYNC_MAP_BITS
 * @value: what they become
 *
 * Context: any; the caller keeps other writers out.
 */
void dm_sync_bits_fill(void *block, u32 first, u32 last, bool value)
{
	u8 *p = payload(block);
	u8 head = 0xff << (first & 7), tail = 0xff >> (7 - (last & 7));
	u32 a = first / 8, b = last / 8;

	if (a == b)
		head &= tail;
	p[a] = value ? p[a] | head : p[a] & ~head;
	if (a == b)
		return;
	memset(p + a + 1, value ? 0xff : 0, b - a - 1);
	p[b] = value ? p[b] | tail : p[b] & ~tail;
}

/**
 * dm_sync_bits_or - take up the bits of another map block
 * @block: 4096 bytes, aligned to 8, changed
 * @from: 4096 bytes, aligned to 8
 *
 * Context: any; the caller keeps other writers of @block out. @from may change
 * meanwhile, each of its bits is then seen or not.
 * Return: true when a bit of @block was set that was not.
 */
bool dm_sync_bits_or(void *block, const void *from)
{
	const u64 *q = (const u64 *)payload_const(from);
	u64 *p = (u64 *)payload(block), new = 0, w;
	unsigned int i;

	for (i = 0; i < DM_SYNC_BLOCK_PAYLOAD / sizeof(*p); i++) {
		w = q[i] & ~p[i];
		new |= w;
		p[i] |= w;
	}
	return new;
}

/*----------------------------------------------------------------
 * Payload of an activity block
 *--------------------------------------------------------------*/

/**
 * dm_sync_slots_encode - write the slots of an activity block
 * @block: 4096 bytes, its payload is overwritten
 * @slots: DM_SYNC_ACTIVITY_SLOTS of extent + 1, or 0
 *
 * Context: any.
 */
void dm_sync_slots_encode(void *block, const u32 *slots)
{
	struct dm_sync_slot_disk *d = (void *)payload(block);
	unsigned int i;

	for (i = 0; i < DM_SYNC_ACTIVITY_SLOTS; i++) {
		d[i].extent = cpu_to_le32(slots[i]);
		d[i].flags = 0;
	}
}

/**
 * dm_sync_slots_decode - read the slots of an activity block
 * @block: 4096 bytes, valid
 * @nr_extents: what the pair has
 * @slots: out: as for dm_sync_slots_encode(); entries that cannot be are 0
 *
 * Context: any.
 * Return: 0, or -EUCLEAN when an entry named an extent that does not exist
 * or carried a flag nobody knows.
 */
int dm_sync_slots_decode(const void *block, u32 nr_extents, u32 *slots)
{
	const struct dm_sync_slot_disk *d = (const void *)payload_const(block);
	unsigned int i;
	int r = 0;

	for (i = 0; i < DM_SYNC_ACTIVITY_SLOTS; i++) {
		slots[i] = le32_to_cpu(d[i].extent);
		if (d[i].flags)
			r = -EUCLEAN;
		if (slots[i] > nr_extents) {
			slots[i] = 0;
			r = -EUCLEAN;
		}
	}
	return r;
}

/**
 * dm_sync_slots_recover - what an activity block owes after a crash
 * @a: content of home 0
 * @error_a: 0, or why it could not be read
 * @b: content of home 1
 * @error_b: 0, or why it could not be read
 * @uuid: of the pair
 * @id: what the block should be, in the present epoch
 * @nr_extents: what the pair has
 * @slots: out: DM_SYNC_ACTIVITY_SLOTS of extent + 1, or 0
 * @h: out: what was found; last_seq and last_home say where to write next
 *
 * An intact copy of an earlier epoch says that the block was not written since
 * the epoch began, or that its first write was cut short: then it owes nothing.
 * A home that cannot be read is not taken for a torn write: it may hold the
 * newest copy.
 *
 * Context: any.
 * Return: 0, or -EUCLEAN when the block is lost and every extent must be
 * taken for written; @slots holds what could be read all the same.
 */
int dm_sync_slots_recover(const void *a, int error_a, const void *b, int error_b,
			  const u8 *uuid, const struct dm_sync_block_id *id,
			  u32 nr_extents, u32 *slots, struct dm_sync_homes *h)
{
	int r = error_a || error_b ? -EUCLEAN : 0;

	dm_sync_block_judge(h, a, error_a, b, error_b, uuid, id, false);
	memset(slots, 0, DM_SYNC_ACTIVITY_SLOTS * sizeof(*slots));
	if (h->home != DM_SYNC_HOME_NONE) {
		if (dm_sync_slots_decode(h->home ? b : a, nr_extents, slots))
			r = -EUCLEAN;
		return r;
	}
	if (!h->check[0] && !h->check[1])	/* two of one number */
		return -EUCLEAN;
	if (h->check[0] == -ESTALE && dm_sync_block_is_older(a, uuid, id))
		return r;
	if (h->check[1] == -ESTALE && dm_sync_block_is_older(b, uuid, id))
		return r;
	return -EUCLEAN;
}
