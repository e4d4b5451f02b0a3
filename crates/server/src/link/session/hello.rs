//! What a bridge says of itself first: judged before anything else is said.

use switchboard_model::{
    Bridge, Handle,
    link::{BridgeFrame, CarriedLine, MAX_ACCOUNTS, OLDEST_PROTOCOL, PROTOCOL, common_protocol},
};

use crate::link::bounds::MAX_SOFTWARE;

/// What a bridge that is welcome has said.
pub(super) struct Greeting {
    /// The version of the link that both sides speak.
    pub(super) protocol: u32,
    /// Whether only the connection was lost since the last link, and not the bridge.
    pub(super) resumed: bool,
    /// The handles that its machine is signed in with; none if it doesn't say.
    accounts: Vec<Handle>,
}

/// Judges `hello`. An error says why the bridge is not welcome.
pub(super) fn check(bridge: &Bridge, hello: BridgeFrame) -> Result<Greeting, String> {
    let BridgeFrame::Hello { protocol, oldest_protocol, driver, software, resumed, accounts } =
        hello
    else {
        return Err("the first frame must be 'hello'".to_owned());
    };
    let Some(common) = common_protocol(oldest_protocol, protocol) else {
        return Err(format!(
            "this server speaks version {} of the link, the bridge version {}; \
             use the same release of switchboard on both",
            versions(OLDEST_PROTOCOL, PROTOCOL),
            versions(oldest_protocol.unwrap_or(protocol), protocol),
        ));
    };
    if driver != bridge.driver {
        let (here, there) = (bridge.driver.as_str(), driver.as_str());
        return Err(format!("this token is for a bridge with driver '{here}', not '{there}'"));
    }
    let software: String = software.chars().take(MAX_SOFTWARE).collect();
    tracing::debug!(bridge = %bridge.id, software, "hello");
    let accounts = accounts.iter().take(MAX_ACCOUNTS).map(|one| Handle::received(one)).collect();
    Ok(Greeting { protocol: common, resumed, accounts })
}

fn versions(oldest: u32, newest: u32) -> String {
    if oldest == newest { newest.to_string() } else { format!("{oldest} to {newest}") }
}

impl Greeting {
    /// Says for which lines the machine is not signed in, as far as it tells: their messages would go out from another
    /// handle, or not at all.
    pub(super) fn compare(&self, bridge: &Bridge, lines: &[CarriedLine]) {
        if self.accounts.is_empty() {
            return;
        }
        for line in lines.iter().filter(|line| !self.accounts.contains(&line.handle)) {
            tracing::warn!(bridge = %bridge.id, line = %line.id, "the bridge's machine is not signed in with the handle of this line");
        }
    }
}
