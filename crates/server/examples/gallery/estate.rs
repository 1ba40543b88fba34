//! Targets, environments, artifacts, the audit, people and the calendar.

use std::collections::BTreeMap;

use jiff::civil::date;
use tidegate_api::view::{AuditVerified, BrokenEntry, TargetView, TokenView, Unsteady};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::deployment::artifact::{Artifact, Format, Signature};
use tidegate_domain::deployment::rollout::State;
use tidegate_domain::estate::{AgentState, Attested, Drift, Target, TargetState};
use tidegate_domain::event::{Noun, Stream};
use tidegate_server::web::page::List;
use tidegate_server::web::page::audit::{AuditAsked, AuditPage};
use tidegate_server::web::page::calendar::{Asked, Calendar, Day, Panel, Span};
use tidegate_server::web::page::environments::{Cell, Column, Known, Matrix, Pending, Row};
use tidegate_server::web::page::people::PeoplePage;
use tidegate_server::web::page::settings::{Database, From, Group, ReleaseKey, Setting, SettingsPage};
use tidegate_server::web::page::targets::{TargetPage, TargetShown};

use crate::world::{self, DAY, HOUR, MINUTE, NOW, SECOND, digest, environment, id, name, version};
use crate::{deployments, governance};

fn attested(text: &str, complete: bool) -> Attested {
    Attested { version: version(text), digest: digest(text), complete }
}

fn shown(of: &str, agent: AgentState, has: Option<Attested>) -> TargetShown {
    let drift = has.iter().filter(|it| !it.complete || it.version != version("1.1"));
    let drift = drift.map(|it| Drift { component: name("ledger"), found: it.clone(), verified: version("1.1") }).collect();
    let state = TargetState {
        agent_key: (agent != AgentState::Missing).then(|| "MCowBQYDK2VwAyEAq3jv6Lr7Ew0mHJ8p".into()),
        enrolled_at_ms: (agent != AgentState::Missing).then_some(NOW - 30 * DAY),
        attested: has.into_iter().map(|it| (name("ledger"), it)).collect(),
        attested_at_ms: Some(NOW - 2 * HOUR),
    };
    let target = Target {
        name: name(of),
        environment: name("production"),
        labels: BTreeMap::from([("tier".into(), "web".into()), ("zone".into(), "b".into())]),
        variables: BTreeMap::from([("port".into(), "8080".into())]),
    };
    let contact_at_ms = match agent {
        AgentState::Missing => None,
        AgentState::InTouch => Some(NOW - 3 * SECOND),
        AgentState::Silent => Some(NOW - 9 * MINUTE),
    };
    let agent_version = contact_at_ms.map(|_| "0.1.0".into());
    let unsteady = if of == "prod-02" { vec![unsteady()] } else { Vec::new() };
    TargetShown { view: TargetView { target, state, contact_at_ms, agent_version, unsteady }, agent, drift }
}

pub fn unsteady() -> Unsteady {
    Unsteady {
        component: name("ledger"),
        ends: 14,
        ended_at_ms: NOW - 20 * SECOND,
        is_down: true,
        last_words: "port 8080 is taken".into(),
    }
}

pub fn targets() -> List<TargetShown> {
    world::list(vec![
        shown("prod-01", AgentState::InTouch, Some(attested("1.1", true))),
        shown("prod-02", AgentState::InTouch, Some(attested("1.0", true))),
        shown("prod-03", AgentState::Silent, Some(attested("1.1", false))),
        shown("prod-04", AgentState::Missing, None),
    ])
}

pub fn target() -> TargetPage {
    let history = world::history(Noun::Target, "prod-02", &[("prod-02", "it says that ledger 1.0 is installed")]);
    TargetPage {
        shown: shown("prod-02", AgentState::InTouch, Some(attested("1.0", true))),
        generations: BTreeMap::from([(name("ledger"), (7, Some(id("DEP-01k8t5"))))]),
        history,
    }
}

fn cell(text: &str, ago_ms: i64) -> Cell {
    let digest = Some(digest(text));
    let standing = Known { deployment: id("DEP-01k8t5"), version: version(text), digest, at_ms: NOW - ago_ms };
    Cell { standing: Some(standing), pending: None, drifted: Some(0) }
}

pub fn matrix() -> Matrix {
    let columns = ["development", "staging", "production"].map(|it| Column { environment: environment(it), may_plan: true });
    let blank = || Cell { standing: None, pending: None, drifted: None };
    let row = |component: &str, cells: Vec<Cell>| Row { application: name("ledger"), component: name(component), cells };
    let pending = Pending { deployment: id("DEP-01k8t5"), version: version("1.2"), state: State::Baking };
    Matrix {
        columns: columns.into(),
        rows: vec![
            row(
                "ledger",
                vec![
                    cell("1.2", 2 * HOUR),
                    cell("1.2", HOUR),
                    Cell { pending: Some(pending), drifted: Some(2), ..cell("1.1", 9 * DAY) },
                ],
            ),
            row("reports", vec![cell("3.0", 3 * DAY), cell("2.9", 20 * DAY), cell("2.9", 18 * DAY)]),
            row("sweeper", vec![cell("0.4", 40 * DAY), blank(), blank()]),
        ],
        applications: vec![name("ledger"), name("shop")],
        application: None,
        compared: None,
        next: None,
        strategies: vec![name("careful")],
    }
}

pub fn compared() -> Matrix {
    Matrix { compared: Some((name("staging"), name("production"))), ..matrix() }
}

pub fn artifacts() -> List<Artifact> {
    let of = |text: &str, signed: bool| Artifact {
        digest: digest(text),
        component: name("ledger"),
        version: version(text),
        format: Format::TarGz,
        size_bytes: 1_468_006,
        signature: signed.then(|| Signature { key: "ZmFrZSByZWxlYXNlIGtleQ==".into(), value: "c2ln".into() }),
        uploaded_at_ms: NOW - 2 * DAY,
        uploaded_by: "alice".into(),
    };
    world::list(vec![of("1.2", true), of("1.2-bad", true), of("1.1", true), of("0.9", false)])
}

pub fn audit() -> AuditPage {
    let told = [
        (Noun::Deployment, "DEP-01k8t5", "", "wave 1 is up: 1 healthy"),
        (Noun::Deployment, "DEP-01k8t5", "prod-01", "prod-01 is healthy"),
        (Noun::Change, "CHG-01k8q4", "bob", "authorised by bob for content 5d41402abc4b"),
        (Noun::Freeze, "FRZ-01k8aa", "alice", "declared freeze \"year end\""),
    ];
    let mut events: Vec<_> = told.iter().flat_map(|(noun, of, who, what)| world::history(*noun, of, &[(who, what)])).collect();
    events.iter_mut().zip((0..=912).rev()).for_each(|(event, position)| event.position = position);
    let verified = Some(AuditVerified { events: 912, streams: 74, broken: None });
    AuditPage { asked: AuditAsked::default(), events, before: Some(909), verified }
}

pub fn audit_broken() -> AuditPage {
    let stream = Stream::new(Noun::Change, "CHG-01k8q4");
    let broken =
        BrokenEntry { stream: stream.to_string(), version: 3, position: 910, what: "its hash is not that of its text".into() };
    AuditPage { verified: Some(AuditVerified { events: 912, streams: 74, broken: Some(broken) }), ..audit() }
}

pub fn people() -> PeoplePage {
    let person = |of: &str| world::chrome(of).person.expect("somebody is signed in");
    let token = |of: &str, label: &str, ended: Option<i64>| TokenView {
        id: id(of),
        opens: "the API as alice".into(),
        label: label.into(),
        created_at_ms: NOW - 3 * DAY,
        expires_at_ms: NOW + 27 * DAY,
        ended_at_ms: ended,
    };
    PeoplePage {
        me: person("bob"),
        people: Some(world::list(vec![person("alice"), person("bob"), person("vera")])),
        tokens: world::list(vec![token("TOK-01k8a1", "laptop", None), token("TOK-01k8a2", "ci", Some(NOW - DAY))]),
    }
}

pub fn settings() -> SettingsPage {
    let row = |name: &str, value: &str, from| Setting { name: name.into(), value: value.into(), from };
    let server = vec![
        row("Version", "0.1.0", From::Program),
        row("Listens on", "127.0.0.1:7400", From::Flag("--listen")),
        row("Public address", "https://tidegate.example.net", From::Flag("--public-url")),
        row("Database", "SQLite 3.51.3 at /var/lib/tidegate/tidegate.db", From::Flag("--database")),
        row("Zone of pages", "Europe/Berlin", From::Host("TZ")),
    ];
    let requests = vec![
        row("Requests with one token or session", "100 a second, 1000 at once", From::Flag("--token-requests-per-second")),
        row("Agents that listen at once", "40000; now 9998", From::Program),
        row("API tokens", "as long as each was made for, at most 400 days", From::Page("/people", "People")),
    ];
    SettingsPage {
        groups: vec![Group { title: "This server".into(), rows: server }, Group { title: "Requests".into(), rows: requests }],
        server_key: "q1f3bF7yDzvCkHSgqNc1Yf8bXjY2S3hQw0tYkq7zN1M=".into(),
        keys: vec![ReleaseKey {
            key: "Zk9l4c1vYf8bXjY2S3hQw0tYkq7zN1Mq1f3bF7yDzvA=".into(),
            artifacts: 12,
            last_at_ms: NOW - DAY,
        }],
        database: Database::Embedded,
        data: "/var/lib/tidegate".into(),
        public_url: "https://tidegate.example.net".into(),
        database_bytes: 48 << 20,
        started_at_ms: NOW - 3 * DAY,
    }
}

pub fn settings_on_postgresql() -> SettingsPage {
    SettingsPage { keys: Vec::new(), database: Database::PostgreSql, data: "/srv/tide gate".into(), ..settings() }
}

fn freezes() -> Vec<Freeze> {
    governance::freezes().freezes.rows
}

pub fn calendar() -> Calendar {
    let day = |deployments: &[(&str, u64)], changes| Day {
        deployments: deployments.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect(),
        changes,
        ..Day::default()
    };
    let mut days = BTreeMap::from([
        (date(2026, 11, 3), day(&[("succeeded", 4)], 2)),
        (date(2026, 11, 10), day(&[("succeeded", 11), ("fell_back", 1)], 7)),
        (date(2026, 11, 21), day(&[("running", 1), ("succeeded", 2)], 3)),
        (date(2026, 11, 24), day(&[("scheduled", 2)], 0)),
        (date(2026, 12, 2), day(&[("scheduled", 1)], 0)),
    ]);
    days.entry(date(2026, 11, 24)).or_default().releases.push(governance::release().release);
    for number in 26..=30 {
        days.entry(date(2026, 11, number)).or_default().freezes.push(0);
    }
    let panel = Panel {
        day: date(2026, 11, 21),
        deployments: deployments::list().rows.into_iter().take(2).collect(),
        changes: governance::inbox(),
        more: false,
    };
    let asked =
        Asked { span: Span::Month, at: date(2026, 11, 21), open: Some(date(2026, 11, 21)), application: None, environment: None };
    Calendar { asked, today: date(2026, 11, 21), days, freezes: freezes(), panel: Some(panel), zone: "UTC".into() }
}

pub fn quarter() -> Calendar {
    let month = calendar();
    Calendar { asked: Asked { span: Span::Quarter, open: None, ..month.asked }, panel: None, ..month }
}
