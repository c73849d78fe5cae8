//! Stories about what opens, for whom, and what does not.

use super::*;
use crate::{
    error::{EnvelopeError, SignatureError},
    limits::TAG_BYTES,
    testing::{CHAIN, account, rng, transfer},
};

fn call() -> Call {
    Call::sign(&CHAIN, &account(1), 0, 1000, transfer(2, 5), [0; 32])
}

fn sealed() -> (SealingSecret, Envelope, ReceiptKey) {
    let secret = SealingSecret::derive(&[5; 32]);
    let (envelope, key) = seal_envelope(&mut rng(1), secret.public(), &CHAIN, 3, 100, &call()).unwrap();
    (secret, envelope, key)
}

#[test]
fn what_was_sealed_opens_to_the_same_call_and_receipt_key() {
    let (secret, envelope, key) = sealed();
    assert_eq!(envelope.check(&CHAIN, 3, 50), Ok(()));
    let opened = open_envelope(&secret, &envelope).unwrap();
    assert_eq!(opened.call, call());
    assert_eq!(opened.id, envelope.id());
    assert_eq!(opened.size_class, 512);
    assert!(*opened.receipt_key() == key);
    assert!(ReceiptKey::from_bytes(*key.to_bytes()) == key);
}

#[test]
fn the_same_secret_bytes_give_the_same_key() {
    let secret = SealingSecret::derive(&[5; 32]);
    let again = SealingSecret::derive(&secret.to_bytes());
    assert_eq!(secret.public(), again.public());
    assert_ne!(secret.public(), SealingSecret::derive(&[6; 32]).public());
    assert_eq!(secret.public().check(), Ok(()));
}

#[test]
fn any_changed_header_field_or_body_byte_stops_it_from_opening() {
    let (secret, envelope, _) = sealed();
    let fails = |envelope: Envelope| open_envelope(&secret, &envelope).err();
    let seal = Some(OpenError::Seal);
    assert_eq!(
        fails(Envelope {
            chain: Digest([9; 32]),
            ..envelope.clone()
        }),
        seal
    );
    assert_eq!(
        fails(Envelope {
            epoch: 4,
            ..envelope.clone()
        }),
        seal
    );
    assert_eq!(
        fails(Envelope {
            expiry_height: 101,
            ..envelope.clone()
        }),
        seal
    );
    let suite = Some(OpenError::Shape(EnvelopeError::Suite { have: 2 }));
    assert_eq!(
        fails(Envelope {
            suite: 2,
            ..envelope.clone()
        }),
        suite
    );
    for at in [0, 100, 527] {
        let mut bent = envelope.clone();
        bent.body[at] ^= 1;
        assert_eq!(fails(bent), seal);
    }
    for at in [0, 1087, 1088, 1119] {
        let mut bent = envelope.clone();
        let EnvelopeKey::Encapsulated(bytes) = &mut bent.key else {
            unreachable!()
        };
        bytes[at] ^= 1;
        assert_eq!(fails(bent), seal, "encapsulation byte {at}");
    }
    let other = SealingSecret::derive(&[6; 32]);
    assert_eq!(open_envelope(&other, &envelope).err(), seal);
}

/// Seals arbitrary padded bytes as an envelope's body.
fn seal_raw(secret: &SealingSecret, padded: &[u8]) -> Envelope {
    let (encapsulated, mut context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &secret.public().parse().unwrap(),
        &envelope_info(&CHAIN, 3),
        &mut rng(2),
    )
    .unwrap();
    let key = EnvelopeKey::Encapsulated(encapsulated.to_bytes().to_vec());
    let mut envelope = Envelope {
        chain: CHAIN,
        epoch: 3,
        expiry_height: 100,
        suite: SUITE_XWING,
        key,
        body: Vec::new(),
    };
    envelope.body = context.seal(padded, &envelope.aad()).unwrap();
    envelope
}

#[test]
fn ill_formed_contents_are_refused_by_name() {
    let secret = SealingSecret::derive(&[5; 32]);
    let open = |padded: &[u8]| open_envelope(&secret, &seal_raw(&secret, padded)).err();
    let good = pad(&encode(&call()), 512, 512).unwrap();
    assert_eq!(open(&good), None);
    let mut dirty = good.clone();
    dirty[511] = 1;
    assert_eq!(open(&dirty), Some(OpenError::Padding));
    assert!(matches!(open(&[0; 512]), Some(OpenError::Call(_))));
    let mut trailing = encode(&call());
    trailing.push(0);
    assert!(matches!(
        open(&pad(&trailing, 512, 512).unwrap()),
        Some(OpenError::Call(_))
    ));
    let forged = Call { nonce: 1, ..call() };
    let forged = open(&pad(&encode(&forged), 512, 512).unwrap());
    assert_eq!(forged, Some(OpenError::Signature(SignatureError::Invalid)));
    let shape = open_envelope(
        &secret,
        &Envelope {
            body: vec![0; 700],
            ..seal_raw(&secret, &good)
        },
    )
    .err();
    assert_eq!(shape, Some(OpenError::Shape(EnvelopeError::Bucket { have: 700 })));
    assert_eq!(
        open(&pad(&encode(&call()), 1024, 1024).unwrap()),
        None,
        "a larger bucket is the sender's choice"
    );
}

#[test]
fn generic_seals_bind_key_info_and_aad() {
    let secret = SealingSecret::derive(&[5; 32]);
    let sealed = seal_to(&mut rng(3), secret.public(), b"info", b"aad", b"hello").unwrap();
    assert_eq!(sealed.len(), ENCAPSULATION_BYTES + 5 + TAG_BYTES);
    assert_eq!(
        open_from(&secret, b"info", b"aad", &sealed).unwrap().as_slice(),
        b"hello"
    );
    assert_eq!(
        open_from(&secret, b"other", b"aad", &sealed).err(),
        Some(OpenError::Seal)
    );
    assert_eq!(
        open_from(&secret, b"info", b"other", &sealed).err(),
        Some(OpenError::Seal)
    );
    let other = SealingSecret::derive(&[6; 32]);
    assert_eq!(
        open_from(&other, b"info", b"aad", &sealed).err(),
        Some(OpenError::Seal)
    );
    for cut in [0, 10, ENCAPSULATION_BYTES, sealed.len() - 1] {
        assert_eq!(
            open_from(&secret, b"info", b"aad", &sealed[..cut]).err(),
            Some(OpenError::Seal)
        );
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let short = SealingPublic(vec![0; 1215]);
    assert_eq!(
        short.check(),
        Err(SealError::KeyLength {
            have: 1215,
            need: 1216
        })
    );
    let invalid = SealingPublic(vec![255; 1216]);
    assert_eq!(
        invalid.check(),
        Err(SealError::Key),
        "ML-KEM coefficients beyond the modulus"
    );
    assert!(seal_to(&mut rng(1), &invalid, b"", b"", b"").is_err());
}
