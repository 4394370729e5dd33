//! A version as an ETag, and what a caller says of it.

use hourgate_core::{command::Precondition, resource::Resource};

use crate::{
    error::{ArmError, Code},
    text::quoted,
};

/// The version that no resource has: they begin at 1.
const NO_VERSION: u64 = 0;

/// The ETag of a version. It is weak: `requests` and `provisioningState` change without it.
pub fn etag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// The ETag of a resource: which making of its name, and which version, for each making begins at 1.
pub fn resource_etag(resource: &Resource) -> String {
    format!("W/\"{}-{}\"", resource.instance.simple(), resource.version)
}

/// What `If-Match` and `If-None-Match` demand.
///
/// `If-Match` compares weakly, though RFC 9110 says strongly: ARM's resources have weak ETags, and its
/// clients send them back. A tag that we never made matches nothing. What is no tag at all is refused,
/// rather than overlooked: the caller wanted protection.
pub fn precondition(
    if_match: Option<&str>,
    if_none_match: Option<&str>,
) -> Result<Precondition, ArmError> {
    match (if_match.map(str::trim), if_none_match.map(str::trim)) {
        (None, None) => Ok(Precondition::None),
        (None, Some("*")) => Ok(Precondition::Absent),
        (Some("*"), None) => Ok(Precondition::Exists),
        (Some(tag), None) => read(tag).ok_or_else(|| {
            let message = format!(
                "{} is no ETag. One ETag as a GET gave it, or '*', is accepted.",
                quoted(tag)
            );
            ArmError::new(Code::InvalidParameter, message).at("If-Match")
        }),
        (None, Some(tag)) => {
            let message = format!("{} is not accepted: only '*' is.", quoted(tag));
            Err(ArmError::new(Code::InvalidParameter, message).at("If-None-Match"))
        }
        (Some(_), Some(_)) => {
            let message = "Send either If-Match or If-None-Match, not both.";
            Err(ArmError::new(Code::InvalidParameter, message).at("If-Match"))
        }
    }
}

fn read(tag: &str) -> Option<Precondition> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('"') {
        return None;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let making = inner.split_once('-').and_then(|(instance, version)| {
        let hex = instance.len() == 32 && instance.bytes().all(|byte| byte.is_ascii_hexdigit());
        let instance = instance.parse().ok().filter(|_| hex)?;
        Some(Precondition::Making { instance, version: number(version)? })
    });
    Some(making.unwrap_or_else(|| Precondition::Version(number(inner).unwrap_or(NO_VERSION))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_sent() {
        for (sent, read) in [
            ("*", Precondition::Exists),
            ("W/\"3\"", Precondition::Version(3)),
            (" \"3\" ", Precondition::Version(3)),
            (
                "W/\"00000000000000000000000000000007-3\"",
                Precondition::Making { instance: uuid::Uuid::from_u128(7), version: 3 },
            ),
            ("\"00000000-0000-0000-0000-000000000007-3\"", Precondition::Version(NO_VERSION)),
            ("\"00000000000000000000000000000007-\"", Precondition::Version(NO_VERSION)),
            ("\"0b9e\"", Precondition::Version(NO_VERSION)),
            ("\"+3\"", Precondition::Version(NO_VERSION)),
            ("\"99999999999999999999\"", Precondition::Version(NO_VERSION)),
        ] {
            assert_eq!(precondition(Some(sent), None), Ok(read), "{sent}");
        }
        assert_eq!(precondition(None, None), Ok(Precondition::None));
        assert_eq!(precondition(None, Some("*")), Ok(Precondition::Absent));
        assert_eq!(precondition(Some(&etag(7)), None), Ok(Precondition::Version(7)));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (if_match, if_none_match) in [
            (Some("3"), None),
            (Some("\"1\", \"2\""), None),
            (Some(""), None),
            (None, Some("\"1\"")),
            (Some("*"), Some("*")),
        ] {
            let code = precondition(if_match, if_none_match).map_err(|error| error.code);
            assert_eq!(code, Err(Code::InvalidParameter), "{if_match:?} {if_none_match:?}");
        }
    }
}
