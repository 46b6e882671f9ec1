//! Envelopes: what they stage, and which are none, against `serde_json`.

use watchdog_core::config::Config;
use watchdog_core::json::Event;
use watchdog_core::limits::{DETAIL_BYTES_MAX, SIGNALS_MAX};
use watchdog_core::probe::orchestrator::{EnvelopeFault, Orchestrator, Rules, Summary};
use watchdog_core::signal::{Kind, SignalId};
use watchdog_core::table::Table;
use watchdog_core::time::{Instant, Millis};

/// An envelope of before, so that ages and CPU fractions have something to be measured from.
const BEFORE: &[u8] = br#"{"generated_at":"2026-01-02T03:04:05Z","clk_tck":100,"agents":[
    {"id":"job-17","stage":"build","pid":4242,"utime":1200,"stime":300,"elapsed_s":900.0}]}"#;

/// Asserts that a body stages the same however it is cut, that a valid document is an envelope exactly if it is an
/// object, and that the table and its details keep their bounds.
pub fn envelope(data: &[u8]) {
    crate::with_room(|| {
        let [whole, others @ ..] = crate::cuts(data).map(|pieces| {
            let (result, rows) = read(&pieces);
            (result.map_err(|fault| plain(fault, data)), rows)
        });
        for other in others {
            assert_eq!(whole, other, "a cut changes what is read");
        }
        let (result, _rows) = whole;
        match (serde_json::from_slice::<serde_json::Value>(data), result) {
            (_, Err(EnvelopeFault::TooDeep)) | (Err(_), _) => {}
            (Ok(value), Ok(_)) => assert!(value.is_object()),
            (Ok(value), Err(fault)) => {
                assert!(!value.is_object(), "{value} was refused: {fault}");
                assert_eq!(fault, EnvelopeFault::OtherThanObject);
            }
        }
    });
}

/// What is no object and too deep besides is refused for either, by whether the piece that began it went that deep.
fn plain(fault: EnvelopeFault, data: &[u8]) -> EnvelopeFault {
    match fault {
        EnvelopeFault::TooDeep if !data.trim_ascii_start().starts_with(b"{") => {
            EnvelopeFault::OtherThanObject
        }
        other => other,
    }
}

/// Reads [`BEFORE`] and a minute later the pieces: what came of them, and the table in words.
fn read(pieces: &[&[u8]]) -> (Result<Summary, EnvelopeFault>, String) {
    let config = crate::configuration();
    let mut orchestrator = Box::new(Orchestrator::new());
    let mut rules = Box::new(Rules::new());
    let mut table = Box::new(Table::new());
    let mut now = Instant::from_millis(1_000_000);
    for kind in [
        Kind::OrchDown,
        Kind::OrchStale,
        Kind::QueueOld,
        Kind::QueueStalled,
        Kind::CostOver,
        Kind::Rule(0),
    ] {
        table.register(SignalId::of(kind), now);
    }
    tick(&mut orchestrator, &mut rules, &mut table, config, now, &[BEFORE]).expect("this one is good");
    now = now.after(Millis::from_secs(60));
    let result = tick(&mut orchestrator, &mut rules, &mut table, config, now, pieces);
    assert!(table.rows().len() <= SIGNALS_MAX);
    for row in table.rows() {
        assert!(row.detail().len() <= DETAIL_BYTES_MAX);
        assert!(!row.detail().contains(char::is_control), "{:?}", row.detail());
    }
    (result, format!("{:?} {:?}", table.rows(), table.totals()))
}

fn tick(
    orchestrator: &mut Orchestrator,
    rules: &mut Rules,
    table: &mut Table,
    config: &Config,
    now: Instant,
    pieces: &[&[u8]],
) -> Result<Summary, EnvelopeFault> {
    orchestrator.begin();
    rules.begin(&config.rules);
    let mut also = |event: &Event<'_>, table: &mut Table| rules.take(event, &config.rules, table);
    let result = pieces
        .iter()
        .try_for_each(|piece| orchestrator.feed(piece, &config.orchestrator, table, &mut also))
        .and_then(|()| orchestrator.finish(now, &config.orchestrator, table));
    if result.is_ok() {
        rules.finish(&config.rules, table);
    } else {
        orchestrator.abandon(table);
    }
    table.settle(now, config);
    result
}
