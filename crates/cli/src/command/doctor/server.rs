//! What can be seen from outside: the server, the clock, the token, the history and the agents.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header;
use serde_json::Value;
use tidegate_api::Problem;
use tidegate_api::request::ListQuery;
use tidegate_api::view::{AuditVerified, Page, TargetView, Versioned, WhoAmI};
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::estate::AgentState;

use super::finding::{Code, Findings};
use crate::arguments::Global;
use crate::client::Client;
use crate::clock;
use crate::ending::Ending;
use crate::text::estate;
use crate::text::plan::count;

/// Seconds until a server that says nothing counts as not reached.
const ANSWER_SECONDS: u64 = 10;
/// Seconds that two clocks may be apart: times on pages and in logs still tell what came first for people.
const CLOCK_SECONDS_MAX: i64 = 5;
/// Rows of a page of a list, and pages that are read: as many targets as one plan takes.
const ROWS: u32 = 200;
const PAGES_MAX: usize = 100;
/// Names that are listed of those who have the same fault.
const NAMES_MAX: usize = 5;
/// This program's version, which server and agents should have as well.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Looks at the server that the command line names.
pub async fn look(findings: &mut Findings, global: &Global, token_is_needed: bool) -> Result<(), Ending> {
    // Everything but a bad token file is a finding; an address that is none was refused before anything was asked.
    let client = match Client::new(global) {
        Ok(client) => Some(client),
        Err(Ending::Input(refusal)) if refusal.place.as_deref() != Some("--server") => {
            findings.problem(Code::Token, "this user", (&refusal.what, &refusal.remedy));
            None
        }
        Err(Ending::Fault(error)) => {
            findings.problem(Code::Token, "this user", (format!("{error:#}"), "set HOME to this user's own"));
            None
        }
        Err(ending) => return Err(ending),
    };
    let server = global.server.trim_end_matches('/');
    transport(findings, server);
    if !reached(findings, server).await? {
        return Ok(());
    }
    match client {
        Some(client) if client.has_token() => signed_in(findings, server, &client).await,
        Some(_) if token_is_needed => {
            let remedy = "tidegate token create --person admin --label laptop --data DIR | tidegate login";
            findings.problem(Code::Token, server, ("there is no token", remedy));
            Ok(())
        }
        Some(_) => {
            findings.skipped(Code::Token, server, ("there is no token", "with one, history and agents are looked at as well"));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Tokens and sign-in links go over the wire: in clear only where nobody else hears them.
fn transport(findings: &mut Findings, server: &str) {
    let url = reqwest::Url::parse(server).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.as_ref().map(reqwest::Url::scheme) {
        Some("https") => findings.good(Code::Transport, server, "it is asked over TLS"),
        _ if is_loopback => findings.good(Code::Transport, server, "it is asked on this host, without TLS"),
        _ => {
            let what = "it is asked over a network without TLS: whoever listens reads tokens";
            findings.warning(Code::Transport, server, (what, "put a proxy with TLS in front, and name its https:// address"));
        }
    }
}

/// Asks the doors that need no token; answers whether anybody was there.
async fn reached(findings: &mut Findings, server: &str) -> Result<bool, Ending> {
    let builder = || {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(ANSWER_SECONDS));
        http.redirect(reqwest::redirect::Policy::none())
    };
    let http = tidegate_server::http::client(builder).map_err(anyhow::Error::new)?;
    let asked = clock::now();
    let answer = match http.get(format!("{server}/healthz")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let remedy = "start it with tidegate server, or name another with --server or TIDEGATE_SERVER";
            findings.problem(Code::ServerReached, server, (format!("it cannot be reached: {}", innermost(&error)), remedy));
            return Ok(false);
        }
    };
    let date = answer.headers().get(header::DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answered = clock::now();
    let status = answer.status();
    if !status.is_success() || answer.text().await.unwrap_or_default().trim() != "healthy" {
        let what = format!("somebody else answers there, with {status}");
        findings.problem(
            Code::ServerReached,
            server,
            (what, "name the address of a Tidegate server, or look at the proxy before it"),
        );
        return Ok(false);
    }
    findings.good(Code::ServerReached, server, "it answers");
    apart(findings, server, date.as_deref(), (asked, answered));
    ready(findings, server, &http).await;
    version(findings, server, &http).await;
    Ok(true)
}

fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Compares clocks by the answer's date, which has whole seconds, allowing for the time that the question took.
fn apart(findings: &mut Findings, server: &str, date: Option<&str>, (asked, answered): (Timestamp, Timestamp)) {
    let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|zoned| zoned.timestamp()) else {
        return findings.skipped(Code::Clock, server, ("its answer has no date", "let the proxy hand the header Date through"));
    };
    let behind = asked.as_second() - date.as_second();
    let ahead = date.as_second() - answered.as_second();
    match behind.max(ahead) {
        ..=CLOCK_SECONDS_MAX => findings.good(Code::Clock, server, "its clock and this host's agree"),
        seconds => {
            let which = if behind > ahead { "behind" } else { "ahead of" };
            let what = format!("its clock is {seconds} s {which} this host's");
            findings.warning(
                Code::Clock,
                server,
                (what, "let both follow a time server: no order depends on it, but what people read does"),
            );
        }
    }
}

async fn ready(findings: &mut Findings, server: &str, http: &reqwest::Client) {
    match http.get(format!("{server}/readyz")).send().await {
        Ok(answer) if answer.status().is_success() => findings.good(Code::ServerReady, server, "its database answers"),
        Ok(answer) => {
            let what = format!("it is up and not ready ({})", answer.status());
            findings.problem(Code::ServerReady, server, (what, "look at its log, and on its host: tidegate doctor --data DIR"));
        }
        Err(error) => findings.problem(Code::ServerReady, server, (innermost(&error), "look at its log")),
    }
}

async fn version(findings: &mut Findings, server: &str, http: &reqwest::Client) {
    let document = async { http.get(format!("{server}/api/openapi.json")).send().await?.json::<Value>().await };
    let found = document.await.ok().and_then(|document| Some(document["info"]["version"].as_str()?.to_owned()));
    match found {
        Some(found) if found == OURS => findings.good(Code::Version, server, format!("it is {found}, as this program")),
        Some(found) => {
            let found = tidegate_domain::ids::clip(&found);
            let what = format!("it is {found} and this program {OURS}");
            findings.warning(Code::Version, server, (what, "bring both to the newer version, the server first"));
        }
        None => findings.skipped(Code::Version, server, ("it does not say its version", "look at the proxy before it")),
    }
}

/// What needs a token; one that is not good ends it.
async fn signed_in(findings: &mut Findings, server: &str, client: &Client) -> Result<(), Ending> {
    match client.get::<WhoAmI>("/whoami").await {
        Ok(answer) if answer.value.grants.is_empty() => {
            let what = format!("the token is {}'s, who is trusted with nothing", answer.value.name);
            findings.problem(Code::Token, server, (what, "let an administrator grant a role: docs/guide/definitions.md"));
        }
        Ok(answer) => {
            let grants: Vec<String> = answer.value.grants.iter().map(estate::grant).collect();
            findings.good(Code::Token, server, format!("the token is {}'s: {}", answer.value.name, grants.join(", ")));
        }
        Err(ending) => {
            let (what, _) = said(ending)?;
            let remedy =
                "make one on the server's host: tidegate token create --person NAME --label TEXT --data DIR | tidegate login";
            findings.problem(Code::Token, server, (what, remedy));
            return Ok(());
        }
    }
    history(findings, server, client).await?;
    agents(findings, server, client).await?;
    artifacts(findings, server, client).await
}

/// The server's no in two halves; what is no answer of a server stays what it is.
fn said(ending: Ending) -> Result<(String, String), Ending> {
    match ending {
        Ending::Refused(problem) => {
            let Problem { title, remedy, .. } = *problem;
            Ok((title, remedy))
        }
        Ending::Unreachable { cause, .. } => Ok((format!("it did not answer: {cause}"), "look at its log".to_owned())),
        Ending::Fault(error) => Ok((format!("{error:#}"), "bring server and this program to the same version".to_owned())),
        other => Err(other),
    }
}

async fn history(findings: &mut Findings, server: &str, client: &Client) -> Result<(), Ending> {
    match client.get::<AuditVerified>("/audit").await {
        Ok(answer) => match &answer.value.broken {
            None => {
                let events = count(answer.value.events as usize, "event");
                findings.good(Code::History, server, format!("{events} walked, every one holds"));
            }
            Some(broken) => {
                let what = format!("the history is broken at position {}: {}", broken.position, broken.what);
                findings.problem(
                    Code::History,
                    server,
                    (what, "keep the data as it is, and compare it with a backup from before"),
                );
            }
        },
        Err(ending) => findings.skipped(Code::History, server, said(ending)?),
    }
    Ok(())
}

/// Every target's agent: whether there is one, whether it was heard of, and which version it is.
async fn agents(findings: &mut Findings, server: &str, client: &Client) -> Result<(), Ending> {
    let targets = match targets(client).await {
        Ok(targets) => targets,
        Err(ending) => {
            findings.skipped(Code::Agents, server, said(ending)?);
            return Ok(());
        }
    };
    let now_ms = clock::now().as_millisecond();
    let state = |view: &TargetView| AgentState::of(&view.state, view.contact_at_ms, now_ms);
    let named = |wanted: &dyn Fn(&TargetView) -> bool| names(targets.iter().filter(|view| wanted(view)));
    if let Some((many, names)) = named(&|view| state(view) == AgentState::Missing) {
        let what = format!("{many} without an agent: {names}");
        findings.warning(Code::AgentMissing, server, (what, "tidegate target enrol NAME prints the command to run there"));
    }
    if let Some((many, names)) = named(&|view| state(view) == AgentState::Silent) {
        let what = format!("{many} whose agent is silent: {names}");
        let remedy = "look at the agent's log, and on its host: tidegate doctor --agent-root DIR";
        findings.problem(Code::AgentSilent, server, (what, remedy));
    }
    if let Some((many, names)) = named(&|view| state(view) == AgentState::InTouch && !view.unsteady.is_empty()) {
        let what = format!("{many} with a program that does not stay up: {names}");
        findings.problem(Code::ProgramUnsteady, server, (what, "tidegate target show NAME says which, and its last words"));
    }
    if let Some((many, names)) = named(&|view| view.agent_version.as_deref().is_some_and(|version| version != OURS)) {
        let what = format!("{many} whose agent is not {OURS}: {names}");
        findings.warning(Code::AgentVersion, server, (what, "bring the program there to the server's version"));
    }
    let in_touch = targets.iter().filter(|view| state(view) == AgentState::InTouch).count();
    findings.good(Code::Agents, server, format!("{in_touch} of {} in touch", count(targets.len(), "target")));
    Ok(())
}

async fn targets(client: &Client) -> Result<Vec<TargetView>, Ending> {
    let mut all = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let query = ListQuery { limit: Some(ROWS), sort: Some("name".to_owned()), after, ..ListQuery::default() };
        let page = client.list::<Page<TargetView>>("/targets", &query).await?.value;
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

/// How many, and the first of their names; nothing if there are none.
fn names<'a>(views: impl Iterator<Item = &'a TargetView>) -> Option<(String, String)> {
    let all: Vec<&str> = views.map(|view| view.target.name.as_str()).collect();
    let more = if all.len() > NAMES_MAX { format!(" and {} more", all.len() - NAMES_MAX) } else { String::new() };
    let first = all.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    (!all.is_empty()).then(|| (count(all.len(), "target"), format!("{first}{more}")))
}

/// Whether what was brought last is signed: agents that trust release keys install nothing else.
async fn artifacts(findings: &mut Findings, server: &str, client: &Client) -> Result<(), Ending> {
    let query = ListQuery { limit: Some(ROWS), sort: Some("newest".to_owned()), ..ListQuery::default() };
    match client.list::<Page<Versioned<Artifact>>>("/artifacts", &query).await {
        Ok(answer) => {
            let rows = &answer.value.rows;
            let unsigned: Vec<String> = rows.iter().map(|row| &row.value).filter(|it| it.signature.is_none()).map(name).collect();
            match unsigned.first() {
                None => {
                    findings.good(Code::Artifacts, server, format!("{} looked at, all signed", count(rows.len(), "artifact")));
                }
                Some(first) => {
                    let what = format!("{} without a signature, the newest {first}", count(unsigned.len(), "artifact"));
                    let remedy =
                        "sign with a release key (tidegate artifact keygen, upload --key), and start agents with --trust";
                    findings.warning(Code::Artifacts, server, (what, remedy));
                }
            }
        }
        Err(ending) => findings.skipped(Code::Artifacts, server, said(ending)?),
    }
    Ok(())
}

fn name(artifact: &Artifact) -> String {
    format!("{} {}", artifact.component, artifact.version)
}
