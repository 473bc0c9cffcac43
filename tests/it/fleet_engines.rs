//! `kbuild fleet export`: what is written for each engine is run by that engine, or else judged by validators of others and run as
//! written with the engine's variables set.

mod github;
mod gitlab;
mod kubernetes;
mod slurm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::is_root;
use crate::support::kbuild::Kbuild;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;

/// The six cells: two releases with three sizes each.
const BITS: [u8; 3] = [16, 18, 20];
const RELEASES: [&str; 2] = ["220.13.1", "220.17.1"];

/// The name of a cell.
fn cell(release: &str, bits: u8) -> String {
    format!("el6-kernel-2.6.32-{release}.el6-{bits}-kernel")
}

fn all_cells() -> Vec<String> {
    RELEASES.iter().flat_map(|release| BITS.map(|bits| cell(release, bits))).collect()
}

/// The cell that fails as long as [`Place::mend`] was not called.
fn failing() -> String {
    cell(RELEASES[1], 20)
}

/// A sandbox with a fleet of [`all_cells`] in a directory of its own.
struct Place {
    sandbox: Sandbox,
}

impl Place {
    /// The fleet file is `DIR/fleet.toml` below the sandbox, with this path to the source packages. `slow` is a script that
    /// `%install` of the first release with 18 bits runs, in which `GO` is the path of `in/go`.
    fn new(dir: &str, srpms: Srpms, slow: &str) -> Self {
        let sandbox = Sandbox::new();
        let broken = sandbox.input("broken", "");
        let fails = format!(
            "case %{{release}} in *ipvs_20bit*) if test -e {}; then echo 'the moon is wrong'; exit 1; fi;; esac",
            broken.display()
        );
        let slow = slow.replace("GO", &format!("{}/in/go", sandbox.path().display()));
        let slow = format!("case %{{release}} in *ipvs_18bit*)\n{slow}\n:;; esac");
        let toys = [
            Toy::new().script("%install", &slow).pack(),
            Toy::new()
                .replace("kernel.spec", "%define distro_build 220.13.1", "%define distro_build 220.17.1")
                .script("%build", &fails)
                .pack(),
        ];
        let place = sandbox.path().join(dir);
        fs_err::create_dir_all(&place).unwrap();
        let paths: Vec<String> = toys
            .iter()
            .map(|toy| {
                let name = toy.path.file_name().unwrap();
                let path = match srpms {
                    Srpms::Beside => place.join(name),
                    Srpms::Elsewhere => sandbox.path().join("in").join(name),
                };
                fs_err::copy(&toy.path, &path).unwrap();
                let named = if srpms == Srpms::Beside { PathBuf::from(name) } else { path };
                format!("{:?}", named.to_str().unwrap())
            })
            .collect();
        let user = if is_root() { format!("user = {:?}\n", sandbox.user().name) } else { String::new() };
        let text = format!(
            "schema = 1\nwork = \"{}\"\n\n[[group]]\nname = \"el6\"\nsrpms = [{}]\nbits = [16, 18, 20]\nallow-unsigned = true\n{user}",
            sandbox.work().display(),
            paths.join(", "),
        );
        fs_err::write(place.join("fleet.toml"), text).unwrap();
        Self { sandbox }
    }

    /// Lets the failing cell succeed.
    fn mend(&self) {
        fs_err::remove_file(self.sandbox.path().join("in/broken")).unwrap();
    }

    /// `kbuild fleet WHAT --file FILE`, started where the sandbox begins.
    fn fleet(&self, what: &str, file: &str) -> Kbuild<'_> {
        self.sandbox.kbuild().args(["fleet", what, "--file", file])
    }

    /// What an engine starts jobs with: kbuild is on PATH.
    fn env(&self) -> BTreeMap<String, String> {
        let kbuild = Path::new(env!("CARGO_BIN_EXE_kbuild")).parent().unwrap();
        BTreeMap::from([
            ("PATH".to_owned(), format!("{}:{}", kbuild.display(), std::env::var("PATH").unwrap())),
            ("HOME".to_owned(), self.sandbox.home().display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ])
    }

    /// A program with this environment and nothing else.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.env()).stdin(std::process::Stdio::null());
        command
    }
}

/// Where source packages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Srpms {
    /// Beside the fleet file, which names them without a directory.
    Beside,
    /// Elsewhere: their paths are absolute.
    Elsewhere,
}

/// Reads cell.json of a directory of results.
#[track_caller]
fn record(results: &Path, cell: &str) -> Value {
    let path = results.join(cell).join("cell.json");
    serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap()
}

/// Checks that all cells are done but for the one that fails alone, for its own reason; or all if it was mended.
#[track_caller]
fn all_but_one_are_done(results: &Path, mended: bool) {
    for cell in all_cells() {
        let record = record(results, &cell);
        let status = &record["status"];
        if cell == failing() && !mended {
            assert_eq!((status["is"].as_str(), status["exit-code"].as_u64()), (Some("failed"), Some(8)), "{record:#}");
            assert!(status["error"].as_str().unwrap().contains("exit code 1 in %build"), "{record:#}");
            let log = fs_err::read_to_string(results.join(&cell).join("cell.log")).unwrap();
            assert!(log.contains("the moon is wrong"), "{log}");
            continue;
        }
        assert_eq!(status["is"], "done", "{record:#}");
        let packages = crate::support::package::names(&results.join(&cell));
        let bits = cell.rsplit('-').nth(1).unwrap();
        assert!(
            !packages.is_empty() && packages.iter().all(|name| name.contains(&format!(".ipvs_{bits}bit"))),
            "{packages:?}"
        );
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_no_engine_takes_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    let file = sandbox.input(
        "fleet.toml",
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [20]\npatch = [\"p.patch\"]\n",
    );
    sandbox.input("p.patch", "--- a/lib/x.c\n+++ b/lib/x.c\n@@ -1 +1 @@\n-a\n+b\n");
    let export = |words: &[&str]| sandbox.kbuild().args(["fleet", "export", "--file"]).arg(&file).args(words);
    export(&["kubernetes"]).refused(2).says("starts images").says("hint: name one");
    export(&["kubernetes", "--image", "i"]).refused(2).says("in/p.patch").says("hint: name URLs");
    export(&["kubernetes", "--image", "i\nj"]).refused(2).says("the image has characters");
    export(&["slurm", "--matrix"]).refused(2).says("`--matrix` is GitHub's");
    export(&["github", "--parent"]).refused(2).says("`--parent` is GitLab's");
    export(&["jenkins"]).exits(2).says("[possible values: gitlab, github, kubernetes, slurm]");
    export(&["slurm", "--shards", "0"]).exits(2);
    // On stdout, or in a file that is there as a whole.
    let printed = export(&["slurm"]).exits(0);
    let to = sandbox.path().join("fleet.sbatch");
    let written = export(&["slurm", "--to", "fleet.sbatch"]).exits(0);
    assert_eq!((written.stdout.as_str(), fs_err::read_to_string(&to).unwrap()), ("", printed.stdout));
    written.says("job=$(sbatch --parsable fleet.sbatch)");
    export(&["slurm", "--to", "no/such/dir/file"]).refused(4);
}
