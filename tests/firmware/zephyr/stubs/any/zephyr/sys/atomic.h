/* Ours: one thread runs at a time. Read in include/zephyr/sys/{atomic.h, atomic_types.h} [A] [I] [J]. */
#ifndef STUB_ATOMIC_H
#define STUB_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>

typedef long atomic_t;
typedef atomic_t atomic_val_t;
#define ATOMIC_INIT(i) (i)
#define ATOMIC_BITS (sizeof(atomic_val_t) * 8)
#define ATOMIC_DEFINE(name, bits) atomic_t name[1 + ((bits) - 1) / ATOMIC_BITS]

static inline atomic_val_t atomic_get(const atomic_t *target)
{
	return *target;
}
static inline atomic_val_t atomic_set(atomic_t *target, atomic_val_t value)
{
	atomic_val_t before = *target;

	*target = value;
	return before;
}
static inline atomic_val_t atomic_inc(atomic_t *target)
{
	return (*target)++;
}
static inline atomic_val_t atomic_or(atomic_t *target, atomic_val_t value)
{
	atomic_val_t before = *target;

	*target = before | value;
	return before;
}
static inline atomic_val_t atomic_and(atomic_t *target, atomic_val_t value)
{
	atomic_val_t before = *target;

	*target = before & value;
	return before;
}
static inline bool atomic_cas(atomic_t *target, atomic_val_t before, atomic_val_t after)
{
	bool same = *target == before;

	*target = same ? after : *target;
	return same;
}
static inline void atomic_set_bit(atomic_t *target, int bit)
{
	target[(size_t)bit / ATOMIC_BITS] |= 1L << ((size_t)bit % ATOMIC_BITS);
}
static inline void atomic_clear_bit(atomic_t *target, int bit)
{
	target[(size_t)bit / ATOMIC_BITS] &= ~(1L << ((size_t)bit % ATOMIC_BITS));
}
static inline void atomic_set_bit_to(atomic_t *target, int bit, bool val)
{
	if (val) {
		atomic_set_bit(target, bit);
	} else {
		atomic_clear_bit(target, bit);
	}
}
static inline bool atomic_test_bit(const atomic_t *target, int bit)
{
	return (target[(size_t)bit / ATOMIC_BITS] & (1L << ((size_t)bit % ATOMIC_BITS))) != 0;
}
static inline bool atomic_test_and_clear_bit(atomic_t *target, int bit)
{
	atomic_t *word = &target[(size_t)bit / ATOMIC_BITS];
	long mask = 1L << ((size_t)bit % ATOMIC_BITS);
	bool was = (*word & mask) != 0;

	*word &= ~mask;
	return was;
}

#endif
