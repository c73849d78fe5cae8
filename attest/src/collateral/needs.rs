//! What a ledger's own machines need, so that documents of others never take their places.

use std::collections::BTreeSet;

use super::{CollateralKey, CollateralKind};
use crate::evidence::{Evidence, Platform};
use crate::facts::{Fmspc, Tee};
use crate::intel::pck::Pck;

/// The kinds of Intel machines that some evidence is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollateralNeeds(BTreeSet<(bool, Tee, Fmspc)>);

impl CollateralNeeds {
    /// Of this evidence, which was verified before: here only its leaves are read, and what cannot be read needs
    /// nothing. AMD's needs no documents of Intel's.
    pub fn of<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> Self {
        let kinds = evidence.into_iter().filter_map(|evidence| {
            let tee = match evidence.platform {
                Platform::SevSnp | Platform::Simulated => return None,
                Platform::Sgx => Tee::Sgx,
                Platform::Tdx | Platform::SimulatedTdx => Tee::Tdx,
            };
            let pck = Pck::parse(&evidence.leaf).ok()?;
            Some((evidence.platform.is_simulated(), tee, pck.fmspc))
        });
        Self(kinds.collect())
    }

    /// Whether a document is among them. AMD's lists always are: there is one a generation.
    pub fn cover(&self, key: &CollateralKey) -> bool {
        let some = |wanted: &dyn Fn(Tee) -> bool| {
            let mut kinds = self.0.iter();
            kinds.any(|(simulated, tee, _)| *simulated == key.simulated && wanted(*tee))
        };
        match key.kind {
            CollateralKind::TcbInfo { tee, fmspc, .. } => self.0.contains(&(key.simulated, tee, fmspc)),
            CollateralKind::QeIdentity { tee, .. } => some(&|other| other == tee),
            CollateralKind::IntelRootCrl | CollateralKind::IntelPckCrl(_) => some(&|_| true),
            CollateralKind::AmdCrl(_) => true,
        }
    }
}
