//! `doctor` on installations that are really broken.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::world::{Said, World, run, tidegate};

/// What is not as it should be, one line each, without what differs from run to run.
fn complaints(said: &Said, world: &World) -> String {
    let home = world.home.path().display().to_string();
    let text = said.out.replace(&home, "HOME").replace(&world.url(), "SERVER");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("good ")).collect();
    format!("{}\n--- exit {}", lines.join("\n"), said.code)
}

async fn doctor(world: &World, words: &[&str]) -> String {
    let words: Vec<&str> = ["doctor"].iter().chain(words).copied().collect();
    complaints(&world.run(&words).await, world)
}

fn data(world: &World) -> String {
    world.home.path().join("server").display().to_string()
}

#[tokio::test]
async fn a_good_installation_has_nothing_to_complain_about() {
    let world = World::new().await;
    let backups = world.home.path().join("backups");
    std::fs::create_dir(&backups).expect("a folder");
    let to = backups.join("one").display().to_string();
    world.good(&["backup", &to, "--data", &data(&world)]).await;
    world.good(&["artifact", "keygen", "release.key"]).await;
    let backups = backups.display().to_string();
    let said = doctor(&world, &["--data", &data(&world), "--backups", &backups, "--release-key", "release.key"]).await;
    expect![[r#"
        0 problems, 0 warnings
        --- exit 0"#]]
    .assert_eq(&said);
    world.server.stop().await;
}

#[tokio::test]
async fn nobody_at_the_address_and_somebody_else_at_it() {
    let world = World::new().await;
    let said = run(world.home.path(), &["doctor", "--server", "http://127.0.0.1:9"]).await;
    expect![[r#"
        good     it is asked on this host, without TLS [transport] at http://127.0.0.1:9
        problem  it cannot be reached: Connection refused (os error 111); start it with tidegate server, or name another with --server or TIDEGATE_SERVER [server_reached] at http://127.0.0.1:9
        1 problem, 0 warnings
        --- exit 7"#]].assert_eq(&said.all());
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", other.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().expect("a question");
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    });
    let said = run(world.home.path(), &["doctor", "--server", &address]).await;
    assert_eq!(said.code, 7, "{}", said.all());
    assert!(said.out.contains("somebody else answers there, with 200 OK"), "{}", said.all());
    world.server.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_by_the_servers_date() {
    let world = World::new().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", other.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        while let Ok((mut stream, _)) = other.accept() {
            let _ = stream.read(&mut [0; 1_024]);
            let head = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(format!("{head}healthy\n").as_bytes());
        }
    });
    let said = run(world.home.path(), &["doctor", "--server", &address]).await;
    assert!(said.out.contains("warning  its clock is ") && said.out.contains(" s behind this host's"), "{}", said.all());
    world.server.stop().await;
}

#[tokio::test]
async fn tokens_that_are_missing_wrong_or_open_to_others() {
    let world = World::new().await;
    let url = world.url();
    let missing = complaints(&run(world.home.path(), &["doctor", "--server", &url]).await, &world);
    expect![[r#"
        problem  there is no token; tidegate token create --person admin --label laptop --data DIR | tidegate login [token] at SERVER
        1 problem, 0 warnings
        --- exit 7"#]].assert_eq(&missing);
    let wrong = complaints(&world.run_as("not-a-token", &["doctor"]).await, &world);
    expect![[r#"
        problem  nobody is signed in, or the token is not known; make one on the server's host: tidegate token create --person NAME --label TEXT --data DIR | tidegate login [token] at SERVER
        1 problem, 0 warnings
        --- exit 7"#]].assert_eq(&wrong);
    world.good(&["login", "--token", &world.token]).await;
    let kept = world.home.path().join(".config/tidegate/token");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).expect("the mode is set");
    let open = complaints(&run(world.home.path(), &["doctor", "--server", &url]).await, &world);
    expect![[r#"
        problem  HOME/.config/tidegate/token can be read by others (mode 644); chmod 600 HOME/.config/tidegate/token, and make a new token if somebody may have read it [token] at this user
        1 problem, 0 warnings
        --- exit 7"#]].assert_eq(&open);
    world.server.stop().await;
}

#[tokio::test]
async fn a_stopped_server_an_open_folder_and_a_lost_key() {
    let world = World::new().await;
    let (url, data) = (world.url(), world.home.path().join("server"));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("the mode is set");
    std::fs::write(data.join("server.key"), "short").expect("damaged");
    std::fs::remove_dir_all(data.join("media/objects")).expect("removed");
    world.server.stop().await;
    let said = run(world.home.path(), &["doctor", "--server", &url, "--data", "server"]).await;
    let text = said.out.replace(&url, "SERVER");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("good ")).collect();
    expect![[r#"
        problem  it cannot be reached: Connection refused (os error 111); start it with tidegate server, or name another with --server or TIDEGATE_SERVER [server_reached] at SERVER
        problem  the folder can be read by others (mode 755); chmod go-rwx server [data_private] at server
        problem  the server's key has 5 bytes and not 32; put it back from a backup: agents believe no other [key] at server/server.key
        problem  the media library cannot be read: No such file or directory (os error 2); put it back from a backup [library] at server/media/objects
        warning  no server works on the folder; start it: tidegate server --data DIR [server_process] at server/server.lock
        4 problems, 1 warning"#]].assert_eq(&lines.join("\n"));
    assert_eq!(said.code, 7);
}

#[tokio::test]
async fn a_history_that_was_changed_and_a_database_that_was_torn() {
    let world = World::new().await;
    let (url, database) = (world.url(), world.home.path().join("server/tidegate.db"));
    world.server.stop().await;
    let sound = std::fs::read(&database).expect("the database");
    // One byte of the first event's text, as somebody who edits the file would.
    let everywhere = b"administrator everywhere";
    let at = sound.windows(everywhere.len()).position(|bytes| bytes == everywhere).expect("the first person's event");
    let mut changed = sound.clone();
    changed[at] = b'A';
    std::fs::write(&database, &changed).expect("changed");
    let doctor = async || {
        let said = run(world.home.path(), &["doctor", "--server", &url, "--data", "server"]).await;
        assert_eq!(said.code, 7, "{}", said.all());
        said.out.lines().filter(|line| line.starts_with("problem") && line.contains("tidegate.db")).collect::<Vec<_>>().join("\n")
    };
    let said = doctor().await;
    assert!(said.contains("the history is broken: position ") && said.contains("[history]"), "{said}");
    let mut torn = sound.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&database, &torn).expect("torn");
    let said = doctor().await;
    assert!(said.contains("[database_integrity]"), "{said}");
    std::fs::write(&database, "this is no database, and it is long enough to be looked at").expect("replaced");
    let said = doctor().await;
    assert!(said.contains("file is not a database"), "{said}");
    std::fs::remove_file(&database).expect("removed");
    let said = doctor().await;
    assert!(said.contains("the database cannot be read: No such file or directory"), "{said}");
    assert!(!database.exists(), "looking makes nothing");
}

#[tokio::test]
async fn targets_without_agents_and_artifacts_without_signatures() {
    let world = World::new().await;
    world.good(&["init", "set"]).await;
    world.good(&["apply", "-f", "set"]).await;
    let file = world.write("hello", "#!/bin/sh\n");
    world.good(&["artifact", "upload", file.to_str().expect("text"), "--component", "hello", "--version", "1.0"]).await;
    expect![[r#"
        warning  3 targets without an agent: production-1, production-2, staging-1; tidegate target enrol NAME prints the command to run there [agent_missing] at SERVER
        warning  1 artifact without a signature, the newest hello 1.0; sign with a release key (tidegate artifact keygen, upload --key), and start agents with --trust [artifacts] at SERVER
        0 problems, 2 warnings
        --- exit 0"#]].assert_eq(&doctor(&world, &[]).await);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stopped_and_lost_its_memory() {
    let world = World::new().await;
    world.good(&["init", "set"]).await;
    world.good(&["apply", "-f", "set"]).await;
    let mut agent = world.agent("staging-1").await;
    let enrolled =
        async || !world.good(&["target", "show", "staging-1", "--output", "json"]).await.contains("\"agent_key\":null");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !enrolled().await {
        assert!(std::time::Instant::now() < deadline, "the agent did not enrol");
    }
    let root = world.home.path().join("agent-staging-1");
    let look = async || {
        let said = run(world.home.path(), &["doctor", "--server", &world.url(), "--agent-root", "agent-staging-1"]).await;
        said.out.lines().filter(|line| line.contains("agent-staging-1")).collect::<Vec<_>>().join("\n")
    };
    let said = look().await;
    assert!(said.contains("it is the agent of staging-1") && said.contains("an agent works in it"), "{said}");
    agent.kill().await.expect("killed");
    std::fs::create_dir_all(root.join("journal/attempt")).expect("a folder");
    std::fs::write(root.join("journal/attempt/order.json"), "{").expect("damaged");
    std::fs::write(root.join("ratchet.json"), "{").expect("damaged");
    std::fs::write(root.join("identity.json"), "{}").expect("damaged");
    let said = look().await;
    let problems: Vec<&str> = said.lines().filter(|line| line.starts_with("problem")).collect();
    expect![[r#"
        problem  agent-staging-1/identity.json: missing field `key` at line 1 column 2; enrol it again: tidegate target enrol NAME [agent_identity] at agent-staging-1/identity.json
        problem  no agent works in it; start it: tidegate agent --root DIR [agent_process] at agent-staging-1
        problem  agent-staging-1/journal/attempt: agent-staging-1/journal/attempt/order.json: EOF while parsing an object at line 1 column 1; keep a copy, and look at what ran before removing it: the agent does not start without its memory [agent_journal] at agent-staging-1/journal
        problem  agent-staging-1/ratchet.json: EOF while parsing an object at line 1 column 1; put it back from a copy: without it an old order would pass, so the agent does not start [agent_generations] at agent-staging-1/ratchet.json"#]].assert_eq(&problems.join("\n"));
    world.server.stop().await;
}

/// Runs `script` as root where mounts are its own, with the program's words behind it; nothing where this user may not.
fn in_own_mounts(home: &Path, script: &str, words: &[&str]) -> Option<String> {
    let can = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !can {
        // The test runs as root in CI; a developer without root sees why it did nothing.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: mount namespaces cannot be made by this user\n");
        return None;
    }
    let program = tidegate(home);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"]).arg(program.as_std().get_program());
    command.args(words).env("HOME", home).env("NO_COLOR", "1").current_dir(home);
    let output = command.output().expect("unshare runs");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[tokio::test]
async fn a_full_disk_and_one_that_is_read_only() {
    let world = World::new().await;
    let url = world.url();
    world.server.stop().await;
    let words = ["doctor", "--server", &url, "--data", "small"];
    let full = "mkdir small && mount -t tmpfs -o size=1m,mode=700 none small && cp -a server/. small/ && exec \"$0\" \"$@\"";
    let full = full.replace("\"$0\" ", "");
    let Some(said) = in_own_mounts(world.home.path(), &full, &words) else { return };
    assert!(
        said.contains(" MiB are free on its disk; make room: nothing can be committed on a full disk [disk_space]"),
        "{said}"
    );
    let words = ["doctor", "--server", &url, "--data", "server"];
    let read_only = "mount --bind server server && mount -o remount,bind,ro server && exec \"$@\"";
    let Some(said) = in_own_mounts(world.home.path(), read_only, &words) else { return };
    assert!(said.contains("its disk is mounted read-only") && said.contains("[disk_writable]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_this_user_may_not_read() {
    let world = World::new().await;
    let (url, data) = (world.url(), data(&world));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["doctor", "--server", &url, "--data", &data]).current_dir("/").env("HOME", "/nonexistent");
    let output = if rustix::process::geteuid().is_root() {
        command.output().expect("setpriv runs")
    } else {
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o000)).expect("the mode is set");
        tidegate(world.home.path()).as_std_mut().args(["doctor", "--server", &url, "--data", &data]).output().expect("it runs")
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("Permission denied") && said.contains("run as the user that the server runs as [data_folder]"),
        "{said}"
    );
    world.server.stop().await;
}

#[tokio::test]
async fn every_code_has_its_row_in_the_guide() {
    let guide = include_str!("../../../../docs/guide/doctor.md");
    let rows: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let source = include_str!("../../src/command/doctor/finding.rs");
    let body = source.split("pub enum Code {").nth(1).and_then(|rest| rest.split('}').next()).expect("the codes");
    let snake = |name: &str| {
        name.chars().enumerate().fold(String::new(), |text, (at, c)| {
            let low = if c.is_uppercase() && at > 0 {
                format!("_{}", c.to_ascii_lowercase())
            } else {
                c.to_ascii_lowercase().to_string()
            };
            text + &low
        })
    };
    let codes: Vec<String> =
        body.lines().map(|line| line.trim().trim_end_matches(',')).filter(|it| !it.is_empty()).map(snake).collect();
    assert_eq!(rows, codes, "docs/guide/doctor.md has a row for each code, in this order");
    let world = World::new().await;
    let said: Value = serde_json::from_str(&world.good(&["doctor", "--output", "json"]).await).expect("JSON");
    assert_eq!(said["problems"], 0);
    assert!(said["findings"].as_array().expect("findings").iter().all(|it| rows.contains(&it["code"].as_str().expect("a code"))));
    world.server.stop().await;
}
