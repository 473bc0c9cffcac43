#!/usr/bin/perl
# Prints the configuration BASE with the options of OVERRIDE in it.
#
#     merge.py OVERRIDE BASE [ARCH]
#
# The first line of OVERRIDE about an option replaces the first one of BASE about
# it; what BASE has not follows at the end. With ARCH the first line printed is
# "# ARCH".
use strict;
use warnings;

@ARGV == 2 || @ARGV == 3 or die "usage: $0 OVERRIDE BASE [ARCH]\n";
my ($override, $base, $arch) = @ARGV;

# The option a line is about, undef if about none.
sub option_of { return $_[0] =~ /^(?:# )?(CONFIG_\w+)(?:=| is not set)/ ? $1 : undef }

my (%line_of, @options);
open(my $in, '<', $override) or die "Could not open $override\n";
while (<$in>) {
    chomp;
    my $option = option_of($_) // next;
    next if exists $line_of{$option};
    $line_of{$option} = $_;
    push @options, $option;
}

print "# $arch\n" if defined $arch;
open($in, '<', $base) or die "Could not open $base\n";
while (<$in>) {
    chomp;
    my $option = option_of($_);
    print defined $option ? delete $line_of{$option} // $_ : $_, "\n";
}
print "$line_of{$_}\n" for grep { exists $line_of{$_} } @options;
