//! Every exit code, and what is said with it.

use expect_test::expect;

use crate::plain::plain;
use crate::world::{World, run};

#[tokio::test]
async fn an_unreachable_server_ends_with_5() {
    let home = tempfile::tempdir().expect("a folder");
    // Nobody listens on the discard port of loopback.
    let said = run(home.path(), &["whoami", "--server", "http://127.0.0.1:9"]).await;
    expect![[r#"

        --- stderr
        error: http://127.0.0.1:9 cannot be reached: Connection refused (os error 111); start it with tidegate server, or name another with --server or TIDEGATE_SERVER
        --- exit 5"#]].assert_eq(&said.all());
    let said = run(home.path(), &["whoami", "--server", "http://127.0.0.1:9", "--output", "json"]).await;
    expect![[r#"

        --- stderr
        {"type":"/docs/errors/fault","title":"http://127.0.0.1:9 cannot be reached: Connection refused (os error 111)","status":500,"code":"fault","remedy":"start it with tidegate server, or name another with --server or TIDEGATE_SERVER"}
        --- exit 5"#]].assert_eq(&said.all());
}

#[tokio::test]
async fn a_command_line_that_cannot_be_understood_ends_with_2() {
    let home = tempfile::tempdir().expect("a folder");
    for words in [
        &["deploi"][..],
        &["plan", "shop", "production"],
        &["plan", "shop", "production", "--version", "storefront"],
        &["deployment", "show", "../../etc"],
        &["deployment", "override-gate", "DEP-12345", "../x", "--reason", "y"],
        &["target", "show", "No Name"],
        &["token", "create", "--person", "ada", "--label", "x", "--valid", "soon"],
    ] {
        let said = run(home.path(), words).await;
        assert_eq!(said.code, 2, "{words:?}: {}", said.all());
        assert!(said.out.is_empty() && said.err.starts_with("error:"), "{words:?}: {}", said.all());
    }
}

#[tokio::test]
async fn values_that_cannot_be_taken_end_with_6_before_anything_is_sent() {
    let home = tempfile::tempdir().expect("a folder");
    let mut lines = Vec::new();
    for words in [
        &["whoami", "--server", "localhost:7400"][..],
        &["freeze", "declare", "x", "--reason", "y", "--from", "tomorrow", "--until", "+2h"],
        &["freeze", "declare", "x", "--reason", "y", "--from", "+0s", "--until", "+2h", "--zone", "Europe/Wien"],
        &["apply", "-f", "nothing-here"],
        &["plan", "shop", "production", "--version", "a=1", "-f", "no-strategy.yaml"],
        &["artifact", "upload", "no-file", "--component", "a", "--version", "1"],
        &["login-link", "ada", "--data", "no-data"],
    ] {
        let said = run(home.path(), words).await;
        assert_eq!(said.code, 6, "{words:?}: {}", said.all());
        lines.push(format!("{}\n  {}", words.join(" "), said.err.trim()));
    }
    expect![[r#"
        whoami --server localhost:7400
          error: "localhost:7400" is not the address of a server; use a URL such as http://127.0.0.1:7400 [malformed] at --server
        freeze declare x --reason y --from tomorrow --until +2h
          error: "tomorrow" is not a time; use RFC 3339 such as 2026-12-24T18:00:00+01:00, a local time such as 2026-12-24T18:00, or +2h30m from now [malformed] at --from
        freeze declare x --reason y --from +0s --until +2h --zone Europe/Wien
          error: "Europe/Wien" is not a time zone; use an IANA name such as Europe/Vienna or UTC [out_of_range] at --zone
        apply -f nothing-here
          error: nothing-here cannot be read: No such file or directory (os error 2); check the path and its permissions [not_found]
        plan shop production --version a=1 -f no-strategy.yaml
          error: no-strategy.yaml cannot be read: No such file or directory (os error 2); check the path and its permissions [not_found]
        artifact upload no-file --component a --version 1
          error: no-file cannot be read: No such file or directory (os error 2); check the path and its permissions [not_found]
        login-link ada --data no-data
          error: there is no data folder no-data; name the one the server was started with [not_found] at --data"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_refusal_of_the_server_ends_with_4() {
    let world = World::new().await;
    let said = world.run(&["deployment", "show", "DEP-none"]).await;
    expect![[r#"

        --- stderr
        error: there is no deployment DEP-none; check the name; `tidegate deployment list` names what there is [not_found]
        --- exit 4"#]]
    .assert_eq(&plain(&said.all()));
    let said = world.run(&["deployment", "show", "DEP-none", "--output", "json"]).await;
    assert_eq!(said.code, 4);
    let problem: tidegate_api::Problem = serde_json::from_str(&said.err).expect("a problem");
    assert_eq!((problem.status, problem.code.as_str(), said.out.as_str()), (404, "not_found", ""));
    let said = world.run_as("not-a-token", &["whoami"]).await;
    expect![[r#"

        --- stderr
        error: nobody is signed in, or the token is not known; send a token, or use a sign-in link: tidegate login-link [not_signed_in]
        --- exit 4"#]].assert_eq(&plain(&said.all()));
}

#[tokio::test]
async fn keys_and_tokens_are_kept_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await;
    let mode = |name: &str| std::fs::metadata(world.home.path().join(name)).expect("a file").permissions().mode() & 0o777;
    let said = world.run(&["login", "--token", &world.token]).await;
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(mode(".config/tidegate/token"), 0o600);
    let said = run(world.home.path(), &["whoami", "--server", &world.url()]).await;
    expect![[r#"
        admin (Administrator), trusted with administrator
        --- exit 0"#]]
    .assert_eq(&said.all());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(world.home.path().join(".config/tidegate/token"), open).expect("the mode is set");
    let said = run(world.home.path(), &["whoami", "--server", &world.url()]).await;
    assert_eq!(said.code, 6, "{}", said.all());

    world.good(&["artifact", "keygen", "release.key"]).await;
    assert_eq!((mode("release.key"), mode("release.key.pub")), (0o600, 0o644));
    let said = world.run(&["artifact", "keygen", "release.key"]).await;
    expect![[r#"

        --- stderr
        error: release.key exists; choose another name; a key is never written over [already_exists]
        --- exit 6"#]]
    .assert_eq(&said.all());
}

#[tokio::test]
async fn completions_and_schema_are_printed() {
    let home = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let said = run(home.path(), &["completions", shell]).await;
        assert!(said.code == 0 && said.out.contains("tidegate"), "{}", said.all());
    }
    let said = run(home.path(), &["schema"]).await;
    let schema: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[tokio::test]
async fn there_is_a_manual_page_for_every_command() {
    let home = tempfile::tempdir().expect("a folder");
    let said = run(home.path(), &["man", "man1"]).await;
    assert_eq!(said.code, 0, "{}", said.all());
    let page = |name: &str| std::fs::read_to_string(home.path().join("man1").join(name)).expect("a page");
    assert!(page("tidegate.1").contains("tidegate found a problem") || page("tidegate.1").contains("doctor found a problem"));
    for name in ["tidegate-deployment-fall-back.1", "tidegate-doctor.1", "tidegate-server.1"] {
        assert!(page(name).starts_with(".ie") && page(name).contains(".SH SYNOPSIS"), "{name}: {}", page(name));
    }
    let hidden = std::fs::read_dir(home.path().join("man1")).expect("a folder").flatten();
    assert!(hidden.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().contains("agent-step")));
}
