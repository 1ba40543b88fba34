//! `cargo xtask tidy`: the house rules that no compiler knows, read off the text in a second.
//!
//! Each rule is one file below `tidy/` and answers with findings. A finding of a rule that may be excused can be listed
//! in `xtask/tidy-excuses.toml` with a reason; an excuse can only shrink, and one that is no longer needed is a finding.

mod doors;
mod edges;
mod excuses;
mod names;
mod pages;
mod purity;
mod sizes;
mod text;

use std::fmt;

use crate::source::Source;
use crate::tree::Tree;

/// Everything a rule may look at.
pub struct Project {
    /// The text files.
    pub tree: Tree,
    /// The Rust files among them that could be parsed.
    pub sources: Vec<Source>,
}

/// The rules by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A Rust file cannot be parsed.
    Parse,
    /// A file has too many lines.
    FileSize,
    /// A function has too many lines.
    FunctionSize,
    /// A handler has too many lines: a rule has crept into a door.
    DoorSize,
    /// A function takes too many parameters.
    Parameters,
    /// A package depends on one that it must not know.
    Edge,
    /// `domain` reaches for the world.
    Purity,
    /// A file or module whose name says nothing.
    Name,
    /// A word that the glossary does not use.
    Glossary,
    /// SQL outside the store, or a write outside the one door.
    Store,
    /// A second place that knows two databases.
    Databases,
    /// A refusal without a page, a page without a refusal, or a page without its parts.
    ErrorPage,
    /// Something left for later.
    Marker,
    /// A path of one machine.
    MachinePath,
    /// White space at the end of a line, or no end of the last line.
    WhiteSpace,
    /// A lint silenced without a word.
    Silence,
    /// An excuse that is empty, unknown, too large or not needed.
    Excuse,
}

impl Rule {
    const ALL: [Rule; 17] = [
        Rule::Parse,
        Rule::FileSize,
        Rule::FunctionSize,
        Rule::DoorSize,
        Rule::Parameters,
        Rule::Edge,
        Rule::Purity,
        Rule::Name,
        Rule::Glossary,
        Rule::Store,
        Rule::Databases,
        Rule::ErrorPage,
        Rule::Marker,
        Rule::MachinePath,
        Rule::WhiteSpace,
        Rule::Silence,
        Rule::Excuse,
    ];

    fn code(self) -> &'static str {
        match self {
            Rule::Parse => "parse",
            Rule::FileSize => "file-size",
            Rule::FunctionSize => "function-size",
            Rule::DoorSize => "door-size",
            Rule::Parameters => "parameters",
            Rule::Edge => "edge",
            Rule::Purity => "purity",
            Rule::Name => "name",
            Rule::Glossary => "glossary",
            Rule::Store => "store",
            Rule::Databases => "databases",
            Rule::ErrorPage => "error-page",
            Rule::Marker => "marker",
            Rule::MachinePath => "machine-path",
            Rule::WhiteSpace => "white-space",
            Rule::Silence => "silence",
            Rule::Excuse => "excuse",
        }
    }

    /// Sizes and names are matters of degree; the walls of the house are not.
    fn may_be_excused(self) -> bool {
        match self {
            Rule::FileSize
            | Rule::FunctionSize
            | Rule::DoorSize
            | Rule::Parameters
            | Rule::Name
            | Rule::Glossary
            | Rule::Databases
            | Rule::WhiteSpace => true,
            Rule::Parse
            | Rule::Edge
            | Rule::Purity
            | Rule::Store
            | Rule::ErrorPage
            | Rule::Marker
            | Rule::MachinePath
            | Rule::Silence
            | Rule::Excuse => false,
        }
    }
}

/// One thing that is not as the house wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// In which file.
    pub path: String,
    /// On which line, from 1.
    pub line: usize,
    /// What an excuse would name: a function, a word, or nothing for the file as a whole.
    pub item: String,
    /// How large it is, where size is the matter.
    pub measure: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub remedy: String,
}

impl Finding {
    /// A finding about a place, without item or measure.
    pub fn new(rule: Rule, path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        let (what, remedy) = (what.into(), remedy.into());
        Finding { rule, path: path.to_owned(), line, item: String::new(), measure: None, what, remedy }
    }

    /// The same about `item`.
    pub fn item(mut self, item: &str) -> Finding {
        item.clone_into(&mut self.item);
        self
    }

    /// The same with its size.
    pub fn measure(mut self, measure: usize) -> Finding {
        self.measure = Some(measure);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {} [{}]", self.path, self.line, self.what, self.remedy, self.rule.code())
    }
}

/// Checks the project at `root`; prints every finding and a line that counts them.
pub fn run() -> anyhow::Result<()> {
    let tree = Tree::read(&crate::tree::root())?;
    let files = tree.files().count();
    let (findings, excused) = check(tree);
    for finding in &findings {
        println!("{finding}");
    }
    let count = findings.len();
    println!("tidy: {files} files, {count} {}, {excused} excused", if count == 1 { "finding" } else { "findings" });
    anyhow::ensure!(findings.is_empty(), "the house is not tidy");
    Ok(())
}

/// All findings that are not excused, in order of path and line, and how many were excused.
fn check(tree: Tree) -> (Vec<Finding>, usize) {
    let (project, mut findings) = parse(tree);
    for rule in [sizes::check, edges::check, purity::check, names::check, doors::check, pages::check, text::check] {
        findings.extend(rule(&project));
    }
    let (mut findings, excused) = excuses::apply(project.tree.get(excuses::PATH), findings);
    findings.sort_by(|a, b| (&a.path, a.line, &a.what).cmp(&(&b.path, b.line, &b.what)));
    findings.dedup();
    (findings, excused)
}

fn parse(tree: Tree) -> (Project, Vec<Finding>) {
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    let rust = |path: &str| std::path::Path::new(path).extension().is_some_and(|extension| extension == "rs");
    for (path, text) in tree.files().filter(|(path, _)| rust(path)) {
        match Source::parse(path, text) {
            Ok(source) => sources.push(source),
            Err((line, why)) => findings.push(Finding::new(
                Rule::Parse,
                path,
                line,
                format!("cannot be parsed: {why}"),
                "mend the syntax, or do not call it .rs",
            )),
        }
    }
    (Project { tree, sources }, findings)
}

/// What one rule finds in given files, one line each; shared by the tests of all rules.
#[cfg(test)]
fn findings_of(rule: fn(&Project) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let (project, broken) = parse(Tree::of(files));
    assert!(broken.is_empty(), "{broken:?}");
    rule(&project).iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn every_rule_has_its_own_code() {
        let mut codes: Vec<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len());
    }

    #[test]
    fn a_file_that_does_not_parse_is_found() {
        let (_, findings) = super::parse(crate::tree::Tree::of(&[("a.rs", "fn f() {\n    let = ;\n}\n")]));
        assert_eq!(findings[0].line, 2);
        assert!(findings[0].to_string().starts_with("a.rs:2: cannot be parsed"));
    }
}
