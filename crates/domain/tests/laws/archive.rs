//! No entry of an archive that is let in leads out of its folder, however its links are chained.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidegate_domain::Code;
use tidegate_domain::deployment::artifact::{ArchiveCheck, Entry};

/// Why a path has no place in the tree.
#[derive(Debug, PartialEq)]
enum Lost {
    /// It leads above the root.
    Outside,
    /// Its links never end; the kernel gives up, and nothing is reached.
    Nowhere,
}

/// What a file system would have after unpacking, with links resolved as the kernel does it.
#[derive(Debug, Default)]
struct Tree {
    links: BTreeMap<Vec<String>, String>,
}

impl Tree {
    /// Where a path leads, starting in a folder.
    ///
    /// `links_left` is of the whole walk, as the kernel counts: links that name each other twice would else double the
    /// walk with each of them.
    fn resolve(&self, folder: &[String], path: &str, links_left: &mut u32) -> Result<Vec<String>, Lost> {
        let mut at = folder.to_vec();
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                at.pop().ok_or(Lost::Outside)?;
                continue;
            }
            at.push(part.to_owned());
            if let Some(to) = self.links.get(&at) {
                if to.starts_with('/') {
                    return Err(Lost::Outside);
                }
                *links_left = links_left.checked_sub(1).ok_or(Lost::Nowhere)?;
                at.pop();
                at = self.resolve(&at, to, links_left)?;
            }
        }
        Ok(at)
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

#[derive(Debug, Clone)]
enum Kind {
    File,
    Folder,
    Symlink(String),
    Hardlink(String),
    Other,
}

fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", "a", "b"]);
    let path = prop::collection::vec(part, 0..6).prop_map(|parts| parts.join("/"));
    prop_oneof![9 => path, 1 => any::<String>(), 1 => Just("/a/b".to_owned())]
}

fn entry() -> impl Strategy<Value = (String, Kind)> {
    let kind = prop_oneof![
        2 => Just(Kind::File),
        1 => Just(Kind::Folder),
        4 => path().prop_map(Kind::Symlink),
        2 => path().prop_map(Kind::Hardlink),
        1 => Just(Kind::Other),
    ];
    (path(), kind)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nothing_leads_out(entries in prop::collection::vec(entry(), 1..12)) {
        let mut check = ArchiveCheck::new(1_000);
        let mut tree = Tree::default();
        let mut let_in = BTreeSet::new();
        for (path, kind) in &entries {
            let seen = match kind {
                Kind::File => Entry::File { size_bytes: 1 },
                Kind::Folder => Entry::Folder,
                Kind::Symlink(to) => Entry::Symlink { to },
                Kind::Hardlink(to) => Entry::Hardlink { to },
                Kind::Other => Entry::Other,
            };
            if check.entry(path, &seen).is_err() {
                continue;
            }
            prop_assert!(!path.starts_with('/') && !parts(path).contains(&"..".to_owned()));
            match kind {
                Kind::Symlink(to) => {
                    tree.links.insert(parts(path), to.clone());
                }
                // A second name for a link is a link in another folder.
                Kind::Hardlink(to) => {
                    if let Some(link) = tree.links.get(&parts(to)).cloned() {
                        tree.links.insert(parts(path), link);
                    }
                }
                Kind::File | Kind::Folder => {}
                Kind::Other => prop_assert!(false, "a device was let in"),
            }
            let_in.insert(path.clone());
        }
        for path in &let_in {
            prop_assert_ne!(tree.resolve(&[], path, &mut 40), Err(Lost::Outside), "{} leads out: {:?}", path, tree.links);
        }
    }
}

/// Found by the law itself: a link through itself, twice, took a walk of two to the power of forty steps.
#[test]
fn the_laws_own_walk_ends() {
    let tree = Tree { links: BTreeMap::from([(parts("a"), "a/../a/../a".to_owned())]) };
    assert_eq!(tree.resolve(&[], "a", &mut 40), Err(Lost::Nowhere));
}

fn refused(entries: &[(&str, Entry<'_>)]) -> Option<Code> {
    let mut check = ArchiveCheck::new(1_000);
    entries.iter().find_map(|(path, entry)| check.entry(path, entry).err()).map(|refusal| refusal.code)
}

#[test]
fn links_cannot_be_chained_to_the_outside() {
    let file = Entry::File { size_bytes: 1 };
    let up = || Entry::Symlink { to: "../.." };
    assert_eq!(refused(&[("p/q/root", up()), ("p/q/out", Entry::Symlink { to: "root/../etc" })]), Some(Code::ArchiveUnsafe));
    assert_eq!(
        refused(&[("p/q/x", Entry::Symlink { to: "../../y" }), ("x", Entry::Hardlink { to: "p/q/x" })]),
        Some(Code::ArchiveUnsafe)
    );
    assert_eq!(refused(&[("p/root", Entry::Symlink { to: ".." }), ("p/root/x", file.clone())]), Some(Code::ArchiveUnsafe));
    assert_eq!(refused(&[("p/q/ok", Entry::Symlink { to: "../other/place" }), ("p/other/place", file)]), None);
}

#[test]
fn the_root_is_a_folder_and_nothing_else() {
    assert_eq!(refused(&[("./", Entry::Folder)]), None);
    assert_eq!(refused(&[("", Entry::File { size_bytes: 1 })]), Some(Code::ArchiveUnsafe));
    assert_eq!(refused(&[(".", Entry::Symlink { to: "a" })]), Some(Code::ArchiveUnsafe));
}

#[test]
fn too_many_entries_are_a_bomb() {
    let mut check = ArchiveCheck::new(1 << 30);
    let most = tidegate_domain::limits::ARCHIVE_ENTRIES_MAX;
    assert!((0..most).all(|number| check.entry(&format!("f{number}"), &Entry::Folder).is_ok()));
    assert_eq!(check.entry("one-more", &Entry::Folder).unwrap_err().code, Code::ArchiveBomb);
    let huge = Entry::File { size_bytes: u64::MAX };
    let mut check = ArchiveCheck::new(u64::MAX);
    assert_eq!(check.entry("huge", &huge).unwrap_err().code, Code::ArchiveBomb);
}
