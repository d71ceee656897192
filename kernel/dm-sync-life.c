// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pair's life: loaded, suspended, resumed, unloaded.
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

static void set_geometry(struct dm_sync_pair *p, u32 region_sectors)
{
	u64 extent;

	p->region_shift = ilog2(region_sectors);
	p->extent_shift = dm_sync_extent_shift(p->sectors, region_sectors);
	extent = 1ULL << p->extent_shift;
	p->nr_regions = DIV_ROUND_UP_ULL(p->sectors, region_sectors);
	p->nr_extents = DIV_ROUND_UP_ULL(p->sectors, extent);
	p->super.region_sectors = region_sectors;
	p->super.extent_sectors = extent;
	p->super.sectors = p->sectors;
}

static int create_structures(struct dm_sync_pair *p)
{
	u32 nr = 1;

	p->activity = dm_sync_activity_create(&p->meta, nr, p->nr_extents,
					      &dm_sync_commit_ops, p);
	nr += dm_sync_activity_nr_blocks(p->nr_extents);
	p->source_map = dm_sync_map_create(&p->meta, DM_SYNC_BLOCK_SOURCE_MAP, nr,
					   p->super.map_epoch, p->nr_regions);
	nr += dm_sync_map_nr_blocks(p->nr_regions);
	p->replica_map = dm_sync_map_create(&p->meta, DM_SYNC_BLOCK_REPLICA_MAP, nr,
					    p->super.map_epoch, p->nr_regions);
	p->ranges = dm_sync_ranges_create(p->extent_shift);
	if (p->activity && p->source_map && p->replica_map && p->ranges)
		return 0;
	return -ENOMEM;
}

/**
 * dm_sync_pair_unload - free what was loaded
 * @p: the pair, nobody uses it any more
 *
 * Context: may sleep.
 */
void dm_sync_pair_unload(struct dm_sync_pair *p)
{
	p->loaded = false;
	if (p->activity)
		dm_sync_activity_destroy(p->activity);
	if (p->source_map)
		dm_sync_map_destroy(p->source_map);
	if (p->replica_map)
		dm_sync_map_destroy(p->replica_map);
	if (p->ranges)
		dm_sync_ranges_destroy(p->ranges);
	p->activity = NULL;
	p->source_map = p->replica_map = NULL;
	p->ranges = NULL;
	free_page((unsigned long)p->super.buf);
	p->super.buf = NULL;
}

static void set_step(struct dm_sync_pair *p, const struct dm_sync_step *step)
{
	p->state.copy_state = step->copy_state;
	p->state.progress = step->progress;
	p->state.requested = step->requested;
}

/*----------------------------------------------------------------
 * A new pair
 *--------------------------------------------------------------*/

static int format_maps(struct dm_sync_pair *p, bool full)
{
	int r = dm_sync_map_format(p->source_map, full);

	if (!r)
		r = dm_sync_map_format(p->replica_map, false);
	if (!r)
		r = dm_sync_activity_format(p->activity, p->super.activity_epoch);
	return r;
}

/*
 * The superblock is written first, saying "maps lost"; so a crash in here
 * leaves a pair that copies everything, not a device that looks foreign.
 */
static int format_blocks(struct dm_sync_pair *p, bool full)
{
	int r;

	p->facts.maps_lost = true;
	p->super.block.seq = 0;
	p->super.block.home = 1;
	r = dm_sync_super_write(p, NULL);
	if (!r)
		r = dm_sync_super_write(p, NULL);	/* the other home */
	if (!r)
		r = format_maps(p, full);
	p->facts.maps_lost = false;
	return r;
}

static int format_pair(struct dm_sync_pair *p, const struct dm_sync_config *c,
		       const char **why)
{
	struct dm_sync_step first, after;
	int r;

	if (c->have_uuid)
		memcpy(p->meta.uuid, c->uuid, 16);
	else
		generate_random_uuid(p->meta.uuid);
	p->super.map_epoch = get_random_u64() >> 1;
	p->super.activity_epoch = p->super.map_epoch;
	p->super.established = dm_sync_now();
	p->super.detached = p->super.dissolved = p->super.restoring = false;
	memset(&p->facts, 0, sizeof(p->facts));
	p->state.sync_type = DM_SYNC_SYNC_TYPE_MIRROR;
	p->state.copy_type = c->copy_type;
	p->state.methodology = c->methodology;
	/* Without a first copy, only what is written from now on is ever copied. */
	if (c->assume_in_sync && c->methodology == DM_SYNC_COPY_METHODOLOGY_FULL_COPY)
		p->state.methodology = DM_SYNC_COPY_METHODOLOGY_DIFFERENTIAL;
	r = dm_sync_create_step(&p->state, c->stop_at, c->assume_in_sync, &first, &after);
	if (r) {
		*why = "this creation cannot stop at that state";
		return r;
	}
	set_step(p, &first);
	r = create_structures(p);
	if (r) {
		*why = "not enough memory for the maps";
		return r;
	}
	r = format_blocks(p, !c->assume_in_sync);
	if (r) {
		*why = "the metadata device cannot be written";
		return r;
	}
	set_step(p, &after);
	if (after.copy_state == DM_SYNC_COPY_STATE_SYNCHRONIZED) {
		p->sync_time = dm_sync_now();
		p->facts.ever_synced = p->facts.replica_consistent = true;
	}
	return 0;
}

/*----------------------------------------------------------------
 * A pair that was there
 *--------------------------------------------------------------*/

static void mark_active(void *context, u32 extent)
{
	struct dm_sync_pair *p = context;
	unsigned int shift = p->extent_shift - p->region_shift;
	u64 region = (u64)extent << shift;
	u64 end = min(region + (1ULL << shift), p->nr_regions);

	/*
	 * In a restore a marked region is the replica's to give; all others hold
	 * the source's truth and may differ on the replica.
	 */
	if (!p->super.restoring) {
		dm_sync_map_set_range(p->source_map, region, end - 1);
		return;
	}
	for (; region < end; region++)
		if (!dm_sync_map_test(p->source_map, region))
			dm_sync_map_set(p->replica_map, region);
}

static void lose_maps(struct dm_sync_pair *p)
{
	DMERR("%s: the maps of changes are damaged: every region counts as changed",
	      p->name);
	p->facts.maps_lost = true;
	dm_sync_map_set_all(p->source_map);
	dm_sync_map_clear_all(p->replica_map);
}

static int load_maps(struct dm_sync_pair *p)
{
	u64 lost = 0, more = 0;
	int r = dm_sync_map_load(p->source_map, p->super.clean, &lost);

	if (!r)
		r = dm_sync_map_load(p->replica_map, p->super.clean, &more);
	if (r)
		return r;
	if (p->super.clean)
		r = dm_sync_activity_load(p->activity, ~0ULL, mark_active, p);
	else
		r = dm_sync_activity_load(p->activity, p->super.activity_epoch,
					  mark_active, p);
	if (r == -ENOMEM)
		return r;
	if (r == -EUCLEAN && p->super.clean)
		r = 0;
	if ((r || lost || more) && !p->facts.maps_lost)
		lose_maps(p);
	else if (p->facts.maps_lost)
		dm_sync_map_set_all(p->source_map);
	return 0;
}

static void apply_event(struct dm_sync_pair *p, enum dm_sync_event ev)
{
	struct dm_sync_step to;

	if (dm_sync_event_step(&p->state, &p->facts, ev, p->recovery == 0,
			       dm_sync_map_count(p->source_map), &to))
		set_step(p, &to);
}

/* What a crash, or a shutdown, leaves of the state. */
static void recover_state(struct dm_sync_pair *p, bool maps_were_lost)
{
	bool marked = dm_sync_map_count(p->source_map);

	/* Nobody knows any more which side is right where. */
	if (p->facts.maps_lost && p->super.restoring) {
		p->super.restoring = false;
		p->facts.restore_incomplete = true;
	}
	apply_event(p, DM_SYNC_EV_CRASH_RECOVERY);
	if (p->facts.maps_lost && !maps_were_lost) {
		p->reason = DM_SYNC_REASON_METADATA_LOST;
		p->reason_time = dm_sync_now();
		apply_event(p, DM_SYNC_EV_MAPS_LOST);
	} else if (!p->super.clean && marked &&
		   p->state.copy_state == DM_SYNC_COPY_STATE_UNSYNCHRONIZED) {
		p->reason = DM_SYNC_REASON_CRASH_RECOVERY;
		p->reason_time = dm_sync_now();
	}
	if (p->super.restoring && p->state.copy_state == DM_SYNC_COPY_STATE_BROKEN)
		p->facts.restore_incomplete = true;
	if (p->state.copy_state == DM_SYNC_COPY_STATE_SUSPENDED)
		p->hold_released = true;
	if (dm_sync_flow(&p->state) == DM_SYNC_FLOW_FORWARD) {
		dm_sync_map_or(p->source_map, p->replica_map);
		dm_sync_map_clear_all(p->replica_map);
	} else if (dm_sync_map_count(p->replica_map) && !p->super.restoring) {
		p->facts.replica_consistent = false;
	}
}

static int take_up(struct dm_sync_pair *p, const char **why)
{
	bool formatting = p->facts.maps_lost &&
			  p->state.progress == DM_SYNC_PROGRESS_STATUS_INITIALIZING;
	bool lost_before = p->facts.maps_lost;
	int r;

	if (p->super.detached)
		return 0;
	r = create_structures(p);
	if (r) {
		*why = "not enough memory for the maps";
		return r;
	}
	/* A crash before the maps were there: they are made now, all regions changed. */
	r = formatting ? format_maps(p, true) : load_maps(p);
	if (r) {
		*why = r == -ENOMEM ? "not enough memory to read the maps" :
		       formatting ? "the metadata device cannot be written" :
				    "the maps cannot be read";
		return r;
	}
	if (formatting)
		p->facts.maps_lost = lost_before = false;
	recover_state(p, lost_before);
	r = dm_sync_commit_maps(p, false);
	if (r)
		*why = "the metadata device cannot be written";
	return r;
}

static int load(struct dm_sync_pair *p, const struct dm_sync_config *c,
		const char **why)
{
	int r;

	set_geometry(p, c->region_sectors);
	p->super.buf = (void *)get_zeroed_page(GFP_KERNEL);
	if (!p->super.buf) {
		*why = "not enough memory";
		return -ENOMEM;
	}
	p->settled = true;		/* nothing flows yet */
	r = dm_sync_super_probe(p, c, why);
	if (r < 0)
		return r;
	if (!r)
		set_geometry(p, c->region_sectors);
	r = r ? take_up(p, why) : format_pair(p, c, why);
	return r;
}

/*----------------------------------------------------------------
 * The four stations
 *--------------------------------------------------------------*/

static void apply_config(struct dm_sync_pair *p, const struct dm_sync_config *c)
{
	p->state.priority = c->priority;
	p->recovery = c->recovery;
	p->hold = c->hold;
	p->hold_max = c->hold_max;
	spin_lock_irq(&p->resync.lock);
	dm_sync_pace_set_priority(&p->resync.pace, ktime_get_ns(), c->priority);
	dm_sync_pace_set_rate(&p->resync.pace, ktime_get_ns(), c->rate);
	spin_unlock_irq(&p->resync.lock);
}

static int load_once(struct dm_sync_pair *p, const struct dm_sync_config *c,
		     const char **why)
{
	int r;

	if (p->loaded) {
		if (p->sectors == p->ti->len &&
		    p->super.region_sectors == c->region_sectors)
			return 0;
		*why = "size and region size of a pair with metadata cannot be changed by a reload";
		return -EINVAL;
	}
	if (p->super.detached)
		return 0;
	p->sectors = p->ti->len;
	dm_sync_pace_init(&p->resync.pace, c->priority, c->rate);
	r = load(p, c, why);
	if (r) {
		dm_sync_pair_unload(p);
		p->super.detached = p->super.dissolved = p->super.restoring = false;
		return r;
	}
	p->loaded = !p->super.detached;
	return 0;
}

/* The disk learns that writes may be under way from now on. */
static int open_for_writes(struct dm_sync_pair *p, const char **why)
{
	u64 epoch = p->super.activity_epoch + 1;
	int r;

	if (p->armed)
		return 0;
	p->super.clean = false;
	p->super.activity_epoch = epoch;
	dm_sync_activity_reset(p->activity, epoch);
	r = dm_sync_super_write(p, NULL);
	if (r)
		*why = "the metadata device cannot be written";
	else
		p->armed = true;
	return r;
}

/**
 * dm_sync_pair_activate - load the pair, or take it up again
 * @p: the pair
 * @ti: the table instance that becomes live
 * @source: its device
 * @replica: its device
 * @meta: its device, or NULL
 * @c: what its table line says
 *
 * Context: preresume; may sleep; no host I/O.
 * Return: 0 or a negative errno, with the reason logged; the device then stays
 * suspended and nothing was changed, but for a format that was under way.
 */
int dm_sync_pair_activate(struct dm_sync_pair *p, struct dm_target *ti,
			  struct block_device *source,
			  struct block_device *replica,
			  struct block_device *meta,
			  struct dm_sync_config *c)
{
	const char *why = "out of memory";
	bool fresh = p->config != c;
	int r;

	dm_copy_name_and_uuid(p->md, p->name, NULL);
	p->ti = ti;
	p->source = source;
	p->replica = replica;
	p->source_dev = source->bd_dev;
	p->replica_dev = replica->bd_dev;
	p->meta.bdev = meta;
	r = load_once(p, c, &why);
	if (!r && !p->super.detached)
		r = open_for_writes(p, &why);
	if (r) {
		DMERR("%s: cannot activate: %s", p->name, why);
		p->ti = NULL;
		return r;
	}
	p->config = c;
	if (fresh)
		apply_config(p, c);
	c->format = false;		/* once */
	if (p->super.detached && !p->passthrough) {
		DMWARN("%s: the pair was %s: the source is passed through", p->name,
		       p->super.dissolved ? "dissolved" : "detached");
		p->passthrough = true;
	}
	return 0;
}

/**
 * dm_sync_pair_resume - let it run
 * @p: the pair, activated
 *
 * Context: resume; may sleep; host I/O comes when it returns.
 */
void dm_sync_pair_resume(struct dm_sync_pair *p)
{
	struct dm_sync_facts f;

	WRITE_ONCE(p->requeue, false);
	if (p->passthrough)
		return;
	spin_lock_irq(&p->lock);
	dm_sync_facts_now(p, &f);
	WRITE_ONCE(p->door_access, dm_sync_door(&p->state, &f));
	spin_unlock_irq(&p->lock);
	dm_sync_enter_state(p);
	spin_lock_irq(&p->lock);
	p->live = true;
	spin_unlock_irq(&p->lock);
	dm_sync_commit_kick(p);		/* replica writes that waited for us */
	dm_sync_pair_register(p);
}

/**
 * dm_sync_pair_presuspend - stop what would keep host I/O from ending
 * @p: the pair
 *
 * Context: presuspend; host I/O still comes; may sleep.
 */
void dm_sync_pair_presuspend(struct dm_sync_pair *p)
{
	bool requeue = dm_noflush_suspending(p->ti);
	struct bio_list parked;

	spin_lock_irq(&p->lock);
	p->live = false;
	spin_unlock_irq(&p->lock);
	if (p->passthrough)
		return;
	cancel_delayed_work_sync(&p->hold_work);
	cancel_delayed_work_sync(&p->probe_work);
	flush_workqueue(p->conductor);
	dm_sync_resync_stop(p);
	if (!p->gate.closed)
		return;
	/* Held writes: back to device-mapper, or let go and tracked. */
	if (requeue)
		WRITE_ONCE(p->requeue, true);
	else
		p->hold_released = true;
	dm_sync_gate_open(&p->gate, &parked);
	if (requeue)
		dm_sync_io_requeue(&parked);
	else
		dm_sync_io_restart(p, &parked);
}

/**
 * dm_sync_pair_presuspend_undo - the suspend does not come after all
 * @p: the pair
 *
 * Context: presuspend_undo; host I/O goes on; may sleep.
 */
void dm_sync_pair_presuspend_undo(struct dm_sync_pair *p)
{
	/* Writes have passed since the gate was opened: hold no more. */
	if (p->requeue)
		p->hold_released = true;
	WRITE_ONCE(p->requeue, false);
	if (p->passthrough)
		return;
	flush_workqueue(p->conductor);
	dm_sync_ops_restart(p);
	spin_lock_irq(&p->lock);
	p->live = true;
	spin_unlock_irq(&p->lock);
}

/* Everything is on the disks: a clean end.  Any doubt leaves it unclean. */
static void close_for_writes(struct dm_sync_pair *p)
{
	if (!p->armed || p->meta_failed)
		return;
	/* Flushes both sides where that is owed; a failure breaks the pair. */
	if (dm_sync_settle_sides(p) || dm_sync_commit_maps(p, true))
		return;
	mutex_lock(&p->commit_lock);
	p->armed = false;	/* no replica write marks anything from here on */
	mutex_unlock(&p->commit_lock);
	p->super.clean = true;
	if (!dm_sync_commit_maps(p, true) && !dm_sync_super_write(p, NULL))
		return;
	p->super.clean = false;
	p->armed = true;
}

/**
 * dm_sync_pair_postsuspend - no host I/O any more: make all durable
 * @p: the pair
 *
 * Context: postsuspend; may sleep.
 */
void dm_sync_pair_postsuspend(struct dm_sync_pair *p)
{
	if (p->loaded) {
		dm_sync_ops_stop(p);
		close_for_writes(p);
		flush_workqueue(p->conductor);
		cancel_delayed_work_sync(&p->hold_work);
		cancel_delayed_work_sync(&p->probe_work);
		flush_workqueue(p->conductor);
	}
	p->ti = NULL;
}

/**
 * dm_sync_pair_forget_config - a table instance with this configuration goes
 * @p: the pair
 * @c: its configuration
 *
 * Context: destructor.
 */
void dm_sync_pair_forget_config(struct dm_sync_pair *p, struct dm_sync_config *c)
{
	spin_lock_irq(&p->lock);
	if (p->config == c)
		p->config = NULL;
	spin_unlock_irq(&p->lock);
}
