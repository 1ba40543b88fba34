//! A folder as an agent makes it, with every version unpacked, and services that run from there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, Once};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_sample_ledger::{Edition, artifact};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Longest wait for anything that is awaited here.
const LONG: Duration = Duration::from_secs(20);
/// Longest time from the signal to the end of a service.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Held while a program is written and while one is started: a child that is just being made still holds every file that is
/// open for writing, and a program that somebody holds so cannot be started.
static STARTING: Mutex<()> = Mutex::new(());

fn start(command: &mut Command) -> Child {
    let _one_at_a_time = STARTING.lock();
    command.spawn().expect("a program that starts")
}

pub struct Host {
    folder: TempDir,
}

impl Host {
    /// The versions are unpacked below `releases`, and `tidegate` is this package's own program.
    pub fn new() -> Host {
        let host = Host { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(host.path("path")).expect("a folder");
        let own = env!("CARGO_BIN_EXE_tidegate-sample-ledger");
        std::os::unix::fs::symlink(own, host.path("path/tidegate")).expect("a link");
        let _nobody_starts = STARTING.lock();
        for edition in Edition::ALL {
            let bytes = artifact(edition).expect("an artifact");
            let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
            archive.unpack(host.release(edition)).expect("unpacked");
        }
        host
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join(inner)
    }

    fn release(&self, edition: Edition) -> PathBuf {
        self.path("releases").join(edition.name())
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Replaces a text in `bin/ledger`.
    pub fn mend(&self, edition: Edition, wrong: &str, right: &str) {
        let _nobody_starts = STARTING.lock();
        let text = std::fs::read_to_string(self.program(edition)).expect("bin/ledger");
        std::fs::write(self.program(edition), text.replace(wrong, right)).expect("bin/ledger");
    }

    pub fn program(&self, edition: Edition) -> PathBuf {
        self.release(edition).join("bin/ledger")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("path").display());
        command.env_clear().env("PATH", path).env("TIDEGATE_DATA_DIR", self.data());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs `bin/migrate` with `args` and answers its end and what it said.
    pub async fn run_migrate(&self, edition: Edition, args: &[&str]) -> (i32, String) {
        let program = self.release(edition).join("bin/migrate");
        let output = start(self.command(&program).args(args)).wait_with_output().await.expect("an end");
        (output.status.code().expect("an exit code"), String::from_utf8(output.stdout).expect("text"))
    }

    pub async fn migrate(&self, edition: Edition) {
        let (code, said) = self.run_migrate(edition, &[]).await;
        assert_eq!(code, 0, "{said}");
    }

    /// What `tidegate` says when it does not want to.
    pub async fn refusal(&self, args: &[&str]) -> String {
        let output = start(self.command(&self.path("path/tidegate")).args(args)).wait_with_output().await.expect("an end");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("text")
    }

    pub async fn start(&self, edition: Edition) -> Service {
        self.start_on(edition, 0).await
    }

    /// Starts the service and waits until it says where it listens.
    pub async fn start_on(&self, edition: Edition, port: u16) -> Service {
        let mut command = self.command(&self.program(edition));
        command.env("PORT", port.to_string()).env("TIDEGATE_VERSION", edition.name());
        let mut process = start(&mut command);
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().expect("its output"));
        tokio::time::timeout(LONG, said.read_line(&mut line)).await.expect("in time").expect("a line");
        let start = format!("ledger {} listens on ", edition.name());
        let Some(url) = line.trim().strip_prefix(&start) else {
            panic!("{line:?}");
        };
        Service { process, url: url.to_owned(), client: client() }
    }
}

pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // Nothing here is encrypted, but the client is built for it.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().timeout(LONG).build().expect("a client")
}

pub struct Service {
    process: Child,
    pub url: String,
    client: reqwest::Client,
}

impl Service {
    /// `GET /path` or `POST /path BODY`.
    pub async fn ask(&self, request: &str) -> (u16, String) {
        let mut words = request.splitn(3, ' ');
        let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
        let url = format!("{}{path}", self.url);
        let request = match method {
            "GET" => self.client.get(url),
            _ => self.client.post(url).header("content-type", "application/json").body(words.next().unwrap_or("").to_owned()),
        };
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body"))
    }

    pub async fn enter(&self, account: &str, amount_cents: i64) -> u16 {
        self.ask(&format!("POST /entries {}", json!({ "account": account, "amount_cents": amount_cents }))).await.0
    }

    pub async fn balance(&self, account: &str) -> i64 {
        let (status, body) = self.ask(&format!("GET /accounts/{account}/balance")).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["balance_cents"].as_i64().expect("a balance")
    }

    /// The value of one series of `/metrics`.
    pub async fn metric(&self, series: &str) -> u64 {
        let (_, text) = self.ask("GET /metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)).expect("the series");
        line.trim().parse().expect("a number")
    }

    /// Opens a connection and sends these bytes on it.
    pub async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).await.expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        stream
    }

    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Stops it softly, which must take less than 2 s, and answers what it had logged.
    pub async fn stop(mut self) -> String {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid as i32)).expect("a running process");
        kill_process(pid, Signal::TERM).expect("a signal that arrives");
        let ended = tokio::time::timeout(STOP_MAX, self.process.wait()).await.expect("an end within 2 s").expect("an end");
        assert!(ended.success(), "{ended}");
        let mut log = String::new();
        self.process.stderr.take().expect("its log").read_to_string(&mut log).await.expect("text");
        log
    }

    /// Ends it without a word.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("an end");
    }
}
