//! The whole contract, over every driver in each of its modes: a scenario is written once, and is a test of each mode's.
//!
//! What a mode can do is in [`table`] and nowhere else. What it can do is asserted to the end: the API, the webhooks, the
//! phones. What it can't is asserted, too: that it is refused with the contract's error, which names the capability, that nothing
//! of it reaches a phone, or that it is done in the plain way that the contract gives.

mod changes;
mod desk;
mod files;
mod groups;
mod messages;
mod outbox;
mod pages;
mod phones;
mod presence;
mod reactions;
mod table;

use desk::Desk;
use table::Seen;

/// A driver, in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Simulator,
    /// Without the advanced features.
    SimulatorPlain,
    Imsg,
    ImsgMacos26,
    ImsgWithoutHelper,
    /// By the private API, with a webhook.
    Bluebubbles,
    /// By AppleScript.
    BluebubblesScripts,
    BluebubblesScriptsMacos26,
    AndroidSms,
}

macro_rules! each_scenario {
    ($name:ident, $mode:ident, [$($file:ident :: $scenario:ident),* $(,)?]) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    Box::pin(super::$file::$scenario(super::Mode::$mode)).await;
                }
            )*
        }
    };
}

macro_rules! over_every_mode {
    ([$($name:ident = $mode:ident),* $(,)?], $scenarios:tt) => {
        $( each_scenario!($name, $mode, $scenarios); )*
    };
}

over_every_mode!(
    [
        simulator = Simulator,
        simulator_plain = SimulatorPlain,
        imsg = Imsg,
        imsg_macos_26 = ImsgMacos26,
        imsg_without_helper = ImsgWithoutHelper,
        bluebubbles = Bluebubbles,
        bluebubbles_scripts = BluebubblesScripts,
        bluebubbles_scripts_macos_26 = BluebubblesScriptsMacos26,
        android_sms = AndroidSms,
    ],
    [
        pages::a_line_can_do_what_is_written_of_it,
        messages::a_text_goes_out_and_its_answer_comes_in,
        messages::what_a_text_says_arrives_as_it_was_written,
        messages::what_is_asked_twice_under_one_key_is_sent_once,
        messages::a_reply_points_at_its_message_or_is_said_plainly,
        messages::somebody_new_is_written_to_or_refused,
        messages::nobody_is_written_to_first_where_contacts_come_first,
        files::a_file_goes_out_whole_and_one_comes_in,
        files::a_voice_memo_goes_out_and_one_comes_in,
        reactions::a_reaction_is_given_and_taken_back,
        reactions::an_emoji_is_given_as_a_reaction,
        reactions::reactions_of_a_contact_are_told,
        presence::typing_is_shown_and_ends,
        presence::a_contact_who_types_is_seen,
        presence::a_chat_is_marked_as_read,
        presence::what_was_sent_is_delivered_and_read,
        presence::what_was_sent_and_did_not_arrive_is_told,
        changes::what_a_contact_edits_and_takes_back_is_told,
        changes::what_the_owner_writes_elsewhere_is_the_lines_own,
        groups::a_group_is_a_chat_of_its_own,
        outbox::what_is_sent_while_the_line_is_away_waits_for_it,
        outbox::what_is_sent_while_the_bridge_is_away_waits_for_it,
        outbox::what_does_not_go_out_fails_with_its_reason,
        outbox::what_nobody_knows_is_unknown_and_is_not_sent_again,
    ]
);
