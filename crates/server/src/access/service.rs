//! People and tokens.

use tidegate_api::request::MakeToken;
use tidegate_api::view::MadeToken;
use tidegate_domain::access::{About, Grant, Permission, Person, Role, Scope, Token, TokenEvent, TokenPurpose};
use tidegate_domain::estate::Event;
use tidegate_domain::event::Actor;
use tidegate_domain::{Code, Id, Millis, Name, Refusal};
use tidegate_store::Commit;

use crate::app::{App, SYSTEM, stream_change};
use crate::door::Act;
use crate::problem::No;
use crate::secret;

/// Seconds a sign-in link is good.
const LOGIN_SECONDS: i64 = 15 * 60;
/// Seconds a browser session is good: a working day with its evening.
const SESSION_SECONDS: i64 = 14 * 3_600;
/// Longest life of an API token.
const TOKEN_SECONDS_MAX: u32 = 400 * 86_400;

/// Makes a token and returns its secret, which is shown once.
pub async fn make(app: &App, actor: Actor, purpose: TokenPurpose, (label, seconds): (&str, i64)) -> Result<MadeToken, No> {
    let now_ms = app.now_ms();
    let id = secret::id("TOK", now_ms);
    let (text, digest) = secret::token(&id);
    let token = Token {
        id: id.clone(),
        purpose: purpose.clone(),
        secret: digest,
        label: label.to_owned(),
        created_at_ms: now_ms,
        expires_at_ms: now_ms + seconds * 1_000,
        ended_at_ms: None,
    };
    let events = [TokenEvent::Made { purpose, label: label.to_owned() }];
    let commit = Commit {
        actor,
        cause: "a token was asked for".into(),
        at_ms: now_ms,
        changes: vec![stream_change(0, &events, &token)],
        documents: Vec::new(),
        idempotency: None,
    };
    app.commit(commit).await?;
    Ok(MadeToken { id, secret: text, expires_at_ms: token.expires_at_ms })
}

/// Makes an API token for a person.
pub async fn make_api(app: &App, act: &Act, request: &MakeToken) -> Result<MadeToken, No> {
    // Anybody may make tokens of their own; they open no more than their owner may.
    if request.person != act.caller.person.name {
        act.caller.require(Permission::Administer, About::default())?;
    }
    if !(60..=TOKEN_SECONDS_MAX).contains(&request.valid_seconds) {
        let what = format!("valid_seconds is {}", request.valid_seconds);
        return Err(Refusal::new(Code::OutOfRange, what, format!("use 60 to {TOKEN_SECONDS_MAX}")).at("valid_seconds").into());
    }
    app.need::<Person>(&request.person).await?;
    let purpose = TokenPurpose::Api { person: request.person.clone() };
    make(app, act.caller.actor(), purpose, (&request.label, i64::from(request.valid_seconds))).await
}

/// Ends a token.
pub async fn end(app: &App, act: &Act, id: &Id) -> Result<(), No> {
    let mine = |token: &Token| matches!(&token.purpose, TokenPurpose::Api { person } | TokenPurpose::Session { person } if *person == act.caller.person.name);
    app.edit::<Token, TokenEvent>(act, id, |token, now_ms| {
        if !mine(token) {
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

/// Uses a one-time token up; whoever is second is refused.
pub async fn use_up(app: &App, secret: &str, actor: Actor) -> Result<TokenPurpose, No> {
    let gone = || Refusal::new(Code::NotSignedIn, "that link or token was used, has expired or never was", "get a new one");
    let id = secret::token_id(secret).ok_or_else(gone)?;
    let found = app.store.load::<Token>(id.as_str()).await?.ok_or_else(gone)?;
    let now_ms = app.now_ms();
    if found.value.secret != tidegate_domain::Digest::of(secret.as_bytes()) || !found.value.is_good(now_ms) {
        return Err(gone().into());
    }
    let (events, value) = ended(&found.value, "used", now_ms);
    let commit = Commit {
        actor,
        cause: "a one-time token was used".into(),
        at_ms: now_ms,
        changes: vec![stream_change(found.version, &events, &value)],
        documents: Vec::new(),
        idempotency: None,
    };
    match app.commit(commit).await {
        Ok(_) => Ok(found.value.purpose),
        Err(tidegate_store::CommitError::Fence { .. }) => Err(gone().into()),
        Err(error) => Err(error.into()),
    }
}

/// Signs a browser in by a one-time link's token; returns the session's secret.
pub async fn sign_in(app: &App, secret: &str) -> Result<MadeToken, No> {
    // The purpose is looked at first: a link must not use up a token of another kind.
    match crate::access::good_token(app, secret).await?.map(|token| token.purpose) {
        Some(TokenPurpose::Login { person }) => {
            use_up(app, secret, Actor::Person(person.clone())).await?;
            let purpose = TokenPurpose::Session { person: person.clone() };
            make(app, Actor::Person(person), purpose, ("browser", SESSION_SECONDS)).await
        }
        _ => Err(Refusal::new(
            Code::NotSignedIn,
            "that sign-in link was used, has expired or never was",
            "get a new one on the server's machine: tidegate login-link",
        )
        .into()),
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

/// A one-time sign-in link for a person.
pub async fn login_link(app: &App, person: &Name) -> Result<String, No> {
    app.need::<Person>(person).await?;
    let purpose = TokenPurpose::Login { person: person.clone() };
    let made = make(app, SYSTEM, purpose, ("sign-in link", LOGIN_SECONDS)).await?;
    Ok(format!("{}/login?token={}", app.settings.public_url, made.secret))
}
