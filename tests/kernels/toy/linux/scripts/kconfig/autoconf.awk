# awk -f autoconf.awk .config: the same options as macros of C.

BEGIN {
	print "/*\n * Automatically generated C config: don't edit\n */"
	print "#define AUTOCONF_INCLUDED"
}

/^CONFIG_[A-Za-z0-9_]+=/ {
	name = substr($0, 1, index($0, "=") - 1)
	value = substr($0, index($0, "=") + 1)
	if (value == "y")
		print "#define " name " 1"
	else if (value == "m")
		print "#define " name "_MODULE 1"
	else
		print "#define " name " " value
}
