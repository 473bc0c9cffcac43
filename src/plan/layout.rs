//! Where everything is: the only code that joins paths of the work directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest;
use crate::event::Stage;

/// Name of the manifest among the results.
pub const MANIFEST: &str = "manifest.json";
/// Name of the checksum list among the results.
pub const SUMS: &str = "SHA256SUMS";
/// Name of the installation instructions among the results.
pub const INSTALL: &str = "INSTALL.md";
/// How to have a source package built, among the results.
pub const SUBMIT: &str = "SUBMIT.md";
/// Name of the in-toto statement with SLSA provenance among the results.
pub const PROVENANCE: &str = "provenance.json";
/// Name of the CycloneDX bill of materials among the results.
pub const SBOM: &str = "sbom.cdx.json";
/// Name of the certificate among the results, as DER, whose key signed the modules.
pub const CERTIFICATE: &str = "module-signing.x509";

/// Name of the trace among the results: where the time went, for Perfetto and its like.
pub const TRACE: &str = "trace.json";

/// The work directory and the directory for results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Layout {
    /// The work directory; belongs to the building user.
    pub work: PathBuf,
    /// The directory for results; belongs to whoever started kbuild.
    pub out: PathBuf,
    /// A directory in memory, where rpmbuild's trees are instead of in the work directory; belongs to the building user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<PathBuf>,
}

impl Layout {
    /// Returns the layout of a work directory of which no results are wanted.
    #[must_use]
    pub fn of(work: &Path) -> Self {
        Self { work: work.to_owned(), out: PathBuf::new(), memory: None }
    }

    /// Where the trees of this work directory are if they are in memory: in a directory of their own below `dir`.
    #[must_use]
    pub fn memory_below(&self, dir: &Path) -> PathBuf {
        dir.join(self.memory_name())
    }

    /// The name of that directory, which no other work directory has.
    #[must_use]
    pub fn memory_name(&self) -> String {
        let digest = digest::sha256(self.work.as_os_str().as_encoded_bytes());
        format!("kbuild-{}", digest.get(..16).unwrap_or(&digest))
    }

    /// The link to it, by which a later run finds it.
    #[must_use]
    pub fn memory_link(&self) -> PathBuf {
        self.work.join("in-memory")
    }

    /// The directory whose file system rpmbuild's trees are on.
    #[must_use]
    pub fn trees(&self) -> &Path {
        self.memory.as_deref().unwrap_or(&self.work)
    }

    /// The lock that keeps a second kbuild out of the work directory, and the mark that it is kbuild's: what is in a
    /// directory without it is never touched.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.work.join(".kbuild-lock")
    }

    /// rpmbuild's topdir.
    #[must_use]
    pub fn topdir(&self) -> PathBuf {
        self.work.join("rpmbuild")
    }

    /// rpmbuild's own directories below the topdir.
    #[must_use]
    pub fn topdir_parts(&self) -> [PathBuf; 6] {
        [self.build(), self.buildroot(), self.rpms(), self.sources(), self.specs(), self.srpms()]
    }

    /// Where rpmbuild unpacks and compiles.
    #[must_use]
    pub fn build(&self) -> PathBuf {
        self.memory.clone().unwrap_or_else(|| self.topdir()).join("BUILD")
    }

    /// Where rpmbuild installs what goes into packages.
    #[must_use]
    pub fn buildroot(&self) -> PathBuf {
        self.memory.clone().unwrap_or_else(|| self.topdir()).join("BUILDROOT")
    }

    /// Where rpmbuild puts binary packages, in a directory per architecture.
    #[must_use]
    pub fn rpms(&self) -> PathBuf {
        self.topdir().join("RPMS")
    }

    /// Where rpmbuild puts the source package.
    #[must_use]
    pub fn srpms(&self) -> PathBuf {
        self.topdir().join("SRPMS")
    }

    /// The edited sources.
    #[must_use]
    pub fn sources(&self) -> PathBuf {
        self.topdir().join("SOURCES")
    }

    /// Where that of the spec is.
    #[must_use]
    pub fn specs(&self) -> PathBuf {
        self.topdir().join("SPECS")
    }

    /// The edited spec, under its own name.
    #[must_use]
    pub fn spec(&self, file: &str) -> PathBuf {
        self.specs().join(file)
    }

    /// The unedited files of the source package.
    #[must_use]
    pub fn pristine(&self) -> PathBuf {
        self.work.join("pristine")
    }

    /// A copy of the source package that the building user can read.
    #[must_use]
    pub fn srpm(&self, file: &str) -> PathBuf {
        self.work.join("srpm").join(file)
    }

    /// A copy of another package that the building user can read.
    #[must_use]
    pub fn input(&self, file: &str) -> PathBuf {
        self.work.join("inputs").join(file)
    }

    /// Where copies of packages are kept.
    #[must_use]
    pub fn copies(&self) -> [PathBuf; 2] {
        ["srpm", "inputs"].map(|part| self.work.join(part))
    }

    /// The unpacked kernel-devel.
    #[must_use]
    pub fn devel(&self) -> PathBuf {
        self.work.join("kernel-devel")
    }

    /// What `ip_vs.ko` is built from, with the paths that it has in the kernel's tree.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.work.join("module")
    }

    /// A patch of the source package, as far as it changes IPVS.
    #[must_use]
    pub fn module_patch(&self, index: usize, file: &str) -> PathBuf {
        self.work.join("module-patches").join(format!("{index:03}-{file}"))
    }

    /// `HOME` of every child, so that nobody's dot files change a build.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.work.join("home")
    }

    /// `TMPDIR` of every child.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.work.join("tmp")
    }

    /// Kernel and initramfs of the proving boot.
    #[must_use]
    pub fn guest(&self) -> PathBuf {
        self.work.join("guest")
    }

    /// Where a compiled tree installs its modules before they are handed over.
    #[must_use]
    pub fn stage(&self) -> PathBuf {
        self.work.join("stage")
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.work.join("logs")
    }

    /// The log of one stage.
    #[must_use]
    pub fn log(&self, stage: Stage) -> PathBuf {
        let number = Stage::ALL.iter().position(|each| *each == stage).unwrap_or_default() + 1;
        self.logs().join(format!("{number:02}-{stage}.log"))
    }

    /// The same log among the results.
    #[must_use]
    pub fn out_log(&self, stage: Stage) -> PathBuf {
        self.out.join("logs").join(self.log(stage).file_name().unwrap_or_default())
    }

    /// What the packages that are here depend on.
    #[must_use]
    pub fn built(&self) -> PathBuf {
        self.work.join("built.json")
    }

    /// What the build that is under way depends on.
    #[must_use]
    pub fn begun(&self) -> PathBuf {
        self.work.join("begun.json")
    }

    /// The trees of an interrupted build that is resumed.
    #[must_use]
    pub fn kept(&self) -> PathBuf {
        self.trees().join("kept")
    }

    /// The trees of a finished build, for a kernel that is almost the same.
    #[must_use]
    pub fn finished(&self) -> PathBuf {
        self.trees().join("finished")
    }

    /// The sources of them, which are removed when the next kernel is compiled.
    #[must_use]
    pub fn sources_of_finished(&self) -> PathBuf {
        self.trees().join("sources-of-finished")
    }

    /// What those are.
    #[must_use]
    pub fn finished_note(&self) -> PathBuf {
        self.work.join("finished.json")
    }

    /// What stands before other programs on `PATH` while rpmbuild runs.
    #[must_use]
    pub fn masquerade(&self) -> PathBuf {
        self.work.join("masquerade")
    }

    /// What stands before the compilers on `PATH`.
    #[must_use]
    pub fn compilers(&self) -> PathBuf {
        self.work.join("compilers")
    }

    /// What ccache keeps.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.work.join("ccache")
    }

    /// What stands before one of them.
    #[must_use]
    pub fn mask(&self, program: &str) -> PathBuf {
        self.masquerade().join(program)
    }

    /// The module-signing key that is kept for all builds here.
    #[must_use]
    pub fn kept_key(&self) -> PathBuf {
        self.signing().join("key.pem")
    }

    /// Its certificate.
    #[must_use]
    pub fn kept_cert(&self) -> PathBuf {
        self.signing().join("cert.pem")
    }

    /// What openssl goes by when it makes them.
    #[must_use]
    pub fn genkey(&self) -> PathBuf {
        self.signing().join("x509.genkey")
    }

    /// Where all of that is.
    #[must_use]
    pub fn signing(&self) -> PathBuf {
        self.work.join("signing")
    }

    /// A file that is being made, beside its place.
    #[must_use]
    pub fn unfinished(&self, path: &Path) -> PathBuf {
        path.with_extension("new")
    }

    /// A copy of the user's module-signing key that the building user can read, for as long as a build takes.
    #[must_use]
    pub fn given_key(&self) -> PathBuf {
        self.given().join("key.pem")
    }

    /// A copy of its certificate.
    #[must_use]
    pub fn given_cert(&self) -> PathBuf {
        self.given().join("cert.pem")
    }

    /// Where those copies are.
    #[must_use]
    pub fn given(&self) -> PathBuf {
        self.work.join("given")
    }

    /// The mark that the kernel's build asked for a key and got ours.
    #[must_use]
    pub fn key_asked_for(&self) -> PathBuf {
        self.work.join("key-asked-for")
    }

    /// What the last run did.
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.work.join("last.json")
    }

    /// All that runs make here and that the next one can make again, which a key is not.
    #[must_use]
    pub fn made(&self) -> Vec<PathBuf> {
        let [srpm, inputs] = self.copies();
        let mut made = vec![
            self.built(),
            self.begun(),
            self.kept(),
            self.finished(),
            self.sources_of_finished(),
            self.finished_note(),
            self.masquerade(),
            self.compilers(),
            self.given(),
            self.key_asked_for(),
            self.last(),
            self.topdir(),
            self.pristine(),
            srpm,
            inputs,
            self.devel(),
            self.module(),
            self.work.join("module-patches"),
            self.home(),
            self.tmp(),
            self.guest(),
            self.stage(),
            self.logs(),
            self.again(),
            self.memory_link(),
        ];
        made.extend(self.memory.clone());
        made
    }

    /// Where the second of two builds works that are compared.
    #[must_use]
    pub fn again(&self) -> PathBuf {
        self.work.join("again")
    }

    /// What earlier builds took.
    #[must_use]
    pub fn measured(&self) -> PathBuf {
        self.work.join("measured.json")
    }
}

/// Returns a path as the text that goes into arguments and environment; bytes that are no UTF-8 are replaced.
#[must_use]
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
