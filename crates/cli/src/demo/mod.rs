//! `tidegate demo`: a real server, eighteen real agents, a real service under load, and one release from plan to production.
//!
//! `landscape` sets the stage, `story` plays on it through the public API alone, `summary` tells what happened.

mod landscape;
mod people;
mod story;
mod summary;
mod voice;

use std::path::PathBuf;

use anyhow::Context as _;
use tidegate_server::app::Serving;
use tidegate_server::clock::Clock;

use landscape::Landscape;
use people::People;
use voice::Voice;

/// How to play.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the command line")]
pub struct Options {
    /// At full speed, then end.
    pub once: bool,
    /// One JSON object instead of the story.
    pub json: bool,
    /// Leave everything running for exploration.
    pub keep: bool,
    /// Wait for somebody to approve the change in the page.
    pub by_hand: bool,
    /// Where the server listens; any free port of 127.0.0.1 with `--once`, 127.0.0.1:7400 otherwise.
    pub listen: Option<std::net::SocketAddr>,
    /// Where the files go; a folder that is removed at the end unless said.
    pub data: Option<PathBuf>,
}

/// How the summary is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Prose,
    /// One JSON object.
    Json,
}

/// Plays the demo.
///
/// # Errors
///
/// Whatever kept the story from being played to its end, in a sentence.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let voice = Voice::of(&options);
    let kept = options.data.clone();
    let scratch = tempfile::Builder::new().prefix("tidegate-demo-").tempdir().context("no place for the demo's files")?;
    let root = kept.unwrap_or_else(|| scratch.path().to_owned());
    let config = tidegate_server::Config {
        listen: options.listen.unwrap_or_else(|| address(&options)),
        data: root.join("server"),
        database: None,
        public_url: None,
        allow_commands: false,
        serving: Serving::default(),
    };
    let running = tidegate_server::start(&config, Clock::System).await.map_err(|no| anyhow::anyhow!("{no}"))?;
    let people = People::new(&running).await?;
    if let Some(link) = &running.login_link {
        voice.door(link);
    }
    let landscape = Landscape::build(&people, &voice, &root).await?;
    let told = tokio::select! {
        told = story::play(&people, &landscape, &voice, &options) => told,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    let told = match told {
        Ok(told) => told,
        Err(error) => {
            landscape.end().await;
            running.stop().await;
            return Err(error);
        }
    };
    summary::tell(&people, &told, &voice, if options.json { Form::Json } else { Form::Prose }).await?;
    if options.keep {
        voice.keep(&root);
        interrupted().await;
    }
    landscape.end().await;
    running.stop().await;
    Ok(())
}

/// The usual address for somebody who looks; any for a machine, so that several can run beside each other.
fn address(options: &Options) -> std::net::SocketAddr {
    let port = if options.once { 0 } else { 7400 };
    std::net::SocketAddr::from(([127, 0, 0, 1], port))
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
