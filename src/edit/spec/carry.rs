//! Which line of a spec carries the buildid into the release, decided on the evaluated spec and proved on the edited one.

use serde::{Deserialize, Serialize};

use super::marker::{self, Line};
use super::text::UNKNOWN;
use super::{Context, Definition, Error, Evaluated, Keyword, Place, Sources, Unknown, apply_line, evaluate};
use crate::edit::{lines, split_end};
use crate::rpm::nvr::Nvr;

/// How a spec comes to carry the buildid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// The distribution's marker becomes a definition.
    Marker,
    /// A definition that is in force gets a longer value.
    Extended,
    /// A definition is added above the first line.
    Inserted,
    /// The release itself gets longer.
    ReleaseLine,
}

/// The one edit that makes a spec's release carry the buildid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Carried {
    /// The file to be edited, in the source package.
    pub file: String,
    /// The line, from 1; for an added line, the one that it goes above.
    pub line: usize,
    /// The line as it is, without its end; `None` when a line is added.
    pub before: Option<String>,
    /// The line as it has to be. The same as `before` where the spec carries the buildid already.
    pub after: String,
    /// How.
    pub how: Carrier,
    /// The release that comes of it; `None` where the evaluation cannot tell.
    pub release: Option<String>,
    /// Whether the evaluation of the unedited spec gives the source package's release and, as far as it can tell, its
    /// version, and so can be trusted; if not, the line was chosen by its text alone, and the release has to be looked at after the build.
    pub evaluated: bool,
    /// What the evaluation of the unedited spec could not know.
    pub unknown: Vec<Unknown>,
}

/// A line and what it would become.
struct Candidate {
    at: Place,
    before: Option<String>,
    after: String,
    how: Carrier,
}

struct Search<'a> {
    sources: &'a Sources<'a>,
    context: &'a Context,
    buildid: &'a str,
    /// The header's release without the buildid.
    base: String,
    pristine: &'a Evaluated,
    evaluated: bool,
}

/// Finds the line that has to change for the release to carry the buildid (with its leading dot, such as
/// `.ipvs_20bit`), and proves it: evaluated again with this line, the release is the source package's with the buildid
/// in it once. Applied to its own result, it finds the line as it has to be.
///
/// `header` is what the source package says of itself; its release may have the buildid in it already.
///
/// - A definition of `buildid` in force that reaches the release is extended.
/// - Without one, the marker that the distribution left becomes a definition, or one is added above the first line.
/// - Where the release does not look at `buildid`, its own line gets longer.
///
/// # Errors
/// There is no such line, or it is not certain which one it is, or the proof fails.
pub fn carry(sources: &Sources<'_>, context: &Context, buildid: &str, header: &Nvr) -> Result<Carried, Error> {
    if sources.text(sources.spec).is_none() {
        return Err(Error::NoSpec { file: sources.spec.to_owned() });
    }
    let base = match header.release.matches(buildid).count() {
        0 => header.release.clone(),
        1 => header.release.replacen(buildid, "", 1),
        count => {
            let (release, buildid) = (header.release.clone(), buildid.to_owned());
            return Err(Error::Taken { release, buildid, count });
        }
    };
    let pristine = evaluate(sources, context);
    let carries = pristine.release.as_deref().is_some_and(|release| adds(release, buildid, &base));
    let same_release = carries || pristine.release.as_ref() == Some(&base);
    let evaluated = same_release && fits(&pristine, &header.version);
    let mut search = Search { sources, context, buildid, base, pristine: &pristine, evaluated };
    let decided = match (evaluated, carries) {
        (true, true) => search.carrying(),
        (true, false) => search.proved(),
        (false, _) => search.by_text(),
    };
    // What rpm 4.18 refuses, an older one may have built: then only the text is left to go by.
    let (found, release) = match decided {
        Err(_) if evaluated && pristine.refused() => {
            search.evaluated = false;
            search.by_text()?
        }
        decided => decided?,
    };
    let evaluated = search.evaluated;
    let Candidate { at, before, after, how } = found;
    let Place { file, line } = at;
    Ok(Carried { file, line, before, after, how, release, evaluated, unknown: pristine.unknown })
}

/// Whether an evaluation says nothing against a version: elrepo's and Fedora's specs have it from a shell command, which
/// no buildid reaches.
pub(super) fn fits(found: &Evaluated, version: &str) -> bool {
    found.version.as_deref().is_none_or(|found_version| found_version == version)
}

/// Whether a release is another one with the buildid in it once.
fn adds(release: &str, buildid: &str, base: &str) -> bool {
    release.matches(buildid).count() == 1 && release.replacen(buildid, "", 1) == base
}

impl Search<'_> {
    fn text(&self, file: &str) -> &[u8] {
        self.sources.text(file).unwrap_or_default()
    }

    /// Returns a line without its end.
    fn body(&self, at: &Place) -> &[u8] {
        let line = at.line.checked_sub(1).and_then(|index| lines(self.text(&at.file)).nth(index));
        line.map(|line| split_end(line).0).unwrap_or_default()
    }

    fn unclear(&self, at: &Place, expected: &'static str) -> Error {
        Error::Unclear { at: at.clone(), expected, found: String::from_utf8_lossy(self.body(at)).into_owned() }
    }

    fn several(&self, what: &'static str, places: Vec<Place>) -> Error {
        Error::Several { buildid: self.buildid.to_owned(), what, places }
    }

    /// Makes a candidate of a line and what it becomes.
    fn candidate(
        &self,
        at: &Place,
        after: Option<Vec<u8>>,
        how: Carrier,
        form: &'static str,
    ) -> Result<Candidate, Error> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
        let before = text(self.body(at));
        match (before, after.and_then(|after| text(&after))) {
            (Some(before), Some(after)) => Ok(Candidate { at: at.clone(), before: Some(before), after, how }),
            _ => Err(self.unclear(at, form)),
        }
    }

    fn extension(&self, definition: &Definition) -> Result<Candidate, Error> {
        let at = Place { file: definition.file.clone(), line: definition.line };
        let suffix = if definition.value.ends_with(self.buildid) { "" } else { self.buildid };
        let after = marker::extended(self.body(&at), &definition.value, suffix);
        self.candidate(&at, after, Carrier::Extended, "one definition of `buildid` on one line")
    }

    fn definition(&self, at: &Place, keyword: Keyword) -> Result<Candidate, Error> {
        let word = if keyword == Keyword::Global { "global" } else { "define" };
        let after = format!("%{word} buildid {}", self.buildid).into_bytes();
        self.candidate(at, Some(after), Carrier::Marker, "text")
    }

    fn insertion(&self) -> Candidate {
        let at = Place { file: self.sources.spec.to_owned(), line: 1 };
        let after = format!("%define buildid {}", self.buildid);
        Candidate { at, before: None, after, how: Carrier::Inserted }
    }

    fn release_line(&self, at: &Place) -> Result<Candidate, Error> {
        let after = marker::appended(self.body(at), self.buildid);
        self.candidate(at, after, Carrier::ReleaseLine, "`Release: VALUE` and nothing else")
    }

    /// Evaluates the spec with a candidate applied.
    fn evaluated_with(&self, candidate: &Candidate) -> Option<Evaluated> {
        let Candidate { at, before, after, .. } = candidate;
        let edited = apply_line(&at.file, self.text(&at.file), at.line, before.as_deref(), after).ok()?;
        Some(evaluate(&self.sources.with(&at.file, &edited.text), self.context))
    }

    /// Returns the release with a candidate applied, if the spec stays sound.
    fn release_with(&self, candidate: &Candidate) -> Option<String> {
        let found = self.evaluated_with(candidate)?;
        let sound = found.version == self.pristine.version && !found.refused();
        found.release.filter(|_| sound)
    }

    fn proves(&self, candidate: &Candidate) -> bool {
        self.release_with(candidate).is_some_and(|release| adds(&release, self.buildid, &self.base))
    }

    /// Returns the candidate with its release, or why it is none.
    fn prove(&self, candidate: Candidate) -> Result<(Candidate, Option<String>), Error> {
        let release = self.release_with(&candidate);
        if release.as_deref().is_some_and(|release| adds(release, self.buildid, &self.base)) {
            return Ok((candidate, release));
        }
        Err(self.effect(candidate, &self.base, release))
    }

    fn effect(&self, candidate: Candidate, base: &str, found: Option<String>) -> Error {
        let Candidate { at, after, .. } = candidate;
        Error::Effect { at, after, expected: format!("`{base}` with `{}` in it once", self.buildid), found }
    }

    /// Returns the line that carries the buildid already.
    fn carrying(&self) -> Result<(Candidate, Option<String>), Error> {
        let definitions = self.definitions().filter(|definition| definition.value.ends_with(self.buildid));
        let mut found: Vec<Candidate> = definitions.map(|each| self.extension(each)).collect::<Result<_, _>>()?;
        let tag = self.pristine.release_tag.as_ref();
        found.extend(tag.and_then(|at| self.release_line(at).ok()).filter(unchanged));
        match found.len() {
            1 => self.prove(found.pop().ok_or_else(|| self.no_release())?),
            0 => match tag {
                Some(at) => Err(self.unclear(at, "the line that carries the buildid")),
                None => Err(self.no_release()),
            },
            _ => Err(self.several("line", found.into_iter().map(|each| each.at).collect())),
        }
    }

    fn no_release(&self) -> Error {
        Error::NoRelease { file: self.sources.spec.to_owned() }
    }

    /// Returns the definitions that were carried out, each line once: a spec with a `BuildArch` is read twice.
    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        let all = &self.pristine.buildid;
        all.iter().enumerate().filter_map(|(index, each)| {
            let known = all.iter().take(index).any(|other| (&other.file, other.line) == (&each.file, each.line));
            (each.keyword != Keyword::Undefine && !known).then_some(each)
        })
    }

    /// Decides on what was evaluated.
    fn proved(&self) -> Result<(Candidate, Option<String>), Error> {
        let Some(tag) = &self.pristine.release_tag else { return Err(self.no_release()) };
        if !self.pristine.consults_buildid {
            return self.prove(self.release_line(tag)?);
        }
        let definitions: Vec<_> = self.definitions().collect();
        if let [only] = definitions.as_slice()
            && self.pristine.active
        {
            return self.prove(self.extension(only)?);
        }
        let extensions = definitions.iter().filter_map(|definition| self.extension(definition).ok());
        let mut proved: Vec<_> = extensions.filter(|candidate| self.proves(candidate)).collect();
        if proved.len() == 1
            && let Some(only) = proved.pop()
        {
            return self.prove(only);
        }
        if (self.pristine.active && !definitions.is_empty()) || !proved.is_empty() {
            let place = |each: &&Definition| Place { file: each.file.clone(), line: each.line };
            return Err(self.several("definition that reaches the release", definitions.iter().map(place).collect()));
        }
        self.prove(self.marker()?)
    }

    /// Returns the marker as a candidate, or else the added line.
    fn marker(&self) -> Result<Candidate, Error> {
        let markers: Vec<_> = self
            .spoken()
            .into_iter()
            .filter_map(|(at, line)| match line {
                Line::Marker(keyword) => Some((at, keyword)),
                Line::Active => None,
            })
            .collect();
        match markers.as_slice() {
            [] => Ok(self.insertion()),
            [(at, keyword)] => self.definition(at, *keyword),
            several => Err(self.several("marker", several.iter().map(|(at, _)| at.clone()).collect())),
        }
    }

    /// Returns all lines of the preamble that speak of `buildid`, by their text.
    fn spoken(&self) -> Vec<(Place, Line)> {
        self.lines(marker::line)
    }

    fn lines<T>(&self, wanted: impl Fn(&[u8]) -> Option<T>) -> Vec<(Place, T)> {
        let included = self.pristine.included.iter().map(String::as_str);
        std::iter::once(self.sources.spec)
            .chain(included)
            .flat_map(|file| {
                let last = self.pristine.ends.get(file).copied().unwrap_or(usize::MAX);
                marker::places(file, self.text(file), last, &wanted)
            })
            .collect()
    }

    /// Decides on the text alone; what the evaluation does say must not speak against it.
    fn by_text(&self) -> Result<(Candidate, Option<String>), Error> {
        let uses = !self.lines(|body| marker::uses(body).then_some(())).is_empty();
        let active: Vec<_> = self.spoken().into_iter().filter(|(_, line)| *line == Line::Active).collect();
        let candidate = match active.as_slice() {
            _ if !uses => {
                let tags = self.lines(|body| marker::is_release(body).then_some(()));
                match tags.as_slice() {
                    [(at, ())] => self.release_line(at)?,
                    [] => return Err(self.no_release()),
                    several => {
                        return Err(self.several("Release tag", several.iter().map(|(at, ())| at.clone()).collect()));
                    }
                }
            }
            [] => self.marker()?,
            [(at, _)] => {
                // The value that counts is the one that was read there; else the line is not read, or not as it seems.
                let read = self.definitions().find(|each| each.file == at.file && each.line == at.line);
                let read = read.ok_or_else(|| self.unclear(at, "a definition of `buildid` that is read"))?;
                self.extension(read)?
            }
            several => {
                return Err(self.several("definition", several.iter().map(|(at, _)| at.clone()).collect()));
            }
        };
        let after = self.evaluated_with(&candidate).and_then(|found| found.written_release);
        if let (Some(before), Some(after)) = (&self.pristine.written_release, &after)
            && !unchanged(&candidate)
            && !adds(after, self.buildid, before)
        {
            return Err(self.effect(candidate, &unknown_marked(before), Some(unknown_marked(after))));
        }
        // The release of another evaluation than the source package's is none to promise.
        Ok((candidate, None))
    }
}

/// Returns a release with a sign for what is unknown in it.
fn unknown_marked(release: &str) -> String {
    release.replace(char::from(UNKNOWN), "(unknown)")
}

fn unchanged(candidate: &Candidate) -> bool {
    candidate.before.as_ref() == Some(&candidate.after)
}
