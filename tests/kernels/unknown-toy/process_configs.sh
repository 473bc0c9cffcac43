#!/bin/bash
# Runs the configurations beside this script through kconfig, each in its place.
#
#     process_configs.sh [-n] [-c] [-t] [-w] NAME VERSION
#
# It takes NAME-VERSION*.config, whose first line names the architecture. With -n
# an option without a value is an error, with -w what kconfig warns of, and with
# -c an option that comes out with another value than it went in. -t leaves the
# files as they are.

here=$(dirname "$(readlink -f "$0")")
top=$(dirname "$here")

fail() {
	echo "$1"
	cat "$2"
	exit 1
}

# Prints which options of file $1 have another value in file $2.
mismatches() {
	awk '
		/^CONFIG_[A-Za-z0-9_]+=/ {
			name = substr($0, 1, index($0, "=") - 1)
			value = substr($0, index($0, "=") + 1)
		}
		/^# CONFIG_[A-Za-z0-9_]+ is not set$/ {
			name = $2
			value = "is not set"
		}
		name == "" { next }
		NR == FNR { had[name] = value }
		NR != FNR && (name in had) && had[name] != value {
			if (value == "is not set")
				print "Found # " name " is not set, after generation, had " name " " had[name] " in Source tree"
			else
				print "Found " name "=" value " after generation, had " name "=" had[name] " in Source tree"
		}
		{ name = "" }
	' "$1" "$2"
}

while [[ ${1-} = -* ]]; do
	case $1 in
	-n) new=x ;;
	-c) check=x ;;
	-t) trial=x ;;
	-w) warnings=x ;;
	*) echo "process_configs.sh [ -n|-c|-t|-w ] package_name kernel_version"; exit 1 ;;
	esac
	shift
done

cd "$top"
for cfg in "$here/$1-$2"*.config; do
	arch=$(head -1 "$cfg" | cut -b 3-)
	echo -n "Processing $cfg ... "
	cp "$cfg" .config

	make ARCH=$arch listnewconfig | grep CONFIG_ > .newoptions
	if [ "$new" ] && [ -s .newoptions ]; then
		fail "Found unset config items, please set them to an appropriate value" .newoptions
	fi

	awk -v name="$cfg" -f scripts/kconfig/warnings.awk net/netfilter/ipvs/Kconfig .config > .warnings
	if [ "$warnings" ] && [ -s .warnings ]; then
		fail "Found misconfigured config items, please set them to an appropriate value" .warnings
	fi

	make ARCH=$arch oldnoconfig > /dev/null || exit 1
	mismatches "$cfg" .config > .mismatches
	if [ "$check" ] && [ -s .mismatches ]; then
		fail "Error: Mismatches found in configuration files" .mismatches
	fi

	if [ ! "$trial" ]; then
		echo "# $arch" > "$cfg"
		cat .config >> "$cfg"
	fi
	rm -f .config .newoptions .warnings .mismatches
	echo "done"
done

echo "Processed config files are in $here"
