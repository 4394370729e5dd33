//! Security groups as Azure means them: which rule decides a flow, and where a lock and a grant go.
//!
//! A group holds rules in the order of their numbers; the first that matches decides, and six default
//! rules stand behind them. A network interface can have a group, and so can its subnet: both must allow.
//! Source of fact for numbers, names and limits: Azure's `network-security-groups-overview` and
//! `azure-virtual-network-limits`; where Azure says nothing, the choice is told where it is made.
//!
//! Read in this order: what a rule is made of ([`word`], [`name`], [`id`], [`port`], [`place`]), then
//! [`rule`] and [`group`]; what a flow meets ([`surroundings`], [`flow`], [`judge`], [`explain`],
//! [`effective`]); sets of flows ([`spans`], [`addresses`], [`region`], [`passing`]); and what JIT does
//! with them ([`lockdown`], [`hold`], [`takes_effect`], [`numbers`],
//! [`band`], [`grant_rule`]).

pub mod id;
pub mod name;
pub mod place;
pub mod port;
pub mod word;

mod read;

pub mod fault;
pub mod group;
pub mod rule;

mod default;
mod sieve;

pub mod effective;
pub mod explain;
pub mod flow;
pub mod judge;
pub mod surroundings;

pub mod addresses;
pub mod passing;
pub mod region;
pub mod spans;
mod sweep;

pub mod band;
pub mod cure;
pub mod grant_rule;
pub mod hold;
pub mod jit_name;
pub mod lockdown;
pub mod numbers;
pub mod takes_effect;
