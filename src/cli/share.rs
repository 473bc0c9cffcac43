//! Trees that go through the shared storage: what make calls first where there is no tree of its own, and what puts one there.
//!
//! ccache knows how to keep and to share objects, and nothing else is used for it: it is told that a short text is compiled, which
//! says which tree it is, and that the object of it is the packed tree.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Output;
use super::compiler;
use crate::compiler::{KEPT, NAMES, PACK, PACKED, Settings};
use crate::error::Error;
use crate::pipeline::compilers::tree;
use crate::pipeline::finished::{self, pack};
use crate::sys::stand_in::{self, Call};

/// Its name; no subcommand that anybody would be offered.
pub(super) const NAME: &str = finished::SHARE;
/// What is compiled, in the top of the tree.
const TEXT: &str = "pack.i";
/// For which tree the storage was asked last.
const ASKED: &str = "asked";
/// What it becomes.
const OBJECT: &str = "pack.o";
/// What a server may take for each operation, in milliseconds: a tree is large.
const PATIENCE: (&str, &str) = ("operation-timeout=1000", "operation-timeout=60000");

/// Puts a tree into the shared storage: `kbuild share BUILD TREE`.
pub(super) fn run(build: &OsString, top: &OsString) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "the tree cannot be shared".into(), source };
    let Some(settings) = compiler::settings().filter(|settings| !settings.read_only) else {
        return Ok(Output::text(String::new()));
    };
    let from = [Path::new(build).as_os_str(), Path::new(top).as_os_str()].join(OsStr::new(":"));
    through_ccache(&settings, Path::new(top), Some(from)).map_err(failed)?;
    Ok(Output::text(String::new()))
}

/// Gets a tree from there and puts back what it has: how many files, or nothing if there was none that would do.
pub(super) fn thaw(settings: &Settings, aside: &Path, build: &Path, top: &Path) -> io::Result<Option<u64>> {
    let Ok(below) = top.strip_prefix(build) else { return Ok(None) };
    let asked = top.join(KEPT).join(ASKED);
    let key = key(settings, top)?;
    // Every make that compiles asks: for each kernel that is compiled in the tree, the first one is answered.
    if key.is_none() || fs_err::read_to_string(&asked).ok() == key {
        return Ok(None);
    }
    tree::put(&asked, key.unwrap_or_default().as_bytes(), None)?;
    let Some(object) = through_ccache(settings, top, None)? else { return Ok(None) };
    let unpacked = pack::unpack(&object, &aside.join(below));
    fs_err::remove_file(object)?;
    unpacked?;
    finished::thaw(settings, aside, build, top)
}

/// What tells the tree apart from others in the storage; nothing where there is no storage, or it does not answer.
fn key(settings: &Settings, top: &Path) -> io::Result<Option<String>> {
    let is_there = fs_err::symlink_metadata(settings.without_remote()).is_err();
    let Some(shared) = settings.shared.as_ref().filter(|_| is_there) else { return Ok(None) };
    let config = fs_err::read_to_string(top.join(".config"))?;
    Ok(Some(pack::key(shared, &tree::known(settings, top)?, &config)))
}

/// Has ccache compile the text that says which tree it is. Without a tree to pack, only the storage can give the object.
fn through_ccache(settings: &Settings, top: &Path, from: Option<OsString>) -> io::Result<Option<PathBuf>> {
    let (Some(key), Some(ccache)) = (key(settings, top)?, &settings.ccache) else { return Ok(None) };
    let dir = top.join(KEPT);
    let (text, object) = (dir.join(TEXT), dir.join(OBJECT));
    tree::put(&text, format!("extern int kbuild_tree_{key};\n").as_bytes(), None)?;
    let mut env: Vec<(&str, OsString)> = settings
        .env
        .iter()
        // It is no compilation to be counted, and kept once, where it is shared.
        .filter(|(name, _)| name != "CCACHE_STATSLOG")
        .map(|(name, value)| (name.as_str(), value.replace(PATIENCE.0, PATIENCE.1).into()))
        .collect();
    env.push(("CCACHE_COMPILERCHECK", "string:kbuild-tree".into()));
    env.push(("CCACHE_COMPILERTYPE", "gcc".into()));
    env.push(("CCACHE_REMOTE_ONLY", "1".into()));
    // Only the text and the key in it count, not where it is.
    env.push(("CCACHE_NOHASHDIR", "1".into()));
    env.extend(from.map(|from| (PACKED, from)));
    let compiler = settings.dir.join(PACK).join(NAMES[0]);
    let arguments =
        vec![compiler.into(), "-c".into(), Path::new(KEPT).join(TEXT).into(), "-o".into(), object.clone().into()];
    let (status, _) = Call { program: ccache, arguments, env }.run()?;
    let _ = fs_err::remove_file(text);
    Ok((status.success() && fs_err::metadata(&object).is_ok()).then_some(object))
}

/// What ccache takes for the compiler: packs the tree that the environment names, and fails without one.
pub(super) fn as_compiler(arguments: &[OsString]) -> io::Result<ExitCode> {
    let Some(from) = stand_in::variable(PACKED) else { return Ok(ExitCode::FAILURE) };
    let from = from.to_string_lossy().into_owned();
    let output = arguments.iter().skip_while(|word| *word != "-o").nth(1);
    let (Some((build, top)), Some(output)) = (from.split_once(':'), output) else { return Ok(ExitCode::FAILURE) };
    pack::pack(Path::new(build), Path::new(top), Path::new(output))?;
    Ok(ExitCode::SUCCESS)
}
