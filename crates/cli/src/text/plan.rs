//! A plan: what goes where, in which waves, past which gates, and the way back.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use tidegate_api::view::DeploymentDetail;
use tidegate_domain::deployment::order::Installation;
use tidegate_domain::deployment::plan::{Plan, Purpose, Wave};
use tidegate_domain::gate::Gate;

use super::problem;

/// Names of targets that are written out for one wave; the rest is counted.
const NAMES_MAX: usize = 8;

/// Everything about a planned deployment.
pub fn text(detail: &DeploymentDetail, zone: &TimeZone) -> String {
    let deployment = &detail.deployment;
    let head = format!("{}: {} to {}", deployment.id, deployment.application, deployment.environment);
    let reasons = if detail.reasons.is_empty() {
        "nothing stands against starting it now".to_owned()
    } else {
        format!("against starting it now:\n{}", problem::reasons(&detail.reasons, zone))
    };
    format!("{head}\n{}\n{reasons}", body(&detail.plan, deployment.plan.as_str()))
}

/// A plan by itself.
pub fn body(plan: &Plan, digest: &str) -> String {
    let purpose = match plan.purpose {
        Purpose::Forward => "",
        Purpose::Fallback => " (a way back)",
    };
    let mut lines = vec![format!("plan {digest}{purpose}")];
    let targets = plan.size();
    lines.push(format!("{}, {}, {}", plan.strategy, count(plan.waves.len(), "wave"), count(targets, "target")));
    if targets == 0 {
        let components: Vec<&str> = plan.installations.iter().map(|it| it.component.as_str()).collect();
        lines.push(format!(
            "NOTHING would be deployed: no target in {} carries {}; compare runs_on with the labels in `tidegate target list`",
            plan.environment,
            components.join(" or ")
        ));
    }
    lines.extend(plan.installations.iter().map(|installation| installed(plan, installation)));
    for (index, wave) in plan.waves.iter().enumerate() {
        lines.push(format!("wave {} of {}: {}", index + 1, plan.waves.len(), names(wave)));
        lines.extend(wave.before.iter().map(|gate| format!("  before: {}", condition(gate))));
        lines.extend(wave.after.iter().map(|gate| format!("  after:  {}", condition(gate))));
    }
    let tolerated = match plan.failures_max() {
        0 => "no failed target is tolerated".to_owned(),
        failures => format!("{} tolerated", count(failures, "failed target")),
    };
    let back = match (&plan.fallback, &plan.no_fallback_because) {
        (Some(digest), _) => format!("the way back is plan {digest}: {}", plan.way_back()),
        (None, Some(why)) => format!("there is no way back: {why}"),
        (None, None) => "there is no way back".to_owned(),
    };
    lines.push(format!("{tolerated}; {back}"));
    lines.extend(plan.conditions());
    lines.join("\n")
}

/// `1 wave`, `2 waves`
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn condition(gate: &Gate) -> String {
    let (name, condition) = (gate.name(), gate.condition());
    if condition.starts_with(&name) { condition } else { format!("{name}: {condition}") }
}

/// `ledger: 1.0 (11), none (1) to 1.1, tar_gz 1.2 MiB, signed, sha256:…`
fn installed(plan: &Plan, installation: &Installation) -> String {
    let mut from: BTreeMap<String, usize> = BTreeMap::new();
    for (_, target) in plan.targets().filter(|(_, target)| target.components.contains(&installation.component)) {
        let version =
            target.from.get(&installation.component).map_or_else(|| "none".into(), |attested| attested.version.to_string());
        *from.entry(version).or_default() += 1;
    }
    let from = match from.len() {
        0 => "none".to_owned(),
        1 => from.into_keys().next().unwrap_or_default(),
        _ => from.iter().map(|(version, count)| format!("{version} ({count})")).collect::<Vec<_>>().join(", "),
    };
    let artifact = &installation.artifact;
    let signed = if artifact.signature.is_some() { "signed" } else { "not signed" };
    let (size, digest) = (size(artifact.size_bytes), &artifact.digest);
    format!("  {}: {from} to {}, {size}, {signed}, {digest}", installation.component, installation.version)
}

/// `1.2 MiB`
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn names(wave: &Wave) -> String {
    let shown: Vec<&str> = wave.targets.iter().take(NAMES_MAX).map(|target| target.name.as_str()).collect();
    match wave.targets.len() {
        0 => "no target".into(),
        all if all > NAMES_MAX => format!("{} ({}, …)", count(all, "target"), shown.join(", ")),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::text::sample;

    #[test]
    fn a_plan_tells_what_goes_where_and_how_back() {
        expect![[r#"
            DEP-sample: shop to production
            plan sha256:a48c92dcad2ec741b894889e71ed6ae7cfb924316015b7ec65f0da51f43e6662
            canary, 2 waves, 4 targets
              shop: 1.0 to 1.1, 1.2 MiB, not signed, sha256:b05e244762b1e472be89a93800cc3ee326743cecb55984bf12813addb8de66d0
            wave 1 of 2: prod-1
              after:  error rate: allowed at most 0.05, 3 times
              after:  bake: well for 30 s
            wave 2 of 2: prod-2, prod-3, prod-4
              after:  bake: well for 30 s
            no failed target is tolerated; the way back is plan sha256:79c248d8acce2b0726ddd6a8d085a93cd9a074e584f5b6abec25251fd3631ea0: shop 1.0
            nothing stands against starting it now"#]].assert_eq(&super::text(&sample::detail(), &sample::zone()));
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1_023, 1_024, 1_300_000, 2 << 30, u64::MAX].map(super::size);
        assert_eq!(sizes.join(", "), "0 B, 1023 B, 1.0 KiB, 1.2 MiB, 2.0 GiB, 16777216.0 TiB");
    }
}
