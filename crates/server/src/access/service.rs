//! People and tokens.

use tidegate_api::request::{ListQuery, MakeToken};
use tidegate_api::view::{MadeToken, Page, TokenView};
use tidegate_domain::access::{About, Grant, Permission, Person, Role, Scope, Token, TokenEvent, TokenPurpose};
use tidegate_domain::estate::Event;
use tidegate_domain::event::Actor;
use tidegate_domain::{Code, Id, Millis, Name, Refusal};
use tidegate_store::{Commit, IdempotencyRow, Stored, StreamChange};

use super::Caller;
use crate::app::{App, SYSTEM, stream_change};
use crate::bounds;
use crate::door::Act;
use crate::list;
use crate::problem::No;
use crate::secret;

/// Seconds a sign-in link is good.
const LOGIN_SECONDS: i64 = 15 * 60;
/// Seconds a browser session is good: a working day with its evening.
const SESSION_SECONDS: i64 = 14 * 3_600;
/// Longest life of an API token.
const TOKEN_SECONDS_MAX: u32 = 400 * 86_400;

/// Who asks for a token, and the row that remembers that they did.
pub type Asked = (Actor, Option<IdempotencyRow>);

/// Makes a token and returns its secret, which is shown once.
pub async fn make(
    app: &App,
    (actor, idempotency): Asked,
    purpose: TokenPurpose,
    (label, seconds): (&str, i64),
) -> Result<MadeToken, No> {
    let now_ms = app.now_ms();
    let (token, secret) = token(purpose.clone(), (label, seconds), now_ms);
    let events = [TokenEvent::Made { purpose, label: label.to_owned() }];
    let commit = Commit {
        actor,
        cause: "a token was asked for".into(),
        at_ms: now_ms,
        changes: vec![stream_change(0, &events, &token)],
        documents: Vec::new(),
        idempotency,
    };
    app.commit(commit).await?;
    Ok(MadeToken { id: token.id, secret, expires_at_ms: token.expires_at_ms })
}

/// A new token and its secret.
fn token(purpose: TokenPurpose, (label, seconds): (&str, i64), now_ms: Millis) -> (Token, String) {
    let id = secret::id("TOK", now_ms);
    let (text, digest) = secret::token(&id);
    let expires_at_ms = now_ms + seconds * 1_000;
    let token =
        Token { id, purpose, secret: digest, label: label.to_owned(), created_at_ms: now_ms, expires_at_ms, ended_at_ms: None };
    (token, text)
}

/// Makes an API token for a person.
pub async fn make_api(app: &App, act: &Act, request: &MakeToken) -> Result<MadeToken, No> {
    // Anybody may make tokens of their own; they open no more than their owner may.
    if request.person != act.caller.person.name {
        act.caller.require(Permission::Administer, About::default())?;
    }
    make_checked(app, (act.caller.actor(), act.remember_secret(app.now_ms())), request).await
}

/// An API token for a person, made on the server's own machine: the first one, or when all are lost. Whoever reads the data
/// directory could make one anyway.
pub async fn make_beside(app: &App, request: &MakeToken) -> Result<MadeToken, No> {
    make_checked(app, (SYSTEM, None), request).await
}

async fn make_checked(app: &App, asked: Asked, request: &MakeToken) -> Result<MadeToken, No> {
    if !(60..=TOKEN_SECONDS_MAX).contains(&request.valid_seconds) {
        let what = format!("valid_seconds is {}", request.valid_seconds);
        return Err(Refusal::new(Code::OutOfRange, what, format!("use 60 to {TOKEN_SECONDS_MAX}")).at("valid_seconds").into());
    }
    bounds::text("label", &request.label)?;
    app.need::<Person>(&request.person).await?;
    let purpose = TokenPurpose::Api { person: request.person.clone() };
    make(app, asked, purpose, (&request.label, i64::from(request.valid_seconds))).await
}

/// Ends a token.
pub async fn end(app: &App, act: &Act, id: &Id) -> Result<(), No> {
    // Ending it again changes nothing, so that no answer has to be remembered.
    app.edit::<Token, TokenEvent>(&act.beside(), id, |token, now_ms| {
        if !is_of(token, &act.caller.person.name) {
            act.caller.require(Permission::Administer, About::default())?;
        }
        Ok(ended(token, "revoked", now_ms))
    })
    .await
    .map(|_| ())
}

fn ended(token: &Token, reason: &str, now_ms: Millis) -> (Vec<TokenEvent>, Token) {
    match token.ended_at_ms {
        Some(_) => (Vec::new(), token.clone()),
        None => (vec![TokenEvent::Ended { reason: reason.to_owned() }], Token { ended_at_ms: Some(now_ms), ..token.clone() }),
    }
}

/// Uses a one-time token up: the change of its stream, to be stored together with what it opens. Whoever is second fails at its
/// fence.
pub fn used_up(found: &Stored<Token>, now_ms: Millis) -> StreamChange {
    let (events, value) = ended(&found.value, "used", now_ms);
    stream_change(found.version, &events, &value)
}

/// The refusal for a one-time token that opens nothing any more.
pub fn gone(remedy: &str) -> Refusal {
    Refusal::new(Code::NotSignedIn, "that link or token was used, has expired or never was", remedy)
}

/// Signs a browser in by a one-time link's token; returns the session's secret.
pub async fn sign_in(app: &App, secret: &str) -> Result<MadeToken, No> {
    let gone = || gone("get a new link on the server's machine: tidegate login-link");
    // The purpose is looked at first: a link must not use up a token of another kind.
    let found = crate::access::good(app, secret).await?.ok_or_else(gone)?;
    let TokenPurpose::Login { person } = found.value.purpose.clone() else { return Err(gone().into()) };
    let (token, secret) = token(TokenPurpose::Session { person: person.clone() }, ("browser", SESSION_SECONDS), app.now_ms());
    let events = [TokenEvent::Made { purpose: token.purpose.clone(), label: token.label.clone() }];
    let commit = Commit {
        actor: Actor::Person(person),
        cause: "a sign-in link was used".into(),
        at_ms: token.created_at_ms,
        changes: vec![used_up(&found, token.created_at_ms), stream_change(0, &events, &token)],
        documents: Vec::new(),
        idempotency: None,
    };
    match app.commit(commit).await {
        Ok(_) => Ok(MadeToken { id: token.id, secret, expires_at_ms: token.expires_at_ms }),
        Err(tidegate_store::CommitError::Fence { .. }) => Err(gone().into()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the first administrator if there is nobody yet.
pub async fn first_person(app: &App) -> Result<Name, No> {
    let name = Name::parse("admin")?;
    let grants = vec![Grant { role: Role::Administrator, scope: Scope::All }];
    let person = Person { name: name.clone(), title: "Administrator".into(), grants };
    let events = [Event::Defined { definition: serde_json::json!({"name": "admin", "grants": "administrator everywhere"}) }];
    let commit = Commit {
        actor: SYSTEM,
        cause: "first start".into(),
        at_ms: app.now_ms(),
        changes: vec![stream_change(0, &events, &person)],
        documents: Vec::new(),
        idempotency: None,
    };
    match app.commit(commit).await {
        Ok(_) | Err(tidegate_store::CommitError::Fence { .. }) => Ok(name),
        Err(error) => Err(error.into()),
    }
}

/// A one-time sign-in link for somebody, asked for by an administrator from a page.
pub async fn link_for(app: &App, act: &Act, person: &Name) -> Result<String, No> {
    act.caller.require(Permission::Administer, About::default())?;
    app.need::<Person>(person).await?;
    let purpose = TokenPurpose::Login { person: person.clone() };
    let made = make(app, (act.caller.actor(), None), purpose, ("sign-in link", LOGIN_SECONDS)).await?;
    Ok(link(app, &made))
}

fn link(app: &App, made: &MadeToken) -> String {
    format!("{}/login?token={}", app.settings.public_url, made.secret)
}

/// One page of tokens, newest first: administrators see all, everybody else their own.
pub async fn tokens(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<TokenView>, No> {
    let (filter, request) = list::request(query)?;
    let all = caller.person.may(Permission::Administer, About::default());
    let page = list::gathered::<Token>(app, &filter, request, |token| all || is_of(token, &caller.person.name)).await?;
    Ok(Page { rows: page.rows.into_iter().map(|row| view(row.value)).collect(), next: page.next })
}

fn view(token: Token) -> TokenView {
    TokenView {
        opens: token.purpose.words(),
        id: token.id,
        label: token.label,
        created_at_ms: token.created_at_ms,
        expires_at_ms: token.expires_at_ms,
        ended_at_ms: token.ended_at_ms,
    }
}

fn is_of(token: &Token, name: &Name) -> bool {
    matches!(&token.purpose, TokenPurpose::Api { person } | TokenPurpose::Session { person } if person == name)
}

/// A one-time sign-in link for a person.
pub async fn login_link(app: &App, person: &Name) -> Result<String, No> {
    app.need::<Person>(person).await?;
    let purpose = TokenPurpose::Login { person: person.clone() };
    let made = make(app, (SYSTEM, None), purpose, ("sign-in link", LOGIN_SECONDS)).await?;
    Ok(link(app, &made))
}
