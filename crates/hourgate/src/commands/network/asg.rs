//! `hourgate network asg create`.

use clap::Args;
use hourgate_core::resource::Kind;
use serde_json::json;

use super::{super::Session, resource::Made};
use crate::exit::Failure;

/// Make a group of machines that share a role
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network asg create -g prod -n web")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    args.made.put(session, Kind::ApplicationSecurityGroups, &json!({})).await
}
