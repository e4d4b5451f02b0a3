//! The letters of ids and secrets: Crockford's base32 in lower case, without its aliases.

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

/// The letter of the lowest five bits.
pub(crate) fn letter(bits: u64) -> u8 {
    LETTERS[(bits & 31) as usize]
}

/// The five bits of a letter.
pub(crate) fn digit(letter: u8) -> Option<u8> {
    let digit = DIGITS[usize::from(letter)];
    (digit < NONE).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_has_its_digit_and_nothing_else_has_one() {
        let found: Vec<u8> = (0..=u8::MAX).filter(|byte| digit(*byte).is_some()).collect();
        assert_eq!(found, LETTERS);
        for bits in 0..32 {
            assert_eq!(digit(letter(bits)).map(u64::from), Some(bits));
        }
    }
}
