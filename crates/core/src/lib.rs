//! Hourgate's rules: who may open what, what is open now, and what changes on a guard.
//!
//! Pure: no IO, no clock, no randomness, no async. Time, ids and salts are arguments.
//! Read in this order: the nouns, then [`plan`].

pub mod network;
pub mod time;

pub mod plan;

mod pairs;
