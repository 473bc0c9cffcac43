//! Boots the built kernel and proves level 5 by what the guest says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Context, Error, prove};
use crate::event::{Event, Reporter, Stage, Unit};
use crate::ipvs::bits::Bits;
use crate::proof::console;
use crate::proof::guest::{self, How, INITRAMFS, KERNEL};
use crate::proof::initramfs::{self, Guest, Module};
use crate::proof::packages::{is_apart, module_name};
use crate::proof::{Finding, Verdict, module, setting};
use crate::rpm::{binary, decompress};
use crate::sys::files;
use crate::sys::signal::Cancel;

/// The largest kernel or module that is read.
const LARGEST: u64 = 256 << 20;

pub(super) fn run(
    context: &mut Context<'_>,
    qemu: &Path,
    busybox: &Path,
    bits: Bits,
    limit: u64,
    with: &[PathBuf],
) -> Result<(), Error> {
    let layout = &context.plan.layout;
    let mut packages = prove::built(context);
    packages.extend_from_slice(with);
    let boot = Boot {
        packages: &packages,
        uname_r: Some(&context.plan.uname_r),
        qemu,
        busybox,
        bits,
        limit: Duration::from_secs(limit),
        dir: &layout.guest(),
        log: &layout.log(Stage::Boot),
    };
    let finding = boot.run(context.reporter, context.cancel)?;
    context.proved(finding.clone());
    if finding.verdict.holds() == Some(true) { Ok(()) } else { Err(Error::Proof { found: vec![finding] }) }
}

/// What a proving boot needs.
#[derive(Debug)]
pub struct Boot<'a> {
    /// The built packages.
    pub packages: &'a [PathBuf],
    /// Which kernel, if the packages hold several; else the one with the shortest name, which is not a debug kernel.
    pub uname_r: Option<&'a str>,
    /// QEMU's program.
    pub qemu: &'a Path,
    /// A statically linked busybox.
    pub busybox: &'a Path,
    /// What the guest must report.
    pub bits: Bits,
    /// How long it may take.
    pub limit: Duration,
    /// Where kernel and initramfs are put.
    pub dir: &'a Path,
    /// Where the console goes.
    pub log: &'a Path,
}

impl Boot<'_> {
    /// Boots and says what was seen.
    ///
    /// # Errors
    /// The packages have no kernel, a file cannot be read or written, or QEMU cannot be started. A guest that does not
    /// come up, or says something else, is a finding.
    pub fn run(&self, reporter: &dyn Reporter, cancel: &Cancel) -> Result<Finding, Error> {
        let failed = |source| Error::io("the guest cannot be prepared", source);
        let guest = self.guest()?;
        let archive = initramfs::initramfs(&guest).map_err(|error| unbootable(&error))?;
        files::remove_tree(self.dir).map_err(failed)?;
        fs_err::create_dir_all(self.dir).map_err(failed)?;
        files::replace_text(&self.dir.join(KERNEL), &guest.kernel).map_err(failed)?;
        files::replace_text(&self.dir.join(INITRAMFS), &archive).map_err(failed)?;

        let memory = guest::memory_mib(self.bits, &guest.uname_r);
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let command = guest::qemu(self.qemu, self.dir, &guest.uname_r, memory, env);
        reporter.report(&Event::Exec { command: command.to_string() });
        let mut printed = String::new();
        let started = std::time::Instant::now();
        let how = guest::run(&command, cancel, self.limit, self.log, &mut |line| {
            printed.push_str(line);
            printed.push('\n');
            reporter.report(&Event::Progress {
                stage: Stage::Boot,
                phase: None,
                done: started.elapsed().as_secs(),
                total: Some(self.limit.as_secs()),
                estimated: false,
                unit: Unit::Seconds,
                what: line.to_owned(),
            });
        })
        .map_err(|error| match error {
            guest::Error::Log(source) => Error::io("the console's log cannot be written", source),
            guest::Error::Qemu(error) => error.into(),
        })?;
        if let How::Cancelled(signal) = how {
            return Err(Error::Cancelled { signal });
        }
        let expected = format!("{} buckets", self.bits.buckets());
        let verdict = match console::judge(&console::read_console(&printed), &how, self.bits) {
            console::Verdict::Holds { evidence } => Verdict::Holds { evidence },
            console::Verdict::Differs { found, evidence } => {
                Verdict::Differs { expected, found: format!("{found} buckets: {evidence}") }
            }
            console::Verdict::NotBooted { why } => {
                Verdict::NotChecked { why: format!("{why}; the console is in {}", self.log.display()) }
            }
        };
        let options = guest.modules.iter().map(|module| module.options.as_str()).find(|options| !options.is_empty());
        let with = options.map(|options| format!(" with {options}")).unwrap_or_default();
        Ok(Finding::new(5, format!("boot of {}{with}", guest.uname_r), verdict))
    }

    /// Reads the kernel, and `ip_vs` with everything that it depends on, out of the packages.
    fn guest(&self) -> Result<Guest, Error> {
        let headers = self.packages.iter().map(|path| binary::header(path)).collect::<Result<Vec<_>, _>>()?;
        let files: Vec<(usize, &str)> = headers
            .iter()
            .enumerate()
            .flat_map(|(index, header)| header.files.iter().map(move |file| (index, file.as_str())))
            .collect();
        let kernels: BTreeMap<&str, (usize, &str)> =
            files.iter().filter_map(|found| Some((kernel_release(found.1)?, *found))).collect();
        let uname_r = match self.uname_r {
            Some(asked) => kernels.contains_key(asked).then_some(asked),
            None => kernels.keys().min_by_key(|release| release.len()).copied(),
        };
        let Some(uname_r) = uname_r else {
            return Err(not_checked("a kernel (/boot/vmlinuz-*) is in none of the packages".into()));
        };
        let mut modules: BTreeMap<String, (usize, &str)> = BTreeMap::new();
        for found in &files {
            let Some((name, _)) = module_name(found.1).filter(|(_, release)| *release == uname_r) else { continue };
            // What stands apart from the kernel's own modules takes their place, as depmod has it.
            let first = modules.get(&name.replace('-', "_")).is_none_or(|(_, earlier)| !is_apart(earlier));
            if first || is_apart(found.1) {
                modules.insert(name.replace('-', "_"), *found);
            }
        }
        let kernel = kernels.get(uname_r).map(|place| self.read(&[*place])).transpose()?.unwrap_or_default();
        let busybox = fs_err::read(self.busybox).map_err(|source| Error::io("the guest cannot be prepared", source))?;
        Ok(Guest {
            kernel: kernel.into_values().next().unwrap_or_default(),
            uname_r: uname_r.to_owned(),
            modules: self.modules(&modules)?,
            busybox,
        })
    }

    /// Reads `ip_vs`, then what it names, then what that names, each pass a stream over the packages concerned.
    fn modules(&self, all: &BTreeMap<String, (usize, &str)>) -> Result<Vec<Module>, Error> {
        let mut read: BTreeMap<String, Module> = BTreeMap::new();
        let mut depends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut wanted = BTreeSet::from(["ip_vs".to_owned()]);
        while !wanted.is_empty() {
            let places: Vec<(usize, &str)> = wanted.iter().filter_map(|name| all.get(name)).copied().collect();
            let found = self.read(&places)?;
            wanted.clear();
            for (path, bytes) in found {
                let Some((name, _)) = module_name(&path) else { continue };
                let info = module::modinfo(&bytes).map_err(|error| not_checked(format!("{path}: {error}")))?;
                let underscored = |name: &str| name.replace('-', "_");
                let hard = info.depends().into_iter().map(underscored);
                // A soft dependency that this kernel has built in, or not at all, is none. Those on crypto name an
                // algorithm (`libcrc32c` on `crc32c`), whose portable module is called `…_generic`.
                let soft = info.softdeps().into_iter().filter_map(|name| {
                    let name = underscored(name);
                    [format!("{name}_generic"), name].into_iter().find(|name| all.contains_key(name))
                });
                let needs: Vec<String> = hard.chain(soft).collect();
                wanted.extend(needs.iter().filter(|name| all.contains_key(*name)).cloned());
                let file = format!("{name}.ko");
                depends.insert(underscored(name), needs);
                read.insert(underscored(name), Module { file, bytes, options: String::new() });
            }
            wanted.retain(|name| !read.contains_key(name));
        }
        if let Some(module) = read.get_mut("ip_vs") {
            // A package of the route `param` beside the kernel's, say.
            module.options = setting::options(self.packages)?;
        }
        let order = initramfs::insertion_order("ip_vs", &depends).map_err(|error| unbootable(&error))?;
        Ok(order.iter().filter_map(|name| read.remove(&name.replace('-', "_"))).collect())
    }

    /// Reads files of packages (by their index), decompressed if they are modules.
    fn read(&self, places: &[(usize, &str)]) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut contents = BTreeMap::new();
        for (index, package) in self.packages.iter().enumerate() {
            let here: BTreeSet<&str> =
                places.iter().filter(|(package, _)| *package == index).map(|(_, path)| *path).collect();
            if here.is_empty() {
                continue;
            }
            binary::visit(package, &|path| here.contains(path), |path, input| {
                let bytes = if module_name(path).is_some() {
                    decompress::bytes(input, LARGEST)?
                } else {
                    let mut bytes = Vec::new();
                    input.take(LARGEST).read_to_end(&mut bytes)?;
                    bytes
                };
                contents.insert(path.to_owned(), bytes);
                Ok(())
            })?;
        }
        Ok(contents)
    }
}

/// Returns the release of the kernel that a path in a package is: `/boot/vmlinuz-R` up to el7, later also
/// `/lib/modules/R/vmlinuz`.
fn kernel_release(path: &str) -> Option<&str> {
    if let Some(release) = path.strip_prefix("/boot/vmlinuz-") {
        return Some(release);
    }
    path.strip_prefix("/usr").unwrap_or(path).strip_prefix("/lib/modules/")?.strip_suffix("/vmlinuz")
}

fn not_checked(why: String) -> Error {
    let finding = Finding::new(5, "a boot", Verdict::NotChecked { why });
    Error::Proof { found: vec![finding] }
}

fn unbootable(error: &initramfs::Error) -> Error {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    not_checked(format!("{}{hint}", crate::error::chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_by_their_paths() {
        assert_eq!(kernel_release("/boot/vmlinuz-2.6.32-220.el6.x86_64"), Some("2.6.32-220.el6.x86_64"));
        assert_eq!(kernel_release("/lib/modules/5.14.0-70.el9.x86_64/vmlinuz"), Some("5.14.0-70.el9.x86_64"));
        assert_eq!(kernel_release("/boot/config-2.6.32"), None);
    }
}
