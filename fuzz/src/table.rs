//! The table of signals under any order of operations.

use watchdog_core::limits::{RULES_MAX, SIGNALS_MAX};
use watchdog_core::signal::{Kind, Observation, SignalId};
use watchdog_core::table::Table;
use watchdog_core::text::Subject;
use watchdog_core::time::{Instant, Millis};

/// Asserts that, whatever is staged, settled and told in whatever order: rows keep their bound and none stands twice, what
/// the configuration names and what fires is never dropped, and the totals add up.
///
/// The bytes are operations of three bytes each: which, and on whom.
pub fn table_ops(data: &[u8]) {
    crate::with_room(|| play(data));
}

fn play(data: &[u8]) {
    let config = crate::configuration();
    let mut table = Box::new(Table::new());
    let mut now = Instant::from_millis(1_000);
    let configured = [Kind::OrchDown, Kind::DockerDown, Kind::QueueOld, Kind::TableFull];
    table.set_channels(2);
    configured
        .into_iter()
        .for_each(|kind| table.register(SignalId::of(kind), now));
    for operation in data.chunks_exact(3) {
        let [choice, what, whom] = operation else { return };
        let kind = kind_of(*what);
        let subject = Subject::new(&whom.to_string());
        let observation = match what >> 6 {
            0 => Observation::Clear,
            1 => Observation::Unknown,
            _ => Observation::Active,
        };
        let firing = fired(&table);
        match choice & 15 {
            0 => table.stage_fact(
                kind,
                &subject,
                observation,
                f64::from(*whom),
                format_args!("{what}"),
            ),
            1..=5 => table.stage(
                kind,
                &subject,
                observation,
                f64::from(*whom),
                format_args!("{what}"),
            ),
            6 => configured.into_iter().for_each(|kind| {
                table.stage(kind, &Subject::NONE, observation, 0.0, format_args!("{what}"));
            }),
            7 => table.list_ended(kind),
            8 => table.unstage(kind),
            9 => table.settle_facts(now, config),
            10 => table.send(usize::from(*whom), usize::from(*what & 1), config),
            11 => table.accepted(usize::from(*what & 1), now, config),
            12 => table.rejected(usize::from(*what & 1)),
            13 => {
                // Many at once, so that the table fills.
                for number in 0..=u16::from(*whom) {
                    let subject = Subject::new(&format!("many-{number}"));
                    table.stage(kind, &subject, observation, 0.0, format_args!("{what}"));
                }
            }
            _ => {
                now = now.after(Millis::from_secs(u64::from(*whom)));
                table.settle(now, config);
            }
        }
        if (1..=8).contains(&(choice & 15)) || choice & 15 == 13 {
            assert_eq!(
                fired(&table),
                firing,
                "nothing fires or ends before it is settled"
            );
        }
        check(&table, &configured, now);
    }
}

fn kind_of(what: u8) -> Kind {
    let rule = Kind::Rule(what % u8::try_from(RULES_MAX).expect("there are few rules"));
    Kind::BUILT_IN
        .get(usize::from(what & 63))
        .copied()
        .unwrap_or(rule)
}

fn fired(table: &Table) -> Vec<SignalId> {
    let rows = table.rows().iter();
    rows.filter(|row| table.is_firing(row.id().kind, &row.id().subject))
        .map(|row| row.id().clone())
        .collect()
}

fn check(table: &Table, configured: &[Kind], now: Instant) {
    let rows = table.rows();
    assert!(rows.len() <= SIGNALS_MAX);
    let mut ids: Vec<_> = rows
        .iter()
        .map(|row| (row.id().kind.index(), row.id().subject.as_str()))
        .collect();
    ids.sort_unstable();
    assert!(
        ids.windows(2).all(|pair| pair[0] != pair[1]),
        "a signal has one row"
    );
    for kind in configured {
        assert!(rows.iter().any(|row| row.id().kind == *kind), "{kind:?} is gone");
    }
    let totals = table.totals();
    assert!(totals.active <= totals.total);
    // Others may be of a document that is still being read.
    let fired = rows.iter().filter(|row| row.incidents().number > 0).count();
    assert!(totals.total as usize >= fired);
    let undelivered = table.undelivered(crate::configuration(), now) as usize;
    assert!(undelivered <= rows.len());
}
