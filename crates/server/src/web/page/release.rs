//! A release: phases with their gates, scope, its way through the environments, and the change that waits for approval.

use maud::{Markup, html};
use tidegate_api::view::{DeploymentView, EventView};
use tidegate_domain::access::Permission;
use tidegate_domain::change::Change;
use tidegate_domain::estate::Environment;
use tidegate_domain::release::{Milestone, Phase, PhaseState, Release, State};
use tidegate_domain::{Digest, Name, Version};

use super::change::{ChangeShown, Heading, panel};
use super::changes;
use super::history::history;
use super::plan::digest;
use super::{recorded, sentence};
use crate::web::bar::{bar, counted, words};
use crate::web::form::{Act, Need, Weight, reason, value};
use crate::web::layout::{Chrome, Section, fact, live, page, section};
use crate::web::refusal::{not_offered, warning};
use crate::web::state::{self, glyph};
use crate::web::table::{empty, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ReleasePage {
    /// The release.
    pub release: Release,
    /// Its component versions with what is known of their bytes.
    pub package: Vec<ComponentVersion>,
    /// Its changes.
    pub changes: Vec<Change>,
    /// The change that waits for approval, in full, if one does.
    pub awaiting: Option<ChangeShown>,
    /// Every environment in its order, with the newest deployment of this release there.
    pub way: Vec<EnvironmentStop>,
    /// Its history, newest first.
    pub history: Vec<EventView>,
}

/// A component with the version it is to have.
#[derive(Debug, Clone)]
pub struct ComponentVersion {
    /// The component.
    pub component: Name,
    /// The version.
    pub version: Version,
    /// Its bytes; none while the media library has none.
    pub artifact: Option<ArtifactFacts>,
}

/// What is known of an artifact.
#[derive(Debug, Clone)]
pub struct ArtifactFacts {
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Whether a release key signed it.
    pub signed: bool,
}

/// A stop on the release's way.
#[derive(Debug, Clone)]
pub struct EnvironmentStop {
    /// Where.
    pub environment: Environment,
    /// The newest deployment of the release there.
    pub deployment: Option<DeploymentView>,
}

/// Draws the page.
pub fn release(chrome: &Chrome, view: &ReleasePage) -> Markup {
    let clock = chrome.clock();
    let release = &view.release;
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/releases" { "Releases" } span { (release.id) } }
        (live("head", &head(chrome, release, &clock)))
        (live("phases", &phases(chrome, release, &clock)))
        @if !release.milestones.is_empty() { (live("milestones", &section("Milestones", &milestones(release, &clock)))) }
        (live("way", &section("Its way", &way(view, &clock))))
        @if let Some(shown) = &view.awaiting {
            (live("approval", &section("Waits for approval", &panel(chrome, shown, Heading::Part))))
        }
        (live("scope", &scope(view, &clock)))
        (section("Objectives", &objectives(release)))
        (live("history", &section("History", &history(&view.history, &clock))))
    };
    page(chrome, Section::Releases, &format!("{} {}", release.application, release.version), &main)
}

/// Its state, and that it is rejected if it is.
pub fn look(release: &Release) -> Markup {
    html! { (state::release(release.state).badge()) @if release.rejected.is_some() { " " (state::REJECTED.badge()) } }
}

/// By when it must be ready, and how many days that is away.
pub fn due(release: &Release, clock: &Clock) -> Markup {
    let Some(at_ms) = release.ready_by_ms else { return html! { span.muted { "no date" } } };
    let meant = clock.in_zone(&release.zone);
    let open = matches!(release.state, State::Draft | State::Planned | State::InProgress | State::Deploying);
    html! {
        (meant.day(at_ms))
        @if open {
            " "
            @match meant.days_left(at_ms) {
                left @ ..0 => span.late { (glyph("alert")) (-left) @if left == -1 { " day late" } @else { " days late" } },
                0 => strong { "today" },
                1 => strong { "1 day left" },
                left => strong { (left) " days left" },
            }
        }
    }
}

fn head(chrome: &Chrome, release: &Release, clock: &Clock) -> Markup {
    html! {
        div.title {
            h1 { (release.application) " " (release.version) " " (look(release)) }
            div.buttons { (steering(chrome, release)) }
        }
        p.lead { (release.title) }
        (recorded::note(release.recorded.as_ref(), clock))
        @if let Some(rejected) = &release.rejected {
            div.refusal {
                p.what { (glyph("cross")) strong { "Rejected by " (rejected.by) ": " (rejected.reason) } }
                p { "No path deploys it any more, queued ones included; write another release. " span.muted { (clock.at(rejected.at_ms)) } }
            }
        }
        dl.facts {
            (fact("Ready by", &due(release, clock)))
            (fact("Model", &html! { (release.model) }))
            (fact("Written by", &html! { (release.author) " " span.muted { (clock.age(release.created_at_ms)) } }))
            @if let Some(at_ms) = release.closed_at_ms { (fact("Closed", &clock.at(at_ms))) }
        }
    }
}

fn steering(chrome: &Chrome, release: &Release) -> Markup {
    if !chrome.may(Permission::ManageRelease, Some(&release.application), None) {
        return html! { span.small.muted { "A release manager of " (release.application) " can steer it." } };
    }
    let path = |verb: &str| format!("/releases/{}/{verb}", release.id);
    let act = |action: &str, label: &str| Act { csrf: &chrome.csrf, action, label, weight: Weight::Main }.button();
    let grave = path("reject");
    html! {
        @match release.state {
            State::Draft => (act(&path("plan"), "Plan")),
            State::Planned => (act(&path("start"), "Start the first phase")),
            State::InProgress | State::Deploying | State::EarlyLifeSupport | State::Evaluated | State::Closed | State::Cancelled => {}
        }
        @if release.rejected.is_none() {
            (Act { csrf: &chrome.csrf, action: &grave, label: "Reject", weight: Weight::Grave }.folded("reject", &html! {
                p.small { "Then no path deploys it any more, queued deployments included. This cannot be taken back." }
                (reason(Need::Required))
            }))
        }
    }
}

fn phases(chrome: &Chrome, release: &Release, clock: &Clock) -> Markup {
    html! {
        section {
            h2 { "Phases" }
            ol.phases {
                @for (index, phase) in release.phases.iter().enumerate() {
                    li class={ "phase " (phase_class(phase.state)) } aria-current=[(phase.state == PhaseState::Active).then_some("step")] {
                        div.phase-name { (state::phase(phase.state).mark()) strong { (phase.name) } span.small.muted { (when(phase, clock)) } }
                        (criteria(chrome, release, index))
                    }
                    @if index + 1 < release.phases.len() { (gate(phase)) }
                }
            }
        }
    }
}

fn phase_class(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Pending => "idle",
        PhaseState::Active => "busy",
        PhaseState::Complete => "good",
    }
}

fn when(phase: &Phase, clock: &Clock) -> Markup {
    html! {
        @match (phase.started_at_ms, phase.ended_at_ms) {
            (Some(_), Some(to)) => { "ended " (clock.at(to)) },
            (Some(from), None) => (clock.since(from)),
            (None, _) => "not begun",
        }
    }
}

/// Milestones of the past that are all shown; more of them are folded.
const MILESTONES_PAST_OPEN: usize = 6;
/// Characters of a milestone's text that are shown; the rest is folded.
const TEXT_CHARS_SHOWN: usize = 160;

/// The dated points, those of the past told apart from those to come.
fn milestones(release: &Release, clock: &Clock) -> Markup {
    let (past, to_come): (Vec<_>, Vec<_>) = release.milestones.iter().partition(|it| it.at_ms < clock.now_ms);
    let meant = clock.in_zone(&release.zone);
    let list = |dated: &[&Milestone]| html! { ol.milestones { @for it in dated { (milestone(it, &meant)) } } };
    html! {
        @if past.len() > MILESTONES_PAST_OPEN {
            details.numbers { summary { (counted(past.len() as u64, "milestone")) " of the past" } (list(&past)) }
            @if to_come.is_empty() { p.muted { "None is to come." } } @else { (list(&to_come)) }
        } @else {
            (list(&past.into_iter().chain(to_come).collect::<Vec<_>>()))
        }
    }
}

fn milestone(it: &Milestone, meant: &Clock) -> Markup {
    let is_past = it.at_ms < meant.now_ms;
    html! {
        li.past[is_past] {
            span.when { (meant.day(it.at_ms)) }
            div {
                strong { (it.title) }
                @if !is_past { " " span.muted { (counted(meant.days_left(it.at_ms).unsigned_abs(), "day")) " left" } }
                @match it.text.char_indices().nth(TEXT_CHARS_SHOWN) {
                    None if it.text.is_empty() => {},
                    None => p.small.muted { (it.text) },
                    Some((at, _)) => details.small.muted { summary { (it.text[..at]) "…" } p { (it.text) } },
                }
            }
        }
    }
}

/// The diamond between two phases: how many of the exit criteria hold.
fn gate(phase: &Phase) -> Markup {
    let (met, all) = (phase.exit_criteria.iter().filter(|it| it.met.is_some()).count(), phase.exit_criteria.len());
    let words = match all {
        0 => "open: nothing is asked".to_owned(),
        _ => format!("{met} of {all} hold"),
    };
    html! {
        li class=(if met == all { "diamond open" } else { "diamond" }) title={ "gate after " (phase.name) ": " (words) } {
            svg viewBox="0 0 24 24" aria-hidden="true" { path d="M12 2l10 10-10 10L2 12z" {} }
            span.small { @if all == 0 { "–" } @else { (met) "/" (all) } span.hidden { " exit criteria hold" } }
        }
    }
}

fn criteria(chrome: &Chrome, release: &Release, index: usize) -> Markup {
    let phase = &release.phases[index];
    let open = matches!(release.state, State::Planned | State::InProgress | State::Deploying);
    let may = chrome.may(Permission::ManageRelease, Some(&release.application), None);
    let (meet, complete) = (format!("/releases/{}/meet", release.id), format!("/releases/{}/complete-phase", release.id));
    let missing = phase.exit_criteria.iter().filter(|it| it.met.is_none()).count();
    html! {
        ul.criteria {
            @for (number, criterion) in phase.exit_criteria.iter().enumerate() {
                li {
                    @match &criterion.met {
                        Some((by, _)) => { (glyph("check")) span { (criterion.text) span.muted { " · " (by) } } },
                        None => {
                            (glyph("ring")) span { (criterion.text) }
                            @if open && may {
                                (Act { csrf: &chrome.csrf, action: &meet, label: "It holds", weight: Weight::Plain }.with(&html! {
                                    (value("phase", &index.to_string())) (value("criterion", &number.to_string()))
                                }))
                            }
                        }
                    }
                }
            }
        }
        @if phase.state == PhaseState::Active && may {
            @if missing == 0 { (Act { csrf: &chrome.csrf, action: &complete, label: "Complete the phase", weight: Weight::Main }.button()) }
            @else { (not_offered("It cannot be completed yet", &open_criteria(missing))) }
        }
    }
}

fn open_criteria(count: usize) -> String {
    match count {
        1 => "somebody has to say that the open criterion holds".into(),
        _ => format!("somebody has to say that the {count} open criteria hold"),
    }
}

fn way(view: &ReleasePage, clock: &Clock) -> Markup {
    html! {
        ol.way {
            @for stop in &view.way {
                li {
                    div.stop-name { strong { (stop.environment.name) } @if stop.environment.controlled { span.tag { "controlled" } } }
                    @match &stop.deployment {
                        Some(it) => {
                            a href={ "/deployments/" (it.deployment.id) } { (state::deployment(it.deployment.state).badge()) }
                            (bar(&it.deployment.counts))
                            span.small.muted { (words(&it.deployment.counts)) }
                            span.small {
                                (sentence(&it.sentence)) " "
                                @if let Some(at_ms) = it.deployment.ended_at_ms { span.muted { (clock.at(at_ms)) } }
                                @else if let Some(at_ms) = it.deployment.waiting.as_ref().and_then(|held| held.until_ms) { (clock.countdown(at_ms)) }
                            }
                        }
                        None => {
                            span.state.idle { (glyph("ring")) "not there yet" }
                            @if view.release.recorded.is_none() { code.small.wrap { "tidegate deploy " (stop.environment.name) " --release " (view.release.id) } }
                        }
                    }
                }
            }
        }
    }
}

fn scope(view: &ReleasePage, clock: &Clock) -> Markup {
    let release = &view.release;
    let recorded = release.recorded.is_some();
    let versions = html! { @for it in &view.package { (component(it, recorded)) } };
    let first = release.versions.iter().next().map(|(name, version)| format!(" --version {name}={version}")).unwrap_or_default();
    let command = format!(
        "tidegate change write {} --title \"{} {}\" --environment production{first} --release {}",
        release.application, release.application, release.version, release.id
    );
    section(
        "Scope",
        &html! {
            h3 { "Component versions " span.count { (view.package.len()) } }
            @let versions = table("Component versions", &["Component", "Version", "Bytes", "Size", "Signature"], &versions);
            @if view.package.len() > COMPONENTS_SHOWN { details { summary { "All of them" } (versions) } } @else { (versions) }
            @if view.changes.is_empty() && release.recorded.is_some() {
                p.muted { "No change was recorded with it." }
            } @else if view.changes.is_empty() {
                (empty("It carries no change. Environments that are controlled need one:", &[&command]))
            } @else {
                h3 { "Changes " span.count { (view.changes.len()) } }
                (changes::rows(&newest(&view.changes), clock))
                @if view.changes.len() > CHANGES_SHOWN {
                    p { a href={ "/changes?release=" (release.id) } { "All " (view.changes.len()) " changes" } " · " a href={ "/deployments?release=" (release.id) } { "its deployments" } }
                }
            }
        },
    )
}

/// Component versions that stand open; a train has hundreds.
const COMPONENTS_SHOWN: usize = 40;
/// Changes that stand on the page; the others are in their list.
const CHANGES_SHOWN: usize = 25;

/// The newest changes, those that are not over first.
fn newest(changes: &[Change]) -> Vec<Change> {
    let mut shown: Vec<&Change> = changes.iter().collect();
    shown.sort_by_key(|change| (change.closed_at_ms.is_some(), std::cmp::Reverse(change.created_at_ms)));
    shown.into_iter().take(CHANGES_SHOWN).cloned().collect()
}

fn component(it: &ComponentVersion, recorded: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (it.component) }
            td data-head="Version" { strong { (it.version) } }
            @match &it.artifact {
                Some(artifact) => {
                    td data-head="Bytes" { (digest(&artifact.digest)) }
                    td.number data-head="Size" { (size(artifact.size_bytes)) }
                    td data-head="Signature" {
                        @if artifact.signed { (glyph("check")) " signed" } @else { span.muted { (glyph("minus")) " not signed" } }
                    }
                }
                None if recorded => td.muted colspan="3" { "carried out elsewhere" },
                None => td colspan="3" {
                    (warning(&html! {
                        "not in the media library: "
                        code { "tidegate artifact upload --component " (it.component) " --version " (it.version) " FILE" }
                    }))
                },
            }
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn objectives(release: &Release) -> Markup {
    html! {
        @if release.objectives.is_empty() { p.muted { "None was stated; without one, its evaluation can only say that it is live." } } @else {
            ul.plain { @for objective in &release.objectives { li { (objective) } } }
        }
        @if !release.evaluation.is_empty() { h3 { "Evaluation" } p.prose { (release.evaluation) } }
    }
}
