// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table chunk -> 32 bits that is read without a lock.
 *
 * Two levels: an array of pointers to leaves of 1024 entries, 4 KiB each, that
 * are allocated when the first of their entries is set. So it takes 4 bytes for
 * each chunk that has an entry, if they lie close together, and 8 bytes for 1024
 * chunks that have none.
 *
 * One writer changes it, any number of readers look up meanwhile. A leaf is
 * published with a release when it is all zero, and entries are single words, so
 * a reader finds an entry as it was or as it is. What an entry promises was made
 * true before it is set; a reader that has to see an entry is ordered behind the
 * writer by other means. Leaves are only freed by clear() and destroy(), which the
 * writer calls when no reader can be left.
 *
 * A leaf may be handed on to another table that has none in its place: both point
 * to it then, and the pointer of the one that had it says that it is not its to
 * free.
 */
#ifdef __KERNEL__
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/barrier.h>
#endif
#include <linux/errno.h>

#include "dm-sync-index.h"

/**
 * dm_sync_index_init - an empty table
 * @index: to be set up; no memory is allocated
 * @nr_chunks: chunks it can tell apart
 *
 * Context: any.
 */
void dm_sync_index_init(struct dm_sync_index *index, u64 nr_chunks)
{
	index->nr_chunks = nr_chunks;
	index->nr = 0;
	index->top = NULL;
}

/**
 * dm_sync_index_nr_leaves - how many leaves a full table has
 * @index: the table
 *
 * Context: any.
 */
u64 dm_sync_index_nr_leaves(const struct dm_sync_index *index)
{
	return (index->nr_chunks + DM_SYNC_LEAF_CHUNKS - 1) >> DM_SYNC_LEAF_SHIFT;
}

/**
 * dm_sync_index_has_leaf - is there memory for these entries
 * @index: the table
 * @leaf: number of the leaf: chunk >> DM_SYNC_LEAF_SHIFT
 *
 * Context: the writer.
 */
bool dm_sync_index_has_leaf(const struct dm_sync_index *index, u64 leaf)
{
	return dm_sync_index_leaf(index, leaf);
}

static int new_top(struct dm_sync_index *index, gfp_t gfp)
{
	unsigned long *top;

	if (index->top)
		return 0;
	top = kvcalloc(dm_sync_index_nr_leaves(index), sizeof(*top), gfp);
	if (!top)
		return -ENOMEM;
	smp_store_release(&index->top, top);
	return 0;
}

/**
 * dm_sync_index_prepare - allocate the array of pointers
 * @index: the table
 *
 * Context: the writer; process context, may sleep, does no I/O.
 * Return: 0, also when it is there already, or -ENOMEM.
 */
int dm_sync_index_prepare(struct dm_sync_index *index)
{
	return new_top(index, GFP_NOIO);
}

/*
 * The committer asks for it with host writes waiting, perhaps the very ones that would
 * free memory: so no waiting without end, rather the reserves, and rather a refusal. The
 * array may be large, and no reserve is for that.
 */
#define GFP_COMMITTER	(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

static u32 *new_leaf(void)
{
	size_t size = DM_SYNC_LEAF_CHUNKS * sizeof(u32);
	u32 *leaf = kzalloc(size, GFP_COMMITTER);

	return leaf ?: kzalloc(size, GFP_ATOMIC | __GFP_NOWARN);
}

/**
 * dm_sync_index_reserve - make sure that a chunk can be set
 * @index: the table
 * @chunk: below nr_chunks
 *
 * Context: the writer; process context, may sleep, does no I/O.
 * Return: 0, and dm_sync_index_set() of this chunk cannot fail; or -ENOMEM.
 */
int dm_sync_index_reserve(struct dm_sync_index *index, u64 chunk)
{
	u64 at = chunk >> DM_SYNC_LEAF_SHIFT;
	u32 *leaf;

	if (new_top(index, GFP_COMMITTER))
		return -ENOMEM;
	if (index->top[at])
		return 0;
	leaf = new_leaf();
	if (!leaf)
		return -ENOMEM;
	smp_store_release(&index->top[at], (unsigned long)leaf);
	return 0;
}

/**
 * dm_sync_index_set - change the entry of a chunk
 * @index: the table
 * @chunk: below nr_chunks
 * @value: 0 for none
 *
 * Context: the writer; process context, may sleep, does no I/O.
 * Return: 0, or -ENOMEM.
 */
int dm_sync_index_set(struct dm_sync_index *index, u64 chunk, u32 value)
{
	u32 *entry;

	if (!value && !dm_sync_index_get(index, chunk))
		return 0;
	if (dm_sync_index_reserve(index, chunk))
		return -ENOMEM;
	entry = dm_sync_index_leaf(index, chunk >> DM_SYNC_LEAF_SHIFT) +
		(chunk & (DM_SYNC_LEAF_CHUNKS - 1));
	WRITE_ONCE(index->nr, index->nr + !!value - !!*entry);
	/* pairs with the address dependency in dm_sync_index_get() */
	smp_store_release(entry, value);
	return 0;
}

/**
 * dm_sync_index_next - the next chunk that has an entry
 * @index: the table
 * @from: where to begin
 *
 * Context: any, as for dm_sync_index_get().
 * Return: the first chunk from @from on that has one, or nr_chunks.
 */
u64 dm_sync_index_next(const struct dm_sync_index *index, u64 from)
{
	while (from < index->nr_chunks) {
		if (!dm_sync_index_leaf(index, from >> DM_SYNC_LEAF_SHIFT))
			from |= DM_SYNC_LEAF_CHUNKS - 1;
		else if (dm_sync_index_get(index, from))
			return from;
		from++;
	}
	return index->nr_chunks;
}

/**
 * dm_sync_index_share - let a table take over a leaf of another one
 * @index: the table, prepared, without this leaf
 * @from: has the leaf; may be read on, and changes to the leaf show in both, but
 *	must not be written any more
 * @leaf: number of the leaf
 *
 * Needs no memory. From now on @index frees the leaf, and @from must be destroyed
 * before that can happen, or its readers be gone.
 *
 * Context: the writer of both.
 */
void dm_sync_index_share(struct dm_sync_index *index, struct dm_sync_index *from, u64 leaf)
{
	unsigned long p = from->top[leaf];
	const u32 *entry = (const u32 *)(p & ~DM_SYNC_LEAF_SHARED);
	unsigned int i;
	u64 nr = 0;

	for (i = 0; i < DM_SYNC_LEAF_CHUNKS; i++)
		nr += !!entry[i];
	WRITE_ONCE(index->nr, index->nr + nr);
	smp_store_release(&index->top[leaf], p);
	WRITE_ONCE(from->top[leaf], p | DM_SYNC_LEAF_SHARED);
}

/**
 * dm_sync_index_clear - remove all entries and free their memory
 * @index: the table, which stays usable
 *
 * Context: the writer, when there is no reader. May sleep.
 */
void dm_sync_index_clear(struct dm_sync_index *index)
{
	u64 i;

	if (!index->top)
		return;
	for (i = 0; i < dm_sync_index_nr_leaves(index); i++) {
		if (!(index->top[i] & DM_SYNC_LEAF_SHARED))
			kfree((void *)index->top[i]);
		index->top[i] = 0;
	}
	index->nr = 0;
}

/**
 * dm_sync_index_destroy - free the table
 * @index: the table; NULL pointers in it are all right
 *
 * Context: the writer, when there is no reader. May sleep.
 */
void dm_sync_index_destroy(struct dm_sync_index *index)
{
	dm_sync_index_clear(index);
	kvfree(index->top);
	index->top = NULL;
}
