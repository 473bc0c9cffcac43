//! The buildid edit against real rpm: machine-made specs, each edited as kbuild would, and then evaluated by rpmspec.
//! What kbuild says that the release becomes is what rpm says, or kbuild refuses; nothing is silently wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use kbuild::edit::spec::{self, Context, Dist, Sources};
use kbuild::rpm::nvr::Nvr;

use crate::support::require;

const MARKERS: [&str; 15] = [
    "#% define buildid",
    "# % define buildid .local",
    "# % define buildid ",
    "# define buildid .local",
    "#define buildid .local",
    "#global buildid .local",
    "#\t%\tdefine\tbuildid\t.local",
    "",
    "%define buildid .fork",
    "%global buildid .fork",
    "  %define   buildid\t.fork  ",
    "# %define buildid .fork",
    "# % define buildid .local\n%define buildid .fork",
    "# % define buildid .local\n# % define buildid .local",
    "%define buildid .one\n%define buildid .two",
];

/// How the marker is placed: as it is, in branches, behind text that is not UTF-8.
const PLACES: [&str; 6] = [
    "MARKER\n",
    "%if 0%{?rhel}\n%else\nMARKER\n%endif\n",
    "%if 0\nMARKER\n%endif\n",
    "%ifarch x86_64\nMARKER\n%endif\n",
    "%if 0%{?buildid:1}\n%global orig_buildid %{buildid}\n%undefine buildid\n%endif\nMARKER\n%if 0%{?orig_buildid:1}\n\
     %define buildid %{?buildid}%{orig_buildid}\n%endif\n",
    "# caf\u{e9} 100%%\nMARKER\n",
];

/// How the release is made.
const FLOWS: [&str; 6] = [
    "%define dist .el6\n%define pkg_release 220%{?dist}%{?buildid}\nRelease: %{pkg_release}\n",
    "%define specrelease 284.11.1%{?buildid}%{?dist}\n%define pkg_release %{specrelease}\nRelease: %{pkg_release}\n",
    "%global release_is 1%{?dist}uek%{?buildid}\nRelease:\t%{release_is}\n",
    "Release: 5%{?dist}\n",
    "%define rel %{expand:7%{?dist}}\nRelease: %{rel}%{?buildid}  \n",
    "%define rel %(echo 8)\nRelease: %{rel}%{?dist}%{?buildid}\n",
];

/// `%dist` of the host that packs them.
const HOSTS_DIST: &str = ".el8_2";

/// A machine-made spec, with the file that it may include.
struct Variant {
    texts: BTreeMap<String, Vec<u8>>,
}

fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for (number, marker) in MARKERS.iter().enumerate() {
        for (at, place) in PLACES.iter().enumerate() {
            for (turn, flow) in FLOWS.iter().enumerate() {
                let head = place.replace("MARKER", marker);
                let tail = "License: GPLv2\nSummary: x\n%description\nx\n%changelog\n";
                // The rest varies along with these three, so that each meets each.
                let included = (number + at + turn) % 5 == 0;
                let mut texts = BTreeMap::new();
                let spec = if included {
                    let body = format!("{head}Version: 3.0\n{flow}");
                    texts.insert("common.inc".to_owned(), latin1(&body));
                    format!("Name: kernel\nSource1: common.inc\n%include %{{SOURCE1}}\n{tail}")
                } else {
                    format!("Name: kernel\nVersion: 3.0\n{head}{flow}{tail}")
                };
                let mut spec = latin1(&spec);
                match (number * 7 + at * 3 + turn) % 4 {
                    0 => spec = spec.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]),
                    1 => {
                        spec.extend_from_slice(b"* x \xff\xfe %define buildid .late\n- no end");
                    }
                    _ => {}
                }
                texts.insert("kernel.spec".to_owned(), spec);
                all.push(Variant { texts });
            }
        }
    }
    all
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

/// Asks rpm for version and release, as `VERSION-RELEASE`.
fn rpm_says(top: &Path, texts: &BTreeMap<String, Vec<u8>>, dist: Option<&str>) -> Option<String> {
    for (name, text) in texts {
        let place = if name == "kernel.spec" { top.to_owned() } else { top.join("SOURCES") };
        fs_err::write(place.join(name), text).unwrap();
    }
    let mut command = Command::new("rpmspec");
    command.env("HOME", top).env("LC_ALL", "C").arg("--define").arg(format!("_topdir {}", top.display()));
    if let Some(dist) = dist {
        command.arg("--define").arg(format!("dist {dist}"));
    }
    let said = command
        .args(["-q", "--srpm", "--queryformat", "%{version}-%{release}\\n"])
        .arg(top.join("kernel.spec"))
        .output()
        .unwrap();
    let said = said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned())?;
    said.lines().next().map(str::to_owned)
}

#[test]
fn what_the_release_becomes_is_what_rpm_says_or_it_is_refused() {
    if !require("rpmspec") {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    fs_err::create_dir(top.path().join("SOURCES")).unwrap();
    let (mut right, mut by_text, mut refused, mut no_spec) = (0, 0, 0, 0);
    let variants = variants();
    for variant in &variants {
        let shown = || String::from_utf8_lossy(&variant.texts["kernel.spec"]).into_owned();
        // What a host with a %dist of its own packed.
        let Some(packed) = rpm_says(top.path(), &variant.texts, Some(HOSTS_DIST)) else {
            no_spec += 1;
            continue;
        };
        let (version, release) = packed.split_once('-').unwrap();
        let header = Nvr { name: "kernel".into(), version: version.into(), release: release.into() };
        let sources = Sources { spec: "kernel.spec", texts: &variant.texts };
        let mut context = Context { arch: "x86_64".into(), ..Context::default() };
        let dist = match spec::dist_of(&sources, &context, &header) {
            Dist::InSpec => None,
            Dist::Given(dist) => Some(dist),
            Dist::Unknown => Some(HOSTS_DIST.to_owned()),
        };
        context.defines.extend(dist.clone().map(|dist| ("dist".to_owned(), dist)));
        let Ok(carried) = spec::carry(&sources, &context, ".ipvs_20bit", &header) else {
            refused += 1;
            continue;
        };
        let mut edited = variant.texts.clone();
        let text = edited.get_mut(&carried.file).unwrap();
        let before = carried.before.as_deref();
        let new = spec::apply_line(&carried.file, text, carried.line, before, &carried.after).unwrap();
        assert_eq!(new.changes.len(), 1, "{}", shown());
        *text = new.text;
        let said = rpm_says(top.path(), &edited, dist.as_deref())
            .unwrap_or_else(|| panic!("rpm refuses {carried:?} with {dist:?}:\n{}", shown()));
        if carried.evaluated {
            assert_eq!(said, format!("3.0-{}", carried.release), "{carried:?}\n{}", shown());
            let without = carried.release.replacen(".ipvs_20bit", "", 1);
            assert_eq!(without, header.release, "{}", shown());
            right += 1;
        } else {
            // Not said beforehand: rpm is asked before the build, and told apart there.
            assert!(said.contains(".ipvs_20bit") || said == packed, "{said}\n{}", shown());
            by_text += 1;
        }
    }
    println!(
        "{} specs: {right} as rpm says, {by_text} edited without a promise, {refused} refused, {no_spec} no spec for rpm",
        variants.len()
    );
    assert!(variants.len() >= 500 && right >= 200 && refused >= 50 && by_text >= 10, "{right} {by_text} {refused}");
    assert!(no_spec <= variants.len() / 20, "{no_spec}");
}
