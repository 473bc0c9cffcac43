//! The decisions: request, recipe, source package and host in, plan or refusal out.

use super::commands;
use super::configs::{self, Configs};
use super::edits;
use super::error::{BOOTABLE, LONGEST_UNAME};
use super::host::{Account, Builder};
use super::release::{self, Released};
use super::step::FileEdit;
use super::steps::QEMU;
use super::{Choice, Error, Host, Layout, Plan, RecipeUsed, Request, SCHEMA, Source, SourceUsed, switches};
use crate::edit::Change;
use crate::edit::config::{self, Setting};
use crate::ipvs::bits::{MODULE, OPTION, Range};
use crate::ipvs::sources::{self, Kind, TreeFacts};
use crate::recipe::Recipe;
use crate::rpm::source::Header;

/// What is settled before the steps are written down.
pub(super) struct Ground<'a> {
    pub(super) request: &'a Request,
    pub(super) recipe: &'a Recipe,
    pub(super) host: &'a Host,
    pub(super) header: &'a Header,
    pub(super) user: Account,
    /// The source package's file name.
    pub(super) file: String,
    pub(super) arch: String,
    /// The spec's name.
    pub(super) spec: String,
    pub(super) configs: Configs,
    pub(super) released: Released,
    pub(super) layout: Layout,
}

/// Makes the plan.
///
/// # Errors
/// The request cannot be met; nothing was done.
pub fn decide(request: &Request, choice: &Choice, source: &Source, host: &Host) -> Result<Plan, Error> {
    let recipe = &choice.recipe;
    let user = host_ready(request, host)?;
    let arch = request.arch.clone().unwrap_or_else(|| host.arch.clone());
    if !recipe.arches.contains(&arch) {
        let known = recipe.arches.join(", ");
        return Err(Error::Arch { recipe: recipe.name.clone(), arch, known });
    }
    if request.boot && arch != BOOTABLE {
        return Err(Error::BootArch { arch });
    }
    let file = request.srpm.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut warnings: Vec<String> = source.voucher.warning(&file).into_iter().collect();
    let tree = sources::read(source.tree.iter().map(|(path, text)| (path.as_str(), text.as_slice())));
    in_range(request, recipe, &tree)?;
    let spec = source.spec(recipe)?;
    switches::check(request, source, &spec)?;
    switches::agree(request, recipe)?;
    let configs = configs::choose(recipe, source, &arch)?;
    if let Some(file) =
        configs.built_in(source, &arch).filter(|_| !request.set.iter().any(|set| set.symbol() == MODULE))
    {
        return Err(Error::BuiltIn { srpm: source.header.nvr.to_string(), file });
    }
    let released = release::decide(request, choice, source, &spec, &arch)?;
    let layout = Layout { work: host.work.path.clone(), out: request.out.clone() };
    let header = &source.header;
    let ground = Ground { request, recipe, host, header, user, file, arch, spec, configs, released, layout };

    let nvr = &ground.released.nvr;
    if let Some(found) = host.out_holds.clone().filter(|found| *found != nvr.to_string()) {
        return Err(Error::OtherResults { path: request.out.clone(), found, nvr: nvr.to_string() });
    }
    let uname_r = recipe.uname_r(&nvr.version, &nvr.release, &ground.arch);
    if uname_r.len() > LONGEST_UNAME {
        let length = uname_r.len();
        return Err(Error::UnameTooLong { uname_r, length });
    }
    let edits = edits::plan(&ground, source)?;
    warnings.extend(
        ground
            .configs
            .overrides(source, &request.bits.to_string())
            .into_iter()
            .map(|(file, value)| format!("`{file}` sets {OPTION}={value} and is merged over the edited file")),
    );
    warnings.extend(edits.iter().filter_map(twice));
    warnings.extend(strangers(request, source));
    warnings.extend(not_evaluated(&ground));

    let plan = Plan {
        schema: SCHEMA,
        kbuild: env!("CARGO_PKG_VERSION").to_owned(),
        bits: request.bits,
        nvr: nvr.clone(),
        release: ground.released.used.clone(),
        uname_r,
        buildid: request.buildid.clone(),
        arch: ground.arch.clone(),
        mode: request.mode,
        profile: request.profile,
        recipe: RecipeUsed {
            name: recipe.name.clone(),
            sha256: recipe.sha256.clone(),
            why: choice.why.clone(),
            assumed: choice.assumed.clone(),
            way: ground.configs.why.clone(),
        },
        source: SourceUsed {
            nvr: header.nvr.clone(),
            file: ground.file.clone(),
            size: header.size,
            sha256: header.sha256.clone(),
            signature: header.signature.clone(),
            vouched_by: source.voucher,
            tree: tree.clone(),
        },
        user: ground.user.clone(),
        layout: ground.layout.clone(),
        prepare: match &host.builder {
            Builder::Missing(name) => vec![commands::useradd(host, name)],
            Builder::Me | Builder::Other(_) => Vec::new(),
        },
        steps: ground.steps(edits),
        notes: notes(&ground, &tree),
        warnings,
        reproduce: request.reproduce.clone(),
    };
    Ok(match request.until {
        Some(last) => plan.until(last),
        None => plan,
    })
}

fn builder(host: &Host) -> Result<Account, Error> {
    let root = |user: &str| Error::RootBuilder { user: user.to_owned() };
    match &host.builder {
        Builder::Me if host.me.uid == Some(0) => Err(root(&host.me.name)),
        Builder::Me => Ok(host.me.clone()),
        Builder::Other(account) if account.uid == Some(0) => Err(root(&account.name)),
        Builder::Other(Account { name, .. }) | Builder::Missing(name) if host.me.uid != Some(0) => {
            Err(Error::NotRoot { me: host.me.name.clone(), user: name.clone() })
        }
        Builder::Other(account) => Ok(account.clone()),
        Builder::Missing(name) => Ok(Account { name: name.clone(), uid: None, gid: None }),
    }
}

/// Refuses what the host cannot do, whatever the source package is; returns who builds.
///
/// # Errors
/// The account, a program or a directory is missing or cannot be used.
pub fn host_ready(request: &Request, host: &Host) -> Result<Account, Error> {
    let user = builder(host)?;
    tools(request, host)?;
    for place in [&host.work, &host.out] {
        if let Some(refused) = &place.refused {
            return Err(Error::Place { path: place.path.clone(), refused: refused.clone() });
        }
    }
    Ok(user)
}

fn tools(request: &Request, host: &Host) -> Result<(), Error> {
    let mut needed = vec!["rpmbuild"];
    if request.boot {
        needed.extend([QEMU, "busybox"]);
    }
    if matches!(host.builder, Builder::Missing(_)) {
        needed.push("useradd");
    }
    let programs: Vec<String> =
        needed.into_iter().filter(|name| !host.tools.contains_key(*name)).map(str::to_owned).collect();
    if programs.is_empty() { Ok(()) } else { Err(Error::NoTools { programs }) }
}

/// The tree's own word counts; the recipe's where the tree says nothing.
fn in_range(request: &Request, recipe: &Recipe, tree: &TreeFacts) -> Result<(), Error> {
    let (range, origin): (Range, String) = match &tree.range {
        Some((range, file)) => (*range, format!("{file} of this kernel")),
        None => (recipe.option.range, format!("recipe {}", recipe.name)),
    };
    if range.contains(request.bits) { Ok(()) } else { Err(Error::Range { bits: request.bits, range, origin }) }
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

fn notes(ground: &Ground<'_>, tree: &TreeFacts) -> Vec<String> {
    let Ground { recipe, host, configs, .. } = ground;
    let mut notes = Vec::new();
    if tree.kind == Some(Kind::Parameter) {
        let since = recipe.option.parameter_since.as_deref().unwrap_or("this one");
        notes.push(format!(
            "this kernel has the module parameter conn_tab_bits (in {} since {since}): a line `options ip_vs \
             conn_tab_bits=N` in /etc/modprobe.d does the same without a rebuild",
            recipe.name
        ));
    }
    if tree.kind.is_none() {
        notes.push(format!("the kernel tree could not be read: the range is the one of recipe {}", recipe.name));
    }
    if !configs.without_ipvs.is_empty() {
        notes.push(format!("without IPVS, and left as they are: {}", configs.without_ipvs.join(", ")));
    }
    if !host.rpm_database {
        notes.push(
            "this host's packages are not in an rpm database, so rpmbuild gets --nodeps and the spec's BuildRequires \
             go unchecked"
                .into(),
        );
    }
    notes
}
