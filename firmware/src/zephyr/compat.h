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

#endif
