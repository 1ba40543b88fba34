//! What people do with changes.

use tidegate_api::request::{CloseChange, VoteOnChange, WriteChange};
use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::change::{Change, Command, Content, Event, Vote};
use tidegate_domain::event::{Noun, Stream};
use tidegate_domain::{Id, Millis, Name, Refusal, limits};
use tidegate_store::Stored;

use crate::app::App;
use crate::bounds;
use crate::door::Act;
use crate::estate::service as estate;
use crate::problem::No;
use crate::secret;

/// Writes a change, as a draft, and takes it into its release in the same commit.
pub async fn write(app: &App, act: &Act, request: &WriteChange) -> Result<Stored<Change>, No> {
    bounded(&request.content)?;
    require(act, Permission::WriteChange, &request.content)?;
    estate::there(app, &[&request.content.application], &request.content.environments).await?;
    let now_ms = app.now_ms();
    let author = act.caller.person.name.clone();
    let (mut change, events) = Change::draft(secret::id("CHG", now_ms), request.content.clone(), author, now_ms)?;
    let mut beside = Vec::new();
    if let Some(release) = &request.release {
        change.release = Some(release.clone());
        beside.extend(crate::release::service::taking_in(app, act, release, &change).await?);
    }
    app.create_beside(act, change, (&events, beside)).await
}

/// Puts a command to a change.
pub async fn command(app: &App, act: &Act, id: &Id, permission: Permission, command: Command) -> Result<Stored<Change>, No> {
    if let Command::Edit { content, .. } = &command {
        estate::there(app, &[&content.application], &content.environments).await?;
    }
    app.edit::<Change, Event>(act, id, |change, now_ms| decided(act, change, (permission, &command), now_ms)).await
}

/// What a command leads to, and the change as it leaves it; if the asker may.
pub fn decided(
    act: &Act,
    change: &Change,
    (permission, command): (Permission, &Command),
    now_ms: Millis,
) -> Result<(Vec<Event>, Change), No> {
    require(act, permission, &change.content)?;
    if let Command::Edit { content, .. } = command {
        bounded(content)?;
        require(act, permission, content)?;
    }
    let events = change.decide(command)?;
    let mut changed = change.clone();
    events.iter().for_each(|event| changed.apply(event, now_ms));
    Ok((events, changed))
}

/// Whether a change waits for this person's vote: they may authorise it everywhere it is for, and the change lets them.
pub fn awaits(person: &Person, change: &Change) -> bool {
    let about = |environment| About { application: Some(&change.content.application), environment: Some(environment) };
    let may = |environment| person.may(Permission::Authorise, about(environment));
    change.awaits_vote_of(&person.name) && change.content.environments.iter().all(may)
}

/// The content on which the last vote was cast that has fallen since, if one has: what its difference to today's is shown from.
pub async fn last_voted(app: &App, change: &Change) -> Result<Option<Content>, No> {
    const EDITS_MAX: u32 = 1_000;
    let Some(fallen) = change.fallen_votes.last().filter(|vote| vote.digest != change.content.digest()) else { return Ok(None) };
    let rows = app.store.events_of(&Stream::new(Noun::Change, &change.id), 0, EDITS_MAX).await?;
    let contents = rows.iter().filter(|row| matches!(row.kind.as_str(), "drafted" | "edited")).filter_map(|row| {
        let body: serde_json::Value = serde_json::from_str(&row.body).ok()?;
        serde_json::from_value::<Content>(body.get("content")?.clone()).ok()
    });
    Ok(contents.into_iter().find(|content| content.digest() == fallen.digest))
}

fn bounded(content: &Content) -> Result<(), Refusal> {
    bounds::at_most("environments", content.environments.len(), bounds::PLACES_MAX)?;
    bounds::at_most("versions", content.versions.len(), limits::COMPONENTS_MAX)?;
    bounds::weight("change", content)
}

/// Votes on a change.
pub async fn vote(app: &App, act: &Act, id: &Id, request: &VoteOnChange) -> Result<Stored<Change>, No> {
    bounds::text("reason", &request.reason)?;
    let vote = Vote {
        by: voter(act),
        at_ms: app.now_ms(),
        choice: request.choice,
        digest: request.digest.clone(),
        reason: request.reason.clone(),
    };
    command(app, act, id, Permission::Authorise, Command::Vote(vote)).await
}

/// Closes a change after its review.
pub async fn close(app: &App, act: &Act, id: &Id, request: &CloseChange) -> Result<Stored<Change>, No> {
    let close = Command::Close { outcome: request.outcome, review: request.review.clone(), by: voter(act) };
    command(app, act, id, Permission::WriteChange, close).await
}

fn voter(act: &Act) -> Name {
    act.caller.person.name.clone()
}

/// A change that concerns several environments needs the permission for the application, or in each of them.
pub fn require(act: &Act, permission: Permission, content: &Content) -> Result<(), No> {
    for environment in &content.environments {
        let about = About { application: Some(&content.application), environment: Some(environment) };
        act.caller.require(permission, about)?;
    }
    Ok(act
        .caller
        .require(permission, About { application: Some(&content.application), environment: content.environments.first() })?)
}
