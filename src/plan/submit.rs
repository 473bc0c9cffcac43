//! A source package that is built elsewhere: the steps that make it, and the commands that hand it to mock, koji, copr and OBS.
//!
//! What rpmbuild is told on its command line here (`--with`, `--without`, `%dist`) is not in a source package. Each build
//! system has to be told the same in its own way, or another kernel comes out.

use serde::{Deserialize, Serialize};

use super::commands::Rpm;
use super::instructions::{Instructions, More};
use super::request::Mode;
use super::routes::Route;
use super::routes::kernel::Ground;
use super::step::{FileEdit, Planned, Step};
use super::steps::tool;
use crate::command::quote;

/// How one build system gets the source package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Submission {
    /// The build system: `mock`, `koji`, `copr` or `obs`.
    pub system: String,
    /// What it must be told beforehand, once for each target; empty if there is nothing.
    pub before: Vec<String>,
    /// The commands that have the package built. Words in capitals are for the user to fill in.
    pub commands: Vec<String>,
    /// Lines for the project's configuration; empty if there are none.
    pub config: Vec<String>,
    /// What it cannot be told.
    pub lacks: String,
}

/// What a build of the source package has to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `--with`.
    pub(super) with: Vec<String>,
    /// `--without`.
    pub(super) without: Vec<String>,
    /// `--define`, name and value.
    pub(super) defines: Vec<(String, String)>,
}

impl Told {
    /// The same as macros. `--with x` is `%_with_x --with-x` (rpmpopt, rpm 4.4 to 4.20).
    fn macros(&self) -> Vec<(String, String)> {
        let switch = |kind: &'static str| move |name: &String| (format!("_{kind}_{name}"), format!("--{kind}-{name}"));
        let with = self.with.iter().map(switch("with"));
        let without = self.without.iter().map(switch("without"));
        with.chain(without).chain(self.defines.iter().cloned()).collect()
    }
}

/// Returns the commands for each build system. `mock` is the chroot that builds the family, if one is known.
pub(super) fn submissions(srpm: &str, arch: &str, mock: Option<&str>, told: &Told) -> Vec<Submission> {
    let srpm = quote(srpm);
    let system =
        |name: &str, commands: Vec<String>| Submission { system: name.into(), commands, ..Submission::default() };
    let macros = told.macros();
    vec![
        system("mock", vec![format!("mock -r {}{} --rebuild {srpm}", mock.unwrap_or("CONFIG"), options(told))]),
        Submission {
            before: extras(&macros),
            ..system(
                "koji",
                vec![
                    format!("koji build --scratch --arch-override={arch} TARGET {srpm}"),
                    format!("koji build TARGET {srpm}"),
                ],
            )
        },
        Submission {
            before: chroot(told),
            lacks: definitions(told),
            ..system("copr", vec![format!("copr-cli build --chroot CHROOT --timeout 86400 PROJECT {srpm}")])
        },
        Submission {
            config: macros.iter().map(|(name, value)| format!("%{name} {value}")).collect(),
            ..system(
                "obs",
                vec![
                    "osc checkout PROJECT".into(),
                    format!("cd PROJECT && osc importsrcpkg \"$OLDPWD\"/{srpm} && osc commit -m {srpm}"),
                ],
            )
        },
    ]
}

/// mock's own options, which are rpmbuild's.
fn options(told: &Told) -> String {
    let with = told.with.iter().map(|name| format!(" --with {name}"));
    let without = told.without.iter().map(|name| format!(" --without {name}"));
    let defines = told.defines.iter().map(|(name, value)| format!(" --define {}", quote(&format!("{name} {value}"))));
    with.chain(without).chain(defines).collect::<Vec<_>>().concat()
}

/// koji hands macros of a build tag to mock (`rpm.macro.NAME`, koji 1.18 and later).
fn extras(macros: &[(String, String)]) -> Vec<String> {
    if macros.is_empty() {
        return Vec::new();
    }
    let extras = macros.iter().map(|(name, value)| format!(" -x {}", quote(&format!("rpm.macro.{name}={value}"))));
    vec![format!("koji edit-tag BUILD-TAG{}", extras.collect::<Vec<_>>().concat())]
}

/// copr takes the names of each kind in one word.
fn chroot(told: &Told) -> Vec<String> {
    let kinds = [("--rpmbuild-with", &told.with), ("--rpmbuild-without", &told.without)];
    let given = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let options: Vec<String> = given.map(|(option, names)| format!("{option} {} ", quote(&names.join(" ")))).collect();
    if options.is_empty() {
        Vec::new()
    } else {
        vec![format!("copr-cli edit-chroot {}PROJECT/CHROOT", options.concat())]
    }
}

/// Says what copr cannot be told.
fn definitions(told: &Told) -> String {
    let defines: Vec<String> = told.defines.iter().map(|(name, value)| format!("%{name} {value}")).collect();
    if defines.is_empty() {
        String::new()
    } else {
        format!("copr-cli has no option for `--define`: the chroot must have {} of its own", defines.join(", "))
    }
}

impl Ground<'_> {
    /// Returns the steps that make the source package, in order.
    pub(super) fn packed(&self, edits: Vec<FileEdit>) -> Vec<Step> {
        let Ground { request, recipe, host, frame, .. } = self;
        let required = self.named(&recipe.packages.required);
        let rpm = self.rpm();
        let srpm = format!("{}.src.rpm", self.released.nvr);
        let mock = recipe.mock(&self.header.nvr.release, &frame.arch);
        let more = More {
            submissions: submissions(&srpm, &frame.arch, mock.as_deref(), &self.told(&rpm)),
            srpm,
            required: required.clone(),
            ..More::default()
        };
        let planned =
            edits.iter().map(|edit| Planned { file: edit.file.clone(), sha256: edit.sha256.clone() }).collect();
        let mut steps = self.laid_out(edits);
        steps.extend([
            Step::Pack {
                query: host.tools.get("rpmspec").map(|program| rpm.query(program)),
                command: rpm.pack(&tool(host, "rpmbuild"), recipe.module.old_rpm),
                required,
                settings: self.expected(),
            },
            Step::ProveSources { original: frame.srpm(), planned },
            Step::Collect {
                install: Vec::new(),
                update: Vec::new(),
                instructions: Instructions::new(Route::Kernel, Mode::Srpm, &request.templates, more),
            },
        ]);
        steps
    }

    /// What the build has to be told: what rpmbuild is told here, but for what only this build is about. The number of the
    /// distribution is not among it: its chroot has it.
    fn told(&self, rpm: &Rpm<'_>) -> Told {
        let [with, without] = rpm.switches();
        let defines = self.recipe.build.defines.iter().map(|(name, value)| (name.clone(), value.clone()));
        let dist = self.released.used.dist.iter().map(|dist| ("dist".to_owned(), dist.clone()));
        Told { with, without, defines: defines.chain(dist).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(with: &[&str], without: &[&str], defines: &[(&str, &str)]) -> Told {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let defines = defines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Told { with: owned(with), without: owned(without), defines }
    }

    #[test]
    fn every_build_system_is_told_what_rpmbuild_would_be_told() {
        let told = told(&["firmware"], &["debuginfo", "doc"], &[("dist", ".el8_2")]);
        let all = submissions("k-1-1.src.rpm", "x86_64", Some("almalinux-8-x86_64"), &told);
        let [mock, koji, copr, obs] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(
            mock.commands,
            ["mock -r almalinux-8-x86_64 --with firmware --without debuginfo --without doc --define 'dist .el8_2' \
              --rebuild k-1-1.src.rpm"]
        );
        assert_eq!(
            koji.before,
            ["koji edit-tag BUILD-TAG -x 'rpm.macro._with_firmware=--with-firmware' \
              -x 'rpm.macro._without_debuginfo=--without-debuginfo' -x 'rpm.macro._without_doc=--without-doc' \
              -x 'rpm.macro.dist=.el8_2'"]
        );
        assert_eq!(
            copr.before,
            ["copr-cli edit-chroot --rpmbuild-with firmware --rpmbuild-without 'debuginfo doc' PROJECT/CHROOT"]
        );
        assert!(copr.lacks.contains("%dist .el8_2"), "{}", copr.lacks);
        assert_eq!(
            obs.config,
            [
                "%_with_firmware --with-firmware",
                "%_without_debuginfo --without-debuginfo",
                "%_without_doc --without-doc",
                "%dist .el8_2"
            ]
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_has_to_be() {
        let all = submissions("k-1-1.src.rpm", "i686", None, &Told::default());
        assert_eq!(all[0].commands, ["mock -r CONFIG --rebuild k-1-1.src.rpm"]);
        assert!(
            all.iter().all(|each| each.before.is_empty() && each.config.is_empty() && each.lacks.is_empty()),
            "{all:?}"
        );
    }
}
