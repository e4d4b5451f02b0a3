//! Where the program `fake-imsg` is.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The program, which lies beside the tests that cargo has built. Tests of other crates may be built without it: then
/// it is built now.
pub(crate) fn built() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = env::current_exe().expect("a test knows where it lies");
        let mut folders = test.ancestors().skip(1);
        let folder =
            folders.find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
        let folder = folder.expect("a test lies in a folder of cargo's").to_owned();
        let program = folder.join("fake-imsg");
        if !program.exists() {
            let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
            cargo.args([
                "build",
                "--quiet",
                "--locked",
                "-p",
                "switchboard-fakes",
                "--bin",
                "fake-imsg",
            ]);
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
            let built = status.is_ok_and(|status| status.success()) && program.exists();
            assert!(built, "build fake-imsg first: {cargo:?}");
        }
        program
    })
}

/// Puts a name for the program into a folder, and beside it the address of its Mac.
pub(crate) fn link(folder: &Path, address: &str) -> io::Result<PathBuf> {
    let name = folder.join("imsg");
    fs::write(folder.join("imsg.mac"), address)?;
    // Not a script: one that was just written may not be executed while another thread forks.
    std::os::unix::fs::symlink(built(), &name)?;
    Ok(name)
}
