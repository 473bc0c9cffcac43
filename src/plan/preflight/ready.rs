//! What the request alone asks of a machine: who builds, programs, directories.

use super::{Finding, USER, Weight};
use crate::plan::host::{Account, Builder, Host, Place};
use crate::plan::request::Request;
use crate::plan::routes::{Route, module, tree};
use crate::plan::steps::QEMU;
use crate::plan::{Plan, Step};

/// What can be said before there is a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// What is wrong with who builds.
    pub user: Vec<Finding>,
    /// Directories that cannot be used.
    pub directories: Vec<Finding>,
    /// Programs that are needed in any case and are not there.
    pub missing: Vec<String>,
}

impl Ready {
    /// Whether kbuild has all that it needs itself.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.user.is_empty() && self.directories.is_empty() && self.missing.is_empty()
    }
}

/// Judges what the request alone asks of the machine.
#[must_use]
pub fn ready(request: &Request, host: &Host) -> Ready {
    let directories = [&host.work, &host.out].into_iter().chain(&host.tree).filter_map(Place::refused_as_finding);
    let user = builder(host).err();
    Ready {
        user: user.into_iter().collect(),
        directories: directories.collect(),
        missing: absent(needed(request, host), host),
    }
}

/// Returns the programs that a plan takes and that are not there.
#[must_use]
pub fn programs(plan: &Plan, request: &Request, host: &Host) -> Vec<String> {
    let mut all = needed(request, host);
    if plan.signing.as_ref().is_some_and(|signing| plan.route == Route::Kernel || !signing.is_given()) {
        all.push("openssl");
    }
    if plan.route == Route::Module {
        all.extend(module::TOOLS);
        let patches = |step: &Step| matches!(step, Step::Patch { patches, .. } if !patches.is_empty());
        if plan.steps.iter().any(patches) {
            all.push("patch");
        }
    }
    absent(all, host)
}

/// Returns who builds, or what is wrong with that.
pub(in crate::plan) fn builder(host: &Host) -> Result<Account, Finding> {
    let problem = |found: String, hint: &str| Finding::new(Weight::Problem, USER, found, Some(hint.to_owned()));
    let root = |user: &str| {
        let found = format!("`{user}` is root, and rpmbuild never runs as root");
        problem(found, "leave out `--user`: root builds as `mockbuild`, which it creates")
    };
    match &host.builder {
        Builder::Me if host.me.uid == Some(0) => Err(root(&host.me.name)),
        Builder::Me => Ok(host.me.clone()),
        Builder::Other(account) if account.uid == Some(0) => Err(root(&account.name)),
        Builder::Other(Account { name, .. }) | Builder::Missing(name) if host.me.uid != Some(0) => {
            let found = format!("`{}` cannot build as `{name}`: only root can", host.me.name);
            Err(problem(found, "leave out `--user`"))
        }
        Builder::Other(account) => Ok(account.clone()),
        Builder::Missing(name) => Ok(Account { name: name.clone(), uid: None, gid: None }),
    }
}

fn needed(request: &Request, host: &Host) -> Vec<&'static str> {
    let mut needed = vec!["rpmbuild"];
    if request.boot {
        needed.extend([QEMU, "busybox"]);
    }
    if request.route == Some(Route::Module) {
        needed.extend(module::TOOLS);
    }
    if matches!(host.builder, Builder::Missing(_)) {
        needed.push("useradd");
    }
    needed.extend(&request.helpers);
    needed.extend(tree::tools(request));
    needed
}

fn absent(needed: Vec<&'static str>, host: &Host) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in needed {
        if !host.tools.contains_key(name) && !names.iter().any(|each| each == name) {
            names.push(name.to_owned());
        }
    }
    names
}
