//! Our own routes of local accounts and of service accounts.

use std::fmt;

use uuid::Uuid;

/// Which of them, below `Hourgate.Access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRoute {
    /// Local accounts.
    Accounts,
    /// One, by its object id.
    Account(Uuid),
    /// What is done to one.
    AccountStep(Uuid, AccountStep),
    /// Service accounts.
    Services,
    /// One, by its client id.
    Service(Uuid),
    /// What is done to one.
    ServiceStep(Uuid, AccountStep),
    /// Something more for it to sign in with.
    Credentials(Uuid, CredentialSort),
    /// What it signs in with.
    Credential(Uuid, Uuid),
}

/// What is done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// It lets nobody in.
    Disable,
    /// It lets its owner in again.
    Enable,
    /// All that it could be signed in with goes, and a link to begin anew comes.
    Reset,
}

/// What a service account signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialSort {
    /// A secret.
    Secrets,
    /// A key of its own.
    Keys,
    /// Another issuer's tokens.
    Trusts,
}

impl AccountStep {
    const fn as_str(self) -> &'static str {
        match self {
            AccountStep::Disable => "disable",
            AccountStep::Enable => "enable",
            AccountStep::Reset => "reset",
        }
    }
}

impl CredentialSort {
    const fn as_str(self) -> &'static str {
        match self {
            CredentialSort::Secrets => "secrets",
            CredentialSort::Keys => "keys",
            CredentialSort::Trusts => "trusts",
        }
    }
}

impl AccountRoute {
    /// The methods it is served with.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            AccountRoute::Accounts | AccountRoute::Services => &["GET", "POST"],
            AccountRoute::Account(_) | AccountRoute::Service(_) => &["GET", "DELETE"],
            AccountRoute::AccountStep(..)
            | AccountRoute::ServiceStep(..)
            | AccountRoute::Credentials(..) => &["POST"],
            AccountRoute::Credential(..) => &["DELETE"],
        }
    }

    pub(super) fn parse(folded: &[&str]) -> Option<AccountRoute> {
        use AccountStep::{Disable, Enable, Reset};
        let id = |text: &str| text.parse::<Uuid>().ok();
        let step = |text: &str, steps: &[AccountStep]| {
            steps.iter().copied().find(|step| step.as_str() == text)
        };
        match folded {
            ["accounts"] => Some(AccountRoute::Accounts),
            ["accounts", object] => Some(AccountRoute::Account(id(object)?)),
            ["accounts", object, text] => {
                let step = step(text, &[Disable, Enable, Reset])?;
                Some(AccountRoute::AccountStep(id(object)?, step))
            }
            ["serviceaccounts"] => Some(AccountRoute::Services),
            ["serviceaccounts", client] => Some(AccountRoute::Service(id(client)?)),
            ["serviceaccounts", client, "credentials", of] => {
                Some(AccountRoute::Credential(id(client)?, id(of)?))
            }
            ["serviceaccounts", client, text] => {
                let client = id(client)?;
                if let Some(step) = step(text, &[Disable, Enable]) {
                    return Some(AccountRoute::ServiceStep(client, step));
                }
                let sorts = [CredentialSort::Secrets, CredentialSort::Keys, CredentialSort::Trusts];
                let sort = sorts.into_iter().find(|sort| sort.as_str() == *text)?;
                Some(AccountRoute::Credentials(client, sort))
            }
            _ => None,
        }
    }
}

impl fmt::Display for AccountRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountRoute::Accounts => f.write_str("accounts"),
            AccountRoute::Account(object) => write!(f, "accounts/{object}"),
            AccountRoute::AccountStep(object, step) => {
                write!(f, "accounts/{object}/{}", step.as_str())
            }
            AccountRoute::Services => f.write_str("serviceAccounts"),
            AccountRoute::Service(client) => write!(f, "serviceAccounts/{client}"),
            AccountRoute::ServiceStep(client, step) => {
                write!(f, "serviceAccounts/{client}/{}", step.as_str())
            }
            AccountRoute::Credentials(client, sort) => {
                write!(f, "serviceAccounts/{client}/{}", sort.as_str())
            }
            AccountRoute::Credential(client, id) => {
                write!(f, "serviceAccounts/{client}/credentials/{id}")
            }
        }
    }
}
