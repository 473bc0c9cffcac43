//! What is refused before rpmbuild starts: with the documented exit code, with what to do, and without a trace.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::kbuild::{Kbuild, Outcome};
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{is_root, require, require_root, source};

/// Runs kbuild with stand-ins that must not be called, and checks that it refuses and leaves no trace.
#[track_caller]
fn refused<'a>(sandbox: &'a Sandbox, srpm: &Path, change: impl Fn(Kbuild<'a>) -> Kbuild<'a>, code: i32) -> Outcome {
    let fakes = ["rpmbuild", "rpmspec", "useradd"].map(|name| sandbox.fake(name, "exit 1"));
    let before = sandbox.snapshot();
    // What is refused is refused by the plan, too.
    let planned = change(sandbox.plan(srpm, "20").fakes(&fakes)).refused(code);
    let outcome = change(sandbox.ipvs(srpm, "20").fakes(&fakes)).refused(code);
    let reason = |outcome: &Outcome| outcome.stderr.split_once("error: ").unwrap().1.to_owned();
    assert_eq!(reason(&planned).replace("Usage: kbuild plan", "Usage: kbuild ipvs"), reason(&outcome));
    let after = sandbox.snapshot();
    let left: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert_eq!(after, before, "left behind: {left:?}\n{outcome}");
    for fake in &fakes {
        assert!(fake.calls().is_empty(), "{} was called: {:?}\n{outcome}", fake.name, fake.calls());
        fs_err::remove_dir_all(sandbox.path().join("record").join(&fake.name)).unwrap();
        fs_err::remove_file(&fake.path).unwrap();
    }
    outcome
}

/// An ordinary toy, for requests that are wrong in another way.
fn toy(sandbox: &Sandbox) -> PathBuf {
    sandbox.srpm(&Toy::unmodified())
}

#[test]
fn bits_outside_the_range_of_the_trees_own_kconfig() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    for bits in ["7", "21", "27", "1", "31", "20,21"] {
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--bits", bits), 3);
        outcome.says("bits are outside the range of this kernel, 8..20").says("net/netfilter/ipvs/Kconfig");
        outcome.says("hint: ask for a value in 8..20");
    }
}

#[test]
fn the_range_is_the_trees_and_not_the_recipes() {
    let toy = Toy::new().replace("linux/net/netfilter/ipvs/Kconfig", "\trange 8 20\n", "\trange 8 18\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild, 3);
    outcome.says("8..18").says("net/netfilter/ipvs/Kconfig");
    let wider = Toy::new().replace("linux/net/netfilter/ipvs/Kconfig", "\trange 8 20\n", "\trange 8 27\n");
    let srpm = sandbox.srpm(&wider.pack());
    sandbox.plan(&srpm, "24").exits(0);
}

#[test]
fn bits_that_are_no_number() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    for bits in ["abc", "", "20.0", "-1", "0x14", "20,", "20;18", " 20"] {
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--bits", bits), 2);
        outcome.says("--bits");
    }
    for bits in ["0", "32", "4294967316"] {
        refused(&sandbox, &srpm, |kbuild| kbuild.instead("--bits", bits), 2).says("from 1 to 31");
    }
}

#[test]
fn what_is_no_rpm() {
    let sandbox = Sandbox::new();
    let text = sandbox.input("text.src.rpm", "This is no package.\n");
    let empty = sandbox.input("empty.src.rpm", "");
    let short = sandbox.input("short.src.rpm", b"\xed\xab\xee\xdb");
    for file in [text, empty] {
        let outcome = refused(&sandbox, &file, |kbuild| kbuild, 6);
        outcome.says("is not an RPM package").says(file.to_str().unwrap());
    }
    refused(&sandbox, &short, |kbuild| kbuild, 6).says("damaged or cut off");
}

#[test]
fn a_file_that_is_not_there() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path().join("in/missing.src.rpm");
    refused(&sandbox, &missing, |kbuild| kbuild, 5).says("missing.src.rpm").says("No such file");
    refused(&sandbox, &sandbox.path().join("in"), |kbuild| kbuild, 5).says("it is a directory");
}

#[test]
fn a_binary_package() {
    if !require("rpmbuild") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new();
    let binary = sandbox.input("kernel.rpm", fs_err::read(source::binary(dir.path())).unwrap());
    let outcome = refused(&sandbox, &binary, |kbuild| kbuild, 6);
    outcome.says("is a binary package (noarch), expected a source package").says("hint: take the package that ends in");
}

#[test]
fn a_source_package_cut_off_at_any_length() {
    let sandbox = Sandbox::new();
    let whole = fs_err::read(Toy::unmodified().path).unwrap();
    let lengths = (0..20).map(|step| whole.len() * step / 20).skip(1).chain([whole.len() - 1]);
    for length in lengths {
        let cut = sandbox.input("cut.src.rpm", &whole[..length]);
        let outcome = refused(&sandbox, &cut, |kbuild| kbuild, 6);
        outcome.says("cut.src.rpm").says("cut off");
    }
}

#[test]
fn a_source_package_with_something_behind_its_end() {
    let sandbox = Sandbox::new();
    let mut longer = fs_err::read(Toy::unmodified().path).unwrap();
    longer.extend_from_slice(b"more than the package");
    let srpm = sandbox.input("longer.src.rpm", longer);
    refused(&sandbox, &srpm, |kbuild| kbuild, 6);
}

/// Returns where the payload begins: the header's last part is followed by gzip's magic number.
fn payload(package: &[u8]) -> usize {
    package.windows(3).rposition(|bytes| bytes == [0x1f, 0x8b, 0x08]).unwrap()
}

#[test]
fn a_byte_that_was_flipped_in_the_payload() {
    let sandbox = Sandbox::new();
    let whole = fs_err::read(Toy::unmodified().path).unwrap();
    // Behind gzip's own header, which holds a date that nobody reads.
    let start = payload(&whole) + 10;
    for step in 0..20 {
        let mut flipped = whole.clone();
        flipped[start + (whole.len() - start) * step / 20] ^= 0x01;
        let srpm = sandbox.input("flipped.src.rpm", flipped);
        refused(&sandbox, &srpm, |kbuild| kbuild, 6).says("flipped.src.rpm");
    }
}

#[test]
fn a_byte_that_was_flipped_where_only_the_digest_of_the_payload_tells() {
    let sandbox = Sandbox::new();
    let whole = fs_err::read(Toy::unmodified().path).unwrap();
    // The date in gzip's header, and the checksum at its end: rpm refuses both.
    for at in [payload(&whole) + 5, whole.len() - 1, whole.len() - 7] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x01;
        let srpm = sandbox.input("flipped.src.rpm", flipped);
        refused(&sandbox, &srpm, |kbuild| kbuild, 6).says("flipped.src.rpm");
    }
}

#[test]
fn a_byte_that_was_flipped_in_the_header() {
    let sandbox = Sandbox::new();
    let whole = fs_err::read(Toy::unmodified().path).unwrap();
    // The lead (96 bytes) and the signature's index come first: what is behind them is covered by digests.
    let end = payload(&whole);
    for step in 10..20 {
        let mut flipped = whole.clone();
        flipped[end * step / 20] ^= 0x01;
        let srpm = sandbox.input("flipped.src.rpm", flipped);
        refused(&sandbox, &srpm, |kbuild| kbuild, 6).says("flipped.src.rpm");
    }
}

#[test]
fn a_package_that_nobody_has_signed() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.without("--allow-unsigned"), 6);
    outcome.says("is not signed").says("hint: ").says("--allow-unsigned");
}

#[test]
fn a_source_without_the_option() {
    let toy = Toy::new().replace("config-generic", "CONFIG_IP_VS_TAB_BITS=12\n", "");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild, 7);
    outcome.says("`config-generic` has no line").says("CONFIG_IP_VS_TAB_BITS").says("hint: ");
}

#[test]
fn a_kernel_with_ipvs_built_in() {
    let sandbox = Sandbox::new();
    let built_in = Toy::new().replace("config-generic", "CONFIG_IP_VS=m\n", "CONFIG_IP_VS=y\n");
    let srpm = sandbox.srpm(&built_in.pack());
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild, 3);
    outcome.says("`config-generic` of `kernel-2.6.32-220.13.1.el6` says CONFIG_IP_VS=y, expected =m");
    outcome.says("hint: say `--set CONFIG_IP_VS=m`");
    sandbox.plan(&srpm, "20").args(["--set", "CONFIG_IP_VS=m"]).exits(0);
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--set", "CONFIG_IP_VS=n"]), 2);
    outcome.says("`--set CONFIG_IP_VS=n` leaves no module, expected CONFIG_IP_VS=m");
}

#[test]
fn a_symbol_that_no_config_source_names_is_warned_of() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let outcome = sandbox.plan(&srpm, "20").args(["--set", "CONFIG_IP_VS_TYPO=y"]).exits(0);
    outcome.prints("no config source names CONFIG_IP_VS_TYPO");
}

#[test]
fn the_same_patch_twice() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let dir = tempfile::tempdir().unwrap();
    let patch = dir.path().join("a.patch");
    fs_err::write(&patch, "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-a\n+b\n").unwrap();
    let twice = |kbuild: Kbuild<'_>| kbuild.arg("--patch").arg(&patch).arg("--patch").arg(&patch).refused(2);
    twice(sandbox.plan(&srpm, "20")).says("`--patch` names `a.patch` twice");
    twice(sandbox.ipvs(&srpm, "20")).says("`--patch` names `a.patch` twice");
}

#[test]
fn a_spec_with_two_buildid_lines() {
    let marker = "# % define buildid .local\n";
    let sandbox = Sandbox::new();
    let two = Toy::new().replace("kernel.spec", marker, &format!("{marker}{marker}"));
    let srpm = sandbox.srpm(&two.pack());
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild, 7);
    outcome.says("the release cannot be marked: 2 lines could carry `.ipvs_20bit`").says("expected exactly one marker");
    outcome.says("(line 16 of `kernel.spec`, line 17 of `kernel.spec`)").says("hint: remove the extra lines");
    // Of two that are in force the second counts, and that is proved: it is extended.
    let active = "%define buildid .a\n%define buildid .b\n";
    let srpm = sandbox.srpm(&Toy::new().replace("kernel.spec", marker, active).pack());
    sandbox.plan(&srpm, "20").exits(0).prints("+ %define buildid .b.ipvs_20bit").prints("el6.b.ipvs_20bit (");
}

#[test]
fn a_patch_hook_that_holds_a_patch_already() {
    let toy = Toy::new().append("linux-kernel-test.patch", "--- a/x\n+++ b/x\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let patch = sandbox.input("a.patch", "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-VERSION = 2\n+VERSION = 3\n");
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.arg("--patch").arg(&patch), 7);
    outcome.says("`linux-kernel-test.patch` already holds");
}

#[test]
fn a_layout_that_no_recipe_knows() {
    if !require("rpmbuild") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new();
    let take = |made: PathBuf| sandbox.input(made.file_name().unwrap().to_str().unwrap(), fs_err::read(&made).unwrap());
    let other_spec = take(source::package(dir.path(), "linux.spec", "220.13.1.el6"));
    let outcome = refused(&sandbox, &other_spec, |kbuild| kbuild, 3);
    outcome.says("has no `kernel.spec`").says("`el6`").says("hint: pass the recipe that fits");

    // Of the right family by its release, and not by what is in it.
    let other_release = take(source::package(dir.path(), "kernel.spec", "1160.el7"));
    let outcome = refused(&sandbox, &other_release, |kbuild| kbuild, 3);
    outcome.says("does not set the option as the recipe `el7` knows it").says("listnewconfig").says("hint: ");

    let no_dist = take(source::package(dir.path(), "kernel.spec", "1"));
    let outcome = refused(&sandbox, &no_dist, |kbuild| kbuild, 3);
    outcome
        .says("no recipe is for `kernel-2.6.32-1`")
        .says("config sources with CONFIG_IP_VS_TAB_BITS: config-generic");
}

#[test]
fn a_conditional_that_the_spec_does_not_have() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--without", "debuginfos"]), 3);
    outcome.says("`kernel.spec` knows no `--without debuginfos`").says("hint: did you mean `debuginfo`?");
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--with", "nonsense"]), 3);
    outcome.says("`kernel.spec` knows no `--with nonsense`").says("hint: it has baseonly, ");
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--without", "firmware"]), 3);
    outcome
        .says("`--without firmware` contradicts `--with firmware`, which the recipe `el6` says")
        .says("hint: leave out");
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--with", "perf", "--without", "perf"]), 3);
    outcome.says("`--with perf` contradicts `--without perf`, which the command line says");
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--profile", "fleet", "--with", "perf"]), 3);
    outcome.says("`--with perf` contradicts `--without perf`, which the profile `fleet` says");
}

#[test]
fn a_host_without_rpmbuild() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let before = sandbox.snapshot();
    let nothing = sandbox.home();
    let outcome = sandbox.ipvs(&srpm, "20").env("PATH", &nothing).refused(4);
    outcome.says("error: not found on PATH: `rpmbuild`").says("hint: install with `apt-get install rpm` (Debian)");
    // A plan is for machines that have it, too, and says that this one has not.
    let planned = sandbox.plan(&srpm, "20").env("PATH", &nothing).exits(0);
    planned.prints("\n    rpmbuild -bb ").prints("problem  programs        not found on PATH: `rpmbuild`");
    // Of a release that is still to be fetched there is none.
    let named = sandbox.plan(&srpm, "20").without("--srpm").without(srpm.to_str().unwrap());
    named
        .args(["--release", "2.6.32-220.13.1.el6", "--mirror"])
        .arg(srpm.parent().unwrap())
        .env("PATH", &nothing)
        .refused(4);
    assert_eq!(sandbox.snapshot(), before);
    if is_root() {
        assert!(!sandbox.user().exists());
    }
}

#[test]
fn a_host_that_cannot_boot_is_told_before_the_build() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let before = sandbox.snapshot();
    let outcome = sandbox.ipvs(&srpm, "20").arg("--boot").env("PATH", sandbox.home()).refused(4);
    outcome.says("`qemu-system-x86_64`, `busybox`").says("busybox-static");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn a_work_directory_that_an_ordinary_user_cannot_write() {
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = toy(&sandbox);
    let locked = sandbox.path().join("locked");
    fs_err::create_dir(&locked).unwrap();
    fs_err::set_permissions(&locked, PermissionsExt::from_mode(0o555)).unwrap();
    for work in [locked.clone(), locked.join("work"), locked.join("a/b/c")] {
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--work", &work), 4);
        outcome.says("cannot write to").says(locked.to_str().unwrap()).says("hint: ");
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--out", &work), 4);
        outcome.says("cannot write to").says("hint: ");
    }
}

#[test]
fn a_work_directory_that_the_builder_cannot_reach() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let private = sandbox.path().join("private");
    fs_err::create_dir_all(private.join("there")).unwrap();
    fs_err::set_permissions(&private, PermissionsExt::from_mode(0o700)).unwrap();
    for work in [private.join("there"), private.join("work"), private.join("a/b")] {
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--work", &work), 4);
        outcome.says("cannot enter").says(private.to_str().unwrap()).says("hint: ");
    }
    // Root may write there, so results may go there.
    sandbox.plan(&srpm, "20").instead("--out", private.join("out")).exits(0);
}

#[test]
fn a_work_directory_of_somebody_else() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let work = sandbox.path().join("of-root");
    fs_err::create_dir(&work).unwrap();
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--work", &work), 4);
    outcome.says("cannot write to").says("hint: name another directory");
}

#[test]
fn a_work_directory_that_is_none() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let dangling = sandbox.path().join("dangling");
    std::os::unix::fs::symlink(sandbox.path().join("nowhere"), &dangling).unwrap();
    for work in [srpm.clone(), srpm.join("below"), dangling] {
        refused(&sandbox, &srpm, |kbuild| kbuild.instead("--work", &work), 4).says("hint: name another");
        refused(&sandbox, &srpm, |kbuild| kbuild.instead("--out", &work), 4).says("hint: name another");
    }
}

#[test]
fn a_work_directory_whose_name_rpm_and_specs_cannot_take() {
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    // Specs do not quote `$RPM_BUILD_ROOT`, and rpm expands macros in `_topdir`.
    for name in ["with space", "with%{macro}", "with'quote"] {
        let work = sandbox.path().join(name);
        refused(&sandbox, &srpm, |kbuild| kbuild.instead("--work", &work), 4).says("--work");
    }
}

#[test]
fn results_below_the_work_directory() {
    // Root would write where the builder can put links, and the working tree is removed at every run.
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = toy(&sandbox);
        for out in [sandbox.work(), sandbox.work().join("out"), sandbox.work().join("rpmbuild/RPMS")] {
            refused(&sandbox, &srpm, |kbuild| kbuild.instead("--out", &out), 4).says("--out");
        }
    }
}

#[test]
fn root_as_the_builder() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = toy(&sandbox);
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.instead("--user", "root"), 4);
    outcome.says("`root` is root, and rpmbuild never runs as root").says("hint: leave out `--user`");
}

#[test]
fn another_builder_than_the_ordinary_user_that_asks() {
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = toy(&sandbox);
    for other in ["root", "nobody", "no-such-account"] {
        let outcome = refused(&sandbox, &srpm, |kbuild| kbuild.args(["--user", other]), 4);
        outcome.says(other).says("hint: leave out `--user`");
    }
}

#[test]
fn a_source_package_without_its_tarball() {
    // As ELRepo packs them.
    let toy = Toy::new().replace("kernel.spec", "\nSource15: merge.pl\n", "\nSource15: merge.pl\nNoSource: 0\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = refused(&sandbox, &srpm, |kbuild| kbuild, 6);
    outcome.says("does not carry `linux-2.6.32-220.13.1.el6.tar.bz2`").says("hint: ").says("NoSource");
}

#[test]
fn a_lock_file_that_is_not_there_is_missed_before_anything_is_read() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path().join("missing.src.rpm");
    sandbox.plan(&missing, "20").arg("--locked").refused(3).says("kbuild.lock");
}
