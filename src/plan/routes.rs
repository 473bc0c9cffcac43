//! The ways to a table of another size: which of them work for a kernel and why, what each costs, and which one is
//! taken.
//!
//! A route is a plan and at most one stage of its own. It has a file here, which makes its plan from the `Frame` that
//! all routes share; everything else it takes from the stages that are there.
//!

pub mod error;
pub(super) mod kernel;
pub mod module;
pub(crate) mod options;
pub(super) mod param;
pub(super) mod tree;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decide::Subject;
use super::{Choice, Request, configs};
use crate::edit::spec::compare_versions;
use crate::ipvs::bits::MODULE;
use crate::ipvs::sources::{Kind, TreeFacts};
pub use error::Error;

/// A way to a table of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// A package with the module parameter: the distribution's kernel stays as it is.
    Param,
    /// A package with `ip_vs.ko` alone, for the distribution's kernel.
    Module,
    /// The kernel's packages, all of them built anew.
    Kernel,
    /// The prepared source tree, for one host.
    Tree,
}

impl Route {
    /// All routes, cheapest first; those that yield packages before the one that does not.
    pub const ALL: [Self; 4] = [Self::Param, Self::Module, Self::Kernel, Self::Tree];

    /// The name used on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Param => "param",
            Self::Module => "module",
            Self::Kernel => "kernel",
            Self::Tree => "tree",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a route means for one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Comparison {
    /// Which.
    pub route: Route,
    /// Whether it leads to the table that was asked for.
    pub verdict: Verdict,
    /// What it costs on the building machine.
    pub cost: Cost,
    /// What it takes on a director.
    pub takes: Takes,
    /// What stays as the distribution signed it.
    pub signed: Signed,
}

/// Whether a route leads to the table that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Verdict {
    /// It does.
    Works {
        /// How that is known.
        why: String,
    },
    /// It does not.
    Fails {
        /// Why not.
        why: String,
    },
}

impl Verdict {
    /// Whether the route leads there.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self, Self::Works { .. })
    }

    /// How that is known.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Works { why } | Self::Fails { why } => why,
        }
    }
}

/// What a route costs on the building machine, as an order of magnitude.
///
/// Measured with Linux 6.1 on two cores, small configuration: a module alone takes 22 s, a kernel 321 s, and a
/// distribution's configuration several times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Nothing is compiled.
    Seconds,
    /// One module is compiled.
    Minutes,
    /// A kernel is compiled.
    Hours,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Minutes => "about a minute",
            Self::Hours => "up to hours",
        })
    }
}

/// What a route takes on a director, beside installing what came out. Either way the connections in the table are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// `ip_vs` is unloaded and loaded again.
    Reload,
    /// A reboot.
    Reboot,
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "no reboot (ip_vs is loaded anew)",
            Self::Reboot => "a reboot",
        })
    }
}

/// What stays as the distribution signed it, which is what Secure Boot looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// The kernel and all its modules.
    Everything,
    /// The kernel and all modules but `ip_vs`.
    AllButIpVs,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "kernel and modules stay as signed",
            Self::AllButIpVs => "all but ip_vs.ko stays as signed",
            Self::Nothing => "nothing stays as signed",
        })
    }
}

/// What is known of a kernel, as far as routes depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether the size is a parameter of the module.
    pub(super) parameter: Verdict,
    /// Whether IPVS is a module or built in.
    pub(super) ipvs: Ipvs,
    /// Options of the request that only a kernel of one's own can meet.
    pub(super) beyond: Vec<&'static str>,
}

/// How IPVS is in a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ipvs {
    /// As `ip_vs.ko`.
    Module {
        /// Who says so.
        by: String,
    },
    /// In the kernel's image.
    BuiltIn {
        /// Who says so.
        by: String,
    },
}

impl Ipvs {
    /// Finds it in the config sources, or takes what was said.
    pub(super) fn of(request: &Request, choice: &Choice, subject: Subject<'_>, arch: &str) -> Self {
        if request.param.built_in {
            return Self::BuiltIn { by: "--built-in".into() };
        }
        if let Subject::Source(source) = subject {
            let file = configs::choose(&choice.recipe, source, arch).ok().and_then(|all| all.built_in(source, arch));
            if let Some(file) = file {
                return Self::BuiltIn { by: format!("`{file}` says {MODULE}=y") };
            }
            return Self::Module { by: "its config sources".into() };
        }
        Self::Module { by: format!("recipe {}", choice.recipe.name) }
    }
}

impl Facts {
    /// Gathers the facts.
    pub(super) fn new(request: &Request, choice: &Choice, subject: Subject<'_>, tree: &TreeFacts, arch: &str) -> Self {
        Self {
            parameter: parameter(choice, subject, tree),
            ipvs: Ipvs::of(request, choice, subject, arch),
            beyond: request.beyond_parameter(),
        }
    }
}

/// Tells whether a kernel has the module parameter: its own sources count, else the recipe's first release with it.
fn parameter(choice: &Choice, subject: Subject<'_>, tree: &TreeFacts) -> Verdict {
    let recipe = &choice.recipe;
    let nvr = subject.nvr();
    let since = recipe.option.parameter_since.as_deref();
    match tree.kind {
        Some(Kind::Parameter) => Verdict::Works { why: "its ip_vs_conn.c declares the parameter conn_tab_bits".into() },
        Some(Kind::CompileTime) => Verdict::Fails {
            why: match since {
                Some(since) => {
                    format!("its ip_vs_conn.c has no parameter conn_tab_bits ({} since {since})", recipe.name)
                }
                None => "its ip_vs_conn.c has no parameter conn_tab_bits".into(),
            },
        },
        None if choice.is_detected() => {
            Verdict::Fails { why: "whether it has the parameter conn_tab_bits is not known of its family".into() }
        }
        None => {
            let release = format!("{}-{}", nvr.version, nvr.release);
            match since {
                Some(since) if compare_versions(&release, since).is_ge() => {
                    Verdict::Works { why: format!("{} has the parameter conn_tab_bits since {since}", recipe.name) }
                }
                Some(since) => Verdict::Fails {
                    why: format!("{release} has no parameter conn_tab_bits: {} has it since {since}", recipe.name),
                },
                None => Verdict::Fails { why: format!("no kernel of {} has the parameter conn_tab_bits", recipe.name) },
            }
        }
    }
}

/// Compares all routes for a kernel.
pub(super) fn compare(facts: &Facts) -> Vec<Comparison> {
    let built_in = matches!(facts.ipvs, Ipvs::BuiltIn { .. });
    Route::ALL
        .into_iter()
        .map(|route| {
            let (cost, takes, signed) = match route {
                Route::Param => {
                    (Cost::Seconds, if built_in { Takes::Reboot } else { Takes::Reload }, Signed::Everything)
                }
                Route::Module => (Cost::Minutes, Takes::Reload, Signed::AllButIpVs),
                Route::Kernel | Route::Tree => (Cost::Hours, Takes::Reboot, Signed::Nothing),
            };
            Comparison { route, verdict: verdict(route, facts), cost, takes, signed }
        })
        .collect()
}

fn verdict(route: Route, facts: &Facts) -> Verdict {
    let works = |why: String| Verdict::Works { why };
    let fails = |why: String| Verdict::Fails { why };
    // A module can be booted, a line in a file cannot.
    let beyond = facts.beyond.iter().copied().filter(|option| route == Route::Param || *option != "--boot");
    let beyond: Vec<&str> = beyond.collect();
    match (route, &facts.ipvs) {
        (Route::Param | Route::Module, _) if !beyond.is_empty() => {
            fails(format!("{} asks for more than the table", beyond.join(", ")))
        }
        (Route::Param, Ipvs::Module { .. }) => facts.parameter.clone(),
        (Route::Param, Ipvs::BuiltIn { by }) => match &facts.parameter {
            Verdict::Works { why } => {
                works(format!("{why}; IPVS is built in ({by}), so it goes to the kernel's command line"))
            }
            refusal @ Verdict::Fails { .. } => refusal.clone(),
        },
        (Route::Module, Ipvs::BuiltIn { by }) => fails(format!("IPVS is built in: {by}")),
        (Route::Module, Ipvs::Module { by }) => works(format!("IPVS is a module ({by}), built against kernel-devel")),
        (Route::Kernel, Ipvs::Module { .. }) => works("the option is set and the kernel built anew".into()),
        (Route::Tree, Ipvs::Module { .. }) => works("the option is set in a source tree for one host".into()),
        (Route::Kernel | Route::Tree, Ipvs::BuiltIn { by }) => {
            works(format!("IPVS is built in ({by}): only with `--set {MODULE}=m`, as ip_vs.ko proves the table"))
        }
    }
}

/// Returns the route that is taken: the one asked for, or with `None` the cheapest package that works.
///
/// # Errors
/// It does not lead to the table that was asked for.
pub(super) fn settle(asked: Option<Route>, routes: &[Comparison]) -> Result<Route, Error> {
    if let Some(route) = asked {
        let works = routes.iter().any(|each| each.route == route && each.verdict.works());
        return if works { Ok(route) } else { Err(refused(route, routes)) };
    }
    let packages = routes.iter().filter(|each| each.route != Route::Tree);
    let cheapest = packages.filter(|each| each.verdict.works()).map(|each| each.route).next();
    cheapest.ok_or_else(|| refused(Route::Kernel, routes))
}

/// Says why a route is not taken, and names the cheapest that would do.
pub(super) fn refused(route: Route, routes: &[Comparison]) -> Error {
    let why = routes.iter().find(|each| each.route == route).map(|each| each.verdict.why().to_owned());
    let instead = routes.iter().find(|each| each.route != route && each.verdict.works()).map(|each| each.route);
    Error::Fails { route, why: why.unwrap_or_default(), instead }
}

/// Returns a line about the cheapest route, if it is cheaper than this one.
pub(super) fn cheaper(than: Route, routes: &[Comparison]) -> Option<String> {
    let own = routes.iter().find(|each| each.route == than)?.cost;
    let cheapest = routes.iter().find(|each| each.verdict.works() && each.cost < own)?;
    let Comparison { route, verdict, cost, takes, signed } = cheapest;
    Some(format!("`--route {route}` would do: {}; it takes {cost} and {takes}, and {signed}", verdict.why()))
}

#[cfg(test)]
mod tests;
