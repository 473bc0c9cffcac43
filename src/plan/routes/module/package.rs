//! The package `kmod-ip_vs-<bits>bit`: its spec and its sources, from templates.

use std::path::Path;

use serde::Serialize;

use super::super::super::commands::environment;
use super::super::super::layout::text;
use super::super::super::reproducible;
use super::super::super::step::{Step, TextFile};
use super::super::super::{DevelUsed, template};
use super::{Error, tool};
use crate::command::Command;
use crate::plan::decide::Frame;
use crate::rpm::nvr::Nvr;

/// When the templates last changed, as a changelog of rpm has it: the package's own time, so that it does not depend on
/// when it was built.
const DATE: &str = "Thu Nov 26 2026";

/// What the templates may say.
#[derive(Debug, Serialize)]
struct Values {
    name: String,
    version: String,
    release: String,
    nvr: String,
    arch: String,
    bits: u8,
    buckets: u64,
    uname_r: String,
    requires: Vec<String>,
    path: String,
    conf: String,
    conf_path: String,
    source: String,
    source_sha256: String,
    devel: String,
    devel_sha256: String,
    date: &'static str,
    old_rpm: bool,
}

/// Returns the step that makes the package of the module `built`.
pub(super) fn step(frame: &Frame<'_>, nvr: &Nvr, devel: &DevelUsed, built: &Path) -> Result<Step, Error> {
    let Frame { request, choice, host, user, layout, arch, .. } = frame;
    let kernel = frame.subject.nvr();
    let uname_r = &devel.uname_r;
    let rules = &choice.recipe.module;
    let filled = |text: &String| {
        let text = text.replace("{name}", &kernel.name).replace("{version}", &kernel.version);
        text.replace("{release}", &kernel.release).replace("{arch}", arch).replace("{uname_r}", uname_r)
    };
    // One for each kernel, so that packages for several kernels can be there at once.
    let conf = format!("kmod-ip_vs-{uname_r}.conf");
    let source = match &frame.subject {
        super::super::super::Subject::Source(source) => source.header.sha256.clone(),
        super::super::super::Subject::Named(_) => String::new(),
    };
    let values = Values {
        name: nvr.name.clone(),
        version: nvr.version.clone(),
        release: nvr.release.clone(),
        nvr: kernel.to_string(),
        arch: arch.clone(),
        bits: request.bits.get(),
        buckets: request.bits.buckets(),
        uname_r: uname_r.clone(),
        requires: rules.requires.iter().map(filled).collect(),
        path: format!("/lib/modules/{uname_r}/extra/ip_vs/ip_vs.ko"),
        conf_path: format!("/etc/depmod.d/{conf}"),
        conf: conf.clone(),
        source: frame.file.clone(),
        source_sha256: source,
        devel: devel.name.clone(),
        devel_sha256: devel.sha256.clone().unwrap_or_default(),
        date: DATE,
        old_rpm: rules.old_rpm,
    };
    let spec = layout.spec(&format!("{}.spec", nvr.name));
    let mut files = Vec::new();
    for (path, name, text) in [
        (spec.clone(), "module.spec", include_str!("../../../../templates/module.spec")),
        (layout.sources().join(&conf), "module-depmod.conf", include_str!("../../../../templates/module-depmod.conf")),
        (layout.sources().join("README"), "module-readme.txt", include_str!("../../../../templates/module-readme.txt")),
    ] {
        files.push(TextFile { path, text: template::fill(name, text, &values)? });
    }
    let places = [
        ("_topdir", text(&layout.topdir())),
        ("_tmppath", text(&layout.tmp())),
        ("packager", "kbuild".into()),
        ("source_date_epoch_from_changelog", "1".into()),
    ];
    let defines = places.into_iter().chain(reproducible::defines());
    let command = Command::new(tool(host, "rpmbuild"))
        .arg(request.mode.flag())
        .arg(format!("--target={arch}"))
        .args(defines.flat_map(|(name, value)| ["--define".to_owned(), format!("{name} {value}")]))
        .arg(text(&spec))
        .with_env(environment(host, user, layout))
        .in_dir(layout.topdir());
    Ok(Step::Package { files, copies: vec![(built.to_owned(), layout.sources().join("ip_vs.ko"))], command })
}
