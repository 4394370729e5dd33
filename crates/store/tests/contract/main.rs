//! The store's contract: what every memory must hold, written once, run on each.
//!
//! A second database is added by one more [`fixture::Fixture`] and one more line of `contract!`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod before;
mod cases;
mod credentials;
mod fixture;
mod jit_rules;
mod kill;
mod people;
mod sqlite;

/// Runs every case on one fixture.
macro_rules! contract {
    ($fixture:ident: $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            crate::cases::$case::<crate::fixture::$fixture>().await;
        }
    )+};
}

mod on_sqlite {
    contract!(
        Sqlite: everything_survives_reopening,
        a_refused_command_leaves_its_record_alone,
        one_refused_among_many_spoils_nobody,
        needs_bring_what_they_say,
        what_time_demands_is_loaded_whole,
        a_request_over_two_vms_is_not_closed_by_half_a_look,
        the_next_deadline_is_the_earliest,
        answers_are_bounded_and_paged,
        names_are_found_in_any_case,
        an_accepted_clock_stays_accepted,
        refusals_are_bounded,
        a_principal_is_kept,
        credentials_are_kept,
        a_credential_past_its_bounds_costs_the_others_nothing,
        no_change_of_a_credential_goes_unrecorded,
        the_log_explains_a_random_history,
        settings_can_be_replaced,
        resources_are_kept,
        people_and_roles_are_kept,
        what_somebody_has_ends_with_their_right,
        a_roles_end_is_a_deadline,
        an_activation_that_waits_lapses,
        jits_rules_survive_reopening,
        a_number_goes_from_what_ends_to_what_begins,
        a_lock_holds_whatever_was_not_asked_for,
        what_would_be_is_told_and_nothing_is_written,
        whoever_has_rules_in_a_group_is_loaded_with_it,
    );
}
