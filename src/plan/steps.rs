//! The steps of a plan, written down from what was settled.

use std::path::PathBuf;

use super::commands::Rpm;
use super::error::BOOTABLE;
use super::host::Host;
use super::instructions::{Instructions, More};
use super::routes::Route;
use super::routes::kernel::Ground;
use super::step::{FileEdit, Gate, Step};
use crate::edit::config::Setting;
use crate::ipvs::bits::OPTION;

/// QEMU's program for x86-64 guests.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// How long the proving boot may take: it took 8 seconds with a distribution's kernel on a slow machine.
const BOOT_LIMIT: u64 = 180;

impl Ground<'_> {
    /// Returns the steps, in order.
    pub(super) fn steps(&self, edits: Vec<FileEdit>) -> Vec<Step> {
        let Ground { request, recipe, host, header, .. } = self;
        let bits = request.bits;
        let size = Setting::number(OPTION, bits.get().into());
        let expected: Vec<Setting> = std::iter::once(size).chain(request.set.iter().cloned()).collect();
        let frame = self.frame;
        let srpm = frame.srpm();
        let required = self.named(&recipe.packages.required);
        let exempt = self.filled(&recipe.option.exempt);
        let rpm = Rpm {
            request,
            recipe,
            host,
            arch: &frame.arch,
            layout: &frame.layout,
            user: &frame.user,
            spec: &self.spec,
            release: &header.nvr.release,
            dist: self.released.used.dist.as_deref(),
        };
        let mut steps = vec![
            Step::Verify { srpm: srpm.clone(), size: header.size, sha256: header.sha256.clone() },
            Step::Unpack { srpm, spec: self.spec.clone() },
            Step::Edit { edits },
            Step::Build {
                query: host.tools.get("rpmspec").map(|program| rpm.query(program)),
                command: rpm.build(&tool(host, "rpmbuild")),
                gate: Gate {
                    resolved: self.filled(&recipe.option.resolved),
                    exempt: exempt.clone(),
                    expected: expected.clone(),
                    stronger: self.configs.stronger().cloned().collect(),
                },
                required: required.clone(),
                expected: self.hoped(),
            },
            Step::Prove { required, exempt, expected, bits },
        ];
        if request.boot {
            let (qemu, busybox) = (tool(host, QEMU), tool(host, "busybox"));
            steps.push(Step::Boot { qemu, busybox, bits, limit: BOOT_LIMIT });
        }
        steps.push(Step::Collect {
            install: self.named(&recipe.packages.install),
            update: self.named(&recipe.packages.update),
            instructions: Instructions::new(Route::Kernel, &request.templates, More::default()),
        });
        steps
    }

    /// Fills the source package's name into names of packages.
    fn named(&self, packages: &[String]) -> Vec<String> {
        packages.iter().map(|package| package.replace("{name}", &self.header.nvr.name)).collect()
    }

    /// Fills architecture and version into globs.
    fn filled(&self, patterns: &[String]) -> Vec<String> {
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

fn tool(host: &Host, name: &str) -> PathBuf {
    host.tools.get(name).cloned().unwrap_or_default()
}
