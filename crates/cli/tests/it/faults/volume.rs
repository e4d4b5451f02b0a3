//! A small volume of its own for one process, which can be filled from outside.

use std::{fs, io::Write, path::PathBuf, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Where the process sees it, in a mount namespace of its own: no rights of root are needed.
pub(super) const MOUNTED_AT: &str = "/mnt";
/// How long it stays full.
const FULL_FOR: Duration = Duration::from_millis(1500);

/// The volume, as this process reaches it.
#[derive(Clone)]
pub(super) struct Volume {
    root: PathBuf,
}

impl Volume {
    pub(super) fn of(pid: u32) -> Self {
        Self { root: format!("/proc/{pid}/root{MOUNTED_AT}").into() }
    }

    /// Fills it every so often for a moment, and leaves it with room.
    pub(super) fn fill_again_and_again(
        &self,
        every: Duration,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let volume = self.clone();
        async move {
            let mut times = 0;
            while stop.run_until_cancelled(sleep(every)).await.is_some() {
                let ballast = volume.root.join("ballast");
                let bytes = tokio::task::spawn_blocking({
                    let ballast = ballast.clone();
                    move || fill(&ballast)
                });
                assert!(bytes.await.unwrap() > 0, "there was room to take");
                times += 1;
                stop.run_until_cancelled(sleep(FULL_FOR)).await;
                fs::remove_file(&ballast).unwrap();
            }
            println!("the volume was full {times} times");
            assert!(times > 0, "the volume was never full");
        }
    }
}

/// Writes until nothing more fits, and says how much did.
fn fill(ballast: &PathBuf) -> u64 {
    let mut file = fs::File::create(ballast).unwrap();
    let (mut written, mut size) = (0, 1 << 20);
    let zeros = vec![0; size];
    while size > 0 {
        match file.write(&zeros[..size]) {
            Ok(bytes) => written += bytes as u64,
            Err(_) => size /= 2,
        }
    }
    written
}
