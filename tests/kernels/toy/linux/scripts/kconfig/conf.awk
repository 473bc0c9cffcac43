# awk -f conf.awk KCONFIG... .config: prints the configuration as kconfig would.
#
# An option given twice has its last value. A whole number with a range has to
# be there, be a number and be within it: otherwise its name goes to stderr, its
# default is printed and the exit status is 1. Options that depend on one that
# is off are dropped. What no KCONFIG describes passes as it is. Of ranges with a
# condition those of 64-bit machines count.

FILENAME ~ /Kconfig$/ {
	if ($1 == "config" || $1 == "menuconfig") {
		symbol = "CONFIG_" $2
		known[++symbols] = symbol
		if (inside != "")
			needs[symbol] = inside
	} else if ($1 == "if") {
		inside = "CONFIG_" $2
	} else if ($1 == "endif") {
		inside = ""
	} else if ($1 == "int") {
		is_int[symbol] = 1
	} else if ($1 == "range" && $5 != "!64BIT") {
		low[symbol] = $2
		high[symbol] = $3
	} else if ($1 == "default") {
		default_of[symbol] = $2
	}
	next
}

/^CONFIG_[A-Za-z0-9_]+=/ {
	name = substr($0, 1, index($0, "=") - 1)
	remember(name, substr($0, index($0, "=") + 1))
}

/^# CONFIG_[A-Za-z0-9_]+ is not set$/ {
	remember($2, "n")
}

function remember(name, value)
{
	if (!(name in value_of))
		order[++options] = name
	value_of[name] = value
}

function is_on(name)
{
	return value_of[name] == "y" || value_of[name] == "m"
}

function is_valid(name, value)
{
	return value ~ /^-?(0|[1-9][0-9]*)$/ && (!(name in low) || (value + 0 >= low[name] && value + 0 <= high[name]))
}

END {
	for (i = 1; i <= symbols; i++) {
		name = known[i]
		if ((name in needs) && !is_on(needs[name])) {
			dropped[name] = 1
		} else if ((name in is_int) && !((name in value_of) && is_valid(name, value_of[name]))) {
			print name > "/dev/stderr"
			remember(name, default_of[name])
			failed = 1
		}
	}

	print "#"
	print "# Automatically generated make config: don't edit"
	print "# Linux kernel version: " release
	print "#"
	for (i = 1; i <= options; i++) {
		name = order[i]
		if (name in dropped)
			continue
		if (value_of[name] == "n")
			print "# " name " is not set"
		else
			print name "=" value_of[name]
	}
	exit failed
}
