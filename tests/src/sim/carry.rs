//! Effects carried out, and packets taken in, as `node/src/edge` does it: decoded within their bounds, blocks
//! served from the store, envelopes opened beside the replica.

use std::sync::Arc;

use tacit_consensus::{Epoch, Message};
use tacit_ledger::{Batch, Envelope, MAX_BATCH_BYTES, OpenedEnvelope, SealingSecret, codec, open_envelope};
use tacit_node::{
    replica::{Effect, Input, Offence, Question, SystemSource},
    serving,
    wire::{
        Direct, FetchRequest, FetchResponse, MAX_BATCHES_PER_FETCH, MAX_DIRECT_BYTES,
        MAX_FETCH_RESPONSE_BYTES, RelayRefused, SystemGossip,
    },
};

use super::{
    wire::{Delivery, Packet},
    world::World,
};

/// Opened envelopes kept.
const OPENED: usize = 4_096;
/// Direct messages kept for replays.
const OVERHEARD: usize = 512;

impl World {
    /// Carries out effects in their order, up to the one that says that the node must stop.
    pub(super) fn carry(&mut self, index: usize, effects: Vec<Effect>) {
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            let node = &mut self.nodes[index];
            if node.dies_in == Some(0) {
                self.kill(index);
                self.fallen.push(index);
                return;
            }
            node.dies_in = node.dies_in.map(|left| left - 1);
            if let Effect::Halt(reason) = effect {
                node.seen.after_halt += effects.count();
                node.halted = Some(format!("{}: {}", reason.code, reason.detail));
                node.replica = None;
                node.opener = None;
                self.fallen.push(index);
                return;
            }
            self.one(index, effect);
        }
    }

    fn one(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Send { to, direct } => {
                for to in self.holders(&to) {
                    self.send(index, to, direct.clone());
                }
            }
            Effect::Answer { reply, response } => self.serve_asked(index, reply, *response),
            Effect::TwoHolders { validator } => self.nodes[index].seen.two_holders.push(validator),
            Effect::Met { peer, hello, speaks } => {
                self.nodes[index].seen.met.insert(peer, (hello, speaks));
            }
            Effect::PublishBatch(batch) => {
                let bytes = borsh::to_vec(&batch).expect("encoded");
                if !self.mute.contains(&index) {
                    self.gossip_batch(index, &bytes);
                }
            }
            Effect::Announce(announcement) => {
                // What others than validators announce is not passed on.
                if self.nodes[index].vault.is_some() {
                    self.gossip(index, || Packet::Announcement(announcement));
                }
            }
            Effect::Request { request, to, what } => {
                let node = &mut self.nodes[index];
                match what {
                    FetchRequest::Blocks { .. } => node.seen.asked.0 += 1,
                    FetchRequest::Chunk { snapshot, index } => node.seen.chunks.push((snapshot, index)),
                    FetchRequest::Share { .. } => node.seen.asked_share += 1,
                    FetchRequest::Standing | FetchRequest::Hello(_) => {}
                    _ => node.seen.asked.1 += 1,
                }
                let life = node.life;
                tracing::debug!(node = index, request, what = asked(&what), "asks");
                let holders = self.holders(&to);
                if holders.is_empty() {
                    // Nobody has these keys any more: no answer comes.
                    let response = None;
                    self.post(
                        index,
                        index,
                        Packet::Response {
                            life,
                            request,
                            response,
                        },
                    );
                    return;
                }
                let to = holders[request as usize % holders.len()];
                self.note(&[
                    b"request",
                    &index.to_le_bytes(),
                    &borsh::to_vec(&what).expect("encoded"),
                ]);
                self.post(index, to, Packet::Request { life, request, what });
            }
            Effect::Open(batch) => self.open(index, *batch),
            Effect::Epoch { record, opener, kem } => {
                let node = &mut self.nodes[index];
                node.opener = opener.map(|secret| (record.epoch, secret));
                node.kem = kem;
            }
            Effect::Opener { epoch, opener } => self.nodes[index].opener = Some((epoch, opener)),
            Effect::ProposalRefused {
                leader,
                refused,
                view,
                ..
            } => {
                tracing::debug!(
                    node = index,
                    leader,
                    view,
                    code = refused.code,
                    detail = refused.detail,
                    "refuses"
                );
                self.nodes[index].seen.refused_proposals.push((leader, refused));
            }
            Effect::KemKey { reply, result } => {
                self.nodes[index].seen.kem_keys.insert(reply, result);
            }
            Effect::ServeShare { reply, result } => {
                self.nodes[index].seen.shares.insert(reply, result.clone());
                let result = result.map_err(|refused| RelayRefused {
                    code: refused.code.to_owned(),
                    detail: refused.detail,
                });
                self.serve_asked(index, reply, FetchResponse::Share(result));
            }
            Effect::Committed {
                height,
                envelopes,
                unopened,
                system: _,
            } => {
                self.note(&[b"committed", &index.to_le_bytes(), &height.to_le_bytes()]);
                self.check_committed(index, height, &envelopes);
                let entry = (self.now, envelopes, unopened);
                self.nodes[index].seen.committed.insert(height, entry);
            }
            Effect::GossipVerdict { token, verdict } => {
                self.nodes[index].seen.verdicts.insert(token, verdict);
            }
            Effect::Serve { reply, batches } => {
                self.serve_asked(index, reply, FetchResponse::Batches(batches));
            }
            Effect::Submitted { reply, result } => {
                self.nodes[index].seen.submitted.insert(reply, result);
            }
            Effect::PublishSystem(gossip) => {
                if !self.mute.contains(&index) {
                    let bytes = borsh::to_vec(&gossip).expect("encoded");
                    self.note(&[b"system", &index.to_le_bytes(), &bytes]);
                    self.gossip(index, || Packet::System(bytes.clone()));
                }
            }
            Effect::SystemTaken { reply, result } => {
                self.nodes[index].seen.system_taken.insert(reply, result);
            }
            Effect::SystemDropped { id, refused } => {
                self.nodes[index].seen.system_dropped.insert(id, refused);
            }
            Effect::Answered { reply, result } => {
                self.nodes[index].seen.answered.insert(reply, result);
            }
            Effect::Load(job) => {
                let life = self.nodes[index].life;
                let began = self.clock.map(|clock| clock());
                let loaded = Box::new(job.run());
                self.spent(index, began);
                self.post(index, index, Packet::Loaded { life, loaded });
            }
            Effect::Jumped { height } => {
                self.note(&[b"jumped", &index.to_le_bytes(), &height.to_le_bytes()]);
                self.checker.jumped(index, height);
                self.nodes[index].seen.jumps.push(height);
            }
            Effect::Expired(ids) => self.nodes[index].seen.expired.extend(ids),
            Effect::Penalise { peer, offence } => self.nodes[index].seen.penalties.push((peer, offence)),
            Effect::Equivocation { validator } => self.nodes[index].seen.equivocations.push(validator),
            Effect::Halt(_) => unreachable!("carried by the caller"),
        }
    }

    fn send(&mut self, from: usize, to: usize, direct: Direct) {
        // A broadcast says the same to each: it is looked at once.
        let changed = self.crook.is_some() && (self.crooked.is_empty() || self.crooked.contains(&from));
        if !changed && self.nodes[from].last_said == direct.message {
            return self.send_bytes(from, to, direct);
        }
        let Ok(message) = Message::decode(&direct.message) else {
            assert!(
                direct.message.is_empty(),
                "node {from} sends what nobody can read"
            );
            return self.send_bytes(from, to, direct);
        };
        self.check_said(from, &message);
        self.nodes[from].last_said.clone_from(&direct.message);
        let Some(mut crook) = self.crook.take_if(|_| changed) else {
            return self.send_bytes(from, to, direct);
        };
        for message in crook(from, to, message) {
            let direct = Direct {
                message: message.encode(),
                ..direct.clone()
            };
            self.send_bytes(from, to, direct);
        }
        self.crook = Some(crook);
    }

    pub(super) fn send_bytes(&mut self, from: usize, to: usize, direct: Direct) {
        let bytes = borsh::to_vec(&direct).expect("encoded");
        if let Some(weather) = &mut self.weather {
            weather.overhear(from, &bytes);
        }
        self.note(&[b"direct", &from.to_le_bytes(), &to.to_le_bytes(), &bytes]);
        if self.overheard.len() == OVERHEARD {
            self.overheard.pop_front();
        }
        self.overheard.push_back((from, to, bytes.clone()));
        self.post(from, to, Packet::Direct(bytes));
    }

    pub(super) fn gossip_batch(&mut self, from: usize, bytes: &[u8]) {
        self.note(&[b"batch", &from.to_le_bytes(), bytes]);
        self.gossip(from, || Packet::Batch(bytes.to_vec()));
    }

    fn open(&mut self, index: usize, batch: Batch) {
        let node = &self.nodes[index];
        let Some((epoch, secret)) = node.opener.clone().filter(|(epoch, _)| *epoch == batch.epoch) else {
            return;
        };
        let total = batch.envelopes.len();
        let found = batch
            .envelopes
            .iter()
            .filter_map(|envelope| self.opens(epoch, &secret, envelope));
        let envelopes: Vec<_> = found.collect();
        let failed = u32::try_from(total - envelopes.len()).expect("few");
        let life = self.nodes[index].life;
        self.post(
            index,
            index,
            Packet::Opened {
                life,
                epoch,
                envelopes,
                failed,
            },
        );
    }

    /// An envelope, opened once for all who hold the epoch's secret: opening costs more than all the rest of a node's work.
    pub(super) fn opens(
        &mut self,
        epoch: Epoch,
        secret: &SealingSecret,
        envelope: &Envelope,
    ) -> Option<Arc<OpenedEnvelope>> {
        let open = || open_envelope(secret, envelope).ok().map(Arc::new);
        if self.opened.len() > OPENED {
            self.opened.clear();
        }
        let found = self.opened.entry((epoch, envelope.id())).or_insert_with(open);
        found.clone()
    }

    /// The replica's answer to a peer's question.
    fn serve_asked(&mut self, index: usize, reply: u64, response: FetchResponse) {
        let Some((asker, life, request)) = self.checker.questions.remove(&(index, reply)) else {
            return;
        };
        self.respond(index, asker, life, request, response);
    }

    fn respond(&mut self, server: usize, asker: usize, life: u64, request: u64, response: FetchResponse) {
        let response = match &mut self.server {
            Some(crook) => crook(server, response),
            None => response,
        };
        if self.silent.contains(&server) {
            return;
        }
        let bytes = borsh::to_vec(&response).expect("encoded");
        self.note(&[b"response", &server.to_le_bytes(), &bytes]);
        let response = codec::decode::<FetchResponse>(&bytes, MAX_FETCH_RESPONSE_BYTES).ok();
        self.post(
            server,
            asker,
            Packet::Response {
                life,
                request,
                response,
            },
        );
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let Delivery { from, to, packet } = delivery;
        let up = self.nodes[to].replica.is_some();
        let life = self.nodes[to].life;
        match packet {
            Packet::Request { life, request, what } if !up => {
                drop(what);
                let response = None;
                self.post(
                    to,
                    from,
                    Packet::Response {
                        life,
                        request,
                        response,
                    },
                );
            }
            _ if !up => {}
            Packet::Connected(peer) => self.input(to, Input::Connected(peer)),
            Packet::Disconnected(peer) => self.input(to, Input::Disconnected(peer)),
            Packet::Direct(bytes) => self.take_direct(from, to, &bytes),
            Packet::Batch(bytes) => {
                self.take_batch(to, &bytes);
            }
            Packet::System(bytes) => {
                self.take_system(to, &bytes);
            }
            Packet::Announcement(announcement) => {
                let from = self.key_of(from);
                self.input(to, Input::Announced { from, announcement });
            }
            Packet::Request { life, request, what } => self.serve(to, from, life, request, what),
            Packet::Response {
                life: asked_in,
                request,
                response,
            } if asked_in == life => {
                let found = response.as_ref().map(answered);
                tracing::debug!(node = to, from, request, found, "is answered");
                let from = self.key_of(from);
                self.input(
                    to,
                    Input::Fetched {
                        request,
                        from,
                        response,
                    },
                );
            }
            Packet::Opened {
                life: asked_in,
                epoch,
                envelopes,
                failed,
            } if asked_in == life => self.input(
                to,
                Input::Opened {
                    epoch,
                    envelopes,
                    failed,
                },
            ),
            Packet::Loaded {
                life: asked_in,
                loaded,
            } if asked_in == life => self.input(to, Input::Loaded(loaded)),
            Packet::Response { .. } | Packet::Opened { .. } | Packet::Loaded { .. } => {}
        }
    }

    /// Bytes on a direct stream.
    pub fn take_direct(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let peer = self.key_of(from);
        match codec::decode::<Direct>(bytes, MAX_DIRECT_BYTES) {
            Ok(direct) => self.input(to, Input::Direct { from: peer, direct }),
            Err(_) => self.nodes[to].seen.penalties.push((peer, Offence::Malformed)),
        }
    }

    /// A gossiped batch; the number under which the verdict comes, or none when it does not decode.
    pub fn take_batch(&mut self, to: usize, bytes: &[u8]) -> Option<u64> {
        let batch = codec::decode::<Batch>(bytes, MAX_BATCH_BYTES).ok()?;
        let token = self.reply();
        let batch = Box::new(batch);
        self.input(to, Input::Batch { token, batch });
        Some(token)
    }

    /// A gossiped system transaction; the number under which the verdict comes, or none when it does not decode.
    pub fn take_system(&mut self, to: usize, bytes: &[u8]) -> Option<u64> {
        let tx = SystemGossip::decode(bytes)?;
        let token = self.reply();
        let (source, tx) = (SystemSource::Gossip { token }, Box::new(tx));
        self.input(to, Input::System { source, tx });
        Some(token)
    }

    fn serve(&mut self, server: usize, asker: usize, life: u64, request: u64, what: FetchRequest) {
        match what {
            FetchRequest::Batches(digests) => {
                assert!(
                    digests.len() <= MAX_BATCHES_PER_FETCH,
                    "more than a server answers"
                );
                let reply = self.reply();
                self.checker
                    .questions
                    .insert((server, reply), (asker, life, request));
                self.input(server, Input::WantBatches { reply, digests });
            }
            FetchRequest::Standing | FetchRequest::Hello(_) => {
                let reply = self.reply();
                self.checker
                    .questions
                    .insert((server, reply), (asker, life, request));
                let from = self.key_of(asker);
                let question = match what {
                    FetchRequest::Hello(hello) => Question::Hello(hello),
                    _ => Question::Standing,
                };
                self.input(
                    server,
                    Input::Asked {
                        reply,
                        from,
                        question,
                    },
                );
            }
            FetchRequest::Share { epoch } => {
                let reply = self.reply();
                self.checker
                    .questions
                    .insert((server, reply), (asker, life, request));
                let from = self.key_of(asker);
                self.input(server, Input::WantShare { reply, from, epoch });
            }
            FetchRequest::Submit(_) | FetchRequest::System(_) => unreachable!("no replica relays"),
            stored => {
                let (store, record) = (
                    self.nodes[server].store.clone(),
                    self.nodes[server].up().record().clone(),
                );
                let answer = serving::answer(&*store, &record, &self.key_of(asker), &stored);
                self.respond(
                    server,
                    asker,
                    life,
                    request,
                    answer.expect("what a store alone answers"),
                );
            }
        }
    }
}

/// For a log: what a question is about.
fn asked(what: &FetchRequest) -> String {
    match what {
        FetchRequest::Blocks { from, limit } => format!("{limit} blocks from {from}"),
        FetchRequest::Batches(digests) => format!("{} batches, {:?} first", digests.len(), digests.first()),
        FetchRequest::Epochs { from } => format!("epochs from {from}"),
        FetchRequest::Share { epoch } => format!("the secret of epoch {epoch}"),
        FetchRequest::Manifest(id) => format!("manifest {id:?}"),
        FetchRequest::Chunk { snapshot, index } => format!("chunk {index} of {snapshot:?}"),
        FetchRequest::Standing => "standing".into(),
        FetchRequest::Hello(_) => "hello".into(),
        FetchRequest::Submit(_) | FetchRequest::System(_) => "a relay".into(),
    }
}

/// For a log: what an answer brings.
fn answered(response: &FetchResponse) -> String {
    match response {
        FetchResponse::Blocks(blocks) => format!("{} blocks", blocks.len()),
        FetchResponse::Batches(batches) => format!("{} batches", batches.len()),
        FetchResponse::Pruned { first } => format!("nothing below {first}"),
        FetchResponse::Epochs(links) => format!("{} epochs", links.len()),
        FetchResponse::Standing(answer) => format!("standing at height {}", answer.height),
        FetchResponse::Share(given) => format!("a secret: {}", given.is_ok()),
        FetchResponse::Manifest(given) => format!("a manifest: {}", given.is_ok()),
        FetchResponse::Chunk(given) => format!("a chunk: {}", given.is_ok()),
        _ => "other".into(),
    }
}
