//! What a change of a policy does to the accesses under it (P8; design: "Policy loses the VM …").

use hourgate_core::command::{MemberDraft, Sent};

use crate::scene::*;

#[test]
fn a_policy_that_no_longer_covers_withdraws() {
    let web_with = |rule| vec![member("web", vec![rule])];
    let rows: Vec<(&str, Vec<MemberDraft>, &str)> = vec![
        ("it loses the VM", vec![member("db", vec![rule(22)])], "withdrawn"),
        ("it loses the port", web_with(rule(443)), "withdrawn"),
        ("it loses the source", web_with(rule_from(22, &["198.51.100.0/24"])), "withdrawn"),
        ("it loses a part of it", web_with(rule_from(22, &["203.0.113.0/25"])), "withdrawn"),
        (
            "it gains a source",
            web_with(rule_from(22, &["203.0.113.0/24", "10.0.0.0/8"])),
            "granted",
        ),
        ("approval is newly required: what runs stays", web_with(rule(22)), "granted"),
        (
            "a narrower width is asked of the next",
            web_with(widest(32, 128, rule_from(22, &["203.0.113.0/24"]))),
            "granted",
        ),
        (
            "another VM comes along",
            {
                let mut both = web_with(rule_from(22, &["203.0.113.0/24"]));
                both.push(member("db", vec![rule(22)]));
                both
            },
            "granted",
        ),
    ];
    for (why, vms, stage) in rows {
        let mut scene = scene()
            .vm("web", &["10.0.0.4"])
            .vm("db", &["10.0.0.5"])
            .policy("p", web_with(rule_from(22, &["203.0.113.0/24"])));
        let running = scene.gets(ask("web", 22).from("203.0.113.0/24"));
        let planned = scene
            .gets(ask("web", 22).by("bob").from("203.0.113.0/24").starting(noon_and(hours(1))));
        scene.does(&set("p", vms));
        assert_eq!(scene.stage(running), stage, "{why}");
        let stage = if stage == "granted" { "planned" } else { stage };
        assert_eq!(scene.stage(planned), stage, "{why}: a plan too");
    }
}

#[test]
fn removing_a_policy_withdraws_all() {
    let mut scene = web(rule(22));
    let running = scene.gets(ask("web", 22));
    let planned = scene.gets(ask("web", 22).by("bob").starting(noon_and(hours(1))));
    scene.does(&remove("p"));
    assert_eq!((scene.stage(running), scene.stage(planned)), ("withdrawn", "withdrawn"));
    assert!(scene.open().is_empty());
}

#[test]
fn a_shorter_longest_ends_what_runs_earlier() {
    let shorten = |longest| set("p", vec![member("web", vec![for_at_most(longest, rule(22))])]);
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    scene.waits(minutes(30));
    scene.does(&shorten(hours(2)));
    assert_eq!(scene.left(), [minutes(90)], "since + longest");
    scene.does(&shorten(hours(3)));
    assert_eq!(scene.left(), [minutes(90)], "longer again lengthens nothing");
    scene.waits(minutes(45));
    scene.does(&shorten(hours(1)));
    assert_eq!(scene.stage(id), "withdrawn", "its time was over by that rule");

    let mut short = web(rule(22));
    short.gets(ask("web", 22).lasting(minutes(20)));
    short.does(&shorten(hours(1)));
    assert_eq!(short.left(), [minutes(20)], "an end before that stays");

    let mut exact = web(rule(22));
    let id = exact.gets(ask("web", 22));
    exact.waits(hours(1));
    exact.does(&shorten(hours(1)));
    assert_eq!(exact.stage(id), "withdrawn", "over in that very moment");
}

#[test]
fn a_shorter_longest_counts_on_the_clock_that_knows_no_steps() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22));
    scene.waits(minutes(30));
    scene.is_set_back(minutes(20));
    scene.state.highest = None;
    scene.does(&set("p", vec![member("web", vec![for_at_most(hours(1), rule(22))])]));
    assert_eq!(scene.left(), [minutes(30)], "an hour from when it began, not from the step");
}

#[test]
fn a_shorter_longest_holds_for_plans_when_they_begin() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22).starting(noon_and(hours(1))));
    scene.does(&set("p", vec![member("web", vec![for_at_most(hours(1), rule(22))])]));
    scene.waits(hours(1));
    scene.ticks();
    assert_eq!(scene.left(), [hours(1)]);
}

#[test]
fn sessions_can_be_changed_while_an_access_runs() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22));
    let mut ends = rule(22);
    ends.end_sessions = Sent::Value(true);
    scene.does(&set("p", vec![member("web", vec![ends])]));
    assert_eq!(scene.left(), [hours(3)]);
}
