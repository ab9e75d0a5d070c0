// SPDX-License-Identifier: GPL-2.0

//! Requests to be told of a death, in every order of events, beside a model that keeps lists.

use crate::object::death::{DeathState, DeathWork, Delivery, Linked};

/// What kind of work the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    DeadBinder,
    DeadBinderAndClear,
    Clear,
}

/// Where the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Queue,
    Delivered,
    Freed,
}

/// The protocol as it is usually told: a work item that changes its type and its list, and a
/// reference that points to it or doesn't.
#[derive(Clone, Copy, Debug)]
struct Model {
    kind: Kind,
    place: Place,
    of_reference: bool,
    owner_died: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    OwnerDies,
    Clear,
    Read,
    Done,
    ReferenceGoes,
}

const EVENTS: [Event; 5] = [
    Event::OwnerDies,
    Event::Clear,
    Event::Read,
    Event::Done,
    Event::ReferenceGoes,
];

/// What comes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// There is nothing for it to happen to.
    Impossible,
    /// An error of user space.
    Refused,
    Nothing,
    ToProcess,
    ToCaller,
    TellDead,
    TellCleared,
    Unlink(Linked),
}

impl Model {
    fn new(owner_is_dead: bool) -> Self {
        Self {
            kind: Kind::DeadBinder,
            place: match owner_is_dead {
                true => Place::Queue,
                false => Place::Nowhere,
            },
            of_reference: true,
            owner_died: owner_is_dead,
        }
    }

    fn apply(&mut self, event: Event) -> Outcome {
        match event {
            // Once, and told to references that have a request.
            Event::OwnerDies => {
                if std::mem::replace(&mut self.owner_died, true) || !self.of_reference {
                    return Outcome::Impossible;
                }
                self.place = Place::Queue;
                Outcome::ToProcess
            }
            Event::Clear => {
                if !std::mem::take(&mut self.of_reference) {
                    return Outcome::Refused;
                }
                match self.place {
                    Place::Nowhere => {
                        self.kind = Kind::Clear;
                        self.place = Place::Queue;
                        Outcome::ToCaller
                    }
                    _ => {
                        self.kind = Kind::DeadBinderAndClear;
                        Outcome::Nothing
                    }
                }
            }
            Event::Read if self.place != Place::Queue => Outcome::Impossible,
            Event::Read => match self.kind {
                Kind::Clear => {
                    self.place = Place::Freed;
                    Outcome::TellCleared
                }
                _ => {
                    self.place = Place::Delivered;
                    Outcome::TellDead
                }
            },
            Event::Done if self.place != Place::Delivered => Outcome::Refused,
            Event::Done => match self.kind {
                Kind::DeadBinderAndClear => {
                    self.kind = Kind::Clear;
                    self.place = Place::Queue;
                    Outcome::ToCaller
                }
                _ => {
                    self.place = Place::Nowhere;
                    Outcome::Nothing
                }
            },
            Event::ReferenceGoes => {
                if !std::mem::take(&mut self.of_reference) {
                    return Outcome::Unlink(Linked::Nowhere);
                }
                match std::mem::replace(&mut self.place, Place::Freed) {
                    Place::Queue => Outcome::Unlink(Linked::Queue),
                    Place::Delivered => Outcome::Unlink(Linked::Delivered),
                    Place::Nowhere | Place::Freed => Outcome::Unlink(Linked::Nowhere),
                }
            }
        }
    }
}

fn work(work: Option<DeathWork>) -> Outcome {
    match work {
        None => Outcome::Nothing,
        Some(DeathWork::ToProcess) => Outcome::ToProcess,
        Some(DeathWork::ToCaller) => Outcome::ToCaller,
    }
}

/// Lets the event happen to the driver's state.
fn apply(state: &mut DeathState, event: Event) -> Outcome {
    match event {
        Event::OwnerDies => work(state.node_died()),
        Event::Clear => state.clear().map_or(Outcome::Refused, work),
        Event::Read => match state.deliver() {
            None => Outcome::Impossible,
            Some(Delivery::DeadBinder) => Outcome::TellDead,
            Some(Delivery::ClearDone) => Outcome::TellCleared,
        },
        Event::Done => state.done().map_or(Outcome::Refused, work),
        Event::ReferenceGoes => Outcome::Unlink(state.reference_gone()),
    }
}

/// Tries all orders of `left` more events after those in `path`; returns how many there were.
fn explore(state: DeathState, model: Model, left: usize, path: &mut Vec<Event>) -> usize {
    if left == 0 {
        return 1;
    }
    let mut orders = 0;
    for event in EVENTS {
        let (mut state, mut model) = (state, model);
        path.push(event);
        let expected = model.apply(event);
        let outcome = apply(&mut state, event);
        let agree = match (event, expected) {
            // A death that does not concern the request any more changes nothing.
            (Event::OwnerDies, Outcome::Impossible) => outcome == Outcome::Nothing,
            _ => outcome == expected,
        };
        assert!(agree, "{path:?}: {outcome:?} instead of {expected:?}");
        assert_eq!(
            state == DeathState::Over,
            model.place == Place::Freed,
            "{path:?}"
        );
        orders += explore(state, model, left - 1, path);
        path.pop();
    }
    orders
}

#[test]
fn every_order_of_events_does_what_the_model_does() {
    for owner_is_dead in [false, true] {
        let (state, first) = DeathState::new(owner_is_dead);
        assert_eq!(first, owner_is_dead.then_some(DeathWork::ToProcess));
        let model = Model::new(owner_is_dead);
        let orders = explore(state, model, 8, &mut Vec::new());
        assert_eq!(orders, 5_usize.pow(8));
    }
}

#[test]
fn a_request_taken_back_while_the_news_is_out_is_confirmed_after_the_answer() {
    let (mut state, _) = DeathState::new(true);
    assert_eq!(state.deliver(), Some(Delivery::DeadBinder));
    assert_eq!(state.clear(), Ok(None));
    assert_eq!(state.deliver(), None);
    assert_eq!(state.done(), Ok(Some(DeathWork::ToCaller)));
    assert_eq!(state.deliver(), Some(Delivery::ClearDone));
    assert_eq!(state, DeathState::Over);
}
