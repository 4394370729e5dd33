//! The api-version that every call to Azure Resource Manager must name, whichever date it is.

use hourgate_core::resource::Kind;
use jiff::civil::Date;

use super::query::first;
use crate::{
    error::{ArmError, Code},
    text::quoted,
};

/// What our clients send to JIT policies: the one version of Azure's specification.
pub const JIT_VERSION: &str = "2020-01-01";
/// What our clients send to our own routes.
pub const OWN_VERSION: &str = "2026-11-01";
/// What our clients send to virtual machines.
pub const COMPUTE_VERSION: &str = "2024-07-01";
/// What our clients send to the network's resources: az's own.
pub const NETWORK_VERSION: &str = "2022-01-01";
/// What our clients send to plans: az's own.
pub const PRICING_VERSION: &str = "2023-01-01";
/// What our clients send to roles: az's own.
pub const AUTHORIZATION_VERSION: &str = "2022-04-01";
/// What our clients send to decisions about activated roles: the one version of Azure's specification.
pub const APPROVAL_VERSION: &str = "2021-01-01-preview";
/// What our clients send to subscriptions, resource groups and tenants.
pub const RESOURCES_VERSION: &str = "2022-12-01";
/// What az sends to the metadata; it is not needed there.
pub const METADATA_VERSION: &str = "2022-09-01";

/// What our clients send to resources of a kind.
pub(super) const fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::VirtualNetworks
        | Kind::NetworkSecurityGroups
        | Kind::ApplicationSecurityGroups
        | Kind::PublicIpAddresses
        | Kind::NetworkInterfaces
        | Kind::LoadBalancers
        | Kind::AzureFirewalls
        | Kind::FirewallPolicies => NETWORK_VERSION,
        Kind::VirtualMachines => COMPUTE_VERSION,
        Kind::ResourceGroups => RESOURCES_VERSION,
    }
}

/// What may stand behind the date.
const SUFFIXES: [&str; 5] = ["-preview", "-alpha", "-beta", "-rc", "-privatepreview"];
/// Characters of a date, `YYYY-MM-DD`.
const DATE_CHARS: usize = 10;

/// Whether a query names an api-version: any date is accepted, since clients in the wild send a dozen
/// for one resource type.
pub fn check_version(query: Option<&str>) -> Result<(), ArmError> {
    let error = |code, message| Err(ArmError::new(code, message).at("api-version"));
    match first(query, "api-version") {
        Some(version) if is_version(&version) => Ok(()),
        Some(version) if !version.is_empty() => error(
            Code::InvalidApiVersionParameter,
            format!(
                "The api-version {} is invalid. Any date is supported, such as '{JIT_VERSION}', also with \
                 '-preview' behind it.",
                quoted(&version)
            ),
        ),
        Some(_) | None => error(
            Code::MissingApiVersionParameter,
            "The api-version query parameter (?api-version=) is required for all requests."
                .to_owned(),
        ),
    }
}

fn is_version(text: &str) -> bool {
    let Some((date, suffix)) = text.split_at_checked(DATE_CHARS) else { return false };
    let digits = date.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    digits
        && date.parse::<Date>().is_ok()
        && (suffix.is_empty() || SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}
