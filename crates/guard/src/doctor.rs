//! `hourgate guard doctor`: what on this machine would void the gate, and what to do about it.

use std::{collections::BTreeSet, fs, net::IpAddr};

use crate::{
    netlink::{self, Features, Foreign, SET_SIZE, Survey, TABLE, Wire, WireError},
    nftables::Settings,
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// The gate holds, but less than it could, or not in every case.
    Warning,
    /// Packets may reach locked ports, or the gate cannot be kept at all.
    Critical,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub cure: String,
}

fn finding(severity: Severity, what: impl Into<String>, why: &str, cure: &str) -> Finding {
    Finding { severity, what: what.into(), why: why.to_owned(), cure: cure.to_owned() }
}

/// Looks at this machine. Changes nothing; the worst comes first.
pub fn doctor() -> Vec<Finding> {
    let mut findings = rights();
    findings.extend(kernel());
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => findings.extend(runtime.block_on(rules())),
        Err(error) => findings.push(unread("this process", &error.to_string())),
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn unread(what: &str, error: &str) -> Finding {
    let what = format!("{what} could not be read: {error}");
    finding(Severity::Warning, what, "What is there is not known.", "Run the doctor as root.")
}

/// The capabilities the guard needs, by their bit.
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW")];

fn rights() -> Vec<Finding> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective =
        effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    let missing = CAPABILITIES.into_iter().filter(|(bit, _)| effective & (1 << bit) == 0);
    missing
        .map(|(_, name)| {
            finding(
                Severity::Critical,
                format!("this process lacks {name}"),
                "The guard changes the firewall and sends the packets that end sessions.",
                "Run the guard as root, or give it CAP_NET_ADMIN and CAP_NET_RAW.",
            )
        })
        .collect()
}

fn kernel() -> Vec<Finding> {
    let (major, minor) = netlink::kernel_version();
    let features = Features::of_kernel();
    let mut findings = Vec::new();
    if !features.persist {
        findings.push(finding(
            Severity::Warning,
            format!("kernel {major}.{minor} has no owned tables that persist (6.9)"),
            "Any program of root can flush the gate; the guard restores it, but only after it happened.",
            "Run a kernel from 6.9 on, and let no other service run `nft flush ruleset`.",
        ));
    } else if !features.update_timeout {
        findings.push(finding(
            Severity::Note,
            format!("kernel {major}.{minor} cannot prolong an opening in place (6.12)"),
            "Openings are taken out and put back in one transaction instead; there is no gap.",
            "Nothing to do.",
        ));
    }
    findings
}

async fn rules() -> Vec<Finding> {
    let wire = match Wire::open(Features::of_kernel(), SET_SIZE) {
        Ok(wire) => wire,
        Err(error) => return vec![no_nf_tables(&error)],
    };
    let mut findings = Vec::new();
    let survey = match wire.survey().await {
        Ok(survey) => survey,
        Err(error) => return vec![no_nf_tables(&error)],
    };
    if survey.is_none() {
        findings.push(finding(
            Severity::Note,
            format!("there is no table inet {TABLE} here"),
            "Nothing is locked on this machine.",
            "Start the guard.",
        ));
    }
    let survey = survey.unwrap_or_default();
    findings.extend(crowded(&survey));
    let locked = survey.locks.keys().map(|lock| lock.address).collect();
    match netlink::foreign(&locked).await {
        Ok(foreign) => {
            findings.extend(links(&foreign.links));
            findings.extend(hands_of_others(foreign));
        }
        Err(error) => findings.push(unread("the rules of others", &error.to_string())),
    }
    match netlink::xdp_links().await {
        Ok(links) => findings.extend(links.into_iter().map(|link| {
            finding(
                Severity::Warning,
                format!("an XDP program is attached to {link}"),
                "It sees packets before every hook and may send them on past the gate.",
                "Make sure that it does not redirect, or detach it.",
            )
        })),
        Err(error) => findings.push(unread("the links", &error.to_string())),
    }
    findings.extend(forwarding(&locked));
    findings
}

fn no_nf_tables(error: &WireError) -> Finding {
    finding(
        Severity::Critical,
        format!("nf_tables does not answer: {error}"),
        "The gate is a table of nf_tables.",
        "Run the doctor as root; load nf_tables, nf_conntrack, nft_ct and nft_reject_inet.",
    )
}

/// Whether the openings come near what a set holds.
fn crowded(survey: &Survey) -> Option<Finding> {
    let most = Settings::new(Default::default(), Vec::new()).openings_max;
    (survey.openings.len() >= most).then(|| {
        finding(
            Severity::Warning,
            format!("{} openings stand", survey.openings.len()),
            "A set that is full refuses more.",
            "Open for prefixes instead of single addresses.",
        )
    })
}

fn hands_of_others(foreign: Foreign) -> Vec<Finding> {
    let mut findings = Vec::new();
    for flowtable in foreign.flowtables {
        findings.push(finding(
            Severity::Critical,
            format!("there is a flowtable: {flowtable}"),
            "Flows in it skip the forward hook: a session does not end with its access.",
            "Take it away, or keep flows to locked ports out of it.",
        ));
    }
    for helper in foreign.helpers {
        findings.push(finding(
            Severity::Warning,
            format!("there is a connection tracking helper: {helper}"),
            "It announces connections that a client asks for; our table lets none through to a lock, others' may.",
            "Assign it to the ports that need it only.",
        ));
    }
    for (table, address) in foreign.translations {
        findings.push(finding(
            Severity::Note,
            format!("table {table} translates to {address}, which has locks"),
            "Clients reach it by another address; the gate judges behind the translation.",
            "Nothing to do where that is meant.",
        ));
    }
    for link in foreign.redirects {
        findings.push(finding(
            Severity::Warning,
            format!("traffic control on {link} may redirect packets"),
            "A redirected packet does not cross the hooks of the gate.",
            "Make sure that nothing is redirected towards locked addresses.",
        ));
    }
    findings
}

/// What the kernel is set to do with packets for others.
fn forwarding(locked: &BTreeSet<IpAddr>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let set = |path: &str| {
        fs::read_to_string(format!("/proc/sys/net/{path}")).is_ok_and(|value| value.trim() != "0")
    };
    let v4 = locked.iter().any(IpAddr::is_ipv4) && !set("ipv4/ip_forward");
    let v6 = locked.iter().any(IpAddr::is_ipv6) && !set("ipv6/conf/all/forwarding");
    if v4 || v6 {
        findings.push(finding(
            Severity::Note,
            "this machine does not forward",
            "Only ports of this machine itself are gated here.",
            "Where it is meant to be a gateway, set net.ipv4.ip_forward and net.ipv6.conf.all.forwarding.",
        ));
    }
    findings
}

fn links(links: &[(String, bool)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let on = |path: String| fs::read_to_string(path).is_ok_and(|value| value.trim() != "0");
    let filtered = on("/proc/sys/net/bridge/bridge-nf-call-iptables".into())
        && on("/proc/sys/net/bridge/bridge-nf-call-ip6tables".into());
    let strict = on("/proc/sys/net/ipv4/conf/all/rp_filter".into());
    let forwards = on("/proc/sys/net/ipv4/ip_forward".into());
    for (name, is_bridge) in links {
        if *is_bridge && !filtered {
            findings.push(finding(
                Severity::Warning,
                format!("bridge {name} is not filtered"),
                "Machines on the same bridge reach each other past the gate.",
                "Load br_netfilter and set net.bridge.bridge-nf-call-iptables and -ip6tables to 1.",
            ));
        }
        let checked = strict || on(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
        if forwards && name != "lo" && !checked {
            findings.push(finding(
                Severity::Warning,
                format!("{name} takes packets from any source address"),
                "A neighbour may send in the name of an address that an opening is for.",
                "Set net.ipv4.conf.all.rp_filter to 1 (2 where routes are asymmetric).",
            ));
        }
    }
    findings
}
