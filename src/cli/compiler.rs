//! The program before gcc: decides how a file is compiled, and becomes the compiler, or the cache before it.
//!
//! It is started some ten thousand times for a kernel, so it does little: no more is read than is needed for the one file.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::compiler::call::{self, Call, Kernel};
use crate::compiler::{KEPT, NAMES, SETTINGS, Settings, autoconf};
use crate::digest;
use crate::sys::files::Stamp;
use crate::sys::stand_in;

/// What a shell says when a program cannot be started.
const NOT_STARTED: u8 = 126;
/// Files whose names decide what `#include` finds.
const INCLUDED: [&str; 4] = ["h", "c", "S", "inc"];

/// Returns whose place this program was called in, if it was by such a name.
pub(super) fn name(program: Option<&OsString>) -> Option<&'static str> {
    let name = Path::new(program?).file_name()?;
    NAMES.into_iter().find(|each| OsStr::new(each) == name)
}

/// Compiles, in the place of the compiler of that name. Returns only what that one would.
pub(super) fn run(name: &str, arguments: &[OsString]) -> ExitCode {
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
    match Call::read(arguments) {
        Call::Other => failed(&plain(compiler, arguments.to_vec()).replace()),
        Call::Plain => failed(&tools.cached(arguments.to_vec(), "").replace()),
        Call::Kernel(kernel) => match tools.kernel(&kernel, arguments) {
            Ok(code) => code,
            Err(error) => failed(&error),
        },
    }
}

fn settings() -> Option<Settings> {
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

impl<'a> Tools<'a> {
    /// The call that goes through the cache, if there is one, with `more` in the key of what it keeps.
    fn cached(&self, arguments: Vec<OsString>, more: &str) -> stand_in::Call<'a> {
        let settings = self.settings;
        let Some(ccache) = &settings.ccache else { return self.uncached(arguments) };
        let alone = fs_err::symlink_metadata(settings.without_remote()).is_ok();
        let told = settings.env.iter().filter(|(name, _)| !(alone && settings.remote.contains(name)));
        let mut env: Vec<(&str, OsString)> = told.map(|(name, value)| (name.as_str(), OsString::from(value))).collect();
        env.push(("CCACHE_COMPILERCHECK", format!("string:{}{more}", settings.identity).into()));
        if let Some(distcc) = &settings.distcc {
            env.push(("CCACHE_PREFIX", distcc.into()));
            env.extend(self.hosts());
        }
        let arguments = std::iter::once(self.compiler.into()).chain(arguments).collect();
        stand_in::Call { program: ccache, arguments, env }
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

    /// Compiles a kernel's source, at first with a header in which nothing is that varies.
    fn kernel(&self, kernel: &Kernel, arguments: &[OsString]) -> io::Result<ExitCode> {
        let tree = stand_in::directory()?;
        let arguments = call::relative(arguments, &tree, self.settings.maps);
        let names = self.names().ok().filter(|_| self.settings.ccache.is_some() && !kernel.holds_release());
        // Out of the tree, where nothing can be written, there is no cache either.
        let Some(names) = names else { return Err(self.uncached(arguments).replace()) };
        let names = format!("-{names}");
        let is_named = |path: &Path| fs_err::read(path).map_or(true, |text| autoconf::names_any(&text));
        if !call::names_any(&arguments) && !is_named(&kernel.source) && hide(kernel).unwrap_or(false) {
            let (status, complaints) = self.cached(call::hidden(&arguments), &names).run()?;
            if let Some(signal) = status.signal() {
                return Err(io::Error::other(format!("ended by signal {signal}")));
            }
            if status.success() {
                io::stderr().lock().write_all(&complaints)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        // It sees what varies, or it has an error: the kernel's own way shows which.
        Err(self.cached(arguments, &names).replace())
    }

    /// Returns a digest of the names that `#include` can find in the tree, looked up once for a run.
    ///
    /// ccache looks at every file that was read, but not whether there is now another of that name in a directory that
    /// comes before (ccache's manual, "The direct mode"). Generated headers are made after this; which of them are made that
    /// may hide others is said in the files named Kbuild, which are read.
    fn names(&self) -> io::Result<String> {
        let place = Path::new(KEPT).join(format!("names-{}", self.settings.run));
        if let Ok(names) = fs_err::read_to_string(&place) {
            return Ok(names);
        }
        let mut names = Sha256::new();
        let is_made = |entry: &DirEntry| entry.file_type().is_dir() && matches!(entry.file_name().to_str(), Some("generated" | KEPT));
        for entry in WalkDir::new(".").sort_by_file_name().into_iter().filter_entry(|entry| !is_made(entry)) {
            let entry = entry?;
            let path = entry.path();
            let is_module = path.to_string_lossy().ends_with(".mod.c");
            let is_list = path.file_name() == Some(OsStr::new("Kbuild"));
            let is_included = path.extension().is_some_and(|ending| INCLUDED.iter().any(|each| ending == *each));
            if is_list || (is_included && !is_module) {
                names.update(path.as_os_str().as_encoded_bytes());
                names.update([0]);
            }
            if is_list {
                names.update(fs_err::read(path)?);
            }
        }
        let names = digest::hex(&names.finalize());
        put(&place, names.as_bytes(), None)?;
        Ok(names)
    }
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
        put(&place, autoconf::hide(&text).as_bytes(), Some(original))?;
        return Ok(true);
    }
    Ok(false)
}

/// Puts a file into place as a whole, with that time; others may do the same at once.
fn put(place: &Path, text: &[u8], stamp: Option<Stamp>) -> io::Result<()> {
    let dir = place.parent().unwrap_or(place);
    fs_err::create_dir_all(dir)?;
    let unfinished: PathBuf = dir.join(format!("new-{}", std::process::id()));
    fs_err::write(&unfinished, text)?;
    if let Some(stamp) = stamp {
        stamp.set(&unfinished)?;
    }
    fs_err::rename(&unfinished, place)
}
