//! What must not stand in any file: things left for later, paths of one machine, silent silencing, stray white space.

use syn::visit::Visit;

use super::{Finding, Project, Rule};
use crate::source::Source;

// Written in two parts, so that this file does not find itself.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Files that a tool writes.
const GENERATED: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub fn check(project: &Project) -> Vec<Finding> {
    let mut findings: Vec<Finding> = project.tree.files().flat_map(|(path, text)| file(path, text)).collect();
    for source in &project.sources {
        findings.extend(unfinished(source));
        findings.extend(silenced(source));
    }
    findings
}

fn file(path: &str, text: &str) -> Vec<Finding> {
    if GENERATED.iter().any(|name| path.ends_with(name)) {
        return lock(path, text);
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        findings.extend(line_of(path, index + 1, line));
    }
    if text.contains('\r') {
        findings.push(Finding::new(
            Rule::WhiteSpace,
            path,
            1,
            "lines end with a carriage return",
            "end them with a line feed alone",
        ));
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        let last = text.lines().count();
        let what = "the file does not end with exactly one line feed";
        findings.push(Finding::new(Rule::WhiteSpace, path, last, what, "end the last line, and end there"));
    }
    findings
}

fn line_of(path: &str, number: usize, line: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(marker) = MARKERS.into_iter().find(|marker| stands_alone(line, marker)) {
        let what = format!("\"{marker}\" leaves something for later");
        findings.push(Finding::new(Rule::Marker, path, number, what, "do it now, or open an issue and delete the note"));
    }
    if let Some(place) = MACHINE_PATHS.into_iter().find(|place| starts_a_path(line, place)) {
        let what = format!("\"{place}…\" is a path of one machine");
        findings.push(Finding::new(Rule::MachinePath, path, number, what, "use a relative path or an environment variable"));
    }
    if line.ends_with([' ', '\t']) {
        findings.push(Finding::new(Rule::WhiteSpace, path, number, "white space at the end of the line", "delete it"));
    }
    findings
}

/// A lock file that names where packages were downloaded works on one network only.
fn lock(path: &str, text: &str) -> Vec<Finding> {
    let found = text.lines().position(|line| line.trim_start().starts_with("\"resolved\":"));
    let remedy = "make it with npm's omit-lockfile-registry-resolved";
    let finding = |at| Finding::new(Rule::MachinePath, path, at + 1, "the lock names a registry host", remedy);
    found.map(finding).into_iter().collect()
}

fn stands_alone(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !letter(line[..at].chars().last()) && !letter(line[at + word.len()..].chars().next()))
}

/// `see /x/y` is a path of this machine; `https://host/x/y` and `a/x/y` are not.
fn starts_a_path(line: &str, path: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "._-})]>~/*$".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].chars().last().is_some_and(inner))
}

fn unfinished(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in ["todo", "unimplemented"] {
        for line in source.find(&[name, "!"]) {
            let what = format!("{name}! is a promise, not code");
            findings.push(Finding::new(Rule::Marker, &source.path, line, what, "write it, or refuse with a reason"));
        }
    }
    for line in source.find(&["#", "[", "ignore"]).into_iter().filter(|line| !is_child_of_a_test(source, *line)) {
        let what = "a test that is not run tests nothing";
        let remedy = "begin its name with slow_ and run it, or say \"started by\" and the test that runs it as its child";
        findings.push(Finding::new(Rule::Marker, &source.path, line, what, remedy));
    }
    findings
}

/// A test that kills runs its victim as a child: `#[ignore = "started by <test>"]`, a test of the same file.
fn is_child_of_a_test(source: &Source, line: usize) -> bool {
    let reason = source.words.iter().find(|word| word.line == line && word.literal).map(|word| word.text.trim_matches('"'));
    let starter = reason.and_then(|reason| reason.strip_prefix("started by "));
    starter.is_some_and(|starter| !source.find(&["fn", starter]).is_empty())
}

fn silenced(source: &Source) -> Vec<Finding> {
    let mut finder = Silences { lines: Vec::new() };
    finder.visit_file(&source.ast);
    let comment = |text: &str| text.starts_with("//") && !text.starts_with("///") && !text.starts_with("//!");
    let spoken_for = |line: &usize| line.checked_sub(2).is_some_and(|above| comment(source.lines[above].trim_start()));
    let silent = finder.lines.into_iter().filter(|line| !spoken_for(line));
    let remedy = "add reason = \"…\", or a comment above that says why";
    silent.map(|line| Finding::new(Rule::Silence, &source.path, line, "a lint is silenced without a word", remedy)).collect()
}

struct Silences {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Silences {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let syn::Meta::List(list) = &attribute.meta else { return };
        let silences = list.path.is_ident("allow") || list.path.is_ident("expect");
        if silences && !list.tokens.to_string().contains("reason =") {
            self.lines.push(attribute.pound_token.span.start().line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(path: &str, text: &str) -> Vec<String> {
        findings_of(super::check, &[(path, text)])
    }

    #[test]
    fn what_is_left_for_later_is_found() {
        assert!(check("a.md", &format!("# A\n\n{}: more\n", super::MARKERS[0]))[0].starts_with("a.md:3: "));
        assert!(check("a.md", &format!("{}S and {}_x\n", super::MARKERS[0], super::MARKERS[1])).is_empty());
        assert!(check("a.rs", "fn f() { todo!() }\n")[0].contains("todo! is a promise"));
    }

    #[test]
    fn a_test_that_is_not_run_is_found_unless_another_runs_it() {
        let ignored = |reason: &str| format!("#[test]\nfn kill() {{}}\n#[test]\n#[ignore = \"{reason}\"]\nfn child() {{}}\n");
        assert!(check("a.rs", &ignored("slow"))[0].starts_with("a.rs:4: a test that is not run"));
        assert_eq!(check("a.rs", &ignored("started by nobody")).len(), 1);
        assert!(check("a.rs", &ignored("started by kill")).is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for place in super::MACHINE_PATHS {
            assert_eq!(check("a.md", &format!("see `{place}x`\n")).len(), 1, "{place}");
            assert!(check("a.md", &format!("https://example.org{place}x and crates{place}x\n")).is_empty(), "{place}");
        }
        assert_eq!(check("package-lock.json", "{\n  \"resolved\": \"https://x\"\n}\n").len(), 1);
    }

    #[test]
    fn stray_white_space_is_found() {
        assert!(check("a.md", "one \n")[0].starts_with("a.md:1: white space at the end"));
        assert!(check("a.md", "one")[0].contains("does not end with exactly one line feed"));
        assert!(check("a.md", "one\n\n")[0].contains("does not end with exactly one line feed"));
        assert!(check("a.md", "one\r\n").iter().any(|finding| finding.contains("carriage return")));
        assert!(check("a.md", "").is_empty());
    }

    #[test]
    fn a_lint_is_not_silenced_without_a_word() {
        assert!(check("a.rs", "#[allow(dead_code)]\nfn f() {}\n")[0].starts_with("a.rs:1: a lint is silenced"));
        assert_eq!(check("a.rs", "/// Doc.\n#[expect(unused)]\nfn f() {}\n").len(), 1);
        assert!(check("a.rs", "#[allow(dead_code, reason = \"used by the macro\")]\nfn f() {}\n").is_empty());
        assert!(check("a.rs", "// The macro uses it.\n#[allow(dead_code)]\nfn f() {}\n").is_empty());
    }
}
