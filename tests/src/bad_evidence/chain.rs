//! Defects of the chain above an SNP leaf: signers, intermediates and roots that a network names.

use core::str::FromStr;
use core::time::Duration;

use tacit_attest::TrustRoots;
use x509_cert::TbsCertificate;
use x509_cert::der::asn1::UtcTime;
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};

use super::snp::{GENOA_V3, MILAN_V2, MILAN_V3, SnpDraft, TURIN_V5};
use super::workshop::{NOW_MS, Signer2048};
use super::{Table, Workshop};

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    signers(table, shop);
    issuers(table, shop);
    roots(table, shop);
}

fn signers(table: &mut Table, shop: &Workshop) {
    const LEAF: (&str, u8) = ("attest.leaf_signature", 7);
    let mut by = |base, what: &str, signer| {
        table.snp(shop, "chain", base, what, LEAF, |d| d.leaf_signer = signer);
    };
    by(TURIN_V5, "the root signs the leaf itself", Signer2048::Ark);
    by(MILAN_V2, "another simulator signs the leaf", Signer2048::Stranger);
    by(GENOA_V3, "another simulator signs the leaf", Signer2048::Stranger);
    table.snp(
        shop,
        "chain",
        TURIN_V5,
        "the machine is another simulator's",
        LEAF,
        |d| {
            let chip = shop.foreign_chip(TURIN_V5.generation);
            let report = chip.chip.report(5, d.report.measurement, d.report.report_data);
            d.leaf = super::workshop::parse(chip.chip.leaf()).tbs_certificate;
            (d.leaf_signer, d.report, d.chip) = (Signer2048::Stranger, report, chip);
        },
    );
    table.snp(
        shop,
        "chain",
        MILAN_V3,
        "the leaf's signature has one bit wrong",
        LEAF,
        |d| {
            d.afterwards(|e| {
                if let Some(last) = e.leaf.last_mut() {
                    *last ^= 1;
                }
            });
        },
    );
    table.snp(
        shop,
        "chain",
        MILAN_V3,
        "the leaf's serial number changed after it was signed",
        LEAF,
        |d| {
            d.leaf_edit = Some(Box::new(|c| {
                c.tbs_certificate.serial_number = 1u8.into();
            }));
        },
    );
}

fn span(from_s: u64, to_s: u64) -> Validity {
    let time = |s| Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(s)).expect("before 2050"));
    Validity {
        not_before: time(from_s),
        not_after: time(to_s),
    }
}

/// The network's own certificates, signed anew: valid, but not now.
fn issuers(table: &mut Table, shop: &Workshop) {
    const NOW_S: u64 = NOW_MS / 1000;
    const ISSUER: (&str, u8) = ("attest.issuer_not_valid", 4);
    let mut network = |what: &str, change: fn(&mut TbsCertificate, &mut TbsCertificate)| {
        table.snp(shop, "validity", TURIN_V5, what, ISSUER, |d| {
            d.trust = shop.trust_with(change)
        });
    };
    network("the intermediate ended one second ago", |_, ask| {
        ask.validity = span(NOW_S - 9, NOW_S - 1);
    });
    network("the intermediate begins one second later", |_, ask| {
        ask.validity = span(NOW_S + 1, NOW_S + 9);
    });
    network("the root ended one second ago", |ark, _| {
        ark.validity = span(NOW_S - 9, NOW_S - 1)
    });
    network("the root begins one second later", |ark, _| {
        ark.validity = span(NOW_S + 1, NOW_S + 9)
    });
}

fn roots(table: &mut Table, shop: &Workshop) {
    const INVALID: (&str, u8) = ("attest.simulator_root_invalid", 0);
    let mut network = |what: &str, change: &dyn Fn(&mut TrustRoots)| {
        table.snp(shop, "chain", GENOA_V3, what, INVALID, |d: &mut SnpDraft<'_>| {
            change(&mut d.trust)
        });
    };
    let real = |tbs: &mut TbsCertificate, text: &str| tbs.subject = Name::from_str(text).expect("a name");
    network("the network's root does not call itself simulated", &|trust| {
        *trust = shop.trust_with(|ark, _| real(ark, "CN=ARK-Genoa,O=Advanced Micro Devices"));
    });
    network(
        "the network's intermediate does not call itself simulated",
        &|trust| {
            *trust = shop.trust_with(|_, ask| real(ask, "CN=SEV-Genoa,O=Advanced Micro Devices"));
        },
    );
    network("the network's intermediate is another simulator's", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.ask = shop.foreign_root().ask;
        }
    });
    network("the network's root is another simulator's", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.ark = shop.foreign_root().ark;
        }
    });
    network("the network's root is no certificate", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.ark = vec![0; 100];
        }
    });
    network("the network's root is followed by a byte", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.ark.push(0);
        }
    });
    network("the network's intermediate is above its bound", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.ask.resize(4 * 1024 + 1, 0);
        }
    });
}
