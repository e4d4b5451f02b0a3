//! The drivers of real phones, from the API to the fake phone: a real server, the real link, the real ledger, and a fake of the
//! program beside the phone that somebody wrote who had not seen the driver.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of tests are tests too")]

mod android;
mod android_faults;
mod beginnings;
mod bluebubbles;
mod complaints;
mod ends;
mod faults_android;
mod faults_imsg;
mod gap_before;
mod gaps;
mod imsg;
mod imsg_faults;
mod imsg_slow_faults;
mod kills;
mod network;
mod new_ledger;
mod rig;
mod served;
mod standby;
mod suite;
