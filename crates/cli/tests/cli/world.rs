//! A real server on a free port, and the real program beside it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tidegate_server::clock::Clock;
use tidegate_server::{Config, Running};
use tokio::process::{Child, Command};

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Both outputs and the exit code, for transcripts.
    pub fn all(&self) -> String {
        let err = if self.err.is_empty() { String::new() } else { format!("--- stderr\n{}\n", self.err.trim_end()) };
        format!("{}\n{err}--- exit {}", self.out.trim_end(), self.code)
    }
}

/// The program with an environment of its own.
pub fn tidegate(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().env("HOME", home).env("TZ", "UTC").env("NO_COLOR", "1").current_dir(home).stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

/// Runs the program without any server.
pub async fn run(home: &Path, words: &[&str]) -> Said {
    said(tidegate(home).args(words)).await
}

async fn said(command: &mut Command) -> Said {
    let output = command.output().await.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes text");
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// A server, its files, and a token of its administrator.
pub struct World {
    pub home: TempDir,
    pub server: Running,
    pub token: String,
}

impl World {
    pub async fn new() -> World {
        let home = tempfile::tempdir().expect("a folder");
        let config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data: home.path().join("server"),
            database: None,
            public_url: None,
            allow_commands: false,
            serving: tidegate_server::app::Serving::default(),
        };
        let server = tidegate_server::start(&config, Clock::System).await.expect("the server starts");
        let token = tidegate_server::first_token(&server).await.expect("a token");
        World { home, server, token }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Runs the program as the administrator.
    pub async fn run(&self, words: &[&str]) -> Said {
        self.run_as(&self.token, words).await
    }

    /// Runs the program as somebody else.
    pub async fn run_as(&self, token: &str, words: &[&str]) -> Said {
        said(tidegate(self.home.path()).env("TIDEGATE_SERVER", self.url()).env("TIDEGATE_TOKEN", token).args(words)).await
    }

    /// Runs the program and takes what it answers; anything but a good end is the test's.
    pub async fn good(&self, words: &[&str]) -> String {
        let said = self.run(words).await;
        assert_eq!(said.code, 0, "{words:?}: {}", said.all());
        said.out
    }

    /// One field of a JSON answer, by JSON pointer.
    pub async fn field(&self, words: &[&str], pointer: &str) -> String {
        let mut words = words.to_vec();
        words.extend(["--output", "json"]);
        let answer: serde_json::Value = serde_json::from_str(&self.good(&words).await).expect("JSON");
        answer.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_else(|| panic!("{pointer} in {answer}")).to_owned()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Starts the real agent of a target; it ends with the test.
    pub async fn agent(&self, target: &str) -> Child {
        let token = self.field(&["target", "enrol", target], "/token").await;
        let root = self.home.path().join(format!("agent-{target}"));
        let mut agent = tidegate(self.home.path());
        agent.args(["agent", "--server", &self.url(), "--token", &token, "--root"]).arg(root).arg("--die-with-parent");
        agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the agent starts")
    }
}
