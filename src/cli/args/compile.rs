//! Arguments about how the kernel is compiled, which change nothing of what comes out.

use std::convert::Infallible;
use std::str::FromStr;

use clap::Args;

use crate::compiler::cache::{Cache, NoCache};
use crate::error::Error;
use crate::pipeline::manner::Compiling;

/// The option whose value may hold a password.
pub const CACHE: &str = "--cache";

/// Returns a word of the command line as it may be shown and written down; `after` says whether it follows [`CACHE`].
///
/// What is no place for a cache is refused later, and not shown as a whole either.
#[must_use]
pub fn shown(word: &str, after: bool) -> String {
    let place = |text: &str| match text.parse() {
        Ok(Cache::Remote(remote)) => remote.to_string(),
        Ok(Cache::Off | Cache::Tree | Cache::Local) => text.to_owned(),
        Err(_) => "…".to_owned(),
    };
    match word.strip_prefix(CACHE).and_then(|rest| rest.strip_prefix('=')) {
        Some(text) => format!("{CACHE}={}", place(text)),
        None if after => place(word),
        None => word.to_owned(),
    }
}

/// How the kernel is compiled.
#[derive(Debug, Clone, Args)]
pub struct Compile {
    /// Keep what is compiled for kernels that are almost the same: off, tree (in the finished tree, for the next one), local
    /// (there, and by ccache in the work directory), or there and in a storage that machines share: redis://HOST,
    /// http://HOST/PATH, file:/DIRECTORY [default: tree with several --bits (local with debuginfo packages, if ccache is there), else off]
    #[expect(clippy::doc_markdown, reason = "the help text shows URLs as they are typed")]
    #[arg(long, value_name = "WHERE", env = "KBUILD_CACHE", hide_env_values = true)]
    pub cache: Option<Wanted>,
    /// Take from the shared storage, and put nothing there
    #[arg(long)]
    pub cache_read_only: bool,
    /// Let other hosts compile, too, with distcc: HOST, HOST/JOBS, HOST:PORT/JOBS …
    #[arg(long, value_name = "HOST", value_delimiter = ',', value_parser = host)]
    pub compile_hosts: Vec<String>,
}

/// A place for compiled files, or why it is none: clap would show what was typed, with its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(Result<Cache, NoCache>);

impl FromStr for Wanted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

impl Compile {
    /// Refuses a cache that is none, and a shared one that is only to be read where none is shared.
    ///
    /// # Errors
    /// It is none, and which there are.
    pub fn check(&self) -> Result<(), Error> {
        match &self.cache {
            Some(Wanted(Err(error))) => Err(Error::Usage(format!("`{CACHE}`: {error}"))),
            Some(Wanted(Ok(Cache::Remote(_)))) => Ok(()),
            _ if self.cache_read_only => Err(Error::Usage(format!(
                "`--cache-read-only` is about a shared storage: expected `{CACHE}` with redis://, http:// or file:/, found none"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns how to compile for so many values of bits.
    #[must_use]
    pub fn compiling(&self, values: usize) -> Compiling {
        let wanted = self.cache.clone().and_then(|wanted| wanted.0.ok());
        let cache = wanted.unwrap_or(if values > 1 { Cache::Tree } else { Cache::Off });
        Compiling { read_only: self.cache_read_only, hosts: self.compile_hosts.clone(), ..Compiling::with(cache) }
    }
}

impl Compile {
    /// Returns the programs that it takes.
    #[must_use]
    pub fn helpers(&self, values: usize) -> Vec<&'static str> {
        let compiling = self.compiling(values);
        let all = [("ccache", compiling.cached), ("distcc", !compiling.hosts.is_empty())];
        all.into_iter().filter(|(_, taken)| *taken).map(|(name, _)| name).collect()
    }

    /// Returns how many files the other hosts compile at a time: as many as each is said to, or four, as distcc has it.
    #[must_use]
    pub fn more_jobs(&self) -> u32 {
        self.compile_hosts
            .iter()
            .map(|host| host.rsplit_once('/').and_then(|(_, jobs)| jobs.parse().ok()).unwrap_or(4))
            .sum()
    }
}

/// Accepts a host as distcc's list (`DISTCC_HOSTS`) has it, as far as it is a host: no options, no `@`, which would be ssh.
fn host(text: &str) -> Result<String, String> {
    let name = text.split(['/', ':']).next().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut rest = text.get(name.len()..).unwrap_or_default();
    for mark in [':', '/'] {
        if let Some(number) = rest.strip_prefix(mark) {
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            let (digits, left) = number.split_at(end);
            if digits.parse::<u16>().is_ok_and(|number| number > 0) {
                rest = left;
            }
        }
    }
    if name.is_empty() || name.starts_with('-') || !name.chars().all(good) || !rest.is_empty() {
        return Err("expected HOST, HOST:PORT, HOST/JOBS or HOST:PORT/JOBS".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_without_passwords() {
        assert_eq!(shown("redis://:p@h/1", true), "redis://h/1");
        assert_eq!(shown("--cache=http://u:p@h/c", false), "--cache=http://h/c");
        assert_eq!(["local", "rediss://:p@h"].map(|word| shown(word, true)), ["local", "…"]);
        assert_eq!(
            ["--cache", "--cache-read-only", "a@b"].map(|word| shown(word, false)),
            ["--cache", "--cache-read-only", "a@b"]
        );
    }

    #[test]
    fn hosts_are_hosts() {
        for good in ["a", "10.0.0.1", "h-1.example.org:3632/8", "h/4", "h:1"] {
            assert_eq!(host(good).as_deref(), Ok(good));
        }
        for wrong in ["", "-x", "u@h", "h,lzo", "h:", "h:x", "h/0", "h/4/5", "h/4:1", "--randomize", "h 2", ":1"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
