//! `tidegate init`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tidegate_domain::Name;
use tidegate_domain::ids::clip;
use tidegate_domain::refusal::{Code, Refusal};

use super::schema;
use crate::arguments::name;
use crate::ending::Ending;
use crate::output::Output;
use crate::text::plan::count;

/// Stands for the application's name in the files below `starter`.
const APPLICATION: &str = "APPLICATION";
/// Targets of production in a set that names no hosts: names that are nobody's.
const HOSTS: [&str; 2] = ["host-1.example.net", "host-2.example.net"];
/// Hosts that one call takes: a fleet is written by a program, not on a command line.
const HOSTS_MAX: usize = 200;
/// The longest name a host can have.
const HOST_CHARACTERS_MAX: usize = 253;
/// Beside the definitions, for editors; not read as one, as its name ends so.
const SCHEMA: &str = "tidegate.schema.json";
const TARGETS: &str = "targets.yaml";
const FILES: [(&str, &str); 6] = [
    ("README.md", include_str!("../starter/README.md")),
    ("application.yaml", include_str!("../starter/application.yaml")),
    ("environments.yaml", include_str!("../starter/environments.yaml")),
    (TARGETS, include_str!("../starter/targets.yaml")),
    ("strategies.yaml", include_str!("../starter/strategies.yaml")),
    ("people.yaml.example", include_str!("../starter/people.yaml.example")),
];

/// Write a commented set of definitions to begin with; nothing that is there is written over.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to write to; made if it is not there.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// What is deployed.
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "hello")]
    application: Name,
    /// A host of production, by the address at which the server reaches it; may be given several times.
    #[arg(long = "host", value_name = "ADDRESS", value_parser = host)]
    hosts: Vec<String>,
}

impl Init {
    /// Writes the set, or nothing of it if one of its files is there.
    pub fn run(self, output: &Output) -> Result<(), Ending> {
        let files = self.files()?;
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        vacant(&self.folder, &names)?;
        write(&self.folder, &files)?;
        let folder = self.folder.display().to_string();
        output.value(&json!({ "folder": folder, "files": names }), |_| {
            names.iter().map(|name| format!("wrote {}", self.folder.join(name).display())).collect::<Vec<_>>().join("\n")
        })?;
        output.note(&format!("change what you like, then: tidegate validate -f {folder}"));
        Ok(())
    }

    fn files(&self) -> Result<Vec<(&'static str, String)>, Ending> {
        if self.hosts.len() > HOSTS_MAX {
            let what = format!("{} are named", count(self.hosts.len(), "host"));
            let remedy = format!("name at most {HOSTS_MAX}, and add the others to {TARGETS}");
            return Err(Refusal::new(Code::TooLarge, what, remedy).at("--host").into());
        }
        let named = |text: &str| text.replace(APPLICATION, self.application.as_str());
        let mut files: Vec<(&'static str, String)> = FILES.iter().map(|(file, text)| (*file, named(text))).collect();
        for (_, text) in files.iter_mut().filter(|(file, _)| *file == TARGETS) {
            text.push_str(&self.production());
        }
        files.push((SCHEMA, format!("{}\n", schema::text()?)));
        Ok(files)
    }

    /// The targets of production, one document for each host.
    fn production(&self) -> String {
        let unsaid: Vec<String> = HOSTS.iter().map(|host| (*host).to_owned()).collect();
        let hosts = if self.hosts.is_empty() { &unsaid } else { &self.hosts };
        let target = |(index, host): (usize, &String)| {
            format!(
                "---\ntarget:\n  name: production-{}\n  environment: production\n  labels: {{role: web}}\n  \
                 variables: {{address: \"{host}\"}}\n",
                index + 1
            )
        };
        hosts.iter().enumerate().map(target).collect()
    }
}

/// Reads the address of a host: what can stand in a URL before the port, and in quotes in YAML.
fn host(text: &str) -> Result<String, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if !text.is_empty() && text.len() <= HOST_CHARACTERS_MAX && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let what = format!("\"{}\" is not the address of a host", clip(text));
    Err(Refusal::new(Code::NameInvalid, what, "use a name or an address without port, such as web-1.example.net or 10.0.0.7"))
}

/// Refuses a folder in which one of the files is there already: a person may have put work into it.
fn vacant(folder: &Path, names: &[&str]) -> Result<(), Ending> {
    let there = names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    let Some(there) = there else { return Ok(()) };
    let what = format!("{} is there already", there.display());
    Err(Refusal::new(Code::AlreadyExists, what, "name another folder; nothing was written")
        .at(folder.display().to_string())
        .into())
}

/// Writes each file anew; one that appeared meanwhile is left as it is.
fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), Ending> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        let written = std::fs::File::create_new(&path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
