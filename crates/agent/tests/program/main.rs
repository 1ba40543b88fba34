//! The agent alone, as a program that tests start, kill and start again: `agent <config.json> <crash-after>`,
//! `agent-step <folder>`; and, as a service for them to keep up, `serve <address>`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;
use tidegate_agent::{Config, crash, run, run_step};

#[derive(Deserialize)]
struct Given {
    server: String,
    root: PathBuf,
    token: Option<String>,
    trust: Vec<String>,
    die_with_parent: bool,
    stop_services_on_exit: bool,
    defect_at: Option<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["agent-step", folder] => run_step(Path::new(folder)),
        ["agent", config, crash_after] => agent(config, crash_after.parse().expect("a number")),
        ["serve", address] => serve(address),
        _ => ExitCode::from(2),
    }
}

#[tokio::main]
async fn agent(given_at: &str, crash_after: u32) -> ExitCode {
    let given = std::fs::read(given_at).expect("a configuration");
    let Given { server, root, token, trust, die_with_parent, stop_services_on_exit, defect_at } =
        serde_json::from_slice(&given).expect("a configuration");
    crash::after(crash_after);
    defect_at.into_iter().for_each(crash::defect_at);
    let config =
        Config { server, root, token, trust, die_with_parent, stop_services_on_exit, poll_seconds: 5, step_program: Vec::new() };
    let ended = async {
        let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals");
        signal.recv().await;
    };
    match run(config, ended).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            std::fs::write(format!("{given_at}.error"), error.to_string()).expect("the error told");
            ExitCode::FAILURE
        }
    }
}

/// Answers every request with the version it was started as; `/end` ends it.
fn serve(address: &str) -> ExitCode {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind(address).expect("the address");
    let version = std::env::var("TIDEGATE_VERSION").unwrap_or_default();
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { continue };
        let mut request = [0; 1024];
        let count = connection.read(&mut request).unwrap_or(0);
        if request[..count].starts_with(b"GET /end ") {
            return ExitCode::from(3);
        }
        let length = version.len();
        let _ = write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{version}");
    }
    ExitCode::SUCCESS
}
