//! One list of cases, run on both databases.
//!
//! `PostgreSQL` is the server at `TIDEGATE_TEST_POSTGRES` (the address of any database of a user that may create others); each
//! case makes a database of its own there and drops it. Without the variable those cases say that they are skipped.
// A skipped case and a measured list say so; a child process says what it has been told.
#![allow(clippy::print_stdout)]

mod crash;
mod events;
mod fences;
mod full_disk;
mod history;
mod keeping;
mod lists;
mod logs;
mod media;
mod model;
mod positions;
mod rows;
mod world;

/// Makes two tests of each case.
macro_rules! on_both {
    ($($module:ident :: $case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::world::on_sqlite(crate::$module::$case).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::world::on_postgres(crate::$module::$case).await;
            })*
        }
    };
}

on_both! {
    fences::a_commit_makes_a_stream_and_its_record,
    fences::a_stale_version_is_refused_and_leaves_nothing,
    fences::several_streams_change_together_or_not_at_all,
    fences::a_change_without_events_only_checks_its_fence,
    fences::a_stream_may_stand_twice_in_one_commit,
    fences::of_two_who_decide_on_the_same_version_one_wins,
    fences::an_idempotency_key_is_used_once,
    fences::an_idempotency_key_is_forgotten_after_a_day,
    fences::commits_stop_when_told_to,
    fences::a_commit_that_contradicts_itself_is_refused,
    fences::a_commit_that_cannot_be_stored_fails_alone,
    rows::targets_come_by_wave_and_name,
    rows::an_order_is_open_until_it_is_closed,
    rows::a_document_is_kept_once,
    lists::records_are_loaded_by_id,
    lists::every_filter_and_order_agrees_with_a_plain_search,
    lists::what_is_rare_is_found_page_by_page,
    lists::ticks_are_what_a_plain_count_says,
    lists::text_is_found_whatever_its_case_and_wildcards_are_plain,
    lists::ids_sort_by_their_bytes,
    lists::a_foreign_cursor_is_refused,
    events::events_are_read_by_position_by_stream_and_backwards,
    events::text_is_found_in_the_history_page_by_page,
    events::the_chain_of_hashes_is_as_documented,
    history::an_untouched_history_verifies,
    history::a_change_to_any_column_is_named,
    history::a_removed_entry_is_named,
    history::an_exchanged_entry_is_named,
    history::a_removed_end_is_named,
    history::a_removed_stream_is_noticed,
    history::the_first_of_several_broken_entries_is_named,
    history::a_history_of_many_pages_verifies_while_it_grows,
    logs::chunks_are_kept_once_and_in_order,
    logs::the_output_of_an_attempt_is_bounded,
    positions::a_tail_never_misses_an_event,
    positions::every_commit_rings,
    model::groups_behave_like_one_commit_after_the_other,
    keeping::a_closed_store_refuses_and_a_reopened_one_remembers,
    keeping::a_database_of_a_newer_program_is_refused,
    keeping::records_of_an_earlier_program_are_brought_into_forms_of_today,
    keeping::a_backup_is_whole,
    keeping::a_lost_connection_is_replaced,
    keeping::the_description_has_no_password,
    crash::what_was_acknowledged_survives_a_kill,
}
