//! INSTALL.md, or SUBMIT.md for a source package: the template that comes with the program, or the user's own, filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::{INSTALL, SUBMIT};
use super::request::Mode;
use super::routes::Route;
use super::submit::Submission;
use super::template;
pub use super::template::Error;

/// The template of what is submitted elsewhere.
const FOR_SUBMITTING: &str = "submit.md";

/// A template as it comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// Its name, in templates/ and in a directory given with `--templates`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// Returns the template that comes with the program.
#[must_use]
pub fn built_in(route: Route, mode: Mode) -> Template {
    let (name, text) = match route {
        Route::Kernel if mode == Mode::Srpm => (FOR_SUBMITTING, include_str!("../../templates/submit.md")),
        Route::Tree => ("install-tree.md", include_str!("../../templates/install-tree.md")),
        Route::Kernel => ("install.md", include_str!("../../templates/install.md")),
        Route::Param => ("install-param.md", include_str!("../../templates/install-param.md")),
        Route::Module => ("install-module.md", include_str!("../../templates/install-module.md")),
    };
    Template { name, text }
}

/// The user's own templates by name; where there is none, the program's counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates(pub BTreeMap<String, String>);

impl Templates {
    /// Returns the text for a route.
    #[must_use]
    pub fn of(&self, route: Route, mode: Mode) -> String {
        let Template { name, text } = built_in(route, mode);
        self.0.get(name).map_or(text, String::as_str).to_owned()
    }
}

/// What a template may say, whatever the route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// Name of the kernel package.
    pub kernel: String,
    /// Name, version and release.
    pub nvr: String,
    /// What `uname -r` says of the kernel.
    pub uname_r: String,
    /// The table's bits.
    pub bits: u8,
    /// The table's buckets.
    pub buckets: u64,
    /// Packages that replace older ones (`rpm -U`).
    pub update: Vec<String>,
    /// Packages installed beside older ones (`rpm -i`).
    pub install: Vec<String>,
    /// The certificate whose key signed the modules; empty if they are not signed, or with a key that nobody keeps.
    pub signed: String,
    /// What only one route has to say.
    #[serde(flatten)]
    pub more: More,
}

/// What the instructions of one route say beyond [`Values`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct More {
    /// Route `param`: IPVS is built into the kernel.
    #[serde(default)]
    pub builtin: bool,
    /// Route `param`: the settings of a director come along.
    #[serde(default)]
    pub tune: bool,
    /// Route `param`: the kernel's range, and what it does with a value outside.
    #[serde(default)]
    pub range: String,
    /// Route `tree`: where the tree is.
    #[serde(default)]
    pub tree: String,
    /// Route `tree`: where its configuration comes from.
    #[serde(default)]
    pub config: String,
    /// Route `tree`: the first line of its configuration.
    #[serde(default)]
    pub platform: String,
    /// Route `tree`: the archive with kernel and modules.
    #[serde(default)]
    pub archive: String,
    /// Route `tree`: the root into which it is installed; empty if it is not.
    #[serde(default)]
    pub installed: String,
    /// A source package: its file name.
    #[serde(default)]
    pub srpm: String,
    /// A source package: the packages that must come out of it.
    #[serde(default)]
    pub required: Vec<String>,
    /// A source package: what hands it to each build system.
    #[serde(default)]
    pub submissions: Vec<Submission>,
}

/// The instructions of one plan: a template, and what it may say beyond what the results tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Instructions {
    /// The template's name, for messages.
    pub name: String,
    /// Its text.
    pub template: String,
    /// What only this route has to say.
    pub more: More,
}

impl Instructions {
    /// Returns the instructions of a route.
    #[must_use]
    pub fn new(route: Route, mode: Mode, templates: &Templates, own: More) -> Self {
        Self { name: built_in(route, mode).name.to_owned(), template: templates.of(route, mode), more: own }
    }

    /// What the file is called among the results.
    #[must_use]
    pub fn file(&self) -> &'static str {
        if self.name == FOR_SUBMITTING { SUBMIT } else { INSTALL }
    }
}

/// Fills in a template.
///
/// # Errors
/// It is no template, or names a value that there is not.
pub fn render(name: &str, text: &str, values: &Values) -> Result<String, Error> {
    template::fill(name, text, values)
}

/// Checks a template before hours are spent, by filling it in for once.
///
/// # Errors
/// As [`render`].
pub fn check(name: &str, text: &str) -> Result<(), Error> {
    let one = || vec!["x.rpm".to_owned()];
    let more = More { required: one(), submissions: vec![Submission::default()], ..More::default() };
    render(name, text, &Values { update: one(), install: one(), more, ..Values::default() }).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_are_valid_and_end_with_a_line() {
        for (route, mode) in Route::ALL.map(|route| (route, Mode::Bb)).into_iter().chain([(Route::Kernel, Mode::Srpm)])
        {
            let Template { name, text } = built_in(route, mode);
            check(name, text).unwrap();
            assert!(render(name, text, &Values::default()).unwrap().ends_with('\n'), "{name}");
        }
    }

    #[test]
    fn a_template_that_names_what_there_is_not_says_where() {
        let error = check("install.md", "{{ nvr }}\n{{ nrv }}\n").unwrap_err().to_string();
        assert!(error.contains("install.md:2"), "{error}");
        assert!(check("install.md", "{% if %}").is_err());
    }
}
