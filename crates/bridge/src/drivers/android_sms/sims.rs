//! Which SIM card a line is on. No I/O.

use std::collections::HashMap;

use switchboard_model::{Handle, line::OfflineReason, link::CarriedLine};

use super::wire::SimCard;

/// Where a line is on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    /// On the only card, whatever its number.
    Only,
    /// On this one, from 1 on.
    Number(u32),
}

impl Card {
    /// What the app is told.
    pub(super) fn number(self) -> Option<u32> {
        match self {
            Self::Only => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// On which card each line is; else why it can't be carried.
pub(super) type Cards = HashMap<Handle, Result<Card, OfflineReason>>;

/// Finds the card of each line. No two lines are on one card.
pub(super) fn assign(
    lines: &[CarriedLine],
    named: &HashMap<Handle, u32>,
    cards: &[SimCard],
) -> Cards {
    let mut found: Cards = HashMap::with_capacity(lines.len());
    for line in lines {
        found.insert(line.handle.clone(), card_of(&line.handle, named, cards));
    }
    let is_taken_twice = |card: Card| {
        let number = |card: Card| card.number().or_else(|| cards.first().map(|one| one.sim_number));
        found.values().flatten().filter(|other| number(**other) == number(card)).count() > 1
    };
    let twice: Vec<_> = found
        .iter()
        .filter(|(_, card)| card.is_ok_and(is_taken_twice))
        .map(|(line, _)| line.clone())
        .collect();
    for line in twice {
        found.insert(line, Err(OfflineReason::WrongAccount));
    }
    found
}

/// The card of a line, by what the owner says, or else by the number on the card.
fn card_of(
    line: &Handle,
    named: &HashMap<Handle, u32>,
    cards: &[SimCard],
) -> Result<Card, OfflineReason> {
    if cards.is_empty() {
        // The app may not see it: then the permission for the phone's state is missing.
        return Err(OfflineReason::SignedOut);
    }
    let has = |card: &SimCard| {
        let number = card.phone_number.as_deref().unwrap_or_default();
        Handle::received_in(number, line.country()) == *line
    };
    let Some(named) = named.get(line) else {
        return match cards {
            [_] => Ok(Card::Only),
            _ => match cards.iter().find(|card| has(card)) {
                Some(card) => Ok(Card::Number(card.sim_number)),
                // Any guess could write under somebody else's number.
                None => Err(OfflineReason::WrongAccount),
            },
        };
    };
    let Some(card) = cards.iter().find(|card| card.sim_number == *named) else {
        return Err(OfflineReason::SignedOut);
    };
    // What stands on a card may be old, so that it differs proves nothing; that it is on another does.
    if !has(card) && cards.iter().any(has) {
        return Err(OfflineReason::WrongAccount);
    }
    Ok(Card::Number(*named))
}

/// Which of the lines a text came to, by the card. The app's own word for the receiver is no help: it is often missing.
pub(super) fn line_of<'a>(
    lines: &'a [CarriedLine],
    assigned: &Cards,
    is_only_card: bool,
    sim: Option<u32>,
) -> Option<&'a CarriedLine> {
    lines.iter().find(|line| match (assigned.get(&line.handle), sim) {
        (Some(Ok(Card::Only)), _) => true,
        (Some(Ok(Card::Number(_))), None) => is_only_card,
        (Some(Ok(Card::Number(number))), Some(sim)) => *number == sim,
        (Some(Err(_)) | None, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use switchboard_model::{id::Id, line::LineService};

    use super::*;

    const ONE: &str = "+14155550199";
    const TWO: &str = "+14155550188";

    fn cards(numbers: &[Option<&str>]) -> Vec<SimCard> {
        let card = |(at, number): (usize, &Option<&str>)| SimCard {
            sim_number: u32::try_from(at).unwrap() + 1,
            phone_number: number.map(str::to_owned),
        };
        numbers.iter().enumerate().map(card).collect()
    }

    #[test]
    fn a_line_is_on_the_card_that_is_certain() {
        let (one, two) = (Handle::received(ONE), Handle::received(TWO));
        let none = HashMap::new();
        let named = HashMap::from([(one.clone(), 1), (two.clone(), 2)]);
        let of = |line, named, numbers: &[_]| card_of(line, named, &cards(numbers));
        assert_eq!(of(&one, &none, &[]), Err(OfflineReason::SignedOut));
        assert_eq!(of(&one, &none, &[None]), Ok(Card::Only));
        assert_eq!(of(&one, &none, &[None, None]), Err(OfflineReason::WrongAccount));
        assert_eq!(of(&two, &none, &[None, Some("4155550188")]), Ok(Card::Number(2)));
        assert_eq!(of(&two, &named, &[None]), Err(OfflineReason::SignedOut));
        assert_eq!(of(&two, &named, &[None, None]), Ok(Card::Number(2)));
        assert_eq!(of(&two, &named, &[None, Some("+4915112345678")]), Ok(Card::Number(2)));
        assert_eq!(of(&two, &named, &[Some(TWO), Some(ONE)]), Err(OfflineReason::WrongAccount));
    }

    fn line(handle: &str) -> CarriedLine {
        CarriedLine {
            id: Id::new(uuid::Uuid::now_v7()),
            handle: Handle::received(handle),
            service: LineService::Sms,
            position: None,
            role: switchboard_model::link::LineRole::Active,
            since: None,
        }
    }

    #[test]
    fn no_two_lines_are_on_one_card() {
        let lines = [line(ONE), line(TWO)];
        let named = HashMap::from([(Handle::received(ONE), 1)]);
        let assigned = assign(&lines, &named, &cards(&[None]));
        assert!(assigned.values().all(Result::is_err), "{assigned:?}");
        assert!(line_of(&lines, &assigned, true, Some(1)).is_none());
        let named = HashMap::from([(Handle::received(ONE), 1), (Handle::received(TWO), 2)]);
        let assigned = assign(&lines, &named, &cards(&[None, None]));
        assert_eq!(line_of(&lines, &assigned, false, Some(2)), Some(&lines[1]));
        // A text of a card that is nobody's line is nobody's business.
        assert_eq!(line_of(&lines[..1], &assigned, false, Some(2)), None);
        assert_eq!(line_of(&lines, &assigned, false, None), None);
    }
}
