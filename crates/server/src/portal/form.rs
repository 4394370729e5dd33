//! What binds a form to the browser that it was shown to, and to whoever was signed in there.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::mint::{self, NoRandomness};

/// A key that lasts as long as the server: a form that was shown before it started is shown again.
pub(super) struct FormKey([u8; 32]);

impl FormKey {
    pub(super) fn mint() -> Result<FormKey, NoRandomness> {
        mint::key().map(FormKey)
    }

    /// What a form holds for a browser's cookie and session.
    pub(super) fn token(&self, cookie: &str, session: Option<Uuid>) -> String {
        match self.mac(cookie, session) {
            Some(mac) => hex::encode(mac.finalize().into_bytes()),
            None => String::new(),
        }
    }

    /// Whether a form holds it. Compared in constant time.
    pub(super) fn fits(&self, token: &str, cookie: &str, session: Option<Uuid>) -> bool {
        let mut sent = [0; 32];
        let is_hex = hex::decode_to_slice(token, &mut sent).is_ok();
        self.mac(cookie, session).is_some_and(|mac| is_hex && mac.verify_slice(&sent).is_ok())
    }

    fn mac(&self, cookie: &str, session: Option<Uuid>) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(b"hourgate form\0");
        mac.update(session.unwrap_or_default().as_bytes());
        mac.update(cookie.as_bytes());
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_one_browsers_and_one_sessions() {
        let key = FormKey([1; 32]);
        let token = key.token("cookie", Some(Uuid::from_u128(1)));
        assert!(key.fits(&token, "cookie", Some(Uuid::from_u128(1))));
        assert!(!key.fits(&token, "other", Some(Uuid::from_u128(1))));
        assert!(!key.fits(&token, "cookie", Some(Uuid::from_u128(2))));
        assert!(!key.fits(&token, "cookie", None));
        assert!(!key.fits("", "cookie", None));
        assert!(!key.fits(&token[..62], "cookie", Some(Uuid::from_u128(1))));
        assert!(!FormKey([2; 32]).fits(&token, "cookie", Some(Uuid::from_u128(1))));
    }
}
