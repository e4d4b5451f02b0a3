//! What happens to groups: they are made, renamed, joined and left.

use super::{
    Server, chats,
    groups::{self, Change},
};

impl Server {
    /// A group; answers its guid.
    pub fn group(&self, people: &[&str], name: Option<&str>) -> String {
        let people: Vec<String> = people.iter().map(|&person| person.to_owned()).collect();
        self.inner.change(|state| chats::group(state, &people, name, "iMessage"))
    }

    /// A group is renamed, by a contact or by the owner on another device. Answers the guid of the row that says so.
    pub fn group_renamed(&self, chat: &str, by: Option<&str>, name: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Renamed(name.to_owned())))
    }

    /// Somebody is added to a group.
    pub fn group_added(&self, chat: &str, by: Option<&str>, person: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Added(person.to_owned())))
    }

    /// Somebody is removed from a group.
    pub fn group_removed(&self, chat: &str, by: Option<&str>, person: &str) -> Option<String> {
        self.inner
            .change(|state| groups::write(state, chat, by, &Change::Removed(person.to_owned())))
    }

    /// A contact leaves a group.
    pub fn group_left(&self, chat: &str, person: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, Some(person), &Change::Left))
    }

    /// A group's picture is set, or taken away.
    pub fn group_icon(&self, chat: &str, by: Option<&str>, set: bool) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Icon(set)))
    }
}
