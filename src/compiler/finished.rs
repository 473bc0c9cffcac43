//! What of the finished tree of one kernel another one can go on with that differs in nothing but what varies.

use std::path::Path;

use super::autoconf::VARYING;
use super::tree::Tree;

/// Directories that hold nothing but what make writes in them: since Linux 2.6.33, and since 2.6.39 for those of
/// architectures (scripts/kconfig/confdata.c, arch/x86/Makefile).
const MADE: [&str; 2] = ["include/config/", "include/generated/"];
/// What kconfig writes before anything is compiled: what the options were, to mark those that have changed
/// (scripts/kconfig/confdata.c, since Linux 2.6.15).
pub const AUTO_CONF: &str = "include/config/auto.conf";
/// Programs with rules of their own (tools/build), whose commands hold the place of the tree.
const TOOLS: &str = "tools/";

/// Whether two configurations set the same options, but for those that vary. Comments do not count: the first ones hold the
/// release.
#[must_use]
pub fn same_options(one: &str, other: &str) -> bool {
    options(one).eq(options(other))
}

/// The lines of a configuration that set an option that does not vary, to `n` by a comment.
fn options(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter(|line| {
        let name = match line.strip_prefix("# ") {
            Some(comment) => comment.strip_suffix(" is not set"),
            None => line.split('=').next(),
        };
        name.is_some_and(|name| !name.is_empty() && !VARYING.contains(&name))
    })
}

/// Whether files were compiled with debugging information, which holds the place of the tree unless that is mapped.
#[must_use]
pub fn has_debug_info(config: &str) -> bool {
    config.lines().any(|line| line == "CONFIG_DEBUG_INFO=y")
}

/// Whether two trees were compiled by the same compiler, and `#include` can find the same names in both.
#[must_use]
pub fn same_ground(one: &Tree, other: &Tree) -> bool {
    (&one.identity, &one.names) == (&other.identity, &other.names)
}

/// What is written down of a source that saw, or may have seen, what varies: what it was compiled to, without its ending
/// and without what old kernels put before it until it is finished (scripts/Makefile.build until Linux 5.13).
#[must_use]
pub fn saw(output: &Path) -> Option<String> {
    let name = output.file_stem()?.to_str()?;
    let name = name.strip_prefix(".tmp_").unwrap_or(name);
    Some(output.with_file_name(name).to_str()?.trim_start_matches("./").to_owned())
}

/// Whether a file that only the finished tree has is one that make made there, and has a command written down for, so that it
/// makes it again if anything of that has changed. `path` is below the top of the tree, `has_command` says whether there is a
/// command beside a file of that path, `saw` is what [`saw`] wrote down, line by line.
///
/// Keys are none: a throw-away key is another one for each kernel.
#[must_use]
pub fn is_taken(path: &str, has_command: impl Fn(&str) -> bool, saw: &[&str]) -> bool {
    let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
    let beside = |name: &str| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    // Of `a/.x.o.cmd` and `a/.x.o.d` the file that they are about.
    let about = name.strip_prefix('.').and_then(|name| name.strip_suffix(".cmd").or_else(|| name.strip_suffix(".d")));
    let about = about.unwrap_or(name);
    let stem = about.rsplit_once('.').map_or(about, |(stem, _)| stem);
    let is_key = about.contains("signing_key") || Path::new(about).extension().is_some_and(|ending| ending == "priv");
    if is_key || path.starts_with(TOOLS) || saw.contains(&beside(stem).as_str()) {
        return false;
    }
    is_made(path) || has_command(&beside(about))
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
        assert!(has_debug_info("CONFIG_DEBUG_INFO=y\n") && !has_debug_info("CONFIG_DEBUG_INFO_NONE=y\n"));
        let tree =
            |names: &str, identity: &str| Tree { names: names.into(), identity: identity.into(), ..Tree::default() };
        assert!(same_ground(&tree("a", "b"), &tree("a", "b")));
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
    fn only_what_make_made_and_knows_how_is_taken() {
        let commands =
            ["net/x.o", "net/y.o", "vmlinux", "certs/signing_key.pem", "tools/objtool/objtool", "kernel/bounds.s"];
        let taken = |path: &str| is_taken(path, |file| commands.contains(&file), &["net/x", "kernel/z"]);
        for path in [
            "net/y.o",
            "net/.y.o.cmd",
            "net/.y.o.d",
            "vmlinux",
            ".vmlinux.cmd",
            "kernel/bounds.s",
            "include/config/auto.conf",
            "include/config/x25.h",
            "include/generated/utsrelease.h",
            "arch/x86/include/generated/asm/a.h",
        ] {
            assert!(taken(path), "{path}");
        }
        for path in [
            "net/x.o",
            "net/.x.o.cmd",
            "net/x.ko",
            "kernel/z.o",
            "configs/kernel.config",
            "certs/signing_key.pem",
            "certs/.signing_key.pem.cmd",
            "signing_key.priv",
            "tools/objtool/objtool",
            ".version",
            "usr/include/linux/a.h",
            "include/linux/version.h",
        ] {
            assert!(!taken(path), "{path}");
        }
    }
}
