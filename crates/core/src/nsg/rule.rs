//! A security rule: which flows it matches, and what becomes of them.

use serde::{Deserialize, Serialize};

use super::{
    fault::{RuleFault, RuleFaults},
    name::{DESCRIPTION_UNITS_MAX, Description, DescriptionTooLong, NotARuleName, RuleName},
    place::Places,
    port::Ports,
    read,
    word::{Access, Direction, NotAWord, PRIORITY_MAX, PRIORITY_MIN, Priority, Protocol, Side},
};

/// A rule as it is sent: texts, of which any may be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleDraft {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its number.
    pub priority: i64,
    /// `Inbound` or `Outbound`.
    pub direction: String,
    /// `Allow` or `Deny`.
    pub access: String,
    /// `Tcp`, `Udp`, `Icmp`, `Esp`, `Ah` or `*`.
    pub protocol: String,
    /// Where flows come from: `*`, a tag, addresses and prefixes, or application security groups' ids.
    pub sources: Vec<String>,
    /// The ports they come from: `*`, or ports and ranges.
    pub source_ports: Vec<String>,
    /// Where they go to.
    pub destinations: Vec<String>,
    /// The ports they go to.
    pub destination_ports: Vec<String>,
}

/// A security rule. One that exists is right by itself; whether it fits others says its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleDraft", into = "RuleDraft")]
pub struct SecurityRule {
    // INVARIANT: the prefixes of both sides are of one family.
    name: RuleName,
    description: Option<Description>,
    priority: Priority,
    direction: Direction,
    access: Access,
    protocol: Protocol,
    sources: Places,
    source_ports: Ports,
    destinations: Places,
    destination_ports: Ports,
}

impl SecurityRule {
    /// The rule that a draft means.
    ///
    /// # Errors
    /// Everything that is wrong with the draft, in the order of its fields.
    pub fn new(draft: &RuleDraft) -> Result<SecurityRule, RuleFaults> {
        let mut faults = Vec::new();
        let name = keep(name(&draft.name), &mut faults);
        let description = draft.description.as_deref().map(description).transpose();
        let description = keep(description, &mut faults);
        let priority = keep(priority(draft.priority), &mut faults);
        let direction = keep(direction(&draft.direction), &mut faults);
        let access = keep(access(&draft.access), &mut faults);
        let protocol = keep(protocol(&draft.protocol), &mut faults);
        let sources = read::places(Side::Source, &draft.sources, &mut faults);
        let source_ports = read::ports(Side::Source, &draft.source_ports, &mut faults);
        let destinations = read::places(Side::Destination, &draft.destinations, &mut faults);
        let destination_ports =
            read::ports(Side::Destination, &draft.destination_ports, &mut faults);
        if let (Some(sources), Some(destinations)) = (&sources, &destinations) {
            faults.extend(read::one_family(sources.prefixes(), destinations.prefixes()));
        }
        let rule = (|| {
            Some(SecurityRule {
                name: name?,
                description: description?,
                priority: priority?,
                direction: direction?,
                access: access?,
                protocol: protocol?,
                sources: sources?,
                source_ports: source_ports?,
                destinations: destinations?,
                destination_ports: destination_ports?,
            })
        })();
        match rule {
            Some(rule) if faults.is_empty() => Ok(rule),
            Some(_) | None => Err(RuleFaults(faults)),
        }
    }

    /// The rule as it would be sent.
    pub fn draft(&self) -> RuleDraft {
        RuleDraft {
            name: self.name.to_string(),
            description: self.description.as_ref().map(|text| text.as_str().to_owned()),
            priority: i64::from(self.priority.number()),
            direction: self.direction.as_str().to_owned(),
            access: self.access.as_str().to_owned(),
            protocol: self.protocol.as_str().to_owned(),
            sources: self.sources.texts(),
            source_ports: self.source_ports.texts(),
            destinations: self.destinations.texts(),
            destination_ports: self.destination_ports.texts(),
        }
    }

    /// Whether another says the same with the same number: names, descriptions, the order of places and ports
    /// and how they are written aside.
    pub fn means_the_same(&self, other: &SecurityRule) -> bool {
        let same = |side| {
            let [one, two] = [self, other].map(|rule| (rule.places(side), rule.ports(side)));
            one.0.same_as(two.0) && one.1.same_as(two.1)
        };
        (self.priority, self.direction, self.access, self.protocol)
            == (other.priority, other.direction, other.access, other.protocol)
            && same(Side::Source)
            && same(Side::Destination)
    }

    /// Its name, unique in its group.
    pub fn name(&self) -> &RuleName {
        &self.name
    }

    /// What it is for.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// Its number, unique in its group and direction.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Which way the flows go.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What becomes of them.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Their protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The places of one side.
    pub fn places(&self, side: Side) -> &Places {
        match side {
            Side::Source => &self.sources,
            Side::Destination => &self.destinations,
        }
    }

    /// The ports of one side.
    pub fn ports(&self, side: Side) -> &Ports {
        match side {
            Side::Source => &self.source_ports,
            Side::Destination => &self.destination_ports,
        }
    }

    /// A rule made here, of parts that are right by themselves: from anywhere and any port.
    ///
    // INVARIANT: with `*` as source the families cannot mix.
    pub(super) fn from_anywhere(
        name: RuleName,
        priority: Priority,
        (direction, access, protocol): (Direction, Access, Protocol),
        (destinations, destination_ports): (Places, Ports),
    ) -> SecurityRule {
        SecurityRule {
            name,
            description: None,
            priority,
            direction,
            access,
            protocol,
            sources: Places::Any,
            source_ports: Ports::Any,
            destinations,
            destination_ports,
        }
    }

    /// The same with another description.
    #[must_use]
    pub fn described(self, description: Description) -> SecurityRule {
        SecurityRule { description: Some(description), ..self }
    }

    // INVARIANT: the caller's sources are of the family of the destinations, or neither are prefixes.
    pub(super) fn with_sources(self, sources: Places) -> SecurityRule {
        SecurityRule { sources, ..self }
    }
}

impl TryFrom<RuleDraft> for SecurityRule {
    type Error = String;

    fn try_from(draft: RuleDraft) -> Result<SecurityRule, String> {
        SecurityRule::new(&draft).map_err(|RuleFaults(faults)| format!("no rule: {faults:?}"))
    }
}

impl From<SecurityRule> for RuleDraft {
    fn from(rule: SecurityRule) -> RuleDraft {
        rule.draft()
    }
}

fn keep<T>(read: Result<T, RuleFault>, faults: &mut Vec<RuleFault>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn name(value: &str) -> Result<RuleName, RuleFault> {
    value.parse().map_err(|NotARuleName| RuleFault::Name { value: value.to_owned() })
}

fn description(value: &str) -> Result<Description, RuleFault> {
    value.parse().map_err(|DescriptionTooLong { units }| RuleFault::Description {
        units,
        most: DESCRIPTION_UNITS_MAX,
    })
}

fn priority(value: i64) -> Result<Priority, RuleFault> {
    let (least, most) = (PRIORITY_MIN, PRIORITY_MAX);
    let own = u16::try_from(value).ok().and_then(Priority::own);
    own.ok_or(RuleFault::Priority { value, least, most })
}

fn direction(value: &str) -> Result<Direction, RuleFault> {
    value.parse().map_err(|NotAWord| RuleFault::Direction { value: value.to_owned() })
}

fn access(value: &str) -> Result<Access, RuleFault> {
    value.parse().map_err(|NotAWord| RuleFault::Access { value: value.to_owned() })
}

fn protocol(value: &str) -> Result<Protocol, RuleFault> {
    value.parse().map_err(|NotAWord| RuleFault::Protocol { value: value.to_owned() })
}
