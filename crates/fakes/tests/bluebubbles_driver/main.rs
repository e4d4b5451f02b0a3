//! The driver of BlueBubbles servers, through the front door of drivers, against a stand-in that somebody wrote who had not
//! seen it. The stand-in counts what the contacts' phones show.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod complaints;
mod deaths;
mod faults;
mod files;
mod groups;
mod health;
mod history;
mod link_files;
mod receiving;
mod rig;
mod sending;
