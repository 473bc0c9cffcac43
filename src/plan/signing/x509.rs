//! A private key and its certificate, as far as a kernel's build and the kernel itself take them. The only user of the crates
//! for X.509 and RSA.

use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};
use x509_cert::Certificate as X509;
use x509_cert::der::{Decode, DecodePem, Encode};
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use crate::digest;

/// The lengths of an RSA key, in bits, that the kernel takes (`rsa_check_key_length`, crypto/rsa.c of Linux 4.3 and later),
/// but for those that it refuses in FIPS mode.
const LENGTHS: [usize; 3] = [2048, 3072, 4096];
/// What `rsaEncryption` is called in certificates (RFC 8017, appendix C).
const RSA: &str = "1.2.840.113549.1.1.1";

/// What is public of a key: whose it is and how to tell it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Certificate {
    /// SHA-256 of the certificate as DER, in hexadecimal: what openssl calls its fingerprint.
    pub sha256: String,
    /// Whom it names, as RFC 4514 writes it.
    pub subject: String,
    /// Until when it is valid (UTC, RFC 3339).
    pub not_after: String,
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, until {}, sha256 {}", self.subject, self.not_after, self.sha256)
    }
}

/// What is wrong with a key or its certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file has no such block of PEM.
    #[error("`{file}` is no {what} in PEM: expected a line `-----BEGIN {expected}-----`, found {found}")]
    NotPem {
        /// Which file.
        file: String,
        /// What it should be.
        what: &'static str,
        /// The label of what it should be.
        expected: &'static str,
        /// What it has.
        found: String,
    },
    /// Nobody is there to be asked for the passphrase.
    #[error(
        "the private key in `{file}` is encrypted, and nobody can be asked for its passphrase while a kernel is built"
    )]
    Encrypted {
        /// Which file.
        file: String,
    },
    /// It is called PEM, but its content is damaged.
    #[error("the {what} in `{file}` cannot be read: {why}")]
    Malformed {
        /// Which file.
        file: String,
        /// What it should be.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The kernel, or a reproducible signature, cannot be had with it.
    #[error("`{file}` has {found}, expected an RSA key of 2048, 3072 or 4096 bits")]
    Kind {
        /// Which file.
        file: String,
        /// What it has.
        found: String,
    },
    /// They are not a pair.
    #[error("the key in `{key}` is not that of the certificate in `{cert}` ({subject})")]
    Unpaired {
        /// The file with the key.
        key: String,
        /// The file with the certificate.
        cert: String,
        /// Whom the certificate names.
        subject: String,
    },
    /// It is not valid now.
    #[error("the certificate in `{cert}` ({subject}) is valid from {from} to {to} only, which is not now")]
    NotValid {
        /// The file with the certificate.
        cert: String,
        /// Whom it names.
        subject: String,
        /// Since when.
        from: String,
        /// Until when.
        to: String,
    },
    /// Linux before 4.3 names the key of a signature by this.
    #[error(
        "the certificate in `{cert}` ({subject}) has no subject key identifier, by which modules name their signer"
    )]
    NoKeyId {
        /// The file with the certificate.
        cert: String,
        /// Whom it names.
        subject: String,
    },
}

impl Error {
    /// Returns what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotPem { what: "certificate", .. } => "openssl x509 -inform DER -in FILE -out FILE.pem".into(),
            Self::NotPem { .. } => "openssl pkey -inform DER -in FILE -out FILE.pem".into(),
            Self::Encrypted { file } => {
                format!("openssl pkey -in {file} -out FILE.pem, and keep that where nobody else reads it")
            }
            Self::Malformed { .. } => {
                "openssl x509 -text -in FILE and openssl pkey -text -in FILE show what there is".into()
            }
            Self::Kind { .. } => {
                "signatures by an elliptic curve differ each time, and kernels before 5.13 know none".into()
            }
            Self::Unpaired { .. } => "name the certificate that was made with this key".into(),
            Self::NotValid { .. } => "make another certificate with the same key, or set this machine's clock".into(),
            Self::NoKeyId { .. } => {
                "make it with `subjectKeyIdentifier=hash` (Documentation/module-signing.txt of Linux 3.7)".into()
            }
        }
    }
}

/// A file as it was read, and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Where it is.
    pub file: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Returns the first certificate of a file.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn certificate(text: Text<'_>) -> Result<Certificate, Error> {
    let (x509, der) = read_certificate(text)?;
    Ok(described(&x509, &der))
}

/// Returns the first certificate of a file as DER, as the kernel has it in itself.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn der(text: Text<'_>) -> Result<Vec<u8>, Error> {
    read_certificate(text).map(|(_, der)| der)
}

/// Returns what is public of a key and its certificate if a kernel's build can sign with them. `now` is in seconds since
/// 1970.
///
/// # Errors
/// They are not what they should be, or do not belong together.
pub fn pair(key: Text<'_>, cert: Text<'_>, now: u64) -> Result<Certificate, Error> {
    let private = read_key(key)?;
    let (x509, der) = read_certificate(cert)?;
    let known = described(&x509, &der);
    let cert = || cert.file.to_owned();
    let public = &x509.tbs_certificate.subject_public_key_info;
    if public.algorithm.oid.to_string() != RSA {
        return Err(Error::Kind { file: cert(), found: format!("a key of the kind {}", public.algorithm.oid) });
    }
    let unpaired = Error::Unpaired { key: key.file.to_owned(), cert: cert(), subject: known.subject.clone() };
    let modulus = rsa::RsaPublicKey::from_pkcs1_der(public.subject_public_key.raw_bytes());
    if modulus.ok().as_ref() != Some(&private.to_public_key()) {
        return Err(unpaired);
    }
    let validity = &x509.tbs_certificate.validity;
    let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
    if now < seconds(&validity.not_before) || now > seconds(&validity.not_after) {
        let from = validity.not_before.to_date_time().to_string();
        return Err(Error::NotValid { cert: cert(), subject: known.subject, from, to: known.not_after });
    }
    Ok(known)
}

/// Whether a certificate has a subject key identifier, by which modules name their signer up to Linux 4.2
/// (scripts/sign-file of 3.7).
#[must_use]
pub fn has_key_id(text: Text<'_>) -> bool {
    let has = |x509: &X509| matches!(x509.tbs_certificate.get::<SubjectKeyIdentifier>(), Ok(Some(_)));
    read_certificate(text).is_ok_and(|(x509, _)| has(&x509))
}

fn described(x509: &X509, der: &[u8]) -> Certificate {
    Certificate {
        sha256: digest::sha256(der),
        subject: x509.tbs_certificate.subject.to_string(),
        not_after: x509.tbs_certificate.validity.not_after.to_date_time().to_string(),
    }
}

fn read_certificate(text: Text<'_>) -> Result<(X509, Vec<u8>), Error> {
    let what = "certificate";
    let malformed =
        |error: x509_cert::der::Error| Error::Malformed { file: text.file.to_owned(), what, why: error.to_string() };
    let Some(block) = blocks(text.bytes).into_iter().find(|block| block.label == "CERTIFICATE") else {
        return Err(not_pem(text, what, "CERTIFICATE"));
    };
    let x509 = X509::from_pem(block.text.as_bytes()).map_err(malformed)?;
    let der = x509.to_der().map_err(malformed)?;
    // What is written back must be what was read, or its digest is that of another.
    X509::from_der(&der).map_err(malformed)?;
    Ok((x509, der))
}

fn read_key(text: Text<'_>) -> Result<RsaPrivateKey, Error> {
    let what = "private key";
    let file = || text.file.to_owned();
    let malformed = |why: String| Error::Malformed { file: file(), what, why };
    let blocks = blocks(text.bytes);
    let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err(not_pem(text, what, "PRIVATE KEY"));
    };
    // OpenSSL's own encryption of PKCS#1 keeps the label and says so in a header of the block.
    if block.label.starts_with("ENCRYPTED") || block.text.contains("ENCRYPTED") {
        return Err(Error::Encrypted { file: file() });
    }
    let key = match block.label {
        "RSA PRIVATE KEY" => {
            RsaPrivateKey::from_pkcs1_pem(&block.text).map_err(|error| malformed(error.to_string()))?
        }
        "PRIVATE KEY" => match RsaPrivateKey::from_pkcs8_pem(&block.text) {
            Ok(key) => key,
            Err(rsa::pkcs8::Error::PublicKey(rsa::pkcs8::spki::Error::OidUnknown { oid })) => {
                return Err(Error::Kind { file: file(), found: format!("a key of the kind {oid}") });
            }
            Err(error) => return Err(malformed(error.to_string())),
        },
        other => return Err(Error::Kind { file: file(), found: format!("an {other}") }),
    };
    let bits = key.size() * 8;
    if !LENGTHS.contains(&bits) {
        return Err(Error::Kind { file: file(), found: format!("an RSA key of {bits} bits") });
    }
    Ok(key)
}

fn not_pem(text: Text<'_>, what: &'static str, expected: &'static str) -> Error {
    let labels: Vec<String> = blocks(text.bytes).iter().map(|block| format!("`{}`", block.label)).collect();
    let found = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    Error::NotPem { file: text.file.to_owned(), what, expected, found }
}

/// A block of PEM.
struct Block<'a> {
    label: &'a str,
    /// With the lines that begin and end it, and without blanks at ends of lines, which the crates do not forgive.
    text: String,
}

/// Returns the blocks of a file, in order. What is between them counts as remarks, as with openssl.
fn blocks(bytes: &[u8]) -> Vec<Block<'_>> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some(Block { label, text: String::new() });
        }
        if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
            if line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) == Some(block.label) {
                found.extend(open.take());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
