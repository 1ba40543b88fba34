//! Releases, changes, freezes, today, and refusals.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_api::Problem;
use tidegate_api::request::ListQuery;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Exception, ExceptionState, Running, Strictness};
use tidegate_domain::change::{Change, Choice, Class, Content, Level, Outcome, State as ChangeState, Vote};
use tidegate_domain::event::Noun;
use tidegate_domain::measure::dora::{self, Dora};
use tidegate_domain::release::{Milestone, Model, PhaseState, Release, State as ReleaseState};
use tidegate_domain::{Code, Refusal};
use tidegate_server::web::page::change::{ChangePage, ChangeShown, Planned};
use tidegate_server::web::page::freezes::{Beside, FreezesPage};
use tidegate_server::web::page::release::{ArtifactFacts, ComponentVersion, EnvironmentStop, ReleasePage};
use tidegate_server::web::page::today::{Agents, Ask, EnvironmentNow, Place, Runs, Today, Waiting};
use tidegate_server::web::page::{List, ReleaseLink};

use crate::deployments::{self, elsewhere, ended, view};
use crate::world::{self, DAY, HOUR, MINUTE, NOW, bake, digest, environment, error_rate, id, name, version};

fn content(title: &str, class: Class) -> Content {
    let plan = world::plan("1.2", &[1, 3, 8], &[bake(60), error_rate()]);
    let plans = (class != Class::Standard).then(|| (name("production"), tidegate_domain::canonical::digest(&plan)));
    Content {
        title: title.into(),
        class,
        description: "Split entries by account so that month end no longer locks the whole ledger.\nThe schema moves from 0006 to 0008 and stays readable for 1.1.".into(),
        application: name("ledger"),
        environments: vec![name("production")],
        versions: BTreeMap::from([(name("ledger"), version("1.2"))]),
        plans: plans.into_iter().collect(),
        risk: Level::Medium,
        impact: Level::High,
        back_out: "The fallback plan returns every target to 1.1; migration 0008 is additive, so 1.1 reads the new schema.".into(),
    }
}

fn written(of: &str, title: &str, class: Class, state: ChangeState) -> Change {
    let drafted = Change::draft(id(of), content(title, class), name("alice"), NOW - 26 * HOUR);
    let (mut change, _) = drafted.expect("a change");
    change.state = state;
    change.quorum = 2;
    change.release = Some(id("REL-01k8q2"));
    change
}

fn awaiting() -> Change {
    let mut change = written("CHG-01k8q4", "Ledger 1.2 in production", Class::Normal, ChangeState::AwaitingAuthorisation);
    let vote = |by: &str, choice, seen: &str, ago_ms, reason: &str| Vote {
        by: name(by),
        at_ms: NOW - ago_ms,
        choice,
        digest: digest(seen),
        reason: reason.into(),
    };
    change.votes = vec![Vote {
        digest: change.content.digest(),
        ..vote("carol", Choice::Approve, "", 2 * HOUR, "rehearsed on staging twice")
    }];
    change.fallen_votes = vec![vote("dave", Choice::Approve, "before", 20 * HOUR, "")];
    change
}

fn shown(change: Change) -> ChangeShown {
    let plan = world::plan("1.2", &[1, 3, 8], &[bake(60), error_rate()]);
    let digest = tidegate_domain::canonical::digest(&plan);
    ChangeShown {
        since_vote: Vec::new(),
        change,
        planned: vec![Planned { environment: name("production"), digest, plan, deployment: Some(id("DEP-01k8t5")) }],
        release: Some(ReleaseLink { id: id("REL-01k8q2"), application: name("ledger"), version: version("1.2") }),
    }
}

pub fn change() -> ChangePage {
    let sentences = [
        ("carol", "carol approved it"),
        ("alice", "edited it, so that 1 votes fell"),
        ("dave", "dave approved it"),
        ("", "it awaits authorisation"),
        ("alice", "submitted it"),
        ("alice", "drafted \"Ledger 1.2 in production\""),
    ];
    ChangePage {
        shown: shown(awaiting()),
        deployments: vec![view(deployments::refused())],
        history: world::history(Noun::Change, "CHG-01k8q4", &sentences),
    }
}

pub fn inbox() -> Vec<Change> {
    vec![awaiting()]
}

pub fn changes() -> List<Change> {
    let mut closed = written("CHG-01k8a0", "Ledger 1.1 in production", Class::Normal, ChangeState::Closed);
    closed.outcome = Some(Outcome::Successful);
    let mut fell = written("CHG-01k8r0", "Ledger 1.2-bad in production", Class::Emergency, ChangeState::Closed);
    fell.outcome = Some(Outcome::FellBack);
    let mut held = written("CHG-01k8x0", "New ledger hosts", Class::Normal, ChangeState::AwaitingAuthorisation);
    held.on_hold = true;
    let standard = written("CHG-01k8q3", "Ledger 1.2 in staging", Class::Standard, ChangeState::Implementing);
    let draft = written("CHG-01k8y0", "Rotate the ledger's keys", Class::Normal, ChangeState::Draft);
    world::list(vec![awaiting(), standard, held, draft, fell, closed])
}

fn of_model(of: &str, called: &str, title: &str, state: ReleaseState) -> Release {
    Release {
        id: id(of),
        application: name("ledger"),
        version: version(called),
        title: title.into(),
        model: Model::Major.as_str().into(),
        state,
        phases: Model::Major.phases(),
        milestones: vec![
            Milestone { title: "Feature freeze".into(), at_ms: NOW - 3 * DAY, text: "Nothing new after this day.".into() },
            Milestone { title: "Release candidate".into(), at_ms: NOW + 4 * DAY, text: String::new() },
        ],
        versions: BTreeMap::from([(name("ledger"), version(called)), (name("ledger-web"), version("2.4"))]),
        changes: vec![id("CHG-01k8q3"), id("CHG-01k8q4")],
        ready_by_ms: Some(NOW + 9 * DAY),
        zone: "Europe/Berlin".into(),
        objectives: vec!["month end closes in under 20 minutes".into(), "no more than 0.5 % of postings need a retry".into()],
        evaluation: String::new(),
        rejected: None,
        author: name("alice"),
        created_at_ms: NOW - 19 * DAY,
        closed_at_ms: None,
        recorded: None,
    }
}

fn in_test() -> Release {
    let mut release = of_model("REL-01k8q2", "1.2", "Month end without locks", ReleaseState::Deploying);
    for (index, phase) in release.phases.iter_mut().enumerate().take(3) {
        phase.state = if index < 2 { PhaseState::Complete } else { PhaseState::Active };
        phase.started_at_ms = Some(NOW - (18 - 6 * index as i64) * DAY);
        phase.ended_at_ms = (index < 2).then(|| NOW - (12 - 6 * index as i64) * DAY);
        let met = if index < 2 { phase.exit_criteria.len() } else { 1 };
        phase.exit_criteria.iter_mut().take(met).for_each(|it| it.met = Some((name("carol"), NOW - 5 * DAY)));
    }
    release
}

pub fn releases() -> List<Release> {
    let mut late = of_model("REL-01k8m0", "0.9", "Audit export", ReleaseState::Planned);
    late.ready_by_ms = Some(NOW - 2 * DAY);
    let mut rejected = of_model("REL-01k8r9", "1.2-bad", "Month end without locks, first try", ReleaseState::Deploying);
    rejected.rejected = Some(tidegate_domain::release::Rejected {
        by: "bob".into(),
        reason: "every third posting fails".into(),
        at_ms: NOW - HOUR,
    });
    let live = of_model("REL-01k8a0", "1.1", "Faster search", ReleaseState::EarlyLifeSupport);
    let closed = of_model("REL-01k7z0", "1.0", "First", ReleaseState::Closed);
    world::list(vec![in_test(), late, rejected, live, closed])
}

pub fn release() -> ReleasePage {
    let stop = |called: &str, deployment| EnvironmentStop { environment: environment(called), deployment };
    let artifact = ArtifactFacts { digest: digest("1.2"), size_bytes: 4_194_304, signed: true };
    let sentences = [
        ("", "it is being deployed"),
        ("carol", "carol said that \"the release is verified in a pre-production environment\" holds"),
        ("alice", "completed phase build"),
        ("alice", "completed phase plan"),
        ("alice", "began its first phase"),
        ("alice", "planned it"),
        ("alice", "drafted version 1.2 after model major"),
    ];
    ReleasePage {
        release: in_test(),
        package: vec![
            ComponentVersion { component: name("ledger"), version: version("1.2"), artifact: Some(artifact) },
            ComponentVersion { component: name("ledger-web"), version: version("2.4"), artifact: None },
        ],
        changes: changes().rows.into_iter().take(2).collect(),
        awaiting: Some(shown(awaiting())),
        way: vec![
            stop("development", Some(elsewhere(ended("DEP-01k8d", "1.2", 8 * DAY), "development"))),
            stop("staging", Some(elsewhere(ended("DEP-01k8e", "1.2", 2 * DAY), "staging"))),
            stop("production", Some(view(deployments::canary()))),
        ],
        history: world::history(Noun::Release, "REL-01k8q2", &sentences),
    }
}

fn freeze(of: &str, called: &str, from_ms: i64, until_ms: i64) -> Freeze {
    Freeze {
        id: id(of),
        name: called.into(),
        reason: "The busiest week of the year; nobody wants a surprise.".into(),
        environments: vec![name("production")],
        applications: Vec::new(),
        components: Vec::new(),
        from_ms,
        until_ms,
        zone: "Europe/Berlin".into(),
        strictness: Strictness::Hard,
        running: Running::FinishWave,
        lifted: None,
        exceptions: Vec::new(),
    }
}

pub fn freezes() -> FreezesPage {
    let mut now = freeze("FRZ-01k8", "Black Friday", NOW - DAY, NOW + 9 * DAY);
    let exception = |of: &str, by: &str, state| Exception {
        id: id(of),
        deployment: id("DEP-01k8t5"),
        reason: "fixes double charges; waiting costs more than going".into(),
        requested_by: name(by),
        requested_at_ms: NOW - 35 * MINUTE,
        state,
    };
    now.exceptions = vec![
        exception("EXC-01k9", "alice", ExceptionState::Requested),
        exception("EXC-01k8", "erin", ExceptionState::Approved { by: name("carol"), until_ms: NOW + 5 * HOUR }),
        exception("EXC-01k7", "dave", ExceptionState::Rejected { by: name("carol"), reason: "it can wait until Monday".into() }),
    ];
    let next = freeze("FRZ-01k9", "Year end", NOW + 29 * DAY, NOW + 44 * DAY);
    let over = freeze("FRZ-01k5", "Summer party", NOW - 90 * DAY, NOW - 89 * DAY);
    let freezes = List { rows: vec![now, next, over], next: None, query: ListQuery::default() };
    let waiting = vec![view(deployments::refused()), view(deployments::canary())];
    FreezesPage { freezes, deployments: Beside { waiting, ..Beside::default() } }
}

pub fn freezes_empty() -> FreezesPage {
    FreezesPage { freezes: List { rows: Vec::new(), next: None, query: ListQuery::default() }, deployments: Beside::default() }
}

fn place(application: &str, runs: Option<(&str, i64)>) -> Place {
    let runs = runs.map(|(version, ago)| Runs { version: version.into(), since_ms: NOW - ago, deployment: id("DEP-01k8a1") });
    Place { application: name(application), runs, now: None, next: None, recorded: 0 }
}

pub fn today() -> Today {
    let mut ledger = place("ledger", Some(("1.1", 6 * DAY)));
    (ledger.now, ledger.next) = (Some(view(deployments::canary())), Some(view(deployments::refused())));
    let web = place("ledger-web", Some(("2.3", 31 * DAY)));
    let here = |called: &str, places| EnvironmentNow { environment: environment(called), places };
    let waits = |what: &str, sentence: &str, whom: &str, since, until_ms| Waiting {
        what: what.into(),
        href: "/deployments/DEP-01k8t5".into(),
        sentence: sentence.into(),
        whom: whom.into(),
        since_ms: Some(NOW - since),
        until_ms,
    };
    let ask = |verb: &str, what: &str, ago| Ask {
        verb: verb.into(),
        what: what.into(),
        href: "/changes/CHG-01k8q4".into(),
        since_ms: NOW - ago,
    };
    Today {
        defined: true,
        environments: vec![
            here("development", vec![place("ledger", Some(("1.2", 8 * DAY))), place("ledger-web", Some(("2.4", 2 * DAY)))]),
            here("staging", vec![place("ledger", Some(("1.2", 2 * DAY)))]),
            here("production", vec![ledger, web]),
        ],
        waiting: vec![
            waits("CHG-01k8q4 Ledger 1.2 in production", "1 of 2 approvals", "a change authority", 26 * HOUR, None),
            waits(
                "ledger 1.2 → production (DEP-01k8s3)",
                "asks about prod-03: did step migrate run?",
                "an operator",
                4 * MINUTE,
                None,
            ),
            waits("ledger 1.2 → production (DEP-01k8q7)", "baking, 82 more requests needed", "time", MINUTE, Some(NOW + 72_000)),
        ],
        asks: vec![
            ask("Approve", "Change CHG-01k8q4: Ledger 1.2 in production, 1 of 2 approvals", 26 * HOUR),
            ask("Answer", "DEP-01k8s3 asks about prod-03: did step migrate run?", 4 * MINUTE),
            ask("Decide", "alice asks to let DEP-01k8t5 into freeze Black Friday", 35 * MINUTE),
        ],
        freezes: freezes().freezes.rows.into_iter().take(2).collect(),
        support: releases().rows.into_iter().filter(|release| release.state == ReleaseState::EarlyLifeSupport).collect(),
        agents: Agents {
            targets: 18,
            in_touch: 15,
            silent: vec![(name("prod-09"), Some(NOW - 7 * MINUTE))],
            silent_count: 1,
            without: vec![name("prod-13"), name("prod-14")],
            without_count: 2,
            versions: BTreeMap::from([("0.1.0".into(), 16)]),
            unsteady: vec![(name("prod-02"), super::estate::unsteady())],
            unsteady_count: 1,
        },
        dora: Dora {
            change_lead_time_seconds: Some(93_600.0),
            deployment_frequency_per_day: Some(1.4),
            failed_deployment_recovery_time_seconds: Some(22.0),
            change_fail_rate: Some(0.083),
            deployment_rework_rate: None,
            deployments: 42,
            ..dora::figures(&[], 0)
        },
        dora_days: 30,
    }
}

pub fn today_empty() -> Today {
    let dora = serde_json::from_value(json!({"deployments": 0, "left_out_approximate": 0, "left_out_negative": 0, "weeks": []}))
        .expect("no figures");
    Today {
        environments: Vec::new(),
        defined: false,
        waiting: Vec::new(),
        asks: Vec::new(),
        freezes: Vec::new(),
        support: Vec::new(),
        agents: Agents::default(),
        dora,
        dora_days: 30,
    }
}

pub fn problem() -> Problem {
    let refusal =
        Refusal::new(Code::OutOfRange, "the freeze ends before it begins", "give an end after the beginning").at("until");
    Problem { request: Some("01k8q7xk2m".into()), ..Problem::of(&refusal) }
}

pub fn not_admitted() -> Problem {
    let mut reasons = deployments::reasons();
    reasons.truncate(2);
    Problem::not_admitted(reasons)
}
