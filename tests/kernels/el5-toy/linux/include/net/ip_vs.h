#ifndef _NET_IP_VS_H
#define _NET_IP_VS_H

#include <linux/kernel.h>
#include <linux/ip_vs.h>

#ifndef CONFIG_IP_VS_TAB_BITS
#define CONFIG_IP_VS_TAB_BITS	12
#endif

/* The connection table: its size is a power of two, set when compiled. Kconfig
   lets any number pass; only these reach the code. */
#if CONFIG_IP_VS_TAB_BITS < 8
#define IP_VS_CONN_TAB_BITS	8
#endif
#if CONFIG_IP_VS_TAB_BITS > 20
#define IP_VS_CONN_TAB_BITS	20
#endif
#if 8 <= CONFIG_IP_VS_TAB_BITS && CONFIG_IP_VS_TAB_BITS <= 20
#define IP_VS_CONN_TAB_BITS	CONFIG_IP_VS_TAB_BITS
#endif
#define IP_VS_CONN_TAB_SIZE	(1 << IP_VS_CONN_TAB_BITS)
#define IP_VS_CONN_TAB_MASK	(IP_VS_CONN_TAB_SIZE - 1)

/* One connection. */
struct ip_vs_conn {
	struct list_head c_list;
	unsigned int caddr, vaddr, daddr;
	u16 cport, vport, dport, protocol;
	unsigned long state[27];
};

struct ip_vs_scheduler {
	const char *name;
	struct ip_vs_scheduler *next;
};

extern int ip_vs_conn_init(void);
extern void ip_vs_conn_cleanup(void);
extern struct ip_vs_conn *ip_vs_conn_in_get(unsigned int caddr, u16 cport);
extern unsigned int ip_vs_conn_table_size(void);

extern int register_ip_vs_scheduler(struct ip_vs_scheduler *scheduler);
extern int unregister_ip_vs_scheduler(struct ip_vs_scheduler *scheduler);

#endif
