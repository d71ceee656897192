/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A snapshot store from the inside: shared by store, cow, image, image-io and
 * the two targets.  Interfaces include dm-sync-pair.h instead.
 *
 * Who does what:
 *
 *	host		maps bios.  Looks chunks up under RCU, takes no lock.
 *	committer	one work item; holds @commit_lock.  The only writer of the
 *			view, the slots and every block of the store.
 *	conductor	one ordered queue; all changes of an image's state.  Takes
 *			@commit_lock where it writes a block or changes the view.
 *
 *	snapshot-target, replica
 *	     |             |
 *	    cow         image-io ---> image (operations)
 *	      \            |         /
 *	       +--------> store <---+
 *	                   |
 *	       view, slots, store-codec, block
 */
#ifndef DM_SYNC_STORE_H
#define DM_SYNC_STORE_H

#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "dm-sync.h"
#include "dm-sync-claim.h"
#include "dm-sync-fill.h"
#include "dm-sync-gate.h"
#include "dm-sync-jobs.h"
#include "dm-sync-options.h"
#include "dm-sync-pair-priv.h"
#include "dm-sync-restore.h"
#include "dm-sync-slots.h"
#include "dm-sync-store-codec.h"
#include "dm-sync-view.h"

#define DM_SYNC_COW_SECTORS	2048u	/* the most that one host write saves at once: 1 MiB */
#define DM_SYNC_GENERATIONS_AHEAD 256u	/* the superblock is ahead of those in use */

struct dm_sync_store;

/**
 * struct dm_sync_save - chunks on their way into the store
 * @list: the store's, from dm_sync_store_save() until @done
 * @chunk, @nr: chunks, adjacent, at least one; none when only @done is wanted, of an own
 *	write
 * @bad: bit i: the source could not be read in chunk @chunk + i
 * @own: the image whose own write this is; NULL: what the source held
 * @yields: a host's write waits for it: it may be given back when there is no space, to
 *	come again, and be let go of when the store does not answer
 * @pages: the data, chunk by chunk, each chunk a whole slot long
 * @done: called by the committer, with commit_lock held; must not wait. 0: what is
 *	saved is durable and in the view, or no image needs it any more (all that did
 *	have been given up); the host's write may be issued. -EAGAIN, not for own
 *	writes: it waited for space and a noflush suspend begins; nothing was saved for
 *	sure, the host's write is not issued and goes back to device-mapper to be
 *	queued. -EBUSY, for those that yield: there is no space, and it is going to be
 *	waited for; likewise, the caller lets go of what he holds, puts his job into
 *	@waiters, kicks, and begins anew when dm_sync_cow_wake() says. -ECANCELED, likewise
 *	for those: as 0, but the save and its pages stay in use, until dm_sync_cow_return();
 *	commit_lock may not be held then. For own writes any
 *	other negative errno: that write fails, -ENOSPC when the store is full.
 * @saved: chunks of it, from the first on, that are settled; the committer's
 *
 * All but @list and @saved are the caller's to fill in, and to keep until @done.
 * A chunk of an own save has no own slot yet and none is being made by another
 * save; a chunk of any other is held in store->ranges.
 */
struct dm_sync_save {
	struct list_head list;
	u64 chunk;
	u32 nr;
	unsigned long *bad;
	struct dm_sync_image *own;
	bool yields;
	struct page **pages;
	void (*done)(struct dm_sync_save *save, int error);
	u32 saved;
};

/* What the committer may want to tell all images of a store. */
enum dm_sync_space {
	DM_SYNC_SPACE_LOW,	/* below 10 % of the store is free */
	DM_SYNC_SPACE_ENOUGH,	/* above 15 % is free again */
	DM_SYNC_SPACE_HOLD,	/* full, and writes wait for space (on_full:hold) */
	DM_SYNC_SPACE_GO,	/* they do not any more */
};

/**
 * struct dm_sync_commit_item - a chunk in the batch that is being put together
 * @save: where from
 * @i: chunk of the save
 */
struct dm_sync_commit_item {
	struct dm_sync_save *save;
	u32 i;
};

/**
 * struct dm_sync_image - one image: a pair of its own
 * @pair: what interfaces see; pair.name is "DOOR@IMAGE"
 * @store: where it is kept; the image has a reference of it
 * @nr: number of its record
 * @name: without the door's
 * @view: its view; NULL while it has no point in time.  Changed with commit_lock
 *	held, read under RCU
 * @generation, @own_id: as the record has them, 0 without a point in time; commit_lock
 * @lost: it was given up: reads of it fail.  Set, with a barrier, before a slot of it
 *	is free; so a read that ends and finds this set must fail, too: its slot may
 *	have been another one's meanwhile
 * @written: it has own writes, and its record says so, durably
 * @first_write: that is being written; commit_lock
 * @dissolved: only its record will be left
 * @hold_released: Suspended, but writes go on (and are saved)
 * @holds: Suspended, and writes are held for it
 * @by_full: it was suspended because the store was full, not by request
 * @established: when it was made, ns since 1970
 * @point: SyncTime of the point being taken; 0 else; commit_lock
 * @changes: of its record; commit_lock
 * @door_users: I/O in flight through its doors
 * @door_idle: woken when that or @own_writes falls to 0
 * @door_hold: I/O of its doors is to wait, not to be let in and not to fail: its view
 *	is being exchanged or ends.  Set by the conductor, who then waits for
 *	@door_users; cleared by him, who then calls dm_sync_image_door_kick()
 * @parked: I/O that waits for the end of @door_hold; the store's io_lock
 * @own_writes: writes on their way to slots that are its own already, counted under
 *	the same rcu_read_lock() under which the slot was found.  No such slot is
 *	given to anyone else before it is 0
 * @doors: replica doors there are (struct dm_sync_image_door); pair.lock
 * @ranges: first writes of its chunks, one at a time
 * @pause_ns: how long the source was held for its point in time
 * @source_errors, @store_errors: I/O of its doors that failed there
 * @events: what the conductor has not heard yet (dm-sync-image-events.c)
 * @lost_reason: enum dm_sync_reason: why it was given up
 * @event_work: on the conductor
 * @hold_work: on the conductor: the end of holding
 */
struct dm_sync_image {
	struct dm_sync_pair pair;
	struct dm_sync_store *store;
	unsigned int nr;
	char name[DM_SYNC_IMAGE_NAME];
	struct dm_sync_view_image __rcu *view;
	u32 generation, own_id;
	bool lost, written, first_write, dissolved, hold_released, holds, by_full;
	u64 established, point;
	u32 changes;
	atomic_t door_users, own_writes;
	wait_queue_head_t door_idle;
	bool door_hold;
	struct bio_list parked;
	struct list_head doors;
	struct dm_sync_ranges *ranges;
	u64 pause_ns;
	atomic64_t source_errors, store_errors;
	unsigned long events;
	u32 lost_reason;
	struct work_struct event_work;
	struct delayed_work hold_work;
};

/**
 * struct dm_sync_image_door - a replica door of an image
 * @list: the image's
 * @md: its device
 * @image: the image; the door has a reference of its pair
 * @source, @store: their devices, which the door has opened for itself
 */
struct dm_sync_image_door {
	struct list_head list;
	struct mapped_device *md;
	struct dm_sync_image *image;
	struct block_device *source, *store;
};

static inline struct dm_sync_image *to_image(struct dm_sync_pair *pair)
{
	return container_of(pair, struct dm_sync_image, pair);
}

/**
 * struct dm_sync_store - a source and the images of it that one device keeps
 *
 * Shared by every table instance that names the same store (rule L).
 */
struct dm_sync_store {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head list;		/* of all stores; registry lock */
	unsigned int tables;		/* instances; registry lock */
	struct dm_sync_claim claim;
	struct mapped_device *md;	/* the only one that may use it */
	dev_t door, source_dev, store_dev;
	char name[DM_SYNC_NAME_LEN];	/* of the source door */
	bool gone;			/* the last table went; registry lock */

	/* valid between preresume and postsuspend: those of the live table */
	struct dm_target *ti;
	struct block_device *source, *bdev;
	struct dm_sync_config *config;
	bool loaded;			/* what follows exists and is true */
	bool armed;			/* the superblock says "not clean"; commit_lock */
	bool live;			/* operations are possible; image locks */

	/* constant while loaded, but for growth */
	sector_t sectors;
	unsigned int chunk_shift;	/* in sectors */
	struct dm_sync_store_layout layout;

	/* commit_lock */
	struct mutex commit_lock;
	struct dm_sync_meta meta;
	struct dm_sync_store_super super;
	struct dm_sync_block super_block, image_block[DM_SYNC_IMAGE_BLOCKS];
	void *super_buf, *image_buf[DM_SYNC_IMAGE_BLOCKS];
	u32 image_owed;			/* bit i: image block i has to be written again */
	u32 next_generation, next_own;	/* not handed out yet; those in @super are ahead */
	u64 *slot_homes;		/* of each segment: bit i: where its block i is newest */
	u32 cached;			/* slot block in @slot_buf, or DM_SYNC_NO_BLOCK */
	struct dm_sync_block slot_block;	/* it */
	u32 rewrite;			/* it has to be written before any other; likewise */
	void *slot_buf, *slot_old;	/* @slot_old: as it was before the batch */
	u64 batch;			/* number of the last one; @super.batch: complete */
	bool fua;			/* FUA makes a write durable */
	struct dm_sync_commit_item *items;
	struct dm_sync_stretch *stretch;	/* reserves, to format a segment */
	struct dm_sync_slots slots;
	struct dm_sync_view view;	/* read under RCU */
	struct dm_sync_image *image[DM_SYNC_MAX_IMAGES];	/* set by the conductor */
	unsigned int nr_images;		/* in @image */

	/* the committer; commit_lock, but for @saves */
	spinlock_t save_lock;		/* @saves, @waiters; interrupts off */
	struct list_head saves;		/* waiting to be committed */
	struct work_struct commit_work;
	struct bio_set commit_bs;
	struct list_head waiters;	/* jobs whose saves yielded; save_lock */
	atomic_t nr_waiting;		/* those, and woken ones that may have to save still */

	/* dm-sync-patience.c; save_lock */
	struct timer_list patience;
	struct list_head orphans;	/* saves that were let go of */
	bool committing;		/* the committer is under way, since @beat (jiffies) */
	bool away;			/* it waits for the device, or for commit_lock */
	unsigned long beat;
	bool hung;			/* the store does not answer; nothing needs to be saved */
	struct work_struct hung_work;	/* on the conductor */
	bool full;			/* saves wait for space (on_full:hold) */
	u32 full_used, full_slots, full_images;	/* what there was when they last did */
	bool hold_over;			/* they waited long enough */
	bool let_go, requeue;		/* a suspend begins: nothing may wait; for requeue */
	bool low;
	spinlock_t fill_lock;		/* @fill; innermost, interrupts off */
	struct dm_sync_fill fill;
	unsigned int starved;		/* times without memory, in a row */
	struct delayed_work full_work;	/* the end of the wait */
	struct delayed_work probe_work;	/* tries what a failed store owes */
	unsigned int probe_seconds;
	int failed;			/* the store could not be written: errno */

	/* dm-sync-store-health.c; commit_lock, but for @suspect */
	unsigned long suspect;		/* kinds of errors that images met; atomic bits */
	struct work_struct suspect_work;
	unsigned long answered;		/* jiffies when it was asked last; 0: never */
	int ailing;			/* it does not answer: errno */

	/* being restored: dm-sync-restore-life.c */
	struct dm_sync_restore __rcu *restore;		/* while it goes on */
	struct dm_sync_restore *restore_memory;		/* it, or the one before */
	struct dm_sync_map *restore_marks;		/* one begins; commit_lock */

	struct workqueue_struct *io_wq, *conductor, *restore_wq;
	struct list_head visible;	/* of stores that can be found; dm-sync-image.c */
	struct kobject *dir, *images_dir;	/* dm-sync/ and dm-sync/images/ */
	u32 hold_max;			/* as @config has them, for whoever asks; io_lock */
	u64 rate;
	u8 on_full;

	/* host I/O */
	struct dm_sync_gate gate;
	struct dm_sync_ranges *ranges;	/* saving a chunk, and image reads of the source */
	struct dm_sync_jobs jobs;	/* those that wait, memory for saving */
	struct bio_set parts;		/* of image reads that lie in several places */
	spinlock_t io_lock;		/* also the images' parked; interrupts off */
	bool holding;			/* an image is Suspended and holds writes; io_lock */
	struct bio_list held;		/* those writes, out of the gate; io_lock */
	unsigned int nr_held;

	/* counters */
	atomic64_t saved_bytes, read_bytes, commits;
};

/* dm-sync-store.c: contexts and their life */
struct dm_sync_store *dm_sync_store_attach(struct dm_target *ti, struct block_device *source,
					   struct block_device *bdev,
					   const struct dm_sync_config *c);
void dm_sync_store_detach(struct dm_sync_store *s);
void dm_sync_store_get(struct dm_sync_store *s);
void dm_sync_store_put(struct dm_sync_store *s);
struct dm_sync_store *dm_sync_store_find_door(dev_t door);
int dm_sync_store_activate(struct dm_sync_store *s, struct dm_target *ti,
			   struct block_device *source, struct block_device *bdev,
			   struct dm_sync_config *c);
void dm_sync_store_resume(struct dm_sync_store *s);
void dm_sync_store_presuspend(struct dm_sync_store *s);
void dm_sync_store_presuspend_undo(struct dm_sync_store *s);
void dm_sync_store_postsuspend(struct dm_sync_store *s);
void dm_sync_store_forget_config(struct dm_sync_store *s, struct dm_sync_config *c);

/* dm-sync-store-load.c: format, load, recovery.  Preresume, no host I/O. */
int dm_sync_store_load(struct dm_sync_store *s, const struct dm_sync_config *c,
		       const char **why);
int dm_sync_store_grow(struct dm_sync_store *s, const char **why);
void dm_sync_store_unload(struct dm_sync_store *s);

/* dm-sync-store-super.c: superblock, image records, segments.  All: commit_lock held. */
int dm_sync_store_write_super(struct dm_sync_store *s);
int dm_sync_store_prepare_ids(struct dm_sync_store *s);
int dm_sync_store_arm(struct dm_sync_store *s, const char **why);
void dm_sync_store_disarm(struct dm_sync_store *s);
u32 dm_sync_store_take_generation(struct dm_sync_store *s);
u32 dm_sync_store_take_own(struct dm_sync_store *s);
int dm_sync_store_write_record(struct dm_sync_store *s, struct dm_sync_image *image,
			       const struct dm_sync_step *step);
int dm_sync_store_erase_record(struct dm_sync_store *s, struct dm_sync_image *image);
int dm_sync_store_write_owed(struct dm_sync_store *s);
int dm_sync_store_format_segment(struct dm_sync_store *s);
u32 dm_sync_store_formatted_slots(const struct dm_sync_store *s);
struct dm_sync_block dm_sync_store_block(const struct dm_sync_store *s, u32 index);
void dm_sync_store_set_home(struct dm_sync_store *s, u32 index, u8 home);

/* dm-sync-commit-store.c: saves become durable */
void dm_sync_store_commit_init(struct dm_sync_store *s);
void dm_sync_store_save(struct dm_sync_store *s, struct dm_sync_save *save);
void dm_sync_store_kick(struct dm_sync_store *s);
void dm_sync_store_free_slot(void *store, u32 slot);	/* as dm_sync_slot_fn; then kick */
int dm_sync_store_rewrite(struct dm_sync_store *s);

/* dm-sync-commit-space.c: space, full, failure */
void dm_sync_store_failed(struct dm_sync_store *s, int error);
void dm_sync_store_probe_soon(struct dm_sync_store *s);
int dm_sync_store_revive(struct dm_sync_store *s);
void dm_sync_store_hold_max_changed(struct dm_sync_store *s);	/* @hold_max was set */
void dm_sync_store_let_go(struct dm_sync_store *s, bool let_go, bool requeue);
void dm_sync_store_start_timers(struct dm_sync_store *s);
void dm_sync_store_stop_timers(struct dm_sync_store *s);

/* dm-sync-patience.c: a store that does not answer does not hold the source */
void dm_sync_patience_begin(struct dm_sync_store *s);
bool dm_sync_patience_away(struct dm_sync_store *s, bool away);
void dm_sync_patience_end(struct dm_sync_store *s);
bool dm_sync_patience_over(struct dm_sync_store *s);
void dm_sync_patience_mend(struct dm_sync_store *s);
void dm_sync_patience_stop(struct dm_sync_store *s);
void dm_sync_patience_init(struct dm_sync_store *s);

/* dm-sync-store-health.c: has the device gone? */
void dm_sync_store_suspect(struct dm_sync_store *s, bool write);
int dm_sync_store_ask(struct dm_sync_store *s);
int dm_sync_store_check(struct dm_sync_store *s);
void dm_sync_store_health_stop(struct dm_sync_store *s);
void dm_sync_store_health_init(struct dm_sync_store *s);

/* dm-sync-cow.c: host I/O of the source door */
size_t dm_sync_cow_io_size(void);
int dm_sync_cow_map(struct dm_sync_store *s, struct dm_target *ti, struct bio *bio);
int dm_sync_cow_end_io(struct dm_sync_store *s, struct bio *bio, blk_status_t *error);
int dm_sync_cow_init(struct dm_sync_store *s);	/* @io_wq is there, @ranges not yet */
void dm_sync_cow_exit(struct dm_sync_store *s);	/* @io_wq is gone; also when init failed */
void dm_sync_cow_restart(struct dm_sync_store *s, struct bio_list *bios);
void dm_sync_cow_wake(struct dm_sync_store *s);		/* @waiters: there may be space */
void dm_sync_cow_return(struct dm_sync_store *s, struct dm_sync_save *save);

/*
 * dm-sync-image.c: images as pairs, their operations
 *
 * load: makes the pair of a record that was read and puts it into s->image[], or NULL
 * when there is no memory. Not for records that are DISSOLVED: they leave no image. Not
 * its view: the store's load adds that, if the image has a generation and is not
 * lost. Takes a reference to the store, which the pair's release puts.
 *
 * register: each resume (names may have changed): images are visible and live.
 *
 * stop: presuspend: no more operations, the conductor idle, held writes let go; restart
 * undoes it. Nothing waits for the conductor with a lock that it takes.
 *
 * unregister: the last table goes: out of sight, and the references that s->image[] are,
 * are put; they keep the store. The view is to be freed a grace period after it.
 *
 * record: what the image's record is to say with @step, or as published when NULL.
 * With commit_lock held.
 *
 * give_up: commit_lock held, also by the committer, so it waits for nothing that
 * needs it. Sets image->lost, writes the record (LOST, no generation), takes the image
 * out of the view (after finishing what is being deleted), frees its slots; all of it
 * when the record could not be written as well, which it returns as an error. The
 * image may have no view (damage found by the load).
 *
 * written: before the first own write of an image gets an entry, or changes in place: makes
 * WRITTEN durable, once. From the committer, with commit_lock held.
 *
 * reclaim: finishes a deletion that is under way: to be tried before an image is given
 * up for space. True when slots were freed. With commit_lock held.
 *
 * space: tells every image; from the committer, with commit_lock held: only queues work.
 *
 * reach: tells every image whether the store's device answers; likewise.
 *
 * lose: all images are lost, in memory alone; from any context. tell_lost: says so, on the
 * conductor.
 *
 * hold: for host writes that would have to be saved, before they ask for a range: true
 * when @bio was taken; some time dm_sync_cow_restart() begins with it anew, so the caller
 * leaves the gate for it.
 */
struct dm_sync_image *dm_sync_image_load(struct dm_sync_store *s, unsigned int nr,
					 const struct dm_sync_image_record *r);
struct dm_sync_image *dm_sync_image_alloc(struct dm_sync_store *s, unsigned int nr,
					  const char *name);
int dm_sync_image_create(struct dm_sync_store *s, const char *name, u32 stop_at, u32 flags,
			 struct dm_sync_image **created, const char **why);
int dm_sync_image_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			  const char **why);
struct dm_sync_image *dm_sync_image_find(struct dm_sync_store *s, const char *name);
void dm_sync_image_record(struct dm_sync_image *image, const struct dm_sync_step *step,
			  struct dm_sync_image_record *r);
void dm_sync_image_facts(struct dm_sync_image *image, struct dm_sync_facts *f);
int dm_sync_image_give_up(struct dm_sync_store *s, struct dm_sync_image *image, u32 reason);
int dm_sync_image_written(struct dm_sync_image *image);
bool dm_sync_images_reclaim(struct dm_sync_store *s);
bool dm_sync_images_hold(struct dm_sync_store *s, struct bio *bio);
void dm_sync_images_space(struct dm_sync_store *s, enum dm_sync_space what);
void dm_sync_images_reach(struct dm_sync_store *s, bool answers);
void dm_sync_images_lose(struct dm_sync_store *s, u32 reason);
void dm_sync_images_tell_lost(struct dm_sync_store *s);
void dm_sync_image_register(struct dm_sync_image *image);
void dm_sync_images_register(struct dm_sync_store *s);
void dm_sync_images_stop(struct dm_sync_store *s);
void dm_sync_images_restart(struct dm_sync_store *s);
void dm_sync_images_unregister(struct dm_sync_store *s);
void dm_sync_image_destroy(struct dm_sync_image *image);
int dm_sync_images_set(struct dm_sync_store *s, enum dm_sync_setting setting, u64 value,
		       const char **why);
void dm_sync_image_door_add(struct dm_sync_image *image, struct dm_sync_image_door *door,
			    struct mapped_device *md);
void dm_sync_image_door_remove(struct dm_sync_image *image, struct dm_sync_image_door *door);

/* dm-sync-image-io.c: host I/O of an image's door */
size_t dm_sync_image_io_size(void);
int dm_sync_image_map(struct dm_sync_image_door *d, struct dm_target *ti, struct bio *bio);
int dm_sync_image_end_io(struct bio *bio, blk_status_t *error);
void dm_sync_image_door_kick(struct dm_sync_image *image);	/* @door_hold has ended */

/* dm-sync-snapshot-target.c */
extern const struct dm_sync_personality dm_sync_snapshot_personality;

#endif /* DM_SYNC_STORE_H */
