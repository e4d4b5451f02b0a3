//! The letters of ids and secrets: Crockford's base32 in lower case, without its aliases, of a number and not of bytes.
//!
//! Our own, because ids are read and written some thirty times for each message, and `data-encoding` takes twice as long.

const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// No digit.
const NONE: u8 = 32;
/// The digit of each letter.
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut digit = 0;
    while digit < NONE {
        digits[LETTERS[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

/// The lowest bits of a number, five to a letter.
pub(crate) fn encode<const N: usize>(mut bits: u128) -> [u8; N] {
    let mut letters = [0; N];
    for letter in letters.iter_mut().rev() {
        *letter = LETTERS[(bits & 31) as usize];
        bits >>= 5;
    }
    letters
}

/// The lowest bits of the number that these letters are; `None` if one of them is none.
pub(crate) fn decode(letters: &[u8]) -> Option<u128> {
    let mut bits = 0;
    for letter in letters {
        let digit = DIGITS[usize::from(*letter)];
        if digit == NONE {
            return None;
        }
        bits = bits << 5 | u128::from(digit);
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_has_its_digit_and_nothing_else_has_one() {
        let found: Vec<u8> = (0..=u8::MAX).filter(|byte| decode(&[*byte]).is_some()).collect();
        assert_eq!(found, LETTERS);
        for bits in 0..32 {
            assert_eq!(decode(&encode::<1>(bits)), Some(bits));
        }
        assert_eq!(&encode::<26>(u128::MAX), b"7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(decode(&encode::<26>(u128::MAX)), Some(u128::MAX));
    }
}
