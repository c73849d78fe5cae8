//! Defects of freshness: renewals whose evidence is bound to another network, block, policy or key than the ledger asks
//! for, and honest-looking renewals of machines that do not count.

use tacit_attest::{Evidence, Generation, Measurement, guest_policy, td_attributes};
use tacit_consensus::{Digest, Ed25519Signer, Signature};
use tacit_ledger::{PublicState, Registration, RegistrationPlace, SystemTx};

use super::network::{BLOCK_AGE_MAX, Holder, Network, TD_SEAT, consensus_key, kem, node_key, snp, td};
use super::workshop::parse;
use super::{Attempt, Renewal, SnpDraft, Table, TdDraft, Workshop};

impl Table {
    fn renewal(
        &mut self,
        network: &Network<'_>,
        what: &str,
        expected: (&'static str, Option<u8>),
        registration: Registration,
    ) {
        let (code, number) = expected;
        self.defects.push(super::Defect {
            topic: "freshness",
            name: format!("renewal: {what}"),
            code,
            number,
            attempt: attempt(&network.state, network.time_ms, registration),
        });
    }
}

fn attempt(state: &PublicState, time_ms: u64, registration: Registration) -> Attempt {
    Attempt::Renew(Box::new(Renewal {
        state: state.clone(),
        transaction: SystemTx::Register(registration),
        time_ms,
    }))
}

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    let network = Network::new(shop);
    for seat in [0, TD_SEAT] {
        let registration = network.renewal(seat, &network.newest());
        let name = format!("renewal: seat {seat}");
        table.base(&name, || attempt(&network.state, network.time_ms, registration));
    }
    keys(table, shop, &network);
    places(table, &network);
    evidence(table, shop, &network);
    machines(table, shop);
    members(table, shop);
}

fn keys(table: &mut Table, shop: &Workshop, network: &Network<'_>) {
    const OTHER_KEY: (&str, Option<u8>) = ("register.other_key", None);
    const NAME_TAKEN: (&str, Option<u8>) = ("register.name_taken", None);
    const KEY_TAKEN: (&str, Option<u8>) = ("register.key_taken", None);
    const SIGNATURE: (&str, Option<u8>) = ("register.signature", None);
    let other = || Ed25519Signer::from_seed([200; 32]);
    // Each holder's node key is its operator's; `signed` says whether the operator signs.
    let mut made = |what: &str, expected, signed: bool, change: &dyn Fn(&mut Holder)| {
        let mut holder = Holder::of(0);
        change(&mut holder);
        let mut registration =
            holder.register(&network.newest(), |report_data| snp(shop, 0, report_data, |_| ()));
        registration.operator_signature = registration.operator_signature.filter(|_| signed);
        table.renewal(network, what, expected, registration);
    };
    made("of a new name with a seat's keys", KEY_TAKEN, true, &|holder| {
        holder.name = "v9".to_owned()
    });
    made(
        "of a new name that no operator signed",
        ("register.operator", None),
        false,
        &|holder| {
            (holder.name, holder.consensus, holder.node, holder.kem) =
                ("v9".to_owned(), other(), node_key(9), kem(9));
        },
    );
    made(
        "with another consensus key and without its operator",
        OTHER_KEY,
        false,
        &|holder| holder.consensus = other(),
    );
    made("of a name with another operator", NAME_TAKEN, true, &|holder| {
        holder.node = other()
    });
    made("with the keys of another seat", NAME_TAKEN, true, &|holder| {
        (holder.consensus, holder.node, holder.kem) = (consensus_key(1), node_key(1), kem(1));
    });
    made(
        "with the consensus key of another seat",
        KEY_TAKEN,
        true,
        &|holder| holder.consensus = consensus_key(1),
    );
    made("with the KEM key of another seat", KEY_TAKEN, true, &|holder| {
        holder.kem = kem(1)
    });
    let mut old_build = network.renewal(0, &network.newest());
    old_build.protocol = 0;
    table.renewal(
        network,
        "of a build that does not speak the protocol",
        ("register.protocol", None),
        old_build,
    );
    let mut signed = |what: &str, change: &dyn Fn(&mut Registration)| {
        let mut registration = network.renewal(0, &network.newest());
        change(&mut registration);
        table.renewal(network, what, SIGNATURE, registration);
    };
    signed("that the consensus key did not sign", &|r| {
        r.consensus_signature = Signature([0; 64])
    });
    signed("that the node key did not sign", &|r| r.node_signature.0[0] ^= 1);
    signed("that the operator key did not sign", &|r| {
        r.operator_signature = Some(Signature([0; 64]))
    });
    signed("that both keys signed for each other", &|r| {
        core::mem::swap(&mut r.consensus_signature, &mut r.node_signature);
    });
    signed("whose evidence was exchanged after it was signed", &|r| {
        r.evidence = network.renewal(1, &network.newest()).evidence;
    });
}

fn places(table: &mut Table, network: &Network<'_>) {
    let height = network.state.height();
    let mut bound = |what: &str, code: &'static str, change: &dyn Fn(&mut RegistrationPlace)| {
        let mut place = network.newest();
        change(&mut place);
        table.renewal(network, what, (code, None), network.renewal(0, &place));
    };
    bound("bound to another network", "register.other_chain", &|place| {
        place.network = Digest([9; 32])
    });
    bound(
        "bound to the genesis nonce, as a founder's",
        "register.other_chain",
        &|place| {
            place.network = Digest([0x77; 32]);
        },
    );
    bound(
        "bound to a policy that is gone",
        "register.policy_version",
        &|place| place.policy_version -= 1,
    );
    bound(
        "bound to a policy that is not adopted",
        "register.policy_version",
        &|place| place.policy_version += 1,
    );
    bound(
        "bound to a block that does not exist yet",
        "register.block_ahead",
        &|place| place.height = height + 1,
    );
    bound(
        "bound to the end of all blocks",
        "register.block_ahead",
        &|place| place.height = u64::MAX,
    );
    bound("bound to a block one too old", "register.block_old", &|place| {
        *place = network.place(height - BLOCK_AGE_MAX);
    });
    bound("bound to the founding", "register.block_old", &|place| {
        *place = network.place(0)
    });
    bound(
        "bound to a block of another chain",
        "register.other_block",
        &|place| place.block.0[31] ^= 1,
    );
    bound("bound to a block's parent", "register.other_block", &|place| {
        place.block = network.place(height - 1).block;
    });
}

/// The ledger asks for the same twelve checks, with the renewal's own binding.
fn evidence(table: &mut Table, shop: &Workshop, network: &Network<'_>) {
    let place = network.newest();
    let expect = |(code, number): (&'static str, u8)| (code, Some(number));
    let mut snp_shows = |what: &str, expected, change: fn(&mut SnpDraft<'_>)| {
        let made = |report_data| snp(shop, 0, report_data, change);
        table.renewal(
            network,
            what,
            expect(expected),
            Holder::of(0).register(&place, made),
        );
    };
    snp_shows(
        "of a machine that may be debugged",
        ("attest.debug_allowed", 9),
        |d| {
            d.report.guest_policy |= guest_policy::DEBUG;
        },
    );
    snp_shows("of unknown code", ("attest.measurement_unknown", 11), |d| {
        d.report.measurement = Measurement([9; 48]);
    });
    snp_shows("whose report data is zero", ("attest.report_data", 12), |d| {
        d.report.report_data = [0; 64]
    });
    snp_shows(
        "of firmware that was rolled back",
        ("attest.tcb_below_floor", 10),
        |d| {
            d.report.committed_tcb.snp -= 1;
        },
    );
    snp_shows("of a real machine's name", ("attest.simulator_mark", 2), |d| {
        d.platform = tacit_attest::Platform::SevSnp;
    });
    let mut td_shows = |what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        let made = |report_data| td(shop, report_data, change);
        table.renewal(
            network,
            what,
            expect(expected),
            Holder::of(TD_SEAT).register(&place, made),
        );
    };
    td_shows(
        "of a trust domain that may be debugged",
        ("attest.td_debug", 9),
        |d| {
            d.body().td_attributes |= td_attributes::DEBUG;
        },
    );
    td_shows(
        "of a trust domain below every level",
        ("attest.tcb_not_listed", 5),
        |d| {
            d.body().tee_tcb_svn[2] = 0;
        },
    );
    td_shows(
        "of a trust domain with another's report data",
        ("attest.report_data", 12),
        |d| {
            d.body().report_data[0] ^= 1;
        },
    );

    // Evidence that was good for something else.
    let mut replayed = |what: &str, seat, evidence: Evidence| {
        let registration = Holder::of(seat).register(&place, |_| evidence);
        table.renewal(network, what, ("attest.report_data", Some(12)), registration);
    };
    let held = |seat: u8| {
        network
            .state
            .registration(&format!("v{seat}"))
            .expect("a founder")
            .evidence
            .clone()
    };
    replayed("with the evidence of the founding", 0, held(0));
    replayed(
        "of a trust domain with the evidence of the founding",
        TD_SEAT,
        held(TD_SEAT),
    );
    replayed(
        "with another seat's renewal",
        0,
        network.renewal(1, &place).evidence,
    );
    replayed("with last block's evidence", 0, {
        let before = network.place(network.state.height() - 1);
        network.renewal(0, &before).evidence
    });
}

/// Authentic, fresh, and of a validator that does not count, or not now.
fn members(table: &mut Table, shop: &Workshop) {
    let mut network = Network::new(shop);
    network.block(vec![SystemTx::Convict(network.contradiction(2))]);
    let barred = network.renewal(2, &network.newest());
    table.renewal(
        &network,
        "by a key that equivocated",
        ("register.convicted", None),
        barred,
    );

    let mut network = Network::new(shop);
    let rekey = |network: &Network<'_>, seat: u8, key: u8| {
        let holder = Holder {
            consensus: Ed25519Signer::from_seed([key; 32]),
            ..Holder::of(seat)
        };
        holder.register(&network.newest(), |report_data| {
            snp(shop, seat, report_data, |_| ())
        })
    };
    let first = rekey(&network, 0, 200);
    network.block(vec![SystemTx::Register(first)]);
    let second = rekey(&network, 1, 201);
    table.renewal(
        &network,
        "with other keys, for more seats than the set can spare",
        ("register.quorum", None),
        second,
    );

    let mut network = Network::new(shop);
    network.leave(TD_SEAT);
    let mut renewal = network.renewal(TD_SEAT, &network.newest());
    renewal.operator_signature = None;
    table.renewal(
        &network,
        "of a validator that has left, without its operator",
        ("register.left", None),
        renewal,
    );
}

/// Authentic, fresh, and of a machine that does not count.
fn machines(table: &mut Table, shop: &Workshop) {
    let network = Network::new(shop);
    let place = network.newest();
    const DUPLICATE: (&str, Option<u8>) = ("register.duplicate_chip", None);
    let borrowed = Holder::of(0).register(&place, |report_data| snp(shop, 1, report_data, |_| ()));
    table.renewal(&network, "on another seat's chip", DUPLICATE, borrowed);
    let borrowed = Holder::of(0).register(&place, |report_data| td(shop, report_data, |_| ()));
    table.renewal(
        &network,
        "on another seat's machine for trust domains",
        DUPLICATE,
        borrowed,
    );
    // The same chip under another certificate: the chip is the identity, not its certificate.
    let borrowed = Holder::of(0).register(&place, |report_data| {
        snp(shop, 1, report_data, |d| d.leaf.serial_number = 7u8.into())
    });
    table.renewal(
        &network,
        "on another seat's chip with a certificate of its own",
        DUPLICATE,
        borrowed,
    );

    let mut network = Network::new(shop);
    let renewal = network.renewal(0, &network.newest());
    network.block(vec![SystemTx::Register(renewal.clone())]);
    const NOT_NEWER: (&str, Option<u8>) = ("register.not_newer", None);
    table.renewal(&network, "that was taken in already", NOT_NEWER, renewal);
    let older = network.renewal(0, &network.place(network.state.height() - 2));
    table.renewal(&network, "older than the one taken in", NOT_NEWER, older);

    let mut network = Network::new(shop);
    let chip = shop.chip(102, Generation::Genoa);
    assert_eq!(
        snp(shop, 2, [0; 64], |_| ()).leaf,
        super::workshop::encode(&shop.certify(
            &parse(chip.chip.leaf()).tbs_certificate,
            super::workshop::Signer2048::Ask,
        ))
    );
    network.suspend(chip.chip.chip_id());
    let registration = network.renewal(2, &network.newest());
    table.renewal(
        &network,
        "of a machine that is suspended",
        ("register.suspended", None),
        registration,
    );
}
