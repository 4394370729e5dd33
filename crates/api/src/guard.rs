//! The guard's protocol: frames over a stream, each a big-endian `u32` length and that many bytes in
//! [postcard](https://postcard.jamesmunns.com)'s format.
//!
//! The server asks, the guard answers each question once, with the number of the question, in order; and
//! it may say [`FromGuard::Changed`] at any time.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use hourgate_core::{
    outlook::{self, Outlook},
    plan::{Desired, Observed},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The version of this protocol. Both sides say theirs first; who cannot speak the other's hangs up.
pub const PROTOCOL: u32 = 3;

/// The longest frame: 100,000 openings are about 8 MiB.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The bytes are no frame, or what is to be said has no such form.
#[derive(Debug, thiserror::Error)]
#[error("not understood: {0}")]
pub struct NotAFrame(String);

/// A frame's bytes, with its length before them.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, NotAFrame> {
    let bytes = postcard::to_extend(frame, vec![0; 4]);
    let mut bytes = bytes.map_err(|error| NotAFrame(error.to_string()))?;
    let length = bytes.len() - 4;
    let prefix = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX);
    let too_long =
        || NotAFrame(format!("a frame of {length} bytes is longer than {FRAME_BYTES_MAX}"));
    bytes[..4].copy_from_slice(&prefix.ok_or_else(too_long)?.to_be_bytes());
    Ok(bytes)
}

/// What the bytes after a length say, to the last of them.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotAFrame> {
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        Ok(_) => Err(NotAFrame("something stands after its end".to_owned())),
        Err(error) => Err(NotAFrame(error.to_string())),
    }
}

/// What a server says to a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuard {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The installation the server belongs to: a guard obeys one.
        installation: Uuid,
    },
    /// Make it so.
    Converge {
        /// Number of the question.
        id: u64,
        /// What must hold.
        desired: Arc<Desired>,
    },
    /// What stands?
    Observe {
        /// Number of the question.
        id: u64,
    },
    /// What do you see of the way there, and who else stands in it?
    Look {
        /// Number of the question.
        id: u64,
        /// Where, and for which ports.
        at: outlook::Asked,
    },
}

/// What a guard says to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGuard {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// What enforces: `nftables`, or `fake`.
        kind: String,
        /// The guard's own version.
        version: String,
    },
    /// What stands, for the addresses asked about.
    Observed {
        /// The question's number.
        id: u64,
        /// What stands.
        observed: Observed,
    },
    /// What it sees of the addresses asked about.
    Looked {
        /// The question's number.
        id: u64,
        /// Each of them.
        outlooks: BTreeMap<IpAddr, Outlook>,
    },
    /// The guard holds this for something no honest server asks, and changed nothing.
    Refused {
        /// The question's number.
        id: u64,
        /// Why, for the log.
        reason: String,
    },
    /// The kernel failed; what stands is not known.
    Failed {
        /// The question's number.
        id: u64,
        /// What it said.
        reason: String,
    },
    /// Something changed without being asked for: look again.
    Changed {
        /// What was seen, for the log.
        what: String,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use hourgate_core::{
        network::{Opening, Port},
        plan::Coverage,
        time::{BootTime, Deadline},
    };

    use super::*;

    fn converge(openings: u32) -> ToGuard {
        let port = Port::new(22).unwrap();
        let boot = BootTime { boot: Uuid::from_u128(1), nanos: 1 << 60 };
        let wall = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        let opening = |n: u32| {
            let source = std::net::Ipv4Addr::from(0xC633_0000 + n);
            Opening::new(std::net::IpAddr::V4(source).into(), [10, 0, 0, 4].into(), port).unwrap()
        };
        let until = Deadline { wall, boot: Some(boot) };
        let desired = Desired {
            coverage: Coverage::Only(BTreeSet::from([[10, 0, 0, 4].into()])),
            locks: BTreeMap::new(),
            released: BTreeSet::new(),
            openings: (0..openings).map(|n| (opening(n), until)).collect(),
            standing: BTreeMap::new(),
            screens: BTreeMap::new(),
            translations: Default::default(),
        };
        ToGuard::Converge { id: 7, desired: desired.into() }
    }

    #[test]
    fn what_is_said_is_understood_to_the_last_byte() {
        let said = converge(2);
        let frame = encode(&said).unwrap();
        let length = u32::from_be_bytes(frame[..4].try_into().unwrap());
        assert_eq!(length as usize, frame.len() - 4);
        assert_eq!(decode::<ToGuard>(&frame[4..]).unwrap(), said);
        for cut in 4..frame.len() {
            assert!(decode::<ToGuard>(&frame[4..cut]).is_err(), "cut off at {cut}");
        }
        let longer = [&frame[4..], b"\0"].concat();
        let error = decode::<ToGuard>(&longer).unwrap_err().to_string();
        assert_eq!(error, "not understood: something stands after its end");
    }

    #[test]
    fn a_frame_has_a_longest() {
        let large = encode(&converge(100_000)).unwrap();
        assert!((7_000_000..9_000_000).contains(&large.len()), "{}", large.len());
        let reason = "x".repeat(FRAME_BYTES_MAX);
        assert!(encode(&FromGuard::Failed { id: 1, reason }).is_err());
    }
}
