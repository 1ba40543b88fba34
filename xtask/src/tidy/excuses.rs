//! The ratchet: known faults with a limit and a reason. The list may only grow shorter and its limits smaller.

use serde::Deserialize;

use super::{Finding, Rule};

/// Where the excuses are.
pub const PATH: &str = "xtask/tidy-excuses.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuses {
    #[serde(default)]
    excuse: Vec<toml::Spanned<Excuse>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuse {
    path: String,
    /// What the finding is about: a function as `name` or `Type::name`, a word; empty for the file as a whole.
    #[serde(default)]
    item: String,
    rule: String,
    /// The size that is let through, where the rule measures one; exactly the present size.
    limit: Option<usize>,
    reason: String,
}

/// Takes the excused findings out and puts in what is wrong with the excuses. Also says how many were excused.
pub fn apply(text: Option<&str>, mut findings: Vec<Finding>) -> (Vec<Finding>, usize) {
    let text = text.unwrap_or_default();
    let excuses: Excuses = match toml::from_str(text) {
        Ok(excuses) => excuses,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            findings.push(wrong(line, error.message().to_owned(), "write [[excuse]] with path, item, rule, limit, reason"));
            return (findings, 0);
        }
    };
    let before = findings.len();
    let mut faults = Vec::new();
    for excuse in excuses.excuse {
        let line = line_of(text, excuse.span().start);
        if let Some(fault) = settle(&excuse.into_inner(), line, &mut findings) {
            faults.push(fault);
        }
    }
    let silenced = before - findings.len();
    findings.extend(faults);
    (findings, silenced)
}

/// Removes what `excuse` covers from `findings`, or says what is wrong with it.
fn settle(excuse: &Excuse, line: usize, findings: &mut Vec<Finding>) -> Option<Finding> {
    let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.code() == excuse.rule) else {
        return Some(wrong(line, format!("there is no rule \"{}\"", excuse.rule), "use the word in brackets of the finding"));
    };
    if !rule.may_be_excused() {
        return Some(wrong(line, format!("the rule {} knows no excuse", rule.code()), "mend the code"));
    }
    if excuse.reason.trim().is_empty() {
        return Some(wrong(line, "the reason is empty", "say why it must be so"));
    }
    let meant = |finding: &Finding| finding.rule == rule && finding.path == excuse.path && finding.item == excuse.item;
    let largest = findings.iter().filter(|finding| meant(finding)).map(|finding| finding.measure).max();
    match (largest, excuse.limit) {
        (None, _) => Some(wrong(line, format!("nothing in {} needs this excuse any more", excuse.path), "remove it")),
        (Some(Some(size)), Some(limit)) if size < limit => {
            Some(wrong(line, format!("the limit is {limit} but the size is {size}"), format!("lower the limit to {size}")))
        }
        (Some(Some(size)), limit) if limit.is_none_or(|limit| size > limit) => None, // the finding itself stays and speaks
        (Some(_), _) => {
            findings.retain(|finding| !meant(finding));
            None
        }
    }
}

fn wrong(line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::new(Rule::Excuse, PATH, line, what, remedy)
}

fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Rule};

    fn check(excuse: &str) -> Vec<String> {
        let long = Finding::new(Rule::FunctionSize, "a.rs", 7, "long has 80 lines", "cut it").item("long").measure(80);
        let (left, _) = super::apply(Some(&format!("[[excuse]]\npath = \"a.rs\"\nitem = \"long\"\n{excuse}")), vec![long]);
        left.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_excuse_with_a_reason_and_the_exact_limit_silences() {
        assert!(check("rule = \"function-size\"\nlimit = 80\nreason = \"a table\"").is_empty());
    }

    #[test]
    fn an_excuse_does_not_let_the_fault_grow() {
        let left = check("rule = \"function-size\"\nlimit = 79\nreason = \"a table\"");
        assert_eq!(left, ["a.rs:7: long has 80 lines; cut it [function-size]"]);
    }

    #[test]
    fn an_excuse_shrinks_with_the_fault() {
        let left = check("rule = \"function-size\"\nlimit = 90\nreason = \"a table\"");
        assert!(left[1].contains("lower the limit to 80"), "{left:?}");
    }

    #[test]
    fn an_excuse_that_is_not_needed_is_a_fault() {
        let left = check("rule = \"file-size\"\nreason = \"a table\"");
        assert!(left[1].contains("nothing in a.rs needs this excuse any more"), "{left:?}");
    }

    #[test]
    fn an_empty_reason_is_a_fault() {
        let left = check("rule = \"function-size\"\nlimit = 80\nreason = \" \"");
        assert!(left[1].contains("the reason is empty"), "{left:?}");
    }

    #[test]
    fn walls_know_no_excuse_and_unknown_rules_are_named() {
        assert!(check("rule = \"edge\"\nreason = \"please\"")[1].contains("knows no excuse"));
        assert!(check("rule = \"edges\"\nreason = \"please\"")[1].contains("there is no rule \"edges\""));
        assert!(check("rule = 7")[1].starts_with("xtask/tidy-excuses.toml:4: "));
    }
}
