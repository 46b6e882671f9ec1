//! Names and certificates: resolving as it should, and failing with a reason.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use watchdog_tests::fake::dns::{Mood, Record};
use watchdog_tests::fake::tls::Identity;
use watchdog_tests::fake::{
    Answer, Container, FakeDns, FakeEngine, FakeHttp, FakeHttps, FakeOrchestrator, FakeSocket, FakeTelegram,
};
use watchdog_tests::harness::{SOON, Setup};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn named(orchestrator: &FakeOrchestrator, dns: &FakeDns, name: &str) -> Setup {
    let url = format!("http://{name}:{}/metrics", orchestrator.port());
    Setup::quiet()
        .nameserver(dns)
        .ticks(2, 2)
        .set("WATCHDOG_ORCH_URL", url)
}

/// A name is asked for and its address used; the `Host` field is the name that was configured.
#[test]
fn a_name_is_resolved() {
    let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
    dns.addresses("orch.test", &[HERE]);
    let checked = named(&orchestrator, &dns, "orch.test").check();
    assert_eq!(checked.state("orch_down"), "clear", "{checked:?}");
    let host = format!("orch.test:{}", orchestrator.port());
    assert_eq!(orchestrator.requests()[0].field("host"), Some(host.as_str()));
}

/// An alias of an alias leads there; of several addresses, one that refuses does not keep it from the next.
#[test]
fn aliases_and_further_addresses_are_followed() {
    let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
    dns.set("orch.test", Record::Alias("b.test".to_owned()));
    dns.set("b.test", Record::Alias("c.test".to_owned()));
    dns.addresses("c.test", &[IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)), HERE]);
    let checked = named(&orchestrator, &dns, "orch.test").check();
    assert_eq!(checked.state("orch_down"), "clear", "{checked:?}");
}

/// A truncated answer is asked for again over TCP.
#[test]
fn a_truncated_answer_is_asked_again_over_tcp() {
    let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
    dns.addresses("orch.test", &[HERE]);
    dns.mood(Mood::Truncating);
    let checked = named(&orchestrator, &dns, "orch.test").check();
    assert_eq!(checked.state("orch_down"), "clear", "{checked:?}");
    assert!(dns.questions().iter().any(|(_, _, over_tcp)| *over_tcp));
}

/// An unknown name, a server that fails and one that says nothing are down, each with a reason that speaks of the name.
#[test]
fn what_cannot_be_resolved_is_down_with_a_reason() {
    for mood in [Mood::Kind, Mood::Failing, Mood::Silent] {
        let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
        dns.mood(mood);
        let checked = named(&orchestrator, &dns, "orch.test").check();
        assert_eq!(checked.state("orch_down"), "active", "{mood:?}: {checked:?}");
        let detail = checked.detail("orch_down").to_lowercase();
        let speaks = ["dns", "name", "host"].iter().any(|word| detail.contains(word));
        assert!(speaks, "{mood:?}: {detail}");
        assert_eq!(orchestrator.count(), 0);
    }
}

/// An answer with an id that was not asked with is not believed.
#[test]
fn a_forged_answer_is_not_believed() {
    let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
    dns.mood(Mood::Forging);
    let checked = named(&orchestrator, &dns, "orch.test").check();
    assert_eq!(checked.state("orch_down"), "active", "{checked:?}");
}

/// When the name server dies, the last good answer serves on, past its time to live.
#[test]
fn the_last_good_answer_is_kept() {
    let (orchestrator, dns) = (FakeOrchestrator::healthy(), FakeDns::start());
    dns.addresses("orch.test", &[HERE]);
    dns.ttl_s(1);
    let watchdog = named(&orchestrator, &dns, "orch.test").start();
    orchestrator.wait_for_more(2, SOON);
    dns.mood(Mood::Silent);
    orchestrator.wait_for_more(6, SOON);
    assert!(
        watchdog.told("firing", "orch_down").is_empty(),
        "{}",
        watchdog.output()
    );
}

/// Dependencies of each kind: well, then broken, each with its own reason.
#[test]
fn dependencies_of_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let http = FakeHttp::always(Answer::http(200, &[], b"all is well"));
    let https = FakeHttps::start(&["127.0.0.1"]);
    let (mut tcp, mut unix) = (FakeSocket::tcp(), FakeSocket::unix(&folder.path().join("door")));
    let setup = Setup::quiet()
        .set("WATCHDOG_CA_FILE", https.ca_file().display())
        .set(
            "WATCHDOG_DEP_WEB",
            format!(
                "http://127.0.0.1:{}/ status=200 body=\"is well\" latency=900ms",
                http.port()
            ),
        )
        .set(
            "WATCHDOG_DEP_SAFE",
            format!("https://127.0.0.1:{}/", https.port()),
        )
        .set("WATCHDOG_DEP_TCP", tcp.url())
        .set("WATCHDOG_DEP_UNIX", unix.url());
    let checked = setup.check();
    for name in ["web", "safe", "tcp", "unix"] {
        assert_eq!(
            checked.state(&format!("dep_down:{name}")),
            "clear",
            "{name}: {checked:?}"
        );
    }
    assert_eq!(checked.state("dep_slow:web"), "clear", "{checked:?}");
    assert_eq!(https.requests()[0].method, "GET");

    http.answer(Answer::http(200, &[], b"all is lost"));
    tcp.refuse();
    unix.refuse();
    let checked = setup.check();
    for name in ["web", "tcp", "unix"] {
        let id = format!("dep_down:{name}");
        assert_eq!(checked.state(&id), "active", "{name}: {checked:?}");
        assert!(!checked.detail(&id).is_empty());
    }
    http.answer(Answer::After(
        Duration::from_millis(950),
        Box::new(Answer::http(200, &[], b"all is well")),
    ));
    let checked = setup.set("WATCHDOG_INTERVAL", "5s").check();
    assert_eq!(
        (checked.state("dep_down:web"), checked.state("dep_slow:web")),
        ("clear", "active")
    );
}

/// A certificate that nobody vouches for, or one for another name, is refused, and said to be.
#[test]
fn certificates_are_checked() {
    let https = FakeHttps::start(&["other.test"]);
    let url = format!("https://127.0.0.1:{}/", https.port());
    let unknown = Setup::quiet().set("WATCHDOG_DEP_SAFE", &url).check();
    assert_eq!(unknown.state("dep_down:safe"), "active", "{unknown:?}");
    let misnamed = Setup::quiet()
        .set("WATCHDOG_DEP_SAFE", &url)
        .set("WATCHDOG_CA_FILE", https.ca_file().display())
        .check();
    assert_eq!(misnamed.state("dep_down:safe"), "active", "{misnamed:?}");
    for checked in [unknown, misnamed] {
        let detail = checked.detail("dep_down:safe").to_lowercase();
        assert!(
            detail.contains("certificate") || detail.contains("tls"),
            "{detail}"
        );
    }
    assert_eq!(https.served(), 0);
}

/// An expired certificate is both alarms, whoever issued it. One that is refused for its name or its issuer says nothing of the
/// certificate that was asked for, however long it lasts.
#[test]
fn only_an_expired_certificate_is_told_of_when_refused() {
    let expired = FakeHttps::with(Identity::expired(&["127.0.0.1"]));
    let lasting = FakeHttps::with(Identity::new(&["other.test"]));
    let look = |https: &FakeHttps, root: &FakeHttps| {
        Setup::quiet()
            .set("WATCHDOG_CA_FILE", root.ca_file().display())
            .set(
                "WATCHDOG_DEP_SAFE",
                format!("https://127.0.0.1:{}/ cert=14d", https.port()),
            )
            .check()
    };
    for (https, root, cert, left, reason) in [
        (&expired, &expired, "active", "ago", "expired"),
        (&expired, &lasting, "active", "ago", "certificate"),
        (&lasting, &lasting, "unknown", "", "certificate"),
        (&lasting, &expired, "unknown", "", "certificate"),
    ] {
        let checked = look(https, root);
        assert_eq!(checked.state("dep_down:safe"), "active", "{checked:?}");
        assert!(checked.detail("dep_down:safe").contains(reason), "{checked:?}");
        assert_eq!(checked.state("dep_cert:safe"), cert, "{checked:?}");
        assert!(checked.detail("dep_cert:safe").contains(left), "{checked:?}");
    }
    assert_eq!(
        expired.served() + lasting.served(),
        0,
        "nothing was asked of either"
    );
}

/// A Telegram whose certificate is not trusted gets nothing, token least of all, and ticks go on.
#[test]
fn an_untrusted_telegram_gets_nothing() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .ticks(1, 1)
        .unset("WATCHDOG_CA_FILE")
        .start();
    orchestrator.wait_for_more(5, SOON);
    assert!(telegram.paths().is_empty());
    assert!(
        watchdog.output().to_lowercase().contains("certificate"),
        "{}",
        watchdog.output()
    );
}

/// Telegram by its name, through the name server, with the certificate of that name.
#[test]
fn telegram_is_found_by_name() {
    let orchestrator = FakeOrchestrator::healthy();
    let (telegram, dns) = (FakeTelegram::start(), FakeDns::start());
    dns.addresses("api.telegram.test", &[HERE]);
    let _watchdog = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .nameserver(&dns)
        .ticks(1, 1)
        .set(
            "WATCHDOG_TELEGRAM_API_URL",
            format!("https://api.telegram.test:{}", telegram.port()),
        )
        .start();
    telegram.wait_for("STARTED", SOON);
}

/// What is behind a name known to have no address, or behind an address given as one, is asked at once, step by step: an
/// engine behind a TCP proxy answers a whole look well within one tick.
#[test]
fn steps_over_tcp_follow_each_other_at_once() {
    let engine = FakeEngine::over_tcp([Container::running("web")]);
    let asked = std::time::Instant::now();
    let checked = Setup::quiet()
        .set("WATCHDOG_INTERVAL", "30s")
        .set("WATCHDOG_TIMEOUT", "20s")
        .set("WATCHDOG_DOCKER_HOST", engine.host())
        .set("WATCHDOG_CONTAINERS", "web")
        .check();
    assert_eq!(
        (checked.state("docker_down"), checked.state("container_down:web")),
        ("clear", "clear"),
        "{checked:?}"
    );
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
