//! Lists that come in pages (§5): one page, a walk over all, or a stream of them.

use std::{collections::VecDeque, marker::PhantomData};

use futures_util::{Stream, stream};
use serde::de::DeserializeOwned;
use switchboard_model::page::List;

use crate::{
    answer::Answer,
    error::{Error, Misshape, Result},
    transport::Transport,
};

/// The most pages in a row that may be empty. A page looks at a bounded number of rows, of which perhaps none fits.
const MAX_EMPTY_PAGES: u32 = 1000;

/// A query whose answer comes in pages. Nothing is sent before [`Pages::send`] or a walk.
#[derive(Debug, Clone)]
#[must_use]
pub struct Pages<'c, T> {
    transport: &'c Transport,
    path: &'static str,
    filters: Vec<(&'static str, String)>,
    limit: Option<u32>,
    cursor: Option<String>,
    rows: PhantomData<fn() -> T>,
}

impl<'c, T: DeserializeOwned + Send> Pages<'c, T> {
    pub(crate) fn new(
        transport: &'c Transport,
        path: &'static str,
        filters: Vec<(&'static str, String)>,
    ) -> Self {
        Self { transport, path, filters, limit: None, cursor: None, rows: PhantomData }
    }

    /// Rows of a page; the server's default is 50, its most 100.
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Begins where another page of the same query ended: its `next_cursor`.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Fetches one page.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn send(&self) -> Result<Answer<List<T>>> {
        let limit = self.limit.map(|rows| rows.to_string());
        let mut query: Vec<(&str, &str)> =
            self.filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.extend(limit.as_deref().map(|rows| ("limit", rows)));
        query.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        self.transport.get(self.path, &query).await
    }

    /// Walks over the rows from here on, fetching pages as it goes.
    pub fn walk(self) -> Walk<'c, T> {
        Walk { pages: self, fetched: VecDeque::new(), ended: false, empty: 0 }
    }

    /// The rows from here on as a stream, which fetches pages as it is polled. An error ends it;
    /// [`Pages::walk`] can be called again after one.
    pub fn into_stream(self) -> impl Stream<Item = Result<T>> + Send + use<'c, T> {
        stream::unfold(Some(self.walk()), |walk| async move {
            let mut walk = walk?;
            match walk.next().await {
                Ok(row) => Some((Ok(row?), Some(walk))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// All rows from here on, but no more than `most`.
    ///
    /// # Errors
    /// Any [`Error`]; the rows fetched before it are lost.
    pub async fn all(self, most: usize) -> Result<Vec<T>> {
        let mut walk = self.walk();
        let mut rows = Vec::new();
        while rows.len() < most {
            match walk.next().await? {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Ok(rows)
    }
}

/// A walk over the rows of a list.
#[derive(Debug)]
pub struct Walk<'c, T> {
    pages: Pages<'c, T>,
    fetched: VecDeque<T>,
    ended: bool,
    /// Empty pages in a row.
    empty: u32,
}

impl<T: DeserializeOwned + Send> Walk<'_, T> {
    /// The next row; none at the end.
    ///
    /// # Errors
    /// Any [`Error`]. The walk stays where it is: calling again fetches the same page again.
    pub async fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(row) = self.fetched.pop_front() {
                return Ok(Some(row));
            }
            if self.ended {
                return Ok(None);
            }
            let page = self.pages.send().await?;
            let List { data, has_more, next_cursor, .. } = page.value;
            self.empty = if data.is_empty() { self.empty + 1 } else { 0 };
            let stands = next_cursor == self.pages.cursor || self.empty > MAX_EMPTY_PAGES;
            if has_more && stands || has_more != next_cursor.is_some() {
                // A server that says so would be asked for ever, or rows would be missing.
                let misshape =
                    Misshape::new("a list says that there is more, but does not lead on");
                return Err(Error::Shape { status: page.status, misshape });
            }
            self.ended = next_cursor.is_none();
            self.pages.cursor = next_cursor;
            self.fetched.extend(data);
        }
    }
}
