//! Every refusal has a page that helps: `docs/errors/<code>.md` for each code of `domain::refusal::Code`, and no other.

use super::{Finding, Project, Rule};

const CODES: &str = "crates/domain/src/refusal.rs";
const FOLDER: &str = "docs/errors/";

/// What a page is made of, in this order; each part has text.
const PARTS: [&str; 4] = ["## What happened", "## Why", "## What to do", "## Example"];

pub fn check(project: &Project) -> Vec<Finding> {
    let codes = codes(project);
    let mut findings: Vec<Finding> = codes.iter().filter_map(|(code, line)| missing(project, code, *line)).collect();
    for (path, text) in project.tree.files() {
        let Some(file) = path.strip_prefix(FOLDER) else { continue };
        match file.strip_suffix(".md").filter(|code| codes.iter().any(|(known, _)| known == code)) {
            Some(code) => findings.extend(parts(path, code, text)),
            None if file == "README.md" => {}
            None => {
                let what = format!("{file} is no page of a code");
                findings.push(Finding::new(Rule::ErrorPage, path, 1, what, "remove it, or name it after a code"));
            }
        }
    }
    findings
}

/// The variants of `enum Code` in snake case, with their lines.
fn codes(project: &Project) -> Vec<(String, usize)> {
    let Some(source) = project.sources.iter().find(|source| source.path == CODES) else { return Vec::new() };
    let codes = source.ast.items.iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "Code" => Some(item),
        _ => None,
    });
    let variants = codes.into_iter().flat_map(|codes| &codes.variants);
    variants.map(|variant| (snake(&variant.ident.to_string()), variant.ident.span().start().line)).collect()
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn missing(project: &Project, code: &str, line: usize) -> Option<Finding> {
    let path = format!("{FOLDER}{code}.md");
    let what = format!("the code {code} has no page");
    project.tree.get(&path).is_none().then(|| Finding::new(Rule::ErrorPage, CODES, line, what, format!("write {path}")))
}

fn parts(path: &str, code: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let title = text.lines().next().unwrap_or_default();
    if title.strip_prefix(&format!("# {code}: ")).is_none_or(|title| title.trim().is_empty()) {
        let remedy = format!("begin with \"# {code}: \" and what it means in a few words");
        findings.push(Finding::new(Rule::ErrorPage, path, 1, "the title does not name the code", remedy));
    }
    let mut line_before = 0;
    for part in PARTS {
        let Some(at) = text.lines().position(|line| line == part) else {
            let what = format!("the part \"{part}\" is missing");
            findings.push(Finding::new(Rule::ErrorPage, path, 1, what, format!("write the parts {}", PARTS.join(", "))));
            continue;
        };
        if at < line_before {
            let what = format!("the part \"{part}\" is out of order");
            findings.push(Finding::new(Rule::ErrorPage, path, at + 1, what, format!("the order is {}", PARTS.join(", "))));
        }
        let body: String = text.lines().skip(at + 1).take_while(|line| !line.starts_with("## ")).collect();
        if body.trim().is_empty() {
            let what = format!("the part \"{part}\" is empty");
            findings.push(Finding::new(Rule::ErrorPage, path, at + 1, what, "write it"));
        }
        line_before = at;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    const CODES: &str = "pub enum Code {\n    NotFound,\n}\n";
    const PAGE: &str =
        "# not_found: no such thing\n\n## What happened\n\na\n\n## Why\n\nb\n\n## What to do\n\nc\n\n## Example\n\nd\n";

    fn check(page: Option<(&str, &str)>) -> Vec<String> {
        let mut files = vec![(super::CODES, CODES)];
        files.extend(page);
        findings_of(super::check, &files)
    }

    #[test]
    fn a_code_needs_its_page_and_a_page_its_code() {
        assert_eq!(check(Some(("docs/errors/not_found.md", PAGE))), Vec::<String>::new());
        assert!(check(None)[0].starts_with("crates/domain/src/refusal.rs:2: the code not_found has no page"));
        let found = check(Some(("docs/errors/gone.md", PAGE)));
        assert!(found.iter().any(|finding| finding.contains("gone.md is no page of a code")), "{found:?}");
    }

    #[test]
    fn a_page_needs_its_title_and_all_its_parts() {
        let found = check(Some(("docs/errors/not_found.md", &PAGE.replace("# not_found: ", "# "))));
        assert!(found[0].contains("the title does not name the code"), "{found:?}");
        let found = check(Some(("docs/errors/not_found.md", &PAGE.replace("## Why", "## Because"))));
        assert!(found[0].contains("the part \"## Why\" is missing"), "{found:?}");
        let found = check(Some(("docs/errors/not_found.md", &PAGE.replace("\nd\n", ""))));
        assert!(found[0].contains("the part \"## Example\" is empty"), "{found:?}");
    }
}
