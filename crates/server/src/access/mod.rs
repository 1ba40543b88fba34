//! Who asks, and what they may: people, tokens, sessions.

pub mod api;
pub mod pages;
pub mod service;

use axum::http::{HeaderMap, Method, header};
use tidegate_domain::access::{About, Permission, Person, Token, TokenPurpose};
use tidegate_domain::event::Actor;
use tidegate_domain::{Code, Digest, Refusal};
use tidegate_store::Stored;

use crate::app::App;
use crate::observe;
use crate::problem::No;
use crate::secret;

/// The cookie of a browser session.
pub const COOKIE: &str = "tidegate_session";

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub person: Person,
    /// The token they came with.
    pub token: Option<tidegate_domain::Id>,
    /// What a form of theirs must carry; for browser sessions.
    pub csrf: Option<String>,
}

impl Caller {
    /// Finds out who asks and whether they may do so anywhere at all.
    ///
    /// A browser's cookie opens reading alone here: what changes anything needs a token, or a form with its own proof.
    ///
    /// # Errors
    ///
    /// [`Code::NotSignedIn`] or [`Code::PermissionDenied`].
    pub async fn of(app: &App, headers: &HeaderMap, method: &Method, permission: Permission) -> Result<Caller, No> {
        let caller = match (bearer(headers), cookie(headers)) {
            (Some(secret), _) => Caller::by_secret(app, &secret, Opens::Api).await?,
            (None, Some(secret)) if method == Method::GET => Caller::by_secret(app, &secret, Opens::Session).await?,
            (None, _) => None,
        };
        match caller {
            Some(caller) => caller.somewhere(permission).map(|()| caller).map_err(No::from),
            None if permission == Permission::Public => Ok(Caller::nobody()),
            None => Err(not_signed_in().into()),
        }
    }

    /// Who a browser's cookie stands for.
    pub async fn of_browser(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, No> {
        match cookie(headers) {
            Some(secret) => Caller::by_secret(app, &secret, Opens::Session).await,
            None => Ok(None),
        }
    }

    async fn by_secret(app: &App, secret: &str, opens: Opens) -> Result<Option<Caller>, No> {
        let Some(token) = good_token(app, secret).await? else { return Ok(None) };
        let (person, csrf) = match (token.purpose, opens) {
            (TokenPurpose::Api { person }, Opens::Api) => (person, None),
            (TokenPurpose::Session { person }, Opens::Session) => (person, Some(csrf_of(secret))),
            _ => return Ok(None),
        };
        let person = app.store.load::<Person>(person.as_str()).await?;
        let caller = person.map(|found| Caller { person: found.value, token: Some(token.id), csrf });
        caller.iter().for_each(|caller| observe::asked_by(&caller.actor()));
        Ok(caller)
    }

    /// Somebody who is not signed in; may do what everybody may.
    fn nobody() -> Caller {
        let name = tidegate_domain::Name::parse("nobody").unwrap_or_else(|_| unreachable!("it is a name"));
        Caller { person: Person { name, title: String::new(), grants: Vec::new() }, token: None, csrf: None }
    }

    /// As whom the history names them.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.person.name.clone())
    }

    /// Refuses what they may do nowhere.
    fn somewhere(&self, permission: Permission) -> Result<(), Refusal> {
        let everybody = matches!(permission, Permission::Public | Permission::SignedIn);
        if everybody || self.person.grants.iter().any(|grant| grant.role.carries(permission)) {
            return Ok(());
        }
        Err(self.denied(permission, About::default()))
    }

    /// Refuses what they may not do here.
    ///
    /// # Errors
    ///
    /// [`Code::PermissionDenied`].
    pub fn require(&self, permission: Permission, about: About<'_>) -> Result<(), Refusal> {
        if self.person.may(permission, about) { Ok(()) } else { Err(self.denied(permission, about)) }
    }

    fn denied(&self, permission: Permission, about: About<'_>) -> Refusal {
        let place = match (about.application, about.environment) {
            (Some(application), Some(environment)) => format!(" for {application} in {environment}"),
            (Some(application), None) => format!(" for {application}"),
            (None, Some(environment)) => format!(" in {environment}"),
            (None, None) => String::new(),
        };
        Refusal::new(
            Code::PermissionDenied,
            format!("{} lacks the permission {}{place}", self.person.name, permission.as_str()),
            "ask an administrator for a role that carries it",
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    Api,
    Session,
}

/// The refusal for somebody unknown.
pub fn not_signed_in() -> Refusal {
    Refusal::new(
        Code::NotSignedIn,
        "nobody is signed in, or the token is not known",
        "send a token, or use a sign-in link: tidegate login-link",
    )
}

/// The token of a secret, if it is good.
pub async fn good_token(app: &App, secret: &str) -> Result<Option<Token>, No> {
    Ok(good(app, secret).await?.map(|found| found.value))
}

/// The token of a secret with its version, if it is good.
pub async fn good(app: &App, secret: &str) -> Result<Option<Stored<Token>>, No> {
    let Some(id) = secret::token_id(secret) else { return Ok(None) };
    let Some(found) = app.store.load::<Token>(id.as_str()).await? else { return Ok(None) };
    // Digests of 32 random bytes are compared, so that timing tells nothing about the secret.
    let good = found.value.secret == Digest::of(secret.as_bytes()) && found.value.is_good(app.now_ms());
    Ok(good.then_some(found))
}

/// What proves that a form came from a page of the same session.
pub fn csrf_of(secret: &str) -> String {
    Digest::of(format!("tidegate form v1\n{secret}").as_bytes()).hex()[..32].to_owned()
}

/// The secret in the header.
pub fn bearer(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned)
}

/// The secret in the cookie.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';')
        .filter_map(|one| one.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}
