// SPDX-License-Identifier: GPL-2.0

//! Requests to be told of freezing, in every order of events, beside a model that keeps flags.

use crate::object::freeze::{FreezeDelivery, FreezeState, FreezeWork};
use proptest::prelude::*;

/// Where the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Queue,
    Delivered,
    Freed,
}

/// The protocol as it is usually told: a work item that changes its type and its list, flags for
/// what happened meanwhile, and a reference that points to it or doesn't.
#[derive(Clone, Copy, Debug)]
struct Model {
    place: Place,
    of_reference: bool,
    clears: bool,
    is_frozen: bool,
    sent: bool,
    resend: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Frozen,
    Thawed,
    Clear,
    Read,
    Done,
    ReferenceGoes,
}

const EVENTS: [Event; 6] = [
    Event::Frozen,
    Event::Thawed,
    Event::Clear,
    Event::Read,
    Event::Done,
    Event::ReferenceGoes,
];

/// What comes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Nothing,
    Queued,
    TellState(bool),
    TellCleared,
    Unlinked,
}

impl Model {
    fn new() -> Self {
        Self {
            place: Place::Nowhere,
            of_reference: true,
            clears: false,
            is_frozen: false,
            sent: false,
            resend: false,
        }
    }

    fn queue(&mut self) -> Outcome {
        self.place = Place::Queue;
        Outcome::Queued
    }

    /// Whether user space can bring the event about.
    fn allows(&self, event: Event) -> bool {
        match event {
            // The reference is where the request is looked up to be told or taken back.
            Event::Frozen | Event::Thawed | Event::Clear | Event::ReferenceGoes => {
                self.of_reference
            }
            Event::Read => self.place == Place::Queue,
            Event::Done => self.place == Place::Delivered,
        }
    }

    fn apply(&mut self, event: Event) -> Outcome {
        if !self.allows(event) {
            return Outcome::Nothing;
        }
        match event {
            Event::Frozen | Event::Thawed => {
                let is_frozen = event == Event::Frozen;
                let before = std::mem::replace(&mut self.is_frozen, is_frozen);
                if self.place == Place::Nowhere {
                    return self.queue();
                }
                self.resend |= self.sent && before != is_frozen;
                Outcome::Nothing
            }
            Event::Clear => {
                self.of_reference = false;
                self.clears = true;
                if self.place == Place::Nowhere {
                    return self.queue();
                }
                self.resend |= self.sent;
                Outcome::Nothing
            }
            Event::Read if self.clears => {
                self.place = Place::Freed;
                Outcome::TellCleared
            }
            Event::Read => {
                self.place = Place::Delivered;
                self.sent = true;
                Outcome::TellState(self.is_frozen)
            }
            Event::Done => {
                self.place = Place::Nowhere;
                self.sent = false;
                match std::mem::take(&mut self.resend) {
                    true => self.queue(),
                    false => Outcome::Nothing,
                }
            }
            Event::ReferenceGoes => {
                self.of_reference = false;
                self.place = Place::Freed;
                Outcome::Unlinked
            }
        }
    }
}

fn work(work: FreezeWork) -> Outcome {
    match work {
        FreezeWork::Nothing => Outcome::Nothing,
        FreezeWork::ToProcess => Outcome::Queued,
    }
}

/// Lets the event happen to the driver's state.
fn apply(state: &mut FreezeState, event: Event) -> Outcome {
    match event {
        Event::Frozen => work(state.changed(true)),
        Event::Thawed => work(state.changed(false)),
        Event::Clear => work(state.clear()),
        Event::Read => match state.deliver() {
            None => Outcome::Nothing,
            Some(FreezeDelivery::State { frozen }) => Outcome::TellState(frozen),
            Some(FreezeDelivery::ClearDone) => Outcome::TellCleared,
        },
        Event::Done => work(state.done()),
        Event::ReferenceGoes => match state.reference_gone() {
            true => Outcome::Unlinked,
            false => Outcome::Nothing,
        },
    }
}

fn step(state: &mut FreezeState, model: &mut Model, event: Event) -> Result<(), String> {
    let before = *state;
    let (outcome, expected) = (apply(state, event), model.apply(event));
    if outcome != expected {
        return Err(format!(
            "{before:?}, {event:?}: {outcome:?}, not {expected:?}"
        ));
    }
    if (*state == FreezeState::Over) != (model.place == Place::Freed) {
        return Err(format!(
            "{before:?}, {event:?}: {state:?}, {:?}",
            model.place
        ));
    }
    Ok(())
}

/// Tries all orders of `left` more events after those in `path`; returns how many there were.
fn explore(state: FreezeState, model: Model, left: usize, path: &mut Vec<Event>) -> usize {
    if left == 0 {
        return 1;
    }
    let mut orders = 0;
    for event in EVENTS {
        let (mut state, mut model) = (state, model);
        path.push(event);
        if let Err(difference) = step(&mut state, &mut model, event) {
            panic!("{path:?}: {difference}");
        }
        orders += explore(state, model, left - 1, path);
        path.pop();
    }
    orders
}

#[test]
fn every_order_of_events_does_what_the_model_does() {
    let orders = explore(FreezeState::new(), Model::new(), 7, &mut Vec::new());
    assert_eq!(orders, 6_usize.pow(7));
}

proptest! {
    #[test]
    fn long_lives_do_what_the_model_does(
        // Four of five events keep the request alive.
        events in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(vec![Event::Frozen, Event::Thawed, Event::Read, Event::Done]),
            1 => prop::sample::select(EVENTS.to_vec()),
        ], 0..64),
    ) {
        let (mut state, mut model) = (FreezeState::new(), Model::new());
        for event in events {
            if let Err(difference) = step(&mut state, &mut model, event) {
                return Err(TestCaseError::fail(difference));
            }
        }
    }
}

#[test]
fn what_the_owner_is_now_is_told_even_if_it_was_told_before() {
    let mut state = FreezeState::new();
    for _ in 0..2 {
        assert_eq!(state.changed(true), FreezeWork::ToProcess);
        assert_eq!(
            state.deliver(),
            Some(FreezeDelivery::State { frozen: true })
        );
        assert_eq!(state.done(), FreezeWork::Nothing);
    }
}

#[test]
fn changes_before_the_answer_make_one_notification() {
    let mut state = FreezeState::new();
    assert_eq!(state.changed(false), FreezeWork::ToProcess);
    assert_eq!(
        state.deliver(),
        Some(FreezeDelivery::State { frozen: false })
    );
    // It comes even though in the end nothing has changed.
    for frozen in [true, false, true, false] {
        assert_eq!(state.changed(frozen), FreezeWork::Nothing);
    }
    assert_eq!(state.done(), FreezeWork::ToProcess);
    assert_eq!(
        state.deliver(),
        Some(FreezeDelivery::State { frozen: false })
    );
    // But not for what is no change.
    assert_eq!(state.changed(false), FreezeWork::Nothing);
    assert_eq!(state.done(), FreezeWork::Nothing);
}

#[test]
fn a_request_taken_back_while_the_news_is_out_is_confirmed_after_the_answer() {
    let mut state = FreezeState::new();
    assert_eq!(state.changed(true), FreezeWork::ToProcess);
    assert_eq!(
        state.deliver(),
        Some(FreezeDelivery::State { frozen: true })
    );
    assert_eq!(state.clear(), FreezeWork::Nothing);
    assert_eq!(state.deliver(), None);
    assert_eq!(state.changed(false), FreezeWork::Nothing);
    assert_eq!(state.done(), FreezeWork::ToProcess);
    assert_eq!(state.deliver(), Some(FreezeDelivery::ClearDone));
    assert_eq!(state, FreezeState::Over);
}

#[test]
fn a_request_taken_back_before_the_news_is_read_is_confirmed_in_its_place() {
    let mut state = FreezeState::new();
    assert_eq!(state.changed(true), FreezeWork::ToProcess);
    assert_eq!(state.clear(), FreezeWork::Nothing);
    assert_eq!(state.deliver(), Some(FreezeDelivery::ClearDone));
    assert_eq!(state.deliver(), None);
}

#[test]
fn a_request_of_a_dead_owner_is_confirmed_when_taken_back() {
    let mut state = FreezeState::new();
    assert_eq!(state.clear(), FreezeWork::ToProcess);
    assert_eq!(state.deliver(), Some(FreezeDelivery::ClearDone));
}
