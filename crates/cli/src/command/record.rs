//! `tidegate record`

use std::path::PathBuf;

use clap::Args;
use tidegate_api::request::RecordDone;
use tidegate_api::strict;
use tidegate_api::view::RecordedView;

use super::Session;
use crate::definitions;
use crate::ending::Ending;
use crate::text::plan::count;

/// Record what was carried out elsewhere and is over: releases, changes and deployments of another tool.
#[derive(Debug, Args)]
#[command(after_help = "\
A file is one batch, all or none; a batch that is sent again is known again:
  source: ci.example           # more, and how to write a time: docs/guide/records.md
  deployments:
    - {reference: run 4711, application: shop, environment: production, versions: {shop-web: \"1.4\"},
       started_at_ms: 1767225600000, ended_at_ms: 1767225720000}")]
pub struct Record {
    /// A YAML or JSON file, or - for stdin; may be given several times.
    #[arg(long = "file", short, value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
}

impl Record {
    /// Reads all, then sends one after the other.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let mut batches = Vec::new();
        for file in &self.files {
            let name = file.display().to_string();
            batches.extend(strict::yaml::<RecordDone>(&definitions::text(file)?, &name).map_err(Ending::Files)?);
        }
        for batch in batches {
            let answer = session.client.post::<RecordedView>("/records", &batch.value).await?;
            session.output.answer(&answer, |view, _| {
                format!("recorded {}, {} known before", count(view.recorded as usize, "thing"), view.known)
            })?;
        }
        Ok(())
    }
}
