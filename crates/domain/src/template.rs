//! `{{ name }}` in arguments and addresses, over the order's variables and nothing else.

use std::collections::BTreeMap;

use minijinja::value::Kwargs;
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::ids::clip;
use crate::refusal::{Code, Refusal};

/// Instructions one text may take; a text that needs more is an endless one.
const FUEL: u64 = 10_000;
/// Bytes of a rendered text: what a kernel takes as one argument.
const RENDERED_BYTES_MAX: usize = 128 << 10;

/// Whether a text has anything to replace.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Checks that a text can be read as a template, whatever its variables will be.
///
/// # Errors
///
/// [`Code::Malformed`], naming the text.
pub fn check(text: &str) -> Result<(), Refusal> {
    if !is_template(text) {
        return Ok(());
    }
    let parsed = Environment::empty().template_from_str(text).map(|_| ());
    parsed.map_err(|error| Refusal::new(Code::Malformed, unreadable(text, &error), "write {{ name }}, with both pairs of braces"))
}

fn unreadable(text: &str, error: &minijinja::Error) -> String {
    format!("\"{}\" is not a template: {error}", clip(text))
}

/// Replaces every `{{ name }}`.
///
/// # Errors
///
/// A sentence for people that names the text, if it is no template, names an unknown variable or grows without bound.
pub fn render(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let values: Kwargs = variables.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str()))).collect();
    let rendered = environment.render_str(text, Value::from(values));
    let rendered = rendered.map_err(|error| {
        if error.kind() != minijinja::ErrorKind::UndefinedError {
            return unreadable(text, &error);
        }
        let known: Vec<&str> = variables.keys().map(String::as_str).collect();
        format!("\"{}\" names a variable that the target does not have (it has: {})", clip(text), known.join(", "))
    })?;
    if rendered.len() > RENDERED_BYTES_MAX || rendered.contains('\0') {
        return Err(format!("\"{}\" becomes too long or holds a zero byte", clip(text)));
    }
    Ok(rendered)
}

/// [`render`] of each text.
pub fn render_all(texts: &[String], variables: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    texts.iter().map(|text| render(text, variables)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        let variables = BTreeMap::from([("port".to_owned(), "8080".to_owned()), ("zone".to_owned(), "a".to_owned())]);
        render(text, &variables).unwrap_or_else(|error| format!("no: {error}"))
    }

    #[test]
    fn variables_are_put_in_and_unknown_ones_refused() {
        assert_eq!(rendered("http://127.0.0.1:{{ port }}/ready"), "http://127.0.0.1:8080/ready");
        assert_eq!(rendered("--plain"), "--plain");
        assert_eq!(
            rendered("{{ prot }}"),
            "no: \"{{ prot }}\" names a variable that the target does not have (it has: port, zone)"
        );
        assert!(rendered("{% for a in range(99999999) %}x{% endfor %}").starts_with("no: "));
        assert!(rendered("{% include 'etc' %}").starts_with("no: "));
        assert!(rendered("{{ port").starts_with("no: "));
    }

    #[test]
    fn what_cannot_be_read_is_refused_before_there_is_a_variable() {
        assert!(check("--port={{ prot }}").is_ok());
        let refusal = check("{{ port").unwrap_err();
        assert_eq!(refusal.code, Code::Malformed);
        assert!(refusal.what.starts_with("\"{{ port\" is not a template: "), "{}", refusal.what);
    }
}
