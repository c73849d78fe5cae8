//! The liar: everything it can sign, and put together from what was sent.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use tacit_consensus::{
    Block, Certificate, Digest, Executed, Header, Message, Payload, Phase, Signature, Signer, Signers,
    Timeout, TimeoutCertificate, TimeoutEntry, Vote,
};

use super::{
    SEATS, VIEWS,
    machine::{CHAIN, anchor, committee},
    messages::{Bits, QUORUM, Sent, Table},
};
use crate::consensus_sim::toy;

/// All that was sent, and what is final by it: height, id and parent.
#[derive(Clone)]
pub(super) struct Soup {
    pub(super) sent: Bits,
    pub(super) finals: Rc<[(u64, Digest, Digest)]>,
}

pub(super) struct Liar {
    seat: u16,
    signer: Arc<dyn Signer>,
    /// What was said by the honest, with all that follows from it for the liar.
    known: HashMap<Bits, Soup>,
}

impl Liar {
    pub(super) fn new(seat: u16) -> Self {
        Self {
            seat,
            signer: toy::signer(false, seat),
            known: HashMap::new(),
        }
    }

    /// All that can be delivered once the honest have said this.
    pub(super) fn soup(&mut self, said: Bits, table: &mut Table) -> Soup {
        if let Some(soup) = self.known.get(&said) {
            return soup.clone();
        }
        let mut soup = said;
        loop {
            let before = soup;
            let mut more: Vec<Message> = Vec::new();
            let certificates = self.certificates(soup, table);
            for view in 1..=VIEWS {
                self.propose(view, &certificates, soup, table, &mut more);
                let highs = certificates.iter().filter(|high| high.view < view);
                more.extend(highs.map(|high| self.timeout(view, high)));
            }
            self.vote(soup, table, &mut more);
            for message in more {
                let from = self.seat;
                soup.insert(table.number(Sent { from, message }));
            }
            if soup == before {
                break;
            }
        }
        let finals = table.finals(soup).into();
        let soup = Soup { sent: soup, finals };
        self.known.insert(said, soup.clone());
        soup
    }

    /// The anchor's certificate, and one for each block that has votes enough.
    fn certificates(&self, soup: Bits, table: &Table) -> Vec<Certificate> {
        let mut found = vec![Certificate::genesis(&anchor())];
        let mut ballots: Vec<_> = table.ballots(soup).into_iter().collect();
        ballots.sort_by_key(|((_, view, _, block), _)| (*view, *block));
        for ((phase, view, height, block), mut votes) in ballots {
            votes.truncate(QUORUM);
            votes.sort_unstable();
            if phase != Phase::Certify || votes.len() < QUORUM || view > VIEWS {
                continue;
            }
            let signatures = votes.iter().filter_map(|(_, at)| match &table.get(*at).message {
                Message::Vote(vote) => Some(vote.signature),
                _ => None,
            });
            found.push(Certificate {
                epoch: 1,
                view,
                height,
                block,
                phase,
                signers: Signers::new(usize::from(SEATS), votes.iter().map(|(voter, _)| *voter)),
                signatures: signatures.collect(),
            });
        }
        found
    }

    /// Timeout certificates of a view, one for each set of three and what they report.
    fn given_up(&self, view: u64, soup: Bits, table: &Table) -> Vec<TimeoutCertificate> {
        let mut timeouts: Vec<(u16, TimeoutEntry)> = Vec::new();
        for at in soup.iter().take_while(|at| (*at as usize) < table.len()) {
            if let Message::Timeout(one) = &table.get(at).message
                && one.view == view
            {
                let entry = TimeoutEntry {
                    voter: one.voter,
                    high_view: one.high.view,
                    signature: one.signature,
                };
                timeouts.push((one.voter, entry));
            }
        }
        timeouts.sort_by_key(|(voter, entry)| (*voter, entry.high_view));
        let mut found = Vec::new();
        for (at, (a, first)) in timeouts.iter().enumerate() {
            for (bt, (b, second)) in timeouts
                .iter()
                .enumerate()
                .skip(at + 1)
                .filter(|(_, (b, _))| b > a)
            {
                for (_, third) in timeouts.iter().skip(bt + 1).filter(|(c, _)| c > b) {
                    let entries = vec![*first, *second, *third];
                    found.push(TimeoutCertificate {
                        epoch: 1,
                        view,
                        entries,
                    });
                }
            }
        }
        found
    }

    /// Two blocks upon each justification, where it leads.
    fn propose(&self, view: u64, highs: &[Certificate], soup: Bits, table: &Table, out: &mut Vec<Message>) {
        if committee().leader(view) != self.seat {
            return;
        }
        let direct = highs
            .iter()
            .filter(|high| high.view + 1 == view)
            .map(|high| (high, None));
        let mut grounds: Vec<(&Certificate, Option<TimeoutCertificate>)> = direct.collect();
        let given_up = self.given_up(view - 1, soup, table);
        for high in highs {
            let fits = |tc: &&TimeoutCertificate| high.view < tc.view && tc.max_high_view() <= high.view;
            grounds.extend(given_up.iter().find(fits).map(|tc| (high, Some(tc.clone()))));
        }
        for (high, timeout) in grounds {
            for tag in 0..2 {
                out.push(Message::Proposal(Box::new(self.block(
                    view,
                    high,
                    timeout.clone(),
                    tag,
                ))));
            }
        }
    }

    fn block(&self, view: u64, high: &Certificate, timeout: Option<TimeoutCertificate>, tag: u8) -> Block {
        let payload = Payload {
            batches: vec![Digest([0xf0 + tag; 32])],
            system: Vec::new(),
        };
        let mut block = Block {
            header: Header {
                chain: CHAIN,
                epoch: 1,
                height: high.height + 1,
                view,
                parent: high.block,
                time_ms: 10 + view,
                payload_root: payload.root(),
                executed: Executed::default(),
                next_epoch: None,
            },
            payload,
            justify: high.clone(),
            timeout,
            commit: None,
            signature: Signature([0; 64]),
        };
        block.signature = self.signer.sign(&block.signed_header().message().0);
        block
    }

    /// Both votes for every block that was proposed.
    fn vote(&self, soup: Bits, table: &Table, out: &mut Vec<Message>) {
        for at in soup.iter().take_while(|at| (*at as usize) < table.len()) {
            let Message::Proposal(block) = &table.get(at).message else {
                continue;
            };
            let header = &block.header;
            if header.view > VIEWS {
                continue;
            }
            for phase in [Phase::Certify, Phase::Finalize] {
                let mut vote = Vote {
                    epoch: 1,
                    view: header.view,
                    height: header.height,
                    block: block.id(),
                    phase,
                    voter: self.seat,
                    signature: Signature([0; 64]),
                };
                vote.signature = self.signer.sign(&vote.message(&CHAIN).0);
                out.push(Message::Vote(vote));
            }
        }
    }

    fn timeout(&self, view: u64, high: &Certificate) -> Message {
        let mut timeout = Timeout {
            epoch: 1,
            view,
            high: high.clone(),
            voter: self.seat,
            signature: Signature([0; 64]),
        };
        timeout.signature = self.signer.sign(&timeout.signed().message(&CHAIN).0);
        Message::Timeout(Box::new(timeout))
    }
}
