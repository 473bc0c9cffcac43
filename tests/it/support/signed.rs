//! Modules that are signed, and who signed them, as openssl sees it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What stands at the end of a signed module.
const MAGIC: &[u8] = b"~Module signature appended~\n";

/// The files of a package.
#[derive(Debug)]
pub(crate) struct Unpacked {
    dir: TempDir,
}

impl Unpacked {
    pub(crate) fn new(package: &Path) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let unpack = "rpm2cpio \"$1\" | cpio -idm --quiet --no-absolute-filenames";
        let done = Command::new("sh").args(["-c", unpack, "sh"]).arg(package).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self { dir }
    }

    /// The files whose names are wanted, sorted.
    pub(crate) fn files(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
        let mut found = kbuild::sys::files::named(self.dir.path(), wanted);
        found.sort();
        found
    }

    /// The modules as the kernel loads them; what is compressed is unpacked beside its place.
    pub(crate) fn modules(&self) -> Vec<PathBuf> {
        for packed in self.files(&|name| name.ends_with(".ko.xz")) {
            assert!(Command::new("xz").arg("-d").arg(packed).status().unwrap().success());
        }
        self.files(&|name| Path::new(name).extension().is_some_and(|ending| ending == "ko"))
    }
}

/// The certificate among the results of a build.
pub(crate) fn certificate(out: &Path) -> PathBuf {
    out.join("module-signing.x509")
}

/// Whether a module's signature is one of this certificate's key (DER), of this very content.
pub(crate) fn verifies(module: &Path, certificate: &Path) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let elf = fs_err::read(module).unwrap();
    let end = elf.strip_suffix(MAGIC).ok_or_else(|| format!("`{}` is not signed", module.display()))?;
    let (rest, length) = end.split_at(end.len() - 4);
    let length = usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap();
    // The fields of `struct module_signature` before the length are 8 bytes.
    let (content, signature) = rest[..rest.len() - 8].split_at(rest.len() - 8 - length);
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let (content, signature) = (file("content", content), file("signature", signature));
    let pem = dir.path().join("pem");
    let converted =
        Command::new("openssl").args(["x509", "-inform", "DER", "-in"]).arg(certificate).arg("-out").arg(&pem).status();
    assert!(converted.unwrap().success());
    let mut verify = Command::new("openssl");
    verify.args(["cms", "-verify", "-binary", "-inform", "DER", "-nointern", "-noverify", "-out", "/dev/null", "-in"]);
    let done = verify.arg(signature).arg("-content").arg(content).arg("-certfile").arg(&pem).output().unwrap();
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

/// Whether a kernel's image, which is compressed in itself with gzip, has a certificate (DER).
pub(crate) fn has_in_itself(image: &[u8], certificate: &[u8]) -> bool {
    let begins = image.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0x1f, 0x8b, 8]).map(|(at, _)| at);
    begins.into_iter().any(|at| {
        let mut kernel = Vec::new();
        // What follows it in the image is no gzip.
        let _ = flate2::read::GzDecoder::new(&image[at..]).read_to_end(&mut kernel);
        kernel.windows(certificate.len()).any(|bytes| bytes == certificate)
    })
}

/// Makes a key and its certificate (PEM) in a directory, and returns both.
#[track_caller]
pub(crate) fn key(dir: &Path, name: &str, more: &[&str]) -> (PathBuf, PathBuf) {
    let (key, cert) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pem")));
    let subject = format!("/CN={name}");
    // Forty days ago, where that is asked for: openssl 3.0 makes no certificate that has expired.
    let (mut openssl, more) = match more.split_first() {
        Some((&"expired", more)) => {
            let mut faketime = Command::new("faketime");
            faketime.args(["-f", "-40d", "openssl"]);
            (faketime, more)
        }
        _ => (Command::new("openssl"), more),
    };
    openssl.args(["req", "-new", "-x509", "-batch", "-subj", &subject, "-keyout"]).arg(&key).arg("-out").arg(&cert);
    let done = openssl.args(more).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (key, cert)
}
