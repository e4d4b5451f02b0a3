//! Where the database is, if it is not a file in the data directory.

use std::fmt;

use switchboard_store::postgres::without_password;

/// The URL of a PostgreSQL database. It may hold a password, and is shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL, with its password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a setting says.
pub(super) fn parse(text: &str) -> Result<DatabaseUrl, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(DatabaseUrl(text.to_owned()));
    }
    Err("must be the URL of a PostgreSQL database, as postgres://user:password@host:5432/switchboard".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://me:se@cret@db:5432/x", "postgres://me@db:5432/x"),
            ("postgresql://me@db/x?host=/run", "postgresql://me@db/x"),
            ("postgres:///x?user=me&password=secret", "postgres:///x"),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!(
                (parsed.to_string().as_str(), format!("{parsed:?}").as_str()),
                (shown, shown)
            );
            assert_eq!(parsed.reveal(), url);
        }
        assert!(parse("mysql://x").is_err() && parse("switchboard.db").is_err());
    }
}
