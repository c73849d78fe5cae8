//! What a node says of its own evidence before it stops being accepted: once when it comes within seven days, two days
//! and twelve hours of that, with the cause and what to update; and again when the cause changes.

use std::collections::BTreeMap;

use tacit_consensus::Millis;

use crate::{
    api::time,
    forecast::{ForecastSet, SetForecast, ValidatorForecast},
};

const HOUR_MS: Millis = 3_600_000;
/// How long before the end a node speaks, in milliseconds, and once more at each step.
const STEPS_MS: [Millis; 3] = [7 * 24 * HOUR_MS, 48 * HOUR_MS, 12 * HOUR_MS];

/// How near the end is: 0 is far, [`STEPS_MS`]'s length is within the last step, one more is refused already.
type Nearness = usize;

/// Remembers what was said.
#[derive(Default)]
pub(crate) struct Warnings {
    said: BTreeMap<ForecastSet, (Nearness, String)>,
}

/// Something to be said now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Warning<'a> {
    pub(crate) forecast: &'a SetForecast,
    pub(crate) nearness: Nearness,
}

impl Warnings {
    /// What is new in a forecast of this node's own evidence. `age_end_ms` is when it is too old whatever else holds,
    /// and `age_max_ms` how old it may be: evidence that only ages is renewed by the node itself, so that is worth a
    /// word only once less than a third of its time is left.
    pub(crate) fn news<'a>(
        &mut self,
        own: &'a ValidatorForecast,
        age_end_ms: Millis,
        age_max_ms: Millis,
        now: Millis,
    ) -> Vec<Warning<'a>> {
        let mut news = Vec::new();
        let mut said = BTreeMap::new();
        // Who leaves because its operator wants it so needs no warning.
        let wanted = |forecast: &&SetForecast| forecast.code != Some("epoch.left");
        for forecast in own.sets.iter().filter(wanted) {
            let ages = forecast.until_ms.is_some_and(|until| until >= age_end_ms);
            let nearness = nearness(forecast, now, ages.then_some(age_max_ms));
            let before = self.said.get(&forecast.set);
            let nearer = before.map_or(nearness > 0, |(was, cause)| {
                nearness > *was || (nearness > 0 && *cause != forecast.cause)
            });
            if nearer {
                news.push(Warning { forecast, nearness });
            }
            said.insert(forecast.set, (nearness, forecast.cause.clone()));
        }
        self.said = said;
        news
    }
}

fn nearness(forecast: &SetForecast, now: Millis, age_max_ms: Option<Millis>) -> Nearness {
    if !forecast.accepted {
        return STEPS_MS.len() + 1;
    }
    let Some(until_ms) = forecast.until_ms else {
        return 0;
    };
    let left = until_ms.saturating_sub(now);
    let most = age_max_ms.map_or(Millis::MAX, |age| age / 3);
    STEPS_MS.iter().filter(|step| left <= **step.min(&&most)).count()
}

impl Warning<'_> {
    /// Writes it to the log: as an error, which means that somebody must act, within twelve hours of the end or beyond
    /// it under rules that hold or are adopted.
    pub(crate) fn log(&self, now: Millis) {
        let Self { forecast, nearness } = self;
        let left_h = forecast.until_ms.map(|until| until.saturating_sub(now) / HOUR_MS);
        let until = forecast.until_ms.map(time);
        let (rules, version) = (forecast.set.name(), forecast.set.version());
        let (code, cause, update) = (forecast.code, &forecast.cause, &forecast.update);
        let binding = matches!(forecast.set, ForecastSet::Today | ForecastSet::Pending { .. });
        if binding && *nearness >= STEPS_MS.len() {
            tracing::error!(rules, version, until, left_h, code, %cause, %update, "{}", self.text());
        } else {
            tracing::warn!(rules, version, until, left_h, code, %cause, %update, "{}", self.text());
        }
    }

    fn text(&self) -> &'static str {
        if self.forecast.accepted {
            "this node's evidence will stop being accepted"
        } else {
            "this node's evidence is not accepted"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::NextSeat;

    const NOW: Millis = 1_790_000_000_000;
    const DAY_MS: Millis = 24 * HOUR_MS;

    fn own(until_ms: Option<Millis>, cause: &str) -> ValidatorForecast {
        ValidatorForecast {
            name: "val-0".into(),
            seat: Some(0),
            next: NextSeat {
                seated: true,
                code: None,
            },
            sets: vec![SetForecast {
                set: ForecastSet::Today,
                accepted: until_ms.is_some(),
                code: until_ms.is_none().then_some("attest.tcb_too_low"),
                ends_for: None,
                until_ms,
                cause: cause.into(),
                update: "the BIOS".into(),
                short: Vec::new(),
            }],
        }
    }

    /// What is said of evidence that ends at `until` for another reason than its age, as time passes.
    fn said(warnings: &mut Warnings, own: &ValidatorForecast, now: Millis) -> Vec<Nearness> {
        let age_end = NOW + 1_000 * DAY_MS;
        warnings
            .news(own, age_end, 7 * DAY_MS, now)
            .iter()
            .map(|warning| warning.nearness)
            .collect()
    }

    #[test]
    fn each_step_is_said_once() {
        let mut warnings = Warnings::default();
        let until = NOW + 30 * DAY_MS;
        let own = own(Some(until), "the leaf certificate ends");
        let mut at = |left: Millis| said(&mut warnings, &own, until - left);
        assert_eq!(at(30 * DAY_MS), [0; 0]);
        assert_eq!(at(7 * DAY_MS + 1), [0; 0]);
        assert_eq!(at(7 * DAY_MS), [1]);
        assert_eq!(at(6 * DAY_MS), [0; 0]);
        assert_eq!(at(48 * HOUR_MS), [2]);
        assert_eq!(at(47 * HOUR_MS), [0; 0]);
        assert_eq!(at(12 * HOUR_MS), [3]);
        assert_eq!(at(1), [0; 0]);
    }

    #[test]
    fn another_cause_and_a_refusal_are_news_and_what_is_cured_can_come_again() {
        let mut warnings = Warnings::default();
        let soon = own(Some(NOW + DAY_MS), "the collateral ends");
        assert_eq!(said(&mut warnings, &soon, NOW), [2]);
        let other = own(Some(NOW + DAY_MS), "the leaf certificate ends");
        assert_eq!(said(&mut warnings, &other, NOW), [2]);
        let refused = own(None, "SNP firmware 20, needs 24");
        assert_eq!(said(&mut warnings, &refused, NOW), [4]);
        assert_eq!(said(&mut warnings, &refused, NOW), [0; 0]);
        let cured = own(Some(NOW + 300 * DAY_MS), "age");
        assert_eq!(said(&mut warnings, &cured, NOW), [0; 0]);
        assert_eq!(said(&mut warnings, &refused, NOW), [4]);
    }

    /// Evidence may be a week old at most, so its age alone always ends it within seven days.
    #[test]
    fn evidence_that_only_ages_is_renewed_in_time_and_not_warned_of_before() {
        let mut warnings = Warnings::default();
        let (age_max, end) = (6 * DAY_MS, NOW + 6 * DAY_MS);
        let own = own(Some(end), "the evidence is too old then");
        let mut at = |left: Millis| -> Vec<Nearness> {
            let news = warnings.news(&own, end, age_max, end - left);
            news.iter().map(|warning| warning.nearness).collect()
        };
        assert_eq!(at(6 * DAY_MS), [0; 0]);
        assert_eq!(at(3 * DAY_MS), [0; 0], "the node attests again about now");
        assert_eq!(at(2 * DAY_MS), [2], "that did not work");
        assert_eq!(at(HOUR_MS), [3]);
    }
}
