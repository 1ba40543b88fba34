use std::io::Write as _;

use super::*;

/// Entries as they could be written by nobody's friend: names and sizes go into the header as they are.
#[derive(Default)]
struct Evil(Vec<u8>);

impl Evil {
    fn entry(mut self, kind: u8, name: &str, link: &str, content: &[u8]) -> Evil {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::new(kind));
        header.set_size(content.len() as u64);
        header.set_mode(0o7777);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Evil {
        self.entry(b'0', name, "", content)
    }

    fn symlink(self, name: &str, to: &str) -> Evil {
        self.entry(b'2', name, to, b"")
    }

    fn hardlink(self, name: &str, to: &str) -> Evil {
        self.entry(b'1', name, to, b"")
    }

    /// A header that announces more than follows.
    fn lie(mut self, kind: u8, size: u64) -> Evil {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::new(kind));
        header.set_path("long").expect("a path");
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    fn tar(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1_024, 0);
        self.0
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).expect("packed");
    packed.finish().expect("packed")
}

/// Unpacks and answers what came of it; whatever was refused has touched nothing.
fn outcome(bytes: &[u8], format: Format) -> String {
    let outside = tempfile::tempdir().expect("a folder");
    let (path, into) = (outside.path().join("packed"), outside.path().join("into"));
    fs::write(&path, bytes).expect("written");
    fs::create_dir(&into).expect("a folder");
    let result = Archive { path: &path, format, until: &Until::never() }.unpack(&into);
    let entries = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
    assert_eq!(entries(outside.path()), 2, "nothing stands beside the folder");
    match result {
        Ok(entries) => format!("unpacked {entries}"),
        Err(Unpacked::Refused(refusal)) => {
            assert_eq!(entries(&into), 0, "an archive is refused whole: {refusal}");
            format!("{}: {}", refusal.code, refusal.what)
        }
        Err(Unpacked::Failed(error)) => format!("failed: {error}"),
        Err(Unpacked::Stopped(end)) => format!("{end:?}"),
    }
}

fn check(evil: Evil, expected: &str) {
    let tar = Evil::file(Evil::default(), "good", b"good").0.into_iter().chain(evil.tar()).collect::<Vec<u8>>();
    assert!(outcome(&tar, Format::Tar).starts_with(expected), "{} is not {expected}", outcome(&tar, Format::Tar));
    let packed = gz(&tar);
    assert!(outcome(&packed, Format::TarGz).starts_with(expected), "{} is not {expected}", outcome(&packed, Format::TarGz));
}

#[test]
fn what_leaves_the_folder_is_refused_whole() {
    let evil = Evil::default;
    check(evil().file("../evil", b"x"), "archive_unsafe: archive entry \"../evil\" leaves its folder with '..'");
    check(evil().file("a/../../evil", b"x"), "archive_unsafe");
    check(evil().file("/etc/evil", b"x"), "archive_unsafe: archive entry \"/etc/evil\" has an absolute path");
    check(evil().symlink("out", "/etc"), "archive_unsafe");
    check(evil().symlink("a/out", "../../etc"), "archive_unsafe");
    check(evil().symlink("dir", "good").file("dir/evil", b"x"), "archive_unsafe");
    check(evil().hardlink("out", "../../etc/passwd"), "archive_unsafe");
    check(evil().hardlink("out", "/etc/passwd"), "archive_unsafe");
    check(evil().hardlink("out", "absent"), "archive_unsafe: archive entry \"out\" is a hard link to no earlier file");
}

#[test]
fn a_way_out_over_two_links_is_refused() {
    // a/b/up points at the folder itself; a/b/out goes up once more from there, which the text of the link does not show.
    let evil = Evil::default().symlink("a/b/up", "../..").symlink("a/b/out", "up/../evil");
    check(evil, "archive_unsafe: archive entry \"a/b/out\"");
    let evil = Evil::default().symlink("a/b/up", "../..").hardlink("a/b/again", "a/b/up");
    check(evil, "archive_unsafe: archive entry \"a/b/again\"");
}

#[test]
fn what_is_neither_file_nor_folder_nor_link_is_refused() {
    for kind in [b'3', b'4', b'6', b'7', b'Z'] {
        check(Evil::default().entry(kind, "odd", "", b""), "archive_unsafe: archive entry \"odd\" is neither");
    }
}

#[test]
fn what_stands_twice_is_refused() {
    check(Evil::default().file("good", b"again"), "archive_unsafe: archive entry \"good\" stands twice");
    check(Evil::default().file("./good", b"again"), "archive_unsafe: archive entry \"./good\" stands twice");
    check(Evil::default().file("good/below", b"x"), "archive_unsafe: archive entry \"good/below\" stands twice");
    check(Evil::default().file("dir/file", b"x").symlink("dir", "good"), "archive_unsafe");
    check(
        Evil::default().file(".tidegate.json", b"{}"),
        "archive_unsafe: archive entry \".tidegate.json\" has a name that the agent",
    );
}

#[test]
fn bombs_are_refused_before_they_burst() {
    let zeros = vec![0; 64 << 20];
    let bomb = gz(&Evil::default().file("zeros", &zeros).tar());
    assert!(outcome(&bomb, Format::TarGz).starts_with("archive_bomb: the archive unpacks to more than 200 times"));
    // Nothing after the archive's end is an entry, but it is unpacked all the same.
    let behind = gz(&Evil::default().file("good", b"x").tar().into_iter().chain(vec![0; 600 << 20]).collect::<Vec<u8>>());
    assert!(outcome(&behind, Format::TarGz).starts_with("archive_bomb"), "{}", outcome(&behind, Format::TarGz));
    for kind in [b'L', b'K', b'x', b'g'] {
        let long = gz(&Evil::default().lie(kind, 2 << 30).tar());
        assert!(outcome(&long, Format::TarGz).starts_with("archive_bomb: an archive entry has a header of 2147483648 bytes"));
    }
}

#[test]
fn what_cannot_be_read_to_its_end_is_refused() {
    let tar = Evil::default().file("noise", &noise(200_000)).tar();
    let packed = gz(&tar);
    for length in [0, 5, 300, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
        let said = outcome(&packed[..length], Format::TarGz);
        assert!(said.starts_with("archive_broken"), "{length} of {} bytes: {said}", packed.len());
    }
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(outcome(&damaged, Format::TarGz).starts_with("archive_broken"));
    assert!(outcome(&tar[..100_000], Format::Tar).starts_with("archive_broken"));
    assert!(outcome(b"no archive at all", Format::TarGz).starts_with("archive_broken"));
}

#[test]
fn good_archives_come_out_as_they_went_in() {
    let tar = Evil::default()
        .entry(b'5', "./", "", b"")
        .entry(b'5', "./bin/", "", b"")
        .file("./bin/run", b"#!/bin/sh\n")
        .symlink("bin/link", "../lib/real")
        .file("lib/real", b"real")
        .hardlink("lib/same", "lib/real")
        .tar();
    let folder = tempfile::tempdir().expect("a folder");
    let (path, into) = (folder.path().join("packed"), folder.path().join("into"));
    fs::write(&path, gz(&tar)).expect("written");
    fs::create_dir(&into).expect("a folder");
    let unpacked = Archive { path: &path, format: Format::TarGz, until: &Until::never() }.unpack(&into);
    assert!(matches!(unpacked, Ok(6)), "{unpacked:?}");
    assert_eq!(fs::read_to_string(into.join("bin/link")).expect("through the link"), "real");
    assert_eq!(fs::read_to_string(into.join("lib/same")).expect("the hard link"), "real");
    let mode = fs::metadata(into.join("bin/run")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "set-user-id and open modes do not come through");
}

/// Bytes that do not pack.
fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}
