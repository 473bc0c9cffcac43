//! What to do about errors, where that takes more than a line.

/// Says how a default in the tree is changed.
pub(super) fn in_tree(paths: &[String], hook: Option<&str>) -> String {
    let path = paths.first().map(String::as_str).unwrap_or_default();
    match hook {
        Some(hook) => {
            format!("pass a patch that sets it there as `--patch FILE`: it goes in through `{hook}` (a/{path})")
        }
        None => {
            format!("add a patch that changes `{path}` to the source package: the spec leaves no hook for `--patch`")
        }
    }
}

/// Names the packages that bring the programs, on both kinds of host.
pub(super) fn install(programs: &[String]) -> String {
    let package = |program: &str, debian: bool| match (program, debian) {
        ("rpmbuild", true) => "rpm",
        ("rpmbuild", false) => "rpm-build",
        ("qemu-system-x86_64", true) => "qemu-system-x86",
        ("qemu-system-x86_64", false) => "qemu-kvm",
        ("busybox", true) => "busybox-static",
        ("useradd", true) => "passwd",
        ("useradd", false) => "shadow-utils",
        (other, _) => match other {
            "gcc" => "gcc",
            "make" => "make",
            "strip" => "binutils",
            "patch" => "patch",
            _ => "busybox",
        },
    };
    let all = |debian| programs.iter().map(|program| package(program, debian)).collect::<Vec<_>>().join(" ");
    format!("install with `apt-get install {}` (Debian) or `dnf install {}` (EL)", all(true), all(false))
}
