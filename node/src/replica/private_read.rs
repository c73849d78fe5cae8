//! Private reads: answered from the newest state that a final header proves, never from anything newer or
//! hypothetical.

use tacit_ledger::{Answer, AnswerEntry, Query, ReadError};

use super::{Effect, Refused, Replica};

impl Replica {
    pub(super) fn private_read(&mut self, reply: u64, query: &Query) {
        let result = self.read(query).map(Box::new);
        self.out.push(Effect::Answered { reply, result });
    }

    fn read(&self, query: &Query) -> Result<Answer, Refused> {
        let private = self
            .private
            .as_ref()
            .ok_or_else(|| Refused::new("query.not_a_validator", "this node holds no private state"))?;
        self.unsettled()?;
        let (header, proof) = self
            .certified
            .header
            .clone()
            .ok_or_else(|| Refused::new("node.syncing", "no final block names an executed state yet"))?;
        let height = header.executed.height;
        if height < query.min_height {
            let detail = format!("proven up to height {height}, asked for {}", query.min_height);
            return Err(Refused::new("query.ahead", detail));
        }
        let entries = query
            .keys
            .iter()
            .map(|key| match private.read(&query.account, key, height) {
                Ok(entry) => Ok(AnswerEntry::Proven(entry)),
                Err(ReadError::Denied) => Ok(AnswerEntry::Denied { key: key.clone() }),
                Err(error @ ReadError::HeightGone { .. }) => {
                    Err(Refused::new("node.syncing", error.to_string()))
                }
            })
            .collect::<Result<Vec<_>, Refused>>()?;
        Ok(Answer {
            fresh: query.fresh,
            executed: header.executed,
            epoch: header.epoch,
            header,
            proof,
            entries,
        })
    }
}
