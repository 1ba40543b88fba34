//! A refusal on the wire: `application/problem+json` (RFC 9457) with a stable code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::admission::Reason;
use tidegate_domain::{Code, Refusal};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A page about the code: `/docs/errors/<code>`.
    pub r#type: String,
    /// What is wrong, in one line.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What would be right.
    pub remedy: String,
    /// Where: a field, a line, an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// For `not_admitted`: every reason, each with its way to yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The request's id, to be found in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Problem {
    /// The problem that a refusal is.
    pub fn of(refusal: &Refusal) -> Problem {
        Problem {
            r#type: format!("/docs/errors/{}", refusal.code),
            title: refusal.what.clone(),
            status: status(refusal.code),
            code: refusal.code,
            remedy: refusal.remedy.clone(),
            place: refusal.place.clone(),
            reasons: Vec::new(),
            request: None,
        }
    }

    /// Admission's no, with every reason.
    pub fn not_admitted(reasons: Vec<Reason>) -> Problem {
        let what = reasons.first().map_or_else(String::new, |reason| reason.text.clone());
        let more = if reasons.len() > 1 { format!(" (and {} more reasons)", reasons.len() - 1) } else { String::new() };
        let remedy = reasons.first().map_or_else(String::new, |reason| reason.remedy.clone());
        let refusal = Refusal::new(Code::NotAdmitted, format!("not admitted: {what}{more}"), remedy);
        Problem { reasons, ..Problem::of(&refusal) }
    }
}

/// The HTTP status of a code.
pub fn status(code: Code) -> u16 {
    match code {
        Code::Malformed
        | Code::DuplicateKey
        | Code::UnknownField
        | Code::TooDeep
        | Code::OutOfRange
        | Code::NameInvalid
        | Code::VersionInvalid
        | Code::VersionIsNumber
        | Code::DigestInvalid => 400,
        Code::NotSignedIn => 401,
        Code::PermissionDenied | Code::CrossSite | Code::AuthorApproves => 403,
        Code::NotFound => 404,
        Code::AlreadyExists
        | Code::StateForbids
        | Code::Contended
        | Code::IdempotencyConflict
        | Code::AlreadyVoted
        | Code::ApprovalStale
        | Code::NotAdmitted
        | Code::PlanStale
        | Code::Irreversible
        | Code::NothingToDo
        | Code::TemplateInvalid
        | Code::Cycle
        | Code::WrongHost
        | Code::GenerationLow
        | Code::OrderExpired
        | Code::OrderReplayed
        | Code::CannotListen
        | Code::HistoryBroken => 409,
        Code::StaleVersion => 412,
        Code::TooLarge => 413,
        Code::DigestMismatch
        | Code::ArchiveUnsafe
        | Code::ArchiveBomb
        | Code::ArchiveBroken
        | Code::SignatureMissing
        | Code::SignatureInvalid
        | Code::DigestUnlisted => 422,
        Code::RateLimited => 429,
        Code::Overloaded => 503,
        Code::Fault => 500,
    }
}
