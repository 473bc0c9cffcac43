//! `kbuild recipes`, the table of the families in README.md, and the worked example of CONTRIBUTING.md.

use kbuild::recipe::{builtin, table};

use crate::support::built::manifest;
use crate::support::sandbox::Sandbox;
use crate::support::{repository, require};

#[test]
fn the_families_are_listed() {
    let sandbox = Sandbox::new();
    let listed = sandbox.kbuild().args(["recipes", "list"]).exits(0);
    for name in ["el5", "el6", "el7", "el8", "el9", "el10", "fedora", "elrepo", "uek"] {
        assert!(listed.stdout.lines().any(|line| line.starts_with(&format!("{name} "))), "{listed}");
    }
    listed.prints("kernel-5.14.0-284.11.1.el9_2 -> kernel-5.14.0-284.11.1.ipvs_20bit.el9_2");
    let json = sandbox.kbuild().args(["recipes", "list", "--format", "json"]).exits(0);
    let parsed: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), builtin::names().len());
}

#[test]
fn a_recipe_is_shown_with_its_comments() {
    let sandbox = Sandbox::new();
    let shown = sandbox.kbuild().args(["recipes", "show", "el10"]).exits(0);
    assert_eq!(shown.stdout, fs_err::read_to_string(repository().join("recipes/el10.toml")).unwrap());
    sandbox.kbuild().args(["recipes", "show", "el66"]).refused(3).says("no recipe is called `el66`: expected one of");
}

#[test]
fn a_recipe_is_checked_with_all_its_problems_at_once() {
    let sandbox = Sandbox::new();
    let good = sandbox.input("good.toml", "schema = 1\nname = \"mine\"\ntitle = \"Mine\"\nextends = \"el8\"\n");
    sandbox.kbuild().args(["recipes", "check"]).arg(&good).exits(0).prints("is a valid recipe: mine on top of el8");
    let shown = sandbox.kbuild().args(["recipes", "show"]).arg(&good).exits(0);
    shown.prints("process_configs");
    // What is shown of it is a recipe again.
    let whole = sandbox.input("whole.toml", &shown.stdout);
    sandbox.kbuild().args(["recipes", "check"]).arg(&whole).exits(0);

    let bad = "schema = 2\nname = \"my recipe\"\ntitel = \"x\"\nextends = \"el8\"\narches = \"x86_64\"\n\
               [option]\nrange = { min = 9, max = 8 }\nresolved = [\"[\"]\n[spec]\nbuildid = \"anywhere\"\n";
    let bad = sandbox.input("bad.toml", bad);
    let outcome = sandbox.kbuild().args(["recipes", "check"]).arg(&bad).refused(3);
    outcome.says("is not valid: 7 problems");
    for (line, what) in [
        (1, "`schema`: expected 1, found 2"),
        (2, "`name`: expected letters"),
        (3, "unknown key `titel`"),
        (5, "`arches`: expected a list, found `x86_64`"),
        (7, "`option.range`: expected min <= max, found 9 and 8"),
        (8, "`option.resolved[0]`: expected a glob"),
        (10, "`spec.buildid`: expected `after-dist` or `before-dist`"),
    ] {
        outcome.says(&format!("line {line}, column ")).says(what);
    }
    outcome.says("help: did you mean `title`?").says("help: `resolved` ").says("help: `range` is both ends");
    // What it extends is not to be had, so nothing is said of what is missing.
    let orphan = sandbox.input("orphan.toml", "schema = 1\nname = \"x\"\nextends = \"el88\"\n");
    let outcome = sandbox.kbuild().args(["recipes", "check"]).arg(&orphan).refused(3);
    outcome.says("is not valid: one problem").says("no built-in recipe is called `el88`").says("help: one of el5, el6");
    let bare = sandbox.input("bare.toml", "schema = 1\nname = \"x\"\n");
    sandbox
        .kbuild()
        .args(["recipes", "check"])
        .arg(&bare)
        .refused(3)
        .says("`title` is missing")
        .says("`trust` is missing");
    sandbox.kbuild().args(["recipes", "check", "/no/such.toml"]).refused(3).says("cannot read the recipe");
}

/// Returns the part of a document between two marks.
#[track_caller]
fn between(document: &str, mark: &str) -> String {
    let text = fs_err::read_to_string(repository().join(document)).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let rest = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin} in {document}")).1;
    rest.split_once(&end).unwrap_or_else(|| panic!("no {end} in {document}")).0.to_owned()
}

#[test]
fn the_table_in_the_readme_is_written_from_the_recipes() {
    let wanted = table::markdown(&builtin::all().unwrap());
    assert_eq!(between("README.md", "kbuild recipes list --markdown").trim(), wanted.trim());
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.kbuild().args(["recipes", "list", "--markdown"]).exits(0).stdout, wanted);
}

#[test]
fn the_worked_example_of_a_new_family_works_as_it_is_written() {
    if !require("rpmbuild") {
        return;
    }
    // CONTRIBUTING.md: a recipe, and the changes that make a toy of its family.
    let text = between("CONTRIBUTING.md", "worked example");
    let mut blocks = text.split("```").skip(1).step_by(2);
    let recipe = blocks.next().unwrap().strip_prefix("toml\n").unwrap().to_owned();
    let script = blocks.next().unwrap().strip_prefix("sh\n").unwrap().to_owned();
    assert!(blocks.next().is_none());
    let sandbox = Sandbox::new();
    let place = sandbox.path().join("clone");
    crate::support::toy::copy(&repository().join("tests/kernels"), &place.join("tests/kernels"));
    fs_err::create_dir(place.join("recipes")).unwrap();
    let name = recipe.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).unwrap().to_owned();
    fs_err::write(place.join(format!("recipes/{name}.toml")), &recipe).unwrap();
    let made = std::process::Command::new("bash").args(["-euc", &script]).current_dir(&place).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let srpm = String::from_utf8(made.stdout).unwrap().lines().last().unwrap().to_owned();
    let srpm = sandbox.input("toy.src.rpm", fs_err::read(srpm).unwrap());

    let recipe = place.join(format!("recipes/{name}.toml"));
    sandbox.kbuild().args(["recipes", "check"]).arg(&recipe).exits(0);
    // The toy names what a real kernel takes, and takes nothing of it.
    sandbox.ipvs(&srpm, "20").arg("--ignore-preflight").arg("--recipe").arg(&recipe).exits(0);
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["recipe"]["name"], name);
    assert!(manifest["release"]["planned"]["evaluated"].as_bool().unwrap());
}

#[test]
fn what_a_recipe_must_not_say_is_found_before_it_is_used() {
    let sandbox = Sandbox::new();
    let head = "schema = 1\nname = \"own\"\ntitle = \"Own\"\nextends = \"el6\"\n";
    for (text, said) in [
        ("[spec]\nfile = \"sub/kernel.spec\"\n", "a glob of a name, without a directory"),
        ("[option]\nresolved = []\n", "at least one"),
        ("[build]\nwith = [\"debug-info\"]\n", "letters, digits and `_`"),
        ("[profiles.fleet]\nwithout = [\"a b\"]\n", "letters, digits and `_`"),
        ("[build.defines]\n_topdir = \"/srv\"\n", "kbuild gives rpmbuild this macro itself"),
        ("[build.defines]\n_smp_mflags = \"-j1\"\n", "kbuild gives rpmbuild this macro itself"),
    ] {
        let file = sandbox.input("own.toml", format!("{head}{text}"));
        sandbox.kbuild().args(["recipes", "check"]).arg(&file).refused(3).says(said);
    }
    let file = sandbox.input("own.toml", format!("{head}[build.defines]\n_with_x = \"1\"\n"));
    sandbox.kbuild().args(["recipes", "check"]).arg(&file).exits(0);
}

#[test]
fn a_mistyped_name_of_a_recipe_is_understood() {
    let sandbox = Sandbox::new();
    sandbox.kbuild().args(["recipes", "show", "el66"]).refused(3).says("hint: did you mean `el6`?");
    sandbox.kbuild().args(["recipes", "show", "fedroa"]).refused(3).says("hint: did you mean `fedora`?");
    sandbox.kbuild().args(["recipes", "show", "nothing-like-it"]).refused(3).says("expected one of el5, el6");
}
