//! Brings what exists elsewhere and keeps it as a file: a file is read, put in order, compared with what
//! stands, and only then written. Nothing here decides what may be; the server does.
//!
//! Read in this order: [`thing`], [`source`] and what it reads, then [`order`], [`live`], [`compare`],
//! [`plan`], [`write`](mod@write), and [`export`] the other way.

pub(crate) mod thing;

mod expression;
mod inventory;
mod manifest;
pub(crate) mod source;
mod template;

mod compare;
pub(crate) mod live;
mod order;
pub(crate) mod plan;
pub(crate) mod write;

pub(crate) mod export;
