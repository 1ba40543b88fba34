//! A tree to a type: a serde deserializer that keeps path and position, and an error that keeps the code.
//!
//! serde hands errors of ours through untouched, so an unknown field, a missing one or a wrong type arrive as calls with their
//! parts ([`de::Error`]) and not as sentences to be taken apart. One thing does arrive as a sentence: a refusal of the domain
//! raised by `#[serde(try_from)]` (`Name`, `Version`, …), because serde only asks it to print itself. [`DOMAIN`] brings it back
//! whole: the few parsers that can have raised it are asked again about the very text they were given, and the one that
//! says the same sentence is the one that said it. A test counts the `try_from` of the domain against that list.

use std::fmt;
use std::ops::Range;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use tidegate_domain::deployment::strategy::{Amount, AmountText};
use tidegate_domain::event::Actor;
use tidegate_domain::ids::clip;
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::{Digest, Id, Name, Version};

use super::tree::{Entry, Piece, Segment, Value, path_text};
use super::wording::{found, one_of, range_of, suggestion, wanted};

/// Makes a `T` of the tree.
pub(super) fn read<T: DeserializeOwned>(piece: &Piece) -> Result<T, Wrong> {
    T::deserialize(Reader { piece }).map_err(|wrong| wrong.settled(piece, &piece.span))
}

type DomainParser = fn(&str) -> Result<(), Refusal>;

/// Every parser of the domain that serde calls with a text.
pub(super) const DOMAIN: [DomainParser; 6] = [
    |text| Name::parse(text).map(drop),
    |text| Id::parse(text).map(drop),
    |text| Version::parse(text).map(drop),
    |text| Digest::parse(text).map(drop),
    |text| Actor::try_from(text.to_owned()).map(drop),
    |text| Amount::try_from(AmountText::Percent(text.to_owned())).map(drop),
];

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Boxed, as serde moves errors around by value.
    refusal: Box<Refusal>,
    /// Where in the text; none until the value is known at which it arose.
    span: Option<Range<usize>>,
    path: Vec<Segment>,
    shape: Shape,
}

/// Where a wrong is shown, and how its code is found.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// At the value itself.
    Value,
    /// A whole mapping lacks something: shown at the key above it.
    Whole,
    /// A sentence that may be the domain's.
    Sentence,
    /// A text among a list of names; unknown fields when it is a key.
    Choice,
}

impl Wrong {
    fn new(code: Code, what: impl Into<String>, remedy: impl Into<String>) -> Wrong {
        Wrong { refusal: Box::new(Refusal::new(code, what, remedy)), span: None, path: Vec::new(), shape: Shape::Value }
    }

    /// A refusal whose position is known.
    pub fn at(refusal: Refusal, span: Range<usize>) -> Wrong {
        Wrong { refusal: Box::new(refusal), span: Some(span), path: Vec::new(), shape: Shape::Value }
    }

    /// The same, with the way from the root in front.
    pub fn below(mut self, mut path: Vec<Segment>) -> Wrong {
        path.append(&mut self.path);
        self.path = path;
        self
    }

    /// The refusal, at its path.
    pub fn refusal(&self) -> Refusal {
        let path = path_text(&self.path);
        let refusal = Refusal::clone(&self.refusal);
        if path.is_empty() { refusal } else { refusal.at(path) }
    }

    /// Where it is in the text.
    pub fn span(&self) -> Range<usize> {
        self.span.clone().unwrap_or(0..0)
    }

    /// Arose at `piece`; `above` is the key or item that holds it.
    fn settled(mut self, piece: &Piece, above: &Range<usize>) -> Wrong {
        if self.span.is_some() {
            return self;
        }
        match self.shape {
            Shape::Sentence => self.recognise(piece),
            Shape::Value | Shape::Whole | Shape::Choice => {}
        }
        self.span = Some(if self.shape == Shape::Whole { above.clone() } else { piece.span.clone() });
        self
    }

    /// Arose at a key.
    fn settled_at_key(mut self, entry: &Entry) -> Wrong {
        if self.span.is_some() {
            return self;
        }
        match self.shape {
            Shape::Choice => self.refusal.code = Code::UnknownField,
            Shape::Sentence => {
                let piece = Piece { value: Value::Text(entry.key.clone()), span: entry.key_span.clone() };
                self.recognise(&piece);
            }
            Shape::Value | Shape::Whole => {}
        }
        self.span = Some(entry.key_span.clone());
        self.path.push(Segment::Key(entry.key.clone()));
        self
    }

    fn recognise(&mut self, piece: &Piece) {
        let sentence = &self.refusal.what;
        let refusal = match &piece.value {
            Value::Text(text) => {
                DOMAIN.iter().filter_map(|parse| parse(text).err()).find(|refusal| refusal.to_string() == *sentence)
            }
            // An amount is the only thing that is either a number or a text; serde does not say what was wrong with it.
            value if sentence.contains("AmountText") => {
                Amount::try_from(AmountText::Percent(found(&unexpected(value)).trim_matches('"').to_owned())).err()
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            *self.refusal = refusal;
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(sentence: T) -> Wrong {
        let remedy = "compare it with the JSON Schema (tidegate schema)";
        Wrong { shape: Shape::Sentence, ..Wrong::new(Code::Malformed, sentence.to_string(), remedy) }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        let (kind, remedy) = wanted(&expected.to_string());
        Wrong::new(Code::Malformed, format!("{} stands where {kind} is meant", found(&unexpected)), remedy)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        match range_of(&expected.to_string()) {
            Some(range) => {
                Wrong::new(Code::OutOfRange, format!("{} is out of range", found(&unexpected)), format!("use {range}"))
            }
            None => Wrong::invalid_type(unexpected, expected),
        }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Wrong {
        Wrong::new(Code::Malformed, format!("there are {length} items"), format!("write {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Wrong {
        let what = format!("\"{}\" is not known here", clip(variant));
        Wrong { shape: Shape::Choice, ..Wrong::new(Code::Malformed, what, suggestion(variant, expected)) }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Wrong {
        let what = format!("there is no field {} here", clip(field));
        Wrong { shape: Shape::Choice, ..Wrong::new(Code::UnknownField, what, suggestion(field, expected)) }
    }

    fn missing_field(field: &'static str) -> Wrong {
        let what = format!("the field {field} is missing");
        Wrong { shape: Shape::Whole, ..Wrong::new(Code::Malformed, what, format!("add {field}")) }
    }

    fn duplicate_field(field: &'static str) -> Wrong {
        Wrong { refusal: Box::new(super::tree::twice(field)), span: None, path: Vec::new(), shape: Shape::Whole }
    }
}

/// How serde is told what is there.
fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Natural(value) => Unexpected::Unsigned(*value),
        Value::Negative(value) => Unexpected::Signed(*value),
        Value::Float(value) => Unexpected::Float(*value),
        Value::Text(value) => Unexpected::Str(value),
        Value::List(_) => Unexpected::Seq,
        Value::Map(_) => Unexpected::Map,
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    piece: &'a Piece,
}

impl<'de> Reader<'de> {
    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.piece.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Natural(_) | Value::Negative(_) | Value::Float(_) => Err(Wrong::new(
                Code::VersionIsNumber,
                format!("{} is read as a number, where text is meant", found(&unexpected(&self.piece.value))),
                "put it in quotes, such as \"1.10\"",
            )),
            other => Err(de::Error::invalid_type(unexpected(other), &"a string")),
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.piece.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Natural(value) => visitor.visit_u64(*value),
            Value::Negative(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::List(items) => visitor.visit_seq(Items { items, index: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries { entries, index: 0 }),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if matches!(self.piece.value, Value::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// serde's structs would also take a list of their fields in order; nobody may write them so.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.piece.value {
            Value::Map(_) => self.deserialize_any(visitor),
            other => Err(de::Error::invalid_type(unexpected(other), &"a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.piece.value {
            Value::Text(_) => visitor.visit_enum(Variant { piece: self.piece, entry: None }),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { piece: self.piece, entry: entries.first() })
            }
            Value::Map(entries) if !entries.is_empty() => {
                let what = format!("a mapping with {} keys stands where exactly one is meant", entries.len());
                let extra = Wrong::new(Code::Malformed, what, format!("keep one: {}", one_of(variants)));
                Err(Wrong { span: entries.get(1).map(|entry| entry.key_span.clone()), ..extra })
            }
            other => {
                let what = format!("{} stands where a choice is meant", found(&unexpected(other)));
                Err(Wrong::new(Code::Malformed, what, format!("write {}", one_of(variants))))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Piece],
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(piece) = self.items.get(self.index) else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let read = seed.deserialize(Reader { piece });
        read.map(Some).map_err(|wrong| wrong.settled(piece, &piece.span).below(vec![Segment::Index(index)]))
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    index: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(entry) = self.entries.get(self.index) else { return Ok(None) };
        seed.deserialize(entry.key.as_str().into_deserializer()).map(Some).map_err(|wrong: Wrong| wrong.settled_at_key(entry))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let Some(entry) = self.entries.get(self.index) else { return Err(de::Error::custom("a value was asked for twice")) };
        self.index += 1;
        seed.deserialize(Reader { piece: &entry.piece }).map_err(|wrong| within(wrong, entry))
    }
}

fn within(wrong: Wrong, entry: &Entry) -> Wrong {
    wrong.settled(&entry.piece, &entry.key_span).below(vec![Segment::Key(entry.key.clone())])
}

/// An externally tagged enum: a text, or a mapping with one key.
struct Variant<'a> {
    piece: &'a Piece,
    entry: Option<&'a Entry>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Wrong> {
        let value = match (self.entry, &self.piece.value) {
            (Some(entry), _) => {
                seed.deserialize(entry.key.as_str().into_deserializer()).map_err(|wrong: Wrong| wrong.settled_at_key(entry))
            }
            (None, Value::Text(text)) => seed
                .deserialize(text.as_str().into_deserializer())
                .map_err(|wrong: Wrong| wrong.settled(self.piece, &self.piece.span)),
            (None, other) => Err(de::Error::invalid_type(unexpected(other), &"a string")),
        }?;
        Ok((value, self))
    }
}

impl Variant<'_> {
    fn lacks_fields(&self) -> Wrong {
        let name = found(&unexpected(&self.piece.value));
        let name = name.trim_matches('"');
        Wrong::new(Code::Malformed, format!("{name} stands without its fields"), format!("write {name}: and its fields below it"))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.entry {
            None => Ok(()),
            Some(entry) if matches!(entry.piece.value, Value::Null) => Ok(()),
            Some(entry) => {
                let what = format!("{} takes no fields", clip(&entry.key));
                Err(within(Wrong::new(Code::Malformed, what, format!("write {} alone", clip(&entry.key))), entry))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        let Some(entry) = self.entry else { return Err(self.lacks_fields()) };
        seed.deserialize(Reader { piece: &entry.piece }).map_err(|wrong| within(wrong, entry))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Wrong> {
        let Some(entry) = self.entry else { return Err(self.lacks_fields()) };
        de::Deserializer::deserialize_seq(Reader { piece: &entry.piece }, visitor).map_err(|wrong| within(wrong, entry))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        let Some(entry) = self.entry else { return Err(self.lacks_fields()) };
        let reader = Reader { piece: &entry.piece };
        de::Deserializer::deserialize_struct(reader, "", fields, visitor).map_err(|wrong| within(wrong, entry))
    }
}
