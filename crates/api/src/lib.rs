//! The wire: what goes over it, for all who talk.

pub mod guard;
