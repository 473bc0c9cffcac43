//! The `%dist` that a source package was built with.

use super::*;

#[test]
fn the_dist_of_the_build_host_is_found() {
    let dist = |spec: &str, release: &str| {
        let texts = texts(spec);
        let mut context = Context::new("x86_64");
        context.defines.insert("dist".to_owned(), ".host".to_owned());
        dist_of(&Sources::new("kernel.spec", &texts), &context, &nvr("1.0", release))
    };
    let spec = |release: &str| {
        format!("%define buildnr 193.28.1\nName: kernel\nVersion: 1.0\nRelease: {release}\n%description\n")
    };
    let define = |value: &str| Dist::Define { value: value.to_owned(), others: vec![] };
    // el8+: 4.18.0-193.28.1.el8_2
    assert_eq!(dist(&spec("%{buildnr}%{?dist}%{?buildid}"), "193.28.1.el8_2"), define(".el8_2"));
    assert_eq!(dist(&spec("%{buildnr}%{?buildid}%{?dist}"), "193.28.1.el8_2"), define(".el8_2"));
    // Rocky
    assert_eq!(dist(&spec("%{buildnr}%{?dist}"), "193.28.1.el9_3.0.1"), define(".el9_3.0.1"));
    assert_eq!(dist(&spec("%{buildnr}%{?dist}.0.1"), "193.28.1.el9_3.0.1"), define(".el9_3"));
    // UEK: the release goes on behind it
    assert_eq!(dist(&spec("%{buildnr}%{?dist}uek%{?buildid}"), "193.28.1.el7uek"), define(".el7"));
    // In the spec
    assert_eq!(dist(&format!("%define dist .el6\n{}", spec("%{buildnr}%{?dist}")), "193.28.1.el6"), Dist::AsItIs);
    assert_eq!(dist(&spec("193.28.1.el7"), "193.28.1.el7"), Dist::AsItIs);
    // 7.1: only where the host has none
    let conditional = format!("%{{!?dist:%define dist .el7}}\n{}", spec("%{buildnr}%{?dist}"));
    assert_eq!(dist(&conditional, "193.28.1.el7"), define(".el7"));
    // Built without any
    assert_eq!(dist(&spec("%{buildnr}%{?dist}"), "193.28.1"), define("%{nil}"));
    assert_eq!(dist(&spec("%{buildnr}%{?dist}"), "9.el8"), Dist::Unknown);
    assert_eq!(dist(&spec("%(date)"), "9.el8"), Dist::Unknown);
    // Two that would do: the one of a distribution.
    let two = spec("%{?dist:1.2.el8}");
    assert_eq!(dist(&two, "1.2.el8"), Dist::AsItIs);
    let two = format!(
        "%if \"%{{?dist}}\" == \".2.el8\" || \"%{{?dist}}\" == \".el8\"\n%define r 1.2.el8\n%else\n%define r 0\n%endif\n{}",
        spec("%{r}")
    );
    assert_eq!(dist(&two, "1.2.el8"), Dist::Define { value: ".el8".to_owned(), others: vec![".2.el8".to_owned()] });
}
