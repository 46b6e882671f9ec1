//! What is wrong with a configuration, one line a fault: which variable, its value, what was expected, what serves instead.
//!
//! Must never show a secret: a value that is or may hold one is `***`, in `Display` and in `Debug`. One line whatever the value holds:
//! control characters become spaces, and what is longer than [`VALUE_CHARS_MAX`] is cut.
//! Tests: beside the code and beside [`super::parse`].

use core::fmt::{self, Write as _};

use super::dependency::DependencyFault;
use super::url::{self, UrlFault};
use super::value::{Span, cut};
use super::variables::Masking;
use crate::net::FileFault;
use crate::rule::RuleFault;
use crate::text::shown;
use crate::time::Millis;

/// Characters of a value or a name in a fault's line; the reason behind it must still be read.
const VALUE_CHARS_MAX: usize = 48;

/// What a line about the configuration amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FaultKind {
    /// A value does not serve: an error, and `watchdog config` exits 1.
    Fault,
    /// A name is unknown: a warning, and `watchdog config` exits 1.
    Unknown,
    /// A valid value belongs to a feature that is not yet active: information alone.
    Notice,
}

/// Something about one variable that its owner should know. `Display` is one line without a secret, and so is `Debug`.
#[derive(Clone, Copy)]
pub struct Fault<'a> {
    pub(super) variable: &'a str,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// A value, why it is faulty, what its variable takes, and what serves instead.
    Faulty(Shown<'a>, Why<'a>, &'static str, Instead<'a>),
    /// Nothing is called so; what may have been meant.
    Unknown(Option<&'static str>),
    /// It is valid, and its feature is not yet built.
    NotYetActive,
    /// A dependency's key is valid, and its feature is not yet built.
    KeyNotYetActive(&'static str),
}

/// A faulty value, as much of it as may be shown.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// There is no value to show.
    Nothing,
    /// There is one, and it is secret.
    Masked,
    /// This.
    Text(&'a str),
}

impl<'a> Shown<'a> {
    /// Decides what of a faulty value may be shown.
    pub(super) fn new(text: &'a str, masking: Masking) -> Self {
        let is_secret = match masking {
            Masking::Nothing => may_be_token(text),
            Masking::UrlParts => url::may_hold_secret(text),
            Masking::Whole => true,
        };
        if is_secret { Self::Masked } else { Self::Text(text) }
    }
}

/// A bot's token in the wrong variable is still a secret: digits, a colon, and a long word.
fn may_be_token(text: &str) -> bool {
    cut(text, ':').is_some_and(|(bot, key)| {
        key.len() >= 20 && bot.ends_with(|last: char| last.is_ascii_digit()) && !key.contains('/')
    })
}

/// Why a value does not serve. The operator's fault, each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why<'a> {
    /// It is not what the variable takes.
    NotExpected,
    /// It is no URL of ours.
    Url(UrlFault),
    /// It is no dependency.
    Dependency(DependencyFault<'a>),
    /// It is no rule.
    Rule(RuleFault),
    /// The time-out is above the interval.
    AboveInterval(Millis),
    /// The plain variable and its `_FILE` twin are both given.
    BothGiven,
    /// The file that the `_FILE` twin names could not be read.
    Unreadable(FileFault),
    /// Half of Telegram is missing.
    Without(&'static str),
    /// The name of a rule or dependency is not `[A-Z0-9_]+`, or too long.
    BadName,
    /// A signal is already called like the rule.
    TakenName,
    /// There are more than so many.
    TooMany(usize),
}

/// What serves in the place of a faulty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead<'a> {
    /// This text.
    Using(&'a str),
    /// This duration.
    UsingSpan(Millis),
    /// Nothing.
    Unset,
    /// Messages go to the log, not to people.
    StdoutAlone,
    /// The dependency is left out.
    NotWatched,
    /// The rule is left out.
    LeftOut,
}

impl<'a> Fault<'a> {
    /// Tells the variable's name, as it was given.
    #[must_use]
    pub const fn variable(&self) -> &'a str {
        self.variable
    }

    /// Tells what it amounts to.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self.what {
            What::Faulty(..) => FaultKind::Fault,
            What::Unknown(_) => FaultKind::Unknown,
            What::NotYetActive | What::KeyNotYetActive(_) => FaultKind::Notice,
        }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        emit_cut(f, self.variable)?;
        match self.what {
            What::Faulty(value, why, expects, instead) => {
                match value {
                    Shown::Nothing => {}
                    Shown::Masked => f.write_str("=***")?,
                    Shown::Text(text) => {
                        f.write_char('=')?;
                        emit_cut(f, text)?;
                    }
                }
                f.write_str(": ")?;
                why.emit(f, self.variable, expects)?;
                write!(f, "; {instead}")
            }
            What::Unknown(Some(nearest)) => write!(f, ": unknown variable, did you mean {nearest}?"),
            What::Unknown(None) => f.write_str(": unknown variable"),
            What::NotYetActive => f.write_str(": valid, but not yet active in this version"),
            What::KeyNotYetActive(key) => write!(f, ": {key} is valid, but not yet active in this version"),
        }
    }
}

impl fmt::Debug for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Fault<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

impl Why<'_> {
    fn emit(self, f: &mut fmt::Formatter<'_>, variable: &str, expects: &str) -> fmt::Result {
        match self {
            Self::NotExpected
            | Self::Url(UrlFault::Scheme)
            | Self::Dependency(DependencyFault::Url(UrlFault::Scheme)) => {
                write!(f, "expected {expects}")
            }
            Self::Url(fault) => write!(f, "{fault}"),
            Self::Dependency(fault) => write!(f, "{fault}"),
            Self::Rule(fault) => write!(f, "{fault}"),
            Self::AboveInterval(interval) => write!(f, "expected at most the interval, {}", Span(interval)),
            Self::BothGiven => {
                f.write_str("given together with ")?;
                emit_cut(f, variable)?;
                f.write_str("_FILE, so neither serves")
            }
            Self::Unreadable(fault) => write!(f, "its file: {fault}"),
            Self::Without(missing) => write!(f, "given without {missing}"),
            Self::BadName => f.write_str("expected a name of A-Z, 0-9 and _, at most 64"),
            Self::TakenName => f.write_str("a built-in signal has this name"),
            Self::TooMany(max) => write!(f, "more than {max} of them, in the order of their names"),
        }
    }
}

impl fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Using(text) => {
                f.write_str("using ")?;
                emit_cut(f, text)
            }
            Self::UsingSpan(span) => write!(f, "using {}", Span(*span)),
            Self::Unset => f.write_str("left unset"),
            Self::StdoutAlone => f.write_str("notifications go to stdout alone"),
            Self::NotWatched => f.write_str("not watched"),
            Self::LeftOut => f.write_str("rule left out"),
        }
    }
}

/// Writes a stranger's text in one line of bounded length.
fn emit_cut(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut characters = text.chars();
    for character in characters.by_ref().take(VALUE_CHARS_MAX) {
        f.write_char(shown(character))?;
    }
    if characters.as_str().is_empty() {
        Ok(())
    } else {
        f.write_char('…')
    }
}
