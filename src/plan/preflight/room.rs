//! Room to work in: the file system, its bytes and its files. The model is the recipe's, a multiple of the source package's
//! size; what an earlier build took is measured, and better.

use super::machine::LEAST_OF_A_JOB;
use super::{Finding, MEGABYTE, Measured, Subject, Survey, Weight, megabytes};

/// The smallest room in which a build is tried, as a part of what the model says: that is not exact.
const LEAST: u64 = 4;
/// How many files a kernel's build makes for each megabyte of room: some 130 000 in 10 GB.
const FILES_PER_MEGABYTE: u64 = 13;
/// How many source packages of another size, in percent, are still of the same kind of kernel.
const ALIKE: std::ops::RangeInclusive<u64> = 50..=200;
/// What is added to what was measured, in percent: one build is not quite like another.
const MARGIN: u64 = 20;

/// What a build is expected to take.
#[derive(Debug, Clone, Copy)]
struct Need {
    bytes: u64,
    files: u64,
    /// With less than this it cannot be done.
    least: (u64, u64),
    measured: bool,
}

/// What a build takes if its trees are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) struct Takes {
    /// Bytes of the trees.
    pub bytes: u64,
    /// Files in them.
    pub files: u64,
    /// Bytes that all compilers take beside.
    pub compilers: u64,
    /// Whether an earlier build says so, and not the recipe.
    pub measured: bool,
}

/// Returns what a build is expected to take; `None` where that cannot be told.
pub(in crate::plan) fn takes(survey: &Survey, subject: &Subject<'_>) -> Option<Takes> {
    let Need { bytes, files, measured, .. } = need(survey, subject)?;
    let compilers = u64::from(survey.jobs).saturating_mul(memory_of_a_job(survey, subject).0);
    Some(Takes { bytes, files, compilers, measured })
}

/// Judges the file system of the work directory.
pub(super) fn judge(survey: &Survey, subject: &Subject<'_>) -> Vec<Finding> {
    let Some(room) = &survey.room else { return Vec::new() };
    let at = survey.work.display();
    let elsewhere = || Some("--work DIR".to_owned());
    let problem = |found: String| Finding::new(Weight::Problem, "work directory", found, elsewhere());
    let note = |found: String| Finding::new(Weight::Note, "work directory", found, None);
    let mut findings = Vec::new();
    if room.read_only {
        findings.push(problem(format!("{at} is mounted read-only ({})", room.kind)));
    }
    if room.noexec {
        let found = format!("{at} is mounted noexec ({}), and a build runs programs that it has made", room.kind);
        findings.push(problem(found));
    }
    if room.folds_case {
        let found =
            format!("{at} does not tell `xt_TCPMSS.c` from `xt_tcpmss.c` ({}), and a kernel has both", room.kind);
        findings.push(problem(found));
    }
    let need = need(survey, subject);
    match room.kind.as_str() {
        "tmpfs" => {
            let memory = survey.memory.unwrap_or(u64::MAX);
            let jobs = u64::from(survey.jobs).saturating_mul(memory_of_a_job(survey, subject).0);
            let taken = need.map_or(0, |need| need.bytes);
            let size = megabytes(room.size);
            findings.push(if taken.saturating_add(jobs) > memory && subject.is_kernel() {
                let found = format!(
                    "{at} is in memory (tmpfs of {size}): the about {} that are written there and the {} of the \
                     compilers are more than the {} that can be had",
                    megabytes(taken),
                    megabytes(jobs),
                    megabytes(memory)
                );
                Finding::new(Weight::Risk, "work directory", found, elsewhere())
            } else {
                note(format!("{at} is in memory (tmpfs of {size}): what is written there is not left for the compiler"))
            });
        }
        "overlay" if subject.is_kernel() => findings.push(note(format!(
            "{at} is in the container's own layer (overlay): a volume is faster, and outlives the container"
        ))),
        _ => {}
    }
    // A chroot does not see what it is mounted on.
    let kind = if room.kind.is_empty() { String::new() } else { format!(" ({})", room.kind) };
    let free = format!("{} free at {at}{kind}", megabytes(room.free));
    let Some(need) = need else {
        findings.push(Finding::new(Weight::Fine, "room", free, None));
        return findings;
    };
    let how = if need.measured { "by an earlier build" } else { "by the recipe" };
    let weight = |left: u64, needed: u64, least: u64| match left {
        left if left < least => Weight::Problem,
        left if left < needed => Weight::Risk,
        _ => Weight::Fine,
    };
    let fix = |weight: Weight| (weight > Weight::Fine).then(elsewhere).flatten();
    let heavy = weight(room.free, need.bytes, need.least.0);
    let found = format!("{free}, about {} needed ({how})", megabytes(need.bytes));
    findings.push(Finding::new(heavy, "room", found, fix(heavy)));
    if let Some(inodes) = room.inodes.filter(|inodes| *inodes < need.files) {
        let found = format!("room for {inodes} files at {at}, about {} needed ({how})", need.files);
        let heavy = weight(inodes, need.files, need.least.1);
        findings.push(Finding::new(heavy, "inodes", found, fix(heavy)));
    }
    findings
}

/// Returns what a build needs; `None` for routes that take next to nothing, and where the source package is not at hand.
fn need(survey: &Survey, subject: &Subject<'_>) -> Option<Need> {
    let size = subject.size.filter(|_| subject.is_kernel())?;
    if let Some(earlier) = alike(survey, subject) {
        // What was measured took so much; a larger source package takes more.
        let scaled = |number: u64| scaled(number, size, earlier.source);
        let (least_bytes, least_files) = (scaled(earlier.disk), scaled(earlier.files));
        let (bytes, files) = (with_margin(least_bytes), with_margin(least_files));
        return Some(Need { bytes, files, least: (least_bytes, least_files), measured: true });
    }
    let factor = subject.recipe.needs.disk.get(subject.profile.name())?;
    let bytes = size.saturating_mul(*factor);
    let files = bytes / MEGABYTE * FILES_PER_MEGABYTE;
    Some(Need { bytes, files, least: (bytes / LEAST, files / LEAST), measured: false })
}

/// Returns what an earlier build took, if that was of the same kind: a source package of about the same size.
pub(super) fn alike(survey: &Survey, subject: &Subject<'_>) -> Option<Measured> {
    let size = subject.size.filter(|_| subject.is_kernel())?;
    survey.measured.filter(|earlier| {
        earlier.disk > 0 && earlier.source > 0 && ALIKE.contains(&(size.saturating_mul(100) / earlier.source))
    })
}

/// Returns the memory that one job takes, in bytes, and who says so.
pub(super) fn memory_of_a_job(survey: &Survey, subject: &Subject<'_>) -> (u64, &'static str) {
    match alike(survey, subject).filter(|earlier| earlier.memory > 0 && earlier.jobs > 0) {
        Some(earlier) => {
            let each = with_margin(earlier.memory / u64::from(earlier.jobs));
            (each.max(LEAST_OF_A_JOB), "by an earlier build")
        }
        None => (subject.recipe.needs.memory.saturating_mul(MEGABYTE), "by the recipe"),
    }
}

fn scaled(number: u64, by: u64, of: u64) -> u64 {
    let scaled = u128::from(number) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn with_margin(number: u64) -> u64 {
    scaled(number, 100 + MARGIN, 100)
}
