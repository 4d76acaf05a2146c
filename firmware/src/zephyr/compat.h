/* SPDX-License-Identifier: Apache-2.0 */
/* What has another name or place in another release. Found by looking, never by a version number. */
#ifndef KEYSWITCH_ZEPHYR_COMPAT_H_
#define KEYSWITCH_ZEPHYR_COMPAT_H_

#include <zephyr/kernel.h>

#if __has_include(<zephyr/net_buf.h>)
#include <zephyr/net_buf.h>
#else
#include <zephyr/net/buf.h>
#endif

#if __has_include(<zephyr/random/random.h>)
#include <zephyr/random/random.h>
#else
#include <zephyr/random/rand32.h>
#endif

#include <zephyr/storage/flash_map.h>

/* With the nRF Connect SDK's partition manager (PM_ID) the old names are the ones that know its partitions. */
#if defined(PARTITION_ID) && !defined(PM_ID)
#define KS_PARTITION_ID(label) PARTITION_ID(label)
#else
#define KS_PARTITION_ID(label) FIXED_PARTITION_ID(label)
#endif

#if defined(PARTITION_EXISTS) && !defined(PM_ID)
#define KS_PARTITION_EXISTS(label) PARTITION_EXISTS(label)
#elif defined(FIXED_PARTITION_EXISTS)
#define KS_PARTITION_EXISTS(label) FIXED_PARTITION_EXISTS(label)
#else
#define KS_PARTITION_EXISTS(label) 0
#endif

#endif
