//! A freeze: a period of restricted change that really stops work, and the approved, expiring exceptions into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a freeze's name: it stands in lists and on the calendar.
const NAME_CHARS_MAX: usize = 120;

use crate::Millis;
use crate::change;
use crate::deployment::plan::Purpose;
use crate::deployment::rollout::Deployment;
use crate::ids::{Id, Name};
use crate::refusal::{Code, Refusal};

/// A period of restricted change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freeze {
    /// Which one.
    pub id: Id,
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Where; none means every controlled environment.
    pub environments: Vec<Name>,
    /// Of what; none means every application.
    pub applications: Vec<Name>,
    /// Of which components; none means every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Name>,
    /// First instant.
    pub from_ms: Millis,
    /// First instant after it.
    pub until_ms: Millis,
    /// The zone in which its author meant the times.
    pub zone: String,
    /// What it lets through.
    pub strictness: Strictness,
    /// What it does to work that is already running.
    pub running: Running,
    /// Whether it was lifted before its end.
    pub lifted: Option<Lifted>,
    /// Ways in.
    pub exceptions: Vec<Exception>,
}

/// What a freeze lets through without an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Nothing.
    #[default]
    Hard,
    /// Standard changes.
    Soft,
}

/// What a freeze does to work that is already running when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// The wave in flight finishes, then it holds.
    #[default]
    FinishWave,
    /// It goes on to its end.
    GoOn,
}

/// An early end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lifted {
    /// Who lifted it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_ms: Millis,
}

/// An approved, expiring entry into a freeze, for one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exception {
    /// Which one.
    pub id: Id,
    /// For what: the deployment that may pass.
    pub deployment: Id,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requested_by: Name,
    /// When.
    pub requested_at_ms: Millis,
    /// How far it is.
    pub state: ExceptionState,
}

/// The life of an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "who, why and until when")]
pub enum ExceptionState {
    /// Somebody else has to decide.
    Requested,
    /// It may pass until then.
    Approved { by: Name, until_ms: Millis },
    /// It may not.
    Rejected { by: Name, reason: String },
    /// Whoever asked took it back.
    Withdrawn,
}

/// How a deployment that a freeze concerns could begin while it was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// It was carried out by other means, which asked nobody: the freeze was broken.
    Elsewhere,
    /// An exception was approved.
    Exception,
    /// The way back is exempt.
    Fallback,
    /// The freeze is soft and the change is a standard one.
    StandardChange,
    /// Nothing of that: the freeze was declared, with a beginning in the past, after it had begun, or did not concern it then.
    Declared,
}

impl Passage {
    /// In words.
    pub fn phrase(self) -> &'static str {
        match self {
            Passage::Elsewhere => "carried out elsewhere, against the freeze",
            Passage::Exception => "let through by an exception",
            Passage::Fallback => "the way back is exempt",
            Passage::StandardChange => "a standard change in a soft freeze",
            Passage::Declared => "the freeze was declared later, or did not concern it then",
        }
    }
}

/// An event in the stream of a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the freeze and its exceptions")]
pub enum Event {
    Declared { name: String, from_ms: Millis, until_ms: Millis },
    Lifted { by: String, reason: String },
    ExceptionRequested { exception: Exception },
    ExceptionApproved { exception: Id, by: Name, until_ms: Millis },
    ExceptionRejected { exception: Id, by: Name, reason: String },
}

impl Event {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Event::Declared { name, .. } => format!("declared freeze \"{name}\""),
            Event::Lifted { by, reason } => format!("{by} lifted it: {reason}"),
            Event::ExceptionRequested { exception } => {
                format!("{} asked to let {} through: {}", exception.requested_by, exception.deployment, exception.reason)
            }
            Event::ExceptionApproved { by, exception, .. } => format!("{by} approved exception {exception}"),
            Event::ExceptionRejected { by, exception, reason } => format!("{by} rejected exception {exception}: {reason}"),
        }
    }
}

impl Freeze {
    /// Checks a new freeze.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`] if it ends before it begins, [`Code::Malformed`] without name or reason.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.from_ms >= self.until_ms {
            return Err(
                Refusal::new(Code::OutOfRange, "the freeze ends before it begins", "give an end after the beginning").at("until")
            );
        }
        change::said("name", &self.name)?;
        if self.name.chars().count() > NAME_CHARS_MAX {
            let what = format!("the name has {} characters", self.name.chars().count());
            let remedy = format!("use at most {NAME_CHARS_MAX}; the reason may be long");
            return Err(Refusal::new(Code::TooLarge, what, remedy).at("name"));
        }
        change::said("reason", &self.reason)
    }

    /// Whether it concerns components of an application in an environment at all.
    pub fn covers<'a>(
        &self,
        application: &Name,
        mut components: impl Iterator<Item = &'a Name>,
        (environment, is_controlled): (&Name, Controlled),
    ) -> bool {
        let here = match (self.environments.is_empty(), is_controlled) {
            (true, Controlled::Yes) => true,
            (true, Controlled::No) => false,
            (false, _) => self.environments.contains(environment),
        };
        here && (self.applications.is_empty() || self.applications.contains(application))
            && (self.components.is_empty() || components.any(|component| self.components.contains(component)))
    }

    /// Whether it is in force anywhere between two instants, the first included.
    pub fn touches(&self, from_ms: Millis, until_ms: Millis) -> bool {
        self.lifted.is_none() && self.from_ms < until_ms.max(from_ms + 1) && from_ms < self.until_ms
    }

    /// Whether an approved exception lets a deployment through now.
    pub fn lets_through(&self, deployment: &Id, now_ms: Millis) -> bool {
        self.exceptions.iter().any(|exception| {
            exception.deployment == *deployment
                && matches!(exception.state, ExceptionState::Approved { until_ms, .. } if now_ms < until_ms)
        })
    }

    /// How a deployment came through, if it began while the freeze was in force and is one that it concerns.
    pub fn passage(&self, deployment: &Deployment, is_controlled: Controlled, standard: bool) -> Option<Passage> {
        let started_ms = deployment.started_at_ms?;
        let end_ms = self.lifted.as_ref().map_or(self.until_ms, |lifted| lifted.at_ms.min(self.until_ms));
        let place = (&deployment.environment, is_controlled);
        if !(self.from_ms..end_ms).contains(&started_ms)
            || !self.covers(&deployment.application, deployment.versions.keys(), place)
        {
            return None;
        }
        let excepted = self.exceptions.iter().any(|it| {
            it.deployment == deployment.id
                && matches!(it.state, ExceptionState::Approved { until_ms, .. } if started_ms < until_ms)
        });
        Some(match () {
            () if deployment.recorded.is_some() => Passage::Elsewhere,
            () if excepted => Passage::Exception,
            () if deployment.purpose == Purpose::Fallback => Passage::Fallback,
            () if standard && self.strictness == Strictness::Soft => Passage::StandardChange,
            () => Passage::Declared,
        })
    }

    /// Asks for an exception.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`] when it is over or one is pending, [`Code::Malformed`] without a reason.
    pub fn request(&self, exception: Exception, now_ms: Millis) -> Result<Vec<Event>, Refusal> {
        change::said("reason", &exception.reason)?;
        if self.is_over(now_ms) {
            return Err(Refusal::state_forbids(&self.name, "over", "have exceptions", "none is needed any more"));
        }
        let same = |it: &&Exception| it.deployment == exception.deployment;
        if self.exceptions.iter().filter(same).any(|it| it.state == ExceptionState::Requested) {
            return Err(Refusal::new(Code::AlreadyExists, "an exception is asked for already", "wait for the decision"));
        }
        Ok(vec![Event::ExceptionRequested { exception }])
    }

    fn is_over(&self, now_ms: Millis) -> bool {
        self.lifted.is_some() || now_ms >= self.until_ms
    }

    /// Decides on an exception.
    ///
    /// # Errors
    ///
    /// [`Code::AuthorApproves`] if the asker decides, [`Code::NotFound`], [`Code::StateForbids`], [`Code::OutOfRange`].
    pub fn rule(&self, exception: &Id, ruling: ExceptionState, now_ms: Millis) -> Result<Vec<Event>, Refusal> {
        let Some(found) = self.exceptions.iter().find(|it| it.id == *exception) else {
            return Err(Refusal::not_found("exception", exception));
        };
        if self.is_over(now_ms) {
            return Err(Refusal::state_forbids(&self.name, "over", "decide exceptions", "none is needed any more"));
        }
        if found.state != ExceptionState::Requested {
            return Err(Refusal::state_forbids(exception, "decided", "be decided again", "ask for a new one"));
        }
        match ruling {
            ExceptionState::Approved { by, .. } | ExceptionState::Rejected { by, .. } if by == found.requested_by => {
                Err(Refusal::new(Code::AuthorApproves, format!("{by} asked for it"), "somebody else has to decide"))
            }
            ExceptionState::Approved { until_ms, .. } if until_ms <= now_ms || until_ms > self.until_ms => {
                let remedy = "let it expire after now and not after the freeze";
                Err(Refusal::new(Code::OutOfRange, "the exception would expire at a senseless time", remedy).at("until"))
            }
            ExceptionState::Approved { by, until_ms } => {
                Ok(vec![Event::ExceptionApproved { exception: exception.clone(), by, until_ms }])
            }
            ExceptionState::Rejected { by, reason } => {
                change::said("reason", &reason)?;
                Ok(vec![Event::ExceptionRejected { exception: exception.clone(), by, reason }])
            }
            ExceptionState::Requested | ExceptionState::Withdrawn => {
                Err(Refusal::new(Code::Malformed, "that is no decision", "approve or reject"))
            }
        }
    }

    /// Ends it early.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`] when it is over, [`Code::Malformed`] without a reason.
    pub fn lift(&self, by: &str, reason: &str, now_ms: Millis) -> Result<Vec<Event>, Refusal> {
        change::said("reason", reason)?;
        if self.is_over(now_ms) {
            return Err(Refusal::state_forbids(&self.name, "over", "be lifted", "nothing is to be done"));
        }
        Ok(vec![Event::Lifted { by: by.to_owned(), reason: reason.to_owned() }])
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event, at_ms: Millis) {
        match event {
            Event::Declared { .. } => {}
            Event::Lifted { by, reason } => self.lifted = Some(Lifted { by: by.clone(), reason: reason.clone(), at_ms }),
            Event::ExceptionRequested { exception } => self.exceptions.push(exception.clone()),
            Event::ExceptionApproved { exception, by, until_ms } => {
                self.put(exception, &ExceptionState::Approved { by: by.clone(), until_ms: *until_ms });
            }
            Event::ExceptionRejected { exception, by, reason } => {
                self.put(exception, &ExceptionState::Rejected { by: by.clone(), reason: reason.clone() });
            }
        }
    }

    fn put(&mut self, id: &Id, state: &ExceptionState) {
        self.exceptions.iter_mut().filter(|it| it.id == *id).for_each(|it| it.state = state.clone());
    }

    /// Its state in lists: `planned`, `in_force`, `over` or `lifted`.
    pub fn state(&self, now_ms: Millis) -> &'static str {
        match (&self.lifted, now_ms < self.from_ms, now_ms < self.until_ms) {
            (Some(_), _, _) => "lifted",
            (None, true, _) => "planned",
            (None, false, true) => "in_force",
            (None, false, false) => "over",
        }
    }
}

/// Whether an environment is controlled; a word instead of a bare truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a named truth value")]
pub enum Controlled {
    Yes,
    No,
}
