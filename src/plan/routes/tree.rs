//! The route `tree`: the source tree as `%prep` leaves it, moved where one host wants it, configured, and on request
//! compiled and installed.
//!
//! What the tree's own Makefiles do is done by the building user, as far as a directory of its own; whoever started kbuild
//! puts that into place, and starts nothing of the tree.

use super::super::commands::environment;
use super::super::decide::Frame;
use super::super::instructions::{Instructions, More};
use super::super::layout::text;
use super::super::request::{BaseConfig, Request};
use super::super::step::{Compile, Edit, Refresh, Step, Tree};
use super::super::steps::tool;
use super::super::{Install, Plan, Source, edits};
use super::kernel::Ground;
use super::{Error, Route, cheaper};
use crate::command::Command;
use crate::edit::config::Setting;
use crate::ipvs::bits::OPTION;

/// The targets of make that bring a configuration up to date without a question: `olddefconfig` is 3.7's and later,
/// `nonint_oldconfig` that of 2.6.18 and 2.6.32 of el5 and el6, `oldnoconfig` 2.6.36's to 3.6's.
const REFRESH: [&str; 3] = ["olddefconfig", "nonint_oldconfig", "oldnoconfig"];
/// Where kernels leave their image, by architecture; 2.6.18 knows `x86_64` apart from i386.
const IMAGES: [(&str, &[&str]); 6] = [
    ("x86_64", &["arch/x86/boot/bzImage", "arch/x86_64/boot/bzImage"]),
    ("i686", &["arch/x86/boot/bzImage", "arch/i386/boot/bzImage"]),
    ("aarch64", &["arch/arm64/boot/Image.gz", "arch/arm64/boot/Image"]),
    ("s390x", &["arch/s390/boot/bzImage", "arch/s390/boot/image"]),
    ("ppc64", &["vmlinux"]),
    ("ppc64le", &["vmlinux"]),
];

/// The programs that the route needs beside rpmbuild.
pub(in crate::plan) fn tools(request: &Request) -> Vec<&'static str> {
    let mut needed = Vec::new();
    if request.route != Some(Route::Tree) {
        return needed;
    }
    if request.tree.install.is_some() {
        needed.extend(["make", "depmod"]);
    } else if request.tree.config.is_some() {
        needed.push("make");
    }
    needed
}

/// Plans the tree.
pub(in crate::plan) fn plan(frame: &Frame<'_>, source: &Source) -> Result<Plan, super::super::Error> {
    let Frame { request, host, .. } = frame;
    if request.tree.install.as_deref().is_some_and(|root| root.parent().is_none()) && host.me.uid != Some(0) {
        return Err(Error::InstallNeedsRoot { me: host.me.name.clone() }.into());
    }
    if request.tree.install.is_some() && frame.arch != host.arch {
        let (arch, here) = (frame.arch.clone(), host.arch.clone());
        return Err(Error::Cross { arch, here }.into());
    }
    let ground = Ground::new(frame, source)?;
    let edits = edits::plan(&ground, source)?;
    let warnings = ground.warnings(source, &edits);
    let config = config(frame);
    let archive = format!("{}.{}.tar", ground.released.nvr, frame.arch);
    let more = More {
        tree: text(&request.tree.dir),
        config: config.as_ref().map_or_else(|| "the source package's own".to_owned(), |base| base.origin.clone()),
        platform: platform(frame),
        installed: request.tree.install.as_deref().map(text).unwrap_or_default(),
        archive: archive.clone(),
        ..More::default()
    };
    let mut steps = ground.laid_out(edits);
    steps.push(ground.prepared());
    steps.push(Step::Tree(Box::new(tree(&ground, config, &archive))));
    steps.push(Step::Collect {
        install: Vec::new(),
        update: Vec::new(),
        instructions: Instructions::new(Route::Tree, request.mode, &request.templates, more),
    });
    let mut notes: Vec<String> = cheaper(Route::Tree, &frame.routes).into_iter().collect();
    notes.extend(ground.notes());
    let plan = ground.plan(Route::Tree, steps, notes, warnings);
    Ok(Plan { install: install(frame, &plan.uname_r, archive), ..plan })
}

/// The configuration to start from, if it is not the one that `%prep` resolves.
fn config(frame: &Frame<'_>) -> Option<BaseConfig> {
    let Frame { request, choice, host, .. } = frame;
    let nvr = frame.subject.nvr();
    let kernel = choice.recipe.uname_r(&nvr.version, &nvr.release, &frame.arch);
    base(request.tree.config.as_ref(), &host.running, host.running_config.as_ref(), &kernel).cloned()
}

/// The one given; else that of the running kernel, if it is the very kernel that the source package is of.
fn base<'a>(
    given: Option<&'a BaseConfig>,
    running: &str,
    of_running: Option<&'a BaseConfig>,
    kernel: &str,
) -> Option<&'a BaseConfig> {
    given.or(of_running.filter(|_| running == kernel))
}

/// The first line of a configuration in the way of the specs, which read the architecture from it (`head -1 .config | cut
/// -b 3-`, el6 2.6.32-220 to el10).
fn platform(frame: &Frame<'_>) -> String {
    let arch = match frame.arch.as_str() {
        "i686" => "i386",
        "aarch64" => "arm64",
        "ppc64" | "ppc64le" => "powerpc",
        "s390x" => "s390",
        other => other,
    };
    format!("# {arch}")
}

fn tree(ground: &Ground<'_>, config: Option<BaseConfig>, archive: &str) -> Tree {
    let Ground { frame, request, host, recipe, .. } = ground;
    let dir = &request.tree.dir;
    let make = Command::new(tool(host, "make"))
        .args(["-C", &text(dir)])
        .with_env(environment(host, &frame.user, &frame.layout))
        .in_dir(dir);
    // A configuration that was given may be of another kernel, with options of which it has never heard.
    let refresh = request
        .tree
        .config
        .as_ref()
        .map(|_| Refresh { make: make.clone(), targets: REFRESH.map(str::to_owned).into() });
    let jobs = request.jobs.unwrap_or(host.cpus).max(1);
    let stage = frame.layout.stage();
    let uname_r = ground.uname_r();
    let mut edits = vec![Edit::Set { setting: Setting::number(OPTION, request.bits.get().into()) }];
    if config.is_some() {
        edits.extend(request.set.iter().map(|setting| Edit::Set { setting: setting.clone() }));
        // The name comes from the Makefile: nothing else may add to it.
        let local = ["CONFIG_LOCALVERSION=\"\"", "CONFIG_LOCALVERSION_AUTO=n"];
        let local = local.iter().filter_map(|text| text.parse().ok());
        edits.extend(local.map(|setting| Edit::Set { setting }));
    }
    let images = IMAGES.iter().find(|(arch, _)| *arch == frame.arch).map_or(&["vmlinux"][..], |(_, images)| images);
    let works = refresh.is_some() || request.tree.install.is_some();
    Tree {
        dir: dir.clone(),
        clean: works.then(|| make.clone().arg("mrproper")),
        resolved: ground.filled(&recipe.option.resolved),
        config,
        platform: platform(frame),
        edits,
        extraversion: uname_r.strip_prefix(&ground.released.nvr.version).unwrap_or(&uname_r).to_owned(),
        refresh,
        expected: ground.expected(),
        compile: request.tree.install.as_ref().map(|_| Compile {
            commands: vec![
                make.clone().arg(format!("-j{jobs}")),
                make.arg("modules_install")
                    .arg(format!("INSTALL_MOD_PATH={}", text(&stage)))
                    .arg("INSTALL_MOD_STRIP=1"),
            ],
            stage,
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            archive: archive.to_owned(),
            bits: request.bits,
        }),
    }
}

/// What follows when everything is in place: the dependencies of the modules, and on the running system initramfs and
/// boot entry, which are the work of its own `installkernel` (as `make install` would have it do).
fn install(frame: &Frame<'_>, uname_r: &str, archive: String) -> Option<Install> {
    let Frame { request, host, .. } = frame;
    let root = request.tree.install.clone()?;
    let env: std::collections::BTreeMap<String, String> =
        [("PATH".to_owned(), host.path.clone()), ("LC_ALL".to_owned(), "C".to_owned())].into();
    let mut commands =
        vec![Command::new(tool(host, "depmod")).args(["-a", "-b", &text(&root), uname_r]).with_env(env.clone())];
    if root.parent().is_none()
        && let Some(program) = host.tools.get("installkernel")
    {
        let modules = format!("/lib/modules/{uname_r}");
        let parts = [uname_r.to_owned(), format!("{modules}/vmlinuz"), format!("{modules}/System.map"), "/boot".into()];
        commands.push(Command::new(program).args(parts).with_env(env));
    }
    Some(Install { archive, root, tree: request.tree.dir.clone(), commands })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernels_configuration_is_taken_for_that_kernel_only() {
        let config = |origin: &str| BaseConfig { origin: origin.to_owned(), text: String::new() };
        let (given, running) = (config("given"), config("running"));
        let kernel = "2.6.32-220.13.1.el6.x86_64";
        assert_eq!(base(None, kernel, Some(&running), kernel), Some(&running));
        assert_eq!(base(None, "2.6.32-220.el6.x86_64", Some(&running), kernel), None);
        assert_eq!(base(None, kernel, None, kernel), None);
        assert_eq!(base(Some(&given), kernel, Some(&running), kernel), Some(&given));
    }
}
