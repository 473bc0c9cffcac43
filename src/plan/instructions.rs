//! INSTALL.md: the template that comes with the program, or the user's own, filled in.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context as values};

/// The name of the template, in templates/ and in a directory given with `--templates`.
pub const NAME: &str = "install.md";
/// The text that comes with the program.
pub const BUILT_IN: &str = include_str!("../../templates/install.md");

/// What a template may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Name of the kernel package.
    pub kernel: String,
    /// Name, version and release.
    pub nvr: String,
    /// What `uname -r` will say.
    pub uname_r: String,
    /// The table's bits.
    pub bits: u8,
    /// The table's buckets.
    pub buckets: u64,
    /// Packages that replace older ones (`rpm -U`).
    pub update: Vec<String>,
    /// Packages installed beside older ones (`rpm -i`).
    pub install: Vec<String>,
}

/// Why a template gives no text: what is wrong, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template is not valid: {0}")]
pub struct Error(String);

/// Fills in a template.
///
/// # Errors
/// It is no template, or names a value that there is not.
pub fn render(template: &str, values: &Values) -> Result<String, Error> {
    let failed = |error: minijinja::Error| Error(format!("{error}"));
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(failed)?);
    environment.add_template(NAME, template).map_err(failed)?;
    let Values { kernel, nvr, uname_r, bits, buckets, update, install } = values;
    let template = environment.get_template(NAME).map_err(failed)?;
    template.render(values! { kernel, nvr, uname_r, bits, buckets, update, install }).map_err(failed)
}

/// Checks a template before hours are spent, by filling it in for once.
///
/// # Errors
/// As [`render`].
pub fn check(template: &str) -> Result<(), Error> {
    let one = || vec!["x.rpm".to_owned()];
    render(template, &Values { update: one(), install: one(), ..Values::default() }).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_template_is_valid_and_ends_with_a_line() {
        check(BUILT_IN).unwrap();
        assert!(render(BUILT_IN, &Values::default()).unwrap().ends_with('\n'));
    }

    #[test]
    fn a_template_that_names_what_there_is_not_says_where() {
        let error = check("{{ nvr }}\n{{ nrv }}\n").unwrap_err().to_string();
        assert!(error.contains("install.md:2"), "{error}");
        assert!(check("{% if %}").is_err());
    }
}
