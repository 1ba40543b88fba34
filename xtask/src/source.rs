//! One Rust file: its syntax tree, its words in order, and which of its lines are tests.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::Visit;

/// A parsed Rust file.
pub struct Source {
    /// Its path with `/`.
    pub path: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// Its syntax tree.
    pub ast: syn::File,
    /// Its words in order, doc comments left out.
    pub words: Vec<Word>,
    /// The lines of items marked `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
}

/// A token: an identifier, one punctuation character, a literal, or one side of a pair of brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub text: String,
    /// From 1.
    pub line: usize,
    /// Whether it is a string, a number or another literal.
    pub literal: bool,
}

impl Source {
    /// Parses a file; the error is the line and the parser's sentence.
    pub fn parse(path: &str, text: &str) -> Result<Source, (usize, String)> {
        let refuse = |error: syn::Error| (error.span().start().line, error.to_string());
        let ast = syn::parse_file(text).map_err(refuse)?;
        // A first line `#!…` is no token; syn knows that, the bare lexer does not.
        let tokens: TokenStream = text.parse().unwrap_or_default();
        let mut words = Vec::new();
        flatten(tokens, &mut words);
        let mut finder = TestFinder::default();
        finder.visit_file(&ast);
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Source { path: path.to_owned(), lines, ast, words, tests: finder.ranges })
    }

    /// Whether the whole file is test code: a test target, a bench, an example, or a module of tests.
    pub fn is_test_file(&self) -> bool {
        let folder = |name: &str| self.path.split('/').any(|part| part == name);
        folder("tests") || folder("benches") || folder("examples") || self.path.ends_with("/tests.rs")
    }

    /// Whether `line` belongs to test code.
    pub fn is_test(&self, line: usize) -> bool {
        self.is_test_file() || self.tests.iter().any(|range| range.contains(&line))
    }

    /// How many of `lines` hold code: neither blank nor only a comment, for comments are not what makes code long.
    pub fn code_lines(&self, lines: RangeInclusive<usize>) -> usize {
        lines.filter(|line| self.is_code(*line)).count()
    }

    /// Lines of code outside tests.
    pub fn production_lines(&self) -> usize {
        (1..=self.lines.len()).filter(|line| self.is_code(*line) && !self.is_test(*line)).count()
    }

    fn is_code(&self, line: usize) -> bool {
        let text = line.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", |text| text.trim());
        !text.is_empty() && !text.starts_with("//")
    }

    /// The lines on which `pattern` stands, word for word.
    pub fn find(&self, pattern: &[&str]) -> Vec<usize> {
        let same = |words: &[Word]| words.iter().zip(pattern).all(|(word, text)| !word.literal && word.text == *text);
        self.words.windows(pattern.len()).filter(|words| same(words)).map(|words| words[0].line).collect()
    }
}

fn flatten(tokens: TokenStream, words: &mut Vec<Word>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let doc = doc_tokens(&tokens[at..]);
        if doc > 0 {
            at += doc;
            continue;
        }
        at += 1;
        let line = token.span().start().line;
        match token {
            TokenTree::Punct(punct) => words.push(Word { text: punct.as_char().to_string(), line, literal: false }),
            TokenTree::Ident(ident) => words.push(Word { text: ident.to_string(), line, literal: false }),
            TokenTree::Literal(literal) => words.push(Word { text: literal.to_string(), line, literal: true }),
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                words.push(Word { text: open.to_owned(), line, literal: false });
                flatten(group.stream(), words);
                let end = group.span_close().start().line;
                words.push(Word { text: close.to_owned(), line: end, literal: false });
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// How many tokens at the front are a doc comment: the lexer hands it over as `#[doc = "…"]` or `#![doc = "…"]`.
fn doc_tokens(tokens: &[TokenTree]) -> usize {
    let punct = |at: usize, sign: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
    let doc = |at: usize| match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(ident)) if ident == "doc")
        }
        _ => false,
    };
    match (punct(0, '#'), punct(1, '!')) {
        (true, false) if doc(1) => 2,
        (true, true) if doc(2) => 3,
        _ => 0,
    }
}

#[derive(Default)]
struct TestFinder {
    ranges: Vec<RangeInclusive<usize>>,
}

impl TestFinder {
    fn look(&mut self, attributes: &[syn::Attribute], end: usize) {
        if let Some(attribute) = attributes.iter().find(|attribute| is_cfg_test(attribute)) {
            self.ranges.push(attribute.pound_token.span.start().line..=end);
        }
    }
}

impl<'ast> Visit<'ast> for TestFinder {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if let Some((brace, _)) = &module.content {
            self.look(&module.attrs, brace.span.close().end().line);
        }
        syn::visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.look(&function.attrs, function.block.brace_token.span.close().end().line);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.look(&function.attrs, function.block.brace_token.span.close().end().line);
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        self.look(&block.attrs, block.brace_token.span.close().end().line);
        syn::visit::visit_item_impl(self, block);
    }
}

/// `#[cfg(test)]`, also within `all(…)` and `any(…)`.
fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && !list.tokens.to_string().contains("not") && {
        let mut words = Vec::new();
        flatten(list.tokens.clone(), &mut words);
        words.iter().any(|word| word.text == "test")
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn tests_blank_lines_and_comments_are_not_production() {
        let text = "//! Doc.\n\nfn one() {\n    // why\n    two();\n}\n\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n";
        let source = Source::parse("a.rs", text).expect("it parses");
        assert_eq!(source.production_lines(), 3);
        assert!(source.is_test(10) && !source.is_test(5));
    }

    #[test]
    fn words_skip_comments_and_mark_literals() {
        let source = Source::parse("a.rs", "/// a::b\nfn f() { a::b(\"a::b\") }\n").expect("it parses");
        assert_eq!(source.find(&["a", ":", ":", "b"]), [2]);
    }
}
