//! `hourgate config check`: tests a configuration before a server is started with it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hourgate_api::time::IsoDuration;
use hourgate_core::role::{built_in, definition::RoleId};
use hourgate_server::config::ProviderConfig;
use serde_json::{Value, json};

use crate::{
    cli::Global,
    exit::{Exit, Failure},
    output::{Answer, Output, Table},
    view,
};

/// The server's configuration
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    Check(Check),
}

/// Test a configuration file, and show what would hold with it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate config check /etc/hourgate/config.toml")]
pub(crate) struct Check {
    /// The configuration: TOML
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as `serve` has it
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

/// Does what was typed behind `config`.
pub(crate) fn run(global: Global, args: Config) -> Result<(), Failure> {
    let Config::Check(args) = args;
    let Some(path) = args.file.or(args.config) else {
        return Err(Failure::usage("No configuration file is named."));
    };
    let config = hourgate_server::config::check(&path)
        .map_err(|error| Failure::new(Exit::Refused, format!("{error}.")))?;
    let guards: Vec<_> = config
        .guards
        .iter()
        .map(|guard| {
            json!({ "name": guard.cover.name, "socket": guard.socket, "covers": guard.cover.covers })
        })
        .collect();
    let providers: Vec<_> = config.providers.iter().map(provider).collect();
    let value = json!({
        "data_dir": config.data_dir,
        "listen": config.listen,
        "public_url": config.public_url.map(|url| url.url),
        "trusted_proxies": config.trusted_proxies,
        "proxy_protocol": config.proxy_protocol,
        "metrics_listen": config.metrics_listen,
        "shortest_access": IsoDuration(config.shortest_access),
        "shortest_policy": IsoDuration(config.shortest_policy),
        "locations": config.locations,
        "jit_rule_priorities": {
            "first": config.jit_rule_priorities.first(),
            "last": config.jit_rule_priorities.last(),
        },
        "allow_lock_breaks": config.allow_lock_breaks,
        "guard": guards,
        "outgoing": { "allow": config.outgoing.allow, "ca": config.outgoing.ca },
        "provider": providers,
    });
    let mut table = Table::new(["SETTING", "VALUE"]);
    for (key, value) in value.as_object().into_iter().flatten() {
        table.row([key.clone(), view::plain(value)]);
    }
    let answer = Answer::new(value, table).then(vec!["The configuration is sound.".to_owned()]);
    Output::new(global.output, global.query).show(&answer)
}

/// A provider's settings under the names they have in the file; of its secret, the file.
fn provider(provider: &ProviderConfig) -> Value {
    let client = provider.client.as_ref();
    json!({
        "name": provider.name,
        "title": provider.title,
        "issuer": provider.issuer,
        "client_id": client.map(|client| &client.id),
        "client_secret_file": client.and_then(|client| client.secret_file.as_ref()),
        "audiences": provider.audiences,
        "clients": provider.clients,
        "scopes": provider.scopes,
        "claims": {
            "name": provider.claims.name,
            "upn": provider.claims.upn,
            "email": provider.claims.email,
            "groups": provider.claims.groups,
        },
        "highest_role": provider.highest_role.map(role_name),
        "groups_hold": IsoDuration(provider.groups_hold),
    })
}

/// A role as people know it: by its name, where it is built-in.
fn role_name(id: RoleId) -> String {
    built_in::role(id).map_or_else(|| id.to_string(), |role| role.said().name.clone())
}
