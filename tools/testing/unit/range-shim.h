/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What dm-sync-range.c needs in order to run on the host: a lock, a list, and a tree of
 * intervals that is a plain list, so slow and obvious that it needs no test of its own.
 */
#ifndef RANGE_SHIM_H
#define RANGE_SHIM_H

#include <pthread.h>
#include <stdlib.h>

#define ____cacheline_aligned_in_smp
#define GFP_KERNEL		0
#define kvzalloc(size, gfp)	calloc(1, size)
#define kvfree(p)		free(p)
#define WARN_ON_ONCE(c)		({ if (c) abort(); false; })
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

typedef pthread_mutex_t spinlock_t;
#define spin_lock_init(l)		pthread_mutex_init(l, NULL)
#define spin_lock_irqsave(l, f)		((f) = 0, pthread_mutex_lock(l))
#define spin_unlock_irqrestore(l, f)	((void)(f), pthread_mutex_unlock(l))

static inline u64 hash_64(u64 value, unsigned int bits)
{
	return value * 0x61c8864680b583ebull >> (64 - bits);
}

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)
#define list_entry		container_of
#define list_for_each_entry_safe(pos, n, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member), \
	     n = list_entry(pos->member.next, __typeof__(*pos), member); \
	     &pos->member != (head); \
	     pos = n, n = list_entry(n->member.next, __typeof__(*n), member))

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}

static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add_tail(entry, head);
}

struct rb_node {
	struct rb_node *next, **link;
};

struct rb_root {
	struct rb_node *first;
};

struct rb_root_cached {
	struct rb_root rb_root;
};

#define RB_ROOT_CACHED		((struct rb_root_cached) { { NULL } })
#define RB_EMPTY_ROOT(root)	(!(root)->first)

static inline void shim_insert(struct rb_node *n, struct rb_root *root)
{
	n->next = root->first;
	n->link = &root->first;
	if (n->next)
		n->next->link = &n->next;
	root->first = n;
}

static inline void shim_remove(struct rb_node *n)
{
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
}

#define INTERVAL_TREE_DEFINE(type, node, itype, subtree, START, LAST, flags, prefix) \
flags void prefix##_insert(type *t, struct rb_root_cached *root) \
{ \
	shim_insert(&t->node, &root->rb_root); \
} \
flags void prefix##_remove(type *t, struct rb_root_cached *root __attribute__((unused))) \
{ \
	shim_remove(&t->node); \
} \
flags type *prefix##_iter_first(struct rb_root_cached *root, itype start, itype last) \
{ \
	for (struct rb_node *n = root->rb_root.first; n; n = n->next) { \
		type *t = container_of(n, type, node); \
		if (START(t) <= last && start <= LAST(t)) \
			return t; \
	} \
	return NULL; \
}

/* The same fields as in dm-sync.h, which needs a whole kernel around it. */
struct dm_sync_range {
	struct rb_node node;
	struct list_head wait;
	sector_t start, last, subtree_last;
	void (*granted)(struct dm_sync_range *r);
};

struct dm_sync_ranges;

struct dm_sync_ranges *dm_sync_ranges_create(unsigned int bucket_shift);
void dm_sync_ranges_destroy(struct dm_sync_ranges *t);
bool dm_sync_range_lock(struct dm_sync_ranges *t, struct dm_sync_range *r);
void dm_sync_range_unlock(struct dm_sync_ranges *t, struct dm_sync_range *r);

#endif
