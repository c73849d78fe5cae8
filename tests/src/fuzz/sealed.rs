//! Targets of what users seal and what comes back to them. Where a key would hide what lies behind it, the target has
//! the key: anything the fuzzer wrote is signed, sealed and opened again.

use std::sync::{Arc, LazyLock};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tacit_consensus::{Digest, Ed25519, Ed25519Signer, Executed, Signer as _};
use tacit_ledger::{
    AccountId, AccountKey, Action, Answer, AnswerEntry, Batch, BlockContext, Call, Envelope, Executable,
    MAX_CALL_BYTES, MAX_QUERY_BUCKET, MailAction, MailKey, MerklePath, NamesAction, NamesKey, Outcome,
    PrivateState, Query, Question, Receipt, ReceiptKey, ReceiptProof, SealedReceipt, SealingSecret, StateKey,
    StateKeys, TokenAction, TokenKey, decode, encode, open_envelope, open_query, seal_envelope, seal_query,
};

use super::attest::{NOW_MS, exact};
use super::consensus::NETWORK;

const CHAIN: Digest = Digest([0xc4; 32]);
const EPOCH: u64 = 3;
const EXPIRY: u64 = 100;
const START: u128 = 1_000_000;
/// Accounts whose keys the targets hold.
const ACCOUNTS: u8 = 3;

static KEM: LazyLock<SealingSecret> = LazyLock::new(|| SealingSecret::derive(&[9; 32]));
static KEYS: LazyLock<Vec<AccountKey>> = LazyLock::new(|| {
    let key = |n| AccountKey::from_seed([n; 32]).expect("an account");
    (1..=ACCOUNTS).map(key).collect()
});
/// The calls of the seeds: nothing else is signed.
static CALLS: LazyLock<Vec<Call>> = LazyLock::new(|| {
    let call = |(nonce, action)| Call::sign(&CHAIN, &KEYS[0], nonce, 1_000, action, [0; 32]);
    (0..).zip(actions()).map(call).collect()
});
static ENVELOPES: LazyLock<Vec<(Envelope, ReceiptKey)>> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut seal = |call| seal_envelope(&mut rng, KEM.public(), &CHAIN, EPOCH, EXPIRY, call);
    CALLS
        .iter()
        .map(|call| seal(call).expect("a call is sealed"))
        .collect()
});

fn account(n: usize) -> AccountId {
    KEYS[n].id()
}

fn actions() -> Vec<Action> {
    let room = tacit_ledger::room_id(&account(0), &[5; 16]);
    vec![
        Action::Token(TokenAction::Transfer {
            to: account(1),
            amount: 5,
        }),
        Action::Names(NamesAction::Claim { name: "ada".into() }),
        Action::Names(NamesAction::Release { name: "ada".into() }),
        Action::Mail(MailAction::PublishKey {
            key: KEM.public().clone(),
        }),
        Action::Mail(MailAction::Send {
            to: account(0),
            sealed: vec![7; 80],
        }),
        Action::Mail(MailAction::CreateRoom {
            salt: [5; 16],
            title: vec![1; 30],
            members: vec![(account(0), vec![3; 64])],
        }),
        Action::Mail(MailAction::Invite {
            room,
            account: account(1),
            wrapped: vec![4; 64],
        }),
        Action::Mail(MailAction::Remove {
            room,
            account: account(1),
            rekey: vec![(account(0), vec![3; 64])],
        }),
        Action::Mail(MailAction::Leave { room }),
        Action::Mail(MailAction::Post {
            room,
            generation: 0,
            sealed: vec![9; 50],
        }),
    ]
}

/// An envelope as it travels, looked at from outside.
pub fn envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::decode(data) {
        assert!(encode(&envelope) == data, "an envelope has two encodings");
        let _ = (envelope.aad(), envelope.size_class());
        let _ = envelope.check(&CHAIN, EPOCH, EXPIRY);
    }
}

/// An envelope opened by a TEE: what opens was signed by its account.
pub fn opened_envelope(data: &[u8]) {
    let Ok(envelope) = Envelope::decode(data) else {
        return;
    };
    if let Ok(opened) = open_envelope(&KEM, &envelope) {
        assert!(CALLS.contains(&opened.call), "a forged call is opened");
        assert_eq!(opened.id, envelope.id());
    }
}

/// A batch as it is gossiped.
pub fn batch(data: &[u8]) {
    if let Ok(batch) = Batch::decode(data) {
        assert!(encode(&batch) == data, "a batch has two encodings");
        let author = Ed25519Signer::from_seed([1; 32]).public();
        if batch.verify(&author).is_ok() {
            assert_eq!(batch.digest(), honest_batch().digest(), "a forged batch is taken");
        }
    }
}

fn honest_batch() -> Batch {
    let envelopes = ENVELOPES.iter().map(|(envelope, _)| envelope.clone()).collect();
    Batch::sign(CHAIN, EPOCH, 1, 7, envelopes, &Ed25519Signer::from_seed([1; 32]))
}

/// What an envelope holds, as a TEE reads it.
pub fn call(data: &[u8]) {
    if let Ok(call) = decode::<Call>(data, MAX_CALL_BYTES) {
        assert!(encode(&call) == data, "a call has two encodings");
        if call.verify(&CHAIN).is_ok() {
            assert!(CALLS.contains(&call), "a forged call is good");
        }
    }
}

/// A block of calls with whatever is in them, signed by accounts that hold something: nothing is lost or made. An input
/// is an encoded list of nonces, fees and actions.
pub fn executed_calls(data: &[u8]) {
    type Wish = (u8, u64, u64, Action);
    let Some(wishes) = exact::<Vec<Wish>>(data) else {
        return;
    };
    let keys = StateKeys {
        data: [7; 32],
        blinding: [8; 32],
    };
    let allocations: Vec<_> = (0..usize::from(ACCOUNTS)).map(|n| (account(n), START)).collect();
    let mut state = PrivateState::genesis(Some(&keys), &allocations);
    let before = state.supply();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for wish in wishes.chunks(2).take(4) {
        let items = wish.iter().filter_map(|(who, nonce, fee, action)| {
            let key = &KEYS[usize::from(who % ACCOUNTS)];
            let call = Call::sign(&CHAIN, key, *nonce, *fee, action.clone(), [0; 32]);
            // A call may be too long for any envelope.
            let sealed = seal_envelope(&mut rng, KEM.public(), &CHAIN, EPOCH, EXPIRY, &call);
            let (envelope, _) = sealed.ok()?;
            let opened = open_envelope(&KEM, &envelope).ok();
            Some(Executable::Opened(Arc::new(
                opened.expect("what was just sealed opens"),
            )))
        });
        let items: Vec<_> = items.collect();
        let height = state.height() + 1;
        let context = BlockContext {
            chain: CHAIN,
            height,
            time_ms: NOW_MS + height,
            fee_per_512: 10,
        };
        let outcome = state.execute_block(context, &items);
        assert_eq!(outcome.receipts.len(), items.len());
        assert!(outcome.supply == before && state.audit_supply() == Some(before));
    }
    let again = PrivateState::from_checkpoint(&state.to_checkpoint(), &keys).ok();
    assert_eq!(
        again.expect("a state's own checkpoint").root(),
        state.root(),
        "a checkpoint is another state"
    );
}

/// A query under its seal, with whatever is in it.
pub fn query(data: &[u8]) {
    if let Ok(query) = decode::<Query>(data, MAX_QUERY_BUCKET) {
        assert!(encode(&query) == data, "a query has two encodings");
        if query.verify(&CHAIN, NOW_MS, 10_000).is_ok() {
            assert!(query == honest_query(), "a forged query is good");
        }
    }
}

fn honest_query() -> Query {
    let question = Question {
        fresh: [3; 32],
        time_ms: NOW_MS,
        min_height: 1,
        keys: vec![
            StateKey::Nonce(account(0)),
            StateKey::Token(TokenKey::Balance(account(0))),
            StateKey::Names(NamesKey::Owner("ada".into())),
            StateKey::Mail(MailKey::Letter(account(0), 4)),
        ],
        answer_to: KEM.public().clone(),
    };
    Query::sign(&CHAIN, &KEYS[0], question, [0; 32])
}

/// A sealed query as it arrives.
pub fn sealed_query(data: &[u8]) {
    if let Ok(query) = open_query(&KEM, &CHAIN, data) {
        assert!(query == honest_query(), "what somebody else sealed opens to this");
    }
}

/// A node's answer, as a wallet reads it: nobody certified a state here.
pub fn answer(data: &[u8]) {
    if let Some(answer) = exact::<Answer>(data) {
        let network = &*NETWORK;
        let verdict = answer.verify(&honest_query(), &network.chain, &network.committee, &Ed25519);
        assert!(verdict.is_err(), "an answer about no state is believed");
    }
}

/// A receipt: sealed, in the clear, and proven.
pub fn receipt(data: &[u8]) {
    if let Some(receipt) = exact::<Receipt>(data)
        && receipt.detail.len() <= tacit_ledger::MAX_RECEIPT_DETAIL
    {
        let (_, key) = &ENVELOPES[0];
        let opened = SealedReceipt::seal(key, &receipt).open(key);
        assert!(opened.is_ok_and(|opened| opened == receipt));
    }
    let (_, key) = &ENVELOPES[0];
    let sealed = SealedReceipt(data.to_vec());
    let _ = (
        sealed.open(key).is_ok(),
        sealed.is_unopened(&CHAIN),
        sealed.leaf(&CHAIN),
    );
}

/// The proof of a receipt, as a wallet or anybody offline reads it.
pub fn receipt_proof(data: &[u8]) {
    if let Ok(proof) = ReceiptProof::decode(data) {
        assert!(encode(&proof) == data, "a proof has two encodings");
        let network = &*NETWORK;
        let verdict = proof.verify(&network.chain, &network.committee, &Ed25519);
        assert!(verdict.is_err(), "a receipt of no block is believed");
    }
}

fn honest_receipt() -> Receipt {
    Receipt {
        envelope: ENVELOPES[0].0.id(),
        height: 4,
        index: 0,
        fee: 10,
        outcome: Outcome::Applied,
        detail: vec![1; 8],
    }
}

fn honest_answer() -> Answer {
    let (block, proof) = &NETWORK.committed[1];
    let query = honest_query();
    let denied = query
        .keys
        .iter()
        .map(|key| AnswerEntry::Denied { key: key.clone() });
    Answer {
        fresh: query.fresh,
        executed: Executed {
            height: 1,
            ..block.header.executed
        },
        header: block.header.clone(),
        proof: proof.clone(),
        epoch: 1,
        entries: denied.collect(),
    }
}

/// Seeds of this file's targets.
pub(super) fn seeds(target: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let envelopes = || ENVELOPES.iter().map(|(envelope, _)| encode(envelope)).collect();
    let list: Vec<Vec<u8>> = match target {
        "envelope" | "opened_envelope" => envelopes(),
        "batch" => vec![encode(&honest_batch())],
        "call" => CALLS.iter().map(encode).collect(),
        "executed_calls" => {
            let one = |(nonce, action): (u64, Action)| (0u8, nonce, 1_000u64, action);
            let all: Vec<_> = (0..).zip(actions()).map(one).collect();
            let each = all.iter().map(|wish| encode(&vec![wish]));
            let pairs = all.chunks(4).map(|wishes| encode(&wishes.to_vec()));
            each.chain(pairs).collect()
        }
        "query" => vec![encode(&honest_query())],
        "sealed_query" => {
            let mut rng = ChaCha20Rng::seed_from_u64(8);
            vec![seal_query(&mut rng, KEM.public(), &honest_query()).expect("a query is sealed")]
        }
        "answer" => vec![encode(&honest_answer())],
        "receipt" => {
            let (_, key) = &ENVELOPES[0];
            let receipt = honest_receipt();
            let failed = Receipt {
                detail: Vec::new(),
                ..receipt.clone()
            };
            vec![
                encode(&receipt),
                encode(&failed),
                SealedReceipt::seal(key, &receipt).0,
            ]
        }
        "receipt_proof" => {
            let (block, proof) = &NETWORK.committed[3];
            let path = MerklePath {
                index: 0,
                count: 2,
                siblings: vec![Digest([1; 32])],
            };
            let proof = ReceiptProof {
                envelope: ENVELOPES[0].0.id(),
                sealed: SealedReceipt::seal(&ENVELOPES[0].1, &honest_receipt()),
                height: 0,
                index: 0,
                path,
                previous: Digest([2; 32]),
                later: Vec::new(),
                header: block.header.clone(),
                proof: proof.clone(),
            };
            vec![encode(&proof)]
        }
        _ => return None,
    };
    let named = list.into_iter().enumerate();
    Some(named.map(|(at, bytes)| (format!("{at:03}"), bytes)).collect())
}
