//! Whose turn it is, where the work of one may not keep the others out.

use petrel_runtime::RandomStream;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that say whose network it is: whoever has one of its addresses has all of them.
const NETWORK_BITS: u32 = 64;

/// Who waits. First all addresses get their turns, one after the other; then, within an address, all that is aimed at.
/// Those who wait for the same at the same place are as likely as each other to be next: taken by age, a crowd that gives
/// up after a while and comes again would leave nobody time enough.
///
/// So a crowd delays its like alone: somebody at another address, or who is after something else, waits for one of each
/// other kind at most.
pub struct Turns<T> {
    places: VecDeque<Place<T>>,
    count: usize,
    random: RandomStream,
}

/// Those who come from one address.
struct Place<T> {
    address: IpAddr,
    crowds: VecDeque<Crowd<T>>,
}

/// Those of them who are after the same.
struct Crowd<T> {
    target: [u8; 32],
    waiting: Vec<T>,
}

impl<T> Turns<T> {
    /// Nobody waits. What `seed` is decides who is next within a crowd.
    pub fn new(seed: u64) -> Turns<T> {
        Turns { places: VecDeque::new(), count: 0, random: RandomStream::from_seed(seed) }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds somebody who comes from this address and is after this.
    pub fn add(&mut self, address: IpAddr, target: [u8; 32], item: T) {
        let address = network_of(address);
        self.count += 1;
        let place = match self.places.iter().position(|place| place.address == address) {
            Some(place) => place,
            None => {
                self.places.push_back(Place { address, crowds: VecDeque::new() });
                self.places.len() - 1
            }
        };
        let crowds = &mut self.places[place].crowds;
        match crowds.iter_mut().find(|crowd| crowd.target == target) {
            Some(crowd) => crowd.waiting.push(item),
            None => crowds.push_back(Crowd { target, waiting: vec![item] }),
        }
    }

    /// Takes out the next.
    pub fn take_next(&mut self) -> Option<T> {
        let mut place = self.places.pop_front()?;
        let mut crowd = place.crowds.pop_front()?;
        let chosen = self.draw(crowd.waiting.len());
        let item = crowd.waiting.swap_remove(chosen);
        if !crowd.waiting.is_empty() {
            place.crowds.push_back(crowd);
        }
        if !place.crowds.is_empty() {
            self.places.push_back(place);
        }
        self.count -= 1;
        Some(item)
    }

    /// Takes out somebody of the largest crowd, to make room.
    pub fn evict(&mut self) -> Option<T> {
        let sizes = self.places.iter().enumerate().flat_map(|(place, found)| {
            found.crowds.iter().enumerate().map(move |(crowd, found)| (found.waiting.len(), place, crowd))
        });
        let (size, place, crowd) = sizes.max_by_key(|(size, ..)| *size)?;
        let chosen = self.draw(size);
        let item = self.places[place].crowds[crowd].waiting.swap_remove(chosen);
        self.forget_empty();
        self.count -= 1;
        Some(item)
    }

    /// Takes out all of whom this is true.
    pub fn take_out(&mut self, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for crowd in self.places.iter_mut().flat_map(|place| &mut place.crowds) {
            taken.extend(crowd.waiting.extract_if(.., |item| is_meant(item)));
        }
        self.forget_empty();
        self.count -= taken.len();
        taken
    }

    fn forget_empty(&mut self) {
        for place in &mut self.places {
            place.crowds.retain(|crowd| !crowd.waiting.is_empty());
        }
        self.places.retain(|place| !place.crowds.is_empty());
    }

    /// A number below `end`, which is not 0.
    fn draw(&mut self, end: usize) -> usize {
        // Less than `end`, so it fits.
        (self.random.next_u64() % end as u64) as usize
    }
}

/// What is taken for one address.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits =
                address.to_bits() >> (Ipv6Addr::BITS - NETWORK_BITS) << (Ipv6Addr::BITS - NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn drained(mut turns: Turns<u32>) -> Vec<u32> {
        std::iter::from_fn(|| turns.take_next()).collect()
    }

    #[test]
    fn a_crowd_delays_others_by_one_of_it() {
        let mut turns = Turns::new(7);
        (0..200).for_each(|number| turns.add(address(1), [1; 32], number));
        // After something else, and from elsewhere.
        turns.add(address(1), [2; 32], 1000);
        turns.add(address(2), [1; 32], 2000);
        let order = drained(turns);
        let place = |wanted: u32| order.iter().position(|item| *item == wanted).unwrap();
        assert!(place(2000) <= 1 && place(1000) <= 2, "{:?}", &order[..4]);
        assert_eq!(order.len(), 202);
    }

    #[test]
    fn within_a_crowd_nobody_is_last_for_sure() {
        let last_is_first = (0..2000u64).filter(|seed| {
            let mut turns = Turns::new(*seed);
            (0..10).for_each(|number| turns.add(address(1), [1; 32], number));
            (0..5).for_each(|_| assert!(turns.take_next().is_some()));
            turns.take_out(|item| *item == 9).is_empty()
        });
        let count = last_is_first.count();
        assert!((900..1100).contains(&count), "{count} of 2000 were among the first half");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, u8),
        Next,
        Evict,
        TakeOut(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4u8, 0..3u8).prop_map(|(address, target)| Step::Add(address, target)),
            2 => Just(Step::Next),
            1 => Just(Step::Evict),
            1 => (1..5u32).prop_map(Step::TakeOut),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// A list of all who wait, with a count of the turns that others got meanwhile.
        #[test]
        fn everybody_gets_a_turn_and_nobody_is_lost(steps in steps(), seed: u64) {
            let mut turns = Turns::new(seed);
            let mut model: Vec<(u8, u8, u32)> = Vec::new();
            for (number, step) in (0u32..).zip(steps) {
                let out = match step {
                    Step::Add(from, target) => {
                        turns.add(address(from), [target; 32], number);
                        model.push((from, target, number));
                        Vec::new()
                    }
                    Step::Next => turns.take_next().into_iter().collect(),
                    Step::Evict => {
                        let size = |wanted: &(u8, u8, u32)| {
                            model.iter().filter(|it| (it.0, it.1) == (wanted.0, wanted.1)).count()
                        };
                        let largest = model.iter().map(size).max();
                        let out = turns.evict();
                        let found = out.and_then(|out| model.iter().find(|it| it.2 == out));
                        prop_assert_eq!(found.map(size), largest);
                        out.into_iter().collect()
                    }
                    Step::TakeOut(divisor) => {
                        let out = turns.take_out(|item| item % divisor == 0);
                        prop_assert_eq!(out.len(), model.iter().filter(|it| it.2 % divisor == 0).count());
                        out
                    }
                };
                for item in &out {
                    let place = model.iter().position(|it| it.2 == *item);
                    prop_assert!(place.is_some(), "{} was not there", item);
                    model.remove(place.unwrap());
                }
                prop_assert_eq!(turns.len(), model.len());
            }
            let mut rest = drained(turns);
            rest.sort_unstable();
            prop_assert_eq!(rest, model.iter().map(|it| it.2).collect::<Vec<_>>());
        }

        /// However many of one kind there are, all kinds of an address get one turn before one gets its second.
        #[test]
        fn kinds_of_one_address_take_turns(sizes in prop::collection::vec(1..20usize, 1..8), seed: u64) {
            let mut turns = Turns::new(seed);
            for (kind, size) in (0u8..).zip(&sizes) {
                (0..*size).for_each(|_| turns.add(address(1), [kind; 32], u32::from(kind)));
            }
            let mut given = vec![0usize; sizes.len()];
            for kind in drained(turns) {
                let kind = kind as usize;
                given[kind] += 1;
                let others = given.iter().zip(&sizes).filter(|(given, size)| given < size);
                prop_assert!(others.into_iter().all(|(other, _)| *other + 1 >= given[kind]));
            }
        }
    }
}
