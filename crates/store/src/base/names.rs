//! Values that lie in columns by the name that the model gives them.

use switchboard_model::{
    EventKind,
    chat::Service,
    delivery::DeliveryStatus,
    line::{DriverKind, LineService, OfflineReason},
    outbox::OutboxStatus,
    replay::ReplayStatus,
    webhook::DisabledReason,
};

/// What has a name, and is found by it.
pub(crate) trait Named: Copy {
    fn name(self) -> &'static str;
    fn named(name: &str) -> Option<Self>;
}

impl Named for Service {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for LineService {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for OfflineReason {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Some(Self::from_name(name).unwrap_or(Self::Other))
    }
}

impl Named for DriverKind {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for EventKind {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for OutboxStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for DeliveryStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for DisabledReason {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for ReplayStatus {
    fn name(self) -> &'static str {
        self.as_str()
    }
    fn named(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}
