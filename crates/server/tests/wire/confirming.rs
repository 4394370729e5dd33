//! A lock that could lock everybody out stands only provisionally until somebody says that it may stay.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use hourgate_core::network::{Lock, Port, Sessions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, SOON, Wanted, fresh_dir, start_in, status_of_first_port};

/// Where clients reach the server in these tests, so that they need no interface of the machine.
const SERVER: &str = "10.9.0.1";
const CONFIG: &str = "public_url = \"https://10.9.0.1:8443\"";
const V: &str = "?api-version=2020-01-01";
const WITHIN: (&str, &str) = ("Hourgate-Confirm-Within", "PT5M");

struct Scene {
    server: Running,
    /// The policy's path with its version.
    policy: String,
}

impl Scene {
    /// `gw-1` is the machine that the server is reached by, `web-1` is another.
    async fn new() -> Scene {
        let server = start_in(fresh_dir(), Wanted::config(CONFIG)).await.expect("a server");
        server.register("rg1", "gw-1", &[SERVER]).await;
        server.register("rg1", "web-1", &["10.9.0.4"]).await;
        let policy = format!("{}{V}", server.policy_id("rg1"));
        Scene { server, policy }
    }

    /// A policy's body: these ports of these machines.
    fn body(&self, members: &[(&str, &[u16])]) -> Value {
        let rule = |port: &u16| {
            json!({"number": port, "protocol": "TCP", "allowedSourceAddressPrefix": "192.0.2.0/24",
                   "maxRequestAccessDuration": "PT3H"})
        };
        let member = |(vm, ports): &(&str, &[u16])| {
            let rules: Vec<Value> = ports.iter().map(rule).collect();
            json!({"id": self.server.vm_id("rg1", vm), "ports": rules})
        };
        let members: Vec<Value> = members.iter().map(member).collect();
        json!({"kind": "Basic", "properties": {"virtualMachines": members}})
    }

    async fn put(&self, members: &[(&str, &[u16])], headers: &[(&str, &str)]) -> (u16, Value) {
        let body = self.body(members).to_string();
        let answer = self.server.call_with(Method::PUT, &self.policy, Some(&body), headers).await;
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn confirm(&self) -> (u16, Value) {
        let path = self.policy.replace('?', "/confirm?");
        self.server.json(Method::POST, &path, None).await
    }

    async fn get(&self) -> (u16, Value) {
        self.server.json(Method::GET, &self.policy, None).await
    }

    fn locks(&self) -> BTreeMap<Lock, Sessions> {
        self.server.guard.as_ref().expect("a guard").locks()
    }

    /// Awaits that the gate holds exactly these locks.
    async fn gate_has(&self, wanted: &[(&str, u16)]) {
        let lock = |(address, port): &(&str, u16)| {
            let address: IpAddr = address.parse().expect("an address");
            let port = Port::new(*port).expect("a port");
            (Lock { address, port }, Sessions::GoOn)
        };
        let wanted: BTreeMap<Lock, Sessions> = wanted.iter().map(lock).collect();
        let look = async {
            while self.locks() != wanted {
                tokio::task::yield_now().await;
            }
        };
        let outcome = tokio::time::timeout(SOON, look).await;
        assert!(outcome.is_ok(), "{:?} instead of {wanted:?}", self.locks());
    }
}

#[tokio::test]
async fn a_lock_on_the_servers_machine_needs_to_be_confirmed() {
    let scene = Scene::new().await;
    let (status, answer) = scene.put(&[("web-1", &[22]), ("gw-1", &[22, 443])], &[]).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ConfirmationNeeded")));
    let details = answer["error"]["details"].as_array().expect("each port");
    assert_eq!(details.len(), 2, "{answer}");
    assert!(answer.to_string().contains("Hourgate-Confirm-Within"), "{answer}");
    assert_eq!(scene.get().await.0, 404, "nothing of it was stored");
    assert!(scene.locks().is_empty());
    for within in ["PT0S", "PT2H", "five minutes", "-PT5M", "\u{fffd}"] {
        let (status, _) = scene.put(&[("gw-1", &[22])], &[(WITHIN.0, within)]).await;
        assert_eq!(status, 400, "{within}");
    }
    // Another machine's needs nobody's word, and neither does one's own address that is locked already.
    assert_eq!(scene.put(&[("web-1", &[22])], &[]).await.0, 200);
    assert_eq!(scene.put(&[("web-1", &[22]), ("gw-1", &[22])], &[WITHIN]).await.0, 200);
    assert_eq!(scene.confirm().await.0, 200);
    assert_eq!(scene.put(&[("gw-1", &[22])], &[]).await.0, 200);
}

#[tokio::test]
async fn what_is_confirmed_in_time_stays() {
    let scene = Scene::new().await;
    let (status, answer) = scene.put(&[("gw-1", &[22])], &[WITHIN]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["properties"]["confirmUntilUtc"].is_string(), "{answer}");
    scene.gate_has(&[(SERVER, 22)]).await;
    // While it waits, nobody changes what the roll-back would put back.
    let (status, answer) = scene.put(&[("gw-1", &[22, 443])], &[WITHIN]).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ConfirmationPending")));
    scene.server.clock.pass(Duration::from_mins(4));
    let (status, answer) = scene.confirm().await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["properties"].get("confirmUntilUtc").is_none(), "{answer}");
    let (status, answer) = scene.confirm().await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("NothingToConfirm")));
    // One that waits just as long, and that nobody confirms, shows that its time has come.
    scene.server.register("rg2", "gw-2", &["10.9.0.2"]).await;
    let other = format!("{}{V}", scene.server.policy_id("rg2"));
    let body = scene.body(&[("gw-2", &[22])]).to_string().replace("/rg1/", "/rg2/");
    let answer = scene.server.call_with(Method::PUT, &other, Some(&body), &[WITHIN]).await;
    assert_eq!(answer.status(), 200);
    scene.server.clock.pass(Duration::from_mins(30));
    scene.server.until(&other, |answer| answer["error"]["code"] == "ResourceNotFound").await;
    scene.gate_has(&[(SERVER, 22)]).await;
    assert_eq!(scene.get().await.0, 200);
}

#[tokio::test]
async fn a_new_policy_that_nobody_confirms_is_gone_at_its_time() {
    let scene = Scene::new().await;
    assert_eq!(scene.put(&[("gw-1", &[22])], &[WITHIN]).await.0, 200);
    scene.gate_has(&[(SERVER, 22)]).await;
    scene.server.clock.pass(Duration::from_secs(4 * 60 + 50));
    assert_eq!(scene.get().await.0, 200, "not before its time");
    scene.server.clock.pass(Duration::from_secs(11));
    scene.gate_has(&[]).await;
    assert_eq!(scene.get().await.0, 404);
    let (status, answer) = scene.confirm().await;
    assert_eq!(status, 404, "too late: {answer}");
    let verdict = hourgate_server::verify_log(&scene.server.dir.path().join("data")).await;
    assert_eq!(verdict.expect("a verdict").first_bad, None);
}

#[tokio::test]
async fn exactly_what_was_stands_again_and_an_open_port_never_closed() {
    let scene = Scene::new().await;
    assert_eq!(scene.put(&[("web-1", &[22, 3389])], &[]).await.0, 200);
    scene.gate_has(&[("10.9.0.4", 22), ("10.9.0.4", 3389)]).await;
    let id = scene.server.ask().await;
    let request = scene.server.request_path(&id);
    scene.server.until(&request, |seen| status_of_first_port(seen) == "Initiated").await;
    let before = scene.get().await.1;
    let openings = scene.server.guard.as_ref().expect("a guard").openings();
    assert_eq!(openings.len(), 1);

    let changed = scene.put(&[("web-1", &[22]), ("gw-1", &[22, 443])], &[WITHIN]).await;
    assert_eq!(changed.0, 200, "{}", changed.1);
    scene.gate_has(&[("10.9.0.4", 22), (SERVER, 22), (SERVER, 443)]).await;
    scene.server.clock.pass(Duration::from_secs(5 * 60 + 1));
    scene.gate_has(&[("10.9.0.4", 22), ("10.9.0.4", 3389)]).await;

    let succeeded = |policy: &Value| policy["properties"]["provisioningState"] == "Succeeded";
    let after = scene.server.until(&scene.policy, succeeded).await;
    assert_eq!(after, before, "to the last property");
    assert_eq!(scene.server.guard.as_ref().expect("a guard").openings(), openings);
}

#[tokio::test]
async fn a_server_that_was_down_at_the_time_rolls_back_when_it_starts() {
    let scene = Scene::new().await;
    assert_eq!(scene.put(&[("gw-1", &[22])], &[WITHIN]).await.0, 200);
    scene.gate_has(&[(SERVER, 22)]).await;
    let clock = scene.server.clock.clone();
    let policy = scene.policy;
    let mut server = scene.server;
    server.stop().await;
    clock.pass(Duration::from_mins(6));
    let wanted = Wanted { clock, ..Wanted::config(CONFIG) };
    let server = server.restart(wanted).await;
    let gone = |answer: &Value| answer["error"]["code"] == "ResourceNotFound";
    server.until(&policy, gone).await;
}
