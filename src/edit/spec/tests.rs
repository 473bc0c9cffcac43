//! Tests of the buildid engine: the families' flows in our own words, and the traps.

use super::*;
use crate::edit::lines;
use crate::rpm::nvr::Nvr;

mod cases;
mod dist;
mod evaluation;
mod hostile;

const OURS: &str = ".ipvs_20bit";

/// The texts of a source package.
type Texts = BTreeMap<String, Vec<u8>>;

fn texts(spec: impl Into<Vec<u8>>) -> Texts {
    Texts::from([("kernel.spec".to_owned(), spec.into())])
}

fn nvr(version: &str, release: &str) -> Nvr {
    Nvr { name: "kernel".to_owned(), version: version.to_owned(), release: release.to_owned() }
}

fn run(texts: &Texts) -> Evaluated {
    evaluate(&Sources::new("kernel.spec", texts), &Context::new("x86_64"))
}

fn find(texts: &Texts, header: &Nvr) -> Result<Carried, Error> {
    carry(&Sources::new("kernel.spec", texts), &Context::new("x86_64"), OURS, header)
}

/// Applies what was found, and checks that nothing but the line changes and that nothing more is found to do.
#[track_caller]
fn applied(texts: &Texts, header: &Nvr, carried: &Carried) -> Texts {
    let text = &texts[&carried.file];
    let edited = apply_line(&carried.file, text, carried.line, carried.before.as_deref(), &carried.after).unwrap();
    let mut rest: Vec<&[u8]> = lines(&edited.text).collect();
    let mut before: Vec<&[u8]> = lines(text).collect();
    rest.remove(carried.line - 1);
    if carried.before.is_some() {
        before.remove(carried.line - 1);
    }
    assert_eq!(rest, before);
    let mut after = texts.clone();
    after.insert(carried.file.clone(), edited.text);
    for release in [Some(&header.release), carried.release.as_ref()].into_iter().flatten() {
        let again = find(&after, &Nvr { release: release.clone(), ..header.clone() }).unwrap();
        assert_eq!(again.before.as_ref(), Some(&again.after), "not the same when done twice");
        assert_eq!((&again.file, &again.after), (&carried.file, &carried.after));
    }
    after
}

/// Checks which line carries the buildid, and what the release becomes.
#[track_caller]
fn carries(texts: &Texts, header: &Nvr, how: Carrier, line: usize, after: &str, release: &str) -> Carried {
    let carried = find(texts, header).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((carried.how, carried.line, carried.after.as_str()), (how, line, after), "{carried:?}");
    assert_eq!(carried.release.as_deref(), Some(release));
    assert!(carried.evaluated, "{carried:?}");
    let done = applied(texts, header, &carried);
    let found = run(&done);
    assert_eq!(found.release.as_deref(), Some(release));
    carried
}

/// The families: spec, version, release, line of the edit, release with ours.
const FAMILIES: [(&str, &str, &str, &str, usize, &str); 14] = [
    (
        "el5 2.6.18-308.13.1",
        "Summary: The kernel\n#% define buildid\n%define rhel 5\n%define dist .el5\n%define sublevel 18\n\
         %define kversion 2.6.%{sublevel}\n%define rpmversion 2.6.%{sublevel}\n%define revision 308.13.1\n\
         %define release %{revision}%{dist}%{?buildid}\nName: kernel\nVersion: %{rpmversion}\nRelease: %{release}\n\
         %description\n",
        "2.6.18",
        "308.13.1.el5",
        2,
        "308.13.1.el5.ipvs_20bit",
    ),
    (
        "el6 2.6.32-220.13.1",
        "%define dist .el6\n# % define buildid .local\n%define rhel 1\n%if %{rhel}\n%define distro_build 220.13.1\n\
         %define signmodules 1\n%else\n%define distro_build 0\n%endif\n%define rpmversion 2.6.32\n\
         %define pkg_release %{distro_build}%{?dist}%{?buildid}\nName: kernel%{?variant}\nVersion: %{rpmversion}\n\
         Release: %{pkg_release}\n%description\n",
        "2.6.32",
        "220.13.1.el6",
        2,
        "220.13.1.el6.ipvs_20bit",
    ),
    (
        "el7 3.10.0-123 (dist in pkgrelease)",
        "# % define buildid .local\n%define rpmversion 3.10.0\n%define pkgrelease 123.el7\n\
         %define pkg_release %{pkgrelease}%{?buildid}\nName: kernel\nVersion: %{rpmversion}\n\
         Release: %{pkg_release}\n%description\n",
        "3.10.0",
        "123.el7",
        1,
        "123.el7.ipvs_20bit",
    ),
    (
        "el7 3.10.0-229 (dist conditional)",
        "# % define buildid .local\n%define dist %{?dist}%{!?dist:.el7}\n%undefine dist\n\
         %{!?dist:%define dist .el7}\n%define rpmversion 3.10.0\n%define pkgrelease 229.el7\n\
         %define specrelease 229%{?dist}\n%define pkg_release %{specrelease}%{?buildid}\nName: kernel\n\
         Version: %{rpmversion}\nRelease: %{pkg_release}\n%description\n",
        "3.10.0",
        "229.el7",
        1,
        "229.el7.ipvs_20bit",
    ),
    (
        "el7 3.10.0-514",
        "%define dist .el7\n# % define buildid \n%define rpmversion 3.10.0\n%define specrelease 514.26.2%{?dist}\n\
         %define pkg_release %{specrelease}%{?buildid}\nName: kernel\nVersion: %{rpmversion}\n\
         Release: %{pkg_release}\n%description\n",
        "3.10.0",
        "514.26.2.el7",
        2,
        "514.26.2.el7.ipvs_20bit",
    ),
    (
        "el8 4.18.0-193.28.1",
        "%global dist .el8_2\n# define buildid .local\n%if 0%{?fedora}\n%define primary fedora\n%else\n\
         %define primary rhel\n%endif\n%define rpmversion 4.18.0\n%define pkgrelease 193.28.1.el8_2\n\
         %define specrelease 193.28.1%{?dist}\n%define pkg_release %{specrelease}%{?buildid}\nName: kernel\n\
         Version: %{rpmversion}\nRelease: %{pkg_release}\n%package core\n%description\n",
        "4.18.0",
        "193.28.1.el8_2",
        2,
        "193.28.1.el8_2.ipvs_20bit",
    ),
    (
        "el9 5.14.0-284.11.1",
        "%global dist .el9_2\n# define buildid .local\n%define specversion 5.14.0\n%define patchversion 5.14\n\
         %define pkgrelease 284.11.1\n%define specrelease 284.11.1%{?buildid}%{?dist}\n\
         %define pkg_release %{specrelease}\nName: kernel\nVersion: %{specversion}\nRelease: %{pkg_release}\n\
         %description\n",
        "5.14.0",
        "284.11.1.el9_2",
        2,
        "284.11.1.ipvs_20bit.el9_2",
    ),
    (
        "el10 6.12.0-211.37.1 (bcond, release behind a condition)",
        "%bcond_with toolchain_clang\n%global dist .el10_2\n# define buildid .local\n%define specversion 6.12.0\n\
         %if %{without toolchain_clang} && 0%{?rhel} == 0\n%define specrelease 211.37.1%{?buildid}%{?dist}\n%else\n\
         %define specrelease 0\n%endif\n%define pkg_release %{specrelease}\nName: kernel\nVersion: %{specversion}\n\
         Release: %{pkg_release}\n%description\n",
        "6.12.0",
        "211.37.1.el10_2",
        3,
        "211.37.1.ipvs_20bit.el10_2",
    ),
    (
        "Fedora 14 to 20 (a buildid of the command line is put aside)",
        "%define dist .fc20\n%if 0%{?buildid:1}\n%global orig_buildid %{buildid}\n%undefine buildid\n%endif\n#\n\
         # please modify the \"buildid\" define in a way that\n# tells\n# % define buildid .local\n\
         # by adding --define=\"buildid .whatever\".\n%if 0%{?orig_buildid:1}\n%if 0%{?buildid:1}\n\
         %global srpm_buildid %{buildid}\n%define buildid %{srpm_buildid}%{orig_buildid}\n%else\n\
         %define buildid %{orig_buildid}\n%endif\n%endif\n%global baserelease 200\n\
         %global fedora_build %{baserelease}\n%define base_sublevel 17\n\
         %define pkg_release %{fedora_build}%{?buildid}%{?dist}\nName: kernel\nVersion: 3.%{base_sublevel}.6\n\
         Release: %{pkg_release}\n%description\n",
        "3.17.6",
        "200.fc20",
        9,
        "200.ipvs_20bit.fc20",
    ),
    (
        "Fedora 33 on, a release candidate",
        "%global dist .fc33\n# define buildid .local\n%global released_kernel 0\n%if 0%{?released_kernel}\n\
         %define pkg_release 200%{?buildid}%{?dist}\n%else\n%define rctag .rc4\n\
         %define pkg_release 0%{rctag}.2%{?buildid}%{?dist}\n%endif\nName: kernel\nVersion: 5.9.0\n\
         Release: %{pkg_release}\n%description\n",
        "5.9.0",
        "0.rc4.2.fc33",
        2,
        "0.rc4.2.ipvs_20bit.fc33",
    ),
    (
        "UEK",
        "%define dist .el7\n# % define buildid .local\n%define distro_build 1\n\
         %define pkg_release %{distro_build}%{?dist}uek%{?buildid}\nName: kernel-uek\nVersion: 4.14.0\n\
         Release: %{pkg_release}\n%description\n",
        "4.14.0",
        "1.el7uek",
        2,
        "1.el7uek.ipvs_20bit",
    ),
    (
        "elrepo, dist first, the version from a shell",
        "%define LKAver 4.4.30\n%define dist .el7\n#define buildid .local\n%define pkg_release 1%{?dist}%{?buildid}\n\
         Name: kernel-lt\nVersion: %(echo %{LKAver} | sed -e 's/-.*//')\nRelease: %{pkg_release}\n%description\n",
        "4.4.30",
        "1.el7",
        3,
        "1.el7.ipvs_20bit",
    ),
    (
        "elrepo, dist last",
        "%define dist .el9\n#global buildid .local\n%global pkg_release 0%{?buildid}%{?dist}\nName: kernel-lt\n\
         Version: 6.1.59\nRelease: %{pkg_release}\n%description\n",
        "6.1.59",
        "0.el9",
        2,
        "0.ipvs_20bit.el9",
    ),
    (
        "xen of the virt SIG",
        "%define dist .el7\n#define buildid .1\nName: kernel\nVersion: 4.9.34\n\
         Release: 28%{?buildid}%{?dist}\n%description\n",
        "4.9.34",
        "28.el7",
        2,
        "28.ipvs_20bit.el7",
    ),
];

#[test]
fn every_familys_marker_becomes_a_definition() {
    for (name, spec, version, release, line, ours) in FAMILIES {
        let after =
            if name.contains("dist last") { "%global buildid .ipvs_20bit" } else { "%define buildid .ipvs_20bit" };
        for text in [spec.to_owned(), spec.replace('\n', "\r\n"), spec.trim_end().to_owned()] {
            // `%undefine dist\r` undefines nothing: its argument would end in a CR.
            let text = text.replace("%undefine dist\r\n", "%undefine dist\n");
            let mut bytes = text.into_bytes();
            // What stands below the preamble may be anything.
            bytes.extend_from_slice(
                b"\n%changelog\n- B\xe9la\xff\x00 # % define buildid .local\n# % define buildid .local\n",
            );
            println!("{name}");
            carries(&texts(bytes), &nvr(version, release), Carrier::Marker, line, after, ours);
        }
    }
}

#[test]
fn without_a_marker_a_definition_goes_above_the_first_line() {
    for (name, spec, version, release, line, ours) in FAMILIES {
        let text: String = lines(spec.as_bytes())
            .enumerate()
            .filter(|(index, _)| index + 1 != line)
            .map(|(_, line)| String::from_utf8_lossy(line).into_owned())
            .collect();
        println!("{name}");
        carries(&texts(text), &nvr(version, release), Carrier::Inserted, 1, "%define buildid .ipvs_20bit", ours);
    }
}

#[test]
fn a_forks_definition_is_extended() {
    for (name, spec, version, release, line, ours) in FAMILIES {
        for (marker, after) in [
            ("%define buildid .fork", "%define buildid .fork.ipvs_20bit"),
            ("# %define buildid .fork", "%define buildid .fork.ipvs_20bit"),
            ("%global  buildid\t.fork \t", "%global  buildid\t.fork.ipvs_20bit \t"),
            ("%{!?buildid:%define buildid .fork}", "%{!?buildid:%define buildid .fork.ipvs_20bit}"),
        ] {
            let text: String =
                lines(spec.as_bytes())
                    .enumerate()
                    .map(|(index, body)| {
                        if index + 1 == line {
                            format!("{marker}\n")
                        } else {
                            String::from_utf8_lossy(body).into_owned()
                        }
                    })
                    .collect();
            let release = ours.replace(OURS, ".fork");
            let ours = ours.replace(OURS, ".fork.ipvs_20bit");
            println!("{name}: {marker}");
            assert!(release.contains(".fork") && !version.is_empty());
            carries(&texts(text), &nvr(version, &release), Carrier::Extended, line, after, &ours);
        }
        assert!(!release.contains(".fork"));
    }
}

#[test]
fn a_release_that_knows_no_buildid_gets_longer_itself() {
    for (name, spec, version, release, _, _) in FAMILIES {
        let text = spec.replace("%{?buildid}", "");
        let line = text.lines().position(|line| line.starts_with("Release:")).unwrap() + 1;
        let before = text.lines().nth(line - 1).unwrap();
        println!("{name}");
        let (after, ours) = (format!("{before}{OURS}"), format!("{release}{OURS}"));
        carries(&texts(text.clone()), &nvr(version, release), Carrier::ReleaseLine, line, &after, &ours);
        // A CR and blanks at the end stay there.
        let text = text.replace(before, &format!("{before} \r"));
        carries(&texts(text), &nvr(version, release), Carrier::ReleaseLine, line, &format!("{after} "), &ours);
    }
}

/// A small spec whose release looks at buildid, with these lines above.
fn small(above: &str) -> Texts {
    texts(format!("{above}Name: kernel\nVersion: 1.0\nRelease: 1%{{?buildid}}\n%description\n"))
}

#[test]
fn markers_beside_an_active_definition_stay() {
    let spec = small("# define buildid .local\n%define buildid .a\n# % define buildid .local\n");
    carries(&spec, &nvr("1.0", "1.a"), Carrier::Extended, 2, "%define buildid .a.ipvs_20bit", "1.a.ipvs_20bit");
}

#[track_caller]
fn refused(texts: &Texts, release: &str, expected: &str) {
    let error = find(texts, &nvr("1.0", release)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_is_not_certain_is_refused() {
    refused(
        &small("# define buildid .local\n#% define buildid\n"),
        "1",
        "2 lines could carry `.ipvs_20bit` (line 1 of `kernel.spec`, line 2 of `kernel.spec`), expected exactly one marker",
    );
    // A marker that is not read.
    refused(
        &small("%if 0\n# define buildid .local\n%endif\n"),
        "1",
        "line 2 of `kernel.spec` as `%define buildid .ipvs_20bit` makes the release `1`, expected `1` with `.ipvs_20bit` \
         in it once",
    );
    // A definition that comes too late, or is taken back.
    let late = "Name: kernel\nVersion: 1.0\nRelease: 1%{?buildid}\n# define buildid .local\n%description\n";
    refused(&texts(late), "1", "makes the release `1`");
    refused(&small("# define buildid .local\n%undefine buildid\n"), "1", "makes the release `1`");
    // One that the release does not see, as it was made before.
    let eager =
        "%global rel 1%{?buildid}\n%define buildid .a\nName: kernel\nVersion: 1.0\nRelease: %{rel}\n%description\n";
    refused(&texts(eager), "1", "makes the release `1`");
    // Two that are both read and both end up in the release.
    let both = "%define buildid .a\n%global first 1%{buildid}\n%define buildid .b\nName: kernel\nVersion: 1.0\n\
                Release: %{first}%{buildid}\n%description\n";
    refused(&texts(both), "1.a.b", "expected exactly one definition that reaches the release");
    // The release would have it twice.
    let twice = "# define buildid .local\nName: kernel\nVersion: 1.0\nRelease: 1%{?buildid}%{?buildid}\n%description\n";
    refused(&texts(twice), "1", "makes the release `1.ipvs_20bit.ipvs_20bit`");
    // Lines that are not one simple definition.
    refused(&small("%define set() %{expand:%%global buildid %1}\n%set .a\n"), "1.a", "line 2 of `kernel.spec` cannot");
    refused(
        &texts("Name: kernel\nVersion: 1.0\n%{expand:Release: 1}\n%description\n"),
        "1",
        "line 3 of `kernel.spec` cannot",
    );
    refused(&texts("Name: kernel\nVersion: 1.0\n%description\nRelease: 1\n"), "1", "no Release tag");
    assert!(find(&Texts::new(), &nvr("1", "1")).unwrap_err().to_string().contains("no `kernel.spec`"));
    refused(&small(""), "1.ipvs_20bit.ipvs_20bit", "2 times");
}

#[test]
fn of_two_definitions_the_one_that_counts_is_extended() {
    let spec = small("%define buildid .a\n%define buildid .b\n");
    carries(&spec, &nvr("1.0", "1.b"), Carrier::Extended, 2, "%define buildid .b.ipvs_20bit", "1.b.ipvs_20bit");
    let spec = small("%define buildid .a\n%define buildid .b\n%undefine buildid\n");
    carries(&spec, &nvr("1.0", "1.a"), Carrier::Extended, 1, "%define buildid .a.ipvs_20bit", "1.a.ipvs_20bit");
    let spec = small("%define buildid .a\n%if 0\n%define buildid .b\n%endif\n");
    carries(&spec, &nvr("1.0", "1.a"), Carrier::Extended, 1, "%define buildid .a.ipvs_20bit", "1.a.ipvs_20bit");
    // A definition that was taken back leaves the marker to us.
    let spec = small("%define buildid .a\n%undefine buildid\n# define buildid .local\n");
    carries(&spec, &nvr("1.0", "1"), Carrier::Marker, 3, "%define buildid .ipvs_20bit", "1.ipvs_20bit");
}

#[test]
fn the_marker_of_an_included_file_is_found() {
    // elrepo el9: the spec is a wrapper of a few lines.
    let wrapper = "%define dist .el9\n%define name kernel-lt\nName: %{name}\n\
                   Source0: https://kernel.org/linux.tar.xz\nSource1: %{name}-common.inc\n%include %{SOURCE1}\n";
    let include = "# The version\n#global buildid .local\n%global pkg_release 0%{?buildid}%{?dist}\nVersion: 6.1.59\n\
                   Release: %{pkg_release}\nSummary: x\n%description\n# define buildid .local\n";
    for (line, name) in [
        ("%include %{SOURCE1}", "kernel-lt-common.inc"),
        ("%include %{S:1}", "kernel-lt-common.inc"),
        ("  %include %{_sourcedir}/kernel-lt-common.inc \r", "kernel-lt-common.inc"),
        ("%include %SOURCE1", "kernel-lt-common.inc"),
    ] {
        let mut texts = texts(wrapper.replace("%include %{SOURCE1}", line));
        texts.insert(name.to_owned(), include.as_bytes().to_vec());
        let header = nvr("6.1.59", "0.el9");
        let carried = carries(&texts, &header, Carrier::Marker, 2, "%global buildid .ipvs_20bit", "0.ipvs_20bit.el9");
        assert_eq!(carried.file, name);
        assert_eq!(run(&texts).included, [name]);
        // A second marker, in the other file.
        texts.get_mut("kernel.spec").unwrap().splice(0..0, b"# define buildid .local\n".iter().copied());
        assert!(matches!(find(&texts, &header), Err(Error::Several { places, .. }) if places.len() == 2));
    }
    // Without that file nothing is certain, and the text alone has to do.
    let carried = find(&texts(wrapper), &nvr("6.1.59", "0.el9"));
    assert!(matches!(carried, Err(Error::NoRelease { .. })), "{carried:?}");
}

#[test]
fn without_a_true_evaluation_the_text_decides() {
    let spec = |above: &str| {
        texts(format!("{above}Name: kernel\nVersion: 1.0\nRelease: %(date +1)%{{?buildid}}\n%description\n"))
    };
    let by_text = |texts: &Texts| {
        let carried = find(texts, &nvr("1.0", "1"))?;
        assert!(!carried.evaluated && carried.release.is_none());
        assert!(carried.unknown.iter().any(|unknown| unknown.what == What::Shell));
        applied(texts, &nvr("1.0", "1"), &carried);
        Ok::<_, Error>((carried.how, carried.line, carried.after))
    };
    let ours = |how, line, after: &str| Ok((how, line, after.to_owned()));
    assert_eq!(by_text(&spec("#\n# define buildid .local\n")), ours(Carrier::Marker, 2, "%define buildid .ipvs_20bit"));
    assert_eq!(by_text(&spec("")), ours(Carrier::Inserted, 1, "%define buildid .ipvs_20bit"));
    assert_eq!(by_text(&spec("%define buildid .a\n")), ours(Carrier::Extended, 1, "%define buildid .a.ipvs_20bit"));
    let long = texts("Name: kernel\nVersion: 1.0\nRelease: %(date +1)\n%description\n");
    assert_eq!(by_text(&long), ours(Carrier::ReleaseLine, 3, "Release: %(date +1).ipvs_20bit"));
    assert!(matches!(by_text(&spec("%define buildid .a\n%define buildid .b\n")), Err(Error::Several { .. })));
    assert!(matches!(by_text(&spec("# define buildid .a\n# define buildid .b\n")), Err(Error::Several { .. })));
    assert!(matches!(by_text(&spec("%if 0\n%define buildid .a\n%endif\n")), Err(Error::Unclear { .. })));
    // What the evaluation does say must not speak against it, even where it does not know all.
    assert!(matches!(by_text(&spec("%if 0\n# define buildid .local\n%endif\n")), Err(Error::Effect { .. })));
    let error = by_text(&spec("%if 0\n# define buildid .local\n%endif\n")).unwrap_err().to_string();
    assert!(
        error.ends_with("makes the release `(unknown)`, expected `(unknown)` with `.ipvs_20bit` in it once"),
        "{error}"
    );
    let other = small("%if 0\n# define buildid .local\n%endif\n");
    assert!(matches!(find(&other, &nvr("1.0", "2")), Err(Error::Effect { .. })));
    assert!(!find(&small("# define buildid .local\n"), &nvr("1.0", "2")).unwrap().evaluated);
}

#[test]
fn a_spec_with_an_architecture_of_its_own_is_read_twice() {
    // Fedora 14 to 20 with a BuildArch: the second reading finds what the first one defined.
    let spec = |arch: &str| {
        texts(format!(
            "%if 0%{{?buildid:1}}\n%global orig %{{buildid}}\n%undefine buildid\n%endif\n%define buildid .a\n\
             %if 0%{{?orig:1}}\n%global both %{{buildid}}%{{orig}}\n%define buildid %{{both}}\n%endif\n\
             Name: kernel\nVersion: 1.0\nRelease: 1%{{buildid}}.%{{_target_cpu}}\n{arch}%description\n"
        ))
    };
    assert_eq!(run(&spec("")).release.as_deref(), Some("1.a.x86_64"));
    assert_eq!(run(&spec("BuildArch: noarch\n")).release.as_deref(), Some("1.a.a.noarch"));
    assert_eq!(run(&spec("BuildArch: x86_64\n")).release.as_deref(), Some("1.a.a.x86_64"));
    // Which of several is built first depends on the machine.
    let several = run(&spec("BuildArch: i686 x86_64\n"));
    assert!(several.release.is_none() && several.unknown.iter().any(|note| note.what == What::Machine));
    let twice = texts("BuildArch: noarch\nName: kernel\nVersion: 1.0\nRelease: 1%{?buildid}\n%description\n");
    carries(&twice, &nvr("1.0", "1"), Carrier::Inserted, 1, "%define buildid .ipvs_20bit", "1.ipvs_20bit");
}

#[test]
fn the_version_of_another_package_is_not_trusted() {
    assert!(!find(&small("# define buildid .local\n"), &nvr("1.1", "1")).unwrap().evaluated);
    assert!(find(&small("# define buildid .local\n"), &nvr("1.0", "1")).unwrap().evaluated);
}

#[test]
fn a_spec_that_rpm_refuses_is_not_promised() {
    // A real fork took the `# ` off the marker and left `% define`.
    let fork = small("% define buildid .local\n");
    let carried = find(&fork, &nvr("1.0", "1")).unwrap();
    assert!(!carried.evaluated);
    assert!(carried.unknown.iter().any(|unknown| unknown.what == What::Refused), "{carried:?}");
}
