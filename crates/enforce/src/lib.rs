//! The hands: one loop makes every guard agree with what must be open, and says what it saw.
//!
//! Read in this order: what a [`guard`] is, where the [`facts`] come from, the loop ([`reconcile`]), what it
//! shows ([`view`], [`status`]), and the guard in memory ([`fake`]).

pub mod guard;

pub mod facts;

pub mod reconcile;

pub mod status;
pub mod view;

pub mod fake;

mod known;
mod sight;
