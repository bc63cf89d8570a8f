//! Sums are what they say, and small rows are near exact ones.

use proptest::prelude::*;

use super::*;

fn opened(matrix: &Matrix) -> Vectors {
    let (exact, small) = Vectors::encode(matrix);
    let (exact, small) = (OwnedBytes::new(exact), OwnedBytes::new(small));
    Vectors::open(matrix.dimension, matrix.rows(), exact, small).unwrap()
}

proptest! {
    #[test]
    fn similarities_are_products_whatever_the_dimension(
        (row, query) in (1_usize..70).prop_flat_map(|n| (
            prop::collection::vec(-1.0_f32..1.0, n),
            prop::collection::vec(-1.0_f32..1.0, n),
        )),
    ) {
        let vectors = opened(&Matrix { dimension: row.len(), values: row.clone() });
        let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        prop_assert!((f64::from(vectors.similarity(0, &query)) - exact).abs() < 1e-4);
    }

    #[test]
    fn a_normal_vector_has_length_one_or_zero(mut vector in prop::collection::vec(-9.0_f32..9.0, 1..40)) {
        let zero = vector.iter().all(|value| *value == 0.0);
        prop_assert!(normalise(&mut vector));
        let length: f32 = vector.iter().map(|value| value * value).sum();
        prop_assert!(zero || (length - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_greatest_sums_of_eight_bits_do_not_overflow() {
    for dimension in [1, 384, 1536, 8192] {
        let matrix = Matrix { dimension, values: vec![1.0; dimension] };
        let query = SmallQuery::new(&vec![1.0; dimension]);
        let estimate = opened(&matrix).estimate(0, &query);
        assert!(estimate > 0.0, "{dimension}: {estimate}");
    }
}

#[test]
fn what_is_not_a_number_is_noticed_and_zeros_stay_zeros() {
    assert!(!normalise(&mut [1.0, f32::NAN]));
    assert!(!normalise(&mut [f32::INFINITY]));
    let mut zeros = [0.0, 0.0];
    assert!(normalise(&mut zeros) && zeros == [0.0, 0.0]);
}

#[test]
fn files_of_another_length_are_not_vectors() {
    let (exact, small) = Vectors::encode(&Matrix { dimension: 2, values: vec![1.0, 0.0] });
    let bytes = |bytes: &[u8]| OwnedBytes::new(bytes.to_vec());
    assert!(Vectors::open(2, 2, bytes(&exact), bytes(&small)).is_none());
    assert!(Vectors::open(2, 1, bytes(&exact[1..]), bytes(&small)).is_none());
    assert!(Vectors::open(2, 1, bytes(&exact), bytes(&small)).is_some());
}
