#!/bin/sh
# Gives the configurations of FLAVOR in this directory the version and drops those
# of other flavors: FLAVOR=rhel SPECVERSION=5.14.0 makes of
# kernel-x86_64-rhel.config kernel-5.14.0-x86_64.config.
#
#     generate_all_configs.sh DEBUGBUILDSENABLED
#
# 0 puts the configuration of a debug kernel in the place of the other.

[ "$1" ] || exit 1

for config in kernel-*-"${FLAVOR:=rhel}".config; do
	name=${config#kernel-}
	mv "$config" "kernel-$SPECVERSION-${name%-"$FLAVOR".config}.config"
done

case $FLAVOR in
fedora) rm -f kernel-*-rhel.config ;;
*) rm -f kernel-*-fedora.config ;;
esac

if [ "$1" -eq 0 ]; then
	for config in kernel-*debug*.config; do
		mv "$config" "$(echo "$config" | sed 's/-debug//')"
	done
fi
