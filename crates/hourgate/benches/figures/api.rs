//! What the bench says to the server: machines, policies, requests, all through the public API.

use std::{net::Ipv4Addr, time::Duration};

use serde_json::{Value, json};

use crate::{
    Outcome,
    clock::{Wall, steady},
    http::{Answer, Connection, Profile},
    site::PORT,
};

/// Any date is accepted.
const VERSION: &str = "api-version=2020-01-01";
/// How often it is asked whether it has: each answer counts every opening.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the guard may take to do what it was told.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);

/// A kind of machines, with a policy of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    /// What their names begin with, and their resource group.
    pub(crate) name: &'static str,
    pub(crate) size: u32,
    pub(crate) address: fn(u32) -> Ipv4Addr,
}

/// Locks and openings that a guard was told of and has reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) reached: bool,
    pub(crate) locks: (u64, u64),
    pub(crate) openings: (u64, u64),
}

/// An administrator with one connection.
pub(crate) struct Admin {
    pub(crate) connection: Connection,
    subscription: String,
}

impl Admin {
    /// Signs in.
    pub(crate) async fn sign_in(profile: &Profile) -> Outcome<Admin> {
        let token = profile.token().await?;
        Admin::with(profile, token).await
    }

    /// Connects with a token.
    pub(crate) async fn with(profile: &Profile, token: String) -> Outcome<Admin> {
        let connection = Connection::open(profile, token).await?;
        Ok(Admin { connection, subscription: profile.subscription.clone() })
    }

    /// Registers a fleet.
    pub(crate) async fn register(&mut self, fleet: Fleet) -> Outcome<()> {
        for n in 0..fleet.size {
            let vm = json!({
                "location": "local",
                "properties": {"privateAddresses": [(fleet.address)(n).to_string()], "osType": "Linux"},
            });
            let path = format!("{}?{VERSION}", self.vm(fleet, n));
            self.put(&path, &vm).await?;
        }
        Ok(())
    }

    /// Protects a fleet, and waits until the guard has reported each lock.
    pub(crate) async fn protect(&mut self, fleet: Fleet) -> Outcome<()> {
        let before = self.standing().await?.locks.1;
        let vms: Vec<Value> = (0..fleet.size)
            .map(|n| {
                let port = json!({
                    "number": PORT,
                    "protocol": "TCP",
                    "allowedSourceAddressPrefixes": ["198.18.0.0/15", "203.0.113.0/24"],
                    "maxRequestAccessDuration": "PT3H",
                });
                json!({"id": self.vm(fleet, n), "ports": [port]})
            })
            .collect();
        let policy = json!({"kind": "Basic", "properties": {"virtualMachines": vms}});
        let path = format!("{}?{VERSION}", self.policy(fleet));
        self.put(&path, &policy).await?;
        let all = before + u64::from(fleet.size);
        self.converged(|standing| standing.locks == (all, all)).await.map(drop)
    }

    /// Waits until the guard has done what it must, and until that is as wanted; for how long.
    pub(crate) async fn converged(
        &mut self,
        wanted: impl Fn(&Standing) -> bool,
    ) -> Outcome<Duration> {
        let began = steady();
        loop {
            let standing = self.standing().await?;
            let agrees = standing.reached
                && standing.locks.0 == standing.locks.1
                && standing.openings.0 == standing.openings.1;
            if agrees && wanted(&standing) {
                return Ok(steady() - began);
            }
            if steady() - began > CONVERGED_WITHIN {
                return Err(format!("the guard does not converge: {standing:?}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the server says of its guard.
    pub(crate) async fn standing(&mut self) -> Outcome<Standing> {
        let path = format!("{}/guards?{VERSION}", self.own());
        let guards = self.connection.call("GET", &path, b"").await?.json()?;
        let Some(guard) = guards["value"].get(0) else { return Ok(Standing::default()) };
        let pair = |of: &str| {
            let count = |key: &str| guard[of][key].as_u64().unwrap_or(0);
            (count("desired"), count("observed"))
        };
        Ok(Standing {
            reached: guard["state"] == "reached",
            locks: pair("locks"),
            openings: pair("openings"),
        })
    }

    /// Asks for access; one machine or many.
    pub(crate) async fn initiate(&mut self, path: &str, body: &[u8]) -> Outcome<Answer> {
        self.connection.call("POST", path, body).await
    }

    /// Where access to a fleet is asked for.
    pub(crate) fn initiate_path(&self, fleet: Fleet) -> String {
        format!("{}/initiate?{VERSION}", self.policy(fleet))
    }

    /// An ask for some machines of a fleet.
    pub(crate) fn ask(
        &self,
        fleet: Fleet,
        machines: std::ops::Range<u32>,
        from: Ipv4Addr,
        duration: &str,
    ) -> Vec<u8> {
        let vms: Vec<Value> = machines
            .map(|n| {
                let port = json!({
                    "number": PORT, "duration": duration, "allowedSourceAddressPrefix": from,
                });
                json!({"id": self.vm(fleet, n % fleet.size), "ports": [port]})
            })
            .collect();
        json!({"virtualMachines": vms, "justification": "a figure"}).to_string().into_bytes()
    }

    /// Sets a resource at a path without its query.
    pub(crate) async fn set(&mut self, path: &str, body: &Value) -> Outcome<()> {
        self.put(&format!("{path}?{VERSION}"), body).await.map(drop)
    }

    /// A resource of the network.
    pub(crate) fn network(&self, rest: &impl std::fmt::Display) -> String {
        let subscription = &self.subscription;
        format!(
            "/subscriptions/{subscription}/resourceGroups/walls/providers/Microsoft.Network/{rest}"
        )
    }

    /// The interface that a machine of a fleet has.
    pub(crate) fn interface(&self, fleet: Fleet, n: u32) -> String {
        format!("{}/Microsoft.Network/networkInterfaces/{}-{n}-nic", self.group(fleet), fleet.name)
    }

    async fn put(&mut self, path: &str, body: &Value) -> Outcome<Value> {
        self.connection.call("PUT", path, body.to_string().as_bytes()).await?.json()
    }

    fn group(&self, fleet: Fleet) -> String {
        format!("/subscriptions/{}/resourceGroups/{}/providers", self.subscription, fleet.name)
    }

    fn vm(&self, fleet: Fleet, n: u32) -> String {
        let group = self.group(fleet);
        format!("{group}/Microsoft.Compute/virtualMachines/{}-{n}", fleet.name)
    }

    fn policy(&self, fleet: Fleet) -> String {
        let group = self.group(fleet);
        format!("{group}/Microsoft.Security/locations/local/jitNetworkAccessPolicies/default")
    }

    fn own(&self) -> String {
        format!("/subscriptions/{}/providers/Hourgate.Access", self.subscription)
    }
}

/// When the first access of an answer ends.
pub(crate) fn end_of(request: &Value) -> Outcome<Wall> {
    let end = request["virtualMachines"][0]["ports"][0]["endTimeUtc"].as_str().unwrap_or_default();
    let end: jiff::Timestamp = end.parse()?;
    Ok(Wall(i64::try_from(end.as_nanosecond())?))
}
