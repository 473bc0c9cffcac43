//! Decides what a publication changes, from what is there and what is offered. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::record::{Build, Published, Record};
use crate::edit::spec::compare_versions;
use crate::plan::Route;
use crate::rpm::nvr::Nvr;

/// A package that is proved and not published yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offered {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its file name, as rpm makes it.
    pub(super) file: String,
    pub(super) nvr: Nvr,
    pub(super) arch: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) image: bool,
    pub(super) install_only: bool,
    /// The build that it came out of.
    pub(super) build: String,
}

/// What is wanted of a publication beside its packages.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// How many releases of a line of kernels stay; all if there is no number.
    pub(super) keep: Option<usize>,
    /// A package of the same name may take the place of another one.
    pub(super) replace: bool,
    /// The key that signs.
    pub(super) key: Option<String>,
}

/// A package that the repository will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// It is there, and as it should be.
    Stays(Published),
    /// It is there, and another key, or none, has signed it.
    Resign(Published),
    /// It comes.
    Comes(Offered, BTreeSet<String>),
    /// It comes in the place of another one.
    Replaces(Offered, BTreeSet<String>, Box<Published>),
}

/// What a publication changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// All packages that will be there, in order of file name.
    pub(super) packages: Vec<Next>,
    /// All builds that will be there.
    pub(super) builds: BTreeMap<String, Build>,
    /// Packages that go.
    pub(super) pruned: Vec<Published>,
    /// Packages that were offered and are of a release too old to stay.
    pub(super) too_old: Vec<String>,
    /// Packages that builds of several architectures have in common: the one that is not taken, and why.
    pub(super) left_out: Vec<String>,
}

impl Changes {
    /// Names the packages with a kernel's image that dnf would update in place.
    pub(super) fn updated_in_place(&self) -> BTreeSet<&str> {
        let packages = self.packages.iter().map(|next| match next {
            Next::Stays(there) | Next::Resign(there) => (&there.nvr.name, there.image, there.install_only),
            Next::Comes(offer, _) | Next::Replaces(offer, ..) => (&offer.nvr.name, offer.image, offer.install_only),
        });
        packages.filter(|(_, image, beside)| *image && !beside).map(|(name, ..)| name.as_str()).collect()
    }

    /// Whether the metadata has to be made anew.
    pub(super) fn any(&self, record: Option<&Record>) -> bool {
        let stays = |next: &Next| matches!(next, Next::Stays(_));
        !self.pruned.is_empty()
            || !self.packages.iter().all(stays)
            || record.is_none_or(|record| !record.builds.keys().eq(self.builds.keys()))
    }
}

/// Decides what becomes of each package.
///
/// # Errors
/// Packages of the same name have different content; says of each which.
pub(super) fn decide(
    record: Option<&Record>,
    mut offered: Vec<Offered>,
    builds: &BTreeMap<String, Build>,
    wishes: &Wishes,
) -> Result<Changes, Vec<String>> {
    let mut changes = Changes::default();
    let mut all: BTreeMap<String, Build> = record.map(|record| record.builds.clone()).unwrap_or_default();
    all.extend(builds.clone());
    let old = wishes.keep.map(|keep| beyond(&all, keep)).unwrap_or_default();

    let mut packages: BTreeMap<String, Next> = BTreeMap::new();
    for package in record.iter().flat_map(|record| &record.packages) {
        let resign = wishes.key.is_some() && package.signed != wishes.key;
        let next = if resign { Next::Resign(package.clone()) } else { Next::Stays(package.clone()) };
        packages.insert(package.file.clone(), next);
    }
    let mut conflicts = Vec::new();
    offered.sort_by(|a, b| (&a.file, &a.path).cmp(&(&b.file, &b.path)));
    for offer in offered {
        let there = packages.get_mut(&offer.file);
        let Some(there) = there else {
            let of = [offer.build.clone()].into();
            packages.insert(offer.file.clone(), Next::Comes(offer, of));
            continue;
        };
        if there.is(&offer) {
            there.builds().insert(offer.build);
        } else if offer.arch == "noarch" && is_shared(there.builds(), &offer.build, &all) {
            changes
                .left_out
                .push(format!("{} of {}: the one of another architecture is there", offer.file, offer.build));
            there.builds().insert(offer.build);
        } else {
            match there.clone() {
                Next::Stays(package) | Next::Resign(package) if wishes.replace => {
                    let of = [offer.build.clone()].into();
                    *there = Next::Replaces(offer, of, Box::new(package));
                }
                Next::Stays(package) | Next::Resign(package) => conflicts.push(format!(
                    "{}: published with sha256 {} (as built), and `{}` has {}",
                    offer.file,
                    package.built,
                    offer.path.display(),
                    offer.sha256
                )),
                Next::Comes(other, _) | Next::Replaces(other, ..) => conflicts.push(format!(
                    "{}: `{}` and `{}` are not the same",
                    offer.file,
                    other.path.display(),
                    offer.path.display()
                )),
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    for mut next in packages.into_values() {
        if !next.builds().is_empty() && next.builds().is_subset(&old) {
            match next {
                Next::Stays(package) | Next::Resign(package) => changes.pruned.push(package),
                Next::Replaces(offer, _, package) => {
                    changes.too_old.push(offer.file);
                    changes.pruned.push(*package);
                }
                Next::Comes(offer, _) => changes.too_old.push(offer.file),
            }
        } else {
            changes.packages.push(next);
        }
    }
    let used: BTreeSet<String> = changes.packages.iter_mut().flat_map(|next| next.builds().clone()).collect();
    all.retain(|id, _| used.contains(id));
    changes.builds = all;
    Ok(changes)
}

impl Next {
    /// Whether it is this package: as it was built, or as it is published.
    fn is(&self, offer: &Offered) -> bool {
        match self {
            Self::Stays(there) | Self::Resign(there) => [&there.built, &there.sha256].contains(&&offer.sha256),
            Self::Comes(there, _) | Self::Replaces(there, ..) => there.sha256 == offer.sha256,
        }
    }

    /// The builds that it came out of.
    pub(super) fn builds(&mut self) -> &mut BTreeSet<String> {
        match self {
            Self::Stays(there) | Self::Resign(there) => &mut there.builds,
            Self::Comes(_, builds) | Self::Replaces(_, builds, _) => builds,
        }
    }
}

/// Whether a package without an architecture is one that this build has in common with builds for other architectures: each
/// of them makes it, and never the same to the byte (kernel-firmware, kernel-doc).
fn is_shared(there: &BTreeSet<String>, build: &str, all: &BTreeMap<String, Build>) -> bool {
    let Some(build) = all.get(build) else { return false };
    let mut others = there.iter().filter_map(|id| all.get(id));
    !there.contains(&build.id()) && others.any(|other| other.nvr == build.nvr && other.arch != build.arch)
}

/// Returns the builds of releases that are not among the newest so many of their line. A release is the distribution's: builds
/// of one with several sizes of the table count once. Settings (route `param`) are no releases.
fn beyond(all: &BTreeMap<String, Build>, keep: usize) -> BTreeSet<String> {
    let release = |build: &Build| {
        let base = build.base.as_ref().unwrap_or(&build.nvr);
        format!("{}-{}", base.version, base.release)
    };
    let mut lines: BTreeMap<(String, String, String), Vec<&Build>> = BTreeMap::new();
    for build in all.values().filter(|build| build.route != Route::Param) {
        lines.entry(build.line()).or_default().push(build);
    }
    let mut old = BTreeSet::new();
    for builds in lines.into_values() {
        let mut releases: Vec<String> = builds.iter().map(|build| release(build)).collect();
        releases.sort_by(|a, b| compare_versions(a, b));
        releases.dedup();
        let kept: BTreeSet<String> = releases.into_iter().rev().take(keep).collect();
        old.extend(builds.iter().filter(|build| !kept.contains(&release(build))).map(|build| build.id()));
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nvr(release: &str) -> Nvr {
        Nvr { name: "kernel".into(), version: "2.6.32".into(), release: release.into() }
    }

    fn build(base: &str, bits: u8, arch: &str) -> Build {
        Build {
            nvr: nvr(&format!("{base}.el6.ipvs_{bits}bit")),
            arch: arch.into(),
            route: Route::Kernel,
            bits: bits.to_string().parse().unwrap(),
            uname_r: String::new(),
            base: Some(nvr(&format!("{base}.el6"))),
            manifest: String::new(),
            proof: BTreeMap::new(),
        }
    }

    fn offer(build: &Build, name: &str, arch: &str, sha256: &str) -> Offered {
        let nvr = Nvr { name: name.into(), ..build.nvr.clone() };
        Offered {
            path: format!("/out/{}/{nvr}.{arch}.rpm", build.arch).into(),
            file: format!("{nvr}.{arch}.rpm"),
            nvr,
            arch: arch.into(),
            size: 1,
            sha256: sha256.into(),
            image: name == "kernel",
            install_only: name == "kernel",
            build: build.id(),
        }
    }

    fn published(offer: &Offered, key: Option<&str>) -> Published {
        Published {
            file: offer.file.clone(),
            nvr: offer.nvr.clone(),
            arch: offer.arch.clone(),
            location: format!("Packages/{}", offer.file),
            size: 2,
            modified: 0,
            built: offer.sha256.clone(),
            sha256: format!("signed {}", offer.sha256),
            signed: key.map(str::to_owned),
            image: offer.image,
            install_only: offer.install_only,
            builds: [offer.build.clone()].into(),
        }
    }

    fn record(builds: &[&Build], packages: Vec<Published>) -> Record {
        Record {
            schema: 1,
            kbuild: String::new(),
            generation: 1,
            published: String::new(),
            key: Some("A".into()),
            builds: builds.iter().map(|build| (build.id(), (*build).clone())).collect(),
            packages,
            retired: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn of(builds: &[&Build]) -> BTreeMap<String, Build> {
        builds.iter().map(|build| (build.id(), (*build).clone())).collect()
    }

    fn signing() -> Wishes {
        Wishes { key: Some("A".into()), ..Wishes::default() }
    }

    #[test]
    fn what_is_there_already_stays_however_it_is_offered() {
        let build = build("220", 20, "x86_64");
        let offered = offer(&build, "kernel", "x86_64", "1");
        let record = record(&[&build], vec![published(&offered, Some("A"))]);
        for sha256 in ["1", "signed 1"] {
            let again = Offered { sha256: sha256.into(), ..offered.clone() };
            let changes = decide(Some(&record), vec![again], &of(&[&build]), &signing()).unwrap();
            assert!(!changes.any(Some(&record)), "{changes:?}");
        }
        // Another key has to sign it; none leaves it as it is.
        let other = Wishes { key: Some("B".into()), ..Wishes::default() };
        let changes = decide(Some(&record), vec![], &BTreeMap::new(), &other).unwrap();
        assert!(matches!(changes.packages.as_slice(), [Next::Resign(_)]), "{changes:?}");
        assert!(!decide(Some(&record), vec![], &BTreeMap::new(), &Wishes::default()).unwrap().any(Some(&record)));
    }

    #[test]
    fn other_content_under_the_same_name_is_refused_or_replaces() {
        let build = build("220", 20, "x86_64");
        let first = offer(&build, "kernel", "x86_64", "1");
        let second = Offered { path: "/other".into(), sha256: "2".into(), ..first.clone() };
        let record = record(&[&build], vec![published(&first, Some("A"))]);
        let refused = decide(Some(&record), vec![second.clone()], &of(&[&build]), &signing()).unwrap_err();
        assert!(refused[0].contains("kernel-2.6.32-220.el6.ipvs_20bit.x86_64.rpm"), "{refused:?}");
        let replace = Wishes { replace: true, ..signing() };
        let changes = decide(Some(&record), vec![second.clone()], &of(&[&build]), &replace).unwrap();
        assert!(matches!(changes.packages.as_slice(), [Next::Replaces(..)]), "{changes:?}");
        // Of two that are offered at once nobody knows which one is meant.
        assert!(decide(None, vec![first, second], &of(&[&build]), &replace).is_err());
    }

    #[test]
    fn builds_of_two_architectures_share_what_has_none() {
        let (one, other) = (build("220", 20, "i686"), build("220", 20, "x86_64"));
        let offers = vec![
            offer(&one, "kernel-firmware", "noarch", "1"),
            offer(&other, "kernel-firmware", "noarch", "2"),
            offer(&one, "kernel", "i686", "3"),
            offer(&other, "kernel", "x86_64", "4"),
        ];
        let mut changes = decide(None, offers.clone(), &of(&[&one, &other]), &signing()).unwrap();
        assert_eq!((changes.packages.len(), changes.left_out.len()), (3, 1));
        let shared = changes.packages.iter_mut().find_map(|next| (next.builds().len() == 2).then(|| next.clone()));
        assert!(matches!(shared, Some(Next::Comes(Offered { sha256, .. }, _)) if sha256 == "1"), "{changes:?}");
        // It stays as long as one of them does.
        let newer = build("279", 20, "i686");
        let there = offers.iter().map(|offer| published(offer, Some("A"))).collect::<Vec<_>>();
        let shared = Published { builds: [one.id(), other.id()].into(), ..there[0].clone() };
        let record = record(&[&one, &other], vec![shared, there[2].clone(), there[3].clone()]);
        let keep = Wishes { keep: Some(1), ..signing() };
        let more = vec![offer(&newer, "kernel", "i686", "5")];
        let changes = decide(Some(&record), more, &of(&[&newer]), &keep).unwrap();
        let pruned: Vec<_> = changes.pruned.iter().map(|package| package.arch.as_str()).collect();
        assert_eq!(pruned, ["i686"]);
    }

    #[test]
    fn the_newest_releases_stay_with_all_their_sizes_in_each_line() {
        let builds: Vec<Build> = [("131", 20), ("220.13.1", 18), ("220.13.1", 20), ("220.2.1", 20), ("71", 20)]
            .map(|(base, bits)| build(base, bits, "x86_64"))
            .into();
        let el7 = Build { nvr: nvr("123.el7.ipvs_20bit"), base: Some(nvr("123.el7")), ..builds[0].clone() };
        let all: Vec<&Build> = builds.iter().chain([&el7]).collect();
        let old = |keep| -> Vec<String> { beyond(&of(&all), keep).into_iter().collect() };
        let name = |base: &str| format!("kernel-2.6.32-{base}.el6.ipvs_20bit.x86_64");
        assert_eq!(old(1), [name("131"), name("220.2.1"), name("71")]);
        assert_eq!(old(2), [name("131"), name("71")]);
        assert_eq!(old(4), [] as [String; 0]);
        let param = Build { route: Route::Param, base: None, ..build("1", 18, "noarch") };
        let newer = Build { route: Route::Param, base: None, ..build("2", 20, "noarch") };
        assert!(beyond(&of(&[&param, &newer]), 1).is_empty());
        // One that is offered too late does not come.
        let late = offer(&builds[4], "kernel", "x86_64", "1");
        let record = record(&[&builds[2]], vec![published(&offer(&builds[2], "kernel", "x86_64", "2"), Some("A"))]);
        let keep = Wishes { keep: Some(1), ..signing() };
        let changes = decide(Some(&record), vec![late], &of(&[&builds[4]]), &keep).unwrap();
        assert!(!changes.any(Some(&record)), "{changes:?}");
        assert_eq!(changes.too_old.len(), 1);
    }
}
