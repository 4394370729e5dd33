//! `hourgate session`: where somebody is signed in, and to end that.

use clap::{Args, Subcommand};
use hourgate_api::{paths::Route, sessions::SessionResource};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::Session;
use crate::{
    client::Call,
    clock,
    exit::Failure,
    output::{Answer, Table, human},
    view::not_understood,
};

/// Where you are signed in, and to end that
#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    List(List),
    Revoke(Revoke),
}

/// List your sessions, or everybody's if you may see them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate session list")]
pub(crate) struct List {}

/// End a session: its tokens are dead at once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate session revoke 4f6c2d1e-…")]
pub(crate) struct Revoke {
    /// Which: its id, as `session list` shows it
    id: Uuid,
}

/// Does what was typed behind `session`.
pub(crate) async fn run(session: &Session, args: Sessions) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    match args {
        Sessions::List(List {}) => {
            let path = Route::Sessions(subscription).uri();
            let found = session.client.list(&path).await?;
            let now = clock::local_now();
            let mut table = Table::new(["ID", "WHO", "WHERE", "FROM", "SIGNED IN", "LAST USED"]);
            for value in &found {
                let read = serde_json::from_value::<SessionResource>(value.clone());
                let one = read.map_err(|_| not_understood("a session that is none"))?;
                let place = one.client.unwrap_or(one.kind);
                let place = if one.is_this_one { format!("{place} (this one)") } else { place };
                table.row([
                    one.id.to_string(),
                    one.principal_name,
                    place,
                    one.address.to_string(),
                    human::moment(one.signed_in_at.0, &now),
                    human::moment(one.last_used_at.0, &now),
                ]);
            }
            session.output.show(&Answer::new(json!(found), table))
        }
        Sessions::Revoke(Revoke { id }) => {
            let path = Route::RevokeSession(subscription, id).uri();
            session.client.send(Call::new(Method::POST, &path)).await?;
            let mut table = Table::new(["ENDED"]);
            table.row([id.to_string()]);
            session.output.show(&Answer::new(json!({ "ended": id }), table))
        }
    }
}
