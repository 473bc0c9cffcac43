//! What a guest boots with: which modules in which order, a busybox, and an init of our own, in a gzip-compressed newc
//! archive, which old kernels take, too. Pure: the bytes come from the caller.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{Builder, ModeFileType};
use flate2::Compression;
use flate2::write::GzEncoder;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{ElfFile, ProgramHeader};

/// The init script. It speaks to [`read_console`](super::guest::read_console) in lines that start with a tag.
///
/// The console is kept to disasters while the script talks, or else the kernel's lines land in the middle of ours.
/// Every applet is called through busybox, so that no links are needed, and nothing is asked of one that is new.
const INIT: &str = r#"#!/bin/busybox sh
tag=kbuild-guest:
PATH=/bin
export PATH
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox dmesg -n 3
echo
echo "$tag uname $(busybox uname -r)"
while read -r file options; do
    echo "$tag insmod $file" $options
    why=$(busybox insmod "/modules/$file" $options 2>&1) && continue
    name=$(echo "${file%.ko}" | busybox tr - _)
    said=$(busybox dmesg | busybox grep " $name: " | busybox tail -n 1)
    echo "$tag failed $file:" $why "${said:+($said)}"
done < /modules/order
busybox dmesg | busybox grep IPVS | busybox sed "s/^/$tag dmesg /"
busybox sed -n "1s/^/$tag proc /p" /proc/net/ip_vs 2> /dev/null
busybox sed "s/^/$tag parameter /" /sys/module/ip_vs/parameters/conn_tab_bits 2> /dev/null
echo "$tag end"
busybox poweroff -f
busybox reboot -f
while :; do busybox sleep 60; done
"#;

/// What a program of the GNU C library says to a kernel that is too old for it, before anything else of it runs.
const TOO_OLD: &[u8] = b"FATAL: kernel too old";
/// The head of the ELF note that names the oldest kernel; its three numbers follow.
const ABI_NOTE: &[u8] = b"\x04\0\0\0\x10\0\0\0\x01\0\0\0GNU\0\0\0\0\0";

/// A guest: a kernel, and what it is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The kernel as the package has it (`vmlinuz`).
    pub kernel: Vec<u8>,
    /// What `uname -r` will say.
    pub uname_r: String,
    /// The modules to load, first to last.
    pub modules: Vec<Module>,
    /// A statically linked busybox.
    pub busybox: Vec<u8>,
}

/// A kernel module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its file name, such as `ip_vs.ko`, without a directory.
    pub file: String,
    /// Its bytes, decompressed.
    pub bytes: Vec<u8>,
    /// Parameters, such as `conn_tab_bits=20`, separated by blanks; mostly empty.
    pub options: String,
}

/// Why there can be no such guest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The module asked for is not there.
    #[error("the kernel has no module `{0}`")]
    NoSuchModule(String),
    /// A module that another one needs is not there.
    #[error("the kernel has no module `{module}`, which `{needed_by}` needs")]
    Missing {
        /// What is missing.
        module: String,
        /// Who needs it.
        needed_by: String,
    },
    /// Modules need each other in a circle.
    #[error("modules need each other in a circle: {0}")]
    Cycle(String),
    /// A name or parameter that a line of the load order cannot hold.
    #[error("cannot load a module by this name and parameters: `{file} {options}`")]
    Unspeakable {
        /// The file name.
        file: String,
        /// The parameters.
        options: String,
    },
    /// A file that is too large for the archive.
    #[error("`{name}` is too large for an initramfs: expected less than 4 GiB, found {len} bytes")]
    TooLarge {
        /// Its name in the archive.
        name: String,
        /// Its size.
        len: usize,
    },
    /// The busybox is not a 64-bit ELF program.
    #[error("the busybox for the guest is not a 64-bit ELF program")]
    NotAProgram(#[source] object::read::Error),
    /// The busybox needs a dynamic linker, which the guest has not.
    #[error("the busybox for the guest is dynamically linked: expected a static one")]
    Dynamic,
    /// The busybox would refuse to run on this kernel.
    #[error("the busybox for the guest refuses kernels older than {needs}, found {uname_r}")]
    KernelTooOld {
        /// The oldest kernel that it takes.
        needs: String,
        /// The guest's kernel.
        uname_r: String,
    },
    /// The archive could not be put together.
    #[error("cannot put the initramfs together")]
    Archive(#[from] io::Error),
}

impl Error {
    /// What could be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAProgram(_) | Self::Dynamic => {
                Some("Debian and Ubuntu have a static busybox in the package busybox-static")
            }
            Self::KernelTooOld { .. } => {
                Some("take the busybox of the kernel's own distribution, or one that is linked with musl or uClibc")
            }
            _ => None,
        }
    }
}

/// Returns the modules to load for `wanted`, itself last, spelt as in `modinfo`: module name → what it depends on.
///
/// Names match with `-` for `_` and the reverse. Everything listed is needed; of soft dependencies the caller lists
/// those that the kernel has.
///
/// # Errors
/// A module is missing, or modules depend on each other in a circle.
pub fn insertion_order(wanted: &str, modinfo: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Error> {
    let known = modinfo.iter().map(|(name, needs)| (canonical(name), (name.as_str(), needs.as_slice()))).collect();
    let mut order = Vec::new();
    visit(wanted, &known, &mut Vec::new(), &mut order)?;
    Ok(order)
}

fn visit(
    wanted: &str,
    known: &BTreeMap<String, (&str, &[String])>,
    path: &mut Vec<String>,
    order: &mut Vec<String>,
) -> Result<(), Error> {
    let Some((name, needs)) = known.get(&canonical(wanted)) else {
        return Err(match path.last() {
            Some(needed_by) => Error::Missing { module: wanted.to_owned(), needed_by: needed_by.clone() },
            None => Error::NoSuchModule(wanted.to_owned()),
        });
    };
    if order.iter().any(|done| done == name) {
        return Ok(());
    }
    let repeated = path.iter().position(|above| above == name);
    path.push((*name).to_owned());
    if let Some(from) = repeated {
        return Err(Error::Cycle(path.get(from..).unwrap_or_default().join(" → ")));
    }
    for need in needs.iter().filter(|need| !need.is_empty()) {
        visit(need, known, path, order)?;
    }
    path.pop();
    order.push((*name).to_owned());
    Ok(())
}

fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// Returns the first three numbers of a kernel's release; what is missing counts as 0.
#[must_use]
pub fn version(uname_r: &str) -> [u32; 3] {
    let mut numbers = uname_r.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// Returns the initramfs of a guest: a gzip-compressed newc archive. The same guest gives the same bytes.
///
/// # Errors
/// The busybox cannot run in this guest, a module's name or parameters cannot be passed on, or a file is too large.
pub fn initramfs(guest: &Guest) -> Result<Vec<u8>, Error> {
    check_busybox(&guest.busybox, &guest.uname_r)?;
    let mut order = String::new();
    for Module { file, options, .. } in &guest.modules {
        let odd = |c: char| c.is_control() || c == '\\';
        if file.is_empty() || file.contains(|c: char| c == '/' || c.is_whitespace() || odd(c)) || options.contains(odd)
        {
            return Err(Error::Unspeakable { file: file.clone(), options: options.clone() });
        }
        order.extend([file, " ", options, "\n"]);
    }

    let mut archive = Archive { out: GzEncoder::new(Vec::new(), Compression::fast()), entries: 0 };
    for name in ["bin", "dev", "modules", "proc", "sys"] {
        archive.add(name, ModeFileType::Directory, 0o755, &[])?;
    }
    // Kernels open /dev/console for init before anything could make it.
    archive.add_device("dev/console", 5, 1)?;
    archive.add_device("dev/null", 1, 3)?;
    archive.add("init", ModeFileType::Regular, 0o755, INIT.as_bytes())?;
    archive.add("bin/busybox", ModeFileType::Regular, 0o755, &guest.busybox)?;
    archive.add("modules/order", ModeFileType::Regular, 0o644, order.as_bytes())?;
    for module in &guest.modules {
        archive.add(&format!("modules/{}", module.file), ModeFileType::Regular, 0o644, &module.bytes)?;
    }
    Ok(cpio::newc::trailer(archive.out)?.finish()?)
}

struct Archive {
    out: GzEncoder<Vec<u8>>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, kind: ModeFileType, mode: u32, bytes: &[u8]) -> Result<(), Error> {
        let size =
            u32::try_from(bytes.len()).map_err(|_| Error::TooLarge { name: name.to_owned(), len: bytes.len() })?;
        let mut entry = self.entry(name, kind, mode).write(&mut self.out, size);
        entry.write_all(bytes)?;
        entry.finish()?;
        Ok(())
    }

    fn add_device(&mut self, name: &str, major: u32, minor: u32) -> Result<(), Error> {
        let entry = self.entry(name, ModeFileType::Char, 0o600).rdev_major(major).rdev_minor(minor);
        entry.write(&mut self.out, 0).finish()?;
        Ok(())
    }

    fn entry(&mut self, name: &str, kind: ModeFileType, mode: u32) -> Builder {
        self.entries += 1;
        Builder::new(name).ino(self.entries).mode(mode).set_mode_file_type(kind)
    }
}

/// Finds out what would otherwise be a panic of the guest that nobody understands.
fn check_busybox(busybox: &[u8], uname_r: &str) -> Result<(), Error> {
    let elf = ElfFile::<FileHeader64<object::Endianness>>::parse(busybox).map_err(Error::NotAProgram)?;
    if elf.elf_program_headers().iter().any(|header| header.p_type(elf.endian()) == PT_INTERP) {
        return Err(Error::Dynamic);
    }
    if find(busybox, TOO_OLD).is_none() {
        return Ok(());
    }
    let Some(numbers) = find(busybox, ABI_NOTE).and_then(|at| busybox.get(at + ABI_NOTE.len()..)) else {
        return Ok(());
    };
    let mut numbers = numbers.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number));
    let needs = [(); 3].map(|()| numbers.next().unwrap_or(0));
    if version(uname_r) < needs {
        let needs = needs.map(|number| number.to_string()).join(".");
        return Err(Error::KernelTooOld { needs, uname_r: uname_r.to_owned() });
    }
    Ok(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn modinfo(modules: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        modules.iter().map(|(name, needs)| ((*name).to_owned(), owned(needs))).collect()
    }

    #[track_caller]
    fn order(wanted: &str, modules: &[(&str, &[&str])], expected: Result<&[&str], &str>) {
        let found = insertion_order(wanted, &modinfo(modules)).map_err(|error| error.to_string());
        assert_eq!(
            found,
            expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect()).map_err(str::to_owned)
        );
    }

    #[test]
    fn what_is_needed_comes_first_and_once() {
        order("a", &[("a", &["b"]), ("b", &["c"]), ("c", &[""]), ("d", &[])], Ok(&["c", "b", "a"]));
        order("a", &[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])], Ok(&["d", "b", "c", "a"]));
        // Debian's 6.1, with the soft dependency of libcrc32c.
        let debian: &[(&str, &[&str])] = &[
            ("crc32c_generic", &[]),
            ("ip_vs", &["nf_conntrack", "libcrc32c", "nf_defrag_ipv6"]),
            ("libcrc32c", &["crc32c_generic"]),
            ("nf_conntrack", &["nf_defrag_ipv4", "nf_defrag_ipv6", "libcrc32c"]),
            ("nf_defrag_ipv4", &[]),
            ("nf_defrag_ipv6", &[]),
        ];
        let expected = ["nf_defrag_ipv4", "nf_defrag_ipv6", "crc32c_generic", "libcrc32c", "nf_conntrack", "ip_vs"];
        order("ip_vs", debian, Ok(&expected));
    }

    #[test]
    fn dashes_and_underscores_are_the_same() {
        order(
            "ip-vs",
            &[("ip_vs", &["crc32c_x"]), ("crc32c-x", &["a_b-c"]), ("a-b_c", &[])],
            Ok(&["a-b_c", "crc32c-x", "ip_vs"]),
        );
    }

    #[test]
    fn circles_and_missing_modules_are_named() {
        let circle: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["c-c"]), ("c_c", &["b"])];
        order("a", circle, Err("modules need each other in a circle: b → c_c → b"));
        order("a", &[("a", &["a"])], Err("modules need each other in a circle: a → a"));
        order("a", &[("a", &["b"]), ("b", &["x"])], Err("the kernel has no module `x`, which `b` needs"));
        order("x", &[("a", &[])], Err("the kernel has no module `x`"));
    }

    #[test]
    fn releases_are_read_as_far_as_they_are_numbers() {
        assert_eq!(version("6.1.0-56-amd64"), [6, 1, 0]);
        assert_eq!(version("2.6.32-220.13.1.el6.x86_64"), [2, 6, 32]);
        assert_eq!(version("7.1-rc3"), [7, 1, 0]);
        assert_eq!(version(""), [0, 0, 0]);
    }

    /// A program with one segment, and whatever follows.
    fn elf(segment: u8, rest: &[u8]) -> Vec<u8> {
        let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0];
        elf.resize(120, 0);
        (elf[32], elf[52], elf[54], elf[56]) = (64, 64, 56, 1);
        elf[64] = segment;
        elf.extend_from_slice(rest);
        elf
    }

    fn guest(busybox: Vec<u8>, modules: &[(&str, &str)]) -> Guest {
        let module = |(file, options): &(&str, &str)| Module {
            file: (*file).to_owned(),
            bytes: format!("<{file}>").into_bytes(),
            options: (*options).to_owned(),
        };
        Guest {
            kernel: Vec::new(),
            uname_r: "2.6.32-220.13.1.el6.x86_64".to_owned(),
            modules: modules.iter().map(module).collect(),
            busybox,
        }
    }

    #[test]
    fn the_archive_holds_what_init_needs() {
        let guest = guest(elf(1, b"busybox"), &[("libcrc32c.ko", ""), ("ip_vs.ko", "conn_tab_bits=20 x=\"y\"")]);
        let bytes = initramfs(&guest).unwrap();
        assert_eq!(bytes, initramfs(&guest).unwrap(), "the same guest, the same bytes");

        let mut raw = Vec::new();
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut raw).unwrap();
        let mut rest = raw.as_slice();
        let mut list = Vec::new();
        let mut contents = BTreeMap::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let entry = reader.entry().clone();
            let device = (entry.rdev_major(), entry.rdev_minor());
            list.push(format!("{:o} {device:?} {}", entry.mode(), entry.name()));
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            contents.insert(entry.name().to_owned(), content);
            rest = reader.finish().unwrap();
        }
        let expected = [
            "40755 (0, 0) bin",
            "40755 (0, 0) dev",
            "40755 (0, 0) modules",
            "40755 (0, 0) proc",
            "40755 (0, 0) sys",
            "20600 (5, 1) dev/console",
            "20600 (1, 3) dev/null",
            "100755 (0, 0) init",
            "100755 (0, 0) bin/busybox",
            "100644 (0, 0) modules/order",
            "100644 (0, 0) modules/libcrc32c.ko",
            "100644 (0, 0) modules/ip_vs.ko",
        ];
        assert_eq!(list, expected);
        assert_eq!(contents["init"], INIT.as_bytes());
        assert_eq!(contents["bin/busybox"], guest.busybox);
        assert_eq!(contents["modules/order"], b"libcrc32c.ko \nip_vs.ko conn_tab_bits=20 x=\"y\"\n");
        assert_eq!(contents["modules/ip_vs.ko"], b"<ip_vs.ko>");
    }

    #[track_caller]
    fn refused(guest: &Guest, expected: &str) -> Option<&'static str> {
        let error = initramfs(guest).unwrap_err();
        assert_eq!(error.to_string(), expected);
        error.hint()
    }

    #[test]
    fn names_that_do_not_fit_a_line_are_refused() {
        for (file, options) in
            [("", ""), ("../x.ko", ""), ("a b.ko", ""), ("a\nb.ko", ""), ("a\\.ko", ""), ("a.ko", "x\ny")]
        {
            let expected = format!("cannot load a module by this name and parameters: `{file} {options}`");
            refused(&guest(elf(1, b""), &[(file, options)]), &expected);
        }
    }

    #[test]
    fn a_busybox_that_cannot_run_there_is_refused() {
        let hint =
            refused(&guest(elf(3, b""), &[]), "the busybox for the guest is dynamically linked: expected a static one");
        assert!(hint.unwrap().contains("busybox-static"));
        refused(&guest(b"#!/bin/sh".to_vec(), &[]), "the busybox for the guest is not a 64-bit ELF program");

        // An older glibc: the note, and the check that makes it matter.
        let note = [ABI_NOTE, &[3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]].concat();
        let checked = guest(elf(1, &[&note, TOO_OLD].concat()), &[]);
        let hint = refused(
            &checked,
            "the busybox for the guest refuses kernels older than 3.2.0, found 2.6.32-220.13.1.el6.x86_64",
        );
        assert!(hint.unwrap().contains("musl"));
        initramfs(&Guest { uname_r: "3.10.0-1160.el7.x86_64".to_owned(), ..checked }).unwrap();
        // Debian 12 (glibc 2.36): the note alone.
        initramfs(&guest(elf(1, &note), &[])).unwrap();
        // A note that ends too early is no note.
        initramfs(&guest(elf(1, &[TOO_OLD, ABI_NOTE].concat()), &[])).unwrap();
    }
}
