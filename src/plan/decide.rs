//! The decisions: request, recipe, source package and host in, plan or refusal out.

use std::path::PathBuf;

use super::commands::{self, Rpm};
use super::edits;
use super::error::{BOOTABLE, LONGEST_UNAME};
use super::host::{Account, Builder};
use super::step::Gate;
use super::{Error, Host, Layout, Plan, RecipeUsed, Request, SCHEMA, Source, SourceUsed, Step};
use crate::edit::config::{self, Setting};
use crate::ipvs::bits::{OPTION, Range};
use crate::ipvs::sources::{self, Kind, TreeFacts};
use crate::recipe::{BuildidPlace, Recipe};
use crate::rpm::nvr::Nvr;
use crate::rpm::trust::Signature;

/// How long the proving boot may take: it took 8 seconds with a distribution's kernel on a slow machine.
const BOOT_LIMIT: u64 = 180;

/// Makes the plan.
///
/// `why` says why this recipe was chosen, for the plan's reader.
///
/// # Errors
/// The request cannot be met; nothing was done.
pub fn decide(request: &Request, recipe: &Recipe, why: &str, source: &Source, host: &Host) -> Result<Plan, Error> {
    let user = host_ready(request, host)?;
    let arch = request.arch.clone().unwrap_or_else(|| host.arch.clone());
    if !recipe.arches.contains(&arch) {
        let known = recipe.arches.join(", ");
        return Err(Error::Arch { recipe: recipe.name.clone(), arch, known });
    }
    if request.boot && arch != BOOTABLE {
        return Err(Error::BootArch { arch });
    }
    let file = file_name(request);
    let signature = &source.header.signature;
    let mut warnings = trusted(request, &file, signature)?;

    let tree = sources::read(source.tree.iter().map(|(path, text)| (path.as_str(), text.as_slice())));
    in_range(request, recipe, &tree)?;

    let layout = Layout { work: host.work.path.clone(), out: request.out.clone() };
    let nvr = Nvr {
        name: source.header.nvr.name.clone(),
        version: source.header.nvr.version.clone(),
        release: release(&source.header.nvr.release, recipe, request.buildid.as_str()),
    };
    if let Some(found) = host.out_holds.clone().filter(|found| *found != nvr.to_string()) {
        return Err(Error::OtherResults { path: request.out.clone(), found, nvr: nvr.to_string() });
    }
    let uname_r = format!("{}-{}.{arch}", nvr.version, nvr.release);
    if uname_r.len() > LONGEST_UNAME {
        let length = uname_r.len();
        return Err(Error::UnameTooLong { uname_r, length });
    }

    let edits = edits::plan(request, recipe, source, &layout, &file)?;
    let precedence = precedence(recipe, &arch);
    let size = Setting::number(OPTION, request.bits.get().into());
    warnings.extend(overrides(&precedence, &recipe.option.files, source, &size));

    let expected: Vec<Setting> = std::iter::once(size).chain(request.set.iter().cloned()).collect();
    let srpm = if matches!(host.builder, Builder::Me) { request.srpm.clone() } else { layout.srpm(&file) };
    let rpm = Rpm { request, recipe, host, arch: &arch, layout: &layout, user: &user };
    let build = Step::Build {
        query: host.tools.get("rpmspec").map(|program| rpm.query(program)),
        command: rpm.build(&tool(host, "rpmbuild")),
        gate: Gate {
            resolved: recipe.option.resolved.replace("{arch}", &arch),
            expected: expected.clone(),
            precedence,
        },
    };
    let mut steps = vec![
        Step::Verify { srpm: srpm.clone(), size: source.header.size, sha256: source.header.sha256.clone() },
        Step::Unpack { srpm, spec: recipe.spec.file.clone() },
        Step::Edit { edits },
        build,
        Step::Prove { required: recipe.packages.required.clone(), expected, bits: request.bits },
    ];
    if request.boot {
        steps.push(Step::Boot {
            qemu: tool(host, QEMU),
            busybox: tool(host, "busybox"),
            bits: request.bits,
            limit: BOOT_LIMIT,
        });
    }
    steps.push(Step::Collect { install: recipe.packages.install.clone(), update: recipe.packages.update.clone() });

    let prepare = match &host.builder {
        Builder::Missing(name) => vec![commands::useradd(host, name)],
        Builder::Me | Builder::Other(_) => Vec::new(),
    };
    let plan = Plan {
        schema: SCHEMA,
        kbuild: env!("CARGO_PKG_VERSION").to_owned(),
        bits: request.bits,
        nvr,
        uname_r,
        buildid: request.buildid.clone(),
        arch,
        mode: request.mode,
        profile: request.profile,
        recipe: RecipeUsed { name: recipe.name.clone(), sha256: recipe.sha256.clone(), why: why.to_owned() },
        source: SourceUsed {
            nvr: source.header.nvr.clone(),
            file,
            size: source.header.size,
            sha256: source.header.sha256.clone(),
            signature: signature.clone(),
            tree: tree.clone(),
        },
        user,
        layout,
        prepare,
        steps,
        notes: notes(recipe, host, &tree),
        warnings,
        reproduce: request.reproduce.clone(),
    };
    Ok(match request.until {
        Some(last) => plan.until(last),
        None => plan,
    })
}

/// QEMU's program for x86-64 guests.
const QEMU: &str = "qemu-system-x86_64";

fn file_name(request: &Request) -> String {
    request.srpm.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn tool(host: &Host, name: &str) -> PathBuf {
    host.tools.get(name).cloned().unwrap_or_default()
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

/// Returns warnings, or refuses: a wrong signature always, a missing one unless the user said otherwise.
///
/// # Errors
/// The source package (`srpm` is its file name) is not to be used.
pub fn trusted(request: &Request, srpm: &str, signature: &Signature) -> Result<Vec<String>, Error> {
    let why = match signature {
        Signature::Good { .. } => return Ok(Vec::new()),
        Signature::Bad { why } => {
            return Err(Error::BadSignature { srpm: srpm.to_owned(), why: why.clone() });
        }
        Signature::Unsigned => "it has no signature".to_owned(),
        Signature::NoKey { signer } => format!("signed by {signer}, whose key was not given"),
    };
    if request.allow_unsigned {
        Ok(vec![format!("`{srpm}` is used although nobody known has signed it ({why}): --allow-unsigned")])
    } else {
        Err(Error::Unsigned { srpm: srpm.to_owned(), why })
    }
}

/// The tree's own word counts; the recipe's where the tree says nothing.
fn in_range(request: &Request, recipe: &Recipe, tree: &TreeFacts) -> Result<(), Error> {
    let (range, origin): (Range, String) = match &tree.range {
        Some((range, file)) => (*range, format!("{file} of this kernel")),
        None => (recipe.option.range, format!("recipe {}", recipe.name)),
    };
    if range.contains(request.bits) { Ok(()) } else { Err(Error::Range { bits: request.bits, range, origin }) }
}

/// Returns the release with the buildid where the family carries it.
fn release(release: &str, recipe: &Recipe, buildid: &str) -> String {
    let dist = format!(".{}", recipe.dist);
    match (recipe.spec.buildid, release.rfind(&dist)) {
        (BuildidPlace::BeforeDist, Some(at)) => {
            let (number, dist) = release.split_at(at);
            format!("{number}{buildid}{dist}")
        }
        (BuildidPlace::AfterDist, _) | (_, None) => format!("{release}{buildid}"),
    }
}

fn precedence(recipe: &Recipe, arch: &str) -> Vec<String> {
    recipe.option.precedence.iter().map(|file| file.replace("{arch}", arch)).collect()
}

/// Warns of files that are merged over the edited one and set the option, too: the prep gate will see who wins.
fn overrides(precedence: &[String], edited: &[String], source: &Source, size: &Setting) -> Vec<String> {
    precedence
        .iter()
        .filter(|file| !edited.contains(file))
        .filter_map(|file| {
            let value = config::value(source.texts.get(file)?, size.symbol())?;
            (value != size.value())
                .then(|| format!("`{file}` sets {}={value} and is merged over the edited file", size.symbol()))
        })
        .collect()
}

fn notes(recipe: &Recipe, host: &Host, tree: &TreeFacts) -> Vec<String> {
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
    if !host.rpm_database {
        notes.push(
            "this host's packages are not in an rpm database, so rpmbuild gets --nodeps and the spec's BuildRequires \
             go unchecked"
                .into(),
        );
    }
    notes
}
