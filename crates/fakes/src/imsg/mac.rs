//! The Mac as a test holds it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use switchboard_model::Timestamp;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    chat::Chat,
    contact::{Contact, Owner},
    phone::Received,
    program,
    row::Row,
    server,
    settings::Settings,
    state::{Mutation, Shared},
    time,
};

/// How long [`Mac::until`] waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Mac with Messages. It runs on a thread of its own until it is dropped.
pub struct Mac {
    pub(crate) shared: Arc<Shared>,
    address: String,
    program: PathBuf,
    folder: TempDir,
    // Dropped with the Mac, which ends its thread.
    _stop: oneshot::Sender<()>,
}

impl Mac {
    /// A Mac with the newest imsg on macOS 15, all permissions and a helper.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// A Mac of this kind.
    pub fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let shared = Shared::new(settings, folder.path().to_owned());
        let (told, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let on_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime can be made");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                let address = listener.local_addr().expect("it has just been bound");
                told.send(address.to_string()).expect("whoever starts a Mac waits for it");
                tokio::select! {
                    () = server::listen(on_thread, listener) => {}
                    // The sender is dropped with the Mac.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().expect("the Mac's thread has started");
        let program = program::link(folder.path(), &address).expect("a folder can be written");
        Self { shared, address, program, folder, _stop: stop }
    }

    /// What is spawned as `imsg`. It finds this Mac by itself.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The value of `FAKE_IMSG`, for whoever spawns the program by another name.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder of all that the Mac keeps in files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The Mac's clock.
    pub fn now(&self) -> Timestamp {
        time::now()
    }

    /// Somebody with a phone.
    pub fn contact(&self, handle: &str) -> Contact<'_> {
        Contact::new(&self.shared, handle)
    }

    /// The owner, on another device.
    pub fn owner(&self) -> Owner<'_> {
        Owner(&self.shared)
    }

    /// What the phone of a contact shows, in order.
    pub fn received_by(&self, handle: &str) -> Vec<Received> {
        self.contact(handle).received()
    }

    /// The direct chat with somebody, made if there is none.
    pub fn chat_with(&self, handle: &str) -> i64 {
        self.shared.change(|state| state.direct_chat(handle, "iMessage"))
    }

    /// The direct chat with somebody over `SMS` or `RCS`, made if there is none.
    pub fn chat_over(&self, handle: &str, service: &str) -> i64 {
        self.shared.change(|state| state.direct_chat(handle, service))
    }

    /// A new group.
    pub fn group(&self, name: &str, participants: &[&str]) -> i64 {
        let participants = participants.iter().map(|&handle| handle.to_owned()).collect::<Vec<_>>();
        self.shared.change(|state| state.new_group(name, &participants))
    }

    /// A contact renames a group, which leaves an empty row.
    pub fn rename_group(&self, chat: i64, name: &str) {
        self.shared.change(|state| {
            if let Some(chat) = state.db.chats.get_mut(&chat) {
                name.clone_into(&mut chat.name);
            }
            state.group_event(chat);
        });
    }

    /// Sets who else is in a group, which leaves an empty row.
    pub fn set_participants(&self, chat: i64, participants: &[&str]) {
        self.shared.change(|state| {
            if let Some(chat) = state.db.chats.get_mut(&chat) {
                chat.participants = participants.iter().map(|&handle| handle.to_owned()).collect();
            }
            state.group_event(chat);
        });
    }

    /// A chat.
    pub fn chat(&self, id: i64) -> Option<Chat> {
        self.shared.look(|state| state.db.chats.get(&id).cloned())
    }

    /// All messages in `chat.db`, by ROWID.
    pub fn rows(&self) -> Vec<Row> {
        self.shared.look(|state| state.db.rows.values().cloned().collect())
    }

    /// The row of a message.
    pub fn row(&self, guid: &str) -> Option<Row> {
        self.shared.look(|state| state.db.row(guid).cloned())
    }

    /// What stands at a message of the owner's reactions: `love`, … or an emoji.
    pub fn reactions_on(&self, guid: &str) -> Vec<String> {
        self.shared.look(|state| {
            let mut stands = Vec::new();
            let own = state.db.taps(guid).filter(|row| row.is_from_me);
            for tapback in own.filter_map(|row| row.tapback.as_ref()) {
                // One a person.
                stands.clear();
                if tapback.add {
                    let shown =
                        if tapback.kind == "custom" { &tapback.emoji } else { &tapback.kind };
                    stands.push(shown.clone());
                }
            }
            stands
        })
    }

    /// All that imsg has really done in Messages, in order.
    pub fn mutations(&self) -> Vec<Mutation> {
        self.shared.look(|state| state.mutations.clone())
    }

    /// How many children have begun so far.
    pub fn children(&self) -> u64 {
        self.shared.look(|state| state.children)
    }

    /// How many children run.
    pub fn running(&self) -> usize {
        self.shared.look(|state| state.running.len())
    }

    /// How many requests of a method were begun.
    pub fn calls(&self, method: &str) -> u64 {
        self.shared.look(|state| state.calls.get(method).copied().unwrap_or(0))
    }

    /// Whether a watch has looked at all that was written: what it has not told by now, it never tells.
    pub fn watch_has_looked(&self) -> bool {
        let watched = self.shared.watched.load(Ordering::Relaxed);
        self.shared.look(|state| state.db.told == watched)
    }

    /// How many rows watches have dropped because they still belonged to no chat.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until something is so on the Mac.
    ///
    /// # Panics
    ///
    /// After 20 s, with `what`.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = async {
            while !holds(self) {
                // Some things come with time and without a change.
                let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain until {what}");
    }
}
