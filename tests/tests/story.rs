//! The main story, with real processes: four validators and an observer; wallets exchange sealed messages and
//! transfers while a validator is killed and comes back, and all of them are killed at once and come back. Nothing
//! that was reported final is lost, what can be proven is proven offline, and nobody outside learns a word.

use tacit_ledger::{Amount, Outcome};
use tacit_testnet::{Word, leakscan};
use tacit_tests::network::{Network, verify_offline};
use tacit_wallet::{Api, Transport, Wallet};

/// Sealed transactions in all: half transfers, half messages.
const TRANSACTIONS: u64 = 200;
/// One transfer, in smallest units.
const SUM: Amount = 250_000;

/// A word that occurs nowhere by chance.
fn text(number: u64) -> String {
    format!("the heron stands in the reeds, letter {number}")
}

/// Sends transfer or message `number` and gives the receipt file that its sender can keep.
fn send(alice: &mut Wallet, bob: &mut Wallet, number: u64) -> String {
    let (sender, to) = if number % 4 < 2 {
        (alice, bob.address())
    } else {
        (bob, alice.address())
    };
    let confirmed = match number % 2 {
        0 => sender.transfer(&to, SUM).expect("a transfer is confirmed"),
        _ => sender
            .send_message(&to, &text(number))
            .expect("a message is confirmed"),
    };
    assert_eq!(
        confirmed.receipt.outcome,
        Outcome::Applied,
        "transaction {number}"
    );
    sender
        .receipt_file(&confirmed.receipt.envelope, true)
        .expect("a receipt file")
        .to_json()
}

fn supply(network: &Network, node: usize) -> String {
    let transport = network.transport(node);
    let page = Api::new(&*transport as &dyn Transport)
        .page("/v1/blocks/latest", 0)
        .expect("the latest block");
    page["executed"]["supply"].as_str().expect("a supply").to_owned()
}

#[test]
fn messages_and_tokens_survive_kills_and_stay_sealed() {
    let network = Network::up(|options| {
        options.observers = 1;
        // Epochs turn over several times during the story.
        options.epoch_ms = 15_000;
    });
    let testnet = &network.testnet;
    let (mut alice, mut bob) = (network.wallet("alice", 0), network.wallet("bob", 1));
    let before = (
        alice.balance().expect("a balance").amount,
        bob.balance().expect("a balance").amount,
    );
    bob.prepare_mail().expect("bob can be written to");
    alice.prepare_mail().expect("alice can be written to");
    let minted = supply(&network, 0);

    let (mut receipts, started) = (Vec::new(), std::time::Instant::now());
    for number in 0..TRANSACTIONS {
        match number {
            60 => testnet.kill(3).expect("validator 3 is killed"),
            90 => {
                testnet.restart(3).expect("validator 3 starts again");
            }
            130 => {
                (0..4).for_each(|i| testnet.kill(i).expect("a validator is killed"));
                for node in 0..4 {
                    testnet.restart(node).expect("a validator starts again");
                }
                for node in 0..4 {
                    network.until("the node answers", || network.height(node).is_some());
                }
            }
            _ => {}
        }
        receipts.push(send(&mut alice, &mut bob, number));
        if number % 20 == 0 {
            println!(
                "{:6.1} s: transaction {number} is final",
                started.elapsed().as_secs_f32()
            );
        }
    }

    // Everybody has the same chain, the restarted validators and the observer included.
    let head = network.height(0).expect("node 0 answers");
    for node in 0..5 {
        network.until("the node has caught up", || {
            network.height(node).is_some_and(|height| height >= head)
        });
        let transport = network.transport(node);
        let hash = Api::new(&*transport as &dyn Transport)
            .block_hash(head)
            .expect("the block");
        let transport = network.transport(0);
        let expected = Api::new(&*transport as &dyn Transport)
            .block_hash(head)
            .expect("the block");
        assert_eq!(hash, expected, "block {head} of node {node}");
    }

    // As many transfers went one way as the other, and fees are zero here.
    assert_eq!(alice.balance().expect("a balance").amount, before.0);
    assert_eq!(bob.balance().expect("a balance").amount, before.1);
    let letters = |wallet: &mut Wallet| {
        let mut letters = Vec::new();
        loop {
            let page = wallet.inbox(letters.len() as u64, 50).expect("an inbox");
            if page.is_empty() {
                break letters;
            }
            letters.extend(page.into_iter().map(|letter| letter.text.expect("its text")));
        }
    };
    let expected = |to_bob: bool| {
        (0..TRANSACTIONS)
            .filter(move |n| n % 2 == 1 && (n % 4 < 2) == to_bob)
            .map(text)
    };
    assert!(
        letters(&mut bob).into_iter().eq(expected(true)),
        "bob's letters, in order, each once"
    );
    assert!(
        letters(&mut alice).into_iter().eq(expected(false)),
        "alice's letters, in order, each once"
    );

    for receipt in &receipts {
        verify_offline(receipt, &network.facts().genesis);
    }
    assert_eq!(supply(&network, 2), minted, "supply never changes but by genesis");

    // Every disk, log and API answer, for what all letters have in common.
    let words = [Word::text("letters", "the heron stands in the reeds")];
    let report = leakscan(testnet.dir(), &words, &[]).expect("a scan");
    assert!(report.control.passed(), "the scanner finds what was planted");
    assert_eq!(report.occurrences, 0, "{report:?}");
    let searched = report.total();
    println!(
        "searched {} files, {} bytes: nothing",
        searched.files, searched.bytes
    );
}

#[test]
fn a_network_of_one_validator_works_and_rests() {
    let network = Network::up(|options| options.validators = 1);
    let (mut alice, bob) = (network.wallet("alice", 0), network.wallet("bob", 0));
    let to = bob.address();
    for _ in 0..3 {
        let confirmed = alice.transfer(&to, SUM).expect("a transfer is confirmed");
        assert_eq!(confirmed.receipt.outcome, Outcome::Applied);
    }
}
