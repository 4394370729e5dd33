//! Single values, each with what would be accepted in its place.

use std::{net::IpAddr, time::Duration};

use hourgate_core::{
    id::{Location, VmId},
    network::{Port, Source, SourceError},
    time::Timestamp,
};

use super::{json::Json, object::Problems};
use crate::{
    text::quoted,
    time::{IsoDuration, UtcTime},
};

/// In the ids of machines of Azure's older kind.
const CLASSIC: &str = "/providers/microsoft.classiccompute/";
const VM_ID: &str = "/subscriptions/{id}/resourceGroups/{group}\
                     /providers/Microsoft.Compute/virtualMachines/{name}";

/// A text.
pub(super) fn text(
    json: Json,
    path: &str,
    needed: &str,
    problems: &mut Problems,
) -> Option<String> {
    let Json::Text(text) = json else {
        problems.form(path, format!("{json} stands where {needed} is needed."));
        return None;
    };
    Some(text)
}

/// A list, each item with its path.
pub(super) fn list(
    json: Json,
    path: &str,
    needed: &str,
    problems: &mut Problems,
) -> Option<Vec<(String, Json)>> {
    let Json::List(items) = json else {
        problems.form(path, format!("{json} stands where {needed} is needed."));
        return None;
    };
    let paths = (0..).map(|index: usize| format!("{path}[{index}]"));
    Some(paths.zip(items).collect())
}

/// `true` or `false`.
pub(super) fn flag(json: Json, path: &str, problems: &mut Problems) -> Option<bool> {
    let Json::Flag(flag) = json else {
        problems.form(path, format!("{json} stands where true or false is needed."));
        return None;
    };
    Some(flag)
}

/// One of some words, compared without case.
pub(super) fn word<T: Copy>(
    json: Json,
    path: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let names: Vec<String> = words.iter().map(|(name, _)| format!("'{name}'")).collect();
    let names = names.join(" or ");
    let sent = text(json, path, &names, problems)?;
    let found = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(&sent));
    if found.is_none() {
        problems.value(path, format!("{} is not accepted: {names} is.", quoted(&sent)));
    }
    found.map(|(_, value)| *value)
}

/// A whole number within bounds.
pub(super) fn whole(
    json: Json,
    path: &str,
    least: u64,
    most: u64,
    problems: &mut Problems,
) -> Option<u64> {
    let needed = format!("a whole number from {least} to {most}");
    let Json::Number(number) = json else {
        problems.form(path, format!("{json} stands where {needed} is needed."));
        return None;
    };
    let whole = number.as_u64().filter(|whole| (least..=most).contains(whole));
    if whole.is_none() {
        problems.value(path, format!("{number} is not accepted: {needed} is."));
    }
    whole
}

/// A port.
pub(super) fn port(json: Json, path: &str, problems: &mut Problems) -> Option<Port> {
    let number = whole(json, path, 1, u64::from(u16::MAX), problems)?;
    u16::try_from(number).ok().and_then(Port::new)
}

/// A VM's resource id.
pub(super) fn vm_id(json: Json, path: &str, problems: &mut Problems) -> Option<VmId> {
    let sent = text(json, path, "the resource id of a VM", problems)?;
    let id = sent.parse().ok();
    if id.is_none() {
        let message = if sent.to_ascii_lowercase().contains(CLASSIC) {
            format!("{} is a classic VM, which cannot have just-in-time access.", quoted(&sent))
        } else {
            format!("{} is no resource id of a VM. Its form is '{VM_ID}'.", quoted(&sent))
        };
        problems.value(path, message);
    }
    id
}

/// A location.
pub(super) fn location(json: Json, path: &str, problems: &mut Problems) -> Option<Location> {
    let sent = text(json, path, "the name of a location", problems)?;
    let location = sent.parse().ok();
    if location.is_none() {
        let message = format!(
            "{} is no name of a location: ASCII letters, digits and '-' are accepted, such as 'westeurope' or \
             'local'.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    location
}

/// A source.
pub(super) fn source(json: Json, path: &str, problems: &mut Problems) -> Option<Source> {
    let sent = text(json, path, "an IP address, a CIDR prefix or '*'", problems)?;
    let error = match sent.parse() {
        Ok(source) => return Some(source),
        Err(error) => error,
    };
    let shown = quoted(&sent);
    problems.value(
        path,
        match error {
            SourceError::NotAnAddress if sent.contains(',') => format!(
                "{shown} names several sources. Name one here; several stand in \
                 'allowedSourceAddressPrefixes' of a policy, or in several requests."
            ),
            SourceError::NotAnAddress => format!(
                "{shown} is no source: an IPv4 or IPv6 address, a prefix such as '10.1.0.0/16' or \
                 '2001:db8::/48', or '*' is accepted."
            ),
            SourceError::HostBits { meant } => {
                let address = sent.split('/').next().unwrap_or_default();
                format!(
                    "{shown} has bits set behind its prefix length. Did you mean the prefix '{meant}', or the \
                     single address '{address}'?"
                )
            }
            SourceError::Mapped => {
                format!("{shown} is an IPv4 address written as IPv6. Write it as IPv4.")
            }
        },
    );
    None
}

/// A VM's address. Whether it can be one is for the rules to say.
pub(super) fn address(json: Json, path: &str, problems: &mut Problems) -> Option<IpAddr> {
    let sent = text(json, path, "an IP address", problems)?;
    let address = sent.parse().ok();
    if address.is_none() {
        let message = format!(
            "{} is no IP address: IPv4 or IPv6 without a prefix length is accepted, such as '10.0.0.4'.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    address
}

/// A duration.
pub(super) fn duration(json: Json, path: &str, problems: &mut Problems) -> Option<Duration> {
    let sent = text(json, path, "a duration of ISO 8601 such as 'PT3H'", problems)?;
    let duration = sent.parse::<IsoDuration>().ok();
    if duration.is_none() {
        let message = format!(
            "{} is no duration: ISO 8601 in days, hours, minutes and seconds is accepted, such as 'PT3H' or \
             'PT1H30M'.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    duration.map(|duration| duration.0)
}

/// A moment.
pub(super) fn moment(json: Json, path: &str, problems: &mut Problems) -> Option<Timestamp> {
    let sent = text(json, path, "a time such as '2026-11-23T14:30:00Z'", problems)?;
    let time = sent.parse::<UtcTime>().ok();
    if time.is_none() {
        let message = format!(
            "{} is no time: RFC 3339 with 'Z' or an offset is accepted, such as '2026-11-23T14:30:00Z'.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    time.map(|time| time.0)
}
