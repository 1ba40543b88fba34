//! Reads JSON and YAML whole or not at all: bounded in bytes, depth and size, no duplicate key, no unknown field, and every no
//! with its code, its place and what would be right.
//!
//! Both texts are first read into one small tree ([`tree`]), which is where limits and duplicate keys are checked and, for
//! YAML, positions are kept. [`read`] then makes the wanted type of the tree. Its error type is ours, so that serde tells us
//! *which* field is unknown instead of a sentence about it; see [`read`] for how a refusal of the domain keeps its code on the
//! way through serde.

mod json;
mod read;
mod resolve;
mod schema;
mod snippet;
mod tree;
mod wording;
mod yaml;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tidegate_domain::refusal::{Code, Refusal};

use crate::strict::snippet::Source;
use crate::strict::tree::Piece;

pub use schema::schema;

/// Refusals that are drawn for one file; whoever has more looks at the first ones first.
const REFUSALS_MAX: usize = 100;

/// Reads one JSON body.
///
/// # Errors
///
/// [`Code::TooLarge`], [`Code::TooDeep`], [`Code::DuplicateKey`], [`Code::UnknownField`], [`Code::VersionIsNumber`],
/// [`Code::OutOfRange`], [`Code::Malformed`], or the code of whatever the domain refuses while it is parsed, at the path.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    tree::bounded(bytes.len())?;
    let piece = json::piece(utf8(bytes)?)?;
    read::read(&piece).map_err(|wrong| wrong.refusal())
}

/// The text that `bytes` are.
///
/// # Errors
///
/// [`Code::Malformed`], at the first byte that is not UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        Refusal::new(Code::Malformed, "the text is not UTF-8", "save it as UTF-8")
            .at(format!("line {line}, byte {}", error.valid_up_to() + 1))
    })
}

/// Reads every document of a YAML file. All that is wrong is told, one refusal for each document that
/// cannot be read, up to a hundred.
///
/// # Errors
///
/// What [`json`] refuses, and anchors, tags and directives that make the text mean something else than it shows.
pub fn yaml<T: DeserializeOwned>(text: &str, file: &str) -> Result<Vec<Located<T>>, Vec<Marked>> {
    yaml_checked(text, file, |_| Ok(()))
}

/// The same, with a rule that every document must pass as well; a document that does not is told beside those that cannot be
/// read.
///
/// # Errors
///
/// As [`yaml`], and what `check` says, at the field that its place names.
pub fn yaml_checked<T: DeserializeOwned>(
    text: &str,
    file: &str,
    check: impl Fn(&T) -> Result<(), Refusal>,
) -> Result<Vec<Located<T>>, Vec<Marked>> {
    let source = Arc::new(Source { file: file.to_owned(), text: text.to_owned() });
    if let Err(refusal) = tree::bounded(text.len()) {
        return Err(vec![Marked { refusal: refusal.at(file), snippet: String::new() }]);
    }
    let documents = yaml::documents(text).map_err(|wrong| vec![source.mark(&wrong)])?;
    let mut values = Vec::new();
    let mut refused = Vec::new();
    for document in documents {
        if refused.len() == REFUSALS_MAX {
            break;
        }
        match read::read(&document) {
            Ok(value) => {
                let located = Located { value, document, source: source.clone() };
                match check(&located.value) {
                    Ok(()) => values.push(located),
                    Err(refusal) => refused.push(located.mark(&refusal)),
                }
            }
            Err(wrong) => refused.push(source.mark(&wrong)),
        }
    }
    if refused.is_empty() { Ok(values) } else { Err(refused) }
}

/// A refusal and the lines of the file that it is about, drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The refusal; its place is `file:line:column (path)`.
    pub refusal: Refusal,
    /// The lines, with the place underlined; plain text, several lines, empty if there is nothing to show.
    pub snippet: String,
}

/// A value and where in a file it came from.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    document: Piece,
    source: Arc<Source>,
}

impl<T> Located<T> {
    /// The file and line where it begins: `estate.yaml:12`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.source.file, self.source.line(self.document.span.start))
    }

    /// A refusal of this value by a later rule, drawn at the field that its place names.
    ///
    /// The longest beginning of the place that exists in the file is underlined. A definition stands below the key that names
    /// its kind, so the place is looked for there as well.
    pub fn mark(&self, refusal: &Refusal) -> Marked {
        let path = refusal.place.as_deref().unwrap_or("");
        self.source.mark_at(refusal, self.document.find(path))
    }
}
