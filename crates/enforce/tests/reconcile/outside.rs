//! A firewall's guard before a machine's: what lies inside opens first and closes last, and neither waits for a
//! dead one longer than it must.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hourgate_core::{
    command::{Command, Precondition},
    gateway::{Carrier, MAPPED_PORTS, Place, Translation},
    id::RequestId,
    network::Port,
    policy::GuardCover,
    resource::{
        Kind, ResourceDraft, ResourceId, SubnetId, Tags, ViewDraft,
        firewall::{Firewall, FirewallConfiguration, Tier},
        firewall_policy::FirewallPolicyDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
        public_ip::{Allocation, PublicIpAddress},
        virtual_network::{Subnet, VirtualNetworkDraft},
    },
    time::Clock,
};
use hourgate_enforce::{
    facts::Late,
    fake::FakeGuard,
    guard::GuardError,
    reconcile::{Pace, Reconciler},
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::*;

/// The machine behind the firewall.
const BEHIND: u8 = 6;

struct Hub {
    world: World,
    outside: FakeGuard,
}

fn id(kind: Kind, name: &str) -> ResourceId {
    let [group, name] = ["g", name].map(|text| text.parse().unwrap());
    ResourceId { subscription: Uuid::nil(), group, kind, name }
}

fn put(id: ResourceId, view: ViewDraft) -> Command {
    let location = "local".parse().unwrap();
    let draft = ResourceDraft { id, location, tags: Tags::new(), view, document: "{}".to_owned() };
    let draft = Box::new(draft);
    Command::PutResource { draft, instance: Uuid::from_u128(1), only_if: Precondition::None }
}

fn network(name: &str, space: &str, subnet: (&str, &str), peer: Option<&str>) -> Command {
    let within = Subnet { prefixes: vec![subnet.1.parse().unwrap()], security_group: None };
    let view = VirtualNetworkDraft {
        address_space: vec![space.parse().unwrap()],
        subnets: Some(vec![(subnet.0.parse().unwrap(), within)]),
        peers: Some(peer.map(|peer| id(Kind::VirtualNetworks, peer)).into_iter().collect()),
    };
    put(id(Kind::VirtualNetworks, name), ViewDraft::VirtualNetwork(view))
}

fn subnet(of: &str, name: &str) -> Option<SubnetId> {
    let network = id(Kind::VirtualNetworks, of);
    Some(SubnetId { network, name: name.parse().unwrap() })
}

fn public() -> IpAddr {
    IpAddr::from([198, 51, 100, 1])
}

/// The firewall, with a policy or without.
fn firewall(policy: Option<&str>) -> Command {
    let firewall = Firewall {
        tier: Tier::Standard,
        configurations: vec![FirewallConfiguration {
            name: "ip".parse().unwrap(),
            subnet: subnet("hub", "AzureFirewallSubnet"),
            public_address: Some(id(Kind::PublicIpAddresses, "outside")),
        }],
        policy: policy.map(|policy| id(Kind::FirewallPolicies, policy)),
    };
    put(id(Kind::AzureFirewalls, "fw"), ViewDraft::Firewall(firewall))
}

fn commands() -> Vec<Command> {
    let hub = ("AzureFirewallSubnet", "10.9.0.0/26");
    let spoke = ("a", "10.0.0.0/24");
    let address = PublicIpAddress {
        address: Some(public()),
        allocation: Allocation::Static,
        family: hourgate_core::network::Family::V4,
    };
    let nic = NetworkInterfaceDraft {
        security_group: made(BEHIND, Kind::NetworkSecurityGroups, "nsg").security_group(),
        configurations: vec![IpConfigurationDraft {
            name: "ip".parse().unwrap(),
            wanted: Wanted::Static(crate::world::address(BEHIND)),
            subnet: subnet("spoke", "a"),
            public_address: None,
            asgs: Vec::new(),
            nat_rules: Vec::new(),
            primary: true,
        }],
    };
    vec![
        network("hub", "10.9.0.0/16", hub, None),
        network("spoke", "10.0.0.0/16", spoke, Some("hub")),
        network("hub", "10.9.0.0/16", hub, Some("spoke")),
        put(id(Kind::PublicIpAddresses, "outside"), ViewDraft::PublicIpAddress(address)),
        put(
            id(Kind::FirewallPolicies, "rules"),
            ViewDraft::FirewallPolicy(FirewallPolicyDraft::AsTheyAre),
        ),
        firewall(Some("rules")),
        put(made(BEHIND, Kind::NetworkInterfaces, "nic"), ViewDraft::NetworkInterface(nic)),
    ]
}

async fn hub() -> Hub {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::new());
    let [guard, outside] = [(); 2].map(|()| FakeGuard::new(Arc::clone(&clock)));
    let memory = protected(&clock);
    commands().iter().for_each(|command| drop(memory.command(command).unwrap()));
    let cover = |name: &str, net: &str| GuardCover {
        name: name.to_owned(),
        covers: vec![net.parse().unwrap()],
    };
    // The firewall first: nothing depends on the order in which guards are named.
    let guards = vec![
        (cover("firewall", "198.51.100.0/24"), outside.clone()),
        (cover("inside", "10.0.0.0/8"), guard.clone()),
    ];
    let reconciler = Reconciler::start(memory.clone(), guards, Arc::clone(&clock), Pace::default());
    let hub = Hub { world: World { clock, memory, guard, reconciler }, outside };
    until("silent", || !hub.outside.translations().silent.is_empty()).await;
    until("locked", || hub.world.guard.locks().len() == usize::from(VMS)).await;
    sleep(Duration::from_millis(100)).await;
    hub
}

impl Hub {
    fn opens(&self) -> bool {
        self.world.guard.accepts(source(1), address(BEHIND), port())
    }

    /// Where the first mapped port leads for somebody.
    fn leads(&self, from: u8) -> Option<Place> {
        let port = Port::new(MAPPED_PORTS.first()).unwrap();
        self.outside.translates(source(from), Place { address: public(), port }, Carrier::Tcp)
    }

    async fn opened(&self, request: u64) -> RequestId {
        let id = self.world.request(request, BEHIND, source(1), 600);
        until("recorded", || self.world.is_recorded_open(id)).await;
        assert!(self.opens() && self.leads(1).is_some());
        id
    }
}

#[tokio::test(start_paused = true)]
async fn an_access_leads_through_the_firewall_to_the_machine_for_whom_it_was_given() {
    let hub = hub().await;
    assert_eq!(hub.leads(1), None);
    let id = hub.world.request(1, BEHIND, source(1), 60);
    until("recorded", || hub.world.is_recorded_open(id)).await;
    assert_eq!(hub.leads(1), Some(Place { address: address(BEHIND), port: port() }));
    assert_eq!(hub.leads(2), None, "nobody else");
    assert!(!hub.world.guard.accepts(source(2), address(BEHIND), port()));
    // A second machine's is another port, and the first is untouched.
    sleep(Duration::from_secs(59)).await;
    until("closed", || !hub.opens()).await;
    assert_eq!(hub.leads(1), None, "both end by themselves");
    until("recorded", || hub.world.is_recorded_closed(id)).await;
    assert!(hub.world.memory.alarms.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_lies_inside_opens_first_and_only_both_together_count_as_open() {
    let hub = hub().await;
    hub.world.guard.lag(true);
    let id = hub.world.request(1, BEHIND, source(1), 600);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(hub.leads(1), None, "a way to what is not watched");
    hub.outside.lag(true);
    hub.world.guard.lag(false);
    until("open inside", || hub.opens()).await;
    sleep(Duration::from_secs(5)).await;
    assert!(!hub.world.is_recorded_open(id), "half of it");
    hub.outside.lag(false);
    until("leads", || hub.leads(1).is_some()).await;
    until("recorded", || hub.world.is_recorded_open(id)).await;
}

#[tokio::test(start_paused = true)]
async fn the_word_of_the_other_guard_is_news_however_late_it_comes() {
    for gone in ["the firewall's", "the machine's"] {
        let hub = hub().await;
        let guard = if gone == "the firewall's" { &hub.outside } else { &hub.world.guard };
        guard.fail((0..1000).map(|_| GuardError::Unreached("told to".to_owned())));
        hub.world.reconciler.wake_all();
        sleep(Duration::from_secs(1)).await;
        let id = hub.world.request(1, BEHIND, source(1), 600);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(hub.leads(1), None, "{gone}");
        assert!(!hub.opens(), "{gone}: both or neither");
        guard.recover();
        until("leads", || hub.leads(1).is_some()).await;
        let took = until("recorded", || hub.world.is_recorded_open(id)).await;
        assert!(took <= Duration::from_secs(1), "{gone}: recorded after {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_outside_closes_first_and_a_slow_guard_is_not_waited_for() {
    let hub = hub().await;
    let id = hub.opened(1).await;
    hub.world.guard.lag(true);
    hub.world.end(id);
    until("the way is gone", || hub.leads(1).is_none()).await;
    assert!(hub.opens(), "while the inner one lags");
    hub.world.guard.lag(false);
    until("closed", || !hub.opens()).await;
    until("recorded", || hub.world.is_recorded_closed(id)).await;

    // A firewall that does not answer keeps no port open.
    let id = hub.opened(2).await;
    hub.outside.lag(true);
    hub.world.end(id);
    let took = until("closed", || !hub.opens()).await;
    assert!(took >= Duration::from_millis(200), "it was given a moment: {took:?}");
    assert!(took <= Duration::from_millis(500), "closed after {took:?}");
    hub.outside.lag(false);
    until("the way is gone", || hub.leads(1).is_none()).await;
    until("recorded", || hub.world.is_recorded_closed(id)).await;

    // One that is known to be gone is not waited for at all.
    let id = hub.opened(3).await;
    hub.outside.fail((0..1000).map(|_| GuardError::Unreached("told to".to_owned())));
    hub.world.reconciler.wake_all();
    sleep(Duration::from_secs(15)).await;
    hub.world.end(id);
    let took = until("closed", || !hub.opens()).await;
    assert!(took <= Duration::from_millis(5), "closed after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_should_be_gone_and_stands_is_an_alarm_within_a_second() {
    let way = |source: IpAddr| {
        let at = Place { address: public(), port: Port::new(MAPPED_PORTS.first()).unwrap() };
        Late::Translation(Translation::new(source.into(), at, Carrier::Tcp).unwrap())
    };
    for how in ["it does not answer", "it is gone", "it was told and never answered"] {
        let hub = hub().await;
        let alarms = || hub.world.memory.alarms.lock().unwrap().clone();
        let lost = || (0..1000).map(|_| GuardError::Unreached("told to".to_owned()));
        let id = if how == "it was told and never answered" {
            hub.world.guard.lag(true);
            let id = hub.world.request(1, BEHIND, source(1), 600);
            sleep(Duration::from_secs(1)).await;
            hub.outside.fail(lost());
            hub.world.guard.lag(false);
            sleep(Duration::from_secs(1)).await;
            assert!(!hub.opens(), "what nothing leads to");
            id
        } else {
            hub.opened(1).await
        };
        match how {
            "it does not answer" => hub.outside.lag(true),
            _ => hub.outside.fail(lost()),
        }
        sleep(Duration::from_secs(12)).await;
        assert_eq!(alarms(), [], "{how}: nothing is late yet");
        hub.world.end(id);
        let took = until(how, || !alarms().is_empty()).await;
        assert!(took <= Duration::from_secs(1), "{how}: an alarm after {took:?}");
        let alarm = alarms().into_iter().next().unwrap();
        assert_eq!((alarm.guard.as_str(), alarm.example), ("firewall", way(source(1))), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_forgets_is_told_again_in_the_same_order() {
    let hub = hub().await;
    let _id = hub.opened(1).await;
    hub.outside.forget();
    until("leads again", || hub.leads(1).is_some()).await;
    until("silent again", || !hub.outside.translations().silent.is_empty()).await;
    hub.world.guard.forget();
    until("open again", || hub.opens()).await;
    sleep(Duration::from_secs(15)).await;
    assert!(hub.opens() && hub.leads(1).is_some());
    // What could not be recorded is closed on both all the same.
    hub.world.memory.go_down(true);
    assert!(hub.world.reconciler.hold(RequestId::mint(1), None));
    until("closed", || !hub.opens()).await;
    until("the way is gone", || hub.leads(1).is_none()).await;
    sleep(Duration::from_secs(15)).await;
    assert!(!hub.opens() && hub.leads(1).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_changed_firewall_reaches_its_guard_at_once_and_nothing_else_is_looked_at() {
    let hub = hub().await;
    let looks = || hub.world.memory.looks_at_everything.load(Ordering::SeqCst);
    let before = (looks(), hub.world.guard.statements());
    for (policy, silent) in [(None, 0), (Some("rules"), 1)] {
        let (_, concerned) = hub.world.memory.commit(&firewall(policy)).unwrap();
        assert!(concerned.is_empty(), "no machine meets other rules: {concerned:?}");
        hub.world.reconciler.wake_at(concerned);
        let took = until("told", || hub.outside.translations().silent.len() == silent).await;
        assert!(took <= Duration::from_millis(50), "told after {took:?}");
    }
    assert_eq!((looks(), hub.world.guard.statements()), before);
}

/// How soon a change is on a guard that nothing holds up.
const AT_ONCE: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn neither_guard_waits_for_a_look_at_everything() {
    let hub = hub().await;
    let id = hub.world.request(1, BEHIND, source(1), 600);
    let took = until("leads", || hub.leads(1).is_some()).await;
    assert!(took <= AT_ONCE, "led after {took:?}");
    until("recorded", || hub.world.is_recorded_open(id)).await;
    hub.world.end(id);
    let took = until("both are gone", || hub.leads(1).is_none() && !hub.opens()).await;
    assert!(took <= AT_ONCE, "gone after {took:?}");
    // What cannot be recorded closes as soon.
    hub.opened(2).await;
    hub.world.memory.go_down(true);
    assert!(hub.world.reconciler.hold(RequestId::mint(2), None));
    let took = until("both are gone", || hub.leads(1).is_none() && !hub.opens()).await;
    assert!(took <= AT_ONCE, "gone after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_stands_goes_on_while_the_guard_inside_is_away() {
    let hub = hub().await;
    hub.opened(1).await;
    hub.world.guard.fail((0..1000).map(|_| GuardError::Unreached("told to".to_owned())));
    hub.world.reconciler.wake_all();
    for _ in 0..30 {
        sleep(Duration::from_secs(1)).await;
        assert!(hub.leads(1).is_some(), "nobody ended it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_not_told_of_what_is_anothers() {
    let hub = hub().await;
    let before = hub.outside.statements();
    hub.world.request(1, 1, source(1), 60);
    until("open", || hub.world.guard.accepts(source(1), address(1), port())).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(hub.outside.statements(), before);
}
