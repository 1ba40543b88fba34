//! What holds for any input: no panic, no loss, no silent choice.

use proptest::prelude::*;
use serde_json::Value;
use tidegate_api::definition::Definition;
use tidegate_api::request::{ApplyDefinitions, PlanDeployment};
use tidegate_api::strict;

/// Any JSON value of at most a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1.0e9..1.0e9_f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text made of the pieces that matter to YAML.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "application",
        "name",
        ":",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">\n",
        "'",
        "\"",
        "#",
        "---\n",
        "...\n",
        "%",
        "\t",
        "1.10",
        "~",
        "? ",
        "<<",
        "é",
        "\u{feff}",
        "\r\n",
        "\u{85}",
        "\0",
        "a: &a [*a]",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_json_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = strict::json::<ApplyDefinitions>(&bytes);
    }

    #[test]
    fn no_text_makes_the_yaml_reader_panic(text in prop_oneof![yaml_like(), any::<String>()]) {
        if let Err(marked) = strict::yaml::<Definition>(&text, "any.yaml") {
            prop_assert!(!marked.is_empty());
            prop_assert!(marked.iter().all(|marked| marked.refusal.place.as_ref().is_some_and(|place| place.starts_with("any.yaml:"))));
        }
    }

    #[test]
    fn what_json_accepts_is_what_was_sent(value in any_json()) {
        let text = value.to_string();
        let read: Value = strict::json(text.as_bytes()).expect("it is JSON, few and flat");
        prop_assert_eq!(read, value);
    }

    #[test]
    fn yaml_reads_json_as_json_does(value in any_json()) {
        let text = value.to_string();
        // YAML 1.2 contains JSON but for a few control characters, and a key may be at most 1024 characters from its colon.
        prop_assume!(!value.is_null() && !text.chars().any(|c| c.is_control() || ('\u{7f}'..='\u{9f}').contains(&c)));
        prop_assume!(!text.contains(['\u{feff}', '\u{2028}', '\u{2029}', '\u{fffe}', '\u{ffff}']));
        match strict::yaml::<Value>(&text, "any.yaml") {
            Ok(read) => prop_assert_eq!(&read[0].value, &value),
            Err(marked) => prop_assert!(false, "{}: {}", text, marked[0].refusal),
        }
    }

    #[test]
    fn an_accepted_request_is_written_as_it_was_read(name in "[a-z][a-z0-9-]{0,8}[a-z]", version in "[0-9]{1,3}\\.[0-9]{1,3}") {
        let text = format!(r#"{{"application":"{name}","environment":"e","versions":{{"{name}":"{version}"}}}}"#);
        let read: PlanDeployment = strict::json(text.as_bytes()).expect("it is a plan");
        let again: PlanDeployment = strict::json(&serde_json::to_vec(&read).expect("JSON")).expect("it is a plan still");
        prop_assert_eq!(serde_json::to_string(&read).expect("JSON"), serde_json::to_string(&again).expect("JSON"));
        prop_assert_eq!(read.versions.values().next().expect("one").as_str(), version);
    }

    #[test]
    fn a_number_is_never_a_version(whole in 0_u32..100, part in 0_u32..100) {
        for text in [format!("{whole}.{part}"), format!("{whole}")] {
            let yaml = strict::yaml::<Vec<tidegate_domain::Version>>(&format!("- {text}\n"), "v.yaml");
            prop_assert_eq!(yaml.expect_err("a number")[0].refusal.code.as_str(), "version_is_number");
            let json = strict::json::<Vec<tidegate_domain::Version>>(format!("[{text}]").as_bytes());
            prop_assert_eq!(json.expect_err("a number").code.as_str(), "version_is_number");
            let quoted = strict::yaml::<Vec<tidegate_domain::Version>>(&format!("- \"{text}\"\n"), "v.yaml").expect("a version");
            prop_assert_eq!(quoted[0].value[0].as_str(), &text);
        }
    }

    #[test]
    fn the_same_key_twice_is_never_read(key in "[a-z]{1,6}", before in 0_usize..4, between in 0_usize..4) {
        let filler = |count: usize, name: &str| (0..count).map(|n| format!("\"{name}{n}\":0,")).collect::<Vec<_>>().concat();
        let text = format!("{{{}\"{key}\":1,{}\"{key}\":2}}", filler(before, "A"), filler(between, "B"));
        prop_assert_eq!(strict::json::<Value>(text.as_bytes()).expect_err("twice").code.as_str(), "duplicate_key");
        prop_assert_eq!(strict::yaml::<Value>(&text, "k.yaml").expect_err("twice")[0].refusal.code.as_str(), "duplicate_key");
    }

    #[test]
    fn nesting_is_bounded_whatever_it_is_made_of(kinds in prop::collection::vec(any::<bool>(), 0..70)) {
        let open: String = kinds.iter().map(|list| if *list { "[" } else { "{\"a\":" }).collect();
        let close: String = kinds.iter().rev().map(|list| if *list { "]" } else { "}" }).collect();
        let text = format!("{open}1{close}");
        let deep = kinds.len() > tidegate_domain::limits::BODY_DEPTH_MAX;
        prop_assert_eq!(strict::json::<Value>(text.as_bytes()).is_err_and(|refusal| refusal.code.as_str() == "too_deep"), deep);
        let yaml = strict::yaml::<Value>(&text, "n.yaml");
        prop_assert_eq!(yaml.is_err_and(|marked| marked[0].refusal.code.as_str() == "too_deep"), deep);
    }
}

#[test]
fn the_largest_estate_is_read_in_one_go() {
    let count = tidegate_domain::limits::TARGETS_MAX;
    let target = |n: usize| {
        format!(
            r#"{{"target":{{"name":"t{n}","environment":"production","labels":{{"role":"web","zone":"a"}},"variables":{{"port":"80"}}}}}}"#
        )
    };
    let body = format!(r#"{{"definitions":[{}]}}"#, (0..count).map(target).collect::<Vec<_>>().join(","));
    let read: ApplyDefinitions = strict::json(body.as_bytes()).expect("it is within every limit");
    assert_eq!(read.definitions.len(), count);
    let files = (0..count).map(target).collect::<Vec<_>>().join("\n---\n");
    assert_eq!(strict::yaml::<Definition>(&files, "fleet.yaml").expect("it is within every limit").len(), count);
}
