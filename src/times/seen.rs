//! What a build is at, by the programs that run for it: kernel specs call `make -s`, which prints nothing.

use std::path::Path;

use super::Part;

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name, cut off after 15 characters as /proc has it.
    pub name: String,
    /// Its arguments, its own name first.
    pub args: Vec<String>,
}

/// Returns the source file that is being compiled, if one is.
#[must_use]
pub fn compiling(programs: &[Program]) -> Option<&str> {
    let sources = |program: &'_ Program| is_compiler(program);
    programs.iter().filter(|program| sources(program)).find_map(|program| {
        program.args.iter().rev().map(String::as_str).find(|argument| {
            let ending = Path::new(argument).extension().and_then(|ending| ending.to_str());
            matches!(ending, Some("c" | "S" | "cc"))
        })
    })
}

fn is_compiler(program: &Program) -> bool {
    matches!(program.name.as_str(), "cc1" | "cc1plus" | "as")
}

/// Returns the part that the programs of a silent make tell of; nothing if none of them tells.
///
/// One compiler that runs outweighs a linker: objects are linked to larger objects all the time.
#[must_use]
pub fn of_make(programs: &[Program]) -> Option<Part> {
    if programs.iter().any(is_compiler) {
        return Some(Part::Compile);
    }
    programs.iter().find_map(|program| match program.name.as_str() {
        "modpost" => Some(Part::Modpost),
        // scripts/link-vmlinux.sh (3.8 and later) and what it runs.
        "link-vmlinux.sh" | "kallsyms" | "sorttable" | "sortextable" | "pahole" | "resolve_btfids" => Some(Part::Link),
        "depmod" | "sign-file" => Some(Part::Modules),
        "ld" | "ld.bfd" | "ld.lld" => linked(program),
        "objtool" | "ar" | "fixdep" | "recordmcount" => Some(Part::Compile),
        _ => None,
    })
}

/// What a linker links, by the name after `-o`.
fn linked(program: &Program) -> Option<Part> {
    let at = program.args.iter().position(|argument| argument == "-o")?;
    let file = super::line::base(program.args.get(at + 1)?);
    if file.contains("vmlinux") {
        Some(Part::Link)
    } else if Path::new(file).extension().is_some_and(|ending| ending == "ko") {
        Some(Part::Modules)
    } else {
        Some(Part::Compile)
    }
}

/// Whether rpm's check for files that are in no package runs.
#[must_use]
pub fn checks_files(programs: &[Program]) -> bool {
    programs.iter().any(|program| {
        program.name == "check-files" || program.args.iter().any(|argument| argument.ends_with("/check-files"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(command: &str) -> Program {
        let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        Program { name: crate::times::line::base(&args[0]).to_owned(), args }
    }

    #[test]
    fn a_silent_make_is_told_by_its_programs() {
        let cases: [(&[&str], Option<Part>); 8] = [
            (&["make -s", "sh -c gcc"], None),
            (&["make", "/usr/lib/gcc/cc1 -quiet init/main.c", "ld -r -o built-in.o a.o"], Some(Part::Compile)),
            (&["make", "ld -m elf_x86_64 -r -o kernel/built-in.o a.o"], Some(Part::Compile)),
            (&["make", "ld -m elf_x86_64 -o vmlinux a.o"], Some(Part::Link)),
            (&["make", "sh link-vmlinux.sh", "link-vmlinux.sh ld"], Some(Part::Link)),
            (&["make", "ld -r -m elf_x86_64 -o net/netfilter/ipvs/ip_vs.ko a.o"], Some(Part::Modules)),
            (&["make", "scripts/mod/modpost -m"], Some(Part::Modpost)),
            (&["ld --help"], None),
        ];
        for (commands, expected) in cases {
            let programs: Vec<_> = commands.iter().map(|command| program(command)).collect();
            assert_eq!(of_make(&programs), expected, "{commands:?}");
        }
        let programs = [program("make"), program("cc1 -quiet -D X net/ipv4/tcp.c -o /tmp/x.s")];
        assert_eq!(compiling(&programs), Some("net/ipv4/tcp.c"));
        assert!(checks_files(&[program("/bin/sh /usr/lib/rpm/check-files /r")]) && !checks_files(&programs));
    }
}
