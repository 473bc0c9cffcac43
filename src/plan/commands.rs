//! The command lines of a plan, with every argument and the whole environment.

use std::collections::BTreeMap;
use std::path::Path;

use super::host::{Account, Host};
use super::layout::{Layout, text};
use super::reproducible;
use super::request::Request;
use crate::command::Command;
use crate::compiler;
use crate::recipe::{Profile, Recipe};

/// What rpm's command lines are made from.
pub(super) struct Rpm<'a> {
    pub(super) request: &'a Request,
    pub(super) recipe: &'a Recipe,
    pub(super) host: &'a Host,
    pub(super) arch: &'a str,
    pub(super) layout: &'a Layout,
    pub(super) user: &'a Account,
    /// The spec's name.
    pub(super) spec: &'a str,
    /// The source package's release.
    pub(super) release: &'a str,
    /// `%dist`, if the spec takes the host's.
    pub(super) dist: Option<&'a str>,
    /// The kernel's version.
    pub(super) version: &'a str,
    /// How old its sources are, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Rpm<'_> {
    /// The build.
    pub(super) fn build(&self, rpmbuild: &Path) -> Command {
        let mut build = self
            .command(rpmbuild, &[self.request.mode.flag()])
            .args((!self.host.rpm_database).then_some("--nodeps"))
            .arg(self.spec());
        build.env.extend(compiler::environment(&self.layout.compilers(), &self.host.path));
        build
    }

    /// The source package alone; `old` if rpm 4.4 is to read it, which knows file digests by MD5 only.
    ///
    /// What the building host has as its own way of packing may be one that rpm of the kernel's family cannot read. All of
    /// them read gzip; the tarballs in it are packed already.
    pub(super) fn pack(&self, rpmbuild: &Path, old: bool) -> Command {
        let digest = old.then_some("_source_filedigest_algorithm 1");
        let own = ["_source_payload w1.gzdio"].into_iter().chain(digest);
        // What it takes to build matters where it is built.
        self.command(rpmbuild, &[self.request.mode.flag(), "--nodeps"])
            .args(own.flat_map(|define| ["--define", define]))
            .arg(self.spec())
    }

    /// The same up to the end of `%prep`.
    pub(super) fn prep(&self, rpmbuild: &Path) -> Command {
        self.command(rpmbuild, &["-bp"]).args((!self.host.rpm_database).then_some("--nodeps")).arg(self.spec())
    }

    /// The question which packages the spec will make, a line each: name, version, release, architecture.
    pub(super) fn query(&self, rpmspec: &Path) -> Command {
        self.command(rpmspec, &["-q", "--builtrpms"])
            .args(["--queryformat", "%{name} %{version} %{release} %{arch}\\n"])
            .arg(self.spec())
    }

    fn spec(&self) -> String {
        text(&self.layout.spec(self.spec))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = environment(self.host, self.user, self.layout);
        environment.extend({
            let stamps = reproducible::environment(self.epoch, self.version, &self.layout.build());
            stamps.into_iter().map(|(name, value)| (name.to_owned(), value))
        });
        environment
    }

    fn profile(&self) -> Option<&Profile> {
        self.recipe.profiles.get(self.request.profile.name())
    }

    /// The names after `--with` and after `--without`: the recipe's, the profile's, the request's.
    pub(super) fn switches(&self) -> [Vec<String>; 2] {
        let none = Profile::default();
        let profile = self.profile().unwrap_or(&none);
        let Self { recipe, request, .. } = self;
        let with = recipe.build.with.iter().chain(&profile.with).chain(&request.with);
        let without = recipe.build.without.iter().chain(&profile.without).chain(&request.without);
        [with.cloned().collect(), without.cloned().collect()]
    }

    fn command(&self, program: &Path, first: &[&str]) -> Command {
        let profile = self.profile();
        let [with, without] = self.switches();
        let jobs = self.request.jobs.unwrap_or(self.host.cpus + self.request.more_jobs).max(1);
        let mut defines = self.recipe.defines(self.release);
        if let Some(dist) = self.dist {
            defines.insert("dist".into(), dist.to_owned());
        }
        defines.insert("_topdir".into(), text(&self.layout.topdir()));
        if self.layout.memory.is_some() {
            defines.insert("_builddir".into(), text(&self.layout.build()));
            defines.insert("_buildrootdir".into(), text(&self.layout.buildroot()));
        }
        defines.insert("_tmppath".into(), text(&self.layout.tmp()));
        defines.insert("_smp_mflags".into(), format!("-j{jobs}"));
        // find-debuginfo goes by it where rpm has it (macros of 4.18), and by `_smp_mflags` where not.
        defines.insert("_smp_build_ncpus".into(), jobs.to_string());
        if let Some(payload) =
            profile.and_then(|profile| profile.payload.as_ref()).or(self.recipe.build.payload.as_ref())
        {
            defines.insert("_binary_payload".into(), payload.clone());
        }
        defines.extend(reproducible::defines().map(|(name, value)| (name.to_owned(), value)));
        if !self.host.sh_is_bash {
            // The scripts of kernel specs are bash's: pushd, [[ ]], brace expansion.
            defines.insert("_buildshell".into(), "/bin/bash".into());
        }
        Command::new(program)
            .args(first.iter().copied())
            .arg(format!("--target={}", self.arch))
            .args(with.into_iter().flat_map(|name| ["--with".to_owned(), name]))
            .args(without.into_iter().flat_map(|name| ["--without".to_owned(), name]))
            .args(defines.iter().flat_map(|(name, value)| ["--define".to_owned(), format!("{name} {value}")]))
            .with_env(self.environment())
            .in_dir(self.layout.topdir())
    }
}

/// The whole environment of rpmbuild and everything below it.
pub(super) fn environment(host: &Host, user: &Account, layout: &Layout) -> BTreeMap<String, String> {
    [
        ("HOME", text(&layout.home())),
        ("LANG", "C".to_owned()),
        ("LC_ALL", "C".to_owned()),
        ("LOGNAME", user.name.clone()),
        ("PATH", host.path.clone()),
        ("TMPDIR", text(&layout.tmp())),
        ("TZ", "UTC".to_owned()),
        ("USER", user.name.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// A system account that cannot log in and has no home.
pub(super) fn useradd(host: &Host, name: &str) -> Command {
    Command::new(host.tool("useradd"))
        .args(["-r", "-U", "-M", "-d", "/nonexistent", "-s", "/sbin/nologin", "-c", "kernel builds", name])
        .with_env([("PATH".to_owned(), host.path.clone())].into())
}
