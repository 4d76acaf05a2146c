/* Ours. Read in include/zephyr/mgmt/mcumgr/mgmt/handlers.h [A] [I] [J]. There a section that is sorted by name; so is the fake's. */
#ifndef STUB_HANDLERS_H
#define STUB_HANDLERS_H

typedef void (*mcumgr_handler_init_t)(void);
void stub_mcumgr_handler(const char *name, mcumgr_handler_init_t init);
#define MCUMGR_HANDLER_DEFINE(name, init)                                                                              \
	static void __attribute__((constructor)) stub_handler_##name(void)                                             \
	{                                                                                                              \
		stub_mcumgr_handler(#name, init);                                                                      \
	}                                                                                                              \
	extern int stub_handler_end

#endif
