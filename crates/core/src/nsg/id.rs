//! Resource ids of security groups and of application security groups, compared without case.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::{Name, NotAResourceId, SubscriptionId, wildcards};

/// What both kinds of id are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Path {
    subscription: SubscriptionId,
    group: Name,
    name: Name,
}

impl Path {
    fn parts(&self) -> (SubscriptionId, Name, Name) {
        (self.subscription, self.group.clone(), self.name.clone())
    }

    fn read(text: &str, kind: &'static str) -> Result<Path, NotAResourceId> {
        let segments =
            ["subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.Network"];
        let [subscription, group, name] = wildcards(text, segments.into_iter().chain([kind, "*"]))?;
        Ok(Path {
            subscription: subscription.parse().map_err(|_| NotAResourceId)?,
            group: group.parse().map_err(|_| NotAResourceId)?,
            name: name.parse().map_err(|_| NotAResourceId)?,
        })
    }

    fn write(&self, kind: &'static str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Path { subscription, group, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{group}\
             /providers/Microsoft.Network/{kind}/{name}"
        )
    }
}

const GROUPS: &str = "networkSecurityGroups";
const ASGS: &str = "applicationSecurityGroups";

/// The resource id of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(Path);

impl GroupId {
    pub(crate) fn parts(&self) -> (SubscriptionId, Name, Name) {
        self.0.parts()
    }

    pub(crate) fn of_parts(subscription: SubscriptionId, group: Name, name: Name) -> GroupId {
        GroupId(Path { subscription, group, name })
    }

    /// The group's own name.
    pub fn name(&self) -> &Name {
        &self.0.name
    }
}

impl FromStr for GroupId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<GroupId, NotAResourceId> {
        Path::read(text, GROUPS).map(GroupId)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(GROUPS, f)
    }
}

impl TryFrom<String> for GroupId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<GroupId, &'static str> {
        text.parse().map_err(|NotAResourceId| "not a security group's id")
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> String {
        id.to_string()
    }
}

/// The resource id of an application security group: machines that share a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AsgId(Path);

impl AsgId {
    pub(crate) fn parts(&self) -> (SubscriptionId, Name, Name) {
        self.0.parts()
    }

    pub(crate) fn of_parts(subscription: SubscriptionId, group: Name, name: Name) -> AsgId {
        AsgId(Path { subscription, group, name })
    }
}

impl FromStr for AsgId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<AsgId, NotAResourceId> {
        Path::read(text, ASGS).map(AsgId)
    }
}

impl fmt::Display for AsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(ASGS, f)
    }
}

impl TryFrom<String> for AsgId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<AsgId, &'static str> {
        text.parse().map_err(|NotAResourceId| "not an application security group's id")
    }
}

impl From<AsgId> for String {
    fn from(id: AsgId) -> String {
        id.to_string()
    }
}
