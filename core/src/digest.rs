//! What is left to tell, as one message of whole lines (CONTRACTS 6).
//!
//! A message is made at the moment of sending, from the table as it is then. It never cuts a line, never exceeds its
//! bound, and escapes every value. Lines that do not fit wait for the next message, in the same order.

use core::fmt::{self, Write};

use heapless::String;

use crate::config::Config;
use crate::delivery::{Ended, Line, Lines};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::signal::{Kind, Severity};
use crate::table::{Row, Table};
use crate::text;
use crate::time::{Instant, Millis, Utc};

/// How values are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Markup {
    /// As they are.
    #[default]
    Plain,
    /// Telegram's HTML: `<`, `>` and `&` as entities, the instance's name in bold.
    Html,
}

/// Bytes kept free behind the lines for `+N more`, the footer and the start digest's last line.
const FOOTER_BYTES: usize = 256;

/// A message for one channel.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message {
    text: String<MESSAGE_BYTES_MAX>,
    markup: Markup,
    lines: u32,
    left: u32,
    silent: bool,
    masters_first: bool,
}

/// What a message is made of, the same for all of its lines.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Context<'a> {
    /// The configuration, for names and mutes.
    pub config: &'a Config,
    /// The channel whose account of what was delivered counts.
    pub channel: usize,
    /// How to escape.
    pub markup: Markup,
    /// Bytes that the message may have, at most [`MESSAGE_BYTES_MAX`].
    pub bytes_max: usize,
    /// The monotonic time.
    pub now: Instant,
    /// The civil time, for the times of late lines.
    pub wall: Utc,
}

impl Message {
    /// A message of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            markup: Markup::Plain,
            lines: 0,
            left: 0,
            silent: false,
            masters_first: false,
        }
    }

    /// Tells the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Tells how many lines about signals there are.
    #[must_use]
    pub const fn lines(&self) -> u32 {
        self.lines
    }

    /// Tells how many signals found no room.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Tells whether it should make no sound: nothing in it is bad news.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Begins a message: the instance's name.
    pub fn begin(&mut self, context: &Context<'_>) {
        self.text.clear();
        self.markup = context.markup;
        (self.lines, self.left, self.silent) = (0, 0, true);
        self.masters_first = false;
        match context.markup {
            Markup::Plain => self.say(format_args!("{}\n", context.config.name)),
            Markup::Html => {
                self.raw("<b>");
                self.say(format_args!("{}", context.config.name));
                self.raw("</b>\n");
            }
        }
    }

    /// Adds a line of its own, with its end; drops it if there is no room left within `bytes_max`, and tells whether
    /// there was.
    pub fn add(&mut self, arguments: fmt::Arguments<'_>, bytes_max: usize) -> bool {
        let before = self.text.len();
        self.say(format_args!("{arguments}\n"));
        let fits = self.text.len() <= bytes_max.saturating_sub(FOOTER_BYTES);
        if !fits {
            text::take_back(&mut self.text, before);
        }
        fits
    }

    /// Lets the masters' lines go ahead of all others: they do not wait, and so must not stand behind the many that are
    /// told one message a minute.
    pub const fn put_masters_first(&mut self) {
        self.masters_first = true;
    }

    /// Adds the lines of all signals that have something left to tell, as many as fit, and marks those as being under way.
    pub fn add_signals(&mut self, table: &mut Table, context: &Context<'_>) {
        let mut last = None;
        while let Some(group) = next_group(table, context, self.masters_first, last) {
            last = Some(group);
            let Some(row) = table.rows().get(group.place) else {
                break;
            };
            let before = self.text.len();
            let lines = row.lines(context.channel, context.config, context.now);
            for line in &lines {
                self.line(row, *line, context);
            }
            if self.left > 0 || self.text.len() > context.bytes_max.saturating_sub(FOOTER_BYTES) {
                text::take_back(&mut self.text, before);
                self.left = self.left.saturating_add(1);
                continue;
            }
            self.lines = self.lines.saturating_add(u32::try_from(lines.len()).unwrap_or(0));
            self.silent &= lines.iter().all(|line| is_good_news(*line));
            table.send(group.place, context.channel, context.config);
        }
    }

    /// Ends the message: what is left out, and how many are active and held.
    pub fn end(&mut self, table: &Table) {
        if self.left > 0 {
            let left = self.left;
            self.say(format_args!("+{left} more\n"));
        }
        let totals = table.totals();
        self.say(format_args!("active {} of {}", totals.active, totals.total));
        for (held, master) in [
            (totals.held_by_orchestrator, Kind::OrchDown),
            (totals.held_by_docker, Kind::DockerDown),
        ] {
            if held > 0 {
                self.say(format_args!(", held {held} by {}", master.name()));
            }
        }
    }

    /// Ends the start digest: what it does not list. Silent if nothing is active.
    pub fn conclude(&mut self, table: &Table) {
        self.silent &= table.totals().active == 0;
        self.say(format_args!(
            "\nWhat was reported before and is not listed here is over or not yet confirmed."
        ));
    }

    /// Makes the message sound, whatever is in it.
    pub const fn make_loud(&mut self) {
        self.silent = false;
    }

    fn line(&mut self, row: &Row, line: Line, context: &Context<'_>) {
        let id = context.config.shown_id(row.id());
        let mark = mark(row.id().kind.severity(), line);
        match line {
            Line::Firing => self.say(format_args!(
                "{mark} FIRING {id}: {}{}\n",
                row.detail(),
                Checks(row)
            )),
            Line::StillFiring(lasted) => {
                self.say(format_args!(
                    "{mark} STILL FIRING {id}: {}, for {lasted}\n",
                    row.detail()
                ));
            }
            Line::Resolved(ended) => self.say(format_args!("{mark} RESOLVED {id}: after {}\n", ended.lasted)),
            Line::Late(1, ended) => {
                let until = Until { ended, context };
                let was = was(row.id().kind);
                self.say(format_args!(
                    "{mark} RESOLVED {id}: {was} {} until {until}, told late\n",
                    ended.lasted
                ));
            }
            Line::Late(times, ended) => {
                let until = Until { ended, context };
                let was = was(row.id().kind);
                self.say(format_args!(
                    "{mark} RESOLVED {id}: {times} times, last {was} {} until {until}, told late\n",
                    ended.lasted
                ));
            }
            Line::Flapping => {
                let (changes, window) = (row.flap_changes(), context.config.flap_window);
                self.say(format_args!(
                    "{mark} FLAPPING {id}: {changes} changes in {window}\n"
                ));
            }
            Line::StableFiring => self.say(format_args!("{mark} STABLE {id}: firing, {}\n", row.detail())),
            Line::StableClear(lasted) => {
                self.say(format_args!("{mark} STABLE {id}: clear, after {lasted}\n"))
            }
        }
    }

    /// Writes values, escaped. Never longer than the buffer, which is never reached: lines are taken back before.
    fn say(&mut self, arguments: fmt::Arguments<'_>) {
        let _ = Escaped {
            text: &mut self.text,
            markup: self.markup,
        }
        .write_fmt(arguments);
    }

    fn raw(&mut self, text: &str) {
        let _ = self.text.push_str(text);
    }
}

struct Escaped<'a> {
    text: &'a mut String<MESSAGE_BYTES_MAX>,
    markup: Markup,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            let entity = match (self.markup, character) {
                (Markup::Html, '<') => "&lt;",
                (Markup::Html, '>') => "&gt;",
                (Markup::Html, '&') => "&amp;",
                _ => {
                    self.text.push(character).map_err(|_| fmt::Error)?;
                    continue;
                }
            };
            self.text.push_str(entity).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

/// ` (3 checks in 45s)`, or nothing for what one look decided.
struct Checks<'a>(&'a Row);

impl fmt::Display for Checks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (checks, within) = self.0.fired_by();
        if checks > 1 {
            write!(f, " ({checks} checks in {within})")
        } else {
            Ok(())
        }
    }
}

/// `12:07Z`, with its date if that is not within the last day.
struct Until<'a> {
    ended: Ended,
    context: &'a Context<'a>,
}

impl fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: Millis = Millis::from_secs(86_400);
        let ago = self.context.now.since(self.ended.at);
        let at = self.context.wall.before(ago);
        let (hour, minute, _) = at.time_of_day();
        if ago >= DAY {
            let (year, month, day) = at.date();
            write!(f, "{year:04}-{month:02}-{day:02} ")?;
        }
        write!(f, "{hour:02}:{minute:02}Z")
    }
}

const fn was(kind: Kind) -> &'static str {
    match kind {
        Kind::OrchDown | Kind::DockerDown | Kind::ContainerDown | Kind::DepDown => "was down",
        _ => "was active",
    }
}

const fn mark(severity: Severity, line: Line) -> char {
    match (line, severity) {
        (Line::Firing | Line::StillFiring(_) | Line::StableFiring, Severity::Critical) => '🔴',
        (Line::Firing | Line::StillFiring(_) | Line::StableFiring, Severity::Warning) => '🟡',
        (Line::Flapping, _) => '🟠',
        (Line::Resolved(_) | Line::Late(..) | Line::StableClear(_), _) => '🟢',
    }
}

const fn is_good_news(line: Line) -> bool {
    matches!(
        line,
        Line::Resolved(_) | Line::Late(..) | Line::StableClear(_) | Line::StableFiring
    )
}

/// Where a signal's lines stand in the message: firing first, then by severity, then by id.
#[derive(Clone, Copy, Debug)]
struct Group {
    rank: u8,
    place: usize,
}

fn next_group(
    table: &Table,
    context: &Context<'_>,
    masters_first: bool,
    last: Option<Group>,
) -> Option<Group> {
    let key = |group: Group| {
        let row = table.rows().get(group.place)?;
        let id = row.id();
        Some((
            group.rank,
            id.kind.severity(),
            context.config.signal_name(id.kind),
            id.subject.as_str(),
        ))
    };
    let after = last.and_then(key);
    let groups = table.rows().iter().enumerate().filter_map(|(place, row)| {
        let rank = rank(&row.lines(context.channel, context.config, context.now))?;
        let goes_first = masters_first && row.id().kind.is_master();
        let rank = if goes_first { 0 } else { rank };
        Some(Group { rank, place })
    });
    groups
        .filter(|group| after.is_none() || key(*group) > after)
        .min_by_key(|group| key(*group))
}

/// The last line says how the signal is now, so it decides the place. 0 is for masters that go first.
fn rank(lines: &Lines) -> Option<u8> {
    Some(match lines.last()? {
        Line::Firing => 1,
        Line::StillFiring(_) => 2,
        Line::Resolved(_) | Line::Late(..) => 3,
        Line::Flapping => 4,
        Line::StableFiring | Line::StableClear(_) => 5,
    })
}
