//! Draws the lines of a file that a refusal is about.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use tidegate_domain::ids::clip;
use tidegate_domain::refusal::{Code, Refusal};

use super::Marked;
use super::read::Wrong;

/// A file's name and text.
#[derive(Debug)]
pub(super) struct Source {
    pub file: String,
    pub text: String,
}

/// Lines shown before and after the one that matters.
const CONTEXT_LINES: usize = 2;

impl Source {
    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at.min(self.text.len())].split(|byte| *byte == b'\n').count()
    }

    pub fn mark(&self, wrong: &Wrong) -> Marked {
        let mut refusal = wrong.refusal();
        if refusal.code == Code::VersionIsNumber
            && let Some(written) = self.text.get(wrong.span())
        {
            refusal.what = format!("{} is read as a number, where text is meant", clip(written));
            refusal.remedy = format!("put it in quotes: \"{}\"", clip(written));
        }
        self.mark_at(&refusal, wrong.span())
    }

    /// The refusal at `file:line:column (path)` with its lines drawn.
    pub fn mark_at(&self, refusal: &Refusal, span: Range<usize>) -> Marked {
        let span = self.one_line(span);
        let start = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let column = self.text[start..span.start].chars().count() + 1;
        let path = refusal.place.as_deref().map_or_else(String::new, |path| format!(" ({path})"));
        let place = format!("{}:{}:{column}{path}", self.file, self.line(span.start));
        Marked { refusal: refusal.clone().at(place), snippet: self.draw(span) }
    }

    /// A range on one line, of at least one column where there is one, between characters.
    fn one_line(&self, span: Range<usize>) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        // What ends too early is shown at the last thing there is.
        let start = floor(span.start.min(self.text.trim_end_matches(['\n', '\r']).len()));
        let rest = &self.text[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = floor(span.end).clamp(start, line_end).max((start + first).min(line_end));
        start..end
    }

    fn draw(&self, span: Range<usize>) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        let window = self.window(&span);
        let text = &self.text[window.clone()];
        let snippet = Snippet::source(text)
            .line_start(self.line(window.start))
            .path(self.file.as_str())
            .fold(false)
            .annotation(AnnotationKind::Primary.span(span.start - window.start..span.end - window.start));
        let group = annotate_snippets::Group::with_level(Level::ERROR).element(snippet);
        Renderer::plain().render(&[group])
    }

    /// The lines around the one of `span`.
    fn window(&self, span: &Range<usize>) -> Range<usize> {
        let mut start = span.start;
        for _ in 0..=CONTEXT_LINES {
            start = self.text[..start].rfind('\n').unwrap_or(0);
            if start == 0 {
                break;
            }
        }
        let start = if self.text[start..].starts_with('\n') && start < span.start { start + 1 } else { start };
        let mut end = span.end;
        for _ in 0..=CONTEXT_LINES {
            end += self.text[end..].find('\n').map_or(self.text.len() - end, |at| at + 1);
        }
        start..self.text[..end].trim_end_matches('\n').len().max(span.end)
    }
}
