//! Every error code of the project in one table: what a command exits with, what HTTP answers, what to do
//! next.
//!
//! Codes are stable words that scripts may branch on; sentences may change. Anything that reports an error
//! (node, wallet, command line) names a code of this table, and `docs/errors.md` is this table rendered:
//! a test compares the two, so a code without documentation does not pass.
//!
//! Exit codes: 0 success, 1 unexpected, 2 usage, 3 unreachable or timed out, 4 not found, 5 refused by the
//! chain, 6 verification failed (an attack or a bug), 7 cannot verify (stale or missing data: refresh and
//! retry), 8 key, password or permission, 9 conflict with local state.

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable dotted word, at most 40 bytes of `[a-z_.]`.
    pub code: &'static str,
    /// Exit code of a command that ends with this error, 1..=9.
    pub exit: u8,
    /// HTTP status of a node that answers with this error; 0 where no node ever does.
    pub http: u16,
    /// One phrase for people.
    pub title: &'static str,
    /// The next step.
    pub hint: &'static str,
    /// Whether the same wish may succeed later (after the step in `hint`, if it names one).
    pub retryable: bool,
}

/// The row of `code`, if the table has it.
pub fn lookup(code: &str) -> Option<&'static Code> {
    CODES
        .binary_search_by(|row| row.code.cmp(code))
        .ok()
        .and_then(|index| CODES.get(index))
}

/// Retry is pointless before something else changes.
const FINAL: bool = false;
/// Retry may help.
const RETRY: bool = true;

const fn row(
    code: &'static str,
    exit: u8,
    http: u16,
    retryable: bool,
    title: &'static str,
    hint: &'static str,
) -> Code {
    Code {
        code,
        exit,
        http,
        title,
        hint,
        retryable,
    }
}

/// All codes, sorted by `code`.
#[rustfmt::skip] // one row a code reads as a table
pub const CODES: &[Code] = &[
    row("admin.unreachable", 3, 0, RETRY, "The node's admin socket does not answer", "start the node of this home: tacit node run; the socket is admin.sock in it"),
    row("attest.advisory_open", 6, 422, FINAL, "An advisory of the vendor is open on the machine", "the operator must update its firmware; or members tolerate the advisory"),
    row("attest.alias_check_incomplete", 6, 422, FINAL, "The machine has not checked its memory for aliases", "the operator must update the firmware"),
    row("attest.attestation_key", 6, 422, FINAL, "The quoting enclave does not vouch for the key that signs the quote", "do not trust this node"),
    row("attest.certificate_revoked", 6, 422, FINAL, "A certificate is revoked by its vendor", "do not trust this node"),
    row("attest.certification_chain", 6, 422, FINAL, "The certificates in the quote are not the pinned ones in their only form", "give the quote as the hardware made it"),
    row("attest.certification_type", 6, 422, FINAL, "The quote does not carry its certificates", "ask the machine's operator for a quote with its certificate chain"),
    row("attest.chip_id_masked", 6, 422, FINAL, "The host masks the chip id", "the operator must unmask it"),
    row("attest.chip_id_mismatch", 6, 422, FINAL, "The leaf certificate belongs to another chip", "do not trust this node"),
    row("attest.chip_key_masked", 6, 422, FINAL, "The host masks the chip key, so nothing signs the report", "the operator must unmask it"),
    row("attest.collateral_encoding", 6, 422, FINAL, "A document of collateral could not be read", "fetch it from the vendor again"),
    row("attest.collateral_expired", 7, 422, FINAL, "A document of collateral is no longer in force", "bring the vendor's next: tacit attest collateral push"),
    row("attest.collateral_full", 5, 409, FINAL, "As many documents of collateral are held as may be, and all are in force", "wait until one of them ends"),
    row("attest.collateral_missing", 7, 422, FINAL, "The vendor's collateral for this machine is not held", "bring it: --collateral FILE, or tacit attest collateral push"),
    row("attest.collateral_not_newer", 5, 409, FINAL, "A document as new as this one is held already", "nothing is to be done"),
    row("attest.collateral_not_yet_valid", 7, 422, FINAL, "A document of collateral is from the future", "check the clock, or wait until it is in force"),
    row("attest.collateral_number", 5, 409, FINAL, "A revocation list with a higher number is held", "fetch the newest list from the vendor"),
    row("attest.collateral_rolled_back", 5, 409, FINAL, "The document is of a level below the lowest that is held", "fetch the newest level from the vendor"),
    row("attest.collateral_signature", 6, 422, FINAL, "The vendor does not sign the document of collateral", "fetch it from the vendor again"),
    row("attest.collateral_signer", 6, 422, FINAL, "The signer of a document of collateral is not the vendor's", "fetch it from the vendor again"),
    row("attest.cpu_unknown", 6, 422, FINAL, "No known processor generation has this CPUID", "use a release that knows it"),
    row("attest.cxl_allowed", 6, 422, FINAL, "The guest may have CXL memory", "the operator must start the guest with a stricter policy"),
    row("attest.debug_allowed", 6, 422, FINAL, "The guest may be debugged by its host", "do not trust this node"),
    row("attest.enclave_attributes", 6, 422, FINAL, "The enclave has attributes of unknown meaning", "use a release that knows them"),
    row("attest.enclave_debug", 6, 422, FINAL, "The enclave may be debugged by its host", "do not trust this node"),
    row("attest.enclave_key_access", 6, 422, FINAL, "The enclave may derive keys of the platform", "do not trust this node"),
    row("attest.evaluation_too_low", 7, 422, FINAL, "The collateral that is held is of a lower level than the policy needs", "bring the vendor's: tacit attest collateral push"),
    row("attest.evidence_expired", 7, 422, FINAL, "The evidence is older than the policy accepts", "the validator must register again"),
    row("attest.evidence_too_long", 6, 422, FINAL, "The evidence is longer than its bound", "the validator must register proper evidence"),
    row("attest.fmspc_denied", 6, 422, FINAL, "The policy denies this kind of machine", "use a validator on an admitted machine"),
    row("attest.generation_mismatch", 6, 422, FINAL, "Report and leaf certificate are of different generations", "the validator must register proper evidence"),
    row("attest.generation_not_allowed", 6, 422, FINAL, "The policy does not admit this processor generation", "use a validator on an admitted generation"),
    row("attest.guest_key_unknown", 6, 422, FINAL, "The guest is signed by a key that the policy does not name", "do not trust this node"),
    row("attest.guest_policy_bits", 6, 422, FINAL, "The guest policy has bits of unknown meaning", "use a release that knows them"),
    row("attest.guest_policy_forbidden", 6, 422, FINAL, "The guest has rights that the policy forbids", "the operator must start the guest without them"),
    row("attest.guest_policy_missing", 6, 422, FINAL, "The guest lacks rights or protections that the policy requires", "the operator must start the guest with them"),
    row("attest.guest_svn_below_floor", 6, 422, FINAL, "The guest's security version is below the policy's", "the operator must update the guest"),
    row("attest.intel_root_pin", 1, 422, FINAL, "A compiled-in certificate of Intel differs from its pin", "this program is damaged: install it anew"),
    row("attest.issuer_not_valid", 7, 422, FINAL, "A vendor certificate is not valid at this time", "check the clock of this machine"),
    row("attest.isv_svn_too_low", 6, 422, FINAL, "The enclave's security version is below the policy's", "the operator must update the enclave"),
    row("attest.leaf_cpu_svn", 6, 422, FINAL, "The leaf certificate contradicts itself about the machine's firmware", "do not trust this node"),
    row("attest.leaf_encoding", 6, 422, FINAL, "The leaf certificate could not be read", "the validator must register proper evidence"),
    row("attest.leaf_expired", 7, 422, FINAL, "The leaf certificate is no longer valid", "the validator must fetch a new one and register again"),
    row("attest.leaf_extensions", 6, 422, FINAL, "The extensions of the leaf certificate are not as the vendor writes them", "do not trust this node"),
    row("attest.leaf_issuer", 6, 422, FINAL, "The leaf certificate is issued by none of the pinned intermediates", "do not trust this node"),
    row("attest.leaf_missing", 7, 0, FINAL, "The certificate of the key that signs the report is not given", "give it: --leaf FILE"),
    row("attest.leaf_not_yet_valid", 7, 422, FINAL, "The leaf certificate is not valid yet", "check the clock of this machine"),
    row("attest.leaf_signature", 6, 422, FINAL, "The intermediate does not sign the leaf certificate", "do not trust this node"),
    row("attest.leaf_subject", 6, 422, FINAL, "The leaf certificate names another subject", "do not trust this node"),
    row("attest.leaf_tcb", 6, 422, FINAL, "The leaf certificate is for another firmware than the report claims", "the validator must fetch the leaf of its firmware"),
    row("attest.leaf_unwanted", 6, 0, FINAL, "A certificate was given with a quote, which carries its own", "leave it out"),
    row("attest.machine_not_allowed", 6, 422, FINAL, "The policy does not admit machines that are configured so", "the operator must configure the machine anew, or use another"),
    row("attest.measurement_unknown", 6, 422, FINAL, "The policy does not admit the program that this validator runs", "do not trust this node"),
    row("attest.migration_agent", 6, 422, FINAL, "The guest has a migration agent", "do not trust this node"),
    row("attest.migration_allowed", 6, 422, FINAL, "The guest may be migrated", "do not trust this node"),
    row("attest.not_canonical", 6, 422, FINAL, "The report is not in its canonical form", "the validator must register proper evidence"),
    row("attest.platform_info_missing", 6, 422, FINAL, "The machine lacks a protection that the policy requires", "the operator must turn it on in the machine's firmware"),
    row("attest.platform_not_allowed", 6, 422, FINAL, "The policy does not admit this platform", "use a validator on an admitted platform"),
    row("attest.platform_not_supported", 6, 422, FINAL, "Evidence of this platform is not supported yet", "use a validator on a supported platform"),
    row("attest.policy_invalid", 6, 422, FINAL, "The policy is unusable", "the network's policy must be repaired"),
    row("attest.qe_mismatch", 6, 422, FINAL, "The quoting enclave is not the one of Intel's identity", "do not trust this node"),
    row("attest.qe_report_signature", 6, 422, FINAL, "The leaf's key does not sign the quoting enclave's report", "do not trust this node"),
    row("attest.qe_vendor", 6, 422, FINAL, "The quoting enclave is not Intel's", "do not trust this node"),
    row("attest.quote_body_type", 6, 422, FINAL, "The quote's body is of an unknown type", "use a release that knows it"),
    row("attest.quote_key_type", 6, 422, FINAL, "The quote's attestation key is of an unknown type", "use a release that knows it"),
    row("attest.quote_length", 6, 422, FINAL, "A length in the quote is not the length of what it measures", "give the quote as the hardware made it"),
    row("attest.quote_platform", 6, 422, FINAL, "The quote is about another platform than the evidence claims", "the validator must register proper evidence"),
    row("attest.quote_reserved", 6, 422, FINAL, "Unused bytes of the quote are not zero", "give the quote as the hardware made it"),
    row("attest.quote_signature", 6, 422, FINAL, "The attestation key does not sign the quote", "do not trust this node"),
    row("attest.quote_tee", 6, 422, FINAL, "The quote's version and its TEE do not go together", "give the quote as the hardware made it"),
    row("attest.quote_trailing", 6, 422, FINAL, "Bytes that nothing signs follow the quote", "give the quote as the hardware made it"),
    row("attest.quote_truncated", 6, 422, FINAL, "The quote is cut off", "give the whole quote"),
    row("attest.quote_version", 6, 422, FINAL, "The version of the quote is unknown", "use a release that knows it"),
    row("attest.quote_version_not_allowed", 6, 422, FINAL, "The policy does not admit this version of quote", "use a validator whose platform makes an admitted version"),
    row("attest.report_data", 6, 422, FINAL, "The evidence does not commit to this registration", "do not trust this node"),
    row("attest.report_length", 6, 422, FINAL, "The report has a wrong length", "the validator must register proper evidence"),
    row("attest.report_signature", 6, 422, FINAL, "The leaf's key does not sign the report", "do not trust this node"),
    row("attest.report_version", 6, 422, FINAL, "The version of the report is unknown", "use a release that knows it"),
    row("attest.report_version_not_allowed", 6, 422, FINAL, "The policy does not admit this version of report", "the validator must update its firmware"),
    row("attest.reserved_not_zero", 6, 422, FINAL, "Unused bytes of the report are not zero", "the validator must register proper evidence"),
    row("attest.root_pin", 1, 422, FINAL, "A compiled-in vendor root differs from its pin", "this program is damaged: install it anew"),
    row("attest.root_signature", 6, 422, FINAL, "The root does not sign the intermediate", "do not trust this node"),
    row("attest.second_opinion", 6, 422, FINAL, "Two independent verifiers of quotes disagree", "report it with the quote: one of them is wrong"),
    row("attest.sgx_type_not_allowed", 6, 422, FINAL, "The policy does not admit this type of SGX", "use a validator on an admitted machine"),
    row("attest.signature_algorithm", 6, 422, FINAL, "The signature algorithm of the report is unknown", "use a release that knows it"),
    row("attest.signing_key_kind", 6, 422, FINAL, "The kind of signing key is unknown", "use a release that knows it"),
    row("attest.simulator_forbidden", 6, 422, FINAL, "Simulated hardware on a network that is not a dev network", "do not trust this node"),
    row("attest.simulator_mark", 6, 422, FINAL, "The platform does not fit the simulator's mark in the report", "do not trust this node"),
    row("attest.simulator_root_invalid", 6, 422, FINAL, "The network's root for simulated hardware is unusable", "make the genesis anew"),
    row("attest.simulator_root_missing", 6, 422, FINAL, "The network names no root for simulated hardware", "the genesis must name one, on a dev network only"),
    row("attest.tcb_below_floor", 6, 422, FINAL, "The firmware is below the network's floor", "the operator must update it; then try again"),
    row("attest.tcb_floor_missing", 6, 422, FINAL, "The policy has no firmware floor for this generation", "the network's policy must name one"),
    row("attest.tcb_not_listed", 6, 422, FINAL, "The machine's firmware is below every level that Intel lists", "the operator must update it; then try again"),
    row("attest.tcb_revoked", 6, 422, FINAL, "Intel calls the machine's firmware revoked", "the operator must update it, and make its keys anew"),
    row("attest.tcb_status_not_allowed", 6, 422, FINAL, "The policy does not admit what Intel says about the machine's firmware", "the operator must update it; then try again"),
    row("attest.td_attributes_not_allowed", 6, 422, FINAL, "The trust domain has attributes that the policy does not admit", "the operator must start it without them"),
    row("attest.td_attributes_reserved", 6, 422, FINAL, "The trust domain has attributes of unknown meaning", "use a release that knows them"),
    row("attest.td_debug", 6, 422, FINAL, "The trust domain may be debugged by its host", "do not trust this node"),
    row("attest.td_migratable", 6, 422, FINAL, "The trust domain may be migrated", "do not trust this node"),
    row("attest.td_partition", 6, 422, FINAL, "The quote was asked for by a partition of the trust domain", "the validator must register proper evidence"),
    row("attest.td_profiled", 6, 422, FINAL, "The trust domain may be profiled by its host", "do not trust this node"),
    row("attest.td_sept_ve_disable", 6, 422, FINAL, "The trust domain lets its host inject faults", "the operator must start it with SEPT_VE_DISABLE"),
    row("attest.td_service_td", 6, 422, FINAL, "A service domain is bound to the trust domain", "do not trust this node"),
    row("attest.tdx_module_mismatch", 6, 422, FINAL, "The TDX module is not the one of Intel's TCB info", "do not trust this node"),
    row("attest.tdx_module_unknown", 6, 422, FINAL, "Intel's TCB info does not know the TDX module", "use the TCB info of this machine's module, or a known module"),
    row("attest.vlek_not_allowed", 6, 422, FINAL, "The policy does not admit VLEKs", "the validator must register with a VCEK"),
    row("attest.vlek_not_supported", 6, 422, FINAL, "The leaf is a VLEK whose intermediate this program does not have", "the validator must register with a VCEK"),
    row("attest.vmpl_too_high", 6, 422, FINAL, "The report was asked for at a privilege level that the policy does not admit", "do not trust this node"),
    row("block.not_found", 4, 404, RETRY, "No such block here", "check the height against /v1/status"),
    row("block.pruned", 4, 410, FINAL, "This node does not keep the block any more", "ask a node that keeps all of history, or for a later block"),
    row("chain.batch", 6, 0, FINAL, "A block's batch is not the one that it names, or not in order", "do not rely on this copy: take the chain from another node"),
    row("chain.batch_author", 6, 0, FINAL, "A batch is not signed by its author", "do not rely on this copy: take the chain from another node"),
    row("chain.batch_missing", 7, 0, FINAL, "A batch that a block names is not there", "synchronise the node anew, or check another node's data"),
    row("chain.block_missing", 7, 0, FINAL, "A block is not there", "synchronise the node anew, or check another node's data"),
    row("chain.carried", 6, 0, FINAL, "A block carries a certificate that does not hold", "do not rely on this copy: take the chain from another node"),
    row("chain.certificate", 6, 0, FINAL, "No quorum of its epoch's validators made this block final", "do not rely on this copy: take the chain from another node"),
    row("chain.collateral", 6, 0, FINAL, "A block takes in collateral that the rules refuse", "do not use this network before its members have explained it"),
    row("chain.damaged", 6, 0, FINAL, "A stored value cannot be read", "restore the folder, or synchronise the node anew"),
    row("chain.empty", 4, 0, FINAL, "No chain is stored here", "check the folder; a node's is its home, with --home"),
    row("chain.epilogue", 6, 0, FINAL, "Something follows a closing block in its epoch", "do not use this network before its members have explained it"),
    row("chain.epoch", 6, 0, FINAL, "A block is of another epoch than its place", "do not rely on this copy: take the chain from another node"),
    row("chain.epoch_end", 6, 0, FINAL, "An epoch ends too early, too late, or for another reason than was due", "do not use this network before its members have explained it"),
    row("chain.epoch_record", 6, 0, FINAL, "The next epoch's record does not follow from the chain", "do not use this network before its members have explained it"),
    row("chain.executed", 6, 0, FINAL, "A block states an execution that cannot be in its place", "do not rely on this copy: take the chain from another node"),
    row("chain.foreign", 6, 0, FINAL, "The data is of another network", "check the genesis file and the folder"),
    row("chain.fork", 6, 0, FINAL, "Two blocks of one height are certified", "do not use this network: more than a third of a set of validators signed two histories"),
    row("chain.format", 7, 0, FINAL, "The folder was written by another release", "use the release that wrote it"),
    row("chain.height", 6, 0, FINAL, "A block says another height than its place", "do not rely on this copy: take the chain from another node"),
    row("chain.index", 6, 0, FINAL, "A table does not lead to what stands in the blocks", "synchronise the node anew: the blocks are right, its answers are not"),
    row("chain.justify", 6, 0, FINAL, "A block's certificate of its parent does not hold", "do not rely on this copy: take the chain from another node"),
    row("chain.link", 6, 0, FINAL, "The stored link between two epochs is not that of the blocks", "synchronise the node anew: the blocks are right, its answers are not"),
    row("chain.parent", 6, 0, FINAL, "A block does not follow the one below it", "do not rely on this copy: take the chain from another node"),
    row("chain.payload", 6, 0, FINAL, "A block's content is not the one that its header names", "do not rely on this copy: take the chain from another node"),
    row("chain.policy", 6, 0, FINAL, "A block changes the policy against the rules", "do not use this network before its members have explained it"),
    row("chain.private_root", 6, 0, FINAL, "The private state changed where it could not", "do not use this network before its members have explained it"),
    row("chain.proposer", 6, 0, FINAL, "A block is not signed by the leader of its view", "do not rely on this copy: take the chain from another node"),
    row("chain.public_root", 6, 0, FINAL, "A block states another public state than its chain gives", "do not use this network before its members have explained it"),
    row("chain.receipt", 6, 0, FINAL, "A stored receipt cannot be one", "synchronise the node anew, or check another node's data"),
    row("chain.receipt_missing", 7, 0, FINAL, "A receipt is not there", "synchronise the node anew, or check another node's data"),
    row("chain.receipts_root", 6, 0, FINAL, "The stored receipts are not the certified ones", "do not rely on this copy: take the chain from another node"),
    row("chain.recovery", 6, 0, FINAL, "The shares for the recovery members are malformed", "do not use this network before its members have explained it"),
    row("chain.registration", 6, 0, FINAL, "A validator is registered, or leaves, against the rules", "do not use this network before its members have explained it"),
    row("chain.result", 6, 0, FINAL, "The stored result of a block is not what the block gives", "synchronise the node anew: the blocks are right, its answers are not"),
    row("chain.share", 6, 0, FINAL, "A contribution to an epoch's secret is forged", "do not use this network before its members have explained it"),
    row("chain.state", 6, 0, FINAL, "The stored public state is not what the blocks give", "synchronise the node anew: the blocks are right, its answers are not"),
    row("chain.supply", 6, 0, FINAL, "A block states another supply than genesis gave out", "do not use this network before its members have explained it"),
    row("chain.suspension", 6, 0, FINAL, "A block suspends or convicts against the rules", "do not use this network before its members have explained it"),
    row("chain.system", 6, 0, FINAL, "A block's public transactions break a rule", "do not use this network before its members have explained it"),
    row("chain.time", 6, 0, FINAL, "A block is not later than its parent", "do not rely on this copy: take the chain from another node"),
    row("chain.timeout", 6, 0, FINAL, "Views were left out without a certificate that holds", "do not rely on this copy: take the chain from another node"),
    row("chain.unreadable", 7, 0, FINAL, "The folder could not be read", "check the path and its permissions; stop the node, or give a copy of its folder"),
    row("config.invalid", 2, 0, FINAL, "The configuration could not be read", "correct the line that the message names"),
    row("config.unknown_key", 2, 0, FINAL, "The configuration has a key that does not exist", "correct the key that the message names"),
    row("convict.epoch", 5, 422, FINAL, "The proof is of an epoch that this chain does not have", "bring proofs of this chain's epochs only"),
    row("convict.known", 5, 409, FINAL, "The validator is convicted already", "nothing is left to do"),
    row("convict.proof", 5, 422, FINAL, "The proof of equivocation proves nothing", "bring both statements as the validator signed them"),
    row("convict.stranger", 5, 409, FINAL, "Nobody is registered with the convicted key any more", "nothing is left to do"),
    row("db.corrupt", 9, 0, FINAL, "The stored chain does not pass its checks", "restore it, or synchronise anew"),
    row("deal.commitment", 5, 0, FINAL, "A dealt share does not fit its dealer's commitment", "the leader's block gets no votes; the next leader goes on"),
    row("deal.other_secret", 6, 0, RETRY, "A peer gave another secret than the epoch's", "the node asks the next validator by itself"),
    row("deal.recipients", 5, 0, FINAL, "Shares cannot be dealt to the next set", "a KEM key in the registry is no key: its validator must register again"),
    row("deal.record", 5, 0, FINAL, "The next epoch's record does not follow from the shares", "the leader's block gets no votes; the next leader goes on"),
    row("deal.recovery", 5, 0, FINAL, "An epoch's recovery package is not the one that follows from its secret", "the leader's block gets no votes; the next leader goes on"),
    row("deal.secret_sealed", 6, 0, RETRY, "A peer gave a secret that is not sealed to this validator", "the node asks the next validator by itself"),
    row("deal.share_sealed", 5, 0, FINAL, "A dealt share does not open", "the leader's block gets no votes; the next leader goes on"),
    row("deal.shares", 5, 0, FINAL, "A dealer made too few or misshapen shares", "the leader's block gets no votes; the next leader goes on"),
    row("deal.state_keys", 5, 0, FINAL, "The wrapped keys of the state are not those of this state", "the leader's block gets no votes; the next leader goes on"),
    row("deal.unequal", 5, 0, FINAL, "A dealer sealed something else to one validator than to the others", "the leader's block gets no votes; the next leader goes on"),
    row("disk.full", 9, 0, RETRY, "There is too little free space", "free some, then start again"),
    row("epoch.convicted", 5, 0, FINAL, "The validator signed two statements that no honest one signs both", "its key is barred for ever; find out why two machines ran with it, then: tacit node rejoin"),
    row("epoch.holder", 6, 0, FINAL, "A holder of the epoch key is not registered as the record says", "do not seal; ask another node"),
    row("epoch.kept", 6, 0, FINAL, "The set stayed although too few of it are acceptable", "do not seal; ask the operators to renew their evidence, the members to look at policy and collateral"),
    row("epoch.key", 6, 0, FINAL, "The sealing key is not the one of the certified epoch record", "do not trust this node; ask another"),
    row("epoch.leave_waits", 5, 0, RETRY, "The validator asked to leave, and too few would stay", "it leaves when others have joined; run it until then"),
    row("epoch.left", 5, 0, FINAL, "The validator has left", "nothing; its operator can bring it back: tacit node join"),
    row("epoch.newcomers", 5, 0, RETRY, "An epoch takes in only so many validators", "wait for the next epoch"),
    row("epoch.no_seat", 5, 0, FINAL, "Who asks for the epoch's secret has no seat in the epoch", "the node asks again when it has one"),
    row("epoch.not_found", 4, 404, RETRY, "No such epoch here", "check the number against /v1/epochs/current"),
    row("epoch.not_in_force", 5, 0, RETRY, "The secret of an epoch was asked for that is not in force", "the node catches up, and asks again"),
    row("epoch.protocol", 5, 0, RETRY, "The validator's build does not speak the protocol version in force", "start a newer release; it registers by itself"),
    row("epoch.record", 6, 0, FINAL, "The epoch record is not the one that the chain certifies", "do not trust this node; ask another"),
    row("epoch.replaced", 5, 0, RETRY, "The validator registered with other keys than its seat has", "its new keys are seated with the next epoch that is not kept"),
    row("error.not_found", 4, 404, FINAL, "No such error code", "see docs/errors.md"),
    row("events.gap", 7, 410, FINAL, "The events after this cursor are no longer here", "read the blocks since, then follow from now"),
    row("genesis.class", 6, 0, FINAL, "The genesis says another class of network than its trust roots", "a chain with simulated hardware must be a dev chain"),
    row("genesis.hash_mismatch", 6, 0, FINAL, "The genesis is not the one that was pinned", "do not trust this node; check the hash with the network's founders"),
    row("genesis.invalid", 6, 0, FINAL, "The genesis does not pass its own rules", "tacit genesis verify names the rule"),
    row("gov.approved_already", 5, 409, FINAL, "The member has approved this proposal", "nothing is left to do; tacit gov show says who is missing"),
    row("gov.below_quorum", 5, 422, FINAL, "The change would leave fewer than a quorum of validators", "tacit gov show names who would fall out; propose it with --allow-below-quorum if that is meant"),
    row("gov.frozen", 5, 409, FINAL, "This network has no members who could change its policy", "genesis decides that; it needs a new network"),
    row("gov.nobody_left", 5, 422, FINAL, "The change would leave no validator at all", "correct the policy"),
    row("gov.not_a_member", 5, 403, FINAL, "No such member", "tacit gov list names the members"),
    row("gov.not_suspended", 5, 409, FINAL, "What is to be reinstated is not suspended", "tacit gov list names what is"),
    row("gov.other_chain", 5, 409, FINAL, "The statement is signed for another chain", "sign it for this chain"),
    row("gov.policies_pending", 5, 409, RETRY, "Too many adopted policies wait for their time", "wait until one is in force"),
    row("gov.proposal_known", 5, 409, FINAL, "The proposal is open already", "approve it"),
    row("gov.proposal_unknown", 5, 409, FINAL, "No such proposal is open", "tacit gov list names those that are"),
    row("gov.protocol", 5, 409, FINAL, "The proposal names an older protocol version than is adopted", "propose the adopted version or a newer one"),
    row("gov.reinstate", 5, 400, FINAL, "The list of machines to reinstate is not in order", "list each once, in ascending order"),
    row("gov.sequence", 5, 409, FINAL, "The member has a newer proposal open", "sign it anew"),
    row("gov.signature", 5, 422, FINAL, "The member's signature does not hold", "sign with the account that genesis names for the member"),
    row("gov.version", 5, 409, FINAL, "The proposal is not for the next policy version", "make it from the newest adopted policy: tacit attest policy show"),
    row("home.chain_mismatch", 9, 0, FINAL, "The home folder belongs to another chain", "choose another folder"),
    row("home.exists", 9, 0, FINAL, "The home folder is not empty", "choose another folder"),
    row("home.locked", 9, 0, FINAL, "Another process uses this home folder", "stop it first"),
    row("home.missing", 9, 0, FINAL, "The home folder is not initialised", "run: tacit node init"),
    row("identity.equivocation", 6, 0, FINAL, "A validator signed two contradicting statements", "two processes hold its keys, or its disk was set back: its operator must stop both; it is out from the next epoch, and comes back with new keys: tacit node rejoin"),
    row("identity.two_holders", 6, 0, FINAL, "Two processes speak with the keys of one validator", "its operator must stop one of them at once, before they contradict each other"),
    row("internal", 1, 500, FINAL, "Unexpected failure", "report it with the request id and the log around it"),
    row("key.file_mode", 8, 0, FINAL, "Others may read this key", "run: chmod 600 FILE"),
    row("key.lost", 9, 0, RETRY, "The epoch's secret is not in this keyring", "the node asks the other validators for it; where its KEM key is lost too, it registers again by itself"),
    row("key.operator", 8, 0, FINAL, "The operator's key is missing or is none", "put operator.key into the home: it alone may register the name with other keys, or take it off"),
    row("key.other_chip", 8, 0, FINAL, "The keyring was sealed on another chip", "bring the disk back to its machine, or run: tacit node rejoin"),
    row("key.other_measurement", 8, 0, FINAL, "The keyring was sealed by another program", "run the program that sealed it, or run: tacit node rejoin"),
    row("key.sealed_elsewhere", 8, 0, FINAL, "The keyring does not open here: damaged, or of another platform", "run this node where and as it was initialised, or run: tacit node rejoin"),
    row("leak.control_missing", 7, 0, FINAL, "The scan did not find what was planted for it", "the scan proves nothing: report it"),
    row("leak.found", 6, 0, FINAL, "A word that must stay sealed was found in the open", "the report names file and offset"),
    row("leave.known", 5, 409, FINAL, "The validator has asked to leave already", "nothing is left to do; /v1/validators says when it goes"),
    row("leave.other_registration", 5, 409, RETRY, "The request names another registration than is held", "sign it again for the newest registration: tacit node leave"),
    row("leave.signature", 5, 422, FINAL, "The operator's key does not sign the request", "sign it with the key that the registration names: operator.key in the node's home"),
    row("leave.unknown_name", 5, 404, FINAL, "No validator of this name is registered", "check the name against /v1/validators"),
    row("mail.letter", 6, 0, FINAL, "A letter does not open with this wallet's mail key", "the sender used another key; ask them to send again"),
    row("mail.no_key", 4, 0, FINAL, "The recipient has not published a mail key", "ask them to open their wallet once on this chain"),
    row("mempool.full", 5, 503, RETRY, "The node holds as many waiting transactions as it can", "wait for Retry-After seconds, or ask another node"),
    row("names.unknown", 4, 0, FINAL, "No account owns this name", "check the spelling"),
    row("node.draining", 3, 503, RETRY, "The node is about to be stopped and takes nothing new", "ask another node"),
    row("node.no_epoch_key", 3, 503, RETRY, "There is no epoch key yet", "wait for the first epoch to begin"),
    row("node.no_vote", 3, 503, RETRY, "The validator has a seat and does not vote yet", "wait, or see: tacit node join"),
    row("node.probation", 3, 503, RETRY, "The validator has just started and asks the others how far they are", "wait a moment, or ask another validator"),
    row("node.syncing", 3, 503, RETRY, "The node is behind the chain", "wait until /readyz says 200, or ask another node"),
    row("peer.protocol", 5, 0, FINAL, "A peer does not speak the protocol version in force", "its operator must upgrade it"),
    row("policy.chip_taken", 5, 0, FINAL, "Another seat runs on the same chip", "register from another machine"),
    row("policy.family_share", 5, 0, FINAL, "The hardware family has more seats than its share", "other families must join, or members raise the share"),
    row("policy.not_found", 4, 404, FINAL, "No such policy version here", "ask /v1/policy for the version in force"),
    row("policy.vendor_share", 5, 0, FINAL, "The vendor has more seats than its share", "other vendors must join, or members raise the share"),
    row("port.in_use", 9, 0, FINAL, "The port is taken", "choose another port, or stop who listens there"),
    row("proof.bad_signature", 6, 0, FINAL, "A signature of a certificate does not verify", "do not trust this node; ask another"),
    row("proof.collateral", 6, 0, FINAL, "The collateral is not what the chain certifies", "do not trust this node; ask another"),
    row("proof.header", 6, 0, FINAL, "A header does not belong to the certified chain", "do not trust this node; ask another"),
    row("proof.policy", 6, 0, FINAL, "The policy is not the one that the chain certifies", "do not trust this node; ask another"),
    row("proof.receipt", 6, 0, FINAL, "The receipt is not under the certified root", "do not trust this node; ask another"),
    row("proof.state", 6, 0, FINAL, "The answer is not under the certified state root", "do not trust this node; ask another"),
    row("proposal.batches", 5, 0, FINAL, "A proposed block names more bytes of batches than a block may", "the leader's block gets no votes; the next leader goes on"),
    row("proposal.clock", 5, 0, RETRY, "A proposed block is from the future", "check this machine's clock; else the leader's operator must"),
    row("proposal.executed", 5, 0, FINAL, "A proposed block states another execution than this node's", "this node or the leader has diverged: compare /v1/blocks of others"),
    row("proposal.rules", 5, 0, FINAL, "A proposed block breaks a rule of the public lane", "the leader's block gets no votes; the next leader goes on"),
    row("protocol.unsupported", 9, 503, FINAL, "This release does not speak the protocol version of the epoch", "start a release that does; nothing is lost"),
    row("query.ahead", 5, 409, RETRY, "This node has not executed the height asked for", "wait and ask again, or ask another validator"),
    row("query.denied", 5, 403, FINAL, "The asker may not read this", "ask with the account that owns it"),
    row("query.key_changed", 5, 409, RETRY, "The query is sealed to a key that this validator does not hold", "its key changes with each epoch: fetch /v1/light/bundle and seal again"),
    row("query.malformed", 5, 400, FINAL, "The sealed query could not be opened or read", "seal it to the key that this validator's evidence binds"),
    row("query.not_a_validator", 5, 409, FINAL, "This node holds no state and cannot answer private reads", "ask a validator"),
    row("query.stale", 5, 409, RETRY, "The query is too old or was answered already", "ask again with a fresh query and a correct clock"),
    row("quote.failed", 3, 0, FINAL, "This machine gave no evidence of itself", "run this inside an SEV-SNP or TDX guest; the message says what is missing"),
    row("receipt.pending", 3, 202, RETRY, "The receipt cannot be proven yet", "wait for Retry-After seconds: a later block certifies it"),
    row("recovery.none", 4, 0, FINAL, "There is nothing to recover from", "the genesis names no recovery members, or the chain never had keys: nothing can be brought back"),
    row("recovery.not_member", 8, 0, FINAL, "The key is not one of the network's recovery members", "use the wallet whose key the genesis names: tacit gov share key"),
    row("recovery.origin_invalid", 6, 0, FINAL, "The chain that was lost does not prove itself", "take the home of another of its nodes"),
    row("recovery.package_invalid", 6, 0, FINAL, "A recovery package is damaged", "take the data of another node"),
    row("recovery.share_damaged", 6, 0, FINAL, "A released share cannot be read", "ask the member to release it again"),
    row("recovery.share_foreign", 6, 0, FINAL, "A share belongs to another epoch or network", "ask the member to release the share of this state file to this genesis"),
    row("recovery.share_repeated", 6, 0, FINAL, "A member's share is given twice", "give each member's share once"),
    row("recovery.share_sealed", 8, 0, FINAL, "A share is sealed to another key", "ask the member to release it to this genesis, of which this node must be a founder"),
    row("recovery.share_wrong", 6, 0, FINAL, "A share does not fit the commitments on the ledger", "ask the member that is named to release it again; if it stays wrong, take another member's"),
    row("recovery.state_invalid", 6, 0, FINAL, "The state is not the one that the lost chain certified", "give the state file that this genesis was made with"),
    row("recovery.state_missing", 9, 0, FINAL, "The network goes on with a state that this node was not given", "run: tacit node install GENESIS --state FILE --share FILE"),
    row("recovery.too_few", 5, 0, FINAL, "Too few members released their shares", "ask more of them: tacit gov share release"),
    row("register.block_ahead", 5, 409, RETRY, "The evidence is bound to a block that is not known yet", "wait a moment, or ask another node"),
    row("register.block_old", 5, 409, RETRY, "The evidence is bound to a block that is too old", "attest again, bound to a recent block"),
    row("register.convicted", 5, 409, FINAL, "The consensus key is barred: it equivocated", "register with fresh keys: tacit node rejoin"),
    row("register.duplicate_chip", 5, 409, FINAL, "Another validator is registered on the same chip", "register from another machine, or have the other one leave first: tacit node leave"),
    row("register.full", 5, 503, RETRY, "The registry has no room for another name", "wait: names without a seat go when their evidence is long too old"),
    row("register.key_taken", 5, 409, FINAL, "A key belongs to another validator already", "register with keys of this machine's own: tacit node rejoin makes fresh ones"),
    row("register.left", 5, 409, FINAL, "The validator has left", "its operator can bring it back: tacit node join"),
    row("register.name_taken", 5, 409, FINAL, "The name is registered by another operator", "choose another name, or sign with the operator's key of that one"),
    row("register.not_newer", 5, 409, RETRY, "The evidence is not bound to a newer block than what is registered", "attest again, bound to a recent block"),
    row("register.operator", 5, 422, FINAL, "The operator has not signed the registration of a new name", "sign it with the operator's key: tacit node join"),
    row("register.other_block", 5, 422, FINAL, "The evidence is bound to a block of another chain or branch", "attest again, bound to a block of this chain"),
    row("register.other_chain", 5, 409, FINAL, "The evidence is bound to another network", "attest again for this chain"),
    row("register.other_key", 5, 422, FINAL, "The validator is registered with other keys", "renew with the keys that are registered, or have its operator sign: tacit node rejoin"),
    row("register.policy_version", 5, 409, RETRY, "The evidence is bound to another policy version", "attest again under the newest version: tacit attest policy show"),
    row("register.protocol", 5, 409, FINAL, "The build does not speak the protocol version in force", "start a newer release"),
    row("register.quorum", 5, 409, RETRY, "Too many seats have other keys in this epoch already", "try again in the next epoch: the others are seated with their new keys then"),
    row("register.signature", 5, 422, FINAL, "The keys of the validator or its operator do not sign the registration", "sign it with all of its keys"),
    row("register.suspended", 5, 409, FINAL, "The machine or the validator is suspended", "register from another machine, or ask the members to reinstate it: tacit gov list names what is"),
    row("request.malformed", 2, 400, FINAL, "The request could not be read", "compare it with /openapi.json"),
    row("request.method", 2, 405, FINAL, "This path does not have that method", "see /openapi.json for the methods"),
    row("request.not_found", 4, 404, FINAL, "No such path", "see /openapi.json for the paths"),
    row("room.not_found", 4, 0, FINAL, "No such room, or this account is not in it", "tacit wallet room list names the rooms"),
    row("rpc.bad_answer", 3, 0, RETRY, "The node answered something that is not this interface", "check the address, or ask another node"),
    row("rpc.busy", 3, 503, RETRY, "The node serves as many requests as it can", "wait for Retry-After seconds, or ask another node"),
    row("rpc.rate_limited", 3, 429, RETRY, "Too many requests", "wait for Retry-After seconds"),
    row("rpc.stopping", 3, 503, RETRY, "The node is shutting down", "ask another node, or ask again soon"),
    row("rpc.timeout", 3, 504, RETRY, "The node did not finish the request in time", "ask again"),
    row("rpc.too_large", 2, 413, FINAL, "The body is larger than this path accepts", "send less"),
    row("rpc.unreachable", 3, 0, RETRY, "No answer from the node", "check the address and that the node runs: tacit node health"),
    row("safety.rolled_back", 9, 0, FINAL, "The disk does not know what this validator has signed", "it was set back to an earlier state, or another process signs with its keys: find out which; the node stays silent where it must, then goes on by itself"),
    row("snapshot.answer", 6, 0, RETRY, "A peer answers another question than what was asked of a snapshot", "nothing: other peers are asked"),
    row("snapshot.chunk", 6, 0, RETRY, "A chunk of a snapshot is not the one that its manifest names", "nothing: other peers are asked"),
    row("snapshot.chunk_length", 6, 0, RETRY, "A chunk of a snapshot has another length than its manifest says", "nothing: other peers are asked"),
    row("snapshot.disagree", 7, 0, RETRY, "Peers describe a snapshot differently", "nothing, unless it lasts: then connect this node to more validators"),
    row("snapshot.gone", 7, 0, RETRY, "The epoch of a snapshot is over elsewhere", "nothing: the next epoch's is taken"),
    row("snapshot.manifest", 6, 0, RETRY, "The description of a snapshot is one that no honest node makes", "nothing: other peers are asked"),
    row("snapshot.no_seat", 7, 0, RETRY, "A peer gives the private state to seats of its epoch only, and knows of none of this node", "nothing, unless it lasts: compare epochs in /v1/status"),
    row("snapshot.not_held", 7, 0, RETRY, "A peer does not have the snapshot", "nothing: other peers are asked"),
    row("snapshot.public", 6, 0, RETRY, "A snapshot of the public state does not follow from the chain of epochs", "nothing: other peers are asked"),
    row("snapshot.root", 6, 0, RETRY, "A snapshot's contents are not what a quorum certified", "nothing: other peers are asked; keep the log, somebody forges state"),
    row("snapshot.sealed", 6, 0, RETRY, "A snapshot of the private state does not open under the epoch's key", "nothing, unless it lasts: then more validators lie than may; keep the log"),
    row("snapshot.silent", 3, 0, RETRY, "A peer does not answer", "nothing, unless it lasts: then check the connections in /v1/peers"),
    row("standing.refused", 6, 0, RETRY, "What a validator says another one signed cannot be true", "the node asks the other validators by itself"),
    row("suspend.epoch", 5, 409, RETRY, "The vote is of another epoch", "vote again in the current one"),
    row("suspend.full", 5, 409, RETRY, "Too many suspensions are in force", "members must reinstate some: tacit gov propose"),
    row("suspend.in_force", 5, 409, FINAL, "The machines or the validator are suspended", "members can reinstate them: tacit gov propose"),
    row("suspend.seat", 5, 403, FINAL, "No such seat in the current set", "ask /v1/validators for the seats"),
    row("suspend.signature", 5, 422, FINAL, "The seat's node key does not sign the vote", "vote from the validator itself: tacit node suspend"),
    row("suspend.too_many_votes", 5, 409, RETRY, "The validator has too many votes open", "wait for the next epoch"),
    row("suspend.unopened", 5, 0, FINAL, "A validator fills its batches with envelopes that do not open", "the others vote it out by themselves; its operator must run the release that members approved"),
    row("suspend.voted_already", 5, 409, FINAL, "The validator has voted for this suspension", "nothing is left to do; tacit gov list says how many are missing"),
    row("system.block_full", 5, 503, RETRY, "The block has no room for this transaction", "it stays in the pool for the next block"),
    row("system.duplicate", 5, 409, FINAL, "The transaction is already known", "nothing is left to do"),
    row("system.ending", 5, 503, RETRY, "The epoch is ending and takes no such transactions", "bring it again in the next epoch, a few seconds from now"),
    row("system.malformed", 5, 400, FINAL, "The system transaction could not be read", "make it with this release"),
    row("system.not_found", 4, 404, FINAL, "No such system transaction is known here", "bring it again: nodes hold those that wait in memory only"),
    row("system.not_ordinary", 5, 400, FINAL, "Leaders alone make such transactions", "bring collateral, proposals, approvals, votes, registrations, leave requests or proofs"),
    row("system.older", 5, 409, FINAL, "A newer one by the same author waits already", "nothing, or bring one that is newer still"),
    row("system.pool_full", 5, 503, RETRY, "The node holds as many system transactions as it can", "wait for Retry-After seconds, or ask another node"),
    row("system.replaced", 5, 409, FINAL, "A newer one by the same author took its place", "follow the newer one"),
    row("system.too_large", 5, 413, FINAL, "The system transaction is larger than its bound", "send less"),
    row("testnet.exists", 9, 0, FINAL, "A test network exists here with other options", "give --reset to start over"),
    row("testnet.no_namespaces", 9, 0, FINAL, "Nodes cannot have network namespaces of their own here", "run as root, with ip of iproute2; or: tacit testnet up --proxy"),
    row("testnet.no_proxy", 9, 0, FINAL, "The links of this test network are not its own to cut or slow", "stop it, then: tacit testnet up --proxy"),
    row("testnet.not_ready", 3, 0, RETRY, "The test network did not become ready in time", "read its logs: tacit testnet logs"),
    row("testnet.not_running", 9, 0, FINAL, "No test network runs here", "run: tacit testnet up"),
    row("testnet.not_saved", 4, 0, FINAL, "No copy of this node's home was saved", "save one first: tacit testnet rollback NODE --save"),
    row("testnet.unknown_node", 4, 0, FINAL, "No such node in this test network", "tacit testnet status names them"),
    row("trust.anchor_expired", 7, 0, FINAL, "The trusted state is too old to move forward safely", "pin it anew: tacit wallet trust pin"),
    row("trust.clock_skew", 7, 0, RETRY, "The newest header is from the future", "check this machine's clock"),
    row("trust.fork", 6, 0, FINAL, "Two certified headers contradict each other", "stop; keep both files: they prove that more than a third misbehaved"),
    row("trust.missing", 7, 0, FINAL, "Nothing is pinned for this chain", "give --genesis-hash, or run: tacit wallet trust pin"),
    row("trust.stale_head", 7, 0, RETRY, "The newest certified header is too old", "the chain may have stopped, or the node hides blocks: ask another node"),
    row("trust.witness", 6, 0, FINAL, "The second node shows another chain", "do not trust either before the difference is explained"),
    row("tx.bad_signature", 5, 422, FINAL, "The account's signature does not verify", "sign for this chain with the key of the account"),
    row("tx.bucket", 5, 400, FINAL, "The length of the envelope is not one of the size classes", "pad the call to a size class"),
    row("tx.duplicate", 5, 409, FINAL, "The transaction is already known", "ask /v1/txs for its state"),
    row("tx.epoch_closed", 5, 409, RETRY, "Epoch key no longer accepted", "fetch /v1/light/bundle and seal again"),
    row("tx.epoch_unknown", 5, 409, RETRY, "The epoch of the envelope has not begun here", "wait for the node to catch up, or fetch /v1/light/bundle and seal again"),
    row("tx.expired", 5, 409, RETRY, "The envelope expired before it was committed", "seal again"),
    row("tx.expiry_too_far", 5, 400, FINAL, "The expiry height is further away than the chain accepts", "seal again with a nearer expiry"),
    row("tx.failed", 5, 0, FINAL, "The transaction was committed and failed", "the receipt says why"),
    row("tx.malformed", 5, 400, FINAL, "The envelope could not be read", "seal it with this release of the wallet"),
    row("tx.not_found", 4, 404, RETRY, "This node does not know the transaction", "check the id; a transaction sent elsewhere appears once it is committed"),
    row("tx.not_openable", 5, 422, FINAL, "The envelope does not open with the epoch key", "verify the epoch key and seal again"),
    row("tx.session_unsupported", 5, 400, FINAL, "Session envelopes are not accepted yet", "seal with an encapsulated key"),
    row("tx.suite", 5, 400, FINAL, "The cipher suite of the envelope is not accepted", "seal it with this release of the wallet"),
    row("tx.wrong_chain", 5, 409, FINAL, "The envelope is for another chain", "check the genesis hash of the node and of the wallet"),
    row("usage.amount", 2, 0, FINAL, "Not an amount", "write a positive decimal number with at most six digits after the point"),
    row("usage.conflict", 2, 0, FINAL, "Two options contradict each other", "keep one of them"),
    row("usage.invalid", 2, 0, FINAL, "The command was used wrongly", "see --help of that command"),
    row("usage.missing", 2, 0, FINAL, "A needed argument is missing", "see --help of that command"),
    row("usage.not_interactive", 2, 0, FINAL, "An answer is needed but there is no terminal", "give the option that answers the question"),
    row("validator.not_found", 4, 404, FINAL, "No such validator", "ask /v1/validators for names and keys"),
    row("wait.timeout", 3, 504, RETRY, "What was waited for did not happen in time", "ask again, or wait longer"),
    row("wallet.address", 2, 0, FINAL, "Not an address of this network", "check for typing errors and the prefix (tacit1, tacitt1, tacitl1)"),
    row("wallet.bad_password", 8, 0, FINAL, "The password does not open the file", "try again"),
    row("wallet.corrupt", 8, 0, FINAL, "The wallet file could not be read", "restore it from a backup"),
    row("wallet.exists", 9, 0, FINAL, "A wallet with this name exists", "choose another name"),
    row("wallet.file_mode", 8, 0, FINAL, "Others may read this file", "run: chmod 600 FILE (and chmod 700 on its folder)"),
    row("wallet.insufficient", 5, 0, FINAL, "The balance does not cover amount and fee", "send less"),
    row("wallet.not_found", 4, 0, FINAL, "No such wallet", "tacit wallet list names them"),
];

/// `docs/errors.md`, rendered from the table.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for row in CODES {
        let http = if row.http == 0 {
            "-".to_owned()
        } else {
            row.http.to_string()
        };
        let retry = if row.retryable { "yes" } else { "no" };
        page.push_str(&format!(
            "| <a id=\"{code}\"></a>`{code}` | {exit} | {http} | {retry} | {title} | {hint} |\n",
            code = row.code,
            exit = row.exit,
            title = row.title,
            hint = row.hint,
        ));
    }
    page
}

/// What stands above the table in `docs/errors.md`.
const HEAD: &str = "# Errors

Every error names one of these codes. Codes are stable; sentences are not. This page is rendered from
`ledger/src/codes.rs` (`TACIT_BLESS=1 cargo test -p tacit-ledger codes` writes it) and a test compares them.

Exit codes of commands: 0 success, 1 unexpected, 2 usage, 3 cannot reach or timed out, 4 not found, 5 refused by the
chain, 6 verification failed (an attack or a bug), 7 cannot verify (stale or missing data: refresh and retry), 8 key,
password or permission, 9 conflict with local state, 130 interrupted. A dash under HTTP means that no node answers
with this code: a command finds it by itself.

| Code | Exit | HTTP | Retry | Meaning | What to do |
|---|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_well_formed() {
        for pair in CODES.windows(2) {
            assert!(
                pair[0].code < pair[1].code,
                "{} stands before {}",
                pair[0].code,
                pair[1].code
            );
        }
        for row in CODES {
            assert!(row.code.len() <= 40, "{} is too long", row.code);
            assert!(
                row.code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.'),
                "{}",
                row.code
            );
            assert!(
                (1..=9).contains(&row.exit),
                "{} exits with {}",
                row.code,
                row.exit
            );
            assert!(
                row.http == 0 || row.http == 202 || (400..=599).contains(&row.http),
                "{}",
                row.code
            );
            assert!(
                !row.title.is_empty() && !row.hint.is_empty(),
                "{} lacks words",
                row.code
            );
            assert!(
                !row.title.contains('|') && !row.hint.contains('|'),
                "{} breaks its table",
                row.code
            );
            assert_eq!(lookup(row.code), Some(row));
        }
        assert_eq!(lookup("no.such_code"), None);
    }

    /// The words between quotes in a source that look like codes of `prefixes`.
    fn codes_in<'a>(source: &'a str, prefixes: &[&str]) -> Vec<&'a str> {
        let known = |word: &&str| prefixes.iter().any(|prefix| word.starts_with(prefix));
        source.split('"').filter(known).collect()
    }

    #[test]
    fn every_refusal_of_evidence_system_transactions_and_chains_has_a_row() {
        let evidence = codes_in(include_str!("../../attest/src/refusal.rs"), &["attest."]);
        let prefixes = [
            "gov.",
            "suspend.",
            "register.",
            "leave.",
            "convict.",
            "system.",
            "policy.",
            "epoch.",
            "attest.",
        ];
        let ordinary = codes_in(include_str!("refusal.rs"), &prefixes);
        let seats = codes_in(include_str!("state/seats.rs"), &prefixes);
        let dealt = codes_in(include_str!("error.rs"), &["deal."]);
        let chains = codes_in(include_str!("audit/defect.rs"), &["chain."]);
        assert!(evidence.len() > 90 && ordinary.len() > 30 && seats.len() > 5);
        assert!(dealt.len() > 7 && chains.len() > 35);
        let rest = dealt.into_iter().chain(chains);
        for code in evidence.into_iter().chain(ordinary).chain(seats).chain(rest) {
            assert!(lookup(code).is_some(), "{code} has no row");
        }
    }

    #[test]
    fn exit_codes_of_the_interface_hold() {
        let exits = [
            ("internal", 1),
            ("usage.invalid", 2),
            ("rpc.unreachable", 3),
            ("wait.timeout", 3),
            ("tx.not_found", 4),
            ("tx.failed", 5),
            ("tx.expired", 5),
            ("genesis.hash_mismatch", 6),
            ("proof.bad_signature", 6),
            ("attest.measurement_unknown", 6),
            ("trust.anchor_expired", 7),
            ("wallet.bad_password", 8),
            ("wallet.file_mode", 8),
            ("home.locked", 9),
            ("port.in_use", 9),
        ];
        for (code, exit) in exits {
            assert_eq!(lookup(code).map(|row| row.exit), Some(exit), "{code}");
        }
    }

    #[test]
    fn documentation_lists_every_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        if std::env::var_os("TACIT_BLESS").is_some() {
            std::fs::write(&path, markdown()).expect("docs/errors.md is writable");
        }
        let page = std::fs::read_to_string(&path).expect("docs/errors.md exists");
        assert!(
            page == markdown(),
            "docs/errors.md differs from the table: run with TACIT_BLESS=1"
        );
    }
}
