//! The buildid in a spec: how it gets in, and what the release then is, found by evaluating the spec before and after.
//!
//! The distribution leaves a marker for a local buildid near the top of the spec, commented out, in many spellings:
//! `# % define buildid .local` (el6 2.6.32-71 to -754, lines 17 to 19), `#% define buildid` (el5 2.6.18-308, line 74),
//! `# define buildid .local` (el8 4.18.0-80 on), `#global buildid .local` (`ELRepo` el9, in a file that the spec includes).
//! A `%define` inside a comment is live all the same: rpm expands macros there. A spec of a fork may have an active
//! `%define buildid` with a value of its own, or none that could carry one. So each way is tried on the text, and the one
//! counts that gives the release that was wanted.

mod condition;
mod macros;
mod walk;

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

pub use walk::{Context, Evaluated, Place, Sources, Unknown, evaluate};

use super::{Change, Edited, End, Error, lines, replace_line, split_end};
use crate::rpm::nvr::Nvr;

/// How a spec carries a buildid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The marker that was commented out.
    Marker,
    /// A definition that was in force, extended.
    Extended,
    /// A definition put before the spec's first line, since it uses a buildid and has no place for one.
    Inserted,
    /// The `Release` line, since nothing in the spec uses a buildid.
    ReleaseLine,
    /// It carried it already.
    Already,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marker => "the marker that the spec leaves for it",
            Self::Extended => "a definition that was in force is extended",
            Self::Inserted => "a definition is put in: the spec uses one and has no place for it",
            Self::ReleaseLine => "the Release line: nothing in the spec uses a buildid",
            Self::Already => "it is there already",
        })
    }
}

/// The edit that gives a spec its buildid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The file that is edited: the spec, or one that it includes.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it says; `None` if a line is put before it.
    pub before: Option<String>,
    /// What it is to say.
    pub after: String,
    /// Which way this is.
    pub how: Carrier,
    /// The release afterwards, if `evaluated`.
    pub release: String,
    /// Whether the spec was evaluated and gave the header's release before the edit and `release` after it.
    pub evaluated: bool,
    /// What could not be followed in it.
    pub unknown: Vec<Unknown>,
}

/// Which `%dist` makes a spec give the release of its source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dist {
    /// Whichever: the spec has its own, or uses none.
    InSpec,
    /// This one has to be given.
    Given(String),
    /// The spec cannot be evaluated.
    Unknown,
}

/// A value of `%dist` that no distribution has.
const PROBE: &str = ".kbuildprobe";

/// Finds out which `%dist` rpm has to be given.
///
/// From el8 on `%dist` is the building host's: 4.18.0-193.28.1.el8_2 needs `.el8_2`, or becomes 193.28.1.el8 there.
#[must_use]
pub fn dist_of(sources: &Sources<'_>, context: &Context, header: &Nvr) -> Dist {
    let release = |dist: &str| {
        let mut context = context.clone();
        context.defines.insert("dist".into(), dist.to_owned());
        let found = evaluate(sources, &context);
        (found.version.as_deref() == Some(header.version.as_str())).then_some(found.release).flatten()
    };
    let Some(probed) = release(PROBE) else { return Dist::Unknown };
    if probed == header.release {
        return Dist::InSpec;
    }
    // What stands in the place of the probe is the `%dist` of the host that packed it.
    let Some((before, after)) = probed.split_once(PROBE) else { return Dist::Unknown };
    let dist = header.release.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let dist = dist.map(|dist| if dist.is_empty() { "%{nil}" } else { dist });
    let found = dist.filter(|dist| release(dist).as_deref() == Some(header.release.as_str()));
    found.map_or(Dist::Unknown, |dist| Dist::Given(dist.to_owned()))
}

/// Decides how a spec is given a buildid such as `.ipvs_20bit`; `header` is what the source package calls itself.
///
/// # Errors
/// There is more than one place and no way to tell which counts, or none that has the effect.
pub fn carry(sources: &Sources<'_>, context: &Context, buildid: &str, header: &Nvr) -> Result<Carried, Error> {
    let pristine = evaluate(sources, context);
    let good = pristine.version.as_deref() == Some(header.version.as_str())
        && pristine.release.as_deref() == Some(header.release.as_str());
    let spec = Spec { sources, context, buildid, header, evaluated: good, pristine: &pristine };
    if good { spec.by_evaluation() } else { spec.by_text() }
}

/// A spec whose buildid is being decided.
struct Spec<'a> {
    sources: &'a Sources<'a>,
    context: &'a Context,
    buildid: &'a str,
    header: &'a Nvr,
    evaluated: bool,
    pristine: &'a Evaluated,
}

/// A line about `buildid`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    place: Place,
    /// `%define` or `%global` that rpm takes for one, and not a marker.
    live: bool,
    keyword: String,
    value: String,
    text: String,
}

impl Spec<'_> {
    /// Tries what there is; what counts is the release that comes out.
    fn by_evaluation(&self) -> Result<Carried, Error> {
        let all = self.lines();
        let executed: Vec<&Place> =
            self.pristine.buildid.iter().filter(|(_, defined)| *defined).map(|(place, _)| place).collect();
        let active: Vec<&Line> = all.iter().filter(|line| line.live && executed.contains(&&line.place)).collect();
        let reaches = |line: &Line| {
            self.after(&self.rewritten(line, PROBE, Carrier::Extended)).is_some_and(|release| release.contains(PROBE))
        };
        match active.as_slice() {
            [] if executed.is_empty() => {}
            [line] if executed.len() == 1 => {
                if line.value.ends_with(self.buildid) && self.header.release.contains(self.buildid) {
                    return Ok(self.carried(line, line.text.clone(), Carrier::Already, self.header.release.clone()));
                }
                let value = format!("{}{}", line.value, self.buildid);
                if let Some(carried) = self.proved(self.rewritten(line, &value, Carrier::Extended)) {
                    return Ok(carried);
                }
                if reaches(line) {
                    return Err(self.no_effect(&line.place));
                }
            }
            _ => return Err(self.several(executed.iter().map(|place| place.line).collect())),
        }
        let markers: Vec<&Line> = all.iter().filter(|line| !line.live).collect();
        if active.is_empty() {
            match markers.as_slice() {
                [] => {}
                [marker] => {
                    let carried = self.proved(self.rewritten(marker, self.buildid, Carrier::Marker));
                    if let Some(carried) = carried {
                        return Ok(carried);
                    }
                }
                several => return Err(self.several(several.iter().map(|line| line.place.line).collect())),
            }
            if let Some(carried) = self.proved(self.inserted()) {
                return Ok(carried);
            }
        }
        let Some(tried) = self.release_line() else {
            return Err(Error::Missing {
                file: self.sources.spec.to_owned(),
                what: "that defines `buildid`, nor one `Release:` that could carry it".into(),
            });
        };
        let place = Place { file: tried.file.clone(), line: tried.line };
        self.proved(tried).ok_or_else(|| self.no_effect(&place))
    }

    /// Decides on the text alone, where a single place leaves no doubt.
    fn by_text(&self) -> Result<Carried, Error> {
        let all = self.lines();
        let line = match all.as_slice() {
            [line] => line,
            [] => {
                let what = "that defines `buildid`, commented out or not".to_owned();
                return Err(Error::Missing { file: self.sources.spec.to_owned(), what });
            }
            several => return Err(self.several(several.iter().map(|line| line.place.line).collect())),
        };
        if !self.uses_buildid() {
            let (file, buildid) = (line.place.file.clone(), self.buildid.to_owned());
            return Err(Error::BuildidUnused { file, buildid });
        }
        Ok(if line.live && line.value.ends_with(self.buildid) {
            self.carried(line, line.text.clone(), Carrier::Already, String::new())
        } else if line.live {
            self.rewritten(line, &format!("{}{}", line.value, self.buildid), Carrier::Extended)
        } else {
            self.rewritten(line, self.buildid, Carrier::Marker)
        })
    }

    /// Returns the lines about `buildid` in the spec and what it includes.
    fn lines(&self) -> Vec<Line> {
        // `define buildid` or `% define buildid` outside a comment is no macro and no marker.
        let Ok(pattern) =
            Regex::new(r"^[ \t]*(#[# \t]*)?(%[ \t]*)?(define|global)[ \t]+buildid(?:[ \t]+(\S*))?[ \t\r]*$")
        else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for file in &self.pristine.files {
            let text = self.sources.texts.get(file).map(Vec::as_slice).unwrap_or_default();
            for (index, line) in lines(text).enumerate() {
                let Ok(text) = std::str::from_utf8(split_end(line).0) else { continue };
                let Some(found) = pattern.captures(text) else { continue };
                let part = |number: usize| found.get(number).map_or("", |group| group.as_str());
                let live = part(2) == "%";
                if live || !part(1).is_empty() {
                    all.push(Line {
                        place: Place { file: file.clone(), line: index + 1 },
                        live,
                        keyword: part(3).to_owned(),
                        value: part(4).to_owned(),
                        text: text.to_owned(),
                    });
                }
            }
        }
        all
    }

    fn rewritten(&self, line: &Line, value: &str, how: Carrier) -> Carried {
        self.carried(line, format!("%{} buildid {value}", line.keyword), how, String::new())
    }

    fn carried(&self, line: &Line, after: String, how: Carrier, release: String) -> Carried {
        Carried {
            file: line.place.file.clone(),
            line: line.place.line,
            before: Some(line.text.clone()),
            after,
            how,
            release,
            evaluated: self.evaluated,
            unknown: self.pristine.unknown.clone(),
        }
    }

    fn inserted(&self) -> Carried {
        Carried {
            file: self.sources.spec.to_owned(),
            line: 1,
            before: None,
            after: format!("%define buildid {}", self.buildid),
            how: Carrier::Inserted,
            release: String::new(),
            evaluated: self.evaluated,
            unknown: self.pristine.unknown.clone(),
        }
    }

    /// Returns the edit of the `Release` line, if the one that counts stands on a line of its own.
    fn release_line(&self) -> Option<Carried> {
        let (place, text) = self.pristine.release_at.as_ref()?;
        let body = text.trim_end_matches([' ', '\t', '\r']);
        let tag = body.split_once(':').map(|(tag, _)| tag.trim().to_ascii_lowercase());
        if tag.as_deref() != Some("release") || body.contains('\n') || !body.is_ascii() {
            return None;
        }
        if body.ends_with(self.buildid) && self.header.release.contains(self.buildid) {
            return Some(self.release_edit(place, text, text.clone(), Carrier::Already));
        }
        // The blanks at the end of the line stay.
        let rest = text.get(body.len()..).unwrap_or_default();
        Some(self.release_edit(place, text, format!("{body}{}{rest}", self.buildid), Carrier::ReleaseLine))
    }

    fn release_edit(&self, place: &Place, before: &str, after: String, how: Carrier) -> Carried {
        Carried {
            file: place.file.clone(),
            line: place.line,
            before: Some(before.to_owned()),
            after,
            how,
            release: String::new(),
            evaluated: self.evaluated,
            unknown: self.pristine.unknown.clone(),
        }
    }

    /// Returns the release that the spec gives after an edit.
    fn after(&self, carried: &Carried) -> Option<String> {
        let text = self.sources.texts.get(&carried.file)?;
        let edited = apply_line(&carried.file, text, carried.line, carried.before.as_deref(), &carried.after).ok()?;
        let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for file in &self.pristine.files {
            texts.insert(file.clone(), self.sources.texts.get(file)?.clone());
        }
        texts.insert(carried.file.clone(), edited.text);
        let found = evaluate(&Sources { spec: self.sources.spec, texts: &texts }, self.context);
        (found.version.as_deref() == Some(self.header.version.as_str())).then_some(found.release).flatten()
    }

    /// Passes an edit only if the release has the buildid once more than before, and is otherwise the same.
    fn proved(&self, carried: Carried) -> Option<Carried> {
        let release = self.after(&carried)?;
        let wanted = if carried.how == Carrier::Already {
            release == self.header.release
        } else {
            release.len() == self.header.release.len() + self.buildid.len()
                && release.match_indices(self.buildid).any(|(at, found)| {
                    let (before, after) = (release.get(..at), release.get(at + found.len()..));
                    before.zip(after).is_some_and(|(before, after)| format!("{before}{after}") == self.header.release)
                })
        };
        let once = release.matches(self.buildid).count() == 1;
        (wanted && once).then_some(Carried { release, ..carried })
    }

    /// Whether any line that is not a comment expands `%{?buildid}` or `%{buildid}`.
    fn uses_buildid(&self) -> bool {
        let Ok(pattern) = regex::bytes::Regex::new(r"%\{?\??buildid\b") else { return false };
        let texts = self.pristine.files.iter().filter_map(|file| self.sources.texts.get(file));
        texts
            .flat_map(|text| lines(text))
            .any(|line| !line.trim_ascii_start().starts_with(b"#") && pattern.is_match(line))
    }

    fn several(&self, lines: Vec<usize>) -> Error {
        Error::Several { file: self.sources.spec.to_owned(), what: "that define `buildid`".to_owned(), lines }
    }

    fn no_effect(&self, place: &Place) -> Error {
        Error::NoEffect { file: place.file.clone(), line: place.line, buildid: self.buildid.to_owned() }
    }
}

/// Replaces a line, or puts one before it, and says what changed. Applied to its own result, it changes nothing.
///
/// # Arguments
/// `file` is the name for messages, `line` the number from 1, `before` what the line must say (`None`: `after` becomes a
/// line of its own before it).
///
/// # Errors
/// The line says something else.
pub fn apply_line(file: &str, text: &[u8], line: usize, before: Option<&str>, after: &str) -> Result<Edited, Error> {
    let found = lines(text).nth(line.saturating_sub(1)).map(|line| split_end(line).0);
    let same = found == Some(after.as_bytes());
    match before {
        _ if same => Ok(Edited { text: text.to_vec(), changes: Vec::new() }),
        Some(before) if found == Some(before.as_bytes()) => Ok(replace_line(text, line, after, End::Same)),
        Some(before) => Err(Error::Missing { file: file.to_owned(), what: format!("`{before}` at line {line}") }),
        None => {
            let at: usize = lines(text).take(line.saturating_sub(1)).map(<[u8]>::len).sum();
            let (head, tail) = text.split_at(at);
            // As the line that follows ends, so does the new one.
            let end = lines(tail).next().map_or(&b"\n"[..], |line| split_end(line).1);
            let end = if end.is_empty() { b"\n" } else { end };
            let new = [head, after.as_bytes(), end, tail].concat();
            let change = Change { line, before: None, after: after.to_owned() };
            Ok(Edited { text: new, changes: vec![change] })
        }
    }
}

#[cfg(test)]
mod tests;
