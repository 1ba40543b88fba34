//! The plan is the object: immutable and content-addressed. Approvals, orders and evidence name its digest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::canonical;
use crate::deployment::artifact::{Artifact, ArtifactRef};
use crate::deployment::order::{Installation, Order, attempt_id};
use crate::deployment::strategy::{Amount, Cut, OnFailure, Strategy};
use crate::deployment::variables;
use crate::estate::{Attested, Component, Environment, Step, Target};
use crate::gate::Gate;
use crate::ids::{Digest, Id, Name, Version};
use crate::limits;
use crate::refusal::{Code, Refusal};

/// One description of one deployment, with every choice already made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is deployed.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// Forward or back.
    pub purpose: Purpose,
    /// How the fleet was cut, for people.
    pub strategy: String,
    /// What is installed, by component, in order of names.
    pub installations: Vec<Installation>,
    /// What goes together, in order.
    pub waves: Vec<Wave>,
    /// Failed targets tolerated. A percentage is one of the frozen set: whoever is excluded leaves it.
    // Plans of before 2026-11-26 call it otherwise and have none of the next two; they stay as they were written.
    #[serde(alias = "failures_max")]
    pub max_failures: Amount,
    /// Targets that must be neither failed nor at work at any time, of the frozen set.
    #[serde(default = "none")]
    pub min_healthy: Amount,
    /// Seconds without a newly healthy target after which a wave at work has failed.
    pub progress_deadline_seconds: Option<u32>,
    /// Seconds until a target that does not answer counts as unreachable.
    pub unreachable_after_seconds: u32,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// The digest of the plan back, made together with this one.
    pub fallback: Option<Digest>,
    /// Why there is no plan back, if there is none.
    pub no_fallback_because: Option<String>,
    /// What the plan back would bring, by component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fallback_package: Package,
    /// Components that the plan back leaves as they are, for nothing verified is known to go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_leaves: Vec<Name>,
}

fn none() -> Amount {
    Amount::Count(0)
}

/// What each component has: its version and the digest of its bytes.
pub type Package = BTreeMap<Name, (Version, Digest)>;

/// Whether a plan goes forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To a new package.
    Forward,
    /// To the newest verified one.
    Fallback,
}

/// Targets that go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// What must hold before any of it is ordered.
    pub before: Vec<Gate>,
    /// The targets.
    pub targets: Vec<PlannedTarget>,
    /// What must hold before the next wave.
    pub after: Vec<Gate>,
}

/// One target of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTarget {
    /// Which one.
    pub name: Name,
    /// The components it carries.
    pub components: Vec<Name>,
    /// What its steps see; the environment's and its own, resolved.
    pub variables: BTreeMap<String, String>,
    /// What it said was installed when the plan was made.
    pub from: BTreeMap<Name, Attested>,
}

/// A component with the version it is to have.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// The component.
    pub component: &'a Component,
    /// The artifact of the version.
    pub artifact: &'a Artifact,
}

/// What a plan is made of.
#[derive(Debug)]
pub struct Ingredients<'a> {
    /// Where.
    pub environment: &'a Environment,
    /// What, at least one.
    pub forward: Vec<Choice<'a>>,
    /// What to go back to: of each component the newest verified and not rejected version, or why there is none of any.
    pub back: Result<Vec<Choice<'a>>, String>,
    /// How.
    pub strategy: &'a Strategy,
    /// The environment's targets with what they attest.
    pub targets: Vec<(&'a Target, &'a BTreeMap<Name, Attested>)>,
}

/// A plan and the plan back.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    /// Forward.
    pub forward: Plan,
    /// Back, if there is a way.
    pub fallback: Option<Plan>,
}

/// Makes the plan and, together with it, the plan back.
///
/// # Errors
///
/// [`Code::NothingToDo`] without components, [`Code::TooLarge`] past a limit, [`Code::TemplateInvalid`] if a target lacks a variable,
/// or what [`Strategy::check`] refuses.
pub fn make(ingredients: &Ingredients<'_>) -> Result<Plans, Refusal> {
    ingredients.strategy.check()?;
    let Some(first) = ingredients.forward.first() else {
        return Err(Refusal::new(
            Code::NothingToDo,
            "there is no component to deploy",
            "name at least one component and version",
        ));
    };
    if let Some(recorded) = ingredients.forward.iter().find(|choice| choice.component.steps.is_empty()) {
        let name = &recorded.component.name;
        let what = format!("component {name} has no steps: what is done with it elsewhere is only recorded");
        return Err(Refusal::new(Code::NothingToDo, what, "give the component steps, or record the deployment").at(name.as_str()));
    }
    let planned = planned_targets(ingredients)?;
    let strategy = ingredients.strategy;
    let blank = Plan {
        application: first.component.application.clone(),
        environment: ingredients.environment.name.clone(),
        purpose: Purpose::Forward,
        strategy: strategy.cut.name().to_owned(),
        installations: installations(&ingredients.forward),
        waves: Vec::new(),
        max_failures: strategy.max_failures,
        min_healthy: strategy.min_healthy,
        progress_deadline_seconds: strategy.progress_deadline_seconds,
        unreachable_after_seconds: strategy.unreachable_after_seconds,
        on_failure: strategy.on_failure,
        fallback: None,
        no_fallback_because: None,
        fallback_package: Package::new(),
        fallback_leaves: Vec::new(),
    };
    let fallback = match &ingredients.back {
        Ok(back) => Some(Plan {
            purpose: Purpose::Fallback,
            strategy: BACK.name().to_owned(),
            installations: installations(back),
            waves: waves((&BACK, Amount::Count(0)), &planned, &[], |_| Vec::new())?,
            // Going back stops for nobody: what can be saved is saved, and the rest is told.
            max_failures: Amount::Percent(100),
            min_healthy: Amount::Count(0),
            progress_deadline_seconds: None,
            on_failure: OnFailure::Stop,
            ..blank.clone()
        }),
        Err(_) => None,
    };
    let after = |wave: usize| {
        let first = if wave == 0 { strategy.after_first.clone() } else { Vec::new() };
        first.into_iter().chain(strategy.after_each.iter().cloned()).collect()
    };
    let forward = Plan {
        waves: waves((&strategy.cut, strategy.min_healthy), &planned, &strategy.before, after)?,
        fallback: fallback.as_ref().map(Plan::digest),
        no_fallback_because: ingredients.back.as_ref().err().cloned(),
        fallback_package: fallback.as_ref().map(Plan::package).unwrap_or_default(),
        fallback_leaves: fallback.as_ref().map(|back| left(&blank, back)).unwrap_or_default(),
        ..blank
    };
    fallback.iter().chain([&forward]).try_for_each(variables::check)?;
    Ok(Plans { forward, fallback })
}

/// Going back has its own, larger wave: everything that needs it, at once.
const BACK: Cut = Cut::AllAtOnce;

/// What goes forward and does not come back.
fn left(forward: &Plan, back: &Plan) -> Vec<Name> {
    let comes_back = |name: &Name| back.installations.iter().any(|installation| installation.component == *name);
    forward.installations.iter().map(|it| it.component.clone()).filter(|name| !comes_back(name)).collect()
}

fn installations(choices: &[Choice<'_>]) -> Vec<Installation> {
    let mut installations: Vec<Installation> = choices
        .iter()
        .map(|Choice { component, artifact }| Installation {
            component: component.name.clone(),
            version: artifact.version.clone(),
            artifact: ArtifactRef {
                digest: artifact.digest.clone(),
                format: artifact.format,
                size_bytes: artifact.size_bytes,
                signature: artifact.signature.clone(),
            },
            steps: component.steps.clone(),
            health: component.health.clone(),
            keep_releases: component.keep_releases,
        })
        .collect();
    installations.sort_by(|a, b| a.component.cmp(&b.component));
    installations
}

fn planned_targets(ingredients: &Ingredients<'_>) -> Result<Vec<PlannedTarget>, Refusal> {
    let mut planned = Vec::new();
    for (target, attested) in &ingredients.targets {
        let carried = ingredients.forward.iter().filter(|choice| choice.component.selects(&target.labels));
        let mut components: Vec<Name> = carried.map(|choice| choice.component.name.clone()).collect();
        components.sort();
        if components.is_empty() {
            continue;
        }
        let mut variables = ingredients.environment.variables.clone();
        variables.extend(target.variables.clone());
        let from = attested.iter().filter(|(name, _)| components.contains(name));
        let from = from.map(|(name, attested)| (name.clone(), attested.clone())).collect();
        planned.push(PlannedTarget { name: target.name.clone(), components, variables, from });
    }
    if planned.len() > limits::TARGETS_MAX {
        let what = format!("{} targets in one plan", planned.len());
        return Err(Refusal::new(Code::TooLarge, what, format!("plan at most {} at once", limits::TARGETS_MAX)));
    }
    planned.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(planned)
}

fn waves(
    (cut, min_healthy): (&Cut, Amount),
    planned: &[PlannedTarget],
    before: &[Gate],
    after: impl Fn(usize) -> Vec<Gate>,
) -> Result<Vec<Wave>, Refusal> {
    let mut rest = planned;
    let mut waves = Vec::new();
    for (index, size) in cut.sizes(planned.len(), min_healthy)?.into_iter().enumerate() {
        let (targets, later) = rest.split_at(size);
        let before = if index == 0 { before.to_vec() } else { Vec::new() };
        waves.push(Wave { before, targets: targets.to_vec(), after: after(index) });
        rest = later;
    }
    Ok(waves)
}

impl Plan {
    /// The plan's identity: the digest of its canonical JSON.
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }

    /// The plan of what was carried out elsewhere: it orders nothing.
    pub fn of_record(application: Name, environment: Name) -> Plan {
        Plan {
            application,
            environment,
            purpose: Purpose::Forward,
            strategy: "carried out elsewhere".to_owned(),
            installations: Vec::new(),
            waves: Vec::new(),
            max_failures: Amount::Count(0),
            min_healthy: Amount::Count(0),
            progress_deadline_seconds: None,
            unreachable_after_seconds: limits::UNREACHABLE_SECONDS,
            on_failure: OnFailure::Stop,
            fallback: None,
            no_fallback_because: Some("it was carried out elsewhere and is only recorded".to_owned()),
            fallback_package: Package::new(),
            fallback_leaves: Vec::new(),
        }
    }

    /// The package: what each component will have.
    pub fn package(&self) -> Package {
        let entry = |i: &Installation| (i.component.clone(), (i.version.clone(), i.artifact.digest.clone()));
        self.installations.iter().map(entry).collect()
    }

    /// All targets with the number of their wave, in order.
    pub fn targets(&self) -> impl Iterator<Item = (usize, &PlannedTarget)> {
        self.waves.iter().enumerate().flat_map(|(wave, it)| it.targets.iter().map(move |target| (wave, target)))
    }

    /// A target of a wave; the targets of a wave stand in the order of their names.
    pub fn target(&self, wave: u32, name: &Name) -> Option<&PlannedTarget> {
        let targets = &self.waves.get(wave as usize)?.targets;
        targets.binary_search_by(|target| target.name.cmp(name)).ok().map(|at| &targets[at])
    }

    /// How many targets it has.
    pub fn size(&self) -> usize {
        self.waves.iter().map(|wave| wave.targets.len()).sum()
    }

    /// How many failed targets it tolerates while nobody is excluded.
    pub fn failures_max(&self) -> usize {
        let fleet = self.size();
        self.max_failures.budget_of(fleet).min(self.min_healthy.room_of(fleet))
    }

    /// What else a wave must keep to, as sentences for people; none where the strategy asks for nothing.
    pub fn conditions(&self) -> Vec<String> {
        let healthy = self.min_healthy.minimum_of(self.size());
        let healthy = (healthy > 0).then(|| format!("at least {healthy} of {} targets stay healthy at any time", self.size()));
        let progress = self.progress_deadline_seconds.map(|seconds| format!("a target becomes healthy every {seconds} s"));
        healthy.into_iter().chain(progress).collect()
    }

    /// What the way back brings, in one line: `api 1.0, web 1.0; mail stays as it is`.
    pub fn way_back(&self) -> String {
        let brings: Vec<String> = self.fallback_package.iter().map(|(name, (version, _))| format!("{name} {version}")).collect();
        let stays: Vec<&str> = self.fallback_leaves.iter().map(Name::as_str).collect();
        match stays.as_slice() {
            [] => brings.join(", "),
            [one] => format!("{}; {one} stays as it is", brings.join(", ")),
            several => format!("{}; {} stay as they are", brings.join(", "), several.join(", ")),
        }
    }

    /// The steps of a target's order with their components; a step's position is its [`crate::deployment::order::StepReport::index`].
    pub fn steps_of<'a>(&'a self, target: &'a PlannedTarget) -> impl Iterator<Item = (&'a Name, &'a Step)> {
        let carried = self.installations.iter().filter(|installation| target.components.contains(&installation.component));
        carried.flat_map(|installation| installation.steps.iter().map(|step| (&installation.component, step)))
    }

    /// Whether a target that attests so has nothing to do.
    pub fn is_current(&self, target: &PlannedTarget, attested: Option<&BTreeMap<Name, Attested>>) -> bool {
        target.components.iter().all(|name| {
            let wanted = self.installations.iter().find(|installation| installation.component == *name);
            let found = attested.and_then(|attested| attested.get(name));
            match (wanted, found) {
                (Some(wanted), Some(found)) => {
                    found.complete && found.digest == wanted.artifact.digest && found.version == wanted.version
                }
                // A component that the way back does not know stays as it is.
                (None, _) => true,
                (Some(_), None) => false,
            }
        })
    }

    /// Seconds within which a target must end, once it has begun: its steps, its health check, and room for the download.
    pub fn attempt_seconds(&self) -> i64 {
        const DOWNLOAD_SECONDS: i64 = 300;
        let one = |installation: &Installation| {
            let steps: i64 = installation.steps.iter().map(|step| i64::from(step.timeout_seconds)).sum();
            steps + installation.health.as_ref().map_or(0, |health| i64::from(health.healthy_deadline_seconds)) + DOWNLOAD_SECONDS
        };
        self.installations.iter().map(one).sum::<i64>().max(60)
    }

    /// How long it takes if nothing goes wrong: its bakes and measurements, and a moment for each wave. In milliseconds.
    pub fn expected_ms(&self) -> Millis {
        const WAVE_MS: Millis = 10_000;
        let gate_ms = |gate: &Gate| match gate {
            Gate::Bake(bake) => Millis::from(bake.at_least_seconds) * 1_000,
            Gate::Check(check) => Millis::from(check.times.saturating_sub(1) * check.interval_seconds) * 1_000,
            Gate::Metric(metric) => Millis::from(metric.measurements * metric.interval_seconds) * 1_000,
            Gate::Approval(_) | Gate::Window(_) => 0,
        };
        // The gates of one side are asked together, so that the longest counts.
        let side_ms = |gates: &[Gate]| gates.iter().map(gate_ms).max().unwrap_or(0);
        self.waves.iter().map(|wave| WAVE_MS + side_ms(&wave.before) + side_ms(&wave.after)).sum()
    }

    /// The instruction for one target.
    pub fn order(&self, target: &PlannedTarget, ticket: &Ticket<'_>) -> Order {
        Order {
            attempt: attempt_id(ticket.deployment, &target.name, ticket.attempt),
            deployment: ticket.deployment.clone(),
            plan: ticket.plan.clone(),
            application: self.application.clone(),
            environment: self.environment.clone(),
            target: target.name.clone(),
            generation: ticket.generation,
            expires_at_ms: ticket.expires_at_ms,
            installations: self.installations.iter().filter(|i| target.components.contains(&i.component)).cloned().collect(),
            variables: target.variables.clone(),
            start_at: ticket.start_at,
        }
    }
}

/// What an order needs beside the plan.
#[derive(Debug, Clone)]
pub struct Ticket<'a> {
    /// Which deployment.
    pub deployment: &'a Id,
    /// Its plan's digest; computed once, as it costs.
    pub plan: &'a Digest,
    /// Which try, from 1.
    pub attempt: u32,
    /// The fencing number.
    pub generation: u64,
    /// When it may no longer be begun.
    pub expires_at_ms: Millis,
    /// The first step to run.
    pub start_at: usize,
}
