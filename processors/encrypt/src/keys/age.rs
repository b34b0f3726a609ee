//! Keys as people hold them: the text forms of age's native post-quantum keys (C2SP `age.md`, section "The
//! `mlkem768x25519` recipient").
//!
//! An identity is the 32-byte X-Wing seed, a recipient the 1,216-byte public key; both are Bech32 (BIP 173) without its
//! length limit, the identity in upper and the recipient in lower case. So `age-keygen -pq` makes keys for us, and
//! stock `age` opens what is encrypted to ours.

use std::ops::RangeInclusive;

use bech32::primitives::checksum::Checksum;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The 32 bytes an X-Wing key pair is derived from.
pub type Seed = Zeroizing<[u8; SEED_LEN]>;

/// Length of a seed in bytes.
pub const SEED_LEN: usize = 32;
/// Length of an X-Wing public key in bytes.
pub const PUBLIC_LEN: usize = x_wing::ENCAPSULATION_KEY_SIZE;

const IDENTITY_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age1pq");

/// Bech32 without its length limit. Beyond 1,023 characters the checksum no longer promises to find every small error,
/// but finds a random one as well as before; age accepts that, and so must we. (The crate's `Bech32` refuses such
/// lengths, and its `NoChecksum` would take the six checksum characters for data.)
enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = <Bech32 as Checksum>::ROOT_GENERATOR;
    const ROOT_EXPONENTS: RangeInclusive<usize> = <Bech32 as Checksum>::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = 4096;
    const CHECKSUM_LENGTH: usize = <Bech32 as Checksum>::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = <Bech32 as Checksum>::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = <Bech32 as Checksum>::TARGET_RESIDUE;
}

/// Why a text is not an age key. The text itself is never repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeKeyError {
    /// Not Bech32: characters, case or checksum.
    #[error("key is not valid Bech32: a character is wrong or missing")]
    Encoding,
    /// Another kind of key.
    #[error("key does not begin with {expected}1")]
    Kind {
        /// What it must begin with, before the `1`.
        expected: &'static str,
    },
    /// Right kind, wrong length.
    #[error("key has {found} bytes instead of {expected}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes there must be.
        expected: usize,
    },
    /// Right length, but not a public key of the algorithm (FIPS 203, section 7.2: modulus check).
    #[error("key is not a valid public key")]
    PublicKey,
}

/// The identity text of a seed: 77 characters, `AGE-SECRET-KEY-PQ-1…`.
pub fn identity(seed: &[u8; SEED_LEN]) -> SecretString {
    // Room for all of it at once: a string that grows leaves copies of the secret behind.
    let mut text = String::with_capacity(encoded_len(IDENTITY_HRP, SEED_LEN));
    // The only errors are the length limit, which 32 bytes are far below, and the writer's, and a `String` has none.
    let written = bech32::encode_upper_to_fmt::<LongBech32, _>(&mut text, IDENTITY_HRP, seed);
    debug_assert!(written.is_ok());
    SecretString::from(text)
}

/// The recipient text of a public key: 1,959 characters, `age1pq1…`.
pub fn recipient(public: &[u8; PUBLIC_LEN]) -> String {
    let mut text = String::with_capacity(encoded_len(RECIPIENT_HRP, PUBLIC_LEN));
    // As in `identity`: 1,216 bytes are below the limit and a `String` takes everything.
    let written = bech32::encode_lower_to_fmt::<LongBech32, _>(&mut text, RECIPIENT_HRP, public);
    debug_assert!(written.is_ok());
    text
}

/// Reads an identity.
pub fn parse_identity(text: &SecretString) -> Result<Seed, AgeKeyError> {
    let mut seed = Seed::default();
    decode_into(text.expose_secret(), IDENTITY_HRP, "AGE-SECRET-KEY-PQ-", &mut seed[..])?;
    Ok(seed)
}

/// Reads a recipient and checks that it is a public key.
pub fn parse_recipient(text: &str) -> Result<Box<[u8; PUBLIC_LEN]>, AgeKeyError> {
    let mut public = Box::new([0; PUBLIC_LEN]);
    decode_into(text, RECIPIENT_HRP, "age1pq", &mut public[..])?;
    x_wing::EncapsulationKey::try_from(&public[..]).map_err(|_| AgeKeyError::PublicKey)?;
    Ok(public)
}

/// The public key of a seed.
pub fn public_key(seed: &[u8; SEED_LEN]) -> Box<[u8; PUBLIC_LEN]> {
    use x_wing::{Decapsulator, KeyExport};
    let key = x_wing::DecapsulationKey::from(*seed);
    let bytes = key.encapsulation_key().to_bytes();
    let mut public = Box::new([0; PUBLIC_LEN]);
    public.copy_from_slice(&bytes);
    public
}

fn encoded_len(hrp: Hrp, bytes: usize) -> usize {
    hrp.as_bytes().len() + 1 + (bytes * 8).div_ceil(5) + LongBech32::CHECKSUM_LENGTH
}

fn decode_into(text: &str, hrp: Hrp, expected: &'static str, out: &mut [u8]) -> Result<(), AgeKeyError> {
    let checked = CheckedHrpstring::new::<LongBech32>(text).map_err(|_| AgeKeyError::Encoding)?;
    // `Hrp` compares without case; age does not.
    if checked.hrp().as_bytes() != hrp.as_bytes() {
        return Err(AgeKeyError::Kind { expected });
    }
    let found = checked.byte_iter().len();
    // 1 to 4 bits are left over when bytes are cut into groups of five; they must be zero, or one key would have
    // several texts.
    let characters = checked.data_part_ascii_no_checksum().len();
    if found != out.len() || characters != (found * 8).div_ceil(5) {
        return Err(AgeKeyError::Length {
            found,
            expected: out.len(),
        });
    }
    let spare = characters * 5 - found * 8;
    let last = checked.fe32_iter().last().map_or(0, |fe| fe.to_u8());
    if last & ((1 << spare) - 1) != 0 {
        return Err(AgeKeyError::Encoding);
    }
    for (place, byte) in out.iter_mut().zip(checked.byte_iter()) {
        *place = byte;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made once with `age-keygen -pq` of age 1.3.2 and `age-keygen -y`: an implementation that is not ours.
    const GOLDEN: &str = include_str!("../../vectors/age/age-keygen-pq.txt");
    /// From C2SP/CCTV `age/testdata/hybrid` (0BSD, CC0-1.0 or Unlicense).
    const CCTV: &[u8] = include_bytes!("../../vectors/age/cctv-hybrid");

    fn golden(prefix: &str) -> &'static str {
        GOLDEN.lines().find(|line| line.starts_with(prefix)).unwrap()
    }

    fn cctv(field: &str) -> String {
        let text = String::from_utf8_lossy(CCTV);
        text.lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap()
            .trim()
            .to_owned()
    }

    #[test]
    fn checksum_constants_hold_together() {
        LongBech32::sanity_check();
    }

    #[test]
    fn agrees_with_age_keygen() {
        let text = golden("AGE-SECRET-KEY-PQ-1");
        let seed = parse_identity(&text.into()).unwrap();
        assert_eq!(identity(&seed).expose_secret(), text);
        let public = public_key(&seed);
        assert_eq!(recipient(&public), golden("age1pq1"));
        assert_eq!(parse_recipient(golden("age1pq1")).unwrap(), public);
        assert_eq!(
            (identity(&seed).expose_secret().len(), recipient(&public).len()),
            (77, 1959)
        );
    }

    /// HPKE base mode (RFC 9180, section 5.1) as age uses it: X-Wing, HKDF-SHA256, ChaCha20-Poly1305, by hand.
    fn open_stanza(seed: &Seed, enc: &[u8], body: &[u8]) -> Vec<u8> {
        use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
        use hkdf::Hkdf;
        use sha2::Sha256;
        use x_wing::Decapsulate;
        let suite = b"HPKE\x64\x7a\x00\x01\x00\x03";
        let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| {
            Hkdf::<Sha256>::extract(Some(salt), &[b"HPKE-v1", &suite[..], label, ikm].concat())
        };
        let context = [
            &[0][..],
            &extract(b"", b"psk_id_hash", b"").0,
            &extract(b"", b"info_hash", b"age-encryption.org/mlkem768x25519").0,
        ];
        let shared = x_wing::DecapsulationKey::from(**seed).decapsulate(enc.try_into().unwrap());
        let secret = extract(&shared, b"secret", b"").1;
        let expand = |label: &[u8], out: &mut [u8]| {
            let info = [
                &(out.len() as u16).to_be_bytes()[..],
                b"HPKE-v1",
                suite,
                label,
                &context.concat(),
            ]
            .concat();
            secret.expand(&info, out).unwrap();
        };
        let (mut key, mut nonce, mut text) = ([0; 32], [0; 12], body.to_vec());
        expand(b"key", &mut key);
        expand(b"base_nonce", &mut nonce);
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).unwrap());
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
            .unwrap()
            .to_vec()
    }

    #[test]
    fn opens_the_cctv_hybrid_file_key() {
        use base64::Engine;
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
        let text = String::from_utf8_lossy(CCTV);
        let mut lines = text.lines().skip_while(|line| !line.starts_with("-> mlkem768x25519"));
        let enc = base64.decode(lines.next().unwrap().split(' ').nth(2).unwrap()).unwrap();
        let body = base64.decode(lines.next().unwrap()).unwrap();
        let seed = parse_identity(&cctv("identity: ").into()).unwrap();
        assert_eq!(hex::encode(open_stanza(&seed, &enc, &body)), cctv("file key: "));
    }

    #[track_caller]
    fn refuse_identity(text: &str, expected: AgeKeyError) {
        let error = parse_identity(&text.into()).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains(&text[20..]), "the error repeats the key");
    }

    #[test]
    fn refuses_what_is_not_an_identity() {
        let good = golden("AGE-SECRET-KEY-PQ-1");
        refuse_identity(
            &good.to_lowercase(),
            AgeKeyError::Kind {
                expected: "AGE-SECRET-KEY-PQ-",
            },
        );
        refuse_identity(&format!("{}q", &good[..good.len() - 1]), AgeKeyError::Encoding);
        refuse_identity(&good[..good.len() - 1], AgeKeyError::Encoding);
        let swapped = if good.as_bytes()[30] == b'Q' { "P" } else { "Q" };
        refuse_identity(
            &format!("{}{swapped}{}", &good[..30], &good[31..]),
            AgeKeyError::Encoding,
        );
        let classic = bech32::encode_upper::<Bech32>(Hrp::parse("age-secret-key-").unwrap(), &[7; 32]).unwrap();
        refuse_identity(
            &classic,
            AgeKeyError::Kind {
                expected: "AGE-SECRET-KEY-PQ-",
            },
        );
        let short = bech32::encode_upper::<Bech32>(IDENTITY_HRP, &[7; 31]).unwrap();
        refuse_identity(
            &short,
            AgeKeyError::Length {
                found: 31,
                expected: 32,
            },
        );
    }

    #[test]
    fn refuses_spare_bits_that_are_set() {
        use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
        let mut fes: Vec<bech32::Fe32> = [7_u8; 32].into_iter().bytes_to_fes().collect();
        let spoiled = fes.last().unwrap().to_u8() | 1;
        *fes.last_mut().unwrap() = bech32::Fe32::try_from(spoiled).unwrap();
        let text: String = fes
            .into_iter()
            .with_checksum::<LongBech32>(&IDENTITY_HRP)
            .chars()
            .collect();
        assert_eq!(
            parse_identity(&text.to_uppercase().into()).unwrap_err(),
            AgeKeyError::Encoding
        );
    }

    #[test]
    fn refuses_what_is_not_a_recipient() {
        let good = golden("age1pq1");
        assert_eq!(
            parse_recipient(&good.to_uppercase()).unwrap_err(),
            AgeKeyError::Kind { expected: "age1pq" }
        );
        assert_eq!(parse_recipient("").unwrap_err(), AgeKeyError::Encoding);
        // All bits set: coefficients above the modulus.
        let wild = recipient(&[0xff; PUBLIC_LEN]);
        assert_eq!(parse_recipient(&wild).unwrap_err(), AgeKeyError::PublicKey);
    }
}
