//! The contacts' phones: what they really show is what a test judges by.

/// A file that came to a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it was sent as a voice message.
    pub voice: bool,
}

/// A message that a phone shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The guid.
    pub guid: String,
    /// The text as it is now.
    pub text: String,
    /// The files.
    pub files: Vec<ReceivedFile>,
    /// Whether it came in a group.
    pub group: bool,
    /// The identifier of the chat on the sender's Mac.
    pub chat: String,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// `iMessage` or `SMS`.
    pub service: String,
    /// The subject.
    pub subject: Option<String>,
    /// The effect.
    pub effect: Option<String>,
    /// Whether it was edited.
    pub edited: bool,
    /// Whether it was taken back.
    pub unsent: bool,
    /// The reactions of the Mac's owner on it, as `love` or an emoji.
    pub reactions: Vec<String>,
}

/// A phone.
#[derive(Debug, Clone)]
pub(crate) struct Phone {
    /// What it shows, in order.
    pub shows: Vec<Received>,
    /// What waits for it to be switched on.
    pub waiting: Vec<Received>,
    pub online: bool,
    /// Whether it can be reached by iMessage.
    pub imessage: bool,
    /// Whether it shows that the Mac's owner types.
    pub sees_typing: bool,
    /// Whether it was told that its messages were read.
    pub sees_read: bool,
}

impl Default for Phone {
    fn default() -> Self {
        Self {
            shows: Vec::new(),
            waiting: Vec::new(),
            online: true,
            imessage: true,
            sees_typing: false,
            sees_read: false,
        }
    }
}

impl Phone {
    /// Takes a message, or keeps it for later.
    pub(crate) fn receive(&mut self, message: Received) {
        if self.online { self.shows.push(message) } else { self.waiting.push(message) }
    }

    /// Changes all that it has, shown or not, under a guid.
    pub(crate) fn change(&mut self, guid: &str, change: impl Fn(&mut Received)) {
        let all = self.shows.iter_mut().chain(&mut self.waiting);
        all.filter(|message| message.guid == guid).for_each(change);
    }
}
