//! From where: subsets by arithmetic, Any and one's own address, and how wide passes (P3, P4).

use hourgate_core::{
    network::Family,
    refusal::{ApprovalNeeded, Refusal, SourceNeeded},
};

use crate::scene::*;

/// What becomes of an ask.
enum Answer {
    /// These openings.
    Opens(&'static [&'static str]),
    /// Refused as a source that is not allowed.
    NotAllowed,
    /// Refused, as it is not the caller's own and only Any covers it.
    NotOwn,
    /// Refused, as the person's sources are together wider than this.
    TooWide(u8),
    /// Refused, as the VM has no address of the family.
    NoFamily,
    /// Refused, as a source must be named.
    Needed(SourceNeeded),
}
use Answer::{Needed, NoFamily, NotAllowed, NotOwn, Opens, TooWide};

#[track_caller]
fn holds(why: &str, mut scene: Scene, asking: Asking, answer: &Answer) {
    let refusals = match answer {
        Opens(openings) => {
            scene.gets(asking);
            assert_eq!(scene.open(), *openings, "{why}");
            return;
        }
        NotAllowed | NotOwn | TooWide(_) | NoFamily | Needed(_) => scene.denies(asking),
    };
    let as_said = match (answer, &refusals[..]) {
        (NotAllowed, [Refusal::SourceNotAllowed { allowed, .. }]) => !allowed.is_empty(),
        (
            NotOwn,
            [Refusal::ApprovalRequired { why: ApprovalNeeded::NotOwnAddress { own }, .. }],
        ) => *own == Some(ip(OWN)) || own.is_none(),
        (
            TooWide(length),
            [
                Refusal::ApprovalRequired {
                    why: ApprovalNeeded::TooWide { widest, family }, ..
                },
            ],
        ) => widest == length && (*family == Family::V4) == (*length == 24),
        (NoFamily, [Refusal::NoAddressInFamily { families, .. }]) => families.len() == 1,
        (Needed(wanted), [Refusal::SourceNeeded { why, .. }]) => why == wanted,
        _ => false,
    };
    assert!(as_said, "{why}: {refusals:?}");
}

#[test]
fn a_source_that_the_policy_names() {
    let v4 = |sources: &[&str]| web(rule_from(22, sources));
    let rows = [
        (
            "a single address inside an allowed prefix is a subset (Azure wrongly refuses it)",
            v4(&["203.0.113.0/24"]),
            ask("web", 22).from("203.0.113.99"),
            Opens(&["203.0.113.99/32 > 10.0.0.4 22"]),
        ),
        (
            "written with its full length it is the same",
            v4(&["203.0.113.99"]),
            ask("web", 22).from("203.0.113.99/32"),
            Opens(&["203.0.113.99/32 > 10.0.0.4 22"]),
        ),
        (
            "a nested prefix is a subset",
            v4(&["203.0.112.0/20"]),
            ask("web", 22).from("203.0.113.0/25"),
            Opens(&["203.0.113.0/25 > 10.0.0.4 22"]),
        ),
        (
            "a wider prefix is not, though it begins the same",
            v4(&["203.0.113.0/25"]),
            ask("web", 22).from("203.0.113.0/24"),
            NotAllowed,
        ),
        (
            "two prefixes that together cover what is asked cover it",
            v4(&["203.0.113.0/25", "203.0.113.128/25"]),
            ask("web", 22).from("203.0.113.0/24"),
            Opens(&["203.0.113.0/24 > 10.0.0.4 22"]),
        ),
        (
            "a gap between them does not",
            v4(&["203.0.113.0/25", "203.0.113.192/26"]),
            ask("web", 22).from("203.0.113.0/24"),
            NotAllowed,
        ),
        (
            "IPv6 by the same arithmetic",
            v4(&["2001:db8::/32"]),
            ask("web", 22).from("2001:db8:1::/48"),
            Opens(&["2001:db8:1::/48 > fd00::4 22"]),
        ),
        (
            "an allowed IPv4 prefix says nothing of IPv6",
            v4(&["203.0.113.0/24"]),
            ask("web", 22).from("2001:db8::7"),
            NotAllowed,
        ),
        (
            "Any is no subset of a prefix",
            v4(&["203.0.113.0/24"]),
            ask("web", 22).from("*"),
            NotAllowed,
        ),
        (
            "one's own address is not above the policy",
            v4(&["198.51.100.0/24"]),
            ask("web", 22),
            NotAllowed,
        ),
    ];
    for (why, scene, asking, answer) in rows {
        holds(why, scene, asking, &answer);
    }
}

#[test]
fn a_source_that_only_any_covers() {
    let own = Opens(&["203.0.113.7/32 > 10.0.0.4 22"]);
    let other = "198.51.100.9";
    let any = |sources: &[&str]| web(rule_from(22, sources));
    let allowed = |sources: &[&str]| web(others_allowed(rule_from(22, sources)));
    let rows = [
        ("the caller's own address goes", any(&["*"]), ask("web", 22), own),
        (
            "also when named, also as a prefix of full length",
            any(&["*"]),
            ask("web", 22).from("203.0.113.7/32"),
            Opens(&["203.0.113.7/32 > 10.0.0.4 22"]),
        ),
        ("another's needs approval", any(&["*"]), ask("web", 22).from(other), NotOwn),
        ("0.0.0.0/0 is Any", any(&["0.0.0.0/0"]), ask("web", 22).from(other), NotOwn),
        ("/7 is Any", any(&["198.0.0.0/7"]), ask("web", 22).from(other), NotOwn),
        (
            "/8 names a place",
            any(&["198.0.0.0/8"]),
            ask("web", 22).from(other),
            Opens(&["198.51.100.9/32 > 10.0.0.4 22"]),
        ),
        (
            "/9 too",
            any(&["198.0.0.0/9"]),
            ask("web", 22).from(other),
            Opens(&["198.51.100.9/32 > 10.0.0.4 22"]),
        ),
        ("IPv6 /15 is Any", any(&["2000::/15"]), ask("web", 22).from("2001:1::9"), NotOwn),
        (
            "IPv6 /16 names a place",
            any(&["2001::/16"]),
            ask("web", 22).from("2001:1::9"),
            Opens(&["2001:1::9/128 > fd00::4 22"]),
        ),
        (
            "prefixes that together cover the family are Any",
            any(&["0.0.0.0/1", "128.0.0.0/1"]),
            ask("web", 22).from(other),
            NotOwn,
        ),
        (
            "a named prefix beside Any still names",
            any(&["*", "198.51.100.0/24"]),
            ask("web", 22).from(other),
            Opens(&["198.51.100.9/32 > 10.0.0.4 22"]),
        ),
        (
            "`otherAddresses: allowed` lets one single address of somebody else pass",
            allowed(&["*"]),
            ask("web", 22).from(other),
            Opens(&["198.51.100.9/32 > 10.0.0.4 22"]),
        ),
        ("but no prefix", allowed(&["*"]), ask("web", 22).from("198.51.100.0/31"), NotOwn),
        ("and never the world", allowed(&["*"]), ask("web", 22).from("*"), NotOwn),
        (
            "a widest of 0 waives the width, not Any",
            web(widest(0, 0, rule(22))),
            ask("web", 22).from("*"),
            NotOwn,
        ),
        (
            "loopback is nobody's own, also when it is named",
            any(&["*"]),
            ask("web", 22).seen_at_nobodys("127.0.0.1").from("127.0.0.1"),
            NotOwn,
        ),
        (
            "and never filled in",
            any(&["*"]),
            ask("web", 22).seen_at_nobodys("127.0.0.1"),
            Needed(SourceNeeded::Nobodys),
        ),
    ];
    for (why, scene, asking, answer) in rows {
        holds(why, scene, asking, &answer);
    }
}

#[test]
fn families() {
    let only_v4 = || {
        scene()
            .vm("web", &["10.0.0.4", "10.0.1.4"])
            .policy("p", vec![member("web", vec![rule(22)])])
    };
    let rows = [
        (
            "every address of the source's family opens, and none of the other",
            only_v4().vm("other", &["fd00::9"]),
            ask("web", 22),
            Opens(&["203.0.113.7/32 > 10.0.0.4 22", "203.0.113.7/32 > 10.0.1.4 22"]),
        ),
        (
            "one's own address of a family that the VM lacks is not filled in",
            only_v4(),
            ask("web", 22).seen("2001:db8::7"),
            Needed(SourceNeeded::OtherFamily),
        ),
        (
            "and refused when it is named",
            only_v4(),
            ask("web", 22).seen("2001:db8::7").from("2001:db8::7"),
            NoFamily,
        ),
        (
            "one's own IPv6 address goes where the VM has one",
            web(rule(22)),
            ask("web", 22).seen("2001:db8::7"),
            Opens(&["2001:db8::7/128 > fd00::4 22"]),
        ),
    ];
    for (why, scene, asking, answer) in rows {
        holds(why, scene, asking, &answer);
    }
}

#[test]
fn how_wide_passes_without_approval() {
    let named = || web(rule_from(22, &["203.0.0.0/16", "2001:db8::/32"]));
    let with = |text: &str| {
        let mut scene = named();
        scene.gets(ask("web", 22).from(text));
        scene
    };
    let rows = [
        (
            "/24 goes",
            named(),
            ask("web", 22).from("203.0.113.0/24"),
            Opens(&["203.0.113.0/24 > 10.0.0.4 22"]),
        ),
        ("/23 does not", named(), ask("web", 22).from("203.0.112.0/23"), TooWide(24)),
        (
            "IPv6 /48 goes",
            named(),
            ask("web", 22).from("2001:db8:1::/48"),
            Opens(&["2001:db8:1::/48 > fd00::4 22"]),
        ),
        ("IPv6 /47 does not", named(), ask("web", 22).from("2001:db8:2::/47"), TooWide(48)),
        (
            "0 waives the limit",
            web(widest(0, 0, rule_from(22, &["203.0.0.0/16"]))),
            ask("web", 22).from("203.0.0.0/16"),
            Opens(&["203.0.0.0/16 > 10.0.0.4 22"]),
        ),
        (
            "a person's live sources count together: nobody goes around it in pieces",
            with("203.0.112.0/24"),
            ask("web", 22).from("203.0.113.0/24"),
            TooWide(24),
        ),
        (
            "one address more than /24 is more",
            with("203.0.112.0/24"),
            ask("web", 22).from("203.0.113.0"),
            TooWide(24),
        ),
        (
            "what lies within what is open adds nothing",
            with("203.0.112.0/24"),
            ask("web", 22).from("203.0.112.9"),
            Opens(&["203.0.112.0/24 > 10.0.0.4 22", "203.0.112.9/32 > 10.0.0.4 22"]),
        ),
        (
            "two halves of a /24 are a /24",
            with("203.0.113.0/25"),
            ask("web", 22).from("203.0.113.128/25"),
            Opens(&["203.0.113.0/25 > 10.0.0.4 22", "203.0.113.128/25 > 10.0.0.4 22"]),
        ),
        (
            "somebody else's sources are theirs",
            with("203.0.112.0/24"),
            ask("web", 22).by("bob").from("203.0.113.0/24"),
            Opens(&["203.0.112.0/24 > 10.0.0.4 22", "203.0.113.0/24 > 10.0.0.4 22"]),
        ),
        (
            "the families are counted apart",
            with("203.0.112.0/24"),
            ask("web", 22).from("2001:db8:1::/48"),
            Opens(&["203.0.112.0/24 > 10.0.0.4 22", "2001:db8:1::/48 > fd00::4 22"]),
        ),
    ];
    for (why, scene, asking, answer) in rows {
        holds(why, scene, asking, &answer);
    }
}

#[test]
fn what_ended_no_longer_counts_towards_the_width() {
    let mut scene = web(rule_from(22, &["203.0.0.0/16"]));
    let first = scene.gets(ask("web", 22).from("203.0.112.0/24"));
    scene.does(&end(first));
    scene.gets(ask("web", 22).from("203.0.113.0/24"));
    assert_eq!(scene.open(), ["203.0.113.0/24 > 10.0.0.4 22"]);
}
