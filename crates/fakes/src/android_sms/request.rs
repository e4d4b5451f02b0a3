//! Requests as both modes read them (`PostMessageRequest.kt`, `DateTimeParser.kt`).

use bytes::Bytes;
use serde_json::Value;

use super::{
    device::{App, nano_id},
    outbox::{Content, Outgoing, Recipient, Source, Step},
};
use crate::stamp::parse_iso;

/// The message that a body asks for; else what is wrong with it. The phone's clock decides about times.
pub(super) fn message(
    app: &App,
    body: &Value,
    source: Source,
    skip_validation: bool,
) -> Result<Outgoing, String> {
    let get = |name: &str| body.get(name).filter(|value| !value.is_null());
    let wrong = |text: &str| Err(text.to_owned());
    let kinds = ["textMessage", "dataMessage", "message", "mmsMessage"];
    // An older app does not know the last kind, and so was given none.
    let known = if app.faults.newer { &kinds[..] } else { &kinds[..3] };
    let given: Vec<&str> = known.iter().copied().filter(|kind| get(kind).is_some()).collect();
    let kind = match given.as_slice() {
        [] => return wrong("Must specify exactly one of: textMessage, dataMessage, or message"),
        [kind] => *kind,
        _ => return wrong("Cannot specify multiple message types simultaneously"),
    };
    let content = content(kind, &body[kind])?;
    let numbers: Vec<String> = get("phoneNumbers")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    if numbers.is_empty() {
        return wrong("phoneNumbers is empty");
    }
    let sim = get("simNumber").map(|sim| sim.as_u64().unwrap_or(0));
    if sim == Some(0) {
        return wrong("simNumber must be >= 1");
    }
    let now = app.now();
    let ttl = get("ttl").map(|ttl| ttl.as_i64().unwrap_or(-1));
    let until = get("validUntil").map(|until| until.as_str().and_then(parse_iso));
    if ttl.is_some() && until.is_some() {
        return wrong("fields conflict: ttl and validUntil");
    }
    if ttl.is_some_and(|ttl| ttl < 5) {
        return wrong("ttl must be >= 5");
    }
    if until == Some(None) {
        return wrong("Invalid validUntil");
    }
    let at = get("scheduleAt").map(|at| at.as_str().and_then(parse_iso));
    if at.is_some_and(|at| at.is_none_or(|at| at <= now)) {
        return wrong("scheduleAt must be in the future");
    }
    let priority = get("priority").map_or(Some(0), Value::as_i64);
    let Some(priority) = priority.filter(|priority| (-128..=127).contains(priority)) else {
        return wrong("priority must be between -128 and 127");
    };
    // The app's own library knows no short codes and not every odd number.
    let dialled = |number: &String| number.starts_with('+') && number.len() >= 9;
    if !skip_validation && !numbers.iter().all(dialled) {
        return wrong("Invalid phone number");
    }
    let recipients =
        numbers.into_iter().map(|number| Recipient { number, step: Step::Pending, error: None });
    Ok(Outgoing {
        id: get("id").and_then(Value::as_str).map_or_else(nano_id, str::to_owned),
        source,
        content,
        recipients: recipients.collect(),
        sim: sim.and_then(|sim| usize::try_from(sim).ok()),
        report: get("withDeliveryReport").and_then(Value::as_bool).unwrap_or(true),
        valid_until: ttl.map(|ttl| now + ttl * 1_000).or_else(|| until.flatten()),
        not_before: at.flatten(),
        priority,
        created: now,
        number: 0,
        states: vec![(Step::Pending, now)],
        begun: false,
    })
}

fn content(kind: &str, given: &Value) -> Result<Content, String> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match kind {
        "message" => {
            text(given).map(Content::Text).ok_or_else(|| "Text message is empty".to_owned())
        }
        "textMessage" => text(&given["text"])
            .map(Content::Text)
            .ok_or_else(|| "Text message is empty".to_owned()),
        "dataMessage" => {
            let port = given["port"].as_i64().unwrap_or(-1);
            if !(0..=65_535).contains(&port) {
                return Err("Port must be between 0 and 65535".to_owned());
            }
            let base64 = text(&given["data"]).ok_or("Data message cannot be empty")?;
            Ok(Content::Data { base64, port })
        }
        _ => {
            let mut files = Vec::new();
            for (index, file) in given["attachments"].as_array().into_iter().flatten().enumerate() {
                let data = file["data"].as_str().unwrap_or_default();
                // 2 MiB of base64.
                if data.len() > 2 << 20 {
                    return Err("Attachment is too large".to_owned());
                }
                let bytes = data_encoding::BASE64
                    .decode(data.as_bytes())
                    .map_err(|_| "Invalid attachment data".to_owned())?;
                let name = text(&file["name"]).unwrap_or_else(|| format!("part{index}"));
                files.push((name, Bytes::from(bytes)));
            }
            let text = text(&given["text"]);
            if text.is_none() && files.is_empty() {
                return Err("MMS must have text or at least one attachment".to_owned());
            }
            Ok(Content::Mms { text, files })
        }
    }
}

/// A period of a list, in the phone's time.
pub(super) struct Period {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Period {
    /// Without bounds it is all until now.
    pub(super) fn read(
        from: Option<&str>,
        to: Option<&str>,
        now: i64,
    ) -> Result<Self, &'static str> {
        let from = from.map_or(Some(0), parse_iso).ok_or("Invalid from datetime")?;
        let to = to.map_or(Some(now), parse_iso).ok_or("Invalid to datetime")?;
        if from > to {
            return Err("Start date cannot be after end date");
        }
        Ok(Self { from, to })
    }

    pub(super) fn holds(&self, at: i64) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

/// A page: how many, after how many.
pub(super) fn page(
    limit: Option<&str>,
    offset: Option<&str>,
    most: usize,
) -> Result<(usize, usize), String> {
    let limit = limit.and_then(|limit| limit.parse().ok()).unwrap_or(50);
    let offset = offset.and_then(|offset| offset.parse::<i64>().ok()).unwrap_or(0);
    if limit == 0 || limit > most {
        return Err(format!("limit must be between 1 and {most}"));
    }
    let offset = usize::try_from(offset).map_err(|_| "offset must be >= 0".to_owned())?;
    Ok((limit, offset))
}
