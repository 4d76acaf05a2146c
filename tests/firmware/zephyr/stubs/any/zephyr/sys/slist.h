/* Ours. Read in include/zephyr/sys/slist.h [A] [I] [J]. */
#ifndef STUB_SLIST_H
#define STUB_SLIST_H

#include <stddef.h>

struct _snode {
	struct _snode *next;
};
typedef struct _snode sys_snode_t;
static inline sys_snode_t *sys_slist_peek_next(sys_snode_t *node)
{
	return (node == NULL) ? NULL : node->next;
}

#endif
