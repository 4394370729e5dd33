//! Every path is read as it is built, in any case; and what leads nowhere says so.

use hourgate_api::{
    error::Code,
    paths::{
        ApprovalRoute, Of, Parts, PathError, PimRoute, PrincipalRoute, RequestQuery, RoleRoute,
        Route, StatusFilter, check_version, wait_seconds,
    },
};

use hourgate_core::{
    resource::{Kind, ResourceId},
    role::Scope,
};

use crate::world::{AZURE_POLICY, AZURE_VM};

const S: &str = "20ff7fc3-e762-44dd-bd96-b71116dcdc23";

fn every_route() -> Vec<Route> {
    let s = S.parse().unwrap();
    let (group, location): (hourgate_core::id::Name, hourgate_core::id::Location) =
        ("my-Rg_1.(x)".parse().unwrap(), "westeurope".parse().unwrap());
    let id = "ab12cd".parse().unwrap();
    let network =
        |kind| ResourceId { subscription: s, group: group.clone(), kind, name: group.clone() };
    let (whole, policy): (Scope, hourgate_core::id::PolicyId) =
        (Scope::subscription(s), AZURE_POLICY.parse().unwrap());
    let vm: hourgate_core::id::VmId = AZURE_VM.parse().unwrap();
    let policies = |group, location| Route::Policies { subscription: s, group, location };
    vec![
        policies(None, None),
        policies(Some(group.clone()), None),
        policies(None, Some(location.clone())),
        policies(Some(group.clone()), Some(location)),
        Route::Policy(AZURE_POLICY.parse().unwrap()),
        Route::Initiate(AZURE_POLICY.parse().unwrap()),
        Route::Confirm(AZURE_POLICY.parse().unwrap()),
        Route::Requests(s),
        Route::Request(s, id),
        Route::CloseRequest(s, id),
        Route::Whoami(None),
        Route::Whoami(Some(s)),
        Route::Guards(s),
        Route::Explain(s),
        Route::Resources { subscription: s, group: None, kind: Kind::VirtualMachines },
        Route::Resource(network(Kind::VirtualMachines)),
        Route::InstanceView(network(Kind::VirtualMachines)),
        Route::Outlook(s),
        Route::Resources { subscription: s, group: None, kind: Kind::VirtualNetworks },
        Route::Resources {
            subscription: s,
            group: Some(group.clone()),
            kind: Kind::PublicIpAddresses,
        },
        Route::Resource(network(Kind::NetworkInterfaces)),
        Route::Parts(network(Kind::VirtualNetworks), Parts::Subnets),
        Route::Parts(network(Kind::NetworkSecurityGroups), Parts::DefaultSecurityRules),
        Route::Part(network(Kind::NetworkSecurityGroups), Parts::SecurityRules, group.clone()),
        Route::Operation(s, "local".parse().unwrap(), s),
        Route::OperationResult(s, "local".parse().unwrap(), s),
        Route::Pricings(s),
        Route::Pricing(s, "VirtualMachines".parse().unwrap()),
        Route::Eligibility { subscription: s, group: None },
        Route::Eligibility { subscription: s, group: Some(group.clone()) },
        Route::Roles(whole.clone(), RoleRoute::Assignments),
        Route::Roles(whole.clone(), RoleRoute::Assignment(s)),
        Route::Roles(Scope::group(s, &group), RoleRoute::Definitions),
        Route::Roles(Scope::from(&policy), RoleRoute::Definition(s)),
        Route::Roles(Scope::from(&vm), RoleRoute::Permissions),
        Route::Roles(Scope::from(&vm).part("extensions", &group), RoleRoute::Assignments),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Requests(Of::Assignment))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Request(Of::Eligibility, s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Cancel(Of::Assignment, s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Validate(Of::Assignment, s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Schedules(Of::Eligibility))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Schedule(Of::Assignment, s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Instances(Of::Eligibility))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Instance(Of::Assignment, s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Policies)),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::Policy(s))),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::PolicyAssignments)),
        Route::Roles(whole.clone(), RoleRoute::Pim(PimRoute::PolicyAssignment(s))),
        Route::Approvals(None, ApprovalRoute::All),
        Route::Approvals(Some(whole.clone()), ApprovalRoute::One(s)),
        Route::Approvals(None, ApprovalRoute::Stages(s)),
        Route::Approvals(Some(whole.clone()), ApprovalRoute::Stage(s, s)),
        Route::Principals(s, PrincipalRoute::All),
        Route::Principals(s, PrincipalRoute::One(s)),
        Route::Principals(s, PrincipalRoute::Disable(s)),
        Route::Principals(s, PrincipalRoute::Enable(s)),
        Route::Can(s),
        Route::Subscriptions,
        Route::Subscription(s),
        Route::Groups(s),
        Route::Group(s, group),
        Route::Tenants,
        Route::MetadataEndpoints,
        Route::Token("organizations".to_owned()),
        Route::Discovery("my tenant/é".to_owned()),
        Route::Keys(S.to_owned()),
        Route::Healthz,
        Route::Readyz,
    ]
}

#[test]
fn every_path_is_read_as_it_is_built() {
    for route in every_route() {
        let path = route.to_string();
        assert_eq!(Route::parse(&path), Ok(route.clone()), "{path}");
        assert_eq!(Route::parse(&format!("{path}/")), Ok(route.clone()), "{path}/");
        assert_eq!(Route::parse(&format!("/{path}")), Ok(route.clone()), "/{path}");
        assert!(Route::parse(&format!("{path}/more")).as_ref() != Ok(&route), "{path}/more");
        // Names keep how they were written; everything else is the same in any case.
        if let Ok(read) = Route::parse(&path.to_ascii_uppercase()) {
            assert_eq!(read.to_string().to_ascii_lowercase(), path.to_ascii_lowercase());
        } else {
            panic!("{path} is not read in capitals");
        }
        assert!(route.methods().iter().all(|method| route.allows(method)));
        assert!(!route.allows("TRACE"));
        assert_eq!(route.uri().contains("?api-version="), route.version().is_some());
    }
}

#[test]
fn the_paths_that_clients_send_are_read() {
    let policy: hourgate_core::id::PolicyId = AZURE_POLICY.parse().unwrap();
    for (path, route) in [
        (
            AZURE_POLICY.replace("Microsoft.Security", "microsoft.Security") + "/Initiate",
            Route::Initiate(policy.clone()),
        ),
        (AZURE_POLICY.replace("westeurope", "West%20Europe"), Route::Policy(policy.clone())),
        (AZURE_POLICY.replace("jitNetwork", "%6aitNetwork"), Route::Policy(policy)),
        (format!("/subscriptions/{S}/resourcegroups"), Route::Groups(S.parse().unwrap())),
    ] {
        assert_eq!(Route::parse(&path), Ok(route), "{path}");
    }
}

#[test]
fn what_leads_nowhere_says_so() {
    let provider = format!("/subscriptions/{S}/providers");
    let rg = format!("/subscriptions/{S}/resourceGroups");
    for path in [
        "",
        "/",
        "relative",
        "//",
        "/subscriptions//",
        "/nothing",
        "/metadata",
        "/%ff",
        &format!("{provider}/Microsoft.Network/networkSecurityGroups/g"),
        &format!("{provider}/Microsoft.Network/routeTables"),
        &format!("{rg}/g/providers/Microsoft.Network/networkInterfaces/n/subnets"),
        &format!("{rg}/g/providers/Microsoft.Network/virtualNetworks/v/subnets/a/b"),
        &format!("{provider}/Microsoft.Compute/virtualMachines/vm1"),
        &format!("{provider}/Microsoft.Security/locations/x/jitNetworkAccessPolicies/default"),
        &format!("{AZURE_POLICY}/revoke"),
        &format!("{AZURE_POLICY}%2finitiate"),
        &format!("{rg}/bad name/providers/Microsoft.Network/virtualNetworks"),
    ] {
        let error = Route::parse(path).expect_err(path);
        let code = error.explain(path).code;
        let expected = if matches!(error, PathError::Unknown) {
            Code::InvalidResourceType
        } else if path.starts_with("/subscriptions//") {
            Code::InvalidSubscriptionId
        } else {
            Code::InvalidParameter
        };
        assert_eq!(code, expected, "{path}");
    }
    for (path, code) in [
        ("/subscriptions/zero".to_owned(), Code::InvalidSubscriptionId),
        (format!("/subscriptions/{}", S.replace('-', "")), Code::InvalidSubscriptionId),
        (format!("{rg}/a%1b[2Jb"), Code::InvalidParameter),
        (format!("{rg}/-rf"), Code::InvalidParameter),
        (format!("{rg}/a%2Fb"), Code::InvalidParameter),
        (AZURE_VM.replace("vm1", "vm%E2%80%AE1"), Code::InvalidParameter),
        (format!("{provider}/Hourgate.Access/requests/nope"), Code::ResourceNotFound),
        (
            format!("{rg}/g/providers/Microsoft.ClassicCompute/virtualMachines/old"),
            Code::InvalidResourceType,
        ),
        (format!("{provider}/Microsoft.Security/pricings/a%2Fb"), Code::InvalidParameter),
    ] {
        let error = Route::parse(&path).expect_err(&path).explain(&path);
        assert_eq!(error.code, code, "{path}");
        assert!(!error.message.contains(['\u{1b}', '\u{202e}']), "{}", error.message);
    }
}

#[test]
fn only_what_must_be_open_is_open() {
    let open: Vec<String> =
        every_route().into_iter().filter(Route::is_open).map(|route| route.to_string()).collect();
    assert_eq!(
        open,
        [
            "/metadata/endpoints",
            "/organizations/oauth2/v2.0/token",
            "/my%20tenant%2F%C3%A9/v2.0/.well-known/openid-configuration",
            &format!("/{S}/discovery/v2.0/keys"),
            "/healthz",
            "/readyz",
        ]
    );
}

#[test]
fn any_date_is_a_version_and_none_is_refused() {
    for good in ["2020-01-01", "2015-06-01-preview", "2026-11-01", "1999-12-31-PREVIEW"] {
        assert_eq!(check_version(Some(&format!("api-version={good}"))), Ok(()), "{good}");
        assert_eq!(check_version(Some(&format!("$top=1&API-Version={good}"))), Ok(()), "{good}");
    }
    for bad in
        ["2020-13-01", "2020-1-1", "latest", "2020-01-01-", "2020-01-01x", "-020-01-01", "%1b%5b"]
    {
        let error = check_version(Some(&format!("api-version={bad}"))).unwrap_err();
        assert_eq!(error.code, Code::InvalidApiVersionParameter, "{bad}");
        assert!(!error.message.contains('\u{1b}'));
    }
    for query in [None, Some(""), Some("api-version="), Some("version=2020-01-01")] {
        let error = check_version(query).unwrap_err();
        assert_eq!(error.code, Code::MissingApiVersionParameter);
        assert_eq!(
            error.message,
            "The api-version query parameter (?api-version=) is required for all requests."
        );
    }
}

#[test]
fn a_query_for_requests_is_read_as_it_is_built() {
    let query = RequestQuery {
        status: Some(StatusFilter::Live),
        vm: Some(AZURE_VM.parse().unwrap()),
        requestor: Some("o'brien and sons@contoso.com".to_owned()),
        before: Some((
            "2026-11-23T14:00:00.123456789Z".parse().unwrap(),
            "ab12cd".parse().unwrap(),
        )),
        most: 5,
    };
    let parameters = query.parameters();
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let uri = Route::Requests(S.parse().unwrap()).with_query(&parameters);
    let (_, sent) = uri.split_once('?').unwrap();
    assert_eq!(check_version(Some(sent)), Ok(()));
    assert_eq!(RequestQuery::parse(Some(sent)), Ok(query));
    assert_eq!(RequestQuery::parse(None), Ok(RequestQuery::default()));
    assert_eq!(RequestQuery::parse(Some("$filter=")), Ok(RequestQuery::default()));
    for bad in [
        "$filter=status eq 'Open'",
        "$filter=status ne 'Live'",
        "$filter=vm eq 'web-1'",
        "$filter=status eq 'Live' or vm eq 'x'",
        "$filter=status",
        "$filter=x eq 'y'",
        "$filter=status eq 'Live",
        "$top=0",
        "$top=many",
        "$top=1001",
        "$skipToken=x",
    ] {
        let error = RequestQuery::parse(Some(bad)).expect_err(bad);
        assert_eq!(error.code, Code::InvalidParameter, "{bad}");
    }
    assert_eq!(wait_seconds(Some("wait=5")), Ok(Some(5)));
    assert_eq!(wait_seconds(Some("wait=50")), Ok(Some(50)));
    assert!(wait_seconds(Some("wait=51")).is_err());
    assert_eq!(wait_seconds(Some("api-version=x")), Ok(None));
    assert!(wait_seconds(Some("wait=-1")).is_err());
}
