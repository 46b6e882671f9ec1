//! TC-14: all of it in one run.

use serde_json::json;
use watchdog_tests::envelope;
use watchdog_tests::fake::{
    Answer, Container, FakeDns, FakeEngine, FakeHttp, FakeOrchestrator, FakeSocket, FakeTelegram,
};
use watchdog_tests::harness::{SOON, Setup, Watchdog};

fn old_queue() -> Answer {
    let mut envelope = envelope::healthy();
    envelope["queue"]["oldest_age_s"] = json!(9999);
    envelope["stages"] = json!([{"stage": "review", "count": 1, "oldest_age_s": 99999.0}]);
    Answer::json(&envelope)
}

/// What breaks first; every line of it is told by Telegram too.
const BROKEN: [&str; 6] = [
    "queue_old",
    "stage_stuck:review",
    "dep_down:gitea",
    "dep_down:door",
    "container_down:web",
    "container_down:db",
];
const MASTERS: [&str; 2] = ["orch_down", "docker_down"];

/// Everything that it looks at, and whom it tells.
struct Stage {
    orchestrator: FakeOrchestrator,
    telegram: FakeTelegram,
    engine: FakeEngine,
    dns: FakeDns,
    gitea: FakeHttp,
    door: FakeSocket,
}

impl Stage {
    fn new() -> Self {
        let dns = FakeDns::start();
        dns.addresses("gitea.test", &["127.0.0.1".parse().unwrap()]);
        Self {
            orchestrator: FakeOrchestrator::healthy(),
            telegram: FakeTelegram::start(),
            engine: FakeEngine::start([Container::running("web"), Container::running("db")]),
            dns,
            gitea: FakeHttp::always(Answer::http(200, &[], b"all is well")),
            door: FakeSocket::tcp(),
        }
    }

    fn watched(&self) -> Watchdog {
        Setup::quiet()
            .orchestrator(&self.orchestrator)
            .telegram(&self.telegram)
            .engine(&self.engine)
            .nameserver(&self.dns)
            .ticks(2, 2)
            .set("WATCHDOG_CONTAINERS", "db")
            .set(
                "WATCHDOG_DEP_GITEA",
                format!("http://gitea.test:{}/ body=\"is well\"", self.gitea.port()),
            )
            .set("WATCHDOG_DEP_DOOR", self.door.url())
            .start()
    }

    fn break_all_but_the_masters(&mut self) {
        self.orchestrator.script(|_| old_queue());
        self.gitea.answer(Answer::http(200, &[], b"all is lost"));
        self.door.refuse();
        self.engine.set(Container::running("web").exited(3));
        self.engine.event("die", "web", &[("exitCode", "3")]);
        self.engine.remove("db");
    }

    fn mend_all_but_the_masters(&mut self) {
        self.orchestrator.heal();
        self.gitea.answer(Answer::http(200, &[], b"all is well"));
        self.door.reopen();
        self.engine.set(Container::running("web"));
        self.engine.event("start", "web", &[]);
        self.engine.set(Container::running("db"));
    }

    fn all_told(&self, watchdog: &Watchdog, word: &str, signals: &[&str]) {
        for signal in signals {
            watchdog.wait_event(&word.to_lowercase(), signal);
            self.telegram.wait_for(&format!("{word} {signal}"), SOON);
        }
    }
}

/// Every source breaks, is told, comes back, is told again: each firing once, each end once, no markup that Telegram
/// would refuse, a start and an end with status 0.
#[test]
fn tc_14_all_of_it_in_one_run() {
    let mut stage = Stage::new();
    let mut watchdog = stage.watched();
    let started = stage.telegram.wait_for("STARTED", SOON);
    assert!(started.is_silent(), "{}", watchdog.output());

    stage.break_all_but_the_masters();
    stage.all_told(&watchdog, "FIRING", &BROKEN);
    stage.mend_all_but_the_masters();
    stage.all_told(&watchdog, "RESOLVED", &BROKEN);
    stage.orchestrator.answer(Answer::BlackHole);
    stage.engine.stop();
    stage.all_told(&watchdog, "FIRING", &MASTERS);
    stage.orchestrator.heal();
    stage.engine.restart();
    stage.all_told(&watchdog, "RESOLVED", &MASTERS);

    for signal in BROKEN.into_iter().chain(MASTERS) {
        let lines = |word: &str| stage.telegram.lines(&format!("{word} {signal}")).len();
        assert_eq!(
            (lines("FIRING"), lines("RESOLVED")),
            (1, 1),
            "{signal}: {:#?}",
            stage.telegram.messages()
        );
        assert_eq!(watchdog.told("firing", signal).len(), 1, "{signal}");
        assert_eq!(watchdog.told("resolved", signal).len(), 1, "{signal}");
    }
    assert!(
        stage.telegram.faults().is_empty(),
        "{:?}",
        stage.telegram.faults()
    );
    assert!(
        stage
            .engine
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
    let unread: Vec<_> = watchdog
        .lines()
        .into_iter()
        .filter(|line| line.fields.is_empty())
        .collect();
    assert!(unread.is_empty(), "not logfmt: {unread:?}");
    let (status, _) = watchdog.terminate();
    assert_eq!(status.code(), Some(0));
}
