//! Linux itself, from Debian's source package under an el6-shaped spec: built for 20 bits and for the stock 12, each
//! booted. Takes minutes; `scripts/test --quick` leaves it out.
