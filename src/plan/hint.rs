//! What to do about each reason for which there is no plan.

use super::{Error, preflight};
use crate::edit::{self, spec};
use crate::ipvs::bits::MODULE;

impl Error {
    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Range { range, .. } => format!(
                "ask for a value in {range}; a larger table is not needed for more connections, only for shorter \
                 chains"
            ),
            Self::Route(error) => return error.hint(),
            Self::Signing(error) => error.hint(),
            Self::Unknown { .. } | Self::Release { .. } => {
                "say `--recipe NAME` if you know the family, or write a recipe and pass it as `--recipe FILE`: \
                 CONTRIBUTING.md says how"
                    .into()
            }
            Self::InTree { paths, hook, .. } => in_tree_hint(paths, hook.as_deref()),
            Self::Specs { .. } => "name the right one in a recipe and pass it as `--recipe FILE`".into(),
            Self::Switch { meant, .. } => meant.clone(),
            Self::Contradiction { option, name, .. } => {
                format!("leave out `{option} {name}`, or change it in a recipe and pass that as `--recipe FILE`")
            }
            Self::BuiltIn { .. } => format!("say `--set {MODULE}=m`, which makes it one"),
            Self::NotLocked { .. } => "run once without `--locked` and with `--lock FILE`, which adds it".into(),
            Self::Republished { .. } => {
                "if it was published anew and you trust it, add its digest to the `sha256` list in the lock file".into()
            }
            Self::OtherSigner { .. } => "if you trust that signer, change the entry in the lock file".into(),
            Self::NotARelease { .. } => "give version and release, as `rpm -q kernel` or `uname -r` says them".into(),
            Self::NoFamily { .. } => {
                "pass the source package itself as `--srpm FILE|URL`; `kbuild recipes list` shows the families".into()
            }
            Self::LeftOut { .. } => {
                "its packager left that out (`NoSource:`): unpack the package, put the file beside the others, and \
                 pack it again with `rpmbuild -bs` and without the `NoSource:` line"
                    .into()
            }
            Self::NoHook { .. } => "leave out `--patch`, or add the patch to the source package yourself".into(),
            Self::UnameTooLong { .. } => "choose a shorter one with `--buildid`".into(),
            Self::BootArch { .. } => "leave out `--boot`: levels 1 to 4 work for it".into(),
            Self::NoFile { .. } | Self::NoWay { .. } => "pass the recipe that fits as `--recipe FILE`".into(),
            Self::Unsigned { .. } => {
                "install the distribution's keys (distribution-gpg-keys) or pass its public key as `--key FILE`; if it \
                 is not a key that the recipe pins and you trust it, name it with `--trust FINGERPRINT`; say \
                 `--allow-unsigned` only if you know where the package comes from"
                    .into()
            }
            Self::BadSignature { .. } => "fetch the package again, from another mirror".into(),
            Self::NotPinned { .. } => {
                "fetch it from another mirror; if the vault published it anew and you trust it, add its digest to the \
                 recipe's `trust.sha256`"
                    .into()
            }
            Self::NoTools { programs } => preflight::on_both(programs),
            Self::OtherResults { .. } => "name another directory with `--out`, or move that one away".into(),
            Self::Edit(edit::Error::Missing { .. }) => {
                "this source package is not laid out as its family's: pass a recipe that fits as `--recipe FILE`".into()
            }
            Self::Spec(error) => match error {
                spec::Error::Several { .. } => {
                    "remove the extra lines from the source package: kbuild does not guess which one counts".into()
                }
                spec::Error::Taken { .. } => "choose another one with `--buildid`".into(),
                _ => "its release is made in a way that kbuild does not follow: set `buildid` in the source package \
                     yourself"
                    .into(),
            },
            Self::Edit(_) | Self::Arch { .. } => return None,
        })
    }
}

/// Says how a default in the tree is changed.
fn in_tree_hint(paths: &[String], hook: Option<&str>) -> String {
    let path = paths.first().map(String::as_str).unwrap_or_default();
    match hook {
        Some(hook) => {
            format!("pass a patch that sets it there as `--patch FILE`: it goes in through `{hook}` (a/{path})")
        }
        None => {
            format!("add a patch that changes `{path}` to the source package: the spec leaves no hook for `--patch`")
        }
    }
}
