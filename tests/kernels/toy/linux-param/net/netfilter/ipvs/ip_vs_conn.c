#include <linux/module.h>
#include <net/ip_vs.h>

/* The size of the table is 2^conn_tab_bits, set when the module is loaded. */
static int ip_vs_conn_tab_bits = CONFIG_IP_VS_TAB_BITS;
module_param_named(conn_tab_bits, ip_vs_conn_tab_bits, int, 0444);
MODULE_PARM_DESC(conn_tab_bits, "Set connections' hash size");

int ip_vs_conn_tab_size;
static int ip_vs_conn_tab_mask;

/* The connections by the hash of their client: a chain in each bucket. */
static struct list_head *ip_vs_conn_tab;
static struct kmem_cache *ip_vs_conn_cachep;

struct ip_vs_conn *ip_vs_conn_in_get(unsigned int caddr, u16 cport)
{
	unsigned int hash = (caddr * 2654435761u ^ cport) & ip_vs_conn_tab_mask;
	struct list_head *bucket = &ip_vs_conn_tab[hash];
	struct list_head *entry;

	for (entry = bucket->next; entry != bucket; entry = entry->next) {
		struct ip_vs_conn *connection = (struct ip_vs_conn *)entry;

		if (connection->caddr == caddr && connection->cport == cport)
			return connection;
	}
	return NULL;
}

unsigned int ip_vs_conn_table_size(void)
{
	return ip_vs_conn_tab_size;
}

int __init ip_vs_conn_init(void)
{
	int bucket;

	ip_vs_conn_tab_size = 1 << ip_vs_conn_tab_bits;
	ip_vs_conn_tab_mask = ip_vs_conn_tab_size - 1;

	ip_vs_conn_cachep = kmem_cache_create("ip_vs_conn", sizeof(struct ip_vs_conn), 0,
					      SLAB_HWCACHE_ALIGN, NULL);
	if (!ip_vs_conn_cachep)
		return -ENOMEM;

	ip_vs_conn_tab = vmalloc(ip_vs_conn_tab_size * sizeof(struct list_head));
	if (!ip_vs_conn_tab) {
		kmem_cache_destroy(ip_vs_conn_cachep);
		return -ENOMEM;
	}

	pr_info("Connection hash table configured (size=%d, memory=%ldKbytes)\n",
		ip_vs_conn_tab_size,
		(long)(ip_vs_conn_tab_size * sizeof(struct list_head)) / 1024);

	for (bucket = 0; bucket < ip_vs_conn_tab_size; bucket++)
		INIT_LIST_HEAD(&ip_vs_conn_tab[bucket]);

	return 0;
}

void ip_vs_conn_cleanup(void)
{
	kmem_cache_destroy(ip_vs_conn_cachep);
	vfree(ip_vs_conn_tab);
}
