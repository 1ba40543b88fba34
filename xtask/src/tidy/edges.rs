//! Who may know whom: `domain <- api <- store <- server <- cli`, `agent -> api, domain`, `testkit` in tests only.

use super::{Finding, Project, Rule};

const DOMAIN: &str = "tidegate-domain";
const API: &str = "tidegate-api";
const STORE: &str = "tidegate-store";
const SERVER: &str = "tidegate-server";
const AGENT: &str = "tidegate-agent";
const SAMPLE: &str = "tidegate-sample-ledger";
const EXAMPLE: &str = "tidegate-example-openstack";
const TESTKIT: &str = "tidegate-testkit";

/// Each package of ours and the ones that it may depend on.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    (DOMAIN, &[]),
    (API, &[DOMAIN]),
    (STORE, &[DOMAIN, API]),
    (SERVER, &[DOMAIN, API, STORE]),
    (AGENT, &[DOMAIN, API]),
    ("tidegate", &[DOMAIN, API, STORE, SERVER, AGENT, SAMPLE]),
    (TESTKIT, &[DOMAIN, API, STORE, SERVER, AGENT, SAMPLE]),
    (SAMPLE, &[]),
    // A client of the public API, as a user would write one.
    (EXAMPLE, &[DOMAIN, API]),
    ("xtask", &[]),
];

/// In tests a package may also use these, and itself with features that only its tests switch on.
const TESTS_MAY_KNOW: [&str; 2] = [TESTKIT, SAMPLE];

/// Packages of others that only some of ours may use.
const RESERVED: [(&str, &[&str], &str); 7] = [
    ("sqlx", &[STORE, SAMPLE, TESTKIT], "ask the store; only it speaks SQL"),
    ("axum", &[SERVER, SAMPLE], "only the server answers HTTP"),
    ("clap", &["tidegate", "xtask"], "only programs read command lines"),
    ("maud", &[SERVER], "only the server draws pages"),
    ("tokio", &[STORE, SERVER, AGENT, "tidegate", TESTKIT, SAMPLE, EXAMPLE], "domain and api wait for nothing"),
    ("reqwest", &[SERVER, AGENT, "tidegate", TESTKIT, EXAMPLE], "domain, api and store call nobody"),
    ("getrandom", &[SERVER, AGENT, "tidegate", TESTKIT], "chance is an argument"),
];

const BANS: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";

pub fn check(project: &Project) -> Vec<Finding> {
    let manifests = project.tree.files().filter(|(path, _)| path.ends_with("/Cargo.toml"));
    let mut findings: Vec<Finding> = manifests.flat_map(|(path, text)| manifest(path, text)).collect();
    let (bans, lock) = (project.tree.get(BANS), project.tree.get(LOCK));
    findings.extend(banned(bans.unwrap_or_default(), lock.unwrap_or_default()));
    findings
}

/// Holds the lock against the bans of `deny.toml`, so that they hold where cargo-deny is not installed.
fn banned(bans: &str, lock: &str) -> Vec<Finding> {
    let bans: toml::Table = match bans.parse() {
        Ok(bans) => bans,
        Err(error) => return vec![Finding::new(Rule::Edge, BANS, 1, format!("cannot be parsed: {error}"), "mend it")],
    };
    let denied = bans.get("bans").and_then(|bans| bans.get("deny")).and_then(toml::Value::as_array);
    let mut findings = Vec::new();
    for entry in denied.into_iter().flatten() {
        let text = |field: &str| entry.get(field).and_then(toml::Value::as_str).unwrap_or_default();
        let name = text("crate");
        if let Some(at) = lock.lines().position(|line| line == format!("name = \"{name}\"")) {
            let remedy = format!("use {}; `cargo tree -i {name}` says who brings it", text("reason"));
            findings.push(Finding::new(Rule::Edge, LOCK, at + 1, format!("{name} is banned"), remedy));
        }
    }
    findings
}

fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let find = |line, what: String, remedy: &str| Finding::new(Rule::Edge, path, line, what, remedy);
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![find(1, format!("cannot be parsed: {error}"), "mend it")],
    };
    let Some(package) = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str) else {
        return Vec::new();
    };
    let Some((_, may_know)) = MAY_KNOW.iter().find(|(name, _)| *name == package) else {
        return vec![find(1, format!("{package} is a new package"), "say whom it may know in xtask/src/tidy/edges.rs")];
    };
    let mut findings = Vec::new();
    for (dependency, for_tests) in dependencies(&table) {
        let line = 1 + text.lines().position(|line| line.contains(&dependency)).unwrap_or_default();
        let ours = MAY_KNOW.iter().any(|(name, _)| *name == dependency);
        let test_use = for_tests && (TESTS_MAY_KNOW.contains(&dependency.as_str()) || dependency == package);
        if ours && !test_use && !may_know.contains(&dependency.as_str()) {
            let known = if may_know.is_empty() { "nothing of ours".to_owned() } else { may_know.join(", ") };
            let what = format!("{package} must not depend on {dependency}");
            findings.push(find(line, what, &format!("it may know {known}")));
        }
        let reserved = RESERVED.iter().find(|(name, users, _)| *name == dependency && !users.contains(&package));
        if let (Some((_, _, remedy)), false) = (reserved, for_tests) {
            findings.push(find(line, format!("{package} must not depend on {dependency}"), remedy));
        }
    }
    findings
}

/// The packages that a manifest names, and whether it is for tests only; platform tables and build scripts included.
fn dependencies(manifest: &toml::Table) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    for table in tables {
        for (section, for_tests) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            for (name, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                found.push((renamed.unwrap_or(name).to_owned(), for_tests));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(package: &str, rest: &str) -> Vec<String> {
        findings_of(super::check, &[("crates/x/Cargo.toml", &format!("[package]\nname = \"{package}\"\n{rest}"))])
    }

    #[test]
    fn an_edge_against_the_stream_is_found() {
        let found = check("tidegate-domain", "[dependencies]\ntidegate-store.workspace = true\n");
        assert_eq!(
            found,
            ["crates/x/Cargo.toml:4: tidegate-domain must not depend on tidegate-store; it may know nothing of ours [edge]"]
        );
        assert!(check("tidegate-store", "[dependencies]\ntidegate-domain.workspace = true\n").is_empty());
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(check("tidegate", "[dev-dependencies]\ntidegate-testkit.workspace = true\n").is_empty());
        assert_eq!(check("tidegate", "[dependencies]\ntidegate-testkit = { optional = true }\n").len(), 1);
    }

    #[test]
    fn an_edge_in_a_platform_table_or_under_another_name_is_found() {
        assert_eq!(
            check("tidegate-agent", "[target.'cfg(unix)'.dependencies]\ns = { package = \"tidegate-server\" }\n").len(),
            1
        );
    }

    #[test]
    fn a_banned_package_in_the_lock_is_found() {
        let bans = ("deny.toml", "[bans]\ndeny = [{ crate = \"openssl-sys\", reason = \"rustls with ring\" }]\n");
        let found = findings_of(super::check, &[bans, ("Cargo.lock", "[[package]]\nname = \"openssl-sys\"\n")]);
        assert!(found[0].starts_with("Cargo.lock:2: openssl-sys is banned; use rustls with ring;"), "{found:?}");
        assert!(findings_of(super::check, &[bans, ("Cargo.lock", "[[package]]\nname = \"ring\"\n")]).is_empty());
    }

    #[test]
    fn sqlx_belongs_to_the_store_and_new_packages_need_a_rule() {
        assert!(check("tidegate-server", "[dependencies]\nsqlx.workspace = true\n")[0].contains("only it speaks SQL"));
        assert!(check("tidegate-extra", "")[0].contains("is a new package"));
    }
}
