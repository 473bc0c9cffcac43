//! Stages of the route `module`: lays out IPVS's sources beside kernel-devel, patches them, compiles `ip_vs.ko`, and
//! proves it before anything is packaged.

use std::io::Write;
use std::path::Path;

use fs_err::File;

use super::error::wrong_end;
use super::witness::Signatures;
use super::{Context, Error};
use crate::command::Command;
use crate::digest;
use crate::event::{Event, Stage, Unit};
use crate::plan::step::{Compilation, DevelPlace, PatchRun, SameFile, Signing, SourceFile};
use crate::proof::module::fit::{self, Kernel};
use crate::proof::packages::{self, module_name};
use crate::proof::{Finding, Verdict};
use crate::rpm::{binary, decompress, tree};
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::files;

/// The largest module that is read.
const LARGEST: u64 = 256 << 20;
/// What stands at the end of a signed module (`include/linux/module_signature.h` of 5.4).
const SIGNED: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature` before the signature's length: of its fields only the kind of signature counts, PKCS#7.
const PKCS7: [u8; 8] = [0, 0, 2, 0, 0, 0, 0, 0];

/// Unpacks kernel-devel, if it is a package, and writes the sources.
pub(super) fn lay(
    context: &mut Context<'_>,
    devel: &DevelPlace,
    top: &Path,
    sources: &[SourceFile],
) -> Result<(), Error> {
    let failed = |source| Error::io("the module's tree cannot be laid out", source);
    match devel {
        DevelPlace::Package { package, sha256, tree: dir } => {
            files::remove_tree(dir).map_err(failed)?;
            fs_err::create_dir_all(dir).map_err(failed)?;
            let mut hashed = files::Hashed::new(File::open(package).map_err(failed)?);
            std::io::copy(&mut hashed, &mut std::io::sink()).map_err(failed)?;
            let (_, found) = hashed.finish();
            if found != *sha256 {
                return Err(Error::Changed { path: package.clone(), expected: sha256.clone(), found });
            }
            tree::unpack(package, dir, &mut context.bytes(Stage::Unpack, "unpacking kernel-devel"))?;
        }
        DevelPlace::Directory { tree } => {
            let what = format!("`{}` cannot read the headers tree", context.plan.user.name);
            File::open(tree.join("Makefile")).map_err(|source| Error::io(&what, source))?;
        }
    }
    files::remove_tree(top).map_err(failed)?;
    for source in sources {
        let path = top.join(&source.path);
        fs_err::create_dir_all(path.parent().unwrap_or(top)).map_err(failed)?;
        fs_err::write(&path, source.content.to_vec()).map_err(failed)?;
    }
    Ok(())
}

/// Applies the patches, and compares what kernel-devel has, too.
pub(super) fn patch(
    context: &mut Context<'_>,
    top: &Path,
    patches: &[PatchRun],
    same: &[SameFile],
) -> Result<(), Error> {
    let failed = |source| Error::io("a patch cannot be written", source);
    for PatchRun { patch, path, command } in patches {
        fs_err::create_dir_all(path.parent().unwrap_or(top)).map_err(failed)?;
        fs_err::write(path, patch.text.to_vec()).map_err(failed)?;
        context.reporter.report(&Event::Exec { command: command.to_string() });
        let mut lines = Vec::new();
        let end = exec::watch(command, context.cancel, |moment| {
            if let Moment::Line(line) = moment {
                lines.push(line.to_owned());
            }
            Flow::Continue
        })?;
        match end {
            End::Exit(0) => {
                context.reporter.note(format!("{}: {}", patch.name, lines.join("; ")));
            }
            End::Cancelled(signal) => return Err(Error::Cancelled { signal }),
            _ => return Err(Error::Patch { patch: patch.name.clone(), by: patch.by.clone(), lines }),
        }
    }
    for SameFile { path, sha256, of } in same {
        let failed = |source| Error::io("a source file cannot be read", source);
        let found = digest::sha256(&fs_err::read(top.join(path)).map_err(failed)?);
        if found != *sha256 {
            return Err(Error::OtherHeader { path: path.clone(), devel: of.clone() });
        }
        let evidence = format!("the source package's, patched, is the one of {of}");
        context.proved(Finding::new(1, path.clone(), Verdict::Holds { evidence }));
    }
    Ok(())
}

/// Compiles the module, strips and signs it, and proves what it is.
pub(super) fn compile(context: &mut Context<'_>, what: &Compilation) -> Result<(), Error> {
    let compiler = exec::read(&what.version)?.lines().next().unwrap_or_default().trim().to_owned();
    context.manifest.tools.insert("gcc".into(), compiler.clone());
    if let Some(expected) = &what.gcc
        && !alike(expected, &compiler)
    {
        if !what.any_compiler {
            return Err(Error::Compiler { expected: expected.clone(), found: compiler });
        }
        context
            .reporter
            .warn(format!("gcc {compiler} compiles for a kernel that gcc {expected} compiled: --any-compiler"));
    }
    make(context, &what.make)?;
    let failed = |source| Error::io("the module that was compiled cannot be read", source);
    fs_err::metadata(&what.built).map_err(failed)?;
    run(context, &what.strip)?;
    match &what.sign {
        None => {}
        Some(Signing::SignFile { command }) => run(context, command)?,
        Some(Signing::Openssl { command, signature }) => {
            run(context, command)?;
            append(&what.built, &fs_err::read(signature).map_err(failed)?).map_err(failed)?;
        }
    }
    let elf = fs_err::read(&what.built).map_err(failed)?;
    if what.sign.is_some() && !elf.ends_with(SIGNED) {
        return Err(Error::Unsigned { path: what.built.clone() });
    }
    prove(context, what, &elf)
}

/// Proves what was compiled: its table, and that the kernel will take it.
fn prove(context: &mut Context<'_>, what: &Compilation, elf: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::io("what the module has to fit cannot be read", source);
    let config = fs_err::read(&what.config).map_err(failed)?;
    let symvers = String::from_utf8_lossy(&fs_err::read(&what.symvers).map_err(failed)?).into_owned();
    let exports = match fs_err::read(&what.exports) {
        Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        // Kernels before 2.6.18 do not write it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let own = own(what)?;
    let kernel = Kernel { uname_r: &what.uname_r, config: &config, symvers: &symvers, own: own.as_deref() };
    let mut findings = vec![packages::module("ip_vs.ko", elf, what.bits)];
    match fit::compare(elf, exports.as_deref(), &kernel) {
        Ok(more) => findings.extend(more),
        Err(error) => {
            let verdict = Verdict::NotChecked { why: error.to_string() };
            findings.push(Finding::new(4, "ip_vs.ko: what it has to fit", verdict));
        }
    }
    for finding in &findings {
        context.proved(finding.clone());
    }
    let held = findings.iter().all(|finding| finding.verdict.holds() == Some(true));
    if held {
        return Ok(());
    }
    let found = findings.into_iter().filter(|finding| finding.verdict.holds() != Some(true)).collect();
    Err(Error::Proof { found })
}

/// Reads the distribution's own `ip_vs.ko` out of its packages, if they are at hand.
fn own(what: &Compilation) -> Result<Option<Vec<u8>>, Error> {
    let mut own = None;
    for package in &what.kernels {
        let wanted = |path: &str| module_name(path) == Some(("ip_vs", what.uname_r.as_str()));
        binary::visit(package, &wanted, |_, input| {
            own = Some(decompress::bytes(input, LARGEST)?);
            Ok(())
        })?;
    }
    Ok(own)
}

/// Whether two versions of gcc count as one: up to 4.9 the second number is the major one.
fn alike(one: &str, other: &str) -> bool {
    let major = |version: &str| {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if first < 5 { (first, second) } else { (first, 0) }
    };
    major(one) == major(other)
}

/// Puts a signature behind a module, as the kernel reads it from there.
fn append(module: &Path, signature: &[u8]) -> std::io::Result<()> {
    let mut file = fs_err::OpenOptions::new().append(true).open(module)?;
    let length = u32::try_from(signature.len()).map_err(std::io::Error::other)?;
    for part in [signature, &PKCS7, &length.to_be_bytes(), SIGNED] {
        file.write_all(part)?;
    }
    Ok(())
}

fn run(context: &Context<'_>, command: &Command) -> Result<(), Error> {
    context.reporter.report(&Event::Exec { command: command.to_string() });
    exec::read(command)?;
    Ok(())
}

fn make(context: &mut Context<'_>, command: &Command) -> Result<(), Error> {
    let layout = &context.plan.layout;
    let path = layout.log(Stage::Build);
    let mut log = File::create(&path).map_err(|source| Error::io("the build log cannot be written", source))?;
    let signatures = Signatures::builtin()?;
    let mut witness = signatures.watch();
    let mut compiled = 0;
    let reporter = context.reporter;
    reporter.report(&Event::Exec { command: command.to_string() });
    let end = exec::watch(command, context.cancel, |moment| {
        if let Moment::Line(line) = moment {
            // Only for later reading.
            let _ = writeln!(log, "{line}");
            witness.take(line);
            if let Some(file) = line.split_whitespace().next_back().filter(|word| is_c(word)) {
                compiled += 1;
                reporter.report(&Event::Progress {
                    stage: Stage::Build,
                    phase: Some("make".into()),
                    done: compiled,
                    total: None,
                    estimated: false,
                    unit: Unit::Objects,
                    what: file.rsplit('/').next().unwrap_or(file).to_owned(),
                });
            }
        }
        Flow::Continue
    })?;
    let Some(how) = wrong_end(end)? else { return Ok(()) };
    let log = layout.out_log(Stage::Build);
    let said = witness.testify();
    Err(Error::Make { command: command.to_string(), how, lines: said.lines, cause: said.cause, log })
}

fn is_c(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|ending| ending == "c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_alike_by_their_major_version() {
        for (one, other, expected) in
            [("4.4.6", "4.4.7", true), ("4.4.6", "4.8.5", false), ("12.2.0", "12", true), ("8.3.1", "11.4.1", false)]
        {
            assert_eq!(alike(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_signature_is_put_where_the_kernel_looks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("x.ko");
        fs_err::write(&module, "ELF").unwrap();
        append(&module, b"SIG").unwrap();
        let expected = [&b"ELFSIG\0\0\x02\0\0\0\0\0\0\0\0\x03"[..], SIGNED].concat();
        assert_eq!(fs_err::read(&module).unwrap(), expected);
    }
}
