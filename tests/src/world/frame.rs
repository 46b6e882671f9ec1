//! The frame of a message: all that stands in it beside the lines about signals, and how it is sent (CONTRACTS 6).
//!
//! The order of its parts, the words of each, when each must stand there and when it must not; whether the message is silent,
//! plain or short. The figure behind `of` and the count of what is held are held between bounds: the world does not know when a
//! row is given away.
//! Tests: beside the code.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::options::{CHAT, INSTANCE, Options};
use super::oracle::Seen;
use super::signals::Signal;
use super::weather::Fault;
use crate::html;

const AGAIN: &str = "(again: it is not known whether the last message arrived)";
const CONCLUSION: &str = "What was reported before and is not listed here is over or not yet confirmed.";
/// Telegram's bound, and the one that the machine keeps once it was told that a message is too long.
const BYTES_MAX: usize = 4096;
const SHORT_BYTES_MAX: usize = 3072;
/// Kept free for what follows the lines, and the lines of one signal.
const NEEDED_BYTES: usize = 256 + 700;

/// What is asked of the Bot API.
#[derive(Clone, Debug)]
pub struct Call {
    /// The message as a reader sees it.
    pub shown: String,
    /// Its bytes as they were sent.
    bytes: usize,
    is_html: bool,
    is_silent: bool,
}

impl Call {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is not for this chat, holds what nobody asked for, or is more than Telegram takes.
    pub fn read(body: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(body).map_err(|why| why.to_string())?;
        let strange = |why: &str| format!("{why} in {body}");
        let text = value["text"].as_str().ok_or_else(|| strange("no text"))?;
        let silent = value["disable_notification"].as_bool();
        let mut expected = json!({
            "chat_id": CHAT, "text": text, "disable_notification": silent.ok_or_else(|| strange("no silence"))?,
            "link_preview_options": {"is_disabled": true},
        });
        let is_html = value.get("parse_mode").is_some();
        if is_html {
            expected["parse_mode"] = json!("HTML");
        }
        // A key that stands twice in an object is but once in what was read.
        if value != expected || value.to_string().len() != body.len() {
            return Err(strange("something strange"));
        }
        if text.len() > BYTES_MAX {
            return Err(format!("a message of {} bytes", text.len()));
        }
        Ok(Self {
            shown: if is_html { plain(text)? } else { text.to_owned() },
            bytes: text.len(),
            is_html,
            is_silent: silent.unwrap_or_default(),
        })
    }
}

/// What a reader sees of HTML in which the instance alone is set off.
fn plain(text: &str) -> Result<String, String> {
    let shown = html::plain(text)?;
    let is_bold =
        text.starts_with("<b>") && text.split('\n').next().is_some_and(|line| line.ends_with("</b>"));
    if !is_bold || text.matches('<').count() != 2 {
        return Err(format!("more or less is bold than the instance: {text}"));
    }
    Ok(shown)
}

/// What stands below the lines.
#[derive(Clone, Debug)]
pub struct Foot {
    /// Signals that fire.
    pub active: usize,
    /// Signals in all.
    pub all: RangeInclusive<usize>,
    /// Those that each master holds, if it holds any.
    pub held: [(&'static str, Option<RangeInclusive<usize>>); 2],
}

impl Foot {
    fn check(&self, line: &str) -> Result<(), String> {
        let strange = |why: String| format!("says {line:?}: {why}");
        let mut parts = line.split(", ");
        let figures = parts
            .next()
            .and_then(|part| part.strip_prefix("active ")?.split_once(" of "));
        let (active, all) = figures.ok_or_else(|| strange("no counts".to_owned()))?;
        if active != self.active.to_string() {
            return Err(format!("says {active} are active, and {} are", self.active));
        }
        if !number(all).is_some_and(|all| self.all.contains(&all)) {
            return Err(strange(format!("{:?} are there", self.all)));
        }
        for (master, expected) in &self.held {
            if let Some(expected) = expected {
                let held = parts.next().and_then(|part| {
                    let count = part.strip_prefix("held ")?.strip_suffix(master)?;
                    number(count.strip_suffix(" by ")?)
                });
                if !held.is_some_and(|held| expected.contains(&held)) {
                    return Err(strange(format!("{master} holds {expected:?}")));
                }
            }
        }
        match parts.next() {
            Some(part) => Err(strange(format!("{part:?} is not so"))),
            None => Ok(()),
        }
    }
}

/// What the world knows of the frame of the next message.
#[derive(Clone, Debug)]
pub struct Frame {
    /// A message was taken, which then was the start digest.
    started: bool,
    ticks: u32,
    raise_ticks: u32,
    /// How the sources fared in the last tick, and in the last one when the message was made.
    sources: String,
    told_sources: String,
    foot: Foot,
    /// An earlier request that was not taken may have arrived all the same.
    doubt: bool,
    /// When the last request was made, and whether its answer says that it was not taken.
    asked: Option<(u64, bool)>,
    /// The Bot API has said that it can not read the markup, or that the message is too long.
    said_unreadable: bool,
    said_too_long: bool,
}

/// A message taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// It is the start digest.
    pub is_start: bool,
    /// It says that the last one may have arrived.
    pub is_again: bool,
    /// The lines about signals.
    pub lines: Vec<&'a str>,
    /// Signals for which there was no room.
    pub left: usize,
}

impl Frame {
    /// Nothing was told yet.
    pub fn new(options: &Options) -> Self {
        Self {
            started: false,
            ticks: 0,
            raise_ticks: options.raise_ticks,
            sources: String::new(),
            told_sources: String::new(),
            foot: Foot {
                active: 0,
                all: 0..=0,
                held: [("orch_down", None), ("docker_down", None)],
            },
            doubt: false,
            asked: None,
            said_unreadable: false,
            said_too_long: false,
        }
    }

    /// A tick ended: notes how each source fared.
    pub fn ticked(&mut self, seen: &Seen, options: &Options) {
        self.ticks = self.ticks.saturating_add(1);
        let word = |is_well: bool| if is_well { "ok" } else { "fails" };
        let engine = if options.docker {
            word(seen.list.is_some())
        } else {
            "off"
        };
        self.sources = format!(
            "sources: orchestrator {}, docker {engine}, host {}",
            word(seen.envelope.is_some()),
            word(seen.is_host_there())
        );
        if options.dependencies > 0 {
            let well = seen.dependencies.values().filter(|(good, _)| *good).count();
            self.sources += &format!(", {well} of {} dependencies ok", options.dependencies);
        }
    }

    /// The machine made a message now, with this below it.
    pub fn composed(&mut self, foot: Foot) {
        self.foot = foot;
        self.told_sources.clone_from(&self.sources);
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// A part of the frame is missing, stands where it does not belong, or says what is not so.
    pub fn take<'a>(&self, shown: &'a str) -> Result<Parts<'a>, String> {
        if self.ticks < self.raise_ticks {
            return Err(format!("a message after {} ticks", self.ticks));
        }
        let mut lines = shown.split('\n').peekable();
        expect(lines.next(), INSTANCE)?;
        if !self.started {
            let version = env!("CARGO_PKG_VERSION");
            expect(lines.next(), &format!("🔵 STARTED watchdog {version}"))?;
            expect(lines.next(), &self.told_sources)?;
        }
        let is_again = lines.next_if_eq(&AGAIN).is_some();
        let mut about_signals = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(['🔴', '🟡', '🟢', '🟠'])) {
            about_signals.push(line);
        }
        let left = lines
            .next_if(|line| line.starts_with('+'))
            .map_or(Ok(0), |line| {
                let count = line.strip_prefix('+').and_then(|rest| rest.strip_suffix(" more"));
                let left = count.and_then(number).filter(|left| *left > 0);
                left.ok_or_else(|| format!("bad count of what is left: {line:?}"))
            })?;
        self.foot.check(lines.next().unwrap_or_default())?;
        if !self.started {
            expect(lines.next(), CONCLUSION)?;
        }
        match lines.next() {
            Some(line) => Err(format!("says {line:?} below all else")),
            None => Ok(Parts {
                is_start: !self.started,
                is_again,
                lines: about_signals,
                left,
            }),
        }
    }

    /// Holds how it is sent against what it says.
    ///
    /// # Errors
    /// It is loud without bad news or silent with some; plain, short or said to come again without a reason.
    pub fn judge(&self, call: &Call, parts: &Parts<'_>) -> Result<(), String> {
        let is_quiet = |line: &&str| matches!(Signal::rank(line), 3 | 5);
        let has_news = !parts.lines.iter().all(is_quiet);
        // That something flaps and is clear now is news at the start too, or is not: CONTRACTS say neither.
        let is_open = parts.is_start && has_news && self.foot.active == 0;
        let is_loud = has_news || (parts.is_start && self.foot.active > 0);
        if call.is_silent == is_loud && !is_open {
            let manner = if is_loud { "silent" } else { "loud" };
            return Err(format!("a message is {manner}: {}", call.shown));
        }
        if !call.is_html && !self.said_unreadable {
            return Err("a message without markup, and nobody asked for one".to_owned());
        }
        let room = if self.said_too_long {
            SHORT_BYTES_MAX
        } else {
            BYTES_MAX
        };
        if parts.left > 0 && call.bytes + NEEDED_BYTES < room {
            return Err(format!(
                "+{} more in a message of {} bytes",
                parts.left, call.bytes
            ));
        }
        Ok(())
    }

    /// Tells whether the last message that was sent may have arrived; `resumed_at`: the process stood still until then, and may
    /// have missed an answer.
    pub fn is_in_doubt(&self, resumed_at: u64) -> bool {
        let is_open = |(at, is_refused): (u64, bool)| !is_refused || resumed_at >= at;
        self.doubt || self.asked.is_some_and(is_open)
    }

    /// The process stood still with a connection open: a request that was to go out when it woke may be given up unsent, and
    /// count as sent.
    pub const fn missed_connection(&mut self) {
        self.doubt = true;
    }

    /// A message was sent, and this is wrong with the Bot API.
    pub fn sent(&mut self, fault: Option<Fault>, resumed_at: u64, now: u64) {
        self.doubt = self.is_in_doubt(resumed_at);
        let is_refused = matches!(
            fault,
            Some(Fault::Flood(_) | Fault::Bad(_) | Fault::Unauthorized | Fault::Forbidden)
        );
        self.asked = Some((now, is_refused));
        if let Some(Fault::Bad(why)) = fault {
            self.said_unreadable |= why.contains("parse entities");
            self.said_too_long |= why.contains("too long");
        }
    }

    /// The message under way was taken, and the machine knows it.
    pub fn accepted(&mut self) {
        self.started = true;
        (self.doubt, self.asked) = (false, None);
        (self.said_unreadable, self.said_too_long) = (false, false);
    }

    /// Tells whether the start was told.
    pub const fn is_started(&self) -> bool {
        self.started
    }
}

fn expect(line: Option<&str>, expected: &str) -> Result<(), String> {
    match line {
        Some(line) if line == expected => Ok(()),
        line => Err(format!("says {line:?} where {expected:?} belongs")),
    }
}

/// Reads a count as one writes it.
fn number(text: &str) -> Option<usize> {
    let number = text.parse::<usize>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Call, Foot, Frame};
    use crate::world::Options;
    use crate::world::oracle::Seen;

    const GOOD: &str = "host-<1>&co\n🔵 STARTED watchdog VERSION\nsources: orchestrator fails, docker off, host fails\n\
                        🔴 FIRING orch_down: x\n+2 more\nactive 1 of 12, held 5 by orch_down\n\
                        What was reported before and is not listed here is over or not yet confirmed.";

    fn frame() -> Frame {
        let mut options = Options::draw(0, 1);
        (options.raise_ticks, options.docker, options.dependencies) = (1, false, 0);
        let mut frame = Frame::new(&options);
        frame.ticked(&Seen::default(), &options);
        frame.composed(Foot {
            active: 1,
            all: 12..=14,
            held: [("orch_down", Some(5..=6)), ("docker_down", None)],
        });
        frame
    }

    fn take(text: &str) -> Result<usize, String> {
        let text = text.replace("VERSION", env!("CARGO_PKG_VERSION"));
        frame().take(&text).map(|parts| parts.left)
    }

    /// A good message is taken apart, and each that is one step away from it is refused.
    #[test]
    fn each_part_is_held() {
        assert_eq!(take(GOOD), Ok(2));
        for (from, to) in [
            ("host-<1>&co\n", ""),
            ("🔵 STARTED watchdog VERSION\n", ""),
            ("VERSION", "0"),
            ("docker off", "docker ok"),
            ("+2 more", "+0 more"),
            ("+2 more", "2 more"),
            ("active 1", "active 2"),
            ("of 12", "of 15"),
            (", held 5 by orch_down", ""),
            ("held 5", "held 7"),
            ("by orch_down", "by orch_down, held 1 by docker_down"),
            ("\nWhat was", "\nMore\nWhat was"),
            ("confirmed.", "confirmed.\n"),
            ("🔴 FIRING", "(again: perhaps)\n🔴 FIRING"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(take(&GOOD.replace(from, to)).is_err(), "{from:?} -> {to:?}");
        }
    }

    /// A message with bad news that makes no sound is refused, and a request that asks for more than it should.
    #[test]
    fn the_manner_of_sending_is_held() {
        let text = GOOD
            .replace("VERSION", env!("CARGO_PKG_VERSION"))
            .replace("+2 more\n", "");
        let html = text
            .replace("host-<1>&co", "<b>host-&lt;1&gt;&amp;co</b>")
            .replace('\n', "\\n");
        let body = |silent: bool, more: &str| {
            format!(
                r#"{{"chat_id":"-100123","text":"{html}","parse_mode":"HTML","disable_notification":{silent},"link_preview_options":{{"is_disabled":true}}{more}}}"#
            )
        };
        let judge = |silent: bool| {
            let call = Call::read(&body(silent, "")).unwrap();
            let frame = frame();
            frame.judge(&call, &frame.take(&call.shown).unwrap())
        };
        judge(false).unwrap();
        judge(true).unwrap_err();
        Call::read(&body(false, r#","protect_content":true"#)).unwrap_err();
        Call::read(&body(false, "").replace("<b>", "<i>").replace("</b>", "</i>")).unwrap_err();
    }
}
