//! `tidegate token`

use clap::Subcommand;
use tidegate_api::request::MakeToken;
use tidegate_api::view::{MadeToken, Page, TokenView};
use tidegate_domain::{Id, Name};

use super::Session;
use crate::arguments::{ListArguments, id, name};
use crate::ending::Ending;
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
            Token::Create { person, label, valid_seconds } => {
                let answer = client.post::<MadeToken>("/tokens", &MakeToken { person, label, valid_seconds }).await?;
                let MadeToken { id, expires_at_ms, .. } = &answer.value;
                output.note(&format!(
                    "token {id}, good until {}; it is shown only now:",
                    time::instant(*expires_at_ms, &output.zone)
                ));
                output.answer(&answer, |made, _| made.secret.clone())
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
