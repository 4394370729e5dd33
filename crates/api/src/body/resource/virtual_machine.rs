//! Virtual machines: named by their interfaces, as Azure's clients do, or by their addresses, as ours do.

use std::net::IpAddr;

use hourgate_core::{
    policy::Os,
    resource::{
        ResourceId,
        virtual_machine::{InterfaceDraft, Joined, Storage, VirtualMachineDraft},
    },
};

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::{address, flag, list, text, word},
    },
    Document, Part,
};
use crate::text::quoted;

/// What only the server says of a machine.
const VM_OVERLOOKED: [&str; 3] = ["vmId", "instanceView", "timeCreated"];
/// What Azure never gives back. It is nobody's business here either, and is not kept.
const SECRETS: [&str; 3] = ["adminPassword", "customData", "secrets"];
/// How a disk came to be.
pub(crate) const CREATE_OPTION: &str = "createOption";
/// It was there before: what is said of a machine's disk of which nothing is known.
pub(crate) const ATTACHED: &str = "Attach";
/// What a machine can run.
const SYSTEMS: [(&str, Os); 2] = [("Linux", Os::Linux), ("Windows", Os::Windows)];

/// What is kept as sent.
type Kept = Vec<(String, Json)>;

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<VirtualMachineDraft> {
    properties.overlook(&VM_OVERLOOKED);
    // It may hold secrets, and is for the machine alone.
    properties.overlook(&["userData"]);
    let (disks, by_disk, storage) = match properties.optional("storageProfile") {
        Some(json) => disks(json, &properties.path_of("storageProfile"), problems)?,
        None => (Vec::new(), None, Storage::Unknown),
    };
    let profile = match properties.optional("osProfile") {
        Some(json) => Some(os_profile(json, &properties.path_of("osProfile"), problems)?),
        None => None,
    };
    let by_profile = profile.as_ref().and_then(|(_, os)| *os);
    let own = match properties.optional("osType") {
        Some(json) => Some(word(json, &properties.path_of("osType"), &SYSTEMS, problems)?),
        None => None,
    };
    let said: Vec<Os> = [by_disk, by_profile, own].into_iter().flatten().collect();
    if said.windows(2).any(|two| two[0] != two[1]) {
        let path = properties.path_of("osType");
        let message = "The machine's disk, its profile and 'osType' name two systems; send one of them, or \
                       the same.";
        problems.value(&path, message.to_owned());
    }
    let interfaces = interfaces(properties, document, problems)?;
    let addresses = addresses(properties, problems)?;
    properties.suspect(&["privateAddresses", "osType"], problems);
    let joined = match (interfaces, addresses) {
        (Some(interfaces), Some(addresses)) => Joined::Both { interfaces, addresses },
        (Some(interfaces), None) => Joined::Interfaces(interfaces),
        (None, Some(addresses)) => Joined::Addresses(addresses),
        (None, None) => {
            let path = properties.path_of("networkProfile");
            let message = "'networkProfile' is missing: a list of 'networkInterfaces' in it is needed, or \
                           'privateAddresses' in its place.";
            problems.form(&path, message.to_owned());
            return None;
        }
    };
    if !disks.is_empty() {
        document.properties.push(("storageProfile".to_owned(), Json::Object(disks)));
    }
    let profile = profile.map(|(kept, _)| ("osProfile".to_owned(), Json::Object(kept)));
    document.properties.extend(profile);
    Some(VirtualMachineDraft { joined, os: said.first().copied().unwrap_or(Os::Unknown), storage })
}

/// What is kept of a machine's disks, what they say of its system, and whose they are. The system is not kept
/// with them: it is understood, and shown where it is read.
fn disks(json: Json, path: &str, problems: &mut Problems) -> Option<(Kept, Option<Os>, Storage)> {
    let mut kept = Object::of(json, path, problems)?.rest();
    let at = kept.iter().position(|(name, _)| name.eq_ignore_ascii_case("osDisk"));
    let Some((name, sent)) = at.and_then(|at| kept.get(at).cloned()) else {
        return Some((kept, None, Storage::Unknown));
    };
    let sent = if sent == Json::Null { Json::Object(Vec::new()) } else { sent };
    let mut disk = Object::of(sent, &format!("{path}.osDisk"), problems)?;
    let os = match disk.optional("osType") {
        Some(json) => Some(word(json, &disk.path_of("osType"), &SYSTEMS, problems)?),
        None => None,
    };
    let mut left = disk.rest();
    // What is shown of every disk of which nothing else was said.
    left.retain(|(name, value)| {
        let attached = Json::Text(ATTACHED.to_owned());
        !name.eq_ignore_ascii_case(CREATE_OPTION) || (*value != Json::Null && *value != attached)
    });
    let has = |name: &str| {
        left.iter().any(|(sent, value)| sent.eq_ignore_ascii_case(name) && *value != Json::Null)
    };
    let storage = match (has("managedDisk"), has("vhd")) {
        (true, _) => Storage::Managed,
        (false, true) => Storage::Unmanaged,
        (false, false) => Storage::Unknown,
    };
    let place = at.unwrap_or_default();
    if left.is_empty() {
        kept.remove(place);
    } else {
        kept[place] = (name, Json::Object(left));
    }
    Some((kept, os, storage))
}

/// What is kept of a system's profile, and which system it is for.
fn os_profile(json: Json, path: &str, problems: &mut Problems) -> Option<(Kept, Option<Os>)> {
    let mut profile = Object::of(json, path, problems)?;
    profile.overlook(&SECRETS);
    let kept = profile.rest();
    let has = |name: &str| {
        kept.iter().any(|(sent, value)| sent.eq_ignore_ascii_case(name) && *value != Json::Null)
    };
    let os = match (has("linuxConfiguration"), has("windowsConfiguration")) {
        (true, false) => Some(Os::Linux),
        (false, true) => Some(Os::Windows),
        (true, true) => {
            let message = "A machine has 'linuxConfiguration' or 'windowsConfiguration', not both.";
            problems.value(path, message.to_owned());
            return None;
        }
        (false, false) => None,
    };
    Some((kept, os))
}

/// The machine's interfaces; none where no profile of its network was sent.
fn interfaces(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<Option<Vec<InterfaceDraft>>> {
    let Some(json) = properties.optional("networkProfile") else { return Some(None) };
    let mut profile = Object::of(json, &properties.path_of("networkProfile"), problems)?;
    let needed = "a list of references to network interfaces";
    let sent = profile.optional("networkInterfaces");
    let path = profile.path_of("networkInterfaces");
    let kept = profile.rest();
    if !kept.is_empty() {
        document.properties.push(("networkProfile".to_owned(), Json::Object(kept)));
    }
    let Some(sent) = sent else { return Some(None) };
    let items = list(sent, &path, needed, problems)?;
    let count = items.len();
    let mut interfaces = Vec::with_capacity(count.min(64));
    for (path, json) in items {
        if let Some((interface, part)) = interface(json, &path, problems) {
            document.set_part(&interface.id.to_string(), part);
            interfaces.push(interface);
        }
    }
    (interfaces.len() == count).then_some(Some(interfaces))
}

fn interface(json: Json, path: &str, problems: &mut Problems) -> Option<(InterfaceDraft, Part)> {
    let mut object = Object::of(json, path, problems)?;
    let needed = "the resource id of a network interface";
    let sent = object.required("id", needed, problems)?;
    let path = object.path_of("id");
    let sent = text(sent, &path, needed, problems)?;
    let id: Option<ResourceId> = sent.parse().ok();
    if id.is_none() {
        problems
            .value(&path, format!("{} is no resource id of a network interface.", quoted(&sent)));
    }
    let (mut primary, mut part) = (false, Part::default());
    if let Some(json) = object.optional("properties") {
        let mut properties = Object::of(json, &object.path_of("properties"), problems)?;
        if let Some(json) = properties.optional("primary") {
            primary = flag(json, &properties.path_of("primary"), problems)?;
        }
        part.properties = properties.rest();
    }
    part.top = object.rest();
    Some((InterfaceDraft { id: id?, primary }, part))
}

/// Ours: the machine's addresses; none where they were not sent.
fn addresses(properties: &mut Object, problems: &mut Problems) -> Option<Option<Vec<IpAddr>>> {
    let Some(json) = properties.optional("privateAddresses") else { return Some(None) };
    let path = properties.path_of("privateAddresses");
    let items = list(json, &path, "a list of IP addresses", problems)?;
    let count = items.len();
    let read: Vec<IpAddr> =
        items.into_iter().filter_map(|(path, json)| address(json, &path, problems)).collect();
    (read.len() == count).then_some(Some(read))
}
