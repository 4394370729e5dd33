//! Must this ask be refused? (P3, P4, P11)

use hourgate_core::{
    command::{AccessAsk, Ask},
    grant::Window,
    network::Source,
    role::OwnAddress,
    time::Now,
};

use super::{
    Kinds, Life, Oracle, Promise, Rule, SECOND,
    span::{Span, covers, is_world, only_one, spans, width},
    wall,
};

const FIVE_MINUTES: i128 = 300 * SECOND;

impl Oracle {
    pub(super) fn asked(&mut self, ask: &Ask, now: Now) -> Result<(), Kinds> {
        let vms: Vec<_> = ask.accesses.iter().map(|one| &one.vm).collect();
        let who = ask.requester.id.0.parse().expect("a principal");
        if !self.people.may_ask(who, &ask.policy, &vms, now) {
            return Err(Kinds::from(["MayNotAsk"]));
        }
        let mut kinds = Kinds::new();
        let mut say = |kind, holds: bool| {
            if holds {
                kinds.insert(kind);
            }
        };
        say("ClockBehind", self.clock_is_behind(now));
        say("RequestIdTaken", self.promises.iter().any(|promise| promise.request == ask.id));
        say("PolicyNotFound", !self.policies.contains_key(&ask.policy));
        say("NothingAsked", ask.accesses.is_empty());
        for (n, one) in ask.accesses.iter().enumerate() {
            let before = &ask.accesses[..n];
            say("PortTwice", before.iter().any(|b| b.vm == one.vm && b.port == one.port));
        }
        let start = ask.start.map(|start| start.as_nanosecond());
        say("StartInPast", start.is_some_and(|start| wall(now) - start > FIVE_MINUTES));
        let ninety_days = 90 * 86_400 * SECOND;
        say("StartTooFarAhead", start.is_some_and(|start| start - wall(now) > ninety_days));
        let start = start.filter(|start| *start > wall(now));
        let mut given = Vec::new();
        if self.policies.contains_key(&ask.policy) {
            for one in &ask.accesses {
                match self.one(ask, one, start, now) {
                    Ok(promise) => given.push(promise),
                    Err(more) => kinds.extend(more),
                }
            }
        }
        if !kinds.is_empty() {
            return Err(kinds);
        }
        for promise in given {
            self.promises.push(promise);
            let n = self.promises.len() - 1;
            if start.is_none() {
                let end = match self.promises[n].window {
                    Window::Until(end) => end.as_nanosecond(),
                    Window::For(length) => wall(now) + length.as_nanos() as i128,
                };
                self.runs(n, end, now);
                self.takes_the_place(n, end, |_| true);
            }
        }
        Ok(())
    }

    fn one(
        &self,
        ask: &Ask,
        one: &AccessAsk,
        start: Option<i128>,
        now: Now,
    ) -> Result<Promise, Kinds> {
        let no = |kind| Err(Kinds::from([kind]));
        let Some(machine) = self.machines.get(&one.vm) else { return no("VmNotFound") };
        let rules = &self.policies[&ask.policy].rules;
        let mut of_vm =
            rules.iter().filter(|r| r.vm == one.vm && r.born == machine.born).peekable();
        if of_vm.peek().is_none() {
            return no("VmNotInPolicy");
        }
        let Some(rule) = of_vm.find(|rule| rule.port == one.port) else {
            return no("PortNotInPolicy");
        };
        let mut kinds = Kinds::new();
        let own = match ask.address {
            OwnAddress::Seen(address) => Some(address),
            OwnAddress::Nobodys(_) => None,
        };
        let has = |v6: bool| machine.addresses.iter().any(|address| address.is_ipv6() == v6);
        let source = match (one.source, own) {
            (Some(source), _) => Some(source),
            (None, Some(own)) if has(own.is_ipv6()) => Some(Source::Address(own)),
            (None, _) => {
                kinds.insert("SourceNeeded");
                None
            }
        };
        if let Some(source) = source {
            let wanted = spans(source);
            if !wanted.iter().any(|span| has(span.v6)) {
                kinds.insert("NoAddressInFamily");
            } else if let Some(kind) = self.from(ask, rule, source, &wanted, own) {
                kinds.insert(kind);
            }
        }
        let begin = start.unwrap_or(wall(now));
        let window = match how_long(one.window, rule, begin) {
            Ok(window) => Some(window),
            Err(kind) => {
                kinds.insert(kind);
                None
            }
        };
        let (Some(source), Some(window), true) = (source, window, kinds.is_empty()) else {
            return Err(kinds);
        };
        Ok(Promise {
            request: ask.id,
            asked_at: wall(now),
            who: ask.requester.id.clone(),
            policy: ask.policy.clone(),
            vm: one.vm.clone(),
            born: machine.born,
            port: one.port,
            source,
            start: begin,
            window,
            life: Life::Waits,
        })
    }

    fn from(
        &self,
        ask: &Ask,
        rule: &Rule,
        source: Source,
        wanted: &[Span],
        own: Option<std::net::IpAddr>,
    ) -> Option<&'static str> {
        let all: Vec<Span> = rule.from.iter().flat_map(|source| spans(*source)).collect();
        let named: Vec<Span> =
            rule.from.iter().filter(|s| !is_world(**s)).flat_map(|s| spans(*s)).collect();
        if !wanted.iter().all(|span| covers(&all, *span)) {
            return Some("SourceNotAllowed");
        }
        if !wanted.iter().all(|span| covers(&named, *span)) {
            let single = only_one(source);
            let own = single.is_some() && single == own;
            let passes = own || (rule.others && single.is_some());
            return (!passes).then_some("ApprovalRequired");
        }
        let mut together: Vec<Span> = self
            .promises
            .iter()
            .filter(|promise| {
                !promise.is_over()
                    && promise.who == ask.requester.id
                    && promise.vm == rule.vm
                    && promise.port == rule.port
            })
            .flat_map(|promise| promise.spans())
            .collect();
        together.extend(wanted);
        let too_wide = wanted.iter().any(|span| {
            let (bits, widest) = if span.v6 { (128, rule.widest.1) } else { (32, rule.widest.0) };
            widest > 0 && width(&together, span.v6) > 1 << (bits - u32::from(widest))
        });
        too_wide.then_some("ApprovalRequired")
    }
}

fn how_long(sent: Option<Window>, rule: &Rule, begin: i128) -> Result<Window, &'static str> {
    let (length, over) = match sent {
        None => (rule.longest, 0),
        Some(Window::For(length)) => (length.as_nanos() as i128, 0),
        Some(Window::Until(end)) => (end.as_nanosecond() - begin, FIVE_MINUTES),
    };
    if length <= 0 && over > 0 {
        return Err("EndInPast");
    }
    if length < 60 * SECOND {
        return Err("TooShort");
    }
    if length > rule.longest + over {
        return Err("LongerThanPolicy");
    }
    let length = length.min(rule.longest);
    Ok(match sent {
        Some(Window::Until(_)) => Window::Until(
            hourgate_core::time::Timestamp::from_nanosecond(begin + length).expect("in range"),
        ),
        Some(Window::For(_)) | None => {
            Window::For(std::time::Duration::from_nanos(u64::try_from(length).expect("in range")))
        }
    })
}
