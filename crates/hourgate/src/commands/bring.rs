//! `hourgate import`, `export` and `apply`: what exists is brought, and kept as a file.

use std::{
    io::{IsTerminal, Write, stderr, stdin},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use hourgate_core::id::{Location, Name};
use serde_json::Value;

use super::Session;
use crate::{
    bring::{
        export,
        live::Live,
        plan::{Plan, plan},
        source,
        thing::Place,
        write,
    },
    exit::{Exit, Failure},
    input::network,
    output::{Answer, say, write_stdout},
};

/// Bring machines and networks that exist elsewhere
///
/// FILE is an ARM template as Azure's portal or `az group export` writes it, a list of machines (YAML, JSON
/// or CSV with name, addresses, os, group, location), or what `hourgate export` wrote. All of it is checked
/// before anything is written; what is so already stays; what is not brought is listed with the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate import template.json -g prod --what-if
  hourgate import template.json -g prod --parameters parameters.json
  hourgate import machines.csv
  cat machines.yaml | hourgate import -")]
pub(crate) struct Import {
    /// What to bring; - for what is piped in
    file: PathBuf,
    /// Values of the template's parameters
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only show what would be done
    #[arg(long)]
    what_if: bool,
}

/// Write what stands as a file: machines, networks and policies
///
/// The file holds what can be applied again: no live access, and nothing that only the server says. Two
/// exports of the same are the same text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate export > site.yaml
  hourgate export -g prod --format json > prod.json")]
pub(crate) struct Export {
    /// Only what is in this resource group
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
    /// As what
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: FileFormat,
}

/// Make what stands what a file says
///
/// Shows what differs with --what-if, and then ends with 5 if anything does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate apply -f site.yaml --what-if
  hourgate apply -f site.yaml
  hourgate apply -f site.yaml --prune --yes")]
pub(crate) struct Apply {
    /// What shall stand; - for what is piped in
    #[arg(short, long = "file", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only show what differs; ends with 5 if anything does
    #[arg(long)]
    what_if: bool,
    /// Remove what the file does not name, too
    #[arg(long)]
    prune: bool,
    /// Do not ask before anything is removed
    #[arg(short, long)]
    yes: bool,
}

/// Where what a file names without saying so belongs.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// The resource group of what the file does not put in one [default: default]
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
    /// The location of what the file does not put anywhere [default: local]
    #[arg(short, long, value_parser = network::location)]
    location: Option<Location>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// For people.
    Yaml,
    /// For programs.
    Json,
}

impl PlaceArgs {
    fn place(self, session: &Session) -> Result<Place, Failure> {
        let group = match self.group.or_else(|| session.defaults.group.clone()) {
            Some(group) => group,
            None => network::name("default").map_err(Failure::usage)?,
        };
        let location = match self.location.or_else(|| session.defaults.location.clone()) {
            Some(location) => location,
            None => network::location("local").map_err(Failure::usage)?,
        };
        Ok(Place { subscription: session.client.profile().subscription_id, group, location })
    }
}

/// Brings a file.
pub(crate) async fn import(session: &Session, args: Import) -> Result<(), Failure> {
    let Import { file, parameters, place, what_if } = args;
    let brought = source::read(&file, parameters.as_deref(), &place.place(session)?)?;
    let live = Live::read(session, None).await?;
    let plan = plan(&source::shown(&file), brought, &live, false)?;
    if !what_if {
        write::all(session, &plan).await?;
    }
    show(session, &plan, what_if)
}

/// Makes what stands what a file says.
pub(crate) async fn apply(session: &Session, args: Apply) -> Result<(), Failure> {
    let Apply { file, place, what_if, prune, yes } = args;
    let brought = source::read(&file, None, &place.place(session)?)?;
    let live = Live::read(session, None).await?;
    let plan = plan(&source::shown(&file), brought, &live, prune)?;
    if what_if {
        show(session, &plan, true)?;
        return match plan.changes() {
            0 => Ok(()),
            count => Err(Failure::new(
                Exit::Drift,
                format!(
                    "What stands differs from {} in {}.",
                    source::shown(&file),
                    resources(count)
                ),
            )),
        };
    }
    if plan.removals() > 0 && !yes {
        ask(&plan)?;
    }
    write::all(session, &plan).await?;
    show(session, &plan, false)
}

/// Writes what stands as a file.
pub(crate) async fn export(session: &Session, args: Export) -> Result<(), Failure> {
    let file = export::file(&Live::read(session, args.group.as_ref()).await?);
    let text = match args.format {
        FileFormat::Json => serde_json::to_string_pretty(&file).map_err(|error| error.to_string()),
        FileFormat::Yaml => serde_saphyr::to_string(&file).map_err(|error| error.to_string()),
    };
    let mut text = text.map_err(|why| {
        Failure::new(Exit::Refused, format!("The file cannot be written: {why}."))
    })?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    write_stdout(&text)
}

/// Whether somebody at a terminal means it; elsewhere only `--yes` does.
fn ask(plan: &Plan) -> Result<(), Failure> {
    let count = plan.removals();
    let refused = |sentence: String| {
        Failure::new(Exit::Refused, sentence)
            .advise("Look with --what-if; add --yes where nobody can be asked.")
    };
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(refused(format!(
            "{} would be removed, and nobody is here to be asked. Nothing was changed.",
            resources(count)
        )));
    }
    say(&plan.table().text(true));
    let mut err = stderr();
    let _ = write!(err, "Remove {} that the file does not name? [y/N] ", resources(count));
    let _ = err.flush();
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    let yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    match read {
        Ok(_) if yes => Ok(()),
        Ok(_) | Err(_) => Err(refused("Nothing was changed.".to_owned())),
    }
}

fn resources(count: usize) -> String {
    if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") }
}

fn show(session: &Session, plan: &Plan, what_if: bool) -> Result<(), Failure> {
    let mut value = plan.value();
    value["whatIf"] = Value::Bool(what_if);
    let next = vec![plan.sentence()];
    session.output.show(&Answer::new(value, plan.table()).then(next))
}
