//! A policy can want a fresh sign-in, or a second factor, of whoever asks (P14).

use hourgate_core::{
    command::{PortDraft, Sent},
    policy::SignInDemand,
    refusal::Refusal,
    role::SignIn,
};

use crate::scene::*;

fn demanding(within: Option<u64>, second_factor: bool) -> PortDraft {
    let demand = SignInDemand { within: within.map(minutes), second_factor };
    PortDraft { sign_in: Sent::Value(demand), ..rule(22) }
}

/// Ann asks, having signed in so long ago, with a second factor or without.
fn signed_in(ago: u64, second_factor: bool) -> Asking {
    let mut ask = ask("web", 22);
    let at = noon().checked_sub(minutes(ago)).expect("in range");
    ask.0.sign_in = Some(SignIn { at, second_factor });
    ask
}

#[test]
fn each_demand_is_met_by_what_meets_it_alone() {
    for (why, within, factor, ask, passes) in [
        ("nothing is wanted", None, false, ask("web", 22), true),
        ("just in time", Some(15), false, signed_in(15, false), true),
        ("too long ago", Some(15), false, signed_in(16, true), false),
        ("with a second factor", None, true, signed_in(600, true), true),
        ("without one", None, true, signed_in(0, false), false),
        ("both", Some(15), true, signed_in(1, true), true),
        ("fresh, and one factor", Some(15), true, signed_in(1, false), false),
        ("two factors, and old", Some(15), true, signed_in(16, true), false),
        ("a service", Some(15), false, ask("web", 22), false),
        ("a service, of which two are wanted", None, true, ask("web", 22), false),
    ] {
        let mut scene = web(demanding(within, factor));
        if passes {
            scene.gets(ask);
            continue;
        }
        let demand = SignInDemand { within: within.map(minutes), second_factor: factor };
        let was = ask.0.sign_in;
        let refusal = Refusal::SignInNeeded { at: at("web", 22), demand, was };
        assert_eq!(scene.denies(ask), [refusal], "{why}");
    }
}

#[test]
fn a_demand_stays_where_it_is_left_out_and_goes_where_it_is_cleared() {
    let mut scene = web(demanding(None, true));
    scene.does(&set("p", vec![member("web", vec![rule_from(22, &["203.0.113.0/24", "*"])])]));
    assert_eq!(scene.denies(ask("web", 22)).len(), 1, "left out");
    let cleared = PortDraft { sign_in: Sent::Cleared, ..rule(22) };
    scene.does(&set("p", vec![member("web", vec![cleared])]));
    let id = scene.gets(ask("web", 22));
    // What runs goes on when the demand comes back: it is about asking.
    scene.does(&set("p", vec![member("web", vec![demanding(Some(15), true)])]));
    assert_eq!(scene.stage(id), "granted");
}

#[test]
fn the_time_stays_within_bounds() {
    let mut scene = web(rule(22));
    let (least, most) = (minutes(1), hours(24));
    for within in [0, 24 * 60 + 1] {
        let sent = set("p", vec![member("web", vec![demanding(Some(within), false)])]);
        let refusal = Refusal::SignInOutOfBounds { at: at("web", 22), least, most };
        assert_eq!(scene.refuses(&sent), [refusal]);
    }
}
