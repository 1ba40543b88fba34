//! `init` writes a set that can be used as it is, and never writes over anything.

use expect_test::expect;

use crate::plain::plain;
use crate::world::{World, run};

#[tokio::test]
async fn the_set_is_valid_as_it_is() {
    let home = tempfile::tempdir().expect("a folder");
    let said = run(home.path(), &["init", "set"]).await;
    expect![[r#"
        wrote set/README.md
        wrote set/application.yaml
        wrote set/environments.yaml
        wrote set/targets.yaml
        wrote set/strategies.yaml
        wrote set/people.yaml.example
        wrote set/tidegate.schema.json
        --- stderr
        change what you like, then: tidegate validate -f set
        --- exit 0"#]]
    .assert_eq(&said.all());
    let said = run(home.path(), &["validate", "-f", "set"]).await;
    expect![[r#"
        9 definitions in 4 files: every one can be read
        --- exit 0"#]]
    .assert_eq(&said.all());
    // What is left for later is right as well.
    std::fs::rename(home.path().join("set/people.yaml.example"), home.path().join("set/people.yaml")).expect("renamed");
    let said = run(home.path(), &["validate", "-f", "set"]).await;
    expect![[r#"
        10 definitions in 5 files: every one can be read
        --- exit 0"#]]
    .assert_eq(&said.all());
}

#[tokio::test]
async fn every_file_of_the_set_leads_editors_to_its_schema() {
    let home = tempfile::tempdir().expect("a folder");
    assert_eq!(run(home.path(), &["init"]).await.code, 0, "the folder is this one unless said");
    let read = |name: &str| std::fs::read_to_string(home.path().join(name)).expect("a file");
    let schema = run(home.path(), &["schema"]).await.out;
    assert_eq!(read("tidegate.schema.json"), schema);
    for file in ["application.yaml", "environments.yaml", "strategies.yaml", "targets.yaml", "people.yaml.example"] {
        let text = read(file);
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, "# yaml-language-server: $schema=./tidegate.schema.json", "{file}");
        assert!(text.lines().filter(|line| line.contains('#')).count() > 2, "{file} says why");
    }
}

#[tokio::test]
async fn nothing_that_is_there_is_written_over() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("set")).expect("a folder");
    std::fs::write(home.path().join("set/targets.yaml"), "mine\n").expect("a file");
    let said = run(home.path(), &["init", "set"]).await;
    expect![[r#"

        --- stderr
        error: set/targets.yaml is there already; name another folder; nothing was written [already_exists] at set
        --- exit 6"#]]
    .assert_eq(&said.all());
    assert_eq!(std::fs::read_dir(home.path().join("set")).expect("a folder").count(), 1, "nothing was added");
    let said = run(home.path(), &["init", "other", "--host", "10.0.0.7:80 }"]).await;
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(!home.path().join("other").exists(), "{}", said.all());
}

#[tokio::test]
async fn a_server_takes_the_set_and_plans_with_it() {
    let world = World::new().await;
    world.good(&["init", "set", "--application", "shop", "--host", "10.0.0.7", "--host", "web-2.example.net"]).await;
    expect![[r#"
        created   application/shop
        created   component/shop
        created   environment/staging
        created   environment/production
        created   strategy/canary
        created   strategy/rolling
        created   target/staging-1
        created   target/production-1
        created   target/production-2
        9 created, 0 changed, 0 unchanged
    "#]]
    .assert_eq(&world.good(&["apply", "-f", "set"]).await);
    let file = world.write("shop", "#!/bin/sh\n");
    world.good(&["artifact", "upload", file.to_str().expect("text"), "--component", "shop", "--version", "1.0"]).await;
    let said = world.run(&["plan", "shop", "production", "--version", "shop=1.0", "--strategy", "canary"]).await;
    expect![[r#"
        DEP-1: shop to production
        plan sha256:2
        canary, 2 waves, 2 targets
          shop: none to 1.0, 10 B, not signed, sha256:3
        wave 1 of 2: production-1
          after:  bake: well for <n> s
          after:  front page: GET http://{{ address }}:{{ port }}/ answers well, 3 times
        wave 2 of 2: production-2
          after:  front page: GET http://{{ address }}:{{ port }}/ answers well, 3 times
        no failed target is tolerated; there is no way back: nothing of this was verified here before
        against starting it now:
          - there is no agent on production-1 and 1 more target; enrol it: tidegate target enrol production-1 [agent_missing]
        --- stderr
        start it with: tidegate deploy start DEP-1
        --- exit 0"#]]
    .assert_eq(&plain(&said.all()));
    // The commands of its README, as far as they need no host.
    let create = ["release", "create", "shop", "1.0", "--title", "shop 1.0", "--model", "light", "--version", "shop=1.0"];
    world.good(&create).await;
    world.server.stop().await;
}
