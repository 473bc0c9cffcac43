//! The route `module`: `ip_vs.ko` alone, from the release's own sources, against the distribution's own kernel-devel.

mod error;
mod package;
mod patches;
mod signing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::commands::environment;
use super::super::decide::Frame;
use super::super::devel::{HEADER, Origin};
use super::super::host::{Builder, Host};
use super::super::instructions::{Instructions, More};
use super::super::layout::text;
use super::super::request::Input;
use super::super::step::{Bytes, Compilation, DevelPlace, PatchRun, SameFile, SourceFile, Step};
use super::super::steps::{BOOT_LIMIT, QEMU};
use super::super::{Devel, DevelUsed, ModuleUsed, Plan, Source, source as kinds, template};
use super::Route;
use crate::command::Command;
use crate::digest::sha256;
use crate::edit::config::Setting;
use crate::ipvs::module::{self as ipvs, Include, is_source};
use crate::plan;
use crate::rpm::nvr::Nvr;
pub use error::Error;
pub use patches::{Applied, Patches};

/// The header that redefines the option, beside IPVS's sources.
const TAB_BITS: &str = "tab-bits.h";
/// The makefile that builds `ip_vs.ko` alone. The kernel's makefiles prefer this name to `Makefile`.
const KBUILD: &str = "Kbuild";
/// The programs that this takes beside rpmbuild.
pub(in crate::plan) const TOOLS: [&str; 3] = ["make", "gcc", "strip"];

/// What is settled before the steps are written down.
struct Ground<'a> {
    frame: &'a Frame<'a>,
    source: &'a Source,
    devel: &'a Devel,
    used: DevelUsed,
    /// Where the tree has IPVS, such as `net/netfilter/ipvs/`.
    dir: &'static str,
    patches: Patches,
    nvr: Nvr,
}

/// Plans the package.
pub(in crate::plan) fn plan(frame: &Frame<'_>, source: &Source) -> Result<Plan, plan::Error> {
    Ok(planned(frame, source)?)
}

fn planned(frame: &Frame<'_>, source: &Source) -> Result<Plan, Refused> {
    let kernel = &source.header.nvr;
    let nvr = || kernel.to_string();
    let Frame { request, choice, host, arch, .. } = frame;
    if *arch != host.arch {
        return Err(Error::Cross { arch: arch.clone(), host: host.arch.clone() }.into());
    }
    let dir =
        ipvs::directory(&kernel.version, &source.tree).map_err(|source| Error::Unsuitable { nvr: nvr(), source })?;
    let devel = source.devel.as_ref().ok_or_else(|| Error::NoDevel { nvr: nvr() })?;
    let uname_r = choice.recipe.uname_r(&kernel.version, &kernel.release, arch);
    let used = devel.check(&uname_r, arch).map_err(Error::from)?;
    let nowhere = missing(source, devel).into_iter().filter(|path| !source.tree.contains_key(path));
    let nowhere: Vec<String> = nowhere.collect();
    if !nowhere.is_empty() {
        return Err(Error::NoHeaders { headers: nowhere, devel: devel.name() }.into());
    }
    let specs: BTreeMap<&str, String> = source
        .texts
        .iter()
        .filter(|(file, _)| kinds::is_spec(file))
        .map(|(file, text)| (file.as_str(), String::from_utf8_lossy(text).into_owned()))
        .collect();
    // The hook for patches of one's own is a text of the package, and may have been filled.
    let hooks = source.texts.iter().filter(|(file, _)| kinds::is_patch(file));
    let all = source.patches.iter().chain(hooks).map(|(file, text)| (file.clone(), text.clone())).collect();
    let patches = patches::find(&specs, &all)?;
    if request.boot && request.module.kernels.is_empty() {
        return Err(Error::NothingToBoot.into());
    }
    let name = format!("kmod-ip_vs-{}bit", request.bits);
    let nvr = Nvr { name, version: kernel.version.clone(), release: kernel.release.clone() };
    frame.room_for(&nvr)?;
    let ground = Ground { frame, source, devel, used, dir, patches, nvr };
    ground.plan()
}

/// A refusal of any kind: this file's own, or one that all routes have.
struct Refused(plan::Error);

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(super::Error::Module(error.into()).into())
    }
}

impl From<plan::Error> for Refused {
    fn from(error: plan::Error) -> Self {
        Self(error)
    }
}

impl From<Refused> for plan::Error {
    fn from(refused: Refused) -> Self {
        refused.0
    }
}

/// Returns the headers, by their path in the kernel's tree, that IPVS includes and neither has itself nor finds in
/// kernel-devel.
#[must_use]
pub fn missing(source: &Source, devel: &Devel) -> Vec<String> {
    let mut missing = std::collections::BTreeSet::new();
    for (path, text) in source.tree.iter().filter(|(path, _)| is_source(path) && !path.ends_with("Kconfig")) {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for include in ipvs::includes(text) {
            let path = match &include {
                Include::Kernel(_) if devel.has_header(&include) => continue,
                Include::Kernel(header) => format!("include/{header}"),
                Include::Beside(header) => format!("{dir}/{header}"),
            };
            if !source.tree.keys().any(|each| *each == path && is_source(each)) {
                missing.insert(path);
            }
        }
    }
    missing.into_iter().collect()
}

impl Ground<'_> {
    fn plan(self) -> Result<Plan, Refused> {
        let Self { frame, source, devel, .. } = &self;
        let request = frame.request;
        let layout = &frame.layout;
        let header = &source.header;
        let tree = layout.module();
        let place = match &devel.origin {
            Origin::Package { path, header, .. } => {
                DevelPlace::Package { package: self.input(path), sha256: header.sha256.clone(), tree: layout.devel() }
            }
            Origin::Directory { path } => DevelPlace::Directory { tree: path.clone() },
        };
        let (sign, signing) = signing::decide(frame, devel, &place, &self.built())?.unzip();
        let mut steps = vec![
            Step::Verify { srpm: frame.srpm(), size: header.size, sha256: header.sha256.clone() },
            Step::Lay { files: self.files()?, devel: place.clone(), tree: tree.clone() },
            Step::Patch { patches: self.runs(), same: self.same(), tree },
            Step::Compile(Box::new(self.compilation(&place, sign))),
            package::step(frame, &self.nvr, &self.used, &self.built())?,
            Step::Prove {
                required: vec![self.nvr.name.clone()],
                exempt: Vec::new(),
                expected: Vec::<Setting>::new(),
                bits: request.bits,
            },
        ];
        if request.boot {
            steps.push(Step::Boot {
                qemu: tool(frame.host, QEMU),
                busybox: tool(frame.host, "busybox"),
                bits: request.bits,
                limit: BOOT_LIMIT,
                with: request.module.kernels.iter().map(|kernel| self.input(&kernel.path)).collect(),
            });
        }
        steps.push(Step::Collect {
            install: vec![self.nvr.name.clone()],
            update: Vec::new(),
            instructions: Instructions::new(Route::Module, request.mode, &request.templates, More::default()),
        });
        let way = format!("{}{TAB_BITS}, which the compiler includes after the kernel's autoconf.h", self.dir);
        let plan = frame.plan(Route::Module, self.nvr.clone(), self.used.uname_r.clone(), way, steps);
        let (notes, warnings) = self.remarks();
        Ok(Plan {
            module: Some(ModuleUsed {
                devel: self.used.clone(),
                patches: self.patches.applied.iter().map(|patch| patch.name.clone()).collect(),
            }),
            inputs: self.inputs(),
            signing,
            notes,
            warnings: plan.warnings.iter().cloned().chain(warnings).collect(),
            ..plan
        })
    }

    /// The packages that the building user has to get beside the source package.
    fn inputs(&self) -> Vec<Input> {
        let devel = match &self.devel.origin {
            Origin::Package { path, header, .. } => Some(Input { path: path.clone(), size: header.size }),
            Origin::Directory { .. } => None,
        };
        devel.into_iter().chain(self.frame.request.module.kernels.iter().cloned()).collect()
    }

    /// Where the building user reads a package.
    fn input(&self, path: &std::path::Path) -> PathBuf {
        match self.frame.host.builder {
            Builder::Me => path.to_owned(),
            Builder::Other(_) | Builder::Missing(_) => {
                self.frame.layout.input(&path.file_name().unwrap_or_default().to_string_lossy())
            }
        }
    }

    /// The directory that is built, as `M=` gets it.
    fn dir(&self) -> PathBuf {
        self.frame.layout.module().join(self.dir.trim_end_matches('/'))
    }

    fn built(&self) -> PathBuf {
        self.dir().join("ip_vs.ko")
    }

    /// IPVS's sources, the headers that kernel-devel lacks, and what kbuild adds.
    fn files(&self) -> Result<Vec<SourceFile>, Refused> {
        let extra = missing(self.source, self.devel);
        let wanted = |path: &str| is_source(path) || extra.iter().any(|each| each == path);
        let sources = self.source.tree.iter().filter(|(path, _)| wanted(path));
        let mut files: Vec<SourceFile> =
            sources.map(|(path, text)| SourceFile { path: path.clone(), content: Bytes::new(text.clone()) }).collect();
        let include = self.frame.layout.module().join("include");
        let values = serde_json::json!({
            "bits": self.frame.request.bits.get(),
            "extra": if extra.is_empty() { String::new() } else { text(&include) },
        });
        for (file, name, text) in [
            (TAB_BITS, "module-tab-bits.h", include_str!("../../../templates/module-tab-bits.h")),
            (KBUILD, "module-kbuild", include_str!("../../../templates/module-kbuild")),
        ] {
            let text = template::fill(name, text, &values)?;
            files.push(SourceFile { path: format!("{}{file}", self.dir), content: Bytes::Text(text) });
        }
        Ok(files)
    }

    /// The patches as commands. What they change is all there, so paths that they do not find are failures.
    fn runs(&self) -> Vec<PatchRun> {
        let frame = self.frame;
        let run = |(index, patch): (usize, &Applied)| {
            let path = frame.layout.module_patch(index, &patch.name);
            let command = self
                .command(tool(frame.host, "patch"))
                .arg(format!("-p{}", patch.strip))
                .args(patch.reverse.then_some("-R"))
                .args(["-F1", "--batch", "--no-backup-if-mismatch", "--directory"])
                .arg(text(&frame.layout.module()))
                .arg("--input")
                .arg(text(&path));
            PatchRun { patch: patch.clone(), path, command }
        };
        self.patches.applied.iter().enumerate().map(run).collect()
    }

    /// The header that both have: if the source package's, patched, is the one of kernel-devel, both are of one kernel.
    fn same(&self) -> Vec<SameFile> {
        let theirs = self.devel.texts.get(HEADER).filter(|_| self.source.tree.contains_key(HEADER));
        theirs
            .map(|text| SameFile { path: HEADER.to_owned(), sha256: sha256(text), of: self.devel.name() })
            .into_iter()
            .collect()
    }

    fn compilation(&self, place: &DevelPlace, sign: Option<plan::step::Signing>) -> Compilation {
        let frame = self.frame;
        let request = frame.request;
        let jobs = request.jobs.unwrap_or(frame.host.cpus).max(1);
        let tree = place.tree();
        let make = self
            .command(tool(frame.host, "make"))
            .arg(format!("-j{jobs}"))
            .arg("-C")
            .arg(text(tree))
            .arg(format!("M={}", text(&self.dir())))
            .args(["V=1", "modules"]);
        Compilation {
            uname_r: self.used.uname_r.clone(),
            version: self.command(tool(frame.host, "gcc")).args(["-dumpfullversion", "-dumpversion"]),
            gcc: self.used.gcc.clone(),
            any_compiler: request.module.any_compiler,
            make,
            built: self.built(),
            exports: self.dir().join(plan::devel::SYMVERS),
            strip: self.command(tool(frame.host, "strip")).arg("--strip-debug").arg(text(&self.built())),
            sign,
            config: tree.join(plan::devel::CONFIG),
            symvers: tree.join(plan::devel::SYMVERS),
            kernels: request.module.kernels.iter().map(|kernel| self.input(&kernel.path)).collect(),
            bits: request.bits,
        }
    }

    fn command(&self, program: PathBuf) -> Command {
        let Frame { host, user, layout, .. } = self.frame;
        Command::new(program).with_env(environment(host, user, layout)).in_dir(layout.module())
    }

    /// Facts worth a line, and what may go wrong later.
    fn remarks(&self) -> (Vec<String>, Vec<String>) {
        let mut notes: Vec<String> = super::cheaper(Route::Module, &self.frame.routes).into_iter().collect();
        notes.extend(self.patches.notes.iter().cloned());
        let mut warnings = Vec::new();
        if matches!(self.devel.origin, Origin::Directory { .. }) {
            warnings.push(format!(
                "`{}` is a directory: that it is the distribution's is taken on trust, as no signature can be checked",
                self.used.name
            ));
        }
        if self.used.gcc.is_none() {
            warnings.push(format!("`{}` does not say which compiler made its kernel: any is taken", self.used.name));
        }
        (notes, warnings)
    }
}

fn tool(host: &Host, name: &str) -> PathBuf {
    host.tool(name)
}
