//! HTTPS: parse, one operation, present. Nothing is decided here.

mod accounts;
mod asked;
mod authenticate;
mod caller;
mod can;
mod dispatch;
mod eligibility;
mod error;
mod exchange;
mod figures;
mod groups;
mod jit;
mod listen;
mod network;
mod open;
mod own;
mod pages;
mod parse;
mod per_address;
mod pim;
mod pricing;
mod principals;
mod proxy;
mod questions;
mod resources;
mod roles;
mod sessions;
mod token;

pub(crate) use self::{
    figures::serve_metrics, listen::Doorway, parse::Parsers, per_address::PerAddress,
};
