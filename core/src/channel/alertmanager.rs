//! Alertmanager: every firing signal as an alert, sent again and again, since an alert that is not heard of is over.
//!
//! It writes the alerts (API v2) and takes each answer for what it means; who is sent what and when is decided in
//! `watchdog::alerting`. An alert ends `ENDS_AFTER` its last sending, so that it goes if the watchdog goes; one that is
//! over is sent with its true end. User info of the URL stands in the request alone. Bounded: `BODY_BYTES_MAX` a
//! request, as many requests as it takes. Tests: beside the code, and `core/src/watchdog/alerting_tests.rs`.

use core::fmt::{self, Write};

use heapless::String;

use super::post::Post;
use crate::config::{Config, Url};
use crate::delivery::Alert;
use crate::exchange::Failure;
use crate::json::writer::Escaped;
use crate::planted::{Planted, is_planted};
use crate::random::Random;
use crate::table::{Row, Table};
use crate::text::{self, Cut, Detail};
use crate::time::{Instant, Millis, Utc};
use crate::wire::http::Authority;

/// Time for one request.
pub const CALL_TIMEOUT: Millis = Millis::from_secs(10);
/// Time between two sendings of what is firing, as Prometheus has it.
const RESEND_AFTER: Millis = Millis::from_secs(60);
/// Time after its last sending at which an alert is over: five sendings may be lost.
const ENDS_AFTER: Millis = Millis::from_secs(300);
/// Between two log lines about failures.
const LOG_GAP: Millis = Millis::from_secs(3600);
/// Bytes of one request's alerts: some twenty, and at least one however its texts are escaped.
const BODY_BYTES_MAX: usize = 12 * 1024;

/// A request's alerts.
type Body = String<BODY_BYTES_MAX>;

/// One Alertmanager.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Alertmanager {
    status: u16,
    /// Something is to be sent from `not_before` on.
    due: bool,
    not_before: Instant,
    /// Failures since the last round without one.
    in_a_row: u32,
    /// A request of this round failed.
    stumbled: bool,
    accepted: u64,
    failed: u64,
    fault: Detail,
    logged_at: Option<Instant>,
}

impl Alertmanager {
    /// One that was sent nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: 0,
            due: false,
            not_before: Instant::ZERO,
            in_a_row: 0,
            stumbled: false,
            accepted: 0,
            failed: 0,
            fault: Detail::new(),
            logged_at: None,
        }
    }

    /// Tells when the next request is to be sent, if one is.
    #[must_use]
    pub const fn due_at(&self) -> Option<Instant> {
        if self.due { Some(self.not_before) } else { None }
    }

    /// The table was looked at: what is to be sent from now on. A change is sent at once, but never into a back-off.
    pub fn look(&mut self, news: News, now: Instant) {
        self.due = match news {
            News::Nothing => false,
            News::Same => !is_planted(Planted::RefreshForgotten),
            News::Changed => true,
        };
        // A round in which nothing is left to send is over, however it went: the next one is another.
        self.stumbled &= self.due;
        if news == News::Changed && self.in_a_row == 0 {
            self.not_before = self.not_before.min(now);
        }
    }

    /// A round begins.
    pub const fn begin_round(&mut self) {
        self.stumbled = false;
    }

    /// A request begins.
    pub const fn begin(&mut self) {
        self.status = 0;
    }

    /// The answer's head came.
    pub const fn head(&mut self, status: u16) {
        self.status = status;
    }

    /// The request ended.
    pub fn ended(&mut self, outcome: Result<Millis, Failure>, now: Instant, random: &mut Random) -> Verdict {
        let verdict = match (outcome, self.status) {
            (Ok(_), 200..=299) => {
                self.accepted = self.accepted.saturating_add(1);
                self.fault.clear();
                return Verdict::Accepted;
            }
            (Ok(_), status) => {
                self.fault = text::detail(format_args!("http {status}"));
                // Something in between may have passed it on and lost the answer.
                // Of a batch with one bad alert a 400 may come after the good ones were taken.
                if status == 400 || status >= 500 {
                    Verdict::Lost
                } else {
                    Verdict::Rejected
                }
            }
            (Err(failure), _) => {
                self.fault = text::detail(format_args!("{failure}"));
                if failure.may_have_arrived() {
                    Verdict::Lost
                } else {
                    Verdict::Rejected
                }
            }
        };
        self.back_off(now, random);
        verdict
    }

    /// Tells whether a request of this round failed: the round then goes on behind it.
    #[must_use]
    pub const fn has_stumbled(&self) -> bool {
        self.stumbled
    }

    /// The last request of a round was accepted: the next round comes when it is due, or, if a request failed, after the wait
    /// that goes with as many failures.
    pub fn round_ended(&mut self, now: Instant) {
        if core::mem::replace(&mut self.stumbled, false) {
            self.not_before = now.after(self.wait());
        } else {
            self.in_a_row = 0;
            self.not_before = now.after(RESEND_AFTER);
        }
    }

    fn wait(&self) -> Millis {
        super::back_off(self.in_a_row)
    }

    fn back_off(&mut self, now: Instant, random: &mut Random) {
        self.failed = self.failed.saturating_add(1);
        self.stumbled = true;
        let wait = self.wait();
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.not_before = now.after(super::jittered(wait, random));
    }

    /// Tells whether the last failure should be logged now: at most hourly.
    pub fn should_log(&mut self, now: Instant) -> bool {
        let due = self.logged_at.is_none_or(|logged| now.since(logged) >= LOG_GAP);
        if due {
            self.logged_at = Some(now);
        }
        due
    }

    /// Tells why the last request failed; nothing if it did not.
    #[must_use]
    pub fn fault(&self) -> &str {
        &self.fault
    }

    /// Tells requests accepted and failed.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.accepted, self.failed)
    }
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self::new()
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// The request was accepted.
    Accepted,
    /// It was not.
    Rejected,
    /// Nobody knows.
    Lost,
}

/// What there is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum News {
    /// Nothing.
    Nothing,
    /// What it knows, again.
    Same,
    /// Something that it does not know.
    Changed,
}

/// Writes the request with the alerts that Alertmanager `place` was not sent in this round, as many as fit, and marks
/// them as being under way.
///
/// # Errors
/// It does not fit, or the URL holds what a request must not.
pub fn emit_alerts(
    place: usize,
    table: &mut Table,
    config: &Config,
    clock: Clock,
    out: &mut impl Write,
) -> fmt::Result {
    let mut body = Body::new();
    body.write_char('[')?;
    for row in table.rows_mut() {
        let Some(alert) = row.alert(place, config) else {
            continue;
        };
        if row.alerted().is_sent(place) {
            continue;
        }
        let before = body.len();
        let written = write_alert(row, alert, config, clock, before, &mut body);
        // The bracket at the end has its place too.
        if written.is_err() || body.len() >= BODY_BYTES_MAX {
            text::take_back(&mut body, before);
            break;
        }
        row.alerted_mut().send(place, alert);
    }
    body.write_char(']')?;
    emit(place, &body, config, out)
}

/// Writes the request with the alert of `notify-test`, which is over a minute later.
///
/// # Errors
/// As [`emit_alerts`].
pub fn emit_test(place: usize, config: &Config, clock: Clock, out: &mut impl Write) -> fmt::Result {
    let mut body = Body::new();
    write!(
        body,
        "[{{\"labels\":{{\"alertname\":\"watchdog_test\",\"instance\":{},\"severity\":\"warning\"}},\
         \"annotations\":{{\"summary\":\"TEST: the watchdog can reach this Alertmanager\"}},\
         \"startsAt\":\"{}\",\"endsAt\":\"{}\"}}]",
        Escaped(&config.name),
        clock.wall,
        clock.wall.after(RESEND_AFTER)
    )?;
    emit(place, &body, config, out)
}

fn emit(place: usize, body: &str, config: &Config, out: &mut impl Write) -> fmt::Result {
    let url: &Url = config.alertmanagers.get(place).ok_or(fmt::Error)?;
    let base = url.path.reveal().trim_end_matches('/');
    Post {
        authority: Authority::of(url),
        path: format_args!("{base}/api/v2/alerts"),
        user_info: url.user_info(),
        content_type: "application/json",
        body,
    }
    .emit(out)
}

/// The monotonic time, and the civil time then.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clock {
    /// Monotonic.
    pub now: Instant,
    /// Civil.
    pub wall: Utc,
}

impl Clock {
    fn civil(self, at: Instant) -> Utc {
        self.wall.before(self.now.since(at))
    }
}

fn write_alert(
    row: &Row,
    alert: Alert,
    config: &Config,
    clock: Clock,
    before: usize,
    body: &mut Body,
) -> fmt::Result {
    let id = row.id();
    let mut shown = String::<192>::new();
    config.write_signal_id(id, &mut Cut::new(&mut shown))?;
    let comma = if before > 1 { "," } else { "" };
    write!(
        body,
        "{comma}{{\"labels\":{{\"alertname\":{},\"instance\":{},\"signal\":{},",
        Escaped(config.signal_name(id.kind)),
        Escaped(&config.name),
        Escaped(&shown)
    )?;
    if !id.subject.is_none() {
        write!(body, "\"subject\":{},", Escaped(id.subject.as_str()))?;
    }
    let _ = write!(Cut::new(&mut shown), " on {}", config.name);
    let incidents = row.incidents();
    let ends = match alert {
        Alert::Firing => clock.wall.after(ENDS_AFTER),
        Alert::Over => clock.civil(incidents.ended.at),
    };
    write!(
        body,
        "\"severity\":\"{}\"}},\"annotations\":{{\"summary\":{},\"detail\":{}}},\"startsAt\":\"{}\",\"endsAt\":\"{ends}\"}}",
        id.kind.severity().as_str(),
        Escaped(&shown),
        Escaped(row.detail()),
        clock.civil(incidents.began)
    )
}
