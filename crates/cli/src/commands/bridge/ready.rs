//! The commands that start a bridge which was just made, ready to paste on its machine.
//!
//! The token stands in none of them: what a shell runs it keeps in its history, here-documents too. It is asked for, or
//! lies in a file.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use switchboard_model::{line::DriverKind, secret::Secret};
use url::Url;

use super::token_file::TokenFile;
use crate::output::{self, Out};

/// A bridge that was just made.
pub(crate) struct ReadyBridge<'a> {
    /// Where the operator reaches the server.
    pub(crate) server: &'a str,
    pub(crate) driver: DriverKind,
    /// Where the token is to be written, instead of being shown.
    pub(crate) token_file: Option<TokenFile>,
}

impl ReadyBridge<'_> {
    /// Shows its token, or writes it down, and the commands. A token that can't be written down after all is shown: nobody
    /// could ask for it again.
    pub(crate) fn show(
        mut self,
        bridge: &impl Serialize,
        token: &Secret,
        out: &Out,
    ) -> anyhow::Result<()> {
        let written = match &mut self.token_file {
            Some(file) => file.write(token).map_err(|error| (file.path().to_owned(), error)),
            None => Ok(()),
        };
        if written.is_err() {
            self.token_file = None;
        }
        self.tell(bridge, token, out)
            .context("the bridge was made, and what it is can't be shown")?;
        if let Err((path, error)) = written {
            let shown = path.display();
            let error = anyhow::Error::new(error);
            return Err(error.context(format!(
                "the bridge was made, and its token, which stands above, can't be written into {shown}"
            )));
        }
        Ok(())
    }

    fn tell(&self, bridge: &impl Serialize, token: &Secret, out: &Out) -> anyhow::Result<()> {
        let file = self.token_file.as_ref().map(TokenFile::path);
        let commands = ["doctor", "install"].map(|deed| self.command(deed, file));
        if out.json {
            let mut row = serde_json::to_value(bridge)?;
            match file {
                Some(file) => row["token_file"] = file.display().to_string().into(),
                None => row["token"] = token.reveal().into(),
            }
            row["commands"] = commands.to_vec().into();
            return Ok(output::data(&row.to_string())?);
        }
        match file {
            Some(file) => output::data(&file.display().to_string())?,
            None => output::data(token.reveal())?,
        }
        output::talk(&self.words(&commands, file.is_some()));
        Ok(())
    }

    fn command(&self, deed: &str, file: Option<&Path>) -> String {
        let server = quoted(self.server.trim_end_matches('/'));
        let file =
            file.map(|file| format!(" --token-file {}", quoted(&file.display().to_string())));
        let driver = self.driver.as_str();
        let more = match driver {
            "bluebubbles" => {
                " --bluebubbles-url http://127.0.0.1:1234 --bluebubbles-password-file ~/bluebubbles-password"
            }
            "android-sms" => {
                " --android-url http://PHONE:8080 --android-user USER --android-password-file ~/android-password \
                 --android-line +15550100001=1"
            }
            _ => "",
        };
        let file = file.unwrap_or_default();
        format!("switchboard bridge {deed} --server {server} --driver {driver}{file}{more}")
    }

    fn words(&self, commands: &[String; 2], has_file: bool) -> String {
        let [doctor, install] = commands;
        let mut text = format!(
            "On the machine of the bridge, look whether all is there, then let it start by itself:\n\n  {doctor}\n  {install}\n"
        );
        text += match has_file {
            true => "\nThe token is in the file, for its owner alone.",
            false => {
                "\nThe first asks for the token above and keeps it. The token is not shown again."
            }
        };
        if is_this_machine(self.server) {
            text += "\nOn another machine, --server is the address at which that one reaches this server.";
        }
        text
    }
}

fn is_this_machine(server: &str) -> bool {
    let host = Url::parse(server).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]")
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+@,[]".contains(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
