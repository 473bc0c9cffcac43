//! ccache, as kbuild uses it: where it keeps what it has, and what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZero, ParseIntError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::times::trace::Compilation;

/// A version of ccache: its first two numbers.
pub type Version = (u32, u32);

/// The first that has remote storage (NEWS of ccache 4.4), then called secondary.
const SECONDARY: Version = (4, 4);
/// The first that calls it remote (NEWS of ccache 4.7).
const REMOTE: Version = (4, 7);
/// The first that writes down what became of each compilation (NEWS of ccache 4.4).
const STATSLOG: Version = (4, 4);
/// The first that prints its statistics for programs (NEWS of ccache 3.7).
pub const STATISTICS: Version = (3, 7);
/// The first that remembers the digests of headers by their inodes (NEWS of ccache 4.0).
const INODES: Version = (4, 0);

/// Where compiled files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// Nowhere.
    Off,
    /// In the finished tree, for the next kernel that is almost the same.
    Tree,
    /// There, and by ccache in the work directory.
    Local,
    /// There, and in a storage that others share.
    Remote(Remote),
}

/// A storage that several machines share, by the URL that ccache knows it by. What is shown has no password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Remote(String);

/// Why a place for compiled files is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected off, tree, local, redis://HOST[:PORT], http://HOST[:PORT]/PATH or file:/DIRECTORY, found `{0}`")]
pub struct NoCache(String);

impl FromStr for Cache {
    type Err = NoCache;

    /// # Errors
    /// It is none of the places that ccache knows.
    fn from_str(text: &str) -> Result<Self, NoCache> {
        let wrong = || NoCache(Remote(text.to_owned()).to_string());
        match text {
            "off" => return Ok(Self::Off),
            "tree" => return Ok(Self::Tree),
            "local" => return Ok(Self::Local),
            _ => {}
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '|';
        let rest = ["redis://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let good = match rest {
            Some(rest) => {
                let host = Remote::host(rest);
                !host.is_empty() && !host.starts_with(':') && Remote::port(host).is_ok()
            }
            None => text.strip_prefix("file:").is_some_and(|path| path.starts_with('/')),
        };
        if good && !text.contains(odd) { Ok(Self::Remote(Remote(text.to_owned()))) } else { Err(wrong()) }
    }
}

impl Remote {
    /// Host and port of what follows the scheme.
    fn host(rest: &str) -> &str {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// The port that a host comes with, if it does. An address of IPv6 stands in brackets.
    fn port(host: &str) -> Result<Option<NonZero<u16>>, ParseIntError> {
        let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
        after.split_once(':').map(|(_, port)| port.parse()).transpose()
    }

    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.0.strip_prefix("file:").map(Path::new)
    }

    /// The URL as ccache reads it, with user and password. A password without a user has no colon there (ccache's manual,
    /// "Redis storage backend"), everywhere else it has one.
    #[must_use]
    pub fn secret(&self) -> String {
        self.0.replacen("redis://:", "redis://", 1)
    }

    /// How to ask whether a server is there; nothing for a directory.
    #[must_use]
    pub fn server(&self) -> Option<Server> {
        let (scheme, rest) = self.0.split_once("://")?;
        let host = Self::host(rest);
        let (is_redis, port) = match scheme {
            "redis" => (true, 6379),
            "http" => (false, 80),
            _ => return None,
        };
        let has_port = Self::port(host).is_ok_and(|port| port.is_some());
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        Some(Server {
            question: if is_redis { "PING\r\n".into() } else { format!("HEAD / HTTP/1.0\r\nHost: {host}\r\n\r\n") },
            address,
        })
    }
}

/// A server of a remote storage: where it is, and something that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Host and port.
    pub address: String,
    /// What to send; any answer will do.
    pub question: String,
}

/// The URL without user and password.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once("://") {
            Some((scheme, rest)) => {
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let shown =
                    authority.rsplit_once('@').map_or(rest, |(user, _)| rest.get(user.len() + 1..).unwrap_or_default());
                write!(f, "{scheme}://{shown}")
            }
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the version from what `ccache --version` prints; older ones say `ccache version 3.1.6`.
#[must_use]
pub fn version(printed: &str) -> Option<Version> {
    let word = printed.lines().next()?.split_ascii_whitespace().last()?;
    let mut numbers = word.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or_default()))
}

/// What ccache is told, and which of it only concerns the remote storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The names in it that are left out while the remote storage does not answer.
    pub remote: Vec<String>,
    /// The file that says what became of each compilation, if this version writes one.
    pub log: Option<PathBuf>,
}

/// Returns what a version of ccache is told.
///
/// Everything that would make it take a file that another compiler run would not have made is turned off, whatever the
/// machine's own `ccache.conf` says. A server that does not answer may cost a tenth of a second at a time, until it is left out.
#[must_use]
pub fn told(version: Version, dir: &Path, log: &Path, remote: Option<&Remote>, read_only: bool) -> Told {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut env: Vec<(&str, String)> = vec![
        ("CCACHE_DIR", text(dir)),
        ("CCACHE_MAXSIZE", "20G".into()),
        ("CCACHE_COMPRESS", "1".into()),
        ("CCACHE_DIRECT", "1".into()),
        ("CCACHE_HASHDIR", "1".into()),
        ("CCACHE_CPP2", "1".into()),
        ("CCACHE_SLOPPINESS", String::new()),
        ("CCACHE_NOHARDLINK", "1".into()),
        ("CCACHE_BASEDIR", String::new()),
    ];
    if version >= INODES {
        env.extend([
            ("CCACHE_IGNOREHEADERS", String::new()),
            ("CCACHE_IGNOREOPTIONS", String::new()),
            ("CCACHE_INODECACHE", "1".into()),
        ]);
    }
    let log = (version >= STATSLOG).then(|| log.to_owned());
    if let Some(log) = &log {
        env.push(("CCACHE_STATSLOG", text(log)));
    }
    let name = if version >= REMOTE { "CCACHE_REMOTE_STORAGE" } else { "CCACHE_SECONDARY_STORAGE" };
    let remote = remote.filter(|_| version >= SECONDARY);
    if let Some(remote) = remote {
        let limits = if remote.server().is_some() { "|connect-timeout=100|operation-timeout=1000" } else { "" };
        let mode = if read_only { "|read-only=true" } else { "" };
        env.push((name, format!("{}{limits}{mode}", remote.secret())));
    }
    Told {
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        remote: remote.map(|_| name.to_owned()).into_iter().collect(),
        log,
    }
}

/// How many compilations the cache knew, and how many not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statistics {
    /// Taken from the cache.
    pub hits: u64,
    /// Of these, got from the remote storage.
    pub remote: u64,
    /// Compiled.
    pub misses: u64,
    /// Compilations that ccache could not keep or take, whatever the reason.
    pub refused: u64,
}

impl Statistics {
    /// Returns how much of it was taken from the cache, from 0 to 1; nothing if there was nothing to take.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a kernel has fewer than 2^52 files")]
    pub fn rate(self) -> Option<f64> {
        let all = self.hits + self.misses;
        (all > 0).then(|| self.hits as f64 / all as f64)
    }

    /// Reads a statistics log: lines with a source's name, each followed by lines that say what became of it.
    #[must_use]
    pub fn of_log(text: &str) -> Self {
        let mut statistics = Self::default();
        for line in text.lines() {
            match line.trim() {
                "direct_cache_hit" | "preprocessed_cache_hit" => statistics.hits += 1,
                "remote_storage_hit" | "secondary_storage_hit" => statistics.remote += 1,
                "cache_miss" => statistics.misses += 1,
                "unsupported_code_directive"
                | "could_not_use_precompiled_header"
                | "internal_error"
                | "bad_output_file"
                | "unsupported_compiler_option" => statistics.refused += 1,
                _ => {}
            }
        }
        statistics
    }
}

/// Returns the compilations of a run that were measured. `measured` is what the program before gcc wrote down, a line each: from
/// when to when, in nanoseconds since 1970, and the source; `log` is ccache's statistics log, or nothing; `began` is when the run
/// began, in nanoseconds since 1970.
#[must_use]
pub fn compilations(measured: &str, log: &str, began: u128) -> Vec<Compilation> {
    // The first of a source is its object, a second one what genksyms reads.
    let (mut hits, mut source) = (BTreeMap::new(), "");
    for line in log.lines() {
        match line.strip_prefix("# ") {
            Some(name) => source = name,
            None if line.ends_with("_cache_hit") => drop(hits.entry(source).or_insert(true)),
            None if line == "cache_miss" => drop(hits.entry(source).or_insert(false)),
            None => {}
        }
    }
    let lines = measured.lines().filter_map(|line| {
        let (from, rest) = line.split_once(' ')?;
        let (to, file) = rest.split_once(' ')?;
        Some((from.parse::<u128>().ok()?, to.parse::<u128>().ok()?, file))
    });
    let seconds =
        |from: u128, to: u128| Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(0)).as_secs_f64();
    lines
        .map(|(from, to, file)| Compilation {
            start: seconds(began, from),
            seconds: seconds(from, to),
            file: file.to_owned(),
            hit: hits.get(file).copied().unwrap_or(false),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_without_passwords() {
        for (text, shown) in [
            ("redis://u:p@h:6380/1", "redis://h:6380/1"),
            ("redis://h", "redis://h"),
            ("redis://:p@h", "redis://h"),
            ("http://u:p@h/cache", "http://h/cache"),
            ("http://h:81/a@b", "http://h:81/a@b"),
            ("file:/srv/ccache", "file:/srv/ccache"),
        ] {
            let Cache::Remote(remote) = text.parse().unwrap() else { panic!("{text}") };
            assert_eq!((remote.to_string(), format!("{remote:?}")), (shown.into(), shown.into()));
            assert_eq!(remote.secret(), text.replace("//:", "//"));
        }
        assert_eq!("off".parse(), Ok(Cache::Off));
        assert_eq!("local".parse(), Ok(Cache::Local));
        assert_eq!("tree".parse(), Ok(Cache::Tree));
        for wrong in [
            "",
            "redis://",
            "redis://u:p@",
            "https://h",
            "file:x",
            "redis://h|read-only",
            "redis://h x",
            "/dir",
            "redis://h:99999",
            "redis://h:0",
            "redis://h:x",
            "http://h:/c",
            "redis://:6379",
            "redis://::1",
            "redis://[::1]:x",
        ] {
            assert!(wrong.parse::<Cache>().is_err(), "{wrong}");
        }
        let error = "rediss://user:secret@h".parse::<Cache>().unwrap_err().to_string();
        assert!(error.contains("rediss://h") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn servers_are_asked_in_their_own_words() {
        let server = |text: &str| {
            let Ok(Cache::Remote(remote)) = text.parse() else { panic!("{text}") };
            remote.server().map(|server| (server.address, server.question))
        };
        assert_eq!(server("redis://u:p@h"), Some(("h:6379".into(), "PING\r\n".into())));
        assert_eq!(server("redis://[::1]:1/2").unwrap().0, "[::1]:1");
        assert_eq!(server("http://h/c"), Some(("h:80".into(), "HEAD / HTTP/1.0\r\nHost: h\r\n\r\n".into())));
        assert_eq!(server("file:/x"), None);
    }

    #[test]
    fn versions_get_what_they_support() {
        assert_eq!(version("ccache version 4.7.5\nFeatures: …"), Some((4, 7)));
        assert_eq!(version("ccache version 3.1.6"), Some((3, 1)));
        assert_eq!(version("ccache version 4"), Some((4, 0)));
        assert_eq!(version("nonsense"), None);
        let Ok(Cache::Remote(remote)) = "redis://h".parse() else { panic!() };
        let told = |version| told(version, Path::new("/c"), Path::new("/l"), Some(&remote), true);
        let value =
            |told: &Told, name: &str| told.env.iter().find(|(each, _)| each == name).map(|(_, value)| value.clone());
        let (old, middle, new) = (told((3, 1)), told((4, 4)), told((4, 7)));
        assert_eq!((old.log.clone(), old.remote.len(), value(&old, "CCACHE_INODECACHE")), (None, 0, None));
        let url = "redis://h|connect-timeout=100|operation-timeout=1000|read-only=true";
        assert_eq!(value(&middle, "CCACHE_SECONDARY_STORAGE").as_deref(), Some(url));
        assert_eq!(value(&new, "CCACHE_REMOTE_STORAGE").as_deref(), Some(url));
        assert_eq!((new.remote, new.log), (vec!["CCACHE_REMOTE_STORAGE".to_owned()], Some("/l".into())));
    }

    #[test]
    fn compilations_are_told_with_their_times() {
        let log = "# net/a.c\ncache_miss\ndirect_cache_miss\n# net/b.c\ndirect_cache_hit\nlocal_storage_hit\n# net/b.c\ncache_miss\n";
        let measured = "3000000000 3500000000 net/a.c\n2500000000 2750000000 net/b.c\nhalf\n1 x y\n";
        let found = compilations(measured, log, 2_000_000_000);
        let of = |start, seconds, file: &str, hit| Compilation { start, seconds, file: file.into(), hit };
        assert_eq!(found, [of(1.0, 0.5, "net/a.c", false), of(0.5, 0.25, "net/b.c", true)]);
        assert!(!compilations(measured, "", 0)[1].hit);
    }

    #[test]
    fn a_log_of_compilations_is_counted() {
        let text = "# a.c\ncache_miss\ndirect_cache_miss\npreprocessed_cache_miss\n# b.c\ndirect_cache_hit\nlocal_storage_hit\n\
            # c.c\ndirect_cache_hit\nremote_storage_hit\n# d.c\nunsupported_code_directive\n";
        let found = Statistics::of_log(text);
        assert_eq!(found, Statistics { hits: 2, remote: 1, misses: 1, refused: 1 });
        assert_eq!(found.rate(), Some(2.0 / 3.0));
        assert_eq!(Statistics::default().rate(), None);
    }
}
