# awk -f symvers.awk FILE...: a line of Module.symvers for each exported symbol:
# those of C files, and all that headers say of the kernel itself. The checksum is of the name alone, so it never changes.

function checksum(name,    i, sum)
{
	for (i = 1; i <= length(name); i++)
		sum = (sum * 31 + index("abcdefghijklmnopqrstuvwxyz_0123456789", substr(name, i, 1))) % 2147483647
	return sum
}

FILENAME ~ /\.h$/ && /^extern / && !/__this_module/ {
	name = $0
	sub(/[(;].*/, "", name)
	sub(/.*[ *]/, "", name)
	printf "0x%08x\t%s\tvmlinux\tEXPORT_SYMBOL\n", checksum(name), name
}

/^EXPORT_SYMBOL\(/ {
	name = $0
	sub(/^EXPORT_SYMBOL\(/, "", name)
	sub(/\).*/, "", name)
	module = FILENAME
	sub(/\.c$/, "", module)
	sub(/ip_vs_core$/, "ip_vs", module)
	printf "0x%08x\t%s\t%s\tEXPORT_SYMBOL\n", checksum(name), name, module
}
