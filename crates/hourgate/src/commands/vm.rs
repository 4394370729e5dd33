//! `hourgate add` and `hourgate vm …`: which machines there are.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::paths::Route;
use hourgate_core::id::{Location, Name, VmId};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Session, access, policy};
use crate::{
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    resolve::Vms,
    view::{self, Vm as VmView},
};

/// Machines and their policies, in the words of az
#[derive(Debug, Subcommand)]
pub(crate) enum Vm {
    Register(Register),
    List(List),
    Show(Show),
    Unregister(Unregister),
    #[command(subcommand)]
    JitPolicy(JitPolicy),
}

/// Just-in-time policies
#[derive(Debug, Subcommand)]
pub(crate) enum JitPolicy {
    Enable(policy::Protect),
    Disable(policy::Unprotect),
    Request(access::Ask),
    List(policy::List),
    Show(policy::Show),
}

/// What a machine runs: decides the default ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OsType {
    /// Port 22.
    Linux,
    /// Port 3389.
    Windows,
}

impl OsType {
    fn wire(self) -> &'static str {
        match self {
            OsType::Linux => "Linux",
            OsType::Windows => "Windows",
        }
    }
}

#[derive(Debug, Args)]
struct Place {
    /// Its resource group, made if it is new [default: default]
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
    /// Where it is [default: local]
    #[arg(short, long, value_parser = network::location)]
    location: Option<Location>,
    /// What it runs [default: not known, so both 22 and 3389 are its ports]
    #[arg(long = "os", alias = "os-type", value_name = "OS", ignore_case = true)]
    os: Option<OsType>,
}

/// Make a machine known: NAME and its private addresses
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate add web-1 10.0.0.4
  hourgate add web-1 10.0.0.4 fd00::4 --os linux -g prod -l westeurope")]
pub(crate) struct Add {
    /// What it is called
    #[arg(value_parser = network::name)]
    name: Name,
    /// Its private addresses, all of them: those that are not named stay open
    #[arg(value_name = "ADDRESS", required = true, value_parser = network::address)]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    place: Place,
}

/// Make a machine known
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm register -g prod -n web-1 --private-ip 10.0.0.4
  hourgate vm register -g prod -n web-1 --private-ip 10.0.0.4 --private-ip fd00::4 --os-type Linux")]
pub(crate) struct Register {
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// A private address; give each
    #[arg(
        long = "private-ip",
        value_name = "ADDRESS",
        required = true,
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::address
    )]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    place: Place,
}

/// The machines there are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm list
  hourgate vm list -g prod --query '[].name' -o json")]
pub(crate) struct List {
    /// Only those of this resource group
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// One machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm show web-1
  hourgate vm show -g prod -n web-1")]
pub(crate) struct Show {
    #[command(flatten)]
    vms: Vms,
}

/// Forget a machine that no policy holds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm unregister web-1")]
pub(crate) struct Unregister {
    #[command(flatten)]
    vms: Vms,
}

/// Does what was typed behind `vm`.
pub(crate) async fn run(session: &Session, args: Vm) -> Result<(), Failure> {
    match args {
        Vm::Register(Register { name, addresses, place }) => {
            put(session, name, &addresses, place).await
        }
        Vm::List(args) => list(session, &args).await,
        Vm::Show(args) => show(session, &args.vms).await,
        Vm::Unregister(args) => unregister(session, &args.vms).await,
        Vm::JitPolicy(JitPolicy::Enable(args)) => policy::protect(session, args).await,
        Vm::JitPolicy(JitPolicy::Disable(args)) => policy::unprotect(session, args).await,
        Vm::JitPolicy(JitPolicy::Request(args)) => access::ask(session, args).await,
        Vm::JitPolicy(JitPolicy::List(args)) => policy::list(session, &args).await,
        Vm::JitPolicy(JitPolicy::Show(args)) => policy::show(session, &args).await,
    }
}

/// Makes a machine known.
pub(crate) async fn add(session: &Session, args: Add) -> Result<(), Failure> {
    put(session, args.name, &args.addresses, args.place).await
}

async fn put(
    session: &Session,
    name: Name,
    addresses: &[IpAddr],
    place: Place,
) -> Result<(), Failure> {
    let named = |text: &str| network::name(text).map_err(Failure::usage);
    let group = match place.group.or_else(|| session.defaults.group.clone()) {
        Some(group) => group,
        None => named("default")?,
    };
    let location = place.location.or_else(|| session.defaults.location.clone());
    let location = location.map_or_else(|| "local".to_owned(), |l| l.to_string());
    let subscription = session.client.profile().subscription_id;
    let id = VmId { subscription, group, name };
    let mut properties = json!({ "privateAddresses": addresses });
    if let Some(os) = place.os {
        properties["osType"] = json!(os.wire());
    }
    let body = json!({ "location": location, "properties": properties });
    let path = Route::Vm(id.clone()).uri();
    let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
    let next = vec![format!("Close its management ports with: hourgate protect {}", id.name)];
    session.output.show(&Answer::new(value.clone(), table(&[value])?).then(next))
}

async fn list(session: &Session, args: &List) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Vms { subscription, group: args.group.clone() };
    let vms = session.client.list(&list.uri()).await?;
    let table = table(&vms)?;
    let next = match vms.is_empty() {
        true => vec!["No machine is known yet. Add one with: hourgate add NAME ADDRESS".to_owned()],
        false => Vec::new(),
    };
    session.output.show(&Answer::new(Value::Array(vms), table).then(next))
}

async fn show(session: &Session, vms: &Vms) -> Result<(), Failure> {
    let mut found = Vec::new();
    let vms = vms.find(session).await?;
    for vm in &vms {
        found.push(session.client.get(&Route::Vm(vm.id.clone()).uri()).await?.body);
    }
    let table = table(&found)?;
    let mut next = Vec::new();
    for policy in policy::with_locks(session).await? {
        let is_shown = |id: &VmId| vms.iter().any(|vm| vm.id == *id);
        next.extend(policy::reached_without(&policy, is_shown));
    }
    session.output.show(&Answer::new(one_or_list(found), table).then(next))
}

async fn unregister(session: &Session, vms: &Vms) -> Result<(), Failure> {
    let mut forgotten = Table::new(["VM", "GROUP", "NOW"]);
    let mut values = Vec::new();
    for vm in vms.find(session).await? {
        session.client.send(Call::new(Method::DELETE, &Route::Vm(vm.id.clone()).uri())).await?;
        let VmId { name, group, .. } = &vm.id;
        forgotten.row([name.to_string(), group.to_string(), "forgotten".to_owned()]);
        values.push(json!({ "id": vm.id, "registered": false }));
    }
    session.output.show(&Answer::new(one_or_list(values), forgotten))
}

/// One resource as itself, several as an array.
pub(crate) fn one_or_list(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

fn table(vms: &[Value]) -> Result<Table, Failure> {
    let mut table = Table::new(["NAME", "GROUP", "LOCATION", "ADDRESSES", "OS"]);
    for value in vms {
        let vm = VmView::of(value)?;
        let addresses: Vec<String> = vm.addresses.iter().map(ToString::to_string).collect();
        table.row([
            vm.id.name.to_string(),
            vm.id.group.to_string(),
            vm.location.to_string(),
            addresses.join(", "),
            value.pointer("/properties/osType").map(view::plain).unwrap_or_default(),
        ]);
    }
    Ok(table)
}
