//! CBOR as authenticators write it (CTAP 2.1, section 8, "message encoding"): definite lengths, numbers as
//! short as they can be, nothing behind the end. What is written otherwise is not read.

/// How deep things may lie in one another. CTAP allows four; beside that is room for what an attestation
/// holds, which is passed over.
const DEPTH_MAX: usize = 8;

/// Not such CBOR, or not what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the CBOR of an authenticator")]
pub(super) struct NotCbor;

type Result<T> = std::result::Result<T, NotCbor>;

/// Reads from the front.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// What something begins with: its kind, and its length or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Unsigned(u64),
    /// -1 less this.
    Negative(u64),
    Bytes(u64),
    Text(u64),
    Array(u64),
    Map(u64),
    Simple,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// A number.
    pub(super) fn integer(&mut self) -> Result<i64> {
        match self.head()? {
            Head::Unsigned(number) => i64::try_from(number).map_err(|_| NotCbor),
            Head::Negative(number) => i64::try_from(number).map(|n| -1 - n).map_err(|_| NotCbor),
            Head::Bytes(_) | Head::Text(_) | Head::Array(_) | Head::Map(_) | Head::Simple => {
                Err(NotCbor)
            }
        }
    }

    /// Bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        match self.head()? {
            Head::Bytes(length) => self.take(length),
            Head::Unsigned(_)
            | Head::Negative(_)
            | Head::Text(_)
            | Head::Array(_)
            | Head::Map(_)
            | Head::Simple => Err(NotCbor),
        }
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        match self.head()? {
            Head::Text(length) => str::from_utf8(self.take(length)?).map_err(|_| NotCbor),
            Head::Unsigned(_)
            | Head::Negative(_)
            | Head::Bytes(_)
            | Head::Array(_)
            | Head::Map(_)
            | Head::Simple => Err(NotCbor),
        }
    }

    /// The pairs of a map, whose keys and values are then read one after the other.
    pub(super) fn map(&mut self) -> Result<u64> {
        match self.head()? {
            Head::Map(pairs) => Ok(pairs),
            Head::Unsigned(_)
            | Head::Negative(_)
            | Head::Bytes(_)
            | Head::Text(_)
            | Head::Array(_)
            | Head::Simple => Err(NotCbor),
        }
    }

    /// Passes over whatever stands there.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.skip_within(DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Result<()> {
        let inner = match self.head()? {
            Head::Unsigned(_) | Head::Negative(_) | Head::Simple => return Ok(()),
            Head::Bytes(length) => return self.take(length).map(drop),
            Head::Text(length) => {
                return str::from_utf8(self.take(length)?).map(drop).map_err(|_| NotCbor);
            }
            Head::Array(items) => items,
            Head::Map(pairs) => pairs.checked_mul(2).ok_or(NotCbor)?,
        };
        let depth = depth.checked_sub(1).ok_or(NotCbor)?;
        // Each takes a byte at least: a length that lies ends with the bytes.
        for _ in 0..inner {
            self.skip_within(depth)?;
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head> {
        let (first, rest) = self.0.split_first().ok_or(NotCbor)?;
        self.0 = rest;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            // False, true, null and undefined; no floats, and nothing indefinite to end.
            return if matches!(info, 20..=23) { Ok(Head::Simple) } else { Err(NotCbor) };
        }
        let argument = self.argument(info)?;
        match major {
            0 => Ok(Head::Unsigned(argument)),
            1 => Ok(Head::Negative(argument)),
            2 => Ok(Head::Bytes(argument)),
            3 => Ok(Head::Text(argument)),
            4 => Ok(Head::Array(argument)),
            5 => Ok(Head::Map(argument)),
            // A tag.
            _ => Err(NotCbor),
        }
    }

    fn argument(&mut self, info: u8) -> Result<u64> {
        let (length, least) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(NotCbor),
        };
        let number = self.take(length)?.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte));
        if number >= least { Ok(number) } else { Err(NotCbor) }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| NotCbor)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(NotCbor)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).expect("hex")
    }

    /// RFC 8949, appendix A.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        for (hex, number) in [
            ("00", 0),
            ("17", 23),
            ("1818", 24),
            ("1903e8", 1_000),
            ("1a000f4240", 1_000_000),
            ("1b000000e8d4a51000", 1_000_000_000_000),
            ("20", -1),
            ("3863", -100),
            ("3903e7", -1_000),
        ] {
            assert_eq!(Reader::new(&bytes(hex)).integer(), Ok(number), "{hex}");
        }
        assert_eq!(Reader::new(&bytes("4401020304")).bytes(), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(Reader::new(&bytes("63c3bc")).text(), Err(NotCbor), "a length that lies");
        assert_eq!(Reader::new(&bytes("62c3bc")).text(), Ok("ü"));
    }

    #[test]
    fn passes_over_what_it_does_not_know_and_stops_where_that_ends() {
        let skipped = bytes("a26161016162820203f5");
        let mut reader = Reader::new(&skipped);
        assert_eq!(reader.skip(), Ok(()));
        assert_eq!(reader.rest(), [0xf5]);
        assert_eq!(reader.skip(), Ok(()));
        assert_eq!(reader.skip(), Err(NotCbor), "nothing is left");
    }

    #[test]
    fn what_no_authenticator_writes_is_not_read() {
        for (what, hex) in [
            ("a number longer than it must be", "1801"),
            ("a length longer than it must be", "580161"),
            ("longer than there is", "420a"),
            ("as long as nothing is", "5bffffffffffffffff"),
            ("more things than there are", "9bffffffffffffffff"),
            ("more pairs than can be counted", "bbffffffffffffffff"),
            ("no end", "5f"),
            ("an array without end", "9fff"),
            ("a tag", "c000"),
            ("a float", "f93c00"),
            ("a break", "ff"),
            ("no text", "62ffff"),
            ("too deep", "8181818181818181818100"),
            ("reserved", "1c"),
        ] {
            assert_eq!(Reader::new(&bytes(hex)).skip(), Err(NotCbor), "{what}");
        }
        assert_eq!(Reader::new(&bytes("818181818181818100")).skip(), Ok(()), "deep enough");
    }
}
