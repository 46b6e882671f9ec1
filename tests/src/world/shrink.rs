//! What a world that fails needs for that: its parts are taken away one by one, and its storm is shortened.
//!
//! A smaller world counts if it breaks an invariant of the same kind ([`Breach`]). Bounded: [`RUNS_MAX`] runs for the parts, the
//! large ones first, and then one for each halving of the storm down to a second, 17 for a day. It never finds the smallest of all.

use super::{Breach, Options, run};

/// Runs with a part less.
const RUNS_MAX: u32 = 72;
/// Storms that are shorter by less are the same.
const STORM_STEP_MS: u64 = 1_000;

/// What makes a world smaller, if that part is in it.
type Part = Box<dyn Fn(&mut Options)>;

/// Large parts, each at once.
const LARGE: [fn(&mut Options); 19] = [
    |options| options.alertmanagers.clear(),
    |options| options.proxy = None,
    |options| (options.docker, options.engine) = (false, None),
    |options| options.engine = None,
    |options| options.names = false,
    |options| options.dependencies = 0,
    |options| options.crowd = false,
    |options| options.pauses = false,
    |options| options.wall_steps = false,
    |options| options.muted = false,
    |options| options.cooldown_ms = None,
    |options| options.faults[0].clear(),
    |options| options.faults[1].clear(),
    |options| options.faults[2].clear(),
    |options| options.faults[3].clear(),
    |options| options.faults[4].clear(),
    |options| options.names_over_tcp.calm_down(),
    |options| options.alertmanagers.iter_mut().for_each(|one| one.calm_down()),
    |options| options.proxy.iter_mut().for_each(|proxy| proxy.calm_down()),
];

/// Looks for fewer parts and a shorter storm with which a world that fails still fails in the same way: the options with
/// them, and why it fails then.
pub fn shrink(options: &Options, why: String) -> (Options, String) {
    shrink_by(options, why, |options| run(options).map(|_| ()))
}

fn shrink_by(
    options: &Options,
    why: String,
    lives: impl Fn(&Options) -> Result<(), String>,
) -> (Options, String) {
    let mut search = Search {
        kind: Breach::of(&why),
        fails: (options.clone(), why),
        lives,
    };
    let mut runs_left = RUNS_MAX;
    for part in LARGE {
        search.drop_part(&part, &mut runs_left);
    }
    for part in small_parts(&search.fails.0) {
        search.drop_part(&part, &mut runs_left);
    }
    search.shorten();
    search.fails
}

/// Single dependencies, Alertmanagers, faults and troubles.
fn small_parts(options: &Options) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..options.dependencies {
        parts.push(Box::new(|options| {
            options.dependencies = options.dependencies.saturating_sub(1);
        }));
    }
    for _ in &options.alertmanagers {
        parts.push(Box::new(|options| {
            options.alertmanagers.pop();
        }));
    }
    for (peer, faults) in options.faults.iter().enumerate() {
        for fault in faults.clone() {
            parts.push(Box::new(move |options| {
                options.faults[peer].retain(|other| *other != fault);
            }));
        }
    }
    for trouble in options.engine.iter().flat_map(|life| life.troubles.clone()) {
        parts.push(Box::new(move |options| {
            let troubles = options.engine.iter_mut().map(|life| &mut life.troubles);
            troubles.for_each(|troubles| troubles.retain(|other| *other != trouble));
        }));
    }
    parts
}

/// The smallest world so far.
struct Search<Lives> {
    kind: Breach,
    fails: (Options, String),
    lives: Lives,
}

impl<Lives: Fn(&Options) -> Result<(), String>> Search<Lives> {
    /// Takes this one if it fails as the first did.
    fn take(&mut self, tried: Options) -> bool {
        match (self.lives)(&tried) {
            Err(why) if Breach::of(&why) == self.kind => {
                self.fails = (tried, why);
                true
            }
            _ => false,
        }
    }

    fn drop_part(&mut self, part: &dyn Fn(&mut Options), runs_left: &mut u32) {
        let mut tried = self.fails.0.clone();
        part(&mut tried);
        let is_smaller = format!("{tried:?}") != format!("{:?}", self.fails.0);
        if is_smaller && *runs_left > 0 {
            *runs_left -= 1;
            self.take(tried);
        }
    }

    fn shorten(&mut self) {
        let mut holds = 0;
        while self.fails.0.stormy_ms - holds > STORM_STEP_MS {
            let tried = Options {
                stormy_ms: holds.midpoint(self.fails.0.stormy_ms),
                ..self.fails.0.clone()
            };
            let stormy_ms = tried.stormy_ms;
            if !self.take(tried) {
                holds = stormy_ms;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::weather::Fault;
    use super::{Breach, Options, RUNS_MAX, shrink_by};

    /// A world that fails by two of its parts, from some time on, is left with these two and that time, within the bound; one
    /// that fails in another way does not count.
    #[test]
    fn what_a_failure_needs_is_left() {
        let mut options = Options::draw(1, 24);
        options.faults = [(); 5].map(|()| vec![Fault::Refused, Fault::Slow, Fault::Page]);
        (options.names, options.dependencies, options.docker) = (true, 4, true);
        let runs = Cell::new(0);
        let lives = |options: &Options| {
            runs.set(runs.get() + 1);
            if options.dependencies == 0 {
                return Err("an end was foretold".to_owned());
            }
            let fails = options.names && options.faults[2].contains(&Fault::Slow);
            if fails && options.stormy_ms >= 5_000_000 {
                return Err("an end was not told in time".to_owned());
            }
            Ok(())
        };
        let (shrunk, why) = shrink_by(&options, "x was not told in time".to_owned(), lives);
        assert_eq!(Breach::of(&why), Breach::Lost);
        assert!(shrunk.names && !shrunk.docker && !shrunk.pauses && !shrunk.crowd);
        assert!(shrunk.alertmanagers.is_empty() && shrunk.proxy.is_none() && shrunk.engine.is_none());
        assert_eq!(shrunk.dependencies, 1);
        let mut faults = shrunk.faults.clone();
        assert_eq!(std::mem::take(&mut faults[2]), [Fault::Slow]);
        assert!(faults.iter().all(Vec::is_empty), "{faults:?}");
        assert!(
            (5_000_000..5_001_000).contains(&shrunk.stormy_ms),
            "{}",
            shrunk.stormy_ms
        );
        assert!(runs.get() <= RUNS_MAX + 17, "{}", runs.get());
    }
}
