//! The bake gate: both a minimum time and a minimum number of requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Verdict, WaitingOn, within};
use crate::Millis;
use crate::refusal::Refusal;

/// Waits after a wave became healthy.
///
/// Over after BOTH the minimum time AND the minimum samples (semantics: arithmetic table). Samples are the requests that the
/// metric gates beside it have seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bake {
    /// Whole seconds; 1 s to 30 days.
    pub at_least_seconds: u32,
    /// Requests; 0 to ask for none.
    #[serde(default)]
    pub samples_at_least: u64,
}

impl Bake {
    pub(super) fn verdict(&self, evidence: &Evidence<'_>, now_ms: Millis) -> Verdict {
        let over_ms = evidence.since_ms + i64::from(self.at_least_seconds) * 1_000;
        let samples_missing = self.samples_at_least.saturating_sub(evidence.samples);
        if now_ms >= over_ms && samples_missing == 0 {
            let seconds = (now_ms - evidence.since_ms) / 1_000;
            let samples = if self.samples_at_least > 0 { format!(" and {} requests", evidence.samples) } else { String::new() };
            return Verdict::Pass(format!("baked for {seconds} s{samples}"));
        }
        let until_ms = (now_ms < over_ms).then_some(over_ms);
        Verdict::Hold { waiting_on: WaitingOn::Bake { samples_missing }, until_ms }
    }

    pub(super) fn condition(&self) -> String {
        match self.samples_at_least {
            0 => format!("well for {} s", self.at_least_seconds),
            samples => format!("well for {} s and {samples} requests", self.at_least_seconds),
        }
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        within("bake", "at_least_seconds", u64::from(self.at_least_seconds), 1..=30 * 86_400)
    }
}
