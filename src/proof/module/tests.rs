//! Modules made on the spot, read, damaged and falsified.

mod build;
mod code;
mod foreign;

use build::{HEAD, LAYOUTS, Source, compile_time, parameter};
use foreign::Foreign;
use proptest::prelude::*;

use super::{Error, Finding, Kind, inspect, modinfo};

const VARIABLE: &str = "static int ip_vs_conn_tab_bits = 20";

#[track_caller]
fn read(source: &Source) -> Finding {
    inspect(&source.build()).unwrap_or_else(|error| panic!("{error}: {source:?}"))
}

#[track_caller]
fn refused(source: &Source) -> String {
    match inspect(&source.build()) {
        Ok(finding) => panic!("read as {finding:?}: {source:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn is(source: &Source, kind: Kind, bits: u32) {
    let finding = read(source);
    assert_eq!((finding.kind, finding.bits), (kind, bits), "{finding:?}: {source:?}");
}

#[test]
fn a_parameter_is_read_in_every_layout_word_size_and_stripped_form() {
    for (version, layout) in LAYOUTS {
        let source = Source::c(parameter(layout, VARIABLE));
        for source in [source.clone(), source.i686()] {
            let finding = read(&source);
            assert_eq!((finding.kind, finding.bits, finding.bucket), (Kind::Parameter, 20, None), "{version}");
            assert!(
                finding.evidence.starts_with("`ip_vs_conn_tab_bits` in .data+0x"),
                "{version}: {}",
                finding.evidence
            );
            assert!(
                finding.evidence.contains(", set by `conn_tab_bits` in __param+0x"),
                "{version}: {}",
                finding.evidence
            );
            is(&source.clone().strip("--strip-debug"), Kind::Parameter, 20);
            let finding = read(&source.strip("--strip-unneeded"));
            assert_eq!(finding.bits, 20, "{version}");
            assert!(finding.evidence.starts_with("the variable in .data+0x"), "{version}: {}", finding.evidence);
        }
    }
}

#[test]
fn evidence_of_a_parameter_names_where_it_was_read() {
    let by_both = Source::c(parameter(LAYOUTS[2].1, VARIABLE));
    assert_eq!(
        read(&by_both).evidence,
        "`ip_vs_conn_tab_bits` in .data+0x4, set by `conn_tab_bits` in __param+0x28, holds 20"
    );
    assert_eq!(
        read(&by_both.strip("--strip-unneeded")).evidence,
        "the variable in .data+0x4, set by `conn_tab_bits` in __param+0x28, holds 20"
    );
    let by_symbol = Source::c(format!("{HEAD} int ip_vs_conn_tab_bits = 9;"));
    assert_eq!(read(&by_symbol).evidence, "`ip_vs_conn_tab_bits` in .data+0x0 holds 9");
}

#[test]
fn every_size_of_a_parameter_is_read() {
    for bits in 8..=27 {
        is(
            &Source::c(parameter(LAYOUTS[2].1, &format!("static int ip_vs_conn_tab_bits = {bits}"))),
            Kind::Parameter,
            bits,
        );
    }
}

#[test]
fn a_parameter_may_be_in_any_section() {
    for section in [".data..read_mostly", ".data.read_mostly", ".data..ro_after_init", ".sdata", ".rodata"] {
        let variable = format!("static int ip_vs_conn_tab_bits IN(\"{section}\") = 18");
        let finding = read(&Source::c(parameter(LAYOUTS[1].1, &variable)));
        assert_eq!(finding.bits, 18);
        assert!(finding.evidence.contains(&format!("`ip_vs_conn_tab_bits` in {section}+0x0")), "{}", finding.evidence);
    }
}

#[test]
fn values_that_no_table_has_are_refused() {
    for (value, found) in [("0", "0"), ("-1", "-1"), ("32", "32"), ("0x14000000", "335544320")] {
        let text = refused(&Source::c(parameter(LAYOUTS[2].1, &format!("static int ip_vs_conn_tab_bits = {value}"))));
        let section = if value == "0" { ".bss+0x0" } else { ".data+0x4" };
        assert_eq!(text, format!("`ip_vs_conn_tab_bits` in {section} holds {found}, expected 1 to 31"));
    }
    assert_eq!(
        refused(&Source::c(parameter(LAYOUTS[2].1, "static short ip_vs_conn_tab_bits = 20"))),
        "`ip_vs_conn_tab_bits` in .data+0x4 is 2 bytes long, expected 4"
    );
}

#[test]
fn a_symbol_and_an_entry_that_disagree_are_refused() {
    let text = parameter(LAYOUTS[2].1, VARIABLE).replace("bits\", ip_vs_conn_tab_bits)", "bits\", before)");
    assert_eq!(
        refused(&Source::c(&text)),
        "`ip_vs_conn_tab_bits` and parameter `conn_tab_bits` are not one variable: .data+0x0; .data+0x4"
    );
    // Without the symbol only the entry is left.
    is(&Source::c(text).strip("--strip-unneeded"), Kind::Parameter, 3);
}

#[test]
fn a_declared_parameter_without_a_variable_is_refused() {
    let declared =
        "parameter `conn_tab_bits` is declared, but neither the symbol `ip_vs_conn_tab_bits` nor `__param` leads to it";
    let text = compile_time(20) + "INFO(parmtype, \"parmtype=conn_tab_bits:int\");";
    assert_eq!(refused(&Source::c(text)), declared);
    // The entry leads out of the module.
    let text = parameter(LAYOUTS[0].1, "extern int ip_vs_conn_tab_bits").replace("INFO(parm", "// INFO(parm");
    assert_eq!(refused(&Source::c(text + compile_time(20).trim_start_matches(HEAD))), declared);
}

#[test]
fn other_machines_are_read_in_their_byte_order() {
    let machines = [
        ("aarch64", Foreign { machine: 183, big: false, absolute: 257 }),
        ("ppc64", Foreign { machine: 21, big: true, absolute: 38 }),
        ("ppc64le", Foreign { machine: 21, big: false, absolute: 38 }),
        ("s390x", Foreign { machine: 22, big: true, absolute: 22 }),
        ("ELF machine 243", Foreign { machine: 243, big: false, absolute: 2 }),
    ];
    for (name, machine) in machines {
        for bits in [8, 12, 20, 27] {
            let finding = inspect(&machine.module(Some(bits))).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((finding.kind, finding.bits), (Kind::Parameter, bits), "{name}");
            let evidence = format!("the variable in .data+0x4, set by `conn_tab_bits` in __param+0x0, holds {bits}");
            assert_eq!(finding.evidence, evidence, "{name}");
        }
        let error = inspect(&machine.module(None)).unwrap_err();
        assert_eq!(error.to_string(), format!("no decoder for {name}"));
        assert!(error.is_not_checked());
    }
}

#[test]
fn what_is_not_ip_vs_is_refused() {
    let named = |name: &str| Source::c(compile_time(20).replace("name=ip_vs", &format!("name={name}")));
    assert_eq!(refused(&named("ip_vs_rr")), "not `ip_vs`: the module is named `ip_vs_rr`");
    // Before 4.13 only `struct module` has the name.
    let this_module = |name: &str| {
        let text = compile_time(20).replace("name=ip_vs", "author=Nobody");
        Source::c(format!(
            "{text} struct {{ int state; void *list[2]; char name[56]; }} __this_module
                 IN(\".gnu.linkonce.this_module\") = {{ .name = \"{name}\" }};"
        ))
    };
    for source in [this_module("ip_vs_rr"), this_module("ip_vs_rr").i686()] {
        assert_eq!(refused(&source), "not `ip_vs`: the module is named `ip_vs_rr`");
    }
    for source in [this_module("ip_vs"), this_module("ip_vs").i686(), this_module("")] {
        is(&source, Kind::CompileTime, 20);
    }
    let nameless = compile_time(20).replace("name=ip_vs", "author=Nobody").replace("ip_vs_conn_init", "init_module");
    assert_eq!(
        refused(&Source::c(nameless)),
        "not `ip_vs`: the module has no name, no parameter `conn_tab_bits` and no function `ip_vs_conn_init`"
    );
}

#[test]
fn what_is_not_a_module_is_refused() {
    assert_eq!(refused(&Source::c("int x = 1;")), "not a kernel module: no section `.modinfo`");
    assert_eq!(
        refused(&Source::c(format!("{HEAD} int ip_vs_conn_tab_bits = 9;")).library()),
        "not a kernel module: an ELF file of type 3, expected 1 (relocatable)"
    );
    let cases: [(&[u8], &str, Option<&str>); 6] = [
        (b"", "nothing", None),
        (b"\x7fEL", "7f 45 4c", None),
        (b"#!/bin/sh", "23 21 2f 62", None),
        (b"\x1f\x8b\x08\x00", "1f 8b 08 00", Some("gzip")),
        (b"\xfd7zXZ\x00", "fd 37 7a 58", Some("xz")),
        (b"\x28\xb5\x2f\xfd\x04", "28 b5 2f fd", Some("zstd")),
    ];
    for (bytes, start, tool) in cases {
        let error = inspect(bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("not an ELF file: starts with {start}, expected 7f 45 4c 46"));
        let hint = tool.map(|tool| format!("the module is compressed: decompress it with `{tool} -d`"));
        assert_eq!(error.hint(), hint);
        assert!(!error.is_not_checked());
    }
}

#[test]
fn modinfo_is_read_in_its_order() {
    let text = r#"
        #define INFO(n, text) static const char n[] __attribute__((section(".modinfo"), used, aligned(1))) = text
        INFO(a, "depends=nf_conntrack,libcrc32c,");
        INFO(b, "softdep=pre: crc32c dummy post: later pre: last");
        INFO(c, "\0\0author=J\xf6rg\0not a pair\0empty=");
        INFO(d, "parm=conn_tab_bits:Set connections' hash size: 8 to 20");
        INFO(e, "parmtype=other:int");
        INFO(f, "vermagic=2.6.32-431.el6.x86_64 SMP mod_unload modversions ");
        INFO(g, "alias=one\0alias=two=2");
    "#;
    let info = modinfo(&Source::c(text).flags(&["-fno-toplevel-reorder"]).build()).unwrap();
    let keys: Vec<_> = info.pairs().iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["depends", "softdep", "author", "empty", "parm", "parmtype", "vermagic", "alias", "alias"]);
    assert_eq!(info.depends(), ["nf_conntrack", "libcrc32c"]);
    assert_eq!(info.softdeps(), ["crc32c", "dummy", "last"]);
    assert_eq!(info.get("author"), Some("J\u{fffd}rg"));
    assert_eq!(info.get("empty"), Some(""));
    assert_eq!(info.get("vermagic"), Some("2.6.32-431.el6.x86_64 SMP mod_unload modversions "));
    assert_eq!(info.get("alias"), Some("one"));
    assert_eq!(info.all("alias").collect::<Vec<_>>(), ["one", "two=2"]);
    assert_eq!(info.get("absent"), None);
    for (name, declared) in [("conn_tab_bits", true), ("other", true), ("conn_tab", false), ("Set", false)] {
        assert_eq!(info.has_parameter(name), declared, "{name}");
    }
}

/// One of each kind and word size.
fn samples() -> Vec<Vec<u8>> {
    let sources = [Source::c(parameter(LAYOUTS[2].1, VARIABLE)), Source::c(compile_time(20))];
    sources.into_iter().flat_map(|source| [source.build(), source.i686().build()]).collect()
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_every_length() {
    for elf in samples() {
        assert!(inspect(&elf).is_ok());
        for length in (0..elf.len()).step_by(64).chain([1, 3, 4, 5, 15, 16, 17, 19, 51, 52, 53, 63, elf.len() - 1]) {
            let error = inspect(&elf[..length]).expect_err("a part of a module was read");
            let known = matches!(error, Error::NotElf { .. } | Error::Malformed { .. });
            assert!(known, "{length} of {} bytes: {error}", elf.len());
            assert!(modinfo(&elf[..length]).is_err(), "{length} of {} bytes", elf.len());
        }
    }
}

#[test]
fn a_changed_initial_value_is_seen() {
    let with =
        |bits: u32| Source::c(parameter(LAYOUTS[2].1, &format!("static int ip_vs_conn_tab_bits = {bits}"))).build();
    let (mut elf, wanted) = (with(12), with(20));
    let differing: Vec<_> = (0..elf.len()).filter(|at| elf[*at] != wanted[*at]).collect();
    assert_eq!(differing.len(), 1, "only the value differs");
    for value in 1..=31 {
        elf[differing[0]] = value;
        assert_eq!(inspect(&elf).unwrap().bits, u32::from(value));
    }
    elf[differing[0] + 1] = 1;
    assert!(matches!(inspect(&elf), Err(Error::OutOfRange { value: 0x11f, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        static SAMPLES: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(samples);
        for elf in SAMPLES.iter() {
            let mut elf = elf.clone();
            for (index, value) in &flips {
                *index.get_mut(&mut elf) = *value;
            }
            if let Err(error) = inspect(&elf) {
                prop_assert!(!error.to_string().is_empty());
            }
            let _ = modinfo(&elf);
        }
    }
}
