//! Votes are bound to the content that was seen.

use proptest::prelude::*;
use serde_json::json;
use tidegate_domain::change::{Change, Choice, Command, Content, Event, Outcome, State, Vote};
use tidegate_domain::{Code, Digest, Name};

use crate::state_tables::change_in;
use crate::world::{bytes_of, name, names, version};

fn ask(change: &mut Change, command: &Command) -> Result<Vec<Event>, Code> {
    let events = change.decide(command).map_err(|refusal| refusal.code)?;
    for event in &events {
        change.apply(event, 1);
    }
    Ok(events)
}

fn vote(change: &Change, by: &str) -> Command {
    let reason = String::new();
    Command::Vote(Vote { by: name(by), at_ms: 0, choice: Choice::Approve, digest: change.content.digest(), reason })
}

fn approve(change: &mut Change, by: &str) -> Result<Vec<Event>, Code> {
    let seen = vote(change, by);
    ask(change, &seen)
}

/// A normal change by ada that awaits so many votes.
fn awaiting(quorum: u32) -> Change {
    Change { quorum, ..change_in("normal", State::AwaitingAuthorisation) }
}

#[test]
fn a_person_counts_once_and_the_author_never() {
    let mut change = awaiting(2);
    assert_eq!(approve(&mut change, "ada"), Err(Code::AuthorApproves));
    assert!(approve(&mut change, "bob").is_ok());
    assert_eq!(approve(&mut change, "bob"), Err(Code::AlreadyVoted));
    assert_eq!(change.state, State::AwaitingAuthorisation);
    assert!(approve(&mut change, "eve").is_ok());
    assert_eq!(change.authorised, Some(change.content.digest()));
}

#[test]
fn whoever_edited_it_is_an_author_too() {
    let mut change = awaiting(1);
    let content = Content { description: "and a door for me".into(), ..change.content.clone() };
    assert!(ask(&mut change, &Command::Edit { content, by: name("bob") }).is_ok());
    assert_eq!(approve(&mut change, "bob"), Err(Code::AuthorApproves));
    assert_eq!(approve(&mut change, "ada"), Err(Code::AuthorApproves));
    assert!(approve(&mut change, "eve").is_ok());
}

#[test]
fn a_change_is_over_when_it_has_succeeded_everywhere_or_failed_anywhere() {
    let started = |class| {
        let mut change = change_in(class, State::Authorised);
        change.content.environments = names(&["test", "live"]);
        change
    };
    let conclude = |change: &mut Change, place: &str, outcome| {
        ask(change, &Command::Implement).unwrap();
        ask(change, &Command::Verify).unwrap();
        ask(change, &Command::Conclude { environment: name(place), outcome }).unwrap();
        change.state
    };
    let mut well = started("normal");
    assert_eq!(conclude(&mut well, "test", Outcome::Successful), State::Authorised);
    assert_eq!(conclude(&mut well, "live", Outcome::Successful), State::Review);
    let mut standard = started("standard");
    assert_eq!(conclude(&mut standard, "live", Outcome::Successful), State::Authorised);
    assert_eq!(conclude(&mut standard, "test", Outcome::Successful), State::Closed);
    let mut badly = started("standard");
    assert_eq!(conclude(&mut badly, "test", Outcome::FellBack), State::Review);
    assert_eq!((badly.outcome, badly.implemented.len()), (Some(Outcome::FellBack), 0));
}

#[test]
fn what_is_left_of_a_change_can_be_planned_and_voted_on_anew() {
    let mut change = awaiting(1);
    change.content.environments = names(&["test", "live"]);
    approve(&mut change, "bob").unwrap();
    ask(&mut change, &Command::Implement).unwrap();
    let well = |place: &str| Command::Conclude { environment: name(place), outcome: Outcome::Successful };
    ask(&mut change, &well("test")).unwrap();
    let mut content = change.content.clone();
    content.plans.insert(name("live"), bytes_of("another plan"));
    ask(&mut change, &Command::Edit { content, by: name("ada") }).unwrap();
    assert_eq!((change.state, change.implemented.len()), (State::AwaitingAuthorisation, 1));
    approve(&mut change, "bob").unwrap();
    assert_eq!(change.state, State::Authorised);
    // A deployment that was at work all the while concludes it even if a vote has fallen since.
    ask(&mut change, &Command::WithdrawVote { by: name("bob") }).unwrap();
    ask(&mut change, &well("live")).unwrap();
    assert_eq!(change.state, State::Review);
}

#[test]
fn a_plan_is_named_only_for_where_the_change_is() {
    let mut change = awaiting(1);
    let mut content = change.content.clone();
    content.plans.insert(name("elsewhere"), bytes_of("a plan"));
    assert_eq!(ask(&mut change, &Command::Edit { content, by: name("ada") }), Err(Code::Malformed));
}

#[test]
fn a_vote_taken_back_blocks_again() {
    let mut change = awaiting(2);
    for by in ["bob", "eve"] {
        approve(&mut change, by).unwrap();
    }
    assert_eq!(change.state, State::Authorised);
    ask(&mut change, &Command::WithdrawVote { by: name("eve") }).unwrap();
    assert_eq!((change.state, &change.authorised), (State::AwaitingAuthorisation, &None));
    assert_eq!(ask(&mut change, &Command::WithdrawVote { by: name("eve") }), Err(Code::StateForbids));
    approve(&mut change, "eve").unwrap();
    assert_eq!(change.state, State::Authorised);
}

#[test]
fn votes_are_suspended_while_it_is_on_hold() {
    let mut change = awaiting(2);
    approve(&mut change, "bob").unwrap();
    ask(&mut change, &Command::Hold { by: name("bob"), reason: "wait".into() }).unwrap();
    assert_eq!(approve(&mut change, "eve"), Err(Code::StateForbids));
    ask(&mut change, &Command::Release { by: name("bob") }).unwrap();
    approve(&mut change, "eve").unwrap();
    assert_eq!(change.state, State::Authorised, "the vote from before counts again");
}

#[test]
fn a_standard_change_that_is_edited_starts_over() {
    let mut change = change_in("standard", State::Draft);
    ask(&mut change, &Command::Submit { by: name("ada") }).unwrap();
    assert_eq!(change.state, State::Authorised);
    let content = Content { title: "Another".into(), ..change.content.clone() };
    ask(&mut change, &Command::Edit { content, by: name("ada") }).unwrap();
    assert_eq!((change.state, change.authorised), (State::Draft, None));
}

/// Every way to say something else than `content`.
fn edits(content: &Content) -> Vec<Content> {
    let of = |edit: fn(&mut Content)| {
        let mut other = content.clone();
        edit(&mut other);
        other
    };
    vec![
        of(|it| it.title.push('!')),
        of(|it| it.class = serde_json::from_value(json!("emergency")).unwrap()),
        of(|it| it.description.push('!')),
        of(|it| it.application = name("bank")),
        of(|it| it.environments = names(&["live", "test"])),
        of(|it| drop(it.versions.insert(name("shop-web"), version("6.6")))),
        of(|it| drop(it.plans.insert(name("live"), bytes_of("another plan")))),
        of(|it| it.risk = serde_json::from_value(json!("high")).unwrap()),
        of(|it| it.impact = serde_json::from_value(json!("high")).unwrap()),
        of(|it| it.back_out.push('!')),
    ]
}

#[test]
fn any_edit_of_the_content_makes_the_authorisation_fall() {
    let fields = serde_json::to_value(&awaiting(1).content).unwrap().as_object().unwrap().len();
    let edits = edits(&awaiting(1).content);
    assert_eq!(edits.len(), fields, "an edit of each field");
    for content in edits {
        let mut change = awaiting(1);
        let seen = vote(&change, "eve");
        approve(&mut change, "bob").unwrap();
        ask(&mut change, &Command::Edit { content: content.clone(), by: name("ada") }).unwrap();
        assert_eq!((change.votes.len(), change.fallen_votes.len(), &change.authorised), (0, 1, &None), "{content:?}");
        assert_eq!(change.state, State::AwaitingAuthorisation);
        assert_eq!(ask(&mut change, &seen), Err(Code::ApprovalStale));
    }
}

#[test]
fn an_edit_that_changes_nothing_is_no_news() {
    let mut change = awaiting(2);
    approve(&mut change, "bob").unwrap();
    let same = Command::Edit { content: change.content.clone(), by: name("eve") };
    assert_eq!(ask(&mut change, &same), Ok(vec![]));
    assert_eq!(change.votes.len(), 1);
}

#[derive(Debug, Clone)]
enum Act {
    Vote { by: Name, reject: bool, of: usize },
    Withdraw(Name),
    Edit { by: Name, title: usize },
    Submit,
    Hold,
    Release,
    Implement,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let person = || prop::sample::select(vec!["ada", "bob", "eve", "joe", "kim"]).prop_map(name);
    let act = prop_oneof![
        6 => (person(), prop::bool::weighted(0.1), 0_usize..3).prop_map(|(by, reject, of)| Act::Vote { by, reject, of }),
        2 => person().prop_map(Act::Withdraw),
        2 => (person(), 0_usize..3).prop_map(|(by, title)| Act::Edit { by, title }),
        2 => Just(Act::Submit),
        1 => Just(Act::Hold),
        1 => Just(Act::Release),
        1 => Just(Act::Implement),
    ];
    prop::collection::vec(act, 0..25)
}

fn titled(title: usize) -> Content {
    Content { title: format!("Shop 1.{title}"), ..change_in("normal", State::Draft).content }
}

fn command(act: &Act) -> Command {
    match act {
        Act::Vote { by, reject, of } => {
            let choice = if *reject { Choice::Reject } else { Choice::Approve };
            let digest: Digest = titled(*of).digest();
            Command::Vote(Vote { by: by.clone(), at_ms: 0, choice, digest, reason: "because".into() })
        }
        Act::Withdraw(by) => Command::WithdrawVote { by: by.clone() },
        Act::Edit { by, title } => Command::Edit { content: titled(*title), by: by.clone() },
        Act::Submit => Command::Submit { by: name("ada") },
        Act::Hold => Command::Hold { by: name("ada"), reason: "wait".into() },
        Act::Release => Command::Release { by: name("ada") },
        Act::Implement => Command::Implement,
    }
}

proptest! {
    #[test]
    fn what_is_authorised_was_approved_by_enough_others_as_it_stands(acts in acts(), quorum in 1_u32..4) {
        let mut change = Change { quorum, content: titled(0), ..change_in("normal", State::Draft) };
        for act in &acts {
            let _refused = ask(&mut change, &command(act));
            let people: std::collections::BTreeSet<&Name> = change.votes.iter().map(|vote| &vote.by).collect();
            prop_assert_eq!(people.len(), change.votes.len());
            prop_assert!(!people.contains(&change.author));
            prop_assert!(change.votes.iter().all(|vote| vote.digest == change.content.digest()));
            if change.state.lets_deploy() {
                prop_assert_eq!(change.authorised.clone(), Some(change.content.digest()));
                prop_assert!(change.votes.len() as u32 >= quorum);
                prop_assert!(!change.editors.iter().any(|editor| people.contains(editor)));
            } else {
                prop_assert_eq!(&change.authorised, &None);
            }
        }
    }
}
