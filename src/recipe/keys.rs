//! Every key that a recipe may have: what it holds, whether it must be there, and what it is for. The check of recipe
//! files and `kbuild recipes check` know nothing else; recipes/el6.toml shows them in use.

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Letters, digits, `-`, `_`, `.` and `+`.
    Word,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A name that `--with` and `--without` take: letters, digits and `_`.
    Switch,
    /// A text with these placeholders, such as `{arch}`, and no others.
    Template(&'static [&'static str]),
    /// A glob with the placeholders `{arch}` and `{version}`.
    Glob,
    /// The same, of a name without a directory.
    FileGlob,
    /// A regular expression.
    Regex,
    /// 40 upper-case hexadecimal digits.
    Fingerprint,
    /// 64 lower-case hexadecimal digits.
    Sha256,
    /// Name, version and release.
    Nvr,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// True or false.
    Bool,
    /// Any number of a kind.
    List(&'static Kind),
    /// At least one of a kind.
    Some(&'static Kind),
    /// Names of the author's choice, each with this.
    Map(&'static Kind),
    /// Macros with their values: none of those that kbuild gives itself.
    Defines,
    /// How rpm compresses what is in a package, as `_binary_payload` has it.
    Payload,
    /// A table with these keys.
    Table(&'static [Key]),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// What it is for, as a fragment that follows the key's name.
    pub(crate) help: &'static str,
}

pub(crate) const fn must(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, kind, required: true, help }
}

pub(crate) const fn may(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, kind, required: false, help }
}

const TEXTS: Kind = Kind::List(&Kind::Text);
const WORDS: Kind = Kind::List(&Kind::Word);
const SWITCH_NAMES: Kind = Kind::List(&Kind::Switch);
/// The macros that kbuild gives rpmbuild itself, whatever the family (`plan/commands.rs`).
pub(crate) const OWN_MACROS: [&str; 12] = [
    "_topdir",
    "_builddir",
    "_buildrootdir",
    "_tmppath",
    "_smp_mflags",
    "_smp_build_ncpus",
    "_binary_payload",
    "_buildshell",
    "_buildhost",
    "use_source_date_epoch_as_buildtime",
    "clamp_mtime_to_source_date_epoch",
    "build_mtime_policy",
];
const GLOBS: Kind = Kind::List(&Kind::Glob);

/// The keys of a recipe file.
pub(super) const TOP: &[Key] = &[
    must("schema", Kind::Number(1, 1), "is the version of the recipe format, 1"),
    must("name", Kind::Word, "is the family's short name, the same as the file's"),
    must("title", Kind::Text, "says what the recipe covers, for people"),
    may("extends", Kind::Word, "names the built-in recipe that says all that this one does not"),
    must("arches", Kind::Some(&Kind::Word), "are the architectures that can be built, as `--target` takes them"),
    must("uname-r", Kind::Template(&["version", "release", "arch"]), "is what `uname -r` says"),
    must("release", Kind::Table(RELEASE), "tells which source packages the recipe is for"),
    must("spec", Kind::Table(SPEC), "says what is edited in the spec, and how"),
    must("option", Kind::Table(OPTION), "says where the option lives, and what overrides it"),
    must("build", Kind::Table(BUILD), "says how rpmbuild is called"),
    must("profiles", Kind::Table(PROFILES), "says what `--profile` adds to that"),
    must("packages", Kind::Table(PACKAGES), "says what comes out, and how it is installed"),
    must("switches", Kind::Table(SWITCHES), "lists what `--with` and `--without` can change"),
    must("requires", Kind::Table(REQUIRES), "lists what has to be installed to build"),
    must("needs", Kind::Table(NEEDS), "says how much of a machine a build takes"),
    may("module", Kind::Table(MODULE), "says what the package with ip_vs.ko alone is to be"),
    must("vault", Kind::Table(VAULT), "says where source packages are to be had"),
    must("trust", Kind::Table(TRUST), "lists the keys that sign source packages"),
    must("example", Kind::Table(EXAMPLE), "is what the table in README.md says of the family"),
];

const RELEASE: &[Key] = &[
    must("names", WORDS, "are the names that the source packages have, such as `kernel`"),
    must("dist", Kind::Regex, "matches the part of the release, between dots, that tells the family"),
];

const SPEC: &[Key] = &[
    must("file", Kind::FileGlob, "is the spec's name in the source package"),
    must("buildid", Kind::OneOf(&["after-dist", "before-dist"]), "says where the release carries the buildid"),
    must("dist", Kind::OneOf(&["spec", "host"]), "says who defines %dist: the spec, or the host that builds"),
    may("patch-hook", Kind::Text, "is the file that the spec applies as a patch when it is not empty"),
];

const OPTION: &[Key] = &[
    must("range", Kind::Table(RANGE), "are the values that the kernels take, unless their Kconfig says otherwise"),
    may("parameter-since", Kind::Text, "is the first release in which the size is a module parameter"),
    may("outside", Kind::Text, "says what a kernel does with a value of the parameter outside the range"),
    must(
        "resolved",
        Kind::Some(&Kind::Glob),
        "are the merged configs below BUILD after %prep; the first glob that matches counts",
    ),
    may("exempt", GLOBS, "are the configs of flavours that are built without IPVS"),
    must("sources", Kind::Some(&Kind::Table(SOURCE)), "are the ways to set it; the first that fits counts"),
];

const RANGE: &[Key] = &[
    must("min", Kind::Number(1, 31), "is the smallest value"),
    must("max", Kind::Number(1, 31), "is the largest value"),
];

const SOURCE: &[Key] = &[
    must("name", Kind::Text, "says which way this is, for the plan's reader"),
    may("has", GLOBS, "are files that the source package must have for this way"),
    may("spec", Kind::Regex, "matches the line of the spec that makes this way work"),
    must("edit", GLOBS, "are the files that are edited"),
    may("add", Kind::Bool, "lets the option be added to a file that does not have it"),
    must("precedence", GLOBS, "are the files merged over each other, strongest first"),
];

const BUILD: &[Key] = &[
    may("with", SWITCH_NAMES, "are the `--with` of every build"),
    may("without", SWITCH_NAMES, "are the `--without` of every build"),
    may("defines", Kind::Defines, "are the `--define` of every build"),
    may(
        "number",
        Kind::Word,
        "is the macro that holds the distribution's number: what the first group of `dist` matches",
    ),
    may(
        "payload",
        Kind::Payload,
        "is how packages are compressed, `_binary_payload`: in a way that the family's own rpm reads; a spec that says it \
         itself has the last word",
    ),
    may("mock", Kind::Template(&["arch", "number"]), "is the chroot of mock that builds the family"),
];

const PROFILES: &[Key] = &[
    must("full", Kind::Table(PROFILE), "is everything that the distribution builds"),
    must("fleet", Kind::Table(PROFILE), "is what a fleet installs"),
];

const PROFILE: &[Key] = &[
    may("with", SWITCH_NAMES, "are more `--with`"),
    may("without", SWITCH_NAMES, "are more `--without`"),
    may("packages", WORDS, "are the packages that come out on x86_64, beside the required ones"),
    may("payload", Kind::Payload, "is how packages are compressed, in place of `build.payload`"),
];

const PACKAGES: &[Key] = &[
    must("required", TEXTS, "must come out of every build; `{name}` is the source package's name"),
    must("install", TEXTS, "are installed beside older ones, with `rpm -i`"),
    must("update", TEXTS, "replace older ones, with `rpm -U`"),
    must("config", TEXTS, "are the packages with the kernel's config"),
    must("module", TEXTS, "are the packages with ip_vs.ko"),
];

const SWITCHES: &[Key] = &[
    must("on", SWITCH_NAMES, "are built unless `--without` leaves them out"),
    must("off", SWITCH_NAMES, "are built only with `--with`"),
];

const REQUIRES: &[Key] =
    &[must("dnf", TEXTS, "are packages of EL and Fedora"), must("apt", TEXTS, "are packages of Debian")];

const NEEDS: &[Key] = &[
    must("disk", Kind::Table(DISK), "is the room in the work directory, as a multiple of the source package's size"),
    must("memory", Kind::Number(1, 1_000_000), "is what each job takes, in megabytes"),
];

const DISK: &[Key] = &[
    must("full", Kind::Number(1, 10_000), "is for everything that the distribution builds"),
    must("fleet", Kind::Number(1, 10_000), "is for what a fleet installs"),
];

const MODULE: &[Key] = &[
    must(
        "requires",
        Kind::Some(&Kind::Template(&["name", "version", "release", "arch", "uname_r"])),
        "are the packages that it requires, as a spec has them",
    ),
    may("old-rpm", Kind::Bool, "has the package made as rpm 4.4 reads it"),
];

const VAULT: &[Key] = &[
    may("points", Kind::Map(&Kind::Text), "give the point release to the first number of a release"),
    must(
        "urls",
        Kind::List(&Kind::Template(&["point", "minor", "version", "release", "name", "srpm"])),
        "are tried in order",
    ),
    may(
        "devel",
        Kind::List(&Kind::Template(&["point", "minor", "version", "release", "name", "arch", "basearch", "rpm"])),
        "are tried in order for kernel-devel",
    ),
];

const TRUST: &[Key] = &[
    must("keys", Kind::List(&Kind::Table(KEY)), "are the keys, by primary fingerprint"),
    may("urls", TEXTS, "are where the keys are to be had; only pinned ones are taken"),
    may(
        "sha256",
        Kind::Map(&Kind::Some(&Kind::Sha256)),
        "pins source packages, by name, version and release, to the contents that they are known to have had",
    ),
];

const KEY: &[Key] = &[
    must("name", Kind::Text, "says whose it is"),
    must("fingerprint", Kind::Fingerprint, "is the primary key's fingerprint"),
];

const EXAMPLE: &[Key] = &[
    must("nvr", Kind::Nvr, "is a source package of the family, such as `kernel-2.6.32-220.13.1.el6`"),
    must("firmware", Kind::Text, "says what `--with firmware` does"),
    must("dist", Kind::Text, "says where %dist comes from"),
];
