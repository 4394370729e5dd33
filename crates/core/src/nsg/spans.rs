//! Sets of numbers as sorted spans: exact union, intersection and difference.

/// Numbers as spans from … to …, both included: sorted, apart from one another, and so written in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spans(Vec<(u128, u128)>);

impl Spans {
    /// No number.
    pub const fn nothing() -> Spans {
        Spans(Vec::new())
    }

    /// The numbers from `first` to `last`; nothing if it is turned round.
    pub fn one(first: u128, last: u128) -> Spans {
        if first <= last { Spans(vec![(first, last)]) } else { Spans::nothing() }
    }

    /// The numbers of many spans, in any order, which may overlap.
    pub fn many(spans: impl IntoIterator<Item = (u128, u128)>) -> Spans {
        let mut sorted: Vec<(u128, u128)> =
            spans.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut all = Spans::nothing();
        for (first, last) in sorted {
            all.append(first, last);
        }
        all
    }

    /// The spans, sorted.
    pub fn as_slice(&self) -> &[(u128, u128)] {
        &self.0
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a number is among them.
    pub fn contains(&self, number: u128) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).is_some_and(|place| number <= self.0[place].1)
    }

    /// The numbers of either.
    #[must_use]
    pub fn union(&self, other: &Spans) -> Spans {
        self.combine(other, |a, b| a || b)
    }

    /// The numbers of both.
    #[must_use]
    pub fn intersection(&self, other: &Spans) -> Spans {
        self.combine(other, |a, b| a && b)
    }

    /// The numbers that the other does not have.
    #[must_use]
    pub fn minus(&self, other: &Spans) -> Spans {
        self.combine(other, |a, b| a && !b)
    }

    /// Walks over both at once, from one place where either begins or ends to the next.
    ///
    // INVARIANT: `keep(false, false)` is false.
    fn combine(&self, other: &Spans, keep: fn(bool, bool) -> bool) -> Spans {
        let mut kept = Spans::nothing();
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        let mut from = 0;
        loop {
            let (in_a, a_until) = state(a, from);
            let (in_b, b_until) = state(b, from);
            let until = a_until.min(b_until);
            if keep(in_a, in_b) {
                kept.append(from, until);
            }
            let Some(next) = until.checked_add(1) else { return kept };
            from = next;
            a = past(a, until);
            b = past(b, until);
        }
    }

    /// Adds a span that does not begin before the last one does.
    fn append(&mut self, first: u128, last: u128) {
        match self.0.last_mut() {
            Some(end) if end.1.checked_add(1).is_none_or(|next| first <= next) => {
                end.1 = end.1.max(last);
            }
            Some(_) | None => self.0.push((first, last)),
        }
    }
}

/// Whether `at` lies in the first span, and the last number for which that stays so.
fn state(spans: &[(u128, u128)], at: u128) -> (bool, u128) {
    match spans.first() {
        Some((first, last)) if *first <= at => (true, *last),
        Some((first, _)) => (false, first - 1),
        None => (false, u128::MAX),
    }
}

/// The spans that go on behind `until`.
fn past(spans: &[(u128, u128)], until: u128) -> &[(u128, u128)] {
    match spans.split_first() {
        Some(((_, last), rest)) if *last <= until => rest,
        Some(_) | None => spans,
    }
}
