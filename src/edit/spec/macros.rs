//! The table of macros: for each name a stack, as `%undefine` brings the definition before the last one back.

use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use super::text::UNKNOWN;

/// What a macro does when it is used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Its body is expanded.
    Plain,
    /// Its body stands as it is: the arguments of a parametric macro, which only that macro sees.
    Argument,
    /// rpm itself does it.
    Builtin(Builtin),
    /// Whether it is defined, and as what, is unknown: its definition stands in a branch that may or may not be taken.
    Perhaps,
}

/// The built-in macros that are told apart here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Builtin {
    /// `%define`
    Define,
    /// `%global`
    Global,
    /// `%undefine`
    Undefine,
    /// `%dnl`
    Ignore,
    /// `%{expand:…}`
    Expand,
    /// `%{expr:…}`
    Expression,
    /// `%{S:1}`, `%{P:1}`
    Numbered(&'static str),
    /// `%{error:…}`
    Error,
    /// `%{echo:…}`, `%{warn:…}`, `%dump`, `%trace`
    Silent,
    /// `%{basename:…}` and others that make a text from a text.
    Word(fn(&[u8]) -> Vec<u8>),
    /// `%{macrobody:…}`
    Body,
    /// `%{lua:…}`
    Lua,
    /// `%{load:…}`: may define anything.
    Load,
    /// `%{getenv:…}`, `%{exists:…}` …: depends on the machine.
    Machine,
}

impl Builtin {
    /// Whether it takes the rest of the line as it is.
    pub(super) fn parses(self) -> bool {
        matches!(self, Self::Define | Self::Global | Self::Ignore | Self::Lua)
    }
}

/// One definition of a macro.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// The options of a parametric macro, as in getopt(3).
    pub(super) options: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    /// How many parametric macros were being expanded; definitions go when their macro ends.
    pub(super) level: usize,
    pub(super) kind: Kind,
    /// Whether `buildid` was looked at when the body was expanded.
    pub(super) consulted: bool,
}

impl Entry {
    pub(super) fn plain(name: &[u8], body: &[u8]) -> Self {
        let (name, body) = (name.to_vec(), body.to_vec());
        Self { name, options: None, body, level: 0, kind: Kind::Plain, consulted: false }
    }
}

/// All macros.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    stacks: HashMap<Vec<u8>, Vec<Arc<Entry>>>,
}

impl Table {
    /// Returns the table as it is when rpm begins to read the spec.
    pub(super) fn new(context: &Context) -> Self {
        let mut table = Self::default();
        for (name, kind) in BUILTINS {
            let alone = ["dump", "trace", "getncpus", "getconfdir"].contains(name);
            let options = (!alone).then(Vec::new);
            table.push(Entry { options, kind: Kind::Builtin(*kind), ..Entry::plain(name.as_bytes(), b"") });
        }
        for (name, options, body) in BASE {
            let options = options.map(|options| options.as_bytes().to_vec());
            table.push(Entry { options, ..Entry::plain(name.as_bytes(), body.as_bytes()) });
        }
        let target = context.target.as_bytes();
        table.push(Entry::plain(b"_target_cpu", target));
        table.push(Entry::plain(b"_arch", arch(&context.target).as_bytes()));
        for (prefix, names) in [("with", &context.with), ("without", &context.without)] {
            for name in names {
                // rpmpopt of rpm: `rpmbuild alias --with --define "_with_!#:+ --with-!#:+"`.
                let defined = format!("_{prefix}_{}", name.replace('-', "_"));
                table.push(Entry::plain(defined.as_bytes(), format!("--{prefix}-{name}").as_bytes()));
            }
        }
        for (name, value) in &context.defines {
            table.push(Entry::plain(name.replace('-', "_").as_bytes(), value.trim().as_bytes()));
        }
        table
    }

    /// Returns how many macros there are.
    pub(super) fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Returns the definition in force.
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<Entry>> {
        self.stacks.get(name)?.last().cloned()
    }

    /// Adds a definition over the one before.
    pub(super) fn push(&mut self, entry: Entry) {
        self.stacks.entry(entry.name.clone()).or_default().push(Arc::new(entry));
    }

    /// Records that whether this macro is defined, and as what, is unknown from here on.
    pub(super) fn doubt(&mut self, name: &[u8]) {
        if !matches!(self.get(name).map(|entry| entry.kind), Some(Kind::Perhaps | Kind::Builtin(_))) {
            self.push(Entry { kind: Kind::Perhaps, ..Entry::plain(name, &[UNKNOWN]) });
        }
    }

    /// Takes the last definition away.
    pub(super) fn pop(&mut self, name: &[u8]) {
        // What is below a definition that may or may not be there is as unknown.
        if self.get(name).is_some_and(|entry| matches!(entry.kind, Kind::Perhaps)) {
            return;
        }
        if let Some(stack) = self.stacks.get_mut(name) {
            stack.pop();
            if stack.is_empty() {
                self.stacks.remove(name);
            }
        }
    }

    /// Takes away what a parametric macro defined for itself (`freeArgs` of rpm 4.18).
    pub(super) fn leave(&mut self, level: usize) {
        self.stacks.retain(|_, stack| {
            if stack.last().is_some_and(|entry| entry.level >= level && !matches!(entry.kind, Kind::Perhaps)) {
                stack.pop();
            }
            !stack.is_empty()
        });
    }
}

/// Returns rpm's name for the architecture (`_arch` of the platform files of rpm 4.18).
fn arch(target: &str) -> &str {
    match target {
        "athlon" | "geode" | "pentium3" | "pentium4" | "i486" | "i586" | "i686" => "i386",
        "amd64" | "ia32e" => "x86_64",
        arm if arm.starts_with("armv") => "arm",
        other => other,
    }
}

fn basename(path: &[u8]) -> Vec<u8> {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec()
}

fn dirname(path: &[u8]) -> Vec<u8> {
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| path.split_at(at).0).to_vec()
}

fn suffix(path: &[u8]) -> Vec<u8> {
    path.iter().rposition(|byte| *byte == b'.').map_or(&[][..], |at| path.get(at + 1..).unwrap_or_default()).to_vec()
}

fn shrink(text: &[u8]) -> Vec<u8> {
    super::text::words(text).collect::<Vec<_>>().join(&b' ')
}

fn upper(text: &[u8]) -> Vec<u8> {
    text.to_ascii_uppercase()
}

fn lower(text: &[u8]) -> Vec<u8> {
    text.to_ascii_lowercase()
}

/// The built-ins of rpm 4.18 (`builtinmacros` in macro.c), and what later ones added.
const BUILTINS: &[(&str, Builtin)] = &[
    ("define", Builtin::Define),
    ("global", Builtin::Global),
    ("undefine", Builtin::Undefine),
    ("dnl", Builtin::Ignore),
    ("expand", Builtin::Expand),
    ("expr", Builtin::Expression),
    ("S", Builtin::Numbered("%SOURCE")),
    ("P", Builtin::Numbered("%PATCH")),
    ("error", Builtin::Error),
    ("echo", Builtin::Silent),
    ("warn", Builtin::Silent),
    ("dump", Builtin::Silent),
    ("trace", Builtin::Silent),
    ("basename", Builtin::Word(basename)),
    ("dirname", Builtin::Word(dirname)),
    ("suffix", Builtin::Word(suffix)),
    ("shrink", Builtin::Word(shrink)),
    ("upper", Builtin::Word(upper)),
    ("lower", Builtin::Word(lower)),
    ("macrobody", Builtin::Body),
    ("lua", Builtin::Lua),
    ("load", Builtin::Load),
    ("exists", Builtin::Machine),
    ("getconfdir", Builtin::Machine),
    ("getenv", Builtin::Machine),
    ("getncpus", Builtin::Machine),
    ("quote", Builtin::Machine),
    ("shescape", Builtin::Machine),
    ("u2p", Builtin::Machine),
    ("uncompress", Builtin::Machine),
    ("url2path", Builtin::Machine),
    ("verbose", Builtin::Machine),
];

/// Where the sources are, as far as the evaluation is concerned.
pub(super) const TOPDIR: &str = "/topdir";

/// The macros that rpm brings along and specs rely on (macros.in of rpm 4.18).
const BASE: &[(&str, Option<&str>, &str)] = &[
    ("nil", None, "%{!?nil}"),
    ("_topdir", None, TOPDIR),
    ("_sourcedir", None, "%{_topdir}/SOURCES"),
    ("_specdir", None, "%{_topdir}/SPECS"),
    ("_builddir", None, "%{_topdir}/BUILD"),
    ("_target_os", None, "linux"),
    ("_os", None, "linux"),
    ("defined", Some(""), "%{expand:%%{?%{1}:1}%%{!?%{1}:0}}"),
    ("undefined", Some(""), "%{expand:%%{?%{1}:0}%%{!?%{1}:1}}"),
    (
        "bcond",
        Some(""),
        "%[ (%2) ? \"%{expand:%%{!?_without_%{1}:%%global with_%{1} 1}}\" \
         : \"%{expand:%%{?_with_%{1}:%%global with_%{1} 1}}\" ]",
    ),
    ("bcond_with", Some(""), "%{expand:%%{?_with_%{1}:%%global with_%{1} 1}}"),
    ("bcond_without", Some(""), "%{expand:%%{!?_without_%{1}:%%global with_%{1} 1}}"),
    ("with", Some(""), "%{expand:%%{?with_%{1}:1}%%{!?with_%{1}:0}}"),
    ("without", Some(""), "%{expand:%%{?with_%{1}:0}%%{!?with_%{1}:1}}"),
    ("ix86", None, "i386 i486 i586 i686 pentium3 pentium4 athlon geode"),
    (
        "arm32",
        None,
        "armv3l armv4b armv4l armv4tl armv5tl armv5tel armv5tejl armv6l armv6hl armv7l armv7hl armv7hnl armv8l \
         armv8hl armv8hnl armv8hcnl",
    ),
    ("arm", None, "%{arm32}"),
    ("arm64", None, "aarch64"),
    ("mips32", None, "mips mipsel mipsr6 mipsr6el"),
    ("mips64", None, "mips64 mips64el mips64r6 mips64r6el"),
    ("mips", None, "%{mips32} %{mips64}"),
    ("sparc", None, "sparc sparcv8 sparcv9 sparcv9v sparc64 sparc64v"),
    ("alpha", None, "alpha alphaev56 alphaev6 alphaev67"),
    ("power64", None, "ppc64 ppc64p7 ppc64le"),
    ("riscv64", None, "riscv64"),
    ("riscv", None, "riscv32 %{riscv64} riscv128"),
];
