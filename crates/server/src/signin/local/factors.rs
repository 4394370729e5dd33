//! What an account has besides its password is set up, listed and removed.

use std::time::Duration;

use hourgate_api::text::is_plain;
use hourgate_core::{
    event::Note,
    time::{Now, Timestamp, later},
};
use hourgate_store::{Credential, CredentialChange, CredentialKind, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    accounts::{AccountFault, Accounts, Occasion},
    passkey::{NewPasskey, PasskeyFault, challenge::Purpose},
    prove::PasskeyRow,
    recovery,
    totp::{SECRET_BYTES, Secret, Step},
    vault::{body, read},
};
use crate::mint;

/// How many passkeys an account has: a few devices, and one in a drawer.
pub(crate) const PASSKEYS_MAX: usize = 16;
/// Longest name of a passkey, in characters.
pub(crate) const PASSKEY_NAME_CHARS_MAX: usize = 64;
/// How long somebody may take to scan a picture and type the first code.
const PROPOSAL_LIFE: Duration = Duration::from_mins(15);

/// A secret that somebody's app is to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// What a picture shows.
    pub(crate) uri: String,
    /// What is typed where there is no camera.
    pub(crate) typed: String,
    /// The secret and its end, sealed: the page holds it until the first code comes with it, and nothing is
    /// remembered here of those who never send one.
    pub(crate) sealed: String,
}

/// What an account has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factors {
    /// Since when it has an authenticator app.
    pub(crate) totp: Option<Timestamp>,
    /// Its passkeys, oldest first.
    pub(crate) passkeys: Vec<Passkey>,
    /// How many recovery codes are left.
    pub(crate) recovery_codes: usize,
}

/// A passkey as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passkey {
    /// Its id, in base64.
    pub(crate) id: String,
    /// What its owner calls it.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// When it was last used.
    pub(crate) used: Option<Timestamp>,
}

/// What the row of an app's secret holds.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TotpRow {
    /// Sealed.
    pub(super) secret: String,
    /// The last code that was used.
    pub(super) last: Option<Step>,
    pub(super) made: Timestamp,
}

impl TotpRow {
    pub(super) fn credential(&self, object: Uuid) -> Credential {
        Credential {
            kind: CredentialKind::Totp,
            id: object.to_string(),
            object,
            body: body(self),
            until: None,
        }
    }
}

impl Accounts {
    /// What an account has.
    pub(crate) fn factors(&self, object: Uuid) -> Factors {
        let passkey = |row: &Credential| {
            let PasskeyRow { name, made, used, .. } = read(row)?;
            Some(Passkey { id: row.id.clone(), name, made, used })
        };
        let rows = self.vault.of(object, CredentialKind::Passkey);
        let mut passkeys: Vec<Passkey> = rows.iter().filter_map(|row| passkey(row)).collect();
        passkeys.sort_by_key(|passkey| passkey.made);
        let totp = self.vault.get(CredentialKind::Totp, &object.to_string());
        Factors {
            totp: totp.and_then(|row| read::<TotpRow>(&row)).map(|row| row.made),
            passkeys,
            recovery_codes: self.vault.of(object, CredentialKind::RecoveryCode).len(),
        }
    }

    pub(super) fn totp_of(&self, object: Uuid) -> Option<(TotpRow, Secret)> {
        let id = object.to_string();
        let row = self.vault.get(CredentialKind::Totp, &id)?;
        let row: TotpRow = read(&row)?;
        let secret = match self.seal.unseal(CredentialKind::Totp, &id, &row.secret) {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(%object, %error, "the secret of an authenticator app cannot be read");
                return None;
            }
        };
        Some((row, Secret(secret.try_into().ok()?)))
    }

    /// A new secret for somebody's app.
    pub(crate) fn propose_totp(&self, object: Uuid, now: Now) -> Result<Proposal, AccountFault> {
        let account = self.get(object).ok_or(AccountFault::NotFound)?;
        let secret = Secret(mint::key()?);
        let until = later(now.wall, PROPOSAL_LIFE).as_second().to_be_bytes();
        let plain = [&secret.0[..], &until].concat();
        Ok(Proposal {
            uri: secret.uri("Hourgate", account.name.as_str()),
            typed: secret.typed(),
            sealed: self.seal.seal(CredentialKind::Totp, &proposed(object), &plain)?,
        })
    }

    /// Takes the proposal over as the account's, in place of the one it had, once its app shows the right code.
    pub(crate) async fn confirm_totp<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        sealed: &str,
        typed: &str,
    ) -> Result<(), AccountFault> {
        let plain = self.seal.unseal(CredentialKind::Totp, &proposed(object), sealed)?;
        let (secret, until) = plain.split_at_checked(SECRET_BYTES).ok_or(AccountFault::Code)?;
        let until = until.try_into().map(i64::from_be_bytes).map_err(|_| AccountFault::Code)?;
        let secret = Secret(secret.try_into().map_err(|_| AccountFault::Code)?);
        if on.now.wall.as_second() >= until {
            return Err(AccountFault::Code);
        }
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        // The same proposal once more takes no code a second time.
        let last =
            self.totp_of(object).filter(|(_, own)| *own == secret).and_then(|(row, _)| row.last);
        let step = secret.check(typed, last, on.now.wall).ok_or(AccountFault::Code)?;
        let sealed = self.seal.seal(CredentialKind::Totp, &object.to_string(), &secret.0)?;
        let row = TotpRow { secret: sealed, last: Some(step), made: on.now.wall };
        let changes = vec![CredentialChange::Put(row.credential(object))];
        let note = made(object, CredentialKind::Totp, "");
        Ok(hold.keep(on.store, on.origin, changes, note).await?)
    }

    /// New recovery codes in place of those that are left. They are shown once.
    pub(crate) async fn new_recovery_codes<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
    ) -> Result<Vec<String>, AccountFault> {
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        let codes = recovery::fresh()?;
        let kind = CredentialKind::RecoveryCode;
        let mut changes = self.vault.removal_of(object, |of| of == kind);
        let ids = codes.iter().filter_map(|code| recovery::digest(object, code));
        changes.extend(ids.map(|id| {
            let body = String::new();
            CredentialChange::Put(Credential { kind, id, object, body, until: None })
        }));
        hold.keep(on.store, on.origin, changes, made(object, kind, "")).await?;
        Ok(codes)
    }

    /// What a browser is asked to make a passkey for an account. None where the server has no name for them.
    pub(crate) fn new_passkey_options(
        &self,
        object: Uuid,
        now: Now,
    ) -> Result<Option<Value>, AccountFault> {
        let account = self.get(object).ok_or(AccountFault::NotFound)?;
        let Some(party) = &self.party else { return Ok(None) };
        let challenge = self.challenges.make(Purpose::Register(object), now.boot.nanos)?;
        let names = (account.name.as_str(), account.display.as_str());
        let others = self.passkeys_of(object);
        Ok(Some(party.creation_options(&challenge, object, names, &others)))
    }

    /// Takes over what a browser sent of a new passkey.
    pub(crate) async fn add_passkey<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        name: &str,
        sent: &[u8],
    ) -> Result<(), AccountFault> {
        let party = self.party.as_ref().ok_or(PasskeyFault::OtherSite)?;
        let sent: NewPasskey =
            serde_json::from_slice(sent).map_err(|_| PasskeyFault::Unreadable)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > PASSKEY_NAME_CHARS_MAX || !is_plain(name) {
            return Err(AccountFault::PasskeyName);
        }
        let now = on.now.boot.nanos;
        let purpose = Purpose::Register(object);
        let new = party.register(&sent, |text| self.challenges.check(text, purpose, now))?;
        if !new.user_verified {
            return Err(PasskeyFault::NotVerified.into());
        }
        let kind = CredentialKind::Passkey;
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        if self.vault.of(object, kind).len() >= PASSKEYS_MAX {
            return Err(AccountFault::Enough);
        }
        // An id that somebody has already: whoever sends it would take their place (section 7.1, last steps).
        if self.vault.get(kind, &new.id).is_some() {
            return Err(PasskeyFault::Unknown.into());
        }
        self.challenges.spend(new.challenge, now).map_err(PasskeyFault::from)?;
        let row = PasskeyRow {
            key: new.key,
            counter: new.counter,
            backup_eligible: new.backup_eligible,
            name: name.to_owned(),
            made: on.now.wall,
            used: None,
        };
        let note = made(object, kind, &new.id);
        let row = Credential { kind, id: new.id, object, body: body(&row), until: None };
        Ok(hold.keep(on.store, on.origin, vec![CredentialChange::Put(row)], note).await?)
    }

    /// Removes a second factor: the app (its id is empty), or one passkey. Recovery codes go with the last one.
    pub(crate) async fn remove_factor<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        kind: CredentialKind,
        id: &str,
    ) -> Result<(), AccountFault> {
        let hold = self.vault.hold(object).await;
        let own = object.to_string();
        let row_id = match kind {
            CredentialKind::Totp => own.as_str(),
            CredentialKind::Passkey => id,
            CredentialKind::Account
            | CredentialKind::Password
            | CredentialKind::RecoveryCode
            | CredentialKind::Link
            | CredentialKind::Service
            | CredentialKind::ServiceSecret
            | CredentialKind::ServiceKey
            | CredentialKind::FederatedTrust
            | CredentialKind::SpentAssertion
            | CredentialKind::Place
            | CredentialKind::Session
            | CredentialKind::RefreshFamily
            | CredentialKind::SigningKey => return Err(AccountFault::NotFound),
        };
        let found = self.vault.get(kind, row_id).filter(|row| row.object == object);
        found.ok_or(AccountFault::NotFound)?;
        let mut changes = vec![CredentialChange::Remove { kind, id: row_id.to_owned() }];
        let factors = self.vault.of(object, CredentialKind::Totp).len()
            + self.vault.of(object, CredentialKind::Passkey).len();
        if factors == 1 {
            let codes = |kind| kind == CredentialKind::RecoveryCode;
            changes.extend(self.vault.removal_of(object, codes));
        }
        let (kind, id) = (kind.to_string(), id.to_owned());
        let note = Note::CredentialRemoved { object, kind, id };
        Ok(hold.keep(on.store, on.origin, changes, note).await?)
    }
}

/// The place of a secret that is no account's yet: it does not open as one that is.
fn proposed(object: Uuid) -> String {
    format!("{object}/proposed")
}

pub(super) fn made(object: Uuid, kind: CredentialKind, id: &str) -> Note {
    Note::CredentialMade { object, kind: kind.to_string(), id: id.to_owned() }
}
