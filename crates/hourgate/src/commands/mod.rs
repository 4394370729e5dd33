//! What each command does: parse, one operation, present.

use std::future::Future;

use hourgate_core::network::Family;

use crate::{
    cli::{Cli, Command, Global},
    client::Client,
    defaults::Defaults,
    exit::{Exit, Failure},
    output::Output,
    profile::Profile,
};

pub(crate) mod policy;

pub(crate) mod access;

pub(crate) mod status;

pub(crate) mod can;
pub(crate) mod explain;
mod outlook;
mod reach;

pub(crate) mod vm;

pub(crate) mod group;

pub(crate) mod network;

mod definition;
pub(crate) mod pim;
pub(crate) mod role;

pub(crate) mod principal;

pub(crate) mod pricing;

pub(crate) mod eligibility;

pub(crate) mod bring;

pub(crate) mod account;
pub(crate) mod service_account;

pub(crate) mod login;
pub(crate) mod session;
pub(crate) mod whoami;

pub(crate) mod log;

pub(crate) mod configure;

pub(crate) mod admin;
pub(crate) mod config;
mod data_dir;
pub(crate) mod guard;
pub(crate) mod serve;

pub(crate) mod completion;
pub(crate) mod demo;

/// What a command that talks to the server works with.
pub(crate) struct Session {
    /// The server.
    pub(crate) client: Client,
    /// Where the answer goes.
    pub(crate) output: Output,
    /// Group and location where none are named.
    pub(crate) defaults: Defaults,
    profile: Profile,
    timeout: std::time::Duration,
}

impl Session {
    fn new(global: Global) -> Result<Session, Failure> {
        let profile = Profile::find(global.profile.as_deref())?;
        Ok(Session {
            client: Client::new(profile.clone(), None, global.timeout)?,
            output: Output::new(global.output, global.query),
            defaults: Defaults::read()?,
            profile,
            timeout: global.timeout,
        })
    }

    /// A client that talks over one family of addresses, so that the server sees ours of that family.
    pub(crate) fn client_over(&self, family: Family) -> Result<Client, Failure> {
        Client::new(self.profile.clone(), Some(family), self.timeout)
    }
}

/// Does what was typed.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Add(args) => online(global, async |s| vm::add(&s, args).await),
        Command::Protect(args) => online(global, async |s| policy::protect(&s, args).await),
        Command::Unprotect(args) => online(global, async |s| policy::unprotect(&s, args).await),
        Command::Confirm(args) => online(global, async |s| policy::confirm(&s, args).await),
        Command::Request(args) => online(global, async |s| access::ask(&s, args).await),
        Command::Status(args) => online(global, async |s| status::run(&s, &args).await),
        Command::Close(args) => online(global, async |s| access::close(&s, args).await),
        Command::Can(args) => online(global, async |s| can::run(&s, args).await),
        Command::Explain(args) => online(global, async |s| explain::run(&s, args).await),
        Command::Login(args) => login::login(global, args),
        Command::Logout(args) => login::logout(global, args),
        Command::Session(args) => online(global, async |s| session::run(&s, args).await),
        Command::Account(args) => online(global, async |s| account::run(&s, args).await),
        Command::ServiceAccount(args) => {
            online(global, async |s| service_account::run(&s, args).await)
        }
        Command::Whoami => online(global, async |s| whoami::run(&s).await),
        Command::Vm(args) => online(global, async |s| vm::run(&s, args).await),
        Command::Group(args) => online(global, async |s| group::run(&s, args).await),
        Command::Network(args) => online(global, async |s| network::run(&s, args).await),
        Command::Activate(args) => online(global, async |s| pim::activate(&s, args).await),
        Command::Pim(args) => online(global, async |s| pim::run(&s, args).await),
        Command::Role(args) => online(global, async |s| role::run(&s, args).await),
        Command::Principal(args) => online(global, async |s| principal::run(&s, args).await),
        Command::Pricing(args) => online(global, async |s| pricing::run(&s, args).await),
        Command::Eligibility(args) => online(global, async |s| eligibility::run(&s, args).await),
        Command::Import(args) => online(global, async |s| bring::import(&s, args).await),
        Command::Export(args) => online(global, async |s| bring::export(&s, args).await),
        Command::Apply(args) => online(global, async |s| bring::apply(&s, args).await),
        Command::Log(args) => log::run(global, args),
        Command::Configure(args) => configure::run(global, &args),
        Command::Demo(args) => demo::run(&global, &args),
        Command::Serve(args) => serve::run(args),
        Command::Guard(args) => guard::run(global, args),
        Command::Config(args) => config::run(global, args),
        Command::Admin(args) => admin::run(global, args),
        Command::Clock(args) => admin::clock(global, args),
        Command::Completion(args) => completion::run(&args),
    }
}

/// Runs a command that talks to the server; Ctrl-C leaves what the server has decided as it is.
fn online<F: Future<Output = Result<(), Failure>>>(
    global: Global,
    work: impl FnOnce(Session) -> F,
) -> Result<(), Failure> {
    let session = Session::new(global)?;
    block_on(work(session))?
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Refused, format!("The command cannot run here: {error}."))
    })?;
    Ok(runtime.block_on(work))
}
