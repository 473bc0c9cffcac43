//! Arguments of `repo`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

/// Arguments of `repo`.
#[derive(Debug, Args)]
#[command(after_help = "\
A package is published only with its proof: it lies in a directory that `kbuild ipvs` wrote, whose manifest.json says that the \
build came to its end, that nothing of the proof differs, that levels 3 and 4 hold as far as the route has them, and that \
the package is this very file. Clients never see half of a publication, and what they still ask for from the one before stays \
until the next.

Exit codes: 0 published, or nothing to do; 2 nothing to publish; 3 another package of that name is there, or the directory is a \
repository of somebody else; 4 programs, room, or another kbuild in there; 6 signing failed; 9 a package is not proved.

Example: kbuild repo /srv/ipvs /srv/builds --sign-with kernels@example.com --base-url https://repo.example.com/ipvs --keep 3")]
pub struct Repo {
    /// The repository; made if it is missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Results of `kbuild ipvs`: directories that are searched to any depth, or single packages in them
    #[arg(value_name = "FROM")]
    pub from: Vec<PathBuf>,
    /// What signs.
    #[command(flatten)]
    pub signature: Signature,
    /// Where clients reach it [default: DIR itself]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub base_url: Option<String>,
    /// What the repository is called on clients
    #[arg(long, value_name = "NAME", default_value = "kbuild", value_parser = name)]
    pub name: String,
    /// Keep the N newest releases of each line of kernels (name, architecture and distribution), with all their sizes of the
    /// table; the packages of older ones go [default: keep all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Let a package take the place of another one of the same name
    #[arg(long)]
    pub replace: bool,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// What signs packages and metadata: one of these has to be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Signature {
    /// Sign with this key of gpg's keyring or agent: its fingerprint, id or user
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub sign_with: Option<String>,
    /// Sign with the secret key in this file, which is in a keyring of its own only for the time of this run
    #[arg(long, value_name = "FILE")]
    pub sign_key_file: Option<PathBuf>,
    /// Sign nothing
    #[arg(long)]
    pub unsigned: bool,
}

/// An address that can stand in a .repo file.
fn url(text: &str) -> Result<String, String> {
    let schemes = ["http://", "https://", "file:///", "ftp://"];
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if plain && !rest.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("expected a URL such as https://repo.example.com/ipvs".into()),
    }
}

/// A repository's name as dnf takes it (`libdnf::Repo::verifyId`), and as a file's name can begin.
fn name(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(legal) && text != "main" {
        Ok(text.to_owned())
    } else {
        Err("expected letters, digits and `-_.:`, such as `kbuild`".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_fit_into_a_repo_file() {
        assert_eq!(url("https://repo.example.com/ipvs/").unwrap(), "https://repo.example.com/ipvs");
        assert_eq!(url("file:///srv/a%20b").unwrap(), "file:///srv/a%20b");
        for bad in ["repo.example.com", "https://", "http://a b", "http://a\n[main]", "file://x", "ssh://a/b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
        for good in ["kbuild", "ipvs-el6", "a.b_c:d"] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in ["", ".x", "-x", "a/b", "a b", "main", "a]b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
