#!/bin/sh
# Chooses the configurations of FLAVOR among those in this directory and gives
# them the version: of kernel-x86_64-rhel.config FLAVOR=rhel SPECVERSION=5.14.0 makes
# kernel-5.14.0-x86_64.config. Those of another flavour go.

for config in kernel-*.config; do
	case $config in
	*-$FLAVOR.config)
		plain=${config%-$FLAVOR.config}
		mv $config kernel-$SPECVERSION-${plain#kernel-}.config ;;
	*)
		rm -f $config ;;
	esac
done
