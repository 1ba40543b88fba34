//! What `--help` says, of every command; the files beside are the reference that people read in reviews.

use expect_test::expect_file;

use crate::world::run;

async fn help(words: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let words: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
    let said = run(home.path(), &words).await;
    assert_eq!(said.code, 0, "{}", said.all());
    // Usage lines are not wrapped by the parser of the command line.
    assert!(said.out.lines().filter(|line| !line.starts_with("Usage:")).all(|line| line.chars().count() <= 100), "{}", said.out);
    said.out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// The help of a family and of each of its commands, without the options that every command has: those are on the first page.
async fn family(name: &str, commands: &[&str]) -> String {
    let own = |text: String| match text.split_once("\nGlobal options:") {
        None => text,
        Some((own, global)) => {
            // What is written below the options belongs to the command again.
            let after = global.split_once("so does `NO_COLOR`\n").map_or("", |(_, after)| after);
            format!("{own}{after}")
        }
    };
    let mut text = own(help(&[name]).await);
    for command in commands {
        text.push_str(&format!("\n=== tidegate {name} {command}\n\n{}", own(help(&[name, command]).await)));
    }
    text
}

#[tokio::test]
async fn the_first_page_lists_every_command_and_exit_code() {
    expect_file!["help/tidegate.txt"].assert_eq(&help(&[]).await);
}

#[tokio::test]
async fn programs_that_stay_up() {
    for name in ["server", "agent", "demo"] {
        expect_file![format!("help/{name}.txt")].assert_eq(&family(name, &[]).await);
    }
}

#[tokio::test]
async fn definitions() {
    for name in ["init", "apply", "validate", "schema"] {
        expect_file![format!("help/{name}.txt")].assert_eq(&family(name, &[]).await);
    }
    let list = family("list", &["applications", "components", "environments", "strategies", "people"]).await;
    expect_file!["help/list.txt"].assert_eq(&list);
    expect_file!["help/target.txt"].assert_eq(&family("target", &["list", "show", "enrol"]).await);
}

#[tokio::test]
async fn deployments() {
    for name in ["plan", "watch"] {
        expect_file![format!("help/{name}.txt")].assert_eq(&family(name, &[]).await);
    }
    expect_file!["help/deploy.txt"].assert_eq(&family("deploy", &["start"]).await);
    let commands = [
        "list",
        "show",
        "show-plan",
        "log",
        "start",
        "pause",
        "resume",
        "stop",
        "fall-back",
        "attach-change",
        "retry",
        "exclude",
        "answer",
        "approve-gate",
        "override-gate",
    ];
    expect_file!["help/deployment.txt"].assert_eq(&family("deployment", &commands).await);
}

#[tokio::test]
async fn releases_changes_and_freezes() {
    let release = [
        "create",
        "list",
        "show",
        "plan",
        "start",
        "meet",
        "complete-phase",
        "add-change",
        "evaluate",
        "close",
        "cancel",
        "reject",
    ];
    expect_file!["help/release.txt"].assert_eq(&family("release", &release).await);
    let change =
        ["write", "list", "show", "edit", "submit", "approve", "reject", "withdraw-vote", "hold", "unhold", "cancel", "close"];
    expect_file!["help/change.txt"].assert_eq(&family("change", &change).await);
    let freeze = ["declare", "list", "show", "lift", "request-exception", "approve-exception", "reject-exception"];
    expect_file!["help/freeze.txt"].assert_eq(&family("freeze", &freeze).await);
}

#[tokio::test]
async fn artifacts_tokens_and_the_history() {
    expect_file!["help/artifact.txt"].assert_eq(&family("artifact", &["upload", "list", "keygen", "sign"]).await);
    expect_file!["help/token.txt"].assert_eq(&family("token", &["create", "list", "revoke"]).await);
    expect_file!["help/audit.txt"].assert_eq(&family("audit", &["verify", "log"]).await);
    for name in ["measure", "login", "whoami", "login-link", "backup", "restore", "doctor", "completions", "man"] {
        expect_file![format!("help/{name}.txt")].assert_eq(&family(name, &[]).await);
    }
}
