//! Codes for whoever lost their second factor: shown once, kept as digests, each good for once.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::mint::{self, NoRandomness};

/// How many are made at once.
pub(crate) const CODES: usize = 10;
/// Length of one, in bytes: 80 bits cannot be tried through, so that a quick digest hides them well enough.
const CODE_BYTES: usize = 10;
/// How many letters are written together.
const GROUP: usize = 4;

/// New ones, as people see them.
pub(crate) fn fresh() -> Result<Vec<String>, NoRandomness> {
    (0..CODES).map(|_| Ok(written(&mint::key::<CODE_BYTES>()?))).collect()
}

fn written(bytes: &[u8; CODE_BYTES]) -> String {
    let text = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    let groups = text.as_bytes().chunks(GROUP).map_while(|group| str::from_utf8(group).ok());
    groups.collect::<Vec<_>>().join("-")
}

/// As a code is kept: a digest that is its account's alone. None for what cannot be one. Case, spaces and
/// hyphens do not count, nor whether somebody read 0 for o or 1 for i.
pub(crate) fn digest(object: Uuid, typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| match c {
        '0' => 'o',
        '1' => 'i',
        c => c.to_ascii_lowercase(),
    });
    // Bounded before it is collected: somebody sent it.
    let code: String = letters.take(2 * CODE_BYTES).collect();
    let decoded = BASE32_NOPAD.decode(code.to_ascii_uppercase().as_bytes()).ok()?;
    if decoded.len() != CODE_BYTES {
        return None;
    }
    let digest = Sha256::new().chain_update(b"hourgate recovery code\0");
    Some(hex::encode(digest.chain_update(object.as_bytes()).chain_update(decoded).finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let code = written(&[0x72, 0xe8, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(code, "olua-caqd-aqcq-mbyi");
        let kept = digest(ann, &code).expect("a code");
        for typed in ["OLUA-CAQD-AQCQ-MBYI", "olua caqd aqcq mbyi", "0luacaqdaqcqmby1"] {
            assert_eq!(digest(ann, typed), Some(kept.clone()), "{typed}");
        }
        assert_ne!(digest(bob, &code), Some(kept), "another's is another");
        for bad in [
            "",
            "olua-caqd-aqcq",
            "olua-caqd-aqcq-mbyi-aaaa",
            "ülua-caqd-aqcq-mbyi",
            "8888888888888888",
        ] {
            assert_eq!(digest(ann, bad), None, "{bad}");
        }
        let fresh = fresh().expect("randomness");
        assert_eq!(std::collections::BTreeSet::from_iter(&fresh).len(), CODES);
        assert!(fresh.iter().all(|code| digest(ann, code).is_some()));
    }
}
