//! The story: plan, authorise, canary, a bad version caught, a freeze that stops work, and an exception.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tidegate_api::request::{
    DeclareFreeze, MeetCriterion, Nothing, Otherwise, PlanDeployment, RequestException, RuleException, StartDeployment,
    StrategyChoice, VoteOnChange, WithReason, WriteChange, WriteRelease,
};
use tidegate_api::view::{DeploymentDetail, DeploymentView, Versioned};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Running, Strictness};
use tidegate_domain::change::{Change, Choice, Class, Content, Level, State as ChangeState};
use tidegate_domain::deployment::rollout::State;
use tidegate_domain::release::{Model, Release};
use tidegate_domain::{Id, Name, Version};
use tidegate_sample_ledger::Edition;

use super::Options;
use super::landscape::Landscape;
use super::people::{People, Refused, Who};
use super::voice::Voice;

/// Longest time one deployment of the story may take.
const DEPLOYMENT_WITHIN: Duration = Duration::from_secs(90);
/// How long the page is waited for when a person may approve, before Grace does.
const APPROVAL_PATIENCE: Duration = Duration::from_secs(45);

/// The phases of the model "standard", by their place.
const PLAN: usize = 0;
const BUILD: usize = 1;
const TEST: usize = 2;

/// A no of admission, as the story met it.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// What was to be started.
    pub deployment: Id,
    /// Every reason.
    pub reasons: Vec<tidegate_domain::admission::Reason>,
}

/// What happened, in order.
#[derive(Debug, Default)]
pub struct Told {
    /// The deployments.
    pub deployments: Vec<Id>,
    /// The times admission said no.
    pub refusals: Vec<Refusal>,
}

struct Play<'a> {
    people: &'a People,
    voice: &'a Voice,
    options: &'a Options,
    told: Told,
}

/// Plays the story to its end.
pub async fn play(people: &People, _: &Landscape, voice: &Voice, options: &Options) -> anyhow::Result<Told> {
    let mut play = Play { people, voice, options, told: Told::default() };
    play.baseline().await?;
    play.good_release().await?;
    play.bad_release().await?;
    play.freeze().await?;
    Ok(play.told)
}

impl Play<'_> {
    async fn baseline(&mut self) -> anyhow::Result<()> {
        self.voice.chapter("Baseline: version 1.0 everywhere").await;
        let release = self.release(Edition::V1_0, "The ledger as it is").await?;
        self.standard(&release, "development", "quick").await?;
        self.standard(&release, "staging", "quick").await?;
        let id = self.normal(&release, "quick", "Put the ledger into service").await?;
        self.approve(&id, Approver::Grace).await?;
        self.run(&id.deployment, State::Succeeded).await
    }

    async fn good_release(&mut self) -> anyhow::Result<()> {
        self.voice.chapter("Release 1.1: planned, approved by a second person, and out in waves").await;
        let release = self.release(Edition::V1_1, "Notes and statements").await?;
        self.standard(&release, "development", "quick").await?;
        self.standard(&release, "staging", "quick").await?;
        self.voice.say("Production is controlled: what will run there is planned first, and that plan is what Grace approves.");
        let id = self.normal(&release, "careful", "Notes and statements for every account").await?;
        self.refused(&id.deployment).await?;
        self.approve(&id, if self.options.once { Approver::Grace } else { Approver::Anybody }).await?;
        self.run(&id.deployment, State::Succeeded).await
    }

    async fn bad_release(&mut self) -> anyhow::Result<()> {
        self.voice.chapter("Release 1.2-bad: the canary catches it, and it falls back by itself").await;
        let release = self.release(Edition::V1_2Bad, "Written totals").await?;
        self.standard(&release, "development", "quick").await?;
        self.standard(&release, "staging", "quick").await?;
        self.voice.say("It is healthy where nobody uses it. Under load every third entry fails.");
        let id = self.normal(&release, "careful", "Write totals down, so that reports need not add up").await?;
        self.approve(&id, Approver::Grace).await?;
        self.run(&id.deployment, State::FellBack).await?;
        let reason = WithReason { reason: "every third entry fails under load".into() };
        let _: Versioned<Release> = self.people.post(Who::Rosa, &format!("/releases/{}/reject", release.id), &reason).await?;
        self.voice.say("Rosa rejects the release: no path deploys it any more.");
        Ok(())
    }

    async fn freeze(&mut self) -> anyhow::Result<()> {
        self.voice.chapter("A freeze that really stops work, and an exception into it").await;
        let freeze = self.declare().await?;
        let release = self.release(Edition::V1_2, "Written totals, with the column's right name").await?;
        self.standard(&release, "development", "quick").await?;
        self.standard(&release, "staging", "quick").await?;
        let id = self.normal(&release, "careful", "Write totals down, mended").await?;
        self.approve(&id, Approver::Grace).await?;
        self.refused(&id.deployment).await?;
        let request =
            RequestException { deployment: id.deployment.clone(), reason: "the month's reports need the totals".into() };
        let asked: Versioned<Freeze> =
            self.people.post(Who::Olaf, &format!("/freezes/{}/exceptions", freeze.id), &request).await?;
        let exception = asked.value.exceptions.last().context("an exception was asked for")?.id.clone();
        let ruling =
            RuleException { choice: Choice::Approve, until_ms: None, reason: "small, tested, and with a way back".into() };
        let path = format!("/freezes/{}/exceptions/{exception}/rule", freeze.id);
        let _: Versioned<Freeze> = self.people.post(Who::Grace, &path, &ruling).await?;
        self.voice.say("Olaf asks for an exception, Grace approves it: this one deployment may pass.");
        self.run(&id.deployment, State::Succeeded).await
    }

    async fn declare(&self) -> anyhow::Result<Freeze> {
        let now_ms = now_ms();
        let request = DeclareFreeze {
            name: "Month end".into(),
            reason: "the books are being closed".into(),
            environments: vec![Name::parse("production")?],
            applications: Vec::new(),
            components: Vec::new(),
            from_ms: now_ms,
            until_ms: now_ms + 6 * 3_600_000,
            zone: "UTC".into(),
            strictness: Strictness::Hard,
            running: Running::FinishWave,
        };
        let declared: Versioned<Freeze> = self.people.post(Who::Rosa, "/freezes", &request).await?;
        self.voice.say("Rosa declares freeze \"Month end\" on production.");
        Ok(declared.value)
    }

    async fn release(&self, edition: Edition, title: &str) -> anyhow::Result<Release> {
        let request = WriteRelease {
            application: Name::parse("ledger")?,
            version: Version::parse(edition.name())?,
            title: title.to_owned(),
            model: Model::Standard,
            versions: versions(edition)?,
            milestones: Vec::new(),
            ready_by_ms: Some(now_ms() + 86_400_000),
            zone: "UTC".into(),
            objectives: vec!["error rate of entries at most 5 %".into()],
        };
        let written: Versioned<Release> = self.people.post(Who::Rosa, "/releases", &request).await?;
        let id = written.value.id;
        let _: Versioned<Release> = self.people.post(Who::Rosa, &format!("/releases/{id}/plan"), &Nothing {}).await?;
        let started: Versioned<Release> = self.people.post(Who::Rosa, &format!("/releases/{id}/start"), &Nothing {}).await?;
        for phase in [PLAN, BUILD] {
            self.complete(&id, phase).await?;
        }
        self.voice.say(&format!("Rosa plans release {} \"{title}\".", edition.name()));
        Ok(started.value)
    }

    /// Says that a phase's one criterion holds, and completes it.
    async fn complete(&self, id: &Id, phase: usize) -> anyhow::Result<()> {
        let meet = MeetCriterion { phase, criterion: 0 };
        let _: Versioned<Release> = self.people.post(Who::Rosa, &format!("/releases/{id}/meet"), &meet).await?;
        let path = format!("/releases/{id}/complete-phase");
        let _: Versioned<Release> = self.people.post(Who::Rosa, &path, &Nothing {}).await?;
        Ok(())
    }

    /// Development and staging: self-service by a standard change.
    async fn standard(&mut self, release: &Release, environment: &str, strategy: &str) -> anyhow::Result<()> {
        let change =
            self.change(release, (Class::Standard, environment), &format!("{} to {environment}", release.version)).await?;
        let view = self.plan(release, environment, strategy, Some(change.id)).await?;
        self.run(&view.deployment.id, State::Succeeded).await
    }

    /// Production: a plan, and a normal change that is bound to it.
    async fn normal(&mut self, release: &Release, strategy: &str, title: &str) -> anyhow::Result<Pair> {
        // What ran in staging is verified there; that ends the test phase.
        self.complete(&release.id, TEST).await?;
        let change = self.change(release, (Class::Normal, "production"), title).await?;
        let view = self.plan(release, "production", strategy, Some(change.id.clone())).await?;
        let submit = format!("/changes/{}/submit", change.id);
        let _: Versioned<Change> = self.people.post(Who::Dana, &submit, &Nothing {}).await?;
        self.voice.say(&format!(
            "Dana plans {} for production as plan {} and submits change {}.",
            release.version,
            view.deployment.plan.short(),
            change.id
        ));
        Ok(Pair { deployment: view.deployment.id, change: change.id })
    }

    async fn change(&self, release: &Release, (class, environment): (Class, &str), title: &str) -> anyhow::Result<Change> {
        let content = Content {
            title: title.to_owned(),
            class,
            description: format!("Release {}: {}", release.version, release.title),
            application: release.application.clone(),
            environments: vec![Name::parse(environment)?],
            versions: release.versions.clone(),
            plans: BTreeMap::new(),
            risk: if class == Class::Standard { Level::Low } else { Level::Medium },
            impact: if class == Class::Standard { Level::Low } else { Level::High },
            back_out: "The plan back, made together with the plan; the schema only grows.".into(),
        };
        let request = WriteChange { content, release: Some(release.id.clone()) };
        let written: Versioned<Change> = self.people.post(Who::Dana, "/changes", &request).await?;
        if class == Class::Standard {
            let submit = format!("/changes/{}/submit", written.value.id);
            let _: Versioned<Change> = self.people.post(Who::Dana, &submit, &Nothing {}).await?;
        }
        Ok(written.value)
    }

    async fn plan(
        &mut self,
        release: &Release,
        environment: &str,
        strategy: &str,
        change: Option<Id>,
    ) -> anyhow::Result<DeploymentView> {
        let request = PlanDeployment {
            application: release.application.clone(),
            environment: Name::parse(environment)?,
            versions: BTreeMap::new(),
            release: Some(release.id.clone()),
            change,
            strategy: Some(StrategyChoice::Named(Name::parse(strategy)?)),
        };
        let view: DeploymentView = self.people.post(Who::Dana, "/deployments", &request).await?;
        self.told.deployments.push(view.deployment.id.clone());
        Ok(view)
    }

    /// A start that admission must refuse; its reasons are told.
    async fn refused(&mut self, id: &Id) -> anyhow::Result<()> {
        let started: anyhow::Result<DeploymentView> =
            self.people.post(Who::Olaf, &format!("/deployments/{id}/start"), &StartDeployment::default()).await;
        let error = started.err().context("admission let a deployment through that it must refuse")?;
        let Refused(problem) = error.downcast::<Refused>()?;
        anyhow::ensure!(!problem.reasons.is_empty(), "{}", problem.title);
        self.voice.say("Olaf tries to start it, and is refused:");
        for reason in &problem.reasons {
            self.voice.say(&format!("    ✗ {}\n      {}", reason.text, reason.remedy));
        }
        self.told.refusals.push(Refusal { deployment: id.clone(), reasons: problem.reasons });
        Ok(())
    }

    async fn approve(&self, pair: &Pair, approver: Approver) -> anyhow::Result<()> {
        let path = format!("/changes/{}", pair.change);
        if approver == Approver::Anybody || self.options.by_hand {
            self.voice.say(&format!("Approve it in the page: {}{path}", self.people.base()));
            if self.approved_by_hand(&path).await? {
                return Ok(());
            }
        }
        let change: Versioned<Change> = self.people.get(Who::Grace, &path).await?;
        let digest = change.value.content.digest();
        let vote = VoteOnChange { choice: Choice::Approve, digest: digest.clone(), reason: "plan and way back are sound".into() };
        let _: Versioned<Change> = self.people.post(Who::Grace, &format!("{path}/vote"), &vote).await?;
        self.voice.say(&format!("Grace approves change {} for exactly this content ({}).", pair.change, digest.short()));
        Ok(())
    }

    async fn approved_by_hand(&self, path: &str) -> anyhow::Result<bool> {
        let until = tokio::time::Instant::now() + APPROVAL_PATIENCE;
        loop {
            let change: Versioned<Change> = self.people.get(Who::Grace, path).await?;
            if change.value.state == ChangeState::Authorised {
                self.voice.say("It was approved in the page.");
                return Ok(true);
            }
            if !self.options.by_hand && tokio::time::Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Starts a deployment and follows it to its end.
    async fn run(&mut self, id: &Id, wanted: State) -> anyhow::Result<()> {
        let start = StartDeployment { otherwise: Otherwise::Refuse, not_before_ms: None };
        let view: DeploymentView = self.people.post(Who::Olaf, &format!("/deployments/{id}/start"), &start).await?;
        let name = format!("{} to {}", view.deployment.version_line(), view.deployment.environment);
        self.voice.say(&format!("▶ {name}: {}/deployments/{id}", self.people.base()));
        let until = tokio::time::Instant::now() + DEPLOYMENT_WITHIN;
        let mut last = String::new();
        loop {
            let detail: DeploymentDetail = self.people.get(Who::Olaf, &format!("/deployments/{id}")).await?;
            let line = progress(&detail);
            if line != last {
                self.voice.say(&format!("    {line}"));
                last = line;
            }
            let state = detail.deployment.state;
            if state.is_terminal() {
                self.told.deployments.extend(detail.deployment.fallback.clone());
                anyhow::ensure!(state == wanted, "{name} is {}: {}", state.as_str(), detail.sentence);
                return Ok(());
            }
            anyhow::ensure!(tokio::time::Instant::now() < until, "{name} takes too long: {}", detail.sentence);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

/// A deployment and the change that is to authorise it.
struct Pair {
    deployment: Id,
    change: Id,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approver {
    Grace,
    Anybody,
}

fn versions(edition: Edition) -> anyhow::Result<BTreeMap<Name, Version>> {
    Ok(BTreeMap::from([(Name::parse("ledger")?, Version::parse(edition.name())?)]))
}

fn progress(detail: &DeploymentDetail) -> String {
    let deployment = &detail.deployment;
    let good: u32 = deployment.counts.iter().filter(|(state, _)| state.is_good()).map(|(_, count)| count).sum();
    let wave = (deployment.wave + 1).min(deployment.waves);
    format!("wave {wave}/{} · {good}/{} targets · {}", deployment.waves, deployment.size, detail.sentence)
}

#[allow(clippy::disallowed_methods, reason = "the demo is a client with a clock of its own")]
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
