//! Sets of rows.

/// Which rows of a segment count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    words: Vec<u64>,
}

impl Rows {
    /// None of `rows` rows.
    pub fn none(rows: u32) -> Self {
        Self { words: vec![0; rows.div_ceil(64) as usize] }
    }

    /// Adds the rows of `range`.
    pub fn add(&mut self, range: std::ops::Range<u32>) {
        for row in range {
            self.words[row as usize / 64] |= 1 << (row % 64);
        }
    }

    /// Whether `row` is one of them.
    pub fn holds(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Calls `visit` with each row, in order.
    pub fn each(&self, mut visit: impl FnMut(u32)) {
        for (number, word) in (0_u32..).zip(&self.words) {
            let mut left = *word;
            while left != 0 {
                visit(number * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }
}
