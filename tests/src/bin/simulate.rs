//! Simulated worlds on demand, on all cores: `simulate --seeds N --hours H [--seed S] [--threads T]`.
//!
//! What it prints of a seed does not depend on how many threads there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use watchdog_tests::harness::number_after;
use watchdog_tests::world::{self, Breach, Lateness, Options, Report};

/// What all worlds came to.
#[derive(Default)]
struct Totals {
    simulated_ms: u64,
    incidents: u64,
    told: u64,
    containers: u64,
    lateness: Lateness,
    lost: u64,
    untrue: u64,
    otherwise: u64,
    /// What is to be said of the worlds that failed, by seed.
    failures: Vec<(u64, String)>,
}

fn main() -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (seeds, hours, first, threads) = (
        number_after("--seeds", 64),
        number_after("--hours", 24),
        number_after("--seed", 0),
        number_after("--threads", cores),
    );
    let began = Instant::now();
    let (next, totals) = (AtomicU64::new(first), Mutex::new(Totals::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            world::roomy()
                .spawn_scoped(scope, || {
                    while let Some(seed) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < first + seeds)
                    {
                        live(seed, hours, &totals);
                    }
                })
                .expect("a thread");
        }
    });
    let totals = totals.into_inner().expect("no worker panics");
    print(&totals, seeds, began.elapsed().as_secs_f64());
    if totals.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Lets one world live, and adds it up.
fn live(seed: u64, hours: u64, totals: &Mutex<Totals>) {
    let options = Options::draw(seed, hours);
    let result = catch_unwind(AssertUnwindSafe(|| world::run(&options)))
        .unwrap_or_else(|_| Err(format!("seed {seed}: it panicked, see above")));
    if let Err(why) = &result {
        // At once, for whoever waits; on stdout all stand at the end, in order.
        eprintln!("{why}");
    }
    let failure = result.as_ref().err().map(|why| tell(&options, why));
    let mut totals = totals.lock().expect("no worker panics");
    match result {
        Ok(report) => totals.add(&report),
        Err(why) => match Breach::of(&why) {
            Breach::Lost => totals.lost += 1,
            Breach::False => totals.untrue += 1,
            Breach::Other => totals.otherwise += 1,
        },
    }
    totals.failures.extend(failure.map(|text| (seed, text)));
}

/// All that helps to find the mistake behind a world that failed.
fn tell(options: &Options, why: &str) -> String {
    let shrunk = catch_unwind(AssertUnwindSafe(|| world::shrink(options, why.to_owned())));
    let smallest = shrunk.map_or_else(
        |_| "it panics in smaller worlds too".to_owned(),
        |(smallest, why)| format!("the smallest found that fails: {why}\n  {smallest:?}"),
    );
    format!("{why}\n  {options:?}\n  {smallest}")
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.simulated_ms += report.simulated_ms;
        self.incidents += report.incidents;
        self.told += report.told;
        self.containers += report.containers;
        self.lateness = self.lateness.worse(report.lateness);
    }
}

fn print(totals: &Totals, seeds: u64, took: f64) {
    let mut failures: Vec<_> = totals.failures.iter().collect();
    failures.sort();
    for (_, text) in failures {
        println!("{text}");
    }
    let hours = totals.simulated_ms / 3_600_000;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (seeds_a_second, hours_a_second) = (seeds as f64 / took, hours as f64 / took);
    let Lateness { late_ms, allowed_ms } = totals.lateness;
    println!(
        "{seeds} seeds, {hours} simulated hours ({} days) in {took:.0} s: {seeds_a_second:.1} seeds/s, \
         {hours_a_second:.0} simulated hours/s\n\
         incidents {}, told {}, lost {}, false {}, otherwise broken {}, worlds failed {}\n\
         container truths held to their bound {}, greatest lateness {late_ms} ms of {allowed_ms} ms allowed ({} %)",
        hours / 24,
        totals.incidents,
        totals.told,
        totals.lost,
        totals.untrue,
        totals.otherwise,
        totals.failures.len(),
        totals.containers,
        late_ms * 100 / allowed_ms.max(1),
    );
}
