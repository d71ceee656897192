/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the snapshot store that keep memory need in order to run on the host.
 *
 * The barriers are real ones, because the tests read with threads while another one writes.
 * A test may set shim_load, which is then called before each load that a reader makes: it can
 * let a writer go ahead there. It may set shim_fail_in to n to make the n-th allocation from
 * then on fail, once, and a second try with the reserves as well. shim_bytes is what is
 * allocated, each piece rounded up as the kernel does: sizes of kmalloc()'s caches, and powers
 * of two above them, for kvcalloc() as well, which tries that first.
 *
 * A test that plays a whole kernel has all this from kernel.h already.
 */
#ifndef STORE_SHIM_H
#define STORE_SHIM_H
#ifndef UNIT_KERNEL_H

#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

__attribute__((weak)) void (*shim_load)(void);	/* weak: one in the whole program */
#define shim_before_load()	((void)(shim_load && (shim_load(), true)))

#define READ_ONCE(x)		(shim_before_load(), __atomic_load_n(&(x), __ATOMIC_CONSUME))
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	(shim_before_load(), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define cond_resched()		((void)0)

typedef unsigned int gfp_t;
#define GFP_KERNEL		0
#define GFP_NOIO		0
#define GFP_ATOMIC		1
#define __GFP_NORETRY		0
#define __GFP_NOWARN		0
#define __GFP_ZERO		0
#define array_size(n, size)	((size_t)(n) * (size))

extern int shim_fail_in;
__attribute__((weak)) size_t shim_bytes;

static inline size_t shim_size(size_t size)
{
	size_t n = 8;

	while (n < size)
		n *= 2;
	return (n == 128 || n == 256) && size <= n / 4 * 3 ? n / 4 * 3 : size ? n : 0;
}

static inline void *shim_alloc(size_t n, size_t size, int gfp)
{
	static bool short_of_memory;
	void *p;

	short_of_memory = (gfp & GFP_ATOMIC && short_of_memory) ||
			  (shim_fail_in && !--shim_fail_in);
	p = short_of_memory ? NULL : calloc(n, size);
	if (p)
		__atomic_add_fetch(&shim_bytes, shim_size(malloc_usable_size(p)), __ATOMIC_RELAXED);
	return p;
}

static inline void shim_free(void *p)
{
	if (p)
		__atomic_sub_fetch(&shim_bytes, shim_size(malloc_usable_size(p)), __ATOMIC_RELAXED);
	free(p);
}

#define kzalloc(size, gfp)	shim_alloc(1, size, gfp)
#define kcalloc(n, size, gfp)	shim_alloc(n, size, gfp)
#define kvcalloc(n, size, gfp)	((size_t)(n) * (size) > INT_MAX ? NULL : shim_alloc(n, size, gfp))
#define __vmalloc(size, gfp)	shim_alloc(1, size, gfp)
#define kfree(p)		shim_free(p)
#undef kvfree			/* range-shim.h has a simpler one */
#define kvfree(p)		shim_free(p)

#endif /* UNIT_KERNEL_H */
#endif
