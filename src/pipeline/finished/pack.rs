//! What another kernel can take of a finished tree: what make made, and of everything else the digests. It stays in the tree's place, and
//! goes through a shared storage as one file.

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::compiler::{KEPT, finished};
use crate::digest::{self, Sha256};
use crate::pipeline::compilers::digests::{self, Files};
use crate::pipeline::compilers::tree;
use crate::sys::files;
use crate::sys::stamp::Stamp;

/// What is known of all of it, beside what else is kept in a tree; an archive begins with it.
const NOTE: &str = "pack.json";
/// Where what stays of trees is put while they are removed.
const BARE: &str = ".bare";
/// How large that may be, in bytes: Linux 6.1 has 80 000 files.
const LARGEST: u64 = 64 << 20;

/// What is known of a tree of which there is no more than can be taken.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Packed {
    /// Where it was.
    pub(super) tree: PathBuf,
    /// rpmbuild's directory that it was in.
    pub(super) build: PathBuf,
    /// What make made, with its time in nanoseconds since 1970.
    made: BTreeMap<String, u128>,
    /// All else: time and digest.
    pub(super) others: BTreeMap<String, (u128, Sha256)>,
}

impl Packed {
    /// Looks at a tree that is whole, which is below `build`.
    fn look(build: &Path, top: &Path) -> io::Result<Self> {
        let notes = tree::notes(top)?;
        let mut packed =
            Self { tree: top.to_owned(), build: build.to_owned(), made: BTreeMap::new(), others: BTreeMap::new() };
        for (path, seen) in Files::of(top)?.0 {
            let written = seen.state.written.nanoseconds();
            if finished::is_taken(&path, written, &notes.spans, &notes.saw)
                || finished::is_exported(&path, written, &notes.exports)
            {
                packed.made.insert(path, written);
            } else if !Path::new(&path).starts_with(KEPT) {
                let digest = seen.digest.map_or_else(|| Ok(digests::look(&top.join(&path))?.0), Ok::<_, io::Error>)?;
                packed.others.insert(path, (written, digest));
            }
        }
        Ok(packed)
    }

    /// Returns the files that go along with what is known, by their path in the tree.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let known = tree::NOTES.iter().map(|name| Path::new(KEPT).join(name)).chain([PathBuf::from(".config")]);
        known.chain(self.made.keys().map(PathBuf::from))
    }

    /// Returns what is known of a tree of which there is no more than can be taken; nothing of one that is whole.
    pub(super) fn of(tree: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(tree.join(KEPT).join(NOTE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        Ok(Some(serde_json::from_reader(BufReader::new(file.take(LARGEST)))?))
    }
}

/// Packs a tree, which is below `build`, into a file.
///
/// # Errors
/// Something could not be read or written.
pub fn pack(build: &Path, top: &Path, to: &Path) -> io::Result<()> {
    let packed = Packed::look(build, top)?;
    let note = serde_json::to_vec(&packed)?;
    let mut archive = tar::Builder::new(BufWriter::new(File::create(to)?));
    let mut header = tar::Header::new_gnu();
    header.set_size(note.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, Path::new(KEPT).join(NOTE), note.as_slice())?;
    for path in packed.files() {
        let Ok(file) = File::open(top.join(&path)) else { continue };
        let details = file.metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_size(details.len());
        header.set_mode(details.permissions().mode() & 0o777);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, path, file.take(details.len()))?;
    }
    archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Leaves in rpmbuild's directory what others can take; all else, which is most of it, goes into the directory `rest`, which is made anew.
///
/// # Errors
/// Something could not be read or moved; what is there then is of no use.
pub(super) fn strip(build: &Path, rest: &Path) -> io::Result<()> {
    let bare = build.join(BARE);
    files::remove_tree(&bare)?;
    fs_err::create_dir(&bare)?;
    for top in tree::tops(build) {
        let packed = Packed::look(build, &top)?;
        let place = bare.join(top.strip_prefix(build).unwrap_or(&top));
        let note = place.join(KEPT).join(NOTE);
        fs_err::create_dir_all(place.join(KEPT))?;
        let mut writer = BufWriter::new(File::create(note)?);
        serde_json::to_writer(&mut writer, &packed)?;
        writer.flush()?;
        for path in packed.files() {
            let (from, to) = (top.join(&path), place.join(&path));
            fs_err::create_dir_all(to.parent().unwrap_or(&place))?;
            match fs_err::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
    }
    files::remove_at_once(rest)?;
    fs_err::rename(build, rest)?;
    fs_err::rename(rest.join(BARE), build)
}

/// Unpacks such a file into a new directory.
///
/// # Errors
/// It could not be read or written, or there is something in it that nobody would have packed.
pub fn unpack(from: &Path, top: &Path) -> io::Result<()> {
    let strange = |path: &Path| {
        let what = format!("`{}` in what is shared is not of a tree", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    let mut archive = tar::Archive::new(BufReader::new(File::open(from)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if !files::stays_below(&path) || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(strange(&path));
        }
        let target = top.join(&path);
        if let Some(dir) = target.parent() {
            fs_err::create_dir_all(dir)?;
        }
        // Never through a link, and never twice.
        let mut file = File::options().write(true).create_new(true).open(&target)?;
        io::copy(&mut entry, &mut file)?;
        let mode = if entry.header().mode()? & 0o100 == 0 { 0o644 } else { 0o755 };
        fs_err::set_permissions(&target, PermissionsExt::from_mode(mode))?;
    }
    let packed = Packed::of(top)?.ok_or_else(|| strange(Path::new(NOTE)))?;
    for (path, written) in &packed.made {
        Stamp::after(*written).set(&top.join(path))?;
    }
    Ok(())
}

/// Returns what tells packs apart: `of_build` is what is known of the build before it begins, `config` the configuration.
#[must_use]
pub fn key(of_build: &str, ground: &crate::compiler::tree::Tree, config: &str) -> String {
    let options: Vec<&str> = finished::options(config).collect();
    let parts = [of_build, &ground.identity, &ground.names, &ground.host, &options.join("\n")];
    digest::sha256(parts.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_comes_out_as_it_was_packed_and_nothing_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let (build, file, there) = (dir.path().join("BUILD"), dir.path().join("pack.o"), dir.path().join("there"));
        let top = build.join("linux");
        for (path, text) in
            [("a.c", "a"), ("a.o", "A"), (".config", "X=y"), (".kbuild/spans", "10.000000000 20.000000000\n")]
        {
            fs_err::create_dir_all(top.join(path).parent().unwrap()).unwrap();
            fs_err::write(top.join(path), text).unwrap();
        }
        Stamp::after(15_123_456_789).set(&top.join("a.o")).unwrap();
        fs_err::set_permissions(top.join("a.o"), PermissionsExt::from_mode(0o755)).unwrap();
        pack(&build, &top, &file).unwrap();
        unpack(&file, &there).unwrap();
        assert_eq!(Stamp::of(&there.join("a.o")).unwrap(), Stamp::after(15_123_456_789));
        assert_eq!(fs_err::metadata(there.join("a.o")).unwrap().permissions().mode() & 0o777, 0o755);
        let packed = Packed::of(&there).unwrap().unwrap();
        assert_eq!((packed.tree, packed.build, packed.made.len()), (top.clone(), build, 1));
        assert_eq!(digest::hex(&packed.others["a.c"].1.0), digest::sha256(b"a"));
        assert!(Packed::of(&top).unwrap().is_none() && fs_err::metadata(there.join("a.c")).is_err());

        for (path, kind) in [("x", tar::EntryType::Symlink), ("d", tar::EntryType::Directory)] {
            let mut archive = tar::Builder::new(File::create(&file).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            header.set_entry_type(kind);
            archive.append_link(&mut header, path, "/etc/passwd").unwrap();
            archive.finish().unwrap();
            assert!(unpack(&file, &dir.path().join(path)).is_err(), "{path}");
        }
        let mut archive = tar::Builder::new(File::create(&file).unwrap());
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"../out");
        header.set_size(0);
        header.set_cksum();
        archive.append(&header, io::empty()).unwrap();
        archive.finish().unwrap();
        assert!(unpack(&file, &dir.path().join("up")).is_err());
        assert!(fs_err::metadata(dir.path().join("out")).is_err());
    }

    #[test]
    fn packs_are_told_apart_by_everything_but_what_varies() {
        let ground = crate::compiler::tree::Tree { names: "n".into(), ..Default::default() };
        let key = |build: &str, config: &str| key(build, &ground, config);
        let one = key("b", "CONFIG_A=y\nCONFIG_IP_VS_TAB_BITS=18\n");
        assert_eq!(one, key("b", "# x\nCONFIG_A=y\nCONFIG_IP_VS_TAB_BITS=20\n"));
        assert_ne!(one, key("b", "CONFIG_A=m\n"));
        assert_ne!(one, key("c", "CONFIG_A=y\n"));
    }
}
