//! What the table has to carry, as the arguments or a director's list say it.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::cli::args::size::Size;
use crate::error::Error;
use crate::ipvs::bits::Bits;
use crate::ipvs::size::chains::Chains;
use crate::ipvs::size::connections::List;
use crate::proof::director::{self, LIST, ListError};
use crate::sys::tree::Tree;

/// What the table has to carry.
#[derive(Debug)]
pub(super) enum Load {
    /// So many connections.
    Number(u64),
    /// Connections that come and go.
    Rate {
        /// New ones per second.
        rate: f64,
        /// Seconds that each stays.
        lifetime: f64,
    },
    /// As many as fit.
    Memory(u64),
    /// Chains that somebody counted.
    Chains(Bits, Chains),
    /// A director's list.
    List {
        /// Its file.
        path: PathBuf,
        /// What is in it.
        list: List,
        /// Whether it is this machine's own, now.
        live: bool,
    },
}

impl Load {
    /// Whether these are this machine's connections.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::List { live: true, .. })
    }
}

/// Reads what the arguments name; without any, this machine's own list.
pub(super) fn read(args: &Size, live: &Tree) -> Result<Load, Error> {
    match args {
        Size { connections: Some(connections), .. } => Ok(Load::Number(*connections)),
        Size { rate: Some(rate), lifetime: Some(lifetime), .. } => Ok(Load::Rate { rate: *rate, lifetime: *lifetime }),
        Size { chains: Some(chains), bits: Some(bits), .. } => Ok(Load::Chains(*bits, chains.clone())),
        Size { from: Some(path), .. } if path == Path::new("-") => {
            let path = PathBuf::from("standard input");
            let list = list(&mut io::stdin().lock(), &path)?;
            Ok(Load::List { path, list, live: false })
        }
        Size { from: Some(path), .. } => {
            let list = open(path)?;
            Ok(Load::List { live: path == &live.path(LIST), path: path.clone(), list })
        }
        Size { memory: Some(memory), .. } => Ok(Load::Memory(*memory)),
        _ => {
            let path = live.path(LIST);
            if !path.try_exists().unwrap_or(true) {
                return Err(Error::Usage(format!(
                    "how many connections? Give --connections, --rate and --lifetime, --from, --chains or --memory; \
                     this machine has no `{}`",
                    path.display()
                )));
            }
            let list = open(&path)?;
            Ok(Load::List { path, list, live: true })
        }
    }
}

fn open(path: &Path) -> Result<List, Error> {
    let file = fs_err::File::open(path).map_err(not_read)?;
    list(&mut BufReader::with_capacity(1 << 20, file), path)
}

fn list(input: &mut dyn BufRead, path: &Path) -> Result<List, Error> {
    director::connections(input).map_err(|error| match error {
        ListError::Read(source) => not_read(source),
        ListError::Malformed { line, fault } => Error::Connections { path: path.to_owned(), line, fault },
    })
}

fn not_read(source: io::Error) -> Error {
    Error::Input { what: "the list of connections".into(), source }
}
