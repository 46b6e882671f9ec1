//! What a seed draws: the configuration, and which faults exist in this world.

use super::dice::Dice;
use super::troubles::Trouble;
use super::weather::Fault;
use super::{alertmanager, beat, host, names, proxy};

/// The bot's token; nowhere but in a request line to the Bot API may it stand.
pub const TOKEN: &str = "123456:simulated-TOKEN_secret";
/// The chat.
pub const CHAT: &str = "-100123";
/// Stands in every container's environment and in the orchestrator's URL; it is never to be shown.
pub const SECRET: &str = "thisIsSecretAndNeverShown";
/// What no line, no message and no alert may hold.
pub const SECRETS: [&str; 4] = [TOKEN, SECRET, alertmanager::PASSWORD, proxy::PASSWORD];
/// `WATCHDOG_NAME`
pub const INSTANCE: &str = "host-<1>&co";

/// `WATCHDOG_TIMEOUT`, milliseconds.
pub const TIMEOUT_MS: u64 = 5_000;
/// `WATCHDOG_ORCH_STALE_AFTER`, milliseconds.
pub const STALE_AFTER_MS: u64 = 300_000;
/// Looks in a row of the rule `failed_jobs`: more than any `WATCHDOG_RAISE_TICKS` here, so that caution after a master's
/// alarm adds nothing to it.
pub const RULE_TICKS: u32 = 5;

/// A living engine: its containers have lives of their own.
#[derive(Clone, Debug)]
pub struct Life {
    /// What may happen to them.
    pub troubles: Vec<Trouble>,
    /// Whether `/events` is refused.
    pub events_refused: bool,
}

/// One world's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// Simulated time with faults, milliseconds.
    pub stormy_ms: u64,
    /// `WATCHDOG_INTERVAL`, milliseconds.
    pub interval_ms: u64,
    /// `WATCHDOG_RAISE_TICKS`
    pub raise_ticks: u32,
    /// `WATCHDOG_CLEAR_TICKS`
    pub clear_ticks: u32,
    /// `WATCHDOG_COOLDOWN`, milliseconds; none = off.
    pub cooldown_ms: Option<u64>,
    /// `WATCHDOG_FLAP_CHANGES`
    pub flap_changes: usize,
    /// `WATCHDOG_FLAP_WINDOW`, milliseconds.
    pub flap_window_ms: u64,
    /// Dependencies; the last one is a bare TCP connect.
    pub dependencies: usize,
    /// Whether the engine is there.
    pub docker: bool,
    /// Whether the engine lives, and how; else it lists one container that is there or not.
    pub engine: Option<Life>,
    /// Whether the peers have names that DNS must find.
    pub names: bool,
    /// Whether `dep_down:d0` is muted.
    pub muted: bool,
    /// Whether the wall clock steps.
    pub wall_steps: bool,
    /// Whether the machine is not run for up to a quarter of an hour now and then, as a stopped process is not.
    pub pauses: bool,
    /// Whether more subjects than the table has rows are active at times; discovered ones can not be foretold then.
    pub crowd: bool,
    /// The faults of each peer, by place: orchestrator, engine, Telegram, dependencies, DNS.
    pub faults: [Vec<Fault>; 5],
    /// Mean time of fair weather at one peer, milliseconds.
    pub calm_ms: u64,
    /// Mean time of one fault, milliseconds.
    pub storm_ms: u64,
    /// The Alertmanagers. What is drawn of these and of the next two comes from sequences of their own, so that a seed
    /// draws all else as it did before there were any.
    pub alertmanagers: Vec<alertmanager::Drawn>,
    /// The proxy in front of Telegram.
    pub proxy: Option<proxy::Drawn>,
    /// How the name server answers over TCP.
    pub names_over_tcp: names::Drawn,
    /// The heartbeat.
    pub beat: Option<beat::Drawn>,
    /// What of the host is looked at beside its memory and one disk.
    pub host_drawn: Option<host::Drawn>,
}

impl Options {
    /// Draws the options of a seed. `hours` is the time with faults.
    pub fn draw(seed: u64, hours: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x6f70_7469_6f6e_7300);
        let interval_ms = dice.pick(&[15_000, 15_000, 30_000, 60_000, 120_000]);
        let mut faults = [(); 5].map(|()| Vec::new());
        for (peer, drawn) in faults.iter_mut().enumerate() {
            // One world in five has a peer that never fails, and each fault is absent from half of the others.
            if dice.chance(80) {
                let all = Fault::of_peer(peer);
                drawn.extend(all.iter().filter(|_| dice.chance(50)).copied());
            }
        }
        let crowd = dice.chance(12);
        // A stream of its own, so that what else a seed draws stays what it was.
        let mut life = Dice::new(seed ^ 0x6c69_7665_7321);
        let engine = life.chance(60).then(|| Life {
            events_refused: life.chance(15),
            troubles: Trouble::ALL.into_iter().filter(|_| life.chance(60)).collect(),
        });
        Self {
            seed,
            // A crowd makes many lines and so long work; an hour of it shows what a day would.
            stormy_ms: if crowd { 1 } else { hours } * 3_600_000,
            interval_ms,
            raise_ticks: u32::try_from(dice.between(1, 4)).expect("small"),
            clear_ticks: u32::try_from(dice.between(1, 3)).expect("small"),
            cooldown_ms: dice.pick(&[None, Some(600_000), Some(1_200_000), Some(4 * 3_600_000)]),
            flap_changes: usize::try_from(dice.between(3, 8)).expect("small"),
            flap_window_ms: dice.pick(&[600_000, 1_200_000, 1_800_000]),
            dependencies: usize::try_from(dice.below(5)).expect("small"),
            docker: dice.chance(60),
            engine,
            names: dice.chance(40),
            muted: dice.chance(15),
            wall_steps: dice.chance(50),
            pauses: dice.chance(30),
            crowd,
            faults,
            calm_ms: dice.pick(&[120_000, 600_000, 1_800_000]),
            storm_ms: dice.pick(&[20_000, 120_000, 600_000]),
            alertmanagers: alertmanager::draw(seed),
            proxy: proxy::draw(seed),
            names_over_tcp: names::draw(seed),
            beat: beat::draw(seed),
            host_drawn: host::draw(seed),
        }
    }

    /// The host of a peer of this name.
    pub fn host(&self, name: &str) -> String {
        if self.names {
            format!("{name}.test")
        } else {
            "127.0.0.1".to_owned()
        }
    }

    /// Tells the variables of these options.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let host = |name: &str| self.host(name);
        let mut pairs = vec![
            (
                "ORCH_URL",
                format!("http://{}:8500/metrics?key={SECRET}", host("orch")),
            ),
            ("INTERVAL", format!("{}ms", self.interval_ms)),
            ("RAISE_TICKS", self.raise_ticks.to_string()),
            ("CLEAR_TICKS", self.clear_ticks.to_string()),
            (
                "COOLDOWN",
                self.cooldown_ms.map_or("off".to_owned(), |ms| format!("{ms}ms")),
            ),
            ("FLAP_CHANGES", self.flap_changes.to_string()),
            ("FLAP_WINDOW", format!("{}ms", self.flap_window_ms)),
            ("STAGE_STUCK_AFTER", "2h".to_owned()),
            ("QUEUE_AGE_MAX", "1h".to_owned()),
            ("COST_DAILY_MAX", "10".to_owned()),
            ("AGENT_STALL_AFTER", "off".to_owned()),
            ("AGENT_ELAPSED_MAX", "2h".to_owned()),
            ("ORCH_STALE_AFTER", format!("{STALE_AFTER_MS}ms")),
            ("RULE_FAILED_JOBS", format!("queue.failed > 0 for {RULE_TICKS}")),
            ("RULE_SLOW", "stages[].oldest_age_s > 8500 by stage".to_owned()),
            ("MEM_AVAILABLE_MIN", "5%".to_owned()),
            ("DISK_CEILING", "97".to_owned()),
            (
                "DOCKER_HOST",
                if self.docker {
                    "unix:///run/engine.sock"
                } else {
                    "off"
                }
                .to_owned(),
            ),
            ("NAME", INSTANCE.to_owned()),
        ];
        if self.docker {
            let listed = if self.engine.is_some() { "web,db" } else { "web" };
            pairs.push(("CONTAINERS", listed.to_owned()));
        }
        pairs.extend(self.channels());
        match &self.host_drawn {
            Some(drawn) => pairs.extend(drawn.pairs()),
            None => pairs.push(("FD_MAX", "off".to_owned())),
        }
        if self.muted {
            pairs.push(("MUTE", "dep_down:d0".to_owned()));
        }
        let mut pairs: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(name, value)| (format!("WATCHDOG_{name}"), value))
            .collect();
        for place in 0..self.dependencies {
            let value = if place + 1 == self.dependencies {
                format!("tcp://{}:{}", host("dep"), 7000 + place)
            } else {
                format!(
                    "http://{}:{}/health?key={SECRET} latency=2s",
                    host("dep"),
                    7000 + place
                )
            };
            pairs.push((format!("WATCHDOG_DEP_D{place}"), value));
        }
        pairs
    }

    fn channels(&self) -> Vec<(&'static str, String)> {
        let direct = "http://127.0.0.1:8443".to_owned();
        let mut pairs = vec![
            ("TELEGRAM_TOKEN", TOKEN.to_owned()),
            ("TELEGRAM_CHAT_ID", CHAT.to_owned()),
            (
                "TELEGRAM_API_URL",
                self.proxy.as_ref().map_or(direct, proxy::Drawn::target_url),
            ),
        ];
        if let Some(proxy) = &self.proxy {
            pairs.push(("TELEGRAM_PROXY", proxy.url(&self.host("proxy"))));
        }
        if let Some(beat) = &self.beat {
            pairs.extend(beat.pairs());
        }
        if let Some(urls) = alertmanager::urls(&self.alertmanagers, &self.host("alerts")) {
            pairs.push(("ALERTMANAGER_URL", urls));
        }
        pairs
    }
}
