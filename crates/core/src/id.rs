//! What things are called: Azure's resource ids, compared without case, kept as they were written.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest name of a resource or resource group, in characters (Azure's for resource groups).
pub const NAME_CHARS_MAX: usize = 90;

/// The name of a resource or group: ASCII letters, digits and `-._()`, compared without case.
///
/// It neither begins with `-` (a name is pasted into commands) nor ends with `.` (Azure's rule), and no
/// look-alike letter, control or direction character fits in.
///
/// Names are compared and copied many times for each command, so copies share the text, and what is
/// compared is made once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    written: Arc<str>,
    /// In lower case; none where it was written so.
    folded: Option<Arc<str>>,
}

/// The text is no name: see [`Name`] for what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAName;

impl Name {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// As it is compared: in lower case.
    pub fn folded(&self) -> &str {
        self.compared()
    }

    fn compared(&self) -> &Arc<str> {
        self.folded.as_ref().unwrap_or(&self.written)
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Name, NotAName> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._()".contains(c);
        let ok = (1..=NAME_CHARS_MAX).contains(&text.len())
            && text.chars().all(fits)
            && !text.starts_with(['-', '.'])
            && !text.ends_with('.');
        if !ok {
            return Err(NotAName);
        }
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let folded = upper.then(|| text.to_ascii_lowercase().into());
        Ok(Name { written: text.into(), folded })
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Name, &'static str> {
        text.parse().map_err(|NotAName| "not a name")
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.as_str().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        let (one, other) = (self.compared(), other.compared());
        Arc::ptr_eq(one, other) || one == other
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        let (one, other) = (self.compared(), other.compared());
        if Arc::ptr_eq(one, other) { Ordering::Equal } else { one.cmp(other) }
    }
}

/// A region, or a site of one's own: compared as Azure does, `West Europe` being `westeurope`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location(Arc<str>);

impl Location {
    /// In lower case, without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Location {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Location, NotAName> {
        let name: Name = text.replace(' ', "").parse()?;
        Ok(Location(name.folded().into()))
    }
}

impl TryFrom<String> for Location {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Location, &'static str> {
        text.parse().map_err(|NotAName| "not a location")
    }
}

impl From<Location> for String {
    fn from(location: Location) -> String {
        location.as_str().to_owned()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The subscription that everything of an installation belongs to.
pub type SubscriptionId = Uuid;

/// A VM's resource id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmId {
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its resource group.
    pub group: Name,
    /// Its name.
    pub name: Name,
}

/// A JIT policy's resource id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyId {
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its resource group.
    pub group: Name,
    /// Its location.
    pub location: Location,
    /// Its name; the portal's is `default`.
    pub name: Name,
}

/// The text is no resource id of that type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAResourceId;

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VmId { subscription, group, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{group}\
             /providers/Microsoft.Compute/virtualMachines/{name}"
        )
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyId { subscription, group, location, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{group}\
             /providers/Microsoft.Security/locations/{location}/jitNetworkAccessPolicies/{name}"
        )
    }
}

impl FromStr for VmId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<VmId, NotAResourceId> {
        let segments =
            ["subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.Compute"];
        let [subscription, group, name] =
            wildcards(text, segments.into_iter().chain(["virtualMachines", "*"]))?;
        Ok(VmId {
            subscription: subscription.parse().map_err(|_| NotAResourceId)?,
            group: group.parse().map_err(|_| NotAResourceId)?,
            name: name.parse().map_err(|_| NotAResourceId)?,
        })
    }
}

impl FromStr for PolicyId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<PolicyId, NotAResourceId> {
        let segments =
            ["subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.Security"];
        let [subscription, group, location, name] = wildcards(
            text,
            segments.into_iter().chain(["locations", "*", "jitNetworkAccessPolicies", "*"]),
        )?;
        Ok(PolicyId {
            subscription: subscription.parse().map_err(|_| NotAResourceId)?,
            group: group.parse().map_err(|_| NotAResourceId)?,
            location: location.parse().map_err(|_| NotAResourceId)?,
            name: name.parse().map_err(|_| NotAResourceId)?,
        })
    }
}

/// The segments of `text` that stand where `pattern` has `*`, if the others agree without case.
pub(crate) fn wildcards<const N: usize>(
    text: &str,
    pattern: impl Iterator<Item = &'static str>,
) -> Result<[&str; N], NotAResourceId> {
    let mut segments = text.strip_prefix('/').ok_or(NotAResourceId)?.split('/');
    let mut found = [""; N];
    let mut next = found.iter_mut();
    for expected in pattern {
        let segment = segments.next().ok_or(NotAResourceId)?;
        if expected == "*" {
            *next.next().ok_or(NotAResourceId)? = segment;
        } else if !segment.eq_ignore_ascii_case(expected) {
            return Err(NotAResourceId);
        }
    }
    if segments.next().is_some() { Err(NotAResourceId) } else { Ok(found) }
}

macro_rules! text_both_ways {
    ($($id:ty),*) => {$(
        impl TryFrom<String> for $id {
            type Error = &'static str;

            fn try_from(text: String) -> Result<$id, &'static str> {
                text.parse().map_err(|NotAResourceId| "not a resource id of this type")
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.to_string()
            }
        }
    )*};
}

text_both_ways!(VmId, PolicyId);

/// Which registration of a VM's name: a name registered anew inherits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmInstance(pub Uuid);

/// How many letters and digits a request's id has.
pub const REQUEST_ID_CHARS: usize = 6;

/// A request's id: six lower-case letters and digits, short enough to say on the phone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId([u8; REQUEST_ID_CHARS]);

/// The letters of a request's id.
const ID_LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl RequestId {
    /// Behind which no other comes, in the order of ids.
    pub const LAST: RequestId = RequestId([b'z'; REQUEST_ID_CHARS]);

    /// The id that a random number stands for; of each 36^6 (2.2 billion) numbers all differ.
    pub fn mint(mut random: u64) -> RequestId {
        let mut id = [0; REQUEST_ID_CHARS];
        for letter in &mut id {
            *letter = ID_LETTERS[(random % 36) as usize];
            random /= 36;
        }
        RequestId(id)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RequestId {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<RequestId, NotAName> {
        let lower = text.to_ascii_lowercase();
        let id: [u8; REQUEST_ID_CHARS] = lower.as_bytes().try_into().map_err(|_| NotAName)?;
        if id.iter().all(|letter| ID_LETTERS.contains(letter)) {
            Ok(RequestId(id))
        } else {
            Err(NotAName)
        }
    }
}

impl TryFrom<String> for RequestId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<RequestId, &'static str> {
        text.parse().map_err(|NotAName| "not a request's id")
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> String {
        id.as_str().to_owned()
    }
}
