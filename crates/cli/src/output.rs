//! The rules of output, in one place: the answer goes to stdout and everything else to stderr; `--output json` prints exactly
//! what the API said; text that came from elsewhere can never steer the terminal.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::tz::TimeZone;
use serde::Serialize;
use tidegate_api::Problem;
use tidegate_api::strict::Marked;
use tidegate_domain::Refusal;
use tidegate_domain::refusal::Code;

use crate::arguments::{Format, Global};
use crate::client::Answer;
use crate::ending::Ending;
use crate::text;

/// Where and how to answer.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    quiet: bool,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

impl Output {
    /// As the command line says.
    pub fn new(global: &Global) -> Output {
        let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if no_color {
            // The bars of `watch` and of uploads ask this.
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        Output { format: global.output, quiet: global.quiet, zone: TimeZone::system() }
    }

    /// Whether answers are JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether nothing but answers is wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether bars can be drawn beside the answer.
    pub fn draws(&self) -> bool {
        !self.quiet && !self.is_json() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Whether somebody is there who can be asked.
    pub fn asks(&self) -> bool {
        self.draws() && std::io::stdin().is_terminal()
    }

    /// Answers with what the API said, or with its text form.
    pub fn answer<T>(&self, answer: &Answer<T>, text: impl FnOnce(&T, &TimeZone) -> String) -> Result<(), Ending> {
        if self.is_json() { exactly(&answer.body) } else { plainly(&text(&answer.value, &self.zone)) }
    }

    /// Answers with a value that did not come from the API.
    pub fn value<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Ending> {
        if self.is_json() {
            return exactly(&serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?);
        }
        plainly(&text(value))
    }

    /// Something beside the answer that helps a person; on stderr, not with `--quiet` or JSON.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.is_json() {
            // A note that nobody reads is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{}", harmless(text));
        }
    }

    /// Says how to see the next page of a list.
    pub fn more(&self, next: Option<&String>) {
        if let Some(next) = next {
            self.note(&format!("there is more: add --after {next}"));
        }
    }

    /// Tells how a command ended, on stderr.
    pub fn tell(&self, ending: &Ending) {
        let told = match ending {
            Ending::NotSucceeded | Ending::Unwell | Ending::NobodyListens => return,
            _ if self.is_json() => problems(ending),
            _ => self.sentences(ending),
        };
        // There is nobody left to tell if this fails.
        let _ = writeln!(std::io::stderr(), "{}", told.trim_end());
    }

    fn sentences(&self, ending: &Ending) -> String {
        let head = console::style("error:").for_stderr().red().bold().to_string();
        match ending {
            Ending::Fault(error) => format!("{head} {}", harmless(&format!("{error:#}"))),
            Ending::Refused(problem) => format!("{head} {}", harmless(&text::problem::text(problem, &self.zone))),
            Ending::Input(refusal) => format!("{head} {}", harmless(&text::problem::refusal(refusal))),
            Ending::Files(marked) => {
                let one = |marked: &Marked| {
                    let snippet =
                        if marked.snippet.is_empty() { String::new() } else { format!("\n{}", harmless(&marked.snippet)) };
                    format!("{head} {}{snippet}\n", harmless(&text::problem::refusal(&marked.refusal)))
                };
                let count = if marked.len() == 1 { "1 refusal".to_owned() } else { format!("{} refusals", marked.len()) };
                format!("{}\n{count}; nothing was sent", marked.iter().map(one).collect::<Vec<_>>().join("\n"))
            }
            // No page about a code would help here: nobody was there to say one.
            Ending::Unreachable { .. } => format!("{head} {}", harmless(&unreachable(ending).to_string())),
            Ending::NotSucceeded | Ending::Unwell | Ending::NobodyListens => String::new(),
        }
    }
}

/// Prints text for people, without what would steer a terminal.
pub fn plainly(text: &str) -> Result<(), Ending> {
    exactly(&harmless(text))
}

/// Prints text that is meant to be exactly so.
pub fn exactly(text: &str) -> Result<(), Ending> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.trim_end_matches('\n').as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(())
}

/// One problem document for each thing that is wrong.
fn problems(ending: &Ending) -> String {
    let refusals = match ending {
        Ending::Refused(problem) => return json(problem),
        Ending::Files(marked) => marked.iter().map(|marked| marked.refusal.clone()).collect(),
        Ending::Input(refusal) => vec![Refusal::clone(refusal)],
        Ending::Fault(error) => vec![Refusal::new(Code::Fault, format!("{error:#}"), "see the cause")],
        Ending::Unreachable { .. } => vec![unreachable(ending)],
        Ending::NotSucceeded | Ending::Unwell | Ending::NobodyListens => Vec::new(),
    };
    refusals.iter().map(|refusal| json(&Problem::of(refusal))).collect::<Vec<_>>().join("\n")
}

fn json(problem: &Problem) -> String {
    serde_json::to_string(problem).unwrap_or_else(|_| problem.title.clone())
}

fn unreachable(ending: &Ending) -> Refusal {
    let Ending::Unreachable { server, cause } = ending else { return Refusal::new(Code::Fault, "", "") };
    let remedy = "start it with tidegate server, or name another with --server or TIDEGATE_SERVER";
    Refusal::new(Code::Fault, format!("{server} cannot be reached: {cause}"), remedy)
}

/// The text without characters that steer a terminal or reorder what is read.
pub fn harmless(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    text.chars().map(|c| if steers(c) { '·' } else { c }).collect()
}

/// A table without lines: a header and rows, columns apart by two spaces, never cut.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: impl IntoIterator<Item = [String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    table.set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| cell.replace('\n', " ")));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::{harmless, table};
    use expect_test::expect;

    #[test]
    fn text_from_elsewhere_does_not_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{7}\u{202e}c\td\ne"), "a·[2Jb··c·d\ne");
    }

    #[test]
    fn a_table_is_plain() {
        let rows = [["one".to_owned(), "2".to_owned()], ["three\nlines".to_owned(), String::new()]];
        expect![[r#"
            NAME         COUNT
            one          2
            three lines"#]]
        .assert_eq(&table(["name", "count"], rows));
    }
}
