//! `hourgate network nsg create` and `show`.

use clap::Args;
use hourgate_core::resource::Kind;
use serde_json::{Value, json};

use super::{
    super::Session,
    resource::{Made, Named},
    rule,
};
use crate::{exit::Failure, output::Answer};

/// Make a security group without rules of its own; one that exists loses its rules
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg create -g prod -n web")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    args.made.put(session, Kind::NetworkSecurityGroups, &json!({})).await
}

/// A group's rules in the order in which they are looked at, JIT's and the default ones among them.
pub(super) async fn show(session: &Session, args: Named) -> Result<(), Failure> {
    let value = args.get(session, Kind::NetworkSecurityGroups).await?;
    let list = |name: &str| value["properties"][name].as_array().cloned().unwrap_or_default();
    let mut rules = [list("securityRules"), list("defaultSecurityRules")].concat();
    let place = |rule: &Value| {
        let properties = &rule["properties"];
        let direction = properties["direction"].as_str().map(str::to_owned);
        (direction, properties["priority"].as_u64())
    };
    rules.sort_by_key(place);
    session.output.show(&Answer::new(value.clone(), rule::table(&rules)))
}
