//! The story, told with real packets: closed, open, closed on time, also when everybody is dead.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    lab::{CLIENT, STRANGER, VM},
    packets::Met,
    report::Report,
    world::{LOGIN, MEASURED, World},
};
use crate::{
    client::{Call, Client},
    clock,
    exit::{Exit, Failure},
    profile::Profile,
};

/// The access that each ending is watched on.
const SHORT: Duration = Duration::from_secs(3);
/// An end is on time if the last connection passed no later than this after it: a jiffy of the kernel
/// and the distance from a SYN's sending to its judgement.
const ON_TIME: Duration = Duration::from_millis(10);
/// Closing earlier than this would be a broken promise of the other kind. Attempts are a few ms apart.
const EARLY_MAX: Duration = Duration::from_millis(100);
/// Nothing passes on an ended session after this.
const SESSION_END_MAX: Duration = Duration::from_millis(50);
/// How long server and guard may take to be there.
const START_MAX: Duration = Duration::from_secs(20);

/// Tells the story; each step goes into the report.
pub(super) async fn tell(world: &mut World, report: &mut Report) -> Result<(), Failure> {
    let client = server(world).await?;
    let story = Story { client };
    story.protect(world, report).await?;
    story.open(world, report).await?;
    story.close_on_time(world, report).await?;
    story.end_session(world, report).await?;
    story.survive_nobody(world, report).await
}

/// Waits for the server; the client speaks to it as the first administrator.
async fn server(world: &World) -> Result<Client, Failure> {
    let profile = world.data_dir().join("data").join("admin.json");
    let patience = clock::Patience::new(START_MAX);
    loop {
        let client =
            Profile::find(Some(&profile)).and_then(|profile| Client::new(profile, None, START_MAX));
        if let Ok(client) = client
            && client.reaches().await
        {
            return Ok(client);
        }
        if patience.left().is_zero() {
            let log = world.data_dir().join("serve.log");
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let details = said.lines().rev().take(8).map(str::to_owned).collect();
            return Err(
                Failure::new(Exit::Unreached, "The demo's server did not start.").because(details)
            );
        }
        patience.pause(Duration::from_millis(50)).await;
    }
}

struct Story {
    client: Client,
}

impl Story {
    async fn protect(&self, world: &World, report: &mut Report) -> Result<(), Failure> {
        report.say("A machine is added, and its ports are closed.");
        report.say("  $ hourgate add web-1 10.9.0.4");
        report.say("  $ hourgate protect web-1");
        let began = Instant::now();
        let vm = json!({
            "location": "local",
            "properties": {"privateAddresses": [VM.to_string()], "osType": "Linux"},
        });
        self.put(&self.vm(), &vm).await?;
        let sources = world.source().map_or("*".to_owned(), |_| "203.0.113.0/24".to_owned());
        let port = |number: u16, ends: bool| {
            json!({
                "number": number,
                "protocol": "TCP",
                "allowedSourceAddressPrefix": sources,
                "maxRequestAccessDuration": "PT1H",
                "endSessions": ends,
            })
        };
        let policy = json!({
            "kind": "Basic",
            "properties": {"virtualMachines": [{
                "id": self.vm(),
                "ports": [port(LOGIN, false), port(MEASURED, true)],
            }]},
        });
        self.put(&self.policy(), &policy).await?;
        let locked = self
            .until(&self.policy(), |policy| {
                policy["properties"]["provisioningState"] == "Succeeded"
            })
            .await;
        let took = began.elapsed();
        let saw = format!("the guard reported the locks after {} ms", took.as_millis());
        report.step("locked", locked.is_some(), took, &saw);

        let began = Instant::now();
        let met = world.attempt(CLIENT.into(), LOGIN).await;
        let saw = match met {
            Met::Silence => "port 22: no answer to the SYN; a scan sees nothing",
            Met::Open => "port 22 is open",
            Met::Refusal => "port 22: refused, which tells a scanner that somebody is there",
        };
        report.step("closed", met == Met::Silence, began.elapsed(), saw);
        Ok(())
    }

    async fn open(&self, world: &World, report: &mut Report) -> Result<(), Failure> {
        report.say("\nSomebody asks for it, for one minute.");
        report.say("  $ hourgate request web-1 -d 1m");
        let began = Instant::now();
        let asking = self.ask(world, LOGIN, Duration::from_mins(1));
        let (asked, opened) = tokio::join!(asking, world.first_accepted(LOGIN, began));
        let asked = asked?;
        report.open_millis = opened.map(millis);
        let saw = match opened {
            Some(took) => format!("open {:.1} ms after the request was sent", millis(took)),
            None => "not open within 5 s".to_owned(),
        };
        report.step("open", opened.is_some(), began.elapsed(), &saw);

        let source = &asked["virtualMachines"][0]["ports"][0]["allowedSourceAddressPrefix"];
        let own = CLIENT.to_string();
        let saw = match world.source() {
            None => format!("opened for {own}, the address that the server saw, and for no other"),
            Some(_) => format!("opened for {own}, as was asked, and for no other"),
        };
        report.step("own-address", *source == *own, Duration::ZERO, &saw);

        let began = Instant::now();
        let met = world.attempt(STRANGER.into(), LOGIN).await;
        let saw = match met {
            Met::Silence => format!("{STRANGER} still gets no answer"),
            Met::Open | Met::Refusal => format!("{STRANGER} got an answer"),
        };
        report.step("other-source-closed", met == Met::Silence, began.elapsed(), &saw);
        Ok(())
    }

    async fn close_on_time(&self, world: &World, report: &mut Report) -> Result<(), Failure> {
        report.say("\nAn access of 3 s ends on time.");
        let began = Instant::now();
        let end = self.granted_until(world).await?;
        let last = world.last_accepted(MEASURED, end).await;
        report.close_error_millis = last.map(|last| after(end, last));
        let saw = ending(end, last);
        report.step("closed-on-time", on_time(end, last), began.elapsed(), &saw);
        Ok(())
    }

    async fn end_session(&self, world: &World, report: &mut Report) -> Result<(), Failure> {
        report.say("\nA session that may not outlive its access: one byte every 5 ms.");
        let began = Instant::now();
        let end = self.granted_until(world).await?;
        let failed = |error| Failure::new(Exit::Refused, format!("No session: {error}."));
        let session = world.session(MEASURED).await.map_err(failed)?;
        let over = world.talk(session, MEASURED, end + Duration::from_secs(1)).await;
        let late = after(end, over.last_payload);
        let held = (-millis(EARLY_MAX)..=millis(SESSION_END_MAX)).contains(&late) && over.reset;
        let how = if over.reset { "then a reset" } else { "and no reset" };
        let saw = format!("the last byte came back {late:+.1} ms from the end, {how}");
        report.step("session-ended", held, began.elapsed(), &saw);

        let seen = until_true(|| world.vm_saw_reset(), Duration::from_secs(1)).await;
        let saw = if seen { "the VM's end was reset too" } else { "the VM's end hangs" };
        report.step("session-ended-on-vm", seen, Duration::ZERO, saw);
        Ok(())
    }

    async fn survive_nobody(&self, world: &mut World, report: &mut Report) -> Result<(), Failure> {
        report.say("\nAn access of 3 s, and then everybody dies.");
        let began = Instant::now();
        let end = self.granted_until(world).await?;
        let failed = |error| Failure::new(Exit::Refused, format!("Nobody was killed: {error}."));
        report.say("  $ kill -KILL (server and guard)");
        let killed = world.kill().map_err(failed)?;
        let met = world.attempt(CLIENT.into(), MEASURED).await;
        let saw = match met {
            Met::Open => format!("{killed} of them killed; the access goes on"),
            Met::Silence | Met::Refusal => "the access ended with them".to_owned(),
        };
        report.step("open-after-kill", killed > 0 && met == Met::Open, began.elapsed(), &saw);

        let last = world.last_accepted(MEASURED, end).await;
        let held = on_time(end, last);
        report.closed_on_time_after_kill = held;
        let saw = format!("{}, with nobody alive", ending(end, last));
        report.step("closed-on-time-after-kill", held, began.elapsed(), &saw);

        let met = world.attempt(STRANGER.into(), LOGIN).await;
        let saw = match met {
            Met::Silence => "and what was closed is still closed",
            Met::Open | Met::Refusal => "what was closed answers",
        };
        report.step("locked-after-kill", met == Met::Silence, began.elapsed(), saw);
        Ok(())
    }

    /// Asks for a short access to the measured port and waits until it is open; when it ends.
    async fn granted_until(&self, world: &World) -> Result<Timestamp, Failure> {
        let asked = self.ask(world, MEASURED, SHORT).await?;
        let id = asked["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("{}/{id}", self.own("requests"));
        let port = |request: &Value| request["virtualMachines"][0]["ports"][0].clone();
        let open = self.until(&path, |request| port(request)["status"] == "Initiated").await;
        let open = open.ok_or_else(|| {
            Failure::new(Exit::NotObserved, "The guard did not report the access open.")
        })?;
        let end = port(&open)["endTimeUtc"].as_str().and_then(|end| end.parse().ok());
        end.ok_or_else(|| Failure::new(Exit::Refused, "The answer has no end."))
    }

    async fn ask(&self, world: &World, port: u16, length: Duration) -> Result<Value, Failure> {
        let mut asked = json!({"number": port, "duration": format!("PT{}S", length.as_secs())});
        if let Some(source) = world.source() {
            asked["allowedSourceAddressPrefix"] = json!(source);
        }
        let body = json!({
            "virtualMachines": [{"id": self.vm(), "ports": [asked]}],
            "justification": "the demo",
        });
        let path = format!("{}/initiate?api-version=2020-01-01", self.policy());
        Ok(self.client.send(Call::new(Method::POST, &path).body(&body)).await?.body)
    }

    async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let path = format!("{path}?api-version=2020-01-01");
        Ok(self.client.send(Call::new(Method::PUT, &path).body(body)).await?.body)
    }

    /// Reads a resource until it is as wanted, for a bounded time.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let path = format!("{path}?api-version=2020-01-01");
        let patience = clock::Patience::new(START_MAX);
        while !patience.left().is_zero() {
            match self.client.get(&path).await {
                Ok(reply) if wanted(&reply.body) => return Some(reply.body),
                Ok(_) | Err(_) => patience.pause(Duration::from_millis(5)).await,
            }
        }
        None
    }

    fn group(&self) -> String {
        let subscription = self.client.profile().subscription_id;
        format!("/subscriptions/{subscription}/resourceGroups/default/providers")
    }

    fn vm(&self) -> String {
        format!("{}/Microsoft.Compute/virtualMachines/web-1", self.group())
    }

    fn policy(&self) -> String {
        let group = self.group();
        format!("{group}/Microsoft.Security/locations/local/jitNetworkAccessPolicies/default")
    }

    fn own(&self, what: &str) -> String {
        let subscription = self.client.profile().subscription_id;
        format!("/subscriptions/{subscription}/providers/Hourgate.Access/{what}")
    }
}

async fn until_true(holds: impl Fn() -> bool, within: Duration) -> bool {
    let patience = clock::Patience::new(within);
    while !holds() {
        if patience.left().is_zero() {
            return false;
        }
        patience.pause(Duration::from_millis(5)).await;
    }
    true
}

fn on_time(end: Timestamp, last: Option<Timestamp>) -> bool {
    last.is_some_and(|last| (-millis(EARLY_MAX)..=millis(ON_TIME)).contains(&after(end, last)))
}

fn ending(end: Timestamp, last: Option<Timestamp>) -> String {
    match last {
        Some(last) => {
            format!("the last SYN that passed was {:+.1} ms from the end", after(end, last))
        }
        None => "no SYN passed shortly before the end".to_owned(),
    }
}

/// How many milliseconds `at` is after `end`; negative if before.
fn after(end: Timestamp, at: Timestamp) -> f64 {
    at.duration_since(end).as_secs_f64() * 1_000.0
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1_000.0
}
