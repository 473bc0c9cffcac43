//! Which options of `kbuild ipvs` a route has no use for: the command line refuses them, and what a fleet has as a default is not for its
//! cells of that route.

use super::Route::{self, Kernel, Module, Param, Tree};

/// Returns why an option means nothing to a route, or nothing if it means something there.
///
/// Takes the option's name as on the command line, without dashes, and no route for the cheapest that works.
#[must_use]
pub(crate) fn useless(option: &str, route: Option<Route>) -> Option<&'static str> {
    match (option, route) {
        ("tree" | "config" | "install", None | Some(Kernel | Module | Param)) => Some("it is for `--route tree`"),
        ("tune" | "built-in", Some(Kernel | Module | Tree)) => {
            Some("it is for the package with the parameter, `--route param`")
        }
        ("kernel" | "kernel-devel" | "any-compiler", Some(Kernel | Param | Tree)) => {
            Some("it is for `ip_vs.ko` alone, `--route module`")
        }
        ("sign-key" | "sign-cert" | "throw-away-key", Some(Param | Tree)) => {
            Some("it is for modules in packages, `--route kernel` and `--route module`")
        }
        ("throw-away-key", Some(Module)) => Some("it keeps no key, and signs nothing without `--sign-key`"),
        (
            "mode" | "profile" | "boot" | "set" | "patch" | "with" | "without" | "buildid" | "jobs" | "until" | "tmpfs",
            Some(Param),
        ) => Some("no kernel is built"),
        ("with" | "without" | "buildid" | "profile" | "tmpfs", Some(Module)) => {
            Some("the kernel's own spec is not built")
        }
        ("mode" | "profile" | "boot", Some(Tree)) => Some("no packages are built"),
        ("tmpfs", Some(Tree)) => Some("the tree is where `--tree` says"),
        _ => None,
    }
}
