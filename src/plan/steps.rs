//! The steps of a plan, written down from what was settled.

use std::path::PathBuf;

use super::commands::Rpm;
use super::error::BOOTABLE;
use super::host::Host;
use super::instructions::{Instructions, More};
use super::routes::Route;
use super::routes::kernel::Ground;
use super::step::{FileEdit, Gate, Moment, Step};
use crate::edit::config::Setting;
use crate::ipvs::bits::OPTION;

/// QEMU's program for x86-64 guests.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// How long the proving boot may take: it took 8 seconds with a distribution's kernel on a slow machine.
pub(super) const BOOT_LIMIT: u64 = 180;

impl Ground<'_> {
    /// Returns the steps of the route `kernel`, in order.
    pub(super) fn steps(&self, edits: Vec<FileEdit>) -> Vec<Step> {
        let Ground { request, recipe, host, .. } = self;
        let bits = request.bits;
        let required = self.named(&recipe.packages.required);
        let rpm = self.rpm();
        let mut steps = self.laid_out(edits);
        steps.extend([
            Step::Build {
                query: host.tools.get("rpmspec").map(|program| rpm.query(program)),
                command: rpm.build(&tool(host, "rpmbuild")),
                gate: self.gate(Moment::BeforeBuild),
                required: required.clone(),
                expected: self.hoped(),
            },
            Step::Prove { required, exempt: self.filled(&recipe.option.exempt), expected: self.expected(), bits },
        ]);
        if request.boot {
            let (qemu, busybox) = (tool(host, QEMU), tool(host, "busybox"));
            steps.push(Step::Boot { qemu, busybox, bits, limit: BOOT_LIMIT, with: Vec::new() });
        }
        steps.push(Step::Collect {
            install: self.named(&recipe.packages.install),
            update: self.named(&recipe.packages.update),
            instructions: Instructions::new(Route::Kernel, request.mode, &request.templates, More::default()),
        });
        steps
    }

    /// Returns the steps up to the edited working tree.
    pub(super) fn laid_out(&self, edits: Vec<FileEdit>) -> Vec<Step> {
        let srpm = self.frame.srpm();
        vec![
            Step::Verify { srpm: srpm.clone(), size: self.header.size, sha256: self.header.sha256.clone() },
            Step::Unpack { srpm, spec: self.spec.clone() },
            Step::Edit { edits },
        ]
    }

    /// Returns the step that runs `%prep` and no more.
    pub(super) fn prepared(&self) -> Step {
        Step::Build {
            query: None,
            command: self.rpm().prep(&tool(self.host, "rpmbuild")),
            gate: self.gate(Moment::AtTheEnd),
            required: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// What every config must say.
    pub(super) fn expected(&self) -> Vec<Setting> {
        let size = Setting::number(OPTION, self.request.bits.get().into());
        std::iter::once(size).chain(self.request.set.iter().cloned()).collect()
    }

    fn gate(&self, moment: Moment) -> Gate {
        Gate {
            moment,
            resolved: self.filled(&self.recipe.option.resolved),
            exempt: self.filled(&self.recipe.option.exempt),
            expected: self.expected(),
            stronger: self.configs.stronger().cloned().collect(),
        }
    }

    pub(super) fn rpm(&self) -> Rpm<'_> {
        let frame = self.frame;
        Rpm {
            request: self.request,
            recipe: self.recipe,
            host: self.host,
            arch: &frame.arch,
            layout: &frame.layout,
            user: &frame.user,
            spec: &self.spec,
            release: &self.header.nvr.release,
            dist: self.released.used.dist.as_deref(),
            version: &self.header.nvr.version,
            epoch: self.header.epoch,
        }
    }

    /// Fills the source package's name into names of packages.
    pub(super) fn named(&self, packages: &[String]) -> Vec<String> {
        packages.iter().map(|package| package.replace("{name}", &self.header.nvr.name)).collect()
    }

    /// Fills architecture and version into globs.
    pub(super) fn filled(&self, patterns: &[String]) -> Vec<String> {
        let version = &self.header.nvr.version;
        patterns.iter().map(|each| each.replace("{arch}", &self.frame.arch).replace("{version}", version)).collect()
    }

    /// Returns what the recipe expects to come out beside the required packages: it knows `x86_64`, and what nobody
    /// changed.
    fn hoped(&self) -> Vec<String> {
        let changed = !self.request.with.is_empty() || !self.request.without.is_empty();
        match self.recipe.profiles.get(self.request.profile.name()) {
            Some(profile) if !changed && self.frame.arch == BOOTABLE => self.named(&profile.packages),
            _ => Vec::new(),
        }
    }
}

pub(super) fn tool(host: &Host, name: &str) -> PathBuf {
    host.tool(name)
}
