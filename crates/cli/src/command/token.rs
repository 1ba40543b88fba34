//! `tidegate token`

use std::path::PathBuf;

use clap::Subcommand;
use tidegate_api::request::MakeToken;
use tidegate_api::view::{MadeToken, Page, TokenView};
use tidegate_domain::{Id, Name};

use super::{Session, server};
use crate::arguments::{ListArguments, id, name};
use crate::ending::Ending;
use crate::output::Output;
use crate::text::{estate, time};
use crate::when;

/// Make and revoke API tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; its secret is shown once.
    Create {
        /// Whose it is.
        #[arg(long, value_parser = name)]
        person: Name,
        /// What people call it.
        #[arg(long)]
        label: String,
        /// How long it is good: 1m to 400d.
        #[arg(long = "valid", value_name = "DURATION", default_value = "30d", value_parser = when::seconds)]
        valid_seconds: u32,
        /// Make it on the server's machine, in its data folder, without a token: the first one, or when all are lost.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The server's PostgreSQL database, if it has one.
        #[arg(long, env = "TIDEGATE_DATABASE", value_name = "URL", hide_env_values = true)]
        database: Option<String>,
    },
    /// List tokens, without their secrets.
    List(ListArguments),
    /// End a token now.
    Revoke {
        /// Which one.
        #[arg(value_parser = id)]
        id: Id,
    },
}

impl Token {
    /// Makes, lists or revokes.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Token::Create { person, label, valid_seconds, data, database } => {
                let request = MakeToken { person, label, valid_seconds };
                let Some(data) = data else {
                    let answer = client.post::<MadeToken>("/tokens", &request).await?;
                    note(output, &answer.value);
                    return output.answer(&answer, |made, _| made.secret.clone());
                };
                let made = tidegate_server::api_token(&server::beside(data, database)?, &request).await?;
                note(output, &made);
                output.value(&made, |made| made.secret.clone())
            }
            Token::List(list) => {
                let answer = client.list::<Page<TokenView>>("/tokens", &list.query()).await?;
                output.answer(&answer, estate::tokens)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Token::Revoke { id } => {
                client.delete(&format!("/tokens/{id}")).await?;
                output.note(&format!("token {id} opens nothing any more"));
                Ok(())
            }
        }
    }
}

fn note(output: &Output, made: &MadeToken) {
    let until = time::instant(made.expires_at_ms, &output.zone);
    output.note(&format!("token {}, good until {until}; it is shown only now:", made.id));
}
