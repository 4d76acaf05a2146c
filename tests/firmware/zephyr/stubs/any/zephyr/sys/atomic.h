/* Ours: by the compiler's own, as there. Read in include/zephyr/sys/{atomic.h, atomic_builtin.h, atomic_types.h} [A] [I] [J]. */
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
	return __atomic_load_n(target, __ATOMIC_SEQ_CST);
}
static inline atomic_val_t atomic_set(atomic_t *target, atomic_val_t value)
{
	return __atomic_exchange_n(target, value, __ATOMIC_SEQ_CST);
}
static inline atomic_val_t atomic_inc(atomic_t *target)
{
	return __atomic_fetch_add(target, 1, __ATOMIC_SEQ_CST);
}
static inline atomic_val_t atomic_or(atomic_t *target, atomic_val_t value)
{
	return __atomic_fetch_or(target, value, __ATOMIC_SEQ_CST);
}
static inline atomic_val_t atomic_and(atomic_t *target, atomic_val_t value)
{
	return __atomic_fetch_and(target, value, __ATOMIC_SEQ_CST);
}
static inline bool atomic_cas(atomic_t *target, atomic_val_t before, atomic_val_t after)
{
	return __atomic_compare_exchange_n(target, &before, after, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline atomic_t *stub_atomic_word(atomic_t *target, int bit)
{
	return &target[(size_t)bit / ATOMIC_BITS];
}
static inline atomic_val_t stub_atomic_mask(int bit)
{
	return (atomic_val_t)(1UL << ((size_t)bit % ATOMIC_BITS));
}
static inline void atomic_set_bit(atomic_t *target, int bit)
{
	(void)atomic_or(stub_atomic_word(target, bit), stub_atomic_mask(bit));
}
static inline void atomic_clear_bit(atomic_t *target, int bit)
{
	(void)atomic_and(stub_atomic_word(target, bit), ~stub_atomic_mask(bit));
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
	return (atomic_get(&target[(size_t)bit / ATOMIC_BITS]) & stub_atomic_mask(bit)) != 0;
}
static inline bool atomic_test_and_clear_bit(atomic_t *target, int bit)
{
	return (atomic_and(stub_atomic_word(target, bit), ~stub_atomic_mask(bit)) & stub_atomic_mask(bit)) != 0;
}

#endif
