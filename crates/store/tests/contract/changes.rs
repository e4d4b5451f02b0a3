use std::sync::{Arc, Mutex};

use switchboard_model::{Scopes, delivery::DueDelivery, line::Capability, secret::SecretHash};
use switchboard_store::{Changed, NewKey, NewLine, News, Observer, Store};

use crate::{
    accounts::seed,
    world::{NOW, World, new_line},
};

/// Notes what it is told has changed.
#[derive(Default)]
struct Told(Mutex<Vec<Changed>>);

impl Told {
    fn take(&self) -> Vec<Changed> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn deliveries(&self, _: Vec<DueDelivery>) {}

    fn changed(&self, changed: Changed) {
        self.0.lock().unwrap().push(changed);
    }

    fn news(&self, _: News) {}

    fn foreign_commit(&self) {
        unreachable!("nobody else has the database");
    }
}

pub(crate) async fn what_changes_is_told_by_its_entry(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let told = Arc::new(Told::default());
    store.observe(Arc::clone(&told) as Arc<dyn Observer>);

    let hash = SecretHash([3; 32]);
    let key = NewKey {
        account_id: Some(world.account),
        name: "k".into(),
        hint: "wxyz".into(),
        hash,
        scopes: Scopes::all(),
        line_ids: None,
        rate_limit: None,
        expires_at: None,
    };
    let key = store.create_key(key, NOW).await.unwrap();
    assert_eq!(told.take(), [], "nobody remembers a key that is new");
    store.revoke_key(key.id, false, NOW).await.unwrap();
    assert_eq!(told.take(), [Changed::Key(hash)]);

    store.create_line(new_line(world.account, "+15550100003")).await.unwrap();
    assert_eq!(told.take(), [Changed::Lines(world.account)]);
    store.create_line(new_line(world.account, "+15550100003")).await.unwrap_err();
    assert_eq!(told.take(), [], "a refusal changes nothing");
    let sandbox = NewLine { is_sandbox: true, ..new_line(world.account, "+15550199999") };
    let sandbox = store.create_line(sandbox).await.unwrap().line.id;
    assert_eq!(told.take(), [Changed::SandboxLine]);

    for (line, changed) in
        [(world.line, Changed::Lines(world.account)), (sandbox, Changed::SandboxLine)]
    {
        for expected in [vec![changed], vec![]] {
            let all = Capability::ALL.to_vec();
            store.set_capabilities(world.link, line, all).await.unwrap();
            assert_eq!(told.take(), expected, "only what is new");
        }
    }

    for (line, changed) in
        [(world.line, Changed::Lines(world.account)), (sandbox, Changed::SandboxLine)]
    {
        store.line_status(world.link, line, true, None, NOW).await.unwrap();
        assert_eq!(told.take(), [changed], "how a line is, is shown with it");
    }
}

pub(crate) async fn a_seed_tells_of_the_lines_that_it_makes(store: Arc<dyn Store>) {
    let told = Arc::new(Told::default());
    store.observe(Arc::clone(&told) as Arc<dyn Observer>);
    store.seed(seed("+15550100009", 9), NOW).await.unwrap();
    let account = store.accounts().await.unwrap()[0].id;
    assert_eq!(told.take(), [Changed::Lines(account), Changed::SandboxLine]);
    store.seed(seed("+15550100009", 9), NOW).await.unwrap();
    assert_eq!(told.take(), [], "only what is new");
}
