//! The two text formats: OpenMetrics, and the one before it, which more programs read.

use std::fmt;

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::Registry,
};

/// What Prometheus has read since 2.5, and others too.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Classic,
}

impl Format {
    /// The one that an Accept header asks for; OpenMetrics unless it names the other and not this.
    pub(crate) fn asked(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("text/plain") && !accept.contains("openmetrics") => {
                Self::Classic
            }
            _ => Self::OpenMetrics,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => OPEN_METRICS,
            Self::Classic => CLASSIC,
        }
    }

    /// These registries, one after another.
    pub(crate) fn show(self, registries: &[&Registry]) -> Result<String, fmt::Error> {
        let mut text = String::new();
        for registry in registries {
            encode_registry(&mut text, registry)?;
        }
        match self {
            Self::OpenMetrics => encode_eof(&mut text)?,
            Self::Classic => text = classic(&text),
        }
        Ok(text)
    }
}

/// There a counter is named in full where it is described, and a unit is not told.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let Some((name, help)) = help else {
            if !line.starts_with("# UNIT ") {
                classic.push_str(line);
                classic.push('\n');
            }
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit_once(' ')).map_or("untyped", |of| of.1);
        let suffix = if kind == "counter" { "_total" } else { "" };
        for part in ["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"]
        {
            classic.push_str(part);
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::asked(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::asked(Some("text/plain")), Format::Classic);
        assert_eq!([Format::asked(Some("*/*")), Format::asked(None)], [Format::OpenMetrics; 2]);
    }

    #[test]
    fn the_older_format_names_counters_in_full() {
        let new = "# HELP a Of a.\n# TYPE a counter\n# UNIT a seconds\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
        let old = "# HELP a_total Of a.\n# TYPE a_total counter\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(classic(new), old);
    }
}
