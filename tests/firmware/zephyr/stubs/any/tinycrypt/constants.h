/* Ours. Read in ext/tinycrypt/lib/include/tinycrypt/constants.h [C]. */
#define TC_CRYPTO_SUCCESS 1
#define TC_CRYPTO_FAIL 0
