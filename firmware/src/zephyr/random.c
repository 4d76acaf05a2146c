/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes for nonces, boot id and token, from the tree's cryptographic source. Without one there is none: no nonce is
 * given, and `challenge` opens nothing. native_sim's source repeats, unless it is started with a seed.
 */
#include <keyswitch/ks_crypto.h>

#include "compat.h"

bool ks_random(uint8_t *bytes, size_t size)
{
#if defined(CONFIG_CSPRNG_ENABLED) || defined(CONFIG_CSPRING_ENABLED)
	return sys_csrand_get(bytes, size) == 0;
#else
	ARG_UNUSED(bytes);
	ARG_UNUSED(size);
	return false;
#endif
}
