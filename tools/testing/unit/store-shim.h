/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the snapshot store that keep memory need in order to run on the host.
 *
 * The barriers are real ones, because the tests read with threads while another one writes.
 * A test may set shim_load, which is then called before each load that a reader makes: it can
 * let a writer go ahead there. It may set shim_fail_in to n to make the n-th allocation from
 * then on fail, once, and a second try with the reserves as well.
 *
 * A test that plays a whole kernel has all this from kernel.h already.
 */
#ifndef STORE_SHIM_H
#define STORE_SHIM_H
#ifndef UNIT_KERNEL_H

#include <stdlib.h>

__attribute__((weak)) void (*shim_load)(void);	/* weak: one in the whole program */
#define shim_before_load()	((void)(shim_load && (shim_load(), true)))

#define READ_ONCE(x)		(shim_before_load(), __atomic_load_n(&(x), __ATOMIC_CONSUME))
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	(shim_before_load(), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define cond_resched()		((void)0)

#define GFP_KERNEL		0
#define GFP_NOIO		0
#define GFP_ATOMIC		1
#define __GFP_NORETRY		0
#define __GFP_NOWARN		0

extern int shim_fail_in;

static inline void *shim_alloc(size_t n, size_t size, int gfp)
{
	static bool short_of_memory;

	short_of_memory = (gfp & GFP_ATOMIC && short_of_memory) ||
			  (shim_fail_in && !--shim_fail_in);
	return short_of_memory ? NULL : calloc(n, size);
}

#define kzalloc(size, gfp)	shim_alloc(1, size, gfp)
#define kcalloc(n, size, gfp)	shim_alloc(n, size, gfp)
#define kvcalloc(n, size, gfp)	shim_alloc(n, size, gfp)
#define kfree(p)		free(p)
#define kvfree(p)		free(p)

#endif /* UNIT_KERNEL_H */
#endif
