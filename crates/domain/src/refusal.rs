//! A refusal: a "no" for people, with a stable code, the place, and what would make it a yes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something was refused. Codes are part of the public contract: they never change meaning.
///
/// Each has a page `docs/errors/<code>.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is not YAML or JSON, or not of the expected form.
    Malformed,
    /// The same key stands twice in one mapping.
    DuplicateKey,
    /// A key that the form does not have.
    UnknownField,
    /// Nested deeper than [`crate::limits::BODY_DEPTH_MAX`], or expanding without bound through aliases.
    TooDeep,
    /// More bytes, rows or items than a limit allows.
    TooLarge,
    /// A number or instant outside its range.
    OutOfRange,
    /// Not a [`crate::Name`] or [`crate::Id`].
    NameInvalid,
    /// Not a [`crate::Version`].
    VersionInvalid,
    /// A version written as a bare number, which loses digits (1.10 becomes 1.1).
    VersionIsNumber,
    /// Not a [`crate::Digest`].
    DigestInvalid,
    /// The bytes do not have the digest they were announced with.
    DigestMismatch,
    /// An archive with an entry that would leave its folder, or that is neither file, folder nor inner link.
    ArchiveUnsafe,
    /// An archive that unpacks to more than its limits.
    ArchiveBomb,
    /// An archive that cannot be read to its end.
    ArchiveBroken,
    /// The artifact carries no signature by a trusted release key.
    SignatureMissing,
    /// A signature that does not verify.
    SignatureInvalid,
    /// A text of a plan that cannot be made for a target: it names a variable which the target does not have.
    TemplateInvalid,
    /// Things that need each other in a circle.
    Cycle,
    /// No such thing.
    NotFound,
    /// There is one of that name already.
    AlreadyExists,
    /// Nobody is signed in, or the token or link is not known.
    NotSignedIn,
    /// Signed in, but without the permission in that scope.
    PermissionDenied,
    /// A form was sent from elsewhere.
    CrossSite,
    /// The state of the thing does not allow the command.
    StateForbids,
    /// `If-Match` names a version that has been replaced.
    StaleVersion,
    /// The command was decided on a state that somebody changed meanwhile, three times in a row.
    Contended,
    /// The idempotency key was used before with another request.
    IdempotencyConflict,
    /// The author of a change may not approve it.
    AuthorApproves,
    /// That person has voted already.
    AlreadyVoted,
    /// The vote names a digest that is no longer the content.
    ApprovalStale,
    /// Admission said no; every reason is listed.
    NotAdmitted,
    /// The plan was made from a state that is gone.
    PlanStale,
    /// A fallback would pass a step marked irreversible.
    Irreversible,
    /// There is nothing to deploy to or nothing to deploy.
    NothingToDo,
    /// An order for another host.
    WrongHost,
    /// An order of a lower generation than the target has seen.
    GenerationLow,
    /// An order past its time.
    OrderExpired,
    /// An answer that does not match the question asked (replayed).
    OrderReplayed,
    /// A digest that the order does not list.
    DigestUnlisted,
    /// The history does not verify.
    HistoryBroken,
    /// Too much at once, whoever asked for it; come back later.
    Overloaded,
    /// This asker has asked for too much in a short time; come back later.
    RateLimited,
    /// The address that a server is to listen on is taken, or is not this host's to give.
    CannotListen,
    /// A fault of ours; it has been logged.
    Fault,
}

impl Code {
    /// The stable text of the code.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Malformed => "malformed",
            Code::DuplicateKey => "duplicate_key",
            Code::UnknownField => "unknown_field",
            Code::TooDeep => "too_deep",
            Code::TooLarge => "too_large",
            Code::OutOfRange => "out_of_range",
            Code::NameInvalid => "name_invalid",
            Code::VersionInvalid => "version_invalid",
            Code::VersionIsNumber => "version_is_number",
            Code::DigestInvalid => "digest_invalid",
            Code::DigestMismatch => "digest_mismatch",
            Code::ArchiveUnsafe => "archive_unsafe",
            Code::ArchiveBomb => "archive_bomb",
            Code::ArchiveBroken => "archive_broken",
            Code::SignatureMissing => "signature_missing",
            Code::SignatureInvalid => "signature_invalid",
            Code::TemplateInvalid => "template_invalid",
            Code::Cycle => "cycle",
            Code::NotFound => "not_found",
            Code::AlreadyExists => "already_exists",
            Code::NotSignedIn => "not_signed_in",
            Code::PermissionDenied => "permission_denied",
            Code::CrossSite => "cross_site",
            Code::StateForbids => "state_forbids",
            Code::StaleVersion => "stale_version",
            Code::Contended => "contended",
            Code::IdempotencyConflict => "idempotency_conflict",
            Code::AuthorApproves => "author_approves",
            Code::AlreadyVoted => "already_voted",
            Code::ApprovalStale => "approval_stale",
            Code::NotAdmitted => "not_admitted",
            Code::PlanStale => "plan_stale",
            Code::Irreversible => "irreversible",
            Code::NothingToDo => "nothing_to_do",
            Code::WrongHost => "wrong_host",
            Code::GenerationLow => "generation_low",
            Code::OrderExpired => "order_expired",
            Code::OrderReplayed => "order_replayed",
            Code::DigestUnlisted => "digest_unlisted",
            Code::HistoryBroken => "history_broken",
            Code::Overloaded => "overloaded",
            Code::RateLimited => "rate_limited",
            Code::CannotListen => "cannot_listen",
            Code::Fault => "fault",
        }
    }

    /// Every code, for documents and tests.
    pub const ALL: [Code; 44] = [
        Code::Malformed,
        Code::DuplicateKey,
        Code::UnknownField,
        Code::TooDeep,
        Code::TooLarge,
        Code::OutOfRange,
        Code::NameInvalid,
        Code::VersionInvalid,
        Code::VersionIsNumber,
        Code::DigestInvalid,
        Code::DigestMismatch,
        Code::ArchiveUnsafe,
        Code::ArchiveBomb,
        Code::ArchiveBroken,
        Code::SignatureMissing,
        Code::SignatureInvalid,
        Code::TemplateInvalid,
        Code::Cycle,
        Code::NotFound,
        Code::AlreadyExists,
        Code::NotSignedIn,
        Code::PermissionDenied,
        Code::CrossSite,
        Code::StateForbids,
        Code::StaleVersion,
        Code::Contended,
        Code::IdempotencyConflict,
        Code::AuthorApproves,
        Code::AlreadyVoted,
        Code::ApprovalStale,
        Code::NotAdmitted,
        Code::PlanStale,
        Code::Irreversible,
        Code::NothingToDo,
        Code::WrongHost,
        Code::GenerationLow,
        Code::OrderExpired,
        Code::OrderReplayed,
        Code::DigestUnlisted,
        Code::HistoryBroken,
        Code::Overloaded,
        Code::RateLimited,
        Code::CannotListen,
        Code::Fault,
    ];
}

/// A "no" for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// What is wrong, naming the thing and its value; no full stop.
    pub what: String,
    /// Where: a field path, a line, an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What would be right.
    pub remedy: String,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(code: Code, what: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal { code, what: what.into(), place: None, remedy: remedy.into() }
    }

    /// The same refusal, at `place`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Refusal {
        self.place = Some(place.into());
        self
    }

    /// There is no `what` called `name`.
    pub fn not_found(what: &str, name: impl fmt::Display) -> Refusal {
        Refusal::new(
            Code::NotFound,
            format!("there is no {what} {name}"),
            match what {
                "application" | "component" | "environment" => {
                    format!("check the name; `tidegate list {what}s` names what there is")
                }
                "strategy" => "check the name; `tidegate list strategies` names what there is".into(),
                "person" => "check the name; `tidegate list people` names who there is".into(),
                "release" | "change" | "deployment" | "freeze" | "artifact" | "target" => {
                    format!("check the name; `tidegate {what} list` names what there is")
                }
                _ => "check the name".into(),
            },
        )
    }

    /// The state of `thing` does not allow `command`.
    pub fn state_forbids(thing: impl fmt::Display, state: &str, command: &str, remedy: impl Into<String>) -> Refusal {
        Refusal::new(Code::StateForbids, format!("{thing} is {state} and cannot {command}"), remedy)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
