//! A draft of SNP evidence: everything about it can be changed, before and after it is signed.

use tacit_attest::{Binding, Collateral, Evidence, Generation, Platform, Policy, Report, TrustRoots};
use x509_cert::{Certificate, TbsCertificate};

use super::workshop::{Chip, MEASUREMENT, NOW_MS, Signer2048, Workshop, encode, parse};
use super::{Attempt, Case, Table};

/// An edit of finished bytes.
pub(super) type Edit<T> = Box<dyn FnOnce(&mut T)>;

/// Honest evidence of a simulated chip, until somebody changes it.
pub struct SnpDraft<'w> {
    shop: &'w Workshop,
    /// Signs the report.
    pub chip: Chip,
    /// In whose layout the report is written.
    pub layout: Generation,
    /// The report's fields.
    pub report: Report,
    /// Bytes of the report to overwrite before it is signed: offset and value.
    pub poke: Vec<(usize, u8)>,
    /// The leaf's body.
    pub leaf: TbsCertificate,
    /// Whose key signs the leaf.
    pub leaf_signer: Signer2048,
    /// Changes of the signed leaf.
    pub leaf_edit: Option<Edit<Certificate>>,
    /// Changes of the signed evidence.
    pub edit: Option<Edit<Evidence>>,
    /// What the evidence claims to be.
    pub platform: Platform,
    /// The network.
    pub trust: TrustRoots,
    /// What the ledger holds.
    pub collateral: Collateral,
    /// The policy.
    pub policy: Policy,
    /// The registration.
    pub binding: Binding,
    /// The time.
    pub now_ms: u64,
}

impl<'w> SnpDraft<'w> {
    /// An honest machine of `generation` that makes reports of `version`.
    pub fn honest(shop: &'w Workshop, generation: Generation, version: u32) -> Self {
        let chip = shop.chip(1, generation);
        let binding = shop.binding();
        Self {
            shop,
            layout: generation,
            report: chip.chip.report(version, MEASUREMENT, binding.report_data()),
            poke: Vec::new(),
            leaf: parse(chip.chip.leaf()).tbs_certificate,
            leaf_signer: Signer2048::Ask,
            leaf_edit: None,
            edit: None,
            platform: Platform::Simulated,
            trust: shop.trust(),
            collateral: Collateral::new(),
            policy: shop.policy(),
            binding,
            now_ms: NOW_MS,
            chip,
        }
    }

    /// Changes the evidence after everything was signed.
    pub fn afterwards(&mut self, edit: impl FnOnce(&mut Evidence) + 'static) {
        self.edit = Some(Box::new(edit));
    }

    /// Signs what was drafted.
    pub fn finish(self) -> Case {
        let mut report = self.report.to_bytes(self.layout).to_vec();
        for (at, value) in self.poke {
            report[at] = value;
        }
        self.chip.sign(&mut report);
        let mut leaf = self.shop.certify(&self.leaf, self.leaf_signer);
        if let Some(edit) = self.leaf_edit {
            edit(&mut leaf);
        }
        let mut evidence = Evidence {
            platform: self.platform,
            report,
            leaf: encode(&leaf),
        };
        if let Some(edit) = self.edit {
            edit(&mut evidence);
        }
        Case {
            evidence,
            trust: self.trust,
            collateral: self.collateral,
            policy: Some(self.policy),
            binding: Some(self.binding),
            now_ms: self.now_ms,
        }
    }
}

/// A machine and its format, as defects name them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub(super) generation: Generation,
    pub(super) version: u32,
}

pub(super) const MILAN_V2: Base = Base {
    generation: Generation::Milan,
    version: 2,
};
pub(super) const MILAN_V3: Base = Base {
    generation: Generation::Milan,
    version: 3,
};
pub(super) const GENOA_V3: Base = Base {
    generation: Generation::Genoa,
    version: 3,
};
pub(super) const GENOA_V5: Base = Base {
    generation: Generation::Genoa,
    version: 5,
};
pub(super) const TURIN_V3: Base = Base {
    generation: Generation::Turin,
    version: 3,
};
pub(super) const TURIN_V5: Base = Base {
    generation: Generation::Turin,
    version: 5,
};

impl Base {
    fn name(self) -> String {
        format!("snp v{} {}", self.version, self.generation)
    }
}

impl Table {
    /// Adds a defect of a simulated SNP machine.
    pub(super) fn snp(
        &mut self,
        shop: &Workshop,
        topic: &'static str,
        base: Base,
        what: &str,
        expected: (&'static str, u8),
        change: impl FnOnce(&mut SnpDraft<'_>),
    ) {
        let honest = || SnpDraft::honest(shop, base.generation, base.version);
        self.base(&base.name(), || Attempt::Verify(Box::new(honest().finish())));
        let mut draft = honest();
        change(&mut draft);
        let name = format!("{}: {what}", base.name());
        self.push(topic, name, expected, Attempt::Verify(Box::new(draft.finish())));
    }
}
