//! `docs/guide/records.md` as it is written.

use expect_test::expect;

use crate::world::World;

/// The blocks of a language, in order.
fn blocks<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    guide.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[tokio::test]
async fn the_guide_to_records_holds() {
    let guide = include_str!("../../../../docs/guide/records.md");
    let [definitions, history] = blocks(guide, "yaml")[..] else { panic!("two files") };
    let [pipeline] = blocks(guide, "sh")[..] else { panic!("one script") };
    let world = World::new().await;
    let rosa = world.write("rosa.yaml", "person: {name: rosa, grants: [{role: release_manager, scope: all}]}");
    world.good(&["apply", "-f", &rosa.display().to_string()]).await;
    let token = world.field(&["token", "create", "--person", "rosa", "--label", "ci"], "/secret").await;
    let path = |name: &str, text: &str| world.write(name, text).display().to_string();
    world.good(&["apply", "-f", &path("shop.yaml", definitions)]).await;
    let history = path("history.yaml", history);
    // What stands between the lines of the here-document, as a shell would write it.
    let run = pipeline.split("<<END\n").nth(1).and_then(|rest| rest.split("\nEND").next()).expect("a here-document");
    let run = run.replace("$RUN_NUMBER", "4712").replace("$VERSION", "1.5");
    let run = run.replace("$began", "1769940000000").replace("$ended", "1769940060000");
    let run = path("run.yaml", &run);
    let mut said = String::new();
    for file in [&history, &history, &run, &run] {
        let recorded = world.run_as(&token, &["record", "--file", file]).await;
        said += &(recorded.all() + "\n");
    }
    said += &world.good(&["measure", "--from", "2026-01-01", "--until", "2026-03-01"]).await;
    expect![[r#"
        recorded 3 things, 0 known before
        --- exit 0
        recorded 0 things, 3 known before
        --- exit 0
        recorded 1 thing, 0 known before
        --- exit 0
        recorded 0 things, 1 known before
        --- exit 0
        FIGURE                           VALUE
        change lead time                 6 d 8 h
        deployment frequency             0.07 per day, in 29 days since the first
        failed deployment recovery time  -
        change fail rate                 0.0 %
        deployment rework rate           0.0 %
        counted from 2 deployments
        lead times, 1 change: 75 % within 6 d 8 h, 90 % within 6 d 8 h, 95 % within 6 d 8 h
    "#]]
    .assert_eq(&said);
    world.server.stop().await;
}
