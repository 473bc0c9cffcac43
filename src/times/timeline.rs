//! Follows rpmbuild's output and the programs that run for it, and cuts its time into parts.
//!
//! At any moment one part has the time: that of the line that came last. With several jobs make does several things at
//! once; then a part's time is what passed while it was the last that was heard of. What nothing tells of is unknown, and
//! is not given to others.

use super::line::{self, Says, Target};
use super::seen::{self, Program};
use super::{Part, Span};

/// So many compilations are kept by name: more than the largest kernel has.
const MOST_OBJECTS: usize = 60_000;

/// What is known so far.
#[derive(Debug, Clone)]
pub struct Timeline {
    now: Part,
    since: f64,
    cpu: Option<f64>,
    section: Section,
    /// In a make whose part depends on what it does, and that has not said a word of that.
    silent: bool,
    /// The last make that links was for modules, or its modpost has run.
    modules: bool,
    spans: Vec<Span>,
    objects: Vec<(f64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Prep,
    Clean,
    Other,
}

impl Timeline {
    /// Begins at a time, in seconds, with nothing known.
    #[must_use]
    pub fn new(at: f64) -> Self {
        Self {
            now: Part::Unknown,
            since: at,
            cpu: Some(0.0),
            section: Section::Other,
            silent: false,
            modules: false,
            spans: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// Returns the part that has the time.
    #[must_use]
    pub fn now(&self) -> Part {
        self.now
    }

    /// Takes what a line announces, at its time. `cpu` is asked for the processor time of all until then, in seconds, if
    /// another part begins.
    pub fn line(&mut self, at: f64, says: &Says<'_>, cpu: impl FnOnce() -> Option<f64>) {
        if let Says::Step { word, file, .. } = says {
            self.silent = false;
            if line::COMPILING.contains(word) && self.objects.len() < MOST_OBJECTS {
                self.objects.push((at, (*file).to_owned()));
            }
        }
        let Some(part) = self.part(says) else { return };
        if self.now == Part::CheckFiles && part == Part::Payload {
            // Nobody saw when the one ended and the other began.
            self.now = Part::Unknown;
        }
        self.enter(at, part, cpu);
    }

    /// Whether a look at the programs that run would tell more.
    #[must_use]
    pub fn is_curious(&self) -> bool {
        self.silent || self.now == Part::CheckFiles
    }

    /// Takes the programs that are seen to run.
    pub fn seen(&mut self, at: f64, programs: &[Program], cpu: impl FnOnce() -> Option<f64>) {
        if self.now == Part::CheckFiles && !seen::checks_files(programs) {
            self.enter(at, Part::Payload, cpu);
        } else if let Some(part) = seen::of_make(programs).filter(|_| self.silent) {
            self.enter(at, part, cpu);
        }
    }

    /// Ends it, and returns the pieces, one after the other, and the compilations that were announced.
    #[must_use]
    pub fn finish(mut self, at: f64, cpu: Option<f64>) -> (Vec<Span>, Vec<(f64, String)>) {
        self.cut(at, cpu);
        (self.spans, self.objects)
    }

    /// Lets another part have the time from now on.
    fn enter(&mut self, at: f64, part: Part, cpu: impl FnOnce() -> Option<f64>) {
        if self.now != part {
            let cpu = cpu();
            self.cut(at, cpu);
            self.now = part;
        }
    }

    fn cut(&mut self, at: f64, cpu: Option<f64>) {
        // What was used before a look may be seen only at the next one.
        let used = cpu.zip(self.cpu).map(|(now, then)| (now - then).max(0.0));
        if at > self.since {
            match self.spans.last_mut().filter(|last| last.part == self.now) {
                Some(last) => {
                    last.end = at;
                    last.cpu = last.cpu.zip(used).map(|(last, used)| last + used);
                }
                None => self.spans.push(Span { part: self.now, start: self.since, end: at, cpu: used }),
            }
        }
        self.since = at;
        self.cpu = cpu.or(self.cpu);
    }

    /// Returns the part that a line is about; nothing if it tells of none.
    fn part(&mut self, says: &Says<'_>) -> Option<Part> {
        Some(match says {
            Says::Section(name) => {
                self.silent = false;
                self.section = match *name {
                    "%prep" => Section::Prep,
                    "%clean" | "rmbuild" | "--clean" => Section::Clean,
                    _ => Section::Other,
                };
                self.of_shell()
            }
            Says::Command(command) => {
                self.silent = false;
                self.of_command(command)
            }
            Says::Make(target) => {
                self.silent = *target == Target::Build;
                self.modules = false;
                match target {
                    // A spec's %prep calls make for nothing else.
                    Target::Build if self.section == Section::Prep => Part::Prep,
                    Target::Build => Part::Make,
                    Target::Configure => Part::Configure,
                    Target::Modules => Part::Modules,
                    Target::Headers => Part::Headers,
                    Target::Tools => Part::Tools,
                    Target::Docs => Part::Docs,
                    Target::Other => Part::Script,
                }
            }
            Says::Modpost => {
                self.modules = true;
                Part::Modpost
            }
            Says::Step { word, of_module, file } => return self.of_step(word, *of_module, file),
            Says::Files => {
                self.silent = false;
                Part::Files
            }
            Says::CheckFiles => Part::CheckFiles,
            Says::Wrote(_) => Part::Payload,
        })
    }

    /// What the section's shell does when it is not said.
    fn of_shell(&self) -> Part {
        match self.section {
            Section::Prep => Part::Prep,
            Section::Clean => Part::Clean,
            Section::Other => Part::Script,
        }
    }

    fn of_command(&self, command: &str) -> Part {
        // `+ /usr/lib/rpm/brp-strip /usr/bin/strip`, and `+ /bin/sh /usr/lib/rpm/find-debuginfo.sh …` of some.
        let programs = command.split(' ').take(2).map(line::base);
        for program in programs {
            if program.starts_with("find-debuginfo") {
                return Part::Debuginfo;
            }
            if program.starts_with("brp-") || program.starts_with("check-buildroot") || program == "check-rpaths" {
                return Part::Brp;
            }
            if matches!(program, "mod-sign.sh" | "modsign.sh" | "depmod") {
                return Part::Modules;
            }
        }
        self.of_shell()
    }

    fn of_step(&mut self, word: &str, of_module: bool, file: &str) -> Option<Part> {
        if matches!(self.now, Part::Tools | Part::Docs | Part::Headers) {
            return None;
        }
        let name = line::base(file);
        let is_module = name.rsplit_once('.').is_some_and(|(_, ending)| ending == "ko");
        Some(match word {
            // The last of a module's own objects is compiled after modpost has written its source.
            "CC" if self.modules && name.ends_with(".mod.o") => Part::Modules,
            "MODPOST" => {
                self.modules = true;
                Part::Modpost
            }
            "LD" | "BTF" if is_module => Part::Modules,
            "LD" | "LINK" | "BTF" | "BTFIDS" | "KSYM" | "KSYMS" | "SORTTAB" | "SORTEX" | "SYSMAP" | "NM"
                if !of_module
                    && (name.contains("vmlinux") || name.contains("System.map") || name.contains("kallsyms")) =>
            {
                Part::Link
            }
            "CC" | "AS" | "CXX" | "LD" | "HOSTCC" | "HOSTCXX" | "HOSTLD" | "AR" => Part::Compile,
            "INSTALL" | "STRIP" | "SIGN" | "DEPMOD" | "XZ" | "ZSTD" if is_module || word == "DEPMOD" => Part::Modules,
            "HDRINST" => Part::Headers,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::line::says;

    /// Follows a log of which each line is its time, a tab, and what was printed; lines that begin with `!` are programs
    /// that were seen instead, each with its arguments, between `;`.
    fn follow(log: &str) -> (Vec<Span>, Vec<(f64, String)>) {
        let mut timeline = Timeline::new(0.0);
        let mut last = 0.0;
        for entry in log.lines() {
            let (at, text) = entry.split_once('\t').unwrap();
            last = at.parse().unwrap();
            if let Some(programs) = text.strip_prefix('!') {
                if timeline.is_curious() {
                    let programs: Vec<_> = programs.split("; ").map(program).collect();
                    timeline.seen(last, &programs, || None);
                }
            } else if let Some(says) = says(text) {
                timeline.line(last, &says, || None);
            }
        }
        timeline.finish(last, None)
    }

    fn program(command: &str) -> Program {
        let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        Program { name: args[0].clone(), args }
    }

    fn sums(spans: &[Span]) -> Vec<(Part, f64)> {
        let recording = super::super::Recording { parts: spans.to_vec(), ..Default::default() };
        recording.times().parts.iter().map(|part| (part.part, (part.seconds * 10.0).round() / 10.0)).collect()
    }

    #[test]
    fn each_second_belongs_to_what_was_said_last() {
        let log = "1\tBuilding target platforms: x86_64\n\
                   2\tExecuting(%prep): /bin/sh -e x\n3\t+ tar -xf linux.tar\n5\t+ make ARCH=x86_64 nonint_oldconfig\n\
                   7\t+ cd ..\n8\tExecuting(%build): /bin/sh -e x\n9\t+ make ARCH=x86_64 -j2 bzImage\n\
                   10\t  CC      init/main.o\n20\t  LD      init/built-in.o\n21\t  LD      vmlinux\n24\t  SYSMAP  System.map\n\
                   25\t  OBJCOPY arch/x86/boot/vmlinux.bin\n26\t+ make modules\n27\t  CC [M]  net/a.o\n\
                   30\t  LD [M]  net/b.o\n31\t  Building modules, stage 2.\n33\t  MODPOST 2 modules\n34\t  CC      net/a.mod.o\n\
                   35\t  LD [M]  net/a.ko\n36\t+ cp .config /r\n40\tExecuting(%install): /bin/sh -e x\n\
                   41\t+ make headers_install\n43\t+ /usr/bin/find-debuginfo -j2\n44\textracting debug info from x\n\
                   50\t+ /usr/lib/rpm/brp-strip /usr/bin/strip\n52\tProcessing files: kernel\n\
                   55\tChecking for unpackaged file(s): /usr/lib/rpm/check-files /r\n57\t!rpmbuild -bb; check-files /r\n\
                   58\t!rpmbuild -bb\n60\tWrote: /a.rpm\n63\tWrote: /b.rpm\n64\tExecuting(%clean): /bin/sh -e x\n\
                   65\t+ rm -rf /r\n66\tExecuting(rmbuild): /bin/sh -e x\n67\t+ exit 0";
        let (spans, objects) = follow(log);
        let expected = [
            (Part::Prep, 4.0),
            (Part::Configure, 2.0),
            (Part::Compile, 15.0),
            (Part::Link, 5.0),
            (Part::Modpost, 3.0),
            (Part::Modules, 2.0),
            (Part::Make, 2.0),
            (Part::Headers, 2.0),
            (Part::Script, 6.0),
            (Part::Debuginfo, 7.0),
            (Part::Brp, 2.0),
            (Part::Files, 3.0),
            (Part::CheckFiles, 3.0),
            (Part::Payload, 6.0),
            (Part::Clean, 3.0),
            (Part::Unknown, 2.0),
        ];
        assert_eq!(sums(&spans), expected);
        assert_eq!(objects.first(), Some(&(10.0, "init/main.o".to_owned())));
        assert_eq!(objects.len(), 3);
        // Nothing is counted twice, and nothing is left out.
        let meet = |pair: &[Span]| (pair[0].end - pair[1].start).abs() < 1e-9 && pair[0].part != pair[1].part;
        assert!(spans.windows(2).all(meet), "{spans:?}");
    }

    #[test]
    fn a_recorded_build_of_the_toy_is_told_part_by_part() {
        // rpmbuild 4.18 on tests/kernels/el6-toy, `--profile fleet`, with the programs seen every half second.
        let (spans, _) = follow(include_str!("../../tests/times/el6-toy.log"));
        let sums = sums(&spans);
        let of = |part: Part| sums.iter().find(|(each, _)| *each == part).map(|(_, seconds)| *seconds);
        // From 2.844 to 3.169, from there to 3.570, and from the first package written at 3.660 to 3.720.
        let expected = [(Part::Brp, 0.3), (Part::Files, 0.4), (Part::Payload, 0.1), (Part::Clean, 0.1)];
        for (part, seconds) in expected {
            assert_eq!(of(part), Some(seconds), "{part}: {sums:?}");
        }
        // The silence before the first line, and between the check for files and the first package.
        assert_eq!(of(Part::Unknown), Some(0.2), "{sums:?}");
        for part in [Part::Prep, Part::Configure, Part::Modules, Part::Script] {
            assert!(of(part).is_some(), "{part}: {sums:?}");
        }
    }

    #[test]
    fn a_silent_make_is_unknown_until_its_programs_are_seen() {
        let log = "0\tExecuting(%build): x\n1\t+ make -s bzImage\n3\t!make -s; cc1 a.c\n13\t!make; modpost -m\n\
                   14\t!make; ld -o .tmp_vmlinux1\n18\t!make\n19\t+ make -s modules_install\n20\t!cc1 a.c\n21\t+ exit 0";
        let sums = sums(&follow(log).0);
        let expected = [
            (Part::Compile, 10.0),
            (Part::Link, 5.0),
            (Part::Modpost, 1.0),
            (Part::Modules, 2.0),
            (Part::Make, 2.0),
            (Part::Script, 1.0),
        ];
        assert_eq!(sums, expected);
    }

    #[test]
    fn what_nobody_saw_the_end_of_is_unknown() {
        let log = "0\tProcessing files: a\n1\tChecking for unpackaged file(s): x\n4\tWrote: /a.rpm\n6\tWrote: /b.rpm";
        assert_eq!(sums(&follow(log).0), [(Part::Files, 1.0), (Part::Payload, 2.0), (Part::Unknown, 3.0)]);
    }

    #[test]
    fn processors_are_counted_where_parts_meet() {
        let mut timeline = Timeline::new(0.0);
        let mut take = |at: f64, line: &str, cpu: Option<f64>| timeline.line(at, &says(line).unwrap(), || cpu);
        take(1.0, "Executing(%prep): x", Some(0.5));
        take(2.0, "+ rm x", Some(90.0));
        take(3.0, "+ make oldconfig", Some(2.5));
        // A process that has ended and was not waited for is missing for a moment.
        take(4.0, "+ rm x", Some(2.25));
        let spans = timeline.finish(5.0, Some(3.0)).0;
        let cpu: Vec<_> = spans.iter().map(|span| (span.part, span.cpu)).collect();
        let expected = [
            (Part::Unknown, Some(0.5)),
            (Part::Prep, Some(2.0)),
            (Part::Configure, Some(0.0)),
            (Part::Prep, Some(0.75)),
        ];
        assert_eq!(cpu, expected);
    }
}
