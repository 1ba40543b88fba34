//! Each kind of bad JSON, with its code, place and remedy.

use expect_test::{Expect, expect};
use tidegate_api::request::{ApplyDefinitions, PlanDeployment, StartDeployment};
use tidegate_api::strict;

fn line<T: serde::de::DeserializeOwned>(body: &[u8]) -> String {
    match strict::json::<T>(body) {
        Ok(_) => "accepted".into(),
        Err(refusal) => {
            let place = refusal.place.as_deref().unwrap_or("nowhere");
            format!("{} at {place}: {}; {}", refusal.code, refusal.what, refusal.remedy)
        }
    }
}

fn check<T: serde::de::DeserializeOwned>(bodies: &[&str], expected: Expect) {
    let shown = |body: &str| body.escape_debug().to_string().replace("\\\"", "\"");
    let lines: Vec<String> = bodies.iter().map(|body| format!("{}\n  {}", shown(body), line::<T>(body.as_bytes()))).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn a_plan_is_asked_for_in_one_way_only() {
    check::<PlanDeployment>(
        &[
            r#"{"application":"ledger","environment":"production","versions":{"ledger":"1.1"}}"#,
            r#"{"application":"ledger","environment":"production","versions":{"ledger":1.10}}"#,
            r#"{"application":"ledger","environment":"production","versions":{"ledger":"1.1","ledger":"1.2"}}"#,
            r#"{"application":"ledger","environment":"production","environment":"staging"}"#,
            r#"{"application":"ledger","environment":"production","aplication":"x"}"#,
            r#"{"application":"ledger"}"#,
            r#"{"application":"Ledger","environment":"production"}"#,
            r#"{"application":"ledger","environment":"production","versions":{"Led ger":"1"}}"#,
            r#"{"application":"ledger","environment":"production","release":"x"}"#,
            r#"{"application":"ledger","environment":"production","strategy":{"named":"canary","inline":{}}}"#,
            r#"{"application":"ledger","environment":"production","strategy":{"name":"canary"}}"#,
            r#"{"application":"ledger","environment":"production","strategy":{"inline":{"max_failures":"a third"}}}"#,
            r#"["ledger","production"]"#,
        ],
        expect![[r#"
            {"application":"ledger","environment":"production","versions":{"ledger":"1.1"}}
              accepted
            {"application":"ledger","environment":"production","versions":{"ledger":1.10}}
              version_is_number at versions.ledger: 1.1 is read as a number, where text is meant; put it in quotes, such as "1.10"
            {"application":"ledger","environment":"production","versions":{"ledger":"1.1","ledger":"1.2"}}
              duplicate_key at versions.ledger (line 1, column 93): the key ledger stands twice in one mapping; delete one of the two
            {"application":"ledger","environment":"production","environment":"staging"}
              duplicate_key at environment (line 1, column 75): the key environment stands twice in one mapping; delete one of the two
            {"application":"ledger","environment":"production","aplication":"x"}
              unknown_field at aplication: there is no field aplication here; did you mean application? use application, environment, versions, release, change or strategy
            {"application":"ledger"}
              malformed at nowhere: the field environment is missing; add environment
            {"application":"Ledger","environment":"production"}
              name_invalid at application: "Ledger" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
            {"application":"ledger","environment":"production","versions":{"Led ger":"1"}}
              name_invalid at versions.Led ger: "Led ger" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
            {"application":"ledger","environment":"production","release":"x"}
              name_invalid at release: "x" is not an id; use the id as the server printed it, such as DEP-01k8…
            {"application":"ledger","environment":"production","strategy":{"named":"canary","inline":{}}}
              malformed at strategy: a mapping with 2 keys stands where exactly one is meant; keep one: named or inline
            {"application":"ledger","environment":"production","strategy":{"name":"canary"}}
              unknown_field at strategy.name: "name" is not known here; did you mean named? use named or inline
            {"application":"ledger","environment":"production","strategy":{"inline":{"max_failures":"a third"}}}
              out_of_range at strategy.inline.max_failures: "a third" is not an amount; use a number such as 3 or a percentage such as 25%
            ["ledger","production"]
              malformed at nowhere: a list stands where a mapping is meant; write its fields below it, or leave it out"#]],
    );
}

#[test]
fn what_is_not_json_is_refused_at_its_line() {
    check::<StartDeployment>(
        &[
            "",
            " \n",
            "{",
            "{}{}",
            "{} x",
            "nul",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"not_before_ms\":1e999}",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "[1,]",
        ],
        expect![[r#"

              malformed at line 1, column 0: the body is empty; send a JSON object
             \n
              malformed at line 2, column 0: the body is empty; send a JSON object
            {
              malformed at line 1, column 1: the body is not JSON: EOF while parsing an object; send one JSON value and nothing after it
            {}{}
              malformed at line 1, column 3: the body is not JSON: trailing characters; send one JSON value and nothing after it
            {} x
              malformed at line 1, column 4: the body is not JSON: trailing characters; send one JSON value and nothing after it
            nul
              malformed at line 1, column 3: the body is not JSON: EOF while parsing a value; send one JSON value and nothing after it
            {\'a\':1}
              malformed at line 1, column 2: the body is not JSON: key must be a string; send one JSON value and nothing after it
            {"a":NaN}
              malformed at line 1, column 6: the body is not JSON: expected value; send one JSON value and nothing after it
            {"not_before_ms":1e999}
              malformed at line 1, column 22: the body is not JSON: number out of range; send one JSON value and nothing after it
            \u{feff}{}
              malformed at line 1, column 1: the body is not JSON: expected value; send one JSON value and nothing after it
            {"a":"\\ud800"}
              malformed at line 1, column 13: the body is not JSON: unexpected end of hex escape; send one JSON value and nothing after it
            [1,]
              malformed at line 1, column 4: the body is not JSON: trailing comma; send one JSON value and nothing after it"#]],
    );
    expect!["malformed at line 2, byte 9: the text is not UTF-8; save it as UTF-8"]
        .assert_eq(&line::<StartDeployment>(b"{\"a\":\n \"\xff\"}"));
}

#[test]
fn a_fault_deep_inside_is_told_with_its_path() {
    check::<ApplyDefinitions>(
        &[
            r#"{"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","labels":{"a":"1","a":"2"}}}]}"#,
            r#"{"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","labels":{"a":1}}}]}"#,
            r#"{"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","lables":{}}}]}"#,
            r#"{"definitions":[{"appliance":{}}]}"#,
        ],
        expect![[r#"
            {"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","labels":{"a":"1","a":"2"}}}]}
              duplicate_key at definitions[1].target.labels.a (line 1, column 111): the key a stands twice in one mapping; delete one of the two
            {"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","labels":{"a":1}}}]}
              version_is_number at definitions[1].target.labels.a: 1 is read as a number, where text is meant; put it in quotes, such as "1.10"
            {"definitions":[{"application":{"name":"a"}},{"target":{"name":"t","environment":"e","lables":{}}}]}
              unknown_field at definitions[1].target.lables: there is no field lables here; did you mean labels? use name, environment, labels or variables
            {"definitions":[{"appliance":{}}]}
              unknown_field at definitions[0].appliance: "appliance" is not known here; use application, component, environment, target, strategy or person"#]],
    );
}

#[test]
fn nesting_and_size_stop_at_the_limit() {
    let nested = |levels: usize| format!("{}0{}", "[".repeat(levels), "]".repeat(levels));
    let code = |body: &str| strict::json::<StartDeployment>(body.as_bytes()).expect_err("refused").code.to_string();
    assert_eq!(code(&nested(32)), "malformed");
    assert_eq!(code(&nested(33)), "too_deep");
    assert_eq!(code(&nested(1_000_000)), "too_deep");
    assert_eq!(code(&"[".repeat(1_000_000)), "too_deep");
    assert_eq!(code(&format!("[{}0]", "0,".repeat(1_000_000))), "too_large");
    assert_eq!(code(&" ".repeat(tidegate_domain::limits::BODY_BYTES_MAX + 1)), "too_large");
}
