//! Finds recipes and failure signatures, so that a new one is a file or a row of a table and nothing in src/; and tells a static
//! program where to look for names.
#![expect(clippy::disallowed_methods, reason = "a build script has its own environment and nothing but std")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    embed("recipes")?;
    embed("signatures")?;
    look_nowhere_else()
}

/// Links in what keeps glibc, if it is linked statically, from loading libraries of the system that it runs on.
fn look_nowhere_else() -> Result<(), Box<dyn error::Error>> {
    let source = "src/sys/lookup.c";
    println!("cargo:rerun-if-changed={source}");
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    if is_static && env::var("CARGO_CFG_TARGET_ENV")? == "gnu" {
        for object in cc::Build::new().file(source).warnings_into_errors(true).try_compile_intermediates()? {
            println!("cargo:rustc-link-arg-bins={}", object.display());
        }
    }
    Ok(())
}

/// Writes name and text of every TOML file of a directory as a Rust expression.
fn embed(dir: &str) -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed={dir}");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(dir))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    // el9 before el10: by the name without its number, then by the number.
    files.sort_by_key(|path| {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let letters = name.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned();
        let number = name.get(letters.len()..).and_then(|digits| digits.parse::<u32>().ok());
        (letters, number)
    });
    let mut list = String::new();
    for path in &files {
        let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a file's name is not UTF-8")?;
        // The text and not its path, which would put the builder's directories into the program.
        writeln!(list, "    ({name:?}, {:?}),", fs::read_to_string(path)?)?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join(format!("{dir}.rs")), format!("&[\n{list}]\n"))?;
    Ok(())
}
