#ifndef _IP_VS_H
#define _IP_VS_H

/* What programs may know of IPVS. */

#define IP_VS_VERSION_CODE 0x010201

struct ip_vs_getinfo {
	unsigned int version;
	unsigned int size;
	unsigned int num_services;
};

#endif
