//! The closing summary: every deployment, the figures, and the walk over the history.

use serde_json::{Value, json};
use tidegate_api::view::{AuditVerified, DeploymentDetail};
use tidegate_domain::measure::dora::Dora;

use super::people::{People, Who};
use super::story::Told;
use super::voice::Voice;

/// Tells it, in prose or as one JSON object.
pub async fn tell(people: &People, told: &Told, voice: &Voice, json: super::Form) -> anyhow::Result<()> {
    let mut deployments = Vec::new();
    for id in &told.deployments {
        let detail: DeploymentDetail = people.get(Who::Admin, &format!("/deployments/{id}")).await?;
        deployments.push(detail);
    }
    let dora: Dora = people.get(Who::Admin, "/measure/dora").await?;
    let audit: AuditVerified = people.get(Who::Admin, "/audit").await?;
    match json {
        super::Form::Prose => prose(&deployments, &dora, &audit, voice),
        super::Form::Json => Voice::object(&object(&deployments, (told, people.acknowledged()), &dora, &audit)),
    }
    anyhow::ensure!(audit.broken.is_none(), "the history does not verify");
    Ok(())
}

fn object(deployments: &[DeploymentDetail], (told, acknowledged): (&Told, u64), dora: &Dora, audit: &AuditVerified) -> Value {
    json!({
        "deployments": deployments.iter().map(|detail| deployment(detail, told)).collect::<Vec<_>>(),
        "acknowledged_changes": acknowledged,
        "events": audit.events,
        "audit_verified": audit.broken.is_none(),
        "dora": dora,
    })
}

fn deployment(detail: &DeploymentDetail, told: &Told) -> Value {
    let it = &detail.deployment;
    let seconds = it.started_at_ms.zip(it.ended_at_ms).map(|(from, until)| (until - from) as f64 / 1_000.0);
    let targets: serde_json::Map<String, Value> =
        it.counts.iter().map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
    let reasons: Vec<Value> = told
        .refusals
        .iter()
        .filter(|refusal| refusal.deployment == it.id)
        .flat_map(|refusal| &refusal.reasons)
        .map(|reason| json!({"code": reason.code, "text": reason.text, "remedy": reason.remedy}))
        .collect();
    json!({
        "id": it.id,
        "application": it.application,
        "environment": it.environment,
        "version": it.version_line(),
        "strategy": it.strategy,
        "state": it.state,
        "waves": it.waves,
        "targets": targets,
        "seconds": seconds,
        "plan": it.plan,
        "fallback_of": it.takes_back,
        "reasons": reasons,
        "decided_by": it.decided_by,
    })
}

fn prose(deployments: &[DeploymentDetail], dora: &Dora, audit: &AuditVerified, voice: &Voice) {
    voice.say("\n── What happened");
    for detail in deployments {
        let it = &detail.deployment;
        let seconds = it.started_at_ms.zip(it.ended_at_ms).map_or(0.0, |(from, until)| (until - from) as f64 / 1_000.0);
        let state = it.state.as_str().replace('_', " ");
        voice.say(&format!(
            "  {:<12} {:<9} {:<12} {:<12} {seconds:>6.1} s",
            it.environment.as_str(),
            it.version_line(),
            it.strategy,
            state
        ));
        if let Some(why) = it.failure.as_ref().map(|failure| &failure.reason) {
            voice.say(&format!("               because {why}"));
        }
    }
    voice.say("\n── The five DORA figures of production so far");
    voice.say(&format!("  change lead time                  {}", seconds(dora.change_lead_time_seconds)));
    voice.say(&format!("  deployment frequency              {} a day", number(dora.deployment_frequency_per_day)));
    voice.say(&format!("  failed deployment recovery time   {}", seconds(dora.failed_deployment_recovery_time_seconds)));
    voice.say(&format!("  change fail rate                  {}", percent(dora.change_fail_rate)));
    voice.say(&format!("  deployment rework rate            {}", percent(dora.deployment_rework_rate)));
    let verdict = if audit.broken.is_none() { "every hash verified" } else { "BROKEN" };
    voice.say(&format!("\n  {} events in the history, {verdict}.", audit.events));
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("nothing counted".into(), |value| format!("{value:.1} s"))
}

fn number(value: Option<f64>) -> String {
    value.map_or("nothing counted".into(), |value| format!("{value:.1}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or("nothing counted".into(), |value| format!("{:.0} %", value * 100.0))
}
