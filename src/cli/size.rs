//! `kbuild size`: how large the table should be.

mod load;
mod text;

use serde::Serialize;

use super::args::size::{KernelArgument, Size};
use super::plot::sizing as plot;
use super::render::Format;
use super::{Edge, Output};
use crate::error::Error;
use crate::ipvs::bits::Bits;
use crate::ipvs::size::era::{Era, Release, Word};
use crate::ipvs::size::hash::SEED;
use crate::ipvs::size::{self, Costs, Demand, Sizing, Spread};
use crate::plan::running;
use crate::recipe::builtin;
use crate::sys::tree::Tree;
use load::Load;

/// What `kbuild size` answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    /// Where the number of connections comes from.
    origin: String,
    kernel: Kernel,
    costs: Costs,
    hashing: Hashing,
    sizing: Sizing,
    notes: Vec<String>,
}

impl Answer {
    fn memory_is_limited(&self) -> bool {
        self.sizing.room.is_some()
    }
}

/// The kernel, and where what is taken of it comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Kernel {
    release: Option<Release>,
    word: Word,
    bucket_from: String,
    entry_from: String,
    range_from: String,
    /// Whether the table's size is only its maximum.
    resizable: bool,
}

/// How connections are spread over the buckets.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Hashing {
    /// As theory has it.
    Uniform { why: String },
    /// As the kernel would.
    Computed { hash: &'static str, seed: String },
    /// As somebody counted.
    Counted { bits: Bits },
}

pub(super) fn run(edge: &Edge, args: &Size) -> Result<Output, Error> {
    if args.lifetime.is_some() && args.rate.is_none() && args.memory.is_none() {
        return Err(Error::Usage("--lifetime goes with --rate or with --memory".into()));
    }
    let live = Tree::of_this_machine();
    let load = load::read(args, &live)?;
    let release = release(args, &load, &live)?;
    let (kernel, costs, era) = kernel(args, release)?;
    let (demand, hashing, origin) = demand(args, load, costs, era);
    let sizing = size::size(&demand, costs)?;
    if let Some(path) = &args.plot {
        let what = format!("cannot draw `{}`", path.display());
        plot::write(path, &sizing).map_err(|source| Error::Host { what, source })?;
    }
    let notes = notes(&kernel, &sizing);
    let answer = Answer { origin, kernel, costs, hashing, sizing, notes };
    Ok(Output::text(match edge.format {
        Format::Json => serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n",
        Format::Human | Format::Plain => text::answer(&answer),
    }))
}

/// The kernel that was named; with this machine's own connections, the one that runs.
fn release(args: &Size, load: &Load, live: &Tree) -> Result<Option<Release>, Error> {
    let running = || {
        let text = live
            .text("proc/sys/kernel/osrelease")
            .map_err(|source| Error::Input { what: "the release of the running kernel".into(), source })?;
        text.trim().parse().map_err(|error| Error::Usage(format!("the running kernel: {error}")))
    };
    match &args.kernel {
        Some(KernelArgument::Release(release)) => Ok(Some(release.clone())),
        Some(KernelArgument::Running) => running().map(Some),
        None if load.is_live() => running().map(Some),
        None => Ok(None),
    }
}

/// What the kernel makes of a table, and what the user knows better.
fn kernel(args: &Size, release: Option<Release>) -> Result<(Kernel, Costs, Option<Era>), Error> {
    let given = match &args.arch {
        Some(arch) => Some(Word::of(arch).ok_or_else(|| {
            Error::Usage(format!("--arch: expected an architecture such as x86_64 or i686, found `{arch}`"))
        })?),
        None => None,
    };
    let word = given.or_else(|| release.as_ref()?.word()).unwrap_or(Word::Bits64);
    let mut terms = running::terms(&builtin::all()?, release.as_ref(), word);
    if let Some(bytes) = args.bucket_bytes {
        terms.costs.bucket_bytes = bytes;
        "as given".clone_into(&mut terms.bucket_from);
    }
    if let Some(bytes) = args.entry_bytes {
        terms.costs.entry_bytes = bytes;
        "as given".clone_into(&mut terms.entry_from);
    }
    let kernel = Kernel {
        release,
        word,
        bucket_from: terms.bucket_from,
        entry_from: terms.entry_from,
        range_from: terms.range_from,
        resizable: terms.era.is_some_and(|era| era.resizable),
    };
    Ok((kernel, terms.costs, terms.era))
}

/// What the table is for, how its connections spread, and where their number comes from.
fn demand(args: &Size, load: Load, costs: Costs, era: Option<Era>) -> (Demand, Hashing, String) {
    let uniform = |why: &str| Hashing::Uniform { why: why.to_owned() };
    let of_all = "only the number of connections is known";
    let mut demand = Demand { connections: 0, spread: Spread::Uniform, memory: args.memory, lifetime: args.lifetime };
    let (hashing, origin) = match load {
        Load::Number(connections) => {
            demand.connections = connections;
            (uniform(of_all), "as given".to_owned())
        }
        Load::Rate { rate, lifetime } => {
            demand.connections = size::connections(rate, lifetime).clamp(1, size::chains::MOST);
            (uniform(of_all), format!("{rate} per second, each for {lifetime} s"))
        }
        Load::Memory(memory) => {
            demand.connections = size::room(memory, costs, None).connections;
            (uniform(of_all), "what the memory carries with a bucket each".to_owned())
        }
        Load::Chains(bits, chains) => {
            demand.connections = chains.connections();
            demand.spread = Spread::Counted(bits, chains);
            (Hashing::Counted { bits }, format!("in the chains that were counted at {bits} bits"))
        }
        Load::List { path, list, .. } => {
            demand.connections = list.keys().len() as u64;
            let hash = era.map(|era| era.hash);
            let hashes: Option<Vec<u32>> = hash.and_then(|hash| list.keys().iter().map(|key| hash.of(key)).collect());
            let hashing = match (hash, hashes) {
                (Some(hash), Some(hashes)) => {
                    demand.spread = Spread::Hashed(size::chains::in_order(hashes));
                    Hashing::Computed { hash: hash.name(), seed: format!("{SEED:#x}") }
                }
                (Some(hash), None) => uniform(&format!(
                    "{} under a key of the table's own is uniform by design, and nobody else has the key",
                    hash.name()
                )),
                (None, _) => uniform("name the director's kernel with --kernel, and its hash is computed"),
            };
            (hashing, format!("in `{}`", path.display()))
        }
    };
    (demand, hashing, origin)
}

fn notes(kernel: &Kernel, sizing: &Sizing) -> Vec<String> {
    let mut notes = vec![
        "the table is not a limit: with more connections than buckets chains grow and look-ups slow down, nothing is \
         refused"
            .to_owned(),
    ];
    if kernel.release.is_none() {
        notes.push(
            "without --kernel memory is what the operators' guide counts, 192 + 16 B for a connection and its bucket on \
             64 bits (128 + 8 on 32); newer kernels have larger entries and smaller buckets"
                .to_owned(),
        );
    }
    if kernel.resizable {
        notes.push(
            "this kernel resizes its table by itself: conn_tab_bits is the maximum, size= in /proc/net/ip_vs is the \
             present size, the sysctl net.ipv4.vs.conn_lfactor sets the load (its default of -4 asks for 16 buckets for \
             each connection), and a connection of NAT takes two nodes"
                .to_owned(),
        );
    }
    if sizing.advice.why == size::Why::Largest && kernel.release.is_none() {
        notes.push("kernels from 6.5 on take up to 27 bits: name yours with --kernel".to_owned());
    }
    notes
}
