//! What Hourgate itself knows people and services by: local accounts with passwords, codes and passkeys, and
//! service accounts with secrets, keys and other issuers' tokens.
//!
//! Nothing else has to be installed, and nothing here needs the store to let somebody in.

pub(crate) mod accounts;
pub(crate) mod factors;
pub(crate) mod prove;
pub(crate) mod service;

pub(crate) mod hashing;
pub(crate) mod name;
pub(crate) mod passkey;
pub(crate) mod password;
pub(crate) mod place;
pub(crate) mod recovery;
pub(crate) mod seal;
pub(crate) mod totp;
pub(crate) mod vault;

#[cfg(test)]
mod tests;
