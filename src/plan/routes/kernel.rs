//! The route `kernel`: the distribution's kernel packages, built anew with the option set. The route `tree` stands on the
//! same ground: it stops after `%prep`.

use super::super::configs::{self, Configs};
use super::super::decide::Frame;
use super::super::error::LONGEST_UNAME;
use super::super::host::Host;
use super::super::release::{self, Released};
use super::super::step::FileEdit;
use super::super::{Error, Plan, Request, Source, edits, signing, switches};
use super::{Route, cheaper};
use crate::edit::Change;
use crate::edit::config::{self, Setting};
use crate::ipvs::bits::{MODULE, OPTION};
use crate::recipe::Recipe;
use crate::rpm::source::Header;

/// What is settled before the steps are written down.
pub(in crate::plan) struct Ground<'a> {
    pub(in crate::plan) frame: &'a Frame<'a>,
    pub(in crate::plan) request: &'a Request,
    pub(in crate::plan) recipe: &'a Recipe,
    pub(in crate::plan) host: &'a Host,
    pub(in crate::plan) header: &'a Header,
    /// The spec's name.
    pub(in crate::plan) spec: String,
    pub(in crate::plan) configs: Configs,
    pub(in crate::plan) released: Released,
}

/// Plans the kernel packages.
pub(in crate::plan) fn plan(frame: &Frame<'_>, source: &Source) -> Result<Plan, Error> {
    let ground = Ground::new(frame, source)?;
    let edits = edits::plan(&ground, source)?;
    let warnings = ground.warnings(source, &edits);
    let mut notes: Vec<String> = cheaper(Route::Kernel, &frame.routes).into_iter().collect();
    notes.extend(ground.notes());
    if !frame.request.mode.compiles() {
        let steps = ground.packed(edits);
        return Ok(ground.plan(Route::Kernel, steps, notes, warnings));
    }
    let steps = ground.steps(edits);
    let (signing, note) = signing::decide(frame, source)?;
    notes.extend(note);
    Ok(Plan { signing, ..ground.plan(Route::Kernel, steps, notes, warnings) })
}

impl<'a> Ground<'a> {
    /// Settles which files are edited and what the release becomes.
    pub(in crate::plan) fn new(frame: &'a Frame<'a>, source: &'a Source) -> Result<Self, Error> {
        let Frame { request, choice, host, arch, .. } = frame;
        let recipe = &choice.recipe;
        let spec = source.spec(recipe)?;
        switches::check(request, source, &spec)?;
        switches::agree(request, recipe)?;
        let configs = configs::choose(recipe, source, arch)?;
        if let Some(file) =
            configs.built_in(source, arch).filter(|_| !request.set.iter().any(|set| set.symbol() == MODULE))
        {
            return Err(Error::BuiltIn { srpm: source.header.nvr.to_string(), file });
        }
        let released = release::decide(request, choice, source, &spec, arch)?;
        let ground = Self { frame, request, recipe, host, header: &source.header, spec, configs, released };
        frame.room_for(&ground.released.nvr)?;
        let uname_r = ground.uname_r();
        if uname_r.len() > LONGEST_UNAME {
            let length = uname_r.len();
            return Err(Error::UnameTooLong { uname_r, length });
        }
        Ok(ground)
    }

    /// What `uname -r` will say.
    pub(in crate::plan) fn uname_r(&self) -> String {
        let nvr = &self.released.nvr;
        self.recipe.uname_r(&nvr.version, &nvr.release, &self.frame.arch)
    }

    /// Puts the plan together.
    pub(in crate::plan) fn plan(
        &self,
        route: Route,
        steps: Vec<super::super::Step>,
        notes: Vec<String>,
        warnings: Vec<String>,
    ) -> Plan {
        let frame = self.frame;
        let base = frame.plan(route, self.released.nvr.clone(), self.uname_r(), self.configs.why.clone(), steps);
        Plan {
            release: Some(self.released.used.clone()),
            buildid: Some(self.request.buildid.clone()),
            notes,
            warnings: frame.warnings.iter().cloned().chain(warnings).collect(),
            ..base
        }
    }

    /// What may go wrong later.
    pub(in crate::plan) fn warnings(&self, source: &Source, edits: &[FileEdit]) -> Vec<String> {
        let overrides = self.configs.overrides(source, &self.request.bits.to_string());
        let overrides = overrides
            .into_iter()
            .map(|(file, value)| format!("`{file}` sets {OPTION}={value} and is merged over the edited file"));
        let mut warnings: Vec<String> = overrides.collect();
        warnings.extend(edits.iter().filter_map(twice));
        warnings.extend(strangers(self.request, source));
        warnings.extend(not_evaluated(self));
        warnings
    }

    /// Facts worth a line.
    pub(in crate::plan) fn notes(&self) -> Vec<String> {
        let Self { frame, recipe, host, configs, .. } = self;
        let mut notes = Vec::new();
        if frame.tree.kind.is_none() {
            notes.push(format!("the kernel tree could not be read: the range is the one of recipe {}", recipe.name));
        }
        if !configs.without_ipvs.is_empty() {
            notes.push(format!("without IPVS, and left as they are: {}", configs.without_ipvs.join(", ")));
        }
        if !host.rpm_database {
            notes.push(
                "this host's packages are not in an rpm database, so rpmbuild gets --nodeps; the spec's \
                 BuildRequires are compared by their names on Debian"
                    .into(),
            );
        }
        notes
    }
}

/// Warns of a file that had the option more than once: each of the lines is set.
fn twice(edit: &FileEdit) -> Option<String> {
    let option = |change: &&Change| change.after.starts_with(&format!("{OPTION}="));
    let lines: Vec<String> = edit.changes.iter().filter(option).map(|change| change.line.to_string()).collect();
    (lines.len() > 1).then(|| {
        format!("`{}` has {OPTION} {} times (lines {}): all are set", edit.file, lines.len(), lines.join(", "))
    })
}

/// Warns of each symbol of `--set` that no file of the source package names: kconfig drops what it does not know without
/// a word, and the packages are found to lack it only after the build.
fn strangers(request: &Request, source: &Source) -> Vec<String> {
    let named = |symbol: &str| source.texts.values().any(|text| !config::values(text, symbol).is_empty());
    let strange = request.set.iter().map(Setting::symbol).filter(|symbol| !named(symbol));
    strange.map(|symbol| format!("no config source names {symbol}: is it spelt as the kernel spells it?")).collect()
}

/// Warns of a release that is only the recipe's word.
fn not_evaluated(ground: &Ground<'_>) -> Option<String> {
    let Ground { spec, recipe, released, .. } = ground;
    let unknown: Vec<String> = released.carried.unknown.iter().map(ToString::to_string).collect();
    let why = if unknown.is_empty() { "it gives another release".to_owned() } else { unknown.join("; ") };
    (!released.used.evaluated).then(|| {
        format!(
            "`{spec}` could not be evaluated ({why}): the release is the one that recipe {} knows, and rpm is asked \
             before the build",
            recipe.name
        )
    })
}
