//! From arguments to requests: what does not fit together is refused before anything is looked at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Edge;
use super::args::mode::ModeArgument;
use super::args::routes::{RouteArgument, Routes};
use super::args::{Build, ProfileArgument};
use super::prepare::absolute;
use crate::edit::config;
use crate::error::Error;
use crate::ipvs::bits::{MODULE, OPTION};
use crate::plan::Route;
use crate::plan::instructions::{self, Templates};
use crate::plan::request::{BaseConfig, Mode, Module, Param, Patch, Request, Tree};
use crate::plan::routes::options;
use crate::rpm::nvr::{BuildId, BuildIdError};

/// Makes a request for each value asked for.
///
/// # Errors
/// The arguments do not fit together, or a file that they name cannot be read.
pub(super) fn all(edge: &Edge, args: &Build) -> Result<Vec<Request>, Error> {
    fits(args)?;
    args.running.compile.check()?;
    let several = args.bits.len() > 1;
    let pattern = args.buildid.as_deref().unwrap_or(".ipvs_{bits}bit");
    if several && !pattern.contains("{bits}") {
        return Err(Error::Usage(format!(
            "several values need buildids of their own: write `--buildid` with `{{bits}}` in it, not `{pattern}`"
        )));
    }
    for (index, setting) in args.set.iter().enumerate() {
        let symbol = setting.symbol();
        if symbol == OPTION {
            return Err(Error::Usage(format!("`--set {setting}` contradicts `--bits`, which sets {symbol}")));
        }
        if symbol == MODULE && setting.value() != "m" {
            let expected = format!("expected {MODULE}=m: the proof of the table is ip_vs.ko");
            return Err(Error::Usage(format!("`--set {setting}` leaves no module, {expected}")));
        }
        if args.set.iter().take(index).any(|earlier| earlier.symbol() == symbol) {
            return Err(Error::Usage(format!("`--set` names {symbol} twice")));
        }
    }
    let patches = args.patch.iter().map(|path| patch(path)).collect::<Result<Vec<_>, _>>()?;
    for (index, patch) in patches.iter().enumerate() {
        if patches.iter().take(index).any(|earlier| earlier.text == patch.text) {
            return Err(Error::Usage(format!("`--patch` names `{}` twice: it applies once", patch.name)));
        }
    }
    let module =
        Module { any_compiler: args.module.any_compiler, kernels: super::devel::kernels(&args.module.kernel)? };
    let signing = super::signing::asked(&args.signing)?;
    let out = absolute(&args.out)?;
    let route = args.routes.route.route();
    let templates = templates(args.templates.as_deref(), route, args.mode.into())?;
    let tree = tree(args)?;
    args.bits
        .iter()
        .enumerate()
        .map(|(index, bits)| {
            if args.bits.iter().take(index).any(|earlier| earlier == bits) {
                return Err(Error::Usage(format!("`--bits` names {bits} twice")));
            }
            let buildid: BuildId = pattern
                .replace("{bits}", &bits.to_string())
                .parse()
                .map_err(|error: BuildIdError| Error::Usage(error.to_string()))?;
            Ok(Request {
                bits: *bits,
                route,
                param: Param { tune: args.routes.tune, built_in: args.routes.built_in },
                module: module.clone(),
                tree: tree.clone(),
                signing: signing.clone(),
                // Known when it was fetched.
                srpm: PathBuf::new(),
                arch: args.arch.clone(),
                mode: args.mode.into(),
                profile: args.profile.into(),
                with: args.with.clone(),
                without: args.without.clone(),
                set: args.set.clone(),
                patches: patches.clone(),
                out: if several { out.join(buildid.as_str().trim_start_matches('.')) } else { out.clone() },
                buildid,
                jobs: args.jobs,
                more_jobs: args.running.compile.more_jobs(),
                helpers: args.running.compile.helpers(args.bits.len()),
                nice: args.pace.nice,
                until: args.until.map(Into::into),
                boot: args.boot,
                templates: templates.clone(),
                reproduce: edge.command_line.clone(),
            })
        })
        .collect()
}

/// Refuses options that a source package alone has no use for, and routes that have none.
fn fits_srpm(args: &Build) -> Result<(), Error> {
    if args.mode != ModeArgument::Srpm {
        return Ok(());
    }
    let refuse =
        |option: &str, why: &str| Err(Error::Usage(format!("`{option}` means nothing to `--mode srpm`: {why}")));
    match args.routes.route {
        RouteArgument::Kernel => {}
        RouteArgument::Auto => {
            return refuse("--route auto", "it makes the kernel's own source package, `--route kernel`");
        }
        RouteArgument::Param | RouteArgument::Module | RouteArgument::Tree => {
            return refuse("--route", "it makes the kernel's own source package, `--route kernel`");
        }
    }
    let compile = &args.running.compile;
    let nothing = "nothing is compiled here";
    let given = [
        ("--boot", args.boot, "there is no kernel to boot yet: `kbuild boot DIR` boots what comes back"),
        ("--jobs", args.jobs.is_some(), nothing),
        ("--cache", compile.cache.is_some(), nothing),
        ("--cache-read-only", compile.cache_read_only, nothing),
        ("--compile-hosts", !compile.compile_hosts.is_empty(), nothing),
        ("--resume-build", args.running.resume_build, nothing),
        ("--sign-key", args.signing.sign_key.is_some(), "modules are signed where they are compiled"),
        ("--throw-away-key", args.signing.throw_away_key, "modules are signed where they are compiled"),
    ];
    match given.into_iter().find(|(_, given, _)| *given) {
        Some((option, _, why)) => refuse(option, why),
        None => Ok(()),
    }
}

/// Refuses options that the route would ignore.
fn fits(args: &Build) -> Result<(), Error> {
    fits_srpm(args)?;
    let Routes { route, tune, built_in, tree, config, install, .. } = &args.routes;
    let given = [
        ("sign-key", args.signing.sign_key.is_some()),
        ("throw-away-key", args.signing.throw_away_key),
        ("kernel-devel", args.module.kernel_devel.is_some()),
        ("kernel", !args.module.kernel.is_empty()),
        ("any-compiler", args.module.any_compiler),
        ("tune", *tune),
        ("built-in", *built_in),
        ("tree", tree.is_some()),
        ("config", config.is_some()),
        ("install", *install),
        ("set", !args.set.is_empty()),
        ("patch", !args.patch.is_empty()),
        ("with", !args.with.is_empty()),
        ("without", !args.without.is_empty()),
        ("buildid", args.buildid.is_some()),
        ("jobs", args.jobs.is_some()),
        ("until", args.until.is_some()),
        ("tmpfs", args.pace.tmpfs.is_some()),
        ("mode", args.mode != ModeArgument::Bb),
        ("profile", matches!(args.profile, ProfileArgument::Fleet)),
        ("boot", args.boot),
    ];
    for (option, _) in given.iter().filter(|(_, given)| *given) {
        if let Some(why) = options::useless(option, route.route()) {
            let route = route.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            return Err(Error::Usage(format!("`--{option}` means nothing to `--route {route}`: {why}")));
        }
    }
    Ok(())
}

/// What the route `tree` is to do.
fn tree(args: &Build) -> Result<Tree, Error> {
    let Routes { route, tree, config, install, install_root, .. } = &args.routes;
    if *route != RouteArgument::Tree {
        return Ok(Tree::default());
    }
    let Some(dir) = tree else {
        return Err(Error::Usage("say where the source tree goes: `--route tree --tree DIR`".into()));
    };
    if args.bits.len() > 1 {
        return Err(Error::Usage("`--route tree` makes one tree: say one value of `--bits`".into()));
    }
    let config = config.as_deref().map(base_config).transpose()?;
    Ok(Tree { dir: absolute(dir)?, config, install: install.then(|| absolute(install_root)).transpose()? })
}

/// Reads a configuration to start from.
fn base_config(path: &Path) -> Result<BaseConfig, Error> {
    let input = |source| Error::Input { what: "the configuration".into(), source };
    let text = fs_err::read_to_string(path).map_err(input)?;
    if !config::is_config(text.as_bytes()) {
        let message = format!("`{}` is no kernel configuration", path.display());
        return Err(input(std::io::Error::new(ErrorKind::InvalidData, message)));
    }
    Ok(BaseConfig { origin: path.display().to_string(), text })
}

fn patch(path: &Path) -> Result<Patch, Error> {
    let input = |source| Error::Input { what: "the patch".into(), source };
    let text = fs_err::read_to_string(path).map_err(input)?;
    if !text.contains("\n+++ ") {
        let message = format!("`{}` is not a unified diff", path.display());
        return Err(input(std::io::Error::new(ErrorKind::InvalidData, message)));
    }
    Ok(Patch { name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text })
}

/// Returns the user's own templates. Where the route is certain, the directory must have its template.
fn templates(dir: Option<&Path>, route: Option<Route>, mode: Mode) -> Result<Templates, Error> {
    let mut templates = Templates::default();
    let Some(dir) = dir else { return Ok(templates) };
    let input = |source| Error::Input { what: "the template".into(), source };
    for each in Route::ALL.into_iter().filter(|each| route.is_none_or(|route| route == *each)) {
        let name = instructions::built_in(each, mode).name;
        let text = match fs_err::read_to_string(dir.join(name)) {
            Ok(text) => text,
            Err(error) if route.is_none() && error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(input(error)),
        };
        instructions::check(name, &text).map_err(|error| input(std::io::Error::new(ErrorKind::InvalidData, error)))?;
        templates.0.insert(name.to_owned(), text);
    }
    Ok(templates)
}
