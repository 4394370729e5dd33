//! What the pages ask of those who know passwords and second factors.

use std::{future::Future, net::IpAddr, pin::Pin, time::Duration};

use hourgate_core::time::Now;
use uuid::Uuid;

use super::person::Method;

/// An answer that takes a while: a password is made to.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where somebody is, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    pub(crate) from: IpAddr,
    pub(crate) now: Now,
}

/// An account as pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whose.
    pub(crate) object: Uuid,
    /// What they are called.
    pub(crate) name: String,
    /// What they sign in as.
    pub(crate) login: String,
}

/// What an account has besides its password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factors {
    /// Whether an authenticator app gives codes for it.
    pub(crate) codes: bool,
    /// How many passkeys it has.
    pub(crate) passkeys: usize,
    /// How many recovery codes are left.
    pub(crate) recovery: usize,
}

/// What somebody shows besides their password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Second {
    /// A code of an authenticator app.
    Code(String),
    /// A recovery code.
    Recovery(String),
    /// A passkey's answer, as a browser gives it, to a challenge by its name.
    Passkey { challenge: String, answer: String },
}

/// What came of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof<T> {
    /// It is right.
    Right(T),
    /// It is not. Why is told to nobody.
    Wrong,
    /// Too many were wrong lately.
    TooOften(Duration),
    /// More are being looked at than can be.
    Busy,
}

/// What a browser is to do with a passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasskeyTask {
    /// The challenge's name: comes back with the answer.
    pub(crate) challenge: String,
    /// What the browser's interface is given, as JSON.
    pub(crate) options: String,
}

/// What is shown of a new authenticator app, once.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NewApp {
    /// What the app reads, as a URI.
    pub(crate) uri: String,
    /// The secret in it, for those who type it.
    pub(crate) secret: String,
}

/// Why something about an account was not done, for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotSet(pub(crate) String);

/// What knows local accounts.
pub(crate) trait Proofs: Send + Sync {
    /// Whether that is the password of an account of that name. It takes as long for one that is not there.
    fn password<'a>(
        &'a self,
        login: &'a str,
        password: &'a str,
        here: Here,
    ) -> Later<'a, Proof<Known>>;

    /// What else an account has.
    fn factors(&self, object: Uuid) -> Factors;

    /// Whether that is a second factor of an account. How it counts comes back.
    fn second<'a>(&'a self, object: Uuid, second: Second, here: Here) -> Later<'a, Proof<Method>>;

    /// What a browser is to do so that one of an account's passkeys proves who is there.
    fn ask_passkey(&self, object: Uuid, here: Here) -> Option<PasskeyTask>;

    /// Who a link that sets a password is for; an empty name for the first administrator's.
    fn link(&self, link: &str, here: Here) -> Option<String>;

    /// Sets a password by a link, once. For the first administrator `login` and `name` are those that they
    /// chose.
    fn use_link<'a>(
        &'a self,
        link: &'a str,
        chosen: (&'a str, &'a str, &'a str),
        here: Here,
    ) -> Later<'a, Result<Known, NotSet>>;

    /// Begins to set up an authenticator app.
    fn new_app<'a>(&'a self, of: &'a Known, here: Here) -> Later<'a, Result<NewApp, NotSet>>;

    /// Sets it up with a code that it gave. Recovery codes come back, where there were none.
    fn confirm_app<'a>(
        &'a self,
        object: Uuid,
        code: &'a str,
        here: Here,
    ) -> Later<'a, Result<Vec<String>, NotSet>>;

    /// What a browser is to do to make a passkey.
    fn new_passkey(&self, of: &Known, here: Here) -> Result<PasskeyTask, NotSet>;

    /// Keeps the passkey that it made. Recovery codes come back, where there were none.
    fn keep_passkey<'a>(
        &'a self,
        object: Uuid,
        made: (&'a str, &'a str, &'a str),
        here: Here,
    ) -> Later<'a, Result<Vec<String>, NotSet>>;
}

/// Where there are no local accounts.
pub(crate) struct NoAccounts;

impl Proofs for NoAccounts {
    fn password<'a>(&'a self, _: &'a str, _: &'a str, _: Here) -> Later<'a, Proof<Known>> {
        Box::pin(async { Proof::Wrong })
    }

    fn factors(&self, _: Uuid) -> Factors {
        Factors::default()
    }

    fn second<'a>(&'a self, _: Uuid, _: Second, _: Here) -> Later<'a, Proof<Method>> {
        Box::pin(async { Proof::Wrong })
    }

    fn ask_passkey(&self, _: Uuid, _: Here) -> Option<PasskeyTask> {
        None
    }

    fn link(&self, _: &str, _: Here) -> Option<String> {
        None
    }

    fn use_link<'a>(
        &'a self,
        _: &'a str,
        _: (&'a str, &'a str, &'a str),
        _: Here,
    ) -> Later<'a, Result<Known, NotSet>> {
        Box::pin(async { Err(none()) })
    }

    fn new_app<'a>(&'a self, _: &'a Known, _: Here) -> Later<'a, Result<NewApp, NotSet>> {
        Box::pin(async { Err(none()) })
    }

    fn confirm_app<'a>(
        &'a self,
        _: Uuid,
        _: &'a str,
        _: Here,
    ) -> Later<'a, Result<Vec<String>, NotSet>> {
        Box::pin(async { Err(none()) })
    }

    fn new_passkey(&self, _: &Known, _: Here) -> Result<PasskeyTask, NotSet> {
        Err(none())
    }

    fn keep_passkey<'a>(
        &'a self,
        _: Uuid,
        _: (&'a str, &'a str, &'a str),
        _: Here,
    ) -> Later<'a, Result<Vec<String>, NotSet>> {
        Box::pin(async { Err(none()) })
    }
}

fn none() -> NotSet {
    NotSet("There are no local accounts here.".to_owned())
}
