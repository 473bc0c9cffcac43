#!/bin/sh
# Gives the configurations in this directory the version: of kernel-x86_64.config
# NAME=kernel VERSION=4.18.0 makes kernel-4.18.0-x86_64.config.

for config in ${NAME}-*.config; do
	mv $config ${NAME}-${VERSION}-${config#${NAME}-}
done
