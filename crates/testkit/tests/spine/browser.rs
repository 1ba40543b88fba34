//! Browsers: sign-in links, sessions, forms and what every answer says to a browser.

use std::fmt::Write as _;

use expect_test::expect;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::json;
use tidegate_server::Running;
use tidegate_testkit::TestServer;

use crate::stage::Stage;

/// A browser that follows nothing by itself.
pub struct Browser {
    base: String,
    http: reqwest::Client,
    cookie: String,
}

pub struct Page {
    pub status: u16,
    headers: HeaderMap,
    pub text: String,
}

impl Browser {
    pub fn new(server: &TestServer) -> Browser {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Browser { base: server.admin.base.clone(), http, cookie: String::new() }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let response = request.header(COOKIE, &self.cookie).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Page { status, headers, text: response.text().await.expect("a page") }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, form: &str) -> Page {
        let request = self.http.post(format!("{}{path}", self.base)).body(form.to_owned());
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Signs in and returns the cookie as it was set.
    pub async fn sign_in(&mut self, running: &Running) -> String {
        self.sign_in_as(running, "admin").await
    }

    pub async fn sign_in_as(&mut self, running: &Running, person: &str) -> String {
        let link = tidegate_server::link_for(running, person).await.expect("a link");
        self.follow(&link).await
    }

    /// Uses a link up and returns the cookie as it was set.
    async fn follow(&mut self, link: &str) -> String {
        let page = self.post("/login", &format!("token={}", token(link))).await;
        assert_eq!((page.status, page.headers[LOCATION].to_str().expect("text")), (303, "/"), "{}", page.text);
        let set = page.headers[SET_COOKIE].to_str().expect("text").to_owned();
        set.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        set
    }

    async fn csrf(&self) -> String {
        let page = self.get("/freezes").await;
        let field = page.text.split("name=\"csrf\" value=\"").nth(1).expect("a form with its proof");
        field.split('"').next().unwrap_or_default().to_owned()
    }
}

fn token(link: &str) -> &str {
    link.split("token=").nth(1).expect("a token")
}

/// A link for the administrator, made as the command line makes it, beside a server that runs.
async fn login_link(running: &Running) -> String {
    let data = running.app.settings.data.clone();
    let config = tidegate_server::Config { listen: running.address, ..tidegate_testkit::config(&data) };
    tidegate_server::login_link(&config, "admin").await.expect("a link")
}

#[tokio::test]
async fn the_first_start_prints_a_link_and_no_later_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let link = server.running.login_link.clone().expect("a link");
    assert!(link.starts_with(&format!("{}/login?token=", server.admin.base)), "{link}");
    let server = server.restart(folder.path()).await;
    assert!(server.running.login_link.is_none());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join("server.key")).expect("a key").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    server.running.stop().await;
}

#[tokio::test]
async fn a_link_signs_in_once_and_looking_at_it_does_not_use_it_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let mut browser = Browser::new(&server);
    let link = login_link(&server.running).await;
    for _ in 0..3 {
        let page = browser.get(&format!("/login?token={}", token(&link))).await;
        assert!(page.status == 200 && page.text.contains("Sign in as admin"), "{}", page.text);
    }
    let form = format!("token={}", token(&link));
    let first = browser.post("/login", &form).await;
    assert_eq!(first.status, 303);
    browser.cookie = first.headers[SET_COOKIE].to_str().expect("text").split(';').next().unwrap_or_default().to_owned();
    assert_eq!(browser.get("/").await.status, 200);
    let second = Browser::new(&server).post("/login", &form).await;
    assert_eq!((second.status, second.headers.get(SET_COOKIE)), (401, None));
    server.running.stop().await;
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_is_signed_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let link = login_link(&server.running).await;
    let form = format!("token={}", token(&link));
    let browsers: Vec<Browser> = (0..8).map(|_| Browser::new(&server)).collect();
    let pages = futures_util::future::join_all(browsers.iter().map(|browser| browser.post("/login", &form))).await;
    assert_eq!(pages.iter().filter(|page| page.status == 303).count(), 1);
    server.running.stop().await;
}

#[tokio::test]
async fn links_and_sessions_expire_and_signing_out_ends_a_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let mut browser = Browser::new(&server);
    // The link is made by the server's clock here, which the test moves.
    let link = server.running.login_link.clone().expect("a link");
    server.pass_ms(15 * 60 * 1_000);
    assert_eq!(browser.post("/login", &format!("token={}", token(&link))).await.status, 401);
    browser.sign_in(&server.running).await;
    assert_eq!(browser.get("/").await.status, 200);
    let csrf = browser.csrf().await;
    let out = browser.post("/logout", &format!("csrf={csrf}")).await;
    assert!(out.headers[SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, 401, "the cookie opens nothing any more, also if the browser keeps it");
    browser.sign_in(&server.running).await;
    server.pass_ms(14 * 3_600 * 1_000);
    assert_eq!(browser.get("/").await.status, 401);
    server.running.stop().await;
}

#[tokio::test]
async fn the_cookie_is_for_this_server_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let set = Browser::new(&server).sign_in(&server.running).await;
    let flags: Vec<&str> = set.split("; ").skip(1).collect();
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=50400"]);
    server.running.stop().await;
    let secure = tempfile::tempdir().expect("a folder");
    let config =
        tidegate_server::Config { public_url: Some("https://gate.example".into()), ..tidegate_testkit::config(secure.path()) };
    let server = TestServer::with(config, tidegate_server::clock::Clock::System, None).await;
    let set = Browser::new(&server).sign_in(&server.running).await;
    assert!(set.ends_with("; Secure"), "{set}");
    server.running.stop().await;
}

#[tokio::test]
async fn a_form_is_taken_only_from_a_page_of_the_same_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let server = &stage.server;
    let (mut browser, mut other) = (Browser::new(server), Browser::new(server));
    browser.sign_in(&server.running).await;
    other.sign_in(&server.running).await;
    let (own, foreign) = (browser.csrf().await, other.csrf().await);
    assert_ne!(own, foreign);
    let before = server.admin.events().await;
    let (change, deployment, freeze) = (stage.thing("change"), stage.thing("deployment"), stage.thing("freeze"));
    let release = stage.thing("release");
    let forms = [
        "/freezes".to_owned(),
        format!("/freezes/{freeze}/lift"),
        format!("/freezes/{freeze}/exceptions"),
        format!("/changes/{change}/submit"),
        format!("/changes/{change}/vote"),
        format!("/changes/{change}/cancel"),
        format!("/deployments/{deployment}/start"),
        format!("/deployments/{deployment}/stop"),
        format!("/deployments/{deployment}/pause"),
        format!("/deployments/{deployment}/targets/t-01/retry"),
        format!("/releases/{release}/plan"),
        format!("/releases/{release}/reject"),
        "/targets/t-01/enrol".to_owned(),
        "/environments/promote".to_owned(),
        "/audit/verify".to_owned(),
        "/tokens".to_owned(),
        "/tokens/TOK-0000000000000000/end".to_owned(),
        "/people/admin/link".to_owned(),
        "/logout".to_owned(),
    ];
    for form in &forms {
        for proof in [
            String::new(),
            "csrf=".into(),
            format!("csrf={foreign}"),
            "csrf=rubbish".into(),
            format!("CSRF={own}"),
            format!("csrf={foreign}&csrf={own}"),
        ] {
            let page = browser.post(form, &format!("reason=x&{proof}")).await;
            assert_eq!(page.status, 403, "{form} with \"{proof}\"");
        }
        let nobody = Browser::new(server).post(form, &format!("csrf={own}&reason=x")).await;
        assert_eq!(nobody.status, 401, "{form} without a cookie");
        let elsewhere = browser.http.post(format!("{}{form}", browser.base)).header("sec-fetch-site", "cross-site");
        let elsewhere = elsewhere.header("content-type", "application/x-www-form-urlencoded").body(format!("csrf={own}"));
        assert_eq!(browser.send(elsewhere).await.status, 403, "{form} from another site");
    }
    // The cookie opens reading alone at the doors of programs.
    assert_eq!(browser.get("/api/v1/whoami").await.status, 200);
    for (path, body) in
        [("/api/v1/changes", json!({"content": crate::stage::content("x")})), ("/api/v1/definitions", json!({"definitions": []}))]
    {
        let request = browser.http.post(format!("{}{path}", browser.base)).json(&body);
        assert_eq!(browser.send(request).await.status, 401, "{path}");
    }
    assert_eq!(server.admin.events().await, before, "something was stored");
    let page = browser.post(&format!("/changes/{change}/submit"), &format!("csrf={own}")).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(server.admin.events().await, before + 2);
    stage.server.running.stop().await;
}

#[tokio::test]
async fn every_answer_tells_browsers_what_they_may_not_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let mut browser = Browser::new(&server);
    browser.sign_in(&server.running).await;
    for path in [
        "/",
        "/login",
        "/freezes",
        "/nothing",
        "/healthz",
        "/api/openapi.json",
        "/api/v1/whoami",
        "/api/v1/nothing",
        "/assets/tidegate.css",
        "/agent/v1/nothing",
        "/docs/errors/nothing",
    ] {
        let page = browser.get(path).await;
        let header = |name: &str| page.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!((header("x-content-type-options"), header("x-frame-options")), ("nosniff".into(), "DENY".into()), "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert!(!header("x-request-id").is_empty(), "{path}");
    }
    server.running.stop().await;
}

/// Everything that a list or a page of the navigation shows.
const PAGES: [&str; 16] = [
    "/",
    "/calendar",
    "/calendar?view=quarter",
    "/releases",
    "/deployments",
    "/changes",
    "/freezes",
    "/environments",
    "/targets",
    "/artifacts",
    "/audit",
    "/people",
    "/people?text=nobody&sort=name",
    "/tokens",
    "/tokens?state=ended&text=laptop",
    "/settings",
];

#[tokio::test]
async fn every_page_opens_for_an_administrator_empty_and_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let mut browser = Browser::new(&server);
    browser.sign_in(&server.running).await;
    for path in PAGES {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
    }
    server.running.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let mut browser = Browser::new(&stage.server);
    browser.sign_in(&stage.server.running).await;
    for path in PAGES.into_iter().chain(["/targets/t-01", "/environments?from=test&to=test", "/audit?noun=change&actor=admin"]) {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
    }
    for (path, status) in [
        // As a filter's form writes it: fields that were left empty say nothing.
        ("/releases?text=1.1&application=&environment=&state=&sort=newest", 200),
        ("/targets?text=&environment=&state=&sort=name", 200),
        ("/audit?noun=&actor=&stream=", 200),
        ("/calendar?view=month&at=2026-11-26&application=&environment=", 200),
        ("/environments?application=&from=&to=", 200),
        ("/releases?application=Not%20A%20Name", 400),
        ("/releases?limit=0", 400),
        ("/releases?nothing=1", 400),
        ("/calendar?at=yesterday", 400),
        ("/calendar?at=2026-02-30", 400),
        ("/calendar?day=99999-01-01", 400),
        ("/calendar?application=Not%20A%20Name", 400),
        ("/audit?actor=nobody:x", 400),
        ("/audit?stream=nothing", 400),
        ("/targets/nobody", 404),
        ("/insights?environment=nope", 404),
        ("/insights?application=nope", 404),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
    }
    stage.server.running.stop().await;
}

#[tokio::test]
async fn a_token_and_a_link_are_made_by_page_and_shown_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let everything = json!([{"role": "viewer", "scope": "all"}]);
    let vera = server.person("vera", everything).await;
    let mut browser = Browser::new(&server);
    browser.sign_in(&server.running).await;
    let csrf = browser.csrf().await;
    let made = browser.post("/tokens", &format!("csrf={csrf}&label=kitchen-radio&days=1")).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let secret = made.text.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next()).expect("a secret");
    let asked = browser.http.get(format!("{}/api/v1/whoami", browser.base)).bearer_auth(secret);
    assert_eq!(browser.send(asked).await.status, 200);
    let listed = browser.get("/people").await;
    assert!(listed.text.contains("kitchen-radio") && !listed.text.contains(secret));
    let link = browser.post("/people/vera/link", &format!("csrf={csrf}")).await;
    let link = link.text.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next()).expect("a link").to_owned();
    let mut veras = Browser::new(&server);
    veras.follow(&link).await;
    // Who may not administer makes tokens of their own, and links for nobody.
    assert!(browser.get("/tokens?text=kitchen").await.text.contains("kitchen-radio"));
    assert!(!browser.get("/tokens?state=ended").await.text.contains("kitchen-radio"));
    assert!(browser.get("/people?text=vera").await.text.contains("/people/vera/link"));
    let hers = veras.get("/tokens").await;
    assert!(hers.status == 200 && !hers.text.contains("kitchen-radio"), "everybody sees their own: {}", hers.text);
    let theirs = veras.get("/people").await;
    assert!(theirs.status == 200 && !theirs.text.contains("kitchen-radio") && !theirs.text.contains("/people/admin/link"));
    let csrf = veras.csrf().await;
    assert_eq!(veras.post("/people/admin/link", &format!("csrf={csrf}")).await.status, 403);
    let settings = veras.get("/settings").await;
    assert!(settings.status == 403 && !settings.text.contains("server.key"), "{}", settings.text);
    assert!(!theirs.text.contains("href=\"/settings\""), "nobody is led where they may not go");
    let settings = browser.get("/settings").await;
    assert!(
        settings.text.contains("--token-requests-per-second") && settings.text.contains("tidegate backup "),
        "{}",
        settings.text
    );
    assert_eq!(veras.get("/audit").await.status, 200, "she reads everywhere");
    drop(vera);
    server.running.stop().await;
}

#[tokio::test]
async fn pages_show_no_more_than_the_visitor_may_see() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let server = &stage.server;
    let elsewhere =
        json!({"definitions": [{"application": {"name": "bank"}}, {"environment": {"name": "vault", "tier": "test"}}]});
    server.admin.post("/definitions", &elsewhere).await.good();
    let scoped = json!([{"role": "operator", "scope": {"environment": "vault"}}]);
    server.person("otto", scoped).await;
    let mut otto = Browser::new(server);
    otto.sign_in_as(&server.running, "otto").await;
    assert!(!otto.get("/targets").await.text.contains("t-01"), "a target of another environment");
    assert_eq!(otto.get("/targets/t-01").await.status, 404);
    assert_eq!(otto.get("/audit").await.status, 403, "the whole history tells about everything");
    let matrix = otto.get("/environments").await.text;
    assert!(matrix.contains("vault") || matrix.contains("nothing to put side by side"), "{matrix}");
    assert!(!matrix.contains(">test<"), "{matrix}");
    let csrf = otto.csrf().await;
    let promote = format!("csrf={csrf}&application=shop&component=shop&version=1.0&environment=test");
    assert_eq!(otto.post("/environments/promote", &promote).await.status, 403);
    assert_eq!(otto.post("/targets/t-01/enrol", &format!("csrf={csrf}")).await.status, 403);
    stage.server.running.stop().await;
}

#[tokio::test]
async fn figures_and_agents_of_other_places_are_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path()).await;
    let server = &stage.server;
    let places = json!({"definitions": [{"environment": {"name": "live", "tier": "production"}},
        {"environment": {"name": "vault", "tier": "production"}}, {"target": {"name": "v-01", "environment": "vault"}},
        {"application": {"name": "books"}}]});
    server.admin.post("/definitions", &places).await.good();
    let ended_at_ms = server.now_ms() - 3_600_000;
    let done = json!({"reference": "run 1", "application": "shop", "environment": "live", "versions": {"shop": "7.0"},
        "started_at_ms": ended_at_ms - 60_000, "ended_at_ms": ended_at_ms});
    server.admin.post("/records", &json!({"source": "ci", "deployments": [done]})).await.good();
    server.person("otto", json!([{"role": "operator", "scope": {"environment": "vault"}}])).await;
    server.person("olga", json!([{"role": "operator", "scope": "all"}])).await;
    server.person("dora", json!([{"role": "developer", "scope": {"application": "shop"}}])).await;
    server.person("bert", json!([{"role": "developer", "scope": {"application": "books"}}])).await;
    let mut told = String::new();
    for person in ["olga", "otto", "dora", "bert"] {
        let mut browser = Browser::new(server);
        browser.sign_in_as(&server.running, person).await;
        let (today, insights) = (browser.get("/").await.text, browser.get("/insights").await.text);
        let counts = |page: &str, what: &str| page.contains(what);
        writeln!(
            told,
            "{person}: one production deployment {}, agents of three targets {}, of one {}, insights made of it {}; test {}, vault {}",
            counts(&today, ">1 production deployment<"),
            counts(&today, " of 3 targets in touch"),
            counts(&today, " of 1 targets in touch"),
            counts(&insights, "Counted from 1 deployment"),
            counts(&today, ">test<"),
            counts(&today, ">vault<"),
        )
        .expect("text");
    }
    expect![[r#"
        olga: one production deployment true, agents of three targets true, of one false, insights made of it true; test true, vault true
        otto: one production deployment false, agents of three targets false, of one true, insights made of it false; test false, vault true
        dora: one production deployment false, agents of three targets true, of one false, insights made of it false; test true, vault false
        bert: one production deployment false, agents of three targets false, of one false, insights made of it false; test false, vault false
    "#]]
    .assert_eq(&told);
    stage.server.running.stop().await;
}
