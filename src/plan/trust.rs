//! Whether a source package may be used: who vouches for it.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::rpm::source::Header;
use crate::rpm::trust::Signature;

/// What vouches for a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voucher {
    /// A signature by a pinned key.
    Signature,
    /// Its digest, which the recipe pins.
    Recipe,
    /// Its digest, which is in the lock file.
    LockFile,
    /// Nobody: the user said `--allow-unsigned`.
    Nobody,
}

/// What may stand in for a signature.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instead<'a> {
    /// The digests that the recipe pins for this package; empty if it pins none.
    pub pinned: &'a [String],
    /// The lock file has its digest.
    pub locked: bool,
    /// `--allow-unsigned`.
    pub allow_unsigned: bool,
}

/// Says what vouches for a source package (`srpm` is its file name).
///
/// # Errors
/// Nothing does; or it is wrongly signed, or not the package that the recipe pins, which nothing makes good.
pub fn trusted(srpm: &str, header: &Header, instead: Instead<'_>) -> Result<Voucher, Error> {
    let Instead { pinned, locked, allow_unsigned } = instead;
    if !pinned.is_empty() && !pinned.contains(&header.sha256) {
        let (known, found) = (pinned.join(" or "), header.sha256.clone());
        return Err(Error::NotPinned { srpm: srpm.to_owned(), known, found });
    }
    let why = match &header.signature {
        Signature::Good { .. } => return Ok(Voucher::Signature),
        Signature::Bad { why } => return Err(Error::BadSignature { srpm: srpm.to_owned(), why: why.clone() }),
        _ if !pinned.is_empty() => return Ok(Voucher::Recipe),
        _ if locked => return Ok(Voucher::LockFile),
        _ if allow_unsigned => return Ok(Voucher::Nobody),
        Signature::Unsigned => "it has no signature".to_owned(),
        Signature::NoKey { signer } => format!("signed by {signer}, whose key is not here"),
        Signature::NotPinned { signer, key, fingerprint } => {
            format!("signed by {signer}: the key in {key}, {fingerprint}, is one that nobody pins")
        }
    };
    Err(Error::Unsigned { srpm: srpm.to_owned(), why })
}

impl Voucher {
    /// Returns what is worth a warning.
    #[must_use]
    pub fn warning(self, srpm: &str) -> Option<String> {
        (self == Self::Nobody)
            .then(|| format!("`{srpm}` is used although nobody known has signed it: --allow-unsigned"))
    }
}

/// Refuses a source package that does not carry all that its spec needs.
///
/// # Errors
/// Something was left out.
pub fn complete(header: &Header) -> Result<(), Error> {
    if header.left_out.is_empty() {
        return Ok(());
    }
    Err(Error::LeftOut { srpm: header.nvr.to_string(), left_out: header.left_out.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::nvr::Nvr;
    use crate::rpm::trust::PinnedBy;

    fn header(signature: Signature) -> Header {
        Header {
            nvr: Nvr { name: "kernel".into(), version: "2.6.32".into(), release: "220.el6".into() },
            size: 1,
            sha256: "aa".into(),
            signature,
            files: Vec::new(),
            left_out: Vec::new(),
            epoch: 0,
        }
    }

    fn good() -> Signature {
        Signature::Good {
            key: "k".into(),
            signer: "s".into(),
            pinned: "F".into(),
            pinned_by: PinnedBy::Recipe,
            algorithm: "RSA-4096, SHA-256, version 4".into(),
            weak: None,
        }
    }

    #[test]
    fn a_signature_counts_before_digests_and_a_wrong_one_before_everything() {
        let pinned = ["aa".to_owned(), "bb".to_owned()];
        let others = ["cc".to_owned()];
        let all = Instead { pinned: &pinned, locked: true, allow_unsigned: true };
        let none = Instead::default();
        let judge = |signature: Signature, instead| trusted("x.src.rpm", &header(signature), instead);
        assert_eq!(judge(good(), all).unwrap(), Voucher::Signature);
        assert_eq!(judge(good(), none).unwrap(), Voucher::Signature);
        assert_eq!(judge(Signature::Unsigned, all).unwrap(), Voucher::Recipe);
        assert_eq!(judge(Signature::Unsigned, Instead { pinned: &[], ..all }).unwrap(), Voucher::LockFile);
        let said = Instead { allow_unsigned: true, ..none };
        assert_eq!(judge(Signature::NoKey { signer: "s".into() }, said).unwrap(), Voucher::Nobody);
        let unpinned = Signature::NotPinned { signer: "s".into(), key: "k".into(), fingerprint: "F".into() };
        assert!(matches!(judge(unpinned, none), Err(Error::Unsigned { .. })));
        assert!(matches!(judge(Signature::Unsigned, none), Err(Error::Unsigned { .. })));
        assert!(matches!(judge(Signature::Bad { why: "w".into() }, all), Err(Error::BadSignature { .. })));
        // The recipe's digest is the recipe's word: what differs is another package, whoever signed it.
        assert!(matches!(judge(good(), Instead { pinned: &others, ..all }), Err(Error::NotPinned { .. })));
    }

    #[test]
    fn only_a_package_that_nobody_vouches_for_is_warned_of() {
        assert!(Voucher::Nobody.warning("x").unwrap().contains("--allow-unsigned"));
        assert_eq!(Voucher::LockFile.warning("x"), None);
    }
}
