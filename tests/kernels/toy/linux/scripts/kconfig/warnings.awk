# awk -v name=NAME -f warnings.awk KCONFIG... .config: what kconfig has to say of
# a .config while it reads it, as which it shows NAME.
#
# It knows the options of the KCONFIG files. One that is given twice is worth a
# warning, and so is a whole number that is none; one out of its range is not.

FILENAME ~ /Kconfig$/ {
	if ($1 == "config" || $1 == "menuconfig")
		symbol = $2
	else if ($1 == "int")
		is_int[symbol] = 1
	known[symbol] = 1
	next
}

/^CONFIG_[A-Za-z0-9_]+=/ {
	symbol = substr($0, 8, index($0, "=") - 8)
	value = substr($0, index($0, "=") + 1)
	if (!(symbol in known))
		next
	if (symbol in seen)
		warn("override: reassigning to symbol " symbol)
	if ((symbol in is_int) && value !~ /^-?(0|[1-9][0-9]*)$/)
		warn("symbol value '" value "' invalid for " symbol)
	else
		seen[symbol] = 1
}

function warn(text)
{
	print name ":" FNR ":warning: " text
}
