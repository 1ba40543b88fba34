//! A `PostgreSQL` of our own: on loopback, on a free port, in a temporary folder, gone when it is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::install;
use crate::process::{Server, check_stopped, quiet};

/// How long a start may take on a busy machine.
const START_SECONDS: u64 = 60;
/// Enough for every test at once.
const CONNECTIONS_MAX: u32 = 300;
/// Its line when it listens.
const READY: &str = "database system is ready to accept connections";

/// What the instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Tests: nothing has to survive a power cut, so nothing waits for the disk.
    Tests,
    /// Measurements: as an installation would run, with fsync.
    Measurement,
}

/// A running instance; dropped, it stops and its folder goes.
pub struct Postgres {
    /// `postgres://…`, as a user who may create databases.
    pub url: String,
    // In this order: stopped first, then removed.
    #[expect(dead_code, reason = "held for its end")]
    server: Server,
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its end"))]
    folder: TempDir,
}

impl Postgres {
    /// Makes and starts an instance.
    pub fn start(purpose: Purpose) -> anyhow::Result<Postgres> {
        let programs = install::postgres_programs().context("there is no PostgreSQL: run `cargo xtask test --only install`")?;
        let folder = tempfile::Builder::new().prefix("tidegate-postgres-").tempdir()?;
        let owner = Owner::of_servers()?;
        let password = random_password()?;
        let data = initialise(&programs, folder.path(), &password, owner)?;
        let port = free_port()?;
        let mut command = owner.command(&programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]).stderr(Stdio::piped()).stdout(Stdio::null());
        for setting in settings(purpose) {
            command.args(["-c", &setting]);
        }
        // SIGINT ends it at once and in order, whoever is connected.
        let mut server = Server::start(&mut command, Signal::INT)?;
        let lines = lines_of(&mut server)?;
        wait_until_ready(&lines)?;
        println!("PostgreSQL for {purpose:?} listens on 127.0.0.1:{port}");
        let url = format!("postgres://tidegate:{password}@127.0.0.1:{port}/postgres");
        Ok(Postgres { url, server, folder })
    }
}

fn settings(purpose: Purpose) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
    ];
    if purpose == Purpose::Tests {
        settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
    }
    settings
}

/// Who runs the server: `PostgreSQL` refuses to run as root.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// Whoever we are.
    Ourselves,
    /// Debian's `postgres`.
    Debian { user: u32, group: u32 },
}

impl Owner {
    fn of_servers() -> anyhow::Result<Owner> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Owner::Ourselves);
        }
        let users = std::fs::read_to_string("/etc/passwd")?;
        let line = users.lines().find(|line| line.starts_with("postgres:")).context("there is no user postgres")?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        let (Some(Ok(user)), Some(Ok(group))) = (fields.next(), fields.next()) else { bail!("cannot read the line {line}") };
        Ok(Owner::Debian { user, group })
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // It leaves the folder that it was called from, which the other user may not be able to enter.
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        if let Owner::Debian { user, group } = self {
            command.uid(user).gid(group);
        }
        command
    }

    fn give(self, path: &Path) -> std::io::Result<()> {
        match self {
            Owner::Ourselves => Ok(()),
            Owner::Debian { user, group } => chown(path, Some(user), Some(group)),
        }
    }
}

fn initialise(programs: &Path, folder: &Path, password: &str, owner: Owner) -> anyhow::Result<PathBuf> {
    owner.give(folder)?;
    let (data, secret) = (folder.join("data"), folder.join("password"));
    std::fs::File::create(&secret)?.write_all(password.as_bytes())?;
    owner.give(&secret)?;
    let mut command = owner.command(&programs.join("initdb"));
    command.arg("-D").arg(&data).arg(format!("--pwfile={}", secret.display()));
    quiet(command.args(["-U", "tidegate", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]))?;
    Ok(data)
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The lines that the server says, read to its end so that it never waits for us.
fn lines_of(server: &mut Server) -> anyhow::Result<Receiver<String>> {
    let pipe = server.child().stderr.take().context("its words are piped")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens once it is ready.
            let _ = send.send(line);
        }
    });
    Ok(receive)
}

fn wait_until_ready(lines: &Receiver<String>) -> anyhow::Result<()> {
    let mut said = Vec::new();
    for _ in 0..START_SECONDS {
        check_stopped()?;
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) if line.contains(READY) => return Ok(()),
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => bail!("PostgreSQL ended at its start:\n{}", said.join("\n")),
            }
        }
    }
    bail!("PostgreSQL is not ready after {START_SECONDS} s:\n{}", said.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::{Postgres, Purpose};

    #[test]
    fn slow_an_instance_listens_and_leaves_nothing_behind() {
        let postgres = Postgres::start(Purpose::Tests).expect("PostgreSQL is installed");
        let address =
            postgres.url.rsplit('@').next().and_then(|rest| rest.strip_suffix("/postgres")).expect("an address").to_owned();
        let folder = postgres.folder.path().to_path_buf();
        TcpStream::connect(&address).expect("it listens");
        drop(postgres);
        assert!(TcpStream::connect(&address).is_err() && !folder.exists());
    }
}
