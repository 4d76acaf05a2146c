/* Zephyr 3.4.99, the tree of NCS 2.5: lgalstyan/nrf_connect at a86fb816. */
#define STUB_AGE 30499
#define STUB_CONST
