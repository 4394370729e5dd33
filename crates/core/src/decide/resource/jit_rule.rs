//! Rules of JIT's own in what is sent of a group. Who reads a group, changes something else and writes it
//! back sends them too: they are echoes, and never become anybody's rules.

use std::{borrow::Cow, collections::BTreeMap};

use super::Setting;
use crate::{
    grant::Stage,
    id::RequestId,
    jit_rules::{self, JitRule, JitRuleOf},
    network::{Family, Lock},
    nsg::{
        grant_rule::{deny_rule_name, grant_rule, grant_rule_name},
        jit_name::JitName,
        lockdown::deny_rule,
        name::RuleName,
        rule::{RuleDraft, SecurityRule},
        word::Side,
    },
    resource::{ResourceFault, ResourceId},
    state::State,
};

/// What is sent of a group without the echoes of JIT's rules; with everything that stands against those.
pub(super) fn without_echoes<'a>(
    state: &State,
    setting: &Setting<'_>,
    sent: &'a [RuleDraft],
    faults: &mut Vec<ResourceFault>,
) -> Cow<'a, [RuleDraft]> {
    let theirs = setting.before.and_then(|before| before.security_group());
    // One that stood before the form was JIT's stays whose it is.
    let is_theirs = |draft: &RuleDraft| {
        let name: Option<RuleName> = draft.name.parse().ok();
        theirs.zip(name).is_some_and(|(group, name)| group.rule(&name).is_some())
    };
    let formed = |draft: &&RuleDraft| JitName::of(&draft.name).is_some() && !is_theirs(draft);
    if !sent.iter().any(|draft| formed(&draft)) {
        return Cow::Borrowed(sent);
    }
    let Some(group) = setting.id.security_group() else { return Cow::Borrowed(sent) };
    let ours = jit_rules::of_group(state, &group);
    let ours: BTreeMap<&RuleName, &JitRule> =
        ours.iter().map(|jit| (jit.rule.name(), jit)).collect();
    let mut kept = Vec::with_capacity(sent.len());
    for draft in sent {
        match JitName::of(&draft.name).filter(|_| !is_theirs(draft)) {
            Some(name) => faults.extend(against(state, &ours, draft, name)),
            None => kept.push(draft.clone()),
        }
    }
    Cow::Owned(kept)
}

/// Whether somebody may take that rule of a group away: one of JIT's goes with what it belongs to.
pub(super) fn against_delete(state: &State, id: &ResourceId, name: &str) -> Option<ResourceFault> {
    let found = jit_rules::named(state, &id.security_group()?, name);
    found.map(|jit| ResourceFault::JitRule { rule: jit.rule.name().clone(), of: jit.of })
}

/// What stands against a rule with a name of JIT's form; nothing against an echo of one that stands, and of
/// one that is over.
fn against(
    state: &State,
    ours: &BTreeMap<&RuleName, &JitRule>,
    draft: &RuleDraft,
    name: JitName,
) -> Option<ResourceFault> {
    let reserved = || Some(ResourceFault::JitName { rule: draft.name.clone() });
    let Ok(called) = draft.name.parse::<RuleName>() else { return reserved() };
    let sent = SecurityRule::new(draft).ok();
    if let Some(jit) = ours.get(&called) {
        let same = sent.is_some_and(|sent| sent.means_the_same(&jit.rule));
        let (rule, of) = (jit.rule.name().clone(), jit.of.clone());
        return (!same).then_some(ResourceFault::JitRule { rule, of });
    }
    let is_over = |sent: SecurityRule| match name {
        JitName::Grant { request } => was_granted(state, request, &sent),
        JitName::Deny { lock } => was_locked(state, lock, &sent),
    };
    if let JitName::Grant { request } = name
        && let Some(of) = runs(state, request, &called)
    {
        // It has no such rule in this group.
        return Some(ResourceFault::JitRule { rule: called, of });
    }
    if sent.is_some_and(is_over) { None } else { reserved() }
}

/// The access that runs and whose rules bear that name.
fn runs(state: &State, request: RequestId, name: &RuleName) -> Option<JitRuleOf> {
    let request = state.requests.get(&request)?;
    request.accesses.iter().find_map(|access| {
        let Stage::Granted { since, .. } = access.stage else { return None };
        let is_its = |family| {
            grant_rule_name(&access.vm.name, access.port, since, request.id, family) == *name
        };
        let (vm, port) = (access.vm.clone(), access.port);
        [Family::V4, Family::V6].into_iter().any(is_its).then_some(JitRuleOf::Grant {
            request: request.id,
            vm,
            port,
        })
    })
}

/// Whether the rule is that of an access which ran and is over. What it was for is known, its number and in
/// which of its VM's groups it stood are not any more.
fn was_granted(state: &State, request: RequestId, sent: &SecurityRule) -> bool {
    let Some(request) = state.requests.get(&request) else { return false };
    let to: Vec<_> = sent.places(Side::Destination).prefixes().iter().map(|p| p.net()).collect();
    let Some(family) = to.first().map(|net| Family::of_net(*net)) else { return false };
    if to.iter().any(|net| net.prefix_len() != net.max_prefix_len()) {
        return false;
    }
    let to: Vec<_> = to.iter().map(|net| net.addr()).collect();
    request.accesses.iter().any(|access| {
        let Stage::Ended { since: Some(since), .. } = access.stage else { return false };
        let Some(source) = access.source.within(family) else { return false };
        let name = grant_rule_name(&access.vm.name, access.port, since, request.id, family);
        let was = grant_rule(name, source, &to, access.port, sent.priority());
        was.name() == sent.name() && was.means_the_same(sent)
    })
}

/// Whether the rule is that of a lock which a known VM had.
fn was_locked(state: &State, lock: Lock, sent: &SecurityRule) -> bool {
    let mut vms = state.vms.values().filter(|vm| vm.addresses.contains(&lock.address));
    vms.any(|vm| {
        let was = deny_rule(deny_rule_name(&vm.id.name, lock), lock, sent.priority());
        was.name() == sent.name() && was.means_the_same(sent)
    })
}
