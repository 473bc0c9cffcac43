#ifndef _LINUX_KERNEL_H
#define _LINUX_KERNEL_H

/* What the toy's sources need of the kernel; nothing of it is defined here. */

#define NULL ((void *)0)
#define ENOMEM 12
#define __init __attribute__((section(".init.text")))
#define __exit __attribute__((section(".exit.text")))

typedef unsigned short u16;
typedef unsigned char u8;
typedef signed char s8;

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

struct kmem_cache;

extern int printk(const char *format, ...);
extern void *vmalloc(unsigned long size);
extern void vfree(const void *address);
extern struct kmem_cache *kmem_cache_create(const char *name, unsigned long size,
	unsigned long align, unsigned long flags, void (*ctor)(void *));
extern void kmem_cache_destroy(struct kmem_cache *cache);

#define SLAB_HWCACHE_ALIGN 0x00002000UL

#define KERN_INFO "<6>"
#define pr_info(format, ...) printk(KERN_INFO "IPVS: " format, ##__VA_ARGS__)

#endif
