//! What is in kernel-devel, as plain data: read at the edge, judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use crate::edit::config;
use crate::ipvs::module::Include;
use crate::rpm::source::Header;
use crate::rpm::trust::Signature;

/// The kernel's configuration.
pub const CONFIG: &str = ".config";
/// The exported symbols of kernel and modules with their checksums.
pub const SYMVERS: &str = "Module.symvers";
/// IPVS's own header.
pub const HEADER: &str = "include/net/ip_vs.h";
/// Where the release is: since 2.6.33, before that, and as kbuild itself keeps it.
const RELEASES: [&str; 3] =
    ["include/generated/utsrelease.h", "include/linux/utsrelease.h", "include/config/kernel.release"];
/// Where the compiler is named: since 2.6.33, and before that. Later kernels have it in the configuration, too.
const COMPILERS: [&str; 2] = ["include/generated/compile.h", "include/linux/compile.h"];
/// What a tree must have before a module can be built with it, each in one of these places.
const NEEDED: [&[&str]; 6] = [
    &["Makefile"],
    &["include/generated/autoconf.h", "include/linux/autoconf.h"],
    &["scripts/Makefile.build"],
    &["scripts/basic/fixdep"],
    &["scripts/mod/modpost"],
    &[HEADER],
];

/// Whether a text of the tree is worth reading for decisions, by its path below the tree's top.
#[must_use]
pub fn wanted(path: &str) -> bool {
    [CONFIG, SYMVERS, HEADER].contains(&path) || RELEASES.contains(&path) || COMPILERS.contains(&path)
}

/// A kernel-devel at hand.
#[derive(Debug, Clone)]
pub struct Devel {
    /// Where it is.
    pub origin: Origin,
    /// Files of its tree, by path below the top.
    pub files: BTreeSet<String>,
    /// The texts that decisions are made on.
    pub texts: BTreeMap<String, Vec<u8>>,
}

/// Where a kernel-devel is.
#[derive(Debug, Clone)]
pub enum Origin {
    /// In a package.
    Package {
        /// The package, as an absolute path.
        path: PathBuf,
        /// What its header says; with a signature that was judged.
        header: Box<Header>,
        /// Its architecture.
        arch: String,
    },
    /// In a directory, where it is used in place.
    Directory {
        /// The directory, as an absolute path.
        path: PathBuf,
    },
}

/// Which kernel-devel is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DevelUsed {
    /// The package's file name, or the directory.
    pub name: String,
    /// The package's size in bytes; nothing of a directory.
    pub size: Option<u64>,
    /// The package's SHA-256; nothing of a directory.
    pub sha256: Option<String>,
    /// What its signature is worth; nothing of a directory, which nobody signs.
    pub signature: Option<Signature>,
    /// The kernel that it is of, as `uname -r` says it.
    pub uname_r: String,
    /// The version of gcc that compiled that kernel, where it says so.
    pub gcc: Option<String>,
}

/// Why a kernel-devel is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It says nothing of its kernel.
    #[error("`{name}` does not say of which kernel it is: there is not {}", RELEASES.join(" or "))]
    NoRelease {
        /// Its name.
        name: String,
    },
    /// It is of another kernel.
    #[error("`{name}` is of the kernel {found}, expected {expected}")]
    OtherRelease {
        /// Its name.
        name: String,
        /// The kernel that the source package is of.
        expected: String,
        /// Its kernel.
        found: String,
    },
    /// It is for another machine.
    #[error("`{name}` is for {found}, expected {expected}")]
    OtherArch {
        /// Its name.
        name: String,
        /// The machine asked for.
        expected: String,
        /// Its machine.
        found: String,
    },
    /// It lacks the symbols.
    #[error("`{name}` has no {SYMVERS}, or an empty one: it could not be told whether the module fits the kernel")]
    NoSymvers {
        /// Its name.
        name: String,
    },
    /// It lacks files that every module takes.
    #[error("the headers tree `{name}` is incomplete: it has no {}", missing.join(", no "))]
    Incomplete {
        /// Its name.
        name: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// IPVS is in the kernel's image.
    #[error("IPVS is built into this kernel: {CONFIG} of `{name}` says CONFIG_IP_VS=y, expected =m")]
    BuiltIn {
        /// Its name.
        name: String,
    },
    /// The kernel has no IPVS.
    #[error("this kernel has no IPVS: {CONFIG} of `{name}` does not set CONFIG_IP_VS, expected =m")]
    NoIpvs {
        /// Its name.
        name: String,
    },
    /// The kernel was not compiled with gcc.
    #[error("this kernel was compiled with clang, says {CONFIG} of `{name}`: expected gcc")]
    Clang {
        /// Its name.
        name: String,
    },
}

impl Error {
    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::OtherRelease { expected, .. } => format!(
                "pass the kernel-devel of {expected} as `--kernel-devel RPM|DIR`, or the source package of the other one"
            ),
            Self::OtherArch { .. } => "name the machine with `--arch`, or pass the other kernel-devel".into(),
            Self::NoRelease { .. } | Self::NoSymvers { .. } | Self::Incomplete { .. } => {
                "take the distribution's own kernel-devel package: a source tree that was only prepared, or never \
                 compiled, does not have all of it"
                    .into()
            }
            Self::BuiltIn { .. } => {
                "`--route param --built-in` sets the size on the kernel's command line, if the kernel has the parameter"
                    .into()
            }
            Self::NoIpvs { .. } => "`--route kernel` builds one that has it".into(),
            Self::Clang { .. } => "`--route kernel` builds all of it".into(),
        })
    }

    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        3
    }
}

impl Devel {
    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::Package { path, .. } => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Origin::Directory { path } => path.display().to_string(),
        }
    }

    /// The kernel that it is of, as `uname -r` says it.
    #[must_use]
    pub fn uname_r(&self) -> Option<String> {
        let pattern = Regex::new(r#"(?m)^#define\s+UTS_RELEASE\s+"([^"]+)""#).ok()?;
        RELEASES.iter().find_map(|file| {
            let text = self.texts.get(*file)?;
            let release = match pattern.captures(text) {
                Some(found) => found.get(1)?.as_bytes(),
                None if file.ends_with(".release") => text.trim_ascii(),
                None => return None,
            };
            Some(String::from_utf8_lossy(release).into_owned()).filter(|release| !release.is_empty())
        })
    }

    /// The machine that its configuration is for, as rpm names it; nothing for one that no family has.
    #[must_use]
    pub fn machine(&self) -> Option<&'static str> {
        let on = |symbol: &str| self.option(symbol).as_deref() == Some("y");
        Some(match () {
            () if on("CONFIG_X86_64") => "x86_64",
            () if on("CONFIG_X86_32") => "i686",
            () if on("CONFIG_ARM64") => "aarch64",
            () if on("CONFIG_PPC64") && on("CONFIG_CPU_LITTLE_ENDIAN") => "ppc64le",
            () if on("CONFIG_PPC64") => "ppc64",
            () if on("CONFIG_S390") => "s390x",
            () if on("CONFIG_RISCV") => "riscv64",
            () => return None,
        })
    }

    /// The version of gcc that compiled the kernel, such as `4.4.6`, where it says so.
    #[must_use]
    pub fn gcc(&self) -> Option<String> {
        // 120200 is 12.2.0 (since Linux 4.18).
        if let Some(number) = self.option("CONFIG_GCC_VERSION").and_then(|number| number.parse::<u32>().ok())
            && number > 0
        {
            return Some(format!("{}.{}.{}", number / 10000, number / 100 % 100, number % 100));
        }
        // "gcc version 4.4.6 20110731 (Red Hat 4.4.6-3) (GCC) ", "gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-4)".
        let pattern = Regex::new(r#"(?m)^#define\s+LINUX_COMPILER\s+"gcc[^"]*?\s(\d+\.\d+(?:\.\d+)?)[\s",]"#).ok()?;
        COMPILERS.iter().find_map(|file| {
            let found = pattern.captures(self.texts.get(*file)?)?;
            Some(String::from_utf8_lossy(found.get(1)?.as_bytes()).into_owned())
        })
    }

    /// The value of an option in its configuration.
    #[must_use]
    pub fn option(&self, symbol: &str) -> Option<String> {
        config::value(self.texts.get(CONFIG)?, symbol)
    }

    /// Whether it has a header.
    #[must_use]
    pub fn has_header(&self, include: &Include) -> bool {
        let Include::Kernel(header) = include else { return false };
        let generic = ["include", "include/uapi", "include/generated/uapi"];
        if generic.iter().any(|dir| self.files.contains(&format!("{dir}/{header}"))) {
            return true;
        }
        // Those of the machine: arch/x86/include, arch/x86/include/generated/uapi; include/asm of 2.6.18 is a link.
        let end = format!("/{header}");
        let of_a_machine = |path: &String| path.starts_with("arch/") && path.contains("/include/");
        header.starts_with("asm/")
            || header.starts_with("generated/")
            || self.files.iter().any(|path| of_a_machine(path) && path.ends_with(&end))
    }

    /// Refuses a kernel-devel that is not the one for a kernel (`uname_r`, `arch`), or does not have all it takes.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self, uname_r: &str, arch: &str) -> Result<DevelUsed, Error> {
        let name = self.name();
        let found = self.uname_r().ok_or_else(|| Error::NoRelease { name: name.clone() })?;
        if found != uname_r {
            return Err(Error::OtherRelease { name, expected: uname_r.to_owned(), found });
        }
        let package = match &self.origin {
            Origin::Package { header, arch, .. } => Some((header, arch.as_str())),
            Origin::Directory { .. } => None,
        };
        let machines = [package.map(|(_, arch)| arch), self.machine()];
        if let Some(other) = machines.into_iter().flatten().find(|machine| *machine != arch) {
            return Err(Error::OtherArch { name, expected: arch.to_owned(), found: other.to_owned() });
        }
        let missing: Vec<String> = NEEDED
            .iter()
            .filter(|places| !places.iter().any(|place| self.files.contains(*place)))
            .map(|places| places.join(" or "))
            .collect();
        let missing: Vec<String> =
            (!self.texts.contains_key(CONFIG)).then(|| CONFIG.to_owned()).into_iter().chain(missing).collect();
        if !missing.is_empty() {
            return Err(Error::Incomplete { name, missing });
        }
        match self.option("CONFIG_IP_VS").as_deref() {
            Some("m") => {}
            Some("y") => return Err(Error::BuiltIn { name }),
            _ => return Err(Error::NoIpvs { name }),
        }
        if self.texts.get(SYMVERS).is_none_or(|text| text.trim_ascii().is_empty()) {
            return Err(Error::NoSymvers { name });
        }
        if self.option("CONFIG_CC_IS_CLANG").as_deref() == Some("y") {
            return Err(Error::Clang { name });
        }
        Ok(DevelUsed {
            name,
            size: package.map(|(header, _)| header.size),
            sha256: package.map(|(header, _)| header.sha256.clone()),
            signature: package.map(|(header, _)| header.signature.clone()),
            uname_r: found,
            gcc: self.gcc(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A complete one.
    fn devel() -> Devel {
        let texts = [
            (CONFIG, "CONFIG_X86_64=y\nCONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=12\n"),
            (SYMVERS, "0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\n"),
            ("include/linux/utsrelease.h", "#define UTS_RELEASE \"2.6.32-220.el6.x86_64\"\n"),
        ];
        let more = ["Makefile", "include/linux/autoconf.h", "scripts/Makefile.build", "scripts/basic/fixdep"];
        let more = more.into_iter().chain(["scripts/mod/modpost", HEADER, "include/linux/module.h"]);
        Devel {
            origin: Origin::Directory { path: "/usr/src/kernels/x".into() },
            files: texts.iter().map(|(path, _)| *path).chain(more).map(str::to_owned).collect(),
            texts: texts.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect(),
        }
    }

    fn set(devel: &mut Devel, file: &str, text: &str) {
        devel.files.insert(file.to_owned());
        devel.texts.insert(file.to_owned(), text.as_bytes().to_vec());
    }

    #[track_caller]
    fn refused(devel: &Devel, expected: &str) {
        let error = devel.check("2.6.32-220.el6.x86_64", "x86_64").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().is_some() && error.exit_code() == 3);
    }

    #[test]
    fn one_that_fits_is_taken() {
        let used = devel().check("2.6.32-220.el6.x86_64", "x86_64").unwrap();
        assert_eq!((used.uname_r.as_str(), used.gcc, used.sha256), ("2.6.32-220.el6.x86_64", None, None));
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let mut other = devel();
        set(&mut other, "include/linux/utsrelease.h", "#define UTS_RELEASE \"2.6.32-279.el6.x86_64\"\n");
        refused(&other, "is of the kernel 2.6.32-279.el6.x86_64, expected 2.6.32-220.el6.x86_64");
        let mut silent = devel();
        silent.texts.remove("include/linux/utsrelease.h");
        refused(&silent, "does not say of which kernel it is");
        let mut arm = devel();
        set(&mut arm, CONFIG, "CONFIG_ARM64=y\nCONFIG_IP_VS=m\n");
        refused(&arm, "is for aarch64, expected x86_64");
        let mut built_in = devel();
        set(&mut built_in, CONFIG, "CONFIG_X86_64=y\nCONFIG_IP_VS=y\n");
        refused(&built_in, "CONFIG_IP_VS=y, expected =m");
        let mut none = devel();
        set(&mut none, CONFIG, "CONFIG_X86_64=y\n# CONFIG_IP_VS is not set\n");
        refused(&none, "has no IPVS");
        let mut blind = devel();
        blind.texts.remove(SYMVERS);
        refused(&blind, "has no Module.symvers");
        set(&mut blind, SYMVERS, "\n");
        refused(&blind, "has no Module.symvers, or an empty one");
        let mut poor = devel();
        poor.files.remove("scripts/mod/modpost");
        poor.files.remove("include/linux/autoconf.h");
        refused(&poor, "no include/generated/autoconf.h or include/linux/autoconf.h, no scripts/mod/modpost");
        let mut clang = devel();
        set(&mut clang, CONFIG, "CONFIG_X86_64=y\nCONFIG_IP_VS=m\nCONFIG_CC_IS_CLANG=y\n");
        refused(&clang, "clang");
    }

    #[test]
    fn the_compiler_is_read_where_each_era_has_it() {
        let case = |file: &str, text: &str, expected: Option<&str>| {
            let mut devel = devel();
            set(&mut devel, file, text);
            assert_eq!(devel.gcc().as_deref(), expected, "{text}");
        };
        case(CONFIG, "CONFIG_GCC_VERSION=80301\n", Some("8.3.1"));
        case(
            "include/linux/compile.h",
            "#define LINUX_COMPILER \"gcc version 4.4.6 20110731 (Red Hat 4.4.6-3) (GCC) \"\n",
            Some("4.4.6"),
        );
        case(
            "include/generated/compile.h",
            "#define LINUX_COMPILER\t\t\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld 2.40\"\n",
            Some("12.2.0"),
        );
        case(CONFIG, "CONFIG_X86_64=y\n", None);
    }

    #[test]
    fn headers_of_kernel_and_machine_are_found() {
        let mut devel = devel();
        devel.files.insert("arch/x86/include/asm/page.h".into());
        for (header, there) in [("linux/module.h", true), ("asm/page.h", true), ("net/ip6.h", false)] {
            assert_eq!(devel.has_header(&Include::Kernel(header.into())), there, "{header}");
        }
        assert!(!devel.has_header(&Include::Beside("linux/module.h".into())));
    }
}
