//! What can be typed: the tree of commands, az's words beside the short forms people type all day.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        access, account, admin, bring, can, completion, config, configure, demo, eligibility,
        explain, group, guard, log, login, network, pim, policy, pricing, principal, role, serve,
        service_account, session, status, vm,
    },
    input,
    output::{Format, query},
    profile::PROFILE_ENV,
};

/// Just-in-time network access.
///
/// Management ports stay closed at the network layer. One port of one machine opens, for one source
/// address, for a bounded time, and closes exactly on time.
#[derive(Debug, Parser)]
#[command(
    name = "hourgate",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = EXAMPLES
)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hourgate serve                             start a server here
  hourgate add web-1 10.0.0.4                make a machine known
  hourgate protect web-1                     close its management ports
  hourgate request web-1 -d 1h               open one for your own address
  hourgate status                            who has access right now
  hourgate close web-1                       end it early

Exit codes:
  0 done; 1 refused; 2 usage; 3 not found; 4 stored or granted, but not observed in time;
  5 drift; 6 server not reached";

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The server and who you are there: a sign-in or an admin.json [default: your sign-in, else the admin.json of
    /// the default data directory]
    #[arg(long, global = true, value_name = "FILE", env = PROFILE_ENV, hide_env_values = true)]
    pub(crate) profile: Option<PathBuf>,
    /// How to show the answer [default: table on a terminal, else json]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Show only what this JMESPath expression finds in the answer
    #[arg(long, global = true, value_name = "JMESPATH", value_parser = query::parse)]
    pub(crate) query: Option<query::Query>,
    /// How long to wait for what was asked to be observed
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = input::duration::parse
    )]
    pub(crate) timeout: Duration,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(vm::Add),
    Protect(policy::Protect),
    Unprotect(policy::Unprotect),
    Confirm(policy::Confirm),

    Request(access::Ask),
    Status(status::Status),
    Close(access::Close),
    Can(can::Can),
    Activate(pim::Activate),
    Explain(explain::Explain),
    Login(login::Login),
    Logout(login::Logout),
    #[command(subcommand)]
    Session(session::Sessions),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    ServiceAccount(service_account::ServiceAccount),
    /// Who you are to the server, and from which address
    #[command(after_help = "\
Examples:
  hourgate whoami
  hourgate whoami --query address -o json")]
    Whoami,

    #[command(subcommand)]
    Vm(vm::Vm),
    #[command(subcommand)]
    Group(group::Group),
    #[command(subcommand)]
    Network(network::Network),
    #[command(subcommand)]
    Principal(principal::Principal),
    #[command(subcommand)]
    Role(role::Role),
    #[command(subcommand)]
    Pim(pim::Pim),
    #[command(subcommand)]
    Pricing(pricing::Pricing),
    Eligibility(eligibility::Eligibility),
    Import(bring::Import),
    Export(bring::Export),
    Apply(bring::Apply),
    #[command(subcommand)]
    Log(log::Log),
    Configure(configure::Configure),

    /// See it work, with real packets, in less than a minute
    Demo(demo::Demo),
    Serve(serve::Serve),
    Guard(guard::Guard),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Admin(admin::Admin),
    #[command(subcommand)]
    Clock(admin::Clock),
    Completion(completion::Completion),
}

#[cfg(test)]
mod tests;
