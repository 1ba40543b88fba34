//! YAML text to trees, one for each document. The grammar is granit-parser's; limits, duplicate keys and the refusal of what
//! hides meaning (tags, directives, keys that are not text) are ours.
//!
//! Aliases are read, as repeating a list of gates is a fair use; each copy counts against the same budget as written text, so
//! a bomb is refused after [`tree::PIECES_MAX`] values at the latest, and before it is expanded.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};
use tidegate_domain::ids::clip;
use tidegate_domain::limits;
use tidegate_domain::refusal::{Code, Refusal};

use super::read::Wrong;
use super::resolve;
use super::tree::{self, Entry, Piece, Segment, Value};

/// The trees of all documents of `text`.
pub(super) fn documents(text: &str) -> Result<Vec<Piece>, Wrong> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        // The parser's own bounds only keep it from working for nothing; ours is met first.
        flow_nesting_limit: limits::BODY_DEPTH_MAX * 2,
        block_nesting_limit: limits::BODY_DEPTH_MAX * 2,
    };
    let mut builder = Builder { text, documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), pieces: 0 };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| unreadable(text, &error))?;
        builder.take(event, bytes(text, &span))?;
    }
    if builder.documents.is_empty() {
        let refusal = Refusal::new(Code::Malformed, "the file holds no document", "write at least one definition");
        return Err(Wrong::at(refusal, 0..0));
    }
    Ok(builder.documents)
}

fn bytes(text: &str, span: &Span) -> Range<usize> {
    let at = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or(0).min(text.len());
    at(&span.start)..at(&span.end)
}

fn unreadable(text: &str, error: &ScanError) -> Wrong {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let refusal = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
            Refusal::new(Code::Malformed, "a tab stands where only spaces may", "indent with spaces")
        }
        ErrorKind::DirectiveDisallowed => {
            Refusal::new(Code::Malformed, "a YAML directive (%) changes how the text is read", "delete the line")
        }
        ErrorKind::UnknownAnchor => {
            Refusal::new(Code::Malformed, "an alias names an anchor that is not there", "write the value out")
        }
        ErrorKind::RecursionLimitExceeded => tree::too_deep(),
        _ => Refusal::new(Code::Malformed, format!("not YAML: {}", error.info()), "check the indentation and quotes around here"),
    };
    Wrong::at(refusal, at..at)
}

/// A list or mapping that is not closed yet.
struct Open {
    value: Value,
    /// A key whose value has not come yet.
    key: Option<(String, Range<usize>)>,
    anchor: usize,
    start: usize,
}

struct Builder<'a> {
    text: &'a str,
    documents: Vec<Piece>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Piece, usize)>,
    pieces: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Wrong> {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => Ok(()),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::UnresolvedAlias(_) => {
                Err(self.wrong(&span, "an alias names an anchor that is not there", "write the value out"))
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(word, style, anchor, tag) => {
                self.untagged(tag.is_some(), &span)?;
                self.scalar(&word, style, anchor, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.untagged(tag.is_some(), &span)?;
                self.enter(Value::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.untagged(tag.is_some(), &span)?;
                self.enter(Value::Map(Vec::new()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(&span),
            // The parser may learn new events; none that we do not know is skipped.
            _ => Err(self.wrong(&span, "the YAML uses a construct that is not read here", "write it in plain YAML 1.2")),
        }
    }

    fn wrong(&self, span: &Range<usize>, what: impl Into<String>, remedy: &str) -> Wrong {
        self.refuse(Refusal::new(Code::Malformed, what, remedy), span.clone())
    }

    fn refuse(&self, refusal: Refusal, span: Range<usize>) -> Wrong {
        Wrong::at(refusal, span).below(self.path())
    }

    /// The way to what is being read.
    fn path(&self) -> Vec<Segment> {
        let segment = |open: &Open| match (&open.value, &open.key) {
            (Value::List(items), _) => Some(Segment::Index(items.len())),
            (_, Some((key, _))) => Some(Segment::Key(key.clone())),
            (_, None) => None,
        };
        self.open.iter().filter_map(segment).collect()
    }

    fn untagged(&self, tagged: bool, span: &Range<usize>) -> Result<(), Wrong> {
        if tagged { Err(self.wrong(span, "a YAML tag (!) changes how the value is read", "delete the tag")) } else { Ok(()) }
    }

    fn count(&mut self, more: usize, span: &Range<usize>) -> Result<(), Wrong> {
        self.pieces += more;
        if self.pieces > tree::PIECES_MAX { Err(self.refuse(tree::too_many(), span.clone())) } else { Ok(()) }
    }

    fn enter(&mut self, value: Value, anchor: usize, span: Range<usize>) -> Result<(), Wrong> {
        self.count(1, &span)?;
        if self.open.len() >= limits::BODY_DEPTH_MAX {
            return Err(self.refuse(tree::too_deep(), span));
        }
        if self.awaits_key() {
            return Err(self.wrong(&span, "a list or mapping stands where a key is meant", "use plain text as the key"));
        }
        self.open.push(Open { value, key: None, anchor, start: span.start });
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        self.open.last().is_some_and(|open| matches!(open.value, Value::Map(_)) && open.key.is_none())
    }

    fn scalar(&mut self, word: &str, style: ScalarStyle, anchor: usize, span: Range<usize>) -> Result<(), Wrong> {
        self.count(1, &span)?;
        let value = if style == ScalarStyle::Plain {
            // A value that is not written at all comes as an empty range.
            let word = if span.is_empty() { "" } else { word };
            resolve::plain(word).map_err(|why| {
                self.wrong(&span, format!("{} {why}", clip(word)), "write a finite number, or put the text in quotes")
            })?
        } else {
            Value::Text(word.to_owned())
        };
        if !self.awaits_key() {
            return self.put(Piece { value, span }, anchor);
        }
        let Value::Text(key) = value else {
            let shown = clip(&self.text[span.clone()]);
            return Err(self.wrong(&span, format!("the key {shown} is not text"), "put the key in quotes"));
        };
        if let Some(open) = self.open.last_mut() {
            open.key = Some((key, span));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Range<usize>) -> Result<(), Wrong> {
        let Some((piece, pieces)) = self.anchors.get(&anchor).map(|(piece, pieces)| (piece.clone(), *pieces)) else {
            return Err(self.refuse(
                Refusal::new(Code::TooDeep, "an alias stands inside the value that it repeats", "write the value out"),
                span,
            ));
        };
        if self.awaits_key() {
            return Err(self.wrong(&span, "an alias stands where a key is meant", "write the key out"));
        }
        if self.pieces + pieces > tree::PIECES_MAX {
            let what = format!("the aliases expand to more than {} values", tree::PIECES_MAX);
            return Err(self.refuse(Refusal::new(Code::TooDeep, what, "write the values out"), span));
        }
        self.pieces += pieces;
        if self.open.len() + piece.height() > limits::BODY_DEPTH_MAX {
            return Err(self.refuse(tree::too_deep(), span));
        }
        self.put(piece, 0)
    }

    fn leave(&mut self, end: &Range<usize>) -> Result<(), Wrong> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        if let Value::Map(entries) = &open.value
            && let Some(index) = tree::repeated(entries)
        {
            let Entry { key, key_span, .. } = &entries[index];
            let path = self.path().into_iter().chain([Segment::Key(key.clone())]).collect();
            return Err(Wrong::at(tree::twice(key), key_span.clone()).below(path));
        }
        self.put(Piece { value: open.value, span: open.start..end.end.max(open.start) }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, piece: Piece, anchor: usize) -> Result<(), Wrong> {
        if anchor > 0 {
            let pieces = size(&piece);
            // The copy that is kept for aliases is memory, too.
            self.count(pieces, &piece.span)?;
            self.anchors.insert(anchor, (piece.clone(), pieces));
        }
        match self.open.last_mut() {
            None => {
                if matches!(piece.value, Value::Null) {
                    return Err(self.wrong(
                        &piece.span,
                        "a document is empty",
                        "delete its --- line, or write a definition below it",
                    ));
                }
                self.documents.push(piece);
            }
            Some(Open { value: Value::List(items), .. }) => items.push(piece),
            Some(Open { value: Value::Map(entries), key, .. }) => {
                let (key, key_span) = key.take().unwrap_or_default();
                entries.push(Entry { key, key_span, piece });
            }
            // Only lists and mappings are ever opened.
            Some(_) => {}
        }
        Ok(())
    }
}

fn size(piece: &Piece) -> usize {
    match &piece.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.piece)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Natural(_) | Value::Negative(_) | Value::Float(_) | Value::Text(_) => 1,
    }
}
