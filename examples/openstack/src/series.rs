//! What the files of a series mean here.
//!
//! The series is a release train: its deliverables are components, its version entries deployments that were carried out by the
//! organisation's own gate, its release requests changes, its schedule phases and milestones, and the deadlines for libraries
//! freezes. Release candidates and betas go to an environment before the one in which the series is published, and the marks of what has
//! ended to one after it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow};
use jiff::ToSpan as _;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use tidegate_api::definition::Definition;
use tidegate_api::request::{DeclareFreeze, RecordDone};
use tidegate_domain::calendar::freeze::{Running, Strictness};
use tidegate_domain::change::{Class, Content, Level, Outcome};
use tidegate_domain::estate::{Application, Component, Environment, Tier};
use tidegate_domain::record::{ChangeRecord, DeploymentRecord, Ending, PhaseRecord, Precision, ReleaseRecord};
use tidegate_domain::release::Milestone;
use tidegate_domain::{Millis, Name, Version};

use crate::data::{Request, Series, Week};

/// The application that every series is one of.
pub const APPLICATION: &str = "openstack";
/// Where all of it was carried out.
pub const SOURCE: &str = "openstack/releases";
/// Records in one batch: a fraction of a second each, so that a progress bar moves.
const BATCH: usize = 200;
/// Characters of an event's meaning that a milestone carries.
const MEANING_CHARS: usize = 600;
/// The deadlines after which a kind of deliverable has no new versions before the release: tag without the letter of the series,
/// and type.
const DEADLINES: [(&str, &str); 2] = [("final-lib", "library"), ("final-clientlib", "client-library")];
/// The event that is the release.
const DEPARTURE: &str = "final|release";
/// The events that end a phase, and what the phase is called.
const PHASES: [(&str, &str); 6] = [
    ("1", "to milestone 1"),
    ("2", "to milestone 2"),
    ("3", "to feature freeze"),
    ("rc1", "to candidate 1"),
    ("finalrc", "to the last candidate"),
    (DEPARTURE, "to the release"),
];

/// A series as requests to the API, in the order in which they have to be sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// The application, its components, and the environments of the series.
    pub definitions: Vec<Definition>,
    /// The deadlines.
    pub freezes: Vec<DeclareFreeze>,
    /// The train, then changes, then deployments.
    pub batches: Vec<RecordDone>,
}

impl Load {
    /// How many records there are.
    pub fn records(&self) -> usize {
        self.batches.iter().map(weight).sum()
    }
}

/// How many records a batch has.
pub fn weight(batch: &RecordDone) -> usize {
    batch.releases.len() + batch.changes.len() + batch.deployments.len()
}

/// Where what is published stands, by the name of its series.
///
/// # Errors
///
/// If the series has no name of an environment.
pub fn published(series: &str) -> anyhow::Result<Name> {
    name(series)
}

/// Where its candidates stand.
///
/// # Errors
///
/// As [`published`].
pub fn candidates(series: &str) -> anyhow::Result<Name> {
    name(&format!("{series}-candidates"))
}

/// A version that is a beta or a candidate.
pub fn is_candidate(version: &str) -> bool {
    let tail = version.trim_end_matches(|letter: char| letter.is_ascii_digit());
    tail.len() < version.len() && (tail.ends_with("rc") || tail.ends_with('b'))
}

/// Where it stands what of it has ended or changed hands.
///
/// # Errors
///
/// As [`published`].
pub fn ended(series: &str) -> anyhow::Result<Name> {
    name(&format!("{series}-ended"))
}

/// A version that only says that a branch has ended or changed hands, such as `stein-eol` or `2024.1-eom`.
pub fn is_mark(version: &str) -> bool {
    version.rsplit_once('-').is_some_and(|(_, tail)| ["eol", "em", "eom", "last"].contains(&tail))
}

/// Makes the requests; `position` is where its environments stand among others.
///
/// # Errors
///
/// If something in the data has no form here, with its name.
pub fn load(series: &Series, position: u32) -> anyhow::Result<Load> {
    let weeks = &series.schedule.cycle;
    let (first, last) = (weeks.first().context("the schedule is empty")?, weeks.last().context("the schedule is empty")?);
    let departs = week_of(series, DEPARTURE).unwrap_or(last);
    let span =
        Span { starts: midnight(first.start), departs: midnight(departs.end.tomorrow()?), ends: midnight(last.end.tomorrow()?) };
    let mut deployments = deployments(series, &span)?;
    deployments.sort_by_key(|it| it.ended_at_ms);
    let train = train(series, &deployments, &span)?;
    let blank = || RecordDone { source: SOURCE.into(), releases: vec![], changes: vec![], deployments: vec![] };
    let mut batches = vec![RecordDone { releases: vec![train], ..blank() }];
    let changes = series.requests.iter().map(|it| change(series, it)).collect::<anyhow::Result<Vec<_>>>()?;
    batches.extend(changes.chunks(BATCH).map(|part| RecordDone { changes: part.to_vec(), ..blank() }));
    batches.extend(deployments.chunks(BATCH).map(|part| RecordDone { deployments: part.to_vec(), ..blank() }));
    Ok(Load { definitions: definitions(series, position)?, freezes: freezes(series, &span)?, batches })
}

/// From the midnight before the first week, over the one after the week of the release, to the one after the last week.
struct Span {
    starts: Millis,
    departs: Millis,
    ends: Millis,
}

fn name(text: &str) -> anyhow::Result<Name> {
    Name::parse(&text.to_lowercase().replace('_', "-")).map_err(|refusal| anyhow!("{}", refusal.what))
}

fn version(text: &str) -> anyhow::Result<Version> {
    Version::parse(text).map_err(|refusal| anyhow!("{}", refusal.what))
}

fn midnight(date: Date) -> Millis {
    date.to_datetime(time(0, 0, 0, 0)).to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond())
}

fn definitions(series: &Series, position: u32) -> anyhow::Result<Vec<Definition>> {
    let environment = |name: Name, tier, position| Environment {
        name,
        tier,
        controlled: tier == Tier::Production,
        standard_changes: None,
        zone: "UTC".into(),
        position,
        variables: BTreeMap::new(),
    };
    let application = Application { name: name(APPLICATION)?, title: "OpenStack".into(), team: "release management".into() };
    let mut all = vec![
        Definition::Application(application),
        Definition::Environment(environment(candidates(&series.name)?, Tier::Staging, position)),
        Definition::Environment(environment(published(&series.name)?, Tier::Production, position + 1)),
        Definition::Environment(environment(ended(&series.name)?, Tier::Test, position + 2)),
    ];
    for deliverable in series.deliverables.keys() {
        all.push(Definition::Component(component(deliverable)?));
    }
    // Deliverables that were moved to another series or left have no file, and requests that name them all the same.
    let known: BTreeSet<&String> = series.deliverables.keys().collect();
    let named = series.requests.iter().flat_map(|it| it.versions_added.iter().chain(&it.versions_removed));
    let gone: BTreeSet<&String> =
        named.filter(|it| it.series == series.name).map(|it| &it.deliverable).filter(|it| !known.contains(it)).collect();
    for deliverable in gone {
        all.push(Definition::Component(component(deliverable)?));
    }
    Ok(all)
}

fn component(deliverable: &str) -> anyhow::Result<Component> {
    Ok(Component {
        name: name(deliverable)?,
        application: name(APPLICATION)?,
        runs_on: BTreeMap::new(),
        steps: Vec::new(),
        health: None,
        keep_releases: 3,
    })
}

/// The week in which a series has an event, by its tag without the letter of the series.
fn week_of<'a>(series: &'a Series, event: &str) -> Option<&'a Week> {
    let letter = series.name.chars().next()?;
    let of = |tag: &String| event.split('|').any(|event| *tag == format!("{letter}-{event}"));
    series.schedule.cycle.iter().find(|week| week.tags().any(of))
}

fn train(series: &Series, deployments: &[DeploymentRecord], span: &Span) -> anyhow::Result<ReleaseRecord> {
    let mut phases = Vec::new();
    let mut from_ms = span.starts;
    for (event, title) in PHASES {
        let Some(week) = week_of(series, event) else { continue };
        let until_ms = midnight(week.end.tomorrow()?);
        if until_ms > from_ms {
            phases.push(PhaseRecord { name: title.into(), started_at_ms: from_ms, ended_at_ms: until_ms });
            from_ms = until_ms;
        }
    }
    let mut title: Vec<char> = series.name.chars().collect();
    title[0].make_ascii_uppercase();
    Ok(ReleaseRecord {
        reference: series.name.clone(),
        application: name(APPLICATION)?,
        version: version(&series.name)?,
        title: format!("OpenStack {}", title.into_iter().collect::<String>()),
        model: "release train".into(),
        phases,
        milestones: milestones(series)?,
        versions: package(series, deployments, span)?,
        ready_by_ms: Some(span.departs - 1),
        zone: "UTC".into(),
        objectives: vec!["every deliverable of the series is published in the week of the release".into()],
        evaluation: String::new(),
        author: name("release-team")?,
        written_at_ms: span.starts,
        closed_at_ms: span.ends - 1,
    })
}

/// What each deliverable had when the train departed: its last full version by then.
fn package(series: &Series, deployments: &[DeploymentRecord], span: &Span) -> anyhow::Result<BTreeMap<Name, Version>> {
    let published = published(&series.name)?;
    let mut package = BTreeMap::new();
    for it in deployments.iter().filter(|it| it.environment == published && it.ended_at_ms < span.departs) {
        let full = it.versions.iter().filter(|(_, version)| !is_mark(version.as_str()));
        package.extend(full.map(|(name, version)| (name.clone(), version.clone())));
    }
    Ok(package)
}

/// Every event of the schedule, on the Thursday of its week.
fn milestones(series: &Series) -> anyhow::Result<Vec<Milestone>> {
    let mut milestones = Vec::new();
    for week in &series.schedule.cycle {
        let at_ms = midnight(week.start.checked_add(3.days())?);
        for tag in week.tags() {
            let meaning = series.meanings.iter().find(|meaning| meaning.tags.contains(tag));
            let title = meaning.map_or_else(|| tag.clone(), |meaning| format!("{} ({tag})", meaning.title));
            let text = meaning.map_or_else(String::new, |meaning| meaning.text.chars().take(MEANING_CHARS).collect());
            milestones.push(Milestone { title, at_ms, text });
        }
    }
    Ok(milestones)
}

/// From the day after a deadline to the end of the week of the release, for what then was of the type.
fn freezes(series: &Series, span: &Span) -> anyhow::Result<Vec<DeclareFreeze>> {
    let mut freezes = Vec::new();
    for (event, kind) in DEADLINES {
        let Some(week) = week_of(series, event) else { continue };
        let of_kind = kinds(series, span.departs).into_iter().filter(|(_, it)| *it == kind);
        let components = of_kind.map(|(deliverable, _)| name(deliverable)).collect::<anyhow::Result<BTreeSet<_>>>()?;
        freezes.push(DeclareFreeze {
            name: format!("{} {event}", series.name),
            reason: format!("No new version of a {kind} after its deadline, so that whoever builds on it can prepare."),
            environments: vec![candidates(&series.name)?, published(&series.name)?],
            applications: vec![name(APPLICATION)?],
            components: components.into_iter().collect(),
            from_ms: midnight(week.end.tomorrow()?),
            until_ms: span.departs,
            zone: "UTC".into(),
            strictness: Strictness::Hard,
            running: Running::FinishWave,
        });
    }
    Ok(freezes)
}

/// The type of each deliverable at an instant. Some changed it on the way, and files only have the last one.
fn kinds(series: &Series, at_ms: Millis) -> BTreeMap<&str, &str> {
    let mut kinds: BTreeMap<&str, &str> =
        series.deliverables.iter().map(|(name, it)| (name.as_str(), it.kind.as_str())).collect();
    let mut before: Vec<&Request> = series.requests.iter().filter(|it| merged(it).0 < at_ms).collect();
    before.sort_by_key(|request| merged(request).0);
    for it in before.into_iter().flat_map(|request| &request.versions_added).filter(|it| it.series == series.name) {
        if let Some(kind) = &it.kind {
            kinds.insert(&it.deliverable, kind);
        }
    }
    kinds
}

fn reference(series: &Series, request: &Request) -> String {
    format!("{}/{}", series.name, request.commit.get(..12).unwrap_or(&request.commit))
}

/// When a request was in effect, and how well that is known.
fn merged(request: &Request) -> (Millis, Precision) {
    match request.merged_at {
        Some(at) => (at.as_millisecond(), Precision::Exact),
        None => (request.last_patchset_at.as_millisecond(), Precision::Approximate),
    }
}

fn change(series: &Series, request: &Request) -> anyhow::Result<ChangeRecord> {
    let (merged_ms, time) = merged(request);
    let added: Vec<_> = request.versions_added.iter().filter(|it| it.series == series.name).collect();
    let mut environments = added.iter().map(|it| environment(series, &it.version)).collect::<anyhow::Result<BTreeSet<_>>>()?;
    if environments.is_empty() {
        environments.insert(published(&series.name)?);
    }
    let versions = added.iter().map(|it| Ok((name(&it.deliverable)?, version(&it.version)?)));
    let adds = !added.is_empty();
    Ok(ChangeRecord {
        reference: reference(series, request),
        content: Content {
            title: request.subject.clone(),
            class: Class::Normal,
            description: String::new(),
            application: name(APPLICATION)?,
            environments: environments.into_iter().collect(),
            versions: versions.collect::<anyhow::Result<_>>()?,
            plans: BTreeMap::new(),
            risk: Level::Low,
            impact: Level::Low,
            back_out: String::new(),
        },
        author: name(&request.proposer)?,
        written_at_ms: request.proposed_at.as_millisecond(),
        authorised_at_ms: Some(merged_ms),
        implemented_at_ms: Some(merged_ms).filter(|_| adds && time.is_exact()),
        closed_at_ms: merged_ms,
        outcome: Outcome::Successful,
        review: "merged by the gate".into(),
        repairs: request.is_revert || request.versions_removed.iter().any(|it| it.series == series.name),
        time,
        release: Some(series.name.clone()),
    })
}

fn environment(series: &Series, version: &str) -> anyhow::Result<Name> {
    match version {
        it if is_candidate(it) => candidates(&series.name),
        it if is_mark(it) => ended(&series.name),
        _ => published(&series.name),
    }
}

/// Every version that was ever added, and those that stand in the files though no request added them.
fn deployments(series: &Series, span: &Span) -> anyhow::Result<Vec<DeploymentRecord>> {
    let mut requests: Vec<&Request> = series.requests.iter().collect();
    requests.sort_by_key(|request| merged(request).0);
    let mut all: Vec<DeploymentRecord> = Vec::new();
    // Where the standing deployment of each version is.
    let mut standing: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for request in requests {
        for it in request.versions_removed.iter().filter(|it| it.series == series.name) {
            if let Some(index) = standing.remove(&(it.deliverable.as_str(), it.version.as_str())) {
                take_back(&mut all[index], request);
            }
        }
        for it in request.versions_added.iter().filter(|it| it.series == series.name) {
            let (at_ms, time) = merged(request);
            let own = reference(series, request);
            standing.insert((&it.deliverable, &it.version), all.len());
            let reference = format!("{}/{} {} by {own}", series.name, it.deliverable, it.version);
            all.push(record(series, (&it.deliverable, &it.version), reference, (at_ms, time))?);
            if let Some(last) = all.last_mut() {
                last.change = Some(own);
            }
        }
    }
    for (deliverable, it) in &series.deliverables {
        let mut before_ms = span.starts;
        for release in &it.releases {
            if let Some(index) = standing.get(&(deliverable.as_str(), release.version.as_str())) {
                before_ms = all[*index].ended_at_ms;
            } else {
                // Not before the version before it, as files are in order; more is not known.
                let reference = format!("{}/{deliverable} {}", series.name, release.version);
                all.push(record(series, (deliverable, &release.version), reference, (before_ms, Precision::Approximate))?);
            }
        }
    }
    Ok(all)
}

fn record(
    series: &Series,
    (deliverable, text): (&str, &str),
    reference: String,
    (at_ms, time): (Millis, Precision),
) -> anyhow::Result<DeploymentRecord> {
    Ok(DeploymentRecord {
        reference,
        application: name(APPLICATION)?,
        environment: environment(series, text)?,
        versions: BTreeMap::from([(name(deliverable)?, version(text)?)]),
        outcome: Ending::Succeeded,
        started_at_ms: at_ms,
        ended_at_ms: at_ms,
        failed_at_ms: None,
        reason: String::new(),
        time,
        change: None,
        release: Some(series.name.clone()),
    })
}

/// A version that a later request takes out again was found bad when that request was written.
fn take_back(deployment: &mut DeploymentRecord, by: &Request) {
    let ended_ms = merged(by).0.max(deployment.started_at_ms);
    deployment.outcome = Ending::FellBack;
    deployment.reason = format!("taken back by \"{}\"", by.subject);
    deployment.failed_at_ms = Some(by.proposed_at.as_millisecond().clamp(deployment.started_at_ms, ended_ms));
    deployment.ended_at_ms = ended_ms;
}
