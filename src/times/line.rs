//! What a line of rpmbuild's output announces: a section of the spec, a command of it, something that make does, or a step
//! of the packaging. Each line is read once, and every reader goes by what is said here.

/// What a line announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says<'a> {
    /// A section of the spec begins: `%prep`, `%build`, `rmbuild` (build/build.c of rpm: `Executing(%s): %s`).
    Section(&'a str),
    /// The section's shell runs a command (`sh -x`), and make is not it.
    Command(&'a str),
    /// The section's shell runs make.
    Make(Target),
    /// make does something to a file: the word and the file of `  CC [M]  net/ipv4/tcp.o`.
    Step {
        /// Such as `CC`.
        word: &'a str,
        /// Whether it is for a module (`[M]`).
        of_module: bool,
        /// The file.
        file: &'a str,
    },
    /// make comes to the second stage of modules (scripts/Makefile.modpost of kernels before 5.4).
    Modpost,
    /// A package's files are listed and digested (`Processing files: …`).
    Files,
    /// What is in no package is looked for (`Checking for unpackaged file(s): …`).
    CheckFiles,
    /// A package was written (`Wrote: …`).
    Wrote(&'a str),
}

/// What a `make` is for, by its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A configuration, or a clean tree.
    Configure,
    /// Kernel or modules.
    Build,
    /// Modules installed.
    Modules,
    /// Headers installed or checked.
    Headers,
    /// Programs of the tree's `tools/`.
    Tools,
    /// Documentation.
    Docs,
    /// Anything else that is installed, such as firmware.
    Other,
}

/// Words of kbuild (the kernel's make files, scripts/Kbuild.include) for what makes one object of one source.
pub const COMPILING: [&str; 5] = ["CC", "AS", "CXX", "HOSTCC", "HOSTCXX"];

/// Returns what a line announces, if it announces anything.
#[must_use]
pub fn says(line: &str) -> Option<Says<'_>> {
    if line.starts_with("  ") {
        return step(line);
    }
    if line.starts_with('+') {
        return traced(line);
    }
    if let Some(rest) = line.strip_prefix("Executing(") {
        let (section, rest) = rest.split_once(')')?;
        let known = section.starts_with('%') || section == "rmbuild" || section == "--clean";
        return (known && rest.starts_with(':')).then_some(Says::Section(section));
    }
    if line.starts_with("Processing files: ") {
        return Some(Says::Files);
    }
    if line.starts_with("Checking for unpackaged file(s): ") {
        return Some(Says::CheckFiles);
    }
    line.strip_prefix("Wrote: ").map(Says::Wrote)
}

fn step(line: &str) -> Option<Says<'_>> {
    let mut words = line.split_ascii_whitespace();
    let word = words.next()?;
    if word == "Building" && line.contains("modules, stage 2") {
        return Some(Says::Modpost);
    }
    let is_word = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    if !word.starts_with(|letter: char| letter.is_ascii_uppercase()) || !word.chars().all(is_word) {
        return None;
    }
    let mut of_module = false;
    let file = words.find(|word| {
        let is_mark = word.starts_with('[');
        of_module |= *word == "[M]";
        !is_mark
    })?;
    Some(Says::Step { word, of_module, file })
}

/// A line of `sh -x`: as many `+` as shells are within each other, a space, the command quoted for a shell.
fn traced(line: &str) -> Option<Says<'_>> {
    let command = line.trim_start_matches('+').strip_prefix(' ')?;
    let first = command.split(' ').next()?;
    if base(first) != "make" {
        return Some(Says::Command(command));
    }
    let words = shlex::split(command).unwrap_or_else(|| command.split(' ').map(str::to_owned).collect());
    Some(Says::Make(target(words.get(1..).unwrap_or_default())))
}

/// Returns the name of a program without its directories.
#[must_use]
pub fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Judges make by its arguments.
fn target(words: &[String]) -> Target {
    let mut targets = Vec::new();
    let mut dir = "";
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-C" | "--directory" => dir = words.next().unwrap_or_default(),
            "-f" | "--file" | "-I" | "-o" | "-W" => drop(words.next()),
            _ if word.starts_with("-C") => dir = word.trim_start_matches("-C"),
            _ if word.starts_with('-') || word.contains('=') => {}
            _ => targets.push(word),
        }
    }
    let any = |fits: &dyn Fn(&str) -> bool| targets.iter().any(|target| fits(target));
    if dir.contains("tools/") || any(&|target| target.starts_with("tools/")) {
        Target::Tools
    } else if dir.contains("Documentation") || any(&|target| target.ends_with("docs")) {
        Target::Docs
    } else if any(&|target| target.starts_with("headers_") || target == "headers") {
        Target::Headers
    } else if any(&|target| target == "modules_install" || target == "modules_sign") {
        Target::Modules
    } else if any(&|target| target.ends_with("_install") || target == "install") {
        Target::Other
    } else if any(&|target| {
        target.ends_with("config")
            || target.ends_with("configs")
            || matches!(target, "mrproper" | "distclean" | "clean")
    }) {
        Target::Configure
    } else {
        Target::Build
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_packages_and_steps_are_recognised() {
        assert_eq!(says("Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.x"), Some(Says::Section("%build")));
        assert_eq!(says("Executing(rmbuild): /bin/sh -e /var/tmp/rpm-tmp.x"), Some(Says::Section("rmbuild")));
        assert_eq!(says("Executing(something): x"), None);
        assert!(matches!(says("+ echo 'Executing(%build): x'"), Some(Says::Command(_))));
        assert_eq!(says("Processing files: kernel-2.6.32-1.x86_64"), Some(Says::Files));
        assert_eq!(says("Checking for unpackaged file(s): /usr/lib/rpm/check-files /r"), Some(Says::CheckFiles));
        assert_eq!(says("Wrote: /w/RPMS/x86_64/kernel.rpm"), Some(Says::Wrote("/w/RPMS/x86_64/kernel.rpm")));
        assert_eq!(says("CC is set to gcc"), None);
        assert_eq!(says("  2 warnings generated."), None);
    }

    #[test]
    fn what_make_does_is_told_with_its_file() {
        let step = |word, of_module, file| Some(Says::Step { word, of_module, file });
        let module = "  CC [M]  net/netfilter/ipvs/ip_vs_conn.o";
        assert_eq!(says(module), step("CC", true, "net/netfilter/ipvs/ip_vs_conn.o"));
        assert_eq!(says("  CC      init/main.o"), step("CC", false, "init/main.o"));
        assert_eq!(says("  LD      vmlinux"), step("LD", false, "vmlinux"));
        assert_eq!(says("  MODPOST Module.symvers"), step("MODPOST", false, "Module.symvers"));
        assert_eq!(says("  Building modules, stage 2."), Some(Says::Modpost));
    }

    #[test]
    fn make_is_judged_by_its_targets() {
        let cases = [
            ("+ make -s mrproper", Target::Configure),
            ("+ make -s ARCH=x86_64 nonint_oldconfig", Target::Configure),
            ("++ make -s ARCH=x86_64 listnewconfig", Target::Configure),
            ("+ make -f /w/SOURCES/Makefile.config VERSION=2.6.32 configs", Target::Configure),
            ("+ make -s ARCH=x86_64 -j2 bzImage", Target::Build),
            ("+ /usr/bin/make -O -j2 V=1 'HOSTCFLAGS=-O2 -g headers_install'", Target::Build),
            ("+ make -s ARCH=x86_64 INSTALL_MOD_PATH=/r modules_install KERNELRELEASE=x", Target::Modules),
            ("+ make -s INSTALL_HDR_PATH=/r/usr headers_install", Target::Headers),
            ("+ make -s INSTALL_FW_PATH=/r/lib/firmware firmware_install", Target::Other),
            ("+ make -s -C tools/perf V=1 prefix=/usr all", Target::Tools),
            ("+ make -j8 htmldocs", Target::Docs),
        ];
        for (line, expected) in cases {
            assert_eq!(says(line), Some(Says::Make(expected)), "{line}");
        }
        assert!(matches!(says("+ makeinfo x"), Some(Says::Command("makeinfo x"))));
    }
}
