//! The guide as a person follows it: blocks to type, what is seen afterwards, and lists of what to do on the pages.

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Type a block on a host; it ends with that code.
    Type { hosts: Vec<String>, block: String, ends: i32 },
    /// What was typed last said these lines, in this order; `…` stands for anything.
    Seen(Vec<String>),
    /// A sentence about the pages.
    Page(String),
}

/// Reads what is to be done. A block ```` ```sh HOST… [ends=N] ```` is typed, ```` ```text ```` is seen, and list items
/// between `<!-- pages -->` and `<!-- /pages -->` are sentences.
pub fn steps(guide: &str) -> Vec<Step> {
    let (mut steps, mut lines, mut pages) = (Vec::new(), guide.lines(), false);
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            steps.extend(fenced(kind, &block));
        } else if line.contains("pages -->") {
            pages = !line.contains("/pages");
        } else if pages && let Some((number, sentences)) = line.split_once(". ") {
            assert!(number.parse::<u32>().is_ok(), "between the marks there are numbered lines only: {line}");
            steps.extend(sentences.split_inclusive(". ").map(|it| Step::Page(it.trim().trim_end_matches('.').to_owned())));
        }
    }
    steps
}

fn fenced(kind: &str, block: &[&str]) -> Option<Step> {
    let mut words = kind.split_whitespace();
    match words.next() {
        Some("sh") => {
            let (ends, hosts): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with("ends="));
            assert!(!hosts.is_empty(), "a block to type names its hosts: {block:?}");
            let ends = ends.first().and_then(|word| word.trim_start_matches("ends=").parse().ok()).unwrap_or(0);
            let hosts = hosts.into_iter().map(str::to_owned).collect();
            Some(Step::Type { hosts, block: block.join("\n"), ends })
        }
        Some("text") => Some(Step::Seen(block.iter().map(|line| (*line).to_owned()).collect())),
        _ => None,
    }
}

/// Whether the lines stand in what was said, in this order; answers the words that `WORD…` stood for.
pub fn seen(wanted: &[String], said: &str) -> Result<Vec<(String, String)>, String> {
    let (mut found, mut lines) = (Vec::new(), said.lines());
    for pattern in wanted.iter().filter(|line| !line.trim().is_empty()) {
        let line = lines.find(|line| fits(pattern, line)).ok_or_else(|| format!("this was not seen: {pattern}"))?;
        let pairs = pattern.split_whitespace().zip(line.split_whitespace());
        let named = pairs.filter(|(word, _)| word.len() > '…'.len_utf8() && word.ends_with('…'));
        found.extend(named.map(|(word, found)| (word.to_owned(), found.to_owned())));
    }
    Ok(found)
}

fn fits(pattern: &str, line: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (pattern, line) = (squeeze(pattern), squeeze(line));
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(stem(parts.next().unwrap_or_default())) else { return false };
    let parts: Vec<&str> = parts.collect();
    for part in &parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || parts.last().is_some_and(|last| last.is_empty())
}

/// `KEY` before `…` is a name for what stands there, not a part of it.
fn stem(part: &str) -> &str {
    part.strip_suffix("KEY").unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::{Step, fits, seen, steps};

    #[test]
    fn a_guide_is_read_as_a_person_reads_it() {
        let guide = "Text.\n```sh one two ends=3\nls\n```\n```text\na… b\n```\n<!-- pages -->\n1. Open *X*. Press *Y*.\n<!-- /pages -->\n1. no\n";
        let type_it = Step::Type { hosts: vec!["one".to_owned(), "two".to_owned()], block: "ls".to_owned(), ends: 3 };
        let page = |text: &str| Step::Page(text.to_owned());
        assert_eq!(steps(guide), [type_it, Step::Seen(vec!["a… b".to_owned()]), page("Open *X*"), page("Press *Y*")]);
    }

    #[test]
    fn what_is_seen_may_differ_only_where_the_guide_says_so() {
        assert!(fits("… wave 1: a… healthy", "04:16:41  wave 1: a, b healthy"));
        assert!(fits("good …", "good   it answers") && fits("0 problems", "0  problems"));
        assert!(!fits("hello", "hello there") && !fits("wave 2 …", "x wave 2 y") && !fits("a … c", "a b"));
        let said = "x\ntidegate agent --token TOK-1.z\ny";
        let found = seen(&["tidegate agent --token TOK-…".to_owned()], said).expect("it is there");
        assert_eq!(found, [("TOK-…".to_owned(), "TOK-1.z".to_owned())]);
        assert!(seen(&["y".to_owned(), "x".to_owned()], said).is_err(), "the order counts");
    }
}
