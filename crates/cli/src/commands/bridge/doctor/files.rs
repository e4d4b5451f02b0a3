//! Files: are the Mac's programs there that convert pictures and voice memos?

use super::report::Findings;
use crate::commands::bridge::{
    driver::find_program,
    options::{DriverName, Options},
};

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    driver: DriverName,
    /// What was looked for, and whether it is there.
    sips: (String, bool),
    afconvert: (String, bool),
}

pub(super) fn look(options: &Options) -> Facts {
    let is_there = |program: &std::path::PathBuf| {
        (program.display().to_string(), find_program(program).is_some())
    };
    Facts {
        driver: options.driver,
        sips: is_there(&options.files.sips),
        afconvert: is_there(&options.files.afconvert),
    }
}

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::of("Files");
    match facts.driver {
        DriverName::Imsg => imsg(&mut findings, facts),
        DriverName::Bluebubbles => bluebubbles(&mut findings, facts),
        // Phones send pictures that everybody can show.
        DriverName::AndroidSms => {}
    }
    findings
}

fn imsg(findings: &mut Findings, facts: &Facts) {
    let (sips, has_sips) = &facts.sips;
    match has_sips {
        true => findings.ok("pictures", "sips is there: a HEIC picture comes as a JPEG, with the original"),
        false => findings.warning(
            "pictures",
            format!("{sips} is not there: a HEIC picture comes as it is, and many programs can't show it"),
            &["It belongs to macOS. Name it with --sips if it is in a place of its own"],
        ),
    }
    let (afconvert, has_afconvert) = &facts.afconvert;
    match has_afconvert {
        true => findings.ok(
            "voice_memos",
            "afconvert is there: a voice memo comes as an M4A, with the original, and goes out in the form that plays",
        ),
        false => findings.warning(
            "voice_memos",
            format!(
                "{afconvert} is not there: a voice memo comes as a CAF file, and goes out only if it is one (Opus, 24 kHz, mono)"
            ),
            &["It belongs to macOS. Name it with --afconvert if it is in a place of its own"],
        ),
    }
}

fn bluebubbles(findings: &mut Findings, facts: &Facts) {
    let (afconvert, has_afconvert) = &facts.afconvert;
    match has_afconvert {
        true => findings.ok(
            "voice_memos",
            "BlueBubbles converts what comes in; afconvert is there, so a voice memo goes out in the form that plays",
        ),
        false => findings.warning(
            "voice_memos",
            format!(
                "{afconvert} is not on this machine: a voice memo goes out only if it is a CAF file (Opus, 24 kHz, mono). \
                 BlueBubbles converts what comes in"
            ),
            &["If that is enough for you, leave it so. Otherwise run the bridge on the Mac: macOS has the program"],
        ),
    }
}
