//! Who may do what, where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::Name;

/// What a person is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything in its scope.
    Viewer,
    /// Brings artifacts, writes changes, plans and starts deployments where no change must be authorised by others.
    Developer,
    /// Plans releases, declares freezes, decides on exceptions, defines the estate, records what was carried out elsewhere.
    ReleaseManager,
    /// Authorises changes, approves at gates, decides on exceptions.
    ChangeAuthority,
    /// Runs deployments: start, pause, stop, retry, fall back; enrols targets.
    Operator,
    /// All of it, and people and tokens.
    Administrator,
}

/// What a route or a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Anybody, signed in or not. The list of such routes is short and printed by a test.
    Public,
    /// Anybody who is signed in.
    SignedIn,
    /// See.
    Read,
    /// Define applications, components, environments and targets.
    DefineEstate,
    /// Bring artifacts.
    UploadArtifact,
    /// Write and submit changes.
    WriteChange,
    /// Vote on changes, approve at gates.
    Authorise,
    /// Write and steer releases.
    ManageRelease,
    /// Declare and lift freezes.
    ManageFreeze,
    /// Decide on exceptions into freezes.
    RuleException,
    /// Make plans.
    Plan,
    /// Start, pause, stop, retry, exclude, answer, fall back.
    Deploy,
    /// Record what was carried out elsewhere.
    Record,
    /// Make enrolment tokens.
    Enrol,
    /// People, tokens and backups.
    Administer,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 15] = [
        Permission::Public,
        Permission::SignedIn,
        Permission::Read,
        Permission::DefineEstate,
        Permission::UploadArtifact,
        Permission::WriteChange,
        Permission::Authorise,
        Permission::ManageRelease,
        Permission::ManageFreeze,
        Permission::RuleException,
        Permission::Plan,
        Permission::Deploy,
        Permission::Record,
        Permission::Enrol,
        Permission::Administer,
    ];

    /// Its name in refusals and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Public => "public",
            Permission::SignedIn => "signed_in",
            Permission::Read => "read",
            Permission::DefineEstate => "define_estate",
            Permission::UploadArtifact => "upload_artifact",
            Permission::WriteChange => "write_change",
            Permission::Authorise => "authorise",
            Permission::ManageRelease => "manage_release",
            Permission::ManageFreeze => "manage_freeze",
            Permission::RuleException => "rule_exception",
            Permission::Plan => "plan",
            Permission::Deploy => "deploy",
            Permission::Record => "record",
            Permission::Enrol => "enrol",
            Permission::Administer => "administer",
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] =
        [Role::Viewer, Role::Developer, Role::ReleaseManager, Role::ChangeAuthority, Role::Operator, Role::Administrator];

    /// Its name in JSON and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Developer => "developer",
            Role::ReleaseManager => "release_manager",
            Role::ChangeAuthority => "change_authority",
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        }
    }

    /// Whether the role carries the permission, scope aside.
    pub fn carries(self, permission: Permission) -> bool {
        use Permission::{
            Authorise, DefineEstate, Deploy, Enrol, ManageFreeze, ManageRelease, Plan, Public, Read, Record, RuleException,
            SignedIn, UploadArtifact, WriteChange,
        };
        if matches!(permission, Public | SignedIn | Read) {
            return true;
        }
        match self {
            Role::Viewer => false,
            Role::Developer => matches!(permission, UploadArtifact | WriteChange | Plan | Deploy),
            Role::ReleaseManager => {
                matches!(
                    permission,
                    DefineEstate | WriteChange | ManageRelease | ManageFreeze | RuleException | Plan | Deploy | Record
                )
            }
            Role::ChangeAuthority => matches!(permission, Authorise | RuleException | WriteChange),
            Role::Operator => matches!(permission, Plan | Deploy | Enrol),
            Role::Administrator => true,
        }
    }
}

/// Where a role holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everywhere.
    All,
    /// For one application, in every environment.
    Application(Name),
    /// In one environment, for every application.
    Environment(Name),
}

/// A role in a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What.
    pub role: Role,
    /// Where.
    pub scope: Scope,
}

/// What an act is about, for the question whether a grant's scope covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct About<'a> {
    /// The application, if it is about one.
    pub application: Option<&'a Name>,
    /// The environment, if it is about one.
    pub environment: Option<&'a Name>,
}

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Their name.
    pub name: Name,
    /// Their name for people.
    #[serde(default)]
    pub title: String,
    /// What they are trusted with, and where.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// A credential, of which only a digest is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Which one.
    pub id: crate::ids::Id,
    /// What it opens.
    pub purpose: TokenPurpose,
    /// SHA-256 of the secret.
    pub secret: crate::ids::Digest,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created_at_ms: Millis,
    /// First instant at which it is no longer good.
    pub expires_at_ms: Millis,
    /// When it was used up or revoked.
    pub ended_at_ms: Option<Millis>,
}

/// What a credential opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "whose it is")]
pub enum TokenPurpose {
    /// The API, as a person.
    Api { person: Name },
    /// A browser session, as a person.
    Session { person: Name },
    /// One sign-in to the pages, as a person.
    Login { person: Name },
    /// One enrolment of one target.
    Enrolment { target: Name },
    /// An agent's session.
    Agent { target: Name },
}

impl Grant {
    /// Whether the grant lets its holder do it.
    ///
    /// A scoped grant covers what is about its application or environment; what is about neither needs [`Scope::All`],
    /// except that anybody may read and do what every signed-in person may.
    pub fn allows(&self, permission: Permission, about: About<'_>) -> bool {
        if !self.role.carries(permission) {
            return false;
        }
        match &self.scope {
            Scope::All => true,
            Scope::Application(name) => about.application == Some(name),
            Scope::Environment(name) => about.environment == Some(name),
        }
    }
}

impl Person {
    /// Whether any of their grants lets them do it.
    pub fn may(&self, permission: Permission, about: About<'_>) -> bool {
        matches!(permission, Permission::Public | Permission::SignedIn)
            || self.grants.iter().any(|grant| grant.allows(permission, about))
    }
}

/// An event in the stream of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "what it opens and why it ended")]
pub enum TokenEvent {
    /// It was made.
    Made { purpose: TokenPurpose, label: String },
    /// It was used up or revoked.
    Ended { reason: String },
}

impl TokenEvent {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            TokenEvent::Made { purpose, label } => format!("made \"{label}\", which opens {}", purpose.words()),
            TokenEvent::Ended { reason } => format!("it ended: {reason}"),
        }
    }
}

impl TokenPurpose {
    /// What it opens, in words.
    pub fn words(&self) -> String {
        match self {
            TokenPurpose::Api { person } => format!("the API as {person}"),
            TokenPurpose::Session { person } => format!("a browser session as {person}"),
            TokenPurpose::Login { person } => format!("one sign-in as {person}"),
            TokenPurpose::Enrolment { target } => format!("one enrolment of {target}"),
            TokenPurpose::Agent { target } => format!("an agent session of {target}"),
        }
    }
}

impl Token {
    /// Whether it is good now.
    pub fn is_good(&self, now_ms: Millis) -> bool {
        self.ended_at_ms.is_none() && now_ms < self.expires_at_ms
    }
}
