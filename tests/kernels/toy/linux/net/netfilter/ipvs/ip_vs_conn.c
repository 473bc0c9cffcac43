#include <linux/module.h>
#include <net/ip_vs.h>

/* The connections by the hash of their client: a chain in each bucket. */
static struct list_head *ip_vs_conn_tab;
static struct kmem_cache *ip_vs_conn_cachep;

struct ip_vs_conn *ip_vs_conn_in_get(unsigned int caddr, u16 cport)
{
	unsigned int hash = (caddr * 2654435761u ^ cport) & IP_VS_CONN_TAB_MASK;
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
	return IP_VS_CONN_TAB_SIZE;
}

int __init ip_vs_conn_init(void)
{
	int bucket;

	ip_vs_conn_cachep = kmem_cache_create("ip_vs_conn", sizeof(struct ip_vs_conn), 0,
					      SLAB_HWCACHE_ALIGN, NULL);
	if (!ip_vs_conn_cachep)
		return -ENOMEM;

	ip_vs_conn_tab = vmalloc(IP_VS_CONN_TAB_SIZE * sizeof(struct list_head));
	if (!ip_vs_conn_tab) {
		kmem_cache_destroy(ip_vs_conn_cachep);
		return -ENOMEM;
	}

	pr_info("Connection hash table configured (size=%d, memory=%ldKbytes)\n",
		IP_VS_CONN_TAB_SIZE,
		(long)(IP_VS_CONN_TAB_SIZE * sizeof(struct list_head)) / 1024);

	for (bucket = 0; bucket < IP_VS_CONN_TAB_SIZE; bucket++)
		INIT_LIST_HEAD(&ip_vs_conn_tab[bucket]);

	return 0;
}

void ip_vs_conn_cleanup(void)
{
	kmem_cache_destroy(ip_vs_conn_cachep);
	vfree(ip_vs_conn_tab);
}
