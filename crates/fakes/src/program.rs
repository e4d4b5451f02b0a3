//! Where the programs of this crate are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A program, which lies beside the tests that cargo has built. Tests of other crates may be built without it: then
/// it is built now.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows where it lies");
    let mut folders = test.ancestors().skip(1);
    let folder = folders.find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
    let folder = folder.expect("a test lies in a folder of cargo's").to_owned();
    let program = folder.join(name);
    if !program.exists() {
        build(name, &folder);
        assert!(program.exists(), "build {name} first");
    }
    program
}

fn build(name: &str, folder: &Path) {
    let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["build", "--quiet", "--locked", "-p", "switchboard-fakes", "--bin", name]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.is_ok_and(|status| status.success()), "build {name} first: {cargo:?}");
}
