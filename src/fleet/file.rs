//! From a fleet file to cells: all problems at once, each with its line and what to do.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cell::{Cell, Setting, Source};
use super::in_order;
use super::keys::{AXES, PATHS, TOP};
use super::skip;
use crate::ipvs::bits::Bits;
use crate::nearest::nearest;
use crate::plan::resolve;
use crate::plan::routes::Route;
use crate::plan::routes::options::useless;
use crate::recipe::check::Found;
use crate::recipe::{Error, Recipe};

/// The most cells that a fleet may have: more than any engine starts as one job.
const MOST: usize = 10_000;

/// Where the results go, relative to the file, if it does not say.
pub const OUT: &str = "fleet-out";

/// What a fleet file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where the results go, a directory for each cell, as an absolute path.
    pub out: PathBuf,
    /// Where cells are built, if the file says so, as an absolute path.
    pub work: Option<PathBuf>,
    /// All cells, in the order in which they are built.
    pub cells: Vec<Cell>,
}

/// What is wrong with the options of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// What a fleet file is read with.
pub struct Reading<'a> {
    /// The file's name, for messages.
    pub origin: &'a str,
    /// The directory that its paths are relative to, as an absolute path.
    pub dir: &'a Path,
    /// The recipes that come with the program.
    pub recipes: &'a [Recipe],
    /// Judges the words of `kbuild ipvs` for a cell, as the command line would.
    pub judge: &'a dyn Fn(&Cell) -> Result<(), Fault>,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("origin", &self.origin).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// A part of the file with its place.
type Placed<T> = (T, Range<usize>);

/// An option of a group.
struct Given {
    setting: Setting,
    span: Range<usize>,
    /// Whether the group itself has it, and not the defaults.
    is_own: bool,
}

/// Reads a fleet file.
///
/// # Errors
/// It is not TOML, has unknown or missing keys, values that `kbuild ipvs` would refuse, releases that no recipe covers, or cells of
/// the same name: all of them at once.
pub fn read(text: &str, reading: &Reading<'_>) -> Result<Fleet, Error> {
    let failed = |problems| Error { verdict: format!("`{}` is no fleet that can be built", reading.origin), problems };
    let mut found = Found::new(text);
    let document = found.document(TOP);
    if !found.problems.is_empty() {
        return Err(failed(found.in_order()));
    }
    let defaults = document.get("defaults").and_then(|defaults| defaults.get_ref().as_table());
    let groups = document.get("group").and_then(|groups| groups.get_ref().as_array());
    let mut cells: Vec<Placed<Cell>> = Vec::new();
    for group in groups.into_iter().flatten() {
        let Some(table) = group.get_ref().as_table() else { continue };
        let group = Group { table, defaults, span: group.span() };
        group.cells(reading, &mut found, &mut cells);
    }
    twice(&cells, &mut found);
    if cells.len() > MOST {
        found.say(
            &(0..0),
            &format!("it has {} cells", cells.len()),
            &format!("make several files, of at most {MOST} cells each"),
        );
    }
    if !found.problems.is_empty() {
        return Err(failed(found.in_order()));
    }
    let path =
        |key: &str| document.get(key).and_then(|value| value.get_ref().as_str()).map(|text| reading.dir.join(text));
    Ok(Fleet {
        out: path("out").unwrap_or_else(|| reading.dir.join(OUT)),
        work: path("work"),
        cells: in_order(cells.into_iter().map(|(cell, _)| cell).collect()),
    })
}

/// Refuses cells of the same name, which would have the same place.
fn twice(cells: &[Placed<Cell>], found: &mut Found<'_>) {
    let mut names: BTreeMap<&str, &Cell> = BTreeMap::new();
    let mut said: Vec<(&str, &str)> = Vec::new();
    for (cell, span) in cells {
        if let Some(earlier) = names.insert(&cell.name, cell)
            && !said.contains(&(&earlier.group, &cell.group))
        {
            said.push((&earlier.group, &cell.group));
            let what = format!("the cell `{}` is there twice", cell.name);
            found.say(span, &what, "give groups names of their own, and name each release, size and route once");
        }
    }
}

/// A group of the file.
struct Group<'a, 'b> {
    table: &'a DeTable<'b>,
    defaults: Option<&'a DeTable<'b>>,
    span: Range<usize>,
}

impl<'b> Group<'_, 'b> {
    /// Returns a value of the group, or else of the defaults.
    fn value(&self, key: &str) -> Option<&Spanned<DeValue<'b>>> {
        self.table.get(key).or_else(|| self.defaults?.get(key))
    }

    /// Returns a list of texts with their places.
    fn texts(&self, key: &str) -> Vec<Placed<String>> {
        let list = self.value(key).and_then(|list| list.get_ref().as_array());
        let each = |value: &Spanned<DeValue<'_>>| Some((word(value.get_ref())?, value.span()));
        list.into_iter().flatten().filter_map(each).collect()
    }

    /// Makes its cells, and notes what is wrong with it.
    fn cells(&self, reading: &Reading<'_>, found: &mut Found<'_>, cells: &mut Vec<Placed<Cell>>) {
        let name = self.table.get("name").and_then(|name| word(name.get_ref())).unwrap_or_default();
        let at = self.table.get("name").map_or(self.span.clone(), Spanned::span);
        let settings = self.settings(reading.dir);
        let skips = skip::read(self.table, found);
        let mut used = vec![false; skips.len()];
        let arches = self.texts("arches");
        let arches: Vec<Option<Placed<String>>> =
            if arches.is_empty() { vec![None] } else { arches.into_iter().map(Some).collect() };
        let routes = self.texts("routes");
        let routes = if routes.is_empty() { vec![("kernel".to_owned(), at.clone())] } else { routes };
        let sources = self.sources(reading, found, &settings);
        if sources.is_empty() && self.texts("releases").is_empty() {
            found.say(&at, &format!("`{name}` has nothing to build"), "name `releases`, or `srpms`");
        }
        // Each problem once, and not for each cell that has it.
        let mut faults: Vec<Fault> = Vec::new();
        for (source, recipe, place) in &sources {
            for arch in &arches {
                if let (Some((arch, span)), Some(recipe)) = (arch, recipe)
                    && !recipe.arches.contains(arch)
                {
                    let known = recipe.arches.join(", ");
                    found.say(
                        span,
                        &format!("`{}` has no kernel for {arch}", recipe.title),
                        &format!("expected one of {known}"),
                    );
                    continue;
                }
                for (route, _) in &routes {
                    let way = Route::ALL.into_iter().find(|way| way.name() == route);
                    for (bits, _) in self.texts("bits") {
                        let Ok(bits) = bits.parse::<Bits>() else { continue };
                        let arch = arch.as_ref().map(|(arch, _)| arch.clone());
                        let cell = Cell {
                            name: Cell::name(&name, source, arch.as_deref(), bits, route),
                            group: name.clone(),
                            source: source.clone(),
                            bits,
                            arch,
                            route: route.clone(),
                            recipe: recipe.map(|recipe| recipe.name.clone()),
                            settings: settings
                                .iter()
                                .filter(|given| given.is_own || useless(&given.setting.option, way).is_none())
                                .map(|given| given.setting.clone())
                                .collect(),
                        };
                        if let Some(skip) = skips.iter().position(|skip| skip.fits(&cell)) {
                            used.get_mut(skip).into_iter().for_each(|used| *used = true);
                            continue;
                        }
                        if let Err(fault) = (reading.judge)(&cell)
                            && !faults.contains(&fault)
                        {
                            found.say(&blamed(&fault, &settings, place), &fault.what, &fault.help);
                            faults.push(fault);
                        }
                        cells.push((cell, place.clone()));
                    }
                }
            }
        }
        for (skip, _) in skips.iter().zip(used).filter(|(_, used)| !used) {
            found.say(
                &skip.span,
                "nothing is left out by this",
                "name a release, size, architecture or route that the group has",
            );
        }
    }

    /// Returns what it is made from, each with the recipe that covers it, as far as the name tells.
    fn sources<'r>(
        &self,
        reading: &'r Reading<'_>,
        found: &mut Found<'_>,
        settings: &[Given],
    ) -> Vec<(Source, Option<&'r Recipe>, Range<usize>)> {
        let asked = settings.iter().find(|given| given.setting.option == "recipe");
        let asked = asked.and_then(|given| Some((given.setting.values.first()?, &given.span)));
        let named = |name: &str| reading.recipes.iter().find(|recipe| recipe.name == name);
        let given = asked.and_then(|(name, _)| named(name));
        if let Some((name, span)) = asked.filter(|(name, _)| given.is_none() && !name.contains(['/', '.'])) {
            let known: Vec<&str> = reading.recipes.iter().map(|recipe| recipe.name.as_str()).collect();
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("expected one of {}, or a file", known.join(", ")),
            };
            found.say(span, &format!("no built-in recipe is called `{name}`"), &help);
        }
        let mut sources = Vec::new();
        for (release, span) in self.texts("releases") {
            match resolve::wanted(&release, reading.recipes) {
                Ok(wanted) => {
                    let recipe = given.or_else(|| named(&wanted.recipe.name));
                    sources.push((Source::Release(release), recipe, span));
                }
                Err(_) if asked.is_some() => sources.push((Source::Release(release), given, span)),
                Err(error) => {
                    let help = error.hint().unwrap_or_else(|| "`kbuild recipes list` shows which there are".into());
                    found.say(&span, &error.to_string(), &help);
                }
            }
        }
        for (srpm, span) in self.texts("srpms") {
            let srpm = if srpm.contains("://") { srpm } else { absolute(reading.dir, &srpm) };
            let file = srpm.rsplit('/').next().unwrap_or_default();
            let covers = resolve::wanted(file, reading.recipes).ok().and_then(|wanted| named(&wanted.recipe.name));
            sources.push((Source::Srpm(srpm.clone()), given.or(covers), span));
        }
        sources
    }

    /// Returns its options in order of name: its own, and the defaults that it has none of.
    fn settings(&self, dir: &Path) -> Vec<Given> {
        let mut settings: BTreeMap<String, Given> = BTreeMap::new();
        let tables = self.defaults.into_iter().map(|table| (table, false)).chain([(self.table, true)]);
        for (table, is_own) in tables {
            for (key, value) in table {
                let option = key.get_ref().to_string();
                if AXES.contains(&option.as_str()) {
                    continue;
                }
                let is_path = PATHS.contains(&option.as_str());
                let path = |text: String| match option.as_str() {
                    "mirror" if !text.contains("://") && !text.starts_with("file:") => absolute(dir, &text),
                    // As on the command line: a name, or a file.
                    "recipe" if text.contains('/') || Path::new(&text).extension().is_some() => absolute(dir, &text),
                    _ if is_path => absolute(dir, &text),
                    _ => text,
                };
                let values: Vec<String> = match value.get_ref() {
                    DeValue::Boolean(false) => {
                        settings.remove(&option);
                        continue;
                    }
                    DeValue::Boolean(true) => Vec::new(),
                    DeValue::Array(list) => list.iter().filter_map(|value| word(value.get_ref())).map(path).collect(),
                    value => word(value).map(path).into_iter().collect(),
                };
                if value.get_ref().is_array() && values.is_empty() {
                    settings.remove(&option);
                    continue;
                }
                let given = Given { setting: Setting { option: option.clone(), values }, span: value.span(), is_own };
                settings.insert(option, given);
            }
        }
        settings.entry("profile".into()).or_insert_with(|| Given {
            setting: Setting { option: "profile".into(), values: vec!["fleet".into()] },
            span: self.span.clone(),
            is_own: false,
        });
        settings.into_values().collect()
    }
}

/// Returns the place of the option that a fault speaks of, or of the cell.
fn blamed(fault: &Fault, settings: &[Given], cell: &Range<usize>) -> Range<usize> {
    let speaks = |option: &str| {
        let named = format!("--{option}");
        let mut rest = fault.what.as_str();
        while let Some((_, after)) = rest.split_once(named.as_str()) {
            if !after.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '-') {
                return true;
            }
            rest = after;
        }
        false
    };
    settings.iter().find(|given| speaks(&given.setting.option)).map_or(cell.clone(), |given| given.span.clone())
}

/// Returns a text or a number as the command line has it.
pub(super) fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        _ => None,
    }
}

fn absolute(dir: &Path, text: &str) -> String {
    dir.join(text).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::builtin;

    const GOOD: &str = r#"schema = 1
[defaults]
mirror = ["vault", "http://mirror.example"]
boot = true
[[group]]
name = "el6"
releases = ["2.6.32-220.13.1.el6", "2.6.32-358.el6"]
bits = [20, 18]
boot = false
skip = [{ release = "2.6.32-358.el6", bits = 18 }]
[[group]]
name = "el7"
releases = ["3.10.0-1160.el7"]
bits = [20]
routes = ["param"]
arches = ["x86_64"]
"#;

    fn read_with(text: &str, judge: &dyn Fn(&Cell) -> Result<(), Fault>) -> Result<Fleet, Error> {
        let recipes = builtin::all().unwrap();
        read(text, &Reading { origin: "fleet.toml", dir: "/d".as_ref(), recipes: &recipes, judge })
    }

    #[test]
    fn cells_are_all_combinations_but_those_left_out() {
        let fleet = read_with(GOOD, &|_| Ok(())).unwrap();
        let names: Vec<&str> = fleet.cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "el6-2.6.32-220.13.1.el6-20-kernel",
                "el6-2.6.32-220.13.1.el6-18-kernel",
                "el6-2.6.32-358.el6-20-kernel",
                "el7-3.10.0-1160.el7-x86_64-20-param",
            ]
        );
        let [first, .., last] = fleet.cells.as_slice() else { panic!("{names:?}") };
        assert_eq!(first.setting("mirror").unwrap(), ["/d/vault", "http://mirror.example"]);
        // What the defaults say of kernels is not said of other packages.
        assert_eq!((first.setting("boot"), last.setting("boot")), (None, None));
        assert_eq!(last.setting("profile"), None);
        assert_eq!(
            (first.profile(), first.recipe.as_deref(), last.recipe.as_deref()),
            ("fleet", Some("el6"), Some("el7"))
        );
        assert_eq!(fleet.out, Path::new("/d/fleet-out"));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_line() {
        let text = GOOD
            .replace("3.10.0-1160.el7", "3.10.0-1160.mga7")
            .replace("2.6.32-358.el6\", bits = 18", "2.6.32-358.el6\", bits = 19")
            .replace("boot = false", "set = [\"X\"]");
        let judge = |cell: &Cell| match cell.setting("set") {
            Some(_) => Err(Fault { what: "`--set=X` is no option".into(), help: "write CONFIG_X=y".into() }),
            None => Ok(()),
        };
        let error = read_with(&text, &judge).unwrap_err();
        let places: Vec<usize> = error.problems.iter().map(|problem| problem.place.unwrap().0).collect();
        assert_eq!(places, [9, 10, 13], "{error}");
        let text = error.to_string();
        for said in [
            "3 problems",
            "line 9",
            "9 | set = [\"X\"]",
            "help: write CONFIG_X=y",
            "nothing is left out by this",
            "mga7",
        ] {
            assert!(text.contains(said), "{said:?} in {text}");
        }
        for (from, to, said) in [
            ("bits = [20]", "bits = [40]", "a number from 1 to 31"),
            ("routes = [\"param\"]", "routes = [\"parm\"]", "`parm`"),
            ("name = \"el7\"", "name = \"el7\"\nbit = 3", "did you mean `bits`?"),
            ("bits = [20, 18]", "bits = [20, 20]", "is there twice"),
            ("arches = [\"x86_64\"]", "arches = [\"vax\"]", "has no kernel for vax"),
            ("releases = [\"3.10.0-1160.el7\"]", "", "has nothing to build"),
            ("boot = false", "recipe = \"el61\"", "did you mean `el6`?"),
            ("schema = 1", "schema = 1\n[", "help: write it as TOML does"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = read_with(&text, &|_| Ok(())).unwrap_err();
            assert!(error.to_string().contains(said), "{said:?} in {error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "schema = 1\nout = \"o\"\nwork = \"/w\"\n[[group]]\nname = \"g\"\nbits = [20]\nsrpms = [\"a/k.src.rpm\", \
                    \"http://h/l.src.rpm\"]\npatch = [\"p.patch\"]\nrecipe = \"r.toml\"\nlock = \"/l\"\n";
        let fleet = read_with(text, &|_| Ok(())).unwrap();
        assert_eq!((fleet.out.as_path(), fleet.work.as_deref()), (Path::new("/d/o"), Some(Path::new("/w"))));
        let [first, second] = fleet.cells.as_slice() else { panic!("{fleet:?}") };
        assert_eq!(first.source, Source::Srpm("/d/a/k.src.rpm".into()));
        assert_eq!(second.source, Source::Srpm("http://h/l.src.rpm".into()));
        let value = |option: &str| first.setting(option).unwrap().to_vec();
        assert_eq!(
            (value("patch"), value("recipe"), value("lock")),
            (vec!["/d/p.patch".into()], vec!["/d/r.toml".into()], vec!["/l".into()])
        );
    }
}
