/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pure parts of the kernel module need in order to be compiled on the host.
 *
 * The Makefile force-includes this into every file of a test. Pure kernel code keeps its
 * kernel-only #include lines under #ifdef __KERNEL__ and uses nothing but what stands here;
 * <linux/types.h> and <linux/errno.h> exist on both sides. The definitions are the slow and
 * obvious ones on purpose: they are also the reference that the tests compare with.
 */
#ifndef UNIT_COMPAT_H
#define UNIT_COMPAT_H

#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef u64 sector_t;

#ifndef __force
#define __force
#endif
#define __always_unused		__attribute__((unused))
#define __must_check		__attribute__((warn_unused_result))
#define fallthrough		__attribute__((fallthrough))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define cpu_to_le16(x)		((__le16)htole16(x))
#define cpu_to_le32(x)		((__le32)htole32(x))
#define cpu_to_le64(x)		((__le64)htole64(x))
#define le16_to_cpu(x)		le16toh(x)
#define le32_to_cpu(x)		le32toh(x)
#define le64_to_cpu(x)		le64toh(x)

#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define SECTOR_SHIFT		9
#define SECTOR_SIZE		512
#define U32_MAX			UINT32_MAX
#define U64_MAX			UINT64_MAX
#define NSEC_PER_SEC		1000000000L

#define min(a, b) __extension__ ({ \
	__typeof__(a) compat_a = (a); __typeof__(b) compat_b = (b); \
	compat_a < compat_b ? compat_a : compat_b; })
#define max(a, b) __extension__ ({ \
	__typeof__(a) compat_a = (a); __typeof__(b) compat_b = (b); \
	compat_a > compat_b ? compat_a : compat_b; })
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))

static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 divisor)
{
	return (u64)((unsigned __int128)a * b / divisor);
}

/* The bit order of the kernel's *_le bit operations: bit n is bit n % 8 of byte n / 8. */
static inline int test_bit_le(int nr, const void *addr)
{
	return ((const u8 *)addr)[nr / 8] >> (nr % 8) & 1;
}

static inline void __set_bit_le(int nr, void *addr)
{
	((u8 *)addr)[nr / 8] |= (u8)(1U << (nr % 8));
}

static inline void __clear_bit_le(int nr, void *addr)
{
	((u8 *)addr)[nr / 8] &= (u8)~(1U << (nr % 8));
}

/* Castagnoli, reflected, no inversion at either end: what the kernel's crc32c() computes. */
static inline u32 crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

#endif
