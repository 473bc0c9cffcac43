//! The prep gate: as soon as %prep has ended, the configs that it resolved are read. Proof level 2.
//!
//! A kernel takes hours to compile; a config source that is merged over the edited one, or an oldconfig that dropped
//! the value, is seen within seconds.

use std::path::Path;
use std::time::Duration;

use globset::Glob;
use walkdir::WalkDir;

use crate::edit::config;
use crate::ipvs::bits::OPTION;
use crate::plan::step::Gate;
use crate::proof::{self, Finding, Verdict};

/// How deep below BUILD resolved configs may be: `kernel-V/linux-V/configs/FILE` in every family so far.
const DEEPEST: usize = 6;
/// How often, and after which pause, a config is looked at again.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(150);
/// The largest config source that is read. Real ones have some 200 kilobytes.
const LARGEST: u64 = 4 << 20;

/// As [`check`], while `%build` runs already and may just be copying a config: what is not as expected is looked at again
/// for a while, and the first look counts if no later one shows that all is well.
pub(super) fn check_beside(gate: &Gate, build: &Path) -> Vec<Finding> {
    let well = |found: &[Finding]| found.iter().all(|finding| finding.verdict.holds() == Some(true));
    let first = check(gate, build);
    if well(&first) {
        return first;
    }
    let later = (0..LOOKS).map(|_| {
        std::thread::sleep(PAUSE);
        check(gate, build)
    });
    later.into_iter().find(|found| well(found)).unwrap_or(first)
}

/// Reads the resolved configs below `build` and compares them with what is expected.
pub(super) fn check(gate: &Gate, build: &Path) -> Vec<Finding> {
    let found = gate.resolved.iter().map(|pattern| resolved(pattern, gate, build)).find(|found| !found.is_empty());
    found.unwrap_or_else(|| {
        let subject = format!("BUILD/{}", gate.resolved.join(" or "));
        let verdict = Verdict::NotChecked { why: "%prep left no such file".into() };
        vec![Finding::new(2, subject, verdict)]
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
            Err(error) => Finding::new(2, name, Verdict::NotChecked { why: error.to_string() }),
        });
    }
    findings
}

/// Where a value that was not asked for comes from, as far as the sources tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file is merged over the edited ones.
    Stronger(String),
    /// These files say so, and the recipe does not know that they are merged over the edited ones.
    Others(Vec<String>),
    /// IPVS itself is off, and the option with it.
    IpvsOff,
    /// Nothing was read at all.
    NothingRead,
    /// No source says so: the kernel's own configuration did it.
    Nowhere,
}

/// Finds out where the values come from that the resolved configs should not have.
pub(super) fn origin(gate: &Gate, found: &[Finding], sources: &Path) -> Origin {
    let wrong: Vec<(&str, String)> = found
        .iter()
        .filter_map(|finding| match &finding.verdict {
            Verdict::Differs { found, .. } => Some(found.split(' ').filter_map(|pair| pair.split_once('='))),
            _ => None,
        })
        .flatten()
        .map(|(symbol, value)| (symbol, value.to_owned()))
        .collect();
    if wrong.is_empty() {
        return Origin::NothingRead;
    }
    if wrong.iter().any(|(symbol, value)| *symbol == OPTION && value == "n") {
        return Origin::IpvsOff;
    }
    let says = |path: &Path| {
        let text = fs_err::read(path).unwrap_or_default();
        wrong.iter().any(|(symbol, value)| config::value(&text, symbol).as_ref() == Some(value))
    };
    if let Some(file) = gate.stronger.iter().find(|file| says(&sources.join(file))) {
        return Origin::Stronger(file.clone());
    }
    let mut others: Vec<String> = WalkDir::new(sources)
        .max_depth(1)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file() && entry.metadata().is_ok_and(|details| details.len() < LARGEST))
        .filter(|entry| says(entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    others.sort();
    if others.is_empty() { Origin::Nowhere } else { Origin::Others(others) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            moment: crate::plan::step::Moment::BeforeBuild,
            resolved: vec!["no/such/*".into(), "kernel-*/linux-*/configs/kernel-*-x86_64*.config".into()],
            exempt: vec!["*-kdump.config".into()],
            expected: vec!["CONFIG_IP_VS_TAB_BITS=20".parse().unwrap()],
            stronger: vec!["config-x86_64-nodebug".into()],
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
    fn where_a_value_comes_from_is_named_only_if_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| fs_err::write(dir.path().join(file), text).unwrap();
        let differs = |found: &str| {
            let verdict = Verdict::Differs { expected: "CONFIG_IP_VS_TAB_BITS=20".into(), found: found.into() };
            origin(&gate(), &[Finding::new(2, "x", verdict)], dir.path())
        };
        put("config-generic", "CONFIG_IP_VS_TAB_BITS=20\n");
        assert_eq!(differs("CONFIG_IP_VS_TAB_BITS=18"), Origin::Nowhere);
        put("config-site", "CONFIG_IP_VS_TAB_BITS=18\n");
        assert_eq!(differs("CONFIG_IP_VS_TAB_BITS=18"), Origin::Others(vec!["config-site".into()]));
        // A stronger file that says a third value is not the one.
        put("config-x86_64-nodebug", "CONFIG_IP_VS_TAB_BITS=16\n");
        assert_eq!(differs("CONFIG_IP_VS_TAB_BITS=18"), Origin::Others(vec!["config-site".into()]));
        put("config-x86_64-nodebug", "CONFIG_IP_VS_TAB_BITS=18\n");
        assert_eq!(differs("CONFIG_IP_VS_TAB_BITS=18"), Origin::Stronger("config-x86_64-nodebug".into()));
        assert_eq!(differs("CONFIG_IP_VS_TAB_BITS=n"), Origin::IpvsOff);
        assert_eq!(origin(&gate(), &[], dir.path()), Origin::NothingRead);
    }

    #[test]
    fn a_config_that_is_being_copied_is_looked_at_again_and_the_first_look_counts() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("kernel-1/linux-1/configs");
        fs_err::create_dir_all(&place).unwrap();
        let file = place.join("kernel-1-x86_64.config");
        let write = |text: &str| fs_err::write(&file, text).unwrap();
        let beside = |text: Option<&str>| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(PAUSE / 2);
                    match text {
                        Some(text) => write(text),
                        None => fs_err::remove_file(&file).unwrap(),
                    }
                });
                check_beside(&gate(), dir.path())
            })
        };
        write("");
        let found = beside(Some("CONFIG_IP_VS_TAB_BITS=20\n"));
        assert_eq!(found[0].verdict.holds(), Some(true), "{found:?}");
        // `make mrproper` takes a wrong one away: it was wrong all the same.
        write("CONFIG_IP_VS_TAB_BITS=18\n");
        let found = beside(None);
        assert_eq!(found[0].verdict.holds(), Some(false), "{found:?}");
    }
}
