//! Processes by an identity that is never mistaken: a number alone is used again by the kernel.

use std::fs;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Rounds of hard signals to a session; a fork between two rounds is met by the next.
const KILL_ROUNDS_MAX: u32 = 400;
const KILL_ROUND: Duration = Duration::from_millis(5);
/// Between looks at a process where the kernel has no pidfd.
const LOOK: Duration = Duration::from_millis(500);

/// One process of one boot of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it began, in clock ticks since the boot.
    pub started_ticks: u64,
    /// The boot.
    pub boot: String,
}

struct Stat {
    state: u8,
    session: i32,
    started_ticks: u64,
}

impl Process {
    /// The process that calls.
    pub fn this() -> std::io::Result<Process> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Process::of(pid).ok_or_else(|| std::io::Error::other("/proc does not show this process"))
    }

    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Process> {
        stat(pid).map(|stat| Process { pid, started_ticks: stat.started_ticks, boot: boot() })
    }

    /// Whether it still runs; one that has ended but was not yet waited for does not.
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && stat(self.pid).is_some_and(|stat| stat.started_ticks == self.started_ticks && stat.lives())
    }

    /// Sends it a signal, and nobody else.
    pub fn signal(&self, signal: Signal) {
        if let Some(handle) = self.handle() {
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        } else if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits for its end, whoever's child it is.
    ///
    /// A thread waits in the kernel, so that nothing is looked at again and again while a program stays up. If the future is
    /// dropped, the thread ends with the process that it waits for, or with the agent.
    pub async fn ended(&self) {
        let Some(handle) = self.handle() else { return self.looked_ended().await };
        let (tell, told) = oneshot::channel();
        let waiter = thread::Builder::new().name("process".into()).stack_size(64 << 10).spawn(move || {
            let mut ready = [PollFd::new(&handle, PollFlags::IN)];
            while let Err(Errno::INTR) = rustix::event::poll(&mut ready, None) {}
            let _ = tell.send(());
        });
        if waiter.is_ok() {
            let _ = told.await;
        }
        // Where that did not work, by looking.
        self.looked_ended().await;
    }

    async fn looked_ended(&self) {
        while self.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn handle(&self) -> Option<OwnedFd> {
        let handle = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Asked after the handle is held: the number cannot pass to another process any more.
        self.is_alive().then_some(handle)
    }

    /// Ends the process group that this process leads, if it still runs.
    pub fn kill_group(&self) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    /// Sends a signal to every process of the session that this process leads or led, and counts them.
    pub fn signal_session(&self, signal: Signal) -> usize {
        let reused = stat(self.pid).is_some_and(|stat| stat.started_ticks != self.started_ticks);
        if reused || self.boot != boot() {
            return 0;
        }
        let members = session_members(self.pid);
        for member in &members {
            if let Some(pid) = Pid::from_raw(*member) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        members.len()
    }

    /// Ends every process of its session; whether none is left. Blocks for at most 2 s.
    pub fn kill_session(&self) -> bool {
        for _ in 0..KILL_ROUNDS_MAX {
            if self.signal_session(Signal::KILL) == 0 {
                return true;
            }
            thread::sleep(KILL_ROUND);
        }
        false
    }
}

impl Stat {
    fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

fn session_members(session: i32) -> Vec<i32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| stat(*pid).is_some_and(|stat| stat.session == session && stat.lives())).collect()
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything, brackets included.
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = String::from_utf8_lossy(&text[after_name..]).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let session = fields.nth(2)?.parse().ok()?;
    let started_ticks = fields.nth(15)?.parse().ok()?;
    Some(Stat { state, session, started_ticks })
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| String::new(), |id| id.trim().to_owned())
}
