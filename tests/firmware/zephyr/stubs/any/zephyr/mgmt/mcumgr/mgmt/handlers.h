/* Ours. Read in include/zephyr/mgmt/mcumgr/mgmt/handlers.h [A] [I] [J]. There a section that is sorted by name; so is the fake's. */
#ifndef STUB_HANDLERS_H
#define STUB_HANDLERS_H

#include <stub/section.h>

typedef void (*mcumgr_handler_init_t)(void);
struct mcumgr_handler {
	mcumgr_handler_init_t init;
};
void stub_mcumgr_handler(const char *name, mcumgr_handler_init_t init);
#define MCUMGR_HANDLER_DEFINE(name, first)                                                                             \
	STUB_ENTRY const struct mcumgr_handler stub_handler_##name = {first};                                   \
	STUB_TELL(name, stub_mcumgr_handler(#name, stub_handler_##name.init))

#endif
