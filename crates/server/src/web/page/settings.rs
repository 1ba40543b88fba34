//! What the server runs with. Nothing is changed here: each row says where it is.

use maud::{Markup, html};
use tidegate_domain::Millis;

use crate::web::layout::{Chrome, Section, page, section};
use crate::web::table::{empty, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct SettingsPage {
    /// What is set, in groups.
    pub groups: Vec<Group>,
    /// The public half of the server's key.
    pub server_key: String,
    /// Release keys that have signed artifacts.
    pub keys: Vec<ReleaseKey>,
    /// Which database.
    pub database: Database,
    /// The data folder.
    pub data: String,
    /// How browsers and agents reach the server.
    pub public_url: String,
    /// How large the database is.
    pub database_bytes: u64,
    /// When the server was started.
    pub started_at_ms: Millis,
}

/// Settings that belong together.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its heading.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What it is called.
    pub name: String,
    /// What it is, in words.
    pub value: String,
    /// Where it is said.
    pub from: From,
}

/// Where a setting is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// On the command line.
    Flag(&'static str),
    /// By the host: which of its words.
    Host(&'static str),
    /// In the program: it is the same everywhere.
    Program,
    /// On another page: its address and name.
    Page(&'static str, &'static str),
}

/// A release key, as far as the library knows it.
#[derive(Debug, Clone)]
pub struct ReleaseKey {
    /// The public half, in base64.
    pub key: String,
    /// Artifacts that it has signed.
    pub artifacts: u64,
    /// When the newest of them was uploaded.
    pub last_at_ms: Millis,
}

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file in the data folder.
    Embedded,
    /// A server of its own.
    PostgreSql,
}

/// Draws the page.
pub fn settings(chrome: &Chrome, view: &SettingsPage) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title { h1 { "Settings" } p.muted { "Started " (clock.at(view.started_at_ms)) } }
        p.lead { "What this server runs with. Nothing is changed here: each row says where it is said. A flag holds from the next start on." }
        @for group in &view.groups {
            (section(&group.title, &rows(group)))
        }
        (section("Keys", &keys(view, &clock)))
        (section("Backup", &backup(view)))
        (section("Monitoring", &monitoring(view)))
    };
    page(chrome, Section::Settings, "Settings", &main)
}

fn rows(group: &Group) -> Markup {
    table(
        &group.title,
        &["Setting", "Value", "Said by"],
        &html! {
            @for row in &group.rows {
                tr {
                    th scope="row" { (row.name) }
                    td.wrap data-head="Value" { (row.value) }
                    td data-head="Said by" { (said_by(row.from)) }
                }
            }
        },
    )
}

fn said_by(from: From) -> Markup {
    html! {
        @match from {
            From::Flag(flag) => code { (flag) },
            From::Host(word) => { span.muted { "the host: " } code { (word) } },
            From::Program => span.muted { "the program" },
            From::Page(href, name) => a href=(href) { (name) },
        }
    }
}

fn keys(view: &SettingsPage, clock: &Clock) -> Markup {
    html! {
        p.prose { "The server's own key, by which agents know its answers. Its other half is in " code { "server.key" } " and in every backup:" }
        pre.command tabindex="0" { code { (view.server_key) } }
        p.prose { "Release keys sign artifacts and are kept elsewhere. Which ones an agent believes is said on its host, with " code { "--trust" } ". These have signed what is in the library:" }
        @if view.keys.is_empty() {
            (empty("Nothing in the library is signed. Agents without --trust install it all the same.", &["tidegate artifact keygen release.key", "tidegate artifact upload FILE --component NAME --version VERSION --key release.key"]))
        } @else {
            (table("Release keys", &["Key", "Artifacts", "Last used"], &html! {
                @for key in &view.keys {
                    tr {
                        th.wrap scope="row" { code { (key.key) } }
                        td data-head="Artifacts" { (key.artifacts) }
                        td data-head="Last used" { (clock.at(key.last_at_ms)) }
                    }
                }
            }))
        }
    }
}

fn backup(view: &SettingsPage) -> Markup {
    let data = quoted(&view.data);
    let mib = view.database_bytes.div_ceil(1 << 20);
    html! {
        p.prose { "The database takes " (mib) " MiB. A backup holds the server's key: keep it as safe as the server." }
        @match view.database {
            Database::Embedded => {
                p.prose { "On the server's host, while it runs; and back, into a folder that is not there:" }
                pre.command tabindex="0" { code {
                    "tidegate backup /backups/$(date +%F) --data " (data) "\n"
                    "tidegate restore /backups/DATE --data " (data) "-restored"
                } }
            }
            Database::PostgreSql => {
                p.prose { "The database with its own tools first, then what is beside it, on the server's host:" }
                pre.command tabindex="0" { code {
                    "pg_dump --format=custom --file=tidegate.dump \"$TIDEGATE_DATABASE\"\n"
                    "tar -czf tidegate-files.tar.gz -C " (data) " server.key media/objects"
                } }
            }
        }
    }
}

fn monitoring(view: &SettingsPage) -> Markup {
    html! {
        p.prose { "Prometheus reads " code { (view.public_url) "/api/v1/metrics" } " with a token of somebody who may read everywhere. " code { "tidegate alerts" } " prints rules for it." }
        pre.command tabindex="0" { code { "tidegate token create --person PERSON --label prometheus --valid 400d" } }
        p.prose { "Logs go to the standard error of the server: " code { "--log-format" } " and " code { "--log-level" } " say how, and how much." }
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_can_be_copied_whatever_the_folder_is_called() {
        assert_eq!(quoted("/var/lib/tidegate"), "/var/lib/tidegate");
        assert_eq!(quoted("/srv/it's here"), r"'/srv/it'\''s here'");
    }
}
