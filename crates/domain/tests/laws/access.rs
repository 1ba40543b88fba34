//! Who may do what, where. The table is the reviewed one: change it only on purpose.

use expect_test::expect;
use proptest::prelude::*;
use tidegate_domain::Name;
use tidegate_domain::access::{About, Grant, Permission, Person, Role, Scope};

use crate::world::name;

#[test]
fn the_permissions_of_every_role() {
    let line = |permission: &Permission| {
        let roles: Vec<&str> = Role::ALL.into_iter().filter(|role| role.carries(*permission)).map(Role::as_str).collect();
        format!("{:<16}{}\n", permission.as_str(), roles.join(", "))
    };
    expect![[r#"
        public          viewer, developer, release_manager, change_authority, operator, administrator
        signed_in       viewer, developer, release_manager, change_authority, operator, administrator
        read            viewer, developer, release_manager, change_authority, operator, administrator
        define_estate   release_manager, administrator
        upload_artifact developer, administrator
        write_change    developer, release_manager, change_authority, administrator
        authorise       change_authority, administrator
        manage_release  release_manager, administrator
        manage_freeze   release_manager, administrator
        rule_exception  release_manager, change_authority, administrator
        plan            developer, release_manager, operator, administrator
        deploy          developer, release_manager, operator, administrator
        record          release_manager, administrator
        enrol           operator, administrator
        administer      administrator
    "#]]
    .assert_eq(&Permission::ALL.iter().map(line).collect::<String>());
}

#[test]
fn nobody_both_authorises_and_deploys_but_the_administrator() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Administrator) {
        assert!(!(role.carries(Permission::Authorise) && role.carries(Permission::Deploy)), "{role:?}");
        assert!(!(role.carries(Permission::ManageFreeze) && role.carries(Permission::Authorise)), "{role:?}");
        assert!(!role.carries(Permission::Administer), "{role:?}");
    }
}

fn some_name() -> impl Strategy<Value = Name> {
    prop::sample::select(vec!["shop", "bank", "live", "test"]).prop_map(name)
}

fn grant() -> impl Strategy<Value = Grant> {
    let scope = prop_oneof![Just(Scope::All), some_name().prop_map(Scope::Application), some_name().prop_map(Scope::Environment)];
    (prop::sample::select(Role::ALL.to_vec()), scope).prop_map(|(role, scope)| Grant { role, scope })
}

proptest! {
    #[test]
    fn a_grant_never_reaches_beyond_its_scope(
        grant in grant(),
        permission in prop::sample::select(Permission::ALL.to_vec()),
        application in prop::option::of(some_name()),
        environment in prop::option::of(some_name()),
    ) {
        let about = About { application: application.as_ref(), environment: environment.as_ref() };
        let inside = match &grant.scope {
            Scope::All => true,
            Scope::Application(name) => application.as_ref() == Some(name),
            Scope::Environment(name) => environment.as_ref() == Some(name),
        };
        prop_assert_eq!(grant.allows(permission, about), inside && grant.role.carries(permission));
    }

    #[test]
    fn a_person_may_what_some_grant_allows_and_nothing_else(
        grants in prop::collection::vec(grant(), 0..4),
        permission in prop::sample::select(Permission::ALL.to_vec()),
        application in prop::option::of(some_name()),
    ) {
        let about = About { application: application.as_ref(), environment: None };
        let anybody = matches!(permission, Permission::Public | Permission::SignedIn);
        let wanted = anybody || grants.iter().any(|grant| grant.allows(permission, about));
        let person = Person { name: name("ada"), title: String::new(), grants };
        prop_assert_eq!(person.may(permission, about), wanted);
    }
}
