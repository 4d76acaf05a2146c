/* Ours. Read in include/zephyr/settings/settings.h [A] [I] [J] [F]. */
#ifndef STUB_SETTINGS_H
#define STUB_SETTINGS_H

#include <zephyr/kernel.h>

#include <stub/section.h>

typedef ssize_t (*settings_read_cb)(void *cb_arg, void *data, size_t len);
struct settings_handler_static {
	const char *name;
	int (*h_get)(const char *key, char *val, int val_len_max);
	int (*h_set)(const char *key, size_t len, settings_read_cb read_cb, void *cb_arg);
	int (*h_commit)(void);
	int (*h_export)(int (*export_func)(const char *name, const void *val, size_t val_len));
};
/* There a section of the linker's; here the fake is told before main(). */
#define SETTINGS_STATIC_HANDLER_DEFINE(hname, tree, get, set, commit, export)                                           \
	STUB_ENTRY const struct settings_handler_static stub_settings_##hname = {tree, get, set, commit, export}; \
	STUB_TELL(hname, stub_settings_handler(&stub_settings_##hname))
void stub_settings_handler(const struct settings_handler_static *handler);
int settings_subsys_init(void);
int settings_load_subtree(const char *subtree);
typedef int (*settings_load_direct_cb)(const char *key, size_t len, settings_read_cb read_cb, void *cb_arg, void *param);
int settings_load_subtree_direct(const char *subtree, settings_load_direct_cb cb, void *param);
int settings_save_one(const char *name, const void *value, size_t val_len);
int settings_delete(const char *name);
int settings_name_steq(const char *name, const char *key, const char **next);

#endif
