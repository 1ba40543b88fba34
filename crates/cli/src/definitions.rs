//! Definition files: found, read strictly, checked by the rules of the domain, all of it before anything is sent.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tidegate_api::Definition;
use tidegate_api::strict::{self, Located, Marked};
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::{Name, limits};

use crate::ending::Ending;

/// Files below one folder that are read; more is a folder that was not meant.
const FILES_MAX: usize = 2_000;
/// Folders inside folders that are looked into.
const FOLDERS_DEPTH_MAX: usize = 16;

/// What was read.
#[derive(Debug)]
pub struct Definitions {
    /// In the order of files and documents.
    pub all: Vec<Located<Definition>>,
    /// How many files they came from.
    pub files: usize,
}

/// Reads every definition below `paths`; `-` is stdin.
pub fn read(paths: &[PathBuf]) -> Result<Definitions, Ending> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, 0, &mut files)?;
    }
    let mut all = Vec::new();
    let mut refused = Vec::new();
    for file in &files {
        match strict::yaml_checked(&text(file)?, &file.display().to_string(), Definition::check) {
            Ok(definitions) => all.extend(definitions),
            Err(marked) => refused.extend(marked),
        }
    }
    refused.extend(repeated(&all));
    if refused.is_empty() { Ok(Definitions { all, files: files.len() }) } else { Err(Ending::Files(refused)) }
}

/// Things that are defined more than once.
fn repeated(all: &[Located<Definition>]) -> Vec<Marked> {
    let mut refused = Vec::new();
    let mut seen: BTreeMap<(&str, &Name), &Located<Definition>> = BTreeMap::new();
    for located in all {
        let thing = (located.value.noun().as_str(), located.value.name());
        match seen.get(&thing) {
            Some(first) => {
                let what = format!("{} {} is defined twice, first at {}", thing.0, thing.1, first.place());
                refused.push(located.mark(&Refusal::new(Code::AlreadyExists, what, "delete one of the two").at("name")));
            }
            None => drop(seen.insert(thing, located)),
        }
    }
    refused
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Ending> {
    if path == Path::new("-") || !path.is_dir() {
        files.push(path.to_owned());
    } else if depth < FOLDERS_DEPTH_MAX {
        let mut entries = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
            .map_err(|error| cannot_read(path, &error))?;
        entries.sort();
        let before = files.len();
        for entry in entries {
            let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && (entry.is_dir() || may_define(&entry)) {
                collect(&entry, depth + 1, files)?;
            }
        }
        if depth == 0 && files.len() == before {
            let what = format!("there is no .yaml, .yml or .json file below {}", path.display());
            return Err(Refusal::new(Code::NotFound, what, "name the folder with the definitions")
                .at(path.display().to_string())
                .into());
        }
    }
    if files.len() > FILES_MAX {
        let what = format!("there are more than {FILES_MAX} files");
        return Err(Refusal::new(Code::TooLarge, what, "name fewer at once").at(path.display().to_string()).into());
    }
    Ok(())
}

/// Whether a file of a folder is meant as definitions. The schema that editors check them by lies beside them.
fn may_define(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) && !name.ends_with(".schema.json")
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::NotFound, format!("{} cannot be read: {error}", path.display()), "check the path and its permissions")
}

/// The text of one file, never more of it than the strict reader would take.
pub fn text(path: &Path) -> Result<String, Ending> {
    let mut bytes = Vec::new();
    let limit = limits::BODY_BYTES_MAX as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| cannot_read(path, &error))?;
    match strict::utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        // A character cut in two by the limit is no fault of the file; its size is told instead.
        Err(_) if bytes.len() > limits::BODY_BYTES_MAX => Ok(" ".repeat(bytes.len())),
        Err(refusal) => {
            let place = format!("{}: {}", path.display(), refusal.place.clone().unwrap_or_default());
            Err(refusal.at(place).into())
        }
    }
}
