//! Defects of AMD's revocation lists, as they are brought and as they are held when evidence is judged.

use core::time::Duration;

use tacit_attest::{Collateral, CollateralKey, CollateralKind, CollateralUpdate, Document, Generation};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, ObjectIdentifier, OctetString, UtcTime};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use super::snp::{GENOA_V3, MILAN_V2, SnpDraft, TURIN_V5};
use super::workshop::{NOW_MS, Signer2048, parse};
use super::{Attempt, Table, Workshop};

const DAY_S: u64 = 24 * 60 * 60;
const NOW_S: u64 = NOW_MS / 1000;

/// The list as somebody brings it.
fn update(generation: Generation, list: Vec<u8>) -> CollateralUpdate {
    CollateralUpdate {
        simulated: true,
        document: Document::AmdCrl { generation, list },
    }
}

/// What a ledger would hold after taking `list` in, whenever that was.
fn held(generation: Generation, list: Vec<u8>) -> Collateral {
    let key = CollateralKey {
        simulated: true,
        kind: CollateralKind::AmdCrl(generation),
    };
    super::workshop::held([(&key, &update(generation, list))])
}

fn time(seconds: u64) -> Time {
    Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(seconds)).expect("a time before 2050"))
}

/// A list that is in force and revokes somebody else's intermediate.
fn honest(shop: &Workshop) -> TbsCertList {
    let root = parse(&shop.trust().simulator.expect("a simulator").ark);
    TbsCertList {
        version: x509_cert::Version::V2,
        signature: root.tbs_certificate.signature,
        issuer: root.tbs_certificate.subject,
        this_update: time(NOW_S - DAY_S),
        next_update: Some(time(NOW_S + DAY_S)),
        revoked_certificates: Some(vec![revoked(5)]),
        crl_extensions: Some(vec![number(&[2, 1, 1])]),
    }
}

fn revoked(serial: u8) -> RevokedCert {
    RevokedCert {
        serial_number: SerialNumber::from(serial),
        revocation_date: time(NOW_S - DAY_S),
        crl_entry_extensions: None,
    }
}

fn number(der: &[u8]) -> Extension {
    Extension {
        extn_id: ObjectIdentifier::new_unwrap("2.5.29.20"),
        critical: false,
        extn_value: OctetString::new(der).expect("an octet string"),
    }
}

fn sign(shop: &Workshop, tbs: &TbsCertList, signer: Signer2048) -> CertificateList {
    let message = tbs.to_der().expect("a list encodes");
    CertificateList {
        tbs_cert_list: tbs.clone(),
        signature_algorithm: tbs.signature.clone(),
        signature: BitString::from_bytes(&shop.sign_rsa(&message, signer)).expect("a signature"),
    }
}

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    const ENCODING: (&str, u8) = ("attest.collateral_encoding", 8);
    const SIGNATURE: (&str, u8) = ("attest.collateral_signature", 8);
    const REVOKED: (&str, u8) = ("attest.certificate_revoked", 8);
    const EARLY: (&str, u8) = ("attest.collateral_not_yet_valid", 8);
    const LATE: (&str, u8) = ("attest.collateral_expired", 8);

    let der = |list: &CertificateList| list.to_der().expect("a list encodes");
    table.base("snp v3 genoa with AMD's list", || {
        let mut draft = SnpDraft::honest(shop, Generation::Genoa, 3);
        draft.policy.snp.require_crl = true;
        draft.collateral = held(
            Generation::Genoa,
            der(&sign(shop, &honest(shop), Signer2048::Ark)),
        );
        Attempt::Verify(Box::new(draft.finish()))
    });
    table.snp(
        shop,
        "collateral",
        TURIN_V5,
        "AMD's list is required and none is held",
        ("attest.collateral_missing", 8),
        |d| d.policy.snp.require_crl = true,
    );
    table.snp(
        shop,
        "collateral",
        TURIN_V5,
        "AMD's list is required and only another generation's is held",
        ("attest.collateral_missing", 8),
        |d| {
            d.policy.snp.require_crl = true;
            d.collateral = held(
                Generation::Genoa,
                der(&sign(shop, &honest(shop), Signer2048::Ark)),
            );
        },
    );

    let mut says = |what: &str, expected, change: fn(&mut TbsCertList)| {
        let mut tbs = honest(shop);
        change(&mut tbs);
        let list = der(&sign(shop, &tbs, Signer2048::Ark));
        let what = format!("AMD's list {what}");
        if expected == ENCODING {
            table.bring(shop, &what, expected, update(Generation::Genoa, list));
        } else {
            table.snp(shop, "collateral", GENOA_V3, &what, expected, |d| {
                d.collateral = held(Generation::Genoa, list);
            });
        }
    };
    // The simulator's own certificates all have serial number 0.
    says("revokes the intermediate", REVOKED, |tbs| {
        tbs.revoked_certificates = Some(vec![revoked(5), revoked(0)]);
    });
    says("ended one second ago", LATE, |tbs| {
        tbs.next_update = Some(time(NOW_S - 1))
    });
    says("begins one second later", EARLY, |tbs| {
        tbs.this_update = time(NOW_S + 1)
    });
    says("has no end", ENCODING, |tbs| tbs.next_update = None);
    says("is of version 1", ENCODING, |tbs| {
        tbs.version = x509_cert::Version::V1
    });
    says("has a critical extension", ENCODING, |tbs| {
        tbs.crl_extensions.get_or_insert_default().push(Extension {
            extn_id: ObjectIdentifier::new_unwrap("2.5.29.27"),
            critical: true,
            extn_value: OctetString::new(&[2, 1, 1][..]).expect("an octet string"),
        });
    });
    says("has two numbers", ENCODING, |tbs| {
        tbs.crl_extensions = Some(vec![number(&[2, 1, 1]), number(&[2, 1, 2])]);
    });
    says("has a number above 64 bits", ENCODING, |tbs| {
        tbs.crl_extensions = Some(vec![number(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0])]);
    });
    says("has an entry with a critical extension", ENCODING, |tbs| {
        let mut entry = revoked(5);
        entry.crl_entry_extensions = Some(vec![Extension {
            critical: true,
            ..number(&[2, 1, 1])
        }]);
        tbs.revoked_certificates = Some(vec![entry]);
    });
    says("is issued in the intermediate's name", SIGNATURE, |tbs| {
        tbs.issuer = core::str::FromStr::from_str("CN=SIM-SEV,O=SIMULATOR - NOT HARDWARE").expect("a name");
    });

    let mut signed =
        |base: super::snp::Base, what: &str, expected, change: &dyn Fn(&TbsCertList) -> Vec<u8>| {
            let list = change(&honest(shop));
            let what = format!("AMD's list {what}");
            table.bring(shop, &what, expected, update(base.generation, list.clone()));
            if expected == SIGNATURE {
                table.snp(shop, "collateral", base, &what, expected, |d| {
                    d.collateral = held(base.generation, list);
                });
            }
        };
    signed(MILAN_V2, "is signed by the intermediate", SIGNATURE, &|tbs| {
        der(&sign(shop, tbs, Signer2048::Ask))
    });
    signed(MILAN_V2, "is signed by another simulator", SIGNATURE, &|tbs| {
        der(&sign(shop, tbs, Signer2048::Stranger))
    });
    signed(MILAN_V2, "lost an entry after it was signed", SIGNATURE, &|tbs| {
        let mut list = sign(shop, tbs, Signer2048::Ark);
        list.tbs_cert_list.revoked_certificates = None;
        der(&list)
    });
    signed(TURIN_V5, "is followed by a byte", ENCODING, &|tbs| {
        let mut bytes = der(&sign(shop, tbs, Signer2048::Ark));
        bytes.push(0);
        bytes
    });
    signed(TURIN_V5, "is cut off", ENCODING, &|tbs| {
        let mut bytes = der(&sign(shop, tbs, Signer2048::Ark));
        bytes.pop();
        bytes
    });
    signed(TURIN_V5, "has another outer algorithm", ENCODING, &|tbs| {
        let mut list = sign(shop, tbs, Signer2048::Ark);
        list.signature_algorithm.parameters = None;
        der(&list)
    });
    signed(TURIN_V5, "is a certificate", ENCODING, &|_| {
        let root = shop.trust().simulator.expect("a simulator").ark;
        assert!(CertificateList::from_der(&root).is_err());
        root
    });
}
