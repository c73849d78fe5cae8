//! The secrets of epochs in this node: the next one's, derived as its record becomes final; this one's, where it was lost;
//! and the KEM keys to which both are sealed.
//!
//! ```text
//! closing block final ─▶ derive, keep ─▶ block, checkpoint under the new key, record: one synced write ─▶ erase the old
//!        a crash here:       E and E+1 kept, block made final again       E+1 begun, erased on restart
//! ```

use std::sync::Arc;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng;
use tacit_consensus::{Epoch, Millis};
use tacit_ledger::{
    Contribution, EpochKeys, EpochRecord, EpochSecret, RecoveryScope, SealingPublic, StateKeys, SystemTx,
    open_secret, open_share, seal_secret,
};
use zeroize::Zeroizing;

use super::{Effect, NodeKey, Offence, Refused, Replica};
use crate::{
    NodeError,
    wire::{FetchRequest, FetchResponse},
};

/// How long another validator has to answer, in milliseconds.
const ANSWER_MS: Millis = 5_000;
/// How long before the next one is asked, in milliseconds.
const PAUSE_MS: Millis = 500;
/// Blocks of an epoch's end that are looked through for its contributions: one a leader, with many failed turns between.
const MAX_TAIL: usize = 4_096;

/// The search for the secret of the epoch in force.
#[derive(Default)]
pub(super) struct LostSecret {
    inflight: Option<(u64, Millis)>,
    next_ms: Option<Millis>,
    asked: usize,
}

impl LostSecret {
    pub(super) fn next_wake(&self) -> Option<Millis> {
        let late = self.inflight.map(|(_, since)| since.saturating_add(ANSWER_MS));
        late.or(self.next_ms)
    }

    /// Whether this is the request under way.
    pub(super) fn is(&self, request: u64) -> bool {
        self.inflight.is_some_and(|(number, _)| number == request)
    }
}

impl Replica {
    /// The KEM key of this validator's seat in the epoch in force.
    fn seat_kem(&self) -> Option<&SealingPublic> {
        let seat = self.record.validators.get(usize::from(self.me?))?;
        Some(&seat.kem_key)
    }

    /// The KEM key that the next registration of this validator is to name.
    pub(super) fn want_kem(&mut self, reply: u64) {
        let seed = self.fresh_seed();
        let result = match self.validator.as_mut() {
            Some(parts) => parts
                .keyring
                .next_kem(&seed)
                .map_err(|error| Refused::new(error.code(), error.to_string())),
            None => Err(Refused::new(
                "query.not_a_validator",
                "an observer has no KEM keys",
            )),
        };
        self.out.push(Effect::KemKey { reply, result });
    }

    fn fresh_seed(&mut self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut seed[..]);
        seed
    }

    /// Whoever reads this memory later must not be able to repeat what was drawn before: the values dealt, above all.
    pub(super) fn forget_randomness(&mut self) {
        let seed = self.fresh_seed();
        self.rng = ChaCha20Rng::from_seed(*seed);
    }

    /// A final block named the next epoch: its secret is derived and made durable before that block is stored, so that no
    /// crash leaves a stored epoch without its secret. Without the KEM key of the seat it cannot be derived: the node
    /// follows then, until it has registered with another.
    pub(super) fn derive_next_secret(
        &mut self,
        record: &EpochRecord,
        contributions: &[Contribution],
    ) -> Result<(), Refused> {
        self.next_keys = None;
        let Some(key) = self.validator.as_ref().map(|v| v.signer.public()) else {
            return Ok(());
        };
        let mut seats = (0u16..).zip(&record.validators);
        let Some((me, seat)) = seats.find(|(_, seat)| seat.consensus_key == key) else {
            return Ok(());
        };
        let kem_key = &seat.kem_key;
        let held = |parts: &super::ValidatorParts| parts.keyring.kem(kem_key).is_some();
        if !self.validator.as_ref().is_some_and(held) {
            tracing::error!(
                epoch = record.epoch,
                code = "key.lost",
                kem_key = kem_key.key_id(),
                "the KEM key of this validator's seat is not in its keyring: it follows without the epoch's secret until \
                 it is registered with another"
            );
            return Ok(());
        }
        let secret = self
            .combine(record.epoch, me, kem_key, contributions)
            .ok_or_else(|| "a final epoch change deals a share that this node cannot open".to_owned())?;
        if record.sealing_key.as_ref() != Some(secret.sealing().public()) {
            let what = "a final epoch record names a key that does not follow from its shares";
            return Err(what.to_owned().into());
        }
        let keys = StateKeys::unwrap(&secret, &record.state_keys).map_err(|e| e.to_string())?;
        if self
            .state_keys
            .as_ref()
            .is_some_and(|own| own.blinding != keys.blinding)
        {
            let what = "a final epoch record wraps another blinding key than this state's";
            return Err(what.to_owned().into());
        }
        self.next_keys = Some(keys);
        match self.validator.as_mut() {
            Some(parts) => Ok(parts.keyring.install(record.epoch, secret)?),
            None => Ok(()),
        }
    }

    /// The secret and KEM keys of the epochs before are erased: their blocks are executed, and durable under the new ones.
    pub(super) fn erase_old_keys(&mut self, record: &EpochRecord) -> Result<(), NodeError> {
        self.shares.clear();
        self.forget_randomness();
        self.next_keys = None;
        self.lost = LostSecret::default();
        let Some(parts) = self.validator.as_mut() else {
            return Ok(());
        };
        let key = parts.signer.public();
        let seat = record.validators.iter().find(|seat| seat.consensus_key == key);
        let records = || self.public.records().filter(|past| past.epoch <= record.epoch);
        let had_seat = |key: &SealingPublic| {
            records().any(|past| past.validators.iter().any(|seat| seat.kem_key == *key))
        };
        parts
            .keyring
            .turn(record.epoch, seat.map(|seat| &seat.kem_key), had_seat)
    }

    /// The keys that follow from the epoch's secret, where this node holds it: to open envelopes, and of the state.
    pub(super) fn load_epoch_keys(&mut self) {
        (self.opener, self.state_keys) = (None, None);
        let Some(secret) = self
            .validator
            .as_ref()
            .and_then(|v| v.keyring.epoch(self.record.epoch))
        else {
            return;
        };
        match StateKeys::unwrap(secret, &self.record.state_keys) {
            Ok(keys) => {
                self.opener = Some(Arc::new(secret.sealing()));
                self.state_keys = Some(keys);
            }
            // A vault that kept something else: as good as lost.
            Err(error) => {
                tracing::error!(epoch = self.record.epoch, code = error.code(), %error, "secret refused")
            }
        }
    }

    /// The next epoch's secret from all its contributions, if this validator can open its share of each.
    pub(super) fn combine(
        &mut self,
        epoch: Epoch,
        me: u16,
        kem_key: &SealingPublic,
        given: &[Contribution],
    ) -> Option<EpochSecret> {
        let mut opened = Vec::with_capacity(given.len());
        for contribution in given {
            self.open_share(me, kem_key, contribution).ok()?;
            let share = self.shares.get(&contribution.commitment)?.clone();
            opened.push((contribution.clone(), share));
        }
        Some(EpochSecret::combine(&self.chain, epoch, &opened))
    }

    /// What the next epoch's record says of its secret. In epoch 0 the state's keys are made from it; later they must be
    /// here, as they are with everybody who executes.
    pub(super) fn epoch_keys(&self, secret: &EpochSecret) -> Option<EpochKeys> {
        let keys = match self.record.epoch {
            0 => StateKeys::derive(secret),
            _ => self.state_keys.as_ref()?.in_epoch(secret),
        };
        let scope = RecoveryScope {
            chain: &self.chain,
            epoch: self.record.epoch + 1,
            members: &self.genesis.recovery,
        };
        Some(EpochKeys {
            recovery: scope.package(secret, &keys).ok()?,
            ..EpochKeys::of(secret, &keys)
        })
    }

    /// Whether this validator has a seat, and not the secret that goes with it, but the KEM key to which it can be sealed.
    pub(super) fn lacks_secret(&self) -> bool {
        let held = |key: &SealingPublic| {
            self.validator
                .as_ref()
                .is_some_and(|v| v.keyring.kem(key).is_some())
        };
        self.record.sealing_key.is_some() && self.opener.is_none() && self.seat_kem().is_some_and(held)
    }

    /// Looks for a secret that this validator ought to hold: in its own chain first, then at the other validators.
    pub(super) fn find_secret(&mut self, now: Millis) {
        if !self.lacks_secret() {
            return;
        }
        tracing::warn!(
            epoch = self.record.epoch,
            code = "key.lost",
            "the epoch's secret is not in the keyring: it is derived from the chain, or asked for"
        );
        match self.secret_from_chain() {
            Some(secret) => self.take_secret(now, secret),
            None => self.lost.next_ms = Some(now),
        }
    }

    /// The secret of the epoch in force from the contributions in this node's own blocks, if they are all here.
    fn secret_from_chain(&mut self) -> Option<EpochSecret> {
        let (epoch, me, kem_key) = (self.record.epoch, self.me?, self.seat_kem()?.clone());
        let mut given = Vec::new();
        let last = self.record.start_height.checked_sub(1)?;
        for height in (1..=last).rev().take(MAX_TAIL) {
            let block = self.log().block(height).ok()??.block;
            let txs: Vec<SystemTx> = block
                .payload
                .system
                .iter()
                .filter_map(|bytes| SystemTx::decode(bytes).ok())
                .collect();
            let begins = txs.iter().any(|tx| matches!(tx, SystemTx::EndEpoch { .. }));
            given.extend(txs.into_iter().rev().filter_map(|tx| match tx {
                SystemTx::Contribute(one) if one.epoch == epoch => Some(one),
                _ => None,
            }));
            if begins {
                break;
            }
        }
        given.reverse();
        let secret = self.combine(epoch, me, &kem_key, &given);
        self.shares.clear();
        secret.filter(|secret| self.record.sealing_key.as_ref() == Some(secret.sealing().public()))
    }

    pub(super) fn lost_tick(&mut self, now: Millis) {
        if self
            .lost
            .inflight
            .is_some_and(|(_, since)| since.saturating_add(ANSWER_MS) <= now)
        {
            (self.lost.inflight, self.lost.next_ms) = (None, Some(now));
        }
        if self.lost.inflight.is_some() || self.lost.next_ms.is_none_or(|at| at > now) {
            return;
        }
        self.lost.next_ms = None;
        let seats = self.record.validators.len();
        let others = (0..seats).filter(|seat| Some(*seat) != self.me.map(usize::from));
        let others: Vec<NodeKey> = others
            .filter_map(|seat| self.record.validators.get(seat))
            .map(|seat| seat.node_key.0)
            .collect();
        let Some(to) = others.get(self.lost.asked % others.len().max(1)).copied() else {
            return;
        };
        self.lost.asked += 1;
        let request = self.sync.number();
        self.lost.inflight = Some((request, now));
        let what = FetchRequest::Share {
            epoch: self.record.epoch,
        };
        self.out.push(Effect::Request { request, to, what });
    }

    /// The answer to [`FetchRequest::Share`].
    pub(super) fn took_share(&mut self, now: Millis, from: NodeKey, response: Option<FetchResponse>) {
        (self.lost.inflight, self.lost.next_ms) = (None, Some(now.saturating_add(PAUSE_MS)));
        let sealed = match response {
            Some(FetchResponse::Share(Ok(sealed))) => sealed,
            Some(FetchResponse::Share(Err(refused))) => {
                tracing::info!(
                    code = refused.code,
                    detail = refused.detail,
                    "a validator gives no secret"
                );
                return;
            }
            Some(_) => {
                self.out.push(Effect::Penalise {
                    peer: from,
                    offence: Offence::Invalid,
                });
                return;
            }
            None => return,
        };
        let opened = match (
            &self.validator,
            self.me,
            self.seat_kem(),
            &self.record.sealing_key,
        ) {
            (Some(parts), Some(me), Some(key), Some(sealing)) => match parts.keyring.kem(key) {
                Some(kem) => open_secret(kem, &self.chain, self.record.epoch, me, sealing, &sealed),
                None => return,
            },
            _ => return,
        };
        match opened {
            Ok(secret) => self.take_secret(now, secret),
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "a validator gave something else than the epoch's secret");
                self.out.push(Effect::Penalise {
                    peer: from,
                    offence: Offence::Invalid,
                });
            }
        }
    }

    /// The secret of the epoch in force is here again: kept, and everything started that it opens.
    fn take_secret(&mut self, now: Millis, secret: EpochSecret) {
        self.lost = LostSecret::default();
        let epoch = self.record.epoch;
        let kept = match self.validator.as_mut() {
            Some(parts) => parts.keyring.install(epoch, secret),
            None => return,
        };
        if let Err(error) = kept {
            self.halt(error);
            return;
        }
        self.load_epoch_keys();
        let Some(opener) = self.opener.clone() else {
            return;
        };
        tracing::info!(epoch, "the epoch's secret is here again");
        self.out.push(Effect::Opener { epoch, opener });
        if let Err(error) = self.restore_state(now) {
            self.halt(error);
        }
    }

    /// Another validator asks for the secret of an epoch: it is sealed to the attested key of its seat, so that whoever
    /// asks in its name learns nothing.
    pub(super) fn want_share(&mut self, reply: u64, from: NodeKey, epoch: Epoch) {
        let result = self.share_for(from, epoch);
        self.out.push(Effect::ServeShare { reply, result });
    }

    fn share_for(&mut self, from: NodeKey, epoch: Epoch) -> Result<Vec<u8>, Refused> {
        let current = self.record.epoch;
        if epoch != current {
            let detail = format!("epoch {epoch} was asked for, epoch {current} is in force here");
            return Err(Refused::new("epoch.not_in_force", detail));
        }
        let seat = self.index_of.get(&from).copied();
        let seat = seat.ok_or_else(|| {
            Refused::new("epoch.no_seat", format!("the asker has no seat in epoch {epoch}"))
        })?;
        let key = self
            .record
            .validators
            .get(usize::from(seat))
            .map(|seat| seat.kem_key.clone());
        let secret = self.validator.as_ref().and_then(|v| v.keyring.epoch(epoch));
        let (Some(key), Some(secret)) = (key, secret) else {
            return Err(Refused::new("key.lost", "this node does not hold it either"));
        };
        seal_secret(&mut self.rng, &self.chain, epoch, seat, &key, secret)
            .map_err(|error| Refused::new("deal.recipients", error.to_string()))
    }

    /// Opens this validator's share of a contribution, checked against its commitment, and remembers it.
    pub(super) fn open_share(
        &mut self,
        me: u16,
        kem_key: &SealingPublic,
        contribution: &Contribution,
    ) -> Result<(), Refused> {
        if self.shares.contains_key(&contribution.commitment) {
            return Ok(());
        }
        let kem = self.validator.as_ref().and_then(|v| v.keyring.kem(kem_key));
        let kem = kem.ok_or_else(|| {
            let detail = format!(
                "the KEM key {} of this validator's next seat is not here",
                kem_key.key_id()
            );
            Refused::new("key.lost", detail)
        })?;
        let share = open_share(kem, &self.chain, contribution, me)
            .map_err(|error| Refused::new(error.code(), error.to_string()))?;
        self.shares.insert(contribution.commitment, share);
        Ok(())
    }
}
