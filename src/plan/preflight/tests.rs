//! A machine as data, and what is said of it.

use super::*;
use crate::recipe::builtin;

fn el6() -> Recipe {
    builtin::all().unwrap().into_iter().find(|recipe| recipe.name == "el6").unwrap()
}

/// A machine on which all is well.
fn good() -> Survey {
    let versions = [("gcc", "4.4.7"), ("perl", "5.10.1"), ("gpg", "1.4.23"), ("make", "3.81")];
    Survey {
        versions: versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        packages: Some(Installed {
            manager: "yum".into(),
            names: el6().requires.dnf.into_iter().collect(),
            stale: false,
        }),
        work: "/work".into(),
        room: Some(Room { kind: "ext4".into(), size: gigabytes(200), free: gigabytes(100), ..Room::default() }),
        memory: Some(gigabytes(8)),
        jobs: 2,
        people: People { me: "me".into(), uid: 1000, known: true, builder: "me".into(), to_be_made: false },
        ..Survey::default()
    }
}

fn gigabytes(count: u64) -> u64 {
    count * 1000 * MEGABYTE
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn none() -> Files {
    Files::new()
}

/// What is asked of the machine, beside what is in the source package.
#[derive(Clone, Copy)]
struct Asked<'a> {
    route: Route,
    mode: Mode,
    requires: Option<&'a [&'a str]>,
    missing: &'a [&'a str],
}

const KERNEL: Asked<'static> = Asked { route: Route::Kernel, mode: Mode::Bb, requires: None, missing: &[] };

fn judged(survey: &Survey, asked: Asked<'_>, texts: &Files, tree: &Files) -> Judgement {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let requires = asked.requires.map(owned);
    let missing = owned(asked.missing);
    let recipe = el6();
    let subject = Subject {
        recipe: &recipe,
        route: asked.route,
        mode: asked.mode,
        profile: ProfileName::Fleet,
        size: Some(80 * MEGABYTE),
        requires: requires.as_deref(),
        missing: &missing,
        texts,
        tree,
    };
    judge(survey, &Ready::default(), &subject)
}

fn from(weight: Weight, judgement: &Judgement) -> Vec<(Weight, String)> {
    let found = judgement.findings.iter().filter(|finding| finding.weight >= weight);
    found.map(|finding| (finding.weight, finding.what.clone())).collect()
}

fn worst(survey: &Survey, texts: &Files, tree: &Files) -> Vec<(Weight, String)> {
    from(Weight::Risk, &judged(survey, KERNEL, texts, tree))
}

fn problem(what: &str) -> Vec<(Weight, String)> {
    vec![(Weight::Problem, what.to_owned())]
}

fn risk(what: &str) -> Vec<(Weight, String)> {
    vec![(Weight::Risk, what.to_owned())]
}

fn found(judgement: &Judgement, what: &str) -> String {
    let found: Vec<_> = judgement.findings.iter().filter(|each| each.what == what).collect();
    found.iter().map(|each| each.found.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_good_machine_has_no_problem() {
    let tree =
        files(&[("include/linux/compiler-gcc4.h", ""), ("kernel/timeconst.pl", "defined(@x)"), ("Makefile", "")]);
    let texts = files(&[("genkey", "Key-Type: DSA\n")]);
    assert_eq!(worst(&good(), &texts, &tree), []);
    assert_eq!(judged(&good(), KERNEL, &none(), &none()).install, None);
}

#[test]
fn each_thing_that_stops_a_build_is_found_and_all_at_once() {
    let room = |change: fn(&mut Room)| {
        let mut survey = good();
        change(survey.room.as_mut().unwrap());
        worst(&survey, &none(), &none())
    };
    assert_eq!(room(|room| room.noexec = true), problem("work directory"));
    assert_eq!(room(|room| room.read_only = true), problem("work directory"));
    assert_eq!(room(|room| room.folds_case = true), problem("work directory"));
    assert_eq!(room(|room| room.free = 100 * MEGABYTE), problem("room"));
    assert_eq!(room(|room| room.free = gigabytes(5)), risk("room"));
    assert_eq!(room(|room| room.inodes = Some(1000)), problem("inodes"));
    assert_eq!(room(|room| room.inodes = Some(50_000)), risk("inodes"));
    assert_eq!(worst(&Survey { memory: Some(500 * MEGABYTE), ..good() }, &none(), &none()), risk("memory"));
    let bare = Survey { packages: Some(Installed { manager: "yum".into(), ..Installed::default() }), ..good() };
    assert_eq!(worst(&bare, &none(), &none()), problem("packages"));
    let all = Survey { memory: Some(1), room: Some(Room { noexec: true, ..Room::default() }), ..bare };
    assert_eq!(worst(&all, &none(), &none()).len(), 4);
}

#[test]
fn file_systems_that_are_worth_a_word() {
    let on = |kind: &str, memory: u64| {
        let room = Room { kind: kind.into(), size: gigabytes(12), free: gigabytes(12), ..Room::default() };
        let judgement = judged(&Survey { room: Some(room), memory: Some(memory), ..good() }, KERNEL, &none(), &none());
        (from(Weight::Note, &judgement), found(&judgement, "work directory"))
    };
    let note = vec![(Weight::Note, "work directory".to_owned())];
    let (weights, text) = on("overlay", gigabytes(8));
    assert_eq!(weights, note);
    assert!(text.contains("/work is in the container's own layer (overlay)"), "{text}");
    let (weights, text) = on("tmpfs", gigabytes(32));
    assert_eq!(weights, note);
    assert!(text.contains("in memory (tmpfs of 12 GB)"), "{text}");
    // 80 MB times 90 are written there, and two jobs take 300 MB each.
    let (weights, text) = on("tmpfs", gigabytes(7));
    assert_eq!(weights, risk("work directory"));
    assert!(text.contains("7200 MB that are written there and the 600 MB"), "{text}");
    assert_eq!(on("xfs", gigabytes(8)), (vec![], String::new()));
}

#[test]
fn what_is_missing_is_installed_by_one_command() {
    let installed = |manager: &str, stale| {
        Some(Installed { manager: manager.into(), names: ["gcc", "make"].map(str::to_owned).into(), stale })
    };
    let survey = Survey { packages: installed("dnf", false), ..good() };
    let install = judged(&survey, KERNEL, &none(), &none()).install.unwrap().to_string();
    assert!(install.starts_with("dnf install -y ") && install.contains(" rpm-build"), "{install}");
    assert!(!install.contains(" gcc "), "{install}");

    // The spec at hand says more than the recipe, and what a shell would not take as it is is quoted.
    let asked = Asked { requires: Some(&["gcc", "xmlto", "perl(ExtUtils::Embed)", "/bin/sh"]), ..KERNEL };
    let judgement = judged(&survey, asked, &none(), &none());
    assert_eq!(judgement.install.unwrap().to_string(), "dnf install -y 'perl(ExtUtils::Embed)' xmlto");

    // On Debian, where rpmbuild does not look: what the recipe and the spec both name is needed, the rest perhaps.
    let survey = Survey { packages: installed("apt-get", true), ..good() };
    let requires = &["gcc", "make", "perl", "xmlto", "hmaccalc", "sh-utils", "rpm-build"][..];
    let asked = Asked { requires: Some(requires), missing: &["rpmbuild"], ..KERNEL };
    let judgement = judged(&survey, asked, &none(), &none());
    let expected = "apt-get update && apt-get install -y --no-install-recommends bc bison bzip2 cpio flex gnupg libc6-dev libelf-dev patch perl \
                    rpm xmlto";
    assert_eq!(judgement.install.as_ref().unwrap().to_string(), expected);
    assert_eq!(from(Weight::Risk, &judgement), [problem(PROGRAMS), problem("packages")].concat());
    let text = found(&judgement, "packages");
    assert_eq!(
        text,
        "missing: libc6-dev, perl, rpm\nmissing, and the build may do without: bc, bison, bzip2, cpio, flex, gnupg, libelf-dev, patch, xmlto\n\
         BuildRequires that have no package of Debian's are not looked for: hmaccalc"
    );
    // One command, in every finding that it mends.
    let fixes: BTreeSet<_> = judgement.findings.iter().filter_map(|finding| finding.fix.as_deref()).collect();
    assert_eq!(fixes.into_iter().collect::<Vec<_>>(), [expected]);

    // A program that is there counts, wherever it is from.
    let programs = ["rpmbuild", "gcc", "make"].map(str::to_owned).into();
    let names = el6().requires.apt.into_iter().filter(|name| !["rpm", "gcc"].contains(&name.as_str()));
    let names = names.chain(["xmlto".to_owned()]).collect();
    let packages = Some(Installed { manager: "apt-get".into(), names, stale: true });
    let judgement = judged(&Survey { programs, packages, ..good() }, Asked { missing: &[], ..asked }, &none(), &none());
    assert_eq!((from(Weight::Risk, &judgement), judgement.install), (vec![], None));
}

#[test]
fn a_machine_without_a_package_manager_is_told_the_names_of_both_kinds() {
    let asked = Asked { missing: &["rpmbuild", "busybox"], ..KERNEL };
    let judgement = judged(&Survey { packages: None, ..good() }, asked, &none(), &none());
    let finding = judgement.findings.iter().find(|finding| finding.weight == Weight::Problem).unwrap();
    assert_eq!(finding.found, "not found on PATH: `rpmbuild`, `busybox`");
    assert_eq!(
        finding.fix.as_deref(),
        Some("install with `apt-get install busybox-static rpm` (Debian) or `dnf install busybox rpm-build` (EL)")
    );
    assert!(!finding.can_be_ignored());
}

#[test]
fn routes_that_build_no_kernel_need_their_programs_only() {
    let tree = files(&[("include/linux/compiler-gcc3.h", "")]);
    let survey = Survey {
        memory: Some(1),
        entropy: Some(1),
        packages: Some(Installed { manager: "yum".into(), ..Installed::default() }),
        room: Some(Room { kind: "overlay".into(), ..Room::default() }),
        ..good()
    };
    let texts = files(&[("genkey", "Key-Type: DSA\n")]);
    for (route, missing) in [(Route::Param, &["rpmbuild"][..]), (Route::Module, &["make", "gcc"])] {
        let judgement = judged(&survey, Asked { route, requires: Some(&["xmlto"]), missing, ..KERNEL }, &texts, &tree);
        assert_eq!(from(Weight::Note, &judgement), problem(PROGRAMS), "{route}");
        assert_eq!(judgement.install.unwrap().packages.len(), missing.len());
    }
    assert!(worst(&survey, &texts, &tree).len() > 4);
}

#[test]
fn an_earlier_build_counts_for_more_than_the_model_if_it_was_of_the_same_kind() {
    let measured = Measured {
        objects: 9000,
        source: 100 * MEGABYTE,
        disk: gigabytes(20),
        files: 200_000,
        seconds: 3600,
        memory: gigabytes(2),
        jobs: 4,
    };
    let with = |measured: Measured, free: u64| {
        let room = Room { kind: "xfs".into(), free, inodes: Some(150_000), ..Room::default() };
        judged(&Survey { measured: Some(measured), room: Some(room), ..good() }, KERNEL, &none(), &none())
    };
    // 80 MB of source now and 100 then: 16 GB, and a fifth more to be on the safe side.
    let judgement = with(measured, gigabytes(100));
    assert!(found(&judgement, "room").ends_with("about 19 GB needed (by an earlier build)"));
    assert!(found(&judgement, "inodes").contains("about 192000 needed (by an earlier build)"));
    assert_eq!(from(Weight::Risk, &judgement), problem("inodes"));
    assert!(found(&judgement, "memory").ends_with("for 2 jobs, about 1200 MB needed (by an earlier build)"));
    assert_eq!(judgement.measured, Some(measured));
    assert!(from(Weight::Risk, &with(measured, gigabytes(18))).contains(&(Weight::Risk, "room".into())));
    assert!(from(Weight::Risk, &with(measured, gigabytes(15))).contains(&(Weight::Problem, "room".into())));
    // One of another size, such as a toy, says nothing of this one.
    for source in [10 * MEGABYTE, 500 * MEGABYTE, 0] {
        let judgement = with(Measured { source, ..measured }, gigabytes(100));
        assert!(found(&judgement, "room").ends_with("about 7200 MB needed (by the recipe)"), "{source}");
        assert_eq!(judgement.measured, None);
    }
    // Nothing that a file can say makes numbers overflow.
    with(Measured { disk: u64::MAX, files: u64::MAX, memory: u64::MAX, jobs: 1, ..measured }, u64::MAX);
}

#[test]
fn who_builds_and_where_is_told() {
    let host = |container: Option<(&str, Option<&str>)>| {
        let container = container.map(|(kind, image)| Container { kind: kind.into(), image: image.map(str::to_owned) });
        let survey = Survey { distribution: Some("Debian 12".into()), container, ..good() };
        found(&judged(&survey, KERNEL, &none(), &none()), "host")
    };
    assert_eq!(host(None), "Debian 12");
    assert_eq!(host(Some(("Docker", None))), "Debian 12, in a container (Docker)");
    assert_eq!(host(Some(("Podman", Some("ci/el6:1")))), "Debian 12, in a container (Podman, image ci/el6:1)");

    let who = |me: &str, builder: &str, known, to_be_made| {
        let people = People { me: me.into(), uid: 1_000_650_000, known, builder: builder.into(), to_be_made };
        let judgement = judged(&Survey { people, ..good() }, KERNEL, &none(), &none());
        (found(&judgement, USER), from(Weight::Note, &judgement).len())
    };
    assert_eq!(who("jo", "jo", true, false), ("`jo` builds".into(), 0));
    assert_eq!(who("root", "mockbuild", true, false), ("`root`; `mockbuild` builds".into(), 0));
    let made = "`root`; `mockbuild`, which is made for it, builds";
    assert_eq!(who("root", "mockbuild", true, true), (made.into(), 0));
    let (text, notes) = who("1000650000", "1000650000", false, false);
    assert!(text.starts_with("uid 1000650000 has no entry in /etc/passwd, as in OpenShift"), "{text}");
    assert_eq!(notes, 1);
}

#[test]
fn tools_that_are_too_young_for_the_kernel_are_told_by_its_own_sources() {
    let mut young = good();
    young.versions = [("gcc", "12.2.0"), ("perl", "5.36.0"), ("gpg", "2.2.40")]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into();
    young.default_pie = true;
    let one = |texts: &[(&str, &str)], tree: &[(&str, &str)]| worst(&young, &files(texts), &files(tree));
    assert_eq!(one(&[], &[("include/linux/compiler-gcc4.h", "")]), problem("compiler"));
    assert_eq!(one(&[], &[("include/linux/compiler-gcc.h", ""), ("include/linux/compiler-gcc12.h", "")]), []);
    let x86 = ("arch/x86/Makefile", "KBUILD_CFLAGS += -mcmodel=kernel\n");
    assert_eq!(one(&[], &[x86, ("Makefile", "CFLAGS = -O2\n")]), problem("compiler"));
    assert_eq!(one(&[], &[("Makefile", "CFLAGS = -O2\n")]), []);
    assert_eq!(one(&[], &[x86, ("Makefile", "KBUILD_CFLAGS += $(call cc-option,-fno-PIE)\n")]), []);
    assert_eq!(one(&[], &[("kernel/timeconst.pl", "if (!defined(@val)) {")]), problem("perl"));
    assert_eq!(one(&[("genkey", "%pubring x\nKey-Type: DSA\n")], &[]), risk("gpg"));
    assert_eq!(one(&[("genkey", "%no-protection\nKey-Type: DSA\n")], &[]), []);
}

#[test]
fn entropy_matters_where_the_spec_makes_a_key() {
    let survey = Survey { entropy: Some(120), ..good() };
    assert_eq!(worst(&survey, &files(&[("genkey", "Key-Type: DSA\n")]), &none()), risk("entropy"));
    assert_eq!(worst(&survey, &none(), &none()), []);
}

#[test]
fn secure_boot_is_a_note() {
    for (on, notes) in
        [(Some(true), vec![(Weight::Note, "secure boot".to_owned())]), (Some(false), vec![]), (None, vec![])]
    {
        let judgement = judged(&Survey { secure_boot: on, ..good() }, KERNEL, &none(), &none());
        assert_eq!(from(Weight::Note, &judgement), notes, "{on:?}");
    }
}

#[test]
fn what_kbuild_itself_cannot_do_without_is_not_ignored() {
    let ready = Ready {
        user: vec![Finding::new(Weight::Problem, USER, "root".into(), None)],
        directories: vec![Finding::new(Weight::Problem, DIRECTORY, "not to be used".into(), None)],
        missing: vec!["rpmbuild".into()],
    };
    let recipe = el6();
    let subject = Subject {
        recipe: &recipe,
        route: Route::Kernel,
        mode: Mode::Bb,
        profile: ProfileName::Full,
        size: None,
        requires: None,
        missing: &ready.missing,
        texts: &none(),
        tree: &none(),
    };
    let survey = Survey { room: Some(Room { noexec: true, ..Room::default() }), ..good() };
    let judgement = judge(&survey, &ready, &subject);
    let names = |ignore| judgement.problems(ignore).map(|finding| finding.what.as_str()).collect::<Vec<_>>();
    assert_eq!(names(false), [USER, PROGRAMS, DIRECTORY, "work directory"]);
    assert_eq!(names(true), [USER, PROGRAMS, DIRECTORY]);
    assert!(!ready.is_ready() && Ready::default().is_ready());
}

#[test]
fn a_source_package_takes_rpmbuild_and_nothing_of_what_a_build_takes() {
    let poor = Survey {
        packages: Some(Installed { manager: "yum".into(), ..Installed::default() }),
        room: Some(Room { kind: "overlay".into(), free: 500 * MEGABYTE, ..Room::default() }),
        memory: Some(100 * MEGABYTE),
        ..good()
    };
    let requires: &[&str] = &["gcc", "xmlto"];
    let asked = Asked { requires: Some(requires), ..KERNEL };
    let build = judged(&poor, asked, &none(), &none());
    assert!(build.problems(false).count() > 0, "{:?}", build.findings);
    let packed = judged(&poor, Asked { mode: Mode::Srpm, ..asked }, &none(), &none());
    assert_eq!(from(Weight::Note, &packed), [], "{:?}", packed.findings);
    let without = judged(&poor, Asked { mode: Mode::Srpm, missing: &["rpmbuild"], ..asked }, &none(), &none());
    assert_eq!(without.problems(true).count(), 1);
    assert_eq!(without.install.unwrap().packages, ["rpm-build"]);
}
