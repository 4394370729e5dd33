//! The daemon: HTTPS, sign-in, operations; the only wall clock.
//!
//! Read in this order: [`serve`], `http`, `operations`, [`guards`]; the rest is what those stand on.

mod serve;

mod http;
mod operations;
mod party;
mod portal;
mod server;

pub mod guards;

mod signin;

pub mod outgoing;

mod admin;
mod adopt;
mod control;

pub mod config;
mod data_dir;
mod storage;

mod interfaces;
mod tls;

pub mod clock;
pub mod measure;
mod mint;

pub mod logs;
mod metrics;

pub use admin::{AdminError, AdminFile};
pub use config::Config;
pub use control::{
    ClockAnswer, LocalError, LogAnswer, accept_clock, first_link, rotate_admin, rotate_keys,
    verify_log,
};
pub use data_dir::{DataDir, DataDirError};
pub use mint::NoRandomness;
pub use serve::{Options, Ready, ServeError, Whose, covers, serve, serve_over};
pub use signin::{SealError, SignInError, provider};
pub use storage::StorageError;
pub use tls::TlsError;
