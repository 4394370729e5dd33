//! What every test begins with: an authority, a clock moved by hand, and providers as they are configured.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hourgate_core::time::{BootTime, Clock, Now, Timestamp, later};
use hourgate_server::{
    clock::SystemClock,
    config,
    outgoing::{Limits, Outgoing},
    provider::Providers,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::authority::Authority;

/// Long enough for loopback on a busy machine.
const LIMITS: Limits = Limits { connect: Duration::from_secs(5), whole: Duration::from_secs(5) };

pub(crate) struct World {
    pub(crate) authority: Authority,
    clock: Mutex<Now>,
    limits: Limits,
}

impl World {
    pub(crate) fn new() -> World {
        // The real time, because a real provider's tokens are of it, in whole seconds, because tokens' are;
        // from here on it is moved by hand.
        let wall = SystemClock::new().unwrap().now().wall.as_second();
        let wall = Timestamp::from_second(wall).unwrap();
        let boot = BootTime { boot: Uuid::nil(), nanos: 0 };
        World { authority: Authority::new(), clock: Mutex::new(Now { wall, boot }), limits: LIMITS }
    }

    /// Waits no longer than this for an answer.
    pub(crate) fn impatient(whole: Duration) -> World {
        World { limits: Limits { connect: whole, whole }, ..World::new() }
    }

    pub(crate) fn now(&self) -> Now {
        *self.clock.lock().unwrap()
    }

    pub(crate) fn pass(&self, length: Duration) {
        let mut now = self.clock.lock().unwrap();
        now.wall = later(now.wall, length);
        now.boot.nanos += u64::try_from(length.as_nanos()).unwrap();
    }

    /// Only the wall clock, by somebody's hand.
    pub(crate) fn set_clock(&self, ahead: Duration) {
        let mut now = self.clock.lock().unwrap();
        now.wall = later(now.wall, ahead);
    }

    /// The providers of a configuration; loopback may be called, and the tests' authority is believed.
    pub(crate) fn providers(&self, tables: &str) -> Arc<Providers> {
        let ca = self.authority.ca();
        let outgoing = format!(
            "[outgoing]\nallow = [\"127.0.0.1\", \"::1\"]\nca = {:?}\n",
            ca.display().to_string()
        );
        self.providers_with(&format!("{outgoing}{tables}"))
    }

    /// The same with nothing said about outgoing calls.
    pub(crate) fn providers_with(&self, text: &str) -> Arc<Providers> {
        let file = self.authority.ca().with_file_name("hourgate.toml");
        std::fs::write(&file, text).unwrap();
        let config = config::check(&file).unwrap();
        let outgoing = Arc::new(Outgoing::open(&config.outgoing, self.limits).unwrap());
        Arc::new(Providers::open(config.providers, outgoing).unwrap())
    }

    /// The claims of a good token for `api://hourgate`, with something added or changed; null takes away.
    pub(crate) fn claims(&self, issuer: &str, more: &Value) -> Value {
        let now = self.now().wall.as_second();
        let mut claims = json!({
            "iss": issuer, "sub": "alice", "aud": "api://hourgate",
            "iat": now, "nbf": now, "exp": now + 3_600,
        });
        let claims_map = claims.as_object_mut().unwrap();
        claims_map.extend(more.as_object().unwrap().clone());
        claims_map.retain(|_, value| !value.is_null());
        claims
    }
}

/// A provider's table, with more lines of it.
pub(crate) fn table(name: &str, issuer: &str, more: &str) -> String {
    format!(
        "[[provider]]\nname = {name:?}\nissuer = {issuer:?}\nclient_id = \"hourgate\"\n\
         audiences = [\"api://hourgate\"]\n{more}\n"
    )
}
