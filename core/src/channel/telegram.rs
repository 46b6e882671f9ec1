//! Telegram: one message at a time, told level-triggered, and every answer of the Bot API taken for what it means.
//!
//! It decides when to send and what an answer means; the message's lines come from [`crate::digest`], the exchange
//! from [`crate::exchange`]. The token stands in the request line alone: no fault, log line or status holds it.
//! Bounded: one message under way, one reply read as a stream. Fuzz target: `telegram_reply`.

use core::fmt::{self, Write};

use heapless::String;
use serde::Serialize;

use super::BACK_OFF_MIN;
use super::post::Post;
use super::reply::Reply;
use crate::config;
use crate::digest::Markup;
use crate::exchange::Failure;
use crate::limits::{DIGEST_QUIET, MESSAGE_BYTES_MAX, OVERFLOW_GAP};
use crate::planted::{Planted, is_planted};
use crate::random::Random;
use crate::text::{self, Detail};
use crate::time::{Instant, Millis};
use crate::wire::http::{Authority, Get};

/// Time for one call. The Bot API answers within a second or not at all.
pub const CALL_TIMEOUT: Millis = Millis::from_secs(15);
/// Longest wait that a 429 can ask for. An hour-long flood wait is possible, but an alert that comes 15 minutes late
/// should be tried.
pub const FLOOD_WAIT_MAX: Millis = Millis::from_secs(900);
/// On top of the wait that a 429 asks for: it is in whole seconds of another clock, and a try that comes a little too
/// early makes it longer.
const FLOOD_MARGIN: Millis = Millis::from_millis(250);
/// Between two messages, also urgent ones: the API's limit for one chat is about one a second.
const GAP_MIN: Millis = Millis::from_secs(1);
/// Messages inside [`MINUTE`]: the API allows 20 a minute in a group.
const MESSAGES_A_MINUTE: usize = 15;
const MINUTE: Millis = Millis::from_secs(60);
/// Wait after a failure that somebody has to mend.
const MEND_WAIT: Millis = Millis::from_secs(600);
/// Between two log lines about the same fault.
const LOG_GAP: Millis = Millis::from_secs(3600);
/// Bytes of a request's JSON: the text with every byte escaped once, and the fields.
const BODY_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX + 512;
/// Bytes below which a message that is "too long" is not cut further.
const MESSAGE_BYTES_MIN: usize = 3 * 1024;

/// The message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Errand {
    /// None.
    None,
    /// The start digest.
    Start,
    /// A digest.
    Digest,
    /// `getMe`, to see whether the token is good.
    Identify,
    /// The test message of `notify-test`.
    Test,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// The message was accepted.
    Accepted,
    /// It was not; it may be next time.
    Later,
    /// It was not; the next try differs (plain text, fewer lines, another chat, no topic) and may be a second later.
    Changed,
    /// It was not, and somebody has to mend the configuration.
    Broken,
}

/// The channel.
#[derive(Debug)]
pub struct Telegram {
    errand: Errand,
    reply: Reply,
    status: u16,
    started: bool,
    not_before: Instant,
    failures: u32,
    sent_at: Option<Instant>,
    recent: [Instant; MESSAGES_A_MINUTE],
    recent_count: u64,
    overflow: bool,
    /// The last message may have arrived although nobody said so.
    doubtful: bool,
    plain: bool,
    shorter: bool,
    without_topic: bool,
    migrated_to: Option<i64>,
    delivered: u64,
    failed: u64,
    fault: Detail,
    broken: bool,
    logged_at: Option<Instant>,
}

#[derive(Serialize)]
struct SendMessage<'a> {
    chat_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'a str>,
    disable_notification: bool,
    link_preview_options: LinkPreview,
}

#[derive(Serialize)]
struct LinkPreview {
    is_disabled: bool,
}

impl Telegram {
    /// A channel that has told nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            errand: Errand::None,
            reply: Reply::new(),
            status: 0,
            started: false,
            not_before: Instant::ZERO,
            failures: 0,
            sent_at: None,
            recent: [Instant::ZERO; MESSAGES_A_MINUTE],
            recent_count: 0,
            overflow: false,
            doubtful: false,
            plain: false,
            shorter: false,
            without_topic: false,
            migrated_to: None,
            delivered: 0,
            failed: 0,
            fault: Detail::new(),
            broken: false,
            logged_at: None,
        }
    }

    /// Tells how values are to be escaped in the next message.
    #[must_use]
    pub const fn markup(&self) -> Markup {
        if self.plain { Markup::Plain } else { Markup::Html }
    }

    /// Tells how long the next message may be.
    #[must_use]
    pub const fn bytes_max(&self) -> usize {
        if self.shorter {
            MESSAGE_BYTES_MIN
        } else {
            MESSAGE_BYTES_MAX
        }
    }

    /// Tells whether the start digest was delivered.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started
    }

    /// Tells whether the last message may have arrived although its answer was lost.
    #[must_use]
    pub const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Tells whether the last message that was accepted left lines for the next.
    #[must_use]
    pub const fn is_overflowing(&self) -> bool {
        self.overflow
    }

    /// Tells the message under way.
    #[must_use]
    pub const fn errand(&self) -> Errand {
        self.errand
    }

    /// Tells messages delivered and tries failed.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.delivered, self.failed)
    }

    /// Tells the last try's fault in words; empty after a success.
    #[must_use]
    pub fn fault(&self) -> &str {
        self.fault.as_str()
    }

    /// Tells whether somebody has to mend the configuration before anything can be delivered.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Tells the chat that the group was moved to, which the configuration should name.
    #[must_use]
    pub const fn migrated_to(&self) -> Option<i64> {
        self.migrated_to
    }

    /// Tells whether the configured topic is gone or closed, so that messages go to the chat without it.
    #[must_use]
    pub const fn has_lost_topic(&self) -> bool {
        self.without_topic
    }

    /// Tells the earliest time for the next message. `urgent`: a master's line is in it, which does not wait for a
    /// digest.
    #[must_use]
    pub fn earliest(&self, urgency: Urgency) -> Instant {
        let gap = match urgency {
            Urgency::Master => GAP_MIN,
            Urgency::Line if self.overflow => OVERFLOW_GAP,
            Urgency::Line => DIGEST_QUIET,
        };
        let paced = self.sent_at.map_or(Instant::ZERO, |sent| sent.after(gap));
        let oldest = self.recent.first().copied().unwrap_or_default();
        let full = self.recent_count >= MESSAGES_A_MINUTE as u64;
        let flood = if full { oldest.after(MINUTE) } else { Instant::ZERO };
        paced.max(flood).max(self.not_before)
    }

    /// A message is under way from now on.
    pub fn begin(&mut self, errand: Errand) {
        self.errand = errand;
        self.status = 0;
        self.reply.begin();
    }

    /// Writes the request of a message.
    ///
    /// # Errors
    /// It does not fit, or a configured host or token holds what a request must not.
    pub fn emit_message(
        &self,
        config: &config::Telegram,
        text: &str,
        noise: Noise,
        out: &mut impl Write,
    ) -> fmt::Result {
        let mut chat = String::<24>::new();
        if let Some(id) = self.migrated_to {
            write!(chat, "{id}")?;
        }
        let message = SendMessage {
            chat_id: if chat.is_empty() {
                config.chat_id.as_str()
            } else {
                chat.as_str()
            },
            message_thread_id: config.thread_id.filter(|_| !self.without_topic).map(i64::from),
            text,
            parse_mode: (!self.plain).then_some("HTML"),
            disable_notification: noise == Noise::Silent,
            link_preview_options: LinkPreview { is_disabled: true },
        };
        let body = by_serde(&message)?;
        let (prefix, token) = (base_path(config), config.token.reveal());
        Post {
            authority: Authority::of(&config.api_url),
            path: format_args!("{prefix}/bot{token}/sendMessage"),
            user_info: config.api_url.user_info(),
            content_type: "application/json",
            body: body.as_str(),
        }
        .emit(out)
    }

    /// Writes the request of `getMe`.
    ///
    /// # Errors
    /// As for [`Telegram::emit_message`].
    pub fn emit_identify(config: &config::Telegram, out: &mut impl Write) -> fmt::Result {
        let (prefix, token) = (base_path(config), config.token.reveal());
        Get {
            authority: Authority::of(&config.api_url),
            path: format_args!("{prefix}/bot{token}/getMe"),
            user_info: config.api_url.user_info(),
        }
        .emit(out)
    }

    /// The answer's head came.
    pub const fn head(&mut self, status: u16) {
        self.status = status;
    }

    /// A part of the answer's body came.
    pub fn body(&mut self, bytes: &[u8]) {
        self.reply.feed(bytes);
    }

    /// The exchange ended: what it means, and when the next may begin.
    pub fn ended(
        &mut self,
        outcome: Result<Millis, Failure>,
        left: u32,
        now: Instant,
        random: &mut Random,
    ) -> Verdict {
        let errand = core::mem::replace(&mut self.errand, Errand::None);
        self.reply.end();
        let verdict = match outcome {
            Ok(_) => self.judge(now, random),
            Err(failure) => {
                self.doubtful |= failure.may_have_arrived();
                self.fault = text::detail(format_args!("{failure}"));
                self.back_off(now, random);
                if is_planted(Planted::ProxyWaitedOut) && matches!(failure, Failure::Proxy(_)) {
                    self.not_before = now.after(MEND_WAIT);
                }
                Verdict::Later
            }
        };
        if verdict != Verdict::Accepted {
            self.failed = self.failed.saturating_add(1);
            return verdict;
        }
        self.accept(errand, left, now);
        verdict
    }

    fn accept(&mut self, errand: Errand, left: u32, now: Instant) {
        self.started |= errand == Errand::Start;
        self.fault.clear();
        (self.failures, self.broken, self.doubtful) = (0, false, false);
        self.logged_at = None;
        (self.plain, self.shorter) = (false, false);
        self.overflow = left > 0;
        if errand == Errand::Identify {
            return;
        }
        self.delivered = self.delivered.saturating_add(1);
        self.sent_at = Some(now);
        self.recent.rotate_left(1);
        if let Some(newest) = self.recent.last_mut() {
            *newest = now;
        }
        self.recent_count = self.recent_count.saturating_add(1);
    }

    /// What the Bot API's answer means.
    fn judge(&mut self, now: Instant, random: &mut Random) -> Verdict {
        if self.status == 200 && self.reply.is_ok() {
            return Verdict::Accepted;
        }
        self.fault = text::detail(format_args!(
            "http {}{}",
            self.status,
            Said(self.reply.description())
        ));
        match self.status {
            429 => {
                self.back_off(now, random);
                let asked = self
                    .reply
                    .retry_after()
                    .filter(|_| !is_planted(Planted::RetryAfterIgnored));
                if let Some(wait) = asked.map(Millis::from_secs) {
                    let wait = wait.max(BACK_OFF_MIN).plus(FLOOD_MARGIN);
                    self.not_before = now.after(wait.min(FLOOD_WAIT_MAX));
                }
                Verdict::Later
            }
            400 => {
                let verdict = self.judge_bad_request(now, random);
                if verdict == Verdict::Changed {
                    // Paced too: an answer that always asks for another change must not be hammered.
                    self.not_before = now.after(GAP_MIN);
                }
                verdict
            }
            401 | 403 | 404 => self.break_off(now),
            status => {
                // Something in between may have passed the message on and lost the answer.
                self.doubtful |= matches!(status, 200..=299 | 500..=599);
                self.back_off(now, random);
                Verdict::Later
            }
        }
    }

    fn judge_bad_request(&mut self, now: Instant, random: &mut Random) -> Verdict {
        if let Some(chat) = self.reply.migrate_to()
            && self.migrated_to != Some(chat)
        {
            self.migrated_to = Some(chat);
            return Verdict::Changed;
        }
        let said = |part: &str| contains_ignoring_case(self.reply.description(), part);
        if said("parse entities") && !self.plain {
            self.plain = true;
            return Verdict::Changed;
        }
        if said("too long") && !self.shorter {
            self.shorter = true;
            return Verdict::Changed;
        }
        if (said("thread not found") || said("topic_closed") || said("topic_deleted")) && !self.without_topic
        {
            self.without_topic = true;
            return Verdict::Changed;
        }
        if said("chat not found") || said("chat_id") || said("peer_id") {
            return self.break_off(now);
        }
        self.back_off(now, random);
        Verdict::Later
    }

    fn break_off(&mut self, now: Instant) -> Verdict {
        // No streak of passing failures goes on, so what is logged of this one is logged hourly.
        (self.broken, self.failures) = (true, 0);
        self.not_before = now.after(MEND_WAIT);
        Verdict::Broken
    }

    /// 1 s, 2 s, 4 s … 60 s, each longer by up to a quarter, so that many watchdogs do not come back at once.
    fn back_off(&mut self, now: Instant, random: &mut Random) {
        let wait = super::back_off(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.after(super::jittered(wait, random));
    }

    /// Tells whether the last fault should be logged now: at the first failure, and hourly after that.
    pub fn should_log(&mut self, now: Instant) -> bool {
        let due = self.failures == 1 || self.logged_at.is_none_or(|logged| now.since(logged) >= LOG_GAP);
        if due {
            self.logged_at = Some(now);
        }
        due
    }

    /// Tells who the token's bot is, after `getMe`.
    #[must_use]
    pub fn bot_name(&self) -> &str {
        self.reply.username()
    }

    /// Tells what to do about the last fault, for `notify-test`.
    #[must_use]
    pub const fn advice(&self) -> Advice<'_> {
        Advice(self)
    }

    fn remedy(&self) -> &'static str {
        let said = |part: &str| contains_ignoring_case(self.reply.description(), part);
        match self.status {
            200..=399 | 404 if self.reply.description().is_empty() => {
                "whatever answers there is not the Bot API: see WATCHDOG_TELEGRAM_API_URL"
            }
            401 | 404 => "the token is wrong: copy it again from @BotFather into WATCHDOG_TELEGRAM_TOKEN",
            403 if said("blocked") => {
                "the person has blocked the bot: they must open its chat and press Start"
            }
            403 if said("initiate") => {
                "nobody has written to the bot yet: they must open its chat and press Start"
            }
            403 if said("deactivated") || said("deleted") => {
                "that chat is gone: set WATCHDOG_TELEGRAM_CHAT_ID to another one"
            }
            403 => "the bot is not in that chat: add it there, in a channel as an administrator",
            400 if said("chat not found") => {
                "no such chat for this bot: write to it first or add it to the group; ids of groups are negative, \
                 those of supergroups and channels begin with -100"
            }
            400 if said("topic_closed") => {
                "the topic is closed: open it again or set another WATCHDOG_TELEGRAM_THREAD_ID"
            }
            400 if said("thread") || said("topic") => {
                "no such topic: WATCHDOG_TELEGRAM_THREAD_ID is the id of its first message"
            }
            400 if said("rights") => {
                "the bot may not write there: allow it to, in a channel as an administrator"
            }
            429 => "too many messages to this chat: wait and try again",
            500..=599 => "Telegram has a problem of its own: try again later",
            0 if self.fault.starts_with("proxy:") => {
                "the proxy gave no way to the Bot API: see the reason, and WATCHDOG_TELEGRAM_PROXY"
            }
            0 => "the Bot API could not be reached: see the reason, and WATCHDOG_TELEGRAM_API_URL",
            _ => "see the reason",
        }
    }
}

/// What to do about a fault, as half a sentence.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Advice<'a>(&'a Telegram);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.reply.migrate_to() {
            Some(chat) => write!(f, "the group has moved: set WATCHDOG_TELEGRAM_CHAT_ID={chat}"),
            None => f.write_str(self.0.remedy()),
        }
    }
}

impl Default for Telegram {
    fn default() -> Self {
        Self::new()
    }
}

/// How soon a message should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Urgency {
    /// With the next digest.
    Line,
    /// At once: a master's line is in it.
    Master,
}

/// Whether a message makes a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Noise {
    /// It does.
    Loud,
    /// It does not.
    Silent,
}

/// Writes the body. A function of its own, so that the link-time proof can tell what panics the serialiser's bounds checks
/// keep alive from what the rest of the core does.
#[inline(never)]
fn by_serde(message: &SendMessage<'_>) -> Result<String<BODY_BYTES_MAX>, fmt::Error> {
    serde_json_core::to_string(message).map_err(|_| fmt::Error)
}

/// A self-hosted Bot API may stand below a path.
fn base_path(config: &config::Telegram) -> &str {
    config.api_url.path.reveal().trim_end_matches('/')
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    text.as_bytes()
        .windows(part.len().max(1))
        .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

/// `: description`, or nothing.
struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.0)
        }
    }
}
