//! A virtual machine with its interfaces and its view of itself.

use hourgate_core::{
    policy::Os,
    resource::{Network, Resource, virtual_machine::VirtualMachine},
};

use super::{Document, Fields, Json, texts};

/// What Azure says of a machine that runs. Whether it does is not seen from here: a machine is known or it is not.
const STATUSES: [(&str, &str); 2] = [
    ("ProvisioningState/succeeded", "Provisioning succeeded"),
    ("PowerState/running", "VM running"),
];

pub(super) fn fields(
    fields: &mut Fields,
    network: &Network,
    view: &VirtualMachine,
    document: &Document,
) {
    let kept = |name: &str| {
        let kept = document.properties.iter().find(|(kept, _)| kept.eq_ignore_ascii_case(name));
        match kept {
            Some((_, Json::Object(kept))) => kept.clone(),
            Some(_) | None => Vec::new(),
        }
    };
    let os = os_text(view.os);
    if let Some(disks) = disks(view, kept("storageProfile")) {
        fields.push("storageProfile", disks);
    }
    let mut profile = Fields::default();
    let interfaces = view.interfaces.iter().map(|id| {
        let part = document.part(&id.to_string());
        let mut properties = Fields::default();
        properties.push("primary", Json::Flag(*id == view.primary));
        properties.rest(&part.properties);
        let mut interface = Fields::default();
        interface.text("id", &id.to_string());
        interface.push("properties", properties.object());
        interface.rest(&part.top);
        interface.object()
    });
    profile.push("networkInterfaces", Json::List(interfaces.collect()));
    profile.rest(&kept("networkProfile"));
    fields.push("networkProfile", profile.object());
    fields.push("privateAddresses", texts(network.addresses_of(&view.interfaces)));
    if let Some(os) = os {
        fields.text("osType", os);
    }
}

/// Its disks as they were sent, with what its system is, which Azure's clients read there.
fn disks(view: &VirtualMachine, kept: Vec<(String, Json)>) -> Option<Json> {
    let of_disk = kept.iter().find_map(|(name, value)| match value {
        Json::Object(disk) if name.eq_ignore_ascii_case("osDisk") => Some(disk.clone()),
        Json::Object(_)
        | Json::Null
        | Json::Flag(_)
        | Json::Number(_)
        | Json::Text(_)
        | Json::List(_) => None,
    });
    let mut disk = Fields::default();
    if let Some(os) = os_text(view.os) {
        disk.text("osType", os);
    }
    disk.rest(&of_disk.unwrap_or_default());
    let disk = disk.object();
    if kept.is_empty() && disk == Json::Object(Vec::new()) {
        return None;
    }
    let mut profile = Fields::default();
    profile.push("osDisk", disk);
    profile.rest(&kept);
    Some(profile.object())
}

fn os_text(os: Os) -> Option<&'static str> {
    match os {
        Os::Linux => Some("Linux"),
        Os::Windows => Some("Windows"),
        Os::Unknown => None,
    }
}

/// How a machine is, in Azure's words.
pub(super) fn instance_view(_machine: &Resource) -> Json {
    let status = |(code, shown): (&str, &str)| {
        let mut status = Fields::default();
        status.text("code", code);
        status.text("level", "Info");
        status.text("displayStatus", shown);
        status.object()
    };
    let mut fields = Fields::default();
    fields.push("statuses", Json::List(STATUSES.map(status).to_vec()));
    fields.object()
}
