//! A virtual machine with its interfaces and its view of itself.

use hourgate_core::{
    policy::Os,
    resource::{Resource, virtual_machine::VirtualMachine},
};

use super::{Around, Document, Fields, Json, texts};
use crate::body::{ATTACHED, CREATE_OPTION};

/// What Azure says of a machine that runs. Whether it does is not seen from here: a machine is known or it is not.
const STATUSES: [(&str, &str); 2] = [
    ("ProvisioningState/succeeded", "Provisioning succeeded"),
    ("PowerState/running", "VM running"),
];

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
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
    fields.push("storageProfile", disks(view, kept("storageProfile")));
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
    fields.push("privateAddresses", texts(around.network.addresses_of(&view.interfaces)));
    if let Some(os) = os {
        fields.text("osType", os);
    }
}

/// Its disks as they were sent, with what Azure's clients need there: what its system is, and how the disk came
/// to be, without which `az vm update` sends nothing back.
fn disks(view: &VirtualMachine, mut kept: Vec<(String, Json)>) -> Json {
    let text = |name: &str, value: &str| (name.to_owned(), Json::Text(value.to_owned()));
    let mut known: Vec<(String, Json)> =
        os_text(view.os).map(|os| text("osType", os)).into_iter().collect();
    let disk = kept.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("osDisk"));
    let sent = match &disk {
        Some((_, Json::Object(sent))) => sent.as_slice(),
        Some(_) | None => &[],
    };
    if !sent.iter().any(|(name, _)| name.eq_ignore_ascii_case(CREATE_OPTION)) {
        known.push(text(CREATE_OPTION, ATTACHED));
    }
    match disk {
        Some((_, Json::Object(sent))) => {
            sent.splice(0..0, known);
        }
        Some(_) => {}
        None => kept.insert(0, ("osDisk".to_owned(), Json::Object(known))),
    }
    Json::Object(kept)
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
