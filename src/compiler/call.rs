//! What a call of the compiler is, by its arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{KEPT, autoconf};

/// Options whose value is the next argument (gcc 12, "Option Index"; the older ones know no others that kernels use).
const WITH_VALUE: [&str; 20] = [
    "-o",
    "-x",
    "-D",
    "-U",
    "-I",
    "-include",
    "-imacros",
    "-isystem",
    "-idirafter",
    "-iquote",
    "-iprefix",
    "-isysroot",
    "-MF",
    "-MT",
    "-MQ",
    "-Xassembler",
    "-Xpreprocessor",
    "-Xlinker",
    "--param",
    "-T",
];
/// Names that `autoconf.h` has: since Linux 2.6.33, and before.
const AUTOCONF: [&str; 2] = ["include/generated/autoconf.h", "include/linux/autoconf.h"];
/// What includes it, since Linux 3.2 (Makefile, LINUXINCLUDE).
const KCONFIG: &str = "include/linux/kconfig.h";

/// What a call of the compiler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Nothing that a cache could do anything for: a question, a program that is linked, several sources at once.
    Other,
    /// One source becomes one object, without the kernel's configuration: a part of a program that the build itself runs.
    Plain,
    /// One source becomes one object, with the kernel's configuration.
    Kernel(Kernel),
    /// A source of the kernel is preprocessed for genksyms, which makes the versions of exported symbols from it.
    Text(Kernel),
}

/// The compilation of a kernel's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The source, as it was given.
    pub source: PathBuf,
    /// What it is compiled to, if to a file.
    pub output: Option<PathBuf>,
    /// Where `autoconf.h` is, below the working directory, in the order in which it is to be looked for.
    pub autoconf: Vec<&'static str>,
}

impl Call {
    /// Reads the arguments, the program's name not among them.
    #[must_use]
    pub fn read(arguments: &[OsString]) -> Self {
        let (mut compiles, mut output, mut sources, mut autoconf) = (false, None, Vec::new(), Vec::new());
        let (mut preprocesses, mut for_versions) = (false, false);
        let mut words = arguments.iter().map(|argument| argument.as_bytes());
        while let Some(word) = words.next() {
            match word {
                b"-c" => compiles = true,
                b"-E" => preprocesses = true,
                b"-D__GENKSYMS__" => for_versions = true,
                b"-S" | b"-M" | b"-MM" | b"-" | b"-###" | [b'@', ..] => return Self::Other,
                _ if WITH_VALUE.iter().any(|option| option.as_bytes() == word) => {
                    let Some(value) = words.next() else { return Self::Other };
                    match word {
                        b"-o" => output = Some(value),
                        b"-include" if value.ends_with(KCONFIG.as_bytes()) => autoconf.extend(AUTOCONF),
                        b"-include" => {
                            autoconf.extend(AUTOCONF.iter().filter(|name| value.ends_with(name.as_bytes())));
                        }
                        b"-x" if value != b"c" && value != b"assembler-with-cpp" => return Self::Other,
                        _ => {}
                    }
                }
                [b'-', ..] => {}
                source => sources.push(source),
            }
        }
        let [source] = sources.as_slice() else { return Self::Other };
        let is_source = [".c", ".S"].iter().any(|ending| source.ends_with(ending.as_bytes()));
        let path = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
        let kernel = Kernel { source: path(source), output: output.map(path), autoconf };
        let is_in_kernel = is_source && !kernel.autoconf.is_empty();
        match (compiles, preprocesses, output) {
            (false, true, None) if is_in_kernel && for_versions => Self::Text(kernel),
            (true, false, Some(output)) if output != b"/dev/null" => match (is_in_kernel, is_source) {
                (true, _) => Self::Kernel(kernel),
                (false, true) => Self::Plain,
                (false, false) => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

impl Kernel {
    /// Whether modpost wrote the source: every such file holds the release, so it is never the same.
    #[must_use]
    pub fn holds_release(&self) -> bool {
        self.source.as_os_str().as_bytes().ends_with(b".mod.c")
    }
}

/// Whether arguments themselves name an option that varies.
#[must_use]
pub fn names_any(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| autoconf::names_any(argument.as_bytes()))
}

/// Whether an argument asks the assembler alone for debugging information, which then names the directory: `-Wa,-gdwarf-2`, as Linux before
/// 6.0 has it for its own assembler sources (Makefile, `KBUILD_AFLAGS`). ccache takes no notice.
#[must_use]
pub fn debugs_assembler(argument: &OsStr) -> bool {
    let options = argument.as_bytes().strip_prefix(b"-Wa,").unwrap_or_default().split(|byte| *byte == b',');
    options.into_iter().any(|option| option.starts_with(b"-g") || option.starts_with(b"--g"))
}

/// Returns the files that have a say in what the compiler does, and that ccache takes for a part of the compiler, of which it is given
/// a digest: rules of its driver, and plugins.
pub fn rules(arguments: &[OsString]) -> impl Iterator<Item = &OsStr> {
    let options: [&[u8]; 3] = [b"-specs=", b"--specs=", b"-fplugin="];
    let files = arguments.iter().flat_map(move |argument| {
        options.into_iter().filter_map(|option| argument.as_bytes().strip_prefix(option)).map(OsStr::from_bytes)
    });
    // A name alone is the compiler's own.
    files.filter(|file| file.as_bytes().contains(&b'/'))
}

/// Whether macros are expanded as they were before the standard, of which it is not known whether a poisoned name stops them (assembler
/// sources until Linux 2.6.24).
#[must_use]
pub fn is_traditional(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument.as_bytes().starts_with(b"-traditional"))
}

/// Returns the arguments of a preprocessor's call as those of a compilation that makes `output` of the same source.
#[must_use]
pub fn as_compilation(arguments: &[OsString], output: &Path) -> Vec<OsString> {
    let rest = arguments.iter().filter(|argument| argument.as_bytes() != b"-E").cloned();
    let made = ["-c".into(), "-o".into(), output.as_os_str().to_owned()];
    rest.chain(made).collect()
}

/// Returns the arguments of such a compilation as those of the preprocessor, which writes the same file.
#[must_use]
pub fn as_preprocessing(arguments: &[OsString]) -> Vec<OsString> {
    arguments.iter().map(|argument| if argument.as_bytes() == b"-c" { "-E".into() } else { argument.clone() }).collect()
}

/// Returns the arguments with paths below `top` made relative to the working directory, and with the tree's own place left out of
/// debugging information if the compiler can do that. `up` is the way from the working directory to the top: nothing in the top
/// itself, else `..` or `../..` and so on.
///
/// The kernel's Makefile gives directories of headers with the tree's whole path until Linux 3.15 (`srctree := $(CURDIR)`), that
/// of tools/ still does, and the tree's name has the release in it.
#[must_use]
pub fn relative(arguments: &[OsString], top: &Path, up: &str, maps: bool) -> Vec<OsString> {
    let top = top.as_os_str().as_bytes();
    let below = |path: &[u8]| -> Option<Vec<u8>> {
        let rest = path.strip_prefix(top)?;
        match (rest, up) {
            ([] | [b'/'], "") => Some(b".".to_vec()),
            ([] | [b'/'], _) => Some(up.into()),
            ([b'/', rest @ ..], "") => Some(rest.to_vec()),
            ([b'/', ..], _) => Some([up.as_bytes(), rest].concat()),
            _ => None,
        }
    };
    let mut relative: Vec<OsString> = arguments
        .iter()
        .map(|argument| {
            let word = argument.as_bytes();
            let changed = match word.strip_prefix(b"-I") {
                Some(path) => below(path).map(|path| [b"-I".as_slice(), &path].concat()),
                None => below(word),
            };
            changed.map_or_else(|| argument.clone(), OsString::from_vec)
        })
        .collect();
    let debugs = |argument: &OsString| argument.as_bytes().starts_with(b"-g") || debugs_assembler(argument);
    if maps && relative.iter().any(debugs) {
        let map = [b"-fdebug-prefix-map=".as_slice(), top, b"=/usr/src/linux"].concat();
        relative.push(OsString::from_vec(map));
    }
    relative
}

/// Returns the arguments with which the compiler finds the header with nothing varying in it in place of `autoconf.h`.
///
/// It is below a directory that holds no other file, and that comes first, so that `<generated/autoconf.h>` is the copy.
/// The copy's name ends as the original's, which is what scripts/basic/fixdep.c goes by: a kernel's makefiles do not depend on
/// that file as a whole.
#[must_use]
pub fn hidden(arguments: &[OsString]) -> Vec<OsString> {
    let mut first = OsString::from("-I");
    first.push(KEPT);
    first.push("/include");
    let mut hidden = vec![first];
    let mut include = false;
    for argument in arguments {
        let word = argument.as_bytes();
        let name = AUTOCONF.iter().find(|name| include && word.ends_with(name.as_bytes()));
        hidden.push(name.map_or_else(|| argument.clone(), |name| Path::new(KEPT).join(name).into_os_string()));
        include = word == b"-include";
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// As Linux 6.1 compiles a file, shortened.
    const NEW: &str = "-Wp,-MMD,net/.x.o.d -nostdinc -I./arch/x86/include -I./include -include ./include/linux/kconfig.h \
        -include ./include/linux/compiler_types.h -D__KERNEL__ -g -DKBUILD_MODNAME=\"x\" -c -o net/x.o net/x.c";
    /// As Linux 2.6.32 does.
    const OLD: &str = "-Wp,-MD,net/.x.o.d -nostdinc -isystem /usr/lib/gcc/x86_64-redhat-linux/4.4.7/include \
        -I/b/linux-1.el6/arch/x86/include -Iinclude -include include/linux/autoconf.h -D__KERNEL__ -g -c -o net/.tmp_x.o net/x.c";

    #[test]
    fn calls_are_told_apart() {
        let kernel = |output: &str, autoconf: &[&'static str]| {
            let output = Some(output.into());
            Call::Kernel(Kernel { source: "net/x.c".into(), output, autoconf: autoconf.to_vec() })
        };
        assert_eq!(Call::read(&words(NEW)), kernel("net/x.o", &AUTOCONF));
        assert_eq!(Call::read(&words(OLD)), kernel("net/.tmp_x.o", &AUTOCONF[1..]));
        let renamed = OLD.replace("linux/auto", "generated/auto");
        assert_eq!(Call::read(&words(&renamed)), kernel("net/.tmp_x.o", &AUTOCONF[..1]));
        assert_eq!(Call::read(&words("-Wall -c -o scripts/mod/modpost.o scripts/mod/modpost.c")), Call::Plain);
        for other in [
            "--version",
            "-Wall -o scripts/basic/fixdep scripts/basic/fixdep.c",
            "-c -x c /dev/null -o .tmp_1/tmp",
            "-c -o /dev/null x.c",
            "-c -o x.o x.c y.c",
            "-c x.c",
            "-c -o x.o -x c -",
            "-c -o x.o @file x.c",
            "-c -o x.o x.s",
            "-c -o x.o x.cc",
            "-c x.c -o",
            "",
        ] {
            assert_eq!(Call::read(&words(other)), Call::Other, "{other}");
        }
        for what in ["-E", "-S"] {
            assert_eq!(Call::read(&words(&NEW.replace(" -c ", &format!(" {what} ")))), Call::Other);
        }
        let text = NEW.replace(" -c -o net/x.o", "");
        let Call::Kernel(mut kernel) = Call::read(&words(NEW)) else { panic!() };
        kernel.output = None;
        assert_eq!(Call::read(&words(&format!("-E -D__GENKSYMS__ {text}"))), Call::Text(kernel));
        assert_eq!(Call::read(&words(&format!("-E {text}"))), Call::Other);
        let asked = words(&format!("-E -D__GENKSYMS__ {text}"));
        let there = as_compilation(&asked, Path::new("t.o"));
        assert!(matches!(Call::read(&there), Call::Kernel(_)));
        let back = as_preprocessing(&there);
        assert_eq!(back.iter().filter(|word| *word == "-E").count(), 1);
        assert!(back.ends_with(&words("-E -o t.o")));
    }

    #[test]
    fn paths_lose_the_tree() {
        let text = |words: Vec<OsString>| {
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        let tree = Path::new("/b/linux-1.el6");
        let mapped = " -fdebug-prefix-map=/b/linux-1.el6=/usr/src/linux";
        let shorter = OLD.replace("-I/b/linux-1.el6/arch", "-Iarch");
        assert_eq!(text(relative(&words(OLD), tree, "", true)), format!("{shorter}{mapped}"));
        assert_eq!(text(relative(&words(OLD), tree, "", false)), shorter);
        assert_eq!(text(relative(&words(&OLD.replace(" -g", "")), tree, "", true)), shorter.replace(" -g", ""));
        assert_eq!(
            text(relative(&words("-I/b/linux-1.el6 -I/b/linux-1.el6.x/y"), tree, "", true)),
            "-I. -I/b/linux-1.el6.x/y"
        );
        let tool =
            words("-g -I/b/linux-1.el6/tools/include -I/b/linux-1.el6 -c -o /b/linux-1.el6/tools/objtool/a.o a.c");
        let expected = format!("-g -I../../tools/include -I../.. -c -o ../../tools/objtool/a.o a.c{mapped}");
        assert_eq!(text(relative(&tool, tree, "../..", true)), expected);
        assert_eq!(
            text(hidden(&words(OLD))),
            format!("-I.kbuild/include {}", OLD.replace("include include/", "include .kbuild/include/"))
        );
        assert_eq!(text(hidden(&words(NEW))), format!("-I.kbuild/include {NEW}"));
    }

    #[test]
    fn what_else_has_a_say_is_seen() {
        let debugs = |word: &str| debugs_assembler(OsStr::new(word));
        assert!(["-Wa,-gdwarf-2", "-Wa,--gdwarf-5", "-Wa,-mx,-g"].into_iter().all(debugs));
        assert!(!["-Wa,-mg", "-gdwarf-2", "-Wa,"].into_iter().any(debugs));
        let mapped = relative(&words("-Wa,-gdwarf-2 -c a.S"), Path::new("/b"), "", true);
        assert_eq!(mapped.last(), Some(&OsString::from("-fdebug-prefix-map=/b=/usr/src/linux")));
        let call = words("-specs=/a/hard -fplugin=annobin -c -fplugin=./p.so --specs=/b x.c");
        assert_eq!(rules(&call).collect::<Vec<_>>(), ["/a/hard", "./p.so", "/b"]);
        assert!(is_traditional(&words("-traditional -c x.S")) && !is_traditional(&call));
    }

    #[test]
    fn options_in_arguments_are_seen() {
        assert!(names_any(&words("-c -DB=CONFIG_IP_VS_TAB_BITS x.c")) && !names_any(&words(NEW)));
    }
}
