//! The approval gate: enough people said yes, to this plan, during this deployment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Verdict, WaitingOn, within};
use crate::refusal::Refusal;

/// Waits for `quorum` different people. Who may vote is a matter of permission; a person counts once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// How many people; 1 to 20.
    #[serde(default = "one")]
    pub quorum: u32,
    /// What they are asked.
    #[serde(default = "question")]
    pub question: String,
}

fn one() -> u32 {
    1
}

fn question() -> String {
    "may it go on?".into()
}

impl Approval {
    pub(super) fn verdict(&self, evidence: &Evidence<'_>) -> Verdict {
        let people: std::collections::BTreeSet<_> = evidence.approvals.iter().collect();
        match self.quorum.saturating_sub(people.len() as u32) {
            0 => Verdict::Pass(format!("approved by {}", people.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "))),
            missing => {
                Verdict::Hold { waiting_on: WaitingOn::Approval { missing, question: self.question.clone() }, until_ms: None }
            }
        }
    }

    pub(super) fn condition(&self) -> String {
        format!("{} of the people who may say yes: {}", self.quorum, self.question)
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        within("approval", "quorum", u64::from(self.quorum), 1..=20)
    }
}
