//! Records: by id, and every list against a plain search.

use std::collections::BTreeMap;

use tidegate_store::{Fault, Filter, Order, PageRequest, Reach};

use crate::world::{Thing, World, made, name, thing, writes};

/// 120 things with every combination of columns, several of them at the same instant.
fn things() -> Vec<Thing> {
    let pick = |choices: &[&str], number: usize| choices.get(number % (choices.len() + 1)).map(|text| name(text));
    (0..120)
        .map(|number| Thing {
            id: format!("CHG-{:03}", number * 37 % 120),
            state: ["draft", "running", "closed"][number % 3].to_owned(),
            application: pick(&["ledger", "billing"], number),
            environment: pick(&["staging", "production", "development"], number / 2),
            parent: (number % 5 == 0).then(|| format!("REL-{}", number % 2)),
            at_ms: (number as i64 / 4) - 10,
            title: format!("Number {number}"),
        })
        .collect()
}

async fn fill(world: &World) -> Vec<Thing> {
    let things = things();
    for some in things.chunks(40) {
        made(&world.store, some.iter().map(|thing| writes(thing, 0, &["made"])).collect()).await;
    }
    things
}

fn lets_through(filter: &Filter, thing: &Thing) -> bool {
    let one = |values: &[tidegate_domain::Name], value: &Option<tidegate_domain::Name>| {
        values.is_empty() || value.as_ref().is_some_and(|value| values.contains(value))
    };
    let text = filter.text.as_deref().unwrap_or_default().to_lowercase();
    (filter.states.is_empty() || filter.states.contains(&thing.state))
        && one(&filter.applications, &thing.application)
        && one(&filter.environments, &thing.environment)
        && (filter.parent.is_none() || filter.parent == thing.parent)
        && filter.from_ms.is_none_or(|from_ms| thing.at_ms >= from_ms)
        && filter.until_ms.is_none_or(|until_ms| thing.at_ms < until_ms)
        && (thing.id.to_lowercase().contains(&text) || thing.title.to_lowercase().contains(&text))
}

fn filters() -> Vec<Filter> {
    let states = [vec![], vec!["running"], vec!["running", "draft"], vec!["running", "draft", "closed", "running"], vec!["none"]];
    let applications = [vec![], vec!["ledger"], vec!["ledger", "billing"]];
    let environments = [vec![], vec!["staging"], vec!["staging", "production"]];
    let mut filters = Vec::new();
    for states in &states {
        for applications in &applications {
            for environments in &environments {
                for (parent, text, ends) in [
                    (None, None, (None, None)),
                    (Some("REL-1"), None, (None, Some(5))),
                    (None, Some("number 1"), (None, None)),
                    (None, None, (Some(-3), Some(12))),
                ] {
                    filters.push(Filter {
                        from_ms: ends.0,
                        until_ms: ends.1,
                        states: states.iter().map(ToString::to_string).collect(),
                        applications: applications.iter().map(|text| name(text)).collect(),
                        environments: environments.iter().map(|text| name(text)).collect(),
                        parent: parent.map(str::to_owned),
                        text: text.map(str::to_owned),
                        reach: if states.len() == 1 { Reach::Page } else { Reach::All },
                    });
                }
            }
        }
    }
    filters
}

pub async fn every_filter_and_order_agrees_with_a_plain_search(world: &World) {
    let mut things = fill(world).await;
    for order in [Order::NewestFirst, Order::OldestFirst, Order::ByName] {
        things.sort_by(|one, two| match order {
            Order::NewestFirst => (two.at_ms, &two.id).cmp(&(one.at_ms, &one.id)),
            Order::OldestFirst => (one.at_ms, &one.id).cmp(&(two.at_ms, &two.id)),
            Order::ByName => one.id.cmp(&two.id),
        });
        for filter in filters() {
            let expected: Vec<&Thing> = things.iter().filter(|thing| lets_through(&filter, thing)).collect();
            let found = all_pages(world, &filter, order, 7).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{order:?} {filter:?}");
            let count = world.store.count::<Thing>(&filter).await.expect("it is counted");
            assert_eq!(count, expected.len() as u64, "{filter:?}");
        }
    }
}

/// Twelve thousand things, of which a few are looked for: a page looks only so far, and the pages together find all of them.
pub async fn what_is_rare_is_found_page_by_page(world: &World) {
    for block in 0..24 {
        let changes = (0..500).map(|row| {
            let number = block * 500 + row;
            let thing = Thing {
                id: format!("CHG-{number:05}"),
                state: if number % 4_000 == 7 { "running" } else { "closed" }.to_owned(),
                application: Some(name("ledger")),
                environment: Some(name(if number % 3_000 == 11 { "staging" } else { "production" })),
                at_ms: i64::from(number),
                title: if number % 5_000 == 13 { "a needle" } else { "hay" }.to_owned(),
                ..thing("")
            };
            writes(&thing, 0, &["made"])
        });
        made(&world.store, changes.collect()).await;
    }
    let page = Filter { reach: Reach::Page, ..Filter::default() };
    let places = Filter { applications: vec![name("ledger")], environments: vec![name("staging")], ..page.clone() };
    let of_place = Filter { applications: vec![name("ledger")], states: vec!["running".to_owned()], ..page.clone() };
    let cases = [(Filter { text: Some("needle".to_owned()), ..page }, 3), (places, 4), (of_place, 3)];
    for (filter, expected) in cases {
        for order in [Order::NewestFirst, Order::OldestFirst, Order::ByName] {
            assert_eq!(all_pages(world, &filter, order, 5).await.len(), expected, "{order:?} {filter:?}");
            let whole = Filter { reach: Reach::All, ..filter.clone() };
            let request = PageRequest { order, after: None, limit: 5 };
            let found = world.store.list::<Thing>(&whole, &request).await.expect("it is listed");
            assert_eq!((found.rows.len(), found.next), (expected, None), "{order:?} {whole:?}");
        }
    }
}

pub async fn ticks_are_what_a_plain_count_says(world: &World) {
    let things = fill(world).await;
    for filter in filters().into_iter().filter(|it| it.from_ms.is_some() && it.until_ms.is_some()) {
        let from_ms = filter.from_ms.expect("an end");
        let mut expected: BTreeMap<(i64, String), u64> = BTreeMap::new();
        for thing in things.iter().filter(|thing| lets_through(&filter, thing)) {
            *expected.entry((from_ms + (thing.at_ms - from_ms) / 4 * 4, thing.state.clone())).or_insert(0) += 1;
        }
        let found = world.store.ticks::<Thing>(&filter, 4).await.expect("they are counted");
        let found: BTreeMap<(i64, String), u64> = found.into_iter().map(|it| ((it.at_ms, it.state), it.count)).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    for bad in [Filter::default(), Filter { from_ms: Some(0), until_ms: Some(i64::MAX), ..Filter::default() }] {
        assert!(matches!(world.store.ticks::<Thing>(&bad, 1).await, Err(Fault::Contradiction(_))), "{bad:?}");
    }
}

async fn all_pages(world: &World, filter: &Filter, order: Order, limit: u32) -> Vec<Thing> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.list::<Thing>(filter, &PageRequest { order, after, limit }).await.expect("it is listed");
        assert!(page.rows.len() <= limit as usize);
        found.extend(page.rows.into_iter().map(|stored| stored.value));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

pub async fn records_are_loaded_by_id(world: &World) {
    let things = fill(world).await;
    let store = &world.store;
    assert_eq!(store.load::<Thing>("nothing").await.expect("it is read"), None);
    let mut ids: Vec<String> = things.iter().map(|thing| thing.id.clone()).collect();
    ids.insert(3, "nothing".to_owned());
    ids.push(ids[0].clone());
    let found = store.load_many::<Thing>(&ids).await.expect("they are read");
    let found: Vec<Thing> = found.into_iter().map(|stored| stored.value).collect();
    assert_eq!(found[..120], things);
    assert_eq!(found[120], things[0]);
    assert_eq!(store.load_many::<Thing>(&[]).await.expect("they are read"), []);
}

pub async fn text_is_found_whatever_its_case_and_wildcards_are_plain(world: &World) {
    let titles = ["100% sure", "100 sure", "under_score", "underxscore", "back\\slash", "ÄRGER mit Übermaß", "plain"];
    for (number, title) in titles.iter().enumerate() {
        let thing = Thing { title: (*title).to_owned(), ..thing(&format!("id-{number}")) };
        made(&world.store, vec![writes(&thing, 0, &["made"])]).await;
    }
    let cases = [
        ("0%", vec![0]),
        ("r_s", vec![2]),
        ("k\\s", vec![4]),
        ("äRgEr", vec![5]),
        ("ID-3", vec![3]),
        ("SURE", vec![0, 1]),
        ("", (0..7).collect()),
    ];
    for (text, expected) in cases {
        let filter = Filter { text: Some(text.to_owned()), ..Filter::default() };
        let found = all_pages(world, &filter, Order::ByName, 100).await;
        let found: Vec<&str> = found.iter().map(|thing| thing.title.as_str()).collect();
        assert_eq!(found, expected.into_iter().map(|number: usize| titles[number]).collect::<Vec<_>>(), "{text}");
    }
}

pub async fn ids_sort_by_their_bytes(world: &World) {
    let ids = ["B-1", "a-1", "a.1", "A-2", "a-10", "Z", "z"];
    made(&world.store, ids.iter().map(|id| writes(&thing(id), 0, &["made"])).collect()).await;
    let found = all_pages(world, &Filter::default(), Order::ByName, 2).await;
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    assert_eq!(found.iter().map(|thing| thing.id.as_str()).collect::<Vec<_>>(), sorted);
}

pub async fn a_foreign_cursor_is_refused(world: &World) {
    fill(world).await;
    let request = |order, after: Option<&str>| PageRequest { order, after: after.map(str::to_owned), limit: 5 };
    let page = world.store.list::<Thing>(&Filter::default(), &request(Order::NewestFirst, None)).await.expect("it is listed");
    let cursor = page.next.expect("there are more");
    for (order, cursor) in [(Order::ByName, cursor.as_str()), (Order::NewestFirst, "rubbish"), (Order::NewestFirst, "")] {
        let fault =
            world.store.list::<Thing>(&Filter::default(), &request(order, Some(cursor))).await.expect_err("it is foreign");
        assert!(matches!(fault, Fault::CursorInvalid { .. }), "{fault}");
        assert!(fault.refusal().is_some(), "a person's input is refused, not a fault");
    }
}
