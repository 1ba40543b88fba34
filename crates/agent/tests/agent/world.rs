//! One server and one agent as a real process, with everything below a folder that is removed at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;
use tidegate_domain::deployment::artifact::{ArtifactRef, Format, Signature, signed_text};
use tidegate_domain::deployment::order::{Installation, Order};
use tidegate_domain::estate::{Action, Class, Health, HealthProbe, Step};
use tidegate_domain::{Digest, Id, Name, Version};
use tokio::process::{Child, Command};

use crate::server::{NOW_MS, Server};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate-agent-under-test");

pub struct World {
    pub server: Server,
    pub folder: TempDir,
    pub release_key: SigningKey,
    pub child: Option<Child>,
    pub die_with_parent: bool,
    pub stop_services_on_exit: bool,
    /// The step at which the agent panics.
    pub defect_at: Option<&'static str>,
}

impl World {
    pub async fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let release_key = SigningKey::from_bytes(&[9; 32]);
        let server = Server::start().await;
        World { server, folder, release_key, child: None, die_with_parent: false, stop_services_on_exit: false, defect_at: None }
    }

    /// A world whose agent runs.
    pub async fn running() -> World {
        let mut world = World::new().await;
        world.start(0);
        world
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub fn component(&self) -> PathBuf {
        self.root().join("components/ledger")
    }

    /// Starts the agent; with `crash_after` it kills itself at that durable write.
    pub fn start(&mut self, crash_after: u32) {
        let command = self.command(PROGRAM);
        self.spawn(command, crash_after);
    }

    /// Starts the agent as the child of a shell, which [`World::kill`] then kills.
    pub fn start_below_a_shell(&mut self) {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg("\"$0\" \"$@\"; true").arg(PROGRAM);
        self.spawn(command, 0);
    }

    fn command(&self, program: &str) -> Command {
        let given = serde_json::json!({
            "server": self.server.address,
            "root": self.root(),
            "token": "one-time",
            "trust": [STANDARD.encode(self.release_key.verifying_key().as_bytes())],
            "die_with_parent": self.die_with_parent,
            "stop_services_on_exit": self.stop_services_on_exit,
            "defect_at": self.defect_at,
        });
        fs::write(self.folder.path().join("config.json"), given.to_string()).expect("a configuration");
        let mut command = Command::new(program);
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn spawn(&mut self, mut command: Command, crash_after: u32) {
        command.arg("agent").arg(self.folder.path().join("config.json")).arg(crash_after.to_string());
        self.child = Some(command.spawn().expect("the agent"));
    }

    /// Kills the agent alone, as `kill -9` does.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("killed");
        }
    }

    /// What the agent said when it ended by itself.
    pub fn error(&self) -> String {
        fs::read_to_string(self.folder.path().join("config.json.error")).unwrap_or_default()
    }

    /// Asks the agent to end and waits for it.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id().expect("it runs") as i32, rustix::process::Signal::TERM);
            child.wait().await.expect("it ends");
        }
    }

    /// Kills everything that runs below the root, as a power cut does.
    pub async fn kill_all(&self) {
        // Supervisors first: one that sees its program die would keep that as a result. And again for a start on its way.
        let left = || {
            let left: Vec<(i32, u64)> = claimed(&self.root()).into_iter().filter(|(pid, ticks)| is_alive(*pid, *ticks)).collect();
            left.iter().for_each(|(pid, _)| signal(*pid, rustix::process::Signal::KILL));
            left.len()
        };
        wait_until("everything is dead", || left() == 0).await;
    }

    /// Signs, keeps and orders bytes as the artifact of a version of `ledger`.
    pub fn installation(&self, version: &str, format: Format, bytes: Vec<u8>) -> Installation {
        let component = Name::parse("ledger").expect("a name");
        let version = Version::parse(version).expect("a version");
        let digest = Digest::of(&bytes);
        let text = signed_text(&component, &version, &digest);
        let signature = Signature {
            key: STANDARD.encode(self.release_key.verifying_key().as_bytes()),
            value: STANDARD.encode(self.release_key.sign(text.as_bytes()).to_bytes()),
        };
        let artifact = ArtifactRef { digest: digest.clone(), format, size_bytes: bytes.len() as u64, signature: Some(signature) };
        self.server.with(|memory| memory.artifacts.insert(digest.as_str().to_owned(), bytes));
        Installation { component, version, artifact, steps: Vec::new(), health: None, keep_releases: 3 }
    }

    /// An installation of the given shell programs with the given steps.
    pub fn scripts(&self, version: &str, scripts: &[(&str, &str)], steps: Vec<Step>) -> Installation {
        let files: Vec<(String, Vec<u8>, u32)> = scripts
            .iter()
            .map(|(name, text)| (format!("bin/{name}"), format!("#!/bin/sh\n{text}\n").into_bytes(), 0o755))
            .collect();
        Installation { steps, ..self.installation(version, Format::TarGz, tar_gz(&files)) }
    }

    /// An order of this world.
    pub fn order(&self, number: u32, generation: u64, installations: Vec<Installation>) -> Order {
        let name = |text: &str| Name::parse(text).expect("a name");
        Order {
            attempt: format!("DEP-1:web-1:{number}"),
            deployment: Id::parse("DEP-1").expect("an id"),
            plan: Digest::of(b"plan"),
            application: name("shop"),
            environment: name("test"),
            target: name("web-1"),
            generation,
            expires_at_ms: NOW_MS + 600_000,
            installations,
            variables: BTreeMap::from([
                ("ledger".to_owned(), self.ledger().to_string_lossy().into_owned()),
                ("program".to_owned(), PROGRAM.to_owned()),
            ]),
            start_at: 0,
        }
    }

    /// Where the scripts of tests write what they did.
    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    pub fn effects(&self) -> Vec<String> {
        fs::read_to_string(self.ledger()).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
        for (pid, ticks) in claimed(&self.root()) {
            if is_alive(pid, ticks) {
                signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

pub fn step(name: &str, action: Action) -> Step {
    Step { name: name.to_owned(), action, timeout_seconds: 30, irreversible: false }
}

pub fn script(name: &str, class: Class) -> Step {
    let verify = if class == Class::Verifiable { vec!["bin/verify".to_owned(), name.to_owned()] } else { Vec::new() };
    step(name, Action::Script { run: format!("bin/{name}"), args: Vec::new(), class, verify })
}

pub fn unpack() -> Step {
    step("unpack", Action::Unpack)
}

pub fn switch() -> Step {
    step("switch", Action::Switch)
}

pub fn process(args: &[&str]) -> Step {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    step("process", Action::Process { run: "bin/serve".to_owned(), args, stop_grace_seconds: 5 })
}

pub fn health(probe: HealthProbe) -> Health {
    Health { probe, interval_seconds: 1, min_healthy_seconds: 0, healthy_deadline_seconds: 20 }
}

pub fn http_health() -> Health {
    health(HealthProbe::Http { url: "http://{{ address }}/ready".to_owned() })
}

/// What a service of ours answers.
pub async fn get(address: &str, path: &str) -> Result<String, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.get(format!("http://{address}{path}")).send().await?.text().await
}

/// A loopback address of this test process alone, with a port of this story alone. A test that was broken off may have left its
/// services behind, and the kernel uses its number again, so it is tried.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let pid = std::process::id();
    let [_, high, middle, low] = pid.to_be_bytes();
    let mut addresses =
        std::iter::repeat_with(|| format!("127.{}.{middle}.{low}:{}", 64 + high, NEXT.fetch_add(1, Ordering::SeqCst)));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).expect("a free address")
}

/// A packed archive of (path, content, mode).
pub fn tar_gz(files: &[(String, Vec<u8>, u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        builder.append_data(&mut header, path, content.as_slice()).expect("an entry");
    }
    builder.into_inner().expect("an archive").finish().expect("an archive")
}

/// Every process that claimed a launch folder below `root`, supervisors before their programs: number and start.
pub fn claimed(root: &Path) -> Vec<(i32, u64)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root) else { return found };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(claimed(&entry.path()));
        }
    }
    if let Ok(text) = fs::read(root.join("claim.json"))
        && let Ok(claim) = serde_json::from_slice::<serde_json::Value>(&text)
        && let (Some(pid), Some(ticks)) = (claim["by"]["pid"].as_i64(), claim["by"]["started_ticks"].as_u64())
    {
        found.insert(0, (pid as i32, ticks));
    }
    found
}

pub fn is_alive(pid: i32, ticks: u64) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[0] != "Z" && fields[19] == ticks.to_string()
}

pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a number");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Waits for what no signal tells: a process of the other side, a file that it writes.
pub async fn wait_until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}
