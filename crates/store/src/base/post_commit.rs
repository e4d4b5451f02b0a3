//! The post-commit hook: tells the observer of commits in their order.
//!
//! Whoever awaits a command may be woken later than the one behind it, or may have gone away. So the writer
//! itself calls the hook, before it answers.

use std::sync::{Arc, OnceLock};

use switchboard_model::{Sandbox, delivery::DueDelivery};

use crate::{Changed, Committed, News, Observer, Received};

/// Who is told, if anybody has asked for it.
#[derive(Default, Clone)]
pub(crate) struct PostCommit(Arc<OnceLock<Arc<dyn Observer>>>);

/// What a transaction answers that may make something known.
pub(crate) trait Publishes: Send + 'static {
    fn committed(&mut self) -> &mut Committed;
}

impl PostCommit {
    /// The first who asks is told.
    pub(crate) fn to(&self, observer: Arc<dyn Observer>) {
        let _ = self.0.set(observer);
    }

    /// What is to be done with what a transaction has made known.
    pub(crate) fn publish<T: Publishes>(&self) -> impl FnOnce(&mut T) + use<T> {
        let observer = self.0.get().cloned();
        move |made| {
            let Some(observer) = observer else { return };
            let committed = made.committed();
            if let Some(changed) = committed.changed {
                observer.changed(changed);
            }
            let deliveries: Vec<DueDelivery> = std::mem::take(&mut committed.deliveries);
            if !deliveries.is_empty() {
                observer.deliveries(deliveries);
            }
        }
    }

    /// The same where several commit at once: this is not called in the order of the commits, so it hands out no deliveries.
    /// Who is told of them reads them.
    pub(crate) fn publish_unordered<T: Publishes>(&self) -> impl FnOnce(&mut T) + use<T> {
        let observer = self.0.get().cloned();
        move |made| {
            let Some(observer) = observer else { return };
            let committed = made.committed();
            committed.deliveries.clear();
            if let Some(changed) = committed.changed {
                observer.changed(changed);
            }
        }
    }

    /// What is to be done with what a transaction has changed.
    pub(crate) fn changed<T, W, I>(&self, what: W) -> impl FnOnce(&mut T) + use<T, W, I>
    where
        W: FnOnce(&T) -> I,
        I: IntoIterator<Item = Changed>,
    {
        let observer = self.0.get().cloned();
        move |made| {
            if let Some(observer) = observer {
                what(made).into_iter().for_each(|changed| observer.changed(changed));
            }
        }
    }

    /// Tells that this was changed.
    pub(crate) fn tell_changed(&self, changed: Changed) {
        if let Some(observer) = self.0.get() {
            observer.changed(changed);
        }
    }

    /// Tells of what is new.
    pub(crate) fn news(&self, news: News) {
        if let Some(observer) = self.0.get() {
            observer.news(news);
        }
    }

    /// Another process has committed something.
    pub(crate) fn foreign_commit(&self) {
        if let Some(observer) = self.0.get() {
            observer.foreign_commit();
        }
    }
}

impl Publishes for Committed {
    fn committed(&mut self) -> &mut Committed {
        self
    }
}

impl Publishes for Received {
    fn committed(&mut self) -> &mut Committed {
        &mut self.committed
    }
}

impl Publishes for (Sandbox, Committed) {
    fn committed(&mut self) -> &mut Committed {
        &mut self.1
    }
}
