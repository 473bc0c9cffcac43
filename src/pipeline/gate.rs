//! The prep gate: as soon as %prep has ended, the configs that it resolved are read. Proof level 2.
//!
//! A kernel takes hours to compile; a config source that is merged over the edited one, or an oldconfig that dropped
//! the value, is seen within seconds.

use std::path::Path;

use globset::Glob;
use walkdir::WalkDir;

use crate::edit::config;
use crate::plan::step::Gate;
use crate::proof::{self, Finding, Verdict};

/// How deep below BUILD resolved configs may be: `kernel-V/linux-V/configs/FILE` in every family so far.
const DEEPEST: usize = 6;

/// Reads the resolved configs below `build` and compares them with what is expected.
pub(super) fn check(gate: &Gate, build: &Path) -> Vec<Finding> {
    let found = gate.resolved.iter().map(|pattern| resolved(pattern, gate, build)).find(|found| !found.is_empty());
    found.unwrap_or_else(|| {
        let subject = format!("BUILD/{}", gate.resolved.join(" or "));
        let verdict = Verdict::NotChecked { why: "%prep left no such file".into() };
        vec![Finding { level: 2, subject, verdict }]
    })
}

/// Compares the configs that match one glob.
fn resolved(pattern: &str, gate: &Gate, build: &Path) -> Vec<Finding> {
    let Ok(glob) = Glob::new(pattern).map(|glob| glob.compile_matcher()) else { return Vec::new() };
    let mut findings = Vec::new();
    for entry in WalkDir::new(build).min_depth(1).max_depth(DEEPEST).sort_by_file_name().into_iter().flatten() {
        let Ok(relative) = entry.path().strip_prefix(build) else { continue };
        if !entry.file_type().is_file() || !glob.is_match(relative) {
            continue;
        }
        let name = entry.file_name().to_string_lossy();
        if proof::is_exempt(&gate.exempt, &name) {
            continue;
        }
        findings.push(match fs_err::read(entry.path()) {
            Ok(text) => proof::config(2, &name, &text, &gate.expected),
            Err(error) => Finding {
                level: 2,
                subject: name.into_owned(),
                verdict: Verdict::NotChecked { why: error.to_string() },
            },
        });
    }
    findings
}

/// Names the strongest config source that says something else than was asked, if one does.
pub(super) fn winner(gate: &Gate, sources: &Path) -> Option<String> {
    gate.precedence.iter().find_map(|file| {
        let text = fs_err::read(sources.join(file)).ok()?;
        let differs = gate
            .expected
            .iter()
            .any(|setting| config::value(&text, setting.symbol()).is_some_and(|value| value != setting.value()));
        differs.then(|| file.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            resolved: vec!["no/such/*".into(), "kernel-*/linux-*/configs/kernel-*-x86_64*.config".into()],
            exempt: vec!["*-kdump.config".into()],
            expected: vec!["CONFIG_IP_VS_TAB_BITS=20".parse().unwrap()],
            precedence: vec!["config-x86_64-nodebug".into(), "config-generic".into()],
        }
    }

    #[test]
    fn all_resolved_configs_are_read_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let configs = dir.path().join("kernel-2.6.32/linux-2.6.32-1.el6.x86_64/configs");
        fs_err::create_dir_all(&configs).unwrap();
        fs_err::write(configs.join("kernel-2.6.32-x86_64.config"), "CONFIG_IP_VS_TAB_BITS=18\n").unwrap();
        fs_err::write(configs.join("kernel-2.6.32-x86_64-debug.config"), "CONFIG_IP_VS_TAB_BITS=20\n").unwrap();
        fs_err::write(configs.join("kernel-2.6.32-x86_64-kdump.config"), "CONFIG_SMP=y\n").unwrap();
        fs_err::write(configs.join("kernel-2.6.32-i686.config"), "CONFIG_IP_VS_TAB_BITS=12\n").unwrap();
        let findings = check(&gate(), dir.path());
        let held: Vec<_> = findings.iter().map(|each| (each.subject.as_str(), each.verdict.holds())).collect();
        assert_eq!(
            held,
            [("kernel-2.6.32-x86_64-debug.config", Some(true)), ("kernel-2.6.32-x86_64.config", Some(false))]
        );
    }

    #[test]
    fn an_empty_tree_is_not_a_pass() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(&gate(), dir.path())[0].verdict.holds(), None);
    }

    #[test]
    fn the_strongest_file_that_disagrees_won() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("config-generic"), "CONFIG_IP_VS_TAB_BITS=20\n").unwrap();
        assert_eq!(winner(&gate(), dir.path()), None);
        fs_err::write(dir.path().join("config-x86_64-nodebug"), "CONFIG_IP_VS_TAB_BITS=18\n").unwrap();
        assert_eq!(winner(&gate(), dir.path()).unwrap(), "config-x86_64-nodebug");
    }
}
