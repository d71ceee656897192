// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mirror's life: loaded, suspended, resumed, unloaded.
 *
 * Mutable metadata is read and written only between preresume and postsuspend
 * (rule L).  In between the superblock says "not clean"; so whoever finds it
 * like that knows that writes may have been in flight in every extent of the
 * activity table, and marks their regions.
 *
 *	preresume	read everything (first time); marks of active extents into
 *			the maps, maps durable; then superblock: not clean, next
 *			activity epoch.  From here on host writes may come.
 *	resume		flow, gate and copy as the state says
 *	presuspend	no new operation; held writes are let go
 *	postsuspend	copy ends, sides flushed, maps durable; then superblock: clean
 *
 * What was read is kept over a suspend: the disk cannot know more than we do.
 */
#include <linux/random.h>
#include <linux/uuid.h>

#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

#define EXTENT_MIN_SECTORS	2048u		/* one piece of the background copy */
#define EXTENTS_MAX		65536u

/*----------------------------------------------------------------
 * Structures
 *--------------------------------------------------------------*/

/**
 * dm_sync_extent_shift - how large the unit of the activity table is
 * @sectors: size of the pair
 * @region_sectors: of its regions
 *
 * Never smaller than a region or a piece of the background copy, and so large
 * that there are at most 65536 of them.
 *
 * Return: shift, in sectors.
 */
unsigned int dm_sync_extent_shift(u64 sectors, u32 region_sectors)
{
	u64 extent = roundup_pow_of_two(DIV_ROUND_UP_ULL(sectors, EXTENTS_MAX));

	return ilog2(max3(extent, (u64)region_sectors, (u64)EXTENT_MIN_SECTORS));
}

static void set_geometry(struct dm_sync_mirror *m, u32 region_sectors)
{
	u64 extent;

	m->region_shift = ilog2(region_sectors);
	m->extent_shift = dm_sync_extent_shift(m->sectors, region_sectors);
	extent = 1ULL << m->extent_shift;
	m->nr_regions = DIV_ROUND_UP_ULL(m->sectors, region_sectors);
	m->nr_extents = DIV_ROUND_UP_ULL(m->sectors, extent);
	m->super.region_sectors = region_sectors;
	m->super.extent_sectors = extent;
	m->super.sectors = m->sectors;
}

static int create_structures(struct dm_sync_mirror *m)
{
	u32 nr = 1;

	m->activity = dm_sync_activity_create(&m->meta, nr, m->nr_extents,
					      &dm_sync_commit_ops, m);
	nr += dm_sync_activity_nr_blocks(m->nr_extents);
	m->source_map = dm_sync_map_create(&m->meta, DM_SYNC_BLOCK_SOURCE_MAP, nr,
					   m->super.map_epoch, m->nr_regions);
	nr += dm_sync_map_nr_blocks(m->nr_regions);
	m->replica_map = dm_sync_map_create(&m->meta, DM_SYNC_BLOCK_REPLICA_MAP, nr,
					    m->super.map_epoch, m->nr_regions);
	m->copy_map = m->source_map;
	if (m->is_clone) {
		nr += dm_sync_map_nr_blocks(m->nr_regions);
		m->uncopied_map = dm_sync_map_create(&m->meta, DM_SYNC_BLOCK_UNCOPIED_MAP, nr,
						     m->super.map_epoch, m->nr_regions);
		m->copy_map = m->uncopied_map;
		if (m->uncopied_map)
			dm_sync_map_keep_disk(m->uncopied_map);
	}
	m->ranges = dm_sync_ranges_create(m->extent_shift);
	if (m->activity && m->source_map && m->replica_map && m->copy_map && m->ranges)
		return 0;
	return -ENOMEM;
}

/**
 * dm_sync_mirror_unload - free what was loaded
 * @m: the mirror, nobody uses it any more
 *
 * Context: may sleep.
 */
void dm_sync_mirror_unload(struct dm_sync_mirror *m)
{
	m->loaded = false;
	if (m->activity)
		dm_sync_activity_destroy(m->activity);
	if (m->source_map)
		dm_sync_map_destroy(m->source_map);
	if (m->replica_map)
		dm_sync_map_destroy(m->replica_map);
	if (m->uncopied_map)
		dm_sync_map_destroy(m->uncopied_map);
	if (m->ranges)
		dm_sync_ranges_destroy(m->ranges);
	dm_sync_delta_destroy(m->delta);
	m->delta = NULL;
	m->activity = NULL;
	m->source_map = m->replica_map = m->uncopied_map = m->copy_map = NULL;
	m->ranges = NULL;
	free_page((unsigned long)m->super.buf);
	m->super.buf = NULL;
}

static void set_step(struct dm_sync_mirror *m, const struct dm_sync_step *step)
{
	m->pair.state.copy_state = step->copy_state;
	m->pair.state.progress = step->progress;
	m->pair.state.requested = step->requested;
}

/*----------------------------------------------------------------
 * A new pair
 *--------------------------------------------------------------*/

static int format_maps(struct dm_sync_mirror *m, bool full)
{
	int r = dm_sync_map_format(m->source_map, full && !m->is_clone);

	if (!r)
		r = dm_sync_map_format(m->replica_map, false);
	if (!r && m->is_clone)
		r = dm_sync_map_format(m->uncopied_map, full);
	if (!r)
		r = dm_sync_activity_format(m->activity, m->super.activity_epoch);
	return r;
}

/*
 * The superblock is written first, saying "maps lost"; so a crash in here
 * leaves a pair that copies everything, not a device that looks foreign.
 */
static int format_blocks(struct dm_sync_mirror *m, bool full)
{
	int r;

	m->pair.facts.maps_lost = true;
	m->super.block.seq = 0;
	m->super.block.home = 1;
	r = dm_sync_super_write(m, NULL);
	if (!r)
		r = dm_sync_super_write(m, NULL);	/* the other home */
	if (!r)
		r = format_maps(m, full);
	m->pair.facts.maps_lost = false;
	return r;
}

static int format_pair(struct dm_sync_mirror *m, const struct dm_sync_config *c,
		       const char **why)
{
	struct dm_sync_step first, after;
	u8 uuid[16];
	int r;

	generate_random_uuid(uuid);
	dm_sync_mirror_identify(m, c->have_uuid ? c->uuid : uuid);
	m->super.map_epoch = get_random_u64() >> 1;
	m->super.activity_epoch = m->super.map_epoch;
	m->super.established = dm_sync_now();
	m->super.detached = m->super.dissolved = m->super.restoring = false;
	m->super.delta_id = m->super.delta_epoch = 0;
	memset(&m->pair.facts, 0, sizeof(m->pair.facts));
	m->pair.state.sync_type = m->is_clone ? DM_SYNC_SYNC_TYPE_CLONE :
						DM_SYNC_SYNC_TYPE_MIRROR;
	m->pair.state.copy_type = c->copy_type;
	m->pair.state.methodology = c->methodology;
	/* Without a first copy, only what is written from now on is ever copied. */
	if (c->assume_in_sync && c->methodology == DM_SYNC_COPY_METHODOLOGY_FULL_COPY)
		m->pair.state.methodology = DM_SYNC_COPY_METHODOLOGY_DIFFERENTIAL;
	r = dm_sync_create_step(&m->pair.state, c->stop_at, c->assume_in_sync, &first, &after);
	if (r) {
		*why = "this creation cannot stop at that state";
		return r;
	}
	set_step(m, &first);
	r = create_structures(m);
	if (r) {
		*why = "not enough memory for the maps";
		return r;
	}
	r = dm_sync_clone_delta_open(m, c->format, why);
	if (r)
		return r;
	r = format_blocks(m, !c->assume_in_sync);
	if (r) {
		*why = "the metadata device cannot be written";
		return r;
	}
	r = dm_sync_clone_delta_format(m);
	if (r) {
		*why = "the delta device cannot be written";
		return r;
	}
	set_step(m, &after);
	r = m->is_clone ? dm_sync_clone_point(m) : 0;
	if (r) {
		*why = "the source cannot be flushed";
		return r;
	}
	if (after.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED) {
		m->pair.sync_time = dm_sync_now();
		m->pair.facts.ever_synced = m->pair.facts.replica_consistent = true;
	}
	return 0;
}

/*----------------------------------------------------------------
 * A pair that was there
 *--------------------------------------------------------------*/

static void mark_active(void *context, u32 extent)
{
	struct dm_sync_mirror *m = context;
	unsigned int shift = m->extent_shift - m->region_shift;
	u64 region = (u64)extent << shift;
	u64 end = min(region + (1ULL << shift), m->nr_regions);

	/*
	 * In a restore a marked region is the replica's to give; all others hold
	 * the source's truth and may differ on the replica.
	 */
	if (m->is_clone) {
		dm_sync_clone_mark_active(m, region, end);
		return;
	}
	if (!m->super.restoring) {
		dm_sync_map_set_range(m->source_map, region, end - 1);
		return;
	}
	for (; region < end; region++)
		if (!dm_sync_map_test(m->source_map, region))
			dm_sync_map_set(m->replica_map, region);
}

static void lose_maps(struct dm_sync_mirror *m)
{
	DMERR("%s: the maps of changes are damaged: every region counts as changed",
	      m->pair.name);
	m->pair.facts.maps_lost = true;
	dm_sync_map_set_all(m->copy_map);
	if (m->is_clone)
		dm_sync_map_clear_all(m->source_map);
	dm_sync_map_clear_all(m->replica_map);
}

static int load_maps(struct dm_sync_mirror *m)
{
	u64 lost = 0, more = 0;
	bool delta_lost = false;
	int r = dm_sync_map_load(m->source_map, m->super.clean, &lost);

	if (!r)
		r = dm_sync_map_load(m->replica_map, m->super.clean, &more);
	lost += more;
	if (!r && m->is_clone)
		r = dm_sync_map_load(m->uncopied_map, m->super.clean, &more);
	if (!r && m->delta)
		r = dm_sync_clone_delta_load(m, &delta_lost);
	if (r)
		return r;
	lost += delta_lost;
	if (m->is_clone)
		dm_sync_clone_loaded(m);
	if (m->super.clean)
		r = dm_sync_activity_load(m->activity, ~0ULL, mark_active, m);
	else
		r = dm_sync_activity_load(m->activity, m->super.activity_epoch,
					  mark_active, m);
	if (r == -ENOMEM)
		return r;
	if (r == -EUCLEAN && m->super.clean)
		r = 0;
	if ((r || lost || more) && !m->pair.facts.maps_lost)
		lose_maps(m);
	else if (m->pair.facts.maps_lost)
		dm_sync_map_set_all(m->copy_map);
	return 0;
}

static void apply_event(struct dm_sync_mirror *m, enum dm_sync_event ev)
{
	struct dm_sync_step to;

	if (m->is_clone)	/* the maps are loaded: it follows from them */
		m->pair.facts.replica_written = dm_sync_map_count(m->replica_map);
	if (dm_sync_event_step(&m->pair.state, &m->pair.facts, ev, m->recovery == 0,
			       dm_sync_map_count(m->source_map), &to))
		set_step(m, &to);
}

/* What a crash, or a shutdown, leaves of the state. */
static void recover_state(struct dm_sync_mirror *m, bool maps_were_lost)
{
	bool marked = dm_sync_map_count(m->source_map);

	/* Nobody knows any more which side is right where. */
	if (m->pair.facts.maps_lost && m->super.restoring) {
		m->super.restoring = false;
		m->pair.facts.restore_incomplete = true;
	}
	apply_event(m, DM_SYNC_EV_CRASH_RECOVERY);
	if (m->pair.facts.maps_lost && !maps_were_lost) {
		m->pair.reason = DM_SYNC_REASON_METADATA_LOST;
		m->pair.reason_time = dm_sync_now();
		apply_event(m, DM_SYNC_EV_MAPS_LOST);
	} else if (!m->super.clean && marked &&
		   m->pair.state.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED) {
		m->pair.reason = DM_SYNC_REASON_CRASH_RECOVERY;
		m->pair.reason_time = dm_sync_now();
	}
	if (m->super.restoring && m->pair.state.copy_state == DM_SYNC_COPY_STATE_BROKEN)
		m->pair.facts.restore_incomplete = true;
	if (m->pair.state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED)
		m->hold_released = true;
	if (m->is_clone)
		return;
	if (dm_sync_flow(&m->pair.state) == DM_SYNC_FLOW_FORWARD) {
		dm_sync_map_or(m->source_map, m->replica_map);
		dm_sync_map_clear_all(m->replica_map);
	} else if (dm_sync_map_count(m->replica_map) && !m->super.restoring) {
		m->pair.facts.replica_consistent = false;
	}
}

static int take_up(struct dm_sync_mirror *m, const char **why)
{
	bool formatting = m->pair.facts.maps_lost &&
			  m->pair.state.progress == DM_SYNC_PROGRESS_STATUS_INITIALIZING;
	bool lost_before = m->pair.facts.maps_lost;
	int r;

	if (m->super.detached)
		return 0;
	r = create_structures(m);
	if (r) {
		*why = "not enough memory for the maps";
		return r;
	}
	r = dm_sync_clone_delta_open(m, false, why);
	if (r)
		return r;
	/* A crash before the maps were there: they are made now, all regions changed. */
	r = formatting ? format_maps(m, true) ?: dm_sync_clone_delta_format(m) : load_maps(m);
	if (r) {
		*why = r == -ENOMEM ? "not enough memory to read the maps" :
		       formatting ? "the metadata or the delta cannot be written" :
				    "the maps cannot be read, or the delta not be made anew";
		return r;
	}
	if (formatting)
		m->pair.facts.maps_lost = lost_before = false;
	r = m->is_clone && formatting ? dm_sync_clone_point(m) : 0;
	if (r) {
		*why = "the source cannot be flushed";
		return r;
	}
	recover_state(m, lost_before);
	/*
	 * What a clone lost of its maps is all marked now.  On disk that would look like
	 * an image of which nothing is copied: first the disk says that there is none.
	 */
	if (m->is_clone && m->pair.facts.maps_lost && !lost_before)
		r = dm_sync_super_write(m, NULL);
	r = r ?: dm_sync_commit_maps(m, false);
	if (r)
		*why = "the metadata device cannot be written";
	return r;
}

static int load(struct dm_sync_mirror *m, const struct dm_sync_config *c,
		const char **why)
{
	int r;

	set_geometry(m, c->region_sectors);
	m->super.buf = (void *)get_zeroed_page(GFP_KERNEL);
	if (!m->super.buf) {
		*why = "not enough memory";
		return -ENOMEM;
	}
	m->settled = true;		/* nothing flows yet */
	r = dm_sync_super_probe(m, c, why);
	if (r < 0)
		return r;
	if (!r)
		set_geometry(m, c->region_sectors);
	r = r ? take_up(m, why) : format_pair(m, c, why);
	return r;
}

/*----------------------------------------------------------------
 * The four stations
 *--------------------------------------------------------------*/

static void apply_config(struct dm_sync_mirror *m, const struct dm_sync_config *c)
{
	m->pair.state.priority = c->priority;
	m->recovery = c->recovery;
	m->hold = c->hold;
	m->hold_max = c->hold_max;
	spin_lock_irq(&m->resync.lock);
	dm_sync_pace_set_priority(&m->resync.pace, ktime_get_ns(), c->priority);
	dm_sync_pace_set_rate(&m->resync.pace, ktime_get_ns(), c->rate);
	spin_unlock_irq(&m->resync.lock);
}

static int load_once(struct dm_sync_mirror *m, const struct dm_sync_config *c,
		     const char **why)
{
	int r;

	if (m->loaded) {
		if (c->format)
			DMWARN("%s: format is ignored, as the pair is in use: remove the device first",
			       m->pair.name);
		if (m->sectors == m->ti->len &&
		    m->super.region_sectors == c->region_sectors)
			return 0;
		*why = "size and region size of a pair with metadata cannot be changed by a reload";
		return -EINVAL;
	}
	if (m->super.detached)
		return 0;
	m->sectors = m->ti->len;
	dm_sync_pace_init(&m->resync.pace, c->priority, c->rate);
	r = load(m, c, why);
	if (r) {
		dm_sync_mirror_unload(m);
		m->super.detached = m->super.dissolved = m->super.restoring = false;
		return r;
	}
	m->loaded = !m->super.detached;
	return 0;
}

/* The disk learns that writes may be under way from now on. */
static int open_for_writes(struct dm_sync_mirror *m, const char **why)
{
	u64 epoch = m->super.activity_epoch + 1;
	int r;

	if (m->armed)
		return 0;
	m->super.clean = false;
	m->super.activity_epoch = epoch;
	dm_sync_activity_reset(m->activity, epoch);
	r = dm_sync_super_write(m, NULL);
	if (r)
		*why = "the metadata device cannot be written";
	else
		m->armed = true;
	return r;
}

/**
 * dm_sync_mirror_activate - load the pair, or take it up again
 * @m: the mirror
 * @ti: the table instance that becomes live
 * @dev: its devices
 * @c: what its table line says
 *
 * Context: preresume; may sleep; no host I/O.
 * Return: 0 or a negative errno, with the reason logged; the device then stays
 * suspended and nothing was changed, but for a format that was under way.
 */
int dm_sync_mirror_activate(struct dm_sync_mirror *m, struct dm_target *ti,
			    const struct dm_sync_devices *dev, struct dm_sync_config *c)
{
	const char *why = "out of memory";
	bool fresh = m->config != c;
	int r;

	dm_copy_name_and_uuid(m->pair.md, m->pair.name, NULL);
	m->ti = ti;
	m->source = dev->source;
	m->replica = dev->replica;
	m->delta_bdev = dev->delta;
	m->pair.source_dev = dev->source->bd_dev;
	m->pair.replica_dev = dev->replica->bd_dev;
	m->meta.bdev = dev->meta;
	dm_sync_clone_delta_use(m);
	r = load_once(m, c, &why);
	if (!r && !m->super.detached)
		r = open_for_writes(m, &why);
	if (r) {
		DMERR("%s: cannot activate: %s", m->pair.name, why);
		m->ti = NULL;
		return r;
	}
	m->config = c;
	if (fresh)
		apply_config(m, c);
	c->format = false;		/* once */
	if (m->super.detached && !m->passthrough) {
		DMWARN("%s: the pair was %s: the source is passed through", m->pair.name,
		       m->super.dissolved ? "dissolved" : "detached");
		m->passthrough = true;
	}
	return 0;
}

/**
 * dm_sync_mirror_resume - let it run
 * @m: the mirror, activated
 *
 * Context: resume; may sleep; host I/O comes when it returns.
 */
void dm_sync_mirror_resume(struct dm_sync_mirror *m)
{
	WRITE_ONCE(m->requeue, false);
	if (m->passthrough)
		return;
	spin_lock_irq(&m->pair.lock);
	dm_sync_pair_update_door(&m->pair);
	spin_unlock_irq(&m->pair.lock);
	dm_sync_enter_state(m);
	spin_lock_irq(&m->pair.lock);
	m->pair.live = true;
	spin_unlock_irq(&m->pair.lock);
	dm_sync_commit_kick(m);		/* replica writes that waited for us */
	dm_sync_mirror_register(m);
	dm_sync_clone_resume(m);
}

/**
 * dm_sync_mirror_presuspend - stop what would keep host I/O from ending
 * @m: the mirror
 *
 * Context: presuspend; host I/O still comes; may sleep.
 */
void dm_sync_mirror_presuspend(struct dm_sync_mirror *m)
{
	bool requeue = dm_noflush_suspending(m->ti);
	struct bio_list parked;

	spin_lock_irq(&m->pair.lock);
	m->pair.live = false;
	spin_unlock_irq(&m->pair.lock);
	if (m->passthrough)
		return;
	cancel_delayed_work_sync(&m->hold_work);
	cancel_delayed_work_sync(&m->probe_work);
	flush_workqueue(m->conductor);
	dm_sync_resync_stop(m);
	if (m->is_clone && m->clone.holding) {
		m->hold_released = true;
		dm_sync_clone_turn(m);
	}
	if (!m->gate.closed)
		return;
	/* Held writes: back to device-mapper, or let go and tracked. */
	if (requeue)
		WRITE_ONCE(m->requeue, true);
	else
		m->hold_released = true;
	dm_sync_gate_open(&m->gate, &parked);
	if (requeue)
		dm_sync_io_requeue(&parked);
	else
		dm_sync_io_restart(m, &parked);
}

/**
 * dm_sync_mirror_presuspend_undo - the suspend does not come after all
 * @m: the mirror
 *
 * Context: presuspend_undo; host I/O goes on; may sleep.
 */
void dm_sync_mirror_presuspend_undo(struct dm_sync_mirror *m)
{
	/* Writes have passed since the gate was opened: hold no more. */
	if (m->requeue)
		m->hold_released = true;
	WRITE_ONCE(m->requeue, false);
	if (m->passthrough)
		return;
	flush_workqueue(m->conductor);
	dm_sync_ops_restart(m);
	spin_lock_irq(&m->pair.lock);
	m->pair.live = true;
	spin_unlock_irq(&m->pair.lock);
}

/* Everything is on the disks: a clean end.  Any doubt leaves it unclean. */
static void close_for_writes(struct dm_sync_mirror *m)
{
	if (!m->armed || m->meta_failed)
		return;
	/* Flushes both sides where that is owed; a failure breaks the pair. */
	if (dm_sync_settle_sides(m) || dm_sync_commit_maps(m, true) ||
	    dm_sync_clone_delta_settle(m))
		return;
	mutex_lock(&m->commit_lock);
	m->armed = false;	/* no replica write marks anything from here on */
	mutex_unlock(&m->commit_lock);
	m->super.clean = true;
	if (!dm_sync_commit_maps(m, true) && !dm_sync_super_write(m, NULL))
		return;
	m->super.clean = false;
	m->armed = true;
}

/**
 * dm_sync_mirror_postsuspend - no host I/O any more: make all durable
 * @m: the mirror
 *
 * Context: postsuspend; may sleep.
 */
void dm_sync_mirror_postsuspend(struct dm_sync_mirror *m)
{
	if (m->loaded) {
		dm_sync_ops_stop(m);
		close_for_writes(m);
		flush_workqueue(m->conductor);
		cancel_delayed_work_sync(&m->hold_work);
		cancel_delayed_work_sync(&m->probe_work);
		flush_workqueue(m->conductor);
	}
	m->ti = NULL;
}

/**
 * dm_sync_mirror_forget_config - a table instance with this configuration goes
 * @m: the mirror
 * @c: its configuration
 *
 * Context: destructor.
 */
void dm_sync_mirror_forget_config(struct dm_sync_mirror *m, struct dm_sync_config *c)
{
	spin_lock_irq(&m->pair.lock);
	if (m->config == c)
		m->config = NULL;
	spin_unlock_irq(&m->pair.lock);
}
