//! Telling people: when a message is due, what stands in it, and what its answer means for the table.
//!
//! With Telegram configured it is the one channel; without it, messages go to stdout line by line. The events that
//! every signal also writes to the log are not this module's: see `wishes`.

use core::fmt::Write as _;

use heapless::String;

use crate::channel::telegram::{CALL_TIMEOUT, Errand, Noise, Telegram, Urgency, Verdict};
use crate::config::Config;
use crate::digest::{Context, Markup};
use crate::exchange::Task;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::net::Level;
use crate::text::{self, Cut, Detail};
use crate::time::Instant;

use super::links::{Owner, Request};
use super::notes::SourceState;
use super::{Mode, Watchdog};

/// The one channel's place in the table's account.
const CHANNEL: usize = 0;
/// Tries of the test message whose request is changed by the answer (plain text, another chat, no topic).
const TEST_TRIES_MAX: u8 = 4;

/// What is to be told, and how far it is.
#[derive(Debug)]
pub struct Telling {
    /// The table changed since it was last looked at.
    changed: bool,
    due: Due,
    /// Stdout has been told of the start, and the message that it is being told.
    stdout_started: bool,
    printing: Printing,
    test: Test,
    test_tries: u8,
    report: String<2048>,
}

/// What is left to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Lines,
    MasterLines,
}

/// The message that stdout is being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Printing {
    None,
    /// The bytes of it that were told.
    From(usize),
}

/// How far `notify-test` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Begin,
    Asking,
    Delivered,
    Failed,
}

impl Telling {
    pub(super) const fn new() -> Self {
        Self {
            changed: false,
            due: Due::Nothing,
            stdout_started: false,
            printing: Printing::None,
            test: Test::Begin,
            test_tries: 0,
            report: String::new(),
        }
    }

    pub(super) const fn something_changed(&mut self) {
        self.changed = true;
    }

    pub(super) const fn is_tested(&self) -> bool {
        matches!(self.test, Test::Delivered | Test::Failed)
    }

    pub(super) const fn is_all_delivered(&self) -> bool {
        matches!(self.test, Test::Delivered)
    }

    pub(super) fn report(&self) -> &str {
        self.report.as_str()
    }

    pub(super) fn say(&mut self, line: core::fmt::Arguments<'_>) {
        let _ = Cut::new(&mut self.report).write_fmt(line);
        let _ = self.report.push('\n');
    }
}

impl Watchdog<'_> {
    /// Takes the channel's answer, and sends what is due.
    pub(super) fn advance_telling(&mut self, now: Instant, config: &Config) {
        match self.mode {
            Mode::Run => {}
            Mode::Check => return self.advance_check(now, config),
            Mode::NotifyTest => return,
        }
        if let Some(outcome) = self.take_outcome(Owner::Telegram) {
            let verdict = self
                .telegram
                .ended(outcome, self.message.left(), now, &mut self.random);
            self.answered(verdict, now, config);
        }
        if !self.is_ready(config) {
            return;
        }
        if core::mem::replace(&mut self.telling.changed, false) {
            self.telling.due = self.look_for_due(now, config);
        }
        if config.telegram.is_none() {
            self.tell_stdout(now, config);
        } else if self.next_message_at(config).is_some_and(|at| now >= at) {
            let errand = if self.telegram.is_started() {
                Errand::Digest
            } else {
                Errand::Start
            };
            self.compose(
                errand,
                self.telegram.markup(),
                self.telegram.bytes_max(),
                now,
                config,
            );
            self.telegram.begin(errand);
            self.links
                .start(Owner::Telegram, now, Some(now.after(CALL_TIMEOUT)), Task::Request);
        }
    }

    /// Nothing is told before the first K ticks are through.
    fn is_ready(&self, config: &Config) -> bool {
        self.probing.ticks() >= u64::from(config.raise_ticks)
    }

    fn look_for_due(&self, now: Instant, config: &Config) -> Due {
        let left = |master: bool| {
            self.table
                .rows()
                .iter()
                .any(|row| row.id().kind.is_master() == master && !row.lines(CHANNEL, config, now).is_empty())
        };
        match () {
            () if left(true) => Due::MasterLines,
            () if left(false) => Due::Lines,
            () => Due::Nothing,
        }
    }

    /// Tells when the next message to Telegram is to be sent, if one is due and none is under way.
    pub(super) fn next_message_at(&self, config: &Config) -> Option<Instant> {
        let idle =
            self.mode == Mode::Run && config.telegram.is_some() && !self.links.is_busy(Owner::Telegram);
        if !idle || !self.is_ready(config) {
            return None;
        }
        match self.telling.due {
            _ if !self.telegram.is_started() => Some(self.telegram.earliest(Urgency::Master)),
            Due::MasterLines => Some(self.telegram.earliest(Urgency::Master)),
            Due::Lines => Some(self.telegram.earliest(Urgency::Line)),
            Due::Nothing => None,
        }
    }

    /// What the channel's answer means for the account of what was delivered.
    fn answered(&mut self, verdict: Verdict, now: Instant, config: &Config) {
        if verdict == Verdict::Accepted {
            self.table.accepted(CHANNEL, now, config);
        } else {
            self.table.rejected(CHANNEL);
        }
        self.telling.something_changed();
        let wall = self.wall(now);
        let lines = self.message.lines();
        match verdict {
            Verdict::Accepted => self.notes.log(wall, Level::Debug, "delivered", |line| {
                line.pair("channel", "telegram").pair("lines", lines);
            }),
            Verdict::Changed => self.note_change(now),
            Verdict::Later | Verdict::Broken => {
                if self.telegram.should_log(now) {
                    let reason: Detail = text::detail(format_args!("{}", self.telegram.fault()));
                    let level = if verdict == Verdict::Broken {
                        Level::Error
                    } else {
                        Level::Warn
                    };
                    self.notes.log(wall, level, "undelivered", |line| {
                        line.pair("channel", "telegram").pair("detail", reason);
                    });
                }
            }
        }
    }

    /// The next try differs from the configuration: the operator should hear of it.
    fn note_change(&mut self, now: Instant) {
        let wall = self.wall(now);
        let reason: Detail = text::detail(format_args!("{}", self.telegram.fault()));
        let chat = self.telegram.migrated_to();
        self.notes.log(wall, Level::Warn, "telegram", |line| {
            line.pair("detail", reason);
            if let Some(chat) = chat {
                line.pair("advice", format_args!("set WATCHDOG_TELEGRAM_CHAT_ID={chat}"));
            }
        });
    }

    /// Makes the message of all that is left to tell now.
    fn compose(&mut self, errand: Errand, markup: Markup, bytes_max: usize, now: Instant, config: &Config) {
        let wall = self.wall(now);
        let context = Context {
            config,
            channel: CHANNEL,
            markup,
            bytes_max,
            now,
            wall,
        };
        let mut message = core::mem::take(&mut self.message);
        message.begin(&context);
        if self.telegram.is_overflowing() {
            message.put_masters_first();
        }
        if errand == Errand::Start {
            self.introduce(&mut message, bytes_max, config);
        }
        if self.telegram.is_doubtful() {
            message.add(
                format_args!("(again: it is not known whether the last message arrived)"),
                bytes_max,
            );
        }
        if let Some(chat) = self.telegram.migrated_to() {
            message.add(
                format_args!("The group has moved: set WATCHDOG_TELEGRAM_CHAT_ID={chat}"),
                bytes_max,
            );
        }
        let has_topic = config
            .telegram
            .as_ref()
            .is_some_and(|telegram| telegram.thread_id.is_some());
        if has_topic && self.telegram.has_lost_topic() {
            message.add(
                format_args!("The topic is gone or closed: set WATCHDOG_TELEGRAM_THREAD_ID to another one"),
                bytes_max,
            );
        }
        message.add_signals(&mut self.table, &context);
        message.end(&self.table);
        if errand == Errand::Start {
            message.conclude(&self.table);
        }
        self.message = message;
    }

    /// The head of the start digest: version, sources, and faults in the configuration.
    fn introduce(&self, message: &mut crate::digest::Message, bytes_max: usize, config: &Config) {
        message.add(
            format_args!("🔵 STARTED watchdog {}", env!("CARGO_PKG_VERSION")),
            bytes_max,
        );
        let mut sources = String::<200>::new();
        let mut dependencies = (0_u32, 0_u32);
        self.sources(config, &mut |name, state| {
            let mut shown = String::<80>::new();
            let _ = Cut::new(&mut shown).write_fmt(name);
            if shown.starts_with("dependency:") {
                dependencies.0 = dependencies.0.saturating_add(1);
                dependencies.1 = dependencies.1.saturating_add(u32::from(state.is_ok()));
                return;
            }
            let word = match state {
                SourceState::Answers(_) => "ok",
                SourceState::Off => "off",
                SourceState::Fails(_) => "fails",
                SourceState::Waiting => "not read yet",
            };
            let comma = if sources.is_empty() { "" } else { ", " };
            let _ = write!(Cut::new(&mut sources), "{comma}{shown} {word}");
        });
        if dependencies.0 > 0 {
            let (all, ok) = dependencies;
            let _ = write!(Cut::new(&mut sources), ", {ok} of {all} dependencies ok");
        }
        message.add(format_args!("sources: {sources}"), bytes_max);
        let (faults, mut more) = self.notes.faults();
        for fault in faults {
            // Faults leave half of the message to what fires.
            if !message.add(format_args!("⚠️ {fault}"), bytes_max / 2) {
                more = more.saturating_add(1);
            }
        }
        if more > 0 {
            message.add(
                format_args!("⚠️ {more} more faults in the configuration: see the log"),
                bytes_max,
            );
        }
    }

    /// Without Telegram, a message counts as delivered once it is on its way to stdout.
    fn tell_stdout(&mut self, now: Instant, config: &Config) {
        let due = !self.telling.stdout_started || self.telling.due != Due::Nothing;
        if !due || self.telling.printing != Printing::None {
            return;
        }
        let errand = if self.telling.stdout_started {
            Errand::Digest
        } else {
            Errand::Start
        };
        self.compose(errand, Markup::Plain, MESSAGE_BYTES_MAX, now, config);
        self.table.accepted(CHANNEL, now, config);
        self.telling.stdout_started = true;
        self.telling.printing = Printing::From(0);
        self.telling.something_changed();
        self.telling.due = Due::Nothing;
    }

    /// Takes the next line of the message for stdout.
    pub(super) fn take_stdout_line(&mut self) -> Option<&str> {
        let Printing::From(start) = self.telling.printing else {
            return None;
        };
        let Some(rest) = self.message.as_str().get(start..).filter(|rest| !rest.is_empty()) else {
            self.telling.printing = Printing::None;
            return None;
        };
        let line = text::before(rest, b'\n');
        self.telling.printing = Printing::From(start.saturating_add(line.len()).saturating_add(1));
        Some(line)
    }

    /// `check`: who is the bot, and no message.
    fn advance_check(&mut self, now: Instant, config: &Config) {
        if self.telling.test == Test::Begin {
            if config.telegram.is_none() {
                self.telling.test = Test::Delivered;
                return;
            }
            self.telling.test = Test::Asking;
            self.ask_telegram(Errand::Identify, now);
        } else if let Some(outcome) = self.take_outcome(Owner::Telegram) {
            let verdict = self.telegram.ended(outcome, 0, now, &mut self.random);
            self.telling.test = if verdict == Verdict::Accepted {
                Test::Delivered
            } else {
                Test::Failed
            };
        }
    }

    /// How the channel fares, as `check` and `/status` show it.
    pub(super) fn telegram_state(&self) -> SourceState<'_> {
        let answered = self.telegram.is_started() || self.telling.is_tested();
        match self.telegram.fault() {
            "" if !answered => SourceState::Waiting,
            "" if self.mode == Mode::Check => SourceState::Answers(self.telegram.bot_name()),
            "" => SourceState::Answers("takes messages"),
            fault => SourceState::Fails(fault),
        }
    }

    /// `notify-test`: who is the bot, then one message.
    pub(super) fn advance_test(&mut self, now: Instant, config: &Config) {
        if self.telling.test == Test::Begin {
            self.begin_test(now, config);
        } else if let Some(outcome) = self.take_outcome(Owner::Telegram) {
            let errand = self.telegram.errand();
            let verdict = self.telegram.ended(outcome, 0, now, &mut self.random);
            self.test_answered(errand, verdict, now, config);
        }
    }

    fn begin_test(&mut self, now: Instant, config: &Config) {
        if config.telegram.is_none() {
            self.telling.say(format_args!(
                "stdout: delivered (no WATCHDOG_TELEGRAM_TOKEN and WATCHDOG_TELEGRAM_CHAT_ID: notifications go to stdout alone)"
            ));
            self.telling.test = Test::Delivered;
            return;
        }
        self.telling.test = Test::Asking;
        self.ask_telegram(Errand::Identify, now);
    }

    fn ask_telegram(&mut self, errand: Errand, now: Instant) {
        self.telegram.begin(errand);
        self.links
            .start(Owner::Telegram, now, Some(now.after(CALL_TIMEOUT)), Task::Request);
    }

    fn test_answered(&mut self, errand: Errand, verdict: Verdict, now: Instant, config: &Config) {
        self.telling.test_tries = self.telling.test_tries.saturating_add(1);
        let again = verdict == Verdict::Changed && self.telling.test_tries < TEST_TRIES_MAX;
        let name = if errand == Errand::Identify {
            "getMe"
        } else {
            "sendMessage"
        };
        match verdict {
            Verdict::Accepted if errand == Errand::Identify => {
                let bot = String::<64>::try_from(self.telegram.bot_name()).unwrap_or_default();
                self.telling
                    .say(format_args!("telegram: getMe: ok, the bot is @{bot}"));
                self.send_test(now, config);
            }
            Verdict::Accepted => {
                self.telling
                    .say(format_args!("telegram: sendMessage: ok, delivered"));
                self.telling.test = Test::Delivered;
            }
            Verdict::Changed | Verdict::Later | Verdict::Broken => {
                let (fault, advice) = (self.telegram.fault(), self.telegram.advice());
                let line: String<512> = {
                    let mut line = String::new();
                    let _ = write!(Cut::new(&mut line), "telegram: {name}: {fault}; {advice}");
                    line
                };
                self.telling.say(format_args!("{line}"));
                if again {
                    self.send_test(now, config);
                } else {
                    self.telling.test = Test::Failed;
                }
            }
        }
    }

    fn send_test(&mut self, now: Instant, config: &Config) {
        let wall = self.wall(now);
        let markup = self.telegram.markup();
        let context = Context {
            config,
            channel: CHANNEL,
            markup,
            bytes_max: MESSAGE_BYTES_MAX,
            now,
            wall,
        };
        self.message.begin(&context);
        self.message.add(
            format_args!("🔔 TEST: the watchdog can reach this chat ({wall})"),
            MESSAGE_BYTES_MAX,
        );
        self.message.make_loud();
        self.ask_telegram(Errand::Test, now);
    }
}

/// Writes the request for the message under way to Telegram.
pub(super) fn write_request(
    telegram: &Telegram,
    message: &crate::digest::Message,
    config: &Config,
    out: &mut Request,
) -> core::fmt::Result {
    let Some(settings) = &config.telegram else {
        return Err(core::fmt::Error);
    };
    match telegram.errand() {
        Errand::Identify => Telegram::emit_identify(settings, out),
        Errand::None => Err(core::fmt::Error),
        Errand::Start | Errand::Digest | Errand::Test => {
            let noise = if message.is_silent() {
                Noise::Silent
            } else {
                Noise::Loud
            };
            telegram.emit_message(settings, message.as_str(), noise, out)
        }
    }
}
