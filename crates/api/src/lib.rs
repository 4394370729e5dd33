//! The wire: what goes over it, for all who talk.
//!
//! Azure's shapes exactly, ours behind them. Read in this order: [`paths`], [`body`], [`jit`], [`error`].

pub mod paths;

pub mod account;
pub mod body;

pub mod jit;

pub mod pricing;

pub mod eligibility;

pub mod can;
pub mod pim;
pub mod role;

pub mod operation;
pub mod resource;

pub mod list;

pub mod error;

pub mod headers;

pub mod subscription;

pub mod sessions;
pub mod whoami;

pub mod guards;

pub mod explain;

pub mod effective;
pub mod outlook;
pub mod watcher;

pub mod token;

pub mod metadata;

pub mod guard;

pub mod text;
pub mod time;
