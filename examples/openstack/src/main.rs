//! Loads series of the reference data: `load-openstack DATA SERIES…`, with `TIDEGATE_SERVER` and `TIDEGATE_TOKEN`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people talks on the terminal")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tidegate_example_openstack::data::Series;
use tidegate_example_openstack::load::Server;
use tidegate_example_openstack::series;

const USAGE: &str = "usage: load-openstack FOLDER SERIES…
  FOLDER   the data set, with deliverables/, schedule/ and release_requests.jsonl
  SERIES   such as stein, victoria, caracal
with TIDEGATE_TOKEN (tidegate token create) and, unless it is http://127.0.0.1:7400, TIDEGATE_SERVER";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Only fails if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, names @ ..] = arguments.as_slice() else { return refused(USAGE) };
    if names.is_empty() {
        return refused(USAGE);
    }
    match run(Path::new(folder), names).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(&format!("{error:#}")),
    }
}

fn refused(words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(2)
}

async fn run(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let address = std::env::var("TIDEGATE_SERVER").unwrap_or_else(|_| "http://127.0.0.1:7400".into());
    let token = std::env::var("TIDEGATE_TOKEN").context("TIDEGATE_TOKEN is not set; `tidegate token create` makes a token")?;
    let server = Server { address: address.trim_end_matches('/').to_owned(), token };
    for (index, name) in names.iter().enumerate() {
        let begin = Instant::now();
        let load = series::load(&Series::read(folder, name)?, 10 * index as u32)?;
        let bar = ProgressBar::new(load.records() as u64);
        bar.set_style(ProgressStyle::with_template("{prefix:10} {bar:40} {pos}/{len} records")?);
        bar.set_prefix(name.clone());
        let loaded = server.load(&load, |records| bar.inc(records as u64)).await?;
        bar.finish();
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{name}: {} recorded, {} known before, {} freezes declared, {seconds:.1} s",
            loaded.recorded, loaded.known, loaded.freezes
        );
    }
    Ok(())
}
