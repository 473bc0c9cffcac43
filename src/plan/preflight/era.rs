//! What the kernel's own sources say of the tools that are too young for it.

use super::{Finding, Subject, Survey, Weight, contains, genkey};

/// Judges versions of tools by the sources that stumble over them.
pub(super) fn judge(survey: &Survey, subject: &Subject<'_>) -> Vec<Finding> {
    if !subject.is_kernel() {
        return Vec::new();
    }
    let Subject { tree, .. } = subject;
    let major = |program: &str| -> Option<u32> { survey.versions.get(program)?.split('.').next()?.parse().ok() };
    let older = || Some("build in a container of the kernel's own release".to_owned());
    let mut findings = Vec::new();
    // include/linux/compiler-gcc.h includes compiler-gccN.h by the compiler's own number (gone in 4.2).
    let known: Vec<u32> = tree
        .keys()
        .filter_map(|path| path.strip_prefix("include/linux/compiler-gcc")?.strip_suffix(".h")?.parse().ok())
        .collect();
    if let (Some(youngest), Some(gcc)) = (known.iter().max(), major("gcc"))
        && !known.contains(&gcc)
    {
        let found = format!("gcc {gcc}, and this kernel knows gcc up to {youngest} (include/linux/compiler-gcc*.h)");
        findings.push(Finding::new(Weight::Problem, "compiler", found, older()));
    }
    let of_arch = ["arch/x86/Makefile", "arch/x86_64/Makefile"].iter().filter_map(|path| tree.get(*path));
    if survey.default_pie
        && of_arch.into_iter().any(|makefile| contains(makefile, b"-mcmodel=kernel"))
        && let Some(makefile) = tree.get("Makefile")
        && ![&b"no-pie"[..], b"no-PIE"].iter().any(|word| contains(makefile, word))
    {
        let found =
            "gcc makes position-independent code unless it is told not to, and this kernel's Makefile does not \
                     tell it: `code model kernel does not support PIC mode`"
                .into();
        findings.push(Finding::new(Weight::Problem, "compiler", found, older()));
    }
    // perl 5.22 made `defined(@array)` an error; kernel/timeconst.pl had it up to 3.8.
    let perl = survey.versions.get("perl").and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
    if let (Some(script), Some(22..)) = (tree.get("kernel/timeconst.pl"), perl)
        && contains(script, b"defined(@")
    {
        let found = "kernel/timeconst.pl says `defined(@array)`, which perl refuses since 5.22".into();
        findings.push(Finding::new(Weight::Problem, "perl", found, older()));
    }
    if let (Some((name, text)), Some(2..)) = (genkey(subject), major("gpg"))
        && !contains(text, b"%no-protection")
    {
        let found = format!("`{name}` makes gpg 2 ask for a passphrase, and a build has no terminal to ask at");
        findings.push(Finding::new(Weight::Risk, "gpg", found, older()));
    }
    findings
}
