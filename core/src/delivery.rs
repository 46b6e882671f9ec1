//! What each channel has been told of a signal, and what is left to tell it.
//!
//! Delivery is level-triggered (CONTRACTS 6): nothing is queued. A signal's firings are numbered; for each channel the
//! number and phase that it accepted last are kept, and a message is made of whatever differs when it is sent. So an
//! outage of a channel costs no memory, and the newest state wins.

use crate::planted::{Planted, is_planted};
use crate::time::{Instant, Millis};

/// What a channel believes of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// That nothing is wrong.
    #[default]
    Clear,
    /// That it is firing.
    Firing,
    /// That it is flapping.
    Flapping,
}

/// How a firing ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ended {
    /// When it resolved.
    pub at: Instant,
    /// From firing to resolved.
    pub lasted: Millis,
}

/// The signal's side: how often it fired, and whether it is firing or flapping now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Incidents {
    /// The number of the newest firing; 0 before the first.
    pub number: u32,
    /// When the newest firing began.
    pub began: Instant,
    /// How the newest firing that is over ended.
    pub ended: Ended,
    /// Whether the newest firing goes on.
    pub firing: bool,
    /// Whether it is flapping.
    pub flapping: bool,
}

/// One part of a message about one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Line {
    /// It fired.
    Firing,
    /// It is still firing after so long.
    StillFiring(Millis),
    /// What was told firing is over.
    Resolved(Ended),
    /// So many whole firings came and went untold; the last one ended thus.
    Late(u32, Ended),
    /// It flaps.
    Flapping,
    /// It flaps no more and is firing.
    StableFiring,
    /// It flaps no more and is clear, after so long since it was first told.
    StableClear(Millis),
}

/// The lines about one signal in one message, in their order.
pub type Lines = heapless::Vec<Line, 3>;

/// Whether people hear of a signal's beginnings, and of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Audience {
    /// They hear of both.
    All,
    /// It is muted: only the end of what they were told is told.
    Muted,
}

/// What one channel was told of one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Told {
    phase: Phase,
    /// The number of the newest firing that it heard of.
    incident: u32,
    /// When that firing, or the flapping, was first part of an accepted message.
    first_at: Instant,
    /// How the firing that it believes in ended, if it has.
    ended: Option<Ended>,
    reminder: Option<Millis>,
    sending: Option<Sending>,
}

/// What the channel will have been told once it accepts the message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Sending {
    phase: Phase,
    incident: u32,
    ended: Option<Ended>,
}

impl Told {
    /// Nothing was told.
    pub const NOTHING: Self = Self {
        phase: Phase::Clear,
        incident: 0,
        first_at: Instant::ZERO,
        ended: None,
        reminder: None,
        sending: None,
    };

    /// Notes that the newest firing ended.
    pub fn note_end(&mut self, incident: u32, ended: Ended) {
        if self.phase == Phase::Firing && self.incident == incident {
            self.ended = Some(ended);
            self.reminder = None;
        }
        if let Some(sending) = &mut self.sending
            && sending.phase == Phase::Firing
            && sending.incident == incident
        {
            sending.ended = Some(ended);
        }
    }

    /// Notes a reminder; one about what is not yet delivered is dropped.
    pub fn note_reminder(&mut self, incident: u32, lasted: Millis) {
        if self.phase == Phase::Firing && self.incident == incident {
            self.reminder = Some(lasted);
        }
    }

    /// Counts the end of what was told firing as told, for signals whose end people do not hear of.
    pub fn forgo_end(&mut self) {
        if self.ended.is_some() {
            self.phase = Phase::Clear;
            self.ended = None;
        }
        if let Some(sending) = &mut self.sending
            && sending.ended.is_some()
        {
            sending.phase = Phase::Clear;
            sending.ended = None;
        }
    }

    /// Tells what is left to tell, in order.
    #[must_use]
    pub fn lines(&self, incidents: &Incidents, audience: Audience, now: Instant) -> Lines {
        let mut lines = Lines::new();
        // Three is the most that one signal can have to tell.
        let mut say = |line| {
            let _ = lines.push(line);
        };
        match self.phase {
            Phase::Flapping if incidents.flapping => {}
            Phase::Flapping if incidents.firing => say(Line::StableFiring),
            Phase::Flapping => say(Line::StableClear(now.since(self.first_at))),
            Phase::Clear | Phase::Firing if incidents.flapping => {
                if audience == Audience::All {
                    say(Line::Flapping);
                }
            }
            Phase::Firing if incidents.firing && self.incident == incidents.number => {
                if let (Some(lasted), Audience::All) = (self.reminder, audience) {
                    say(Line::StillFiring(lasted));
                }
            }
            Phase::Clear | Phase::Firing => {
                if self.phase == Phase::Firing {
                    say(Line::Resolved(self.ended.unwrap_or(incidents.ended)));
                }
                if audience == Audience::All {
                    let missed = self.missed(incidents);
                    if missed > 0 {
                        say(Line::Late(missed, incidents.ended));
                    }
                    if incidents.firing {
                        say(Line::Firing);
                    }
                }
            }
        }
        lines
    }

    /// Whole firings since the one last told.
    fn missed(&self, incidents: &Incidents) -> u32 {
        incidents
            .number
            .saturating_sub(self.incident)
            .saturating_sub(u32::from(incidents.firing))
    }

    /// Notes that a message with all lines of the signal is under way.
    pub fn send(&mut self, incidents: &Incidents, audience: Audience) {
        let phase = match (audience, self.phase) {
            // The end of a muted one is all that is told of it.
            (Audience::Muted, Phase::Clear | Phase::Firing) if !self.believes_in(incidents) => Phase::Clear,
            _ if incidents.flapping => Phase::Flapping,
            _ if incidents.firing => Phase::Firing,
            _ => Phase::Clear,
        };
        self.sending = Some(Sending {
            phase,
            incident: incidents.number,
            ended: None,
        });
    }

    fn believes_in(&self, incidents: &Incidents) -> bool {
        self.phase == Phase::Firing && incidents.firing && self.incident == incidents.number
    }

    /// The channel accepted the message under way, if the signal was in it.
    pub fn accepted(&mut self, now: Instant) {
        let Some(sending) = self.sending.take() else {
            return;
        };
        if self.phase == Phase::Clear {
            self.first_at = now;
        }
        // A new firing in one message with the end of the old one begins its own time.
        if self.phase == Phase::Firing && sending.phase == Phase::Firing && self.incident != sending.incident
        {
            self.first_at = now;
        }
        self.phase = sending.phase;
        self.incident = sending.incident;
        self.ended = sending.ended;
        self.reminder = None;
    }

    /// The channel did not accept the message under way, or nobody knows whether it did.
    pub const fn rejected(&mut self) {
        self.sending = None;
    }

    /// The mistake of taking an end for told whatever came of the message.
    pub(crate) fn lose_end(&mut self) {
        if let Some(sending) = self.sending
            && sending.phase == Phase::Clear
        {
            self.phase = Phase::Clear;
            self.incident = sending.incident;
            self.ended = None;
        }
    }

    /// Tells whether a message with this signal is under way.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Tells what the channel believes.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

/// What an Alertmanager is to be sent of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Alert {
    /// It is firing, or flapping, which counts as firing until it is stable.
    Firing,
    /// It is over, and the Alertmanager believes that it is firing.
    Over,
}

/// What each Alertmanager was told of one signal: a bit each, since of missed firings it need not hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Alerted {
    /// It accepted that the signal is firing, and has not accepted its end.
    believing: u8,
    /// The signal was part of a request in this round.
    sent: u8,
    /// The request with it is under way.
    sending: u8,
    /// In that request it is firing.
    as_firing: u8,
}

impl Alerted {
    /// Nothing was told.
    pub const NOTHING: Self = Self {
        believing: 0,
        sent: 0,
        sending: 0,
        as_firing: 0,
    };

    /// A new round begins for an Alertmanager, by its place in the configuration.
    pub fn begin_round(&mut self, place: usize) {
        self.sent &= !bit(place);
    }

    /// Notes that the request with the signal is under way.
    pub fn send(&mut self, place: usize, alert: Alert) {
        let bit = bit(place);
        self.sent |= bit;
        self.sending |= bit;
        match alert {
            Alert::Firing => self.as_firing |= bit,
            Alert::Over => self.as_firing &= !bit,
        }
    }

    /// The request under way was accepted, if the signal was in it.
    pub fn accepted(&mut self, place: usize) {
        let bit = bit(place) & self.sending;
        self.believing = self.believing & !bit | self.as_firing & bit;
        self.sending &= !bit;
    }

    /// The request under way was not accepted.
    pub fn rejected(&mut self, place: usize) {
        self.lose_end(place);
        self.sending &= !bit(place);
    }

    /// Nobody knows whether the request under way was accepted: a firing in it counts as told, so that its end is sent
    /// too, and an end counts as not told.
    pub fn doubted(&mut self, place: usize) {
        self.lose_end(place);
        if is_planted(Planted::DoubtForgotten) {
            return self.rejected(place);
        }
        let bit = bit(place) & self.sending;
        self.believing |= self.as_firing & bit;
        self.sending &= !bit;
    }

    /// The mistake of taking an end for told whatever came of the request.
    fn lose_end(&mut self, place: usize) {
        if is_planted(Planted::AlertEndLost) {
            self.believing &= !(bit(place) & self.sending & !self.as_firing);
        }
    }

    /// Tells whether the signal was part of a request in this round.
    #[must_use]
    pub fn is_sent(&self, place: usize) -> bool {
        self.sent & bit(place) != 0
    }

    /// Tells whether an Alertmanager may believe that the signal is firing.
    #[must_use]
    pub fn is_believed(&self, place: usize) -> bool {
        self.believing & bit(place) != 0
    }

    /// Tells whether any of them may, now or once a request under way arrives.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.believing | self.sending != 0
    }
}

fn bit(place: usize) -> u8 {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u8.checked_shl(place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const NOW: Instant = Instant::from_millis(1_000_000);
    const ENDED: Ended = Ended {
        at: Instant::from_millis(900_000),
        lasted: Millis::from_secs(60),
    };

    fn firing(number: u32) -> Incidents {
        Incidents {
            number,
            firing: true,
            ..Incidents::default()
        }
    }

    fn over(number: u32) -> Incidents {
        Incidents {
            number,
            ended: ENDED,
            ..Incidents::default()
        }
    }

    fn told(incidents: &Incidents) -> Told {
        let mut told = Told::NOTHING;
        told.send(incidents, Audience::All);
        told.accepted(NOW);
        told
    }

    fn lines(told: &Told, incidents: &Incidents) -> std::vec::Vec<Line> {
        told.lines(incidents, Audience::All, NOW).into_iter().collect()
    }

    /// A firing is left to tell until the channel accepted it, and its end after that.
    #[test]
    fn a_firing_and_its_end_are_told_once_each() {
        assert_eq!(lines(&Told::NOTHING, &firing(1)), [Line::Firing]);
        let mut channel = told(&firing(1));
        assert_eq!(lines(&channel, &firing(1)), []);
        channel.note_end(1, ENDED);
        assert_eq!(lines(&channel, &over(1)), [Line::Resolved(ENDED)]);
        channel.send(&over(1), Audience::All);
        channel.accepted(NOW);
        assert_eq!(lines(&channel, &over(1)), []);
    }

    /// What is rejected is left to tell as before.
    #[test]
    fn a_rejected_message_told_nothing() {
        let mut channel = Told::NOTHING;
        channel.send(&firing(1), Audience::All);
        channel.rejected();
        assert_eq!(lines(&channel, &firing(1)), [Line::Firing]);
    }

    /// An incident that came and went untold is one late line, several are one line with their number.
    #[test]
    fn missed_incidents_are_one_late_line() {
        assert_eq!(lines(&Told::NOTHING, &over(1)), [Line::Late(1, ENDED)]);
        assert_eq!(lines(&Told::NOTHING, &over(3)), [Line::Late(3, ENDED)]);
        let mut channel = told(&firing(1));
        let first_end = Ended {
            at: Instant::from_millis(5),
            lasted: Millis::from_secs(1),
        };
        channel.note_end(1, first_end);
        let expected = [Line::Resolved(first_end), Line::Late(2, ENDED), Line::Firing];
        assert_eq!(
            lines(
                &channel,
                &Incidents {
                    ended: ENDED,
                    ..firing(4)
                }
            ),
            expected
        );
    }

    /// A firing that ends while its message is under way is resolved with its own times afterwards.
    #[test]
    fn an_end_while_sending_is_kept() {
        let mut channel = Told::NOTHING;
        channel.send(&firing(1), Audience::All);
        channel.note_end(1, ENDED);
        channel.accepted(NOW);
        assert_eq!(lines(&channel, &firing(2)), [Line::Resolved(ENDED), Line::Firing]);
    }

    /// A reminder for what is not delivered is dropped, and one for what ended too.
    #[test]
    fn reminders_are_for_what_was_told_and_goes_on() {
        let mut channel = Told::NOTHING;
        channel.note_reminder(1, Millis::from_secs(9));
        assert_eq!(lines(&channel, &firing(1)), [Line::Firing]);
        let mut channel = told(&firing(1));
        channel.note_reminder(1, Millis::from_secs(9));
        assert_eq!(
            lines(&channel, &firing(1)),
            [Line::StillFiring(Millis::from_secs(9))]
        );
        channel.note_end(1, ENDED);
        assert_eq!(lines(&channel, &over(1)), [Line::Resolved(ENDED)]);
    }

    /// Flapping is told once, and its end with the state that it settled in.
    #[test]
    fn flapping_and_stable_are_told_once_each() {
        let flapping = Incidents {
            flapping: true,
            ..firing(3)
        };
        assert_eq!(lines(&told(&firing(2)), &flapping), [Line::Flapping]);
        let channel = told(&flapping);
        assert_eq!(
            lines(
                &channel,
                &Incidents {
                    flapping: true,
                    ..over(5)
                }
            ),
            []
        );
        assert_eq!(lines(&channel, &firing(6)), [Line::StableFiring]);
        assert_eq!(lines(&channel, &over(6)), [Line::StableClear(Millis::ZERO)]);
    }

    /// Muting hides beginnings, never the end of what was told.
    #[test]
    fn muting_never_swallows_an_end() {
        assert!(Told::NOTHING.lines(&firing(1), Audience::Muted, NOW).is_empty());
        let mut channel = told(&firing(1));
        channel.note_end(1, ENDED);
        assert_eq!(
            channel.lines(&firing(2), Audience::Muted, NOW).as_slice(),
            [Line::Resolved(ENDED)]
        );
        channel.send(&firing(2), Audience::Muted);
        channel.accepted(NOW);
        assert!(channel.lines(&firing(2), Audience::Muted, NOW).is_empty());
    }
}
