//! Settings of the environment as files and shells leave them there: with white space round them, or empty.

use clap::{Arg, ArgAction, Command};
use switchboard_model::text::trim;

/// A command that takes its settings from the environment without the invisible characters round them; an empty one,
/// as compose files write "not set", is not set.
pub fn tidy(command: Command) -> Command {
    command.mut_args(tidy_arg).mut_subcommands(tidy)
}

fn tidy_arg(arg: Arg) -> Arg {
    let Some(value) = arg.get_env().and_then(std::env::var_os) else { return arg };
    // What is no text can only be a path.
    let Some(value) = value.to_str() else { return arg };
    let tidy = match arg.get_value_delimiter() {
        None => trim(value).to_owned(),
        Some(comma) => {
            let values = value.split(comma).map(trim).filter(|value| !value.is_empty());
            values.collect::<Vec<_>>().join(&comma.to_string())
        }
    };
    if tidy.is_empty() {
        return arg.env(None);
    }
    // A value that is wrong is told as it stands in the environment.
    if tidy == value || !is_understood(&arg, &tidy) {
        return arg;
    }
    // clap reads the variable itself: in its place, the value is a default. A few of them, once.
    let tidy: &'static str = tidy.leak();
    arg.env(None).default_value(tidy)
}

fn is_understood(arg: &Arg, value: &str) -> bool {
    // Flags take a value in the environment only.
    let alone = arg.clone().env(None).action(ArgAction::Append).num_args(1).global(false);
    let given = alone.get_long().map(|long| format!("--{long}={value}"));
    let probe = Command::new("probe").no_binary_name(true).disable_help_flag(true).arg(alone);
    probe.try_get_matches_from(given).is_ok()
}
