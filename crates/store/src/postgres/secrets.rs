//! The server's own secrets, by their name: what it signs with, and what tells whether a key is the database's.

use std::path::Path;

use super::{
    PostgresStore,
    engine::{
        connection::{Connection, Sql},
        statement,
        transaction::Tx,
    },
};
use crate::{
    Result, ServerSecrets, StoreError,
    base::{
        seal::{Seal, SealedRow},
        secret_key::{self, SecretKeyProblem},
    },
};

#[async_trait::async_trait]
impl ServerSecrets for PostgresStore {
    async fn file_url_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.write(move |tx: &Tx| Box::pin(of_server(tx, FILE_URLS, fresh))).await
    }

    async fn cursor_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.write(move |tx: &Tx| Box::pin(of_server(tx, CURSORS, fresh))).await
    }
}

/// The URLs of files.
const FILE_URLS: &str = "file urls";
/// The cursors of lists.
const CURSORS: &str = "cursors";
/// A known text, sealed: tells whether a key is the database's.
const CHECK: &str = "key check";
const CHECKED: &[u8] = b"switchboard";

/// The database's key, which is made if the database has none yet. Of two processes with keys of their own that start on
/// a new database together, one is refused.
pub(super) async fn unlock(sql: &Connection, key_file: &Path) -> Result<Seal> {
    let refused = |problem| StoreError::SecretKey { path: key_file.display().to_string(), problem };
    let check = kept(sql, CHECK).await?;
    let key = secret_key::read_or_make(key_file, check.is_none()).map_err(refused)?;
    let seal = Seal::new(&key);
    let check = match check {
        Some(check) => check,
        None => keep(sql, CHECK, &seal.seal(SealedRow::Server(CHECK), CHECKED)?).await?,
    };
    match seal.open(SealedRow::Server(CHECK), &check) {
        Some(_) => Ok(seal),
        None => Err(refused(SecretKeyProblem::Wrong)),
    }
}

async fn kept(sql: &Sql, name: &str) -> Result<Option<Vec<u8>>> {
    let secret = "select secret from secrets where name = $1";
    statement::first(sql, secret, &[&name], |row| row.try_get(0)).await
}

/// Keeps a secret where there is none; answers the one that is there then.
async fn keep(sql: &Sql, name: &str, secret: &[u8]) -> Result<Vec<u8>> {
    let insert = "insert into secrets (name, secret) values ($1, $2) on conflict (name) do nothing";
    statement::run(sql, insert, &[&name, &secret]).await?;
    let gone = || StoreError::Unreadable { what: format!("the secret '{name}' is gone") };
    kept(sql, name).await?.ok_or_else(gone)
}

/// What the server signs with for this purpose; the one given if there was none.
async fn of_server(tx: &Tx, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
    let sealed = tx.seal.seal(SealedRow::Server(name), &fresh)?;
    let kept = keep(&tx.sql, name, &sealed).await?;
    tx.seal
        .open(SealedRow::Server(name), &kept)
        .and_then(|secret| secret.try_into().ok())
        .ok_or_else(|| StoreError::Unreadable { what: format!("the secret '{name}'") })
}
