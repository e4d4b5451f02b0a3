//! Whatever happens between memory and store, and in whatever order: the first attempts of one webhook and one chat
//! begin one after another as their events did, none begins twice, and each comes to its end.

mod world;

use proptest::prelude::*;

use world::World;

const WEBHOOKS: usize = 2;
const CHATS: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    /// A transaction makes a delivery.
    Event { webhook: usize, chat: usize },
    /// A transaction of another process makes one.
    Elsewhere { webhook: usize, chat: usize },
    /// The engine is told of what transactions made, in their order.
    Told,
    /// All that may go out goes out.
    Send,
    /// One in flight is answered, well or badly.
    Answer { which: usize, well: bool },
    /// What came of one is committed.
    Commit { which: usize },
    /// Its slot is given back.
    Done { which: usize },
    /// A poll of the store gets one step on.
    Poll,
    /// All webhooks are looked for that have something in the store.
    Sweep,
    /// A webhook is changed.
    Change { webhook: usize },
    /// Somebody has one that is over, or waits for its next attempt, sent again.
    Again { webhook: usize },
    /// Time goes on, so that a retry is due and a breaker lets something through.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..64usize;
    let step = prop_oneof![
        6 => (0..WEBHOOKS, 0..CHATS).prop_map(|(webhook, chat)| Step::Event { webhook, chat }),
        1 => (0..WEBHOOKS, 0..CHATS).prop_map(|(webhook, chat)| Step::Elsewhere { webhook, chat }),
        4 => Just(Step::Told),
        4 => Just(Step::Send),
        6 => (which.clone(), prop::bool::weighted(0.6))
            .prop_map(|(which, well)| Step::Answer { which, well }),
        5 => which.clone().prop_map(|which| Step::Commit { which }),
        5 => which.prop_map(|which| Step::Done { which }),
        8 => Just(Step::Poll),
        1 => Just(Step::Sweep),
        1 => (0..WEBHOOKS).prop_map(|webhook| Step::Change { webhook }),
        1 => (0..WEBHOOKS).prop_map(|webhook| Step::Again { webhook }),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn first_attempts_of_a_chat_begin_in_order_and_once(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}
