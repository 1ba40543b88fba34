//! What `tidegate demo --once --json` must show: each promise of the demo is one line of [`PROMISES`].

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::process;

/// The demo's own promise, on two cores.
const LIMIT: Duration = Duration::from_mins(2);

/// A sentence that must hold, and the question whether it does.
struct Promise {
    sentence: &'static str,
    holds: fn(&Story) -> bool,
}

const PROMISES: [Promise; 16] = [
    Promise { sentence: "the history verifies", holds: |story| story.whole["audit_verified"] == true },
    Promise { sentence: "changes were acknowledged", holds: |story| story.number("acknowledged_changes") > 0 },
    Promise {
        sentence: "every acknowledged change left an event",
        holds: |story| story.number("events") >= story.number("acknowledged_changes"),
    },
    Promise { sentence: "every deployment names its plan by a digest", holds: |story| story.all(has_plan_digest) },
    Promise { sentence: "every deployment says how long it took", holds: |story| story.all(|one| one["seconds"].is_number()) },
    Promise { sentence: "every deployment has an id of its own", holds: ids_differ },
    Promise {
        sentence: "1.0 is the baseline on 2, 4 and 12 targets",
        holds: |story| {
            let whole = |environment, targets| {
                story.any(|one| is(one, environment, "1.0", "succeeded") && state_count(one, "healthy") == targets)
            };
            whole("development", 2) && whole("staging", 4) && whole("production", 12)
        },
    },
    Promise {
        sentence: "1.1 went through development and staging",
        holds: |story| ["development", "staging"].iter().all(|place| story.any(|one| is(one, place, "1.1", "succeeded"))),
    },
    Promise {
        sentence: "1.1 went to production as a canary in three waves",
        holds: |story| {
            let canary = |one: &Value| one["strategy"] == "canary" && waves(one) == 3 && one["fallback_of"].is_null();
            story.any(|one| is(one, "production", "1.1", "succeeded") && canary(one))
        },
    },
    Promise { sentence: "1.2-bad fell back", holds: |story| story.any(|one| is(one, "production", "1.2-bad", "fell_back")) },
    Promise {
        sentence: "1.2-bad reached no target beyond the canary",
        holds: |story| story.every_of("1.2-bad", |one| touched(one) <= 1),
    },
    Promise {
        sentence: "numbers decided about 1.2-bad",
        holds: |story| story.every_of("1.2-bad", |one| one["decided_by"].as_array().is_some_and(|numbers| !numbers.is_empty())),
    },
    Promise { sentence: "the fallback has its own plan and succeeded", holds: fallback_succeeded },
    Promise { sentence: "a freeze refused a deployment, with its reason", holds: |story| story.any(refused_by_freeze) },
    Promise { sentence: "an approved exception let one through afterwards", holds: exception_let_through },
    Promise { sentence: "the five DORA figures are there", holds: five_figures },
];

/// Runs the demo of `program` in a folder of its own and holds it to its promises.
pub fn run(program: &Path) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("tidegate-demo-").tempdir()?;
    let mut command = Command::new(program);
    let text = process::read(command.args(["demo", "--once", "--json"]).current_dir(folder.path()), LIMIT)?;
    let story = serde_json::from_str(&text).with_context(|| format!("the demo printed no JSON object:\n{text}"))?;
    let broken = broken_promises(&Story { whole: story });
    for promise in PROMISES.iter().filter(|promise| !broken.contains(&promise.sentence)) {
        println!("kept: {}", promise.sentence);
    }
    anyhow::ensure!(broken.is_empty(), "the demo broke its promises: {}\n{text}", broken.join("; "));
    Ok(())
}

fn broken_promises(story: &Story) -> Vec<&'static str> {
    PROMISES.iter().filter(|promise| !(promise.holds)(story)).map(|promise| promise.sentence).collect()
}

/// What the demo told.
struct Story {
    whole: Value,
}

impl Story {
    fn deployments(&self) -> &[Value] {
        self.whole["deployments"].as_array().map_or(&[], Vec::as_slice)
    }

    fn number(&self, field: &str) -> u64 {
        self.whole[field].as_u64().unwrap_or_default()
    }

    fn any(&self, holds: impl Fn(&Value) -> bool) -> bool {
        self.deployments().iter().any(holds)
    }

    fn all(&self, holds: impl Fn(&Value) -> bool) -> bool {
        !self.deployments().is_empty() && self.deployments().iter().all(holds)
    }

    /// Whether it holds for every deployment to `version` in production, of which there is one at least. Where nobody uses it,
    /// the bad version is healthy, and that is part of the story.
    fn every_of(&self, version: &str, holds: impl Fn(&Value) -> bool) -> bool {
        let of_version = |one: &&Value| one["version"] == version && one["environment"] == "production";
        let mut of_version = self.deployments().iter().filter(of_version).peekable();
        of_version.peek().is_some() && of_version.all(holds)
    }
}

fn is(deployment: &Value, environment: &str, version: &str, state: &str) -> bool {
    deployment["environment"] == environment && deployment["version"] == version && deployment["state"] == state
}

fn has_plan_digest(deployment: &Value) -> bool {
    let digits = deployment["plan"].as_str().and_then(|plan| plan.strip_prefix("sha256:"));
    digits.is_some_and(|digits| digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

fn ids_differ(story: &Story) -> bool {
    let mut ids: Vec<&str> = story.deployments().iter().filter_map(|one| one["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    !ids.is_empty() && ids.len() == story.deployments().len()
}

fn state_count(deployment: &Value, state: &str) -> u64 {
    deployment["targets"][state].as_u64().unwrap_or_default()
}

/// How many targets the deployment has acted on.
fn touched(deployment: &Value) -> u64 {
    let untouched = ["pending", "excluded", "already_current"];
    let states = deployment["targets"].as_object().into_iter().flatten();
    states.filter(|(state, _)| !untouched.contains(&state.as_str())).filter_map(|(_, count)| count.as_u64()).sum()
}

/// Waves as a count or as a list.
fn waves(deployment: &Value) -> u64 {
    let waves = &deployment["waves"];
    waves.as_u64().or_else(|| waves.as_array().map(|waves| waves.len() as u64)).unwrap_or_default()
}

fn fallback_succeeded(story: &Story) -> bool {
    let bad = story.deployments().iter().filter(|one| is(one, "production", "1.2-bad", "fell_back"));
    bad.into_iter()
        .any(|bad| story.any(|one| one["fallback_of"] == bad["id"] && one["state"] == "succeeded" && one["plan"] != bad["plan"]))
}

fn refused_by_freeze(deployment: &Value) -> bool {
    let about_freeze = |reason: &Value| {
        let code = reason["code"].as_str().unwrap_or_default();
        code.contains("freeze") || code.contains("frozen")
    };
    deployment["reasons"].as_array().is_some_and(|reasons| reasons.iter().any(about_freeze))
}

fn exception_let_through(story: &Story) -> bool {
    let refused = story.deployments().iter().position(refused_by_freeze);
    refused.is_some_and(|at| {
        let same = |one: &&Value| one["environment"] == story.deployments()[at]["environment"];
        story.deployments()[at..].iter().filter(same).any(|one| one["state"] == "succeeded" && one["fallback_of"].is_null())
    })
}

fn five_figures(story: &Story) -> bool {
    let figures = [
        "change_lead_time",
        "deployment_frequency",
        "failed_deployment_recovery_time",
        "change_fail_rate",
        "deployment_rework_rate",
    ];
    let named = |figure: &str| {
        let mut fields = story.whole["dora"].as_object().into_iter().flatten();
        fields.any(|(field, value)| field.starts_with(figure) && !value.is_null())
    };
    figures.into_iter().all(named)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{PROMISES, Story, broken_promises};

    fn deployment(id: u8, place: &str, version: &str, state: &str, targets: Value) -> Value {
        json!({
            "id": format!("DEP-{id}"), "application": "ledger", "environment": place, "version": version, "strategy": "canary",
            "state": state, "waves": 3, "targets": targets, "seconds": 4.2, "plan": format!("sha256:{id:064x}"),
            "fallback_of": null, "reasons": [], "decided_by": [],
        })
    }

    fn good() -> Value {
        let mut bad = deployment(6, "production", "1.2-bad", "fell_back", json!({"fell_back": 1, "pending": 11}));
        bad["decided_by"] = json!([{"metric": "error_rate", "value": 0.31, "threshold": 0.05}]);
        let mut back = deployment(7, "production", "1.1", "succeeded", json!({"healthy": 1}));
        back["fallback_of"] = json!("DEP-6");
        let mut frozen = deployment(8, "production", "1.1.1", "succeeded", json!({"healthy": 12}));
        frozen["reasons"] = json!([{"code": "freeze", "text": "year-end freeze"}]);
        json!({
            "deployments": [
                deployment(0, "development", "1.0", "succeeded", json!({"healthy": 2})),
                deployment(1, "staging", "1.0", "succeeded", json!({"healthy": 4})),
                deployment(2, "production", "1.0", "succeeded", json!({"healthy": 12})),
                deployment(3, "development", "1.1", "succeeded", json!({"healthy": 2})),
                deployment(4, "staging", "1.1", "succeeded", json!({"healthy": 4})),
                deployment(5, "production", "1.1", "succeeded", json!({"healthy": 12})),
                bad, back, frozen,
            ],
            "acknowledged_changes": 120, "events": 400, "audit_verified": true,
            "dora": {
                "change_lead_time_seconds": 30, "deployment_frequency_per_day": 9, "failed_deployment_recovery_time_seconds": 3,
                "change_fail_rate": 0.11, "deployment_rework_rate": 0.0,
            },
        })
    }

    fn broken(story: Value) -> Vec<&'static str> {
        broken_promises(&Story { whole: story })
    }

    #[test]
    fn a_good_story_keeps_every_promise() {
        assert_eq!(broken(good()), Vec::<&str>::new());
    }

    #[test]
    fn an_empty_story_keeps_none_that_asks_for_something() {
        let broken = broken(json!({}));
        assert_eq!(broken.len(), PROMISES.len() - 1, "only 0 events for 0 changes may hold: {broken:?}");
    }

    #[test]
    fn each_planted_fault_breaks_its_promise() {
        let faults: [(&str, Value, &str); 9] = [
            ("/audit_verified", json!(false), "the history verifies"),
            ("/events", json!(3), "every acknowledged change left an event"),
            ("/deployments/2/targets/healthy", json!(11), "1.0 is the baseline on 2, 4 and 12 targets"),
            ("/deployments/5/waves", json!([1]), "1.1 went to production as a canary in three waves"),
            ("/deployments/6/targets", json!({"fell_back": 2, "pending": 10}), "1.2-bad reached no target beyond the canary"),
            ("/deployments/6/decided_by", json!([]), "numbers decided about 1.2-bad"),
            ("/deployments/7/state", json!("failed"), "the fallback has its own plan and succeeded"),
            ("/deployments/8/state", json!("queued"), "an approved exception let one through afterwards"),
            ("/dora/change_fail_rate", json!(null), "the five DORA figures are there"),
        ];
        for (place, value, sentence) in faults {
            let mut story = good();
            *story.pointer_mut(place).expect("the place is there") = value;
            assert_eq!(broken(story), [sentence], "{place}");
        }
    }
}
