//! Programs that we start: each in a process group of its own, watched, and stopped by its own id, also on Ctrl-C.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// How often an ending, a time limit and Ctrl-C are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Somebody wants us to stop.
static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns Ctrl-C and its kin into an orderly end: whoever waits for a program stops waiting and fails, and every program
/// that we started is stopped on the way out by the guard that holds it.
pub fn stop_in_order() -> anyhow::Result<()> {
    let stopped = STOPPED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(stopped))?;
    }
    Ok(())
}

/// Fails if somebody wants us to stop.
pub fn check_stopped() -> anyhow::Result<()> {
    let stopped = STOPPED.get().is_some_and(|stopped| stopped.load(Ordering::SeqCst));
    anyhow::ensure!(!stopped, "stopped by a signal");
    Ok(())
}

/// Runs `command` to its end with our terminal; fails unless it succeeds.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = wait_in_front(command.process_group(0).spawn().with_context(|| cannot_start(command))?, None)?;
    succeeded(command, status)
}

/// Runs `command` to its end within `limit` and answers what it printed; what it complains about goes to our terminal.
pub fn read(command: &mut Command, limit: Duration) -> anyhow::Result<String> {
    println!("$ {}", shown(command));
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let mut pipe = child.stdout.take().context("the output was piped")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // Whoever gave up waiting does not listen any more.
        let _ = send.send(std::io::Read::read_to_string(&mut pipe, &mut text).map(|_| text));
    });
    succeeded(command, wait_in_front(child, Some(limit))?)?;
    let left = "it ended, but left a process that holds its output open";
    Ok(receive.recv_timeout(GRACE).context(left)??)
}

/// Runs a short `command` quietly; shows what it said only if it fails.
pub fn quiet(command: &mut Command) -> anyhow::Result<()> {
    let output: Output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    succeeded(command, output.status)
}

/// Whether a program of that name is there and runs.
pub fn is_there(program: &str, argument: &str) -> bool {
    let status = Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().to_string_lossy())
}

fn succeeded(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    check_stopped()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| without_password(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// `postgres://name:…@host`: what is printed ends up in logs.
fn without_password(word: &str) -> String {
    let parts = word.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?)));
    match parts.map(|(scheme, (who, place))| (scheme, who.split(':').next().unwrap_or_default(), place)) {
        Some((scheme, name, place)) => format!("{scheme}://{name}:…@{place}"),
        None => word.to_owned(),
    }
}

/// Waits until `child` ends; at Ctrl-C or past the limit its guard stops it.
fn wait_in_front(child: Child, limit: Option<Duration>) -> anyhow::Result<ExitStatus> {
    let mut server = Server { child, soft: Signal::TERM };
    let started = Instant::now();
    loop {
        if let Some(status) = server.child.try_wait()? {
            return Ok(status);
        }
        check_stopped()?;
        if limit.is_some_and(|limit| started.elapsed() > limit) {
            bail!("not ended after {} s", started.elapsed().as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

/// A program that runs beside us until this is dropped.
pub struct Server {
    child: Child,
    /// What it takes as "stop now, in order".
    soft: Signal,
}

impl Server {
    /// Starts `command` beside us; `soft` asks it to end.
    pub fn start(command: &mut Command, soft: Signal) -> anyhow::Result<Server> {
        Server::start_with(command, Stdio::null(), soft)
    }

    /// The same with an input; it comes to its end if we do, whatever ends us.
    pub fn start_with(command: &mut Command, input: Stdio, soft: Signal) -> anyhow::Result<Server> {
        check_stopped()?;
        let child = command.process_group(0).stdin(input).spawn().with_context(|| cannot_start(command))?;
        Ok(Server { child, soft })
    }

    /// The process, to take its pipes or see whether it has ended.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill_process_group(self.group(), self.soft);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        eprintln!("process {} does not end when asked; it is killed", self.child.id());
        let _ = kill_process_group(self.group(), Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let started = Instant::now();
        let error = super::read(Command::new("sleep").arg("60"), Duration::from_millis(100)).expect_err("it is too long");
        assert!(error.to_string().starts_with("not ended after"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_program_that_fails_is_named() {
        let error = super::read(&mut Command::new("false"), Duration::from_secs(5)).expect_err("it fails");
        assert_eq!(error.to_string(), "`false` ended with exit status: 1");
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(super::without_password("postgres://ada:secret@127.0.0.1:1/x"), "postgres://ada:…@127.0.0.1:1/x");
        assert_eq!(super::without_password("sqlite:x@y"), "sqlite:x@y");
    }

    #[test]
    fn a_server_ends_with_its_guard() {
        let server = super::Server::start(Command::new("sleep").arg("60"), Signal::TERM).expect("sleep is there");
        let group = server.group();
        drop(server);
        assert!(rustix::process::test_kill_process_group(group).is_err());
    }
}
