//! The route `param`: a package that sets the module parameter `conn_tab_bits`, for the distribution's kernel as it is.
//!
//! Nothing of the source package is used: the release's name is enough. Where the source package is given all the same,
//! its own words on range, parameter and `CONFIG_IP_VS` count instead of the recipe's.

use std::path::PathBuf;

use serde::Serialize;

use super::super::Plan;
use super::super::commands::environment;
use super::super::decide::{Frame, Subject};
use super::super::instructions::{Instructions, More};
use super::super::layout::text;
use super::super::reproducible;
use super::super::step::{Step, TextFile};
use super::super::template::{self, folded};
use super::{Error, Ipvs, Route};
use crate::command::Command;
use crate::rpm::nvr::Nvr;

/// The package's name; its version is the value. One name for all values, so that one takes the place of another.
const NAME: &str = "ipvs-conn-tab-bits";
/// What is added to the name where IPVS is built in.
const BUILT_IN: &str = "-builtin";
/// What is added to the name of the package with the settings of a director.
const TUNING: &str = "-tuning";
/// Counts the changes of the package's templates; it is the package's release.
const RELEASE: &str = "1";
/// When they last changed, as a changelog of rpm has it: the package's own time, so that it does not depend on when it was
/// built.
const DATE: &str = "Thu Nov 26 2026";

/// Columns of the package's README.
const README_WIDTH: usize = 78;
/// Columns of INSTALL.md.
const INSTALL_WIDTH: usize = 118;

/// Where the parameter is set (modprobe.d(5); module-init-tools of el6 reads no other directory).
const MODPROBE: Place = Place { dir: "/etc/modprobe.d", file: "ipvs-conn-tab-bits.conf" };
/// Read at boot by initscripts of el6 and by systemd-sysctl, files in order of name.
const SYSCTL: Place = Place { dir: "/etc/sysctl.d", file: "90-ipvs-director.conf" };
/// Read by `pam_limits`, files in order of name.
const LIMITS: Place = Place { dir: "/etc/security/limits.d", file: "90-ipvs-director-limits.conf" };

/// A file of the package.
struct Place {
    dir: &'static str,
    file: &'static str,
}

impl Place {
    fn path(&self) -> String {
        format!("{}/{}", self.dir, self.file)
    }
}

/// What the templates of the package may say.
#[derive(Debug, Serialize)]
struct Values {
    name: String,
    release: &'static str,
    date: &'static str,
    bits: u8,
    buckets: u64,
    min: u8,
    max: u8,
    range: String,
    builtin: bool,
    tune: bool,
    modprobe: &'static str,
    modprobe_path: String,
    sysctl: &'static str,
    sysctl_path: String,
    limits: &'static str,
    limits_path: String,
}

/// Plans the package.
pub(in crate::plan) fn plan(frame: &Frame<'_>) -> Result<Plan, super::super::Error> {
    let Frame { request, choice, host, layout, .. } = frame;
    let builtin = matches!(frame.ipvs, Ipvs::BuiltIn { .. });
    let name = if builtin { format!("{NAME}{BUILT_IN}") } else { NAME.to_owned() };
    let nvr = Nvr { name: name.clone(), version: request.bits.to_string(), release: RELEASE.to_owned() };
    frame.room_for(&nvr)?;
    let values = Values {
        name: name.clone(),
        release: RELEASE,
        date: DATE,
        bits: request.bits.get(),
        buckets: request.bits.buckets(),
        min: frame.range.min,
        max: frame.range.max,
        range: folded(&range(frame), README_WIDTH),
        builtin,
        tune: request.param.tune,
        modprobe: MODPROBE.file,
        modprobe_path: MODPROBE.path(),
        sysctl: SYSCTL.file,
        sysctl_path: SYSCTL.path(),
        limits: LIMITS.file,
        limits_path: LIMITS.path(),
    };
    let files = files(frame, &values)?;
    let mut required = vec![name.clone()];
    if request.param.tune {
        required.push(format!("{name}{TUNING}"));
    }
    let command = Command::new(host.tool("rpmbuild"))
        .arg("-bb")
        .args(defines(frame).into_iter().flat_map(|(name, value)| ["--define".to_owned(), format!("{name} {value}")]))
        .arg(text(&layout.spec(&spec_file())))
        .with_env(environment(host, &frame.user, layout))
        .in_dir(layout.topdir());
    let more =
        More { builtin, tune: request.param.tune, range: folded(&range(frame), INSTALL_WIDTH), ..More::default() };
    let steps = vec![
        Step::Package { files, copies: Vec::new(), command },
        Step::ProveSetting { required: required.clone(), bits: request.bits },
        Step::Collect {
            install: Vec::new(),
            update: required,
            instructions: Instructions::new(Route::Param, request.mode, &request.templates, more),
        },
    ];
    let kernel = frame.subject.nvr();
    let uname_r = choice.recipe.uname_r(&kernel.version, &kernel.release, &frame.arch);
    let way = match &frame.ipvs {
        Ipvs::Module { .. } => format!("{}: options ip_vs conn_tab_bits={}", MODPROBE.path(), request.bits),
        Ipvs::BuiltIn { .. } => format!("the kernel's command line, by grubby: ip_vs.conn_tab_bits={}", request.bits),
    };
    let plan = frame.plan(Route::Param, nvr, uname_r, way, steps);
    Ok(Plan { notes: notes(frame), ..plan })
}

fn spec_file() -> String {
    format!("{NAME}.spec")
}

/// Writes the spec and its sources.
fn files(frame: &Frame<'_>, values: &Values) -> Result<Vec<TextFile>, Error> {
    let layout = &frame.layout;
    let mut sources: Vec<(&'static str, &'static str, &'static str)> =
        vec![("README", "param-readme.txt", include_str!("../../../templates/param-readme.txt"))];
    if !values.builtin {
        sources.push((MODPROBE.file, "param-modprobe.conf", include_str!("../../../templates/param-modprobe.conf")));
    }
    if values.tune {
        sources.extend([
            (SYSCTL.file, "param-sysctl.conf", include_str!("../../../templates/param-sysctl.conf")),
            (LIMITS.file, "param-limits.conf", include_str!("../../../templates/param-limits.conf")),
            ("bonding.txt", "param-bonding.txt", include_str!("../../../templates/param-bonding.txt")),
        ]);
    }
    let spec = ("param.spec", include_str!("../../../templates/param.spec"));
    let fill = |path: PathBuf, name: &str, text: &str| -> Result<TextFile, Error> {
        let text =
            template::fill(name, text, values).map_err(|source| Error::Template { name: name.to_owned(), source })?;
        Ok(TextFile { path, text })
    };
    let mut files = vec![fill(layout.spec(&spec_file()), spec.0, spec.1)?];
    for (file, name, text) in &sources {
        files.push(fill(layout.sources().join(file), name, text)?);
    }
    Ok(files)
}

/// What rpmbuild is told: where to work, and that neither time nor host get into the package.
fn defines(frame: &Frame<'_>) -> Vec<(&'static str, String)> {
    let places = [
        ("_topdir", text(&frame.layout.topdir())),
        ("_tmppath", text(&frame.layout.tmp())),
        ("packager", "kbuild <kbuild@localhost>".into()),
        ("source_date_epoch_from_changelog", "1".into()),
    ];
    places.into_iter().chain(reproducible::defines()).collect()
}

/// The values that the kernel takes, and what it does with others.
fn range(frame: &Frame<'_>) -> String {
    let outside = frame.choice.recipe.option.outside.as_deref().unwrap_or(
        "What they do with another value when ip_vs is loaded is not known for certain, so kbuild makes no such package.",
    );
    format!("These kernels take {} to {}. {outside}", frame.range.min, frame.range.max)
}

fn notes(frame: &Frame<'_>) -> Vec<String> {
    let recipe = &frame.choice.recipe;
    let mut notes = Vec::new();
    if matches!(frame.subject, Subject::Named(_)) {
        notes.push(format!(
            "nothing is fetched: the release's name is enough. Range, parameter and how IPVS is built are the word of \
             recipe {}; `kbuild host` on a director, or `--srpm`, has the kernel's own",
            recipe.name
        ));
    }
    notes.push(range(frame));
    notes.push(match frame.ipvs {
        Ipvs::Module { .. } => {
            "it counts when ip_vs is loaded: where it is in use, the connections in the table are lost when it is loaded \
             anew. `lsinitrd | grep ip_vs` shows whether the initramfs has it, which then needs `dracut -f`"
                .into()
        }
        Ipvs::BuiltIn { .. } => {
            "it counts from the next boot on. grubby sets it when the package is installed and takes it away when it is \
             removed; where there is no grubby, the package says what to do by hand"
                .into()
        }
    });
    notes
}
