//! It looks and changes nothing: TC-08, TC-09, TC-10, TC-13.

use std::time::Duration;

use watchdog_tests::fake::{
    Answer, Container, FakeDns, FakeEngine, FakeHttp, FakeHttps, FakeOrchestrator, FakeSocket, FakeTelegram,
};
use watchdog_tests::harness::{SOON, Setup, each_at_once};
use watchdog_tests::strace::Strace;

/// A run in which containers end, fail their health checks, vanish and come back makes nothing but GETs without a body.
#[test]
fn tc_08_the_engine_sees_only_get() {
    let mut engine = FakeEngine::start([Container::running("web"), Container::running("db")]);
    let watchdog = Setup::quiet()
        .engine(&engine)
        .ticks(2, 2)
        .set("WATCHDOG_CONTAINERS", "db")
        .start();
    engine.wait_for_more("/containers/json", 2, SOON);
    engine.set(Container::running("web").exited(3));
    engine.event("die", "web", &[("exitCode", "3")]);
    watchdog.wait_event("firing", "container_down:web");
    engine.set(Container::running("db").health("unhealthy"));
    engine.event("health_status: unhealthy", "db", &[]);
    watchdog.wait_event("firing", "container_unhealthy:db");
    engine.remove("db");
    watchdog.wait_event("firing", "container_down:db");
    engine.set(Container::running("web"));
    engine.set(Container::running("db").health("healthy"));
    watchdog.wait_event("resolved", "container_down:web");
    watchdog.wait_event("resolved", "container_down:db");
    engine.stop();
    watchdog.wait_event("firing", "docker_down");
    engine.restart();
    watchdog.wait_event("resolved", "docker_down");
    let requests = engine.requests();
    assert!(requests.len() > 8, "{requests:?}");
    for request in requests {
        assert!(request.method == "GET" && request.body.is_empty(), "{request:?}");
        let harmless = ["/_ping", "/containers/json", "/json", "/events", "/version"];
        let place = request.path.split('?').next().unwrap();
        assert!(harmless.iter().any(|end| place.ends_with(end)), "{request:?}");
    }
}

/// Every way in which an engine can be of no use is `docker_down`, and the daemon goes on.
#[test]
fn tc_08_an_engine_of_no_use_is_docker_down() {
    let cases: [(&str, Answer); 6] = [
        ("500", Answer::http(500, &[], br#"{"message":"broken"}"#)),
        ("403 of a proxy", Answer::status(403)),
        (
            "HTML",
            Answer::http(200, &[("Content-Type", "text/html")], b"<html></html>"),
        ),
        (
            "endless",
            Answer::Long {
                head: b"HTTP/1.1 200 OK\r\n\r\n[".to_vec(),
                part: b"{},".to_vec(),
                times: u64::MAX,
                tail: Vec::new(),
            },
        ),
        ("black hole", Answer::BlackHole),
        ("reset", Answer::Reset(Vec::new())),
    ];
    each_at_once(&cases, |name, answer| {
        let engine = FakeEngine::start([Container::running("web")]);
        engine.fail(answer.clone());
        let watchdog = Setup::quiet().engine(&engine).ticks(2, 2).start();
        let firing = watchdog.wait_event("firing", "docker_down");
        assert!(!firing.field("detail").is_empty(), "{name}");
        engine.heal();
        watchdog.wait_event("resolved", "docker_down");
    });
}

/// How full `/` is, in percent, root's reserve counted as used.
fn used_percent() -> f64 {
    let root = rustix::fs::statvfs("/").unwrap();
    let (blocks, available) = (root.f_blocks, root.f_bavail);
    100.0
        - 100.0 * f64::from(u32::try_from(available >> 10).unwrap())
            / f64::from(u32::try_from(blocks >> 10).unwrap())
}

/// Without a ceiling there is no alarm about a disk, however full; with one below this host's use there is.
#[test]
fn tc_09_the_disk_ceiling_only_when_opted_in() {
    let orchestrator = FakeOrchestrator::healthy();
    let default = Setup::quiet().orchestrator(&orchestrator).ticks(1, 1).start();
    let ceiling = (used_percent() / 2.0).floor();
    assert!(used_percent() > 0.5, "/ is empty here, which shows nothing");
    let opted = Setup::quiet()
        .ticks(1, 1)
        .set("WATCHDOG_DISK_CEILING", ceiling)
        .start();
    let firing = opted.wait_event("firing", "disk_ceiling:/");
    assert_eq!(firing.field("level"), "error");
    assert!(firing.field("detail").contains('%'), "{firing:?}");
    orchestrator.wait_for_more(3, SOON);
    assert!(!default.output().contains("disk_ceiling"), "{}", default.output());
    let high = Setup::quiet().set("WATCHDOG_DISK_CEILING", "100%").check();
    assert_eq!(high.state("disk_ceiling:/"), "clear", "{high:?}");
    let without = Setup::quiet().check();
    assert_eq!(without.state("disk_ceiling:/"), "absent", "{without:?}");
}

/// With the kill switch off, nothing is asked and nothing sent, though all is configured; SIGTERM still ends it at once.
#[test]
fn tc_10_the_kill_switch_opens_nothing_and_answers_sigterm() {
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let engine = FakeEngine::start([Container::running("web")]);
    let socket = FakeSocket::tcp();
    let setup = Setup::quiet()
        .orchestrator(&orchestrator)
        .telegram(&telegram)
        .engine(&engine)
        .set("WATCHDOG_DEP_DOOR", socket.url())
        .set("WATCHDOG_HEARTBEAT_URL", orchestrator.url())
        .set("WATCHDOG_ENABLED", "false");
    let strace = Strace::recording();
    let traced = strace.is_some();
    let mut watchdog = strace.map_or_else(|| setup.start(), |strace| setup.start_traced(strace));
    watchdog.wait_for("word of being disabled", SOON, |line| {
        line.text.contains("disabled")
    });
    // An absence can only be shown over a time: three intervals.
    std::thread::sleep(Duration::from_secs(3));
    let (status, took) = watchdog.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(
        (
            orchestrator.count(),
            telegram.attempts().len(),
            engine.requests().len()
        ),
        (0, 0, 0)
    );
    assert_eq!(socket.connects(), 0);
    if traced {
        let calls = watchdog.calls();
        assert!(calls.len() > 10, "{calls:?}");
        let opened: Vec<_> = calls
            .iter()
            .filter(|call| call.starts_with("socket(") || call.starts_with("connect("))
            .collect();
        assert!(opened.is_empty(), "{opened:?}");
    }
}

/// Calls that change something outside the process, or touch another one. None may occur.
const FORBIDDEN: [&str; 54] = [
    "kill",
    "tkill",
    "tgkill",
    "pidfd_open",
    "pidfd_send_signal",
    "ptrace",
    "process_vm_writev",
    "fork",
    "vfork",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "truncate",
    "ftruncate",
    "fallocate",
    "creat",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "swapon",
    "reboot",
    "sethostname",
    "setuid",
    "setgid",
    "bpf",
    "io_uring_setup",
    "memfd_create",
];

fn name_of(call: &str) -> &str {
    call.split('(').next().unwrap_or_default()
}

fn writes(call: &str) -> bool {
    let opens = matches!(name_of(call), "open" | "openat" | "openat2");
    opens
        && [
            "O_WRONLY",
            "O_RDWR",
            "O_CREAT",
            "O_TRUNC",
            "O_APPEND",
            "O_TMPFILE",
        ]
        .iter()
        .any(|flag| call.contains(flag))
}

/// Everything of the host that can be looked at.
fn every_host_signal() -> Setup {
    Setup::quiet()
        .unset("WATCHDOG_MEM_AVAILABLE_MIN")
        .unset("WATCHDOG_FD_MAX")
        .set("WATCHDOG_DISK_CEILING", "1%")
        .set("WATCHDOG_INODE_CEILING", "99%")
        .set("WATCHDOG_SWAP_MAX", "99%")
        .set("WATCHDOG_LOAD_MAX", "1000")
        .set("WATCHDOG_PRESSURE_MEM_MAX", "99")
        .set("WATCHDOG_PRESSURE_IO_MAX", "99")
        .set("WATCHDOG_PRESSURE_CPU_MAX", "99")
}

/// A whole run with every source, alarms and ends included, opens no file for writing and touches no process.
#[test]
fn tc_13_no_file_is_written_and_no_process_touched() {
    let Some(strace) = Strace::recording() else { return };
    let orchestrator = FakeOrchestrator::healthy();
    let telegram = FakeTelegram::start();
    let engine = FakeEngine::start([Container::running("web")]);
    let dns = FakeDns::start();
    dns.addresses("orch.test", &["127.0.0.1".parse().unwrap()]);
    let http = FakeHttp::healthy();
    let https = FakeHttps::start(&["127.0.0.1"]);
    let (tcp, unix) = (
        FakeSocket::tcp(),
        FakeSocket::unix(&engine.folder().join("dep.sock")),
    );
    let mut watchdog = every_host_signal()
        .telegram(&telegram)
        .engine(&engine)
        .nameserver(&dns)
        .ticks(2, 1)
        .set(
            "WATCHDOG_ORCH_URL",
            format!("http://orch.test:{}/metrics", orchestrator.port()),
        )
        .set("WATCHDOG_DEP_HTTP", http.url())
        .set(
            "WATCHDOG_DEP_HTTPS",
            format!("https://127.0.0.1:{}/", https.port()),
        )
        .set("WATCHDOG_DEP_TCP", tcp.url())
        .set("WATCHDOG_DEP_UNIX", unix.url())
        .set("WATCHDOG_HEARTBEAT_URL", format!("{}/beat", http.url()))
        .start_traced(strace);
    telegram.wait_for("STARTED", SOON);
    engine.set(Container::running("web").exited(1));
    engine.event("die", "web", &[("exitCode", "1")]);
    orchestrator.answer(Answer::status(500));
    watchdog.wait_event("firing", "container_down:web");
    watchdog.wait_event("firing", "orch_down");
    orchestrator.heal();
    watchdog.wait_event("resolved", "orch_down");
    telegram.wait_for("RESOLVED orch_down", SOON);
    let (status, _) = watchdog.terminate();
    assert_eq!(status.code(), Some(0), "{}", watchdog.output());
    let calls = watchdog.calls();
    assert!(
        calls.iter().any(|call| call.contains("/proc/meminfo")),
        "the host is read"
    );
    let wrong: Vec<_> = calls
        .iter()
        .filter(|call| writes(call) || FORBIDDEN.contains(&name_of(call)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        calls.iter().filter(|call| name_of(call) == "execve").count(),
        1,
        "only strace starts it"
    );
    assert!(
        tcp.connects() > 0 && tcp.received().is_empty(),
        "a tcp dependency is connected to, no more"
    );
    assert!(
        unix.connects() > 0 && unix.received().is_empty(),
        "a unix dependency is connected to, no more"
    );
    assert!(
        http.requests()
            .iter()
            .all(|request| matches!(request.method.as_str(), "GET" | "HEAD"))
    );
}
