//! Whole series through the public API of a real server, held against answers that an independent script computed.
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use tidegate_example_openstack::data::Series;
use tidegate_example_openstack::load::Server;
use tidegate_example_openstack::series::{self, is_candidate, is_mark};
use tidegate_testkit::{Api, TestServer};

const DAY_MS: i64 = 86_400_000;

fn data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("TIDEGATE_SHARED").map_or_else(beside, PathBuf::from);
    Some(shared.join("data/openstack-releases")).filter(|folder| folder.is_dir())
}

/// Every row of a list, page by page.
async fn all(api: &Api, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("{path}{}limit=200{after}", if path.contains('?') { '&' } else { '?' })).await.good();
        rows.extend(page["rows"].as_array().expect("a page has rows").iter().map(|row| row["value"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return rows,
        }
    }
}

fn date(at_ms: i64) -> jiff::civil::Date {
    jiff::Timestamp::from_millisecond(at_ms).expect("an instant").to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// `2019-W09`, as the answers name weeks.
fn iso_week(at_ms: i64) -> String {
    let week = date(at_ms).iso_week_date();
    format!("{}-W{:02}", week.year(), week.week())
}

fn counts(value: &Value) -> BTreeMap<String, u64> {
    let entries = value.as_object().expect("counts by name").iter();
    entries.map(|(name, count)| (name.clone(), count.as_u64().expect("a count"))).collect()
}

/// One series on a fresh server, and the answers for it.
struct Told {
    server: TestServer,
    expected: Value,
    series: Series,
    published: String,
    candidates: String,
    ended: String,
    _data: tempfile::TempDir,
}

async fn told(folder: &std::path::Path, name: &str) -> Told {
    let data = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(data.path()).await;
    let read = Series::read(folder, name).expect("the series can be read");
    let load = series::load(&read, 0).expect("the series has a form here");
    let door = Server { address: server.admin.base.clone(), token: server.admin.token.clone() };
    let loaded = door.load(&load, |_| ()).await.expect("the server takes it");
    assert_eq!((loaded.recorded as usize, loaded.known, loaded.freezes), (load.records(), 0, 2));
    // Loading it again changes nothing.
    let before = server.admin.get("/audit").await.good()["events"].clone();
    let program = tokio::process::Command::new(env!("CARGO_BIN_EXE_load-openstack"))
        .args([folder.as_os_str(), name.as_ref()])
        .envs([("TIDEGATE_SERVER", &door.address), ("TIDEGATE_TOKEN", &door.token)])
        .output();
    let ended = program.await.expect("the program runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let line = format!("{name}: 0 recorded, {} known before, 0 freezes declared, ", loaded.recorded);
    assert!(said.starts_with(&line), "{said}");
    let audit = server.admin.get("/audit").await.good();
    assert_eq!((&audit["events"], &audit["broken"]), (&before, &Value::Null));
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).expect("the answers")).expect("JSON");
    Told {
        server,
        expected: expected[name].clone(),
        series: read,
        published: name.to_owned(),
        candidates: format!("{name}-candidates"),
        ended: format!("{name}-ended"),
        _data: data,
    }
}

impl Told {
    async fn dora(&self) -> Value {
        let environments = format!("{},{},{}", self.published, self.candidates, self.ended);
        self.server.admin.get(&format!("/measure/dora?from_ms=1500000000000&environment={environments}")).await.good()
    }

    /// Deliverables and versions: what stands, component by component.
    async fn counts(&self) {
        let deployments = all(&self.server.admin, "/deployments").await;
        let components = all(&self.server.admin, "/components").await;
        let deliverables = &self.expected["deliverables"];
        // One that was deployed twice stands once.
        let mut standing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for deployment in deployments.iter().filter(|it| it["state"] == "succeeded") {
            for (component, version) in deployment["versions"].as_object().expect("versions") {
                standing.entry(component.clone()).or_default().insert(version.as_str().expect("a version").to_owned());
            }
        }
        assert_eq!(
            standing.values().map(BTreeSet::len).sum::<usize>() as u64,
            deliverables["version_entries"].as_u64().expect("a count")
        );
        let mut defined = 0;
        for (name, deliverable) in &self.series.deliverables {
            let own = name.to_lowercase().replace('_', "-");
            defined += u64::from(components.iter().any(|it| it["name"] == own.as_str()));
            let versions: BTreeSet<String> = deliverable.releases.iter().map(|it| it.version.clone()).collect();
            let found = standing.remove(&own).unwrap_or_default();
            assert_eq!(found, versions, "versions of {name}");
        }
        assert_eq!(Some(defined), deliverables["count"].as_u64());
        assert!(standing.is_empty(), "deliverables that the files do not have: {standing:?}");
        let without: Vec<&String> =
            self.series.deliverables.iter().filter(|(_, it)| it.releases.is_empty()).map(|(name, _)| name).collect();
        let expected = deliverables["without_any_version"].as_array().expect("a list");
        assert_eq!(without.len(), expected.len(), "deliverables without a version");
        for deployment in &deployments {
            let are = |what: fn(&str) -> bool| {
                deployment["versions"].as_object().expect("versions").values().all(|it| what(it.as_str().unwrap_or("")))
            };
            let place = match (are(is_candidate), are(is_mark)) {
                (true, _) => &self.candidates,
                (_, true) => &self.ended,
                _ => &self.published,
            };
            assert_eq!(deployment["environment"], place.as_str(), "{deployment}");
        }
    }

    /// The schedule: weeks, and the events of each.
    async fn schedule(&self) {
        let releases = all(&self.server.admin, "/releases").await;
        let [train] = releases.as_slice() else { panic!("there is one train, not {}", releases.len()) };
        let schedule = &self.expected["schedule"];
        let at = |field: &str| train[field].as_i64().expect("an instant");
        assert_eq!(date(at("created_at_ms")).to_string(), schedule["first_start"].as_str().expect("a date"));
        assert_eq!(date(at("closed_at_ms")).to_string(), schedule["last_end"].as_str().expect("a date"));
        let weeks = (at("closed_at_ms") - at("created_at_ms")) / (7 * DAY_MS) + 1;
        assert_eq!(Some(weeks), schedule["weeks"].as_i64());
        let milestones = train["milestones"].as_array().expect("milestones");
        let events = schedule["x_project_events"].as_u64().zip(schedule["project_specific_events"].as_u64());
        assert_eq!(Some(milestones.len() as u64), events.map(|(everybody, some)| everybody + some));
        let mut by_week: BTreeMap<String, u64> = BTreeMap::new();
        for milestone in milestones {
            *by_week.entry(iso_week(milestone["at_ms"].as_i64().expect("an instant"))).or_default() += 1;
        }
        let expected =
            schedule["events_by_week"].as_object().expect("events").values().map(|it| it.as_array().map_or(0, Vec::len) as u64);
        let (mut expected, mut found): (Vec<u64>, Vec<u64>) = (expected.collect(), by_week.into_values().collect());
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "events of each week");
    }

    /// Release requests: how many in which week, their lead times, and the reverts.
    async fn requests(&self) {
        let dora = self.dora().await;
        let expected = &self.expected["release_requests"];
        let by = |field: &str| -> BTreeMap<String, u64> {
            let weeks = dora["weeks"].as_array().expect("weeks").iter();
            let counted = weeks
                .map(|week| (iso_week(week["starts_at_ms"].as_i64().expect("an instant")), week[field].as_u64().unwrap_or(0)));
            counted.filter(|(_, count)| *count > 0).collect()
        };
        assert_eq!(by("changes"), counts(&expected["requests_per_iso_week"]));
        assert_eq!(by("deployments"), counts(&expected["versions_per_iso_week"]));
        assert_eq!(Some(by("changes").len() as u64), expected["weeks_with_at_least_one"].as_u64());
        assert_eq!(dora["deployments"], expected["versions_added"]);
        let (lead, answer) = (&dora["change_lead_time"], &expected["lead_time_seconds"]);
        assert_eq!(lead["count"], answer["n"]);
        assert_eq!(dora["left_out_negative"].as_u64(), answer["negative_excluded"].as_array().map(|it| it.len() as u64));
        let pairs = [
            (&lead["mean"], "mean"),
            (&lead["linear"]["p50"], "median"),
            (&lead["linear"]["p75"], "p75_linear"),
            (&lead["linear"]["p90"], "p90_linear"),
            (&lead["linear"]["p95"], "p95_linear"),
            (&lead["nearest_rank"]["p75"], "p75_nearest_rank"),
            (&lead["nearest_rank"]["p90"], "p90_nearest_rank"),
            (&lead["nearest_rank"]["p95"], "p95_nearest_rank"),
        ];
        for (found, name) in pairs {
            let (found, right) = (found.as_f64().expect("a number"), answer[name].as_f64().expect("a number"));
            assert!((found - right).abs() < 0.001, "{name}: {found}, not {right}");
        }
        let changes = all(&self.server.admin, "/changes").await;
        let merged = changes.iter().filter(|it| it["implemented"].as_object().is_some_and(|it| !it.is_empty())).count();
        assert_eq!(Some(merged as u64), expected["count_merged"].as_u64());
        let reverts = changes.iter().filter(|it| it["content"]["title"].as_str().is_some_and(|it| it.starts_with("Revert ")));
        let reverts: Vec<&Value> = reverts.collect();
        assert_eq!(Some(reverts.len() as u64), expected["reverts"].as_u64());
        assert!(reverts.iter().all(|it| it["repairs"] == true), "{reverts:?}");
    }

    /// Versions of libraries that were merged after their freeze had begun.
    async fn freezes(&self) {
        let freezes = all(&self.server.admin, "/freezes").await;
        for (event, answer) in self.expected["deadline_compliance"].as_object().expect("deadlines") {
            let name = format!("{} {event}", self.published);
            let freeze = freezes.iter().find(|it| it["name"] == name.as_str()).unwrap_or_else(|| panic!("no freeze {name}"));
            let passages =
                self.server.admin.get(&format!("/freezes/{}/deployments", freeze["id"].as_str().expect("an id"))).await.good();
            assert_eq!(passages["complete"], true);
            let rows = passages["rows"].as_array().expect("rows");
            let mut found: Vec<String> = rows
                .iter()
                // Of those without a merge time nobody can say whether they were late.
                .filter(|row| row["exact"] == true)
                .inspect(|row| assert_eq!(row["passage"], "elsewhere"))
                .flat_map(|row| row["versions"].as_object().expect("versions"))
                .map(|(component, version)| format!("{component} {}", version.as_str().unwrap_or_default()))
                .collect();
            let items = answer["items"].as_array().expect("items").iter();
            let mut expected: Vec<String> = items
                .map(|it| {
                    format!("{} {}", it["deliverable"].as_str().unwrap_or_default(), it["version"].as_str().unwrap_or_default())
                })
                .collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{name}");
        }
    }

    async fn end(self) {
        self.server.running.stop().await;
    }
}

async fn holds(name: &str) {
    let Some(folder) = data() else {
        println!("skipped: no reference data (set TIDEGATE_SHARED)");
        return;
    };
    let told = told(&folder, name).await;
    told.counts().await;
    told.schedule().await;
    told.requests().await;
    told.freezes().await;
    told.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stein_is_told_as_it_was() {
    holds("stein").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_is_told_as_it_was() {
    holds("victoria").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caracal_is_told_as_it_was() {
    holds("caracal").await;
}
