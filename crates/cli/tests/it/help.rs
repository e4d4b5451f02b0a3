//! The surface in words: `--help` of every command, and the reference of the configuration.
//!
//! A change of either shows in a review. `UPDATE_DOCS=1` rewrites the reference, and
//! `INSTA_UPDATE=always` the snapshots.

use std::{env, fmt::Write as _, fs, path::Path};

use clap::{Args as _, Command};
use switchboard_server::Config;

use crate::process::run_args;

/// Every command there is, found by asking.
#[tokio::test]
async fn every_command_explains_itself() {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let args: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run_args(&args).await.succeeded();
        for below in subcommands(&help) {
            commands.push([&command[..], &[below]].concat());
        }
        let name = ["switchboard"].into_iter().chain(command.iter().map(String::as_str));
        insta::assert_snapshot!(name.collect::<Vec<_>>().join("_"), help);
        seen += 1;
    }
    assert!(seen >= 30, "the test has lost its way: {seen} commands");
}

/// The commands that a help text names.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    list.take_while(|line| !line.is_empty())
        // A deeper indent goes on with an explanation.
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_command_knows_its_version() {
    let version = format!("switchboard {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run_args(&["--version"]).await.succeeded(), version);
}

#[test]
fn the_reference_of_the_configuration_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let reference = reference();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &reference).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, reference,
        "docs/configuration.md is old: run this test with UPDATE_DOCS=1"
    );
}

fn reference() -> String {
    let mut text = "# Configuration of `switchboard serve`

Every setting is a flag and an environment variable; the flag wins. `switchboard serve --print-config`
shows what is in force, as an environment file. White space round the value of a variable is passed over, and
an empty variable is not set. This page is made from the program: after a change, run
`UPDATE_DOCS=1 cargo test -p switchboard --test it help`.

| Flag | Variable | Default | Meaning |
|---|---|---|---|
"
    .to_owned();
    for setting in Config::augment_args(Command::new("serve")).get_arguments() {
        let flag = setting.get_long().unwrap();
        let value = match setting.get_value_names() {
            Some([name]) if setting.get_action().takes_values() => format!(" {name}"),
            _ => String::new(),
        };
        let variable = setting.get_env().expect("every setting has a variable").to_string_lossy();
        let default = setting.get_default_values().first();
        let default = match default {
            Some(default) => format!("`{}`", default.to_string_lossy()),
            None if setting.get_action().takes_values() => "none".to_owned(),
            None => "`false`".to_owned(),
        };
        let meaning = setting.get_help().expect("every setting is explained").to_string();
        let meaning = meaning.replace('|', "\\|").replace('\n', " ");
        writeln!(text, "| `--{flag}{value}` | `{variable}` | {default} | {meaning} |").unwrap();
    }
    text
}
