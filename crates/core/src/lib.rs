//! Hourgate's rules: who may open what, what is open now, and what changes on a guard.
//!
//! Pure: no IO, no clock, no randomness, no async. Time, ids and salts are arguments.
//! Read in this order: the nouns, then [`decide`], [`state`], [`open`], [`plan`]; [`nsg`] stands by itself,
//! [`resource`] on it, [`screen`] is what a guard is told of it, [`gateway`] what holds on public addresses, [`reach`]
//! tells why ([`verify`] only who), [`outlook`] what a guard sees of the way, and [`eligible`] which machines can have
//! any of this.

pub mod id;
pub mod network;
pub mod time;

pub mod policy;

pub mod pricing;

pub mod grant;

pub mod role;

pub mod command;

pub mod event;

pub mod refusal;

pub mod named;

pub mod decide;

pub mod state;

pub mod effect;

pub mod open;

pub mod jit_rules;

pub mod lock_facts;

pub mod plan;

pub mod nsg;

pub mod resource;

pub mod screen;

pub mod gateway;

pub mod reach;
pub mod verify;

pub mod outlook;

pub mod eligible;

mod pairs;
pub mod personal;
