//! JSON text to a tree. The grammar is `serde_json`'s; limits and duplicate keys are ours.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use tidegate_domain::limits;
use tidegate_domain::refusal::{Code, Refusal};

use super::tree::{self, Entry, Piece, Segment, Value};

/// The tree of a JSON text.
pub(super) fn piece(text: &str) -> Result<Piece, Refusal> {
    let mut reading = Reading::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = Seed { reading: &mut reading, depth: 0 }.deserialize(&mut deserializer);
    let result = result.and_then(|piece| deserializer.end().map(|()| piece));
    result.map_err(|error| {
        let position = format!("line {}, column {}", error.line(), error.column());
        match reading.refusal {
            Some(refusal) if reading.path.is_empty() => refusal.at(position),
            Some(refusal) => refusal.at(format!("{} ({position})", tree::path_text(&reading.path))),
            None => malformed(&error, text).at(position),
        }
    })
}

fn malformed(error: &serde_json::Error, text: &str) -> Refusal {
    if text.trim().is_empty() {
        return Refusal::new(Code::Malformed, "the body is empty", "send a JSON object");
    }
    let sentence = error.to_string();
    let what = sentence.split(" at line ").next().unwrap_or("it cannot be read");
    Refusal::new(Code::Malformed, format!("the body is not JSON: {what}"), "send one JSON value and nothing after it")
}

/// What is known while reading. The refusal waits here because `serde_json`'s error can only carry text.
#[derive(Default)]
struct Reading {
    refusal: Option<Refusal>,
    path: Vec<Segment>,
    pieces: usize,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&mut self, refusal: Refusal) -> E {
        let error = E::custom(&refusal.what);
        self.refusal.get_or_insert(refusal);
        error
    }
}

struct Seed<'a> {
    reading: &'a mut Reading,
    depth: usize,
}

impl Seed<'_> {
    fn below(&mut self) -> Seed<'_> {
        Seed { reading: self.reading, depth: self.depth + 1 }
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth >= limits::BODY_DEPTH_MAX { Err(self.reading.refuse(tree::too_deep())) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Piece;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Piece, D::Error> {
        self.reading.pieces += 1;
        if self.reading.pieces > tree::PIECES_MAX {
            return Err(self.reading.refuse(tree::too_many()));
        }
        let value = deserializer.deserialize_any(self)?;
        Ok(Piece { value, span: 0..0 })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Natural(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Natural))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut items = Vec::new();
        self.reading.path.push(Segment::Index(0));
        while let Some(piece) = access.next_element_seed(self.below())? {
            items.push(piece);
            if let Some(last) = self.reading.path.last_mut() {
                *last = Segment::Index(items.len());
            }
        }
        self.reading.path.pop();
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            self.reading.path.push(Segment::Key(key.clone()));
            let piece = access.next_value_seed(self.below())?;
            self.reading.path.pop();
            entries.push(Entry { key, key_span: 0..0, piece });
        }
        if let Some(index) = tree::repeated(&entries) {
            let key: &Entry = &entries[index];
            self.reading.path.push(Segment::Key(key.key.clone()));
            return Err(A::Error::custom(self.reading.refuse::<A::Error>(tree::twice(&key.key))));
        }
        Ok(Value::Map(entries))
    }
}
