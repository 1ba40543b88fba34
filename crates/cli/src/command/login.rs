//! `tidegate login` and `tidegate whoami`

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tidegate_api::view::WhoAmI as View;
use tidegate_domain::refusal::{Code, Refusal};

use super::Session;
use crate::arguments::Global;
use crate::client::Client;
use crate::ending::Ending;
use crate::output::Output;
use crate::text::estate;

/// Bytes of a token that are read; a real one has a few dozen.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// Keep a token for this user, so that commands need not name it.
#[derive(Debug, Args)]
#[command(after_help = "\
The token is read from --token, or from stdin so that it does not show in the list of processes:
  tidegate login < token.txt")]
pub struct Login {}

impl Login {
    /// Tries the token and keeps it.
    pub async fn run(self, mut global: Global, output: &Output) -> Result<(), Ending> {
        let token = if let Some(token) = global.token.take() {
            token
        } else {
            let mut text = String::new();
            std::io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
            text
        };
        let token = token.trim().to_owned();
        if token.is_empty() {
            return Err(Refusal::new(Code::NotSignedIn, "there is no token", "give it with --token or on stdin").into());
        }
        global.token = Some(token.clone());
        let answer = Client::new(&global)?.get::<View>("/whoami").await?;
        let path = keep(&token)?;
        output.answer(&answer, |view, _| who(view))?;
        output.note(&format!("the token is kept in {}", path.display()));
        Ok(())
    }
}

/// Show who the token belongs to.
#[derive(Debug, Args)]
pub struct WhoAmI {}

impl WhoAmI {
    /// Shows it.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let answer = session.client.get::<View>("/whoami").await?;
        session.output.answer(&answer, |view, _| who(view))
    }
}

fn who(view: &View) -> String {
    let grants: Vec<String> = view.grants.iter().map(estate::grant).collect();
    let trusted = if grants.is_empty() { "nothing".to_owned() } else { grants.join(", ") };
    format!("{} ({}), trusted with {trusted}", view.name, view.title)
}

fn token_path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(config.join("tidegate").join("token"))
}

/// The token that `tidegate login` kept, if it did. One that others can read is refused: it is theirs as well.
pub fn kept_token() -> Result<Option<String>, Ending> {
    let Some(path) = token_path() else { return Ok(None) };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context(format!("{} cannot be read", path.display())).into()),
    };
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("{} can be read by others (mode {:o})", path.display(), mode & 0o777);
        let remedy = format!("chmod 600 {}, and make a new token if somebody may have read it", path.display());
        return Err(Refusal::new(Code::NotSignedIn, what, remedy).into());
    }
    let mut text = String::new();
    file.take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// Writes the token where only its owner reads it, whole or not at all.
fn keep(token: &str) -> Result<PathBuf, Ending> {
    let path = token_path().context("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for it")?;
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // One that a killed login left behind, perhaps with other rights.
        if let Err(error) = std::fs::remove_file(&fresh)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(format!("{token}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
