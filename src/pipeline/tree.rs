//! Stage of the route `tree`: the prepared tree is moved where it is wanted, configured, and compiled on request.
//!
//! Runs as the building user, who owns the tree. What is to be installed goes into an archive among the results, so that
//! whoever installs it takes files from there and nothing else.

use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use globset::Glob;
use regex::bytes::Regex;
use walkdir::WalkDir;

use super::error::wrong_end;
use super::witness::Signatures;
use super::{Context, Error};
use crate::command::Command;
use crate::edit::config;
use crate::event::{Event, Stage};
use crate::plan::step::{Compile, Refresh, Tree, apply_all};
use crate::proof::{self, Finding, Verdict, packages};
use crate::rpm::decompress;
use crate::sys::exec::{self, Flow, Moment};
use crate::sys::files;

/// How deep below BUILD resolved configs may be, as for the prep gate.
const DEEPEST: usize = 6;
/// The largest module that is read.
const LARGEST: u64 = 256 << 20;

pub(super) fn run(context: &mut Context<'_>, step: &Tree) -> Result<(), Error> {
    let failed = |source| Error::io("the tree cannot be put there", source);
    let path = context.plan.layout.log(Stage::Tree);
    let mut log = File::create(&path).map_err(|source| Error::io("a log cannot be written", source))?;
    let (tree, resolved) = prepared(&context.plan.layout.build(), &step.resolved)?;
    let base = match &step.config {
        Some(config) => config.text.clone().into_bytes(),
        None => fs_err::read(resolved).map_err(failed)?,
    };
    note(&mut log, &format!("{} becomes {}", tree.display(), step.dir.display()));
    fs_err::create_dir_all(&step.dir).map_err(failed)?;
    files::move_content(&tree, &step.dir).map_err(failed)?;
    name(&step.dir, &step.extraversion)?;
    if let Some(clean) = &step.clean {
        make(context, &mut log, clean)?;
    }
    configure(step, &base)?;
    if let Some(refresh) = &step.refresh {
        bring_up_to_date(context, &mut log, step, refresh)?;
    }
    let written = fs_err::read(step.dir.join(CONFIG)).map_err(failed)?;
    let subject = step.dir.join(CONFIG).display().to_string();
    let finding = proof::config(2, &subject, &written, &step.expected);
    context.proved(finding.clone());
    if finding.verdict.holds() != Some(true) {
        return Err(Error::Proof { found: vec![finding] });
    }
    match &step.compile {
        Some(compile) => compiled(context, &mut log, step, compile),
        None => Ok(()),
    }
}

/// A kernel's configuration in its tree.
const CONFIG: &str = ".config";

fn note(log: &mut File, line: &str) {
    // Only for later reading: a log that cannot be written is no reason to stop.
    let _ = writeln!(log, "{line}");
}

/// Finds the tree that `%prep` left, and the kernel's own resolved config in it: of those that match, the one with the
/// shortest name, since flavours have longer ones.
fn prepared(build: &Path, resolved: &[String]) -> Result<(PathBuf, PathBuf), Error> {
    let none = || Error::NoTree { build: build.to_owned(), patterns: resolved.to_vec() };
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in resolved {
        let Ok(glob) = Glob::new(pattern).map(|glob| glob.compile_matcher()) else { continue };
        let entries = WalkDir::new(build).min_depth(1).max_depth(DEEPEST).sort_by_file_name().into_iter().flatten();
        let files = entries.filter(|entry| entry.file_type().is_file());
        let matching = |path: &Path| path.strip_prefix(build).is_ok_and(|relative| glob.is_match(relative));
        found.extend(files.map(walkdir::DirEntry::into_path).filter(|path| matching(path)));
        if !found.is_empty() {
            break;
        }
    }
    let config = found.into_iter().min_by_key(|path| path.as_os_str().len()).ok_or_else(none)?;
    let tree = config.ancestors().skip(1).take_while(|dir| *dir != build).find(|dir| is_kernel(dir));
    Ok((tree.ok_or_else(none)?.to_owned(), config.clone()))
}

/// Whether a directory is the top of a kernel's tree: its Makefile names the version.
fn is_kernel(dir: &Path) -> bool {
    let makefile = fs_err::read(dir.join("Makefile")).unwrap_or_default();
    makefile.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"PATCHLEVEL"))
}

/// Gives the kernel its name, in the line of the Makefile that the specs change for that.
fn name(dir: &Path, extraversion: &str) -> Result<(), Error> {
    let failed = |source| Error::io("the kernel cannot be named", source);
    let path = dir.join("Makefile");
    let text = fs_err::read(&path).map_err(failed)?;
    let pattern = r"(?m)^EXTRAVERSION[ \t]*=.*$";
    let line = Regex::new(pattern).map_err(|error| failed(std::io::Error::other(error)))?;
    let count = line.find_iter(&text).count();
    if count != 1 {
        let message = format!("`{}` has {count} lines `EXTRAVERSION = …`, expected one", path.display());
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, message)));
    }
    let named = line.replace(&text, regex::bytes::NoExpand(format!("EXTRAVERSION = {extraversion}").as_bytes()));
    // Replaced, not written: the file may be a second name of another tree's.
    files::replace_text(&path, &named).map_err(failed)
}

/// Writes the configuration: the platform's line, then the base with what is to be set.
fn configure(step: &Tree, base: &[u8]) -> Result<(), Error> {
    let edited = apply_all(&step.edits, CONFIG, base)?;
    write_config(step, &edited.text)
}

/// Writes the configuration with the platform's line on top, once.
fn write_config(step: &Tree, text: &[u8]) -> Result<(), Error> {
    let first = format!("{}\n", step.platform);
    let rest = text.strip_prefix(first.as_bytes()).unwrap_or(text);
    let whole = [first.as_bytes(), rest].concat();
    let failed = |source| Error::io("the configuration cannot be written", source);
    files::replace_text(&step.dir.join(CONFIG), &whole).map_err(failed)
}

/// Has the kernel's own configuration add what the given one does not know of.
fn bring_up_to_date(context: &mut Context<'_>, log: &mut File, step: &Tree, refresh: &Refresh) -> Result<(), Error> {
    let failed = |source| Error::io("the configuration cannot be brought up to date", source);
    let makefiles = ["Makefile", "scripts/kconfig/Makefile"].map(|file| step.dir.join(file));
    let known: Vec<u8> = makefiles.iter().filter_map(|file| fs_err::read(file).ok()).flatten().collect();
    let has = |target: &&String| {
        // `a b c: …`, `olddefconfig: …`
        let pattern = format!(r"(?m)^[a-z_ ]*\b{target}\b[a-z_ ]*:");
        Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(&known))
    };
    let Some(target) = refresh.targets.iter().find(has) else {
        let message = format!("the tree's Makefiles have none of the targets {}", refresh.targets.join(", "));
        return Err(failed(std::io::Error::new(std::io::ErrorKind::NotFound, message)));
    };
    match make(context, log, &refresh.make.clone().arg(target)) {
        // It fails where it had to choose a default (el6 2.6.32): what came out is looked at.
        Err(Error::Make { .. }) if target == "nonint_oldconfig" => {
            context.reporter.warn(format!("`make {target}` chose defaults for options that the configuration lacks"));
        }
        outcome => outcome?,
    }
    let text = fs_err::read(step.dir.join(CONFIG)).map_err(failed)?;
    // kconfig drops an option out of range without a word: said before hours are spent.
    if config::values(&text, crate::ipvs::bits::OPTION).is_empty() {
        context.reporter.warn("the configuration has no IPVS: it is dropped when the configuration is resolved".into());
    }
    write_config(step, &text)
}

/// Runs make in the tree, into the log.
fn make(context: &mut Context<'_>, log: &mut File, command: &Command) -> Result<(), Error> {
    let signatures = Signatures::builtin()?;
    let mut witness = signatures.watch();
    context.reporter.report(&Event::Exec { command: command.to_string() });
    note(log, &format!("$ {command}"));
    let end = exec::watch(command, context.cancel, |moment| {
        if let Moment::Line(line) = moment {
            note(log, line);
            witness.take(line);
        }
        Flow::Continue
    })?;
    let Some(how) = wrong_end(end)? else { return Ok(()) };
    let log = context.plan.layout.out_log(Stage::Tree);
    let said = witness.testify();
    Err(Error::Make { command: command.to_string(), how, lines: said.lines, cause: said.cause, log })
}

/// Compiles the tree, looks at `ip_vs.ko`, and puts all that is to be installed into the archive.
fn compiled(context: &mut Context<'_>, log: &mut File, step: &Tree, compile: &Compile) -> Result<(), Error> {
    let failed = |source| Error::io("the compiled kernel cannot be collected", source);
    files::remove_tree(&compile.stage).map_err(failed)?;
    fs_err::create_dir_all(&compile.stage).map_err(failed)?;
    for command in &compile.commands {
        make(context, log, command)?;
    }
    let uname_r = &context.plan.uname_r;
    let modules = compile.stage.join("lib/modules").join(uname_r);
    let finding = module(&modules, uname_r, compile)?;
    context.proved(finding.clone());
    if finding.verdict.holds() != Some(true) {
        return Err(Error::Proof { found: vec![finding] });
    }
    let image = compile.images.iter().map(|image| step.dir.join(image)).find(|image| image.is_file());
    let image = image.ok_or_else(|| {
        let message = format!("make left none of {} in `{}`", compile.images.join(", "), step.dir.display());
        failed(std::io::Error::new(std::io::ErrorKind::NotFound, message))
    })?;
    let parts = [("vmlinuz", image), ("System.map", step.dir.join("System.map")), ("config", step.dir.join(CONFIG))];
    let mut archive = tempfile::tempfile_in(context.plan.layout.tmp()).map_err(failed)?;
    pack(&mut archive, &modules, uname_r, &parts).map_err(failed)?;
    let size = archive.stream_position().map_err(failed)?;
    archive.rewind().map_err(failed)?;
    let written = context.out.put(&compile.archive, size, &mut archive).map_err(failed)?;
    context.manifest.add(&compile.archive, written);
    Ok(())
}

/// Level 4 on the compiled `ip_vs.ko`.
fn module(modules: &Path, uname_r: &str, compile: &Compile) -> Result<Finding, Error> {
    let failed = |source| Error::io("the compiled module cannot be read", source);
    let entries = WalkDir::new(modules).sort_by_file_name().into_iter().flatten();
    let mut found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("ip_vs.ko"));
    let Some(entry) = found.next() else {
        let why = format!("make modules_install left no ip_vs.ko in lib/modules/{uname_r}");
        return Ok(Finding::new(4, "ip_vs.ko", Verdict::NotChecked { why }).of(Some(uname_r)));
    };
    let subject = entry.path().strip_prefix(&compile.stage).unwrap_or(entry.path()).display().to_string();
    let mut file = File::open(entry.path()).map_err(failed)?;
    let elf = decompress::bytes(&mut file, LARGEST).map_err(failed)?;
    Ok(packages::module(&subject, &elf, compile.bits).of(Some(uname_r)))
}

/// Puts modules and kernel into an archive: `lib/modules/UNAME/…`, with the kernel's files beside the modules.
fn pack(archive: &mut std::fs::File, modules: &Path, uname_r: &str, parts: &[(&str, PathBuf)]) -> std::io::Result<()> {
    let top = Path::new("lib/modules").join(uname_r);
    let mut builder = tar::Builder::new(archive);
    builder.follow_symlinks(false);
    builder.mode(tar::HeaderMode::Deterministic);
    for entry in WalkDir::new(modules).sort_by_file_name() {
        let entry = entry?;
        let inside = top.join(entry.path().strip_prefix(modules).unwrap_or(Path::new("")));
        if entry.file_type().is_file() {
            append(&mut builder, &inside, entry.path())?;
        }
    }
    for (name, path) in parts {
        append(&mut builder, &top.join(name), path)?;
    }
    builder.finish()
}

fn append(builder: &mut tar::Builder<&mut std::fs::File>, name: &Path, path: &Path) -> std::io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    builder.append_data(&mut header, name, file.take(size))
}
