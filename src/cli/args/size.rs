//! Arguments of `kbuild size`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::ipvs::bits::Bits;
use crate::ipvs::size::chains::{Chains, MOST};
use crate::ipvs::size::era::{NoRelease, Release};

/// What stands below the help of `size`.
const AFTER: &str = "\
The table is not a limit on connections. It is an array of 2^N buckets, each the head of a chain; a connection is found by \
walking the chain of its bucket. With more connections than buckets chains grow and look-ups slow down, but no connection \
is refused, and a table that is too large only wastes a few MiB. What connections do take is memory, one entry each.

Columns: `chain` is the mean length of a chain, which is what a packet of no connection walks; `look-up` is the mean number \
of entries that a packet of a connection walks; `empty` is the share of buckets without a connection. They are what uniform \
hashing predicts. Where the connections themselves are known, `real` columns stand beside them: --from computes the hash \
of the kernel for each, with a fixed seed in place of the one that the kernel draws at boot. Chains for another seed differ \
one by one, but not in their statistics: that is what the kernel's own seed relies on.

Kernels with the resizable table of 2026 (7.1 on) fit it to the connections by themselves: conn_tab_bits is then the \
maximum, size= in /proc/net/ip_vs is the present size, the sysctl net.ipv4.vs.conn_lfactor sets the load, and a connection \
of NAT takes two nodes.

Examples:
  kbuild size --rate 200 --lifetime 200 --kernel 2.6.32-220.13.1.el6
  kbuild size --from /proc/net/ip_vs_conn --plot table.svg
  kbuild size --memory 4GiB --lifetime 120
  kbuild size --chains 5:16,4:126,3:980,2:5614,1:20900 --bits 16";

/// Arguments of `size`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER, after_help = "--help explains the columns, and why the table is not a limit",
    group = ArgGroup::new("load").args(["connections", "rate", "from", "chains"]))]
pub struct Size {
    /// Connections at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub connections: Option<u64>,
    /// New connections per second, with --lifetime
    #[arg(long, value_name = "R", requires = "lifetime", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long a connection stays in the table, persistence included: seconds, or as in 15m
    #[arg(long, value_name = "T", value_parser = lifetime)]
    pub lifetime: Option<f64>,
    /// A director's `/proc/net/ip_vs_conn`, or `-` for standard input [default: this machine's]
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Chains that were counted in a table of --bits: their number by length, such as 2:5614,1:20900
    #[arg(long, value_name = "LENGTH:BUCKETS,…", requires = "bits")]
    pub chains: Option<Chains>,
    /// The size of the table in which --chains were counted
    #[arg(long, value_name = "N", requires = "chains")]
    pub bits: Option<Bits>,
    /// What table and entries may take together, such as 512MiB; alone, or with --lifetime: how many connections is that?
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<u64>,
    /// The kernel, for its buckets, entries, hash and range: a release, or `running`
    #[arg(long, value_name = "R")]
    pub kernel: Option<KernelArgument>,
    /// The kernel's architecture, for the width of its pointers [default: the one in the release, else 64 bits]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Bytes of a bucket, if you know better
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub bucket_bytes: Option<u64>,
    /// Bytes of a connection's entry, if you know better (objsize of `ip_vs_conn` in /proc/slabinfo)
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub entry_bytes: Option<u64>,
    /// Draw the curve into a file, as .svg or .png
    #[arg(long, value_name = "FILE", value_parser = picture)]
    pub plot: Option<PathBuf>,
}

/// `--kernel`.
#[derive(Debug, Clone)]
pub enum KernelArgument {
    /// The one that runs here.
    Running,
    /// This one.
    Release(Release),
}

impl std::str::FromStr for KernelArgument {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Self, NoRelease> {
        if text == "running" { Ok(Self::Running) } else { text.parse().map(Self::Release) }
    }
}

/// A number above 0 that makes sense for a rate.
fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1e-3..=1e9).contains(number));
    number.ok_or_else(|| "expected connections per second, from 0.001 to 1000000000".to_owned())
}

/// Seconds, alone or with a unit.
pub(super) fn lifetime(text: &str) -> Result<f64, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .or_else(|| text.parse::<jiff::SignedDuration>().ok().map(|duration| duration.as_secs_f64()));
    let expected = || "expected seconds such as 200, or a duration such as 15m or 2h, from 1ms to 366 days".to_owned();
    seconds.filter(|seconds| (1e-3..=366.0 * 86_400.0).contains(seconds)).ok_or_else(expected)
}

/// A number of bytes; K, M, G and T are powers of 1024 with or without an `i`.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let size = parse_size::Config::new().with_binary().parse_size(text);
    size.ok().filter(|size| *size > 0).ok_or_else(|| "expected a size such as 512MiB or 4G".to_owned())
}

/// A file that tells by its name what is to be drawn.
fn picture(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg" | "png") => Ok(path),
        _ => Err("expected a name that ends in .svg or .png".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_rates_and_sizes() {
        for (text, seconds) in [("200", 200.0), ("0.5", 0.5), ("200s", 200.0), ("15m", 900.0), ("1h 30m", 5400.0)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for bad in ["", "0", "-1", "NaN", "inf", "x", "400d", "-15m", "1 year"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "-1", "NaN", "inf", "x", "1e12"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!(rate("172074"), Ok(172_074.0));
        for (text, bytes) in
            [("4GiB", 4 << 30), ("4G", 4 << 30), ("4 GB", 4 << 30), ("512m", 512 << 20), ("4096", 4096)]
        {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "-4G", "4X", "99999999T", "G"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }
}
