//! Reads the Prometheus text format, as far as adding series up goes.

use tidegate_domain::gate::metric::Selector;

/// The sum of the series that a selector matches, or nothing if there is none.
pub fn sum(text: &str, selector: &Selector) -> Option<f64> {
    let values = text.lines().filter_map(|line| value(line, selector));
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then_some(sum)
}

/// The value of a line, if it is of a series that the selector matches.
fn value(line: &str, selector: &Selector) -> Option<f64> {
    let rest = line.trim_start().strip_prefix(selector.metric.as_str())?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        None => return None,
    };
    let has = |(name, wanted): (&String, &String)| labels.iter().any(|(key, value)| key == name && value == wanted);
    if !selector.labels.iter().all(has) {
        return None;
    }
    let number = rest.split_whitespace().next()?;
    number.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The labels up to the closing brace, and what follows it. Values may hold escaped quotes, backslashes and line ends.
fn labels(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let mut value = String::new();
        let mut chars = after.trim_start().strip_prefix('"')?.char_indices();
        let quoted = after.trim_start().strip_prefix('"')?;
        rest = loop {
            match chars.next()? {
                (at, '"') => break &quoted[at + 1..],
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP requests_total All requests.
# TYPE requests_total counter
requests_total{code="2xx",route="/a"} 10
requests_total{code="5xx",route="/a"} 3 1700000000000
requests_total{code="5xx",route="with \"quotes\", and a comma"} 2
requests_total_other{code="5xx"} 100
up 1
odd NaN
"#;

    fn check(metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        sum(TEXT, &Selector { metric: metric.to_owned(), labels })
    }

    #[test]
    fn series_are_added_up_by_name_and_labels() {
        assert_eq!(check("requests_total", &[]), Some(15.0));
        assert_eq!(check("requests_total", &[("code", "5xx")]), Some(5.0));
        assert_eq!(check("requests_total", &[("route", "with \"quotes\", and a comma")]), Some(2.0));
        assert_eq!(check("requests_total", &[("code", "4xx")]), None);
        assert_eq!(check("up", &[]), Some(1.0));
        assert_eq!(check("odd", &[]), None);
        assert_eq!(check("absent", &[]), None);
    }
}
