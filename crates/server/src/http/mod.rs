//! HTTPS: parse, one operation, present. Nothing is decided here.

mod azure;
mod caller;
mod dispatch;
mod error;
mod exchange;
mod figures;
mod listen;
mod open;
mod own;

pub(crate) use self::{figures::serve_metrics, listen::Doorway};
