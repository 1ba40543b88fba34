//! The end of what a program wrote, for the sentence that says how it ended.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes in which the last line is looked for.
const BYTES: u64 = 400;
/// Characters of it that are kept.
const CHARS_MAX: usize = 200;
/// How the agent's own notes in a program's output begin.
pub const NOTE: &str = "── ";

/// The last bytes of a file.
pub fn end_of(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last line behind `from` that is not empty; none if it is a note of ours: then the program wrote nothing, or more than was kept.
/// A file that is shorter was begun anew.
pub fn last(path: &Path, from: u64) -> Option<String> {
    let length = std::fs::metadata(path).ok()?.len();
    let own = if length < from { length } else { length - from };
    let text = String::from_utf8_lossy(&end_of(path, BYTES.min(own)).ok()?).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).filter(|line| !line.starts_with(NOTE));
    line.map(|line| line.trim().chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect())
}

/// The last line as the end of a sentence; nothing if there is none.
pub fn quoted(last: Option<&str>) -> String {
    last.map_or_else(String::new, |words| format!("; its last words: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output");
        assert_eq!(last(&path, 0), None, "there is no file");
        std::fs::write(&path, "").expect("written");
        assert_eq!(quoted(last(&path, 0).as_deref()), "");
        std::fs::write(&path, format!("{NOTE}step 1 ──\n")).expect("written");
        assert_eq!(last(&path, 0), None, "the agent's own note");
        let long = format!("begun\n  \u{1b}[31mcannot bind: {}\u{1b}[0m  \n\n \n", "x".repeat(300));
        std::fs::write(&path, long).expect("written");
        let words = last(&path, 0).expect("a line");
        assert_eq!(words.chars().count(), CHARS_MAX, "{words}");
        assert!(words.starts_with("[31mcannot bind: xxx"), "{words}");
        std::fs::write(&path, "of an earlier run\n").expect("written");
        assert_eq!(last(&path, 18), None, "this run wrote nothing");
        assert_eq!(last(&path, 99).as_deref(), Some("of an earlier run"), "the file was begun anew");
        std::fs::write(&path, format!("a line of the middle\n{NOTE}output cut ──\n")).expect("written");
        assert_eq!(last(&path, 0), None, "what it wrote last was not kept");
    }
}
