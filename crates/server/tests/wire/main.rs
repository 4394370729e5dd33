//! The wire as clients see it: whole answers of a real server, over real TLS.

mod harness;

mod bad_input;
mod closing;
mod jit;
mod life;
mod signin;
