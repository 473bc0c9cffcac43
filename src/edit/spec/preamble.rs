//! The evaluation of a spec's preamble: conditions, includes, tags, down to the first section.
//!
//! Where a condition is not known, what its branches would define is unknown from there on, and so is a tag in them.

use super::expand::{Expander, Stop};
use super::expression::{self, Failure};
use super::lines::{Directive, Open, Reading, begins_section, directive, tag, take_line};
use super::macros::Kind;
use super::text::{UNKNOWN, trim_start, words};
use super::{Context, Evaluated, Sources, What};

/// How deep files may include each other.
const FILES: usize = 32;

/// Whether the lines in a branch count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    Read,
    Skipped,
    Perhaps,
}

/// One `%if` and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    outer: Branch,
    now: Branch,
    /// Whether one of its branches was read.
    taken: Branch,
    had_else: bool,
}

/// The state of an evaluation, as far as lines are concerned.
pub(super) struct Reader<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) expander: Expander,
    pub(super) files: Vec<Reading<'a>>,
    pub(super) levels: Vec<Level>,
    pub(super) found: Evaluated,
    /// The number that a `Source:` without one gets.
    pub(super) next_source: usize,
    /// Tags that are there twice, or perhaps.
    pub(super) doubtful: Vec<&'static str>,
    done: bool,
    /// Whether the spec is read for the second time.
    pub(super) again: bool,
    /// Where the text begins that is being read, and its lines.
    pub(super) first_line: usize,
    pub(super) raw: Vec<u8>,
}

/// Evaluates the preamble.
pub(super) fn evaluate(sources: &Sources<'_>, context: &Context) -> Evaluated {
    let mut expander = Expander::new(context);
    let mut files = Vec::new();
    if let Some(text) = sources.text(sources.spec) {
        files.push(Reading::new(sources.spec, text));
    } else {
        expander.note(What::Include, sources.spec.as_bytes());
        expander.lost = true;
    }
    let found = Evaluated::new(expander.clone());
    let mut reader = Reader {
        sources,
        expander,
        files,
        levels: Vec::new(),
        found,
        next_source: 0,
        doubtful: Vec::new(),
        done: false,
        again: false,
        first_line: 0,
        raw: Vec::new(),
    };
    reader.read();
    reader.finish()
}

impl Reader<'_> {
    fn branch(&self) -> Branch {
        self.levels.last().map_or(Branch::Read, |level| level.now)
    }

    fn read(&mut self) {
        while !self.done {
            let Some(text) = self.joined() else { break };
            let begins = directive(&text).map(|(directive, _)| directive);
            let expand = match (begins, self.levels.last()) {
                (Some(begins), Some(level)) if begins.is_elif() => {
                    level.outer == Branch::Read && level.taken == Branch::Skipped
                }
                _ => self.branch() == Branch::Read,
            };
            self.raw.clone_from(&text);
            let text = if expand {
                self.expander.consulted = false;
                match self.expander.expanded(&text) {
                    Ok(text) => text,
                    Err(stop) => {
                        self.stopped(&stop);
                        self.expander.doubt(&text);
                        if let Some(begins) = begins {
                            self.directive(begins, &[UNKNOWN], &text);
                        }
                        continue;
                    }
                }
            } else {
                text
            };
            let mut rest = text.as_slice();
            while !rest.is_empty() && !self.done {
                let line = take_line(&mut rest);
                self.line(&line);
            }
        }
    }

    /// Returns the next line, with those that belong to it.
    fn joined(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut open = Open::default();
        loop {
            let Some(file) = self.files.last_mut() else {
                if !text.is_empty() {
                    self.refuse("a macro or a line that does not end");
                } else if !self.levels.is_empty() {
                    self.refuse("an `%if` without its `%endif`");
                }
                return None;
            };
            let Some(line) = file.next() else {
                let ended = self.files.pop();
                if let Some(ended) = ended {
                    self.found.ends.insert(ended.file.as_ref().to_owned(), ended.line);
                }
                continue;
            };
            if text.is_empty() {
                self.expander.at(&file.file, file.line);
                self.first_line = file.line;
            }
            text.extend_from_slice(line);
            open.count(line);
            if !open.any() {
                return Some(text);
            }
        }
    }

    pub(super) fn refuse(&mut self, why: &str) {
        self.expander.note(What::Refused, why.as_bytes());
    }

    fn stopped(&mut self, stop: &Stop) {
        match stop {
            Stop::Refused(why) => self.refuse(why),
            Stop::Spent => {
                self.expander.note(What::Limit, b"");
                self.expander.lost = true;
                self.done = true;
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        if let Some((directive, rest)) = directive(line) {
            self.directive(directive, rest, line);
            return;
        }
        match self.branch() {
            Branch::Skipped => {}
            Branch::Perhaps => self.perhaps(line),
            Branch::Read if begins_section(line) => self.end(),
            Branch::Read => self.tag_line(line),
        }
    }

    fn end(&mut self) {
        self.done = true;
        for file in self.files.drain(..) {
            // The line that begins the section is not part of the preamble.
            let last = if file.file == self.expander.file { self.first_line - 1 } else { file.line };
            self.found.ends.insert(file.file.as_ref().to_owned(), last);
        }
    }

    /// A line of a branch that may or may not be read.
    fn perhaps(&mut self, line: &[u8]) {
        self.expander.doubt(line);
        if begins_section(line) {
            self.end();
        } else if let Some((name, _)) = tag(line) {
            match name.as_slice() {
                b"name" => self.doubtful.push("name"),
                b"version" => self.doubtful.push("version"),
                b"release" => self.doubtful.push("release"),
                _ => {}
            }
            self.expander.table.doubt(&name);
            self.expander.table.doubt(&name.to_ascii_uppercase());
        }
    }

    fn directive(&mut self, directive: Directive, rest: &[u8], line: &[u8]) {
        match directive {
            Directive::If | Directive::IfArch { .. } | Directive::IfOs { .. } => {
                let outer = self.branch();
                let now = if outer == Branch::Read { self.condition(directive, rest, line) } else { outer };
                self.levels.push(Level { outer, now, taken: now, had_else: false });
            }
            Directive::Elif | Directive::ElifArch | Directive::ElifOs => {
                let Some(level) = self.levels.last().copied().filter(|level| !level.had_else) else {
                    self.refuse("an `%elif` without its `%if`");
                    return;
                };
                let now = match (level.outer, level.taken) {
                    (Branch::Read, Branch::Skipped) => self.condition(directive, rest, line),
                    (Branch::Read, Branch::Read) | (Branch::Skipped, _) => Branch::Skipped,
                    (Branch::Read, Branch::Perhaps) | (Branch::Perhaps, _) => Branch::Perhaps,
                };
                let taken = if level.taken == Branch::Skipped { now } else { level.taken };
                self.replace_level(Level { now, taken, ..level });
            }
            Directive::Else => {
                let Some(level) = self.levels.last().copied().filter(|level| !level.had_else) else {
                    self.refuse("an `%else` without its `%if`");
                    return;
                };
                let now = match (level.outer, level.taken) {
                    (Branch::Read, Branch::Skipped) => Branch::Read,
                    (Branch::Read, Branch::Read) | (Branch::Skipped, _) => Branch::Skipped,
                    (Branch::Read, Branch::Perhaps) | (Branch::Perhaps, _) => Branch::Perhaps,
                };
                self.replace_level(Level { now, had_else: true, ..level });
            }
            Directive::EndIf => {
                if self.levels.pop().is_none() {
                    self.refuse("an `%endif` without its `%if`");
                }
            }
            Directive::Include => match self.branch() {
                Branch::Read => self.include(rest),
                Branch::Perhaps => {
                    self.expander.note(What::Include, line);
                    self.expander.lost = true;
                }
                Branch::Skipped => {}
            },
        }
    }

    fn replace_level(&mut self, level: Level) {
        self.levels.pop();
        self.levels.push(level);
    }

    /// Returns whether the lines below a condition are read.
    fn condition(&mut self, directive: Directive, rest: &[u8], line: &[u8]) -> Branch {
        let holds = match directive {
            Directive::If | Directive::Elif => match expression::holds(&mut self.expander, rest) {
                Ok(holds) => Some(holds),
                Err(Failure::Unknown | Failure::Syntax(_)) => None,
                Err(Failure::Stop(stop)) => {
                    self.stopped(&stop);
                    None
                }
            },
            Directive::IfOs { not } => self.listed(b"%{_target_os}", rest).map(|listed| listed != not),
            Directive::ElifOs => self.listed(b"%{_target_os}", rest),
            Directive::IfArch { not } => self.listed(b"%{_target_cpu}", rest).map(|listed| listed != not),
            _ => self.listed(b"%{_target_cpu}", rest),
        };
        match holds {
            Some(true) => Branch::Read,
            Some(false) => Branch::Skipped,
            None => {
                self.expander.note(What::Condition, line);
                Branch::Perhaps
            }
        }
    }

    /// Whether what we build for is in a list; `None` where the list is not all known.
    fn listed(&mut self, ours: &[u8], list: &[u8]) -> Option<bool> {
        let ours = self.expander.expanded(ours).ok()?;
        if ours.contains(&UNKNOWN) || words(list).next().is_none() {
            return None;
        }
        if words(list).any(|word| word.eq_ignore_ascii_case(&ours)) {
            return Some(true);
        }
        (!list.contains(&UNKNOWN) && !list.contains(&b'%')).then_some(false)
    }

    fn include(&mut self, rest: &[u8]) {
        let path = trim_start(rest);
        let dir = self.expander.expanded(b"%{_sourcedir}/").unwrap_or_default();
        let name = path.strip_prefix(dir.as_slice()).and_then(|name| std::str::from_utf8(name).ok());
        let found = name.and_then(|name| Some((name, self.sources.text(name)?)));
        match found {
            Some((name, text)) if self.files.len() < FILES => {
                self.files.push(Reading::new(name, text));
                if !self.found.included.iter().any(|known| known == name) {
                    self.found.included.push(name.to_owned());
                }
            }
            Some(_) => self.refuse("files that include each other"),
            None => {
                self.expander.note(What::Include, path);
                self.expander.lost = true;
            }
        }
    }

    fn finish(mut self) -> Evaluated {
        for name in &self.doubtful {
            let place = match *name {
                "name" => &mut self.found.name,
                "version" => &mut self.found.version,
                _ => &mut self.found.release,
            };
            *place = None;
        }
        self.found.buildid = std::mem::take(&mut self.expander.definitions);
        self.found.unknown = std::mem::take(&mut self.expander.unknown);
        self.found.active =
            self.expander.table.get(b"buildid").is_some_and(|entry| !matches!(entry.kind, Kind::Perhaps));
        self.found.expander = self.expander;
        self.found
    }
}
