// SPDX-License-Identifier: GPL-2.0-only
/*
 * A clone with a delta (snap_and_clone): a host's write of the source does not wait for
 * the replica.
 *
 * Rule SC asks that the old data of a region is durable before it is written, not where.
 * With a delta it goes there: the source is read, a slot is written (FUA), then the
 * entry of the slot (dm-sync-delta.c), for all writes of a round together; then they go
 * on.  The replica gets the region later, from its slot.
 *
 *	A region is in the delta when its entry is durable.  From then on hosts may
 *	write it, and S may be marked there though U is.  Whoever copies to the
 *	replica takes it from the slot; who wants it from the source holds its range,
 *	and has looked since.
 *
 *	A copy gives its range back when it has read, from wherever.  What it has in
 *	memory is the image's; all copies of a region write the same, until the
 *	next image begins, which waits for all of them (dm_sync_clone_quiet()).  The
 *	replica door is shut until the copy is complete, so nobody else writes there.
 *
 *	A slot is free again when U(r) is clear on disk: the replica has the region,
 *	and it stays so until the next image.  Before that U may be set again, by a
 *	flush that failed, and the copy repeated; from the slot.
 *
 *	A new image begins with the superblock's next delta epoch, in the same write
 *	in which U gets its meaning.
 *
 * A power cut finds U(r) set and the entry there: copied from the slot, whether the
 * host's write was issued or not.  U(r) set and no entry: no write was issued, copied
 * from the source.  U(r) clear: the replica has it.
 *
 * A delta that is full, or cannot be written, is no reason to lose the image: what it
 * does not take is copied to the replica first, as without one.  To have room again
 * before, copies are made durable when three quarters are in use.
 *
 * Who waits for whom: the demand work for the source and the delta, and, when that does
 * not answer, as for a replica that does not (dm-sync-clone-copy.c).  The table is written
 * by a work of its own, so that this holds for it as well.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

/**
 * dm_sync_clone_span - how far regions lie in one place
 * @m: the clone
 * @first: first region
 * @last: the last that is of interest
 *
 * Context: any; holding the range, if the answer is to stay true of the source.
 * Return: the last region, @last at most, that is in the delta behind the one before,
 * if the first is there, or that is not in the delta, if it is not.
 */
u64 dm_sync_clone_span(struct dm_sync_mirror *m, u64 first, u64 last)
{
	u32 slot;
	u64 nr;

	if (!m->delta)
		return last;
	slot = dm_sync_clone_slot(m, first);
	for (nr = 1; first + nr <= last; nr++)
		if (dm_sync_clone_slot(m, first + nr) != (slot ? slot + nr : 0))
			break;
	return first + nr - 1;
}

static bool needed(void *mirror, u64 region)
{
	struct dm_sync_mirror *m = mirror;

	return dm_sync_map_test(m->uncopied_map, region) ||
	       dm_sync_map_look(m->uncopied_map, region) != DM_SYNC_MAP_CLEAR;
}

/**
 * dm_sync_clone_needs_save - is the source the only one that has this of the image?
 * @m: the clone, with a delta
 * @region: the region
 *
 * Context: any; holding the range, if the answer is to stay true.
 * Return: false when the delta has it, or the replica, durably.
 */
bool dm_sync_clone_needs_save(struct dm_sync_mirror *m, u64 region)
{
	return !dm_sync_clone_slot(m, region) && needed(m, region);
}

/**
 * dm_sync_clone_delta_wanted - is an entry that was found of use?
 * @mirror: the clone, its maps read
 * @region: of the entry
 *
 * Context: preresume.
 */
bool dm_sync_clone_delta_wanted(void *mirror, u64 region)
{
	struct dm_sync_mirror *m = mirror;

	return !m->pair.facts.replica_consistent && !m->super.restoring &&
	       dm_sync_map_test(m->uncopied_map, region);
}

/*----------------------------------------------------------------
 * Space
 *--------------------------------------------------------------*/

/* Returns true when there is more than before. */
static bool sweep(struct dm_sync_mirror *m)
{
	u32 commits = READ_ONCE(m->clone.commits);

	if (m->delta->swept == commits)
		return false;
	m->delta->swept = commits;
	return dm_sync_delta_sweep(m->delta, needed, m);
}

/**
 * dm_sync_clone_delta_tidy - give back slots that are of no use any more
 * @m: the clone, or a mirror
 *
 * Not while it is stopped: then dm_sync_clone_delta_settle() has the table.
 *
 * Context: the demand work.
 */
void dm_sync_clone_delta_tidy(struct dm_sync_mirror *m)
{
	if (m->delta && !READ_ONCE(m->clone.stopped))
		sweep(m);
}

static void make_room(struct dm_sync_mirror *m)
{
	struct dm_sync_delta *d = m->delta;

	if (d->nr_used <= d->nr_slots - DIV_ROUND_UP(d->nr_slots, 4))
		return;
	sweep(m);
	dm_sync_resync_checkpoint(m);
}

static void log_trouble(struct dm_sync_mirror *m, bool full)
{
	struct dm_sync_delta *d = m->delta;

	if (d->told)
		return;
	d->told = true;
	if (full)
		DMWARN("%s: the delta is full: until there is room writes wait for their copy to the replica",
		       m->pair.name);
	else
		DMERR("%s: the delta cannot be written: writes wait for their copy to the replica",
		      m->pair.name);
}

/*----------------------------------------------------------------
 * Saving
 *--------------------------------------------------------------*/

static bool wants_save(struct dm_sync_mirror *m, u64 region)
{
	return dm_sync_clone_needs_save(m, region) &&
	       !dm_sync_index_get(&m->delta->saving, region);
}

static bool goes_on(struct dm_sync_mirror *m)
{
	return !READ_ONCE(m->clone.silent) && READ_ONCE(m->clone.preserving) &&
	       !READ_ONCE(m->delta->failed);
}

/* Adjacent regions that want it, as many as one copy takes and there is memory to note. */
static u32 run_of(struct dm_sync_mirror *m, u64 first, u64 last)
{
	u32 nr = 0, most = DM_SYNC_COPY_SECTORS >> m->region_shift;

	while (nr < most && first + nr <= last && wants_save(m, first + nr) &&
	       !dm_sync_index_reserve(&m->delta->saving, first + nr) &&
	       !dm_sync_index_reserve(&m->delta->index, first + nr))
		nr++;
	return nr;
}

/* Returns how many regions were begun with. */
static u32 save_run(struct dm_sync_mirror *m, u64 first, u64 last)
{
	u32 i, want = run_of(m, first, last);
	u32 nr = want ? dm_sync_clone_save_begin(m, first, want) : 0;

	if (want && !nr && goes_on(m) && sweep(m))
		nr = dm_sync_clone_save_begin(m, first, want);
	if (want && !nr && goes_on(m))
		log_trouble(m, true);
	for (i = 0; i < nr; i++)
		dm_sync_index_set(&m->delta->saving, first + i, 1);
	return nr;
}

static void save_bio(struct dm_sync_mirror *m, struct bio *bio)
{
	u64 region = dm_sync_region_of(m, dm_sync_io_sector(bio));
	u64 last = dm_sync_region_of(m, dm_sync_io_last(bio));
	u32 nr;

	while (region <= last && goes_on(m)) {
		if (!wants_save(m, region)) {
			region++;
			continue;
		}
		nr = save_run(m, region, last);
		if (!nr)
			return;
		region += nr;
	}
}

static void saved_bio(struct dm_sync_mirror *m, struct bio *bio)
{
	u64 region = dm_sync_region_of(m, dm_sync_io_sector(bio));
	u64 last = dm_sync_region_of(m, dm_sync_io_last(bio));

	for (; region <= last; region++)
		dm_sync_index_set(&m->delta->saving, region, 0);
}

static void do_table(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.table_work);

	dm_sync_delta_commit(m->delta);
	complete(&m->clone.table_done);
	dm_sync_clone_leave(m);
}

/* One of 30 seconds is not waited for; what it writes is waited for like a copy. */
static void commit_table(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;

	reinit_completion(&cl->table_done);
	atomic_inc(&cl->busy);
	queue_work(m->io_wq, &cl->table_work);
	if (wait_for_completion_io_timeout(&cl->table_done, DM_SYNC_DRAIN_SECONDS * HZ))
		return;
	WRITE_ONCE(m->delta->failed, true);
	WRITE_ONCE(cl->error, DM_SYNC_REASON_STORE_FAILED);
	WRITE_ONCE(cl->silent, true);
}

/* With nothing of the delta to be looked at behind it: the next image may begin then. */
static void let_go(struct dm_sync_mirror *m, struct bio_list *sources)
{
	struct bio_list rest;
	struct bio *bio;

	bio_list_init(&rest);
	while ((bio = bio_list_pop(sources)))
		if (dm_sync_clone_must_wait(m, dm_sync_region_of(m, dm_sync_io_sector(bio)),
					    dm_sync_region_of(m, dm_sync_io_last(bio))))
			bio_list_add(&rest, bio);
		else
			dm_sync_io_demand_done(m, bio, BLK_STS_OK);
	*sources = rest;
}

/**
 * dm_sync_clone_save - put into the delta what host writes are about to change
 * @m: the clone, or a mirror
 * @sources: the writes; those that may go on are gone from it then
 *
 * Context: the demand work.
 * Return: 0, and what is left in @sources needs its copy to the replica; or why nothing
 * more is to be tried.
 */
u32 dm_sync_clone_save(struct dm_sync_mirror *m, struct bio_list *sources)
{
	struct dm_sync_clone *cl = &m->clone;
	struct dm_sync_delta *d = m->delta;
	struct bio *bio;

	if (!d || READ_ONCE(m->redirect) || bio_list_empty(sources) || !dm_sync_clone_copy_due(m))
		return 0;
	WRITE_ONCE(cl->error, 0);
	WRITE_ONCE(cl->silent, false);
	bio_list_for_each(bio, sources)
		save_bio(m, bio);
	dm_sync_clone_copy_wait(m);
	bio_list_for_each(bio, sources)
		saved_bio(m, bio);
	/* Given up meanwhile, by us or others: some may still be filled, so it is not committed. */
	if (atomic_read(&cl->busy))
		WRITE_ONCE(d->failed, true);
	else if (!READ_ONCE(d->failed))
		commit_table(m);
	if (READ_ONCE(cl->silent)) {
		dm_sync_break(m, READ_ONCE(cl->error));
		return READ_ONCE(cl->error);
	}
	if (!READ_ONCE(d->failed))
		make_room(m);
	else if (READ_ONCE(cl->preserving))
		log_trouble(m, false);
	let_go(m, sources);
	return 0;
}

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_delta_init - set up what only clones with a delta use
 * @m: the mirror or clone
 */
void dm_sync_clone_delta_init(struct dm_sync_mirror *m)
{
	INIT_WORK(&m->clone.table_work, do_table);
	init_completion(&m->clone.table_done);
}

/**
 * dm_sync_clone_delta_settle - a clean end: no home of the table is torn
 * @m: the clone, or a mirror; the demand work does not run
 *
 * Context: postsuspend; sleeps for I/O.
 * Return: 0 or a negative errno: it is not clean.
 */
int dm_sync_clone_delta_settle(struct dm_sync_mirror *m)
{
	if (!m->delta)
		return 0;
	return atomic_read(&m->clone.busy) ? -EBUSY : dm_sync_delta_commit(m->delta);
}

/**
 * dm_sync_clone_delta_use - a table instance becomes live
 * @m: the clone, or a mirror
 *
 * Context: preresume.
 */
void dm_sync_clone_delta_use(struct dm_sync_mirror *m)
{
	if (!m->delta)
		return;
	m->delta->bdev = m->delta_bdev;
	m->delta->sectors = bdev_nr_sectors(m->delta_bdev);
	m->delta->meta.bdev = m->meta.bdev ? m->delta_bdev : NULL;
}

/**
 * dm_sync_clone_delta_open - look whose the delta is, and set it up
 * @m: the clone, or a mirror; its methodology is known
 * @format: whatever is there may be overwritten
 * @why: out: a sentence, on error
 *
 * Touches nothing on the device.
 *
 * Context: preresume; may sleep.
 * Return: 0, also when there is none, or a negative errno.
 */
int dm_sync_clone_delta_open(struct dm_sync_mirror *m, bool format, const char **why)
{
	bool has = m->pair.state.methodology == DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE;
	int r;

	if (!m->is_clone || (!has && !m->delta_bdev))
		return 0;
	*why = has ? "the pair has a delta: name it by the option delta:<device> (with synctl: --methodology snap-and-clone --delta DEV)" :
		     "the pair was made with another methodology, and has no delta";
	if (!has || !m->delta_bdev)
		return -EINVAL;
	*why = "not enough memory for the delta";
	m->delta = dm_sync_delta_create(m->region_shift, m->nr_regions);
	if (!m->delta)
		return -ENOMEM;
	m->delta->bdev = m->delta->meta.bdev = m->delta_bdev;
	r = dm_sync_delta_open(m->delta, m->meta.uuid, format, why);
	m->delta->ours = r > 0;
	if (!r && format && !m->meta.bdev) {
		*why = "the delta device cannot be written";
		r = dm_sync_delta_wipe(m->delta);
	}
	dm_sync_clone_delta_use(m);
	return min(r, 0);
}

/**
 * dm_sync_clone_delta_format - begin with an empty delta
 * @m: the clone, or a mirror; its delta is open
 *
 * The superblock is still to be written.
 *
 * Context: preresume; may sleep.
 * Return: 0 or a negative errno.
 */
int dm_sync_clone_delta_format(struct dm_sync_mirror *m)
{
	int r;

	if (!m->delta)
		return 0;
	m->super.delta_epoch++;
	r = dm_sync_delta_format(m->delta, m->super.delta_epoch);
	m->super.delta_id = m->delta->id;
	return r;
}

/**
 * dm_sync_clone_delta_load - take up what is in the delta
 * @m: the clone, or a mirror; its delta is open, its maps are read
 * @lost: out: something that the image needs may be lost
 *
 * Context: preresume; may sleep.
 * Return: 0 or a negative errno.
 */
int dm_sync_clone_delta_load(struct dm_sync_mirror *m, bool *lost)
{
	bool matters = !m->pair.facts.replica_consistent && !m->super.restoring &&
		       dm_sync_map_count(m->uncopied_map);
	struct dm_sync_delta *d = m->delta;
	int r;

	if (d->ours && d->id == m->super.delta_id) {
		r = dm_sync_delta_load(d, m->super.delta_epoch, m->super.clean,
				       dm_sync_clone_delta_wanted, m);
		*lost = matters && r == -EUCLEAN;
		if (*lost)
			DMERR("%s: the table of the delta is damaged", m->pair.name);
		return r == -EUCLEAN ? 0 : r;
	}
	*lost = matters;
	if (matters)
		DMERR("%s: this is not the delta that holds what the image needs", m->pair.name);
	return dm_sync_clone_delta_format(m);
}
