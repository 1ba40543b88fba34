//! What is different between two contents of a change: what somebody approved, and what it has become.

use super::{Class, Content, Level};

/// One field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name for people.
    pub field: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// Every field that differs, in the order in which a change is read.
pub fn between(before: &Content, after: &Content) -> Vec<Difference> {
    let (was, is) = (fields(before), fields(after));
    let pairs = was.into_iter().zip(is).filter(|((_, before), (_, after))| before != after);
    pairs.map(|((field, before), (_, after))| Difference { field, before, after }).collect()
}

/// Every field in words; the pattern names each, so that a new one cannot be forgotten.
fn fields(content: &Content) -> Vec<(&'static str, String)> {
    let Content { title, class, description, application, environments, versions, plans, risk, impact, back_out } = content;
    let names: Vec<&str> = environments.iter().map(crate::Name::as_str).collect();
    let versions: Vec<String> = versions.iter().map(|(component, version)| format!("{component} {version}")).collect();
    let plans: Vec<String> = plans.iter().map(|(environment, plan)| format!("{environment}: {}", plan.short())).collect();
    vec![
        ("title", title.clone()),
        ("class", class_word(*class).to_owned()),
        ("description", description.clone()),
        ("application", application.to_string()),
        ("environments", names.join(", ")),
        ("versions", versions.join(", ")),
        ("plan", plans.join(", ")),
        ("risk", level_word(*risk).to_owned()),
        ("impact", level_word(*impact).to_owned()),
        ("back out", back_out.clone()),
    ]
}

fn class_word(class: Class) -> &'static str {
    match class {
        Class::Standard => "standard",
        Class::Normal => "normal",
        Class::Emergency => "emergency",
    }
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn content(edit: fn(&mut Value)) -> Content {
        let mut content = json!({"title": "Faster search", "class": "normal", "application": "shop", "environments": ["live"],
            "versions": {"api": "1.0"}, "risk": "low"});
        edit(&mut content);
        serde_json::from_value(content).expect("a content")
    }

    fn told(edit: fn(&mut Value)) -> String {
        let found = between(&content(|_| {}), &content(edit));
        found.iter().map(|it| format!("{}: {} -> {}", it.field, it.before, it.after)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_changed_is_told_field_by_field() {
        assert_eq!(told(|_| {}), "");
        assert_eq!(told(|it| it["versions"] = json!({"api": "1.1", "web": "2.0"})), "versions: api 1.0 -> api 1.1, web 2.0");
        assert_eq!(
            told(|it| (it["risk"], it["title"]) = (json!("high"), json!("Search"))),
            "title: Faster search -> Search; risk: low -> high"
        );
    }
}
