//! Temporary: the demo before the command line is there.
#![allow(unused, clippy::all, clippy::pedantic)]
#[path = "../src/demo/mod.rs"]
mod demo;
fn main() -> std::process::ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|a| a.to_str()) {
        Some("sample-ledger" | "sample-ledger-migrate") => return tidegate_sample_ledger::main_blocking(args),
        Some("agent-step") => return tidegate_agent::run_step(std::path::Path::new(&args[1])),
        Some("agent") => {
            let get = |n: &str| args.iter().position(|a| a == n).map(|i| args[i + 1].to_str().unwrap().to_owned());
            tracing_subscriber::fmt().with_writer(std::io::stderr).init();
            let config = tidegate_agent::Config { server: get("--server").unwrap(), root: get("--root").unwrap().into(), token: get("--token"), trust: get("--trust").into_iter().collect(), die_with_parent: true, stop_services_on_exit: true, ..Default::default() };
            let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            rt.block_on(async { let r = tidegate_agent::run(config, async { let mut t = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap(); t.recv().await; }).await; if let Err(e) = r { eprintln!("{e}"); } });
            return std::process::ExitCode::SUCCESS;
        }
        _ => {}
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let has = |n: &str| args.iter().any(|a| a == n);
    let options = demo::Options { once: has("--once"), json: has("--json"), keep: has("--keep"), by_hand: has("--by-hand"), ..Default::default() };
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match rt.block_on(demo::run(options)) { Ok(()) => std::process::ExitCode::SUCCESS, Err(e) => { eprintln!("{e:#}"); std::process::ExitCode::FAILURE } }
}
