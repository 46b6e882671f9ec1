//! The simulated world: 64 fixed seeds, the seeds that ever failed, and planted faults that must be found.

use watchdog_tests::world::{self, Canary, Options};

/// The machine is some megabytes and passes over the stack on its way to the heap.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new()
        .stack_size(64 * 1024 * 1024)
        .spawn(test)
        .unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn seeds() -> impl Iterator<Item = u64> {
    let kept = include_str!("../seeds.txt").lines();
    let kept = kept.filter_map(|line| line.split(' ').next()?.parse().ok());
    (0..64).chain(kept)
}

/// In 64 worlds, and in those that ever failed, every event and every line is as foretold and nothing is lost.
#[test]
fn nothing_is_lost_and_nothing_is_false() {
    with_room(|| {
        for seed in seeds() {
            if let Err(why) = world::run(&Options::draw(seed, 1), None) {
                panic!("{why}");
            }
        }
    });
}

/// The same seed gives the same bytes, and steps of the wall clock change nothing but the times shown.
#[test]
fn a_world_is_the_same_again_and_whatever_the_wall_clock_does() {
    with_room(|| {
        for seed in 0..8 {
            let options = Options {
                wall_steps: false,
                ..Options::draw(seed, 1)
            };
            let hash = |options: &Options| world::run(options, None).unwrap().hash;
            let still = hash(&options);
            assert_eq!(still, hash(&options), "seed {seed}");
            assert_eq!(
                still,
                hash(&Options {
                    wall_steps: true,
                    ..options
                }),
                "seed {seed}"
            );
        }
    });
}

/// Each planted fault is found within the 64 seeds.
#[test]
fn planted_faults_are_found() {
    with_room(|| {
        for canary in [
            Canary::DebounceOffByOne,
            Canary::ResolveLost,
            Canary::ReminderUnderMaster,
            Canary::RetryAfterIgnored,
            Canary::SlotLeaked,
            Canary::WallClockForDurations,
        ] {
            let found = (0..64).find(|seed| world::run(&Options::draw(*seed, 1), Some(canary)).is_err());
            assert!(found.is_some(), "{canary:?} was not found");
            println!("{canary:?}: seed {found:?}");
        }
    });
}
