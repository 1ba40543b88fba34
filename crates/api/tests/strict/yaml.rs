//! Each kind of bad YAML, with its code, place, remedy and drawing.

use expect_test::{Expect, expect};
use tidegate_api::Definition;
use tidegate_api::strict::{self, Marked};

fn refused(text: &str) -> Vec<Marked> {
    strict::yaml::<Definition>(text, "estate.yaml").expect_err("it is refused")
}

fn check(text: &str, expected: Expect) {
    let marked = refused(text);
    let lines = marked.iter().map(|Marked { refusal, snippet }| {
        let place = refusal.place.as_deref().unwrap_or("nowhere");
        format!("{} at {place}: {}; {}\n{snippet}", refusal.code, refusal.what, refusal.remedy)
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_unknown_field_is_named_with_what_was_probably_meant() {
    check(
        "environment:\n  name: production\n  tier: production\n  controled: true\n",
        expect![[r#"
        unknown_field at estate.yaml:4:3 (environment.controled): there is no field controled here; did you mean controlled? use name, tier, controlled, standard_changes, zone, position or variables
         --> estate.yaml:4:3
          |
        2 |   name: production
        3 |   tier: production
        4 |   controled: true
          |   ^^^^^^^^^"#]],
    );
    check(
        "aplication:\n  name: ledger\n",
        expect![[r#"
        unknown_field at estate.yaml:1:1 (aplication): "aplication" is not known here; did you mean application? use application, component, environment, target, strategy or person
         --> estate.yaml:1:1
          |
        1 | aplication:
          | ^^^^^^^^^^
        2 |   name: ledger
          |"#]],
    );
    check(
        "environment: {name: p, tier: prodction}",
        expect![[r#"
        malformed at estate.yaml:1:30 (environment.tier): "prodction" is not known here; did you mean production? use development, test, staging or production
         --> estate.yaml:1:30
          |
        1 | environment: {name: p, tier: prodction}
          |                              ^^^^^^^^^"#]],
    );
}

#[test]
fn a_duplicate_key_is_refused_at_the_second() {
    check(
        "environment:\n  name: production\n  tier: production\n  name: staging\n",
        expect![[r#"
            duplicate_key at estate.yaml:4:3 (environment.name): the key name stands twice in one mapping; delete one of the two
             --> estate.yaml:4:3
              |
            2 |   name: production
            3 |   tier: production
            4 |   name: staging
              |   ^^^^"#]],
    );
    check(
        "target:\n  name: a\n  environment: b\n  labels:\n    zone: one\n    zone: two\n",
        expect![[r#"
            duplicate_key at estate.yaml:6:5 (target.labels.zone): the key zone stands twice in one mapping; delete one of the two
             --> estate.yaml:6:5
              |
            4 |   labels:
            5 |     zone: one
            6 |     zone: two
              |     ^^^^"#]],
    );
}

#[test]
fn a_version_that_yaml_reads_as_a_number_must_be_quoted() {
    let change = |version: &str| format!("version: {version}\n");
    for (version, code) in [
        ("1.10", "version_is_number"),
        ("1", "version_is_number"),
        ("1e3", "version_is_number"),
        ("0x10", "version_is_number"),
        ("'1.10'", "fine"),
        ("1.10.2", "fine"),
        ("2026-11-21", "fine"),
        ("true", "malformed"),
        ("~", "malformed"),
        (".nan", "malformed"),
        ("1/2", "version_invalid"),
    ] {
        let read = strict::yaml::<std::collections::BTreeMap<String, tidegate_domain::Version>>(&change(version), "v.yaml");
        let found = read.map_or_else(|marked| marked[0].refusal.code.to_string(), |_| "fine".into());
        assert_eq!(found, code, "{version}");
    }
    check(
        "target:\n  name: a\n  environment: b\n  labels:\n    line: 1.10\n",
        expect![[r#"
            version_is_number at estate.yaml:5:11 (target.labels.line): 1.10 is read as a number, where text is meant; put it in quotes: "1.10"
             --> estate.yaml:5:11
              |
            3 |   environment: b
            4 |   labels:
            5 |     line: 1.10
              |           ^^^^"#]],
    );
}

#[test]
fn a_type_that_does_not_fit_is_told_in_plain_words() {
    check(
        "environment: {name: p, tier: test, controlled: yes}",
        expect![[r#"
        malformed at estate.yaml:1:48 (environment.controlled): "yes" stands where true or false is meant; write true or false
         --> estate.yaml:1:48
          |
        1 | environment: {name: p, tier: test, controlled: yes}
          |                                                ^^^"#]],
    );
    check(
        "environment: {name: p, tier: test, position: -1}",
        expect![[r#"
        out_of_range at estate.yaml:1:46 (environment.position): -1 is out of range; use 0 to 4294967295
         --> estate.yaml:1:46
          |
        1 | environment: {name: p, tier: test, position: -1}
          |                                              ^^"#]],
    );
    check(
        "environment: {name: p, tier: test, position: 5000000000}",
        expect![[r#"
        out_of_range at estate.yaml:1:46 (environment.position): 5000000000 is out of range; use 0 to 4294967295
         --> estate.yaml:1:46
          |
        1 | environment: {name: p, tier: test, position: 5000000000}
          |                                              ^^^^^^^^^^"#]],
    );
    check(
        "environment: {name: p, tier: test, position: 1.5}",
        expect![[r#"
        malformed at estate.yaml:1:46 (environment.position): 1.5 stands where a whole number is meant; write a whole number without quotes
         --> estate.yaml:1:46
          |
        1 | environment: {name: p, tier: test, position: 1.5}
          |                                              ^^^"#]],
    );
}

#[test]
fn a_list_where_a_mapping_is_meant_is_told_in_plain_words() {
    check(
        "environment: [p, test]",
        expect![[r#"
        malformed at estate.yaml:1:14 (environment): a list stands where a mapping is meant; write its fields below it, or leave it out
         --> estate.yaml:1:14
          |
        1 | environment: [p, test]
          |              ^^^^^^^^^"#]],
    );
    check(
        "environment: {name: p, tier: [test]}",
        expect![[r#"
        malformed at estate.yaml:1:30 (environment.tier): a list stands where a choice is meant; write development, test, staging or production
         --> estate.yaml:1:30
          |
        1 | environment: {name: p, tier: [test]}
          |                              ^^^^^^"#]],
    );
    check(
        "environment: {name: p, tier: test, variables: }",
        expect![[r#"
        malformed at estate.yaml:1:45 (environment.variables): nothing stands where a mapping is meant; write its fields below it, or leave it out
         --> estate.yaml:1:45
          |
        1 | environment: {name: p, tier: test, variables: }
          |                                             ^"#]],
    );
    check(
        "environment: {name: p}",
        expect![[r#"
        malformed at estate.yaml:1:1 (environment): the field tier is missing; add tier
         --> estate.yaml:1:1
          |
        1 | environment: {name: p}
          | ^^^^^^^^^^^"#]],
    );
}

#[test]
fn a_choice_or_amount_that_is_none_is_told_in_plain_words() {
    check(
        "strategy: {name: s, strategy: {max_failures: 1.5}}",
        expect![[r#"
        out_of_range at estate.yaml:1:46 (strategy.strategy.max_failures): "1.5" is not an amount; use a number such as 3 or a percentage such as 25%
         --> estate.yaml:1:46
          |
        1 | strategy: {name: s, strategy: {max_failures: 1.5}}
          |                                              ^^^"#]],
    );
    check(
        "strategy: {name: s, strategy: {max_failures: 30 percent}}",
        expect![[r#"
        out_of_range at estate.yaml:1:46 (strategy.strategy.max_failures): "30 percent" is not an amount; use a number such as 3 or a percentage such as 25%
         --> estate.yaml:1:46
          |
        1 | strategy: {name: s, strategy: {max_failures: 30 percent}}
          |                                              ^^^^^^^^^^"#]],
    );
    check(
        "strategy: {name: s, strategy: {cut: canary}}",
        expect![[r#"
        malformed at estate.yaml:1:37 (strategy.strategy.cut): canary stands without its fields; write canary: and its fields below it
         --> estate.yaml:1:37
          |
        1 | strategy: {name: s, strategy: {cut: canary}}
          |                                     ^^^^^^"#]],
    );
    check(
        "strategy: {name: s, strategy: {cut: {all_at_once: {now: true}}}}",
        expect![[r#"
        malformed at estate.yaml:1:51 (strategy.strategy.cut.all_at_once): all_at_once takes no fields; write all_at_once alone
         --> estate.yaml:1:51
          |
        1 | strategy: {name: s, strategy: {cut: {all_at_once: {now: true}}}}
          |                                                   ^^^^^^^^^^^"#]],
    );
}

#[test]
fn a_refusal_of_the_domain_keeps_its_code() {
    check(
        "application:\n  name: The Ledger\n",
        expect![[r#"
        name_invalid at estate.yaml:2:9 (application.name): "The Ledger" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
         --> estate.yaml:2:9
          |
        1 | application:
        2 |   name: The Ledger
          |         ^^^^^^^^^^"#]],
    );
}

#[test]
fn each_document_that_cannot_be_read_is_told() {
    check(
        "application: {name: A}\n---\napplication: {name: fine}\n---\ntarget: {name: b}\n",
        expect![[r#"
        name_invalid at estate.yaml:1:21 (application.name): "A" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
         --> estate.yaml:1:21
          |
        1 | application: {name: A}
          |                     ^
        2 | ---
        3 | application: {name: fine}
          |
        malformed at estate.yaml:5:1 (target): the field environment is missing; add environment
         --> estate.yaml:5:1
          |
        3 | application: {name: fine}
        4 | ---
        5 | target: {name: b}
          | ^^^^^^"#]],
    );
}

#[test]
fn what_is_not_yaml_is_refused_at_its_line() {
    check(
        "application:\n\tname: ledger\n",
        expect![[r#"
        malformed at estate.yaml:2:2: a tab stands where only spaces may; indent with spaces
         --> estate.yaml:2:2
          |
        1 | application:
        2 |     name: ledger
          |     ^"#]],
    );
    check(
        "application: {name: ledger\n",
        expect![[r#"
        malformed at estate.yaml:1:14: not YAML: unclosed bracket '{'; check the indentation and quotes around here
         --> estate.yaml:1:14
          |
        1 | application: {name: ledger
          |              ^"#]],
    );
    check(
        "application: name: ledger\n",
        expect![[r#"
        malformed at estate.yaml:1:18: not YAML: mapping values are not allowed in this context; check the indentation and quotes around here
         --> estate.yaml:1:18
          |
        1 | application: name: ledger
          |                  ^"#]],
    );
    check(
        "a: 'unfinished\n",
        expect![[r#"
            malformed at estate.yaml:1:15: not YAML: invalid indentation in multiline quoted scalar; check the indentation and quotes around here
             --> estate.yaml:1:15
              |
            1 | a: 'unfinished
              |               ^"#]],
    );
}

#[test]
fn a_file_without_definitions_is_refused() {
    check(
        "",
        expect![[r#"
        malformed at estate.yaml:1:1: the file holds no document; write at least one definition
    "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
        malformed at estate.yaml:1:1: the file holds no document; write at least one definition
         --> estate.yaml:1:1
          |
        1 | # only a comment
          | ^"#]],
    );
    check(
        "application: {name: a}\n---\n",
        expect![[r#"
        malformed at estate.yaml:2:4: a document is empty; delete its --- line, or write a definition below it
         --> estate.yaml:2:4
          |
        1 | application: {name: a}
        2 | ---
          |    ^"#]],
    );
    check(
        "just text",
        expect![[r#"
        malformed at estate.yaml:1:1: "just text" is not known here; use application, component, environment, target, strategy or person
         --> estate.yaml:1:1
          |
        1 | just text
          | ^^^^^^^^^"#]],
    );
    check(
        "application: {name: a}\ntarget: {name: b, environment: c}\n",
        expect![[r#"
        malformed at estate.yaml:2:1: a mapping with 2 keys stands where exactly one is meant; keep one: application, component, environment, target, strategy or person
         --> estate.yaml:2:1
          |
        1 | application: {name: a}
        2 | target: {name: b, environment: c}
          | ^^^^^^"#]],
    );
}

#[test]
fn what_hides_meaning_is_refused() {
    check(
        "%YAML 1.1\n---\napplication: {name: a}\n",
        expect![[r#"
        malformed at estate.yaml:1:1: a YAML directive (%) changes how the text is read; delete the line
         --> estate.yaml:1:1
          |
        1 | %YAML 1.1
          | ^
        2 | ---
        3 | application: {name: a}
          |"#]],
    );
    check(
        "application: {name: !!str 12}\n",
        expect![[r#"
        malformed at estate.yaml:1:27 (application.name): a YAML tag (!) changes how the value is read; delete the tag
         --> estate.yaml:1:27
          |
        1 | application: {name: !!str 12}
          |                           ^^"#]],
    );
    check(
        "application: {name: *nobody}\n",
        expect![[r#"
        malformed at estate.yaml:1:21: an alias names an anchor that is not there; write the value out
         --> estate.yaml:1:21
          |
        1 | application: {name: *nobody}
          |                     ^"#]],
    );
    check(
        "? [a]\n: b\n",
        expect![[r#"
        malformed at estate.yaml:1:3: a list or mapping stands where a key is meant; use plain text as the key
         --> estate.yaml:1:3
          |
        1 | ? [a]
          |   ^
        2 | : b
          |"#]],
    );
    check(
        "1: b\n",
        expect![[r#"
        malformed at estate.yaml:1:1: the key 1 is not text; put the key in quotes
         --> estate.yaml:1:1
          |
        1 | 1: b
          | ^"#]],
    );
}

#[test]
fn an_anchor_repeats_a_value() {
    let text = "target: {name: &it a, environment: b, labels: {zone: *it}}\n---\napplication: {name: it}\n";
    let read = strict::yaml::<Definition>(text, "estate.yaml").expect("it is read");
    let labels = match &read[0].value {
        Definition::Target(target) => target.labels.clone(),
        _ => unreachable!("a target was written"),
    };
    assert_eq!(labels["zone"], "a");
    assert_eq!(read[1].place(), "estate.yaml:3");
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_is_expanded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = level - 1;
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    let marked = refused(&text);
    assert_eq!(marked[0].refusal.code.as_str(), "too_deep");
    check(
        "a: &a [*a]\n",
        expect![[r#"
        too_deep at estate.yaml:1:8 (a[0]): an alias stands inside the value that it repeats; write the value out
         --> estate.yaml:1:8
          |
        1 | a: &a [*a]
          |        ^^"#]],
    );
}

#[test]
fn nesting_stops_at_the_limit() {
    let nested = |levels: usize| format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, code) in [(31, "malformed"), (32, "malformed"), (33, "too_deep"), (60, "too_deep"), (100_000, "too_deep")] {
        let refusal = refused(&nested(levels))[0].refusal.clone();
        assert_eq!(refusal.code.as_str(), code, "{levels}: {refusal}");
    }
    let deep = (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<Vec<_>>().concat();
    assert_eq!(refused(&deep)[0].refusal.code.as_str(), "too_deep");
    let by_alias = "a: &a [[[[[[[[[[x]]]]]]]]]]\nb: &b [[[[[[[[[[*a]]]]]]]]]]\nc: &c [[[[[[[[[[*b]]]]]]]]]]\nd: [[*c]]\n";
    assert_eq!(refused(by_alias)[0].refusal.code.as_str(), "too_deep");
}

#[test]
fn a_file_that_is_too_large_is_refused_without_a_look() {
    let text = "#".repeat(tidegate_domain::limits::BODY_BYTES_MAX + 1);
    check(
        &text,
        expect![[r#"
        too_large at estate.yaml: the text has 4194305 bytes; send at most 4194304 bytes at once
    "#]],
    );
}

#[test]
fn a_later_refusal_is_drawn_at_its_field() {
    let text = "# ours\nenvironment:\n  name: production\n  tier: production\n  zone: Europe/Wien\n";
    let read = strict::yaml::<Definition>(text, "estate.yaml").expect("it is read");
    let marked = read[0].mark(&read[0].value.check().expect_err("there is no such zone"));
    expect![[r#"
        estate.yaml:5:3 (zone)
         --> estate.yaml:5:3
          |
        3 |   name: production
        4 |   tier: production
        5 |   zone: Europe/Wien
          |   ^^^^"#]]
    .assert_eq(&format!("{}\n{}", marked.refusal.place.unwrap_or_default(), marked.snippet));
    let text = "strategy:\n  name: slow\n  strategy:\n    after_each:\n      - bake: {at_least_seconds: 5}\n      - bake:\n          at_least_seconds: 0\n";
    let read = strict::yaml::<Definition>(text, "estate.yaml").expect("it is read");
    let marked = read[0].mark(&read[0].value.check().expect_err("a bake of nothing"));
    expect![[r#"
        estate.yaml:6:9 (strategy.after_each[1])
         --> estate.yaml:6:9
          |
        4 |     after_each:
        5 |       - bake: {at_least_seconds: 5}
        6 |       - bake:
          |         ^^^^^
        7 |           at_least_seconds: 0
          |"#]]
    .assert_eq(&format!("{}\n{}", marked.refusal.place.unwrap_or_default(), marked.snippet));
}

#[test]
fn a_file_cannot_write_to_the_terminal() {
    let marked = refused("application: {name: \"\u{1b}[31mred\u{7}\", \u{1b}[2J: 1}\n");
    let shown = format!("{}{}", marked[0].refusal, marked[0].snippet);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn the_schema_names_every_kind_of_definition() {
    let schema = strict::schema().to_string();
    for kind in ["application", "component", "environment", "target", "strategy", "person"] {
        assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
    }
}
