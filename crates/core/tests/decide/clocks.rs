//! Two clocks: the earlier end counts, and no step, suspension or reboot lengthens an access.

use hourgate_core::{command::Command, open::next_deadline, refusal::Refusal};

use crate::scene::*;

#[test]
fn the_earlier_of_two_ends_counts() {
    let mut back = web(rule(22));
    back.gets(ask("web", 22).lasting(hours(1)));
    back.waits(minutes(30));
    back.is_set_back(minutes(30));
    assert_eq!(back.left(), [minutes(30)], "set back: the boot clock ends it");
    let mut forward = web(rule(22));
    forward.gets(ask("web", 22).lasting(hours(1)));
    forward.now.wall = noon_and(minutes(50));
    assert_eq!(forward.left(), [minutes(10)], "set forward: the wall clock ends it");
}

#[test]
fn a_clock_behind_what_was_committed() {
    let mut tolerated = web(rule(22));
    tolerated.is_set_back(seconds(5));
    tolerated.gets(ask("web", 22));
    let mut behind = web(rule(22));
    behind.gets(ask("web", 22).lasting(hours(1)));
    let plan = behind.gets(ask("web", 22).by("bob").starting(noon_and(seconds(1))));
    behind.waits(minutes(1));
    behind.does(&Command::Tick);
    let highest = behind.now.wall;
    behind.is_set_back(seconds(5) + std::time::Duration::from_nanos(1));
    let now = behind.now.wall;
    assert_eq!(behind.denies(ask("web", 22)), [Refusal::ClockBehind { now, highest }]);
    assert_eq!(behind.left().len(), 1, "what was granted in this boot stands on the boot clock");
    assert_eq!(behind.stage(plan), "granted");
    behind.reboots();
    assert!(behind.open().is_empty(), "after a reboot nothing reopens");
    behind.does(&Command::AcceptClock);
    assert_eq!(behind.state.highest, Some(now));
    assert_eq!(behind.open().len(), 1, "until somebody on the machine says that it is right");
    behind.gets(ask("web", 22));
    assert!(behind.does(&Command::AcceptClock).is_empty(), "there is nothing more to accept");
}

#[test]
fn nothing_begins_while_the_clock_is_behind() {
    let mut scene = web(rule(22));
    let plan = scene.gets(ask("web", 22).starting(noon_and(hours(1))));
    scene.waits(hours(2));
    scene.state.pass(scene.now.wall);
    scene.is_set_back(minutes(30));
    assert!(scene.ticks().is_empty());
    assert_eq!(scene.stage(plan), "planned");
    let wait = next_deadline(&scene.state, scene.now);
    assert_eq!(wait, Some(minutes(30) - seconds(5)), "nobody asks in vain, over and over");
    scene.does(&Command::AcceptClock);
    scene.ticks();
    assert_eq!(scene.stage(plan), "granted");
}

#[test]
fn after_a_reboot_what_is_left_is_left() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22).lasting(hours(1)));
    scene.waits(minutes(20));
    scene.reboots();
    assert_eq!(scene.left(), [minutes(40)]);
    scene.ticks();
    assert!(scene.ticks().is_empty(), "the end stands on this boot's clock now");
    scene.waits(minutes(10));
    scene.is_set_back(minutes(10));
    assert_eq!(scene.left(), [minutes(30)], "so that a step lengthens it no more");
}

#[test]
fn a_grant_of_a_future_that_was_none_is_not_believed() {
    let mut scene = web(rule(22));
    let right = scene.now.wall;
    scene.waits(hours(24 * 365));
    let id = scene.gets(ask("web", 22).lasting(hours(1)));
    scene.now.wall = right;
    scene.reboots();
    scene.does(&Command::AcceptClock);
    assert!(scene.open().is_empty(), "it would last a year");
    scene.ticks();
    assert_eq!(scene.stage(id), "failed");
}

#[test]
fn next_deadline_is_the_earliest_of_all() {
    let mut scene = web(rule(22));
    assert_eq!(next_deadline(&scene.state, scene.now), None);
    scene.gets(ask("web", 22).lasting(hours(2)));
    assert_eq!(next_deadline(&scene.state, scene.now), Some(hours(2)));
    scene.gets(ask("web", 22).by("bob").starting(noon_and(hours(1))));
    assert_eq!(next_deadline(&scene.state, scene.now), Some(hours(1)));
    let both = vec![member("web", vec![rule(22), rule(443)])];
    scene.does(&set_unless_confirmed("p", both, minutes(7)));
    assert_eq!(next_deadline(&scene.state, scene.now), Some(minutes(7)));
}

#[test]
fn the_boot_end_of_a_shortened_deadline_is_never_later() {
    let scene = scene();
    let early = scene.now.after(minutes(5));
    let late = scene.now.after(hours(1));
    assert_eq!(late.but_not_after(early), early);
    assert_eq!(early.but_not_after(late), early);
    assert_eq!(late.later_of(early, scene.now), late);
    assert_eq!(early.later_of(late, scene.now), late);
    assert_eq!(late.earlier_by(minutes(55)), early);
    let wall_alone = hourgate_core::time::Deadline { boot: None, ..late };
    assert_eq!(wall_alone.but_not_after(early), early);
    assert_eq!(scene.now.until(noon_and(minutes(5))), early);
}
