//! A refusal that the domain raises inside serde keeps its code, whoever raises it.

use std::path::Path;

use expect_test::expect;
use serde::de::DeserializeOwned;
use tidegate_api::strict;
use tidegate_domain::deployment::strategy::Amount;
use tidegate_domain::event::Actor;
use tidegate_domain::{Digest, Id, Name, Version};

fn line<T: DeserializeOwned>(kind: &str, body: &str) -> String {
    let refusal = strict::json::<Vec<T>>(body.as_bytes()).err().expect("it is refused");
    format!("{kind}: {} at {}: {}", refusal.code, refusal.place.unwrap_or_default(), refusal.what)
}

#[test]
fn every_text_of_the_domain_keeps_its_code() {
    let lines = [
        line::<Name>("name", r#"["A b"]"#),
        line::<Id>("id", r#"["fine","-"]"#),
        line::<Version>("version", r#"["1..2"]"#),
        line::<Digest>("digest", r#"["sha256:12"]"#),
        line::<Actor>("actor", r#"["robot:7"]"#),
        line::<Actor>("actor's name", r#"["person:A B"]"#),
        line::<Amount>("amount", r#"["a few"]"#),
        line::<Amount>("amount in part", r"[1.5]"),
        line::<std::collections::BTreeMap<Name, Version>>("key", r#"[{"A b":"1"}]"#),
        line::<std::collections::BTreeMap<Name, Version>>("value", r#"[{"a":"1 2"}]"#),
    ];
    expect![[r#"
        name: name_invalid at [0]: "A b" is not a name
        id: name_invalid at [1]: "-" is not an id
        version: version_invalid at [0]: "1..2" is not a version
        digest: digest_invalid at [0]: "sha256:12" is not a digest
        actor: malformed at [0]: not an actor
        actor's name: name_invalid at [0]: "A B" is not a name
        amount: out_of_range at [0]: "a few" is not an amount
        amount in part: out_of_range at [0]: "1.5" is not an amount
        key: name_invalid at [0].A b: "A b" is not a name
        value: version_invalid at [0].a: "1 2" is not a version"#]]
    .assert_eq(&lines.join("\n"));
}

/// The list of parsers in `strict::read` is complete as long as the domain has no further `try_from`.
#[test]
fn the_domain_parses_no_other_texts() {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the domain's sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("a source");
                let lines = text.lines().collect::<Vec<_>>();
                let tries = (0..lines.len()).filter(|at| lines[*at].contains("#[serde(try_from"));
                let name = |at: usize| lines[at..].iter().find_map(|line| line.strip_prefix("pub ")).unwrap_or("?").to_owned();
                found.extend(tries.map(name));
            }
        }
    }
    found.sort();
    expect![[r#"
        enum Actor {
        enum Amount {
        struct Digest(String);
        struct Id(String);
        struct Name(String);
        struct Version(String);"#]]
    .assert_eq(&found.join("\n"));
}
