//! Simulated worlds on demand: `simulate --seeds N --hours H [--seed S]`.

use std::process::ExitCode;
use std::time::Instant;

use watchdog_tests::harness::number_after;
use watchdog_tests::world::{self, Options};

fn main() -> ExitCode {
    let failed = world::with_room(simulate);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn simulate() -> u64 {
    let (seeds, hours, first) = (
        number_after("--seeds", 64),
        number_after("--hours", 24),
        number_after("--seed", 0),
    );
    let began = Instant::now();
    let (mut incidents, mut told, mut simulated_ms, mut failed) = (0, 0, 0, 0);
    for seed in first..first + seeds {
        let options = Options::draw(seed, hours);
        match world::run(&options) {
            Ok(report) => {
                incidents += report.incidents;
                told += report.told;
                simulated_ms += report.simulated_ms;
            }
            Err(why) => {
                failed += 1;
                println!("{why}\n  {options:?}");
                let (shortest, why) = world::shrink(&options, why);
                println!(
                    "  the shortest storm that fails: {} ms: {why}",
                    shortest.stormy_ms
                );
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    let hours = simulated_ms / 3_600_000;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (seeds_a_second, hours_a_second) = (seeds as f64 / took, hours as f64 / took);
    println!(
        "{seeds} seeds, {hours} simulated hours ({} days) in {took:.0} s: {seeds_a_second:.1} seeds/s, \
         {hours_a_second:.0} simulated hours/s; {incidents} incidents, {told} told, {failed} worlds with something lost \
         or false",
        hours / 24
    );
    failed
}
