//! The tags of a preamble: name, version and release, the sources that an include may name, and `BuildArch`.

use super::lines::{Reading, tag};
use super::macros::Entry;
use super::preamble::Reader;
use super::text::{UNKNOWN, from, is_blank, is_space, shown, span};
use super::{Evaluated, Place, What, marker};
use crate::edit::lines;

impl Reader<'_> {
    /// A line of the preamble itself.
    pub(super) fn tag_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let Some((name, value)) = tag(line) else {
            let known = !line.contains(&UNKNOWN) && !line.starts_with(b"%");
            // `% define`, with which a real fork left its spec after taking the `# ` off the marker.
            let blank = line.get(1).is_none_or(|byte| is_blank(*byte));
            if known || (line.starts_with(b"%") && blank) {
                self.refuse(&format!("a line that is no tag: {}", shown(line)));
            } else if !line.contains(&UNKNOWN) {
                self.expander.note(What::Line, line);
            }
            return;
        };
        if value.is_empty() {
            self.refuse("a tag without a value");
            return;
        }
        let digits = span(from(&name, b"source".len()), |byte| byte.is_ascii_digit());
        if name.starts_with(b"source") && name.len() == b"source".len() + digits {
            self.source(from(&name, b"source".len()), value);
            return;
        }
        // What was done to the macros before may be anything; what comes behind a tag does not change it.
        let legal = plain(value, name == b"name").filter(|_| !self.expander.lost);
        match name.as_slice() {
            b"buildrequires" => self.build_requires(value),
            b"name" => self.set("name", legal, |found| &mut found.name),
            b"version" => self.set("version", legal, |found| &mut found.version),
            b"release" => {
                // The line itself, where a backslash joins it to others.
                let own = lines(&self.raw).position(marker::is_release).unwrap_or_default();
                let (file, line) = (self.expander.file.as_ref().to_owned(), self.first_line + own);
                if self.found.release_tag.is_none() {
                    self.found.release_tag = Some(Place { file, line });
                }
                self.found.written_release = Some(shown(value));
                self.found.consults_buildid |= self.expander.consulted;
                self.set("release", legal, |found| &mut found.release);
            }
            b"buildarch" | b"buildarchitectures" => {
                self.build_arch(value);
                return;
            }
            b"epoch" | b"summary" | b"license" | b"group" | b"url" | b"vendor" | b"packager" | b"distribution" => {}
            _ => return,
        }
        self.define_tag(name, value);
    }

    /// `BuildArch`: rpm begins to read the spec again, for that architecture, with all that it has defined so far.
    fn build_arch(&mut self, value: &[u8]) {
        if self.again {
            return;
        }
        let target = self.expander.expanded(b"%{_target_cpu}").unwrap_or_default();
        if value != b"noarch" && value != target {
            self.expander.note(What::Machine, value);
            self.expander.lost = true;
            self.doubtful.extend(["name", "version", "release"]);
            return;
        }
        self.expander.table.push(Entry::plain(b"_target_cpu", value));
        self.again = true;
        self.files.clear();
        self.files.extend(self.sources.text(self.sources.spec).map(|text| Reading::new(self.sources.spec, text)));
        self.levels.clear();
        self.doubtful.clear();
        self.next_source = 0;
        (self.found.name, self.found.version, self.found.release) = (None, None, None);
        self.found.build_requires.clear();
        self.found.release_tag = None;
        self.found.written_release = None;
        self.found.consults_buildid = false;
    }

    /// `BuildRequires`: what is known of it; a word with something unknown in it is left out.
    fn build_requires(&mut self, value: &[u8]) {
        if !self.expander.lost {
            self.found.build_requires.extend(required(value));
        }
    }

    fn define_tag(&mut self, name: Vec<u8>, value: &[u8]) {
        let consulted = self.expander.consulted;
        for name in [name.to_ascii_uppercase(), name] {
            self.expander.table.push(Entry { consulted, ..Entry::plain(&name, value) });
        }
    }

    fn set(&mut self, name: &'static str, value: Option<String>, place: fn(&mut Evaluated) -> &mut Option<String>) {
        let twice = std::mem::replace(place(&mut self.found), value).is_some();
        if twice {
            self.refuse(&format!("a second {name}"));
            self.doubtful.push(name);
        }
    }

    fn source(&mut self, digits: &[u8], value: &[u8]) {
        let given = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let number: usize = given.unwrap_or(self.next_source);
        self.next_source = self.next_source.max(number.saturating_add(1));
        let file = value.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let path = [b"%{_sourcedir}/", file].concat();
        self.expander.table.push(Entry::plain(format!("SOURCE{number}").as_bytes(), &path));
    }
}

/// Returns the names in a list of dependencies such as `gcc >= 3.4.2, perl(ExtUtils::Embed) tar`, without the versions that
/// are asked for. Rich dependencies, `(a if b)`, name nothing that is needed for certain.
fn required(value: &[u8]) -> Vec<String> {
    let parts = value.split(|byte| *byte == b',' || is_space(*byte)).filter(|part| !part.is_empty());
    let mut names = Vec::new();
    let (mut version, mut depth) = (false, 0_usize);
    for part in parts {
        let opens = part.first() == Some(&b'(');
        if opens || depth > 0 {
            depth = part.iter().fold(depth, |depth, byte| match byte {
                b'(' => depth + 1,
                b')' => depth.saturating_sub(1),
                _ => depth,
            });
            continue;
        }
        if part.iter().all(|byte| b"<>=".contains(byte)) {
            version = true;
        } else if version {
            version = false;
        } else if !part.contains(&UNKNOWN) && !part.contains(&b'%') {
            names.push(shown(part));
        }
    }
    names
}

/// Returns a name, version or release that is fully known and that rpm accepts.
fn plain(value: &[u8], dash: bool) -> Option<String> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+~^".contains(byte) || (dash && *byte == b'-');
    value.iter().all(legal).then(|| shown(value))
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn names_are_told_from_versions_and_from_what_depends() {
        for (value, names) in [
            ("gcc >= 3.4.2, binutils >= 2.12 tar", &["gcc", "binutils", "tar"][..]),
            ("newt-devel, perl(ExtUtils::Embed)", &["newt-devel", "perl(ExtUtils::Embed)"]),
            ("(clang if a (b)), bc, pkgconfig(x) = 1", &["bc", "pkgconfig(x)"]),
            ("/usr/bin/python3", &["/usr/bin/python3"]),
            ("%compression xz", &["xz"]),
            (" , ", &[]),
        ] {
            assert_eq!(required(value.as_bytes()), names, "{value}");
        }
    }
}
