//! A draft of TDX evidence: everything about it can be changed, before and after it is signed.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tacit_attest::{
    Binding, CollateralKey, CollateralKind, CollateralUpdate, Evidence, Platform, Policy, Quote, QuoteBody,
    SIMULATED_FMSPC, Td15Extended, TdReport, Tee, TrustRoots,
};
use x509_cert::{Certificate, TbsCertificate};

use super::snp::Edit;
use super::workshop::{MEASUREMENT, NOW_MS, SignerP256, TdMachine, Workshop, encode, held, parse};
use super::{Attempt, Case, Table};

/// The evaluation number of every honest document.
pub(super) const EVALUATION: u32 = 20;

/// Honest evidence of a simulated trust domain, until somebody changes it.
pub struct TdDraft<'w> {
    /// Where the keys are.
    pub shop: &'w Workshop,
    /// The machine.
    pub machine: TdMachine,
    /// Another machine whose keys sign instead: the quote, the quoting enclave's report.
    pub quote_signer: Option<TdMachine>,
    /// See above.
    pub enclave_signer: Option<TdMachine>,
    /// The quote's fields. The attestation key and what commits to it are filled in where they are zero.
    pub quote: Quote,
    /// The leaf's body.
    pub leaf: TbsCertificate,
    /// Whose key signs the leaf.
    pub leaf_signer: SignerP256,
    /// Changes of the signed leaf.
    pub leaf_edit: Option<Edit<Certificate>>,
    /// Changes of the signed quote.
    pub quote_edit: Option<Edit<Quote>>,
    /// Changes of the signed evidence.
    pub edit: Option<Edit<Evidence>>,
    /// What the evidence claims to be.
    pub platform: Platform,
    /// The network.
    pub trust: TrustRoots,
    /// What the ledger holds, each in its place.
    pub held: BTreeMap<CollateralKey, CollateralUpdate>,
    /// The policy.
    pub policy: Policy,
    /// The registration.
    pub binding: Binding,
    /// The time.
    pub now_ms: u64,
}

/// Layouts of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Version 4, TDX 1.0.
    V4,
    /// Version 5, TDX 1.5.
    V5,
    /// Version 5, TDX 1.5 with the extended body.
    V5Extended,
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Self::V4 => "tdx v4",
            Self::V5 => "tdx v5",
            Self::V5Extended => "tdx v5 extended",
        }
    }
}

impl<'w> TdDraft<'w> {
    /// An honest domain.
    pub(super) fn honest(shop: &'w Workshop, layout: Layout) -> Self {
        let machine = shop.td(1);
        let binding = shop.binding();
        let version = if layout == Layout::V4 { 4 } else { 5 };
        let mut quote = machine.machine.quote(version, MEASUREMENT, binding.report_data());
        if let (Layout::V5Extended, QuoteBody::Td(report)) = (layout, &mut quote.body)
            && let Some(td15) = &mut report.td15
        {
            td15.extended = Some(Td15Extended {
                vm_id: 0,
                td_id: [7; 32],
                device_info: [0; 48],
                service: [0; 156],
            });
        }
        let collateral = shop.collateral();
        Self {
            shop,
            leaf: parse(machine.machine.leaf()).tbs_certificate,
            machine,
            quote_signer: None,
            enclave_signer: None,
            quote,
            leaf_signer: SignerP256::Authority,
            leaf_edit: None,
            quote_edit: None,
            edit: None,
            platform: Platform::SimulatedTdx,
            trust: shop.trust(),
            held: collateral
                .documents()
                .map(|(key, update)| (*key, update.clone()))
                .collect(),
            policy: shop.policy(),
            binding,
            now_ms: NOW_MS,
        }
    }

    /// The report about the domain.
    pub fn body(&mut self) -> &mut TdReport {
        match &mut self.quote.body {
            QuoteBody::Td(report) => report,
            QuoteBody::Enclave(_) => unreachable!("a simulated machine makes quotes of trust domains"),
        }
    }

    /// Changes the evidence after everything was signed.
    pub fn afterwards(&mut self, edit: impl FnOnce(&mut Evidence) + 'static) {
        self.edit = Some(Box::new(edit));
    }

    /// Changes the quote after everything was signed.
    pub fn quote_afterwards(&mut self, edit: impl FnOnce(&mut Quote) + 'static) {
        self.quote_edit = Some(Box::new(edit));
    }

    /// Holds a document in the place of the honest one.
    pub fn hold(&mut self, key: CollateralKey, update: CollateralUpdate) {
        self.held.insert(key, update);
    }

    /// Signs what was drafted.
    pub fn finish(self) -> Case {
        let mut quote = self.quote;
        let signer = self.quote_signer.as_ref().unwrap_or(&self.machine);
        if quote.attestation_key == [0; 64] {
            quote.attestation_key = signer.attestation_key();
        }
        if quote.qe_report.report_data == [0; 64] {
            let hash = Sha256::new_with_prefix(quote.attestation_key);
            let hash = hash.chain_update(quote.qe_data).finalize();
            quote.qe_report.report_data[..32].copy_from_slice(&hash);
        }
        self.enclave_signer
            .as_ref()
            .unwrap_or(&self.machine)
            .sign_enclave(&mut quote);
        signer.sign_quote(&mut quote);
        if let Some(edit) = self.quote_edit {
            edit(&mut quote);
        }
        let mut leaf = self.shop.certify_p256(&self.leaf, self.leaf_signer);
        if let Some(edit) = self.leaf_edit {
            edit(&mut leaf);
        }
        let mut evidence = TdMachine::evidence(&quote, encode(&leaf));
        evidence.platform = self.platform;
        if let Some(edit) = self.edit {
            edit(&mut evidence);
        }
        Case {
            evidence,
            trust: self.trust,
            collateral: held(&self.held),
            policy: Some(self.policy),
            binding: Some(self.binding),
            now_ms: self.now_ms,
        }
    }
}

/// Where a simulated document of TDX stands.
pub(super) fn place(kind: CollateralKind) -> CollateralKey {
    CollateralKey {
        simulated: true,
        kind,
    }
}

/// The place of the TCB info that judges honest machines.
pub(super) fn tcb_info_place() -> CollateralKey {
    place(CollateralKind::TcbInfo {
        tee: Tee::Tdx,
        fmspc: SIMULATED_FMSPC,
        evaluation: EVALUATION,
    })
}

/// The place of the QE identity that judges honest machines.
pub(super) fn identity_place() -> CollateralKey {
    place(CollateralKind::QeIdentity {
        tee: Tee::Tdx,
        evaluation: EVALUATION,
    })
}

impl Table {
    /// Adds a defect of a simulated trust domain.
    pub(super) fn td(
        &mut self,
        shop: &Workshop,
        topic: &'static str,
        layout: Layout,
        what: &str,
        expected: (&'static str, u8),
        change: impl FnOnce(&mut TdDraft<'_>),
    ) {
        let honest = || TdDraft::honest(shop, layout);
        self.base(layout.name(), || Attempt::Verify(Box::new(honest().finish())));
        let mut draft = honest();
        change(&mut draft);
        let name = format!("{}: {what}", layout.name());
        self.push(topic, name, expected, Attempt::Verify(Box::new(draft.finish())));
    }
}
