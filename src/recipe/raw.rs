//! The shape of a recipe file. Nothing unknown is accepted; values are checked in `check`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Build, OptionPlace, Packages, PinnedKey, Profile, Spec};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) schema: Spanned<u32>,
    pub(super) name: Spanned<String>,
    pub(super) title: String,
    pub(super) dist: Spanned<String>,
    pub(super) arches: Spanned<Vec<String>>,
    pub(super) spec: Spec,
    pub(super) option: Spanned<OptionPlace>,
    pub(super) build: Build,
    pub(super) profiles: Spanned<BTreeMap<String, Profile>>,
    pub(super) packages: Spanned<Packages>,
    pub(super) trust: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Trust {
    pub(super) keys: Spanned<Vec<PinnedKey>>,
}
