//! Stories told through the command line alone, against a real server and a real agent.

use expect_test::expect;

use crate::plain::plain;
use crate::world::World;

const ESTATE: &str = "\
application: {name: shop}
---
component:
  name: storefront
  application: shop
  steps:
    - {name: unpack, do: unpack}
    - {name: switch, do: switch}
---
environment: {name: staging, tier: staging}
---
environment: {name: production, tier: production, controlled: true}
---
target: {name: stage-1, environment: staging}
---
target: {name: prod-1, environment: production}
---
strategy:
  name: checked
  strategy:
    after_each:
      - check:
          name: nobody is there
          probe: {tcp: {address: \"127.0.0.1:9\"}}
---
person:
  name: grace
  title: Grace
  grants: [{role: change_authority, scope: all}]
";

async fn brought(world: &World, version: &str) {
    let file = world.write(&format!("storefront-{version}"), &format!("storefront {version}\n"));
    let file = file.to_str().expect("text");
    world.good(&["artifact", "upload", file, "--component", "storefront", "--version", version]).await;
}

/// Waits, by looking again as a person would, until the target's agent is enrolled.
async fn enrolled(world: &World, target: &str) {
    let answer = async || world.good(&["target", "show", target, "--output", "json"]).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while answer().await.contains("\"agent_key\":null") {
        assert!(std::time::Instant::now() < deadline, "the agent of {target} did not enrol");
    }
}

/// Brings two versions and starts the agent of staging.
async fn staged(world: &World) -> tokio::process::Child {
    for version in ["1.0", "1.1"] {
        brought(world, version).await;
    }
    let agent = world.agent("stage-1").await;
    enrolled(world, "stage-1").await;
    agent
}

/// The lines of a transcript that are there whenever somebody looked: what passes quickly may pass between two looks.
fn lasting(transcript: &str) -> String {
    let passing = [
        ": queued,",
        ": running,",
        "  queued",
        "  running",
        "in progress",
        "  baking",
        "  failing",
        "  falling back",
        " asking: ",
        "  waiting",
    ];
    transcript.lines().filter(|line| !passing.iter().any(|word| line.contains(word))).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_goes_out_and_a_bad_one_comes_back() {
    let world = World::new().await;
    let estate = world.write("estate.yaml", ESTATE);
    let estate = estate.to_str().expect("text");
    expect![[r#"
        created   application/shop
        created   component/storefront
        created   environment/staging
        created   environment/production
        created   target/stage-1
        created   target/prod-1
        created   strategy/checked
        created   person/grace
        8 created, 0 changed, 0 unchanged
    "#]]
    .assert_eq(&world.good(&["apply", "-f", estate, "--dry-run"]).await);
    world.good(&["apply", "-f", estate]).await;
    assert!(world.good(&["apply", "-f", estate]).await.contains("0 created, 0 changed, 8 unchanged"));
    let _agent = staged(&world).await;

    let plan = world.run(&["plan", "shop", "staging", "--version", "storefront=1.0"]).await;
    expect![[r#"
        DEP-1: shop to staging
        plan sha256:2
        all at once, 1 wave, 1 target
          storefront: none to 1.0, 15 B, not signed, sha256:3
        wave 1 of 1: stage-1
        no failed target is tolerated; there is no way back: nothing of this was verified here before
        nothing stands against starting it now
        --- stderr
        start it with: tidegate deploy start DEP-1
        --- exit 0"#]]
    .assert_eq(&plain(&plan.all()));
    let said = world.run(&["deploy", "shop", "staging", "--version", "storefront=1.0", "--watch"]).await;
    expect![[r#"
        <clock>  wave 1: stage-1 healthy
        DEP-1 succeeded after <n> s: 1 healthy
        --- stderr
        DEP-1 planned: plan sha256:2
        --- exit 0"#]]
    .assert_eq(&lasting(&plain(&said.all())));
    let said = world.run(&["deploy", "shop", "staging", "--version", "storefront=1.1", "--strategy", "checked", "--watch"]).await;
    expect![[r#"
        <clock>  wave 1: stage-1 healthy
        <clock>  wave 1: gate nobody is there failed: 1 of 1 failed: 127.0.0.1:9: Connection refused (os error 111)
        DEP-1 fell back after <n> s: 1 healthy
          because nobody is there: 1 of 1 failed: 127.0.0.1:9: Connection refused (os error 111)
          taken back by DEP-1-FB: tidegate deployment show DEP-1-FB
        --- stderr
        DEP-1 planned: plan sha256:2
        --- exit 3"#]]
    .assert_eq(&lasting(&plain(&said.all())));
    expect![[r#"
        TARGET  ENVIRONMENT  LABELS  INSTALLED  AGENT HEARD
        stage-1  staging  -  storefront 1.0  <time>
        prod-1  production  -  -  not enrolled"#]]
    .assert_eq(&plain(&world.good(&["target", "list"]).await));
    expect![[r#"
        DEPLOYMENT  STATE  PACKAGE  ENVIRONMENT  STRATEGY  PROGRESS  PLANNED
        DEP-1  planned  storefront 1.0  staging  all at once  0 of 1 target done  <time>
        DEP-2  succeeded  storefront 1.0  staging  all at once  1 of 1 target done  <time>
        DEP-3  fell back  storefront 1.1  staging  all at once  1 of 1 target done  <time>
        DEP-3-FB  succeeded  storefront 1.0  staging  all at once  1 of 1 target done  <time>"#]]
    .assert_eq(&plain(&world.good(&["deployment", "list", "--sort", "oldest"]).await));
    let audit = world.good(&["audit", "verify"]).await;
    assert!(audit.contains("every one holds"), "{audit}");
    world.server.stop().await;
}

/// A planned deployment to production with the change that authorises it, and the token of whoever said yes.
async fn authorised(world: &World) -> (String, String) {
    let words = ["plan", "shop", "production", "--version", "storefront=1.0"];
    let deployment = world.field(&words, "/deployment/id").await;
    let plan = world.field(&["deployment", "show", &deployment], "/deployment/plan").await;
    let write = ["change", "write", "shop", "--title", "Shop 1.0", "--environment", "production", "--plan", &plan];
    let change = world.field(&write, "/value/id").await;
    world.good(&["change", "edit", &change, "--version", "storefront=1.0", "--back-out", "deploy 0.9"]).await;
    world.good(&["deployment", "attach-change", &deployment, &change]).await;
    let submitted = world.good(&["change", "submit", &change]).await;
    expect!["CHG-1: Shop 1.0 is awaiting authorisation, 1 approval missing"].assert_eq(&plain(&submitted));

    let token = world.good(&["token", "create", "--person", "grace", "--label", "test"]).await;
    let grace = token.trim().to_owned();
    let asked = world.run_as(&grace, &["change", "approve", &change]).await;
    assert_eq!(asked.code, 6, "a vote is bound to what was looked at: {}", asked.all());
    let digest = asked.err.split_whitespace().find(|word| word.starts_with("sha256:")).expect("the digest").to_owned();
    let said = world.run_as(&grace, &["change", "approve", &change, "--digest", &digest]).await;
    assert_eq!(said.code, 0, "{}", said.all());
    expect![[r#"
        CHG-1: Shop 1.0 is authorised
          class  normal
          application  shop
          environments  production
          versions  storefront 1.0
          plan  sha256:2
          risk  low, impact low
          back out  deploy 0.9
          author  admin
          content  sha256:3
          written  <time>
          authorised  <time>
          approved by  grace, <time>"#]]
    .assert_eq(&plain(&world.good(&["change", "show", &change]).await));
    (deployment, grace)
}

#[tokio::test(flavor = "multi_thread")]
async fn production_wants_a_change_and_a_freeze_wants_an_exception() {
    let world = World::new().await;
    let estate = world.write("estate.yaml", ESTATE);
    world.good(&["apply", "-f", estate.to_str().expect("text")]).await;
    brought(&world, "1.0").await;
    let said = world.run(&["deploy", "shop", "production", "--version", "storefront=1.0"]).await;
    expect![[r#"

        --- stderr
        DEP-1 planned: plan sha256:2
        DEP-1 is planned and not started; later: tidegate deploy start DEP-1, or with --wait to queue it
        error: not admitted, for 2 reasons [not_admitted] at deployment/DEP-1
          - production is controlled and no change authorises this deployment; attach one: tidegate deployment attach-change DEP-1 CHANGE [change_missing]
          - there is no agent on prod-1; enrol it: tidegate target enrol prod-1 [agent_missing]
        --- exit 4"#]]
    .assert_eq(&plain(&said.all()));

    let (deployment, grace) = authorised(&world).await;
    let declare = ["freeze", "declare", "year end", "--reason", "closing the books", "--from", "+0s", "--until", "+2h"];
    let freeze = world.field(&declare, "/value/id").await;
    let said = world.run(&["deploy", "start", &deployment]).await;
    expect![[r#"

        --- stderr
        DEP-1 is planned and not started; later: tidegate deploy start DEP-1, or with --wait to queue it
        error: not admitted, for 2 reasons [not_admitted] at deployment/DEP-1
          - freeze "year end" (FRZ-2) is in force in production: closing the books; wait for its end, or ask for an exception [freeze, until <time>]
          - there is no agent on prod-1; enrol it: tidegate target enrol prod-1 [agent_missing]
        --- exit 4"#]].assert_eq(&plain(&said.all()));
    let ask = ["freeze", "request-exception", &freeze, &deployment, "--reason", "a security fix"];
    let exception = world.field(&ask, "/value/exceptions/0/id").await;
    let said = world.run_as(&grace, &["freeze", "approve-exception", &freeze, &exception]).await;
    expect![[r#"
        FRZ-1: "year end", closing the books
          where  every controlled environment
          from  <time>
          until  <time>
          meant in  UTC
          lets in  nothing
          running  finishes its wave, then holds
          exception EXC-2 for DEP-3, asked for by admin (a security fix): approved by grace until <time>
        --- exit 0"#]]
    .assert_eq(&plain(&said.all()));
    let said = world.run(&["deployment", "show", &deployment]).await;
    expect![[r#"
        DEP-1: storefront 1.0 to production: planned, 0 of 1 target done

          plan  sha256:2
          strategy  all at once
          change  CHG-3
          asked for by  person:admin
          planned  <time>

        WAVE  TARGETS  STATES
        1  1  1 pending

        TARGET  WAVE  STATE  ATTEMPT  SINCE  DETAIL
        prod-1  1  pending  0  <time>

        against starting it now:
          - there is no agent on prod-1; enrol it: tidegate target enrol prod-1 [agent_missing]
        --- exit 0"#]]
    .assert_eq(&plain(&said.all()));
    world.server.stop().await;
}
