//! TC-14: all of it in one run.

use serde_json::json;
use watchdog_tests::envelope;
use watchdog_tests::fake::{
    Answer, Container, FakeDns, FakeEngine, FakeHttp, FakeOrchestrator, FakeSocket, FakeTelegram,
};
use watchdog_tests::harness::{SOON, Setup};

fn old_queue() -> Answer {
    let mut envelope = envelope::healthy();
    envelope["queue"]["oldest_age_s"] = json!(9999);
    envelope["stages"] = json!([{"stage": "review", "count": 1, "oldest_age_s": 99999.0}]);
    Answer::json(&envelope)
}

/// Every source breaks, is told, comes back, is told again: each firing once, each end once, no markup that Telegram
/// would refuse, a start and an end with status 0.
#[test]
fn tc_14_all_of_it_in_one_run() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let mut engine = FakeEngine::start([Container::running("web"), Container::running("db")]);
    let dns = FakeDns::start();
    dns.addresses("gitea.test", &["127.0.0.1".parse().unwrap()]);
    let gitea = FakeHttp::always(Answer::http(200, &[], b"all is well"));
    let mut door = FakeSocket::tcp();
    let mut watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .engine(&engine)
        .nameserver(&dns)
        .ticks(2, 2)
        .set("WATCHDOG_CONTAINERS", "db")
        .set(
            "WATCHDOG_DEP_GITEA",
            format!("http://gitea.test:{}/ body=\"is well\"", gitea.port()),
        )
        .set("WATCHDOG_DEP_DOOR", door.url())
        .set("WATCHDOG_RULE_FAILED_JOBS", "queue.failed > 0 for 2")
        .start();
    let started = telegram.wait_for("STARTED", SOON);
    assert!(started.is_silent(), "{}", watchdog.output());

    orchestrator.script(|_| old_queue());
    gitea.answer(Answer::http(200, &[], b"all is lost"));
    door.refuse();
    engine.set(Container::running("web").exited(3));
    engine.event("die", "web", &[("exitCode", "3")]);
    engine.remove("db");
    let broken = [
        "queue_old",
        "stage_stuck:review",
        "dep_down:gitea",
        "dep_down:door",
        "container_down:web",
        "container_down:db",
    ];
    for signal in broken {
        watchdog.wait_event("firing", signal);
        telegram.wait_for(&format!("FIRING {signal}"), SOON);
    }

    orchestrator.heal();
    gitea.answer(Answer::http(200, &[], b"all is well"));
    door.reopen();
    engine.set(Container::running("web"));
    engine.event("start", "web", &[]);
    engine.set(Container::running("db"));
    for signal in broken {
        watchdog.wait_event("resolved", signal);
        telegram.wait_for(&format!("RESOLVED {signal}"), SOON);
    }

    orchestrator.answer(Answer::BlackHole);
    engine.stop();
    for signal in ["orch_down", "docker_down"] {
        telegram.wait_for(&format!("FIRING {signal}"), SOON);
    }
    orchestrator.script(|_| {
        let mut failed = envelope::healthy();
        failed["queue"]["failed"] = json!(2);
        Answer::json(&failed)
    });
    engine.restart();
    for signal in ["orch_down", "docker_down"] {
        telegram.wait_for(&format!("RESOLVED {signal}"), SOON);
    }
    telegram.wait_for("FIRING failed_jobs", SOON);

    for signal in broken.into_iter().chain(["orch_down", "docker_down"]) {
        let lines = |word: &str| telegram.lines(&format!("{word} {signal}")).len();
        assert_eq!(
            (lines("FIRING"), lines("RESOLVED")),
            (1, 1),
            "{signal}: {:#?}",
            telegram.messages()
        );
        assert_eq!(watchdog.told("firing", signal).len(), 1, "{signal}");
        assert_eq!(watchdog.told("resolved", signal).len(), 1, "{signal}");
    }
    assert!(telegram.faults().is_empty(), "{:?}", telegram.faults());
    assert!(engine.requests().iter().all(|request| request.method == "GET"));
    let broken_lines: Vec<_> = watchdog
        .lines()
        .into_iter()
        .filter(|line| line.fields.is_empty() && line.text.contains("event="))
        .collect();
    assert!(broken_lines.is_empty(), "not logfmt: {broken_lines:?}");
    let (status, _) = watchdog.terminate();
    assert_eq!(status.code(), Some(0));
}
