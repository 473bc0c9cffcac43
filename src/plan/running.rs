//! The kernel that runs somewhere, by what `uname -r` says there: its family, and the release of the distribution's
//! package.

use crate::edit::spec::compare_versions;
use crate::ipvs::size::Costs;
use crate::ipvs::size::era::{self, Era, Release, Word};
use crate::recipe::Recipe;

/// What the end of `uname -r` says of a flavour: `2.6.18-8.el5xen`, `….x86_64.debug`, `….x86_64+rt-debug`.
const FLAVOURS: [&str; 6] = ["xen", "PAE", "kdump", "debug", "rt", "64k"];

/// A kernel that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running<'a> {
    /// What knows its family, if something does.
    pub recipe: Option<&'a Recipe>,
    /// The release of the distribution's package, such as `2.6.32-220.13.1.el6`: without architecture, flavour and a
    /// buildid of kbuild's.
    pub release: String,
}

impl<'a> Running<'a> {
    /// Finds out what runs.
    #[must_use]
    pub fn of(recipes: &'a [Recipe], uname: &Release) -> Self {
        let release = distribution(uname.as_str());
        Self { recipe: family(recipes, &release), release }
    }

    /// Whether the table's size is a module parameter, by what the recipe knows; `None` if it knows nothing.
    #[must_use]
    pub fn has_parameter(&self) -> Option<bool> {
        let option = &self.recipe?.option;
        let since = option.parameter_since.as_ref();
        Some(since.is_some_and(|since| compare_versions(&self.release, since).is_ge()))
    }
}

/// What a kernel makes of a table, and where each part of that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its costs.
    pub costs: Costs,
    /// Its era; `None` if no kernel is named.
    pub era: Option<Era>,
    /// What the bucket is.
    pub bucket_from: String,
    /// Where the size of an entry comes from.
    pub entry_from: String,
    /// Where the range comes from.
    pub range_from: String,
}

/// Returns what a kernel makes of a table: by its era, and by its recipe where that knows a range; without a kernel as the
/// operators' guide counts.
#[must_use]
pub fn terms(recipes: &[Recipe], release: Option<&Release>, word: Word) -> Terms {
    let known = release.map(era::of);
    let era = known.unwrap_or_else(era::guide);
    let family = release.and_then(|release| Running::of(recipes, release).recipe);
    let (range, range_from) = match family {
        Some(recipe) if word == Word::Bits64 => (recipe.option.range, format!("recipe {}", recipe.name)),
        _ if release.is_some() => (era.range(word), "Kconfig of this version".to_owned()),
        _ => (era.range(word), "what every kernel takes".to_owned()),
    };
    Terms {
        costs: Costs { bucket_bytes: era.bucket.on(word), entry_bytes: era.entry.on(word), range },
        era: known,
        bucket_from: era.bucket_is.to_owned(),
        entry_from: era.entry_from.to_owned(),
        range_from,
    }
}

/// Returns the release of the distribution's package.
fn distribution(uname: &str) -> String {
    let mut rest = uname.split('+').next().unwrap_or_default();
    loop {
        let shorter =
            FLAVOURS.iter().find_map(|flavour| rest.strip_suffix(flavour)).map(|rest| rest.trim_end_matches('.'));
        let architecture = rest.rsplit_once('.').filter(|(_, arch)| Word::of(arch).is_some()).map(|(rest, _)| rest);
        match shorter.or(architecture) {
            Some(shorter) => rest = shorter,
            None => break,
        }
    }
    let parts = rest.split('.').filter(|part| !is_buildid(part));
    parts.collect::<Vec<_>>().join(".")
}

/// Whether a part of a release is what kbuild adds by default.
fn is_buildid(part: &str) -> bool {
    part.strip_prefix("ipvs_").and_then(|rest| rest.strip_suffix("bit")).is_some_and(|bits| bits.parse::<u8>().is_ok())
}

/// Returns the recipe for a release. Where several match (`el9` and the `el9` of `el9.elrepo`), it is the one whose own
/// example goes on as the release does.
fn family<'a>(recipes: &'a [Recipe], release: &str) -> Option<&'a Recipe> {
    let (_, release) = release.split_once('-')?;
    let matching = || recipes.iter().filter(|recipe| recipe.dist(release).is_some());
    let tail = |recipe: &Recipe, release: &str| {
        let rest = release.get(recipe.dist(release)? + 1..)?;
        Some(rest.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>())
    };
    let as_its_example = |recipe: &&Recipe| {
        let example = recipe.example.nvr.rsplit_once('-').map_or("", |(_, release)| release);
        tail(recipe, release) == tail(recipe, example)
    };
    matching().find(as_its_example).or_else(|| matching().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::builtin;

    #[track_caller]
    fn case(uname: &str, release: &str, recipe: Option<&str>, parameter: Option<bool>) {
        let recipes = builtin::all().unwrap();
        let running = Running::of(&recipes, &uname.parse().unwrap());
        assert_eq!(running.release, release, "{uname}");
        assert_eq!(running.recipe.map(|recipe| recipe.name.as_str()), recipe, "{uname}");
        assert_eq!(running.has_parameter(), parameter, "{uname}");
    }

    #[test]
    fn what_runs_is_known_by_its_release() {
        case("2.6.18-308.13.1.el5", "2.6.18-308.13.1.el5", Some("el5"), Some(false));
        case("2.6.18-308.13.1.el5xen", "2.6.18-308.13.1.el5", Some("el5"), Some(false));
        case("2.6.18-308.13.1.el5PAE", "2.6.18-308.13.1.el5", Some("el5"), Some(false));
        case("2.6.32-220.13.1.el6.x86_64", "2.6.32-220.13.1.el6", Some("el6"), Some(false));
        case("2.6.32-220.13.1.el6.i686", "2.6.32-220.13.1.el6", Some("el6"), Some(false));
        case("2.6.32-220.13.1.el6.x86_64.debug", "2.6.32-220.13.1.el6", Some("el6"), Some(false));
        case("2.6.32-220.13.1.el6.ipvs_20bit.x86_64", "2.6.32-220.13.1.el6", Some("el6"), Some(false));
        case("2.6.32-358.23.2.el6.x86_64", "2.6.32-358.23.2.el6", Some("el6"), Some(false));
        case("2.6.32-431.el6.x86_64", "2.6.32-431.el6", Some("el6"), Some(true));
        case("3.10.0-514.26.2.el7.x86_64", "3.10.0-514.26.2.el7", Some("el7"), Some(true));
        case("4.18.0-193.28.1.el8_2.x86_64", "4.18.0-193.28.1.el8_2", Some("el8"), Some(true));
        case("5.14.0-284.11.1.el9_2.x86_64+rt-debug", "5.14.0-284.11.1.el9_2", Some("el9"), Some(true));
        case("5.14.0-284.11.1.ipvs_20bit.el9_2.x86_64", "5.14.0-284.11.1.el9_2", Some("el9"), Some(true));
        case("5.14.0-427.13.1.el9_4.aarch64+64k", "5.14.0-427.13.1.el9_4", Some("el9"), Some(true));
        case("6.12.0-211.37.1.el10_2.x86_64", "6.12.0-211.37.1.el10_2", Some("el10"), Some(true));
        case("6.1.59-1.el9.elrepo.x86_64", "6.1.59-1.el9.elrepo", Some("elrepo"), Some(true));
        case("4.14.35-1.el7uek.x86_64", "4.14.35-1.el7uek", Some("uek"), Some(true));
        case("6.11.4-301.fc41.x86_64", "6.11.4-301.fc41", Some("fedora"), Some(true));
        case("2.6.32-754.35.1.el6.centos.plus.x86_64", "2.6.32-754.35.1.el6.centos.plus", Some("el6"), Some(true));
        case("6.1.0-56-amd64", "6.1.0-56-amd64", None, None);
    }
}
