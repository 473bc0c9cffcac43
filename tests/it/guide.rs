//! The operator's guide: what stands in it works, and is the same in both languages.

use std::path::Path;
use std::process::Command;

use crate::support::keyring::Keyring;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{repository, require};

/// A block of code: what stands behind its fence, and what is in it.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    kind: String,
    text: String,
}

fn blocks(file: &str) -> Vec<Block> {
    let text = fs_err::read_to_string(repository().join(file)).unwrap();
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\n```") {
        let (kind, after) = after.split_once('\n').unwrap();
        let (text, after) = after.split_once("```").unwrap();
        blocks.push(Block { kind: kind.to_owned(), text: text.to_owned() });
        rest = after;
    }
    assert!(blocks.len() > 4, "{file}: {blocks:?}");
    blocks
}

#[test]
fn both_languages_have_the_same_commands() {
    for (english, chinese) in [("docs/guide.md", "docs/guide.zh-CN.md")] {
        assert_eq!(blocks(english), blocks(chinese), "{english} and {chinese}");
    }
}

#[test]
fn what_is_to_be_typed_works() {
    if !["rpmbuild", "gpg", "createrepo_c"].into_iter().all(require) {
        return;
    }
    // A vault with the toy, signed by a key that is trusted here, takes the place of the distribution's.
    let sandbox = Sandbox::new();
    let keyring = Keyring::new();
    let vault = sandbox.path().join("in");
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign(&srpm);
    fs_err::write(vault.join("RPM-GPG-KEY-CentOS-6"), keyring.public()).unwrap();
    let config = sandbox.input(
        "config.toml",
        format!(
            "schema = 1\nmirrors = [{:?}]\ntrust = [{:?}]\nstore = {:?}\n",
            vault.display().to_string(),
            keyring.fingerprint(),
            sandbox.path().join("store").display().to_string()
        ),
    );
    let here = sandbox.path().join("here");
    fs_err::create_dir(&here).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_kbuild")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for Block { kind, text } in blocks("docs/guide.md") {
        match kind.split_once(' ').unwrap_or((&kind, "")) {
            ("sh", "") => {
                ran += 1;
                // Where root would work if nothing else is said is another test's, too.
                let output = Command::new("bash")
                    .args(["-e", "-c", &text])
                    .current_dir(&here)
                    .env("PATH", &path)
                    .env("HOME", sandbox.home())
                    .env("KBUILD_CONFIG", &config)
                    .env("GNUPGHOME", keyring.path())
                    .output()
                    .unwrap();
                let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
                assert!(output.status.success(), "{text}\n{said}");
            }
            ("sh", "director") => {}
            ("toml", file) => fs_err::write(here.join(file), text).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert!(ran > 8, "{ran}");
    for result in ["one/manifest.json", "fleet-out/report.html", "repository/repodata/repomd.xml", "fleet.sbatch"] {
        assert!(here.join(result).is_file(), "{result}");
    }
}
