//! One door for change: SQL lives in the store, writes lie on the way of a commit, and one file knows two databases.

use super::{Finding, Project, Rule};
use crate::source::Source;

const STORE: &str = "crates/store/src/";

/// The way of a commit, from its queue to its rows, and the schema with its migrations.
const WAY_OF_A_COMMIT: [&str; 6] = ["commit.rs", "writer.rs", "group.rs", "bulk.rs", "schema.rs", "forms.rs"];

/// Logs are telemetry and have a door of their own; nothing is decided by them.
const LOG_DOOR: &str = "logs.rs";
const LOG_TABLES: &str = "log_";

/// What only the file that knows two databases may name.
const DATABASES: &str = "db.rs";
const DATABASE_TYPES: [&str; 10] = [
    "Sqlite",
    "Postgres",
    "SqlitePool",
    "PgPool",
    "SqliteConnection",
    "PgConnection",
    "SqliteRow",
    "PgRow",
    "PgListener",
    "PgDatabaseError",
];

pub fn check(project: &Project) -> Vec<Finding> {
    // Tests, and what they stand on, may tamper with a database to show that it is noticed. The sample has a file of its own.
    let ours = |path: &str| path.starts_with("crates/") && !path.starts_with("crates/testkit/");
    let ours = project.sources.iter().filter(|source| ours(&source.path));
    ours.flat_map(|source| {
        let mut findings = queries(source);
        findings.extend(writes(source));
        findings.extend(databases(source));
        findings.retain(|finding| !source.is_test(finding.line));
        findings
    })
    .collect()
}

fn queries(source: &Source) -> Vec<Finding> {
    if source.path.starts_with(STORE) {
        return Vec::new();
    }
    let remedy = "ask the store; give it a function if it has none";
    let found = source.find(&["sqlx", ":", ":"]).into_iter();
    found.map(|line| Finding::new(Rule::Store, &source.path, line, "sqlx is used outside the store", remedy)).collect()
}

fn writes(source: &Source) -> Vec<Finding> {
    let file = source.path.strip_prefix(STORE);
    if file.is_some_and(|file| WAY_OF_A_COMMIT.contains(&file)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for word in source.words.iter().filter(|word| word.literal) {
        for table in tables_written(&word.text) {
            if file == Some(LOG_DOOR) && table.starts_with(LOG_TABLES) {
                continue;
            }
            let what = format!("\"{table}\" is written past the one door");
            let remedy = "put the change into a Commit; store::commit writes rows, events and fences together";
            findings.push(Finding::new(Rule::Store, &source.path, word.line, what, remedy));
        }
    }
    findings
}

/// The tables that a text of SQL writes to.
fn tables_written(text: &str) -> Vec<&str> {
    let after = |verb: &str, text: &'_ str| text.match_indices(verb).map(|(at, _)| at + verb.len()).collect::<Vec<_>>();
    let mut starts = after("INSERT INTO ", text);
    starts.extend(after("DELETE FROM ", text));
    if text.contains(" SET ") {
        starts.extend(after("UPDATE ", text).into_iter().filter(|at| !text[*at..].starts_with("SET ")));
    }
    let end = |rest: &str| rest.find(|c: char| !(c.is_alphanumeric() || "_{}".contains(c))).unwrap_or(rest.len());
    starts.into_iter().map(|at| &text[at..at + end(&text[at..])]).filter(|table| !table.is_empty()).collect()
}

fn databases(source: &Source) -> Vec<Finding> {
    if source.path == format!("{STORE}{DATABASES}") {
        return Vec::new();
    }
    let types = source.words.iter().filter(|word| !word.literal && DATABASE_TYPES.contains(&word.text.as_str()));
    let finding = |word: &crate::source::Word| {
        let what = format!("{} is named outside {DATABASES}", word.text);
        let remedy = "let db.rs know the two databases and everything else write one SQL";
        Finding::new(Rule::Databases, &source.path, word.line, what, remedy).item(&word.text)
    };
    types.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(path: &str, text: &str) -> Vec<String> {
        findings_of(super::check, &[(path, text)])
    }

    const WRITE: &str = "const SQL: &str = \"\n    INSERT INTO events (a) VALUES ($1)\";\n";

    #[test]
    fn a_write_past_the_door_is_found() {
        assert!(check("crates/store/src/bulk.rs", WRITE).is_empty());
        let found = check("crates/store/src/records.rs", WRITE);
        assert!(found[0].starts_with("crates/store/src/records.rs:1: \"events\" is written past the one door"), "{found:?}");
        assert_eq!(check("crates/server/src/a.rs", "const S: &str = \"UPDATE records SET a = 1\";\n").len(), 1);
        assert_eq!(check("crates/server/src/a.rs", "const S: &str = r#\"DELETE FROM streams\"#;\n").len(), 1);
    }

    #[test]
    fn logs_have_a_door_for_logs_only() {
        assert!(check("crates/store/src/logs.rs", &WRITE.replace("events", "log_chunks")).is_empty());
        assert_eq!(check("crates/store/src/logs.rs", WRITE).len(), 1);
    }

    #[test]
    fn reading_prose_and_tests_are_left_alone() {
        assert!(
            check("crates/store/src/events.rs", "// UPDATE x SET y\nconst S: &str = \"SELECT 1 FROM events FOR UPDATE\";\n")
                .is_empty()
        );
        assert!(check("crates/store/tests/audit.rs", WRITE).is_empty());
        assert!(check("crates/store/src/chain.rs", &format!("#[cfg(test)]\nmod tests {{\n{WRITE}}}\n")).is_empty());
    }

    #[test]
    fn sqlx_outside_the_store_and_a_second_file_with_two_databases_are_found() {
        assert!(check("crates/server/src/a.rs", "use sqlx::Row;\n")[0].contains("sqlx is used outside the store"));
        assert!(check("crates/store/src/db.rs", "enum Db { Sqlite, Postgres }\n").is_empty());
        assert_eq!(check("crates/store/src/orders.rs", "fn f() { match db { Db::Sqlite => 1, Db::Postgres => 2 }; }\n").len(), 2);
    }
}
