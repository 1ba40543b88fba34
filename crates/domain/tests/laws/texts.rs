//! Names, ids, versions and digests accept exactly their grammar, and hostile text never breaks them.

use proptest::prelude::*;
use tidegate_domain::ids::clip;
use tidegate_domain::{Digest, Id, Name, Version};

/// Text that looks nearly right, and text from hell.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.-]{0,66}",
        "[A-Za-z0-9._+-]{0,68}",
        "sha256:[0-9a-f]{62,66}",
        "sha256:[0-9a-fA-F]{64}",
        any::<String>(),
        prop::sample::select(vec![
            "", ".", "..", "-", "a..b", "../x", "1..2", "a/b", "\0", "a\n", "é", "𝟙", "A", "a.", "sha256:"
        ])
        .prop_map(str::to_owned),
    ]
}

fn is_edge(c: Option<char>) -> bool {
    c.is_some_and(|c| matches!(c, 'a'..='z' | '0'..='9'))
}

fn is_name(text: &str) -> bool {
    let inner = text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.'));
    (1..=63).contains(&text.len()) && inner && is_edge(text.chars().next()) && is_edge(text.chars().last())
}

fn is_id(text: &str) -> bool {
    let inner = text.chars().all(|c| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-'));
    (3..=40).contains(&text.len()) && inner && !text.starts_with('-')
}

fn is_version(text: &str) -> bool {
    let letter = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9');
    let inner = text.chars().all(|c| letter(c) || matches!(c, '.' | '-' | '_' | '+'));
    (1..=64).contains(&text.len()) && inner && text.chars().next().is_some_and(letter) && !text.contains("..")
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

/// Whether text is taken, both by hand and from JSON, and comes out as it went in.
fn taken<T>(parsed: Result<T, tidegate_domain::Refusal>, text: &str) -> bool
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug + std::fmt::Display,
{
    let from_json = serde_json::from_value::<T>(serde_json::Value::String(text.to_owned()));
    assert_eq!(parsed.is_ok(), from_json.is_ok(), "by hand and from JSON");
    if let Ok(value) = &parsed {
        assert_eq!(value.to_string(), text);
        assert_eq!(serde_json::to_value(value).unwrap(), text);
    }
    parsed.is_ok()
}

proptest! {
    #[test]
    fn each_accepts_exactly_its_grammar(text in text()) {
        prop_assert_eq!(taken(Name::parse(&text), &text), is_name(&text));
        prop_assert_eq!(taken(Id::parse(&text), &text), is_id(&text));
        prop_assert_eq!(taken(Version::parse(&text), &text), is_version(&text));
        prop_assert_eq!(taken(Digest::parse(&text), &text), is_digest(&text));
    }

    #[test]
    fn a_refusal_quotes_little_and_nothing_that_steers_a_terminal(text in any::<String>()) {
        let shown = clip(&text);
        prop_assert!(shown.chars().count() <= 41);
        prop_assert!(!shown.chars().any(char::is_control));
        for refusal in [Name::parse(&text).err(), Id::parse(&text).err(), Version::parse(&text).err(), Digest::parse(&text).err()] {
            prop_assert!(refusal.is_none_or(|refusal| !refusal.to_string().chars().any(char::is_control)));
        }
    }

    #[test]
    fn the_id_of_a_fallback_is_an_id(text in "[A-Za-z0-9][A-Za-z0-9-]{2,36}") {
        let fallback = Id::parse(&text).unwrap().fallback();
        prop_assert_eq!(Id::parse(fallback.as_str()).unwrap(), fallback);
    }

    #[test]
    fn a_digest_is_of_its_bytes(bytes in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        let digest = Digest::of(&bytes);
        prop_assert!(is_digest(digest.as_str()));
        prop_assert_eq!(digest == Digest::of(&other), bytes == other);
    }
}
