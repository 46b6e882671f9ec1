//! The exchanges of a tick: ping, list, and a look at what changed, one after the other.

use super::container::{Circumstances, Engine, Looks};
use super::{Answer, Close, Docker, Fault, Id, Step, Want};
use crate::config;
use crate::limits::INSPECTS_A_TICK_MAX;
use crate::time::Instant;

impl Docker {
    fn fail(&mut self, fault: Fault) {
        self.step = Step::Failed;
        self.fault = fault;
        self.version = None;
        self.engine = Engine::Away;
        self.looks = Looks::Granted;
        self.store.drop_list();
    }

    pub(super) fn close_tick(&mut self) -> Result<(), Fault> {
        if matches!(self.step, Step::Ping | Step::List) {
            self.fail(Fault::NoAnswer);
        }
        if self.step == Step::Failed {
            return Err(self.fault);
        }
        self.step = Step::Rest;
        self.allow_looks();
        Ok(())
    }

    pub(super) fn allow_looks(&mut self) {
        self.looks_left = match self.looks {
            Looks::Granted => INSPECTS_A_TICK_MAX,
            // One, to see whether the proxy's rules have changed.
            Looks::Refused => 1,
        };
    }

    fn circumstances(&self, now: Instant) -> Circumstances {
        Circumstances {
            now,
            interval: self.interval,
            engine: self.engine,
            looks: self.looks,
        }
    }

    /// A ping that is refused or not known hides the version, and the list decides; without one in the path the engine
    /// speaks its newest.
    pub(super) fn end_ping(&mut self, answer: Answer, close: Close) {
        match (answer, close) {
            (Answer::Status(status @ 500..), _) => self.fail(Fault::Http(status)),
            (Answer::None, _) => self.fail(Fault::NoAnswer),
            _ => self.step = Step::List,
        }
    }

    pub(super) fn end_list(&mut self, answer: Answer, close: Close, now: Instant) {
        match (answer, close) {
            (Answer::Status(400), _) if self.version.is_some() => self.renegotiate(),
            (Answer::Status(403), _) => self.fail(Fault::Refused),
            (Answer::Status(status), _) => self.fail(Fault::Http(status)),
            (Answer::Useless, _) => self.fail(self.fault),
            (Answer::None, _) | (Answer::Reading, Close::Broken) => self.fail(Fault::NoAnswer),
            (Answer::Reading, Close::Whole) => self.finish_list(now),
        }
    }

    /// The list's request is always the same, so a 400 means its version: the engine was replaced by an older or newer
    /// one since it was asked.
    fn renegotiate(&mut self) {
        let refused = self.version.take();
        match refused {
            Some(version) if self.renegotiated => self.fail(Fault::Version(version)),
            _ => {
                self.renegotiated = true;
                self.step = Step::Ping;
            }
        }
    }

    fn finish_list(&mut self, now: Instant) {
        // A number at the top level is the only value that ends here, and it is no list.
        if let Err(fault) = self.reader.finish(&mut |_| {}) {
            return self.fail(Fault::NotJson(fault));
        }
        if !self.list.is_list() {
            return self.fail(Fault::NotAList);
        }
        let around = self.circumstances(now);
        self.tally = self.store.settle_list(self.begun, &around);
        self.engine = Engine::Stayed;
        self.step = Step::Looks;
    }

    pub(super) fn read_list(&mut self, bytes: &[u8], config: &config::Docker) -> Want {
        if self.starts_html(bytes) {
            self.answer = Answer::Useless;
            self.fault = Fault::Html;
            return Want::Nothing;
        }
        let (list, store) = (&mut self.list, &mut self.store);
        let read = self.reader.feed(bytes, &mut |event| {
            if let Some(row) = list.take(event, config) {
                store.read_row(row);
            }
        });
        if let Err(fault) = read {
            self.answer = Answer::Useless;
            self.fault = Fault::NotJson(fault);
            return Want::Nothing;
        }
        Want::More
    }

    fn starts_html(&mut self, bytes: &[u8]) -> bool {
        if self.has_body {
            return false;
        }
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        self.has_body = first.is_some();
        first == Some(&b'<')
    }

    pub(super) fn read_inspect(&mut self, bytes: &[u8]) -> Want {
        let inspect = &mut self.inspect;
        match self.reader.feed(bytes, &mut |event| inspect.take(event)) {
            Ok(()) => Want::More,
            Err(_) => {
                self.answer = Answer::Useless;
                Want::Nothing
            }
        }
    }

    pub(super) fn end_inspect(&mut self, id: Id, answer: Answer, close: Close, now: Instant) {
        self.looks_left = self.looks_left.saturating_sub(1);
        self.store.note_asked(id);
        let around = self.circumstances(now);
        match (answer, close) {
            (Answer::Reading, Close::Whole) if self.reader.finish(&mut |_| {}).is_ok() => {
                if core::mem::take(&mut self.looks) == Looks::Refused {
                    // What there is to see waits no longer.
                    self.allow_looks();
                }
                if let Some(said) = self.inspect.said() {
                    self.outputs.keep(id, &said.output);
                    self.store.settle_look(id, said, self.asked_at, &around);
                }
            }
            (Answer::Status(403), _) => {
                self.looks = Looks::Refused;
                self.looks_left = 0;
                self.store.settle_refusal(now);
            }
            // It is gone; the next list will say so.
            (Answer::Status(404), _) => self.store.forget_wish(id),
            // One container that makes the engine hang must not use up the tick; the rotation goes on behind it.
            _ => self.looks_left = 0,
        }
    }
}
