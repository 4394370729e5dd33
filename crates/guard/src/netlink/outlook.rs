//! How this machine reaches an address: by itself, by a bridge, or by a link it forwards to.

use std::{collections::BTreeMap, fs, net::IpAddr};

use hourgate_core::outlook::{Asked, Outlook, Vantage};
use nlink::netlink::{Connection, Route, types::route::RouteType};

use super::{
    WireError,
    others::{Hook, Others},
};

/// Looks at the way to each address, and at the rules of others for its ports.
pub(crate) async fn outlooks(at: &Asked) -> Result<BTreeMap<IpAddr, Outlook>, WireError> {
    let route = Connection::<Route>::new().map_err(WireError::of)?;
    let others = Others::read().await?;
    let mut outlooks = BTreeMap::new();
    for (address, ports) in at {
        let vantage = vantage(&route, *address).await?;
        let hook = match vantage {
            Vantage::Host => Some(Hook::Input),
            Vantage::Routed { .. } | Vantage::Bridge { .. } => Some(Hook::Forward),
            Vantage::Unreachable => None,
        };
        let of = |port| {
            let suspects = hook.map(|hook| others.suspects(hook, *address, port));
            suspects.filter(|suspects| !suspects.is_empty())
        };
        let suspects = ports.iter().filter_map(|port| Some((*port, of(*port)?))).collect();
        outlooks.insert(*address, Outlook { vantage, suspects });
    }
    Ok(outlooks)
}

async fn vantage(route: &Connection<Route>, address: IpAddr) -> Result<Vantage, WireError> {
    // The kernel says as an error that nothing leads there.
    let Ok(way) = route.lookup_route(address).await else { return Ok(Vantage::Unreachable) };
    if way.route_type() == RouteType::Local {
        return Ok(Vantage::Host);
    }
    if way.route_type() != RouteType::Unicast {
        return Ok(Vantage::Unreachable);
    }
    let links = route.get_links().await.map_err(WireError::of)?;
    let Some(link) = links.iter().find(|link| Some(link.ifindex()) == way.oif()) else {
        return Ok(Vantage::Unreachable);
    };
    let name = link.name_or("?").to_owned();
    let is_bridge = link.link_info().and_then(|info| info.kind()) == Some("bridge");
    // Behind a gateway of its own the bridge is one link on the way, not where the address lies.
    if is_bridge && way.gateway().is_none() {
        return Ok(Vantage::Bridge { filtered: is_filtered(address), link: name });
    }
    Ok(Vantage::Routed { link: name })
}

/// Whether frames between ports of a bridge cross the hooks of the address's family (`br_netfilter`).
pub(crate) fn is_filtered(address: IpAddr) -> bool {
    let tables = match address {
        IpAddr::V4(_) => "bridge-nf-call-iptables",
        IpAddr::V6(_) => "bridge-nf-call-ip6tables",
    };
    fs::read_to_string(format!("/proc/sys/net/bridge/{tables}"))
        .is_ok_and(|value| value.trim() != "0")
}
