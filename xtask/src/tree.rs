//! The text files of the project, read once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours: build output, packages, local data.
const SKIPPED: [&str; 5] = ["target", "node_modules", ".git", "tidegate-data", ".idea"];

/// Larger files are data, not text that somebody wrote.
const BYTES_MAX: u64 = 4 << 20;

/// Every text file below the root, by its path with `/`.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files below `root`; what is not UTF-8 is no text and is left out.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
                if kind.is_dir() && !skipped {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    tree.take(root, &entry.path())?;
                }
            }
        }
        Ok(tree)
    }

    fn take(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        if std::fs::metadata(path)?.len() > BYTES_MAX {
            return Ok(());
        }
        let relative = path.strip_prefix(root).unwrap_or(path);
        if let (Ok(text), Some(name)) = (String::from_utf8(std::fs::read(path)?), relative.to_str()) {
            self.files.insert(name.to_owned(), text);
        }
        Ok(())
    }

    /// A tree of given files, for tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// All files in order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

/// The root of the project: where the workspace's `Cargo.toml` is.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where what is built goes.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
