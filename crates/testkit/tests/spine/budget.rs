//! What a browser is given: little script, and no way to run any other.

use reqwest::header::{ACCEPT_ENCODING, COOKIE, SET_COOKIE};
use tidegate_testkit::TestServer;

/// Bytes of all script together, as it is served.
const SCRIPT_BYTES_MAX: usize = 60_000;

const PAGES: [&str; 15] = [
    "/login",
    "/",
    "/calendar",
    "/releases",
    "/changes",
    "/deployments",
    "/freezes",
    "/environments",
    "/targets",
    "/artifacts",
    "/people",
    "/tokens",
    "/audit",
    "/no-such-page",
    "/deployments?limit=0",
];

#[tokio::test]
async fn all_script_together_is_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/assets");
    let (mut bytes, mut scripts) = (0, 0);
    for entry in std::fs::read_dir(assets).expect("the folder of the files that are served") {
        let name = entry.expect("a file").file_name().into_string().expect("a plain name");
        if std::path::Path::new(&name).extension().is_some_and(|ending| ending == "js") {
            let address = format!("{}/assets/{name}", server.admin.base);
            let request = reqwest::Client::new().get(address).header(ACCEPT_ENCODING, "gzip");
            let answer = request.send().await.and_then(reqwest::Response::error_for_status).expect("it is served");
            bytes += answer.bytes().await.expect("all of it").len();
            scripts += 1;
        }
    }
    assert!(scripts > 0, "there is no script in {assets}");
    assert!(bytes < SCRIPT_BYTES_MAX, "{scripts} scripts have {bytes} bytes");
    server.running.stop().await;
}

#[tokio::test]
async fn every_page_forbids_script_that_is_not_a_file_of_ours_and_has_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let link = tidegate_server::link_for(&server.running, "admin").await.expect("a link");
    let token = link.split("token=").nth(1).expect("a token");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let form = http.post(format!("{}/login", server.admin.base)).body(format!("token={token}"));
    let signed_in = form.header("content-type", "application/x-www-form-urlencoded").send().await.expect("an answer");
    let cookie = signed_in.headers()[SET_COOKIE].to_str().expect("text").split(';').next().expect("a cookie").to_owned();
    for place in PAGES {
        let request = http.get(format!("{}{place}", server.admin.base)).header(COOKIE, &cookie);
        let page = request.send().await.expect("an answer");
        let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.contains("default-src 'none'; script-src 'self';"), "{place}: {policy}");
        assert!(!["unsafe", "http", "*", "nonce", "blob"].iter().any(|lax| policy.contains(lax)), "{place}: {policy}");
        let text = page.text().await.expect("a page");
        for script in text.split("<script").skip(1) {
            let (tag, body) = script.split_once('>').expect("a whole tag");
            assert!(tag.contains("src=\"/assets/"), "{place}: <script{tag}>");
            assert!(body.starts_with("</script>"), "{place}: script in the page");
        }
        assert!(!text.contains(" style=\"") && !text.contains(" onclick="), "{place}: style or script in an attribute");
    }
    server.running.stop().await;
}
