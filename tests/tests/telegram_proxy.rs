//! The way to Telegram: through proxies kind and unkind, and past certificates that must be refused.

use std::net::SocketAddr;
use std::process::Output;

use watchdog_tests::fake::proxy::Mood;
use watchdog_tests::fake::telegram::TOKEN;
use watchdog_tests::fake::{Answer, FakeDns, FakeOrchestrator, FakeProxy, FakeTelegram};
use watchdog_tests::harness::{SOON, Setup, each_at_once};

const LOGIN: &str = "proxyUser:proxySecret%";
const LOGIN_IN_URL: &str = "proxyUser:proxySecret%25@";
const WRONG_LOGIN_IN_URL: &str = "proxyUser:wrongSecret@";
const SCHEMES: [(&str, &str); 2] = [("CONNECT", "http"), ("SOCKS5", "socks5")];

fn address(telegram: &FakeTelegram) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], telegram.port()))
}

fn proxied(telegram: &FakeTelegram, scheme: &str, login: &str, port: u16) -> Setup {
    Setup::quiet().telegram(telegram).set(
        "WATCHDOG_TELEGRAM_PROXY",
        format!("{scheme}://{login}127.0.0.1:{port}"),
    )
}

/// Runs `notify-test`, shows that no output holds a secret, and gives what it said.
fn notify_test(setup: &Setup) -> (Option<i32>, String) {
    let output: Output = setup.clone().argument("notify-test").output();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for secret in [TOKEN, "proxySecret", "wrongSecret", "proxyUser"] {
        assert!(!said.contains(secret), "{secret} stands in {said}");
    }
    (output.status.code(), said)
}

/// Alarms go through either kind of proxy, with and without a login, over TLS with Telegram itself; Telegram's name is
/// the proxy's to look up: no name server is asked for it.
#[test]
fn a_message_goes_through_a_proxy() {
    let logins = [
        ("without a login", None, ""),
        ("with a login", Some(LOGIN), LOGIN_IN_URL),
    ];
    let cases: Vec<_> = SCHEMES
        .iter()
        .flat_map(|(_, scheme)| logins.map(|(name, login, in_url)| (name, (*scheme, login, in_url))))
        .collect();
    each_at_once(&cases, |name, (scheme, login, in_url)| {
        let (telegram, dns) = (FakeTelegram::start(), FakeDns::start());
        let orchestrator = FakeOrchestrator::healthy();
        let proxy = FakeProxy::start(address(&telegram), *login, Mood::Kind);
        let watchdog = proxied(&telegram, scheme, in_url, proxy.port())
            .set("WATCHDOG_TELEGRAM_API_URL", "https://api.telegram.test:8443")
            .nameserver(&dns)
            .orchestrator(&orchestrator)
            .ticks(2, 2)
            .start();
        telegram.wait_for("STARTED", SOON);
        orchestrator.answer(Answer::status(500));
        telegram.wait_for("FIRING orch_down", SOON);
        let asked = proxy.asked();
        assert!(asked.len() >= 2, "{name}: {asked:?}");
        assert!(
            asked.iter().all(|asked| asked == "api.telegram.test:8443"),
            "{name}: {asked:?}"
        );
        assert_eq!(dns.questions(), [], "{name}");
        let output = watchdog.output();
        assert!(
            !output.contains("proxySecret") && !output.contains("proxyUser"),
            "{output}"
        );
    });
}

/// `notify-test` goes the same way, and an address as Telegram's host is one for the proxy too.
#[test]
fn notify_test_goes_through_a_proxy() {
    each_at_once(&SCHEMES, |name, scheme| {
        let telegram = FakeTelegram::start();
        let proxy = FakeProxy::start(address(&telegram), Some(LOGIN), Mood::Kind);
        let (status, said) = notify_test(&proxied(&telegram, scheme, LOGIN_IN_URL, proxy.port()));
        assert_eq!(status, Some(0), "{name}: {said}");
        assert_eq!(telegram.messages().len(), 1, "{name}");
        assert_eq!(proxy.asked()[0], address(&telegram).to_string(), "{name}");
    });
}

/// What a proxy does in place of a tunnel is told in words that name it, and no message gets past it.
#[test]
fn a_proxy_that_makes_no_tunnel_is_named() {
    let unkind = [
        ("http", WRONG_LOGIN_IN_URL, Mood::Kind, "proxy: answered 407"),
        ("http", "", Mood::Kind, "user and password missing"),
        ("http", LOGIN_IN_URL, Mood::Refusing, "proxy: answered 403"),
        ("http", LOGIN_IN_URL, Mood::Foreign, "proxy: a"),
        ("http", LOGIN_IN_URL, Mood::Silent, "waiting for the proxy"),
        (
            "socks5",
            WRONG_LOGIN_IN_URL,
            Mood::Kind,
            "proxy: user or password not accepted",
        ),
        ("socks5", "", Mood::Kind, "proxy: wants another login"),
        (
            "socks5",
            LOGIN_IN_URL,
            Mood::Refusing,
            "proxy: not allowed by its rules",
        ),
        ("socks5", LOGIN_IN_URL, Mood::Foreign, "proxy: a"),
        ("socks5", LOGIN_IN_URL, Mood::Silent, "waiting for the proxy"),
    ];
    let cases = unkind.map(|case| (case.3, case));
    each_at_once(&cases, |words, (scheme, login, mood, _)| {
        let telegram = FakeTelegram::start();
        let proxy = FakeProxy::start(address(&telegram), Some(LOGIN), *mood);
        let (status, said) = notify_test(&proxied(&telegram, scheme, login, proxy.port()));
        assert_eq!(status, Some(1), "{scheme} {mood:?}: {said}");
        assert!(said.contains(words), "{scheme} {mood:?}, not {words:?}: {said}");
        assert_eq!(telegram.paths(), [""; 0], "{scheme} {mood:?}");
    });
}

/// A proxy that is not there is named too.
#[test]
fn a_proxy_that_is_not_there_is_named() {
    let telegram = FakeTelegram::start();
    let mut gone = FakeTelegram::start();
    gone.refuse();
    let (status, said) = notify_test(&proxied(&telegram, "http", LOGIN_IN_URL, gone.port()));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("proxy: connection refused"), "{said}");
}

/// A certificate that does not show Telegram is refused with a reason that says why, and the token never leaves: for
/// another name, past its time, and signed by nobody that is trusted; straight on and behind a proxy alike.
#[test]
fn bad_certificates_are_refused_by_name() {
    const NAMES: [&str; 1] = ["127.0.0.1"];
    let cases = [
        (
            "certificate is for another name",
            FakeTelegram::named(&["other.test"]),
        ),
        ("certificate expired", FakeTelegram::expired(&NAMES)),
        (
            "certificate from an unknown issuer (WATCHDOG_CA_FILE adds roots)",
            FakeTelegram::named(&NAMES),
        ),
    ];
    for (words, telegram) in cases {
        let proxy = FakeProxy::start(address(&telegram), None, Mood::Kind);
        let direct = Setup::quiet().telegram(&telegram);
        for setup in [direct, proxied(&telegram, "http", "", proxy.port())] {
            let setup = if words.contains("CA_FILE") {
                setup.unset("WATCHDOG_CA_FILE")
            } else {
                setup
            };
            let (status, said) = notify_test(&setup);
            assert_eq!(status, Some(1), "{said}");
            assert!(said.contains(words), "not {words:?}: {said}");
            assert_eq!(telegram.paths(), [""; 0], "{words}");
        }
    }
}
