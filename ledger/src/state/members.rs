//! Who is in the registry: registering, leaving, convictions (S8, S10, S11), and who goes from it when an epoch turns.

use std::sync::Arc;

use tacit_attest::Suspension;
use tacit_consensus::{Ed25519, EquivocationProof, Height, Millis, PublicKey, planted};

use crate::{
    epoch::{EpochRecord, ValidatorRecord},
    limits::{MAX_CONVICTED, MAX_REGISTERED},
    refusal::SystemRefusal,
    registration::{LeaveRequest, Registration},
    state::{
        registry::{Convicted, Leaving, Registered, Registry, Scene},
        seats::{Terms, quorum},
    },
};

/// A name without a seat goes when its evidence is older than so many times what the policy allows: long enough to come
/// back after an outage.
const GONE_AFTER_AGES: u64 = 2;

impl Registry {
    /// S8: a new name, newer evidence, or other keys.
    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        scene: &Scene<'_>,
    ) -> Result<(), SystemRefusal> {
        let name = &registration.name;
        self.check_name(registration, scene)?;
        self.check_keys(registration, scene)?;
        self.check_quorum(registration, scene)?;
        let (have, need) = (registration.protocol, self.in_force.protocol);
        if have < need {
            return Err(SystemRefusal::Protocol { have, need });
        }
        let held = self.registered.get(name).map(|one| one.registration.height);
        let left = self.leaving.get(name).map(|one| one.height);
        self.check_place(registration, held.max(left), scene)?;

        let mut fresh = Registered::new(registration.clone(), scene.height, scene.time_ms, None);
        let verified = self
            .bench(scene)
            .verdict(&fresh, &Terms::of(&self.in_force))
            .map_err(SystemRefusal::Registration)?;
        if let Some(target) = self.suspensions.keys().find(|target| target.covers(&verified)) {
            return Err(SystemRefusal::MachineSuspended { target: *target });
        }
        let chip = (verified.vendor(), verified.chip);
        let mut others = self.registered.values().filter(|one| one.seat.name != *name);
        if self.in_force.policy.chip_unique
            && let Some(other) =
                others.find(|one| one.chip == Some(chip) && !self.has_left(&one.seat.name, scene.current))
        {
            let other = other.seat.name.clone();
            return Err(SystemRefusal::DuplicateChip { other });
        }
        fresh.chip = Some(chip);
        // What its operator signs now is newer than its wish to leave.
        if registration.operator_signature.is_some() {
            self.leaving.remove(name);
        }
        self.registered.insert(name.clone(), Arc::new(fresh));
        Ok(())
    }

    /// S8: whose name it is, and what its operator must sign.
    fn check_name(&self, registration: &Registration, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let name = registration.name.clone();
        let operator = registration.operator_key;
        let signed = registration.operator_signature.is_some();
        let Some(held) = self.registered.get(&name) else {
            let max = MAX_REGISTERED;
            return match (self.registered.len() < max, signed) {
                (false, _) => Err(SystemRefusal::RegistryFull { max }),
                (true, false) => Err(SystemRefusal::OperatorMissing { name, operator }),
                (true, true) => Ok(()),
            };
        };
        if operator != held.registration.operator_key {
            return Err(SystemRefusal::NameTaken {
                name,
                have: operator,
                held: held.registration.operator_key,
            });
        }
        let keys = [
            ("consensus", held.seat.consensus_key == registration.consensus_key),
            ("node", held.seat.node_key == registration.node_key),
        ];
        if signed {
            return Ok(());
        }
        if let Some((key, _)) = keys.into_iter().find(|(_, same)| !same) {
            return Err(SystemRefusal::OtherKey { name, key });
        }
        if self.has_left(&name, scene.current) {
            return Err(SystemRefusal::Left { name });
        }
        Ok(())
    }

    /// S8: a seat whose keys are replaced is dead until the epoch ends. Who would take the set below a quorum by it would
    /// have the whole set kept, and must wait until the others have new seats.
    fn check_quorum(&self, registration: &Registration, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let current = &scene.current.validators;
        let (name, key) = (&registration.name, registration.consensus_key);
        let Some(seat) = current.iter().find(|seat| seat.name == *name) else {
            return Ok(());
        };
        let others = current.iter().filter(|seat| seat.name != *name);
        let holding = others.filter(|seat| self.holds(seat)).count();
        let (seats, quorum) = (current.len(), quorum(current.len()));
        if seat.consensus_key == key || holding >= quorum {
            return Ok(());
        }
        Err(SystemRefusal::TooManyReplaced {
            holding,
            seats,
            quorum,
        })
    }

    /// S8: its keys are nobody else's, and nobody's who is barred.
    fn check_keys(&self, registration: &Registration, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let key = registration.consensus_key;
        if self.convicted.contains_key(&key) {
            return Err(SystemRefusal::KeyConvicted { key });
        }
        // Other keys do not lift what was decided against the validator.
        let held = self.registered.get(&registration.name);
        let held = held.map(|one| one.seat.consensus_key);
        let mut barred = held
            .into_iter()
            .chain([key])
            .filter_map(|key| self.suspended_key(&key));
        if let Some(target) = barred.next() {
            return Err(SystemRefusal::MachineSuspended { target });
        }
        let registered = self.registered.values().map(|one| &one.seat);
        let seats = registered.chain(&scene.current.validators);
        for other in seats.filter(|seat| seat.name != registration.name) {
            let theirs = [other.consensus_key, other.node_key];
            let taken = [
                ("consensus", theirs.contains(&registration.consensus_key)),
                ("node", theirs.contains(&registration.node_key)),
                ("KEM", other.kem_key == registration.kem_key),
            ];
            if let Some((key, _)) = taken.into_iter().find(|(_, taken)| *taken) {
                let other = other.name.clone();
                return Err(SystemRefusal::KeyTaken { key, other });
            }
        }
        Ok(())
    }

    /// S8: what the evidence is bound to besides the keys. `held` is the height above which it must be bound.
    fn check_place(
        &self,
        registration: &Registration,
        held: Option<Height>,
        scene: &Scene<'_>,
    ) -> Result<(), SystemRefusal> {
        let (have, need) = (registration.network, scene.fixed.chain);
        if have != need {
            return Err(SystemRefusal::OtherNetwork { have, need });
        }
        let (have, min, max) = (
            registration.policy_version,
            self.in_force.policy.version,
            self.newest_version(),
        );
        if !(min..=max).contains(&have) {
            return Err(SystemRefusal::PolicyVersion { have, min, max });
        }
        let (have, newest) = (registration.height, scene.recent.newest());
        if have > newest {
            return Err(SystemRefusal::BlockAhead { have, newest });
        }
        let age = self.in_force.policy.block_age_max;
        let oldest = scene.height.saturating_sub(age).max(scene.recent.first());
        if have < oldest && !planted::has("old_binding_accepted") {
            return Err(SystemRefusal::BlockOld { have, oldest });
        }
        if scene.recent.get(have) != Some(&registration.block) {
            return Err(SystemRefusal::OtherBlock {
                height: have,
                have: registration.block,
            });
        }
        if let Some(held) = held.filter(|held| have <= *held) {
            return Err(SystemRefusal::NotNewer { have, held });
        }
        Ok(())
    }

    /// S10.
    pub(crate) fn leave(&mut self, request: &LeaveRequest, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let (have, need) = (request.chain, scene.fixed.chain);
        if have != need {
            return Err(SystemRefusal::OtherChain { have, need });
        }
        let name = request.name.clone();
        let Some(one) = self.registered.get(&name) else {
            return Err(SystemRefusal::UnknownName { name });
        };
        let (have, held) = (request.registration, one.seat.registration);
        if have != held {
            return Err(SystemRefusal::OtherRegistration { name, have, held });
        }
        if self.leaving.contains_key(&name) {
            return Err(SystemRefusal::LeavingAlready { name });
        }
        let operator = one.registration.operator_key;
        if !request.is_signed_by(&operator) {
            return Err(SystemRefusal::LeaveSignature { operator });
        }
        let newest = self.leaving.values().map(|one| one.number).max();
        let leaving = Leaving {
            number: newest.map_or(0, |number| number.saturating_add(1)),
            height: scene.height,
            time_ms: scene.time_ms,
        };
        self.leaving.insert(name, leaving);
        Ok(())
    }

    /// S11: proofs of earlier epochs count too, as nothing can be proven while an epoch ends.
    pub(crate) fn convict(
        &mut self,
        proof: &EquivocationProof,
        scene: &Scene<'_>,
    ) -> Result<(), SystemRefusal> {
        let (have, current) = (proof.epoch(), scene.current.epoch);
        let record = scene.records.get(&have);
        let record = record.ok_or(SystemRefusal::ProofEpoch { have, current })?;
        let committee = record.committee();
        let seat = proof
            .verify(&scene.fixed.chain, &committee, &Ed25519)
            .map_err(SystemRefusal::Proof)?;
        let Some(key) = committee.key(seat).copied() else {
            return Err(SystemRefusal::ProofEpoch { have, current });
        };
        if self.convicted.contains_key(&key) {
            return Err(SystemRefusal::ConvictedAlready { key });
        }
        let seats = &scene.current.validators;
        if !self.is_registered(&key) && seats.iter().all(|seat| seat.consensus_key != key) {
            return Err(SystemRefusal::ConvictStranger { key });
        }
        if self.convicted.len() >= MAX_CONVICTED {
            let strangers = self.convicted.iter().filter(|(key, _)| !self.is_registered(key));
            let oldest = strangers.min_by_key(|(_, one)| one.height).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.convicted.remove(&oldest);
            }
        }
        let convicted = Convicted {
            epoch: have,
            height: scene.height,
            time_ms: scene.time_ms,
        };
        self.convicted.insert(key, convicted);
        Ok(())
    }

    /// Whether the name has asked to leave and has no seat any more.
    pub(crate) fn has_left(&self, name: &str, current: &EpochRecord) -> bool {
        self.leaving.contains_key(name) && current.validators.iter().all(|seat| seat.name != name)
    }

    /// The suspension of the validator with this consensus key, if there is one.
    pub(crate) fn suspended_key(&self, key: &PublicKey) -> Option<Suspension> {
        let target = Suspension::Validator { key: key.0 };
        self.suspensions.contains_key(&target).then_some(target)
    }

    /// Whether this seat is what the registry has under its name.
    pub(crate) fn holds(&self, seat: &ValidatorRecord) -> bool {
        let held = self.registered.get(&seat.name);
        held.is_some_and(|one| one.seat.consensus_key == seat.consensus_key)
    }

    fn is_registered(&self, key: &PublicKey) -> bool {
        self.registered.values().any(|one| one.seat.consensus_key == *key)
    }

    /// An epoch has turned to `current`: names without a seat go whose evidence is long too old. Nothing that was
    /// signed for them before counts any more by then: it is bound to blocks that are too old.
    pub(crate) fn purge(&mut self, current: &EpochRecord, height: Height, now_ms: Millis) {
        let policy = &self.in_force.policy;
        let max_ms = policy.evidence_age_max_ms.saturating_mul(GONE_AFTER_AGES);
        let oldest = height.saturating_sub(policy.block_age_max);
        let leaving = &self.leaving;
        self.registered.retain(|name, one| {
            let left = leaving.get(name).map_or(0, |one| one.height);
            current.validators.iter().any(|seat| seat.name == *name)
                || now_ms.saturating_sub(one.seat.registered_ms) <= max_ms
                || one.registration.height.max(left) >= oldest
        });
        let registered = &self.registered;
        self.leaving.retain(|name, _| registered.contains_key(name));
    }
}
