//! Entropy for kernels that can run out of it: before Linux 5.6 a generator of keys waits for `/dev/random`.

use std::path::Path;

use crate::command::Command;

/// With less than this, in bits, a key of 1024 bits or more is waited for: gpg reads 300 bytes (gnupg 1.4 and 2.0,
/// cipher/random.c).
const ENOUGH: u32 = 2400;

/// Whether a generator of keys would have to wait, by the bits that there are, where they can run out.
#[must_use]
pub fn is_short(bits: Option<u32>) -> bool {
    bits.is_some_and(|bits| bits < ENOUGH)
}

/// Returns the command that feeds it, as kernel.spec of el5 and el6 advises it, in the foreground. Only root can.
#[must_use]
pub fn feeder(rngd: &Path) -> Command {
    Command::new(rngd).args(["-f", "-r", "/dev/urandom"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_can_run_out() {
        assert!(!is_short(None) && !is_short(Some(3000)) && is_short(Some(180)));
    }
}
