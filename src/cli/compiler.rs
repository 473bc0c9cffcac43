//! The program before gcc: decides how a file is compiled, and becomes the compiler, or the cache before it.
//!
//! It is started some ten thousand times for a kernel, so it does little: no more is read than is needed for the one file.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::share;
use crate::compiler::call::{self, Call, Kernel};
use crate::compiler::tree::Tree;
use crate::compiler::{KEPT, NAMES, PACK, SETTINGS, Settings, TEXT, autoconf};
use crate::pipeline::compilers::tree;
use crate::sys::stamp::{self, Stamp};
use crate::sys::{clock, stand_in};

/// How many directories above the working directory may be the top of the tree, that one included: tools/lib/subcmd and its like.
const DEEPEST: usize = 6;
/// What a shell says when a program cannot be started.
const NOT_STARTED: u8 = 126;

/// Returns whose place this program was called in, if it was by such a name.
pub(super) fn name(program: Option<&OsString>) -> Option<&'static str> {
    let name = Path::new(program?).file_name()?;
    NAMES.into_iter().find(|each| OsStr::new(each) == name)
}

/// Compiles, in the place of the compiler of that name; `program` is how it was called. Returns only what that one would.
pub(super) fn run(name: &str, program: &Path, arguments: &[OsString]) -> ExitCode {
    let failed = |error: &io::Error| {
        let _ = writeln!(io::stderr(), "kbuild: {name}: {error}");
        ExitCode::from(NOT_STARTED)
    };
    // A spec that empties the environment gets the compiler, and no cache.
    let Some(settings) = settings() else {
        let Some(program) = stand_in::next(name) else { return failed(&io::Error::other("no compiler is on PATH")) };
        return failed(&plain(&program, arguments.to_vec()).replace());
    };
    let Some(compiler) = settings.compilers.get(name) else {
        return failed(&io::Error::other("this compiler was not there when the build began"));
    };
    let tools = Tools { settings: &settings, compiler };
    match program.parent().and_then(Path::file_name).and_then(OsStr::to_str) {
        Some(TEXT) => return failed(&plain(compiler, call::as_preprocessing(arguments)).replace()),
        Some(PACK) => return share::as_compiler(arguments).unwrap_or_else(|error| failed(&error)),
        _ => {}
    }
    let here = Path::new(".");
    let tree = if settings.hides && tree::is_one(here) {
        // The first question that make asks in a tree comes before anything is made there. If this fails, it is tried again.
        tree::known(&settings, here).ok()
    } else {
        None
    };
    let call = Call::read(arguments);
    if matches!(call, Call::Kernel(_)) {
        count(&settings.begun());
    }
    let done = match (call, tree) {
        (Call::Plain, _) => {
            tools.relative_below(arguments).and_then(|it| Err(tools.cached(it, &Key::default()).replace()))
        }
        (Call::Kernel(kernel), Some(tree)) => tools.kernel(&kernel, &tree, arguments),
        (Call::Kernel(_), None) => tools.relative(arguments).and_then(|it| Err(tools.uncached(it).replace())),
        (Call::Text(kernel), Some(tree)) if settings.ccache.is_some() => tools.text(&kernel, &tree, arguments),
        (Call::Other | Call::Text(_), _) => Err(plain(compiler, arguments.to_vec()).replace()),
    };
    done.unwrap_or_else(|error| failed(&error))
}

/// Adds a byte to a file. Nobody but the display reads it, so a failure is no error.
fn count(file: &Path) {
    let file = fs_err::File::options().append(true).create(true).open(file);
    let _ = file.and_then(|mut file| file.write_all(b"."));
}

pub(super) fn settings() -> Option<Settings> {
    let path = stand_in::variable(SETTINGS)?;
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

fn plain(program: &Path, arguments: Vec<OsString>) -> stand_in::Call<'_> {
    stand_in::Call { program, arguments, env: Vec::new() }
}

/// What compiles: the compiler, with the cache and other hosts before it.
struct Tools<'a> {
    settings: &'a Settings,
    compiler: &'a Path,
}

/// What is in the key of what the cache keeps, beside all that ccache puts there.
#[derive(Default)]
struct Key<'a> {
    /// The names that `#include` can find; nothing if they are not known. Then a source is preprocessed first, which finds what is there now.
    names: Option<&'a str>,
    /// Whether the compiler's list of what it read is all of it.
    listed: bool,
    /// The directory, if the assembler writes it into the object.
    place: Option<PathBuf>,
}

impl<'a> Tools<'a> {
    /// The call that goes through the cache, if there is one.
    fn cached(&self, arguments: Vec<OsString>, key: &Key<'_>) -> stand_in::Call<'a> {
        self.cached_as(self.compiler, arguments, key)
    }

    fn cached_as(&self, compiler: &Path, arguments: Vec<OsString>, key: &Key<'_>) -> stand_in::Call<'a> {
        let settings = self.settings;
        let Some(ccache) = settings.ccache.as_ref().filter(|_| self.is_as_it_was()) else {
            return self.uncached(arguments);
        };
        let alone = fs_err::symlink_metadata(settings.without_remote()).is_ok();
        let told = settings.env.iter().filter(|(name, _)| !(alone && settings.remote.contains(name)));
        let mut env: Vec<(&str, OsString)> = told.map(|(name, value)| (name.as_str(), OsString::from(value))).collect();
        let place = key.place.as_ref().map(|place| format!("-{}", place.display())).unwrap_or_default();
        let compiler_is = format!("string:{}-{}{place}", settings.identity, key.names.unwrap_or_default());
        env.push(("CCACHE_COMPILERCHECK", compiler_is.into()));
        if key.names.is_none() {
            env.retain(|(name, _)| *name != "CCACHE_DIRECT");
            env.push(("CCACHE_NODIRECT", "1".into()));
        }
        let rules: Vec<&OsStr> = call::rules(&arguments).collect();
        if !rules.is_empty() {
            env.push(("CCACHE_EXTRAFILES", rules.join(OsStr::new(":"))));
        }
        env.push((if key.listed { "CCACHE_DEPEND" } else { "CCACHE_NODEPEND" }, "1".into()));
        if let Some(distcc) = &settings.distcc {
            env.push(("CCACHE_PREFIX", distcc.into()));
            env.extend(self.hosts());
        }
        let arguments = std::iter::once(compiler.into()).chain(arguments).collect();
        stand_in::Call { program: ccache, arguments, env }
    }

    /// Whether nobody has replaced the compiler since the build began, as an update does: what a new one makes is not the old one's.
    fn is_as_it_was(&self) -> bool {
        self.settings.parts.iter().all(|(file, changed)| stamp::changed(file).is_ok_and(|now| now == *changed))
    }

    /// The call that does not.
    fn uncached(&self, arguments: Vec<OsString>) -> stand_in::Call<'a> {
        match &self.settings.distcc {
            Some(distcc) => {
                let arguments = std::iter::once(self.compiler.into()).chain(arguments).collect();
                stand_in::Call { program: distcc, arguments, env: self.hosts().collect() }
            }
            None => plain(self.compiler, arguments),
        }
    }

    /// What distcc is told.
    fn hosts(&self) -> impl Iterator<Item = (&'a str, OsString)> + use<'a> {
        self.settings.hosts.iter().map(|(name, value)| (name.as_str(), OsString::from(value)))
    }

    fn relative(&self, arguments: &[OsString]) -> io::Result<Vec<OsString>> {
        Ok(call::relative(arguments, &stand_in::directory()?, "", self.settings.maps))
    }

    /// The same for a part of a program that the build itself runs, in whichever directory of the tree that is; as it is where
    /// its place is to be seen.
    fn relative_below(&self, arguments: &[OsString]) -> io::Result<Vec<OsString>> {
        let here = stand_in::directory()?;
        let top = here.ancestors().take(DEEPEST).enumerate().find(|(_, dir)| tree::is_one(dir));
        Ok(match top.filter(|_| self.settings.maps) {
            Some((depth, top)) => call::relative(arguments, top, &vec![".."; depth].join("/"), true),
            None => arguments.to_vec(),
        })
    }

    /// Compiles a kernel's source, at first with a header in which nothing is that varies.
    fn kernel(&self, kernel: &Kernel, tree: &Tree, arguments: &[OsString]) -> io::Result<ExitCode> {
        let arguments = self.relative(arguments)?;
        if kernel.holds_release() {
            return Err(self.uncached(arguments).replace());
        }
        let source = fs_err::read(&kernel.source).unwrap_or_default();
        if !self.is_as_it_was() || tree.takes_files(&source) {
            saw(kernel)?;
            return Err(self.uncached(arguments).replace());
        }
        let is_in_object = !self.settings.maps && arguments.iter().any(|word| call::debugs_assembler(word));
        let place = is_in_object.then(stand_in::directory).transpose()?;
        let key = Key { names: Some(&tree.names), listed: tree.lists_all(), place };
        if may_hide(kernel, &source, &arguments) {
            let from = clock::nanoseconds();
            let (status, complaints) = self.cached(call::hidden(&arguments), &key).run()?;
            self.measured(from, &kernel.source);
            if let Some(signal) = status.signal() {
                return Err(io::Error::other(format!("ended by signal {signal}")));
            }
            if status.success() {
                io::stderr().lock().write_all(&complaints)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        // It sees what varies, or it has an error: the kernel's own way shows which.
        saw(kernel)?;
        Err(self.cached(arguments, &key).replace())
    }

    /// Writes down how long a compilation took. Nobody but the trace reads it, so a failure is no error.
    fn measured(&self, from: u128, source: &Path) {
        let file = fs_err::File::options().append(true).create(true).open(self.settings.measured());
        // One call: others write at the same time.
        let line = format!("{from} {} {}\n", clock::nanoseconds(), source.display());
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }

    /// Preprocesses a kernel's source, as if the text were an object, which ccache then keeps.
    fn text(&self, kernel: &Kernel, tree: &Tree, arguments: &[OsString]) -> io::Result<ExitCode> {
        let source = fs_err::read(&kernel.source).unwrap_or_default();
        if self.is_as_it_was() && may_hide(kernel, &source, arguments) {
            let output = Path::new(KEPT).join(format!("text-{}.o", std::process::id()));
            let hidden = call::as_compilation(&call::hidden(&self.relative(arguments)?), &output);
            let compiler = self.settings.dir.join(TEXT).join(NAMES[0]);
            // Nothing is assembled, so nothing is read that is not in the list.
            let key = Key { names: Some(&tree.names), listed: true, place: None };
            let mut call = self.cached_as(&compiler, hidden, &key);
            call.env.retain(|(name, _)| *name != "CCACHE_PREFIX");
            call.env.push(("CCACHE_COMPILERTYPE", "gcc".into()));
            let (status, complaints) = call.run()?;
            let made = fs_err::File::open(&output);
            let _ = fs_err::remove_file(&output);
            if let (true, Ok(mut made)) = (status.success(), made) {
                io::stderr().lock().write_all(&complaints)?;
                io::copy(&mut made, &mut io::stdout().lock())?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        saw(kernel)?;
        Err(plain(self.compiler, arguments.to_vec()).replace())
    }
}

/// Writes down that what is compiled, or what its exported symbols' versions are made of, sees what varies, or may see it.
fn saw(kernel: &Kernel) -> io::Result<()> {
    tree::saw(Path::new("."), kernel.output.as_ref().unwrap_or(&kernel.source))
}

/// Whether a source may be compiled without what varies: nothing is known that names it, and the header is there.
fn may_hide(kernel: &Kernel, source: &[u8], arguments: &[OsString]) -> bool {
    !call::names_any(arguments)
        && !call::is_traditional(arguments)
        && !autoconf::names_any(source)
        && hide(kernel).unwrap_or(false)
}

/// Makes sure that the header with nothing varying in it is that of the tree's `autoconf.h`. Returns whether there can be one.
fn hide(kernel: &Kernel) -> io::Result<bool> {
    for name in &kernel.autoconf {
        let Ok(original) = Stamp::of(Path::new(name)) else { continue };
        let place = Path::new(KEPT).join(name);
        // The same time to the nanosecond, not an older one: clocks are set back.
        if Stamp::of(&place).is_ok_and(|stamp| stamp == original) {
            return Ok(true);
        }
        let text = fs_err::read_to_string(name)?;
        if !autoconf::is_plain(&text) {
            return Ok(false);
        }
        tree::put(&place, autoconf::hide(&text).as_bytes(), Some(original))?;
        return Ok(true);
    }
    Ok(false)
}
