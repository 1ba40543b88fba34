//! A change: what could affect services, who authorised it, and for exactly which content.

pub mod difference;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::canonical;
use crate::ids::{Digest, Id, Name, Version};
use crate::limits;
use crate::record::{ChangeRecord, Recorded};
use crate::refusal::{Code, Refusal};

/// How a change is assessed and authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Low-risk, pre-authorised, documented.
    Standard,
    /// Assessed, authorised, scheduled.
    Normal,
    /// Shortened assessment, mandatory review.
    Emergency,
}

/// The life of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the states of the semantics, in order of life")]
pub enum State {
    Draft,
    Submitted,
    Assessing,
    AwaitingAuthorisation,
    Authorised,
    Scheduled,
    Implementing,
    Verifying,
    Review,
    Closed,
    Rejected,
    Cancelled,
}

impl State {
    /// Its name in JSON and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Submitted => "submitted",
            State::Assessing => "assessing",
            State::AwaitingAuthorisation => "awaiting_authorisation",
            State::Authorised => "authorised",
            State::Scheduled => "scheduled",
            State::Implementing => "implementing",
            State::Verifying => "verifying",
            State::Review => "review",
            State::Closed => "closed",
            State::Rejected => "rejected",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether its authorisation lets a deployment start.
    pub fn lets_deploy(self) -> bool {
        matches!(self, State::Authorised | State::Scheduled | State::Implementing | State::Verifying)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the outcomes of the semantics")]
pub enum Outcome {
    Successful,
    WithIssues,
    Unsuccessful,
    FellBack,
}

/// How much is at stake, as its author sees it. Each answer is shown beside the approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "a scale")]
pub enum Level {
    #[default]
    Low,
    Medium,
    High,
}

/// What is authorised. Its digest is what people vote on; whatever changes it makes the votes fall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// In one line.
    pub title: String,
    /// How it is assessed and authorised.
    pub class: Class,
    /// What it does and why.
    #[serde(default)]
    pub description: String,
    /// Of what.
    pub application: Name,
    /// Where.
    pub environments: Vec<Name>,
    /// What each component will have.
    #[serde(default)]
    pub versions: BTreeMap<Name, Version>,
    /// The exact plan for each environment, once it is made. A normal or emergency change authorises nothing else.
    #[serde(default)]
    pub plans: BTreeMap<Name, Digest>,
    /// How likely it is to go wrong.
    #[serde(default)]
    pub risk: Level,
    /// How much it would hurt.
    #[serde(default)]
    pub impact: Level,
    /// How to get out of it.
    #[serde(default)]
    pub back_out: String,
}

impl Content {
    /// What votes are bound to.
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }

    fn check(&self) -> Result<(), Refusal> {
        said("title", &self.title)?;
        if self.description.chars().count() > limits::TEXT_CHARS_MAX || self.back_out.chars().count() > limits::TEXT_CHARS_MAX {
            let remedy = format!("use at most {} characters", limits::TEXT_CHARS_MAX);
            return Err(Refusal::new(Code::TooLarge, "a text of the change is too long", remedy).at("description"));
        }
        if self.environments.is_empty() {
            return Err(
                Refusal::new(Code::Malformed, "the change concerns no environment", "name at least one").at("environments")
            );
        }
        if let Some(elsewhere) = self.plans.keys().find(|environment| !self.environments.contains(environment)) {
            let what = format!("a plan is named for {elsewhere}, which the change does not concern");
            return Err(Refusal::new(Code::Malformed, what, "add the environment, or leave the plan out").at("plans"));
        }
        Ok(())
    }
}

/// A person's word on a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Vote {
    /// Who.
    pub by: Name,
    /// When.
    pub at_ms: Millis,
    /// Yes or no.
    pub choice: Choice,
    /// The content they saw.
    pub digest: Digest,
    /// In their words.
    pub reason: String,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "yes or no")]
pub enum Choice {
    Approve,
    Reject,
}

/// Adding, modifying or removing anything that could affect services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Which one.
    pub id: Id,
    /// What is authorised.
    pub content: Content,
    /// Who wrote it, and so may not approve it.
    pub author: Name,
    /// Who else wrote some of it, and so may not approve it either.
    #[serde(default)]
    pub editors: Vec<Name>,
    /// The release it belongs to.
    pub release: Option<Id>,
    /// How far it is.
    pub state: State,
    /// Pending approvals are suspended while it is set.
    pub on_hold: bool,
    /// How many people must approve.
    pub quorum: u32,
    /// Votes on the content as it stands.
    pub votes: Vec<Vote>,
    /// Votes that fell because the content changed.
    pub fallen_votes: Vec<Vote>,
    /// The content that is authorised, once it is.
    pub authorised: Option<Digest>,
    /// Environments in which a deployment under it has succeeded, with when.
    #[serde(default)]
    pub implemented: BTreeMap<Name, Millis>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What the review found.
    pub review: String,
    /// When it was written.
    pub created_at_ms: Millis,
    /// When it was authorised.
    pub authorised_at_ms: Option<Millis>,
    /// When it was closed.
    pub closed_at_ms: Option<Millis>,
    /// Whether it was made to take back or repair what failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repairs: bool,
    /// That it was made elsewhere, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
}

/// What somebody asks of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "`by` is the person, the rest is in the words of the change")]
pub enum Command {
    Edit {
        content: Content,
        by: Name,
    },
    Submit {
        by: Name,
    },
    Vote(Vote),
    WithdrawVote {
        by: Name,
    },
    Hold {
        by: Name,
        reason: String,
    },
    Release {
        by: Name,
    },
    Cancel {
        by: Name,
        reason: String,
    },
    /// A deployment under it began.
    Implement,
    /// A deployment under it is up and is verified.
    Verify,
    /// A deployment under it ended.
    Conclude {
        environment: Name,
        outcome: Outcome,
    },
    /// The review is written.
    Close {
        outcome: Outcome,
        review: String,
        by: Name,
    },
}

/// An event in the stream of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the change")]
pub enum Event {
    Drafted {
        content: Content,
        author: Name,
    },
    Edited {
        content: Content,
        by: Name,
        votes_fallen: u32,
    },
    Submitted,
    AwaitingAuthorisation,
    Voted {
        vote: Vote,
    },
    VoteWithdrawn {
        by: Name,
    },
    Authorised {
        digest: Digest,
        by: String,
    },
    AuthorisationFell {
        reason: String,
    },
    Rejected {
        by: Name,
        reason: String,
    },
    Held {
        reason: String,
    },
    Unheld,
    Implementing,
    Verifying,
    /// In one of several environments.
    Implemented {
        environment: Name,
    },
    Reviewing {
        outcome: Outcome,
    },
    Closed {
        outcome: Outcome,
        review: String,
    },
    Cancelled {
        reason: String,
    },
    /// It was made elsewhere.
    Recorded {
        source: String,
        record: Box<ChangeRecord>,
    },
}

impl Event {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Event::Drafted { content, .. } => format!("drafted \"{}\"", content.title),
            Event::Edited { votes_fallen: 0, .. } => "edited it".into(),
            Event::Edited { votes_fallen: 1, .. } => "edited it, so that 1 vote fell".into(),
            Event::Edited { votes_fallen, .. } => format!("edited it, so that {votes_fallen} votes fell"),
            Event::Submitted => "submitted it".into(),
            Event::AwaitingAuthorisation => "it awaits authorisation".into(),
            Event::Voted { vote: Vote { by, choice: Choice::Approve, .. } } => format!("{by} approved it"),
            Event::Voted { vote: Vote { by, reason, .. } } => format!("{by} voted against it: {reason}"),
            Event::VoteWithdrawn { by } => format!("{by} withdrew their vote"),
            Event::Authorised { digest, by } => format!("authorised by {by} for content {}", digest.short()),
            Event::AuthorisationFell { reason } => format!("its authorisation fell: {reason}"),
            Event::Rejected { by, reason } => format!("{by} rejected it: {reason}"),
            Event::Held { reason } => format!("put on hold: {reason}"),
            Event::Unheld => "taken off hold".into(),
            Event::Implementing => "its implementation began".into(),
            Event::Verifying => "its implementation is being verified".into(),
            Event::Implemented { environment } => format!("implemented in {environment}"),
            Event::Reviewing { outcome } => format!("implemented, {}; it awaits review", outcome_word(*outcome)),
            Event::Closed { outcome, .. } => format!("closed, {}", outcome_word(*outcome)),
            Event::Cancelled { reason } => format!("cancelled: {reason}"),
            Event::Recorded { source, record } => format!("recorded \"{}\" from {source}", record.content.title),
        }
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Successful => "successful",
        Outcome::WithIssues => "with issues",
        Outcome::Unsuccessful => "unsuccessful",
        Outcome::FellBack => "fell back",
    }
}

impl Change {
    /// A change as its author wrote it.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`] or [`Code::TooLarge`], at the field.
    pub fn draft(id: Id, content: Content, author: Name, now_ms: Millis) -> Result<(Change, Vec<Event>), Refusal> {
        content.check()?;
        let events = vec![Event::Drafted { content: content.clone(), author: author.clone() }];
        let change = Change {
            id,
            content,
            author,
            editors: Vec::new(),
            release: None,
            state: State::Draft,
            on_hold: false,
            quorum: 1,
            votes: Vec::new(),
            fallen_votes: Vec::new(),
            authorised: None,
            implemented: BTreeMap::new(),
            outcome: None,
            review: String::new(),
            created_at_ms: now_ms,
            authorised_at_ms: None,
            closed_at_ms: None,
            repairs: false,
            recorded: None,
        };
        Ok((change, events))
    }

    /// A change that was made elsewhere and is over. One that nobody authorised enters at review.
    ///
    /// # Errors
    ///
    /// What [`ChangeRecord::check`] and the content's check refuse, at the field.
    pub fn recorded(id: Id, record: &ChangeRecord, release: Option<Id>, recorded: Recorded) -> Result<(Change, Event), Refusal> {
        record.check(recorded.at_ms)?;
        let (mut change, _) = Change::draft(id, record.content.clone(), record.author.clone(), record.written_at_ms)?;
        let event = Event::Recorded { source: recorded.source.clone(), record: Box::new(record.clone()) };
        change.release = release;
        change.outcome = Some(record.outcome);
        change.review.clone_from(&record.review);
        change.authorised_at_ms = record.authorised_at_ms;
        change.authorised = record.authorised_at_ms.map(|_| record.content.digest());
        change.state = if record.authorised_at_ms.is_some() { State::Closed } else { State::Review };
        change.closed_at_ms = record.authorised_at_ms.map(|_| record.closed_at_ms);
        if let Some(at_ms) = record.implemented_at_ms {
            change.implemented = record.content.environments.iter().map(|name| (name.clone(), at_ms)).collect();
        }
        change.repairs = record.repairs;
        change.recorded = Some(recorded);
        Ok((change, event))
    }

    /// What a command leads to.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`], [`Code::AuthorApproves`], [`Code::AlreadyVoted`], [`Code::ApprovalStale`] or [`Code::Malformed`].
    pub fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Edit { content, by } => self.decide_edit(content, by),
            Command::Submit { .. } => self.decide_submit(),
            Command::Vote(vote) => self.decide_vote(vote),
            Command::WithdrawVote { by } => self.decide_withdraw(by),
            Command::Hold { reason, .. } if self.is_open() && !self.on_hold => {
                said("reason", reason)?;
                Ok(vec![Event::Held { reason: reason.clone() }])
            }
            Command::Release { .. } if self.on_hold => Ok(vec![Event::Unheld]),
            Command::Hold { .. } => Err(self.forbids("be put on hold", "only an open change can be, once")),
            Command::Release { .. } => Err(self.forbids("be taken off hold", "it is not on hold")),
            Command::Cancel { reason, .. } if self.is_open() => {
                said("reason", reason)?;
                Ok(vec![Event::Cancelled { reason: reason.clone() }])
            }
            Command::Cancel { .. } => Err(self.forbids("be cancelled", "it is past that; review and close it")),
            Command::Implement => Ok(self.on_the_way(&[State::Authorised, State::Scheduled], Event::Implementing)),
            Command::Verify => Ok(self.on_the_way(&[State::Implementing], Event::Verifying)),
            Command::Conclude { environment, outcome } => Ok(self.decide_conclude(environment, *outcome)),
            Command::Close { outcome, review, .. } if self.state == State::Review => {
                said("review", review)?;
                Ok(vec![Event::Closed { outcome: *outcome, review: review.clone() }])
            }
            Command::Close { .. } => Err(self.forbids("be closed", "it must have been implemented and be in review")),
        }
    }

    fn on_the_way(&self, from: &[State], event: Event) -> Vec<Event> {
        // Several deployments may run under one change, so being there already is no news.
        if from.contains(&self.state) { vec![event] } else { Vec::new() }
    }

    fn decide_edit(&self, content: &Content, by: &Name) -> Result<Vec<Event>, Refusal> {
        content.check()?;
        match self.state {
            State::Draft
            | State::Submitted
            | State::Assessing
            | State::AwaitingAuthorisation
            | State::Rejected
            | State::Authorised
            | State::Scheduled => {}
            State::Implementing | State::Verifying | State::Review | State::Closed | State::Cancelled => {
                return Err(self.forbids("be edited", "write a new change"));
            }
        }
        if content.digest() == self.content.digest() {
            return Ok(Vec::new());
        }
        let mut events = vec![Event::Edited { content: content.clone(), by: by.clone(), votes_fallen: self.votes.len() as u32 }];
        if self.authorised.is_some() {
            events.push(Event::AuthorisationFell { reason: "the content changed".into() });
        }
        Ok(events)
    }

    /// Standard skips assessing and authorisation; emergency skips assessing (semantics: states).
    fn decide_submit(&self) -> Result<Vec<Event>, Refusal> {
        if !matches!(self.state, State::Draft | State::Rejected) {
            return Err(self.forbids("be submitted", "only a draft can be"));
        }
        Ok(match self.content.class {
            Class::Standard => {
                vec![
                    Event::Submitted,
                    Event::Authorised { digest: self.content.digest(), by: "the standard change catalogue".into() },
                ]
            }
            // Assessment is the risk and impact given with the content; richer assessment has a state to live in.
            Class::Normal | Class::Emergency => vec![Event::Submitted, Event::AwaitingAuthorisation],
        })
    }

    fn decide_vote(&self, vote: &Vote) -> Result<Vec<Event>, Refusal> {
        if self.state != State::AwaitingAuthorisation {
            return Err(self.forbids("be voted on", "it must be submitted and not yet decided"));
        }
        if self.on_hold {
            return Err(self.forbids("be voted on while on hold", "take it off hold first"));
        }
        if vote.by == self.author || self.editors.contains(&vote.by) {
            return Err(Refusal::new(
                Code::AuthorApproves,
                format!("{} wrote this change, or some of it", vote.by),
                "somebody else has to decide on it",
            ));
        }
        if vote.digest != self.content.digest() {
            return Err(Refusal::new(
                Code::ApprovalStale,
                format!("the vote is on content {}, which has changed to {}", vote.digest.short(), self.content.digest().short()),
                "look at the change again and vote on what it is now",
            ));
        }
        if self.votes.iter().any(|cast| cast.by == vote.by) {
            return Err(Refusal::new(Code::AlreadyVoted, format!("{} has voted", vote.by), "withdraw the vote first"));
        }
        if vote.choice == Choice::Reject {
            said("reason", &vote.reason)?;
            return Ok(vec![
                Event::Voted { vote: vote.clone() },
                Event::Rejected { by: vote.by.clone(), reason: vote.reason.clone() },
            ]);
        }
        let approvals: Vec<&str> = self
            .votes
            .iter()
            .filter(|cast| cast.choice == Choice::Approve)
            .map(|cast| cast.by.as_str())
            .chain([vote.by.as_str()])
            .collect();
        let mut events = vec![Event::Voted { vote: vote.clone() }];
        if approvals.len() as u32 >= self.quorum {
            events.push(Event::Authorised { digest: vote.digest.clone(), by: approvals.join(", ") });
        }
        Ok(events)
    }

    fn decide_withdraw(&self, by: &Name) -> Result<Vec<Event>, Refusal> {
        let votable = matches!(self.state, State::AwaitingAuthorisation | State::Authorised | State::Scheduled);
        if !votable || !self.votes.iter().any(|vote| vote.by == *by) {
            return Err(self.forbids("lose that vote", "there must be one, and nothing may have been implemented yet"));
        }
        let mut events = vec![Event::VoteWithdrawn { by: by.clone() }];
        let left = self.votes.iter().filter(|vote| vote.by != *by && vote.choice == Choice::Approve).count() as u32;
        if self.authorised.is_some() && left < self.quorum {
            events.push(Event::AuthorisationFell { reason: format!("{by} withdrew their vote") });
        }
        Ok(events)
    }

    /// It is over when it has succeeded in each of its environments, or has not in one. A standard change that went well closes
    /// by itself; everything else is looked at.
    fn decide_conclude(&self, environment: &Name, outcome: Outcome) -> Vec<Event> {
        // Once begun, it may have lost its authorisation for what is left while a deployment was still at work.
        let begun = self.state == State::AwaitingAuthorisation && !self.implemented.is_empty();
        if !begun && !matches!(self.state, State::Implementing | State::Verifying | State::Authorised | State::Scheduled) {
            return Vec::new();
        }
        let well = matches!(outcome, Outcome::Successful | Outcome::WithIssues);
        let left = |it: &&Name| *it != environment && !self.implemented.contains_key(*it);
        let implemented = Event::Implemented { environment: environment.clone() };
        match (self.content.class, well) {
            (_, true) if self.content.environments.iter().any(|it| left(&it)) => vec![implemented],
            // Its review is what happened: it is passed, not skipped, so that the history shows it.
            (Class::Standard, true) if outcome == Outcome::Successful => vec![
                implemented,
                Event::Reviewing { outcome },
                Event::Closed { outcome, review: "reviewed by the outcome of its deployment".into() },
            ],
            (_, true) => vec![implemented, Event::Reviewing { outcome }],
            (_, false) => vec![Event::Reviewing { outcome }],
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event, at_ms: Millis) {
        match event {
            Event::Drafted { .. } | Event::Recorded { .. } => {}
            Event::Edited { content, by, .. } => {
                self.content = content.clone();
                if *by != self.author && !self.editors.contains(by) {
                    self.editors.push(by.clone());
                }
                self.fallen_votes.append(&mut self.votes);
                if self.state == State::Rejected {
                    self.state = State::Draft;
                }
            }
            Event::Submitted => self.state = State::Submitted,
            Event::AwaitingAuthorisation => self.state = State::AwaitingAuthorisation,
            Event::Voted { vote } => self.votes.push(vote.clone()),
            Event::VoteWithdrawn { by } => self.votes.retain(|vote| vote.by != *by),
            Event::Authorised { digest, .. } => {
                self.state = State::Authorised;
                self.authorised = Some(digest.clone());
                self.authorised_at_ms = Some(at_ms);
            }
            Event::AuthorisationFell { .. } => {
                self.authorised = None;
                self.authorised_at_ms = None;
                self.state = match self.content.class {
                    Class::Standard => State::Draft,
                    Class::Normal | Class::Emergency => State::AwaitingAuthorisation,
                };
            }
            Event::Rejected { .. } => {
                self.state = State::Rejected;
                self.fallen_votes.append(&mut self.votes);
            }
            Event::Held { .. } => self.on_hold = true,
            Event::Unheld => self.on_hold = false,
            Event::Implementing => self.state = State::Implementing,
            Event::Verifying => self.state = State::Verifying,
            Event::Implemented { environment } => {
                // Between two environments it stands as before the first: what is left may be planned anew and voted on anew.
                if matches!(self.state, State::Implementing | State::Verifying) {
                    self.state = State::Authorised;
                }
                self.implemented.insert(environment.clone(), at_ms);
            }
            Event::Reviewing { outcome } => {
                self.state = State::Review;
                self.outcome = Some(*outcome);
            }
            Event::Closed { outcome, review } => {
                self.state = State::Closed;
                self.outcome = Some(*outcome);
                self.review.clone_from(review);
                self.closed_at_ms = Some(at_ms);
            }
            Event::Cancelled { .. } => {
                self.state = State::Cancelled;
                self.closed_at_ms = Some(at_ms);
            }
        }
    }

    /// Whether somebody's vote on it is awaited: they neither wrote some of it nor have voted.
    pub fn awaits_vote_of(&self, person: &Name) -> bool {
        let wrote = self.author == *person || self.editors.contains(person);
        let voted = self.votes.iter().any(|vote| vote.by == *person);
        self.state == State::AwaitingAuthorisation && !self.on_hold && !wrote && !voted
    }

    fn is_open(&self) -> bool {
        !matches!(self.state, State::Review | State::Closed | State::Cancelled)
    }

    fn forbids(&self, command: &str, remedy: &str) -> Refusal {
        Refusal::state_forbids(format!("change {}", self.id), &self.state.as_str().replace('_', " "), command, remedy)
    }
}

/// Refuses an empty or endless text.
pub(crate) fn said(field: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(
            Code::Malformed,
            format!("{field} is empty"),
            "say it in a few words; it is kept in the history",
        )
        .at(field));
    }
    if text.chars().count() > limits::TEXT_CHARS_MAX {
        let remedy = format!("use at most {} characters", limits::TEXT_CHARS_MAX);
        return Err(Refusal::new(Code::TooLarge, format!("{field} is too long"), remedy).at(field));
    }
    Ok(())
}
