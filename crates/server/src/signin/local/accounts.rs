//! Local accounts: who has one, and how one is made, reset and removed.

use std::time::Duration;

use hourgate_api::text::is_plain;
use hourgate_core::{
    event::Note,
    personal::Personal,
    role::principal::{LOCAL_ISSUER, PrincipalKind},
    time::{Now, Timestamp, later},
};
use hourgate_store::{Credential, CredentialChange, CredentialKind, Origin, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    factors::PASSKEY_NAME_CHARS_MAX,
    hashing::{Cost, HashError, Hashing},
    name::{BadName, SignInName},
    passkey::{RelyingParty, challenge::Challenges},
    password::{Password, PasswordFault},
    seal::Seal,
    vault::{Vault, VaultError, body, read},
};
use crate::{
    mint::{self, NoRandomness},
    signin::{guesses::Guesses, object::object_id},
};

/// How many accounts there can be. Whoever is more has a provider.
pub(crate) const ACCOUNTS_MAX: usize = 10_000;
/// Longest name for showing, in characters.
pub(crate) const DISPLAY_CHARS_MAX: usize = 256;
/// How long the first administrator's link holds: whoever installs the server is there.
pub(crate) const FIRST_LINK_LIFE: Duration = Duration::from_hours(1);
/// How long a link to a new account's password holds: it is sent to somebody, who may sleep.
pub(crate) const LINK_LIFE: Duration = Duration::from_hours(24);

/// Accounts, and all that is needed to let their owners in.
pub(crate) struct Accounts {
    pub(super) vault: Vault,
    pub(super) seal: Seal,
    pub(super) hashing: Hashing,
    pub(super) guesses: Guesses,
    pub(super) challenges: Challenges,
    /// None where the server has no name, and so no passkeys.
    pub(super) party: Option<RelyingParty>,
}

/// On what, on whose behalf, when and from where something is done.
pub(crate) struct Occasion<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) origin: Origin,
    pub(crate) from: std::net::IpAddr,
    pub(crate) now: Now,
}

/// Somebody who is to have an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Their object id.
    pub(crate) object: Uuid,
    /// Who they are to [`LOCAL_ISSUER`].
    pub(crate) subject: Uuid,
    /// What they sign in with.
    pub(crate) name: SignInName,
    /// What they are called.
    pub(crate) display: String,
}

/// An account as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its object id.
    pub(crate) object: Uuid,
    /// What its owner signs in with.
    pub(crate) name: SignInName,
    /// What its owner is called.
    pub(crate) display: String,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// Whether it can be signed in to.
    pub(crate) has_password: bool,
    /// Whether it has a second factor.
    pub(crate) has_second_factor: bool,
}

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountFault {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Somebody has it.
    #[error("The name {0} is taken.")]
    NameTaken(SignInName),
    /// It is not for showing.
    #[error("A person's name has 1 to {DISPLAY_CHARS_MAX} characters, all of which can be seen.")]
    Display,
    /// It is not for showing either.
    #[error(
        "A passkey's name has 1 to {PASSKEY_NAME_CHARS_MAX} characters, all of which can be seen."
    )]
    PasskeyName,
    /// It is no good password.
    #[error(transparent)]
    Password(#[from] PasswordFault),
    /// There is none.
    #[error("There is no such account.")]
    NotFound,
    /// The link was used, is over, or never was.
    #[error("This link was used or its time is over.")]
    Link,
    /// There are too many.
    #[error("There are {ACCOUNTS_MAX} local accounts, and no more can be made.")]
    TooMany,
    /// A second factor was not shown to work.
    #[error("The code is not the one of now. Is the clock of the device right?")]
    Code,
    /// It has as many as it can.
    #[error("An account has no more of these: remove one first.")]
    Enough,
    /// The passkey.
    #[error(transparent)]
    Passkey(#[from] super::passkey::PasskeyFault),
    /// The password cannot be hashed now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// It could not be written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nothing random is to be had.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] super::seal::Unsealable),
}

/// What the row of an account holds.
#[derive(Clone, Serialize, Deserialize)]
struct AccountRow {
    name: SignInName,
    display: String,
    subject: Uuid,
    made: Timestamp,
}

/// What the row of a password holds.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PasswordRow {
    pub(super) hash: String,
    pub(super) set: Timestamp,
}

/// What a link lets somebody do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// Become the first administrator.
    FirstAdministrator,
    /// Set the password of an account.
    SetPassword,
}

#[derive(Serialize, Deserialize)]
struct LinkRow {
    purpose: Purpose,
}

/// A link that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenLink {
    /// What for.
    pub(crate) purpose: Purpose,
    /// Whose account; nil where it makes one.
    pub(crate) object: Uuid,
    /// Until when.
    pub(crate) until: Option<Timestamp>,
    id: String,
}

impl Accounts {
    /// The accounts of a vault, of a server whose links begin with `base`.
    pub(crate) fn open(
        vault: Vault,
        seal: Seal,
        base: &str,
        cost: Cost,
    ) -> Result<Accounts, NoRandomness> {
        Ok(Accounts {
            hashing: Hashing::new(cost)?,
            guesses: Guesses::default(),
            challenges: Challenges::new()?,
            party: RelyingParty::of(base),
            vault,
            seal,
        })
    }

    /// Every account, by name.
    pub(crate) fn list(&self) -> Vec<Account> {
        self.vault.names().into_iter().filter_map(|object| self.get(object)).collect()
    }

    /// One account.
    pub(crate) fn get(&self, object: Uuid) -> Option<Account> {
        let row = self.vault.get(CredentialKind::Account, &object.to_string())?;
        let AccountRow { name, display, subject: _, made } = read(&row)?;
        let has = |kind| !self.vault.of(object, kind).is_empty();
        Some(Account {
            object,
            name,
            display,
            made,
            has_password: has(CredentialKind::Password),
            has_second_factor: has(CredentialKind::Totp) || has(CredentialKind::Passkey),
        })
    }

    /// Whose name that is.
    pub(crate) fn named(&self, name: &SignInName) -> Option<Uuid> {
        self.vault.named(name)
    }

    /// Somebody new, who is nobody yet: first the directory must know them, then [`Accounts::make`].
    pub(crate) fn draft(&self, name: &str, display: &str) -> Result<Draft, AccountFault> {
        self.draft_of(mint::uuid()?, name, display)
    }

    /// The first administrator, who has the same object id however often the link's owner tries.
    pub(crate) fn draft_first(
        &self,
        link: &OpenLink,
        name: &str,
        display: &str,
    ) -> Result<Draft, AccountFault> {
        let mut subject = [0; 16];
        subject.copy_from_slice(&Sha256::digest(&link.id)[..16]);
        let subject = uuid::Builder::from_random_bytes(subject).into_uuid();
        self.draft_of(subject, name, display)
    }

    fn draft_of(&self, subject: Uuid, name: &str, display: &str) -> Result<Draft, AccountFault> {
        let name: SignInName = name.parse()?;
        let display = match display.trim() {
            "" => name.to_string(),
            display => display.to_owned(),
        };
        if display.chars().count() > DISPLAY_CHARS_MAX || !is_plain(&display) {
            return Err(AccountFault::Display);
        }
        if self.named(&name).is_some() {
            return Err(AccountFault::NameTaken(name));
        }
        let object = object_id(PrincipalKind::User, LOCAL_ISSUER, &subject.to_string());
        Ok(Draft { object, subject, name, display })
    }

    /// Makes an account without a password. The answer is a link's secret with which its owner sets one.
    pub(crate) async fn make<S: Store>(
        &self,
        on: Occasion<'_, S>,
        draft: Draft,
    ) -> Result<String, AccountFault> {
        let (link, secret) = fresh_link(Purpose::SetPassword, draft.object, LINK_LIFE, on.now)?;
        self.add(on, draft, vec![CredentialChange::Put(link)], None).await?;
        Ok(secret)
    }

    /// Makes the first administrator's account, and uses up every link to it.
    pub(crate) async fn make_first<S: Store>(
        &self,
        on: Occasion<'_, S>,
        link: &OpenLink,
        draft: Draft,
        password: &str,
    ) -> Result<(), AccountFault> {
        let names = [draft.name.as_str(), draft.display.as_str()];
        let password = Password::chosen(password, &names)?;
        let hash = self.hashing.hash(on.from, password).await?;
        let password = password_row(draft.object, hash, on.now.wall);
        self.add(on, draft, vec![CredentialChange::Put(password)], Some(link)).await
    }

    async fn add<S: Store>(
        &self,
        on: Occasion<'_, S>,
        draft: Draft,
        with: Vec<CredentialChange>,
        link: Option<&OpenLink>,
    ) -> Result<(), AccountFault> {
        // Names are everybody's: two who take the same at once must see one another.
        let hold = self.vault.hold(Uuid::nil()).await;
        if self.named(&draft.name).is_some() {
            return Err(AccountFault::NameTaken(draft.name));
        }
        if self.vault.names().len() >= ACCOUNTS_MAX {
            return Err(AccountFault::TooMany);
        }
        let mut changes = with;
        if let Some(link) = link {
            self.vault
                .live(CredentialKind::Link, &link.id, on.now.wall)
                .ok_or(AccountFault::Link)?;
            let links = |kind| kind == CredentialKind::Link;
            changes.extend(self.vault.removal_of(Uuid::nil(), links));
        }
        let Draft { object, subject, name, display } = draft;
        let note = Note::AccountMade { object, name: Personal(name.to_string()) };
        let row = AccountRow { name, display, subject, made: on.now.wall };
        changes.push(CredentialChange::Put(Credential {
            kind: CredentialKind::Account,
            id: object.to_string(),
            object,
            body: body(&row),
            until: None,
        }));
        Ok(hold.keep(on.store, on.origin, changes, note).await?)
    }

    /// Takes everything that an account could be signed in with, and makes a link to begin anew. Whoever calls
    /// this also ends its sessions.
    pub(crate) async fn reset<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
    ) -> Result<String, AccountFault> {
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        let mut changes = self.vault.removal_of(object, |kind| kind != CredentialKind::Account);
        let (link, secret) = fresh_link(Purpose::SetPassword, object, LINK_LIFE, on.now)?;
        let until = link.until.unwrap_or(on.now.wall);
        changes.push(CredentialChange::Put(link));
        hold.keep(on.store, on.origin, changes, Note::LinkMade { object, until }).await?;
        Ok(secret)
    }

    /// Removes an account and all that belongs to it. Whoever calls this also forgets its principal.
    pub(crate) async fn remove<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
    ) -> Result<(), AccountFault> {
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        let changes = self.vault.removal_of(object, |_| true);
        Ok(hold.keep(on.store, on.origin, changes, Note::AccountRemoved { object }).await?)
    }

    /// Makes the first administrator's link; one that was made before no longer holds.
    pub(crate) async fn first_link<S: Store>(
        &self,
        on: Occasion<'_, S>,
    ) -> Result<String, AccountFault> {
        let hold = self.vault.hold(Uuid::nil()).await;
        let mut changes = self.vault.removal_of(Uuid::nil(), |kind| kind == CredentialKind::Link);
        let (link, secret) =
            fresh_link(Purpose::FirstAdministrator, Uuid::nil(), FIRST_LINK_LIFE, on.now)?;
        let note = Note::LinkMade { object: Uuid::nil(), until: link.until.unwrap_or(on.now.wall) };
        changes.push(CredentialChange::Put(link));
        hold.keep(on.store, on.origin, changes, note).await?;
        Ok(secret)
    }

    /// The link of a secret, if it can be used. It is not used up by looking.
    pub(crate) fn link(&self, secret: &str, now: Now) -> Option<OpenLink> {
        let row = self.vault.live(CredentialKind::Link, &link_id(secret), now.wall)?;
        let LinkRow { purpose } = read(&row)?;
        Some(OpenLink { purpose, object: row.object, until: row.until, id: row.id.clone() })
    }

    /// Sets the password of the account that a link is for, and uses the link up. Whoever calls this also ends
    /// the account's sessions.
    pub(crate) async fn use_link<S: Store>(
        &self,
        on: Occasion<'_, S>,
        link: &OpenLink,
        password: &str,
    ) -> Result<Uuid, AccountFault> {
        let object = link.object;
        let row = self.new_password(&on, object, password).await?;
        let hold = self.vault.hold(object).await;
        let stands = self.vault.live(CredentialKind::Link, &link.id, on.now.wall);
        stands.filter(|row| row.object == object).ok_or(AccountFault::Link)?;
        let mut changes = self.vault.removal_of(object, |kind| kind == CredentialKind::Link);
        changes.push(CredentialChange::Put(row));
        hold.keep(on.store, on.origin, changes, Note::PasswordSet { object }).await?;
        Ok(object)
    }

    /// Sets another password. Who asks has shown the old one or a passkey just now; whoever calls this also
    /// ends the account's other sessions.
    #[cfg_attr(not(test), expect(dead_code, reason = "the page of one's own account comes later"))]
    pub(crate) async fn set_password<S: Store>(
        &self,
        on: Occasion<'_, S>,
        object: Uuid,
        password: &str,
    ) -> Result<(), AccountFault> {
        let row = self.new_password(&on, object, password).await?;
        let hold = self.vault.hold(object).await;
        self.get(object).ok_or(AccountFault::NotFound)?;
        let changes = vec![CredentialChange::Put(row)];
        Ok(hold.keep(on.store, on.origin, changes, Note::PasswordSet { object }).await?)
    }

    async fn new_password<S>(
        &self,
        on: &Occasion<'_, S>,
        object: Uuid,
        password: &str,
    ) -> Result<Credential, AccountFault> {
        let account = self.get(object).ok_or(AccountFault::NotFound)?;
        let password = Password::chosen(password, &[account.name.as_str(), &account.display])?;
        let hash = self.hashing.hash(on.from, password).await?;
        Ok(password_row(object, hash, on.now.wall))
    }
}

pub(super) fn password_row(object: Uuid, hash: String, set: Timestamp) -> Credential {
    Credential {
        kind: CredentialKind::Password,
        id: object.to_string(),
        object,
        body: body(&PasswordRow { hash, set }),
        until: None,
    }
}

fn fresh_link(
    purpose: Purpose,
    object: Uuid,
    life: Duration,
    now: Now,
) -> Result<(Credential, String), NoRandomness> {
    let secret = mint::secret()?;
    let row = Credential {
        kind: CredentialKind::Link,
        id: link_id(&secret),
        object,
        body: body(&LinkRow { purpose }),
        until: Some(later(now.wall, life)),
    };
    Ok((row, secret))
}

/// As a link is kept: a quick digest hides 256 random bits.
fn link_id(secret: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"hourgate link\0").chain_update(secret).finalize())
}
