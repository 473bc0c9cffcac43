//! `kbuild verify`: the truth about packages that anybody built, and nothing but.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSymbol};

use crate::support::built::Built;
use crate::support::kbuild::Outcome;
use crate::support::package::{extract, find, repack};
use crate::support::require;
use crate::support::sandbox::Sandbox;

/// `kbuild verify --bits BITS PACKAGES` must end with this exit code.
#[track_caller]
fn verify(bits: &str, packages: &[&Path], code: i32) -> Outcome {
    Sandbox::new().kbuild().args(["verify", "--bits", bits]).args(packages).exits(code)
}

#[test]
fn built_packages_hold_what_was_asked() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let outcome = verify("20", &[&built.out], 0);
    let of_level = |level| outcome.stdout.lines().filter(|line| line.starts_with(level)).collect::<Vec<_>>();
    // kernel and kernel-debug: config and module; both -devel: config.
    assert_eq!(of_level("level 3").len(), 4, "{outcome}");
    assert_eq!(of_level("level 4").len(), 2, "{outcome}");
    assert!(outcome.stdout.lines().all(|line| line.contains("  holds: ")), "{outcome}");
    outcome.prints("passes 0x1000000 to `vmalloc`");
    assert_eq!(outcome.stderr, "");
    // Packages may be named, too.
    verify("20", &[&built.package("kernel"), &built.package("kernel-devel")], 0);
}

#[test]
fn packages_with_the_parameter_hold_it_as_a_default() {
    if require("rpmbuild") {
        verify("20", &[&Built::parameter().out], 0).prints("20 bits by default");
    }
}

#[test]
fn another_value_than_asked_is_exit_9() {
    if !require("rpmbuild") {
        return;
    }
    for built in [Built::toy(), Built::parameter()] {
        let outcome = verify("18", &[&built.out], 9);
        outcome.prints("DIFFERS: expected 18 bits, found 20 bits");
        outcome.prints("DIFFERS: expected CONFIG_IP_VS_TAB_BITS=18, found CONFIG_IP_VS_TAB_BITS=20");
        outcome.says("error: the packages do not hold what was asked");
    }
}

#[test]
fn findings_as_json_are_one_object_per_line() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let built = Built::toy();
    let run = |bits, code| {
        sandbox.kbuild().args(["verify", "--format", "json", "--bits", bits]).arg(&built.out).exits(code).json_lines()
    };
    let verdicts: Vec<_> =
        run("20", 0).iter().filter_map(|line| line["verdict"]["is"].as_str().map(str::to_owned)).collect();
    assert_eq!(verdicts, ["holds"; 6]);
    let last = run("18", 9).pop().unwrap();
    assert_eq!((&last["event"], &last["exit-code"]), (&"error".into(), &9.into()), "{last}");
}

#[test]
fn a_flipped_byte_in_the_payload_is_caught() {
    if !require("rpmbuild") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let package = Built::toy().package("kernel");
    let whole = fs_err::read(&package).unwrap();
    let copy = dir.path().join(package.file_name().unwrap());
    // The payload is at the end; what is before it is the header.
    for at in (1..10).map(|tenth| whole.len() - whole.len() * tenth / 20) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs_err::write(&copy, flipped).unwrap();
        let outcome = verify("20", &[&copy], 9);
        outcome.says("error: ").says(package.file_name().unwrap().to_str().unwrap());
    }
    // A byte of the header, and a package that is cut off.
    let mut flipped = whole.clone();
    let source = b"kernel-2.6.32-220.13.1.el6.ipvs_20bit.src.rpm";
    let at = whole.windows(source.len()).position(|window| window == source).unwrap();
    flipped[at] ^= 0x10;
    fs_err::write(&copy, flipped).unwrap();
    verify("20", &[&copy], 9);
    fs_err::write(&copy, &whole[..whole.len() - 100]).unwrap();
    verify("20", &[&copy], 9);
}

/// The files of a built kernel package, to be changed and packed again.
struct Opened {
    dir: tempfile::TempDir,
}

impl Opened {
    fn new(package: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("root")).unwrap();
        extract(package, &dir.path().join("root"));
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Replaces bytes in the one file of this name: as many as there were, in the only place where they are.
    #[track_caller]
    fn change(&self, file: &str, from: &[u8], to: &[u8]) {
        let path = find(&self.root(), file);
        let mut bytes = fs_err::read(&path).unwrap();
        let places: Vec<_> =
            bytes.windows(from.len()).enumerate().filter(|(_, part)| *part == from).map(|(at, _)| at).collect();
        let [at] = places.as_slice() else { panic!("{from:x?} in {file} at {places:?}") };
        bytes.splice(at..&(at + from.len()), to.iter().copied());
        fs_err::write(path, bytes).unwrap();
    }

    /// Changes the initial value of a variable of the module `ip_vs`.
    fn set(&self, variable: &str, value: u32) {
        let path = find(&self.root(), "ip_vs.ko");
        let mut bytes = fs_err::read(&path).unwrap();
        let at = {
            let elf = object::File::parse(&*bytes).unwrap();
            let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(variable)).unwrap();
            let section = elf.section_by_index(symbol.section_index().unwrap()).unwrap();
            usize::try_from(section.file_range().unwrap().0 + symbol.address()).unwrap()
        };
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        fs_err::write(path, bytes).unwrap();
    }

    #[track_caller]
    fn verified(&self, code: i32) -> Outcome {
        verify("20", &[&repack(&self.root())], code)
    }
}

/// What `ip_vs_conn_init` passes to vmalloc, for 20 and for 18 bits: `mov edi, 16 << BITS`.
const ALLOCATES: [[u8; 5]; 2] = [[0xbf, 0x00, 0x00, 0x00, 0x01], [0xbf, 0x00, 0x00, 0x40, 0x00]];
/// What it prints: `mov esi, 1 << BITS`.
const PRINTS: [[u8; 5]; 2] = [[0xbe, 0x00, 0x00, 0x10, 0x00], [0xbe, 0x00, 0x00, 0x04, 0x00]];

#[test]
fn packing_again_alone_changes_nothing() {
    if require("rpmbuild") {
        Opened::new(&Built::toy().package("kernel")).verified(0);
    }
}

#[test]
fn a_module_that_was_tampered_with_is_caught_though_its_package_is_in_order() {
    if !require("rpmbuild") {
        return;
    }
    let opened = Opened::new(&Built::toy().package("kernel"));
    opened.change("ip_vs.ko", &ALLOCATES[0], &ALLOCATES[1]);
    opened.change("ip_vs.ko", &PRINTS[0], &PRINTS[1]);
    let outcome = opened.verified(9);
    let module = outcome.stdout.lines().find(|line| line.starts_with("level 4")).unwrap();
    assert!(module.contains("DIFFERS: expected 20 bits, found 18 bits"), "{outcome}");
    // The config still says 20, and is not believed.
    let config = outcome.stdout.lines().find(|line| line.starts_with("level 3")).unwrap();
    assert!(config.contains("holds"), "{outcome}");
}

#[test]
fn a_module_that_allocates_another_table_than_it_prints_is_no_pass() {
    if !require("rpmbuild") {
        return;
    }
    let opened = Opened::new(&Built::toy().package("kernel"));
    opened.change("ip_vs.ko", &ALLOCATES[0], &ALLOCATES[1]);
    let outcome = opened.verified(9);
    let module = outcome.stdout.lines().find(|line| line.starts_with("level 4")).unwrap();
    assert!(!module.contains("holds"), "{outcome}");
    outcome.prints("passes 0x400000 to `vmalloc`").prints("1048576 entries");
}

#[test]
fn a_parameter_whose_default_was_tampered_with_is_caught() {
    if !require("rpmbuild") {
        return;
    }
    let opened = Opened::new(&Built::parameter().package("kernel"));
    opened.set("ip_vs_conn_tab_bits", 18);
    opened.verified(9).prints("DIFFERS: expected 20 bits, found 18 bits");
}

#[test]
fn a_config_that_was_tampered_with_is_caught() {
    if !require("rpmbuild") {
        return;
    }
    let opened = Opened::new(&Built::toy().package("kernel"));
    let name = "config-2.6.32-220.13.1.el6.ipvs_20bit.x86_64";
    opened.change(name, b"CONFIG_IP_VS_TAB_BITS=20", b"CONFIG_IP_VS_TAB_BITS=18");
    opened.verified(9).prints("DIFFERS: expected CONFIG_IP_VS_TAB_BITS=20, found CONFIG_IP_VS_TAB_BITS=18");
}

#[test]
fn a_module_that_cannot_be_read_is_never_a_pass() {
    if !require("rpmbuild") {
        return;
    }
    let opened = Opened::new(&Built::toy().package("kernel"));
    fs_err::write(find(&opened.root(), "ip_vs.ko"), "no ELF at all").unwrap();
    let outcome = opened.verified(9);
    let module = outcome.stdout.lines().find(|line| line.starts_with("level 4")).unwrap();
    assert!(!module.contains("holds") && module.contains("not an ELF file"), "{outcome}");
}

#[test]
fn packages_without_the_module_are_not_checked_and_exit_9() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    for name in ["kernel-firmware", "kernel-debuginfo", "kernel-devel"] {
        let outcome = verify("20", &[&built.package(name)], 9);
        outcome.prints("level 4  ip_vs.ko  not checked: a kernel's ip_vs.ko is in none of the packages");
    }
}

#[test]
fn where_there_are_no_packages_it_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let place = format!("found none in `{}`", dir.path().display());
    verify("20", &[dir.path()], 2).says("error: expected packages").says(&place);
    verify("20", &[&dir.path().join("missing")], 2).says("missing");
    verify("abc", &[dir.path()], 2);
    let text = dir.path().join("text.rpm");
    fs_err::write(&text, "no package\n").unwrap();
    verify("20", &[&text], 9).says("text.rpm");
}
