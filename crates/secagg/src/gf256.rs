//! The field GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 (0x11B), in constant time.
//!
//! No table is indexed by a secret: a product is eight masked additions, and a row of 32 products runs
//! through the vector unit.

/// The product `a b`.
pub fn mul(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & (0u8.wrapping_sub((b >> bit) & 1));
        a = double(a);
    }
    product
}

/// `accumulator += scalar row`, element by element.
pub fn add_scaled_row(accumulator: &mut [u8; 32], scalar: u8, row: &[u8; 32]) {
    let mut power = *row;
    for bit in 0..8 {
        let mask = 0u8.wrapping_sub((scalar >> bit) & 1);
        for (sum, value) in accumulator.iter_mut().zip(&power) {
            *sum ^= value & mask;
        }
        power = power.map(double);
    }
    zeroize::Zeroize::zeroize(&mut power);
}

/// The inverse `a^254`; 0 for 0.
pub fn inverse(a: u8) -> u8 {
    // 254 = 0b11111110: square and multiply with a fixed pattern.
    let mut power = a;
    for _ in 0..6 {
        power = mul(mul(power, power), a);
    }
    mul(power, power)
}

fn double(a: u8) -> u8 {
    (a << 1) ^ (0x1b & 0u8.wrapping_sub(a >> 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carry-less product of the two polynomials, then division by 0x11B.
    fn slow_product(a: u8, b: u8) -> u8 {
        let mut wide = 0u16;
        for bit in 0..8 {
            if b & (1 << bit) != 0 {
                wide ^= u16::from(a) << bit;
            }
        }
        for bit in (8..16).rev() {
            if wide & (1 << bit) != 0 {
                wide ^= 0x11b << (bit - 8);
            }
        }
        wide as u8
    }

    #[test]
    fn all_products_match_polynomial_division() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                assert_eq!(mul(a, b), slow_product(a, b), "{a} * {b}");
            }
        }
    }

    #[test]
    fn every_element_but_zero_has_its_inverse() {
        assert_eq!(inverse(0), 0);
        for a in 1..=255u8 {
            assert_eq!(mul(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn a_row_is_32_products() {
        let row: [u8; 32] = std::array::from_fn(|i| (i * 37 + 5) as u8);
        for scalar in 0..=255u8 {
            let mut sum = [0xa5; 32];
            add_scaled_row(&mut sum, scalar, &row);
            for (got, value) in sum.iter().zip(&row) {
                assert_eq!(*got, 0xa5 ^ mul(scalar, *value));
            }
        }
    }
}
