//! The real binary in real bad weather: `weather [--minutes N] [--seed S]`, as root, with iproute2.
//!
//! It stands in a network namespace of its own, and between it and its peers packets are lost, late, doubled, damaged, out of
//! order, held back or cut off; the peers refuse, answer wrongly or not at all; the process is stopped, finds no free file
//! descriptor, and lives within 8 MiB of data; its wall clock steps by hours and days. Then the weather is fair, and what was
//! logged is held against what was told, and against what each fault must bring about. It ends with a failure if a firing was not
//! told, told late, or told twice, if one did not come or came late that a fault must bring about, or one came that no fault
//! explains, if a duration is not true, a peer was asked too often, or memory grew.

mod clock;
mod faults;
mod ledger;
mod link;
mod scene;
mod strikes;
mod verdict;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use scene::Scene;
use watchdog_tests::harness::{self, number_after};

/// Set in the process that is inside the namespace.
const INSIDE: &str = "WATCHDOG_WEATHER_INSIDE";

fn main() -> ExitCode {
    let minutes = number_after("--minutes", 2);
    let seed = number_after("--seed", u64::from(std::process::id()));
    if std::env::var_os(INSIDE).is_none() {
        return go_inside();
    }
    println!("weather: seed {seed}, {minutes} minutes");
    let mut scene = Scene::start(seed);
    scene.storm(Duration::from_secs(60 * minutes));
    if scene.settle() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Starts this program again in a network namespace that ends with it: that of the peers.
fn go_inside() -> ExitCode {
    let why = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().expect("this program"))
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .env("WATCHDOG_BIN", harness::binary())
        .exec();
    println!("no network namespace: {why}");
    ExitCode::FAILURE
}
