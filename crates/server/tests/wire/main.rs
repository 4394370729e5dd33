//! The wire as clients see it: whole answers of a real server, over real TLS.

#![expect(clippy::expect_used, reason = "a test stops where what it stands on is not there")]

mod browser;
mod harness;
mod raw;

mod accounts;
mod adopting;
mod alarms;
mod audience;
mod bad_input;
mod can;
mod closing;
mod confirming;
mod crowd;
mod doors;
mod early;
mod explain;
mod first_start;
mod framing;
mod gateways;
mod groups;
mod head;
mod jit;
mod large;
mod life;
mod machines;
mod network;
mod network_bad_input;
mod outlook;
mod pages;
mod people;
mod pim;
mod pricing;
mod principals;
mod proxy;
mod questions;
mod right_lost;
mod role_routes;
mod roles;
mod sight;
mod signin;
mod slow;
mod time;
mod views;
mod walk;
mod walk_rows;
