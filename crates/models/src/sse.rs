//! Reading server-sent events with bounds (WHATWG HTML §9.2).

/// The most bytes of one event.
pub const MAX_EVENT: usize = 4 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Its `event:` field; empty if it has none.
    pub name: String,
    /// Its `data:` lines, joined by line ends.
    pub data: String,
}

/// An event longer than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct SseReader {
    buffer: Vec<u8>,
    scanned: usize,
    event: Pending,
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Pending {
    name: String,
    data: Option<String>,
}

impl SseReader {
    /// Adds bytes and returns the events they complete.
    ///
    /// # Errors
    /// [`TooLong`] if an event exceeds [`MAX_EVENT`] bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut start = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            let end = self.scanned + end;
            let line = &self.buffer[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            events.extend(self.event.line(&String::from_utf8_lossy(line)));
            start = end + 1;
            self.scanned = start;
        }
        self.buffer.drain(..start);
        self.scanned = self.buffer.len();
        let held = self.buffer.len() + self.event.data.as_ref().map_or(0, String::len);
        if held > MAX_EVENT { Err(TooLong) } else { Ok(events) }
    }

    /// The event that the end of the stream completes, if its last line end is missing.
    pub fn finish(&mut self) -> Option<SseEvent> {
        let rest = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        if !rest.is_empty() {
            self.event.line(String::from_utf8_lossy(&rest).trim_end_matches('\r'));
        }
        self.event.dispatch()
    }
}

impl Pending {
    fn line(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments, ids and reconnection times mean nothing here.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        self.data.take().map(|data| SseEvent { name, data })
    }
}

#[cfg(test)]
mod tests;
