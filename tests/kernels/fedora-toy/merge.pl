#!/usr/bin/perl
# Prints a kernel configuration made of two files.
#
#     perl merge.pl OVERRIDE BASE [ARCH]
#
# What OVERRIDE says of an option replaces what BASE says of it, in the place
# where BASE says it; options that only OVERRIDE knows follow at the end. All
# other lines of BASE pass unchanged, an option given twice included (kconfig
# takes the last one). With ARCH the first line printed is "# ARCH".
use strict;
use warnings;

@ARGV == 2 || @ARGV == 3 or die "usage: merge.pl OVERRIDE BASE [ARCH]\n";
my ($override_file, $base_file, $arch) = @ARGV;

# The option a line sets or unsets, undef for any other line.
sub option_of {
    my ($line) = @_;
    return $1 if $line =~ /^(CONFIG_\w+)=/;
    return $1 if $line =~ /^# (CONFIG_\w+) is not set\s*$/;
    return undef;
}

sub lines_of {
    my ($file) = @_;
    open(my $handle, '<', $file) or die "merge.pl: $file: $!\n";
    my @lines = <$handle>;
    close($handle) or die "merge.pl: $file: $!\n";
    chomp(@lines);
    return @lines;
}

my (%value, @order);
for my $line (lines_of($override_file)) {
    my $option = option_of($line) // next;
    push @order, $option unless exists $value{$option};
    $value{$option} = $line;
}

print "# $arch\n" if defined $arch;
my %printed;
for my $line (lines_of($base_file)) {
    my $option = option_of($line);
    if (!defined $option || !exists $value{$option}) {
        print "$line\n";
    } elsif (!$printed{$option}++) {
        print "$value{$option}\n";
    }
}
for my $option (@order) {
    print "$value{$option}\n" unless $printed{$option};
}
