//! The simulated world: 64 fixed seeds, one of the commit, and the seeds that ever failed.
//! That planted mistakes are found shows `canaries/`.

use watchdog_tests::world::{self, Options, with_room};

/// Seeds, and how many stormy hours: the fixed ones, those that ever failed (`SEED why` or `SEED/HOURS why`), and the commit's.
fn seeds() -> impl Iterator<Item = (u64, u64)> {
    let kept = include_str!("../seeds.txt").lines().map(|line| {
        let word = line.split(' ').next().unwrap_or_default();
        let (seed, hours) = word.split_once('/').unwrap_or((word, "1"));
        (seed.parse().expect("a seed"), hours.parse().expect("hours"))
    });
    let fixed = (0..64).chain(seed_of_commit()).map(|seed| (seed, 1));
    fixed.chain(kept)
}

/// A seed that is another with each commit, and the same for all who test that one. Without git there is none.
fn seed_of_commit() -> Option<u64> {
    let git = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(git.stdout).ok()?;
    let seed = u64::from_str_radix(commit.get(..15)?, 16).ok()?;
    println!("the commit's seed is {seed}");
    Some(seed)
}

/// In 64 worlds, and in those that ever failed, every event and every line is as foretold and nothing is lost.
#[test]
fn nothing_is_lost_and_nothing_is_false() {
    with_room(|| {
        for (seed, hours) in seeds() {
            let options = Options::draw(seed, hours);
            if let Err(why) = world::run(&options) {
                let (smallest, now) = world::shrink(&options, why.clone());
                panic!("{why}\nthe smallest found that fails: {now}\n{smallest:?}");
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
            let hash = |options: &Options| world::run(options).unwrap().hash;
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
