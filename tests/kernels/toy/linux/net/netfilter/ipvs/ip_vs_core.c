#include <linux/module.h>
#include <net/ip_vs.h>

/* Data of its own comes before anything of the table in the linked module. */
static int ip_vs_debug_level = 7;
static struct ip_vs_scheduler *ip_vs_schedulers;

int register_ip_vs_scheduler(struct ip_vs_scheduler *scheduler)
{
	if (ip_vs_debug_level)
		printk(KERN_INFO "IPVS: [%s] scheduler registered.\n", scheduler->name);
	scheduler->next = ip_vs_schedulers;
	ip_vs_schedulers = scheduler;
	return 0;
}
EXPORT_SYMBOL(register_ip_vs_scheduler);

int unregister_ip_vs_scheduler(struct ip_vs_scheduler *scheduler)
{
	struct ip_vs_scheduler **link = &ip_vs_schedulers;

	while (*link && *link != scheduler)
		link = &(*link)->next;
	if (*link)
		*link = scheduler->next;
	ip_vs_debug_level = ip_vs_schedulers != NULL;
	return 0;
}
EXPORT_SYMBOL(unregister_ip_vs_scheduler);

static int __init ip_vs_init(void)
{
	int failure = ip_vs_conn_init();

	if (failure < 0) {
		pr_info("can't setup connection table.\n");
		return failure;
	}
	pr_info("ipvs loaded (size=%u).\n", ip_vs_conn_table_size());
	return 0;
}

static void __exit ip_vs_cleanup(void)
{
	ip_vs_conn_cleanup();
	pr_info("ipvs unloaded.\n");
}

module_init(ip_vs_init);
module_exit(ip_vs_cleanup);
MODULE_LICENSE("GPL");
