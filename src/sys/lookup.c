/*
 * Where a statically linked kbuild looks for names of hosts and accounts.
 *
 * Linked in only where the C library is glibc, statically (build.rs). glibc goes by the system's /etc/nsswitch.conf, and
 * loads a library of the system's for whatever that names beside "files" and "dns" (sss, mymachines, mdns4_minimal). Such a
 * library was made for another C library, and a program that loads it dies of it, or of what it does. So it is told beforehand
 * to look into files and to ask DNS, for both of which it has all that it needs (glibc 2.34 and later: nss/nss_module.c).
 */
#include <nss.h>

__attribute__((constructor)) static void look_nowhere_else(void)
{
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("initgroups", "files");
}
