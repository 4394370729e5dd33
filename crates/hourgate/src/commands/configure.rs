//! `hourgate configure`: defaults, so that `-g` need not be typed.

use clap::Args;
use serde_json::json;

use crate::{
    cli::Global,
    defaults::Defaults,
    exit::Failure,
    output::{Answer, Output, Table},
};

/// Remember a default group or location
///
/// Without --defaults, shows what is remembered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate configure --defaults group=prod location=westeurope
  hourgate configure --defaults group=              forget the group
  hourgate configure                                show what is remembered")]
pub(crate) struct Configure {
    /// group=NAME or location=NAME; nothing behind the = forgets it
    #[arg(short, long, value_name = "KEY=VALUE", num_args = 1..)]
    defaults: Vec<String>,
}

/// Sets what was named, and shows what then holds.
pub(crate) fn run(global: Global, args: &Configure) -> Result<(), Failure> {
    let mut defaults = Defaults::read()?;
    for setting in &args.defaults {
        defaults = defaults.with(setting)?;
    }
    if !args.defaults.is_empty() {
        defaults.write()?;
    }
    let rows = defaults.rows();
    let mut table = Table::new(["DEFAULT", "VALUE"]);
    for (key, value) in &rows {
        table.row([(*key).to_owned(), value.clone()]);
    }
    let next = match rows.is_empty() {
        true => vec!["No defaults are set.".to_owned()],
        false => Vec::new(),
    };
    Output::new(global.output, global.query).show(&Answer::new(json!(rows), table).then(next))
}
