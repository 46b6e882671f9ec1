//! The containers with state kept, and the list's bookkeeping: what was there, what had no room.

use heapless::Vec;

use super::container::{Circumstances, Container, End, Looks, Seen, Wish};
use super::events::{Action, Happening};
use super::id::Id;
use super::inspect::Inspection;
use super::list::{Role, Row};
use super::state::State;
use crate::limits::{CONTAINERS_MAX, LISTED_CONTAINERS_MAX};
use crate::planted::{Planted, is_planted};
use crate::text::Subject;
use crate::time::Instant;

/// Room for containers: the last places are reserved for listed ones (CONTRACTS 4).
const ROOM: usize = CONTAINERS_MAX + LISTED_CONTAINERS_MAX;

const _: () = assert!(LISTED_CONTAINERS_MAX <= u64::BITS as usize);

/// What a list held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) containers: u32,
    pub(super) running: u32,
    pub(super) left_alone: u32,
    /// Those for which there was no room.
    pub(super) left_out: u32,
    /// One bit for each listed name that was there.
    pub(super) listed_there: u64,
    /// One bit for each listed name that was there and of which no state could be kept: no id, or no room.
    pub(super) listed_unclear: u64,
}

impl Tally {
    pub(super) const NONE: Self = Self {
        containers: 0,
        running: 0,
        left_alone: 0,
        left_out: 0,
        listed_there: 0,
        listed_unclear: 0,
    };
}

/// The containers.
#[derive(Debug)]
pub(super) struct Store {
    all: Vec<Container, ROOM>,
    /// The watchdog's own container.
    own: Option<Id>,
    /// Numbers the looks, so that they go round.
    asked: u64,
    /// What the list under way holds so far.
    reading: Tally,
}

impl Store {
    /// No containers: all zero bits.
    pub(super) const fn new() -> Self {
        Self {
            all: Vec::new(),
            own: None,
            asked: 0,
            reading: Tally::NONE,
        }
    }

    /// Names the watchdog's own container, which is left alone.
    pub(super) fn set_own_id(&mut self, own: Option<Id>) {
        self.own = own;
    }

    /// Tells all containers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Container> {
        self.all.iter().filter(|container| !container.is_fresh)
    }

    /// Tells all containers, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Container> {
        self.all.iter_mut().filter(|container| !container.is_fresh)
    }

    /// Tells the container that wants to be inspected most, of those that want it at least so much; of equals the one
    /// whose last time is longest ago.
    pub(super) fn next_look(&self, least: Wish) -> Option<Id> {
        self.iter()
            .filter(|container| container.wish >= least)
            .min_by_key(|container| (core::cmp::Reverse(container.wish), container.asked))
            .map(|container| container.id)
    }

    /// Notes that a container was asked, whatever came of it.
    pub(super) fn note_asked(&mut self, id: Id) {
        self.asked = self.asked.saturating_add(1);
        let asked = self.asked;
        if let Some(container) = self.find(id) {
            container.asked = asked;
        }
    }

    /// Takes over what inspect said, unless an event overtook it: then it is to be asked again.
    pub(super) fn settle_look(
        &mut self,
        id: Id,
        said: &Inspection,
        asked_at: Instant,
        around: &Circumstances,
    ) {
        if let Some(container) = self.find(id).filter(|container| !container.overtook(asked_at)) {
            container.settle_look(said, around);
        }
    }

    /// There is nothing to be seen of it.
    pub(super) fn forget_wish(&mut self, id: Id) {
        if let Some(container) = self.find(id) {
            container.wish = Wish::None;
        }
    }

    /// Begins a list.
    pub(super) fn begin_list(&mut self) {
        self.drop_list();
        self.reading = Tally::NONE;
    }

    /// Forgets a list that came to no good end.
    pub(super) fn drop_list(&mut self) {
        self.all.retain(|container| !container.is_fresh);
        self.all.iter_mut().for_each(|container| container.read = None);
    }

    /// Takes one row of the list under way.
    pub(super) fn read_row(&mut self, row: &Row) {
        self.reading.containers = self.reading.containers.saturating_add(1);
        if row.state == State::Running {
            self.reading.running = self.reading.running.saturating_add(1);
        }
        if self.is_left_alone(row) {
            self.reading.left_alone = self.reading.left_alone.saturating_add(1);
            return;
        }
        let listed = match row.named.parts() {
            Some((_, Role::Listed(place))) => 1_u64.checked_shl(place.into()).unwrap_or(0),
            _ => 0,
        };
        self.reading.listed_there |= listed;
        let Some(id) = row.id else {
            self.reading.listed_unclear |= listed;
            return;
        };
        let Some(container) = self.find_or_admit(id, row) else {
            self.reading.left_out = self.reading.left_out.saturating_add(1);
            self.reading.listed_unclear |= listed;
            return;
        };
        let (name, role) = match row.named.parts() {
            Some((name, role)) => (name.clone(), role),
            None if container.is_fresh => (Subject::new(&container.id.short()), Role::Plain),
            None => (container.seen.name.clone(), container.seen.role),
        };
        container.read = Some(Seen::of(row, name, role));
    }

    /// The list was whole: what it said counts now, and what it did not name is gone. Tells what it held.
    pub(super) fn settle_list(&mut self, asked_at: Instant, around: &Circumstances) -> Tally {
        self.hand_names_on();
        self.all
            .retain(|container| container.read.is_some() || container.was_heard_since(asked_at));
        for container in &mut self.all {
            if let Some(read) = container.read.take() {
                container.settle_list(read, asked_at, around);
            }
        }
        self.reading
    }

    /// Takes over what happened to a container, if it is not left alone. Of an unknown one that shows itself running
    /// state is kept from now on.
    pub(super) fn settle_event(&mut self, happened: &Happening, looks: Looks, now: Instant) {
        let Some(id) = happened.row.id else { return };
        if self.is_left_alone(&happened.row) {
            return;
        }
        let known = self.find(id).is_some_and(|container| !container.is_fresh);
        if !known && !happened.shows_running() {
            return;
        }
        let Some(container) = self.find_or_admit(id, &happened.row) else {
            return;
        };
        let named = happened.row.named.parts();
        if !known {
            let (name, role) = named.map_or_else(
                || (Subject::new(&id.short()), Role::Plain),
                |(name, role)| (name.clone(), role),
            );
            container.seen = Seen::of(&happened.running_row(), name, role);
            container.is_fresh = false;
        }
        let ns = happened.ns.unwrap_or_default();
        match happened.action {
            Action::Other => {}
            Action::Start => container.on_start(now),
            Action::Kill => container.on_kill(happened.signal, ns),
            Action::Stop => container.on_stop(ns),
            Action::Die if is_planted(Planted::DeathForgotten) => {}
            Action::Die => container.on_die(ns, now),
            Action::Oom => container.on_oom(ns, now),
            Action::Health => container.on_health(happened.health, looks, now),
            Action::Rename => {
                if let Some((name, role)) = named {
                    container.seen.name = name.clone();
                    container.seen.role = role;
                }
            }
        }
    }

    /// Tells whether a container is none of our business. An explicit listing wins over what its labels say.
    fn is_left_alone(&self, row: &Row) -> bool {
        let role = row.named.parts().map_or(Role::Plain, |(_, role)| role);
        match role {
            Role::Ignored => true,
            Role::Listed(_) => false,
            Role::Plain => row.labels.off || row.labels.one_off || (row.id.is_some() && row.id == self.own),
        }
    }

    fn find(&mut self, id: Id) -> Option<&mut Container> {
        self.all.iter_mut().find(|container| container.id == id)
    }

    fn find_or_admit(&mut self, id: Id, row: &Row) -> Option<&mut Container> {
        if !self.all.iter().any(|container| container.id == id) {
            let is_listed = row.named.parts().is_some_and(|(_, role)| role.is_listed());
            let room = if is_listed { ROOM } else { CONTAINERS_MAX };
            if self.all.len() >= room {
                return None;
            }
            drop(self.all.push(Container::new(id)));
        }
        self.find(id)
    }

    /// A container that took the name of one that is gone takes over what outlives it.
    fn hand_names_on(&mut self) {
        for place in 0..self.all.len() {
            let Some(heir) = self.all.get(place) else { continue };
            let Some(read) = heir.read.as_ref().filter(|_| !heir.was_listed) else {
                continue;
            };
            let gone = self
                .all
                .iter()
                .find(|other| other.read.is_none() && other.seen.name == read.name);
            let Some(gone) = gone.cloned() else { continue };
            if let Some(heir) = self.all.get_mut(place) {
                heir.inherit(&gone);
            }
        }
    }

    /// Inspecting is refused: every open question is answered without.
    pub(super) fn settle_refusal(&mut self, now: Instant) {
        self.iter_mut()
            .filter(|container| container.wish > Wish::None || container.end == End::Open)
            .for_each(|container| container.settle_refusal(now));
    }
}
