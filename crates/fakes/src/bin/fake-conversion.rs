//! What a bridge spawns as `sips` or `afconvert`, by the name that it is called by.

use std::{env, process};

fn main() {
    process::exit(switchboard_fakes::conversions::act(&env::args().collect::<Vec<_>>()));
}
