#ifndef _LINUX_MODULE_H
#define _LINUX_MODULE_H

#include <linux/kernel.h>

struct module {
	char name[56];
};

extern struct module __this_module;

/* The checksum that a symbol of the kernel had when the module was built. */
struct modversion_info {
	unsigned long crc;
	char name[64 - sizeof(unsigned long)];
};

#define __PASTE(a, b) a##b
#define __UNIQUE(prefix, line) __PASTE(prefix, line)

/* TAG=TEXT in the section that modinfo reads. */
#define MODULE_INFO(tag, text) \
	static const char __UNIQUE(__mod_##tag, __LINE__)[] \
	__attribute__((used, section(".modinfo"), aligned(1))) = #tag "=" text

#define MODULE_LICENSE(text) MODULE_INFO(license, text)
#define MODULE_PARM_DESC(name, text) MODULE_INFO(parm, #name ":" text)

#define EXPORT_SYMBOL(name) extern typeof(name) name

#define module_init(function) int init_module(void) __attribute__((alias(#function)))
#define module_exit(function) void cleanup_module(void) __attribute__((alias(#function)))

struct kernel_param_ops;
extern const struct kernel_param_ops param_ops_int;

struct kernel_param {
	const char *name;
	struct module *mod;
	const struct kernel_param_ops *ops;
	u16 perm;
	s8 level;
	u8 flags;
	void *arg;
};

/* The entry in the section __param by which the loader sets VARIABLE. */
#define module_param_named(param, variable, type, mode) \
	static const char __param_str_##param[] = #param; \
	static const struct kernel_param __param_##param \
	__attribute__((used, section("__param"), aligned(sizeof(void *)))) = { \
		.name = __param_str_##param, \
		.mod = &__this_module, \
		.ops = &param_ops_##type, \
		.perm = mode, \
		.level = -1, \
		.arg = &variable, \
	}; \
	MODULE_INFO(parmtype, #param ":" #type)

#endif
