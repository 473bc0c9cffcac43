//! Where results come from, in the forms that other programs read: an in-toto statement with SLSA provenance, and a
//! CycloneDX SBOM. Pure: facts in, documents out; the stage `collect` gathers the facts and writes the documents.
//!
//! Nothing in the SBOM depends on when or where it was made, and in the provenance only the times do: two builds of the
//! same give the same documents if they give the same packages.

pub mod sbom;
pub mod slsa;

use std::collections::BTreeMap;

use packageurl::PackageUrl;

use crate::edit::config::Setting;
use crate::plan::Plan;
use crate::plan::signing::Certificate;
use crate::rpm::facts::Facts;
use crate::rpm::nvr::Nvr;

/// A file by name and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its file name.
    pub file: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A package among the results.
#[derive(Debug, Clone)]
pub struct Package {
    /// The file.
    pub artifact: Artifact,
    /// What its header says.
    pub facts: Facts,
}

/// What is known of a finished build.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// The options that the configs must show.
    pub settings: &'a [Setting],
    /// The packages, in order of name.
    pub packages: &'a [Package],
    /// Other results that serve by themselves, such as the archive of the route `tree`.
    pub products: &'a [Artifact],
    /// Results that came of it beside: instructions, the SBOM.
    pub byproducts: &'a [Artifact],
    /// Packages that were used beside the source package and kernel-devel.
    pub inputs: &'a [Artifact],
    /// The certificate whose key signed the modules, if that is known.
    pub certificate: Option<&'a Certificate>,
    /// Programs, and what they call themselves.
    pub tools: &'a BTreeMap<String, String>,
    /// When it began (UTC, RFC 3339).
    pub started: &'a str,
    /// When it ended.
    pub finished: &'a str,
}

/// Why a document cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A package's name or version does not go into a package URL.
    #[error("`{name}` makes no package URL")]
    PackageUrl {
        /// The package.
        name: String,
        /// Why.
        #[source]
        source: packageurl::Error,
    },
    /// The SBOM cannot be written as JSON.
    #[error("the SBOM cannot be written")]
    Sbom(#[from] cyclonedx_bom::errors::JsonWriteError),
    /// The same of the provenance.
    #[error("the provenance cannot be written")]
    Provenance(#[from] serde_json::Error),
}

/// Returns the package URL of a package, such as `pkg:rpm/kernel@2.6.32-220.el6?arch=x86_64`.
///
/// Without the namespace, which would say whose package it is: a name is no proof of that.
fn purl(nvr: &Nvr, epoch: Option<u32>, arch: &str) -> Result<String, Error> {
    let error = |source| Error::PackageUrl { name: nvr.to_string(), source };
    let mut purl = PackageUrl::new("rpm", nvr.name.clone()).map_err(error)?;
    purl.with_version(format!("{}-{}", nvr.version, nvr.release)).map_err(error)?;
    purl.add_qualifier("arch", arch.to_owned()).map_err(error)?;
    if let Some(epoch) = epoch {
        purl.add_qualifier("epoch", epoch.to_string()).map_err(error)?;
    }
    Ok(purl.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_quoted_and_in_one_order() {
        let nvr = |version: &str, release: &str| Nvr {
            name: "kernel-debug".into(),
            version: version.into(),
            release: release.into(),
        };
        let plain = purl(&nvr("2.6.32", "220.13.1.el6.ipvs_20bit"), None, "x86_64").unwrap();
        assert_eq!(plain, "pkg:rpm/kernel-debug@2.6.32-220.13.1.el6.ipvs_20bit?arch=x86_64");
        for _ in 0..20 {
            let odd = purl(&nvr("6.1~rc1", "1+a^b"), Some(3), "src").unwrap();
            assert_eq!(odd, "pkg:rpm/kernel-debug@6.1~rc1-1%2Ba%5Eb?arch=src&epoch=3");
        }
    }
}
