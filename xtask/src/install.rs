//! What the tests need beside Rust: Debian's packages, installed as root, named to everyone else.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// A program and the Debian package that brings it.
struct Need {
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 13] = [
    Need { package: "postgresql", is_there: || postgres_programs().is_some() },
    Need { package: "nats-server", is_there: || find("nats-server").is_some() },
    Need { package: "openssh-server", is_there: || find("sshd").is_some() },
    Need { package: "chromium", is_there: || find("chromium").is_some() },
    Need { package: "prometheus", is_there: || prometheus().is_some() },
    Need { package: "iproute2", is_there: || find("ip").is_some() },
    Need { package: "systemd", is_there: || Path::new("/usr/lib/systemd/systemd").exists() },
    Need { package: "dbus", is_there: || find("dbus-daemon").is_some() },
    Need { package: "procps", is_there: || find("pgrep").is_some() },
    Need { package: "curl", is_there: || find("curl").is_some() },
    Need { package: "nodejs", is_there: || find("node").is_some() },
    Need { package: "npm", is_there: || find("npm").is_some() },
    Need { package: "python3-venv", is_there: python },
];

/// Packages are missing and we may not install them: the caller ends with code 2.
#[derive(Debug)]
pub struct Missing {
    packages: Vec<&'static str>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let packages = self.packages.join(" ");
        write!(f, "missing: {packages}\nas root: apt-get install --no-install-recommends {packages}")
    }
}

impl std::error::Error for Missing {}

/// Installs what is missing.
///
/// # Errors
///
/// [`Missing`] if we are not root, or there is no `apt-get`.
pub fn run() -> anyhow::Result<()> {
    let packages: Vec<&str> = NEEDS.iter().filter(|need| !(need.is_there)()).map(|need| need.package).collect();
    if packages.is_empty() {
        println!("everything is there");
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() || find("apt-get").is_none() {
        return Err(Missing { packages }.into());
    }
    println!("installing {}", packages.join(" "));
    process::run(apt().arg("update").arg("--quiet=2"))?;
    let install = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
    process::run(apt().args(install).args(&packages))?;
    let still: Vec<&str> = NEEDS.iter().filter(|need| !(need.is_there)()).map(|need| need.package).collect();
    anyhow::ensure!(still.is_empty(), "installed, and yet not found: {}", still.join(" "));
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // At run level 1 Debian's packages start no service: the tests start what they need, where they need it.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

/// The folder of the newest `initdb` and `postgres`.
pub fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))));
    let newest = debian.filter(|(_, folder)| folder.join("initdb").exists() && folder.join("postgres").exists()).max();
    newest.map(|(_, folder)| folder).or_else(|| find("initdb")?.parent().map(Path::to_path_buf))
}

/// Prometheus, which reads our metrics in tests.
pub fn prometheus() -> Option<PathBuf> {
    find("prometheus")
}

/// Python with what makes virtual environments, which Debian packs apart.
fn python() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program on the path, or where Debian puts programs of the administrator.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_missing_is_named_with_the_command() {
        let missing = super::Missing { packages: vec!["postgresql", "npm"] };
        assert_eq!(
            missing.to_string(),
            "missing: postgresql npm\nas root: apt-get install --no-install-recommends postgresql npm"
        );
    }
}
