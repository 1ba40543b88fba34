//! A release: changes and component versions that go together, through the phases of its model.

pub mod model;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::change::said;
use crate::ids::{Id, Name, Version};
use crate::limits;
use crate::record::{Recorded as RecordedElsewhere, ReleaseRecord};
use crate::refusal::{Code, Refusal};

pub use model::Model;

/// The life of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the states of the semantics, in order of life")]
pub enum State {
    Draft,
    Planned,
    InProgress,
    Deploying,
    EarlyLifeSupport,
    Evaluated,
    Closed,
    Cancelled,
}

impl State {
    /// Its name in JSON and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Planned => "planned",
            State::InProgress => "in_progress",
            State::Deploying => "deploying",
            State::EarlyLifeSupport => "early_life_support",
            State::Evaluated => "evaluated",
            State::Closed => "closed",
            State::Cancelled => "cancelled",
        }
    }
}

/// The life of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the states of the semantics")]
pub enum PhaseState {
    Pending,
    Active,
    Complete,
}

/// A period of work in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Its name, from the model.
    pub name: String,
    /// How far it is; one is active at a time.
    pub state: PhaseState,
    /// What must be said done before the next one begins, with who said so.
    pub exit_criteria: Vec<Criterion>,
    /// When it began.
    pub started_at_ms: Option<Millis>,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
}

/// One line of a phase's checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    /// What must hold.
    pub text: String,
    /// Who said that it does, and when.
    pub met: Option<(Name, Millis)>,
}

/// A dated point of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Milestone {
    /// What happens then, in a few words.
    pub title: String,
    /// When.
    pub at_ms: Millis,
    /// What has to be known about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A version of a service made available: what goes together, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// Which one.
    pub id: Id,
    /// Of what.
    pub application: Name,
    /// Its version.
    pub version: Version,
    /// In one line.
    pub title: String,
    /// The model it follows.
    pub model: String,
    /// How far it is.
    pub state: State,
    /// Its periods of work, in order.
    pub phases: Vec<Phase>,
    /// Its dated points, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<Milestone>,
    /// What each component will have: the release package.
    pub versions: BTreeMap<Name, Version>,
    /// The changes it carries.
    pub changes: Vec<Id>,
    /// By when it must be ready; not the day of deployment.
    pub ready_by_ms: Option<Millis>,
    /// The zone in which that was meant.
    pub zone: String,
    /// Stated before, measured after.
    pub objectives: Vec<String>,
    /// What its evaluation found.
    pub evaluation: String,
    /// Set when no path may deploy it any more.
    pub rejected: Option<Rejected>,
    /// Who wrote it.
    pub author: Name,
    /// When.
    pub created_at_ms: Millis,
    /// When it ended.
    pub closed_at_ms: Option<Millis>,
    /// That it was made elsewhere, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedElsewhere>,
}

/// Why no path deploys a release any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_ms: Millis,
}

/// What somebody asks of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "`by` is the person, the rest is in the words of the release")]
pub enum Command {
    Plan,
    Start,
    Meet {
        phase: usize,
        criterion: usize,
        by: Name,
    },
    CompletePhase,
    AddChange {
        change: Id,
    },
    /// A change that was made under it elsewhere is recorded.
    RecordChange {
        change: Id,
    },
    /// A deployment of it began.
    Deploying,
    /// It is up in production.
    Live,
    Evaluate {
        evaluation: String,
    },
    Close,
    Cancel {
        reason: String,
    },
    Reject {
        by: String,
        reason: String,
    },
}

/// An event in the stream of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the release")]
pub enum Event {
    Drafted {
        version: Version,
        versions: BTreeMap<Name, Version>,
        model: String,
    },
    Planned,
    Started,
    CriterionMet {
        phase: usize,
        criterion: usize,
        text: String,
        by: Name,
    },
    PhaseCompleted {
        phase: usize,
        name: String,
    },
    ChangeAdded {
        change: Id,
    },
    Deploying,
    EarlyLifeSupport,
    Evaluated {
        evaluation: String,
    },
    Closed,
    Cancelled {
        reason: String,
    },
    Rejected {
        by: String,
        reason: String,
    },
    /// It was made elsewhere.
    Recorded {
        source: String,
        record: Box<ReleaseRecord>,
    },
}

impl Event {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Event::Drafted { version, model, .. } => format!("drafted version {version} after model {model}"),
            Event::Planned => "planned it".into(),
            Event::Started => "began its first phase".into(),
            Event::CriterionMet { text, by, .. } => format!("{by} said that \"{text}\" holds"),
            Event::PhaseCompleted { name, .. } => format!("completed phase {name}"),
            Event::ChangeAdded { change } => format!("took change {change} into its scope"),
            Event::Deploying => "it is being deployed".into(),
            Event::EarlyLifeSupport => "it is live and in early life support".into(),
            Event::Evaluated { .. } => "evaluated it against its objectives".into(),
            Event::Closed => "closed it".into(),
            Event::Cancelled { reason } => format!("cancelled it: {reason}"),
            Event::Rejected { by, reason } => format!("{by} rejected it, so that no path deploys it: {reason}"),
            Event::Recorded { source, record } => format!("recorded version {} from {source}", record.version),
        }
    }
}

impl Release {
    /// Checks a new release.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`] or [`Code::TooLarge`], at the field.
    pub fn check(&self) -> Result<(), Refusal> {
        said("title", &self.title)?;
        if self.versions.is_empty() || self.versions.len() > limits::COMPONENTS_MAX {
            let what = format!("the release has {} component versions", self.versions.len());
            return Err(Refusal::new(Code::OutOfRange, what, format!("give it 1 to {}", limits::COMPONENTS_MAX)).at("versions"));
        }
        if self.objectives.len() > limits::LABELS_MAX {
            let what = format!("{} objectives", self.objectives.len());
            return Err(Refusal::new(Code::TooLarge, what, format!("use at most {}", limits::LABELS_MAX)).at("objectives"));
        }
        self.objectives.iter().try_for_each(|objective| said("objectives", objective))?;
        if self.milestones.len() > limits::MILESTONES_MAX {
            let what = format!("{} milestones", self.milestones.len());
            return Err(Refusal::new(Code::TooLarge, what, format!("use at most {}", limits::MILESTONES_MAX)).at("milestones"));
        }
        self.milestones.iter().enumerate().try_for_each(|(index, milestone)| {
            said(&format!("milestones[{index}].title"), &milestone.title)?;
            let short = milestone.text.chars().count() <= limits::TEXT_CHARS_MAX;
            let remedy = || format!("use at most {} characters", limits::TEXT_CHARS_MAX);
            let long = || Refusal::new(Code::TooLarge, "the text of a milestone is too long", remedy());
            if short { Ok(()) } else { Err(long().at(format!("milestones[{index}].text"))) }
        })
    }

    /// A release that was made elsewhere and is over.
    ///
    /// # Errors
    ///
    /// What [`ReleaseRecord::check`] and [`Release::check`] refuse, at the field.
    pub fn recorded(id: Id, record: &ReleaseRecord, recorded: RecordedElsewhere) -> Result<(Release, Event), Refusal> {
        record.check(recorded.at_ms)?;
        let phases = record.phases.iter().map(|phase| Phase {
            name: phase.name.clone(),
            state: PhaseState::Complete,
            exit_criteria: Vec::new(),
            started_at_ms: Some(phase.started_at_ms),
            ended_at_ms: Some(phase.ended_at_ms),
        });
        let event = Event::Recorded { source: recorded.source.clone(), record: Box::new(record.clone()) };
        let release = Release {
            id,
            application: record.application.clone(),
            version: record.version.clone(),
            title: record.title.clone(),
            model: record.model.clone(),
            state: State::Closed,
            phases: phases.collect(),
            milestones: in_order(record.milestones.clone()),
            versions: record.versions.clone(),
            changes: Vec::new(),
            ready_by_ms: record.ready_by_ms,
            zone: record.zone.clone(),
            objectives: record.objectives.clone(),
            evaluation: record.evaluation.clone(),
            rejected: None,
            author: record.author.clone(),
            created_at_ms: record.written_at_ms,
            closed_at_ms: Some(record.closed_at_ms),
            recorded: Some(recorded),
        };
        release.check()?;
        Ok((release, event))
    }

    /// The first event of a new release.
    pub fn drafted(&self) -> Event {
        Event::Drafted { version: self.version.clone(), versions: self.versions.clone(), model: self.model.clone() }
    }

    /// What a command leads to.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`], [`Code::NotFound`] or [`Code::Malformed`].
    pub fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        use State::{Cancelled, Closed, Deploying, Draft, EarlyLifeSupport, Evaluated, InProgress, Planned};
        match (command, self.state) {
            (Command::Plan, Draft) => Ok(vec![Event::Planned]),
            (Command::Start, Planned) => Ok(vec![Event::Started]),
            (Command::Meet { phase, criterion, by }, Planned | InProgress | Deploying) => {
                self.decide_meet(*phase, *criterion, by)
            }
            (Command::CompletePhase, InProgress | Deploying) => self.decide_complete(),
            (Command::AddChange { change }, _) if self.is_open() => Ok(self.taking_in(change)),
            // What is only recorded is never over for those who record: its changes may come later.
            (Command::RecordChange { change }, _) if self.recorded.is_some() || self.is_open() => Ok(self.taking_in(change)),
            (Command::Deploying, Planned | InProgress) => Ok(vec![Event::Deploying]),
            (Command::Live, Planned | InProgress | Deploying) => Ok(vec![Event::EarlyLifeSupport]),
            // Deployments come and go; what a release has passed is no news.
            (Command::Deploying | Command::Live, _) => Ok(Vec::new()),
            (Command::Evaluate { evaluation }, EarlyLifeSupport) => {
                said("evaluation", evaluation)?;
                Ok(vec![Event::Evaluated { evaluation: evaluation.clone() }])
            }
            (Command::Close, Evaluated) => Ok(vec![Event::Closed]),
            (Command::Cancel { reason }, Draft | Planned | InProgress | Deploying) => {
                said("reason", reason)?;
                Ok(vec![Event::Cancelled { reason: reason.clone() }])
            }
            (Command::Reject { by, reason }, _) if self.rejected.is_none() => {
                said("reason", reason)?;
                Ok(vec![Event::Rejected { by: by.clone(), reason: reason.clone() }])
            }
            (Command::Reject { .. }, _) => Err(self.forbids("be rejected again", "it is rejected already")),
            (Command::Plan, _) => Err(self.forbids("be planned", "only a draft can be")),
            (Command::Start, _) => Err(self.forbids("be started", "plan it first")),
            (Command::Meet { .. }, Draft | EarlyLifeSupport | Evaluated | Closed | Cancelled) => {
                Err(self.forbids("have criteria met", "its phases are not open"))
            }
            (Command::CompletePhase, _) => Err(self.forbids("complete a phase", "start it first")),
            (Command::AddChange { .. } | Command::RecordChange { .. }, _) => {
                Err(self.forbids("take a change in", "write a new release"))
            }
            (Command::Evaluate { .. }, _) => Err(self.forbids("be evaluated", "it must be live")),
            (Command::Close, _) => Err(self.forbids("be closed", "evaluate it first")),
            (Command::Cancel { .. }, _) => Err(self.forbids("be cancelled", "it is live or over")),
        }
    }

    fn decide_meet(&self, phase: usize, criterion: usize, by: &Name) -> Result<Vec<Event>, Refusal> {
        let found = self.phases.get(phase).and_then(|phase| phase.exit_criteria.get(criterion));
        let Some(found) = found else {
            return Err(Refusal::not_found("criterion", format!("{phase}.{criterion}")));
        };
        Ok(match found.met {
            Some(_) => Vec::new(),
            None => vec![Event::CriterionMet { phase, criterion, text: found.text.clone(), by: by.clone() }],
        })
    }

    fn decide_complete(&self) -> Result<Vec<Event>, Refusal> {
        let Some((index, phase)) = self.phases.iter().enumerate().find(|(_, phase)| phase.state == PhaseState::Active) else {
            return Err(self.forbids("complete a phase", "none is active"));
        };
        let open: Vec<&str> = phase.exit_criteria.iter().filter(|c| c.met.is_none()).map(|c| c.text.as_str()).collect();
        if !open.is_empty() {
            let what = format!("phase {} of release {} has open exit criteria: {}", phase.name, self.id, open.join("; "));
            return Err(Refusal::new(Code::StateForbids, what, "somebody has to say that they hold"));
        }
        Ok(vec![Event::PhaseCompleted { phase: index, name: phase.name.clone() }])
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event, at_ms: Millis) {
        match event {
            Event::Drafted { .. } | Event::Recorded { .. } => {}
            Event::Planned => self.state = State::Planned,
            Event::Started => {
                self.state = State::InProgress;
                self.activate(0, at_ms);
            }
            Event::CriterionMet { phase, criterion, by, .. } => {
                if let Some(found) = self.phases.get_mut(*phase).and_then(|phase| phase.exit_criteria.get_mut(*criterion)) {
                    found.met = Some((by.clone(), at_ms));
                }
            }
            Event::PhaseCompleted { phase, .. } => {
                if let Some(found) = self.phases.get_mut(*phase) {
                    found.state = PhaseState::Complete;
                    found.ended_at_ms = Some(at_ms);
                }
                self.activate(phase + 1, at_ms);
            }
            Event::ChangeAdded { change } => self.changes.push(change.clone()),
            Event::Deploying => self.state = State::Deploying,
            Event::EarlyLifeSupport => self.state = State::EarlyLifeSupport,
            Event::Evaluated { evaluation } => {
                self.state = State::Evaluated;
                self.evaluation.clone_from(evaluation);
            }
            Event::Closed => {
                self.state = State::Closed;
                self.closed_at_ms = Some(at_ms);
            }
            Event::Cancelled { .. } => {
                self.state = State::Cancelled;
                self.closed_at_ms = Some(at_ms);
            }
            Event::Rejected { by, reason } => self.rejected = Some(Rejected { by: by.clone(), reason: reason.clone(), at_ms }),
        }
    }

    fn activate(&mut self, index: usize, at_ms: Millis) {
        if let Some(phase) = self.phases.get_mut(index) {
            phase.state = PhaseState::Active;
            phase.started_at_ms = Some(at_ms);
        }
    }

    fn taking_in(&self, change: &Id) -> Vec<Event> {
        let known = self.changes.contains(change);
        if known { Vec::new() } else { vec![Event::ChangeAdded { change: change.clone() }] }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Draft | State::Planned | State::InProgress | State::Deploying)
    }

    fn forbids(&self, command: &str, remedy: &str) -> Refusal {
        Refusal::state_forbids(format!("release {}", self.id), &self.state.as_str().replace('_', " "), command, remedy)
    }
}

/// Milestones in order of time.
pub fn in_order(mut milestones: Vec<Milestone>) -> Vec<Milestone> {
    milestones.sort_by_key(|milestone| milestone.at_ms);
    milestones
}
