//! A server for a fuzzer: the program that is named as the first argument, on a fresh folder, with an estate, one of each thing, and
//! one person for each role. Says as one JSON object where it is, with whose tokens and what there is, and ends with its input.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tidegate_domain::Name;
use tidegate_domain::access::Role;
use tidegate_domain::change::Content;
use tidegate_testkit::{Api, Estate, Fleet};

/// Targets of the estate.
const TARGETS: usize = 4;
/// Seconds for which the tokens are good: longer than any fuzzer may run.
const TOKEN_SECONDS: u32 = 3_600;
/// Milliseconds since 1970 between which the freeze holds: all of 2199, so that it stops nothing.
const FREEZE_MS: (i64, i64) = (7_226_582_400_000, 7_258_118_400_000 - 1);

#[tokio::main]
async fn main() {
    let program = std::env::args_os().nth(1).expect("the program as the first argument");
    // Clients want one even where nothing is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, base) = started(program.as_ref(), folder.path());
    let api = Api::new(base, first_token(program.as_ref(), folder.path()));
    let people = people(&api).await;
    let things = things(&api).await;
    let told = json!({"base": api.base, "people": people, "things": things});
    writeln!(std::io::stdout(), "{told}").expect("somebody reads");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.expect("it waits").expect("an end");
    let ended = server.0.try_wait().expect("a process");
    assert!(ended.is_none(), "the server ended by itself: {ended:?}");
}

/// The server's process, which ends with us, also if something goes wrong here.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is kept, so that it need not end in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, and its address. What else it says, its log included, goes to our standard error.
fn started(program: &Path, data: &Path) -> (Server, String) {
    let mut command = Command::new(program);
    command
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        // A fuzzer asks as often as it can, with good tokens and with made-up ones.
        .args(["--token-requests-per-second", "0", "--stranger-requests-per-second", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut server = Server(command.spawn().expect("the program starts"));
    let mut lines = BufReader::new(server.0.stderr.take().expect("its words")).lines().map_while(Result::ok);
    let base = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned)).expect("it says where it listens");
    std::thread::spawn(move || {
        for line in lines {
            // Whoever does not listen any more misses nothing.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    });
    (server, base)
}

fn first_token(program: &Path, data: &Path) -> String {
    let mut command = Command::new(program);
    command.args(["token", "create", "--person", "admin", "--label", "fuzzer", "--output", "json", "--data"]).arg(data);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    secret(&serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn secret(made: &Value) -> String {
    made["secret"].as_str().expect("a secret").to_owned()
}

/// One person for each role, trusted with it everywhere, and their tokens.
async fn people(api: &Api) -> Value {
    let mut people = serde_json::Map::new();
    for role in Role::ALL {
        let name = role.as_str().replace('_', "-");
        let person = json!({"name": name, "grants": [{"role": role, "scope": "all"}]});
        api.post("/definitions", &json!({"definitions": [{"person": person}]})).await.good();
        let request = json!({"person": name, "label": "fuzzer", "valid_seconds": TOKEN_SECONDS});
        people.insert(role.as_str().to_owned(), secret(&api.post("/tokens", &request).await.good()).into());
    }
    people.into()
}

/// An estate and one of each thing, and by which name or id they are found.
async fn things(api: &Api) -> Value {
    let estate = Estate::define(api, TARGETS).await;
    estate.bring("1.0").await;
    estate.bring("1.1").await;
    let strategy = json!({"cut": {"canary": {"first": 1, "then": ["50%"]}}, "after_each": [{"approval": {"quorum": 1}}]});
    let named = json!({"strategy": {"name": "canary", "strategy": strategy}});
    api.post("/definitions", &json!({"definitions": [named]})).await.good();
    let idle = estate.plan("1.0", json!({})).await.good();
    // They have agents that may be ordered something, and never ask: what is under way stays so until the fuzzer ends it.
    let targets: Vec<Name> = (1..=TARGETS).map(|number| Name::parse(&format!("t-{number:02}")).expect("a name")).collect();
    Fleet::enrol(api, &targets).await;
    let under_way = estate.deploy("1.1", strategy).await;
    let content = json!({"title": "New prices", "class": "normal", "application": "shop", "environments": ["test"],
        "versions": {"shop": "1.0"}});
    let draft = api.post("/changes", &json!({"content": content})).await.good();
    let submitted = id(&api.post("/changes", &json!({"content": content})).await.good());
    let content: Content = serde_json::from_value(
        api.post(&format!("/changes/{submitted}/submit"), &json!({})).await.good()["value"]["content"].take(),
    )
    .expect("a content");
    let release = json!({"application": "shop", "version": "1.0", "title": "Spring", "versions": {"shop": "1.0"}});
    let release = api.post("/releases", &release).await.good();
    let (from_ms, until_ms) = FREEZE_MS;
    let freeze =
        json!({"name": "Far", "reason": "To be looked at", "environments": ["test"], "from_ms": from_ms, "until_ms": until_ms});
    let freeze = api.post("/freezes", &freeze).await.good();
    let deployment = &idle["deployment"];
    json!({
        "names": ["shop", "test", "t-01", "t-02", "canary", "viewer", "developer"],
        "versions": ["1.0", "1.1"],
        "deployments": [deployment["id"], under_way],
        "changes": [id(&draft), submitted],
        "releases": [id(&release)],
        "freezes": [id(&freeze)],
        "digests": [deployment["plan"], content.digest()],
    })
}

fn id(thing: &Value) -> String {
    thing["value"]["id"].as_str().expect("an id").to_owned()
}
