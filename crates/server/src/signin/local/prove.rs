//! Somebody proves who they are: by a password, a code of their app, a recovery code, a passkey.
//!
//! What is refused tells nobody why: not whether a name is somebody's, not which part was wrong. Whoever calls
//! this records a refusal, within the bounds that the log has for strangers; what was right is recorded here.

use std::time::Duration;

use hourgate_core::{
    event::Note,
    time::{Now, Timestamp},
};
use hourgate_store::{Credential, CredentialChange, CredentialKind, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    accounts::{Accounts, Occasion, PasswordRow, password_row},
    factors::TotpRow,
    hashing::Compared,
    passkey::{
        Known, PasskeyFault, PublicKey, UsedPasskey,
        challenge::{BadChallenge, Purpose},
    },
    password::Password,
    place, recovery,
    vault::{VaultError, body, read},
};
use crate::{
    mint::NoRandomness,
    signin::guesses::{Account as Tried, Guess, Whence},
};

/// What came of somebody's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    /// It holds.
    Right(T),
    /// It does not. In whose name it was tried is for the log alone.
    Wrong(Option<Uuid>),
    /// It was not looked at: too many were wrong just now.
    Wait(Duration),
    /// It was not looked at: too many are looked at already.
    Busy,
}

/// Somebody whose password was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordRight {
    /// Who.
    pub(crate) object: Uuid,
    /// With what they must prove it besides; nothing where the account has no second factor. Then they are in.
    pub(crate) second: Vec<SecondFactor>,
}

/// What an account has besides its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SecondFactor {
    /// A code of an authenticator app.
    Totp,
    /// A passkey.
    Passkey,
    /// A recovery code.
    RecoveryCode,
}

/// What the row of a passkey holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PasskeyRow {
    pub(super) key: PublicKey,
    pub(super) counter: u32,
    pub(super) backup_eligible: bool,
    pub(super) name: String,
    pub(super) made: Timestamp,
    pub(super) used: Option<Timestamp>,
}

impl Accounts {
    /// Looks at a name and a password. It costs the same whoever has the name.
    pub(crate) async fn password<S: Store>(
        &self,
        on: Occasion<'_, S>,
        name: &str,
        password: &str,
    ) -> Outcome<PasswordRight> {
        let named = name.trim().parse().ok();
        let object = named.as_ref().and_then(|name| self.named(name));
        let tried = Tried::named(named.as_ref().map_or(name, |name| name.as_str()));
        let whence = place::whence(&self.vault, object, on.from, on.now.wall);
        if let Err(wait) = self.guesses.begin(whence, Guess::Password, tried, on.now.boot.nanos) {
            return Outcome::Wait(wait);
        }
        let row: Option<PasswordRow> = object
            .and_then(|object| self.vault.get(CredentialKind::Password, &object.to_string()))
            .and_then(|row| read(&row));
        let typed = Password::typed(password);
        let hash = row.as_ref().map(|row| row.hash.as_str());
        let compared = match self.hashing.compare(on.from, typed.clone(), hash).await {
            Ok(compared) => compared,
            Err(error) => {
                tracing::warn!(%error, "a password was not looked at");
                self.guesses.take_back(whence, Guess::Password, tried);
                return Outcome::Busy;
            }
        };
        match (compared, object, row) {
            (Compared::Right { outdated }, Some(object), Some(row)) => {
                self.guesses.was_right(whence, Guess::Password, tried);
                let typed = typed.filter(|_| outdated);
                self.password_was_right(on, object, row, typed).await
            }
            (Compared::Right { .. } | Compared::Wrong, object, _) => Outcome::Wrong(object),
        }
    }

    /// `renew` is the password, where its hash costs too little by now.
    async fn password_was_right<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        row: PasswordRow,
        renew: Option<Password>,
    ) -> Outcome<PasswordRight> {
        let second = self.second_factors(object);
        let renewed = match renew {
            Some(password) => self.hashing.hash(on.from, password).await.ok(),
            None => None,
        };
        let hold = self.vault.hold(object).await;
        let stands = self.vault.get(CredentialKind::Password, &object.to_string());
        let stands = stands.and_then(|stands| read::<PasswordRow>(&stands));
        if stands.is_none_or(|stands| stands.hash != row.hash) {
            // Replaced or taken while this one was looked at.
            return Outcome::Wrong(Some(object));
        }
        let mut changes = Vec::new();
        if second.is_empty() {
            changes = place::arrived(&self.vault, object, on.from, on.now.wall);
        }
        if let Some(hash) = renewed {
            changes.push(CredentialChange::Put(password_row(object, hash, row.set)));
        }
        let note = right(object, CredentialKind::Password);
        after(
            hold.spend(on.store, on.origin, changes, note).await,
            PasswordRight { object, second },
        )
    }

    /// What an account has besides its password. A recovery code alone is no second factor, only the way back
    /// to one.
    pub(crate) fn second_factors(&self, object: Uuid) -> Vec<SecondFactor> {
        let has = |kind| !self.vault.of(object, kind).is_empty();
        let (totp, passkey) = (has(CredentialKind::Totp), has(CredentialKind::Passkey));
        let recovery = (totp || passkey) && has(CredentialKind::RecoveryCode);
        [
            (totp, SecondFactor::Totp),
            (passkey && self.party.is_some(), SecondFactor::Passkey),
            (recovery, SecondFactor::RecoveryCode),
        ]
        .into_iter()
        .filter_map(|(has, factor)| has.then_some(factor))
        .collect()
    }

    /// Looks at a code of the app of somebody whose password was right. A code is good for once.
    pub(crate) async fn totp<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        typed: &str,
    ) -> Outcome<()> {
        let whence = match self.begin_second(&on, object) {
            Ok(whence) => whence,
            Err(wait) => return Outcome::Wait(wait),
        };
        let hold = self.vault.hold(object).await;
        let Some((row, secret)) = self.totp_of(object) else { return Outcome::Wrong(Some(object)) };
        let Some(step) = secret.check(typed, row.last, on.now.wall) else {
            return Outcome::Wrong(Some(object));
        };
        let row = TotpRow { last: Some(step), ..row }.credential(object);
        self.second_was_right(&whence, object);
        let mut changes = place::arrived(&self.vault, object, on.from, on.now.wall);
        changes.push(CredentialChange::Put(row));
        let note = right(object, CredentialKind::Totp);
        after(hold.spend(on.store, on.origin, changes, note).await, ())
    }

    /// Looks at a recovery code of somebody whose password was right, and uses it up. How many are left.
    pub(crate) async fn recovery_code<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        typed: &str,
    ) -> Outcome<usize> {
        let whence = match self.begin_second(&on, object) {
            Ok(whence) => whence,
            Err(wait) => return Outcome::Wait(wait),
        };
        let kind = CredentialKind::RecoveryCode;
        let hold = self.vault.hold(object).await;
        let found = recovery::digest(object, typed).and_then(|id| self.vault.get(kind, &id));
        let Some(row) = found.filter(|row| row.object == object) else {
            return Outcome::Wrong(Some(object));
        };
        self.second_was_right(&whence, object);
        let mut changes = place::arrived(&self.vault, object, on.from, on.now.wall);
        changes.push(CredentialChange::Remove { kind, id: row.id.clone() });
        let left = self.vault.of(object, kind).len().saturating_sub(1);
        let note = right(object, kind);
        after(hold.spend(on.store, on.origin, changes, note).await, left)
    }

    fn begin_second<S>(&self, on: &Occasion<'_, S>, object: Uuid) -> Result<Whence, Duration> {
        let whence = place::whence(&self.vault, Some(object), on.from, on.now.wall);
        let tried = Tried::known(object);
        self.guesses.begin(whence, Guess::SecondFactor, tried, on.now.boot.nanos)?;
        Ok(whence)
    }

    fn second_was_right(&self, whence: &Whence, object: Uuid) {
        self.guesses.was_right(*whence, Guess::SecondFactor, Tried::known(object));
    }

    /// What a browser is asked to use a passkey: any of ours to sign in, one of somebody's to prove that it is
    /// they. None where the server has no name for passkeys.
    pub(crate) fn passkey_options(
        &self,
        purpose: Purpose,
        now: Now,
    ) -> Result<Option<Value>, NoRandomness> {
        let Some(party) = &self.party else { return Ok(None) };
        let challenge = self.challenges.make(purpose, now.boot.nanos)?;
        let ids = match purpose {
            Purpose::Prove(object) | Purpose::Register(object) => self.passkeys_of(object),
            // Nobody is known yet, and whose passkeys there are is told to nobody.
            Purpose::SignIn => Vec::new(),
        };
        Ok(Some(party.request_options(&challenge, &ids)))
    }

    /// Looks at what a browser sent of a passkey. It stands for both factors: the device, and whoever it knows.
    /// No guess helps here, so that nobody ever waits. [`PasskeyFault::Copied`] is worth an alarm.
    pub(crate) async fn passkey<S: Store>(
        &self,
        on: Occasion<'_, S>,
        purpose: Purpose,
        sent: &[u8],
    ) -> Result<Uuid, PasskeyFault> {
        let party = self.party.as_ref().ok_or(PasskeyFault::OtherSite)?;
        let sent: UsedPasskey =
            serde_json::from_slice(sent).map_err(|_| PasskeyFault::Unreadable)?;
        let kind = CredentialKind::Passkey;
        let found = self.vault.get(kind, &sent.id).ok_or(PasskeyFault::Unknown)?;
        let object = found.object;
        match purpose {
            Purpose::Prove(whose) if whose != object => return Err(PasskeyFault::Unknown),
            Purpose::Register(_) => return Err(PasskeyFault::Unknown),
            Purpose::Prove(_) | Purpose::SignIn => {}
        }
        let hold = self.vault.hold(object).await;
        // Once more: another use may have counted meanwhile, or its owner removed it.
        let found = self.vault.get(kind, &sent.id).ok_or(PasskeyFault::Unknown)?;
        let row: PasskeyRow = read(&found).ok_or(PasskeyFault::Unknown)?;
        let known = Known {
            object,
            key: &row.key,
            counter: row.counter,
            backup_eligible: row.backup_eligible,
        };
        let now = on.now.boot.nanos;
        let used = party.verify(&sent, &known, |text| self.challenges.check(text, purpose, now))?;
        if !used.user_verified {
            return Err(PasskeyFault::NotVerified);
        }
        self.challenges.spend(used.challenge, now)?;
        let row = PasskeyRow { counter: used.counter, used: Some(on.now.wall), ..row };
        let row = Credential { body: body(&row), ..Credential::clone(&found) };
        let mut changes = place::arrived(&self.vault, object, on.from, on.now.wall);
        changes.push(CredentialChange::Put(row));
        let spent = hold.spend(on.store, on.origin, changes, right(object, kind)).await;
        spent.map_err(|_| PasskeyFault::Challenge(BadChallenge::TooMany))?;
        Ok(object)
    }

    pub(super) fn passkeys_of(&self, object: Uuid) -> Vec<String> {
        let rows = self.vault.of(object, CredentialKind::Passkey);
        rows.iter().map(|row| row.id.clone()).collect()
    }
}

fn right(object: Uuid, kind: CredentialKind) -> Note {
    Note::FactorRight { object, factor: kind.to_string() }
}

/// What could not be used up is not let in: it could come again.
fn after<T>(spent: Result<(), VaultError>, answer: T) -> Outcome<T> {
    match spent {
        Ok(()) => Outcome::Right(answer),
        Err(error) => {
            tracing::error!(%error, "a sign-in could not be used up");
            Outcome::Busy
        }
    }
}
