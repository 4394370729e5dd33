//! From a request to its handler: limits, path, method, who is there, api-version; and the answer's
//! figures afterwards.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hourgate_api::{
    body::BODY_BYTES_MAX,
    error::{
        ArmError, Code, authentication_failed, method_not_allowed, path_not_found,
        subscription_not_found, too_large, too_many_requests,
    },
    paths::{Page, PrincipalRoute, RoleRoute, Route, WHAT_IF, check_version, what_if},
};
use hourgate_core::{
    resource::{Kind, ResourceId},
    role::OwnAddress,
};
use hourgate_store::{PolicyFilter, Store};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, EXPECT},
    http::request::Parts,
};
use tokio::sync::SemaphorePermit;

use super::{
    accounts,
    asked::Asked,
    authenticate::authenticate,
    caller, can, eligibility,
    error::status,
    exchange::{Answer, Exchange, bodiless, with},
    groups, jit, network, open, own, pages,
    per_address::Held,
    pim, pricing, principals, questions, resources, roles, sessions,
};
use crate::{
    clock::Stopwatch,
    server::{Places, Server},
};

/// How long a client may take to send a body of 4 MiB.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How much of a body that nobody needs is taken in before its request is refused: a few of the largest.
/// Whoever sends more is cut off, and may not hear why.
const UNREAD_BYTES_MAX: u64 = 4 * BODY_BYTES_MAX as u64;
/// How long that may take, from the request's head on. A body of 4 MiB needs 4 s at 8 Mbit/s; whoever sends
/// it may be nobody.
const UNREAD_WITHIN: Duration = Duration::from_secs(5);

/// Answers one request, whatever it is.
pub(super) async fn answer<S: Store>(
    server: Arc<Server<S>>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let watch = Stopwatch::start();
    let (parts, mut body) = request.into_parts();
    let (is_promised, is_head) = (is_promised(&parts), parts.method == Method::HEAD);
    let Ok(exchange) = Exchange::of(&parts.method, parts.uri.path(), &parts.headers) else {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return answer;
    };
    let (operation, answer) = match Route::parse(parts.uri.path()) {
        // Whoever stands in front may have looked at the other one.
        _ if parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() => {
            let message = "The request has more than one Authorization header; send one.";
            let error = ArmError::new(Code::InvalidParameter, message).at("Authorization");
            ("none", exchange.error(error))
        }
        Err(error) => {
            // Who is not signed in learns nothing about which paths there are.
            let headers = &parts.headers;
            let address = caller::address(peer, headers, server.proxies(), &server.own);
            let answer = match authenticate(&server, &exchange, address, headers).await {
                Ok(_) => exchange.error(error.explain(&exchange.target)),
                Err(error) => unauthorised(&server, &exchange, error),
            };
            ("none", answer)
        }
        Ok(route) => (name(&route, &parts.method), {
            let answered = admit(&server, peer, parts, &mut body, &route, &exchange).await;
            answered.unwrap_or_else(|error| match status(&error.code) {
                StatusCode::UNAUTHORIZED => unauthorised(&server, &exchange, error),
                StatusCode::METHOD_NOT_ALLOWED => {
                    with(exchange.error(error), "allow", &route.methods().join(", "))
                }
                _ => exchange.error(error),
            })
        }),
    };
    let took = watch.elapsed();
    server.metrics.answered(operation, answer.status().as_u16(), took);
    tracing::debug!(
        request = %exchange.request_id,
        operation,
        status = answer.status().as_u16(),
        micros = took.as_micros(),
        "answered"
    );
    if !is_promised {
        pass_over(&mut body, UNREAD_WITHIN.saturating_sub(took)).await;
    }
    if is_head { bodiless(answer) } else { answer }
}

/// Whether the client sends its body only once it is told to go on: then nothing is on its way that an
/// early answer could cross. In HTTP/2 nobody is told.
fn is_promised(parts: &Parts) -> bool {
    parts.version < Version::HTTP_2 && parts.headers.contains_key(EXPECT)
}

/// Takes in what is left of a body, and keeps nothing of it. An answer before a body's end is right by the
/// letter, but HTTP/2 has the stream reset behind it, and HTTP/1.1 the connection: many clients lose the
/// answer then, and only see that they were cut off.
async fn pass_over(body: &mut Incoming, within: Duration) {
    if body.is_end_stream() || body.size_hint().lower() > UNREAD_BYTES_MAX {
        return;
    }
    let to_its_end = async {
        let mut left = UNREAD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length as u64) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    if tokio::time::timeout(within, to_its_end).await.is_err() {
        tracing::debug!("a body that is not needed took too long");
    }
}

/// Everything that is the same for all routes, in the order in which Azure looks at it.
async fn admit<S: Store>(
    server: &Arc<Server<S>>,
    peer: SocketAddr,
    parts: Parts,
    body: &mut Incoming,
    route: &Route,
    exchange: &Exchange,
) -> Result<Answer, ArmError> {
    let address = caller::address(peer, &parts.headers, server.proxies(), &server.own);
    if caller::is_hearsay(peer, &parts.headers, &server.trusted_proxies) {
        server.hears_hearsay(peer.ip());
    }
    // A place is held until the answer is made.
    let place = place(&server.places, route, address.seen())?;
    if route.is_open() {
        if !route.allows(parts.method.as_str()) {
            return Err(method_not_allowed(parts.method.as_str(), route.methods()));
        }
        return without_token(server, exchange, parts, body, route, address).await;
    }
    let (caller, session) = authenticate(server, exchange, address, &parts.headers).await?;
    if !route.allows(parts.method.as_str()) {
        return Err(method_not_allowed(parts.method.as_str(), route.methods()));
    }
    if route.version().is_some() {
        check_version(parts.uri.query())?;
    }
    only_asks_what_if(route, &parts.method, parts.uri.query())?;
    if let Some(subscription) = route.subscription()
        && subscription != server.installation.subscription
    {
        return Err(subscription_not_found(subscription));
    }
    let body = read(body, &parts.headers, BODY_BYTES_MAX).await?;
    // Whoever sends slowly must not act with what they were when they began.
    let (caller, session) = if body.is_empty() {
        (caller, session)
    } else {
        authenticate(server, exchange, address, &parts.headers).await?
    };
    if own::waits(route, parts.uri.query()) {
        // Who waits for a change does no work meanwhile, and has a limit of their own.
        drop(place);
    }
    let asked = Asked {
        server,
        exchange,
        caller,
        session,
        method: parts.method,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    handle(&asked, route).await
}

/// Whoever asks what a change would do must not have it done instead.
fn only_asks_what_if(route: &Route, method: &Method, query: Option<&str>) -> Result<(), ArmError> {
    let changes = *method != Method::GET && *method != Method::HEAD;
    let is_told = matches!(route, Route::Policy(_)) && *method == Method::PUT;
    if changes && !is_told && what_if(query)? {
        let message =
            "What a change would do is told for a PUT of a JIT policy alone. Nothing was changed.";
        return Err(ArmError::new(Code::InvalidParameter, message).at(WHAT_IF));
    }
    Ok(())
}

/// A place for a request, until it is dropped.
struct Place<'a> {
    _share: Option<Held>,
    _place: Option<SemaphorePermit<'a>>,
}

/// A place for a request. Those who close have places besides the usual ones, and those who are not signed
/// in have others; what is answered out of memory, such as whether the server is up, needs none.
fn place<'a>(places: &'a Places, route: &Route, from: IpAddr) -> Result<Place<'a>, ArmError> {
    let mut share = None;
    let place = if signs_in(route) {
        share = Some(places.to_sign_in_of.take(from).ok_or_else(too_many_requests)?);
        places.to_sign_in.try_acquire()
    } else if route.is_open() {
        return Ok(Place { _share: None, _place: None });
    } else if matches!(route, Route::CloseRequest(..)) {
        places.usual.try_acquire().or_else(|_| places.to_close.try_acquire())
    } else {
        places.usual.try_acquire()
    };
    let place = place.map_err(|_| too_many_requests())?;
    Ok(Place { _share: share, _place: Some(place) })
}

/// Whether somebody who is nobody yet sends something there.
fn signs_in(route: &Route) -> bool {
    if let Route::Page(page) = route {
        return page.methods().contains(&"POST") || *page == Page::Callback;
    }
    matches!(route, Route::Token(_) | Route::DeviceCode(_) | Route::Authorize(_) | Route::Revoke(_))
}

/// The handler of each route that needs a token.
async fn handle<S: Store>(asked: &Asked<'_, S>, route: &Route) -> Result<Answer, ArmError> {
    match route {
        Route::Policies { group, location, .. } => {
            let (group, location) = (group.clone(), location.clone());
            let which = PolicyFilter { group, location, ..PolicyFilter::default() };
            jit::list_policies(asked, which).await
        }
        Route::Policy(id) => jit::policy(asked, id).await,
        Route::Initiate(id) => jit::initiate(asked, id).await,
        Route::Confirm(id) => jit::confirm(asked, id).await,
        Route::Requests(_) => own::list(asked).await,
        Route::Request(_, id) => own::get(asked, *id).await,
        Route::CloseRequest(_, id) => own::close(asked, *id).await,
        Route::Whoami(_) => Ok(own::whoami(asked)),
        Route::Guards(_) => own::guards(asked).await,
        Route::Account(_, route) => accounts::answer(asked, *route).await,
        Route::Sessions(_) => sessions::list(asked).await,
        Route::RevokeSession(_, id) => sessions::revoke(asked, *id).await,
        Route::Explain(_) => own::explain(asked).await,
        Route::Outlook(_) => own::outlook(asked).await,
        Route::Pricings(_) => pricing::list(asked).await,
        Route::Pricing(_, name) => pricing::pricing(asked, name).await,
        Route::Eligibility { group, .. } => eligibility::list(asked, group.as_ref()).await,
        Route::Roles(scope, what) => roles::answer(asked, scope, *what).await,
        Route::Approvals(scope, what) => pim::approvals(asked, scope.as_ref(), *what).await,
        Route::Principals(_, what) => principals::answer(asked, *what).await,
        Route::Can(_) => can::can(asked).await,
        Route::Resources { group, kind, .. } => network::list(asked, (*kind, group.as_ref())).await,
        Route::Resource(id) => network::resource(asked, id).await,
        Route::InstanceView(id) => network::instance_view(asked, id).await,
        Route::Parts(id, parts) => network::parts(asked, (id, *parts)).await,
        Route::Part(id, parts, name) => network::part(asked, (id, *parts, name)).await,
        Route::EffectiveGroups(id) => questions::effective(asked, id).await,
        Route::Watchers { group, .. } => questions::watchers(asked, group.as_ref()).await,
        Route::Watcher(id) => questions::watcher(asked, id).await,
        Route::VerifyFlow(id) => questions::verify_flow(asked, id).await,
        Route::Operation(..) => Ok(network::operation(asked)),
        Route::OperationResult(..) => Ok(network::operation_result(asked)),
        Route::Subscriptions => Ok(resources::subscriptions(asked)),
        Route::Subscription(_) => resources::subscription(asked).await,
        Route::Groups(_) => groups::list(asked).await,
        Route::Group(_, group) => groups::group(asked, group).await,
        Route::Tenants => Ok(resources::tenants(asked)),
        Route::MetadataEndpoints
        | Route::Token(_)
        | Route::Discovery(_)
        | Route::Keys(_)
        | Route::DeviceCode(_)
        | Route::Authorize(_)
        | Route::Revoke(_)
        | Route::Page(_)
        | Route::Healthz
        | Route::Readyz => Err(path_not_found(&asked.exchange.target)),
    }
}

/// The handler of each route that is served without a token.
async fn without_token<S: Store>(
    server: &Arc<Server<S>>,
    exchange: &Exchange,
    parts: Parts,
    body: &mut Incoming,
    route: &Route,
    address: OwnAddress,
) -> Result<Answer, ArmError> {
    let from = address.seen();
    let sign_in = async |body, wanted, tenant: &str| {
        open::sign_in(server, exchange, &parts.headers, body, (wanted, tenant), from).await
    };
    match route {
        Route::MetadataEndpoints => Ok(open::endpoints(server, exchange)),
        Route::Token(tenant) => sign_in(body, open::Wanted::Token, tenant).await,
        Route::DeviceCode(tenant) => sign_in(body, open::Wanted::DeviceCode, tenant).await,
        Route::Revoke(tenant) => sign_in(body, open::Wanted::Revocation, tenant).await,
        Route::Authorize(_) | Route::Page(_) => {
            pages::page(server, exchange, &parts, body, route, from).await
        }
        Route::Discovery(tenant) => Ok(open::discovery(server, exchange, tenant)),
        Route::Keys(tenant) => Ok(open::keys(server, exchange, tenant)),
        Route::Healthz => Ok(open::health(exchange)),
        Route::Readyz => Ok(open::ready(server, exchange)),
        // A route that is not named above stays shut, whoever calls it open.
        Route::Policies { .. }
        | Route::Policy(_)
        | Route::Initiate(_)
        | Route::Confirm(_)
        | Route::Requests(_)
        | Route::Request(..)
        | Route::CloseRequest(..)
        | Route::Whoami(_)
        | Route::Guards(_)
        | Route::Explain(_)
        | Route::Outlook(_)
        | Route::Resources { .. }
        | Route::Resource(_)
        | Route::InstanceView(_)
        | Route::Parts(..)
        | Route::Part(..)
        | Route::EffectiveGroups(_)
        | Route::Watchers { .. }
        | Route::Watcher(_)
        | Route::VerifyFlow(_)
        | Route::Operation(..)
        | Route::OperationResult(..)
        | Route::Pricings(_)
        | Route::Pricing(..)
        | Route::Eligibility { .. }
        | Route::Roles(..)
        | Route::Approvals(..)
        | Route::Principals(..)
        | Route::Can(_)
        | Route::Subscriptions
        | Route::Subscription(_)
        | Route::Groups(_)
        | Route::Group(..)
        | Route::Sessions(_)
        | Route::RevokeSession(..)
        | Route::Account(..)
        | Route::Tenants => Err(authentication_failed()),
    }
}

/// 401, with the header that tells clients where to sign in.
fn unauthorised<S>(server: &Server<S>, exchange: &Exchange, error: ArmError) -> Answer {
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", \
         error_description=\"Could not find identity for access token.\"",
        server.base, server.installation.tenant
    );
    with(exchange.error(error), "www-authenticate", &challenge)
}

/// The whole body, if it has no more than `most` bytes and comes soon enough.
pub(super) async fn read(
    body: &mut Incoming,
    headers: &HeaderMap,
    most: usize,
) -> Result<Bytes, ArmError> {
    let told = body.size_hint().lower();
    if told > most as u64 {
        return Err(too_large(most));
    }
    if told == 0 && body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limited = Limited::new(body, most);
    match tokio::time::timeout(BODY_WITHIN, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => {
            let kind = headers.get(CONTENT_TYPE).is_some();
            tracing::debug!(kind, "a body was cut off");
            Err(ArmError::new(Code::InvalidRequestContent, "The request content was cut off."))
        }
        Err(_) => {
            tracing::debug!("a body took too long");
            let message =
                format!("The request content did not arrive within {} s.", BODY_WITHIN.as_secs());
            Err(ArmError::new(Code::InvalidRequestContent, message))
        }
    }
}

/// What a call is counted as.
fn name(route: &Route, method: &Method) -> &'static str {
    let verb = |read, write, delete| match *method {
        Method::PUT | Method::PATCH => write,
        Method::DELETE => delete,
        _ => read,
    };
    match route {
        Route::Policies { .. } => "policy_list",
        Route::Policy(_) => verb("policy_get", "policy_put", "policy_delete"),
        Route::Initiate(_) => "initiate",
        Route::Confirm(_) => "policy_confirm",
        Route::Requests(_) => "request_list",
        Route::Request(..) => "request_get",
        Route::CloseRequest(..) => "request_close",
        Route::Whoami(_) => "whoami",
        Route::Guards(_) => "guard_list",
        Route::Explain(_) => "explain",
        Route::Resources { kind: Kind::VirtualMachines, .. } => "vm_list",
        Route::Resource(ResourceId { kind: Kind::VirtualMachines, .. }) => {
            verb("vm_get", "vm_put", "vm_delete")
        }
        Route::InstanceView(_) => "vm_get",
        Route::Outlook(_) => "outlook",
        Route::Resources { .. } => "resource_list",
        Route::Resource(_) => verb("resource_get", "resource_put", "resource_delete"),
        Route::Parts(..) => "resource_part_list",
        Route::Part(..) => verb("resource_part_get", "resource_part_put", "resource_part_delete"),
        Route::EffectiveGroups(_) => "effective_rules",
        Route::Watchers { .. } | Route::Watcher(_) => "watcher_get",
        Route::VerifyFlow(_) => "flow_verify",
        Route::Operation(..) | Route::OperationResult(..) => "operation_get",
        Route::Pricings(_) => "pricing_list",
        Route::Pricing(..) => verb("pricing_get", "pricing_put", "pricing_delete"),
        Route::Eligibility { .. } => "eligibility_list",
        Route::Roles(_, RoleRoute::Assignments) => "role_assignment_list",
        Route::Roles(_, RoleRoute::Assignment(_)) => {
            verb("role_assignment_get", "role_assignment_put", "role_assignment_delete")
        }
        Route::Roles(_, RoleRoute::Definitions) => "role_definition_list",
        Route::Roles(_, RoleRoute::Definition(_)) => {
            verb("role_definition_get", "role_definition_put", "role_definition_delete")
        }
        Route::Roles(_, RoleRoute::Permissions) => "permission_list",
        Route::Roles(_, RoleRoute::Pim(_)) => {
            verb("role_schedule_get", "role_schedule_put", "role_schedule_delete")
        }
        Route::Approvals(..) => verb("role_approval_get", "role_approval_put", "role_approval_get"),
        Route::Principals(_, PrincipalRoute::All) => "principal_list",
        Route::Principals(_, PrincipalRoute::One(_)) => {
            verb("principal_get", "principal_put", "principal_delete")
        }
        Route::Principals(_, PrincipalRoute::Disable(_) | PrincipalRoute::Enable(_)) => {
            "principal_put"
        }
        Route::Can(_) => "can",
        Route::Subscriptions | Route::Subscription(_) | Route::Tenants => "subscription_get",
        Route::Groups(_) => "group_list",
        Route::Group(..) => verb("group_get", "group_put", "group_delete"),
        Route::MetadataEndpoints | Route::Discovery(_) | Route::Keys(_) => "discovery",
        Route::Token(_) | Route::DeviceCode(_) | Route::Revoke(_) => "token",
        Route::Authorize(_) | Route::Page(_) => "page",
        Route::Account(..) => "account",
        Route::Sessions(_) => "session_list",
        Route::RevokeSession(..) => "session_revoke",
        Route::Healthz | Route::Readyz => "health",
    }
}
