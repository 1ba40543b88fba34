//! Requests that no client would send: nothing breaks, and nothing passes that should not.

use std::fmt::Write as _;

use serde_json::json;
use tidegate_testkit::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::openapi::operations;
use crate::stage::Stage;

const REQUESTS: usize = 10_000;
const METHODS: [&str; 12] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "POST ", "CONNECT", "PROPFIND"];
const RUBBISH: [&str; 20] = [
    "..",
    "%2e%2e",
    "%00",
    "%ff",
    "%2f",
    "a b",
    "\u{1f4a3}",
    "''",
    "\"",
    "<script>",
    "{id}",
    "-1",
    "0",
    "99999999999999999999",
    "CHG-",
    "DEP-x-FB",
    "null",
    "%25%30%30",
    ";",
    "\\",
];

const HEADERS: [&str; 15] = [
    "if-match: \"1\"\r\n",
    "if-match: W/x\r\n",
    "idempotency-key: k\r\n",
    "idempotency-key: 12345678\r\n",
    "last-event-id: x\r\n",
    "x-request-id: \u{7f}\r\n",
    "accept: */*, text/html;q=x\r\n",
    "accept-encoding: gzip, zip\r\n",
    "content-encoding: gzip\r\n",
    "expect: 200-maybe\r\n",
    "range: bytes=9-1\r\n",
    "cookie: tidegate_session\r\n",
    "x-forwarded-for: 127.0.0.1\r\n",
    "x-http-method-override: DELETE\r\n",
    "sec-fetch-site: cross-site\r\n",
];

/// Whether a body is as long as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Right,
    Wrong,
}

type Door = (String, String, serde_json::Value);

/// One request as bytes, and whether it carries a credential that lets it read.
fn request(dice: &mut Dice, stage: &Stage, (doors, credentials): (&[Door], &[(String, bool)])) -> (Vec<u8>, bool, Length) {
    let (path, method, _) = dice.pick(doors).clone();
    let mut at = format!("/api/v1{}", stage.path(&path));
    for _ in 0..dice.below(3) {
        at = mangled_path(dice, &at);
    }
    let method = if dice.one_in(3) { (*dice.pick(&METHODS)).to_owned() } else { method };
    let (credential, reads) = dice.pick(credentials).clone();
    let body = mangled_body(dice, &stage.body("POST", &path).to_string());
    let mut head = format!("{method} {at} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{credential}");
    for _ in 0..dice.below(3) {
        let header = *dice.pick(&HEADERS);
        head.push_str(header);
    }
    let kind = dice.pick(&["application/json", "text/plain", "application/x-www-form-urlencoded", ""]);
    let announced = if dice.one_in(10) { Length::Wrong } else { Length::Right };
    let length = if announced == Length::Wrong { dice.below(40) } else { body.len() };
    let _ = write!(head, "content-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    (bytes, reads, announced)
}

fn mangled_path(dice: &mut Dice, path: &str) -> String {
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let at = dice.below(parts.len());
    match dice.below(6) {
        0 => (*dice.pick(&RUBBISH)).clone_into(&mut parts[at]),
        1 => parts.insert(at, (*dice.pick(&RUBBISH)).to_owned()),
        2 => drop(parts.remove(at)),
        3 => parts[at] = parts[at].to_uppercase(),
        4 => parts[at].push_str(&"x".repeat(dice.below(3_000))),
        _ => parts.push(format!(
            "?{}={}&{}",
            dice.pick(&["limit", "after", "sort", "text"]),
            dice.pick(&RUBBISH),
            dice.pick(&RUBBISH)
        )),
    }
    parts.join("/")
}

fn mangled_body(dice: &mut Dice, good: &str) -> Vec<u8> {
    let mut body = good.as_bytes().to_vec();
    for _ in 0..dice.below(4) {
        if body.is_empty() {
            break;
        }
        let at = dice.below(body.len());
        match dice.below(5) {
            0 => body[at] = (dice.roll() & 0xff) as u8,
            1 => drop(body.remove(at)),
            2 => body.insert(at, *dice.pick(b"{}[]\",:0-.\\\0")),
            3 => body.truncate(at),
            _ => body.extend_from_within(at..),
        }
    }
    body
}

/// The head of the answer; nothing if the server closed without one.
async fn send(address: std::net::SocketAddr, (bytes, length): (&[u8], Length)) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    // It may have answered and closed before it has read everything.
    drop(stream.write_all(bytes).await);
    if length == Length::Wrong {
        // What was announced longer than it is must not be waited for.
        drop(stream.shutdown().await);
    }
    let mut answer = vec![0; 4_096];
    let mut length = 0;
    while length < answer.len() && !answer[..length].windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut answer[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

async fn credentials(stage: &Stage) -> Vec<(String, bool)> {
    let viewer = stage.server.person("vera", json!([{"role": "viewer", "scope": "all"}])).await;
    let none = stage.server.person("noel", json!([])).await;
    let bearer = |token: &str, reads| (format!("authorization: Bearer {token}\r\n"), reads);
    let token = viewer.token.clone();
    vec![
        (String::new(), false),
        bearer("", false),
        bearer("rubbish", false),
        bearer(&token[..token.len() - 2], false),
        bearer(&token.to_uppercase(), false),
        (format!("authorization: Basic {token}\r\n"), false),
        (format!("authorization: {token}\r\n"), false),
        (format!("cookie: tidegate_session={token}\r\n"), false),
        (format!("x-token: {token}\r\n"), false),
        bearer(&none.token, true),
        bearer(&token, true),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_ten_thousand_mangled_requests_change_nothing() {
    let seed = std::env::var("TIDEGATE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121);
    println!("TIDEGATE_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let credentials = credentials(&stage).await;
    let doors = operations();
    let before = stage.server.admin.events().await;
    let mut dice = Dice::new(seed);
    let mut answered = std::collections::BTreeMap::<u16, u32>::new();
    for number in 0..REQUESTS {
        let (bytes, reads, length) = request(&mut dice, &stage, (&doors, &credentials));
        let told = || String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
        let answer = send(stage.server.running.address, (&bytes, length)).await;
        let status = status(&answer);
        *answered.entry(status).or_default() += 1;
        assert!(status < 500, "seed {seed}, request {number}: {answer}\n{}", told());
        let good = (200..400).contains(&status);
        let writes = !["GET", "HEAD"].iter().any(|method| bytes.starts_with(method.as_bytes()));
        // Looking at definitions stores nothing, and the public pages say nothing.
        assert!(!good || reads || is_public(&told()), "seed {seed}, request {number} passed: {answer}\n{}", told());
        assert!(!good || !writes, "seed {seed}, request {number} was carried out: {answer}\n{}", told());
    }
    println!("answers by status: {answered:?}");
    assert!(answered.len() > 5, "{answered:?}");
    assert_eq!(stage.server.admin.events().await, before, "seed {seed}: something was stored");
    stage.server.running.stop().await;
}

fn is_public(request: &str) -> bool {
    let path = request.split(' ').nth(1).unwrap_or_default();
    ["/login", "/healthz", "/readyz", "/api/openapi.json", "/assets/", "/docs/"].iter().any(|public| path.starts_with(public))
}
