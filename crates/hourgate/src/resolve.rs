//! From what people call a machine to the machine: a unique name is enough.

use clap::Args;
use hourgate_api::paths::Route;
use hourgate_core::{
    id::{Name, VmId},
    resource::Kind,
};

use crate::{
    commands::Session,
    exit::{Exit, Failure},
    input::network,
    view::Vm,
};

/// How many candidates are shown for a name that is not unique.
const CANDIDATES_MAX: usize = 10;

/// Machines that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct Vms {
    /// Machines, by name or resource id
    #[arg(value_name = "NAME", required_unless_present = "named", value_parser = target)]
    names: Vec<Target>,
    /// The same, as az has it
    #[arg(short = 'n', long = "name", id = "named", value_name = "NAME", value_parser = target)]
    named: Vec<Target>,
    /// Their resource group, where a name is not unique
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// What somebody calls a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Its name.
    Name(Name),
    /// Its resource id.
    Id(VmId),
}

/// Reads a name or a resource id.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    if text.starts_with('/') {
        return text.parse().map(Target::Id).map_err(|_| {
            "a VM's resource id is /subscriptions/…/resourceGroups/…/providers/Microsoft.Compute\
             /virtualMachines/NAME"
                .to_owned()
        });
    }
    network::name(text).map(Target::Name)
}

impl Vms {
    /// The machines, each once, in the order named.
    pub(crate) async fn find(&self, session: &Session) -> Result<Vec<Vm>, Failure> {
        let targets: Vec<Target> = self.names.iter().chain(&self.named).cloned().collect();
        find(session, &targets, self.group.as_ref()).await
    }
}

/// The machines that are meant, each once, in the order named.
pub(crate) async fn find(
    session: &Session,
    targets: &[Target],
    group: Option<&Name>,
) -> Result<Vec<Vm>, Failure> {
    let all = all(session).await?;
    let mut found: Vec<Vm> = Vec::new();
    for target in targets {
        let vm = pick(&all, target, group, session.defaults.group.as_ref())?;
        if !found.iter().any(|other| other.id == vm.id) {
            found.push(vm.clone());
        }
    }
    Ok(found)
}

/// Every machine.
pub(crate) async fn all(session: &Session) -> Result<Vec<Vm>, Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Resources { subscription, group: None, kind: Kind::VirtualMachines };
    session.client.list(&list.uri()).await?.iter().map(Vm::of).collect()
}

/// The one machine that is meant: in the group that is named, else in the default group if it is there,
/// else anywhere.
fn pick<'a>(
    all: &'a [Vm],
    target: &Target,
    group: Option<&Name>,
    default: Option<&Name>,
) -> Result<&'a Vm, Failure> {
    let name = match target {
        Target::Id(id) => {
            return all.iter().find(|vm| vm.id == *id).ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("There is no VM {id}."))
                    .advise("`hourgate vm list` shows those there are.")
            });
        }
        Target::Name(name) => name,
    };
    let named: Vec<&Vm> = all.iter().filter(|vm| vm.id.name == *name).collect();
    let within = |group: &Name| named.iter().find(|vm| vm.id.group == *group).copied();
    if let Some(group) = group {
        return within(group).ok_or_else(|| {
            let elsewhere = named.iter().map(|vm| candidate(vm)).collect();
            let sentence = format!("There is no VM {name} in the resource group {group}.");
            Failure::new(Exit::NotFound, sentence).because(elsewhere)
        });
    }
    if let Some(vm) = default.and_then(within) {
        return Ok(vm);
    }
    match named.as_slice() {
        [vm] => Ok(vm),
        [] => Err(Failure::new(Exit::NotFound, format!("There is no VM called {name}."))
            .because(similar(all, name))
            .advise(format!("Make it known with `hourgate add {name} ADDRESS`."))),
        several => {
            let mut candidates: Vec<String> =
                several.iter().take(CANDIDATES_MAX).map(|vm| candidate(vm)).collect();
            if several.len() > CANDIDATES_MAX {
                candidates.push(format!("and {} more", several.len() - CANDIDATES_MAX));
            }
            Err(Failure::usage(format!("{} VMs are called {name}.", several.len()))
                .because(candidates)
                .advise("Say which with -g GROUP."))
        }
    }
}

fn candidate(vm: &Vm) -> String {
    let addresses: Vec<String> = vm.addresses.iter().map(ToString::to_string).collect();
    format!("{} -g {} ({})", vm.id.name, vm.id.group, addresses.join(", "))
}

/// Names that begin alike: the usual mistakes are a digit or an ending.
fn similar(all: &[Vm], name: &Name) -> Vec<String> {
    let folded = name.folded();
    let stem = folded.get(..3).unwrap_or(folded);
    let alike = all.iter().filter(|vm| vm.id.name.folded().starts_with(stem));
    alike.take(3).map(|vm| format!("there is {}", candidate(vm))).collect()
}

#[cfg(test)]
mod tests {
    use hourgate_core::policy::Os;

    use super::*;

    fn vm(group: &str, name: &str) -> Vm {
        let id = format!(
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/{group}\
             /providers/Microsoft.Compute/virtualMachines/{name}"
        );
        Vm {
            id: id.parse().expect("an id"),
            location: "local".parse().expect("a location"),
            os: Os::Linux,
            addresses: vec![[10, 0, 0, 4].into()],
        }
    }

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn a_unique_name_is_enough() {
        let all = [vm("a", "web-1"), vm("b", "web-2"), vm("c", "web-2")];
        let by = |text: &str| target(text).expect("a target");
        assert_eq!(pick(&all, &by("WEB-1"), None, None).expect("found").id, all[0].id);
        assert_eq!(
            pick(&all, &by(&all[2].id.to_string()), None, None).expect("found").id,
            all[2].id
        );

        let ambiguous = pick(&all, &by("web-2"), None, None).expect_err("ambiguous");
        assert_eq!(ambiguous.exit, Exit::Usage);
        assert_eq!(ambiguous.details.len(), 2);
        assert!(ambiguous.text().contains("-g"));

        let chosen = pick(&all, &by("web-2"), Some(&name("C")), None).expect("found");
        assert_eq!(chosen.id, all[2].id);
        let default = pick(&all, &by("web-2"), None, Some(&name("b"))).expect("found");
        assert_eq!(default.id, all[1].id);
        // A default group hides nothing that has only one name.
        assert!(pick(&all, &by("web-1"), None, Some(&name("b"))).is_ok());

        for missing in
            [pick(&all, &by("web-3"), None, None), pick(&all, &by("web-1"), Some(&name("b")), None)]
        {
            assert_eq!(missing.expect_err("missing").exit, Exit::NotFound);
        }
    }
}
