//! Directors of all kinds, each with the step that it needs.

use super::*;
use crate::ipvs::size::{self, Why};
use crate::recipe::builtin;

fn bits(bits: u8) -> Bits {
    bits.try_into().unwrap()
}

fn wanted(wanted: u8) -> size::Advice {
    size::Advice { nearest: bits(wanted), not_below: bits(wanted), bits: bits(wanted), why: Why::NotBelow }
}

fn module() -> Presence {
    Presence::Module { by: "/proc/modules".into() }
}

fn built_in() -> Presence {
    Presence::BuiltIn { by: "/boot/config".into() }
}

/// A director whose table works, with the default.
fn director(release: &str, ipvs: Presence, parameter: Option<bool>) -> Director {
    Director {
        release: Some(release.parse().unwrap()),
        ipvs,
        loaded: Some(true),
        parameter: parameter.map(|has| Seen::by(has, "ip_vs.ko")),
        buckets: Some(Seen::by(4096, "/proc/net/ip_vs")),
        ..Director::default()
    }
}

fn next(director: &Director, bits: u8) -> Next {
    advise(director, &builtin::all().unwrap(), Some(wanted(bits))).next
}

#[track_caller]
fn runs(director: &Director, command: &str) -> Next {
    let next = next(director, 16);
    assert_eq!(next.command.as_deref(), Some(command), "{next:?}");
    next
}

#[track_caller]
fn runs_nothing(director: &Director, why: &str) -> Next {
    let next = next(director, 16);
    assert_eq!(next.command, None, "{next:?}");
    assert!(next.why.contains(why), "{next:?}");
    next
}

const EL5: &str = "2.6.18-308.13.1.el5";
const EL6: &str = "2.6.32-220.13.1.el6.x86_64";
const EL8: &str = "4.18.0-193.28.1.el8_2.x86_64";
const DEBIAN: &str = "6.1.0-56-amd64";
const LINE: &str = "echo 'options ip_vs conn_tab_bits=16' > /etc/modprobe.d/ipvs-conn-tab-bits.conf";

#[test]
fn compiled_in_needs_a_build() {
    let next = runs(
        &director(EL6, module(), Some(false)),
        "kbuild ipvs --bits 16 --release 2.6.32-220.13.1.el6 --route module",
    );
    assert!(next.notes[0].contains("--route kernel"), "{next:?}");
    // Only the recipe says so.
    runs(&director(EL5, module(), None), "kbuild ipvs --bits 16 --release 2.6.18-308.13.1.el5 --route module");
    runs(&director(EL5, built_in(), Some(false)), "kbuild ipvs --bits 16 --release 2.6.18-308.13.1.el5 --route kernel");
    runs_nothing(&director(DEBIAN, module(), Some(false)), "--srpm FILE");
}

#[test]
fn an_option_for_a_kernel_without_the_parameter_must_go() {
    let with = Director {
        configured: Some(Seen::by("20".into(), "/etc/modprobe.conf:3")),
        ..director(EL6, module(), Some(false))
    };
    let next = next(&with, 16);
    assert!(next.notes.iter().any(|note| note.contains("/etc/modprobe.conf:3")), "{next:?}");
}

#[test]
fn a_parameter_needs_a_line() {
    let next = runs(&director(EL8, module(), Some(true)), LINE);
    assert!(next.notes.iter().any(|note| note.contains("ends all connections")), "{next:?}");
    assert!(next.notes.iter().any(|note| note.contains("--release 4.18.0-193.28.1.el8_2 --route param")), "{next:?}");
    // No recipe, no package; the line works all the same.
    let next = runs(&director(DEBIAN, module(), Some(true)), LINE);
    assert!(!next.notes.iter().any(|note| note.contains("--route param")), "{next:?}");
    runs(&director(EL8, built_in(), Some(true)), "grubby --update-kernel=ALL --args=ip_vs.conn_tab_bits=16");
}

#[test]
fn a_line_that_is_there_is_changed_or_waited_for() {
    let set = |value: &str| Director {
        configured: Some(Seen::by(value.into(), "/etc/modprobe.d/ip_vs.conf:1")),
        users: vec!["ip_vs_rr".into()],
        ..director(EL8, module(), Some(true))
    };
    for less in ["14", "many"] {
        runs(&set(less), "sed -i 's/conn_tab_bits=[^ ]*/conn_tab_bits=16/' /etc/modprobe.d/ip_vs.conf");
    }
    let next = runs(&set("20"), "ipvsadm -C && modprobe -r ip_vs_rr ip_vs && modprobe ip_vs");
    assert!(next.notes[0].contains("ends all connections"), "{next:?}");
    let later = Director { loaded: Some(false), buckets: None, ..set("16") };
    runs_nothing(&later, "sets 16 bits, 16 are enough");
    let later = Director { configured: None, built: Some(Seen::by(bits(20), "ip_vs.ko")), ..later };
    runs_nothing(&later, "ip_vs.ko makes 20 bits");
    runs(&Director { built: Some(Seen::by(bits(12), "ip_vs.ko")), ..later }, LINE);
    // On the kernel's command line.
    let argument = Director { configured: Some(Seen::by("14".into(), "/proc/cmdline")), ..set("14") };
    assert!(next_command(&argument).contains("grubby"), "{}", next_command(&argument));
}

fn next_command(director: &Director) -> String {
    next(director, 16).command.unwrap_or_default()
}

#[test]
fn what_is_large_enough_is_left_alone() {
    let large = Director { buckets: Some(Seen::by(1 << 20, "x")), ..director(EL6, module(), Some(false)) };
    runs_nothing(&large, "the table has 20 bits, 16 are enough; a larger table only takes more memory");
    // The table is small now and may grow: 7.1.
    let grows = Director { value: Some(bits(20)), ..director("7.1.0-1.el10.x86_64", module(), Some(true)) };
    runs_nothing(&grows, "the table has 20 bits");
}

#[test]
fn without_ipvs() {
    let absent = Presence::Absent { by: "no ip_vs.ko".into() };
    let next = runs(
        &Director { loaded: Some(false), buckets: None, ..director(EL8, absent.clone(), None) },
        "kbuild ipvs --bits 16 --release 4.18.0-193.28.1.el8_2 --route kernel",
    );
    assert!(next.notes[0].contains("kernel-core"), "{next:?}");
    assert!(!next.notes[0].contains("debug"), "{next:?}");
    runs_nothing(&Director { buckets: None, ..director(DEBIAN, absent, None) }, "has no IPVS");
}

#[test]
fn what_is_not_known_is_said() {
    runs_nothing(&director(DEBIAN, Presence::Unknown, None), "nothing here tells whether");
    runs_nothing(&Director { release: None, ..director(EL6, module(), None) }, "release of the running kernel");
    let unloaded = advise(&director(EL6, module(), Some(false)), &builtin::all().unwrap(), None);
    assert_eq!((unloaded.recommended, unloaded.next.command), (None, None));
    assert!(unloaded.next.why.contains("--connections"), "{}", unloaded.next.why);
}

#[test]
fn a_container_is_not_the_host() {
    let inside = Director { container: Some("/.dockerenv".into()), ..director(EL8, Presence::Unknown, None) };
    let next = runs(&inside, LINE);
    assert!(next.notes.iter().any(|note| note.contains("the command is for the host")), "{next:?}");
    assert!(next.why.contains("el8 has it since"), "{next:?}");
}
