//! `hourgate pricing …`: the plan that just-in-time access is part of, in the words of `az security pricing`.

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::{paths::Route, pricing::PLAN};
use hourgate_core::id::Name;
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::{
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    view::plain,
};

/// The plan for servers, which just-in-time access needs, in the words of az
#[derive(Debug, Subcommand)]
pub(crate) enum Pricing {
    Create(Create),
    Show(Show),
    List(List),
}

/// Turn a plan on or off
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pricing create -n VirtualMachines --tier standard")]
pub(crate) struct Create {
    /// Which plan
    #[arg(short = 'n', long = "name", default_value = PLAN, value_parser = network::name)]
    name: Name,
    /// On (standard) or off (free): without it nothing new is locked or opened
    #[arg(long, value_name = "TIER", ignore_case = true)]
    tier: TierName,
}

/// One plan
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pricing show -n VirtualMachines --query properties.pricingTier")]
pub(crate) struct Show {
    /// Which plan
    #[arg(short = 'n', long = "name", default_value = PLAN, value_parser = network::name)]
    name: Name,
}

/// The plans there are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pricing list")]
pub(crate) struct List {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TierName {
    /// Off.
    Free,
    /// On.
    Standard,
}

/// Does what was typed behind `pricing`.
pub(crate) async fn run(session: &Session, args: Pricing) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    match args {
        Pricing::Create(Create { name, tier }) => {
            let tier = match tier {
                TierName::Free => "Free",
                TierName::Standard => "Standard",
            };
            let body = json!({ "properties": { "pricingTier": tier } });
            let path = Route::Pricing(subscription, name).uri();
            let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
            show(session, value)
        }
        Pricing::Show(Show { name }) => {
            let path = Route::Pricing(subscription, name).uri();
            show(session, session.client.get(&path).await?.body)
        }
        Pricing::List(List {}) => {
            let found = session.client.list(&Route::Pricings(subscription).uri()).await?;
            let table = table(&found);
            session.output.show(&Answer::new(Value::Array(found), table))
        }
    }
}

fn show(session: &Session, value: Value) -> Result<(), Failure> {
    let table = table(std::slice::from_ref(&value));
    session.output.show(&Answer::new(value, table))
}

fn table(plans: &[Value]) -> Table {
    let mut table = Table::new(["NAME", "TIER", "SUB PLAN"]);
    let text = |value: &Value, at: &str| value.pointer(at).map(plain).unwrap_or_default();
    for plan in plans {
        let cells = ["/name", "/properties/pricingTier", "/properties/subPlan"];
        table.row(cells.map(|at| text(plan, at)));
    }
    table
}
