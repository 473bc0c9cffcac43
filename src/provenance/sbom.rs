//! `sbom.cdx.json`: the packages of a build as a CycloneDX 1.5 bill of materials.
//!
//! It holds no time and no random number: the format asks for neither, and its serial number is derived from its content.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cyclonedx_bom::external_models::spdx::{SpdxExpression, SpdxIdentifier};
use cyclonedx_bom::models::bom::{Bom, SpecVersion, UrnUuid};
use cyclonedx_bom::models::component::{Classification, Component, Components, Pedigree};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{License, LicenseChoice, Licenses};
use cyclonedx_bom::models::lifecycle::{Lifecycle, Lifecycles, Phase};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;
use cyclonedx_bom::prelude::Purl;

use super::{Build, Error, Package, purl};
use crate::digest;
use crate::plan::Plan;
use crate::rpm::facts::Relation;

/// What the document refers to the whole of the build by.
const WHOLE: &str = "build";

/// Returns the SBOM as JSON, with a line end; nothing if the build made no packages.
///
/// # Errors
/// The name of a package makes no package URL.
pub fn document(build: &Build<'_>) -> Result<Option<Vec<u8>>, Error> {
    if build.packages.is_empty() {
        return Ok(None);
    }
    let mut components = Vec::new();
    let mut refs = Vec::new();
    for package in build.packages {
        let component = component(build, package)?;
        refs.push(component.bom_ref.clone().unwrap_or_default());
        components.push(component);
    }
    let mut dependencies = vec![Dependency { dependency_ref: WHOLE.into(), dependencies: refs.clone() }];
    let needed = needed(build.packages);
    for (own, needs) in refs.iter().zip(needed) {
        let dependencies_of = needs.into_iter().filter_map(|index| refs.get(index).cloned()).collect();
        dependencies.push(Dependency { dependency_ref: own.clone(), dependencies: dependencies_of });
    }
    let bom = Bom {
        serial_number: None,
        metadata: Some(metadata(build)?),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies)),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    };
    let nameless = json(bom.clone())?;
    let serial_number = UrnUuid::new(format!("urn:uuid:{}", uuid(&nameless))).ok();
    let mut text = json(Bom { serial_number, ..bom })?;
    text.push(b'\n');
    Ok(Some(text))
}

fn json(bom: Bom) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    bom.output_as_json(&mut text, SpecVersion::V1_5)?;
    Ok(text)
}

/// A UUID of version 8 (RFC 9562, 5.8: by a rule of one's own) from the SHA-256 of a text.
fn uuid(text: &[u8]) -> String {
    let digits = digest::sha256(text);
    let part = |range| digits.get(range).unwrap_or_default();
    // The variant's two bits are 10: of the digit's four, the lower two are free.
    let variant = match part(16..17) {
        "0" | "4" | "8" | "c" => '8',
        "1" | "5" | "9" | "d" => '9',
        "2" | "6" | "a" | "e" => 'a',
        _ => 'b',
    };
    format!("{}-{}-8{}-{variant}{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
}

fn metadata(build: &Build<'_>) -> Result<Metadata, Error> {
    let plan = build.plan;
    let mut whole = Component::new(
        Classification::Application,
        &plan.nvr.name,
        &format!("{}-{}", plan.nvr.version, plan.nvr.release),
        Some(WHOLE.into()),
    );
    whole.purl = Purl::from_str(&purl(&plan.nvr, None, &plan.arch)?).ok();
    whole.pedigree = pedigree(build)?;
    let tool = Component::new(Classification::Application, "kbuild", &plan.kbuild, None);
    let bits = plan.bits.get().to_string();
    let route = plan.route.to_string();
    let properties = [
        ("kbuild:route", route.as_str()),
        ("kbuild:bits", &bits),
        ("kbuild:uname-r", &plan.uname_r),
        ("kbuild:recipe", &plan.recipe.name),
        ("kbuild:recipe-sha256", &plan.recipe.sha256),
    ];
    Ok(Metadata {
        tools: Some(Tools::Object { services: None, components: Some(Components(vec![tool])) }),
        component: Some(whole),
        lifecycles: Some(Lifecycles(vec![Lifecycle::Phase(Phase::Build)])),
        properties: Some(Properties(properties.map(|(name, value)| Property::new(name, value)).into())),
        ..Metadata::default()
    })
}

fn component(build: &Build<'_>, package: &Package) -> Result<Component, Error> {
    let facts = &package.facts;
    let nvr = &facts.nvr;
    let url = purl(nvr, facts.epoch, &facts.arch)?;
    let version = format!("{}-{}", nvr.version, nvr.release);
    let mut component = Component::new(kind(&nvr.name), &nvr.name, &version, Some(url.clone()));
    component.purl = Purl::from_str(&url).ok();
    component.hashes = Some(hashes(&package.artifact.sha256));
    component.licenses = facts.license.as_deref().map(license);
    // A source package (`--mode ba`) is the release's own with the edits: it, too, comes from that.
    component.pedigree = pedigree(build)?;
    let installed = facts.installed.to_string();
    let mut properties =
        vec![Property::new("kbuild:file", &package.artifact.file), Property::new("kbuild:installed-bytes", &installed)];
    properties.extend(facts.source.as_deref().map(|source| Property::new("kbuild:source-rpm", source)));
    component.properties = Some(Properties(properties));
    Ok(component)
}

/// What kind of a thing a package is; `application` is what the format asks for where nothing else is known.
fn kind(name: &str) -> Classification {
    if name.ends_with("-firmware") {
        Classification::Firmware
    } else if name.starts_with("kmod-") {
        Classification::DeviceDriver
    } else {
        Classification::Application
    }
}

fn hashes(sha256: &str) -> Hashes {
    Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(sha256.to_owned()) }])
}

/// The licence in the words of the RPM header: an SPDX identifier or expression if it is one (Fedora since 2022, el10), else
/// the name that the packager gave it, such as `GPLv2`.
fn license(text: &str) -> Licenses {
    let choice = if SpdxIdentifier::try_from(text.to_owned()).is_ok() {
        LicenseChoice::License(License::license_id(text))
    } else if let Ok(expression) = SpdxExpression::try_from(text.to_owned()) {
        LicenseChoice::Expression(expression)
    } else {
        LicenseChoice::license(text)
    };
    Licenses(vec![choice])
}

/// What it was built from, and how it differs from that.
fn pedigree(build: &Build<'_>) -> Result<Option<Pedigree>, Error> {
    let Plan { source, module, buildid, .. } = build.plan;
    let mut ancestors = Vec::new();
    if let Some(source) = source {
        let version = format!("{}-{}", source.nvr.version, source.nvr.release);
        let mut ancestor = Component::new(Classification::Application, &source.nvr.name, &version, None);
        ancestor.purl = Purl::from_str(&purl(&source.nvr, None, "src")?).ok();
        ancestor.hashes = Some(hashes(&source.sha256));
        ancestors.push(ancestor);
    }
    if let Some(module) = module {
        let mut ancestor = Component::new(Classification::Application, "kernel-devel", &module.devel.uname_r, None);
        ancestor.hashes = module.devel.sha256.as_deref().map(hashes);
        ancestors.push(ancestor);
    }
    if ancestors.is_empty() {
        return Ok(None);
    }
    let mut notes: Vec<String> = build.settings.iter().map(ToString::to_string).collect();
    if notes.is_empty() {
        notes.push(format!("a table of 2^{} buckets", build.plan.bits));
    }
    notes.extend(buildid.iter().map(|buildid| format!("buildid {buildid}")));
    Ok(Some(Pedigree {
        ancestors: Some(Components(ancestors)),
        descendants: None,
        variants: None,
        commits: None,
        patches: None,
        notes: Some(notes.join(", ")),
    }))
}

/// Returns, for each package, which others of the build it requires, by their places in the list.
fn needed(packages: &[Package]) -> Vec<BTreeSet<usize>> {
    let mut providers: BTreeMap<&str, Vec<(usize, &Relation)>> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        for provided in &package.facts.provides {
            providers.entry(&provided.name).or_default().push((index, provided));
        }
    }
    let needs = |(index, package): (usize, &Package)| {
        let requires = package.facts.requires.iter();
        let found = requires.filter_map(|required| {
            let candidates = providers.get(required.name.as_str())?;
            candidates.iter().find(|(_, provided)| satisfies(provided, required)).map(|(other, _)| *other)
        });
        found.filter(|other| *other != index).collect()
    };
    packages.iter().enumerate().map(needs).collect()
}

/// Whether a capability is the one that is required. The packages of one build share their version: what asks for that or a
/// later one (`>=`) is satisfied by that, and no order of versions is needed.
fn satisfies(provided: &Relation, required: &Relation) -> bool {
    required.sense.is_empty() || (required.sense.contains('=') && provided.version == required.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_uuids_of_the_content() {
        // SHA-256 of the empty text: e3b0c442 98fc 1c14 9afb f4c8996fb924 …
        assert_eq!(uuid(b""), "e3b0c442-98fc-8c14-9afb-f4c8996fb924");
        assert_ne!(uuid(b"a"), uuid(b"b"));
        for text in 0..64_u8 {
            let uuid = uuid(&[text]);
            assert_eq!((uuid.len(), uuid.chars().nth(14)), (36, Some('8')), "{uuid}");
            assert!("89ab".contains(uuid.chars().nth(19).unwrap()), "{uuid}");
            assert!(UrnUuid::new(format!("urn:uuid:{uuid}")).is_ok(), "{uuid}");
        }
    }

    #[test]
    fn licences_are_spdx_where_they_are() {
        let json = |text| match license(text).0.as_slice() {
            [LicenseChoice::Expression(expression)] => format!("expression {expression}"),
            [LicenseChoice::License(license)] => format!("{:?}", license.license_identifier),
            several => panic!("{several:?}"),
        };
        assert!(json("GPL-2.0-only").starts_with("SpdxId("), "{}", json("GPL-2.0-only"));
        let expression = "GPL-2.0-only AND ((GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause)";
        assert_eq!(json(expression), format!("expression {expression}"));
        assert!(json("GPLv2").starts_with("Name("));
        assert!(json("GPLv2 and Redistributable, no modification permitted").starts_with("Name("));
    }

    #[test]
    fn what_a_build_requires_of_itself_is_found() {
        let relation =
            |name: &str, sense, version: &str| Relation { name: name.into(), sense, version: version.into() };
        let asks = relation("kernel-firmware", ">=", "2.6.32-1.x");
        assert!(satisfies(&relation("kernel-firmware", "=", "2.6.32-1.x"), &asks));
        assert!(!satisfies(&relation("kernel-firmware", "=", "2.6.32-2"), &asks));
        assert!(satisfies(&relation("kernel-firmware", "=", "2.6.32-2"), &relation("kernel-firmware", "", "")));
        assert!(!satisfies(&relation("kernel", "=", "1"), &relation("kernel", "<", "1")));
    }
}
