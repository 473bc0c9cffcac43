//! Every key of a fleet file. Those of a group that are not about its cells are the options of `kbuild ipvs`, by their names.

use crate::recipe::keys::{Key, Kind, may, must};

const TEXTS: Kind = Kind::List(&Kind::Text);

/// What `[defaults]` and each `[[group]]` may have, after these.
macro_rules! settings {
    ($($first:expr,)*) => {
        &[
            $($first,)*
            may("arches", Kind::Some(&Kind::Word), "are the architectures; this machine's if none is named"),
            may(
                "routes",
                Kind::Some(&Kind::OneOf(&["kernel", "module", "param", "auto"])),
                "are the ways to the table; `kernel` if none is named",
            ),
            may("allow-unsigned", Kind::Bool, "is `--allow-unsigned`"),
            may("any-compiler", Kind::Bool, "is `--any-compiler`"),
            may("boot", Kind::Bool, "is `--boot`: each kernel is booted (level 5)"),
            may("buildid", Kind::Text, "is `--buildid`, with `{bits}` in it"),
            may("built-in", Kind::Bool, "is `--built-in`, of the route param"),
            may("cache", Kind::Text, "is `--cache`; the cells of a shard go on in one tree if it is not said"),
            may("cache-read-only", Kind::Bool, "is `--cache-read-only`"),
            may("check-reproducible", Kind::Bool, "is `--check-reproducible`"),
            may("compile-hosts", TEXTS, "is `--compile-hosts`"),
            may("ignore-preflight", Kind::Bool, "is `--ignore-preflight`"),
            may("install-deps", Kind::Bool, "is `--install-deps`"),
            may("jobs", Kind::Number(1, 4096), "is `--jobs`"),
            may("kernel", TEXTS, "is `--kernel`, of the route module"),
            may("kernel-devel", Kind::Text, "is `--kernel-devel`, of the route module"),
            may("key", TEXTS, "is `--key`: files with public keys"),
            may("keys", TEXTS, "is `--keys`: directories with them"),
            may("lock", Kind::Text, "is `--lock`: the file that keeps note of the source packages"),
            may("locked", Kind::Bool, "is `--locked`"),
            may("min-free", Kind::Text, "is `--min-free`, such as \"1GiB\""),
            may("mirror", TEXTS, "is `--mirror`: where to look first"),
            may("mode", Kind::OneOf(&["bb", "ba", "srpm"]), "is `--mode`"),
            may("nice", Kind::Number(0, 19), "is `--nice`"),
            may("offline", Kind::Bool, "is `--offline`"),
            may("patch", TEXTS, "is `--patch`: files"),
            may("profile", Kind::OneOf(&["full", "fleet"]), "is `--profile`; `fleet` if it is not said"),
            may("recipe", Kind::Text, "is `--recipe`: a name or a file"),
            may("set", TEXTS, "is `--set`, such as \"CONFIG_X=y\""),
            may("sign-cert", Kind::Text, "is `--sign-cert`"),
            may("sign-key", Kind::Text, "is `--sign-key`"),
            may("silence-timeout", Kind::Text, "is `--silence-timeout`, such as \"30m\""),
            may("store", Kind::Text, "is `--store`"),
            may("templates", Kind::Text, "is `--templates`"),
            may("throw-away-key", Kind::Bool, "is `--throw-away-key`"),
            may("timeout", Kind::Text, "is `--timeout`, such as \"6h\""),
            may("tmpfs", Kind::Text, "is `--tmpfs`: a directory in memory, such as \"/dev/shm\""),
            may("trust", TEXTS, "is `--trust`: fingerprints"),
            may("tune", Kind::Bool, "is `--tune`, of the route param"),
            may("user", Kind::Text, "is `--user`"),
            may("with", Kind::List(&Kind::Switch), "is `--with`"),
            may("without", Kind::List(&Kind::Switch), "is `--without`"),
        ]
    };
}

/// The keys of `[defaults]`.
const DEFAULTS: &[Key] = settings!();

/// The keys of a `[[group]]`.
const GROUP: &[Key] = settings!(
    must("name", Kind::Word, "is the group's name, with which the names of its cells begin"),
    must("bits", Kind::Some(&Kind::Number(1, 31)), "are the sizes of the table, as powers of two"),
    may("releases", Kind::Some(&Kind::Text), "are the releases, such as \"2.6.32-220.13.1.el6\""),
    may("srpms", Kind::Some(&Kind::Text), "are source packages: files, or URLs"),
    may("skip", Kind::List(&Kind::Table(SKIP)), "are cells that are not wanted: all that have what is named"),
);

/// The keys of what is left out.
const SKIP: &[Key] = &[
    may("release", Kind::Text, "is a release as `releases` has it, or a source package as `srpms` has it"),
    may("bits", Kind::Number(1, 31), "is one of `bits`"),
    may("arch", Kind::Word, "is one of `arches`"),
    may("route", Kind::Word, "is one of `routes`"),
];

/// The keys of a fleet file.
pub(super) const TOP: &[Key] = &[
    must("schema", Kind::Number(1, 1), "is the version of this format"),
    may("out", Kind::Text, "is where the results go, a directory for each cell [fleet-out]"),
    may("work", Kind::Text, "is where cells are built; `--work` comes before it"),
    may("defaults", Kind::Table(DEFAULTS), "is what every group has that does not say otherwise"),
    must("group", Kind::Some(&Kind::Table(GROUP)), "is a set of cells: each of its releases with each of its bits"),
];

/// The keys that are about the cells of a group and not how one of them is made.
pub(super) const AXES: [&str; 7] = ["name", "bits", "releases", "srpms", "skip", "arches", "routes"];

/// The options that name files or directories, which a fleet file does relative to itself.
pub(super) const PATHS: [&str; 11] =
    ["kernel", "kernel-devel", "key", "keys", "lock", "patch", "sign-cert", "sign-key", "store", "templates", "tmpfs"];

/// The options that change nothing of what comes out: where it is from and kept, who makes it and how fast.
pub(super) const OF_NO_MATTER: [&str; 24] = [
    "cache",
    "cache-read-only",
    "check-reproducible",
    "compile-hosts",
    "ignore-preflight",
    "install-deps",
    "jobs",
    "key",
    "keys",
    "lock",
    "locked",
    "min-free",
    "mirror",
    "nice",
    "offline",
    "silence-timeout",
    "store",
    "timeout",
    "tmpfs",
    "trust",
    "user",
    "allow-unsigned",
    "throw-away-key",
    "templates",
];
