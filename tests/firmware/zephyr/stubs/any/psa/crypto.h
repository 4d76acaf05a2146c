/* Ours. Read in include/psa/{crypto.h, crypto_types.h, crypto_values.h} [H]. */
#ifndef STUB_PSA_CRYPTO_H
#define STUB_PSA_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t psa_status_t;
typedef uint32_t psa_key_id_t;
typedef uint32_t psa_algorithm_t;
typedef uint16_t psa_key_type_t;
typedef uint32_t psa_key_usage_t;
typedef uint32_t psa_key_lifetime_t;
typedef struct {
	psa_key_type_t type;
	psa_key_usage_t usage;
	psa_algorithm_t algorithm;
	psa_key_lifetime_t lifetime;
} psa_key_attributes_t;
typedef struct {
#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
	uint32_t stub[184]; /* as in a driver of hardware: 736 bytes with CRACEN's */
#else
	uint32_t stub[40];
#endif
} psa_hash_operation_t;
#define PSA_KEY_ATTRIBUTES_INIT                                                                                        \
	{                                                                                                              \
		0, 0, 0, 0                                                                                             \
	}
#define PSA_HASH_OPERATION_INIT                                                                                        \
	{                                                                                                              \
		{                                                                                                      \
			0                                                                                              \
		}                                                                                                      \
	}
#define PSA_SUCCESS ((psa_status_t)0)
#define PSA_ERROR_DOES_NOT_EXIST ((psa_status_t)-140)
#define PSA_ERROR_INVALID_SIGNATURE ((psa_status_t)-149)
#define PSA_KEY_TYPE_HMAC ((psa_key_type_t)0x1100)
#define PSA_ECC_FAMILY_TWISTED_EDWARDS ((uint8_t)0x42)
#define PSA_KEY_TYPE_ECC_PUBLIC_KEY(curve) ((psa_key_type_t)(0x4100 | (curve)))
#define PSA_ALG_PURE_EDDSA ((psa_algorithm_t)0x06000800)
#define PSA_KEY_USAGE_VERIFY_MESSAGE ((psa_key_usage_t)0x00000800)
#define PSA_ALG_SHA_256 ((psa_algorithm_t)0x02000009)
#define PSA_ALG_SHA_512 ((psa_algorithm_t)0x0200000b)
#define PSA_ALG_HMAC(hash_alg) ((psa_algorithm_t)0x03800000 | ((hash_alg) & 0x000000ff))
#define PSA_KEY_LIFETIME_VOLATILE ((psa_key_lifetime_t)0x00000000)
psa_status_t psa_crypto_init(void);
void psa_set_key_type(psa_key_attributes_t *attributes, psa_key_type_t type);
void psa_set_key_usage_flags(psa_key_attributes_t *attributes, psa_key_usage_t usage_flags);
void psa_set_key_algorithm(psa_key_attributes_t *attributes, psa_algorithm_t alg);
void psa_set_key_lifetime(psa_key_attributes_t *attributes, psa_key_lifetime_t lifetime);
psa_status_t psa_import_key(const psa_key_attributes_t *attributes, const uint8_t *data, size_t data_length,
			    psa_key_id_t *key);
psa_status_t psa_destroy_key(psa_key_id_t key);
psa_status_t psa_mac_verify(psa_key_id_t key, psa_algorithm_t alg, const uint8_t *input, size_t input_length,
			    const uint8_t *mac, size_t mac_length);
psa_status_t psa_hash_setup(psa_hash_operation_t *operation, psa_algorithm_t alg);
psa_status_t psa_hash_update(psa_hash_operation_t *operation, const uint8_t *input, size_t input_length);
psa_status_t psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t hash_size, size_t *hash_length);
psa_status_t psa_hash_compute(psa_algorithm_t alg, const uint8_t *input, size_t input_length, uint8_t *hash,
			      size_t hash_size, size_t *hash_length);
psa_status_t psa_verify_message(psa_key_id_t key, psa_algorithm_t alg, const uint8_t *input, size_t input_length,
				const uint8_t *signature, size_t signature_length);
psa_status_t psa_hash_abort(psa_hash_operation_t *operation);

#endif
