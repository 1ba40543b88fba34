//! Names that say nothing, and words that the glossary replaces.

use syn::visit::Visit;

use super::{Finding, Project, Rule};
use crate::source::Source;

/// A file of this name collects what nobody found a place for.
const EMPTY_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "stuff"];

/// Words that mean something else elsewhere, and what the glossary says for them.
const REPLACED: [(&str, &str); 5] = [
    ("mttr", "failed deployment recovery time"),
    ("pipeline", "release model, phase, or plan"),
    ("node", "target"),
    ("job", "order, step, or task"),
    ("stage", "environment or phase"),
];

pub fn check(project: &Project) -> Vec<Finding> {
    let files = project.tree.files().filter_map(|(path, _)| file_name(path));
    let modules = project.sources.iter().flat_map(modules);
    let contract = |source: &&Source| source.path.starts_with("crates/domain/src/") || source.path.starts_with("crates/api/src/");
    let words = project.sources.iter().filter(contract).flat_map(glossary);
    files.chain(modules).chain(words).collect()
}

fn file_name(path: &str) -> Option<Finding> {
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(says_nothing(path, 1, empty))
}

fn modules(source: &Source) -> Vec<Finding> {
    let is_module = |pair: &&[crate::source::Word]| pair[0].text == "mod" && EMPTY_NAMES.contains(&pair[1].text.as_str());
    let pairs = source.words.windows(2).filter(is_module);
    pairs.map(|pair| says_nothing(&source.path, pair[1].line, &pair[1].text)).collect()
}

fn says_nothing(path: &str, line: usize, name: &str) -> Finding {
    let what = format!("the name \"{name}\" says nothing");
    Finding::new(Rule::Name, path, line, what, "name it after the one thing that it holds").item(name)
}

fn glossary(source: &Source) -> Vec<Finding> {
    let mut finder = Declared::default();
    finder.visit_file(&source.ast);
    let mut findings = Vec::new();
    for (name, line) in finder.names {
        if source.is_test(line) {
            continue;
        }
        for (word, instead) in REPLACED {
            if words_of(&name).iter().any(|part| part == word || part.strip_suffix('s') == Some(word)) {
                let what = format!("{name} uses the word \"{word}\"");
                let remedy = format!("the glossary says {instead}");
                findings.push(Finding::new(Rule::Glossary, &source.path, line, what, remedy).item(&name));
            }
        }
    }
    findings
}

/// `NodeId`, `node_id` and `NODE_ID` are all `node`, `id`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = letter.is_lowercase() || letter.is_ascii_digit();
        if let (Some(word), true) = (words.last_mut(), letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

/// The names that a file gives to things of its own; what others have named is not its fault.
#[derive(Default)]
struct Declared {
    names: Vec<(String, usize)>,
}

impl Declared {
    fn take(&mut self, name: &syn::Ident) {
        self.names.push((name.to_string(), name.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Declared {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.take(&signature.ident);
        syn::visit::visit_signature(self, signature);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.take(&item.ident);
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.take(&item.ident);
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.take(&variant.ident);
        syn::visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.take(name);
        }
        syn::visit::visit_field(self, field);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.take(&item.ident);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.take(&item.ident);
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.take(&item.ident);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.take(&item.ident);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.take(&pattern.ident);
        syn::visit::visit_pat_ident(self, pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(path: &str, text: &str) -> Vec<String> {
        findings_of(super::check, &[(path, text)])
    }

    #[test]
    fn empty_names_are_found_as_file_folder_and_module() {
        assert!(check("crates/cli/src/util.rs", "")[0].starts_with("crates/cli/src/util.rs:1: the name \"util\" says nothing"));
        assert_eq!(check("crates/cli/src/common/a.rs", "").len(), 1);
        assert_eq!(check("crates/cli/src/a.rs", "mod helpers { }\n").len(), 1);
        assert!(check("crates/cli/src/utility.rs", "").is_empty());
    }

    #[test]
    fn words_outside_the_glossary_are_found_where_they_are_declared() {
        let found =
            check("crates/domain/src/a.rs", "pub struct NodeId;\nfn f(stages: u8) { let job = 1; }\nenum E { Pipeline }\n");
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("NodeId uses the word \"node\"; the glossary says target"), "{found:?}");
    }

    #[test]
    fn prose_staging_and_other_peoples_names_are_left_alone() {
        let text = "//! A node, a job, a stage.\nenum Tier { Staging }\nfn f(x: yaml::Node) { x.stage() }\n";
        assert!(check("crates/domain/src/a.rs", text).is_empty());
        assert!(check("crates/agent/src/a.rs", "struct Job;\n").is_empty());
    }
}
