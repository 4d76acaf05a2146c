/* Ours. Read in include/zephyr/net/buf.h [A] [I], include/zephyr/net_buf.h [J]; in main [-] but for its place [D]. */
#ifndef STUB_NET_BUF_H
#define STUB_NET_BUF_H

#include <zephyr/kernel.h>

#define STUB_USER_DATA 24u

struct net_buf {
	sys_snode_t node;
	struct net_buf *frags;
	uint8_t ref;
	uint8_t flags;
	uint8_t pool_id;
	uint8_t user_data_size;
	union {
		struct {
			uint8_t *data;
			uint16_t len;
			uint16_t size;
			uint8_t *__buf;
		};
	};
	_Alignas(void *) uint8_t user_data[STUB_USER_DATA]; /* there: as many as the pool was defined for */
};
void net_buf_unref(struct net_buf *buf);
static inline void *net_buf_user_data(const struct net_buf *buf)
{
	return (void *)(uintptr_t)buf->user_data;
}

#endif
