//! The expansion of macros, after `expandMacro` of rpm 4.18: the same text comes out, and the same definitions are made
//! on the way.
//!
//! What only a machine could say (shell, Lua, files) comes out as an unknown byte. Depth and work are limited, as a spec
//! can make either grow without bounds.

use std::sync::Arc;

use super::call::{Argument, Call};
use super::expression::{self, Failure};
use super::macros::{Entry, Kind, Table};
use super::text::{UNKNOWN, closing, from, is_blank, names_defined, part, shown, span};
use super::{Context, Definition, Unknown, What};

/// rpm's own limit (`max_macro_depth`).
const DEPTH: usize = 64;
/// Bytes looked at in one evaluation: the specs of 200 kernels read for this took less than a thirtieth of it.
const FUEL: usize = 4 << 20;

/// Why an expansion ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// rpm refuses this.
    Refused(String),
    /// The limit of work is reached.
    Spent,
}

/// The state of an evaluation, as far as macros are concerned.
#[derive(Debug, Clone)]
pub(super) struct Expander {
    pub(super) table: Table,
    /// How many parametric macros are being expanded.
    pub(super) level: usize,
    depth: usize,
    fuel: usize,
    /// The file and the line that are being read.
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    /// The line where the text begins that is being read.
    first_line: usize,
    /// Whether `buildid` was looked at; the reader sets it back.
    pub(super) consulted: bool,
    /// Whether something may have been done to any macro.
    pub(super) lost: bool,
    pub(super) unknown: Vec<Unknown>,
    pub(super) definitions: Vec<Definition>,
}

impl Expander {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            table: Table::new(context),
            level: 0,
            depth: 0,
            fuel: FUEL,
            file: Arc::from(""),
            line: 0,
            first_line: 0,
            consulted: false,
            lost: false,
            unknown: Vec::new(),
            definitions: Vec::new(),
        }
    }

    /// Says where the text that comes next is read.
    pub(super) fn at(&mut self, file: &Arc<str>, line: usize) {
        self.file = Arc::clone(file);
        self.line = line;
        self.first_line = line;
    }

    /// Returns a text with its macros expanded.
    pub(super) fn expanded(&mut self, text: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::new();
        self.expand(text, &mut out)?;
        Ok(out)
    }

    /// Records something that cannot be known here.
    pub(super) fn note(&mut self, what: What, text: &[u8]) {
        // A hostile spec could fill the memory with notes.
        if self.unknown.len() < 1000 {
            let text = shown(part(text, 0, text.len().min(200)));
            let note = Unknown { file: self.file.as_ref().to_owned(), line: self.line, what, text };
            if !self.unknown.contains(&note) {
                self.unknown.push(note);
            }
        }
    }

    /// Pays for work.
    pub(super) fn burn(&mut self, work: usize) -> Result<(), Stop> {
        let left = self.fuel.checked_sub(work);
        self.fuel = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Stop::Spent)
    }

    /// Goes one level deeper; [`Self::leave`] comes back.
    pub(super) fn enter(&mut self) -> Result<(), Stop> {
        if self.depth >= DEPTH {
            return Err(Stop::Refused(format!("more than {DEPTH} levels of macros")));
        }
        self.depth += 1;
        Ok(())
    }

    /// See [`Self::enter`].
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Records that what a text would define if it were read is unknown.
    pub(super) fn doubt(&mut self, text: &[u8]) {
        for name in names_defined(text) {
            self.table.doubt(&name);
        }
    }

    pub(super) fn expand(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
        self.burn(text.len() + 1)?;
        self.enter()?;
        let done = self.run(text, out);
        self.leave();
        done
    }

    fn run(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
        let mut at = 0;
        let mut counted = 0;
        if self.depth == 1 {
            self.line = self.first_line;
        }
        loop {
            let plain = span(from(text, at), |byte| byte != b'%');
            out.extend_from_slice(part(text, at, at + plain));
            at += plain;
            match from(text, at) {
                [] => return Ok(()),
                [only] => out.push(*only),
                [percent, b'%', ..] => {
                    out.push(*percent);
                    at += 1;
                }
                [_, rest @ ..] => {
                    if self.depth == 1 {
                        let above = part(text, counted, at).iter().filter(|byte| **byte == b'\n');
                        self.line += above.count();
                        counted = at;
                    }
                    at += self.call(rest, out)?;
                }
            }
            at += 1;
        }
    }

    /// Does what stands behind a `%`; returns how many bytes that were.
    fn call(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Stop> {
        let unterminated = |open: char| Stop::Refused(format!("a `%{open}` that is not closed"));
        match rest.first() {
            Some(b'(') => {
                let end = closing(rest, b'(', b')').ok_or_else(|| unterminated('('))?;
                self.burn(end)?;
                let command = part(rest, 1, end - 1);
                self.note(What::Shell, command);
                // Only for the definitions that the macros in it make.
                self.expanded(command)?;
                out.push(UNKNOWN);
                return Ok(end);
            }
            Some(b'[') => {
                let end = closing(rest, b'[', b']').ok_or_else(|| unterminated('['))?;
                self.burn(end)?;
                let level = std::mem::take(&mut self.level);
                let value = expression::expanded(self, part(rest, 1, end - 1));
                self.level = level;
                self.put_expression(value, part(rest, 1, end - 1), out)?;
                return Ok(end);
            }
            Some(b'{') => {
                // Paid for before, as it may look to the end of the text in vain at every byte.
                self.burn(closing(rest, b'{', b'}').unwrap_or(rest.len()))?;
            }
            _ => {}
        }
        let call = Call::parse(rest).ok_or_else(|| unterminated('{'))?;
        if call.name.is_empty() {
            out.push(b'%');
            return Ok(call.literal);
        }
        let entry = self.look_up(call.name);
        if call.check || call.name.starts_with(b"-") {
            self.conditional(&call, entry.as_ref(), out)?;
            return Ok(call.end);
        }
        let Some(entry) = entry else {
            out.push(b'%');
            return Ok(call.literal);
        };
        if entry.options.is_none() && !matches!(entry.kind, Kind::Builtin(_)) {
            self.use_plain(&entry, out)?;
            return Ok(call.end);
        }
        self.use_with_arguments(&call, &entry, rest, out)
    }

    /// Writes the value of an expression, or that it is unknown.
    pub(super) fn put_expression(
        &mut self,
        value: Result<Vec<u8>, Failure>,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match value {
            Ok(value) => out.extend_from_slice(&value),
            Err(Failure::Unknown) => {
                self.note(What::Expression, text);
                out.push(UNKNOWN);
            }
            Err(Failure::Syntax(why)) => return Err(Stop::Refused(format!("an expression with {why}"))),
            Err(Failure::Stop(stop)) => return Err(stop),
        }
        Ok(())
    }

    /// Returns the definition in force; the arguments of a parametric macro are not seen by the macros it calls.
    fn look_up(&mut self, name: &[u8]) -> Option<Arc<Entry>> {
        self.consulted |= name == b"buildid";
        self.table.get(name).filter(|entry| !matches!(entry.kind, Kind::Argument) || entry.level >= self.level)
    }

    /// `%{?x}`, `%{!?x:…}` and the like.
    fn conditional(&mut self, call: &Call<'_>, entry: Option<&Arc<Entry>>, out: &mut Vec<u8>) -> Result<(), Stop> {
        if entry.is_some_and(|entry| matches!(entry.kind, Kind::Perhaps)) {
            if let Argument::Text(text) = call.argument {
                self.doubt(text);
            }
            out.push(UNKNOWN);
            return Ok(());
        }
        if entry.is_some() == call.negate {
            return Ok(());
        }
        match (&call.argument, entry) {
            (Argument::Text(text), _) if !text.is_empty() => self.expand(text, out),
            (_, Some(entry)) => self.use_plain(entry, out),
            _ => Ok(()),
        }
    }

    /// Expands a macro without arguments.
    fn use_plain(&mut self, entry: &Arc<Entry>, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.consulted |= entry.consulted;
        match entry.kind {
            Kind::Plain if entry.body.is_empty() => Ok(()),
            Kind::Plain => self.expand(&entry.body, out),
            Kind::Argument | Kind::Perhaps => {
                self.burn(entry.body.len())?;
                out.extend_from_slice(&entry.body);
                Ok(())
            }
            Kind::Builtin(builtin) => self.builtin(builtin, &entry.name, &[], out),
        }
    }

    fn use_with_arguments(
        &mut self,
        call: &Call<'_>,
        entry: &Arc<Entry>,
        rest: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, Stop> {
        let parses = matches!(entry.kind, Kind::Builtin(builtin) if builtin.parses());
        if let (Kind::Builtin(builtin), true, false) = (entry.kind, parses, call.braces) {
            return Ok(call.end + self.builtin_on_line(builtin, from(rest, call.end), out)?);
        }
        let mut arguments = Vec::new();
        let mut end = call.end;
        match call.argument {
            Argument::Text(text) | Argument::Words(text) if parses => arguments.push(text.to_vec()),
            Argument::Text(text) => arguments.push(self.expanded(text)?),
            Argument::Words(text) if call.braces || entry.options.is_some() => {
                let words = self.expanded(text)?;
                arguments
                    .extend(words.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty()).map(<[u8]>::to_vec));
                if !call.braces {
                    // `grabArgs`: a line that goes on behind a backslash is swallowed with its end.
                    let goes_on = text.ends_with(b"\\") && rest.get(call.end + text.len()) == Some(&b'\n');
                    end += text.len() + usize::from(goes_on);
                }
            }
            Argument::Words(_) | Argument::None => {}
        }
        match entry.kind {
            Kind::Builtin(builtin) => {
                self.builtin(builtin, &entry.name, &arguments, out)?;
            }
            _ => self.parametric(entry, &arguments, out)?,
        }
        Ok(end)
    }

    /// Expands a parametric macro with its arguments (`setupArgs` and `freeArgs`).
    fn parametric(&mut self, entry: &Arc<Entry>, arguments: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Stop> {
        self.consulted |= entry.consulted;
        if entry.body.is_empty() {
            return Ok(());
        }
        self.burn(self.table.len())?;
        self.level += 1;
        let done = self.set_arguments(entry, arguments).and_then(|()| self.expand(&entry.body, out));
        self.table.leave(self.level);
        self.level -= 1;
        done
    }

    fn set_arguments(&mut self, entry: &Entry, arguments: &[Vec<u8>]) -> Result<(), Stop> {
        let options = entry.options.clone().unwrap_or_default();
        let mut set = |name: &[u8], body: &[u8]| {
            self.table.push(Entry { level: self.level, kind: Kind::Argument, ..Entry::plain(name, body) });
        };
        set(b"0", &entry.name);
        set(b"**", &arguments.join(&b' '));
        let mut rest: Vec<&[u8]> = Vec::new();
        let mut given = arguments.iter().map(Vec::as_slice);
        while let Some(argument) = given.next() {
            match argument {
                _ if options == b"-" => rest.push(argument),
                b"--" => rest.extend(given.by_ref()),
                [b'-', flags @ ..] if !flags.is_empty() => {
                    let mut flags = flags;
                    while let [flag, more @ ..] = flags {
                        flags = more;
                        let at = options.iter().position(|option| option == flag && *option != b':');
                        let Some(at) = at else {
                            let (flag, name) = (char::from(*flag), shown(&entry.name));
                            return Err(Stop::Refused(format!("the option -{flag}, which `%{name}` does not know")));
                        };
                        let name = [b'-', *flag];
                        if options.get(at + 1) != Some(&b':') {
                            set(&name, &name);
                            continue;
                        }
                        let value = if more.is_empty() { given.next() } else { Some(more) };
                        let value = value.ok_or_else(|| Stop::Refused("an option without its value".to_owned()))?;
                        set(&name, &[&name, b" ".as_slice(), value].concat());
                        set(&[b'-', *flag, b'*'], value);
                        flags = &[];
                    }
                }
                _ => rest.push(argument),
            }
        }
        set(b"#", rest.len().to_string().as_bytes());
        for (index, argument) in rest.iter().enumerate() {
            set((index + 1).to_string().as_bytes(), argument);
        }
        set(b"*", &rest.join(&b' '));
        Ok(())
    }
}
