//! The second opinion: the crate `dcap-qvl` judges the same evidence under the same collateral at the same time, and
//! must come to the same verdict. It verifies every signature again, those of the collateral included.
//!
//! It is called on the canonical quote with the pinned authority, by its pure-Rust backend, without a policy. Its errors
//! are texts for people and are not kept.

use dcap_qvl::configs::RustCryptoConfig;
use dcap_qvl::quote::Report;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{PckCertFlag, QuoteClaims, QuoteCollateralV3, QuotePolicy};

use super::canonical::to_pem;
use super::pck::Pck;
use super::quote::{Quote, QuoteBody};
use super::roots::{Authority, IntelRoots};
use super::tcb::Level;
use crate::collateral::Document;
use crate::collateral::select::{Clock, Selection};
use crate::facts::TcbStatus;
use crate::refusal::Refusal;

/// What the first implementation found.
pub(crate) struct First<'a> {
    pub(crate) quote: &'a Quote,
    pub(crate) leaf: &'a [u8],
    pub(crate) pck: &'a Pck,
    pub(crate) authority: &'a Authority,
    pub(crate) roots: &'a IntelRoots,
    pub(crate) selection: &'a Selection<'a>,
    pub(crate) level: &'a Level,
    pub(crate) evaluation: u32,
}

impl First<'_> {
    /// Asks. `begins` is the latest beginning of anything that counts, Unix time in seconds.
    pub(crate) fn must_agree(&self, clock: Clock, begins: u64) -> Result<(), Refusal> {
        let mut quote = self.quote.clone();
        let mut chain = to_pem(self.leaf)?;
        chain.push_str(&to_pem(&self.authority.der)?);
        quote.certificates = chain.into_bytes();
        let at = self.moment(clock, begins);
        let claims = QuoteVerifier::new(self.roots.root.der.clone())
            .with_config::<RustCryptoConfig>()
            .allow_debug(true)
            .verify_with_policy(
                &quote.to_bytes(),
                self.collateral()?,
                at,
                &QuotePolicy::claims_only(at),
            )
            .map_err(|_| Refusal::SecondOpinion {
                detail: "it refuses what this code accepts",
            })?;
        match self.difference(&claims) {
            None => Ok(()),
            Some(detail) => Err(Refusal::SecondOpinion { detail }),
        }
    }

    /// The second to ask about: now, or where a policy tolerates an early beginning, that beginning. The library's
    /// lists end a second before their last one, ours with it.
    fn moment(&self, clock: Clock, begins: u64) -> u64 {
        let at = clock.second().max(begins);
        let lists = [&self.selection.root_list.0, &self.selection.pck_list.0];
        let last = lists.iter().map(|list| list.last_second().saturating_sub(1));
        last.fold(at, u64::min)
    }

    fn collateral(&self) -> Result<QuoteCollateralV3, Refusal> {
        let list = |document: &Document| match document {
            Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } => list.clone(),
            _ => Vec::new(),
        };
        let (_, info, _) = &self.selection.tcb_info;
        let (_, identity, _) = &self.selection.identity;
        Ok(QuoteCollateralV3 {
            pck_crl_issuer_chain: String::new(),
            root_ca_crl: list(&self.selection.root_list.0.update.document),
            pck_crl: list(&self.selection.pck_list.0.update.document),
            tcb_info_issuer_chain: to_pem(&info.signer)?,
            tcb_info: info.body.clone(),
            tcb_info_signature: info.signature.clone(),
            qe_identity_issuer_chain: to_pem(&identity.signer)?,
            qe_identity: identity.body.clone(),
            qe_identity_signature: identity.signature.clone(),
            pck_certificate_chain: None,
        })
    }

    /// The first thing that the two say differently.
    fn difference(&self, claims: &QuoteClaims) -> Option<&'static str> {
        let (pck, theirs) = (self.pck, &claims.platform.pck);
        let flag = |ours: Option<bool>, theirs: PckCertFlag| PckCertFlag::from(ours) == theirs;
        let same = [
            (
                "the TCB status",
                status(claims.tcb.status) == self.level.library_status,
            ),
            ("the advisories", claims.tcb.advisory_ids == self.level.advisories),
            (
                "the evaluation number",
                claims.tcb.eval_data_number == self.evaluation,
            ),
            ("the kind of machine", theirs.fmspc == pck.fmspc.0),
            ("the PPID", theirs.ppid == pck.ppid),
            (
                "the platform instance",
                theirs.platform_instance_id == pck.instance,
            ),
            ("the CPU SVN", theirs.cpu_svn == pck.cpu_svn),
            ("the PCE SVN", theirs.pce_svn == pck.pce_svn),
            ("the PCE id", theirs.pce_id == pck.pce_id),
            ("the SGX type", theirs.sgx_type == pck.sgx_type),
            (
                "the dynamic platform flag",
                flag(pck.dynamic_platform, theirs.dynamic_platform),
            ),
            ("the cached keys flag", flag(pck.cached_keys, theirs.cached_keys)),
            ("the hyperthreading flag", flag(pck.smt, theirs.smt_enabled)),
            ("the report", same_report(&self.quote.body, &claims.report)),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
    }
}

fn same_report(ours: &QuoteBody, theirs: &Report) -> bool {
    match ours {
        QuoteBody::Enclave(report) => theirs.as_sgx().is_some_and(|theirs| {
            theirs.mr_enclave == report.mr_enclave
                && theirs.mr_signer == report.mr_signer
                && theirs.isv_svn == report.isv_svn
                && theirs.report_data == report.report_data
        }),
        QuoteBody::Td(report) => theirs.as_td10().is_some_and(|theirs| {
            let rtmr = [theirs.rt_mr0, theirs.rt_mr1, theirs.rt_mr2, theirs.rt_mr3];
            theirs.mr_td == report.mr_td
                && rtmr == report.rtmr
                && theirs.mr_config_id == report.mr_config_id
                && theirs.mr_owner == report.mr_owner
                && theirs.mr_owner_config == report.mr_owner_config
                && theirs.td_attributes == report.td_attributes.to_le_bytes()
                && theirs.report_data == report.report_data
        }),
    }
}

fn status(theirs: dcap_qvl::TcbStatus) -> TcbStatus {
    match theirs {
        dcap_qvl::TcbStatus::UpToDate => TcbStatus::UpToDate,
        dcap_qvl::TcbStatus::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
        dcap_qvl::TcbStatus::OutOfDate => TcbStatus::OutOfDate,
        dcap_qvl::TcbStatus::ConfigurationAndSWHardeningNeeded => {
            TcbStatus::ConfigurationAndSWHardeningNeeded
        }
        dcap_qvl::TcbStatus::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        dcap_qvl::TcbStatus::SWHardeningNeeded => TcbStatus::SWHardeningNeeded,
        dcap_qvl::TcbStatus::Revoked => TcbStatus::Revoked,
        dcap_qvl::TcbStatus::TDRelaunchAdvised => TcbStatus::TDRelaunchAdvised,
        dcap_qvl::TcbStatus::TDRelaunchAdvisedConfigurationNeeded => {
            TcbStatus::TDRelaunchAdvisedConfigurationNeeded
        }
    }
}
