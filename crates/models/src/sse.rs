//! A bounded reader of server-sent events, after the WHATWG HTML specification § 9.2.

use crate::ProviderError;

/// The most one line, one event and one whole stream may have, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) line: usize,
    pub(crate) event: usize,
    pub(crate) total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 4 << 20, event: 8 << 20, total: 128 << 20 }
    }
}

/// Takes bytes as they come and gives events as they are complete.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    limits: Limits,
    /// Bytes received, of which those before `start` are done with.
    buffer: Vec<u8>,
    start: usize,
    /// Up to here no line end was found.
    scanned: usize,
    total: usize,
    /// Whether the last line ended with a carriage return, so that a line feed belongs to it.
    after_return: bool,
    begun: bool,
    data: Vec<u8>,
    has_data: bool,
    given: bool,
}

impl EventReader {
    /// A reader with other bounds.
    #[cfg(test)]
    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds bytes of the body.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ProviderError> {
        self.total += bytes.len();
        if self.total > self.limits.total {
            return Err(too_large("a stream", self.limits.total));
        }
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            self.scanned = 0;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The data of the next complete event; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, ProviderError> {
        if std::mem::take(&mut self.given) {
            self.data.clear();
            self.has_data = false;
        }
        while let Some((from, to)) = self.line()? {
            if from == to {
                if self.has_data {
                    self.given = true;
                    return Ok(Some(&self.data));
                }
            } else {
                self.field(from, to)?;
            }
        }
        self.compact();
        Ok(None)
    }

    /// The data of an event that the body's end cut off before its empty line, if there is one.
    /// Servers that forget the last line break exist; half an event does not parse anyway.
    pub(crate) fn finish(&mut self) -> Result<Option<&[u8]>, ProviderError> {
        let (from, to) = (self.start, self.buffer.len());
        self.start = to;
        if from < to {
            self.field(from, to)?;
        }
        self.given = true;
        Ok(self.has_data.then_some(&self.data))
    }

    /// The next line without its end, as a range of the buffer.
    fn line(&mut self) -> Result<Option<(usize, usize)>, ProviderError> {
        if self.after_return && self.start < self.buffer.len() {
            self.after_return = false;
            if self.buffer[self.start] == b'\n' {
                self.start += 1;
            }
        }
        let from = self.start;
        let search = self.scanned.max(from);
        let found = self.buffer[search..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = found.map_or(self.buffer.len(), |at| search + at) - from;
        if length > self.limits.line {
            return Err(too_large("a line", self.limits.line));
        }
        if found.is_none() {
            self.scanned = self.buffer.len();
            return Ok(None);
        }
        let to = from + length;
        self.after_return = self.buffer[to] == b'\r';
        self.start = to + 1;
        Ok(Some((from, to)))
    }

    /// Takes in one line; of all fields only `data` matters to us, the providers' events carry
    /// their names inside as well.
    fn field(&mut self, from: usize, to: usize) -> Result<(), ProviderError> {
        let mut line = &self.buffer[from..to];
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let Some(value) = line.strip_prefix(b"data") else { return Ok(()) };
        let value = match value {
            [] => value,
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            _ => return Ok(()),
        };
        if self.data.len() + value.len() >= self.limits.event {
            return Err(too_large("an event", self.limits.event));
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }

    /// Forgets the bytes that are done with.
    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
    }
}

fn too_large(what: &'static str, limit: usize) -> ProviderError {
    ProviderError::TooLarge { what, limit }
}

#[cfg(test)]
mod tests;
