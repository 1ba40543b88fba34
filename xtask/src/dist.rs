//! `cargo xtask dist`: one static program, and a Debian package around it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::{quiet, read, run};
use crate::tree;

const TARGET: &str = "x86_64-unknown-linux-musl";
const ARCHITECTURE: &str = "amd64";
/// How long the program may take to print something.
const PRINT: Duration = Duration::from_secs(30);
/// Starts that are measured; the shortest counts.
const STARTS: u32 = 10;

/// From where in the tree to where in the package.
const FILES: [(&str, &str); 6] = [
    ("packaging/tidegate-server.service", "usr/lib/systemd/system/tidegate-server.service"),
    ("packaging/tidegate-agent.service", "usr/lib/systemd/system/tidegate-agent.service"),
    ("packaging/sysusers.conf", "usr/lib/sysusers.d/tidegate.conf"),
    ("packaging/tmpfiles.conf", "usr/lib/tmpfiles.d/tidegate.conf"),
    ("packaging/default-server", "etc/default/tidegate-server"),
    ("packaging/default-agent", "etc/default/tidegate-agent"),
];
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/tidegate"),
    ("zsh", "usr/share/zsh/vendor-completions/_tidegate"),
    ("fish", "usr/share/fish/vendor_completions.d/tidegate.fish"),
];

/// Builds the program, or takes one that was built; packs it; tries the package as root.
pub fn run_all(program: Option<PathBuf>) -> anyhow::Result<()> {
    let program = match program {
        Some(program) => program,
        None => build()?,
    };
    let version = read(Command::new(&program).arg("--version"), PRINT)?;
    let version = version.split_whitespace().nth(1).context("the program does not say its version")?.to_owned();
    let dist = tree::target().join("dist");
    let folder = dist.join("package");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    stage(&program, &folder)?;
    control(&folder, &version)?;
    let package = dist.join(format!("tidegate_{version}_{ARCHITECTURE}.deb"));
    run(Command::new("dpkg-deb").args(["--build", "--root-owner-group", "-Zxz"]).arg(&folder).arg(&package))?;
    std::fs::copy(&program, dist.join("tidegate"))?;
    measure(&program, &package)?;
    if !rustix::process::geteuid().is_root() {
        println!("not tried: installing takes root");
        return Ok(());
    }
    run(Command::new("unshare")
        .args(["--mount", "sh", "-e", "packaging/try.sh"])
        .arg(&package)
        .arg(&version)
        .current_dir(tree::root()))
}

fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--target", TARGET, "-p", "tidegate"]).current_dir(tree::root());
    run(&mut cargo).with_context(|| format!("needed: rustup target add {TARGET}, and musl-gcc (Debian's musl-tools)"))?;
    let program = tree::target().join(TARGET).join("release/tidegate");
    let kind = read(Command::new("file").arg("--brief").arg(&program), PRINT)?;
    anyhow::ensure!(kind.contains("static"), "the program is not static: {kind}");
    Ok(program)
}

/// Lays out everything that the package installs.
fn stage(program: &Path, folder: &Path) -> anyhow::Result<()> {
    put(&std::fs::read(program)?, &folder.join("usr/bin/tidegate"), 0o755)?;
    for (from, to) in FILES {
        put(&std::fs::read(tree::root().join(from))?, &folder.join(to), 0o644)?;
    }
    for (shell, to) in COMPLETIONS {
        let script = read(Command::new(program).args(["completions", shell]), PRINT)?;
        put(script.as_bytes(), &folder.join(to), 0o644)?;
    }
    let pages = folder.join("usr/share/man/man1");
    run(Command::new(program).arg("man").arg(&pages))?;
    for page in std::fs::read_dir(&pages)? {
        quiet(Command::new("gzip").args(["--best", "--no-name"]).arg(page?.path()))?;
    }
    let documents = folder.join("usr/share/doc/tidegate");
    put(&std::fs::read(tree::root().join("CHANGELOG.md"))?, &documents.join("changelog"), 0o644)?;
    quiet(Command::new("gzip").args(["--best", "--no-name"]).arg(documents.join("changelog")))?;
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: the authors \
                     of Tidegate\nLicense: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n";
    put(copyright.as_bytes(), &documents.join("copyright"), 0o644)
}

/// What dpkg is told about the package, and what it runs.
fn control(folder: &Path, version: &str) -> anyhow::Result<()> {
    let control = format!(
        "Package: tidegate\nVersion: {version}\nArchitecture: {ARCHITECTURE}\nMaintainer: The authors of Tidegate <tidegate@invalid>\n\
         Section: admin\nPriority: optional\nDepends: systemd | systemd-standalone-sysusers\nRecommends: ca-certificates\n\
         Description: release management, change enablement and deployment\n One program: the server, the agent and the command \
         line. What was approved is named\n by a digest, and exactly that is what agents carry out.\n"
    );
    let debian = folder.join("DEBIAN");
    put(control.as_bytes(), &debian.join("control"), 0o644)?;
    let kept: Vec<String> = FILES.iter().filter(|(_, to)| to.starts_with("etc/")).map(|(_, to)| format!("/{to}\n")).collect();
    put(kept.concat().as_bytes(), &debian.join("conffiles"), 0o644)?;
    SCRIPTS
        .iter()
        .try_for_each(|script| put(&std::fs::read(tree::root().join("packaging").join(script))?, &debian.join(script), 0o755))
}

/// Writes a file with its folders, whatever the umask is.
fn put(bytes: &[u8], path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

fn measure(program: &Path, package: &Path) -> anyhow::Result<()> {
    let mib = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len() as f64 / f64::from(1 << 20));
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        let started = Instant::now();
        quiet(Command::new(program).arg("--version").stdout(std::process::Stdio::null()))?;
        shortest = shortest.min(started.elapsed());
    }
    println!(
        "program {:.1} MiB, package {:.1} MiB, --version in {:.1} ms",
        mib(program)?,
        mib(package)?,
        shortest.as_secs_f64() * 1e3
    );
    println!("{}", package.display());
    Ok(())
}
