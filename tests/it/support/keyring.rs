//! Keys made for a test, and packages signed with them by the real gpg, gpg1 and rpmsign.

use std::path::Path;
use std::process::Command;

use super::which;

/// A key with the home directory that it is in, and with the agent that gpg starts for it.
pub(crate) struct Keyring {
    home: tempfile::TempDir,
    gpg: &'static str,
}

/// How a package is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// `sha1` or `sha256`.
    pub(crate) digest: &'static str,
    /// The version of the packet; gpg 2 makes none of version 3.
    pub(crate) version: u8,
    /// A second signature, of header and payload, as packages up to el7 have it.
    pub(crate) whole: bool,
}

impl Keyring {
    /// A key of the kind that distributions sign with, made by gpg 2.
    pub(crate) fn new() -> Self {
        Self::of("rsa2048", "never", None)
    }

    /// A key of another kind, that expires, made at another time (`20200101T000000`).
    pub(crate) fn of(kind: &str, expires: &str, at: Option<&str>) -> Self {
        let keyring = Self { home: tempfile::tempdir().unwrap(), gpg: "gpg" };
        let at: Vec<&str> = at.iter().flat_map(|at| ["--faked-system-time", at]).collect();
        keyring.gpg(&[&at[..], &["--quick-gen-key", "Toy Kernel <toy@example.com>", kind, "sign", expires]].concat());
        keyring
    }

    /// A key made by gpg 1, which makes signatures of version 3.
    pub(crate) fn of_old(kind: &str, bits: u32) -> Self {
        let keyring = Self { home: tempfile::tempdir().unwrap(), gpg: "gpg1" };
        let parameters = keyring.path().join("parameters");
        let text =
            format!("Key-Type: {kind}\nKey-Length: {bits}\nName-Real: Toy Kernel\nName-Email: toy@example.com\n");
        fs_err::write(&parameters, text).unwrap();
        keyring.gpg(&["--quick-random", "--gen-key", parameters.to_str().unwrap()]);
        keyring
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    #[track_caller]
    pub(crate) fn gpg(&self, args: &[&str]) -> String {
        let mut command = Command::new(self.gpg);
        command.env("GNUPGHOME", self.path()).args(["--batch", "--quiet", "--no-tty"]);
        if self.gpg == "gpg" {
            command.args(["--pinentry-mode", "loopback", "--passphrase", ""]);
        }
        let done = command.args(args).output().unwrap();
        assert!(done.status.success(), "{} {args:?}: {}", self.gpg, String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    pub(crate) fn public(&self) -> String {
        self.gpg(&["--armor", "--export"])
    }

    /// The key's fingerprint: 40 digits, in upper case.
    pub(crate) fn fingerprint(&self) -> String {
        let listed = self.gpg(&["--with-colons", "--fingerprint", "--list-keys"]);
        listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().replace(':', "")
    }

    /// The 16 last digits of that, in lower case.
    pub(crate) fn id(&self) -> String {
        self.fingerprint()[24..].to_lowercase()
    }

    /// Signs a package as rpm does today.
    #[track_caller]
    pub(crate) fn sign(&self, package: &Path) {
        self.sign_so(package, Manner { digest: "sha256", version: 4, whole: false }, None);
    }

    /// Signs a package in another manner, at another time.
    #[track_caller]
    pub(crate) fn sign_so(&self, package: &Path, manner: Manner, at: Option<&str>) {
        let mut extra = format!("--digest-algo {}", manner.digest);
        if self.gpg == "gpg1" {
            extra += if manner.version == 3 { " --force-v3-sigs" } else { " --no-force-v3-sigs" };
        }
        if let Some(at) = at {
            extra = format!("{extra} --faked-system-time {at}");
        }
        let mut command = Command::new("rpmsign");
        command.env("GNUPGHOME", self.path()).env("HOME", self.path()).arg("--addsign");
        if manner.whole {
            command.arg("--rpmv3");
        }
        let gpg = which(self.gpg).unwrap();
        for define in [
            "_gpg_name toy@example.com".to_owned(),
            format!("_gpg_path {}", self.path().display()),
            format!("__gpg {}", gpg.display()),
            format!("_gpg_digest_algo {}", manner.digest),
            format!("_gpg_sign_cmd_extra_args {extra}"),
        ] {
            command.arg("--define").arg(define);
        }
        let done = command.arg(package).output().unwrap();
        assert!(done.status.success(), "rpmsign: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.path()).args(["--kill", "all"]).output();
    }
}
