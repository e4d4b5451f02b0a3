//! Secrets at rest: no file of the database shows one, also after an older version kept them in clear, and without its
//! key a database is not opened.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use switchboard_model::{
    Account, EventKind, Scopes, Timestamp, Webhook,
    delivery::Secrets,
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer},
    secret::SecretHash,
    webhook::WebhookSecret,
};
use switchboard_store::{
    Grant, IdempotencyRecordWith, NewKey, NewWebhook, SecretKeyProblem, Store, StoreError,
    sqlite::{SqliteOptions, SqliteStore},
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(path, SqliteOptions::default())?))
}

/// The files of the database that hold these bytes.
fn holding(directory: &Path, secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() && fs::read(&path).unwrap().windows(secret.len()).any(|w| w == secret) {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[track_caller]
fn assert_nowhere(directory: &Path, secrets: &[&[u8]]) {
    for (at, secret) in secrets.iter().enumerate() {
        assert_eq!(holding(directory, secret), [""; 0], "secret {at} lies there in clear");
    }
}

/// What is looked for: without what every secret begins with.
fn clear(secret: &WebhookSecret) -> &[u8] {
    &secret.reveal().as_bytes()["whsec_".len()..]
}

/// An account with a key and a webhook that was made with an idempotency key.
struct Hooked {
    account: Id<Account>,
    webhook: Id<Webhook>,
    scope: IdempotencyScope,
}

impl Hooked {
    async fn make(store: &dyn Store, secret: &WebhookSecret) -> Self {
        let account = store.create_account("Acme".into(), NOW).await.unwrap().id;
        let key = NewKey {
            account_id: Some(account),
            name: "k".into(),
            hint: "wxyz".into(),
            hash: SecretHash([1; 32]),
            scopes: Scopes::all(),
            line_ids: None,
            rate_limit: None,
            expires_at: None,
        };
        let key = store.create_key(key, NOW).await.unwrap().id;
        let scope = IdempotencyScope::new(key, "POST /v1/webhooks".into(), "k1".into(), b"x");
        let answer = |webhook: &Webhook| RememberedAnswer {
            status: 201,
            body: webhook.secret.as_ref().unwrap().reveal().into(),
            created_at: NOW,
        };
        let remember =
            IdempotencyRecordWith { scope: scope.clone(), now: NOW, answer: Arc::new(answer) };
        let new = NewWebhook {
            id: Id::generate(),
            account_id: account,
            line_ids: None,
            url: "https://example.com".into(),
            events: vec![EventKind::MessageSent],
            secret: secret.clone(),
            created_by: Some(key),
        };
        let webhook = new.id;
        store.create_webhook(new, Some(remember), NOW).await.unwrap();
        Self { account, webhook, scope }
    }

    async fn check(&self, store: &dyn Store, secrets: &Secrets, answer: &WebhookSecret) {
        let endpoint = store.endpoint(Grant::whole(self.account), self.webhook).await.unwrap();
        assert_eq!(endpoint.secrets, *secrets);
        let kept = store.remembered(self.scope.clone(), NOW).await.unwrap().unwrap();
        assert_eq!(kept.body, answer.reveal().as_bytes());
        assert_eq!(store.file_url_secret([6; 32]).await.unwrap(), URL_SECRET);
        assert_eq!(store.cursor_secret([6; 32]).await.unwrap(), CURSOR_SECRET);
    }
}

const URL_SECRET: [u8; 32] = *b"the key that signs URLs of files";
const CURSOR_SECRET: [u8; 32] = *b"the key that signs list cursors.";

#[tokio::test]
async fn no_file_of_the_database_holds_a_secret_in_clear() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store = open(&path).unwrap();
    let [old, new] = [1, 2].map(|byte| WebhookSecret::from_random([byte; 32]));
    store.file_url_secret(URL_SECRET).await.unwrap();
    store.cursor_secret(CURSOR_SECRET).await.unwrap();
    let hooked = Hooked::make(store.as_ref(), &old).await;
    let grant = Grant::whole(hooked.account);
    store.rotate_secret(grant, hooked.webhook, new.clone(), NOW, None, NOW.into()).await.unwrap();
    let clear = [clear(&old), clear(&new), &URL_SECRET, &CURSOR_SECRET];
    // In the log beside the database, and in the database itself.
    assert_nowhere(directory.path(), &clear);
    let secrets = Secrets { current: new.clone(), previous: Some((old.clone(), NOW)) };
    hooked.check(store.as_ref(), &secrets, &old).await;
    store.close().await;
    assert_nowhere(directory.path(), &clear);
    let store = open(&path).unwrap();
    hooked.check(store.as_ref(), &secrets, &old).await;
    store.close().await;
    let mode = fs::metadata(directory.path().join("secret-key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// The secrets of an older version.
struct Old {
    current: WebhookSecret,
    previous: WebhookSecret,
    /// That of webhooks and of answers which were deleted since.
    deleted: WebhookSecret,
}

impl Old {
    fn new() -> Self {
        let [current, previous, deleted] =
            [1, 2, 3].map(|byte| WebhookSecret::from_random([byte; 32]));
        Self { current, previous, deleted }
    }

    fn clear(&self) -> [&[u8]; 5] {
        let [current, previous, deleted] =
            [&self.current, &self.previous, &self.deleted].map(clear);
        [current, previous, deleted, &URL_SECRET, &CURSOR_SECRET]
    }

    fn secrets(&self) -> Secrets {
        Secrets { current: self.current.clone(), previous: Some((self.previous.clone(), NOW)) }
    }

    /// Makes of this database one as an older version leaves it when it is killed, with this many webhooks: in its
    /// rows, in its unused space and in its log the secrets are in clear.
    fn put_in_clear(&self, path: &Path, webhooks: usize, killed: &Path) {
        let sql = rusqlite::Connection::open(path).unwrap();
        sql.execute_batch("pragma wal_autocheckpoint = 0; pragma secure_delete = off").unwrap();
        sql.execute_batch("delete from secrets").unwrap();
        sql.execute("insert into secrets values ('file urls', ?1)", [URL_SECRET]).unwrap();
        sql.execute("insert into secrets values ('cursors', ?1)", [CURSOR_SECRET]).unwrap();
        let update = "update webhooks set secret = ?1, previous_secret = ?2, previous_until = ?3";
        sql.execute(update, (self.current.reveal(), self.previous.reveal(), NOW.0)).unwrap();
        let update = "update idempotency_keys set is_sealed = 0, body = cast(?1 as blob)";
        sql.execute(update, [self.previous.reveal()]).unwrap();
        let columns = "account_id, line_ids, url, events, is_active, secret, created_at, previous_secret, previous_until";
        let copy = format!(
            "insert into webhooks (id, {columns}) select ?1, {columns} from webhooks limit 1"
        );
        let answer = "insert into idempotency_keys (key_id, operation, idempotency_key, request, status, body, created_at)
                      select key_id, 'POST /v1/webhooks/rotate', ?1, request, status, body, created_at
                      from idempotency_keys limit 1";
        let insert = |name: &str, number| {
            sql.execute(&copy, [Id::<Webhook>::generate().to_bits().to_be_bytes()]).unwrap();
            sql.execute(answer, [format!("{name}{number}")]).unwrap();
        };
        sql.execute_batch("begin").unwrap();
        for number in 1..webhooks {
            insert("n", number);
        }
        let last = "select max(seq) from webhooks";
        let last: i64 = sql.query_row(last, [], |row| row.get(0)).unwrap();
        for number in 0..200 {
            insert("deleted", number);
        }
        sql.execute(
            "update webhooks set secret = ?2 where seq > ?1",
            (last, self.deleted.reveal()),
        )
        .unwrap();
        let update = "update idempotency_keys set body = cast(?1 as blob) where idempotency_key like 'deleted%'";
        sql.execute(update, [self.deleted.reveal()]).unwrap();
        let checkpoint = "commit; pragma wal_checkpoint(truncate)";
        sql.execute_batch(checkpoint).unwrap();
        sql.execute("delete from webhooks where seq > ?1", [last]).unwrap();
        sql.execute("delete from idempotency_keys where idempotency_key like 'deleted%'", [])
            .unwrap();
        // The rows are in the log once more.
        sql.execute("update webhooks set url = url || '/'", []).unwrap();
        fs::create_dir(killed).unwrap();
        for file in ["a.db", "a.db-wal"] {
            fs::copy(path.with_file_name(file), killed.join(file)).unwrap();
        }
        for secret in [&self.current, &self.previous, &self.deleted] {
            assert_eq!(holding(killed, clear(secret)), ["a.db", "a.db-wal"]);
        }
    }
}

#[tokio::test]
async fn what_an_older_version_kept_in_clear_is_sealed_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let old = Old::new();
    let store = open(&path).unwrap();
    let hooked = Hooked::make(store.as_ref(), &WebhookSecret::from_random([9; 32])).await;
    store.close().await;
    // Enough for several batches.
    let killed = directory.path().join("killed");
    old.put_in_clear(&path, 1101, &killed);

    let path = killed.join("a.db");
    let store = open(&path).unwrap();
    // Before anything else is written.
    assert_nowhere(&killed, &old.clear());
    hooked.check(store.as_ref(), &old.secrets(), &old.previous).await;
    let all = store.webhooks(hooked.account, NOW).await.unwrap();
    assert_eq!(all.len(), 1101);
    for webhook in &all {
        let endpoint = store.endpoint(Grant::whole(hooked.account), webhook.id).await.unwrap();
        assert_eq!(endpoint.secrets, old.secrets());
    }
    store.close().await;
    assert_nowhere(&killed, &old.clear());
    // What was sealed for one row is not opened for another.
    let sql = rusqlite::Connection::open(&path).unwrap();
    let swap =
        "update webhooks set secret = (select secret from webhooks order by seq desc limit 1)";
    sql.execute(swap, []).unwrap();
    drop(sql);
    let store = open(&path).unwrap();
    let swapped = store.endpoint(Grant::whole(hooked.account), hooked.webhook).await;
    assert!(matches!(swapped, Err(StoreError::Unreadable { .. })), "{swapped:?}");
    store.close().await;
}

#[tokio::test]
async fn a_sealing_that_did_not_come_to_its_end_goes_on_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let old = Old::new();
    let store = open(&path).unwrap();
    let hooked = Hooked::make(store.as_ref(), &WebhookSecret::from_random([9; 32])).await;
    store.close().await;
    let killed = directory.path().join("killed");
    old.put_in_clear(&path, 3, &killed);
    let path = killed.join("a.db");
    // Somebody reads the database: its log can't be cut.
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("begin; select count(*) from webhooks").unwrap();
    let store = open(&path).unwrap();
    hooked.check(store.as_ref(), &old.secrets(), &old.previous).await;
    assert_eq!(holding(&killed, clear(&old.current)), ["a.db", "a.db-wal"]);
    store.close().await;
    reader.execute_batch("rollback").unwrap();
    // As if the server had been killed between two batches.
    let halfway = "update webhooks set secret = ?1 where seq = (select max(seq) from webhooks)";
    reader.execute(halfway, [old.current.reveal()]).unwrap();
    drop(reader);
    let store = open(&path).unwrap();
    assert_nowhere(&killed, &old.clear());
    hooked.check(store.as_ref(), &old.secrets(), &old.previous).await;
    for webhook in store.webhooks(hooked.account, NOW).await.unwrap() {
        let endpoint = store.endpoint(Grant::whole(hooked.account), webhook.id).await.unwrap();
        assert_eq!(endpoint.secrets, old.secrets());
    }
    store.close().await;
}

#[tokio::test]
async fn without_its_key_a_database_is_not_opened_and_no_other_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let (path, key) = (directory.path().join("a.db"), directory.path().join("secret-key"));
    let secret = WebhookSecret::from_random([1; 32]);
    let store = open(&path).unwrap();
    store.file_url_secret(URL_SECRET).await.unwrap();
    store.cursor_secret(CURSOR_SECRET).await.unwrap();
    let hooked = Hooked::make(store.as_ref(), &secret).await;
    store.close().await;
    let kept = fs::read_to_string(&key).unwrap();
    // The key is asked for before anything is changed, a migration too.
    let version = |set: Option<i64>| {
        let sql = rusqlite::Connection::open(&path).unwrap();
        if let Some(version) = set {
            sql.pragma_update(None, "user_version", version).unwrap();
        }
        sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let current = version(None);
    version(Some(0));
    let before = fs::read(&path).unwrap();
    let refused = || match open(&path) {
        Err(StoreError::SecretKey { path, problem }) => {
            assert_eq!(path, key.display().to_string());
            problem
        }
        other => panic!("{other:?}"),
    };
    fs::remove_file(&key).unwrap();
    assert!(matches!(refused(), SecretKeyProblem::Missing));
    assert!(!key.exists(), "none is made in its place");
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    assert!(matches!(refused(), SecretKeyProblem::Wrong));
    for wrong in [&b""[..], b"AAAA", b"\xff\xfe", &kept.as_bytes()[..20]] {
        fs::write(&key, wrong).unwrap();
        assert!(matches!(refused(), SecretKeyProblem::Malformed), "{wrong:?}");
    }
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    assert!(matches!(refused(), SecretKeyProblem::Io(_)));
    fs::remove_dir(&key).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before, "a database that is refused is left as it was");
    version(Some(current));
    // Elsewhere, and as somebody writes it by hand.
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, format!("  {}\r\n", kept.trim())).unwrap();
    let store = SqliteStore::open_with_key(&path, &elsewhere, SqliteOptions::default()).unwrap();
    hooked.check(&store, &Secrets { current: secret.clone(), previous: None }, &secret).await;
    store.close().await;
}
