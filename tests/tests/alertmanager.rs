//! Alertmanager: the fake one by the real binary, and the real one.
//!
//! The tests with the real one need Debian's package `prometheus-alertmanager` (it holds `amtool`), hence ignored in a plain run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use watchdog_tests::fake::{Answer, FakeHttp, FakeHttps, FakeOrchestrator};
use watchdog_tests::harness::{SOON, Setup};

const DOWN: &str = "orch_down";

fn accepting() -> FakeHttp {
    FakeHttp::always(Answer::http(200, &[], b""))
}

fn base(fake: &FakeHttp) -> String {
    format!("http://127.0.0.1:{}", fake.port())
}

fn watched(orchestrator: &FakeOrchestrator, urls: &str) -> Setup {
    Setup::quiet()
        .orchestrator(orchestrator)
        .ticks(2, 2)
        .set("WATCHDOG_ALERTMANAGER_URL", urls)
}

/// Asks again and again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "no {what} in {SOON:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The alerts of one signal that a fake was sent, in their order.
fn alerts(fake: &FakeHttp, signal: &str) -> Vec<Value> {
    let requests = fake.requests().into_iter();
    requests
        .flat_map(|request| {
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("POST", "/am/api/v2/alerts")
            );
            assert_eq!(request.field("content-type"), Some("application/json"));
            serde_json::from_slice::<Vec<Value>>(&request.body).unwrap()
        })
        .filter(|alert| alert["labels"]["signal"] == signal)
        .collect()
}

fn ends_after(alert: &Value, other: &Value) -> bool {
    alert["endsAt"].as_str() > other["endsAt"].as_str()
}

/// Every one is sent what fires and its end, each when it can take it, beside the messages on stdout.
#[test]
fn each_is_told_when_it_can_be() {
    let orchestrator = FakeOrchestrator::healthy();
    let (one, mut two) = (accepting(), accepting());
    let urls = format!(
        "{}/am/,http://userSecret:passSecret@127.0.0.1:{}/am",
        base(&one),
        two.port()
    );
    let watchdog = watched(&orchestrator, &urls).start();
    orchestrator.answer(Answer::status(500));
    for fake in [&one, &two] {
        let alert = until("alert", || alerts(fake, DOWN).pop());
        assert_eq!(alert["labels"]["alertname"], DOWN);
        assert_eq!(alert["labels"]["instance"], "host-1");
        assert_eq!(alert["labels"]["severity"], "critical");
        assert_eq!(alert["annotations"]["detail"], "http 500");
        assert!(alert["endsAt"].as_str() > alert["startsAt"].as_str());
    }
    let basic = two.requests()[0].field("authorization").map(str::to_owned);
    assert_eq!(basic.as_deref(), Some("Basic dXNlclNlY3JldDpwYXNzU2VjcmV0"));
    two.refuse();
    orchestrator.heal();
    let resolved = until("end", || {
        alerts(&one, DOWN)
            .pop()
            .filter(|last| ends_after(&alerts(&one, DOWN)[0], last))
    });
    watchdog.wait_for("complaint", SOON, |line| {
        line.field("event") == "undelivered" && line.field("channel") == "alertmanager"
    });
    two.reopen();
    let late = until("late end", || {
        alerts(&two, DOWN)
            .pop()
            .filter(|last| ends_after(&alerts(&two, DOWN)[0], last))
    });
    assert_eq!(late["endsAt"], resolved["endsAt"], "its true end, however late");
    watchdog.wait_for("message", SOON, |line| {
        line.field("text").contains("RESOLVED orch_down")
    });
    assert!(!watchdog.output().contains("Secret"), "{}", watchdog.output());
}

/// `notify-test` says what each answered, one of them over TLS, and fails if one did not accept.
#[test]
fn notify_test_tells_what_each_answered() {
    let (good, bad) = (accepting(), FakeHttp::always(Answer::status(404)));
    let encrypted = FakeHttps::start(&["127.0.0.1"]);
    let setup = Setup::quiet()
        .argument("notify-test")
        .set("WATCHDOG_CA_FILE", encrypted.ca_file().display());
    let secure = format!("https://127.0.0.1:{}", encrypted.port());
    let fine = setup
        .clone()
        .set(
            "WATCHDOG_ALERTMANAGER_URL",
            format!("{}/am,{secure}", base(&good)),
        )
        .output();
    let said = String::from_utf8(fine.stdout).unwrap();
    assert!(fine.status.success(), "{said}");
    assert!(
        said.contains(&format!("alertmanager {}/am: ok, accepted\n", base(&good))),
        "{said}"
    );
    assert!(
        said.contains(&format!("alertmanager {secure}: ok, accepted")),
        "{said}"
    );
    let alert: Value = serde_json::from_slice(&good.requests()[0].body).unwrap();
    assert_eq!(alert[0]["labels"]["alertname"], "watchdog_test");
    let broken = setup.set("WATCHDOG_ALERTMANAGER_URL", base(&bad)).output();
    let said = String::from_utf8(broken.stdout).unwrap();
    assert_eq!(broken.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("alertmanager {}: http 404; ", base(&bad))),
        "{said}"
    );
}

const CONFIG: &str = "
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - url: HOOK
        send_resolved: true
";

/// Debian's Alertmanager on a free port, and the webhook that it tells.
struct Alertmanager {
    child: Child,
    url: String,
    hook: FakeHttp,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hook = accepting();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG.replace("HOOK", &base(&hook))).unwrap();
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's package prometheus-alertmanager");
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, address) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                    drop(tell.send(address.trim().to_owned()));
                }
            }
        });
        let address = address.recv_timeout(SOON).expect("it says where it listens");
        Self {
            child,
            url: format!("http://{address}"),
            hook,
            _folder: folder,
        }
    }

    /// What `amtool alert query` says, as JSON.
    fn query(&self) -> Vec<Value> {
        let output = Command::new("amtool")
            .args(["alert", "query", "--output=json", "--alertmanager.url", &self.url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The signals of the alerts that are firing, sorted.
    fn firing(&self) -> Vec<String> {
        let alerts = self.query();
        let signals = alerts
            .iter()
            .map(|alert| alert["labels"]["signal"].as_str().unwrap());
        let mut signals: Vec<String> = signals.map(str::to_owned).collect();
        signals.sort();
        signals
    }

    /// The notifications of a status that name an alert, as its webhook got them.
    fn notified(&self, status: &str, alertname: &str) -> Vec<Value> {
        let notes = self.hook.requests().into_iter();
        notes
            .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap())
            .filter(|note| note["status"] == status && note["groupLabels"]["alertname"] == alertname)
            .collect()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn stages(count: usize) -> Answer {
    let stages: Vec<Value> = (0..count)
        .map(|number| serde_json::json!({"stage": format!("s{number:03} <\"&\\>"), "oldest_age_s": 10}))
        .collect();
    Answer::json(&serde_json::json!({ "stages": stages }))
}

/// Two of them both hear of what fires; they group it, `amtool` sees it, and it resolves in both.
#[test]
#[ignore = "needs Debian's prometheus-alertmanager"]
fn the_real_ones_see_alerts_appear_group_and_resolve() {
    let (one, two) = (Alertmanager::start(), Alertmanager::start());
    let orchestrator = FakeOrchestrator::healthy();
    let watchdog = watched(&orchestrator, &format!("{},{}", one.url, two.url))
        .set("WATCHDOG_RULE_OLD", "stages[].oldest_age_s > 5 by stage")
        .start();
    orchestrator.answer(stages(3));
    let expected = ["old:s000 <\"&\\>", "old:s001 <\"&\\>", "old:s002 <\"&\\>"];
    for real in [&one, &two] {
        until("three alerts", || (real.firing() == expected).then_some(()));
        let group = until("notification", || {
            let all = real.notified("firing", "old");
            all.into_iter()
                .find(|note| note["alerts"].as_array().map(Vec::len) == Some(3))
        });
        assert_eq!(group["commonLabels"]["severity"], "warning");
        assert_eq!(group["commonLabels"]["instance"], "host-1");
    }
    orchestrator.answer(stages(0));
    for real in [&one, &two] {
        until("the end", || real.firing().is_empty().then_some(()));
        until("resolved notification", || real.notified("resolved", "old").pop());
    }
    drop(watchdog);
    let said = Setup::quiet()
        .argument("notify-test")
        .set("WATCHDOG_ALERTMANAGER_URL", &one.url)
        .output();
    assert!(said.status.success(), "{said:?}");
    until("test alert", || {
        one.query()
            .iter()
            .any(|alert| alert["labels"]["alertname"] == "watchdog_test")
            .then_some(())
    });
}

/// A crowd arrives whole, and all of it resolves.
#[test]
#[ignore = "needs Debian's prometheus-alertmanager"]
fn the_real_one_takes_a_crowd() {
    let real = Alertmanager::start();
    let orchestrator = FakeOrchestrator::healthy();
    let watchdog = watched(&orchestrator, &real.url)
        .set("WATCHDOG_RULE_OLD", "stages[].oldest_age_s > 5 by stage")
        .start();
    orchestrator.answer(stages(450));
    until("450 alerts", || (real.query().len() == 450).then_some(()));
    orchestrator.answer(stages(0));
    until("the end", || real.query().is_empty().then_some(()));
    drop(watchdog);
}
