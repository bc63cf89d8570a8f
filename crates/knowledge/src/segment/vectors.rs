//! A segment's vectors, in 32 bits and in 8, and how near a question's vector they are.
//!
//! Sums have a fixed order, lanes and then a fixed tree, so that a similarity has the same bits
//! wherever it is computed, whatever the compiler makes of the loops.

use std::ops::Range;

use tantivy::directory::OwnedBytes;

/// How many sums run side by side.
const LANES: usize = 16;

/// Vectors of one dimension, each of length 1 or 0, one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// How many numbers a vector has.
    pub dimension: usize,
    /// All of them.
    pub values: Vec<f32>,
}

impl Matrix {
    /// Vectors of `dimension` numbers, none yet.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, values: Vec::new() }
    }

    /// How many vectors there are.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dimension).unwrap_or(0)
    }

    /// The vectors, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension.max(1))
    }
}

/// Makes the length of `vector` 1, so that a product of two is the cosine of their angle; a vector
/// of zeros stays one. False if it holds something that is not a number.
pub fn normalise(vector: &mut [f32]) -> bool {
    let square: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    if square > 0.0 {
        let length = square.sqrt();
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    square.is_finite()
}

/// The vectors of a segment: row *i* is passage *i*.
#[derive(Debug)]
pub struct Vectors {
    dimension: usize,
    /// Little-endian `f32`, row by row.
    exact: OwnedBytes,
    /// Signed bytes, row by row.
    small: OwnedBytes,
    /// What each row of `small` is multiplied by.
    scales: Vec<f32>,
}

impl Vectors {
    /// The bytes of `vec.f32` and `vec.i8`. The latter has each row's scale, its greatest number
    /// divided by 127, before all rows.
    pub fn encode(matrix: &Matrix) -> (Vec<u8>, Vec<u8>) {
        let exact = matrix.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut small = Vec::with_capacity(matrix.values.len() + 4 * matrix.rows());
        let scale =
            |row: &[f32]| row.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0;
        small.extend(matrix.iter().flat_map(|row| scale(row).to_le_bytes()));
        for row in matrix.iter() {
            let scale = scale(row);
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            small.extend(row.iter().map(|value| ((value * inverse).round() as i8).cast_unsigned()));
        }
        (exact, small)
    }

    /// Vectors from the bytes of their two files; `None` if these are not `rows` rows.
    pub fn open(
        dimension: usize,
        rows: usize,
        exact: OwnedBytes,
        small: OwnedBytes,
    ) -> Option<Self> {
        let cells = dimension.checked_mul(rows)?;
        if exact.len() != cells.checked_mul(4)? || small.len() != cells.checked_add(4 * rows)? {
            return None;
        }
        let (scales, small) = small.split(4 * rows);
        let (scales, _) = scales.as_slice().as_chunks::<4>();
        let scales = scales.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Some(Self { dimension, exact, small, scales })
    }

    /// How many numbers a vector has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The numbers of `rows`, one row after the other.
    pub fn values(&self, rows: Range<u32>) -> impl Iterator<Item = f32> {
        let width = 4 * self.dimension;
        let bytes = &self.exact.as_slice()[rows.start as usize * width..rows.end as usize * width];
        let (cells, _) = bytes.as_chunks::<4>();
        cells.iter().map(|cell| f32::from_le_bytes(*cell))
    }

    /// Whether row `row` has the same bits as row `other` of `others`, in 32 bits and in 8.
    pub fn same(&self, row: u32, (others, other): (&Self, u32)) -> bool {
        let of = |vectors: &Self, row: u32, cell: usize| {
            let width = cell * vectors.dimension;
            row as usize * width..(row as usize + 1) * width
        };
        self.exact.as_slice()[of(self, row, 4)] == others.exact.as_slice()[of(others, other, 4)]
            && self.small.as_slice()[of(self, row, 1)]
                == others.small.as_slice()[of(others, other, 1)]
            && self.scales[row as usize].to_bits() == others.scales[other as usize].to_bits()
    }

    /// The similarity of row `row` to `query`, in 32 bits.
    pub fn similarity(&self, row: u32, query: &[f32]) -> f32 {
        let width = 4 * self.dimension;
        let at = row as usize * width;
        dot(&self.exact.as_slice()[at..at + width], query)
    }

    /// About the similarity of row `row` to `query`, up to a factor that all rows share.
    pub fn estimate(&self, row: u32, query: &SmallQuery) -> f32 {
        let at = row as usize * self.dimension;
        let row_bytes = &self.small.as_slice()[at..at + self.dimension];
        dot_small(row_bytes, &query.0) as f32 * self.scales[row as usize]
    }
}

/// A question's vector for the scan of 8-bit rows, as fine as sums of 32 bits allow.
#[derive(Debug)]
pub struct SmallQuery(Vec<i16>);

impl SmallQuery {
    /// The vector `query`, rounded.
    pub fn new(query: &[f32]) -> Self {
        let greatest = query.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let room = (i32::MAX / 127 / query.len().max(1) as i32).min(i32::from(i16::MAX));
        let factor = if greatest > 0.0 { room as f32 / greatest } else { 0.0 };
        Self(query.iter().map(|value| (value * factor) as i16).collect())
    }
}

fn dot_small(row: &[u8], query: &[i16]) -> i32 {
    row.iter().zip(query).map(|(r, q)| i32::from(r.cast_signed()) * i32::from(*q)).sum()
}

fn dot(row: &[u8], query: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (rows, rest) = row.as_chunks::<{ 4 * LANES }>();
    let (queries, rest_query) = query.as_chunks::<LANES>();
    for (row, query) in rows.iter().zip(queries) {
        let (cells, _) = row.as_chunks::<4>();
        for ((lane, cell), q) in lanes.iter_mut().zip(cells).zip(query) {
            *lane += f32::from_le_bytes(*cell) * q;
        }
    }
    let (cells, _) = rest.as_chunks::<4>();
    for ((lane, cell), q) in lanes.iter_mut().zip(cells).zip(rest_query) {
        *lane += f32::from_le_bytes(*cell) * q;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests;
