//! The buildid edit on the specs of every family, and on what forks make of them.

use proptest::prelude::*;

use super::*;

const ID: &str = ".ipvs_20bit";

fn nvr(version: &str, release: &str) -> Nvr {
    Nvr { name: "kernel".into(), version: version.into(), release: release.into() }
}

fn texts(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn context(dist: Option<&str>) -> Context {
    Context {
        arch: "x86_64".into(),
        defines: dist.map(|dist| ("dist".to_owned(), dist.to_owned())).into_iter().collect(),
        ..Context::default()
    }
}

fn carry_in(files: &[(&str, &str)], dist: Option<&str>, release: &str) -> Result<Carried, Error> {
    let texts = texts(files);
    carry(&Sources { spec: files[0].0, texts: &texts }, &context(dist), ID, &nvr("2.6.32", release))
}

/// A spec with this marker line and this release.
fn spec(marker: &str, release: &str) -> String {
    format!(
        "Summary: The Linux kernel\n{marker}\n{release}\nName: kernel\nVersion: 2.6.32\nRelease: %{{pkg_release}}\n%description\n"
    )
}

const AFTER: &str = "%define pkg_release 220%{?dist}%{?buildid}";
const BEFORE: &str = "%define pkg_release 220%{?buildid}%{?dist}";

#[track_caller]
fn becomes(marker: &str, header: &str, line: &str, release: &str, how: Carrier) {
    let text = spec(marker, AFTER);
    let carried = carry_in(&[("kernel.spec", &text)], Some(".el6"), header).unwrap();
    assert_eq!((carried.after.as_str(), carried.release.as_str(), carried.how), (line, release, how));
    assert!(carried.evaluated);
    let edit = |text: &[u8]| apply_line("s", text, carried.line, carried.before.as_deref(), &carried.after).unwrap();
    let once = edit(text.as_bytes());
    assert_eq!(once.changes.len(), 1);
    let twice = edit(&once.text);
    assert_eq!((twice.text, twice.changes), (once.text, vec![]));
}

#[test]
fn every_marker_spelling_becomes_our_define() {
    for marker in [
        "#% define buildid",
        "# % define buildid .local",
        "# % define buildid ",
        "# define buildid .local",
        "#define buildid .local",
        "#define buildid .1",
        "#\t% define buildid .local",
        "## % define buildid .local",
    ] {
        becomes(marker, "220.el6", "%define buildid .ipvs_20bit", "220.el6.ipvs_20bit", Carrier::Marker);
    }
    becomes("#global buildid .local", "220.el6", "%global buildid .ipvs_20bit", "220.el6.ipvs_20bit", Carrier::Marker);
}

#[test]
fn an_active_define_is_extended_even_inside_a_comment_and_with_a_marker_beside_it() {
    let extended = "220.el6.fork.ipvs_20bit";
    becomes("%define buildid .fork", "220.el6.fork", "%define buildid .fork.ipvs_20bit", extended, Carrier::Extended);
    becomes("%global buildid .fork", "220.el6.fork", "%global buildid .fork.ipvs_20bit", extended, Carrier::Extended);
    becomes("# %define buildid .fork", "220.el6.fork", "%define buildid .fork.ipvs_20bit", extended, Carrier::Extended);
    becomes(
        "# % define buildid .local\n%define buildid .fork",
        "220.el6.fork",
        "%define buildid .fork.ipvs_20bit",
        extended,
        Carrier::Extended,
    );
}

#[test]
fn before_dist_and_without_one() {
    let text = spec("# define buildid .local", BEFORE);
    let carried = carry_in(&[("kernel.spec", &text)], Some(".el9_2"), "220.el9_2").unwrap();
    assert_eq!(carried.release, "220.ipvs_20bit.el9_2");
}

#[test]
fn a_spec_without_a_marker_gets_a_line_or_its_release_line() {
    becomes("", "220.el6", "%define buildid .ipvs_20bit", "220.el6.ipvs_20bit", Carrier::Inserted);
    let plain = "Name: kernel\nVersion: 2.6.32\nRelease:\t1%{?dist} \nURL: x\n%description\n";
    let carried = carry_in(&[("kernel.spec", plain)], Some(".tk1"), "1.tk1").unwrap();
    assert_eq!((carried.how, carried.line), (Carrier::ReleaseLine, 3));
    assert_eq!(carried.after, "Release:\t1%{?dist}.ipvs_20bit ");
    assert_eq!(carried.release, "1.tk1.ipvs_20bit");
    // An active define that nothing uses is no place for it.
    let unused = format!("%define buildid .x\n{plain}");
    let carried = carry_in(&[("kernel.spec", &unused)], Some(".tk1"), "1.tk1").unwrap();
    assert_eq!(carried.how, Carrier::ReleaseLine);
}

#[test]
fn the_marker_may_be_in_an_included_file() {
    let wrapper = "Source1: kernel-common.inc\n%include %{SOURCE1}\n";
    let common = spec("#global buildid .local", BEFORE);
    let carried =
        carry_in(&[("kernel-lt.spec", wrapper), ("kernel-common.inc", &common)], Some(".el9.elrepo"), "220.el9.elrepo")
            .unwrap();
    assert_eq!((carried.file.as_str(), carried.line), ("kernel-common.inc", 2));
    assert_eq!(carried.release, "220.ipvs_20bit.el9.elrepo");
}

#[test]
fn old_fedora_defines_that_are_not_executed_are_none() {
    let block = "%if 0%{?orig_buildid:1}\n%if 0%{?buildid:1}\n%global srpm_buildid %{buildid}\n\
                 %define buildid %{srpm_buildid}%{orig_buildid}\n%else\n%define buildid %{orig_buildid}\n%endif\n%endif";
    let marker = format!(
        "%if 0%{{?buildid:1}}\n%global orig_buildid %{{buildid}}\n%undefine buildid\n%endif\n# % define buildid .local\n{block}"
    );
    becomes(&marker, "220.el6", "%define buildid .ipvs_20bit", "220.el6.ipvs_20bit", Carrier::Marker);
}

#[test]
fn two_places_are_refused_and_a_branch_that_is_not_taken_is_no_place() {
    let error = |marker: &str| {
        let text = spec(marker, AFTER);
        carry_in(&[("kernel.spec", &text)], Some(".el6"), "220.el6").unwrap_err().to_string()
    };
    let two = "`kernel.spec` has 2 lines that define `buildid` (lines 2, 3), expected exactly one";
    assert_eq!(error("# % define buildid .local\n# % define buildid .local"), two);
    let text = spec("%define buildid .a\n%define buildid .b", AFTER);
    assert_eq!(carry_in(&[("kernel.spec", &text)], Some(".el6"), "220.el6.b").unwrap_err().to_string(), two);
    // Written there it would have no effect: it goes where it has one.
    let text = spec("%if 0\n# % define buildid .local\n%endif", AFTER);
    let carried = carry_in(&[("kernel.spec", &text)], Some(".el6"), "220.el6").unwrap();
    assert_eq!(carried.how, Carrier::Inserted);
}

#[test]
fn a_spec_that_cannot_be_evaluated_is_edited_where_one_place_leaves_no_doubt() {
    let flow = "%define pkg_release %(cat number)%{?dist}%{?buildid}";
    let text = spec("# % define buildid .local", flow);
    let carried = carry_in(&[("kernel.spec", &text)], Some(".el6"), "220.el6").unwrap();
    assert!(!carried.evaluated && carried.how == Carrier::Marker);
    assert_eq!(carried.unknown[0].to_string(), "`kernel.spec` line 6: the output of `cat number`");
    let two = spec("# % define buildid .local\n%define buildid .a", flow);
    assert!(carry_in(&[("kernel.spec", &two)], Some(".el6"), "220.el6").is_err());
    let none = spec("", flow);
    assert!(carry_in(&[("kernel.spec", &none)], Some(".el6"), "220.el6").is_err());
    // The header says something else than the spec: the same.
    let other = spec("# % define buildid .local", AFTER);
    assert!(!carry_in(&[("kernel.spec", &other)], Some(".el6"), "221.el6").unwrap().evaluated);
}

#[test]
fn our_own_source_package_needs_no_edit() {
    let text = spec("%define buildid .ipvs_20bit", AFTER);
    let carried = carry_in(&[("kernel.spec", &text)], Some(".el6"), "220.el6.ipvs_20bit").unwrap();
    assert_eq!((carried.how, carried.before.as_deref()), (Carrier::Already, Some(carried.after.as_str())));
    assert_eq!(carried.release, "220.el6.ipvs_20bit");
}

#[test]
fn the_dist_that_a_spec_needs() {
    let dist = |release: &str, text: &str| {
        let texts = texts(&[("kernel.spec", text)]);
        dist_of(&Sources { spec: "kernel.spec", texts: &texts }, &context(None), &nvr("2.6.32", release))
    };
    let given = |dist: &str| Dist::Given(dist.to_owned());
    assert_eq!(dist("220.el8_2", &spec("", AFTER)), given(".el8_2"));
    assert_eq!(dist("220.el9_3.0.1", &spec("", BEFORE)), given(".el9_3.0.1"));
    assert_eq!(dist("220.1.el7.elrepo", &spec("", &AFTER.replace("220", "220.1"))), given(".el7.elrepo"));
    assert_eq!(dist("220.el6", &spec("%define dist .el6", AFTER)), Dist::InSpec);
    // Packed on a host without one: elsewhere it must have none either.
    assert_eq!(dist("220", &spec("", AFTER)), given("%{nil}"));
    assert_eq!(dist("1.el7uek", &spec("", "%define pkg_release 1%{?dist}uek%{?buildid}")), given(".el7"));
    assert_eq!(dist("9.el6", &spec("%define dist .el6", AFTER)), Dist::Unknown);
    assert_eq!(dist("9.el6", &spec("", "%define pkg_release %(x)%{?dist}")), Dist::Unknown);
}

#[test]
fn lines_are_put_in_and_replaced_with_their_ends() {
    let apply = |text: &[u8], line, before, after| apply_line("s", text, line, before, after).unwrap().text;
    assert_eq!(apply(b"a\r\nb\r\n", 1, None, "x"), b"x\r\na\r\nb\r\n");
    assert_eq!(apply(b"x\r\na\r\n", 1, None, "x"), b"x\r\na\r\n");
    assert_eq!(apply(b"a\nb", 2, Some("b"), "x"), b"a\nx");
    assert_eq!(apply(b"", 1, None, "x"), b"x\n");
    let error = apply_line("s", b"a\n", 1, Some("b"), "x").unwrap_err();
    assert_eq!(error.to_string(), "`s` has no line `b` at line 1, expected exactly one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_around_a_marker_stay(
        head in proptest::collection::vec(any::<u8>(), 0..60),
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        marker in "#[ \t]{0,2}(% ?)?(define|global)[ \t]{1,2}buildid( \\.[a-z0-9]{1,6})?[ \t]{0,2}",
        end in prop_oneof![Just("\n"), Just("\r\n")],
    ) {
        let mut text: Vec<u8> = [b"# ".as_slice(), &head, b"\n", marker.as_bytes(), end.as_bytes()].concat();
        text.extend_from_slice(b"Name: kernel\nVersion: 2.6.32\nRelease: 1.el6%{?buildid}\n%description\n");
        text.extend_from_slice(&tail);
        let all = BTreeMap::from([("kernel.spec".to_owned(), text.clone())]);
        let sources = Sources { spec: "kernel.spec", texts: &all };
        // `#%define` and a `%` in the bytes before make this another spec: then it is refused, or right all the same.
        if let Ok(carried) = carry(&sources, &context(None), ID, &nvr("2.6.32", "1.el6")) && carried.evaluated {
            let edited = apply_line("s", &text, carried.line, carried.before.as_deref(), &carried.after).unwrap();
            prop_assert_eq!(carried.release.as_str(), "1.el6.ipvs_20bit");
            let added = lines(&edited.text).count() - lines(&text).count();
            prop_assert_eq!(added, usize::from(carried.before.is_none()));
            let differing = lines(&text).zip(lines(&edited.text).skip(added)).filter(|(a, b)| a != b).count();
            prop_assert_eq!(differing + added, 1);
        }
    }
}
