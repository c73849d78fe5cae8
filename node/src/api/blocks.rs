//! Blocks: summaries, certificates, and what they order.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use tacit_consensus::Signers;
use tacit_ledger::{CommittedBlock, format_amount};

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{
    BlockSummary, BlockTx, CommitBody, ExecutedBody, List, Page, borsh64, fresh, parameter, parameters,
    tagged, time,
};

/// Blocks, newest first; the cursor is a height.
#[utoipa::path(
    get,
    path = "/v1/blocks",
    operation_id = "list_blocks",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, default 30"),
        ("after" = Option<String>, Query, description = "`next` of the page before")
    ),
    responses((status = 200, body = List<BlockSummary>), (status = 400, body = ProblemBody))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    query: Result<Query<Page>, QueryRejection>,
) -> Answer<Response> {
    let page = parameters(query)?;
    let (limit, after) = (page.limit()?, page.after()?);
    api.read(move |api| {
        let head = api.height();
        let mut height = after.map_or(head, |after| head.min(after.saturating_sub(1)));
        let first = api.first()?.max(1);
        let mut items = Vec::with_capacity(limit);
        while height >= first && items.len() < limit {
            let Some(block) = api.block_at(height)? else { break };
            items.push(summary(api, &block)?);
            height -= 1;
        }
        let next = items
            .last()
            .filter(|last| last.height > first)
            .map(|last| last.height.to_string());
        Ok(fresh(List { items, next }))
    })
    .await
}

/// One block, by height, hash or `latest`.
#[utoipa::path(
    get,
    path = "/v1/blocks/{id}",
    operation_id = "get_block",
    params(("id" = String, Path, description = "Height, hash or `latest`")),
    responses(
        (status = 200, body = BlockSummary),
        (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "This node does not keep the block any more")
    )
)]
pub(crate) async fn one(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let name = parameter(path)?;
    api.read(move |api| tagged(&summary(api, &api.block_named(&name)?)?, name != "latest"))
        .await
}

/// Why a block is final: its header and the certificate.
#[utoipa::path(
    get,
    path = "/v1/blocks/{id}/commit",
    operation_id = "get_block_commit",
    params(("id" = String, Path, description = "Height, hash or `latest`")),
    responses(
        (status = 200, body = CommitBody),
        (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "This node does not keep the block any more")
    )
)]
pub(crate) async fn commit(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let name = parameter(path)?;
    api.read(move |api| {
        let CommittedBlock { block, proof } = api.block_named(&name)?;
        let members = api.known_record(block.header.epoch)?.validators.len();
        let body = CommitBody {
            header: borsh64(&block.header)?,
            proof: borsh64(&proof)?,
            signers: signers(&proof.certificate.signers, members),
        };
        tagged(&body, name != "latest")
    })
    .await
}

/// The sealed transactions of a block, in their order; the cursor is an index.
#[utoipa::path(
    get,
    path = "/v1/blocks/{id}/txs",
    operation_id = "list_block_txs",
    params(
        ("id" = String, Path, description = "Height, hash or `latest`"),
        ("limit" = Option<u32>, Query, description = "1 to 200, default 30"),
        ("after" = Option<String>, Query, description = "`next` of the page before")
    ),
    responses(
        (status = 200, body = List<BlockTx>),
        (status = 404, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "This node does not keep the block any more")
    )
)]
pub(crate) async fn txs(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Page>, QueryRejection>,
) -> Answer<Response> {
    let (name, page) = (parameter(path)?, parameters(query)?);
    let (limit, after) = (page.limit()?, page.after()?);
    api.read(move |api| {
        let ids = api.ids_at(api.block_named(&name)?.block.header.height)?;
        let start = after.map_or(0, |after| {
            usize::try_from(after.saturating_add(1)).unwrap_or(usize::MAX)
        });
        let mut items = Vec::new();
        for id in ids.iter().skip(start).take(limit) {
            let tx = api
                .tx(id)?
                .ok_or_else(|| Refusal::internal(format!("transaction {id} is missing")))?;
            items.push(BlockTx {
                tx_id: id.to_string(),
                index: tx.index,
                envelope: api.envelope(&tx)?,
            });
        }
        let more = start.saturating_add(items.len()) < ids.len();
        let next = items.last().filter(|_| more).map(|last| last.index.to_string());
        tagged(&List { items, next }, name != "latest")
    })
    .await
}

/// A block without what it orders.
pub(crate) fn summary(api: &Api, committed: &CommittedBlock) -> Answer<BlockSummary> {
    let CommittedBlock { block, proof } = committed;
    let header = &block.header;
    let record = api.known_record(header.epoch)?;
    let leader = record
        .validators
        .get(usize::from(record.committee().leader(header.view)));
    let executed = &header.executed;
    Ok(BlockSummary {
        height: header.height,
        hash: block.id().to_string(),
        parent: header.parent.to_string(),
        time: time(header.time_ms),
        proposer: leader
            .map(|leader| leader.consensus_key.to_string())
            .unwrap_or_default(),
        proposer_name: leader.map(|leader| leader.name.clone()).unwrap_or_default(),
        view: header.view,
        epoch: header.epoch,
        policy_version: record.policy_version,
        tx_count: api.ids_at(header.height)?.len() as u64,
        bytes: borsh::object_length(block).map_err(Refusal::internal)? as u64,
        executed: ExecutedBody {
            height: executed.height,
            public_root: executed.public_root.to_string(),
            private_root: executed.private_root.to_string(),
            receipts_root: executed.receipts_root.to_string(),
            supply: format_amount(executed.supply),
        },
        next_epoch: header.next_epoch.map(|record| record.to_string()),
        signers: signers(&proof.certificate.signers, record.validators.len()),
    })
}

/// One digit for each member.
fn signers(signers: &Signers, members: usize) -> String {
    let mut digits = vec!['0'; members];
    for index in signers.iter() {
        if let Some(digit) = digits.get_mut(usize::from(index)) {
            *digit = '1';
        }
    }
    digits.into_iter().collect()
}
