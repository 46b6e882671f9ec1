//! Mistakes planted in the machine itself: the simulated world must find each, and find it for what it is.

use watchdog_core::planted::{Planted, plant};
use watchdog_tests::world::{self, Options};

/// A mistake, and what the world says of it: one of these is in the invariant that it names as broken.
const MISTAKES: [(Planted, &[&str]); 21] = [
    (Planted::DebounceOffByOne, &["event \"firing"]),
    (Planted::ResolveLost, &["lacks ", "foretold was \"🟢"]),
    (Planted::ReminderUnderMaster, &["event \"still firing"]),
    (Planted::RetryAfterIgnored, &["before retry_after"]),
    (Planted::SlotLeaked, &["rows are left of"]),
    (
        Planted::WallClockForDurations,
        &["RESOLVED", "was active", "was down"],
    ),
    (Planted::SecondFiringLost, &["lacks ", "foretold was"]),
    (
        // A child that fires while it is held has no words of its own.
        Planted::ChildrenNotHeld,
        &["event ", "while its engine held it", "detail is wrong"],
    ),
    (Planted::DeathForgotten, &["container_down"]),
    (Planted::SinceForgotten, &["events were asked for since"]),
    (Planted::OomGuessed, &["container_oom"]),
    (Planted::AlertEndLost, &["a whole round", "not be told the end"]),
    (Planted::RefreshForgotten, &["has not been told again"]),
    (Planted::DoubtForgotten, &["a whole round", "not be told the end"]),
    (Planted::PlainInTunnel, &["to the proxy in step Tls"]),
    (
        Planted::WaitNotEnded,
        &[
            "a tick took",
            "event \"firing",
            "was there and was not seen",
            "not taken in fair weather",
        ],
    ),
    (Planted::FactsWait, &["was stated as a fact"]),
    (Planted::OomFlagIgnored, &["container_oom"]),
    (Planted::RestartTwice, &["container_restarting"]),
    (Planted::ProxyWaitedOut, &["not told in time"]),
    (Planted::AddressForgotten, &["was there and was not seen"]),
];

/// Without a mistake no seed fails; with one, a seed of the 64 does, and says why in words that fit the mistake.
#[test]
fn planted_mistakes_are_found() {
    world::with_room(find_all);
}

fn find_all() {
    for seed in 0..64 {
        if let Err(why) = world::run(&Options::draw(seed, 1)) {
            panic!("without any mistake: {why}");
        }
    }
    for (mistake, words) in MISTAKES {
        plant(Some(mistake));
        let found = (0..64).find_map(|seed| world::run(&Options::draw(seed, 1)).err());
        plant(None);
        let why = found.unwrap_or_else(|| panic!("{mistake:?} was not found"));
        println!("canary {mistake:?}: {why}");
        assert!(
            words.iter().any(|word| why.contains(word)),
            "{mistake:?} was found for another reason: {why}"
        );
    }
}
