/*
 * The size of the IPVS connection table that was asked for. Included by the
 * compiler's command line after the kernel's own autoconf.h, which says what
 * the distribution chose; written by kbuild.
 */
#undef CONFIG_IP_VS_TAB_BITS
#define CONFIG_IP_VS_TAB_BITS {{ bits }}
