//! The output of an attempt as numbered chunks. A number always means the same bytes, also after a restart of the agent.
//!
//! Chunks are cut and their bounds kept on disk *before* they are sent: what was sent but not acknowledged is sent again with
//! the same bounds under the same numbers, so that the server may drop a number that it has.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_api::agent::LogChunk;
use tidegate_domain::{Millis, limits};

use crate::clock::now_ms;
use crate::durable;
use crate::supervisor::OUTPUT;

/// Chunks in one sending; bounds the memory.
const BATCH_CHUNKS_MAX: usize = 16;
/// Bytes that stay within a chunk even if each of them is replaced by three.
const LOSSY_BYTES_MAX: usize = limits::LOG_CHUNK_BYTES_MAX / 3;

/// The log of one attempt.
pub struct Logs {
    attempt: String,
    folder: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    /// The number of the next chunk to cut.
    next: u64,
    /// Up to here everything is cut.
    source: String,
    offset: u64,
    /// Cut, perhaps sent, not acknowledged.
    batch: Vec<Cut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cut {
    number: u64,
    source: String,
    offset: u64,
    bytes: usize,
    at_ms: Millis,
}

impl Logs {
    /// Takes up the log of an attempt where it was left.
    pub fn open(attempt: &str, folder: &Path) -> io::Result<Logs> {
        let kept = durable::read_json(&folder.join("logs.json"))?.unwrap_or_default();
        Ok(Logs { attempt: attempt.to_owned(), folder: folder.to_owned(), kept })
    }

    /// What to send now; empty if the server has all there is. With `ended`, nothing more will come.
    pub fn batch(&mut self, ended: bool) -> io::Result<Vec<LogChunk>> {
        if self.kept.batch.is_empty() {
            self.cut(ended)?;
        }
        let read = |cut: &Cut| {
            let bytes = self.read(&cut.source, cut.offset, cut.bytes)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(LogChunk { attempt: self.attempt.clone(), number: cut.number, at_ms: cut.at_ms, text })
        };
        self.kept.batch.iter().map(read).collect()
    }

    /// The server has the last batch.
    pub fn accepted(&mut self) -> io::Result<()> {
        self.kept.batch.clear();
        durable::write_json(&self.folder.join("logs.json"), &self.kept)
    }

    fn cut(&mut self, ended: bool) -> io::Result<()> {
        let sources = self.sources()?;
        let mut kept = self.kept.clone();
        for (index, source) in sources.iter().enumerate() {
            if kept.batch.len() == BATCH_CHUNKS_MAX {
                break;
            }
            if *source < kept.source {
                continue;
            }
            if *source > kept.source {
                kept.source.clone_from(source);
                kept.offset = 0;
            }
            // A later source exists only after the earlier one has ended.
            let whole = ended || index + 1 < sources.len();
            while kept.batch.len() < BATCH_CHUNKS_MAX {
                let bytes = self.read(source, kept.offset, limits::LOG_CHUNK_BYTES_MAX)?;
                let length = cut_length(&bytes, whole);
                if length == 0 {
                    break;
                }
                let cut = Cut { number: kept.next, source: source.clone(), offset: kept.offset, bytes: length, at_ms: now_ms() };
                kept.batch.push(cut);
                kept.next += 1;
                kept.offset += length as u64;
            }
        }
        if !kept.batch.is_empty() {
            durable::write_json(&self.folder.join("logs.json"), &kept)?;
            self.kept = kept;
        }
        Ok(())
    }

    fn sources(&self) -> io::Result<Vec<String>> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().join(OUTPUT).is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                sources.push(name);
            }
        }
        sources.sort();
        Ok(sources)
    }

    fn read(&self, source: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.folder.join(source).join(OUTPUT))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut read = Vec::new();
        file.take(bytes as u64).read_to_end(&mut read)?;
        Ok(read)
    }
}

/// How many of the bytes make the next chunk: no character is cut in two, and replaced ones do not make it too long.
fn cut_length(bytes: &[u8], whole: bool) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        // The begin of a character whose rest is still to come, or beyond this chunk.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        Err(error) if error.error_len().is_none() && !whole && bytes.len() < 4 => 0,
        Err(_) => bytes.len().min(LOSSY_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, source: &str, text: &[u8]) {
        use std::io::Write as _;
        fs::create_dir_all(folder.join(source)).expect("a folder");
        let path = folder.join(source).join(OUTPUT);
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
        file.write_all(text).expect("written");
    }

    fn texts(chunks: &[LogChunk]) -> Vec<(u64, &str)> {
        chunks.iter().map(|chunk| (chunk.number, chunk.text.as_str())).collect()
    }

    #[test]
    fn a_number_means_the_same_bytes_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "00000-001", b"one\n");
        let mut logs = Logs::open("a", folder.path()).expect("logs");
        assert_eq!(texts(&logs.batch(false).expect("a batch")), [(0, "one\n")]);
        // Sent, but the agent dies before it hears the answer; meanwhile more comes.
        write(folder.path(), "00000-001", b"two\n");
        write(folder.path(), "00001-001", b"three\n");
        let mut logs = Logs::open("a", folder.path()).expect("logs");
        assert_eq!(texts(&logs.batch(false).expect("a batch")), [(0, "one\n")]);
        logs.accepted().expect("kept");
        let mut logs = Logs::open("a", folder.path()).expect("logs");
        assert_eq!(texts(&logs.batch(true).expect("a batch")), [(1, "two\n"), (2, "three\n")]);
        logs.accepted().expect("kept");
        assert!(logs.batch(true).expect("a batch").is_empty());
    }

    #[test]
    fn chunks_are_bounded_and_characters_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "00000-001", "ä".repeat(limits::LOG_CHUNK_BYTES_MAX).as_bytes());
        write(folder.path(), "00001-001", &vec![0xff; 40_000]);
        let mut logs = Logs::open("a", folder.path()).expect("logs");
        let mut all = String::new();
        let mut next = 0;
        loop {
            let batch = logs.batch(true).expect("a batch");
            if batch.is_empty() {
                break;
            }
            for chunk in &batch {
                assert_eq!(chunk.number, next);
                assert!(chunk.text.len() <= limits::LOG_CHUNK_BYTES_MAX);
                next += 1;
                all.push_str(&chunk.text);
            }
            logs.accepted().expect("kept");
        }
        assert_eq!(all, format!("{}{}", "ä".repeat(limits::LOG_CHUNK_BYTES_MAX), "\u{fffd}".repeat(40_000)));
    }
}
