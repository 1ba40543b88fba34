//! The stage: three environments, eighteen targets with an agent each, four versions of a service, and load upon it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use tidegate_api::Definition;
use tidegate_api::request::{ApplyDefinitions, Nothing};
use tidegate_api::view::{AppliedDefinitions, Enrolment, Page, TargetView, Versioned};
use tidegate_domain::deployment::artifact::{Artifact, signed_text};
use tidegate_domain::estate::Target;
use tidegate_domain::{Digest, Name, Version};
use tidegate_sample_ledger::{Edition, LoadSummary};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::people::{People, Who};
use super::voice::Voice;

/// Environments with how many targets each has.
const ENVIRONMENTS: [(&str, usize); 3] = [("development", 2), ("staging", 4), ("production", 12)];
/// Requests per second and target of production.
const LOAD_PER_SECOND: f64 = 8.0;
/// Longest wait for all agents to be there.
const AGENTS_WITHIN: Duration = Duration::from_secs(30);

const DEFINITIONS: &str = include_str!("landscape.yaml");

/// What has to be ended at the end.
pub struct Landscape {
    agents: Vec<Child>,
    load: JoinHandle<anyhow::Result<LoadSummary>>,
    stop_load: watch::Sender<bool>,
}

impl Landscape {
    /// Builds the stage.
    pub async fn build(people: &People, voice: &Voice, root: &Path) -> anyhow::Result<Landscape> {
        people.define(DEFINITIONS).await?;
        let ports = ports(ENVIRONMENTS.iter().map(|(_, count)| count).sum())?;
        let targets = targets(&ports)?;
        let definitions = targets.iter().cloned().map(Definition::Target).collect();
        let _: AppliedDefinitions = people.post(Who::Admin, "/definitions", &ApplyDefinitions { definitions }).await?;
        let key = SigningKey::from_bytes(&secret()?);
        for edition in Edition::ALL {
            upload(people, &key, edition).await?;
        }
        voice.say("Four versions of the ledger are in the media library, signed by a release key.");
        let path = path_with_tidegate(root)?;
        let mut agents = Vec::new();
        for target in &targets {
            agents.push(agent(people, target, (root, &path), &key).await?);
        }
        present(people, targets.len()).await?;
        voice.say(&format!("{} agents run, each with a key of its own and a folder of its own.", targets.len()));
        let (stop_load, load) = load(&targets);
        Ok(Landscape { agents, load, stop_load })
    }

    /// Ends load and agents; agents take their services with them.
    pub async fn end(mut self) {
        let _ = self.stop_load.send(true);
        let _ = self.load.await;
        for agent in &self.agents {
            if let Some(pid) = agent.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
                // One that has ended already needs no signal.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        for agent in &mut self.agents {
            let _ = tokio::time::timeout(Duration::from_secs(10), agent.wait()).await;
        }
    }
}

/// Free ports; held together until all are known, so that no two are the same.
fn ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn targets(ports: &[u16]) -> anyhow::Result<Vec<Target>> {
    let places = ENVIRONMENTS.iter().flat_map(|(environment, count)| (1..=*count).map(move |number| (*environment, number)));
    let target = |((environment, number), port): ((&str, usize), &u16)| {
        Ok(Target {
            name: Name::parse(&format!("{environment}-{number:02}"))?,
            environment: Name::parse(environment)?,
            labels: [("role".to_owned(), "ledger".to_owned())].into(),
            variables: [("port".to_owned(), port.to_string())].into(),
        })
    };
    places.zip(ports).map(target).collect()
}

fn secret() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

async fn upload(people: &People, key: &SigningKey, edition: Edition) -> anyhow::Result<()> {
    let bytes = tidegate_sample_ledger::artifact(edition)?;
    let (component, version, digest) = (Name::parse("ledger")?, Version::parse(edition.name())?, Digest::of(&bytes));
    let signature = BASE64.encode(key.sign(signed_text(&component, &version, &digest).as_bytes()).to_bytes());
    let query = [
        ("component", component.to_string()),
        ("version", version.to_string()),
        ("format", "tar_gz".into()),
        ("digest", digest.to_string()),
        ("signature_key", public(key)),
        ("signature", signature),
    ];
    let url = reqwest::Url::parse_with_params("http://localhost/artifacts", query)?;
    let path = format!("/artifacts?{}", url.query().unwrap_or_default());
    let _: Versioned<Artifact> = people.upload(Who::Dana, &path, bytes).await?;
    Ok(())
}

fn public(key: &SigningKey) -> String {
    BASE64.encode(key.verifying_key().to_bytes())
}

/// A `PATH` on which the ledger's programs find this program as `tidegate`, whatever its file is called.
fn path_with_tidegate(root: &Path) -> anyhow::Result<String> {
    let folder = root.join("bin");
    std::fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(std::env::current_exe()?, folder.join("tidegate")).context("the demo's folder was used before")?;
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()))
}

async fn agent(people: &People, target: &Target, (root, path): (&Path, &str), key: &SigningKey) -> anyhow::Result<Child> {
    let enrolment: Enrolment = people.post(Who::Olaf, &format!("/targets/{}/enrolment", target.name), &Nothing {}).await?;
    let folder: PathBuf = root.join("targets").join(target.name.as_str());
    std::fs::create_dir_all(&folder)?;
    let log = std::fs::File::create(folder.join("agent.log"))?;
    let child = Command::new(std::env::current_exe()?)
        .args(["agent", "--server", people.base(), "--token", &enrolment.token, "--trust", &public(key)])
        .arg("--root")
        .arg(folder.join("root"))
        .args(["--die-with-parent", "--stop-services-on-exit"])
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // Ctrl-C is for the demo; it ends its agents itself, in order.
        .process_group(0)
        .spawn();
    child.with_context(|| format!("the agent of {} cannot be started", target.name))
}

async fn present(people: &People, count: usize) -> anyhow::Result<()> {
    let until = tokio::time::Instant::now() + AGENTS_WITHIN;
    loop {
        let page: Page<TargetView> = people.get(Who::Olaf, "/targets?limit=200").await?;
        let here = page.rows.iter().filter(|target| target.contact_at_ms.is_some()).count();
        if here == count {
            return Ok(());
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < until,
            "only {here} of {count} agents are there after {} s",
            AGENTS_WITHIN.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Steady load upon production.
fn load(targets: &[Target]) -> (watch::Sender<bool>, JoinHandle<anyhow::Result<LoadSummary>>) {
    let production = targets.iter().filter(|target| target.environment.as_str() == "production");
    let urls =
        production.filter_map(|target| target.variables.get("port")).map(|port| format!("http://127.0.0.1:{port}")).collect();
    let (stop, mut stopped) = watch::channel(false);
    let shutdown = async move {
        // A sender that is gone means the end as well.
        let _ = stopped.changed().await;
    };
    let running = tokio::spawn(async move { Ok(tidegate_sample_ledger::load(urls, LOAD_PER_SECOND, shutdown).await) });
    (stop, running)
}
