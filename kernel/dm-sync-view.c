// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each image of a store sees: the law of generations.
 *
 * Every point in time has a generation: unique in the store, higher than all
 * before, never used again. Before a chunk c is written for the first time after
 * the newest point in time, its content is saved in a slot with an entry (c, g), g
 * being that newest generation. One copy serves all images, because
 *
 *  [G1]	an image of generation x sees c in the entry with the smallest generation
 *	that is not below x, and in the source if there is none.
 *
 * An image's own writes are entries as well, marked with its own id, and go first.
 *
 * A table of all entries is not what a host write wants to search. So each live
 * image h has an index: the entries that are first for h and for no older live
 * image that has one of its own. In other words, with h' the next newer live image:
 *
 *  [G2]	index[h][c] is the entry of c with the smallest generation in [h, h').
 *
 * By G1 and G2 an image sees c in its own index, else in that of the next newer
 * image, and so on, else in the source; and c needs to be saved before it is
 * written if and only if index[newest] lacks it.
 *
 * Entries are never erased on disk. Of those that are there, G2 says which are in
 * use, and the rest is free; a slot's entry goes when the slot is filled anew. That
 * this finds in use at every load what is in use in memory, and nothing else,
 * follows from what can happen:
 *
 *  - a new image n: all entries have lower generations, so [n, oo) is empty, and so
 *    is its index; no other interval loses an entry;
 *  - a save (c, n), n being the newest: only if index[n] lacks c, so by G2 there is
 *    no entry of c at all in [n, oo), also none that is free, and the new one is the
 *    smallest. So no two entries are equal, either;
 *  - image h deleted, o being the next older: [o, h) and [h, h') become one interval.
 *    Its smallest entry of c is that of o, if it had one, else that of h. That is
 *    what merging does. Without an o, entries in [h, h') belong to no interval of a
 *    live image and never will again, as new ones begin above them;
 *  - a slot is filled anew: it was free. Taking away an entry that is not the
 *    smallest of its interval, or is in none, changes no smallest one. The one that
 *    makes it free, a smaller one of the same interval, stays where it is as long as
 *    it is in use; and when it ceases to be, because intervals are merged, there is
 *    one that is smaller still, or the whole interval is gone.
 *
 * So it does not matter what the data of a free slot is, which a batch that was cut
 * may have spoiled: no law ever makes a free entry one in use. Own writes are in use
 * while a live image has their id; a reset gives it a new one.
 *
 * What has to be durable when: a generation and an own id are above the superblock's
 * before they are used; the entry and its data before save() and write(); the record
 * of an image before add(), reset() and delete_begin(). A generation that an image
 * was given is thus never given again, and slots that become free here are free by
 * the law on disk as well.
 *
 * Deleting goes through the index in steps, so that saves can be done in between.
 * Until it ends the image stays in the list, marked dying: older images still find
 * through it what was not merged yet. An entry is set in the older index before the
 * image leaves the list, and its own index stays as it was. A reader takes the pointer
 * to the newer image before it looks into an index: so it either comes past the dying
 * image, or sees all that was merged. Where the older index has no leaf it takes over
 * the other's, so that deleting needs no memory.
 *
 * Locking: one writer, the store's committer, changes anything. find(), find_saved()
 * and protected() are called under rcu_read_lock() by anyone. An image is freed a
 * grace period after delete_step() has ended. Counts may be read at any time.
 */
#ifdef __KERNEL__
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/barrier.h>
#endif
#include <linux/errno.h>

#include "dm-sync-view.h"

static bool has(const struct dm_sync_view_image *image, u64 chunk)
{
	return dm_sync_index_get(&image->saved, chunk);
}

static u32 value_of(u32 slot, bool bad)
{
	return (slot + 1) | (bad ? DM_SYNC_INDEX_BAD : 0);
}

static u32 slot_of(u32 value)
{
	return (value & ~DM_SYNC_INDEX_BAD) - 1;
}

static void add_alone(struct dm_sync_view_image *image, u64 nr)
{
	WRITE_ONCE(image->alone, image->alone + nr);
}

/*----------------------------------------------------------------
 * The list of images
 *--------------------------------------------------------------*/

/**
 * dm_sync_view_init - no images
 * @v: to be set up
 * @nr_chunks: of the source
 *
 * Context: any.
 */
void dm_sync_view_init(struct dm_sync_view *v, u64 nr_chunks)
{
	memset(v, 0, sizeof(*v));
	v->nr_chunks = nr_chunks;
}

static void load_free(struct dm_sync_view *v);

/**
 * dm_sync_view_exit - free all images
 * @v: the view; it may be in the middle of a load or a deletion
 *
 * Context: the writer, when there is no reader. May sleep.
 */
void dm_sync_view_exit(struct dm_sync_view *v)
{
	struct dm_sync_view_image *image, *newer;

	for (image = v->oldest; image; image = newer) {
		newer = image->newer;
		dm_sync_view_free(image);
	}
	load_free(v);
	dm_sync_view_init(v, v->nr_chunks);
}

/**
 * dm_sync_view_alloc - memory for an image
 * @v: the view that it will be in
 * @generation: of its point in time, not 0
 * @own_id: what its own writes are marked with, not 0
 *
 * Context: process; may sleep, does no I/O.
 * Return: the image, or NULL when there is no memory.
 */
struct dm_sync_view_image *dm_sync_view_alloc(struct dm_sync_view *v, u32 generation, u32 own_id)
{
	struct dm_sync_view_image *image = kzalloc(sizeof(*image), GFP_NOIO);

	if (!image)
		return NULL;
	image->generation = generation;
	image->own_id = own_id;
	dm_sync_index_init(&image->saved, v->nr_chunks);
	dm_sync_index_init(&image->own, v->nr_chunks);
	/* now, because taking over another one's leaves must not fail */
	if (dm_sync_index_prepare(&image->saved)) {
		dm_sync_view_free(image);
		return NULL;
	}
	return image;
}

/**
 * dm_sync_view_free - free an image
 * @image: never added, or out of the list for a grace period; NULL is all right
 *
 * Context: process; may sleep.
 */
void dm_sync_view_free(struct dm_sync_view_image *image)
{
	if (!image)
		return;
	dm_sync_index_destroy(&image->saved);
	dm_sync_index_destroy(&image->own);
	kfree(image);
}

/* Readers see what was written before: an image that is new, or an index that is merged. */
static void link_images(struct dm_sync_view *v, struct dm_sync_view_image *older,
			struct dm_sync_view_image *newer)
{
	struct dm_sync_view_image **up = older ? &older->newer : &v->oldest;
	struct dm_sync_view_image **down = newer ? &newer->older : &v->newest;

	smp_store_release(up, newer);
	smp_store_release(down, older);
}

/**
 * dm_sync_view_add - an image is live
 * @v: the view
 * @image: as dm_sync_view_alloc() made it; its record is durable
 *
 * Images that were there when the store is loaded are added in any order before
 * dm_sync_view_load_begin(). After that, an image has to be newer than all others,
 * and no host write is between dm_sync_view_protected() and its end.
 *
 * Context: the writer.
 * Return: 0, or -EINVAL when its generation is not right.
 */
int dm_sync_view_add(struct dm_sync_view *v, struct dm_sync_view_image *image)
{
	struct dm_sync_view_image *older = v->newest, *newer = NULL;

	while (older && older->generation > image->generation) {
		newer = older;
		older = older->older;
	}
	if (!image->generation || (older && older->generation == image->generation) ||
	    (newer && v->loaded))
		return -EINVAL;
	image->older = older;
	image->newer = newer;
	link_images(v, older, image);
	link_images(v, image, newer);
	v->nr_images++;
	return 0;
}

static struct dm_sync_view_image *newest_live(const struct dm_sync_view *v)
{
	struct dm_sync_view_image *image = v->newest;

	return image && image->dying ? image->older : image;
}

/**
 * dm_sync_view_generation - what an entry that is saved now is marked with
 * @v: the view
 *
 * Context: the writer.
 * Return: the generation of the newest image, 0 when there is none.
 */
u32 dm_sync_view_generation(const struct dm_sync_view *v)
{
	struct dm_sync_view_image *image = newest_live(v);

	return image ? image->generation : 0;
}

/*----------------------------------------------------------------
 * Looking up
 *--------------------------------------------------------------*/

/**
 * dm_sync_view_protected - can this chunk of the source be written
 * @v: the view
 * @chunk: below nr_chunks
 *
 * Context: any, under rcu_read_lock().
 * Return: true when no image needs its present content, false when it must be saved
 * first, or has to be looked up again by the writer.
 */
bool dm_sync_view_protected(const struct dm_sync_view *v, u64 chunk)
{
	const struct dm_sync_view_image *image = READ_ONCE(v->newest);

	for (; image; image = READ_ONCE(image->older)) {
		if (has(image, chunk))
			return true;
		if (!READ_ONCE(image->dying))
			return false;
	}
	return true;
}

/**
 * dm_sync_view_find_saved - where an image has a chunk, its own writes apart
 * @image: in the list
 * @chunk: below nr_chunks
 * @slot: out: with DM_SYNC_FOUND_SLOT
 *
 * When it is the source, that holds until a host writes the chunk. So a reader must be
 * known to such writes before it looks up (rule S-read), not after.
 *
 * Context: any, under rcu_read_lock().
 */
enum dm_sync_found dm_sync_view_find_saved(const struct dm_sync_view_image *image, u64 chunk,
					   u32 *slot)
{
	const struct dm_sync_view_image *newer;
	u32 value;

	for (; image; image = newer) {
		/* first the way on, then the look: see above, pairs with link_images() */
		newer = smp_load_acquire(&image->newer);
		value = dm_sync_index_get(&image->saved, chunk);
		if (!value)
			continue;
		*slot = slot_of(value);
		return value & DM_SYNC_INDEX_BAD ? DM_SYNC_FOUND_BAD : DM_SYNC_FOUND_SLOT;
	}
	return DM_SYNC_FOUND_SOURCE;
}

/**
 * dm_sync_view_find - where an image has a chunk
 * @image: in the list
 * @chunk: below nr_chunks
 * @slot: out: with DM_SYNC_FOUND_SLOT and DM_SYNC_FOUND_OWN
 *
 * Context: any, under rcu_read_lock(), and not while the image is reset.
 */
enum dm_sync_found dm_sync_view_find(const struct dm_sync_view_image *image, u64 chunk,
				     u32 *slot)
{
	u32 value = dm_sync_index_get(&image->own, chunk);

	if (!value)
		return dm_sync_view_find_saved(image, chunk, slot);
	*slot = slot_of(value);
	return DM_SYNC_FOUND_OWN;
}

/*----------------------------------------------------------------
 * Saving and writing
 *--------------------------------------------------------------*/

/*
 * The image next older than @image, as far as @chunk goes: one that is dying has
 * ceased to be where it was merged.
 */
static const struct dm_sync_view_image *older_of(const struct dm_sync_view *v,
						 const struct dm_sync_view_image *image,
						 u64 chunk)
{
	const struct dm_sync_view_image *older = image->older;

	if (older && older->dying && chunk >> DM_SYNC_LEAF_SHIFT < v->leaf)
		return older->older;
	return older;
}

/**
 * dm_sync_view_reserve - make sure that a chunk can be saved
 * @v: the view
 * @chunk: below nr_chunks
 *
 * Called when a batch is put together, because once it is durable it is too late to
 * lack memory.
 *
 * Context: the writer; may sleep, does no I/O.
 * Return: 0, and dm_sync_view_save() of this chunk cannot fail unless images were
 * added or deleted meanwhile; or -ENOMEM.
 */
int dm_sync_view_reserve(struct dm_sync_view *v, u64 chunk)
{
	struct dm_sync_view_image *image = newest_live(v);

	return image ? dm_sync_index_reserve(&image->saved, chunk) : 0;
}

/**
 * dm_sync_view_save - a chunk was saved
 * @v: the view
 * @generation: what its entry is marked with: dm_sync_view_generation() when the
 *	batch was put together
 * @chunk: below nr_chunks; was not protected then
 * @slot: where it was saved; entry and data are durable
 * @bad: the source could not be read and the slot has no data
 *
 * Images may have been added and deleted since: the entry belongs to the newest image
 * that is not above its generation, as it would after a crash.
 *
 * Context: the writer; may sleep, does no I/O.
 * Return: 0; -EEXIST when no image needs it (any more), and the slot is free; -ENOMEM.
 */
int dm_sync_view_save(struct dm_sync_view *v, u32 generation, u64 chunk, u32 slot, bool bad)
{
	struct dm_sync_view_image *image = v->newest, *newer;
	const struct dm_sync_view_image *older;

	while (image && (image->dying || image->generation > generation))
		image = image->older;
	if (!image || has(image, chunk))
		return -EEXIST;
	newer = image->newer;
	if (newer && newer->dying) {
		if (has(newer, chunk))
			return -EEXIST;
		newer = newer->newer;
	}
	if (dm_sync_index_set(&image->saved, chunk, value_of(slot, bad)))
		return -ENOMEM;
	older = older_of(v, image, chunk);
	if (!older || has(older, chunk))
		add_alone(image, 1);
	if (newer && has(newer, chunk) && older_of(v, newer, chunk) == image)
		add_alone(newer, 1);
	return 0;
}

/**
 * dm_sync_view_reserve_own - make sure that a chunk can be written
 * @image: in the list
 * @chunk: below nr_chunks
 *
 * Context: the writer; may sleep, does no I/O.
 * Return: 0, and dm_sync_view_write() of this chunk has the memory it needs; or -ENOMEM.
 */
int dm_sync_view_reserve_own(struct dm_sync_view_image *image, u64 chunk)
{
	return dm_sync_index_reserve(&image->own, chunk);
}

/**
 * dm_sync_view_write - an image has an own write
 * @image: in the list, not being deleted
 * @chunk: below nr_chunks, where it had none; further writes go into the same slot
 * @slot: where it is; entry and data are durable
 *
 * Context: the writer; may sleep, does no I/O.
 * Return: 0, -EEXIST or -ENOMEM.
 */
int dm_sync_view_write(struct dm_sync_view_image *image, u64 chunk, u32 slot)
{
	if (dm_sync_index_get(&image->own, chunk))
		return -EEXIST;
	if (dm_sync_index_set(&image->own, chunk, value_of(slot, false)))
		return -ENOMEM;
	add_alone(image, 1);
	return 0;
}

/**
 * dm_sync_view_reset - an image is as of its point in time again
 * @image: in the list, not being deleted; nobody looks up in it, its door is held
 * @own_id: its new own id; the record with it is durable
 * @free: called for each slot that is free now
 * @context: for @free
 *
 * Context: the writer; may sleep.
 */
void dm_sync_view_reset(struct dm_sync_view_image *image, u32 own_id, dm_sync_slot_fn free,
			void *context)
{
	u64 chunk;

	image->own_id = own_id;
	WRITE_ONCE(image->alone, image->alone - image->own.nr);
	for (chunk = dm_sync_index_next(&image->own, 0); chunk < image->own.nr_chunks;
	     chunk = dm_sync_index_next(&image->own, chunk + 1)) {
		free(context, slot_of(dm_sync_index_get(&image->own, chunk)));
		cond_resched();
	}
	dm_sync_index_clear(&image->own);
}

/*----------------------------------------------------------------
 * Deleting
 *--------------------------------------------------------------*/

/**
 * dm_sync_view_delete_begin - an image is no longer live
 * @v: the view
 * @image: in the list; its record is durably free, or has another generation; its
 *	door is closed
 *
 * Context: the writer.
 * Return: 0, and dm_sync_view_delete_step() has to be called until it says that it is
 * done; or -EBUSY when another one is being deleted.
 */
int dm_sync_view_delete_begin(struct dm_sync_view *v, struct dm_sync_view_image *image)
{
	if (v->dying)
		return -EBUSY;
	v->dying = image;
	v->leaf = 0;
	WRITE_ONCE(image->dying, true);
	return 0;
}

/* What a step of a deletion looks at: the image and its neighbours. */
struct merge {
	struct dm_sync_view_image *dying, *older, *older2, *newer;
	bool take_leaf;		/* the older one has none and takes over the other's */
	dm_sync_slot_fn free;
	void *context;
};

/*
 * As for the counts: what the dying image held with the older one becomes the older
 * one's business; and what the newer one has is needed by it alone if the older one
 * has it, too, where so far the dying one had to.
 */
static void merge_chunk(const struct merge *m, u64 chunk)
{
	u32 value = dm_sync_index_get(&m->dying->saved, chunk);
	u32 own = dm_sync_index_get(&m->dying->own, chunk);
	bool gone = !m->older || has(m->older, chunk);

	if (own)
		m->free(m->context, slot_of(own));
	if (!value) {
		if (m->newer && has(m->newer, chunk) && gone)
			add_alone(m->newer, 1);
		return;
	}
	if (gone) {
		m->free(m->context, slot_of(value));
		return;
	}
	if (!m->take_leaf)
		dm_sync_index_set(&m->older->saved, chunk, value);	/* needs no memory */
	if (!m->older2 || has(m->older2, chunk))
		add_alone(m->older, 1);
}

static void merge_leaf(struct merge *m, u64 leaf)
{
	bool saved = dm_sync_index_has_leaf(&m->dying->saved, leaf);
	bool newer = m->newer && dm_sync_index_has_leaf(&m->newer->saved, leaf);
	u64 chunk = leaf << DM_SYNC_LEAF_SHIFT, end = chunk + DM_SYNC_LEAF_CHUNKS;

	if (!saved && !newer && !dm_sync_index_has_leaf(&m->dying->own, leaf))
		return;
	m->take_leaf = saved && m->older && !dm_sync_index_has_leaf(&m->older->saved, leaf);
	for (; chunk < end && chunk < m->dying->saved.nr_chunks; chunk++)
		merge_chunk(m, chunk);
	if (m->take_leaf)
		dm_sync_index_share(&m->older->saved, &m->dying->saved, leaf);
}

static void unlink_image(struct dm_sync_view *v, struct dm_sync_view_image *image)
{
	struct dm_sync_view_image *older = image->older, *newer = image->newer;

	link_images(v, older, newer);
	v->nr_images--;
	v->dying = NULL;
}

/**
 * dm_sync_view_delete_step - go on with deleting an image
 * @v: the view, with an image that is being deleted
 * @nr_leaves: how far, in units of DM_SYNC_LEAF_CHUNKS chunks
 * @free: called for each slot that is free now; by the law it is free on disk as well
 * @context: for @free
 *
 * While an image is being deleted the counts of its neighbours are on their way.
 *
 * Context: the writer; may sleep.
 * Return: true when it is done: the image is out of the list, and the caller frees it
 * after a grace period.
 */
bool dm_sync_view_delete_step(struct dm_sync_view *v, u64 nr_leaves, dm_sync_slot_fn free,
			      void *context)
{
	struct dm_sync_view_image *image = v->dying;
	struct merge m = {
		.dying = image,
		.older = image->older,
		.older2 = image->older ? image->older->older : NULL,
		.newer = image->newer,
		.free = free,
		.context = context,
	};
	u64 end = dm_sync_index_nr_leaves(&image->saved);

	while (v->leaf < end && nr_leaves--) {
		merge_leaf(&m, v->leaf);
		v->leaf++;
		cond_resched();
	}
	if (v->leaf < end)
		return false;
	unlink_image(v, image);
	return true;
}

/*----------------------------------------------------------------
 * Loading
 *--------------------------------------------------------------*/

/**
 * struct dm_sync_view_load - what is needed while a store is loaded
 * @generation: of the entry in each slot that is in an index; 4 bytes a slot
 * @nr_slots: of @generation
 * @next_generation: as in the superblock
 * @next_own: as in the superblock
 * @last: the image that the last own write was of
 * @nr: of @sorted
 * @sorted: the images, oldest first
 */
struct dm_sync_view_load {
	u32 *generation;
	u32 nr_slots;
	u32 next_generation, next_own;
	struct dm_sync_view_image *last;
	u32 nr;
	struct dm_sync_view_image *sorted[];
};

static void load_free(struct dm_sync_view *v)
{
	if (!v->load)
		return;
	kvfree(v->load->generation);
	kvfree(v->load);
	v->load = NULL;
}

/* Generations are sorted; own ids have to be held against each other. */
static bool images_ok(const struct dm_sync_view *v, u32 next_generation, u32 next_own)
{
	const struct dm_sync_view_image *image, *other;

	for (image = v->oldest; image; image = image->newer) {
		if (image->generation >= next_generation || !image->own_id ||
		    image->own_id >= next_own)
			return false;
		for (other = v->oldest; other != image; other = other->newer)
			if (other->own_id == image->own_id)
				return false;
	}
	return true;
}

/* kvcalloc() refuses what is larger than INT_MAX, however much memory there is. */
static u32 *alloc_generations(u32 nr_slots)
{
	size_t size = array_size(nr_slots, sizeof(u32));

	if (size > INT_MAX)
		return __vmalloc(size, GFP_NOIO | __GFP_ZERO);
	return kvcalloc(nr_slots, sizeof(u32), GFP_NOIO);
}

/**
 * dm_sync_view_load_begin - all images were added, entries follow
 * @v: the view
 * @next_generation: as in the superblock
 * @next_own: as in the superblock
 * @nr_slots: of the store
 *
 * Context: the writer, before there are readers; may sleep, does no I/O.
 * Return: 0; -EUCLEAN when the images cannot be; -ENOMEM.
 */
int dm_sync_view_load_begin(struct dm_sync_view *v, u32 next_generation, u32 next_own,
			    u32 nr_slots)
{
	struct dm_sync_view_image *image;
	struct dm_sync_view_load *load;

	if (!images_ok(v, next_generation, next_own))
		return -EUCLEAN;
	load = kvcalloc(1, sizeof(*load) + v->nr_images * sizeof(load->sorted[0]), GFP_NOIO);
	if (!load)
		return -ENOMEM;
	v->load = load;
	load->generation = alloc_generations(nr_slots);
	if (!load->generation) {
		load_free(v);
		return -ENOMEM;
	}
	load->nr_slots = nr_slots;
	load->next_generation = next_generation;
	load->next_own = next_own;
	for (image = v->oldest; image; image = image->newer)
		load->sorted[load->nr++] = image;
	return 0;
}

/* The newest image that is not above a generation. */
static struct dm_sync_view_image *owner_of(const struct dm_sync_view_load *load, u32 generation)
{
	u32 low = 0, high = load->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (load->sorted[middle]->generation <= generation)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? load->sorted[low - 1] : NULL;
}

static int load_own(struct dm_sync_view *v, u32 slot, const struct dm_sync_entry *e)
{
	struct dm_sync_view_load *load = v->load;
	u32 i;

	if (e->generation >= load->next_own)
		return -EUCLEAN;
	if (!load->last || load->last->own_id != e->generation) {
		for (i = 0; i < load->nr; i++)
			if (load->sorted[i]->own_id == e->generation)
				break;
		if (i == load->nr)
			return 0;
		load->last = load->sorted[i];
	}
	if (dm_sync_index_get(&load->last->own, e->chunk))
		return -EUCLEAN;
	return dm_sync_index_set(&load->last->own, e->chunk, value_of(slot, false));
}

/**
 * dm_sync_view_load - take note of an entry
 * @v: the view, between load_begin() and load_end()
 * @slot: whose entry it is; slots come in any order, each once
 * @e: the entry, as dm_sync_entry_decode() accepted it
 *
 * Context: the writer, before there are readers; may sleep, does no I/O.
 * Return: 0; -EUCLEAN when it says what cannot be; -ENOMEM.
 */
int dm_sync_view_load(struct dm_sync_view *v, u32 slot, const struct dm_sync_entry *e)
{
	struct dm_sync_view_load *load = v->load;
	struct dm_sync_view_image *image;
	u32 value, other;
	int r;

	if (!(e->flags & DM_SYNC_ENTRY_VALID))
		return 0;
	if (slot >= load->nr_slots || e->chunk >= v->nr_chunks)
		return -EUCLEAN;
	if (e->flags & DM_SYNC_ENTRY_OWN)
		return load_own(v, slot, e);
	if (e->generation >= load->next_generation)
		return -EUCLEAN;
	image = owner_of(load, e->generation);
	if (!image)
		return 0;
	value = dm_sync_index_get(&image->saved, e->chunk);
	if (value) {
		other = load->generation[slot_of(value)];
		if (other == e->generation)
			return -EUCLEAN;
		if (other < e->generation)
			return 0;
	}
	r = dm_sync_index_set(&image->saved, e->chunk,
			      value_of(slot, e->flags & DM_SYNC_ENTRY_BAD));
	if (!r)
		load->generation[slot] = e->generation;
	return r;
}

static void load_count(struct dm_sync_view_image *image, const struct dm_sync_index *index,
		       bool own, dm_sync_slot_fn take, void *context)
{
	u64 chunk;

	for (chunk = dm_sync_index_next(index, 0); chunk < index->nr_chunks;
	     chunk = dm_sync_index_next(index, chunk + 1)) {
		take(context, slot_of(dm_sync_index_get(index, chunk)));
		if (own || !image->older || has(image->older, chunk))
			add_alone(image, 1);
		cond_resched();
	}
}

/**
 * dm_sync_view_load_end - all entries were loaded
 * @v: the view
 * @take: called for each slot that is in use
 * @context: for @take
 *
 * Context: the writer, before there are readers; may sleep.
 */
void dm_sync_view_load_end(struct dm_sync_view *v, dm_sync_slot_fn take, void *context)
{
	struct dm_sync_view_image *image;

	load_free(v);
	v->loaded = true;
	for (image = v->oldest; image; image = image->newer) {
		load_count(image, &image->saved, false, take, context);
		load_count(image, &image->own, true, take, context);
	}
}
