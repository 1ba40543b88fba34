//! What comes into the media library, and what is refused whole at its door.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use expect_test::expect;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{EntryType, Header};
use tidegate_domain::deployment::artifact::signed_text;
use tidegate_domain::{Digest, Version};
use tidegate_testkit::{Answer, Api, Estate, TestServer, artifact};

use crate::stage::name;

async fn upload(api: &Api, query: &str, bytes: Vec<u8>) -> Answer {
    api.send(api.request(reqwest::Method::POST, &format!("/artifacts?{query}")).body(bytes)).await
}

fn packed(tar: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(tar).expect("memory takes it");
    packer.finish().expect("memory takes it")
}

/// An archive with one entry whose header says anything, as the `tar` library would refuse to write it.
fn entry(kind: EntryType, path: &str, link: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    let field = header.as_mut_bytes();
    field[..path.len()].copy_from_slice(path.as_bytes());
    field[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 + (size as usize).next_multiple_of(512) + 1_024, 0);
    bytes
}

/// Archives that nobody should unpack.
fn bad_archives() -> Vec<(&'static str, Vec<u8>)> {
    let file = EntryType::Regular;
    let good = artifact("#!/bin/sh\n");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let two = |first: Vec<u8>, second: Vec<u8>| [&first[..512], &second].concat();
    vec![
        ("leaves by ..", packed(&entry(file, "../outside", "", 0))),
        ("leaves by .. inside", packed(&entry(file, "a/../../outside", "", 0))),
        ("absolute", packed(&entry(file, "/etc/passwd", "", 0))),
        ("backslashes", packed(&entry(file, "..\\outside", "", 0))),
        ("a link out", packed(&entry(EntryType::Symlink, "a", "../../etc", 0))),
        ("an absolute link", packed(&entry(EntryType::Symlink, "a", "/etc", 0))),
        ("a hard link out", packed(&entry(EntryType::Link, "a", "../../etc/passwd", 0))),
        ("a file through a link", packed(&two(entry(EntryType::Symlink, "a", "b", 0), entry(file, "a/x", "", 0)))),
        ("a character device", packed(&entry(EntryType::Char, "dev", "", 0))),
        ("a block device", packed(&entry(EntryType::Block, "dev", "", 0))),
        ("a pipe", packed(&entry(EntryType::Fifo, "pipe", "", 0))),
        ("an empty name", packed(&entry(file, "", "", 0))),
        ("a bomb", packed(&entry(file, "zeros", "", 20 << 20))),
        ("a bomb after the end", packed(&two(entry(EntryType::Directory, "a", "", 0), vec![0; 20 << 20]))),
        ("a header that lies", packed(&entry(file, "big", "", 0)[..600].iter().copied().chain([7; 100]).collect::<Vec<_>>())),
        ("truncated", good[..good.len() - 5].to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("a flipped bit", flipped),
        ("no archive", b"hello, this is a text and no archive".to_vec()),
        ("nothing", Vec::new()),
        ("nothing packed", packed(&[])),
        ("no entries", packed(&[0; 1_024])),
    ]
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_bad_archive_is_refused_whole_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let estate = Estate::define(&server.admin, 1).await;
    estate.bring("1.0").await;
    let (events, library) = (server.admin.events().await, files(&folder.path().join("media")));
    assert_eq!(library.len(), 1);
    let mut told = String::new();
    for (what, bytes) in bad_archives() {
        let answer = upload(&server.admin, "component=shop&version=9.9&format=tar_gz", bytes).await;
        told.push_str(&format!("{what} → {}\n", answer.problem()));
    }
    expect![[r#"
        leaves by .. → 422 archive_unsafe: archive entry "../outside" leaves its folder with '..' at entry ../outside; pack with relative paths below one folder, without '..' and special files
        leaves by .. inside → 422 archive_unsafe: archive entry "a/../../outside" leaves its folder with '..' at entry a/../../outside; pack with relative paths below one folder, without '..' and special files
        absolute → 422 archive_unsafe: archive entry "/etc/passwd" has an absolute path at entry /etc/passwd; pack with relative paths below one folder, without '..' and special files
        backslashes → 422 archive_unsafe: archive entry "..\outside" has a path that is not portable at entry ..\outside; pack with relative paths below one folder, without '..' and special files
        a link out → 422 archive_unsafe: archive entry "a" links to a place outside the archive at entry a; pack with relative paths below one folder, without '..' and special files
        an absolute link → 422 archive_unsafe: archive entry "a" links to an absolute path at entry a; pack with relative paths below one folder, without '..' and special files
        a hard link out → 422 archive_unsafe: archive entry "a" leaves its folder with '..' at entry a; pack with relative paths below one folder, without '..' and special files
        a file through a link → 422 archive_unsafe: archive entry "a/x" lies below a link of the same archive at entry a/x; pack with relative paths below one folder, without '..' and special files
        a character device → 422 archive_unsafe: archive entry "dev" is neither a file, a folder nor a link at entry dev; pack with relative paths below one folder, without '..' and special files
        a block device → 422 archive_unsafe: archive entry "dev" is neither a file, a folder nor a link at entry dev; pack with relative paths below one folder, without '..' and special files
        a pipe → 422 archive_unsafe: archive entry "pipe" is neither a file, a folder nor a link at entry pipe; pack with relative paths below one folder, without '..' and special files
        an empty name → 422 archive_unsafe: archive entry "" has no path of its own at entry ; pack with relative paths below one folder, without '..' and special files
        a bomb → 422 archive_bomb: the archive unpacks to more than 200 times its size; pack only what the component needs to run
        a bomb after the end → 422 archive_bomb: the archive unpacks to more than 200 times its size; pack only what the component needs to run
        a header that lies → 422 archive_broken: the archive cannot be read: failed to read entire block; pack it again; is the format right?
        truncated → 422 archive_broken: the archive cannot be read: unexpected end of file; pack it again; is the format right?
        half → 422 archive_broken: the archive cannot be read: incomplete deflate stream; pack it again; is the format right?
        a flipped bit → 422 archive_broken: the archive cannot be read: corrupt deflate stream; pack it again; is the format right?
        no archive → 422 archive_broken: the archive cannot be read: invalid gzip header; pack it again; is the format right?
        nothing → 422 archive_broken: the archive cannot be read: unexpected end of file; pack it again; is the format right?
        nothing packed → 422 archive_broken: the archive has no entries; pack the component's files
        no entries → 422 archive_broken: the archive has no entries; pack the component's files
    "#]].assert_eq(&told);
    assert_eq!(files(&folder.path().join("media")), library, "a refused upload left a file");
    assert_eq!(server.admin.events().await, events);
    server.running.stop().await;
}

#[tokio::test]
async fn an_upload_is_what_it_says_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let estate = Estate::define(&server.admin, 1).await;
    estate.bring("1.0").await;
    let (events, library) = (server.admin.events().await, files(&folder.path().join("media")));
    let bytes = artifact("other bytes");
    let digest = Digest::of(&bytes);
    let other = Digest::of(b"other");
    let key = SigningKey::from_bytes(&[3; 32]);
    let public = BASE64.encode(key.verifying_key().to_bytes()).replace('+', "%2B");
    let signed = |version: &str| {
        let text = signed_text(&name("shop"), &Version::parse(version).expect("a version"), &digest);
        BASE64.encode(key.sign(text.as_bytes()).to_bytes()).replace('+', "%2B")
    };
    let base = "component=shop&version=2.0&format=tar_gz";
    let long = "x".repeat(100);
    let queries = [
        format!("{base}&digest={other}"),
        format!("{base}&signature_key={public}&signature={}", signed("1.9")),
        format!("{base}&signature_key={public}&signature=rubbish"),
        format!("{base}&signature_key=rubbish&signature={}", signed("2.0")),
        format!("{base}&signature={}", signed("2.0")),
        "component=shop&version=1.0&format=tar_gz".to_owned(),
        "component=none&version=2.0&format=tar_gz".to_owned(),
        format!("component={long}&version=2.0&format=tar_gz"),
        format!("component=shop&version={long}&format=tar_gz"),
        "component=shop&version=..&format=tar_gz".to_owned(),
        "component=shop&version=2/0&format=tar_gz".to_owned(),
        "component=shop&version=2.0&format=zip".to_owned(),
        "component=shop&version=2.0".to_owned(),
        format!("{base}&digest=md5:1"),
        format!("{base}&nothing=1"),
    ];
    let mut told = String::new();
    for query in queries {
        let answer = upload(&server.admin, &query, bytes.clone()).await;
        told.push_str(&format!("{}\n", answer.problem().replace(&long, "xxx…")));
    }
    expect![[r#"
        422 digest_mismatch: the bytes have the digest sha256:d4d8bcf402d458edd923450b7d576097207c92ec0622efca12b254602cf448d4, not sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa at digest; upload again, and compare the digest of your file if it happens twice
        422 signature_invalid: the signature does not verify at signature; sign component, version and digest with the release key: tidegate artifact upload --key FILE
        422 signature_invalid: the signature does not verify at signature; sign component, version and digest with the release key: tidegate artifact upload --key FILE
        422 signature_invalid: the signature does not verify at signature; sign component, version and digest with the release key: tidegate artifact upload --key FILE
        400 malformed: signature and signature_key belong together at signature; give both or none
        409 already_exists: shop 1.0 is there already, with digest 46f113687b6e at version; a version never changes its bytes; use a new version
        404 not_found: there is no component none; check the name; `tidegate list components` names what there is
        400 malformed: component: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit at query; see /api/openapi.json for what this address takes
        400 malformed: version: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a version; use 1 to 64 letters, digits, '.', '-', '_' or '+', starting with a letter or digit at query; see /api/openapi.json for what this address takes
        400 malformed: version: ".." is not a version; use 1 to 64 letters, digits, '.', '-', '_' or '+', starting with a letter or digit at query; see /api/openapi.json for what this address takes
        400 malformed: version: "2/0" is not a version; use 1 to 64 letters, digits, '.', '-', '_' or '+', starting with a letter or digit at query; see /api/openapi.json for what this address takes
        400 malformed: format: unknown variant `zip`, expected one of `tar_gz`, `tar`, `file` at query; see /api/openapi.json for what this address takes
        400 malformed: missing field `format` at query; see /api/openapi.json for what this address takes
        400 malformed: digest: "md5:1" is not a digest; use sha256: followed by 64 lower-case hexadecimal digits at query; see /api/openapi.json for what this address takes
        400 unknown_field: nothing: unknown field `nothing`, expected one of `component`, `version`, `format`, `digest`, `signature_key`, `signature` at query; see /api/openapi.json for what this address takes
    "#]].assert_eq(&told);
    assert_eq!(files(&folder.path().join("media")), library, "a refused upload left a file");
    assert_eq!(server.admin.events().await, events);
    // The same bytes again are no news; the right signature over the right version is good.
    upload(&server.admin, "component=shop&version=1.0&format=tar_gz", artifact("#!/bin/sh\necho 1.0\n")).await.good();
    assert_eq!(server.admin.events().await, events);
    let query = format!("{base}&digest={digest}&signature_key={public}&signature={}", signed("2.0"));
    let kept = upload(&server.admin, &query, bytes).await.good();
    assert_eq!(kept["value"]["digest"], digest.as_str());
    assert_eq!(server.admin.events().await, events + 1);
    server.running.stop().await;
}

#[tokio::test]
async fn a_version_that_is_there_without_a_signature_gets_none_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let (bytes, key) = (artifact("other bytes"), SigningKey::from_bytes(&[3; 32]));
    let text = signed_text(&name("shop"), &Version::parse("3.0").expect("a version"), &Digest::of(&bytes));
    let plain = |bytes: &[u8]| BASE64.encode(bytes).replace('+', "%2B");
    let (public, signature) = (plain(&key.verifying_key().to_bytes()), plain(&key.sign(text.as_bytes()).to_bytes()));
    let unsigned = "component=shop&version=3.0&format=tar_gz";
    upload(&server.admin, unsigned, bytes.clone()).await.good();
    // Nobody is to believe that it has one now.
    let refused = upload(&server.admin, &format!("{unsigned}&signature_key={public}&signature={signature}"), bytes).await;
    expect!["409 already_exists: shop 3.0 is there already, and not signed at version; what is there never changes; upload it as a new version, signed"]
        .assert_eq(&refused.problem());
    server.running.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let mut stream = tokio::net::TcpStream::connect(server.running.address).await.expect("the server listens");
    let head = format!(
        "POST /api/v1/artifacts?component=shop&version=1.0&format=tar_gz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\
         authorization: Bearer {}\r\n\r\n",
        server.admin.token
    );
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    stream.write_all(&artifact("x")[..50]).await.expect("it is taken");
    stream.shutdown().await.expect("it ends");
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer).await);
    // Either there is no connection left to answer on, or a refusal comes over it.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    let found = server.admin.get("/artifacts").await.good();
    assert_eq!((found["rows"].as_array().map(Vec::len), files(&folder.path().join("media"))), (Some(0), Vec::new()));
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_written_badly_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let before = server.admin.events().await;
    let long = "x".repeat(64);
    let define = |definition: serde_json::Value| ("/definitions", json!({"definitions": [definition]}).to_string());
    let content = |field: &str, value: serde_json::Value| {
        let mut content = crate::stage::content("x");
        content[field] = value;
        ("/changes", json!({"content": content}).to_string())
    };
    let many: Vec<String> = (0..201).map(|number| format!("e{number}")).collect();
    let grants: Vec<_> = (0..101).map(|_| json!({"role": "viewer", "scope": "all"})).collect();
    let definitions: Vec<_> = (0..5_001).map(|number| json!({"application": {"name": format!("a{number}")}})).collect();
    let freeze = |from: i64, until: i64| {
        (
            "/freezes",
            json!({"name": "f", "reason": "r", "environments": ["test"], "from_ms": from, "until_ms": until}).to_string(),
        )
    };
    let cases = [
        ("/deployments", r#"{"application":"shop","environment":"test","versions":{"shop":1.10}}"#.to_owned()),
        ("/releases", r#"{"application":"shop","version":1.10,"title":"x","versions":{"shop":"1.0"}}"#.to_owned()),
        ("/releases", r#"{"application":"shop","version":"1.0","title":"x","versions":{"shop":2}}"#.to_owned()),
        define(json!({"application": {"name": long}})),
        define(json!({"application": {"name": "Shop"}})),
        define(json!({"component": {"name": "c", "application": "none", "steps": [{"name": "unpack", "do": "unpack"}]}})),
        define(json!({"target": {"name": "t", "environment": "none"}})),
        define(json!({"nothing": {"name": "t"}})),
        define(json!({"application": {"name": "a"}, "environment": {"name": "b"}})),
        define(json!({"application": {"name": "a", "team": "t".repeat(200_000)}})),
        define(json!({"person": {"name": "p", "grants": grants}})),
        ("/definitions", json!({"definitions": [{"application": {"name": "a"}}, {"application": {"name": "a"}}]}).to_string()),
        ("/definitions", json!({"definitions": definitions}).to_string()),
        content("title", json!("")),
        content("title", json!("x".repeat(4_001))),
        content("environments", json!([])),
        content("environments", json!(many)),
        content("class", json!("huge")),
        content("application", json!(7)),
        freeze(0, 1),
        freeze(1_800_000_000_000, 1_700_000_000_000),
        freeze(i64::MIN, i64::MAX),
        ("/tokens", json!({"person": "admin", "label": "x".repeat(5_000), "valid_seconds": 60}).to_string()),
        ("/tokens", json!({"person": "admin", "label": "x", "valid_seconds": 59}).to_string()),
        ("/tokens", json!({"person": "admin", "label": "x", "valid_seconds": -1}).to_string()),
        ("/tokens", json!({"person": "nobody", "label": "x", "valid_seconds": 60}).to_string()),
    ];
    let mut told = String::new();
    for (path, body) in cases {
        let request = server.admin.request(reqwest::Method::POST, path).header("content-type", "application/json").body(body);
        told.push_str(&format!("{path} → {}\n", server.admin.send(request).await.problem()));
    }
    expect![[r#"
        /deployments → 400 version_is_number: 1.1 is read as a number, where text is meant at versions.shop; put it in quotes, such as "1.10"
        /releases → 400 version_is_number: 1.1 is read as a number, where text is meant at version; put it in quotes, such as "1.10"
        /releases → 400 version_is_number: 2 is read as a number, where text is meant at versions.shop; put it in quotes, such as "1.10"
        /definitions → 400 name_invalid: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a name at definitions[0].application.name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
        /definitions → 400 name_invalid: "Shop" is not a name at definitions[0].application.name; use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit
        /definitions → 404 not_found: component/c needs application none, which is not defined at definitions[0] component/c; define the application first, or in the same set
        /definitions → 404 not_found: target/t needs environment none, which is not defined at definitions[0] target/t; define the environment first, or in the same set
        /definitions → 400 unknown_field: "nothing" is not known here at definitions[0].nothing; use application, component, environment, target, strategy or person
        /definitions → 400 malformed: a mapping with 2 keys stands where exactly one is meant at definitions[0]; keep one: application, component, environment, target, strategy or person
        /definitions → 413 too_large: the application has 200049 bytes at definitions[0] application/a; keep each application below 131072 bytes; put long texts where they can be linked to
        /definitions → 413 too_large: grants has 101 entries at definitions[0] person/p grants; use at most 100
        /definitions → 409 already_exists: application/a is defined twice at definitions[1] application/a; define it once
        /definitions → 413 too_large: definitions has 5001 entries at definitions; use at most 5000
        /changes → 400 malformed: title is empty at title; say it in a few words; it is kept in the history
        /changes → 413 too_large: title is too long at title; use at most 4000 characters
        /changes → 400 malformed: the change concerns no environment at environments; name at least one
        /changes → 413 too_large: environments has 201 entries at environments; use at most 200
        /changes → 400 malformed: "huge" is not known here at content.class; use standard, normal or emergency
        /changes → 400 version_is_number: 7 is read as a number, where text is meant at content.application; put it in quotes, such as "1.10"
        /freezes → 400 out_of_range: from_ms is 0 at from_ms; give milliseconds since 1970 in UTC, between the years 2000 and 2200
        /freezes → 400 out_of_range: the freeze ends before it begins at until; give an end after the beginning
        /freezes → 400 out_of_range: from_ms is -9223372036854775808 at from_ms; give milliseconds since 1970 in UTC, between the years 2000 and 2200
        /tokens → 413 too_large: label is too long at label; use at most 4000 characters
        /tokens → 400 out_of_range: valid_seconds is 59 at valid_seconds; use 60 to 34560000
        /tokens → 400 out_of_range: -1 is out of range at valid_seconds; use 0 to 4294967295
        /tokens → 404 not_found: there is no person nobody; check the name; `tidegate list people` names who there is
    "#]].assert_eq(&told);
    assert_eq!(server.admin.events().await, before);
    server.running.stop().await;
}
