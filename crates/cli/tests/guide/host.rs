//! Hosts that a test makes: network, processes, mounts and names of their own, on a bridge that nobody else sees.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time that one block of the guide may take.
const BLOCK: Duration = Duration::from_mins(1);
/// Longest time until a host is up.
const BOOT: Duration = Duration::from_secs(30);

/// What runs as the first process of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that starts services.
    Plain,
    /// systemd.
    Systemd,
}

/// A host and the one shell that a person has open on it.
pub struct Host {
    shell: Child,
    words: ChildStdin,
    lines: Receiver<String>,
    // Its end is the end of every process of the host.
    first: Child,
}

/// Runs a short command to its good end.
pub fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The bridge, with an address for whoever looks at the pages.
pub fn bridge(address: &str) {
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["link", "add", "name", "bridge", "type", "bridge"]);
    run("ip", &["address", "add", address, "dev", "bridge"]);
    run("ip", &["link", "set", "bridge", "up"]);
}

impl Host {
    /// Makes a host with an address on the bridge, and `program` and what is packaged with it lying in its administrator's home.
    pub fn boot(name: &str, address: &str, kind: Kind, (folder, program): (&Path, &Path)) -> Host {
        run("ip", &["netns", "add", name]);
        let port = format!("port-{name}");
        run("ip", &["link", "add", "name", &port, "master", "bridge", "type", "veth", "peer", "name", "eth0", "netns", name]);
        run("ip", &["link", "set", &port, "up"]);
        for words in
            [&["link", "set", "lo", "up"][..], &["address", "add", address, "dev", "eth0"], &["link", "set", "eth0", "up"]]
        {
            run("ip", &[&["-n", name], words].concat());
        }
        let mut first = Command::new("ip");
        first.args([
            "netns",
            "exec",
            name,
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--fork",
            "--kill-child",
        ]);
        first.args(["bash", "-c", include_str!("host.sh"), "host.sh", name]).arg(folder.join(name)).arg(program);
        first.arg(if kind == Kind::Systemd { "systemd" } else { "plain" });
        first.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging"));
        let mut first = first.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("unshare starts");
        let mut said = String::new();
        BufReader::new(first.stdout.take().expect("piped")).read_line(&mut said).expect("its words");
        assert_eq!(said, "ready\n", "the host {name} did not come up");
        let inner = Command::new("pgrep").args(["-P", &first.id().to_string()]).output().expect("pgrep runs");
        let inner = String::from_utf8_lossy(&inner.stdout).trim().to_owned();
        let (shell, words, lines) = shell(&inner);
        let mut host = Host { shell, words, lines, first };
        if kind == Kind::Systemd {
            host.until("the units are up", "systemctl is-system-running | grep -qE 'running|degraded'");
        }
        host
    }

    /// Asks again until a command is good, as a person would.
    pub fn until(&mut self, what: &str, command: &str) {
        let deadline = Instant::now() + BOOT;
        loop {
            let (said, code) = self.run(command);
            if code == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{what}, and never were: {said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Lets the shell run a block, and answers what was seen and with what the last command ended.
    pub fn run(&mut self, block: &str) -> (String, i32) {
        writeln!(self.words, "{block}\nprintf '\\n<<%s>>\\n' \"$?\"").expect("the shell listens");
        let (mut said, deadline) = (String::new(), Instant::now() + BLOCK);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it did not end:\n{block}\n--- said\n{said}"));
            let code = line.strip_prefix("<<").and_then(|rest| rest.strip_suffix(">>")).and_then(|code| code.parse().ok());
            if let Some(code) = code {
                return (said.trim().to_owned(), code);
            }
            said.push_str(&line);
            said.push('\n');
        }
    }
}

/// A shell inside the host whose first process is `pid`, with both outputs in one, as a terminal shows them.
fn shell(pid: &str) -> (Child, ChildStdin, Receiver<String>) {
    let mut command = Command::new("nsenter");
    command.args(["-t", pid, "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wdns=/root"]);
    command.args(["env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", "NO_COLOR=1"]);
    command.args(["bash", "--noprofile", "--norc", "-c", "cd; exec bash --noprofile --norc 2>&1"]);
    let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nsenter starts");
    let (words, said) = (shell.stdin.take().expect("piped"), shell.stdout.take().expect("piped"));
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    (shell, words, lines)
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both are ours; the kernel ends everything else of the host with its first process.
        for child in [&mut self.shell, &mut self.first] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
