//! Sizes: what is too long to be understood at night. Lines of code count; blank lines and comments do not.

use syn::visit::Visit;

use super::{Finding, Project, Rule};
use crate::source::Source;

/// Lines of code of one file outside its tests; aim for 250.
const FILE_LINES_MAX: usize = 600;
/// Lines of code of one function from `fn` to its last bracket; aim for 40.
const FUNCTION_LINES_MAX: usize = 70;
/// The same where a function is mostly markup: a page is long and flat, and cutting it hides its shape.
const MARKUP_LINES_MAX: usize = 140;
/// Lines of code between the brackets of a handler; aim for 10.
const DOOR_LINES_MAX: usize = 20;
/// Parameters beside `self`; aim for 3.
const PARAMETERS_MAX: usize = 5;

pub fn check(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &project.sources {
        findings.extend(file(source));
        for function in functions(source) {
            findings.extend(function_lines(source, &function));
            findings.extend(door_lines(source, &function));
            findings.extend(parameters(source, &function));
        }
    }
    findings
}

fn file(source: &Source) -> Option<Finding> {
    let lines = source.production_lines();
    (lines > FILE_LINES_MAX).then(|| {
        let what = format!("the file has {lines} lines of code, more than {FILE_LINES_MAX}");
        Finding::new(Rule::FileSize, &source.path, 1, what, "one thing per file: move one out").measure(lines)
    })
}

fn function_lines(source: &Source, function: &Function) -> Option<Finding> {
    let max = if function.markup && holds_markup(&source.path) { MARKUP_LINES_MAX } else { FUNCTION_LINES_MAX };
    let lines = function.lines;
    (lines > max).then(|| {
        let what = format!("{} has {lines} lines of code, more than {max}", function.name);
        let remedy = "leave the decisions here and move the work into functions below";
        Finding::new(Rule::FunctionSize, &source.path, function.line, what, remedy).item(&function.name).measure(lines)
    })
}

fn door_lines(source: &Source, function: &Function) -> Option<Finding> {
    let lines = function.body_lines;
    (function.is_async && is_door(&source.path) && !source.is_test(function.line) && lines > DOOR_LINES_MAX).then(|| {
        let what = format!("the door {} has {lines} lines, more than {DOOR_LINES_MAX}", function.name);
        let remedy = "a door finds out who and what, calls, and renders: move the rest to the service or the view";
        Finding::new(Rule::DoorSize, &source.path, function.line, what, remedy).item(&function.name).measure(lines)
    })
}

fn parameters(source: &Source, function: &Function) -> Option<Finding> {
    let count = function.parameters;
    (count > PARAMETERS_MAX).then(|| {
        let what = format!("{} takes {count} parameters, more than {PARAMETERS_MAX}", function.name);
        let remedy = "put those that belong together into a struct with a name";
        Finding::new(Rule::Parameters, &source.path, function.line, what, remedy).item(&function.name).measure(count)
    })
}

/// Where pages are drawn.
fn holds_markup(path: &str) -> bool {
    path.starts_with("crates/server/src/")
        && (path.contains("/web/") || path.ends_with("/view.rs") || path.ends_with("/pages.rs"))
}

/// Where requests come in; handlers are the functions there that wait.
fn is_door(path: &str) -> bool {
    path.starts_with("crates/server/src/") && (path.ends_with("/api.rs") || path.ends_with("/pages.rs"))
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
    body_lines: usize,
    parameters: usize,
    is_async: bool,
    markup: bool,
}

fn functions(source: &Source) -> Vec<Function> {
    let mut finder = Finder { source, owner: String::new(), found: Vec::new() };
    finder.visit_file(&source.ast);
    finder.found
}

struct Finder<'a> {
    source: &'a Source,
    owner: String,
    found: Vec<Function>,
}

impl Finder<'_> {
    fn take(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.fn_token.span.start().line;
        let open = block.brace_token.span.open().start().line;
        let close = block.brace_token.span.close().end().line;
        let mut markup = MarkupFinder(false);
        markup.visit_block(block);
        self.found.push(Function {
            name: if self.owner.is_empty() {
                signature.ident.to_string()
            } else {
                format!("{}::{}", self.owner, signature.ident)
            },
            line,
            lines: self.source.code_lines(line..=close),
            body_lines: self.source.code_lines(open + 1..=close.saturating_sub(1)),
            parameters: signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count(),
            is_async: signature.asyncness.is_some(),
            markup: markup.0,
        });
    }

    fn within(&mut self, owner: String, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = outer;
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.take(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.take(&function.sig, &function.block);
        self.within(String::new(), |finder| syn::visit::visit_impl_item_fn(finder, function));
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.take(&function.sig, block);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let owner = match &*block.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        self.within(owner.unwrap_or_default(), |finder| syn::visit::visit_item_impl(finder, block));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), |finder| syn::visit::visit_item_trait(finder, item));
    }
}

/// Finds maud's `html!`.
struct MarkupFinder(bool);

impl<'ast> Visit<'ast> for MarkupFinder {
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.0 |= call.path.segments.last().is_some_and(|segment| segment.ident == "html");
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn check(path: &str, text: &str) -> Vec<String> {
        findings_of(super::check, &[(path, text)])
    }

    fn lines(count: usize) -> String {
        "    call();\n".repeat(count)
    }

    #[test]
    fn a_function_of_70_lines_passes_and_of_71_is_found() {
        assert!(check("a.rs", &format!("fn f() {{\n\n    // why\n{}}}\n", lines(68))).is_empty());
        let found = check("a.rs", &format!("struct S;\nimpl S {{\nfn f() {{\n{}}}\n}}\n", lines(69)));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.rs:3: S::f has 71 lines of code, more than 70; "), "{found:?}");
    }

    #[test]
    fn a_long_file_is_found_but_its_tests_do_not_count() {
        let functions = |count: usize| "fn f() {}\n".repeat(count);
        assert!(check("a.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", functions(600), functions(100))).is_empty());
        assert!(check("a.rs", &functions(601))[0].contains("601 lines of code, more than 600"));
        assert!(check("crates/store/tests/all.rs", &functions(601)).is_empty());
    }

    #[test]
    fn a_door_of_21_lines_is_found_and_a_view_is_no_door() {
        let door = format!("pub async fn show() {{\n{}}}\n", lines(21));
        let found = check("crates/server/src/change/api.rs", &door);
        assert!(found[0].contains("the door show has 21 lines, more than 20"), "{found:?}");
        assert!(check("crates/server/src/change/api.rs", &door.replace("async ", "")).is_empty());
        assert!(check("crates/server/src/change/service.rs", &door).is_empty());
    }

    #[test]
    fn markup_may_be_longer_where_pages_are_drawn() {
        let view = format!("fn page() -> Markup {{\n    html! {{\n{}    }}\n}}\n", "        p { \"x\" }\n".repeat(100));
        assert!(check("crates/server/src/change/view.rs", &view).is_empty());
        assert_eq!(check("crates/server/src/change/service.rs", &view).len(), 1);
    }

    #[test]
    fn self_is_no_parameter_and_the_sixth_is_found() {
        assert!(check("a.rs", "struct S; impl S { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }\n").is_empty());
        let found = check("a.rs", "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, g: u8) {}\n");
        assert!(found[0].contains("f takes 6 parameters, more than 5"), "{found:?}");
    }
}
