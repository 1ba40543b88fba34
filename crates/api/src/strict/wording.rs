//! What serde calls things, in the words of people.

use serde::de::Unexpected;
use tidegate_domain::ids::clip;

/// What is there.
pub(super) fn found(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("\"{}\"", clip(text)),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        other => other.to_string(),
    }
}

/// What is meant, and how to write it, from what a visitor of serde says that it expects.
pub(super) fn wanted(expected: &str) -> (String, String) {
    let (kind, remedy) = match expected {
        "a string" | "a borrowed string" => ("text", "put it in quotes"),
        "a boolean" => ("true or false", "write true or false"),
        "a sequence" => ("a list", "write a list, such as [one, two], or leave the field out"),
        "a map" => ("a mapping", "write its fields below it, or leave it out"),
        "f64" | "f32" => ("a number", "write a number without quotes"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            ("a whole number", "write a whole number without quotes")
        }
        other if other.starts_with("struct") => ("a mapping", "write its fields below it, or leave it out"),
        other => return (other.to_owned(), "compare it with the JSON Schema (tidegate schema)".into()),
    };
    (kind.into(), remedy.into())
}

/// The numbers that fit.
pub(super) fn range_of(expected: &str) -> Option<String> {
    Some(match expected {
        "u8" => format!("0 to {}", u8::MAX),
        "u16" => format!("0 to {}", u16::MAX),
        "u32" => format!("0 to {}", u32::MAX),
        "u64" | "usize" => format!("0 to {}", u64::MAX),
        "i32" => format!("{} to {}", i32::MIN, i32::MAX),
        "i64" | "isize" => format!("{} to {}", i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// `a, b or c`
pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".into(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What was probably meant, and everything that would be right.
pub(super) fn suggestion(written: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return "leave it out; there are no fields here".into();
    }
    let near = names.iter().map(|name| (distance(written, name), name)).min().filter(|(distance, _)| *distance <= 2);
    let all = format!("use {}", one_of(names));
    near.map_or(all.clone(), |(_, name)| format!("did you mean {name}? {all}"))
}

/// How many letters must be put in, taken out or replaced to make one of the other; bounded, as both are short.
fn distance(a: &str, b: &str) -> usize {
    const LENGTH_MAX: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LENGTH_MAX).collect(), b.chars().take(LENGTH_MAX).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
