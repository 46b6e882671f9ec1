//! What the watchdog knows, for those who ask: the document of `/status`, and the table of `watchdog check`.
//!
//! Written as a stream into whatever the caller has. Holds no secret: ids, states, details and figures alone.

use core::fmt::{self, Write};

use crate::config::Config;
use crate::json::writer::Escaped;
use crate::signal::Observation;
use crate::table::{Row, Shown};
use crate::time::Instant;
use crate::watchdog::{Mode, Watchdog};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tells a signal's state in a word of CONTRACTS 7: in `check`, where nothing is debounced, that of its one look.
#[must_use]
pub const fn state(row: &Row, mode: Mode) -> &'static str {
    if matches!(mode, Mode::Check) {
        return match row.observation() {
            Observation::Active => "active",
            Observation::Clear => "clear",
            Observation::Unknown => "unknown",
        };
    }
    match row.shown() {
        Shown::Clear => "clear",
        Shown::Pending => "pending",
        Shown::Firing => "firing",
        Shown::Unknown => "unknown",
        Shown::Flapping => "flapping",
    }
}

/// Calls back with each row, in the order of the ids.
fn each_row(
    watchdog: &Watchdog<'_>,
    config: &Config,
    visit: &mut dyn FnMut(&Row) -> fmt::Result,
) -> fmt::Result {
    let rows = watchdog.table().rows();
    let mut last: Option<&Row> = None;
    loop {
        let after = |row: &&Row| last.is_none_or(|last| order(row, last, config).is_gt());
        let Some(next) = rows
            .iter()
            .filter(after)
            .min_by(|one, other| order(one, other, config))
        else {
            return Ok(());
        };
        visit(next)?;
        last = Some(next);
    }
}

fn order(one: &Row, other: &Row, config: &Config) -> core::cmp::Ordering {
    let name = |row: &Row| config.signal_name(row.id().kind);
    let kinds = one.id().kind.severity().cmp(&other.id().kind.severity());
    let names = name(one).cmp(name(other));
    kinds
        .then(names)
        .then_with(|| one.id().subject.cmp(&other.id().subject))
}

/// Writes the document of `/status` (CONTRACTS 7).
///
/// # Errors
/// `out` takes no more.
pub fn write_json(watchdog: &Watchdog<'_>, now: Instant, out: &mut dyn Write) -> fmt::Result {
    let Some(config) = watchdog.config() else {
        return out.write_str("{}\n");
    };
    write!(
        out,
        "{{\"instance\":{},\"version\":{}",
        Escaped(&config.name),
        Escaped(VERSION)
    )?;
    let age = watchdog.last_tick_age(now);
    write!(
        out,
        ",\"ticks\":{},\"last_tick_age_s\":{}.{:03}",
        watchdog.ticks(),
        age.as_secs(),
        age.as_millis() % 1000
    )?;
    out.write_str(",\"sources\":[")?;
    write_json_sources(watchdog, out)?;
    out.write_str("],\"signals\":[")?;
    let mut comma = "";
    each_row(watchdog, config, &mut |row| {
        out.write_str(core::mem::replace(&mut comma, ","))?;
        write_json_row(row, watchdog, config, now, out)
    })?;
    out.write_str("]}\n")
}

fn write_json_sources(watchdog: &Watchdog<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut result = Ok(());
    let mut comma = "";
    watchdog.each_source(&mut |name, state| {
        let comma = core::mem::replace(&mut comma, ",");
        if result.is_ok() {
            // A source's name is `kind` or `kind:name`, and a name is checked when it is configured.
            let (ok, detail) = (state.is_ok(), Escaped(state.detail()));
            result = write!(
                out,
                "{comma}{{\"source\":\"{name}\",\"ok\":{ok},\"detail\":{detail}}}"
            );
        }
    });
    result
}

fn write_json_row(
    row: &Row,
    watchdog: &Watchdog<'_>,
    config: &Config,
    now: Instant,
    out: &mut dyn Write,
) -> fmt::Result {
    let id = text_of(format_args!("{}", config.shown_id(row.id())));
    write!(
        out,
        "{{\"signal\":{},\"state\":\"{}\"",
        Escaped(&id),
        state(row, watchdog.mode())
    )?;
    write!(out, ",\"severity\":\"{}\"", row.id().kind.severity().as_str())?;
    write!(
        out,
        ",\"detail\":{},\"for_s\":{}",
        Escaped(row.detail()),
        row.shown_for(now).as_secs()
    )?;
    write!(
        out,
        ",\"told\":{}}}",
        row.is_told(watchdog.table().channels(), config, now) && is_alerted(row, config)
    )
}

/// Whether every Alertmanager was sent the newest state.
fn is_alerted(row: &Row, config: &Config) -> bool {
    (0..config.alertmanagers.len()).all(|place| row.is_alerted(place, config))
}

fn text_of(arguments: fmt::Arguments<'_>) -> heapless::String<192> {
    let mut text = heapless::String::new();
    let _ = crate::text::Cut::new(&mut text).write_fmt(arguments);
    text
}

/// Writes the table of `watchdog check`: the sources, every signal, and a line of totals.
///
/// # Errors
/// `out` takes no more.
pub fn write_table(watchdog: &Watchdog<'_>, out: &mut dyn Write) -> fmt::Result {
    let Some(config) = watchdog.config() else {
        return Ok(());
    };
    writeln!(
        out,
        "{} (watchdog {VERSION})\n\nSOURCE                STATE    DETAIL",
        config.name
    )?;
    let mut result = Ok(());
    watchdog.each_source(&mut |name, state| {
        let word = match state {
            crate::watchdog::SourceState::Off => "off",
            state if state.is_ok() => "ok",
            _ => "fails",
        };
        let detail = if word == "off" { "" } else { state.detail() };
        let name = text_of(name);
        result = result.and_then(|()| writeln!(out, "{name:<21} {word:<8} {detail}"));
    });
    result?;
    writeln!(
        out,
        "\nSIGNAL                           STATE    SEVERITY  DETAIL"
    )?;
    each_row(watchdog, config, &mut |row| {
        let id = text_of(format_args!("{}", config.shown_id(row.id())));
        let (state, severity) = (state(row, watchdog.mode()), row.id().kind.severity().as_str());
        writeln!(out, "{id:<32} {state:<8} {severity:<9} {}", row.detail())
    })?;
    let active = active(watchdog);
    let counted = watchdog.table().clear_without_row();
    let rows = watchdog.table().rows().len();
    write!(out, "\n{active} active of {rows} signals")?;
    if counted > 0 {
        write!(out, ", and {counted} of discovered subjects clear")?;
    }
    writeln!(out)
}

/// Counts the signals that count as active: firing ones, or in `check` those that were seen active.
#[must_use]
pub fn active(watchdog: &Watchdog<'_>) -> usize {
    let rows = watchdog.table().rows().iter();
    match watchdog.mode() {
        Mode::Check => rows
            .filter(|row| row.observation() == Observation::Active)
            .count(),
        Mode::Run | Mode::NotifyTest => rows.filter(|row| row.incidents().firing).count(),
    }
}

/// Tells the exit status of `check` and `notify-test` (CONTRACTS 1).
#[must_use]
pub fn exit_status(watchdog: &Watchdog<'_>) -> u8 {
    if watchdog.mode() == Mode::NotifyTest {
        return u8::from(!watchdog.is_all_delivered());
    }
    let checked = watchdog.table().rows().iter().any(|row| {
        let own = matches!(
            row.id().kind,
            crate::signal::Kind::TableFull | crate::signal::Kind::HostProbeStuck
        );
        !own && row.observation() != Observation::Unknown
    });
    match (checked, active(watchdog)) {
        (false, _) => 2,
        (true, 0) => 0,
        (true, _) => 1,
    }
}
