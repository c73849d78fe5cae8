//! Private reads: only the node reads the question, only the asker the answer, and lies are noticed.

use tacit_consensus::{Digest, Ed25519, Executed};
use tacit_ledger::*;

use crate::network::*;

const NOW: u64 = TIME + 60_000;
const SKEW: u64 = 30_000;

fn balance(n: u8) -> StateKey {
    StateKey::Token(TokenKey::Balance(account(n).id()))
}

fn asker() -> SealingSecret {
    SealingSecret::derive(&[0xaa; 32])
}

fn query() -> Query {
    let keys = vec![balance(1), StateKey::Nonce(account(1).id()), balance(2)];
    let question = Question {
        fresh: [3; 32],
        time_ms: NOW,
        min_height: 0,
        keys,
        answer_to: asker().public().clone(),
    };
    Query::sign(&network().chain, &account(1), question, [0; 32])
}

/// An honest answer: own balance, absent nonce, and a denial of somebody else's balance.
fn answer() -> Answer {
    let keys = StateKeys::derive(&network().secret);
    let state = PrivateState::genesis(Some(&keys), &network().genesis.allocations);
    let query = query();
    let entries = query
        .keys
        .iter()
        .map(|key| match state.read(&query.account, key, 0) {
            Ok(entry) => AnswerEntry::Proven(entry),
            Err(_) => AnswerEntry::Denied { key: key.clone() },
        });
    let executed = Executed {
        height: 0,
        private_root: state.root(),
        ..Executed::default()
    };
    let header = header(1, 5, executed);
    let entries = entries.collect();
    Answer {
        fresh: query.fresh,
        executed,
        proof: commit(&header, &[0, 1, 2]),
        header,
        epoch: 1,
        entries,
    }
}

#[test]
fn question_and_answer_travel_sealed_and_padded() {
    let (chain, node) = (&network().chain, &network().kems[2]);
    let query = query();
    let sealed = seal_query(&mut rng(1), node.public(), &query).unwrap();
    assert_eq!(sealed.len(), ENCAPSULATION_BYTES + MIN_QUERY_BUCKET + TAG_BYTES);
    assert_eq!(open_query(node, chain, &sealed), Ok(query.clone()));
    assert_eq!(
        open_query(&network().kems[1], chain, &sealed),
        Err(OpenError::Seal)
    );
    assert_eq!(open_query(node, &Digest([9; 32]), &sealed), Err(OpenError::Seal));
    assert_eq!(query.verify(chain, NOW, SKEW), Ok(()));

    let answer = answer();
    let sealed = seal_answer(&mut rng(2), &query.answer_to, chain, &answer).unwrap();
    assert!((sealed.len() - ENCAPSULATION_BYTES - TAG_BYTES).is_power_of_two());
    assert_eq!(
        open_answer(&asker(), chain, &query.fresh, &sealed),
        Ok(answer.clone())
    );
    assert_eq!(
        open_answer(&asker(), chain, &[4; 32], &sealed),
        Err(OpenError::Seal)
    );
    assert_eq!(
        open_answer(&kem(0), chain, &query.fresh, &sealed),
        Err(OpenError::Seal)
    );
    let mut bent = sealed.clone();
    bent[ENCAPSULATION_BYTES + 9] ^= 1;
    assert_eq!(
        open_answer(&asker(), chain, &query.fresh, &bent),
        Err(OpenError::Seal)
    );

    let committee = network().link.record.committee();
    let values = answer.verify(&query, chain, &committee, &Ed25519).unwrap();
    assert_eq!(values[&balance(1)].as_deref(), Some(&encode(&(1_000 * UNIT))[..]));
    assert_eq!(values[&query.keys[1]], None);
    assert!(!values.contains_key(&balance(2)), "what is denied is absent");
}

#[test]
fn too_long_messages_are_refused_before_they_are_opened() {
    let chain = &network().chain;
    let long = vec![0; MAX_SEALED_QUERY_BYTES + 1];
    let refused = OpenError::TooLong {
        have: long.len(),
        max: MAX_SEALED_QUERY_BYTES,
    };
    assert_eq!(open_query(&kem(0), chain, &long), Err(refused));
    let long = vec![0; MAX_SEALED_ANSWER_BYTES + 1];
    let refused = OpenError::TooLong {
        have: long.len(),
        max: MAX_SEALED_ANSWER_BYTES,
    };
    assert_eq!(open_answer(&asker(), chain, &[3; 32], &long), Err(refused));
}

#[test]
fn every_bad_query_is_refused_by_name() {
    let chain = &network().chain;
    let refused = |change: &dyn Fn(&mut Query)| {
        let mut query = query();
        change(&mut query);
        query.verify(chain, NOW, SKEW).unwrap_err()
    };
    let other = Digest([9; 32]);
    assert_eq!(
        refused(&|query| query.chain = other),
        QueryError::Chain { have: other }
    );
    assert_eq!(
        refused(&|query| query.keys.clear()),
        QueryError::Keys {
            have: 0,
            max: MAX_QUERY_KEYS
        }
    );
    let many = refused(&|query| query.keys = vec![balance(1); 65]);
    assert_eq!(
        many,
        QueryError::Keys {
            have: 65,
            max: MAX_QUERY_KEYS
        }
    );
    assert!(matches!(
        refused(&|query| query.time_ms -= SKEW + 1),
        QueryError::Time { .. }
    ));
    assert!(matches!(
        refused(&|query| query.time_ms += SKEW + 1),
        QueryError::Time { .. }
    ));
    assert!(matches!(
        refused(&|query| query.answer_to.0.truncate(3)),
        QueryError::AnswerKey(_)
    ));
    let forged = QueryError::Signature(SignatureError::Invalid);
    assert_eq!(refused(&|query| query.fresh[0] ^= 1), forged);
    assert_eq!(refused(&|query| query.account = account(2).id()), forged);
    assert_eq!(refused(&|query| query.min_height = 7), forged);
    assert_eq!(refused(&|query| query.keys[0] = balance(2)), forged);
    assert_eq!(
        refused(&|query| query.answer_to = kem(0).public().clone()),
        forged
    );
    assert_eq!(refused(&|query| query.time_ms += 1), forged);
}

#[test]
fn every_tampering_with_an_answer_is_refused_by_name() {
    let committee = network().link.record.committee();
    let check = |query: &Query, answer: &Answer| answer.verify(query, &network().chain, &committee, &Ed25519);
    let refused = |change: &dyn Fn(&mut Answer)| {
        let mut answer = answer();
        change(&mut answer);
        check(&query(), &answer).unwrap_err()
    };
    assert_eq!(refused(&|answer| answer.fresh[0] ^= 1), ProofError::Fresh);
    assert_eq!(
        refused(&|answer| answer.executed.supply += 1),
        ProofError::Executed
    );
    assert_eq!(
        refused(&|answer| answer.epoch = 0),
        ProofError::Epoch { have: 0, need: 1 }
    );
    assert!(matches!(
        refused(&|answer| answer.header.view += 1),
        ProofError::Commit(_)
    ));
    assert!(matches!(
        refused(&|answer| answer.proof = commit(&answer.header, &[0, 3])),
        ProofError::Commit(_)
    ));
    assert_eq!(
        refused(&|answer| drop(answer.entries.pop())),
        ProofError::Keys { index: 2 }
    );
    assert_eq!(
        refused(&|answer| answer.entries.swap(0, 1)),
        ProofError::Keys { index: 0 }
    );
    let entry = |change: fn(&mut ProvenEntry), at: usize| {
        refused(&|answer| match &mut answer.entries[at] {
            AnswerEntry::Proven(entry) => change(entry),
            AnswerEntry::Denied { .. } => unreachable!("this entry is readable"),
        })
        .code()
    };
    for at in [0, 1] {
        assert_eq!(
            entry(|entry| entry.value = Some(encode(&(7 * UNIT))), at),
            "proof.state"
        );
        assert_eq!(entry(|entry| entry.blind[0] ^= 1, at), "proof.state");
        assert_eq!(entry(|entry| entry.proof.truncate(3), at), "proof.state");
    }
    assert_eq!(entry(|entry| entry.value = None, 0), "proof.state");

    let mut demanding = query();
    demanding.min_height = 1;
    assert_eq!(
        check(&demanding, &answer()),
        Err(ProofError::Stale { have: 0, need: 1 })
    );
}
