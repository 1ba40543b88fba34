//! `tidegate apply` and `tidegate validate`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidegate_api::request::ApplyDefinitions;
use tidegate_api::view::AppliedDefinitions;

use super::Session;
use crate::definitions;
use crate::ending::Ending;
use crate::output::Output;
use crate::text::estate;
use crate::text::plan::count;

/// Define things from files: all of them, or none.
#[derive(Debug, Args)]
pub struct Apply {
    /// A YAML or JSON file, a folder of them, or - for stdin; may be given several times.
    #[arg(long = "file", short, value_name = "FILE|DIR", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Let the server check everything, and keep nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    /// Reads, checks, sends.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let read = definitions::read(&self.files)?;
        let request = ApplyDefinitions { definitions: read.all.into_iter().map(|located| located.value).collect() };
        let path = if self.dry_run { "/definitions/validate" } else { "/definitions" };
        let answer = session.client.post::<AppliedDefinitions>(path, &request).await?;
        session.output.answer(&answer, |applied, _| estate::applied(applied))?;
        if self.dry_run {
            session.output.note("nothing was kept: this was a dry run");
        }
        Ok(())
    }
}

/// Check definition files without a server.
#[derive(Debug, Args)]
pub struct Validate {
    /// A YAML or JSON file, a folder of them, or - for stdin; may be given several times.
    #[arg(long = "file", short, value_name = "FILE|DIR", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
}

impl Validate {
    /// Reads and checks.
    pub fn run(&self, output: &Output) -> Result<(), Ending> {
        let read = definitions::read(&self.files)?;
        let things: Vec<String> =
            read.all.iter().map(|located| format!("{}/{}", located.value.noun(), located.value.name())).collect();
        let sum = format!("{} in {}: every one can be read", count(things.len(), "definition"), count(read.files, "file"));
        output.value(&json!({ "files": read.files, "definitions": things }), |_| sum)
    }
}
