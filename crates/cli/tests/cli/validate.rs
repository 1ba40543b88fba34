//! `validate` finds every fault in a set of files, offline, and points at it.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::world::run;

/// Writes files, checks them, and compares what is said.
async fn check(files: &[(&str, &str)], expected: Expect) {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("set")).expect("a folder");
    for (name, text) in files {
        std::fs::write(home.path().join("set").join(name), text).expect("a file");
    }
    expected.assert_eq(&run(home.path(), &["validate", "-f", "set"]).await.all());
}

#[tokio::test]
async fn the_example_is_good() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/first");
    let home = tempfile::tempdir().expect("a folder");
    let said = run(home.path(), &["validate", "-f", example.to_str().expect("text")]).await;
    expect![[r#"
        11 definitions in 4 files: every one can be read
        --- exit 0"#]]
    .assert_eq(&said.all());
}

const ESTATE: &str = "\
application:
  name: shop
  titel: The shop
---
environment:
  name: production
  tier: production
  controlled: yes
---
environment:
  name: staging
  tier: staging
  zone: Europe/Wien
";
const COMPONENT: &str = "\
component:
  name: Store Front
  application: shop
  steps: []
";
const AGAIN: &str = "application:\n  name: other\n---\napplication:\n  name: other\n";
const VERSION: &str = "target:\n  name: one\n  environment: staging\n  labels:\n    line: 1.10\n";

#[tokio::test]
async fn every_fault_of_a_set_is_told_at_once() {
    let files = [("a.yaml", ESTATE), ("b.yml", COMPONENT), ("c.yaml", AGAIN), ("d.yaml", VERSION), ("notes.txt", "not read")];
    check(&files, expect![[r#"

        --- stderr
        error: there is no field titel here; did you mean title? use name, title or team [unknown_field] at set/a.yaml:3:3 (application.titel)
         --> set/a.yaml:3:3
          |
        1 | application:
        2 |   name: shop
        3 |   titel: The shop
          |   ^^^^^
        4 | ---
        5 | environment:
          |

        error: "yes" stands where true or false is meant; write true or false [malformed] at set/a.yaml:8:15 (environment.controlled)
          --> set/a.yaml:8:15
           |
         6 |   name: production
         7 |   tier: production
         8 |   controlled: yes
           |               ^^^
         9 | ---
        10 | environment:
           |

        error: "Europe/Wien" is not a time zone; use an IANA name such as Europe/Vienna or UTC [out_of_range] at set/a.yaml:13:3 (zone)
          --> set/a.yaml:13:3
           |
        11 |   name: staging
        12 |   tier: staging
        13 |   zone: Europe/Wien
           |   ^^^^

        error: "Store Front" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit [name_invalid] at set/b.yml:2:9 (component.name)
         --> set/b.yml:2:9
          |
        1 | component:
        2 |   name: Store Front
          |         ^^^^^^^^^^^
        3 |   application: shop
        4 |   steps: []
          |

        error: 1.10 is read as a number, where text is meant; put it in quotes: "1.10" [version_is_number] at set/d.yaml:5:11 (target.labels.line)
         --> set/d.yaml:5:11
          |
        3 |   environment: staging
        4 |   labels:
        5 |     line: 1.10
          |           ^^^^

        error: application other is defined twice, first at set/c.yaml:1; delete one of the two [already_exists] at set/c.yaml:5:3 (name)
         --> set/c.yaml:5:3
          |
        3 | ---
        4 | application:
        5 |   name: other
          |   ^^^^

        6 refusals; nothing was sent
        --- exit 6"#]]).await;
}

#[tokio::test]
async fn a_rule_of_the_domain_is_drawn_at_its_field() {
    let component = "\
component:
  name: storefront
  application: shop
  steps:
    - name: migrate
      do:
        script:
          run: ../../bin/sh
  health:
    probe:
      tcp:
        address: 127.0.0.1:80
    min_healthy_seconds: 100
";
    check(&[("component.yaml", component)], expect![[r#"

        --- stderr
        error: "../../bin/sh" is not a path below the artifact; name a program inside the artifact, such as bin/migrate [malformed] at set/component.yaml:5:7 (steps[0])
         --> set/component.yaml:5:7
          |
        3 |   application: shop
        4 |   steps:
        5 |     - name: migrate
          |       ^^^^^^^^^^^^^
        6 |       do:
        7 |         script:
          |

        1 refusal; nothing was sent
        --- exit 6"#]]).await;
}

#[tokio::test]
async fn hostile_files_are_refused_whole() {
    let bomb: String = (1..12).fold(String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"), |text, level| {
        let below = format!("*a{},", level - 1).repeat(10);
        format!("{text}a{level}: &a{level} [{below}]\n")
    });
    check(
        &[("bomb.yaml", &bomb)],
        expect![[r#"

        --- stderr
        error: the aliases expand to more than 400000 values; write the values out [too_deep] at set/bomb.yaml:6:14 (a5[1])
         --> set/bomb.yaml:6:14
          |
        4 | a3: &a3 [*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,]
        5 | a4: &a4 [*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,]
        6 | a5: &a5 [*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,]
          |              ^^^
        7 | a6: &a6 [*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,]
        8 | a7: &a7 [*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,]
          |

        1 refusal; nothing was sent
        --- exit 6"#]],
    )
    .await;
    check(&[("deep.json", &"[".repeat(5_000))], expect![[r#"

        --- stderr
        error: the text is nested deeper than 32 levels; write it flat; no definition needs so many [too_deep] at set/deep.json:1:65
         --> set/deep.json:1:65
          |
        1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
          |                                                                 ^

        1 refusal; nothing was sent
        --- exit 6"#]]).await;
    check(&[("twice.json", r#"{"application": {"name": "a", "name": "b"}}"#)], expect![[r#"

        --- stderr
        error: the key name stands twice in one mapping; delete one of the two [duplicate_key] at set/twice.json:1:31 (application.name)
         --> set/twice.json:1:31
          |
        1 | {"application": {"name": "a", "name": "b"}}
          |                               ^^^^^^

        1 refusal; nothing was sent
        --- exit 6"#]]).await;
    check(&[("terminal.yaml", "application: {name: \"\\e[31m\u{9b}31m\"}\n")], expect![[r#"

        --- stderr
        error: not YAML: unexpected character: `\u{9b}'; check the indentation and quotes around here [malformed] at set/terminal.yaml:1:28
         --> set/terminal.yaml:1:28
          |
        1 | application: {name: "\e[31m·31m"}
          |                            ^

        1 refusal; nothing was sent
        --- exit 6"#]]).await;
    check(
        &[],
        expect![[r#"

        --- stderr
        error: there is no .yaml, .yml or .json file below set; name the folder with the definitions [not_found] at set
        --- exit 6"#]],
    )
    .await;
}
