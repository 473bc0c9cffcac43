//! What of the finished tree of one kernel another one can go on with that differs in nothing but what varies.

use std::path::Path;

use super::KEPT;
use super::autoconf::VARYING;
use super::tree::Tree;

/// Directories that hold nothing but what make writes in them: since Linux 2.6.33, and since 2.6.39 for those of
/// architectures (scripts/kconfig/confdata.c, arch/x86/Makefile).
const MADE: [&str; 2] = ["include/config/", "include/generated/"];
/// Where `make headers` puts what it makes (Linux 5.3 and later, scripts/Makefile.headersinst).
const EXPORTED: &str = "usr/include/";
/// What kconfig writes before anything is compiled: what the options were, to mark those that have changed
/// (scripts/kconfig/confdata.c, since Linux 2.6.15).
pub const AUTO_CONF: &str = "include/config/auto.conf";
/// Whether two configurations set the same options, but for those that vary. Comments do not count: the first ones hold the
/// release.
#[must_use]
pub fn same_options(one: &str, other: &str) -> bool {
    options(one).eq(options(other))
}

/// Returns the lines of a configuration that set an option that does not vary, to `n` by a comment.
pub fn options(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter(|line| {
        let name = match line.strip_prefix("# ") {
            Some(comment) => comment.strip_suffix(" is not set"),
            None => line.split('=').next(),
        };
        name.is_some_and(|name| !name.is_empty() && !VARYING.contains(&name))
    })
}

/// Whether two trees were compiled by the same compiler on machines with the same packages, and `#include` can find the same names in
/// both. Of the machine, make sees neither the libraries that the build's own programs are linked with nor, since Linux 5.0, its headers.
#[must_use]
pub fn same_ground(one: &Tree, other: &Tree) -> bool {
    (&one.identity, &one.names, &one.host) == (&other.identity, &other.names, &other.host)
}

/// What is written down of a source that saw, or may have seen, what varies: what it was compiled to, without its ending
/// and without what old kernels put before it until it is finished (scripts/Makefile.build until Linux 5.13).
#[must_use]
pub fn saw(output: &Path) -> Option<String> {
    let name = output.file_stem()?.to_str()?;
    let name = name.strip_prefix(".tmp_").unwrap_or(name);
    Some(output.with_file_name(name).to_str()?.trim_start_matches("./").to_owned())
}

/// A time during which a make compiled, in nanoseconds since 1970: from its beginning to its end.
pub type Span = (u128, u128);

/// How much earlier than the clock says a file may seem to be written, in nanoseconds: file systems go by the kernel's tick.
const TICK: u128 = 20_000_000;

/// Reads the times at which makes compiled, as lines of two numbers each, in seconds with nine decimals (`date +%s.%N`).
#[must_use]
pub fn spans(text: &str) -> Vec<Span> {
    let nanoseconds = |word: &str| word.replacen('.', "", 1).parse::<u128>().ok();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(from, to)| Some((nanoseconds(from)?.saturating_sub(TICK), nanoseconds(to)?))).collect()
}

/// Whether a file that only the finished tree has is one that make made there while it compiled. `path` is below the top of the
/// tree, `written` its time in nanoseconds, `saw` what [`saw`] wrote down, line by line.
///
/// What the spec's own commands or other makes left is not there in a build from nothing either at that time. Keys are
/// none of it: a throw-away key is another one for each kernel. Nor is the number of builds (scripts/mkversion). Modules are linked anew,
/// since each names the release, and if it is the same, pahole would add to what it had added before (scripts/Makefile.modfinal).
#[must_use]
pub fn is_taken(path: &str, written: u128, spans: &[Span], saw: &[String]) -> bool {
    let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
    // Of `a/.x.o.cmd` and `a/.x.o.d` the file that they are about.
    let about = name.strip_prefix('.').and_then(|name| name.strip_suffix(".cmd").or_else(|| name.strip_suffix(".d")));
    let about = about.unwrap_or(name);
    let stem = about.rsplit_once('.').map_or(about, |(stem, _)| stem);
    let stem = if dir.is_empty() { stem.to_owned() } else { format!("{dir}/{stem}") };
    let is_key = about.contains("signing_key") || Path::new(about).extension().is_some_and(|ending| ending == "priv");
    let is_ours = path.split('/').next() == Some(KEPT);
    let is_module = about.rsplit_once('.').is_some_and(|(_, ending)| ending == "ko");
    if is_key || is_ours || is_module || matches!(path, ".version" | ".old_version") || saw.contains(&stem) {
        return false;
    }
    is_made(path) || is_within(written, spans)
}

/// Whether a file is a header for programs that a `make headers` left in the tree, or the command that made it: there is none before that
/// make in a build from nothing, so it is put back right before it. Kernels before 5.3 leave none in the tree (Makefile).
#[must_use]
pub fn is_exported(path: &str, written: u128, exports: &[Span]) -> bool {
    path.starts_with(EXPORTED) && is_within(written, exports)
}

fn is_within(written: u128, spans: &[Span]) -> bool {
    spans.iter().any(|(from, to)| (*from..=*to).contains(&written))
}

/// Whether a file is in a directory that holds nothing but what make writes in it.
///
/// kconfig's files there are taken in place of those that a new tree may have already: by them kconfig knows what the options
/// were when everything was compiled, and marks those that have changed. Since Linux 4.20, `olddefconfig` and its like write
/// them where there are none, and mark all (scripts/kconfig/conf.c).
#[must_use]
pub fn is_made(path: &str) -> bool {
    MADE.iter().any(|dir| path.starts_with(dir) || (path.starts_with("arch/") && path.contains(&format!("/{dir}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "#\n# Linux/x86 6.1.1-1.el6.a Kernel Configuration\n#\nCONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=18\n\
        # CONFIG_X25 is not set\nCONFIG_BUILD_SALT=\"1.el6.a\"\n";

    #[test]
    fn configurations_differ_in_what_varies_only() {
        let other = CONFIG.replace("=18", "=20").replace(".el6.a", ".el6.b");
        assert!(same_options(CONFIG, &other));
        for (from, to) in [
            ("# CONFIG_X25 is not set", "CONFIG_X25=m"),
            ("# CONFIG_X25 is not set\n", ""),
            ("CONFIG_IP_VS=m", "CONFIG_IP_VS=y"),
            ("TAB_BITS=", "TAB_BITS_MORE="),
        ] {
            assert!(!same_options(CONFIG, &other.replace(from, to)), "{to}");
        }
        let tree =
            |names: &str, identity: &str| Tree { names: names.into(), identity: identity.into(), ..Tree::default() };
        assert!(same_ground(&tree("a", "b"), &tree("a", "b")));
        assert!(!same_ground(&tree("a", "b"), &Tree { host: "c".into(), ..tree("a", "b") }));
        assert!(!same_ground(&tree("a", "b"), &tree("a", "c")) && !same_ground(&tree("a", "b"), &tree("c", "b")));
    }

    #[test]
    fn who_saw_is_written_down_by_what_it_became() {
        for (output, expected) in
            [("net/x.o", "net/x"), ("./net/.tmp_x.o", "net/x"), ("x.o", "x"), ("net/a-b.c.o", "net/a-b.c")]
        {
            assert_eq!(saw(Path::new(output)).as_deref(), Some(expected));
        }
        assert_eq!(saw(Path::new("/")), None);
    }

    #[test]
    fn headers_for_programs_are_those_of_a_make_that_makes_them() {
        let exports = [(100, 200)];
        for (path, written, expected) in [
            ("usr/include/linux/if.h", 150, true),
            ("usr/include/linux/.if.h.cmd", 200, true),
            ("usr/include/linux/if.h", 201, false),
            ("usr/include/Makefile", 99, false),
            ("usr/gen_init_cpio", 150, false),
            ("include/linux/if.h", 150, false),
        ] {
            assert_eq!(is_exported(path, written, &exports), expected, "{path} {written}");
        }
    }

    #[test]
    fn only_what_make_made_while_it_compiled_is_taken() {
        let spans = spans("1700000000.5 1700000001.000000000\n1700000000.500000000 1700000001.000000000\nx y\n1 2 3\n");
        let second = 1_000_000_000;
        assert_eq!(spans.last(), Some(&(1_700_000_000_480_000_000, 1_700_000_001_000_000_000)));
        let during = 1_700_000_000 * second + 700_000_000;
        let taken = |path: &str, written| is_taken(path, written, &spans[1..], &["net/x".into(), "kernel/z".into()]);
        for path in [
            "net/y.o",
            "net/.y.o.cmd",
            "net/.y.o.d",
            "vmlinux",
            "scripts/genksyms/parse.tab.h",
            "tools/objtool/objtool",
            "x.o",
        ] {
            assert!(taken(path, during) && !taken(path, during + second) && !taken(path, during - second), "{path}");
        }
        for path in ["include/config/auto.conf", "include/config/x25.h", "arch/x86/include/generated/asm/a.h"] {
            assert!(taken(path, 1), "{path}");
        }
        for path in [
            "net/x.o",
            "net/.x.o.cmd",
            "net/x.ko",
            "net/y.ko",
            "net/.y.ko.cmd",
            "kernel/z.o",
            "certs/signing_key.pem",
            "certs/.signing_key.pem.cmd",
            "signing_key.priv",
            ".version",
            ".kbuild/include/generated/autoconf.h",
        ] {
            assert!(!taken(path, during), "{path}");
        }
    }
}
