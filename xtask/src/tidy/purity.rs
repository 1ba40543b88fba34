//! `domain` decides and touches nothing: no waiting, no clock, no chance, no file, no socket.

use super::{Finding, Project, Rule};
use crate::source::{Source, Word};

const REMEDY: &str = "take it as an argument; the shell looks at the world";

/// Words in a row that reach for the world.
const REACHES: [&[&str]; 17] = [
    &["tokio", ":", ":"],
    &["sqlx", ":", ":"],
    &["axum", ":", ":"],
    &["reqwest", ":", ":"],
    &["getrandom", ":", ":"],
    &["rand", ":", ":"],
    &["std", ":", ":", "fs"],
    &["std", ":", ":", "net"],
    &["std", ":", ":", "env"],
    &["std", ":", ":", "process"],
    &["std", ":", ":", "thread"],
    &["SystemTime"],
    &["Instant"],
    &["Timestamp", ":", ":", "now"],
    &["Zoned", ":", ":", "now"],
    &["async"],
    &["println", "!"],
];

/// What `use std::{…}` must not name.
const STD_PARTS: [&str; 5] = ["fs", "net", "env", "process", "thread"];

pub fn check(project: &Project) -> Vec<Finding> {
    let domain = project.sources.iter().filter(|source| source.path.starts_with("crates/domain/src/"));
    domain.flat_map(file).collect()
}

fn file(source: &Source) -> Vec<Finding> {
    let mut reaches: Vec<(usize, String)> = Vec::new();
    for pattern in REACHES {
        reaches.extend(source.find(pattern).into_iter().map(|line| (line, pattern.concat())));
    }
    reaches.extend(grouped_std(source));
    reaches.retain(|(line, _)| !source.is_test(*line));
    let finding = |(line, what)| Finding::new(Rule::Purity, &source.path, line, format!("domain uses {what}"), REMEDY);
    reaches.into_iter().map(finding).collect()
}

/// `std::{fmt, fs}`: the parts stand one bracket deep, after the bracket or a comma.
fn grouped_std(source: &Source) -> Vec<(usize, String)> {
    let opens = |words: &[Word]| words.iter().map(|word| word.text.as_str()).eq(["std", ":", ":", "{"]);
    let groups = source.words.windows(4).enumerate().filter(|(_, words)| opens(words)).map(|(at, _)| at + 3);
    groups.flat_map(|open| parts_of(&source.words[open..])).collect()
}

/// The forbidden parts of the group that `words` begins with.
fn parts_of(words: &[Word]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    for pair in words.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        let first = matches!(pair[0].text.as_str(), "{" | ",");
        if depth == 1 && first && STD_PARTS.contains(&pair[1].text.as_str()) {
            found.push((pair[1].line, format!("std::{}", pair[1].text)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(text: &str) -> Vec<String> {
        findings_of(super::check, &[("crates/domain/src/a.rs", text)])
    }

    #[test]
    fn clocks_files_and_waiting_are_found_in_domain() {
        assert!(check("fn f() { std::fs::read(\"x\"); }\n")[0].contains("domain uses std::fs"));
        assert!(check("use std::{fmt, env, collections::{BTreeMap}};\n")[0].contains("domain uses std::env"));
        assert!(check("use std::{collections::{BTreeMap}, net};\n")[0].contains("domain uses std::net"));
        assert!(check("fn f() -> std::time::Instant { todo() }\n")[0].contains("Instant"));
        assert!(check("async fn f() {}\n")[0].contains("async"));
    }

    #[test]
    fn prose_tests_and_other_packages_are_left_alone() {
        assert!(check("//! std::fs is not used, nor async.\nuse std::{fmt, collections::BTreeMap};\n").is_empty());
        assert!(check("#[cfg(test)]\nmod tests {\n    fn f() { std::env::var(\"X\"); }\n}\n").is_empty());
        assert!(findings_of(super::check, &[("crates/agent/src/a.rs", "use std::fs;\n")]).is_empty());
    }
}
