//! What there is: applications, components, environments, targets.

pub mod event;
pub mod slot;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;

use crate::ids::{Digest, Name, Version};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::template;
pub use event::{Event, TargetRecord};
pub use slot::{Drift, RecordedHere, Slot, SlotEvent, Standing, Verified};

/// A product or service made of components that are released together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name.
    pub name: Name,
    /// Its name for people.
    #[serde(default)]
    pub title: String,
    /// Who looks after it.
    #[serde(default)]
    pub team: String,
}

/// A deployable unit of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name, unique over all applications.
    pub name: Name,
    /// The application it belongs to.
    pub application: Name,
    /// Targets carry it if they have all these labels; none means every target of the environment.
    #[serde(default)]
    pub runs_on: BTreeMap<String, String>,
    /// How a version is brought onto a target, in order; none for what is deployed elsewhere and only recorded here.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What must hold afterwards.
    #[serde(default)]
    pub health: Option<Health>,
    /// How many unpacked versions stay on a target, the current one included.
    #[serde(default = "keep_releases_default")]
    pub keep_releases: u32,
}

fn keep_releases_default() -> u32 {
    3
}

/// What may be done when it is unknown whether a step ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Running it again does no harm: it runs again.
    Idempotent,
    /// Its `verify` program tells whether it ran.
    Verifiable,
    /// It must not run twice: a person is asked.
    #[default]
    Once,
}

/// One thing an agent does on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, for people and logs.
    pub name: String,
    /// What it does.
    #[serde(rename = "do")]
    pub action: Action,
    /// Longest time it may take.
    #[serde(default = "timeout_default")]
    pub timeout_seconds: u32,
    /// No fallback passes a step that is marked so; a person is asked instead.
    #[serde(default)]
    pub irreversible: bool,
}

fn timeout_default() -> u32 {
    300
}

/// What a step does. Programs are paths below the unpacked artifact, so that only signed bytes run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Unpacks the artifact to `releases/<version>` and keeps the last few. Idempotent.
    Unpack,
    /// Points `current` at the unpacked version, atomically. Idempotent.
    Switch,
    /// Runs a program of the artifact to its end.
    Script {
        /// Path below the unpacked artifact.
        run: String,
        /// Arguments; `{{ name }}` is replaced by a variable.
        #[serde(default)]
        args: Vec<String>,
        /// What may be done when it is unknown whether it ran.
        #[serde(default)]
        class: Class,
        /// For `verifiable`: path and arguments of a program that ends 0 if the step has run, 1 if not.
        #[serde(default)]
        verify: Vec<String>,
    },
    /// (Re)starts a program of the artifact that stays up, supervised by the agent. Idempotent.
    Process {
        /// Path below the unpacked artifact.
        run: String,
        /// Arguments; `{{ name }}` is replaced by a variable.
        #[serde(default)]
        args: Vec<String>,
        /// Seconds between the soft signal and the hard one.
        #[serde(default = "stop_grace_default")]
        stop_grace_seconds: u32,
    },
    /// Stops the supervised program of the component. Idempotent.
    ProcessStop {
        /// Seconds between the soft signal and the hard one.
        #[serde(default = "stop_grace_default")]
        stop_grace_seconds: u32,
    },
    /// Acts on a systemd unit that the host's owner has installed. Idempotent.
    Systemd {
        /// The unit's name.
        unit: String,
        /// What to do with it.
        verb: SystemdVerb,
    },
}

fn stop_grace_default() -> u32 {
    10
}

/// What the `systemd` driver may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemdVerb {
    /// `systemctl start`
    Start,
    /// `systemctl stop`
    Stop,
    /// `systemctl restart`
    Restart,
    /// `systemctl reload`
    Reload,
}

impl Step {
    /// What may be done when it is unknown whether the step ran.
    pub fn class(&self) -> Class {
        match &self.action {
            Action::Script { class, .. } => *class,
            Action::Unpack | Action::Switch | Action::Process { .. } | Action::ProcessStop { .. } | Action::Systemd { .. } => {
                Class::Idempotent
            }
        }
    }
}

/// What must hold on a target after the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What is asked.
    pub probe: HealthProbe,
    /// Time between two asks.
    #[serde(default = "one")]
    pub interval_seconds: u32,
    /// How long it must hold without a gap.
    #[serde(default)]
    pub min_healthy_seconds: u32,
    /// By when it must have held so long, counted from the end of the steps.
    #[serde(default = "healthy_deadline_default")]
    pub healthy_deadline_seconds: u32,
}

fn one() -> u32 {
    1
}

fn healthy_deadline_default() -> u32 {
    60
}

/// How an agent asks its own host whether a component is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HealthProbe {
    /// A GET that must answer 200 to 299.
    Http {
        /// The address; `{{ name }}` is replaced by a variable.
        url: String,
    },
    /// A connection that must open.
    Tcp {
        /// Host and port; `{{ name }}` is replaced by a variable.
        address: String,
    },
    /// A program of the artifact that must end 0.
    Command {
        /// Path below the unpacked artifact.
        run: String,
        /// Arguments; `{{ name }}` is replaced by a variable.
        #[serde(default)]
        args: Vec<String>,
    },
}

/// What an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Where code is written.
    Development,
    /// Where it is tested.
    Test,
    /// Where it is prepared, like production.
    Staging,
    /// Where it serves.
    Production,
}

/// A place for a purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub tier: Tier,
    /// Whether a change must be authorised before anything is deployed here.
    #[serde(default)]
    pub controlled: bool,
    /// Whether a standard change is enough here; unless said, everywhere but in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_changes: Option<bool>,
    /// The zone in which its people read times.
    #[serde(default = "utc")]
    pub zone: String,
    /// Position on the way to production; pages list environments by it.
    #[serde(default)]
    pub position: u32,
    /// Variables of all its targets; a target's own win.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

fn utc() -> String {
    "UTC".into()
}

impl Environment {
    /// Whether a standard change is enough here.
    pub fn accepts_standard_changes(&self) -> bool {
        self.standard_changes.unwrap_or(self.tier != Tier::Production)
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`] for a zone that does not exist, [`Code::TooLarge`] for too many variables.
    pub fn check(&self) -> Result<(), Refusal> {
        if jiff::tz::TimeZone::get(&self.zone).is_err() {
            let what = format!("\"{}\" is not a time zone", crate::ids::clip(&self.zone));
            return Err(Refusal::new(Code::OutOfRange, what, "use an IANA name such as Europe/Vienna or UTC").at("zone"));
        }
        variables(&self.variables)
    }
}

impl Target {
    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] or [`Code::Malformed`], at the field.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.labels.len() > limits::LABELS_MAX {
            let what = format!("target {} has {} labels", self.name, self.labels.len());
            return Err(Refusal::new(Code::TooLarge, what, format!("use at most {}", limits::LABELS_MAX)).at("labels"));
        }
        variables(&self.variables)
    }
}

/// Variables become environment variables of steps, so their names have that form.
fn variables(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if variables.len() > limits::LABELS_MAX {
        let what = format!("{} variables", variables.len());
        return Err(Refusal::new(Code::TooLarge, what, format!("use at most {}", limits::LABELS_MAX)).at("variables"));
    }
    for (name, value) in variables {
        let good = name.len() <= limits::NAME_BYTES_MAX
            && name.chars().next().is_some_and(|c| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !name.starts_with("tidegate_");
        if !good {
            let remedy = "use lower-case letters, digits and '_', starting with a letter, not with tidegate_";
            let what = format!("\"{}\" is not a variable name", crate::ids::clip(name));
            return Err(Refusal::new(Code::Malformed, what, remedy).at("variables"));
        }
        if value.contains('\0') || value.len() > limits::TEXT_CHARS_MAX {
            let what = format!("the value of variable {name} is too long or has a zero byte");
            return Err(Refusal::new(Code::OutOfRange, what, "use shorter, plain text").at("variables"));
        }
    }
    Ok(())
}

/// A place a component is installed, as people define it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name, unique over all environments.
    pub name: Name,
    /// Where it belongs.
    pub environment: Name,
    /// What components select it by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What its steps, health checks and gates see.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// What targets say is installed of each component. Shared: it is asked for ten thousand targets at once.
pub type AllAttested = BTreeMap<Name, Arc<BTreeMap<Name, Attested>>>;

/// What a target says is installed of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attested {
    /// The version `current` points at.
    pub version: Version,
    /// The digest of the artifact it was unpacked from.
    pub digest: Digest,
    /// Whether every step of that installation ended well and it was healthy then.
    pub complete: bool,
}

/// What is known of the agent on a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TargetState {
    /// The agent's public key, once it is enrolled: 32 bytes in standard base64.
    pub agent_key: Option<String>,
    /// When it enrolled.
    pub enrolled_at_ms: Option<Millis>,
    /// What it says is installed, by component.
    pub attested: BTreeMap<Name, Attested>,
    /// When it last said so.
    pub attested_at_ms: Option<Millis>,
}

/// How the agent of a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// None has enrolled.
    Missing,
    /// It was heard of within two long polls.
    InTouch,
    /// It was not.
    Silent,
}

impl AgentState {
    /// How an agent is that was last heard of then.
    pub fn of(state: &TargetState, heard_at_ms: Option<Millis>, now_ms: Millis) -> AgentState {
        const IN_TOUCH_MS: Millis = 2 * 1_000 * limits::POLL_SECONDS as Millis + 15_000;
        match (&state.agent_key, heard_at_ms) {
            (None, _) => AgentState::Missing,
            (Some(_), Some(at_ms)) if now_ms - at_ms < IN_TOUCH_MS => AgentState::InTouch,
            (Some(_), _) => AgentState::Silent,
        }
    }
}

impl Component {
    /// Whether a target with these labels carries the component.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.runs_on.iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`], [`Code::TooLarge`] or [`Code::Malformed`], at the field.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.steps.len() > limits::STEPS_MAX {
            let what = format!("component {} has {} steps", self.name, self.steps.len());
            return Err(Refusal::new(Code::OutOfRange, what, format!("give it at most {} steps", limits::STEPS_MAX)).at("steps"));
        }
        if !(1..=100).contains(&self.keep_releases) {
            let what = format!("keep_releases is {}", self.keep_releases);
            return Err(Refusal::new(Code::OutOfRange, what, "keep 1 to 100").at("keep_releases"));
        }
        for (index, step) in self.steps.iter().enumerate() {
            step.check().map_err(|refusal| refusal.at(format!("steps[{index}]")))?;
        }
        self.health.as_ref().map_or(Ok(()), Health::check)
    }
}

impl Step {
    /// Its texts that may name variables.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let (args, verify) = match &self.action {
            Action::Script { args, verify, .. } => (args.as_slice(), verify.get(1..).unwrap_or_default()),
            Action::Process { args, .. } => (args.as_slice(), [].as_slice()),
            Action::Unpack | Action::Switch | Action::ProcessStop { .. } | Action::Systemd { .. } => {
                ([].as_slice(), [].as_slice())
            }
        };
        args.iter().chain(verify).map(String::as_str)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.name.is_empty() || self.name.len() > 100 {
            return Err(Refusal::new(
                Code::OutOfRange,
                "a step has no name or a very long one",
                "name it with 1 to 100 characters",
            ));
        }
        if !(1..=limits::STEP_SECONDS_MAX).contains(&self.timeout_seconds) {
            let what = format!("timeout_seconds of step \"{}\" is {}", self.name, self.timeout_seconds);
            return Err(Refusal::new(Code::OutOfRange, what, format!("use 1 to {}", limits::STEP_SECONDS_MAX)));
        }
        self.templates().try_for_each(template::check).map_err(|refusal| {
            let what = format!("step \"{}\": {}", self.name, refusal.what);
            Refusal { what, ..refusal }
        })?;
        match &self.action {
            Action::Script { run, class, verify, .. } => {
                inside(run)?;
                match (class, verify.first()) {
                    (Class::Verifiable, None) => Err(Refusal::new(
                        Code::Malformed,
                        format!("step \"{}\" is verifiable but has no verify program", self.name),
                        "give verify: [path, arguments…], or choose class once or idempotent",
                    )),
                    (Class::Verifiable, Some(program)) => inside(program),
                    (Class::Idempotent | Class::Once, _) => Ok(()),
                }
            }
            Action::Process { run, .. } => inside(run),
            Action::Systemd { unit, .. } => unit_name(unit),
            Action::Unpack | Action::Switch | Action::ProcessStop { .. } => Ok(()),
        }
    }
}

impl Health {
    /// Its texts that may name variables.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        match &self.probe {
            HealthProbe::Http { url: text } | HealthProbe::Tcp { address: text } => std::slice::from_ref(text),
            HealthProbe::Command { args, .. } => args.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }

    fn check(&self) -> Result<(), Refusal> {
        self.templates().try_for_each(template::check).map_err(|refusal| refusal.at("health.probe"))?;
        let range = |name: &str, value: u32, from: u32| {
            if (from..=limits::STEP_SECONDS_MAX).contains(&value) {
                return Ok(());
            }
            let remedy = format!("use {from} to {}", limits::STEP_SECONDS_MAX);
            Err(Refusal::new(Code::OutOfRange, format!("health.{name} is {value}"), remedy).at(format!("health.{name}")))
        };
        range("interval_seconds", self.interval_seconds, 1)?;
        range("min_healthy_seconds", self.min_healthy_seconds, 0)?;
        range("healthy_deadline_seconds", self.healthy_deadline_seconds, 1)?;
        if self.min_healthy_seconds > self.healthy_deadline_seconds {
            return Err(Refusal::new(
                Code::OutOfRange,
                "health can never hold: min_healthy_seconds is more than healthy_deadline_seconds",
                "make the deadline longer than the time it must hold",
            )
            .at("health"));
        }
        match &self.probe {
            HealthProbe::Command { run, .. } => inside(run),
            HealthProbe::Http { .. } | HealthProbe::Tcp { .. } => Ok(()),
        }
    }
}

/// Whether a program's path stays below the unpacked artifact.
fn inside(path: &str) -> Result<(), Refusal> {
    let good = !path.is_empty()
        && !path.starts_with('/')
        && !path.contains(['\0', '\\'])
        && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
    if good {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Malformed,
        format!("\"{}\" is not a path below the artifact", crate::ids::clip(path)),
        "name a program inside the artifact, such as bin/migrate",
    ))
}

fn unit_name(unit: &str) -> Result<(), Refusal> {
    let good = !unit.is_empty()
        && unit.len() <= 255
        && !unit.starts_with('-')
        && unit.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c));
    if good {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Malformed,
        format!("\"{}\" is not a unit name", crate::ids::clip(unit)),
        "use a name such as ledger.service",
    ))
}
