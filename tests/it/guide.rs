//! The operator's guide: what stands in it works, and is the same in both languages.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::kbuild::Who;
use crate::support::keyring::Keyring;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
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
    let (english, chinese) = ("docs/guide.md", "docs/guide.zh-CN.md");
    assert_eq!(blocks(english), blocks(chinese), "{english} and {chinese}");
    // What is indented is code.
    let commands = |file: &str| {
        let text = fs_err::read_to_string(repository().join(file)).unwrap();
        text.lines().filter(|line| line.starts_with("    ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, some) = (commands("README.md"), commands("README.zh-CN.md"));
    let strange: Vec<_> = some.iter().filter(|line| !all.contains(line)).collect();
    assert!(some.len() > 20 && strange.is_empty(), "{strange:?}");
}

#[test]
fn what_is_to_be_typed_works() {
    if !["rpmbuild", "gpg", "nginx", "createrepo_c"].into_iter().all(require) {
        return;
    }
    // A vault with the toy, signed by a key that is trusted here, takes the place of the distribution's. Whoever reads the guide is no root:
    // root's own work directory is the machine's.
    let sandbox = Sandbox::of_ordinary_user();
    let keyring = Keyring::new();
    let vault = Nginx::start("");
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign(&srpm);
    vault.put(srpm.file_name().unwrap().to_str().unwrap(), &srpm);
    fs_err::write(vault.root().join("RPM-GPG-KEY-CentOS-6"), keyring.public()).unwrap();
    let config = sandbox.input(
        "config.toml",
        format!("schema = 1\nmirrors = [{:?}]\ntrust = [{:?}]\n", vault.url(), keyring.fingerprint()),
    );
    let (here, home) = (sandbox.path().join("here"), sandbox.home());
    fs_err::create_dir(&here).unwrap();
    let gnupg = here.join("gnupg");
    fs_err::create_dir(&gnupg).unwrap();
    fs_err::set_permissions(&gnupg, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let program = match sandbox.who() {
        Who::Me => PathBuf::from(env!("CARGO_BIN_EXE_kbuild")),
        Who::Ordinary { program, .. } => program.clone(),
    };
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |text: &str| {
        let mut command = Command::new("bash");
        command.args(["-e", "-c", text]).current_dir(&here).env_clear().env("PATH", &path).env("HOME", &home);
        command.env("KBUILD_CONFIG", &config).env("GNUPGHOME", &gnupg).env("LANG", "C.UTF-8");
        if let Who::Ordinary { uid, gid, .. } = sandbox.who() {
            for dir in [&here, &gnupg] {
                std::os::unix::fs::chown(dir, Some(*uid), Some(*gid)).unwrap();
            }
            command.uid(*uid).gid(*gid);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "{text}\n{said}");
    };
    run(
        "gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key kbuild@example.com rsa2048 sign never",
    );
    let mut ran = 0;
    for Block { kind, text } in blocks("docs/guide.md") {
        match kind.split_once(' ').unwrap_or((&kind, "")) {
            ("sh", "") => {
                ran += 1;
                run(&text);
            }
            ("sh", "director") => {}
            ("toml", file) => fs_err::write(here.join(file), text).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    run("gpgconf --kill all");
    assert!(ran > 8, "{ran}");
    for result in ["one/manifest.json", "fleet-out/report.html", "repository/repodata/repomd.xml", "fleet.sbatch"] {
        assert!(here.join(result).is_file(), "{result}");
    }
}
