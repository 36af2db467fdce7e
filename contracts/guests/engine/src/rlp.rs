//! Recursive length prefixes, as strictly as Ethereum has them: what has two forms is no transaction.

/// Why bytes are no RLP of what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RlpError {
    /// They end before what they announce.
    Short,
    /// They go on after it.
    Long,
    /// A list where a string was expected, or a string where a list was.
    Kind,
    /// A length or a byte that has a shorter form.
    Form,
    /// A string of another length.
    Length,
    /// A number with leading zeros, or too large.
    Number,
}

impl RlpError {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Short => "RLP ends early",
            Self::Long => "RLP has bytes after its end",
            Self::Kind => "RLP has a list for a string or a string for a list",
            Self::Form => "RLP is not in its shortest form",
            Self::Length => "a field has the wrong length",
            Self::Number => "a number has leading zeros or too many bytes",
        }
    }
}

/// The items of a list that have not been read.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// The items of the list that these bytes are, all of them.
    pub fn of(bytes: &'a [u8]) -> Result<Self, RlpError> {
        let mut whole = Self { rest: bytes };
        let items = whole.list()?;
        whole.end()?;
        Ok(items)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// That everything has been read.
    pub fn end(&self) -> Result<(), RlpError> {
        if self.rest.is_empty() { Ok(()) } else { Err(RlpError::Long) }
    }

    /// A string.
    pub fn string(&mut self) -> Result<&'a [u8], RlpError> {
        let (is_list, payload) = self.item()?;
        if is_list { Err(RlpError::Kind) } else { Ok(payload) }
    }

    /// A list.
    pub fn list(&mut self) -> Result<Items<'a>, RlpError> {
        let (is_list, payload) = self.item()?;
        if is_list { Ok(Items { rest: payload }) } else { Err(RlpError::Kind) }
    }

    /// A string of `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RlpError> {
        self.string()?.try_into().map_err(|_| RlpError::Length)
    }

    /// A number of at most `N` bytes, padded to them.
    pub fn number<const N: usize>(&mut self) -> Result<[u8; N], RlpError> {
        let bytes = self.string()?;
        if bytes.len() > N || bytes.first() == Some(&0) {
            return Err(RlpError::Number);
        }
        let mut number = [0; N];
        number[N - bytes.len()..].copy_from_slice(bytes);
        Ok(number)
    }

    fn item(&mut self) -> Result<(bool, &'a [u8]), RlpError> {
        let (&first, after) = self.rest.split_first().ok_or(RlpError::Short)?;
        let (is_list, length, after) = match first {
            0..0x80 => {
                let (payload, rest) = self.rest.split_at(1);
                self.rest = rest;
                return Ok((false, payload));
            }
            0x80..0xb8 => (false, usize::from(first - 0x80), after),
            0xb8..0xc0 => long(false, first - 0xb7, after)?,
            0xc0..0xf8 => (true, usize::from(first - 0xc0), after),
            0xf8..=0xff => long(true, first - 0xf7, after)?,
        };
        let (payload, rest) = after.split_at_checked(length).ok_or(RlpError::Short)?;
        if !is_list && payload.len() == 1 && payload[0] < 0x80 {
            return Err(RlpError::Form);
        }
        self.rest = rest;
        Ok((is_list, payload))
    }
}

/// A length in bytes of its own: only for more than 55 bytes.
fn long(is_list: bool, bytes: u8, after: &[u8]) -> Result<(bool, usize, &[u8]), RlpError> {
    let (length, after) = after.split_at_checked(usize::from(bytes)).ok_or(RlpError::Short)?;
    if length[0] == 0 {
        return Err(RlpError::Form);
    }
    if length.len() > 4 {
        return Err(RlpError::Short);
    }
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    if length < 56 { Err(RlpError::Form) } else { Ok((is_list, length, after)) }
}
