// SPDX-License-Identifier: GPL-2.0-only
/*
 * The superblock: who the pair is, and the state that must survive.
 *
 * It is block 0 of the metadata device, a dual-home block like any other, so
 * a torn or lost write leaves the state as it was before.  What each durable
 * state means after a power cut is argued in Documentation/proofs/state.rst.
 *
 * The identity (uuid) of all other blocks is found here; so this block alone is
 * read without knowing it.
 */
#include <linux/uuid.h>

#include "dm-sync-mirror.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

#define SUPER_VERSION		1
#define SUPER_DELTA		1u	/* a clone has a delta */
#define SUPER_INCOMPAT		SUPER_DELTA	/* features a reader must know */

enum {
	SUPER_CLEAN		= 1 << 0,
	SUPER_DETACHED		= 1 << 1,
	SUPER_DISSOLVED		= 1 << 2,
	SUPER_RESTORING		= 1 << 3,
	SUPER_CONSISTENT	= 1 << 4,
	SUPER_EVER_SYNCED	= 1 << 5,
	SUPER_WAS_SYNCED	= 1 << 6,
	SUPER_INCOMPLETE	= 1 << 7,
	SUPER_MAPS_LOST		= 1 << 8,
	SUPER_HOLD_RELEASED	= 1 << 9,
	SUPER_FRACTURE_OWED	= 1 << 10,
};

struct dm_sync_super_disk {
	struct dm_sync_block_disk header;
	__le32 version;
	__le32 incompat;
	__le32 flags;
	__le32 region_sectors;
	__le32 extent_sectors;
	__le32 generation;
	__le64 sectors;
	__le64 map_epoch;
	__le64 activity_epoch;
	__le64 established;
	__le64 sync_time;
	__le64 synced_until;
	__le64 reason_time;
	__le32 reason;
	__u8 sync_type, copy_type, methodology, priority;
	__u8 copy_state, progress, requested, reserved;
	__le64 delta_id;
	__le64 delta_epoch;
} __packed;

static u32 super_flags(struct dm_sync_mirror *m)
{
	const struct dm_sync_super *s = &m->super;
	const struct dm_sync_facts *f = &m->pair.facts;

	return (s->clean ? SUPER_CLEAN : 0) |
	       (s->detached ? SUPER_DETACHED : 0) |
	       (s->dissolved ? SUPER_DISSOLVED : 0) |
	       (s->restoring ? SUPER_RESTORING : 0) |
	       (f->replica_consistent ? SUPER_CONSISTENT : 0) |
	       (f->ever_synced ? SUPER_EVER_SYNCED : 0) |
	       (f->was_synced ? SUPER_WAS_SYNCED : 0) |
	       (f->restore_incomplete ? SUPER_INCOMPLETE : 0) |
	       (f->maps_lost ? SUPER_MAPS_LOST : 0) |
	       (f->fracture_owed ? SUPER_FRACTURE_OWED : 0) |
	       (m->hold_released ? SUPER_HOLD_RELEASED : 0);
}

static void super_encode(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	struct dm_sync_super *s = &m->super;
	struct dm_sync_super_disk *d = s->buf;

	memset(d, 0, DM_SYNC_BLOCK_SIZE);
	d->version = cpu_to_le32(SUPER_VERSION);
	d->incompat = cpu_to_le32(m->delta ? SUPER_DELTA : 0);
	d->flags = cpu_to_le32(super_flags(m));
	d->region_sectors = cpu_to_le32(s->region_sectors);
	d->extent_sectors = cpu_to_le32(s->extent_sectors);
	d->generation = cpu_to_le32(m->pair.generation);
	d->sectors = cpu_to_le64(s->sectors);
	d->map_epoch = cpu_to_le64(s->map_epoch);
	d->activity_epoch = cpu_to_le64(s->activity_epoch);
	d->established = cpu_to_le64(s->established);
	d->sync_time = cpu_to_le64(m->pair.sync_time);
	d->synced_until = cpu_to_le64(m->synced_until);
	d->reason_time = cpu_to_le64(m->pair.reason_time);
	d->reason = cpu_to_le32(m->pair.reason);
	d->sync_type = m->pair.state.sync_type;
	d->copy_type = m->pair.state.copy_type;
	d->methodology = m->pair.state.methodology;
	d->priority = m->pair.state.priority;
	d->copy_state = step->copy_state;
	d->progress = step->progress;
	d->requested = step->requested;
	d->delta_id = cpu_to_le64(s->delta_id);
	d->delta_epoch = cpu_to_le64(s->delta_epoch);
}

static void super_decode(struct dm_sync_mirror *m)
{
	struct dm_sync_super *s = &m->super;
	const struct dm_sync_super_disk *d = s->buf;
	u32 flags = le32_to_cpu(d->flags);

	s->clean = flags & SUPER_CLEAN;
	s->detached = flags & SUPER_DETACHED;
	s->dissolved = flags & SUPER_DISSOLVED;
	s->restoring = flags & SUPER_RESTORING;
	m->pair.facts.replica_consistent = flags & SUPER_CONSISTENT;
	m->pair.facts.ever_synced = flags & SUPER_EVER_SYNCED;
	m->pair.facts.was_synced = flags & SUPER_WAS_SYNCED;
	m->pair.facts.restore_incomplete = flags & SUPER_INCOMPLETE;
	m->pair.facts.maps_lost = flags & SUPER_MAPS_LOST;
	m->pair.facts.fracture_owed = flags & SUPER_FRACTURE_OWED;
	m->hold_released = flags & SUPER_HOLD_RELEASED;
	s->region_sectors = le32_to_cpu(d->region_sectors);
	s->extent_sectors = le32_to_cpu(d->extent_sectors);
	s->sectors = le64_to_cpu(d->sectors);
	s->map_epoch = le64_to_cpu(d->map_epoch);
	s->activity_epoch = le64_to_cpu(d->activity_epoch);
	s->established = le64_to_cpu(d->established);
	m->pair.generation = le32_to_cpu(d->generation);
	m->pair.sync_time = le64_to_cpu(d->sync_time);
	m->synced_until = le64_to_cpu(d->synced_until);
	m->pair.reason_time = le64_to_cpu(d->reason_time);
	m->pair.reason = le32_to_cpu(d->reason);
	m->pair.state.sync_type = d->sync_type;
	m->pair.state.copy_type = d->copy_type;
	m->pair.state.methodology = d->methodology;
	m->pair.state.copy_state = d->copy_state;
	m->pair.state.progress = d->progress;
	m->pair.state.requested = d->requested;
	s->delta_id = le64_to_cpu(d->delta_id);
	s->delta_epoch = le64_to_cpu(d->delta_epoch);
}

/* What a reader must not believe, whatever its checksum says. */
static const char *super_nonsense(struct dm_sync_mirror *m)
{
	const struct dm_sync_super *s = &m->super;
	const struct dm_sync_super_disk *d = s->buf;
	const char *why;

	if (le32_to_cpu(d->version) != SUPER_VERSION)
		return "the metadata was written by another version of dm-sync";
	if (le32_to_cpu(d->incompat) & ~SUPER_INCOMPAT)
		return "the metadata uses features this module does not know";
	if (!s->region_sectors || !s->extent_sectors ||
	    !is_power_of_2(s->region_sectors) ||
	    !is_power_of_2(s->extent_sectors) ||
	    s->extent_sectors < s->region_sectors)
		return "the metadata describes an impossible geometry";
	if (m->pair.state.sync_type != (m->is_clone ? DM_SYNC_SYNC_TYPE_CLONE :
						      DM_SYNC_SYNC_TYPE_MIRROR))
		return "the metadata belongs to a pair of another kind";
	if (!s->detached && !dm_sync_invariants(&m->pair.state, &why))
		return "the metadata holds an impossible state";
	return NULL;
}

/* Learn the uuid: the one field that cannot be checked against anything. */
static int super_read_uuid(struct dm_sync_mirror *m)
{
	const struct dm_sync_block_disk *h = m->super.buf;
	struct bio *bio;
	int home, r = -EUCLEAN;

	for (home = 0; home < 2; home++) {
		bio = bio_alloc(m->meta.bdev, 1, REQ_OP_READ | REQ_META, GFP_KERNEL);
		__bio_add_page(bio, virt_to_page(m->super.buf),
			       DM_SYNC_BLOCK_SIZE, offset_in_page(m->super.buf));
		bio->bi_iter.bi_sector = home * DM_SYNC_BLOCK_SECTORS;
		r = submit_bio_wait(bio);
		bio_put(bio);
		if (r)
			continue;
		if (!dm_sync_block_check(m->super.buf, h->uuid,
					 &m->super.block.id, &m->super.block.seq)) {
			dm_sync_mirror_identify(m, h->uuid);
			return 0;
		}
		r = -EUCLEAN;
	}
	return r;
}

static void super_identify(struct dm_sync_mirror *m)
{
	m->super.block = (struct dm_sync_block) {
		.id = { .type = DM_SYNC_BLOCK_SUPER },
	};
}

/**
 * dm_sync_super_probe - read the superblock and judge it
 * @m: the mirror, with its metadata device set
 * @c: what the table asks for
 * @why: out: a sentence, on error
 *
 * Touches nothing on the device.
 *
 * Context: preresume; may sleep.
 * Return: 1 when a valid superblock was taken up into @m, 0 when the device
 * is blank or is to be formatted anyway, or a negative errno: -EUCLEAN (ours,
 * but damaged), -EEXIST (something else lives there), -EINVAL (does not fit
 * the table), -EIO.
 */
int dm_sync_super_probe(struct dm_sync_mirror *m, const struct dm_sync_config *c,
			const char **why)
{
	int r, error = 0;

	super_identify(m);
	if (!m->meta.bdev || c->format)
		return 0;
	r = super_read_uuid(m);
	if (r == -EUCLEAN) {
		if (dm_sync_meta_is_blank(&m->meta, dm_sync_super_nr_blocks(m), &error))
			return 0;
		*why = error ? "the metadata device cannot be read" :
		       "the metadata device is not blank and holds no dm-sync metadata (option \"format\" overwrites it)";
		return error ? error : -EEXIST;
	}
	if (r) {
		*why = "the metadata device cannot be read";
		return r;
	}
	super_identify(m);
	r = dm_sync_block_read(&m->meta, &m->super.block, m->super.buf, false);
	if (r) {
		*why = "the superblock is damaged";
		return r;
	}
	super_decode(m);
	*why = super_nonsense(m);
	if (*why)
		return -EUCLEAN;
	if (c->have_uuid && memcmp(c->uuid, m->meta.uuid, 16)) {
		*why = "the metadata belongs to a pair with another uuid";
		return -EINVAL;
	}
	if (!m->super.detached && m->super.sectors != m->sectors) {
		*why = "the metadata belongs to a pair of another size";
		return -EINVAL;
	}
	if (!m->super.detached && m->super.region_sectors != c->region_sectors) {
		*why = "the metadata was made for another region size";
		return -EINVAL;
	}
	return 1;
}

/**
 * dm_sync_super_write - make a state durable
 * @m: the mirror
 * @step: the state to come; NULL: the one that is published
 *
 * What must be durable before it is published is written with @step first.
 *
 * Context: the conductor, preresume or postsuspend; takes commit_lock, sleeps.
 * Return: 0, or a negative errno; the superblock on disk is then the old one.
 */
int dm_sync_super_write(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	struct dm_sync_step now;
	int r;

	mutex_lock(&m->commit_lock);
	spin_lock_irq(&m->pair.lock);
	now = (struct dm_sync_step) {
		m->pair.state.copy_state, m->pair.state.progress, m->pair.state.requested,
	};
	super_encode(m, step ?: &now);
	spin_unlock_irq(&m->pair.lock);
	r = dm_sync_block_write(&m->meta, &m->super.block, m->super.buf);
	mutex_unlock(&m->commit_lock);
	trace_dm_sync_commit(m->pair.id, DM_SYNC_TRACE_SUPER, 1, r);
	return r;
}

/**
 * dm_sync_super_blocks - dual-home blocks that the metadata of a pair takes
 * @is_clone: it has a third map
 * @nr_regions: bits of a map
 * @nr_extents: of the activity table
 */
u64 dm_sync_super_blocks(bool is_clone, u64 nr_regions, u32 nr_extents)
{
	return 1 + dm_sync_activity_nr_blocks(nr_extents) +
	       (is_clone ? 3ULL : 2ULL) * dm_sync_map_nr_blocks(nr_regions);
}

/**
 * dm_sync_super_nr_blocks - dual-home blocks that the pair's metadata takes
 * @m: the mirror; nr_regions and nr_extents set
 */
u32 dm_sync_super_nr_blocks(struct dm_sync_mirror *m)
{
	return dm_sync_super_blocks(m->is_clone, m->nr_regions, m->nr_extents);
}
