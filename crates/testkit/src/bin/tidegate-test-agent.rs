//! The agent alone, as a process that tests start, kill and start again: `<server> <root> <token>`, or its own hidden entry
//! `agent-step <folder>`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.as_slice() {
        [step, folder] if step == "agent-step" => tidegate_agent::run_step(Path::new(folder)),
        [server, root, token] => run(tidegate_agent::Config {
            server: server.clone(),
            root: root.into(),
            token: Some(token.clone()),
            ..tidegate_agent::Config::default()
        }),
        _ => ExitCode::from(2),
    }
}

fn run(config: tidegate_agent::Config) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map(|runtime| runtime.block_on(tidegate_agent::run(config, std::future::pending())));
    match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}
