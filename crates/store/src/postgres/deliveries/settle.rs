//! What came of attempts: however many at once, by one statement for each table that is read or written.

use std::collections::{BTreeSet, HashMap};

use switchboard_model::{
    Webhook,
    delivery::{AttemptResult, Delivery, DeliveryStatus},
    id::Id,
    webhook::DisabledReason,
};

use crate::{
    Result,
    base::{
        deliveries::UNTRIED,
        outcomes::{OutcomeSummary, Standing},
    },
    postgres::{
        engine::{
            columns::{Bits, Name, Number},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        webhooks,
    },
};

/// A result of what is settled, or gone with its webhook, changes nothing. Answers which webhooks this
/// has disabled.
///
/// Webhooks are locked before deliveries, as by everybody, and each by its place in one order.
pub(super) async fn settle(
    tx: &Tx,
    results: &[AttemptResult],
) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
    let of: BTreeSet<_> = results.iter().map(|result| result.webhook_id).collect();
    let bad = results.iter().filter(|result| result.error.is_some() || result.is_gone());
    let that_failed: BTreeSet<_> = bad.map(|result| result.webhook_id).collect();
    let (of, that_failed): (Vec<_>, Vec<_>) =
        (of.into_iter().collect(), that_failed.into_iter().collect());
    let (known, waiting) = tokio::try_join!(
        webhooks::to_be_noted(&tx.sql, &of, &that_failed),
        waiting(&tx.sql, results),
    )?;
    let (settled, counted) = judge(waiting, results);
    let (standings, disabled) = note(known, &counted);
    let changed: Vec<_> = settled.iter().filter(|one| one.last.is_some()).collect();
    let failures: Vec<_> = changed.iter().flat_map(|one| one.failures()).collect();
    tokio::try_join!(
        write_down(&tx.sql, &changed),
        add_failures(&tx.sql, &failures),
        webhooks::set_standings(&tx.sql, &standings),
    )?;
    Ok(disabled)
}

/// A delivery that waits for what comes of an attempt, and what has come.
struct Waiting<'a> {
    seq: i64,
    id: Id<Delivery>,
    attempts: u32,
    earlier_attempts: u32,
    is_due: bool,
    failed: Vec<&'a AttemptResult>,
    last: Option<&'a AttemptResult>,
}

impl<'a> Waiting<'a> {
    /// Whether it was waited for.
    fn take(&mut self, result: &'a AttemptResult) -> bool {
        let is_next = self.attempts.checked_add(1) == Some(result.attempts);
        if !(self.is_due && is_next && self.id == result.delivery_id) {
            return false;
        }
        self.attempts = result.attempts;
        self.is_due = result.error.is_some() && result.next_attempt_at.is_some();
        if result.error.is_some() {
            self.failed.push(result);
        }
        self.last = Some(result);
        true
    }

    fn failures(&self) -> impl Iterator<Item = (i64, u32, &'a AttemptResult)> {
        let (seq, before) = (self.seq, self.earlier_attempts);
        self.failed.iter().map(move |result| (seq, before.saturating_add(result.attempts), *result))
    }
}

/// The deliveries that these are of, as far as they are due. They stay so until the transaction ends.
async fn waiting<'a>(sql: &Sql, results: &'a [AttemptResult]) -> Result<Vec<Waiting<'a>>> {
    let seqs: Vec<i64> = results.iter().map(|result| result.seq).collect();
    statement::all(
        sql,
        "select seq, id, attempts, earlier_attempts from deliveries
         where seq = any($1) and status = 'due' order by seq for update",
        &[&seqs],
        |row| {
            Ok(Waiting {
                seq: row.try_get(0)?,
                id: row.try_get::<_, Bits<_>>(1)?.id(),
                attempts: row.try_get::<_, Number<_>>(2)?.0,
                earlier_attempts: row.try_get::<_, Number<_>>(3)?.0,
                is_due: true,
                failed: Vec::new(),
                last: None,
            })
        },
    )
    .await
}

/// Takes the results in their order; answers with those that count.
fn judge<'a>(
    mut waiting: Vec<Waiting<'a>>,
    results: &'a [AttemptResult],
) -> (Vec<Waiting<'a>>, Vec<&'a AttemptResult>) {
    let counted = results.iter().filter(|result| {
        let found = waiting.binary_search_by_key(&result.seq, |one| one.seq);
        found.is_ok_and(|place| waiting[place].take(result))
    });
    let counted = counted.collect();
    (waiting, counted)
}

/// What the results that count say of their webhooks, and which are disabled for it.
#[expect(clippy::type_complexity, reason = "two lists of pairs")]
fn note(
    known: Vec<(Id<Webhook>, String, Standing)>,
    counted: &[&AttemptResult],
) -> (Vec<(Id<Webhook>, Standing)>, Vec<(Id<Webhook>, DisabledReason)>) {
    let mut summaries: HashMap<(Id<Webhook>, &str), OutcomeSummary> = HashMap::new();
    for result in counted {
        summaries
            .entry((result.webhook_id, &*result.url))
            .or_insert_with(|| OutcomeSummary::new(result.finished_at))
            .note(result);
    }
    let (mut changed, mut disabled) = (Vec::new(), Vec::new());
    for (id, url, before) in known {
        // Attempts at a URL that it does not have any more say nothing of it.
        let Some(summary) = summaries.get(&(id, &*url)) else { continue };
        let mut now = before;
        disabled.extend(now.note(summary).map(|reason| (id, reason)));
        if now != before {
            changed.push((id, now));
        }
    }
    (changed, disabled)
}

/// An attempt that worked is a part of its delivery's row.
async fn write_down(sql: &Sql, settled: &[&Waiting<'_>]) -> Result<()> {
    let last: Vec<_> = settled.iter().filter_map(|one| Some((one.seq, one.last?))).collect();
    if last.is_empty() {
        return Ok(());
    }
    let worked = |result: &AttemptResult| result.error.is_none();
    let seqs: Vec<i64> = last.iter().map(|(seq, _)| *seq).collect();
    let statuses: Vec<_> = last
        .iter()
        .map(|(_, result)| match result.next_attempt_at {
            _ if worked(result) => Name(DeliveryStatus::Delivered),
            Some(_) => Name(DeliveryStatus::Due),
            None => Name(DeliveryStatus::Failed),
        })
        .collect();
    let attempts: Vec<_> = last.iter().map(|(_, result)| Number(result.attempts)).collect();
    // Nothing that was attempted is due among what was not.
    let due_at: Vec<Option<i64>> = last
        .iter()
        .map(|(_, result)| {
            let next = result.next_attempt_at.filter(|_| !worked(result));
            next.map(|next| next.0.max(UNTRIED.0 + 1))
        })
        .collect();
    let errors: Vec<_> = last.iter().map(|(_, result)| result.error.as_deref()).collect();
    let finished: Vec<Option<i64>> = last
        .iter()
        .map(|(_, result)| {
            let is_over = worked(result) || result.next_attempt_at.is_none();
            is_over.then_some(result.finished_at.wall.0)
        })
        .collect();
    let of_success = |of: fn(&AttemptResult) -> Option<i64>| -> Vec<Option<i64>> {
        last.iter().map(|(_, result)| of(result).filter(|_| worked(result))).collect()
    };
    let answers: Vec<_> = last
        .iter()
        .map(|(_, result)| result.answer.as_deref().filter(|_| worked(result)))
        .collect();
    statement::run(
        sql,
        "update deliveries d set status = r.status, attempts = r.attempts, due_at = coalesce(r.due_at, d.due_at),
                last_error = r.error, finished_at = r.finished_at, started_at = r.started_at,
                duration_ms = r.duration_ms, answer_status = r.answer_status, answer = r.answer
         from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[],
                     $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
              as r (seq, status, attempts, due_at, error, finished_at, started_at, duration_ms, answer_status, answer)
         where d.seq = r.seq",
        &[
            &seqs,
            &statuses,
            &attempts,
            &due_at,
            &errors,
            &finished,
            &of_success(|result| Some(result.started_at.0)),
            &of_success(|result| Some(duration_ms(result))),
            &of_success(|result| result.status.map(i64::from)),
            &answers,
        ],
    )
    .await?;
    Ok(())
}

async fn add_failures(sql: &Sql, failures: &[(i64, u32, &AttemptResult)]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let (seqs, numbers): (Vec<i64>, Vec<_>) =
        failures.iter().map(|(seq, number, _)| (*seq, Number(*number))).unzip();
    let (started, took): (Vec<i64>, Vec<i64>) =
        failures.iter().map(|(_, _, one)| (one.started_at.0, duration_ms(one))).unzip();
    let statuses: Vec<_> = failures.iter().map(|(_, _, one)| one.status.map(i64::from)).collect();
    let (answers, errors): (Vec<_>, Vec<_>) =
        failures.iter().map(|(_, _, one)| (one.answer.as_deref(), one.error.as_deref())).unzip();
    statement::run(
        sql,
        "insert into attempts (delivery_seq, number, started_at, duration_ms, status, answer, error)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                              $6::text[], $7::text[])",
        &[&seqs, &numbers, &started, &took, &statuses, &answers, &errors],
    )
    .await?;
    Ok(())
}

fn duration_ms(result: &AttemptResult) -> i64 {
    i64::try_from(result.duration_ms).unwrap_or(i64::MAX)
}
