//! The tree that both JSON and YAML are read into, and the limits that hold for both.

use std::ops::Range;

use tidegate_domain::limits;
use tidegate_domain::refusal::{Code, Refusal};

/// Values in one body: twice what the largest fleet of one plan needs to be defined, and far below what hurts.
pub(super) const PIECES_MAX: usize = 400_000;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub value: Value,
    /// Bytes of the text; empty at 0 where the reader does not know (JSON).
    pub span: Range<usize>,
}

/// What a text says, before anybody asks for a type.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Natural(u64),
    Negative(i64),
    Float(f64),
    Text(String),
    List(Vec<Piece>),
    Map(Vec<Entry>),
}

/// One pair of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub piece: Piece,
}

/// One part of the way from the root to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

/// The way as text: `definitions[2].environment.tier`.
pub(super) fn path_text(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Index(index) => text.push_str(&format!("[{index}]")),
            Segment::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&tidegate_domain::ids::clip(key));
            }
        }
    }
    text
}

/// Refuses a body of too many bytes.
pub(super) fn bounded(bytes: usize) -> Result<(), Refusal> {
    if bytes <= limits::BODY_BYTES_MAX {
        return Ok(());
    }
    let remedy = format!("send at most {} bytes at once", limits::BODY_BYTES_MAX);
    Err(Refusal::new(Code::TooLarge, format!("the text has {bytes} bytes"), remedy))
}

/// What is wrong when there is another level below so many.
pub(super) fn too_deep() -> Refusal {
    let what = format!("the text is nested deeper than {} levels", limits::BODY_DEPTH_MAX);
    Refusal::new(Code::TooDeep, what, "write it flat; no definition needs so many")
}

/// What is wrong past [`PIECES_MAX`].
pub(super) fn too_many() -> Refusal {
    let what = format!("the text holds more than {PIECES_MAX} values");
    Refusal::new(Code::TooLarge, what, "send it in several parts")
}

/// What is wrong with the second of two equal keys.
pub(super) fn twice(key: &str) -> Refusal {
    let what = format!("the key {} stands twice in one mapping", tidegate_domain::ids::clip(key));
    Refusal::new(Code::DuplicateKey, what, "delete one of the two")
}

/// The position of the first entry whose key stands before it already.
pub(super) fn repeated(entries: &[Entry]) -> Option<usize> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|a, b| entries[*a].key.cmp(&entries[*b].key).then(a.cmp(b)));
    order.windows(2).filter(|pair| entries[pair[0]].key == entries[pair[1]].key).map(|pair| pair[1]).min()
}

impl Piece {
    /// Levels of lists and mappings from here down; 0 for a scalar.
    pub fn height(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Piece::height).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.piece.height()).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Natural(_) | Value::Negative(_) | Value::Float(_) | Value::Text(_) => 0,
        }
    }

    /// The place that a domain path such as `strategy.before[1]` or `health.probe` names, as far as it exists here.
    pub fn find(&self, path: &str) -> Range<usize> {
        let (found, reached) = self.walk(path);
        match &self.value {
            Value::Map(entries) if entries.len() == 1 => {
                let (inner, inner_reached) = entries[0].piece.walk(path);
                match () {
                    () if inner_reached > reached => inner,
                    () if reached == 0 => entries[0].key_span.clone(),
                    () => found,
                }
            }
            _ => found,
        }
    }

    /// The last place on the way, and how many parts of the way were found.
    fn walk(&self, path: &str) -> (Range<usize>, usize) {
        let mut here = self;
        let mut span = self.span.clone();
        let mut reached = 0;
        for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let next = match &here.value {
                Value::Map(entries) => {
                    entries.iter().find(|entry| entry.key == part).map(|entry| (entry.key_span.clone(), &entry.piece))
                }
                Value::List(items) => {
                    part.parse::<usize>().ok().and_then(|index| items.get(index)).map(|piece| (piece.span.clone(), piece))
                }
                Value::Null | Value::Bool(_) | Value::Natural(_) | Value::Negative(_) | Value::Float(_) | Value::Text(_) => None,
            };
            let Some((at, piece)) = next else { break };
            (span, here, reached) = (at, piece, reached + 1);
        }
        (span, reached)
    }
}
