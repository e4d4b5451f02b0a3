//! What threads have used of the processor, as the kernel counts it, in nanoseconds.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Context as _;

/// What the calling thread has used.
pub(crate) fn of_this_thread() -> anyhow::Result<Duration> {
    parse(&fs::read_to_string("/proc/thread-self/schedstat")?)
}

/// What the threads of this process have used that are still there, by their names; the
/// numbers at the end of a name are left away.
pub(crate) fn by_name() -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut used = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        // A thread may end while we look.
        let (Ok(name), Ok(stat)) =
            (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            continue;
        };
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        *used.entry(name.to_owned()).or_default() += parse(&stat)?;
    }
    Ok(used)
}

/// What was used between two looks, of threads that used anything.
pub(crate) fn between(
    before: &BTreeMap<String, Duration>,
    after: &BTreeMap<String, Duration>,
) -> BTreeMap<String, Duration> {
    let spent = |(name, used): (&String, &Duration)| {
        let spent = used.saturating_sub(before.get(name).copied().unwrap_or_default());
        (!spent.is_zero()).then(|| (name.clone(), spent))
    };
    after.iter().filter_map(spent).collect()
}

fn parse(schedstat: &str) -> anyhow::Result<Duration> {
    let nanos = schedstat.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanos.parse().context("the kernel keeps no schedstat")?))
}
