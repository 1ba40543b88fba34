//! Records as earlier programs wrote them, brought into the forms of today. Events stay as they were written: they are chained by
//! hash, and whoever reads one takes it as JSON. So do plans, which are named by the digest of their text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegate_domain::canonical;
use tidegate_domain::event::Noun;

use crate::Fault;
use crate::db::{Bind, Tx};

/// Until 2026-11-26 a change named one plan for all its environments, and a place remembered whole packages.
pub(crate) async fn of_2026_11_26(tx: &mut Tx) -> Result<(), Fault> {
    for (id, mut change) in bodies(tx, Noun::Change, "%\"plan\":%").await? {
        if let Some(plan) = change["content"].as_object_mut().and_then(|content| content.remove("plan")) {
            let environment = match plan.as_str() {
                Some(digest) => environment_of(tx, digest).await?,
                None => None,
            };
            plan_for_each_environment(&mut change, plan, environment);
            put(tx, Noun::Change, &id, &change).await?;
        }
    }
    let releases = releases(tx).await?;
    for (id, mut slot) in bodies(tx, Noun::Slot, "%").await? {
        if let Value::Array(packages) = slot["verified"].take() {
            slot["verified"] = by_component(&packages, &releases);
            put(tx, Noun::Slot, &id, &slot).await?;
        }
    }
    Ok(())
}

/// The records of a noun whose text is like `pattern`.
async fn bodies(tx: &mut Tx, noun: Noun, pattern: &str) -> Result<Vec<(String, Value)>, Fault> {
    let sql = "SELECT id, body FROM records WHERE noun = $1 AND body LIKE $2 ORDER BY id";
    let rows = tx.rows(sql, vec![Bind::Text(noun.as_str().into()), Bind::Text(pattern.into())]).await?;
    let read = |row: &crate::db::Row| {
        let id = row.text(0)?;
        let body = serde_json::from_str(&row.text(1)?).map_err(|cause| Fault::corrupt(format!("record {noun}/{id}"), cause))?;
        Ok((id, body))
    };
    rows.iter().map(read).collect()
}

async fn put(tx: &mut Tx, noun: Noun, id: &str, body: &Value) -> Result<(), Fault> {
    let binds = vec![Bind::Text(canonical::text(body)), Bind::Text(noun.as_str().into()), Bind::Text(id.into())];
    tx.execute("UPDATE records SET body = $1 WHERE noun = $2 AND id = $3", binds).await?;
    Ok(())
}

/// The environment that a plan is for.
async fn environment_of(tx: &mut Tx, digest: &str) -> Result<Option<String>, Fault> {
    let rows = tx.rows("SELECT body FROM documents WHERE digest = $1", vec![Bind::Text(digest.into())]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let plan: Value = serde_json::from_str(&row.text(0)?).map_err(|cause| Fault::corrupt(format!("plan {digest}"), cause))?;
    Ok(plan["environment"].as_str().map(str::to_owned))
}

/// Names the plan for its environment. Votes and the authorisation go with the content: what was approved says the same as before
/// in another form, and has another digest for it.
fn plan_for_each_environment(change: &mut Value, plan: Value, environment: Option<String>) {
    let Some(content) = change["content"].as_object() else { return };
    let mut before = content.clone();
    before.insert("plan".into(), plan.clone());
    let first = content["environments"][0].as_str().map(str::to_owned);
    let plans = match (plan, environment.or(first)) {
        (Value::String(digest), Some(environment)) => json!({ environment: digest }),
        _ => json!({}),
    };
    change["content"]["plans"] = plans;
    let (before, after) = (canonical::digest(&before), canonical::digest(&change["content"]));
    let renew = |digest: &mut Value| {
        if digest.as_str() == Some(before.as_str()) {
            *digest = after.as_str().into();
        }
    };
    change.get_mut("authorised").into_iter().for_each(renew);
    for list in ["votes", "fallen_votes"] {
        let votes = change.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        votes.filter_map(|vote| vote.get_mut("digest")).for_each(renew);
    }
}

/// The release that each deployment brought, if it was one.
async fn releases(tx: &mut Tx) -> Result<BTreeMap<String, Value>, Fault> {
    let found = bodies(tx, Noun::Deployment, "%\"release\":\"%").await?;
    Ok(found.into_iter().map(|(id, deployment)| (id, deployment["release"].clone())).collect())
}

/// What was verified of each component, newest first, of packages that come newest first.
fn by_component(packages: &[Value], releases: &BTreeMap<String, Value>) -> Value {
    let mut verified: Map<String, Value> = Map::new();
    for package in packages {
        let release = package["deployment"].as_str().and_then(|deployment| releases.get(deployment));
        for (component, installed) in package["package"].as_object().into_iter().flatten() {
            let mut one = json!({"deployment": package["deployment"], "version": installed[0], "digest": installed[1],
                "at_ms": package["at_ms"]});
            if let Some(release) = release {
                one["release"] = release.clone();
            }
            let known = verified.entry(component.clone()).or_insert_with(|| json!([]));
            let again = |it: &Value| it["version"] == one["version"] && it["digest"] == one["digest"];
            if let Some(known) = known.as_array_mut()
                && !known.iter().any(again)
            {
                known.push(one);
            }
        }
    }
    verified.into()
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Value, by_component, canonical, json, plan_for_each_environment};

    #[test]
    fn what_was_approved_stays_approved_in_its_new_form() {
        let content = json!({"title": "one", "environments": ["test", "live"]});
        let with = |plan: &str| {
            let mut content = content.clone();
            content["plan"] = plan.into();
            canonical::digest(&content)
        };
        let mut change = json!({"content": content, "authorised": with("sha256:aa"),
            "votes": [{"digest": with("sha256:aa")}, {"digest": "sha256:of-another-content"}]});
        plan_for_each_environment(&mut change, "sha256:aa".into(), Some("live".into()));
        assert_eq!(change["content"]["plans"], json!({"live": "sha256:aa"}));
        let now = canonical::digest(&change["content"]).to_string();
        assert_eq!((change["authorised"].as_str(), change["votes"][0]["digest"].as_str()), (Some(&*now), Some(&*now)));
        assert_eq!(change["votes"][1]["digest"], "sha256:of-another-content");
    }

    #[test]
    fn a_package_is_remembered_by_its_components_with_the_release_that_brought_it() {
        let package =
            |deployment: &str, at_ms: u32, package: Value| json!({"deployment": deployment, "at_ms": at_ms, "package": package});
        let packages = [
            package("DEP-2", 20, json!({"api": ["1.1", "sha256:b"], "web": ["1.0", "sha256:w"]})),
            package("DEP-1", 10, json!({"api": ["1.0", "sha256:a"], "web": ["1.0", "sha256:w"]})),
        ];
        let verified = by_component(&packages, &BTreeMap::from([("DEP-2".into(), json!("REL-2"))]));
        assert_eq!(
            verified,
            json!({"api": [
                    {"deployment": "DEP-2", "version": "1.1", "digest": "sha256:b", "at_ms": 20, "release": "REL-2"},
                    {"deployment": "DEP-1", "version": "1.0", "digest": "sha256:a", "at_ms": 10}],
                "web": [{"deployment": "DEP-2", "version": "1.0", "digest": "sha256:w", "at_ms": 20, "release": "REL-2"}]})
        );
    }
}
