/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of the agreement between this core and the tables that `keyswitch export zephyr` writes. It grows with every
 * change of struct ks_policy or of what its fields mean; tables of another number do not compile.
 */
#ifndef KEYSWITCH_KS_ABI_H_
#define KEYSWITCH_KS_ABI_H_

#define KS_ABI 3

#endif
