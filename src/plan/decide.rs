//! The decisions: request, recipe, kernel and host in, plan or refusal out. What a route decides for itself is in
//! `routes`.

use super::commands;
use super::error::BOOTABLE;
use super::host::{Account, Builder};
use super::in_memory;
use super::preflight;
use super::routes::{self, Comparison, Facts, Ipvs, Route, kernel, module, param, tree};
use super::{Choice, Error, Host, Layout, Plan, RecipeUsed, Request, SCHEMA, Source, SourceUsed, Step};
use crate::ipvs::bits::Range;
use crate::ipvs::sources::{self, TreeFacts};
use crate::recipe::Recipe;
use crate::rpm::nvr::Nvr;

/// The kernel that a plan is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// One whose source package is at hand.
    Source(&'a Source),
    /// One that was only named: what is said of it is its recipe's word.
    Named(&'a Nvr),
}

impl Subject<'_> {
    /// Name, version and release, as the distribution has them.
    #[must_use]
    pub fn nvr(&self) -> &Nvr {
        match self {
            Self::Source(source) => &source.header.nvr,
            Self::Named(nvr) => nvr,
        }
    }
}

/// What every route's plan has in common.
pub(super) struct Frame<'a> {
    pub(super) request: &'a Request,
    pub(super) choice: &'a Choice,
    pub(super) subject: Subject<'a>,
    pub(super) host: &'a Host,
    pub(super) user: Account,
    pub(super) arch: String,
    pub(super) layout: Layout,
    /// What the kernel's own tree says; nothing of a kernel that was only named.
    pub(super) tree: TreeFacts,
    /// The values that the kernel takes.
    pub(super) range: Range,
    /// How IPVS is in the kernel.
    pub(super) ipvs: Ipvs,
    /// The source package's file name.
    pub(super) file: String,
    /// All routes for this kernel.
    pub(super) routes: Vec<Comparison>,
    /// What may go wrong whatever the route.
    pub(super) warnings: Vec<String>,
}

impl Frame<'_> {
    /// Returns a plan without notes, for a kernel whose release stays as it is.
    pub(super) fn plan(&self, route: Route, nvr: Nvr, uname_r: String, way: String, steps: Vec<Step>) -> Plan {
        let Self { request, choice, host, .. } = self;
        let recipe = &choice.recipe;
        let source = match self.subject {
            Subject::Source(Source { header, voucher, .. }) => Some(SourceUsed {
                nvr: header.nvr.clone(),
                file: self.file.clone(),
                size: header.size,
                sha256: header.sha256.clone(),
                signature: header.signature.clone(),
                vouched_by: *voucher,
                tree: self.tree.clone(),
            }),
            Subject::Named(_) => None,
        };
        Plan {
            schema: SCHEMA,
            kbuild: env!("CARGO_PKG_VERSION").to_owned(),
            route,
            routes: self.routes.clone(),
            bits: request.bits,
            nvr,
            release: None,
            uname_r,
            buildid: None,
            arch: self.arch.clone(),
            mode: request.mode,
            profile: request.profile,
            recipe: RecipeUsed {
                name: recipe.name.clone(),
                sha256: recipe.sha256.clone(),
                why: choice.why.clone(),
                assumed: choice.assumed.clone(),
                way,
            },
            source,
            module: None,
            inputs: Vec::new(),
            signing: None,
            user: self.user.clone(),
            layout: self.layout.clone(),
            prepare: match &host.builder {
                Builder::Missing(name) => vec![commands::useradd(host, name)],
                Builder::Me | Builder::Other(_) => Vec::new(),
            },
            steps,
            install: None,
            notes: Vec::new(),
            warnings: self.warnings.clone(),
            reproduce: request.reproduce.clone(),
        }
    }

    /// Refuses a directory with the results of another build.
    pub(super) fn room_for(&self, nvr: &Nvr) -> Result<(), Error> {
        match self.host.out_holds.clone().filter(|found| *found != nvr.to_string()) {
            Some(found) => Err(Error::OtherResults { path: self.request.out.clone(), found, nvr: nvr.to_string() }),
            None => Ok(()),
        }
    }

    /// Where the building user reads the source package.
    pub(super) fn srpm(&self) -> std::path::PathBuf {
        match self.host.builder {
            Builder::Me => self.request.srpm.clone(),
            Builder::Other(_) | Builder::Missing(_) => self.layout.srpm(&self.file),
        }
    }
}

/// Makes the plan.
///
/// # Errors
/// The request cannot be met; nothing was done.
pub fn decide(request: &Request, choice: &Choice, subject: Subject<'_>, host: &Host) -> Result<Plan, Error> {
    let recipe = &choice.recipe;
    // What the machine lacks is told by `preflight`, all at once; a plan can be made without it.
    let user = preflight::builder(host).unwrap_or_else(|_| host.me.clone());
    let arch = request.arch.clone().unwrap_or_else(|| host.arch.clone());
    if !recipe.arches.contains(&arch) {
        let known = recipe.arches.join(", ");
        return Err(Error::Arch { recipe: recipe.name.clone(), arch, known });
    }
    if request.boot && arch != BOOTABLE {
        return Err(Error::BootArch { arch });
    }
    let file = request.srpm.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (warnings, tree) = match subject {
        Subject::Source(source) => {
            let texts = source.tree.iter().map(|(path, text)| (path.as_str(), text.as_slice()));
            (source.voucher.warning(&file).into_iter().collect(), sources::read(texts))
        }
        Subject::Named(_) => (Vec::new(), TreeFacts { range: None, kind: None }),
    };
    let range = in_range(request, recipe, &tree)?;
    let facts = Facts::new(request, choice, subject, &tree, &arch);
    let routes = routes::compare(&facts);
    let route = routes::settle(request.route, &routes)?;
    let (memory, why_not) = in_memory::decide(request, recipe, subject, &arch, route, host);
    let layout = Layout { work: host.work.path.clone(), out: request.out.clone(), memory };
    let warnings = warnings.into_iter().chain(why_not).collect();
    let frame = Frame {
        request,
        choice,
        subject,
        host,
        user,
        arch,
        layout,
        tree,
        range,
        ipvs: facts.ipvs,
        file,
        routes,
        warnings,
    };
    let plan = match (route, subject) {
        (Route::Param, _) => param::plan(&frame)?,
        (Route::Kernel, Subject::Source(source)) => kernel::plan(&frame, source)?,
        (Route::Tree, Subject::Source(source)) => tree::plan(&frame, source)?,
        (Route::Module, Subject::Source(source)) => module::plan(&frame, source)?,
        (Route::Kernel | Route::Module | Route::Tree, Subject::Named(nvr)) => {
            return Err(routes::Error::NeedsSource { route, nvr: nvr.to_string() }.into());
        }
    };
    let plan = match request.until {
        Some(last) => plan.until(last),
        None => plan,
    };
    Ok(plan.at_nice(request.nice))
}

/// The tree's own word counts; the recipe's where the tree says nothing.
fn in_range(request: &Request, recipe: &Recipe, tree: &TreeFacts) -> Result<Range, Error> {
    let (range, origin): (Range, String) = match &tree.range {
        Some((range, file)) => (*range, format!("{file} of this kernel")),
        None => (recipe.option.range, format!("recipe {}", recipe.name)),
    };
    if range.contains(request.bits) { Ok(range) } else { Err(Error::Range { bits: request.bits, range, origin }) }
}
