#!/bin/bash
# Runs the configurations beside this script through kconfig, each in its place.
#
#     SPECPACKAGE_NAME=kernel process_configs.sh [-a] [-c] [-n] [-t] [-w] VERSION
#
# It takes SPECPACKAGE_NAME-VERSION*.config, whose first line names the architecture.
# With -n an option without a value is an error, with -w what kconfig warns of, with
# -c an option that comes out with another value than it went in, with -a all of
# them. -t leaves the files as they are. Errors do not end it: all are shown at the
# end.

here=$(dirname "$(readlink -f "$0")")

# Which options of file $1 have another value in file $2.
mismatches() {
	awk '
		/^CONFIG_[A-Za-z0-9_]+=/ {
			option = substr($0, 1, index($0, "=") - 1)
			value = substr($0, index($0, "=") + 1)
			said = "Found " option "=" value " after generation, had " option "="
		}
		/^# CONFIG_[A-Za-z0-9_]+ is not set$/ {
			option = $2
			value = "is not set"
			said = "Found # " option " is not set, after generation, had " option " "
		}
		option == "" { next }
		NR == FNR { had[option] = value }
		NR != FNR && (option in had) && had[option] != value {
			print said had[option] " in Source tree"
		}
		{ option = "" }
	' "$1" "$2"
}

while [[ ${1-} = -* ]]; do
	case $1 in
	-a) check=x new=x warn=x ;;
	-c) check=x ;;
	-n) new=x ;;
	-t) trial=x ;;
	-w) warn=x ;;
	*) echo "process_configs.sh [ options ] kernel_version"; exit 1 ;;
	esac
	shift
done

cd "$(dirname "$here")" || exit 1
for cfg in "$here/$SPECPACKAGE_NAME-$1"*.config; do
	arch=$(head -1 "$cfg" | cut -b 3-)
	variant=$(basename "$cfg" .config | cut -d - -f 3-)
	echo "Processing $cfg ... "
	cp "$cfg" .config

	awk -v name="$cfg.orig" -f scripts/kconfig/warnings.awk net/netfilter/ipvs/Kconfig .config > .warnings
	make ARCH="$arch" listnewconfig | sed -n 's/^CONFIG_.*/^&=/p' > .newoptions
	make ARCH="$arch" olddefconfig > /dev/null || exit 1

	if [ "$new" ] && [ -s .newoptions ]; then
		echo "Found unset config items in $arch $variant, please set them to an appropriate value"
		grep -f .newoptions .config
	fi >> .errors
	if [ "$warn" ] && [ -s .warnings ]; then
		echo "Found misconfigured config items in $arch $variant, please set them to an appropriate value"
		cat .warnings
	fi >> .errors
	mismatches "$cfg" .config > .differences
	if [ "$check" ] && [ -s .differences ]; then
		echo "Error: Mismatches found in configuration files for $arch $variant"
		cat .differences
	fi >> .mismatches

	[ "$trial" ] || { echo "# $arch"; cat .config; } > "$cfg"
	echo "Processing $cfg complete"
done

cat .errors .mismatches
errors=$(cat .errors .mismatches | wc -l)
rm -f .config .warnings .newoptions .differences .errors .mismatches
[ "$errors" -eq 0 ] || exit 1
echo "Processed config files are in $here"
