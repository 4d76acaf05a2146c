/* Ours: entries of linker sections; read beside each macro that makes one [A]. */
#ifndef STUB_SECTION_H
#define STUB_SECTION_H

/*
 * There the linker collects entries and keeps them. Here the fake is told of each before main(); what is weighed (STUB_WEIGHED)
 * has the entry alone, as there, where whoever links finds it.
 */
#if defined(STUB_WEIGHED)
#define STUB_ENTRY __attribute__((section(".stub_entry")))
#define STUB_TELL(name, call) extern int stub_told
#else
#define STUB_ENTRY static
#define STUB_TELL(name, call)                                                                                          \
	static void __attribute__((constructor)) stub_tell_##name(void)                                                \
	{                                                                                                              \
		call;                                                                                                  \
	}                                                                                                              \
	extern int stub_told
#endif

#endif
