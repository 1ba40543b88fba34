//! A change: what is asked, what would run, who said what, and the vote.

use maud::{Markup, html};
use tidegate_api::view::{DeploymentView, EventView};
use tidegate_domain::access::Permission;
use tidegate_domain::change::difference::Difference;
use tidegate_domain::change::{Change, Choice, Class, Level, State, Vote};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::{Digest, Id, Name};

use super::deployments::rows;
use super::history::history;
use super::plan::{digest, plan};
use super::{ReleaseLink, recorded, sentence};
use crate::web::bar::counted;
use crate::web::form::{Act, Need, Weight, hidden, reason, reason_for_a_no, value};
use crate::web::layout::{Chrome, Section, fact, live, page, section};
use crate::web::refusal::{not_offered, warning};
use crate::web::state::{self, glyph};
use crate::web::table::{empty, none, tight};
use crate::web::time::Clock;

/// A change with what would run under it.
#[derive(Debug, Clone)]
pub struct ChangeShown {
    /// The change.
    pub change: Change,
    /// The plans that its content names, as far as the visitor may see them.
    pub planned: Vec<Planned>,
    /// The release it belongs to.
    pub release: Option<ReleaseLink>,
    /// What is different since the last vote that has fallen.
    pub since_vote: Vec<Difference>,
}

/// The plan of a change for one environment.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Where.
    pub environment: Name,
    /// Its digest.
    pub digest: Digest,
    /// The plan.
    pub plan: Plan,
    /// The deployment that would carry it out.
    pub deployment: Option<Id>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ChangePage {
    /// The change.
    pub shown: ChangeShown,
    /// The deployments under it, newest first.
    pub deployments: Vec<DeploymentView>,
    /// Its history, newest first.
    pub history: Vec<EventView>,
}

/// Draws the page.
pub fn change(chrome: &Chrome, view: &ChangePage) -> Markup {
    let clock = chrome.clock();
    let change = &view.shown.change;
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/changes" { "Changes" } span { (change.id) } }
        (live("change", &panel(chrome, &view.shown, Heading::Page)))
        (live("deployments", &section("Deployments under it", &html! {
            @if view.deployments.is_empty() { (none_yet(change)) } @else { (rows("Deployments", &view.deployments, &clock)) }
        })))
        (live("history", &section("History", &history(&view.history, &clock))))
    };
    page(chrome, Section::Changes, &change.content.title, &main)
}

fn none_yet(change: &Change) -> Markup {
    let content = &change.content;
    let versions: Vec<String> = content.versions.iter().map(|(name, version)| format!("--version {name}={version}")).collect();
    let environment = content.environments.first().map(ToString::to_string).unwrap_or_default();
    let command = format!("tidegate deploy {} {environment} {} --change {}", content.application, versions.join(" "), change.id);
    empty("Nothing was deployed under it yet.", &[&command])
}

/// How loud the panel's heading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// It is the page.
    Page,
    /// It is a part of a page.
    Part,
}

impl Heading {
    /// The heading of a part of the panel, one level below the panel's own.
    fn below(self, title: &str) -> Markup {
        html! {
            @match self {
                Heading::Page => h2.part { (title) },
                Heading::Part => h4.part { (title) },
            }
        }
    }
}

/// The panel of a change: what is asked, what would run, the way out, the votes, and the form.
pub fn panel(chrome: &Chrome, shown: &ChangeShown, heading: Heading) -> Markup {
    let clock = chrome.clock();
    let change = &shown.change;
    let title = html! { (change.content.title) " " (look(change)) };
    html! {
        article.panel {
            @match heading {
                Heading::Page => h1 { (title) },
                Heading::Part => h3 { a href={ "/changes/" (change.id) } { (change.id) } " " (title) },
            }
            (recorded::note(change.recorded.as_ref(), &clock))
            (facts(shown, &clock))
            @if !change.content.description.is_empty() { p.prose { (change.content.description) } }
            div.columns {
                section { (heading.below("What would run")) (would_run(shown)) }
                div {
                    section { (heading.below("Way out")) (way_out(change)) }
                    section { (heading.below("Votes")) (votes(change, &clock)) (since_vote(&shown.since_vote)) (ballot(chrome, change)) }
                    (steering(chrome, change))
                    @if !change.review.is_empty() { section { (heading.below("Review")) p.prose { (sentence(&change.review)) } } }
                }
            }
        }
    }
}

/// Its state, its outcome if it has one, and whether it is on hold.
pub fn look(change: &Change) -> Markup {
    html! {
        @match change.outcome.filter(|_| change.state == State::Closed) {
            Some(outcome) => (state::outcome(outcome).badge()),
            None => (state::change(change.state).badge()),
        }
        @if change.on_hold { " " (state::ON_HOLD.badge()) }
    }
}

fn way_out(change: &Change) -> Markup {
    match change.content.back_out.as_str() {
        "" => warning(&html! { "Its author wrote no back-out plan." }),
        text => html! { p.prose { (text) } },
    }
}

fn facts(shown: &ChangeShown, clock: &Clock) -> Markup {
    let change = &shown.change;
    let content = &change.content;
    let versions: Vec<String> = content.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    html! {
        dl.facts {
            (fact("Class", &html! { strong { (class(content.class)) } span.muted { " · " (class_means(content.class)) } }))
            (fact("Risk × impact", &at_stake(change)))
            (fact("Of", &html! { (content.application) @if !versions.is_empty() { span.muted { " · " (versions.join(", ")) } } }))
            (fact("In", &html! { (content.environments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }))
            @if let Some(release) = &shown.release { (fact("Release", &release.link())) }
            (fact("Written by", &html! { (change.author) " " span.muted { (clock.age(change.created_at_ms)) } }))
            (fact("Content", &digest(&content.digest())))
        }
    }
}

/// The word for a class.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Standard => "standard",
        Class::Normal => "normal",
        Class::Emergency => "emergency",
    }
}

fn class_means(class: Class) -> &'static str {
    match class {
        Class::Standard => "pre-authorised",
        Class::Normal => "assessed and authorised",
        Class::Emergency => "shortened assessment, reviewed afterwards",
    }
}

/// Risk and impact as its author sees them; what was made elsewhere was not assessed here.
pub fn at_stake(change: &Change) -> Markup {
    html! {
        @if change.recorded.is_some() { (none()) } @else { (level(change.content.risk)) " × " (level(change.content.impact)) }
    }
}

/// A level as three bars and a word.
pub fn level(level: Level) -> Markup {
    let (word, count) = match level {
        Level::Low => ("low", 1),
        Level::Medium => ("medium", 2),
        Level::High => ("high", 3),
    };
    html! {
        span.level {
            svg.glyph viewBox="0 0 16 16" aria-hidden="true" {
                @for bar in 0..3 {
                    @let class = if bar < count { "on" } else { "off" };
                    rect class=(class) x=(2 + bar * 4) y=(10 - bar * 4) width="3" height=(4 + bar * 4) {}
                }
            }
            (word)
        }
    }
}

fn would_run(shown: &ChangeShown) -> Markup {
    html! {
        @for planned in &shown.planned {
            @if shown.change.content.environments.len() > 1 { h3 { (planned.environment) } }
            (plan(&planned.digest, &planned.plan))
            @if let Some(deployment) = &planned.deployment { p { a href={ "/deployments/" (deployment) } { "Deployment " (deployment) } } }
        }
        @match (shown.planned.is_empty(), shown.change.content.class) {
            (false, _) => {}
            (true, Class::Standard) => p {
                "A standard change names no plan: any plan of these versions may run where standard changes are accepted."
            },
            (true, Class::Normal | Class::Emergency) => (warning(&html! {
                "No plan is attached, so nothing may run under it; plan the deployment with this change: "
                code { "tidegate plan " (shown.change.content.application) " ENVIRONMENT --change " (shown.change.id) }
            })),
        }
    }
}

fn votes(change: &Change, clock: &Clock) -> Markup {
    let yes = change.votes.iter().filter(|vote| vote.choice == Choice::Approve).count() as u32;
    html! {
        @if change.content.class != Class::Standard {
            p {
                strong { (yes) " of " (counted(u64::from(change.quorum), "approval")) }
                span.muted { " · a person counts once, the author never" }
            }
        }
        @if let Some(authorised) = &change.authorised {
            p {
                (glyph("check")) " Authorised for content " (digest(authorised))
                @if let Some(at_ms) = change.authorised_at_ms { " " (clock.at(at_ms)) }
            }
        }
        @if !(change.votes.is_empty() && change.fallen_votes.is_empty()) {
            ul.lines {
                @for it in &change.votes { (vote(it, "vote", clock)) }
                @for it in &change.fallen_votes { (vote(it, "vote fallen", clock)) }
            }
        }
    }
}

fn vote(vote: &Vote, classes: &str, clock: &Clock) -> Markup {
    let look = match vote.choice {
        Choice::Approve => state::Look { glyph: "check", word: "approved", tone: state::Tone::Good },
        Choice::Reject => state::Look { glyph: "cross", word: "rejected", tone: state::Tone::Bad },
    };
    html! {
        li class=(classes) {
            (look.badge())
            span.grow {
                strong { (vote.by) }
                @if !vote.reason.is_empty() { ": " (vote.reason) }
                @if classes.contains("fallen") { span.muted { " (fell: the content changed afterwards)" } }
            }
            span.muted.small { "for " (digest(&vote.digest)) " " (clock.age(vote.at_ms)) }
        }
    }
}

/// What a vote was cast on and what it is now, field by field.
fn since_vote(differences: &[Difference]) -> Markup {
    html! {
        @if !differences.is_empty() {
            (tight("Changed since the last vote", &["Changed since the last vote", "It was", "It is"], &html! {
                @for it in differences {
                    tr { th scope="row" { (it.field) } td data-head="It was" { del { (it.before) @if it.before.is_empty() { (none()) } } } td data-head="It is" { ins { (it.after) @if it.after.is_empty() { (none()) } } } }
                }
            }))
        }
    }
}

/// The form, or why there is none and what would change that.
fn ballot(chrome: &Chrome, change: &Change) -> Markup {
    if change.state != State::AwaitingAuthorisation {
        return html! {};
    }
    let authority = format!("a change authority of {} can", change.content.application);
    let voted = change.votes.iter().any(|vote| chrome.is(&vote.by));
    if change.on_hold {
        return not_offered("Votes are suspended while it is on hold", "take it off hold first");
    }
    if chrome.is(&change.author) {
        return not_offered("You wrote this change, and the author may not approve it", &authority);
    }
    if voted {
        return not_offered("You have voted, and a person counts once", &authority.replace(" can", " has to add theirs"));
    }
    if !may(chrome, Permission::Authorise, change) {
        return not_offered("Your roles do not let you authorise it", &authority);
    }
    html! {
        form.act.ballot method="post" action={ "/changes/" (change.id) "/vote" } id={ "ballot-" (change.id) } {
            (hidden(&chrome.csrf))
            (value("digest", change.content.digest().as_str()))
            (reason_for_a_no())
            div.buttons {
                button.button.main type="submit" name="choice" value="approve" data-key="a" { "Approve" }
                button.button.grave type="submit" name="choice" value="reject" data-key="r" { "Reject" }
                span.small.muted { "You vote on content " (digest(&change.content.digest())) "; if it changes, your vote falls." }
            }
        }
    }
}

fn may(chrome: &Chrome, permission: Permission, change: &Change) -> bool {
    let content = &change.content;
    content.environments.iter().all(|environment| chrome.may(permission, Some(&content.application), Some(environment)))
}

fn steering(chrome: &Chrome, change: &Change) -> Markup {
    if !may(chrome, Permission::WriteChange, change) {
        return html! {};
    }
    let path = |verb: &str| format!("/changes/{}/{verb}", change.id);
    let (submit, cancel) = (path("submit"), path("cancel"));
    let over = matches!(change.state, State::Review | State::Closed | State::Cancelled);
    html! {
        div.buttons {
            @if matches!(change.state, State::Draft | State::Rejected) {
                (Act { csrf: &chrome.csrf, action: &submit, label: "Submit", weight: Weight::Main }.button())
            }
            @if !over {
                (Act { csrf: &chrome.csrf, action: &cancel, label: "Cancel the change", weight: Weight::Grave }
                    .folded(&format!("cancel-{}", change.id), &reason(Need::Required)))
            }
        }
    }
}
