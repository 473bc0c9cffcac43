//! The program before the compiler, by itself, in a tree that is no more than a few files: what ccache takes no notice of.

use std::path::{Path, PathBuf};

use crate::support::sandbox::Sandbox;
use crate::support::{require, which};

/// A tree of that name, and the same in two.
fn tree(sandbox: &Sandbox, name: &str) -> PathBuf {
    let top = sandbox.path().join(name);
    for (file, text) in [
        ("Makefile", "all:\n"),
        ("scripts/Makefile.build", ""),
        ("include/generated/autoconf.h", "#define CONFIG_IP_VS_TAB_BITS 18\n#define CONFIG_X 1\n"),
        ("x.c", "int x = 1;\n"),
        ("entry.S", ".globl entry\nentry:\n ret\n"),
    ] {
        write(&top.join(file), text);
    }
    top
}

fn write(file: &Path, text: &str) {
    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
    fs_err::write(file, text).unwrap();
}

/// What has the kernel's configuration.
const KERNEL: &str = "gcc -Iinclude -include include/generated/autoconf.h";

/// Runs a line of the shell in a tree with the program before the compiler, and a cache at that place or `off`; `words` follow.
fn run(sandbox: &Sandbox, top: &Path, cache: &str, line: &str, words: &[&str]) {
    let line = format!("cd {} && {line}", top.display());
    let work = sandbox.path().join(if cache == "off" { "uncached" } else { "cached" });
    let kbuild = sandbox.kbuild().arg("compilers").arg(work).args([cache, "sh", "-e", "-c", &line, "sh"]);
    // As of a test that has changed it.
    let path = format!("{}:{}", sandbox.path().join("bin").display(), std::env::var("PATH").unwrap());
    kbuild.args(words).env("PATH", path).exits(0);
}

/// Whether an object of a tree is the one that is compiled without the cache.
fn is_right(sandbox: &Sandbox, top: &Path, line: &str, words: &[&str], object: &str) -> bool {
    let object = top.join(object);
    run(sandbox, top, "local", line, words);
    let with = fs_err::read(&object).unwrap();
    fs_err::remove_file(&object).unwrap();
    run(sandbox, top, "off", line, words);
    let without = fs_err::read(&object).unwrap();
    fs_err::remove_file(&object).unwrap();
    with == without
}

fn ready() -> bool {
    ["ccache", "gcc"].into_iter().all(require)
}

#[test]
fn the_assembler_does_not_write_an_earlier_trees_place_into_an_object() {
    if !ready() {
        return;
    }
    let line = format!("{KERNEL} -D__ASSEMBLY__ -Wa,-gdwarf-2 -c -o entry.o entry.S");
    // Without packages of debugging information the place is left out, with them it is the tree's own.
    for (words, is_named) in [(["--without", "debuginfo"].as_slice(), false), (&[], true)] {
        let sandbox = Sandbox::new();
        for name in ["linux-1.el6.a", "linux-1.el6.b"] {
            let top = tree(&sandbox, name);
            assert!(is_right(&sandbox, &top, &line, words, "entry.o"), "{name} {words:?}");
            run(&sandbox, &top, "local", &line, words);
            let object = fs_err::read(top.join("entry.o")).unwrap();
            let named = memchr::memmem::find(&object, name.as_bytes()).is_some();
            assert_eq!(named, is_named, "{name} {words:?}");
        }
    }
}

#[test]
fn rules_that_a_call_names_are_not_taken_for_the_compiler_itself() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let top = tree(&sandbox, "linux");
    let line = format!("{KERNEL} -specs={}/rules -c -o x.o x.c", top.display());
    write(&top.join("x.c"), "int x = VALUE;\n");
    for value in [1, 2] {
        write(&top.join("rules"), &format!("*cpp:\n+ -DVALUE={value}\n\n"));
        assert!(is_right(&sandbox, &top, &line, &[], "x.o"), "{value}");
    }
}

#[test]
fn a_header_that_now_hides_another_one_of_the_builds_own_programs_is_seen() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let top = tree(&sandbox, "linux");
    write(&top.join("second/h.h"), "int x = 2;\n");
    write(&top.join("scripts/tool.c"), "#include <h.h>\n");
    let line = "mkdir -p first && gcc -Ifirst -Isecond -c -o tool.o scripts/tool.c";
    assert!(is_right(&sandbox, &top, line, &[], "tool.o"));
    write(&top.join("first/h.h"), "int x = 1;\n");
    assert!(is_right(&sandbox, &top, line, &[], "tool.o"));
}

#[test]
fn what_the_assembler_reads_by_itself_is_read_whatever_stands_around_it() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let top = tree(&sandbox, "linux");
    let line = format!("{KERNEL} -c -o x.o x.c");
    write(&top.join("x.c"), "asm(\".incbin\\t\" \"\\\"data\\\"\");\n");
    for data in ["one", "two"] {
        write(&top.join("data"), data);
        assert!(is_right(&sandbox, &top, &line, &[], "x.o"), "{data}");
    }
}

#[test]
fn a_compiler_that_is_replaced_during_a_build_does_not_leave_its_objects_as_the_old_ones() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let top = tree(&sandbox, "linux");
    write(&top.join("x.c"), "#ifndef NEW\n#define NEW 0\n#endif\nint x = NEW;\n");
    let gcc = sandbox.path().join("bin/gcc");
    let compiler = |flag: &str| format!("#!/bin/sh\nexec {} \"$@\" {flag}\n", which("gcc").unwrap().display());
    let put = |flag: &str| {
        write(&gcc, &compiler(flag));
        fs_err::set_permissions(&gcc, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let compile = format!("{KERNEL} -c -o x.o x.c");
    put("");
    write(&sandbox.path().join("newer"), &compiler("-DNEW=1"));
    // An update comes between make's question and the compilation.
    let newer = sandbox.path().join("newer").display().to_string();
    let line = format!("gcc --version > version && chmod 755 {newer} && mv {newer} {} && {compile}", gcc.display());
    run(&sandbox, &top, "local", &line, &[]);
    let new = fs_err::read(top.join("x.o")).unwrap();
    put("");
    fs_err::remove_file(top.join("x.o")).unwrap();
    run(&sandbox, &top, "local", &compile, &[]);
    assert!(fs_err::read(top.join("x.o")).unwrap() != new, "the old compiler's object is the new one's");
    assert!(is_right(&sandbox, &top, &compile, &[], "x.o"));
}
