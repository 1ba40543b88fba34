//! A deployment, live: waves and gates, the numbers that decide, its targets, logs and controls.

mod chart;
mod controls;
mod gates;
mod head;
mod one_target;
mod target_list;
mod waves;

use std::sync::Arc;

use maud::{Markup, html};
use serde::Deserialize;
use tidegate_api::agent::LogChunk;
use tidegate_api::view::{DeploymentDetail, EventView};
use tidegate_domain::access::Permission;
use tidegate_domain::deployment::rollout::{TargetProgress, TargetState};
use tidegate_domain::{Id, Name};

use super::history::history;
use super::{ChangeLink, ReleaseLink};
use crate::web::layout::{Chrome, Section, live, page, section};

/// What the page shows.
#[derive(Debug, Clone)]
pub struct DeploymentPage {
    /// The deployment with its plan, targets, gates and reasons.
    pub detail: DeploymentDetail,
    /// The release it belongs to.
    pub release: Option<ReleaseLink>,
    /// The change that authorises it.
    pub change: Option<ChangeLink>,
    /// Its history, newest first; at most a few hundred entries.
    pub history: Vec<EventView>,
    /// What was asked for.
    pub asked: Asked,
    /// The end of the log of the asked target's current attempt, in order.
    pub log: Vec<LogChunk>,
}

impl DeploymentPage {
    /// Its targets, by wave and name.
    fn targets(&self) -> impl Iterator<Item = &TargetProgress> {
        self.detail.targets.iter().map(Arc::as_ref)
    }
}

/// The page's query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// Only targets in this state.
    #[serde(default)]
    pub state: Option<TargetState>,
    /// Only targets of this wave, from 0.
    #[serde(default)]
    pub wave: Option<u32>,
    /// How many targets of the list are on earlier pages.
    #[serde(default)]
    pub from: usize,
    /// The target whose steps and log are shown.
    #[serde(default)]
    pub target: Option<Name>,
}

/// Draws the page.
pub fn deployment(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let it = &view.detail.deployment;
    let clock = chrome.clock();
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/deployments" { "Deployments" }
            a href={ "/deployments?application=" (it.application) "&environment=" (it.environment) } { (it.application) " → " (it.environment) }
            span { (it.id) }
        }
        (live("head", &head::head(chrome, view, &clock)))
        (live("questions", &one_target::questions(chrome, view)))
        (live("why", &head::why(view, &clock)))
        (live("facts", &head::facts(view, &clock)))
        (live("waves", &waves::waves(chrome, view, &clock)))
        (live("numbers", &chart::numbers(view, &clock)))
        div class=(if view.asked.target.is_some() { "columns wide-left" } else { "one-column" }) {
            (live("targets", &target_list::list(view, &clock)))
            @if view.asked.target.is_some() { (live("one", &one_target::panel(chrome, view, &clock))) }
        }
        (live("history", &section("History", &history(&view.history, &clock))))
    };
    let title = format!("{} {} → {}", it.application, it.version_line(), it.environment);
    page(chrome, Section::Deployments, &title, &main)
}

/// Whether the person may steer it.
fn may_deploy(chrome: &Chrome, view: &DeploymentPage) -> bool {
    let it = &view.detail.deployment;
    chrome.may(Permission::Deploy, Some(&it.application), Some(&it.environment))
}

/// Whether the person may say yes at its gates.
fn may_authorise(chrome: &Chrome, view: &DeploymentPage) -> bool {
    let it = &view.detail.deployment;
    chrome.may(Permission::Authorise, Some(&it.application), Some(&it.environment))
}

fn home(id: &Id) -> String {
    format!("/deployments/{id}")
}

fn path(id: &Id, rest: &str) -> String {
    format!("/deployments/{id}/{rest}")
}
