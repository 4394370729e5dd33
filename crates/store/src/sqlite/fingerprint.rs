//! One keyed sum over all that stands, so that a row without its event is found without reading the log.
//!
//! Each thing that stands has a digest under the log's key; their sum modulo 2^256 is sealed in the head
//! with each commit. An added, edited, removed or revived row changes the sum, and the sum itself is
//! stored nowhere: without the key nothing can be made to fit.

use std::net::IpAddr;

use hourgate_core::{
    grant::{Access, EndReason, Request, Stage, Window},
    id::{PolicyId, SubscriptionId, VmId},
    network::Lock,
    nsg::lockdown::Exceptions,
    policy::{Confirmation, Member, Policy, SignInDemand, Vm},
    pricing::Tier,
    resource::Resource,
    state::State,
    time::{Deadline, Timestamp},
};

use serde::Serialize;

use super::{documents, rows};
use crate::{
    Credential, Principal,
    log::{Hash, LogKey},
};

/// How the digests are made. The log cannot vouch for rows of another version, since it holds no digest of
/// a secret: whoever could claim another version could replace one.
pub(super) const ROWS_VERSION: u32 = 1;

/// The sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 4]);

impl Fingerprint {
    /// Over everything that is loaded, which must be all there is.
    pub(super) fn of(
        key: &LogKey,
        state: &State,
        principals: &[Principal],
        credentials: &[Credential],
    ) -> Fingerprint {
        let mut sum = Fingerprint::default();
        credentials.iter().for_each(|item| sum.add(&credential(key, item)));
        principals.iter().for_each(|item| sum.add(&principal(key, item)));
        state.vms.values().for_each(|item| sum.add(&vm(key, item)));
        for item in state.policies.values() {
            sum.add(&head(key, item));
            item.members.iter().for_each(|(id, place)| sum.add(&member(key, &item.id, id, place)));
        }
        for (request, item) in state.accesses().filter(|(_, access)| !access.is_settled()) {
            sum.add(&access(key, request, item));
        }
        state.released.iter().for_each(|item| sum.add(&released(key, item)));
        state.network.all().for_each(|item| sum.add(&resource(key, item)));
        state.pricings.iter().for_each(|(id, tier)| sum.add(&pricing(key, *id, *tier)));
        let directory = &state.directory;
        directory.principals().for_each(|who| sum.add(&of_directory(key, "person", &**who)));
        directory.custom().values().for_each(|role| sum.add(&of_directory(key, "role", &**role)));
        directory.assignments().for_each(|given| sum.add(&of_directory(key, "given", &**given)));
        let eligibilities = directory.eligibilities();
        eligibilities.for_each(|given| sum.add(&of_directory(key, "eligible", &**given)));
        directory.all_rules().for_each(|rules| sum.add(&of_directory(key, "rules", &**rules)));
        let activations = directory.activations();
        activations.for_each(|it| sum.add(&of_directory(key, "activation", &**it)));
        sum
    }

    pub(super) fn add(&mut self, digest: &Hash) {
        let mut carry = false;
        for (limb, bytes) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let (sum, first) = limb.overflowing_add(number(bytes));
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    pub(super) fn take(&mut self, digest: &Hash) {
        let mut borrow = false;
        for (limb, bytes) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let (rest, first) = limb.overflowing_sub(number(bytes));
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
    }

    /// The seal over it, bound to the head of the log.
    pub(super) fn seal(
        &self,
        key: &LogKey,
        seq: u64,
        hash: &Hash,
        highest: Option<Timestamp>,
    ) -> Hash {
        let mut text = Text::new("rows");
        text.number(u128::from(seq));
        text.bytes(hash);
        text.maybe_time(highest);
        self.0.iter().for_each(|limb| text.number(u128::from(*limb)));
        text.digest(key)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

pub(super) fn pricing(key: &LogKey, subscription: SubscriptionId, tier: Tier) -> Hash {
    let mut text = Text::new("pricing");
    text.bytes(subscription.as_bytes());
    text.text(tier.as_str());
    text.digest(key)
}

/// Somebody, a role or an assignment.
pub(super) fn of_directory<T: Serialize>(key: &LogKey, kind: &str, what: &T) -> Hash {
    let mut text = Text::new(kind);
    // They are made of texts and numbers, so they can always be written.
    text.bytes(&serde_json::to_vec(what).unwrap_or_default());
    text.digest(key)
}

pub(super) fn vm(key: &LogKey, vm: &Vm) -> Hash {
    let mut text = Text::new("vm");
    text.text(&rows::vm_key(&vm.id));
    text.bytes(vm.instance.0.as_bytes());
    text.text(vm.location.as_str());
    text.text(rows::os_text(vm.os));
    vm.addresses.iter().for_each(|address| text.address(*address));
    text.digest(key)
}

pub(super) fn head(key: &LogKey, policy: &Policy) -> Hash {
    let mut text = Text::new("policy");
    text.text(&rows::policy_key(&policy.id));
    text.maybe(policy.kind.as_deref());
    text.number(u128::from(policy.version));
    match &policy.confirmation {
        None => text.text("stands"),
        Some(Confirmation { until, before }) => {
            text.deadline(until);
            text.maybe(before.as_ref().and_then(|b| serde_json::to_string(b).ok()).as_deref());
        }
    }
    text.digest(key)
}

pub(super) fn member(key: &LogKey, policy: &PolicyId, vm: &VmId, member: &Member) -> Hash {
    let mut text = Text::new("member");
    text.text(&rows::policy_key(policy));
    text.text(&rows::vm_key(vm));
    text.bytes(member.instance.0.as_bytes());
    text.number(u128::from(member.position));
    text.text(rows::placement_text(member.placement));
    for rule in &member.ports {
        text.number(u128::from(rule.port.number()));
        text.text(rows::protocol_text(rule.protocol));
        text.text(rows::form_text(rule.allowed.form()));
        text.text(&rows::sources_text(rule.allowed.sources()));
        text.number(rule.longest.as_nanos());
        text.text(rows::approval_text(rule.approval));
        text.text(rows::sessions_text(rule.sessions));
        text.bytes(&[rule.widest_unapproved.ipv4, rule.widest_unapproved.ipv6]);
        text.text(rows::others_text(rule.other_addresses));
        // Only where there are any, so that rows of before they could be have the digest that was sealed.
        if rule.exceptions != Exceptions::default() {
            text.text(rows::exceptions_text(rule.exceptions));
        }
        text.list("denies", &rule.denies);
        if rule.sign_in != SignInDemand::default() {
            text.text("sign-in");
            text.bytes(&serde_json::to_vec(&rule.sign_in).unwrap_or_default());
        }
    }
    text.digest(key)
}

pub(super) fn access(key: &LogKey, request: &Request, access: &Access) -> Hash {
    let mut text = Text::new("access");
    text.text(request.id.as_str());
    text.text(&rows::policy_key(&request.policy));
    text.text(&request.requester.id.0);
    text.time(request.created);
    text.text(&rows::vm_key(&access.vm));
    text.bytes(access.instance.0.as_bytes());
    text.number(u128::from(access.port.number()));
    text.text(&access.source.to_string());
    match access.window {
        Window::Until(end) => text.time(end),
        Window::For(length) => text.number(length.as_nanos()),
    }
    match &access.stage {
        Stage::Planned { start } => {
            text.text("planned");
            text.time(*start);
        }
        Stage::Granted { since, until, opened, rules, mapped } => {
            text.text("granted");
            text.time(*since);
            text.deadline(until);
            text.maybe_time(opened.as_ref().map(|seen| seen.at));
            text.maybe(opened.as_ref().map(|seen| seen.guard.as_str()));
            text.list("rules", rules);
            text.list("mapped", mapped);
        }
        Stage::Ended { since, until, at, reason, opened, closed: _ } => {
            text.text("ended");
            text.maybe_time(*since);
            text.maybe_time(*until);
            text.time(*at);
            let (reason, detail) = reason_text(reason);
            text.text(reason);
            text.maybe(detail.as_deref());
            text.maybe_time(opened.as_ref().map(|seen| seen.at));
            text.maybe(opened.as_ref().map(|seen| seen.guard.as_str()));
        }
    }
    if let Some(addresses) = &access.addresses {
        text.text("addresses");
        text.text(&rows::addresses_text(addresses));
    }
    text.digest(key)
}

pub(super) fn released(key: &LogKey, lock: &Lock) -> Hash {
    let mut text = Text::new("released");
    text.address(lock.address);
    text.number(u128::from(lock.port.number()));
    text.digest(key)
}

pub(super) fn resource(key: &LogKey, resource: &Resource) -> Hash {
    let mut text = Text::new("resource");
    text.text(&documents::key(&resource.id));
    // A resource is made of texts and numbers, so it can always be written.
    text.bytes(&serde_json::to_vec(resource).unwrap_or_default());
    text.digest(key)
}

pub(super) fn principal(key: &LogKey, principal: &Principal) -> Hash {
    let mut text = Text::new("principal");
    text.bytes(principal.client.as_bytes());
    text.bytes(principal.object.as_bytes());
    text.text(&principal.name);
    text.bytes(&principal.secret_digest);
    text.digest(key)
}

pub(super) fn credential(key: &LogKey, credential: &Credential) -> Hash {
    let mut text = Text::new("credential");
    text.text(credential.kind.as_str());
    text.text(&credential.id);
    text.bytes(credential.object.as_bytes());
    text.text(&credential.body);
    text.maybe_time(credential.until);
    text.digest(key)
}

fn reason_text(reason: &EndReason) -> (&'static str, Option<String>) {
    rows::reason_text(reason)
}

/// What is digested: each part with its length before it, so that no two things read the same.
struct Text(Vec<u8>);

impl Text {
    fn new(kind: &str) -> Text {
        let mut text = Text(Vec::with_capacity(512));
        text.text("hourgate rows");
        text.text(kind);
        text
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.bytes(b"+");
                self.text(text);
            }
            None => self.bytes(b"-"),
        }
    }

    /// A list as JSON; nothing where it is empty.
    fn list<T: Serialize>(&mut self, what: &str, list: &[T]) {
        if !list.is_empty() {
            self.text(what);
            // It is made of texts and numbers, so it can always be written.
            self.bytes(&serde_json::to_vec(list).unwrap_or_default());
        }
    }

    fn number(&mut self, number: u128) {
        self.bytes(&number.to_be_bytes());
    }

    fn time(&mut self, at: Timestamp) {
        self.bytes(&at.as_nanosecond().to_be_bytes());
    }

    fn maybe_time(&mut self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.time(at),
            None => self.bytes(b"-"),
        }
    }

    fn deadline(&mut self, deadline: &Deadline) {
        self.time(deadline.wall);
        match deadline.boot {
            Some(boot) => {
                self.bytes(boot.boot.as_bytes());
                self.number(u128::from(boot.nanos));
            }
            None => self.bytes(b"-"),
        }
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.bytes(&v4.octets()),
            IpAddr::V6(v6) => self.bytes(&v6.octets()),
        }
    }

    fn digest(self, key: &LogKey) -> Hash {
        key.seal(&[&self.0])
    }
}
