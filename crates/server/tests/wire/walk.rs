//! Every route there is, by everybody who may not and by the one who may: no token, a bad one, no role, a wrong
//! role, the right one at a wrong place, and a subscription of somebody else. Nothing is changed by any of them.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_api::paths::{Parts, Route};
use hourgate_core::{
    grant::{Access, Stage},
    resource::Kind,
    role::{
        change::{DirectoryCommand, RoleDraft},
        definition::Permission,
    },
    state::State,
};
use hourgate_store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Running, SOON, id_of, start},
    walk_rows::{Body, Gate, Row, rows, world},
};

/// The routes and methods that no row walks, a line each. It is empty, and only grows on purpose.
const NOT_COVERED: &str = include_str!("not_covered.txt");
/// Where the routes are listed: a new one has no row until somebody writes one.
const ROUTES: &str = include_str!("../../../api/src/paths/mod.rs");
/// Somebody else's subscription.
const FOREIGN: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
/// A machine beside those that the rows are about, and a group beside theirs.
const BESIDE: [&str; 2] = [
    "/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/beside",
    "/resourceGroups/rg2",
];

/// The variants of [`Route`], as its source has them.
fn variants() -> Vec<&'static str> {
    let (_, behind) = ROUTES.split_once("pub enum Route {").expect("the enum");
    let (inside, _) = behind.split_once("\n}").expect("its end");
    let of_line = |line: &'static str| {
        let name = line.strip_prefix("    ")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = &name[..end];
        name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
    };
    inside.lines().filter_map(of_line).collect()
}

/// What a row is about: the variant, its kind or part where it has one, and the method.
#[expect(clippy::wildcard_enum_match_arm, reason = "most routes have no kinds")]
fn covers(route: &Route, method: &str) -> String {
    let debug = format!("{route:?}");
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().expect("a name");
    match route {
        Route::Resources { kind, .. } => format!("{name} {kind:?} {method}"),
        Route::Resource(id) => format!("{name} {:?} {method}", id.kind),
        Route::Parts(_, parts) | Route::Part(_, parts, _) => format!("{name} {parts:?} {method}"),
        _ => format!("{name} {method}"),
    }
}

#[tokio::test]
async fn every_route_there_is_has_its_row() {
    let server = start().await;
    let rows = rows(&server, "abc123");
    let mut walked = BTreeSet::new();
    let mut wanted = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let path = row.path.split('?').next().expect("a path");
        let route = Route::parse(path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert!(route.allows(row.method.as_str()), "{} {path}", row.method);
        assert_eq!(route.is_open(), matches!(row.gate, Gate::Open), "{path}");
        walked.insert(covers(&route, row.method.as_str()));
        wanted.extend(route.methods().iter().map(|method| covers(&route, method)));
        let debug = format!("{route:?}");
        seen.insert(debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned());
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::ResourceGroups) {
        wanted.insert(format!("Resources {kind:?} GET"));
        wanted.extend(["GET", "PUT", "PATCH", "DELETE"].map(|m| format!("Resource {kind:?} {m}")));
    }
    for parts in Parts::ALL {
        wanted.extend(["Parts", "Part"].map(|what| format!("{what} {parts:?} GET")));
    }
    wanted.extend(variants().into_iter().filter(|name| !seen.contains(*name)).map(String::from));
    let missing: Vec<&String> = wanted.difference(&walked).collect();
    let known: Vec<&str> = NOT_COVERED.lines().collect();
    assert_eq!(missing, known, "routes that nobody walks");
}

/// Who walks: an id, and what they may.
struct Walkers {
    nobody: Uuid,
    owner: Uuid,
}

#[tokio::test]
async fn nobody_walks_in_without_the_right_at_the_place() {
    let server = start().await;
    world(&server).await;
    let request = server.ask().await;
    let walkers = Walkers {
        nobody: server.person("nobody", &[]).await,
        owner: server.person("owner", &[]).await,
    };
    server.give(hourgate_core::role::built_in::OWNER, "", walkers.owner).await;
    for (number, row) in rows(&server, &request).iter().enumerate() {
        walk(&server, &walkers, number, row).await;
    }
}

async fn walk(server: &Running, walkers: &Walkers, number: usize, row: &Row) {
    let body = match &row.body {
        Body::None => None,
        Body::Of(body) => Some(body.clone()),
        Body::AsRead => {
            let (status, read) = server.json(Method::GET, &row.path, None).await;
            assert_eq!(status, 200, "{} {read}", row.path);
            Some(read)
        }
    };
    let what = format!("{} {}", row.method, row.path);
    let Gate::Needs { action, at, linked } = &row.gate else {
        return walk_open(server, walkers, row, body.as_ref()).await;
    };
    let before = stands(server).await;
    without_a_token(server, row, body.as_ref()).await;
    let call = async |who: Uuid, path: &str| {
        server.json_as(who, row.method.clone(), path, body.as_ref()).await
    };
    let nobody = call(walkers.nobody, &row.path).await;
    row.denied(&nobody, false, &what);
    let wrong = format!("all but {action}");
    let role = define(server, &wrong, &["*"], &[action]).await;
    let wrong = server.person(&wrong, &[]).await;
    give_once(server, role, "", wrong).await;
    row.denied(&call(wrong, &row.path).await, false, &format!("{what}: a wrong role"));
    let own: Vec<&str> = [action.as_str()].into_iter().chain(row.also.iter().copied()).collect();
    let all: Vec<&str> =
        own.iter().copied().chain(linked.iter().map(|(linked, _)| linked.as_str())).collect();
    let right = define(server, &format!("right {number}"), &all, &[]).await;
    for (place, beside) in BESIDE.iter().enumerate() {
        let who = server.person(&format!("beside {number} {place}"), &[]).await;
        give_once(server, right, beside, who).await;
        let within = row.list_of(beside);
        row.denied(&call(who, &row.path).await, within, &format!("{what}: at {beside}"));
    }
    let foreign = row.path.replace(&server.admin.subscription_id.to_string(), FOREIGN);
    if foreign != row.path {
        let (status, told) = call(walkers.owner, &foreign).await;
        let told = (status, told["error"]["code"].as_str().unwrap_or_default());
        let code = if row.method == Method::HEAD { "" } else { "SubscriptionNotFound" };
        assert_eq!(told, (404, code), "{what}");
    }
    // Not shown: it is a whole world.
    assert!(stands(server).await == before, "{what}: something was changed");
    let who = server.person(&format!("right {number}"), &[]).await;
    let own = define(server, &format!("own {number}"), &own, &[]).await;
    give_once(server, own, at, who).await;
    for (linked, scope) in linked {
        let (status, told) = call(who, &row.path).await;
        let told = (status, told["error"]["code"].as_str().unwrap_or_default());
        assert_eq!(told, (403, "LinkedAuthorizationFailed"), "{what}: without {linked}");
        let role = define(server, &format!("linked {number} {linked}"), &[linked], &[]).await;
        give_once(server, role, scope, who).await;
    }
    let (status, told) = call(who, &row.path).await;
    let refused = row.refused.is_some_and(|code| told["error"]["code"] == code);
    assert!(status < 300 || refused, "{what}: with the right at '{at}': {status} {told}");
    if let Some(shows) = &row.shows {
        let text = told.to_string();
        assert!(text.contains(shows.as_str()) && !text.contains("beside"), "{what}: {text}");
    }
}

/// What is there for everybody, or for everybody who is signed in.
async fn walk_open(server: &Running, walkers: &Walkers, row: &Row, body: Option<&Value>) {
    let what = format!("{} {}", row.method, row.path);
    match &row.gate {
        Gate::Open => {
            let answer = raw(server, row, body, None).await;
            assert_ne!(answer.1["error"]["code"], "AuthenticationFailed", "{what}");
        }
        Gate::SignedIn | Gate::Own => {
            without_a_token(server, row, body).await;
            let (status, told) =
                server.json_as(walkers.nobody, row.method.clone(), &row.path, body).await;
            assert!(status < 300, "{what}: {status} {told}");
            let text = told.to_string();
            assert!(!text.contains("rg1"), "{what} tells of what is there: {text}");
            if matches!(row.gate, Gate::Own) {
                assert_eq!(told["value"], json!([]), "{what}");
            }
        }
        Gate::Needs { .. } => {}
    }
}

async fn without_a_token(server: &Running, row: &Row, body: Option<&Value>) {
    let what = format!("{} {}", row.method, row.path);
    for (token, code) in
        [(None, "AuthenticationFailed"), (Some("garbage"), "InvalidAuthenticationToken")]
    {
        let (status, told) = raw(server, row, body, token).await;
        if row.method == Method::HEAD {
            assert_eq!(status, 401, "{what}");
        } else {
            let told = told["error"]["code"].as_str().unwrap_or_default();
            assert_eq!((status, told), (401, code), "{what}");
        }
    }
}

async fn raw(
    server: &Running,
    row: &Row,
    body: Option<&Value>,
    token: Option<&str>,
) -> (u16, Value) {
    let mut request = server.client.request(row.method.clone(), server.url(&row.path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Everything that stands, people and roles apart, and without the time; once the guard has said all that it is
/// going to say.
async fn stands(server: &Running) -> State {
    let store = server.store.get().expect("a store");
    let look = async {
        loop {
            let state = store.everything().await.expect("what stands");
            let accesses = state.requests.values().flat_map(|request| &request.accesses);
            let on_its_way = |access: &Access| match &access.stage {
                Stage::Planned { .. } => false,
                Stage::Granted { opened, .. } => opened.is_none(),
                Stage::Ended { .. } => !access.is_settled(),
            };
            if state.released.is_empty() && !accesses.into_iter().any(on_its_way) {
                return State { highest: None, directory: Arc::default(), ..state };
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, look).await.expect("the guard has spoken")
}

/// A role of one's own that allows these actions and not those.
pub(crate) async fn define(server: &Running, name: &str, may: &[&str], not: &[&str]) -> Uuid {
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("one")).collect();
    let permission =
        Permission { actions: patterns(may), not_actions: patterns(not), ..Permission::default() };
    let id = id_of(&format!("role {name}"));
    let draft = RoleDraft {
        id,
        name: name.to_owned(),
        description: String::new(),
        permissions: vec![permission],
        assignable: vec![server.s().parse().expect("a scope")],
    };
    server.directory(DirectoryCommand::Define(draft)).await;
    id
}

async fn give_once(server: &Running, role: Uuid, scope: &str, principal: Uuid) {
    server.give(role, scope, principal).await;
}
