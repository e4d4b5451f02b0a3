//! What every store promises, one function a promise, and the stores that it is asked of.
//!
//! A function that no list names is dead code, and a warning: none is forgotten. Another store
//! is one more module like these.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod accounts;
mod at_once;
mod batches;
mod bridges;
mod capabilities;
mod changes;
mod chats;
mod deliveries;
mod events;
mod files;
mod idempotency;
mod keys;
mod late;
mod line_health;
mod lines;
mod listing;
mod messages;
mod originals;
mod outbox;
mod own;
mod pairings;
mod reactions;
mod receipts;
mod receive;
mod replays;
mod resolve;
mod rounds;
mod sandbox;
mod settle;
mod standby;
mod typing;
mod updates;
mod webhooks;
mod whole;
mod world;

/// Makes a test of each promise, on a new store.
macro_rules! make_tests {
    ($new:path => $($noun:ident: $($promise:ident),+;)+) => {$(
        mod $noun {
            $(
                #[tokio::test]
                async fn $promise() {
                    let kept = $new().await;
                    crate::$noun::$promise(kept.store()).await;
                    kept.check_invariants().await;
                }
            )+
        }
    )+};
}

/// Every promise.
macro_rules! promises {
    ($new:path) => {
        make_tests! { $new =>
        at_once: uploads_do_not_take_the_same_room, a_file_is_sent_or_forgotten,
            who_types_no_more_is_told_once, writes_do_not_share_the_last_of_the_quota,
            of_an_ended_pairing_nothing_goes_out, a_phone_is_paired_once;
        accounts: accounts_are_listed_oldest_first, a_seed_is_sown_once,
            a_seed_keeps_the_sandbox_line_that_there_is,
            a_line_that_is_there_gets_the_seeds_key;
        keys: a_key_is_found_by_its_hash, a_key_for_what_is_not_the_accounts_is_refused, revoking_is_final,
            counts_add_up_within_an_hour;
        lines: a_handle_is_one_lines_only, a_line_needs_an_account_and_a_usable_bridge,
            a_bridge_carries_lines_of_its_driver,
            lines_are_their_accounts_only, capabilities_are_told_by_the_lines_own_bridge,
            how_a_line_is_is_kept_with_its_reason;
        line_health: what_a_line_sends_and_gets_is_counted_by_the_day,
            what_is_over_what_is_borne_is_named;
        capabilities: each_write_needs_what_it_needs,
            a_line_of_which_nothing_was_told_can_do_the_plain;
        changes: what_changes_is_told_by_its_entry, a_seed_tells_of_the_lines_that_it_makes;
        bridges: a_name_is_one_bridges_only, a_bridge_is_found_by_its_token_and_seen,
            the_simulators_bridge_is_one_and_adopts_its_lines, a_revoked_bridge_says_so;
        outbox: what_is_accepted_is_shown, refusals_come_in_order, contact_first_waits_for_the_contact,
            a_reply_names_a_message_of_its_chat, another_account_sees_nothing,
            claims_come_in_the_order_of_acceptance, a_full_chat_is_passed_over_whole,
            only_the_lines_bridge_claims, claims_are_known_and_held_for_longer,
            an_older_link_writes_nothing_any_more,
            what_waits_too_long_expires, a_lease_that_runs_out_is_never_sent_again;
        settle: what_is_sent_is_a_message, a_report_counts_once, only_the_holder_reports,
            a_failure_is_told_to_who_asks, unknown_is_never_sent_again,
            what_is_released_goes_first, the_third_loss_fails, a_known_guid_is_linked,
            no_message_becomes_another, reports_of_one_call_count_in_their_order,
            who_types_and_writes_in_one_call_stops, what_many_hold_is_left_by_each,
            what_no_text_should_say_stops_no_report;
        resolve: it_was_sent_after_all, it_failed_and_now_it_is_known_why, what_is_known_is_not_touched,
            it_is_joined_to_what_was_told_before, its_files_are_held_again,
            what_is_no_message_has_happened;
        own: it_is_a_message_of_the_line_and_told_as_sent, it_is_no_word_of_the_contact,
            what_an_item_made_is_not_a_second_message;
        late: what_was_sent_may_fail_after_all, it_may_have_gone_another_way, files_may_come_later;
        originals: both_are_the_messages_and_go_with_it, what_came_decides_what_is_new,
            one_that_is_not_the_lines_has_no_bytes;
        receive: what_comes_in_is_a_message_an_event_and_a_chat, the_same_guid_is_one_message,
            the_place_is_kept, groups_follow_their_driver, only_the_lines_bridge_tells,
            what_is_too_long_is_neither_lost_nor_merged, a_group_is_never_a_contact,
            what_has_no_identity_is_neither_lost_nor_repeated,
            a_place_that_is_too_long_is_not_kept, what_no_text_should_say_stops_nothing;
        batches: a_batch_is_as_its_entries_one_by_one, a_code_pairs_from_its_place_on,
            who_writes_while_they_are_written_to_has_one_chat;
        chats: latest_activity_comes_first, many_that_have_moved_are_listed_where_they_stood,
            another_accounts_chats_are_not_listed, who_cant_be_dialled_is_only_answered;
        messages: newest_comes_first_and_pages_meet, an_unknown_chat_is_refused,
            a_message_is_found_by_id_or_guid;
        webhooks: a_secret_is_shown_once, one_for_all_lines_has_future_ones,
            what_is_not_the_accounts_is_refused, there_is_a_most,
            a_change_is_for_the_next_event, one_that_is_enabled_says_what_it_missed,
            a_rotation_leaves_two_secrets, a_silence_is_no_failure,
            another_url_is_not_blamed_for_the_one_before, a_secret_is_erased_when_its_day_is_over,
            a_key_reaches_what_it_may_read_on_its_lines,
            a_webhook_says_what_became_of_the_key_that_made_it;
        listing: newest_events_come_first_with_every_attempt, a_filter_holds_back_the_rest,
            pages_meet_while_events_come, a_page_looks_at_so_many_and_no_more,
            another_account_sees_nothing;
        rounds: what_is_over_begins_a_new_round, what_is_due_is_due_now,
            what_may_not_be_retried_is_refused, attempts_are_kept_within_bounds,
            of_a_disabled_webhook_all_is_given_up,
            of_a_deleted_webhook_all_goes_a_little_at_a_time;
        replays: what_was_missed_goes_out_in_event_order, ids_stay_and_none_is_made_twice,
            a_replay_sends_what_the_webhook_wants_now, it_ends_with_its_webhook,
            it_waits_while_its_webhook_is_disabled, all_have_their_turn,
            what_can_not_be_replayed_is_refused,
            an_account_has_so_many_at_once;
        deliveries: each_webhook_gets_what_it_names, what_is_read_is_what_was_made,
            new_ones_are_told_in_order, the_log_is_read_on_from_any_place,
            retries_come_when_they_are_due, results_count_once,
            a_deleted_webhook_gets_nothing_more, what_is_no_longer_named_is_given_up,
            the_backlog_is_of_what_is_due, a_long_backlog_is_counted_whole;
        events: what_is_old_is_forgotten_unless_it_is_still_tried,
            what_is_still_tried_is_passed_over_a_little_at_a_time,
            what_is_not_asked_for_is_looked_at_once, one_read_looks_at_so_many_and_no_more,
            they_are_read_as_they_were_committed, they_are_filtered_by_account_line_and_kind,
            a_position_is_found_by_its_time, a_line_goes_up_and_down;
        files: a_file_is_its_accounts_only, a_file_goes_out_and_is_an_attachment,
            a_voice_memo_is_audio_on_a_line_that_can, a_bridge_gets_the_files_that_it_has_claimed,
            a_file_comes_in_with_its_message, a_bridge_gives_away_only_what_it_uploaded,
            only_what_nothing_refers_to_is_forgotten, the_secret_stays,
            what_an_account_has_stored_is_counted,
            what_nothing_refers_to_any_more_is_forgotten;
        idempotency: an_answer_alone_is_remembered_once, the_same_request_has_the_first_answer, another_body_is_refused,
            keys_and_operations_are_apart, what_was_refused_is_not_remembered,
            after_a_day_it_is_forgotten, old_answers_are_swept, of_many_at_once_one_is_done,
            files_and_webhooks_too, an_answer_is_made_of_what_was_written;
        reactions: the_latest_occurrence_is_shown, what_is_not_there_is_not_taken_back,
            an_occurrence_counts_once_however_late_it_is_repeated,
            a_reaction_to_nothing_is_nothing, the_line_reacts_and_takes_it_back,
            the_lines_new_reaction_takes_the_place_of_its_older_one,
            a_message_by_mistake_is_still_done, refusals_come_in_order,
            another_account_sees_nothing, an_emoji_is_a_reaction;
        receipts: a_receipt_never_goes_back, in_an_unknown_chat_it_is_nothing,
            in_a_group_each_has_one, the_line_reads_where_it_can;
        sandbox: there_is_one_line_for_all, a_code_that_is_texted_pairs,
            writes_go_to_the_paired_phone_only, a_phone_is_paired_with_one_account_at_a_time,
            a_reset_ends_the_pairing, the_quota_ends_at_midnight_utc,
            events_are_the_paired_accounts, receipts_and_files_follow_the_pairing;
        pairings: of_an_ended_pairing_nothing_is_shown, what_waits_for_an_ended_pairing_fails;
        standby: a_standby_is_another_bridge_of_the_same_driver, of_two_who_take_over_one_does,
            a_standby_takes_over_when_the_other_was_away_for_long,
            a_line_whose_standby_is_not_ready_goes_down, a_standby_hears_what_is_known,
            a_bridge_that_is_given_a_line_hears_since_when_all_is_not_known,
            a_standby_is_ready_while_it_is_linked_and_says_so,
            nothing_overtakes_what_the_bridge_before_holds, the_truth_comes_from_either_bridge,
            what_both_have_seen_is_told_once, a_reaction_of_the_lines_own_is_told_once,
            only_the_other_bridge_says_the_same_again;
        typing: only_a_change_is_told, it_goes_off_by_itself,
            a_new_start_after_the_end_is_told_as_both, who_writes_types_no_more,
            clocks_can_not_hold_it_on, in_an_unknown_chat_it_is_nothing,
            the_line_types_where_it_can, the_line_that_writes_types_no_more;
        updates: a_newer_text_takes_the_place_of_an_older_one, the_same_edit_is_told_once,
            nothing_is_shown_of_what_was_taken_back, delivered_and_read_never_go_back,
            what_is_sent_may_be_delivered_already, an_update_of_nothing_is_nothing,
            a_guid_is_found_by_the_id;
        whole: a_closed_store_says_so, its_figures_are_of_what_it_holds;
        }
    };
}

mod sqlite {
    use std::{path::PathBuf, sync::Arc};

    use switchboard_store::{
        Store,
        sqlite::{SqliteOptions, SqliteStore},
    };

    /// A store in a directory of its own.
    pub(crate) struct Kept {
        store: Arc<dyn Store>,
        directory: tempfile::TempDir,
    }

    impl Kept {
        pub(crate) async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("switchboard.db");
            let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
            Self { store: Arc::new(store), directory }
        }

        pub(crate) fn store(&self) -> Arc<dyn Store> {
            Arc::clone(&self.store)
        }

        pub(crate) fn path(&self) -> PathBuf {
            self.directory.path().join("switchboard.db")
        }

        /// References are not enforced while running: here it shows whether all point at something.
        pub(crate) async fn check_invariants(self) {
            self.store.close().await;
            let sql = rusqlite::Connection::open(self.path()).unwrap();
            let broken = sql
                .prepare("pragma foreign_key_check")
                .unwrap()
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap()
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            assert_eq!(broken, Vec::<String>::new(), "tables with references to nothing");
        }
    }

    promises!(super::Kept::new);
}

mod postgres {
    use std::{fs, sync::Arc};

    use switchboard_store::{
        Store,
        postgres::{PostgresOptions, PostgresStore},
    };
    use switchboard_testpg::Database;

    /// A store in a database of its own.
    pub(crate) struct Kept {
        store: Arc<dyn Store>,
        database: Database,
        _directory: tempfile::TempDir,
    }

    impl Kept {
        pub(crate) async fn new() -> Self {
            let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
            let key_file = directory.path().join("secret-key");
            let (url, options) = (database.url(), PostgresOptions::default());
            let store = PostgresStore::connect(&url, &key_file, options).await.unwrap();
            Self { store: Arc::new(store), database, _directory: directory }
        }

        pub(crate) fn store(&self) -> Arc<dyn Store> {
            Arc::clone(&self.store)
        }

        /// References are not declared in the schema: here it shows whether all point at something.
        pub(crate) async fn check_invariants(self) {
            self.store.close().await;
            let references = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/references.sql");
            self.database.run(&fs::read_to_string(references).unwrap()).await;
        }
    }

    promises!(super::Kept::new);
}
